//! Reductions over axes. No axes (None or an empty list) means all of them.

use super::rules::{Types, finish, no_kernel, not_quantized, one, tensor};
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError, wrap_axis};
use kiln_graph::{Dim, TensorType};
use kiln_loops::{Expr, Kind, ReduceOp};
use kiln_support::DType;

/// Where a reduction's arguments are: the axes (none: all axes) and keepdim.
type Form = (Option<usize>, Option<usize>);

const ALL: Form = (None, None);
const DIMS: Form = (Some(1), Some(2));

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    tensor!("aten::sum", "the sum", |cx| summed(cx, ALL, 1), |e, _, i| total(e, ReduceOp::Sum, ALL, i)),
    tensor!("aten::sum.dim_IntList", "the sum over axes", |cx| summed(cx, DIMS, 3), |e, _, i| total(e, ReduceOp::Sum, DIMS, i)),
    tensor!("aten::prod", "the product", |cx| summed(cx, ALL, 1), |e, _, i| total(e, ReduceOp::Prod, ALL, i)),
    tensor!("aten::prod.dim_int", "the product over an axis", |cx| summed(cx, DIMS, 3), |e, _, i| total(
        e,
        ReduceOp::Prod,
        DIMS,
        i
    )),
    tensor!("aten::mean", "the mean", |cx| averaged(cx, ALL, 1), |e, _, i| mean(e, ALL, i)),
    tensor!("aten::mean.dim", "the mean over axes", |cx| averaged(cx, DIMS, 3), |e, _, i| mean(e, DIMS, i)),
    tensor!("aten::amax", "the largest over axes", |cx| extreme(cx, DIMS, "amax"), |e, _, i| own(e, ReduceOp::Max, DIMS, i)),
    tensor!("aten::amin", "the smallest over axes", |cx| extreme(cx, DIMS, "amin"), |e, _, i| own(e, ReduceOp::Min, DIMS, i)),
    tensor!("aten::max", "the largest", |cx| extreme(cx, ALL, "max"), |e, _, i| own(e, ReduceOp::Max, ALL, i)),
    tensor!("aten::min", "the smallest", |cx| extreme(cx, ALL, "min"), |e, _, i| own(e, ReduceOp::Min, ALL, i)),
    tensor!("aten::max.dim", "the largest over an axis and its first index", |cx| with_index(cx, "max"), |e, output, i| {
        if output == 0 { own(e, ReduceOp::Max, DIMS, i) } else { position(e, ReduceOp::ArgMax, DIMS, i) }
    }),
    tensor!("aten::min.dim", "the smallest over an axis and its first index", |cx| with_index(cx, "min"), |e, output, i| {
        if output == 0 { own(e, ReduceOp::Min, DIMS, i) } else { position(e, ReduceOp::ArgMin, DIMS, i) }
    }),
    tensor!(
        "aten::aminmax",
        "the smallest and the largest",
        |cx| {
            let ty = extreme(cx, DIMS, "aminmax")?.remove(0);
            Ok(vec![ty.clone(), ty])
        },
        |e, output, i| own(e, if output == 0 { ReduceOp::Min } else { ReduceOp::Max }, DIMS, i)
    ),
    tensor!("aten::argmax", "index of the first largest", |cx| indexed(cx, "argmax"), |e, _, i| position(
        e,
        ReduceOp::ArgMax,
        DIMS,
        i
    )),
    tensor!("aten::argmin", "index of the first smallest", |cx| indexed(cx, "argmin"), |e, _, i| position(
        e,
        ReduceOp::ArgMin,
        DIMS,
        i
    )),
    tensor!("aten::any", "whether one is not zero", |cx| tested(cx, ALL), |e, _, i| truth(e, ReduceOp::Any, ALL, i)),
    tensor!("aten::any.dim", "whether one along an axis is not zero", |cx| tested(cx, DIMS), |e, _, i| truth(
        e,
        ReduceOp::Any,
        DIMS,
        i
    )),
    tensor!("aten::any.dims", "whether one along axes is not zero", |cx| tested(cx, DIMS), |e, _, i| truth(
        e,
        ReduceOp::Any,
        DIMS,
        i
    )),
    tensor!("aten::all", "whether none is zero", |cx| tested(cx, ALL), |e, _, i| truth(e, ReduceOp::All, ALL, i)),
    tensor!("aten::all.dim", "whether none along an axis is zero", |cx| tested(cx, DIMS), |e, _, i| truth(
        e,
        ReduceOp::All,
        DIMS,
        i
    )),
    tensor!("aten::all.dims", "whether none along axes is zero", |cx| tested(cx, DIMS), |e, _, i| truth(
        e,
        ReduceOp::All,
        DIMS,
        i
    )),
];

