//! A recording: the calls to make, and what PyTorch gave for them; and files of results.
//!
//! `{"archive", "tensors", "args": [VALUE..], "kwargs": {name: VALUE..}, "method", "expect": VALUE, "rtol", "atol",
//! "intermediates": [{"name", "value"}..]}`, or several such calls under `"calls"`.

use super::values::InputValue;
use super::{SafeTensors, broken, read_npz, write_npz, write_safetensors};
use kiln_support::{Diagnostic, TensorData};
use serde_json::{Value, json};
use std::path::Path;

/// A file of calls.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// The archive's file name, where the file says it.
    pub archive: Option<String>,
    /// The calls, in order, on one module.
    pub calls: Vec<Call>,
    /// Whether the file has a list of calls: then results are written as a list too.
    pub is_sequence: bool,
    /// Floating-point results may be off by `atol + rtol * |expected|`.
    pub rtol: f64,
    /// See [`Case::rtol`].
    pub atol: f64,
}

/// One call.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// The method, `forward` where the file does not say it.
    pub method: String,
    /// Positional arguments.
    pub args: Vec<InputValue>,
    /// Arguments by name.
    pub kwargs: Vec<(String, InputValue)>,
    /// What PyTorch gave, where it is recorded.
    pub expect: Option<Expected>,
    /// What the submodules gave, in the order of execution.
    pub intermediates: Vec<Intermediate>,
    /// What the call prints, where it is recorded.
    pub stdout: Option<String>,
}

/// The result of a call.
#[derive(Clone, PartialEq, Debug)]
pub enum Expected {
    /// It returns a value.
    Value(InputValue),
    /// It raises.
    Raises {
        /// PyTorch's message.
        message: Option<String>,
        /// `run time`, or `arguments` where those do not fit the signature.
        by: Option<String>,
    },
}

/// The result of a submodule.
#[derive(Clone, PartialEq, Debug)]
pub struct Intermediate {
    /// Its path: `layer1.0.conv1`.
    pub name: String,
    /// What its `forward` returned.
    pub value: InputValue,
}

impl Call {
    /// A call of `forward` with these arguments and nothing recorded.
    pub fn forward(args: Vec<InputValue>, kwargs: Vec<(String, InputValue)>) -> Call {
        Call { method: "forward".into(), args, kwargs, expect: None, intermediates: Vec::new(), stdout: None }
    }
}

/// Reads the inputs of a run: a `.json` case, or a `.npz` or `.safetensors` file whose tensors are the arguments of
/// one call. A tensor named `0`, `arr_0` or `args.0` is the first positional argument, any other the argument of its name.
pub fn read_inputs(path: &Path) -> Result<Case, Diagnostic> {
    let tensors = match extension(path) {
        "json" => return read_case(path),
        "npz" => read_npz(&read(path)?, &path.display().to_string())?,
        "safetensors" => SafeTensors::read(&read(path)?).and_then(|file| file.tensors()).map_err(|error| in_file(path, error))?,
        _ => return Err(unknown_ending(path)),
    };
    let call = arguments(tensors).map_err(|error| in_file(path, error))?;
    Ok(Case { archive: None, calls: vec![call], is_sequence: false, rtol: RTOL, atol: ATOL })
}

/// Tolerances where a file has none.
const RTOL: f64 = 1e-4;
const ATOL: f64 = 1e-5;

fn arguments(tensors: Vec<(String, TensorData)>) -> Result<Call, Diagnostic> {
    let mut args = Vec::new();
    let mut kwargs = Vec::new();
    for (name, tensor) in tensors {
        let number = name.strip_prefix("arr_").or_else(|| name.strip_prefix("args.")).unwrap_or(&name);
        match number.parse::<usize>() {
            Ok(position) => args.push((position, InputValue::Tensor(tensor))),
            Err(_) => kwargs.push((name, InputValue::Tensor(tensor))),
        }
    }
    args.sort_by_key(|(position, _)| *position);
    if let Some(missing) = args.iter().enumerate().position(|(index, (position, _))| index != *position) {
        return Err(broken(format!("positional argument {missing} is missing, or there twice")));
    }
    Ok(Call::forward(args.into_iter().map(|(_, value)| value).collect(), kwargs))
}

