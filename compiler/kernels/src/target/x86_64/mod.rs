//! x86-64: AVX2+FMA and AVX-512 behind [`VectorIsa`], one implementation for both.
//!
//! Instructions are collected as iced-x86 values and encoded at the end, so that the prologue can save exactly the
//! registers which the body used. Each operation names its VEX form on ymm and its EVEX form on zmm; `X64::pick` chooses.
//! Products of bytes are `vpdpbusd` where there is VNNI, else exact 16-bit products (`bytes.rs`).
//! AVX-512 keeps the tail in k1 and uses k2 between two instructions of one operation.
//!
//! Frame, from the stack pointer up: integer slots, vector slots, saved xmm (Win64), pushed registers, return address.

mod bytes;
mod frame;
mod int;
mod vector;

use crate::isa::{
    Arithmetic, BinOp, CmpOp, Cond, EmitError, Gpr, IsaInfo, Label, Mem, ReduceOp, Slot, Src, Tail, UnOp, V, VSlot, VectorIsa,
};
use crate::target::{CallConv, Isa, TargetDesc};
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};
use std::collections::HashMap;

/// An assembler for one x86-64 function.
pub struct X64 {
    wide: bool,
    win64: bool,
    vnni: bool,
    strict: bool,
    body: Vec<Instruction>,
    labels: u32,
    bound: u32,
    pool: Vec<(Vec<u32>, u64)>,
    pool_index: HashMap<Vec<u32>, u64>,
    used_gprs: u32,
    used_vregs: u32,
    slots: u16,
    vslots: u16,
    error: Option<String>,
}

