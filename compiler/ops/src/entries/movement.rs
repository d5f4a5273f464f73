//! Operators that move elements without computing: joining, repeating, flipping, padding.

use super::regroup::{flatten, unflatten};
use super::rules::{Types, finish, kind, not_quantized, one, same, tensor};
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError, wrap_axis};
use crate::promote::Promotion;
use kiln_graph::{Dim, TensorType};
use kiln_loops::{BinaryOp, Expr, Kind};

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    tensor!("aten::cat", "tensors one after the other along an axis", joined, join),
    tensor!("aten::concat", "tensors one after the other along an axis", joined, join),
    tensor!("aten::concatenate", "tensors one after the other along an axis", joined, join),
    tensor!("aten::stack", "tensors of one shape along a new axis", stacked, |e, _, index| {
        let axis = wrap_axis(e.const_int(1), index.len()).expect("checked by the infer rule");
        let mut own = index.to_vec();
        let at = own.remove(axis);
        let count = list(e.args).len();
        let mut value = e.load_item(0, count - 1, &own);
        value = finish(e, value);
        for item in (0..count - 1).rev() {
            let here = e.load_item(0, item, &own);
            let here = finish(e, here);
            let position = e.int(item as i64);
            let is_here = e.binary(BinaryOp::Eq, at, position);
            value = e.select(is_here, here, value);
        }
        value
    }),
    tensor!("aten::flip", "reversed along axes", flipped, |e, _, index| {
        let mut own = index.to_vec();
        for axis in e.const_ints(1) {
            let axis = wrap_axis(axis, own.len()).expect("checked by the infer rule");
            if let Some(i) = own.get(axis).copied() {
                let size = e.tensor(0).dims[axis];
                let size = e.dim(size);
                own[axis] = e.calc([i, size], |[i, size]| size - 1.0 - i);
            }
        }
        e.load(0, &own)
    }),
    tensor!("aten::roll", "shifted along axes, what falls out coming in at the other end", rolled, roll),
    tensor!("aten::repeat", "copies of the tensor along axes", repeated, |e, _, index| {
        let dims = e.tensor(0).dims.clone();
        let skip = index.len() - dims.len();
        let mut own = Vec::new();
        for (&i, dim) in index[skip..].iter().zip(dims) {
            let size = e.dim(dim);
            own.push(e.binary(BinaryOp::Mod, i, size));
        }
        e.load(0, &own)
    }),
    tensor!("aten::repeat_interleave.self_int", "each position several times", interleaved, |e, _, index| {
        let repeats = e.number(1, Kind::Int);
        let mut own = index.to_vec();
        let axis = if e.is_none(2) { 0 } else { wrap_axis(e.const_int(2), own.len()).expect("checked by the infer rule") };
        own[axis] = e.binary(BinaryOp::FloorDiv, own[axis], repeats);
        let dims = e.tensor(0).dims.clone();
        let own = if e.is_none(2) { unflatten(e, own[0], &dims) } else { own };
        e.load(0, &own[..dims.len()])
    }),
    tensor!("aten::constant_pad_nd", "a border of one value", |cx| padded(cx, Border::Constant), |e, _, index| pad_constant(
        e, index
    )),
    tensor!("aten::reflection_pad1d", "a border that mirrors the inside", |cx| padded(cx, Border::Reflect), |e, _, index| {
        pad(e, index, Border::Reflect)
    }),
    tensor!("aten::reflection_pad2d", "a border that mirrors the inside", |cx| padded(cx, Border::Reflect), |e, _, index| {
        pad(e, index, Border::Reflect)
    }),
    tensor!("aten::reflection_pad3d", "a border that mirrors the inside", |cx| padded(cx, Border::Reflect), |e, _, index| {
        pad(e, index, Border::Reflect)
    }),
    tensor!("aten::replication_pad1d", "a border that repeats the edge", |cx| padded(cx, Border::Replicate), |e, _, index| pad(
        e,
        index,
        Border::Replicate
    )),
    tensor!("aten::replication_pad2d", "a border that repeats the edge", |cx| padded(cx, Border::Replicate), |e, _, index| pad(
        e,
        index,
        Border::Replicate
    )),
    tensor!("aten::replication_pad3d", "a border that repeats the edge", |cx| padded(cx, Border::Replicate), |e, _, index| pad(
        e,
        index,
        Border::Replicate
    )),
    tensor!(
        "aten::_pad_circular",
        "a border that continues at the other end",
        |cx| padded(cx, Border::Circular),
        |e, _, index| pad(e, index, Border::Circular)
    ),
    tensor!("aten::tril", "the lower triangle, 0 elsewhere", triangle_type, |e, _, index| triangle(e, index, BinaryOp::Le)),
    tensor!("aten::triu", "the upper triangle, 0 elsewhere", triangle_type, |e, _, index| triangle(e, index, BinaryOp::Ge)),
    tensor!("aten::diag_embed", "matrices with a diagonal, 0 elsewhere", embedded, embed),
];

