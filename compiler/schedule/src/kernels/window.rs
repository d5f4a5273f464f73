//! Windows that slide over channels-last images: convolution, depthwise convolution, pooling.
//!
//! Output axes are `[n, y, x, c]`. The image is read at `[n, y * stride + r * dilation - padding, ..., channel]`, under a
//! condition that is exactly "inside the image" where that can fail. Geometry is read off the computation, so
//! whatever writes such a computation gets the kernel.

use super::affine::{Affine, affine, extent, output_strides};
use super::call::{Call, Stream, call};
use super::contraction::{MOST_INT8_PRODUCTS, epilogue_inputs, without_zero_point};
use super::map::count;
use super::streams::Streams;
use super::vector_expr::translate_output;
use crate::facts::const_tensor;
use crate::lower::{Lowering, R};
use crate::source::Built;
use kiln_kernels::isa::EmitError;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::conv::{ConvDesc, Window};
use kiln_kernels::kernels::epilogue::Epilogue;
use kiln_kernels::kernels::numbers::Numbers;
use kiln_kernels::kernels::ragged::RaggedDesc;
use kiln_kernels::kernels::window::{WindowDesc, WindowOp};
use kiln_kernels::kernels::winograd;
use kiln_kernels::target::TargetDesc;
use kiln_kernels::vexpr::VExpr;
use kiln_loops::interpret::neutral;
use kiln_loops::plan::Operand;
use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Exprs, Extent, ReduceOp, Scalar};
use kiln_support::DType;
use kiln_support::tensor::f32_bytes;
use std::borrow::Cow;
use std::ops::Range;

/// A reduction over a window.
struct Slide {
    op: ReduceOp,
    /// The expression that the kernel's accumulator stands for.
    accumulator: Expr,
    /// Axes of the window's rows and columns.
    taps: [usize; 2],
    /// Axis of the sum over channels, in a convolution.
    channel: Option<usize>,
    input: u32,
    numbers: Numbers,
    window: Window,
    /// The channel that is read.
    read: Expr,
    /// Channels of the image as it lies in memory.
    pitch: usize,
    weights: Option<(u32, Vec<Expr>)>,
    /// What an element outside of the image counts as.
    outside: Option<Expr>,
}

/// Emits a window kernel for a computation, if there is one.
pub fn select(cx: &mut Lowering, built: &Built, output: Operand) -> R<bool> {
    let compute = &built.compute;
    if compute.rank != 4 || extent(compute, 3).is_none() {
        return Ok(false);
    }
    let Some(slide) = find(compute) else { return Ok(false) };
    match slide.weights {
        Some(_) => convolve(cx, built, &slide, output),
        None => pool(cx, built, &slide, output),
    }
}

fn find(compute: &Compute) -> Option<Slide> {
    let root = compute.outputs[0].value;
    let reduce = only_reduction(compute, root)?;
    let ExprData::Reduce { op, axes, body } = compute.exprs.get(reduce) else { return None };
    let (image, weights) = match compute.exprs.get(*body) {
        ExprData::Binary(BinaryOp::Mul, x, w) if *op == ReduceOp::Sum => match compute.exprs.get(*w) {
            ExprData::Load { input, index } => (*x, Some((*input, index.clone()))),
            _ => return None,
        },
        _ => (*body, None),
    };
    let (test, load, outside) = match compute.exprs.get(image) {
        ExprData::Select(test, load, outside) => (Some(*test), *load, Some(*outside)),
        _ => (None, image, None),
    };
    let (load, zero_point) = without_zero_point(compute, load);
    let ExprData::Load { input, index } = compute.exprs.get(load) else { return None };
    let dims = &compute.inputs[*input as usize].dims;
    let numbers = match compute.inputs[*input as usize].dtype {
        DType::F32 => Numbers::F32,
        DType::U8 => Numbers::Int8 { zero_point: u8::try_from(zero_point).ok()? },
        _ => return None,
    };
    let channel = match (axes.as_slice(), &weights) {
        ([_, _, c], Some(_)) => Some(*c as usize),
        ([_, _], None) => None,
        _ => return None,
    };
    let taps = [axes[0] as usize, axes[1] as usize];
    if dims.len() != 4 || !is_batch(compute, index[0], dims[0]) {
        return None;
    }
    if let Some(test) = test {
        is_inside(&compute.exprs, test, index, dims).then_some(())?;
    }
    let rows = axis_geometry(compute, index[1], dims[1], 1, taps[0], test.is_some())?;
    let columns = axis_geometry(compute, index[2], dims[2], 2, taps[1], test.is_some())?;
    let both = |f: fn(&AxisGeometry) -> usize| [f(&rows), f(&columns)];
    let window = Window {
        image: both(|g| g.image),
        kernel: both(|g| g.kernel),
        stride: both(|g| g.stride),
        dilation: both(|g| g.dilation),
        before: both(|g| g.before),
        output: both(|g| g.output),
    };
    let pitch = constant(dims[3])?;
    Some(Slide {
        op: *op,
        accumulator: reduce,
        taps,
        channel,
        input: *input,
        numbers,
        window,
        read: index[3],
        pitch,
        weights,
        outside,
    })
}

