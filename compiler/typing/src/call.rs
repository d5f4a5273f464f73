//! Calls: of functions, methods, constructors, operators and casts.

use crate::body::Body;
use crate::builtins;
use crate::error;
use crate::overload::Args;
use crate::sugar::{Sugar, Typed};
use kiln_frontend::ast::{Expr, ExprKind};
use kiln_graph::{ClassId, ClassKind, FuncId, Initial, Op, Param, Type, Value};
use kiln_support::Span;

impl Body<'_, '_> {
    /// `func(args, name=value)`.
    pub fn call(
        &mut self,
        func: &Expr,
        args: &[Expr],
        keywords: &[(String, Expr)],
        hint: Option<&Type>,
        at: Span,
    ) -> Typed<Sugar> {
        match self.sugar(func)? {
            Sugar::Special(name, receiver) => self.call_special(name, receiver, args, keywords, hint, at),
            Sugar::Operator(name, receiver) if name == "prim::tolist" && receiver.is_none() && !args.is_empty() => {
                let tensor = self.value(&args[0])?;
                self.tolist(tensor, hint, at).map(Sugar::Value)
            }
            Sugar::NoContext => Ok(Sugar::NoContext),
            callee => {
                let args = self.arguments(args, keywords)?;
                self.call_sugar(callee, args, at)
            }
        }
    }

    /// Evaluates the arguments of a call, in order.
    pub fn arguments(&mut self, args: &[Expr], keywords: &[(String, Expr)]) -> Typed<Args> {
        let mut out = Args::default();
        for arg in args {
            match &arg.kind {
                ExprKind::Starred(inner) => {
                    for item in self.spread(inner)? {
                        let value = self.value_of(item, arg.span)?;
                        out.positional.push(value);
                    }
                }
                _ => out.positional.push(self.value(arg)?),
            }
        }
        for (name, value) in keywords {
            if name == "**" {
                let error = crate::unsupported("unsupported-syntax", "`**` in a call is not supported", value.span);
                return Err(Box::new(error.help("write out the keyword arguments")));
            }
            let value = self.value(value)?;
            out.keywords.push((name.clone(), value));
        }
        Ok(out)
    }

    /// Calls something with evaluated arguments.
    pub fn call_sugar(&mut self, callee: Sugar, mut args: Args, at: Span) -> Typed<Sugar> {
        match callee {
            Sugar::Function(func) => self.call_function(func, args, at).map(Sugar::Value),
            Sugar::Class(class) => self.construct(class, args, at).map(Sugar::Value),
            Sugar::Operator(name, receiver) => {
                args.receiver = receiver;
                self.call_operator(&name, args, at).map(Sugar::Value)
            }
            Sugar::Method(object, name) => {
                args.positional.insert(0, object);
                self.call_method(&name, args, at).map(Sugar::Value)
            }
            Sugar::TensorCast(tensor, dtype) => {
                let dtype = self.int(dtype, at);
                let no = self.bool(false, at);
                self.call_operator("aten::to", Args::positional(&[tensor, dtype, no, no]), at).map(Sugar::Value)
            }
            Sugar::Value(value) => self.call_value(value, args, at).map(Sugar::Value),
            other => Err(error("not-callable", format!("{} cannot be called", crate::expr::describe(&other)), at)),
        }
    }

    /// `value(...)`: a function held in a variable, or an object with `forward` or `__call__`.
    fn call_value(&mut self, value: Value, mut args: Args, at: Span) -> Typed<Value> {
        match self.ty(value).clone() {
            Type::Function(func) => self.call_function(func, args, at),
            Type::Class(class) => {
                let data = &self.session.program.classes[class];
                let Some(name) = ["forward", "__call__"].into_iter().find(|m| data.method(m).is_some()) else {
                    return Err(error("not-callable", format!("an object of class `{}` cannot be called", data.name), at));
                };
                let name = self.packed_form(class, name, &args);
                args.positional.insert(0, value);
                self.call_method(name, args, at)
            }
            ty => Err(error("not-callable", format!("a value of type `{}` cannot be called", self.show(&ty)), at)),
        }
    }

