//! What `torch.nn.Module` gives to every module.

use crate::arguments::Keywords;
use crate::evaluator::{Eval, Evaluator, error, unsupported};
use crate::value::{Object, Value};
use kiln_support::Span;
use std::rc::Rc;

/// Methods of `torch.nn.Module` that constructors call.
const METHODS: &[&str] = &[
    "__init__",
    "add_module",
    "apply",
    "buffers",
    "children",
    "cpu",
    "cuda",
    "double",
    "eval",
    "extra_repr",
    "float",
    "get_parameter",
    "get_submodule",
    "half",
    "modules",
    "named_buffers",
    "named_children",
    "named_modules",
    "named_parameters",
    "parameters",
    "register_buffer",
    "type",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_module",
    "register_parameter",
    "requires_grad_",
    "state_dict",
    "to",
    "train",
    "__setattr__",
    "__delattr__",
];

/// Whether a name is such a method.
pub fn is_method(name: &str) -> bool {
    METHODS.contains(&name)
}

/// A module and all modules inside, each once, with the dotted name.
pub fn walk(root: &Rc<Object>, prefix: &str, out: &mut Vec<(String, Rc<Object>)>) {
    if out.iter().any(|(_, seen)| Rc::ptr_eq(seen, root)) {
        return;
    }
    out.push((prefix.to_owned(), root.clone()));
    for (name, child) in root.children() {
        walk(&child, &joined(prefix, &name), out);
    }
}

/// `prefix.name`.
pub fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// The tensors of a module and of all modules inside, with their dotted names; parameters or buffers.
fn tensors(root: &Rc<Object>, parameters: bool) -> Vec<(String, Value)> {
    let (mut modules, mut out) = (Vec::new(), Vec::new());
    walk(root, "", &mut modules);
    for (prefix, module) in modules {
        for (name, value) in module.attributes.borrow().iter() {
            if matches!(value, Value::Tensor(tensor) if tensor.is_parameter.get() == parameters) {
                out.push((joined(&prefix, name), value.clone()));
            }
        }
    }
    out
}

fn pairs(items: Vec<(String, Value)>) -> Value {
    Value::list(items.into_iter().map(|(name, value)| Value::tuple(vec![Value::str(name), value])).collect())
}

impl Evaluator<'_> {
    /// Calls such a method.
    pub fn module_method(
        &mut self,
        module: &Rc<Object>,
        name: &str,
        args: Vec<Value>,
        keywords: Keywords,
        at: Span,
    ) -> Eval<Value> {
        let this = Value::Object(module.clone());
        Ok(match name {
            "__init__" => {
                module.set("training", Value::Bool(true));
                Value::None
            }
            "register_forward_hook" | "register_forward_pre_hook" => {
                return Err(unsupported("a hook of a module is not supported: call the function in `forward`", at));
            }
            "eval" | "train" | "cpu" | "cuda" | "float" => this,
            "requires_grad_" => {
                let on = args.first().or(keywords.first().map(|(_, value)| value)).is_none_or(|on| on.truth() != Some(false));
                for (_, value) in tensors(module, true) {
                    if let Value::Tensor(tensor) = value {
                        tensor.requires_grad.set(on);
                    }
                }
                this
            }
            "half" | "double" => return Err(unsupported(format!("`{name}()` in a constructor is not supported"), at)),
            "to" | "type" => {
                let is_dtype = |value: &Value| matches!(value, Value::Path(path) if crate::types::dtype(path).is_some());
                if args.iter().chain(keywords.iter().map(|(_, value)| value)).any(is_dtype) {
                    return Err(unsupported("a module cannot change its element type in a constructor", at));
                }
                this
            }
            "extra_repr" => Value::str(""),
            "register_buffer" => {
                let [name, tensor, persistent] =
                    self.named_arguments("register_buffer", ["name", "tensor", "persistent"], args, keywords, at)?;
                let name = attribute_name(name, at)?;
                if persistent.is_some_and(|value| value.truth() == Some(false)) {
                    module.unsaved.borrow_mut().insert(name.clone());
                }
                module.buffers.borrow_mut().insert(name.clone());
                module.set(&name, tensor.unwrap_or(Value::None));
                Value::None
            }
            "register_parameter" => {
                let [name, param] = self.named_arguments("register_parameter", ["name", "param"], args, keywords, at)?;
                module.set(&attribute_name(name, at)?, param.unwrap_or(Value::None));
                Value::None
            }
            "add_module" | "register_module" => {
                let [name, child] = self.named_arguments(name, ["name", "module"], args, keywords, at)?;
                let child = child.unwrap_or(Value::None);
                if child.as_module().is_none() && !matches!(child, Value::None) {
                    return Err(error("raised", format!("{} is not a Module subclass", child.type_name()), at));
                }
                let this = Value::Object(module.clone());
                self.set_attribute(&this, &attribute_name(name, at)?, child, at)?;
                Value::None
            }
            "__setattr__" => {
                let [name, value] = self.named_arguments(name, ["name", "value"], args, keywords, at)?;
                module.set(&attribute_name(name, at)?, value.unwrap_or(Value::None));
                Value::None
            }
            "__delattr__" => {
                let [name] = self.named_arguments(name, ["name"], args, keywords, at)?;
                module.remove(&attribute_name(name, at)?);
                Value::None
            }
            "apply" => {
                let [function] = self.named_arguments("apply", ["fn"], args, keywords, at)?;
                let function = function.ok_or_else(|| error("bad-arguments", "`apply` takes a function", at))?;
                let mut modules = Vec::new();
                walk(module, "", &mut modules);
                // Inner modules first.
                for (_, inner) in modules.into_iter().rev() {
                    self.call(function.clone(), vec![Value::Object(inner)], Vec::new(), at)?;
                }
                this
            }
            "children" => Value::list(module.children().into_iter().map(|(_, child)| Value::Object(child)).collect()),
            "named_children" => pairs(module.children().into_iter().map(|(name, child)| (name, Value::Object(child))).collect()),
            "modules" | "named_modules" => {
                let mut modules = Vec::new();
                walk(module, "", &mut modules);
                let modules = modules.into_iter().map(|(name, inner)| (name, Value::Object(inner)));
                if name == "modules" { Value::list(modules.map(|(_, inner)| inner).collect()) } else { pairs(modules.collect()) }
            }
            "parameters" => Value::list(tensors(module, true).into_iter().map(|(_, value)| value).collect()),
            "buffers" => Value::list(tensors(module, false).into_iter().map(|(_, value)| value).collect()),
            "named_parameters" => pairs(tensors(module, true)),
            "named_buffers" => pairs(tensors(module, false)),
            "get_submodule" | "get_parameter" => {
                let [path] = self.named_arguments(name, ["target"], args, keywords, at)?;
                let mut found = this;
                for part in attribute_name(path, at)?.split('.').filter(|part| !part.is_empty()) {
                    found = self.attribute(&found, part, at)?;
                }
                found
            }
            _ => return Err(unsupported(format!("`Module.{name}` in a constructor is not supported"), at)),
        })
    }
}

fn attribute_name(value: Option<Value>, at: Span) -> Eval<String> {
    match value {
        Some(Value::Str(name)) => Ok(name.to_string()),
        _ => Err(error("bad-arguments", "the name of an attribute is a string", at)),
    }
}
