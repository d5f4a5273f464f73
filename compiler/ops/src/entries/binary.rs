//! Operators of two tensors, or of a tensor and a number, element by element with broadcasting.

use super::rules::{
    Types, broadcast_args, common, common_dtype, compared, finish, formulas, is_tensor, kind, no_kernel, one, operand,
    operand_as, promoted, promoted_float, promoted_int, promoted_integral, promoted_number, promoted_only_float, tensor, truth,
};
use super::scalars::gcd;
use crate::calc::Num;
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError};
use kiln_graph::Dim;
use kiln_loops::{BinaryOp, Expr, Kind};
use kiln_support::DType;

/// Comparisons, in the common type of the operands.
pub const COMPARISONS: &[Entry] = formulas! {
    compared, common;
    ["aten::eq.Tensor", "aten::eq.Scalar"] "self == other" |a, b| a.eq(b);
    ["aten::ne.Tensor", "aten::ne.Scalar", "aten::not_equal.Tensor", "aten::not_equal.Scalar"] "self != other" |a, b| a.ne(b);
    ["aten::lt.Tensor", "aten::lt.Scalar", "aten::less.Tensor", "aten::less.Scalar"] "self < other" |a, b| a.lt(b);
    ["aten::le.Tensor", "aten::le.Scalar", "aten::less_equal.Tensor", "aten::less_equal.Scalar"] "self <= other" |a, b| a.le(b);
    ["aten::gt.Tensor", "aten::gt.Scalar", "aten::greater.Tensor", "aten::greater.Scalar"] "self > other" |a, b| a.gt(b);
    ["aten::ge.Tensor", "aten::ge.Scalar", "aten::greater_equal.Tensor", "aten::greater_equal.Scalar"] "self >= other" |a, b| a.ge(b);
};

/// Connectives of truth values; a number is true unless it is zero.
pub const LOGICAL: &[Entry] = formulas! {
    compared, truth;
    ["aten::logical_and"] "self and other" |a, b| a & b;
    ["aten::logical_or"] "self or other" |a, b| a | b;
    ["aten::logical_xor"] "self xor other" |a, b| a ^ b;
};

/// Operators in the common type.
pub const COMMON: &[Entry] = formulas! {
    promoted, operand;
    ["aten::mul.Tensor", "aten::mul.Scalar", "aten::multiply.Tensor", "aten::multiply.Scalar"] "self * other" |a, b| a * b;
    ["aten::maximum", "aten::max.other"] "the larger; NaN if one is" |a, b| a.max(b);
    ["aten::minimum", "aten::min.other"] "the smaller; NaN if one is" |a, b| a.min(b);
    ["aten::fmax"] "the larger, ignoring a NaN" |a, b| if a.kind().is_float() { a.binary(BinaryOp::FMax, b) } else { a.max(b) };
    ["aten::fmin"] "the smaller, ignoring a NaN" |a, b| if a.kind().is_float() { a.binary(BinaryOp::FMin, b) } else { a.min(b) };
};

/// Operators in the common type, for numbers.
pub const NUMBERS: &[Entry] = formulas! {
    promoted_number, operand;
    ["aten::remainder.Tensor", "aten::remainder.Scalar", "aten::remainder.Scalar_Tensor"] "self % other, with the sign of other"
        |a, b| a.binary(BinaryOp::Mod, nonzero(b));
    ["aten::fmod.Tensor", "aten::fmod.Scalar"] "the remainder, with the sign of self" |a, b| a.binary(BinaryOp::Rem, nonzero(b));
    ["aten::floor_divide", "aten::floor_divide.Scalar"] "self / other, rounded down" |a, b| a.binary(BinaryOp::FloorDiv, nonzero(b));
};

