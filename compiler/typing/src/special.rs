//! Forms that look like calls but have rules of their own.

use crate::assign::BoxedHelp;
use crate::body::Body;
use crate::builtins;
use crate::error;
use crate::iterate::Items;
use crate::overload::Args;
use crate::sugar::{Iterable, Sugar, Typed};
use kiln_frontend::ast::{Expr, ExprKind};
use kiln_graph::{Op, Type, Value};
use kiln_ops::table;
use kiln_support::Span;

impl Body<'_, '_> {
    /// Calls a form.
    pub fn call_special(
        &mut self,
        name: &'static str,
        receiver: Option<Value>,
        args: &[Expr],
        keywords: &[(String, Expr)],
        hint: Option<&Type>,
        at: Span,
    ) -> Typed<Sugar> {
        let value = match (name, args) {
            ("annotate", [ty, value]) => {
                let ty = self.annotated_type(ty)?;
                let value = self.value_hinted(value, Some(&ty))?;
                self.fit(value, &ty, at)?
            }
            ("unchecked_cast", [ty, value]) => {
                let ty = self.annotated_type(ty)?;
                let value = self.value(value)?;
                self.narrow(value, &ty, at)
            }
            ("uninitialized", [ty]) => {
                let ty = self.annotated_type(ty)?;
                self.uninit(ty, at)
            }
            ("isinstance", [value, types]) => self.instance_test(value, types, at)?.value,
            ("is_scripting", []) => self.bool(true, at),
            ("never", _) => self.bool(false, at),
            ("getattr", [object, attribute, default @ ..]) => return self.get_attribute(object, attribute, default.first(), at),
            ("hasattr", [object, attribute]) => self.has_attribute(object, attribute, at)?,
            ("print", _) => {
                let values = self.arguments(args, &[])?.positional;
                self.graph.add_node(self.block, Op::Print, values, Vec::new(), at);
                self.none(at)
            }
            ("range", _) => return self.range(args, at),
            ("enumerate", _) => return self.enumerate(args, keywords, at),
            ("zip", _) => return self.zip(args),
            ("reversed", [value]) => self.reversed(value, at)?,
            ("len", [value]) => self.len(value, at)?,
            ("list", _) => self.list_of(args, hint, at)?,
            ("tuple", _) => return self.tuple_of(args, at),
            ("dict", _) => self.dict_of(args, keywords, hint, at)?,
            ("int" | "float" | "bool" | "str" | "complex", _) => self.cast(name, args, at)?,
            ("fork" | "awaitable", [func, args @ ..]) => self.fork(func, args, keywords, at)?,
            ("wait", _) => self.wait(receiver, args, at)?,
            ("tolist", []) => self.tolist(receiver.expect("tolist is a method"), hint, at)?,
            ("functional_softmax" | "functional_log_softmax", _) => self.softmax(name, args, keywords, at)?,
            ("unpack", []) => {
                let packed = receiver.expect("unpack is a method");
                let operator = self.unpack_operator(packed, at)?;
                self.table_op(operator, &[packed], at)?
            }
            ("rangelist", [count]) => {
                let count = self.value(count)?;
                self.table_op("prim::rangelist", &[count], at)?
            }
            ("__new__", [class]) => match self.sugar(class)? {
                Sugar::Class(class) => self.add(Op::New(class), Vec::new(), Type::Class(class), at),
                _ => return Err(error("not-a-class", "`__new__` takes a class", at)),
            },
            ("module_values" | "module_items" | "module_keys", []) => return self.module_view(name, receiver, at),
            (exception, _) if builtins::is_exception(exception) => return self.exception(exception, args, at),
            _ => return Err(error("bad-arguments", format!("`{name}` does not take these arguments"), at)),
        };
        Ok(Sugar::Value(value))
    }

    fn annotated_type(&mut self, expr: &Expr) -> Typed<Type> {
        let unit = self.unit.clone();
        self.session.type_of(expr, &unit)
    }

    fn exception(&mut self, class: &str, args: &[Expr], at: Span) -> Typed<Sugar> {
        let message = match args {
            [] => None,
            [one] => {
                let value = self.value(one)?;
                Some(self.text_of(value, at)?)
            }
            // PyTorch makes a tuple's text of several arguments.
            many => {
                let values = self.arguments(many, &[])?.positional;
                let tuple = self.make_tuple(values, at);
                Some(self.text_of(tuple, at)?)
            }
        };
        Ok(Sugar::Exception(class.to_owned(), message))
    }

