//! Interpolation: images resized, or sampled at places that a grid gives. Coordinates are computed in binary32
//! (binary64 for images of it), as PyTorch does.

use super::rules::{Types, finish, kind, no_kernel, not_quantized, one, tensor};
use crate::calc::{Num, calc_in_steps};
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError};
use kiln_graph::Dim;
use kiln_loops::{BinaryOp, Expr, Kind};
use kiln_support::DType;

/// An entry for resizing `$axes` axes: plain overload and the one with lists of sizes and factors.
macro_rules! resize {
    ($fixed:literal $($plain:literal $vec:literal $doc:literal $axes:literal $aligned:literal $element:expr;)*) => {
        &[$(
            tensor!($plain, $doc, |cx| resized(cx, Form { axes: $axes, aligned: $aligned, lists: false, fixed: $fixed }), |e, _, index| {
                let element: fn(&mut Element, Form, &[Expr]) -> Expr = $element;
                element(e, Form { axes: $axes, aligned: $aligned, lists: false, fixed: $fixed }, index)
            }),
            tensor!($vec, $doc, |cx| resized(cx, Form { axes: $axes, aligned: $aligned, lists: true, fixed: $fixed }), |e, _, index| {
                let element: fn(&mut Element, Form, &[Expr]) -> Expr = $element;
                element(e, Form { axes: $axes, aligned: $aligned, lists: true, fixed: $fixed }, index)
            }),
        )*]
    };
}

/// Which arguments a resizing operator has.
#[derive(Clone, Copy)]
struct Form {
    /// Spatial axes.
    axes: usize,
    /// Whether there is `align_corners`.
    aligned: bool,
    /// Whether sizes and factors are optional lists, instead of a list of sizes and optional factors.
    lists: bool,
    /// Whether all sizes have to be known while compiling.
    fixed: bool,
}

/// Resizing.
pub const RESIZE: &[Entry] = resize! { false
    "aten::upsample_nearest1d" "aten::upsample_nearest1d.vec" "resized to the nearest elements" 1 false |e, f, i| nearest(e, f, i, 0.0);
    "aten::upsample_nearest2d" "aten::upsample_nearest2d.vec" "resized to the nearest elements" 2 false |e, f, i| nearest(e, f, i, 0.0);
    "aten::upsample_nearest3d" "aten::upsample_nearest3d.vec" "resized to the nearest elements" 3 false |e, f, i| nearest(e, f, i, 0.0);
    "aten::_upsample_nearest_exact1d" "aten::_upsample_nearest_exact1d.vec" "resized to the elements nearest to centres" 1 false
        |e, f, i| nearest(e, f, i, 0.5);
    "aten::_upsample_nearest_exact2d" "aten::_upsample_nearest_exact2d.vec" "resized to the elements nearest to centres" 2 false
        |e, f, i| nearest(e, f, i, 0.5);
    "aten::_upsample_nearest_exact3d" "aten::_upsample_nearest_exact3d.vec" "resized to the elements nearest to centres" 3 false
        |e, f, i| nearest(e, f, i, 0.5);
    "aten::upsample_linear1d" "aten::upsample_linear1d.vec" "resized by linear interpolation" 1 true |e, f, i| linear(e, f, i);
    "aten::upsample_bilinear2d" "aten::upsample_bilinear2d.vec" "resized by linear interpolation" 2 true |e, f, i| linear(e, f, i);
    "aten::upsample_trilinear3d" "aten::upsample_trilinear3d.vec" "resized by linear interpolation" 3 true |e, f, i| linear(e, f, i);
    "aten::upsample_bicubic2d" "aten::upsample_bicubic2d.vec" "resized by cubic convolution" 2 true |e, f, i| cubic(e, f, i);
};

/// Sampling at a grid.
pub const GRID: &[Entry] = &[
    tensor!("aten::grid_sampler_2d", "the image at the places of a grid in -1..1", |cx| grid_type(cx, 2), |e, _, index| grid(
        e, 2, index
    )),
    tensor!("aten::grid_sampler_3d", "the volume at the places of a grid in -1..1", |cx| grid_type(cx, 3), |e, _, index| grid(
        e, 3, index
    )),
    tensor!(
        "aten::grid_sampler",
        "the image or volume at the places of a grid in -1..1",
        |cx| {
            let axes = cx.tensor(0).rank().saturating_sub(2);
            grid_type(cx, axes)
        },
        |e, _, index| {
            let axes = index.len() - 2;
            grid(e, axes, index)
        }
    ),
];