/// Which axes are reduced.
fn mask(rank: usize, axes: Option<&Fact>) -> Result<Vec<bool>, OpError> {
    let known = |f: &Fact| match f {
        Fact::Int(Dim::Const(axis)) => wrap_axis(*axis, rank),
        _ => OpError::unsupported("an axis that is known only at run time"),
    };
    let mut mask = vec![false; rank];
    let named = match axes {
        None | Some(Fact::None) => return Ok(vec![true; rank]),
        Some(Fact::List(items)) if items.is_empty() => return Ok(vec![true; rank]),
        Some(Fact::List(items)) => items.iter().map(known).collect::<Result<Vec<_>, _>>()?,
        Some(one) => vec![known(one)?],
    };
    let mut seen = Vec::new();
    for axis in named {
        if seen.contains(&axis) {
            return OpError::raise(format!("dim {axis} appears multiple times in the list of dims"));
        }
        seen.push(axis);
        if let Some(slot) = mask.get_mut(axis) {
            *slot = true;
        }
    }
    Ok(mask)
}

fn keeps(facts: &[Fact], form: Form) -> bool {
    form.1.is_some_and(|at| matches!(facts[at], Fact::Bool(Ok(true))))
}

/// The result's sizes and the sizes reduced over.
fn split(cx: &Infer, form: Form) -> Result<(Vec<Dim>, Vec<Dim>), OpError> {
    not_quantized(cx)?;
    if let Some(at) = form.1 {
        cx.bool(at)?;
    }
    let dims = &cx.tensor(0).dims;
    let mask = mask(dims.len(), form.0.map(|at| &cx.args[at]))?;
    let keep = keeps(cx.args, form);
    let result = dims.iter().zip(&mask).filter(|(_, m)| keep || !**m).map(|(d, m)| if *m { Dim::Const(1) } else { *d }).collect();
    let reduced = dims.iter().zip(&mask).filter(|(_, m)| **m).map(|(d, _)| *d).collect();
    Ok((result, reduced))
}

/// The reduction of argument 0, each element changed by `map` first.
fn reduce(e: &mut Element, op: ReduceOp, form: Form, index: &[Expr], map: &dyn Fn(&mut Element, Expr) -> Expr) -> Expr {
    let dims = e.tensor(0).dims.clone();
    let mask = mask(dims.len(), form.0.map(|at| &e.args[at])).expect("checked by the infer rule");
    let keep = keeps(e.args, form);
    let reduced: Vec<Dim> = dims.iter().zip(&mask).filter(|(_, m)| **m).map(|(d, _)| *d).collect();
    e.reduce(op, &reduced, &mut |e, inner| {
        let (mut outer, mut inner) = (index.iter().copied(), inner.iter().copied());
        let mut own = Vec::new();
        for &is_reduced in &mask {
            if !is_reduced {
                own.push(outer.next().expect("an index for each kept axis"));
                continue;
            }
            own.push(inner.next().expect("an index for each reduced axis"));
            if keep {
                outer.next();
            }
        }
        let x = e.load(0, &own);
        map(e, x)
    })
}

