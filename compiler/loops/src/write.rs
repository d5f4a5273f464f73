//! The text form of computations, for dumps.

use crate::compute::{Compute, Extent};
use crate::expr::{Expr, ExprData};
use crate::scalar::Scalar;
use std::fmt::Write;

/// Writes a computation.
pub fn write_compute(compute: &Compute) -> String {
    let mut out = format!("compute {}(", compute.name);
    for (i, input) in compute.inputs.iter().enumerate() {
        let dims: Vec<String> = input.dims.iter().map(extent).collect();
        let _ = write!(out, "{}in{i}: {}[{}]", if i > 0 { ", " } else { "" }, input.dtype, dims.join(", "));
    }
    for (i, kind) in compute.params.iter().enumerate() {
        let _ = write!(out, "{}p{i}: {kind:?}", if i > 0 || !compute.inputs.is_empty() { ", " } else { "" });
    }
    out.push_str(")\n");
    for (i, axis) in compute.axes.iter().enumerate() {
        let what = if i < compute.rank { "for" } else { "reduce" };
        let _ = writeln!(out, "  {what} i{i} in 0..{}", extent(axis));
    }
    for (i, output) in compute.outputs.iter().enumerate() {
        let _ = writeln!(out, "  out{i}: {} = {}", output.dtype, text(compute, output.value));
    }
    if let Some(scatter) = &compute.scatter {
        let index: Vec<String> = scatter.index.iter().map(|&e| text(compute, e)).collect();
        let _ = writeln!(out, "  out0[{}]: {} = {}", index.join(", "), scatter.dtype, text(compute, scatter.value));
    }
    out
}

fn extent(extent: &Extent) -> String {
    match extent {
        Extent::Const(n) => n.to_string(),
        Extent::Param(p) => format!("p{p}"),
    }
}

fn text(compute: &Compute, expr: Expr) -> String {
    let list = |exprs: &[Expr]| exprs.iter().map(|&e| text(compute, e)).collect::<Vec<_>>().join(", ");
    match compute.exprs.get(expr) {
        ExprData::Const(Scalar::Bool(b)) => b.to_string(),
        ExprData::Const(Scalar::Int(i)) => i.to_string(),
        ExprData::Const(Scalar::F32(f)) => format!("{f:?}"),
        ExprData::Const(Scalar::F64(f)) => format!("{f:?}d"),
        ExprData::Axis(axis) => format!("i{axis}"),
        ExprData::Param(param, _) => format!("p{param}"),
        ExprData::Load { input, index } => format!("in{input}[{}]", list(index)),
        ExprData::Unary(op, x) => format!("{op:?}({})", text(compute, *x)),
        ExprData::Binary(op, a, b) => format!("{op:?}({}, {})", text(compute, *a), text(compute, *b)),
        ExprData::Math(op, args) => format!("{}({})", op.0, list(args)),
        ExprData::Select(a, b, c) => format!("({} ? {} : {})", text(compute, *a), text(compute, *b), text(compute, *c)),
        ExprData::Cast(dtype, x) => format!("{dtype}({})", text(compute, *x)),
        ExprData::Check { index, size } => format!("check({}, {})", text(compute, *index), text(compute, *size)),
        ExprData::Reduce { op, axes, body } => {
            let axes: Vec<String> = axes.iter().map(|a| format!("i{a}")).collect();
            format!("{op:?}[{}]({})", axes.join(", "), text(compute, *body))
        }
    }
}
