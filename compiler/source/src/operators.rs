//! Operators: of Python's numbers and containers here, of tensors by the host.

use crate::evaluator::{Eval, Evaluator, error, unsupported};
use crate::value::Value;
use kiln_frontend::ast::{BinOp, CompareOp, UnaryOp};
use kiln_support::Span;

impl Evaluator<'_> {
    /// `left op right`.
    pub fn binary(&mut self, op: BinOp, left: Value, right: Value, at: Span) -> Eval<Value> {
        if matches!(left, Value::Tensor(_)) || matches!(right, Value::Tensor(_)) {
            return self.tensor_operator(symbol(op), left, right, at);
        }
        match (op, &left, &right) {
            (BinOp::Add, Value::Str(a), Value::Str(b)) => return Ok(Value::str(format!("{a}{b}"))),
            (BinOp::Add, Value::List(a), Value::List(b)) => {
                let items = a.borrow().iter().chain(b.borrow().iter()).cloned().collect();
                return Ok(Value::list(items));
            }
            (BinOp::Add, Value::Tuple(a), Value::Tuple(b)) => return Ok(Value::tuple([a.to_vec(), b.to_vec()].concat())),
            (BinOp::Mul, Value::List(_) | Value::Tuple(_) | Value::Str(_), count) if count.as_int().is_some() => {
                return self.repeated(&left, count.as_int().unwrap_or(0), at);
            }
            (BinOp::Mul, count, Value::List(_) | Value::Tuple(_) | Value::Str(_)) if count.as_int().is_some() => {
                return self.repeated(&right, count.as_int().unwrap_or(0), at);
            }
            (BinOp::Mod, Value::Str(format), _) => return self.percent_format(format, &right, at),
            (BinOp::BitOr, Value::Dict(a), Value::Dict(b)) => {
                let mut items = a.borrow().clone();
                for (key, value) in b.borrow().iter() {
                    crate::containers::dict_set(&mut items, key.clone(), value.clone());
                }
                return Ok(Value::dict(items));
            }
            // `Tensor | None` where a type stands for a value.
            (BinOp::BitOr, Value::Path(_) | Value::Class(_), _) => return Ok(Value::path("types.UnionType")),
            _ => {}
        }
        if let (Value::Bool(a), Value::Bool(b)) = (&left, &right) {
            match op {
                BinOp::BitAnd => return Ok(Value::Bool(a & b)),
                BinOp::BitOr => return Ok(Value::Bool(a | b)),
                BinOp::BitXor => return Ok(Value::Bool(a ^ b)),
                _ => {}
            }
        }
        if let (Some(a), Some(b)) = (left.as_int(), right.as_int())
            && let Some(result) = int_operator(op, a, b, at)?
        {
            return Ok(result);
        }
        match (left.as_float(), right.as_float()) {
            (Some(a), Some(b)) => float_operator(op, a, b, at),
            _ => Err(error(
                "bad-operands",
                format!("`{}` does not take a {} and a {}", symbol(op), left.type_name(), right.type_name()),
                at,
            )),
        }
    }

    /// `old op= value`: a list and a tensor are changed in place.
    pub fn augmented(&mut self, op: BinOp, old: Value, value: Value, at: Span) -> Eval<Value> {
        match (op, &old) {
            (BinOp::Add, Value::List(items)) => {
                let more = self.items(&value, at)?;
                items.borrow_mut().extend(more);
                Ok(old)
            }
            (_, Value::Tensor(tensor)) => {
                let mut tensors = vec![old.clone()];
                let value = self.code_of(&value, &mut tensors, at)?;
                self.write_tensor(tensor, &format!("t0 {}= {value}\nreturn t0", symbol(op)), &tensors, at)?;
                Ok(old)
            }
            _ => self.binary(op, old, value, at),
        }
    }

    fn repeated(&mut self, value: &Value, count: i64, at: Span) -> Eval<Value> {
        let count = usize::try_from(count).unwrap_or(0);
        if let Value::Str(text) = value {
            return Ok(Value::str(text.repeat(count.min(1 << 16))));
        }
        let items = self.items(value, at)?;
        if items.len().saturating_mul(count) > 1 << 20 {
            return Err(error("source-init", "this list becomes too long", at));
        }
        let items = items.iter().cycle().take(items.len() * count).cloned().collect();
        Ok(if matches!(value, Value::List(_)) { Value::list(items) } else { Value::tuple(items) })
    }

    fn percent_format(&mut self, format: &str, value: &Value, at: Span) -> Eval<Value> {
        let values = match value {
            Value::Tuple(items) => items.to_vec(),
            other => vec![other.clone()],
        };
        let (mut out, mut next) = (String::new(), values.iter());
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            match (c, if c == '%' { chars.next() } else { None }) {
                ('%', Some('%')) => out.push('%'),
                ('%', Some('s' | 'd' | 'i')) => match next.next() {
                    Some(value) => out.push_str(&self.text(value)),
                    None => return Err(error("bad-operands", "there are too few values for this format", at)),
                },
                ('%', _) => return Err(unsupported("this format is not supported in a constructor", at)),
                (c, _) => out.push(c),
            }
        }
        Ok(Value::str(out))
    }

    /// `op operand`.
    pub fn unary(&mut self, op: UnaryOp, operand: Value, at: Span) -> Eval<Value> {
        match (op, &operand) {
            (UnaryOp::Neg, Value::Tensor(_)) => self.tensor_code("return -t0", &[operand], at),
            (UnaryOp::Invert, Value::Tensor(_)) => self.tensor_code("return ~t0", &[operand], at),
            (UnaryOp::Neg, Value::Float(x)) => Ok(Value::Float(-x)),
            (UnaryOp::Pos, Value::Int(_) | Value::Float(_) | Value::Tensor(_)) => Ok(operand),
            (UnaryOp::Neg, value) if value.as_int().is_some() => Ok(Value::Int(value.as_int().unwrap_or(0).wrapping_neg())),
            (UnaryOp::Invert, value) if value.as_int().is_some() => Ok(Value::Int(!value.as_int().unwrap_or(0))),
            _ => Err(error("bad-operands", format!("this operator does not take a {}", operand.type_name()), at)),
        }
    }

    /// One comparison: of tensors element by element.
    pub fn comparison(&mut self, op: CompareOp, left: Value, right: Value, at: Span) -> Eval<Value> {
        let is_tensor = matches!(left, Value::Tensor(_)) || matches!(right, Value::Tensor(_));
        if is_tensor && !matches!(op, CompareOp::Is | CompareOp::IsNot | CompareOp::In | CompareOp::NotIn) {
            return self.tensor_operator(compare_symbol(op), left, right, at);
        }
        self.compare(op, &left, &right, at).map(Value::Bool)
    }

    /// Whether a comparison holds.
    pub fn compare(&mut self, op: CompareOp, left: &Value, right: &Value, at: Span) -> Eval<bool> {
        let is_tensor = matches!(left, Value::Tensor(_)) || matches!(right, Value::Tensor(_));
        match op {
            CompareOp::Is => return Ok(left.is(right)),
            CompareOp::IsNot => return Ok(!left.is(right)),
            CompareOp::In => return self.contains(right, left, at),
            CompareOp::NotIn => return Ok(!self.contains(right, left, at)?),
            _ if is_tensor => {
                let compared = self.tensor_operator(compare_symbol(op), left.clone(), right.clone(), at)?;
                return self.truth(&compared, at);
            }
            CompareOp::Eq => return Ok(left.equals(right)),
            CompareOp::Ne => return Ok(!left.equals(right)),
            _ => {}
        }
        let order = match (left, right) {
            (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
            _ => match (left.as_int(), right.as_int(), left.as_float(), right.as_float()) {
                (Some(a), Some(b), ..) => Some(a.cmp(&b)),
                (_, _, Some(a), Some(b)) => match a.partial_cmp(&b) {
                    Some(order) => Some(order),
                    None => return Ok(false),
                },
                _ => None,
            },
        };
        let Some(order) = order else {
            return Err(error("bad-operands", format!("a {} and a {} have no order", left.type_name(), right.type_name()), at));
        };
        Ok(match op {
            CompareOp::Lt => order.is_lt(),
            CompareOp::Le => order.is_le(),
            CompareOp::Gt => order.is_gt(),
            _ => order.is_ge(),
        })
    }

    fn contains(&mut self, container: &Value, item: &Value, at: Span) -> Eval<bool> {
        if let (Value::Str(text), Value::Str(part)) = (container, item) {
            return Ok(text.contains(&**part));
        }
        if let Value::Object(object) = container
            && let Some(method) = self.class_attribute(&object.class, "__contains__", at)?
        {
            let bound = self.bind(method, container.clone());
            let found = self.call(bound, vec![item.clone()], Vec::new(), at)?;
            return self.truth(&found, at);
        }
        Ok(self.items(container, at)?.iter().any(|other| other.equals(item)))
    }
}

