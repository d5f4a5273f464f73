//! Operators of one tensor, element by element.

use super::rules::{
    Types, bool_unary, finish, float_unary, formulas, kind, no_kernel, one, operand, own, same, same_float, same_number, tensor,
};
use crate::calc::Num;
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Infer, OpError};
use kiln_graph::TensorType;
use kiln_loops::{Expr, Kind};
use kiln_support::DType;
use std::f64::consts::PI;

/// Functions of floats; ints are taken as binary32.
pub const FLOAT: &[Entry] = formulas! {
    float_unary, operand;
    ["aten::exp"] "e to the power of each element" |x| x.math("exp");
    ["aten::exp2", "aten::special_exp2"] "2 to the power of each element" |x| x.math("exp2");
    ["aten::expm1", "aten::special_expm1"] "e^x - 1" |x| x.math("expm1");
    ["aten::log"] "natural logarithm" |x| x.math("log");
    ["aten::log2"] "logarithm to base 2" |x| x.math("log2");
    ["aten::log10"] "logarithm to base 10" |x| x.math("log10");
    ["aten::log1p", "aten::special_log1p"] "ln(1 + x)" |x| x.math("log1p");
    ["aten::sqrt"] "square root" |x| x.sqrt();
    ["aten::rsqrt"] "1 / sqrt(x)" |x| 1.0 / x.sqrt();
    ["aten::reciprocal"] "1 / x" |x| 1.0 / x;
    ["aten::sin"] "sine" |x| x.math("sin");
    ["aten::cos"] "cosine" |x| x.math("cos");
    ["aten::tan"] "tangent" |x| x.math("tan");
    ["aten::asin", "aten::arcsin"] "inverse sine" |x| x.math("asin");
    ["aten::acos", "aten::arccos"] "inverse cosine" |x| x.math("acos");
    ["aten::atan", "aten::arctan"] "inverse tangent" |x| x.math("atan");
    ["aten::sinh"] "hyperbolic sine" |x| x.math("sinh");
    ["aten::cosh"] "hyperbolic cosine" |x| x.math("cosh");
    ["aten::tanh"] "hyperbolic tangent" |x| x.math("tanh");
    ["aten::asinh", "aten::arcsinh"] "inverse hyperbolic sine" |x| x.math("asinh");
    ["aten::acosh", "aten::arccosh"] "inverse hyperbolic cosine" |x| x.math("acosh");
    ["aten::atanh", "aten::arctanh"] "inverse hyperbolic tangent" |x| x.math("atanh");
    ["aten::erf", "aten::special_erf"] "the error function" |x| x.math("erf");
    ["aten::erfc", "aten::special_erfc"] "1 - erf(x)" |x| x.math("erfc");
    ["aten::erfinv", "aten::special_erfinv"] "inverse of erf" |x| x.math("erfinv");
    ["aten::special_erfcx"] "e^(x*x) * erfc(x)" |x| x.math("erfcx");
    ["aten::sigmoid", "aten::special_expit"] "1 / (1 + e^-x)" |x| 1.0 / (1.0 + (-x).math("exp"));
    ["aten::sinc", "aten::special_sinc"] "sin(pi x) / (pi x)" |x| x.math("sinc");
    ["aten::deg2rad"] "degrees to radians" |x| x * (PI / 180.0);
    ["aten::rad2deg"] "radians to degrees" |x| x * (180.0 / PI);
    ["aten::lgamma", "aten::special_gammaln"] "logarithm of |gamma(x)|" |x| x.math("lgamma");
    ["aten::digamma", "aten::special_digamma", "aten::special_psi"] "derivative of ln gamma(x)" |x| x.math("digamma");
    ["aten::i0", "aten::special_i0", "aten::special_modified_bessel_i0"] "modified Bessel function I0" |x| x.math("i0");
    ["aten::special_i0e"] "e^-|x| I0(x)" |x| x.math("i0e");
    ["aten::special_i1", "aten::special_modified_bessel_i1"] "modified Bessel function I1" |x| x.math("i1");
    ["aten::special_i1e"] "e^-|x| I1(x)" |x| x.math("i1e");
    ["aten::special_modified_bessel_k0"] "modified Bessel function K0" |x| x.math("k0");
    ["aten::special_modified_bessel_k1"] "modified Bessel function K1" |x| x.math("k1");
    ["aten::special_scaled_modified_bessel_k0"] "e^x K0(x)" |x| x.math("k0e");
    ["aten::special_scaled_modified_bessel_k1"] "e^x K1(x)" |x| x.math("k1e");
    ["aten::special_bessel_j0"] "Bessel function J0" |x| x.math("j0");
    ["aten::special_bessel_j1"] "Bessel function J1" |x| x.math("j1");
    ["aten::special_bessel_y0"] "Bessel function Y0" |x| x.math("y0");
    ["aten::special_bessel_y1"] "Bessel function Y1" |x| x.math("y1");
    ["aten::special_spherical_bessel_j0"] "sin(x) / x" |x| x.math("spherical_j0");
    ["aten::special_airy_ai"] "Airy function Ai" |x| x.math("airy_ai");
    ["aten::special_entr"] "-x ln x" |x| x.math("entr");
    ["aten::special_ndtr"] "distribution function of the normal distribution" |x| x.math("ndtr");
    ["aten::special_ndtri"] "inverse of ndtr" |x| x.math("ndtri");
    ["aten::special_log_ndtr"] "ln ndtr(x)" |x| x.math("log_ndtr");
};