/// Reads a `.json` case and the safetensors file beside it.
pub fn read_case(path: &Path) -> Result<Case, Diagnostic> {
    let json = read(path)?;
    let json: Value = serde_json::from_slice(&json).map_err(|error| in_file(path, broken(format!("it is not JSON: {error}"))))?;
    let beside = match json["tensors"].as_str() {
        Some(name) => path.with_file_name(name),
        None => path.with_extension("safetensors"),
    };
    let bytes = if json["tensors"].is_string() || beside.exists() { Some(read(&beside)?) } else { None };
    let tensors = match &bytes {
        Some(bytes) => SafeTensors::read(bytes).map_err(|error| in_file(&beside, error))?,
        None => SafeTensors::default(),
    };
    Case::from_json(&json, &tensors).map_err(|error| in_file(path, error))
}

impl Case {
    /// Reads the JSON form; `tensors` holds the tensors that are given by key.
    pub fn from_json(json: &Value, tensors: &SafeTensors) -> Result<Case, Diagnostic> {
        let calls = match json.get("calls") {
            None => vec![call(json, tensors)?],
            Some(Value::Array(calls)) => calls.iter().map(|json| call(json, tensors)).collect::<Result<_, _>>()?,
            Some(_) => return Err(broken("`calls` is not a list")),
        };
        Ok(Case {
            archive: text(json, "archive"),
            calls,
            is_sequence: json.get("calls").is_some(),
            rtol: json["rtol"].as_f64().unwrap_or(RTOL),
            atol: json["atol"].as_f64().unwrap_or(ATOL),
        })
    }
}

fn text(json: &Value, key: &str) -> Option<String> {
    json[key].as_str().map(str::to_owned)
}

fn call(json: &Value, tensors: &SafeTensors) -> Result<Call, Diagnostic> {
    let args = match &json["args"] {
        Value::Null => Vec::new(),
        Value::Array(args) => args.iter().map(|arg| InputValue::from_json(arg, tensors)).collect::<Result<_, _>>()?,
        _ => return Err(broken("`args` is not a list")),
    };
    let kwargs = match &json["kwargs"] {
        Value::Null => Vec::new(),
        Value::Object(kwargs) => {
            let kwargs = kwargs.iter().map(|(name, arg)| Ok((name.clone(), InputValue::from_json(arg, tensors)?)));
            kwargs.collect::<Result<_, Diagnostic>>()?
        }
        _ => return Err(broken("`kwargs` is not an object")),
    };
    Ok(Call {
        method: text(json, "method").unwrap_or_else(|| "forward".into()),
        args,
        kwargs,
        expect: expected(json, tensors)?,
        intermediates: intermediates(json, tensors)?,
        stdout: text(json, "stdout"),
    })
}

fn expected(json: &Value, tensors: &SafeTensors) -> Result<Option<Expected>, Diagnostic> {
    match &json["expect"] {
        Value::Null => Ok(None),
        expect if expect["raises"] == Value::Bool(true) => {
            Ok(Some(Expected::Raises { message: text(json, "raised_message"), by: text(json, "raised_by") }))
        }
        expect => Ok(Some(Expected::Value(InputValue::from_json(expect, tensors)?))),
    }
}

fn intermediates(json: &Value, tensors: &SafeTensors) -> Result<Vec<Intermediate>, Diagnostic> {
    let Some(values) = json["intermediates"].as_array() else { return Ok(Vec::new()) };
    let intermediate = |json: &Value| {
        let name = text(json, "name").ok_or_else(|| broken("an intermediate value has no name"))?;
        Ok(Intermediate { name, value: InputValue::from_json(&json["value"], tensors)? })
    };
    values.iter().map(intermediate).collect()
}

