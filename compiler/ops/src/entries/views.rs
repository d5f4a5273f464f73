//! Views: windows on argument 0, with the strides that PyTorch gives them.

use super::linear::known_ints;
use super::regroup::{regroup, reshaped, unflatten, view_strides};
use super::rules::Types;
use crate::element::Element;
use crate::entry::{Body, ElementFn, Entry, InferFn, StridesFn};
use crate::infer::{Fact, Infer, OpError, wrap_axis};
use kiln_graph::{Dim, TensorType};
use kiln_loops::{BinaryOp, Expr};

const fn view(key: &'static str, doc: &'static str, infer: InferFn, element: ElementFn, strides: StridesFn) -> Entry {
    Entry { key, doc, body: Body::View { infer, element, strides } }
}

/// The views.
pub const ENTRIES: &[Entry] = &[
    view(
        "aten::permute",
        "axes in another order",
        permuted,
        |e, _, index| {
            let order = axes_of(&e.const_ints(1), e.tensor(0).rank());
            load_permuted(e, &order, index)
        },
        |cx, strides| Some(permutation(cx, 1)?.iter().map(|&axis| strides[axis]).collect()),
    ),
    view("aten::transpose.int", "two axes exchanged", transposed, load_transposed, transposed_strides),
    view("aten::swapaxes", "two axes exchanged", transposed, load_transposed, transposed_strides),
    view("aten::swapdims", "two axes exchanged", transposed, load_transposed, transposed_strides),
    view(
        "aten::t",
        "a matrix transposed",
        matrix_transposed,
        |e, _, index| {
            let order: Vec<Expr> = index.iter().rev().copied().collect();
            e.load(0, &order)
        },
        |_, strides| Some(strides.iter().rev().copied().collect()),
    ),
    view("aten::expand", "axes of size 1 repeated without a copy", expanded, load_expanded, expanded_strides),
    view("aten::broadcast_to", "axes of size 1 repeated without a copy", expanded, load_expanded, expanded_strides),
    view(
        "aten::select.int",
        "one position of an axis",
        selected,
        |e, _, index| {
            let axis = wrap_axis(e.const_int(1), e.tensor(0).rank()).expect("checked by the infer rule");
            let size = e.tensor(0).dims[axis];
            let position = e.number(2, kiln_loops::Kind::Int);
            let position = e.wrap_index(position, size);
            let mut own = index.to_vec();
            own.insert(axis, position);
            e.load(0, &own)
        },
        |cx, strides| {
            let mut strides = strides.to_vec();
            strides.remove(cx.axis(1, strides.len()).ok()?);
            Some(strides)
        },
    ),
    view("aten::slice.Tensor", "every step-th position of a range of an axis", sliced, load_slice, |cx, strides| {
        let (axis, step) = (cx.axis(1, strides.len()).ok()?, cx.dim(4).ok()?);
        let mut strides = strides.to_vec();
        strides[axis] = cx.mul(strides[axis], step);
        Some(strides)
    }),
    view(
        "aten::unsqueeze",
        "a new axis of size 1",
        unsqueezed,
        |e, _, index| {
            let axis = wrap_axis(e.const_int(1), index.len()).expect("checked by the infer rule");
            let own: Vec<Expr> = index.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, &x)| x).collect();
            e.load(0, &own)
        },
        |cx, strides| {
            let axis = wrap_axis(cx.int(1).ok()?, strides.len() + 1).ok()?;
            let own = cx.tensor(0).dims.get(axis).copied();
            let stride = own.map_or(Dim::Const(1), |size| cx.mul(size, strides[axis]));
            let mut strides = strides.to_vec();
            strides.insert(axis, stride);
            Some(strides)
        },
    ),
    view("aten::squeeze", "without the axes of size 1", squeezed, load_squeezed, squeezed_strides),
    view("aten::squeeze.dim", "without an axis, where it is of size 1", squeezed, load_squeezed, squeezed_strides),
    view("aten::squeeze.dims", "without some axes, where they are of size 1", squeezed, load_squeezed, squeezed_strides),
    view("aten::view", "the same elements in another shape", viewed, load_viewed, viewed_strides),
    view("aten::reshape", "the same elements in another shape", viewed, load_viewed, viewed_strides),
    view("aten::_unsafe_view", "the same elements in another shape", viewed, load_viewed, viewed_strides),
    view(
        "aten::unfold",
        "all windows of an axis, as a last axis",
        unfolded,
        |e, _, index| {
            let (&offset, rest) = index.split_last().expect("an unfolded tensor has an axis");
            if rest.is_empty() {
                return e.load(0, &[]);
            }
            let axis = wrap_axis(e.const_int(1), rest.len()).expect("checked by the infer rule");
            let step = e.int(e.const_int(3));
            let start = e.binary(BinaryOp::Mul, rest[axis], step);
            let mut own = rest.to_vec();
            own[axis] = e.binary(BinaryOp::Add, start, offset);
            e.load(0, &own)
        },
        |cx, strides| {
            if strides.is_empty() {
                return Some(vec![Dim::Const(1)]);
            }
            let axis = cx.axis(1, strides.len()).ok()?;
            let mut all = strides.to_vec();
            all[axis] = cx.mul(strides[axis], cx.dim(3).ok()?);
            all.push(strides[axis]);
            Some(all)
        },
    ),
    view(
        "aten::as_strided",
        "elements at any strides of the memory of a contiguous tensor",
        strided,
        load_strided,
        |cx, strides| {
            // Places are counted in the memory of argument 0, which must be laid out as its elements are.
            let is_plain = strides == cx.contiguous_strides(&cx.tensor(0).dims.clone());
            if is_plain { cx.dim_list(2).ok() } else { None }
        },
    ),
    view("aten::diagonal", "the diagonal of two axes, as a last axis", diagonal, load_diagonal, |cx, strides| {
        let (first, second) = (cx.axis(2, strides.len()).ok()?, cx.axis(3, strides.len()).ok()?);
        let mut all: Vec<Dim> = (0..strides.len()).filter(|i| *i != first && *i != second).map(|i| strides[i]).collect();
        all.push(cx.add(strides[first], strides[second]));
        Some(all)
    }),
];

