//! Decimal text of floats, as C and C++ streams write it (`%g`, `%f` and `%e` with a precision), and the shortest one.
//!
//! The digits are exact: a float is an integer times a power of two, and so an integer of at most 767 decimal digits
//! times a power of ten. Rounding to a precision is to nearest, ties to even, on those exact digits, which is what glibc
//! does. This costs one small big-integer loop and no tables.

use core::cmp::Ordering;

use crate::text::Text;

/// Base of the limbs.
const BASE: u64 = 1_000_000_000;
/// 9 * 90 digits hold the longest expansion.
const LIMBS: usize = 90;
const DIGITS: usize = 9 * LIMBS;

/// The digits of a finite, non-negative float: value = 0.d1 d2 d3 ... * 10^point.
struct Digits {
    digits: [u8; DIGITS],
    len: usize,
    point: i32,
}

/// Multiplies the little-endian limbs by `factor`, below 2^30.
fn multiply(limbs: &mut [u32; LIMBS], used: &mut usize, factor: u64) {
    let mut carry = 0u64;
    for limb in limbs[..*used].iter_mut() {
        let product = u64::from(*limb) * factor + carry;
        *limb = (product % BASE) as u32;
        carry = product / BASE;
    }
    if carry > 0 && *used < LIMBS {
        limbs[*used] = carry as u32;
        *used += 1;
    }
}

fn multiply_power(limbs: &mut [u32; LIMBS], used: &mut usize, base: u64, step: u32, mut exponent: u32) {
    while exponent > 0 {
        let now = exponent.min(step);
        multiply(limbs, used, base.pow(now));
        exponent -= now;
    }
}

impl Digits {
    /// The exact digits of `x`, without leading zeros; no digit for zero.
    fn of(x: f64) -> Digits {
        let (mantissa, exponent) = split(x);
        dyadic(mantissa, exponent)
    }

    /// Order of two values.
    fn compare(&self, other: &Digits) -> Ordering {
        let mut order = self.point.cmp(&other.point);
        for place in 0..self.len.max(other.len) as i64 {
            order = order.then(self.at(place).cmp(&other.at(place)));
        }
        order
    }

    /// Appends nine digits, leaving out zeros before the first digit.
    fn push_limb(&mut self, limb: u32) {
        let mut divisor = BASE as u32 / 10;
        while divisor > 0 {
            let digit = (limb / divisor % 10) as u8;
            if (digit != 0 || self.len > 0) && self.len < DIGITS {
                self.digits[self.len] = digit;
                self.len += 1;
            }
            divisor /= 10;
        }
    }

    /// The digit at a place, 0 outside.
    fn at(&self, place: i64) -> u8 {
        if place < 0 || place >= self.len as i64 { 0 } else { self.digits[place as usize] }
    }

    /// Rounds to `count` digits (which may be negative or more than there are).
    fn round(&mut self, count: i64) {
        if count >= self.len as i64 {
            return;
        }
        if count < 0 {
            self.len = 0;
            return;
        }
        let keep = count as usize;
        let half = self.digits[keep].cmp(&5);
        let beyond = self.digits[keep + 1..self.len].iter().any(|&digit| digit != 0);
        let odd = keep > 0 && self.digits[keep - 1] % 2 == 1;
        let up = half.is_gt() || half.is_eq() && (beyond || odd);
        self.len = keep;
        if up {
            self.increment();
        }
    }

    /// Adds one to the last digit.
    fn increment(&mut self) {
        for i in (0..self.len).rev() {
            if self.digits[i] < 9 {
                self.digits[i] += 1;
                return;
            }
            self.digits[i] = 0;
        }
        self.digits[0] = 1;
        self.len = self.len.max(1);
        self.point += 1;
    }
}

/// Writes sign and name of a number that is not finite, or its sign; true when that is all.
fn push_special(text: &mut Text, x: f64) -> bool {
    if x.is_sign_negative() {
        text.push(b'-');
    }
    if x.is_nan() {
        text.push_str("nan");
    } else if x.is_infinite() {
        text.push_str("inf");
    }
    !x.is_finite()
}

