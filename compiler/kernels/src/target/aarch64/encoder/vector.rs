//! Vector arithmetic: the instructions that work lane by lane, or by pairs and groups of lanes.
//!
//! Table words have the `Q` bit and the size field zero; floating-point words are the single-precision forms, from which the encoding functions derive the
//! double and (armv8.2 `fp16`) half ones.

use super::{Arr, Assembler, Form, Reason, Size, V, instructions};

/// Sets of arrangements: bit `arrangement as u8`.
const B: u8 = 0b0000_0011;
const H: u8 = 0b0000_1100;
const S: u8 = 0b0011_0000;
const D: u8 = 0b1000_0000;
const S4: u8 = 1 << Arr::S4 as u8;
const BH: u8 = B | H;
const HS: u8 = H | S;
const BHS: u8 = B | HS;
const BHSD: u8 = BHS | D;
const HSD: u8 = HS | D;

instructions! {
    "three registers, lane by lane (pairs of lanes for `…p`, permutations for `zip`, `uzp`, `trn`).", three_same(t: Arr, d: V, n: V, m: V);
    vadd        0x0e20_8400 BHSD;
    vsub        0x2e20_8400 BHSD;
    vaddp       0x0e20_bc00 BHSD;
    vmul        0x0e20_9c00 BHS;
    vmla        0x0e20_9400 BHS;
    vmls        0x2e20_9400 BHS;
    cmeq        0x2e20_8c00 BHSD;
    cmgt        0x0e20_3400 BHSD;
    cmge        0x0e20_3c00 BHSD;
    cmhi        0x2e20_3400 BHSD;
    cmhs        0x2e20_3c00 BHSD;
    cmtst       0x0e20_8c00 BHSD;
    sshl        0x0e20_4400 BHSD;
    ushl        0x2e20_4400 BHSD;
    srshl       0x0e20_5400 BHSD;
    urshl       0x2e20_5400 BHSD;
    sqshl       0x0e20_4c00 BHSD;
    uqshl       0x2e20_4c00 BHSD;
    sqrshl      0x0e20_5c00 BHSD;
    uqrshl      0x2e20_5c00 BHSD;
    sqadd       0x0e20_0c00 BHSD;
    uqadd       0x2e20_0c00 BHSD;
    sqsub       0x0e20_2c00 BHSD;
    uqsub       0x2e20_2c00 BHSD;
    smax        0x0e20_6400 BHS;
    smin        0x0e20_6c00 BHS;
    umax        0x2e20_6400 BHS;
    umin        0x2e20_6c00 BHS;
    smaxp       0x0e20_a400 BHS;
    sminp       0x0e20_ac00 BHS;
    umaxp       0x2e20_a400 BHS;
    uminp       0x2e20_ac00 BHS;
    shadd       0x0e20_0400 BHS;
    uhadd       0x2e20_0400 BHS;
    srhadd      0x0e20_1400 BHS;
    urhadd      0x2e20_1400 BHS;
    sabd        0x0e20_7400 BHS;
    uabd        0x2e20_7400 BHS;
    saba        0x0e20_7c00 BHS;
    uaba        0x2e20_7c00 BHS;
    sqdmulh     0x0e20_b400 HS;
    sqrdmulh    0x2e20_b400 HS;
    zip1        0x0e00_3800 BHSD;
    zip2        0x0e00_7800 BHSD;
    uzp1        0x0e00_1800 BHSD;
    uzp2        0x0e00_5800 BHSD;
    trn1        0x0e00_2800 BHSD;
    trn2        0x0e00_6800 BHSD;
}

instructions! {
    "bitwise over three registers, of 8 or 16 bytes.", bitwise3(t: Arr, d: V, n: V, m: V);
    vand        0x0e20_1c00 B;
    vbic        0x0e60_1c00 B;
    vorr        0x0ea0_1c00 B;
    vorn        0x0ee0_1c00 B;
    veor        0x2e20_1c00 B;
    bsl         0x2e60_1c00 B;
    bit         0x2ea0_1c00 B;
    bif         0x2ee0_1c00 B;
}

