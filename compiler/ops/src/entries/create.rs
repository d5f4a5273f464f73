//! Operators that make tensors from sizes and numbers. Uninitialised tensors are zeros, those of bools true (as
//! PyTorch fills them where it must be deterministic).

use super::regroup::flatten;
use super::rules::{Types, finish, kind, not_quantized, one, tensor};
use crate::calc::Num;
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError};
use kiln_graph::Dim;
use kiln_loops::{BinaryOp, Expr, Kind, ReduceOp};
use kiln_support::DType;

/// One number everywhere: key, documentation, type of the result, number.
macro_rules! filled {
    ($($key:literal $doc:literal $infer:expr, $value:expr;)*) => {
        &[$(tensor!($key, $doc, $infer, |e, _, _| {
            let value: fn(&mut Element) -> Expr = $value;
            let value = value(e);
            finish(e, value)
        })),*]
    };
}

fn zero(e: &mut Element) -> Expr {
    e.constant(kind(e), 0.0)
}

fn unit(e: &mut Element) -> Expr {
    e.constant(kind(e), 1.0)
}

fn unwritten(e: &mut Element) -> Expr {
    if kind(e) == Kind::Bool { unit(e) } else { zero(e) }
}

/// Constant tensors.
pub const FILLED: &[Entry] = filled! {
    "aten::zeros" "zeros" |cx| sized(cx, 0, 1, DType::F32), zero;
    "aten::ones" "ones" |cx| sized(cx, 0, 1, DType::F32), unit;
    "aten::full" "one number everywhere" full, |e| e.number(1, kind(e));
    "aten::empty.memory_format" "a tensor to be written" |cx| sized(cx, 0, 1, DType::F32), unwritten;
    "aten::empty_strided" "a tensor to be written" |cx| sized(cx, 0, 2, DType::F32), unwritten;
    "aten::empty_permuted" "a tensor to be written" |cx| sized(cx, 0, 2, DType::F32), unwritten;
    "aten::zeros_like" "zeros" |cx| like(cx, 1), zero;
    "aten::ones_like" "ones" |cx| like(cx, 1), unit;
    "aten::empty_like" "a tensor to be written" |cx| like(cx, 1), unwritten;
    "aten::full_like" "one number everywhere" |cx| like(cx, 2), |e| e.number(1, kind(e));
    "aten::new_zeros" "zeros" |cx| sized(cx, 1, 2, cx.tensor(0).dtype), zero;
    "aten::new_ones" "ones" |cx| sized(cx, 1, 2, cx.tensor(0).dtype), unit;
    "aten::new_empty" "a tensor to be written" |cx| sized(cx, 1, 2, cx.tensor(0).dtype), unwritten;
    "aten::new_empty_strided" "a tensor to be written" |cx| sized(cx, 1, 3, cx.tensor(0).dtype), unwritten;
    "aten::new_full" "one number everywhere" |cx| sized(cx, 1, 3, cx.tensor(0).dtype), |e| e.number(2, kind(e));
    "aten::scalar_tensor" "a tensor of one number" |cx| one(cx.opt_dtype(1)?.unwrap_or(DType::F32), Vec::new()), |e| e.number(0, kind(e));
    "kiln::scalar" "a tensor of one number" |cx| one(given_dtype(cx, 1)?, Vec::new()), |e| e.number(0, kind(e));
};

