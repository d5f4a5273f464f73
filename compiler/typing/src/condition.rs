//! Conditions: their value, what they say about the types of names, and whether they are known now.
//!
//! `x is None`, `isinstance(x, T)` and their combinations with `and`, `or`, `not` refine an Optional, Union or
//! Any. A condition whose outcome the types settle takes one branch only, and the other is not typed at all
//! (PyTorch's `emitCondExpr`).

use crate::body::Body;
use crate::env::Binding;
use crate::error;
use crate::sugar::{Sugar, Typed};
use kiln_frontend::ast::{CompareOp, Expr, ExprKind, UnaryOp};
use kiln_graph::{Literal, Op, Type, Value};
use kiln_support::Span;

/// Names and the types they have when a condition holds, or does not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refinements {
    pub when_true: Vec<(String, Type)>,
    pub when_false: Vec<(String, Type)>,
}

impl Refinements {
    fn not(self) -> Refinements {
        Refinements { when_true: self.when_false, when_false: self.when_true }
    }

    /// Both hold: what each says holds; that it fails says nothing, except where both say the same.
    fn and(self, other: Refinements, program: &kiln_graph::Program) -> Refinements {
        let mut when_true = self.when_true;
        for (name, ty) in other.when_true {
            when_true.retain(|(n, _)| *n != name);
            when_true.push((name, ty));
        }
        let when_false = self.when_false.iter().filter_map(|(name, ty)| {
            let (_, other) = other.when_false.iter().find(|(n, _)| n == name)?;
            Some((name.clone(), ty.unify(other, program, true)?))
        });
        Refinements { when_true, when_false: when_false.collect() }
    }

    fn or(self, other: Refinements, program: &kiln_graph::Program) -> Refinements {
        self.not().and(other.not(), program).not()
    }
}

/// A typed condition.
pub(crate) struct Condition {
    pub value: Value,
    pub known: Option<bool>,
    pub refine: Refinements,
}

impl Body<'_, '_> {
    /// Types a condition.
    pub fn condition(&mut self, expr: &Expr) -> Typed<Condition> {
        match &expr.kind {
            ExprKind::Unary { op: UnaryOp::Not, operand } => {
                let inner = self.condition(operand)?;
                let value = match inner.known {
                    Some(known) => self.bool(!known, expr.span),
                    None => self.table_op("aten::__not__", &[inner.value], expr.span)?,
                };
                Ok(Condition { value, known: inner.known.map(|k| !k), refine: inner.refine.not() })
            }
            ExprKind::BoolOp { is_and, values } => self.short_circuit(*is_and, values, expr.span),
            ExprKind::Compare { left, rest } if rest.len() == 1 && matches!(rest[0].0, CompareOp::Is | CompareOp::IsNot) => {
                self.none_test(left, rest[0].0 == CompareOp::Is, &rest[0].1, expr)
            }
            ExprKind::Call { func, args, .. } if args.len() == 2 && self.names_special(func, "isinstance") => {
                self.instance_test(&args[0], &args[1], expr.span)
            }
            _ => self.plain_condition(expr),
        }
    }

    fn plain_condition(&mut self, expr: &Expr) -> Typed<Condition> {
        let value = self.value(expr)?;
        let value = self.truth(value, expr.span)?;
        let known = match self.graph.as_const(value) {
            Some(Literal::Bool(known)) => Some(*known),
            _ => None,
        };
        Ok(Condition { value, known, refine: Refinements::default() })
    }

    /// A value as a bool (`emitToBool`).
    pub fn truth(&mut self, value: Value, at: Span) -> Typed<Value> {
        match self.ty(value) {
            Type::Bool => Ok(value),
            Type::Int | Type::Float | Type::Tensor(_) => self.table_op("aten::Bool", &[value], at),
            Type::Class(_) => match self.call_magic(value, "__bool__", &[], at)? {
                Some(value) => Ok(value),
                None => Err(self.not_bool(value, at)),
            },
            _ => Err(self.not_bool(value, at)),
        }
    }

    fn not_bool(&self, value: Value, at: Span) -> Box<kiln_support::Diagnostic> {
        let ty = self.show(self.ty(value));
        error("not-a-bool", format!("a value of type `{ty}` cannot be used as a condition"), at)
    }

    /// `a and b and ...`, `a or b or ...`: the later operands are typed with what the earlier ones say.
    fn short_circuit(&mut self, is_and: bool, values: &[Expr], at: Span) -> Typed<Condition> {
        let (first, rest) = values.split_first().expect("a boolean operation has operands");
        let left = self.condition(first)?;
        if rest.is_empty() {
            return Ok(left);
        }
        if left.known == Some(!is_and) {
            return Ok(left);
        }
        let going_on = if is_and { left.refine.when_true.clone() } else { left.refine.when_false.clone() };
        if left.known == Some(is_and) {
            self.env.push();
            self.refine(&going_on, at);
            let right = self.short_circuit(is_and, rest, at);
            self.env.pop();
            return right;
        }
        self.env.push();
        let right = self.in_block(|body| {
            body.refine(&going_on, at);
            let right = body.short_circuit(is_and, rest, at)?;
            let block = body.block;
            body.graph.blocks[block].yields = vec![right.value];
            Ok(right)
        });
        self.env.pop();
        let (more, right) = right?;
        let (stop, ()) = self.in_block(|body| {
            let value = body.bool(!is_and, at);
            let block = body.block;
            body.graph.blocks[block].yields = vec![value];
            Ok(())
        })?;
        let blocks = if is_and { [more, stop] } else { [stop, more] };
        let node = self.add_if(left.value, blocks, vec![Type::Bool], at);
        let program = &*self.session.program;
        let refine = if is_and { left.refine.and(right.refine, program) } else { left.refine.or(right.refine, program) };
        // `x and False` is false whatever x is.
        let known = right.known.filter(|k| *k != is_and);
        Ok(Condition { value: self.graph.result(node), known, refine })
    }

