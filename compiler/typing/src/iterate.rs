//! What a `for` or a comprehension goes over.

use crate::body::Body;
use crate::error;
use crate::sugar::{Iterable, Sugar, Typed};
use kiln_graph::{ClassKind, Type, Value};
use kiln_support::Span;

/// Elements of something iterable.
pub(crate) enum Items {
    /// Known one by one: the loop is unrolled.
    Known(Vec<Sugar>),
    /// Counted at run time.
    Counted(Sugar, Value),
}

impl Body<'_, '_> {
    /// The elements of an iterable.
    pub fn items(&mut self, iterated: Sugar, at: Span) -> Typed<Items> {
        let iterated = match iterated {
            Sugar::Value(value) => self.iterable_value(value, at)?,
            Sugar::Method(..) | Sugar::Operator(..) | Sugar::Function(_) | Sugar::Class(_) | Sugar::Namespace(_) => {
                return Err(error("not-iterable", "this cannot be iterated over", at));
            }
            other => other,
        };
        if let Some(items) = self.known_items(&iterated, at)? {
            return Ok(Items::Known(items));
        }
        let length = self.length(&iterated, at)?;
        Ok(Items::Counted(iterated, length))
    }

    fn iterable_value(&mut self, value: Value, at: Span) -> Typed<Sugar> {
        match self.ty(value).clone() {
            Type::List(_) | Type::Str | Type::Tensor(_) => {
                let length = self.table_op("aten::len", &[value], at)?;
                Ok(Sugar::Iterable(Box::new(Iterable::Indexed { value, length })))
            }
            Type::Dict(_) => {
                let keys = self.table_op("aten::keys", &[value], at)?;
                self.iterable_value(keys, at)
            }
            Type::Tuple(_) => Ok(Sugar::Sequence(self.unpack_tuple(value, at).into_iter().map(Sugar::Value).collect())),
            Type::Class(class) => match self.session.program.classes[class].kind {
                ClassKind::NamedTuple => {
                    Ok(Sugar::Sequence(self.unpack_tuple(value, at).into_iter().map(Sugar::Value).collect()))
                }
                ClassKind::Module => Ok(Sugar::Sequence(self.submodules(value, at))),
                _ => Err(self.not_iterable(value, at)),
            },
            _ => Err(self.not_iterable(value, at)),
        }
    }

    fn not_iterable(&self, value: Value, at: Span) -> Box<kiln_support::Diagnostic> {
        let ty = self.show(self.ty(value));
        error("not-iterable", format!("a value of type `{ty}` cannot be iterated over"), at)
    }

    /// The elements, where they are known one by one.
    pub fn known_items(&mut self, sugar: &Sugar, at: Span) -> Typed<Option<Vec<Sugar>>> {
        match sugar {
            Sugar::Sequence(items) => Ok(Some(items.clone())),
            Sugar::Iterable(iterable) => match &**iterable {
                Iterable::Enumerate { inner, start } => {
                    let Some(items) = self.known_items(inner, at)? else { return Ok(None) };
                    let mut numbered = Vec::new();
                    for (i, item) in items.into_iter().enumerate() {
                        let index = self.enumerate_index(i as i64, *start, at)?;
                        numbered.push(Sugar::Sequence(vec![Sugar::Value(index), item]));
                    }
                    Ok(Some(numbered))
                }
                Iterable::Zip(parts) => self.known_zip(parts, at),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn enumerate_index(&mut self, index: i64, start: Value, at: Span) -> Typed<Value> {
        match self.graph.as_const(start).and_then(kiln_graph::Literal::as_int) {
            Some(start) => Ok(self.int(start.wrapping_add(index), at)),
            None => {
                let index = self.int(index, at);
                self.table_op("aten::add", &[index, start], at)
            }
        }
    }

    /// A `zip` with a part whose elements are known has as many turns as that part; the other parts are indexed.
    fn known_zip(&mut self, parts: &[Sugar], at: Span) -> Typed<Option<Vec<Sugar>>> {
        let mut known = Vec::new();
        for part in parts {
            known.push(self.known_items(part, at)?);
        }
        let Some(length) = known.iter().flatten().map(Vec::len).min() else { return Ok(None) };
        let mut rows = Vec::new();
        for row in 0..length {
            let mut items = Vec::new();
            for (part, known) in parts.iter().zip(&known) {
                items.push(match known {
                    Some(items) => items[row].clone(),
                    None => {
                        let index = self.int(row as i64, at);
                        self.item_at(part, index, at)?
                    }
                });
            }
            rows.push(Sugar::Sequence(items));
        }
        Ok(Some(rows))
    }

    fn length(&mut self, sugar: &Sugar, at: Span) -> Typed<Value> {
        let Sugar::Iterable(iterable) = sugar else {
            return Err(error("not-iterable", "this cannot be iterated over", at));
        };
        match &**iterable {
            Iterable::Range { length, .. } | Iterable::Indexed { length, .. } => Ok(*length),
            Iterable::Enumerate { inner, .. } => self.length(inner, at),
            Iterable::Zip(parts) => {
                let lengths = parts.iter().map(|p| self.length(p, at)).collect::<Typed<Vec<_>>>()?;
                match lengths.as_slice() {
                    [] => Err(error("not-iterable", "`zip` needs something to go over", at)),
                    [one] => Ok(*one),
                    _ => {
                        let list = self.add(kiln_graph::Op::List, lengths, Type::list(Type::Int), at);
                        self.table_op("prim::min", &[list], at)
                    }
                }
            }
        }
    }

    /// The element at an index.
    pub fn item_at(&mut self, sugar: &Sugar, index: Value, at: Span) -> Typed<Sugar> {
        let Sugar::Iterable(iterable) = sugar else {
            return Err(error("not-iterable", "this cannot be iterated over", at));
        };
        match &**iterable {
            Iterable::Range { start: None, .. } => Ok(Sugar::Value(index)),
            Iterable::Range { start: Some(start), step, .. } => {
                let step = match step {
                    Some(step) => *step,
                    None => self.int(1, at),
                };
                self.table_op("aten::__derive_index", &[index, *start, step], at).map(Sugar::Value)
            }
            Iterable::Indexed { value, .. } => self.element(*value, index, at).map(Sugar::Value),
            Iterable::Enumerate { inner, start } => {
                let number = match self.graph.as_const(*start) {
                    Some(kiln_graph::Literal::Int(0)) => index,
                    _ => self.table_op("aten::add", &[index, *start], at)?,
                };
                let item = self.item_at(inner, index, at)?;
                Ok(Sugar::Sequence(vec![Sugar::Value(number), item]))
            }
            Iterable::Zip(parts) => {
                let items = parts.iter().map(|p| self.item_at(p, index, at)).collect::<Typed<Vec<_>>>()?;
                Ok(Sugar::Sequence(items))
            }
        }
    }

    fn element(&mut self, value: Value, index: Value, at: Span) -> Typed<Value> {
        if self.ty(value).is_tensor() {
            let dim = self.int(0, at);
            return self.table_op("aten::select", &[value, dim, index], at);
        }
        self.table_op("aten::__getitem__", &[value, index], at)
    }

    /// The submodules of a container, in order.
    pub fn submodules(&mut self, value: Value, at: Span) -> Vec<Sugar> {
        let names = self.submodule_names(value);
        let typed: Vec<(String, Type)> =
            names.into_iter().filter_map(|name| self.field_type(value, &name).map(|ty| (name, ty))).collect();
        let get = |(name, ty)| Sugar::Value(self.add(kiln_graph::Op::GetAttr(name), vec![value], ty, at));
        typed.into_iter().map(get).collect()
    }
}
