//! Reductions over rows, column by column: means, maxima with NaN, expressions of several inputs, batches.
mod common;

use common::{Call, Guarded, Rng, assert_close, ready, runnable};
use kiln_kernels::isa::Element;
use kiln_kernels::isa::ReduceOp;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::columns::{BatchedInput, ColumnsDesc};
use kiln_kernels::kernels::epilogue::InputDesc;
use kiln_kernels::target::{Isa, TargetDesc};
use kiln_kernels::vexpr::{Binary, VExpr};

fn run(target: &TargetDesc, desc: &ColumnsDesc, batch: usize, rows: usize, inputs: &[&[f32]]) -> Vec<f32> {
    let r = ready(&KernelDesc::Columns(desc.clone()), target);
    let guarded: Vec<Guarded> = inputs.iter().map(|i| Guarded::from(i)).collect();
    let pointers: Vec<u64> = guarded.iter().map(Guarded::addr).collect();
    let out = Guarded::poison((batch - 1) * desc.out_stride + desc.cols);
    for unit in 0..batch as u64 {
        let (output, rows) = (out.addr(), rows as u64);
        r.call(&Call { inputs: &pointers, output, begin: unit, end: unit + 1, rows, ..Call::default() });
    }
    out.check_guards(&r.kernel.name);
    out.slice().to_vec()
}

#[test]
fn means() {
    for target in &runnable() {
        for cols in [1, 3, 4, 5, 8, 9, 16, 17, 31, 32, 40, 64, 65, 100] {
            for rows in [1, 2, 49, 100] {
                let x = Rng(cols as u64).floats(2 * rows * (cols + 1));
                for known in [Some(rows), None] {
                    let d = ColumnsDesc::mean(known, cols, cols + 1, rows * (cols + 1));
                    let got = run(target, &d, 2, rows, &[&x]);
                    let mean = |n: usize, c: usize| {
                        let sum: f64 = (0..rows).map(|r| f64::from(x[(n * rows + r) * (cols + 1) + c])).sum();
                        (sum / rows as f64) as f32
                    };
                    let want: Vec<f32> = (0..2).flat_map(|n| (0..cols).map(move |c| (n, c))).map(|(n, c)| mean(n, c)).collect();
                    assert_close("mean", &got, &want, 1e-6, 1e-6);
                }
            }
        }
    }
}

#[test]
fn weighted_sum_and_max_with_nan() {
    let mut e = VExpr::new();
    let (x, w) = (e.input(0), e.input(1));
    let y = e.binary(Binary::Mul, x, w);
    e.root(y);
    let dense = BatchedInput { rows: InputDesc::full(21), batch_stride: 0 };
    let per_row = BatchedInput { rows: InputDesc { row_stride: 1, splat: true, element: Element::F32 }, batch_stride: 0 };
    for target in &runnable() {
        let d = ColumnsDesc {
            rows: Some(9),
            cols: 21,
            inputs: vec![dense, per_row],
            out_stride: 21,
            expr: e.clone(),
            op: ReduceOp::Sum,
            finish: VExpr::identity(),
        };
        let (mut x, w) = (Rng(1).floats(189), Rng(2).floats(9));
        let got = run(target, &d, 1, 9, &[&x, &w]);
        let want: Vec<f32> = (0..21).map(|c| (0..9).map(|r| x[r * 21 + c] * w[r]).sum()).collect();
        assert_close("weighted", &got, &want, 1e-6, 1e-6);
        let mut id = VExpr::new();
        let root = id.input(0);
        id.root(root);
        let max = ColumnsDesc { expr: id, inputs: vec![dense], op: ReduceOp::Max, ..d };
        x[2 * 21 + 4] = f32::NAN;
        let got = run(target, &max, 1, 9, &[&x]);
        for (c, &g) in got.iter().enumerate() {
            let want = (0..9).map(|r| x[r * 21 + c]).fold(f32::NEG_INFINITY, f32::max);
            assert!(if c == 4 { g.is_nan() } else { g == want }, "column {c}: {g}");
        }
    }
}

#[test]
fn inconsistent_descriptors_are_refused() {
    let d = ColumnsDesc { cols: 0, ..ColumnsDesc::mean(None, 4, 4, 4) };
    assert!(kiln_kernels::kernels::emit(&KernelDesc::Columns(d), &TargetDesc::new(Isa::Avx2)).is_err());
}