/// Tensors whose elements depend on their place.
pub const ENTRIES: &[Entry] = &[
    tensor!("kiln::from_scalars", "a tensor of numbers", |cx| sized(cx, 1, 2, DType::F32), from_scalars),
    tensor!("aten::arange", "0, 1, ... below end", |cx| arange_type(cx, &[None, Some(0), None], 1), |e, _, i| arange(
        e, i[0], None, None
    )),
    tensor!(
        "aten::arange.start",
        "start, start + 1, ... below end",
        |cx| arange_type(cx, &[Some(0), Some(1), None], 2),
        |e, _, i| arange(e, i[0], Some(0), None)
    ),
    tensor!(
        "aten::arange.start_step",
        "start, start + step, ... before end",
        |cx| arange_type(cx, &[Some(0), Some(1), Some(2)], 3),
        |e, _, i| { arange(e, i[0], Some(0), Some(2)) }
    ),
    tensor!("aten::linspace", "steps numbers from start to end", |cx| steps_type(cx, 3), linspace),
    tensor!("aten::logspace", "base to the power of steps numbers from start to end", |cx| steps_type(cx, 4), |e, _, index| {
        let (start, end, steps) = (e.number(0, Kind::F64), e.number(1, Kind::F64), e.const_int(2));
        let base = e.number(3, Kind::F64);
        let y = e.calc([index[0], start, end, base], |[i, start, end, base]| base.pow(spaced(i, start, end, steps)));
        finish(e, y)
    }),
    tensor!(
        "aten::eye",
        "the identity matrix",
        |cx| {
            let n = cx.dim(0)?;
            matrix(cx, n, n, 1)
        },
        |e, _, index| identity(e, index)
    ),
    tensor!(
        "aten::eye.m",
        "the identity matrix, cut or filled up",
        |cx| {
            let (n, m) = (cx.dim(0)?, cx.dim(1)?);
            matrix(cx, n, m, 2)
        },
        |e, _, index| identity(e, index)
    ),
    tensor!(
        "aten::tril_indices",
        "rows and columns of the lower triangle",
        |cx| triangle_type(cx, true),
        |e, _, index| triangle(e, index, true)
    ),
    tensor!("aten::triu_indices", "rows and columns of the upper triangle", |cx| triangle_type(cx, false), |e, _, index| {
        triangle(e, index, false)
    }),
];

fn given_dtype(cx: &Infer, at: usize) -> Result<DType, OpError> {
    match cx.opt_dtype(at)? {
        Some(dtype) if dtype.is_quantized() => OpError::unsupported("a quantized tensor"),
        Some(dtype) => Ok(dtype),
        None => OpError::unsupported("no element type"),
    }
}

/// A tensor of the sizes of one argument and the element type of another, or else a default.
fn sized(cx: &mut Infer, sizes: usize, dtype: usize, default: DType) -> Types {
    let dims = cx.dim_list(sizes)?;
    for &size in &dims {
        cx.require_at_most(Dim::Const(0), size, &format!("Trying to create tensor with negative dimension {size}"))?;
    }
    let dtype = cx.opt_dtype(dtype)?.unwrap_or(default);
    if dtype.is_quantized() {
        return OpError::unsupported("a quantized tensor");
    }
    one(dtype, dims)
}

fn full(cx: &mut Infer) -> Types {
    let default = match cx.args[1] {
        Fact::Int(_) => DType::I64,
        Fact::Bool(_) => DType::Bool,
        _ => DType::F32,
    };
    sized(cx, 0, 2, default)
}

fn like(cx: &mut Infer, dtype: usize) -> Types {
    not_quantized(cx)?;
    let ty = cx.tensor(0).clone();
    one(cx.opt_dtype(dtype)?.unwrap_or(ty.dtype), ty.dims)
}

fn from_scalars(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let dims = e.results[0].dims.clone();
    let flat = flatten(e, &dims, index);
    let Fact::List(items) = e.args[0].clone() else { panic!("values are a list") };
    let mut values = Vec::new();
    for item in &items {
        let value = e.number_of(item, kind(e));
        values.push(finish(e, value));
    }
    let Some(mut result) = values.pop() else { return e.constant(kind(e), 0.0) };
    for (at, value) in values.into_iter().enumerate().rev() {
        let place = e.int(at as i64);
        let is_here = e.binary(BinaryOp::Eq, flat, place);
        result = e.select(is_here, value, result);
    }
    result
}