/// The facts of a tensor-list argument 0.
fn list(args: &[Fact]) -> &[Fact] {
    if let Fact::List(items) = &args[0] { items } else { &[] }
}

/// As PyTorch always did: an empty tensor of one axis joins with anything.
fn is_legacy_empty(ty: &TensorType) -> bool {
    ty.dims == [Dim::Const(0)]
}

fn joined(cx: &mut Infer) -> Types {
    let tensors: Vec<TensorType> = cx.tensors(0).into_iter().cloned().collect();
    let Some(dtype) = Promotion::of(list(cx.args)) else {
        return OpError::raise("torch.cat(): expected a non-empty list of Tensors");
    };
    not_quantized(cx)?;
    if tensors.iter().any(|t| t.rank() == 0) {
        return OpError::raise("zero-dimensional tensor (at position 0) cannot be concatenated");
    }
    let most = tensors.iter().map(TensorType::rank).max();
    if most != Some(1) && tensors.iter().any(|t| matches!(t.dims[..], [Dim::Value(_)])) {
        return OpError::unsupported("a tensor of one axis among others, which is left out if it has no element");
    }
    let Some(first) = tensors.iter().find(|t| !is_legacy_empty(t)).cloned() else {
        wrap_axis(cx.int(1)?, 1)?;
        return one(dtype, vec![Dim::Const(0)]);
    };
    let axis = cx.axis(1, first.rank())?;
    let mut dims = first.dims.clone();
    dims[axis] = Dim::Const(0);
    for (at, ty) in tensors.iter().enumerate().filter(|(_, t)| !is_legacy_empty(t)) {
        if ty.rank() != dims.len() {
            return OpError::raise(format!("Tensors must have same number of dimensions: got {} and {}", dims.len(), ty.rank()));
        }
        for other in (0..dims.len()).filter(|i| *i != axis) {
            dims[other] = match_dim(cx, dims[other], ty.dims[other], axis, at)?;
        }
        dims[axis] = cx.add(dims[axis], ty.dims[axis]);
    }
    one(dtype, dims)
}

/// The size that two tensors share; `axis` is the one that may differ.
fn match_dim(cx: &mut Infer, a: Dim, b: Dim, axis: usize, at: usize) -> Result<Dim, OpError> {
    match (a, b) {
        (a, b) if a == b => Ok(a),
        (Dim::Const(x), Dim::Const(y)) => OpError::raise(format!(
            "Sizes of tensors must match except in dimension {axis}. Expected size {x} but got size {y} for tensor number {at} in the list."
        )),
        (a, b) => {
            cx.dims.require_equal(a, b, &format!("Sizes of tensors must match except in dimension {axis}"));
            Ok(if a.as_const().is_some() { a } else { b })
        }
    }
}

