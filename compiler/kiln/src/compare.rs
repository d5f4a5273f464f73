//! Compares a result with the recorded one.
//!
//! Structure, types, shapes, integers, strings and truth values must be the same; a floating-point number x must be within
//! `atol + rtol * |expected|`, and nan where nan is expected.

use crate::arguments::python_type;
use kiln_frontend::tensors_file::InputValue;
use kiln_support::TensorData;
use kiln_support::tensor::Number;

/// How far off a floating-point number may be.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Relative to the expected value.
    pub rtol: f64,
    /// Absolute.
    pub atol: f64,
}

impl Tolerance {
    /// For the inside of a model, where small numbers are what is left of large ones: a number may also be off by `rtol` of
    /// the largest number of the value.
    pub fn of_scale(self, value: &InputValue) -> Tolerance {
        Tolerance { atol: self.atol.max(self.rtol * largest(value)), ..self }
    }

    fn admits(self, found: f64, expected: f64) -> bool {
        if found.is_nan() || expected.is_nan() {
            return found.is_nan() && expected.is_nan();
        }
        found == expected
            || (found.is_finite() && expected.is_finite() && (found - expected).abs() <= self.atol + self.rtol * expected.abs())
    }
}

/// The largest finite magnitude of a floating-point number in a value.
fn largest(value: &InputValue) -> f64 {
    match value {
        InputValue::Float(x) if x.is_finite() => x.abs(),
        InputValue::Tensor(tensor) if tensor.dtype.is_float() => {
            tensor.numbers().map(|n| n.as_f64().abs()).filter(|x| x.is_finite()).fold(0.0, f64::max)
        }
        InputValue::List(items) | InputValue::Tuple(items) => items.iter().map(largest).fold(0.0, f64::max),
        InputValue::Dict(items) => items.iter().map(|(_, item)| largest(item)).fold(0.0, f64::max),
        InputValue::NamedTuple { fields, .. } => fields.iter().map(|(_, item)| largest(item)).fold(0.0, f64::max),
        _ => 0.0,
    }
}

/// The first difference, in words that begin with its place (`result[1].x`); none where there is none.
pub fn difference(found: &InputValue, expected: &InputValue, tolerance: Tolerance) -> Option<String> {
    Comparison { tolerance }.values(found, expected, "result")
}

struct Comparison {
    tolerance: Tolerance,
}

impl Comparison {
    fn values(&self, found: &InputValue, expected: &InputValue, place: &str) -> Option<String> {
        use InputValue as V;
        match (found, expected) {
            (V::Tensor(a), V::Tensor(b)) => self.tensors(a, b, place),
            // A tensor that an operator leaves undefined is None in Python, and a tensor without elements here.
            (V::Tensor(a), V::None) if a.shape == [0] => None,
            (V::Float(a), V::Float(b)) => (!self.tolerance.admits(*a, *b)).then(|| format!("{place}: {a:?}, expected {b:?}")),
            (V::List(a), V::List(b)) | (V::Tuple(a), V::Tuple(b)) => self.all(a.iter(), b.iter(), place),
            (V::Dict(a), V::Dict(b)) => self
                .all(a.iter().map(|(k, _)| k), b.iter().map(|(k, _)| k), &format!("keys of {place}"))
                .or_else(|| self.all(a.iter().map(|(_, v)| v), b.iter().map(|(_, v)| v), &format!("values of {place}"))),
            (V::NamedTuple { name: a, fields: x }, V::NamedTuple { name: b, fields: y }) => {
                let names = |fields: &[(String, V)]| fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                if (a, names(x)) != (b, names(y)) {
                    return Some(format!(
                        "{place}: a named tuple {a}({}), expected {b}({})",
                        names(x).join(", "),
                        names(y).join(", ")
                    ));
                }
                x.iter().zip(y).find_map(|((field, a), (_, b))| self.values(a, b, &format!("{place}.{field}")))
            }
            _ if std::mem::discriminant(found) != std::mem::discriminant(expected) => {
                Some(format!("{place}: a value of type {}, expected {}", python_type(found), python_type(expected)))
            }
            _ => (found != expected)
                .then(|| format!("{place}: {}, expected {}", found.to_inline_json(), expected.to_inline_json())),
        }
    }

