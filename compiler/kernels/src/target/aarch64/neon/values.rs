//! Operations on vectors in registers.

use super::{Neon, VECTOR_SCRATCH};
use crate::isa::{BinOp, CmpOp, UnOp, V};
use crate::target::aarch64::encoder::{self as a64, Arr, Assembler, Size};

type Three = fn(&mut Assembler, Arr, a64::V, a64::V, a64::V);
type Two = fn(&mut Assembler, Arr, a64::V, a64::V);

impl Neon {
    pub(super) fn splat_bits(&mut self, d: V, bits: u32) {
        let d = self.v(d);
        if !self.asm.try_splat32(d, bits) {
            let literal = self.asm.literal(&bits.to_le_bytes().repeat(4));
            self.asm.ldr_literal(Size::Q, d, literal);
        }
    }

    pub(super) fn vector_unary(&mut self, op: UnOp, d: V, a: V) {
        let (d, a) = (self.v(d), self.v(a));
        let simple: Two = match op {
            UnOp::Neg => Assembler::fneg,
            UnOp::Abs => Assembler::fabs,
            UnOp::Sqrt => Assembler::fsqrt,
            UnOp::Floor => Assembler::frintm,
            UnOp::Ceil => Assembler::frintp,
            UnOp::Round => Assembler::frintn,
            UnOp::Trunc => Assembler::frintz,
            UnOp::ToInt => Assembler::fcvtns,
            UnOp::ToFloat => Assembler::scvtf,
            UnOp::Not => return self.asm.vnot(Arr::B16, d, a),
            UnOp::Shl(n) => return self.asm.shl(Arr::S4, d, a, n.into()),
            UnOp::Shr(n) => return self.asm.ushr(Arr::S4, d, a, n.into()),
            UnOp::Sar(n) => return self.asm.sshr(Arr::S4, d, a, n.into()),
        };
        simple(&mut self.asm, Arr::S4, d, a);
    }

    pub(super) fn vector_binary(&mut self, op: BinOp, d: V, a: V, b: V) {
        let (d, a, b) = (self.v(d), self.v(a), self.v(b));
        let (form, arrangement): (Three, Arr) = match op {
            BinOp::Add => (Assembler::fadd, Arr::S4),
            BinOp::Sub => (Assembler::fsub, Arr::S4),
            BinOp::Mul => (Assembler::fmul, Arr::S4),
            BinOp::Div => (Assembler::fdiv, Arr::S4),
            BinOp::Max => (Assembler::fmax, Arr::S4),
            BinOp::Min => (Assembler::fmin, Arr::S4),
            BinOp::And => (Assembler::vand, Arr::B16),
            BinOp::Or => (Assembler::vorr, Arr::B16),
            BinOp::Xor => (Assembler::veor, Arr::B16),
            BinOp::AddInt => (Assembler::vadd, Arr::S4),
            BinOp::SubInt => (Assembler::vsub, Arr::S4),
        };
        form(&mut self.asm, arrangement, d, a, b);
    }

    /// `d = c ± a * b` by an instruction that accumulates in its destination.
    pub(super) fn accumulate(&mut self, form: Three, d: V, a: V, b: V, c: V) {
        let overlaps = d == a || d == b;
        let sum = if overlaps && d != c { self.copy_to_scratch(c) } else { self.v(d) };
        if d != c && !overlaps {
            let c = self.v(c);
            self.asm.vmov(Arr::B16, sum, c);
        }
        let (d, a, b) = (self.v(d), self.v(a), self.v(b));
        form(&mut self.asm, Arr::S4, sum, a, b);
        if sum == VECTOR_SCRATCH {
            self.asm.vmov(Arr::B16, d, sum);
        }
    }

    pub(super) fn vector_compare(&mut self, op: CmpOp, d: V, a: V, b: V) {
        let (d, a, b) = (self.v(d), self.v(a), self.v(b));
        let asm = &mut self.asm;
        match op {
            CmpOp::Eq => asm.fcmeq(Arr::S4, d, a, b),
            CmpOp::Lt => asm.fcmgt(Arr::S4, d, b, a),
            CmpOp::Le => asm.fcmge(Arr::S4, d, b, a),
            CmpOp::Gt => asm.fcmgt(Arr::S4, d, a, b),
            CmpOp::Ge => asm.fcmge(Arr::S4, d, a, b),
            CmpOp::Ne => {
                asm.fcmeq(Arr::S4, d, a, b);
                asm.vnot(Arr::B16, d, d);
            }
            // The larger of the two is NaN exactly if either is, and only NaN differs from itself.
            CmpOp::Unord => {
                asm.fmax(Arr::S4, d, a, b);
                asm.fcmeq(Arr::S4, d, d, d);
                asm.vnot(Arr::B16, d, d);
            }
        }
    }

    /// `bsl` overwrites the mask, `bit` and `bif` one of the values: whichever the destination is.
    pub(super) fn vector_select(&mut self, d: V, mask: V, a: V, b: V) {
        let (to, m, x, y) = (self.v(d), self.v(mask), self.v(a), self.v(b));
        let asm = &mut self.asm;
        if d == mask {
            asm.bsl(Arr::B16, to, x, y);
        } else if d == a {
            asm.bif(Arr::B16, to, y, m);
        } else if d == b {
            asm.bit(Arr::B16, to, x, m);
        } else {
            asm.vmov(Arr::B16, to, m);
            asm.bsl(Arr::B16, to, x, y);
        }
    }
}