impl Form {
    /// The factor given for an axis.
    fn factor(self, facts: &[Fact], axis: usize) -> Result<Option<f64>, OpError> {
        let at = 2 + usize::from(self.aligned);
        let fact = if self.lists {
            match &facts[at] {
                Fact::List(items) if items.len() == self.axes => &items[axis],
                Fact::None => return Ok(None),
                Fact::List(items) => return OpError::raise(format!("expected {} factors, but got {}", self.axes, items.len())),
                _ => return OpError::unsupported("factors known only at run time"),
            }
        } else {
            &facts[at + axis]
        };
        match fact {
            Fact::None => Ok(None),
            Fact::Float(Ok(factor)) => Ok(Some(*factor)),
            Fact::Int(Dim::Const(factor)) => Ok(Some(*factor as f64)),
            _ => OpError::unsupported("factors known only at run time"),
        }
    }

    fn align_corners(self, facts: &[Fact]) -> bool {
        self.aligned && matches!(facts[2], Fact::Bool(Ok(true)))
    }

    /// The sizes of the result's spatial axes.
    fn sizes(self, cx: &mut Infer) -> Result<Vec<Dim>, OpError> {
        let dims = cx.tensor(0).dims.clone();
        let first = dims.len() - self.axes;
        if !cx.is_none(1) {
            let size = |fact: &Fact| if let Fact::Int(size) = fact { Ok(*size) } else { OpError::unsupported("such a size") };
            return match &cx.args[1] {
                Fact::List(sizes) => sizes.iter().map(size).collect(),
                one => Ok(vec![size(one)?]),
            };
        }
        (0..self.axes)
            .map(|axis| match (self.factor(cx.args, axis)?, dims[first + axis]) {
                (Some(factor), Dim::Const(size)) => Ok(Dim::Const((size as f64 * factor) as i64)),
                (Some(factor), size) if factor.fract() == 0.0 => Ok(cx.mul(size, Dim::Const(factor as i64))),
                (None, _) => OpError::raise("either size or scale_factor should be defined"),
                _ => OpError::unsupported("an image of sizes known only at run time by a factor that is not whole"),
            })
            .collect()
    }
}

fn resized(cx: &mut Infer, form: Form) -> Types {
    not_quantized(cx)?;
    let ty = cx.tensor(0).clone();
    if ty.rank() != form.axes + 2 {
        return OpError::raise(format!("It is expected input_size equals to {}, but got size {}", form.axes + 2, ty.rank()));
    }
    if form.aligned {
        cx.bool(2)?;
    }
    let sizes = form.sizes(cx)?;
    if sizes.len() != form.axes {
        return OpError::raise(format!("It is expected output_size equals to {}, but got size {}", form.axes, sizes.len()));
    }
    let mut dims = ty.dims[..2].to_vec();
    for (axis, &size) in sizes.iter().enumerate() {
        form.factor(cx.args, axis)?;
        let own = ty.dims[axis + 2];
        if form.fixed && (own.as_const().is_none() || size.as_const().is_none()) {
            return OpError::unsupported("an image of sizes known only at run time");
        }
        let text = |dim: Dim| dim.as_const().map_or_else(|| "?".to_owned(), |n| n.to_string());
        let message =
            format!("Input and output sizes should be greater than 0, but got input ({}) and output ({})", text(own), text(size));
        for dim in [own, size] {
            cx.require_at_most(Dim::Const(1), dim, &message)?;
        }
        dims.push(size);
    }
    if form.aligned && !ty.dtype.is_float() {
        return if ty.dtype == DType::U8 {
            OpError::unsupported("interpolation of bytes")
        } else {
            no_kernel("compute_indices_weights", ty.dtype)
        };
    }
    if ty.dtype.is_integral(true) && ty.dtype != DType::U8 {
        return no_kernel("upsample_nearest", ty.dtype);
    }
    one(ty.dtype, dims)
}

