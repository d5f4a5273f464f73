//! Bytes on x86-64: widening loads, narrowing stores, and exact sums of products.
//!
//! `vpdpbusd` multiplies unsigned by signed bytes and adds four products to each 32-bit lane without saturation. Without VNNI, `vpmaddubsw` adds two products in
//! 16 bits, with saturation, and `vpmaddwd` adds two of these sums. That is exact for bytes up to 127: `2 * 127 * 128 < 2^15`. Where there are larger
//! ones, both sides are widened to words, for which `vpmaddwd` is always exact.

use super::X64;
use crate::isa::{BinOp, DotInfo, Gpr, Mem, Src, Tail, V};
use iced_x86::{Code, IcedError, Instruction, Register};

/// Mask register of the one live tail (AVX-512).
const TAIL: Register = Register::K1;
/// Mask register for what is found in bytes.
const BYTES: Register = Register::K2;

impl X64 {
    pub(super) fn dot_info(&self) -> DotInfo {
        if self.vnni {
            return DotInfo::SINGLE;
        }
        let composed = DotInfo { cost: 2, instructions: 3, loads: 1, is_composed: true, ..DotInfo::SINGLE };
        DotInfo { seven_bits: true, temps: 1, planned_temps: 1, ..composed }
    }

    pub(super) fn dot_product(&mut self, acc: V, b: V, s: V, tmp: &[V]) {
        if self.vnni {
            let code = self.pick(Code::VEX_Vpdpbusd_ymm_ymm_ymmm256, Code::EVEX_Vpdpbusd_zmm_k1z_zmm_zmmm512b32);
            return self.three(code, acc, s, b);
        }
        let [tmp] = *tmp else { return };
        let bytes = self.pick(Code::VEX_Vpmaddubsw_ymm_ymm_ymmm256, Code::EVEX_Vpmaddubsw_zmm_k1z_zmm_zmmm512);
        self.three(bytes, tmp, s, b);
        let words = self.pick(Code::VEX_Vpmaddwd_ymm_ymm_ymmm256, Code::EVEX_Vpmaddwd_zmm_k1z_zmm_zmmm512);
        let (t, ones) = (self.v(tmp), self.constant(vec![0x0001_0001; if self.wide { 16 } else { 8 }]));
        self.push(Instruction::with3(words, t, t, ones));
        self.vector_binary(BinOp::AddInt, acc, acc, tmp);
    }

    /// Unpacking works on each 128 bits by themselves, so the rows are first put into an order in which the results are consecutive channels: of `n` such
    /// parts, part `l` gets the 32-bit words `l`, `l + n`, `l + 2 n`, `l + 3 n` of a row.
    pub(super) fn interleave_rows(&mut self, d: &[V], rows: &[V], [order, high]: [V; 2]) {
        let lanes: u32 = if self.wide { 4 } else { 2 };
        let index = self.constant((0..lanes).flat_map(|lane| (0..4).map(move |word| lane + lanes * word)).collect());
        self.load_from(order, index);
        let permute = self.pick(Code::VEX_Vpermd_ymm_ymm_ymmm256, Code::EVEX_Vpermd_zmm_k1z_zmm_zmmm512b32);
        rows.iter().for_each(|&row| self.three(permute, row, order, row));
        let row = |i: usize| rows[i.min(rows.len() - 1)];
        let bytes = [
            self.pick(Code::VEX_Vpunpcklbw_ymm_ymm_ymmm256, Code::EVEX_Vpunpcklbw_zmm_k1z_zmm_zmmm512),
            self.pick(Code::VEX_Vpunpckhbw_ymm_ymm_ymmm256, Code::EVEX_Vpunpckhbw_zmm_k1z_zmm_zmmm512),
        ];
        let words = [
            self.pick(Code::VEX_Vpunpcklwd_ymm_ymm_ymmm256, Code::EVEX_Vpunpcklwd_zmm_k1z_zmm_zmmm512),
            self.pick(Code::VEX_Vpunpckhwd_ymm_ymm_ymmm256, Code::EVEX_Vpunpckhwd_zmm_k1z_zmm_zmmm512),
        ];
        // Two results come from the lower halves of the lanes, two from the upper ones.
        for (half, d) in d.chunks(2).enumerate() {
            self.three(bytes[half], order, row(0), row(1));
            self.three(bytes[half], high, row(2), row(3));
            for (&word, &d) in words.iter().zip(d) {
                self.three(word, d, order, high);
            }
        }
    }

    pub(super) fn move_top_bits(&mut self, d: Gpr, s: V) {
        let (d, d32, s) = (self.g(d), self.g32(d), self.v(s));
        if self.wide {
            self.push(Instruction::with2(Code::EVEX_Vpmovb2m_kr_zmm, BYTES, s));
            self.push(Instruction::with2(Code::VEX_Kmovq_r64_kr, d, BYTES));
        } else {
            self.push(Instruction::with2(Code::VEX_Vpmovmskb_r32_ymm, d32, s));
        }
    }

