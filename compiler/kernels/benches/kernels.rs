//! Kernels by family, for each ISA that runs here: `cargo bench -p kiln-kernels -- 'avx2/(peak|gemm)'`.
//!
//! Elements are floating-point operations (of bytes, multiplications and additions) where a family computes, elements of the result where it maps; what
//! moves memory is in bytes read and written. Winograd and ragged convolutions are given the operations of the definition. `peak` is a loop of independent
//! FMAs: what the others can be compared with.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Call, Code, Ready, Rng, dense, ready, runnable};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use kiln_kernels::isa::{Cond, Element, Gpr, Src, V};
use kiln_kernels::kernels::conv::Window;
use kiln_kernels::kernels::epilogue::Epilogue;
use kiln_kernels::kernels::gather::GatherDesc;
use kiln_kernels::kernels::gemm::GemmDesc;
use kiln_kernels::kernels::norm;
use kiln_kernels::kernels::numbers::Numbers;
use kiln_kernels::kernels::ragged::RaggedDesc;
use kiln_kernels::kernels::rows::{Dim, Operand, RowsDesc};
use kiln_kernels::kernels::transpose::TransposeDesc;
use kiln_kernels::kernels::window::{WindowDesc, WindowOp};
use kiln_kernels::kernels::winograd::WinogradDesc;
use kiln_kernels::kernels::{KernelDesc, Units};
use kiln_kernels::packing::{Strides, pack_b};
use kiln_kernels::target::{Isa, TargetDesc};
use kiln_kernels::vexpr::{Binary, Unary, VExpr};
use std::time::Duration;

type Group<'c> = BenchmarkGroup<'c, WallTime>;

/// A loop of independent FMAs.
fn peak(group: &mut Group, target: &TargetDesc) {
    let mut isa = target.assembler().expect("isa");
    let (lanes, top) = (isa.info().lanes, isa.label());
    (0..14).for_each(|i| isa.splat(V(i), 0));
    isa.mov(Gpr(6), Src::Imm(10_000));
    isa.bind(top);
    (0..12).for_each(|i| isa.fma(V(i), V(12), V(13)));
    isa.sub(Gpr(6), Gpr(6), Src::Imm(1));
    isa.branch(Cond::Gt, Gpr(6), Src::Imm(0), top);
    let code = Code::new(&isa.finish(0).expect("code"), target);
    measure(group, "fma", Throughput::Elements(10_000 * 12 * 2 * lanes as u64), || code.call(&[]));
}

fn measure(group: &mut Group, name: &str, throughput: Throughput, mut call: impl FnMut()) {
    group.throughput(throughput);
    group.bench_function(name, |bencher| bencher.iter(&mut call));
}

/// Multiplications and additions.
fn operations(multiply_adds: usize) -> Throughput {
    Throughput::Elements(2 * multiply_adds as u64)
}

fn fixed_units(r: &Ready) -> u64 {
    match r.kernel.units {
        Units::Fixed(n) | Units::PerImage(n) => n as u64,
        Units::PerRows(_) | Units::PerCols(_) => unreachable!("rows are constant here"),
    }
}

fn gemm(group: &mut Group, target: &TargetDesc, m: usize, n: usize, k: usize) {
    let d = GemmDesc { numbers: Numbers::F32, m: Some(m), n, k, lda: k, ldc: n, panel: None, epilogue: Epilogue::none() };
    let mut rng = Rng(1);
    let (a, b) = (rng.floats(m * k), rng.floats(k * n));
    let mut c = vec![0f32; m * n];
    let packed = pack_b(&d.plan(target).expect("plan"), k, &b, Strides { k: n, n: 1 });
    let r = ready(&KernelDesc::Gemm(d), target);
    let call = Call {
        input: a.as_ptr() as u64,
        weights: packed.as_ptr() as u64,
        output: c.as_mut_ptr() as u64,
        end: fixed_units(&r),
        ..Call::default()
    };
    measure(group, &format!("{m}x{n}x{k}"), operations(m * n * k), || r.call(&call));
}

