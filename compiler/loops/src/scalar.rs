//! Scalars and the operations on them: the one meaning that constant folding, the interpreter and code
//! generation share.
//!
//! A scalar is of one of four kinds. Narrow integers are held widened to 64 bits and wrapped by a
//! cast when they are stored; 16-bit floats are held widened to binary32 and rounded by a cast after
//! every operator, as PyTorch does.

use kiln_support::DType;
use kiln_support::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};

/// The kind of a scalar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A truth value.
    Bool,
    /// A 64-bit integer.
    Int,
    /// Binary32.
    F32,
    /// Binary64.
    F64,
}

impl Kind {
    /// The kind that elements of this type are held in.
    pub fn of(dtype: DType) -> Kind {
        match dtype {
            DType::Bool => Kind::Bool,
            DType::F64 => Kind::F64,
            DType::F32 | DType::F16 | DType::BF16 => Kind::F32,
            _ => Kind::Int,
        }
    }

    /// Whether it is a floating-point kind.
    pub fn is_float(self) -> bool {
        matches!(self, Kind::F32 | Kind::F64)
    }
}

/// A scalar value.
#[derive(Clone, Copy, Debug)]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// Binary32.
    F32(f32),
    /// Binary64.
    F64(f64),
}

impl PartialEq for Scalar {
    /// Bit equality, so that scalars can be keys.
    fn eq(&self, other: &Scalar) -> bool {
        self.kind() == other.kind() && self.bits() == other.bits()
    }
}

impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        self.bits().hash(state);
    }
}

impl Scalar {
    /// Its kind.
    pub fn kind(self) -> Kind {
        match self {
            Scalar::Bool(_) => Kind::Bool,
            Scalar::Int(_) => Kind::Int,
            Scalar::F32(_) => Kind::F32,
            Scalar::F64(_) => Kind::F64,
        }
    }

    /// Its bits.
    pub fn bits(self) -> u64 {
        match self {
            Scalar::Bool(b) => u64::from(b),
            Scalar::Int(i) => i as u64,
            Scalar::F32(f) => u64::from(f.to_bits()),
            Scalar::F64(f) => f.to_bits(),
        }
    }

    /// As a truth value: not zero.
    pub fn as_bool(self) -> bool {
        match self {
            Scalar::Bool(b) => b,
            Scalar::Int(i) => i != 0,
            Scalar::F32(f) => f != 0.0,
            Scalar::F64(f) => f != 0.0,
        }
    }

    /// As an integer: floats are truncated; out of range and NaN give the smallest integer, as the
    /// conversion instructions of x86-64 do and PyTorch shows there.
    pub fn as_int(self) -> i64 {
        match self {
            Scalar::Bool(b) => i64::from(b),
            Scalar::Int(i) => i,
            Scalar::F32(f) => truncate(f64::from(f)),
            Scalar::F64(f) => truncate(f),
        }
    }

    /// As binary64.
    pub fn as_f64(self) -> f64 {
        match self {
            Scalar::Bool(b) => f64::from(u8::from(b)),
            Scalar::Int(i) => i as f64,
            Scalar::F32(f) => f64::from(f),
            Scalar::F64(f) => f,
        }
    }

    /// As binary32.
    pub fn as_f32(self) -> f32 {
        match self {
            Scalar::Int(i) => i as f32,
            Scalar::F32(f) => f,
            other => other.as_f64() as f32,
        }
    }

    /// Converted to a kind.
    pub fn to_kind(self, kind: Kind) -> Scalar {
        match kind {
            Kind::Bool => Scalar::Bool(self.as_bool()),
            Kind::Int => Scalar::Int(self.as_int()),
            Kind::F32 => Scalar::F32(self.as_f32()),
            Kind::F64 => Scalar::F64(self.as_f64()),
        }
    }