/// `%.{decimals}f`.
pub(crate) fn push_fixed(text: &mut Text, x: f64, decimals: i64) {
    if push_special(text, x) {
        return;
    }
    let mut digits = Digits::of(x.abs());
    digits.round(i64::from(digits.point) + decimals);
    push_places(text, &digits, decimals);
}

/// The digits in positional notation.
fn push_places(text: &mut Text, digits: &Digits, decimals: i64) {
    let point = if digits.len == 0 { 0 } else { i64::from(digits.point) };
    for place in 0..point.max(0) {
        text.push(b'0' + digits.at(place));
    }
    if point <= 0 {
        text.push(b'0');
    }
    if decimals > 0 {
        text.push(b'.');
    }
    for place in point..point + decimals {
        text.push(b'0' + digits.at(place));
    }
}

/// `%.{decimals}e`.
pub(crate) fn push_scientific(text: &mut Text, x: f64, decimals: i64) {
    if push_special(text, x) {
        return;
    }
    let mut digits = Digits::of(x.abs());
    digits.round(decimals + 1);
    push_exponential(text, &digits, decimals);
}

fn push_exponential(text: &mut Text, digits: &Digits, decimals: i64) {
    text.push(b'0' + digits.at(0));
    if decimals > 0 {
        text.push(b'.');
    }
    for place in 1..=decimals {
        text.push(b'0' + digits.at(place));
    }
    let exponent = if digits.len == 0 { 0 } else { i64::from(digits.point) - 1 };
    text.push_str(if exponent < 0 { "e-" } else { "e+" });
    if exponent.abs() < 10 {
        text.push(b'0');
    }
    text.push_unsigned(exponent.unsigned_abs(), 10);
}

/// `%.{precision}g`: what a C++ stream writes by default.
pub(crate) fn push_general(text: &mut Text, x: f64, precision: i64) {
    if push_special(text, x) {
        return;
    }
    let mut digits = Digits::of(x.abs());
    digits.round(precision);
    push_digits(text, &digits, precision);
}

/// A float as TorchScript prints one: `3.` for a whole number that fits an i64, else 17 significant digits.
pub(crate) fn push_float(text: &mut Text, x: f64) {
    let whole = x as i64;
    if (x.is_normal() || x == 0.0) && whole as f64 == x && whole != i64::MAX {
        text.push_int(whole);
        text.push(b'.');
    } else {
        push_general(text, x, 17);
    }
}

/// The exact digits of `mantissa * 2^exponent`.
fn dyadic(mantissa: u64, exponent: i32) -> Digits {
    let mut limbs = [0u32; LIMBS];
    limbs[0] = (mantissa % BASE) as u32;
    limbs[1] = (mantissa / BASE) as u32;
    let mut used = 2;
    if exponent >= 0 {
        multiply_power(&mut limbs, &mut used, 2, 29, exponent as u32);
    } else {
        multiply_power(&mut limbs, &mut used, 5, 12, (-exponent) as u32);
    }
    let mut result = Digits { digits: [0; DIGITS], len: 0, point: 0 };
    for limb in limbs[..used].iter().rev() {
        result.push_limb(*limb);
    }
    result.point = result.len as i32 + exponent.min(0);
    result
}

/// Mantissa and exponent of a finite float.
fn split(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = ((bits >> 52) & 0x7ff) as i32;
    if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) }
}

/// The fewest digits that read back as `x` (positive and finite), and of those the nearest to it.
fn shortest(x: f64) -> Digits {
    let (mantissa, exponent) = split(x);
    // The halves of the gaps to the neighbours; below a power of two the gap is half as wide.
    let narrow = mantissa == 1 << 52 && exponent > -1074;
    let low = if narrow { dyadic(4 * mantissa - 1, exponent - 2) } else { dyadic(2 * mantissa - 1, exponent - 1) };
    let high = dyadic(2 * mantissa + 1, exponent - 1);
    let closed = mantissa % 2 == 0;
    let inside = |digits: &Digits| match (low.compare(digits), digits.compare(&high)) {
        (Ordering::Less, Ordering::Less) => true,
        (below, above) => closed && below.is_le() && above.is_le(),
    };
    for count in 1..17 {
        let mut nearest = dyadic(mantissa, exponent);
        nearest.round(count);
        if inside(&nearest) {
            return nearest;
        }
        // Beside a power of two the nearest one may lie below the narrow gap, and the next one above inside.
        let mut above = dyadic(mantissa, exponent);
        above.len = above.len.min(count as usize);
        above.increment();
        if narrow && inside(&above) {
            return above;
        }
    }
    let mut all = dyadic(mantissa, exponent);
    all.round(17);
    all
}

