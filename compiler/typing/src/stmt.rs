//! Statements.

use crate::body::Body;
use crate::env::Binding;
use crate::error;
use crate::flow::{BREAK, EXIT, Flow, RETURN, Rest, Step, VALUE};
use crate::sugar::{Sugar, Typed};
use kiln_frontend::ast::{Expr, ExprKind, Stmt, StmtKind};
use kiln_graph::{Op, Type, Value};
use kiln_support::Span;

/// A body with more nodes than this is refused: unrolled loops can multiply.
const MAX_NODES: usize = 1_000_000;

impl Body<'_, '_> {
    /// Types one statement; `after` are the statements that follow, for those that take them over.
    pub fn stmt(&mut self, stmt: &Stmt, after: &Rest<'_>) -> Typed<Step> {
        if self.graph.nodes.len() > MAX_NODES {
            return Err(crate::unsupported("too-large", "the function becomes too large here", stmt.span));
        }
        let at = stmt.span;
        match &stmt.kind {
            StmtKind::Assign { targets, annotation, value } => {
                self.assignment(targets, annotation.as_ref(), value.as_ref(), at)?
            }
            StmtKind::AugAssign { target, op, value } => self.augmented(target, *op, value, at)?,
            StmtKind::Expr(expr) => return self.expression_statement(expr),
            StmtKind::Return(value) => return self.return_statement(value.as_ref(), at),
            StmtKind::If { test, body, orelse } => return self.if_statement(test, [body, orelse], after, at),
            StmtKind::While { test, body } => return self.while_loop(test, body, at).map(Step::Own),
            StmtKind::For { target, iter, body } => return self.for_loop(target, iter, body, after, at),
            StmtKind::With { items, body } => return self.with(items, body, at).map(Step::Own),
            StmtKind::Raise(exception) => return self.raise(exception.as_ref(), at).map(|()| Step::Own(Flow::Raised)),
            StmtKind::Assert { test, message } => return self.assert(test, message.as_ref(), at).map(Step::Own),
            StmtKind::Delete(targets) => targets.iter().try_for_each(|t| self.delete(t))?,
            StmtKind::Break => return self.loop_exit("break", &[EXIT, BREAK], at),
            StmtKind::Continue => return self.loop_exit("continue", &[EXIT], at),
            StmtKind::Pass => {}
            StmtKind::Foreign(foreign) => {
                if let Some(name) = &foreign.defines {
                    self.env.set(name, Binding::Unusable(String::new()));
                }
                return Err(Box::new(foreign.error(at)));
            }
        }
        Ok(Step::Own(Flow::Next))
    }

    /// An expression for its effect; `raise` is a call in serialized code.
    fn expression_statement(&mut self, expr: &Expr) -> Typed<Step> {
        if let ExprKind::Str(_) = expr.kind {
            return Ok(Step::Own(Flow::Next));
        }
        if let ExprKind::Call { func, args, .. } = &expr.kind
            && crate::annotation::dotted(func).as_deref() == Some("ops.prim.RaiseException")
        {
            self.raise_call(args, expr.span)?;
            return Ok(Step::Own(Flow::Raised));
        }
        if let ExprKind::Call { func, args, .. } = &expr.kind
            && let [test, rest @ ..] = args.as_slice()
            && crate::annotation::dotted(func).as_deref() == Some("torch._assert")
        {
            return self.assert(test, rest.first(), expr.span).map(Step::Own);
        }
        self.sugar(expr)?;
        Ok(Step::Own(Flow::Next))
    }

    fn raise_call(&mut self, args: &[Expr], at: Span) -> Typed<()> {
        let message = match args.first() {
            Some(message) => self.value(message)?,
            None => self.str("", at),
        };
        let class = match args.get(1).map(|class| self.value(class)).transpose()? {
            Some(class) => match self.graph.as_const(class) {
                Some(kiln_graph::Literal::Str(name)) => name.clone(),
                _ => String::new(),
            },
            None => String::new(),
        };
        self.emit_raise(&class, message, at);
        Ok(())
    }

    pub fn emit_raise(&mut self, class: &str, message: Value, at: Span) {
        self.graph.add_node(self.block, Op::Raise(class.to_owned()), vec![message], Vec::new(), at);
    }

    fn return_statement(&mut self, value: Option<&Expr>, at: Span) -> Typed<Step> {
        let hint = self.returns.clone();
        let value = match value {
            Some(expr) => self.value_hinted(expr, hint.as_ref())?,
            None => self.none(at),
        };
        let value = self.return_value(value, at)?;
        self.env.set(VALUE, Binding::Is(Sugar::Value(value)));
        // Outside of loops `$exit` alone says that the function has returned.
        Ok(self.leave(if self.loops.is_empty() { &[EXIT] } else { &[EXIT, BREAK, RETURN] }))
    }

    fn loop_exit(&mut self, word: &str, flags: &[&str], at: Span) -> Typed<Step> {
        if self.loops.is_empty() {
            return Err(error("exit-outside-loop", format!("`{word}` stands outside of a loop, or in one that is unrolled"), at));
        }
        Ok(self.leave(flags))
    }

