//! Matrix products against a plain triple loop: sizes around the tiles, row strides, ranges of work, epilogues.
mod common;

use common::{Call, Guarded, POISON, Rng, assert_close, ready, runnable};
use kiln_kernels::isa::Element;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::epilogue::{Epilogue, InputDesc};
use kiln_kernels::kernels::gemm::GemmDesc;
use kiln_kernels::kernels::numbers::{INT4_GROUP, Numbers};
use kiln_kernels::packing::{Strides, pack_b};
use kiln_kernels::target::TargetDesc;
use kiln_kernels::vexpr::{Binary, Unary, VExpr};

fn reference(d: &GemmDesc, m: usize, a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut c = vec![0f32; m * d.n];
    for i in 0..m {
        for j in 0..d.n {
            let sum: f64 = (0..d.k).map(|k| f64::from(a[i * d.lda + k]) * f64::from(b[k * d.n + j])).sum();
            c[i * d.n + j] = sum as f32;
        }
    }
    c
}

fn bias_relu() -> VExpr {
    let mut e = VExpr::new();
    let (acc, bias) = (e.acc(), e.input(0));
    let sum = e.binary(Binary::Add, acc, bias);
    let relu = e.unary(Unary::Relu, sum);
    e.root(relu);
    e
}

struct Case {
    desc: GemmDesc,
    m: usize,
    /// Calls that share the work.
    parts: u64,
    dynamic: bool,
}

/// B, and as the kernel reads it.
fn weights(d: &GemmDesc, target: &TargetDesc, rng: &mut Rng) -> (Vec<f32>, Vec<u8>) {
    let size = d.k * d.n;
    let at = |k: usize, n: usize| k * d.n + n;
    match d.numbers {
        Numbers::F32 => {
            let b = rng.floats(size);
            let packed = pack_b(&d.plan(target).unwrap(), d.k, &b, Strides { k: d.n, n: 1 });
            (b, packed.iter().flat_map(|w| w.to_le_bytes()).collect())
        }
        Numbers::F16 => {
            // Exponents around that of 1.
            let bits: Vec<u16> =
                (0..size).map(|_| (rng.below(2) << 15 | (12 + rng.below(4)) << 10 | rng.below(1024)) as u16).collect();
            let value = |b: u16| {
                let size = (1.0 + f32::from(b & 1023) / 1024.0) * 2f32.powi(i32::from(b >> 10 & 31) - 15);
                if b >> 15 == 1 { -size } else { size }
            };
            (bits.iter().map(|&b| value(b)).collect(), d.pack_f16(target, |k, n| bits[at(k, n)]).unwrap())
        }
        Numbers::Int4 => {
            let bits: Vec<u8> = (0..size).map(|_| rng.below(16) as u8).collect();
            let scales = rng.floats(d.k.div_ceil(INT4_GROUP) * d.n);
            let b = (0..size).map(|i| (f32::from(bits[i]) - 8.0) * scales[i / d.n / INT4_GROUP * d.n + i % d.n]);
            (b.collect(), d.pack_int4(target, |k, n| bits[at(k, n)], |g, n| scales[at(g, n)]).unwrap())
        }
        Numbers::Int8 { .. } => unreachable!("products of bytes are tested as integers"),
    }
}

fn run(target: &TargetDesc, case: &Case, inputs: &[&[f32]]) -> (Vec<f32>, Vec<f32>) {
    let mut d = case.desc.clone();
    d.m = (!case.dynamic).then_some(case.m);
    let mut rng = Rng(0x1234_5678_9abc + case.m as u64 * 31 + d.n as u64);
    let a = Guarded::from(&rng.floats((case.m - 1) * d.lda + d.k));
    let (b, packed) = weights(&d, target, &mut rng);
    let c = Guarded::poison((case.m - 1) * d.ldc + d.n);
    let r = ready(&KernelDesc::Gemm(d.clone()), target);
    let units = r.kernel.units.count(case.m) as u64;
    let inputs: Vec<Vec<f32>> = inputs.iter().map(|i| i.to_vec()).collect();
    let pointers: Vec<u64> = inputs.iter().map(|i| i.as_ptr() as u64).collect();
    for p in 0..case.parts {
        r.call(&Call {
            input: a.addr(),
            weights: packed.as_ptr() as u64,
            output: c.addr(),
            inputs: &pointers,
            begin: units * p / case.parts,
            end: units * (p + 1) / case.parts,
            rows: case.m as u64,
            turn: p,
            ..Call::default()
        });
    }
    let what = format!("{} m {} {d:?}", r.kernel.name, case.m);
    c.check_guards(&what);
    let mut dense = Vec::new();
    for i in 0..case.m {
        let row = &c.slice()[i * d.ldc..(i * d.ldc + d.ldc).min(c.slice().len())];
        dense.extend_from_slice(&row[..d.n]);
        assert!(row[d.n..].iter().all(|v| v.to_bits() == POISON), "{what}: wrote between rows");
    }
    (dense, reference(&d, case.m, a.slice(), &b))
}

