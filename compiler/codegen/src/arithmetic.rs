//! Scalar operations in CLIF, with the meaning that `kiln_loops::scalar` gives them. None of them traps.

use crate::code::{Code, type_of};
use crate::error::CodegenError;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, InstructionData, Value, types};
use kiln_loops::{BinaryOp, Kind, Scalar, UnaryOp};
use kiln_support::DType;

impl Code<'_, '_> {
    /// Converts a scalar to a kind.
    pub(crate) fn convert(&mut self, kind: Kind, x: Value) -> Value {
        match (self.kind(x), kind) {
            (from, to) if from == to => x,
            (_, Kind::Bool) => self.is_not_zero(x),
            (Kind::Bool, Kind::Int) => self.b.ins().uextend(types::I64, x),
            (Kind::Bool, _) => {
                let wide = self.b.ins().uextend(types::I32, x);
                self.b.ins().fcvt_from_sint(type_of(kind), wide)
            }
            (Kind::Int, _) => self.b.ins().fcvt_from_sint(type_of(kind), x),
            (_, Kind::Int) => self.truncate(x),
            (_, Kind::F64) => self.b.ins().fpromote(types::F64, x),
            (_, Kind::F32) => self.b.ins().fdemote(types::F32, x),
        }
    }

    fn is_not_zero(&mut self, x: Value) -> Value {
        match self.kind(x) {
            Kind::Bool => x,
            Kind::Int => self.b.ins().icmp_imm_s(IntCC::NotEqual, x, 0),
            kind => {
                let zero = self.constant(Scalar::F64(0.0).to_kind(kind));
                self.b.ins().fcmp(FloatCC::NotEqual, x, zero)
            }
        }
    }

    /// Truncates a float to an int. Out of range and NaN give the smallest int: the saturating conversion already
    /// does that below the range.
    fn truncate(&mut self, x: Value) -> Value {
        let limit = self.constant(Scalar::F64(9_223_372_036_854_775_808.0).to_kind(self.kind(x)));
        let converted = self.b.ins().fcvt_to_sint_sat(types::I64, x);
        let is_below = self.b.ins().fcmp(FloatCC::LessThan, x, limit);
        let smallest = self.int(i64::MIN);
        self.b.ins().select(is_below, converted, smallest)
    }

    /// Converts to an element type: wrapped or rounded to it, held in its kind.
    pub(crate) fn cast(&mut self, dtype: DType, x: Value) -> Value {
        let x = self.convert(Kind::of(dtype), x);
        match dtype {
            DType::U8 | DType::QU8 => self.b.ins().band_imm_u(x, 0xff),
            DType::I8 | DType::QI8 => self.wrap(types::I8, x),
            DType::I16 => self.wrap(types::I16, x),
            DType::I32 | DType::QI32 => self.wrap(types::I32, x),
            DType::F16 => {
                let bits = self.round_f16(x);
                self.widen_f16(bits)
            }
            DType::BF16 => {
                let bits = self.round_bf16(x);
                self.widen_bf16(bits)
            }
            DType::Bool | DType::I64 | DType::F32 | DType::F64 => x,
        }
    }

    fn wrap(&mut self, narrow: cranelift_codegen::ir::Type, x: Value) -> Value {
        let low = self.b.ins().ireduce(narrow, x);
        self.b.ins().sextend(types::I64, low)
    }

    /// An operation on one scalar.
    pub(crate) fn unary(&mut self, op: UnaryOp, x: Value) -> Result<Value, CodegenError> {
        let kind = self.kind(x);
        Ok(match (op, kind) {
            (UnaryOp::Not, _) => {
                let test = self.is_not_zero(x);
                self.b.ins().bxor_imm_u(test, 1)
            }
            (UnaryOp::IsNan, Kind::F32 | Kind::F64) => self.b.ins().fcmp(FloatCC::Unordered, x, x),
            (UnaryOp::IsNan, _) => self.constant(Scalar::Bool(false)),
            (UnaryOp::Neg, Kind::Int) => self.b.ins().ineg(x),
            (UnaryOp::Abs, Kind::Int) => self.b.ins().iabs(x),
            (UnaryOp::BitNot, Kind::Int) => self.b.ins().bnot(x),
            (UnaryOp::Neg, Kind::F32 | Kind::F64) => self.b.ins().fneg(x),
            (UnaryOp::Abs, Kind::F32 | Kind::F64) => self.b.ins().fabs(x),
            (UnaryOp::Sqrt, Kind::F32 | Kind::F64) => self.b.ins().sqrt(x),
            (UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Trunc | UnaryOp::RoundEven, Kind::F32 | Kind::F64) => self.round(op, x),
            _ => return Err(CodegenError::rule(format!("{op:?} does not take a scalar of kind {kind:?}"))),
        })
    }