    /// `a is None`, `a is not None`.
    fn none_test(&mut self, left: &Expr, is: bool, right: &Expr, whole: &Expr) -> Typed<Condition> {
        let (a, b) = (self.value(left)?, self.value(right)?);
        let is_none = |body: &Self, v: Value| *body.ty(v) == Type::None;
        let (tested, expr) = match (is_none(self, a), is_none(self, b)) {
            (_, true) => (a, left),
            (true, false) => (b, right),
            (false, false) => return self.identity_test(a, b, is, whole.span),
        };
        let ty = self.ty(tested).clone();
        let can_be_none = ty.is_optional() || matches!(ty, Type::None | Type::Any);
        let known = match ty {
            Type::None => Some(is),
            _ if !can_be_none => Some(!is),
            _ => None,
        };
        if let Some(known) = known {
            return Ok(Condition { value: self.bool(known, whole.span), known: Some(known), refine: Refinements::default() });
        }
        let name = if is { "aten::__is__" } else { "aten::__isnot__" };
        let value = self.table_op(name, &[a, b], whole.span)?;
        let mut refine = Refinements::default();
        if let ExprKind::Name(name) = &expr.kind {
            if ty != Type::Any {
                refine.when_false.push((name.clone(), ty.without_none()));
            }
            refine.when_true.push((name.clone(), Type::None));
        }
        Ok(Condition { value, known: None, refine: if is { refine } else { refine.not() } })
    }

    fn identity_test(&mut self, a: Value, b: Value, is: bool, at: Span) -> Typed<Condition> {
        let name = if is { "aten::__is__" } else { "aten::__isnot__" };
        let value = self.table_op(name, &[a, b], at)?;
        Ok(Condition { value, known: None, refine: Refinements::default() })
    }

    /// `isinstance(x, T)` and `isinstance(x, (T, U))`.
    pub fn instance_test(&mut self, tested: &Expr, types: &Expr, at: Span) -> Typed<Condition> {
        let value = self.value(tested)?;
        let mut wanted = Vec::new();
        self.tested_types(types, &mut wanted)?;
        let ty = self.ty(value).clone();
        let members = ty.members();
        // A named type without arguments (`list`, `dict`, `tuple`) stands for any of its kind.
        let matches = |m: &Type| wanted.iter().any(|w| w.covers(m, self.session.program));
        let yes: Vec<Type> = members.iter().filter(|m| matches(m)).cloned().collect();
        let no: Vec<Type> = members.iter().filter(|m| !matches(m)).cloned().collect();
        let open = ty == Type::Any || members.iter().any(|m| matches!(m, Type::Any | Type::Number)) && yes.len() < members.len();
        if !open && (yes.is_empty() || no.is_empty()) {
            let known = no.is_empty();
            return Ok(Condition { value: self.bool(known, at), known: Some(known), refine: Refinements::default() });
        }
        let concrete: Vec<Type> = wanted.iter().filter_map(Tested::as_type).collect();
        let tested_types = if concrete.len() == wanted.len() { concrete.clone() } else { yes.clone() };
        let result = self.add(Op::IsInstance(tested_types), vec![value], Type::Bool, at);
        let mut refine = Refinements::default();
        if let ExprKind::Name(name) = &tested.kind {
            let narrowed = if open && yes.is_empty() { concrete } else { yes };
            if !narrowed.is_empty() {
                refine.when_true.push((name.clone(), Type::union(narrowed)));
            }
            if !open && !no.is_empty() {
                refine.when_false.push((name.clone(), Type::union(no)));
            }
        }
        Ok(Condition { value: result, known: None, refine })
    }

    fn tested_types(&mut self, expr: &Expr, out: &mut Vec<Tested>) -> Typed<()> {
        if let ExprKind::Tuple(elems) | ExprKind::List(elems) = &expr.kind {
            return elems.iter().try_for_each(|e| self.tested_types(e, out));
        }
        let name = crate::annotation::dotted(expr).unwrap_or_default();
        let tested = match name.rsplit('.').next().unwrap_or_default() {
            "list" | "List" => Tested::AnyList,
            "dict" | "Dict" => Tested::AnyDict,
            "tuple" | "Tuple" => Tested::AnyTuple,
            _ => {
                let unit = self.unit.clone();
                Tested::Type(self.session.type_of(expr, &unit)?)
            }
        };
        out.push(tested);
        Ok(())
    }

    /// Gives names the narrower types that a condition says they have.
    pub fn refine(&mut self, types: &[(String, Type)], at: Span) {
        for (name, ty) in types {
            if let Some(value) = self.env.value(name)
                && self.ty(value) != ty
            {
                let narrowed = self.narrow(value, ty, at);
                self.graph.values[narrowed].name = Some(name.clone());
                self.env.set(name, Binding::Is(Sugar::Value(narrowed)));
            }
        }
    }
}

/// What `isinstance` asks for.
enum Tested {
    Type(Type),
    AnyList,
    AnyDict,
    AnyTuple,
}

impl Tested {
    fn covers(&self, ty: &Type, program: &kiln_graph::Program) -> bool {
        match (self, ty) {
            (Tested::Type(wanted), _) => ty.is_subtype(wanted, program),
            (Tested::AnyList, Type::List(_)) | (Tested::AnyDict, Type::Dict(_)) | (Tested::AnyTuple, Type::Tuple(_)) => true,
            _ => false,
        }
    }

    fn as_type(&self) -> Option<Type> {
        match self {
            Tested::Type(ty) => Some(ty.clone()),
            _ => None,
        }
    }
}
