//! Measures kernels against the machine's own FMA peak: `cargo bench -p kiln-kernels -- [avx2|avx512] [gemm|conv|winograd|ragged|window|rows|moves]`.
//!
//! Winograd and ragged convolutions are given the multiply-adds of the definition.
//!
//! Prints GFLOP/s (or GB/s) and the share of the peak, which a loop of independent FMAs gives on the same ISA.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Call, Code, Ready, Rng, ready, runnable};
use kiln_kernels::isa::{Cond, Gpr, Src, V};
use kiln_kernels::kernels::conv::{ConvDesc, Window};
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
use std::time::Instant;

/// Best seconds per call over several batches.
fn seconds(mut f: impl FnMut()) -> f64 {
    f();
    let start = Instant::now();
    f();
    let reps = (0.02 / start.elapsed().as_secs_f64().max(1e-7)).clamp(1.0, 1e5) as usize;
    let batch = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..reps).for_each(|_| f());
        start.elapsed().as_secs_f64() / reps as f64
    };
    (0..8).map(|_| batch(&mut f)).fold(f64::INFINITY, f64::min)
}

fn peak(target: &TargetDesc) -> f64 {
    let mut isa = target.assembler().expect("isa");
    let (lanes, top) = (isa.info().lanes, isa.label());
    (0..14).for_each(|i| isa.splat(V(i), 0));
    isa.mov(Gpr(6), Src::Imm(100_000));
    isa.bind(top);
    (0..12).for_each(|i| isa.fma(V(i), V(12), V(13)));
    isa.sub(Gpr(6), Gpr(6), Src::Imm(1));
    isa.branch(Cond::Gt, Gpr(6), Src::Imm(0), top);
    let code = Code::new(&isa.finish(0).expect("code"), target);
    let flops = 100_000.0 * 12.0 * 2.0 * lanes as f64;
    flops / seconds(|| code.call(&[])) / 1e9
}

fn fixed_units(r: &Ready) -> u64 {
    match r.kernel.units {
        Units::Fixed(n) | Units::PerImage(n) => n as u64,
        Units::PerRows(_) | Units::PerCols(_) => unreachable!("rows are constant here"),
    }
}

fn report(what: &str, r: &Ready, flops: f64, peak: f64, s: f64) {
    let rate = flops / s / 1e9;
    println!(
        "{what:<44} {rate:7.1} GFLOP/s {:5.1}%  {:9.1} us  {:6} B code  {}",
        100.0 * rate / peak,
        s * 1e6,
        r.kernel.code.len(),
        r.kernel.name
    );
}

fn gemm(target: &TargetDesc, peak: f64, m: usize, n: usize, k: usize) {
    let d = GemmDesc { numbers: Numbers::F32, m: Some(m), n, k, lda: k, ldc: n, epilogue: Epilogue::none() };
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
    let s = seconds(|| r.call(&call));
    report(&format!("gemm {m}x{n}x{k}"), &r, 2.0 * (m * n * k) as f64, peak, s);
}

/// Runs a kernel over an image; the output is as large as the window says.
fn image(r: &Ready, w: &Window, in_c: usize, out_c: usize, weights: &[f32]) -> f64 {
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
    seconds(|| r.call(&call))
}

fn conv(target: &TargetDesc, peak: f64, size: usize, in_c: usize, out_c: usize, k: usize, stride: usize) {
    let window = Window::new([size; 2], [k; 2], [stride; 2], [k / 2; 2], [1; 2]);
    let epilogue = Epilogue::none();
    let d = ConvDesc {
        numbers: Numbers::F32,
        batch: Some(1),
        window,
        in_c,
        in_pitch: in_c,
        out_c,
        out_pitch: out_c,
        groups: 1,
        epilogue,
    };
    let packed = d.pack(target, &Rng(3).floats(out_c * in_c * k * k)).expect("weights");
    let r = ready(&KernelDesc::Conv(d), target);
    let s = image(&r, &window, in_c, out_c, &packed);
    let flops = 2.0 * (window.output[0] * window.output[1] * out_c * in_c * k * k) as f64;
    report(&format!("conv {size}x{size}x{in_c} -> {out_c}, {k}x{k} s{stride}"), &r, flops, peak, s);
}

/// The same convolution by other algorithms than its definition.
fn other_conv(target: &TargetDesc, peak: f64, size: usize, channels: usize, dilation: usize, tile: Option<usize>) {
    let window = Window::new([size; 2], [3; 2], [1; 2], [dilation; 2], [dilation; 2]);
    let epilogue = Epilogue::none();
    let pitch = channels;
    let conv = ConvDesc {
        numbers: Numbers::F32,
        batch: Some(1),
        window,
        in_c: channels,
        in_pitch: pitch,
        out_c: channels,
        out_pitch: pitch,
        groups: 1,
        epilogue,
    };
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
    let s = image(&r, &window, channels, channels, &packed.expect("weights"));
    report(&desc.to_string(), &r, 2.0 * desc.multiply_adds().unwrap_or(0) as f64, peak, s);
}

