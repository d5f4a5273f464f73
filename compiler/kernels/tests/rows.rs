//! Row kernels against f64 references: every math function over its range, maps with all kinds of operands, reductions,
//! softmax and normalisations, row lengths around the vector width, known and run-time column counts.
mod common;

use common::{Call, Guarded, POISON, Rng, assert_close, ready, runnable};
use kiln_kernels::isa::CmpOp;
use kiln_kernels::isa::Element;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::norm::{self, RowReduce};
use kiln_kernels::kernels::rows::{Dim, Operand, RowsDesc, Stride};
use kiln_kernels::target::TargetDesc;
use kiln_kernels::vexpr::{Binary, Unary, VExpr};

/// Runs a kernel over `rows` rows and gives output 0.
fn run(target: &TargetDesc, desc: &RowsDesc, rows: usize, cols: usize, inputs: &[&[f32]], out_len: usize) -> Vec<f32> {
    let r = ready(&KernelDesc::Rows(desc.clone()), target);
    let guarded: Vec<Guarded> = inputs.iter().map(|i| Guarded::from(i)).collect();
    let out = Guarded::poison(out_len);
    let ins: Vec<u64> = guarded.iter().map(Guarded::addr).collect();
    let middle = rows as u64 / 2;
    for (begin, end) in [(0, middle), (middle, rows as u64)] {
        r.call(&Call { inputs: &ins, outputs: &[out.addr()], begin, end, cols: cols as u64, ..Call::default() });
    }
    out.check_guards(&r.kernel.name);
    out.slice().to_vec()
}

fn unary_map(op: Unary, cols: Dim) -> RowsDesc {
    let mut e = VExpr::new();
    let x = e.input(0);
    let y = e.unary(op, x);
    e.root(y);
    RowsDesc::map(cols, vec![Operand::DENSE], vec![Operand::DENSE], e)
}

/// Applies a function to `xs` and compares with `want` computed in f64, or both NaN, or equal.
fn check_unary(op: Unary, xs: &[f32], want: impl Fn(f64) -> f64, abs: f64, rel: f64) {
    for target in &runnable() {
        let got = run(target, &unary_map(op, Dim::Argument), 1, xs.len(), &[xs], xs.len());
        for (&x, &g) in xs.iter().zip(&got) {
            let w = want(f64::from(x));
            let error = (f64::from(g) - w).abs();
            let same = g.is_nan() && w.is_nan() || g == w as f32 || error <= abs + rel * w.abs();
            assert!(same, "{} {op:?}({x:e}) = {g:e}, want {w:e}, relative {:e}", target.isa.name(), error / w.abs());
        }
    }
}

fn range(low: f32, high: f32, n: usize) -> Vec<f32> {
    (0..=n).map(|i| low + (high - low) * i as f32 / n as f32).collect()
}

const SPECIAL: [f32; 10] = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-40, -1e-40, 1.0, -1.0, 1e30];

fn with_special(mut v: Vec<f32>) -> Vec<f32> {
    v.extend(SPECIAL);
    v
}

#[test]
fn exponentials() {
    check_unary(Unary::Exp, &range(-86.0, 89.0, 70_000), f64::exp, 0.0, 1.5e-7);
    check_unary(Unary::Exp, &range(-120.0, -86.0, 5_000), f64::exp, 2.4e-38, 1.5e-7);
    check_unary(Unary::Exp, &SPECIAL, f64::exp, 0.0, 1e-7);
    check_unary(Unary::Expm1, &range(-90.0, 80.0, 50_000), f64::exp_m1, 0.0, 4e-7);
    check_unary(Unary::Expm1, &range(-0.01, 0.01, 10_000), f64::exp_m1, 0.0, 4e-7);
    check_unary(Unary::Expm1, &SPECIAL, f64::exp_m1, 0.0, 1e-6);
}