    pub(super) fn bytes_to_words(&mut self, d: V, s: V, odd: bool, signed: bool) {
        let (d, s) = (self.v(d), self.v(s));
        let left = self.pick(Code::VEX_Vpsllw_ymm_ymm_imm8, Code::EVEX_Vpsllw_zmm_k1z_zmmm512_imm8);
        let right = match signed {
            true => self.pick(Code::VEX_Vpsraw_ymm_ymm_imm8, Code::EVEX_Vpsraw_zmm_k1z_zmmm512_imm8),
            false => self.pick(Code::VEX_Vpsrlw_ymm_ymm_imm8, Code::EVEX_Vpsrlw_zmm_k1z_zmmm512_imm8),
        };
        if !odd {
            self.push(Instruction::with3(left, d, s, 8u32));
        }
        self.push(Instruction::with3(right, d, if odd { s } else { d }, 8u32));
    }

    pub(super) fn multiply_words(&mut self, acc: V, a: V, b: V, tmp: V) {
        let code = self.pick(Code::VEX_Vpmaddwd_ymm_ymm_ymmm256, Code::EVEX_Vpmaddwd_zmm_k1z_zmm_zmmm512);
        self.three(code, tmp, a, b);
        self.vector_binary(BinOp::AddInt, acc, acc, tmp);
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
        if self.wide {
            let store = self.narrow_lanes(m, s, signed);
            self.push(store);
        } else {
            let (x, m) = (self.pack_bytes(s, signed), self.mem(m));
            self.push(Instruction::with2(Code::VEX_Vmovq_xmmm64_xmm, m, x));
        }
    }

    /// The store of the lanes of `s` as bytes (AVX-512). The form for unsigned bytes takes lanes for unsigned, too, so negative ones become 0 first.
    fn narrow_lanes(&mut self, m: Mem, s: V, signed: bool) -> Result<Instruction, IcedError> {
        let (s, m) = (self.v(s), self.mem(m));
        if signed {
            return Instruction::with2(Code::EVEX_Vpmovsdb_xmmm128_k1z_zmm, m, s);
        }
        let zeros = self.constant(vec![0; 16]);
        self.push(Instruction::with3(Code::EVEX_Vpmaxsd_zmm_k1z_zmm_zmmm512b32, s, s, zeros));
        Instruction::with2(Code::EVEX_Vpmovusdb_xmmm128_k1z_zmm, m, s)
    }

    fn pack_code(&self, signed: bool) -> Code {
        match signed {
            true => self.pick(Code::VEX_Vpacksswb_ymm_ymm_ymmm256, Code::EVEX_Vpacksswb_zmm_k1z_zmm_zmmm512),
            false => self.pick(Code::VEX_Vpackuswb_ymm_ymm_ymmm256, Code::EVEX_Vpackuswb_zmm_k1z_zmm_zmmm512),
        }
    }

    /// Packing works within lanes of 128 bits: lane `l` gets the `l`-th four bytes of each vector, and the permutation puts them in order.
    pub(super) fn narrow_words_to_bytes(&mut self, m: Mem, s: &[V], signed: bool, tmp: V) {
        let (first, last) = (s[0], s[s.len() - 1]);
        self.three(self.pack_code(signed), first, first, last);
        let lanes: u32 = if self.wide { 4 } else { 2 };
        let order = self.constant((0..4).flat_map(|vector| (0..lanes).map(move |lane| 4 * lane + vector)).collect());
        self.load_from(tmp, order);
        let permute = self.pick(Code::VEX_Vpermd_ymm_ymm_ymmm256, Code::EVEX_Vpermd_zmm_k1z_zmm_zmmm512b32);
        self.three(permute, first, tmp, first);
        if s.len() == 2 {
            let m = self.mem(m);
            return self.store_to(m, first);
        }
        let (m, x, y) = (self.mem(m), self.x(first), Register::YMM0 + u32::from(first.0));
        match self.wide {
            true => self.push(Instruction::with2(Code::EVEX_Vmovups_ymmm256_k1z_ymm, m, y)),
            false => self.push(Instruction::with2(Code::VEX_Vmovups_xmmm128_xmm, m, x)),
        }
    }

    /// The lanes of `s` (AVX2) as the first bytes of the register. Packing saturates.
    fn pack_bytes(&mut self, s: V, signed: bool) -> Register {
        let (y, x) = (self.v(s), self.x(s));
        let bytes = if signed { Code::VEX_Vpacksswb_xmm_xmm_xmmm128 } else { Code::VEX_Vpackuswb_xmm_xmm_xmmm128 };
        self.push(Instruction::with3(Code::VEX_Vpackssdw_ymm_ymm_ymmm256, y, y, y));
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
            let store = self.narrow_lanes(m, s, signed);
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
