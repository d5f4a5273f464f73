//! One contiguous stretch of memory, written while it is prepared and protected afterwards.

use crate::error::LoadError;
use std::ops::Range;
use std::ptr::null_mut;

/// The granularity of protection: 16 KB pages exist, and 4 KB ones divide them; larger ones do on some aarch64 systems.
pub(crate) fn page_size() -> usize {
    // SAFETY: asks for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|s| s.is_power_of_two()).unwrap_or(65536)
}

/// Anonymous private memory.
pub(crate) struct Mapping {
    start: *mut u8,
    len: usize,
}

impl Mapping {
    /// Zeroed, readable and writable memory of `len` bytes, which is not 0.
    pub(crate) fn new(len: usize) -> Result<Mapping, LoadError> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping at an address of the system's choice touches nothing that exists.
        let start = unsafe { libc::mmap(null_mut(), len, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(LoadError::Memory(len, std::io::Error::last_os_error()));
        }
        Ok(Mapping { start: start.cast(), len })
    }

    /// Size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Address of the first byte.
    pub(crate) fn address(&self) -> usize {
        self.start as usize
    }

    /// The memory, while it is prepared.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is ours, `len` bytes, writable until `protect`, and borrowed through `self`.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }

    /// Makes a stretch of whole pages read-only, or executable. `bytes` must not be written there any more.
    pub(crate) fn protect(&mut self, range: Range<usize>, executable: bool) -> Result<(), LoadError> {
        if range.is_empty() {
            return Ok(());
        }
        let protection = libc::PROT_READ | if executable { libc::PROT_EXEC } else { 0 };
        // SAFETY: the range lies inside the mapping (the layout made it), on page boundaries.
        let failed = unsafe { libc::mprotect(self.start.add(range.start).cast(), range.len(), protection) };
        if failed != 0 {
            return Err(LoadError::Memory(range.len(), std::io::Error::last_os_error()));
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `new` mapped; nothing refers to it any more.
        unsafe {
            libc::munmap(self.start.cast(), self.len);
        }
    }
}
