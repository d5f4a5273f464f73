//! `kiln quantize` on two small trained networks (handwritten digits; tones and chirps): what is lost on data that calibration
//! did not see, for every way to quantize, and what a quantization says and refuses.

use assert_cmd::Command;
use kiln_tests::fixture;
use std::io::Read;
use std::path::Path;
use tempfile::TempDir;

fn kiln() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kiln-under-test"))
}

/// Runs a command that must succeed, and gives what it printed.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Quantizes a fixture with its calibration data; gives the report.
fn quantize(name: &str, flags: &[&str], out: &Path) -> String {
    let file = |ending: &str| fixture(&format!("{name}/{name}.{ending}"));
    printed(kiln().arg("quantize").arg(file("pt")).arg("--calibrate").arg(file("calibration.npz")).args(flags).arg("-o").arg(out))
}

/// The only array of an `.npz` file of binary32.
fn floats(path: &Path) -> Vec<f32> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_index(0).unwrap().read_to_end(&mut bytes).unwrap();
    // The text of the header ends in a line break.
    let header = 1 + bytes.iter().position(|&b| b == b'\n').unwrap();
    bytes[header..].chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// The share of the fixture's test data that is classified as its labels say.
fn accuracy(name: &str, quantization: Option<&Path>) -> f64 {
    let file = |ending: &str| fixture(&format!("{name}/{name}.{ending}"));
    let folder = TempDir::new().unwrap();
    let scores = folder.path().join("scores.npz");
    let mut run = kiln();
    run.arg("run").arg(file("pt")).arg("--inputs").arg(file("test.npz")).arg("--outputs").arg(&scores);
    if let Some(path) = quantization {
        run.arg("--quantization").arg(path);
    }
    printed(&mut run);
    let labels = std::fs::read_to_string(file("labels.txt")).unwrap();
    let labels: Vec<usize> = labels.lines().map(|label| label.parse().unwrap()).collect();
    let scores = floats(&scores);
    let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let right = scores.chunks(scores.len() / labels.len()).zip(&labels).filter(|(row, label)| best(row) == **label).count();
    right as f64 / labels.len() as f64
}

/// At most so much accuracy is lost, in points.
fn loses_at_most(points: f64, flags: &[&str]) {
    let folder = TempDir::new().unwrap();
    for name in ["digits", "keywords"] {
        let out = folder.path().join(format!("{name}.json"));
        quantize(name, flags, &out);
        let (float, quantized) = (accuracy(name, None), accuracy(name, Some(&out)));
        assert!(float > 0.9, "{name} is right in {float} of the cases");
        assert!(100.0 * (float - quantized) <= points, "{name} {flags:?}: {float} becomes {quantized}");
    }
}

#[test]
fn static_int8_keeps_the_accuracy() {
    loses_at_most(0.5, &[]);
    loses_at_most(0.5, &["--observer", "percentile"]);
    loses_at_most(0.5, &["--observer", "entropy"]);
    // One bit less of every activation.
    loses_at_most(1.0, &["--reduce-range"]);
}

#[test]
fn dynamic_int8_keeps_the_accuracy() {
    loses_at_most(0.5, &["--dynamic"]);
}

#[test]
fn narrow_weights_keep_the_accuracy() {
    loses_at_most(1.0, &["--weight-type", "int4"]);
    loses_at_most(0.5, &["--weight-type", "fp16"]);
}

/// The line of a report that begins so, behind its colon.
fn line<'a>(report: &'a str, beginning: &str) -> &'a str {
    let found = report.lines().find_map(|l| l.strip_prefix(beginning));
    found.unwrap_or_else(|| panic!("no line `{beginning}` in\n{report}")).trim_start_matches(": ")
}

fn ratio(line: &str) -> f64 {
    line.rsplit_once('(').and_then(|(_, ratio)| ratio.trim_end_matches("x)").parse().ok()).unwrap()
}

#[test]
fn a_quantized_network_takes_a_quarter_of_the_memory() {
    let folder = TempDir::new().unwrap();
    let report = quantize("keywords", &[], &folder.path().join("q.json"));
    assert!(ratio(line(&report, "memory for activations")) <= 0.27, "{report}");
    assert!(line(&report, "8 of 8").ends_with("layers are quantized"), "{report}");
}

/// Pools and residual sums are no reason to keep numbers in binary32.
#[test]
fn convolutions_store_bytes() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("q.json");
    let (model, recording) = (fixture("resnet18/resnet18.pt"), fixture("resnet18/resnet18.json"));
    let mut command = kiln();
    command.arg("quantize").arg(&model).arg("--calibrate").arg(&recording).args(["--max-error", "1", "-o"]).arg(&out);
    let report = printed(&mut command);
    assert!(ratio(line(&report, "weights")) <= 0.3, "{report}");
    let mut inspect = kiln();
    inspect.arg("inspect").arg(model).arg("--inputs").arg(recording).args(["--stage", "loops", "--quantization"]).arg(out);
    let plan = printed(&mut inspect);
    let convolutions: Vec<&str> = plan.lines().filter(|l| l.contains(" Conv(ConvDesc")).collect();
    assert!(convolutions.len() > 5, "{plan}");
    assert!(convolutions.iter().all(|kernel| kernel.contains("numbers: Int8")), "{plan}");
    // The last one is read by the mean over all pixels, which is taken in binary32.
    let wide = convolutions.iter().filter(|kernel| kernel.contains("out: F32"));
    assert_eq!(wide.count(), 1, "{plan}");
}

