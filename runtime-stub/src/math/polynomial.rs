//! Orthogonal polynomials of a degree given as a whole number in a float (its fraction is dropped).
//!
//! Degrees below 0 give 0. Chebyshev polynomials of high degree use the closed trigonometric or hyperbolic forms, the
//! others their recurrences, bounded so that no degree runs away: beyond [`MAX_DEGREE`] the result is NaN.

use crate::math::{binary_rounded, is_odd};

/// Longest recurrence.
const MAX_DEGREE: f64 = 10_000_000.0;
/// Degree from which PyTorch gives NaN for Hermite polynomials in float64 and float32.
const HERMITE_LIMIT: f64 = 512.0;
const HERMITE_LIMIT_F32: f64 = 128.0;
/// Degrees up to this one are computed by recurrence for every family.
const SHORT: f64 = 64.0;

/// The kind of Chebyshev polynomial.
#[derive(Clone, Copy, PartialEq)]
enum Chebyshev {
    /// First.
    T,
    /// Second.
    U,
    /// Third.
    V,
    /// Fourth.
    W,
}

impl Chebyshev {
    /// The polynomial of degree 1.
    fn first(self, x: f64) -> f64 {
        match self {
            Chebyshev::T => x,
            Chebyshev::U => x + x,
            Chebyshev::V => x + x - 1.0,
            Chebyshev::W => x + x + 1.0,
        }
    }

    /// The value at 1, and the magnitude of that at -1.
    fn ends(self, n: f64) -> (f64, f64) {
        match self {
            Chebyshev::T => (1.0, 1.0),
            Chebyshev::U => (n + 1.0, n + 1.0),
            Chebyshev::V => (1.0, 2.0 * n + 1.0),
            Chebyshev::W => (2.0 * n + 1.0, 1.0),
        }
    }

    /// Inside (-1, 1), by the angle whose cosine is x.
    fn trigonometric(self, angle: f64, n: f64) -> f64 {
        match self {
            Chebyshev::T => libm::cos(n * angle),
            Chebyshev::U => libm::sin((n + 1.0) * angle) / libm::sin(angle),
            Chebyshev::V => libm::cos((n + 0.5) * angle) / libm::cos(angle / 2.0),
            Chebyshev::W => libm::sin((n + 0.5) * angle) / libm::sin(angle / 2.0),
        }
    }

    /// Above 1, by the area whose hyperbolic cosine is x.
    fn hyperbolic(self, area: f64, n: f64) -> f64 {
        match self {
            Chebyshev::T => libm::cosh(n * area),
            Chebyshev::U => libm::sinh((n + 1.0) * area) / libm::sinh(area),
            Chebyshev::V => libm::cosh((n + 0.5) * area) / libm::cosh(area / 2.0),
            Chebyshev::W => libm::sinh((n + 0.5) * area) / libm::sinh(area / 2.0),
        }
    }

    /// The kind that mirrors this one: `P(-x) = (-1)^n mirror(x)`.
    fn mirrored(self) -> Chebyshev {
        match self {
            Chebyshev::V => Chebyshev::W,
            Chebyshev::W => Chebyshev::V,
            same => same,
        }
    }

    fn value(self, x: f64, n: f64) -> f64 {
        let n = libm::trunc(n);
        if n < 0.0 || n.is_nan() {
            return if n.is_nan() { f64::NAN } else { 0.0 };
        }
        let odd = is_odd(n);
        if x.abs() == 1.0 {
            let (high, low) = self.ends(n);
            return if x > 0.0 {
                high
            } else if odd {
                -low
            } else {
                low
            };
        }
        if n <= 6.0 || (x.abs() > 1.0 && n <= SHORT) {
            return self.recurrence(x, n);
        }
        if x.abs() < 1.0 {
            return self.trigonometric(libm::acos(x), n);
        }
        if x < 0.0 {
            let mirrored = self.mirrored().hyperbolic(libm::acosh(-x), n);
            return if odd { -mirrored } else { mirrored };
        }
        self.hyperbolic(libm::acosh(x), n)
    }

    fn recurrence(self, x: f64, n: f64) -> f64 {
        if n == 0.0 {
            return 1.0;
        }
        let (mut before, mut value, mut k) = (1.0, self.first(x), 1.0);
        while k < n {
            (before, value) = (value, (x + x) * value - before);
            k += 1.0;
        }
        value
    }
}

