//! PyTorch's functions while a model is constructed: what makes modules is known here, what computes is handed to the host
//! as a line of code.

use crate::Computed;
use crate::arguments::Keywords;
use crate::evaluator::{Eval, Evaluator, Frame, error, unsupported};
use crate::value::{Tensor, TensorValue, Value};
use kiln_frontend::ast::{Expr, ExprKind};
use kiln_support::Span;
use kiln_support::tensor::count;
use std::rc::Rc;

impl Evaluator<'_> {
    /// Calls `torch.something`.
    pub fn call_torch(&mut self, path: &str, mut args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        let name = path.strip_prefix("torch.").unwrap_or(path);
        match name {
            "nn.Parameter" | "nn.parameter.Parameter" | "nn.Buffer" | "nn.parameter.Buffer" => {
                let Some(Value::Tensor(tensor)) = args.first() else {
                    return Err(error("bad-arguments", "`Parameter` takes a tensor", at));
                };
                let needs_gradient =
                    args.get(1).or(keywords.first().map(|(_, value)| value)).is_none_or(|v| v.truth() != Some(false));
                if needs_gradient && name.ends_with("Parameter") && !tensor.value.borrow().dtype().is_float() {
                    return Err(error("raised", "Only Tensors of floating point and complex dtype can require gradients", at));
                }
                let made = tensor.alias(name.ends_with("Parameter"));
                made.requires_grad.set(needs_gradient && name.ends_with("Parameter"));
                return Ok(Value::Tensor(Rc::new(made)));
            }
            "jit.annotate" if args.len() == 2 => return Ok(args.remove(1)),
            "jit.Attribute" | "jit.script" | "jit.export" | "jit.ignore" | "jit.unused" if !args.is_empty() => {
                return Ok(args.remove(0));
            }
            "jit.is_scripting" | "jit.is_tracing" | "cuda.is_available" | "is_grad_enabled" => return Ok(Value::Bool(false)),
            "no_grad" | "enable_grad" | "inference_mode" | "set_grad_enabled" => return Ok(Value::None),
            "set_default_dtype" | "set_default_tensor_type" => {
                return Err(unsupported(
                    format!("`torch.{name}` is not supported: give the element types where tensors are made"),
                    at,
                ));
            }
            "get_default_dtype" => return Ok(Value::path("torch.float32")),
            "device" => {
                let Some(Value::Str(text) | Value::Device(text)) = args.first() else {
                    return Err(error("bad-arguments", "`device` takes a name", at));
                };
                return Ok(Value::Device(text.clone()));
            }
            "Size" if args.len() == 1 => return Ok(Value::tuple(self.items(&args[0], at)?)),
            "is_tensor" if args.len() == 1 => return Ok(Value::Bool(matches!(args[0], Value::Tensor(_)))),
            // A type as a function: nothing of its result is asked for in a constructor.
            // A module without the values that its constructor would make up.
            "nn.utils.skip_init" if !args.is_empty() => {
                let class = args.remove(0);
                return self.call(class, args, keywords, at);
            }
            "_C._log_api_usage_once" | "_log_api_usage_once" => return Ok(Value::None),
            _ => {}
        }
        if let Some(init) = name.strip_prefix("nn.init.") {
            return self.initialise(init, args, keywords, at);
        }
        let mut tensors = Vec::new();
        if let Some(plain) = like_random(name) {
            let args = if matches!(name, "randint") { last_arguments(args) } else { args };
            let text = self.call_text(&format!("torch.{plain}"), &args, &keywords, &mut tensors, at)?;
            let made = self.tensor_code(&format!("return {text}"), &tensors, at)?;
            let made = opened(made);
            if let Value::Tensor(tensor) = &made {
                tensor.is_blank.set(name.starts_with("empty"));
            }
            return Ok(made);
        }
        let text = self.call_text(&format!("torch.{name}"), &args, &keywords, &mut tensors, at)?;
        self.tensor_code(&format!("return {text}"), &tensors, at)
    }

    /// `torch.nn.init.something_(tensor)`: random values are as good as none, since the weights say them.
    fn initialise(&mut self, name: &str, args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        if name == "calculate_gain" {
            return gain(&args).map(Value::Float).ok_or_else(|| unsupported("this gain is not supported", at));
        }
        let mut keywords = keywords;
        let first = keywords.iter().position(|(name, _)| name == "tensor").map(|i| keywords.remove(i).1);
        let mut args = first.into_iter().chain(args);
        let target = args.next();
        let Some(Value::Tensor(tensor)) = &target else {
            return Err(error("bad-arguments", format!("`{name}` takes a tensor"), at));
        };
        self.require_own(tensor, at)?;
        let value = args.next().or_else(|| keywords.into_iter().find(|(name, _)| name == "val").map(|(_, value)| value));
        let filled = match (name, value.as_ref().and_then(Value::as_float)) {
            ("zeros_", _) => Some("0".to_owned()),
            ("ones_", _) => Some("1".to_owned()),
            ("constant_", Some(x)) => Some(float_text(x)),
            _ => None,
        };
        let new = match filled {
            Some(text) => {
                let (shape, dtype) = (tensor.value.borrow().shape().to_vec(), tensor.value.borrow().dtype().torch_name());
                let code = format!("return torch.full({shape:?}, {text}, dtype=torch.{dtype})");
                match self.tensor_code(&code, &[], at)? {
                    Value::Tensor(new) => new.value.borrow().clone(),
                    _ => return Err(unsupported(format!("`torch.nn.init.{name}` is not supported"), at)),
                }
            }
            None => open_of(&tensor.value.borrow()),
        };
        *tensor.value.borrow_mut() = new;
        Ok(target.expect("it was looked at"))
    }

    /// An error where a tensor that is about to be written shares its memory with another.
    pub fn require_own(&self, tensor: &Tensor, at: Span) -> Eval<()> {
        if !tensor.is_sole() {
            let message = "writing to a tensor that shares its memory with another one is not supported in a constructor";
            return Err(unsupported(message, at));
        }
        Ok(())
    }

    /// Gives a tensor that is about to be written some elements, where it has none and nobody can tell.
    pub fn fill_blank(&mut self, tensor: &Tensor, at: Span) -> Eval<()> {
        if tensor.is_blank.replace(false) {
            let open = Value::tensor(tensor.value.borrow().clone());
            if let Value::Tensor(zeros) = self.tensor_code("return torch.zeros_like(t0)", &[open], at)? {
                let zeros = zeros.value.borrow().clone();
                *tensor.value.borrow_mut() = zeros;
            }
        }
        Ok(())
    }

    /// Writes to a tensor what a line of code over the tensors `t0` (itself), `t1`, ... gives. It keeps its element type and its number
    /// of elements.
    pub fn write_tensor(&mut self, tensor: &Tensor, body: &str, tensors: &[Value], at: Span) -> Eval<()> {
        self.require_own(tensor, at)?;
        self.fill_blank(tensor, at)?;
        let Value::Tensor(new) = self.tensor_code(body, tensors, at)? else {
            return Err(unsupported("this write to a tensor is not supported in a constructor", at));
        };
        let new = new.value.borrow().clone();
        let (dtype, shape) = (tensor.value.borrow().dtype(), tensor.value.borrow().shape().to_vec());
        if new.dtype() != dtype {
            let (found, wanted) = (new.dtype().torch_name(), dtype.torch_name());
            return Err(error("raised", format!("result type {found} can't be cast to the desired output type {wanted}"), at));
        }
        if count(new.shape()) != count(&shape) {
            let message = format!("output with shape {shape:?} doesn't match the broadcast shape {:?}", new.shape());
            return Err(error("raised", message, at));
        }
        *tensor.value.borrow_mut() = new;
        Ok(())
    }

    /// Calls a method of a tensor.
    pub fn tensor_method(&mut self, receiver: &Value, name: &str, args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        let Value::Tensor(tensor) = receiver else { return Err(unsupported("this is not a tensor", at)) };
        if name.ends_with('_') && !name.ends_with("__") && !matches!(name, "requires_grad_" | "detach_") {
            self.require_own(tensor, at)?;
        }
        if matches!(name, "normal_" | "uniform_" | "random_" | "trunc_normal_" | "bernoulli_" | "exponential_") {
            let open = open_of(&tensor.value.borrow());
            *tensor.value.borrow_mut() = open;
            return Ok(receiver.clone());
        }
        if name == "requires_grad_" {
            let on = args.first().or(keywords.first().map(|(_, value)| value)).is_none_or(|on| on.truth() != Some(false));
            tensor.requires_grad.set(on);
            return Ok(receiver.clone());
        }
        if matches!(name, "detach" | "contiguous" | "cpu" | "cuda" | "requires_grad_" | "detach_") {
            return Ok(receiver.clone());
        }
        let mut tensors = vec![receiver.clone()];
        if let Some(plain) = name.strip_suffix('_').filter(|_| !name.ends_with("__")) {
            // In place: the object gets what the operator gives.
            let plain = if plain == "zero" { "mul" } else { plain };
            let args = if name == "zero_" { vec![Value::Int(0)] } else { args };
            let text = match (plain, args.as_slice()) {
                ("copy", [source]) => {
                    let source = self.code_of(source, &mut tensors, at)?;
                    format!("(torch.zeros_like(t0) + {source}).to(t0.dtype)")
                }
                ("fill", [value]) => {
                    let value = self.code_of(value, &mut tensors, at)?;
                    let (shape, dtype) = (tensor.value.borrow().shape().to_vec(), tensor.value.borrow().dtype().torch_name());
                    format!("torch.full({shape:?}, {value}, dtype=torch.{dtype})")
                }
                _ => self.call_text(&format!("t0.{plain}"), &args, &keywords, &mut tensors, at)?,
            };
            self.write_tensor(tensor, &format!("return {text}"), &tensors, at)?;
            return Ok(receiver.clone());
        }
        let text = self.call_text(&format!("t0.{name}"), &args, &keywords, &mut tensors, at)?;
        let result = self.tensor_code(&format!("return {text}"), &tensors, at)?;
        Ok(if VIEWS.contains(&name) { shared_all(result, receiver) } else { result })
    }

    /// `left op right` where one is a tensor.
    pub fn tensor_operator(&mut self, op: &str, left: Value, right: Value, at: Span) -> Eval<Value> {
        let mut tensors = Vec::new();
        let (left, right) = (self.code_of(&left, &mut tensors, at)?, self.code_of(&right, &mut tensors, at)?);
        self.tensor_code(&format!("return {left} {op} {right}"), &tensors, at)
    }

    /// What a line of code over the tensors `t0`, `t1`, ... gives.
    pub fn tensor_code(&mut self, body: &str, tensors: &[Value], at: Span) -> Eval<Value> {
        self.step(at)?;
        let values: Vec<TensorValue> = tensors
            .iter()
            .filter_map(|value| if let Value::Tensor(tensor) = value { Some(tensor.value.borrow().clone()) } else { None })
            .collect();
        match self.host.compute(body, &values) {
            Ok(computed) => Ok(value_of(computed)),
            Err(message) => Err(error("raised", message, at)),
        }
    }

    fn call_text(
        &mut self,
        callee: &str,
        args: &[Value],
        keywords: &Keywords,
        tensors: &mut Vec<Value>,
        at: Span,
    ) -> Eval<String> {
        let mut parts = Vec::new();
        for arg in args {
            parts.push(self.code_of(arg, tensors, at)?);
        }
        for (name, value) in keywords {
            // Where a tensor lies means nothing here.
            if matches!(name.as_str(), "device" | "requires_grad" | "generator" | "pin_memory") {
                continue;
            }
            parts.push(format!("{name}={}", self.code_of(value, tensors, at)?));
        }
        Ok(format!("{callee}({})", parts.join(", ")))
    }

    /// A value as code; tensors are added to `tensors`.
    pub fn code_of(&mut self, value: &Value, tensors: &mut Vec<Value>, at: Span) -> Eval<String> {
        Ok(match value {
            Value::Tensor(_) => {
                let known = tensors.iter().position(|own| own.is(value));
                let place = known.unwrap_or_else(|| {
                    tensors.push(value.clone());
                    tensors.len() - 1
                });
                format!("t{place}")
            }
            Value::Float(x) => float_text(*x),
            Value::Str(text) => format!("{text:?}"),
            Value::Device(_) => "None".into(),
            Value::List(items) => {
                let items = with_one_number_type(items.borrow().clone());
                let texts = items.iter().map(|item| self.code_of(item, tensors, at)).collect::<Eval<Vec<_>>>()?;
                format!("[{}]", texts.join(", "))
            }
            // A tuple of sizes is a list to the operators.
            Value::Tuple(items) => {
                let texts = items.iter().map(|item| self.code_of(item, tensors, at)).collect::<Eval<Vec<_>>>()?;
                format!("[{}]", texts.join(", "))
            }
            Value::None | Value::Bool(_) | Value::Int(_) => self.repr(value),
            Value::Path(path) if path.starts_with("torch.") => path.to_string(),
            other => {
                return Err(unsupported(format!("a {} as an argument of an operator is not supported", other.type_name()), at));
            }
        })
    }

    /// The index of a tensor as code.
    pub fn index_text(&mut self, index: &Expr, tensors: &mut Vec<Value>, frame: &mut Frame) -> Eval<String> {
        Ok(match &index.kind {
            ExprKind::Tuple(parts) => {
                let texts = parts.iter().map(|part| self.index_text(part, tensors, frame)).collect::<Eval<Vec<_>>>()?;
                texts.join(", ")
            }
            ExprKind::Slice { lower, upper, step } => {
                let mut texts = Vec::new();
                for part in [lower, upper, step] {
                    texts.push(match part {
                        Some(part) => {
                            let value = self.expr(part, frame)?;
                            self.code_of(&value, tensors, part.span)?
                        }
                        None => String::new(),
                    });
                }
                texts.join(":")
            }
            ExprKind::Ellipsis => "...".into(),
            _ => {
                let value = self.expr(index, frame)?;
                self.code_of(&value, tensors, index.span)?
            }
        })
    }
}

