//! Attributes and items.

use crate::evaluator::{Eval, Evaluator, Frame, error, unsupported};
use crate::value::{ClassKind, Table, Value};
use kiln_frontend::ast::{Expr, ExprKind};
use kiln_support::Span;
use std::rc::Rc;

impl Evaluator<'_> {
    /// `object.name`.
    pub fn attribute(&mut self, object: &Value, name: &str, at: Span) -> Eval<Value> {
        match object {
            Value::Object(own) => {
                if let Some(value) = own.get(name) {
                    return Ok(value);
                }
                let found = self.class_attribute(&own.class, name, at)?;
                match found {
                    Some(Value::Function(function)) if crate::classes::is_decorated(&function.def, "property") => {
                        self.call(Value::Method(Box::new(object.clone()), function), Vec::new(), Vec::new(), at)
                    }
                    Some(value) => Ok(self.bind(value, object.clone())),
                    None => self.special_attribute(object, name, at),
                }
            }
            Value::Class(class) => {
                let found = if class.kind == ClassKind::Enum {
                    self.member(class, name, at)?
                } else {
                    self.class_attribute(class, name, at)?
                };
                match (found, name) {
                    (Some(Value::Function(function)), _) if crate::classes::is_decorated(&function.def, "classmethod") => {
                        Ok(self.bind(Value::Function(function), object.clone()))
                    }
                    (Some(value), _) => Ok(value),
                    (None, "__name__" | "__qualname__") => Ok(Value::str(&class.name)),
                    (None, _) => Err(no_attribute(&format!("class `{}`", class.name), name, at)),
                }
            }
            Value::Super(class, own) => match self.super_attribute(class, own, name, at)? {
                Some(value) => Ok(self.bind(value, Value::Object(own.clone()))),
                None if name == "__init__" => Ok(Value::builtin(object.clone(), "__init__")),
                None => Err(no_attribute("`super()`", name, at)),
            },
            Value::Member(member) => match name {
                "name" => Ok(Value::str(&member.name)),
                "value" => Ok(member.value.clone()),
                _ => Err(no_attribute(&format!("a member of `{}`", member.class.name), name, at)),
            },
            Value::Path(path) => self.path_attribute(path, name, at),
            Value::Tensor(_) => self.tensor_attribute(object, name, at),
            Value::Function(function) if matches!(name, "__name__" | "__qualname__") => Ok(Value::str(&function.def.name)),
            Value::Device(text) if name == "type" => Ok(Value::str(text.split(':').next().unwrap_or_default())),
            Value::Str(_) | Value::List(_) | Value::Dict(_) | Value::Table(..) | Value::Tuple(_) => {
                Ok(Value::builtin(object.clone(), name))
            }
            other => Err(no_attribute(&format!("a value of type {}", other.type_name()), name, at)),
        }
    }

    fn special_attribute(&mut self, object: &Value, name: &str, at: Span) -> Eval<Value> {
        let Value::Object(own) = object else { return Err(no_attribute("this value", name, at)) };
        match name {
            "__class__" => Ok(Value::Class(own.class.clone())),
            "_modules" if own.class.kind == ClassKind::Module => Ok(Value::Table(own.clone(), Table::Modules)),
            "_parameters" if own.class.kind == ClassKind::Module => Ok(Value::Table(own.clone(), Table::Parameters)),
            "_fields" if own.class.kind == ClassKind::NamedTuple => {
                Ok(Value::tuple(own.attributes.borrow().iter().map(|(name, _)| Value::str(name)).collect()))
            }
            _ => Err(no_attribute(&format!("an object of class `{}`", own.class.name), name, at)),
        }
    }

    fn path_attribute(&mut self, path: &str, name: &str, at: Span) -> Eval<Value> {
        let full = format!("{path}.{name}");
        if let Some(constant) = crate::builtins::constant(&full) {
            return Ok(constant);
        }
        self.resolve(&full, at)
    }

    fn tensor_attribute(&mut self, object: &Value, name: &str, at: Span) -> Eval<Value> {
        let Value::Tensor(tensor) = object else { return Err(no_attribute("this value", name, at)) };
        let value = tensor.value.borrow();
        let sizes = || value.shape().iter().map(|&n| Value::Int(n)).collect::<Vec<_>>();
        Ok(match name {
            "shape" => Value::tuple(sizes()),
            "ndim" => Value::Int(value.shape().len() as i64),
            "dtype" => Value::path(format!("torch.{}", value.dtype().torch_name())),
            "device" => Value::Device("cpu".into()),
            "data" => object.clone(),
            "requires_grad" => Value::Bool(tensor.requires_grad.get()),
            "T" | "mT" | "H" | "real" => {
                drop(value);
                let view = self.tensor_code(&format!("return t0.{name}"), std::slice::from_ref(object), at)?;
                return Ok(shared(view, object));
            }
            _ => Value::builtin(object.clone(), name),
        })
    }

    /// `object.name = value`.
    pub fn set_attribute(&mut self, object: &Value, name: &str, value: Value, at: Span) -> Eval<()> {
        match object {
            Value::Object(object) => {
                let is_part = value.as_module().is_some() || matches!(&value, Value::Tensor(t) if t.is_parameter.get());
                if is_part && object.class.kind == ClassKind::Module && object.get("training").is_none() {
                    let message = format!("`{name}` is assigned before `super().__init__()` is called");
                    return Err(error("raised", message, at));
                }
                let is_method = |value: &Value| match value {
                    Value::Function(_) => true,
                    Value::Path(path) => path.starts_with("torch.nn.Module."),
                    _ => false,
                };
                let own =
                    if object.class.kind == ClassKind::Module { self.class_attribute(&object.class, name, at)? } else { None };
                let is_callable = matches!(value, Value::Function(_) | Value::Method(..) | Value::Lambda(_) | Value::Builtin(..));
                if own.is_some_and(|own| is_method(&own) && (is_callable || matches!(own, Value::Function(_)))) {
                    return Err(unsupported(format!("replacing the method `{name}` of a module is not supported"), at));
                }
                object.set(name, value);
                Ok(())
            }
            // `weight.data = ...`
            Value::Tensor(tensor) if name == "data" => {
                let Value::Tensor(new) = value else { return Err(error("bad-operands", "`data` is a tensor", at)) };
                if !Rc::ptr_eq(tensor, &new) {
                    tensor.share(&new);
                    let new = new.value.borrow().clone();
                    *tensor.value.borrow_mut() = new;
                }
                Ok(())
            }
            Value::Tensor(tensor) if name == "requires_grad" => {
                tensor.requires_grad.set(self.truth(&value, at)?);
                Ok(())
            }
            other => Err(unsupported(format!("an attribute of a {} cannot be set", other.type_name()), at)),
        }
    }

    /// `container[index]`.
    pub fn item(&mut self, container: &Value, index: &Expr, frame: &mut Frame, at: Span) -> Eval<Value> {
        if let Value::Tensor(_) = container {
            let mut tensors = vec![container.clone()];
            let text = self.index_text(index, &mut tensors, frame)?;
            let item = self.tensor_code(&format!("return t0[{text}]"), &tensors, at)?;
            return Ok(shared(item, container));
        }
        // A type with arguments, where a type stands for a value.
        if let Value::Path(path) = container {
            return Ok(Value::path(path));
        }
        let index = match &index.kind {
            ExprKind::Slice { lower, upper, step } => self.slice_value([lower, upper, step], frame, at)?,
            _ => self.expr(index, frame)?,
        };
        self.item_at(container, &index, at)
    }

    /// `container[index]` for an evaluated index.
    pub fn item_at(&mut self, container: &Value, index: &Value, at: Span) -> Eval<Value> {
        match container {
            Value::Table(object, table) => {
                let found =
                    object.table(*table).into_iter().find(|(name, _)| matches!(index, Value::Str(key) if **key == **name));
                found.map(|(_, value)| value).ok_or_else(|| error("raised", format!("KeyError: {}", self.repr(index)), at))
            }
            Value::Dict(items) => {
                let found = items.borrow().iter().find(|(key, _)| key.equals(index)).map(|(_, value)| value.clone());
                found.ok_or_else(|| error("raised", format!("KeyError: {}", self.repr(index)), at))
            }
            Value::List(_) | Value::Tuple(_) | Value::Str(_) => {
                let items = self.items(container, at)?;
                if let Value::Slice(bounds) = index {
                    let chosen = sliced(&items, *bounds);
                    return Ok(match container {
                        Value::Str(_) => Value::str(chosen.iter().map(|c| self.text(c)).collect::<String>()),
                        Value::Tuple(_) => Value::tuple(chosen),
                        _ => Value::list(chosen),
                    });
                }
                let place = index.as_int().and_then(|i| position(i, items.len()));
                let found = place.and_then(|i| items.get(i).cloned());
                found.ok_or_else(|| error("raised", "IndexError: the index is out of range", at))
            }
            Value::Object(object) => {
                let method = self.class_attribute(&object.class, "__getitem__", at)?;
                let method = method.ok_or_else(|| unsupported(format!("a `{}` has no items", object.class.name), at))?;
                let bound = self.bind(method, container.clone());
                self.call(bound, vec![index.clone()], Vec::new(), at)
            }
            other => Err(unsupported(format!("a value of type {} has no items", other.type_name()), at)),
        }
    }

    /// The value of a slice.
    pub fn slice_value(&mut self, parts: [&Option<Box<Expr>>; 3], frame: &mut Frame, at: Span) -> Eval<Value> {
        let mut bounds = [None; 3];
        for (bound, part) in bounds.iter_mut().zip(parts) {
            if let Some(part) = part {
                let value = self.expr(part, frame)?;
                *bound = match value {
                    Value::None => None,
                    other => Some(other.as_int().ok_or_else(|| error("bad-operands", "a slice takes integers", at))?),
                };
            }
        }
        Ok(Value::Slice(bounds))
    }

    /// `container[index] = value`.
    pub fn set_item(&mut self, container: &Expr, index: &Expr, value: Value, frame: &mut Frame, at: Span) -> Eval<()> {
        let target = self.expr(container, frame)?;
        if let Value::Tensor(tensor) = &target {
            let mut tensors = vec![target.clone()];
            let text = self.index_text(index, &mut tensors, frame)?;
            let value = self.code_of(&value, &mut tensors, at)?;
            return self.write_tensor(tensor, &format!("t0[{text}] = {value}\nreturn t0"), &tensors, at);
        }
        let index = self.expr(index, frame)?;
        match &target {
            Value::Table(object, _) => match &index {
                Value::Str(name) => object.set(name, value),
                _ => return Err(error("bad-arguments", "the name of an attribute is a string", at)),
            },
            Value::Dict(items) => crate::containers::dict_set(&mut items.borrow_mut(), index, value),
            Value::List(items) => {
                let mut items = items.borrow_mut();
                let place = index.as_int().and_then(|i| position(i, items.len()));
                let slot = place.and_then(|i| items.get_mut(i));
                *slot.ok_or_else(|| error("raised", "IndexError: the index is out of range", at))? = value;
            }
            Value::Object(object) => match self.class_attribute(&object.class, "__setitem__", at)? {
                Some(method) => {
                    let bound = self.bind(method, target.clone());
                    self.call(bound, vec![index, value], Vec::new(), at)?;
                }
                None => return Err(unsupported(format!("items of a `{}` cannot be set", object.class.name), at)),
            },
            other => return Err(unsupported(format!("items of a {} cannot be set", other.type_name()), at)),
        }
        Ok(())
    }

    /// `del container[index]`.
    pub fn delete_item(&mut self, container: &Value, index: &Value, at: Span) -> Eval<()> {
        match container {
            Value::Table(object, _) => {
                if let Value::Str(name) = index {
                    object.remove(name);
                }
            }
            Value::Dict(items) => items.borrow_mut().retain(|(key, _)| !key.equals(index)),
            Value::List(items) => {
                let place = index.as_int().and_then(|i| position(i, items.borrow().len()));
                let place = place.ok_or_else(|| error("raised", "IndexError: the index is out of range", at))?;
                items.borrow_mut().remove(place);
            }
            Value::Object(object) => match self.class_attribute(&object.class, "__delitem__", at)? {
                Some(method) => {
                    let bound = self.bind(method, container.clone());
                    self.call(bound, vec![index.clone()], Vec::new(), at)?;
                }
                None => return Err(unsupported(format!("items of a `{}` cannot be deleted", object.class.name), at)),
            },
            other => return Err(unsupported(format!("items of a {} cannot be deleted", other.type_name()), at)),
        }
        Ok(())
    }
}

