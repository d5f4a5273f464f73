//! Integers: Python's division, powers, and what turns floats into ints.

use crate::abi::Context;
use crate::decimal::push_fixed;
use crate::error::{raise_text, raise_with};
use crate::export::{exports, number_exports};
use crate::tensor::element::truncate;

/// Quotient rounded down; the smallest int divided by -1 wraps. `b` is not 0.
fn floor_div(a: i64, b: i64) -> i64 {
    let quotient = a.wrapping_div(b);
    if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
}

/// Remainder with the sign of the divisor, which is not 0.
fn remainder(a: i64, b: i64) -> i64 {
    let rest = a.wrapping_rem(b);
    if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
}

/// `base ^ exponent`, wrapping.
fn power(mut base: i64, mut exponent: u64) -> i64 {
    let mut result = 1i64;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    result
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a as i64
}

/// A whole float as an int; raises PyTorch's text when it does not fit.
unsafe fn whole_to_int(ctx: *mut Context, given: f64, whole: f64) -> i64 {
    // The upper limit is inclusive in PyTorch, whose conversion then wraps to the smallest int.
    if (-9_223_372_036_854_775_808.0..=9_223_372_036_854_775_808.0).contains(&given) {
        return truncate(whole);
    }
    raise_with(ctx, |text| {
        text.push_str("Cannot convert float ");
        push_fixed(text, given, 6);
        text.push_str(" to integer");
    });
    0
}

/// Functions without errors.
pub(crate) mod plain {
    use super::*;

    number_exports! {
        /// `a // b` for a divisor known not to be 0 (0 gives 0).
        fn int_floor_div_unchecked(a: i64, b: i64) -> i64 {
            if b == 0 { 0 } else { floor_div(a, b) }
        }

        /// `a % b` for a divisor known not to be 0 (0 gives 0).
        fn int_remainder_unchecked(a: i64, b: i64) -> i64 {
            if b == 0 { 0 } else { remainder(a, b) }
        }

        /// Integer power as tensors have it: wraps; a negative exponent gives 0 but for the bases 1 and -1.
        fn int_pow_wrapping(a: i64, b: i64) -> i64 {
            match (a, b < 0) {
                (_, false) => power(a, b as u64),
                (1, true) => 1,
                (-1, true) => if b % 2 == 0 { 1 } else { -1 },
                _ => 0,
            }
        }

        /// Greatest common divisor, not negative.
        fn int_gcd(a: i64, b: i64) -> i64 {
            gcd(a, b)
        }

        /// Least common multiple, not negative; wraps.
        fn int_lcm(a: i64, b: i64) -> i64 {
            let divisor = gcd(a, b);
            if divisor == 0 { 0 } else { a.wrapping_div(divisor).wrapping_mul(b).wrapping_abs() }
        }

        /// `int(x)` of a float: truncation; the smallest int for what does not fit.
        fn float_to_int(x: f64) -> i64 {
            truncate(x)
        }

        /// x * 2^e.
        fn ldexp_f64(x: f64, e: i64) -> f64 {
            libm::scalbn(x, e.clamp(-5000, 5000) as i32)
        }

        /// x * 2^e.
        fn ldexp_f32(x: f32, e: i64) -> f32 {
            libm::scalbnf(x, e.clamp(-5000, 5000) as i32)
        }

        /// The mantissa of x, in [0.5, 1).
        fn frexp_mantissa_f64(x: f64) -> f64 {
            if x.is_finite() { libm::frexp(x).0 } else { x }
        }

        /// The mantissa of x, in [0.5, 1).
        fn frexp_mantissa_f32(x: f32) -> f32 {
            if x.is_finite() { libm::frexpf(x).0 } else { x }
        }

        /// The exponent of x, with the mantissa in [0.5, 1).
        fn frexp_exponent_f64(x: f64) -> i64 {
            if x.is_finite() { i64::from(libm::frexp(x).1) } else { 0 }
        }

        /// The exponent of x, with the mantissa in [0.5, 1).
        fn frexp_exponent_f32(x: f32) -> i64 {
            if x.is_finite() { i64::from(libm::frexpf(x).1) } else { 0 }
        }
    }
}