/// Axes wrapped into `0..rank`.
fn axes_of(axes: &[i64], rank: usize) -> Vec<usize> {
    axes.iter().map(|&a| wrap_axis(a, rank).expect("checked by the infer rule")).collect()
}

fn with_dims(cx: &Infer, dims: Vec<Dim>) -> Types {
    Ok(vec![TensorType { dtype: cx.tensor(0).dtype, dims }])
}

fn permutation(cx: &Infer, at: usize) -> Option<Vec<usize>> {
    let rank = cx.tensor(0).rank();
    cx.ints(at).ok()?.iter().map(|&a| wrap_axis(a, rank).ok()).collect()
}

fn permuted(cx: &mut Infer) -> Types {
    let rank = cx.tensor(0).rank();
    let axes = cx.ints(1)?;
    if axes.len() != rank {
        return OpError::raise(format!(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = {rank} is not equal to len(dims) = {}",
            axes.len()
        ));
    }
    let order: Vec<usize> = axes.iter().map(|&a| wrap_axis(a, rank)).collect::<Result<_, _>>()?;
    if (0..rank).any(|axis| !order.contains(&axis)) {
        return OpError::raise("permute(): duplicate dims are not allowed.");
    }
    with_dims(cx, order.iter().map(|&axis| cx.tensor(0).dims[axis]).collect())
}

fn load_permuted(e: &mut Element, order: &[usize], index: &[Expr]) -> Expr {
    let mut own = index.to_vec();
    for (&axis, &i) in order.iter().zip(index) {
        own[axis] = i;
    }
    e.load(0, &own)
}

fn transposed(cx: &mut Infer) -> Types {
    let rank = cx.tensor(0).rank();
    let (a, b) = (cx.axis(1, rank)?, cx.axis(2, rank)?);
    let mut dims = cx.tensor(0).dims.clone();
    if rank > 0 {
        dims.swap(a, b);
    }
    with_dims(cx, dims)
}

fn load_transposed(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let mut own = index.to_vec();
    if !own.is_empty() {
        let axes = axes_of(&[e.const_int(1), e.const_int(2)], own.len());
        own.swap(axes[0], axes[1]);
    }
    e.load(0, &own)
}

fn transposed_strides(cx: &mut Infer, strides: &[Dim]) -> Option<Vec<Dim>> {
    let mut all = strides.to_vec();
    if !all.is_empty() {
        let (a, b) = (cx.axis(1, strides.len()).ok()?, cx.axis(2, strides.len()).ok()?);
        all.swap(a, b);
    }
    Some(all)
}

fn matrix_transposed(cx: &mut Infer) -> Types {
    let rank = cx.tensor(0).rank();
    if rank > 2 {
        return OpError::raise(format!("t() expects a tensor with <= 2 dimensions, but self is {rank}D"));
    }
    with_dims(cx, cx.tensor(0).dims.iter().rev().copied().collect())
}

