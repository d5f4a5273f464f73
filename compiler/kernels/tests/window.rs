//! Depthwise convolution and pooling against the definition: windows, strides, borders, channel counts around the vector width.
mod common;

use common::{Call, Guarded, POISON, Rng, assert_close, ready, runnable};
use kiln_kernels::isa::Element;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::conv::Window;
use kiln_kernels::kernels::epilogue::{Epilogue, InputDesc};
use kiln_kernels::kernels::numbers::Numbers;
use kiln_kernels::kernels::window::{WindowDesc, WindowOp};
use kiln_kernels::target::TargetDesc;
use kiln_kernels::vexpr::{Binary, Unary, VExpr};

const OPS: [WindowOp; 4] = [WindowOp::Depthwise, WindowOp::Max, WindowOp::AvgFixed(7), WindowOp::AvgInside];

fn desc(op: WindowOp, window: Window, channels: usize, extra: usize) -> WindowDesc {
    WindowDesc {
        numbers: Numbers::F32,
        op,
        batch: Some(1),
        window,
        channels,
        in_pitch: channels + extra,
        out_pitch: channels + 2 * extra,
        epilogue: Epilogue::none(),
    }
}

fn reference(d: &WindowDesc, batch: usize, input: &[f32], weights: &[f32]) -> Vec<f32> {
    let w = &d.window;
    let mut out = Vec::new();
    for n in 0..batch {
        for (oy, ox) in (0..w.output[0]).flat_map(|y| (0..w.output[1]).map(move |x| (y, x))) {
            for c in 0..d.channels {
                let (mut sum, mut max, mut count) = (0f64, f32::NEG_INFINITY, 0);
                for (ky, kx) in (0..w.kernel[0]).flat_map(|y| (0..w.kernel[1]).map(move |x| (y, x))) {
                    let y = (oy * w.stride[0] + ky * w.dilation[0]).wrapping_sub(w.before[0]);
                    let x = (ox * w.stride[1] + kx * w.dilation[1]).wrapping_sub(w.before[1]);
                    if y >= w.image[0] || x >= w.image[1] {
                        continue;
                    }
                    let v = input[((n * w.image[0] + y) * w.image[1] + x) * d.in_pitch + c];
                    let weight = weights[(c * w.kernel[0] + ky) * w.kernel[1] + kx];
                    sum += f64::from(v) * if d.op == WindowOp::Depthwise { f64::from(weight) } else { 1.0 };
                    max = if v.is_nan() || max.is_nan() { f32::NAN } else { max.max(v) };
                    count += 1;
                }
                out.push(match d.op {
                    WindowOp::Depthwise => sum as f32,
                    WindowOp::Max => max,
                    WindowOp::AvgFixed(n) => (sum / n as f64) as f32,
                    WindowOp::AvgInside => (sum / f64::from(count)) as f32,
                });
            }
        }
    }
    out
}

fn run(
    target: &TargetDesc,
    d: &WindowDesc,
    batch: usize,
    parts: u64,
    nan_at: Option<usize>,
    inputs: &[&[f32]],
) -> (Vec<f32>, Vec<f32>) {
    let mut rng = Rng(31 + d.channels as u64);
    let mut values = rng.floats(d.window.image[0] * d.window.image[1] * batch * d.in_pitch);
    if let Some(i) = nan_at {
        values[i] = f32::NAN;
    }
    let input = Guarded::from(&values);
    let weights = rng.floats(d.channels * d.window.kernel[0] * d.window.kernel[1]);
    let packed = d.pack(&weights).unwrap();
    let out = Guarded::poison(d.window.output[0] * d.window.output[1] * batch * d.out_pitch);
    let r = ready(&KernelDesc::Window(d.clone()), target);
    let scratch = Guarded::poison(r.kernel.scratch_bytes / 4);
    let units = r.kernel.units.count(batch) as u64;
    let pointers: Vec<u64> = inputs.iter().map(|i| i.as_ptr() as u64).collect();
    for p in 0..parts {
        r.call(&Call {
            input: input.addr(),
            weights: packed.as_ptr() as u64,
            output: out.addr(),
            inputs: &pointers,
            scratch: scratch.addr(),
            begin: units * p / parts,
            end: units * (p + 1) / parts,
            ..Call::default()
        });
    }
    let what = format!("{} {d:?}", r.kernel.name);
    out.check_guards(&what);
    scratch.check_guards(&what);
    let mut dense = Vec::new();
    for pixel in out.slice().chunks(d.out_pitch) {
        dense.extend_from_slice(&pixel[..d.channels]);
        assert!(pixel[d.channels..].iter().all(|v| v.to_bits() == POISON), "{what}: wrote between pixels");
    }
    (dense, reference(d, batch, input.slice(), &weights))
}

fn check(d: &WindowDesc, batch: usize, parts: u64) {
    for target in &runnable() {
        let mut d = d.clone();
        d.batch = (batch % 2 == 1).then_some(batch);
        let (got, want) = run(target, &d, batch, parts, None, &[]);
        assert_close(&format!("{} {d:?}", target.isa.name()), &got, &want, 2e-6, 2e-6);
    }
}