const SYSV: [Register; 15] = [
    Register::RDI,
    Register::RSI,
    Register::RDX,
    Register::RCX,
    Register::R8,
    Register::R9,
    Register::RAX,
    Register::R10,
    Register::R11,
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

const WIN64: [Register; 15] = [
    Register::RCX,
    Register::RDX,
    Register::R8,
    Register::R9,
    Register::RAX,
    Register::R10,
    Register::R11,
    Register::RDI,
    Register::RSI,
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

impl X64 {
    /// An empty function for a target of this architecture.
    pub fn new(target: &TargetDesc) -> Self {
        X64 {
            wide: target.isa == Isa::Avx512,
            win64: target.call_conv == CallConv::Win64,
            vnni: target.features.vnni,
            strict: target.strict,
            body: Vec::new(),
            labels: 0,
            bound: 0,
            pool: Vec::new(),
            pool_index: HashMap::new(),
            used_gprs: 0,
            used_vregs: 0,
            slots: 0,
            vslots: 0,
            error: None,
        }
    }

    /// Vector registers free for kernels. Strict arithmetic takes the last for products.
    fn vregs(&self) -> usize {
        let all = if self.wide { 32 } else { 16 };
        all - usize::from(self.strict)
    }

    fn gprs(&self) -> &'static [Register; 15] {
        if self.win64 { &WIN64 } else { &SYSV }
    }

    /// The 64-bit register behind `r`, noted as used.
    fn g(&mut self, r: Gpr) -> Register {
        self.used_gprs |= 1 << r.0;
        self.gprs()[r.0 as usize]
    }

    /// The 32-bit view of `r`.
    fn g32(&mut self, r: Gpr) -> Register {
        let number = self.g(r) as u32 - Register::RAX as u32;
        Register::EAX + number
    }

    /// The full-width vector register behind `v`, noted as used.
    fn v(&mut self, v: V) -> Register {
        self.used_vregs |= 1 << v.0;
        let base = if self.wide { Register::ZMM0 } else { Register::YMM0 };
        base + u32::from(v.0)
    }

    /// The low 128 bits of `v`.
    fn x(&mut self, v: V) -> Register {
        self.used_vregs |= 1 << v.0;
        Register::XMM0 + u32::from(v.0)
    }

    /// VEX form on AVX2, EVEX form on AVX-512.
    fn pick(&self, vex: Code, evex: Code) -> Code {
        if self.wide { evex } else { vex }
    }

    fn push(&mut self, i: Result<Instruction, IcedError>) {
        match i {
            Ok(i) => self.body.push(i),
            Err(e) => {
                self.error.get_or_insert_with(|| e.to_string());
            }
        }
    }

    fn mem(&mut self, m: Mem) -> MemoryOperand {
        let base = self.g(m.base);
        let size = u32::from(m.disp != 0);
        match m.index {
            Some(i) => {
                let index = self.g(i);
                MemoryOperand::with_base_index_scale_displ_size(base, index, 1, i64::from(m.disp), size)
            }
            None => MemoryOperand::with_base_displ_size(base, i64::from(m.disp), size),
        }
    }

    /// Address of a constant, which `finish` places after the code. Equal constants share a place.
    fn constant(&mut self, words: Vec<u32>) -> MemoryOperand {
        let id = match self.pool_index.get(&words) {
            Some(&id) => id,
            None => {
                self.labels += 1;
                self.bound += 1;
                let id = u64::from(self.labels);
                self.pool_index.insert(words.clone(), id);
                self.pool.push((words, id));
                id
            }
        };
        MemoryOperand::with_base_displ(Register::RIP, id as i64)
    }
}

/// Forwards the trait to the inherent methods of the modules of this folder, which group them by kind.
impl VectorIsa for X64 {
    fn info(&self) -> IsaInfo {
        IsaInfo {
            name: if self.wide { "x86_64_avx512" } else { "x86_64_avx2" },
            lanes: if self.wide { 16 } else { 8 },
            vregs: self.vregs(),
            gprs: 15,
            k_step: 1,
            wide_disp: true,
            arithmetic: Arithmetic { nan_minmax: false, strict: self.strict },
            dot: self.dot_info(),
        }
    }
    fn finish(&mut self, args: usize) -> Result<Vec<u8>, EmitError> {
        self.finish_function(args).map_err(EmitError::Encoding)
    }
    fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels)
    }
    fn bind(&mut self, label: Label) {
        self.bound += 1;
        let mut mark = Instruction::with(Code::Zero_bytes);
        mark.set_ip(u64::from(label.0));
        self.body.push(mark);
    }
    fn jump(&mut self, label: Label) {
        self.push(Instruction::with_branch(Code::Jmp_rel32_64, u64::from(label.0)));
    }
    fn branch(&mut self, cond: Cond, a: Gpr, b: Src, label: Label) {
        self.compare_and_branch(cond, a, b, label);
    }
    fn mov(&mut self, d: Gpr, s: Src) {
        self.move_int(d, s);
    }
    fn add(&mut self, d: Gpr, a: Gpr, b: Src) {
        self.add_int(d, a, b);
    }
    fn sub(&mut self, d: Gpr, a: Gpr, b: Src) {
        self.sub_int(d, a, b);
    }
    fn mul(&mut self, d: Gpr, a: Gpr, b: Src) {
        self.mul_int(d, a, b);
    }
    fn shl(&mut self, d: Gpr, a: Gpr, n: u8) {
        self.shift_int(Code::Shl_rm64_imm8, d, a, n);
    }
    fn shr(&mut self, d: Gpr, a: Gpr, n: u8) {
        self.shift_int(Code::Shr_rm64_imm8, d, a, n);
    }
    fn udiv(&mut self, d: Gpr, a: Gpr, b: Gpr, tmp: [V; 2]) {
        self.divide_int(d, a, b, tmp);
    }
    fn mov_if(&mut self, cond: Cond, a: Gpr, b: Src, d: Gpr, s: Gpr) {
        self.conditional_move(cond, a, b, d, s);
    }
    fn load_int(&mut self, d: Gpr, m: Mem) {
        let (d, m) = (self.g(d), self.mem(m));
        self.push(Instruction::with2(Code::Mov_r64_rm64, d, m));
    }
    fn store_int(&mut self, m: Mem, s: Gpr) {
        let (m, s) = (self.mem(m), self.g(s));
        self.push(Instruction::with2(Code::Mov_rm64_r64, m, s));
    }
    fn load_word(&mut self, d: Gpr, m: Mem) {
        let (d, m) = (self.g32(d), self.mem(m));
        self.push(Instruction::with2(Code::Mov_r32_rm32, d, m));
    }
    fn store_word(&mut self, m: Mem, s: Gpr) {
        let (m, s) = (self.mem(m), self.g32(s));
        self.push(Instruction::with2(Code::Mov_rm32_r32, m, s));
    }
    fn slot(&mut self) -> Slot {
        self.slots += 1;
        Slot(self.slots - 1)
    }
    fn load_slot(&mut self, d: Gpr, slot: Slot) {
        let (d, m) = (self.g(d), self.slot_mem(slot));
        self.push(Instruction::with2(Code::Mov_r64_rm64, d, m));
    }
    fn store_slot(&mut self, slot: Slot, s: Gpr) {
        let (m, s) = (self.slot_mem(slot), self.g(s));
        self.push(Instruction::with2(Code::Mov_rm64_r64, m, s));
    }
    fn vslot(&mut self) -> VSlot {
        self.vslots += 1;
        VSlot(self.vslots - 1)
    }
    fn vslot_address(&mut self, d: Gpr, slot: VSlot) {
        let (d, m) = (self.g(d), self.vslot_mem(slot));
        self.push(Instruction::with2(Code::Lea_r64_m, d, m));
    }
    fn reload(&mut self, d: V, slot: VSlot) {
        let m = self.vslot_mem(slot);
        self.load_from(d, m);
    }
    fn spill(&mut self, slot: VSlot, s: V) {
        let m = self.vslot_mem(slot);
        self.store_to(m, s);
    }
    fn load(&mut self, d: V, m: Mem) {
        let m = self.mem(m);
        self.load_from(d, m);
    }
    fn store(&mut self, m: Mem, s: V) {
        let m = self.mem(m);
        self.store_to(m, s);
    }
    fn load_splat(&mut self, d: V, m: Mem) {
        let m = self.mem(m);
        self.broadcast_from(d, m);
    }
    fn store_lane0(&mut self, m: Mem, s: V) {
        let (m, s) = (self.mem(m), self.x(s));
        let code = self.pick(Code::VEX_Vmovss_m32_xmm, Code::EVEX_Vmovss_m32_k1_xmm);
        self.push(Instruction::with2(code, m, s));
    }
    fn make_tail(&mut self, count: Src, mask: V) -> Tail {
        self.set_tail_mask(count, mask);
        Tail { count, mask }
    }
    fn load_tail(&mut self, d: V, m: Mem, tail: &Tail) {
        self.load_masked(d, m, tail);
    }
    fn store_tail(&mut self, m: Mem, s: V, tail: &Tail) {
        self.store_masked(m, s, tail);
    }
    fn fill_tail(&mut self, d: V, fill: V, tail: &Tail) {
        self.blend_tail(d, fill, tail);
    }
    fn load_bytes(&mut self, d: V, m: Mem, signed: bool) {
        self.widen_bytes(d, m, signed);
    }
    fn load_f16(&mut self, d: V, m: Mem) {
        let code = self.pick(Code::VEX_Vcvtph2ps_ymm_xmmm128, Code::EVEX_Vcvtph2ps_zmm_k1z_ymmm256_sae);
        let (d, m) = (self.v(d), self.mem(m));
        self.push(Instruction::with2(code, d, m));
    }
    fn store_bytes(&mut self, m: Mem, s: V, signed: bool) {
        self.narrow_to_bytes(m, s, signed);
    }
    fn load_bytes_tail(&mut self, d: V, m: Mem, signed: bool, tail: &Tail) {
        self.widen_first_bytes(d, m, signed, tail);
    }
    fn pack_words(&mut self, d: V, a: V, b: V) {
        self.three(self.pick(Code::VEX_Vpackssdw_ymm_ymm_ymmm256, Code::EVEX_Vpackssdw_zmm_k1z_zmm_zmmm512b32), d, a, b);
    }
    fn store_words(&mut self, m: Mem, s: &[V], signed: bool, tmp: V) {
        self.narrow_words_to_bytes(m, s, signed, tmp);
    }
    fn store_bytes_tail(&mut self, m: Mem, s: V, signed: bool, tail: &Tail) {
        self.narrow_to_first_bytes(m, s, signed, tail);
    }
    fn prefetch(&mut self, m: Mem) {
        let m = self.mem(m);
        self.push(Instruction::with1(Code::Prefetcht1_m8, m));
    }
    fn vmov(&mut self, d: V, s: V) {
        self.move_vector(d, s);
    }
    fn splat(&mut self, d: V, bits: u32) {
        self.splat_bits(d, bits);
    }
    fn splat_int(&mut self, d: V, s: Gpr) {
        self.splat_converted(d, s);
    }
    fn unary(&mut self, op: UnOp, d: V, a: V) {
        self.vector_unary(op, d, a);
    }
    fn binary(&mut self, op: BinOp, d: V, a: V, b: V) {
        self.vector_binary(op, d, a, b);
    }
    fn fma(&mut self, d: V, a: V, b: V) {
        if self.strict {
            let product = V(self.vregs() as u8);
            self.binary(BinOp::Mul, product, a, b);
            self.binary(BinOp::Add, d, d, product);
        } else {
            self.fused(false, d, a, b, d);
        }
    }
    fn mul_add(&mut self, d: V, a: V, b: V, c: V) {
        self.fused(false, d, a, b, c);
    }
    fn neg_mul_add(&mut self, d: V, a: V, b: V, c: V) {
        self.fused(true, d, a, b, c);
    }
    fn cmp(&mut self, op: CmpOp, d: V, a: V, b: V) {
        self.vector_compare(op, d, a, b);
    }
    fn select(&mut self, d: V, mask: V, a: V, b: V) {
        self.vector_select(d, mask, a, b);
    }
    fn reduce(&mut self, op: ReduceOp, d: V, s: V, tmp: [V; 2]) {
        self.reduce_lanes(op, d, s, tmp);
    }
    fn load_scalars(&mut self, d: V, m: Mem, _n: usize) {
        let m = self.mem(m);
        self.broadcast_from(d, m);
    }
    fn fma_scalar(&mut self, acc: V, b: V, s: V, _lane: usize) {
        self.fma(acc, b, s);
    }
    fn load_dot_groups(&mut self, d: V, m: Mem, _n: usize) {
        let m = self.mem(m);
        self.broadcast_from(d, m);
    }
    fn load_dot_weights(&mut self, d: V, m: Mem) {
        self.load(d, m);
    }
    fn dot(&mut self, acc: &[V], b: &[V], s: V, _lane: usize, tmp: &[V]) {
        acc.iter().zip(b).for_each(|(&acc, &b)| self.dot_product(acc, b, s, tmp));
    }
    fn interleave(&mut self, d: &[V], rows: &[V], tmp: [V; 2]) {
        self.interleave_rows(d, rows, tmp);
    }
    fn dot_lanes(&mut self, acc: V, a: V, w: V, tmp: &[V]) {
        self.dot_product(acc, w, a, tmp);
    }
    fn top_bits(&mut self, d: Gpr, s: V) {
        self.move_top_bits(d, s);
    }
    fn words(&mut self, d: V, s: V, odd: bool, signed: bool) {
        self.bytes_to_words(d, s, odd, signed);
    }
    fn dot_words(&mut self, acc: V, a: V, b: V, tmp: V) {
        self.multiply_words(acc, a, b, tmp);
    }
    fn load_transposed4(&mut self, d: [V; 4], base: Gpr, stride: Src, tmp: [V; 4]) {
        self.load_rows_of_four(d, base, stride);
        self.transpose_quads(d, tmp);
    }
}
