//! Integer forms against `dynasmrt`.

use super::super::{Cond, SP, w, x};
use super::agree;
use dynasmrt::{DynasmApi, dynasm};

macro_rules! three {
    ($($ours:ident $theirs:ident)*) => {$(
        agree(stringify!($ours), |r, a, ops| {
            let (d, n, m) = (r.register(), r.register(), r.register());
            a.$ours(x(d), x(n), x(m));
            a.$ours(w(d), w(n), w(m));
            dynasm!(ops ; .arch aarch64 ; $theirs X(d), X(n), X(m) ; $theirs W(d), W(n), W(m));
        });
    )*};
}

macro_rules! shifted {
    ($($ours:ident $theirs:ident $kind:ident)*) => {$(
        agree(stringify!($ours), |r, a, ops| {
            let (d, n, m, shift) = (r.register(), r.register(), r.register(), r.below(64));
            a.$ours(x(d), x(n), x(m), shift);
            a.$ours(w(d), w(n), w(m), shift & 31);
            dynasm!(ops ; .arch aarch64 ; $theirs X(d), X(n), X(m), $kind shift ; $theirs W(d), W(n), W(m), $kind shift & 31);
        });
    )*};
}

#[test]
fn three_registers() {
    three! { add add adds adds sub sub subs subs and and bic bic orr orr orn orn eor eor eon eon ands ands bics bics udiv udiv sdiv sdiv
    lsl_reg lsl lsr_reg lsr asr_reg asr ror_reg ror mul mul }
    shifted! { add_lsl add LSL sub_lsl sub LSL subs_lsl subs LSL and_lsl and LSL orr_lsl orr LSL eor_lsl eor LSL
    add_asr add ASR sub_asr sub ASR and_asr and ASR }
    agree("products", |r, a, ops| {
        let (d, n, m, c) = (r.register(), r.register(), r.register(), r.register());
        a.madd(x(d), x(n), x(m), x(c));
        a.msub(w(d), w(n), w(m), w(c));
        a.smaddl(x(d), w(n), w(m), x(c));
        a.smsubl(x(d), w(n), w(m), x(c));
        a.umaddl(x(d), w(n), w(m), x(c));
        a.smulh(x(d), x(n), x(m));
        a.umulh(x(d), x(n), x(m));
        dynasm!(ops ; .arch aarch64 ; madd X(d), X(n), X(m), X(c) ; msub W(d), W(n), W(m), W(c) ; smaddl X(d), W(n), W(m), X(c)
            ; smsubl X(d), W(n), W(m), X(c) ; umaddl X(d), W(n), W(m), X(c) ; smulh X(d), X(n), X(m) ; umulh X(d), X(n), X(m));
    });
}

#[test]
fn arithmetic_immediates() {
    agree("12 bits", |r, a, ops| {
        let (d, n, imm) = (r.below(31) as u8, r.below(31) as u8, r.below(4096));
        a.add_imm(x(d), x(n), imm);
        a.sub_imm(w(d), w(n), imm);
        a.adds_imm(x(d), x(n), imm);
        a.subs_imm(w(d), w(n), imm);
        a.cmp_imm(x(n), imm);
        a.add_imm(SP, SP, imm);
        dynasm!(ops ; .arch aarch64 ; add XSP(d), XSP(n), imm ; sub WSP(d), WSP(n), imm ; adds X(d), XSP(n), imm
            ; subs W(d), WSP(n), imm ; cmp XSP(n), imm ; add sp, sp, imm);
    });
    agree("shifted by 12", |r, a, ops| {
        let (d, n, imm) = (r.below(31) as u8, r.below(31) as u8, 1 + r.below(4095));
        a.add_imm(x(d), x(n), imm << 12);
        a.sub_imm(w(d), w(n), imm << 12);
        dynasm!(ops ; .arch aarch64 ; add XSP(d), XSP(n), imm, LSL 12 ; sub WSP(d), WSP(n), imm, LSL 12);
    });
}