/// The number of an argument, as a float.
fn known_number(fact: &Fact) -> Result<f64, OpError> {
    match fact {
        Fact::Int(Dim::Const(i)) => Ok(*i as f64),
        Fact::Float(Ok(f)) => Ok(*f),
        Fact::Bool(Ok(b)) => Ok(f64::from(u8::from(*b))),
        _ => OpError::unsupported("a range whose length depends on a float known only at run time"),
    }
}

/// `[start, end, step]` are argument numbers, 0 and 1 being the default of start and step.
fn arange_type(cx: &mut Infer, args: &[Option<usize>; 3], dtype: usize) -> Types {
    let facts: Vec<Fact> = args
        .iter()
        .zip([0, 0, 1])
        .map(|(at, default)| at.map_or(Fact::Int(Dim::Const(default)), |at| cx.args[at].clone()))
        .collect();
    let is_int = facts.iter().all(|f| matches!(f, Fact::Int(_) | Fact::Bool(_)));
    let dtype = cx.opt_dtype(dtype)?.unwrap_or(if is_int { DType::I64 } else { DType::F32 });
    if dtype == DType::Bool {
        return super::rules::no_kernel("arange_cpu", dtype);
    }
    let size = match (&facts[0], &facts[1], &facts[2]) {
        (Fact::Int(start), Fact::Int(end), Fact::Int(Dim::Const(step)))
            if *step != 0 && (start.as_const().is_none() || end.as_const().is_none()) =>
        {
            int_range_length(cx, *start, *end, *step)?
        }
        _ => Dim::Const(range_length(&facts)?),
    };
    one(dtype, vec![size])
}

fn int_range_length(cx: &mut Infer, start: Dim, end: Dim, step: i64) -> Result<Dim, OpError> {
    let (low, high) = if step > 0 { (start, end) } else { (end, start) };
    cx.require_at_most(low, high, "upper bound and lower bound inconsistent with step sign")?;
    let span = cx.sub(high, low);
    let rounded = cx.add(span, Dim::Const(step.abs() - 1));
    Ok(cx.floor_div(rounded, Dim::Const(step.abs())))
}

fn range_length(facts: &[Fact]) -> Result<i64, OpError> {
    let (start, end, step) = (known_number(&facts[0])?, known_number(&facts[1])?, known_number(&facts[2])?);
    if step == 0.0 {
        return OpError::raise("step must be nonzero");
    }
    if !start.is_finite() || !end.is_finite() {
        return OpError::raise(format!("unsupported range: {start} -> {end}"));
    }
    if (step > 0.0 && end < start) || (step < 0.0 && end > start) {
        return OpError::raise("upper bound and lower bound inconsistent with step sign");
    }
    let length = ((end - start) / step).ceil();
    if length > 1e15 { OpError::raise("invalid size, possible overflow?") } else { Ok(length as i64) }
}

fn arange(e: &mut Element, i: Expr, start: Option<usize>, step: Option<usize>) -> Expr {
    // PyTorch computes all but ints in binary64.
    let wide = if kind(e) == Kind::Int { Kind::Int } else { Kind::F64 };
    let mut number = |at: Option<usize>, default: f64| match at {
        Some(at) => e.number(at, wide),
        None => e.constant(wide, default),
    };
    let (start, step) = (number(start, 0.0), number(step, 1.0));
    let y = e.calc([i, start, step], |[i, start, step]| start + i.to_kind(wide) * step);
    finish(e, y)
}

fn steps_type(cx: &mut Infer, dtype: usize) -> Types {
    let steps = cx.int(2)?;
    if steps < 0 {
        return OpError::raise("number of steps must be non-negative");
    }
    one(cx.opt_dtype(dtype)?.unwrap_or(DType::F32), vec![Dim::Const(steps)])
}

