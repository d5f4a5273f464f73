//! Functions of Python and of its library that constructors use.

use crate::arguments::Keywords;
use crate::evaluator::{Eval, Evaluator, error, unsupported};
use crate::value::{ClassKind, Object, Partial, Tensor, Value};
use kiln_support::Span;
use std::rc::Rc;

/// Names of Python that every file knows.
const NAMES: &[&str] = &[
    "abs",
    "all",
    "any",
    "bool",
    "callable",
    "deepcopy",
    "dict",
    "divmod",
    "enumerate",
    "filter",
    "float",
    "getattr",
    "hasattr",
    "id",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "list",
    "map",
    "max",
    "min",
    "next",
    "object",
    "print",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "str",
    "sum",
    "tuple",
    "type",
    "vars",
    "zip",
];

/// The value of a name that no file defines.
pub fn named(name: &str) -> Option<Value> {
    if NAMES.contains(&name) {
        return Some(Value::path(format!("builtins.{name}")));
    }
    let is_exception = name.ends_with("Error") || matches!(name, "Exception" | "Warning" | "UserWarning" | "StopIteration");
    is_exception.then(|| Value::path(format!("builtins.{name}")))
}

/// The value of a full path that is a constant.
pub fn constant(path: &str) -> Option<Value> {
    Some(Value::Float(match path {
        "math.pi" | "torch.pi" | "numpy.pi" => std::f64::consts::PI,
        "math.e" => std::f64::consts::E,
        "math.tau" => std::f64::consts::TAU,
        "math.inf" | "torch.inf" | "numpy.inf" => f64::INFINITY,
        "math.nan" | "torch.nan" => f64::NAN,
        _ => return None,
    }))
}

