//! Kernels on bytes against plain loops over integers: every way in which an ISA multiplies bytes gives the same integers, also where 16-bit
//! sums would saturate, and the same bytes after scaling and rounding.
mod common;

use common::{Call, Ready, Rng, dense, ready, runnable_with_extensions};
use kiln_kernels::isa::Element;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::conv::Window;
use kiln_kernels::kernels::epilogue::{Epilogue, InputDesc};
use kiln_kernels::kernels::gemm::GemmDesc;
use kiln_kernels::kernels::numbers::Numbers;
use kiln_kernels::kernels::rows::{Dim, Operand, RowsDesc, Stride};
use kiln_kernels::kernels::window::{WindowDesc, WindowOp};
use kiln_kernels::kernels::winograd::WinogradDesc;
use kiln_kernels::target::{Features, Isa, TargetDesc};
use kiln_kernels::vexpr::{Binary, NodeId, Unary, VExpr};

/// A byte that no kernel writes by chance everywhere.
const GUARD: u8 = 0xa5;
const BAND: usize = 64;

/// Bytes with guard bands.
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(values: &[u8]) -> Bytes {
        Bytes([&[GUARD; BAND][..], values, &[GUARD; BAND]].concat())
    }
    fn addr(&self) -> u64 {
        self.0[BAND..].as_ptr() as u64
    }
    fn values(&self) -> &[u8] {
        let (before, rest) = self.0.split_at(BAND);
        let (values, after) = rest.split_at(rest.len() - BAND);
        assert!(before.iter().chain(after).all(|&b| b == GUARD), "wrote outside");
        values
    }
}

/// How bytes are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    /// Evenly.
    Even,
    /// Most of them are the largest, the smallest or between.
    Extreme,
    /// Most of them are 127, none is larger but one of a thousand: there is an instruction that is exact only for these.
    SevenBits,
}

const SPREADS: [Spread; 3] = [Spread::Even, Spread::Extreme, Spread::SevenBits];

/// Random bytes.
fn bytes(rng: &mut Rng, n: usize, spread: Spread) -> Vec<u8> {
    let one = |rng: &mut Rng| match (spread, rng.below(4)) {
        (Spread::Even, _) | (Spread::Extreme, 3) => rng.below(256) as u8,
        (Spread::Extreme, 0) => 0,
        (Spread::Extreme, 1) => 255,
        (Spread::Extreme, _) => 128,
        (Spread::SevenBits, 0) if rng.below(250) == 0 => 255,
        (Spread::SevenBits, 0) => rng.below(128) as u8,
        (Spread::SevenBits, _) => 127,
    };
    (0..n).map(|_| one(rng)).collect()
}

fn weights(rng: &mut Rng, n: usize) -> Vec<i8> {
    bytes(rng, n, Spread::Extreme).iter().map(|&b| b as i8).collect()
}

/// `clamp(round((acc + bias) * scale) + zero, 0, 255)` with the first two inputs one per channel.
fn requantise(zero: f32) -> Epilogue {
    let mut e = VExpr::new();
    let (acc, bias, scale) = (e.acc(), e.input(0), e.input(1));
    let sum = e.binary(Binary::Add, acc, bias);
    let scaled = e.binary(Binary::Mul, sum, scale);
    let root = clamped(&mut e, scaled, zero);
    e.root(root);
    Epilogue { expr: e, inputs: vec![InputDesc::PER_CHANNEL; 2], out: Element::U8 }
}

fn clamped(e: &mut VExpr, x: NodeId, zero: f32) -> NodeId {
    let rounded = e.unary(Unary::Round, x);
    let zero = e.constant(zero);
    let (low, high) = (e.constant(0.0), e.constant(255.0));
    let shifted = e.binary(Binary::Add, rounded, zero);
    let above = e.binary(Binary::Max, shifted, low);
    e.binary(Binary::Min, above, high)
}

fn requantised(acc: i32, bias: f32, scale: f32, zero: f32) -> u8 {
    (((acc as f32 + bias) * scale).round_ties_even() + zero).clamp(0.0, 255.0) as u8
}

