//! Expressions.

use crate::body::Body;
use crate::env::Binding;
use crate::error;
use crate::sugar::{Sugar, Typed};
use kiln_frontend::ast::{CompareOp, Expr, ExprKind, UnaryOp};
use kiln_graph::{ClassKind, Literal, Op, Type, Value};
use kiln_support::Span;

impl Body<'_, '_> {
    /// An expression as a value of the graph.
    pub fn value(&mut self, expr: &Expr) -> Typed<Value> {
        self.value_hinted(expr, None)
    }

    /// An expression as a value, with the type that is asked for where literals are ambiguous.
    pub fn value_hinted(&mut self, expr: &Expr, hint: Option<&Type>) -> Typed<Value> {
        let sugar = self.sugar_hinted(expr, hint)?;
        self.value_of(sugar, expr.span)
    }

    /// The meaning of an expression.
    pub fn sugar(&mut self, expr: &Expr) -> Typed<Sugar> {
        self.sugar_hinted(expr, None)
    }

    /// The meaning of an expression of which a type is asked.
    pub fn sugar_hinted(&mut self, expr: &Expr, hint: Option<&Type>) -> Typed<Sugar> {
        let at = expr.span;
        let value = match &expr.kind {
            ExprKind::Name(name) => return self.name(name, at),
            ExprKind::Attribute { value, name } => return self.attribute_of(value, name, at),
            ExprKind::Call { func, args, keywords } => return self.call(func, args, keywords, hint, at),
            ExprKind::Subscript { value, index } => return self.subscript(value, index, hint, at),
            ExprKind::None => self.none(at),
            ExprKind::Bool(b) => self.bool(*b, at),
            ExprKind::Int(i) => self.int(*i, at),
            ExprKind::Float(v) => self.graph.add_const(self.block, Literal::Float(*v), Type::Float, at),
            ExprKind::Imaginary(v) => self.graph.add_const(self.block, Literal::Complex(0.0, *v), Type::Complex, at),
            ExprKind::Str(s) => self.str(s, at),
            ExprKind::FString(parts) => self.f_string(parts, at)?,
            ExprKind::List(elems) => self.list_literal(elems, hint, at)?,
            ExprKind::Tuple(elems) => return self.tuple_literal(elems, hint, at),
            ExprKind::Dict(items) => self.dict_literal(items, hint, at)?,
            ExprKind::ListComp { element, target, iter, conditions } => {
                return self.list_comprehension(element, target, iter, conditions, hint, at);
            }
            ExprKind::DictComp { key, value, target, iter, conditions } => {
                self.dict_comprehension([key, value], target, iter, conditions, hint, at)?
            }
            ExprKind::Unary { op: UnaryOp::Not, .. } | ExprKind::BoolOp { .. } => self.condition(expr)?.value,
            ExprKind::Unary { op, operand } => {
                let operand = self.value(operand)?;
                self.unary(*op, operand, at)?
            }
            ExprKind::Binary { op, left, right } => {
                let left = self.value_hinted(left, hint)?;
                let right = self.value_hinted(right, hint)?;
                self.binary(*op, left, right, at)?
            }
            ExprKind::Compare { left, rest } => self.comparison(left, rest, expr)?,
            ExprKind::IfElse { test, body, orelse } => return self.ternary(test, body, orelse, hint, at),
            ExprKind::Ellipsis | ExprKind::Slice { .. } | ExprKind::Starred(_) => {
                return Err(error("bad-expression", "this cannot stand here", at));
            }
            ExprKind::Lambda { .. } => {
                let message = "a lambda is not supported in code that a model runs";
                return Err(Box::new(crate::unsupported("unsupported-syntax", message, at).help("define a function")));
            }
            ExprKind::Foreign(foreign) => return Err(Box::new(foreign.error(at))),
        };
        Ok(Sugar::Value(value))
    }

    /// What a name stands for: a variable, else what the unit or every unit knows.
    fn name(&mut self, name: &str, at: Span) -> Typed<Sugar> {
        match self.env.get(name) {
            Some(Binding::Is(sugar)) => return Ok(sugar.clone()),
            Some(Binding::Unusable(why)) if why.is_empty() => return Err(crate::follow_up()),
            Some(Binding::Unusable(why)) => return Err(error("unusable-name", why.clone(), at)),
            Some(Binding::Flag(_)) | None => {}
        }
        if let Some(found) = self.resolve(name, at)? {
            return Ok(found);
        }
        let mut error = error("unknown-name", format!("`{name}` is not defined"), at);
        error.help = kiln_support::suggest::did_you_mean(name, self.env.names());
        Err(error)
    }

    /// A meaning as a value of the graph.
    pub fn value_of(&mut self, sugar: Sugar, at: Span) -> Typed<Value> {
        match sugar {
            Sugar::Value(value) => Ok(value),
            Sugar::Sequence(items) => {
                let items = items.into_iter().map(|i| self.value_of(i, at)).collect::<Typed<Vec<_>>>()?;
                Ok(self.make_tuple(items, at))
            }
            Sugar::Function(func) => {
                self.session.reach(func, at)?;
                Ok(self.add(Op::FunctionRef(func), Vec::new(), Type::Function(func), at))
            }
            Sugar::Iterable(iterable) => self.materialize_iterable(*iterable, at),
            other => Err(error("not-a-value", format!("{} cannot be used as a value", describe(&other)), at)),
        }
    }

    pub fn make_tuple(&mut self, items: Vec<Value>, at: Span) -> Value {
        let ty = Type::tuple(items.iter().map(|&i| self.ty(i).clone()));
        self.add(Op::Tuple(None), items, ty, at)
    }

