//! The same random computations for aarch64, linked by a cross linker and run under an emulator.
//!
//! Skipped where the tools are missing, unless `KILN_REQUIRE_EMULATION=1`.

mod common;
#[path = "common/random.rs"]
mod random;

use common::extent;
use kiln_codegen::{NoKernels, Options, Target, generate};
use kiln_loops::interpret::{self, Failure};
use kiln_support::TensorData;
use kiln_support::tensor::count;
use random::Case;
use std::path::Path;
use std::process::Command;

const COMPILER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64";

fn has_tools() -> bool {
    let is_there = |tool: &str| Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success());
    let missing: Vec<_> = [COMPILER, EMULATOR].into_iter().filter(|tool| !is_there(tool)).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("KILN_REQUIRE_EMULATION").is_none(), "missing: {missing:?}");
    eprintln!("skipped, for these are missing: {missing:?}");
    false
}

fn run_tool(command: &mut Command) {
    let output = command.output().expect("the tool starts");
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// The buffers and parameters of a case, as the driver reads them.
fn input_of(case: &Case, blob: &mut Vec<u8>) {
    let compute = &case.compute;
    let word = |x: u64, blob: &mut Vec<u8>| blob.extend(x.to_le_bytes());
    let outputs = output_buffers(case);
    word((outputs.len() + case.inputs.len()) as u64, blob);
    for output in &outputs {
        word(0, blob);
        word(output.bytes.len() as u64, blob);
        blob.extend(&*output.bytes);
    }
    for (i, input) in case.inputs.iter().enumerate() {
        let is_target = i == 0 && case.target.as_ref().is_some_and(|t| t.shape == input.shape && t.dtype == input.dtype);
        word(if is_target { 2 } else { 1 }, blob);
        word(input.bytes.len() as u64, blob);
        if !is_target {
            blob.extend(&*input.bytes);
        }
    }
    word(compute.params.len() as u64, blob);
    for &param in &case.params {
        let value = common::param_value(param);
        word(value.tag, blob);
        word(value.bits, blob);
    }
}

fn output_buffers(case: &Case) -> Vec<TensorData> {
    let compute = &case.compute;
    let shape: Vec<i64> = compute.axes[..compute.rank].iter().map(|&e| extent(e, &case.params)).collect();
    match &case.target {
        Some(target) => vec![target.clone()],
        None => compute
            .outputs
            .iter()
            .map(|o| TensorData::new(o.dtype, shape.clone(), vec![0; count(&shape) * o.dtype.size()]))
            .collect(),
    }
}

/// Reads what the driver wrote for a case.
fn output_of(case: &Case, blob: &mut &[u8]) -> Result<Vec<TensorData>, Failure> {
    let mut take = |n: usize| {
        let (head, tail) = blob.split_at(n);
        *blob = tail;
        head.to_vec()
    };
    let status = u64::from_le_bytes(take(8).try_into().expect("8 bytes"));
    let tensors = output_buffers(case).into_iter().map(|o| TensorData::new(o.dtype, o.shape, take(o.bytes.len()))).collect();
    match status {
        0 => Ok(tensors),
        1 => Err(Failure::Index),
        other => panic!("status {other}"),
    }
}

fn fits_driver(case: &Case) -> bool {
    case.compute.params.len() <= 32
}

/// Generates the objects of a batch and the list of them for the driver.
fn write_batch(folder: &Path, cases: &[Case]) -> Vec<std::path::PathBuf> {
    let target = Target::baseline("aarch64-unknown-linux-gnu".parse().expect("a triple"));
    let (mut declarations, mut table) = (String::new(), String::new());
    let mut objects = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let prefix = format!("case{i}");
        let plan = common::plan_of_compute(&case.compute);
        let generated =
            generate(&plan, &NoKernels, &target, &Options { prefix: &prefix, ..Options::default() }).expect("the plan compiles");
        let path = folder.join(format!("{prefix}.o"));
        std::fs::write(&path, generated.write().expect("the object is written")).expect("the file is written");
        declarations += &format!(
            "int {prefix}_create(const void *, void **); int {prefix}_run(void *, const value *, uint64_t, value *); void {prefix}_destroy(void *);\n"
        );
        table += &format!("    {{{prefix}_create, {prefix}_run, {prefix}_destroy}},\n");
        objects.push(path);
    }
    let header = format!("{declarations}static const model models[] = {{\n{table}}};\n");
    std::fs::write(folder.join("cases.h"), header).expect("the file is written");
    objects
}

fn check_batch(cases: &[Case]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let objects = write_batch(folder.path(), cases);
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/emulated.c");
    run_tool(
        Command::new(COMPILER)
            .args(["-O1", "-o"])
            .arg(path("driver"))
            .arg("-I")
            .arg(folder.path())
            .arg(driver)
            .args(objects)
            .arg("-lm"),
    );
    let mut input = Vec::new();
    cases.iter().for_each(|case| input_of(case, &mut input));
    std::fs::write(path("input"), input).expect("the file is written");
    run_tool(
        Command::new(EMULATOR).args(["-L", "/usr/aarch64-linux-gnu"]).arg(path("driver")).arg(path("input")).arg(path("output")),
    );
    let output = std::fs::read(path("output")).expect("the output is there");
    let mut rest = &*output;
    for case in cases {
        let expected = interpret::run(&case.compute, &case.inputs, &case.params, case.target.as_ref());
        let got = output_of(case, &mut rest);
        common::compare(&case.compute, &case.inputs, &case.params, &expected, &got);
    }
    assert!(rest.is_empty());
}

#[test]
fn aarch64_equals_the_interpreter() {
    if !has_tools() {
        return;
    }
    let count = std::env::var("KILN_RANDOM_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let cases: Vec<Case> = (0..count).map(|seed| random::case(seed, false)).filter(fits_driver).collect();
    cases.chunks(200).for_each(check_batch);
}