    fn constant_name(&mut self, expr: &Expr) -> Typed<String> {
        let value = self.value(expr)?;
        match self.graph.as_const(value) {
            Some(kiln_graph::Literal::Str(name)) => Ok(name.clone()),
            _ => Err(error("not-constant", "the name of the attribute must be a constant", expr.span)),
        }
    }

    fn get_attribute(&mut self, object: &Expr, attribute: &Expr, default: Option<&Expr>, at: Span) -> Typed<Sugar> {
        let object = self.sugar(object)?;
        let name = self.constant_name(attribute)?;
        match (self.attribute(object, &name, at), default) {
            (Err(_), Some(default)) => self.sugar(default),
            (result, _) => result,
        }
    }

    fn has_attribute(&mut self, object: &Expr, attribute: &Expr, at: Span) -> Typed<Value> {
        let object = self.value(object)?;
        let name = self.constant_name(attribute)?;
        let Type::Class(class) = *self.ty(object) else { return Ok(self.bool(false, at)) };
        let class = &self.session.program.classes[class];
        let has = class.slot(&name).is_some() || class.method(&name).is_some();
        Ok(self.bool(has, at))
    }

    /// `range(stop)`, `range(start, stop)`, `range(start, stop, step)`.
    fn range(&mut self, args: &[Expr], at: Span) -> Typed<Sugar> {
        let values = self.arguments(args, &[])?.positional;
        let values = values.into_iter().map(|v| self.fit(v, &Type::Int, at)).collect::<Typed<Vec<_>>>()?;
        let range = match *values.as_slice() {
            [stop] => Iterable::Range { start: None, step: None, length: stop },
            [start, stop] => {
                let step = self.int(1, at);
                let length = self.table_op("aten::__range_length", &[start, stop, step], at)?;
                Iterable::Range { start: Some(start), step: Some(step), length }
            }
            [start, stop, step] => {
                let length = self.table_op("aten::__range_length", &[start, stop, step], at)?;
                Iterable::Range { start: Some(start), step: Some(step), length }
            }
            _ => return Err(error("bad-arguments", format!("`range` takes one to three arguments, not {}", values.len()), at)),
        };
        Ok(Sugar::Iterable(Box::new(range)))
    }

    /// Something iterable as a meaning that can be indexed.
    fn iterable(&mut self, expr: &Expr) -> Typed<Sugar> {
        let sugar = self.sugar(expr)?;
        Ok(match self.items(sugar, expr.span)? {
            Items::Known(items) => Sugar::Sequence(items),
            Items::Counted(iterable, _) => iterable,
        })
    }

    fn enumerate(&mut self, args: &[Expr], keywords: &[(String, Expr)], at: Span) -> Typed<Sugar> {
        let [iterated, rest @ ..] = args else {
            return Err(error("bad-arguments", "`enumerate` takes something to go over", at));
        };
        let inner = self.iterable(iterated)?;
        let start = rest.first().or_else(|| keywords.iter().find(|(n, _)| n == "start").map(|(_, v)| v));
        let start = match start {
            Some(start) => self.value(start)?,
            None => self.int(0, at),
        };
        Ok(Sugar::Iterable(Box::new(Iterable::Enumerate { inner, start })))
    }

    fn zip(&mut self, args: &[Expr]) -> Typed<Sugar> {
        let parts = args.iter().map(|a| self.iterable(a)).collect::<Typed<Vec<_>>>()?;
        Ok(Sugar::Iterable(Box::new(Iterable::Zip(parts))))
    }

    fn reversed(&mut self, expr: &Expr, at: Span) -> Typed<Value> {
        let value = self.value(expr)?;
        let copy = self.table_op("aten::list", &[value], at)?;
        self.table_op("aten::reverse", &[copy], at)?;
        Ok(copy)
    }

