//! List and dict literals and comprehensions.

use crate::body::Body;
use crate::env::Binding;
use crate::error;
use crate::iterate::Items;
use crate::sugar::{Iterable, Sugar, Typed};
use kiln_frontend::ast::{Expr, ExprKind};
use kiln_graph::{Op, Type, Value};
use kiln_support::Span;

impl Body<'_, '_> {
    /// `[a, b]`. The element type is the hinted one, else what all elements fit in; an empty one holds tensors
    /// until it is used as another type.
    pub fn list_literal(&mut self, elems: &[Expr], hint: Option<&Type>, at: Span) -> Typed<Value> {
        let hinted = match hint.map(Type::without_none) {
            Some(Type::List(elem)) => Some((*elem).clone()),
            Some(Type::Union(members)) => members.iter().find_map(|m| match m {
                Type::List(elem) => Some((**elem).clone()),
                _ => None,
            }),
            _ => None,
        };
        let mut items = Vec::new();
        for elem in elems {
            match &elem.kind {
                ExprKind::Starred(inner) => {
                    for item in self.spread(inner)? {
                        items.push(self.value_of(item, elem.span)?);
                    }
                }
                _ => items.push(self.value_hinted(elem, hinted.as_ref())?),
            }
        }
        let untyped = items.is_empty() && hinted.is_none();
        let elem = match hinted {
            Some(elem) if self.all_fit(&items, &elem) => elem,
            hinted => self.common_type(&items, "list", hinted.is_some(), at)?.or(hinted).unwrap_or(Type::TENSOR),
        };
        let items = items.into_iter().map(|v| self.element_as(v, &elem, at)).collect::<Typed<Vec<_>>>()?;
        let list = self.add(Op::List, items, Type::list(elem), at);
        if untyped {
            self.untyped_lists.insert(list);
        }
        Ok(list)
    }

    fn all_fit(&self, items: &[Value], elem: &Type) -> bool {
        items.iter().all(|&v| self.is_subtype(self.ty(v), elem))
    }

    fn element_as(&mut self, value: Value, elem: &Type, at: Span) -> Typed<Value> {
        let value = self.convert(value, elem, false, at)?;
        Ok(self.widen(value, elem, at))
    }

    /// The type that all values fit in.
    fn common_type(&self, items: &[Value], what: &str, as_union: bool, at: Span) -> Typed<Option<Type>> {
        let mut types = items.iter().map(|&v| self.ty(v));
        let Some(first) = types.next().cloned() else { return Ok(None) };
        let mut joined = first;
        for ty in types {
            joined = joined.unify(ty, self.session.program, as_union).ok_or_else(|| {
                let (a, b) = (self.show(&joined), self.show(ty));
                error("mixed-elements", format!("a {what} holds elements of one type, but these are `{a}` and `{b}`"), at)
            })?;
        }
        Ok(Some(joined))
    }

    /// `{a: b}`.
    pub fn dict_literal(&mut self, items: &[(Expr, Expr)], hint: Option<&Type>, at: Span) -> Typed<Value> {
        let hinted = match hint.map(Type::without_none) {
            Some(Type::Dict(pair)) => Some((*pair).clone()),
            _ => None,
        };
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (key, value) in items {
            keys.push(self.value_hinted(key, hinted.as_ref().map(|h| &h.0))?);
            values.push(self.value_hinted(value, hinted.as_ref().map(|h| &h.1))?);
        }
        let (key, value) = match hinted {
            Some(pair) if self.all_fit(&keys, &pair.0) && self.all_fit(&values, &pair.1) => pair,
            hinted => {
                let default = hinted.unwrap_or((Type::Str, Type::TENSOR));
                let key = self.common_type(&keys, "dict", false, at)?.unwrap_or(default.0);
                (key, self.common_type(&values, "dict", false, at)?.unwrap_or(default.1))
            }
        };
        let mut operands = Vec::new();
        for (k, v) in keys.into_iter().zip(values) {
            operands.push(self.element_as(k, &key, at)?);
            operands.push(self.element_as(v, &value, at)?);
        }
        Ok(self.add(Op::Dict, operands, Type::dict(key, value), at))
    }

