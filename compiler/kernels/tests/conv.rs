//! Convolutions against the definition: kernels, strides, padding, dilation, groups, pitches, batches, ranges of work.
mod common;

use common::{Call, Guarded, POISON, Rng, assert_close, ready, runnable};
use kiln_kernels::isa::Element;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::conv::{ConvDesc, Window};
use kiln_kernels::kernels::epilogue::{Epilogue, InputDesc};
use kiln_kernels::kernels::numbers::Numbers;
use kiln_kernels::kernels::ragged::RaggedDesc;
use kiln_kernels::kernels::winograd::{WinogradDesc, choose};
use kiln_kernels::target::TargetDesc;
use kiln_kernels::vexpr::{Binary, Unary, VExpr};

fn desc(image: [usize; 2], kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2]) -> ConvDesc {
    let window = Window::new(image, kernel, stride, padding, dilation);
    ConvDesc {
        numbers: Numbers::F32,
        batch: Some(1),
        window,
        in_c: 3,
        in_pitch: 3,
        out_c: 8,
        out_pitch: 8,
        groups: 1,
        panel: None,
        epilogue: Epilogue::none(),
    }
}

fn channels(mut d: ConvDesc, in_c: usize, out_c: usize, groups: usize, extra: usize) -> ConvDesc {
    (d.in_c, d.in_pitch, d.out_c, d.out_pitch, d.groups) = (in_c, in_c + extra, out_c, out_c + 2 * extra, groups);
    d
}

fn reference(d: &ConvDesc, batch: usize, input: &[f32], weights: &[f32]) -> Vec<f32> {
    let (w, ci, co) = (&d.window, d.in_c / d.groups, d.out_c / d.groups);
    let mut out = Vec::new();
    for n in 0..batch {
        for (oy, ox) in (0..w.output[0]).flat_map(|y| (0..w.output[1]).map(move |x| (y, x))) {
            for o in 0..d.out_c {
                let mut sum = 0f64;
                for (ky, kx) in (0..w.kernel[0]).flat_map(|y| (0..w.kernel[1]).map(move |x| (y, x))) {
                    let y = (oy * w.stride[0] + ky * w.dilation[0]).wrapping_sub(w.before[0]);
                    let x = (ox * w.stride[1] + kx * w.dilation[1]).wrapping_sub(w.before[1]);
                    if y >= w.image[0] || x >= w.image[1] {
                        continue;
                    }
                    for c in 0..ci {
                        let at = ((n * w.image[0] + y) * w.image[1] + x) * d.in_pitch + o / co * ci + c;
                        let weight = weights[((o * ci + c) * w.kernel[0] + ky) * w.kernel[1] + kx];
                        sum += f64::from(input[at]) * f64::from(weight);
                    }
                }
                out.push(sum as f32);
            }
        }
    }
    out
}

/// How a convolution is computed.
#[derive(Clone, Copy)]
enum By {
    Definition,
    Winograd(usize),
    SkippingTaps,
}

/// Results and reference.
fn run(target: &TargetDesc, d: &ConvDesc, by: By, batch: usize, parts: u64, inputs: &[&[f32]]) -> (Vec<f32>, Vec<f32>) {
    let mut rng = Rng(77 + d.in_c as u64);
    let pixels = d.window.image[0] * d.window.image[1] * batch;
    let input = Guarded::from(&rng.floats(pixels * d.in_pitch));
    let weights = rng.floats(d.out_c * d.in_c / d.groups * d.window.kernel[0] * d.window.kernel[1]);
    let (kernel, packed) = match by {
        By::Definition => (KernelDesc::Conv(d.clone()), d.pack(target, &weights).unwrap()),
        By::SkippingTaps => {
            let d = RaggedDesc(d.clone());
            let packed = d.pack(target, &weights).unwrap();
            (KernelDesc::Ragged(d), packed)
        }
        By::Winograd(tile) => {
            let d = WinogradDesc { conv: d.clone(), tile };
            let packed = d.pack(target, &weights).unwrap();
            (KernelDesc::Winograd(d), packed)
        }
    };
    let out_pixels = d.window.output[0] * d.window.output[1] * batch;
    let out = Guarded::poison(out_pixels * d.out_pitch);
    let r = ready(&kernel, target);
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
        dense.extend_from_slice(&pixel[..d.out_c]);
        assert!(pixel[d.out_c..].iter().all(|v| v.to_bits() == POISON), "{what}: wrote between pixels");
    }
    (dense, reference(d, batch, input.slice(), &weights))
}

