//! The manifest: a model's interface and numbers as JSON, for tools and for other bindings.

use crate::model::{Model, ModelMethod};
use kiln_loops::plan::{DimDesc, TypeDesc};
use serde_json::{Value, json};

/// Writes the manifest.
pub fn manifest(model: &Model) -> String {
    let facts = &model.facts;
    let value = json!({
        "name": facts.prefix,
        "kiln_version": facts.kiln_version,
        "abi_version": kiln_rt::abi::ABI_VERSION,
        "target": facts.target,
        "features": facts.features,
        "variants": model.variants,
        "methods": model.methods.iter().map(method).collect::<Vec<_>>(),
        "arena_bytes": model.arena_bytes,
        "stack_bytes": model.stack_bytes,
        "state_slots": model.state_slots,
        "text_bytes": model.text_bytes,
        "weights_bytes": model.data_bytes,
        "weights_hash": format!("{:016x}", model.weights_hash),
        "uses_runtime_objects": model.uses_runtime,
        "operators": facts.operators,
    });
    let mut text = format!("{value:#}");
    text.push('\n');
    text
}

fn method(method: &ModelMethod) -> Value {
    let inputs = method.params.iter().map(|p| json!({ "name": p.name, "type": ty(&p.ty) }));
    json!({
        "name": method.name,
        "symbol": method.symbol,
        "tensors_symbol": method.tensors_symbol,
        "inputs": inputs.collect::<Vec<_>>(),
        "outputs": method.outputs().into_iter().map(ty).collect::<Vec<_>>(),
        "result": ty(&method.result),
    })
}

fn ty(desc: &TypeDesc) -> Value {
    match desc {
        TypeDesc::None => json!({ "kind": "none" }),
        TypeDesc::Bool => json!({ "kind": "bool" }),
        TypeDesc::Int => json!({ "kind": "int" }),
        TypeDesc::Float => json!({ "kind": "float" }),
        TypeDesc::Str => json!({ "kind": "str" }),
        TypeDesc::Tensor(dtype, dims) => {
            json!({ "kind": "tensor", "dtype": dtype.torch_name(), "dims": dims.iter().map(dim).collect::<Vec<_>>() })
        }
        TypeDesc::AnyTensor => json!({ "kind": "tensor" }),
        TypeDesc::Optional(inner) => json!({ "kind": "optional", "of": ty(inner) }),
        TypeDesc::List(inner) => json!({ "kind": "list", "of": ty(inner) }),
        TypeDesc::Dict(key, value) => json!({ "kind": "dict", "key": ty(key), "value": ty(value) }),
        TypeDesc::Tuple(items, None) => json!({ "kind": "tuple", "of": items.iter().map(ty).collect::<Vec<_>>() }),
        TypeDesc::Tuple(items, Some((name, fields))) => {
            json!({ "kind": "tuple", "of": items.iter().map(ty).collect::<Vec<_>>(), "name": name, "fields": fields })
        }
        TypeDesc::Any => json!({ "kind": "any" }),
    }
}

/// A number, the name of a symbol, or null for a size of its own.
fn dim(dim: &DimDesc) -> Value {
    match dim {
        DimDesc::Const(n) => json!(n),
        DimDesc::Symbol(name) if name.is_empty() => Value::Null,
        DimDesc::Symbol(name) => json!(name),
    }
}