fn join(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let axis = wrap_axis(e.const_int(1), index.len()).expect("checked by the infer rule");
    let types: Vec<(usize, TensorType)> = list(e.args)
        .iter()
        .enumerate()
        .filter_map(|(i, f)| if let Fact::Tensor(t) = f { Some((i, t.clone())) } else { None })
        .filter(|(_, t)| !is_legacy_empty(t) && t.dims.get(axis) != Some(&Dim::Const(0)))
        .collect();
    let mut start = e.int(0);
    let mut parts = Vec::new();
    for (item, ty) in &types {
        let mut own = index.to_vec();
        own[axis] = e.binary(BinaryOp::Sub, index[axis], start);
        let value = e.load_item(0, *item, &own);
        let size = e.dim(ty.dims[axis]);
        start = e.binary(BinaryOp::Add, start, size);
        let is_here = e.binary(BinaryOp::Lt, index[axis], start);
        parts.push((is_here, finish(e, value)));
    }
    let Some((_, last)) = parts.pop() else { return e.constant(kind(e), 0.0) };
    parts.into_iter().rev().fold(last, |rest, (is_here, value)| e.select(is_here, value, rest))
}

fn stacked(cx: &mut Infer) -> Types {
    let tensors: Vec<TensorType> = cx.tensors(0).into_iter().cloned().collect();
    let Some(dtype) = Promotion::of(list(cx.args)) else {
        return OpError::raise("stack expects a non-empty TensorList");
    };
    let mut dims = tensors[0].dims.clone();
    for (at, ty) in tensors.iter().enumerate() {
        if ty.rank() != dims.len() {
            return OpError::raise(format!(
                "stack expects each tensor to be equal size, but got {} at entry 0 and {ty} at entry {at}",
                tensors[0]
            ));
        }
        for (axis, dim) in dims.iter_mut().enumerate() {
            *dim = match_dim(cx, *dim, ty.dims[axis], axis, at)?;
        }
    }
    let axis = wrap_axis(cx.int(1)?, dims.len() + 1)?;
    dims.insert(axis, Dim::Const(tensors.len() as i64));
    one(dtype, dims)
}

fn flipped(cx: &mut Infer) -> Types {
    let rank = cx.tensor(0).rank();
    let mut axes: Vec<usize> = cx.ints(1)?.into_iter().map(|a| wrap_axis(a, rank)).collect::<Result<_, _>>()?;
    axes.sort();
    if axes.windows(2).any(|w| w[0] == w[1]) {
        return OpError::raise("dim appears multiple times in the list of dims");
    }
    same(cx)
}

fn rolled(cx: &mut Infer) -> Types {
    let (shifts, axes) = (cx.dim_list(1)?, cx.ints(2)?);
    if shifts.is_empty() {
        return OpError::raise("`shifts` required");
    }
    if axes.is_empty() && shifts.len() == 1 {
        return same(cx);
    }
    if shifts.len() != axes.len() {
        return OpError::raise(format!("shifts and dimensions must align. shifts: {}, dims:{}", shifts.len(), axes.len()));
    }
    if cx.tensor(0).rank() == 0 {
        return OpError::index("Dimension specified as 0 but tensor has no dimensions");
    }
    for axis in axes {
        wrap_axis(axis, cx.tensor(0).rank())?;
    }
    same(cx)
}

fn roll(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let (shifts, axes, dims) = (e.dim_list(1), e.const_ints(2), e.tensor(0).dims.clone());
    if axes.is_empty() {
        let flat = flatten(e, &dims, index);
        let size = dims.iter().fold(e.int(1), |product, &d| {
            let d = e.dim(d);
            e.binary(BinaryOp::Mul, product, d)
        });
        let rolled = shifted(e, flat, shifts[0], size);
        let own = unflatten(e, rolled, &dims);
        return e.load(0, &own);
    }
    let mut own = index.to_vec();
    for (axis, shift) in axes.into_iter().zip(shifts) {
        let axis = wrap_axis(axis, own.len()).expect("checked by the infer rule");
        let size = e.dim(dims[axis]);
        own[axis] = shifted(e, own[axis], shift, size);
    }
    e.load(0, &own)
}

fn shifted(e: &mut Element, i: Expr, shift: Dim, size: Expr) -> Expr {
    let shift = e.dim(shift);
    let moved = e.binary(BinaryOp::Sub, i, shift);
    e.binary(BinaryOp::Mod, moved, size)
}

