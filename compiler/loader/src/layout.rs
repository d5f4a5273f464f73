//! Where each section of an object goes in memory.
//!
//! One stretch: code and the stubs of imports first, then read-only data, then writable data, each group on pages of
//! its own, so that PC-relative references reach.

use crate::error::LoadError;
use crate::mapping::page_size;
use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE};
use object::read::elf::ElfFile64;
use object::{
    Architecture, Endianness, Object, ObjectKind, ObjectSection, ObjectSymbol, SectionFlags, SectionIndex, SymbolIndex,
};
use std::collections::HashMap;
use std::ops::Range;

/// Bytes of the stub of one import: an indirect jump and the address, which also serves as its GOT slot.
pub(crate) const STUB_BYTES: usize = 16;
/// The most that is mapped: beyond, references would not reach.
const LIMIT: usize = 1 << 31;

/// The layout of an object.
pub(crate) struct Layout<'a> {
    pub(crate) file: ElfFile64<'a, Endianness>,
    /// Offset of every section that is loaded.
    pub(crate) sections: HashMap<SectionIndex, usize>,
    /// Offset of the stub of every undefined symbol.
    pub(crate) stubs: HashMap<SymbolIndex, usize>,
    /// Code and stubs.
    pub(crate) code: Range<usize>,
    /// Read-only data.
    pub(crate) constants: Range<usize>,
    /// All.
    pub(crate) total: usize,
}

/// What a section holds.
#[derive(Clone, Copy, PartialEq)]
enum Group {
    Code,
    Constants,
    Variables,
}

/// The architecture of this process.
pub(crate) fn host_architecture() -> Architecture {
    if cfg!(target_arch = "aarch64") { Architecture::Aarch64 } else { Architecture::X86_64 }
}

impl<'a> Layout<'a> {
    /// Lays an object out.
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Layout<'a>, LoadError> {
        let file = ElfFile64::<Endianness>::parse(bytes)?;
        if file.architecture() != host_architecture() || !file.is_little_endian() {
            return Err(LoadError::Machine(format!("{:?}", file.architecture())));
        }
        if file.kind() != ObjectKind::Relocatable {
            return Err(LoadError::Format("it is linked already".into()));
        }
        let mut layout = Layout { file, sections: HashMap::new(), stubs: HashMap::new(), code: 0..0, constants: 0..0, total: 0 };
        layout.place_all()?;
        Ok(layout)
    }

    fn place_all(&mut self) -> Result<(), LoadError> {
        let page = page_size();
        let mut at = self.place_stubs()?;
        at = self.place(Group::Code, at)?;
        self.code = 0..round_up(at, page)?;
        at = self.place(Group::Constants, self.code.end)?;
        self.constants = self.code.end..round_up(at, page)?;
        at = self.place(Group::Variables, self.constants.end)?;
        self.total = round_up(at.max(1), page)?;
        Ok(())
    }

    fn place_stubs(&mut self) -> Result<usize, LoadError> {
        let mut at = 0;
        for symbol in self.file.symbols().filter(|s| s.is_undefined() && s.index().0 != 0) {
            self.stubs.insert(symbol.index(), at);
            at = advance(at, STUB_BYTES as u64)?;
        }
        Ok(at)
    }

    fn place(&mut self, group: Group, mut at: usize) -> Result<usize, LoadError> {
        for section in self.file.sections() {
            if group_of(section.flags()) != Some(group) || section.name() == Ok(".eh_frame") {
                continue;
            }
            let align = usize::try_from(section.align().max(1)).ok().filter(|a| a.is_power_of_two() && *a <= 1 << 16);
            let align = align.ok_or_else(|| LoadError::Format("a section has an odd alignment".into()))?;
            at = round_up(at, align)?;
            self.sections.insert(section.index(), at);
            at = advance(at, section.size())?;
        }
        Ok(at)
    }
}

fn group_of(flags: SectionFlags) -> Option<Group> {
    let SectionFlags::Elf { sh_flags } = flags else { return None };
    let has = |flag: u32| sh_flags & u64::from(flag) != 0;
    match () {
        () if !has(SHF_ALLOC) => None,
        () if has(SHF_EXECINSTR) => Some(Group::Code),
        () if has(SHF_WRITE) => Some(Group::Variables),
        () => Some(Group::Constants),
    }
}

fn advance(at: usize, bytes: u64) -> Result<usize, LoadError> {
    let end = usize::try_from(bytes).ok().and_then(|b| at.checked_add(b)).filter(|&end| end < LIMIT);
    end.ok_or_else(|| LoadError::Format("it is larger than 2 GB".into()))
}

fn round_up(at: usize, align: usize) -> Result<usize, LoadError> {
    advance(at, 0).map(|at| at.next_multiple_of(align))
}