    fn if_statement(&mut self, test: &Expr, arms: [&[Stmt]; 2], after: &Rest<'_>, at: Span) -> Typed<Step> {
        let condition = self.condition(test)?;
        let Some(known) = condition.known else {
            return self.if_branches(condition.value, &condition.refine, arms, after, at);
        };
        let taken = arms[usize::from(!known)];
        let refinements = if known { &condition.refine.when_true } else { &condition.refine.when_false };
        self.refine(refinements, at);
        self.run(&Rest::of(taken)).map(Step::Own)
    }

    /// `assert`: an `if` that raises.
    fn assert(&mut self, test: &Expr, message: Option<&Expr>, at: Span) -> Typed<Flow> {
        let condition = self.condition(test)?;
        match condition.known {
            Some(true) => return Ok(Flow::Next),
            Some(false) => {
                self.assertion_failure(message, at)?;
                return Ok(Flow::Raised);
            }
            None => {}
        }
        let (holds, ()) = self.in_block(|_| Ok(()))?;
        let (fails, ()) = self.in_block(|body| body.assertion_failure(message, at))?;
        self.graph.blocks[fails].diverges = true;
        self.add_if(condition.value, [holds, fails], Vec::new(), at);
        self.refine(&condition.refine.when_true, at);
        Ok(Flow::Next)
    }

    fn assertion_failure(&mut self, message: Option<&Expr>, at: Span) -> Typed<()> {
        let prefix = self.str("AssertionError: ", at);
        let message = match message {
            Some(message) => {
                let text = self.value(message)?;
                let text = self.text_of(text, message.span)?;
                self.table_op("aten::add", &[prefix, text], at)?
            }
            None => prefix,
        };
        self.emit_raise("", message, at);
        Ok(())
    }

    /// `raise E(message)`: the text is PyTorch's, the class name its qualified name.
    fn raise(&mut self, exception: Option<&Expr>, at: Span) -> Typed<()> {
        let Some(exception) = exception else {
            return Err(error("bare-raise", "`raise` needs an exception here", at));
        };
        match self.sugar(exception)? {
            Sugar::Exception(class, message) => {
                let message = match message {
                    Some(message) => message,
                    None => self.str("", at),
                };
                self.emit_raise(&format!("builtins.{class}"), message, at);
                Ok(())
            }
            Sugar::Class(class) => {
                let (name, message) = (self.session.program.classes[class].name.clone(), self.str("", at));
                self.emit_raise(&name, message, at);
                Ok(())
            }
            Sugar::Special(name, None) if crate::builtins::is_exception(name) => {
                let message = self.str("", at);
                self.emit_raise(&format!("builtins.{name}"), message, at);
                Ok(())
            }
            _ => Err(error("bad-raise", "what is raised here is not an exception", at)),
        }
    }

    /// `with`: calls `__enter__` and `__exit__`; nothing catches exceptions, so an `__exit__` after one is not seen.
    fn with(&mut self, items: &[(Expr, Option<Expr>)], body: &[Stmt], at: Span) -> Typed<Flow> {
        let mut entered = Vec::new();
        for (item, name) in items {
            let context = match self.sugar(item)? {
                Sugar::NoContext => {
                    if let Some(name) = name {
                        let none = self.none(at);
                        self.assign(name, Sugar::Value(none))?;
                    }
                    continue;
                }
                other => self.value_of(other, item.span)?,
            };
            let Some(value) = self.call_magic(context, "__enter__", &[], item.span)? else {
                let ty = self.show(&self.ty(context).clone());
                return Err(error("not-a-context", format!("a value of type `{ty}` cannot be used in `with`"), item.span));
            };
            if let Some(name) = name {
                self.assign(name, Sugar::Value(value))?;
            }
            entered.push((context, item.span));
        }
        let flow = self.run(&Rest::of(body))?;
        if flow == Flow::Raised {
            return Ok(flow);
        }
        for (context, span) in entered.into_iter().rev() {
            let nothing = [self.none(span), self.none(span), self.none(span)];
            self.call_magic(context, "__exit__", &nothing, span)?;
        }
        Ok(flow)
    }

    fn delete(&mut self, target: &Expr) -> Typed<()> {
        match &target.kind {
            ExprKind::Name(name) => {
                self.env.set(name, Binding::Unusable(format!("`{name}` has been deleted")));
                Ok(())
            }
            ExprKind::Subscript { value, index } => {
                let (object, index) = (self.value(value)?, self.value(index)?);
                if self.call_magic(object, "__delitem__", &[index], target.span)?.is_none() {
                    self.table_op("aten::Delete", &[object, index], target.span)?;
                }
                Ok(())
            }
            ExprKind::Tuple(elems) | ExprKind::List(elems) => elems.iter().try_for_each(|e| self.delete(e)),
            _ => Err(error("bad-delete", "this cannot be deleted", target.span)),
        }
    }

    /// A message as a string.
    pub fn text_of(&mut self, value: Value, at: Span) -> Typed<Value> {
        if *self.ty(value) == Type::Str { Ok(value) } else { self.table_op("aten::str", &[value], at) }
    }
}
