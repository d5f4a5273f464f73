//! `while` and `for`.
//!
//! Names that the body assigns and that exist before the loop are carried: parameters of the body and results
//! of the loop, of the type they have before it. A name first assigned inside cannot be used after.

use crate::body::Body;
use crate::env::{Binding, Flag};
use crate::error;
use crate::flow::{BREAK, EXIT, Flow, RETURN, Rest, Step, Unrolled, VALUE, has_exit, has_return};
use crate::iterate::Items;
use crate::sugar::{Sugar, Typed};
use kiln_frontend::ast::{Expr, ExprKind, Stmt, StmtKind};
use kiln_graph::{Op, Type, Value};
use kiln_support::Span;
use std::collections::BTreeSet;

/// What is carried around a loop.
struct Carried {
    names: Vec<String>,
    initial: Vec<Value>,
    types: Vec<Type>,
    /// Whether `$value` and `$return` follow the names.
    returns: bool,
}

impl Body<'_, '_> {
    /// `while test: body`.
    pub fn while_loop(&mut self, test: &Expr, body: &[Stmt], at: Span) -> Typed<Flow> {
        let first = self.condition(test)?.value;
        let trips = self.int(i64::MAX, at);
        self.emit_loop([trips, first], (None, body), at, |_, _| Ok(()), Some(test))
    }

    /// `for target in iter: body`.
    pub fn for_loop(&mut self, target: &Expr, iter: &Expr, body: &[Stmt], after: &Rest<'_>, at: Span) -> Typed<Step> {
        let iterated = self.sugar(iter)?;
        match self.items(iterated, iter.span)? {
            Items::Known(items) => self.unrolled_loop(target, &items, body, after, at),
            Items::Counted(iterable, length) => {
                let always = self.bool(true, at);
                let flow = self.emit_loop(
                    [length, always],
                    (Some(target), body),
                    at,
                    |typer, index| {
                        let item = typer.item_at(&iterable, index, iter.span)?;
                        typer.assign(target, item)
                    },
                    None,
                )?;
                Ok(Step::Own(flow))
            }
        }
    }

    fn unrolled_loop(&mut self, target: &Expr, items: &[Sugar], body: &[Stmt], after: &Rest<'_>, at: Span) -> Typed<Step> {
        if has_break(body) {
            return Err(error(
                "break-in-unrolled-loop",
                "`break` and `continue` cannot stand in a loop over elements of different types",
                at,
            ));
        }
        let unrolled = Unrolled { target, items, body };
        if has_exit(body) {
            let rest = Rest { stmts: &[], unrolled: Some(unrolled), then: Some(after) };
            return self.run(&rest).map(Step::WithRest);
        }
        self.run_unrolled(&unrolled).map(Step::Own)
    }

    /// Emits a loop; `start` runs at the start of the body with the index; `again` is typed at its end.
    fn emit_loop(
        &mut self,
        [trips, first]: [Value; 2],
        (target, stmts): (Option<&Expr>, &[Stmt]),
        at: Span,
        start: impl FnOnce(&mut Self, Value) -> Typed<()>,
        again: Option<&Expr>,
    ) -> Typed<Flow> {
        let carried = self.carried(target, stmts, at);
        let params: Vec<Type> = carried.types.clone();
        self.env.push();
        self.loops.push(carried.names.clone());
        let typed = self.in_block(|body| {
            let block = body.block;
            let index = body.graph.add_param(block, Type::Int, None);
            for (name, ty) in carried.names.iter().zip(&params) {
                let param = body.graph.add_param(block, ty.clone(), Some(name));
                body.env.set(name, Binding::Is(Sugar::Value(param)));
            }
            if carried.returns {
                let param = body.graph.add_param(block, params[carried.names.len()].clone(), None);
                body.return_slots.push(param);
                body.graph.add_param(block, Type::Bool, None);
            }
            [EXIT, BREAK, RETURN].iter().for_each(|f| body.set_flag(f, Flag::Known(false)));
            start(body, index)?;
            let flow = body.run(&Rest::of(stmts))?;
            body.close_loop_body(&carried, flow, again, at)
        });
        self.loops.pop();
        self.env.pop();
        let (block, ()) = typed?;
        let args = [trips, first].into_iter().chain(carried.initial.iter().copied()).collect();
        let node = self.graph.add_node(self.block, Op::Loop, args, carried.types.clone(), at);
        self.graph.nodes[node].blocks = vec![block];
        let results = self.graph.nodes[node].results.clone();
        for (name, &value) in carried.names.iter().zip(&results) {
            self.bind_result(name, value);
        }
        if !carried.returns {
            return Ok(Flow::Next);
        }
        self.bind_result(VALUE, results[carried.names.len()]);
        let returned = Flag::Value(results[carried.names.len() + 1]);
        self.set_flag(EXIT, returned);
        if !self.loops.is_empty() {
            self.set_flag(BREAK, returned);
            self.set_flag(RETURN, returned);
        }
        Ok(Flow::Maybe)
    }

