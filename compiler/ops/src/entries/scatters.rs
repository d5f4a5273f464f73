//! Writing at computed indices into a copy of argument 0. Indices are checked.

use super::index::{Indexing, axis_of, check_index_shape, int_index};
use super::rules::{Types, is_tensor, kind, not_quantized};
use crate::element::Element;
use crate::entry::{Body, Entry, InferFn, ScatterFn, ScatterStore};
use crate::infer::{Fact, Infer, OpError};
use kiln_graph::{Dim, TensorType};
use kiln_loops::{BinaryOp, Expr, Kind};
use kiln_support::DType;

const fn scatter(
    key: &'static str,
    doc: &'static str,
    infer: InferFn,
    domain: fn(&Infer) -> Vec<Dim>,
    store: fn(&mut Element, &[Expr]) -> ScatterStore,
) -> Entry {
    Entry { key, doc, body: Body::Scatter { infer, scatter: ScatterFn { domain, store } } }
}

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    scatter(
        "aten::scatter.src",
        "self with src written at index along an axis",
        |cx| scattered(cx, Some(3)),
        index_domain,
        |e, i| along(e, i, None),
    ),
    scatter(
        "aten::scatter.value",
        "self with a number written at index along an axis",
        |cx| scattered(cx, None),
        index_domain,
        |e, i| along(e, i, None),
    ),
    scatter(
        "aten::scatter_add",
        "self with src added at index along an axis",
        |cx| scattered(cx, Some(3)),
        index_domain,
        |e, i| along(e, i, Some(BinaryOp::Add)),
    ),
    scatter(
        "kiln::scatter_reduce",
        "self combined with src at index along an axis",
        |cx| scattered(cx, Some(3)),
        index_domain,
        |e, i| {
            let op = if let Fact::Str(name) = &e.args[4] { combination(name) } else { None };
            along(e, i, op)
        },
    ),
    scatter(
        "aten::index_add",
        "self with alpha times source added at positions of an axis",
        |cx| rows(cx, 3),
        source_domain,
        |e, i| store_rows(e, i, true),
    ),
    scatter(
        "aten::index_copy",
        "self with source written at positions of an axis",
        |cx| rows(cx, 3),
        source_domain,
        |e, i| store_rows(e, i, false),
    ),
    scatter("aten::index_fill.int_Scalar", "self with a number written at positions of an axis", filled, fill_domain, fill_rows),
    scatter("aten::index_fill.int_Tensor", "self with a number written at positions of an axis", filled, fill_domain, fill_rows),
    scatter("aten::index_put", "self with values written (or added) at the broadcast index tensors", put, put_domain, store_put),
    scatter(
        "aten::index_put.hacked_twin",
        "self with values written (or added) at the broadcast index tensors",
        put,
        put_domain,
        store_put,
    ),
    scatter(
        "aten::_index_put_impl",
        "self with values written (or added) at the broadcast index tensors",
        put,
        put_domain,
        store_put,
    ),
    scatter(
        "aten::_unsafe_index_put",
        "self with values written (or added) at the broadcast index tensors",
        put,
        put_domain,
        store_put,
    ),
    scatter(
        "aten::_unsafe_index_put.hacked_twin",
        "self with values written (or added) at the broadcast index tensors",
        put,
        put_domain,
        store_put,
    ),
];

/// The combination that a reduction's name says; none for one that is none.
fn combination(name: &str) -> Option<BinaryOp> {
    Some(match name {
        "sum" | "add" => BinaryOp::Add,
        "prod" | "multiply" => BinaryOp::Mul,
        "amax" => BinaryOp::Max,
        "amin" => BinaryOp::Min,
        _ => return None,
    })
}

/// A store of a value, combined with what is there.
fn store(e: &mut Element, index: Vec<Expr>, value: Expr, op: Option<BinaryOp>) -> ScatterStore {
    let dtype = e.results[0].dtype;
    let value = e.cast(dtype, value);
    let value = match op {
        None => value,
        Some(op) => {
            let old = e.source.target(&index);
            let op = if dtype == DType::Bool && op == BinaryOp::Add { BinaryOp::Or } else { op };
            let new = e.binary(op, old, value);
            e.cast(dtype, new)
        }
    };
    ScatterStore { index, value, guard: None }
}

