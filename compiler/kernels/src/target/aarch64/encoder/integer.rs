//! Integer data processing, branches and PC-relative addresses.
//!
//! The table words are the 32-bit forms; the destination's width sets bit 31, and every other register must have the same width unless the form
//! says otherwise.

use super::{Assembler, Cond, Form, Gpr, Label, Reach, Reason, bitmask_immediate, instructions, x};

const WIDE: u32 = 1 << 31;

instructions! {
    "three registers.", gpr3(d: Gpr, n: Gpr, m: Gpr);
    add       0x0b00_0000 0;
    adds      0x2b00_0000 0;
    sub       0x4b00_0000 0;
    subs      0x6b00_0000 0;
    and       0x0a00_0000 0;
    bic       0x0a20_0000 0;
    orr       0x2a00_0000 0;
    orn       0x2a20_0000 0;
    eor       0x4a00_0000 0;
    eon       0x4a20_0000 0;
    ands      0x6a00_0000 0;
    bics      0x6a20_0000 0;
    udiv      0x1ac0_0800 0;
    sdiv      0x1ac0_0c00 0;
    lsl_reg   0x1ac0_2000 0;
    lsr_reg   0x1ac0_2400 0;
    asr_reg   0x1ac0_2800 0;
    ror_reg   0x1ac0_2c00 0;
}

instructions! {
    "three registers, the last one shifted left by a constant.", gpr3_lsl(d: Gpr, n: Gpr, m: Gpr, shift: u32);
    add_lsl   0x0b00_0000 0;
    sub_lsl   0x4b00_0000 0;
    subs_lsl  0x6b00_0000 0;
    and_lsl   0x0a00_0000 0;
    orr_lsl   0x2a00_0000 0;
    eor_lsl   0x4a00_0000 0;
}

instructions! {
    "three registers, the last one shifted right arithmetically by a constant.", gpr3_asr(d: Gpr, n: Gpr, m: Gpr, shift: u32);
    add_asr   0x0b00_0000 0;
    sub_asr   0x4b00_0000 0;
    and_asr   0x0a00_0000 0;
}

instructions! {
    "an immediate of 12 bits, or of 12 bits shifted left by 12; the registers may be the stack pointer.", gpr2_imm(d: Gpr, n: Gpr, imm: u32);
    add_imm   0x1100_0000 0;
    sub_imm   0x5100_0000 0;
}

instructions! {
    "an immediate of 12 bits, or of 12 bits shifted left by 12, setting the flags.", gpr2_imm_flags(d: Gpr, n: Gpr, imm: u32);
    adds_imm  0x3100_0000 0;
    subs_imm  0x7100_0000 0;
}

instructions! {
    "a bit-mask immediate (`bitmask_immediate`).", gpr2_mask(d: Gpr, n: Gpr, mask: u64);
    and_imm   0x1200_0000 0;
    orr_imm   0x3200_0000 0;
    eor_imm   0x5200_0000 0;
    ands_imm  0x7200_0000 0;
}

instructions! {
    "multiply `n` by `m`, then add to or subtract from `a`.", gpr4(d: Gpr, n: Gpr, m: Gpr, a: Gpr);
    madd      0x1b00_0000 0;
    msub      0x1b00_8000 0;
}

instructions! {
    "64-bit `d` = `a` ± the product of two 32-bit registers.", gpr4_long(d: Gpr, n: Gpr, m: Gpr, a: Gpr);
    smaddl    0x9b20_0000 0;
    smsubl    0x9b20_8000 0;
    umaddl    0x9ba0_0000 0;
}

instructions! {
    "the upper half of a 64 by 64 bit product.", gpr3_wide(d: Gpr, n: Gpr, m: Gpr);
    smulh     0x9b40_7c00 0;
    umulh     0x9bc0_7c00 0;
}

instructions! {
    "`n` if the condition holds, else `m` (as it is, plus one, inverted, negated).", select(d: Gpr, n: Gpr, m: Gpr, cond: Cond);
    csel      0x1a80_0000 0;
    csinc     0x1a80_0400 0;
    csinv     0x5a80_0000 0;
    csneg     0x5a80_0400 0;
}

instructions! {
    "16 bits at a multiple of 16 bits.", move_wide(d: Gpr, imm: u16, shift: u32);
    movn      0x1280_0000 0;
    movz      0x5280_0000 0;
    movk      0x7280_0000 0;
}