/// A product of bytes up to 127, which come back as 32-bit integers.
fn gemm_of_bytes(group: &mut Group, target: &TargetDesc, [m, n, k]: [usize; 3]) {
    let epilogue = Epilogue { out: Element::I32, ..Epilogue::none() };
    let d = GemmDesc { numbers: Numbers::Int8 { zero_point: 3 }, m: Some(m), n, k, lda: k, ldc: n, panel: None, epilogue };
    let (a, mut c) = (vec![100u8; m * k], vec![0i32; m * n]);
    let packed = d.pack_bytes(target, |i, j| (i * 7 + j) as i8).expect("weights");
    let r = ready(&KernelDesc::Gemm(d), target);
    let mut scratch = vec![0u8; r.kernel.scratch_bytes + 64];
    let call = Call {
        input: a.as_ptr() as u64,
        weights: packed.as_ptr() as u64,
        output: c.as_mut_ptr() as u64,
        scratch: scratch.as_mut_ptr() as u64,
        end: fixed_units(&r),
        ..Call::default()
    };
    measure(group, &format!("{m}x{n}x{k}"), operations(m * n * k), || r.call(&call));
}

/// Runs a kernel over an image; the output is as large as the window says.
fn image(group: &mut Group, name: &str, multiply_adds: usize, r: &Ready, w: &Window, [in_c, out_c]: [usize; 2], weights: &[f32]) {
    let input = Rng(2).floats(w.image[0] * w.image[1] * in_c);
    let mut out = vec![0f32; w.output[0] * w.output[1] * out_c];
    let mut scratch = vec![0u8; r.kernel.scratch_bytes + 64];
    let call = Call {
        input: input.as_ptr() as u64,
        weights: weights.as_ptr() as u64,
        output: out.as_mut_ptr() as u64,
        scratch: scratch.as_mut_ptr() as u64,
        end: fixed_units(r),
        ..Call::default()
    };
    measure(group, name, operations(multiply_adds), || r.call(&call));
}

fn conv(group: &mut Group, target: &TargetDesc, size: usize, in_c: usize, out_c: usize, k: usize, stride: usize) {
    let window = Window::new([size; 2], [k; 2], [stride; 2], [k / 2; 2], [1; 2]);
    let d = dense(Numbers::F32, 1, window, [in_c, out_c], Epilogue::none());
    let packed = d.pack(target, &Rng(3).floats(out_c * in_c * k * k)).expect("weights");
    let r = ready(&KernelDesc::Conv(d), target);
    let name = format!("{k}x{k}s{stride} {in_c}x{size}x{size} -> {out_c}");
    image(group, &name, window.output[0] * window.output[1] * out_c * in_c * k * k, &r, &window, [in_c, out_c], &packed);
}

/// The same convolution by other algorithms than its definition.
fn other_conv(group: &mut Group, target: &TargetDesc, size: usize, channels: usize, dilation: usize, tile: Option<usize>) {
    let window = Window::new([size; 2], [3; 2], [1; 2], [dilation; 2], [dilation; 2]);
    let conv = dense(Numbers::F32, 1, window, [channels; 2], Epilogue::none());
    let weights = Rng(3).floats(9 * channels * channels);
    let (desc, packed) = match tile {
        Some(tile) => {
            let d = WinogradDesc { conv, tile };
            let packed = d.pack(target, &weights);
            (KernelDesc::Winograd(d), packed)
        }
        None => {
            let d = RaggedDesc(conv);
            let packed = d.pack(target, &weights);
            (KernelDesc::Ragged(d), packed)
        }
    };
    let r = ready(&desc, target);
    let multiply_adds = desc.multiply_adds().unwrap_or(0) as usize;
    image(group, &desc.to_string(), multiply_adds, &r, &window, [channels; 2], &packed.expect("weights"));
}

