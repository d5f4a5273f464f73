//! Reading at computed indices. Indices are checked: a wrong one is an index error.

use super::regroup::unflatten;
use super::rules::{Types, common_dtype, finish, not_quantized, one, tensor};
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError, wrap_axis};
use kiln_graph::{Dim, TensorType};
use kiln_loops::{BinaryOp, Expr, Kind, ReduceOp};
use kiln_support::DType;

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    tensor!("aten::gather", "self at index along an axis", gathered, |e, _, index| {
        let at = e.load(2, index);
        let at = e.exprs().to_kind(Kind::Int, at);
        load_along(e, 1, index, at)
    }),
    tensor!("aten::index_select", "positions of an axis", index_selected, |e, _, index| {
        let axis = if index.is_empty() { None } else { Some(axis_of(e, 1, index.len())) };
        let place: Vec<Expr> = axis.filter(|_| e.tensor(2).rank() == 1).map(|a| index[a]).into_iter().collect();
        let place = if place.is_empty() && e.tensor(2).rank() == 1 { vec![e.int(0)] } else { place };
        let at = e.load(2, &place);
        let at = e.exprs().to_kind(Kind::Int, at);
        load_along(e, 1, index, at)
    }),
    tensor!("aten::embedding", "rows of weight", embedded, |e, _, index| {
        let (&column, place) = index.split_last().expect("rows have an axis");
        let at = e.load(1, place);
        let size = e.tensor(0).dims[0];
        let row = e.check(at, size);
        e.load(0, &[row, column])
    }),
    tensor!("aten::take", "elements at flat indices", taken, |e, _, index| {
        let at = e.load(1, index);
        let dims = e.tensor(0).dims.clone();
        let flat = wrap_flat(e, at, &dims);
        let own = unflatten(e, flat, &dims);
        e.load(0, &own)
    }),
    tensor!("aten::index.Tensor", "elements at the broadcast index tensors", indexed, index_tensors),
    tensor!("aten::_unsafe_index.Tensor", "elements at the broadcast index tensors", indexed, index_tensors),
    tensor!("aten::index.Tensor_hacked_twin", "elements at the broadcast index tensors", indexed, index_tensors),
    tensor!("aten::_unsafe_index.Tensor_hacked_twin", "elements at the broadcast index tensors", indexed, index_tensors),
    tensor!("aten::one_hot", "1 at the position that each element names, else 0", one_hot_type, |e, _, index| {
        let (&class, place) = index.split_last().expect("classes have an axis");
        let at = e.load(0, place);
        let size = e.results[0].dims[place.len()];
        let at = e.check(at, size);
        let is_it = e.binary(BinaryOp::Eq, at, class);
        finish(e, is_it)
    }),
    tensor!(
        "aten::searchsorted.Tensor",
        "where each element fits into a sorted sequence",
        |cx| searched(cx, 1, 2),
        |e, _, index| { search(e, 0, 1, index, Side { right: 3, name: Some(4), sorter: Some(5) }) }
    ),
    tensor!("aten::searchsorted.Scalar", "where a number fits into a sorted sequence", |cx| searched(cx, 1, 2), |e, _, index| {
        search(e, 0, 1, index, Side { right: 3, name: Some(4), sorter: Some(5) })
    }),
    tensor!(
        "aten::bucketize.Tensor",
        "where each element fits between sorted boundaries",
        |cx| searched(cx, 0, 2),
        |e, _, index| { search(e, 1, 0, index, Side { right: 3, name: None, sorter: None }) }
    ),
    tensor!("aten::bucketize.Scalar", "where a number fits between sorted boundaries", |cx| searched(cx, 0, 2), |e, _, index| {
        search(e, 1, 0, index, Side { right: 3, name: None, sorter: None })
    }),
];

/// An axis argument that the infer rule has checked.
pub(super) fn axis_of(e: &Element, at: usize, rank: usize) -> usize {
    wrap_axis(e.const_int(at), rank).expect("checked by the infer rule")
}

