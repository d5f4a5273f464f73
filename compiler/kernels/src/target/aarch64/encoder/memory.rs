//! Loads, stores and prefetches: single registers, pairs, structures, and literals.
//!
//! The table words of single registers are the forms with an unsigned scaled offset; the other addressing modes differ from them in a few bits
//! (Arm ARM, "Loads and Stores").

use super::{Arr, Assembler, Form, Gpr, Label, Mem, Prefetch, Reach, Reason, Size, V, fits_signed, instructions, low_mask};

instructions! {
    "one 64-bit or 32-bit register.", gpr_word(t: Gpr, mem: Mem);
    str       0xb900_0000 0;
    ldr       0xb940_0000 0;
}

// The set of arrangements says nothing here; the low bits give the logarithm of the access size.
instructions! {
    "a part of a register.", gpr_part(t: Gpr, mem: Mem);
    strb      0x3900_0000 0;
    ldrb      0x3940_0000 0;
    strh      0x7900_0000 1;
    ldrh      0x7940_0000 1;
}

instructions! {
    "a part of a register, extended with its sign to the register's width.", gpr_signed(t: Gpr, mem: Mem);
    ldrsb     0x3980_0000 0;
    ldrsh     0x7980_0000 1;
    ldrsw     0xb980_0000 2;
}

instructions! {
    "a `b`, `h`, `s`, `d` or `q` register; a load clears the rest.", vector_word(size: Size, t: V, mem: Mem);
    str_v     0x3d00_0000 0;
    ldr_v     0x3d40_0000 0;
}

instructions! {
    "two 64-bit or 32-bit registers, at a multiple of their size.", gpr_pair(t1: Gpr, t2: Gpr, mem: Mem);
    stp       0x2900_0000 0;
    ldp       0x2940_0000 0;
}

instructions! {
    "two `s`, `d` or `q` registers, at a multiple of their size.", vector_pair(size: Size, t1: V, t2: V, mem: Mem);
    stp_v     0x2d00_0000 0;
    ldp_v     0x2d40_0000 0;
}

// The low bits of the last column give the number of registers.
instructions! {
    "whole registers, consecutive in number from `t`; after `_` the number of registers where the structures have one element.", structures(a: Arr, t: V, mem: Mem);
    st1       0x0c00_7000 1;
    st1_2     0x0c00_a000 2;
    st1_3     0x0c00_6000 3;
    st1_4     0x0c00_2000 4;
    st2       0x0c00_8000 2;
    st3       0x0c00_4000 3;
    st4       0x0c00_0000 4;
    ld1       0x0c40_7000 1;
    ld1_2     0x0c40_a000 2;
    ld1_3     0x0c40_6000 3;
    ld1_4     0x0c40_2000 4;
    ld2       0x0c40_8000 2;
    ld3       0x0c40_4000 3;
    ld4       0x0c40_0000 4;
}

instructions! {
    "one lane of a register, the others kept.", one_lane(size: Size, t: V, lane: u32, mem: Mem);
    st1_lane  0x0d00_0000 0;
    ld1_lane  0x0d40_0000 0;
}

impl Assembler {
    fn gpr_word(&mut self, form: Form, t: Gpr, mem: Mem) {
        let log2 = 2 + u32::from(t.wide);
        let t = self.gpr(form.name, t);
        self.access(form.name, form.base | (log2 - 2) << 30 | t, log2, mem);
    }

    fn gpr_part(&mut self, form: Form, t: Gpr, mem: Mem) {
        let t = self.gpr(form.name, t);
        self.access(form.name, form.base | t, form.allowed.into(), mem);
    }

    fn gpr_signed(&mut self, form: Form, t: Gpr, mem: Mem) {
        if !t.wide && form.allowed == 2 {
            self.fail(form.name, Reason::Register);
        }
        let to_32 = u32::from(!t.wide) << 22;
        let t = self.gpr(form.name, t);
        self.access(form.name, form.base | to_32 | t, form.allowed.into(), mem);
    }