/// The only reduction under an expression.
fn only_reduction(compute: &Compute, root: Expr) -> Option<Expr> {
    let (mut found, mut seen, mut work) = (None, vec![false; compute.exprs.len()], vec![root]);
    while let Some(expr) = work.pop() {
        if std::mem::replace(&mut seen[expr.0 as usize], true) {
            continue;
        }
        match compute.exprs.get(expr) {
            ExprData::Reduce { body, .. } => {
                if found.is_some() || compute.any(*body, &mut |d| matches!(d, ExprData::Reduce { .. })) {
                    return None;
                }
                found = Some(expr);
            }
            _ => work.extend(compute.exprs.operands(expr)),
        }
    }
    found
}

fn constant(extent: Extent) -> Option<usize> {
    match extent {
        Extent::Const(n) => usize::try_from(n).ok(),
        Extent::Param(_) => None,
    }
}

/// Whether an index is the image's number.
fn is_batch(compute: &Compute, index: Expr, size: Extent) -> bool {
    *compute.exprs.get(index) == ExprData::Axis(0) || (size == Extent::Const(1) && compute.exprs.as_int(index) == Some(0))
}

struct AxisGeometry {
    image: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    output: usize,
}

/// Reads `out * stride + tap * dilation - padding`.
fn axis_geometry(compute: &Compute, index: Expr, image: Extent, out: usize, tap: usize, guarded: bool) -> Option<AxisGeometry> {
    let Affine { strides, offset, terms } = affine(&compute.exprs, compute.axes.len(), index)?;
    if strides.iter().enumerate().any(|(axis, &s)| s != 0 && axis != out && axis != tap) || offset > 0 || !terms.is_empty() {
        return None;
    }
    let (kernel, output) = (constant(compute.axes[tap])?, constant(compute.axes[out])?);
    // An axis of one step has no stride of its own.
    let step = |axis: usize| {
        if strides[axis] == 0 && extent(compute, axis) == Some(1) {
            Some(1)
        } else {
            usize::try_from(strides[axis]).ok().filter(|&s| s > 0)
        }
    };
    let geometry = AxisGeometry {
        image: constant(image)?,
        kernel,
        stride: step(out)?,
        dilation: step(tap)?,
        before: usize::try_from(-offset).ok()?,
        output,
    };
    let last = (output - 1) * geometry.stride + (kernel - 1) * geometry.dilation;
    let fits = geometry.before == 0 && last < geometry.image;
    (guarded || fits).then_some(geometry)
}

/// Whether a test is made of nothing but "an index is not negative" and "an index is below its size".
fn is_inside(exprs: &Exprs, test: Expr, index: &[Expr], dims: &[Extent]) -> bool {
    let is_size = |axis: usize, e: Expr| matches!(dims[axis], Extent::Const(n) if exprs.as_int(e) == Some(n));
    match exprs.get(test) {
        ExprData::Binary(BinaryOp::And, a, b) => is_inside(exprs, *a, index, dims) && is_inside(exprs, *b, index, dims),
        ExprData::Binary(BinaryOp::Ge, e, zero) => index.contains(e) && exprs.as_int(*zero) == Some(0),
        ExprData::Binary(BinaryOp::Lt, e, size) => index.iter().position(|i| i == e).is_some_and(|axis| is_size(axis, *size)),
        _ => false,
    }
}

/// The epilogue over the accumulator, and its inputs.
fn epilogue<'a>(compute: &'a Compute, accumulator: Expr) -> Option<(Epilogue, Streams<'a>)> {
    let mut streams = Streams::new(compute);
    let mut expr = VExpr::new();
    let (root, out) = translate_output(compute, &compute.outputs[0], &mut expr, &mut |e, out| {
        if e == accumulator { Some(out.acc()) } else { streams.leaf(e, out, &[]) }
    })?;
    expr.root(root);
    let inputs = epilogue_inputs(compute, &[0, 1, 2], &[3], &streams)?;
    Some((Epilogue { expr, inputs, out }, streams))
}