    fn tuple_literal(&mut self, elems: &[Expr], hint: Option<&Type>, at: Span) -> Typed<Sugar> {
        let hints = match hint.map(Type::without_none) {
            Some(Type::Tuple(types)) if types.len() == elems.len() => types.iter().cloned().map(Some).collect(),
            _ => vec![None; elems.len()],
        };
        let mut items = Vec::new();
        for (elem, hint) in elems.iter().zip(&hints) {
            match &elem.kind {
                ExprKind::Starred(inner) => items.extend(self.spread(inner)?),
                _ => items.push(self.sugar_hinted(elem, hint.as_ref())?),
            }
        }
        if items.iter().all(|i| matches!(i, Sugar::Value(_))) {
            let values = items.into_iter().map(|i| self.value_of(i, at)).collect::<Typed<Vec<_>>>()?;
            return Ok(Sugar::Value(self.make_tuple(values, at)));
        }
        Ok(Sugar::Sequence(items))
    }

    /// The elements of `*value`.
    pub fn spread(&mut self, expr: &Expr) -> Typed<Vec<Sugar>> {
        let sugar = self.sugar(expr)?;
        match self.items(sugar, expr.span)? {
            crate::iterate::Items::Known(items) => Ok(items),
            crate::iterate::Items::Counted(..) => {
                Err(error("unknown-length", "only a tuple can be spread here: the number of elements must be known", expr.span))
            }
        }
    }

    /// `a < b < c`: each operand once, later ones only while the result is open.
    fn comparison(&mut self, left: &Expr, rest: &[(CompareOp, Expr)], whole: &Expr) -> Typed<Value> {
        let at = whole.span;
        if let [(CompareOp::Is | CompareOp::IsNot, _)] = rest {
            return Ok(self.condition(whole)?.value);
        }
        let first = self.value(left)?;
        self.comparison_chain(first, rest, at)
    }

    fn comparison_chain(&mut self, left: Value, rest: &[(CompareOp, Expr)], at: Span) -> Typed<Value> {
        let ((op, right), rest) = rest.split_first().expect("a comparison has operands");
        let right = self.value(right)?;
        let result = self.compare(*op, left, right, at)?;
        if rest.is_empty() {
            return Ok(result);
        }
        let test = self.truth(result, at)?;
        let (more, ()) = self.in_block(|body| {
            let value = body.comparison_chain(right, rest, at)?;
            let value = body.truth(value, at)?;
            let block = body.block;
            body.graph.blocks[block].yields = vec![value];
            Ok(())
        })?;
        let (stop, ()) = self.in_block(|body| {
            let value = body.bool(false, at);
            let block = body.block;
            body.graph.blocks[block].yields = vec![value];
            Ok(())
        })?;
        let node = self.add_if(test, [more, stop], vec![Type::Bool], at);
        Ok(self.graph.result(node))
    }

    /// `body if test else orelse`.
    fn ternary(&mut self, test: &Expr, yes: &Expr, no: &Expr, hint: Option<&Type>, at: Span) -> Typed<Sugar> {
        let condition = self.condition(test)?;
        if let Some(known) = condition.known {
            let (taken, refine) = if known { (yes, &condition.refine.when_true) } else { (no, &condition.refine.when_false) };
            self.env.push();
            self.refine(refine, at);
            let result = self.sugar_hinted(taken, hint);
            self.env.pop();
            return result;
        }
        let mut arms = Vec::new();
        for (expr, refine) in [(yes, &condition.refine.when_true), (no, &condition.refine.when_false)] {
            self.env.push();
            let arm = self.in_block(|body| {
                body.refine(refine, at);
                body.value_hinted(expr, hint)
            });
            self.env.pop();
            arms.push(arm?);
        }
        let types = [self.ty(arms[0].1).clone(), self.ty(arms[1].1).clone()];
        let as_union = matches!(hint, Some(Type::Union(_) | Type::Any));
        let ty = match types[0].unify(&types[1], self.session.program, as_union) {
            Some(ty) => ty,
            None => {
                let (a, b) = (self.show(&types[0]), self.show(&types[1]));
                return Err(error("type-mismatch", format!("one side gives `{a}`, the other `{b}`"), at));
            }
        };
        for (block, value) in &arms {
            let outer = std::mem::replace(&mut self.block, *block);
            let value = self.widen(*value, &ty, at);
            self.block = outer;
            self.graph.blocks[*block].yields = vec![value];
        }
        let node = self.add_if(condition.value, [arms[0].0, arms[1].0], vec![ty], at);
        Ok(Sugar::Value(self.graph.result(node)))
    }

    /// The class of an object with methods: not a named tuple, enum or custom class.
    pub fn object_class(&self, value: Value) -> Option<kiln_graph::ClassId> {
        match self.ty(value) {
            Type::Class(class) => {
                let kind = self.session.program.classes[*class].kind;
                matches!(kind, ClassKind::Module | ClassKind::Plain | ClassKind::Interface).then_some(*class)
            }
            _ => None,
        }
    }
}

/// What a meaning is, for a message.
pub(crate) fn describe(sugar: &Sugar) -> String {
    match sugar {
        Sugar::Value(_) | Sugar::Sequence(_) | Sugar::Iterable(_) => "this".into(),
        Sugar::Namespace(path) => format!("the module `{path}`"),
        Sugar::Function(_) => "a function".into(),
        Sugar::Class(_) => "a class".into(),
        Sugar::Type(_) => "a type".into(),
        Sugar::Operator(name, _) => format!("the operator `{name}`"),
        Sugar::Method(_, name) => format!("the method `{name}`"),
        Sugar::TensorCast(..) => "a method of tensors".into(),
        Sugar::Special(name, _) => format!("`{name}`"),
        Sugar::NoContext => "a context".into(),
        Sugar::Exception(class, _) => format!("an exception of class `{class}`"),
    }
}