exports! {
    /// `a // b`; raises for a divisor of 0.
    fn int_floor_div(ctx: *mut Context, a: i64, b: i64) -> i64 {
        if b == 0 {
            raise_text(ctx, "division by 0");
            return 0;
        }
        floor_div(a, b)
    }

    /// `a % b`; raises for a divisor of 0.
    fn int_remainder(ctx: *mut Context, a: i64, b: i64) -> i64 {
        if b == 0 {
            raise_text(ctx, "ZeroDivisionError: integer division or modulo by zero");
            return 0;
        }
        remainder(a, b)
    }

    /// `a ** b` of ints as an int; raises for 0 to a negative power.
    fn int_pow(ctx: *mut Context, a: i64, b: i64) -> i64 {
        if a == 0 && b < 0 {
            raise_text(ctx, "0.0 cannot be raised to a negative power");
            return 0;
        }
        plain::int_pow_wrapping(a, b)
    }

    /// `a ** b` of floats; raises for 0 to a negative power.
    fn float_pow(ctx: *mut Context, a: f64, b: f64) -> f64 {
        if a == 0.0 && b < 0.0 {
            raise_text(ctx, "0.0 cannot be raised to a negative power");
            return 0.0;
        }
        libm::pow(a, b)
    }

    /// `math.factorial(n)`, wrapping; raises for negative n.
    fn int_factorial(ctx: *mut Context, n: i64) -> i64 {
        if n < 0 {
            raise_text(ctx, "factorial() not defined for negative values");
            return 0;
        }
        // From 66 on the product has 64 factors of two and is 0.
        (1..=n.min(66)).fold(1, i64::wrapping_mul)
    }

    /// `math.floor(x)`; raises when it does not fit an int.
    fn float_floor(ctx: *mut Context, x: f64) -> i64 {
        whole_to_int(ctx, x, libm::floor(x))
    }

    /// `math.ceil(x)`; raises when it does not fit an int.
    fn float_ceil(ctx: *mut Context, x: f64) -> i64 {
        whole_to_int(ctx, x, libm::ceil(x))
    }

    /// `divmod(a, b)` of floats: the quotient, with the remainder through `rest`; raises for a divisor of 0.
    fn float_divmod(ctx: *mut Context, a: f64, b: f64, rest: *mut f64) -> f64 {
        if b == 0.0 {
            raise_text(ctx, "ZeroDivisionError: float divmod()");
            *rest = 0.0;
            return 0.0;
        }
        let mut remainder = crate::math::remainder::fmod(a, b);
        if remainder != 0.0 && (a < 0.0) != (b < 0.0) {
            remainder += b;
        }
        *rest = remainder;
        (a - remainder) / b
    }
}

#[cfg(test)]
mod tests {
    use super::plain::*;
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn division_rounds_down() {
        let t = TestContext::new();
        for (a, b) in [(7, 2), (-7, 2), (7, -2), (-7, -2), (6, 3), (-6, 3), (0, 5), (1, i64::MIN)] {
            let quotient = (a as f64 / b as f64).floor() as i64;
            unsafe {
                assert_eq!(int_floor_div(t.ctx(), a, b), quotient);
                assert_eq!(int_remainder(t.ctx(), a, b), a.wrapping_sub(quotient.wrapping_mul(b)));
            }
        }
        unsafe {
            assert_eq!(int_floor_div(t.ctx(), i64::MIN, -1), i64::MIN);
            assert_eq!(int_remainder(t.ctx(), i64::MIN, -1), 0);
            int_floor_div(t.ctx(), 1, 0);
            assert_eq!(t.take_error().1, "division by 0");
            int_remainder(t.ctx(), 1, 0);
            assert_eq!(t.take_error().1, "ZeroDivisionError: integer division or modulo by zero");
        }
    }

    #[test]
    fn powers_and_divisors() {
        let t = TestContext::new();
        unsafe {
            assert_eq!(int_pow(t.ctx(), -3, 5), -243);
            assert_eq!(int_pow(t.ctx(), 2, -1), 0);
            assert_eq!(int_factorial(t.ctx(), 20), 2432902008176640000);
            assert_eq!(int_factorial(t.ctx(), i64::MAX), 0);
            int_pow(t.ctx(), 0, -1);
            assert_eq!(t.take_error().1, "0.0 cannot be raised to a negative power");
        }
        assert_eq!((int_gcd(-12, 18), int_gcd(0, 0), int_lcm(4, -6), int_lcm(0, 3)), (6, 0, 12, 0));
    }

    #[test]
    fn floats_to_ints() {
        let t = TestContext::new();
        unsafe {
            assert_eq!((float_floor(t.ctx(), -2.5), float_ceil(t.ctx(), -2.5)), (-3, -2));
            float_floor(t.ctx(), 1e30);
            assert_eq!(t.take_error().1, "Cannot convert float 1000000000000000019884624838656.000000 to integer");
            float_ceil(t.ctx(), f64::NAN);
            assert_eq!(t.take_error().1, "Cannot convert float nan to integer");
            let mut rest = 0.0;
            assert_eq!((float_divmod(t.ctx(), -7.5, 2.0, &mut rest), rest), (-4.0, 0.5));
        }
        assert_eq!(float_to_int(1e30), i64::MIN);
        assert_eq!((frexp_mantissa_f64(6.0), frexp_exponent_f64(6.0), ldexp_f64(0.75, 3)), (0.75, 3, 6.0));
    }
}