/// Sizes of the input and the result along a spatial axis.
fn sizes(e: &Element, axis: usize) -> (Dim, Dim) {
    (e.tensor(0).dims[axis + 2], e.results[0].dims[axis + 2])
}

/// The sizes where they are known while compiling.
fn known_sizes(e: &Element, axis: usize) -> Option<(i64, i64)> {
    let (input, output) = sizes(e, axis);
    Some((input.as_const()?, output.as_const()?))
}

/// Input positions for each position of the result, where that is known while compiling.
fn known_ratio(e: &Element, form: Form, axis: usize) -> Option<f64> {
    if !form.align_corners(e.args)
        && let Some(factor) = form.factor(e.args, axis).expect("checked by the infer rule")
        && factor > 0.0
    {
        return Some(1.0 / factor);
    }
    let (input, output) = known_sizes(e, axis)?;
    if form.align_corners(e.args) {
        return Some(if output > 1 { (input - 1) as f64 / (output - 1) as f64 } else { 0.0 });
    }
    Some(input as f64 / output as f64)
}

/// Input positions for each position of the result, in a kind.
fn ratio(e: &mut Element, form: Form, axis: usize, kind: Kind) -> Expr {
    if let Some(ratio) = known_ratio(e, form, axis) {
        return e.constant(kind, ratio);
    }
    let align = form.align_corners(e.args);
    let (input, output) = sizes(e, axis);
    let (input, output) = (e.dim(input), e.dim(output));
    e.calc([input, output], |[input, output]| {
        if align {
            let steps = (input - 1.0).to_kind(kind) / (output - 1.0).max(1.0).to_kind(kind);
            output.gt(1.0).select(steps, 0.0)
        } else {
            input.to_kind(kind) / output.to_kind(kind)
        }
    })
}

/// The last position of the input along a spatial axis.
fn last_position(e: &mut Element, axis: usize) -> Expr {
    let (input, _) = sizes(e, axis);
    let input = e.dim(input);
    e.calc([input], |[input]| input - 1.0)
}

fn nearest(e: &mut Element, form: Form, index: &[Expr], offset: f64) -> Expr {
    let mut own = index.to_vec();
    for axis in 0..form.axes {
        let at = index[axis + 2];
        own[axis + 2] = match whole_factor(e, form, axis, offset) {
            Some(whole) => e.calc([at], |[o]| o.binary(BinaryOp::FloorDiv, whole as f64)),
            None => {
                let (scale, last) = (ratio(e, form, axis, Kind::F32), last_position(e, axis));
                e.calc([at, scale, last], |[o, scale, last]| {
                    ((o.to_kind(Kind::F32) + offset) * scale).floor().to_kind(Kind::Int).min(last)
                })
            }
        };
    }
    e.load(0, &own)
}

/// The factor of an axis whose result positions are those of the input, each so many times: it needs no floats.
fn whole_factor(e: &Element, form: Form, axis: usize, offset: f64) -> Option<i64> {
    let (input, output) = known_sizes(e, axis)?;
    let scale = known_ratio(e, form, axis)? as f32;
    let source = |o: i64| (((o as f32 + offset as f32) * scale).floor() as i64).min(input - 1);
    let whole = if output % input == 0 { output / input } else { 0 };
    (whole > 0 && (0..output).all(|o| source(o) == o / whole)).then_some(whole)
}

/// The place in the input that a position of the result stems from.
fn source<'a>(o: Num<'a>, kind: Kind, scale: Num<'a>, align: bool) -> Num<'a> {
    let o = o.to_kind(kind);
    if align { o * scale } else { (o + 0.5) * scale - 0.5 }
}

fn linear(e: &mut Element, form: Form, index: &[Expr]) -> Expr {
    let (kind, align) = (kind(e), form.align_corners(e.args));
    let mut taps = Vec::new();
    for axis in 0..form.axes {
        let (input, output) = sizes(e, axis);
        let at = index[axis + 2];
        if input == output {
            let weight = e.constant(kind, 1.0);
            taps.push(vec![(at, weight)]);
            continue;
        }
        let (scale, last) = (ratio(e, form, axis, kind), last_position(e, axis));
        let real = e.calc([at, scale], |[o, scale]| source(o, kind, scale, align).max(0.0));
        let low = e.calc([real, last], |[x, last]| x.floor().to_kind(Kind::Int).min(last));
        let high = e.calc([low, last], |[low, last]| (low + 1.0).min(last));
        let after = e.calc([real, low], |[x, low]| (x - low.to_kind(kind)).clamp(0.0, 1.0));
        let before = e.calc([after], |[after]| 1.0 - after);
        taps.push(vec![(low, before), (high, after)]);
    }
    let y = weighted(e, &taps, &mut index[..2].to_vec());
    finish(e, y)
}

