//! Objects for Apple's systems, run without one: the Mach-O object is rewritten as an ELF object with the same code,
//! data and relocations, linked for Linux and run under an emulator.
//!
//! What differs between the two systems and is not covered: variadic functions and narrow arguments on the stack,
//! which compiled models do not have.

mod common;

use common::{build, count_plan, has_tool, run_tool, scale_plan, write};
use kiln_artifact::{KILN_H, c_header};
use object::read::macho::MachOFile64;
use object::write::{Object as ElfObject, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionIndex,
    SectionKind, SymbolFlags, SymbolIndex, SymbolKind, elf, macho,
};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

struct Rewriter<'a> {
    from: object::File<'a>,
    to: ElfObject<'a>,
    sections: HashMap<SectionIndex, SectionId>,
    symbols: HashMap<SymbolIndex, SymbolId>,
}

impl<'a> Rewriter<'a> {
    fn new(bytes: &'a [u8]) -> Rewriter<'a> {
        let from = object::File::parse(bytes).expect("a Mach-O object");
        assert_eq!((from.format(), from.architecture()), (BinaryFormat::MachO, Architecture::Aarch64));
        let to = ElfObject::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
        Rewriter { from, to, sections: HashMap::new(), symbols: HashMap::new() }
    }

    fn rewrite(mut self) -> Vec<u8> {
        let sections: Vec<SectionIndex> = self.from.sections().map(|s| s.index()).collect();
        sections.iter().for_each(|&index| self.section(index));
        let symbols: Vec<SymbolIndex> = self.from.symbols().map(|s| s.index()).collect();
        symbols.iter().for_each(|&index| self.symbol(index));
        sections.iter().for_each(|&index| self.relocations(index));
        self.to.write().expect("an ELF object")
    }

    fn section(&mut self, index: SectionIndex) {
        let section = self.from.section_by_index(index).expect("a section");
        let name = section.name().expect("a name").as_bytes().to_vec();
        let kind = if section.kind() == SectionKind::Unknown { SectionKind::ReadOnlyData } else { section.kind() };
        let id = self.to.add_section(Vec::new(), name, kind);
        self.to.append_section_data(id, section.data().expect("its bytes"), section.align());
        self.sections.insert(index, id);
    }

    fn symbol(&mut self, index: SymbolIndex) {
        let symbol = self.from.symbol_by_index(index).expect("a symbol");
        let name = symbol.name().expect("a name");
        let section = symbol.section_index();
        let start = section.map_or(0, |s| self.from.section_by_index(s).expect("a section").address());
        let id = self.to.add_symbol(Symbol {
            name: name.strip_prefix('_').unwrap_or(name).as_bytes().to_vec(),
            value: symbol.address() - start,
            size: 0,
            // Mach-O symbols have no kinds of their own; undefined ones are functions here.
            kind: if symbol.is_undefined() || symbol.kind() == SymbolKind::Text { SymbolKind::Text } else { SymbolKind::Data },
            scope: symbol.scope(),
            weak: false,
            section: section.map_or(SymbolSection::Undefined, |s| SymbolSection::Section(self.sections[&s])),
            flags: SymbolFlags::None,
        });
        self.symbols.insert(index, id);
    }

    fn relocations(&mut self, index: SectionIndex) {
        let section = self.from.section_by_index(index).expect("a section");
        let bytes = section.data().expect("its bytes").to_vec();
        for (offset, relocation) in section.relocations() {
            let RelocationFlags::MachO { r_type, .. } = relocation.flags() else { panic!("not of Mach-O") };
            let at = offset as usize;
            let instruction = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
            let (symbol, mut addend) = match relocation.target() {
                RelocationTarget::Symbol(symbol) => (self.symbols[&symbol], relocation.addend()),
                RelocationTarget::Section(section) => (self.to.section_symbol(self.sections[&section]), relocation.addend()),
                other => panic!("{other:?}"),
            };
            let r_type = match r_type {
                macho::ARM64_RELOC_UNSIGNED => {
                    addend += i64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
                    elf::R_AARCH64_ABS64
                }
                macho::ARM64_RELOC_BRANCH26 => elf::R_AARCH64_CALL26,
                macho::ARM64_RELOC_PAGE21 => elf::R_AARCH64_ADR_PREL_PG_HI21,
                macho::ARM64_RELOC_PAGEOFF12 if instruction & 0x1f00_0000 == 0x1100_0000 => elf::R_AARCH64_ADD_ABS_LO12_NC,
                other => panic!("relocation of type {other}"),
            };
            let relocation = Relocation { offset, symbol, addend, flags: RelocationFlags::Elf { r_type } };
            self.to.add_relocation(self.sections[&index], relocation).expect("a relocation");
        }
    }
}

fn write_model(folder: &Path, plan: &common::PlainPlan, prefix: &str) {
    let (model, object, _) = build(plan, prefix, "aarch64-apple-ios", "aarch64-apple-ios14.0", None);
    write(folder, "kiln.h", KILN_H);
    write(folder, &format!("{prefix}.h"), c_header(&model));
    write(folder, &format!("{prefix}.o"), Rewriter::new(&object).rewrite());
}

#[test]
fn code_for_ios_runs() {
    let is_there = has_tool("aarch64-linux-gnu-gcc") && has_tool("qemu-aarch64");
    assert!(is_there || std::env::var_os("KILN_REQUIRE_EMULATION").is_none(), "the emulator or its compiler is missing");
    if !is_there {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_model(folder, &scale_plan(), "scale");
    write_model(folder, &count_plan(), "count");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/two_models.c");
    let mut command = Command::new("aarch64-linux-gnu-gcc");
    command.args(["-std=c11", "-O1", "-o"]).arg(folder.join("program")).arg("-I").arg(folder).arg(source);
    run_tool(command.arg(folder.join("scale.o")).arg(folder.join("count.o")));
    run_tool(Command::new("qemu-aarch64").args(["-L", "/usr/aarch64-linux-gnu"]).arg(folder.join("program")));
}

#[test]
fn objects_say_for_which_system_they_are() {
    for (triple, platform) in
        [("aarch64-apple-ios14.0", 2u32), ("aarch64-apple-ios14.0-sim", 7), ("aarch64-apple-macosx11.0.0", 1)]
    {
        let (_, object, _) = build(&count_plan(), "count", triple, triple, None);
        let file = MachOFile64::<Endianness>::parse(&*object).expect("a Mach-O object");
        let mut commands = file.macho_load_commands().expect("load commands");
        let version =
            std::iter::from_fn(|| commands.next().expect("a load command")).find_map(|c| c.build_version().expect("a command"));
        let version = version.expect("a build version");
        assert_eq!(version.platform.get(Endianness::Little), platform, "{triple}");
        assert!(version.minos.get(Endianness::Little) >= 11 << 16, "{triple}");
    }
}
