//! Statements.

use crate::evaluator::{Eval, Evaluator, Frame, error, unsupported};
use crate::value::Value;
use kiln_frontend::ast::{Expr, ExprKind, Stmt, StmtKind};
use kiln_support::Span;

/// How a statement ends.
pub enum Flow {
    Next,
    Break,
    Continue,
    Return(Value),
}

impl Evaluator<'_> {
    /// Runs statements.
    pub fn run(&mut self, body: &[Stmt], frame: &mut Frame) -> Eval<Flow> {
        for stmt in body {
            match self.statement(stmt, frame)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, stmt: &Stmt, frame: &mut Frame) -> Eval<Flow> {
        let at = stmt.span;
        self.step(at)?;
        match &stmt.kind {
            StmtKind::Assign { targets, annotation, value } => {
                let Some(value) = value else { return Ok(Flow::Next) };
                let value_expr = value;
                let value = self.expr(value, frame)?;
                for target in targets {
                    self.note_annotation(target, annotation.as_ref().or(annotated_type(value_expr)), frame)?;
                    self.assign(target, value.clone(), frame)?;
                }
            }
            StmtKind::AugAssign { target, op, value } => {
                let old = self.expr(target, frame)?;
                let value = self.expr(value, frame)?;
                let new = self.augmented(*op, old, value, at)?;
                self.assign(target, new, frame)?;
            }
            StmtKind::Expr(expr) => drop(self.expr(expr, frame)?),
            StmtKind::Return(value) => {
                return Ok(Flow::Return(match value {
                    Some(value) => self.expr(value, frame)?,
                    None => Value::None,
                }));
            }
            StmtKind::If { test, body, orelse } => {
                let chosen = if self.condition(test, frame)? { body } else { orelse };
                return self.run(chosen, frame);
            }
            StmtKind::While { test, body } => {
                while self.condition(test, frame)? {
                    self.step(at)?;
                    match self.run(body, frame)? {
                        Flow::Break => break,
                        Flow::Next | Flow::Continue => {}
                        left => return Ok(left),
                    }
                }
            }
            StmtKind::For { target, iter, body } => {
                let iterated = self.expr(iter, frame)?;
                frame.note_loop(target);
                for item in self.items(&iterated, iter.span)? {
                    self.assign(target, item, frame)?;
                    match self.run(body, frame)? {
                        Flow::Break => break,
                        Flow::Next | Flow::Continue => {}
                        left => return Ok(left),
                    }
                }
            }
            // What a `with` in a constructor does (`torch.no_grad()`) means nothing here.
            StmtKind::With { items, body } => {
                for (item, _) in items {
                    self.expr(item, frame)?;
                }
                return self.run(body, frame);
            }
            StmtKind::Raise(exception) => return Err(self.raised(exception.as_ref(), frame, at)),
            StmtKind::Assert { test, message } => {
                if !self.condition(test, frame)? {
                    let text = match message {
                        Some(message) => {
                            let message = self.expr(message, frame)?;
                            self.text(&message)
                        }
                        None => "an assertion does not hold".into(),
                    };
                    return Err(error("raised", text, at));
                }
            }
            StmtKind::Delete(targets) => targets.iter().try_for_each(|target| self.delete(target, frame))?,
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::Pass => {}
            StmtKind::Foreign(foreign) => return Err(Box::new(foreign.error(at))),
        }
        Ok(Flow::Next)
    }

    /// The error of a `raise`.
    fn raised(&mut self, exception: Option<&Expr>, frame: &mut Frame, at: Span) -> Box<kiln_support::Diagnostic> {
        let text = match exception.map(|e| &e.kind) {
            Some(ExprKind::Call { args, .. }) => match args.first().map(|arg| self.expr(arg, frame)) {
                Some(Ok(message)) => self.text(&message),
                Some(Err(error)) => return error,
                None => String::new(),
            },
            _ => String::new(),
        };
        let class = exception.and_then(|e| match &e.kind {
            ExprKind::Call { func, .. } => dotted(func),
            _ => dotted(e),
        });
        let class = class.unwrap_or_else(|| "an exception".into());
        error("raised", if text.is_empty() { format!("the constructor raises {class}") } else { text }, at)
    }

    fn delete(&mut self, target: &Expr, frame: &mut Frame) -> Eval<()> {
        match &target.kind {
            ExprKind::Name(name) => {
                frame.vars.remove(name);
                Ok(())
            }
            ExprKind::Attribute { value, name } => match self.expr(value, frame)? {
                Value::Object(object) => {
                    object.remove(name);
                    Ok(())
                }
                _ => Err(unsupported("this cannot be deleted", target.span)),
            },
            ExprKind::Subscript { value, index } => {
                let container = self.expr(value, frame)?;
                let index = match &index.kind {
                    ExprKind::Slice { lower, upper, step } => self.slice_value([lower, upper, step], frame, target.span)?,
                    _ => self.expr(index, frame)?,
                };
                self.delete_item(&container, &index, target.span)
            }
            _ => Err(unsupported("this cannot be deleted", target.span)),
        }
    }

    /// Assigns to a target.
    pub fn assign(&mut self, target: &Expr, value: Value, frame: &mut Frame) -> Eval<()> {
        match &target.kind {
            ExprKind::Name(name) => {
                frame.vars.insert(name.clone(), value);
                Ok(())
            }
            ExprKind::Attribute { value: object, name } => {
                let object = self.expr(object, frame)?;
                self.set_attribute(&object, name, value, target.span)
            }
            ExprKind::Subscript { value: container, index } => self.set_item(container, index, value, frame, target.span),
            ExprKind::Tuple(targets) | ExprKind::List(targets) => self.unpack(targets, &value, frame, target.span),
            _ => Err(unsupported("this assignment is not supported in a constructor", target.span)),
        }
    }

    fn unpack(&mut self, targets: &[Expr], value: &Value, frame: &mut Frame, at: Span) -> Eval<()> {
        let items = self.items(value, at)?;
        let starred = targets.iter().position(|t| matches!(t.kind, ExprKind::Starred(_)));
        let fits = if starred.is_some() { items.len() + 1 >= targets.len() } else { items.len() == targets.len() };
        if !fits {
            return Err(error("unpack", format!("{} values for {} names", items.len(), targets.len()), at));
        }
        let more = items.len() + 1 - targets.len().min(items.len() + 1);
        let mut next = items.into_iter();
        for target in targets {
            match &target.kind {
                ExprKind::Starred(inner) => {
                    let rest = next.by_ref().take(more).collect();
                    self.assign(inner, Value::list(rest), frame)?;
                }
                _ => {
                    let item = next.next().expect("the numbers were compared");
                    self.assign(target, item, frame)?;
                }
            }
        }
        Ok(())
    }

    /// Remembers the type that an assignment to an attribute writes down.
    fn note_annotation(&mut self, target: &Expr, annotation: Option<&Expr>, frame: &mut Frame) -> Eval<()> {
        let (Some(annotation), ExprKind::Attribute { value, name }) = (annotation, &target.kind) else { return Ok(()) };
        if let Value::Object(object) = self.expr(value, frame)? {
            let mut annotations = object.annotations.borrow_mut();
            annotations.retain(|(own, ..)| own != name);
            annotations.push((name.clone(), frame.unit.clone(), annotation.clone()));
        }
        Ok(())
    }

    /// Whether an expression holds.
    pub fn condition(&mut self, test: &Expr, frame: &mut Frame) -> Eval<bool> {
        let value = self.expr(test, frame)?;
        self.truth(&value, test.span)
    }

    /// Whether a value counts as true.
    pub fn truth(&mut self, value: &Value, at: Span) -> Eval<bool> {
        if let Some(truth) = value.truth() {
            return Ok(truth);
        }
        match value {
            Value::Object(object) => match self.class_attribute(&object.class, "__len__", at)? {
                Some(_) => Ok(self.length(value, at)? != 0),
                None => Ok(true),
            },
            _ => Err(error("source-init", "whether this tensor is true is not known while the model is constructed", at)),
        }
    }
}

/// The type in `torch.jit.annotate(T, value)` and `torch.jit.Attribute(value, T)`.
fn annotated_type(value: &Expr) -> Option<&Expr> {
    let ExprKind::Call { func, args, .. } = &value.kind else { return None };
    match (dotted(func)?.as_str(), args.as_slice()) {
        ("torch.jit.annotate" | "annotate", [ty, _]) | ("torch.jit.Attribute" | "jit.Attribute", [_, ty]) => Some(ty),
        _ => None,
    }
}

/// `a.b.c` of nested attributes.
pub fn dotted(expr: &Expr) -> Option<String> {
    expr.dotted()
}
