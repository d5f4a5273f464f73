//! What is known of each expression before code is emitted: the axes it depends on, and whether it is more than
//! arithmetic.

use crate::arithmetic::is_call;
use crate::error::CodegenError;
use kiln_loops::{Compute, Expr, ExprData, Extent};

/// The most branches and reductions inside one another that are accepted.
const MAX_DEPTH: usize = 500;

/// Facts by expression number.
pub(super) struct Facts {
    /// Axes that must be bound, as bits.
    pub(super) free: Vec<u64>,
    /// Whether it loads, checks, reduces or calls, itself or below.
    pub(super) effect: Vec<bool>,
    /// For a select with real branches: what has effects and is evaluated in both in any case. It goes before the
    /// branches; else sharing between nested branches would multiply their code.
    common: Vec<Vec<Expr>>,
}

impl Facts {
    /// Collects the facts, and refuses computations that break the rules.
    pub(super) fn of(compute: &Compute) -> Result<Facts, CodegenError> {
        check_shape(compute)?;
        let mut facts = Facts { free: Vec::new(), effect: Vec::new(), common: Vec::new() };
        let mut depths: Vec<usize> = Vec::new();
        for i in 0..compute.exprs.len() {
            let expr = Expr(i as u32);
            check_references(compute, compute.exprs.get(expr))?;
            let free = facts.free_axes(compute, expr);
            let effect = facts.has_effect(compute, expr);
            depths.push(depth(compute, expr, &depths)?);
            facts.free.push(free);
            facts.effect.push(effect);
            let common = match compute.exprs.get(expr) {
                ExprData::Select(_, yes, no) => facts.common_of(compute, *yes, *no),
                _ => Vec::new(),
            };
            facts.common.push(common);
        }
        Ok(facts)
    }

    /// What must be evaluated, in any case, before an expression is: its operands, but of a select with real branches
    /// only the test and what both branches need, and of a reduction nothing.
    pub(super) fn operands(&self, compute: &Compute, expr: Expr) -> Vec<Expr> {
        match compute.exprs.get(expr) {
            ExprData::Select(test, yes, no) if self.effect[yes.0 as usize] || self.effect[no.0 as usize] => {
                let mut operands = self.common[expr.0 as usize].clone();
                operands.push(*test);
                operands
            }
            ExprData::Reduce { .. } => Vec::new(),
            _ => compute.exprs.operands(expr),
        }
    }

    /// Of what both sides need in any case and has effects, what nothing else of it needs.
    fn common_of(&self, compute: &Compute, yes: Expr, no: Expr) -> Vec<Expr> {
        let (yes, no) = (self.surely_evaluated(compute, yes), self.surely_evaluated(compute, no));
        let mut common: Vec<bool> = yes.iter().zip(&no).map(|(a, b)| *a && *b).collect();
        // Operands come before what they are operands of.
        for at in (0..common.len()).rev() {
            if yes[at] && no[at] {
                self.operands(compute, Expr(at as u32)).iter().for_each(|operand| common[operand.0 as usize] = false);
            }
        }
        (0..common.len()).filter(|&at| common[at]).map(|at| Expr(at as u32)).collect()
    }

    /// What has effects and is evaluated whenever `root` is, itself included, by number.
    fn surely_evaluated(&self, compute: &Compute, root: Expr) -> Vec<bool> {
        let mut found = vec![false; root.0 as usize + 1];
        let mut work = vec![root];
        while let Some(expr) = work.pop() {
            let at = expr.0 as usize;
            if self.effect[at] && !std::mem::replace(&mut found[at], true) {
                work.extend(self.operands(compute, expr));
            }
        }
        found
    }

    fn free_axes(&self, compute: &Compute, expr: Expr) -> u64 {
        let below = compute.exprs.operands(expr).iter().fold(0, |mask, e| mask | self.free[e.0 as usize]);
        match compute.exprs.get(expr) {
            ExprData::Axis(axis) => 1 << axis,
            ExprData::Reduce { axes, .. } => axes.iter().fold(below, |mask, axis| mask & !(1 << axis)),
            // The target of a scatter changes with every store.
            ExprData::Load { input: 0, .. } if compute.scatter.is_some() => below | output_axes(compute),
            _ => below,
        }
    }

    fn has_effect(&self, compute: &Compute, expr: Expr) -> bool {
        let exprs = &compute.exprs;
        let own = match exprs.get(expr) {
            ExprData::Load { .. } | ExprData::Check { .. } | ExprData::Reduce { .. } | ExprData::Math(..) => true,
            ExprData::Binary(op, a, _) => is_call(*op, exprs.kind(*a)),
            _ => false,
        };
        own || exprs.operands(expr).iter().any(|e| self.effect[e.0 as usize])
    }
}

/// How deeply branches and reductions are nested in an expression: so deep does code generation recurse.
fn depth(compute: &Compute, expr: Expr, depths: &[usize]) -> Result<usize, CodegenError> {
    let below = compute.exprs.operands(expr).iter().map(|e| depths[e.0 as usize]).max().unwrap_or(0);
    let own = matches!(compute.exprs.get(expr), ExprData::Select(..) | ExprData::Reduce { .. });
    match below + usize::from(own) {
        depth if depth > MAX_DEPTH => {
            Err(CodegenError::rule(format!("more than {MAX_DEPTH} branches and reductions inside one another")))
        }
        depth => Ok(depth),
    }
}

fn output_axes(compute: &Compute) -> u64 {
    (0..compute.rank).fold(0, |mask, axis| mask | 1 << axis)
}

fn check_shape(compute: &Compute) -> Result<(), CodegenError> {
    let is_param = |extent: &Extent| match extent {
        Extent::Const(_) => true,
        Extent::Param(p) => (*p as usize) < compute.params.len(),
    };
    let dims = compute.inputs.iter().flat_map(|i| &i.dims).chain(compute.scatter.iter().flat_map(|s| &s.dims));
    if compute.axes.len() > 64 {
        return Err(CodegenError::rule("more than 64 axes"));
    }
    if compute.rank > compute.axes.len() || !compute.axes.iter().chain(dims).all(is_param) {
        return Err(CodegenError::rule("an extent names a parameter that is not there"));
    }
    if compute.scatter.as_ref().is_some_and(|s| s.index.len() != s.dims.len() || !compute.outputs.is_empty()) {
        return Err(CodegenError::rule("a scatter has one index per dimension of its target and no other output"));
    }
    Ok(())
}

fn check_references(compute: &Compute, data: &ExprData) -> Result<(), CodegenError> {
    let is_axis = |axis: &u32| (*axis as usize) < compute.axes.len();
    let is_good = match data {
        ExprData::Axis(axis) => is_axis(axis),
        ExprData::Param(param, _) => (*param as usize) < compute.params.len(),
        ExprData::Load { input, index } => compute.inputs.get(*input as usize).is_some_and(|i| i.dims.len() == index.len()),
        ExprData::Reduce { axes, .. } => axes.iter().all(is_axis),
        _ => true,
    };
    if is_good { Ok(()) } else { Err(CodegenError::rule(format!("{data:?} refers to what is not there"))) }
}