#[test]
fn logarithms() {
    let wide: Vec<f32> = (0..60_000).map(|i| f32::from_bits(i * 35_000 + 1)).collect();
    check_unary(Unary::Log, &wide, f64::ln, 1e-8, 1.5e-7);
    check_unary(Unary::Log, &range(0.5, 2.0, 50_000), f64::ln, 1e-9, 2e-7);
    check_unary(Unary::Log, &SPECIAL, f64::ln, 0.0, 1e-7);
    check_unary(Unary::Log1p, &range(-0.99, 4.0, 50_000), f64::ln_1p, 0.0, 4e-7);
    check_unary(Unary::Log1p, &range(-1e-4, 1e-4, 5_000), f64::ln_1p, 0.0, 4e-7);
    check_unary(Unary::Log1p, &SPECIAL, f64::ln_1p, 0.0, 4e-7);
}

#[test]
fn sigmoidal() {
    let xs = with_special(range(-20.0, 20.0, 60_000));
    check_unary(Unary::Tanh, &xs, f64::tanh, 0.0, 5e-7);
    check_unary(Unary::Tanh, &range(-0.01, 0.01, 10_000), f64::tanh, 0.0, 5e-7);
    check_unary(Unary::Erf, &xs, libm::erf, 0.0, 5e-7);
    check_unary(Unary::Erf, &range(-0.01, 0.01, 10_000), libm::erf, 0.0, 5e-7);
    check_unary(Unary::Sigmoid, &xs, |x| 1.0 / (1.0 + (-x).exp()), 0.0, 4e-7);
    check_unary(Unary::Silu, &range(-60.0, 60.0, 50_000), |x| x / (1.0 + (-x).exp()), 0.0, 5e-7);
    check_unary(Unary::Gelu, &range(-8.0, 8.0, 50_000), |x| 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt())), 1e-6, 6e-7);
    let gelu_tanh = |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh());
    check_unary(Unary::GeluTanh, &range(-8.0, 8.0, 50_000), gelu_tanh, 4e-7, 6e-7);
    let softplus = |x: f64| if x > 20.0 { x } else { x.exp().ln_1p() };
    check_unary(Unary::Softplus, &range(-50.0, 50.0, 20_000), softplus, 0.0, 1e-6);
}

#[test]
fn piecewise_and_rounding() {
    let xs = with_special(range(-9.0, 9.0, 997));
    let nan_or = |x: f64, y: f64| if x.is_nan() { x } else { y };
    check_unary(Unary::Relu, &xs, |x| nan_or(x, x.max(0.0)), 0.0, 0.0);
    check_unary(Unary::Relu6, &xs, |x| nan_or(x, x.clamp(0.0, 6.0)), 0.0, 0.0);
    let hard = |x: f64| nan_or(x, (x + 3.0).clamp(0.0, 6.0) / 6.0);
    check_unary(Unary::HardSigmoid, &xs, hard, 1e-7, 2e-7);
    check_unary(Unary::HardSwish, &range(-9.0, 9.0, 997), |x| x * hard(x), 4e-7, 3e-7);
    check_unary(Unary::Floor, &xs, f64::floor, 0.0, 0.0);
    check_unary(Unary::Ceil, &xs, f64::ceil, 0.0, 0.0);
    check_unary(Unary::Trunc, &xs, f64::trunc, 0.0, 0.0);
    check_unary(Unary::Round, &[0.5, 1.5, 2.5, -0.5, -1.5, 3.49, f32::NAN], f64::round_ties_even, 0.0, 0.0);
    check_unary(Unary::Abs, &xs, f64::abs, 0.0, 0.0);
    check_unary(Unary::Neg, &xs, |x| -x, 0.0, 0.0);
    check_unary(Unary::Square, &range(-9.0, 9.0, 99), |x| x * x, 0.0, 1e-7);
    check_unary(Unary::Sqrt, &range(0.0, 90.0, 999), f64::sqrt, 0.0, 1e-7);
    check_unary(Unary::Rsqrt, &range(0.01, 90.0, 999), |x| 1.0 / x.sqrt(), 0.0, 2e-7);
    check_unary(Unary::Recip, &range(0.01, 90.0, 999), |x| 1.0 / x, 0.0, 1e-7);
}

