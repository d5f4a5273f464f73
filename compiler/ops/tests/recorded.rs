//! Every core operator against calls recorded from PyTorch (`record.py`): its infer rule gives the recorded types,
//! its strides rule the recorded strides, and its reference evaluation the recorded elements.

use kiln_graph::{Dim, TensorType};
use kiln_loops::interpret;
use kiln_loops::{BinaryOp, Compute, Expr, Exprs, Kind, Output, Scalar};
use kiln_ops::entries;
use kiln_ops::eval::{Inputs, eval};
use kiln_ops::{Body, DimMath, Entry, Fact, Infer, OpError, entry};
use kiln_support::tensor::{Number, contiguous_strides, count};
use kiln_support::{DType, TensorData};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const RECORDED: &str = include_str!("recorded.jsonl");

/// What came of a call.
enum Outcome {
    Same,
    Unsupported(String),
    Wrong(String),
}

#[test]
fn every_core_operator_agrees_with_pytorch() {
    let (mut agreeing, mut unsupported, mut wrong) = (BTreeMap::<&str, usize>::new(), BTreeSet::new(), Vec::new());
    for line in RECORDED.lines() {
        let call: Value = serde_json::from_str(line).expect("a recorded call is JSON");
        let Some(entry) = entry(call[0].as_str().expect("a key")) else { continue };
        match check(entry, &call[1], &call[2]) {
            Outcome::Same => *agreeing.entry(entry.key).or_default() += 1,
            Outcome::Unsupported(what) => _ = unsupported.insert(format!("{}: {what}", entry.key)),
            Outcome::Wrong(what) => wrong.push(format!("{}: {what}\n    {line:.300}", entry.key)),
        }
    }
    eprintln!("unsupported:\n{}", unsupported.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(wrong.is_empty(), "{} calls differ:\n{}", wrong.len(), wrong.join("\n"));
    let missing: Vec<&str> = entries::all().map(|e| e.key).filter(|k| !agreeing.contains_key(k) && !is_excused(k)).collect();
    assert!(missing.is_empty(), "no recorded call of {missing:?}");
}

/// PyTorch does not have kiln's own operators. Runtime operators are on strings and containers: the runtime's own
/// tests are theirs.
fn is_excused(key: &str) -> bool {
    key.starts_with("kiln::") || matches!(entry(key).expect("it is listed").body, Body::Runtime { .. })
}

/// Constant sizes only.
struct Known;

impl DimMath for Known {
    fn binary(&mut self, op: BinaryOp, a: Dim, b: Dim) -> Dim {
        let known = |d: Dim| Scalar::Int(d.as_const().expect("recorded sizes are known"));
        Dim::Const(kiln_loops::scalar::binary(op, known(a), known(b)).as_int())
    }

    fn require_equal(&mut self, a: Dim, b: Dim, message: &str) {
        assert_eq!(a, b, "{message}");
    }
}

fn check(entry: &Entry, args: &Value, expected: &Value) -> Outcome {
    let args = args.as_array().expect("arguments");
    let facts: Vec<Fact> = args.iter().map(fact).collect();
    let raised = expected.get("raises").is_some();
    if expected.get("raises").is_some_and(|class| class == "NotImplementedError") {
        // PyTorch has no kernel for an element type here: more than it can do is no mistake.
        return Outcome::Same;
    }
    match entry.body {
        Body::Scalar(scalar) => check_scalar(scalar, &facts, expected),
        Body::Tensor { infer, .. } | Body::View { infer, .. } | Body::Scatter { infer, .. } | Body::Extern { infer, .. } => {
            match infer(&mut Infer { args: &facts, dims: &mut Known }) {
                Err(OpError::Raise { .. }) if raised => Outcome::Same,
                Err(OpError::Raise { message, .. }) => Outcome::Wrong(format!("raises `{message}`")),
                Err(OpError::Unsupported(what)) => Outcome::Unsupported(what),
                Ok(types) => check_results(entry, args, &facts, &types, expected),
            }
        }
        Body::Runtime { .. } => Outcome::Unsupported("runtime operators".to_owned()),
    }
}

fn check_scalar(scalar: fn(&mut Exprs, &[Expr]) -> Result<Expr, OpError>, facts: &[Fact], expected: &Value) -> Outcome {
    let mut compute = Compute::default();
    let args: Vec<Expr> = facts.iter().map(|f| compute.exprs.constant(scalar_of(f))).collect();
    let value = match scalar(&mut compute.exprs, &args) {
        Ok(value) => value,
        Err(OpError::Raise { .. }) if expected.get("raises").is_some() => return Outcome::Same,
        Err(error) => return Outcome::Wrong(format!("{error:?}")),
    };
    let dtype = match compute.exprs.kind(value) {
        Kind::Bool => DType::Bool,
        Kind::Int => DType::I64,
        _ => DType::F64,
    };
    compute.outputs.push(Output { dtype, value });
    let got = interpret::run(&compute, &[], &[], None).expect("no check can fail").remove(0).get(0);
    let expected = number(&expected[0]);
    let is_same_kind = std::mem::discriminant(&got) == std::mem::discriminant(&expected);
    if is_same_kind && close(got.as_f64(), expected.as_f64(), DType::F64) {
        Outcome::Same
    } else {
        Outcome::Wrong(format!("{got:?} instead of {expected:?}"))
    }
}

fn scalar_of(fact: &Fact) -> Scalar {
    match fact {
        Fact::Int(Dim::Const(i)) => Scalar::Int(*i),
        Fact::Float(Ok(f)) => Scalar::F64(*f),
        Fact::Bool(Ok(b)) => Scalar::Bool(*b),
        other => panic!("{other:?} is no scalar"),
    }
}

fn check_results(entry: &Entry, args: &[Value], facts: &[Fact], types: &[TensorType], expected: &Value) -> Outcome {
    let inputs = inputs(args);
    let results = kiln_ops_results(entry, facts, types, &inputs);
    if expected.get("raises").is_some() {
        return if results.is_none() { Outcome::Same } else { Outcome::Wrong("does not raise".to_owned()) };
    }
    let expected: Vec<(TensorData, Vec<i64>)> = expected.as_array().expect("results").iter().map(tensor).collect();
    let wanted: Vec<TensorType> = expected.iter().map(|(t, _)| TensorType::of(t.dtype, &t.shape)).collect();
    if types != wanted {
        return Outcome::Wrong(format!("is of type {types:?} instead of {wanted:?}"));
    }
    if let Some(what) = wrong_strides(entry, args, facts, &expected) {
        return Outcome::Wrong(what);
    }
    let Some(results) = results else { return Outcome::Wrong("does not evaluate".to_owned()) };
    for (got, (expected, _)) in results.iter().zip(&expected) {
        if let Some(what) = difference(got, expected) {
            return Outcome::Wrong(what);
        }
    }
    Outcome::Same
}

/// The elements by the reference evaluation, or by the runtime's algorithm.
fn kiln_ops_results(entry: &Entry, facts: &[Fact], types: &[TensorType], inputs: &Inputs) -> Option<Vec<TensorData>> {
    match entry.body {
        Body::Extern { call, .. } => external::run(&call(&mut Infer { args: facts, dims: &mut Known }), types, inputs),
        _ => eval(entry, facts, types, inputs, 1 << 24),
    }
}

fn wrong_strides(entry: &Entry, args: &[Value], facts: &[Fact], expected: &[(TensorData, Vec<i64>)]) -> Option<String> {
    let Body::View { strides, .. } = entry.body else { return None };
    let (base, own) = tensor(&args[0]);
    let is_plain = own == contiguous_strides(&base.shape) && !base.is_empty();
    let dims: Vec<Dim> = own.iter().map(|&s| Dim::Const(s)).collect();
    let got = strides(&mut Infer { args: facts, dims: &mut Known }, &dims)?;
    let got: Vec<i64> = got.iter().map(|d| d.as_const().expect("known")).collect();
    (is_plain && got != expected[0].1).then(|| format!("strides {got:?} instead of {:?}", expected[0].1))
}

fn difference(got: &TensorData, expected: &TensorData) -> Option<String> {
    if got.shape != expected.shape {
        return Some(format!("shape {:?} instead of {:?}", got.shape, expected.shape));
    }
    for (i, (a, b)) in got.numbers().zip(expected.numbers()).enumerate() {
        let is_same = match (a, b) {
            (Number::Float(a), Number::Float(b)) => close(a, b, expected.dtype),
            (a, b) => a == b,
        };
        if !is_same {
            return Some(format!("element {i} is {a:?} instead of {b:?}"));
        }
    }
    None
}

/// Within some units in the last place.
fn close(got: f64, expected: f64, dtype: DType) -> bool {
    let (relative, absolute) = match dtype {
        DType::F16 => (3e-3, 2e-4),
        DType::BF16 => (2e-2, 1e-3),
        DType::F32 => (2e-5, 2e-6),
        // PyTorch's own Bessel functions are this good in places.
        _ => (3e-7, 1e-10),
    };
    if !expected.is_finite() {
        return got.is_nan() && expected.is_nan() || got == expected;
    }
    (got - expected).abs() <= absolute + relative * expected.abs()
}

fn fact(value: &Value) -> Fact {
    match value {
        Value::Null => Fact::None,
        Value::Bool(b) => Fact::Bool(Ok(*b)),
        Value::Number(n) => {
            n.as_i64().map_or_else(|| Fact::Float(Ok(n.as_f64().expect("a float"))), |i| Fact::Int(Dim::Const(i)))
        }
        Value::String(s) => Fact::Str(s.clone()),
        Value::Array(items) => Fact::List(items.iter().map(fact).collect()),
        Value::Object(fields) if fields.contains_key("float") => Fact::Float(Ok(float(value))),
        Value::Object(fields) if fields.contains_key("device") => Fact::Opaque,
        Value::Object(_) => {
            let (data, _) = tensor(value);
            Fact::Tensor(TensorType::of(data.dtype, &data.shape))
        }
    }
}

fn number(value: &Value) -> Number {
    match value {
        Value::Bool(b) => Number::Bool(*b),
        Value::Number(n) => n.as_i64().map_or_else(|| Number::Float(n.as_f64().expect("a float")), Number::Int),
        other => Number::Float(float(other)),
    }
}

fn float(value: &Value) -> f64 {
    value["float"].as_str().and_then(|t| t.parse().ok()).expect("a float")
}

/// A recorded tensor and its strides.
fn tensor(value: &Value) -> (TensorData, Vec<i64>) {
    let ints = |list: &Value| list.as_array().map(|l| l.iter().map(|i| i.as_i64().expect("an int")).collect::<Vec<i64>>());
    let dtype = DType::from_name(value["t"].as_str().expect("a type")).expect("an element type");
    let hex = value["h"].as_str().expect("bytes");
    let bytes: Vec<u8> = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex")).collect();
    let shape = ints(&value["s"]).expect("sizes");
    let strides = ints(&value["st"]).unwrap_or_else(|| contiguous_strides(&shape));
    (TensorData::new(dtype, shape, bytes), strides)
}

fn inputs(args: &[Value]) -> Inputs {
    let mut inputs = Inputs::new();
    for (i, arg) in args.iter().enumerate() {
        match arg {
            Value::Object(fields) if fields.contains_key("t") => _ = inputs.insert((i, None), tensor(arg).0),
            Value::Array(items) => {
                for (j, item) in items.iter().enumerate().filter(|(_, v)| v.get("t").is_some()) {
                    inputs.insert((i, Some(j)), tensor(item).0);
                }
            }
            _ => {}
        }
    }
    inputs
}

/// Calls of the runtime's algorithms.
mod external {
    use super::*;
    use kiln_ops::{ExternCall, ExternOperand};

    /// Runs a call; none where it fails.
    pub fn run(call: &ExternCall, types: &[TensorType], inputs: &Inputs) -> Option<Vec<TensorData>> {
        let mut outputs: Vec<Vec<u64>> =
            types.iter().map(|t| vec![0; count(&t.const_shape().expect("known sizes")) * t.dtype.size() / 8 + 1]).collect();
        let mut scratch = vec![0u64; call.scratch.as_const().expect("known") as usize / 8 + 1];
        let mut context = [0u64; 18];
        let context = context.as_mut_ptr();
        call_words("context_init", &[context as u64, 0]);
        let mut words: Vec<u64> = if call.fallible { vec![context as u64] } else { Vec::new() };
        for operand in &call.operands {
            words.push(match operand {
                ExternOperand::Input(at) => inputs[&(*at, None)].bytes.as_ptr() as u64,
                ExternOperand::Output(at) => outputs[*at].as_mut_ptr() as u64,
                ExternOperand::Int(dim) => dim.as_const().expect("known") as u64,
                ExternOperand::Scratch => scratch.as_mut_ptr() as u64,
                ExternOperand::Float(_) => return None,
            });
        }
        call_words(call.symbol, &words);
        // SAFETY: the context is alive; its status is its first word.
        let failed = call.fallible && unsafe { *context.cast::<u32>() } != 0;
        call_words("context_destroy", &[context as u64]);
        (!failed).then(|| types.iter().zip(&outputs).map(|(t, o)| data(t, o)).collect())
    }

    /// Calls a function of the runtime that takes only words.
    fn call_words(name: &str, words: &[u64]) -> u64 {
        let symbol = format!("kiln_rt1_{name}");
        let symbol = kiln_rt::SYMBOLS.iter().find(|s| s.name == symbol).unwrap_or_else(|| panic!("the runtime has no {symbol}"));
        let is_word = |kind: &kiln_rt::export::Kind| matches!(kind, kiln_rt::export::Kind::I64 | kiln_rt::export::Kind::Pointer);
        assert!(symbol.params.iter().all(is_word), "{name} takes more than words");
        assert_eq!(words.len(), symbol.params.len(), "operands of {name}");
        let mut all = [0u64; 20];
        all[..words.len()].copy_from_slice(words);
        macro_rules! call {
            ($($at:literal)*) => {{
                type Function = extern "C" fn($(call!(@word $at)),*) -> u64;
                // SAFETY: in the C calling convention of our targets a function ignores words that it does not take; it takes
                // as many as the table says, and the operands fit it.
                let function: Function = unsafe { std::mem::transmute(symbol.address) };
                function($(all[$at]),*)
            }};
            (@word $at:literal) => { u64 };
        }
        call!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19)
    }

    fn data(ty: &TensorType, words: &[u64]) -> TensorData {
        let shape = ty.const_shape().expect("known sizes");
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).take(count(&shape) * ty.dtype.size()).collect();
        TensorData::new(ty.dtype, shape, bytes)
    }
}
