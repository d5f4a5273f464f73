//! Addresses, whole vectors, and the first lanes of vectors.

use super::effects::effects;
use super::{Neon, SCRATCH, VECTOR_SCRATCH};
use crate::isa::{Gpr, Mem, Src, V};
use crate::target::aarch64::encoder::{self as a64, Arr, Assembler, Size};

/// A load or store of a whole vector at a constant offset, as long as it is the last instruction written.
#[derive(Clone, Copy)]
pub(super) struct LastAccess {
    /// Where the next instruction goes.
    end: usize,
    is_load: bool,
    base: a64::Gpr,
    offset: i32,
    register: a64::V,
}

/// A base and an index whose sum was put into the scratch register by the instruction before byte `since`.
#[derive(Clone, Copy)]
pub(super) struct ScratchSum {
    base: a64::Gpr,
    index: a64::Gpr,
    since: usize,
}

/// Whether a load or store of this size holds the offset.
fn is_offset(disp: i32, size: Size) -> bool {
    let step = 1 << size.log2();
    (-256..256).contains(&disp) || disp >= 0 && disp % step == 0 && disp < step << 12
}

impl Neon {
    /// The address in a form that a single-register access of this size takes; may use the scratch register.
    pub(super) fn address(&mut self, m: Mem, size: Size) -> a64::Mem {
        let base = self.g(m.base);
        match m.index {
            None if is_offset(m.disp, size) => a64::Mem::Offset(base, m.disp),
            Some(index) if m.disp == 0 => a64::Mem::Index(base, self.g(index), 0),
            Some(index) if is_offset(m.disp, size) => {
                let index = self.g(index);
                self.sum_to_scratch(base, index);
                a64::Mem::Offset(SCRATCH, m.disp)
            }
            _ => a64::Mem::Offset(self.plain_address(m), 0),
        }
    }

    /// Makes the scratch register `base + index`, unless it is.
    fn sum_to_scratch(&mut self, base: a64::Gpr, index: a64::Gpr) {
        let is_same = |sum: &ScratchSum| sum.base == base && sum.index == index && sum.since >= self.block;
        if let Some(sum) = self.sum.filter(is_same) {
            let registers = [base, index, SCRATCH].iter().fold(0, |set, r| set | 1 << r.number());
            let keeps = |&word: &u32| effects(word).is_some_and(|e| e.writes & registers == 0);
            if self.asm.words_from(sum.since).iter().all(keeps) {
                return;
            }
        }
        self.asm.add(SCRATCH, base, index);
        self.sum = Some(ScratchSum { base, index, since: self.asm.offset() });
    }

    /// A register that holds the address itself: the base, or the scratch register.
    pub(super) fn plain_address(&mut self, m: Mem) -> a64::Gpr {
        let base = self.g(m.base);
        let Some(index) = m.index else {
            if m.disp == 0 {
                return base;
            }
            self.asm.add_any(SCRATCH, base, m.disp.into(), SCRATCH);
            return SCRATCH;
        };
        let index = self.g(index);
        if is_far(m.disp) {
            self.asm.mov_imm(SCRATCH, m.disp.into());
            self.asm.add(SCRATCH, SCRATCH, index);
            self.asm.add(SCRATCH, SCRATCH, base);
        } else {
            self.asm.add(SCRATCH, base, index);
            self.asm.add_any(SCRATCH, SCRATCH, m.disp.into(), SCRATCH);
        }
        SCRATCH
    }

    pub(super) fn load_vector(&mut self, d: V, m: Mem) {
        let (d, m) = (self.v(d), self.address(m, Size::Q));
        self.access(true, d, m);
    }

    pub(super) fn store_vector(&mut self, m: Mem, s: V) {
        let (s, m) = (self.v(s), self.address(m, Size::Q));
        self.access(false, s, m);
    }

