//! NEON (Advanced SIMD, armv8.0) behind [`VectorIsa`]: vectors of four f32.
//!
//! The kernel's registers are positions: `Gpr(0)..Gpr(8)` are `x0`..`x7`, then `x8`..`x15`, then the callee-saved `x19`..`x28`; `V` goes through `v0`..`v7`
//! and `v16`..`v30` before the callee-saved `v8`..`v15`. `x16`, `x17` and `v31` are the implementation's own, and hold nothing from one
//! operation to the next; `x18`, `x29` and `x30` are not touched.
//!
//! The body is written first, then a prologue that saves what the body used is put before it (`frame.rs`). Addresses that no load or store can
//! hold go through `x16` (`memory.rs`). Two loads or stores of neighbouring vectors, one right after the other, become one `ldp` or `stp`. Each
//! run of instructions between labels and branches is then put into an order that suits in-order cores (`schedule.rs`).

mod bytes;
mod effects;
mod frame;
mod memory;
mod schedule;
mod values;

use super::encoder::{self as a64, Arr, Assembler, Size};
use crate::isa::{
    Arithmetic, BinOp, CmpOp, Cond, EmitError, Gpr, IsaInfo, Label, Mem, ReduceOp, Slot, Src, Tail, UnOp, V, VSlot, VectorIsa,
};
use crate::target::{Features, TargetDesc};
use memory::{LastAccess, ScratchSum};

/// Hardware numbers of the kernel's general-purpose registers.
const GPRS: [u8; 26] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28];
/// Hardware numbers of the kernel's vector registers.
const VREGS: [u8; 31] =
    [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 8, 9, 10, 11, 12, 13, 14, 15];
/// Addresses and constants that live within one operation.
const SCRATCH: a64::Gpr = a64::x(16);
/// A vector that lives within one operation.
const VECTOR_SCRATCH: a64::V = a64::V(31);

/// An assembler for one AArch64 function.
#[derive(Default)]
pub struct Neon {
    asm: Assembler,
    features: Features,
    strict: bool,
    labels: Vec<a64::Label>,
    /// Bit per hardware number.
    used_gprs: u32,
    used_vregs: u32,
    /// Bytes of slots.
    locals: u32,
    last: Option<LastAccess>,
    sum: Option<ScratchSum>,
    /// Where the present block of straight code began.
    block: usize,
    error: Option<String>,
}

impl Neon {
    /// An empty function for a target of this architecture.
    pub fn new(target: &TargetDesc) -> Self {
        Neon { features: target.features, strict: target.strict, ..Self::default() }
    }

    /// The register behind `r`, noted as used.
    fn g(&mut self, r: Gpr) -> a64::Gpr {
        let number = GPRS.get(r.0 as usize).copied().unwrap_or_else(|| self.no_register(r));
        self.used_gprs |= 1 << number;
        a64::x(number)
    }

    /// The vector register behind `v`, noted as used.
    fn v(&mut self, v: V) -> a64::V {
        let number = VREGS.get(v.0 as usize).copied().unwrap_or_else(|| self.no_register(v));
        self.used_vregs |= 1 << number;
        a64::V(number)
    }

    fn no_register(&mut self, r: impl std::fmt::Debug) -> u8 {
        self.error.get_or_insert_with(|| format!("no register {r:?}"));
        0
    }

    /// Brings an operand into a register: itself, or the scratch register with the constant.
    fn operand(&mut self, s: Src) -> a64::Gpr {
        match s {
            Src::Reg(r) => self.g(r),
            Src::Imm(0) => a64::XZR,
            Src::Imm(value) => {
                self.asm.mov_imm(SCRATCH, value);
                SCRATCH
            }
        }
    }

    fn compare(&mut self, a: Gpr, b: Src) {
        let a = self.g(a);
        match b {
            Src::Imm(value) if is_add_immediate(value) => self.asm.cmp_imm(a, value as u32),
            Src::Imm(value) if value.checked_neg().is_some_and(is_add_immediate) => {
                self.asm.adds_imm(a64::XZR, a, -value as u32);
            }
            _ => {
                let b = self.operand(b);
                self.asm.cmp(a, b);
            }
        }
    }

    /// Ends a block of straight code: whatever comes next stays behind it.
    fn end_block(&mut self) {
        let order = schedule::schedule(self.asm.words_from(self.block));
        self.asm.reorder(self.block, &order);
        self.block = self.asm.offset();
        self.last = None;
    }

    /// Excludes the instructions just written from scheduling.
    fn skip_block(&mut self) {
        self.block = self.asm.offset();
        self.last = None;
    }

