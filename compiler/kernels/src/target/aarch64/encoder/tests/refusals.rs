//! Operands that no encoding holds are reported, not truncated; the pseudo-instructions give what they promise.

use super::super::{Arr, Assembler, Mem, Reason, SP, Size, V, XZR, w, x};

/// The first error of what `emit` writes.
#[track_caller]
fn refused(emit: impl FnOnce(&mut Assembler)) -> Reason {
    let mut a = Assembler::new();
    emit(&mut a);
    a.finish().expect_err("not encodable").reason
}

#[test]
fn immediates_out_of_range() {
    assert_eq!(refused(|a| a.add_imm(x(0), x(1), 4097)), Reason::Immediate(4097));
    assert_eq!(refused(|a| a.add_imm(x(0), x(1), 1 << 24)), Reason::Immediate(1 << 24));
    assert_eq!(refused(|a| a.and_imm(x(0), x(1), 5)), Reason::Immediate(5));
    assert_eq!(refused(|a| a.lsl(w(0), w(1), 32)), Reason::Immediate(32));
    assert_eq!(refused(|a| a.lsr(w(0), w(1), 32)), Reason::Immediate(32));
    assert_eq!(refused(|a| a.shl(Arr::S4, V(0), V(1), 32)), Reason::Immediate(32));
    assert_eq!(refused(|a| a.sshr(Arr::S4, V(0), V(1), 0)), Reason::Immediate(0));
    assert_eq!(refused(|a| a.sshr(Arr::B16, V(0), V(1), 9)), Reason::Immediate(9));
    assert_eq!(refused(|a| a.ext(Arr::B8, V(0), V(1), V(2), 8)), Reason::Immediate(8));
    assert_eq!(refused(|a| a.movi(Arr::S4, V(0), 1, 4)), Reason::Immediate(4));
    assert_eq!(refused(|a| a.movi(Arr::D2, V(0), 1, 8)), Reason::Immediate(8));
    assert_eq!(refused(|a| a.fmov_imm(Arr::S4, V(0), 32.0)), Reason::Immediate(32));
    assert_eq!(refused(|a| a.fmla_lane(Arr::S4, V(0), V(1), V(2), 4)), Reason::Immediate(4));
    assert_eq!(refused(|a| a.dup_lane(Arr::D2, V(0), V(1), 2)), Reason::Immediate(2));
    assert_eq!(refused(|a| a.movz(w(0), 1, 32)), Reason::Immediate(32));
    assert_eq!(refused(|a| a.tbz_bit_64()), Reason::Immediate(64));
}

#[test]
fn offsets_out_of_range() {
    assert_eq!(refused(|a| a.ldr(x(0), Mem::Offset(x(1), 4096 * 8))), Reason::Immediate(4096 * 8));
    assert_eq!(refused(|a| a.ldr(x(0), Mem::Offset(x(1), -257))), Reason::Immediate(-257));
    assert_eq!(refused(|a| a.ldr(x(0), Mem::Offset(x(1), 257))), Reason::Immediate(257));
    assert_eq!(refused(|a| a.ldr(x(0), Mem::Post(x(1), 256))), Reason::Immediate(256));
    assert_eq!(refused(|a| a.ldp_v(Size::Q, V(0), V(1), Mem::Offset(x(1), 8))), Reason::Immediate(8));
    assert_eq!(refused(|a| a.ldp_v(Size::Q, V(0), V(1), Mem::Offset(x(1), 1024))), Reason::Immediate(1024));
    assert_eq!(refused(|a| a.ldr(x(0), Mem::Index(x(1), x(2), 2))), Reason::Immediate(2));
}

#[test]
fn wrong_registers() {
    assert_eq!(refused(|a| a.add(x(0), SP, x(1))), Reason::Register);
    assert_eq!(refused(|a| a.add(x(0), w(1), x(1))), Reason::Register);
    assert_eq!(refused(|a| a.add_imm(x(0), XZR, 1)), Reason::Register);
    assert_eq!(refused(|a| a.add(x(33), x(0), x(1))), Reason::Register);
    assert_eq!(refused(|a| a.fadd(Arr::S4, V(32), V(0), V(1))), Reason::Register);
    assert_eq!(refused(|a| a.fmla_lane(Arr::H8, V(0), V(1), V(16), 0)), Reason::Register);
    assert_eq!(refused(|a| a.ldr(x(0), Mem::Offset(w(1), 0))), Reason::Register);
    assert_eq!(refused(|a| a.ldr(x(0), Mem::Offset(XZR, 0))), Reason::Register);
    assert_eq!(refused(|a| a.ldp(x(0), x(0), Mem::Offset(x(1), 0))), Reason::Register);
    assert_eq!(refused(|a| a.ins(Size::S, V(0), 0, x(1))), Reason::Register);
    assert_eq!(refused(|a| a.umov(Size::D, w(0), V(1), 0)), Reason::Register);
    assert_eq!(refused(|a| a.smov(Size::S, w(0), V(1), 0)), Reason::Register);
}

