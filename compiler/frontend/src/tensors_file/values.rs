//! Values of a call and their JSON form.
//!
//! `{"tensor": "key"}` (or the tensor in place: dtype, shape, data), `{"int": 3}`, `{"float": 0.5}`, `{"bool": true}`,
//! `{"str": "x"}`, `{"none": null}`, `{"list": [..]}`, `{"tuple": [..]}`, `{"dict": [[key, value]..]}`,
//! `{"namedtuple": {"name": .., "fields": [[name, value]..]}}`. Floats that JSON lacks are the strings `"nan"`, `"inf"`, `"-inf"`.

use super::SafeTensors;
use super::broken;
use super::safetensors::byte_count;
use kiln_support::tensor::Number;
use kiln_support::{DType, Diagnostic, TensorData};
use serde_json::{Value, json};

/// A value that goes into a model or comes out of it.
#[derive(Clone, PartialEq, Debug)]
pub enum InputValue {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Str(String),
    /// A tensor.
    Tensor(TensorData),
    /// A list.
    List(Vec<InputValue>),
    /// A tuple.
    Tuple(Vec<InputValue>),
    /// A dict, in order of insertion.
    Dict(Vec<(InputValue, InputValue)>),
    /// A named tuple: the name of its class without the module, and its fields.
    NamedTuple {
        /// The class's name.
        name: String,
        /// Names and values of the fields.
        fields: Vec<(String, InputValue)>,
    },
}

impl InputValue {
    /// Reads the JSON form; `tensors` holds those that are given by key. Recursion is no deeper than the JSON
    /// reader admits.
    pub fn from_json(json: &Value, tensors: &SafeTensors) -> Result<InputValue, Diagnostic> {
        let (kind, content) = match json.as_object() {
            Some(object) if object.len() == 1 => object.iter().next().ok_or_else(|| unknown(json))?,
            _ => return Err(unknown(json)),
        };
        let value = match kind.as_str() {
            "none" => Some(InputValue::None),
            "bool" => content.as_bool().map(InputValue::Bool),
            "int" => content.as_i64().map(InputValue::Int),
            "float" => float(content).map(InputValue::Float),
            "str" => content.as_str().map(|text| InputValue::Str(text.to_owned())),
            "tensor" => Some(InputValue::Tensor(tensor(content, tensors)?)),
            "list" => Some(InputValue::List(values(content, tensors)?)),
            "tuple" => Some(InputValue::Tuple(values(content, tensors)?)),
            "dict" => Some(InputValue::Dict(dict(content, tensors)?)),
            "namedtuple" => Some(named_tuple(content, tensors)?),
            _ => None,
        };
        value.ok_or_else(|| unknown(json))
    }

    /// The JSON form. Tensors are added to `tensors` under new keys that begin with `prefix`.
    pub fn to_json(&self, prefix: &str, tensors: &mut Vec<(String, TensorData)>) -> Value {
        let mut all = |items: &[InputValue]| -> Vec<Value> { items.iter().map(|item| item.to_json(prefix, tensors)).collect() };
        match self {
            InputValue::None => json!({"none": null}),
            InputValue::Bool(value) => json!({"bool": value}),
            InputValue::Int(value) => json!({"int": value}),
            InputValue::Float(value) => json!({"float": float_json(*value)}),
            InputValue::Str(text) => json!({"str": text}),
            InputValue::List(items) => json!({"list": all(items)}),
            InputValue::Tuple(items) => json!({"tuple": all(items)}),
            InputValue::Tensor(tensor) => {
                let key = format!("{prefix}{}", tensors.len());
                tensors.push((key.clone(), tensor.clone()));
                json!({"tensor": key})
            }
            InputValue::Dict(items) => {
                let pair = |(key, value): &(InputValue, InputValue)| {
                    json!([key.to_json(prefix, tensors), value.to_json(prefix, tensors)])
                };
                json!({"dict": items.iter().map(pair).collect::<Vec<_>>()})
            }
            InputValue::NamedTuple { name, fields } => {
                let field = |(name, value): &(String, InputValue)| json!([name, value.to_json(prefix, tensors)]);
                json!({"namedtuple": {"name": name, "fields": fields.iter().map(field).collect::<Vec<_>>()}})
            }
        }
    }