/// Biases and scales under which sums of `k` products spread over the range of a byte.
fn per_channel(rng: &mut Rng, n: usize, k: usize) -> (Vec<f32>, Vec<f32>) {
    let scale = 1.0 / (6.0 * 73.0 * (k as f32).sqrt() + 1.0);
    let bias = (0..n).map(|_| rng.float() * 5000.0).collect();
    (bias, (0..n).map(|_| scale * (1.5 + rng.float()) * 30.0).collect())
}

/// Calls a kernel for all units in so many parts, with the scratch memory that it asks for.
fn call(r: &Ready, units: u64, parts: u64, c: &Call) {
    let scratch = Bytes::new(&vec![0; r.kernel.scratch_bytes]);
    for p in 0..parts {
        r.call(&Call { begin: units * p / parts, end: units * (p + 1) / parts, scratch: scratch.addr(), ..*c });
    }
    scratch.values();
}

/// Runs a kernel over images, in two parts, with one bias and one scale for each channel.
fn convolve(r: &Ready, input: u64, weights: u64, output: &Bytes, per_channel: [&[f32]; 2]) {
    let inputs = per_channel.map(|values| values.as_ptr() as u64);
    let args = Call { input, weights, output: output.addr(), inputs: &inputs, ..Call::default() };
    call(r, r.kernel.units.count(1) as u64, 2, &args);
}

fn product(target: &TargetDesc, m: usize, n: usize, k: usize, zero_point: u8, spread: Spread, dynamic: bool) {
    let mut rng = Rng(0x77aa_1234 + (m * 131 + n * 17 + k) as u64);
    let (lda, ldc) = (k + 4, n + 3);
    let d = GemmDesc {
        numbers: Numbers::Int8 { zero_point },
        m: (!dynamic).then_some(m),
        n,
        k,
        lda,
        ldc,
        panel: None,
        epilogue: requantise(7.0),
    };
    let a = Bytes::new(&bytes(&mut rng, (m - 1) * lda + k, spread));
    let b = weights(&mut rng, k * n);
    let packed = d.pack_bytes(target, |kk, j| if kk < k { b[kk * n + j] } else { 0 }).unwrap();
    let (bias, scale) = per_channel(&mut rng, n, k);
    let c = Bytes::new(&vec![GUARD; (m - 1) * ldc + n]);
    let r = ready(&KernelDesc::Gemm(d), target);
    let inputs = [bias.as_ptr() as u64, scale.as_ptr() as u64];
    let args = Call {
        input: a.addr(),
        weights: packed.as_ptr() as u64,
        output: c.addr(),
        inputs: &inputs,
        rows: m as u64,
        ..Call::default()
    };
    call(&r, r.kernel.units.count(m) as u64, if m > 3 { 2 } else { 1 }, &args);
    let what = format!("{} {:?} {m}x{n}x{k} zero point {zero_point}", r.kernel.name, target.features);
    for i in 0..m {
        for j in 0..n {
            let x = |kk: usize| i32::from(a.values()[i * lda + kk]) - i32::from(zero_point);
            let acc: i32 = (0..k).map(|kk| x(kk) * i32::from(b[kk * n + j])).sum();
            assert_eq!(c.values()[i * ldc + j], requantised(acc, bias[j], scale[j], 7.0), "{what}: element {i}, {j}");
        }
        let gap = &c.values()[i * ldc + n..(i * ldc + ldc).min(c.values().len())];
        assert!(gap.iter().all(|&b| b == GUARD), "{what}: wrote between rows");
    }
}

#[test]
fn products() {
    for target in &runnable_with_extensions() {
        for m in [1, 2, 3, 5, 8, 13, 33] {
            for n in [1, 3, 4, 8, 15, 16, 17, 31, 40] {
                for k in [4, 8, 12, 20, 36, 64] {
                    product(target, m, n, k, [0, 3, 128, 255][(m + n + k) % 4], SPREADS[(m + n + k / 4) % 3], m == 5);
                }
            }
        }
        for spread in SPREADS {
            product(target, 130, 96, 516, 11, spread, false);
            product(target, 49, 200, 2048, 0, spread, true);
            product(target, 7, 24, 1324, 9, spread, false);
        }
    }
}