instructions! {
    "floating point, three registers, lane by lane (pairs of lanes for `…p`).", fp_three_same(t: Arr, d: V, n: V, m: V);
    fadd        0x0e20_d400 HSD;
    fsub        0x0ea0_d400 HSD;
    fmul        0x2e20_dc00 HSD;
    fmulx       0x0e20_dc00 HSD;
    fdiv        0x2e20_fc00 HSD;
    fmla        0x0e20_cc00 HSD;
    fmls        0x0ea0_cc00 HSD;
    fmax        0x0e20_f400 HSD;
    fmin        0x0ea0_f400 HSD;
    fmaxnm      0x0e20_c400 HSD;
    fminnm      0x0ea0_c400 HSD;
    fabd        0x2ea0_d400 HSD;
    fcmeq       0x0e20_e400 HSD;
    fcmge       0x2e20_e400 HSD;
    fcmgt       0x2ea0_e400 HSD;
    facge       0x2e20_ec00 HSD;
    facgt       0x2ea0_ec00 HSD;
    frecps      0x0e20_fc00 HSD;
    frsqrts     0x0ea0_fc00 HSD;
    faddp       0x2e20_d400 HSD;
    fmaxp       0x2e20_f400 HSD;
    fminp       0x2ea0_f400 HSD;
    fmaxnmp     0x2e20_c400 HSD;
    fminnmp     0x2ea0_c400 HSD;
}

instructions! {
    "one register, lane by lane; for `…lp` the arrangement is the source's.", two_misc(t: Arr, d: V, n: V);
    vneg        0x2e20_b800 BHSD;
    vabs        0x0e20_b800 BHSD;
    cmeq_zero   0x0e20_9800 BHSD;
    cmgt_zero   0x0e20_8800 BHSD;
    cmge_zero   0x2e20_8800 BHSD;
    cmle_zero   0x2e20_9800 BHSD;
    cmlt_zero   0x0e20_a800 BHSD;
    vnot        0x2e20_5800 B;
    vcnt        0x0e20_5800 B;
    rev16       0x0e20_1800 B;
    rev32       0x2e20_0800 BH;
    rev64       0x0e20_0800 BHS;
    vclz        0x2e20_4800 BHS;
    saddlp      0x0e20_2800 BHS;
    uaddlp      0x2e20_2800 BHS;
    sadalp      0x0e20_6800 BHS;
    uadalp      0x2e20_6800 BHS;
}

instructions! {
    "floating point, one register, lane by lane.", fp_two_misc(t: Arr, d: V, n: V);
    fabs        0x0ea0_f800 HSD;
    fneg        0x2ea0_f800 HSD;
    fsqrt       0x2ea1_f800 HSD;
    frintn      0x0e21_8800 HSD;
    frintm      0x0e21_9800 HSD;
    frintp      0x0ea1_8800 HSD;
    frintz      0x0ea1_9800 HSD;
    frinta      0x2e21_8800 HSD;
    frintx      0x2e21_9800 HSD;
    frinti      0x2ea1_9800 HSD;
    fcvtns      0x0e21_a800 HSD;
    fcvtnu      0x2e21_a800 HSD;
    fcvtms      0x0e21_b800 HSD;
    fcvtmu      0x2e21_b800 HSD;
    fcvtps      0x0ea1_a800 HSD;
    fcvtpu      0x2ea1_a800 HSD;
    fcvtzs      0x0ea1_b800 HSD;
    fcvtzu      0x2ea1_b800 HSD;
    fcvtas      0x0e21_c800 HSD;
    fcvtau      0x2e21_c800 HSD;
    scvtf       0x0e21_d800 HSD;
    ucvtf       0x2e21_d800 HSD;
    frecpe      0x0ea1_d800 HSD;
    frsqrte     0x2ea1_d800 HSD;
    fcmeq_zero  0x0ea0_d800 HSD;
    fcmgt_zero  0x0ea0_c800 HSD;
    fcmge_zero  0x2ea0_c800 HSD;
    fcmle_zero  0x2ea0_d800 HSD;
    fcmlt_zero  0x0ea0_e800 HSD;
}

instructions! {
    "each lane of `n` to half its width; `t` is the result's, a full one writes the upper half of `d` only.", two_misc_narrow(t: Arr, d: V, n: V);
    xtn         0x0e21_2800 BHS;
    sqxtn       0x0e21_4800 BHS;
    uqxtn       0x2e21_4800 BHS;
    sqxtun      0x2e21_2800 BHS;
}