    /// Rounds to an integer.
    fn round(&mut self, op: UnaryOp, x: Value) -> Value {
        match op {
            _ if !self.linker.has_rounding => self.round_by_addition(op, x),
            UnaryOp::Floor => self.b.ins().floor(x),
            UnaryOp::Ceil => self.b.ins().ceil(x),
            UnaryOp::Trunc => self.b.ins().trunc(x),
            _ => self.b.ins().nearest(x),
        }
    }

    /// Rounds without a rounding instruction (x86-64 before SSE4.1): adding and subtracting the number whose last
    /// place is 1 leaves the nearest integer, which is then corrected towards the direction wanted.
    fn round_by_addition(&mut self, op: UnaryOp, x: Value) -> Value {
        let kind = self.kind(x);
        let unit_place = if kind == Kind::F32 { 8_388_608.0 } else { 4_503_599_627_370_496.0 };
        let large = self.constant(Scalar::F64(unit_place).to_kind(kind));
        let one = self.constant(Scalar::F64(1.0).to_kind(kind));
        let zero = self.constant(Scalar::F64(0.0).to_kind(kind));
        let magnitude = self.b.ins().fabs(x);
        let sum = self.b.ins().fadd(magnitude, large);
        let nearest = self.b.ins().fsub(sum, large);
        let rounded = match op {
            UnaryOp::RoundEven => nearest,
            UnaryOp::Trunc => self.step_where(FloatCC::GreaterThan, nearest, magnitude, one, false),
            _ => {
                let signed = self.b.ins().fcopysign(nearest, x);
                if op == UnaryOp::Floor {
                    self.step_where(FloatCC::GreaterThan, signed, x, one, false)
                } else {
                    self.step_where(FloatCC::LessThan, signed, x, one, true)
                }
            }
        };
        let signed = match op {
            // 0.3 rounds up to 1 and -0.3 to -0: the sign is x's unless the result is not 0.
            UnaryOp::Floor | UnaryOp::Ceil => {
                let is_zero = self.b.ins().fcmp(FloatCC::Equal, rounded, zero);
                let signed_zero = self.b.ins().fcopysign(rounded, x);
                self.b.ins().select(is_zero, signed_zero, rounded)
            }
            _ => self.b.ins().fcopysign(rounded, x),
        };
        // Numbers from there on are integers already; NaN is not below.
        let has_fraction = self.b.ins().fcmp(FloatCC::LessThan, magnitude, large);
        self.b.ins().select(has_fraction, signed, x)
    }

    /// `x + 1` (`up`) or `x - 1` where `x <condition> limit`, else `x`.
    fn step_where(&mut self, condition: FloatCC, x: Value, limit: Value, one: Value, up: bool) -> Value {
        let test = self.b.ins().fcmp(condition, x, limit);
        let moved = if up { self.b.ins().fadd(x, one) } else { self.b.ins().fsub(x, one) };
        self.b.ins().select(test, moved, x)
    }

    /// An operation on two scalars of one kind.
    pub(crate) fn binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Result<Value, CodegenError> {
        let kind = self.kind(a);
        if kind != self.kind(b) {
            return Err(CodegenError::rule(format!("{op:?} of kinds {kind:?} and {:?}", self.kind(b))));
        }
        let result = match kind {
            Kind::Bool => self.bool_binary(op, a, b),
            Kind::Int => self.int_binary(op, a, b),
            _ => self.float_binary(op, a, b)?,
        };
        result.ok_or_else(|| CodegenError::rule(format!("{op:?} does not take scalars of kind {kind:?}")))
    }

