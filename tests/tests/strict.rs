//! `--numerics strict`: the bits of a result do not depend on the machine, and text is PyTorch's to the last digit.

use assert_cmd::Command;
use kiln_tests::{fixture, is_there};
use std::path::Path;

/// Vision models, transformers and recurrent models.
const FIXTURES: &[&str] = &[
    "resnet18",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "squeezenet1_1",
    "convnext",
    "vit",
    "deeplabv3",
    "bert",
    "lstm",
    "gru",
    "digits",
];

/// Flags for every CPU with vector kernels that code can be run for here.
fn machines() -> Vec<[&'static str; 2]> {
    let mut machines = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
            machines.push(["--cpu", "x86-64-v3"]);
        }
        let wide = [
            is_x86_feature_detected!("avx512f"),
            is_x86_feature_detected!("avx512vl"),
            is_x86_feature_detected!("avx512bw"),
            is_x86_feature_detected!("avx512dq"),
        ];
        if wide.iter().all(|&there| there) {
            machines.push(["--cpu", "x86-64-v4"]);
        }
    }
    if cfg!(target_arch = "aarch64") {
        machines.push(["--cpu", "generic"]);
    } else if is_there("aarch64-unknown-linux-gnu", "", &["aarch64-linux-gnu-gcc", "qemu-aarch64"]) {
        machines.push(["--target", "aarch64-unknown-linux-gnu"]);
    }
    machines
}

fn kiln(command: &str, name: &str, flags: &[&str]) -> Command {
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln-under-test"));
    kiln.arg(command).arg(fixture(&format!("{name}/{name}.pt"))).args(["--numerics", "strict"]).args(flags);
    kiln
}

/// What a model gives, as the bytes of a file.
fn results(name: &str, flags: &[&str], folder: &Path) -> Vec<u8> {
    let out = folder.join("out.npz");
    let inputs = fixture(&format!("{name}/{name}.json"));
    kiln("run", name, flags).arg("--inputs").arg(inputs).arg("--outputs").arg(&out).assert().success();
    std::fs::read(out).unwrap()
}

#[test]
fn every_cpu_gives_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let machines = machines();
    for name in FIXTURES {
        let all: Vec<Vec<u8>> = machines.iter().map(|flags| results(name, flags, folder.path())).collect();
        let differs = all.windows(2).position(|pair| pair[0] != pair[1]);
        assert_eq!(differs.map(|at| (machines[at], machines[at + 1])), None, "{name}");
    }
}

/// The statistics that the recurrent network prints have every digit of a binary32: they are PyTorch's if all that came before is.
#[test]
fn a_program_prints_what_pytorch_prints() {
    let recording = fixture("rnn_loop/rnn_loop.json");
    let recorded: serde_json::Value = serde_json::from_slice(&std::fs::read(&recording).unwrap()).unwrap();
    let texts = recorded["calls"].as_array().unwrap().iter().map(|call| call["stdout"].as_str().unwrap());
    let expected = format!("{}the model agrees with the recording: 4 results compared\n", texts.collect::<String>());
    let mut flags: Vec<Vec<&str>> = machines().iter().map(|flags| flags.to_vec()).collect();
    flags.push(vec!["--symbolic"]);
    if cfg!(target_arch = "x86_64") {
        // Without vector kernels.
        flags.push(vec!["--cpu", "x86-64"]);
    }
    for flags in flags {
        kiln("verify", "rnn_loop", &flags).arg("--recording").arg(&recording).assert().success().stdout(expected.clone());
    }
}