impl Evaluator<'_> {
    /// Calls what a full path stands for.
    pub fn call_path(&mut self, path: &str, args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        if let Some(name) = path.strip_prefix("builtins.") {
            return self.call_python(name, args, keywords, at);
        }
        if let Some(name) = path.strip_prefix("math.") {
            return self.call_math(name, &args, at);
        }
        match path {
            "copy.deepcopy" => self.call_python("deepcopy", args, keywords, at),
            "copy.copy" => match args.as_slice() {
                [Value::List(items)] => Ok(Value::list(items.borrow().clone())),
                [Value::Dict(items)] => Ok(Value::dict(items.borrow().clone())),
                _ => Err(unsupported("`copy.copy` of such a value is not supported: use copy.deepcopy", at)),
            },
            "functools.partial" => {
                let mut args = args.into_iter();
                let function = args.next().ok_or_else(|| error("bad-arguments", "`partial` takes a function", at))?;
                Ok(Value::Partial(Rc::new(Partial { function, args: args.collect(), keywords })))
            }
            "collections.OrderedDict" | "collections.defaultdict" | "typing.OrderedDict" => {
                self.call_python("dict", args, keywords, at)
            }
            "warnings.warn" | "logging.getLogger" | "torch.manual_seed" | "random.seed" => Ok(Value::None),
            _ if path.starts_with("torch.nn.Module.") => self.call_unbound(path, args, keywords, at),
            _ if path.starts_with("torch.") || path == "torch" => self.call_torch(path, args, keywords, at),
            _ => Err(unsupported(format!("`{path}` in a constructor is not supported"), at)),
        }
    }

    /// `Module.__init__(self)`.
    fn call_unbound(&mut self, path: &str, mut args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        if args.is_empty() {
            return Err(error("bad-arguments", "the receiver is missing", at));
        }
        let receiver = args.remove(0);
        let name = path.rsplit('.').next().unwrap_or_default();
        self.call_builtin(&receiver, name, args, keywords, at)
    }

    /// Calls a method that Python or PyTorch define.
    pub fn call_builtin(&mut self, receiver: &Value, name: &str, args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        match receiver {
            Value::Object(object) if object.class.kind == ClassKind::Module => {
                self.module_method(object, name, args, keywords, at)
            }
            Value::Tensor(_) => self.tensor_method(receiver, name, args, keywords, at),
            // The constructor of `object`.
            Value::Super(..) if name == "__init__" => Ok(Value::None),
            _ => self.container_method(receiver, name, args, keywords, at),
        }
    }

    fn call_python(&mut self, name: &str, args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        Ok(match (name, args.as_slice()) {
            ("print", _) => Value::None,
            ("len", [value]) => Value::Int(self.length(value, at)?),
            ("range", _) => self.range(&args, at)?,
            ("list", []) => Value::list(Vec::new()),
            ("list", [value]) => Value::list(self.items(value, at)?),
            ("iter", [value]) => Value::list(self.items(value, at)?),
            ("tuple", []) => Value::tuple(Vec::new()),
            ("tuple", [value]) => Value::tuple(self.items(value, at)?),
            ("set", []) => Value::list(Vec::new()),
            ("set", [value]) => {
                let mut out: Vec<Value> = Vec::new();
                for item in self.items(value, at)? {
                    if !out.iter().any(|own| own.equals(&item)) {
                        out.push(item);
                    }
                }
                Value::list(out)
            }
            ("dict", _) => self.dict(&args, keywords, at)?,
            ("enumerate", [value, rest @ ..]) => {
                let first = rest.first().or(keywords.first().map(|(_, value)| value)).and_then(Value::as_int).unwrap_or(0);
                let items = self.items(value, at)?.into_iter().zip(first..);
                Value::list(items.map(|(item, i)| Value::tuple(vec![Value::Int(i), item])).collect())
            }
            ("zip", _) => self.zip(&args, at)?,
            ("map", [function, value]) => {
                let items = self.items(value, at)?;
                let mapped = items.into_iter().map(|item| self.call(function.clone(), vec![item], Vec::new(), at));
                Value::list(mapped.collect::<Eval<_>>()?)
            }
            ("filter", [function, value]) => {
                let mut kept = Vec::new();
                for item in self.items(value, at)? {
                    let holds = match function {
                        Value::None => item.clone(),
                        function => self.call(function.clone(), vec![item.clone()], Vec::new(), at)?,
                    };
                    if self.truth(&holds, at)? {
                        kept.push(item);
                    }
                }
                Value::list(kept)
            }
            ("reversed", [value]) => Value::list(self.items(value, at)?.into_iter().rev().collect()),
            ("sorted", [value]) => Value::list(self.sorted(value, &keywords, at)?),
            ("any" | "all", [value]) => {
                let mut result = name == "all";
                for item in self.items(value, at)? {
                    if self.truth(&item, at)? != result {
                        result = !result;
                        break;
                    }
                }
                Value::Bool(result)
            }
            ("sum", [value, rest @ ..]) => {
                let mut sum = rest.first().cloned().unwrap_or(Value::Int(0));
                for item in self.items(value, at)? {
                    sum = self.binary(kiln_frontend::ast::BinOp::Add, sum, item, at)?;
                }
                sum
            }
            ("min" | "max", [value]) => {
                let items = self.items(value, at)?;
                self.extreme(name, items, at)?
            }
            ("min" | "max", [_, _, ..]) => self.extreme(name, args, at)?,
            ("divmod", [a, b]) => {
                let quotient = self.binary(kiln_frontend::ast::BinOp::FloorDiv, a.clone(), b.clone(), at)?;
                let rest = self.binary(kiln_frontend::ast::BinOp::Mod, a.clone(), b.clone(), at)?;
                Value::tuple(vec![quotient, rest])
            }
            ("abs", [Value::Float(x)]) => Value::Float(x.abs()),
            ("abs", [value]) if value.as_int().is_some() => Value::Int(value.as_int().unwrap_or(0).wrapping_abs()),
            ("round", [Value::Float(x)]) => Value::Int(x.round_ties_even() as i64),
            // Rounded as decimal digits, as Python does.
            ("round", [Value::Float(x), Value::Int(digits @ 0..=300)]) => {
                Value::Float(format!("{x:.*}", *digits as usize).parse().unwrap_or(*x))
            }
            ("round", [Value::Int(i)]) => Value::Int(*i),
            ("int", [value]) => self.int_of(value, at)?,
            ("float", [Value::Str(text)]) => match text.trim().parse::<f64>() {
                Ok(x) => Value::Float(x),
                Err(_) => return Err(error("raised", format!("could not convert string to float: '{text}'"), at)),
            },
            ("float", [Value::Tensor(_)]) => self.tensor_code("return float(t0)", &args, at)?,
            ("float", [value]) if value.as_float().is_some() => Value::Float(value.as_float().unwrap_or(0.0)),
            ("bool", [value]) => Value::Bool(self.truth(value, at)?),
            ("str", [value]) => Value::str(self.text(value)),
            ("repr", [value]) => Value::str(self.repr(value)),
            ("isinstance", [value, types]) => Value::Bool(self.is_instance(value, types)),
            ("issubclass", [Value::Class(class), Value::Class(other)]) => Value::Bool(class.derives(other)),
            ("type", [value]) => type_of(value),
            ("callable", [value]) => Value::Bool(matches!(
                value,
                Value::Function(_) | Value::Lambda(_) | Value::Method(..) | Value::Class(_) | Value::Partial(_) | Value::Path(_)
            )),
            ("hasattr", [value, Value::Str(name)]) => Value::Bool(self.has_attribute(value, name, at)?),
            ("getattr", [value, Value::Str(name), rest @ ..]) => match rest.first() {
                Some(default) if !self.has_attribute(value, name, at)? => default.clone(),
                _ => self.attribute(value, name, at)?,
            },
            ("setattr", [object, Value::Str(name), value]) => {
                self.set_attribute(object, name, value.clone(), at)?;
                Value::None
            }
            ("deepcopy", [value]) => deep_copy(value, &mut Vec::new()),
            _ => return Err(unsupported(format!("`{name}` with these arguments is not supported in a constructor"), at)),
        })
    }

    /// `len(value)`.
    pub fn length(&mut self, value: &Value, at: Span) -> Eval<i64> {
        if let Value::Object(object) = value
            && let Some(method) = self.class_attribute(&object.class, "__len__", at)?
        {
            let bound = self.bind(method, value.clone());
            let length = self.call(bound, Vec::new(), Vec::new(), at)?;
            return length.as_int().ok_or_else(|| error("raised", "`__len__` gives an int", at));
        }
        Ok(self.items(value, at)?.len() as i64)
    }

    fn range(&mut self, args: &[Value], at: Span) -> Eval<Value> {
        let ints: Option<Vec<i64>> = args.iter().map(Value::as_int).collect();
        let (start, stop, step) = match ints.as_deref() {
            Some([stop]) => (0, *stop, 1),
            Some([start, stop]) => (*start, *stop, 1),
            Some([start, stop, step]) if *step != 0 => (*start, *stop, *step),
            _ => return Err(error("bad-arguments", "`range` takes integers", at)),
        };
        let mut out = Vec::new();
        let mut i = start;
        while if step > 0 { i < stop } else { i > stop } {
            self.step(at)?;
            out.push(Value::Int(i));
            i = i.saturating_add(step);
        }
        Ok(Value::list(out))
    }

    fn dict(&mut self, args: &[Value], keywords: Keywords, at: Span) -> Eval<Value> {
        let mut out = Vec::new();
        match args {
            [] => {}
            [Value::Dict(items)] => out.extend(items.borrow().iter().cloned()),
            [pairs] => {
                for pair in self.items(pairs, at)? {
                    let [key, value] = <[Value; 2]>::try_from(self.items(&pair, at)?)
                        .map_err(|_| error("bad-arguments", "`dict` takes pairs of a key and a value", at))?;
                    crate::containers::dict_set(&mut out, key, value);
                }
            }
            _ => return Err(error("bad-arguments", "`dict` takes one argument", at)),
        }
        for (key, value) in keywords {
            crate::containers::dict_set(&mut out, Value::str(key), value);
        }
        Ok(Value::dict(out))
    }

    fn zip(&mut self, args: &[Value], at: Span) -> Eval<Value> {
        let columns = args.iter().map(|arg| self.items(arg, at)).collect::<Eval<Vec<_>>>()?;
        let rows = columns.iter().map(Vec::len).min().unwrap_or(0);
        Ok(Value::list((0..rows).map(|row| Value::tuple(columns.iter().map(|column| column[row].clone()).collect())).collect()))
    }

    fn extreme(&mut self, name: &str, items: Vec<Value>, at: Span) -> Eval<Value> {
        let op = if name == "min" { kiln_frontend::ast::CompareOp::Lt } else { kiln_frontend::ast::CompareOp::Gt };
        let mut best: Option<Value> = None;
        for item in items {
            let is_better = match &best {
                Some(best) => self.compare(op, &item, best, at)?,
                None => true,
            };
            if is_better {
                best = Some(item);
            }
        }
        best.ok_or_else(|| error("raised", format!("{name}() of an empty sequence"), at))
    }

    fn int_of(&mut self, value: &Value, at: Span) -> Eval<Value> {
        Ok(match value {
            Value::Float(x) => Value::Int(*x as i64),
            Value::Str(text) => match text.trim().parse::<i64>() {
                Ok(i) => Value::Int(i),
                Err(_) => return Err(error("raised", format!("invalid literal for int() with base 10: '{text}'"), at)),
            },
            Value::Tensor(_) => self.tensor_code("return int(t0)", std::slice::from_ref(value), at)?,
            other => match other.as_int() {
                Some(i) => Value::Int(i),
                None => return Err(error("bad-arguments", format!("`int` does not take a {}", other.type_name()), at)),
            },
        })
    }

    fn call_math(&mut self, name: &str, args: &[Value], at: Span) -> Eval<Value> {
        let numbers: Vec<f64> = args.iter().filter_map(Value::as_float).collect();
        let ints: Vec<i64> = args.iter().filter_map(Value::as_int).collect();
        Ok(match (name, numbers.as_slice()) {
            ("floor", [x]) => Value::Int(x.floor() as i64),
            ("ceil", [x]) => Value::Int(x.ceil() as i64),
            ("trunc", [x]) => Value::Int(*x as i64),
            ("gcd", [_, _]) if ints.len() == 2 => {
                let (mut a, mut b) = (ints[0].unsigned_abs(), ints[1].unsigned_abs());
                while b != 0 {
                    (a, b) = (b, a % b);
                }
                Value::Int(a as i64)
            }
            ("prod", _) => {
                let [value] = args else { return Err(error("bad-arguments", "`prod` takes a list", at)) };
                let mut product = Value::Int(1);
                for item in self.items(value, at)? {
                    product = self.binary(kiln_frontend::ast::BinOp::Mul, product, item, at)?;
                }
                product
            }
            ("isnan", [x]) => Value::Bool(x.is_nan()),
            ("isinf", [x]) => Value::Bool(x.is_infinite()),
            ("log", [x, base]) => Value::Float(x.ln() / base.ln()),
            ("pow", [x, y]) => Value::Float(x.powf(*y)),
            ("sqrt", [x]) if *x >= 0.0 => Value::Float(x.sqrt()),
            (_, [x]) => Value::Float(match name {
                "exp" => x.exp(),
                "log" => x.ln(),
                "log2" => x.log2(),
                "log10" => x.log10(),
                "sin" => x.sin(),
                "cos" => x.cos(),
                "tan" => x.tan(),
                "tanh" => x.tanh(),
                "fabs" => x.abs(),
                "radians" => x.to_radians(),
                "degrees" => x.to_degrees(),
                _ => return Err(unsupported(format!("`math.{name}` in a constructor is not supported"), at)),
            }),
            _ => return Err(unsupported(format!("`math.{name}` with these arguments is not supported in a constructor"), at)),
        })
    }

    fn has_attribute(&mut self, value: &Value, name: &str, at: Span) -> Eval<bool> {
        Ok(match value {
            Value::Object(object) => object.get(name).is_some() || self.class_attribute(&object.class, name, at)?.is_some(),
            Value::Class(class) => self.class_attribute(class, name, at)?.is_some(),
            Value::Str(_) | Value::List(_) | Value::Dict(_) | Value::Tuple(_) | Value::Tensor(_) => !name.starts_with("__"),
            other => self.attribute(other, name, at).is_ok(),
        })
    }

    fn is_instance(&self, value: &Value, types: &Value) -> bool {
        match types {
            Value::Tuple(types) => types.iter().any(|ty| self.is_instance(value, ty)),
            Value::Class(class) => match value {
                Value::Object(object) => object.class.derives(class),
                Value::Member(member) => member.class.derives(class),
                _ => false,
            },
            Value::Path(path) => match path.rsplit('.').next().unwrap_or_default() {
                "int" => matches!(value, Value::Int(_) | Value::Bool(_)),
                "bool" => matches!(value, Value::Bool(_)),
                "float" => matches!(value, Value::Float(_)),
                "str" => matches!(value, Value::Str(_)),
                "list" | "List" => matches!(value, Value::List(_)),
                "tuple" | "Tuple" => matches!(value, Value::Tuple(_)),
                "dict" | "Dict" | "OrderedDict" | "Mapping" => matches!(value, Value::Dict(_)),
                "Sequence" => matches!(value, Value::List(_) | Value::Tuple(_) | Value::Str(_)),
                "Iterable" | "Container" => {
                    matches!(value, Value::List(_) | Value::Tuple(_) | Value::Str(_) | Value::Dict(_))
                }
                "Tensor" => matches!(value, Value::Tensor(_)),
                "Parameter" => matches!(value, Value::Tensor(tensor) if tensor.is_parameter.get()),
                "Callable" => matches!(value, Value::Function(_) | Value::Lambda(_) | Value::Path(_) | Value::Partial(_)),
                "slice" => matches!(value, Value::Slice(_)),
                "object" => true,
                _ => false,
            },
            _ => false,
        }
    }
}

