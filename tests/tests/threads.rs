//! `--threads`: how many there are changes no bit of a result. Code for one thread is another, and the same only where numerics are strict.

use assert_cmd::Command;
use kiln_tests::fixture;
use std::path::Path;

/// What threads share, and how: three heads in six pieces each.
const ATTENTION: &str = "
import torch
from torch import Tensor, nn


class Attention(nn.Module):
    def forward(self, phase: float) -> Tensor:
        x = torch.sin(torch.arange(90 * 3 * 3 * 32, dtype=torch.float) * phase)
        q, k, v = x.reshape(1, 90, 3, 3, 32).permute(2, 0, 3, 1, 4).unbind(0)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return y.transpose(1, 2).reshape(1, 90, 96)
";

/// More rows to change the order of than there are parts: 3 times 40 matrices.
const SHUFFLE: &str = "
from typing import Tuple

import torch
from torch import Tensor, nn


class Shuffle(nn.Module):
    def forward(self, phase: float) -> Tuple[Tensor, Tensor]:
        x = torch.sin(torch.arange(12 * 40 * 70, dtype=torch.float) * phase).reshape(1, 12, 40, 70)
        return x, nn.functional.pixel_shuffle(x, 2)
";

fn kiln(command: &str, model: &Path, flags: &[&str]) -> Command {
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln-under-test"));
    kiln.arg(command).arg(model).args(flags);
    kiln
}

/// What a model gives, as the bytes of a file.
fn results(model: &Path, inputs: &Path, folder: &Path, flags: &[&str]) -> Vec<u8> {
    let out = folder.join("out.npz");
    kiln("run", model, flags).arg("--inputs").arg(inputs).arg("--outputs").arg(&out).assert().success();
    std::fs::read(out).unwrap()
}

#[test]
fn models_give_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mobilenet_v2", "bert", "deit", "vit", "convnext", "lstm", "deeplabv3"] {
        let [model, inputs] = ["pt", "json"].map(|ending| fixture(&format!("{name}/{name}.{ending}")));
        let results = |flags: &[&str]| results(&model, &inputs, folder.path(), flags);
        assert!(results(&["--threads", "2"]) == results(&["--threads", "3"]), "{name}");
        let [one, two] = ["1", "2"].map(|threads| results(&["--numerics", "strict", "--threads", threads]));
        assert!(one == two, "{name}, strict");
    }
}

/// Products of several heads, each of them divided.
#[test]
fn loops_of_kernels_are_shared() {
    same_from_source("Attention", ATTENTION, 2);
}

#[test]
fn long_loops_are_shared_in_runs() {
    same_from_source("Shuffle", SHUFFLE, 1);
}

/// Checks that a source model gives the same bits for any number of threads, that its plan has so many parallel loops, and that a profile has
/// the time of each.
fn same_from_source(class: &str, source: &str, loops: usize) {
    let folder = tempfile::tempdir().unwrap();
    let [model, inputs] = ["model.py", "inputs.json"].map(|name| folder.path().join(name));
    std::fs::write(&model, source).unwrap();
    std::fs::write(&inputs, r#"{"args": [{"float": 0.37}]}"#).unwrap();
    let results = |flags: &[&str]| results(&model, &inputs, folder.path(), &[&["--class", class], flags].concat());
    let shared = ["2", "3", "8"].map(|threads| results(&["--threads", threads]));
    assert!(shared[0] == shared[1] && shared[1] == shared[2]);
    let [one, two] = ["1", "2"].map(|threads| results(&["--numerics", "strict", "--threads", threads]));
    assert!(one == two, "strict");
    let target = ["--class", class, "--target", "x86_64-unknown-linux-gnu", "--cpu", "x86-64-v3"];
    let plan = kiln("inspect", &model, &target).args(["--stage", "loops", "--threads", "2"]).assert().success();
    let plan = String::from_utf8_lossy(&plan.get_output().stdout).into_owned();
    assert_eq!(plan.matches("parallel l").count(), loops, "{plan}");
    let profile = folder.path().join("profile.json");
    let flags = ["--class", class, "--threads", "2", "--min-time", "0", "--profile", profile.to_str().unwrap()];
    kiln("bench", &model, &flags).arg("--inputs").arg(&inputs).assert().success();
    let profile: serde_json::Value = serde_json::from_slice(&std::fs::read(profile).unwrap()).unwrap();
    let names = profile["sites"].as_array().unwrap().iter().filter_map(|site| site["name"].as_str());
    assert_eq!(names.filter(|name| name.ends_with(" in parallel")).count(), loops, "{profile}");
}
