//! The gamma function and its relatives.

use core::f64::consts::PI;

use crate::math::{binary_rounded, is_odd, polynomial, unary_rounded};

/// Logarithm of |gamma(x)|; infinite at the poles.
fn lgamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// Derivative of ln gamma: a signed infinity at 0, NaN at the other poles.
fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return libm::copysign(f64::INFINITY, -x);
    }
    if x < 0.0 {
        if x == libm::trunc(x) {
            return f64::NAN;
        }
        // The fractional part keeps the argument of the tangent exact.
        let fraction = x - libm::trunc(x);
        return digamma(1.0 - x) - PI / libm::tan(PI * fraction);
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    const B: [f64; 7] = [1.0 / 12.0, -691.0 / 32760.0, 1.0 / 132.0, -1.0 / 240.0, 1.0 / 252.0, -1.0 / 120.0, 1.0 / 12.0];
    let z = 1.0 / (x * x);
    let tail = if x < 1e17 { z * polynomial(z, &B) } else { 0.0 };
    sum + libm::log(x) - 0.5 / x - tail
}

/// Derivative of digamma; at the poles the large finite number that the rounded sine gives, as in PyTorch.
fn trigamma(x: f64) -> f64 {
    if x < 0.5 {
        let sine = libm::sin(PI * x);
        return PI * PI / (sine * sine) - trigamma(1.0 - x);
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    const B: [f64; 6] = [-691.0 / 2730.0, 5.0 / 66.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 1.0 / 6.0];
    let z = 1.0 / (x * x);
    sum + 1.0 / x + z / 2.0 + z / x * polynomial(z, &B)
}

/// The n-th derivative of digamma; NaN for negative n.
fn polygamma(n: f64, x: f64) -> f64 {
    if n == 0.0 {
        return digamma(x);
    }
    if n == 1.0 {
        return trigamma(x);
    }
    if n < 0.0 || n.is_nan() {
        return f64::NAN;
    }
    let sign = if is_odd(n) { 1.0 } else { -1.0 };
    sign * libm::exp(lgamma(n + 1.0)) * zeta(n + 1.0, x)
}

/// Hurwitz's zeta function: the sum of (q + k)^-x, by the Euler-Maclaurin formula.
#[expect(clippy::excessive_precision, reason = "the leading digits of exact rationals")]
fn zeta(x: f64, q: f64) -> f64 {
    // (2k)! / B(2k)
    const TERMS: [f64; 12] = [
        12.0,
        -720.0,
        30240.0,
        -1209600.0,
        47900160.0,
        -1.892_437_580_318_379_160_6e9,
        7.47242496e10,
        -2.950_130_727_918_164_224e12,
        1.164_678_281_435_006_724_9e14,
        -4.597_978_722_407_472_610_5e15,
        1.815_210_540_194_354_677_3e17,
        -7.166_165_256_175_667_011_3e18,
    ];
    if x == 1.0 {
        return f64::INFINITY;
    }
    if x < 1.0 || x.is_nan() || q.is_nan() {
        return f64::NAN;
    }
    if q <= 0.0 && q == libm::floor(q) {
        return f64::INFINITY;
    }
    if q <= 0.0 && x != libm::floor(x) {
        return f64::NAN;
    }
    let (mut a, mut sum) = (q, libm::pow(q, -x));
    // A negative start of large magnitude would take that many steps to become positive: it is left where it is.
    let mut steps = 0;
    while steps < 9 || (a <= 9.0 && steps < 1_000_000) {
        steps += 1;
        a += 1.0;
        let term = libm::pow(a, -x);
        sum += term;
        if (term / sum).abs() < f64::EPSILON / 2.0 {
            return sum;
        }
    }
    let last = libm::pow(a, -x);
    sum += last * a / (x - 1.0) - 0.5 * last;
    let (mut factor, mut power, mut k) = (1.0, last, 0.0);
    for term in TERMS {
        factor *= x + k;
        power /= a;
        let part = factor * power / term;
        sum += part;
        if (part / sum).abs() < f64::EPSILON / 2.0 {
            break;
        }
        k += 1.0;
        factor *= x + k;
        power /= a;
        k += 1.0;
    }
    sum
}

/// Steps of the series and of the continued fraction; near x = a they need a small multiple of sqrt(a).
const MAX_STEPS: u32 = 20_000;

/// `x^a e^-x / gamma(a)`
fn prefactor(a: f64, x: f64) -> f64 {
    libm::exp(a * libm::log(x) - x - lgamma(a))
}

/// The lower function by its power series.
fn lower_series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0 / a, 1.0 / a);
    for k in 1..MAX_STEPS {
        term *= x / (a + f64::from(k));
        sum += term;
        if term < sum * f64::EPSILON / 4.0 {
            break;
        }
    }
    sum * prefactor(a, x)
}

