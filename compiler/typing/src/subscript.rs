//! `value[index]`: reading, assigning, augmenting.
//!
//! A tensor's basic indices (ints, slices, None, `...`) become `select`, `slice` and `unsqueeze`, in order;
//! tensor indices become one `index` after them.

use crate::body::Body;
use crate::error;
use crate::sugar::{Sugar, Typed};
use kiln_frontend::ast::{BinOp, Expr, ExprKind};
use kiln_graph::{ClassKind, Literal, Op, Type, Value};
use kiln_support::{Diagnostic, Span};

/// One index of a tensor.
enum Index<'e> {
    Select(Value),
    Slice(&'e Expr),
    NewAxis,
    Ellipsis,
    Tensor(Value),
}

/// A tensor with its basic indices applied, and the tensor indices that remain, by dimension.
struct Sliced {
    tensor: Value,
    indices: Vec<Option<Value>>,
}

impl Body<'_, '_> {
    /// Reads `value[index]`.
    pub fn subscript(&mut self, value: &Expr, index: &Expr, hint: Option<&Type>, at: Span) -> Typed<Sugar> {
        match self.sugar(value)? {
            Sugar::Sequence(items) => self.sequence_item(&items, index, at),
            other => {
                let base = self.value_of(other, value.span)?;
                self.get_item(base, index, hint, at)
            }
        }
    }

    fn get_item(&mut self, base: Value, index: &Expr, hint: Option<&Type>, at: Span) -> Typed<Sugar> {
        if let Some(types) = self.tuple_types(base) {
            return self.tuple_item(base, types.len(), index, at);
        }
        let value = match self.ty(base).clone() {
            Type::Tensor(_) => {
                let sliced = self.slice_tensor(base, index, at)?;
                self.gather(&sliced, at)?
            }
            Type::List(_) | Type::Str => match &index.kind {
                ExprKind::Slice { lower, upper, step } => {
                    let parts = [lower, upper, step].map(|p| p.as_deref());
                    let [lower, upper, step] = self.slice_parts(parts, at)?;
                    self.table_op("aten::slice", &[base, lower, upper, step], at)?
                }
                _ => {
                    let index = self.value(index)?;
                    self.table_op("aten::__getitem__", &[base, index], at)?
                }
            },
            Type::Dict(_) => {
                let index = self.value(index)?;
                self.table_op("aten::__getitem__", &[base, index], at)?
            }
            Type::Class(class) if self.session.program.classes[class].kind == ClassKind::Module => {
                return self.submodule_at(base, index, hint, at);
            }
            Type::Class(_) => {
                let index = self.value(index)?;
                match self.call_magic(base, "__getitem__", &[index], at)? {
                    Some(value) => value,
                    None => return Err(self.not_subscriptable(base, at)),
                }
            }
            _ => return Err(self.not_subscriptable(base, at)),
        };
        Ok(Sugar::Value(value))
    }

    fn not_subscriptable(&self, base: Value, at: Span) -> Box<Diagnostic> {
        let ty = self.ty(base);
        let error = error("not-subscriptable", format!("a value of type `{}` cannot be indexed", self.show(ty)), at);
        if ty.is_optional() { Box::new(error.help("it may be None: check that first")) } else { error }
    }

    /// Start, end and step of a slice as operands.
    fn slice_parts(&mut self, parts: [Option<&Expr>; 3], at: Span) -> Typed<[Value; 3]> {
        let [lower, upper, step] = parts;
        let lower = lower.map(|e| self.value(e)).transpose()?;
        let upper = upper.map(|e| self.value(e)).transpose()?;
        let step = step.map(|e| self.value(e)).transpose()?;
        Ok([
            lower.unwrap_or_else(|| self.none(at)),
            upper.unwrap_or_else(|| self.none(at)),
            step.unwrap_or_else(|| self.int(1, at)),
        ])
    }

    fn constant_int(&self, value: Value) -> Option<i64> {
        self.graph.as_const(value).and_then(Literal::as_int)
    }

