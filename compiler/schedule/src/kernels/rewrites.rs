//! Other forms of a pointwise computation, in which a kernel may recognise it.

use super::affine::extent;
use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Extent, Input, Output};
use std::collections::BTreeSet;

/// The computation with one output axis cut into two, if it is read by its quotient and remainder: what a view that merges axes
/// leaves. Elements lie in memory as before.
pub fn split_axis(compute: &Compute) -> Option<Compute> {
    let (axis, size) = (0..compute.exprs.len() as u32).map(Expr).find_map(|e| match compute.exprs.get(e) {
        ExprData::Binary(BinaryOp::FloorDiv | BinaryOp::Mod, a, b) => match compute.exprs.get(*a) {
            ExprData::Axis(axis) if (*axis as usize) < compute.rank => Some((*axis as usize, compute.exprs.as_int(*b)?)),
            _ => None,
        },
        _ => None,
    })?;
    let whole = extent(compute, axis)?;
    if size <= 1 || whole <= size || whole % size != 0 || has_reduction(compute) {
        return None;
    }
    let mut axes = compute.axes.clone();
    axes.splice(axis..=axis, [Extent::Const(whole / size), Extent::Const(size)]);
    Some(compute.with_axes(axes, compute.rank + 1, &|exprs, old| {
        let at = old as usize + usize::from(old as usize > axis);
        let index = exprs.intern(ExprData::Axis(at as u32));
        if old as usize != axis {
            return index;
        }
        let (inner, size) = (exprs.intern(ExprData::Axis(at as u32 + 1)), exprs.int(size));
        let outer = exprs.mul(index, size);
        exprs.add(outer, inner)
    }))
}

/// A computation that reads one tensor in another order of axes, in two steps: a copy of what it reads in the order of the output, and the
/// computation over that copy, which is its last input.
pub fn in_order(compute: &Compute) -> Option<(Compute, Compute)> {
    let mut loads = (0..compute.exprs.len() as u32).map(Expr).filter(|&e| matches!(compute.exprs.get(e), ExprData::Load { .. }));
    let (load, None) = (loads.next()?, loads.next()) else { return None };
    let ExprData::Load { input, .. } = compute.exprs.get(load) else { return None };
    let dtype = compute.inputs[*input as usize].dtype;
    if has_reduction(compute) || compute.outputs.len() != 1 {
        return None;
    }
    let copy = Compute { outputs: vec![Output { dtype, value: load }], ..compute.clone() };
    let mut inputs = compute.inputs.clone();
    let number = inputs.len() as u32;
    inputs.push(Input { dtype, dims: compute.axes.clone() });
    let rest = compute.with_inputs(inputs, &|exprs, _, _| {
        let index = (0..compute.rank as u32).map(|axis| exprs.intern(ExprData::Axis(axis))).collect();
        exprs.intern(ExprData::Load { input: number, index })
    });
    Some((copy, rest))
}

fn has_reduction(compute: &Compute) -> bool {
    compute.axes.len() > compute.rank
}

/// A part of a computation: some indices of one axis.
pub struct Piece {
    /// The axis.
    pub axis: usize,
    /// Its first index.
    pub first: i64,
    /// The part, of which the axis begins at 0.
    pub compute: Compute,
}

/// Most pieces of a computation.
const MOST_PIECES: usize = 64;

/// The computation in pieces between the constants that an axis is compared with: a concatenation falls apart into its operands. Empty
/// where there are none.
pub fn pieces(compute: &Compute) -> Vec<Piece> {
    if has_reduction(compute) {
        return Vec::new();
    }
    let Some((axis, cuts)) = (0..compute.rank).map(|axis| (axis, cuts(compute, axis))).find(|(_, cuts)| !cuts.is_empty()) else {
        return Vec::new();
    };
    let Some(size) = extent(compute, axis).filter(|_| cuts.len() < MOST_PIECES) else { return Vec::new() };
    let firsts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([size]);
    firsts.zip(ends).map(|(first, end)| Piece { axis, first, compute: restricted(compute, axis, first, end) }).collect()
}

/// The indices of an axis at which some comparison with a constant changes.
fn cuts(compute: &Compute, axis: usize) -> BTreeSet<i64> {
    let Some(size) = extent(compute, axis) else { return BTreeSet::new() };
    let exprs = &compute.exprs;
    let cut = |e| match exprs.get(e) {
        ExprData::Binary(op @ (BinaryOp::Lt | BinaryOp::Ge | BinaryOp::Le | BinaryOp::Gt), a, b) => {
            let is_axis = *exprs.get(*a) == ExprData::Axis(axis as u32);
            let after = i64::from(matches!(op, BinaryOp::Le | BinaryOp::Gt));
            exprs.as_int(*b).filter(|_| is_axis).map(|n| n.saturating_add(after))
        }
        _ => None,
    };
    (0..exprs.len() as u32).map(kiln_loops::Expr).filter_map(cut).filter(|&n| 0 < n && n < size).collect()
}

fn restricted(compute: &Compute, axis: usize, first: i64, end: i64) -> Compute {
    let mut axes = compute.axes.clone();
    axes[axis] = Extent::Const(end - first);
    compute.with_axes(axes, compute.rank, &|exprs, old| {
        let index = exprs.intern(ExprData::Axis(old));
        if old as usize != axis {
            return index;
        }
        let first = exprs.int(first);
        exprs.add(index, first)
    })
}
