//! Strings: byte strings in UTF-8, with TorchScript's semantics, which are those of `std::string`.
//!
//! TorchScript counts and indexes bytes, and its character classes are ASCII's; this module and its parts do the same,
//! including where that differs from Python (each place says so). A cut inside a character gives bytes that are not
//! UTF-8: they are carried as they are.

pub(crate) mod case;
pub(crate) mod convert;
pub(crate) mod pad;
pub(crate) mod search;
pub(crate) mod split;

use core::cmp::Ordering;
use core::mem::size_of;
use core::ptr::{copy_nonoverlapping, null_mut};

use crate::abi::*;
use crate::error::raise_with;
use crate::export::exports;
use crate::memory::allocate_object;
use crate::slice;
use crate::text::Text;

/// The bytes of a string; none for null.
pub(crate) unsafe fn bytes_of<'a>(s: *const Str) -> &'a [u8] {
    if s.is_null() {
        return &[];
    }
    core::slice::from_raw_parts((&raw const (*s).bytes).cast(), (*s).len as usize)
}

/// A slice over a pointer that may be null when the length is 0.
pub(crate) unsafe fn bytes_or_empty<'a>(bytes: *const u8, len: u64) -> &'a [u8] {
    if bytes.is_null() || len == 0 { &[] } else { core::slice::from_raw_parts(bytes, len as usize) }
}

/// A new string of these bytes.
pub(crate) unsafe fn from_bytes(ctx: *mut Context, bytes: &[u8]) -> *mut Str {
    str_new(ctx, bytes.as_ptr(), bytes.len() as u64)
}

/// A new string of uninitialised bytes.
unsafe fn uninitialised(ctx: *mut Context, len: u64) -> *mut Str {
    let object = allocate_object::<Str>(ctx, tag::STR, (size_of::<Str>() as u64).saturating_add(len), 8);
    if !object.is_null() {
        (*object).len = len;
    }
    object
}

unsafe fn bytes_mut(s: *mut Str) -> *mut u8 {
    (&raw mut (*s).bytes).cast()
}

/// What `std::string::at` says of an index outside.
unsafe fn raise_outside(ctx: *mut Context, index: i64, len: u64) {
    raise_with(ctx, |text| {
        text.push_str("basic_string::at: __n (which is ");
        text.push_unsigned(index as u64, 10);
        text.push_str(") >= this->size() (which is ");
        text.push_unsigned(len, 10);
        text.push(b')');
    });
}

exports! {
    /// A new string of `len` bytes.
    fn str_new(ctx: *mut Context, bytes: *const u8, len: u64) -> *mut Str {
        let object = uninitialised(ctx, len);
        if !object.is_null() && len > 0 {
            copy_nonoverlapping(bytes, bytes_mut(object), len as usize);
        }
        object
    }

    /// `a + b`.
    fn str_concat(ctx: *mut Context, a: *const Str, b: *const Str) -> *mut Str {
        let (left, right) = (bytes_of(a), bytes_of(b));
        let object = uninitialised(ctx, left.len() as u64 + right.len() as u64);
        if object.is_null() {
            return null_mut();
        }
        let to = bytes_mut(object);
        copy_nonoverlapping(left.as_ptr(), to, left.len());
        copy_nonoverlapping(right.as_ptr(), to.add(left.len()), right.len());
        object
    }

    /// Whether two strings have the same bytes.
    fn str_eq(a: *const Str, b: *const Str) -> i64 {
        i64::from(bytes_of(a) == bytes_of(b))
    }

    /// Order by unsigned bytes: -1, 0 or 1.
    fn str_cmp(a: *const Str, b: *const Str) -> i64 {
        match bytes_of(a).cmp(bytes_of(b)) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    /// Length in bytes.
    fn str_len(s: *const Str) -> i64 {
        bytes_of(s).len() as i64
    }

    /// The string of the one byte at an index, which may count from the end.
    fn str_get(ctx: *mut Context, s: *const Str, index: i64) -> *mut Str {
        let bytes = bytes_of(s);
        match slice::place(index, bytes.len() as u64) {
            Some(place) => from_bytes(ctx, &bytes[place..=place]),
            None => {
                let normalised = if index < 0 { index.wrapping_add(bytes.len() as i64) } else { index };
                raise_outside(ctx, normalised, bytes.len() as u64);
                null_mut()
            }
        }
    }

    /// `s[start:end:step]`.
    fn str_slice(ctx: *mut Context, s: *const Str, start: i64, end: i64, step: i64) -> *mut Str {
        let bytes = bytes_of(s);
        let Some(slice) = slice::resolve(ctx, bytes.len() as i64, start, end, step) else { return null_mut() };
        let object = uninitialised(ctx, slice.count as u64);
        if !object.is_null() {
            for i in 0..slice.count {
                *bytes_mut(object).add(i as usize) = bytes[(slice.start + i * slice.step) as usize];
            }
        }
        object
    }

    /// `s * n`.
    fn str_repeat(ctx: *mut Context, s: *const Str, n: i64) -> *mut Str {
        let mut text = Text::new(ctx);
        let bytes = bytes_of(s);
        let wanted = (bytes.len() as u64).checked_mul(n.max(0) as u64);
        if wanted.is_none_or(|len| !text.reserve_exactly(len)) {
            crate::error::fail_out_of_memory(ctx);
            return null_mut();
        }
        if !bytes.is_empty() {
            for _ in 0..n {
                text.push_bytes(bytes);
            }
        }
        text.into_str()
    }

    /// `hash(s)`: what libstdc++ computes, as PyTorch's builds for Linux do.
    fn str_hash(s: *const Str) -> i64 {
        crate::equality::hash_bytes(bytes_of(s)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn concat_index_slice_and_order() {
        let t = TestContext::new();
        unsafe {
            let (a, b) = (t.str("hello"), t.str("hells"));
            assert_eq!(t.text(str_concat(t.ctx(), a, b)), "hellohells");
            assert_eq!(str_cmp(a, b), -1);
            assert_eq!(str_eq(a, t.str("hello")), 1);
            assert_eq!(t.text(str_get(t.ctx(), a, -1)), "o");
            assert_eq!(t.text(str_slice(t.ctx(), a, NO_INDEX, NO_INDEX, -1)), "olleh");
            assert_eq!(t.text(str_slice(t.ctx(), a, 1, 3, 1)), "el");
            assert_eq!(t.text(str_repeat(t.ctx(), a, 2)), "hellohello");
            assert_eq!(t.text(str_repeat(t.ctx(), a, -2)), "");
            assert!(str_get(t.ctx(), t.str("abc"), 7).is_null());
            assert_eq!(t.take_error().1, "basic_string::at: __n (which is 7) >= this->size() (which is 3)");
        }
    }

    #[test]
    fn huge_repetition_is_out_of_memory() {
        let t = TestContext::with_limit(1 << 20);
        unsafe {
            assert!(str_repeat(t.ctx(), t.str("ab"), i64::MAX).is_null());
            assert_eq!(t.take_error().0, status::OUT_OF_MEMORY);
        }
    }

    /// Recorded from PyTorch 2.15 on Linux.
    #[test]
    fn hashes_are_libstdcxx_hashes() {
        let t = TestContext::new();
        for (text, hash) in [("abc", 3663726644998027833), ("", 6142509188972423790), ("abcdefghijk", 3672398144843267301)] {
            assert_eq!(unsafe { str_hash(t.str(text)) }, hash);
        }
    }
}
