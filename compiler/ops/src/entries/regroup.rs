//! Reshaping: sizes, indices and strides of the same elements in another shape.

use crate::element::Element;
use crate::infer::{Infer, OpError};
use kiln_graph::{Dim, Value};
use kiln_loops::{BinaryOp, Expr};

/// A product of sizes: its constant factor, and the sizes known only at run time, sorted.
fn factors(dims: &[Dim]) -> (i64, Vec<Value>) {
    let mut values: Vec<Value> = dims.iter().filter_map(|d| if let Dim::Value(v) = d { Some(*v) } else { None }).collect();
    values.sort();
    let constant = dims.iter().filter_map(|d| d.as_const()).fold(1i64, i64::wrapping_mul);
    (constant, values)
}

/// The sizes of `own`'s elements viewed with `sizes`, one of which may be -1.
pub(super) fn reshaped(cx: &mut Infer, own: &[Dim], sizes: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let unknown: Vec<usize> = (0..sizes.len()).filter(|&i| sizes[i] == Dim::Const(-1)).collect();
    if unknown.len() > 1 {
        return OpError::raise("only one dimension can be inferred");
    }
    if let Some(Dim::Const(n)) = sizes.iter().find(|d| d.as_const().is_some_and(|n| n < -1)) {
        return OpError::raise(format!("invalid shape dimension {n}"));
    }
    let given: Vec<Dim> = sizes.iter().copied().filter(|d| *d != Dim::Const(-1)).collect();
    let ((total, mut from), (part, mut to)) = (factors(own), factors(&given));
    // What stands on both sides cancels.
    to.retain(|v| from.iter().position(|x| x == v).map(|at| from.remove(at)).is_none());
    let invalid = || OpError::raise(format!("shape '{}' is invalid for input of size {total}", list(sizes)));
    let Some(&at) = unknown.first() else {
        return match (from.is_empty() && to.is_empty(), total == part) {
            (true, false) => invalid(),
            (true, true) => Ok(sizes.to_vec()),
            _ => {
                let (a, b) = (cx.product(own), cx.product(&given));
                cx.dims.require_equal(a, b, "the shape is invalid for the number of elements");
                Ok(sizes.to_vec())
            }
        };
    };
    let mut dims = sizes.to_vec();
    if part == 0 {
        return OpError::raise(format!(
            "cannot reshape tensor of 0 elements into shape {} because the unspecified dimension size -1 can be any value and is ambiguous",
            list(sizes)
        ));
    }
    if to.is_empty() && total % part == 0 {
        let rest: Vec<Dim> = from.iter().map(|&v| Dim::Value(v)).collect();
        let rest = cx.product(&rest);
        dims[at] = cx.mul(rest, Dim::Const(total / part));
        return Ok(dims);
    }
    if from.is_empty() && to.is_empty() {
        return invalid();
    }
    let (all, known) = (cx.product(own), cx.product(&given));
    dims[at] = cx.floor_div(all, known);
    let whole = cx.mul(dims[at], known);
    cx.dims.require_equal(all, whole, "the shape is invalid for the number of elements");
    Ok(dims)
}