fn scattered(cx: &mut Infer, source: Option<usize>) -> Types {
    not_quantized(cx)?;
    let (ty, index) = (cx.tensor(0).clone(), cx.tensor(2).clone());
    let axis = cx.axis(1, ty.rank())?;
    if index.dtype != DType::I64 && index.dtype != DType::I32 {
        return OpError::raise("scatter(): Expected dtype int64 for index");
    }
    match cx.args.get(4) {
        Some(Fact::Str(name)) if combination(name).is_none() => {
            return OpError::raise(format!("reduce argument must be either sum, prod, mean, amax or amin, got {name}"));
        }
        Some(Fact::Str(_)) | None => {}
        Some(_) => return OpError::unsupported("a reduction that is known only at run time"),
    }
    check_index_shape(cx, &ty, &index, axis, "scatter")?;
    if let Some(source) = source {
        let source = cx.tensor(source).clone();
        if source.dtype != ty.dtype {
            return OpError::raise("scatter(): Expected self.dtype to be equal to src.dtype");
        }
        // The source may be larger along every axis, the indexed one too.
        check_index_shape(cx, &source, &index, usize::MAX, "scatter")?;
    }
    Ok(vec![ty])
}

fn index_domain(cx: &Infer) -> Vec<Dim> {
    cx.tensor(2).dims.clone()
}

fn along(e: &mut Element, index: &[Expr], op: Option<BinaryOp>) -> ScatterStore {
    let at = e.load(2, index);
    let at = e.exprs().to_kind(Kind::Int, at);
    let dims = e.tensor(0).dims.clone();
    let value = if is_tensor(&e.args[3]) {
        let place = &index[..e.tensor(3).rank().min(index.len())];
        e.load(3, place)
    } else {
        e.number(3, kind(e))
    };
    if dims.is_empty() {
        return scalar_store(e, at, value, op);
    }
    let axis = axis_of(e, 1, dims.len());
    let mut own = index.to_vec();
    own.resize(dims.len(), at);
    own[axis] = e.check(at, dims[axis]);
    store(e, own, value, op)
}

/// A store into a tensor without axes: it counts as one position, which the index must name.
fn scalar_store(e: &mut Element, at: Expr, value: Expr, op: Option<BinaryOp>) -> ScatterStore {
    let at = e.check(at, Dim::Const(1));
    let zero = e.int(0);
    let fits = e.binary(BinaryOp::Eq, at, zero);
    ScatterStore { guard: Some(fits), ..store(e, Vec::new(), value, op) }
}

/// Argument 2 holds positions of an axis, `source` a slice for each.
fn rows(cx: &mut Infer, source: usize) -> Types {
    not_quantized(cx)?;
    let (ty, index, source) = (cx.tensor(0).clone(), cx.tensor(2).clone(), cx.tensor(source).clone());
    let axis = cx.axis(1, ty.rank())?;
    if index.rank() > 1 {
        return OpError::index("Index is supposed to be a vector");
    }
    if !matches!(index.dtype, DType::I64 | DType::I32) {
        return OpError::raise("Expected dtype int32/int64 for index");
    }
    if source.dtype != ty.dtype {
        return OpError::raise("self and source expected to have the same dtype");
    }
    let count = index.dims.first().copied().unwrap_or(Dim::Const(1));
    if ty.rank() == 0 || source.rank() == 0 {
        return if count == Dim::Const(1) && source.rank() <= 1 && ty.rank() <= 1 {
            Ok(vec![ty])
        } else {
            OpError::index("Number of indices should be equal to source.size(dim)")
        };
    }
    if source.rank() != ty.rank() {
        return OpError::index("When source and destination are not scalars, their dimensionality must match.");
    }
    for i in 0..ty.rank() {
        let wanted = if i == axis { count } else { ty.dims[i] };
        match (wanted.as_const(), source.dims[i].as_const()) {
            (Some(a), Some(b)) if a != b => {
                return OpError::index(format!("source does not fit at dimension {i}: {b} instead of {a}"));
            }
            (Some(_), Some(_)) => {}
            _ => cx.dims.require_equal(wanted, source.dims[i], "source does not fit"),
        }
    }
    Ok(vec![ty])
}

