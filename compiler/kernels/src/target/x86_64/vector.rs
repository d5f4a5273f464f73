//! Vector operations of the x86-64 assembler; VEX on ymm or EVEX on zmm.

use super::X64;
use crate::isa::{BinOp, CmpOp, Gpr, Mem, ReduceOp, Src, Tail, UnOp, V};
use iced_x86::{Code, Instruction, MemoryOperand, Register};

/// Mask register of the one live tail (AVX-512).
const TAIL: Register = Register::K1;
/// Mask register that lives within one operation (AVX-512).
const TEMP: Register = Register::K2;

fn binary_codes(op: BinOp) -> (Code, Code) {
    match op {
        BinOp::Add => (Code::VEX_Vaddps_ymm_ymm_ymmm256, Code::EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er),
        BinOp::Sub => (Code::VEX_Vsubps_ymm_ymm_ymmm256, Code::EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er),
        BinOp::Mul => (Code::VEX_Vmulps_ymm_ymm_ymmm256, Code::EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er),
        BinOp::Div => (Code::VEX_Vdivps_ymm_ymm_ymmm256, Code::EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er),
        BinOp::Max => (Code::VEX_Vmaxps_ymm_ymm_ymmm256, Code::EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae),
        BinOp::Min => (Code::VEX_Vminps_ymm_ymm_ymmm256, Code::EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae),
        BinOp::And => (Code::VEX_Vandps_ymm_ymm_ymmm256, Code::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32),
        BinOp::Or => (Code::VEX_Vorps_ymm_ymm_ymmm256, Code::EVEX_Vpord_zmm_k1z_zmm_zmmm512b32),
        BinOp::Xor => (Code::VEX_Vxorps_ymm_ymm_ymmm256, Code::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32),
        BinOp::AddInt => (Code::VEX_Vpaddd_ymm_ymm_ymmm256, Code::EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32),
        BinOp::SubInt => (Code::VEX_Vpsubd_ymm_ymm_ymmm256, Code::EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32),
    }
}

/// Predicate of `vcmpps`: ordered and quiet, except `Ne` and `Unord`.
fn compare_predicate(op: CmpOp) -> u32 {
    match op {
        CmpOp::Eq => 0x00,
        CmpOp::Ne => 0x04,
        CmpOp::Lt => 0x11,
        CmpOp::Le => 0x12,
        CmpOp::Gt => 0x1e,
        CmpOp::Ge => 0x1d,
        CmpOp::Unord => 0x03,
    }
}

impl X64 {
    pub(super) fn three(&mut self, code: Code, d: V, a: V, b: V) {
        let (d, a, b) = (self.v(d), self.v(a), self.v(b));
        self.push(Instruction::with3(code, d, a, b));
    }

    fn two(&mut self, code: Code, d: V, a: V) {
        let (d, a) = (self.v(d), self.v(a));
        self.push(Instruction::with2(code, d, a));
    }

    fn two_imm(&mut self, code: Code, d: V, a: V, imm: u32) {
        let (d, a) = (self.v(d), self.v(a));
        self.push(Instruction::with3(code, d, a, imm));
    }

    fn three_imm(&mut self, code: Code, d: V, a: V, b: V, imm: u32) {
        let (d, a, b) = (self.v(d), self.v(a), self.v(b));
        self.push(Instruction::with4(code, d, a, b, imm));
    }

    /// Pushes an EVEX instruction under a mask register, zeroing or merging.
    pub(super) fn push_masked(&mut self, i: Result<Instruction, iced_x86::IcedError>, mask: Register, zeroing: bool) {
        self.push(i.map(|mut i| {
            i.set_op_mask(mask);
            i.set_zeroing_masking(zeroing);
            i
        }));
    }

    pub(super) fn load_from(&mut self, d: V, m: MemoryOperand) {
        let code = self.pick(Code::VEX_Vmovups_ymm_ymmm256, Code::EVEX_Vmovups_zmm_k1z_zmmm512);
        let d = self.v(d);
        self.push(Instruction::with2(code, d, m));
    }

    pub(super) fn store_to(&mut self, m: MemoryOperand, s: V) {
        let code = self.pick(Code::VEX_Vmovups_ymmm256_ymm, Code::EVEX_Vmovups_zmmm512_k1z_zmm);
        let s = self.v(s);
        self.push(Instruction::with2(code, m, s));
    }

    pub(super) fn broadcast_from(&mut self, d: V, m: MemoryOperand) {
        let code = self.pick(Code::VEX_Vbroadcastss_ymm_m32, Code::EVEX_Vbroadcastss_zmm_k1z_xmmm32);
        let d = self.v(d);
        self.push(Instruction::with2(code, d, m));
    }

