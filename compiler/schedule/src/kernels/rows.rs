//! Reductions along rows, and what is computed from them: sums, softmax, layer norm, as passes over a row.
//!
//! Every reduction runs over the same columns. Those are reduction axes only (the result has one value per row), or the
//! innermost output axes too (the result has a value per column, computed from the finished reductions of its
//! row). Each reduction becomes a pass; what is computed from its result alone belongs to the pass.

use super::affine::{Affine, collapses, extent, innermost_stride, output_strides};
use super::call::{Call, Stream, call};
use super::map::{count, is_forward};
use super::streams::Streams;
use super::vector_expr::translate;
use crate::lower::{Bound, Lowering, Place, R};
use crate::source::Built;
use kiln_kernels::isa::Element;
use kiln_kernels::isa::ReduceOp as VectorReduce;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::rows::{Dim, Operand as RowOperand, Pass, Reduction, RowsDesc, Stride};
use kiln_kernels::vexpr::{NodeId, VExpr};
use kiln_loops::plan::Operand;
use kiln_loops::{Compute, Expr, ExprData, Exprs, ReduceOp};
use kiln_support::DType;
use std::collections::{HashMap, HashSet};

/// A reduction and the value that is computed from it alone.
struct Step {
    op: VectorReduce,
    body: Expr,
    reduce: Expr,
    finished: Expr,
    /// Pairs of its axes and the columns.
    rename: Vec<(usize, usize)>,
}

/// A computation as passes.
struct Shape {
    steps: Vec<Step>,
    /// Axes of the columns: output axes, or the axes of the last reduction.
    columns: Vec<usize>,
    rows: Vec<usize>,
    has_columns: bool,
}

/// Emits a row kernel for a computation, if there is one.
pub fn select(cx: &mut Lowering, built: &Built, output: Operand) -> R<bool> {
    let compute = &built.compute;
    let Some(shape) = find(compute) else { return Ok(false) };
    // A result over one of the inputs may only be written when all passes are done with the element.
    let is_over_input = built.inputs.iter().any(|v| match cx.bound.get(v) {
        Some(Bound::Tensor(Place::Arena(buffer))) => Operand::Arena(*buffer) == output,
        _ => false,
    });
    let Some((passes, streams)) = passes(compute, &shape, !is_over_input) else { return Ok(false) };
    let Some(out) = output_strides(compute).map(|strides| padded(strides, compute)) else { return Ok(false) };
    let Some(layout) = layout(compute, &shape, &streams, &out) else { return Ok(false) };
    let inputs =
        (0..streams.sources.len()).map(|i| streams.load(i).map_or(RowOperand::SCALAR, |a| operand(compute, &shape, &layout, a)));
    let mut out_operand = operand(compute, &shape, &layout, &out);
    out_operand.splat = !shape.has_columns;
    let cols = shape.columns.iter().map(|&a| extent(compute, a).unwrap_or(1) as usize).product();
    let desc = RowsDesc { family: "rows", cols: Dim::Known(cols), inputs: inputs.collect(), outputs: vec![out_operand], passes };
    let (outer, rows) = shape.rows.split_at(layout.first_row);
    let row_count = count(cx, built, rows)?;
    let extents = outer.iter().map(|&a| count(cx, built, &[a])).collect::<R<Vec<_>>>()?;
    let inputs = streams.emit(cx, built, outer)?;
    let output = Stream { base: output, size: 4, offset: 0, outer: outer.iter().map(|&a| out.strides[a]).collect() };
    let parts = Call { outputs: vec![output], inputs, rows: Some(row_count), outer: extents, ..Call::default() };
    call(cx, KernelDesc::Rows(desc), parts)
}

fn padded(mut strides: Vec<i64>, compute: &Compute) -> Affine {
    strides.resize(compute.axes.len(), 0);
    Affine { strides, ..Affine::constant(0, 0) }
}

/// All expressions under the output, in order of creation: operands first.
fn reachable(compute: &Compute) -> Vec<Expr> {
    let (mut seen, mut work) = (HashSet::new(), compute.roots());
    while let Some(expr) = work.pop() {
        if seen.insert(expr) {
            work.extend(compute.exprs.operands(expr));
        }
    }
    let mut all: Vec<Expr> = seen.into_iter().collect();
    all.sort();
    all
}

