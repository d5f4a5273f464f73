//! What a computation costs and how often it reads each input: the facts that fusion decides on.

use crate::source::Built;
use kiln_graph::Value;
use kiln_loops::{Compute, Expr, ExprData, Extent};
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
    let has_symbols = compute.axes.iter().chain(compute.inputs.iter().flat_map(|i| &i.dims)).any(|e| matches!(e, Extent::Param(_)));
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
                let is_checked = index.iter().any(|&e| compute.any(e, &mut |d| matches!(d, ExprData::Check { .. } | ExprData::Load { .. })));
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
            ExprData::Load { input, .. } => self.read(*input as usize, reduced, guarded),
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

    fn read(&mut self, input: usize, reduced: &[u32], guarded: bool) {
        // A guarded load outside reductions is one arm of a concatenation or the inside of a padding: its conditions
        // exclude each other, and each element is read once.
        let is_once = (guarded && reduced.is_empty()) || self.covers_once(input, reduced);
        self.reads.push(Read { value: self.built.inputs[input], is_once, in_reduction: !reduced.is_empty() });
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
