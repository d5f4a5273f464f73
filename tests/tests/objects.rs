//! What an app's linker sees of a compiled model, on every target: its own prefix on all global symbols, nothing undefined that is
//! not listed, the same bytes wherever it was compiled, and no clash with a second model.

use assert_cmd::Command;
use kiln_tests::fixture;
use object::{Object, ObjectSymbol};
use std::path::{Path, PathBuf};

const TRIPLES: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
    "aarch64-linux-android",
    "x86_64-linux-android",
    "aarch64-apple-ios",
    "aarch64-apple-ios-sim",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
];

/// The functions of C that any model may refer to.
const OF_C: &[&str] = &["memcpy", "memmove", "memset", "memcmp", "malloc", "free"];

/// Compiles a recorded model for some targets, from inside a folder, to `out`; gives that.
fn compile(name: &str, emit: &str, triples: &[&str], folder: &Path) -> PathBuf {
    let file = |ending: &str| fixture(&format!("{name}/{name}.{ending}")).canonicalize().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln-under-test"));
    command.current_dir(folder).arg("compile").arg(file("pt")).arg("--inputs").arg(file("json"));
    command.args(["--emit", emit, "-o", "out", "--name", name]).args(triples.iter().flat_map(|triple| ["--target", triple]));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    folder.join("out")
}

/// The object of a model for a target, compiled for all.
fn object(out: &Path, name: &str, triple: &str) -> Vec<u8> {
    let ending = if triple.contains("windows") { "obj" } else { "o" };
    std::fs::read(out.join(triple).join(format!("{name}.{ending}"))).unwrap()
}

/// Names of symbols as C has them.
fn names<'a>(file: &object::File<'a>, wanted: impl Fn(&object::Symbol<'a, '_>) -> bool) -> Vec<String> {
    let lead = if file.format() == object::BinaryFormat::MachO { "_" } else { "" };
    let symbols = file.symbols().filter(|symbol| wanted(symbol)).filter_map(|symbol| symbol.name().ok());
    symbols.filter(|name| !name.is_empty()).map(|name| name.strip_prefix(lead).unwrap_or(name).to_owned()).collect()
}

fn check_symbols(name: &str, is_self_contained: bool) {
    let folder = tempfile::tempdir().unwrap();
    let out = compile(name, "obj", TRIPLES, folder.path());
    for triple in TRIPLES {
        let bytes = object(&out, name, triple);
        let file = object::File::parse(&*bytes).unwrap();
        let defined = names(&file, |symbol| symbol.is_global() && symbol.is_definition());
        let prefix = format!("{name}_");
        assert!(defined.len() >= 6 && defined.iter().all(|s| s.starts_with(&prefix)), "{name} on {triple}: {defined:?}");
        let undefined = names(&file, |symbol| symbol.is_undefined());
        let is_listed = |s: &String| OF_C.contains(&s.as_str()) || (!is_self_contained && s.starts_with("kiln_rt1_"));
        assert!(undefined.iter().all(is_listed), "{name} on {triple} refers to {undefined:?}");
    }
}

#[test]
fn a_model_of_static_shape_is_self_contained() {
    check_symbols("digits", true);
    check_symbols("resnet18", true);
}

#[test]
fn other_models_refer_to_the_runtime_only() {
    check_symbols("list_state", false);
    check_symbols("lstm", false);
}

#[test]
fn the_folder_is_not_in_the_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let outs = [first.path(), second.path()].map(|folder| compile("gru", "obj", TRIPLES, folder));
    for triple in TRIPLES {
        let [a, b] = [0, 1].map(|at| object(&outs[at], "gru", triple));
        assert!(a == b, "{triple}: two compilations differ");
    }
}

/// Makes and destroys instances of two models.
const TWO_MODELS: &str = r#"
#include "digits.h"
#include "list_state.h"
int main(void) {
    kiln_context *digits, *list_state, *other;
    if (digits_create(NULL, &digits) || list_state_create(NULL, &list_state) || list_state_create(NULL, &other)) return 1;
    if (digits_arena_bytes() == 0 || list_state_reset(list_state)) return 2;
    kiln_value seen = kiln_none();
    if (list_state_seen(other, NULL, 0, &seen) || seen.tag != KILN_TAG_INT || seen.as.i != 0) return 3;
    digits_destroy(digits);
    list_state_destroy(list_state);
    list_state_destroy(other);
    return 0;
}
"#;

#[test]
fn two_models_link_into_one_program() {
    if std::process::Command::new("cc").arg("--version").output().is_err() {
        eprintln!("not linked: there is no C compiler");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut out = folder.path().to_path_buf();
    for (name, methods) in [("digits", &["forward"][..]), ("list_state", &["forward", "seen"])] {
        out = compile_library(name, methods, folder.path());
    }
    std::fs::write(out.join("main.c"), TWO_MODELS).unwrap();
    let arguments = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-o", "program", "main.c"];
    let mut cc = std::process::Command::new("cc");
    let built = cc.current_dir(&out).args(arguments).args(["-L.", "-ldigits", "-llist_state", "-lpthread"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    assert_eq!(std::process::Command::new(out.join("program")).status().unwrap().code(), Some(0));
}

/// Compiles a library and its headers for this machine.
fn compile_library(name: &str, methods: &[&str], folder: &Path) -> PathBuf {
    let out = folder.join("out");
    let types: &[&str] = if name == "digits" { &["--inputs"] } else { &["--input", "input=f32[4]"] };
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln-under-test"));
    command.arg("compile").arg(fixture(&format!("{name}/{name}.pt"))).args(types);
    if name == "digits" {
        command.arg(fixture("digits/digits.json"));
    }
    command.args(["--emit", "lib,header", "--name", name, "-o"]).arg(&out);
    let output = command.args(methods.iter().flat_map(|method| ["--method", method])).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    out
}