instructions! {
    "bit operations on one register.", gpr2(d: Gpr, n: Gpr);
    rbit      0x5ac0_0000 0;
    clz       0x5ac0_1000 0;
    cls       0x5ac0_1400 0;
}

instructions! {
    "branches when the register is zero, or not zero.", compare_branch(t: Gpr, target: Label);
    cbz       0x3400_0000 0;
    cbnz      0x3500_0000 0;
}

instructions! {
    "branches when the bit is clear, or set.", test_branch(t: Gpr, bit: u32, target: Label);
    tbz       0x3600_0000 0;
    tbnz      0x3700_0000 0;
}

instructions! {
    "branches to a register.", branch_register(n: Gpr);
    br        0xd61f_0000 0;
    blr       0xd63f_0000 0;
    ret_to    0xd65f_0000 0;
}

impl Assembler {
    fn width(&mut self, form: Form, registers: &[Gpr]) -> u32 {
        let wide = registers[0].wide;
        if registers.iter().any(|register| register.wide != wide) {
            self.fail(form.name, Reason::Register);
        }
        u32::from(wide) * WIDE
    }

    fn gpr3(&mut self, form: Form, d: Gpr, n: Gpr, m: Gpr) {
        let width = self.width(form, &[d, n, m]);
        let registers = self.gpr(form.name, d) | self.gpr(form.name, n) << 5 | self.gpr(form.name, m) << 16;
        self.emit(form.base | width | registers);
    }

    fn gpr3_shifted(&mut self, form: Form, [d, n, m]: [Gpr; 3], kind: u32, shift: u32) {
        self.require(form.name, shift < if d.wide { 64 } else { 32 }, shift.into());
        self.gpr3(Form { base: form.base | kind << 22 | (shift & 63) << 10, ..form }, d, n, m);
    }

    fn gpr3_lsl(&mut self, form: Form, d: Gpr, n: Gpr, m: Gpr, shift: u32) {
        self.gpr3_shifted(form, [d, n, m], 0, shift);
    }

    fn gpr3_asr(&mut self, form: Form, d: Gpr, n: Gpr, m: Gpr, shift: u32) {
        self.gpr3_shifted(form, [d, n, m], 2, shift);
    }

    fn gpr3_wide(&mut self, form: Form, d: Gpr, n: Gpr, m: Gpr) {
        if !d.wide {
            self.fail(form.name, Reason::Register);
        }
        self.gpr3(form, d, n, m);
    }

    fn add_immediate_field(&mut self, form: Form, imm: u32) -> u32 {
        if imm < 1 << 12 {
            return imm << 10;
        }
        self.require(form.name, imm & 0xfff == 0 && imm < (1 << 24), imm.into());
        1 << 22 | (imm >> 12 & 0xfff) << 10
    }

    fn gpr2_imm(&mut self, form: Form, d: Gpr, n: Gpr, imm: u32) {
        let fields = self.width(form, &[d, n]) | self.add_immediate_field(form, imm);
        let registers = self.gpr_or_sp(form.name, d) | self.gpr_or_sp(form.name, n) << 5;
        self.emit(form.base | fields | registers);
    }

    fn gpr2_imm_flags(&mut self, form: Form, d: Gpr, n: Gpr, imm: u32) {
        let fields = self.width(form, &[d, n]) | self.add_immediate_field(form, imm);
        let registers = self.gpr(form.name, d) | self.gpr_or_sp(form.name, n) << 5;
        self.emit(form.base | fields | registers);
    }

    fn gpr2_mask(&mut self, form: Form, d: Gpr, n: Gpr, mask: u64) {
        let width = self.width(form, &[d, n]);
        let registers = self.gpr(form.name, d) | self.gpr(form.name, n) << 5;
        match bitmask_immediate(mask, d.wide) {
            Some(field) => self.emit(form.base | width | field << 10 | registers),
            None => self.fail(form.name, Reason::Immediate(mask as i64)),
        }
    }

    fn gpr4(&mut self, form: Form, d: Gpr, n: Gpr, m: Gpr, a: Gpr) {
        self.width(form, &[d, a]);
        let base = form.base | self.gpr(form.name, a) << 10;
        self.gpr3(Form { base, ..form }, d, n, m);
    }

    fn gpr4_long(&mut self, form: Form, d: Gpr, n: Gpr, m: Gpr, a: Gpr) {
        if !d.wide || !a.wide || n.wide || m.wide {
            self.fail(form.name, Reason::Register);
        }
        let sources = self.gpr(form.name, n) << 5 | self.gpr(form.name, m) << 16;
        let word = form.base | self.gpr(form.name, d) | self.gpr(form.name, a) << 10 | sources;
        self.emit(word);
    }

