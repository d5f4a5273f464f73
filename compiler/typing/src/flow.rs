//! Structured control flow with early exits.
//!
//! A graph has no jumps, so `return`, `break` and `continue` are flags (PyTorch's `exit_transforms.cpp`):
//!
//! * `$exit`: control has left the normal order of statements in the loop body or function;
//! * `$break`: the loop must not go on (set by `break` and `return`);
//! * `$return`: the function has returned; `$value` is what it returned.
//!
//! A flag is a value of the graph only where it is not known at compile time. Where one branch of an `if`
//! always leaves, the statements after the `if` go into the other branch and no flag is needed.

use crate::env::{Binding, Flag, Scope};
use crate::sugar::{Sugar, Typed};
use crate::{body::Body, condition::Refinements};
use kiln_frontend::ast::{Expr, Stmt, StmtKind};
use kiln_graph::{Block, Type, Value};
use kiln_support::{Diagnostic, Span};
use std::collections::BTreeSet;

pub(crate) const EXIT: &str = "$exit";
pub(crate) const BREAK: &str = "$break";
pub(crate) const RETURN: &str = "$return";
pub(crate) const VALUE: &str = "$value";
/// After as many errors a body is given up.
const MAX_ERRORS: usize = 100;
const FLAGS: [&str; 3] = [EXIT, BREAK, RETURN];

/// How control leaves a sequence of statements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// At its end.
    Next,
    /// At its end or through an exit: `$exit` says which.
    Maybe,
    /// Through an exit (or by raising) on every path.
    Left,
    /// By raising on every path.
    Raised,
}

impl Flow {
    fn join(self, other: Flow) -> Flow {
        match (self, other) {
            (Flow::Raised, flow) | (flow, Flow::Raised) => flow,
            (a, b) if a == b => a,
            _ => Flow::Maybe,
        }
    }
}

/// What one statement did.
pub(crate) enum Step {
    /// Only itself.
    Own(Flow),
    /// Itself and all statements after it.
    WithRest(Flow),
}

/// Statements still to do: a list, then what comes after it.
#[derive(Clone, Copy)]
pub(crate) struct Rest<'r> {
    pub stmts: &'r [Stmt],
    /// Iterations of a loop that is unrolled, before `then`.
    pub unrolled: Option<Unrolled<'r>>,
    pub then: Option<&'r Rest<'r>>,
}

/// The remaining iterations of an unrolled loop.
#[derive(Clone, Copy)]
pub(crate) struct Unrolled<'r> {
    pub target: &'r Expr,
    pub items: &'r [Sugar],
    pub body: &'r [Stmt],
}

impl<'r> Rest<'r> {
    pub fn of(stmts: &'r [Stmt]) -> Rest<'r> {
        Rest { stmts, unrolled: None, then: None }
    }

    fn is_empty(&self) -> bool {
        self.stmts.is_empty() && self.unrolled.is_none_or(|u| u.items.is_empty()) && self.then.is_none_or(Rest::is_empty)
    }
}

/// A branch that has been typed.
struct Branch {
    block: Block,
    scope: Scope,
    flow: Flow,
}

impl Body<'_, '_> {
    /// Types a sequence of statements.
    pub fn run(&mut self, rest: &Rest<'_>) -> Typed<Flow> {
        let mut current = Some(rest);
        while let Some(part) = current {
            for (i, stmt) in part.stmts.iter().enumerate() {
                let after = Rest { stmts: &part.stmts[i + 1..], ..*part };
                match self.stmt(stmt, &after) {
                    Ok(Step::Own(Flow::Next)) => {}
                    Ok(Step::Own(Flow::Maybe)) if !after.is_empty() => return self.guarded(&after, stmt.span),
                    Ok(Step::Own(flow) | Step::WithRest(flow)) => return Ok(flow),
                    Err(error) => self.recover(stmt, error)?,
                }
            }
            if let Some(unrolled) = part.unrolled
                && let Some((first, items)) = unrolled.items.split_first()
            {
                self.assign(unrolled.target, first.clone())?;
                let next = Rest { stmts: &[], unrolled: Some(Unrolled { items, ..unrolled }), then: part.then };
                let iteration = Rest { stmts: unrolled.body, unrolled: None, then: Some(&next) };
                return self.deeper(|body| body.run(&iteration));
            }
            current = part.then;
        }
        Ok(Flow::Next)
    }

    /// Notes the error of a statement and goes on behind it, so that one run finds all errors. What the
    /// statement would have assigned is not complained about again.
    fn recover(&mut self, stmt: &Stmt, error: Box<Diagnostic>) -> Typed<()> {
        if matches!(error.code.0, "too-deep" | "too-large") || self.session.diagnostics.len() >= MAX_ERRORS {
            return Err(error);
        }
        self.session.report(error);
        self.failed = true;
        let mut names = BTreeSet::new();
        crate::loops::assigned_names(std::slice::from_ref(stmt), &mut names);
        for name in names {
            self.env.set(&name, Binding::Unusable(String::new()));
        }
        Ok(())
    }

