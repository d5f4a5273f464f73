//! Integer operations of the x86-64 assembler: moves, arithmetic, comparisons, branches.

use super::X64;
use crate::isa::{Cond, Gpr, Label, Src, V};
use iced_x86::{Code, Instruction, MemoryOperand};

fn jump_code(cond: Cond) -> Code {
    match cond {
        Cond::Eq => Code::Je_rel32_64,
        Cond::Ne => Code::Jne_rel32_64,
        Cond::Lt => Code::Jl_rel32_64,
        Cond::Le => Code::Jle_rel32_64,
        Cond::Gt => Code::Jg_rel32_64,
        Cond::Ge => Code::Jge_rel32_64,
        Cond::Ult => Code::Jb_rel32_64,
    }
}

fn move_code(cond: Cond) -> Code {
    match cond {
        Cond::Eq => Code::Cmove_r64_rm64,
        Cond::Ne => Code::Cmovne_r64_rm64,
        Cond::Lt => Code::Cmovl_r64_rm64,
        Cond::Le => Code::Cmovle_r64_rm64,
        Cond::Gt => Code::Cmovg_r64_rm64,
        Cond::Ge => Code::Cmovge_r64_rm64,
        Cond::Ult => Code::Cmovb_r64_rm64,
    }
}

impl X64 {
    /// An immediate of 32 bits, sign-extended; anything larger is noted as an error.
    fn imm(&mut self, i: i64) -> i32 {
        i32::try_from(i).unwrap_or_else(|_| {
            self.error.get_or_insert_with(|| format!("constant {i} is out of range"));
            0
        })
    }
}

fn fits_i8(i: i64) -> bool {
    i8::try_from(i).is_ok()
}

impl X64 {
    fn compare(&mut self, a: Gpr, b: Src) {
        let a = self.g(a);
        let i = match b {
            Src::Reg(b) => {
                let b = self.g(b);
                Instruction::with2(Code::Cmp_r64_rm64, a, b)
            }
            Src::Imm(0) => Instruction::with2(Code::Test_rm64_r64, a, a),
            Src::Imm(i) if fits_i8(i) => Instruction::with2(Code::Cmp_rm64_imm8, a, i as i32),
            Src::Imm(i) => Instruction::with2(Code::Cmp_rm64_imm32, a, self.imm(i)),
        };
        self.push(i);
    }

    pub(super) fn compare_and_branch(&mut self, cond: Cond, a: Gpr, b: Src, label: Label) {
        self.compare(a, b);
        self.push(Instruction::with_branch(jump_code(cond), u64::from(label.0)));
    }

    pub(super) fn conditional_move(&mut self, cond: Cond, a: Gpr, b: Src, d: Gpr, s: Gpr) {
        self.compare(a, b);
        let (d, s) = (self.g(d), self.g(s));
        self.push(Instruction::with2(move_code(cond), d, s));
    }

    pub(super) fn move_int(&mut self, d: Gpr, s: Src) {
        let r = self.g(d);
        let i = match s {
            Src::Reg(s) if s == d => return,
            Src::Reg(s) => {
                let s = self.g(s);
                Instruction::with2(Code::Mov_r64_rm64, r, s)
            }
            Src::Imm(i) if u32::try_from(i).is_ok() => Instruction::with2(Code::Mov_r32_imm32, self.g32(d), i as u32),
            Src::Imm(i) if i32::try_from(i).is_ok() => Instruction::with2(Code::Mov_rm64_imm32, r, i as i32),
            Src::Imm(i) => Instruction::with2(Code::Mov_r64_imm64, r, i),
        };
        self.push(i);
    }

    pub(super) fn add_int(&mut self, d: Gpr, a: Gpr, b: Src) {
        let (r, x) = (self.g(d), self.g(a));
        let i = match b {
            Src::Imm(0) => return self.move_int(d, Src::Reg(a)),
            Src::Imm(i) if d == a && fits_i8(i) => Instruction::with2(Code::Add_rm64_imm8, r, i as i32),
            Src::Imm(i) if d == a => Instruction::with2(Code::Add_rm64_imm32, r, self.imm(i)),
            Src::Imm(i) => {
                let m = MemoryOperand::with_base_displ_size(x, i64::from(self.imm(i)), 1);
                Instruction::with2(Code::Lea_r64_m, r, m)
            }
            Src::Reg(b) => {
                let y = self.g(b);
                match (d == a, d == b) {
                    (true, _) => Instruction::with2(Code::Add_r64_rm64, r, y),
                    (_, true) => Instruction::with2(Code::Add_r64_rm64, r, x),
                    _ => Instruction::with2(Code::Lea_r64_m, r, MemoryOperand::with_base_index(x, y)),
                }
            }
        };
        self.push(i);
    }

    pub(super) fn sub_int(&mut self, d: Gpr, a: Gpr, b: Src) {
        match b {
            Src::Imm(i) => self.add_int(d, a, Src::Imm(-i)),
            Src::Reg(b) if d == b && d != a => {
                let r = self.g(d);
                self.push(Instruction::with1(Code::Neg_rm64, r));
                self.add_int(d, d, Src::Reg(a));
            }
            Src::Reg(b) => {
                self.move_int(d, Src::Reg(a));
                let (r, b) = (self.g(d), self.g(b));
                self.push(Instruction::with2(Code::Sub_r64_rm64, r, b));
            }
        }
    }

    pub(super) fn mul_int(&mut self, d: Gpr, a: Gpr, b: Src) {
        match b {
            Src::Imm(i) if i > 0 && (i as u64).is_power_of_two() => {
                self.shift_int(Code::Shl_rm64_imm8, d, a, i.trailing_zeros() as u8);
            }
            Src::Imm(i) => {
                let (r, a, imm) = (self.g(d), self.g(a), self.imm(i));
                self.push(Instruction::with3(Code::Imul_r64_rm64_imm32, r, a, imm));
            }
            Src::Reg(b) => {
                let other = if d == b { a } else { b };
                if d != b {
                    self.move_int(d, Src::Reg(a));
                }
                let (r, o) = (self.g(d), self.g(other));
                self.push(Instruction::with2(Code::Imul_r64_rm64, r, o));
            }
        }
    }

    pub(super) fn shift_int(&mut self, code: Code, d: Gpr, a: Gpr, n: u8) {
        self.move_int(d, Src::Reg(a));
        if n > 0 {
            let r = self.g(d);
            self.push(Instruction::with2(code, r, u32::from(n)));
        }
    }

    /// Divides in f64: exact for the stated ranges, and needs neither rax nor rdx.
    pub(super) fn divide_int(&mut self, d: Gpr, a: Gpr, b: Gpr, tmp: [V; 2]) {
        let (x, y) = (self.x(tmp[0]), self.x(tmp[1]));
        let (d, a, b) = (self.g(d), self.g(a), self.g(b));
        let to_f64 = self.pick(Code::VEX_Vcvtsi2sd_xmm_xmm_rm64, Code::EVEX_Vcvtsi2sd_xmm_xmm_rm64_er);
        let div = self.pick(Code::VEX_Vdivsd_xmm_xmm_xmmm64, Code::EVEX_Vdivsd_xmm_k1z_xmm_xmmm64_er);
        let to_int = self.pick(Code::VEX_Vcvttsd2si_r64_xmmm64, Code::EVEX_Vcvttsd2si_r64_xmmm64_sae);
        self.push(Instruction::with3(to_f64, x, x, a));
        self.push(Instruction::with3(to_f64, y, y, b));
        self.push(Instruction::with3(div, x, x, y));
        self.push(Instruction::with2(to_int, d, x));
    }
}