    fn select(&mut self, form: Form, d: Gpr, n: Gpr, m: Gpr, cond: Cond) {
        self.gpr3(Form { base: form.base | (cond as u32) << 12, ..form }, d, n, m);
    }

    fn move_wide(&mut self, form: Form, d: Gpr, imm: u16, shift: u32) {
        let limit = if d.wide { 64 } else { 32 };
        self.require(form.name, shift.is_multiple_of(16) && shift < limit, shift.into());
        let fields = self.width(form, &[d]) | ((shift / 16) & 3) << 21 | u32::from(imm) << 5;
        let d = self.gpr(form.name, d);
        self.emit(form.base | fields | d);
    }

    fn gpr2(&mut self, form: Form, d: Gpr, n: Gpr) {
        let word = form.base | self.width(form, &[d, n]) | self.gpr(form.name, d) | self.gpr(form.name, n) << 5;
        self.emit(word);
    }

    fn compare_branch(&mut self, form: Form, t: Gpr, target: Label) {
        let word = form.base | self.width(form, &[t]) | self.gpr(form.name, t);
        self.emit_to(form.name, word, target, Reach::Word19);
    }

    fn test_branch(&mut self, form: Form, t: Gpr, bit: u32, target: Label) {
        self.require(form.name, bit < if t.wide { 64 } else { 32 }, bit.into());
        let word = form.base | (bit >> 5 & 1) << 31 | (bit & 31) << 19 | self.gpr(form.name, t);
        self.emit_to(form.name, word, target, Reach::Word14);
    }

    fn branch_register(&mut self, form: Form, n: Gpr) {
        let n = self.base(form.name, n);
        self.emit(form.base | n << 5);
    }

    /// `sxtw`: the 32-bit register `n` extended with its sign to 64 bits.
    pub fn sxtw(&mut self, d: Gpr, n: Gpr) {
        if !d.wide {
            self.fail("sxtw", Reason::Register);
        }
        let word = 0x9340_7c00 | self.gpr("sxtw", d) | self.gpr("sxtw", n) << 5;
        self.emit(word);
    }

    /// `mul`: the low half of the product.
    pub fn mul(&mut self, d: Gpr, n: Gpr, m: Gpr) {
        let zero = Gpr { number: 31, wide: d.wide };
        self.madd(d, n, m, zero);
    }

    /// `mov` between registers, the stack pointer included.
    pub fn mov(&mut self, d: Gpr, n: Gpr) {
        if d.is_sp() || n.is_sp() {
            return self.add_imm(d, n, 0);
        }
        self.orr(d, Gpr { number: 31, wide: d.wide }, n);
    }

    /// Any constant, in as few `movz`/`movn`/`orr`/`movk` as it takes; for a 32-bit register the upper half of `value` is ignored.
    pub fn mov_imm(&mut self, d: Gpr, value: i64) {
        let value = if d.wide { value as u64 } else { value as u64 & 0xffff_ffff };
        let halves: Vec<u32> = (0..if d.wide { 4 } else { 2 }).collect();
        let half = |i: &u32| (value >> (16 * i)) as u16;
        let zeros = halves.iter().filter(|i| half(i) == 0).count();
        let ones = halves.iter().filter(|i| half(i) == 0xffff).count();
        let needed = halves.len() - zeros.max(ones);
        if needed > 1 && bitmask_immediate(value, d.wide).is_some() {
            return self.orr_imm(d, Gpr { number: 31, wide: d.wide }, value);
        }
        let filler = if ones > zeros { 0xffff } else { 0 };
        let mut kept = halves.iter().filter(|i| half(i) != filler);
        let first = kept.next().unwrap_or(&0);
        match filler {
            0 => self.movz(d, half(first), first * 16),
            _ => self.movn(d, !half(first), first * 16),
        }
        kept.for_each(|i| self.movk(d, half(i), i * 16));
    }