/// Operators in floating point.
pub const FLOAT: &[Entry] = formulas! {
    promoted_float, operand;
    ["aten::div.Tensor", "aten::div.Scalar", "aten::divide.Tensor", "aten::divide.Scalar", "aten::true_divide.Tensor", "aten::true_divide.Scalar"]
        "self / other" |a, b| a / b;
    ["aten::atan2", "aten::arctan2"] "angle of the point (other, self)" |a, b| a.binary(BinaryOp::Atan2, b);
    ["aten::copysign.Tensor", "aten::copysign.Scalar"] "|self| with the sign of other" |a, b| a.binary(BinaryOp::CopySign, b);
    ["aten::xlogy.Tensor", "aten::xlogy.Scalar_Other", "aten::xlogy.Scalar_Self", "aten::special_xlogy", "aten::special_xlogy.other_scalar",
     "aten::special_xlogy.self_scalar"]
        "self * ln(other), 0 where self is 0" |a, b| b.is_nan().select(b, a.eq(0.0).select(a.like(0.0), a * b.math("log")));
    ["aten::special_xlog1py", "aten::special_xlog1py.other_scalar", "aten::special_xlog1py.self_scalar"]
        "self * ln(1 + other), 0 where self is 0" |a, b| b.is_nan().select(b, a.eq(0.0).select(a.like(0.0), a * b.math("log1p")));
    ["aten::special_zeta", "aten::special_zeta.other_scalar", "aten::special_zeta.self_scalar"] "the Hurwitz zeta function" |a, b| a.math2("zeta", b);
};

/// Operators of floating-point tensors only.
pub const ONLY_FLOAT: &[Entry] = formulas! {
    promoted_only_float, operand;
    ["aten::logaddexp"] "ln(e^self + e^other)" |a, b| a.math2("logaddexp", b);
    ["aten::logaddexp2"] "log2(2^self + 2^other)" |a, b| a.math2("logaddexp2", b);
    ["aten::hypot"] "sqrt(self^2 + other^2)" |a, b| a.math2("hypot", b);
    ["aten::igamma", "aten::special_gammainc"] "regularised lower incomplete gamma function" |a, b| a.math2("igamma", b);
    ["aten::igammac", "aten::special_gammaincc"] "regularised upper incomplete gamma function" |a, b| a.math2("igammac", b);
};

/// Operators of bits and truth values.
pub const BITS: &[Entry] = formulas! {
    promoted_integral, operand;
    ["aten::bitwise_and.Tensor", "aten::bitwise_and.Scalar", "aten::bitwise_and.Scalar_Tensor", "aten::__and__.Tensor", "aten::__and__.Scalar"]
        "self & other" |a, b| a & b;
    ["aten::bitwise_or.Tensor", "aten::bitwise_or.Scalar", "aten::bitwise_or.Scalar_Tensor", "aten::__or__.Tensor", "aten::__or__.Scalar"]
        "self | other" |a, b| a | b;
    ["aten::bitwise_xor.Tensor", "aten::bitwise_xor.Scalar", "aten::bitwise_xor.Scalar_Tensor", "aten::__xor__.Tensor", "aten::__xor__.Scalar"]
        "self ^ other" |a, b| a ^ b;
};

/// Operators of ints.
pub const INTS: &[Entry] = formulas! {
    promoted_int, operand;
    ["aten::bitwise_left_shift.Tensor", "aten::bitwise_left_shift.Tensor_Scalar", "aten::bitwise_left_shift.Scalar_Tensor",
     "aten::__lshift__.Tensor", "aten::__lshift__.Scalar"] "self << other" |a, b| a.binary(BinaryOp::Shl, b);
    ["aten::bitwise_right_shift.Tensor", "aten::bitwise_right_shift.Tensor_Scalar", "aten::bitwise_right_shift.Scalar_Tensor",
     "aten::__rshift__.Tensor", "aten::__rshift__.Scalar"] "self >> other" |a, b| a.binary(BinaryOp::Shr, b);
};