    fn sequence_item(&mut self, items: &[Sugar], index: &Expr, at: Span) -> Typed<Sugar> {
        if let ExprKind::Slice { lower, upper, step } = &index.kind {
            let picked = self.constant_slice([lower, upper, step].map(|p| p.as_deref()), items.len(), at)?;
            return Ok(Sugar::Sequence(picked.into_iter().map(|i| items[i].clone()).collect()));
        }
        let value = self.value(index)?;
        let Some(constant) = self.constant_int(value) else {
            let tuple = self.value_of(Sugar::Sequence(items.to_vec()), at)?;
            return self.uniform_item(tuple, value, at);
        };
        let position = in_range(constant, items.len()).ok_or_else(|| out_of_range(constant, items.len(), at))?;
        Ok(items[position].clone())
    }

    fn tuple_item(&mut self, tuple: Value, length: usize, index: &Expr, at: Span) -> Typed<Sugar> {
        if let ExprKind::Slice { lower, upper, step } = &index.kind {
            let picked = self.constant_slice([lower, upper, step].map(|p| p.as_deref()), length, at)?;
            let items = picked.into_iter().map(|i| self.tuple_get(tuple, i, at)).collect();
            return Ok(Sugar::Value(self.make_tuple(items, at)));
        }
        let index = self.value(index)?;
        match self.constant_int(index) {
            Some(constant) => {
                let position = in_range(constant, length).ok_or_else(|| out_of_range(constant, length, at))?;
                Ok(Sugar::Value(self.tuple_get(tuple, position, at)))
            }
            None => self.uniform_item(tuple, index, at),
        }
    }

    /// An element of a tuple at an index known only at run time: all elements must be of one type.
    fn uniform_item(&mut self, tuple: Value, index: Value, at: Span) -> Typed<Sugar> {
        let types = self.tuple_types(tuple).unwrap_or_default();
        let uniform = types.first().filter(|first| types.iter().all(|t| t == *first)).cloned();
        let Some(elem) = uniform else {
            return Err(error("unknown-index", "the index of a tuple of different types must be a constant", at));
        };
        let items = self.unpack_tuple(tuple, at);
        let list = self.add(Op::List, items, Type::list(elem), at);
        self.table_op("aten::__getitem__", &[list, index], at).map(Sugar::Value)
    }

    /// The positions that a slice with constant bounds picks.
    fn constant_slice(&mut self, parts: [Option<&Expr>; 3], length: usize, at: Span) -> Typed<Vec<usize>> {
        let mut bounds = [None; 3];
        for (bound, part) in bounds.iter_mut().zip(parts) {
            let Some(part) = part else { continue };
            let value = self.value(part)?;
            *bound = match self.graph.as_const(value) {
                Some(Literal::Int(i)) => Some(*i),
                Some(Literal::None) => None,
                _ => return Err(error("unknown-index", "the bounds of a slice of a tuple must be constants", at)),
            };
        }
        let step = bounds[2].unwrap_or(1);
        if step == 0 {
            return Err(error("bad-slice", "the step of a slice cannot be 0", at));
        }
        let length = length as i64;
        let clamp = |i: i64, low: i64, high: i64| (if i < 0 { i.saturating_add(length) } else { i }).clamp(low, high);
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let start = bounds[0].map_or(if step > 0 { 0 } else { length - 1 }, |i| clamp(i, low, high));
        let stop = bounds[1].map_or(if step > 0 { length } else { -1 }, |i| clamp(i, low, high));
        let mut picked = Vec::new();
        let mut position = start;
        while (step > 0 && position < stop) || (step < 0 && position > stop) {
            picked.push(position as usize);
            position = position.saturating_add(step);
        }
        Ok(picked)
    }