/// Transpositions and gathers, in bytes read and written.
fn moves(target: &TargetDesc) {
    for (rows, cols) in [(3, 50176), (50176, 21), (197, 768)] {
        let (x, y) = (Rng(5).floats(rows * cols), vec![0f32; rows * cols]);
        let desc = KernelDesc::Transpose(TransposeDesc::dense(rows, cols));
        let r = ready(&desc, target);
        let call = Call { input: x.as_ptr() as u64, output: y.as_ptr() as u64, end: 1, ..Call::default() };
        let s = seconds(|| r.call(&call));
        println!("{desc:<44} {:7.1} GB/s {:6} B code", 8.0 * (rows * cols) as f64 / s / 1e9, r.kernel.code.len());
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
    let s = seconds(|| r.call(&call));
    println!("{:<44} {:7.1} GB/s written", KernelDesc::Gather(desc), 4.0 * y.len() as f64 / s / 1e9);
}

fn window(target: &TargetDesc, peak: f64, op: WindowOp, size: usize, channels: usize, k: usize, stride: usize) {
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
    let s = image(&r, &window, channels, channels, &weights);
    let bytes = 4.0 * (channels * (size * size + window.output[0] * window.output[1])) as f64;
    let flops = 2.0 * (window.output[0] * window.output[1] * channels * k * k) as f64;
    report(&format!("{op:?} {size}x{size}x{channels} {k}x{k} s{stride} {:.1} GB/s", bytes / s / 1e9), &r, flops, peak, s);
}

fn rows(target: &TargetDesc, name: &str, desc: RowsDesc, rows: usize, cols: usize) {
    let x = Rng(4).floats(rows * cols);
    let y = vec![0f32; rows * cols];
    let r = ready(&KernelDesc::Rows(desc), target);
    let (inputs, outputs) = ([x.as_ptr() as u64, x.as_ptr() as u64, x.as_ptr() as u64], [y.as_ptr() as u64]);
    let call = Call { inputs: &inputs, outputs: &outputs, end: rows as u64, cols: cols as u64, ..Call::default() };
    let s = seconds(|| r.call(&call));
    let rate = (rows * cols) as f64 / s / 1e9;
    println!("{name:<44} {rate:7.2} Gelem/s {:6} B code  {}", r.kernel.code.len(), r.kernel.name);
}

fn all_rows(target: &TargetDesc) {
    for op in
        [Unary::Relu, Unary::Exp, Unary::Tanh, Unary::Sigmoid, Unary::Erf, Unary::Log, Unary::Gelu, Unary::Silu, Unary::HardSwish]
    {
        let mut e = VExpr::new();
        let x = e.input(0);
        let y = e.unary(op, x);
        e.root(y);
        let desc = RowsDesc::map(Dim::Argument, vec![Operand::DENSE], vec![Operand::DENSE], e);
        rows(target, &format!("map {op:?} 4096"), desc, 1, 4096);
    }
    let (x, y) = (Operand::DENSE, Operand::DENSE);
    rows(target, "softmax 128x128", norm::softmax(Dim::Known(128), x, y), 128, 128);
    rows(target, "softmax 8x1000", norm::softmax(Dim::Known(1000), x, y), 8, 1000);
    rows(target, "layer norm 128x768", norm::layer_norm(Dim::Known(768), x, y, 1e-5, true, true), 128, 768);
    let sum = norm::reduce_rows(Dim::Known(4096), x, Operand::PER_ROW, norm::RowReduce::Sum);
    rows(target, "sum 8x4096", sum, 8, 4096);
}

fn main() {
    let (isas, families): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).filter(|a| !a.starts_with('-')).partition(|a| a.starts_with("avx"));
    let wanted = isas.first().cloned().unwrap_or_default();
    let filter = families.first().cloned().unwrap_or_default();
    for target in runnable().iter().filter(|t| t.isa.name().ends_with(&wanted) && t.isa != Isa::Neon) {
        let peak = peak(target);
        println!("{}: peak {peak:.1} GFLOP/s", target.isa.name());
        if "gemm".contains(&filter) {
            // Rows are pixels, columns are output channels.
            for (m, n, k) in
                [(384, 384, 384), (3136, 64, 64), (12544, 24, 96), (196, 256, 1024), (49, 512, 2048), (49, 1280, 320)]
            {
                gemm(target, peak, m, n, k);
            }
            for (m, n, k) in
                [(1, 1000, 2048), (1, 1024, 256), (128, 3072, 768), (128, 768, 3072), (3136, 256, 64), (784, 512, 128)]
            {
                gemm(target, peak, m, n, k);
            }
        }
        if "conv".contains(&filter) {
            let resnet =
                [(224, 3, 64, 7, 2), (56, 64, 64, 3, 1), (28, 128, 128, 3, 1), (14, 256, 256, 3, 1), (7, 512, 512, 3, 1)];
            let strided =
                [(56, 128, 128, 3, 2), (56, 256, 512, 1, 2), (28, 512, 128, 1, 1), (224, 3, 32, 3, 2), (7, 320, 1280, 1, 1)];
            for (size, in_c, out_c, k, stride) in resnet.into_iter().chain(strided) {
                conv(target, peak, size, in_c, out_c, k, stride);
            }
        }
        if "winograd".contains(&filter) {
            for (size, channels) in [(56, 64), (28, 128), (14, 256), (7, 512)] {
                [2, 4].into_iter().for_each(|tile| other_conv(target, peak, size, channels, 1, Some(tile)));
            }
        }
        if "ragged".contains(&filter) {
            [6, 12, 13].into_iter().for_each(|dilation| other_conv(target, peak, 14, 256, dilation, None));
        }
        if "moves".contains(&filter) {
            moves(target);
        }
        if "window".contains(&filter) {
            let mobilenet = [
                (112, 32, 3, 1),
                (112, 96, 3, 2),
                (56, 144, 3, 1),
                (28, 192, 3, 1),
                (14, 384, 3, 1),
                (14, 576, 3, 1),
                (7, 960, 3, 1),
                (28, 120, 5, 1),
            ];
            for (size, channels, k, stride) in mobilenet {
                window(target, peak, WindowOp::Depthwise, size, channels, k, stride);
            }
            window(target, peak, WindowOp::Max, 112, 64, 3, 2);
            window(target, peak, WindowOp::AvgInside, 28, 192, 3, 1);
        }
        if "rows".contains(&filter) {
            all_rows(target);
        }
    }
}