fn int_operator(op: BinOp, a: i64, b: i64, at: Span) -> Eval<Option<Value>> {
    if b == 0 && matches!(op, BinOp::Div | BinOp::FloorDiv | BinOp::Mod) {
        return Err(error("raised", "division by zero", at));
    }
    let overflow = || error("source-init", "this integer does not fit 64 bits", at);
    let result = match op {
        BinOp::Add => a.checked_add(b),
        BinOp::Sub => a.checked_sub(b),
        BinOp::Mul => a.checked_mul(b),
        BinOp::FloorDiv => a.checked_div_euclid(b).map(|_| floor_div(a, b)),
        BinOp::Mod => Some(a.wrapping_sub(floor_div(a, b).wrapping_mul(b))),
        BinOp::Pow => match u32::try_from(b) {
            Ok(b) => a.checked_pow(b),
            Err(_) => return Ok(None),
        },
        BinOp::BitAnd => Some(a & b),
        BinOp::BitOr => Some(a | b),
        BinOp::BitXor => Some(a ^ b),
        BinOp::LShift => u32::try_from(b).ok().filter(|b| *b < 63).and_then(|b| a.checked_mul(1 << b)),
        BinOp::RShift => Some(a >> b.clamp(0, 63)),
        BinOp::Div | BinOp::MatMul => return Ok(None),
    };
    result.map(|i| Some(Value::Int(i))).ok_or_else(overflow)
}

