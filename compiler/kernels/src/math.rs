//! Expressions to machine-level operations: every function of [`VExpr`] as a sequence of the vector layer's operations.
//!
//! Polynomials are minimax fits (relative error) made for kiln over the stated intervals; error bounds are given with
//! [`crate::vexpr::Unary`] and tested. Selections on data are avoided where arithmetic gives the edge cases by itself.

mod strict;

use crate::isa::{Arithmetic, BinOp, CmpOp, UnOp};
use crate::prog::{Inst, Prog, Val};
use crate::vexpr::{Binary, Node, NodeId, Unary, VExpr};

/// Lowers an expression for an ISA with this arithmetic.
pub fn lower(expr: &VExpr, arithmetic: Arithmetic) -> Prog {
    let mut b = Lowering { prog: Prog::default(), arithmetic };
    let mut values: Vec<Val> = Vec::with_capacity(expr.nodes().len());
    for node in expr.nodes() {
        let at = |id: NodeId| values[id.0 as usize];
        let value = match *node {
            Node::Leaf(leaf) => b.prog.push(Inst::Leaf(leaf)),
            Node::Const(bits) => b.bits(bits),
            Node::Unary(op, a) => b.unary(op, at(a)),
            Node::Binary(Binary::Div, x, y) if !arithmetic.strict && exponent_beside_one(expr, y).is_some() => {
                let exponent = exponent_beside_one(expr, y).map(at);
                let minus = exponent.map(|e| b.negated(e));
                minus.map_or(at(x), |minus| b.logistic(at(x), minus))
            }
            Node::Binary(op, x, y) => b.binary(op, at(x), at(y)),
            Node::Fma(x, y, z) => b.fma(at(x), at(y), at(z)),
            Node::Cmp(op, x, y) => b.cmp(op, at(x), at(y)),
            Node::Select(m, x, y) => b.select(at(m), at(x), at(y)),
        };
        values.push(value);
    }
    b.prog.outs = expr.roots().iter().map(|r| values[r.0 as usize]).collect();
    b.prog.drop_dead();
    b.prog
}

/// `x` of `e^x + 1`.
fn exponent_beside_one(expr: &VExpr, sum: NodeId) -> Option<NodeId> {
    let node = |id: NodeId| expr.nodes()[id.0 as usize];
    let is_one = |id| node(id) == Node::Const(1f32.to_bits());
    let exponent = |id| match node(id) {
        Node::Unary(Unary::Exp, x) => Some(x),
        _ => None,
    };
    match node(sum) {
        Node::Binary(Binary::Add, a, b) if is_one(a) => exponent(b),
        Node::Binary(Binary::Add, a, b) if is_one(b) => exponent(a),
        _ => None,
    }
}

/// `(e^r - 1 - r) / r^2` on `|r| <= ln 2 / 2`, relative error of the whole exponential 3e-9.
const EXP_TAIL: [f32; 5] = [0.499_999_94, 0.166_665_2, 0.041_668_393, 0.008_368_781, 0.001_381_446_5];
/// `e^r` on the same, with a relative error of 1.1e-7.
const LOGISTIC: [f32; 6] = [1.0, 1.0, 0.499_992_3, 0.166_671_16, 0.041_890_33, 0.008_312_501];
/// `ln 2` in two parts; the first has trailing zeros, so that a multiple of it by up to 2^9 is exact.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;
/// Adding this to `|x| < 2^22` leaves the nearest integer in the low bits of the sum.
const ROUNDER: f32 = 12_582_912.0;
/// `(ln(1 + f) - f + f^2 / 2) / f^3` on `sqrt(1/2) - 1 <= f <= sqrt(2) - 1`, relative error of the logarithm 6e-9.
const LOG_TAIL: [f32; 8] =
    [0.333_333_3, -0.250_008_23, 0.200_012_27, -0.166_233_57, 0.142_017_62, -0.131_601_95, 0.127_615_5, -0.076_344_3];
/// `erf(x) / x = P(x^2) / Q(x^2)` on `|x| <= 3.95`, relative error 2.1e-8.
const ERF_P: [f32; 6] =
    [std::f32::consts::FRAC_2_SQRT_PI, 0.191_547_87, 0.052_875_14, 0.003_808_063_2, 0.000_284_686_6, 2.025_939e-6];
