//! Instructions that name one lane: arithmetic by element, moves between lanes and general-purpose registers.

use super::{Arr, Assembler, Form, Gpr, Reason, Size, V, instructions};

const H: u8 = 0b0000_1100;
const S: u8 = 0b0011_0000;
const D: u8 = 0b1000_0000;
const S4: u8 = 1 << Arr::S4 as u8;

instructions! {
    "floating point, each lane of `n` with lane `lane` of `m` (`v0`..`v15` for fp16).", fp_by_element(t: Arr, d: V, n: V, m: V, lane: u32);
    fmla_lane      0x0f00_1000 H | S | D;
    fmls_lane      0x0f00_5000 H | S | D;
    fmul_lane      0x0f00_9000 H | S | D;
    fmulx_lane     0x2f00_9000 H | S | D;
}

instructions! {
    "each lane of `n` with lane `lane` of `m` (`v0`..`v15` for 16-bit lanes).", by_element(t: Arr, d: V, n: V, m: V, lane: u32);
    vmul_lane      0x0f00_8000 H | S;
    vmla_lane      0x2f00_0000 H | S;
    vmls_lane      0x2f00_4000 H | S;
    sqdmulh_lane   0x0f00_c000 H | S;
    sqrdmulh_lane  0x0f00_d000 H | S;
}

instructions! {
    "products of twice the width with lane `lane` of `m` (`v0`..`v15` for 16-bit lanes); `t` is the source's, a full one takes its upper half.", by_element(t: Arr, d: V, n: V, m: V, lane: u32);
    smull_lane     0x0f00_a000 H | S;
    umull_lane     0x2f00_a000 H | S;
    smlal_lane     0x0f00_2000 H | S;
    umlal_lane     0x2f00_2000 H | S;
    smlsl_lane     0x0f00_6000 H | S;
    umlsl_lane     0x2f00_6000 H | S;
    sqdmull_lane   0x0f00_b000 H | S;
    sqdmlal_lane   0x0f00_3000 H | S;
}

instructions! {
    "dot products with the 32-bit group `lane` of `m`; `t` is the result's (`dotprod`, `i8mm`, `bf16`).", group_by_element(t: Arr, d: V, n: V, m: V, lane: u32);
    sdot_lane      0x0f80_e000 S;
    udot_lane      0x2f80_e000 S;
    usdot_lane     0x0f80_f000 S;
    sudot_lane     0x0f00_f000 S;
    bfdot_lane     0x0f40_f000 S;
}

instructions! {
    "products of fp16 lanes with lane `lane` of `m` (`v0`..`v15`), added in single precision; `t` is the result's (`fhm`).", half_by_element(t: Arr, d: V, n: V, m: V, lane: u32);
    fmlal_lane     0x0f80_0000 S;
    fmlal2_lane    0x2f80_8000 S;
    fmlsl_lane     0x0f80_4000 S;
    fmlsl2_lane    0x2f80_c000 S;
}

instructions! {
    "products of the even (`b`) or odd (`t`) bfloat16 lanes with lane `lane` of `m` (`v0`..`v15`), added in single precision (`bf16`).", bf16_by_element(d: V, n: V, m: V, lane: u32);
    bfmlalb_lane   0x0fc0_f000 S4;
    bfmlalt_lane   0x4fc0_f000 S4;
}

impl Assembler {
    /// The lane of a by-element form: `H`, `L` and, for 16 bits, `M`, which is then no part of the register number.
    fn element(&mut self, form: Form, size: Size, m: V, lane: u32) -> u32 {
        self.require(form.name, lane < 16 >> size.log2(), lane.into());
        if size == Size::H && m.0 > 15 {
            self.fail(form.name, Reason::Register);
        }
        let [h, l, low] = match size {
            Size::H => [lane >> 2, lane >> 1, lane],
            Size::S => [lane >> 1, lane, 0],
            _ => [lane, 0, 0],
        };
        let index = (h & 1) << 11 | (l & 1) << 21 | (low & 1) << 20;
        index | self.vector(form.name, m) << 16
    }

    fn with_element(&mut self, form: Form, size: Size, [d, n, m]: [V; 3], lane: u32) {
        let word = form.base | self.dn(form.name, d, n) | self.element(form, size, m, lane);
        self.emit(word);
    }

    fn fp_by_element(&mut self, form: Form, t: Arr, d: V, n: V, m: V, lane: u32) {
        self.require_arrangement(form, t);
        let size = match t.size() {
            Size::H => 0,
            Size::S => 2 << 22,
            _ => 3 << 22,
        };
        let base = form.base | size | t.q();
        self.with_element(Form { base, ..form }, t.size(), [d, n, m], lane);
    }