/// A recurrence from degrees 0 and 1: `step(k, value, before)` gives degree k + 1.
fn recur(n: f64, first: f64, step: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let n = libm::trunc(n);
    if n < 0.0 {
        return 0.0;
    }
    if n.is_nan() || n > MAX_DEGREE {
        return f64::NAN;
    }
    if n == 0.0 {
        return 1.0;
    }
    let (mut before, mut value, mut k) = (1.0, first, 1.0);
    while k < n && !f64::is_nan(value) {
        (before, value) = (value, step(k, value, before));
        k += 1.0;
    }
    value
}

fn hermite_h(x: f64, n: f64) -> f64 {
    if n > HERMITE_LIMIT { f64::NAN } else { recur(n, x + x, |k, value, before| (x + x) * value - (k + k) * before) }
}

fn hermite_he(x: f64, n: f64) -> f64 {
    if n > HERMITE_LIMIT { f64::NAN } else { recur(n, x, |k, value, before| x * value - k * before) }
}

fn limited_f32(f: fn(f64, f64) -> f64) -> impl Fn(f32, f32) -> f32 {
    move |x, n| if f64::from(n) > HERMITE_LIMIT_F32 { f32::NAN } else { f(f64::from(x), f64::from(n)) as f32 }
}

fn laguerre_l(x: f64, n: f64) -> f64 {
    if x == 0.0 && n >= 0.0 {
        return 1.0;
    }
    recur(n, 1.0 - x, |k, value, before| ((k + k + 1.0 - x) * value - k * before) / (k + 1.0))
}

fn legendre_p(x: f64, n: f64) -> f64 {
    if x.abs() == 1.0 && n >= 0.0 {
        return if x > 0.0 || !is_odd(libm::trunc(n)) { 1.0 } else { -1.0 };
    }
    recur(n, x, |k, value, before| ((k + k + 1.0) * x * value - k * before) / (k + 1.0))
}

/// The Chebyshev families.
pub(crate) mod chebyshev {
    use super::*;

    binary_rounded! {
        "Chebyshev polynomial of the first kind of x and degree n." chebyshev_t_f64 chebyshev_t_f32 = |x, n| Chebyshev::T.value(x, n);
        "Chebyshev polynomial of the second kind." chebyshev_u_f64 chebyshev_u_f32 = |x, n| Chebyshev::U.value(x, n);
        "Chebyshev polynomial of the third kind." chebyshev_v_f64 chebyshev_v_f32 = |x, n| Chebyshev::V.value(x, n);
        "Chebyshev polynomial of the fourth kind." chebyshev_w_f64 chebyshev_w_f32 = |x, n| Chebyshev::W.value(x, n);
        "Shifted Chebyshev polynomial of the first kind: of 2x - 1." shifted_chebyshev_t_f64 shifted_chebyshev_t_f32 = |x, n| Chebyshev::T.value(2.0 * x - 1.0, n);
        "Shifted Chebyshev polynomial of the second kind." shifted_chebyshev_u_f64 shifted_chebyshev_u_f32 = |x, n| Chebyshev::U.value(2.0 * x - 1.0, n);
        "Shifted Chebyshev polynomial of the third kind." shifted_chebyshev_v_f64 shifted_chebyshev_v_f32 = |x, n| Chebyshev::V.value(2.0 * x - 1.0, n);
        "Shifted Chebyshev polynomial of the fourth kind." shifted_chebyshev_w_f64 shifted_chebyshev_w_f32 = |x, n| Chebyshev::W.value(2.0 * x - 1.0, n);
    }
}

/// Hermite, Laguerre and Legendre polynomials.
pub(crate) mod others {
    use super::*;
    use crate::math::binary;

    fn rounded(f: fn(f64, f64) -> f64) -> impl Fn(f32, f32) -> f32 {
        move |x, n| f(f64::from(x), f64::from(n)) as f32
    }

    binary! {
        "Physicist's Hermite polynomial of x and degree n; NaN beyond degree 512 (128 in float32)." hermite_h_f64 hermite_h_f32 = hermite_h, limited_f32(hermite_h);
        "Probabilist's Hermite polynomial, likewise." hermite_he_f64 hermite_he_f32 = hermite_he, limited_f32(hermite_he);
        "Laguerre polynomial." laguerre_l_f64 laguerre_l_f32 = laguerre_l, rounded(laguerre_l);
        "Legendre polynomial." legendre_p_f64 legendre_p_f32 = legendre_p, rounded(legendre_p);
    }
}