    fn broadcast_lane0(&mut self, d: V, s: V) {
        let code = self.pick(Code::VEX_Vbroadcastss_ymm_xmm, Code::EVEX_Vbroadcastss_zmm_k1z_xmmm32);
        let (d, s) = (self.v(d), self.x(s));
        self.push(Instruction::with2(code, d, s));
    }

    pub(super) fn move_vector(&mut self, d: V, s: V) {
        if d != s {
            let code = self.pick(Code::VEX_Vmovaps_ymm_ymmm256, Code::EVEX_Vmovaps_zmm_k1z_zmmm512);
            self.two(code, d, s);
        }
    }

    pub(super) fn splat_bits(&mut self, d: V, bits: u32) {
        if bits == 0 {
            self.vector_binary(BinOp::Xor, d, d, d);
        } else {
            let m = self.constant(vec![bits]);
            self.broadcast_from(d, m);
        }
    }

    pub(super) fn splat_converted(&mut self, d: V, s: Gpr) {
        let code = self.pick(Code::VEX_Vcvtsi2ss_xmm_xmm_rm64, Code::EVEX_Vcvtsi2ss_xmm_xmm_rm64_er);
        let (x, s) = (self.x(d), self.g(s));
        self.push(Instruction::with3(code, x, x, s));
        self.broadcast_lane0(d, d);
    }

    pub(super) fn set_tail_mask(&mut self, count: Src, mask: V) {
        match (count, self.wide) {
            (Src::Imm(n), false) => {
                let words = (0..8).map(|i| if i < n { u32::MAX } else { 0 }).collect();
                let m = self.constant(words);
                self.load_from(mask, m);
            }
            (Src::Imm(n), true) => {
                let m = self.constant(vec![(1u32 << n) - 1]);
                self.push(Instruction::with2(Code::VEX_Kmovw_kr_km16, TAIL, m));
            }
            (Src::Reg(r), false) => {
                let (x, y, r) = (self.x(mask), self.v(mask), self.g32(r));
                let iota = self.constant((0..8).collect());
                self.push(Instruction::with2(Code::VEX_Vmovd_xmm_rm32, x, r));
                self.push(Instruction::with2(Code::VEX_Vpbroadcastd_ymm_xmmm32, y, x));
                self.push(Instruction::with3(Code::VEX_Vpcmpgtd_ymm_ymm_ymmm256, y, y, iota));
            }
            (Src::Reg(r), true) => {
                let (z, r) = (self.v(mask), self.g32(r));
                let iota = self.constant((0..16).collect());
                self.push(Instruction::with2(Code::EVEX_Vpbroadcastd_zmm_k1z_r32, z, r));
                self.push(Instruction::with3(Code::EVEX_Vpcmpgtd_kr_k1_zmm_zmmm512b32, TAIL, z, iota));
            }
        }
    }

    pub(super) fn load_masked(&mut self, d: V, m: Mem, tail: &Tail) {
        let (d, m) = (self.v(d), self.mem(m));
        if self.wide {
            let load = Instruction::with2(Code::EVEX_Vmovups_zmm_k1z_zmmm512, d, m);
            self.push_masked(load, TAIL, true);
        } else {
            let mask = self.v(tail.mask);
            self.push(Instruction::with3(Code::VEX_Vmaskmovps_ymm_ymm_m256, d, mask, m));
        }
    }

    pub(super) fn store_masked(&mut self, m: Mem, s: V, tail: &Tail) {
        let (s, m) = (self.v(s), self.mem(m));
        if self.wide {
            let store = Instruction::with2(Code::EVEX_Vmovups_zmmm512_k1z_zmm, m, s);
            self.push_masked(store, TAIL, false);
        } else {
            let mask = self.v(tail.mask);
            self.push(Instruction::with3(Code::VEX_Vmaskmovps_m256_ymm_ymm, m, mask, s));
        }
    }

    pub(super) fn blend_tail(&mut self, d: V, fill: V, tail: &Tail) {
        if self.wide {
            self.blend_by(TAIL, d, d, fill);
        } else {
            self.vector_select(d, tail.mask, d, fill);
        }
    }

    /// `d = mask ? a : b`.
    fn blend_by(&mut self, mask: Register, d: V, a: V, b: V) {
        let (d, a, b) = (self.v(d), self.v(a), self.v(b));
        let blend = Instruction::with3(Code::EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32, d, b, a);
        self.push_masked(blend, mask, false);
    }

    pub(super) fn vector_select(&mut self, d: V, mask: V, a: V, b: V) {
        if self.wide {
            let m = self.v(mask);
            self.push(Instruction::with2(Code::EVEX_Vpmovd2m_kr_zmm, TEMP, m));
            self.blend_by(TEMP, d, a, b);
        } else {
            let (d, m, a, b) = (self.v(d), self.v(mask), self.v(a), self.v(b));
            self.push(Instruction::with4(Code::VEX_Vblendvps_ymm_ymm_ymmm256_ymm, d, b, a, m));
        }
    }

