//! Weights: tensors by name, put where a module has one of that name.

use crate::modules::{joined, walk};
use crate::value::{Object, TensorValue, Value};
use kiln_support::{DType, Diagnostic, TensorData};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Tensors by their dotted names, as `state_dict()` gives them.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// Where they are from, for messages.
    pub name: String,
    /// The tensors.
    pub tensors: BTreeMap<String, TensorData>,
}

/// Names in one message at most.
const MAX_NAMES: usize = 8;

/// Gives every parameter and saved buffer its weights. All errors are found: tensors that are missing, too many, of another shape or
/// of another element type.
pub fn apply(root: &Value, weights: &Weights) -> Result<(), Vec<Diagnostic>> {
    let Some(root) = root.as_module() else { return Ok(()) };
    let (mut errors, mut missing, mut used) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in saved_tensors(&root) {
        let Value::Tensor(tensor) = value else { continue };
        let Some(data) = weights.tensors.get(&name) else {
            // A counter that only training reads.
            if !name.ends_with("num_batches_tracked") {
                missing.push((name, describe(tensor.value.borrow().dtype(), tensor.value.borrow().shape())));
            }
            continue;
        };
        used.push(name.clone());
        let (dtype, shape) = (tensor.value.borrow().dtype(), tensor.value.borrow().shape().to_vec());
        if shape != data.shape {
            errors.push(problem(
                "weight-shape",
                format!("`{name}` has shape {:?} in the weights, but {shape:?} in the model", data.shape),
                weights,
            ));
        } else if dtype.is_float() != data.dtype.is_float() {
            let (found, wanted) = (data.dtype.torch_name(), dtype.torch_name());
            errors.push(problem(
                "weight-type",
                format!("`{name}` is {found} in the weights, but {wanted} in the model"),
                weights,
            ));
        } else {
            *tensor.value.borrow_mut() = TensorValue::Known(converted(data, dtype));
        }
    }
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|(name, what)| format!("`{name}` ({what})")).collect();
        errors.push(problem("weight-missing", format!("the weights have no {}", listed(&names)), weights));
    }
    let extra: Vec<String> = weights.tensors.keys().filter(|name| !used.contains(name)).map(|name| format!("`{name}`")).collect();
    if !extra.is_empty() {
        errors.push(problem("weight-extra", format!("the model has no {}, which the weights have", listed(&extra)), weights));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Gives every tensor without elements some.
pub fn fill_with_zeros(root: &Value) {
    let Some(root) = root.as_module() else { return };
    let mut modules = Vec::new();
    walk(&root, "", &mut modules);
    for (_, module) in &modules {
        for (_, value) in module.attributes.borrow().iter() {
            let Value::Tensor(tensor) = value else { continue };
            let open = match &*tensor.value.borrow() {
                TensorValue::Open(dtype, shape) => Some((*dtype, shape.clone())),
                TensorValue::Known(_) => None,
            };
            if let Some((dtype, shape)) = open {
                let bytes = vec![0; kiln_support::tensor::count(&shape) * dtype.size()];
                *tensor.value.borrow_mut() = TensorValue::Known(TensorData::new(dtype, shape, bytes));
            }
        }
    }
}

/// An error where a tensor has no elements yet.
pub fn require_all(root: &Value, has_weights: bool) -> Result<(), Vec<Diagnostic>> {
    let Some(root) = root.as_module() else { return Ok(()) };
    let mut modules = Vec::new();
    walk(&root, "", &mut modules);
    let mut open = Vec::new();
    for (prefix, module) in &modules {
        for (name, value) in module.attributes.borrow().iter() {
            if let Value::Tensor(tensor) = value
                && let TensorValue::Open(dtype, shape) = &*tensor.value.borrow()
            {
                open.push(format!("`{}` ({})", joined(prefix, name), describe(*dtype, shape)));
            }
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    let message = format!("the model needs values for {}", listed(&open));
    let help = if has_weights { "save them as buffers or parameters" } else { "give the weights with --weights FILE" };
    let error =
        if has_weights { Diagnostic::model("weight-missing", message) } else { Diagnostic::usage("weight-missing", message) };
    Err(vec![error.help(help)])
}

fn problem(code: &'static str, message: String, weights: &Weights) -> Diagnostic {
    Diagnostic::model(code, message).note(format!("the weights are those of `{}`", weights.name))
}

fn describe(dtype: DType, shape: &[i64]) -> String {
    format!("{} {shape:?}", dtype.torch_name())
}

fn listed(names: &[String]) -> String {
    match names.len() {
        n if n > MAX_NAMES => format!("{} and {} more", names[..MAX_NAMES].join(", "), n - MAX_NAMES),
        _ => names.join(", "),
    }
}

/// Parameters and buffers with the names that `state_dict()` gives them.
fn saved_tensors(root: &Rc<Object>) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    named_tensors(root, "", &mut out, 0);
    out
}

/// A shared module is there under each of its names.
fn named_tensors(module: &Rc<Object>, prefix: &str, out: &mut Vec<(String, Value)>, depth: usize) {
    if depth > 100 {
        return;
    }
    for (name, value) in module.attributes.borrow().iter() {
        let is_saved = match value {
            Value::Tensor(tensor) => tensor.is_parameter.get() || module.buffers.borrow().contains(name),
            _ => false,
        };
        if is_saved && !module.unsaved.borrow().contains(name) {
            out.push((joined(prefix, name), value.clone()));
        }
    }
    for (name, child) in module.children() {
        named_tensors(&child, &joined(prefix, &name), out, depth + 1);
    }
}

fn converted(data: &TensorData, dtype: DType) -> TensorData {
    if data.dtype == dtype { data.clone() } else { TensorData::from_numbers(dtype, &data.shape, data.numbers()) }
}