    fn vector_word(&mut self, form: Form, size: Size, t: V, mem: Mem) {
        let size_bits = if size == Size::Q { 1 << 23 } else { size.log2() << 30 };
        let t = self.vector(form.name, t);
        self.access(form.name, form.base | size_bits | t, size.log2(), mem);
    }

    /// Completes a single-register access given as its unsigned-offset form.
    fn access(&mut self, name: &'static str, word: u32, log2: u32, mem: Mem) {
        let (bits, base) = match mem {
            Mem::Offset(base, offset) => (self.offset_bits(name, offset, log2), base),
            Mem::Pre(base, offset) => (UNSCALED ^ (self.signed9(name, offset) | 3 << 10), base),
            Mem::Post(base, offset) => (UNSCALED ^ (self.signed9(name, offset) | 1 << 10), base),
            Mem::Index(base, index, shift) => (self.index_bits(name, index, shift, log2), base),
            Mem::PostIndex(base, _) => {
                self.fail(name, Reason::Addressing);
                (0, base)
            }
        };
        let base = self.base(name, base);
        self.emit(word ^ bits | base << 5);
    }

    /// Bits to flip for a plain offset: 12 bits scaled, else 9 bits signed and unscaled.
    fn offset_bits(&mut self, name: &'static str, offset: i32, log2: u32) -> u32 {
        let scaled = offset >> log2;
        if offset >= 0 && scaled << log2 == offset && scaled < 1 << 12 {
            return (scaled as u32) << 10;
        }
        UNSCALED ^ self.signed9(name, offset)
    }

    fn signed9(&mut self, name: &'static str, offset: i32) -> u32 {
        self.require(name, fits_signed(offset.into(), 9), offset.into());
        (offset as u32 & 0x1ff) << 12
    }

    fn index_bits(&mut self, name: &'static str, index: Gpr, shift: u8, log2: u32) -> u32 {
        self.require(name, shift == 0 || u32::from(shift) == log2, shift.into());
        if !index.wide {
            self.fail(name, Reason::Register);
        }
        UNSCALED ^ (1 << 21 | self.gpr(name, index) << 16 | 0x6800 | u32::from(shift != 0) << 12)
    }

    fn gpr_pair(&mut self, form: Form, t1: Gpr, t2: Gpr, mem: Mem) {
        if t1.wide != t2.wide {
            self.fail(form.name, Reason::Register);
        }
        let registers = [self.gpr(form.name, t1), self.gpr(form.name, t2)];
        self.pair(form, u32::from(t1.wide) << 31, 2 + u32::from(t1.wide), registers, mem);
    }

    fn vector_pair(&mut self, form: Form, size: Size, t1: V, t2: V, mem: Mem) {
        if size.log2() < 2 {
            return self.fail(form.name, Reason::Arrangement);
        }
        let registers = [self.vector(form.name, t1), self.vector(form.name, t2)];
        self.pair(form, (size.log2() - 2) << 30, size.log2(), registers, mem);
    }

    fn pair(&mut self, form: Form, size_bits: u32, log2: u32, [t1, t2]: [u32; 2], mem: Mem) {
        if t1 == t2 && form.base & 1 << 22 != 0 {
            self.fail(form.name, Reason::Register);
        }
        // Bits 24 and 23 are 10 for an offset, 01 for post-index, 11 for pre-index.
        let (mode, base, offset) = match mem {
            Mem::Offset(base, offset) => (0, base, offset),
            Mem::Post(base, offset) => (3 << 23, base, offset),
            Mem::Pre(base, offset) => (1 << 23, base, offset),
            _ => return self.fail(form.name, Reason::Addressing),
        };
        let scaled = offset >> log2;
        self.require(form.name, scaled << log2 == offset && fits_signed(scaled.into(), 7), offset.into());
        let fields = size_bits | (scaled as u32 & low_mask(7)) << 15 | t2 << 10 | t1;
        let base = self.base(form.name, base);
        self.emit((form.base | fields | base << 5) ^ mode);
    }

