//! Pointwise computations as maps over rows.
//!
//! The innermost axes over which every operand is either dense or constant become the columns, the next ones over which
//! each operand has one stride become the rows, and what is left becomes loops around the kernel.

use super::affine::{Affine, collapses, extent, innermost_stride};
use super::call::{Call, Stream, call, times};
use super::streams::Streams;
use super::vector_expr::{translate, translate_output};
use crate::lower::{Lowering, R};
use crate::source::Built;
use kiln_kernels::isa::Element;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::rows::{Dim, Operand as RowOperand, RowsDesc, Stride};
use kiln_kernels::vexpr::VExpr;
use kiln_loops::plan::Operand;
use kiln_loops::{Compute, Expr, ExprData, Extent};
use kiln_support::DType;

/// Columns below which a row is not worth a kernel.
const FEWEST_COLUMNS: i64 = 4;

/// A computation as a map over rows.
pub struct Plan<'a> {
    desc: RowsDesc,
    streams: Streams<'a>,
    split: Split,
    out: Affine,
}

/// The map that a computation of known sizes is, whose outputs have these strides.
pub fn describe<'a>(compute: &'a Compute, strides: &[i64]) -> Option<Plan<'a>> {
    let mut streams = Streams::new(compute);
    let (expr, elements) = expression(&mut streams)?;
    let out = Affine { strides: padded(strides.to_vec(), compute), ..Affine::constant(0, 0) };
    let mut moving: Vec<&Affine> = vec![&out];
    moving.extend((0..streams.sources.len()).filter_map(|i| streams.load(i)));
    let split = split(compute, &moving)?;
    if split.cols < FEWEST_COLUMNS {
        return None;
    }
    let operand = |a: &Affine, element| RowOperand { element, ..row_operand(compute, a, &split) };
    let input = |i: usize| streams.load(i).map_or(RowOperand::SCALAR, |a| operand(a, streams.element(i)));
    let inputs = (0..streams.sources.len()).map(input).collect();
    let outputs = elements.iter().map(|&element| operand(&out, element)).collect();
    let desc = RowsDesc::map(Dim::Known(split.cols as usize), inputs, outputs, expr);
    Some(Plan { desc, streams, split, out })
}

impl Plan<'_> {
    /// The plan with an input of the computation given, one that is no tensor of the graph.
    #[must_use]
    pub fn over_copy(mut self, input: u32, base: Operand) -> Self {
        self.streams.copy = Some((input, base));
        self
    }

    /// Emits it; the elements of the outputs begin `offset` elements into them.
    pub fn emit(&self, cx: &mut Lowering, built: &Built, outputs: &[Operand], offset: i64) -> R<bool> {
        let Plan { desc, streams, split, out } = self;
        let row_count = count(cx, built, &split.rows)?;
        let extents = split.outer.iter().map(|&a| count(cx, built, &[a])).collect::<R<Vec<_>>>()?;
        let inputs = streams.emit(cx, built, &split.outer)?;
        let outer: Vec<i64> = split.outer.iter().map(|&a| out.strides[a]).collect();
        let to_stream = |(&base, own): (&Operand, &RowOperand)| {
            let size = own.element.bytes() as i64;
            Stream { base, size, offset, outer: outer.clone() }
        };
        let outputs = outputs.iter().zip(&desc.outputs).map(to_stream).collect();
        let parts = Call { outputs, inputs, rows: Some(row_count), outer: extents, ..Call::default() };
        call(cx, KernelDesc::Rows(desc.clone()), parts)
    }
}

/// The expressions of all outputs, and their types in memory.
fn expression(streams: &mut Streams) -> Option<(VExpr, Vec<Element>)> {
    let compute = streams.compute;
    let (mut expr, mut elements) = (VExpr::new(), Vec::new());
    for output in &compute.outputs {
        let (root, element) = translate_output(compute, output, &mut expr, &mut |e, out| streams.leaf(e, out, &[]))?;
        expr.root(root);
        elements.push(element);
    }
    Some((expr, elements))
}

fn padded(mut strides: Vec<i64>, compute: &Compute) -> Vec<i64> {
    strides.resize(compute.axes.len(), 0);
    strides
}

/// How output axes are divided.
pub struct Split {
    /// Loops around the kernel, outermost first.
    pub outer: Vec<usize>,
    /// Axes of the rows.
    pub rows: Vec<usize>,
    /// Axes of the columns.
    pub columns: Vec<usize>,
    /// Number of columns.
    pub cols: i64,
}

/// Divides the output axes for operands of these addresses; none where the innermost axis is neither dense nor
/// constant for one of them.
pub fn split(compute: &Compute, operands: &[&Affine]) -> Option<Split> {
    let rank = compute.rank;
    let axes: Vec<usize> = (0..rank).collect();
    let is_row = |from: usize| {
        operands.iter().all(|a| {
            let is_splat = axes[from..].iter().all(|&axis| a.strides[axis] == 0);
            is_splat || collapses(compute, &axes[from..], &a.strides, 1)
        }) && axes[from..].iter().all(|&a| extent(compute, a).is_some())
    };
    let first_column = (0..rank).find(|&from| is_row(from))?;
    let cols = axes[first_column..].iter().map(|&a| extent(compute, a).unwrap_or(1)).product();
    let is_one_stride = |from: usize| {
        let rows = &axes[from..first_column];
        operands.iter().all(|a| is_forward(compute, rows, &a.strides))
    };
    let first_row = (0..=first_column).find(|&from| is_one_stride(from))?;
    Some(Split {
        outer: axes[..first_row].to_vec(),
        rows: axes[first_row..first_column].to_vec(),
        columns: axes[first_column..].to_vec(),
        cols,
    })
}