fn batch(compute: &Compute) -> Option<usize> {
    constant(compute.axes[0])
}

fn convolve(cx: &mut Lowering, built: &Built, slide: &Slide, output: Operand) -> R<bool> {
    let compute = &built.compute;
    let Some((weights, index)) = &slide.weights else { return Ok(false) };
    let Some(data) = const_tensor(cx.graph, built.inputs[*weights as usize]) else { return Ok(false) };
    let Some((epilogue, streams)) = epilogue(compute, slide.accumulator) else { return Ok(false) };
    let Some(groups) = groups(compute, slide, index, &data.shape) else { return Ok(false) };
    let zero = if slide.numbers.is_integer() { Scalar::Int(0) } else { Scalar::F32(0.0) };
    let is_zero = slide.outside.is_none_or(|e| compute.exprs.as_const(e) == Some(zero));
    let (out_c, in_c) = (data.shape[0] as usize, data.shape[1] as usize * groups);
    let dtype = if slide.numbers.is_integer() { DType::I8 } else { DType::F32 };
    if !is_zero || data.dtype != dtype || in_c != slide.pitch || extent(compute, 3) != Some(out_c as i64) {
        return Ok(false);
    }
    let (window, taps) = without_outside_taps(slide.window);
    let numbers = slide.numbers;
    let Some(target) = cx.shared.target.vector else { return Ok(false) };
    let (desc, packed) = if groups == in_c && out_c == in_c && groups > 1 {
        let desc = WindowDesc {
            numbers,
            op: WindowOp::Depthwise,
            batch: batch(compute),
            window,
            channels: in_c,
            in_pitch: in_c,
            out_pitch: out_c,
            epilogue,
        };
        // Kernels bring bytes of weights into the order that they read.
        let packed = match numbers {
            Numbers::F16 | Numbers::Int4 => return Ok(false),
            Numbers::F32 => desc.pack(&of_taps(&data.to_f32(), slide.window.kernel, &taps)).map(|values| f32_bytes(&values)),
            Numbers::Int8 { .. } => desc.pack(&of_taps(&data.bytes, slide.window.kernel, &taps)),
        };
        (KernelDesc::Window(desc), packed)
    } else {
        let desc = ConvDesc {
            numbers,
            batch: batch(compute),
            window,
            in_c,
            in_pitch: in_c,
            out_c,
            out_pitch: out_c,
            groups,
            panel: None,
            epilogue,
        };
        match numbers {
            Numbers::F16 | Numbers::Int4 => return Ok(false),
            Numbers::F32 => dense_convolution(cx, desc, &target, &of_taps(&data.to_f32(), slide.window.kernel, &taps)),
            Numbers::Int8 { .. } if in_c * window.kernel[0] * window.kernel[1] >= MOST_INT8_PRODUCTS => return Ok(false),
            Numbers::Int8 { .. } => {
                let panel = cx.shared.choices.of(&KernelDesc::Conv(desc.clone())).panel;
                let desc = ConvDesc { panel, ..desc };
                let weights: Vec<i8> = data.bytes.iter().map(|&b| b as i8).collect();
                let packed = desc.pack_bytes(&target, &of_taps(&weights, slide.window.kernel, &taps));
                // Kernels that differ in nothing but what is in the weights are one.
                (KernelDesc::Conv(desc.with_any_zero_point(&target)), packed)
            }
        }
    };
    let Ok(packed) = packed else { return Ok(false) };
    if kiln_kernels::kernels::emit(&desc, &target).is_err() {
        return Ok(false);
    }
    let id = cx.shared.data.add("weights", packed.into(), 64, Vec::new());
    emit_call(cx, built, slide, desc, &streams, Some(Stream::fixed(Operand::Data(id, 0))), output)
}

/// The kernel for a convolution that is not channel by channel, and its packed weights.
fn dense_convolution(
    cx: &Lowering,
    desc: ConvDesc,
    target: &TargetDesc,
    values: &[f32],
) -> (KernelDesc, Result<Vec<u8>, EmitError>) {
    let choice = cx.shared.choices.of(&KernelDesc::Conv(desc.clone()));
    let desc = ConvDesc { panel: choice.panel, ..desc };
    let is_strict = cx.shared.target.settings.strict;
    let by_tiles = choice.winograd.map_or_else(|| winograd::choose(&desc, target), |tile| winograd::of_tile(&desc, tile, target));
    if let Some(desc) = by_tiles.filter(|_| !is_strict) {
        let packed = desc.pack(target, values).map(|values| f32_bytes(&values));
        return (KernelDesc::Winograd(desc), packed);
    }
    if let Some(desc) = RaggedDesc::choose(&desc) {
        let packed = desc.pack(target, values).map(|values| f32_bytes(&values));
        return (KernelDesc::Ragged(desc), packed);
    }
    let packed = desc.pack(target, values).map(|values| f32_bytes(&values));
    (KernelDesc::Conv(desc), packed)
}

