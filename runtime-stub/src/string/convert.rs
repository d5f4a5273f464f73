//! Numbers to text and text to numbers.

use crate::abi::*;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::print::push_value;
use crate::string::bytes_of;
use crate::text::Text;

/// What `isspace` skips before a number.
fn skip_spaces(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    &bytes[spaces..]
}

/// The rest after a sign, and whether it was a minus.
fn split_sign(bytes: &[u8]) -> (bool, &[u8]) {
    match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    }
}

fn count_digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// An integer at the front of the text and the number of its digits; `None` when it does not fit an i64.
fn leading_int(negative: bool, digits: &[u8]) -> Option<i64> {
    let mut value = 0i64;
    for digit in digits {
        let digit = i64::from(digit - b'0');
        value = value.checked_mul(10)?.checked_add(if negative { -digit } else { digit })?;
    }
    Some(value)
}

/// Length of the longest decimal number (or inf, nan) at the front of the text, which has no sign; 0 for none.
fn float_length(bytes: &[u8]) -> usize {
    for name in [b"infinity".as_slice(), b"inf", b"nan"] {
        if bytes.len() >= name.len() && bytes[..name.len()].eq_ignore_ascii_case(name) {
            return name.len();
        }
    }
    let whole = count_digits(bytes);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = count_digits(&bytes[end + 1..]);
        if whole + fraction == 0 {
            return 0;
        }
        end += 1 + fraction;
    }
    if end == 0 {
        return 0;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = count_digits(bytes.get(end + 1 + sign..).unwrap_or(&[]));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

/// Whether the digits of a number (not its exponent) are not all zero.
fn has_value(number: &[u8]) -> bool {
    number.iter().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| (b'1'..=b'9').contains(byte))
}

/// A float at the front of an unsigned text. `None` when it is too large or too small, as `strtod` reports.
fn parse_unsigned_float(number: &[u8]) -> Option<f64> {
    let text = core::str::from_utf8(number).ok()?;
    let value: f64 = text.parse().ok()?;
    let named = number.first().is_some_and(|byte| byte.is_ascii_alphabetic());
    let lost = value.is_infinite() || !value.is_normal() && has_value(number);
    if lost && !named { None } else { Some(value) }
}

unsafe fn raise_quoted(ctx: *mut Context, before: &str, text: &[u8]) {
    raise_with(ctx, |message| {
        message.push_str(before);
        message.push_str(": '");
        message.push_bytes(text);
        message.push(b'\'');
    });
}

unsafe fn str_of(ctx: *mut Context, write: impl FnOnce(&mut Text)) -> *mut Str {
    let mut text = Text::new(ctx);
    write(&mut text);
    text.into_str()
}

unsafe fn in_base(ctx: *mut Context, x: i64, prefix: &str, base: u64) -> *mut Str {
    str_of(ctx, |text| {
        if x < 0 {
            text.push(b'-');
        }
        text.push_str(prefix);
        text.push_unsigned(x.unsigned_abs(), base);
    })
}

