//! Elementary functions, from `libm`, and small compositions of them.

use core::f64::consts::{LN_2, PI};

use crate::math::unary;

/// `1 / (1 + e^-x)`
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// Cube root: a third of the exponent as a first guess, then Halley's iteration, which triples the digits each time.
fn cbrt(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    if x.abs() < f64::MIN_POSITIVE {
        return cbrt(x * 18_014_398_509_481_984.0) / 262_144.0;
    }
    if x.abs() > 1e300 {
        return cbrt(x / 18_014_398_509_481_984.0) * 262_144.0;
    }
    let size = x.abs();
    let mut root = f64::from_bits(size.to_bits() / 3 + (682 << 52));
    for _ in 0..4 {
        let cube = root * root * root;
        root -= root * ((cube - size) / (cube + cube + size));
    }
    libm::copysign(root, x)
}

/// `sin(pi x) / (pi x)`, 1 at 0.
fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { libm::sin(PI * x) / (PI * x) }
}

/// `sin(x) / x`; 0 at infinity.
fn spherical_j0(x: f64) -> f64 {
    if x.is_infinite() {
        return 0.0;
    }
    if x.abs() < 0.5 {
        let z = x * x;
        return 1.0 - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0 * (1.0 - z / 72.0 * (1.0 - z / 110.0 * (1.0 - z / 156.0)))));
    }
    libm::sin(x) / x
}

/// `-x ln x`, 0 at 0, minus infinity below.
fn entr(x: f64) -> f64 {
    if x > 0.0 {
        -x * libm::log(x)
    } else if x == 0.0 {
        0.0
    } else if x.is_nan() {
        x
    } else {
        f64::NEG_INFINITY
    }
}

/// A float32 function through float64.
fn rounded(f: fn(f64) -> f64) -> impl Fn(f32) -> f32 {
    move |x| f(f64::from(x)) as f32
}

unary! {
    "Sine." sin_f64 sin_f32 = libm::sin, libm::sinf;
    "Cosine." cos_f64 cos_f32 = libm::cos, libm::cosf;
    "Tangent." tan_f64 tan_f32 = libm::tan, libm::tanf;
    "Inverse sine." asin_f64 asin_f32 = libm::asin, libm::asinf;
    "Inverse cosine." acos_f64 acos_f32 = libm::acos, libm::acosf;
    "Inverse tangent." atan_f64 atan_f32 = libm::atan, libm::atanf;
    "Hyperbolic sine." sinh_f64 sinh_f32 = libm::sinh, libm::sinhf;
    "Hyperbolic cosine." cosh_f64 cosh_f32 = libm::cosh, libm::coshf;
    "Hyperbolic tangent." tanh_f64 tanh_f32 = libm::tanh, rounded(libm::tanh);
    "Inverse hyperbolic sine." asinh_f64 asinh_f32 = libm::asinh, rounded(libm::asinh);
    "Inverse hyperbolic cosine." acosh_f64 acosh_f32 = libm::acosh, rounded(libm::acosh);
    "Inverse hyperbolic tangent." atanh_f64 atanh_f32 = libm::atanh, rounded(libm::atanh);
    "e^x." exp_f64 exp_f32 = libm::exp, rounded(libm::exp);
    "2^x." exp2_f64 exp2_f32 = libm::exp2, libm::exp2f;
    "e^x - 1." expm1_f64 expm1_f32 = libm::expm1, libm::expm1f;
    "Natural logarithm." log_f64 log_f32 = libm::log, libm::logf;
    "Logarithm to base 2." log2_f64 log2_f32 = libm::log2, libm::log2f;
    "Logarithm to base 10." log10_f64 log10_f32 = libm::log10, libm::log10f;
    "ln(1 + x)." log1p_f64 log1p_f32 = libm::log1p, libm::log1pf;
    "Square root." sqrt_f64 sqrt_f32 = libm::sqrt, libm::sqrtf;
    "Cube root." cbrt_f64 cbrt_f32 = cbrt, rounded(cbrt);
    "Largest whole number not above x." floor_f64 floor_f32 = libm::floor, libm::floorf;
    "Smallest whole number not below x." ceil_f64 ceil_f32 = libm::ceil, libm::ceilf;
    "Whole number towards zero." trunc_f64 trunc_f32 = libm::trunc, libm::truncf;
    "Nearest whole number, ties to even." round_f64 round_f32 = libm::rint, libm::rintf;
    "The error function." erf_f64 erf_f32 = libm::erf, libm::erff;
    "1 - erf(x)." erfc_f64 erfc_f32 = libm::erfc, libm::erfcf;
    "1 / (1 + e^-x)." sigmoid_f64 sigmoid_f32 = sigmoid, rounded(sigmoid);
    "sin(pi x) / (pi x), 1 at 0." sinc_f64 sinc_f32 = sinc, rounded(sinc);
    "-x ln x, 0 at 0, minus infinity below." entr_f64 entr_f32 = entr, rounded(entr);
    "Spherical Bessel function of the first kind, order 0." spherical_j0_f64 spherical_j0_f32 = spherical_j0, rounded(spherical_j0);
}