    /// Converted to an element type: wrapped or rounded to it, and held in its kind.
    pub fn cast(self, dtype: DType) -> Scalar {
        match dtype {
            DType::Bool => Scalar::Bool(self.as_bool()),
            DType::U8 | DType::QU8 => Scalar::Int(i64::from(self.as_int() as u8)),
            DType::I8 | DType::QI8 => Scalar::Int(i64::from(self.as_int() as i8)),
            DType::I16 => Scalar::Int(i64::from(self.as_int() as i16)),
            DType::I32 | DType::QI32 => Scalar::Int(i64::from(self.as_int() as i32)),
            DType::I64 => Scalar::Int(self.as_int()),
            DType::F16 => Scalar::F32(f16_to_f32(f32_to_f16(self.as_f32()))),
            DType::BF16 => Scalar::F32(bf16_to_f32(f32_to_bf16(self.as_f32()))),
            DType::F32 => Scalar::F32(self.as_f32()),
            DType::F64 => Scalar::F64(self.as_f64()),
        }
    }

    /// Reads an element from its little-endian bytes.
    pub fn read(dtype: DType, bytes: &[u8]) -> Scalar {
        use kiln_support::tensor::Number;
        match Number::read(dtype, bytes) {
            Number::Bool(b) => Scalar::Bool(b),
            Number::Int(i) => Scalar::Int(i),
            Number::Float(f) if Kind::of(dtype) == Kind::F64 => Scalar::F64(f),
            Number::Float(f) => Scalar::F32(f as f32),
        }
    }

    /// Appends the element's bytes; the scalar is cast first.
    pub fn write(self, dtype: DType, out: &mut Vec<u8>) {
        use kiln_support::tensor::Number;
        let number = match self.cast(dtype) {
            Scalar::Bool(b) => Number::Bool(b),
            Scalar::Int(i) => Number::Int(i),
            Scalar::F32(f) => Number::Float(f64::from(f)),
            Scalar::F64(f) => Number::Float(f),
        };
        number.write(dtype, out);
    }
}

fn truncate(f: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f) { f as i64 } else { i64::MIN }
}

/// Operations on one scalar. The result has the operand's kind unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnaryOp {
    /// `-x` (int wraps, float).
    Neg,
    /// `|x|` (int wraps, float).
    Abs,
    /// `not x` (bool).
    Not,
    /// Bitwise complement (int).
    BitNot,
    /// Square root (float).
    Sqrt,
    /// Largest integer not above (float).
    Floor,
    /// Smallest integer not below (float).
    Ceil,
    /// Integer part (float).
    Trunc,
    /// Nearest integer, halves to even (float).
    RoundEven,
    /// Whether it is NaN (float) -> bool.
    IsNan,
}

/// Operations on two scalars of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// Sum (int wraps, float).
    Add,
    /// Difference (int wraps, float).
    Sub,
    /// Product (int wraps, float).
    Mul,
    /// Quotient (float).
    Div,
    /// Quotient rounded towards zero (int; division by zero must be excluded before, it gives 0 here).
    TruncDiv,
    /// Quotient rounded down (int, as TruncDiv; float: as Python's `//`).
    FloorDiv,
    /// Remainder with the sign of the dividend (int as TruncDiv; float: C's `fmod`).
    Rem,
    /// Remainder with the sign of the divisor (int as TruncDiv; float: Python's `%`).
    Mod,
    /// The larger; NaN if one is (int, float).
    Max,
    /// The smaller; NaN if one is (int, float).
    Min,
    /// The larger, ignoring a NaN (float).
    FMax,
    /// The smaller, ignoring a NaN (float).
    FMin,
    /// Power (float).
    Pow,
    /// Angle of the point (y, x) (float).
    Atan2,
    /// Magnitude of the first with the sign of the second (float).
    CopySign,
    /// Conjunction (int bitwise, bool).
    And,
    /// Disjunction (int bitwise, bool).
    Or,
    /// Exclusive or (int bitwise, bool).
    Xor,
    /// Left shift (int; a count outside 0..64 gives 0).
    Shl,
    /// Arithmetic right shift (int; a count outside 0..64 gives the sign).
    Shr,
    /// `a == b` -> bool.
    Eq,
    /// `a != b` -> bool.
    Ne,
    /// `a < b` -> bool.
    Lt,
    /// `a <= b` -> bool.
    Le,
    /// `a > b` -> bool.
    Gt,
    /// `a >= b` -> bool.
    Ge,
}

