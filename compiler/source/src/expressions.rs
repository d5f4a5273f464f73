//! Expressions.

use crate::evaluator::{Eval, Evaluator, Frame, unsupported};
use crate::value::{Lambda, Value};
use kiln_frontend::ast::{Expr, ExprKind, FStringPart, UnaryOp};
use kiln_support::Span;
use std::rc::Rc;

impl Evaluator<'_> {
    /// The value of an expression.
    pub fn expr(&mut self, expr: &Expr, frame: &mut Frame) -> Eval<Value> {
        let at = expr.span;
        self.step(at)?;
        Ok(match &expr.kind {
            ExprKind::None | ExprKind::Ellipsis => Value::None,
            ExprKind::Bool(b) => Value::Bool(*b),
            ExprKind::Int(i) => Value::Int(*i),
            ExprKind::Float(x) => Value::Float(*x),
            ExprKind::Imaginary(_) => return Err(unsupported("a complex number in a constructor is not supported", at)),
            ExprKind::Str(text) => Value::str(text),
            ExprKind::FString(parts) => self.f_string(parts, frame)?,
            ExprKind::Name(name) => self.name(name, frame, at)?,
            ExprKind::Attribute { value, name } => {
                let object = self.expr(value, frame)?;
                self.attribute(&object, name, at)?
            }
            ExprKind::Subscript { value, index } => {
                let container = self.expr(value, frame)?;
                self.item(&container, index, frame, at)?
            }
            ExprKind::Call { func, args, keywords } => self.call_expr(func, args, keywords, frame, at)?,
            ExprKind::Binary { op, left, right } => {
                let (left, right) = (self.expr(left, frame)?, self.expr(right, frame)?);
                self.binary(*op, left, right, at)?
            }
            ExprKind::Unary { op: UnaryOp::Not, operand } => Value::Bool(!self.condition(operand, frame)?),
            ExprKind::Unary { op, operand } => {
                let operand = self.expr(operand, frame)?;
                self.unary(*op, operand, at)?
            }
            ExprKind::BoolOp { is_and, values } => self.bool_op(*is_and, values, frame)?,
            ExprKind::Compare { left, rest } => {
                let mut left = self.expr(left, frame)?;
                for (op, right) in rest {
                    let right = self.expr(right, frame)?;
                    if !self.compare(*op, &left, &right, at)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Value::Bool(true)
            }
            ExprKind::IfElse { test, body, orelse } => {
                let chosen = if self.condition(test, frame)? { body } else { orelse };
                self.expr(chosen, frame)?
            }
            ExprKind::List(elems) => Value::list(self.spread(elems, frame)?),
            ExprKind::Tuple(elems) => Value::tuple(self.spread(elems, frame)?),
            ExprKind::Dict(items) => {
                let mut out: Vec<(Value, Value)> = Vec::new();
                for (key, value) in items {
                    if let ExprKind::Starred(_) = key.kind {
                        let Value::Dict(more) = self.expr(value, frame)? else {
                            return Err(unsupported("`**` takes a dict", value.span));
                        };
                        let more = more.borrow().clone();
                        more.into_iter().for_each(|(key, value)| crate::containers::dict_set(&mut out, key, value));
                        continue;
                    }
                    let (key, value) = (self.expr(key, frame)?, self.expr(value, frame)?);
                    crate::containers::dict_set(&mut out, key, value);
                }
                Value::dict(out)
            }
            ExprKind::ListComp { element, target, iter, conditions } => {
                let mut out = Vec::new();
                self.comprehension(target, iter, conditions, frame, |evaluator, frame| {
                    out.push(evaluator.expr(element, frame)?);
                    Ok(())
                })?;
                Value::list(out)
            }
            ExprKind::DictComp { key, value, target, iter, conditions } => {
                let mut out = Vec::new();
                self.comprehension(target, iter, conditions, frame, |evaluator, frame| {
                    let (key, value) = (evaluator.expr(key, frame)?, evaluator.expr(value, frame)?);
                    crate::containers::dict_set(&mut out, key, value);
                    Ok(())
                })?;
                Value::dict(out)
            }
            ExprKind::Lambda { params, body } => Value::Lambda(Rc::new(Lambda {
                unit: frame.unit.clone(),
                params: params.clone(),
                body: (**body).clone(),
                vars: frame.vars.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            })),
            ExprKind::Slice { .. } | ExprKind::Starred(_) => return Err(unsupported("this cannot stand here", at)),
            ExprKind::Foreign(foreign) => return Err(Box::new(foreign.error(at))),
        })
    }

    /// Elements, with `*value` spread out.
    pub fn spread(&mut self, elems: &[Expr], frame: &mut Frame) -> Eval<Vec<Value>> {
        let mut out = Vec::with_capacity(elems.len());
        for elem in elems {
            match &elem.kind {
                ExprKind::Starred(inner) => {
                    let value = self.expr(inner, frame)?;
                    out.extend(self.items(&value, elem.span)?);
                }
                _ => out.push(self.expr(elem, frame)?),
            }
        }
        Ok(out)
    }

    fn comprehension(
        &mut self,
        target: &Expr,
        iter: &Expr,
        conditions: &[Expr],
        frame: &mut Frame,
        mut element: impl FnMut(&mut Self, &mut Frame) -> Eval<()>,
    ) -> Eval<()> {
        let iterated = self.expr(iter, frame)?;
        // Its variables are its own.
        let outer = frame.vars.clone();
        for item in self.items(&iterated, iter.span)? {
            self.assign(target, item, frame)?;
            let mut holds = true;
            for condition in conditions {
                holds = holds && self.condition(condition, frame)?;
            }
            if holds {
                element(self, frame)?;
            }
        }
        frame.vars = outer;
        Ok(())
    }

    fn bool_op(&mut self, is_and: bool, values: &[Expr], frame: &mut Frame) -> Eval<Value> {
        let (last, first) = values.split_last().expect("an `and` has operands");
        for value in first {
            let at = value.span;
            let value = self.expr(value, frame)?;
            if self.truth(&value, at)? != is_and {
                return Ok(value);
            }
        }
        self.expr(last, frame)
    }

    fn f_string(&mut self, parts: &[FStringPart], frame: &mut Frame) -> Eval<Value> {
        let mut out = String::new();
        for part in parts {
            match part {
                FStringPart::Text(text) => out.push_str(text),
                FStringPart::Value(value) => {
                    let value = self.expr(value, frame)?;
                    out.push_str(&self.text(&value));
                }
            }
        }
        Ok(Value::str(out))
    }

    /// A value as `str` gives it.
    pub fn text(&self, value: &Value) -> String {
        match value {
            Value::Str(text) | Value::Device(text) => text.to_string(),
            other => self.repr(other),
        }
    }

    /// A value as `repr` gives it.
    pub fn repr(&self, value: &Value) -> String {
        let all = |items: &[Value]| items.iter().map(|item| self.repr(item)).collect::<Vec<_>>().join(", ");
        match value {
            Value::None => "None".into(),
            Value::Bool(b) => if *b { "True" } else { "False" }.into(),
            Value::Int(i) => i.to_string(),
            Value::Float(x) if x.fract() == 0.0 && x.abs() < 1e16 => format!("{x:.1}"),
            Value::Float(x) => x.to_string(),
            Value::Str(text) => format!("'{text}'"),
            Value::Device(text) => format!("device(type='{text}')"),
            Value::List(items) => format!("[{}]", all(&items.borrow())),
            Value::Tuple(items) if items.len() == 1 => format!("({},)", all(items)),
            Value::Tuple(items) => format!("({})", all(items)),
            Value::Dict(items) => {
                let items = items.borrow();
                let texts = items.iter().map(|(key, value)| format!("{}: {}", self.repr(key), self.repr(value)));
                format!("{{{}}}", texts.collect::<Vec<_>>().join(", "))
            }
            Value::Path(path) => path.to_string(),
            other => format!("<{}>", other.type_name()),
        }
    }

    /// The items of something iterable.
    pub fn items(&mut self, value: &Value, at: Span) -> Eval<Vec<Value>> {
        match value {
            Value::List(items) => Ok(items.borrow().clone()),
            Value::Tuple(items) => Ok(items.to_vec()),
            Value::Dict(items) => Ok(items.borrow().iter().map(|(key, _)| key.clone()).collect()),
            Value::Str(text) => Ok(text.chars().map(|c| Value::str(c.to_string())).collect()),
            Value::Object(object) => match self.class_attribute(&object.class, "__iter__", at)? {
                Some(iter) => {
                    let bound = self.bind(iter, value.clone());
                    let items = self.call(bound, Vec::new(), Vec::new(), at)?;
                    self.items(&items, at)
                }
                None => Err(unsupported(format!("an object of class `{}` cannot be iterated over", object.class.name), at)),
            },
            Value::Class(class) => self.members(&class.clone(), at),
            Value::Tensor(tensor) => {
                let rows = tensor.value.borrow().shape().first().copied().unwrap_or(0);
                (0..rows).map(|row| self.tensor_code(&format!("return t0[{row}]"), std::slice::from_ref(value), at)).collect()
            }
            other => Err(unsupported(format!("a value of type {} cannot be iterated over", other.type_name()), at)),
        }
    }
}
