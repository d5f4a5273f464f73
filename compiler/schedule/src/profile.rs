//! What a computation costs and how often it reads each input: the facts that fusion decides on.

use crate::source::Built;
use kiln_graph::Value;
use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Extent, Scalar, scalar};
use kiln_support::tensor::contiguous_strides;
use std::collections::HashSet;

/// What an element costs to compute again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cost {
    /// Nothing but an index: a view, a constant, a counter.
    Free,
    /// A few cheap operations.
    Light,
    /// Functions of the scalar library, or many operations.
    Medium,
    /// A reduction.
    Heavy,
}

/// How a computation reads one of its inputs.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// The input.
    pub value: Value,
    /// How often each of its elements is read, at most: 1 or "more".
    pub is_once: bool,
    /// Whether it is read inside a reduction.
    pub in_reduction: bool,
    /// In which order it is read as the result is written in the order of its memory.
    pub order: Order,
}

/// In which order elements are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Order {
    /// That of their memory.
    Memory,
    /// Each row, along the last axis, in the order of its memory; the rows, once each, in another.
    Rows,
    /// Another, or more than once.
    Other,
}

/// The facts of a computation of one output.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What an element costs.
    pub cost: Cost,
    /// Number of distinct expressions.
    pub size: usize,
    /// Whether the address of every load is a sum of axes times strides, as far as sizes are known.
    pub is_affine: bool,
    /// Loads, one entry for each distinct one.
    pub reads: Vec<Read>,
}

/// Operations that still count as a few.
const LIGHT_OPERATIONS: usize = 4;

/// Looks at a computation.
pub fn profile(built: &Built) -> Profile {
    let compute = &built.compute;
    let mut walk = Walk { compute, built, seen: HashSet::new(), reads: Vec::new() };
    for root in compute.roots() {
        walk.visit(root, &[], false);
    }
    let reads = walk.reads;
    let has_symbols =
        compute.axes.iter().chain(compute.inputs.iter().flat_map(|i| &i.dims)).any(|e| matches!(e, Extent::Param(_)));
    let is_affine = has_symbols || crate::kernels::is_affine(compute);
    Profile { cost: cost(compute), size: reachable(compute), is_affine, reads }
}

fn reachable(compute: &Compute) -> usize {
    let mut count = 0;
    for root in compute.roots() {
        compute.any(root, &mut |_| {
            count += 1;
            false
        });
    }
    count
}

/// The cost of the values, without the indices of loads.
fn cost(compute: &Compute) -> Cost {
    let (mut seen, mut work) = (HashSet::new(), compute.roots());
    let (mut operations, mut cost) = (0, Cost::Free);
    while let Some(expr) = work.pop() {
        if !seen.insert(expr) {
            continue;
        }
        match compute.exprs.get(expr) {
            ExprData::Load { index, .. } => {
                let is_checked =
                    index.iter().any(|&e| compute.any(e, &mut |d| matches!(d, ExprData::Check { .. } | ExprData::Load { .. })));
                cost = if is_checked { cost.max(Cost::Medium) } else { cost };
                continue;
            }
            ExprData::Const(_) | ExprData::Axis(_) | ExprData::Param(..) => {}
            ExprData::Reduce { .. } => cost = Cost::Heavy,
            ExprData::Math(..) | ExprData::Check { .. } => cost = cost.max(Cost::Medium),
            _ => operations += 1,
        }
        work.extend(compute.exprs.operands(expr));
    }
    match operations {
        0 => cost,
        n if n <= LIGHT_OPERATIONS => cost.max(Cost::Light),
        _ => cost.max(Cost::Medium),
    }
}

struct Walk<'a> {
    compute: &'a Compute,
    built: &'a Built,
    seen: HashSet<(Expr, Vec<u32>, bool)>,
    reads: Vec<Read>,
}