    fn a64_label(&mut self, label: Label) -> Option<a64::Label> {
        let known = self.labels.get(label.0 as usize).copied();
        if known.is_none() {
            self.error.get_or_insert_with(|| format!("label {} is not of this function", label.0));
        }
        known
    }
}

/// Whether `add` and `cmp` hold the constant in one instruction.
fn is_add_immediate(value: i64) -> bool {
    (0..1 << 12).contains(&value) || (0..1 << 24).contains(&value) && value & 0xfff == 0
}

fn condition(cond: Cond) -> a64::Cond {
    match cond {
        Cond::Eq => a64::Cond::Eq,
        Cond::Ne => a64::Cond::Ne,
        Cond::Lt => a64::Cond::Lt,
        Cond::Le => a64::Cond::Le,
        Cond::Gt => a64::Cond::Gt,
        Cond::Ge => a64::Cond::Ge,
        Cond::Ult => a64::Cond::Lo,
    }
}

impl VectorIsa for Neon {
    fn info(&self) -> IsaInfo {
        IsaInfo {
            name: "aarch64_neon",
            lanes: 4,
            vregs: VREGS.len(),
            gprs: GPRS.len(),
            k_step: 4,
            wide_disp: false,
            arithmetic: Arithmetic { nan_minmax: true, strict: self.strict },
            dot: self.dot_info(),
        }
    }

    fn finish(&mut self, args: usize) -> Result<Vec<u8>, EmitError> {
        self.finish_function(args)
    }

    fn label(&mut self) -> Label {
        self.labels.push(self.asm.label());
        Label(self.labels.len() as u32 - 1)
    }

    fn bind(&mut self, label: Label) {
        self.end_block();
        if let Some(label) = self.a64_label(label) {
            self.asm.bind(label);
        }
    }

    fn jump(&mut self, label: Label) {
        self.end_block();
        if let Some(label) = self.a64_label(label) {
            self.asm.b(label);
        }
        self.skip_block();
    }

    fn branch(&mut self, cond: Cond, a: Gpr, b: Src, label: Label) {
        let Some(label) = self.a64_label(label) else { return };
        match (cond, b) {
            (Cond::Eq, Src::Imm(0)) => {
                let a = self.g(a);
                self.end_block();
                self.asm.cbz(a, label);
            }
            (Cond::Ne, Src::Imm(0)) => {
                let a = self.g(a);
                self.end_block();
                self.asm.cbnz(a, label);
            }
            _ => {
                self.compare(a, b);
                self.end_block();
                self.asm.b_cond(condition(cond), label);
            }
        }
        self.skip_block();
    }

    fn mov(&mut self, d: Gpr, s: Src) {
        let to = self.g(d);
        match s {
            Src::Reg(s) if s == d => {}
            Src::Reg(s) => {
                let s = self.g(s);
                self.asm.mov(to, s);
            }
            Src::Imm(value) => self.asm.mov_imm(to, value),
        }
    }

    fn add(&mut self, d: Gpr, a: Gpr, b: Src) {
        let (d, a) = (self.g(d), self.g(a));
        match b {
            Src::Reg(b) => {
                let b = self.g(b);
                self.asm.add(d, a, b);
            }
            Src::Imm(value) => self.asm.add_any(d, a, value, SCRATCH),
        }
    }

    fn sub(&mut self, d: Gpr, a: Gpr, b: Src) {
        let (d, a) = (self.g(d), self.g(a));
        match b {
            Src::Imm(value) if value != i64::MIN => self.asm.add_any(d, a, -value, SCRATCH),
            _ => {
                let b = self.operand(b);
                self.asm.sub(d, a, b);
            }
        }
    }

    fn mul(&mut self, d: Gpr, a: Gpr, b: Src) {
        let (d, a) = (self.g(d), self.g(a));
        match b {
            Src::Imm(value) if value > 0 && value & (value - 1) == 0 => self.asm.lsl(d, a, value.trailing_zeros()),
            _ => {
                let b = self.operand(b);
                self.asm.mul(d, a, b);
            }
        }
    }

    fn shl(&mut self, d: Gpr, a: Gpr, n: u8) {
        let (d, a) = (self.g(d), self.g(a));
        self.asm.lsl(d, a, n.into());
    }

    fn shr(&mut self, d: Gpr, a: Gpr, n: u8) {
        let (d, a) = (self.g(d), self.g(a));
        self.asm.lsr(d, a, n.into());
    }

    fn udiv(&mut self, d: Gpr, a: Gpr, b: Gpr, _tmp: [V; 2]) {
        let (d, a, b) = (self.g(d), self.g(a), self.g(b));
        self.asm.udiv(d, a, b);
    }

    fn mov_if(&mut self, cond: Cond, a: Gpr, b: Src, d: Gpr, s: Gpr) {
        self.compare(a, b);
        let (d, s) = (self.g(d), self.g(s));
        self.asm.csel(d, s, d, condition(cond));
    }

