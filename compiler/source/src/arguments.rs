//! Calls: arguments to parameters, and what can be called.

use crate::evaluator::{Eval, Evaluator, Frame, error, unsupported};
use crate::statements::Flow;
use crate::value::{ClassKind, Function, Lambda, Object, Partial, Value};
use kiln_frontend::ast::{Expr, ExprKind, Param};
use kiln_support::Span;
use kiln_support::diag::Label;
use std::rc::Rc;

/// Keyword arguments, in order.
pub type Keywords = Vec<(String, Value)>;

impl Evaluator<'_> {
    /// `func(args, name=value)`.
    pub fn call_expr(
        &mut self,
        func: &Expr,
        args: &[Expr],
        keywords: &[(String, Expr)],
        frame: &mut Frame,
        at: Span,
    ) -> Eval<Value> {
        if let ExprKind::Name(name) = &func.kind
            && name == "super"
        {
            return self.super_of(frame, at);
        }
        let callee = self.expr(func, frame)?;
        let positional = self.spread(args, frame)?;
        let mut named = Keywords::new();
        for (name, value) in keywords {
            let value_at = value.span;
            let value = self.expr(value, frame)?;
            if name != "**" {
                named.push((name.clone(), value));
                continue;
            }
            let Value::Dict(items) = value else { return Err(error("bad-arguments", "`**` takes a dict", value_at)) };
            for (key, value) in items.borrow().iter() {
                let Value::Str(key) = key else { return Err(error("bad-arguments", "keywords must be strings", value_at)) };
                named.push((key.to_string(), value.clone()));
            }
        }
        self.call(callee, positional, named, at)
    }

    fn super_of(&mut self, frame: &Frame, at: Span) -> Eval<Value> {
        match (&frame.class, &frame.receiver) {
            (Some(class), Some(Value::Object(object))) => Ok(Value::Super(class.clone(), object.clone())),
            _ => Err(unsupported("`super()` outside of a method is not supported", at)),
        }
    }

    /// Calls something.
    pub fn call(&mut self, callee: Value, mut args: Vec<Value>, mut keywords: Keywords, at: Span) -> Eval<Value> {
        self.step(at)?;
        match callee {
            Value::Function(function) => self.call_function(&function, None, args, keywords, at),
            Value::Method(receiver, function) => self.call_function(&function, Some(*receiver), args, keywords, at),
            Value::Lambda(lambda) => self.call_lambda(&lambda, args, keywords, at),
            Value::Partial(partial) => {
                let Partial { function, args: first, keywords: given } = &*partial;
                args.splice(0..0, first.iter().cloned());
                for (name, value) in given {
                    if !keywords.iter().any(|(own, _)| own == name) {
                        keywords.push((name.clone(), value.clone()));
                    }
                }
                self.call(function.clone(), args, keywords, at)
            }
            Value::Class(class) => self.construct(&class, args, keywords, at),
            Value::Path(path) => self.call_path(&path, args, keywords, at),
            Value::Builtin(receiver, name) => self.call_builtin(&receiver, &name, args, keywords, at),
            Value::Object(object) => {
                let method = match self.class_attribute(&object.class, "__call__", at)? {
                    Some(method) => method,
                    None if object.class.kind == ClassKind::Module => {
                        return Err(unsupported("running a module while the model is constructed is not supported", at));
                    }
                    None => return Err(error("not-callable", format!("a {} cannot be called", object.class.name), at)),
                };
                let bound = self.bind(method, Value::Object(object));
                self.call(bound, args, keywords, at)
            }
            other => Err(error("not-callable", format!("a value of type {} cannot be called", other.type_name()), at)),
        }
    }

    fn call_function(
        &mut self,
        function: &Rc<Function>,
        receiver: Option<Value>,
        mut args: Vec<Value>,
        keywords: Keywords,
        at: Span,
    ) -> Eval<Value> {
        let def = function.def.clone();
        if let Some(decorator) = def.unknown_decorator() {
            return Err(unsupported("a function with a decorator of your own is not supported", decorator.span));
        }
        let mut frame = Frame::of_unit(function.unit.clone());
        frame.class.clone_from(&function.class);
        if let Some(receiver) = receiver {
            frame.receiver = Some(receiver.clone());
            args.insert(0, receiver);
        } else if function.class.is_some() {
            frame.receiver = args.first().cloned();
        }
        let name = match &function.class {
            Some(class) if def.name == "__init__" => class.name.clone(),
            Some(class) => format!("{}.{}", class.name, def.name),
            None => def.name.clone(),
        };
        let is_bundled = function.unit.starts_with("torch.nn");
        let result = self.deeper(at, |evaluator| {
            let stars = (def.vararg.as_deref(), def.kwarg.as_deref());
            evaluator.bind_arguments(&name, &def.params, stars, args, keywords, &mut frame, at)?;
            match evaluator.run(&def.body, &mut frame)? {
                Flow::Return(value) => Ok(value),
                _ => Ok(Value::None),
            }
        });
        // What goes wrong inside the bundled library is shown at the user's call.
        result.map_err(|mut error| {
            let is_user = !at.is_none() && !self.sources.file(at.file).name.starts_with("kiln torch.nn");
            if is_bundled && is_user && error.labels.first().is_none_or(|label| label.span != at) {
                error.labels.retain(|label| !self.sources.file(label.span.file).name.starts_with("kiln torch.nn"));
                error.labels.insert(0, Label { span: at, text: String::new() });
            }
            error
        })
    }

    fn call_lambda(&mut self, lambda: &Rc<Lambda>, args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        let mut frame = Frame::of_unit(lambda.unit.clone());
        frame.vars.extend(lambda.vars.iter().cloned());
        self.deeper(at, |evaluator| {
            evaluator.bind_arguments("lambda", &lambda.params, (None, None), args, keywords, &mut frame, at)?;
            evaluator.expr(&lambda.body, &mut frame)
        })
    }

    /// Gives every parameter its argument or its default.
    #[expect(clippy::too_many_arguments, reason = "a call has these parts")]
    fn bind_arguments(
        &mut self,
        name: &str,
        params: &[Param],
        (vararg, kwarg): (Option<&str>, Option<&str>),
        args: Vec<Value>,
        mut keywords: Keywords,
        frame: &mut Frame,
        at: Span,
    ) -> Eval<()> {
        let unknown = keywords.iter().find(|(own, _)| !params.iter().any(|param| param.name == *own));
        if let (None, Some((keyword, _))) = (kwarg, unknown) {
            let mut error = error("bad-arguments", format!("`{name}` has no argument `{keyword}`"), at);
            error.help = kiln_support::suggest::did_you_mean(keyword, params.iter().map(|param| param.name.as_str()));
            return Err(error);
        }
        let mut positional = args.into_iter();
        for param in params {
            let by_name = keywords.iter().position(|(own, _)| *own == param.name);
            let given = if param.keyword_only { None } else { positional.next() };
            let value = match (given, by_name) {
                (Some(_), Some(_)) => {
                    return Err(error("bad-arguments", format!("`{name}`: `{}` is given twice", param.name), at));
                }
                (Some(value), None) => value,
                (None, Some(i)) => keywords.remove(i).1,
                (None, None) => match &param.default {
                    Some(default) => self.default_value(default, frame)?,
                    None => return Err(error("bad-arguments", format!("`{name}`: argument `{}` is missing", param.name), at)),
                },
            };
            frame.vars.insert(param.name.clone(), value);
        }
        let rest: Vec<Value> = positional.collect();
        match vararg {
            Some(vararg) => drop(frame.vars.insert(vararg.to_owned(), Value::tuple(rest))),
            None if !rest.is_empty() => {
                let message = format!("`{name}` takes {} arguments, not {}", params.len(), params.len() + rest.len());
                return Err(error("bad-arguments", message, at));
            }
            None => {}
        }
        if let Some(kwarg) = kwarg {
            let items = keywords.into_iter().map(|(key, value)| (Value::str(key), value)).collect();
            frame.vars.insert(kwarg.to_owned(), Value::dict(items));
        }
        Ok(())
    }

    /// A default value: made once, when the function is defined.
    fn default_value(&mut self, default: &Expr, frame: &Frame) -> Eval<Value> {
        if let Some(value) = self.defaults.get(&default.span).filter(|_| !default.span.is_none()) {
            return Ok(value.clone());
        }
        let value = self.expr(default, &mut Frame::of_unit(frame.unit.clone()))?;
        self.defaults.insert(default.span, value.clone());
        Ok(value)
    }

    /// `Class(...)`.
    fn construct(&mut self, class: &Rc<crate::value::Class>, args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        match class.kind {
            ClassKind::NamedTuple => return self.with_fields(class, args, keywords, at),
            ClassKind::Enum => return self.member_of_value(class, &args, at),
            ClassKind::Interface => return Err(error("not-callable", format!("`{}` is an interface", class.name), at)),
            ClassKind::Module | ClassKind::Plain => {}
        }
        if class.kind == ClassKind::Plain && crate::classes::is_data_class(class) {
            if class.mro.borrow().len() > 1 {
                return Err(unsupported("a data class with a base class is not supported", at));
            }
            return self.with_fields(class, args, keywords, at);
        }
        let object = Rc::new(Object::new(class.clone()));
        let value = Value::Object(object.clone());
        match self.class_attribute(class, "__init__", at)? {
            Some(init) => {
                let bound = self.bind(init, value.clone());
                self.call(bound, args, keywords, at)?;
            }
            None if class.kind == ClassKind::Module => object.set("training", Value::Bool(false)),
            None if class.kind == ClassKind::Plain && class.def.is_some() && !args.is_empty() => {
                return Err(error("bad-arguments", format!("`{}` takes no arguments", class.name), at));
            }
            None => {}
        }
        if class.kind == ClassKind::Module && object.get("training").is_none() {
            let message = format!("the constructor of `{}` does not call `super().__init__()`", class.name);
            return Err(error("raised", message, at));
        }
        Ok(value)
    }

    /// One value per parameter of an operator-like function of kiln's own: positional, by name, or none.
    pub fn named_arguments<const N: usize>(
        &mut self,
        name: &str,
        params: [&str; N],
        args: Vec<Value>,
        keywords: Keywords,
        at: Span,
    ) -> Eval<[Option<Value>; N]> {
        let mut out = [const { None }; N];
        if args.len() > N {
            return Err(error("bad-arguments", format!("`{name}` takes {N} arguments, not {}", args.len()), at));
        }
        for (slot, value) in out.iter_mut().zip(args) {
            *slot = Some(value);
        }
        for (keyword, value) in keywords {
            match params.iter().position(|param| *param == keyword) {
                Some(i) if out[i].is_none() => out[i] = Some(value),
                _ => return Err(error("bad-arguments", format!("`{name}` has no argument `{keyword}`"), at)),
            }
        }
        Ok(out)
    }
}