    /// What a call of a recurrent module with a packed sequence means: TorchScript has overloads of `forward` there.
    fn packed_form(&self, class: ClassId, name: &'static str, args: &Args) -> &'static str {
        let program = &self.session.program;
        let is_packed = args.positional.first().is_some_and(|&input| match self.ty(input) {
            Type::Class(input) => program.classes[*input].name.ends_with(".PackedSequence"),
            _ => false,
        });
        if is_packed && program.classes[class].method("forward_packed").is_some() { "forward_packed" } else { name }
    }

    /// Calls a function of the program.
    pub fn call_function(&mut self, func: FuncId, args: Args, at: Span) -> Typed<Value> {
        self.session.reach(func, at)?;
        let (name, params) = (self.session.program.funcs[func].name.clone(), self.session.program.funcs[func].params.clone());
        let operands = self.match_params(&name, &params, args, at)?;
        let returns = self.session.program.funcs[func].returns.clone();
        Ok(self.add(Op::Call(func), operands, returns, at))
    }

    /// Calls a method; the receiver is the first argument.
    fn call_method(&mut self, name: &str, args: Args, at: Span) -> Typed<Value> {
        let receiver = args.positional[0];
        let Type::Class(class) = *self.ty(receiver) else {
            return Err(error("not-callable", format!("`{name}` is no method"), at));
        };
        let data = &self.session.program.classes[class];
        let Some(func) = data.method(name) else {
            return Err(error("no-attribute", format!("class `{}` has no method `{name}`", data.name), at));
        };
        if data.kind != ClassKind::Interface {
            return self.call_function(func, args, at);
        }
        self.session.dispatched.insert((class, name.to_owned()));
        let function = &self.session.program.funcs[func];
        let (qualified, params, returns) = (function.name.clone(), function.params.clone(), function.returns.clone());
        let operands = self.match_params(&qualified, &params, args, at)?;
        Ok(self.add(Op::CallMethod(name.to_owned()), operands, returns, at))
    }

    /// Calls a magic method if the receiver is an object whose class has it.
    pub fn call_magic(&mut self, receiver: Value, name: &str, args: &[Value], at: Span) -> Typed<Option<Value>> {
        let Some(class) = self.object_class(receiver) else { return Ok(None) };
        if self.session.program.classes[class].method(name).is_none() {
            return Ok(None);
        }
        let positional = std::iter::once(receiver).chain(args.iter().copied()).collect();
        self.call_method(name, Args { positional, ..Args::default() }, at).map(Some)
    }

    /// One operand per parameter: positional, by name, or the default.
    fn match_params(&mut self, name: &str, params: &[Param], args: Args, at: Span) -> Typed<Vec<Value>> {
        let mut positional = args.positional.into_iter();
        let mut keywords = args.keywords;
        let mut operands = Vec::with_capacity(params.len());
        for param in params {
            let by_name = keywords.iter().position(|(n, _)| *n == param.name);
            let given = match (if param.keyword_only { None } else { positional.next() }, by_name) {
                (Some(_), Some(_)) => {
                    return Err(error("bad-arguments", format!("`{name}`: `{}` is given twice", param.name), at));
                }
                (Some(value), None) => Some(value),
                (None, Some(i)) => Some(keywords.remove(i).1),
                (None, None) => None,
            };
            let value = match (given, &param.default) {
                (Some(value), _) => self.argument_as(name, param, value, at)?,
                (None, Some(default)) => self.emit_literal(default, &param.ty, at),
                (None, None) => {
                    return Err(error("bad-arguments", format!("`{name}`: argument `{}` is missing", param.name), at));
                }
            };
            operands.push(value);
        }
        let extra = positional.count();
        if extra > 0 {
            return Err(error(
                "bad-arguments",
                format!("`{name}` takes {} arguments, not {}", params.len(), params.len() + extra),
                at,
            ));
        }
        match keywords.first() {
            Some((keyword, _)) => Err(error("bad-arguments", format!("`{name}` has no argument `{keyword}`"), at)),
            None => Ok(operands),
        }
    }

    fn argument_as(&mut self, name: &str, param: &Param, value: Value, at: Span) -> Typed<Value> {
        if let Some(list) = self.broadcast(param, value, at)? {
            return Ok(list);
        }
        let conversion = self.matcher(true).convert(value, &param.ty);
        let value = self.apply(value, &conversion, at);
        let found = self.ty(value).clone();
        if self.is_subtype(&found, &param.ty) {
            return Ok(value);
        }
        let (wanted, found) = (self.show(&param.ty), self.show(&found));
        Err(error("bad-arguments", format!("`{name}`: argument `{}` takes `{wanted}`, not `{found}`", param.name), at))
    }

    /// A number where a list of so many is asked for.
    fn broadcast(&mut self, param: &Param, value: Value, at: Span) -> Typed<Option<Value>> {
        let (Some(count), Type::List(elem)) = (param.broadcasts, param.ty.without_none()) else { return Ok(None) };
        let value = match (self.ty(value), &*elem) {
            (Type::Int, Type::Int) | (Type::Float, Type::Float) => value,
            (Type::Int, Type::Float) => self.table_op("aten::Float", &[value], at)?,
            _ => return Ok(None),
        };
        let list = self.add(Op::List, vec![value; usize::from(count)], Type::List(elem), at);
        self.fit(list, &param.ty, at).map(Some)
    }

    /// `Class(...)`.
    fn construct(&mut self, class: ClassId, args: Args, at: Span) -> Typed<Value> {
        let data = &self.session.program.classes[class];
        match data.kind {
            ClassKind::NamedTuple => self.named_tuple(class, args, at),
            ClassKind::Plain => {
                let init = data.method("__init__");
                let object = self.add(Op::New(class), Vec::new(), Type::Class(class), at);
                if let Some(init) = init {
                    let positional = std::iter::once(object).chain(args.positional).collect();
                    self.call_function(init, Args { positional, ..args }, at)?;
                }
                Ok(object)
            }
            ClassKind::Enum => {
                let name = data.name.clone();
                Err(crate::unsupported("enum-by-value", format!("a value of `{name}` can only be named, not looked up"), at))
            }
            _ => {
                let name = data.name.clone();
                Err(error("not-callable", format!("`{name}` cannot be constructed here"), at))
            }
        }
    }

    fn named_tuple(&mut self, class: ClassId, args: Args, at: Span) -> Typed<Value> {
        let data = &self.session.program.classes[class];
        let name = data.name.clone();
        let params: Vec<Param> = data
            .fields
            .iter()
            .map(|f| Param {
                name: f.name.clone(),
                ty: f.ty.clone(),
                default: match &f.initial {
                    Some(Initial::Literal(literal)) => Some(literal.clone()),
                    _ => None,
                },
                keyword_only: false,
                broadcasts: None,
            })
            .collect();
        let items = self.match_params(&name, &params, args, at)?;
        Ok(self.add(Op::Tuple(Some(class)), items, Type::Class(class), at))
    }

    /// Whether an expression names a form.
    pub fn names_special(&mut self, func: &Expr, name: &str) -> bool {
        match crate::annotation::dotted(func) {
            Some(path) if path == name => self.env.get(name).is_none(),
            Some(path) => path
                .strip_prefix("torch.")
                .is_some_and(|p| builtins::torch_name(p) == builtins::special(name).map(builtins::TorchName::Special)),
            None => false,
        }
    }
}