/// Writes results: `.json` with the tensors in a `.safetensors` file beside it, or tensors only in a `.safetensors` or
/// `.npz` file, named `result` or by their place in it (`result.0`, `result.logits`). With `is_sequence` the JSON form is
/// `{"calls": [VALUE..]}`.
pub fn write_outputs(path: &Path, results: &[InputValue], is_sequence: bool) -> Result<(), Diagnostic> {
    match extension(path) {
        "json" => write_json(path, results, is_sequence),
        "safetensors" => write(path, &write_safetensors(&named(results, is_sequence)?)?),
        "npz" => write(path, &write_npz(&named(results, is_sequence)?)?),
        _ => Err(unknown_ending(path)),
    }
}

fn write_json(path: &Path, results: &[InputValue], is_sequence: bool) -> Result<(), Diagnostic> {
    let mut tensors = Vec::new();
    let mut values: Vec<Value> = results.iter().map(|result| result.to_json("t", &mut tensors)).collect();
    let json = match values.pop() {
        Some(value) if !is_sequence && values.is_empty() => value,
        last => {
            values.extend(last);
            json!({"calls": values})
        }
    };
    write(&path.with_extension("safetensors"), &write_safetensors(&tensors)?)?;
    write(path, json.to_string().as_bytes())
}

fn named(results: &[InputValue], is_sequence: bool) -> Result<Vec<(String, TensorData)>, Diagnostic> {
    let mut tensors = Vec::new();
    for (index, result) in results.iter().enumerate() {
        let name = if is_sequence { format!("calls.{index}") } else { "result".into() };
        name_tensors(name, result, &mut tensors)?;
    }
    Ok(tensors)
}

fn name_tensors(name: String, value: &InputValue, tensors: &mut Vec<(String, TensorData)>) -> Result<(), Diagnostic> {
    match value {
        InputValue::Tensor(tensor) => tensors.push((name, tensor.clone())),
        InputValue::List(items) | InputValue::Tuple(items) => {
            for (index, item) in items.iter().enumerate() {
                name_tensors(format!("{name}.{index}"), item, tensors)?;
            }
        }
        InputValue::NamedTuple { fields, .. } => {
            for (field, item) in fields {
                name_tensors(format!("{name}.{field}"), item, tensors)?;
            }
        }
        InputValue::Dict(items) if items.iter().all(|(key, _)| matches!(key, InputValue::Str(_) | InputValue::Int(_))) => {
            for (key, item) in items {
                let key = match key {
                    InputValue::Int(key) => key.to_string(),
                    InputValue::Str(key) => key.clone(),
                    _ => continue,
                };
                name_tensors(format!("{name}.{key}"), item, tensors)?;
            }
        }
        _ => {
            return Err(Diagnostic::usage("inputs", format!("`{name}` is not a tensor, and the file can hold only tensors"))
                .help("write the results to a `.json` file"));
        }
    }
    Ok(())
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or("")
}

fn unknown_ending(path: &Path) -> Diagnostic {
    Diagnostic::usage("inputs", format!("`{}` does not end in .json, .npz or .safetensors", path.display()))
}

fn in_file(path: &Path, mut error: Diagnostic) -> Diagnostic {
    error.message = format!("`{}`: {}", path.display(), error.message);
    error
}

