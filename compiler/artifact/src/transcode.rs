//! Mach-O objects as ELF objects: the same code, data and relocations in the other container, so that code for Apple's
//! systems can be linked and executed on Linux.
//!
//! In: a relocatable Mach-O object for aarch64 or x86-64, as code generation and rustc make them. Out: an ELF object for the same
//! architecture, with symbols as C names them (without Mach-O's leading `_`). Sections that only debuggers and unwinders
//! read are left out. What Apple's own ABI does otherwise (variadic calls, narrow arguments on the stack, thread-local variables)
//! is in code, not in the container, and stays as it is.
//!
//! Sources: `mach-o/reloc.h`, `mach-o/arm64/reloc.h` and `mach-o/x86_64/reloc.h` of Apple's headers; the ELF ABI supplements for
//! AArch64 (AAELF64) and x86-64.

use kiln_codegen::CodegenError;
use object::write::{Object as ElfObject, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionIndex,
    SectionKind, SymbolFlags, SymbolIndex, SymbolKind, elf, macho,
};
use std::collections::HashMap;

type Result<T> = std::result::Result<T, CodegenError>;

/// Rewrites a Mach-O object as an ELF object. Fails on anything that has no counterpart, naming it.
pub fn elf_from_mach_o(bytes: &[u8]) -> Result<Vec<u8>> {
    Rewriter::new(bytes)?.rewrite()
}

fn refused(what: impl std::fmt::Display) -> CodegenError {
    CodegenError::BackEnd(format!("a Mach-O object cannot be written as ELF: {what}"))
}

struct Rewriter<'a> {
    from: object::File<'a>,
    to: ElfObject<'a>,
    sections: HashMap<SectionIndex, SectionId>,
    symbols: HashMap<SymbolIndex, SymbolId>,
}

/// A relocation as it stands in the Mach-O object.
struct Place<'b> {
    /// Its kind.
    r_type: u8,
    /// Where it is, as an address in the object.
    address: u64,
    /// The bytes from there on.
    bytes: &'b [u8],
    /// What an explicit addend says.
    addend: i64,
    /// The address of the section that it points into; none where it names a symbol.
    section: Option<u64>,
}