/// Operators that keep the element type.
pub const SAME: &[Entry] = formulas! {
    same, own;
    ["aten::sign"] "-1, 0 or 1" |x| sign(x);
    ["aten::sgn"] "-1, 0 or 1" |x| sign(x);
    ["aten::clone", "aten::alias_copy", "aten::detach_copy"] "a copy" |x| x;
    ["aten::conj_physical", "aten::_conj_physical"] "x: no element is complex" |x| x;
};

/// Operators that keep the element type, for numbers.
pub const NUMBERS: &[Entry] = formulas! {
    same_number, own;
    ["aten::floor"] "rounded down" |x| if x.kind() == Kind::Int { x } else { x.floor() };
    ["aten::ceil"] "rounded up" |x| if x.kind() == Kind::Int { x } else { x.ceil() };
    ["aten::trunc", "aten::fix"] "rounded towards zero" |x| if x.kind() == Kind::Int { x } else { x.trunc() };
    ["aten::round"] "the nearest whole number, halves to even" |x| if x.kind() == Kind::Int { x } else { x.round() };
};

/// Tests.
pub const TESTS: &[Entry] = formulas! {
    bool_unary, own;
    ["aten::isnan"] "whether NaN" |x| x.is_nan();
    ["aten::isinf"] "whether infinite" |x| if x.kind().is_float() { x.abs().eq(f64::INFINITY) } else { never(x) };
    ["aten::isposinf"] "whether plus infinity" |x| if x.kind().is_float() { x.eq(f64::INFINITY) } else { never(x) };
    ["aten::isneginf"] "whether minus infinity" |x| if x.kind().is_float() { x.eq(f64::NEG_INFINITY) } else { never(x) };
    ["aten::isfinite"] "whether neither infinite nor NaN" |x| if x.kind().is_float() { x.abs().lt(f64::INFINITY) } else { !never(x) };
    ["aten::isreal"] "true: no element is complex" |x| !never(x);
    ["aten::signbit"] "whether the sign is negative, that of -0.0 included"
        |x| if x.kind().is_float() { x.like(1.0).binary(kiln_loops::BinaryOp::CopySign, x).lt(0.0) } else { negative(x) };
    ["aten::logical_not"] "whether zero" |x| !x.to_kind(Kind::Bool);
};

fn never(x: Num) -> Num {
    x.int(0).to_kind(Kind::Bool)
}

fn negative(x: Num) -> Num {
    if x.kind() == Kind::Bool { never(x) } else { x.lt(0.0) }
}

fn sign(x: Num) -> Num {
    if x.kind() == Kind::Bool { x } else { x.gt(0.0).select(x.like(1.0), x.lt(0.0).select(x.like(-1.0), 0.0)) }
}