    fn all<'v>(
        &self,
        found: impl ExactSizeIterator<Item = &'v InputValue>,
        expected: impl ExactSizeIterator<Item = &'v InputValue>,
        place: &str,
    ) -> Option<String> {
        if found.len() != expected.len() {
            return Some(format!("{place}: {} elements, expected {}", found.len(), expected.len()));
        }
        found.zip(expected).enumerate().find_map(|(at, (a, b))| self.values(a, b, &format!("{place}[{at}]")))
    }

    fn tensors(&self, found: &TensorData, expected: &TensorData, place: &str) -> Option<String> {
        if found.dtype != expected.dtype {
            return Some(format!("{place}: a {} tensor, expected {}", found.dtype.torch_name(), expected.dtype.torch_name()));
        }
        if found.shape != expected.shape {
            return Some(format!("{place}: shape {:?}, expected {:?}", found.shape, expected.shape));
        }
        let is_same = |a: &Number, b: &Number| match (a, b) {
            (Number::Float(a), Number::Float(b)) => self.tolerance.admits(*a, *b),
            (a, b) => a == b,
        };
        let bad: Vec<(usize, Number, Number)> = found
            .numbers()
            .zip(expected.numbers())
            .enumerate()
            .filter(|(_, (a, b))| !is_same(a, b))
            .map(|(i, (a, b))| (i, a, b))
            .collect();
        let &(at, a, b) = bad.first()?;
        let largest = bad.iter().map(|(_, a, b)| (a.as_f64() - b.as_f64()).abs()).fold(0.0, f64::max);
        let (a, b, index) = (number(a), number(b), position(at, &found.shape));
        let (count, len) = (bad.len(), found.len());
        Some(format!(
            "{place}: {count} of {len} elements differ, first at {index:?}: {a}, expected {b}; largest difference {largest:e}"
        ))
    }
}

fn number(number: Number) -> String {
    match number {
        Number::Int(i) => i.to_string(),
        Number::Float(f) => format!("{f:?}"),
        Number::Bool(b) => b.to_string(),
    }
}

/// The index of a row-major position.
fn position(mut at: usize, shape: &[i64]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let own = at % size as usize;
            at /= size as usize;
            own
        })
        .collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(found: InputValue, expected: InputValue) -> Option<String> {
        difference(&found, &expected, Tolerance { rtol: 1e-3, atol: 1e-6 })
    }

    fn tensor(shape: &[i64], values: &[f32]) -> InputValue {
        InputValue::Tensor(TensorData::from_f32(shape, values))
    }

    #[test]
    fn floats_may_be_off_a_little() {
        assert_eq!(differ(tensor(&[2], &[1.0005, f32::NAN]), tensor(&[2], &[1.0, f32::NAN])), None);
        assert_eq!(differ(InputValue::Float(f64::INFINITY), InputValue::Float(f64::INFINITY)), None);
        let text = differ(tensor(&[2, 2], &[1.0, 2.0, 3.0, 5.0]), tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0])).unwrap();
        assert!(text.contains("1 of 4 elements differ, first at [1, 1]: 5.0, expected 4.0"), "{text}");
        assert!(differ(InputValue::Float(f64::INFINITY), InputValue::Float(1e300)).is_some());
        assert!(differ(InputValue::Float(f64::NAN), InputValue::Float(1.0)).is_some());
    }

    #[test]
    fn the_inside_of_a_model_is_measured_by_its_scale() {
        let (found, expected) = (tensor(&[2], &[100.0, 0.001]), tensor(&[2], &[100.0, 0.002]));
        let strict = Tolerance { rtol: 1e-4, atol: 1e-5 };
        assert!(difference(&found, &expected, strict).is_some());
        assert_eq!(difference(&found, &expected, strict.of_scale(&expected)), None);
        assert!(difference(&tensor(&[1], &[100.1]), &tensor(&[1], &[100.0]), strict.of_scale(&expected)).is_some());
    }

    #[test]
    fn everything_else_is_exact() {
        use InputValue as V;
        assert!(differ(V::Int(1), V::Bool(true)).unwrap().contains("type int, expected bool"));
        assert!(differ(V::List(vec![V::Int(1)]), V::List(vec![V::Int(2)])).unwrap().starts_with("result[0]: "));
        assert!(differ(V::List(vec![]), V::Tuple(vec![])).is_some());
        assert!(differ(tensor(&[1, 2], &[0.0; 2]), tensor(&[2], &[0.0; 2])).unwrap().contains("shape"));
        let point = |field: &str| V::NamedTuple { name: "P".into(), fields: vec![(field.into(), V::Int(1))] };
        assert!(differ(point("x"), point("y")).is_some());
        assert_eq!(differ(point("x"), point("x")), None);
        assert_eq!(differ(tensor(&[0], &[]), V::None), None);
        assert!(differ(tensor(&[1], &[0.0]), V::None).is_some());
    }
}