/// Element of argument 0 at `index`, but at `at` along the axis of an argument.
fn load_along(e: &mut Element, axis: usize, index: &[Expr], at: Expr) -> Expr {
    let dims = e.tensor(0).dims.clone();
    if dims.is_empty() {
        // A scalar counts as one position: the index must be 0, and stays in the expression.
        let checked = e.check(at, Dim::Const(1));
        let x = e.load(0, &[]);
        let zero = e.int(0);
        let fits = e.binary(BinaryOp::Eq, checked, zero);
        let never = e.calc([x], |[x]| x.like(0.0));
        return e.select(fits, x, never);
    }
    let axis = axis_of(e, axis, dims.len());
    let mut own = index.to_vec();
    own.resize(dims.len(), at);
    own[axis] = e.check(at, dims[axis]);
    e.load(0, &own)
}

/// Index tensors are of ints.
pub(super) fn int_index(ty: &TensorType) -> Result<(), OpError> {
    match ty.dtype {
        DType::I64 | DType::I32 => Ok(()),
        _ => OpError::index("tensors used as indices must be long, int, byte or bool tensors"),
    }
}

fn gathered(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let (ty, index) = (cx.tensor(0).clone(), cx.tensor(2).clone());
    let axis = cx.axis(1, ty.rank())?;
    let is_empty = index.dims.contains(&Dim::Const(0));
    if index.dtype != DType::I64 && index.dtype != DType::I32 && !is_empty {
        if index.dims.iter().any(|d| d.as_const().is_none()) {
            return OpError::unsupported("an index that is not of ints, which only an empty one may be");
        }
        return OpError::raise("gather(): Expected dtype int64 for index");
    }
    check_index_shape(cx, &ty, &index, axis, "gather")?;
    one(ty.dtype, index.dims)
}

/// Index and tensor have the same rank, and the index is not larger but along the axis.
pub(super) fn check_index_shape(
    cx: &mut Infer,
    ty: &TensorType,
    index: &TensorType,
    axis: usize,
    name: &str,
) -> Result<(), OpError> {
    if index.dims.contains(&Dim::Const(0)) {
        return Ok(());
    }
    if ty.rank().max(1) != index.rank().max(1) {
        return OpError::raise(format!("Index tensor must have the same number of dimensions as {name}'s tensor"));
    }
    for i in (0..ty.rank().min(index.rank())).filter(|i| *i != axis) {
        let message = format!(
            "Size does not match at dimension {i} expected index {index} to be no larger than self {ty} apart from dimension {axis}"
        );
        cx.require_at_most(index.dims[i], ty.dims[i], &message)?;
    }
    Ok(())
}

fn index_selected(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let (ty, index) = (cx.tensor(0).clone(), cx.tensor(2).clone());
    let axis = cx.axis(1, ty.rank())?;
    if index.rank() > 1 {
        return OpError::index("index_select(): Index is supposed to be a vector");
    }
    if index.dtype != DType::I64 && index.dtype != DType::I32 {
        return OpError::raise("index_select(): Expected dtype int32 or int64 for index");
    }
    let count = index.dims.first().copied().unwrap_or(Dim::Const(1));
    let mut dims = ty.dims;
    match dims.get_mut(axis) {
        Some(dim) => *dim = count,
        None if count != Dim::Const(1) => return OpError::index("index_select(): Index to scalar can have only 1 value"),
        None => {}
    }
    one(ty.dtype, dims)
}

fn embedded(cx: &mut Infer) -> Types {
    let (weight, indices) = (cx.tensor(0).clone(), cx.tensor(1).clone());
    if weight.rank() != 2 {
        return OpError::raise("'weight' must be 2-D");
    }
    if !matches!(indices.dtype, DType::I64 | DType::I32) {
        return OpError::raise(format!(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got {} instead",
            indices.dtype.scalar_type_name()
        ));
    }
    let mut dims = indices.dims;
    dims.push(weight.dims[1]);
    one(weight.dtype, dims)
}

fn taken(cx: &mut Infer) -> Types {
    let (ty, index) = (cx.tensor(0).clone(), cx.tensor(1).clone());
    if index.dtype != DType::I64 {
        return OpError::raise(format!("take(): Expected a long tensor for index, but got {}", index.dtype.scalar_type_name()));
    }
    let is_empty = |t: &TensorType| t.dims.contains(&Dim::Const(0));
    if is_empty(&ty) && !is_empty(&index) {
        return OpError::index("take(): tried to take from an empty tensor");
    }
    one(ty.dtype, index.dims)
}