fn summed(cx: &mut Infer, form: Form, dtype: usize) -> Types {
    let (dims, _) = split(cx, form)?;
    let own = cx.tensor(0).dtype;
    let default = if own.is_float() { own } else { DType::I64 };
    one(cx.opt_dtype(dtype)?.unwrap_or(default), dims)
}

/// The elements are converted to the result's type first.
fn total(e: &mut Element, op: ReduceOp, form: Form, index: &[Expr]) -> Expr {
    let y = reduce(e, op, form, index, &|e, x| finish(e, x));
    finish(e, y)
}

fn averaged(cx: &mut Infer, form: Form, dtype: usize) -> Types {
    let (dims, _) = split(cx, form)?;
    let dtype = cx.opt_dtype(dtype)?.unwrap_or(cx.tensor(0).dtype);
    if !dtype.is_float() {
        return OpError::raise(format!(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: {}",
            dtype.scalar_type_name()
        ));
    }
    one(dtype, dims)
}

fn mean(e: &mut Element, form: Form, index: &[Expr]) -> Expr {
    let sum = reduce(e, ReduceOp::Sum, form, index, &|e, x| finish(e, x));
    let dims = e.tensor(0).dims.clone();
    let mask = mask(dims.len(), form.0.map(|at| &e.args[at])).expect("checked by the infer rule");
    let mut count = e.int(1);
    for (dim, _) in dims.into_iter().zip(mask).filter(|(_, m)| *m) {
        let size = e.dim(dim);
        count = e.exprs().mul(count, size);
    }
    let y = e.calc([sum, count], |[sum, count]| sum / count.to_kind(sum.kind()));
    finish(e, y)
}

fn not_empty(cx: &mut Infer, reduced: &[Dim], name: &str) -> Result<(), OpError> {
    let message = format!("{name}(): Expected reduction dim to have non-zero size.");
    if reduced.contains(&Dim::Const(0)) {
        return OpError::index(message);
    }
    reduced.iter().try_for_each(|&size| cx.require_at_most(Dim::Const(1), size, &message))
}

fn extreme(cx: &mut Infer, form: Form, name: &str) -> Types {
    let (dims, reduced) = split(cx, form)?;
    not_empty(cx, &reduced, name)?;
    one(cx.tensor(0).dtype, dims)
}

fn own(e: &mut Element, op: ReduceOp, form: Form, index: &[Expr]) -> Expr {
    reduce(e, op, form, index, &|_, x| x)
}

fn with_index(cx: &mut Infer, name: &str) -> Types {
    let ty = extreme(cx, DIMS, name)?.remove(0);
    let indices = TensorType { dtype: DType::I64, ..ty.clone() };
    Ok(vec![ty, indices])
}

fn indexed(cx: &mut Infer, name: &str) -> Types {
    if cx.tensor(0).dtype == DType::Bool {
        return no_kernel(name, DType::Bool);
    }
    let ty = extreme(cx, DIMS, name)?.remove(0);
    one(DType::I64, ty.dims)
}

fn position(e: &mut Element, op: ReduceOp, form: Form, index: &[Expr]) -> Expr {
    reduce(e, op, form, index, &|e, x| {
        let kind = e.exprs().kind(x);
        e.exprs().to_kind(if kind == Kind::Bool { Kind::Int } else { kind }, x)
    })
}

/// Bool, but bytes stay bytes.
fn tested(cx: &mut Infer, form: Form) -> Types {
    let (dims, _) = split(cx, form)?;
    one(if cx.tensor(0).dtype == DType::U8 { DType::U8 } else { DType::Bool }, dims)
}

fn truth(e: &mut Element, op: ReduceOp, form: Form, index: &[Expr]) -> Expr {
    let y = reduce(e, op, form, index, &|e, x| e.exprs().to_kind(Kind::Bool, x));
    finish(e, y)
}