    fn load_int(&mut self, d: Gpr, m: Mem) {
        let (d, m) = (self.g(d), self.address(m, Size::D));
        self.asm.ldr(d, m);
    }

    fn store_int(&mut self, m: Mem, s: Gpr) {
        let (s, m) = (self.g(s), self.address(m, Size::D));
        self.asm.str(s, m);
    }

    fn load_word(&mut self, d: Gpr, m: Mem) {
        let (d, m) = (self.g(d).as_w(), self.address(m, Size::S));
        self.asm.ldr(d, m);
    }

    fn store_word(&mut self, m: Mem, s: Gpr) {
        let (s, m) = (self.g(s).as_w(), self.address(m, Size::S));
        self.asm.str(s, m);
    }

    fn slot(&mut self) -> Slot {
        Slot((self.new_local(8) / 8) as u16)
    }

    fn load_slot(&mut self, d: Gpr, slot: Slot) {
        let (d, m) = (self.g(d), self.local(u32::from(slot.0) * 8, Size::D));
        self.asm.ldr(d, m);
    }

    fn store_slot(&mut self, slot: Slot, s: Gpr) {
        let (s, m) = (self.g(s), self.local(u32::from(slot.0) * 8, Size::D));
        self.asm.str(s, m);
    }

    fn vslot(&mut self) -> VSlot {
        VSlot((self.new_local(16) / 16) as u16)
    }

    fn vslot_address(&mut self, d: Gpr, slot: VSlot) {
        let d = self.g(d);
        self.asm.add_any(d, a64::SP, i64::from(slot.0) * 16, SCRATCH);
    }

    fn reload(&mut self, d: V, slot: VSlot) {
        let (d, m) = (self.v(d), self.local(u32::from(slot.0) * 16, Size::Q));
        self.asm.ldr_v(Size::Q, d, m);
    }

    fn spill(&mut self, slot: VSlot, s: V) {
        let (s, m) = (self.v(s), self.local(u32::from(slot.0) * 16, Size::Q));
        self.asm.str_v(Size::Q, s, m);
    }

    fn load(&mut self, d: V, m: Mem) {
        self.load_vector(d, m);
    }

    fn store(&mut self, m: Mem, s: V) {
        self.store_vector(m, s);
    }

    fn load_splat(&mut self, d: V, m: Mem) {
        let (d, base) = (self.v(d), self.plain_address(m));
        self.asm.ld1r(Arr::S4, d, a64::Mem::Offset(base, 0));
    }

    fn store_lane0(&mut self, m: Mem, s: V) {
        let (s, m) = (self.v(s), self.address(m, Size::S));
        self.asm.str_v(Size::S, s, m);
    }

    fn make_tail(&mut self, count: Src, mask: V) -> Tail {
        self.set_tail_mask(count, mask);
        Tail { count, mask }
    }

    fn load_tail(&mut self, d: V, m: Mem, tail: &Tail) {
        match tail.count {
            Src::Imm(n) => self.load_first(d, m, n),
            Src::Reg(count) => self.load_counted(d, m, count),
        }
    }

    fn store_tail(&mut self, m: Mem, s: V, tail: &Tail) {
        match tail.count {
            Src::Imm(n) => self.store_first(m, s, n),
            Src::Reg(count) => self.store_counted(m, s, count),
        }
    }

    fn fill_tail(&mut self, d: V, fill: V, tail: &Tail) {
        let (d, fill, mask) = (self.v(d), self.v(fill), self.v(tail.mask));
        self.asm.bif(Arr::B16, d, fill, mask);
    }

    fn load_bytes(&mut self, d: V, m: Mem, signed: bool) {
        self.widen_bytes(d, m, signed, 4);
    }

    fn load_f16(&mut self, d: V, m: Mem) {
        let (d, m) = (self.v(d), self.address(m, Size::D));
        self.asm.ldr_v(Size::D, d, m);
        self.asm.fcvtl(Arr::H4, d, d);
    }

    fn store_bytes(&mut self, m: Mem, s: V, signed: bool) {
        self.narrow_to_bytes(m, s, 4, signed);
    }

    fn load_bytes_tail(&mut self, d: V, m: Mem, signed: bool, tail: &Tail) {
        let n = self.constant_length(tail);
        self.widen_bytes(d, m, signed, n);
    }

    fn pack_words(&mut self, d: V, a: V, b: V) {
        self.pack_lanes(d, a, b);
    }

    fn store_words(&mut self, m: Mem, s: &[V], signed: bool, _tmp: V) {
        self.narrow_words_to_bytes(m, s, signed);
    }

