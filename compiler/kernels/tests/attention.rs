//! Attention over a sequence whose length only the call knows, put together from its kernels: pack the keys, scores, masked softmax,
//! pack the values, weighted sum.
mod common;

use common::{Call, Guarded, Rng, assert_close, ready, runnable};
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::epilogue::Epilogue;
use kiln_kernels::kernels::matmul::{MatmulDesc, MatmulDims, MatmulPackDesc, RowLen, panel_cols};
use kiln_kernels::kernels::norm::{masked_scores, softmax_of};
use kiln_kernels::kernels::rows::{Dim, Operand};

/// Elements of one head, and of a row of all heads.
const HEAD: usize = 20;
const MODEL: usize = 3 * HEAD;

#[test]
fn one_head_of_any_length() {
    for target in &runnable() {
        let scores = MatmulDims { m: None, n: None, k: Some(HEAD) };
        let sums = MatmulDims { m: None, n: Some(HEAD), k: None };
        let (row, epilogue) = (RowLen::Elements(MODEL), Epilogue::none());
        let kernel = |d| ready(&d, target);
        let pack_k = kernel(KernelDesc::MatmulPack(MatmulPackDesc { dims: scores, transposed: true, row }));
        let pack_v = kernel(KernelDesc::MatmulPack(MatmulPackDesc { dims: sums, transposed: false, row }));
        let (lda, ldc) = (row, RowLen::Cols);
        let score = kernel(KernelDesc::Matmul(MatmulDesc { dims: scores, lda, ldc, epilogue: epilogue.clone() }));
        let (lda, ldc) = (RowLen::Depth, row);
        let sum = kernel(KernelDesc::Matmul(MatmulDesc { dims: sums, lda, ldc, epilogue }));
        let inputs = vec![Operand::DENSE, Operand::SCALAR, Operand::DENSE];
        let soft = kernel(KernelDesc::Rows(softmax_of(Dim::Argument, inputs, Operand::DENSE, masked_scores)));
        let width = panel_cols(target).unwrap();
        for length in [1, 2, 5, 16, 31, 50] {
            let mut rng = Rng(length as u64);
            let [q, k, v] = [0, 1, 2].map(|_| Guarded::from(&rng.floats(length * MODEL)));
            let causal: Vec<f32> =
                (0..length * length).map(|i| if i % length > i / length { f32::NEG_INFINITY } else { 0.0 }).collect();
            let (mask, scale) = (Guarded::from(&causal), Guarded::from(&[0.25]));
            let (s, out) = (Guarded::poison(length * length), Guarded::poison(length * MODEL));
            let panels = length.div_ceil(width);
            let keys = Guarded::poison(panels * width * HEAD);
            let values = Guarded::poison(HEAD.div_ceil(width) * width * length);
            let n = length as u64;
            let base = Call { rows: n, cols: n, depth: n, end: panels as u64, ..Call::default() };
            pack_k.call(&Call { input: k.addr(), output: keys.addr(), ..base });
            score.call(&Call { input: q.addr(), weights: keys.addr(), output: s.addr(), ..base });
            let (inputs, outputs) = ([s.addr(), scale.addr(), mask.addr()], [s.addr()]);
            soft.call(&Call { inputs: &inputs, outputs: &outputs, end: n, ..base });
            let end = HEAD.div_ceil(width) as u64;
            pack_v.call(&Call { input: v.addr(), output: values.addr(), end, ..base });
            sum.call(&Call { input: s.addr(), weights: values.addr(), output: out.addr(), end, ..base });
            for guarded in [&s, &out, &keys, &values] {
                guarded.check_guards("attention");
            }
            for i in 0..length {
                let at = |m: &Guarded, r: usize, c: usize| f64::from(m.slice()[r * MODEL + c]);
                let dot = |j: usize| (0..HEAD).map(|c| at(&q, i, c) * at(&k, j, c)).sum::<f64>() * 0.25;
                let e: Vec<f64> = (0..=i).map(|j| dot(j).exp()).collect();
                let total: f64 = e.iter().sum();
                let want: Vec<f32> =
                    (0..HEAD).map(|c| e.iter().enumerate().map(|(j, w)| w / total * at(&v, j, c)).sum::<f64>() as f32).collect();
                assert_close("attention", &out.slice()[i * MODEL..][..HEAD], &want, 1e-6, 1e-5);
            }
        }
    }
}