fn case(m: usize, n: usize, k: usize, pad: usize) -> Case {
    let desc =
        GemmDesc { numbers: Numbers::F32, m: Some(m), n, k, lda: k + pad, ldc: n + pad, panel: None, epilogue: Epilogue::none() };
    Case { desc, m, parts: 1, dynamic: false }
}

#[test]
fn small_sizes() {
    for target in &runnable() {
        for m in 1..=15 {
            for n in [1, 2, 7, 8, 9, 15, 16, 17, 24, 25, 31, 33, 47, 65] {
                for k in [1, 2, 3, 4, 5, 13, 32] {
                    let (got, want) = run(target, &case(m, n, k, (m + n + k) % 3), &[]);
                    assert_close(&format!("{m}x{n}x{k}"), &got, &want, 1e-5, 1e-5);
                }
            }
        }
    }
}

/// Panels that are not chosen by the cost model; of those that do not fit, it chooses others.
#[test]
fn panels_as_told() {
    for target in &runnable() {
        for (panel, (m, n, k)) in (0..=9).flat_map(|panel| [(1, 130, 40), (13, 130, 40), (97, 260, 33)].map(|size| (panel, size)))
        {
            let mut case = case(m, n, k, 1);
            case.desc.panel = Some(panel);
            let (got, want) = run(target, &case, &[]);
            assert_close(&format!("{m}x{n}x{k} in panels of {panel}"), &got, &want, 1e-5, 1e-5);
            let plan = case.desc.plan(target).unwrap();
            assert!(![1, 2].contains(&panel) || plan.groups[0].nv == panel, "{plan:?}");
        }
    }
}

#[test]
fn larger_sizes_static_dynamic_and_split() {
    for target in &runnable() {
        for (m, n, k) in [
            (97, 131, 61),
            (1, 1000, 512),
            (1, 1030, 256),
            (1, 10, 33),
            (49, 512, 100),
            (301, 24, 96),
            (5000, 8, 17),
            (640, 64, 700),
        ] {
            for (dynamic, parts) in [(false, 1), (false, 3), (true, 1), (true, 4)] {
                let c = Case { dynamic, parts, ..case(m, n, k, 2) };
                let (got, want) = run(target, &c, &[]);
                assert_close(&format!("{m}x{n}x{k} {dynamic} {parts}"), &got, &want, 1e-4, 1e-4);
            }
        }
    }
}

/// Weights of binary16 and of four bits, of few and many rows and of panels of every width.
#[test]
fn narrow_weights() {
    for target in &runnable() {
        for numbers in [Numbers::F16, Numbers::Int4] {
            for (m, n, k) in [
                (1, 1, 32),
                (1, 100, 64),
                (2, 33, 96),
                (5, 16, 32),
                (7, 65, 160),
                (3, 9, 48),
                (9, 20, 4),
                (2, 40, 102),
                (40, 131, 64),
                (300, 24, 32),
            ] {
                for (dynamic, parts) in [(false, 1), (false, 3), (true, 2)] {
                    let mut c = Case { dynamic, parts, ..case(m, n, k, 1) };
                    c.desc.numbers = numbers;
                    let (got, want) = run(target, &c, &[]);
                    assert_close(&format!("{numbers:?} {m}x{n}x{k} {dynamic} {parts}"), &got, &want, 1e-4, 1e-4);
                }
            }
        }
        let mut odd = case(3, 17, 33, 0);
        odd.desc.numbers = Numbers::F16;
        let (got, want) = run(target, &odd, &[]);
        assert_close("an odd number of steps", &got, &want, 1e-4, 1e-4);
    }
}