exports! {
    /// `hex(x)`
    fn str_hex(ctx: *mut Context, x: i64) -> *mut Str {
        in_base(ctx, x, "0x", 16)
    }

    /// `oct(x)`
    fn str_oct(ctx: *mut Context, x: i64) -> *mut Str {
        in_base(ctx, x, "0o", 8)
    }

    /// `bin(x)`
    fn str_bin(ctx: *mut Context, x: i64) -> *mut Str {
        in_base(ctx, x, "0b", 2)
    }

    /// `str(x)` of an int.
    fn str_from_int(ctx: *mut Context, x: i64) -> *mut Str {
        str_of(ctx, |text| text.push_int(x))
    }

    /// `str(x)` of a float, in TorchScript's form (`3.`, `0.10000000000000001`).
    fn str_from_float(ctx: *mut Context, x: f64) -> *mut Str {
        str_of(ctx, |text| crate::decimal::push_float(text, x))
    }

    /// `str(x)` of a bool.
    fn str_from_bool(ctx: *mut Context, x: i64) -> *mut Str {
        str_of(ctx, |text| text.push_str(if x != 0 { "True" } else { "False" }))
    }

    /// `str(x)` of any value: what `print` writes.
    fn str_from_value(ctx: *mut Context, x_tag: u64, x_bits: u64) -> *mut Str {
        str_of(ctx, |text| push_value(text, Value::new(x_tag, x_bits), 0))
    }

    /// `int(s)`, base 10. Raises PyTorch's texts: `stoll` when there is no number or it does not fit.
    fn str_to_int(ctx: *mut Context, s: *const Str) -> i64 {
        let bytes = bytes_of(s);
        let (negative, rest) = split_sign(skip_spaces(bytes));
        let digits = count_digits(rest);
        let value = leading_int(negative, &rest[..digits]);
        match value {
            Some(value) if digits > 0 && digits == rest.len() => return value,
            Some(_) if digits > 0 => raise_quoted(ctx, "invalid literal for int() with base 10", bytes),
            _ => raise_text(ctx, "stoll"),
        }
        0
    }

    /// `float(s)`. Raises PyTorch's texts: `stod` when there is no number or it is out of range.
    fn str_to_float(ctx: *mut Context, s: *const Str) -> f64 {
        let bytes = bytes_of(s);
        let (negative, rest) = split_sign(skip_spaces(bytes));
        let length = float_length(rest);
        let value = if length == 0 { None } else { parse_unsigned_float(&rest[..length]) };
        match value {
            Some(value) if length == rest.len() => return if negative { -value } else { value },
            Some(_) => raise_quoted(ctx, "could not convert string to float", bytes),
            None => raise_text(ctx, "stod"),
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn bases() {
        let t = TestContext::new();
        unsafe {
            assert_eq!(t.text(str_hex(t.ctx(), -255)), "-0xff");
            assert_eq!(t.text(str_oct(t.ctx(), 8)), "0o10");
            assert_eq!(t.text(str_bin(t.ctx(), 5)), "0b101");
            assert_eq!(t.text(str_bin(t.ctx(), 0)), "0b0");
            assert_eq!(t.text(str_from_int(t.ctx(), i64::MIN)), "-9223372036854775808");
            assert_eq!(t.text(str_from_bool(t.ctx(), 1)), "True");
        }
    }

    /// Outcomes recorded from PyTorch 2.15.
    #[test]
    fn parsing_int() {
        let t = TestContext::new();
        let parse = |text: &str| unsafe { (str_to_int(t.ctx(), t.str(text)), t.take_error().1) };
        assert_eq!(parse(" 12"), (12, String::new()));
        assert_eq!(parse("-9223372036854775808"), (i64::MIN, String::new()));
        assert_eq!(parse("abc"), (0, "stoll".into()));
        assert_eq!(parse("12abc"), (0, "invalid literal for int() with base 10: '12abc'".into()));
        assert_eq!(parse("99999999999999999999"), (0, "stoll".into()));
    }

    #[test]
    fn parsing_float() {
        let t = TestContext::new();
        let parse = |text: &str| unsafe { (str_to_float(t.ctx(), t.str(text)), t.take_error().1) };
        assert_eq!(parse("-1.5e3"), (-1500.0, String::new()));
        assert_eq!(parse(".5"), (0.5, String::new()));
        assert_eq!(parse("-inf"), (f64::NEG_INFINITY, String::new()));
        assert_eq!(parse("0.0e-999"), (0.0, String::new()));
        assert_eq!(parse("abc"), (0.0, "stod".into()));
        assert_eq!(parse("."), (0.0, "stod".into()));
        assert_eq!(parse("1e999"), (0.0, "stod".into()));
        assert_eq!(parse("1e-999"), (0.0, "stod".into()));
        assert_eq!(parse("1.5x"), (0.0, "could not convert string to float: '1.5x'".into()));
        assert_eq!(parse("1e+"), (0.0, "could not convert string to float: '1e+'".into()));
    }
}