fn convolution(target: &TargetDesc, window: Window, in_c: usize, out_c: usize, zero_point: u8) {
    let mut rng = Rng(0x1fff_0123 + (in_c * 31 + out_c) as u64);
    let spread = SPREADS[(in_c + window.kernel[0] + usize::from(zero_point)) % 3];
    let d = dense(Numbers::Int8 { zero_point }, 2, window, [in_c, out_c], requantise(100.0));
    let ([h, w], [kh, kw], [oh, ow]) = (window.image, window.kernel, window.output);
    let x = Bytes::new(&bytes(&mut rng, 2 * h * w * in_c, spread));
    let f = weights(&mut rng, out_c * in_c * kh * kw);
    let packed = d.pack_bytes(target, &f).unwrap();
    let (bias, scale) = per_channel(&mut rng, out_c, in_c * kh * kw);
    let y = Bytes::new(&vec![GUARD; 2 * oh * ow * out_c]);
    let r = ready(&KernelDesc::Conv(d), target);
    convolve(&r, x.addr(), packed.as_ptr() as u64, &y, [&bias, &scale]);
    let what = format!("{} {:?} {window:?} {in_c} to {out_c}", r.kernel.name, target.features);
    for at in 0..2 * oh * ow * out_c {
        let (o, pixel) = (at % out_c, at / out_c);
        let (ox, oy, image) = (pixel % ow, pixel / ow % oh, pixel / ow / oh);
        let mut acc = 0;
        for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
            let row = (oy * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.before[0]);
            let col = (ox * window.stride[1] + kx * window.dilation[1]).wrapping_sub(window.before[1]);
            if row < h && col < w {
                let pixel = &x.values()[((image * h + row) * w + col) * in_c..][..in_c];
                let weight = |c: usize| i32::from(f[((o * in_c + c) * kh + ky) * kw + kx]);
                acc += (0..in_c).map(|c| (i32::from(pixel[c]) - i32::from(zero_point)) * weight(c)).sum::<i32>();
            }
        }
        assert_eq!(y.values()[at], requantised(acc, bias[o], scale[o], 100.0), "{what}: element {at}");
    }
}

#[test]
fn convolutions() {
    for target in &runnable_with_extensions() {
        for (in_c, out_c) in [(3, 8), (1, 5), (4, 16), (6, 17), (8, 33), (20, 4)] {
            for zero_point in [0, 77] {
                let plain = |k, stride, padding| Window::new([9, 11], [k, k], [stride; 2], [padding; 2], [1, 1]);
                convolution(target, plain(3, 1, 1), in_c, out_c, zero_point);
                convolution(target, plain(3, 2, 1), in_c, out_c, zero_point);
                convolution(target, plain(1, 1, 0), in_c, out_c, zero_point);
                convolution(target, plain(1, 2, 0), in_c, out_c, zero_point);
                convolution(target, plain(2, 1, 0), in_c, out_c, zero_point);
                convolution(target, Window::new([9, 11], [3, 3], [1, 1], [2, 2], [2, 2]), in_c, out_c, zero_point);
            }
        }
        for zero_point in [0, 1, 2] {
            convolution(target, Window::new([30, 30], [7, 7], [2, 2], [3, 3], [1, 1]), 3, 24, zero_point);
            convolution(target, Window::new([6, 5], [2, 2], [1, 1], [1, 1], [2, 1]), 76, 9, zero_point);
            convolution(target, Window::new([4, 5], [2, 2], [1, 1], [0, 0], [1, 2]), 2100, 9, zero_point);
        }
    }
}

/// Random images for a depthwise convolution, pixels `pitch` bytes apart, and its weights.
struct Depthwise {
    window: Window,
    channels: usize,
    pitch: usize,
    zero_point: u8,
    x: Bytes,
    f: Vec<i8>,
}

impl Depthwise {
    fn new(window: Window, channels: usize, pitch: usize, zero_point: u8) -> Depthwise {
        let mut rng = Rng(0x5151_0000 + channels as u64);
        let spread = SPREADS[(channels / 4 + window.kernel[0]) % 3];
        let x = Bytes::new(&bytes(&mut rng, 2 * window.image[0] * window.image[1] * pitch, spread));
        let f = weights(&mut rng, channels * window.kernel[0] * window.kernel[1]);
        Depthwise { window, channels, pitch, zero_point, x, f }
    }

