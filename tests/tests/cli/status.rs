//! Exit statuses and first lines.

use super::{Workspace, kiln, outcome};

const ADD: &str = "def forward(self: __torch__.M,\n    x: int) -> int:\n  return torch.add(x, 1)";

#[test]
fn done_is_0() {
    for args in [&["--help"][..], &["--version"], &["targets"], &["explain", "archive"], &["explain"], &["run", "--help"]] {
        let found = outcome(kiln().args(args));
        assert_eq!(found.status, Some(0), "{args:?}: {found:?}");
        assert!(!found.stdout.is_empty() && found.stderr.is_empty());
    }
}

#[test]
fn a_wrong_command_line_is_2() {
    let wrong = [
        &["run"][..],
        &["nonsense"],
        &["run", "m.pt", "--inputs", "x.json", "--bogus"],
        &["compile", "m.pt", "-o", "out", "--target", "vax"],
        &["compile", "m.pt", "-o", "out", "--cpu", "z80"],
        &["compile", "m.pt", "-o", "out", "--input", "x=f31[2]"],
        &["compile", "m.pt", "-o", "out", "--input", "x=int", "--inputs", "x.json"],
        &["compile", "m.pt", "-o", "out", "--name", "7up"],
        &["explain", "no-such-code"],
        &["bench", "m.pt", "--min-time", "-1"],
    ];
    for args in wrong {
        let workspace = Workspace::new(ADD);
        let found = outcome(kiln().current_dir(workspace.folder.path()).args(args));
        assert_eq!(found.status, Some(2), "{args:?}: {found:?}");
        assert!(found.first_line().starts_with("error: "), "{args:?}: {found:?}");
        assert_eq!(workspace.names(), ["m.pt"], "nothing is written");
    }
}

#[test]
fn a_model_that_raises_is_1_with_its_own_message() {
    let workspace = Workspace::new(
        "def forward(self: __torch__.M,\n    x: int) -> int:\n  if torch.lt(x, 0):\n    ops.prim.RaiseException(\"x is below 0\", \"builtins.ValueError\")\n  \
         else:\n    pass\n  return x",
    );
    let found = workspace.run(r#"{"args": [{"int": -1}]}"#);
    assert_eq!(found.status, Some(1), "{found:?}");
    assert_eq!(found.first_line(), "error: x is below 0");
    assert_eq!(workspace.run(r#"{"args": [{"int": 1}]}"#).stdout, "{\"int\":1}\n");
}

#[test]
fn arguments_that_do_not_fit_are_1_in_pytorchs_words() {
    let workspace = Workspace::new(ADD);
    let cases = [
        (
            r#"{"args": [{"float": 1.5}]}"#,
            "error: forward() Expected a value of type 'int' for argument 'x' but instead found type 'float'.",
        ),
        (r#"{"args": []}"#, "error: forward() is missing value for argument 'x'."),
        (r#"{"args": [{"int": 1}, {"int": 2}]}"#, "error: forward() expected at most 2 argument(s) but received 3 argument(s)."),
        (r#"{"args": [{"int": 1}], "method": "backward"}"#, "error: class `__torch__.M` has no method `backward`"),
    ];
    for (inputs, message) in cases {
        let found = workspace.run(inputs);
        assert_eq!((found.status, found.first_line()), (Some(1), message), "{found:?}");
    }
}

#[test]
fn files_that_are_not_there_are_1() {
    let found = outcome(kiln().args(["compile", "/nowhere/m.pt", "-o", "/nowhere/out"]));
    assert_eq!(found.status, Some(1), "{found:?}");
    assert!(found.first_line().starts_with("error: `/nowhere/m.pt` cannot be read"), "{found:?}");
    let workspace = Workspace::new(ADD);
    assert_eq!(workspace.run("not json").status, Some(1));
    assert_eq!(workspace.run(r#"{"args": [{"tensor": "x"}]}"#).status, Some(1));
}

#[test]
fn what_is_not_supported_is_3_with_its_line() {
    let workspace = Workspace::new("def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n  return torch.linalg_eig(x)[0]");
    let inputs = r#"{"args": [{"tensor": {"dtype": "float32", "shape": [1, 1], "data": [1]}}]}"#;
    let workspace_found = workspace.run(inputs);
    assert_eq!(workspace_found.status, Some(3), "{workspace_found:?}");
    let check = outcome(kiln().arg("check").arg(workspace.path("m.pt")));
    assert_eq!(check.status, Some(3), "{check:?}");
    assert!(check.first_line().contains("linalg_eig") && check.stderr.contains("code/__torch__.py:6"), "{check:?}");
}

#[test]
fn a_source_file_needs_a_class() {
    let workspace = Workspace::new(ADD);
    workspace.write("m.py", "class M: pass\n");
    let found = outcome(kiln().arg("check").arg(workspace.path("m.py")));
    assert!(found.status == Some(2) && found.stderr.contains("help: add --class"), "{found:?}");
}

#[test]
fn check_lists_every_operator_at_once() {
    let workspace = Workspace::new(
        "def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n  y, z, = torch.linalg_eig(x)\n  return torch.view_as_complex(y)\n\
         def other(self: __torch__.M,\n    x: Tensor) -> Tensor:\n  return torch.stft(x, 3, None, None, None, False, None, None, None)",
    );
    let found = outcome(kiln().arg("check").arg(workspace.path("m.pt")));
    assert_eq!(found.status, Some(3), "{found:?}");
    for name in ["aten::linalg_eig", "aten::view_as_complex"] {
        assert!(found.stderr.contains(name), "{name}: {found:?}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let script = format!("{} targets | true", env!("CARGO_BIN_EXE_kiln-under-test"));
    let found = outcome(assert_cmd::Command::new("sh").args(["-c", &format!("set -o pipefail 2>/dev/null; {script}")]));
    assert!(found.stderr.is_empty(), "{found:?}");
}
