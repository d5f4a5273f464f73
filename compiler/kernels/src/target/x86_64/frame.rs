//! Frame, prologue, epilogue and constant pool of an x86-64 function, and its encoding to bytes.

use super::{SYSV, X64};
use crate::isa::{Slot, VSlot};
use iced_x86::{BlockEncoder, BlockEncoderOptions, Code, Instruction, InstructionBlock, MemoryOperand, Register};

/// Bytes reserved for integer slots when there are vector slots or saved vectors above them.
const SLOT_AREA: i64 = 512;
/// A larger frame would have to be probed on Windows, and is a sign of a mistake elsewhere.
const MAX_FRAME: i64 = 4000;
/// Alignment of the constant pool.
const POOL_ALIGN: usize = 64;

type Encoded<T> = Result<T, String>;

fn text(e: impl ToString) -> String {
    e.to_string()
}

impl X64 {
    pub(super) fn slot_mem(&self, slot: Slot) -> MemoryOperand {
        MemoryOperand::with_base_displ_size(Register::RSP, i64::from(slot.0) * 8, 1)
    }

    pub(super) fn vslot_mem(&self, slot: VSlot) -> MemoryOperand {
        let disp = SLOT_AREA + i64::from(slot.0) * self.vector_bytes();
        MemoryOperand::with_base_displ_size(Register::RSP, disp, 1)
    }

    fn vector_bytes(&self) -> i64 {
        if self.wide { 64 } else { 32 }
    }

    /// Callee-saved general registers that the body (or the arguments) touch.
    fn saved_gprs(&self, args: usize) -> Vec<Register> {
        let used = self.used_gprs | ((1 << args) - 1);
        let first = if self.win64 { 7 } else { 9 };
        (first..SYSV.len()).filter(|&i| used >> i & 1 == 1).map(|i| self.gprs()[i]).collect()
    }

    /// Callee-saved vector registers that the body touches (low 128 bits, Win64 only).
    fn saved_vregs(&self) -> Vec<Register> {
        let saved = if self.win64 { self.used_vregs & 0xffc0 } else { 0 };
        (0..16u32).filter(|&i| saved >> i & 1 == 1).map(|i| Register::XMM0 + i).collect()
    }

    fn frame_bytes(&self, saved_vregs: usize) -> i64 {
        if self.vslots == 0 && saved_vregs == 0 {
            return i64::from(self.slots) * 8;
        }
        SLOT_AREA + i64::from(self.vslots) * self.vector_bytes() + saved_vregs as i64 * 16
    }

    /// Where argument `i` lies on the stack at entry, if it is not passed in a register.
    fn stack_arg(&self, i: usize) -> Option<i64> {
        match self.win64 {
            true => (i >= 4).then(|| 0x28 + 8 * (i as i64 - 4)),
            false => (i >= 6).then(|| 8 + 8 * (i as i64 - 6)),
        }
    }

    fn prologue(&self, args: usize) -> Encoded<Vec<Instruction>> {
        let (gprs, vregs) = (self.saved_gprs(args), self.saved_vregs());
        let frame = self.frame_bytes(vregs.len());
        let mut code = Vec::new();
        for &r in &gprs {
            code.push(Instruction::with1(Code::Push_r64, r).map_err(text)?);
        }
        if frame > 0 {
            code.push(Instruction::with2(Code::Sub_rm64_imm32, Register::RSP, frame as i32).map_err(text)?);
        }
        for (i, &r) in vregs.iter().enumerate() {
            let m = MemoryOperand::with_base_displ_size(Register::RSP, frame - 16 * (i as i64 + 1), 1);
            code.push(Instruction::with2(Code::VEX_Vmovups_xmmm128_xmm, m, r).map_err(text)?);
        }
        let moved = frame + 8 * gprs.len() as i64;
        for i in 0..args {
            if let Some(at) = self.stack_arg(i) {
                let m = MemoryOperand::with_base_displ_size(Register::RSP, moved + at, 1);
                code.push(Instruction::with2(Code::Mov_r64_rm64, self.gprs()[i], m).map_err(text)?);
            }
        }
        Ok(code)
    }

    fn epilogue(&self, args: usize) -> Encoded<Vec<Instruction>> {
        let (gprs, vregs) = (self.saved_gprs(args), self.saved_vregs());
        let frame = self.frame_bytes(vregs.len());
        let mut code = vec![Instruction::with(Code::VEX_Vzeroupper)];
        for (i, &r) in vregs.iter().enumerate() {
            let m = MemoryOperand::with_base_displ_size(Register::RSP, frame - 16 * (i as i64 + 1), 1);
            code.push(Instruction::with2(Code::VEX_Vmovups_xmm_xmmm128, r, m).map_err(text)?);
        }
        if frame > 0 {
            code.push(Instruction::with2(Code::Add_rm64_imm32, Register::RSP, frame as i32).map_err(text)?);
        }
        for &r in gprs.iter().rev() {
            code.push(Instruction::with1(Code::Pop_r64, r).map_err(text)?);
        }
        code.push(Instruction::with(Code::Retnq));
        Ok(code)
    }

    fn pool_data(&self, pad: usize) -> Encoded<Vec<Instruction>> {
        let mut data = Vec::new();
        for _ in 0..pad {
            data.push(Instruction::with_declare_byte_1(0xcc));
        }
        for (words, id) in &self.pool {
            for (i, chunk) in words.chunks(4).enumerate() {
                let mut d = Instruction::with_declare_dword(chunk).map_err(text)?;
                d.set_ip(if i == 0 { *id } else { 0 });
                data.push(d);
            }
        }
        Ok(data)
    }

    pub(super) fn finish_function(&mut self, args: usize) -> Encoded<Vec<u8>> {
        if let Some(e) = &self.error {
            return Err(e.clone());
        }
        if self.bound != self.labels {
            return Err("a label is not bound".into());
        }
        if i64::from(self.slots) * 8 > SLOT_AREA {
            return Err("too many frame slots".into());
        }
        if self.frame_bytes(self.saved_vregs().len()) > MAX_FRAME {
            return Err("the frame is larger than a page".into());
        }
        self.pool.sort_by_key(|(words, id)| (usize::MAX - words.len(), *id));
        let mut code = self.prologue(args)?;
        code.append(&mut self.body);
        code.extend(self.epilogue(args)?);
        if self.pool.is_empty() {
            return encode(&code);
        }
        let pool_bytes: usize = self.pool.iter().map(|(words, _)| words.len() * 4).sum();
        let mut probe = code.clone();
        probe.extend(self.pool_data(0)?);
        let start = encode(&probe)?.len() - pool_bytes;
        code.extend(self.pool_data(start.next_multiple_of(POOL_ALIGN) - start)?);
        encode(&code)
    }
}

fn encode(code: &[Instruction]) -> Encoded<Vec<u8>> {
    let block = InstructionBlock::new(code, 0);
    let result = BlockEncoder::encode(64, block, BlockEncoderOptions::NONE).map_err(text)?;
    Ok(result.code_buffer)
}