    fn len(&mut self, expr: &Expr, at: Span) -> Typed<Value> {
        let sugar = self.sugar(expr)?;
        if let Sugar::Sequence(items) = &sugar {
            return Ok(self.int(items.len() as i64, at));
        }
        let value = self.value_of(sugar, at)?;
        if let Some(types) = self.tuple_types(value) {
            return Ok(self.int(types.len() as i64, at));
        }
        if let Some(length) = self.call_magic(value, "__len__", &[], at)? {
            return Ok(length);
        }
        if let Some(class) = self.object_class(value)
            && self.session.program.classes[class].kind == kiln_graph::ClassKind::Module
        {
            let count = self.submodules(value, at).len();
            return Ok(self.int(count as i64, at));
        }
        self.table_op("aten::len", &[value], at)
    }

    fn list_of(&mut self, args: &[Expr], hint: Option<&Type>, at: Span) -> Typed<Value> {
        let [arg] = args else {
            return self.list_literal(&[], hint, at);
        };
        let sugar = self.sugar(arg)?;
        if let Sugar::Value(value) = sugar
            && matches!(self.ty(value), Type::List(_) | Type::Str)
        {
            return self.table_op("aten::list", &[value], at);
        }
        match self.items(sugar, at)? {
            Items::Known(items) => {
                let values = items.into_iter().map(|i| self.value_of(i, at)).collect::<Typed<Vec<_>>>()?;
                let tuple = self.make_tuple(values, at);
                let elem = match self.ty(tuple) {
                    Type::Tuple(types) => types.first().cloned().unwrap_or(Type::TENSOR),
                    _ => Type::TENSOR,
                };
                self.fit(tuple, &Type::list(elem), at)
            }
            Items::Counted(Sugar::Iterable(iterable), _) => self.materialize_iterable(*iterable, at),
            Items::Counted(..) => Err(error("not-iterable", "this cannot be iterated over", at)),
        }
    }

    fn tuple_of(&mut self, args: &[Expr], at: Span) -> Typed<Sugar> {
        let [arg] = args else {
            return Ok(Sugar::Value(self.make_tuple(Vec::new(), at)));
        };
        let sugar = self.sugar(arg)?;
        if let Sugar::Value(value) = sugar
            && let Some(items) = self.graph.as_list(value).map(<[Value]>::to_vec)
        {
            return Ok(Sugar::Value(self.make_tuple(items, at)));
        }
        match self.items(sugar, at)? {
            Items::Known(items) => Ok(Sugar::Sequence(items)),
            Items::Counted(..) => Err(error("unknown-length", "a tuple's length must be known, and this one's is not", at)),
        }
    }

    fn dict_of(&mut self, args: &[Expr], keywords: &[(String, Expr)], hint: Option<&Type>, at: Span) -> Typed<Value> {
        let dict = match args {
            [] => {
                let items: Vec<(Expr, Expr)> = keywords
                    .iter()
                    .map(|(name, value)| (Expr { span: value.span, kind: ExprKind::Str(name.clone()) }, value.clone()))
                    .collect();
                return self.dict_literal(&items, hint, at);
            }
            [arg] => {
                let value = self.value(arg)?;
                self.table_op("aten::dict", &[value], at)?
            }
            _ => return Err(error("bad-arguments", "`dict` takes one argument", at)),
        };
        for (name, value) in keywords {
            let key = self.str(name, at);
            let value = self.value(value)?;
            self.table_op("aten::_set_item", &[dict, key, value], at)?;
        }
        Ok(dict)
    }

    /// `int(x)` and the like.
    fn cast(&mut self, name: &str, args: &[Expr], at: Span) -> Typed<Value> {
        let (ty, operator, magic) = match name {
            "int" => (Type::Int, "aten::Int", "__int__"),
            "float" => (Type::Float, "aten::Float", "__float__"),
            "bool" => (Type::Bool, "aten::Bool", "__bool__"),
            "str" => (Type::Str, "aten::str", "__str__"),
            _ => (Type::Complex, "aten::Complex", "__complex__"),
        };
        let values = self.arguments(args, &[])?.positional;
        if let [value] = *values.as_slice() {
            if *self.ty(value) == ty {
                return Ok(value);
            }
            if let Some(result) = self.call_magic(value, magic, &[], at)? {
                return Ok(result);
            }
        }
        self.call_operator(operator, Args::positional(&values), at)
    }