    pub(super) fn vector_compare(&mut self, op: CmpOp, d: V, a: V, b: V) {
        let predicate = compare_predicate(op);
        if self.wide {
            let (d, a, b) = (self.v(d), self.v(a), self.v(b));
            let code = Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae;
            self.push(Instruction::with4(code, TEMP, a, b, predicate));
            self.push(Instruction::with2(Code::EVEX_Vpmovm2d_zmm_kr, d, TEMP));
        } else {
            self.three_imm(Code::VEX_Vcmpps_ymm_ymm_ymmm256_imm8, d, a, b, predicate);
        }
    }

    pub(super) fn vector_binary(&mut self, op: BinOp, d: V, a: V, b: V) {
        let (vex, evex) = binary_codes(op);
        let code = self.pick(vex, evex);
        self.three(code, d, a, b);
    }

    /// `d = c + a b`, or `c - a b`: the form of the instruction follows from which operand `d` is.
    pub(super) fn fused(&mut self, negate: bool, d: V, a: V, b: V, c: V) {
        let onto_c = match negate {
            false => self.pick(Code::VEX_Vfmadd231ps_ymm_ymm_ymmm256, Code::EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er),
            true => self.pick(Code::VEX_Vfnmadd231ps_ymm_ymm_ymmm256, Code::EVEX_Vfnmadd231ps_zmm_k1z_zmm_zmmm512b32_er),
        };
        let onto_a = match negate {
            false => self.pick(Code::VEX_Vfmadd213ps_ymm_ymm_ymmm256, Code::EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er),
            true => self.pick(Code::VEX_Vfnmadd213ps_ymm_ymm_ymmm256, Code::EVEX_Vfnmadd213ps_zmm_k1z_zmm_zmmm512b32_er),
        };
        if d == c {
            self.three(onto_c, d, a, b);
        } else if d == b {
            self.three(onto_a, d, a, c);
        } else {
            self.move_vector(d, a);
            self.three(onto_a, d, b, c);
        }
    }

    pub(super) fn vector_unary(&mut self, op: UnOp, d: V, a: V) {
        match op {
            UnOp::Neg => self.with_constant(BinOp::Xor, d, a, 0x8000_0000),
            UnOp::Abs => self.with_constant(BinOp::And, d, a, 0x7fff_ffff),
            UnOp::Not => self.with_constant(BinOp::Xor, d, a, 0xffff_ffff),
            UnOp::Sqrt => {
                let code = self.pick(Code::VEX_Vsqrtps_ymm_ymmm256, Code::EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er);
                self.two(code, d, a);
            }
            // Bit 3 suppresses the inexact exception.
            UnOp::Round => self.round(d, a, 8),
            UnOp::Floor => self.round(d, a, 9),
            UnOp::Ceil => self.round(d, a, 10),
            UnOp::Trunc => self.round(d, a, 11),
            UnOp::ToInt => {
                let code = self.pick(Code::VEX_Vcvtps2dq_ymm_ymmm256, Code::EVEX_Vcvtps2dq_zmm_k1z_zmmm512b32_er);
                self.two(code, d, a);
            }
            UnOp::ToFloat => {
                let code = self.pick(Code::VEX_Vcvtdq2ps_ymm_ymmm256, Code::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er);
                self.two(code, d, a);
            }
            UnOp::Shl(n) => self.shift(Code::VEX_Vpslld_ymm_ymm_imm8, Code::EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8, d, a, n),
            UnOp::Shr(n) => self.shift(Code::VEX_Vpsrld_ymm_ymm_imm8, Code::EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8, d, a, n),
            UnOp::Sar(n) => self.shift(Code::VEX_Vpsrad_ymm_ymm_imm8, Code::EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8, d, a, n),
        }
    }

    fn round(&mut self, d: V, a: V, mode: u32) {
        let code = self.pick(Code::VEX_Vroundps_ymm_ymmm256_imm8, Code::EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae);
        self.two_imm(code, d, a, mode);
    }

    fn shift(&mut self, vex: Code, evex: Code, d: V, a: V, n: u8) {
        let code = self.pick(vex, evex);
        self.two_imm(code, d, a, u32::from(n));
    }

    /// `d = a op constant`, the constant as a memory operand (full width for VEX, broadcast for EVEX).
    fn with_constant(&mut self, op: BinOp, d: V, a: V, bits: u32) {
        let (vex, evex) = binary_codes(op);
        let (d, a) = (self.v(d), self.v(a));
        if self.wide {
            let mut m = self.constant(vec![bits]);
            m.is_broadcast = true;
            self.push(Instruction::with3(evex, d, a, m));
        } else {
            let m = self.constant(vec![bits; 8]);
            self.push(Instruction::with3(vex, d, a, m));
        }
    }

