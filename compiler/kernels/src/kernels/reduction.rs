//! Accumulators of reductions: their start, and how a value joins them.

use crate::isa::{BinOp, CmpOp, ReduceOp, V, VectorIsa};

/// The value that leaves a reduction as it is.
pub fn identity(op: ReduceOp) -> u32 {
    match op {
        ReduceOp::Sum => 0,
        ReduceOp::Max => f32::NEG_INFINITY.to_bits(),
        ReduceOp::Min => f32::INFINITY.to_bits(),
    }
}

/// `sum = sum op v`, NaN of either side kept.
pub fn combine(isa: &mut dyn VectorIsa, op: ReduceOp, sum: V, v: V, tmp: V) {
    let bin = match op {
        ReduceOp::Sum => return isa.binary(BinOp::Add, sum, sum, v),
        ReduceOp::Max => BinOp::Max,
        ReduceOp::Min => BinOp::Min,
    };
    if isa.info().arithmetic.nan_minmax {
        isa.binary(bin, sum, sum, v);
    } else {
        isa.cmp(CmpOp::Unord, tmp, sum, sum);
        isa.binary(bin, sum, sum, v);
        isa.binary(BinOp::Or, sum, sum, tmp);
    }
}
