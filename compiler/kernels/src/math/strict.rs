//! Functions for strict arithmetic: the exponential and `tanh` rounded as if computed exactly, but for about one value in a few
//! thousand. The others are rounded step by step as they stand in [`super`].
//!
//! Values that one binary32 cannot hold are unevaluated sums of two, a high part and a much smaller low one: T. J. Dekker, "A
//! floating-point technique for extending the available precision", Numerische Mathematik 18 (1971). A fused multiply-add gives the
//! error of a product.

use super::{LN2_HIGH, LN2_LOW, Lowering, ROUNDER};
use crate::isa::{BinOp, UnOp};
use crate::prog::Val;

/// A sum of two values, the second within a unit in the last place of the first.
#[derive(Clone, Copy)]
struct Pair {
    high: Val,
    low: Val,
}

/// `(e^r - 1 - r - r^2 / 2 - r^3 / 6) / r^4` on `|r| <= ln 2 / 2`, so that `e^r - 1` has a relative error of 6e-11.
const EXP_FOURTH: [f32; 5] = [0.041_666_668, 0.008_333_310_5, 0.001_388_883_1, 0.000_198_930_31, 2.487_362_3e-5];
/// `ln 2` less the two parts that exponents are reduced by.
const LN2_REST: f32 = (std::f64::consts::LN_2 - LN2_HIGH as f64 - LN2_LOW as f64) as f32;
/// `1/6`, and what its rounding left.
const SIXTH: f32 = 1.0 / 6.0;
const SIXTH_REST: f32 = (1.0 / 6.0 - SIXTH as f64) as f32;

impl Lowering {
    fn sub(&mut self, a: Val, b: Val) -> Val {
        self.bin(BinOp::Sub, a, b)
    }

    /// `a + b` for `|a| >= |b|`, exactly.
    fn sum(&mut self, a: Val, b: Val) -> Pair {
        let high = self.add(a, b);
        let taken = self.sub(high, a);
        Pair { high, low: self.sub(b, taken) }
    }

    /// `a + b` for `|a| >= |b|`, where what is lost is far below the low parts.
    fn sum_of_pairs(&mut self, a: Pair, b: Pair) -> Pair {
        let Pair { high, low } = self.sum(a.high, b.high);
        let rest = self.add(a.low, b.low);
        Pair { high, low: self.add(low, rest) }
    }

    /// `a * b`, where what is lost is far below the low parts.
    fn product(&mut self, a: Pair, b: Pair) -> Pair {
        let high = self.mul(a.high, b.high);
        let excess = self.fnma(a.high, b.high, high);
        let cross = self.mul(a.low, b.high);
        let cross = self.fma(a.high, b.low, cross);
        Pair { high, low: self.sub(cross, excess) }
    }

    /// Splits `x = n ln 2 + r` as `reduce_exponent` does, `r` in two parts. Gives `r`, `n`, and the bits of `2^(n - 1)` for `-126 <= n`.
    fn reduce_exponent_exactly(&mut self, x: Val) -> (Pair, Val, Val) {
        let (log2e, rounder) = (self.k(std::f32::consts::LOG2_E), self.k(ROUNDER + 126.0));
        let biased = self.fma(x, log2e, rounder);
        let n = self.sub(biased, rounder);
        let (high, low, rest) = (self.k(-LN2_HIGH), self.k(-LN2_LOW), self.k(-LN2_REST));
        // Exact: the product has few enough bits, and cancels.
        let r = self.fma(n, high, x);
        let correction = self.mul(n, low);
        let excess = self.fnma(n, low, correction);
        let correction_rest = self.mul(n, rest);
        let correction_rest = self.sub(correction_rest, excess);
        let Pair { high, low } = self.sum_in_any_order(r, correction);
        let low = self.add(low, correction_rest);
        (Pair { high, low }, n, self.un(UnOp::Shl(23), biased))
    }