/// Transpositions and gathers, in bytes read and written.
fn moves(group: &mut Group, target: &TargetDesc) {
    for (rows, cols) in [(3, 50176), (50176, 21), (197, 768)] {
        let (x, y) = (Rng(5).floats(rows * cols), vec![0f32; rows * cols]);
        let desc = KernelDesc::Transpose(TransposeDesc::dense(rows, cols));
        let r = ready(&desc, target);
        let call = Call { input: x.as_ptr() as u64, output: y.as_ptr() as u64, end: 1, ..Call::default() };
        measure(group, &desc.to_string(), Throughput::Bytes(8 * (rows * cols) as u64), || r.call(&call));
    }
    // Twice the size by the mean of neighbours.
    let mut expr = VExpr::new();
    let (a, b) = (expr.input(0), expr.input(1));
    let sum = expr.binary(Binary::Add, a, b);
    expr.root(sum);
    let (rows, cols) = ([112, 112], 64);
    let desc = GatherDesc { rows, cols, loads: 2, scalars: [0, 0], out_strides: [112 * cols, cols], expr };
    let entry = |at: usize, step: usize| [(at / 2 * step * 4) as u64, (at.div_ceil(2) * step * 4) as u64];
    let table: Vec<u64> = (0..112).flat_map(|y| entry(y, 57 * cols)).chain((0..112).flat_map(|x| entry(x, cols))).collect();
    let (x, y) = (Rng(6).floats(57 * 57 * cols), vec![0f32; 112 * 112 * cols]);
    let r = ready(&KernelDesc::Gather(desc.clone()), target);
    let inputs = [x.as_ptr() as u64; 2];
    let (weights, output) = (table.as_ptr() as u64, y.as_ptr() as u64);
    let call = Call { inputs: &inputs, weights, output, end: fixed_units(&r), ..Call::default() };
    measure(group, &KernelDesc::Gather(desc).to_string(), Throughput::Bytes(4 * y.len() as u64), || r.call(&call));
}

fn window(group: &mut Group, target: &TargetDesc, op: WindowOp, size: usize, channels: usize, k: usize, stride: usize) {
    let window = Window::new([size; 2], [k; 2], [stride; 2], [k / 2; 2], [1; 2]);
    let epilogue = Epilogue::none();
    let d = WindowDesc {
        numbers: Numbers::F32,
        op,
        batch: Some(1),
        window,
        channels,
        in_pitch: channels,
        out_pitch: channels,
        epilogue,
    };
    let weights = Rng(3).floats(channels * k * k);
    let r = ready(&KernelDesc::Window(d), target);
    let name = format!("{op:?} {k}x{k}s{stride} {channels}x{size}x{size}");
    image(group, &name, window.output[0] * window.output[1] * channels * k * k, &r, &window, [channels; 2], &weights);
}

fn rows(group: &mut Group, target: &TargetDesc, name: &str, desc: RowsDesc, rows: usize, cols: usize) {
    let x = Rng(4).floats(rows * cols);
    let y = vec![0f32; rows * cols];
    let r = ready(&KernelDesc::Rows(desc), target);
    let (inputs, outputs) = ([x.as_ptr() as u64, x.as_ptr() as u64, x.as_ptr() as u64], [y.as_ptr() as u64]);
    let call = Call { inputs: &inputs, outputs: &outputs, end: rows as u64, cols: cols as u64, ..Call::default() };
    measure(group, name, Throughput::Elements((rows * cols) as u64), || r.call(&call));
}