fn type_of(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Class(object.class.clone()),
        Value::Member(member) => Value::Class(member.class.clone()),
        other => Value::path(format!("builtins.{}", other.type_name())),
    }
}

/// A copy of a value and all that it reaches; `done` are the objects copied so far.
fn deep_copy(value: &Value, done: &mut Vec<(Value, Value)>) -> Value {
    if let Some((_, copy)) = done.iter().find(|(own, _)| own.is(value) && !matches!(own, Value::Int(_) | Value::Float(_))) {
        return copy.clone();
    }
    match value {
        Value::List(items) => {
            let copy = Value::list(Vec::new());
            done.push((value.clone(), copy.clone()));
            let copied = items.borrow().iter().map(|item| deep_copy(item, done)).collect();
            if let Value::List(own) = &copy {
                *own.borrow_mut() = copied;
            }
            copy
        }
        Value::Tuple(items) => Value::tuple(items.iter().map(|item| deep_copy(item, done)).collect()),
        Value::Dict(items) => {
            Value::dict(items.borrow().iter().map(|(key, item)| (deep_copy(key, done), deep_copy(item, done))).collect())
        }
        Value::Tensor(tensor) => {
            let copied = Tensor::new(tensor.value.borrow().clone(), tensor.is_parameter.get());
            copied.requires_grad.set(tensor.requires_grad.get());
            let copy = Value::Tensor(Rc::new(copied));
            done.push((value.clone(), copy.clone()));
            copy
        }
        Value::Object(object) => {
            let copy = Rc::new(Object::new(object.class.clone()));
            done.push((value.clone(), Value::Object(copy.clone())));
            for (name, item) in object.attributes.borrow().iter() {
                copy.set(name, deep_copy(item, done));
            }
            copy.annotations.borrow_mut().clone_from(&object.annotations.borrow());
            copy.buffers.borrow_mut().clone_from(&object.buffers.borrow());
            copy.unsaved.borrow_mut().clone_from(&object.unsaved.borrow());
            Value::Object(copy)
        }
        other => other.clone(),
    }
}