    /// `[element for target in iter if conditions]`.
    pub fn list_comprehension(
        &mut self,
        element: &Expr,
        target: &Expr,
        iter: &Expr,
        conditions: &[Expr],
        hint: Option<&Type>,
        at: Span,
    ) -> Typed<Sugar> {
        let iterated = self.sugar(iter)?;
        let hinted = match hint.map(Type::without_none) {
            Some(Type::List(elem)) => Some((*elem).clone()),
            _ => None,
        };
        match self.items(iterated, iter.span)? {
            Items::Known(items) => self.known_comprehension(element, target, items, conditions, hint, at),
            Items::Counted(iterable, length) => {
                let list = self.add(Op::List, Vec::new(), Type::list(hinted.clone().unwrap_or(Type::TENSOR)), at);
                self.comprehension_loop(&iterable, length, target, conditions, at, &mut |body| {
                    let value = body.value_hinted(element, hinted.as_ref())?;
                    let ty = hinted.clone().unwrap_or_else(|| body.ty(value).clone());
                    body.graph.values[list].ty = Type::list(ty.clone());
                    let value = body.fit(value, &ty, element.span)?;
                    body.table_op("aten::append", &[list, value], at).map(drop)
                })?;
                Ok(Sugar::Value(list))
            }
        }
    }

    /// Over elements known one by one the list is written out.
    fn known_comprehension(
        &mut self,
        element: &Expr,
        target: &Expr,
        items: Vec<Sugar>,
        conditions: &[Expr],
        hint: Option<&Type>,
        at: Span,
    ) -> Typed<Sugar> {
        let mut values = Vec::new();
        for item in items {
            self.env.push();
            let value = self.comprehension_item(element, target, item, conditions);
            self.env.pop();
            values.extend(value?);
        }
        if values.iter().any(|v| !matches!(v, Sugar::Value(_))) {
            return Ok(Sugar::Sequence(values));
        }
        let values = values.into_iter().map(|v| self.value_of(v, at)).collect::<Typed<Vec<_>>>()?;
        let elem = match hint.map(Type::without_none) {
            Some(Type::List(elem)) => (*elem).clone(),
            _ => self.common_type(&values, "list", false, at)?.unwrap_or(Type::TENSOR),
        };
        let values = values.into_iter().map(|v| self.fit(v, &elem, at)).collect::<Typed<Vec<_>>>()?;
        Ok(Sugar::Value(self.add(Op::List, values, Type::list(elem), at)))
    }

    fn comprehension_item(&mut self, element: &Expr, target: &Expr, item: Sugar, conditions: &[Expr]) -> Typed<Option<Sugar>> {
        self.assign(target, item)?;
        for condition in conditions {
            let test = self.condition(condition)?;
            match test.known {
                Some(true) => self.refine(&test.refine.when_true, condition.span),
                Some(false) => return Ok(None),
                None => return Err(error("unknown-length", "how many elements this gives must be known", condition.span)),
            }
        }
        self.sugar(element).map(Some)
    }

    /// `{key: value for target in iter if conditions}`.
    pub fn dict_comprehension(
        &mut self,
        [key, value]: [&Expr; 2],
        target: &Expr,
        iter: &Expr,
        conditions: &[Expr],
        hint: Option<&Type>,
        at: Span,
    ) -> Typed<Value> {
        let hinted = match hint.map(Type::without_none) {
            Some(Type::Dict(pair)) => Some((*pair).clone()),
            _ => None,
        };
        let iterated = self.sugar(iter)?;
        let dict = self.add(Op::Dict, Vec::new(), Type::dict(Type::Str, Type::TENSOR), at);
        let mut put = |body: &mut Self| {
            let k = body.value_hinted(key, hinted.as_ref().map(|h| &h.0))?;
            let v = body.value_hinted(value, hinted.as_ref().map(|h| &h.1))?;
            let ty = hinted.clone().unwrap_or_else(|| (body.ty(k).clone(), body.ty(v).clone()));
            body.graph.values[dict].ty = Type::dict(ty.0.clone(), ty.1.clone());
            let (k, v) = (body.fit(k, &ty.0, at)?, body.fit(v, &ty.1, at)?);
            body.table_op("aten::_set_item", &[dict, k, v], at).map(drop)
        };
        match self.items(iterated, iter.span)? {
            Items::Known(items) => {
                for item in items {
                    self.env.push();
                    let done = self.assign(target, item).and_then(|()| self.filtered(conditions, at, &mut put));
                    self.env.pop();
                    done?;
                }
            }
            Items::Counted(iterable, length) => self.comprehension_loop(&iterable, length, target, conditions, at, &mut put)?,
        }
        Ok(dict)
    }