const ERF_Q: [f32; 6] = [1.0, 0.503_087_6, 0.114_558_63, 0.015_054_889, 0.001_170_704_1, 3.783_206_6e-5];

struct Lowering {
    prog: Prog,
    arithmetic: Arithmetic,
}

impl Lowering {
    fn bits(&mut self, bits: u32) -> Val {
        self.prog.push(Inst::Const(bits))
    }
    fn k(&mut self, value: f32) -> Val {
        self.bits(value.to_bits())
    }
    fn un(&mut self, op: UnOp, a: Val) -> Val {
        self.prog.push(Inst::Un(op, a))
    }
    fn bin(&mut self, op: BinOp, a: Val, b: Val) -> Val {
        self.prog.push(Inst::Bin(op, a, b))
    }
    fn add(&mut self, a: Val, b: Val) -> Val {
        self.bin(BinOp::Add, a, b)
    }
    fn mul(&mut self, a: Val, b: Val) -> Val {
        self.bin(BinOp::Mul, a, b)
    }
    fn fma(&mut self, a: Val, b: Val, c: Val) -> Val {
        self.prog.push(Inst::Fma { negate: false, a, b, c })
    }
    /// `c - a * b`
    fn fnma(&mut self, a: Val, b: Val, c: Val) -> Val {
        self.prog.push(Inst::Fma { negate: true, a, b, c })
    }
    fn cmp(&mut self, op: CmpOp, a: Val, b: Val) -> Val {
        self.prog.push(Inst::Cmp(op, a, b))
    }
    fn select(&mut self, m: Val, a: Val, b: Val) -> Val {
        self.prog.push(Inst::Select(m, a, b))
    }

    /// Polynomial in `x`, lowest coefficient first.
    fn polynomial(&mut self, coefficients: &[f32], x: Val) -> Val {
        let mut highest_first = coefficients.iter().rev();
        let mut sum = self.k(*highest_first.next().unwrap_or(&0.0));
        for &c in highest_first {
            let c = self.k(c);
            sum = self.fma(sum, x, c);
        }
        sum
    }

    fn binary(&mut self, op: Binary, a: Val, b: Val) -> Val {
        match op {
            Binary::Add => self.add(a, b),
            Binary::Sub => self.bin(BinOp::Sub, a, b),
            Binary::Mul => self.mul(a, b),
            Binary::Div => self.bin(BinOp::Div, a, b),
            Binary::And => self.bin(BinOp::And, a, b),
            Binary::Or => self.bin(BinOp::Or, a, b),
            Binary::Max => self.extremum(BinOp::Max, a, b),
            Binary::Min => self.extremum(BinOp::Min, a, b),
        }
    }

    /// Maximum or minimum that gives NaN if either operand is NaN.
    fn extremum(&mut self, op: BinOp, a: Val, b: Val) -> Val {
        if self.arithmetic.nan_minmax || self.is_number(a) {
            self.bin(op, a, b)
        } else if self.is_number(b) {
            self.bin(op, b, a)
        } else {
            // Where `a` is NaN the "unordered" mask is all ones, itself a NaN.
            let lost = self.cmp(CmpOp::Unord, a, a);
            let best = self.bin(op, a, b);
            self.bin(BinOp::Or, best, lost)
        }
    }

    /// Whether `v` is a constant other than NaN.
    fn is_number(&self, v: Val) -> bool {
        matches!(self.prog.inst(v), Inst::Const(bits) if !f32::from_bits(*bits).is_nan())
    }