    /// Writes the access, or makes a pair of it and the one before.
    fn access(&mut self, is_load: bool, register: a64::V, m: a64::Mem) {
        if let a64::Mem::Offset(base, offset) = m
            && self.pair_with_last(is_load, register, base, offset)
        {
            return;
        }
        match is_load {
            true => self.asm.ldr_v(Size::Q, register, m),
            false => self.asm.str_v(Size::Q, register, m),
        }
        if let a64::Mem::Offset(base, offset) = m {
            self.last = Some(LastAccess { end: self.asm.offset(), is_load, base, offset, register });
        }
    }

    fn pair_with_last(&mut self, is_load: bool, register: a64::V, base: a64::Gpr, offset: i32) -> bool {
        let Some(last) = self.last.take() else { return false };
        let is_next = last.end == self.asm.offset() && last.base == base && last.is_load == is_load;
        let is_pair = last.offset + 16 == offset && offset % 16 == 0 && (-1024..1024).contains(&last.offset);
        if !is_next || !is_pair || is_load && last.register == register {
            return false;
        }
        self.asm.retract();
        let m = a64::Mem::Offset(base, last.offset);
        match is_load {
            true => self.asm.ldp_v(Size::Q, last.register, register, m),
            false => self.asm.stp_v(Size::Q, last.register, register, m),
        }
        true
    }

    /// All-ones lanes below the count: from a table of four such lanes followed by four zeros.
    pub(super) fn set_tail_mask(&mut self, count: Src, mask: V) {
        let mask = self.v(mask);
        match count {
            Src::Imm(n) => {
                let lanes = (0..4).flat_map(|i| if i < n { [0xff; 4] } else { [0; 4] });
                let literal = self.asm.literal(&lanes.collect::<Vec<u8>>());
                self.asm.ldr_literal(Size::Q, mask, literal);
            }
            Src::Reg(count) => {
                let table: Vec<u8> = (0..32).map(|i| if i < 16 { 0xff } else { 0 }).collect();
                let (table, count) = (self.asm.literal(&table), self.g(count));
                self.asm.adr(SCRATCH, table);
                self.asm.sub_lsl(SCRATCH, SCRATCH, count, 2);
                self.asm.ldr_v(Size::Q, mask, a64::Mem::Offset(SCRATCH, 16));
            }
        }
    }

    /// Loads the first `n` lanes, the others becoming zero.
    pub(super) fn load_first(&mut self, d: V, m: Mem, n: i64) {
        let size = match n {
            4 => return self.load_vector(d, m),
            2 | 3 => Size::D,
            1 => Size::S,
            _ => return self.splat_bits(d, 0),
        };
        let from = if n == 3 { a64::Mem::Offset(self.plain_address(m), 0) } else { self.address(m, size) };
        let d = self.v(d);
        self.asm.ldr_v(size, d, from);
        if let (3, a64::Mem::Offset(base, _)) = (n, from) {
            self.asm.add_imm(SCRATCH, base, 8);
            self.asm.ld1_lane(Size::S, d, 2, a64::Mem::Offset(SCRATCH, 0));
        }
    }

    /// Stores the first `n` lanes.
    pub(super) fn store_first(&mut self, m: Mem, s: V, n: i64) {
        let size = match n {
            4 => return self.store_vector(m, s),
            2 | 3 => Size::D,
            1 => Size::S,
            _ => return,
        };
        let to = if n == 3 { a64::Mem::Offset(self.plain_address(m), 0) } else { self.address(m, size) };
        let s = self.v(s);
        self.asm.str_v(size, s, to);
        if let (3, a64::Mem::Offset(base, _)) = (n, to) {
            self.asm.add_imm(SCRATCH, base, 8);
            self.asm.st1_lane(Size::S, s, 2, a64::Mem::Offset(SCRATCH, 0));
        }
    }

    /// Loads as many lanes as a register says, the others becoming zero.
    pub(super) fn load_counted(&mut self, d: V, m: Mem, count: Gpr) {
        self.point_scratch_at(m);
        let d = self.v(d);
        self.asm.movi(Arr::S4, d, 0, 0);
        self.counted(
            count,
            |asm| asm.ldr_v(Size::Q, d, a64::Mem::Offset(SCRATCH, 0)),
            |asm| asm.ldr_v(Size::D, d, a64::Mem::Post(SCRATCH, 8)),
            |asm, lane| match lane {
                0 => asm.ldr_v(Size::S, d, a64::Mem::Offset(SCRATCH, 0)),
                _ => asm.ld1_lane(Size::S, d, lane, a64::Mem::Offset(SCRATCH, 0)),
            },
        );
    }