/// The sum over all taps of the axes of their weights times the input there.
fn weighted(e: &mut Element, taps: &[Vec<(Expr, Expr)>], place: &mut Vec<Expr>) -> Expr {
    let Some((first, rest)) = taps.split_first() else { return e.load(0, place) };
    let mut sum = None;
    for &(at, weight) in first {
        place.push(at);
        let x = weighted(e, rest, place);
        place.pop();
        let part = e.binary(BinaryOp::Mul, x, weight);
        sum = Some(sum.map_or(part, |sum| e.binary(BinaryOp::Add, sum, part)));
    }
    sum.expect("an axis has taps")
}

/// The weights of cubic convolution (a = -0.75) for the four positions around, `t` after the second.
fn cubic_weights(t: Num) -> [Num; 4] {
    [far_weight(t + 1.0), near_weight(t), near_weight(1.0 - t), far_weight(2.0 - t)]
}

const A: f64 = -0.75;

fn near_weight(x: Num) -> Num {
    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
}

fn far_weight(x: Num) -> Num {
    ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
}

fn cubic(e: &mut Element, form: Form, index: &[Expr]) -> Expr {
    let (kind, align) = (kind(e), form.align_corners(e.args));
    let mut taps = Vec::new();
    for axis in 0..form.axes {
        let (scale, last) = (ratio(e, form, axis, kind), last_position(e, axis));
        let real = e.calc([index[axis + 2], scale], |[o, scale]| source(o, kind, scale, align));
        let low = e.calc([real], |[x]| x.floor());
        let after = e.calc([real, low], |[x, low]| x - low);
        let axis_taps = (0..4).map(|tap| {
            let at = e.calc([low, last], |[low, last]| (low.to_kind(Kind::Int) + (tap as f64 - 1.0)).max(0.0).min(last));
            (at, e.calc([after], |[t]| cubic_weights(t)[tap]))
        });
        taps.push(axis_taps.collect());
    }
    let y = weighted(e, &taps, &mut index[..2].to_vec());
    finish(e, y)
}

fn grid_type(cx: &mut Infer, axes: usize) -> Types {
    not_quantized(cx)?;
    let (input, grid) = (cx.tensor(0).clone(), cx.tensor(1).clone());
    let (mode, border) = (cx.int(2)?, cx.int(3)?);
    cx.bool(4)?;
    if !(2..=3).contains(&axes) || input.rank() != axes + 2 || grid.rank() != axes + 2 {
        return OpError::raise(format!(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input {input} and grid {grid}"
        ));
    }
    if input.dtype != grid.dtype {
        return OpError::raise("grid_sampler(): expected input and grid to have same dtype");
    }
    if !input.dtype.is_float() {
        return no_kernel("grid_sampler_2d_cpu", input.dtype);
    }
    let message = format!("grid_sampler(): expected grid to have size {axes} in last dimension, but got grid {grid}");
    cx.require_equal(grid.dims[axes + 1], Dim::Const(axes as i64), &message)?;
    if input.dims[2..].contains(&Dim::Const(0)) {
        return OpError::raise("grid_sampler(): expected input to have non-empty spatial dimensions");
    }
    if !(0..=2).contains(&mode) || !(0..=2).contains(&border) {
        return OpError::raise("grid_sampler(): no such interpolation or padding mode");
    }
    cx.require_equal(input.dims[0], grid.dims[0], "grid_sampler(): expected grid and input to have same batch size")?;
    let mut dims = input.dims[..2].to_vec();
    dims.extend(&grid.dims[1..=axes]);
    one(input.dtype, dims)
}

/// What a coordinate outside of the image stands for.
#[derive(Clone, Copy, PartialEq)]
enum Border {
    Zeros,
    Edge,
    Mirror,
}

