//! `compile`: what it asks for, what it writes, and that the same input gives the same bytes.

use super::{Outcome, Workspace, kiln, names, outcome};
use kiln_tests::fixture;
use std::path::Path;

const SUM: &str =
    "def forward(self: __torch__.M,\n    a: Tensor,\n    b: Tensor,\n    n: int) -> Tensor:\n  return torch.add(a, b, alpha=n)";

fn compile(workspace: &Workspace, args: &[&str]) -> Outcome {
    outcome(kiln().arg("compile").arg(workspace.path("m.pt")).arg("-o").arg(workspace.path("out")).args(args))
}

#[test]
fn types_that_are_missing_are_asked_for() {
    let workspace = Workspace::new(SUM);
    let found = compile(&workspace, &[]);
    assert_eq!(found.status, Some(2), "{found:?}");
    assert!(found.stderr.contains("add --input 'a=f32[...]' --input 'b=f32[...]'"), "{found:?}");
    let one = compile(&workspace, &["--input", "a=f32[2]"]);
    assert!(one.status == Some(2) && one.stderr.contains("add --input 'b=f32[...]'"), "{one:?}");
    assert_eq!(workspace.names(), ["m.pt"], "nothing is written");
}

#[test]
fn each_kind_of_file_is_written() {
    let workspace = Workspace::new(SUM);
    let inputs = ["--input", "a=f32[N,4]", "--input", "b=f32[N,4]", "--name", "sum"];
    let emit = ["--emit", "obj,lib,header,manifest,rust,graph,clif,asm"];
    let found = compile(&workspace, &[&inputs[..], &emit, &["--depfile", workspace.path("m.d").to_str().unwrap()]].concat());
    assert_eq!(found.status, Some(0), "{found:?}");
    assert_eq!(
        names(&workspace.path("out")),
        ["kiln.h", "libsum.a", "sum.clif", "sum.h", "sum.json", "sum.kir", "sum.o", "sum.rs", "sum.s"]
    );
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(workspace.path("out/sum.json")).unwrap()).unwrap();
    assert_eq!(manifest["name"], "sum");
    let depfile = std::fs::read_to_string(workspace.path("m.d")).unwrap();
    assert!(depfile.contains("sum.o") && depfile.trim_end().ends_with("m.pt"), "{depfile}");
}

#[test]
fn several_targets_have_a_folder_each() {
    let workspace = Workspace::new(SUM);
    let targets = ["x86_64-unknown-linux-gnu", "aarch64-linux-android", "aarch64-apple-ios", "aarch64-pc-windows-msvc"];
    let mut args = vec!["--input", "a=f32[2]", "--input", "b=f32[2]", "--emit", "obj", "--name", "sum"];
    args.extend(targets.iter().flat_map(|target| ["--target", target]));
    let found = compile(&workspace, &args);
    assert_eq!(found.status, Some(0), "{found:?}");
    for target in targets {
        let file = if target.ends_with("msvc") { "sum.obj" } else { "sum.o" };
        assert_eq!(names(&workspace.path("out").join(target)), [file]);
    }
}

fn bert(folder: &Path, target: &str) -> Vec<(String, Vec<u8>)> {
    let (model, inputs) = (fixture("bert/bert.pt").canonicalize().unwrap(), fixture("bert/bert.json").canonicalize().unwrap());
    let emit = ["--emit", "obj,header,manifest,clif,rust", "--target", target, "-o", "out"];
    let found = outcome(kiln().current_dir(folder).arg("compile").arg(model).arg("--inputs").arg(inputs).args(emit));
    assert_eq!(found.status, Some(0), "{found:?}");
    let out = folder.join("out");
    names(&out).into_iter().map(|name| (name.clone(), std::fs::read(out.join(name)).unwrap())).collect()
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for target in ["x86_64-unknown-linux-gnu", "aarch64-apple-ios"] {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (a, b) = (bert(one.path(), target), bert(other.path(), target));
        assert_eq!(a.len(), 6);
        for ((name, a), (_, b)) in a.iter().zip(&b) {
            assert!(a == b, "{target}: {name} differs");
        }
    }
}

#[test]
fn timings_go_to_standard_error() {
    let workspace = Workspace::new(SUM);
    let found = compile(&workspace, &["--input", "a=f32[2]", "--input", "b=f32[2]", "--emit", "obj", "--timings"]);
    assert_eq!((found.status, found.stdout.as_str()), (Some(0), ""), "{found:?}");
    for stage in ["read", "type", "specialise", "schedule", "generate", "total"] {
        assert!(found.stderr.contains(stage), "{stage}: {found:?}");
    }
}

const SUM_OVER: &str = "def forward(self: __torch__.M,\n    x: Tensor,\n    dims: List[int],\n    keep: bool) -> Tensor:\n  return torch.sum(x, dims, keep)";

#[test]
fn an_input_can_be_a_constant() {
    let workspace = Workspace::new(SUM_OVER);
    let free = compile(&workspace, &["--input", "x=f32[2,3]", "--emit", "obj"]);
    assert_eq!(free.status, Some(3), "{free:?}");
    let fixed =
        compile(&workspace, &["--input", "x=f32[2,3]", "--input", "dims==[0]", "--input", "keep==false", "--emit", "manifest"]);
    assert_eq!(fixed.status, Some(0), "{fixed:?}");
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(workspace.path("out/m.json")).unwrap()).unwrap();
    assert_eq!(manifest["methods"][0]["inputs"].as_array().map(Vec::len), Some(1), "{manifest}");
    let misfit = compile(&workspace, &["--input", "x=f32[2,3]", "--input", "dims==0.5"]);
    assert_eq!(misfit.status, Some(2), "{misfit:?}");
}