/// Embeddings are tables, of which rows are read.
#[test]
fn embeddings_are_quantized_with_linear_layers() {
    let folder = TempDir::new().unwrap();
    let (out, model, recording) = (folder.path().join("q.json"), fixture("bert/bert.pt"), fixture("bert/bert.json"));
    for (flags, names, most) in [
        (&[][..], ["int8 weights", "int8, scale"], 0.05),
        (&["--weight-type", "int4"], ["int4 weights", "int4 weights"], 0.2),
        (&["--weight-type", "fp16"], ["fp16 weights", "fp16 weights"], 0.001),
    ] {
        let mut command = kiln();
        command
            .arg("quantize")
            .arg(&model)
            .arg("--calibrate")
            .arg(&recording)
            .args(flags)
            .args(["--max-error", "1", "-o"])
            .arg(&out);
        let report = printed(&mut command);
        for (kind, name) in ["embedding", "linear"].iter().zip(names) {
            assert!(report.lines().any(|l| l.contains(kind) && l.contains(name)), "{report}");
        }
        let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
        let error = file["error"].as_f64().unwrap();
        assert!(error > 0.0 && error < most, "{flags:?}: {error}");
    }
}

/// Quantizes a fixture with its recorded calls; gives the report and the error of the results.
fn quantize_recorded(name: &str, flags: &[&str], out: &Path) -> (String, f64) {
    let (model, recording) = (fixture(&format!("{name}/{name}.pt")), fixture(&format!("{name}/{name}.json")));
    let mut command = kiln();
    command.arg("quantize").arg(model).arg("--calibrate").arg(recording).args(flags).args(["--max-error", "1", "-o"]).arg(out);
    let report = printed(&mut command);
    let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(out).unwrap()).unwrap();
    (report, file["error"].as_f64().unwrap())
}

/// What a layer in a loop reads cannot be observed, but its weights are known, and its range when it runs.
#[test]
fn layers_in_loops_are_quantized() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("q.json");
    for (name, outside, layers) in [("lstm", 4, 8), ("rnn_loop", 0, 3)] {
        for (flags, inside, most) in [
            (&[][..], "int8, dynamic", 0.02),
            (&["--dynamic"], "int8, dynamic", 0.02),
            (&["--weight-type", "int4"], "int4 weights", 0.2),
            (&["--weight-type", "fp16"], "fp16 weights", 0.001),
        ] {
            let (report, error) = quantize_recorded(name, flags, &out);
            assert!(report.contains(&format!("{layers} of {layers} layers are quantized")), "{report}");
            let unseen = report.lines().filter(|l| l.contains("  -  ") && l.contains(inside));
            assert_eq!(unseen.count(), layers - outside, "{name} {flags:?}: {report}");
            assert!(error > 0.0 && error < most, "{name} {flags:?}: {error}");
        }
    }
    let text = std::fs::read_to_string(&out).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let layer = &mut file["methods"][0]["layers"][1];
    (layer["precision"], layer["scale"], layer["zero_point"]) = ("int8".into(), 0.1.into(), 3.into());
    std::fs::write(&out, file.to_string()).unwrap();
    let mut run = kiln();
    run.arg("run").arg(fixture("rnn_loop/rnn_loop.pt")).arg("--inputs").arg(fixture("rnn_loop/rnn_loop.json"));
    let error = refused(run.arg("--quantization").arg(&out), 1);
    assert!(error.contains("layer 1 of `forward` is in a loop or branch"), "{error}");
}

/// What a branch gives becomes bytes where the layer behind it reads it; a convolution in the branch stays in binary32.
#[test]
fn a_layer_behind_a_branch_is_quantized() {
    const MODEL: &str = "import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer('w', torch.arange(144.0).reshape(4, 4, 3, 3) / 100 - 0.7)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if bool(x.sum() > 0):
            y = F.conv2d(x, self.w, None, 1, 1)
        return F.conv2d(y, self.w, None, 1, 1)
";
    let folder = TempDir::new().unwrap();
    let [model, calls, out] = ["net.py", "calls.json", "q.json"].map(|name| folder.path().join(name));
    std::fs::write(&model, MODEL).unwrap();
    let data: Vec<f64> = (0..144).map(|i| f64::from(i * 37 % 19) / 10.0).collect();
    let image = serde_json::json!({ "tensor": { "dtype": "float32", "shape": [1, 4, 6, 6], "data": data } });
    std::fs::write(&calls, serde_json::json!({ "args": [image] }).to_string()).unwrap();
    let mut command = kiln();
    command.arg("quantize").arg(&model).args(["--class", "Net", "--calibrate"]).arg(&calls).arg("-o").arg(&out);
    let report = printed(&mut command);
    assert!(report.contains("1 of 2 layers are quantized"), "{report}");
    let mut inspect = kiln();
    inspect.arg("inspect").arg(&model).args(["--class", "Net", "--inputs"]).arg(&calls).args([
        "--stage",
        "loops",
        "--quantization",
    ]);
    let plan = printed(inspect.arg(&out));
    let count = |numbers: &str| plan.matches(&format!("Conv(ConvDesc {{ numbers: {numbers}")).count();
    assert_eq!((count("F32"), count("Int8")), (1, 1), "{plan}");
}

