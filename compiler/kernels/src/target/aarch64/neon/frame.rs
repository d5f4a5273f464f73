//! The stack frame: slots, the registers saved, prologue and epilogue.
//!
//! From the stack pointer up: the slots in the order they were asked for, then the callee-saved registers, 16 bytes for one or two. The function calls nothing, so
//! the link register stays where it is.

use super::Neon;
use crate::isa::{EmitError, MAX_ARGS};
use crate::target::aarch64::encoder::{Assembler, Gpr, Mem, SP, Size, V, x};

/// Largest frame; far beyond what a kernel needs, and below what one page of stack guard lets pass unnoticed.
const MAX_LOCALS: u32 = 1 << 15;

/// One or two registers saved in 16 bytes.
#[derive(Clone, Copy)]
enum Saved {
    Integer(Gpr, Option<Gpr>),
    Vector(V, Option<V>),
}

impl Saved {
    fn store(self, asm: &mut Assembler, m: Mem) {
        match self {
            Saved::Integer(a, Some(b)) => asm.stp(a, b, m),
            Saved::Integer(a, None) => asm.str(a, m),
            Saved::Vector(a, Some(b)) => asm.stp_v(Size::D, a, b, m),
            Saved::Vector(a, None) => asm.str_v(Size::D, a, m),
        }
    }

    fn load(self, asm: &mut Assembler, m: Mem) {
        match self {
            Saved::Integer(a, Some(b)) => asm.ldp(a, b, m),
            Saved::Integer(a, None) => asm.ldr(a, m),
            Saved::Vector(a, Some(b)) => asm.ldp_v(Size::D, a, b, m),
            Saved::Vector(a, None) => asm.ldr_v(Size::D, a, m),
        }
    }
}

impl Neon {
    /// Sets `bytes` (8 or 16) of the frame aside, aligned to themselves; gives their offset from the stack pointer.
    pub(super) fn new_local(&mut self, bytes: u32) -> u32 {
        let offset = self.locals.next_multiple_of(bytes);
        if offset >= MAX_LOCALS {
            self.error.get_or_insert_with(|| "too many frame slots".into());
            return 0;
        }
        self.locals = offset + bytes;
        offset
    }

    /// The address of a slot.
    pub(super) fn local(&mut self, offset: u32, size: Size) -> Mem {
        debug_assert!(offset < 4096 << size.log2(), "slots lie within {MAX_LOCALS} bytes");
        Mem::Offset(SP, offset as i32)
    }

    /// Callee-saved registers that the body touches: `x19`..`x28` and the lower halves of `v8`..`v15`.
    fn saved(&self) -> Vec<Saved> {
        let used = |mask: u32, range: std::ops::Range<u8>| range.filter(move |n| mask >> n & 1 == 1).collect::<Vec<u8>>();
        let gprs = used(self.used_gprs, 19..29);
        let vectors = used(self.used_vregs, 8..16);
        let integer = gprs.chunks(2).map(|c| Saved::Integer(x(c[0]), c.get(1).map(|&n| x(n))));
        let vector = vectors.chunks(2).map(|c| Saved::Vector(V(c[0]), c.get(1).map(|&n| V(n))));
        integer.chain(vector).collect()
    }

    fn prologue(&self, pairs: &[Saved], locals: u32) -> Assembler {
        let mut asm = Assembler::new();
        let saved = pairs.len() as i32 * 16;
        for (i, pair) in pairs.iter().enumerate() {
            let m = if i == 0 { Mem::Pre(SP, -saved) } else { Mem::Offset(SP, 16 * i as i32) };
            pair.store(&mut asm, m);
        }
        move_stack(&mut asm, Assembler::sub_imm, locals);
        asm
    }

    fn epilogue(&mut self, pairs: &[Saved], locals: u32) {
        move_stack(&mut self.asm, Assembler::add_imm, locals);
        let saved = pairs.len() as i32 * 16;
        for (i, pair) in pairs.iter().enumerate().rev() {
            let m = if i == 0 { Mem::Post(SP, saved) } else { Mem::Offset(SP, 16 * i as i32) };
            pair.load(&mut self.asm, m);
        }
        self.asm.ret();
    }

    pub(super) fn finish_function(&mut self, args: usize) -> Result<Vec<u8>, EmitError> {
        if let Some(error) = self.error.take() {
            return Err(EmitError::Encoding(error));
        }
        if args > MAX_ARGS {
            return Err(EmitError::Encoding(format!("{args} arguments")));
        }
        self.end_block();
        let pairs = self.saved();
        let locals = self.locals.next_multiple_of(16);
        self.epilogue(&pairs, locals);
        let prologue = self.prologue(&pairs, locals);
        let mut asm = std::mem::take(&mut self.asm);
        asm.prepend(prologue);
        asm.finish().map_err(|error| EmitError::Encoding(error.to_string()))
    }
}

fn move_stack(asm: &mut Assembler, step: fn(&mut Assembler, Gpr, Gpr, u32), bytes: u32) {
    for part in [bytes & !0xfff, bytes & 0xfff].into_iter().filter(|part| *part != 0) {
        step(asm, SP, SP, part);
    }
}