fn source_domain(cx: &Infer) -> Vec<Dim> {
    cx.tensor(3).dims.clone()
}

fn store_rows(e: &mut Element, index: &[Expr], adds: bool) -> ScatterStore {
    let rank = e.tensor(0).rank();
    let axis = axis_of(e, 1, rank);
    let zero = e.int(0);
    let place = if e.tensor(2).rank() == 0 { Vec::new() } else { vec![index.get(axis).copied().unwrap_or(zero)] };
    let at = e.load(2, &place);
    let mut value = e.load(3, index);
    if adds {
        let alpha = e.number(4, kind(e));
        value = if kind(e) == Kind::Bool { value } else { e.binary(BinaryOp::Mul, value, alpha) };
    }
    let op = adds.then_some(BinaryOp::Add);
    if rank == 0 {
        return scalar_store(e, at, value, op);
    }
    let mut own = index.to_vec();
    own.resize(rank, at);
    let size = e.tensor(0).dims[axis];
    own[axis] = e.check(at, size);
    store(e, own, value, op)
}

fn filled(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let (ty, index) = (cx.tensor(0).clone(), cx.tensor(2).clone());
    cx.axis(1, ty.rank())?;
    if index.rank() > 1 {
        return OpError::index("Index is supposed to be a vector");
    }
    if index.dtype != DType::I64 {
        return OpError::index("index_fill_(): Expected dtype int64 for index.");
    }
    if let Fact::Tensor(value) = &cx.args[3]
        && value.rank() != 0
    {
        return OpError::raise(format!(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with {} dimension(s).",
            value.rank()
        ));
    }
    Ok(vec![ty])
}

/// Self's sizes, but one position for each index.
fn fill_domain(cx: &Infer) -> Vec<Dim> {
    let mut dims = cx.tensor(0).dims.clone();
    let count = cx.tensor(2).dims.first().copied().unwrap_or(Dim::Const(1));
    match cx.axis(1, dims.len()) {
        Ok(axis) if axis < dims.len() => dims[axis] = count,
        _ => dims = vec![count],
    }
    dims
}

fn fill_rows(e: &mut Element, index: &[Expr]) -> ScatterStore {
    let dims = e.tensor(0).dims.clone();
    let axis = axis_of(e, 1, dims.len());
    let place = if e.tensor(2).rank() == 0 { Vec::new() } else { vec![index[axis]] };
    let at = e.load(2, &place);
    let value = if is_tensor(&e.args[3]) { e.load(3, &[]) } else { e.number(3, kind(e)) };
    if dims.is_empty() {
        let at = e.calc([at], |[at]| at.lt(0.0).select(at + 1.0, at));
        return scalar_store(e, at, value, None);
    }
    let mut own = index.to_vec();
    own[axis] = e.wrap_index(at, dims[axis]);
    store(e, own, value, None)
}

/// The mask that is the only index, if one is.
fn mask(facts: &[Fact]) -> Option<&TensorType> {
    let Fact::List(items) = &facts[1] else { return None };
    match &items[..] {
        [Fact::Tensor(ty)] if matches!(ty.dtype, DType::Bool | DType::U8) => Some(ty),
        _ => None,
    }
}

fn put(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let (ty, values) = (cx.tensor(0).clone(), cx.tensor(2).clone());
    cx.bool(3)?;
    if values.dtype != ty.dtype {
        return OpError::raise(format!(
            "Index put requires the source and destination dtypes match, got {} for the destination and {} for the source.",
            ty.dtype.scalar_type_name(),
            values.dtype.scalar_type_name()
        ));
    }
    if let Some(mask) = mask(cx.args).cloned() {
        let message = format!("The shape of the mask {mask} does not match the shape of the indexed tensor {ty}");
        if mask.rank() > ty.rank() {
            return OpError::index(message);
        }
        for (&own, &wanted) in mask.dims.iter().zip(&ty.dims) {
            cx.require_equal(own, wanted, &message)?;
        }
        let rest = ty.rank() - mask.rank();
        let leading = values.rank().saturating_sub(rest);
        if values.dims[..leading].iter().any(|d| *d != Dim::Const(1)) {
            return OpError::unsupported("values for the places of a mask: how many there are depends on data");
        }
        cx.require_broadcast(&values.dims[leading..], &ty.dims[mask.rank()..], &mismatch(&values, &ty.dims))?;
        return Ok(vec![ty]);
    }
    let Fact::List(list) = &cx.args[1] else {
        return OpError::unsupported("a list of indices whose length is known only at run time");
    };
    for fact in list {
        if let Fact::Tensor(index) = fact {
            if matches!(index.dtype, DType::Bool | DType::U8) {
                return OpError::unsupported("a mask among other indices");
            }
            int_index(index)?;
        }
    }
    let indexing = Indexing::new(cx)?;
    if indexing.common != put_common(cx.args) {
        return OpError::unsupported("index tensors of different sizes that are known only at run time");
    }
    let window = indexing.result(&ty.dims);
    // Leading axes of size 1 do not count.
    let leading =
        values.dims.len().saturating_sub(window.len()).min(values.dims.iter().take_while(|d| **d == Dim::Const(1)).count());
    cx.require_broadcast(&values.dims[leading..], &window, &mismatch(&values, &window))?;
    Ok(vec![ty])
}