fn expanded(cx: &mut Infer) -> Types {
    let (own, sizes) = (cx.tensor(0).dims.clone(), cx.dim_list(1)?);
    if sizes.len() < own.len() {
        return OpError::raise(format!(
            "expand: the number of sizes provided ({}) must be greater or equal to the number of dimensions in the tensor ({})",
            sizes.len(),
            own.len()
        ));
    }
    let new = sizes.len() - own.len();
    let mut dims = Vec::new();
    for (i, &size) in sizes.iter().enumerate() {
        let existing = i.checked_sub(new).map(|at| own[at]);
        dims.push(expanded_dim(cx, existing, size, i)?);
    }
    with_dims(cx, dims)
}

fn expanded_dim(cx: &mut Infer, existing: Option<Dim>, size: Dim, at: usize) -> Result<Dim, OpError> {
    match (existing, size) {
        (Some(existing), Dim::Const(-1)) => Ok(existing),
        (None, Dim::Const(n)) if n < 0 => OpError::raise(format!(
            "The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {at}"
        )),
        (None | Some(Dim::Const(1)), size) => {
            cx.require_at_most(
                Dim::Const(0),
                size,
                &format!("The expanded size of the tensor ({size}) isn't allowed at dimension {at}"),
            )?;
            Ok(size)
        }
        (Some(existing), size) if existing == size => Ok(existing),
        (Some(Dim::Const(n)), Dim::Const(size)) => OpError::raise(format!(
            "The expanded size of the tensor ({size}) must match the existing size ({n}) at non-singleton dimension {at}."
        )),
        (Some(existing), size) => {
            let message = format!("the expanded size must match the existing size at dimension {at}");
            if existing.as_const().is_some() {
                cx.require_equal(existing, size, &message)?;
                return Ok(existing);
            }
            // It may be 1 at run time, and is repeated then.
            cx.require_broadcast(&[existing], &[size], &message)?;
            Ok(size)
        }
    }
}

fn load_expanded(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    e.load_broadcast(0, index)
}

fn expanded_strides(cx: &mut Infer, strides: &[Dim]) -> Option<Vec<Dim>> {
    let own = cx.tensor(0).dims.clone();
    let sizes = expanded(cx).ok()?.remove(0).dims;
    let new = sizes.len() - own.len();
    let mut all = vec![Dim::Const(0); sizes.len()];
    for i in (0..sizes.len()).rev() {
        let (size, stride) = match i.checked_sub(new) {
            Some(at) => (own[at], strides[at]),
            None if i + 1 < sizes.len() => (Dim::Const(1), cx.mul(sizes[i + 1], all[i + 1])),
            None => (Dim::Const(1), Dim::Const(1)),
        };
        all[i] = if size == sizes[i] { stride } else { Dim::Const(0) };
    }
    Some(all)
}

fn selected(cx: &mut Infer) -> Types {
    let mut dims = cx.tensor(0).dims.clone();
    if dims.is_empty() {
        return OpError::index("select() cannot be applied to a 0-dim tensor.");
    }
    let axis = cx.axis(1, dims.len())?;
    if let (Dim::Const(index), Dim::Const(size)) = (cx.dim(2)?, dims[axis])
        && (index >= size || index < -size)
    {
        return OpError::index(format!(
            "select(): index {index} out of range for tensor of size {:?} at dimension {axis}",
            cx.tensor(0).dims
        ));
    }
    dims.remove(axis);
    with_dims(cx, dims)
}

/// The start or end of a slice inside `0..=size`. PyTorch counts a negative one from the end.
fn slice_bound(cx: &mut Infer, bound: Dim, size: Dim) -> Dim {
    if let (Dim::Const(b), Dim::Const(n)) = (bound, size) {
        return Dim::Const(if b < 0 { b.saturating_add(n) } else { b }.clamp(0, n));
    }
    if matches!(bound, Dim::Const(i64::MAX)) {
        return size;
    }
    let non_positive = cx.dims.binary(BinaryOp::Min, bound, Dim::Const(0));
    // -1 where it is negative, else 0.
    let is_negative = cx.dims.binary(BinaryOp::Max, non_positive, Dim::Const(-1));
    let turns = cx.mul(is_negative, size);
    let wrapped = cx.sub(bound, turns);
    let from_zero = cx.dims.binary(BinaryOp::Max, wrapped, Dim::Const(0));
    cx.dims.binary(BinaryOp::Min, from_zero, size)
}

fn optional_dim(fact: &Fact, default: i64) -> Result<Dim, OpError> {
    match fact {
        Fact::None => Ok(Dim::Const(default)),
        Fact::Int(dim) => Ok(*dim),
        other => OpError::unsupported(format!("{other:?} as the bound of a slice")),
    }
}

