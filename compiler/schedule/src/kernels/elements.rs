//! Elements that are bytes: kernels compute in binary32, where whole numbers up to 2^24 are exact.

use kiln_kernels::isa::Element;
use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Exprs, Kind, Output, Scalar, UnaryOp};
use kiln_support::DType;

/// How kernels call an element type, if they know it.
pub fn element(dtype: DType) -> Option<Element> {
    match dtype {
        DType::F32 => Some(Element::F32),
        DType::U8 => Some(Element::U8),
        DType::I8 => Some(Element::I8),
        _ => None,
    }
}

/// How kernels call the element type of an output: sums of products of bytes may be 32-bit integers.
pub fn output_element(dtype: DType) -> Option<Element> {
    if dtype == DType::I32 { Some(Element::I32) } else { element(dtype) }
}

/// The values of a byte type.
pub fn byte_range(dtype: DType) -> Option<(f64, f64)> {
    match dtype {
        DType::U8 => Some((0.0, 255.0)),
        DType::I8 => Some((-128.0, 127.0)),
        _ => None,
    }
}

/// What an output's elements are in binary32: for bytes, whole numbers in their range (or integers of which that is known).
pub fn output_value(compute: &Compute, output: &Output) -> Option<(Expr, Element)> {
    let found = output_element(output.dtype)?;
    if found == Element::F32 {
        return Some((output.value, found));
    }
    if found == Element::I32 {
        let sum = match compute.exprs.get(output.value) {
            ExprData::Cast(DType::I32, sum) => *sum,
            _ => output.value,
        };
        return matches!(compute.exprs.get(sum), ExprData::Reduce { .. }).then_some((sum, found));
    }
    let value = match compute.exprs.get(output.value) {
        ExprData::Cast(dtype, value) if *dtype == output.dtype => *value,
        _ => output.value,
    };
    fits_byte(&compute.exprs, value, output.dtype).then_some((value, found))
}

/// Whether a value surely is a whole number of a byte type (or NaN, which is none).
pub fn fits_byte(exprs: &Exprs, value: Expr, dtype: DType) -> bool {
    let Some((low, high)) = byte_range(dtype) else { return false };
    is_whole(exprs, value) && bounds(exprs, value).is_some_and(|(a, b)| low <= a && b <= high)
}

fn constant(exprs: &Exprs, expr: Expr) -> Option<f64> {
    exprs.as_const(expr).filter(|scalar| !matches!(scalar, Scalar::Bool(_))).map(Scalar::as_f64)
}

/// Whether an expression has whole values only.
fn is_whole(exprs: &Exprs, expr: Expr) -> bool {
    if exprs.kind(expr) == Kind::Int {
        return true;
    }
    match exprs.get(expr) {
        ExprData::Const(scalar) => scalar.as_f64().fract() == 0.0,
        ExprData::Unary(UnaryOp::RoundEven | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Trunc, _) => true,
        ExprData::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max, a, b) => {
            is_whole(exprs, *a) && is_whole(exprs, *b)
        }
        ExprData::Cast(DType::F32, x) => is_whole(exprs, *x),
        _ => false,
    }
}

/// Bounds of an expression, where clamps, types or constants tell some.
fn bounds(exprs: &Exprs, expr: Expr) -> Option<(f64, f64)> {
    if let Some(value) = constant(exprs, expr) {
        return Some((value, value));
    }
    match exprs.get(expr) {
        ExprData::Load { input, .. } => byte_range(exprs.input_dtypes[*input as usize]),
        ExprData::Cast(dtype, x) => byte_range(*dtype).or_else(|| bounds(exprs, *x)),
        ExprData::Binary(op @ (BinaryOp::Min | BinaryOp::Max), a, b) => {
            let (a, b) = (bounds(exprs, *a), bounds(exprs, *b));
            const NONE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
            let ((a0, a1), (b0, b1)) = (a.unwrap_or(NONE), b.unwrap_or(NONE));
            Some(if *op == BinaryOp::Min { (a0.min(b0), a1.min(b1)) } else { (a0.max(b0), a1.max(b1)) })
        }
        ExprData::Reduce { op: kiln_loops::ReduceOp::Max | kiln_loops::ReduceOp::Min, body, .. } => match exprs.get(*body) {
            // What does not count in a window is below or above everything, and at least one element counts.
            ExprData::Select(_, x, neutral) if exprs.as_const(*neutral).is_some() => bounds(exprs, *x),
            _ => bounds(exprs, *body),
        },
        _ => None,
    }
}