#[test]
fn maps_with_every_kind_of_operand() {
    // out = select(a > b, a * row, fma(b, column, scalar))
    let mut e = VExpr::new();
    let (a, b, row, column, scalar) = (e.input(0), e.input(1), e.input(2), e.input(3), e.input(4));
    let greater = e.cmp(CmpOp::Gt, a, b);
    let left = e.binary(Binary::Mul, a, row);
    let right = e.fma(b, column, scalar);
    let out = e.select(greater, left, right);
    e.root(out);
    let strided = Operand { stride: Stride::Elements(70), splat: false, element: Element::F32 };
    let operands = vec![Operand::DENSE, strided, Operand::PER_ROW, Operand::PER_COLUMN, Operand::SCALAR];
    for target in &runnable() {
        for cols in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 67] {
            for dim in [Dim::Known(cols), Dim::Argument] {
                let rows = 5;
                let mut rng = Rng(cols as u64 + 1);
                let (a, b) = (rng.floats(rows * cols), rng.floats(4 * 70 + cols));
                let (row, column, scalar) = (rng.floats(rows), rng.floats(cols), rng.floats(1));
                let out = Operand { stride: Stride::Elements(80), splat: false, element: Element::F32 };
                let desc = RowsDesc::map(dim, operands.clone(), vec![out], e.clone());
                let got = run(target, &desc, rows, cols, &[&a, &b, &row, &column, &scalar], 4 * 80 + cols);
                for i in 0..rows {
                    for j in 0..cols {
                        let (x, y) = (a[i * cols + j], b[i * 70 + j]);
                        let want = if x > y { x * row[i] } else { y.mul_add(column[j], scalar[0]) };
                        assert_eq!(got[i * 80 + j], want, "{cols} ({i}, {j})");
                    }
                    let gap = &got[(i * 80 + cols).min(got.len())..((i + 1) * 80).min(got.len())];
                    assert!(gap.iter().all(|v| v.to_bits() == POISON), "gap of row {i}");
                }
            }
        }
    }
}

#[test]
fn many_operands_and_results() {
    let n = 14u16;
    let mut e = VExpr::new();
    let mut sum = e.input(0);
    for k in 1..n {
        let x = e.input(k);
        sum = e.binary(Binary::Add, sum, x);
    }
    let negative = e.unary(Unary::Neg, sum);
    e.root(sum);
    e.root(negative);
    for target in &runnable() {
        let desc = RowsDesc::map(Dim::Argument, vec![Operand::DENSE; n as usize], vec![Operand::DENSE; 2], e.clone());
        let r = ready(&KernelDesc::Rows(desc), target);
        let data: Vec<Vec<f32>> = (0..n).map(|k| vec![f32::from(k); 37]).collect();
        let ins: Vec<u64> = data.iter().map(|d| d.as_ptr() as u64).collect();
        let outs = [Guarded::poison(37), Guarded::poison(37)];
        let pointers = [outs[0].addr(), outs[1].addr()];
        r.call(&Call { inputs: &ins, outputs: &pointers, end: 1, cols: 37, ..Call::default() });
        assert_eq!(outs[0].slice(), [91.0; 37]);
        assert_eq!(outs[1].slice(), [-91.0; 37]);
        outs.iter().for_each(|o| o.check_guards("many"));
    }
}

#[test]
fn max_and_min_propagate_nan_of_both_sides() {
    let mut e = VExpr::new();
    let (a, b) = (e.input(0), e.input(1));
    let max = e.binary(Binary::Max, a, b);
    let min = e.binary(Binary::Min, a, b);
    let both = e.binary(Binary::Sub, max, min);
    e.root(both);
    for target in &runnable() {
        let desc = RowsDesc::map(Dim::Known(3), vec![Operand::DENSE; 2], vec![Operand::DENSE], e.clone());
        let got = run(target, &desc, 1, 3, &[&[f32::NAN, 1.0, 5.0], &[1.0, f32::NAN, 2.0]], 3);
        assert!(got[0].is_nan() && got[1].is_nan() && got[2] == 3.0, "{got:?}");
    }
}