/// What sampling is done with. Images and volumes differ in the order of some steps, which 16-bit types show: PyTorch
/// computes in the type itself, each step rounded to it.
struct Sampling {
    axes: usize,
    border: Border,
    align: bool,
    dtype: DType,
    kind: Kind,
}

fn grid(e: &mut Element, axes: usize, index: &[Expr]) -> Expr {
    let border = [Border::Zeros, Border::Edge, Border::Mirror][e.const_int(3) as usize];
    let sampling = Sampling { axes, border, align: e.const_bool(4), dtype: e.results[0].dtype, kind: kind(e) };
    let mode = e.const_int(2);
    let places: Vec<Expr> = (0..axes).map(|axis| sampling.place(e, axis, mode != 2, index)).collect();
    let y = match mode {
        0 => sampling.linear(e, &places, index),
        1 => {
            let nearest: Vec<Expr> = places.iter().map(|&x| e.calc([x], |[x]| x.round())).collect();
            sampling.pixel(e, &nearest, None, index)
        }
        _ => {
            let taps: Vec<_> = places.iter().map(|&x| sampling.cubic_taps(e, x)).collect();
            sampling.cubic(e, &taps, &mut Vec::new(), index)
        }
    };
    finish(e, y)
}

impl Sampling {
    fn calc<const N: usize>(
        &self,
        e: &mut Element,
        args: [Expr; N],
        formula: impl for<'a> FnOnce([Num<'a>; N]) -> Num<'a>,
    ) -> Expr {
        calc_in_steps(e.exprs(), self.dtype, args, formula)
    }

    fn is_image(&self) -> bool {
        self.axes == 2
    }

    fn size(&self, e: &mut Element, axis: usize) -> Expr {
        let size = e.tensor(0).dims[axis + 2];
        let size = e.dim(size);
        e.exprs().to_kind(self.kind, size)
    }

    /// The position in the image that the grid names for an axis.
    fn place(&self, e: &mut Element, axis: usize, bring: bool, index: &[Expr]) -> Expr {
        // The grid names the last axis first.
        let mut at = vec![index[0]];
        at.extend(&index[2..]);
        at.push(e.int((self.axes - 1 - axis) as i64));
        let (x, size) = (e.load(1, &at), self.size(e, axis));
        self.calc(e, [x, size], |[x, size]| {
            let real = self.unnormalise(x, size.cast(self.dtype));
            if bring { self.bring_inside(real, size) } else { real }
        })
    }

    /// From -1..1 to positions of the image.
    fn unnormalise<'a>(&self, x: Num<'a>, size: Num<'a>) -> Num<'a> {
        match (self.is_image(), self.align) {
            (true, true) => (x + 1.0) * ((size - 1.0) / 2.0),
            (true, false) => (x + 1.0) * (size / 2.0) - 0.5,
            (false, true) => (x + 1.0) / 2.0 * (size - 1.0),
            (false, false) => ((x + 1.0) * size - 1.0) / 2.0,
        }
    }

    /// A coordinate moved inside as the border says.
    fn bring_inside<'a>(&self, x: Num<'a>, size: Num<'a>) -> Num<'a> {
        let last = size - 1.0;
        let x = match self.border {
            Border::Zeros => return x,
            Border::Edge => x,
            Border::Mirror if self.is_image() => self.mirror_in_image(x, size),
            Border::Mirror => self.mirror_in_volume(x, size),
        };
        let for_nan = if self.is_image() { last.like(0.0) } else { last };
        x.is_nan().select(for_nan, x.clamp(0.0, last))
    }

    fn mirror_in_image<'a>(&self, x: Num<'a>, size: Num<'a>) -> Num<'a> {
        let (low, span) = if self.align { (0.0, size - 1.0) } else { (-0.5, size) };
        let twice = span * 2.0;
        let x = (x - low).abs();
        let extra = x - (x / twice).trunc() * twice;
        span.eq(0.0).select(span.like(0.0), extra.min(twice - extra) + low)
    }

    fn mirror_in_volume<'a>(&self, x: Num<'a>, size: Num<'a>) -> Num<'a> {
        let (low, span) = if self.align { (0.0, size - 1.0) } else { (-0.5, size) };
        let x = (x - low).abs();
        let (extra, flips) = (x.rem(span), (x / span).floor());
        let is_even = (flips * 0.5).floor().eq(flips * 0.5);
        let y = is_even.select(extra + low, span - extra + low);
        span.eq(0.0).select(span.like(0.0), y)
    }

    /// The corners around a position: where they are along each axis, and how much they count.
    fn linear_taps(&self, e: &mut Element, real: Expr) -> [(Expr, Expr); 2] {
        let low = e.calc([real], |[x]| x.floor());
        let high = self.calc(e, [low], |[low]| low + 1.0);
        let after = self.calc(e, [real, low], |[x, low]| x - low);
        let before = self.calc(e, [high, real, after], |[high, x, after]| if self.is_image() { 1.0 - after } else { high - x });
        [(low, before), (high, after)]
    }

    fn linear(&self, e: &mut Element, places: &[Expr], index: &[Expr]) -> Expr {
        let taps: Vec<_> = places.iter().map(|&x| self.linear_taps(e, x)).collect();
        let mut sum = None;
        for corner in 0..1usize << self.axes {
            let chosen: Vec<(Expr, Expr)> = (0..self.axes).map(|axis| taps[axis][corner >> (self.axes - 1 - axis) & 1]).collect();
            let weights = chosen.iter().rev().map(|&(_, weight)| weight);
            let weight = weights.reduce(|a, b| self.calc(e, [a, b], |[a, b]| a * b)).expect("an image has axes");
            let at: Vec<Expr> = chosen.iter().map(|&(at, _)| at).collect();
            let part = self.pixel(e, &at, Some(weight), index);
            sum = Some(sum.map_or(part, |sum| self.calc(e, [sum, part], |[sum, part]| sum + part)));
        }
        sum.expect("an image has corners")
    }

    fn cubic_taps(&self, e: &mut Element, real: Expr) -> Vec<(Expr, Expr)> {
        let low = e.calc([real], |[x]| x.floor());
        let t = self.calc(e, [real, low], |[x, low]| x - low);
        let tap = |e: &mut Element, tap: usize| {
            let at = self.calc(e, [low], |[low]| low + (tap as f64 - 1.0));
            (at, self.calc(e, [t], |[t]| cubic_weights(t)[tap]))
        };
        (0..4).map(|n| tap(e, n)).collect()
    }

    /// The weighted sum over the taps of all axes, the innermost axis first.
    fn cubic(&self, e: &mut Element, taps: &[Vec<(Expr, Expr)>], places: &mut Vec<Expr>, index: &[Expr]) -> Expr {
        let Some((first, rest)) = taps.split_first() else {
            let sizes: Vec<Expr> = (0..self.axes).map(|axis| self.size(e, axis)).collect();
            let inside: Vec<Expr> = places
                .iter()
                .zip(sizes)
                .map(|(&x, size)| self.calc(e, [x, size], |[x, size]| self.bring_inside(x, size)))
                .collect();
            return self.pixel(e, &inside, None, index);
        };
        let mut sum = None;
        for &(at, weight) in first {
            places.push(at);
            let x = self.cubic(e, rest, places, index);
            places.pop();
            let part = self.calc(e, [x, weight], |[x, weight]| x * weight);
            sum = Some(sum.map_or(part, |sum| self.calc(e, [sum, part], |[sum, part]| sum + part)));
        }
        sum.expect("an axis has taps")
    }

    /// The element at a position, times its weight. What is outside is 0; in a volume it counts nothing even where its weight is NaN.
    fn pixel(&self, e: &mut Element, places: &[Expr], weight: Option<Expr>, index: &[Expr]) -> Expr {
        let mut inside = e.exprs().bool(true);
        let mut own = index[..2].to_vec();
        for (axis, &x) in places.iter().enumerate() {
            let size = self.size(e, axis);
            let within = e.calc([x, size], |[x, size]| x.ge(0.0) & x.lt(size));
            inside = e.binary(BinaryOp::And, inside, within);
            own.push(e.exprs().to_kind(Kind::Int, x));
        }
        let (x, zero) = (e.load(0, &own), e.constant(self.kind, 0.0));
        let Some(weight) = weight else { return e.select(inside, x, zero) };
        let x = if self.is_image() { e.select(inside, x, zero) } else { x };
        let part = self.calc(e, [x, weight], |[x, weight]| x * weight);
        if self.is_image() { part } else { e.select(inside, part, zero) }
    }
}