/// Python's `//`, rounded down.
fn floor_div(a: i64, b: i64) -> i64 {
    let quotient = a.wrapping_div(b);
    if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
}

fn float_operator(op: BinOp, a: f64, b: f64, at: Span) -> Eval<Value> {
    if b == 0.0 && matches!(op, BinOp::Div | BinOp::FloorDiv | BinOp::Mod) {
        return Err(error("raised", "division by zero", at));
    }
    if op == BinOp::Pow && a == 0.0 && b < 0.0 {
        return Err(error("raised", "0.0 cannot be raised to a negative power", at));
    }
    if op == BinOp::Pow && a < 0.0 && b.is_finite() && b.fract() != 0.0 {
        return Err(unsupported("complex numbers are not supported in a constructor", at));
    }
    Ok(Value::Float(match op {
        BinOp::Add => a + b,
        BinOp::Sub => a - b,
        BinOp::Mul => a * b,
        BinOp::Div => a / b,
        BinOp::FloorDiv => float_floor_div(a, b),
        BinOp::Mod => float_modulo(a, b),
        BinOp::Pow => a.powf(b),
        _ => return Err(error("bad-operands", format!("`{}` does not take floats", symbol(op)), at)),
    }))
}

/// Python's `%` of floats: exact, with the sign of the divisor.
fn float_modulo(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    if remainder == 0.0 {
        return 0f64.copysign(b);
    }
    if (remainder < 0.0) != (b < 0.0) { remainder + b } else { remainder }
}

/// Python's `//` of floats: what is left beside the exact remainder, so `5.5 // 0.1` is 54.
fn float_floor_div(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    let whole = (a - remainder) / b;
    let below = if remainder != 0.0 && (remainder < 0.0) != (b < 0.0) { whole - 1.0 } else { whole };
    if below == 0.0 { 0f64.copysign(a / b) } else { below.round() }
}

fn symbol(op: BinOp) -> &'static str {
    match op {
        BinOp::Add => "+",
        BinOp::Sub => "-",
        BinOp::Mul => "*",
        BinOp::Div => "/",
        BinOp::FloorDiv => "//",
        BinOp::Mod => "%",
        BinOp::Pow => "**",
        BinOp::MatMul => "@",
        BinOp::BitAnd => "&",
        BinOp::BitOr => "|",
        BinOp::BitXor => "^",
        BinOp::LShift => "<<",
        BinOp::RShift => ">>",
    }
}

fn compare_symbol(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "==",
        CompareOp::Ne => "!=",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        _ => ">=",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of Python 3.11.
    #[test]
    fn floats_divide_as_in_python() {
        let cases = [
            (5.5, 0.1, 54.0, 0.0999999999999997),
            (1.0, 0.1, 9.0, 0.09999999999999995),
            (-7.5, 2.0, -4.0, 0.5),
            (7.5, -2.0, -4.0, -0.5),
            (1e17, 3.0, 33333333333333332.0, 1.0),
            (-1e-20, 3.0, -1.0, 3.0),
            (6.0, 3.0, 2.0, 0.0),
        ];
        for (a, b, quotient, remainder) in cases {
            assert_eq!(float_floor_div(a, b), quotient, "{a} // {b}");
            assert_eq!(float_modulo(a, b), remainder, "{a} % {b}");
        }
    }

    #[test]
    fn integers_divide_as_in_python() {
        let by = |op, a, b| int_operator(op, a, b, Span::NONE).unwrap().and_then(|value| value.as_int());
        assert_eq!(by(BinOp::FloorDiv, -7, 2), Some(-4));
        assert_eq!(by(BinOp::Mod, -7, 2), Some(1));
        assert_eq!(by(BinOp::Mod, 7, -2), Some(-1));
        assert!(int_operator(BinOp::FloorDiv, i64::MIN, -1, Span::NONE).is_err());
        assert!(int_operator(BinOp::Mod, 1, 0, Span::NONE).is_err());
    }

    #[test]
    fn powers_that_are_no_real_numbers_are_refused() {
        assert!(float_operator(BinOp::Pow, 0.0, -1.0, Span::NONE).is_err());
        assert!(float_operator(BinOp::Pow, -8.0, 0.5, Span::NONE).is_err());
        assert!(matches!(float_operator(BinOp::Pow, -2.0, -1.0, Span::NONE), Ok(Value::Float(x)) if x == -0.5));
    }
}