    /// `d = n + value` for any constant; `scratch` is written when no immediate form holds it. Neither register may be the stack pointer then.
    pub fn add_any(&mut self, d: Gpr, n: Gpr, value: i64, scratch: Gpr) {
        let magnitude = value.unsigned_abs();
        if magnitude >= 1 << 24 {
            self.mov_imm(scratch, value);
            return self.add(d, n, scratch);
        }
        let (low, high) = (magnitude as u32 & 0xfff, magnitude as u32 & 0xff_f000);
        let mut from = n;
        for part in [high, low].into_iter().filter(|part| *part != 0) {
            if value < 0 {
                self.sub_imm(d, from, part)
            } else {
                self.add_imm(d, from, part)
            }
            from = d;
        }
        if from != d {
            self.mov(d, n);
        }
    }

    /// `cmp` with a register.
    pub fn cmp(&mut self, n: Gpr, m: Gpr) {
        self.subs(Gpr { number: 31, wide: n.wide }, n, m);
    }

    /// `cmp` with an immediate as [`Assembler::subs_imm`] takes it.
    pub fn cmp_imm(&mut self, n: Gpr, imm: u32) {
        self.subs_imm(Gpr { number: 31, wide: n.wide }, n, imm);
    }

    /// `cset`: 1 if the condition holds, else 0.
    pub fn cset(&mut self, d: Gpr, cond: Cond) {
        let zero = Gpr { number: 31, wide: d.wide };
        self.csinc(d, zero, zero, cond.inverted());
    }

    /// `lsl` by a constant.
    pub fn lsl(&mut self, d: Gpr, n: Gpr, shift: u32) {
        let bits = if d.wide { 64 } else { 32 };
        self.require("lsl", shift < bits, shift.into());
        self.bitfield("lsl", 0x5300_0000, [d, n], (bits - shift % bits) % bits, bits - 1 - shift % bits);
    }

    /// `lsr` by a constant.
    pub fn lsr(&mut self, d: Gpr, n: Gpr, shift: u32) {
        self.ubfx(d, n, shift, if d.wide { 64 } else { 32 }.max(shift + 1) - shift);
    }

    /// `asr` by a constant.
    pub fn asr(&mut self, d: Gpr, n: Gpr, shift: u32) {
        let bits = if d.wide { 64 } else { 32 };
        self.require("asr", shift < bits, shift.into());
        self.bitfield("asr", 0x1300_0000, [d, n], shift % bits, bits - 1);
    }

    /// `ubfx`: `count` bits of `n` from bit `lowest`, at bit 0, zeros above.
    pub fn ubfx(&mut self, d: Gpr, n: Gpr, lowest: u32, count: u32) {
        let bits = if d.wide { 64 } else { 32 };
        let fits = count >= 1 && lowest < bits && count <= bits - lowest;
        self.require("ubfx", fits, lowest.into());
        let last = lowest.saturating_add(count).wrapping_sub(1);
        self.bitfield("ubfx", 0x5300_0000, [d, n], lowest & (bits - 1), last & (bits - 1));
    }

    fn bitfield(&mut self, name: &'static str, base: u32, [d, n]: [Gpr; 2], immr: u32, imms: u32) {
        let form = Form { name, base, allowed: 0 };
        let n_bit = u32::from(d.wide) << 22;
        let word = form.base | n_bit | self.width(form, &[d, n]) | immr << 16 | imms << 10;
        let registers = self.gpr(name, d) | self.gpr(name, n) << 5;
        self.emit(word | registers);
    }

    /// `b`: to any label of the function.
    pub fn b(&mut self, target: Label) {
        self.emit_to("b", 0x1400_0000, target, Reach::Word26);
    }

    /// `b.cond`.
    pub fn b_cond(&mut self, cond: Cond, target: Label) {
        self.emit_to("b_cond", 0x5400_0000 | cond as u32, target, Reach::Word19);
    }

    /// `adr`: the address of a label.
    pub fn adr(&mut self, d: Gpr, target: Label) {
        if !d.wide {
            self.fail("adr", Reason::Register);
        }
        let d = self.gpr("adr", d);
        self.emit_to("adr", 0x1000_0000 | d, target, Reach::Byte21);
    }

    /// `ret` to the link register.
    pub fn ret(&mut self) {
        self.ret_to(x(30));
    }

    /// `nop`.
    pub fn nop(&mut self) {
        self.emit(0xd503_201f);
    }

    /// `bti c`: a landing pad for indirect calls where branch protection is on, a no-op elsewhere.
    pub fn bti_c(&mut self) {
        self.emit(0xd503_245f);
    }

    /// `brk`: stops with the number given, for what must never be reached.
    pub fn brk(&mut self, imm: u16) {
        self.emit(0xd420_0000 | u32::from(imm) << 5);
    }
}