/// Tensors that share their memory: neither can be written to here, since the other would have to show it.
pub fn shared(view: Value, base: &Value) -> Value {
    if let (Value::Tensor(own), Value::Tensor(base)) = (&view, base) {
        own.share(base);
    }
    view
}

/// A Python index as a position.
pub fn position(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index + len as i64 } else { index };
    usize::try_from(index).ok().filter(|i| *i < len)
}

/// `items[start:stop:step]`.
fn sliced(items: &[Value], [start, stop, step]: [Option<i64>; 3]) -> Vec<Value> {
    let (len, step) = (items.len() as i64, step.unwrap_or(1));
    let clamp = |i: i64, low: i64, high: i64| (if i < 0 { i + len } else { i }).clamp(low, high);
    let mut out = Vec::new();
    if step > 0 {
        let (mut i, stop) = (clamp(start.unwrap_or(0), 0, len), stop.map_or(len, |i| clamp(i, 0, len)));
        while i < stop {
            out.push(items[i as usize].clone());
            i = i.saturating_add(step);
        }
    } else if step < 0 {
        let (mut i, stop) = (start.map_or(len - 1, |i| clamp(i, -1, len - 1)), stop.map_or(-1, |i| clamp(i, -1, len - 1)));
        while i > stop {
            out.push(items[i as usize].clone());
            i = i.saturating_add(step);
        }
    }
    out
}

fn no_attribute(what: &str, name: &str, at: Span) -> Box<kiln_support::Diagnostic> {
    error("no-attribute", format!("{what} has no attribute `{name}`"), at)
}