/// The window without the taps that never meet the image, as those of a large dilation over a small image; and which taps stay.
fn without_outside_taps(w: Window) -> (Window, [Range<usize>; 2]) {
    let mut trimmed = w;
    let taps = std::array::from_fn(|axis| {
        let meets = |tap: usize| {
            let at = |out: usize| out * w.stride[axis] + tap * w.dilation[axis];
            (0..w.output[axis]).any(|out| at(out) >= w.before[axis] && at(out) - w.before[axis] < w.image[axis])
        };
        // What begins inside of the image has no place for its first window to begin at.
        let first = (0..w.kernel[axis]).take_while(|&t| !meets(t) && (t + 1) * w.dilation[axis] <= w.before[axis]).count();
        let last = (first..w.kernel[axis]).rev().find(|&t| meets(t)).unwrap_or(first);
        trimmed.before[axis] -= first * w.dilation[axis];
        trimmed.kernel[axis] = last + 1 - first;
        first..last + 1
    });
    (trimmed, taps)
}

/// The weights of some taps, of filters with taps `[rows, columns]`.
fn of_taps<'w, T: Copy>(weights: &'w [T], [rows, columns]: [usize; 2], taps: &[Range<usize>; 2]) -> Cow<'w, [T]> {
    if *taps == [0..rows, 0..columns] {
        return weights.into();
    }
    let filters = weights.chunks(rows * columns);
    filters.flat_map(|filter| taps[0].clone().flat_map(move |r| filter[r * columns..][taps[1].clone()].iter().copied())).collect()
}

/// The number of groups, where weights are `[o, i, r, s]` and the channel read is `i` within the group of `o`.
fn groups(compute: &Compute, slide: &Slide, index: &[Expr], shape: &[i64]) -> Option<usize> {
    let sum = slide.channel?;
    let mut exprs = compute.exprs.clone();
    let mut axis = |a: usize| exprs.intern(ExprData::Axis(a as u32));
    let (o, i, r, s) = (axis(3), axis(sum), axis(slide.taps[0]), axis(slide.taps[1]));
    // Axes of one step may be read at 0.
    let same = |e: Expr, wanted: Expr, size: i64| e == wanted || (size == 1 && compute.exprs.as_int(e) == Some(0));
    let fits = shape.len() == 4 && [o, i, r, s].iter().zip(index).zip(shape).all(|((&w, &e), &size)| same(e, w, size));
    let (pitch, per_sum) = (slide.pitch as i64, shape.get(1).copied()?);
    if !fits || per_sum == 0 || pitch % per_sum != 0 {
        return None;
    }
    let groups = pitch / per_sum;
    if groups == 1 {
        return same(slide.read, i, per_sum).then_some(1);
    }
    if groups == 0 || shape[0] % groups != 0 {
        return None;
    }
    let (per_group, in_group) = (exprs.int(shape[0] / groups), exprs.int(per_sum));
    let group = exprs.binary(BinaryOp::FloorDiv, o, per_group);
    let first = exprs.mul(group, in_group);
    let channel = exprs.add(first, i);
    (channel == slide.read || (per_sum == 1 && first == slide.read)).then_some(groups as usize)
}

fn pool(cx: &mut Lowering, built: &Built, slide: &Slide, output: Operand) -> R<bool> {
    let compute = &built.compute;
    let channels = extent(compute, 3).unwrap_or(0) as usize;
    let reads_own =
        *compute.exprs.get(slide.read) == ExprData::Axis(3) || (channels == 1 && compute.exprs.as_int(slide.read) == Some(0));
    let outside = slide.outside.and_then(|e| compute.exprs.as_const(e));
    let (op, accumulator) = match slide.op {
        ReduceOp::Max if outside.is_none_or(|s| s == neutral(ReduceOp::Max, s.kind())) => (WindowOp::Max, slide.accumulator),
        ReduceOp::Sum if outside.is_none_or(|s| s == Scalar::F32(0.0)) => match mean(compute, slide) {
            Some(found) => found,
            None => return Ok(false),
        },
        _ => return Ok(false),
    };
    // A maximum is over the bytes as they are.
    let has_zero_point = matches!(slide.numbers, Numbers::Int8 { zero_point } if zero_point != 0);
    if !reads_own || channels != slide.pitch || has_zero_point {
        return Ok(false);
    }
    let Some((epilogue, streams)) = epilogue(compute, accumulator) else { return Ok(false) };
    let desc = WindowDesc {
        numbers: slide.numbers,
        op,
        batch: batch(compute),
        window: slide.window,
        channels,
        in_pitch: channels,
        out_pitch: channels,
        epilogue,
    };
    emit_call(cx, built, slide, KernelDesc::Window(desc), &streams, None, output)
}