    /// Two images, or any number of them; the output has the same pitch.
    fn desc(&self, batch: Option<usize>, epilogue: Epilogue) -> WindowDesc {
        WindowDesc {
            numbers: Numbers::Int8 { zero_point: self.zero_point },
            op: WindowOp::Depthwise,
            batch,
            window: self.window,
            channels: self.channels,
            in_pitch: self.pitch,
            out_pitch: self.pitch,
            epilogue,
        }
    }

    /// The sum for a channel of an output pixel, counted over both images.
    fn sum(&self, pixel: usize, c: usize) -> i32 {
        let (w, [height, width], [oh, ow]) = (&self.window, self.window.image, self.window.output);
        let (image, oy, ox) = (pixel / (oh * ow), pixel / ow % oh, pixel % ow);
        let taps = (0..w.kernel[0]).flat_map(|ky| (0..w.kernel[1]).map(move |kx| (ky, kx)));
        let product = |(ky, kx): (usize, usize)| {
            let row = (oy * w.stride[0] + ky * w.dilation[0]).wrapping_sub(w.before[0]);
            let col = (ox * w.stride[1] + kx * w.dilation[1]).wrapping_sub(w.before[1]);
            if row >= height || col >= width {
                return 0;
            }
            let x = self.x.values()[((image * height + row) * width + col) * self.pitch + c];
            let weight = self.f[(c * w.kernel[0] + ky) * w.kernel[1] + kx];
            (i32::from(x) - i32::from(self.zero_point)) * i32::from(weight)
        };
        taps.map(product).sum()
    }
}

fn depthwise(target: &TargetDesc, window: Window, channels: usize, zero_point: u8) {
    let case = Depthwise::new(window, channels, channels, zero_point);
    let d = case.desc(Some(2), requantise(3.0));
    let packed = Bytes::new(&d.pack(&case.f).unwrap().iter().map(|&w| w as u8).collect::<Vec<u8>>());
    let (bias, scale) = per_channel(&mut Rng(0x77), channels, window.kernel[0] * window.kernel[1]);
    let pixels = 2 * window.output[0] * window.output[1];
    let y = Bytes::new(&vec![GUARD; pixels * channels]);
    let r = ready(&KernelDesc::Window(d), target);
    convolve(&r, case.x.addr(), packed.addr(), &y, [&bias, &scale]);
    for (at, &got) in y.values().iter().enumerate() {
        let (pixel, c) = (at / channels, at % channels);
        let wanted = requantised(case.sum(pixel, c), bias[c], scale[c], 3.0);
        assert_eq!(got, wanted, "{} {window:?} {channels}: element {at}", r.kernel.name);
    }
}