/// A user's flat index into sizes, which may count from the end.
pub(super) fn wrap_flat(e: &mut Element, at: Expr, dims: &[Dim]) -> Expr {
    if let Some(known) = dims.iter().map(|d| d.as_const()).product::<Option<i64>>() {
        return e.wrap_index(at, Dim::Const(known));
    }
    let total = dims.iter().fold(e.int(1), |product, &d| {
        let size = e.dim(d);
        e.binary(BinaryOp::Mul, product, size)
    });
    let wrapped = e.calc([at, total], |[at, total]| at.lt(0.0).select(at + total, at));
    e.exprs().intern(kiln_loops::ExprData::Check { index: wrapped, size: total })
}

/// How `self[indices]` is laid out.
pub(super) struct Indexing {
    /// For each axis of self, the item of the list that indexes it.
    pub items: Vec<Option<usize>>,
    /// Common sizes of the index tensors.
    pub common: Vec<Dim>,
    /// The same as far as they are sizes of every index tensor; of an axis that has others, nothing.
    extents: Vec<Option<Dim>>,
    /// Where they stand among the result's axes.
    pub at: usize,
}

impl Indexing {
    /// Of a list of index tensors (argument 1) and nones.
    pub fn new(cx: &mut Infer) -> Result<Indexing, OpError> {
        let rank = cx.tensor(0).rank();
        let Fact::List(list) = &cx.args[1] else {
            return OpError::unsupported("a list of indices whose length is known only at run time");
        };
        let list = list.clone();
        if list.len() > rank {
            return OpError::index(format!("too many indices for tensor of dimension {rank}"));
        }
        let mut shapes = Vec::new();
        for fact in &list {
            if let Fact::Tensor(ty) = fact {
                if matches!(ty.dtype, DType::Bool | DType::U8) {
                    return OpError::unsupported("a mask as an index: the result's size depends on data");
                }
                int_index(ty)?;
                shapes.push(ty.dims.clone());
            }
        }
        let common = cx.broadcast(&shapes.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        Ok(Indexing { common, ..Indexing::layout(&list, rank) })
    }

    /// As `new`, of sizes that are known to be the common ones.
    pub fn of(list: &[Fact], rank: usize, common: Vec<Dim>) -> Indexing {
        Indexing { common, ..Indexing::layout(list, rank) }
    }

    /// As `new`, without the common sizes.
    fn layout(list: &[Fact], rank: usize) -> Indexing {
        let items: Vec<Option<usize>> =
            (0..rank).map(|axis| matches!(list.get(axis), Some(Fact::Tensor(_))).then_some(axis)).collect();
        let first = items.iter().position(Option::is_some).unwrap_or(0);
        let last = items.iter().rposition(Option::is_some).unwrap_or(0);
        // Index tensors that are not side by side come first.
        let is_run = items[first.min(rank)..].iter().take(last + 1 - first).all(Option::is_some);
        Indexing { items, common: Vec::new(), extents: same_sizes(list), at: if is_run { first } else { 0 } }
    }

    /// As `new`, where the infer rule has checked everything.
    pub fn again(e: &Element) -> Indexing {
        let Fact::List(list) = &e.args[1] else { panic!("indices are a list") };
        let rank = list.iter().filter_map(|f| if let Fact::Tensor(t) = f { Some(t.rank()) } else { None }).max().unwrap_or(0);
        Indexing { common: vec![Dim::Const(0); rank], ..Indexing::layout(list, e.tensor(0).rank()) }
    }

    /// Sizes of the result.
    pub fn result(&self, own: &[Dim]) -> Vec<Dim> {
        let mut dims: Vec<Dim> = own.iter().zip(&self.items).filter(|(_, item)| item.is_none()).map(|(d, _)| *d).collect();
        dims.splice(self.at..self.at, self.common.iter().copied());
        dims
    }

    /// The index into self at an index of the result.
    pub fn place(&self, e: &mut Element, index: &[Expr]) -> Vec<Expr> {
        let shared = &index[self.at..self.at + self.common.len()];
        let mut rest = index[..self.at].iter().chain(&index[self.at + self.common.len()..]).copied();
        let dims = e.tensor(0).dims.clone();
        let mut own = Vec::new();
        for (axis, item) in self.items.iter().enumerate() {
            let Some(item) = *item else {
                own.push(rest.next().expect("an index for each axis that is not indexed"));
                continue;
            };
            let Fact::List(list) = &e.args[1] else { panic!("indices are a list") };
            let Fact::Tensor(ty) = &list[item] else { panic!("an index is a tensor") };
            let ty = ty.clone();
            let place = e.broadcast_place(&ty.dims, shared, &self.extents);
            let at = e.load_item(1, item, &place);
            own.push(e.wrap_index(at, dims[axis]));
        }
        own
    }
}

/// For each of the broadcast index tensors' axes, the size that all of them have there, those of size 1 aside.
fn same_sizes(list: &[Fact]) -> Vec<Option<Dim>> {
    let shapes: Vec<&[Dim]> =
        list.iter().filter_map(|f| if let Fact::Tensor(t) = f { Some(&t.dims[..]) } else { None }).collect();
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let size = |axis: usize| {
        let mut sizes = shapes.iter().filter_map(|s| s.get((axis + s.len()).checked_sub(rank)?)).filter(|d| **d != Dim::Const(1));
        let first = *sizes.next()?;
        sizes.all(|d| *d == first).then_some(first)
    };
    (0..rank).map(size).collect()
}

fn indexed(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let indexing = Indexing::new(cx)?;
    one(cx.tensor(0).dtype, indexing.result(&cx.tensor(0).dims))
}

fn index_tensors(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let own = Indexing::again(e).place(e, index);
    e.load(0, &own)
}

fn one_hot_type(cx: &mut Infer) -> Types {
    let ty = cx.tensor(0).clone();
    if ty.dtype != DType::I64 {
        return OpError::raise(format!(
            "one_hot is only applicable to index tensor of type LongTensor. Got {}",
            ty.dtype.scalar_type_name()
        ));
    }
    let classes = cx.dim(1)?;
    match classes.as_const() {
        Some(-1) => return OpError::unsupported("the number of classes depends on data"),
        Some(n) if n <= 0 => return OpError::raise("num_classes should be positive"),
        _ => {}
    }
    let mut dims = ty.dims;
    dims.push(classes);
    one(DType::I64, dims)
}

/// Where the arguments of a search are.
struct Side {
    right: usize,
    name: Option<usize>,
    sorter: Option<usize>,
}

fn searched(cx: &mut Infer, values: usize, as_int32: usize) -> Types {
    let dtype = if cx.bool(as_int32)? { DType::I32 } else { DType::I64 };
    cx.bool(3)?;
    if cx.args.get(4).is_some_and(|side| !matches!(side, Fact::Str(_) | Fact::None)) {
        return OpError::unsupported("a side that is known only at run time");
    }
    let sequence = cx.tensor(1 - values).clone();
    let Fact::Tensor(ty) = cx.args[values].clone() else { return one(dtype, Vec::new()) };
    if sequence.rank() == 0 {
        return OpError::raise("boundaries tensor should have positive dimension");
    }
    let message = "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match";
    if sequence.rank() > 1 && sequence.rank() != ty.rank() {
        return OpError::raise(message);
    }
    for axis in 0..sequence.rank() - 1 {
        cx.require_equal(sequence.dims[axis], ty.dims[axis], message)?;
    }
    one(dtype, ty.dims)
}

/// The number of elements of the sequence before the value.
fn search(e: &mut Element, sequence: usize, values: usize, index: &[Expr], side: Side) -> Expr {
    let is_named = side.name.is_some_and(|at| matches!(&e.args[at], Fact::Str(name) if name == "right"));
    let is_right = is_named || e.const_bool(side.right);
    let dtype = common_dtype(e.args, &[sequence, values]);
    let value = super::rules::operand_as(e, values, index, dtype);
    let dims = e.tensor(sequence).dims.clone();
    let (&length, outer) = dims.split_last().expect("checked by the infer rule");
    let outer = index[..outer.len()].to_vec();
    let sorter = side.sorter.filter(|&at| !e.is_none(at));
    let count = e.reduce(ReduceOp::Sum, &[length], &mut |e, at| {
        let mut place = outer.clone();
        place.push(at[0]);
        if let Some(sorter) = sorter {
            let sorted = e.load(sorter, &place);
            *place.last_mut().expect("it has an axis") = e.check(sorted, length);
        }
        let bound = e.load(sequence, &place);
        let bound = e.cast(dtype, bound);
        e.calc([bound, value], |[bound, value]| {
            // A NaN is larger than everything.
            let before = if is_right { !bound.gt(value) } else { !bound.ge(value) };
            let before = if is_right { before & (!bound.is_nan() | value.is_nan()) } else { before & !bound.is_nan() };
            before.to_kind(Kind::Int)
        })
    });
    finish(e, count)
}
