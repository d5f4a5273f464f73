//! Operators on ints, floats and bools, as TorchScript computes them: C++'s arithmetic with Python's `//` and `%`.
//!
//! Mathematical functions outside their domain give NaN or an infinity, as TorchScript does (Python would
//! raise). Division by zero is excluded by the caller.

use crate::calc::{Num, calc};
use crate::entry::{Body, Entry};
use crate::infer::OpError;
use kiln_loops::{BinaryOp, Expr, Exprs, Kind, Scalar, UnaryOp};

/// Operators of one operand: keys, documentation, formula.
macro_rules! unary {
    ($([$($key:literal),+] $doc:literal |$x:ident| $body:expr;)*) => {
        &[$($(Entry {
            key: $key,
            doc: $doc,
            body: Body::Scalar(|exprs, args| Ok(calc(exprs, [args[0]], |[$x]| $body))),
        }),+),*]
    };
}

/// Operators of two operands, which are converted to a common kind first: int where both are, else float.
macro_rules! binary {
    ($([$($key:literal),+] $doc:literal |$a:ident, $b:ident| $body:expr;)*) => {
        &[$($(Entry {
            key: $key,
            doc: $doc,
            body: Body::Scalar(|exprs, args| Ok(calc(exprs, [args[0], args[1]], |[$a, $b]| {
                let ($a, $b) = common($a, $b);
                $body
            }))),
        }),+),*]
    };
}

/// Both operands in a common kind.
fn common<'a>(a: Num<'a>, b: Num<'a>) -> (Num<'a>, Num<'a>) {
    if a.kind() == b.kind() { (a, b) } else { (float(a), float(b)) }
}

fn float(x: Num) -> Num {
    x.to_kind(Kind::F64)
}

/// The operators of two operands.
pub const BINARY: &[Entry] = binary! {
    ["aten::add.int", "aten::add.float", "aten::add.int_float", "aten::add.float_int"] "a + b" |a, b| a + b;
    ["aten::sub.int", "aten::sub.float", "aten::sub.int_float", "aten::sub.float_int"] "a - b" |a, b| a - b;
    ["aten::mul.int", "aten::mul.float", "aten::mul.int_float", "aten::mul.float_int"] "a * b" |a, b| a * b;
    ["aten::div.int", "aten::div.float"] "a / b" |a, b| float(a) / float(b);
    ["aten::floordiv.int", "aten::floordiv.float", "aten::floordiv.int_float", "aten::floordiv.float_int"] "a // b"
        |a, b| if a.kind() == Kind::Int { a.binary(BinaryOp::FloorDiv, b) } else { (a / b).floor() };
    ["aten::remainder.int", "aten::remainder.float", "aten::remainder.int_float", "aten::remainder.float_int"] "a % b"
        |a, b| if a.kind() == Kind::Int { a.binary(BinaryOp::Mod, b) } else { (b + a.rem(b)).rem(b) };
    ["aten::__round_to_zero_floordiv.int"] "a / b rounded towards zero" |a, b| a.binary(BinaryOp::TruncDiv, b);
    ["aten::fmod.int", "aten::fmod.float", "aten::fmod.int_float", "aten::fmod.float_int"] "C's fmod" |a, b| float(a).rem(float(b));
    ["aten::mathremainder.int", "aten::mathremainder.float", "aten::mathremainder.int_float", "aten::mathremainder.float_int"]
        "the IEEE remainder" |a, b| float(a).math2("math_remainder", float(b));
    ["aten::atan2.int", "aten::atan2.float", "aten::atan2.int_float", "aten::atan2.float_int"] "angle of the point (b, a)"
        |a, b| float(a).binary(BinaryOp::Atan2, float(b));
    ["aten::copysign.int", "aten::copysign.float", "aten::copysign.int_float", "aten::copysign.float_int"]
        "|a| with the sign of b" |a, b| float(a).binary(BinaryOp::CopySign, float(b));
    ["aten::log.int_int", "aten::log.float_float", "aten::log.int_float", "aten::log.float_int"] "logarithm of a to base b"
        |a, b| float(a).math("log") / float(b).math("log");
    ["aten::eq.int", "aten::eq.float", "aten::eq.int_float", "aten::eq.float_int", "aten::eq.bool"] "a == b" |a, b| a.eq(b);
    ["aten::ne.int", "aten::ne.float", "aten::ne.int_float", "aten::ne.float_int", "aten::ne.bool"] "a != b" |a, b| a.ne(b);
    ["aten::lt.int", "aten::lt.float", "aten::lt.int_float", "aten::lt.float_int"] "a < b" |a, b| a.lt(b);
    ["aten::le.int", "aten::le.float", "aten::le.int_float", "aten::le.float_int"] "a <= b" |a, b| a.le(b);
    ["aten::gt.int", "aten::gt.float", "aten::gt.int_float", "aten::gt.float_int"] "a > b" |a, b| a.gt(b);
    ["aten::ge.int", "aten::ge.float", "aten::ge.int_float", "aten::ge.float_int"] "a >= b" |a, b| a.ge(b);
    ["prim::min.int"] "the smaller" |a, b| a.min(b);
    ["prim::max.int"] "the larger" |a, b| a.max(b);
    ["prim::min.float", "prim::min.int_float", "prim::min.float_int"] "a < b ? a : b" |a, b| a.lt(b).select(a, b);
    ["prim::max.float", "prim::max.int_float", "prim::max.float_int"] "a > b ? a : b" |a, b| a.gt(b).select(a, b);
    ["aten::__and__.int", "aten::__and__.bool"] "a & b" |a, b| a & b;
    ["aten::__or__.int", "aten::__or__.bool"] "a | b" |a, b| a | b;
    ["aten::__xor__.int", "aten::__xor__.bool"] "a ^ b" |a, b| a ^ b;
    ["aten::__lshift__.int"] "a << (b mod 64)" |a, b| a.binary(BinaryOp::Shl, b & 63.0);
    ["aten::__rshift__.int"] "a >> (b mod 64)" |a, b| a.binary(BinaryOp::Shr, b & 63.0);
    ["aten::gcd.int"] "the greatest common divisor" |a, b| gcd(a, b, 92);
};