/// Results of every type, a residual of bytes, pixels that are further apart than they have channels, images counted at run time.
#[test]
fn depthwise_results() {
    let scaled = |e: &mut VExpr| {
        let (acc, scale) = (e.acc(), e.input(0));
        e.binary(Binary::Mul, acc, scale)
    };
    for target in &runnable_with_extensions() {
        for (channels, pitch, batch) in [(4, 9, None), (24, 24, Some(2)), (36, 40, None), (100, 103, Some(2))] {
            let window = Window::new([5, 11], [3, 3], [1, 1], [1, 1], [1, 1]);
            let case = Depthwise::new(window, channels, pitch, 70);
            let mut rng = Rng(0x88);
            let (_, scale) = per_channel(&mut rng, channels, 9);
            let pixels = 2 * 5 * 11;
            let residual = Bytes::new(&bytes(&mut rng, pixels * pitch, Spread::Even));
            for out in [Element::F32, Element::I8, Element::U8] {
                let (mut e, mut inputs) = (VExpr::new(), vec![InputDesc::PER_CHANNEL]);
                let mut root = scaled(&mut e);
                if out == Element::U8 {
                    inputs.push(InputDesc { row_stride: pitch, splat: false, element: Element::U8 });
                    let other = e.input(1);
                    root = e.binary(Binary::Add, root, other);
                }
                if out != Element::F32 {
                    let (low, high) = if out == Element::U8 { (0.0, 255.0) } else { (-128.0, 100.0) };
                    let (rounded, low, high) = (e.unary(Unary::Round, root), e.constant(low), e.constant(high));
                    let above = e.binary(Binary::Max, rounded, low);
                    root = e.binary(Binary::Min, above, high);
                }
                e.root(root);
                let d = case.desc(batch, Epilogue { expr: e, inputs, out });
                let packed = Bytes::new(&d.pack(&case.f).unwrap().iter().map(|&w| w as u8).collect::<Vec<u8>>());
                let y = Bytes::new(&vec![GUARD; out.bytes() * pixels * pitch]);
                let r = ready(&KernelDesc::Window(d), target);
                let inputs = [scale.as_ptr() as u64, residual.addr()];
                let args =
                    Call { input: case.x.addr(), weights: packed.addr(), output: y.addr(), inputs: &inputs, ..Call::default() };
                call(&r, r.kernel.units.count(2) as u64, 3, &args);
                for (pixel, c) in (0..pixels).flat_map(|pixel| (0..pitch).map(move |c| (pixel, c))) {
                    let at = pixel * pitch + c;
                    let got = &y.values()[out.bytes() * at..][..out.bytes()];
                    let what = format!("{} {out:?} {channels} {:?}: pixel {pixel}, channel {c}", r.kernel.name, target.features);
                    if c >= channels {
                        assert!(got.iter().all(|&b| b == GUARD), "{what}: wrote between pixels");
                        continue;
                    }
                    let x = case.sum(pixel, c) as f32 * scale[c];
                    let want = match out {
                        Element::F32 => x.to_le_bytes().to_vec(),
                        Element::I8 => vec![x.round_ties_even().clamp(-128.0, 100.0) as i8 as u8],
                        _ => vec![(x + f32::from(residual.values()[at])).round_ties_even().clamp(0.0, 255.0) as u8],
                    };
                    assert_eq!(got, want, "{what}");
                }
            }
        }
    }
}

#[test]
fn depthwise_convolutions() {
    for target in &runnable_with_extensions() {
        for channels in [1, 3, 4, 5, 8, 12, 16, 19, 32, 36, 40, 64, 72, 100, 160, 200] {
            for zero_point in [0, 90, 128, 255] {
                depthwise(target, Window::new([7, 9], [3, 3], [1, 1], [1, 1], [1, 1]), channels, zero_point);
                depthwise(target, Window::new([8, 8], [5, 5], [2, 2], [2, 2], [1, 1]), channels, zero_point);
            }
        }
        for channels in [20, 48, 132] {
            for (kernel, stride, padding, dilation) in [
                ([7, 7], [1, 1], [3, 3], [1, 1]),
                ([8, 9], [1, 1], [4, 4], [1, 1]),
                ([3, 3], [1, 1], [6, 6], [6, 6]),
                ([3, 3], [2, 2], [0, 0], [1, 1]),
                ([1, 5], [1, 2], [0, 2], [1, 1]),
                ([4, 1], [3, 1], [2, 0], [2, 1]),
                ([8, 2], [1, 1], [7, 1], [1, 3]),
            ] {
                for image in [[9, 9], [13, 33], [12, 3]] {
                    let window = Window::new(image, kernel, stride, padding, dilation);
                    if window.output[0] > 0 && window.output[1] > 0 {
                        depthwise(target, window, channels, (channels + 3 * kernel[0]) as u8);
                    }
                }
            }
        }
    }
}

