//! Bessel functions of orders 0 and 1.
//!
//! J and Y are in `bessel_jy`. I is its power series (all terms positive, so nothing cancels) up to 20, and its
//! asymptotic expansion beyond. K is the integral of exp(-x cosh t) cosh(v t): the trapezoidal rule converges
//! geometrically there, so a few dozen points give full precision for any x that is not tiny.

use core::f64::consts::TAU;

use crate::math::{bessel_jy, unary_rounded};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;
/// Where the asymptotic expansion of I takes over: its smallest term is then below 1e-17.
const ASYMPTOTIC: f64 = 20.0;

/// The power series of `I_v(x) / (x/2)^v` for v of 0 or 1.
fn i_series(order: f64, x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= quarter / (k * (k + order));
        sum += term;
        k += 1.0;
    }
    sum
}

/// `e^-x I_v(x)` for large x.
fn i_asymptotic(order: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    let square = 4.0 * order * order;
    for k in 1..40 {
        let odd = f64::from(2 * k - 1);
        let next = term * (odd * odd - square) / (f64::from(8 * k) * x);
        if next.abs() >= term.abs() || next.abs() < 1e-17 {
            break;
        }
        term = next;
        sum += term;
    }
    sum / libm::sqrt(TAU * x)
}

/// `e^-|x| I_0(x)`
pub(crate) fn i0e(x: f64) -> f64 {
    let x = x.abs();
    if x < ASYMPTOTIC { libm::exp(-x) * i_series(0.0, x) } else { i_asymptotic(0.0, x) }
}

/// `e^-|x| I_1(x)`
fn i1e(x: f64) -> f64 {
    let size = x.abs();
    let value = if size < ASYMPTOTIC { libm::exp(-size) * i_series(1.0, size) * size / 2.0 } else { i_asymptotic(1.0, size) };
    libm::copysign(value, x)
}

/// `e^x y` where `y` may be tiny and `e^x` too large: in two steps.
fn scale_up(x: f64, y: f64) -> f64 {
    let half = libm::exp(x / 2.0);
    half * y * half
}

/// Modified Bessel function of the first kind, order 0.
fn i0(x: f64) -> f64 {
    if x.abs() < ASYMPTOTIC { i_series(0.0, x) } else { scale_up(x.abs(), i0e(x)) }
}

/// Modified Bessel function of the first kind, order 1.
fn i1(x: f64) -> f64 {
    if x.abs() < ASYMPTOTIC { i_series(1.0, x) * x / 2.0 } else { scale_up(x.abs(), i1e(x)) }
}

/// `e^x K_v(x)` for x not tiny, by the trapezoidal rule over t.
pub(crate) fn k_scaled_integral(order: f64, x: f64) -> f64 {
    let step = (0.15f64).min(0.6 / libm::sqrt(x));
    let (mut sum, mut t) = (0.5, step);
    loop {
        // cosh(t) - 1 without cancellation.
        let half = libm::sinh(t / 2.0);
        let term = libm::exp(-2.0 * x * half * half) * libm::cosh(order * t);
        sum += term;
        t += step;
        if term < sum * 1e-18 || t > 800.0 {
            return sum * step;
        }
    }
}

/// K_0 for small x, by its series.
fn k0_series(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut harmonic, mut sum, mut k) = (1.0, 0.0, 0.0, 1.0);
    while k < 30.0 {
        term *= quarter / (k * k);
        harmonic += 1.0 / k;
        sum += term * harmonic;
        k += 1.0;
    }
    sum - (libm::log(x / 2.0) + EULER) * i_series(0.0, x)
}

/// K_1 for small x, by its series.
fn k1_series(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    // The sum of (psi(k+1) + psi(k+2)) / (k! (k+1)!) quarter^k.
    let (mut term, mut psi, mut sum, mut k) = (1.0, -EULER, 0.0, 0.0);
    while k < 30.0 {
        let next = psi + 1.0 / (k + 1.0);
        sum += term * (psi + next);
        term *= quarter / ((k + 1.0) * (k + 2.0));
        psi = next;
        k += 1.0;
    }
    1.0 / x + libm::log(x / 2.0) * i_series(1.0, x) * x / 2.0 - x / 4.0 * sum
}

/// A function of K for positive x: infinite at 0, NaN below.
fn for_positive(x: f64, f: impl FnOnce(f64) -> f64) -> f64 {
    if x > 0.0 && x.is_finite() {
        f(x)
    } else if x == 0.0 {
        f64::INFINITY
    } else if x > 0.0 {
        0.0
    } else {
        f64::NAN
    }
}

/// Below this the series, above the integral.
const SMALL: f64 = 0.5;

fn k0(x: f64) -> f64 {
    for_positive(x, |x| if x < SMALL { k0_series(x) } else { libm::exp(-x) * k_scaled_integral(0.0, x) })
}

fn k1(x: f64) -> f64 {
    for_positive(x, |x| if x < SMALL { k1_series(x) } else { libm::exp(-x) * k_scaled_integral(1.0, x) })
}

fn k0e(x: f64) -> f64 {
    for_positive(x, |x| if x < SMALL { libm::exp(x) * k0_series(x) } else { k_scaled_integral(0.0, x) })
}

fn k1e(x: f64) -> f64 {
    for_positive(x, |x| if x < SMALL { libm::exp(x) * k1_series(x) } else { k_scaled_integral(1.0, x) })
}

unary_rounded! {
    "Modified Bessel function of the first kind, order 0." i0_f64 i0_f32 = i0;
    "e^-|x| times the modified Bessel function of the first kind, order 0." i0e_f64 i0e_f32 = i0e;
    "Modified Bessel function of the first kind, order 1." i1_f64 i1_f32 = i1;
    "e^-|x| times the modified Bessel function of the first kind, order 1." i1e_f64 i1e_f32 = i1e;
    "Bessel function of the first kind, order 0." j0_f64 j0_f32 = bessel_jy::j0;
    "Bessel function of the first kind, order 1." j1_f64 j1_f32 = bessel_jy::j1;
    "Bessel function of the second kind, order 0." y0_f64 y0_f32 = bessel_jy::y0;
    "Bessel function of the second kind, order 1." y1_f64 y1_f32 = bessel_jy::y1;
    "Modified Bessel function of the second kind, order 0." k0_f64 k0_f32 = k0;
    "Modified Bessel function of the second kind, order 1." k1_f64 k1_f32 = k1;
    "e^x times the modified Bessel function of the second kind, order 0." k0e_f64 k0e_f32 = k0e;
    "e^x times the modified Bessel function of the second kind, order 1." k1e_f64 k1e_f32 = k1e;
}
