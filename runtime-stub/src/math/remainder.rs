//! Python's division and remainder of floats: of tensors and of scalars, which PyTorch computes differently.

use crate::math::binary;

/// C's `fmod`, exact: the remainder of the division rounded towards zero. Long division of the mantissas, eleven bits
/// at a time, so that every step is one 64-bit division.
pub(crate) fn fmod(x: f64, y: f64) -> f64 {
    if x.is_nan() || y.is_nan() || x.is_infinite() || y == 0.0 {
        return f64::NAN;
    }
    if x.abs() < y.abs() {
        return x;
    }
    let ((mut rest, exponent), (divisor, divisor_exponent)) = (split(x), split(y));
    let mut shift = exponent - divisor_exponent;
    rest %= divisor;
    while shift > 0 && rest > 0 {
        let bits = shift.min(11);
        rest = (rest << bits) % divisor;
        shift -= bits;
    }
    libm::copysign(join(rest, divisor_exponent), x)
}

/// Mantissa and exponent of a finite float: x = m * 2^e with e from -1074.
fn split(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = ((bits >> 52) & 0x7ff) as i32;
    if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) }
}

/// The float `m * 2^e`, which is exact: m is below 2^53.
fn join(mantissa: u64, exponent: i32) -> f64 {
    libm::scalbn(mantissa as f64, exponent)
}

/// Remainder with the sign of the divisor, as `torch.remainder`.
fn remainder(x: f64, y: f64) -> f64 {
    let rest = fmod(x, y);
    if rest != 0.0 && (y < 0.0) != (rest < 0.0) { rest + y } else { rest }
}

/// The same in float32, where the sum rounds differently.
fn remainder_narrow(x: f32, y: f32) -> f32 {
    let rest = libm::fmodf(x, y);
    if rest != 0.0 && (y < 0.0) != (rest < 0.0) { rest + y } else { rest }
}

/// The quotient rounded down, as `torch.div(..., rounding_mode="floor")`.
fn floor_div(x: f64, y: f64) -> f64 {
    if y == 0.0 {
        return x / y;
    }
    let rest = fmod(x, y);
    let mut quotient = (x - rest) / y;
    if rest != 0.0 && (y < 0.0) != (rest < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return libm::copysign(0.0, x / y);
    }
    let floor = libm::floor(quotient);
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

/// The same in float32.
fn floor_div_narrow(x: f32, y: f32) -> f32 {
    if y == 0.0 {
        return x / y;
    }
    let rest = libm::fmodf(x, y);
    let mut quotient = (x - rest) / y;
    if rest != 0.0 && (y < 0.0) != (rest < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return libm::copysignf(0.0, x / y);
    }
    let floor = libm::floorf(quotient);
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

/// `a % b` of scalars.
fn scalar_remainder(x: f64, y: f64) -> f64 {
    fmod(y + fmod(x, y), y)
}

/// `a // b` of scalars.
fn scalar_floor_div(x: f64, y: f64) -> f64 {
    libm::floor(x / y)
}

fn rounded(f: fn(f64, f64) -> f64) -> impl Fn(f32, f32) -> f32 {
    move |x, y| f(f64::from(x), f64::from(y)) as f32
}

binary! {
    "Remainder with the sign of the divisor (torch.remainder)." remainder_f64 remainder_f32 = remainder, remainder_narrow;
    "Quotient rounded down (torch.floor_divide)." floor_div_f64 floor_div_f32 = floor_div, floor_div_narrow;
    "`a % b` of Python floats as TorchScript computes it." scalar_remainder_f64 scalar_remainder_f32 = scalar_remainder, rounded(scalar_remainder);
    "`a // b` of Python floats as TorchScript computes it." scalar_floor_div_f64 scalar_floor_div_f32 = scalar_floor_div, rounded(scalar_floor_div);
    "IEEE remainder: of the quotient rounded to nearest (math.remainder)." math_remainder_f64 math_remainder_f32 = libm::remainder, rounded(libm::remainder);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the platform's `fmod`, which the operator of the language is.
    #[test]
    fn fmod_is_exact() {
        let mut state = 99u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..200_000 {
            let (a, b) = (next(), next());
            let near = (b & !(0x7ff << 52)) | ((a >> 52 & 0x7ff).wrapping_sub(round % 80) & 0x7ff) << 52;
            let (x, y) = (f64::from_bits(a), f64::from_bits(if round % 2 == 0 { b } else { near }));
            let (got, expected) = (fmod(x, y), x % y);
            assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(), "{x} {y}: {got} {expected}");
        }
    }

    /// Recorded from PyTorch 2.15.
    #[test]
    fn scalars_and_tensors() {
        assert_eq!(scalar_remainder_f64(-7.5, 2.0), 0.5);
        assert_eq!(scalar_floor_div_f64(1.0, 0.0), f64::INFINITY);
        assert_eq!(remainder_f64(7.5, -2.0), -0.5);
        assert_eq!(floor_div_f64(-7.5, 2.0), -4.0);
        assert_eq!(floor_div_f32(1.0, 0.1), 9.0);
        assert_eq!(floor_div_f64(-0.0, 3.0).to_bits(), (-0.0f64).to_bits());
        assert!(remainder_f64(1.0, 0.0).is_nan());
    }
}
