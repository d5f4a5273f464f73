//! `run`, `verify`, `bench` and `inspect`.

use super::{Outcome, Workspace, kiln, outcome};
use kiln_tests::fixture;

const SCALE: &str =
    "def forward(self: __torch__.M,\n    x: Tensor,\n    factor: float=2.0) -> Tensor:\n  return torch.mul(x, factor)";

/// Arguments of a call, without the braces around the file.
const ARGS: &str = r#""args": [{"tensor": {"dtype": "float32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}}]"#;

#[test]
fn results_are_printed_or_written() {
    let workspace = Workspace::new(SCALE);
    let printed = workspace.run(&format!("{{{ARGS}}}"));
    assert_eq!(printed.status, Some(0), "{printed:?}");
    let expected = r#"{"tensor":{"dtype":"float32","shape":[2,3],"data":[2.0,4.0,6.0,8.0,10.0,12.0]}}"#;
    assert_eq!(printed.stdout.trim_end(), expected);

    let run = outcome(
        kiln()
            .arg("run")
            .arg(workspace.path("m.pt"))
            .arg("--inputs")
            .arg(workspace.path("in.json"))
            .arg("--outputs")
            .arg(workspace.path("out.json")),
    );
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(workspace.names(), ["in.json", "m.pt", "out.json", "out.safetensors"]);
}

#[test]
fn symbolic_sizes_give_the_same() {
    let workspace = Workspace::new(SCALE);
    let fixed = workspace.run(&format!("{{{ARGS}}}"));
    let free =
        outcome(kiln().arg("run").arg(workspace.path("m.pt")).arg("--inputs").arg(workspace.path("in.json")).arg("--symbolic"));
    assert_eq!((free.status, free.stdout), (Some(0), fixed.stdout), "{}", free.stderr);
}

