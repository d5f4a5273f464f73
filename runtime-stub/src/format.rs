//! `"...".format(...)` and `"..." % ...`, with the few specifiers that TorchScript knows.

use core::ptr::null_mut;

use crate::abi::*;
use crate::decimal::{push_fixed, push_scientific};
use crate::equality::kind_name;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::print::push_value;
use crate::string::bytes_of;
use crate::string::search::find;
use crate::tensor::element::truncate;
use crate::text::Text;
use crate::tuple;

/// Digits after the point, always.
const PRECISION: i64 = 6;

unsafe fn raise_wanted(ctx: *mut Context, key: u8, wanted: &str, got: Value) {
    raise_with(ctx, |text| {
        text.push(b'%');
        text.push(key);
        text.push_str(wanted);
        text.push_str(kind_name(got.tag));
    });
}

/// The argument as a C `int`, as `%d` writes a float: what does not fit becomes the smallest one.
fn as_c_int(x: f64) -> i64 {
    let x = truncate(x);
    if x == i64::from(x as i32) { x } else { i64::from(i32::MIN) }
}

/// The argument as the float32 that `%f` and `%e` write.
fn as_c_float(value: Value) -> f64 {
    if value.tag == tag::FLOAT { f64::from(value.as_float() as f32) } else { f64::from(value.as_int() as f32) }
}

/// Writes one argument by its specifier, or raises.
unsafe fn push_argument(ctx: *mut Context, text: &mut Text, key: u8, value: Value) {
    let number = matches!(value.tag, tag::BOOL | tag::INT | tag::FLOAT);
    match key {
        b'd' | b'i' | b'e' | b'E' | b'f' | b'F' if !number => {
            raise_wanted(ctx, key, " requires a number for formatting, but got ", value);
        }
        b'd' | b'i' if value.tag == tag::FLOAT => text.push_int(as_c_int(value.as_float())),
        b'd' | b'i' => text.push_int(value.as_int()),
        b'f' | b'F' => push_fixed(text, as_c_float(value), PRECISION),
        b'e' => push_scientific(text, as_c_float(value), PRECISION),
        b'E' => {
            let mut part = Text::new(ctx);
            push_scientific(&mut part, as_c_float(value), PRECISION);
            for byte in part.as_bytes() {
                text.push(byte.to_ascii_uppercase());
            }
        }
        b'c' if value.tag == tag::INT => text.push(value.bits as u8),
        b'c' if value.tag == tag::STR && bytes_of(value.pointer()).len() == 1 => text.push_bytes(bytes_of(value.pointer())),
        b'c' => raise_wanted(ctx, key, " requires an int or char for formatting, but got ", value),
        b's' => push_value(text, value, 0),
        _ => raise_with(ctx, |message| {
            message.push_str("The specifier %");
            message.push(key);
            message.push_str(" is not supported in TorchScript format strings");
        }),
    }
}

unsafe fn finish(ctx: *mut Context, text: Text) -> *mut Str {
    if (*ctx).status == status::OK { text.into_str() } else { null_mut() }
}

