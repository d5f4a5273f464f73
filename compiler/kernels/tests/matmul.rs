//! Products with run-time sizes: every choice of known and unknown dimensions, both storages of B, sizes around the panel.
mod common;

use common::{Call, Guarded, POISON, Rng, assert_close, ready, runnable};
use kiln_kernels::isa::Element;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::epilogue::{Epilogue, InputDesc};
use kiln_kernels::kernels::matmul::{MatmulDesc, MatmulDims, MatmulPackDesc, RowLen, panel_cols};
use kiln_kernels::target::TargetDesc;
use kiln_kernels::vexpr::{Binary, VExpr};

/// One product; `known` says for m, n, k whether the kernel knows it, `gap` widens the rows of A and C.
struct Case {
    size: [usize; 3],
    known: [bool; 3],
    gap: usize,
    transposed: bool,
    scaled: bool,
}

fn run(target: &TargetDesc, case: &Case) {
    let [m, n, k] = case.size;
    let dim = |i: usize| case.known[i].then_some(case.size[i]);
    let dims = MatmulDims { m: dim(0), n: dim(1), k: dim(2) };
    let row = |run_time: RowLen, len: usize| if case.gap == 0 { run_time } else { RowLen::Elements(len + case.gap) };
    let mut rng = Rng((m * 7 + n * 3 + k) as u64 + 1);
    let a = Guarded::from(&rng.floats((m - 1) * (k + case.gap) + k));
    let b = Guarded::from(&rng.floats(n * k));
    let c = Guarded::poison((m - 1) * (n + case.gap) + n);
    let scale = Guarded::from(&[0.5]);
    let width = panel_cols(target).unwrap();
    let panels = n.div_ceil(width) as u64;
    let packed = Guarded::poison(panels as usize * width * k);
    let b_row = if case.transposed { RowLen::Depth } else { RowLen::Cols };
    let pack = MatmulPackDesc { dims, transposed: case.transposed, row: b_row };
    let mut call = Call { cols: n as u64, depth: k as u64, rows: m as u64, end: panels, ..Call::default() };
    ready(&KernelDesc::MatmulPack(pack), target).call(&Call { input: b.addr(), output: packed.addr(), ..call });
    packed.check_guards("packed");
    let (lda, ldc) = (row(RowLen::Depth, k), row(RowLen::Cols, n));
    let epilogue = if case.scaled { scaled() } else { Epilogue::none() };
    let product = ready(&KernelDesc::Matmul(MatmulDesc { dims, lda, ldc, epilogue }), target);
    let inputs = [scale.addr()];
    (call.input, call.weights, call.output, call.inputs) = (a.addr(), packed.addr(), c.addr(), &inputs);
    for (begin, end) in [(0, panels / 2), (panels / 2, panels)] {
        product.call(&Call { begin, end, ..call });
    }
    let what = format!("{} {m}x{n}x{k} {:?} {}", target.isa.name(), case.known, case.transposed);
    c.check_guards(&what);
    for i in 0..m {
        let got = &c.slice()[i * (n + case.gap)..][..n];
        let element = |kk: usize, j: usize| b.slice()[if case.transposed { j * k + kk } else { kk * n + j }];
        let sum =
            |j: usize| (0..k).map(|kk| f64::from(a.slice()[i * (k + case.gap) + kk]) * f64::from(element(kk, j))).sum::<f64>();
        let want: Vec<f32> = (0..n).map(|j| (sum(j) * if case.scaled { 0.5 } else { 1.0 }) as f32).collect();
        assert_close(&what, got, &want, 1e-5, 1e-5);
        let gap = c.slice().get(i * (n + case.gap) + n..(i + 1) * (n + case.gap)).unwrap_or_default();
        assert!(gap.iter().all(|v| v.to_bits() == POISON), "{what}: wrote between rows");
    }
}

fn scaled() -> Epilogue {
    let mut e = VExpr::new();
    let (acc, scale) = (e.acc(), e.input(0));
    let y = e.binary(Binary::Mul, acc, scale);
    e.root(y);
    Epilogue { expr: e, inputs: vec![InputDesc::SCALAR], out: Element::F32 }
}

#[test]
fn known_and_unknown_sizes() {
    for target in &runnable() {
        for bits in 0..8 {
            let known = [bits & 1 == 0, bits & 2 == 0, bits & 4 == 0];
            for size in [[1, 1, 1], [5, 7, 3], [13, 64, 32], [9, 49, 17], [20, 33, 8], [7, 100, 5]] {
                for transposed in [false, true] {
                    run(target, &Case { size, known, gap: 0, transposed, scaled: false });
                    run(target, &Case { size, known, gap: 3, transposed, scaled: bits != 7 });
                }
            }
        }
    }
}

#[test]
fn widths_around_the_panel() {
    for target in &runnable() {
        for n in 1..=70 {
            for (m, k) in [(1, 4), (6, 9), (17, 2)] {
                run(target, &Case { size: [m, n, k], known: [false; 3], gap: 0, transposed: n % 2 == 0, scaled: false });
            }
        }
    }
}

#[test]
fn inconsistent_descriptors_are_refused() {
    let target = TargetDesc::new(kiln_kernels::target::Isa::Avx2);
    let dims = MatmulDims { m: None, n: None, k: None };
    let too_many = MatmulDesc { dims, lda: RowLen::Depth, ldc: RowLen::Cols, epilogue: scaled() };
    assert!(kiln_kernels::kernels::emit(&KernelDesc::Matmul(too_many), &target).is_err());
    let dims = MatmulDims { m: None, n: Some(0), k: None };
    let empty = MatmulDesc { dims, lda: RowLen::Depth, ldc: RowLen::Cols, epilogue: Epilogue::none() };
    assert!(kiln_kernels::kernels::emit(&KernelDesc::Matmul(empty), &target).is_err());
}