fn mismatch(values: &TensorType, window: &[Dim]) -> String {
    let sizes: Vec<String> = window.iter().map(|d| d.to_string()).collect();
    format!("shape mismatch: value tensor {values} cannot be broadcast to indexing result of shape [{}]", sizes.join(", "))
}

/// The sizes of what the index tensors name.
fn put_window(facts: &[Fact], own: &[Dim]) -> Vec<Dim> {
    let Fact::List(list) = &facts[1] else { return Vec::new() };
    Indexing::of(list, own.len(), put_common(facts)).result(own)
}

/// The broadcast sizes of the index tensors.
fn put_common(facts: &[Fact]) -> Vec<Dim> {
    let Fact::List(list) = &facts[1] else { return Vec::new() };
    let shapes: Vec<&TensorType> = list.iter().filter_map(|f| if let Fact::Tensor(t) = f { Some(t) } else { None }).collect();
    common_shape(&shapes)
}

fn put_domain(cx: &Infer) -> Vec<Dim> {
    let own = &cx.tensor(0).dims;
    if mask(cx.args).is_some() {
        return own.clone();
    }
    put_window(cx.args, own)
}

/// The broadcast sizes of shapes that the infer rule has found to fit.
fn common_shape(shapes: &[&TensorType]) -> Vec<Dim> {
    let rank = shapes.iter().map(|t| t.rank()).max().unwrap_or(0);
    let mut dims = vec![Dim::Const(1); rank];
    for ty in shapes {
        for (i, dim) in ty.dims.iter().enumerate().filter(|(_, d)| **d != Dim::Const(1)) {
            let slot = &mut dims[rank - ty.rank() + i];
            if slot.as_const().is_none_or(|n| n == 1) {
                *slot = *dim;
            }
        }
    }
    dims
}

fn store_put(e: &mut Element, index: &[Expr]) -> ScatterStore {
    let op = e.const_bool(3).then_some(BinaryOp::Add);
    let values = e.tensor(2).dims.clone();
    if let Some(ty) = mask(e.args).cloned() {
        let inside = e.load_item(1, 0, &index[..ty.rank()]);
        let inside = e.exprs().to_kind(Kind::Bool, inside);
        // Missing and leading axes of size 1 are read at 0.
        let rest = &index[ty.rank()..];
        let leading = values.len().saturating_sub(rest.len());
        let mut place = vec![e.int(0); leading];
        let extents: Vec<Option<Dim>> = e.tensor(0).dims[ty.rank()..].iter().copied().map(Some).collect();
        place.extend(e.broadcast_place(&values[leading..], rest, &extents));
        let value = e.load(2, &place);
        return ScatterStore { guard: Some(inside), ..store(e, index.to_vec(), value, op) };
    }
    let indexing = Indexing::again(e);
    let window = put_window(e.args, &e.tensor(0).dims);
    let leading = values.len().saturating_sub(index.len());
    let mut place = vec![e.int(0); leading];
    let extents: Vec<Option<Dim>> = window.into_iter().map(Some).collect();
    place.extend(e.broadcast_place(&values[leading..], index, &extents));
    let value = e.load(2, &place);
    let own = indexing.place(e, index);
    store(e, own, value, op)
}