    /// The indices inside the brackets.
    fn indices<'e>(&mut self, index: &'e Expr) -> Typed<Vec<Index<'e>>> {
        let exprs: &[Expr] = match &index.kind {
            ExprKind::Tuple(elems) => elems,
            _ => std::slice::from_ref(index),
        };
        let mut out = Vec::new();
        for expr in exprs {
            match &expr.kind {
                ExprKind::Slice { .. } => out.push(Index::Slice(expr)),
                ExprKind::Ellipsis => out.push(Index::Ellipsis),
                _ => {
                    let sugar = self.sugar(expr)?;
                    let value = self.value_of(sugar, expr.span)?;
                    self.value_index(value, expr.span, &mut out)?;
                }
            }
        }
        Ok(out)
    }

    fn value_index(&mut self, value: Value, at: Span, out: &mut Vec<Index<'_>>) -> Typed<()> {
        let index = match self.ty(value).clone() {
            Type::Int => Index::Select(value),
            Type::None => Index::NewAxis,
            Type::Tensor(_) => Index::Tensor(value),
            Type::Optional(inner) if inner.is_tensor() => Index::Tensor(value),
            Type::List(_) => Index::Tensor(self.table_op("aten::tensor", &[value], at)?),
            Type::Tuple(_) => {
                return self.unpack_tuple(value, at).into_iter().try_for_each(|v| self.value_index(v, at, out));
            }
            ty => {
                let ty = self.show(&ty);
                return Err(error("bad-index", format!("a tensor cannot be indexed with a `{ty}`"), at)
                    .help("ints, slices, None, `...`, lists and tensors can index")
                    .into());
            }
        };
        out.push(index);
        Ok(())
    }

    /// Applies the basic indices.
    fn slice_tensor(&mut self, base: Value, index: &Expr, at: Span) -> Typed<Sliced> {
        let indices = self.indices(index)?;
        let consumes = |index: &Index| !matches!(index, Index::NewAxis | Index::Ellipsis);
        let mut sliced = Sliced { tensor: base, indices: Vec::new() };
        let mut dim = 0;
        let mut after_ellipsis = false;
        for (i, index) in indices.iter().enumerate() {
            // Behind `...` dimensions count from the end: those of this index and of all after it remain.
            if after_ellipsis {
                dim = -(indices[i..].iter().filter(|x| consumes(x)).count() as i64);
            }
            match index {
                Index::Select(position) => {
                    let dim = self.int(dim, at);
                    sliced.tensor = self.table_op("aten::select", &[sliced.tensor, dim, *position], at)?;
                }
                Index::Slice(slice) => {
                    let ExprKind::Slice { lower, upper, step } = &slice.kind else { continue };
                    let parts = [lower, upper, step].map(|p| p.as_deref());
                    sliced.tensor = self.slice_dim(sliced.tensor, dim, parts, slice.span)?;
                    dim += 1;
                }
                Index::NewAxis => {
                    let dim_value = self.int(if after_ellipsis { dim - 1 } else { dim }, at);
                    sliced.tensor = self.table_op("aten::unsqueeze", &[sliced.tensor, dim_value], at)?;
                    dim += 1;
                }
                Index::Ellipsis if after_ellipsis => return Err(error("bad-index", "`...` can stand in an index only once", at)),
                Index::Ellipsis => after_ellipsis = true,
                Index::Tensor(_) if after_ellipsis => {
                    return Err(crate::unsupported(
                        "ellipsis-before-tensor-index",
                        "a tensor index behind `...` is not supported",
                        at,
                    ));
                }
                Index::Tensor(tensor) => {
                    sliced.indices.resize(dim as usize, None);
                    sliced.indices.push(Some(*tensor));
                    dim += 1;
                }
            }
        }
        Ok(sliced)
    }

    /// A slice of everything changes nothing, but makes a new view.
    fn slice_dim(&mut self, tensor: Value, dim: i64, parts: [Option<&Expr>; 3], at: Span) -> Typed<Value> {
        let dim = self.int(dim, at);
        let [lower, upper, step] = self.slice_parts(parts, at)?;
        self.table_op("aten::slice", &[tensor, dim, lower, upper, step], at)
    }

    fn index_list(&mut self, indices: &[Option<Value>], at: Span) -> Value {
        let elem = Type::optional(Type::TENSOR);
        let items = indices.iter().map(|index| match index {
            Some(index) => self.widen(*index, &elem, at),
            None => {
                let none = self.none(at);
                self.widen(none, &elem, at)
            }
        });
        let items = items.collect();
        self.add(Op::List, items, Type::list(elem.clone()), at)
    }

    fn gather(&mut self, sliced: &Sliced, at: Span) -> Typed<Value> {
        if sliced.indices.is_empty() {
            return Ok(sliced.tensor);
        }
        let indices = self.index_list(&sliced.indices, at);
        self.table_op("aten::index", &[sliced.tensor, indices], at)
    }

    /// `base[index] = value`.
    pub fn set_item(&mut self, base: Value, index: &Expr, value: Value, at: Span) -> Typed<()> {
        if self.ty(base).is_tensor() {
            let sliced = self.slice_tensor(base, index, at)?;
            let value = self.as_tensor_like(value, base, at)?;
            return self.put(&sliced, value, at);
        }
        if let ExprKind::Slice { .. } = index.kind {
            return Err(error("bad-target", "a slice of a list cannot be assigned to", at));
        }
        let index = self.value(index)?;
        if self.call_magic(base, "__setitem__", &[index, value], at)?.is_some() {
            return Ok(());
        }
        // What is stored takes the container's type.
        let value = match self.ty(base).clone() {
            Type::List(elem) => self.fit(value, &elem, at)?,
            Type::Dict(pair) => self.fit(value, &pair.1, at)?,
            _ => return Err(self.not_subscriptable(base, at)),
        };
        self.table_op("aten::_set_item", &[base, index, value], at).map(drop)
    }

    fn put(&mut self, sliced: &Sliced, value: Value, at: Span) -> Typed<()> {
        if sliced.indices.is_empty() {
            return self.table_op("aten::copy_", &[sliced.tensor, value], at).map(drop);
        }
        let indices = self.index_list(&sliced.indices, at);
        self.table_op("aten::index_put_", &[sliced.tensor, indices, value], at).map(drop)
    }

    /// A scalar as a tensor of another's dtype and device.
    fn as_tensor_like(&mut self, value: Value, like: Value, at: Span) -> Typed<Value> {
        if !matches!(self.ty(value), Type::Int | Type::Float | Type::Bool | Type::Complex | Type::Number) {
            return Ok(value);
        }
        let dtype = self.table_op("prim::dtype", &[like], at)?;
        let device = self.table_op("prim::device", &[like], at)?;
        let mut args = crate::overload::Args::positional(&[value]);
        args.keywords = vec![("dtype".into(), dtype), ("device".into(), device)];
        self.call_operator("aten::tensor", args, at)
    }

    /// `base[index] op= value`.
    pub fn augment_item(&mut self, base: Value, index: &Expr, op: BinOp, value: Value, at: Span) -> Typed<()> {
        if self.ty(base).is_tensor() {
            let sliced = self.slice_tensor(base, index, at)?;
            let old = self.gather(&sliced, at)?;
            let new = self.augment(old, op, value, at)?;
            // In place on a view: the base has changed already.
            return if sliced.indices.is_empty() { Ok(()) } else { self.put(&sliced, new, at) };
        }
        let index_value = self.value(index)?;
        let old = match self.call_magic(base, "__getitem__", &[index_value], at)? {
            Some(old) => old,
            None => self.table_op("aten::__getitem__", &[base, index_value], at)?,
        };
        // An item of a dict is replaced, not changed: TorchScript adds out of place there.
        let is_dict_tensor = matches!(self.ty(base), Type::Dict(_)) && self.ty(old).is_tensor();
        let new = if is_dict_tensor { self.binary(op, old, value, at)? } else { self.augment(old, op, value, at)? };
        if self.call_magic(base, "__setitem__", &[index_value, new], at)?.is_none() {
            self.table_op("aten::_set_item", &[base, index_value, new], at)?;
        }
        Ok(())
    }

    /// Names of the submodules of a container, in order.
    pub fn submodule_names(&self, module: Value) -> Vec<String> {
        let Type::Class(class) = self.ty(module) else { return Vec::new() };
        let classes = &self.session.program.classes;
        let class = &classes[*class];
        let holds_tensors = class.name.contains("ParameterList") || class.name.contains("ParameterDict");
        let is_part = |ty: &Type| match ty {
            Type::Class(part) => classes[*part].kind == ClassKind::Module,
            ty => holds_tensors && ty.is_tensor(),
        };
        class.fields.iter().filter(|field| is_part(&field.ty)).map(|field| field.name.clone()).collect()
    }

    /// `modules[index]`: the submodule itself where the index is constant, else the one of that index or name
    /// as a value of the interface that is asked for.
    fn submodule_at(&mut self, container: Value, index: &Expr, hint: Option<&Type>, at: Span) -> Typed<Sugar> {
        if let ExprKind::Slice { .. } = index.kind {
            let modules = self.submodules(container, at);
            return self.sequence_item(&modules, index, at);
        }
        let index = self.value(index)?;
        let names = self.submodule_names(container);
        match self.graph.as_const(index) {
            Some(Literal::Int(i)) => {
                let position = in_range(*i, names.len()).ok_or_else(|| out_of_range(*i, names.len(), at))?;
                return self.attribute(Sugar::Value(container), &names[position], at);
            }
            Some(Literal::Str(name)) => {
                let name = name.clone();
                return self.attribute(Sugar::Value(container), &name, at);
            }
            _ => {}
        }
        let Some(interface @ Type::Class(_)) = hint.cloned() else {
            return Err(error("unknown-index", "which submodule this is must be known, or annotated with an interface", at));
        };
        self.choose_submodule(container, index, (&names, 0), &interface, at).map(Sugar::Value)
    }

    /// A chain of `if index == name`, that raises where none fits.
    fn choose_submodule(
        &mut self,
        container: Value,
        index: Value,
        (names, position): (&[String], usize),
        interface: &Type,
        at: Span,
    ) -> Typed<Value> {
        let Some((name, rest)) = names.split_first() else {
            return Err(error("unknown-index", "there is no submodule", at));
        };
        let by_name = *self.ty(index) == Type::Str;
        let test = if by_name {
            let key = self.str(name, at);
            self.table_op("aten::eq", &[index, key], at)?
        } else {
            let from_start = self.int(position as i64, at);
            let from_end = self.int(-(names.len() as i64), at);
            let tests =
                [self.table_op("aten::eq", &[index, from_start], at)?, self.table_op("aten::eq", &[index, from_end], at)?];
            self.table_op("aten::__or__", &tests, at)?
        };
        let (found, ()) = self.in_block(|body| {
            let module = body.attribute(Sugar::Value(container), name, at)?;
            let module = body.value_of(module, at)?;
            let module = body.fit(module, interface, at)?;
            let block = body.block;
            body.graph.blocks[block].yields = vec![module];
            Ok(())
        })?;
        let (other, ()) = self.in_block(|body| {
            let block = body.block;
            if rest.is_empty() {
                let message = body.str(if by_name { "KeyError" } else { "IndexError" }, at);
                body.emit_raise("", message, at);
                body.graph.blocks[block].diverges = true;
                return Ok(());
            }
            let value = body.choose_submodule(container, index, (rest, position + 1), interface, at)?;
            body.graph.blocks[block].yields = vec![value];
            Ok(())
        })?;
        let node = self.add_if(test, [found, other], vec![interface.clone()], at);
        Ok(self.graph.result(node))
    }
}

fn in_range(index: i64, length: usize) -> Option<usize> {
    let length = length as i64;
    let position = if index < 0 { index.checked_add(length)? } else { index };
    (0..length).contains(&position).then_some(position as usize)
}

fn out_of_range(index: i64, length: usize, at: Span) -> Box<Diagnostic> {
    error("index-out-of-range", format!("index {index} is out of range for {length} elements"), at)
}