    /// Types an unrolled loop whose body has no exits.
    pub fn run_unrolled(&mut self, unrolled: &Unrolled<'_>) -> Typed<Flow> {
        for item in unrolled.items {
            self.assign(unrolled.target, item.clone())?;
            let flow = self.run(&Rest::of(unrolled.body))?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Typed<T>) -> Typed<T> {
        if self.depth >= 200 {
            return Err(crate::unsupported("too-deep", "statements after early exits are nested too deeply here", self.span));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    /// The statements after one that may have left: they run unless `$exit`.
    fn guarded(&mut self, after: &Rest<'_>, at: Span) -> Typed<Flow> {
        let exit = self.flag_value(EXIT, at);
        let left = self.branch(|body| {
            body.set_flag(EXIT, Flag::Known(true));
            Ok(Flow::Left)
        })?;
        let stayed = self.branch(|body| {
            body.env.make_transparent();
            FLAGS.iter().for_each(|f| body.set_flag(f, Flag::Known(false)));
            body.run(after)
        })?;
        self.join(exit, [left, stayed], at)
    }

    /// `if` with a condition that is not known.
    pub fn if_branches(
        &mut self,
        test: Value,
        refine: &Refinements,
        arms: [&[Stmt]; 2],
        after: &Rest<'_>,
        at: Span,
    ) -> Typed<Step> {
        let exits = arms.map(has_exit);
        let taken_over = if exits[0] && always_leaves(arms[0]) {
            Some(1)
        } else if exits[1] && always_leaves(arms[1]) {
            Some(0)
        } else {
            None
        };
        let mut branches = Vec::new();
        for (i, &arm) in arms.iter().enumerate() {
            let branch = self.branch(|body| {
                body.refine(if i == 0 { &refine.when_true } else { &refine.when_false }, at);
                let flow = body.run(&Rest::of(arm))?;
                match (taken_over == Some(i), flow) {
                    (false, _) | (_, Flow::Left | Flow::Raised) => Ok(flow),
                    (true, Flow::Maybe) => body.guarded(after, at),
                    (true, Flow::Next) => {
                        body.env.make_transparent();
                        body.run(after)
                    }
                }
            })?;
            branches.push(branch);
        }
        let branches: [Branch; 2] = branches.try_into().ok().expect("there are two arms");
        let flow = self.join(test, branches, at)?;
        Ok(if taken_over.is_some() { Step::WithRest(flow) } else { Step::Own(flow) })
    }

    fn branch(&mut self, inside: impl FnOnce(&mut Self) -> Typed<Flow>) -> Typed<Branch> {
        self.env.push();
        let result = self.in_block(inside);
        let scope = self.env.pop();
        let (block, flow) = result?;
        Ok(Branch { block, scope, flow })
    }

    /// Closes two branches: the names they set become results of the `If`.
    fn join(&mut self, test: Value, branches: [Branch; 2], at: Span) -> Typed<Flow> {
        let flow = branches[0].flow.join(branches[1].flow);
        let mut results: Vec<(String, Type)> = Vec::new();
        for name in self.names_to_join(&branches, flow) {
            if let Some(ty) = self.join_name(&name, &branches, at) {
                results.push((name, ty));
            }
        }
        let mut flags: Vec<&str> = Vec::new();
        for flag in FLAGS {
            if self.join_flag(flag, &branches, at) {
                flags.push(flag);
            }
        }
        for branch in &branches {
            self.graph.blocks[branch.block].diverges = branch.flow == Flow::Raised;
        }
        let types = results.iter().map(|(_, ty)| ty.clone()).chain(flags.iter().map(|_| Type::Bool)).collect();
        let node = self.add_if(test, [branches[0].block, branches[1].block], types, at);
        let values = self.graph.nodes[node].results.clone();
        for ((name, _), &value) in results.iter().zip(&values) {
            self.bind_result(name, value);
        }
        for (flag, &value) in flags.iter().zip(&values[results.len()..]) {
            self.set_flag(flag, Flag::Value(value));
        }
        Ok(flow)
    }

    /// Binds a name to a result of control flow.
    pub fn bind_result(&mut self, name: &str, value: Value) {
        if name == VALUE {
            self.return_slots.push(value);
        } else {
            self.graph.values[value].name = Some(name.to_owned());
        }
        self.env.set(name, Binding::Is(Sugar::Value(value)));
    }

    /// Names that either branch sets. Where neither goes on, only what loops carry still matters.
    fn names_to_join(&self, branches: &[Branch; 2], flow: Flow) -> BTreeSet<String> {
        let carried = |name: &str| name == VALUE || self.loops.iter().flatten().any(|n| n == name);
        let live = branches.iter().filter(|b| b.flow != Flow::Raised);
        let names = live.flat_map(|b| b.scope.vars.keys()).filter(|n| !FLAGS.contains(&n.as_str()));
        names.filter(|n| flow != Flow::Left || carried(n)).cloned().collect()
    }

    /// Joins what a name is in both branches. A name that needs a result of the `If` is yielded by both
    /// blocks and gives its type.
    fn join_name(&mut self, name: &str, branches: &[Branch; 2], at: Span) -> Option<Type> {
        let bindings = [0, 1].map(|i| match branches[i].flow {
            Flow::Raised => None,
            _ => branches[i].scope.vars.get(name).or_else(|| self.env.get(name)).cloned(),
        });
        let flows = [branches[0].flow, branches[1].flow];
        match self.joined(name, bindings, flows) {
            Joined::Same => None,
            Joined::Bound(binding) => {
                self.env.set(name, binding);
                None
            }
            Joined::Result(ty, values) => {
                for (branch, value) in branches.iter().zip(values) {
                    self.yield_from(branch, value, &ty, name, at);
                }
                Some(ty)
            }
        }
    }

    fn joined(&self, name: &str, bindings: [Option<Binding>; 2], flows: [Flow; 2]) -> Joined {
        // A branch whose end is not reached says nothing about the name, unless a loop carries it on.
        let silent = |i: usize| flows[i] == Flow::Raised || ((flows[i] == Flow::Left || name == VALUE) && bindings[i].is_none());
        match &bindings {
            [Some(Binding::Is(Sugar::Value(a))), Some(Binding::Is(Sugar::Value(b)))] => {
                if a == b && self.env.value(name) == Some(*a) {
                    return Joined::Same;
                }
                self.join_values(name, [*a, *b], flows)
            }
            [Some(Binding::Unusable(why)), Some(_)] | [Some(_), Some(Binding::Unusable(why))] => {
                Joined::Bound(Binding::Unusable(why.clone()))
            }
            [Some(Binding::Is(a)), Some(Binding::Is(b))] => match (escapes(a), escapes(b)) {
                (Some(a), Some(b)) if a == b => Joined::Bound(bindings[0].clone().expect("it is bound")),
                _ => Joined::Bound(Binding::Unusable(format!("`{name}` is not the same in both branches of an `if`"))),
            },
            [Some(binding), None] if silent(1) => self.only(name, binding, 0),
            [None, Some(binding)] if silent(0) => self.only(name, binding, 1),
            [None, None] => Joined::Same,
            _ => Joined::Bound(Binding::Unusable(format!("`{name}` is defined in only one branch of an `if`"))),
        }
    }

    fn join_values(&self, name: &str, values: [Value; 2], flows: [Flow; 2]) -> Joined {
        let types = values.map(|v| self.ty(v).clone());
        let is_union = |t: &Type| matches!(t, Type::Union(_) | Type::Any);
        let outer = self.env.value(name).map(|v| self.ty(v).clone());
        let as_union = types.iter().chain(outer.as_ref()).any(is_union);
        if let Some(ty) = types[0].unify(&types[1], self.session.program, as_union) {
            return Joined::Result(ty, values.map(Some));
        }
        let carried = self.loops.iter().flatten().any(|n| n == name);
        match flows {
            [Flow::Left, _] if !carried => Joined::Result(types[1].clone(), [None, Some(values[1])]),
            [_, Flow::Left] if !carried => Joined::Result(types[0].clone(), [Some(values[0]), None]),
            _ => {
                let (a, b) = (self.show(&types[0]), self.show(&types[1]));
                Joined::Bound(Binding::Unusable(format!(
                    "`{name}` is of type `{a}` in one branch of an `if` and `{b}` in the other"
                )))
            }
        }
    }

    /// A name that only one branch says something about.
    fn only(&self, name: &str, binding: &Binding, branch: usize) -> Joined {
        match binding {
            // Unchanged: visible after the `if` as it was before.
            Binding::Is(Sugar::Value(value)) if self.env.value(name) == Some(*value) => Joined::Same,
            Binding::Is(Sugar::Value(value)) => {
                let mut values = [None, None];
                values[branch] = Some(*value);
                Joined::Result(self.ty(*value).clone(), values)
            }
            Binding::Is(sugar) if escapes(sugar).is_some() => Joined::Bound(binding.clone()),
            Binding::Is(_) => Joined::Bound(Binding::Unusable(format!("`{name}` cannot be used after the `if` that defines it"))),
            other => Joined::Bound(other.clone()),
        }
    }

    fn yield_from(&mut self, branch: &Branch, value: Option<Value>, ty: &Type, name: &str, at: Span) {
        if branch.flow == Flow::Raised {
            return;
        }
        let outer = std::mem::replace(&mut self.block, branch.block);
        let value = match value {
            Some(value) => self.widen(value, ty, at),
            None => self.uninit(ty.clone(), at),
        };
        if name == VALUE {
            self.return_slots.push(value);
        }
        self.block = outer;
        self.graph.blocks[branch.block].yields.push(value);
    }

    /// Joins a flag; yields it from both blocks where it is not known.
    fn join_flag(&mut self, flag: &str, branches: &[Branch; 2], at: Span) -> bool {
        let states = [0, 1].map(|i| match branches[i].scope.vars.get(flag).or_else(|| self.env.get(flag)) {
            _ if branches[i].flow == Flow::Raised => None,
            Some(Binding::Flag(flag)) => Some(*flag),
            _ => Some(Flag::Known(false)),
        });
        let known = match states {
            [Some(a), Some(b)] if a == b => Some(a),
            [Some(Flag::Known(one)), None] | [None, Some(Flag::Known(one))] => Some(Flag::Known(one)),
            [None, None] => Some(Flag::Known(false)),
            _ => None,
        };
        // A value may come from inside a branch, so only one that was there before can be kept.
        let before =
            matches!((known, self.env.get(flag)), (Some(Flag::Value(v)), Some(Binding::Flag(Flag::Value(w)))) if *w == v);
        if let Some(state) = known
            && (matches!(state, Flag::Known(_)) || before)
        {
            self.set_flag(flag, state);
            return false;
        }
        for (branch, state) in branches.iter().zip(states) {
            if let Some(state) = state {
                let outer = std::mem::replace(&mut self.block, branch.block);
                let value = self.materialize(state, at);
                self.block = outer;
                self.graph.blocks[branch.block].yields.push(value);
            }
        }
        true
    }

    pub fn set_flag(&mut self, name: &str, flag: Flag) {
        self.env.set(name, Binding::Flag(flag));
    }

    pub fn flag(&self, name: &str) -> Flag {
        match self.env.get(name) {
            Some(Binding::Flag(flag)) => *flag,
            _ => Flag::Known(false),
        }
    }

    pub fn materialize(&mut self, flag: Flag, at: Span) -> Value {
        match flag {
            Flag::Known(known) => self.bool(known, at),
            Flag::Value(value) => value,
        }
    }

    /// A flag as a value of the graph.
    pub fn flag_value(&mut self, name: &str, at: Span) -> Value {
        let flag = self.flag(name);
        self.materialize(flag, at)
    }

    /// Marks the exit that a statement is.
    pub fn leave(&mut self, flags: &[&str]) -> Step {
        flags.iter().for_each(|f| self.set_flag(f, Flag::Known(true)));
        Step::Own(Flow::Left)
    }
}

enum Joined {
    /// As before the `if`.
    Same,
    /// Needs no result.
    Bound(Binding),
    /// A result of this type; a branch without a value yields an uninitialised one.
    Result(Type, [Option<Value>; 2]),
}

/// A key for what holds no value of the graph and may therefore be used outside of its block.
fn escapes(sugar: &Sugar) -> Option<String> {
    match sugar {
        Sugar::Namespace(_) | Sugar::Function(_) | Sugar::Class(_) | Sugar::Type(_) | Sugar::NoContext => {
            Some(format!("{sugar:?}"))
        }
        Sugar::Operator(_, None) | Sugar::Special(_, None) => Some(format!("{sugar:?}")),
        _ => None,
    }
}

/// Whether statements contain an exit of the loop body or function that they stand in.
pub(crate) fn has_exit(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match &stmt.kind {
        StmtKind::Return(_) | StmtKind::Break | StmtKind::Continue => true,
        StmtKind::If { body, orelse, .. } => has_exit(body) || has_exit(orelse),
        StmtKind::With { body, .. } => has_exit(body),
        StmtKind::While { body, .. } | StmtKind::For { body, .. } => has_return(body),
        _ => false,
    })
}

/// Whether statements contain a `return`.
pub(crate) fn has_return(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match &stmt.kind {
        StmtKind::Return(_) => true,
        StmtKind::If { body, orelse, .. } => has_return(body) || has_return(orelse),
        StmtKind::With { body, .. } | StmtKind::While { body, .. } | StmtKind::For { body, .. } => has_return(body),
        _ => false,
    })
}

/// Whether the end of these statements is never reached.
fn always_leaves(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match &stmt.kind {
        StmtKind::Return(_) | StmtKind::Break | StmtKind::Continue | StmtKind::Raise(_) => true,
        StmtKind::If { body, orelse, .. } => always_leaves(body) && always_leaves(orelse),
        StmtKind::With { body, .. } => always_leaves(body),
        _ => false,
    })
}
