//! Every operation of the vector layer, on every target that can be run here, against plain scalar code.
//!
//! Each test emits a tiny function (argument 0: inputs, 1: outputs, then integers), runs it and compares bits. Operands are tried in
//! every arrangement of shared registers that the contract allows.

mod bytes;
#[path = "../common/mod.rs"]
mod common;
mod integers;
mod memory;
mod programs;
mod values;

use common::{Code, runnable};
use kiln_kernels::isa::{Gpr, V, VectorIsa};
use kiln_kernels::target::TargetDesc;

const IN: Gpr = Gpr(0);
const OUT: Gpr = Gpr(1);

type Holds<T> = fn(T, T) -> bool;

fn build(target: &TargetDesc, args: usize, emit: impl FnOnce(&mut dyn VectorIsa)) -> Code {
    let mut isa = target.assembler().expect("a target of this machine");
    emit(isa.as_mut());
    Code::new(&isa.finish(args).expect("encodable"), target)
}

/// Runs a function that reads `input` and writes `outputs` f32.
fn run(target: &TargetDesc, input: &[f32], outputs: usize, emit: impl FnOnce(&mut dyn VectorIsa)) -> Vec<f32> {
    let (input, mut output) = (input.to_vec(), vec![0f32; outputs]);
    build(target, 2, emit).call(&[input.as_ptr() as u64, output.as_mut_ptr() as u64]);
    output
}
#[track_caller]
fn same(what: &str, got: f32, want: f32) {
    let equal = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
    assert!(equal, "{what}: got {got:e} ({:#x}), want {want:e} ({:#x})", got.to_bits(), want.to_bits());
}

/// The last registers of the target come up as well as the first.
fn register_sets(target: &TargetDesc) -> [[V; 4]; 2] {
    let last = target.assembler().expect("a target").info().vregs as u8 - 1;
    [[V(0), V(1), V(2), V(3)], [V(last), V(last - 3), V(last - 1), V(last - 2)]]
}

#[test]
fn mistakes_are_errors() {
    for target in &runnable() {
        let mut isa = target.assembler().expect("a target");
        let never = isa.label();
        isa.jump(never);
        assert!(isa.finish(0).is_err(), "{}: a label that is never bound", target.isa.name());
    }
}