/// Operators with rules of their own.
pub const OTHER: &[Entry] = &[
    tensor!("aten::neg", "-x", negated, |e, _, index| map(e, index, |x| -x)),
    tensor!("aten::negative", "-x", negated, |e, _, index| map(e, index, |x| -x)),
    tensor!("aten::abs", "|x|", same, |e, _, index| map(e, index, magnitude)),
    tensor!("aten::absolute", "|x|", same, |e, _, index| map(e, index, magnitude)),
    tensor!("aten::frac", "x - trunc(x)", same_float, |e, _, index| map(e, index, |x| x - x.trunc())),
    tensor!("aten::bitwise_not", "~x", integral, |e, _, index| map(e, index, complement)),
    tensor!("aten::angle", "pi where negative, else 0; NaN for NaN", float_unary, |e, _, index| {
        let x = operand(e, 0, index);
        let y = e.calc([x], |[x]| x.is_nan().select(x, x.lt(0.0).select(x.like(PI), 0.0)));
        finish(e, y)
    }),
    tensor!("aten::logit", "ln(z / (1 - z)), z being x clamped to eps and 1 - eps", float_unary, logit),
    tensor!("aten::special_logit", "ln(z / (1 - z)), z being x clamped to eps and 1 - eps", float_unary, logit),
    tensor!("aten::round.decimals", "rounded to a number of decimals", same_number, |e, _, index| round_decimals(e, index)),
    tensor!("aten::special_round", "rounded to a number of decimals", same_number, |e, _, index| round_decimals(e, index)),
    tensor!("aten::nan_to_num", "x with NaN and infinities replaced", same, nan_to_num),
    tensor!("aten::polygamma", "derivative n of digamma", polygamma_type, polygamma),
    tensor!("aten::special_polygamma", "derivative n of digamma", polygamma_type, polygamma),
    tensor!("aten::frexp.Tensor", "mantissa in [0.5, 1) and exponent", frexp_types, frexp),
    tensor!("aten::fill.Scalar", "value, everywhere", same, |e, _, _| {
        let value = e.number(1, kind(e));
        finish(e, value)
    }),
    tensor!("aten::fill.Tensor", "value, everywhere", fill_tensor, |e, _, _| {
        let value = e.load(1, &[]);
        finish(e, value)
    }),
    tensor!("kiln::convert", "x as another element type", |cx| converted(cx, 1), |e, _, index| {
        let x = e.load(0, index);
        finish(e, x)
    }),
    tensor!("aten::_to_copy", "x as another element type", |cx| converted(cx, 1), |e, _, index| {
        let x = e.load(0, index);
        finish(e, x)
    }),
];

/// A formula of the only operand in the result's type.
fn map(e: &mut Element, index: &[Expr], formula: impl for<'a> Fn(Num<'a>) -> Num<'a>) -> Expr {
    let x = own(e, 0, index);
    let y = e.calc([x], |[x]| formula(x));
    finish(e, y)
}

fn magnitude(x: Num) -> Num {
    if x.kind() == Kind::Bool { x } else { x.abs() }
}

fn complement(x: Num) -> Num {
    if x.kind() == Kind::Bool { !x } else { x.unary(kiln_loops::UnaryOp::BitNot) }
}

fn negated(cx: &mut Infer) -> Types {
    if cx.tensor(0).dtype == DType::Bool {
        return OpError::raise(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.",
        );
    }
    same(cx)
}

fn integral(cx: &mut Infer) -> Types {
    match cx.tensor(0).dtype {
        d if d.is_float() => no_kernel("bitwise_not_cpu", d),
        _ => same(cx),
    }
}

fn logit(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let x = operand(e, 0, index);
    let eps = if e.is_none(1) { None } else { Some(e.number(1, kind(e))) };
    let z = match eps {
        None => x,
        Some(eps) => e.calc([x, eps], |[x, eps]| x.lt(eps).select(eps, x.gt(1.0 - eps).select(1.0 - eps, x))),
    };
    let y = e.calc([z], |[z]| (z / (1.0 - z)).math("log"));
    finish(e, y)
}