fn check(d: &ConvDesc, batch: usize, parts: u64) {
    check_on(&runnable(), d, batch, parts);
}

/// Targets for which kernels are cut into at least so many units of work.
fn with_units(units: usize) -> Vec<TargetDesc> {
    runnable().into_iter().map(|target| TargetDesc { units, ..target }).collect()
}

fn check_on(targets: &[TargetDesc], d: &ConvDesc, batch: usize, parts: u64) {
    for target in targets {
        let mut d = d.clone();
        d.batch = (batch % 2 == 1).then_some(batch);
        let (got, want) = run(target, &d, By::Definition, batch, parts, &[]);
        assert_close(&format!("{} {d:?}", target.isa.name()), &got, &want, 1e-4, 1e-5);
    }
}

#[test]
fn kernels_strides_paddings_dilations() {
    for (image, kernel) in [([7, 7], [3, 3]), ([9, 5], [1, 3]), ([6, 11], [5, 2]), ([8, 8], [1, 1]), ([1, 40], [1, 7])] {
        for stride in [[1, 1], [2, 2], [1, 3]] {
            for padding in [[0, 0], [1, 1], [0, 2], [3, 1]] {
                for dilation in [[1, 1], [2, 1], [1, 2]] {
                    let d = desc(image, kernel, stride, padding, dilation);
                    let span = |i: usize| dilation[i] * (kernel[i] - 1) + 1;
                    if (0..2).all(|i| span(i) <= image[i] + 2 * padding[i]) {
                        check(&d, 1, 1);
                        check(&channels(d, 4, 9, 1, 1), 1, 1);
                    }
                }
            }
        }
    }
}

#[test]
fn channels_groups_and_pitches() {
    for (in_c, out_c, groups) in [(1, 1, 1), (2, 3, 1), (16, 33, 1), (8, 8, 2), (12, 24, 3), (30, 20, 10), (6, 6, 6), (17, 65, 1)]
    {
        for extra in [0, 3] {
            check(&channels(desc([5, 6], [3, 3], [1, 1], [1, 1], [1, 1]), in_c, out_c, groups, extra), 1, 1);
            check(&channels(desc([5, 6], [1, 1], [1, 1], [0, 0], [1, 1]), in_c, out_c, groups, extra), 1, 1);
        }
    }
}

#[test]
fn batches_strips_and_ranges() {
    for parts in [1, 3] {
        check(&channels(desc([40, 38], [3, 3], [1, 1], [1, 1], [1, 1]), 64, 24, 1, 0), 3, parts);
        check(&channels(desc([61, 53], [3, 3], [2, 2], [1, 1], [1, 1]), 40, 16, 1, 0), 2, parts);
        check(&channels(desc([57, 64], [1, 1], [1, 1], [0, 0], [1, 1]), 96, 24, 1, 0), 2, parts);
        check(&desc([64, 64], [7, 7], [2, 2], [3, 3], [1, 1]), 2, parts);
    }
}

#[test]
fn epilogue_sees_channels_and_pixels() {
    let mut e = VExpr::new();
    let (acc, bias, residual) = (e.acc(), e.input(0), e.input(1));
    let x = e.binary(Binary::Add, acc, bias);
    let y = e.binary(Binary::Add, x, residual);
    let z = e.unary(Unary::Relu, y);
    e.root(z);
    for target in &runnable() {
        let mut d = channels(desc([9, 10], [3, 3], [1, 1], [1, 1], [1, 1]), 6, 20, 2, 0);
        d.batch = Some(2);
        d.epilogue = Epilogue { expr: e.clone(), inputs: vec![InputDesc::PER_CHANNEL, InputDesc::full(21)], out: Element::F32 };
        let (bias, residual) = (Guarded::from(&Rng(1).floats(20)), Guarded::from(&Rng(2).floats(180 * 21)));
        let (got, raw) = run(target, &d, By::Definition, 2, 1, &[bias.slice(), residual.slice()]);
        let add = |i: usize| bias.slice()[i % 20] + residual.slice()[i / 20 * 21 + i % 20];
        let want: Vec<f32> = raw.iter().enumerate().map(|(i, v)| (v + add(i)).max(0.0)).collect();
        assert_close("epilogue", &got, &want, 1e-5, 1e-5);
    }
}

