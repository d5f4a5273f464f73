//! Tuples and class instances: fixed numbers of values in one block.

use core::ptr::null_mut;

use crate::abi::*;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::memory::{allocate_object, object_bytes, release_value, retain_value, tuple_bytes};
use crate::slice;

/// The items of a tuple.
pub(crate) unsafe fn items_of<'a>(tuple: *const Tuple) -> &'a [Value] {
    core::slice::from_raw_parts((&raw const (*tuple).items).cast(), (*tuple).len as usize)
}

/// The fields of an instance.
pub(crate) unsafe fn fields_of<'a>(object: *const Object) -> &'a [Value] {
    core::slice::from_raw_parts((&raw const (*object).fields).cast(), (*object).len as usize)
}

/// A tuple whose references pass from `items`; with an object missing for lack of memory, null, and the others dropped.
pub(crate) unsafe fn tuple_of_owned(ctx: *mut Context, items: &[Value]) -> *mut Tuple {
    let complete = items.iter().all(|item| !item.is_object() || item.bits != 0);
    let tuple = if complete { tuple_new(ctx, items.as_ptr(), items.len() as u64, core::ptr::null()) } else { null_mut() };
    for item in items {
        release_value(ctx, *item);
    }
    tuple
}

unsafe fn place_or_raise(ctx: *mut Context, index: i64, len: u64) -> Option<usize> {
    let at = slice::place(index, len);
    if at.is_none() {
        raise_text(ctx, "Tuple index out of range");
    }
    at
}

/// A pointer to a field, or an error that tells of a bug.
unsafe fn field(ctx: *mut Context, object: *mut Object, index: i64) -> *mut Value {
    if index < 0 || index as u64 >= (*object).len {
        crate::error::fail_with(ctx, status::INTERNAL, |text| text.push_str("no such field"));
        return null_mut();
    }
    (&raw mut (*object).fields).cast::<Value>().add(index as usize)
}

exports! {
    /// A tuple of `n` values, each retained. `names` is null, or `1 + n` immortal strings: type name and field names.
    fn tuple_new(ctx: *mut Context, items: *const Value, n: u64, names: *const *const Str) -> *mut Tuple {
        let tuple = allocate_object::<Tuple>(ctx, tag::TUPLE, tuple_bytes(n), 8);
        if tuple.is_null() {
            return null_mut();
        }
        (*tuple).len = n;
        (*tuple).names = names;
        let to: *mut Value = (&raw mut (*tuple).items).cast();
        for i in 0..n as usize {
            retain_value(*items.add(i));
            to.add(i).write(*items.add(i));
        }
        tuple
    }

    /// Number of items.
    fn tuple_len(tuple: *const Tuple) -> i64 {
        (*tuple).len as i64
    }

    /// `tuple[index]`, retained.
    fn tuple_get(ctx: *mut Context, tuple: *const Tuple, index: i64, out: *mut Value) {
        let value = place_or_raise(ctx, index, (*tuple).len).map_or(Value::NONE, |at| items_of(tuple)[at]);
        retain_value(value);
        *out = value;
    }

    /// `tuple[start:end]`
    fn tuple_slice(ctx: *mut Context, tuple: *const Tuple, start: i64, end: i64) -> *mut Tuple {
        let Some(slice) = slice::resolve(ctx, (*tuple).len as i64, start, end, 1) else { return null_mut() };
        let items = &items_of(tuple)[slice.start as usize..(slice.start + slice.count) as usize];
        tuple_new(ctx, items.as_ptr(), items.len() as u64, core::ptr::null())
    }

    /// Raises unless the tuple has `n` items.
    fn tuple_check_len(ctx: *mut Context, tuple: *const Tuple, n: i64) {
        if (*tuple).len as i64 != n {
            raise_with(ctx, |text| {
                text.push_str("Expected a tuple of ");
                text.push_int(n);
                text.push_str(" elements but found ");
                text.push_int((*tuple).len as i64);
            });
        }
    }

    /// An instance of `class` (address of an immortal string with its name, or 0) whose fields are all None.
    fn object_new(ctx: *mut Context, class: u64, fields: u64) -> *mut Object {
        let object = allocate_object::<Object>(ctx, tag::OBJECT, object_bytes(fields), 8);
        if object.is_null() {
            return null_mut();
        }
        (*object).class = class;
        (*object).len = fields;
        let to: *mut Value = (&raw mut (*object).fields).cast();
        for i in 0..fields as usize {
            to.add(i).write(Value::NONE);
        }
        object
    }

    /// A field, retained.
    fn object_get(ctx: *mut Context, object: *mut Object, index: i64, out: *mut Value) {
        let from = field(ctx, object, index);
        *out = if from.is_null() { Value::NONE } else { *from };
        retain_value(*out);
    }

    /// Sets a field.
    fn object_set(ctx: *mut Context, object: *mut Object, index: i64, x_tag: u64, x_bits: u64) {
        let to = field(ctx, object, index);
        if !to.is_null() {
            let value = Value::new(x_tag, x_bits);
            retain_value(value);
            let old = core::mem::replace(&mut *to, value);
            release_value(ctx, old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn tuples_hold_and_slice() {
        let t = TestContext::new();
        unsafe {
            let items = [Value::int(1), t.value("two"), Value::float(3.0)];
            let tuple = tuple_new(t.ctx(), items.as_ptr(), 3, core::ptr::null());
            let mut out = Value::NONE;
            tuple_get(t.ctx(), tuple, -2, &mut out);
            assert_eq!(t.show(out), "two");
            release_value(t.ctx(), out);
            assert_eq!(t.show(Value::object(tag::TUPLE, tuple_slice(t.ctx(), tuple, 1, NO_INDEX))), "(two, 3.)");
            tuple_get(t.ctx(), tuple, 3, &mut out);
            assert_eq!(t.take_error().1, "Tuple index out of range");
            tuple_check_len(t.ctx(), tuple, 2);
            assert_eq!(t.take_error().1, "Expected a tuple of 2 elements but found 3");
        }
    }

    #[test]
    fn objects_keep_their_fields() {
        let t = TestContext::new();
        unsafe {
            let object = object_new(t.ctx(), 0, 2);
            let text = t.str("kept");
            object_set(t.ctx(), object, 1, tag::STR, text as u64);
            assert_eq!((*text).header.refs, 2);
            let mut out = Value::NONE;
            object_get(t.ctx(), object, 0, &mut out);
            assert_eq!(out.tag, tag::NONE);
            object_set(t.ctx(), object, 1, tag::NONE, 0);
            assert_eq!((*text).header.refs, 1);
            object_get(t.ctx(), object, 2, &mut out);
            assert_eq!(t.take_error().0, status::INTERNAL);
        }
    }
}
