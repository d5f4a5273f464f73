//! Computations without reductions: maps, transpositions and gathers, of the whole or of its pieces.

use super::affine::output_strides;
use super::{gather, map, rewrites, transpose};
use crate::lower::{Lowering, R};
use crate::source::Built;
use kiln_loops::plan::Operand;
use kiln_loops::{Compute, Extent};
use kiln_support::DType;

/// Elements below which a loop nest does as well.
const FEWEST_ELEMENTS: i64 = 64;

/// A kernel for a computation.
enum Plan<'a> {
    Map(map::Plan<'a>),
    Transpose(transpose::Plan),
    Gather(gather::Plan<'a>),
}

impl<'a> Plan<'a> {
    /// The kernel for a computation of known sizes, whose output has these strides.
    fn find(compute: &'a Compute, strides: &[i64]) -> Option<Plan<'a>> {
        if compute.outputs.iter().any(|o| o.dtype != DType::F32) {
            return map::describe(compute, strides).map(Plan::Map);
        }
        let map = || map::describe(compute, strides).map(Plan::Map);
        let transpose = || transpose::describe(compute, strides).map(Plan::Transpose);
        map().or_else(transpose).or_else(|| gather::describe(compute, strides).map(Plan::Gather))
    }

    fn emit(&self, cx: &mut Lowering, built: &Built, outputs: &[Operand], offset: i64) -> R<bool> {
        match self {
            Plan::Map(plan) => plan.emit(cx, built, outputs, offset),
            Plan::Transpose(plan) => plan.emit(cx, built, outputs[0], offset),
            Plan::Gather(plan) => plan.emit(cx, built, outputs[0], offset),
        }
    }
}

/// A copy in the order of the output, and a map over that, where what is computed is no copy itself.
fn in_two_steps(cx: &mut Lowering, built: &Built, outputs: &[Operand], strides: &[i64]) -> R<bool> {
    let Some((copy, rest)) = rewrites::in_order(&built.compute) else { return Ok(false) };
    let (Some(transposition), Some(map)) = (transpose::describe(&copy, strides), map::describe(&rest, strides)) else {
        return Ok(false);
    };
    let sizes = built.compute.axes[..built.compute.rank].iter();
    let elements: Option<u64> = sizes.map(|e| if let Extent::Const(n) = e { u64::try_from(*n).ok() } else { None }).product();
    let Some(elements) = elements else { return Ok(false) };
    let buffer = Operand::Arena(cx.buffers.add(size_of::<f32>() as u64 * elements, false));
    let inputs = built.inputs.clone();
    let number = inputs.len() as u32;
    let of = |compute: &Compute| Built { compute: compute.clone(), inputs: inputs.clone(), params: built.params.clone() };
    Ok(transposition.emit(cx, &of(&copy), buffer, 0)? && map.over_copy(number, buffer).emit(cx, &of(&rest), outputs, 0)?)
}

/// Emits kernels for a computation without reductions, if there are any.
pub fn select(cx: &mut Lowering, built: &Built, outputs: &[Operand]) -> R<bool> {
    if let Some(done) = map::dense(cx, built, outputs)? {
        return Ok(done);
    }
    let Some(strides) = output_strides(&built.compute) else { return Ok(false) };
    if let Some(plan) = map::describe(&built.compute, &strides) {
        return plan.emit(cx, built, outputs, 0);
    }
    let elements = strides.iter().zip(&built.compute.axes).map(|(&stride, &extent)| match extent {
        kiln_loops::Extent::Const(n) => stride.max(1) * n,
        kiln_loops::Extent::Param(_) => i64::MAX,
    });
    if outputs.len() != 1 || elements.max().unwrap_or(1) < FEWEST_ELEMENTS {
        return Ok(false);
    }
    let of = |compute: Compute| Built { compute, inputs: built.inputs.clone(), params: built.params.clone() };
    if let Some(compute) = rewrites::split_axis(&built.compute) {
        return select(cx, &of(compute), outputs);
    }
    if let Some(plan) = Plan::find(&built.compute, &strides)
        && plan.emit(cx, built, outputs, 0)?
    {
        return Ok(true);
    }
    let pieces: Vec<(Built, i64)> =
        rewrites::pieces(&built.compute).into_iter().map(|p| (of(p.compute), p.first * strides[p.axis])).collect();
    let plans: Option<Vec<Plan>> = pieces.iter().map(|(piece, _)| Plan::find(&piece.compute, &strides)).collect();
    let Some(plans) = plans.filter(|plans| !plans.is_empty()) else { return in_two_steps(cx, built, outputs, &strides) };
    for (plan, (piece, offset)) in plans.iter().zip(&pieces) {
        // What was written of the others is written once more.
        if !plan.emit(cx, piece, outputs, *offset)? {
            return Ok(false);
        }
    }
    Ok(true)
}