fn repeated(cx: &mut Infer) -> Types {
    let (own, repeats) = (cx.tensor(0).dims.clone(), cx.dim_list(1)?);
    if repeats.len() < own.len() {
        return OpError::raise("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor");
    }
    for &count in &repeats {
        cx.require_at_most(Dim::Const(0), count, &format!("Trying to create tensor with negative dimension {count}"))?;
    }
    let skip = repeats.len() - own.len();
    let mut dims = repeats;
    for (dim, size) in dims[skip..].iter_mut().zip(own) {
        *dim = cx.mul(*dim, size);
    }
    one(cx.tensor(0).dtype, dims)
}

fn interleaved(cx: &mut Infer) -> Types {
    let ty = cx.tensor(0).clone();
    let repeats = cx.dim(1)?;
    cx.require_at_most(Dim::Const(0), repeats, "Repeats must be non-negative")?;
    let mut dims = ty.dims;
    let axis = match cx.opt_int(2)? {
        None => {
            dims = vec![cx.product(&dims)];
            0
        }
        Some(axis) => wrap_axis(axis, dims.len())?,
    };
    if dims.is_empty() {
        dims.push(Dim::Const(1));
    }
    dims[axis] = cx.mul(dims[axis], repeats);
    one(ty.dtype, dims)
}

/// What stands outside of a padded tensor.
#[derive(Clone, Copy, PartialEq)]
enum Border {
    Constant,
    Reflect,
    Replicate,
    Circular,
}

/// Padding before and after each axis; the list starts with the last axis.
fn paddings(pad: &[Dim], rank: usize) -> Vec<(Dim, Dim)> {
    let mut all = vec![(Dim::Const(0), Dim::Const(0)); rank];
    for (i, pair) in pad.chunks(2).enumerate().take(rank) {
        all[rank - 1 - i] = (pair[0], pair[1]);
    }
    all
}

fn padded(cx: &mut Infer, border: Border) -> Types {
    let (ty, pad) = (cx.tensor(0).clone(), cx.dim_list(1)?);
    if pad.len() % 2 != 0 {
        return OpError::raise(format!("Length of pad must be even but instead it equals {}", pad.len()));
    }
    if pad.len() / 2 > ty.rank() {
        return OpError::raise(format!(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad length is {} while the input has {} dimensions.",
            pad.len(),
            ty.rank()
        ));
    }
    let is_spatial_rank = ty.rank() == pad.len() / 2 + 1 || ty.rank() == pad.len() / 2 + 2;
    if border != Border::Constant && !is_spatial_rank {
        return OpError::raise(format!("{}D pad does not fit an input of {} dimensions", pad.len() / 2, ty.rank()));
    }
    let mut dims = Vec::new();
    for (axis, (before, after)) in paddings(&pad, ty.rank()).into_iter().enumerate() {
        let own = ty.dims[axis];
        check_border(cx, own, before, after, border)?;
        let sum = cx.add(own, before);
        let size = cx.add(sum, after);
        if before != Dim::Const(0) || after != Dim::Const(0) {
            let least = Dim::Const(i64::from(border != Border::Constant && own != Dim::Const(0)));
            let message =
                format!("The input size {own}, plus negative padding {before} and {after}, resulted in a negative output size");
            cx.require_at_most(least, size, &message)?;
        }
        dims.push(size);
    }
    one(ty.dtype, dims)
}

fn check_border(cx: &mut Infer, own: Dim, before: Dim, after: Dim, border: Border) -> Result<(), OpError> {
    if border == Border::Constant || (before, after) == (Dim::Const(0), Dim::Const(0)) {
        return Ok(());
    }
    let (least, message) = match border {
        Border::Reflect => (
            1,
            format!(
                "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding ({before}, {after}) at dimension of size {own}"
            ),
        ),
        Border::Circular => (0, "Padding value causes wrapping around more than once.".to_owned()),
        _ => return cx.require_at_most(Dim::Const(1), own, "Expected a non-zero size for the padded dimension"),
    };
    for pad in [before, after] {
        let needed = cx.add(pad, Dim::Const(least));
        cx.require_at_most(needed, own, &message)?;
    }
    Ok(())
}