/// Number `i` of `steps` from start to end, computed from the nearer end.
fn spaced<'a>(i: Num<'a>, start: Num<'a>, end: Num<'a>, steps: i64) -> Num<'a> {
    if steps == 1 {
        return start;
    }
    let step = (end - start) / (steps - 1) as f64;
    let kind = start.kind();
    i.lt((steps / 2) as f64).select(start + step * i.to_kind(kind), end - step * (steps as f64 - 1.0 - i).to_kind(kind))
}

fn linspace(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let wide = match kind(e) {
        Kind::F32 => Kind::F32,
        _ => Kind::F64,
    };
    let (start, end, steps) = (e.number(0, wide), e.number(1, wide), e.const_int(2));
    let y = e.calc([index[0], start, end], |[i, start, end]| spaced(i, start, end, steps));
    finish(e, y)
}

fn matrix(cx: &mut Infer, rows: Dim, columns: Dim, dtype: usize) -> Types {
    for size in [rows, columns] {
        cx.require_at_most(Dim::Const(0), size, &format!("n must be greater or equal to 0, got {size}"))?;
    }
    one(cx.opt_dtype(dtype)?.unwrap_or(DType::F32), vec![rows, columns])
}

fn identity(e: &mut Element, index: &[Expr]) -> Expr {
    let is_diagonal = e.binary(BinaryOp::Eq, index[0], index[1]);
    finish(e, is_diagonal)
}

fn triangle_type(cx: &mut Infer, lower: bool) -> Types {
    let (rows, columns, offset) = (cx.int(0)?, cx.int(1)?, cx.int(2)?);
    if rows < 0 || columns < 0 {
        return OpError::raise("row must be non-negative");
    }
    let dtype = cx.opt_dtype(3)?.unwrap_or(DType::I64);
    one(dtype, vec![Dim::Const(2), Dim::Const(before_row(rows, columns, offset, lower))])
}

/// How many positions stand in the rows before `row`.
fn before_row(row: i64, columns: i64, offset: i64, lower: bool) -> i64 {
    // The sum of clamp(p, 0, columns) over p <= x.
    let sum = |x: i64| {
        let y = x.clamp(0, columns);
        y * (y + 1) / 2 + (x - columns).max(0) * columns
    };
    if lower { sum(row + offset) - sum(offset) } else { row * columns - (sum(row + offset - 1) - sum(offset - 1)) }
}

fn triangle(e: &mut Element, index: &[Expr], lower: bool) -> Expr {
    let (rows, columns, offset) = (e.const_int(0), e.const_int(1), e.const_int(2));
    let position = index[1];
    // The row: how many rows end at or before the position.
    let row = e.reduce(ReduceOp::Sum, &[Dim::Const(rows)], &mut |e, row| {
        e.calc([row[0], position], |[row, at]| symbolic_before(row + 1.0, columns, offset, lower).le(at).to_kind(Kind::Int))
    });
    let y = e.calc([index[0], row, position], |[which, row, at]| {
        let first = if lower { row.int(0) } else { (row + offset as f64).clamp(0.0, columns as f64) };
        which.eq(0.0).select(row, at - symbolic_before(row, columns, offset, lower) + first)
    });
    finish(e, y)
}

/// As [`before_row`], of a row known only when it is computed.
fn symbolic_before(row: Num, columns: i64, offset: i64, lower: bool) -> Num {
    let (offset, all) = (offset as f64, columns as f64);
    if lower {
        return clamped_sum(row + offset, all) - clamped_sum(row.like(offset), all);
    }
    row * all - (clamped_sum(row + (offset - 1.0), all) - clamped_sum(row.like(offset - 1.0), all))
}

/// The sum of clamp(p, 0, limit) over p <= x.
fn clamped_sum(x: Num, limit: f64) -> Num {
    let y = x.clamp(0.0, limit);
    (y * (y + 1.0)).binary(BinaryOp::Shr, 1.0) + (x - limit).max(0.0) * limit
}
