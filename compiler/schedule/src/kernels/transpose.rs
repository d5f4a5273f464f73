//! Copies in another order of axes, as transpositions of matrices.

use super::UNITS;
use super::affine::{Affine, address, collapses, extent, innermost_stride};
use super::call::{Call, Stream, call};
use super::map::count;
use super::streams::stream;
use crate::lower::{Lowering, R};
use crate::source::Built;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::transpose::TransposeDesc;
use kiln_loops::plan::Operand;
use kiln_loops::{Compute, ExprData};
use kiln_support::DType;

/// A copy that is a transposition.
pub struct Plan {
    input: u32,
    address: Affine,
    desc: TransposeDesc,
    /// Axes that are loops around the kernel.
    outer: Vec<usize>,
    strides: Vec<i64>,
}

/// The transposition that a computation is, whose output has these strides.
pub fn describe(compute: &Compute, strides: &[i64]) -> Option<Plan> {
    let [output] = compute.outputs.as_slice() else { return None };
    let ExprData::Load { input, index } = compute.exprs.get(output.value) else { return None };
    if compute.inputs[*input as usize].dtype != DType::F32 || (0..compute.rank).any(|a| extent(compute, a).is_none()) {
        return None;
    }
    let address = address(compute, *input, index)?;
    let moving: Vec<usize> = (0..compute.rank).filter(|&a| extent(compute, a) != Some(1)).collect();
    // The innermost axes step through the rows of the input matrix, those before them through its columns.
    let is_run = |axes: &[usize], strides: &[i64], step: i64| step > 0 && collapses(compute, axes, strides, step);
    let is_rows = |from: usize| {
        let axes = &moving[from..];
        is_run(axes, &address.strides, innermost_stride(compute, axes, &address.strides)) && is_run(axes, strides, 1)
    };
    let rows_from = (0..moving.len()).find(|&from| is_rows(from))?;
    let is_columns = |from: usize| {
        let axes = &moving[from..rows_from];
        is_run(axes, &address.strides, 1) && is_run(axes, strides, innermost_stride(compute, axes, strides))
    };
    let columns_from = (0..rows_from).find(|&from| is_columns(from))?;
    let (rows, columns) = (&moving[rows_from..], &moving[columns_from..rows_from]);
    let size = |axes: &[usize]| axes.iter().map(|&a| extent(compute, a).unwrap_or(1) as usize).product();
    let desc = TransposeDesc {
        rows: size(rows),
        cols: size(columns),
        in_stride: innermost_stride(compute, rows, &address.strides) as usize,
        out_stride: innermost_stride(compute, columns, strides) as usize,
        in_batch: 0,
        out_batch: 0,
    };
    let fits = desc.rows > 1 && desc.cols > 1 && desc.in_stride >= desc.cols && desc.out_stride >= desc.rows;
    fits.then(|| Plan { input: *input, address, desc, outer: moving[..columns_from].to_vec(), strides: strides.to_vec() })
}

impl Plan {
    /// Emits it; `output` is where the output's first element lies.
    pub fn emit(&self, cx: &mut Lowering, built: &Built, output: Operand, offset: i64) -> R<bool> {
        let mut input = stream(cx, built, self.input, &self.address, &self.outer)?;
        let mut outer = self.outer.iter().map(|&a| count(cx, built, &[a])).collect::<R<Vec<_>>>()?;
        let steps = self.outer.iter().map(|&a| self.strides[a]).collect();
        let mut output = Stream { base: output, size: 4, offset, outer: steps };
        let mut desc = self.desc;
        let pieces = if cx.shared.target.settings.is_parallel() && outer.is_empty() { pieces(desc.cols) } else { 1 };
        if pieces > 1 {
            desc.cols /= pieces;
            outer.push(Operand::Int(pieces as i64));
            input.outer.push(desc.cols as i64);
            output.outer.push((desc.cols * desc.out_stride) as i64);
        }
        let parts = Call { input: Some(input), output: Some(output), outer, batch: Some(Operand::Int(1)), ..Call::default() };
        call(cx, KernelDesc::Transpose(desc), parts)
    }
}

/// Columns of the smallest piece of a matrix that threads share: what a few cache lines of the output hold.
const FEWEST_COLUMNS: usize = 64;

/// Into how many pieces of whole blocks the columns of a matrix are divided for threads.
fn pieces(cols: usize) -> usize {
    let fits = |&pieces: &usize| cols.is_multiple_of(pieces * 4) && cols / pieces >= FEWEST_COLUMNS;
    (1..=UNITS).rev().find(fits).unwrap_or(1)
}