impl<'a> Rewriter<'a> {
    fn new(bytes: &'a [u8]) -> Result<Rewriter<'a>> {
        let from = object::File::parse(bytes).map_err(refused)?;
        let architecture = from.architecture();
        if from.format() != BinaryFormat::MachO || !matches!(architecture, Architecture::Aarch64 | Architecture::X86_64) {
            return Err(refused(format!("it is {:?} for {architecture:?}", from.format())));
        }
        let to = ElfObject::new(BinaryFormat::Elf, architecture, Endianness::Little);
        Ok(Rewriter { from, to, sections: HashMap::new(), symbols: HashMap::new() })
    }

    fn rewrite(mut self) -> Result<Vec<u8>> {
        let sections: Vec<SectionIndex> = self.from.sections().map(|s| s.index()).collect();
        sections.iter().try_for_each(|&index| self.section(index))?;
        let symbols: Vec<SymbolIndex> = self.from.symbols().map(|s| s.index()).collect();
        symbols.iter().try_for_each(|&index| self.symbol(index))?;
        sections.iter().try_for_each(|&index| self.relocations(index))?;
        // No code here wants an executable stack.
        self.to.add_section(Vec::new(), b".note.GNU-stack".to_vec(), SectionKind::Other);
        Ok(self.to.write()?)
    }

    fn section(&mut self, index: SectionIndex) -> Result<()> {
        let section = self.from.section_by_index(index).map_err(refused)?;
        let (segment, name) = (section.segment_name().map_err(refused)?.unwrap_or(""), section.name().map_err(refused)?);
        if matches!(segment, "__LD" | "__DWARF") || name == "__eh_frame" {
            return Ok(());
        }
        let (name, kind) = elf_section(segment, section.kind());
        let id = self.to.add_section(Vec::new(), name.as_bytes().to_vec(), kind);
        if kind == SectionKind::UninitializedData {
            self.to.append_section_bss(id, section.size(), section.align());
        } else {
            self.to.append_section_data(id, section.data().map_err(refused)?, section.align());
        }
        self.sections.insert(index, id);
        Ok(())
    }

    fn symbol(&mut self, index: SymbolIndex) -> Result<()> {
        let symbol = self.from.symbol_by_index(index).map_err(refused)?;
        let name = symbol.name().map_err(refused)?;
        let (section, start) = match symbol.section_index() {
            None if symbol.is_undefined() => (SymbolSection::Undefined, 0),
            None => return Err(refused(format!("the symbol {name} is in no section"))),
            Some(section) => match self.sections.get(&section) {
                Some(&id) => (SymbolSection::Section(id), self.address(section)?),
                None => return Ok(()),
            },
        };
        // Mach-O symbols have no kinds of their own; undefined ones are functions here.
        let is_text = symbol.is_undefined() || symbol.kind() == SymbolKind::Text;
        let id = self.to.add_symbol(Symbol {
            name: name.strip_prefix('_').unwrap_or(name).as_bytes().to_vec(),
            value: symbol.address().checked_sub(start).ok_or_else(|| refused(format!("the symbol {name} is astray")))?,
            size: 0,
            kind: if is_text { SymbolKind::Text } else { SymbolKind::Data },
            scope: symbol.scope(),
            weak: symbol.is_weak(),
            section,
            flags: SymbolFlags::None,
        });
        self.symbols.insert(index, id);
        Ok(())
    }

    fn address(&self, section: SectionIndex) -> Result<u64> {
        Ok(self.from.section_by_index(section).map_err(refused)?.address())
    }

    fn relocations(&mut self, index: SectionIndex) -> Result<()> {
        let Some(&to) = self.sections.get(&index) else { return Ok(()) };
        let section = self.from.section_by_index(index).map_err(refused)?;
        let (data, start) = (section.data().map_err(refused)?, section.address());
        let relocations: Vec<_> = section.relocations().collect();
        for (offset, relocation) in relocations {
            let RelocationFlags::MachO { r_type, r_length, .. } = relocation.flags() else {
                return Err(refused("an odd relocation"));
            };
            let (symbol, section) = self.target(relocation.target())?;
            let bytes = usize::try_from(offset).ok().and_then(|at| data.get(at..)).unwrap_or_default();
            let place = Place { r_type, address: start + offset, bytes, addend: relocation.addend(), section };
            let is_aarch64 = self.from.architecture() == Architecture::Aarch64;
            let (r_type, addend) = match relocation.subtractor() {
                Some(base) => place.difference(self.address_in(base, index)?, r_length, is_aarch64)?,
                None if is_aarch64 => place.aarch64()?,
                None => place.x86_64()?,
            };
            self.to.add_relocation(to, Relocation { offset, symbol, addend, flags: RelocationFlags::Elf { r_type } })?;
        }
        Ok(())
    }

    /// The address of a symbol, which has to be in a section.
    fn address_in(&self, symbol: SymbolIndex, section: SectionIndex) -> Result<u64> {
        let symbol = self.from.symbol_by_index(symbol).map_err(refused)?;
        let is_in = symbol.section_index() == Some(section);
        if is_in { Ok(symbol.address()) } else { Err(refused("the distance from a symbol of another section")) }
    }

    /// The symbol that a relocation points to, and for one that points into a section the address of that.
    fn target(&mut self, target: RelocationTarget) -> Result<(SymbolId, Option<u64>)> {
        let lost = || refused("a relocation into a section that is left out");
        match target {
            RelocationTarget::Symbol(symbol) => Ok((*self.symbols.get(&symbol).ok_or_else(lost)?, None)),
            RelocationTarget::Section(section) => {
                let address = self.address(section)?;
                let &id = self.sections.get(&section).ok_or_else(lost)?;
                Ok((self.to.section_symbol(id), Some(address)))
            }
            other => Err(refused(format!("a relocation to {other:?}"))),
        }
    }
}

/// The ELF section that takes a Mach-O one.
fn elf_section(segment: &str, kind: SectionKind) -> (&'static str, SectionKind) {
    match kind {
        SectionKind::Text => (".text", SectionKind::Text),
        SectionKind::UninitializedData | SectionKind::Common => (".bss", SectionKind::UninitializedData),
        SectionKind::Data => (".data", SectionKind::Data),
        _ if segment.starts_with("__DATA") => (".data.rel.ro", SectionKind::ReadOnlyDataWithRel),
        // Literals keep their places: relocations count from the start of the section.
        _ => (".rodata", SectionKind::ReadOnlyData),
    }
}

impl Place<'_> {
    fn word<const N: usize>(&self) -> Result<[u8; N]> {
        self.bytes.first_chunk().copied().ok_or_else(|| refused("a relocation behind the end of its section"))
    }