fn sliced(cx: &mut Infer) -> Types {
    let mut dims = cx.tensor(0).dims.clone();
    if dims.is_empty() {
        return OpError::raise("slice() cannot be applied to a 0-dim tensor.");
    }
    let axis = cx.axis(1, dims.len())?;
    let step = cx.int(4)?;
    if step <= 0 {
        return OpError::raise("slice step must be positive");
    }
    let (start, end) = (optional_dim(&cx.args[2], 0)?, optional_dim(&cx.args[3], i64::MAX)?);
    let start = slice_bound(cx, start, dims[axis]);
    let end = slice_bound(cx, end, dims[axis]);
    let length = cx.sub(end, start);
    let length = cx.dims.binary(BinaryOp::Max, length, Dim::Const(0));
    let rounded = cx.add(length, Dim::Const(step - 1));
    dims[axis] = cx.floor_div(rounded, Dim::Const(step));
    with_dims(cx, dims)
}

fn load_slice(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let axis = wrap_axis(e.const_int(1), index.len()).expect("checked by the infer rule");
    let start = optional_dim(&e.args[2], 0).expect("checked by the infer rule");
    let size = e.tensor(0).dims[axis];
    let (start, size, step) = (e.dim(start), e.dim(size), e.int(e.const_int(4)));
    let mut own = index.to_vec();
    own[axis] = e.calc([index[axis], start, size, step], |[i, start, size, step]| {
        start.lt(0.0).select(start + size, start).clamp(0.0, size) + i * step
    });
    e.load(0, &own)
}

fn unsqueezed(cx: &mut Infer) -> Types {
    let mut dims = cx.tensor(0).dims.clone();
    let axis = wrap_axis(cx.int(1)?, dims.len() + 1)?;
    dims.insert(axis, Dim::Const(1));
    with_dims(cx, dims)
}

/// The axes that a squeeze keeps.
fn kept(dims: &[Dim], arg: Option<&Fact>) -> Result<Vec<usize>, OpError> {
    let named: Vec<usize> = match arg {
        None => (0..dims.len()).collect(),
        Some(Fact::Int(Dim::Const(axis))) => vec![wrap_axis(*axis, dims.len())?],
        Some(Fact::List(items)) => {
            let axis = |f: &Fact| {
                if let Fact::Int(Dim::Const(axis)) = f {
                    wrap_axis(*axis, dims.len())
                } else {
                    OpError::unsupported("an axis known only at run time")
                }
            };
            items.iter().map(axis).collect::<Result<_, _>>()?
        }
        Some(other) => return OpError::unsupported(format!("{other:?} as an axis")),
    };
    if named.iter().any(|&axis| dims.get(axis).is_some_and(|d| d.as_const().is_none())) {
        return OpError::unsupported("a size known only at run time, which may be 1");
    }
    Ok((0..dims.len()).filter(|axis| !named.contains(axis) || dims[*axis] != Dim::Const(1)).collect())
}

fn squeezed(cx: &mut Infer) -> Types {
    let dims = cx.tensor(0).dims.clone();
    let kept = kept(&dims, cx.args.get(1))?;
    with_dims(cx, kept.iter().map(|&axis| dims[axis]).collect())
}

fn load_squeezed(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let dims = &e.tensor(0).dims;
    let (rank, kept) = (dims.len(), kept(dims, e.args.get(1)).expect("checked by the infer rule"));
    let zero = e.int(0);
    let mut own = vec![zero; rank];
    for (&axis, &i) in kept.iter().zip(index) {
        own[axis] = i;
    }
    e.load(0, &own)
}

fn squeezed_strides(cx: &mut Infer, strides: &[Dim]) -> Option<Vec<Dim>> {
    let kept = kept(&cx.tensor(0).dims, cx.args.get(1)).ok()?;
    Some(kept.iter().map(|&axis| strides[axis]).collect())
}

fn viewed(cx: &mut Infer) -> Types {
    let (own, sizes) = (cx.tensor(0).dims.clone(), cx.dim_list(1)?);
    let dims = reshaped(cx, &own, &sizes)?;
    with_dims(cx, dims)
}

fn load_viewed(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let (from, to) = (e.results[0].dims.clone(), e.tensor(0).dims.clone());
    let own = regroup(e, &from, index, &to);
    e.load(0, &own)
}

fn viewed_strides(cx: &mut Infer, strides: &[Dim]) -> Option<Vec<Dim>> {
    let own = cx.tensor(0).dims.clone();
    let dims = viewed(cx).ok()?.remove(0).dims;
    view_strides(cx, &own, strides, &dims)
}

