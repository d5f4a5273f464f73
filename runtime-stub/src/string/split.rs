//! Splitting and joining.

use core::ptr::null_mut;

use crate::abi::*;
use crate::error::raise_text;
use crate::export::exports;
use crate::list::{list_new, push_owned};
use crate::string::search::{find, find_last};
use crate::string::{bytes_of, from_bytes};
use crate::text::Text;
use crate::tuple::tuple_of_owned;

/// The bytes at which TorchScript breaks lines: Python's line separators, each byte of the multi-byte ones by itself.
const LINE_BREAKS: &[u8] = b"\n\r\x0b\x0c\x1c\x1d\x1e\x85\xe2\x80\xa8\xa9";

fn is_line_break(byte: u8) -> bool {
    LINE_BREAKS.contains(&byte)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t' || is_line_break(byte)
}

/// Appends a new string to a list of strings.
unsafe fn push_part(ctx: *mut Context, list: *mut List, part: &[u8]) {
    let part = from_bytes(ctx, part);
    if !part.is_null() {
        push_owned(ctx, list, Value::object(tag::STR, part));
    }
}

unsafe fn split_blanks(ctx: *mut Context, list: *mut List, bytes: &[u8]) {
    for part in bytes.split(|&byte| is_blank(byte)).filter(|part| !part.is_empty()) {
        push_part(ctx, list, part);
    }
}

/// A list of strings filled by `fill`, or null when there is no memory.
unsafe fn list_of(ctx: *mut Context, fill: impl FnOnce(*mut List)) -> *mut List {
    let list = list_new(ctx, 0, tag::STR);
    if list.is_null() {
        return null_mut();
    }
    fill(list);
    if (*ctx).status != status::OK {
        crate::memory::release_header(ctx, list.cast());
        return null_mut();
    }
    list
}

unsafe fn tuple_of_parts(ctx: *mut Context, parts: [&[u8]; 3]) -> *mut Tuple {
    let items = parts.map(|part| Value::object(tag::STR, from_bytes(ctx, part)));
    tuple_of_owned(ctx, &items)
}

