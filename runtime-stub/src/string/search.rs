//! Finding, counting and replacing.
//!
//! `start` and `end` of TorchScript's methods count from the end when negative, and an `end` of -1 (the default) is the
//! end of the string itself, unlike Python's.

use core::ptr::null_mut;

use crate::abi::*;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::string::bytes_of;
use crate::text::Text;

/// First place at or after `from` where `needle` stands.
pub(crate) fn find(hay: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let last = hay.len().checked_sub(needle.len())?;
    (from..=last).find(|&at| hay[at..].starts_with(needle))
}

/// Last place where `needle` stands.
pub(crate) fn find_last(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let last = hay.len().checked_sub(needle.len())?;
    (0..=last).rev().find(|&at| hay[at..].starts_with(needle))
}

/// The ends of a search, from the front of the string.
fn ends(size: i64, start: i64, end: i64) -> (i64, i64) {
    let start = if start < 0 { size.saturating_add(start).max(0) } else { start };
    let end = if end < 0 { size.saturating_add(end).saturating_add(1).max(0) } else { end };
    (start, end)
}

unsafe fn find_within(s: *const Str, sub: *const Str, start: i64, end: i64, last: bool) -> i64 {
    let (hay, needle) = (bytes_of(s), bytes_of(sub));
    let (start, end) = ends(hay.len() as i64, start, end);
    let part = if end > start && start as usize <= hay.len() { &hay[start as usize..(end as usize).min(hay.len())] } else { &[] };
    let found = if last { find_last(part, needle) } else { find(part, needle, 0) };
    found.map_or(-1, |at| at as i64 + start)
}

unsafe fn index_within(ctx: *mut Context, s: *const Str, sub: *const Str, start: i64, end: i64, last: bool) -> i64 {
    let place = find_within(s, sub, start, end, last);
    if place < 0 {
        raise_text(ctx, "ValueError: substring not found");
        return 0;
    }
    place
}

/// The part that `startswith` and `endswith` look at: an end before the start means the rest of the string.
unsafe fn affix_part<'a>(ctx: *mut Context, s: *const Str, start: i64, end: i64) -> Option<&'a [u8]> {
    let bytes = bytes_of(s);
    let (start, end) = ends(bytes.len() as i64, start, end);
    if start as usize > bytes.len() {
        raise_with(ctx, |text| {
            text.push_str("basic_string::substr: __pos (which is ");
            text.push_int(start);
            text.push_str(") > this->size() (which is ");
            text.push_int(bytes.len() as i64);
            text.push(b')');
        });
        return None;
    }
    let rest = &bytes[start as usize..];
    let len = if end < start { rest.len() } else { ((end - start) as usize).min(rest.len()) };
    Some(&rest[..len])
}

/// Python's replacement of the empty string: `new` before every byte and at the end.
fn interleave(text: &mut Text, bytes: &[u8], new: &[u8], max: i64) {
    let mut left = if max < 0 { i64::MAX } else { max };
    for &byte in bytes {
        if left > 0 {
            text.push_bytes(new);
            left -= 1;
        }
        text.push(byte);
    }
    if left > 0 {
        text.push_bytes(new);
    }
}