fn round_decimals(e: &mut Element, index: &[Expr]) -> Expr {
    let (x, decimals) = (own(e, 0, index), e.number(1, Kind::Int));
    let y = e.calc([x, decimals], |[x, decimals]| {
        if x.kind() == Kind::Int {
            return x;
        }
        let ten = decimals.to_kind(Kind::F64).like(10.0);
        let scale = ten.pow(decimals.abs().to_kind(Kind::F64)).to_kind(x.kind());
        let (fine, coarse) = ((x * scale).round() / scale, (x / scale).round() * scale);
        decimals.eq(0.0).select(x.round(), decimals.gt(0.0).select(fine, coarse))
    });
    finish(e, y)
}

/// Largest finite value of a floating-point type.
pub(super) fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 65504.0,
        DType::BF16 => f64::from(f32::from_bits(0x7f7f_0000)),
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    }
}

fn nan_to_num(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let x = own(e, 0, index);
    if !kind(e).is_float() {
        return x;
    }
    let largest = largest(e.results[0].dtype);
    let value = |e: &mut Element, at: usize, default: f64| {
        let kind = kind(e);
        if e.is_none(at) { e.constant(kind, default) } else { e.number(at, kind) }
    };
    let (nan, high, low) = (value(e, 1, 0.0), value(e, 2, largest), value(e, 3, -largest));
    let y = e.calc([x, nan, high, low], |[x, nan, high, low]| {
        x.is_nan().select(nan, x.eq(f64::INFINITY).select(high, x.eq(f64::NEG_INFINITY).select(low, x)))
    });
    finish(e, y)
}

fn polygamma_type(cx: &mut Infer) -> Types {
    if cx.dim(0)?.as_const().is_some_and(|n| n < 0) {
        return OpError::raise("polygamma(n, x) does not support negative n.");
    }
    let ty = cx.tensor(1).clone();
    one(crate::promote::to_float(ty.dtype), ty.dims)
}

fn polygamma(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let (n, x) = (e.number(0, Kind::Int), operand(e, 1, index));
    let y = e.calc([n, x], |[n, x]| {
        let order = n.to_kind(x.kind()) + 1.0;
        let sign = (n & 1.0).eq(0.0).select(x.like(-1.0), 1.0);
        let general = sign * order.math("lgamma").math("exp") * order.math2("zeta", x);
        n.eq(0.0).select(x.math("digamma"), n.eq(1.0).select(x.math("trigamma"), general))
    });
    finish(e, y)
}

fn frexp_types(cx: &mut Infer) -> Types {
    let ty = same_float(cx)?.remove(0);
    Ok(vec![ty.clone(), TensorType { dtype: DType::I32, ..ty }])
}

fn frexp(e: &mut Element, output: usize, index: &[Expr]) -> Expr {
    let x = own(e, 0, index);
    if output == 0 {
        let y = e.calc([x], |[x]| x.math("frexp_mantissa"));
        return finish(e, y);
    }
    let y = e.calc([x], |[x]| {
        // x / (2 m) is the power of two itself: its logarithm is exact.
        let power = x / (2.0 * x.math("frexp_mantissa"));
        let is_plain = x.abs().lt(f64::INFINITY) & x.ne(0.0);
        is_plain.select((power.math("log2") + 1.0).round(), 0.0).to_kind(Kind::Int)
    });
    e.cast(DType::I32, y)
}

fn fill_tensor(cx: &mut Infer) -> Types {
    if cx.tensor(1).rank() != 0 {
        let rank = cx.tensor(1).rank();
        return OpError::raise(format!("fill_ only supports 0-dimension value tensor but got tensor with {rank} dimensions."));
    }
    same(cx)
}

fn converted(cx: &mut Infer, at: usize) -> Types {
    let dtype = cx.opt_dtype(at)?.unwrap_or(cx.tensor(0).dtype);
    if dtype.is_quantized() || cx.tensor(0).dtype.is_quantized() {
        return OpError::unsupported("a quantized tensor");
    }
    one(dtype, cx.tensor(0).dims.clone())
}
