//! Fills the mapping: copies sections, writes stubs, applies relocations, protects.
//!
//! Relocations as in the ELF supplements of the two architectures (System V psABI for x86-64, ELF for the Arm 64-bit
//! architecture): S is the symbol's address, A the addend, P the place, G the address of the symbol's GOT slot.

use crate::error::LoadError;
use crate::layout::{Layout, STUB_BYTES, host_architecture};
use crate::mapping::Mapping;
use crate::resolve::resolve;
use object::elf;
use object::{Architecture, Object, ObjectSection, ObjectSymbol, Relocation, RelocationFlags, RelocationTarget, SymbolIndex};
use std::collections::{BTreeMap, HashMap};

/// Maps an object that is laid out; gives the addresses of its global symbols.
pub(crate) fn map(layout: &Layout) -> Result<(Mapping, BTreeMap<String, usize>), LoadError> {
    let mut mapping = Mapping::new(layout.total)?;
    copy_sections(layout, &mut mapping)?;
    let addresses = write_stubs(layout, &mut mapping)?;
    let linker = Linker { layout, base: mapping.address(), addresses };
    linker.relocate(&mut mapping)?;
    let exports = linker.exports()?;
    mapping.protect(layout.code.clone(), true)?;
    mapping.protect(layout.constants.clone(), false)?;
    flush_instructions(mapping.address(), layout.code.end);
    Ok((mapping, exports))
}

fn copy_sections(layout: &Layout, mapping: &mut Mapping) -> Result<(), LoadError> {
    let bytes = mapping.bytes();
    for (&index, &at) in &layout.sections {
        // Empty for a section of zeros.
        let data = layout.file.section_by_index(index)?.data()?;
        let target = bytes.get_mut(at..at + data.len()).ok_or(LoadError::RelocationRange(at as u64))?;
        target.copy_from_slice(data);
    }
    Ok(())
}

/// Writes `jmp [address]` for every import; gives the imports' addresses.
fn write_stubs(layout: &Layout, mapping: &mut Mapping) -> Result<HashMap<SymbolIndex, usize>, LoadError> {
    let mut addresses = HashMap::new();
    for (&index, &at) in &layout.stubs {
        let symbol = layout.file.symbol_by_index(index)?;
        let name = symbol.name()?;
        let address = match resolve(name) {
            Some(address) => address,
            None if symbol.is_weak() => 0,
            None => return Err(LoadError::Undefined(name.into())),
        };
        let mut stub = [0u8; STUB_BYTES];
        let (code, slot) = stub_code();
        stub[..code.len()].copy_from_slice(code);
        stub[slot..slot + 8].copy_from_slice(&(address as u64).to_le_bytes());
        mapping.bytes()[at..at + STUB_BYTES].copy_from_slice(&stub);
        addresses.insert(index, address);
    }
    Ok(addresses)
}

/// The code of a stub, and the offset of the address in it.
fn stub_code() -> (&'static [u8], usize) {
    match host_architecture() {
        // ldr x16, .+8; br x16
        Architecture::Aarch64 => (&[0x50, 0, 0, 0x58, 0, 0x02, 0x1f, 0xd6], 8),
        // jmp qword [rip + 2]
        _ => (&[0xff, 0x25, 2, 0, 0, 0], 8),
    }
}

struct Linker<'l, 'a> {
    layout: &'l Layout<'a>,
    base: usize,
    addresses: HashMap<SymbolIndex, usize>,
}

/// Where a symbol is.
struct Target {
    /// Its address.
    address: u64,
    /// An address within reach that leads there when it is called.
    near: u64,
    /// Address of a word that holds the address, if there is one.
    slot: Option<u64>,
}

impl Linker<'_, '_> {
    fn exports(&self) -> Result<BTreeMap<String, usize>, LoadError> {
        let mut exports = BTreeMap::new();
        for symbol in self.layout.file.symbols().filter(|s| s.is_global() && s.is_definition()) {
            exports.insert(symbol.name()?.to_string(), self.target(symbol.index())?.address as usize);
        }
        Ok(exports)
    }

    fn target(&self, index: SymbolIndex) -> Result<Target, LoadError> {
        if let (Some(&at), Some(&address)) = (self.layout.stubs.get(&index), self.addresses.get(&index)) {
            let stub = (self.base + at) as u64;
            return Ok(Target { address: address as u64, near: stub, slot: Some(stub + stub_code().1 as u64) });
        }
        let symbol = self.layout.file.symbol_by_index(index)?;
        let section = symbol.section_index().and_then(|s| self.layout.sections.get(&s));
        let section = *section.ok_or_else(|| LoadError::Format("a symbol is in a section that is not loaded".into()))?;
        if symbol.address() > self.layout.total as u64 {
            return Err(LoadError::RelocationRange(symbol.address()));
        }
        let address = (self.base + section) as u64 + symbol.address();
        Ok(Target { address, near: address, slot: None })
    }

    fn relocate(&self, mapping: &mut Mapping) -> Result<(), LoadError> {
        for (&index, &start) in &self.layout.sections {
            let section = self.layout.file.section_by_index(index)?;
            for (offset, relocation) in section.relocations() {
                if offset >= section.size() {
                    return Err(LoadError::RelocationRange(offset));
                }
                self.apply(mapping, start + offset as usize, &relocation)?;
            }
        }
        Ok(())
    }

    fn apply(&self, mapping: &mut Mapping, at: usize, relocation: &Relocation) -> Result<(), LoadError> {
        let RelocationFlags::Elf { r_type } = relocation.flags() else { return Err(LoadError::RelocationKind(0)) };
        let RelocationTarget::Symbol(symbol) = relocation.target() else { return Err(LoadError::RelocationKind(r_type)) };
        let target = self.target(symbol)?;
        let mut place = Place { bytes: mapping.bytes(), at, address: (self.base + at) as u64 };
        match host_architecture() {
            Architecture::Aarch64 => place.apply_aarch64(r_type, &target, relocation.addend()),
            _ => place.apply_x86_64(r_type, &target, relocation.addend()),
        }
    }
}