/// Methods whose results share the tensor's memory, or may.
const VIEWS: &[&str] = &[
    "view",
    "view_as",
    "reshape",
    "reshape_as",
    "t",
    "transpose",
    "permute",
    "movedim",
    "swapaxes",
    "swapdims",
    "squeeze",
    "unsqueeze",
    "expand",
    "expand_as",
    "narrow",
    "select",
    "diagonal",
    "unfold",
    "flatten",
    "unflatten",
    "ravel",
    "chunk",
    "split",
    "unbind",
    "tensor_split",
    "to",
    "float",
    "double",
    "half",
    "long",
    "int",
    "type",
    "type_as",
    "detach",
];

/// `torch.nn.init.calculate_gain`.
fn gain(args: &[Value]) -> Option<f64> {
    let Value::Str(name) = args.first()? else { return None };
    let slope = args.get(1).map_or(Some(0.01), Value::as_float)?;
    Some(match &**name {
        "tanh" => 5.0 / 3.0,
        "relu" => 2f64.sqrt(),
        "leaky_relu" => (2.0 / (1.0 + slope * slope)).sqrt(),
        "selu" => 0.75,
        name if name == "linear" || name == "sigmoid" || name.starts_with("conv") => 1.0,
        _ => return None,
    })
}

/// [`shared`](crate::access::shared) for every tensor of a result.
fn shared_all(result: Value, base: &Value) -> Value {
    match result {
        Value::List(items) => {
            items.borrow().iter().for_each(|item| drop(crate::access::shared(item.clone(), base)));
            Value::List(items)
        }
        Value::Tuple(items) => {
            items.iter().for_each(|item| drop(crate::access::shared(item.clone(), base)));
            Value::Tuple(items)
        }
        one => crate::access::shared(one, base),
    }
}