    fn by_element(&mut self, form: Form, t: Arr, d: V, n: V, m: V, lane: u32) {
        self.require_arrangement(form, t);
        let base = form.base | t.q_and_size();
        self.with_element(Form { base, ..form }, t.size(), [d, n, m], lane);
    }

    fn group_by_element(&mut self, form: Form, t: Arr, d: V, n: V, m: V, lane: u32) {
        self.require_arrangement(form, t);
        self.with_element(Form { base: form.base | t.q(), ..form }, Size::S, [d, n, m], lane);
    }

    fn half_by_element(&mut self, form: Form, t: Arr, d: V, n: V, m: V, lane: u32) {
        self.require_arrangement(form, t);
        self.with_element(Form { base: form.base | t.q(), ..form }, Size::H, [d, n, m], lane);
    }

    fn bf16_by_element(&mut self, form: Form, d: V, n: V, m: V, lane: u32) {
        self.with_element(form, Size::H, [d, n, m], lane);
    }

    /// `imm5` in its place: the lane number above a one that tells the lane size.
    fn imm5(&mut self, name: &'static str, size: Size, lane: u32) -> u32 {
        if size == Size::Q {
            self.fail(name, Reason::Arrangement);
            return 0;
        }
        self.require(name, lane < 16 >> size.log2(), lane.into());
        ((lane << 1 | 1) << size.log2() & 31) << 16
    }

    /// `dup` (element): one lane of `n` into every lane of `d`.
    pub fn dup_lane(&mut self, t: Arr, d: V, n: V, lane: u32) {
        if t == Arr::D1 {
            self.fail("dup_lane", Reason::Arrangement);
        }
        let word = 0x0e00_0400 | t.q() | self.imm5("dup_lane", t.size(), lane) | self.dn("dup_lane", d, n);
        self.emit(word);
    }

    /// `dup` (general): a general-purpose register into every lane of `d`.
    pub fn dup(&mut self, t: Arr, d: V, n: Gpr) {
        if t == Arr::D1 || (t.size() == Size::D) != n.wide {
            self.fail("dup", Reason::Arrangement);
        }
        let n = self.gpr("dup", n);
        let word = 0x0e00_0c00 | t.q() | self.imm5("dup", t.size(), 0) | n << 5 | self.vector("dup", d);
        self.emit(word);
    }

    /// `mov` (scalar): one lane of `n` into the `b`, `h`, `s` or `d` register `d`, the rest cleared.
    pub fn mov_lane_scalar(&mut self, size: Size, d: V, n: V, lane: u32) {
        let word = 0x5e00_0400 | self.imm5("mov_lane_scalar", size, lane) | self.dn("mov_lane_scalar", d, n);
        self.emit(word);
    }

    /// `ins` (general): a general-purpose register into one lane of `d`.
    pub fn ins(&mut self, size: Size, d: V, lane: u32, n: Gpr) {
        if (size == Size::D) != n.wide {
            self.fail("ins", Reason::Register);
        }
        let n = self.gpr("ins", n);
        let word = 0x4e00_1c00 | self.imm5("ins", size, lane) | n << 5 | self.vector("ins", d);
        self.emit(word);
    }

    /// `ins` (element): one lane of `n` into one lane of `d`.
    pub fn ins_lane(&mut self, size: Size, d: V, lane: u32, n: V, from: u32) {
        self.require("ins_lane", from < 16 >> size.log2(), from.into());
        let imm4 = (from << size.log2() & 15) << 11;
        let word = 0x6e00_0400 | self.imm5("ins_lane", size, lane) | imm4 | self.dn("ins_lane", d, n);
        self.emit(word);
    }

    /// `umov`: one lane into a general-purpose register, zeros above; 64 bits for a `d` lane only.
    pub fn umov(&mut self, size: Size, d: Gpr, n: V, lane: u32) {
        if (size == Size::D) != d.wide {
            self.fail("umov", Reason::Register);
        }
        self.lane_to_gpr("umov", 0x0e00_3c00, size, d, n, lane);
    }

    /// `smov`: one lane of 8 or 16 bits, or of 32 into 64 bits, extended with its sign.
    pub fn smov(&mut self, size: Size, d: Gpr, n: V, lane: u32) {
        if size.log2() >= 2 + u32::from(d.wide) {
            self.fail("smov", Reason::Register);
        }
        self.lane_to_gpr("smov", 0x0e00_2c00, size, d, n, lane);
    }

    fn lane_to_gpr(&mut self, name: &'static str, base: u32, size: Size, d: Gpr, n: V, lane: u32) {
        let wide = u32::from(d.wide) << 30;
        let registers = self.gpr(name, d) | self.vector(name, n) << 5;
        let word = base | wide | self.imm5(name, size, lane) | registers;
        self.emit(word);
    }
}