#[test]
fn windows_strides_borders_dilations() {
    for (image, kernel) in [([7, 7], [3, 3]), ([9, 14], [5, 5]), ([6, 23], [2, 2]), ([12, 12], [7, 7]), ([5, 30], [1, 9])] {
        for stride in [[1, 1], [2, 2], [3, 1]] {
            for padding in [[0, 0], [1, 1], [kernel[0] / 2, kernel[1] / 2]] {
                for dilation in [[1, 1], [2, 2]] {
                    let span = |i: usize| dilation[i] * (kernel[i] - 1) + 1;
                    let fits = (0..2).all(|i| span(i) <= image[i] + 2 * padding[i] && padding[i] <= kernel[i] / 2);
                    let window = Window::new(image, kernel, stride, padding, dilation);
                    if fits {
                        OPS.iter().for_each(|&op| check(&desc(op, window, 9, 1), 1, 1));
                    }
                }
            }
        }
    }
}

#[test]
fn channels_around_the_vector_width() {
    let window = Window::new([5, 8], [3, 3], [1, 1], [1, 1], [1, 1]);
    for channels in [1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 24, 31, 33, 48, 67, 200] {
        for op in OPS {
            check(&desc(op, window, channels, 0), 1, 1);
            check(&desc(op, window, channels, 5), 2, 3);
        }
    }
}

#[test]
fn batches_and_wide_rows() {
    for width in [1, 2, 6, 7, 11, 28, 57] {
        let window = Window::new([4, width], [3, 3], [1, 1], [1, 1], [1, 1]);
        OPS.iter().for_each(|&op| check(&desc(op, window, 10, 0), 3, 2));
        let window = Window::new([4, width], [3, 3], [2, 2], [1, 1], [1, 1]);
        OPS.iter().for_each(|&op| check(&desc(op, window, 10, 0), 2, 1));
    }
}

/// Many channels over wide rows are walked in blocks.
#[test]
fn channel_blocks() {
    for channels in [48, 64, 96, 100, 131] {
        for extra in [0, 3] {
            let window = Window::new([3, 90], [3, 3], [1, 1], [1, 1], [1, 1]);
            OPS.iter().for_each(|&op| check(&desc(op, window, channels, extra), 2, 2));
        }
    }
}

#[test]
fn max_pooling_keeps_nan() {
    let window = Window::new([6, 6], [3, 3], [1, 1], [1, 1], [1, 1]);
    let d = desc(WindowOp::Max, window, 9, 0);
    for target in &runnable() {
        for at in [0, 4, 100, 170, 9 * 36 - 1] {
            let (got, want) = run(target, &d, 1, 1, Some(at), &[]);
            assert_close("max with NaN", &got, &want, 0.0, 0.0);
            assert!(got.iter().any(|v| v.is_nan()));
        }
    }
}

#[test]
fn epilogue_of_a_depthwise_convolution() {
    let mut e = VExpr::new();
    let (acc, bias, residual, scale) = (e.acc(), e.input(0), e.input(1), e.input(2));
    let x = e.binary(Binary::Add, acc, bias);
    let y = e.unary(Unary::HardSwish, x);
    let z = e.fma(y, scale, residual);
    e.root(z);
    for target in &runnable() {
        let window = Window::new([5, 9], [3, 3], [1, 1], [1, 1], [1, 1]);
        let mut d = desc(WindowOp::Depthwise, window, 21, 0);
        let inputs =
            vec![InputDesc::PER_CHANNEL, InputDesc::full(22), InputDesc { row_stride: 1, splat: true, element: Element::F32 }];
        d.epilogue = Epilogue { expr: e.clone(), inputs, out: Element::F32 };
        let bias = Guarded::from(&Rng(1).floats(21));
        let residual = Guarded::from(&Rng(2).floats(45 * 22));
        let scale = Guarded::from(&Rng(3).floats(45));
        let (got, raw) = run(target, &d, 1, 1, None, &[bias.slice(), residual.slice(), scale.slice()]);
        let want: Vec<f32> = raw
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let (pixel, c) = (i / 21, i % 21);
                let x = v + bias.slice()[c];
                x * (x + 3.0).clamp(0.0, 6.0) / 6.0 * scale.slice()[pixel] + residual.slice()[pixel * 22 + c]
            })
            .collect();
        assert_close("depthwise epilogue", &got, &want, 2e-6, 2e-6);
    }
}

#[test]
fn inconsistent_descriptors_are_refused() {
    let target = TargetDesc::new(kiln_kernels::target::Isa::Avx2);
    let refused = |d: WindowDesc| assert!(kiln_kernels::kernels::emit(&KernelDesc::Window(d), &target).is_err());
    refused(desc(WindowOp::Depthwise, Window::new([20, 20], [11, 11], [1, 1], [0, 0], [1, 1]), 4, 0));
    // Windows wholly in the border: no largest element.
    refused(desc(WindowOp::Max, Window::new([4, 4], [2, 2], [1, 1], [3, 3], [1, 1]), 4, 0));
    refused(desc(WindowOp::AvgFixed(0), Window::new([4, 4], [2, 2], [1, 1], [0, 0], [1, 1]), 4, 0));
}
