//! Assignment: to names, tuples, attributes and subscripts; plain and augmented.

use crate::body::Body;
use crate::env::Binding;
use crate::error;
use crate::operators;
use crate::sugar::{Sugar, Typed};
use kiln_frontend::ast::{BinOp, Expr, ExprKind};
use kiln_graph::{ClassKind, Op, Type, Value};
use kiln_support::Span;

impl Body<'_, '_> {
    /// `t1 = t2 = value`, `x: T = value`, `x: T`.
    pub fn assignment(&mut self, targets: &[Expr], annotation: Option<&Expr>, value: Option<&Expr>, at: Span) -> Typed<()> {
        let unit = self.unit.clone();
        let annotated = annotation.map(|a| self.session.type_of(a, &unit)).transpose()?;
        let Some(value) = value else { return Ok(()) };
        if let Some(ty) = annotated {
            let found = self.value_hinted(value, Some(&ty))?;
            let converted = self.fit(found, &ty, value.span)?;
            if let ExprKind::Name(name) = &targets[0].kind
                && self.env.get_outer(name).is_some()
                && self.dialect == crate::session::Dialect::Source
            {
                return Err(error(
                    "redeclared",
                    format!("`{name}` is defined outside of this block and cannot be annotated again"),
                    at,
                ));
            }
            return self.assign(&targets[0], Sugar::Value(converted));
        }
        // `x[i] = []` and `self.x = []` take the type of what they are assigned to.
        let hint = match targets {
            [target] => self.hint_of_target(target)?,
            _ => None,
        };
        let sugar = self.sugar_hinted(value, hint.as_ref())?;
        targets.iter().try_for_each(|target| self.assign(target, sugar.clone()))
    }

    fn hint_of_target(&mut self, target: &Expr) -> Typed<Option<Type>> {
        match &target.kind {
            ExprKind::Attribute { value, name } if matches!(value.kind, ExprKind::Name(_)) => {
                let Sugar::Value(object) = self.sugar(value)? else { return Ok(None) };
                Ok(self.field_type(object, name))
            }
            ExprKind::Name(name) => Ok(match self.env.get_outer(name) {
                Some(Binding::Is(Sugar::Value(value))) => Some(self.ty(*value).clone()),
                _ => None,
            }),
            _ => Ok(None),
        }
    }

    /// A value converted and widened to an annotated type.
    pub fn fit(&mut self, value: Value, ty: &Type, at: Span) -> Typed<Value> {
        let value = self.convert(value, ty, true, at)?;
        let found = self.ty(value).clone();
        if self.is_subtype(&found, ty) {
            return Ok(self.widen(value, ty, at));
        }
        let (wanted, found) = (self.show(ty), self.show(&found));
        Err(error("type-mismatch", format!("expected a value of type `{wanted}` but found `{found}`"), at))
    }

    /// Assigns to any target.
    pub fn assign(&mut self, target: &Expr, value: Sugar) -> Typed<()> {
        match &target.kind {
            ExprKind::Name(name) => self.assign_name(name, value, target.span),
            ExprKind::Tuple(targets) | ExprKind::List(targets) => self.assign_each(targets, value, target.span),
            ExprKind::Attribute { value: object, name } => {
                let object = self.value(object)?;
                let value = self.value_of(value, target.span)?;
                self.set_attribute(object, name, value, target.span)
            }
            ExprKind::Subscript { value: base, index } => {
                let base = self.value(base)?;
                let value = self.value_of(value, target.span)?;
                self.set_item(base, index, value, target.span)
            }
            _ => Err(error("bad-target", "this cannot be assigned to", target.span)),
        }
    }

    /// Binds a name. One that is defined outside of this block keeps its type.
    fn assign_name(&mut self, name: &str, value: Sugar, at: Span) -> Typed<()> {
        let outer = self.env.get_outer(name).cloned();
        let value = match (value, outer) {
            (Sugar::Value(value), Some(Binding::Is(Sugar::Value(before)))) => {
                let ty = self.ty(before).clone();
                let converted = self.convert(value, &ty, true, at)?;
                let found = self.ty(converted).clone();
                if !self.is_subtype(&found, &ty) {
                    let (ty, found) = (self.show(&ty), self.show(&found));
                    return Err(error(
                        "changed-type",
                        format!("`{name}` is of type `{ty}` outside of this block and is assigned a `{found}` here"),
                        at,
                    )
                    .help_boxed("give it another name, or annotate its first assignment"));
                }
                Sugar::Value(converted)
            }
            (value @ Sugar::Value(_), _) => value,
            (value, Some(Binding::Is(Sugar::Value(before)))) => {
                let ty = self.ty(before).clone();
                let value = self.value_of(value, at)?;
                Sugar::Value(self.fit(value, &ty, at)?)
            }
            // A sequence of plain values is a tuple.
            (value @ Sugar::Sequence(_), _) => match self.value_of(value.clone(), at) {
                Ok(tuple) => Sugar::Value(tuple),
                Err(_) => value,
            },
            (value, _) => value,
        };
        if let Sugar::Value(value) = &value
            && self.graph.values[*value].name.is_none()
            && !name.starts_with('_')
        {
            self.graph.values[*value].name = Some(name.to_owned());
        }
        self.env.set(name, Binding::Is(value));
        Ok(())
    }

