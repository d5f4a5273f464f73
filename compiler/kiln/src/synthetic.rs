//! Made-up inputs of given types, for measuring.
//!
//! Floats are small numbers of both signs from a fixed sequence, integers zeros and ones (valid as indices and as
//! tokens), so that every run measures the same.

use kiln_frontend::tensors_file::InputValue;
use kiln_graph::Type;
use kiln_support::tensor::{Number, count};
use kiln_support::{DType, Diagnostic, TensorData};

/// The most elements of a made-up tensor.
const MAX_ELEMENTS: i64 = 1 << 30;

/// A value of a rich type.
pub fn value(name: &str, ty: &Type) -> Result<InputValue, Diagnostic> {
    let open = |what: &str| {
        Diagnostic::usage("input-type-needed", format!("input `{name}`: {what}")).help("give its values with --inputs")
    };
    Ok(match ty {
        Type::None | Type::Optional(_) => InputValue::None,
        Type::Bool => InputValue::Bool(true),
        Type::Int => InputValue::Int(1),
        Type::Float => InputValue::Float(0.5),
        Type::Str => InputValue::Str(String::new()),
        Type::Tensor(Some(facts)) => {
            let shape = facts.const_shape().ok_or_else(|| open("a measurement needs a number for every size"))?;
            let elements = shape.iter().try_fold(1i64, |all, &n| all.checked_mul(n)).filter(|&n| n <= MAX_ELEMENTS);
            elements.ok_or_else(|| open("the tensor is too large"))?;
            InputValue::Tensor(tensor(facts.dtype, &shape))
        }
        Type::List(elem) => InputValue::List(vec![value(name, elem)?]),
        Type::Dict(_) => InputValue::Dict(Vec::new()),
        Type::Tuple(types) => InputValue::Tuple(types.iter().map(|ty| value(name, ty)).collect::<Result<_, _>>()?),
        _ => return Err(open("no value of its type can be made up")),
    })
}

/// A tensor of small numbers.
fn tensor(dtype: DType, shape: &[i64]) -> TensorData {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let numbers = (0..count(shape)).map(|_| {
        // A linear congruential generator (Knuth's MMIX constants); the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = state >> 40;
        if dtype.is_float() { Number::Float(bits as f64 / f64::from(1 << 23) - 1.0) } else { Number::Int((bits & 1) as i64) }
    });
    TensorData::from_numbers(dtype, shape, numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_graph::{Dim, Value};

    #[test]
    fn the_same_numbers_every_time() {
        let ty = Type::tensor(DType::F32, vec![Dim::Const(2), Dim::Const(100)]);
        let InputValue::Tensor(made) = value("x", &ty).unwrap() else { panic!() };
        assert_eq!(value("x", &ty).unwrap(), InputValue::Tensor(made.clone()));
        let numbers = made.to_f32();
        assert!(numbers.iter().all(|x| x.abs() <= 1.0) && numbers.iter().any(|x| *x > 0.5) && numbers.iter().any(|x| *x < -0.5));
    }

    #[test]
    fn open_sizes_are_asked_for() {
        let ty = Type::tensor(DType::F32, vec![Dim::Value(Value(0))]);
        assert!(value("x", &ty).unwrap_err().message.contains("a number for every size"));
        assert!(value("x", &Type::tensor(DType::F32, vec![Dim::Const(i64::MAX), Dim::Const(2)])).is_err());
    }
}