    /// A loop over an iterable that carries nothing.
    fn comprehension_loop(
        &mut self,
        iterable: &Sugar,
        length: Value,
        target: &Expr,
        conditions: &[Expr],
        at: Span,
        put: &mut dyn FnMut(&mut Self) -> Typed<()>,
    ) -> Typed<()> {
        let always = self.bool(true, at);
        self.env.push();
        let typed = self.in_block(|body| {
            let block = body.block;
            let index = body.graph.add_param(block, Type::Int, None);
            let item = body.item_at(iterable, index, at)?;
            body.assign(target, item)?;
            body.filtered(conditions, at, put)?;
            let go_on = body.bool(true, at);
            body.graph.blocks[block].yields = vec![go_on];
            Ok(())
        });
        self.env.pop();
        let (block, ()) = typed?;
        let node = self.graph.add_node(self.block, Op::Loop, vec![length, always], Vec::new(), at);
        self.graph.nodes[node].blocks = vec![block];
        Ok(())
    }

    /// Runs `put` where all conditions hold.
    fn filtered(&mut self, conditions: &[Expr], at: Span, put: &mut dyn FnMut(&mut Self) -> Typed<()>) -> Typed<()> {
        let Some((first, rest)) = conditions.split_first() else { return put(self) };
        let test = self.condition(first)?;
        match test.known {
            Some(true) => {
                self.refine(&test.refine.when_true, at);
                self.filtered(rest, at, put)
            }
            Some(false) => Ok(()),
            None => {
                self.env.push();
                let yes = self.in_block(|body| {
                    body.refine(&test.refine.when_true, at);
                    body.filtered(rest, at, put)
                });
                self.env.pop();
                let (yes, ()) = yes?;
                let (no, ()) = self.in_block(|_| Ok(()))?;
                self.add_if(test.value, [yes, no], Vec::new(), at);
                Ok(())
            }
        }
    }

    /// An iterable used as a value is a list.
    pub fn materialize_iterable(&mut self, iterable: Iterable, at: Span) -> Typed<Value> {
        if let Iterable::Indexed { value, .. } = iterable
            && matches!(self.ty(value), Type::List(_))
        {
            return self.table_op("aten::list", &[value], at);
        }
        let sugar = Sugar::Iterable(Box::new(iterable));
        let list = self.add(Op::List, Vec::new(), Type::list(Type::Int), at);
        match self.items(sugar, at)? {
            Items::Known(items) => {
                let values = items.into_iter().map(|i| self.value_of(i, at)).collect::<Typed<Vec<_>>>()?;
                let elem = self.common_type(&values, "list", false, at)?.unwrap_or(Type::TENSOR);
                Ok(self.add(Op::List, values, Type::list(elem), at))
            }
            Items::Counted(iterable, length) => {
                let name = "$item";
                let target = Expr { span: at, kind: ExprKind::Name(name.to_owned()) };
                self.comprehension_loop(&iterable, length, &target, &[], at, &mut |body| {
                    let item = match body.env.get(name) {
                        Some(Binding::Is(sugar)) => sugar.clone(),
                        _ => return Ok(()),
                    };
                    let value = body.value_of(item, at)?;
                    body.graph.values[list].ty = Type::list(body.ty(value).clone());
                    body.table_op("aten::append", &[list, value], at).map(drop)
                })?;
                Ok(list)
            }
        }
    }
}
