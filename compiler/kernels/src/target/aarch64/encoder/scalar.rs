//! Scalar floating point: `h` (armv8.2 `fp16`), `s` and `d` registers, and conversions between them and general-purpose registers.

use super::{Assembler, Cond, Form, Gpr, Reason, Size, V, fp_immediate, instructions};

instructions! {
    "scalar, two operands.", fp_scalar3(size: Size, d: V, n: V, m: V);
    fmul_s      0x1e20_0800 0;
    fdiv_s      0x1e20_1800 0;
    fadd_s      0x1e20_2800 0;
    fsub_s      0x1e20_3800 0;
    fmax_s      0x1e20_4800 0;
    fmin_s      0x1e20_5800 0;
    fmaxnm_s    0x1e20_6800 0;
    fminnm_s    0x1e20_7800 0;
    fnmul_s     0x1e20_8800 0;
}

instructions! {
    "scalar, one operand.", fp_scalar2(size: Size, d: V, n: V);
    fmov_s      0x1e20_4000 0;
    fabs_s      0x1e20_c000 0;
    fneg_s      0x1e21_4000 0;
    fsqrt_s     0x1e21_c000 0;
    frintn_s    0x1e24_4000 0;
    frintp_s    0x1e24_c000 0;
    frintm_s    0x1e25_4000 0;
    frintz_s    0x1e25_c000 0;
    frinta_s    0x1e26_4000 0;
    frintx_s    0x1e27_4000 0;
    frinti_s    0x1e27_c000 0;
}

instructions! {
    "scalar, `a` ± `n` times `m`, rounded once (`fn…`: negated).", fp_scalar4(size: Size, d: V, n: V, m: V, a: V);
    fmadd_s     0x1f00_0000 0;
    fmsub_s     0x1f00_8000 0;
    fnmadd_s    0x1f20_0000 0;
    fnmsub_s    0x1f20_8000 0;
}

instructions! {
    "a general-purpose integer to floating point.", fp_from_gpr(size: Size, d: V, n: Gpr);
    scvtf_gpr   0x1e22_0000 0;
    ucvtf_gpr   0x1e23_0000 0;
}

instructions! {
    "floating point to a general-purpose integer, saturating, rounded to nearest even, down, up, toward zero or away on ties (`n`, `m`, `p`, `z`, `a`).", fp_to_gpr(size: Size, d: Gpr, n: V);
    fcvtns_gpr  0x1e20_0000 0;
    fcvtms_gpr  0x1e30_0000 0;
    fcvtps_gpr  0x1e28_0000 0;
    fcvtzs_gpr  0x1e38_0000 0;
    fcvtas_gpr  0x1e24_0000 0;
    fcvtzu_gpr  0x1e39_0000 0;
}

instructions! {
    "the lowest 32 (`s`) or 64 (`d`) bits, unchanged, between a vector and a general-purpose register; `fmov_to_gpr` clears the rest.", fp_to_gpr_bits(size: Size, d: Gpr, n: V);
    fmov_to_gpr 0x1e26_0000 0;
}

instructions! {
    "a sum, maximum or minimum of the lowest two lanes.", fp_pair(size: Size, d: V, n: V);
    faddp_s     0x7e30_d800 0;
    fmaxp_s     0x7e30_f800 0;
    fminp_s     0x7eb0_f800 0;
    fmaxnmp_s   0x7e30_c800 0;
    fminnmp_s   0x7eb0_c800 0;
}

impl Assembler {
    /// The two-bit type field, 0 for `s`, 1 for `d`, 3 for `h`, in its place.
    fn fp_type(&mut self, name: &'static str, size: Size) -> u32 {
        match size {
            Size::S => 0,
            Size::D => 1 << 22,
            Size::H => 3 << 22,
            _ => {
                self.fail(name, Reason::Arrangement);
                0
            }
        }
    }

    fn fp_scalar3(&mut self, form: Form, size: Size, d: V, n: V, m: V) {
        let word = form.base | self.fp_type(form.name, size) | self.dnm(form.name, d, n, m);
        self.emit(word);
    }

    fn fp_scalar2(&mut self, form: Form, size: Size, d: V, n: V) {
        let word = form.base | self.fp_type(form.name, size) | self.dn(form.name, d, n);
        self.emit(word);
    }