    fn bool_binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Option<Value> {
        Some(match op {
            BinaryOp::And | BinaryOp::Mul | BinaryOp::Min => self.b.ins().band(a, b),
            BinaryOp::Or | BinaryOp::Add | BinaryOp::Max => self.b.ins().bor(a, b),
            BinaryOp::Xor => self.b.ins().bxor(a, b),
            _ => {
                let condition = int_condition(op)?;
                self.b.ins().icmp(condition.unsigned(), a, b)
            }
        })
    }

    fn int_binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Option<Value> {
        Some(match op {
            BinaryOp::Add => self.b.ins().iadd(a, b),
            BinaryOp::Sub => self.b.ins().isub(a, b),
            BinaryOp::Mul => match (self.as_int(a), self.as_int(b)) {
                (_, Some(factor)) => self.scaled(a, factor),
                (Some(factor), _) => self.scaled(b, factor),
                _ => self.b.ins().imul(a, b),
            },
            BinaryOp::TruncDiv | BinaryOp::FloorDiv | BinaryOp::Rem | BinaryOp::Mod => self.int_divide(op, a, b, false),
            BinaryOp::Max => self.b.ins().smax(a, b),
            BinaryOp::Min => self.b.ins().smin(a, b),
            BinaryOp::And => self.b.ins().band(a, b),
            BinaryOp::Or => self.b.ins().bor(a, b),
            BinaryOp::Xor => self.b.ins().bxor(a, b),
            BinaryOp::Shl => {
                let shifted = self.b.ins().ishl(a, b);
                let is_inside = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, b, 64);
                let zero = self.int(0);
                self.b.ins().select(is_inside, shifted, zero)
            }
            BinaryOp::Shr => {
                let is_inside = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, b, 64);
                let all = self.int(63);
                let count = self.b.ins().select(is_inside, b, all);
                self.b.ins().sshr(a, count)
            }
            _ => {
                let condition = int_condition(op)?;
                self.b.ins().icmp(condition, a, b)
            }
        })
    }

    /// Integer quotient or remainder. `never_negative` says that neither operand is below 0.
    pub(crate) fn int_divide(&mut self, op: BinaryOp, a: Value, b: Value, never_negative: bool) -> Value {
        let is_quotient = matches!(op, BinaryOp::TruncDiv | BinaryOp::FloorDiv);
        let is_floor = matches!(op, BinaryOp::FloorDiv | BinaryOp::Mod);
        match self.as_int(b) {
            Some(0) => self.int(0),
            Some(-1) if is_quotient => self.b.ins().ineg(a),
            Some(-1) => self.int(0),
            Some(n) if n > 0 && n & (n - 1) == 0 && (is_floor || never_negative) => {
                if is_quotient {
                    self.b.ins().sshr_imm_u(a, i64::from(n.trailing_zeros()))
                } else {
                    self.b.ins().band_imm_s(a, n - 1)
                }
            }
            Some(n) if n > 0 && never_negative => {
                if is_quotient {
                    self.b.ins().udiv_imm_s(a, n)
                } else {
                    self.b.ins().urem_imm_s(a, n)
                }
            }
            Some(_) => self.divide_nonzero(op, a, b),
            None => self.divide_guarded(op, a, b),
        }
    }

    /// Division by a number that is neither 0 nor -1.
    fn divide_nonzero(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        match op {
            BinaryOp::TruncDiv => return self.b.ins().sdiv(a, b),
            BinaryOp::Rem => return self.b.ins().srem(a, b),
            _ => {}
        }
        let quotient = self.b.ins().sdiv(a, b);
        let product = self.b.ins().imul(quotient, b);
        let rest = self.b.ins().isub(a, product);
        let is_inexact = self.b.ins().icmp_imm_s(IntCC::NotEqual, rest, 0);
        let signs = self.b.ins().bxor(a, b);
        let signs_differ = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, signs, 0);
        let is_below = self.b.ins().band(is_inexact, signs_differ);
        let zero = self.int(0);
        if op == BinaryOp::Mod {
            let correction = self.b.ins().select(is_below, b, zero);
            return self.b.ins().iadd(rest, correction);
        }
        let correction = self.b.ins().uextend(types::I64, is_below);
        self.b.ins().isub(quotient, correction)
    }

    /// Division by any number: by 0 gives 0, by -1 wraps.
    fn divide_guarded(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        let is_zero = self.b.ins().icmp_imm_s(IntCC::Equal, b, 0);
        let is_minus_one = self.b.ins().icmp_imm_s(IntCC::Equal, b, -1);
        let is_special = self.b.ins().bor(is_zero, is_minus_one);
        let one = self.int(1);
        let divisor = self.b.ins().select(is_special, one, b);
        let result = self.divide_nonzero(op, a, divisor);
        if matches!(op, BinaryOp::Rem | BinaryOp::Mod) {
            // The remainder by 1 is 0, as it should be for both.
            return result;
        }
        let negated = self.b.ins().ineg(a);
        let result = self.b.ins().select(is_minus_one, negated, result);
        let zero = self.int(0);
        self.b.ins().select(is_zero, zero, result)
    }

    fn float_binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Result<Option<Value>, CodegenError> {
        Ok(Some(match op {
            BinaryOp::Add => self.b.ins().fadd(a, b),
            BinaryOp::Sub => self.b.ins().fsub(a, b),
            BinaryOp::Mul => self.b.ins().fmul(a, b),
            BinaryOp::Div => self.b.ins().fdiv(a, b),
            BinaryOp::Rem => self.math("fmod", &[a, b])?,
            BinaryOp::Pow => self.math("pow", &[a, b])?,
            BinaryOp::Atan2 => self.math("atan2", &[a, b])?,
            BinaryOp::Mod => self.float_mod(a, b)?,
            BinaryOp::FloorDiv => self.float_floor_div(a, b)?,
            BinaryOp::Max => self.keep_nan(FloatCC::UnorderedOrGreaterThan, a, b),
            BinaryOp::Min => self.keep_nan(FloatCC::UnorderedOrLessThan, a, b),
            BinaryOp::FMax => self.ignore_nan(FloatCC::GreaterThan, a, b),
            BinaryOp::FMin => self.ignore_nan(FloatCC::LessThan, a, b),
            BinaryOp::CopySign => self.b.ins().fcopysign(a, b),
            _ => match float_condition(op) {
                Some(condition) => self.b.ins().fcmp(condition, a, b),
                None => return Ok(None),
            },
        }))
    }

    /// `a` where the condition holds or `a` is NaN, else `b`; NaN where one is.
    fn keep_nan(&mut self, condition: FloatCC, a: Value, b: Value) -> Value {
        let takes_a = self.b.ins().fcmp(condition, a, b);
        let chosen = self.b.ins().select(takes_a, a, b);
        if self.is_number(b) {
            return chosen;
        }
        let b_is_nan = self.b.ins().fcmp(FloatCC::Unordered, b, b);
        self.b.ins().select(b_is_nan, b, chosen)
    }

    /// Whether a float is known not to be NaN.
    fn is_number(&self, x: Value) -> bool {
        let dfg = &self.b.func.dfg;
        let Some(inst) = dfg.value_def(dfg.resolve_aliases(x)).inst() else { return false };
        match dfg.insts[inst] {
            InstructionData::UnaryIeee32 { imm, .. } => !f32::from_bits(imm.bits()).is_nan(),
            InstructionData::UnaryIeee64 { imm, .. } => !f64::from_bits(imm.bits()).is_nan(),
            _ => false,
        }
    }

    /// `b` where `b <condition> a` or `a` is NaN, else `a`.
    fn ignore_nan(&mut self, condition: FloatCC, a: Value, b: Value) -> Value {
        let takes_b = self.b.ins().fcmp(condition, b, a);
        let a_is_nan = self.b.ins().fcmp(FloatCC::Unordered, a, a);
        let takes_b = self.b.ins().bor(takes_b, a_is_nan);
        self.b.ins().select(takes_b, b, a)
    }

    /// Python's `%`: the remainder with the sign of the divisor.
    fn float_mod(&mut self, a: Value, b: Value) -> Result<Value, CodegenError> {
        let rest = self.math("fmod", &[a, b])?;
        let is_wrong = self.is_inexact_below(rest, b);
        let moved = self.b.ins().fadd(rest, b);
        Ok(self.b.ins().select(is_wrong, moved, rest))
    }

    /// Whether a remainder is not 0 and of the other sign than the divisor.
    fn is_inexact_below(&mut self, rest: Value, b: Value) -> Value {
        let zero = self.constant(Scalar::F64(0.0).to_kind(self.kind(rest)));
        let is_inexact = self.b.ins().fcmp(FloatCC::NotEqual, rest, zero);
        let rest_sign = self.b.ins().fcmp(FloatCC::LessThan, rest, zero);
        let divisor_sign = self.b.ins().fcmp(FloatCC::LessThan, b, zero);
        let signs_differ = self.b.ins().bxor(rest_sign, divisor_sign);
        self.b.ins().band(is_inexact, signs_differ)
    }

    /// Python's `//` as PyTorch rounds it (c10 `div_floor_floating`).
    fn float_floor_div(&mut self, a: Value, b: Value) -> Result<Value, CodegenError> {
        let kind = self.kind(a);
        let [zero, half, one] = [0.0, 0.5, 1.0].map(|x| self.constant(Scalar::F64(x).to_kind(kind)));
        let rest = self.math("fmod", &[a, b])?;
        let whole = self.b.ins().fsub(a, rest);
        let quotient = self.b.ins().fdiv(whole, b);
        let is_below = self.is_inexact_below(rest, b);
        let lower = self.b.ins().fsub(quotient, one);
        let quotient = self.b.ins().select(is_below, lower, quotient);
        let floor = self.round(UnaryOp::Floor, quotient);
        let fraction = self.b.ins().fsub(quotient, floor);
        let rounds_up = self.b.ins().fcmp(FloatCC::GreaterThan, fraction, half);
        let upper = self.b.ins().fadd(floor, one);
        let result = self.b.ins().select(rounds_up, upper, floor);
        let plain = self.b.ins().fdiv(a, b);
        let signed_zero = self.b.ins().fcopysign(zero, plain);
        let is_zero = self.b.ins().fcmp(FloatCC::Equal, quotient, zero);
        let result = self.b.ins().select(is_zero, signed_zero, result);
        let by_zero = self.b.ins().fcmp(FloatCC::Equal, b, zero);
        Ok(self.b.ins().select(by_zero, plain, result))
    }
}