/// A place to relocate.
struct Place<'a> {
    bytes: &'a mut [u8],
    at: usize,
    address: u64,
}

impl Place<'_> {
    fn range_error(&self) -> LoadError {
        LoadError::RelocationRange(self.at as u64)
    }

    fn write(&mut self, value: &[u8]) -> Result<(), LoadError> {
        let error = self.range_error();
        self.bytes.get_mut(self.at..self.at + value.len()).ok_or(error)?.copy_from_slice(value);
        Ok(())
    }

    /// `target + addend - place`, if 32 bits hold it.
    fn distance32(&self, target: u64, addend: i64) -> Result<i32, LoadError> {
        let distance = target.wrapping_add(addend as u64).wrapping_sub(self.address) as i64;
        i32::try_from(distance).map_err(|_| self.range_error())
    }

    fn apply_x86_64(&mut self, r_type: u32, target: &Target, addend: i64) -> Result<(), LoadError> {
        match r_type {
            elf::R_X86_64_64 => self.write(&target.address.wrapping_add(addend as u64).to_le_bytes()),
            elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => {
                let distance = self.distance32(target.near, addend)?;
                self.write(&distance.to_le_bytes())
            }
            elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX => {
                let slot = target.slot.ok_or(LoadError::RelocationKind(r_type))?;
                let distance = self.distance32(slot, addend)?;
                self.write(&distance.to_le_bytes())
            }
            other => Err(LoadError::RelocationKind(other)),
        }
    }

    fn instruction(&self) -> Result<u32, LoadError> {
        let bytes = self.bytes.get(self.at..self.at + 4).ok_or_else(|| self.range_error())?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Replaces the bits of `mask` of the instruction.
    fn patch(&mut self, mask: u32, bits: u32) -> Result<(), LoadError> {
        let instruction = self.instruction()? & !mask | bits & mask;
        self.write(&instruction.to_le_bytes())
    }

    fn apply_aarch64(&mut self, r_type: u32, target: &Target, addend: i64) -> Result<(), LoadError> {
        let address = target.address.wrapping_add(addend as u64);
        match r_type {
            elf::R_AARCH64_ABS64 => self.write(&address.to_le_bytes()),
            elf::R_AARCH64_PREL32 => {
                let distance = self.distance32(target.near, addend)?;
                self.write(&distance.to_le_bytes())
            }
            elf::R_AARCH64_CALL26 | elf::R_AARCH64_JUMP26 => self.patch_branch(target.near, addend),
            elf::R_AARCH64_ADR_PREL_PG_HI21 => self.patch_page(address),
            elf::R_AARCH64_ADR_GOT_PAGE => self.patch_page(target.slot.ok_or(LoadError::RelocationKind(r_type))?),
            elf::R_AARCH64_LD64_GOT_LO12_NC => self.patch_low(target.slot.ok_or(LoadError::RelocationKind(r_type))?, 3),
            elf::R_AARCH64_ADD_ABS_LO12_NC | elf::R_AARCH64_LDST8_ABS_LO12_NC => self.patch_low(address, 0),
            elf::R_AARCH64_LDST16_ABS_LO12_NC => self.patch_low(address, 1),
            elf::R_AARCH64_LDST32_ABS_LO12_NC => self.patch_low(address, 2),
            elf::R_AARCH64_LDST64_ABS_LO12_NC => self.patch_low(address, 3),
            elf::R_AARCH64_LDST128_ABS_LO12_NC => self.patch_low(address, 4),
            other => Err(LoadError::RelocationKind(other)),
        }
    }

    fn patch_branch(&mut self, target: u64, addend: i64) -> Result<(), LoadError> {
        let distance = self.distance32(target, addend)?;
        if distance % 4 != 0 || !(-(1 << 27)..1 << 27).contains(&distance) {
            return Err(self.range_error());
        }
        self.patch(0x03ff_ffff, (distance >> 2) as u32)
    }

    /// `adrp`: the distance in pages of 4 KB, its low two bits in bits 29 and 30.
    fn patch_page(&mut self, address: u64) -> Result<(), LoadError> {
        let pages = ((address >> 12) as i64).wrapping_sub((self.address >> 12) as i64);
        if !(-(1 << 20)..1 << 20).contains(&pages) {
            return Err(self.range_error());
        }
        let pages = pages as u32;
        self.patch(0x60ff_ffe0, (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5)
    }

    /// The low 12 bits of an address, scaled, in bits 10 to 21.
    fn patch_low(&mut self, address: u64, scale: u32) -> Result<(), LoadError> {
        let low = (address & 0xfff) as u32;
        if low & ((1 << scale) - 1) != 0 {
            return Err(self.range_error());
        }
        self.patch(0x003f_fc00, low >> scale << 10)
    }
}

/// Makes fresh code visible to instruction fetch, where the caches are not coherent.
#[cfg(target_arch = "aarch64")]
fn flush_instructions(start: usize, len: usize) {
    const LINE: usize = 16;
    for address in (start..start + len).step_by(LINE) {
        // SAFETY: cleans and invalidates cache lines of mapped memory; changes no data.
        unsafe { std::arch::asm!("dc cvau, {0}", "ic ivau, {0}", in(reg) address) };
    }
    // SAFETY: barriers.
    unsafe { std::arch::asm!("dsb ish", "isb") };
}

#[cfg(not(target_arch = "aarch64"))]
fn flush_instructions(_start: usize, _len: usize) {}