/// The greatest common divisor by `steps` of Euclid's algorithm; 92 are enough for 64 bits.
pub(super) fn gcd<'a>(a: Num<'a>, b: Num<'a>, steps: usize) -> Num<'a> {
    let (mut a, mut b) = (a.abs(), b.abs());
    for _ in 0..steps {
        // The remainder of a division by 0 is 0 here: once `b` is 0 nothing changes any more.
        (a, b) = (b.eq(0.0).select(a, b), a.rem(b));
    }
    a
}

/// The operators of one operand that are not the same for ints and floats.
pub const UNARY: &[Entry] = unary! {
    ["aten::neg.int", "aten::neg.float"] "-a" |x| -x;
    ["aten::__not__"] "not self" |x| !x;
    ["prim::abs.int", "prim::abs.float"] "|a|" |x| x.abs();
    ["aten::Bool.int", "aten::Bool.float"] "a != 0" |x| x.to_kind(Kind::Bool);
    ["aten::Int.bool", "aten::Int.float", "aten::Int.Scalar"] "a as an int, truncated" |x| x.to_kind(Kind::Int);
    ["aten::Float.bool", "aten::Float.int", "aten::Float.Scalar"] "a as a float" |x| x.to_kind(Kind::F64);
    ["aten::floor.int", "aten::ceil.int"] "the int itself" |x| x;
    ["aten::isnan.float"] "whether NaN" |x| x.is_nan();
    ["aten::isinf.float"] "whether infinite" |x| x.abs().eq(f64::INFINITY);
    ["aten::isfinite.float"] "whether neither infinite nor NaN" |x| x.abs().lt(f64::INFINITY);
};

/// Functions of a float, also of an int taken as a float.
macro_rules! float_functions {
    ($($int:literal $float:literal $doc:literal |$x:ident| $body:expr;)*) => {
        unary! {$([$int, $float] $doc |a| { let $x = float(a); $body };)*}
    };
}

/// The functions of a float.
pub const FLOAT: &[Entry] = float_functions! {
    "aten::sqrt.int" "aten::sqrt.float" "square root" |x| x.sqrt();
    "aten::exp.int" "aten::exp.float" "e to the power of a" |x| x.math("exp");
    "aten::expm1.int" "aten::expm1.float" "e^a - 1" |x| x.math("expm1");
    "aten::log.int" "aten::log.float" "natural logarithm" |x| x.math("log");
    "aten::log1p.int" "aten::log1p.float" "ln(1 + a)" |x| x.math("log1p");
    "aten::log10.int" "aten::log10.float" "logarithm to base 10" |x| x.math("log10");
    "aten::sin.int" "aten::sin.float" "sine" |x| x.math("sin");
    "aten::cos.int" "aten::cos.float" "cosine" |x| x.math("cos");
    "aten::tan.int" "aten::tan.float" "tangent" |x| x.math("tan");
    "aten::asin.int" "aten::asin.float" "inverse sine" |x| x.math("asin");
    "aten::acos.int" "aten::acos.float" "inverse cosine" |x| x.math("acos");
    "aten::atan.int" "aten::atan.float" "inverse tangent" |x| x.math("atan");
    "aten::sinh.int" "aten::sinh.float" "hyperbolic sine" |x| x.math("sinh");
    "aten::cosh.int" "aten::cosh.float" "hyperbolic cosine" |x| x.math("cosh");
    "aten::tanh.int" "aten::tanh.float" "hyperbolic tangent" |x| x.math("tanh");
    "aten::asinh.int" "aten::asinh.float" "inverse hyperbolic sine" |x| x.math("asinh");
    "aten::acosh.int" "aten::acosh.float" "inverse hyperbolic cosine" |x| x.math("acosh");
    "aten::atanh.int" "aten::atanh.float" "inverse hyperbolic tangent" |x| x.math("atanh");
    "aten::erf.int" "aten::erf.float" "the error function" |x| x.math("erf");
    "aten::erfc.int" "aten::erfc.float" "1 - erf(a)" |x| x.math("erfc");
    "aten::gamma.int" "aten::gamma.float" "the gamma function" |x| x.math("tgamma");
    "aten::lgamma.int" "aten::lgamma.float" "logarithm of the gamma function" |x| x.math("lgamma");
    "aten::fabs.int" "aten::fabs.float" "|a|" |x| x.abs();
    "aten::degrees.int" "aten::degrees.float" "radians to degrees" |x| x * (180.0 / std::f64::consts::PI);
    "aten::radians.int" "aten::radians.float" "degrees to radians" |x| x * (std::f64::consts::PI / 180.0);
    "aten::round.int" "aten::round.float" "the nearest whole number, halves to even" |x| x.round();
    "aten::angle.int" "aten::angle.float" "pi for a negative number, else 0; NaN for NaN"
        |x| x.is_nan().select(x, x.lt(0.0).select(x.like(std::f64::consts::PI), 0.0));
};