impl BinaryOp {
    /// Whether the result is a truth value.
    pub fn is_compare(self) -> bool {
        matches!(self, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge)
    }
}

/// Functions of the runtime's scalar library, by the name of the function without its suffix
/// (`kiln_rt1_<name>_f32`, `kiln_rt1_<name>_f64`). One or two floating-point operands of the same kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MathOp(pub &'static str);

/// Evaluates an operation on one scalar.
pub fn unary(op: UnaryOp, x: Scalar) -> Scalar {
    use Scalar::{Bool, F32, F64, Int};
    match (op, x) {
        (UnaryOp::Not, x) => Bool(!x.as_bool()),
        (UnaryOp::IsNan, x) => Bool(x.as_f64().is_nan()),
        (UnaryOp::Neg, Int(x)) => Int(x.wrapping_neg()),
        (UnaryOp::Abs, Int(x)) => Int(x.wrapping_abs()),
        (UnaryOp::BitNot, Int(x)) => Int(!x),
        (UnaryOp::Neg, F32(x)) => F32(-x),
        (UnaryOp::Neg, F64(x)) => F64(-x),
        (UnaryOp::Abs, F32(x)) => F32(x.abs()),
        (UnaryOp::Abs, F64(x)) => F64(x.abs()),
        (UnaryOp::Sqrt, F32(x)) => F32(x.sqrt()),
        (_, F32(x)) => F32(round_like(op, f64::from(x)) as f32),
        (_, F64(x)) => F64(round_like(op, x)),
        (_, x) => panic!("{op:?} does not take {x:?}"),
    }
}

fn round_like(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Ceil => x.ceil(),
        UnaryOp::Trunc => x.trunc(),
        UnaryOp::RoundEven => x.round_ties_even(),
        other => panic!("{other:?} does not take floats"),
    }
}

/// Evaluates an operation on two scalars of one kind.
pub fn binary(op: BinaryOp, a: Scalar, b: Scalar) -> Scalar {
    use Scalar::{Bool, F32, F64, Int};
    match (a, b) {
        (Bool(a), Bool(b)) => bool_binary(op, a, b),
        (Int(a), Int(b)) => int_binary(op, a, b),
        (F32(a), F32(b)) if op.is_compare() => Bool(compare(op, f64::from(a), f64::from(b))),
        (F64(a), F64(b)) if op.is_compare() => Bool(compare(op, a, b)),
        (F32(a), F32(b)) => F32(f32_binary(op, a, b)),
        (F64(a), F64(b)) => F64(f64_binary(op, a, b)),
        _ => panic!("{op:?} of {a:?} and {b:?}: kinds differ"),
    }
}

fn compare<T: PartialOrd>(op: BinaryOp, a: T, b: T) -> bool {
    match op {
        BinaryOp::Eq => a == b,
        BinaryOp::Ne => a != b,
        BinaryOp::Lt => a < b,
        BinaryOp::Le => a <= b,
        BinaryOp::Gt => a > b,
        BinaryOp::Ge => a >= b,
        other => panic!("{other:?} is no comparison"),
    }
}

fn bool_binary(op: BinaryOp, a: bool, b: bool) -> Scalar {
    Scalar::Bool(match op {
        BinaryOp::And | BinaryOp::Mul | BinaryOp::Min => a & b,
        BinaryOp::Or | BinaryOp::Add | BinaryOp::Max => a | b,
        BinaryOp::Xor => a ^ b,
        other => compare(other, a, b),
    })
}

