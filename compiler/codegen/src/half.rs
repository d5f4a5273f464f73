//! The 16-bit floating-point formats in CLIF, which has no working type for them: bits in an `i32`, rounded to
//! nearest even. The same algorithms as `kiln_support::half`, with selects for its branches.

use crate::code::Code;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use kiln_loops::Scalar;

impl Code<'_, '_> {
    fn bits32(&mut self, x: Value) -> Value {
        self.b.ins().bitcast(types::I32, MemFlagsData::new(), x)
    }

    fn float32(&mut self, bits: Value) -> Value {
        self.b.ins().bitcast(types::F32, MemFlagsData::new(), bits)
    }

    fn const32(&mut self, bits: u32) -> Value {
        self.b.ins().iconst(types::I32, i64::from(bits))
    }

    /// Widens the bfloat16 in the low bits of an `i32`.
    pub(crate) fn widen_bf16(&mut self, bits: Value) -> Value {
        let wide = self.b.ins().ishl_imm_u(bits, 16);
        self.float32(wide)
    }

    /// Rounds a binary32 to bfloat16, in the low 16 bits of an `i32`.
    pub(crate) fn round_bf16(&mut self, x: Value) -> Value {
        let bits = self.bits32(x);
        let last = self.b.ins().ushr_imm_u(bits, 16);
        let odd = self.b.ins().band_imm_u(last, 1);
        let up = self.b.ins().iadd_imm_u(odd, 0x7fff);
        let sum = self.b.ins().iadd(bits, up);
        let rounded = self.b.ins().ushr_imm_u(sum, 16);
        let nan = self.const32(0x7fc0);
        let is_nan = self.b.ins().fcmp(FloatCC::Unordered, x, x);
        self.b.ins().select(is_nan, nan, rounded)
    }

    /// Widens the binary16 in the low bits of an `i32` (the others are 0).
    pub(crate) fn widen_f16(&mut self, bits: Value) -> Value {
        let sign = self.b.ins().ushr_imm_u(bits, 15);
        let sign = self.b.ins().ishl_imm_u(sign, 31);
        let magnitude = self.b.ins().band_imm_u(bits, 0x7fff);
        let shifted = self.b.ins().ishl_imm_u(magnitude, 13);
        let normal = self.b.ins().iadd_imm_u(shifted, 112 << 23);
        // Infinity and NaN: the largest exponent of binary32.
        let special = self.b.ins().bor_imm_u(shifted, 0x7f80_0000);
        // Below the smallest exponent the value is fraction * 2^-24, exact in binary32.
        let fraction = self.b.ins().fcvt_from_sint(types::F32, magnitude);
        let unit = self.constant(Scalar::F32(f32::from_bits(0x3380_0000)));
        let small = self.b.ins().fmul(fraction, unit);
        let small = self.bits32(small);
        let is_special = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, magnitude, 0x7c00);
        let is_small = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, magnitude, 0x400);
        let wide = self.b.ins().select(is_special, special, normal);
        let wide = self.b.ins().select(is_small, small, wide);
        let wide = self.b.ins().bor(wide, sign);
        self.float32(wide)
    }

    /// Rounds a binary32 to binary16, in the low 16 bits of an `i32` (the others are 0).
    pub(crate) fn round_f16(&mut self, x: Value) -> Value {
        let bits = self.bits32(x);
        let sign = self.b.ins().ushr_imm_u(bits, 16);
        let sign = self.b.ins().band_imm_u(sign, 0x8000);
        let magnitude = self.b.ins().band_imm_u(bits, 0x7fff_ffff);
        let last = self.b.ins().ushr_imm_u(magnitude, 13);
        let odd = self.b.ins().band_imm_u(last, 1);
        let sum = self.b.ins().iadd(magnitude, odd);
        let rebased = self.b.ins().iadd_imm_s(sum, 0xfff - (112 << 23));
        let normal = self.b.ins().ushr_imm_u(rebased, 13);
        // Subnormal: adding 0.5 puts the last place of the result at 2^-24, so the addition itself rounds.
        let absolute = self.float32(magnitude);
        let half = self.constant(Scalar::F32(0.5));
        let small = self.b.ins().fadd(absolute, half);
        let small = self.bits32(small);
        let small = self.b.ins().iadd_imm_s(small, -0x3f00_0000);
        let is_small = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, magnitude, 0x3880_0000);
        let result = self.b.ins().select(is_small, small, normal);
        let infinity = self.const32(0x7c00);
        let is_large = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, magnitude, 0x4780_0000);
        let result = self.b.ins().select(is_large, infinity, result);
        let nan = self.const32(0x7e00);
        let is_nan = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, magnitude, 0x7f80_0000);
        let result = self.b.ins().select(is_nan, nan, result);
        self.b.ins().bor(result, sign)
    }
}