    fn unknown(&self) -> CodegenError {
        refused(format!("a relocation of type {}{}", self.r_type, if self.section.is_some() { " into a section" } else { "" }))
    }

    /// An absolute word: the addend is in place; where it points into a section, it is an address.
    fn absolute(&self) -> Result<i64> {
        let in_place = i64::from_le_bytes(self.word()?);
        Ok(in_place.wrapping_add(self.addend).wrapping_sub(self.section.unwrap_or(0) as i64))
    }

    /// The distance from a symbol at `base`, in the same section, as a distance from this place.
    fn difference(&self, base: u64, log_size: u8, is_aarch64: bool) -> Result<(u32, i64)> {
        let (r_type, in_place) = match (log_size, is_aarch64) {
            (2, true) => (elf::R_AARCH64_PREL32, i64::from(i32::from_le_bytes(self.word()?))),
            (2, false) => (elf::R_X86_64_PC32, i64::from(i32::from_le_bytes(self.word()?))),
            (3, true) => (elf::R_AARCH64_PREL64, i64::from_le_bytes(self.word()?)),
            (3, false) => (elf::R_X86_64_PC64, i64::from_le_bytes(self.word()?)),
            _ => return Err(self.unknown()),
        };
        if self.section.is_some() {
            return Err(self.unknown());
        }
        Ok((r_type, in_place.wrapping_add(self.address.wrapping_sub(base) as i64)))
    }

    fn aarch64(&self) -> Result<(u32, i64)> {
        if self.r_type == macho::ARM64_RELOC_UNSIGNED {
            return Ok((elf::R_AARCH64_ABS64, self.absolute()?));
        }
        if self.section.is_some() {
            return Err(self.unknown());
        }
        let instruction = u32::from_le_bytes(self.word()?);
        let r_type = match self.r_type {
            macho::ARM64_RELOC_BRANCH26 if instruction >> 31 == 1 => elf::R_AARCH64_CALL26,
            macho::ARM64_RELOC_BRANCH26 => elf::R_AARCH64_JUMP26,
            macho::ARM64_RELOC_PAGE21 => elf::R_AARCH64_ADR_PREL_PG_HI21,
            macho::ARM64_RELOC_PAGEOFF12 => low_bits(instruction).ok_or_else(|| self.unknown())?,
            macho::ARM64_RELOC_GOT_LOAD_PAGE21 => elf::R_AARCH64_ADR_GOT_PAGE,
            macho::ARM64_RELOC_GOT_LOAD_PAGEOFF12 => elf::R_AARCH64_LD64_GOT_LO12_NC,
            _ => return Err(self.unknown()),
        };
        Ok((r_type, self.addend))
    }