/// Operators with rules of their own.
pub const OTHER: &[Entry] =
    &[
        tensor!("aten::add.Tensor", "self + alpha * other", promoted_alpha, |e, _, index| scaled(e, index, BinaryOp::Add)),
        tensor!("aten::add.Scalar", "self + alpha * other", promoted_alpha, |e, _, index| scaled(e, index, BinaryOp::Add)),
        tensor!("aten::sub.Tensor", "self - alpha * other", subtracted, |e, _, index| scaled(e, index, BinaryOp::Sub)),
        tensor!("aten::sub.Scalar", "self - alpha * other", subtracted, |e, _, index| scaled(e, index, BinaryOp::Sub)),
        tensor!("aten::subtract.Tensor", "self - alpha * other", subtracted, |e, _, index| scaled(e, index, BinaryOp::Sub)),
        tensor!("aten::subtract.Scalar", "self - alpha * other", subtracted, |e, _, index| scaled(e, index, BinaryOp::Sub)),
        tensor!("aten::rsub.Tensor", "other - alpha * self", subtracted, |e, _, index| reverse_scaled(e, index)),
        tensor!("aten::rsub.Scalar", "other - alpha * self", subtracted, |e, _, index| reverse_scaled(e, index)),
        tensor!("aten::div.Tensor_mode", "self / other, rounded as the mode says", divided, divide),
        tensor!("aten::div.Scalar_mode", "self / other, rounded as the mode says", divided, divide),
        tensor!("aten::divide.Tensor_mode", "self / other, rounded as the mode says", divided, divide),
        tensor!("aten::divide.Scalar_mode", "self / other, rounded as the mode says", divided, divide),
        tensor!("aten::pow.Tensor_Tensor", "self ** exponent", powered, power),
        tensor!("aten::pow.Tensor_Scalar", "self ** exponent", powered, power),
        tensor!("aten::pow.Scalar", "self ** exponent", powered, power),
        tensor!("aten::heaviside", "0 below zero, values at zero, 1 above", heaviside_type, |e, _, index| {
            let (x, at_zero) = (operand(e, 0, index), operand(e, 1, index));
            e.calc([x, at_zero], |[x, v]| {
                if x.kind() == Kind::Bool { x | v } else { x.eq(0.0).select(v, x.gt(0.0).select(x.like(1.0), 0.0)) }
            })
        }),
        tensor!("aten::nextafter", "the next number from self towards other", next_after_type, next_after),
        tensor!("aten::gcd", "the greatest common divisor", promoted_int, |e, _, index| divisors(e, index, false)),
        tensor!("aten::lcm", "the least common multiple", promoted_int, |e, _, index| divisors(e, index, true)),
        tensor!("aten::ldexp.Tensor", "self * 2^other", ldexp_type, |e, _, index| {
            let (x, n) = (operand(e, 0, index), operand(e, 1, index));
            let y = e.calc([x, n], |[x, n]| x * n.math("exp2"));
            finish(e, y)
        }),
    ];

/// A divisor that must not be zero, where it is an int: as in PyTorch the operator fails then.
fn nonzero(b: Num) -> Num {
    if b.kind() == Kind::Int { b.checked_nonzero() } else { b }
}

fn promoted_alpha(cx: &mut Infer) -> Types {
    let types = promoted(cx)?;
    match (&cx.args[2], types[0].dtype) {
        (Fact::Float(_), d) if !d.is_float() => {
            OpError::raise("For integral input tensors, argument alpha must not be a floating point number.")
        }
        (Fact::Bool(_), d) if d != DType::Bool => OpError::raise("Boolean alpha only supported for Boolean results."),
        _ => Ok(types),
    }
}

fn subtracted(cx: &mut Infer) -> Types {
    let is_bool = |f: &Fact| matches!(f, Fact::Bool(_)) || matches!(f, Fact::Tensor(t) if t.dtype == DType::Bool);
    let count = cx.args[..2].iter().filter(|f| is_bool(f)).count();
    match count {
        2 => OpError::raise(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead.",
        ),
        1 => OpError::raise(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.",
        ),
        _ => promoted_alpha(cx),
    }
}

/// `a op alpha * b` (argument 2 is alpha).
fn scaled(e: &mut Element, index: &[Expr], op: BinaryOp) -> Expr {
    let (a, b) = (operand(e, 0, index), operand(e, 1, index));
    combine(e, op, a, b)
}

fn reverse_scaled(e: &mut Element, index: &[Expr]) -> Expr {
    let (a, b) = (operand(e, 0, index), operand(e, 1, index));
    combine(e, BinaryOp::Sub, b, a)
}

fn combine(e: &mut Element, op: BinaryOp, a: Expr, b: Expr) -> Expr {
    let alpha = e.number(2, kind(e));
    let y = e.calc([a, b, alpha], |[a, b, alpha]| {
        let is_one = alpha.constant() == alpha.like(1.0).constant();
        a.binary(op, if is_one { b } else { b * alpha })
    });
    finish(e, y)
}