/// The upper function by its continued fraction (Lentz's method), for x above a.
fn upper_fraction(a: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..MAX_STEPS {
        let i = f64::from(i);
        let numerator = -i * (i - a);
        b += 2.0;
        let away = |x: f64| if x.abs() < TINY { TINY } else { x };
        d = 1.0 / away(numerator * d + b);
        c = away(b + numerator / c);
        let change = d * c;
        h *= change;
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    prefactor(a, x) * h
}

/// For large a near x: Temme's uniform expansion would do; the two forms above with enough steps do as well to 1e-9.
fn lower_and_upper(a: f64, x: f64) -> (f64, f64) {
    if x <= 1.0 || x <= a {
        let lower = lower_series(a, x);
        (lower, 1.0 - lower)
    } else {
        let upper = upper_fraction(a, x);
        (1.0 - upper, upper)
    }
}

/// The values at the borders of the domain, as (lower, upper).
fn border(a: f64, x: f64) -> Option<(f64, f64)> {
    const NAN: (f64, f64) = (f64::NAN, f64::NAN);
    if a.is_nan() || x.is_nan() || x < 0.0 || a < 0.0 {
        return Some(NAN);
    }
    if a == 0.0 {
        return Some(if x > 0.0 { (1.0, 0.0) } else { NAN });
    }
    if x == 0.0 {
        return Some((0.0, 1.0));
    }
    if a.is_infinite() {
        return Some(if x.is_infinite() { NAN } else { (0.0, 1.0) });
    }
    x.is_infinite().then_some((1.0, 0.0))
}

/// The regularised lower incomplete gamma function.
fn igamma(a: f64, x: f64) -> f64 {
    border(a, x).unwrap_or_else(|| lower_and_upper(a, x)).0
}

/// The regularised upper incomplete gamma function.
fn igammac(a: f64, x: f64) -> f64 {
    border(a, x).unwrap_or_else(|| lower_and_upper(a, x)).1
}

unary_rounded! {
    "Logarithm of the absolute value of the gamma function." lgamma_f64 lgamma_f32 = lgamma;
    "The gamma function." tgamma_f64 tgamma_f32 = libm::tgamma;
    "Derivative of ln gamma." digamma_f64 digamma_f32 = digamma;
    "Second derivative of ln gamma." trigamma_f64 trigamma_f32 = trigamma;
}

/// Functions of two arguments.
pub(crate) mod two {
    use super::*;

    binary_rounded! {
        "polygamma(n, x): the n-th derivative (a whole number as a float) of digamma." polygamma_f64 polygamma_f32 = polygamma;
        "Hurwitz's zeta function zeta(x, q)." zeta_f64 zeta_f32 = zeta;
        "Regularised lower incomplete gamma function igamma(a, x)." igamma_f64 igamma_f32 = igamma;
        "Regularised upper incomplete gamma function igammac(a, x)." igammac_f64 igammac_f32 = igammac;
    }
}