fn unfolded(cx: &mut Infer) -> Types {
    let mut dims = cx.tensor(0).dims.clone();
    let (axis, size, step) = (cx.axis(1, dims.len())?, cx.int(2)?, cx.int(3)?);
    if step <= 0 {
        return OpError::raise(format!("step is {step} but must be > 0"));
    }
    let own = dims.get(axis).copied().unwrap_or(Dim::Const(1));
    let message = format!("maximum size for tensor at dimension {axis} is {own} but size is {size}");
    if size < 0 {
        return OpError::raise(message);
    }
    cx.require_at_most(Dim::Const(size), own, &message)?;
    if !dims.is_empty() {
        let last = cx.sub(own, Dim::Const(size));
        let steps = cx.floor_div(last, Dim::Const(step));
        dims[axis] = cx.add(steps, Dim::Const(1));
    }
    dims.push(Dim::Const(size));
    with_dims(cx, dims)
}

fn diagonal(cx: &mut Infer) -> Types {
    let dims = cx.tensor(0).dims.clone();
    let (offset, first, second) = (cx.int(1)?, cx.axis(2, dims.len())?, cx.axis(3, dims.len())?);
    if first == second {
        return OpError::raise(format!("diagonal dimensions cannot be identical {first}, {second}"));
    }
    let (a, b) = if offset >= 0 { (Dim::Const(0), Dim::Const(offset)) } else { (Dim::Const(offset), Dim::Const(0)) };
    let (rows, columns) = (cx.add(dims[first], a), cx.sub(dims[second], b));
    let shorter = cx.dims.binary(BinaryOp::Min, rows, columns);
    let length = cx.dims.binary(BinaryOp::Max, shorter, Dim::Const(0));
    let mut all: Vec<Dim> = (0..dims.len()).filter(|i| *i != first && *i != second).map(|i| dims[i]).collect();
    all.push(length);
    with_dims(cx, all)
}

fn load_diagonal(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let offset = e.const_int(1);
    let axes = axes_of(&[e.const_int(2), e.const_int(3)], index.len() + 1);
    let (&at, rest) = index.split_last().expect("a diagonal has an axis");
    let (row, column) = (e.int((-offset).max(0)), e.int(offset.max(0)));
    let (row, column) = (e.binary(BinaryOp::Add, at, row), e.binary(BinaryOp::Add, at, column));
    let mut rest = rest.iter().copied();
    let own: Vec<Expr> = (0..index.len() + 1)
        .map(|axis| {
            if axis == axes[0] {
                row
            } else if axis == axes[1] {
                column
            } else {
                rest.next().expect("one for each other axis")
            }
        })
        .collect();
    e.load(0, &own)
}

/// Sizes, strides and offset of an `as_strided`.
fn layout(facts: &[Fact]) -> Result<(Vec<i64>, Vec<i64>, i64), OpError> {
    let offset = match &facts[3] {
        Fact::None => 0,
        Fact::Int(Dim::Const(offset)) => *offset,
        _ => return OpError::unsupported("an offset that is known only at run time"),
    };
    Ok((known_ints(&facts[1])?, known_ints(&facts[2])?, offset))
}

fn strided(cx: &mut Infer) -> Types {
    let (sizes, strides, offset) = layout(cx.args)?;
    let Some(shape) = cx.tensor(0).const_shape() else {
        return OpError::unsupported("a tensor of a size known only at run time");
    };
    if sizes.len() != strides.len() || offset < 0 || sizes.iter().chain(&strides).any(|n| *n < 0) {
        return OpError::raise(format!(
            "as_strided: sizes {sizes:?}, strides {strides:?} and offset {offset} do not fit together"
        ));
    }
    let last = sizes.iter().zip(&strides).fold(offset, |last, (n, s)| last.saturating_add((n - 1).saturating_mul(*s)));
    if !sizes.contains(&0) && last >= kiln_support::tensor::count(&shape) as i64 {
        return OpError::raise(format!(
            "setStorage: sizes {sizes:?}, strides {strides:?}, storage offset {offset} are out of bounds for storage of {} elements",
            kiln_support::tensor::count(&shape)
        ));
    }
    with_dims(cx, sizes.into_iter().map(Dim::Const).collect())
}

fn load_strided(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let (_, strides, offset) = layout(e.args).expect("checked by the infer rule");
    let mut flat = e.int(offset);
    for (&i, stride) in index.iter().zip(strides) {
        flat = e.calc([flat, i], |[flat, i]| flat + i * stride as f64);
    }
    let dims = e.tensor(0).dims.clone();
    let own = unflatten(e, flat, &dims);
    e.load(0, &own)
}