    fn structures(&mut self, form: Form, a: Arr, t: V, mem: Mem) {
        let count = u32::from(form.allowed);
        let is_one_element = form.base & 0x2000 != 0;
        if a == Arr::D1 && !is_one_element {
            return self.fail(form.name, Reason::Arrangement);
        }
        let word = form.base | a.q() | a.size().log2() << 10;
        self.structure_access(form.name, word, t, count * a.bytes(), mem);
    }

    fn one_lane(&mut self, form: Form, size: Size, t: V, lane: u32, mem: Mem) {
        if size == Size::Q {
            return self.fail(form.name, Reason::Arrangement);
        }
        self.require(form.name, lane < 16 >> size.log2(), lane.into());
        // The lane number fills Q:S:size from the top; what it leaves free tells `d` from `s`.
        let index = (lane << size.log2()) & 15;
        let fields = (index >> 3) << 30 | (index >> 2 & 1) << 12 | (index & 3) << 10;
        let opcode = match size {
            Size::B => 0,
            Size::H => 2 << 13,
            Size::S => 4 << 13,
            _ => 4 << 13 | 1 << 10,
        };
        self.structure_access(form.name, form.base | fields | opcode, t, 1 << size.log2(), mem);
    }

    /// `ld1r`: one element into every lane.
    pub fn ld1r(&mut self, a: Arr, t: V, mem: Mem) {
        let word = 0x0d40_c000 | a.q() | a.size().log2() << 10;
        self.structure_access("ld1r", word, t, 1 << a.size().log2(), mem);
    }

    /// Completes a structure access; a post-index constant must be the number of bytes moved.
    fn structure_access(&mut self, name: &'static str, word: u32, t: V, bytes: u32, mem: Mem) {
        let (bits, base) = match mem {
            Mem::Offset(base, 0) => (0, base),
            Mem::Post(base, offset) if offset == bytes as i32 => (1 << 23 | 31 << 16, base),
            Mem::PostIndex(base, index) if index.number < 31 && index.wide => (1 << 23 | u32::from(index.number) << 16, base),
            _ => return self.fail(name, Reason::Addressing),
        };
        let registers = self.vector(name, t) | self.base(name, base) << 5;
        self.emit(word | bits | registers);
    }

    /// `prfm`: `[base, #offset]` or an index; an offset that is not a multiple of 8 in 0..32768 takes the unscaled form.
    pub fn prfm(&mut self, kind: Prefetch, mem: Mem) {
        if matches!(mem, Mem::Pre(..) | Mem::Post(..)) {
            return self.fail("prfm", Reason::Addressing);
        }
        self.access("prfm", 0xf980_0000 | kind as u32, 3, mem);
    }

    /// `ldr` (literal): an `s`, `d` or `q` register from a label.
    pub fn ldr_literal(&mut self, size: Size, t: V, from: Label) {
        if size.log2() < 2 {
            return self.fail("ldr_literal", Reason::Arrangement);
        }
        let t = self.vector("ldr_literal", t);
        self.emit_to("ldr_literal", 0x1c00_0000 | (size.log2() - 2) << 30 | t, from, Reach::Word19);
    }

    /// `ldr` (literal) of a general-purpose register.
    pub fn ldr_literal_gpr(&mut self, t: Gpr, from: Label) {
        let wide = u32::from(t.wide) << 30;
        let t = self.gpr("ldr_literal_gpr", t);
        self.emit_to("ldr_literal_gpr", 0x1800_0000 | wide | t, from, Reach::Word19);
    }
}

/// What turns the unsigned-offset form of a single-register access into the others.
const UNSCALED: u32 = 1 << 24;
