//! Unwind tables, so that crash reports show who called.
//!
//! ELF: `.eh_frame` with PC-relative addresses; absolute ones would be relocations of read-only memory in every
//! shared library. Windows on x86-64: `.pdata` and `.xdata`. Mach-O has frame-pointer chains instead, and vector
//! kernels have none.

use crate::error::CodegenError;
use cranelift_codegen::CompiledCode;
use cranelift_codegen::gimli::constants::{DW_EH_PE_pcrel, DW_EH_PE_sdata4};
use cranelift_codegen::gimli::write::{Address, EhFrame, EndianVec, FrameTable, RelocateWriter, Relocation, RelocationTarget};
use cranelift_codegen::gimli::{DwEhPe, LittleEndian};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::{UnwindInfo, winx64};
use cranelift_module::FuncId;
use object::write::{Object, Relocation as ObjectRelocation, SectionId, StandardSection, Symbol, SymbolId, SymbolSection};
use object::{
    BinaryFormat, RelocationEncoding, RelocationFlags, RelocationKind, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

/// What is known of each function, in order of definition.
#[derive(Default)]
pub(crate) struct Unwind {
    functions: Vec<(FuncId, UnwindInfo, u32)>,
}

impl Unwind {
    /// Notes how a compiled function is unwound.
    pub(crate) fn add(&mut self, id: FuncId, compiled: &CompiledCode, isa: &dyn TargetIsa) -> Result<(), CodegenError> {
        let info = compiled.create_unwind_info(isa).map_err(|e| CodegenError::BackEnd(e.to_string()))?;
        if let Some(info) = info {
            self.functions.push((id, info, compiled.buffer.data().len() as u32));
        }
        Ok(())
    }

    /// Adds the tables to an object.
    pub(crate) fn write(
        self,
        object: &mut Object,
        isa: &dyn TargetIsa,
        symbol_of: &dyn Fn(FuncId) -> SymbolId,
    ) -> Result<(), CodegenError> {
        match object.format() {
            BinaryFormat::Elf => self.write_eh_frame(object, isa, symbol_of),
            BinaryFormat::Coff => self.write_pdata(object, symbol_of),
            _ => Ok(()),
        }
    }

    fn write_eh_frame(
        self,
        object: &mut Object,
        isa: &dyn TargetIsa,
        symbol_of: &dyn Fn(FuncId) -> SymbolId,
    ) -> Result<(), CodegenError> {
        let Some(mut cie) = isa.create_systemv_cie() else { return Ok(()) };
        cie.fde_address_encoding = DwEhPe(DW_EH_PE_pcrel.0 | DW_EH_PE_sdata4.0);
        let mut table = FrameTable::default();
        let cie = table.add_cie(cie);
        let mut symbols = Vec::new();
        for (id, info, _) in self.functions {
            if let UnwindInfo::SystemV(info) = info {
                table.add_fde(cie, info.to_fde(Address::Symbol { symbol: symbols.len(), addend: 0 }));
                symbols.push(symbol_of(id));
            }
        }
        let mut frames = EhFrame(Frames { bytes: EndianVec::new(LittleEndian), relocations: Vec::new() });
        table.write_eh_frame(&mut frames).map_err(|e| CodegenError::BackEnd(e.to_string()))?;
        let EhFrame(frames) = frames;
        let section = object.section_id(StandardSection::EhFrame);
        object.append_section_data(section, frames.bytes.slice(), 8);
        for relocation in frames.relocations {
            if let RelocationTarget::Symbol(at) = relocation.target {
                let (start, offset) = in_section(object, symbols[at])?;
                add_relocation(
                    object,
                    section,
                    relocation.offset as u64,
                    RelocationKind::Relative,
                    start,
                    relocation.addend + offset,
                )?;
            }
        }
        Ok(())
    }

    fn write_pdata(self, object: &mut Object, symbol_of: &dyn Fn(FuncId) -> SymbolId) -> Result<(), CodegenError> {
        let functions: Vec<(SymbolId, winx64::UnwindInfo, u32)> = self
            .functions
            .into_iter()
            .filter_map(|(id, info, len)| match info {
                UnwindInfo::WindowsX64(info) => Some((symbol_of(id), info, len)),
                _ => None,
            })
            .collect();
        if functions.is_empty() {
            return Ok(());
        }
        let codes = object.add_section(Vec::new(), b".xdata".to_vec(), SectionKind::ReadOnlyData);
        let table = object.add_section(Vec::new(), b".pdata".to_vec(), SectionKind::ReadOnlyData);
        let start_of_codes = object.add_symbol(Symbol {
            name: b".xdata.start".to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Data,
            scope: SymbolScope::Compilation,
            weak: false,
            section: SymbolSection::Section(codes),
            flags: SymbolFlags::None,
        });
        for (symbol, info, len) in functions {
            let mut bytes = vec![0; info.emit_size()];
            info.emit(&mut bytes);
            let at = object.append_section_data(codes, &bytes, 4);
            // Begin, end, and unwind codes, as addresses relative to the image.
            let entry = object.append_section_data(table, &[0; 12], 4);
            add_relocation(object, table, entry, RelocationKind::ImageOffset, symbol, 0)?;
            add_relocation(object, table, entry + 4, RelocationKind::ImageOffset, symbol, i64::from(len))?;
            add_relocation(object, table, entry + 8, RelocationKind::ImageOffset, start_of_codes, at as i64)?;
        }
        Ok(())
    }
}

/// A function as the symbol of its section and an offset: an exported symbol may be replaced when a library is loaded,
/// so no linker takes a PC-relative address of it.
fn in_section(object: &mut Object, symbol: SymbolId) -> Result<(SymbolId, i64), CodegenError> {
    let symbol = object.symbol(symbol);
    let (section, offset) = (symbol.section.id(), symbol.value as i64);
    let section = section.ok_or_else(|| CodegenError::BackEnd("a function without section".into()))?;
    Ok((object.section_symbol(section), offset))
}

fn add_relocation(
    object: &mut Object,
    section: SectionId,
    offset: u64,
    kind: RelocationKind,
    symbol: SymbolId,
    addend: i64,
) -> Result<(), CodegenError> {
    let flags = RelocationFlags::Generic { kind, encoding: RelocationEncoding::Generic, size: 32 };
    Ok(object.add_relocation(section, ObjectRelocation { offset, symbol, addend, flags })?)
}

/// `.eh_frame` under construction.
struct Frames {
    bytes: EndianVec<LittleEndian>,
    relocations: Vec<Relocation>,
}

impl RelocateWriter for Frames {
    type Writer = EndianVec<LittleEndian>;

    fn writer(&self) -> &Self::Writer {
        &self.bytes
    }

    fn writer_mut(&mut self) -> &mut Self::Writer {
        &mut self.bytes
    }

    fn relocate(&mut self, relocation: Relocation) {
        self.relocations.push(relocation);
    }
}