    fn unary(&mut self, op: Unary, x: Val) -> Val {
        match op {
            Unary::Neg => self.un(UnOp::Neg, x),
            Unary::Abs => self.un(UnOp::Abs, x),
            Unary::Sqrt => self.un(UnOp::Sqrt, x),
            Unary::Floor => self.un(UnOp::Floor, x),
            Unary::Ceil => self.un(UnOp::Ceil, x),
            Unary::Round => self.un(UnOp::Round, x),
            Unary::Trunc => self.un(UnOp::Trunc, x),
            Unary::Not => self.un(UnOp::Not, x),
            Unary::Rsqrt => {
                let root = self.un(UnOp::Sqrt, x);
                self.recip(root)
            }
            Unary::Recip => self.recip(x),
            Unary::Square => self.mul(x, x),
            Unary::Exp => self.exp(x),
            Unary::Expm1 => self.expm1(x),
            Unary::Log => self.log(x),
            Unary::Log1p => self.log1p(x),
            Unary::Tanh if self.arithmetic.strict => self.strict_tanh(x),
            Unary::Tanh => self.tanh(x),
            Unary::Sigmoid => {
                let one = self.k(1.0);
                self.logistic(one, x)
            }
            Unary::Erf => self.erf(x),
            Unary::Relu => self.max_with(0.0, x),
            Unary::Relu6 => self.clamp(0.0, x, 6.0),
            Unary::Silu => self.logistic(x, x),
            Unary::Gelu => self.gelu(x),
            Unary::GeluTanh => self.gelu_tanh(x),
            Unary::HardSigmoid => self.hard_sigmoid(x),
            Unary::HardSwish => {
                let gate = self.hard_sigmoid(x);
                self.mul(x, gate)
            }
            Unary::Softplus => self.softplus(x),
        }
    }

    fn recip(&mut self, x: Val) -> Val {
        let one = self.k(1.0);
        self.bin(BinOp::Div, one, x)
    }

    /// `max(low, x)`; NaN stays.
    fn max_with(&mut self, low: f32, x: Val) -> Val {
        let low = self.k(low);
        self.bin(BinOp::Max, low, x)
    }

    /// `min(high, x)`; NaN stays.
    fn min_with(&mut self, high: f32, x: Val) -> Val {
        let high = self.k(high);
        self.bin(BinOp::Min, high, x)
    }

    fn clamp(&mut self, low: f32, x: Val, high: f32) -> Val {
        let x = self.max_with(low, x);
        self.min_with(high, x)
    }

    /// Splits `x = n ln 2 + r`, `|r| <= ln 2 / 2`. Gives `r` and the bits of `2^(n - 1)`, for `-126 <= n <= 128`.
    fn reduce_exponent(&mut self, x: Val) -> (Val, Val) {
        let (log2e, rounder) = (self.k(std::f32::consts::LOG2_E), self.k(ROUNDER + 126.0));
        let biased = self.fma(x, log2e, rounder);
        let n = self.bin(BinOp::Sub, biased, rounder);
        let high = self.k(LN2_HIGH);
        let low = self.k(LN2_LOW);
        let r = self.fnma(n, high, x);
        let r = self.fnma(n, low, r);
        (r, self.un(UnOp::Shl(23), biased))
    }

    /// `e^r - 1` for `|r| <= ln 2 / 2`.
    fn exp_small_minus_one(&mut self, r: Val) -> Val {
        let tail = self.polynomial(&EXP_TAIL, r);
        let tail = self.mul(tail, r);
        self.fma(tail, r, r)
    }

    /// The clamp makes 2^(n-1) representable: below it is 0, above it twice the product overflows to infinity.
    fn exp(&mut self, x: Val) -> Val {
        if self.arithmetic.strict {
            return self.strict_exp(x);
        }
        let x = self.clamp(-87.6, x, 89.0);
        let (r, scale) = self.reduce_exponent(x);
        let tail = self.polynomial(&EXP_TAIL, r);
        let one = self.k(1.0);
        let p = self.fma(tail, r, one);
        let p = self.fma(p, r, one);
        let half = self.mul(p, scale);
        self.add(half, half)
    }

    /// `2 (s (e^r - 1) + (s - 1/2))` with `s = 2^(n-1)`: exact in the limit of small `x`, where `s = 1/2`.
    fn expm1(&mut self, x: Val) -> Val {
        let clamped = self.clamp(-87.6, x, 89.0);
        let (r, scale) = self.reduce_exponent(clamped);
        let em1 = self.exp_small_minus_one(r);
        let half = self.k(0.5);
        let shift = self.bin(BinOp::Sub, scale, half);
        let sum = self.fma(em1, scale, shift);
        let value = self.add(sum, sum);
        // Keeps the sign of zero.
        let zero = self.k(0.0);
        let is_zero = self.cmp(CmpOp::Eq, x, zero);
        self.select(is_zero, x, value)
    }