/// Functions of two arguments.
pub(crate) mod two {
    use super::LN_2;
    use crate::math::binary;

    /// `x ln y`, 0 where x is 0 (and y not NaN).
    fn xlogy(x: f64, y: f64) -> f64 {
        if y.is_nan() {
            y
        } else if x == 0.0 {
            0.0
        } else {
            x * libm::log(y)
        }
    }

    /// `x ln(1 + y)`, likewise.
    fn xlog1py(x: f64, y: f64) -> f64 {
        if y.is_nan() {
            y
        } else if x == 0.0 {
            0.0
        } else {
            x * libm::log1p(y)
        }
    }

    /// `ln(e^x + e^y)`
    fn logaddexp(x: f64, y: f64) -> f64 {
        if x.is_infinite() && x == y { x } else { x.max(y) + libm::log1p(libm::exp(-(x - y).abs())) + nan_of(x, y) }
    }

    /// `log2(2^x + 2^y)`
    fn logaddexp2(x: f64, y: f64) -> f64 {
        if x.is_infinite() && x == y { x } else { x.max(y) + libm::log1p(libm::exp2(-(x - y).abs())) / LN_2 + nan_of(x, y) }
    }

    /// NaN when an argument is, else 0: `max` drops NaN, sums keep it.
    fn nan_of(x: f64, y: f64) -> f64 {
        if x.is_nan() || y.is_nan() { f64::NAN } else { 0.0 }
    }

    /// `ln(x / (1 - x))` with x clamped to `[eps, 1 - eps]` unless eps is negative.
    fn logit(x: f64, eps: f64) -> f64 {
        let x = if eps < 0.0 || x.is_nan() {
            x
        } else if x < eps {
            eps
        } else if x > 1.0 - eps {
            1.0 - eps
        } else {
            x
        };
        libm::log(x / (1.0 - x))
    }

    fn rounded(f: fn(f64, f64) -> f64) -> impl Fn(f32, f32) -> f32 {
        move |x, y| f(f64::from(x), f64::from(y)) as f32
    }

    binary! {
        "Angle of the point (y, x): atan2(first, second)." atan2_f64 atan2_f32 = libm::atan2, libm::atan2f;
        "x to the power y." pow_f64 pow_f32 = libm::pow, libm::powf;
        "Remainder of the division rounded towards zero, with the sign of x." fmod_f64 fmod_f32 = crate::math::remainder::fmod, libm::fmodf;
        "sqrt(x^2 + y^2) without overflow." hypot_f64 hypot_f32 = libm::hypot, libm::hypotf;
        "The next float after x towards y." nextafter_f64 nextafter_f32 = libm::nextafter, libm::nextafterf;
        "x with the sign of y." copysign_f64 copysign_f32 = libm::copysign, libm::copysignf;
        "x ln y, 0 where x is 0." xlogy_f64 xlogy_f32 = xlogy, rounded(xlogy);
        "x ln(1 + y), 0 where x is 0." xlog1py_f64 xlog1py_f32 = xlog1py, rounded(xlog1py);
        "ln(e^x + e^y)." logaddexp_f64 logaddexp_f32 = logaddexp, rounded(logaddexp);
        "log2(2^x + 2^y)." logaddexp2_f64 logaddexp2_f32 = logaddexp2, rounded(logaddexp2);
        "ln(x / (1 - x)); x is clamped to [eps, 1 - eps] unless eps (the second argument) is negative." logit_f64 logit_f32 = logit, rounded(logit);
    }
}

/// Functions of three arguments.
pub(crate) mod three {
    crate::export::number_exports! {
        /// `x * y + z`, rounded once.
        fn fma_f64(x: f64, y: f64, z: f64) -> f64 { libm::fma(x, y, z) }
        /// `x * y + z`, rounded once.
        fn fma_f32(x: f32, y: f32, z: f32) -> f32 { libm::fmaf(x, y, z) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cube_roots_cube_back() {
        for x in [1e-320, 5e-324, 1e-300, 0.1, 1.0, 8.0, -27.0, 1e300, f64::MAX] {
            let root = cbrt_f64(x);
            assert!((root - x.cbrt()).abs() <= x.cbrt().abs() * 3e-16, "{x}: {root}");
        }
        assert_eq!((cbrt_f64(-27.0), cbrt_f64(-0.0).to_bits(), cbrt_f32(1000.0)), (-3.0, (-0.0f64).to_bits(), 10.0));
        assert!(cbrt_f64(f64::NAN).is_nan() && cbrt_f64(f64::INFINITY).is_infinite());
    }
}