fn int_binary(op: BinaryOp, a: i64, b: i64) -> Scalar {
    let shift = u32::try_from(b).ok().filter(|&s| s < 64);
    Scalar::Int(match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::TruncDiv => {
            if b == 0 {
                0
            } else {
                a.wrapping_div(b)
            }
        }
        BinaryOp::FloorDiv => {
            if b == 0 {
                0
            } else {
                floor_div(a, b)
            }
        }
        BinaryOp::Rem => {
            if b == 0 {
                0
            } else {
                a.wrapping_rem(b)
            }
        }
        BinaryOp::Mod => {
            if b == 0 {
                0
            } else {
                a.wrapping_sub(floor_div(a, b).wrapping_mul(b))
            }
        }
        BinaryOp::Max => a.max(b),
        BinaryOp::Min => a.min(b),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Shl => shift.map_or(0, |s| a.wrapping_shl(s)),
        BinaryOp::Shr => a >> shift.unwrap_or(63),
        other => return Scalar::Bool(compare(other, a, b)),
    })
}

fn floor_div(a: i64, b: i64) -> i64 {
    let quotient = a.wrapping_div(b);
    if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
}

macro_rules! float_binary {
    ($name:ident, $t:ty, $pow:path, $fmod:path, $atan2:path) => {
        fn $name(op: BinaryOp, a: $t, b: $t) -> $t {
            match op {
                BinaryOp::Add => a + b,
                BinaryOp::Sub => a - b,
                BinaryOp::Mul => a * b,
                BinaryOp::Div => a / b,
                BinaryOp::Rem => $fmod(a, b),
                BinaryOp::Mod => {
                    let rest = $fmod(a, b);
                    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
                }
                BinaryOp::FloorDiv => {
                    // As c10's div_floor_floating: exact for quotients that round to an integer.
                    if b == 0.0 {
                        return a / b;
                    }
                    let rest = $fmod(a, b);
                    let mut quotient = (a - rest) / b;
                    if rest != 0.0 && (b < 0.0) != (rest < 0.0) {
                        quotient -= 1.0;
                    }
                    if quotient == 0.0 {
                        return (0.0 as $t).copysign(a / b);
                    }
                    let floor = quotient.floor();
                    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
                }
                BinaryOp::Max => {
                    if a.is_nan() || b.is_nan() {
                        <$t>::NAN
                    } else if a > b {
                        a
                    } else {
                        b
                    }
                }
                BinaryOp::Min => {
                    if a.is_nan() || b.is_nan() {
                        <$t>::NAN
                    } else if a < b {
                        a
                    } else {
                        b
                    }
                }
                BinaryOp::FMax => {
                    if a.is_nan() || b > a {
                        b
                    } else {
                        a
                    }
                }
                BinaryOp::FMin => {
                    if a.is_nan() || b < a {
                        b
                    } else {
                        a
                    }
                }
                BinaryOp::Pow => $pow(a, b),
                BinaryOp::Atan2 => $atan2(a, b),
                BinaryOp::CopySign => a.copysign(b),
                other => panic!("{other:?} does not take floats"),
            }
        }
    };
}

float_binary!(f32_binary, f32, libm::powf, libm::fmodf, libm::atan2f);
float_binary!(f64_binary, f64, libm::pow, libm::fmod, libm::atan2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_is_pythons() {
        for (a, b, quotient, modulo) in [(7, -2, -4, -1), (-7, 2, -4, 1), (-8, 2, -4, 0), (7, 2, 3, 1)] {
            assert_eq!(binary(BinaryOp::FloorDiv, Scalar::Int(a), Scalar::Int(b)), Scalar::Int(quotient));
            assert_eq!(binary(BinaryOp::Mod, Scalar::Int(a), Scalar::Int(b)), Scalar::Int(modulo));
        }
    }

    #[test]
    fn narrow_types_wrap_and_round() {
        assert_eq!(Scalar::Int(300).cast(DType::U8), Scalar::Int(44));
        assert_eq!(Scalar::F32(1.0 + 1.0 / 4096.0).cast(DType::F16), Scalar::F32(1.0));
        assert_eq!(Scalar::F64(-2.7).cast(DType::I64), Scalar::Int(-2));
    }

    #[test]
    fn maximum_keeps_nan() {
        assert!(binary(BinaryOp::Max, Scalar::F32(1.0), Scalar::F32(f32::NAN)).as_f64().is_nan());
        assert_eq!(binary(BinaryOp::FMax, Scalar::F32(1.0), Scalar::F32(f32::NAN)), Scalar::F32(1.0));
    }
}
