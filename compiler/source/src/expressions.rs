//! Expressions.

use crate::evaluator::{Eval, Evaluator, Frame, unsupported};
use crate::value::{Lambda, Value};
use kiln_frontend::ast::{Expr, ExprKind, FStringPart, UnaryOp};
use kiln_support::Span;
use std::rc::Rc;

/// Containers inside one another that a text shows.
const MAX_REPR_DEPTH: usize = 20;

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
                if let [(op, right)] = rest.as_slice() {
                    let right = self.expr(right, frame)?;
                    return self.comparison(*op, left, right, at);
                }
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
            ExprKind::Lambda { params, body } => {
                self.refuse_late_binding(params, body, frame, at)?;
                Value::Lambda(Rc::new(Lambda {
                    unit: frame.unit.clone(),
                    params: params.clone(),
                    body: (**body).clone(),
                    vars: frame.vars.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
                }))
            }
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
        frame.note_loop(target);
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

    /// A lambda sees the last value of a loop's variable in Python, and would see the present one here.
    fn refuse_late_binding(&self, params: &[kiln_frontend::ast::Param], body: &Expr, frame: &Frame, at: Span) -> Eval<()> {
        let is_own = |name: &str| params.iter().any(|param| param.name == name);
        let late = names_in(body).into_iter().find(|name| !is_own(name) && frame.loop_names.contains(name));
        let has_default = params.iter().any(|param| param.default.is_some());
        match late {
            Some(name) => Err(unsupported(format!("a lambda that reads the loop's variable `{name}` is not supported"), at)),
            None if has_default => Err(unsupported("a default value in a lambda is not supported", at)),
            None => Ok(()),
        }
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
                FStringPart::Formatted(value, spec) => {
                    let at = value.span;
                    let value = self.expr(value, frame)?;
                    let text = crate::format::formatted(&value, &self.text(&value), spec);
                    let text =
                        text.ok_or_else(|| unsupported(format!("the format `{spec}` is not supported in a constructor"), at))?;
                    out.push_str(&text);
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
        self.repr_at(value, 0)
    }

    fn repr_at(&self, value: &Value, depth: usize) -> String {
        if depth > MAX_REPR_DEPTH {
            return "...".into();
        }
        let all = |items: &[Value]| items.iter().map(|item| self.repr_at(item, depth + 1)).collect::<Vec<_>>().join(", ");
        match value {
            Value::None => "None".into(),
            Value::Bool(b) => if *b { "True" } else { "False" }.into(),
            Value::Int(i) => i.to_string(),
            Value::Float(x) => crate::format::float(*x),
            Value::Str(text) => format!("'{text}'"),
            Value::Device(text) => format!("device(type='{text}')"),
            Value::List(items) => format!("[{}]", all(&items.borrow())),
            Value::Tuple(items) if items.len() == 1 => format!("({},)", all(items)),
            Value::Tuple(items) => format!("({})", all(items)),
            Value::Dict(items) => {
                let items = items.borrow();
                let texts = items
                    .iter()
                    .map(|(key, value)| format!("{}: {}", self.repr_at(key, depth + 1), self.repr_at(value, depth + 1)));
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
            Value::Table(object, table) => Ok(object.table(*table).into_iter().map(|(name, _)| Value::str(name)).collect()),
            Value::Str(text) => Ok(text.chars().map(|c| Value::str(c.to_string())).collect()),
            Value::Object(object) if object.class.kind == crate::value::ClassKind::NamedTuple => {
                Ok(object.attributes.borrow().iter().map(|(_, value)| value.clone()).collect())
            }
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
                let row = |this: &mut Self, row: i64| {
                    let item = this.tensor_code(&format!("return t0[{row}]"), std::slice::from_ref(value), at)?;
                    Ok(crate::access::shared(item, value))
                };
                (0..rows).map(|at| row(self, at)).collect()
            }
            other => Err(unsupported(format!("a value of type {} cannot be iterated over", other.type_name()), at)),
        }
    }
}

/// The names that an expression reads.
fn names_in(expr: &Expr) -> Vec<String> {
    let mut out = Vec::new();
    collect_names(expr, &mut out);
    out
}

fn collect_names(expr: &Expr, out: &mut Vec<String>) {
    let mut all = |items: &[&Expr]| items.iter().for_each(|item| collect_names(item, out));
    match &expr.kind {
        ExprKind::Name(name) => out.push(name.clone()),
        ExprKind::Attribute { value, .. } | ExprKind::Starred(value) => all(&[value]),
        ExprKind::Subscript { value, index } => all(&[value, index]),
        ExprKind::Call { func, args, keywords } => {
            all(&[func]);
            all(&args.iter().collect::<Vec<_>>());
            all(&keywords.iter().map(|(_, value)| value).collect::<Vec<_>>());
        }
        ExprKind::Binary { left, right, .. } => all(&[left, right]),
        ExprKind::Unary { operand, .. } => all(&[operand]),
        ExprKind::BoolOp { values, .. } | ExprKind::List(values) | ExprKind::Tuple(values) => {
            all(&values.iter().collect::<Vec<_>>())
        }
        ExprKind::Compare { left, rest } => {
            all(&[left]);
            all(&rest.iter().map(|(_, value)| value).collect::<Vec<_>>());
        }
        ExprKind::IfElse { test, body, orelse } => all(&[test, body, orelse]),
        ExprKind::Lambda { body, .. } => all(&[body]),
        _ => {}
    }
}
