//! Strict arithmetic, bit by bit: every step of a definition rounded by itself, in an order that is the same on every ISA.
mod common;

use common::{Call, Guarded, Rng, ready, runnable};
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::epilogue::Epilogue;
use kiln_kernels::kernels::gemm::GemmDesc;
use kiln_kernels::kernels::norm::{self, RowReduce};
use kiln_kernels::kernels::numbers::Numbers;
use kiln_kernels::kernels::rows::{Dim, Operand, RowsDesc};
use kiln_kernels::packing::{Strides, pack_b};
use kiln_kernels::target::TargetDesc;
use kiln_kernels::vexpr::{Unary, VExpr};

fn strict() -> Vec<TargetDesc> {
    runnable().into_iter().map(|target| TargetDesc { strict: true, ..target }).collect()
}

/// The kernel's only output, of `len` elements, for one input and so many rows.
fn run_rows(target: &TargetDesc, desc: &RowsDesc, rows: usize, input: &[f32], len: usize) -> Vec<f32> {
    let r = ready(&KernelDesc::Rows(desc.clone()), target);
    let (input, out) = (Guarded::from(input), Guarded::poison(len));
    let cols = (input.slice().len() / rows) as u64;
    r.call(&Call { inputs: &[input.addr()], outputs: &[out.addr()], end: rows as u64, cols, ..Call::default() });
    out.check_guards(&r.kernel.name);
    out.slice().to_vec()
}

/// Checks a function: rounded correctly but for one value in so many, which is next to that.
fn check_function(op: Unary, xs: &[f32], one_in: usize, want: impl Fn(f64) -> f64) {
    let mut e = VExpr::new();
    let x = e.input(0);
    let y = e.unary(op, x);
    e.root(y);
    let desc = RowsDesc::map(Dim::Argument, vec![Operand::DENSE], vec![Operand::DENSE], e);
    for target in &strict() {
        let got = run_rows(target, &desc, 1, xs, xs.len());
        let mut missed = 0;
        for (&x, &g) in xs.iter().zip(&got) {
            let w = want(f64::from(x)) as f32;
            let off = (i64::from(g.to_bits()) - i64::from(w.to_bits())).abs();
            assert!(off <= 1 || g.is_nan() && w.is_nan(), "{} {op:?}({x:e}) = {g:e}, want {w:e}", target.isa.name());
            missed += usize::from(off == 1);
        }
        assert!(missed * one_in <= xs.len(), "{}: {op:?} misses {missed} of {}", target.isa.name(), xs.len());
    }
}

#[test]
fn functions_are_rounded_correctly() {
    let range = |low: f32, high: f32, n: usize| (0..=n).map(move |i| low + (high - low) * i as f32 / n as f32);
    let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-40, -1e-40, 1e-8, 30.0, -30.0];
    let tanh: Vec<f32> = range(-10.0, 10.0, 60_000).chain(range(-0.01, 0.01, 10_000)).chain(special).collect();
    check_function(Unary::Tanh, &tanh, 1000, f64::tanh);
    let exp: Vec<f32> = range(-87.0, 89.0, 60_000).chain(range(-0.01, 0.01, 10_000)).chain(special).collect();
    check_function(Unary::Exp, &exp, 1000, f64::exp);
    // Denormal results are rounded twice.
    let small: Vec<f32> = range(-105.0, -87.0, 10_000).collect();
    check_function(Unary::Exp, &small, 20, f64::exp);
}

