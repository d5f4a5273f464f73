//! Models that PyTorch quantized, on every CPU for which bytes are multiplied differently: each gives the very integers of PyTorch's
//! kernels for x86 (FBGEMM), as its recording demands.
//!
//! Without an emulator the Arm CPUs are left out, unless `KILN_REQUIRE_EMULATION=1` asks for them.

use assert_cmd::Command;
use kiln_tests::fixture;

const FIXTURES: &[&str] = &[
    "mobilenet_v2_int8",
    "mobilenet_v3_int8",
    "resnet_int8",
    "shufflenet_int8",
    "quantized_ops",
    "quantized_dynamic",
    "quantized_embedding",
];

/// Target and CPU: without vector kernels, 16-bit products, VNNI where this machine has it; `smull`, `sdot`, `sudot`.
const X86: &[(&str, &str)] = &[
    ("x86_64-unknown-linux-gnu", "x86-64-v2"),
    ("x86_64-unknown-linux-gnu", "x86-64-v3"),
    ("x86_64-unknown-linux-gnu", "native"),
];
const ARM: &[(&str, &str)] = &[
    ("aarch64-unknown-linux-gnu", "generic"),
    ("aarch64-unknown-linux-gnu", "cortex-a76"),
    ("aarch64-unknown-linux-gnu", "neoverse-v1"),
];

fn verify(name: &str, target: &str, cpu: &str) {
    let file = |ending: &str| fixture(&format!("{name}/{name}.{ending}"));
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln-under-test"));
    kiln.arg("verify").arg(file("pt")).arg("--recording").arg(file("json")).args(["--target", target, "--cpu", cpu]);
    let output = kiln.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} on {cpu}: {out}{err}");
    assert!(out.contains("the model agrees with the recording"), "{name} on {cpu}: {out}{err}");
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn integers_are_those_of_fbgemm_on_x86() {
    for (target, cpu) in X86 {
        if *cpu == "x86-64-v3" && !is_x86_feature_detected!("avx2") {
            continue;
        }
        FIXTURES.iter().for_each(|name| verify(name, target, cpu));
    }
}

#[test]
fn integers_are_those_of_fbgemm_on_arm() {
    let is_there = |tool: &str| std::process::Command::new(tool).arg("--version").output().is_ok();
    if !(is_there("qemu-aarch64") && is_there("aarch64-linux-gnu-gcc")) {
        assert!(std::env::var_os("KILN_REQUIRE_EMULATION").is_none_or(|value| value == "0"), "there is no emulator");
        eprintln!("Arm CPUs are not emulated: qemu-aarch64 or the cross compiler is missing");
        return;
    }
    for (target, cpu) in ARM {
        FIXTURES.iter().for_each(|name| verify(name, target, cpu));
    }
}

/// PyTorch rounds in the order that the table of engines in `docs/quantization.md` tells; a change of one step would be seen here.
#[test]
fn one_step_is_a_difference() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["pt", "json", "safetensors"] {
        let name = format!("mobilenet_v2_int8.{ending}");
        std::fs::copy(fixture(&format!("mobilenet_v2_int8/{name}")), folder.path().join(&name)).unwrap();
    }
    let path = folder.path().join("mobilenet_v2_int8.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln-under-test"));
    let model = folder.path().join("mobilenet_v2_int8.pt");
    let output =
        kiln.arg("verify").arg(&model).arg("--recording").arg(folder.path().join("mobilenet_v2_int8.json")).output().unwrap();
    assert!(!output.status.success());
}