impl Walk<'_> {
    /// Visits an expression that stands inside reductions over `reduced` axes, and under a condition if `guarded`.
    fn visit(&mut self, expr: Expr, reduced: &[u32], guarded: bool) {
        if !self.seen.insert((expr, reduced.to_vec(), guarded)) {
            return;
        }
        match self.compute.exprs.get(expr) {
            ExprData::Load { input, index } => self.read(*input as usize, index, reduced, guarded),
            ExprData::Reduce { axes, body, .. } => {
                let inner = [reduced, axes].concat();
                return self.visit(*body, &inner, guarded);
            }
            ExprData::Select(test, yes, no) => {
                self.visit(*test, reduced, guarded);
                self.visit(*yes, reduced, true);
                return self.visit(*no, reduced, true);
            }
            _ => {}
        }
        for operand in self.compute.exprs.operands(expr) {
            self.visit(operand, reduced, guarded);
        }
    }

    fn read(&mut self, input: usize, index: &[Expr], reduced: &[u32], guarded: bool) {
        // A guarded load outside reductions is one arm of a concatenation or the inside of a padding: its conditions
        // exclude each other, and each element is read once.
        let is_once = (guarded && reduced.is_empty()) || self.covers_once(input, reduced);
        let order = match reduced.is_empty() {
            true if self.is_in_order(input, index) => Order::Memory,
            true if self.is_of_rows(input, index) => Order::Rows,
            _ => Order::Other,
        };
        self.reads.push(Read { value: self.built.inputs[input], is_once, in_reduction: !reduced.is_empty(), order });
    }

    /// Whether the index is the axes of the result in another order, with the last one at its end.
    fn is_of_rows(&self, input: usize, index: &[Expr]) -> bool {
        let compute = self.compute;
        let dims = &compute.inputs[input].dims;
        let axis = |(&e, dim): (&Expr, &Extent)| match compute.exprs.get(e) {
            ExprData::Axis(axis) if compute.axes[*axis as usize] == *dim => Some(*axis as usize),
            _ => None,
        };
        let Some(axes) = index.iter().zip(dims).map(axis).collect::<Option<Vec<usize>>>() else { return false };
        let is_each_once = (0..compute.rank).all(|own| axes.iter().filter(|&&axis| axis == own).count() == 1);
        is_each_once && axes.len() == compute.rank && axes.last() == compute.rank.checked_sub(1).as_ref()
    }

    /// Whether an input's flat address is the result's flat index.
    fn is_in_order(&self, input: usize, index: &[Expr]) -> bool {
        let compute = self.compute;
        let axes = &compute.axes[..compute.rank];
        let sizes = |extents: &[Extent]| -> Option<Vec<i64>> {
            extents.iter().map(|e| if let Extent::Const(n) = e { Some(*n) } else { None }).collect()
        };
        let (Some(own), Some(dims)) = (sizes(axes), sizes(&compute.inputs[input].dims)) else {
            // With open sizes: the very same axes.
            return index.len() == axes.len()
                && index.iter().enumerate().all(|(k, &e)| *compute.exprs.get(e) == ExprData::Axis(k as u32));
        };
        let (own_strides, strides) = (contiguous_strides(&own), contiguous_strides(&dims));
        let at = |point: &[i64]| -> Option<i64> {
            index.iter().zip(&strides).map(|(&e, s)| Some(evaluate(compute, e, point)? * s)).sum()
        };
        let mut point = vec![0; own.len()];
        if at(&point) != Some(0) {
            return false;
        }
        (0..own.len()).filter(|&k| own[k] > 1).all(|k| {
            // The first step and the last one: an affine address is the same in between.
            [1, own[k] - 1].into_iter().all(|step| {
                point[k] = step;
                let found = at(&point);
                point[k] = 0;
                found == Some(step * own_strides[k])
            })
        })
    }

    /// Whether the loops around a load run at most as often as the input has elements.
    fn covers_once(&self, input: usize, reduced: &[u32]) -> bool {
        let compute = self.compute;
        let mut loops: Vec<Extent> = compute.axes[..compute.rank].to_vec();
        loops.extend(reduced.iter().map(|&a| compute.axes[a as usize]));
        let (loop_size, mut loop_symbols) = size(&loops);
        let (input_size, input_symbols) = size(&compute.inputs[input].dims);
        for symbol in input_symbols {
            if let Some(at) = loop_symbols.iter().position(|&s| s == symbol) {
                loop_symbols.swap_remove(at);
            }
        }
        loop_symbols.is_empty() && loop_size <= input_size
    }
}

/// The constant factor and the symbols of a number of elements.
fn size(dims: &[Extent]) -> (i64, Vec<u32>) {
    let (mut product, mut symbols) = (1i64, Vec::new());
    for dim in dims {
        match dim {
            Extent::Const(n) => product = product.saturating_mul(*n),
            Extent::Param(p) => symbols.push(*p),
        }
    }
    (product, symbols)
}

/// An int expression at a point of the result, if it only depends on the axes.
fn evaluate(compute: &Compute, expr: Expr, point: &[i64]) -> Option<i64> {
    match compute.exprs.get(expr) {
        ExprData::Const(scalar) => Some(scalar.as_int()),
        ExprData::Axis(axis) => point.get(*axis as usize).copied(),
        ExprData::Binary(op, a, b) => {
            let (a, b) = (evaluate(compute, *a, point)?, evaluate(compute, *b, point)?);
            let arithmetic = matches!(
                op,
                BinaryOp::Add
                    | BinaryOp::Sub
                    | BinaryOp::Mul
                    | BinaryOp::FloorDiv
                    | BinaryOp::Mod
                    | BinaryOp::TruncDiv
                    | BinaryOp::Rem
            );
            arithmetic.then(|| scalar::binary(*op, Scalar::Int(a), Scalar::Int(b)).as_int())
        }
        _ => None,
    }
}