#[test]
fn bias_and_relu() {
    for target in &runnable() {
        for (m, n, k) in [(7, 19, 5), (13, 64, 33), (1, 100, 64)] {
            let mut c = case(m, n, k, 1);
            c.desc.epilogue = Epilogue { expr: bias_relu(), inputs: vec![InputDesc::PER_CHANNEL], out: Element::F32 };
            let bias = Guarded::from(&Rng(7).floats(n));
            let (got, raw) = run(target, &c, &[bias.slice()]);
            let want: Vec<f32> = raw.iter().enumerate().map(|(i, v)| (v + bias.slice()[i % n]).max(0.0)).collect();
            assert_close("bias relu", &got, &want, 1e-5, 1e-5);
        }
    }
}

/// `gelu(acc * scale + residual) * row`: more registers than a full tile leaves, and every way to address an input.
#[test]
fn heavy_epilogue() {
    let mut e = VExpr::new();
    let (acc, scale, residual, row) = (e.acc(), e.input(0), e.input(1), e.input(2));
    let x = e.fma(acc, scale, residual);
    let y = e.unary(Unary::Gelu, x);
    let z = e.binary(Binary::Mul, y, row);
    e.root(z);
    for target in &runnable() {
        for (m, n, k) in [(6, 16, 4), (23, 83, 9), (60, 96, 12)] {
            let mut c = case(m, n, k, 1);
            let inputs =
                vec![InputDesc::SCALAR, InputDesc::full(n + 3), InputDesc { row_stride: 2, splat: true, element: Element::F32 }];
            c.desc.epilogue = Epilogue { expr: e.clone(), inputs, out: Element::F32 };
            let scale = Guarded::from(&[0.75]);
            let residual = Guarded::from(&Rng(3).floats((m - 1) * (n + 3) + n));
            let row = Guarded::from(&Rng(5).floats(2 * m));
            let (got, raw) = run(target, &c, &[scale.slice(), residual.slice(), row.slice()]);
            let mut want = Vec::new();
            for i in 0..m {
                for j in 0..n {
                    let x = f64::from(raw[i * n + j]) * 0.75 + f64::from(residual.slice()[i * (n + 3) + j]);
                    let gelu = 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt()));
                    want.push((gelu * f64::from(row.slice()[2 * i])) as f32);
                }
            }
            assert_close("heavy", &got, &want, 3e-6, 1e-5);
        }
    }
}

#[test]
fn nan_and_signed_zero_pass_relu() {
    for target in &runnable() {
        let mut c = case(3, 20, 1, 0);
        let mut e = VExpr::new();
        let (acc, x) = (e.acc(), e.input(0));
        let sum = e.binary(Binary::Add, acc, x);
        let zero = e.constant(0.0);
        let product = e.binary(Binary::Mul, sum, zero);
        let relu = e.unary(Unary::Relu, product);
        e.root(relu);
        c.desc.epilogue = Epilogue { expr: e, inputs: vec![InputDesc::SCALAR], out: Element::F32 };
        let (got, _) = run(target, &c, &[&[f32::INFINITY]]);
        assert!(got.iter().all(|v| v.is_nan()), "relu(NaN) is NaN");
    }
}

#[test]
fn impossible_descriptors_are_refused() {
    let target = TargetDesc::new(kiln_kernels::target::Isa::Avx2);
    let mut d = case(4, 4, 4, 0).desc;
    d.lda = 3;
    assert!(kiln_kernels::kernels::emit(&KernelDesc::Gemm(d.clone()), &target).is_err());
    d.lda = usize::MAX;
    assert!(kiln_kernels::kernels::emit(&KernelDesc::Gemm(d), &target).is_err());
}

/// Where threads are to share a product, units are blocks of rows, panels, or both.
#[test]
fn units_for_threads() {
    for target in runnable().into_iter().flat_map(|t| [4, 16].map(|units| TargetDesc { units, ..t })) {
        for (m, n, k) in [(197, 197, 24), (64, 40, 33), (300, 33, 64), (7, 300, 16), (29, 9, 5)] {
            for parts in [1, 3, 16] {
                let epilogue = Epilogue { expr: bias_relu(), inputs: vec![InputDesc::full(n)], out: Element::F32 };
                let desc = GemmDesc { numbers: Numbers::F32, m: Some(m), n, k, lda: k + 3, ldc: n + 1, panel: None, epilogue };
                let bias = Rng(5).floats(m * n);
                let case = Case { desc, m, parts, dynamic: false };
                let (got, mut want) = run(&target, &case, &[&bias]);
                want.iter_mut().zip(&bias).for_each(|(w, b)| *w = (*w + b).max(0.0));
                assert_close(&format!("{} {m}x{n}x{k} in {parts}", target.isa.name()), &got, &want, 1e-4, 1e-5);
            }
        }
    }
}