    /// What the statements assign and what exists before the loop.
    fn carried(&mut self, target: Option<&Expr>, stmts: &[Stmt], at: Span) -> Carried {
        let mut assigned = BTreeSet::new();
        assigned_names(stmts, &mut assigned);
        target.into_iter().for_each(|t| target_names(t, &mut assigned));
        let mut carried = Carried { names: Vec::new(), initial: Vec::new(), types: Vec::new(), returns: has_return(stmts) };
        for name in assigned {
            if let Some(value) = self.env.value(&name) {
                carried.types.push(self.ty(value).clone());
                carried.initial.push(value);
                carried.names.push(name);
            }
        }
        if carried.returns {
            let ty = self.returns.clone().unwrap_or(Type::None);
            let value = self.uninit(ty.clone(), at);
            self.return_slots.push(value);
            let flag = self.bool(false, at);
            carried.initial.extend([value, flag]);
            carried.types.extend([ty, Type::Bool]);
        }
        carried
    }

    /// Yields the condition to go on and the carried values.
    fn close_loop_body(&mut self, carried: &Carried, flow: Flow, again: Option<&Expr>, at: Span) -> Typed<()> {
        let block = self.block;
        if flow == Flow::Raised {
            self.graph.blocks[block].diverges = true;
            return Ok(());
        }
        let go_on = self.go_on(again, at)?;
        let mut yields = vec![go_on];
        for (name, ty) in carried.names.iter().zip(&carried.types) {
            yields.push(self.carried_value(name, ty, at)?);
        }
        if carried.returns {
            let ty = carried.types[carried.names.len()].clone();
            let value = match self.env.value(VALUE) {
                Some(value) => value,
                None => self.uninit(ty, at),
            };
            self.return_slots.push(value);
            let returned = self.flag_value(RETURN, at);
            yields.extend([value, returned]);
        }
        self.graph.blocks[block].yields = yields;
        Ok(())
    }

    fn carried_value(&mut self, name: &str, ty: &Type, at: Span) -> Typed<Value> {
        let value = match self.env.get(name) {
            Some(Binding::Is(Sugar::Value(value))) => *value,
            Some(Binding::Unusable(why)) if why.is_empty() => return Err(crate::follow_up()),
            Some(Binding::Unusable(why)) => return Err(error("unusable-name", why.clone(), at)),
            _ => return Err(error("unusable-name", format!("`{name}` must stay a value, as the loop carries it"), at)),
        };
        let value = self.convert(value, ty, true, at)?;
        let found = self.ty(value).clone();
        if !self.is_subtype(&found, ty) {
            let (ty, found) = (self.show(ty), self.show(&found));
            return Err(error(
                "changed-type",
                format!("`{name}` is of type `{ty}` before the loop and `{found}` after a turn of it"),
                at,
            ));
        }
        Ok(self.widen(value, ty, at))
    }

    /// Whether the loop goes on: not after `break`, and only while its test holds.
    fn go_on(&mut self, again: Option<&Expr>, at: Span) -> Typed<Value> {
        match (self.flag(BREAK), again) {
            (Flag::Known(true), _) => Ok(self.bool(false, at)),
            (Flag::Known(false), None) => Ok(self.bool(true, at)),
            (Flag::Known(false), Some(test)) => Ok(self.condition(test)?.value),
            (Flag::Value(stop), None) => self.table_op("aten::__not__", &[stop], at),
            (Flag::Value(stop), Some(test)) => {
                let (stopped, ()) = self.in_block(|body| {
                    let value = body.bool(false, at);
                    let block = body.block;
                    body.graph.blocks[block].yields = vec![value];
                    Ok(())
                })?;
                let (goes_on, ()) = self.in_block(|body| {
                    let value = body.condition(test)?.value;
                    let block = body.block;
                    body.graph.blocks[block].yields = vec![value];
                    Ok(())
                })?;
                let node = self.add_if(stop, [stopped, goes_on], vec![Type::Bool], at);
                Ok(self.graph.result(node))
            }
        }
    }
}

/// Whether a `break` or `continue` of this very loop is inside.
fn has_break(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match &stmt.kind {
        StmtKind::Break | StmtKind::Continue => true,
        StmtKind::If { body, orelse, .. } => has_break(body) || has_break(orelse),
        StmtKind::With { body, .. } => has_break(body),
        _ => false,
    })
}

/// Every name that the statements assign.
pub(crate) fn assigned_names(stmts: &[Stmt], out: &mut BTreeSet<String>) {
    for stmt in stmts {
        match &stmt.kind {
            StmtKind::Assign { targets, .. } => targets.iter().for_each(|t| target_names(t, out)),
            StmtKind::AugAssign { target, .. } => target_names(target, out),
            StmtKind::If { body, orelse, .. } => {
                assigned_names(body, out);
                assigned_names(orelse, out);
            }
            StmtKind::While { body, .. } => assigned_names(body, out),
            StmtKind::For { target, body, .. } => {
                target_names(target, out);
                assigned_names(body, out);
            }
            StmtKind::With { items, body } => {
                items.iter().filter_map(|(_, name)| name.as_ref()).for_each(|t| target_names(t, out));
                assigned_names(body, out);
            }
            _ => {}
        }
    }
}

fn target_names(target: &Expr, out: &mut BTreeSet<String>) {
    match &target.kind {
        ExprKind::Name(name) => drop(out.insert(name.clone())),
        ExprKind::Tuple(elems) | ExprKind::List(elems) => elems.iter().for_each(|e| target_names(e, out)),
        ExprKind::Starred(inner) => target_names(inner, out),
        _ => {}
    }
}
