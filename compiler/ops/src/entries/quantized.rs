//! Arithmetic that PyTorch's quantized kernels are made of, beyond the integer products of [`super::linear`].

use super::rules::{Types, broadcast_args, one, same, tensor};
use crate::calc::calc;
use crate::element::Element;
use crate::entry::{Body, Entry};
use crate::infer::{Infer, OpError};
use kiln_loops::{Expr, Kind};
use kiln_support::DType;

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    tensor!("kiln::mul_add", "self * factor + addend in binary32, rounded once", mul_add_type, |e, _, index| mul_add(e, index)),
    tensor!("kiln::fma", "a * b + c in binary32, rounded once", fma_type, |e, _, index| {
        let operands = vec![e.load_broadcast(0, index), e.load_broadcast(1, index), e.load_broadcast(2, index)];
        e.exprs().math("fma", operands)
    }),
    tensor!(
        "kiln::stored",
        "the tensor itself, in memory: what is computed of it is not computed with it",
        same,
        |e, _, index| { e.load(0, index) }
    ),
    Entry {
        key: "kiln::rint",
        doc: "the nearest whole number, halves to even",
        body: Body::Scalar(|exprs, args| Ok(calc(exprs, [args[0]], |[x]| x.to_kind(Kind::F64).round()))),
    },
    Entry {
        key: "kiln::single",
        doc: "a float rounded to binary32",
        body: Body::Scalar(|exprs, args| {
            Ok(calc(exprs, [args[0]], |[x]| x.to_kind(Kind::F64).cast(DType::F32).to_kind(Kind::F64)))
        }),
    },
];

fn fma_type(cx: &mut Infer) -> Types {
    if (0..3).any(|at| cx.tensor(at).dtype != DType::F32) {
        return OpError::unsupported("a fused product of other numbers than binary32");
    }
    let dims = broadcast_args(cx, &[0, 1, 2])?;
    one(DType::F32, dims)
}

fn mul_add_type(cx: &mut Infer) -> Types {
    let ty = cx.tensor(0).clone();
    if ty.dtype != DType::F32 {
        return OpError::unsupported(format!("a fused product of {}", ty.dtype.torch_name()));
    }
    one(DType::F32, ty.dims)
}

fn mul_add(e: &mut Element, index: &[Expr]) -> Expr {
    let (x, factor, addend) = (e.load(0, index), e.number(1, Kind::F32), e.number(2, Kind::F32));
    e.exprs().math("fma", vec![x, factor, addend])
}