#[test]
fn forms_that_do_not_exist() {
    assert_eq!(refused(|a| a.vmul(Arr::D2, V(0), V(1), V(2))), Reason::Arrangement);
    assert_eq!(refused(|a| a.vadd(Arr::D1, V(0), V(1), V(2))), Reason::Arrangement);
    assert_eq!(refused(|a| a.fadd(Arr::B16, V(0), V(1), V(2))), Reason::Arrangement);
    assert_eq!(refused(|a| a.vand(Arr::S4, V(0), V(1), V(2))), Reason::Arrangement);
    assert_eq!(refused(|a| a.smmla(Arr::S2, V(0), V(1), V(2))), Reason::Arrangement);
    assert_eq!(refused(|a| a.addv(Arr::S2, V(0), V(1))), Reason::Arrangement);
    assert_eq!(refused(|a| a.fmaxv(Arr::S2, V(0), V(1))), Reason::Arrangement);
    assert_eq!(refused(|a| a.ld2(Arr::D1, V(0), Mem::Offset(x(1), 0))), Reason::Arrangement);
    assert_eq!(refused(|a| a.ld1(Arr::S4, V(0), Mem::Offset(x(1), 16))), Reason::Addressing);
    assert_eq!(refused(|a| a.ld1(Arr::S4, V(0), Mem::Post(x(1), 8))), Reason::Addressing);
    assert_eq!(refused(|a| a.ldr(x(0), Mem::PostIndex(x(1), x(2)))), Reason::Addressing);
    assert_eq!(refused(|a| a.ldp(x(0), x(2), Mem::Index(x(1), x(2), 0))), Reason::Addressing);
}

impl Assembler {
    /// `tbz` of a bit that no register has, to a label that is bound.
    fn tbz_bit_64(&mut self) {
        let here = self.here();
        self.tbz(x(0), 64, here);
    }
}

/// Runs the moves that `mov_imm` writes, as the architecture describes them.
fn interpret_moves(bytes: &[u8]) -> u64 {
    bytes.chunks(4).fold(0xdead_beef_dead_beef, |value: u64, word| {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let (imm, shift) = (u64::from(word >> 5 & 0xffff), (word >> 21 & 3) * 16);
        let result = match word >> 23 & 0xff {
            0x25 => !(imm << shift),
            0xa5 => imm << shift,
            0xe5 => value & !(0xffff << shift) | imm << shift,
            0x64 => mask_of(word),
            other => panic!("not a move: {other:#x}"),
        };
        if word >> 31 == 1 { result } else { result & 0xffff_ffff }
    })
}

/// `DecodeBitMasks` of the architecture manual for an `orr` immediate from the zero register.
fn mask_of(word: u32) -> u64 {
    let (n, immr, imms) = (word >> 22 & 1, word >> 16 & 63, word >> 10 & 63);
    let log2 = 31 - (n << 6 | (!imms & 63)).leading_zeros();
    let size = 1u32 << log2;
    let (ones, rotation) = ((imms & (size - 1)) + 1, immr & (size - 1));
    let element: u64 = (0..size).filter(|bit| (bit + rotation) % size < ones).map(|bit| 1 << bit).sum();
    (0..64 / size).map(|i| element << (i * size)).fold(0, |mask, part| mask | part)
}

#[test]
fn any_constant_in_few_moves() {
    let cases = [
        (0, 1),
        (-1, 1),
        (0x1234, 1),
        (0x1234_0000, 1),
        (-2, 1),
        (-0x12_3457, 2),
        (0x1234_5678, 2),
        (0x5555_5555_5555_5555, 1),
        (0x00ff_00ff_00ff_00ff, 1),
        (0x1234_5678_9abc_def0, 4),
        (0xffff_1234_ffff_5678_u64 as i64, 2),
        (i64::MIN, 1),
        (i64::MAX, 1),
    ];
    for (value, words) in cases {
        let mut a = Assembler::new();
        a.mov_imm(x(3), value);
        let bytes = a.finish().expect("encodable");
        assert_eq!(interpret_moves(&bytes), value as u64, "{value:#x}");
        assert_eq!(bytes.len(), words * 4, "{value:#x}");
        let mut a = Assembler::new();
        a.mov_imm(w(3), value);
        assert_eq!(interpret_moves(&a.finish().expect("encodable")), value as u64 & 0xffff_ffff, "{value:#x} in 32 bits");
    }
}

#[test]
fn sums_with_any_constant() {
    let words = |value: i64| {
        let mut a = Assembler::new();
        a.add_any(x(1), x(2), value, x(9));
        super::word(&a.finish().expect("encodable"))
    };
    assert_eq!(words(0), "aa0203e1 ", "mov x1, x2");
    assert_eq!(words(5), "91001441 ", "add x1, x2, #5");
    assert_eq!(words(-5), "d1001441 ", "sub x1, x2, #5");
    assert_eq!(words(0x5003), "91401441 91000c21 ", "add x1, x2, #5, lsl #12; add x1, x1, #3");
    assert_eq!(words(1 << 24), "d2a02009 8b090041 ", "movz x9, #0x100, lsl #16; add x1, x2, x9");
}