/// Runs of ones of every length and rotation, in elements of every size.
#[test]
fn bit_masks() {
    agree("masks", |r, a, ops| {
        for size in [2, 4, 8, 16, 32, 64] {
            let (d, n, ones, rotation) = (r.below(31) as u8, r.below(31) as u8, 1 + r.below(size - 1), r.below(size));
            let run = (1u64 << ones) - 1;
            let element = (run << rotation | run >> (size - rotation).min(63)) & (u64::MAX >> (64 - size));
            let mask = (0..64 / size).fold(0, |mask, i| mask | element << (i * size));
            a.and_imm(x(d), x(n), mask);
            a.orr_imm(x(d), x(n), mask);
            a.eor_imm(x(d), x(n), mask);
            a.ands_imm(x(d), x(n), mask);
            dynasm!(ops ; .arch aarch64 ; and XSP(d), X(n), mask ; orr XSP(d), X(n), mask ; eor XSP(d), X(n), mask ; ands X(d), X(n), mask);
            if size < 64 {
                let mask = mask as u32;
                a.and_imm(w(d), w(n), mask.into());
                dynasm!(ops ; .arch aarch64 ; and WSP(d), W(n), mask);
            }
        }
    });
}

#[test]
fn not_bit_masks() {
    let refused = [0, u64::MAX, 5, 0x1234_5678, 0xffff_0000_ffff_0001, 0x8000_0000_0000_0002];
    assert!(refused.iter().all(|&mask| super::super::bitmask_immediate(mask, true).is_none()));
    assert_eq!(super::super::bitmask_immediate(u64::from(u32::MAX), false), None, "all ones of 32 bits");
    assert_eq!(super::super::bitmask_immediate(1 << 32, false), None, "beyond 32 bits");
}

#[test]
fn moves_and_selects() {
    agree("wide moves", |r, a, ops| {
        let (d, imm, shift) = (r.register(), r.below(1 << 16) as u16, r.below(4) * 16);
        a.movz(x(d), imm, shift);
        a.movn(x(d), imm, shift);
        a.movk(x(d), imm, shift);
        a.movk(w(d), imm, shift & 16);
        let imm = u32::from(imm);
        dynasm!(ops ; .arch aarch64 ; movz X(d), imm, LSL shift ; movn X(d), imm, LSL shift ; movk X(d), imm, LSL shift
            ; movk W(d), imm, LSL shift & 16);
    });
    agree("selects", |r, a, ops| {
        let (d, n, m) = (r.register(), r.register(), r.register());
        a.csel(x(d), x(n), x(m), Cond::Lt);
        a.csinc(x(d), x(n), x(m), Cond::Hs);
        a.csinv(w(d), w(n), w(m), Cond::Eq);
        a.csneg(w(d), w(n), w(m), Cond::Le);
        a.cset(x(d), Cond::Hi);
        a.cmp(x(n), x(m));
        dynasm!(ops ; .arch aarch64 ; csel X(d), X(n), X(m), lt ; csinc X(d), X(n), X(m), hs ; csinv W(d), W(n), W(m), eq
            ; csneg W(d), W(n), W(m), le ; cset X(d), hi ; cmp X(n), X(m));
    });
    agree("bits", |r, a, ops| {
        let (d, n, shift) = (r.register(), r.register(), r.below(64));
        let (lowest, count) = (shift, 1 + r.below(64 - shift));
        a.lsl(x(d), x(n), shift);
        a.lsr(x(d), x(n), shift);
        a.asr(x(d), x(n), shift);
        a.lsl(w(d), w(n), shift & 31);
        a.lsr(w(d), w(n), shift & 31);
        a.asr(w(d), w(n), shift & 31);
        a.ubfx(x(d), x(n), lowest, count);
        a.sxtw(x(d), w(n));
        a.rbit(x(d), x(n));
        a.clz(w(d), w(n));
        a.cls(x(d), x(n));
        a.mov(x(d), x(n));
        dynasm!(ops ; .arch aarch64 ; lsl X(d), X(n), shift ; lsr X(d), X(n), shift ; asr X(d), X(n), shift
            ; lsl W(d), W(n), shift & 31 ; lsr W(d), W(n), shift & 31 ; asr W(d), W(n), shift & 31
            ; ubfx X(d), X(n), lowest, count ; sxtw X(d), W(n) ; rbit X(d), X(n) ; clz W(d), W(n) ; cls X(d), X(n) ; mov X(d), X(n));
    });
    agree("jumps to registers", |r, a, ops| {
        let n = r.below(31) as u8;
        a.br(x(n));
        a.blr(x(n));
        a.ret_to(x(n));
        a.ret();
        a.nop();
        a.brk(n.into());
        let imm = u32::from(n);
        dynasm!(ops ; .arch aarch64 ; br X(n) ; blr X(n) ; ret X(n) ; ret ; nop ; brk imm);
    });
}
