//! Objects with code for several CPUs: `create` takes what suits the machine, every variant can be asked for, and all give the same bytes where a model
//! computes with integers. A model whose kernels need no more than the first CPU has no variants.

use kiln_tests::fixture;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const MODEL: &str = "mobilenet_v2_int8";

/// Prints the variant that is chosen, and a hash of the results of each up to that one.
const PROGRAM: &str = r#"
#include "mobilenet_v2_int8.h"
#include <stdio.h>
static float x[1 << 18], out[1 << 12];
static uint64_t run(kiln_context *instance) {
    uint64_t hash = 14695981039346656037u;
    const unsigned char *bytes = (const unsigned char *)out;
    memset(out, 0, sizeof out);
    if (mobilenet_v2_int8_forward_flat(instance, x, out)) return 0;
    for (size_t i = 0; i < sizeof out; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}
int main(void) {
    kiln_context *instance;
    uint32_t state = 1, chosen = mobilenet_v2_int8_variant();
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state / 1e9f;
    }
    if (mobilenet_v2_int8_create(NULL, &instance)) return 1;
    printf("%u %llx", chosen, (unsigned long long)run(instance));
    mobilenet_v2_int8_destroy(instance);
    for (uint32_t variant = 0; variant <= chosen; variant++) {
        if (mobilenet_v2_int8_create_variant(NULL, variant, &instance)) return 2;
        printf(" %llx", (unsigned long long)run(instance));
        mobilenet_v2_int8_destroy(instance);
    }
    if (mobilenet_v2_int8_create_variant(NULL, 3, &instance) != KILN_BAD_ARGUMENT || instance) return 3;
    if (mobilenet_v2_int8_forward(NULL, NULL, 0, NULL) != KILN_BAD_ARGUMENT) return 4;
    printf("\n");
    return 0;
}
"#;

/// Compiles a model for some CPUs of a target; gives the manifest.
fn compile(name: &str, target: &str, cpus: &[&str], out: &Path) -> serde_json::Value {
    let file = |ending: &str| fixture(&format!("{name}/{name}.{ending}"));
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln-under-test"));
    kiln.arg("compile")
        .arg(file("pt"))
        .arg("--inputs")
        .arg(file("json"))
        .args(["--target", target, "--name", name, "-o"])
        .arg(out);
    let output = kiln.args(cpus.iter().flat_map(|cpu| ["--cpu", cpu])).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(out.join(format!("{name}.json"))).unwrap()).unwrap()
}

/// Builds the program beside a compiled model.
fn link(cc: &str, out: &Path) {
    std::fs::write(out.join("main.c"), PROGRAM).unwrap();
    let arguments = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-o", "program", "main.c", "-L.", "-lmobilenet_v2_int8"];
    let built = Command::new(cc).current_dir(out).args(arguments).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// The variant that the program chose; all that it ran gave the same.
fn chosen(run: &mut Command) -> usize {
    let output = run.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let chosen: usize = words[0].parse().unwrap();
    assert_eq!(words.len(), chosen + 3, "{text}");
    assert!(words[1] != "0" && words[1..].iter().all(|hash| *hash == words[1]), "{text}");
    chosen
}

#[test]
fn arm_cpus_get_the_variant_that_they_can_run() {
    let is_there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !(is_there("qemu-aarch64") && is_there("aarch64-linux-gnu-gcc")) {
        assert!(std::env::var_os("KILN_REQUIRE_EMULATION").is_none_or(|value| value == "0"), "there is no emulator");
        eprintln!("not run: qemu-aarch64 or the cross compiler is missing");
        return;
    }
    let folder = TempDir::new().unwrap();
    let manifest = compile(MODEL, "aarch64-unknown-linux-gnu", &["generic", "cortex-a76", "neoverse-v1"], folder.path());
    assert_eq!(manifest["variants"], serde_json::json!([["dotprod"], ["dotprod", "i8mm"]]));
    link("aarch64-linux-gnu-gcc", folder.path());
    for (cpu, variant) in [("cortex-a53", 0), ("cortex-a72", 0), ("cortex-a76", 1), ("max", 2)] {
        let mut emulator = Command::new("qemu-aarch64");
        let run = emulator.args(["-cpu", cpu, "-L", "/usr/aarch64-linux-gnu"]).arg(folder.path().join("program"));
        assert_eq!(chosen(run), variant, "{cpu}");
    }
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn this_machine_gets_the_variant_that_it_can_run() {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("not linked: there is no C compiler");
        return;
    }
    let folder = TempDir::new().unwrap();
    let cpus = ["x86-64-v2", "x86-64-v3", "x86-64-v4,+avx512vnni"];
    let manifest = compile(MODEL, "x86_64-unknown-linux-gnu", &cpus, folder.path());
    assert_eq!(manifest["variants"].as_array().unwrap().len(), 2);
    link("cc", folder.path());
    let has_v3 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
    let has_v4 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vnni");
    let best = if has_v4 { 2 } else { usize::from(has_v3) };
    assert_eq!(chosen(&mut Command::new(folder.path().join("program"))), best);
}

#[test]
fn a_model_of_binary32_has_no_variants_on_arm() {
    let folder = TempDir::new().unwrap();
    let manifest = compile("mobilenet_v2", "aarch64-linux-android", &["generic", "cortex-a76", "cortex-x2"], folder.path());
    assert_eq!(manifest["variants"], serde_json::json!([]));
}

#[test]
fn every_target_can_be_asked_what_it_has() {
    for target in ["aarch64-apple-ios", "aarch64-linux-android"] {
        let folder = TempDir::new().unwrap();
        let first = if target.contains("apple") { "apple-a12" } else { "generic" };
        let manifest = compile(MODEL, target, &[first, "cortex-x2"], folder.path());
        assert_eq!(manifest["variants"], serde_json::json!([["dotprod", "i8mm"]]), "{target}");
    }
    for target in ["x86_64-apple-darwin", "x86_64-pc-windows-msvc", "aarch64-pc-windows-msvc"] {
        let folder = TempDir::new().unwrap();
        let cpus = if target.starts_with("x86") { ["x86-64-v3", "x86-64-v4"] } else { ["generic", "cortex-a76"] };
        assert_eq!(compile(MODEL, target, &cpus, folder.path())["variants"].as_array().unwrap().len(), 1, "{target}");
    }
}
