//! Text of what is generated: CLIF with the places in the model's source that it stems from, and Cranelift's own
//! listing of the machine code.

use crate::generate::{EmittedKernel, Options};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{Block, Function, Inst, SourceLoc, Value};
use cranelift_codegen::write::{FuncWriter, PlainWriter, decorate_function};
use kiln_support::Span;
use std::fmt::{self, Write};

/// The texts so far; those not asked for are absent.
pub(crate) struct Listing<'o> {
    pub(crate) clif: Option<String>,
    pub(crate) asm: Option<String>,
    pub(crate) text_bytes: u64,
    describe: Option<&'o dyn Fn(Span) -> String>,
}

impl<'o> Listing<'o> {
    pub(crate) fn new(options: &Options<'o>) -> Listing<'o> {
        Listing {
            clif: options.clif.then(String::new),
            asm: options.asm.then(String::new),
            text_bytes: 0,
            describe: options.describe,
        }
    }

    pub(crate) fn wants_asm(&self) -> bool {
        self.asm.is_some()
    }

    /// Adds a function before it is compiled.
    pub(crate) fn clif(&mut self, function: &Function, name: &str, spans: &[Span]) {
        let Some(out) = &mut self.clif else { return };
        let mut writer = SourceWriter { plain: PlainWriter, spans, describe: self.describe, last: SourceLoc::default() };
        let _ = writeln!(out, "; {name}");
        let _ = decorate_function(&mut writer, out, function);
        out.push('\n');
    }

    /// Adds a compiled function.
    pub(crate) fn asm(&mut self, name: &str, text: Option<&str>) {
        if let (Some(out), Some(text)) = (&mut self.asm, text) {
            let _ = writeln!(out, "{name}:\n{text}");
        }
    }

    /// Adds a vector kernel.
    pub(crate) fn kernel(&mut self, kernel: &EmittedKernel) {
        let size = format!("; {} bytes, emitted\n", kernel.bytes.len());
        self.asm(&kernel.name, Some(kernel.listing.as_deref().unwrap_or(&size)));
    }
}

/// Writes CLIF with a comment wherever the source location changes.
struct SourceWriter<'a> {
    plain: PlainWriter,
    spans: &'a [Span],
    describe: Option<&'a dyn Fn(Span) -> String>,
    last: SourceLoc,
}

impl FuncWriter for SourceWriter<'_> {
    fn write_block_header(&mut self, w: &mut dyn Write, func: &Function, block: Block, indent: usize) -> fmt::Result {
        self.plain.write_block_header(w, func, block, indent)
    }

    fn write_instruction(
        &mut self,
        w: &mut dyn Write,
        func: &Function,
        aliases: &SecondaryMap<Value, Vec<Value>>,
        inst: Inst,
        indent: usize,
    ) -> fmt::Result {
        let location = func.srcloc(inst);
        if location != self.last && !location.is_default() {
            self.last = location;
            let span = (location.bits() as usize).checked_sub(1).and_then(|at| self.spans.get(at));
            if let (Some(describe), Some(&span)) = (self.describe, span) {
                for line in describe(span).lines() {
                    writeln!(w, "{:indent$}; {line}", "")?;
                }
            }
        }
        self.plain.write_instruction(w, func, aliases, inst, indent)
    }
}
