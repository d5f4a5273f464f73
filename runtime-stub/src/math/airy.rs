//! Airy's function Ai.
//!
//! For positive x it is a Bessel function K of order 1/3. For negative x down to -7 its power series (which cancels to
//! about 1e-11 there), below that the asymptotic expansion with a sine and a cosine.

use core::f64::consts::{FRAC_PI_4, PI};

use crate::math::bessel::k_scaled_integral;
use crate::math::unary_rounded;

/// Ai(0) and -Ai'(0).
const AT_ZERO: f64 = 0.355_028_053_887_817_2;
const SLOPE: f64 = 0.258_819_403_792_806_8;

/// The two power series: sums of x^3k times rational factors.
fn series(x: f64) -> f64 {
    let cube = x * x * x;
    let (mut even, mut odd) = (AT_ZERO, -SLOPE * x);
    let (mut sum, mut k) = (even + odd, 1.0);
    while k < 60.0 {
        even *= cube / ((3.0 * k - 1.0) * (3.0 * k));
        odd *= cube / ((3.0 * k) * (3.0 * k + 1.0));
        sum += even + odd;
        k += 1.0;
    }
    sum
}

/// The expansion for large negative x.
fn oscillating(x: f64) -> f64 {
    let size = -x;
    let phase = 2.0 / 3.0 * size * libm::sqrt(size);
    let (mut term, mut in_phase, mut quadrature) = (1.0, 1.0, 0.0);
    for k in 1..24u32 {
        let n = f64::from(k);
        let factor = (6.0 * n - 5.0) * (6.0 * n - 3.0) * (6.0 * n - 1.0) / (216.0 * n * (2.0 * n - 1.0)) / phase;
        if factor >= 1.0 {
            break;
        }
        term *= factor;
        match k % 4 {
            0 => in_phase += term,
            1 => quadrature += term,
            2 => in_phase -= term,
            _ => quadrature -= term,
        }
    }
    let angle = phase - FRAC_PI_4;
    let amplitude = 1.0 / (libm::sqrt(PI) * libm::sqrt(libm::sqrt(size)));
    amplitude * (libm::cos(angle) * in_phase + libm::sin(angle) * quadrature)
}

/// Airy's function; NaN at the infinities, as PyTorch has it.
fn airy_ai(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    if x > 1.0 {
        let z = 2.0 / 3.0 * x * libm::sqrt(x);
        return libm::sqrt(x / 3.0) / PI * libm::exp(-z) * k_scaled_integral(1.0 / 3.0, z);
    }
    if x >= -7.0 { series(x) } else { oscillating(x) }
}

unary_rounded! {
    "Airy's function Ai." airy_ai_f64 airy_ai_f32 = airy_ai;
}