    /// `fork(f, args)` runs at once: nothing can see the difference but time.
    fn fork(&mut self, func: &Expr, args: &[Expr], keywords: &[(String, Expr)], at: Span) -> Typed<Value> {
        let callee = self.sugar(func)?;
        let args = self.arguments(args, keywords)?;
        let result = self.call_sugar(callee, args, at)?;
        let result = self.value_of(result, at)?;
        let ty = Type::Future(self.ty(result).clone().into());
        Ok(self.add(Op::Cast, vec![result], ty, at))
    }

    fn wait(&mut self, receiver: Option<Value>, args: &[Expr], at: Span) -> Typed<Value> {
        let future = match (receiver, args) {
            (Some(future), []) => future,
            (None, [future]) => self.value(future)?,
            _ => return Err(error("bad-arguments", "`wait` takes a future", at)),
        };
        self.wait_for(future, at)
    }

    /// The value of a future.
    pub fn wait_for(&mut self, future: Value, at: Span) -> Typed<Value> {
        match self.ty(future).clone() {
            Type::Future(inner) => Ok(self.add(Op::Cast, vec![future], (*inner).clone(), at)),
            ty => Err(error("not-a-future", format!("a value of type `{}` cannot be waited for", self.show(&ty)), at)),
        }
    }

    /// `x.tolist()`: the annotation around it gives the nesting and the element type.
    pub fn tolist(&mut self, tensor: Value, hint: Option<&Type>, at: Span) -> Typed<Value> {
        let Some(hint) = hint else {
            return Err(error("unknown-type", "the type of `tolist()` must be given by an annotation", at)
                .help_boxed("write `x: List[float] = t.tolist()`"));
        };
        let (mut depth, mut elem) = (0, hint.clone());
        while let Type::List(inner) = elem {
            elem = (*inner).clone();
            depth += 1;
        }
        // `prim::tolist`'s code of the element type (`torch/csrc/jit/runtime/register_prim_ops.cpp`).
        let code = match elem {
            Type::Int => 0,
            Type::Float => 1,
            Type::Bool => 2,
            Type::Complex => 3,
            _ => return Err(error("unknown-type", format!("`tolist()` cannot give a `{}`", self.show(hint)), at)),
        };
        let operands = vec![tensor, self.int(depth, at), self.int(code, at)];
        Ok(self.add(Op::Table(table().get("prim::tolist")), operands, hint.clone(), at))
    }

    /// `softmax(input, dim, _stacklevel, dtype)` of `torch.nn.functional`.
    fn softmax(&mut self, name: &str, args: &[Expr], keywords: &[(String, Expr)], at: Span) -> Typed<Value> {
        let mut args = self.arguments(args, keywords)?;
        args.keywords.retain(|(name, _)| name != "_stacklevel");
        if args.positional.len() > 2 {
            args.positional.remove(2);
        }
        let operator = if name == "functional_softmax" { "aten::softmax" } else { "aten::log_softmax" };
        self.call_operator(operator, args, at)
    }

    /// The operator that `packed.unpack()` is.
    fn unpack_operator(&self, packed: Value, at: Span) -> Typed<&'static str> {
        let Type::Class(class) = *self.ty(packed) else {
            return Err(error("no-attribute", "this has no method `unpack`", at));
        };
        let name = self.session.program.classes[class].name.as_str();
        match name.rsplit('.').next().unwrap_or_default() {
            "LinearPackedParamsBase" => Ok("quantized::linear_unpack"),
            "Conv2dPackedParamsBase" => Ok("quantized::conv2d_unpack"),
            "Conv3dPackedParamsBase" => Ok("quantized::conv3d_unpack"),
            "EmbeddingPackedParamsBase" => Ok("quantized::embedding_bag_unpack"),
            _ => Err(crate::unsupported(
                "custom-class",
                format!("method `unpack` of the custom class `{name}` is not supported"),
                at,
            )),
        }
    }

    fn module_view(&mut self, name: &str, receiver: Option<Value>, at: Span) -> Typed<Sugar> {
        let module = receiver.expect("views are methods");
        let modules = self.submodules(module, at);
        let names = self.submodule_names(module);
        let keys: Vec<Sugar> = names.iter().map(|n| Sugar::Value(self.str(n, at))).collect();
        Ok(Sugar::Sequence(match name {
            "module_values" => modules,
            "module_keys" => keys,
            _ => keys.into_iter().zip(modules).map(|(k, m)| Sugar::Sequence(vec![k, m])).collect(),
        }))
    }
}
