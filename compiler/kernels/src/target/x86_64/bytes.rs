//! Bytes on x86-64: widening loads, narrowing stores, and exact sums of products.
//!
//! `vpdpbusd` multiplies unsigned by signed bytes and adds four products to each 32-bit lane without saturation. Without VNNI, both sides are widened to
//! 16 bits, where `vpmaddwd` is exact, too (`vpmaddubsw` is not: it saturates sums of two products). Weights are widened as they are loaded; a
//! group of four bytes of A is split into its even and its odd bytes by a mask and a shift.

use super::X64;
use crate::isa::{DotInfo, DotLayout, Mem, Src, Tail, V};
use iced_x86::{Code, Instruction, Register};

/// Mask register of the one live tail (AVX-512).
const TAIL: Register = Register::K1;

impl X64 {
    pub(super) fn dot_info(&self) -> DotInfo {
        match self.vnni {
            true => DotInfo { parts: 1, temps: 0, offset: 0, layout: DotLayout::Lanes, cost: 1 },
            false => DotInfo { parts: 2, temps: 1, offset: 0, layout: DotLayout::Halves([0, 2, 1, 3]), cost: 2 },
        }
    }

    pub(super) fn dot_weights(&mut self, d: &[V], m: Mem) {
        if let [d] = *d {
            let m = self.mem(m);
            return self.load_from(d, m);
        }
        let half = if self.wide { 32 } else { 16 };
        let code = self.pick(Code::VEX_Vpmovsxbw_ymm_xmmm128, Code::EVEX_Vpmovsxbw_zmm_k1z_ymmm256);
        for (i, &d) in d.iter().enumerate() {
            let (d, m) = (self.v(d), self.mem(m.plus(i as i32 * half)));
            self.push(Instruction::with2(code, d, m));
        }
    }

    pub(super) fn dot_groups(&mut self, d: &[V], m: Mem) {
        let m = self.mem(m);
        self.broadcast_from(d[0], m);
        if let [even, odd] = *d {
            let (even, odd) = (self.v(even), self.v(odd));
            let shift = self.pick(Code::VEX_Vpsrlw_ymm_ymm_imm8, Code::EVEX_Vpsrlw_zmm_k1z_zmmm512_imm8);
            self.push(Instruction::with3(shift, odd, even, 8u32));
            let and = self.pick(Code::VEX_Vpand_ymm_ymm_ymmm256, Code::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32);
            let mask = self.constant(vec![0x00ff_00ff; if self.wide { 16 } else { 8 }]);
            self.push(Instruction::with3(and, even, even, mask));
        }
    }

    pub(super) fn dot_product(&mut self, acc: V, b: &[V], s: &[V], tmp: V) {
        if let ([b], [s]) = (b, s) {
            let code = self.pick(Code::VEX_Vpdpbusd_ymm_ymm_ymmm256, Code::EVEX_Vpdpbusd_zmm_k1z_zmm_zmmm512b32);
            return self.three(code, acc, *s, *b);
        }
        let multiply = self.pick(Code::VEX_Vpmaddwd_ymm_ymm_ymmm256, Code::EVEX_Vpmaddwd_zmm_k1z_zmm_zmmm512);
        for (&b, &s) in b.iter().zip(s) {
            self.three(multiply, tmp, b, s);
            self.vector_binary(crate::isa::BinOp::AddInt, acc, acc, tmp);
        }
    }

    pub(super) fn widen_bytes(&mut self, d: V, m: Mem, signed: bool) {
        let (d, m) = (self.v(d), self.mem(m));
        self.push(Instruction::with2(self.widen_code(signed), d, m));
    }

    fn widen_code(&self, signed: bool) -> Code {
        match signed {
            true => self.pick(Code::VEX_Vpmovsxbd_ymm_xmmm64, Code::EVEX_Vpmovsxbd_zmm_k1z_xmmm128),
            false => self.pick(Code::VEX_Vpmovzxbd_ymm_xmmm64, Code::EVEX_Vpmovzxbd_zmm_k1z_xmmm128),
        }
    }

    pub(super) fn narrow_to_bytes(&mut self, m: Mem, s: V, signed: bool) {
        let m = self.mem(m);
        if self.wide {
            let s = self.v(s);
            self.push(Instruction::with2(Code::EVEX_Vpmovdb_xmmm128_k1z_zmm, m, s));
        } else {
            let x = self.pack_bytes(s, signed);
            self.push(Instruction::with2(Code::VEX_Vmovq_xmmm64_xmm, m, x));
        }
    }

    /// The low bytes of the eight lanes of `s` as the first bytes of the register. Packing saturates, which changes nothing in range.
    fn pack_bytes(&mut self, s: V, signed: bool) -> Register {
        let (y, x) = (self.v(s), self.x(s));
        let (words, bytes) = match signed {
            true => (Code::VEX_Vpackssdw_ymm_ymm_ymmm256, Code::VEX_Vpacksswb_xmm_xmm_xmmm128),
            false => (Code::VEX_Vpackusdw_ymm_ymm_ymmm256, Code::VEX_Vpackuswb_xmm_xmm_xmmm128),
        };
        self.push(Instruction::with3(words, y, y, y));
        self.push(Instruction::with3(Code::VEX_Vpermq_ymm_ymmm256_imm8, y, y, 8u32));
        self.push(Instruction::with3(bytes, x, x, x));
        x
    }

    /// The constant length of a tail.
    fn tail_length(&mut self, tail: &Tail) -> i64 {
        if let Src::Imm(n) = tail.count {
            return n;
        }
        self.error.get_or_insert_with(|| "a tail of bytes whose length is not a constant".into());
        0
    }

    pub(super) fn widen_first_bytes(&mut self, d: V, m: Mem, signed: bool, tail: &Tail) {
        if self.wide {
            let (d, m) = (self.v(d), self.mem(m));
            let load = Instruction::with2(self.widen_code(signed), d, m);
            return self.push_masked(load, TAIL, true);
        }
        let n = self.tail_length(tail);
        let (y, x) = (self.v(d), self.x(d));
        let mut at = 0;
        if n >= 4 {
            let m = self.mem(m);
            self.push(Instruction::with2(Code::VEX_Vmovd_xmm_rm32, x, m));
            at = 4;
        } else {
            self.push(Instruction::with3(Code::VEX_Vpxor_xmm_xmm_xmmm128, x, x, x));
        }
        for i in at..n {
            let m = self.mem(m.plus(i as i32));
            self.push(Instruction::with4(Code::VEX_Vpinsrb_xmm_xmm_r32m8_imm8, x, x, m, i as u32));
        }
        self.push(Instruction::with2(self.widen_code(signed), y, x));
    }

    pub(super) fn narrow_to_first_bytes(&mut self, m: Mem, s: V, signed: bool, tail: &Tail) {
        if self.wide {
            let (s, m) = (self.v(s), self.mem(m));
            let store = Instruction::with2(Code::EVEX_Vpmovdb_xmmm128_k1z_zmm, m, s);
            return self.push_masked(store, TAIL, false);
        }
        let n = self.tail_length(tail);
        let x = self.pack_bytes(s, signed);
        let mut at = 0;
        if n >= 4 {
            let m = self.mem(m);
            self.push(Instruction::with2(Code::VEX_Vmovd_rm32_xmm, m, x));
            at = 4;
        }
        for i in at..n {
            let m = self.mem(m.plus(i as i32));
            self.push(Instruction::with3(Code::VEX_Vpextrb_r32m8_xmm_imm8, m, x, i as u32));
        }
    }
}