exports! {
    /// `format.format(*values)`: each `{}` is the next value; values left over are ignored.
    fn format(ctx: *mut Context, format: *const Str, values: *const Value, n: u64) -> *mut Str {
        let bytes = bytes_of(format);
        let mut text = Text::new(ctx);
        let (mut from, mut used) = (0, 0);
        while let Some(at) = find(bytes, b"{}", from) {
            text.push_bytes(&bytes[from..at]);
            if used >= n as usize {
                raise_with(ctx, |message| {
                    message.push_str("Too few arguments for format string: ");
                    message.push_bytes(bytes);
                });
                return null_mut();
            }
            push_value(&mut text, *values.add(used), 0);
            used += 1;
            from = at + 2;
        }
        text.push_bytes(&bytes[from..]);
        finish(ctx, text)
    }

    /// `format % args`: a tuple gives its items, any other value is the one argument.
    fn percent_format(ctx: *mut Context, format: *const Str, args_tag: u64, args_bits: u64) -> *mut Str {
        let args = Value::new(args_tag, args_bits);
        let single = [args];
        let args: &[Value] = if args.tag == tag::TUPLE { tuple::items_of(args.pointer()) } else { &single };
        let bytes = bytes_of(format);
        let mut text = Text::new(ctx);
        let (mut from, mut used) = (0, 0);
        while let Some(at) = find(bytes, b"%", from) {
            text.push_bytes(&bytes[from..at]);
            from = at + 2;
            match (bytes.get(at + 1), args.get(used)) {
                (None, _) => raise_text(ctx, "Incomplete format specifier"),
                (Some(b'%'), _) => text.push(b'%'),
                (Some(_), None) => raise_text(ctx, "Too few arguments for format string"),
                (Some(&key), Some(arg)) => {
                    push_argument(ctx, &mut text, key, *arg);
                    used += 1;
                }
            }
            if (*ctx).status != status::OK {
                return null_mut();
            }
        }
        text.push_bytes(bytes.get(from..).unwrap_or(&[]));
        if used != args.len() {
            raise_text(ctx, "Too many arguments for format string");
        }
        finish(ctx, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;
    use crate::tuple::tuple_new;

    fn percent(t: &TestContext, format: &str, args: Value) -> String {
        let result = unsafe { percent_format(t.ctx(), t.str(format), args.tag, args.bits) };
        if result.is_null() { t.take_error().1 } else { t.text(result) }
    }

    fn tuple(t: &TestContext, items: &[Value]) -> Value {
        Value::object(tag::TUPLE, unsafe { tuple_new(t.ctx(), items.as_ptr(), items.len() as u64, core::ptr::null()) })
    }

    /// Recorded from PyTorch 2.15.
    #[test]
    fn percent_format_as_pytorch() {
        let t = TestContext::new();
        let cases = [
            ("%d", Value::float(1e10), "-2147483648"),
            ("%d", Value::float(-2.7), "-2"),
            ("%f", Value::float(123456789.0), "123456792.000000"),
            ("%f", Value::int(123456789), "123456792.000000"),
            ("%e", Value::float(0.000123456789), "1.234568e-04"),
            ("%E", Value::float(1.5), "1.500000E+00"),
            ("%c", Value::int(65), "A"),
            ("%c", t.value("x"), "x"),
            ("%d%%", Value::int(5), "5%"),
            ("%s", Value::NONE, "None"),
            ("%F", Value::float(f64::INFINITY), "inf"),
            ("100%", Value::int(1), "Incomplete format specifier"),
            ("abc", Value::int(3), "Too many arguments for format string"),
            ("%5.2f", Value::float(1.0), "The specifier %5 is not supported in TorchScript format strings"),
            ("%c", t.value("xy"), "%c requires an int or char for formatting, but got String"),
            ("%d", t.value("x"), "%d requires a number for formatting, but got String"),
            ("%d %s", tuple(&t, &[Value::int(1)]), "Too few arguments for format string"),
            ("%d %s", tuple(&t, &[Value::int(1), t.value("q")]), "1 q"),
        ];
        for (format, args, expected) in cases {
            assert_eq!(percent(&t, format, args), expected, "{format}");
        }
    }

    #[test]
    fn braces() {
        let t = TestContext::new();
        let values = [Value::float(1.5), Value::int(2)];
        unsafe {
            let text = format(t.ctx(), t.str("{} and {}!"), values.as_ptr(), 2);
            assert_eq!(t.text(text), "1.5 and 2!");
            assert_eq!(t.text(format(t.ctx(), t.str("{}"), values.as_ptr(), 2)), "1.5");
            assert!(format(t.ctx(), t.str("{} {}"), values.as_ptr(), 1).is_null());
            assert_eq!(t.take_error().1, "Too few arguments for format string: {} {}");
        }
    }
}