/// Padding is zero, not a neighbour: infinities beside the border must not leak.
#[test]
fn padding_does_not_read_the_image() {
    for target in &runnable() {
        let mut d = channels(desc([3, 3], [3, 3], [1, 1], [1, 1], [1, 1]), 1, 1, 1, 0);
        d.batch = Some(1);
        let mut image = vec![0.0; 9];
        image[2] = f32::INFINITY;
        let image = Guarded::from(&image);
        let packed = d.pack(target, &[1.0; 9]).unwrap();
        let out = Guarded::poison(9);
        let r = ready(&KernelDesc::Conv(d), target);
        let scratch = Guarded::poison(r.kernel.scratch_bytes / 4);
        let (input, weights) = (image.addr(), packed.as_ptr() as u64);
        r.call(&Call { input, weights, output: out.addr(), scratch: scratch.addr(), end: 1, ..Call::default() });
        let touched: Vec<bool> = out.slice().iter().map(|v| v.is_infinite()).collect();
        assert_eq!(touched, [false, true, true, false, true, true, false, false, false]);
    }
}

#[test]
fn inconsistent_descriptors_are_refused() {
    let target = TargetDesc::new(kiln_kernels::target::Isa::Avx2);
    let refused = |d: ConvDesc| assert!(kiln_kernels::kernels::emit(&KernelDesc::Conv(d), &target).is_err());
    refused(channels(desc([8, 8], [3, 3], [1, 1], [0, 0], [1, 1]), 8, 9, 2, 0));
    refused(desc([8, 8], [3, 3], [0, 1], [0, 0], [1, 1]));
    refused(desc([2, 2], [3, 3], [1, 1], [0, 0], [1, 1]));
    refused(desc([1 << 19, 1 << 19], [3, 3], [1, 1], [0, 0], [1, 1]));
}

/// Where one strip is all of the image, units share its panels.
#[test]
fn units_that_share_strips() {
    for parts in [1, 3] {
        let d = channels(desc([7, 6], [3, 3], [1, 1], [1, 1], [1, 1]), 20, 200, 1, 0);
        check_on(&with_units(8), &d, 2, parts);
        check_on(&with_units(3), &channels(desc([40, 38], [3, 3], [1, 1], [1, 1], [1, 1]), 64, 24, 1, 0), 3, parts);
        check_on(&with_units(8), &channels(desc([9, 9], [1, 1], [1, 1], [0, 0], [1, 1]), 33, 70, 1, 0), 1, parts);
    }
}

fn check_winograd(d: &ConvDesc, batch: usize, parts: u64) {
    for target in &runnable() {
        for tile in [2, 4] {
            let mut d = d.clone();
            d.batch = (batch % 2 == 1).then_some(batch);
            let (got, want) = run(target, &d, By::Winograd(tile), batch, parts, &[]);
            let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
            // Sums of this many random products, in units of the largest: the direct algorithm stays below 1e-6.
            assert_close(&format!("{} F({tile}) {d:?}", target.isa.name()), &got, &want, 1e-5 * largest, 0.0);
        }
    }
}

#[test]
fn winograd_sizes_and_paddings() {
    for image in [[1, 1], [3, 4], [4, 4], [5, 7], [8, 8], [14, 9], [3, 30]] {
        for padding in [[1, 1], [0, 0], [0, 1], [2, 2]] {
            if (0..2).all(|i| image[i] + 2 * padding[i] >= 3) {
                check_winograd(&channels(desc(image, [3, 3], [1, 1], padding, [1, 1]), 4, 9, 1, 1), 1, 1);
            }
        }
    }
}

#[test]
fn winograd_channels_batches_and_ranges() {
    for (in_c, out_c) in [(1, 1), (16, 16), (17, 33), (64, 48), (40, 100), (256, 20)] {
        for extra in [0, 3] {
            check_winograd(&channels(desc([6, 7], [3, 3], [1, 1], [1, 1], [1, 1]), in_c, out_c, 1, extra), 1, 1);
        }
    }
    for parts in [1, 3] {
        check_winograd(&channels(desc([30, 38], [3, 3], [1, 1], [1, 1], [1, 1]), 64, 40, 1, 0), 3, parts);
        check_winograd(&channels(desc([17, 19], [3, 3], [1, 1], [1, 1], [1, 1]), 32, 128, 1, 0), 2, parts);
    }
}

