//! Constants in a graph.

use kiln_support::TensorData;
use std::fmt;

/// A constant value. Floats compare by their bits, so that literals can be keys.
#[derive(Clone, Debug)]
pub enum Literal {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A complex number.
    Complex(f64, f64),
    /// A string.
    Str(String),
    /// A device.
    Device(String),
    /// An immutable list: only as an operator's attribute, where nobody can mutate it.
    List(Vec<Literal>),
    /// A tensor.
    Tensor(TensorData),
}

impl Literal {
    /// A list of integers.
    pub fn ints(values: &[i64]) -> Literal {
        Literal::List(values.iter().map(|&i| Literal::Int(i)).collect())
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Literal::Int(i) => Some(*i),
            _ => None,
        }
    }
}

impl PartialEq for Literal {
    fn eq(&self, other: &Literal) -> bool {
        match (self, other) {
            (Literal::None, Literal::None) => true,
            (Literal::Bool(a), Literal::Bool(b)) => a == b,
            (Literal::Int(a), Literal::Int(b)) => a == b,
            (Literal::Float(a), Literal::Float(b)) => a.to_bits() == b.to_bits(),
            (Literal::Complex(a, b), Literal::Complex(c, d)) => a.to_bits() == c.to_bits() && b.to_bits() == d.to_bits(),
            (Literal::Str(a), Literal::Str(b)) | (Literal::Device(a), Literal::Device(b)) => a == b,
            (Literal::List(a), Literal::List(b)) => a == b,
            (Literal::Tensor(a), Literal::Tensor(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::None => f.write_str("none"),
            Literal::Bool(b) => write!(f, "{b}"),
            Literal::Int(i) => write!(f, "{i}"),
            Literal::Float(v) => write!(f, "{v:?}"),
            Literal::Complex(re, im) => write!(f, "complex({re:?}, {im:?})"),
            Literal::Str(s) => write!(f, "{s:?}"),
            Literal::Device(s) => write!(f, "device({s:?})"),
            Literal::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Literal::Tensor(t) => write_tensor(f, t),
        }
    }
}

/// Small tensors are written whole, large ones as type and a checksum.
fn write_tensor(f: &mut fmt::Formatter<'_>, t: &TensorData) -> fmt::Result {
    write!(f, "{}{:?}", t.dtype, t.shape)?;
    if t.len() <= 16 {
        f.write_str("{")?;
        for (i, n) in t.numbers().enumerate() {
            write!(f, "{}{}", if i > 0 { ", " } else { "" }, number(n))?;
        }
        return f.write_str("}");
    }
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for &b in t.bytes.iter() {
        hash = (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
    }
    write!(f, "{{#{hash:016x}}}")
}

fn number(n: kiln_support::tensor::Number) -> String {
    match n {
        kiln_support::tensor::Number::Int(i) => i.to_string(),
        kiln_support::tensor::Number::Float(v) => format!("{v:?}"),
        kiln_support::tensor::Number::Bool(b) => b.to_string(),
    }
}