/// The rounding mode of a division.
fn mode(facts: &[Fact]) -> Option<&str> {
    if let Fact::Str(mode) = &facts[2] { Some(mode) } else { None }
}

fn divided(cx: &mut Infer) -> Types {
    match mode(cx.args) {
        None if cx.is_none(2) => promoted_float(cx),
        Some("trunc" | "floor") => promoted_number(cx),
        None => OpError::unsupported("a rounding mode that is known only at run time"),
        Some(other) => {
            OpError::raise(format!("div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{other}'"))
        }
    }
}

fn divide(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let (a, b) = (operand(e, 0, index), operand(e, 1, index));
    let (is_trunc, is_floor) = (mode(e.args) == Some("trunc"), mode(e.args) == Some("floor"));
    let dtype = e.results[0].dtype;
    let y = e.calc([a, b], |[a, b]| match a.kind() {
        Kind::Int if is_trunc => a.binary(BinaryOp::TruncDiv, nonzero(b)),
        _ if is_floor => a.binary(BinaryOp::FloorDiv, nonzero(b)),
        _ if is_trunc => (a / b).cast(dtype).trunc(),
        _ => a / b,
    });
    finish(e, y)
}

fn powered(cx: &mut Infer) -> Types {
    let types = promoted(cx)?;
    if let (&Fact::Int(exponent), false) = (&cx.args[1], types[0].dtype.is_float()) {
        cx.require_at_most(Dim::Const(0), exponent, "Integers to negative integer powers are not allowed.")?;
    }
    Ok(types)
}

fn power(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let (a, b) = (operand(e, 0, index), operand(e, 1, index));
    let bits = exponent_bits(&e.args[1]);
    let y = e.calc([a, b], |[a, b]| match a.kind() {
        Kind::Int => int_power(a, b, bits),
        Kind::Bool => a | !b,
        _ => float_power(a, b),
    });
    finish(e, y)
}

/// How many bits a non-negative exponent can have.
fn exponent_bits(exponent: &Fact) -> u32 {
    match exponent {
        Fact::Int(Dim::Const(n)) => 64 - n.max(&0).leading_zeros(),
        Fact::Bool(_) => 1,
        Fact::Tensor(t) if t.dtype == DType::Bool => 1,
        Fact::Tensor(t) if t.dtype == DType::U8 => 8,
        Fact::Tensor(t) => t.dtype.size() as u32 * 8 - 1,
        _ => 63,
    }
}

/// By repeated squaring; a negative exponent gives the truncated inverse.
fn int_power<'a>(a: Num<'a>, b: Num<'a>, bits: u32) -> Num<'a> {
    let (mut result, mut square) = (a.like(1.0), a);
    for bit in 0..bits {
        let is_set = (b.binary(BinaryOp::Shr, f64::from(bit)) & 1.0).ne(0.0);
        result = result * is_set.select(square, 1.0);
        square = square * square;
    }
    let odd = (b & 1.0).ne(0.0);
    let inverse = a.eq(1.0).select(a, a.eq(-1.0).select(odd.select(a, 1.0), 0.0));
    b.lt(0.0).select(inverse, result)
}

/// The exponents that PyTorch computes without `pow`.
fn float_power<'a>(a: Num<'a>, b: Num<'a>) -> Num<'a> {
    match b.constant().map(kiln_loops::Scalar::as_f64) {
        Some(0.0) => a.like(1.0),
        Some(1.0) => a,
        Some(2.0) => a * a,
        Some(3.0) => a * a * a,
        Some(0.5) => a.sqrt(),
        Some(-0.5) => 1.0 / a.sqrt(),
        Some(-1.0) => 1.0 / a,
        Some(-2.0) => 1.0 / (a * a),
        _ => a.pow(b),
    }
}

fn heaviside_type(cx: &mut Infer) -> Types {
    let (a, b) = (cx.tensor(0).dtype, cx.tensor(1).dtype);
    if a != b {
        return OpError::raise("heaviside is not yet implemented for tensors with different dtypes.");
    }
    promoted(cx)
}

