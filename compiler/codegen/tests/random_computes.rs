//! Random computations: compiled code against the interpreter, bit for bit.

mod common;
#[path = "common/random.rs"]
mod random;

use common::extent;
use kiln_loops::compute::{Compute, Extent, Input, Output};
use kiln_loops::{ExprData, Kind, ReduceOp, Scalar};
use kiln_support::tensor::Number;
use kiln_support::{DType, TensorData};

#[test]
fn compiled_code_equals_the_interpreter() {
    let count = std::env::var("KILN_RANDOM_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    for seed in 0..count {
        let case = random::case(seed, true);
        eprintln!("seed {seed}");
        common::check(&case.compute, &case.inputs, &case.params, case.target.as_ref());
    }
}

/// Sums whose elements reach every level of partial sums, over two axes of sizes known at run time.
#[test]
fn long_sums_equal_the_interpreter() {
    for (rows, columns) in [(1, 1), (3, 5), (2, 16), (7, 9), (16, 32), (3, 171), (11, 94), (8, 1030), (300, 333), (1400, 1500)] {
        let mut compute = Compute { name: "sum".into(), params: vec![Kind::Int, Kind::Int], ..Compute::default() };
        compute.axes = vec![Extent::Param(0), Extent::Param(1)];
        compute.exprs.axis_extents = vec![None, None];
        compute.exprs.input_dtypes = vec![DType::F32];
        compute.inputs = vec![Input { dtype: DType::F32, dims: compute.axes.clone() }];
        let index = [0, 1].map(|axis| compute.exprs.intern(ExprData::Axis(axis))).to_vec();
        let body = compute.exprs.intern(ExprData::Load { input: 0, index });
        let value = compute.exprs.intern(ExprData::Reduce { op: ReduceOp::CascadeSum, axes: vec![0, 1], body });
        compute.outputs = vec![Output { dtype: DType::F32, value }];
        let numbers = (0..rows * columns).map(|i| Number::Float((7 * i % 1001) as f64 / 1001.0 - 0.3));
        let input = TensorData::from_numbers(DType::F32, &[rows, columns], numbers);
        common::check(&compute, &[input], &[Scalar::Int(rows), Scalar::Int(columns)], None);
    }
}