instructions! {
    "floating point to half or twice the width; `t` is the narrower side, a full one takes the upper half of it.", fp_resize(t: Arr, d: V, n: V);
    fcvtn       0x0e21_6800 HS;
    fcvtxn      0x2e21_6800 S;
    fcvtl       0x0e21_7800 HS;
}

instructions! {
    "single precision to bfloat16; `t` is the result's (armv8.6 `bf16`).", bf16_narrow(t: Arr, d: V, n: V);
    bfcvtn      0x0ea1_6800 H;
}

instructions! {
    "shifts left by a constant from 0.", shift_left(t: Arr, d: V, n: V, shift: u32);
    shl         0x0f00_5400 BHSD;
    sli         0x2f00_5400 BHSD;
    sqshl_imm   0x0f00_7400 BHSD;
    uqshl_imm   0x2f00_7400 BHSD;
    sqshlu_imm  0x2f00_6400 BHSD;
}

instructions! {
    "shifts right by a constant from 1 to the lane's width; `…ra` accumulates, a leading `r` or `sr`, `ur` rounds.", shift_right(t: Arr, d: V, n: V, shift: u32);
    sshr        0x0f00_0400 BHSD;
    ushr        0x2f00_0400 BHSD;
    srshr       0x0f00_2400 BHSD;
    urshr       0x2f00_2400 BHSD;
    ssra        0x0f00_1400 BHSD;
    usra        0x2f00_1400 BHSD;
    srsra       0x0f00_3400 BHSD;
    ursra       0x2f00_3400 BHSD;
    sri         0x2f00_4400 BHSD;
}

instructions! {
    "shifts right, then to half the width; `t` is the result's, a full one writes the upper half of `d` only.", shift_right_narrow(t: Arr, d: V, n: V, shift: u32);
    shrn        0x0f00_8400 BHS;
    rshrn       0x0f00_8c00 BHS;
    sqshrn      0x0f00_9400 BHS;
    sqrshrn     0x0f00_9c00 BHS;
    uqshrn      0x2f00_9400 BHS;
    uqrshrn     0x2f00_9c00 BHS;
    sqshrun     0x2f00_8400 BHS;
    sqrshrun    0x2f00_8c00 BHS;
}

instructions! {
    "to twice the width, then shifted left; `t` is the source's, a full one takes its upper half.", shift_left_long(t: Arr, d: V, n: V, shift: u32);
    sshll       0x0f00_a400 BHS;
    ushll       0x2f00_a400 BHS;
}

instructions! {
    "between floating point and integers with 1 to lane-width fraction bits.", fixed_point(t: Arr, d: V, n: V, bits: u32);
    scvtf_fixed   0x0f00_e400 HSD;
    ucvtf_fixed   0x2f00_e400 HSD;
    fcvtzs_fixed  0x0f00_fc00 HSD;
    fcvtzu_fixed  0x2f00_fc00 HSD;
}

instructions! {
    "the result (or, for `…w`, result and `n`) of twice the width; `t` is the narrower side, a full one takes its upper half.", three_different(t: Arr, d: V, n: V, m: V);
    vsmull      0x0e20_c000 BHS;
    vumull      0x2e20_c000 BHS;
    smlal       0x0e20_8000 BHS;
    umlal       0x2e20_8000 BHS;
    smlsl       0x0e20_a000 BHS;
    umlsl       0x2e20_a000 BHS;
    sqdmull     0x0e20_d000 HS;
    sqdmlal     0x0e20_9000 HS;
    saddl       0x0e20_0000 BHS;
    uaddl       0x2e20_0000 BHS;
    ssubl       0x0e20_2000 BHS;
    usubl       0x2e20_2000 BHS;
    sabdl       0x0e20_7000 BHS;
    uabdl       0x2e20_7000 BHS;
    sabal       0x0e20_5000 BHS;
    uabal       0x2e20_5000 BHS;
    saddw       0x0e20_1000 BHS;
    uaddw       0x2e20_1000 BHS;
    ssubw       0x0e20_3000 BHS;
    usubw       0x2e20_3000 BHS;
}

instructions! {
    "all lanes of `n` into the lowest lane of `d` (`…lv`: of twice the width).", across(t: Arr, d: V, n: V);
    addv        0x0e31_b800 BHS;
    smaxv       0x0e30_a800 BHS;
    sminv       0x0e31_a800 BHS;
    umaxv       0x2e30_a800 BHS;
    uminv       0x2e31_a800 BHS;
    saddlv      0x0e30_3800 BHS;
    uaddlv      0x2e30_3800 BHS;
}