exports! {
    /// `s.find(sub, start, end)`: -1 when not found.
    fn str_find(ctx: *mut Context, s: *const Str, sub: *const Str, start: i64, end: i64) -> i64 {
        let _ = ctx;
        find_within(s, sub, start, end, false)
    }

    /// `s.rfind(sub, start, end)`: -1 when not found.
    fn str_rfind(ctx: *mut Context, s: *const Str, sub: *const Str, start: i64, end: i64) -> i64 {
        let _ = ctx;
        find_within(s, sub, start, end, true)
    }

    /// `s.index(sub, start, end)`: raises when not found.
    fn str_index(ctx: *mut Context, s: *const Str, sub: *const Str, start: i64, end: i64) -> i64 {
        index_within(ctx, s, sub, start, end, false)
    }

    /// `s.rindex(sub, start, end)`: raises when not found.
    fn str_rindex(ctx: *mut Context, s: *const Str, sub: *const Str, start: i64, end: i64) -> i64 {
        index_within(ctx, s, sub, start, end, true)
    }

    /// `s.count(sub, start, end)`: the matches that begin before `end`, without overlap. The empty string is counted
    /// as Python counts it.
    fn str_count(ctx: *mut Context, s: *const Str, sub: *const Str, start: i64, end: i64) -> i64 {
        let _ = ctx;
        let (hay, needle) = (bytes_of(s), bytes_of(sub));
        let size = hay.len() as i64;
        if start > size {
            return 0;
        }
        let (start, end) = ends(size, start, end);
        if needle.is_empty() {
            return (end.min(size) - start).max(-1) + 1;
        }
        let (mut count, mut from) = (0, start as usize);
        while let Some(at) = find(hay, needle, from) {
            if at as i64 >= end {
                break;
            }
            count += 1;
            from = at + needle.len();
        }
        count
    }

    /// `s.startswith(sub, start, end)`
    fn str_startswith(ctx: *mut Context, s: *const Str, sub: *const Str, start: i64, end: i64) -> i64 {
        affix_part(ctx, s, start, end).map_or(0, |part| i64::from(part.starts_with(bytes_of(sub))))
    }

    /// `s.endswith(sub, start, end)`
    fn str_endswith(ctx: *mut Context, s: *const Str, sub: *const Str, start: i64, end: i64) -> i64 {
        affix_part(ctx, s, start, end).map_or(0, |part| i64::from(part.ends_with(bytes_of(sub))))
    }

    /// `sub in s`
    fn str_contains(s: *const Str, sub: *const Str) -> i64 {
        i64::from(find(bytes_of(s), bytes_of(sub), 0).is_some())
    }

    /// `s.replace(old, new, max)`; all matches when `max` is negative.
    fn str_replace(ctx: *mut Context, s: *const Str, old: *const Str, new: *const Str, max: i64) -> *mut Str {
        let (bytes, old, new) = (bytes_of(s), bytes_of(old), bytes_of(new));
        let mut text = Text::new(ctx);
        if old.is_empty() {
            interleave(&mut text, bytes, new, max);
            return text.into_str();
        }
        let (mut from, mut done) = (0, 0);
        while max < 0 || done < max {
            let Some(at) = find(bytes, old, from) else { break };
            text.push_bytes(&bytes[from..at]);
            text.push_bytes(new);
            from = at + old.len();
            done += 1;
        }
        text.push_bytes(&bytes[from..]);
        text.into_str()
    }

    /// `s.strip(chars)`
    fn str_strip(ctx: *mut Context, s: *const Str, chars: *const Str) -> *mut Str {
        let chars = bytes_of(chars);
        crate::string::from_bytes(ctx, trim_start(trim_end(bytes_of(s), chars), chars))
    }

    /// `s.lstrip(chars)`
    fn str_lstrip(ctx: *mut Context, s: *const Str, chars: *const Str) -> *mut Str {
        crate::string::from_bytes(ctx, trim_start(bytes_of(s), bytes_of(chars)))
    }

    /// `s.rstrip(chars)`
    fn str_rstrip(ctx: *mut Context, s: *const Str, chars: *const Str) -> *mut Str {
        crate::string::from_bytes(ctx, trim_end(bytes_of(s), bytes_of(chars)))
    }

    /// `ord(s)`: the value of the one byte.
    fn str_ord(ctx: *mut Context, s: *const Str) -> i64 {
        let bytes = bytes_of(s);
        if let &[byte] = bytes {
            return i64::from(byte);
        }
        raise_with(ctx, |text| {
            text.push_str("String for ord() must be 1 character, found ");
            text.push_int(bytes.len() as i64);
        });
        0
    }

    /// `chr(i)`: TorchScript keeps the low byte.
    fn str_chr(ctx: *mut Context, i: i64) -> *mut Str {
        if (0..1_114_111).contains(&i) {
            return crate::string::from_bytes(ctx, &[i as u8]);
        }
        raise_with(ctx, |text| {
            text.push_str("chr() arg not in range(0x110000), found ");
            text.push_int(i);
        });
        null_mut()
    }
}