/// Whether an operation is a call of the runtime for operands of a kind: too dear to run where its result is not
/// needed.
pub(crate) fn is_call(op: BinaryOp, kind: Kind) -> bool {
    kind.is_float() && matches!(op, BinaryOp::Rem | BinaryOp::Mod | BinaryOp::FloorDiv | BinaryOp::Pow | BinaryOp::Atan2)
}

fn int_condition(op: BinaryOp) -> Option<IntCC> {
    Some(match op {
        BinaryOp::Eq => IntCC::Equal,
        BinaryOp::Ne => IntCC::NotEqual,
        BinaryOp::Lt => IntCC::SignedLessThan,
        BinaryOp::Le => IntCC::SignedLessThanOrEqual,
        BinaryOp::Gt => IntCC::SignedGreaterThan,
        BinaryOp::Ge => IntCC::SignedGreaterThanOrEqual,
        _ => return None,
    })
}

fn float_condition(op: BinaryOp) -> Option<FloatCC> {
    Some(match op {
        BinaryOp::Eq => FloatCC::Equal,
        BinaryOp::Ne => FloatCC::NotEqual,
        BinaryOp::Lt => FloatCC::LessThan,
        BinaryOp::Le => FloatCC::LessThanOrEqual,
        BinaryOp::Gt => FloatCC::GreaterThan,
        BinaryOp::Ge => FloatCC::GreaterThanOrEqual,
        _ => return None,
    })
}