const LENGTHS: [usize; 14] = [1, 2, 3, 7, 8, 9, 15, 17, 31, 32, 63, 65, 100, 1023];

#[test]
fn reductions() {
    for target in &runnable() {
        for cols in LENGTHS {
            let x = Rng(cols as u64).floats(3 * cols);
            for dim in [Dim::Known(cols), Dim::Argument] {
                let reduce =
                    |kind| run(target, &norm::reduce_rows(dim, Operand::DENSE, Operand::PER_ROW, kind), 3, cols, &[&x], 3);
                let each = |f: &dyn Fn(&[f32]) -> f64| x.chunks(cols).map(|r| f(r) as f32).collect::<Vec<_>>();
                let sum = |r: &[f32]| r.iter().map(|&v| f64::from(v)).sum::<f64>();
                assert_close("sum", &reduce(RowReduce::Sum), &each(&sum), 1e-5, 1e-5);
                assert_close("mean", &reduce(RowReduce::Mean), &each(&|r| sum(r) / cols as f64), 1e-6, 1e-5);
                let squares = |r: &[f32]| r.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
                assert_close("squares", &reduce(RowReduce::SumSquares), &each(&squares), 1e-5, 1e-5);
                let max = |r: &[f32]| f64::from(r.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                assert_close("max", &reduce(RowReduce::Max), &each(&max), 0.0, 0.0);
                let min = |r: &[f32]| f64::from(r.iter().copied().fold(f32::INFINITY, f32::min));
                assert_close("min", &reduce(RowReduce::Min), &each(&min), 0.0, 0.0);
            }
        }
    }
}

#[test]
fn max_of_a_row_with_nan_is_nan_wherever_it_is() {
    for target in &runnable() {
        for at in 0..70 {
            let mut x = vec![1.0; 70];
            x[at] = f32::NAN;
            let desc = norm::reduce_rows(Dim::Known(70), Operand::DENSE, Operand::PER_ROW, RowReduce::Max);
            assert!(run(target, &desc, 1, 70, &[&x], 1)[0].is_nan(), "NaN at {at} lost");
        }
    }
}

#[test]
fn softmax_rows() {
    for target in &runnable() {
        for cols in LENGTHS {
            let x: Vec<f32> = Rng(9).floats(4 * cols).iter().map(|v| v * 20.0).collect();
            let exact = |row: &[f32]| {
                let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let e: Vec<f64> = row.iter().map(|&v| f64::from(v - max).exp()).collect();
                let sum: f64 = e.iter().sum();
                (e.iter().map(|v| (v / sum) as f32).collect::<Vec<_>>(), sum, max)
            };
            for dim in [Dim::Known(cols), Dim::Argument] {
                let got = run(target, &norm::softmax(dim, Operand::DENSE, Operand::DENSE), 4, cols, &[&x], 4 * cols);
                let want: Vec<f32> = x.chunks(cols).flat_map(|r| exact(r).0).collect();
                assert_close("softmax", &got, &want, 1e-7, 1e-6);
                let got = run(target, &norm::log_softmax(dim, Operand::DENSE, Operand::DENSE), 4, cols, &[&x], 4 * cols);
                let log = |r: &[f32]| {
                    let (_, sum, max) = exact(r);
                    r.iter().map(|v| (f64::from(v - max) - sum.ln()) as f32).collect::<Vec<_>>()
                };
                let want: Vec<f32> = x.chunks(cols).flat_map(log).collect();
                assert_close("log_softmax", &got, &want, 2e-6, 1e-6);
            }
        }
    }
}

#[test]
fn softmax_of_masked_and_nan_rows() {
    let inf = f32::NEG_INFINITY;
    for target in &runnable() {
        let desc = norm::softmax(Dim::Known(3), Operand::DENSE, Operand::DENSE);
        let got = run(target, &desc, 3, 3, &[&[inf, 0.0, 0.0, inf, inf, inf, 1.0, f32::NAN, 0.0]], 9);
        assert_eq!(got[..3], [0.0, 0.5, 0.5]);
        assert!(got[3..].iter().all(|v| v.is_nan()), "{got:?}");
    }
}

#[test]
fn masked_softmax() {
    let inf = f32::NEG_INFINITY;
    let inputs = vec![Operand::DENSE, Operand::SCALAR, Operand::PER_COLUMN];
    for target in &runnable() {
        let desc = norm::softmax_of(Dim::Argument, inputs.clone(), Operand::DENSE, norm::masked_scores);
        let x = Rng(4).floats(2 * 19);
        let mask: Vec<f32> = (0..19).map(|j| if usize::is_multiple_of(j, 3) { inf } else { 0.0 }).collect();
        let got = run(target, &desc, 2, 19, &[&x, &[0.125], &mask], 38);
        let e = |i: usize| if (i % 19).is_multiple_of(3) { 0.0 } else { f64::from(x[i] * 0.125).exp() };
        let sum = |i: usize| (i / 19 * 19..i / 19 * 19 + 19).map(e).sum::<f64>();
        let want: Vec<f32> = (0..38).map(|i| (e(i) / sum(i)) as f32).collect();
        assert_close("masked softmax", &got, &want, 1e-7, 1e-6);
    }
}

#[test]
fn norms() {
    for target in &runnable() {
        for cols in LENGTHS {
            let mut rng = Rng(5);
            let (x, w, b) = (rng.floats(3 * cols), rng.floats(cols), rng.floats(cols));
            for (weight, bias) in [(false, false), (true, false), (true, true)] {
                let mut inputs: Vec<&[f32]> = vec![&x];
                inputs.extend([&w[..], &b[..]].into_iter().take(usize::from(weight) + usize::from(bias)));
                let desc = norm::layer_norm(Dim::Argument, Operand::DENSE, Operand::DENSE, 1e-5, weight, bias);
                let got = run(target, &desc, 3, cols, &inputs, 3 * cols);
                let mut want = Vec::new();
                for row in x.chunks(cols) {
                    let n = cols as f64;
                    let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
                    let var = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
                    for j in 0..cols {
                        let y = (f64::from(row[j]) - mean) / (var + 1e-5).sqrt();
                        let y = if weight { y * f64::from(w[j]) } else { y };
                        want.push((if bias { y + f64::from(b[j]) } else { y }) as f32);
                    }
                }
                // A short row divides by almost nothing.
                assert_close("layer_norm", &got, &want, 3e-5, 1e-5);
            }
            let desc = norm::rms_norm(Dim::Known(cols), Operand::DENSE, Operand::DENSE, 1e-6, true);
            let got = run(target, &desc, 3, cols, &[&x, &w], 3 * cols);
            let rms = |r: &[f32]| (r.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / cols as f64 + 1e-6).sqrt();
            let want: Vec<f32> = x
                .chunks(cols)
                .flat_map(|r| (0..cols).map(|j| (f64::from(r[j]) / rms(r)) as f32 * w[j]).collect::<Vec<_>>())
                .collect();
            assert_close("rms_norm", &got, &want, 1e-6, 1e-5);
        }
    }
}

#[test]
fn inconsistent_descriptors_are_refused() {
    let target = TargetDesc::new(kiln_kernels::target::Isa::Avx2);
    let refused = |d: RowsDesc| assert!(kiln_kernels::kernels::emit(&KernelDesc::Rows(d), &target).is_err());
    let good = unary_map(Unary::Exp, Dim::Known(4));
    refused(RowsDesc { outputs: vec![], ..good.clone() });
    refused(RowsDesc { cols: Dim::Known(0), ..good.clone() });
    refused(RowsDesc { passes: vec![], ..good });
    let mut e = VExpr::new();
    let r = e.row(0);
    e.root(r);
    refused(RowsDesc::map(Dim::Known(4), vec![], vec![Operand::DENSE], e));
}