fn next_after_type(cx: &mut Infer) -> Types {
    let types = promoted_only_float(cx)?;
    if types[0].dtype.size() == 2 { OpError::unsupported("a 16-bit float") } else { Ok(types) }
}

fn next_after(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let (a, b) = (operand(e, 0, index), operand(e, 1, index));
    e.calc([a, b], |[a, b]| a.math2("nextafter", b))
}

fn divisors(e: &mut Element, index: &[Expr], multiple: bool) -> Expr {
    let (a, b) = (operand(e, 0, index), operand(e, 1, index));
    // Steps that Euclid's algorithm takes at most for two numbers of that many bits.
    let steps = match e.results[0].dtype.size() {
        1 => 13,
        2 => 24,
        4 => 47,
        _ => 92,
    };
    let y = e.calc([a, b], |[a, b]| {
        let divisor = gcd(a, b, steps);
        if multiple { (a.binary(BinaryOp::TruncDiv, divisor) * b).abs() } else { divisor }
    });
    finish(e, y)
}

fn ldexp_type(cx: &mut Infer) -> Types {
    let dims = broadcast_args(cx, &[0, 1])?;
    let powers = Fact::Tensor(kiln_graph::TensorType {
        dtype: crate::promote::to_float(cx.tensor(1).dtype),
        dims: cx.tensor(1).dims.clone(),
    });
    one(common_dtype(&[cx.args[0].clone(), powers], &[0, 1]), dims)
}

/// Operators of a condition or three operands.
pub const CHOICES: &[Entry] = &[
    tensor!("aten::where.self", "condition ? self : other", chosen, choose),
    tensor!("aten::where.ScalarOther", "condition ? self : other", chosen, choose),
    tensor!("aten::where.ScalarSelf", "condition ? self : other", chosen, choose),
    tensor!("aten::where.Scalar", "condition ? self : other", chosen, choose),
    tensor!("aten::masked_fill.Scalar", "mask ? value : self", masked, |e, _, index| mask_fill(e, index)),
    tensor!("aten::masked_fill.Tensor", "mask ? value : self", masked, |e, _, index| mask_fill(e, index)),
    tensor!("aten::clamp", "between min and max", clamped, clamp),
    tensor!("aten::clip", "between min and max", clamped, clamp),
    tensor!("aten::clamp.Tensor", "between min and max", clamped, clamp),
    tensor!("aten::clip.Tensor", "between min and max", clamped, clamp),
    tensor!("aten::clamp_min", "at least min", promoted_number, |e, _, index| bound(e, index, BinaryOp::Max)),
    tensor!("aten::clamp_min.Tensor", "at least min", promoted, |e, _, index| bound(e, index, BinaryOp::Max)),
    tensor!("aten::clamp_max", "at most max", promoted_number, |e, _, index| bound(e, index, BinaryOp::Min)),
    tensor!("aten::clamp_max.Tensor", "at most max", promoted, |e, _, index| bound(e, index, BinaryOp::Min)),
    tensor!("aten::lerp.Scalar", "self + weight * (end - self)", lerp_type, lerp),
    tensor!("aten::lerp.Tensor", "self + weight * (end - self)", lerp_type, lerp),
    tensor!("aten::addcmul", "self + value * tensor1 * tensor2", |cx| fused(cx, false), |e, _, index| {
        let [x, a, b, value] = fused_operands(e, index);
        let y = e.calc([x, a, b, value], |[x, a, b, value]| x + value * a * b);
        finish(e, y)
    }),
    tensor!("aten::addcdiv", "self + value * tensor1 / tensor2", |cx| fused(cx, true), |e, _, index| {
        let [x, a, b, value] = fused_operands(e, index);
        let y = e.calc([x, a, b, value], |[x, a, b, value]| x + value * a / b);
        finish(e, y)
    }),
];

fn chosen(cx: &mut Infer) -> Types {
    if !matches!(cx.tensor(0).dtype, DType::Bool | DType::U8) {
        let name = cx.tensor(0).dtype.scalar_type_name();
        return OpError::raise(format!("where expected condition to be a boolean tensor, but got a tensor with dtype {name}"));
    }
    let dims = broadcast_args(cx, &[0, 1, 2])?;
    one(common_dtype(cx.args, &[1, 2]), dims)
}