    pub(super) fn reduce_lanes(&mut self, op: ReduceOp, d: V, s: V, tmp: [V; 2]) {
        self.move_vector(d, s);
        if self.wide {
            for imm in [0x4e, 0xb1] {
                self.three_imm(Code::EVEX_Vshuff32x4_zmm_k1z_zmm_zmmm512b32_imm8, tmp[0], d, d, imm);
                self.combine(op, d, tmp);
            }
        } else {
            self.three_imm(Code::VEX_Vperm2f128_ymm_ymm_ymmm256_imm8, tmp[0], d, d, 1);
            self.combine(op, d, tmp);
        }
        let shuffle = self.pick(Code::VEX_Vshufps_ymm_ymm_ymmm256_imm8, Code::EVEX_Vshufps_zmm_k1z_zmm_zmmm512b32_imm8);
        for imm in [0x4e, 0xb1] {
            self.three_imm(shuffle, tmp[0], d, d, imm);
            self.combine(op, d, tmp);
        }
    }

    /// `d = d op tmp[0]`. `vmaxps` loses a NaN in its first operand: or-ing the "is NaN" mask (all ones) brings it back.
    fn combine(&mut self, op: ReduceOp, d: V, tmp: [V; 2]) {
        let bin = match op {
            ReduceOp::Sum => return self.vector_binary(BinOp::Add, d, d, tmp[0]),
            ReduceOp::Max => BinOp::Max,
            ReduceOp::Min => BinOp::Min,
        };
        self.vector_compare(CmpOp::Unord, tmp[1], d, d);
        self.vector_binary(bin, d, d, tmp[0]);
        self.vector_binary(BinOp::Or, d, d, tmp[1]);
    }

    /// `d[i]` holds four elements of row `i + 4 q` in its 128-bit quarter `q`.
    pub(super) fn load_rows_of_four(&mut self, d: [V; 4], base: Gpr, stride: Src) {
        let quarters = if self.wide { 4 } else { 2 };
        for row in 0..4 * quarters {
            let (i, q) = (row % 4, row / 4);
            let m = match stride {
                Src::Imm(s) => Mem::new(base, (row as i64 * s) as i32),
                Src::Reg(_) => Mem::new(base, 0),
            };
            let m = self.mem(m);
            self.load_quarter(d[i], q as u32, m);
            if let Src::Reg(s) = stride {
                self.add_int(base, base, Src::Reg(s));
            }
        }
    }

    fn load_quarter(&mut self, d: V, quarter: u32, m: MemoryOperand) {
        let (full, low) = (self.v(d), self.x(d));
        let i = match (quarter, self.wide) {
            (0, false) => Instruction::with2(Code::VEX_Vmovups_xmm_xmmm128, low, m),
            (0, true) => Instruction::with2(Code::EVEX_Vmovups_xmm_k1z_xmmm128, low, m),
            (q, false) => Instruction::with4(Code::VEX_Vinsertf128_ymm_ymm_xmmm128_imm8, full, full, m, q),
            (q, true) => Instruction::with4(Code::EVEX_Vinsertf32x4_zmm_k1z_zmm_xmmm128_imm8, full, full, m, q),
        };
        self.push(i);
    }

    /// Transposes the 4x4 block of each 128-bit quarter.
    pub(super) fn transpose_quads(&mut self, d: [V; 4], t: [V; 4]) {
        let low = self.pick(Code::VEX_Vunpcklps_ymm_ymm_ymmm256, Code::EVEX_Vunpcklps_zmm_k1z_zmm_zmmm512b32);
        let high = self.pick(Code::VEX_Vunpckhps_ymm_ymm_ymmm256, Code::EVEX_Vunpckhps_zmm_k1z_zmm_zmmm512b32);
        let shuffle = self.pick(Code::VEX_Vshufps_ymm_ymm_ymmm256_imm8, Code::EVEX_Vshufps_zmm_k1z_zmm_zmmm512b32_imm8);
        self.three(low, t[0], d[0], d[1]);
        self.three(low, t[1], d[2], d[3]);
        self.three(high, t[2], d[0], d[1]);
        self.three(high, t[3], d[2], d[3]);
        self.three_imm(shuffle, d[0], t[0], t[1], 0x44);
        self.three_imm(shuffle, d[1], t[0], t[1], 0xee);
        self.three_imm(shuffle, d[2], t[2], t[3], 0x44);
        self.three_imm(shuffle, d[3], t[2], t[3], 0xee);
    }
}