    /// The JSON form with every tensor in place: `{"tensor": {"dtype": "float32", "shape": [2], "data": [..]}}`.
    pub fn to_inline_json(&self) -> Value {
        let all = |items: &[InputValue]| -> Vec<Value> { items.iter().map(InputValue::to_inline_json).collect() };
        match self {
            InputValue::Tensor(tensor) => {
                let data: Vec<Value> = tensor.numbers().map(number_json).collect();
                json!({"tensor": {"dtype": tensor.dtype.torch_name(), "shape": tensor.shape, "data": data}})
            }
            InputValue::List(items) => json!({"list": all(items)}),
            InputValue::Tuple(items) => json!({"tuple": all(items)}),
            InputValue::Dict(items) => {
                let pair = |(key, value): &(InputValue, InputValue)| json!([key.to_inline_json(), value.to_inline_json()]);
                json!({"dict": items.iter().map(pair).collect::<Vec<_>>()})
            }
            InputValue::NamedTuple { name, fields } => {
                let field = |(name, value): &(String, InputValue)| json!([name, value.to_inline_json()]);
                json!({"namedtuple": {"name": name, "fields": fields.iter().map(field).collect::<Vec<_>>()}})
            }
            scalar => scalar.to_json("", &mut Vec::new()),
        }
    }
}

fn unknown(json: &Value) -> Diagnostic {
    let mut text = json.to_string();
    if let Some((end, _)) = text.char_indices().nth(80) {
        text.truncate(end);
        text.push_str("...");
    }
    broken(format!("`{text}` is not a value"))
        .help("a value looks like {\"int\": 3}, {\"tensor\": \"key\"} or {\"list\": [{\"float\": 0.5}]}")
}

fn float(json: &Value) -> Option<f64> {
    match json.as_str() {
        Some("nan") => Some(f64::NAN),
        Some("inf") => Some(f64::INFINITY),
        Some("-inf") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => json.as_f64(),
    }
}

fn float_json(value: f64) -> Value {
    match value {
        value if value.is_nan() => json!("nan"),
        f64::INFINITY => json!("inf"),
        f64::NEG_INFINITY => json!("-inf"),
        value => json!(value),
    }
}

fn number_json(number: Number) -> Value {
    match number {
        Number::Int(value) => json!(value),
        Number::Bool(value) => json!(value),
        Number::Float(value) => float_json(value),
    }
}

fn values(json: &Value, tensors: &SafeTensors) -> Result<Vec<InputValue>, Diagnostic> {
    let items = json.as_array().ok_or_else(|| unknown(json))?;
    items.iter().map(|item| InputValue::from_json(item, tensors)).collect()
}

fn dict(json: &Value, tensors: &SafeTensors) -> Result<Vec<(InputValue, InputValue)>, Diagnostic> {
    let items = json.as_array().ok_or_else(|| unknown(json))?;
    let pair = |item: &Value| match item.as_array().map(Vec::as_slice) {
        Some([key, value]) => Ok((InputValue::from_json(key, tensors)?, InputValue::from_json(value, tensors)?)),
        _ => Err(unknown(item)),
    };
    items.iter().map(pair).collect()
}

fn named_tuple(json: &Value, tensors: &SafeTensors) -> Result<InputValue, Diagnostic> {
    let (Some(name), Some(fields)) = (json["name"].as_str(), json["fields"].as_array()) else { return Err(unknown(json)) };
    let field = |field: &Value| match field.as_array().map(Vec::as_slice) {
        Some([Value::String(name), value]) => Ok((name.clone(), InputValue::from_json(value, tensors)?)),
        _ => Err(unknown(field)),
    };
    let fields: Result<_, _> = fields.iter().map(field).collect();
    Ok(InputValue::NamedTuple { name: name.to_owned(), fields: fields? })
}