instructions! {
    "all lanes of `n` into the lowest lane of `d`, floating point.", fp_across(t: Arr, d: V, n: V);
    fmaxv       0x2e30_f800 H | S4;
    fminv       0x2eb0_f800 H | S4;
    fmaxnmv     0x2e30_c800 H | S4;
    fminnmv     0x2eb0_c800 H | S4;
}

instructions! {
    "sums of four products of bytes into each 32-bit lane; `t` is the result's (armv8.2 `dotprod`; `usdot` armv8.6 `i8mm`).", fixed_word(t: Arr, d: V, n: V, m: V);
    sdot        0x0e80_9400 S;
    udot        0x2e80_9400 S;
    usdot       0x0e80_9c00 S;
}

instructions! {
    "2x8 by 8x2 products of bytes into a 2x2 tile of 32-bit lanes (armv8.6 `i8mm`).", fixed_word(t: Arr, d: V, n: V, m: V);
    smmla       0x0e80_a400 S4;
    ummla       0x2e80_a400 S4;
    usmmla      0x0e80_ac00 S4;
}

instructions! {
    "products of bfloat16 into single-precision lanes: pairs, or a 2x4 by 4x2 tile (armv8.6 `bf16`).", fixed_word(t: Arr, d: V, n: V, m: V);
    bfdot       0x2e40_fc00 S;
    bfmmla      0x2e40_ec00 S4;
}

instructions! {
    "products of the even (`b`) or odd (`t`) bfloat16 lanes, added in single precision (armv8.6 `bf16`).", whole_word(d: V, n: V, m: V);
    bfmlalb     0x2ec0_fc00 S4;
    bfmlalt     0x6ec0_fc00 S4;
}

instructions! {
    "products of fp16 lanes, of the lower or (`2`) upper half, added in single precision; `t` is the result's (armv8.2 `fhm`).", fixed_word(t: Arr, d: V, n: V, m: V);
    fmlal       0x0e20_ec00 S;
    fmlal2      0x2e20_cc00 S;
    fmlsl       0x0ea0_ec00 S;
    fmlsl2      0x2ea0_cc00 S;
}

instructions! {
    "looks each byte of `m` up in the 16-byte tables from `n` on, whose number the name tells; out of range gives 0 (`tbx`: keeps `d`).", bitwise3(t: Arr, d: V, n: V, m: V);
    tbl         0x0e00_0000 B;
    tbl_2       0x0e00_2000 B;
    tbl_3       0x0e00_4000 B;
    tbl_4       0x0e00_6000 B;
    tbx         0x0e00_1000 B;
}

impl Assembler {
    fn three_same(&mut self, form: Form, t: Arr, d: V, n: V, m: V) {
        self.require_arrangement(form, t);
        let word = form.base | t.q_and_size() | self.dnm(form.name, d, n, m);
        self.emit(word);
    }

    fn three_different(&mut self, form: Form, t: Arr, d: V, n: V, m: V) {
        self.three_same(form, t, d, n, m);
    }

    fn bitwise3(&mut self, form: Form, t: Arr, d: V, n: V, m: V) {
        self.fixed_word(form, t, d, n, m);
    }

    /// The size field is part of the table word.
    fn fixed_word(&mut self, form: Form, t: Arr, d: V, n: V, m: V) {
        self.require_arrangement(form, t);
        self.whole_word(Form { base: form.base | t.q(), ..form }, d, n, m);
    }

    /// Nothing but the registers varies.
    fn whole_word(&mut self, form: Form, d: V, n: V, m: V) {
        let word = form.base | self.dnm(form.name, d, n, m);
        self.emit(word);
    }

    fn fp_three_same(&mut self, form: Form, t: Arr, d: V, n: V, m: V) {
        self.require_arrangement(form, t);
        let word = match t.size() {
            Size::H => form.base & !(1 << 21 | 3 << 14) | 1 << 22,
            Size::D => form.base | 1 << 22,
            _ => form.base,
        };
        let word = word | t.q() | self.dnm(form.name, d, n, m);
        self.emit(word);
    }