/// Resizing with a filter as wide as the input positions that one position of the result stands for.
pub const FILTERED: &[Entry] = resize! { true
    "aten::_upsample_bilinear2d_aa" "aten::_upsample_bilinear2d_aa.vec" "resized by linear interpolation, averaged where it shrinks" 2 true
        |e, f, i| filtered(e, f, i, 1.0, triangle);
    "aten::_upsample_bicubic2d_aa" "aten::_upsample_bicubic2d_aa.vec" "resized by cubic convolution, averaged where it shrinks" 2 true
        |e, f, i| filtered(e, f, i, 2.0, cubic_filter);
};

fn triangle(x: Num) -> Num {
    let x = x.abs();
    x.lt(1.0).select(1.0 - x, 0.0)
}

/// Cubic convolution with a = -0.5.
fn cubic_filter(x: Num) -> Num {
    let x = x.abs();
    let near = (1.5 * x - 2.5) * x * x + 1.0;
    let far = (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5;
    x.lt(1.0).select(near, x.lt(2.0).select(far, 0.0))
}

/// The positions that a filter covers along an axis: the first, their number, and the weight of one.
struct Cover {
    first: Expr,
    count: Expr,
    longest: Dim,
    center: Expr,
    inverse: f64,
}

fn cover(e: &mut Element, form: Form, axis: usize, at: Expr, reach: f64) -> Cover {
    let (kind, (input, _)) = (kind(e), known_sizes(e, axis).expect("checked by the infer rule"));
    let scale = known_ratio(e, form, axis).expect("checked by the infer rule");
    let support = if scale >= 1.0 { reach * scale } else { reach };
    let center = e.calc([at], |[o]| (o.to_kind(kind) + 0.5) * scale);
    let first = e.calc([center], |[c]| (c - support + 0.5).to_kind(Kind::Int).max(0.0));
    let count = e.calc([center, first], |[c, first]| (c + support + 0.5).to_kind(Kind::Int).min(input as f64) - first);
    let longest = Dim::Const((support.ceil() as i64 * 2 + 1).min(input));
    Cover { first, count, longest, center, inverse: if scale >= 1.0 { 1.0 / scale } else { 1.0 } }
}

fn filtered(e: &mut Element, form: Form, index: &[Expr], reach: f64, filter: for<'a> fn(Num<'a>) -> Num<'a>) -> Expr {
    let kind = kind(e);
    let covers: Vec<Cover> = (0..form.axes).map(|axis| cover(e, form, axis, index[axis + 2], reach)).collect();
    let weight = |e: &mut Element, cover: &Cover, j: Expr| {
        e.calc([j, cover.first, cover.center, cover.count], |[j, first, center, count]| {
            let x = ((j + first).to_kind(kind) - center + 0.5) * cover.inverse;
            j.lt(count).select(filter(x), 0.0)
        })
    };
    let longest: Vec<Dim> = covers.iter().map(|c| c.longest).collect();
    let sum = e.reduce(kiln_loops::ReduceOp::Sum, &longest, &mut |e, j| {
        let mut place = index[..2].to_vec();
        let mut product = e.constant(kind, 1.0);
        for (axis, (cover, &j)) in covers.iter().zip(j).enumerate() {
            let own = weight(e, cover, j);
            product = e.binary(BinaryOp::Mul, product, own);
            let last = last_position(e, axis);
            place.push(e.calc([cover.first, j, last], |[first, j, last]| (first + j).min(last)));
        }
        let x = e.load(0, &place);
        e.binary(BinaryOp::Mul, product, x)
    });
    let mut total = e.constant(kind, 1.0);
    for cover in &covers {
        let all = e.reduce(kiln_loops::ReduceOp::Sum, &[cover.longest], &mut |e, j| weight(e, cover, j[0]));
        total = e.binary(BinaryOp::Mul, total, all);
    }
    let y = e.binary(BinaryOp::Div, sum, total);
    finish(e, y)
}
