//! Runs a compiled model in this process: maps a relocatable object, relocates it, and calls what it exports.
//!
//! [`load`] takes the very object that is shipped (ELF for x86-64 or aarch64, whichever this process is) and needs
//! neither linker nor compiler: undefined symbols are looked up in the runtime's table (`kiln_rt::SYMBOLS`) and in a
//! short list of C functions. [`Instance`] is one instance of a model in it.
//!
//! Odd input gives an error, never a panic or a wild write: every offset and size is checked before it is used.
//! Running code is another matter: an object is as trustworthy as who made it.

mod error;
mod instance;
mod layout;
mod mapping;
pub mod profile;
mod relocate;
mod resolve;

pub use error::{CallError, LoadError};
pub use instance::Instance;
pub use kiln_rt::abi::Value;

use std::collections::BTreeMap;

/// A loaded object. Its code and data live as long as this does.
pub struct Library {
    /// Addresses of the global symbols that the object defines.
    exports: BTreeMap<String, usize>,
    mapping: mapping::Mapping,
}

// SAFETY: the mapping is not written after loading, and the code in it keeps its state in instances.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

/// Loads an object.
pub fn load(object: &[u8]) -> Result<Library, LoadError> {
    let plan = layout::Layout::of(object)?;
    let (mapping, exports) = relocate::map(&plan)?;
    Ok(Library { exports, mapping })
}

impl Library {
    /// The address of a global symbol.
    pub fn symbol(&self, name: &str) -> Option<*const u8> {
        self.exports.get(name).map(|&address| address as *const u8)
    }

    /// The global symbols that the object defines, in alphabetical order.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.exports.keys().map(String::as_str)
    }

    /// Bytes of address space that the object takes.
    pub fn mapped_bytes(&self) -> usize {
        self.mapping.len()
    }
}