/// A tensor by key, or in place.
fn tensor(json: &Value, tensors: &SafeTensors) -> Result<TensorData, Diagnostic> {
    if let Some(key) = json.as_str() {
        return tensors.tensor(key);
    }
    let dtype = json["dtype"].as_str().and_then(DType::from_name).ok_or_else(|| unknown(json))?;
    let shape = json["shape"].as_array().ok_or_else(|| unknown(json))?;
    let shape: Option<Vec<i64>> = shape.iter().map(|size| size.as_i64().filter(|size| *size >= 0)).collect();
    let shape = shape.ok_or_else(|| unknown(json))?;
    let mut numbers = Vec::new();
    flatten(&json["data"], dtype, &mut numbers)?;
    if byte_count(dtype, &shape) != Some(numbers.len() * dtype.size()) {
        return Err(broken(format!("a tensor of shape {shape:?} has {} elements", numbers.len())));
    }
    Ok(TensorData::from_numbers(dtype, &shape, numbers))
}

/// Row-major data, nested or flat.
fn flatten(json: &Value, dtype: DType, numbers: &mut Vec<Number>) -> Result<(), Diagnostic> {
    if let Some(items) = json.as_array() {
        return items.iter().try_for_each(|item| flatten(item, dtype, numbers));
    }
    let number = match json {
        Value::Bool(value) => Some(Number::Bool(*value)),
        _ if dtype.is_float() => float(json).map(Number::Float),
        _ => json.as_i64().map(Number::Int),
    };
    numbers.push(number.ok_or_else(|| broken(format!("`{json}` is not an element of type {dtype}")))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors_file::write_safetensors;

    fn sample() -> InputValue {
        use InputValue as V;
        V::Tuple(vec![
            V::None,
            V::Bool(true),
            V::Int(i64::MIN),
            V::Float(0.1 + 0.2),
            V::Float(f64::NEG_INFINITY),
            V::Str("x\u{e9}\n".into()),
            V::List(vec![
                V::Tensor(TensorData::from_f32(&[2], &[1.5, f32::INFINITY])),
                V::Tensor(TensorData::from_i64(&[], &[7])),
            ]),
            V::Dict(vec![(V::Str("k".into()), V::Int(1)), (V::Int(2), V::List(vec![]))]),
            V::NamedTuple { name: "Point".into(), fields: vec![("x".into(), V::Float(-0.0))] },
        ])
    }

    #[test]
    fn values_survive_a_round_trip() {
        let mut tensors = Vec::new();
        let json = sample().to_json("t", &mut tensors).to_string();
        let file = write_safetensors(&tensors).unwrap();
        let read = InputValue::from_json(&serde_json::from_str(&json).unwrap(), &SafeTensors::read(&file).unwrap()).unwrap();
        assert_eq!(read, sample());
        let inline = sample().to_inline_json().to_string();
        let read = InputValue::from_json(&serde_json::from_str(&inline).unwrap(), &SafeTensors::default()).unwrap();
        assert_eq!(read, sample());
    }

    #[test]
    fn what_is_not_a_value_is_named() {
        let error = |text: &str| {
            InputValue::from_json(&serde_json::from_str(text).unwrap(), &SafeTensors::default()).unwrap_err().message
        };
        assert!(error("3").contains("`3` is not a value"));
        assert!(error(r#"{"int": 1.5}"#).contains("1.5"));
        assert!(error(r#"{"int": 99999999999999999999}"#).contains("not a value"));
        assert!(error(r#"{"tensor": "x"}"#).contains("no tensor `x`"));
        assert!(error(r#"{"tensor": {"dtype": "float32", "shape": [3], "data": [1, 2]}}"#).contains("2 elements"));
        assert!(error(r#"{"tensor": {"dtype": "int8", "shape": [1], "data": [1.5]}}"#).contains("type i8"));
        assert!(error(r#"{"dict": [[{"int": 1}]]}"#).contains("not a value"));
    }
}