/// The shortest text that reads back as `x`, positional for exponents from -4 to 15: how PyTorch prints a tensor of rank 0.
pub(crate) fn push_shortest(text: &mut Text, x: f64) {
    if push_special(text, x) {
        return;
    }
    if x == 0.0 {
        return text.push(b'0');
    }
    push_digits(text, &shortest(x.abs()), 16);
}

/// Digits without trailing zeros, positional for exponents from -4 to below `limit`, else exponential.
fn push_digits(text: &mut Text, digits: &Digits, limit: i64) {
    let exponent = if digits.len == 0 { 0 } else { i64::from(digits.point) - 1 };
    let mut significant = digits.len as i64;
    while significant > 1 && digits.at(significant - 1) == 0 {
        significant -= 1;
    }
    if exponent >= -4 && exponent < limit {
        push_places(text, digits, (significant - 1 - exponent).max(0));
    } else {
        push_exponential(text, digits, significant - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    fn text(write: impl FnOnce(&mut Text)) -> String {
        let t = TestContext::new();
        let mut text = Text::new(t.ctx());
        write(&mut text);
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    /// The standard library's exact conversions as the oracle.
    #[test]
    fn fixed_and_scientific_agree_with_exact_conversions() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        for round in 0..4000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let x = match round % 4 {
                0 => f64::from_bits(state),
                1 => (state >> 40) as f64 / 1024.0,
                2 => (state >> 11) as f64 * 1e-16,
                _ => ((state >> 50) as f64) * 0.125,
            };
            if !x.is_finite() {
                continue;
            }
            assert_eq!(text(|t| push_fixed(t, x, 4)), format!("{x:.4}"));
            let (mantissa, exponent) =
                format!("{x:.16e}").split_once('e').map(|(m, e)| (m.to_string(), e.parse::<i32>().unwrap())).unwrap();
            let sign = if exponent < 0 { '-' } else { '+' };
            let expected = format!("{mantissa}e{sign}{:02}", exponent.abs());
            assert_eq!(text(|t| push_scientific(t, x, 16)), expected);
        }
    }

    /// Recorded from C++ streams through PyTorch's `print`.
    #[test]
    fn floats_print_as_pytorch_prints_them() {
        let cases: [(f64, &str); 12] = [
            (1.5, "1.5"),
            (1e10, "10000000000."),
            (1e20, "1e+20"),
            (0.1, "0.10000000000000001"),
            (-0.0, "0."),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
            (1e300, "1.0000000000000001e+300"),
            (123456789.125, "123456789.125"),
            (1e-7, "9.9999999999999995e-08"),
            (1e18, "1000000000000000000."),
            (9.3e18, "9.3e+18"),
        ];
        for (x, expected) in cases {
            assert_eq!(text(|t| push_float(t, x)), expected);
        }
    }

    #[test]
    fn shortest_reads_back_and_is_no_longer_than_needed() {
        let mut state = 88172645463325252u64;
        let check = |x: f64| {
            let got = text(|t| push_shortest(t, x));
            assert_eq!(got.parse::<f64>().unwrap(), x, "{got}");
            let digits = |text: &str| text.split('e').next().unwrap().replace(['.', '-'], "").trim_matches('0').len();
            assert_eq!(digits(&got), digits(&format!("{x:e}")), "{got}");
        };
        for exponent in -1074..1024 {
            check(2f64.powi(exponent));
        }
        for _ in 0..2000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let x = f64::from_bits(state);
            if x.is_finite() {
                check(x);
                check(f64::from(x as f32));
            }
        }
    }

    #[test]
    fn general_strips_zeros_and_switches_notation() {
        for (x, expected) in [
            (100000.0, "100000"),
            (1e6, "1e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (2.5, "2.5"),
            (999999.5, "1e+06"),
            (0.0, "0"),
        ] {
            assert_eq!(text(|t| push_general(t, x, 6)), expected);
        }
    }
}