    fn store_bytes_tail(&mut self, m: Mem, s: V, signed: bool, tail: &Tail) {
        let n = self.constant_length(tail);
        self.narrow_to_bytes(m, s, n, signed);
    }

    fn prefetch(&mut self, m: Mem) {
        let m = self.address(m, Size::D);
        self.asm.prfm(a64::Prefetch::LoadL2Keep, m);
    }

    fn vmov(&mut self, d: V, s: V) {
        if d != s {
            let (d, s) = (self.v(d), self.v(s));
            self.asm.vmov(Arr::B16, d, s);
        }
    }

    fn splat(&mut self, d: V, bits: u32) {
        self.splat_bits(d, bits);
    }

    fn splat_int(&mut self, d: V, s: Gpr) {
        let (d, s) = (self.v(d), self.g(s));
        self.asm.scvtf_gpr(Size::S, d, s);
        self.asm.dup_lane(Arr::S4, d, d, 0);
    }

    fn unary(&mut self, op: UnOp, d: V, a: V) {
        self.vector_unary(op, d, a);
    }

    fn binary(&mut self, op: BinOp, d: V, a: V, b: V) {
        self.vector_binary(op, d, a, b);
    }

    fn fma(&mut self, d: V, a: V, b: V) {
        let (d, a, b) = (self.v(d), self.v(a), self.v(b));
        if self.strict {
            self.asm.fmul(Arr::S4, VECTOR_SCRATCH, a, b);
            self.asm.fadd(Arr::S4, d, d, VECTOR_SCRATCH);
        } else {
            self.asm.fmla(Arr::S4, d, a, b);
        }
    }

    fn mul_add(&mut self, d: V, a: V, b: V, c: V) {
        self.accumulate(Assembler::fmla, d, a, b, c);
    }

    fn neg_mul_add(&mut self, d: V, a: V, b: V, c: V) {
        self.accumulate(Assembler::fmls, d, a, b, c);
    }

    fn cmp(&mut self, op: CmpOp, d: V, a: V, b: V) {
        self.vector_compare(op, d, a, b);
    }

    fn select(&mut self, d: V, mask: V, a: V, b: V) {
        self.vector_select(d, mask, a, b);
    }

    fn reduce(&mut self, op: ReduceOp, d: V, s: V, _tmp: [V; 2]) {
        let pairwise = match op {
            ReduceOp::Sum => Assembler::faddp,
            ReduceOp::Max => Assembler::fmaxp,
            ReduceOp::Min => Assembler::fminp,
        };
        let (d, s) = (self.v(d), self.v(s));
        pairwise(&mut self.asm, Arr::S4, d, s, s);
        pairwise(&mut self.asm, Arr::S4, d, d, d);
    }

    fn load_scalars(&mut self, d: V, m: Mem, n: usize) {
        match n {
            4 => self.load_vector(d, m),
            _ => self.load_first(d, m, n as i64),
        }
    }

    fn fma_scalar(&mut self, acc: V, b: V, s: V, lane: usize) {
        let (acc, b, s) = (self.v(acc), self.v(b), self.v(s));
        if self.strict {
            self.asm.fmul_lane(Arr::S4, VECTOR_SCRATCH, b, s, lane as u32);
            self.asm.fadd(Arr::S4, acc, acc, VECTOR_SCRATCH);
        } else {
            self.asm.fmla_lane(Arr::S4, acc, b, s, lane as u32);
        }
    }

    fn load_dot_groups(&mut self, d: V, m: Mem, n: usize) {
        self.dot_groups(d, m, n);
    }

    fn load_dot_weights(&mut self, d: V, m: Mem) {
        self.dot_weights(d, m);
    }

    fn dot(&mut self, acc: &[V], b: &[V], s: V, lane: usize, tmp: &[V]) {
        self.dot_product(acc, b, s, lane as u32, tmp);
    }

    fn interleave(&mut self, d: &[V], rows: &[V], tmp: [V; 2]) {
        self.interleave_rows(d, rows, tmp);
    }

    fn dot_lanes(&mut self, acc: V, a: V, w: V, tmp: &[V]) {
        self.dot_of_lanes(acc, a, w, tmp);
    }

    fn top_bits(&mut self, _d: Gpr, _s: V) {
        self.no_words();
    }

    fn words(&mut self, _d: V, _s: V, _odd: bool, _signed: bool) {
        self.no_words();
    }

    fn dot_words(&mut self, _acc: V, _a: V, _b: V, _tmp: V) {
        self.no_words();
    }

    fn load_transposed4(&mut self, d: [V; 4], base: Gpr, stride: Src, tmp: [V; 4]) {
        self.load_rows(d, base, stride);
        self.transpose(d, tmp);
    }
}