    /// Logarithm by `x = 2^e m`, `sqrt(1/2) <= m < sqrt(2)`.
    fn log(&mut self, x: Val) -> Val {
        let smallest = self.k(f32::MIN_POSITIVE);
        let tiny = self.cmp(CmpOp::Lt, x, smallest);
        let up = self.k(8_388_608.0);
        let raised = self.mul(x, up);
        let normal = self.select(tiny, raised, x);
        // Subtracting the bits of sqrt(1/2) makes the exponent field that of m in [sqrt(1/2), sqrt(2)).
        let root = self.k(std::f32::consts::FRAC_1_SQRT_2);
        let offset = self.bin(BinOp::SubInt, normal, root);
        let e = self.un(UnOp::Sar(23), offset);
        let e_bits = self.un(UnOp::Shl(23), e);
        let m = self.bin(BinOp::SubInt, normal, e_bits);
        let e = self.un(UnOp::ToFloat, e);
        let (raised_by, zero) = (self.k(23.0), self.k(0.0));
        let correction = self.bin(BinOp::And, tiny, raised_by);
        let e = self.bin(BinOp::Sub, e, correction);
        let one = self.k(1.0);
        let f = self.bin(BinOp::Sub, m, one);
        let value = self.log_of_parts(e, f);
        self.log_edges(x, zero, value)
    }

    /// `e ln 2 + ln(1 + f)`.
    fn log_of_parts(&mut self, e: Val, f: Val) -> Val {
        let tail = self.polynomial(&LOG_TAIL, f);
        let square = self.mul(f, f);
        let cube = self.mul(square, f);
        let (low, high, half) = (self.k(LN2_LOW), self.k(LN2_HIGH), self.k(0.5));
        let rest = self.mul(e, low);
        let rest = self.fma(cube, tail, rest);
        let rest = self.fnma(half, square, rest);
        let rest = self.add(rest, f);
        self.fma(e, high, rest)
    }

    /// Zero to -inf, negative to NaN, +inf and NaN to themselves.
    fn log_edges(&mut self, x: Val, zero: Val, value: Val) -> Val {
        let (inf, minus_inf, nan) = (self.k(f32::INFINITY), self.k(f32::NEG_INFINITY), self.bits(0x7fc0_0000));
        let finite = self.cmp(CmpOp::Lt, x, inf);
        let value = self.select(finite, value, x);
        let is_zero = self.cmp(CmpOp::Eq, x, zero);
        let value = self.select(is_zero, minus_inf, value);
        let negative = self.cmp(CmpOp::Lt, x, zero);
        self.select(negative, nan, value)
    }

    /// `ln(u) x / (u - 1)` with `u = 1 + x` rounded: the quotient corrects the rounding of `u`.
    fn log1p(&mut self, x: Val) -> Val {
        let (one, inf) = (self.k(1.0), self.k(f32::INFINITY));
        let u = self.add(one, x);
        let log = self.log(u);
        let back = self.bin(BinOp::Sub, u, one);
        let ratio = self.bin(BinOp::Div, x, back);
        let value = self.mul(log, ratio);
        // u == 1: ln(1+x) = x; u infinite: the quotient would be NaN.
        let same = self.cmp(CmpOp::Eq, u, one);
        let value = self.select(same, x, value);
        let is_inf = self.cmp(CmpOp::Eq, x, inf);
        self.select(is_inf, x, value)
    }

    /// `-m / (m + 2)` with `m = e^(-2|x|) - 1` and the sign of `x`.
    fn tanh(&mut self, x: Val) -> Val {
        let (sign_bit, minus_two) = (self.bits(0x8000_0000), self.k(-2.0));
        let a = self.un(UnOp::Abs, x);
        let y = self.mul(a, minus_two);
        let y = self.max_with(-40.0, y);
        let (r, scale) = self.reduce_exponent(y);
        let em1 = self.exp_small_minus_one(r);
        let (half, one) = (self.k(0.5), self.k(1.0));
        let shift = self.bin(BinOp::Sub, scale, half);
        let m = self.fma(em1, scale, shift);
        // m is half of e^y - 1 here, so tanh = -m / (m + 1).
        let denominator = self.add(m, one);
        let q = self.bin(BinOp::Div, m, denominator);
        let magnitude = self.un(UnOp::Abs, q);
        let sign = self.bin(BinOp::And, x, sign_bit);
        self.bin(BinOp::Or, magnitude, sign)
    }