/// The operators that can raise, or are no formula.
pub const OTHER: &[Entry] = &[
    Entry {
        key: "aten::floor.float",
        doc: "a rounded down, as an int",
        body: Body::Scalar(|x, a| to_int(x, UnaryOp::Floor, a[0])),
    },
    Entry { key: "aten::ceil.float", doc: "a rounded up, as an int", body: Body::Scalar(|x, a| to_int(x, UnaryOp::Ceil, a[0])) },
    Entry { key: "aten::pow.int", doc: "a ** b", body: Body::Scalar(power) },
    Entry { key: "aten::pow.float", doc: "a ** b", body: Body::Scalar(power) },
    Entry { key: "aten::pow.int_float", doc: "a ** b", body: Body::Scalar(power) },
    Entry { key: "aten::pow.float_int", doc: "a ** b", body: Body::Scalar(power) },
    Entry { key: "aten::ldexp", doc: "x * 2^i", body: Body::Scalar(ldexp) },
    Entry { key: "aten::factorial.int", doc: "a!", body: Body::Scalar(factorial) },
    Entry { key: "aten::__range_length", doc: "length of range(lo, hi, step)", body: Body::Scalar(range_length) },
];

fn to_int(exprs: &mut Exprs, op: UnaryOp, x: Expr) -> Result<Expr, OpError> {
    if let Some(value) = exprs.as_const(x).map(Scalar::as_f64).filter(|v| !v.is_finite()) {
        let name = if value.is_nan() { "nan" } else { "infinity" };
        return OpError::raise(format!("Cannot convert float {name} to integer"));
    }
    let rounded = exprs.unary(op, x);
    Ok(exprs.to_kind(Kind::Int, rounded))
}

fn power(exprs: &mut Exprs, args: &[Expr]) -> Result<Expr, OpError> {
    let known = |at: usize| exprs.as_const(args[at]).map(Scalar::as_f64);
    if let (Some(base), Some(exponent)) = (known(0), known(1))
        && base == 0.0
        && exponent < 0.0
    {
        return OpError::raise("0.0 cannot be raised to a negative power");
    }
    Ok(calc(exprs, [args[0], args[1]], |[a, b]| float(a).pow(float(b))))
}

fn ldexp(exprs: &mut Exprs, args: &[Expr]) -> Result<Expr, OpError> {
    Ok(calc(exprs, [args[0], args[1]], |[x, i]| {
        // Two halves, so that neither power of two overflows where the product does not.
        let half = i.binary(BinaryOp::Shr, 1.0);
        let (half, rest) = (half.clamp(-1100.0, 1100.0), (i - half).clamp(-1100.0, 1100.0));
        x * x.like(2.0).pow(float(half)) * x.like(2.0).pow(float(rest))
    }))
}

fn factorial(exprs: &mut Exprs, args: &[Expr]) -> Result<Expr, OpError> {
    match exprs.as_int(args[0]) {
        None => OpError::unsupported("an int that is known only at run time"),
        Some(n) if n < 0 => OpError::raise("factorial() not defined for negative values"),
        // From 66! on, 64 factors of 2 have shifted everything out.
        Some(n) => Ok(exprs.int(if n < 66 { (1..=n).fold(1i64, i64::wrapping_mul) } else { 0 })),
    }
}

fn range_length(exprs: &mut Exprs, args: &[Expr]) -> Result<Expr, OpError> {
    if exprs.as_int(args[2]) == Some(0) {
        return OpError::raise("range() arg 3 must not be zero");
    }
    Ok(calc(exprs, [args[0], args[1], args[2]], |[low, high, step]| {
        let step = step.checked_nonzero();
        let up = (high - low - 1.0).binary(BinaryOp::FloorDiv, step) + 1.0;
        let down = (low - high - 1.0).binary(BinaryOp::FloorDiv, -step) + 1.0;
        step.gt(0.0).select(up, down).max(0.0)
    }))
}
