//! What the rules of many operators share: types of results, and operands in the type an operator computes in.
//!
//! 16-bit floats are computed in binary32 and rounded once, when an operator has its result.

use crate::element::Element;
use crate::infer::{Fact, Infer, OpError};
use crate::promote::{Promotion, to_float};
use kiln_graph::{Dim, TensorType};
use kiln_loops::{Expr, Kind};
use kiln_support::DType;

/// What an infer rule gives.
pub(super) type Types = Result<Vec<TensorType>, OpError>;

/// An entry whose results are computed element by element.
macro_rules! tensor {
    ($key:literal, $doc:literal, $infer:expr, $element:expr) => {
        crate::entry::Entry { key: $key, doc: $doc, body: crate::entry::Body::Tensor { infer: $infer, element: $element } }
    };
}
pub(super) use tensor;

/// Formulas of one or two operands (arguments 0 and 1), which are broadcast and converted to the type that `operand` says.
macro_rules! formulas {
    ($infer:expr, $operand:path; $([$($key:literal),+ $(,)?] $doc:literal |$x:ident| $body:expr;)*) => {
        &[$($(crate::entries::rules::tensor!($key, $doc, $infer, |e, _, index| {
            let x = $operand(e, 0, index);
            let y = e.calc([x], |[$x]| $body);
            crate::entries::rules::finish(e, y)
        })),+),*]
    };
    ($infer:expr, $operand:path; $([$($key:literal),+ $(,)?] $doc:literal |$a:ident, $b:ident| $body:expr;)*) => {
        &[$($(crate::entries::rules::tensor!($key, $doc, $infer, |e, _, index| {
            let (a, b) = ($operand(e, 0, index), $operand(e, 1, index));
            let y = e.calc([a, b], |[$a, $b]| $body);
            crate::entries::rules::finish(e, y)
        })),+),*]
    };
}
pub(super) use formulas;

/// One result.
pub(super) fn one(dtype: DType, dims: Vec<Dim>) -> Types {
    Ok(vec![TensorType { dtype, dims }])
}

/// Whether a fact is a tensor.
pub(super) fn is_tensor(fact: &Fact) -> bool {
    matches!(fact, Fact::Tensor(_))
}

