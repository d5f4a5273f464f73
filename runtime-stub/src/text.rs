//! A growing text in the memory of a context, and how numbers are written into it.

use core::ptr::{copy_nonoverlapping, null_mut};

use crate::abi::*;
use crate::memory::{allocate_block, free_block};

/// A text under construction. When memory runs out the context has status 2 and the text stays as it was.
pub(crate) struct Text {
    ctx: *mut Context,
    bytes: *mut u8,
    len: u64,
    capacity: u64,
    failed: bool,
}

impl Text {
    /// An empty text.
    pub(crate) fn new(ctx: *mut Context) -> Text {
        Text { ctx, bytes: null_mut(), len: 0, capacity: 0, failed: false }
    }

    /// Number of bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The context the text lives in.
    pub(crate) fn ctx(&self) -> *mut Context {
        self.ctx
    }

    /// The bytes so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `len` bytes are written.
        unsafe { core::slice::from_raw_parts(self.bytes, self.len as usize) }
    }

    /// Makes room for a text of known length; false when there is no memory.
    pub(crate) fn reserve_exactly(&mut self, len: u64) -> bool {
        self.reserve(len)
    }

    /// Makes room for `more` bytes; false when there is no memory.
    fn reserve(&mut self, more: u64) -> bool {
        if self.failed || self.capacity - self.len >= more {
            return !self.failed;
        }
        let capacity = (self.capacity * 2).max(self.len.saturating_add(more)).max(64);
        // SAFETY: the old block, if any, has `capacity` bytes of which `len` are written.
        unsafe {
            let bytes = allocate_block(self.ctx, capacity, 8);
            self.failed = bytes.is_null();
            if self.failed {
                return false;
            }
            if self.len > 0 {
                copy_nonoverlapping(self.bytes, bytes, self.len as usize);
            }
            free_block(self.ctx, self.bytes, self.capacity, 8);
            self.bytes = bytes;
            self.capacity = capacity;
        }
        true
    }

    /// Appends one byte.
    pub(crate) fn push(&mut self, byte: u8) {
        self.push_bytes(&[byte]);
    }

    /// Appends bytes.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        if self.reserve(bytes.len() as u64) {
            // SAFETY: `reserve` made room.
            unsafe { copy_nonoverlapping(bytes.as_ptr(), self.bytes.add(self.len as usize), bytes.len()) }
            self.len += bytes.len() as u64;
        }
    }

    /// Appends a text.
    pub(crate) fn push_str(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Appends `count` copies of a byte.
    pub(crate) fn push_repeated(&mut self, byte: u8, count: i64) {
        if count > 0 && self.reserve(count as u64) {
            // SAFETY: `reserve` made room.
            unsafe { core::ptr::write_bytes(self.bytes.add(self.len as usize), byte, count as usize) }
            self.len += count as u64;
        }
    }

    /// Appends an integer in decimal.
    pub(crate) fn push_int(&mut self, x: i64) {
        if x < 0 {
            self.push(b'-');
        }
        self.push_unsigned(x.unsigned_abs(), 10);
    }

    /// Appends an unsigned integer in a base of 2 to 16, lower case.
    pub(crate) fn push_unsigned(&mut self, mut x: u64, base: u64) {
        let mut digits = [0u8; 64];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdef"[(x % base) as usize & 15];
            x /= base;
            if x == 0 || at == 0 {
                break;
            }
        }
        self.push_bytes(&digits[at..]);
    }

    /// Appends the text that `write` makes, padded with spaces on the left to `width` bytes.
    pub(crate) fn push_padded(&mut self, width: i64, write: impl FnOnce(&mut Text)) {
        let start = self.len;
        write(self);
        let pad = width - (self.len - start) as i64;
        if pad <= 0 || !self.reserve(pad as u64) {
            return;
        }
        // SAFETY: `reserve` made room for the shift by `pad`.
        unsafe {
            let from = self.bytes.add(start as usize);
            core::ptr::copy(from, from.add(pad as usize), (self.len - start) as usize);
            core::ptr::write_bytes(from, b' ', pad as usize);
        }
        self.len += pad as u64;
    }

    /// The text as a new string object, or null with status 2.
    pub(crate) fn into_str(self) -> *mut Str {
        if self.failed {
            return null_mut();
        }
        let bytes = self.as_bytes();
        // SAFETY: the bytes are a readable slice.
        unsafe { crate::string::str_new(self.ctx, bytes.as_ptr(), bytes.len() as u64) }
    }

    /// The block, its length and its capacity, which the caller then frees; `None` when memory ran out.
    pub(crate) fn into_parts(self) -> Option<(*mut u8, u64, u64)> {
        if self.failed {
            return None;
        }
        let parts = (self.bytes, self.len, self.capacity);
        core::mem::forget(self);
        Some(parts)
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: the block came from the same context with this size.
        unsafe { free_block(self.ctx, self.bytes, self.capacity, 8) }
    }
}