#[test]
fn winograd_epilogue_sees_channels_and_pixels() {
    let mut e = VExpr::new();
    let (acc, bias, residual) = (e.acc(), e.input(0), e.input(1));
    let x = e.binary(Binary::Add, acc, bias);
    let y = e.binary(Binary::Add, x, residual);
    let z = e.unary(Unary::Silu, y);
    e.root(z);
    for target in &runnable() {
        for tile in [2, 4] {
            let mut d = channels(desc([9, 10], [3, 3], [1, 1], [1, 1], [1, 1]), 6, 20, 1, 0);
            d.batch = Some(2);
            d.epilogue =
                Epilogue { expr: e.clone(), inputs: vec![InputDesc::PER_CHANNEL, InputDesc::full(21)], out: Element::F32 };
            let (bias, residual) = (Guarded::from(&Rng(1).floats(20)), Guarded::from(&Rng(2).floats(180 * 21)));
            let (got, raw) = run(target, &d, By::Winograd(tile), 2, 1, &[bias.slice(), residual.slice()]);
            let add = |i: usize| bias.slice()[i % 20] + residual.slice()[i / 20 * 21 + i % 20];
            let want: Vec<f32> = raw.iter().enumerate().map(|(i, v)| v + add(i)).map(|x| x / (1.0 + (-x).exp())).collect();
            assert_close("epilogue", &got, &want, 3e-5, 1e-5);
        }
    }
}

/// The algorithm is chosen where there is much to multiply, and never for what it cannot do.
#[test]
fn winograd_is_chosen_for_large_dense_convolutions() {
    for target in &runnable() {
        let large = channels(desc([56, 56], [3, 3], [1, 1], [1, 1], [1, 1]), 64, 64, 1, 0);
        assert_eq!(choose(&large, target).map(|d| d.tile), Some(4));
        for other in [
            channels(desc([56, 56], [3, 3], [1, 1], [1, 1], [1, 1]), 3, 64, 1, 0),
            channels(desc([56, 56], [3, 3], [2, 2], [1, 1], [1, 1]), 64, 64, 1, 0),
            channels(desc([56, 56], [3, 3], [1, 1], [2, 2], [2, 2]), 64, 64, 1, 0),
            channels(desc([56, 56], [3, 3], [1, 1], [1, 1], [1, 1]), 64, 64, 2, 0),
            channels(desc([56, 56], [5, 5], [1, 1], [2, 2], [1, 1]), 64, 64, 1, 0),
        ] {
            assert_eq!(choose(&other, target), None);
        }
    }
}

#[test]
fn taps_on_padding_are_skipped() {
    let cases = [
        ([14, 14], [3, 3], [1, 1], [12, 12], [12, 12]),
        ([14, 10], [3, 3], [1, 1], [6, 8], [6, 8]),
        ([9, 11], [5, 3], [1, 1], [8, 3], [4, 3]),
        ([9, 9], [3, 3], [2, 3], [4, 4], [4, 4]),
        ([5, 6], [3, 3], [1, 1], [1, 1], [1, 1]),
        ([3, 3], [1, 2], [1, 1], [0, 0], [1, 2]),
    ];
    for (image, kernel, stride, padding, dilation) in cases {
        for (in_c, out_c, extra) in [(32, 40, 0), (7, 100, 3)] {
            for (target, parts) in with_units(8).iter().flat_map(|t| [(t, 1), (t, 3)]) {
                let d = channels(desc(image, kernel, stride, padding, dilation), in_c, out_c, 1, extra);
                let (got, want) = run(target, &d, By::SkippingTaps, 1, parts, &[]);
                assert_close(&format!("{} {d:?}", target.isa.name()), &got, &want, 1e-4, 1e-5);
            }
        }
    }
}

/// Panels that are not chosen by the cost model.
#[test]
fn panels_as_told() {
    for (target, panel) in runnable().iter().flat_map(|target| [1, 2, 3, 5].map(|panel| (target, panel))) {
        let d = channels(desc([12, 12], [3, 3], [1, 1], [4, 4], [4, 4]), 8, 83, 1, 0);
        let dense = channels(desc([9, 10], [3, 3], [1, 1], [1, 1], [1, 1]), 8, 83, 1, 0);
        for (d, by, tolerance) in [(&d, By::SkippingTaps, 1e-5), (&d, By::Definition, 1e-5), (&dense, By::Winograd(2), 1e-4)] {
            let d = ConvDesc { panel: Some(panel), ..d.clone() };
            let (got, want) = run(target, &d, by, 1, 1, &[]);
            assert_close(&format!("panels of {panel}: {d:?}"), &got, &want, tolerance, tolerance);
        }
    }
}

#[test]
fn taps_are_skipped_where_most_are_on_padding() {
    let choose = |dilation: usize, in_c: usize| {
        let d = desc([14, 14], [3, 3], [1, 1], [dilation; 2], [dilation; 2]);
        RaggedDesc::choose(&channels(d, in_c, 64, 1, 0)).is_some()
    };
    assert!(choose(12, 64) && !choose(1, 64) && !choose(12, 3));
}
