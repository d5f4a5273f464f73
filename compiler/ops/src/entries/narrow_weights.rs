//! Weights that take less memory than the numbers they are computed with: binary16, bytes, and four bits in groups with a scale.

use super::rules::{Types, finish, one, tensor};
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Infer, OpError};
use kiln_graph::Dim;
use kiln_loops::{BinaryOp, Expr, Kind, ReduceOp};
use kiln_support::DType;

/// Weights of four bits of a column (of a row, in a table) that have one scale; the last group may have fewer.
pub const INT4_GROUP: i64 = 32;

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    tensor!("kiln::mm_f16", "sum over k of self[i, k] * mat2[k, j] in binary32, mat2 of binary16", mm_type, |e, _, index| {
        product(e, index, &mut |e, place| e.load(1, &place))
    }),
    tensor!(
        "kiln::mm_int4",
        "sum over k of self[i, k] * (bits(k, j) - 8) * scales[k / 32, j]: bits(k, j) are the low (even k) or high four of mat2[k / 2, j]",
        mm_type,
        |e, _, index| product(e, index, &mut |e, [k, j]| weight(e, k, |k| [k, j]))
    ),
    tensor!("kiln::embedding_int8", "rows of weight, each times its scale", embedding_type, |e, _, index| {
        let [row, column] = place(e, index);
        let (x, scale) = (e.load(0, &[row, column]), e.load(1, &[row]));
        let x = e.cast(DType::F32, x);
        e.binary(BinaryOp::Mul, x, scale)
    }),
    tensor!(
        "kiln::embedding_int4",
        "rows of (bits(i, j) - 8) * scales[i, j / 32]: bits(i, j) are the low (even j) or high four of weight[i, j / 2]",
        embedding_type,
        |e, _, index| {
            let [row, column] = place(e, index);
            weight(e, column, |j| [row, j])
        }
    ),
];

/// A product with a matrix, of which `at` gives elements for the indices `[k, column]`.
fn product(e: &mut Element, index: &[Expr], at: &mut dyn FnMut(&mut Element, [Expr; 2]) -> Expr) -> Expr {
    let [row, column] = *index else { panic!("a product has two axes") };
    let depth = *e.tensor(0).dims.last().expect("a matrix");
    let sum = e.reduce(ReduceOp::Sum, &[depth], &mut |e, k| {
        let (x, y) = (e.load(0, &[row, k[0]]), at(e, [k[0], column]));
        e.binary(BinaryOp::Mul, x, y)
    });
    finish(e, sum)
}

/// The `k`-th weight along an axis of operand 1 (of operand 0 where the scales are operand 1): `place` tells where the bytes and
/// scales are.
fn weight(e: &mut Element, k: Expr, place: impl Fn(Expr) -> [Expr; 2]) -> Expr {
    let bytes = usize::from(e.tensor(1).dtype == DType::U8);
    let (two, four, mask, eight, group) = (e.int(2), e.int(4), e.int(15), e.int(8), e.int(INT4_GROUP));
    let (pair, half) = (e.binary(BinaryOp::FloorDiv, k, two), e.binary(BinaryOp::Mod, k, two));
    let byte = e.load(bytes, &place(pair));
    let byte = e.exprs().to_kind(Kind::Int, byte);
    let shift = e.binary(BinaryOp::Mul, half, four);
    let bits = e.binary(BinaryOp::Shr, byte, shift);
    let bits = e.binary(BinaryOp::And, bits, mask);
    let signed = e.binary(BinaryOp::Sub, bits, eight);
    let signed = e.cast(DType::F32, signed);
    let group = e.binary(BinaryOp::FloorDiv, k, group);
    let scale = e.load(bytes + 1, &place(group));
    e.binary(BinaryOp::Mul, signed, scale)
}

/// Row (checked) and column of an element of an embedding; the indices are the last operand.
fn place(e: &mut Element, index: &[Expr]) -> [Expr; 2] {
    let (&column, place) = index.split_last().expect("rows have an axis");
    let at = e.load(2, place);
    let at = e.exprs().to_kind(Kind::Int, at);
    let rows = e.tensor(0).dims[0];
    [e.check(at, rows), column]
}

fn mm_type(cx: &mut Infer) -> Types {
    let (a, b) = (cx.tensor(0).clone(), cx.tensor(1).clone());
    if a.dtype != DType::F32 || a.rank() != 2 || b.rank() != 2 {
        return OpError::unsupported("a product with narrow weights of anything but a matrix of binary32");
    }
    one(DType::F32, vec![a.dims[0], b.dims[1]])
}

fn embedding_type(cx: &mut Infer) -> Types {
    let (weight, mut dims) = (cx.tensor(0).clone(), cx.tensor(2).dims.clone());
    let columns = match (weight.dtype, weight.dims[1]) {
        (DType::U8, Dim::Const(bytes)) => Dim::Const(2 * bytes),
        (_, columns) => columns,
    };
    dims.push(columns);
    one(DType::F32, dims)
}
