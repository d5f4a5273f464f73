//! Reductions over outer axes, whose results lie side by side: sums over a batch, pooling of channels-last images.

use super::affine::{collapses, extent, innermost_stride, output_strides};
use super::call::{Call, Stream, call};
use super::map::count;
use super::streams::Streams;
use super::vector_expr::translate;
use crate::lower::{Lowering, R};
use crate::source::Built;
use kiln_kernels::isa::{Element, ReduceOp as VectorReduce};
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::columns::{BatchedInput, ColumnsDesc};
use kiln_kernels::kernels::epilogue::InputDesc;
use kiln_kernels::vexpr::VExpr;
use kiln_loops::plan::Operand;
use kiln_loops::{Compute, Expr, ExprData, ReduceOp};
use kiln_support::DType;

/// Columns below which vectors would run mostly empty.
const FEWEST_COLUMNS: usize = 4;

/// Emits a column kernel for a computation, if there is one.
pub fn select(cx: &mut Lowering, built: &Built, output: Operand) -> R<bool> {
    let compute = &built.compute;
    let Some((reduce, finish)) = finished_reduction(compute) else { return Ok(false) };
    let Some((desc, streams, outer)) = describe(compute, reduce, finish) else { return Ok(false) };
    let rows = count(cx, built, &reduce_axes(compute, reduce))?;
    let extents = outer.iter().map(|&a| count(cx, built, &[a])).collect::<R<Vec<_>>>()?;
    let inputs = streams.emit(cx, built, &outer)?;
    let own = output_strides(compute).unwrap_or_default();
    let output = Stream { base: output, size: 4, offset: 0, outer: outer.iter().map(|&a| own[a]).collect() };
    let parts =
        Call { output: Some(output), inputs, rows: Some(rows), outer: extents, batch: Some(Operand::Int(1)), ..Call::default() };
    call(cx, KernelDesc::Columns(desc), parts)
}

/// The only reduction of a computation whose result is a function of it alone.
fn finished_reduction(compute: &Compute) -> Option<(Expr, VExpr)> {
    let root = compute.outputs[0].value;
    let mut reduce = None;
    let mut finish = VExpr::new();
    let end = translate(compute, root, &mut finish, &mut |e, out| match compute.exprs.get(e) {
        ExprData::Reduce { .. } if reduce.is_none_or(|known| known == e) => {
            reduce = Some(e);
            Some(out.acc())
        }
        _ => None,
    })?;
    finish.root(end);
    reduce.map(|e| (e, finish))
}

fn reduce_axes(compute: &Compute, reduce: Expr) -> Vec<usize> {
    match compute.exprs.get(reduce) {
        ExprData::Reduce { axes, .. } => axes.iter().map(|&a| a as usize).collect(),
        _ => Vec::new(),
    }
}

/// The descriptor, its inputs, and the axes that are loops around it.
fn describe(compute: &Compute, reduce: Expr, finish: VExpr) -> Option<(ColumnsDesc, Streams<'_>, Vec<usize>)> {
    let ExprData::Reduce { op, axes, body } = compute.exprs.get(reduce) else { return None };
    let op = match op {
        ReduceOp::Sum => VectorReduce::Sum,
        ReduceOp::Max => VectorReduce::Max,
        ReduceOp::Min => VectorReduce::Min,
        _ => return None,
    };
    let rows: Vec<usize> = axes.iter().map(|&a| a as usize).collect();
    let mut streams = Streams::new(compute);
    let mut expr = VExpr::new();
    let root = translate(compute, *body, &mut expr, &mut |e, out| streams.leaf(e, out, &[]))?;
    expr.root(root);
    if !streams.is_all_f32() || compute.outputs[0].dtype != DType::F32 {
        return None;
    }
    let own = output_strides(compute)?;
    let loads: Vec<_> = (0..streams.sources.len()).filter_map(|i| streams.load(i)).collect();
    let fits = |first: usize| {
        let columns: Vec<usize> = (first..compute.rank).collect();
        columns.iter().all(|&a| extent(compute, a).is_some())
            && collapses(compute, &columns, &own, 1)
            && loads.iter().all(|a| {
                let is_splat = columns.iter().all(|&c| a.strides[c] == 0);
                is_splat || collapses(compute, &columns, &a.strides, 1)
            })
    };
    let first = (0..compute.rank).find(|&first| fits(first))?;
    let columns: Vec<usize> = (first..compute.rank).collect();
    let cols: usize = columns.iter().map(|&a| extent(compute, a).unwrap_or(1) as usize).product();
    let mut inputs = Vec::new();
    for at in 0..streams.sources.len() {
        let Some(address) = streams.load(at) else {
            inputs.push(BatchedInput { rows: InputDesc::SCALAR, batch_stride: 0 });
            continue;
        };
        let step = innermost_stride(compute, &rows, &address.strides);
        if !collapses(compute, &rows, &address.strides, step) || step < 0 {
            return None;
        }
        let splat = columns.iter().all(|&c| address.strides[c] == 0);
        inputs
            .push(BatchedInput { rows: InputDesc { row_stride: step as usize, splat, element: Element::F32 }, batch_stride: 0 });
    }
    let count = rows.iter().map(|&a| extent(compute, a)).product::<Option<i64>>().and_then(|n| usize::try_from(n).ok());
    let desc = ColumnsDesc { rows: count, cols, inputs, out_stride: cols, expr, op, finish };
    (cols >= FEWEST_COLUMNS).then_some((desc, streams, (0..first).collect()))
}