    /// On x86-64 the addend is in place. A SIGNED_n counts from the end of the instruction, n bytes behind the field, and has
    /// that in its addend; one into a section is a distance to an address.
    fn x86_64(&self) -> Result<(u32, i64)> {
        if self.r_type == macho::X86_64_RELOC_UNSIGNED {
            return Ok((elf::R_X86_64_64, self.absolute()?));
        }
        let in_place = i64::from(i32::from_le_bytes(self.word()?));
        let r_type = match self.r_type {
            macho::X86_64_RELOC_BRANCH => elf::R_X86_64_PLT32,
            macho::X86_64_RELOC_SIGNED
            | macho::X86_64_RELOC_SIGNED_1
            | macho::X86_64_RELOC_SIGNED_2
            | macho::X86_64_RELOC_SIGNED_4 => elf::R_X86_64_PC32,
            macho::X86_64_RELOC_GOT_LOAD | macho::X86_64_RELOC_GOT if self.section.is_none() => elf::R_X86_64_GOTPCREL,
            _ => return Err(self.unknown()),
        };
        let addend = match self.section {
            None => in_place - 4,
            Some(section) => in_place.wrapping_add(self.address as i64).wrapping_sub(section as i64),
        };
        Ok((r_type, addend))
    }
}

/// The relocation of the low 12 bits of an address: in an ADD, or scaled in a load or store of a register.
fn low_bits(instruction: u32) -> Option<u32> {
    if instruction & 0x1f80_0000 == 0x1100_0000 {
        return Some(elf::R_AARCH64_ADD_ABS_LO12_NC);
    }
    let is_access = instruction & 0x3b00_0000 == 0x3900_0000;
    let is_vector = instruction & 0x0400_0000 != 0;
    // A vector register of 128 bits has size 0 and the upper bit of `opc` set.
    let size = if is_vector && instruction & 0x0080_0000 != 0 { 4 } else { instruction >> 30 };
    is_access.then_some(match size {
        0 => elf::R_AARCH64_LDST8_ABS_LO12_NC,
        1 => elf::R_AARCH64_LDST16_ABS_LO12_NC,
        2 => elf::R_AARCH64_LDST32_ABS_LO12_NC,
        3 => elf::R_AARCH64_LDST64_ABS_LO12_NC,
        _ => elf::R_AARCH64_LDST128_ABS_LO12_NC,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_within_a_page_are_scaled_by_the_access() {
        let cases = [
            (0x9100_0000, elf::R_AARCH64_ADD_ABS_LO12_NC),     // add x0, x0, #0
            (0x3940_0000, elf::R_AARCH64_LDST8_ABS_LO12_NC),   // ldrb w0, [x0]
            (0x7940_0000, elf::R_AARCH64_LDST16_ABS_LO12_NC),  // ldrh w0, [x0]
            (0xb940_0000, elf::R_AARCH64_LDST32_ABS_LO12_NC),  // ldr w0, [x0]
            (0xf900_0000, elf::R_AARCH64_LDST64_ABS_LO12_NC),  // str x0, [x0]
            (0xfd40_0000, elf::R_AARCH64_LDST64_ABS_LO12_NC),  // ldr d0, [x0]
            (0x3dc0_0000, elf::R_AARCH64_LDST128_ABS_LO12_NC), // ldr q0, [x0]
        ];
        for (instruction, expected) in cases {
            assert_eq!(low_bits(instruction), Some(expected), "{instruction:#x}");
        }
        // b, and a load from a literal.
        assert_eq!([low_bits(0x1400_0000), low_bits(0x5800_0000)], [None, None]);
    }

    #[test]
    fn odd_input_is_refused() {
        assert!(elf_from_mach_o(b"").is_err());
        let elf = ElfObject::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little).write().unwrap();
        assert!(elf_from_mach_o(&elf).unwrap_err().to_string().contains("Elf"));
    }

    #[test]
    fn the_runtimes_of_apples_systems_can_be_rewritten() {
        for triple in crate::runtime_triples().filter(|triple| triple.contains("apple")) {
            let mach_o = crate::runtime_object(triple).unwrap();
            let elf = elf_from_mach_o(mach_o).unwrap_or_else(|error| panic!("{triple}: {error}"));
            let file = object::File::parse(&*elf).unwrap();
            assert!(file.symbol_by_name("kiln_rt1_tensor_new").is_some_and(|symbol| symbol.is_global()), "{triple}");
        }
    }
}