    /// `a + b`, exactly, whichever is larger.
    fn sum_in_any_order(&mut self, a: Val, b: Val) -> Pair {
        let high = self.add(a, b);
        let part = self.sub(high, a);
        let other = self.sub(high, part);
        let (da, db) = (self.sub(a, other), self.sub(b, part));
        Pair { high, low: self.add(da, db) }
    }

    /// `e^r - 1` for `|r| <= ln 2 / 2`: the first three powers in two parts, so that what is rounded is far below the result.
    fn exp_minus_one(&mut self, r: Pair) -> Pair {
        let square = self.product(r, r);
        let cube = self.product(square, r);
        let sixth = Pair { high: self.k(SIXTH), low: self.k(SIXTH_REST) };
        let third = self.product(cube, sixth);
        let tail = self.polynomial(&EXP_FOURTH, r.high);
        let fourth = self.mul(square.high, square.high);
        let tail = self.mul(fourth, tail);
        let with_tail = self.sum(third.high, tail);
        let low = self.add(with_tail.low, third.low);
        let upper = Pair { high: with_tail.high, low };
        let half = self.k(0.5);
        let second = Pair { high: self.mul(square.high, half), low: self.mul(square.low, half) };
        let upper = self.sum_of_pairs(second, upper);
        self.sum_of_pairs(r, upper)
    }

    /// As the fast form, with `e^r` in two parts up to its last sum.
    pub(super) fn strict_exp(&mut self, x: Val) -> Val {
        let x = self.clamp(-104.0, x, 89.0);
        let (r, n, _) = self.reduce_exponent_exactly(x);
        let m = self.exp_minus_one(r);
        let one = self.k(1.0);
        let sum = self.sum(one, m.high);
        let low = self.add(sum.low, m.low);
        let value = self.add(sum.high, low);
        // In two steps, as 2^n itself may be too large or too small.
        let n = self.un(UnOp::ToInt, n);
        let first = self.un(UnOp::Sar(1), n);
        let second = self.bin(BinOp::SubInt, n, first);
        let (first, second) = (self.power_of_two(first), self.power_of_two(second));
        let value = self.mul(value, first);
        self.mul(value, second)
    }

    /// `2^n` for an integer, `-126 <= n <= 127`.
    fn power_of_two(&mut self, n: Val) -> Val {
        let bias = self.bits(127);
        let exponent = self.bin(BinOp::AddInt, n, bias);
        self.un(UnOp::Shl(23), exponent)
    }

    /// `-m / (m + 2)` with `m = e^(-2|x|) - 1` and the sign of `x`, as the fast form, in pairs.
    pub(super) fn strict_tanh(&mut self, x: Val) -> Val {
        let (sign_bit, minus_two) = (self.bits(0x8000_0000), self.k(-2.0));
        let a = self.un(UnOp::Abs, x);
        let y = self.mul(a, minus_two);
        let y = self.max_with(-40.0, y);
        let (r, _, scale) = self.reduce_exponent_exactly(y);
        let em1 = self.exp_minus_one(r);
        let (minus_half, one) = (self.k(-0.5), self.k(1.0));
        // m is half of e^y - 1 here, so tanh = -m / (m + 1).
        let shift = self.sum(minus_half, scale);
        let scaled = Pair { high: self.mul(em1.high, scale), low: self.mul(em1.low, scale) };
        let m = self.sum_in_any_order(shift.high, scaled.high);
        let rest = self.add(shift.low, scaled.low);
        let m = Pair { high: m.high, low: self.add(m.low, rest) };
        let denominator = self.sum(one, m.high);
        let denominator = Pair { high: denominator.high, low: self.add(denominator.low, m.low) };
        let quotient = self.bin(BinOp::Div, m.high, denominator.high);
        let rest = self.fnma(quotient, denominator.high, m.high);
        let rest = self.add(rest, m.low);
        let rest = self.fnma(quotient, denominator.low, rest);
        let correction = self.bin(BinOp::Div, rest, denominator.high);
        let value = self.add(quotient, correction);
        let magnitude = self.un(UnOp::Abs, value);
        let sign = self.bin(BinOp::And, x, sign_bit);
        self.bin(BinOp::Or, magnitude, sign)
    }
}
