//! Padding to a width.

use core::ptr::null_mut;

use crate::abi::*;
use crate::error::raise_text;
use crate::export::exports;
use crate::string::bytes_of;
use crate::text::Text;

/// The fill byte, which must be one.
unsafe fn fill_byte(ctx: *mut Context, fill: *const Str) -> Option<u8> {
    if let &[byte] = bytes_of(fill) {
        return Some(byte);
    }
    raise_text(ctx, "TypeError: The fill character must be exactly one character long");
    None
}

unsafe fn padded(ctx: *mut Context, s: *const Str, fill: u8, left: i64, right: i64) -> *mut Str {
    let mut text = Text::new(ctx);
    text.push_repeated(fill, left);
    text.push_bytes(bytes_of(s));
    text.push_repeated(fill, right);
    text.into_str()
}

unsafe fn missing(s: *const Str, width: i64) -> i64 {
    width.saturating_sub((*s).len as i64).max(0)
}

exports! {
    /// `s.center(width, fill)`: the odd byte of padding goes left when the width is odd.
    fn str_center(ctx: *mut Context, s: *const Str, width: i64, fill: *const Str) -> *mut Str {
        let Some(fill) = fill_byte(ctx, fill) else { return null_mut() };
        let padding = missing(s, width);
        let (small, large) = (padding / 2, padding - padding / 2);
        let (left, right) = if width % 2 != 0 { (large, small) } else { (small, large) };
        padded(ctx, s, fill, left, right)
    }

    /// `s.ljust(width, fill)`
    fn str_ljust(ctx: *mut Context, s: *const Str, width: i64, fill: *const Str) -> *mut Str {
        let Some(fill) = fill_byte(ctx, fill) else { return null_mut() };
        padded(ctx, s, fill, 0, missing(s, width))
    }

    /// `s.rjust(width, fill)`
    fn str_rjust(ctx: *mut Context, s: *const Str, width: i64, fill: *const Str) -> *mut Str {
        let Some(fill) = fill_byte(ctx, fill) else { return null_mut() };
        padded(ctx, s, fill, missing(s, width), 0)
    }

    /// `s.zfill(width)`: TorchScript puts the zeros before a sign too.
    fn str_zfill(ctx: *mut Context, s: *const Str, width: i64) -> *mut Str {
        padded(ctx, s, b'0', missing(s, width), 0)
    }

    /// `s.expandtabs(tabsize)`; tabs vanish when it is not positive. Line ends do not start a new count.
    fn str_expandtabs(ctx: *mut Context, s: *const Str, tabsize: i64) -> *mut Str {
        let mut text = Text::new(ctx);
        for &byte in bytes_of(s) {
            if byte != b'\t' {
                text.push(byte);
            } else if tabsize > 0 {
                let over = text.len() as i64 % tabsize;
                text.push_repeated(b' ', tabsize - over);
            }
        }
        text.into_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn padding() {
        let t = TestContext::new();
        unsafe {
            let (s, star) = (t.str("ab c\td"), t.str("*"));
            assert_eq!(t.text(str_center(t.ctx(), s, 9, star)), "**ab c\td*");
            assert_eq!(t.text(str_center(t.ctx(), t.str("abc"), 6, star)), "*abc**");
            assert_eq!(t.text(str_center(t.ctx(), s, -3, star)), "ab c\td");
            assert_eq!(t.text(str_ljust(t.ctx(), t.str("ab"), 4, star)), "ab**");
            assert_eq!(t.text(str_rjust(t.ctx(), t.str("ab"), 4, star)), "**ab");
            assert_eq!(t.text(str_zfill(t.ctx(), t.str("-7"), 4)), "00-7");
            assert_eq!(t.text(str_expandtabs(t.ctx(), t.str("a\tbc\td"), 4)), "a   bc  d");
            str_center(t.ctx(), s, 3, t.str(""));
            assert_eq!(t.take_error().1, "TypeError: The fill character must be exactly one character long");
        }
    }
}
