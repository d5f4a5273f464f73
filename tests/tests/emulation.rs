//! Recorded models on every target that can be executed here: `kiln verify`, `run` and `bench` for another machine give what they
//! give on this one. A target differs only by its row in [`targets!`].
//!
//! Without a cross compiler or an emulator a test says so and passes, unless `KILN_REQUIRE_EMULATION=1` asks for them.

use assert_cmd::Command;
use kiln_tests::{archive, fixture, is_there};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The recordings that every target is compared with: vision models, transformers, recurrent models, and programs with loops,
/// lists and state.
const FIXTURES: &[&str] = &["resnet18", "mobilenet_v2", "bert", "lstm", "gru", "rnn_loop", "list_state", "digits"];

const AARCH64: &[&str] = &["aarch64-linux-gnu-gcc", "qemu-aarch64"];
const OWN: &[&str] = &["cc"];

macro_rules! targets {
    ($($name:ident: $triple:literal on $machine:literal by $tools:expr;)*) => {$(
        #[test]
        fn $name() {
            if is_there($triple, $machine, $tools) {
                FIXTURES.iter().for_each(|name| verify(name, $triple));
                programs_behave($triple);
            }
        }
    )*};
}

targets! {
    aarch64_linux: "aarch64-unknown-linux-gnu" on "" by AARCH64;
    aarch64_android: "aarch64-linux-android" on "" by AARCH64;
    aarch64_ios: "aarch64-apple-ios" on "" by AARCH64;
    x86_64_android: "x86_64-linux-android" on "x86_64" by OWN;
    x86_64_darwin: "x86_64-apple-darwin" on "x86_64" by OWN;
}

/// The command under test.
fn kiln(command: &str, model: &Path, triple: Option<&str>) -> Command {
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln-under-test"));
    kiln.arg(command).arg(model);
    if let Some(triple) = triple {
        kiln.args(["--target", triple]);
    }
    kiln
}

/// Exit status, standard output and standard error.
fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn verify(name: &str, triple: &str) {
    let file = |ending: &str| fixture(&format!("{name}/{name}.{ending}"));
    let mut command = kiln("verify", &file("pt"), Some(triple));
    let found = outcome(command.arg("--recording").arg(file("json")));
    assert_eq!(found.0, Some(0), "{name} on {triple}: {found:?}");
    assert!(found.1.contains("the model agrees with the recording"), "{name} on {triple}: {found:?}");
}

/// A model and a file of inputs.
struct Program {
    folder: TempDir,
}

impl Program {
    fn new(methods: &str, inputs: &str) -> Program {
        let program = Program { folder: tempfile::tempdir().unwrap() };
        std::fs::write(program.path("m.pt"), archive(methods)).unwrap();
        std::fs::write(program.path("in.json"), inputs).unwrap();
        program
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it; status and outputs.
    fn run(&self, triple: Option<&str>) -> (Option<i32>, String, String) {
        outcome(kiln("run", &self.path("m.pt"), triple).arg("--inputs").arg(self.path("in.json")))
    }

    /// Runs it here and there, which must give the same.
    fn same_on(&self, triple: &str) -> (Option<i32>, String, String) {
        let (here, there) = (self.run(None), self.run(Some(triple)));
        assert_eq!(here, there, "{triple}");
        there
    }
}

/// Every kind of value goes in and comes out, what is printed is seen, exceptions have their text and status.
fn programs_behave(triple: &str) {
    let values = Program::new(
        "def forward(self: __torch__.M,\n    x: Tensor,\n    n: int,\n    names: List[str],\n    table: Dict[str, float]) -> \
         Tuple[Tensor, List[str], Dict[str, float], Optional[int], bool]:\n  print(x, n, names)\n  _0 = (torch.mul(x, n), names, table, None, \
         torch.gt(n, 2))\n  return _0",
        r#"{"args": [{"tensor": {"dtype": "float32", "shape": [2, 0], "data": []}}, {"int": 3}, {"list": [{"str": "h\u00e9"}, {"str": ""}]},
            {"dict": [[{"str": "b"}, {"float": "inf"}], [{"str": "a"}, {"float": -0.5}]]}]}"#,
    );
    let (status, out, _) = values.same_on(triple);
    assert_eq!(status, Some(0), "{out}");
    assert!(out.starts_with("[ CPUFloatType{2,0} ] 3 [h\u{e9}, ]\n") && out.contains(r#"{"none":null}"#), "{out}");

    let raising = Program::new(
        "def forward(self: __torch__.M,\n    n: int) -> int:\n  if torch.gt(n, 2):\n    ops.prim.RaiseException(\"too many\", \
         \"builtins.ValueError\")\n  return n",
        r#"{"calls": [{"args": [{"int": 1}]}, {"args": [{"int": 3}]}]}"#,
    );
    let (status, out, err) = raising.same_on(triple);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("error: ") && err.contains("too many"), "{err}");
}

#[test]
fn a_missing_tool_is_named() {
    let program = Program::new("def forward(self: __torch__.M,\n    n: int) -> int:\n  return n", r#"{"args": [{"int": 1}]}"#);
    let other = if cfg!(target_arch = "x86_64") { "aarch64-linux-android" } else { "x86_64-linux-android" };
    let mut command = kiln("run", &program.path("m.pt"), Some(other));
    let (status, _, err) = outcome(command.arg("--inputs").arg(program.path("in.json")).env("PATH", ""));
    assert_eq!(status, Some(1), "{err}");
    assert!(err.starts_with("error: ") && err.contains("help: install it"), "{err}");
    let mut command = kiln("run", &program.path("m.pt"), Some("aarch64-pc-windows-msvc"));
    let (status, _, err) = outcome(command.arg("--inputs").arg(program.path("in.json")));
    assert_eq!(status, Some(3), "{err}");
}

#[test]
fn an_emulated_model_can_be_measured() {
    let triple = "aarch64-unknown-linux-gnu";
    if !is_there(triple, "", AARCH64) {
        return;
    }
    let model = fixture("digits/digits.pt");
    let mut command = kiln("bench", &model, Some(triple));
    let found = outcome(command.arg("--inputs").arg(fixture("digits/digits.json")).args(["--min-time", "0", "--json"]));
    assert_eq!(found.0, Some(0), "{found:?}");
    let facts: serde_json::Value = serde_json::from_str(&found.1).unwrap();
    assert_eq!(facts["target"], triple);
    assert!(facts["median_ms"].as_f64().unwrap() > 0.0 && facts["calls"].as_u64().unwrap() >= 5, "{facts}");
}