    /// `a, *b, c = value`.
    fn assign_each(&mut self, targets: &[Expr], value: Sugar, at: Span) -> Typed<()> {
        let starred = targets.iter().position(|t| matches!(t.kind, ExprKind::Starred(_)));
        let items = self.unpack(value, targets.len(), starred.is_some(), at)?;
        let fixed = targets.len() - usize::from(starred.is_some());
        let fits = if starred.is_some() { items.len() >= fixed } else { items.len() == fixed };
        if !fits {
            let (wanted, found) = (targets.len(), items.len());
            return Err(error("unpack-count", format!("{found} values are assigned to {wanted} names"), at));
        }
        let extra = items.len() - fixed;
        let mut items = items.into_iter();
        for target in targets {
            match &target.kind {
                ExprKind::Starred(inner) => {
                    let middle: Vec<Sugar> = items.by_ref().take(extra).collect();
                    self.assign(inner, Sugar::Sequence(middle))?;
                }
                _ => {
                    let item = items.next().expect("there are as many values as names");
                    self.assign(target, item)?;
                }
            }
        }
        Ok(())
    }

    /// The elements of what is unpacked into `count` targets.
    fn unpack(&mut self, value: Sugar, count: usize, starred: bool, at: Span) -> Typed<Vec<Sugar>> {
        let value = match value {
            Sugar::Sequence(items) => return Ok(items),
            other => self.value_of(other, at)?,
        };
        match self.ty(value).clone() {
            Type::Tuple(_) => Ok(self.unpack_tuple(value, at).into_iter().map(Sugar::Value).collect()),
            Type::Class(c) if self.session.program.classes[c].kind == ClassKind::NamedTuple => {
                Ok(self.unpack_tuple(value, at).into_iter().map(Sugar::Value).collect())
            }
            Type::List(elem) if !starred => {
                let node = self.graph.add_node(self.block, Op::ListUnpack, vec![value], vec![(*elem).clone(); count], at);
                Ok(self.graph.nodes[node].results.iter().map(|&v| Sugar::Value(v)).collect())
            }
            Type::List(_) => Err(error("unpack-list", "a list cannot be unpacked into a starred name", at)),
            Type::Tensor(_) => {
                let dim = self.int(0, at);
                let parts = self.table_op("aten::unbind", &[value, dim], at)?;
                self.unpack(Sugar::Value(parts), count, starred, at)
            }
            ty => {
                let ty = self.show(&ty);
                Err(error("unpack-type", format!("a value of type `{ty}` cannot be unpacked"), at))
            }
        }
    }

    /// The elements of a tuple or named tuple.
    pub fn unpack_tuple(&mut self, value: Value, at: Span) -> Vec<Value> {
        let count = match self.tuple_types(value) {
            Some(types) => types.len(),
            None => return Vec::new(),
        };
        (0..count).map(|i| self.tuple_get(value, i, at)).collect()
    }

    /// Element types of a tuple or named tuple.
    pub fn tuple_types(&self, value: Value) -> Option<Vec<Type>> {
        match self.ty(value) {
            Type::Tuple(types) => Some(types.to_vec()),
            Type::Class(class) => match self.session.program.named_tuple_type(*class) {
                Some(Type::Tuple(types)) => Some(types.to_vec()),
                _ => None,
            },
            _ => None,
        }
    }

    /// One element of a tuple; what a tuple has just been made of is taken directly.
    pub fn tuple_get(&mut self, tuple: Value, index: usize, at: Span) -> Value {
        if let Some(node) = self.graph.def_node(tuple)
            && let Op::Tuple(_) = self.graph.nodes[node].op
        {
            let value = self.graph.nodes[node].args[index];
            let ty = self.tuple_types(tuple).map_or(Type::Any, |types| types[index].clone());
            return self.widen(value, &ty, at);
        }
        let ty = self.tuple_types(tuple).map_or(Type::Any, |types| types[index].clone());
        self.add(Op::TupleGet(index as u32), vec![tuple], ty, at)
    }

    /// `target op= value`: in place on tensors and lists.
    pub fn augmented(&mut self, target: &Expr, op: BinOp, value: &Expr, at: Span) -> Typed<()> {
        match &target.kind {
            ExprKind::Name(_) => {
                let old = self.value(target)?;
                let new = self.value(value)?;
                let result = self.augment(old, op, new, at)?;
                self.assign(target, Sugar::Value(result))
            }
            ExprKind::Attribute { value: object, name } => {
                let object = self.value(object)?;
                let old = self.attribute(Sugar::Value(object), name, target.span)?;
                let old = self.value_of(old, target.span)?;
                let new = self.value(value)?;
                let result = self.augment(old, op, new, at)?;
                self.set_attribute(object, name, result, at)
            }
            ExprKind::Subscript { value: base, index } => {
                let base = self.value(base)?;
                let new = self.value(value)?;
                self.augment_item(base, index, op, new, at)
            }
            _ => Err(error("bad-target", "this cannot be assigned to", target.span)),
        }
    }

    /// The result of `old op= new`.
    pub fn augment(&mut self, old: Value, op: BinOp, new: Value, at: Span) -> Typed<Value> {
        let in_place = match self.ty(old) {
            Type::Tensor(_) => operators::in_place(op),
            Type::List(_) if op == BinOp::Add => Some("aten::add_"),
            Type::Class(_) => {
                if let Some(result) = self.call_magic(old, operators::in_place_magic(op), &[new], at)? {
                    return Ok(result);
                }
                None
            }
            _ => None,
        };
        match in_place {
            Some(name) => self.table_op(name, &[old, new], at),
            None => self.binary(op, old, new, at),
        }
    }
}

/// [`kiln_support::Diagnostic::help`] on a boxed diagnostic.
pub(crate) trait BoxedHelp {
    fn help_boxed(self, text: &str) -> Self;
    fn note_boxed(self, text: String) -> Self;
}

impl BoxedHelp for Box<kiln_support::Diagnostic> {
    fn help_boxed(mut self, text: &str) -> Self {
        self.help = Some(text.to_owned());
        self
    }

    fn note_boxed(mut self, text: String) -> Self {
        self.notes.push(text);
        self
    }
}