/// Ints as floats where there are floats among them: a list of both is none to TorchScript.
fn with_one_number_type(items: Vec<Value>) -> Vec<Value> {
    let has_float = items.iter().any(|item| matches!(item, Value::Float(_)));
    let all_numbers = items.iter().all(|item| matches!(item, Value::Float(_) | Value::Int(_)));
    if !has_float || !all_numbers {
        return items;
    }
    items.iter().filter_map(Value::as_float).map(Value::Float).collect()
}

/// The function that gives a tensor of the same type and sizes as a random one, or as one without elements.
fn like_random(name: &str) -> Option<&'static str> {
    Some(match name {
        "empty" | "rand" | "randn" | "randint" => "zeros",
        "empty_like" | "rand_like" | "randn_like" => "zeros_like",
        "normal" => return None,
        _ => return None,
    })
}

/// The sizes in the arguments of `randint`.
fn last_arguments(args: Vec<Value>) -> Vec<Value> {
    args.into_iter().last().into_iter().collect()
}

fn opened(value: Value) -> Value {
    match value {
        Value::Tensor(tensor) => Value::tensor(open_of(&tensor.value.borrow())),
        other => other,
    }
}

fn open_of(value: &TensorValue) -> TensorValue {
    TensorValue::Open(value.dtype(), value.shape().to_vec())
}

fn float_text(x: f64) -> String {
    if x.is_nan() {
        "float(\"nan\")".into()
    } else if x.is_infinite() {
        if x > 0.0 { "float(\"inf\")" } else { "-float(\"inf\")" }.into()
    } else {
        format!("{x:?}")
    }
}

fn value_of(computed: Computed) -> Value {
    match computed {
        Computed::None => Value::None,
        Computed::Bool(b) => Value::Bool(b),
        Computed::Int(i) => Value::Int(i),
        Computed::Float(x) => Value::Float(x),
        Computed::Tensor(tensor) => Value::tensor(tensor),
        Computed::List(items) => Value::list(items.into_iter().map(value_of).collect()),
        Computed::Tuple(items) => Value::tuple(items.into_iter().map(value_of).collect()),
    }
}