    /// `a / (1 + e^-x)`, as `(a / 2) / (e^-x / 2 + 1/2)`: the divisor is infinite where `e^-x` is. One multiple of `ln 2` is taken, rounded to binary32.
    fn logistic(&mut self, a: Val, x: Val) -> Val {
        if self.arithmetic.strict {
            let minus = self.un(UnOp::Neg, x);
            let (e, one) = (self.exp(minus), self.k(1.0));
            let divisor = self.add(e, one);
            return self.bin(BinOp::Div, a, divisor);
        }
        let x = self.clamp(-89.4, x, 87.6);
        let (minus_log2e, rounder) = (self.k(-std::f32::consts::LOG2_E), self.k(ROUNDER + 126.0));
        let biased = self.fma(x, minus_log2e, rounder);
        let n = self.bin(BinOp::Sub, biased, rounder);
        let ln2 = self.k(std::f32::consts::LN_2);
        // e^-x = 2^n e^-r, and the bits of 2^(n - 1): infinity for n = 129.
        let r = self.fma(n, ln2, x);
        let scale = self.un(UnOp::Shl(23), biased);
        let p = self.alternating(&LOGISTIC, r);
        let half = self.k(0.5);
        let divisor = self.fma(p, scale, half);
        let halved = match *self.prog.inst(a) {
            Inst::Const(bits) => self.k(0.5 * f32::from_bits(bits)),
            _ => self.mul(a, half),
        };
        self.bin(BinOp::Div, halved, divisor)
    }

    /// Polynomial in `-x`, lowest coefficient first.
    fn alternating(&mut self, coefficients: &[f32], x: Val) -> Val {
        let mut highest_first = coefficients.iter().rev();
        let mut sum = self.k(*highest_first.next().unwrap_or(&0.0));
        for &c in highest_first {
            let c = self.k(c);
            sum = self.fnma(sum, x, c);
        }
        sum
    }

    /// `-x`; what was negated, where there is such.
    fn negated(&mut self, x: Val) -> Val {
        match *self.prog.inst(x) {
            Inst::Un(UnOp::Neg, positive) => positive,
            _ => self.un(UnOp::Neg, x),
        }
    }

    fn erf(&mut self, x: Val) -> Val {
        let x = self.clamp(-3.95, x, 3.95);
        let square = self.mul(x, x);
        let p = self.polynomial(&ERF_P, square);
        let p = self.mul(x, p);
        let q = self.polynomial(&ERF_Q, square);
        let value = self.bin(BinOp::Div, p, q);
        self.clamp(-1.0, value, 1.0)
    }

    fn gelu(&mut self, x: Val) -> Val {
        let (root, half) = (self.k(std::f32::consts::FRAC_1_SQRT_2), self.k(0.5));
        let scaled = self.mul(x, root);
        let erf = self.erf(scaled);
        let phi = self.fma(erf, half, half);
        self.mul(x, phi)
    }

    /// `x / (1 + e^(-2u))`, `u = sqrt(2/pi) (x + 0.044715 x^3)`: the same as `x/2 (1 + tanh u)`.
    fn gelu_tanh(&mut self, x: Val) -> Val {
        let root = (2.0 / std::f64::consts::PI).sqrt();
        let (linear, cubic) = (self.k((-2.0 * root) as f32), self.k((-2.0 * root * 0.044_715) as f32));
        let square = self.mul(x, x);
        let factor = self.fma(square, cubic, linear);
        let exponent = self.mul(x, factor);
        let e = self.exp(exponent);
        let one = self.k(1.0);
        let d = self.add(e, one);
        let s = self.bin(BinOp::Div, one, d);
        self.mul(x, s)
    }

    fn hard_sigmoid(&mut self, x: Val) -> Val {
        let three = self.k(3.0);
        let shifted = self.add(x, three);
        let clamped = self.clamp(0.0, shifted, 6.0);
        let sixth = self.k(1.0 / 6.0);
        self.mul(clamped, sixth)
    }

    fn softplus(&mut self, x: Val) -> Val {
        let e = self.exp(x);
        let soft = self.log1p(e);
        let limit = self.k(20.0);
        let linear = self.cmp(CmpOp::Gt, x, limit);
        self.select(linear, x, soft)
    }
}