/// Whether axes make up rows of one stride that is not negative: kernels step forward, loops around them either way.
pub fn is_forward(compute: &Compute, rows: &[usize], strides: &[i64]) -> bool {
    let step = innermost_stride(compute, rows, strides);
    step >= 0 && collapses(compute, rows, strides, step)
}

/// An operand of the kernel.
pub fn row_operand(compute: &Compute, address: &Affine, split: &Split) -> RowOperand {
    let stride = innermost_stride(compute, &split.rows, &address.strides);
    let splat = split.columns.iter().all(|&axis| address.strides[axis] == 0);
    RowOperand { stride: Stride::Elements(stride.max(0) as usize), splat, element: Element::F32 }
}

/// The product of the extents of axes.
pub fn count(cx: &mut Lowering, built: &Built, axes: &[usize]) -> R<Operand> {
    let mut product = Operand::Int(1);
    for &axis in axes {
        let extent = match built.compute.axes[axis] {
            Extent::Const(n) => Operand::Int(n),
            Extent::Param(p) => cx.scalar_of(built.params[p as usize])?,
        };
        product = times(cx, product, extent);
    }
    Ok(product)
}

/// The case of any sizes: all operands have the output's shape, its last axis, or no axis. None where some size
/// other than the first is known only at run time and an operand is otherwise; the general way is for known sizes.
pub fn dense(cx: &mut Lowering, built: &Built, outputs: &[Operand]) -> R<Option<bool>> {
    let compute = &built.compute;
    if compute.outputs.iter().any(|o| o.dtype != DType::F32) {
        return Ok(None);
    }
    if compute.axes[..compute.rank].iter().skip(1).all(|e| matches!(e, Extent::Const(_))) && compute.rank != 1 {
        return Ok(None);
    }
    if compute.axes.iter().all(|e| matches!(e, Extent::Const(_))) {
        return Ok(None);
    }
    let mut sources: Vec<(u32, RowOperand)> = Vec::new();
    let mut expr = VExpr::new();
    for output in &compute.outputs {
        let root = translate(compute, output.value, &mut expr, &mut |e, out| {
            let ExprData::Load { input, index } = compute.exprs.get(e) else { return None };
            let kind = dense_operand(compute, *input, index)?;
            let at = sources.iter().position(|s| *s == (*input, kind)).unwrap_or_else(|| {
                sources.push((*input, kind));
                sources.len() - 1
            });
            Some(out.input(at as u16))
        });
        let Some(root) = root else { return Ok(Some(false)) };
        expr.root(root);
    }
    let has_rows = sources.iter().any(|(_, kind)| *kind == RowOperand::PER_COLUMN);
    let last = compute.rank - 1;
    let (row_axes, col_axes): (Vec<usize>, Vec<usize>) =
        if has_rows { ((0..last).collect(), vec![last]) } else { (vec![], (0..=last).collect()) };
    let (rows, cols) = (count(cx, built, &row_axes)?, count(cx, built, &col_axes)?);
    let mut inputs = Vec::new();
    for (input, _) in &sources {
        inputs.push(Stream::fixed(cx.pointer(built.inputs[*input as usize])?));
    }
    let outs = outputs.iter().map(|&o| Stream::fixed(o)).collect();
    let operands = sources.iter().map(|(_, kind)| *kind).collect();
    let desc = RowsDesc::map(Dim::Argument, operands, vec![RowOperand::DENSE; outputs.len()], expr);
    call(cx, KernelDesc::Rows(desc), Call { outputs: outs, inputs, rows: Some(rows), cols: Some(cols), ..Call::default() })
        .map(Some)
}

/// How an operand of any sizes is read, if it is one of the simple ways.
fn dense_operand(compute: &Compute, input: u32, index: &[Expr]) -> Option<RowOperand> {
    let facts = &compute.inputs[input as usize];
    if facts.dtype != DType::F32 {
        return None;
    }
    let rank = compute.rank;
    let is_axis = |e: Expr, axis: usize| *compute.exprs.get(e) == ExprData::Axis(axis as u32);
    // The first size does not matter for addresses: it may be another value that is equal when the model runs.
    if facts.dims.len() == rank
        && facts.dims[1..] == compute.axes[1..rank]
        && index.iter().enumerate().all(|(i, &e)| is_axis(e, i))
    {
        return Some(RowOperand::DENSE);
    }
    if facts.dims.iter().all(|d| *d == Extent::Const(1)) {
        return Some(RowOperand::SCALAR);
    }
    let (leading, last) = index.split_at(index.len().checked_sub(1)?);
    let is_last = facts.dims.last() == compute.axes[..rank].last() && is_axis(last[0], rank - 1);
    let leads_to_one = facts.dims[..leading.len()].iter().all(|d| *d == Extent::Const(1));
    (is_last && leads_to_one).then_some(RowOperand::PER_COLUMN)
}
