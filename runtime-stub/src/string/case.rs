//! Case changes and character classes, over ASCII as in C's default locale.

use crate::abi::*;
use crate::export::exports;
use crate::string::bytes_of;
use crate::text::Text;

unsafe fn map(ctx: *mut Context, s: *const Str, mut change: impl FnMut(u8) -> u8) -> *mut Str {
    let mut text = Text::new(ctx);
    for &byte in bytes_of(s) {
        text.push(change(byte));
    }
    text.into_str()
}

/// Whether the string is not empty and every byte passes.
unsafe fn all(s: *const Str, test: impl Fn(&u8) -> bool) -> i64 {
    let bytes = bytes_of(s);
    i64::from(!bytes.is_empty() && bytes.iter().all(test))
}

/// Whether there is a letter, and every letter passes.
unsafe fn all_letters(s: *const Str, test: impl Fn(&u8) -> bool) -> i64 {
    let mut letters = bytes_of(s).iter().filter(|byte| byte.is_ascii_alphabetic()).peekable();
    i64::from(letters.peek().is_some() && letters.all(test))
}

/// C's `isspace`, which has the vertical tab too.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn is_title(bytes: &[u8]) -> bool {
    let (mut result, mut after_letter) = (false, false);
    for byte in bytes {
        let fits = if after_letter { !byte.is_ascii_uppercase() } else { !byte.is_ascii_lowercase() };
        if !fits {
            return false;
        }
        after_letter = byte.is_ascii_alphabetic();
        result |= after_letter;
    }
    result
}

exports! {
    /// `s.lower()`
    fn str_lower(ctx: *mut Context, s: *const Str) -> *mut Str {
        map(ctx, s, |byte| byte.to_ascii_lowercase())
    }

    /// `s.upper()`
    fn str_upper(ctx: *mut Context, s: *const Str) -> *mut Str {
        map(ctx, s, |byte| byte.to_ascii_uppercase())
    }

    /// `s.swapcase()`
    fn str_swapcase(ctx: *mut Context, s: *const Str) -> *mut Str {
        map(ctx, s, |byte| if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() })
    }

    /// `s.capitalize()`
    fn str_capitalize(ctx: *mut Context, s: *const Str) -> *mut Str {
        let mut first = true;
        map(ctx, s, |byte| {
            if core::mem::take(&mut first) { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }
        })
    }

    /// `s.title()`
    fn str_title(ctx: *mut Context, s: *const Str) -> *mut Str {
        let mut after_letter = false;
        map(ctx, s, |byte| {
            let changed = if after_letter { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() };
            after_letter = byte.is_ascii_alphabetic();
            changed
        })
    }

    /// `s.isdigit()`
    fn str_isdigit(s: *const Str) -> i64 {
        all(s, u8::is_ascii_digit)
    }

    /// `s.isspace()`
    fn str_isspace(s: *const Str) -> i64 {
        all(s, is_space)
    }

    /// `s.isalnum()`
    fn str_isalnum(s: *const Str) -> i64 {
        all(s, u8::is_ascii_alphanumeric)
    }

    /// `s.isalpha()`
    fn str_isalpha(s: *const Str) -> i64 {
        all(s, u8::is_ascii_alphabetic)
    }

    /// `s.isdecimal()`
    fn str_isdecimal(s: *const Str) -> i64 {
        all(s, u8::is_ascii_digit)
    }

    /// `s.isnumeric()`
    fn str_isnumeric(s: *const Str) -> i64 {
        all(s, u8::is_ascii_digit)
    }

    /// `s.isupper()`: there is a letter, and no small one.
    fn str_isupper(s: *const Str) -> i64 {
        all_letters(s, u8::is_ascii_uppercase)
    }

    /// `s.islower()`: there is a letter, and no capital.
    fn str_islower(s: *const Str) -> i64 {
        all_letters(s, u8::is_ascii_lowercase)
    }

    /// `s.istitle()`
    fn str_istitle(s: *const Str) -> i64 {
        i64::from(is_title(bytes_of(s)))
    }

    /// `s.isprintable()`; true for the empty string.
    fn str_isprintable(s: *const Str) -> i64 {
        i64::from(bytes_of(s).iter().all(|byte| (b' '..=b'~').contains(byte)))
    }

    /// `s.isidentifier()` as TorchScript has it: letters and digits only, no underscore, no digit first.
    fn str_isidentifier(s: *const Str) -> i64 {
        i64::from(all(s, u8::is_ascii_alphanumeric) == 1 && !bytes_of(s)[0].is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    /// Texts recorded from scripted functions.
    #[test]
    fn case_changes() {
        let t = TestContext::new();
        unsafe {
            let s = t.str("hello WORLD x1y");
            assert_eq!(t.text(str_lower(t.ctx(), s)), "hello world x1y");
            assert_eq!(t.text(str_upper(t.ctx(), s)), "HELLO WORLD X1Y");
            assert_eq!(t.text(str_swapcase(t.ctx(), s)), "HELLO world X1Y");
            assert_eq!(t.text(str_capitalize(t.ctx(), s)), "Hello world x1y");
            assert_eq!(t.text(str_title(t.ctx(), s)), "Hello World X1Y");
        }
    }

    #[test]
    fn classes() {
        let t = TestContext::new();
        unsafe {
            assert_eq!(str_isdigit(t.str("")), 0);
            assert_eq!(str_isdigit(t.str("012")), 1);
            assert_eq!(str_isspace(t.str(" \x0b\t")), 1);
            assert_eq!(str_isupper(t.str("A1B")), 1);
            assert_eq!(str_isupper(t.str("12")), 0);
            assert_eq!(str_islower(t.str("a1B")), 0);
            assert_eq!(str_istitle(t.str("Hello World")), 1);
            assert_eq!(str_istitle(t.str("Hello world")), 0);
            assert_eq!(str_istitle(t.str("12")), 0);
            assert_eq!(str_isprintable(t.str("a\n")), 0);
            assert_eq!(str_isidentifier(t.str("a_b")), 0);
            assert_eq!(str_isidentifier(t.str("ab1")), 1);
            assert_eq!(str_isidentifier(t.str("1ab")), 0);
        }
    }
}