/// PyTorch's sum of a row: four vectors of eight lanes side by side, four levels of sums.
fn reference_sum(row: &[f32]) -> f32 {
    let vectors = row.len() / 8;
    let rows = vectors / 4;
    let power = if rows < 2 { 4 } else { ((rows.next_power_of_two().ilog2() / 4).max(4)) as usize };
    let mut levels = [[0f32; 32]; 4];
    let mut i = 0;
    let add = |sums: &mut [f32; 32], i: usize| (0..32).for_each(|k| sums[k] += row[32 * i + k]);
    while i + (1 << power) <= rows {
        for _ in 0..1 << power {
            add(&mut levels[0], i);
            i += 1;
        }
        for j in 1..4 {
            let below = std::mem::replace(&mut levels[j - 1], [0.0; 32]);
            (0..32).for_each(|k| levels[j][k] += below[k]);
            if i & (((1 << power) - 1) << (j * power)) != 0 {
                break;
            }
        }
    }
    while i < rows {
        add(&mut levels[0], i);
        i += 1;
    }
    let mut sums = levels[0];
    levels[1..].iter().for_each(|level| (0..32).for_each(|k| sums[k] += level[k]));
    (rows * 32..vectors * 8).for_each(|i| sums[i % 8] += row[i]);
    (8..32).for_each(|k| sums[k % 8] += sums[k]);
    let rest = row[vectors * 8..].iter().fold(0.0, |sum, &x| sum + x);
    sums[..8].iter().fold(rest, |sum, &x| sum + x)
}

#[test]
fn sums_of_columns_have_one_order() {
    let lengths = [1, 3, 7, 8, 9, 31, 32, 33, 48, 63, 100, 511, 512, 515, 1023, 1024, 1100, 8191, 8192, 9000, 140_000, 1 << 21];
    for target in &strict() {
        for columns in lengths {
            let rows = if columns < 2000 { 3 } else { 1 };
            let input = Rng(77 + columns as u64).floats(rows * columns);
            let desc = norm::reduce_rows(Dim::Known(columns), Operand::DENSE, Operand::PER_ROW, RowReduce::Sum);
            let got = run_rows(target, &desc, rows, &input, rows);
            for (row, got) in input.chunks(columns).zip(got) {
                let want = reference_sum(row);
                assert_eq!(got.to_bits(), want.to_bits(), "{}: {columns} columns: {got:e}, want {want:e}", target.isa.name());
            }
        }
    }
}

#[test]
fn a_softmax_gives_the_same_bits_everywhere() {
    let (rows, columns) = (5, 77);
    let input = Rng(5).floats(rows * columns);
    let desc = norm::softmax(Dim::Known(columns), Operand::DENSE, Operand::DENSE);
    let results: Vec<Vec<u32>> = strict()
        .iter()
        .map(|target| run_rows(target, &desc, rows, &input, input.len()).into_iter().map(f32::to_bits).collect())
        .collect();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn products_are_rounded_before_they_are_added() {
    for target in &strict() {
        for (m, n, k) in [(1, 1, 9), (1, 16, 40), (2, 16, 16), (3, 100, 33), (7, 37, 64), (20, 64, 300), (64, 5, 1000)] {
            let mut rng = Rng(m as u64 * 31 + n as u64);
            let (a, b) = (Guarded::from(&rng.floats(m * k)), rng.floats(k * n));
            let desc =
                GemmDesc { numbers: Numbers::F32, m: Some(m), n, k, lda: k, ldc: n, panel: None, epilogue: Epilogue::none() };
            let packed = pack_b(&desc.plan(target).unwrap(), k, &b, Strides { k: n, n: 1 });
            let c = Guarded::poison(m * n);
            let r = ready(&KernelDesc::Gemm(desc), target);
            let end = r.kernel.units.count(m) as u64;
            r.call(&Call {
                input: a.addr(),
                weights: packed.as_ptr() as u64,
                output: c.addr(),
                end,
                rows: m as u64,
                ..Call::default()
            });
            for (i, got) in c.slice().iter().enumerate() {
                let terms = (0..k).map(|t| a.slice()[i / n * k + t] * b[t * n + i % n]);
                let want = terms.fold(0f32, |sum, term| sum + term);
                assert_eq!(got.to_bits(), want.to_bits(), "{} {m}x{n}x{k}: {i}: {got:e}, {want:e}", target.isa.name());
            }
        }
    }
}