    /// Stores as many lanes as a register says.
    pub(super) fn store_counted(&mut self, m: Mem, s: V, count: Gpr) {
        self.point_scratch_at(m);
        let s = self.v(s);
        self.counted(
            count,
            |asm| asm.str_v(Size::Q, s, a64::Mem::Offset(SCRATCH, 0)),
            |asm| asm.str_v(Size::D, s, a64::Mem::Post(SCRATCH, 8)),
            |asm, lane| asm.st1_lane(Size::S, s, lane, a64::Mem::Offset(SCRATCH, 0)),
        );
    }

    fn point_scratch_at(&mut self, m: Mem) {
        let address = self.plain_address(m);
        if address != SCRATCH {
            self.asm.mov(SCRATCH, address);
        }
    }

    /// Branches on the bits of a count of 0..=4: all four lanes, or two if bit 1 is set, then one (lane 2 or lane 0) if bit 0 is.
    fn counted(
        &mut self,
        count: Gpr,
        four: impl Fn(&mut Assembler),
        two: impl Fn(&mut Assembler),
        one: impl Fn(&mut Assembler, u32),
    ) {
        let count = self.g(count);
        self.end_block();
        let asm = &mut self.asm;
        let (not_four, not_two, end) = (asm.label(), asm.label(), asm.label());
        asm.tbz(count, 2, not_four);
        four(asm);
        asm.b(end);
        asm.bind(not_four);
        asm.tbz(count, 1, not_two);
        two(asm);
        asm.tbz(count, 0, end);
        one(asm, 2);
        asm.b(end);
        asm.bind(not_two);
        asm.tbz(count, 0, end);
        one(asm, 0);
        asm.bind(end);
        self.skip_block();
    }

    /// Loads four rows of four f32.
    pub(super) fn load_rows(&mut self, d: [V; 4], base: Gpr, stride: Src) {
        match stride {
            Src::Imm(stride) if (0..4).all(|row| is_offset((row * stride) as i32, Size::Q)) => {
                (0..4).zip(d).for_each(|(row, d)| self.load_vector(d, Mem::new(base, (row * stride) as i32)));
            }
            _ => {
                let (base, stride) = (self.g(base), self.operand(stride));
                for pair in [[d[0], d[1]], [d[2], d[3]]] {
                    let [first, second] = pair.map(|d| self.v(d));
                    self.asm.ldr_v(Size::Q, first, a64::Mem::Offset(base, 0));
                    self.asm.ldr_v(Size::Q, second, a64::Mem::Index(base, stride, 0));
                    self.asm.add_lsl(base, base, stride, 1);
                }
            }
        }
    }

    /// Transposes a 4x4 block: pairs of rows by 32-bit lanes, then by 64-bit halves.
    pub(super) fn transpose(&mut self, d: [V; 4], tmp: [V; 4]) {
        let (d, t) = (d.map(|v| self.v(v)), tmp.map(|v| self.v(v)));
        for i in [0, 2] {
            self.asm.trn1(Arr::S4, t[i], d[i], d[i + 1]);
            self.asm.trn2(Arr::S4, t[i + 1], d[i], d[i + 1]);
        }
        for i in [0, 1] {
            self.asm.trn1(Arr::D2, d[i], t[i], t[i + 2]);
            self.asm.trn2(Arr::D2, d[i + 2], t[i], t[i + 2]);
        }
    }

    /// Makes the vector scratch register equal to `v`.
    pub(super) fn copy_to_scratch(&mut self, v: V) -> a64::V {
        let v = self.v(v);
        self.asm.vmov(Arr::B16, VECTOR_SCRATCH, v);
        VECTOR_SCRATCH
    }
}

/// Whether adding the displacement takes a constant in a register.
fn is_far(disp: i32) -> bool {
    disp.unsigned_abs() >= 1 << 24
}