fn choose(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let test = operand_as(e, 0, index, DType::Bool);
    let (yes, no) = (operand(e, 1, index), operand(e, 2, index));
    let (yes, no) = (finish(e, yes), finish(e, no));
    e.select(test, yes, no)
}

fn masked(cx: &mut Infer) -> Types {
    if cx.tensor(1).dtype != DType::Bool {
        return OpError::raise(
            "masked_fill_ only supports boolean masks, but got mask with dtype ".to_owned() + cx.tensor(1).dtype.torch_name(),
        );
    }
    if let Fact::Tensor(value) = &cx.args[2]
        && value.rank() != 0
    {
        return OpError::raise(format!(
            "masked_fill only supports a 0-dimensional value tensor, but got tensor with {} dimension(s).",
            value.rank()
        ));
    }
    let dims = broadcast_args(cx, &[0, 1])?;
    one(cx.tensor(0).dtype, dims)
}

fn mask_fill(e: &mut Element, index: &[Expr]) -> Expr {
    let (x, mask) = (operand(e, 0, index), operand_as(e, 1, index, DType::Bool));
    let value = if is_tensor(&e.args[2]) { e.load(2, &[]) } else { e.number(2, kind(e)) };
    let value = finish(e, value);
    e.select(mask, value, x)
}

fn clamped(cx: &mut Infer) -> Types {
    if cx.is_none(1) && cx.is_none(2) {
        return OpError::raise("torch.clamp: At least one of 'min' or 'max' must not be None");
    }
    let dtype = common_dtype(cx.args, &[0, 1, 2]);
    if dtype == DType::Bool {
        return no_kernel("clamp_cpu", dtype);
    }
    let dims = broadcast_args(cx, &[0, 1, 2])?;
    one(dtype, dims)
}

fn clamp(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let mut x = operand(e, 0, index);
    for (at, op) in [(1, BinaryOp::Max), (2, BinaryOp::Min)] {
        if !e.is_none(at) {
            let limit = operand(e, at, index);
            x = e.binary(op, x, limit);
        }
    }
    finish(e, x)
}

fn bound(e: &mut Element, index: &[Expr], op: BinaryOp) -> Expr {
    let (x, limit) = (operand(e, 0, index), operand(e, 1, index));
    let y = e.binary(op, x, limit);
    finish(e, y)
}

fn lerp_type(cx: &mut Infer) -> Types {
    let dtype = cx.tensor(0).dtype;
    for at in 1..3 {
        if let Fact::Tensor(other) = &cx.args[at]
            && other.dtype != dtype
        {
            let (own, other) = (dtype.torch_name(), other.dtype.torch_name());
            return OpError::raise(format!("expected dtype {own} for `end` but got dtype {other}"));
        }
    }
    if !dtype.is_float() {
        return no_kernel("lerp_kernel_scalar", dtype);
    }
    let dims = broadcast_args(cx, &[0, 1, 2])?;
    one(dtype, dims)
}

fn lerp(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let (x, end, weight) = (operand(e, 0, index), operand(e, 1, index), operand(e, 2, index));
    let y = e.calc([x, end, weight], |[x, end, w]| w.abs().lt(0.5).select(x + w * (end - x), end - (end - x) * (1.0 - w)));
    finish(e, y)
}

fn fused(cx: &mut Infer, division: bool) -> Types {
    let dtype = common_dtype(cx.args, &[0, 1, 2]);
    let is_float = |at: usize| matches!(&cx.args[at], Fact::Tensor(t) if t.dtype.is_float());
    if division && !is_float(1) && !is_float(2) {
        return OpError::raise(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true division of tensor1 and tensor2.",
        );
    }
    if dtype == DType::Bool {
        return no_kernel("addcmul_cpu_out", dtype);
    }
    let dims = broadcast_args(cx, &[0, 1, 2])?;
    one(dtype, dims)
}

fn fused_operands(e: &mut Element, index: &[Expr]) -> [Expr; 4] {
    let value = e.number(3, kind(e));
    [operand(e, 0, index), operand(e, 1, index), operand(e, 2, index), value]
}
