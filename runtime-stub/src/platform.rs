//! What the runtime asks of the platform: memory and a place for printed text.
//!
//! Only these C functions stay undefined in a linked model, and only where the defaults are used: `malloc` and `free`,
//! and `write` (`_write` on Windows). On Android text goes to the log when the app links it.

use core::ptr::null_mut;

use crate::abi::*;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn free(block: *mut u8);
}

/// What `malloc` guarantees on every supported target.
const MALLOC_ALIGN: u64 = 16;

/// Aligned blocks over `malloc`: an over-aligned block keeps the address to free in the word before it.
unsafe extern "C" fn default_alloc(_user: *mut u8, size: u64, align: u64) -> *mut u8 {
    if align <= MALLOC_ALIGN {
        return malloc(size as usize);
    }
    let Some(padded) = size.checked_add(align) else { return null_mut() };
    let start = malloc(padded as usize);
    if start.is_null() {
        return null_mut();
    }
    // The next multiple of `align` is at least one word (16 bytes) behind the start.
    let offset = align as usize - (start as usize & (align as usize - 1));
    let block = start.add(offset);
    block.cast::<*mut u8>().sub(1).write(start);
    block
}

unsafe extern "C" fn default_free(_user: *mut u8, block: *mut u8, _size: u64, align: u64) {
    if align <= MALLOC_ALIGN {
        free(block);
    } else {
        free(block.cast::<*mut u8>().sub(1).read());
    }
}

/// An empty context with the default allocator.
pub(crate) fn default_context() -> Context {
    Context {
        status: status::OK,
        abi: ABI_VERSION,
        error_text: null_mut(),
        error_len: 0,
        heap: null_mut(),
        alloc: Some(default_alloc),
        free: Some(default_free),
        alloc_user: null_mut(),
        print: None,
        print_user: null_mut(),
        parallel_for: None,
        parallel_user: null_mut(),
        arena: null_mut(),
        state: null_mut(),
        live_bytes: 0,
        live_objects: 0,
        error_capacity: 0,
        held: null_mut(),
        state_len: 0,
    }
}

/// Writes printed text where the platform's users look for it.
pub(crate) unsafe fn default_print(text: *const u8, len: u64) {
    #[cfg(target_os = "android")]
    if android::log(text, len) {
        return;
    }
    write_all(1, text, len);
}

/// Writes to a file descriptor until all is out or it fails.
unsafe fn write_all(descriptor: i32, mut text: *const u8, mut len: u64) {
    while len > 0 {
        let written = write_some(descriptor, text, len);
        if written <= 0 {
            return;
        }
        text = text.add(written as usize);
        len -= (written as u64).min(len);
    }
}

#[cfg(not(windows))]
unsafe fn write_some(descriptor: i32, text: *const u8, len: u64) -> i64 {
    unsafe extern "C" {
        fn write(descriptor: i32, text: *const u8, len: usize) -> isize;
    }
    write(descriptor, text, len as usize) as i64
}

#[cfg(windows)]
unsafe fn write_some(descriptor: i32, text: *const u8, len: u64) -> i64 {
    unsafe extern "C" {
        fn _write(descriptor: i32, text: *const u8, len: u32) -> i32;
    }
    i64::from(_write(descriptor, text, len.min(1 << 30) as u32))
}

/// Android's log, reached through a weak reference so that an app without `liblog` still links.
#[cfg(target_os = "android")]
mod android {
    use core::arch::asm;

    type LogWrite = unsafe extern "C" fn(i32, *const u8, *const u8) -> i32;
    const INFO: i32 = 4;

    /// Address of `__android_log_write`, 0 when it is not linked.
    fn log_write_address() -> usize {
        let address: usize;
        #[cfg(target_arch = "aarch64")]
        // SAFETY: loads one word from the global offset table.
        unsafe {
            asm!(
                ".weak __android_log_write",
                "adrp {0}, :got:__android_log_write",
                "ldr {0}, [{0}, :got_lo12:__android_log_write]",
                out(reg) address, options(pure, nomem, nostack)
            );
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: loads one word from the global offset table.
        unsafe {
            asm!(
                ".weak __android_log_write",
                "mov {0}, qword ptr [rip + __android_log_write@GOTPCREL]",
                out(reg) address, options(pure, nomem, nostack)
            );
        }
        address
    }

    /// Logs the text line by line; false when there is no log.
    pub(super) unsafe fn log(text: *const u8, len: u64) -> bool {
        let address = log_write_address();
        if address == 0 {
            return false;
        }
        let write: LogWrite = core::mem::transmute(address);
        let text = core::slice::from_raw_parts(text, len as usize);
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        for line in text.split(|&byte| byte == b'\n') {
            log_line(write, line);
        }
        true
    }

    /// Logs one line, in pieces that fit the nul-terminated buffer.
    unsafe fn log_line(write: LogWrite, line: &[u8]) {
        let mut buffer = [0u8; 1001];
        let mut rest = line;
        loop {
            let piece = rest.len().min(buffer.len() - 1);
            buffer[..piece].copy_from_slice(&rest[..piece]);
            buffer[piece] = 0;
            write(INFO, c"kiln".as_ptr().cast(), buffer.as_ptr());
            rest = &rest[piece..];
            if rest.is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_blocks_are_aligned() {
        for align in [8u64, 16, 64, 4096] {
            for size in [1u64, 100, 5000] {
                unsafe {
                    let block = default_alloc(null_mut(), size, align);
                    assert_eq!(block as u64 % align, 0);
                    core::ptr::write_bytes(block, 1, size as usize);
                    default_free(null_mut(), block, size, align);
                }
            }
        }
        assert!(unsafe { default_alloc(null_mut(), u64::MAX - 10, 64) }.is_null());
    }
}