fn pad_constant(e: &mut Element, index: &[Expr]) -> Expr {
    let (dims, pad) = (e.tensor(0).dims.clone(), e.dim_list(1));
    let mut inside = e.exprs().bool(true);
    let mut own = index.to_vec();
    for (axis, (before, _)) in paddings(&pad, dims.len()).into_iter().enumerate() {
        let (before, size) = (e.dim(before), e.dim(dims[axis]));
        own[axis] = e.binary(BinaryOp::Sub, index[axis], before);
        let within = e.calc([own[axis], size], |[i, size]| i.ge(0.0) & i.lt(size));
        inside = e.binary(BinaryOp::And, inside, within);
    }
    let value = e.number(2, kind(e));
    let value = finish(e, value);
    let x = e.load(0, &own);
    e.select(inside, x, value)
}

fn pad(e: &mut Element, index: &[Expr], border: Border) -> Expr {
    let (dims, pad) = (e.tensor(0).dims.clone(), e.dim_list(1));
    let mut own = index.to_vec();
    for (axis, (before, after)) in paddings(&pad, dims.len()).into_iter().enumerate() {
        if (before, after) == (Dim::Const(0), Dim::Const(0)) {
            continue;
        }
        let (before, size) = (e.dim(before), e.dim(dims[axis]));
        own[axis] = e.calc([index[axis], before, size], |[i, before, size]| {
            let i = i - before;
            match border {
                Border::Reflect => (size - 1.0) - ((size - 1.0) - i.abs()).abs(),
                Border::Circular => i.binary(BinaryOp::Mod, size),
                _ => i.clamp(0.0, size - 1.0),
            }
        });
    }
    e.load(0, &own)
}

fn triangle_type(cx: &mut Infer) -> Types {
    if cx.tensor(0).rank() < 2 {
        return OpError::raise("tril: input tensor must have at least 2 dimensions");
    }
    same(cx)
}

fn triangle(e: &mut Element, index: &[Expr], op: BinaryOp) -> Expr {
    let [.., row, column] = index else { panic!("a triangle has two axes") };
    let diagonal = e.number(1, Kind::Int);
    let distance = e.binary(BinaryOp::Sub, *column, *row);
    let is_inside = e.binary(op, distance, diagonal);
    let (x, zero) = (e.load(0, index), e.constant(kind(e), 0.0));
    e.select(is_inside, x, zero)
}

fn embedded(cx: &mut Infer) -> Types {
    let mut dims = cx.tensor(0).dims.clone();
    let (offset, rank) = (cx.int(1)?, dims.len() + 1);
    let (first, second) = (cx.axis(2, rank)?, cx.axis(3, rank)?);
    if first == second {
        return OpError::raise(format!("diagonal dimensions cannot be identical {first}, {second}"));
    }
    let Some(length) = dims.pop() else {
        return OpError::raise("diag_embed needs a tensor of at least one dimension");
    };
    let size = cx.add(length, Dim::Const(offset.abs()));
    dims.insert(first.min(second), size);
    dims.insert(first.max(second), size);
    one(cx.tensor(0).dtype, dims)
}

fn embed(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let offset = e.const_int(1);
    let axis = |at: usize| wrap_axis(e.const_int(at), index.len()).expect("checked by the infer rule");
    let (first, second) = (axis(2), axis(3));
    let mut own: Vec<Expr> = (0..index.len()).filter(|i| *i != first && *i != second).map(|i| index[i]).collect();
    let shift = e.int(offset);
    let aligned = e.binary(BinaryOp::Add, index[first], shift);
    let is_diagonal = e.binary(BinaryOp::Eq, aligned, index[second]);
    own.push(index[if offset >= 0 { first } else { second }]);
    let (x, zero) = (e.load(0, &own), e.constant(kind(e), 0.0));
    e.select(is_diagonal, x, zero)
}