fn list(dims: &[Dim]) -> String {
    let items: Vec<String> = dims.iter().map(|d| d.to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// Ranges of axes of two shapes with the same number of elements each, from the left; sizes that are equal on both
/// sides stand alone, so that indices pass through unchanged.
fn groups(from: &[Dim], to: &[Dim]) -> Vec<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let (mut i, mut j) = (0, 0);
    let (mut end_i, mut end_j) = (from.len(), to.len());
    let mut tail = Vec::new();
    while end_i > i && end_j > j && from[end_i - 1] == to[end_j - 1] {
        (end_i, end_j) = (end_i - 1, end_j - 1);
        tail.push((end_i..end_i + 1, end_j..end_j + 1));
    }
    let mut all = Vec::new();
    while i < end_i || j < end_j {
        let (a, b) = next_group(&from[i..end_i], &to[j..end_j]);
        all.push((i..i + a, j..j + b));
        (i, j) = (i + a, j + b);
    }
    all.extend(tail.into_iter().rev());
    all
}

/// How many axes of each side the first group has.
fn next_group(from: &[Dim], to: &[Dim]) -> (usize, usize) {
    let whole = (from.len(), to.len());
    let (Some(&a), Some(&b)) = (from.first(), to.first()) else { return whole };
    if a == b {
        return (1, 1);
    }
    let (Some(mut left), Some(mut right)) = (a.as_const(), b.as_const()) else { return whole };
    let (mut i, mut j) = (1, 1);
    while left != right {
        let (side, at, product) = if left < right { (from, &mut i, &mut left) } else { (to, &mut j, &mut right) };
        match side.get(*at).map(|d| d.as_const()) {
            Some(Some(n)) => (*product, *at) = (product.wrapping_mul(n), *at + 1),
            _ => return whole,
        }
    }
    (i, j)
}

/// The index into a tensor of sizes `to` of the element that stands at `index` among sizes `from`.
pub(super) fn regroup(e: &mut Element, from: &[Dim], index: &[Expr], to: &[Dim]) -> Vec<Expr> {
    let mut own = Vec::new();
    for (source, target) in groups(from, to) {
        if source.len() == 1 && target.len() == 1 {
            own.push(index[source.start]);
            continue;
        }
        let flat = flatten(e, &from[source.clone()], &index[source]);
        own.extend(unflatten(e, flat, &to[target]));
    }
    own
}

/// The row-major flat index.
pub(super) fn flatten(e: &mut Element, dims: &[Dim], index: &[Expr]) -> Expr {
    let mut flat = e.int(0);
    for (&dim, &i) in dims.iter().zip(index) {
        let size = e.dim(dim);
        flat = e.binary(BinaryOp::Mul, flat, size);
        flat = e.binary(BinaryOp::Add, flat, i);
    }
    flat
}

/// The index of a row-major flat one.
pub(super) fn unflatten(e: &mut Element, flat: Expr, dims: &[Dim]) -> Vec<Expr> {
    let first = dims.iter().position(|d| *d != Dim::Const(1));
    let mut index = Vec::new();
    let mut rest = flat;
    for (at, &dim) in dims.iter().enumerate().rev() {
        if dim == Dim::Const(1) {
            index.push(e.int(0));
        } else if Some(at) == first {
            index.push(rest);
        } else {
            let size = e.dim(dim);
            index.push(e.binary(BinaryOp::Mod, rest, size));
            rest = e.binary(BinaryOp::FloorDiv, rest, size);
        }
    }
    index.reverse();
    index
}

/// Strides of a view (`computeStride` of ATen's TensorUtils): none where it would need a copy.
pub(super) fn view_strides(cx: &mut Infer, own: &[Dim], strides: &[Dim], to: &[Dim]) -> Option<Vec<Dim>> {
    if strides == cx.contiguous_strides(own) {
        return Some(cx.contiguous_strides(to));
    }
    let known = |dims: &[Dim]| dims.iter().map(|d| d.as_const()).collect::<Option<Vec<i64>>>();
    let result = known_view_strides(&known(own)?, &known(strides)?, &known(to)?)?;
    Some(result.into_iter().map(Dim::Const).collect())
}

fn known_view_strides(own: &[i64], strides: &[i64], to: &[i64]) -> Option<Vec<i64>> {
    if own.contains(&0) {
        return (own == to).then(|| strides.to_vec()).or_else(|| Some(kiln_support::tensor::contiguous_strides(to)));
    }
    let mut result = vec![0; to.len()];
    let mut at = to.len();
    let (mut base, mut elements, mut viewed) = (*strides.last().unwrap_or(&1), 1, 1);
    for axis in (0..own.len()).rev() {
        elements *= own[axis];
        let ends_run = axis == 0 || (own[axis - 1] != 1 && strides[axis - 1] != elements * base);
        if !ends_run {
            continue;
        }
        while at > 0 && (viewed < elements || to[at - 1] == 1) {
            at -= 1;
            result[at] = viewed * base;
            viewed *= to[at];
        }
        if viewed != elements {
            return None;
        }
        if axis > 0 {
            (base, elements, viewed) = (strides[axis - 1], 1, 1);
        }
    }
    if own.is_empty() {
        return Some(kiln_support::tensor::contiguous_strides(to));
    }
    (at == 0).then_some(result)
}