/// As with `--input`: what no call of the file gives is no parameter; what one gives is.
#[test]
fn an_argument_that_the_inputs_file_leaves_out_keeps_its_default() {
    let workspace = Workspace::new(
        "def forward(self: __torch__.M,\n    n: int,\n    twice: bool=False) -> int:\n  return torch.add(n, int(twice))",
    );
    for (inputs, wanted) in [
        (r#"{"calls": [{"args": [{"int": 5}]}]}"#, &["n"][..]),
        (r#"{"calls": [{"args": [{"int": 5}], "kwargs": {"twice": {"bool": true}}}]}"#, &["n", "twice"]),
    ] {
        let file = workspace.write("in.json", inputs);
        let found = compile(&workspace, &["--inputs", file.to_str().unwrap(), "--emit", "manifest", "--name", "m"]);
        assert_eq!(found.status, Some(0), "{found:?}");
        let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(workspace.path("out/m.json")).unwrap()).unwrap();
        let names: Vec<&str> =
            manifest["methods"][0]["inputs"].as_array().unwrap().iter().map(|input| input["name"].as_str().unwrap()).collect();
        assert_eq!(names, wanted);
    }
}

#[test]
fn bounds_are_checked_in_the_code() {
    let workspace = Workspace::new(SUM);
    let inputs = ["--input", "a=f32[N<=8,4]", "--input", "b=f32[N,4]"];
    let args = [&["--stage", "loops"], &inputs[..]].concat();
    let found = outcome(kiln().arg("inspect").arg(workspace.path("m.pt")).args(args));
    assert_eq!(found.status, Some(0), "{found:?}");
    assert!(found.stdout.contains("argument `a`: size N is above its bound of 8"), "{found:?}");
}

const PRODUCT: &str = "def forward(self: __torch__.M,\n    a: Tensor,\n    b: Tensor) -> Tensor:\n  return torch.matmul(a, b)";

/// The object, compiled with a file for `--tune`.
fn tuned(workspace: &Workspace, file: &Path, args: &[&str]) -> Result<Vec<u8>, Outcome> {
    let inputs = ["--input", "a=f32[64,48]", "--input", "b=f32[48,64]", "--emit", "obj", "--tune", file.to_str().unwrap()];
    let found = compile(workspace, &[&inputs[..], args].concat());
    if found.status == Some(0) { Ok(std::fs::read(workspace.path("out/m.o")).unwrap()) } else { Err(found) }
}

#[test]
fn choices_are_measured_once() {
    let workspace = Workspace::new(PRODUCT);
    let file = workspace.path("tune.json");
    let first = tuned(&workspace, &file, &["--cpu", "native"]).unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    let read: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert!(read["choices"].is_object(), "{written}");
    assert_eq!(tuned(&workspace, &file, &["--cpu", "native"]).unwrap(), first);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    let bench = ["--input", "a=f32[64,48]", "--input", "b=f32[48,64]", "--min-time", "0"];
    let bench = outcome(kiln().arg("bench").arg(workspace.path("m.pt")).args(bench).arg("--tune").arg(&file));
    assert_eq!(bench.status, Some(0), "{bench:?}");
}

#[test]
fn choices_that_a_file_names_are_taken() {
    let workspace = Workspace::new(PRODUCT);
    let file = workspace.path("tune.json");
    let target = ["--target", "aarch64-unknown-linux-gnu", "--cpu", "cortex-a76"];
    let with = |panel: u32| {
        let choices = serde_json::json!({ "gemm 64x64x48": { "panel": panel } });
        let file_text = serde_json::json!({
            "format": "kiln tuning",
            "version": 1,
            "target": "aarch64-unknown-linux-gnu",
            "features": ["lse", "fp16", "dotprod"],
            "threads": false,
            "strict": false,
            "choices": choices,
        });
        std::fs::write(&file, file_text.to_string()).unwrap();
        tuned(&workspace, &file, &target)
    };
    assert_ne!(with(1).unwrap(), with(2).unwrap());
    let other = tuned(&workspace, &file, &["--target", "aarch64-unknown-linux-gnu", "--cpu", "generic"]).unwrap_err();
    assert!(other.status == Some(1) && other.stderr.contains("was measured for another target or CPU"), "{other:?}");
    let both = tuned(&workspace, &file, &["--cpu", "x86-64-v3", "--cpu", "x86-64-v4"]).unwrap_err();
    assert!(both.status == Some(2) && both.stderr.contains("`--tune` is for one target and one CPU"), "{both:?}");
    let threads = tuned(&workspace, &file, &[&target[..], &["--threads", "on"]].concat()).unwrap_err();
    assert!(threads.status == Some(1) && threads.stderr.contains("another setting of threads"), "{threads:?}");
    std::fs::write(&file, "{}").unwrap();
    let empty = tuned(&workspace, &file, &target).unwrap_err();
    assert!(empty.status == Some(1) && empty.stderr.contains("is not what this version of kiln writes"), "{empty:?}");
    std::fs::remove_file(&file).unwrap();
    let foreign = tuned(&workspace, &file, &target).unwrap_err();
    assert!(foreign.status == Some(2) && foreign.stderr.contains("nothing can be measured"), "{foreign:?}");
}