exports! {
    /// `s.split(sep, max)`; a null separator is None: runs of blanks separate, and `max` is not looked at.
    fn str_split(ctx: *mut Context, s: *const Str, sep: *const Str, max: i64) -> *mut List {
        let bytes = bytes_of(s);
        if sep.is_null() {
            return list_of(ctx, |list| split_blanks(ctx, list, bytes));
        }
        let sep = bytes_of(sep);
        if sep.is_empty() {
            raise_text(ctx, "ValueError: empty separator");
            return null_mut();
        }
        list_of(ctx, |list| {
            let (mut from, mut count) = (0, 0);
            while max < 0 || count < max {
                let Some(at) = find(bytes, sep, from) else { break };
                push_part(ctx, list, &bytes[from..at]);
                from = at + sep.len();
                count += 1;
            }
            push_part(ctx, list, &bytes[from..]);
        })
    }

    /// `s.rsplit(sep, max)`
    fn str_rsplit(ctx: *mut Context, s: *const Str, sep: *const Str, max: i64) -> *mut List {
        let sep = bytes_of(sep);
        if sep.is_empty() {
            raise_text(ctx, "ValueError: empty separator");
            return null_mut();
        }
        list_of(ctx, |list| {
            let (mut rest, mut count) = (bytes_of(s), 0);
            while max < 0 || count < max {
                let Some(at) = find_last(rest, sep) else { break };
                push_part(ctx, list, &rest[at + sep.len()..]);
                rest = &rest[..at];
                count += 1;
            }
            push_part(ctx, list, rest);
            crate::list::edit::list_reverse(list);
        })
    }

    /// `s.splitlines(keepends)`; as in TorchScript, a kept line end is an element of its own, and `\r\n` breaks twice.
    fn str_splitlines(ctx: *mut Context, s: *const Str, keepends: i64) -> *mut List {
        let bytes = bytes_of(s);
        list_of(ctx, |list| {
            let mut from = 0;
            for (at, &byte) in bytes.iter().enumerate() {
                if is_line_break(byte) {
                    push_part(ctx, list, &bytes[from..at]);
                    if keepends != 0 {
                        push_part(ctx, list, &[byte]);
                    }
                    from = at + 1;
                }
            }
            if from < bytes.len() {
                push_part(ctx, list, &bytes[from..]);
            }
        })
    }

    /// `sep.join(parts)` for a list of strings.
    fn str_join(ctx: *mut Context, sep: *const Str, parts: *const List) -> *mut Str {
        let mut text = Text::new(ctx);
        for i in 0..(*parts).len as usize {
            if i > 0 {
                text.push_bytes(bytes_of(sep));
            }
            text.push_bytes(bytes_of((*(*parts).items.add(i)).pointer()));
        }
        text.into_str()
    }

    /// `s.partition(sep)`: what stands before the first separator, the separator, and the rest.
    fn str_partition(ctx: *mut Context, s: *const Str, sep: *const Str) -> *mut Tuple {
        let (bytes, sep) = (bytes_of(s), bytes_of(sep));
        match find(bytes, sep, 0) {
            Some(at) => tuple_of_parts(ctx, [&bytes[..at], sep, &bytes[at + sep.len()..]]),
            None => tuple_of_parts(ctx, [bytes, &[], &[]]),
        }
    }

    /// `s.rpartition(sep)`: the same for the last separator.
    fn str_rpartition(ctx: *mut Context, s: *const Str, sep: *const Str) -> *mut Tuple {
        let (bytes, sep) = (bytes_of(s), bytes_of(sep));
        match find_last(bytes, sep) {
            Some(at) => tuple_of_parts(ctx, [&bytes[..at], sep, &bytes[at + sep.len()..]]),
            None => tuple_of_parts(ctx, [&[], &[], bytes]),
        }
    }

    /// `list(s)`: one string per byte.
    fn str_to_list(ctx: *mut Context, s: *const Str) -> *mut List {
        list_of(ctx, |list| {
            for byte in bytes_of(s) {
                push_part(ctx, list, &[*byte]);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    fn parts(t: &TestContext, list: *mut List) -> String {
        t.show(Value::object(tag::LIST, list))
    }

    #[test]
    fn splitting() {
        let t = TestContext::new();
        unsafe {
            let s = t.str(" ab  c\td\n");
            assert_eq!(parts(&t, str_split(t.ctx(), s, core::ptr::null(), -1)), "[ab, c, d]");
            let s = t.str("a,b,,c");
            assert_eq!(parts(&t, str_split(t.ctx(), s, t.str(","), -1)), "[a, b, , c]");
            assert_eq!(parts(&t, str_split(t.ctx(), s, t.str(","), 1)), "[a, b,,c]");
            assert_eq!(parts(&t, str_rsplit(t.ctx(), s, t.str(","), 1)), "[a,b,, c]");
            assert_eq!(parts(&t, str_rsplit(t.ctx(), s, t.str(","), -1)), "[a, b, , c]");
            assert_eq!(parts(&t, str_splitlines(t.ctx(), t.str("a\r\nb\n"), 0)), "[a, , b]");
            assert_eq!(parts(&t, str_to_list(t.ctx(), t.str("abc"))), "[a, b, c]");
            assert!(str_split(t.ctx(), s, t.str(""), -1).is_null());
            assert_eq!(t.take_error().1, "ValueError: empty separator");
        }
    }

    #[test]
    fn joining_and_partitioning() {
        let t = TestContext::new();
        unsafe {
            let list = str_split(t.ctx(), t.str("a b c"), t.str(" "), -1);
            assert_eq!(t.text(str_join(t.ctx(), t.str("--"), list)), "a--b--c");
            let show = |tuple: *mut Tuple| t.show(Value::object(tag::TUPLE, tuple));
            assert_eq!(show(str_partition(t.ctx(), t.str("a=b=c"), t.str("="))), "(a, =, b=c)");
            assert_eq!(show(str_rpartition(t.ctx(), t.str("a=b=c"), t.str("="))), "(a=b, =, c)");
            assert_eq!(show(str_partition(t.ctx(), t.str("abc"), t.str("="))), "(abc, , )");
            assert_eq!(show(str_rpartition(t.ctx(), t.str("abc"), t.str("="))), "(, , abc)");
        }
    }
}