/// The mean that a sum is made into: the quotient by a number of elements, which is a constant or the number of elements
/// inside the image.
fn mean(compute: &Compute, slide: &Slide) -> Option<(WindowOp, Expr)> {
    let (quotient, divisor) = (0..compute.exprs.len() as u32).map(Expr).find_map(|e| match compute.exprs.get(e) {
        ExprData::Binary(BinaryOp::Div, a, b) if *a == slide.accumulator => Some((e, *b)),
        _ => None,
    })?;
    if let Some(Scalar::F32(n)) = compute.exprs.as_const(divisor) {
        return (n >= 1.0 && n.fract() == 0.0 && n < 1e9).then_some((WindowOp::AvgFixed(n as usize), quotient));
    }
    let ExprData::Cast(DType::F32, number) = compute.exprs.get(divisor) else { return None };
    let w = &slide.window;
    let inside = |axis: usize, out: usize| {
        let at = |k: usize| out * w.stride[axis] + k * w.dilation[axis];
        (0..w.kernel[axis]).filter(|&k| at(k) >= w.before[axis] && at(k) - w.before[axis] < w.image[axis]).count() as i64
    };
    let (mut fixed, mut is_fixed, mut is_inside) = (None, true, true);
    for y in 0..w.output[0] {
        for x in 0..w.output[1] {
            let mut axes = vec![0; compute.axes.len()];
            (axes[1], axes[2]) = (y as i64, x as i64);
            let n = evaluate(&compute.exprs, *number, &axes)?;
            is_fixed &= *fixed.get_or_insert(n) == n;
            is_inside &= n == inside(0, y) * inside(1, x);
        }
    }
    match fixed {
        Some(n) if is_fixed && n > 0 => Some((WindowOp::AvgFixed(n as usize), quotient)),
        _ if is_inside => Some((WindowOp::AvgInside, quotient)),
        _ => None,
    }
}

/// The value of an int expression of axes alone.
fn evaluate(exprs: &Exprs, expr: Expr, axes: &[i64]) -> Option<i64> {
    match exprs.get(expr) {
        ExprData::Const(Scalar::Int(n)) => Some(*n),
        ExprData::Axis(axis) => Some(axes[*axis as usize]),
        ExprData::Binary(op, a, b) if !op.is_compare() => {
            let (a, b) = (evaluate(exprs, *a, axes)?, evaluate(exprs, *b, axes)?);
            Some(kiln_loops::scalar::binary(*op, Scalar::Int(a), Scalar::Int(b)).as_int())
        }
        _ => None,
    }
}

fn emit_call(
    cx: &mut Lowering,
    built: &Built,
    slide: &Slide,
    desc: KernelDesc,
    streams: &Streams,
    weights: Option<Stream>,
    output: Operand,
) -> R<bool> {
    if output_strides(&built.compute).is_none() {
        return Ok(false);
    }
    let input = Stream::fixed(cx.pointer(built.inputs[slide.input as usize])?);
    let batch = count(cx, built, &[0])?;
    let inputs = streams.emit(cx, built, &[])?;
    let parts =
        Call { input: Some(input), weights, output: Some(Stream::fixed(output)), inputs, batch: Some(batch), ..Call::default() };
    call(cx, desc, parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a dilation larger than the image only the tap in the middle is left; of one that reaches in, all are.
    #[test]
    fn taps_outside_of_the_image_are_left_out() {
        let of = |dilation: usize| without_outside_taps(Window::new([14, 14], [3, 3], [1, 1], [dilation; 2], [dilation; 2]));
        let (window, taps) = of(24);
        assert_eq!((window.kernel, window.before, window.output, taps.clone()), ([1, 1], [0, 0], [14, 14], [1..2, 1..2]));
        let weights: Vec<f32> = (0..18).map(|i| i as f32).collect();
        assert_eq!(*of_taps(&weights, [3, 3], &taps), [4.0, 13.0]);
        assert_eq!(of(12), (Window::new([14, 14], [3, 3], [1, 1], [12; 2], [12; 2]), [0..3, 0..3]));
        assert_eq!(of_taps(&weights, [3, 3], &[0..3, 1..3])[..3], [1.0, 2.0, 4.0]);
    }
}