fn find(compute: &Compute) -> Option<Shape> {
    let all = reachable(compute);
    let mut found: Vec<(Expr, ReduceOp, Vec<usize>, Expr)> = Vec::new();
    for &expr in &all {
        if let ExprData::Reduce { op, axes, body } = compute.exprs.get(expr) {
            found.push((expr, *op, axes.iter().map(|&a| a as usize).collect(), *body));
        }
    }
    let last = found.last()?.2.clone();
    let extents = |axes: &[usize]| axes.iter().map(|&a| extent(compute, a)).collect::<Option<Vec<i64>>>();
    let wanted = extents(&last)?;
    if found.iter().any(|(_, _, axes, _)| extents(axes).as_ref() != Some(&wanted)) {
        return None;
    }
    let first_column = compute.rank.checked_sub(last.len());
    let trailing: Vec<usize> = first_column.map_or(Vec::new(), |first| (first..compute.rank).collect());
    let depends = |axes: &[usize]| {
        let is_one = |d: &ExprData| matches!(d, ExprData::Axis(a) if axes.contains(&(*a as usize)));
        found.iter().any(|(_, _, _, body)| compute.any(*body, &mut |d| is_one(d)))
    };
    let has_columns = first_column.is_some() && extents(&trailing).as_ref() == Some(&wanted) && !depends(&trailing);
    let columns = if has_columns { trailing } else { last };
    let rows: Vec<usize> = (0..compute.rank).filter(|a| !columns.contains(a)).collect();
    let parents = parents(compute, &all);
    let mut steps: Vec<Step> = Vec::new();
    for (reduce, op, axes, body) in found {
        let op = match op {
            ReduceOp::Sum => VectorReduce::Sum,
            ReduceOp::Max => VectorReduce::Max,
            ReduceOp::Min => VectorReduce::Min,
            _ => return None,
        };
        let known: Vec<Expr> = steps.iter().map(|s| s.finished).collect();
        let finished = finished(compute, reduce, &known, &parents);
        let rename = axes.into_iter().zip(columns.iter().copied()).filter(|(a, b)| a != b).collect();
        steps.push(Step { op, body, reduce, finished, rename });
    }
    let is_whole = has_columns || steps.last().is_some_and(|s| s.finished == compute.outputs[0].value);
    is_whole.then_some(Shape { steps, columns, rows, has_columns })
}

fn parents(compute: &Compute, all: &[Expr]) -> HashMap<Expr, Vec<Expr>> {
    let mut parents: HashMap<Expr, Vec<Expr>> = HashMap::new();
    for &expr in all {
        for operand in compute.exprs.operands(expr) {
            let entry = parents.entry(operand).or_default();
            if !entry.contains(&expr) {
                entry.push(expr);
            }
        }
    }
    parents
}

/// The largest expression that a reduction alone flows into, together with constants and earlier results.
fn finished(compute: &Compute, reduce: Expr, known: &[Expr], parents: &HashMap<Expr, Vec<Expr>>) -> Expr {
    let mut current = reduce;
    while let Some([parent]) = parents.get(&current).map(Vec::as_slice) {
        let is_row_value = |e: &Expr| *e == current || is_row_only(&compute.exprs, *e, known);
        let is_plain = !matches!(compute.exprs.get(*parent), ExprData::Reduce { .. } | ExprData::Load { .. });
        if !is_plain || !compute.exprs.operands(*parent).iter().all(is_row_value) {
            break;
        }
        current = *parent;
    }
    current
}

/// Whether an expression is made of constants and known values only.
fn is_row_only(exprs: &Exprs, expr: Expr, known: &[Expr]) -> bool {
    if known.contains(&expr) {
        return true;
    }
    match exprs.get(expr) {
        ExprData::Const(_) => true,
        ExprData::Axis(_) | ExprData::Param(..) | ExprData::Load { .. } | ExprData::Reduce { .. } => false,
        _ => exprs.operands(expr).iter().all(|&e| is_row_only(exprs, e, known)),
    }
}

/// The passes and the inputs they read. `may_keep` tells that the output may hold something else in between.
fn passes<'a>(compute: &'a Compute, shape: &Shape, may_keep: bool) -> Option<(Vec<Pass>, Streams<'a>)> {
    let mut streams = Streams::new(compute);
    // Once to number the inputs, since outputs that are read again are numbered after them.
    build_passes(compute, shape, &mut streams, None)?;
    let inputs = streams.sources.len();
    let kept = if may_keep { kept(compute, shape) } else { None };
    let passes = build_passes(compute, shape, &mut streams, kept.map(|k| (k, inputs)))?;
    let is_f32 = streams.is_all_f32() && compute.outputs.iter().all(|o| o.dtype == DType::F32);
    (is_f32 && streams.sources.len() == inputs).then_some((passes, streams))
}

/// The pass whose summands the result is computed from, if they are worth keeping in the output: (pass, summand at
/// the output's own columns).
fn kept(compute: &Compute, shape: &Shape) -> Option<(usize, Expr)> {
    if !shape.has_columns {
        return None;
    }
    let all = reachable(compute);
    shape.steps.iter().enumerate().rev().find_map(|(at, step)| {
        let is_costly = compute.any(step.body, &mut |d| matches!(d, ExprData::Math(..)));
        let own = at_columns(compute, step)?;
        (is_costly && all.contains(&own)).then_some((at, own))
    })
}

/// A reduction's body with its axes replaced by the columns, if that expression is there.
fn at_columns(compute: &Compute, step: &Step) -> Option<Expr> {
    let mut exprs = compute.exprs.clone();
    let known = exprs.len();
    let own = renamed(&mut exprs, step.body, &step.rename, &mut HashMap::new());
    ((own.0 as usize) < known).then_some(own)
}