fn read(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    std::fs::read(path).map_err(|error| broken(format!("`{}` cannot be read: {error}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    std::fs::write(path, bytes).map_err(|error| broken(format!("`{}` cannot be written: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(value: f32) -> InputValue {
        InputValue::Tensor(TensorData::from_f32(&[1], &[value]))
    }

    fn parse(json: &str) -> Result<Case, Diagnostic> {
        Case::from_json(&serde_json::from_str(json).unwrap(), &SafeTensors::default())
    }

    #[test]
    fn reads_one_call() {
        let case =
            parse(r#"{"args": [{"int": 1}], "kwargs": {"b": {"bool": true}}, "expect": {"float": "nan"}, "rtol": 0.5}"#).unwrap();
        assert!(!case.is_sequence && case.rtol == 0.5 && case.atol == ATOL);
        let [call] = case.calls.as_slice() else { panic!() };
        assert_eq!((call.method.as_str(), call.args.as_slice()), ("forward", [InputValue::Int(1)].as_slice()));
        assert_eq!(call.kwargs, [("b".to_owned(), InputValue::Bool(true))]);
        assert!(matches!(call.expect, Some(Expected::Value(InputValue::Float(value))) if value.is_nan()));
    }

    #[test]
    fn reads_several_calls() {
        let text = r#"{"calls": [{"args": [], "intermediates": [{"name": "a.b", "value": {"int": 2}}], "stdout": "x"},
            {"method": "g", "args": [], "expect": {"raises": true}, "raised_message": "no", "raised_by": "run time"}]}"#;
        let case = parse(text).unwrap();
        assert!(case.is_sequence && case.calls[0].expect.is_none());
        assert_eq!(case.calls[0].intermediates, [Intermediate { name: "a.b".into(), value: InputValue::Int(2) }]);
        assert_eq!(case.calls[0].stdout.as_deref(), Some("x"));
        let raises = Expected::Raises { message: Some("no".into()), by: Some("run time".into()) };
        assert_eq!((case.calls[1].method.as_str(), &case.calls[1].expect), ("g", &Some(raises)));
        assert!(parse(r#"{"args": 3}"#).is_err() && parse(r#"{"calls": 3}"#).is_err() && parse(r#"{"args": [3]}"#).is_err());
    }

    #[test]
    fn results_are_written_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let result = InputValue::Tuple(vec![tensor(1.0), InputValue::Dict(vec![(InputValue::Str("k".into()), tensor(2.0))])]);
        let json = folder.path().join("out.json");
        write_outputs(&json, &[result.clone(), InputValue::Int(3)], true).unwrap();
        let text: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        let tensors = std::fs::read(folder.path().join("out.safetensors")).unwrap();
        let read = InputValue::from_json(&text["calls"][0], &SafeTensors::read(&tensors).unwrap()).unwrap();
        assert_eq!((read, &text["calls"][1]), (result.clone(), &json!({"int": 3})));
        for ending in ["npz", "safetensors"] {
            let path = folder.path().join("plain").with_extension(ending);
            write_outputs(&path, std::slice::from_ref(&result), false).unwrap();
            let call = read_inputs(&path).unwrap().calls.remove(0);
            assert_eq!(call.kwargs, [("result.0".to_owned(), tensor(1.0)), ("result.1.k".to_owned(), tensor(2.0))]);
            assert_eq!(write_outputs(&path, &[InputValue::Int(3)], false).unwrap_err().failure, kiln_support::Failure::Usage);
        }
        assert!(write_outputs(&folder.path().join("out.txt"), &[], false).is_err());
        assert!(read_inputs(&folder.path().join("missing.json")).unwrap_err().message.contains("missing.json"));
    }

    #[test]
    fn tensors_become_arguments_by_name() {
        let named = |name: &str, value: f32| (name.to_owned(), TensorData::from_f32(&[1], &[value]));
        let call = arguments(vec![named("args.1", 2.0), named("mask", 3.0), named("arr_0", 1.0)]).unwrap();
        assert_eq!((call.args, call.kwargs), (vec![tensor(1.0), tensor(2.0)], vec![("mask".to_owned(), tensor(3.0))]));
        assert!(arguments(vec![named("1", 0.0)]).unwrap_err().message.contains("argument 0 is missing"));
        assert!(arguments(vec![named("0", 0.0), named("arr_0", 0.0)]).unwrap_err().message.contains("there twice"));
    }

    #[test]
    fn the_deepest_json_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep.json");
        std::fs::write(&path, r#"{"args": [{"list": ["#.repeat(100_000)).unwrap();
        assert!(read_case(&path).unwrap_err().message.contains("not JSON"));
    }
}