fn all_rows(group: &mut Group, target: &TargetDesc) {
    for op in
        [Unary::Relu, Unary::Exp, Unary::Tanh, Unary::Sigmoid, Unary::Erf, Unary::Log, Unary::Gelu, Unary::Silu, Unary::HardSwish]
    {
        let mut e = VExpr::new();
        let x = e.input(0);
        let y = e.unary(op, x);
        e.root(y);
        let desc = RowsDesc::map(Dim::Argument, vec![Operand::DENSE], vec![Operand::DENSE], e);
        rows(group, target, &format!("map {op:?} 4096"), desc, 1, 4096);
    }
    let (x, y) = (Operand::DENSE, Operand::DENSE);
    rows(group, target, "softmax 128x128", norm::softmax(Dim::Known(128), x, y), 128, 128);
    rows(group, target, "softmax 8x1000", norm::softmax(Dim::Known(1000), x, y), 8, 1000);
    rows(group, target, "layer norm 128x768", norm::layer_norm(Dim::Known(768), x, y, 1e-5, true, true), 128, 768);
    let sum = norm::reduce_rows(Dim::Known(4096), x, Operand::PER_ROW, norm::RowReduce::Sum);
    rows(group, target, "sum 8x4096", sum, 8, 4096);
}

/// The products of networks: rows are pixels, columns are output channels.
const PRODUCTS: [[usize; 3]; 12] = [
    [384, 384, 384],
    [3136, 64, 64],
    [12544, 24, 96],
    [196, 256, 1024],
    [49, 512, 2048],
    [49, 1280, 320],
    [1, 1000, 2048],
    [1, 1024, 256],
    [128, 3072, 768],
    [128, 768, 3072],
    [3136, 256, 64],
    [784, 512, 128],
];

/// Convolutions of resnet and mobilenet: size, channels in and out, window, stride.
const CONVOLUTIONS: [[usize; 5]; 10] = [
    [224, 3, 64, 7, 2],
    [56, 64, 64, 3, 1],
    [28, 128, 128, 3, 1],
    [14, 256, 256, 3, 1],
    [7, 512, 512, 3, 1],
    [56, 128, 128, 3, 2],
    [56, 256, 512, 1, 2],
    [28, 512, 128, 1, 1],
    [224, 3, 32, 3, 2],
    [7, 320, 1280, 1, 1],
];

/// Depthwise convolutions of mobilenet: size, channels, window, stride.
const DEPTHWISE: [[usize; 4]; 8] = [
    [112, 32, 3, 1],
    [112, 96, 3, 2],
    [56, 144, 3, 1],
    [28, 192, 3, 1],
    [14, 384, 3, 1],
    [14, 576, 3, 1],
    [7, 960, 3, 1],
    [28, 120, 5, 1],
];

fn families(c: &mut Criterion) {
    for target in runnable().iter().filter(|t| t.isa != Isa::Neon) {
        let isa = target.isa.name().trim_start_matches("x86_64_");
        let mut family = |name: &str, body: &dyn Fn(&mut Group)| {
            let mut group = c.benchmark_group(format!("{isa}/{name}"));
            body(&mut group);
            group.finish();
        };
        family("peak", &|group| peak(group, target));
        family("gemm", &|group| PRODUCTS.iter().for_each(|&[m, n, k]| gemm(group, target, m, n, k)));
        family("bytes", &|group| PRODUCTS.iter().for_each(|&product| gemm_of_bytes(group, target, product)));
        family("conv", &|group| {
            CONVOLUTIONS.iter().for_each(|&[size, in_c, out_c, k, stride]| conv(group, target, size, in_c, out_c, k, stride));
        });
        family("winograd", &|group| {
            for (size, channels) in [(56, 64), (28, 128), (14, 256), (7, 512)] {
                [2, 4].into_iter().for_each(|tile| other_conv(group, target, size, channels, 1, Some(tile)));
            }
        });
        family("ragged", &|group| {
            [6, 12, 13].into_iter().for_each(|dilation| other_conv(group, target, 14, 256, dilation, None));
        });
        family("window", &|group| {
            for [size, channels, k, stride] in DEPTHWISE {
                window(group, target, WindowOp::Depthwise, size, channels, k, stride);
            }
            window(group, target, WindowOp::Max, 112, 64, 3, 2);
            window(group, target, WindowOp::AvgInside, 28, 192, 3, 1);
        });
        family("rows", &|group| all_rows(group, target));
        family("moves", &|group| moves(group, target));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800)).sample_size(20);
    targets = families
}
criterion_main!(benches);