fn renamed(exprs: &mut Exprs, expr: Expr, rename: &[(usize, usize)], memo: &mut HashMap<Expr, Expr>) -> Expr {
    if let Some(&known) = memo.get(&expr) {
        return known;
    }
    let mut data = exprs.get(expr).clone();
    let mut map = |e: &mut Expr| *e = renamed(exprs, *e, rename, memo);
    match &mut data {
        ExprData::Axis(axis) => {
            if let Some((_, to)) = rename.iter().find(|(from, _)| *from == *axis as usize) {
                *axis = *to as u32;
            }
        }
        ExprData::Const(_) | ExprData::Param(..) => {}
        ExprData::Load { index, .. } => index.iter_mut().for_each(map),
        ExprData::Math(_, args) => args.iter_mut().for_each(map),
        ExprData::Unary(_, x) | ExprData::Cast(_, x) => map(x),
        ExprData::Binary(_, a, b) => [a, b].into_iter().for_each(map),
        ExprData::Select(a, b, c) => [a, b, c].into_iter().for_each(map),
        ExprData::Check { index, size } => [index, size].into_iter().for_each(map),
        ExprData::Reduce { body, .. } => map(body),
    }
    let new = exprs.intern(data);
    memo.insert(expr, new);
    new
}

fn build_passes(
    compute: &Compute,
    shape: &Shape,
    streams: &mut Streams,
    kept: Option<((usize, Expr), usize)>,
) -> Option<Vec<Pass>> {
    let mut passes = Vec::new();
    for (at, step) in shape.steps.iter().enumerate() {
        let mut expr = VExpr::new();
        let root = translate(compute, step.body, &mut expr, &mut |e, out| {
            row_leaf(shape, e, at, out).or_else(|| streams.leaf(e, out, &step.rename))
        })?;
        let mut stores = Vec::new();
        if kept.is_some_and(|((pass, _), _)| pass == at) {
            expr.root(root);
            stores.push(0);
        }
        expr.root(root);
        let mut finish = VExpr::new();
        let end = translate(compute, step.finished, &mut finish, &mut |e, out| {
            if e == step.reduce { Some(out.acc()) } else { row_leaf(shape, e, at, out) }
        })?;
        finish.root(end);
        let is_result = !shape.has_columns && at + 1 == shape.steps.len();
        let reduce = Some(Reduction { op: step.op, finish, store: is_result.then_some(0) });
        passes.push(Pass { expr, stores, reduce });
    }
    if shape.has_columns {
        let mut expr = VExpr::new();
        let root = translate(compute, compute.outputs[0].value, &mut expr, &mut |e, out| match kept {
            Some(((_, own), inputs)) if e == own => Some(out.input(inputs as u16)),
            _ => row_leaf(shape, e, shape.steps.len(), out).or_else(|| streams.leaf(e, out, &[])),
        })?;
        expr.root(root);
        passes.push(Pass { expr, stores: vec![0], reduce: None });
    }
    Some(passes)
}

/// The finished value of a pass before `before`.
fn row_leaf(shape: &Shape, expr: Expr, before: usize, out: &mut VExpr) -> Option<NodeId> {
    let at = shape.steps[..before].iter().position(|s| s.finished == expr)?;
    Some(out.row(at as u16))
}

/// Which of the row axes are loops around the kernel: those before `first_row`.
struct Layout {
    first_row: usize,
}

fn layout(compute: &Compute, shape: &Shape, streams: &Streams, out: &Affine) -> Option<Layout> {
    let loads: Vec<&Affine> = (0..streams.sources.len()).filter_map(|i| streams.load(i)).collect();
    let is_row =
        |a: &Affine| shape.columns.iter().all(|&c| a.strides[c] == 0) || collapses(compute, &shape.columns, &a.strides, 1);
    let in_order = shape.columns.windows(2).all(|w| w[0] < w[1]);
    if !in_order
        || !loads.iter().all(|a| is_row(a))
        || (shape.has_columns && !collapses(compute, &shape.columns, &out.strides, 1))
    {
        return None;
    }
    let is_one_stride = |from: usize| {
        let rows = &shape.rows[from..];
        loads.iter().chain([&out]).all(|a| is_forward(compute, rows, &a.strides))
    };
    (0..=shape.rows.len()).find(|&from| is_one_stride(from)).map(|first_row| Layout { first_row })
}

fn operand(compute: &Compute, shape: &Shape, layout: &Layout, address: &Affine) -> RowOperand {
    let rows = &shape.rows[layout.first_row..];
    let stride = innermost_stride(compute, rows, &address.strides).max(0) as usize;
    let splat = shape.columns.iter().all(|&c| address.strides[c] == 0);
    RowOperand { stride: Stride::Elements(stride), splat, element: Element::F32 }
}