#[test]
fn layers_that_lose_too_much_stay_in_float() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("q.json");
    let report = quantize("keywords", &["--max-error", "0.0001"], &out);
    assert!(report.lines().any(|l| l.contains("  float ")), "{report}");
    let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert!(file["error"].as_f64().unwrap() <= 0.0001);
}

#[test]
fn the_report_is_a_page_with_a_plot() {
    let folder = TempDir::new().unwrap();
    let page = folder.path().join("report.html");
    quantize("digits", &["--report", page.to_str().unwrap()], &folder.path().join("q.json"));
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("<tr><td>").count(), 4, "{page}");
    assert!(page.contains("<svg") && page.matches("<rect").count() == 8, "{page}");
}

/// The error text of a command that must fail with this status.
fn refused(command: &mut Command, status: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr).unwrap()
}

/// A quantization is for weights with the batch norms folded into them; strict numerics fold them, too, where there is one.
#[test]
fn a_quantization_serves_strict_numerics() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("q.json");
    quantize("keywords", &[], &out);
    let mut run = kiln();
    run.arg("run").arg(fixture("keywords/keywords.pt")).arg("--inputs").arg(fixture("keywords/keywords.test.npz"));
    printed(run.args(["--numerics", "strict"]).arg("--quantization").arg(&out));
}

#[test]
fn a_quantization_of_another_model_is_refused() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("q.json");
    quantize("digits", &[], &out);
    let other = fixture("keywords/keywords.pt");
    let mut run = kiln();
    run.arg("run").arg(other).arg("--inputs").arg(fixture("keywords/keywords.test.npz")).arg("--quantization").arg(&out);
    let error = refused(&mut run, 1);
    assert!(error.contains("it is for 4 layers, and `forward` has 8"), "{error}");
}

/// The file may be changed by hand.
#[test]
fn a_quantization_that_was_changed_is_checked() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("q.json");
    quantize("digits", &[], &out);
    let text = std::fs::read_to_string(&out).unwrap();
    let run_with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
        change(&mut file["methods"][0]["layers"]);
        std::fs::write(&out, file.to_string()).unwrap();
        let mut run = kiln();
        run.arg("run").arg(fixture("digits/digits.pt")).arg("--inputs").arg(fixture("digits/digits.test.npz"));
        run.arg("--quantization").arg(&out);
        run
    };
    // A layer in binary32 whose result becomes bytes.
    printed(&mut run_with(&|layers: &mut serde_json::Value| {
        layers[1] = serde_json::json!({ "precision": "float", "weights": layers[1]["weights"] });
    }));
    assert!(accuracy("digits", Some(&folder.path().join("q.json"))) > 0.99);
    type Change = fn(&mut serde_json::Value);
    let changes: [(Change, &str); 8] = [
        (|layers| layers[3]["precision"] = "int8 weights".into(), "has no such precision"),
        (|layers| layers[0]["precision"] = "dynamic".into(), "is of a kind (convolution)"),
        (|layers| layers[2]["correction"] = serde_json::json!([1.0]), "correction for another number of channels"),
        (|layers| layers[2]["output"] = serde_json::json!({"scale": 1.0, "zero_point": 3}), "no number of a residual sum"),
        (|layers| layers[2]["scale"] = 0.0.into(), "its scale is not a positive number"),
        (|layers| layers[2]["zero_point"] = 256.into(), "its zero point is no byte"),
        (|layers| layers[2]["weights"] = "77".into(), "layer 2 of `forward` has other weights"),
        (|layers| *layers = serde_json::Value::Null, "`forward` has no layers"),
    ];
    for (change, message) in changes {
        let error = refused(&mut run_with(&change), 1);
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn what_cannot_be_quantized_is_said() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("q.json");
    let filter = fixture("programs/kalman/kalman.pt");
    let mut command = kiln();
    command.arg("quantize").arg(filter).arg("--calibrate").arg(fixture("programs/kalman/kalman.json")).arg("-o").arg(&out);
    let error = refused(&mut command, 3);
    assert!(error.contains("no layer that could be quantized") && error.contains("with constant weights"), "{error}");
    assert!(!out.exists());
    let digits = fixture("digits/digits.pt");
    let mut command = kiln();
    command.arg("quantize").arg(digits).arg("--calibrate").arg(fixture("digits/digits.calibration.npz"));
    let error = refused(command.args(["--dynamic", "--weight-type", "int4", "-o"]).arg(&out), 2);
    assert!(error.contains("`--dynamic` quantizes activations"), "{error}");
}
