//! Values as text, in the form of PyTorch's C++ printing.

use crate::abi::*;
use crate::decimal::push_float;
use crate::dict::entries_of;
use crate::equality::too_deep;
use crate::export::exports;
use crate::list::items_of;
use crate::platform::default_print;
use crate::string::bytes_of;
use crate::tensor_print::push_tensor;
use crate::text::Text;
use crate::tuple;

/// Writes a value as `print` and `str` do.
pub(crate) unsafe fn push_value(text: &mut Text, value: Value, depth: u32) {
    if too_deep(text.ctx(), depth) {
        return;
    }
    match value.tag {
        tag::NONE => text.push_str("None"),
        tag::BOOL => text.push_str(if value.bits != 0 { "True" } else { "False" }),
        tag::INT => text.push_int(value.as_int()),
        tag::FLOAT => push_float(text, value.as_float()),
        tag::STR | tag::DEVICE => text.push_bytes(bytes_of(value.pointer())),
        tag::TENSOR => push_tensor(text, value.pointer()),
        tag::LIST => {
            text.push(b'[');
            push_items(text, items_of(value.pointer()), depth);
            text.push(b']');
        }
        tag::TUPLE => push_tuple(text, tuple::items_of(value.pointer()), depth),
        tag::DICT => push_dict(text, value.pointer(), depth),
        _ => push_object(text, value.pointer()),
    }
}

unsafe fn push_items(text: &mut Text, items: &[Value], depth: u32) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        push_value(text, *item, depth + 1);
    }
}

unsafe fn push_tuple(text: &mut Text, items: &[Value], depth: u32) {
    text.push(b'(');
    push_items(text, items, depth);
    text.push_str(if items.len() == 1 { ",)" } else { ")" });
}

unsafe fn push_dict(text: &mut Text, dict: *const Dict, depth: u32) {
    text.push(b'{');
    for (i, entry) in entries_of(dict).enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        push_value(text, entry.key, depth + 1);
        text.push_str(": ");
        push_value(text, entry.value, depth + 1);
    }
    text.push(b'}');
}

/// `<__torch__.M object at 0x...>`, or `Enum<Color.RED>` for an enum member.
unsafe fn push_object(text: &mut Text, object: *const Object) {
    let class = bytes_of((*object).class as *const Str);
    let Some(name) = class.strip_prefix(b"enum ") else {
        text.push(b'<');
        text.push_bytes(class);
        text.push_str(" object at 0x");
        text.push_unsigned(object as u64, 16);
        return text.push(b'>');
    };
    text.push_str("Enum<");
    let unqualified = name.rsplit(|&byte| byte == b'.').next().unwrap_or(name);
    text.push_bytes(unqualified);
    text.push(b'.');
    if let Some(member) = tuple::fields_of(object).first() {
        text.push_bytes(bytes_of(member.pointer()));
    }
    text.push(b'>');
}

/// Hands a text to the app's sink, or to the platform's default.
unsafe fn emit(ctx: *mut Context, text: &[u8]) {
    match (*ctx).print {
        Some(sink) => sink((*ctx).print_user, text.as_ptr(), text.len() as u64),
        None => default_print(text.as_ptr(), text.len() as u64),
    }
}

exports! {
    /// `print(...)`: the values with spaces between, and a line end, in one call of the sink.
    fn print(ctx: *mut Context, values: *const Value, n: u64) {
        let mut text = Text::new(ctx);
        for i in 0..n as usize {
            if i > 0 {
                text.push(b' ');
            }
            push_value(&mut text, *values.add(i), 0);
        }
        text.push(b'\n');
        if (*ctx).status == status::OK {
            emit(ctx, text.as_bytes());
        }
    }

    /// `warnings.warn(message)`: one line at the place where printed text goes.
    fn warn(ctx: *mut Context, message: *const Str) {
        let mut text = Text::new(ctx);
        text.push_str("Warning: ");
        text.push_bytes(bytes_of(message));
        text.push(b'\n');
        emit(ctx, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict::{dict_new, dict_set};
    use crate::list::{list_new, list_push};
    use crate::test_context::TestContext;
    use crate::tuple::{object_new, object_set, tuple_new};

    /// Printed by PyTorch 2.15 as `1.5 a [a, b'c] (x, 1, 2.5, True, None) {k: 1} (1,)`.
    #[test]
    fn values_print_as_pytorch_prints_them() {
        let t = TestContext::new();
        unsafe {
            let list = list_new(t.ctx(), 0, tag::STR);
            for text in ["a", "b'c"] {
                list_push(t.ctx(), list, tag::STR, t.str(text) as u64);
            }
            let items = [t.value("x"), Value::int(1), Value::float(2.5), Value::bool(true), Value::NONE];
            let tuple = tuple_new(t.ctx(), items.as_ptr(), 5, core::ptr::null());
            let single = tuple_new(t.ctx(), &Value::int(1), 1, core::ptr::null());
            let dict = dict_new(t.ctx(), tag::STR, tag::INT);
            dict_set(t.ctx(), dict, tag::STR, t.str("k") as u64, tag::INT, 1);
            let values = [
                Value::float(1.5),
                t.value("a"),
                Value::object(tag::LIST, list),
                Value::object(tag::TUPLE, tuple),
                Value::object(tag::DICT, dict),
                Value::object(tag::TUPLE, single),
            ];
            print(t.ctx(), values.as_ptr(), values.len() as u64);
            print(t.ctx(), values.as_ptr(), 0);
            assert_eq!(t.printed(), "1.5 a [a, b'c] (x, 1, 2.5, True, None) {k: 1} (1,)\n\n");
        }
    }

    #[test]
    fn objects_and_enum_members() {
        let t = TestContext::new();
        unsafe {
            let class = t.str("__torch__.C");
            let object = object_new(t.ctx(), class as u64, 0);
            let shown = t.show(Value::object(tag::OBJECT, object));
            assert_eq!(shown, format!("<__torch__.C object at 0x{:x}>", object as usize));
            let class = t.str("enum __torch__.Color");
            let member = object_new(t.ctx(), class as u64, 2);
            object_set(t.ctx(), member, 0, tag::STR, t.str("RED") as u64);
            assert_eq!(t.show(Value::object(tag::OBJECT, member)), "Enum<Color.RED>");
        }
    }
}