#[test]
fn maps_between_bytes_and_floats() {
    for target in &runnable_with_extensions() {
        for (rows, cols) in [(1, 1), (1, 3), (3, 7), (2, 16), (1, 100), (5, 37)] {
            let mut rng = Rng(0x9999 + cols as u64);
            let (a, b) = (bytes(&mut rng, rows * cols, Spread::Even), bytes(&mut rng, rows * cols, Spread::Even));
            let (a, b) = (Bytes::new(&a), Bytes::new(&b));
            let scale: Vec<f32> = (0..cols).map(|_| 0.3 + 0.2 * rng.float()).collect();
            let mut e = VExpr::new();
            let (x, y, s) = (e.input(0), e.input(1), e.input(2));
            let scaled = e.binary(Binary::Mul, x, s);
            let sum = e.binary(Binary::Add, scaled, y);
            let root = clamped(&mut e, sum, 10.0);
            e.root(root);
            let of = |element| Operand { stride: Stride::Cols, splat: false, element };
            let d = RowsDesc::map(
                Dim::Known(cols),
                vec![of(Element::U8), of(Element::I8), Operand::PER_COLUMN],
                vec![of(Element::U8)],
                e,
            );
            let out = Bytes::new(&vec![GUARD; rows * cols]);
            let r = ready(&KernelDesc::Rows(d), target);
            let (inputs, outputs) = ([a.addr(), b.addr(), scale.as_ptr() as u64], [out.addr()]);
            r.call(&Call { inputs: &inputs, outputs: &outputs, end: rows as u64, ..Call::default() });
            for at in 0..rows * cols {
                let sum = f32::from(a.values()[at]) * scale[at % cols] + f32::from(b.values()[at] as i8);
                let wanted = (sum.round_ties_even() + 10.0).clamp(0.0, 255.0) as u8;
                assert_eq!(out.values()[at], wanted, "{}: element {at}", r.kernel.name);
            }
        }
    }
}

/// AVX-VNNI cannot run on every machine that builds this: its kernel differs from the one of AVX2 in nothing but the products, which
/// are the VEX form of `vpdpbusd`.
#[test]
fn avx_vnni_multiplies_by_its_own_instruction() {
    use iced_x86::{Code, Decoder, DecoderOptions};
    let desc = |m| GemmDesc {
        numbers: Numbers::Int8 { zero_point: 3 },
        m: Some(m),
        n: 32,
        k: 64,
        lda: 64,
        ldc: 32,
        panel: None,
        epilogue: requantise(0.0),
    };
    let vnni = TargetDesc { features: Features { vnni: true, ..Features::default() }, ..TargetDesc::new(Isa::Avx2) };
    let kernel = ready(&KernelDesc::Gemm(desc(40)), &vnni).kernel;
    let codes: Vec<Code> = Decoder::new(64, &kernel.code, DecoderOptions::NONE).iter().map(|i| i.code()).collect();
    assert!(codes.iter().filter(|c| **c == Code::VEX_Vpdpbusd_ymm_ymm_ymmm256).count() >= 8);
    assert!(!codes.contains(&Code::VEX_Vpmaddwd_ymm_ymm_ymmm256));
}

/// Products of binary32 whose results become bytes: a convolution stores them; the algorithms that would write four bytes each refuse.
#[test]
fn convolutions_of_f32_give_bytes() {
    for target in &runnable_with_extensions() {
        let window = Window::new([6, 7], [3, 3], [1, 1], [1, 1], [1, 1]);
        let (in_c, out_c) = (5, 19);
        let d = dense(Numbers::F32, 1, window, [in_c, out_c], requantise(9.0));
        assert!(!WinogradDesc::fits(&d));
        let mut rng = Rng(0xf32);
        let (x, w) = (rng.floats(6 * 7 * in_c), rng.floats(out_c * in_c * 9));
        let (bias, scale) = (rng.floats(out_c), vec![20f32; out_c]);
        let packed = d.pack(target, &w).unwrap();
        let y = Bytes::new(&vec![GUARD; 6 * 7 * out_c]);
        let r = ready(&KernelDesc::Conv(d), target);
        convolve(&r, x.as_ptr() as u64, packed.as_ptr() as u64, &y, [&bias, &scale]);
        for at in 0..6 * 7 * out_c {
            let (o, ox, oy) = (at % out_c, at / out_c % 7, at / out_c / 7);
            let mut acc = 0f64;
            for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                let (row, col) = ((oy + ky).wrapping_sub(1), (ox + kx).wrapping_sub(1));
                if row < 6 && col < 7 {
                    let products = (0..in_c).map(|c| x[(row * 7 + col) * in_c + c] * w[((o * in_c + c) * 3 + ky) * 3 + kx]);
                    acc += products.map(f64::from).sum::<f64>();
                }
            }
            let want = ((acc + f64::from(bias[o])) * 20.0).round_ties_even() + 9.0;
            let got = f64::from(y.values()[at]);
            assert!((got - want.clamp(0.0, 255.0)).abs() <= 1.0, "{}: element {at}: {got} instead of {want}", r.kernel.name);
        }
    }
}