/// The broadcast shape of the tensors among some arguments.
pub(super) fn broadcast_args(cx: &mut Infer, args: &[usize]) -> Result<Vec<Dim>, OpError> {
    let shapes: Vec<Vec<Dim>> =
        args.iter().filter_map(|&at| if let Fact::Tensor(t) = &cx.args[at] { Some(t.dims.clone()) } else { None }).collect();
    cx.broadcast(&shapes.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The common type of some arguments.
pub(super) fn common_dtype(facts: &[Fact], args: &[usize]) -> DType {
    Promotion::of(args.iter().map(|&at| &facts[at])).expect("an operand is a tensor or a number")
}

/// Quantized tensors have operators of their own.
pub(super) fn not_quantized(cx: &Infer) -> Result<(), OpError> {
    let quantized = |f: &Fact| matches!(f, Fact::Tensor(t) if t.dtype.is_quantized());
    if cx.args.iter().any(quantized) { OpError::unsupported("a quantized tensor") } else { Ok(()) }
}

/// PyTorch has no kernel for this element type.
pub(super) fn no_kernel<T>(kernel: &str, dtype: DType) -> Result<T, OpError> {
    Err(OpError::Raise {
        class: "NotImplementedError",
        message: format!("\"{kernel}\" not implemented for '{}'", dtype.scalar_type_name()),
    })
}

/// One result of the first argument's type.
pub(super) fn same(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    Ok(vec![cx.tensor(0).clone()])
}

/// As [`same`], for any type but bool.
pub(super) fn same_number(cx: &mut Infer) -> Types {
    match cx.tensor(0).dtype {
        DType::Bool => no_kernel("this operator", DType::Bool),
        _ => same(cx),
    }
}

/// As [`same`], for floating-point types only.
pub(super) fn same_float(cx: &mut Infer) -> Types {
    match cx.tensor(0).dtype {
        d if d.is_float() => same(cx),
        d => no_kernel("this operator", d),
    }
}

/// One result of the first argument's shape, in floating point.
pub(super) fn float_unary(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let ty = cx.tensor(0);
    one(to_float(ty.dtype), ty.dims.clone())
}

/// One bool for each element of the first argument.
pub(super) fn bool_unary(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    one(DType::Bool, cx.tensor(0).dims.clone())
}

/// One result of the first two arguments' common type and broadcast shape.
pub(super) fn promoted(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let dims = broadcast_args(cx, &[0, 1])?;
    one(common_dtype(cx.args, &[0, 1]), dims)
}

/// As [`promoted`], in floating point.
pub(super) fn promoted_float(cx: &mut Infer) -> Types {
    let mut types = promoted(cx)?;
    types[0].dtype = to_float(types[0].dtype);
    Ok(types)
}

/// As [`promoted`], for floating-point types only.
pub(super) fn promoted_only_float(cx: &mut Infer) -> Types {
    let types = promoted(cx)?;
    if types[0].dtype.is_float() { Ok(types) } else { no_kernel("this operator", types[0].dtype) }
}

/// As [`promoted`], for any type but bool.
pub(super) fn promoted_number(cx: &mut Infer) -> Types {
    let types = promoted(cx)?;
    if types[0].dtype == DType::Bool { no_kernel("this operator", DType::Bool) } else { Ok(types) }
}

/// As [`promoted`], for bools and ints only.
pub(super) fn promoted_integral(cx: &mut Infer) -> Types {
    let types = promoted(cx)?;
    if types[0].dtype.is_float() { no_kernel("this operator", types[0].dtype) } else { Ok(types) }
}

/// As [`promoted`], for ints only.
pub(super) fn promoted_int(cx: &mut Infer) -> Types {
    let types = promoted_integral(cx)?;
    if types[0].dtype == DType::Bool { no_kernel("this operator", DType::Bool) } else { Ok(types) }
}

/// One bool for each element of the first two arguments' broadcast shape.
pub(super) fn compared(cx: &mut Infer) -> Types {
    let dims = promoted(cx)?.remove(0).dims;
    one(DType::Bool, dims)
}

/// A tensor or number argument, broadcast, as an element of a type. A number is not rounded to 16 bits: PyTorch
/// computes with it in binary32.
pub(super) fn operand_as(e: &mut Element, arg: usize, index: &[Expr], dtype: DType) -> Expr {
    if is_tensor(&e.args[arg]) {
        let x = e.load_broadcast(arg, index);
        return e.cast(dtype, x);
    }
    let x = e.number(arg, Kind::of(dtype));
    if dtype.is_float() { x } else { e.cast(dtype, x) }
}

/// An operand in the type of the result.
pub(super) fn operand(e: &mut Element, arg: usize, index: &[Expr]) -> Expr {
    operand_as(e, arg, index, e.results[0].dtype)
}

/// An operand in its own type.
pub(super) fn own(e: &mut Element, arg: usize, index: &[Expr]) -> Expr {
    operand_as(e, arg, index, common_dtype(e.args, &[arg]))
}

/// An operand in the common type of the first two arguments.
pub(super) fn common(e: &mut Element, arg: usize, index: &[Expr]) -> Expr {
    let dtype = common_dtype(e.args, &[0, 1]);
    let x = operand_as(e, arg, index, dtype);
    e.cast(dtype, x)
}

/// An operand as a bool.
pub(super) fn truth(e: &mut Element, arg: usize, index: &[Expr]) -> Expr {
    operand_as(e, arg, index, DType::Bool)
}

/// Rounds to the type of the result.
pub(super) fn finish(e: &mut Element, x: Expr) -> Expr {
    let dtype = e.results[0].dtype;
    e.cast(dtype, x)
}

/// The result's kind.
pub(super) fn kind(e: &Element) -> Kind {
    Kind::of(e.results[0].dtype)
}