fn trim_start<'a>(mut bytes: &'a [u8], chars: &[u8]) -> &'a [u8] {
    while let [first, rest @ ..] = bytes {
        if !chars.contains(first) {
            break;
        }
        bytes = rest;
    }
    bytes
}

fn trim_end<'a>(mut bytes: &'a [u8], chars: &[u8]) -> &'a [u8] {
    while let [rest @ .., last] = bytes {
        if !chars.contains(last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn finding() {
        let t = TestContext::new();
        let s = t.str("abcabcab");
        let find = |sub: &str, start, end| unsafe { str_find(t.ctx(), s, t.str(sub), start, end) };
        let rfind = |sub: &str, start, end| unsafe { str_rfind(t.ctx(), s, t.str(sub), start, end) };
        assert_eq!((find("ca", 0, -1), rfind("ab", 0, -1), find("x", 0, -1)), (2, 6, -1));
        assert_eq!((find("ab", 1, 5), find("ab", 1, 4), find("ab", -2, -1)), (3, -1, 6));
        assert_eq!((find("", 2, -1), rfind("", 0, -1), find("a", 50, -1)), (2, 8, -1));
        unsafe {
            assert_eq!(str_count(t.ctx(), s, t.str("ab"), 0, -1), 3);
            assert_eq!(str_count(t.ctx(), s, t.str("ab"), 1, 6), 1);
            assert_eq!(str_count(t.ctx(), s, t.str(""), 0, -1), 9);
            str_rindex(t.ctx(), s, t.str("z"), 0, -1);
            assert_eq!(t.take_error().1, "ValueError: substring not found");
        }
    }

    #[test]
    fn affixes_strip_and_replace() {
        let t = TestContext::new();
        unsafe {
            let s = t.str("xxabcxx");
            assert_eq!(str_startswith(t.ctx(), s, t.str("ab"), 2, -1), 1);
            assert_eq!(str_endswith(t.ctx(), s, t.str("abc"), 0, 5), 1);
            assert_eq!(str_startswith(t.ctx(), s, t.str("x"), 9, -1), 0);
            assert_eq!(t.take_error().1, "basic_string::substr: __pos (which is 9) > this->size() (which is 7)");
            assert_eq!(t.text(str_strip(t.ctx(), s, t.str("x"))), "abc");
            assert_eq!(t.text(str_lstrip(t.ctx(), s, t.str("x"))), "abcxx");
            assert_eq!(t.text(str_rstrip(t.ctx(), s, t.str("xabc"))), "");
            assert_eq!(t.text(str_replace(t.ctx(), s, t.str("x"), t.str("yy"), -1)), "yyyyabcyyyy");
            assert_eq!(t.text(str_replace(t.ctx(), s, t.str("x"), t.str(""), 3)), "abcx");
            assert_eq!(t.text(str_replace(t.ctx(), t.str("ab"), t.str(""), t.str("-"), -1)), "-a-b-");
        }
    }

    #[test]
    fn characters() {
        let t = TestContext::new();
        unsafe {
            assert_eq!(str_ord(t.ctx(), t.str("A")), 65);
            assert_eq!(t.text(str_chr(t.ctx(), 97)), "a");
            str_ord(t.ctx(), t.str("xy"));
            assert_eq!(t.take_error().1, "String for ord() must be 1 character, found 2");
            str_chr(t.ctx(), -1);
            assert_eq!(t.take_error().1, "chr() arg not in range(0x110000), found -1");
        }
    }
}