    fn two_misc(&mut self, form: Form, t: Arr, d: V, n: V) {
        self.require_arrangement(form, t);
        let word = form.base | t.q_and_size() | self.dn(form.name, d, n);
        self.emit(word);
    }

    fn two_misc_narrow(&mut self, form: Form, t: Arr, d: V, n: V) {
        self.two_misc(form, t, d, n);
    }

    fn fp_two_misc(&mut self, form: Form, t: Arr, d: V, n: V) {
        self.require_arrangement(form, t);
        let size = match t.size() {
            Size::H => 1 << 22 | 3 << 19,
            Size::D => 1 << 22,
            _ => 0,
        };
        let word = form.base | size | t.q() | self.dn(form.name, d, n);
        self.emit(word);
    }

    fn fp_resize(&mut self, form: Form, t: Arr, d: V, n: V) {
        self.require_arrangement(form, t);
        let size = u32::from(t.size() == Size::S) << 22;
        let word = form.base | size | t.q() | self.dn(form.name, d, n);
        self.emit(word);
    }

    fn bf16_narrow(&mut self, form: Form, t: Arr, d: V, n: V) {
        self.require_arrangement(form, t);
        let word = form.base | t.q() | self.dn(form.name, d, n);
        self.emit(word);
    }

    fn shift_left(&mut self, form: Form, t: Arr, d: V, n: V, shift: u32) {
        let bits = t.size().bits();
        self.require(form.name, shift < bits, shift.into());
        self.shift(form, t, d, n, bits + shift % bits);
    }

    fn shift_right(&mut self, form: Form, t: Arr, d: V, n: V, shift: u32) {
        let bits = t.size().bits();
        let fits = (1..=bits).contains(&shift);
        self.require(form.name, fits, shift.into());
        self.shift(form, t, d, n, if fits { 2 * bits - shift } else { bits });
    }

    fn shift_right_narrow(&mut self, form: Form, t: Arr, d: V, n: V, shift: u32) {
        self.shift_right(form, t, d, n, shift);
    }

    fn shift_left_long(&mut self, form: Form, t: Arr, d: V, n: V, shift: u32) {
        self.shift_left(form, t, d, n, shift);
    }

    fn fixed_point(&mut self, form: Form, t: Arr, d: V, n: V, bits: u32) {
        self.shift_right(form, t, d, n, bits);
    }

    /// `immh:immb` tells lane size and amount in one number.
    fn shift(&mut self, form: Form, t: Arr, d: V, n: V, immh_immb: u32) {
        self.require_arrangement(form, t);
        let word = form.base | t.q() | immh_immb << 16 | self.dn(form.name, d, n);
        self.emit(word);
    }

    fn across(&mut self, form: Form, t: Arr, d: V, n: V) {
        if t == Arr::S2 {
            self.fail(form.name, Reason::Arrangement);
        }
        self.two_misc(form, t, d, n);
    }

    fn fp_across(&mut self, form: Form, t: Arr, d: V, n: V) {
        self.require_arrangement(form, t);
        let half = u32::from(t.size() == Size::H) << 29;
        let word = (form.base ^ half) | t.q() | self.dn(form.name, d, n);
        self.emit(word);
    }

    /// `mov`: a copy of 8 (the rest cleared) or 16 bytes.
    pub fn vmov(&mut self, t: Arr, d: V, n: V) {
        self.vorr(if t.is_full() { Arr::B16 } else { Arr::B8 }, d, n, n);
    }

    /// `sxtl`: signed lanes to twice the width; `t` is the source's, a full one takes its upper half.
    pub fn sxtl(&mut self, t: Arr, d: V, n: V) {
        self.sshll(t, d, n, 0);
    }

    /// `uxtl`: unsigned lanes to twice the width; `t` is the source's, a full one takes its upper half.
    pub fn uxtl(&mut self, t: Arr, d: V, n: V) {
        self.ushll(t, d, n, 0);
    }

    /// `ext`: the bytes from `start` on of `n` followed by `m`.
    pub fn ext(&mut self, t: Arr, d: V, n: V, m: V, start: u32) {
        if t.size() != Size::B {
            self.fail("ext", Reason::Arrangement);
        }
        self.require("ext", start < t.bytes(), start.into());
        let word = 0x2e00_0000 | t.q() | (start & 15) << 11 | self.dnm("ext", d, n, m);
        self.emit(word);
    }
}