    fn fp_scalar4(&mut self, form: Form, size: Size, d: V, n: V, m: V, a: V) {
        let base = form.base | self.vector(form.name, a) << 10;
        self.fp_scalar3(Form { base, ..form }, size, d, n, m);
    }

    fn fp_from_gpr(&mut self, form: Form, size: Size, d: V, n: Gpr) {
        let registers = self.vector(form.name, d) | self.gpr(form.name, n) << 5;
        let word = form.base | self.fp_type(form.name, size) | u32::from(n.wide) << 31 | registers;
        self.emit(word);
    }

    fn fp_to_gpr(&mut self, form: Form, size: Size, d: Gpr, n: V) {
        let registers = self.gpr(form.name, d) | self.vector(form.name, n) << 5;
        let word = form.base | self.fp_type(form.name, size) | u32::from(d.wide) << 31 | registers;
        self.emit(word);
    }

    fn fp_to_gpr_bits(&mut self, form: Form, size: Size, d: Gpr, n: V) {
        if (size == Size::D) != d.wide {
            self.fail(form.name, Reason::Register);
        }
        self.fp_to_gpr(form, size, d, n);
    }

    /// `fmov` (general): the bits of `n` into the lowest lane, the rest cleared.
    pub fn fmov_from_gpr(&mut self, size: Size, d: V, n: Gpr) {
        if (size == Size::D) != n.wide {
            self.fail("fmov_from_gpr", Reason::Register);
        }
        let form = Form { name: "fmov_from_gpr", base: 0x1e27_0000, allowed: 0 };
        self.fp_from_gpr(form, size, d, n);
    }

    fn fp_pair(&mut self, form: Form, size: Size, d: V, n: V) {
        let size = match size {
            Size::S => 0,
            Size::D => 1 << 22,
            Size::H => 1 << 29,
            _ => return self.fail(form.name, Reason::Arrangement),
        };
        let word = (form.base ^ size) | self.dn(form.name, d, n);
        self.emit(word);
    }

    /// `addp` (scalar): the sum of the two 64-bit lanes of `n`.
    pub fn addp_d(&mut self, d: V, n: V) {
        let word = 0x5ef1_b800 | self.dn("addp_d", d, n);
        self.emit(word);
    }

    /// `fcvt`: between precisions, rounded to nearest even.
    pub fn fcvt_s(&mut self, to: Size, d: V, from: Size, n: V) {
        let opcode = match to {
            Size::S => 0,
            Size::D => 1 << 15,
            _ => 3 << 15,
        };
        if to == from {
            self.fail("fcvt_s", Reason::Arrangement);
        }
        self.fp_type("fcvt_s", to);
        let word = 0x1e22_4000 | opcode | self.fp_type("fcvt_s", from) | self.dn("fcvt_s", d, n);
        self.emit(word);
    }

    /// `fmov` (scalar, immediate): a number with an 8-bit encoding ([`fp_immediate`]).
    pub fn fmov_imm_s(&mut self, size: Size, d: V, value: f64) {
        let Some(byte) = fp_immediate(value) else {
            return self.fail("fmov_imm_s", Reason::Immediate(value as i64));
        };
        let word = 0x1e20_1000 | self.fp_type("fmov_imm_s", size) | byte << 13 | self.vector("fmov_imm_s", d);
        self.emit(word);
    }

    /// `fcmp`: sets the flags; unordered operands satisfy `Vs`, `Ne`, `Lt` and `Le`.
    pub fn fcmp_s(&mut self, size: Size, n: V, m: V) {
        let word = 0x1e20_2000 | self.fp_type("fcmp_s", size) | self.dnm("fcmp_s", V(0), n, m);
        self.emit(word);
    }

    /// `fcmp` with zero.
    pub fn fcmp_zero_s(&mut self, size: Size, n: V) {
        let word = 0x1e20_2008 | self.fp_type("fcmp_zero_s", size) | self.dn("fcmp_zero_s", V(0), n);
        self.emit(word);
    }

    /// `fcsel`: `n` if the condition holds, else `m`.
    pub fn fcsel_s(&mut self, size: Size, d: V, n: V, m: V, cond: Cond) {
        let base = 0x1e20_0c00 | (cond as u32) << 12;
        self.fp_scalar3(Form { name: "fcsel_s", base, allowed: 0 }, size, d, n, m);
    }
}