#[test]
fn calls_of_a_sequence_are_written_as_one() {
    let workspace = Workspace::new(SCALE);
    let call = |x: f64| {
        format!(
            r#"{{"args": [{{"tensor": {{"dtype": "float64", "shape": [], "data": {x}}}}}], "kwargs": {{"factor": {{"int": 3}}}}}}"#
        )
    };
    let found = workspace.run(&format!(r#"{{"calls": [{}, {}]}}"#, call(1.0), call(2.5)));
    assert_eq!(found.status, Some(0), "{found:?}");
    let lines: Vec<serde_json::Value> = found.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let values: Vec<f64> = lines.iter().map(|line| line["tensor"]["data"][0].as_f64().unwrap()).collect();
    assert_eq!(values, [3.0, 7.5]);
}

fn recording(expected: &str) -> String {
    format!(
        r#"{{{ARGS}, "expect": {{"tensor": {{"dtype": "float32", "shape": [2, 3], "data": {expected}}}}}, "rtol": 1e-5, "atol": 0}}"#
    )
}

#[test]
fn verify_names_the_first_difference() {
    let workspace = Workspace::new(SCALE);
    let verify = |text: &str| {
        let path = workspace.write("rec.json", text);
        outcome(kiln().arg("verify").arg(workspace.path("m.pt")).arg("--recording").arg(path))
    };
    let same = verify(&recording("[2, 4, 6, 8, 10, 12]"));
    assert_eq!(same.status, Some(0), "{same:?}");
    assert!(same.stdout.contains("1 result compared"), "{same:?}");
    let other = verify(&recording("[2, 4, 6, 8, 11, 12]"));
    assert_eq!(other.status, Some(1), "{other:?}");
    assert!(other.first_line().contains("result: 1 of 6 elements differ, first at [1, 1]: 10.0, expected 11.0"), "{other:?}");
}

#[test]
fn verify_compares_what_submodules_give() {
    let found = outcome(kiln().arg("verify").arg(fixture("bert/bert.pt")).arg("--recording").arg(fixture("bert/bert.json")));
    assert_eq!(found.status, Some(0), "{found:?}");
    assert!(found.stdout.contains("1 result compared, 42 values of submodules"), "{found:?}");
}

#[test]
fn bench_prints_one_object() {
    let workspace = Workspace::new(SCALE);
    let found =
        outcome(kiln().arg("bench").arg(workspace.path("m.pt")).args(["--input", "x=f32[8,8]", "--min-time", "0", "--json"]));
    assert_eq!(found.status, Some(0), "{found:?}");
    let facts: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    let keys = [
        "median_ms",
        "min_ms",
        "first_call_ms",
        "compile_ms",
        "object_bytes",
        "text_bytes",
        "weights_bytes",
        "arena_bytes",
        "peak_rss_bytes",
        "threads",
    ];
    for key in keys {
        assert!(facts[key].is_number(), "{key}: {facts}");
    }
    assert!(facts["target"].is_string() && facts["cpu"].is_string());
    let open = outcome(kiln().arg("bench").arg(workspace.path("m.pt")).args(["--input", "x=f32[N,8]"]));
    assert_eq!(open.status, Some(2), "{open:?}");
}

#[test]
fn every_stage_can_be_inspected() {
    let workspace = Workspace::new(SCALE);
    for (stage, needle) in [
        ("ast", "class"),
        ("typed", "aten::mul"),
        ("optimized", "aten::mul"),
        ("loops", "method forward"),
        ("clif", "function"),
        ("asm", "ret"),
    ] {
        let found = outcome(kiln().arg("inspect").arg(workspace.path("m.pt")).args(["--stage", stage, "--input", "x=f32[2,3]"]));
        assert_eq!(found.status, Some(0), "{stage}: {found:?}");
        assert!(found.stdout.to_lowercase().contains(needle), "{stage}: {}", found.stdout);
    }
}

#[test]
fn values_become_constants_where_they_must() {
    let workspace = Workspace::new(
        "def forward(self: __torch__.M,\n    x: Tensor,\n    dims: List[int]) -> Tensor:\n  return torch.sum(x, dims)",
    );
    let inputs = format!("{{{ARGS}}}").replace("]}}]", r#"]}}, {"list": [{"int": 1}]}]"#);
    let found = workspace.run(&inputs);
    assert_eq!(found.status, Some(0), "{found:?}");
    assert_eq!(found.stdout.trim_end(), r#"{"tensor":{"dtype":"float32","shape":[2],"data":[6.0,15.0]}}"#);
    assert!(found.stderr.starts_with("note: "), "{found:?}");
    // A failure begins with its error all the same.
    let outside = workspace.run(&inputs.replace(r#"{"int": 1}"#, r#"{"int": 2}"#));
    assert_eq!(outside.status, Some(1), "{outside:?}");
    assert!(outside.first_line().starts_with("error: "), "{outside:?}");
}

/// A file of inputs: one tensor of numbers without pattern.
fn numbers_file(path: &std::path::Path, shape: &[usize]) {
    let count: usize = shape.iter().product();
    let data: Vec<f32> = (0..count).map(|i| ((i * 7919 % 1009) as f32 - 504.0) / 512.0).collect();
    let tensor = serde_json::json!({ "dtype": "float32", "shape": shape, "data": data });
    std::fs::write(path, serde_json::json!({ "args": [{ "tensor": tensor }] }).to_string()).unwrap();
}

/// The elements of the tensor that a run prints.
fn elements(run: &Outcome) -> Vec<f64> {
    let printed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    printed["tensor"]["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let product = "def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n  return torch.softmax(torch.mm(x, torch.t(x)), 1)";
    let workspace = Workspace::new(product);
    let network = fixture("resnet18/resnet18.pt");
    for (model, shape) in [(workspace.path("m.pt"), &[400, 96][..]), (network, &[1, 3, 112, 112])] {
        let inputs = workspace.path("in.json");
        numbers_file(&inputs, shape);
        let run = |threads: &str| {
            let found = outcome(kiln().arg("run").arg(&model).arg("--inputs").arg(&inputs).args(["--threads", threads]));
            assert_eq!(found.status, Some(0), "{found:?}");
            found
        };
        let mut inspect = kiln();
        inspect.args(["inspect", "--stage", "loops", "--threads", "2"]).arg(&model).arg("--inputs").arg(&inputs);
        assert!(outcome(&mut inspect).stdout.contains(" parts\n"), "{} has nothing to share", model.display());
        let (one, several) = (run("1"), ["2", "3", "5"].map(run));
        assert!(several.windows(2).all(|pair| pair[0].stdout == pair[1].stdout), "{}", model.display());
        let largest = elements(&one).iter().fold(0f64, |m, v| m.max(v.abs()));
        let pairs = elements(&one).into_iter().zip(elements(&several[0]));
        pairs.for_each(|(a, b)| assert!((a - b).abs() <= 1e-5 * largest, "{a} and {b} in {}", model.display()));
    }
}

#[test]
fn a_profile_names_kernels() {
    let (folder, file) = (tempfile::tempdir().unwrap(), |ending: &str| fixture(&format!("digits/digits.{ending}")));
    let path = folder.path().join("profile.json");
    let mut command = kiln();
    command.arg("bench").arg(file("pt")).arg("--inputs").arg(file("json")).args(["--min-time", "0", "--profile"]).arg(&path);
    let found = outcome(&mut command);
    assert_eq!(found.status, Some(0), "{found:?}");
    let profile: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let sites = profile["sites"].as_array().unwrap();
    let convolution = sites.iter().find(|s| s["name"].as_str().unwrap().contains("conv 3x3")).unwrap();
    assert!(convolution["visits"] == 1.0 && convolution["ms"].as_f64().unwrap() > 0.0, "{convolution}");
    let shares: f64 = sites.iter().map(|s| s["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-6, "{shares}");
}

/// Sums of products that no binary16 holds: PyTorch scales them before it rounds.
#[test]
fn attention_of_halves_does_not_overflow() {
    let workspace = Workspace::new(
        "def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n  h = torch.to(x, 5)\n  \
         a, b = torch._scaled_dot_product_attention_math(h, h, h)\n  return torch.to(a, 6)",
    );
    let data = vec!["33"; 2 * 64].join(", ");
    let x = format!(r#"{{"tensor": {{"dtype": "float32", "shape": [1, 1, 2, 64], "data": [{data}]}}}}"#);
    let found = workspace.run(&format!(r#"{{"args": [{x}]}}"#));
    let expected = format!("[{}]", vec!["33.0"; 2 * 64].join(","));
    assert!(found.status == Some(0) && found.stdout.contains(&expected), "{found:?}");
}
