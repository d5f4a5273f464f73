//! Value trees for apps: how C code makes the arguments of a call and reads its results (`include/kiln.h`).
//!
//! A value that a function here makes is *held*: it stays alive, whatever a call of the model does, until the app gives it
//! to `value_release`. Reading is by borrowing: what is read lives as long as the value it was read from, and no longer
//! than until that is changed. Arguments are only read. Functions that can fail return the status (0 for success), with the
//! text of the error in the context.

use core::ptr::{null, null_mut};

use crate::abi::*;
use crate::dict::{dict_new, dict_next, dict_set};
use crate::error::{clear_error, fail_with};
use crate::export::exports;
use crate::list::{self, list_from};
use crate::memory::{give_away, release_header, unhold};
use crate::string::from_bytes;
use crate::tensor::{passed_sizes, sizes_of, strides_of, tensor_clone, tensor_wrap};
use crate::tuple::{self, tuple_new};

/// A tensor as C code sees it: `kiln_tensor`.
#[repr(C)]
pub struct TensorView {
    /// First element.
    pub data: *mut u8,
    /// One of [`dtype`].
    pub dtype: i32,
    /// Number of dimensions.
    pub rank: i32,
    /// The sizes.
    pub sizes: *const i64,
    /// The strides in elements; null for row-major without gaps.
    pub strides: *const i64,
}

const _: () = assert!(size_of::<TensorView>() == 32);

/// Holds a new object for the app and writes it as a value; returns the status.
unsafe fn give<T>(ctx: *mut Context, kind: u64, object: *mut T, out: *mut Value) -> i64 {
    *out = Value::NONE;
    if object.is_null() {
        return i64::from((*ctx).status);
    }
    give_away(ctx, kind, object as u64);
    if (*ctx).status == status::OK {
        *out = Value::object(kind, object);
    }
    i64::from((*ctx).status)
}

/// Refuses an argument.
unsafe fn refuse(ctx: *mut Context, text: &str) -> i64 {
    fail_with(ctx, status::BAD_ARGUMENT, |message| message.push_str(text));
    i64::from((*ctx).status)
}

/// The one tag of all values, or 255.
unsafe fn common_tag(items: *const Value, n: u64) -> u64 {
    let first = if n == 0 { tag::ANY } else { (*items).tag };
    let same = (0..n as usize).all(|i| (*items.add(i)).tag == first);
    if same { first } else { tag::ANY }
}

/// The items of a list or a tuple.
unsafe fn items_of<'a>(value: &Value) -> Option<&'a [Value]> {
    match value.tag {
        tag::LIST => Some(list::items_of(value.pointer())),
        tag::TUPLE => Some(tuple::items_of(value.pointer())),
        _ => None,
    }
}

/// Whether a view can be a tensor.
unsafe fn is_valid(view: &TensorView) -> bool {
    let rank_fits = (0..=crate::tensor::MAX_RANK as i32).contains(&view.rank);
    rank_fits && (view.rank == 0 || !view.sizes.is_null()) && {
        let empty = passed_sizes(i64::from(view.rank), view.sizes).contains(&0);
        empty || !view.data.is_null()
    }
}

exports! {
    /// Text of the last error, nul-terminated; empty when there is none.
    fn error_message(ctx: *const Context) -> *const u8 {
        if (*ctx).error_text.is_null() { c"".as_ptr().cast() } else { (*ctx).error_text }
    }

    /// Makes a string of `len` bytes of UTF-8.
    fn value_make_str(ctx: *mut Context, text: *const u8, len: u64, out: *mut Value) -> i64 {
        clear_error(ctx);
        give(ctx, tag::STR, from_bytes(ctx, crate::string::bytes_or_empty(text, len)), out)
    }

    /// Makes a tensor: a copy of the elements, or with `copy` 0 a reference to memory that the app keeps alive and in place
    /// until the value, and all that the model made of it, is gone.
    fn value_make_tensor(ctx: *mut Context, view: *const TensorView, copy: i64, out: *mut Value) -> i64 {
        clear_error(ctx);
        let view = &*view;
        if !is_valid(view) {
            *out = Value::NONE;
            return refuse(ctx, "a tensor without sizes or data, or with a rank beyond 64");
        }
        let wrapped = tensor_wrap(ctx, view.data, i64::from(view.dtype), i64::from(view.rank), view.sizes, view.strides);
        if wrapped.is_null() || copy == 0 {
            return give(ctx, tag::TENSOR, wrapped, out);
        }
        let owned = tensor_clone(ctx, wrapped);
        release_header(ctx, wrapped.cast());
        give(ctx, tag::TENSOR, owned, out)
    }

    /// Makes a list of n values.
    fn value_make_list(ctx: *mut Context, items: *const Value, n: u64, out: *mut Value) -> i64 {
        clear_error(ctx);
        give(ctx, tag::LIST, list_from(ctx, items, n, common_tag(items, n)), out)
    }

    /// Makes a tuple of n values.
    fn value_make_tuple(ctx: *mut Context, items: *const Value, n: u64, out: *mut Value) -> i64 {
        clear_error(ctx);
        give(ctx, tag::TUPLE, tuple_new(ctx, items, n, null()), out)
    }

    /// Makes a dict of n keys (int, float, bool or string) and values; of equal keys the last value stays.
    fn value_make_dict(ctx: *mut Context, keys: *const Value, values: *const Value, n: u64, out: *mut Value) -> i64 {
        clear_error(ctx);
        *out = Value::NONE;
        let hashable = |i: usize| matches!((*keys.add(i)).tag, tag::BOOL | tag::INT | tag::FLOAT | tag::STR | tag::TENSOR);
        if !(0..n as usize).all(hashable) {
            return refuse(ctx, "a dict key that is not an int, float, bool, string or tensor");
        }
        let dict = dict_new(ctx, common_tag(keys, n), common_tag(values, n));
        if !dict.is_null() {
            for i in 0..n as usize {
                let (key, value) = (*keys.add(i), *values.add(i));
                dict_set(ctx, dict, key.tag, key.bits, value.tag, value.bits);
            }
        }
        give(ctx, tag::DICT, dict, out)
    }

    /// Gives back a value that was made here or returned by a model; numbers, bools and None need not be.
    fn value_release(ctx: *mut Context, value: *const Value) {
        if (*value).is_object() {
            unhold(ctx, (*value).tag, (*value).bits);
        }
    }

    /// Bytes of a string, items of a list or tuple, entries of a dict; -1 for anything else.
    fn value_length(value: *const Value) -> i64 {
        match (*value).tag {
            tag::STR | tag::DEVICE => (*(*value).pointer::<Str>()).len as i64,
            tag::DICT => (*(*value).pointer::<Dict>()).len as i64,
            _ => items_of(&*value).map_or(-1, |items| items.len() as i64),
        }
    }

    /// The bytes of a string, not nul-terminated, with their number; null for anything else.
    fn value_text(value: *const Value, len: *mut u64) -> *const u8 {
        *len = 0;
        if !matches!((*value).tag, tag::STR | tag::DEVICE) {
            return null();
        }
        let bytes = crate::string::bytes_of((*value).pointer());
        *len = bytes.len() as u64;
        bytes.as_ptr()
    }

    /// An item of a list or tuple, borrowed. Returns 1, or 0 when there is none.
    fn value_item(value: *const Value, index: i64, out: *mut Value) -> i64 {
        let item = items_of(&*value).and_then(|items| items.get(usize::try_from(index).ok()?));
        *out = item.copied().unwrap_or(Value::NONE);
        i64::from(item.is_some())
    }

    /// Steps through a dict in order of insertion: `position` starts at 0; returns 1 with a borrowed key and value while
    /// there is another entry.
    fn value_entry(value: *const Value, position: *mut u64, key: *mut Value, item: *mut Value) -> i64 {
        if (*value).tag != tag::DICT {
            return 0;
        }
        dict_next((*value).pointer(), position, key, item)
    }

    /// The name of a field of a named tuple (or, for index -1, of its type), with its number of bytes; null when there is
    /// none.
    fn value_field_name(value: *const Value, index: i64, len: *mut u64) -> *const u8 {
        *len = 0;
        if (*value).tag != tag::TUPLE {
            return null();
        }
        let tuple = (*value).pointer::<Tuple>();
        if (*tuple).names.is_null() || index < -1 || index >= (*tuple).len as i64 {
            return null();
        }
        let name = crate::string::bytes_of(*(*tuple).names.offset(index as isize + 1));
        *len = name.len() as u64;
        name.as_ptr()
    }

    /// A view of a tensor, borrowed: data, dtype, sizes and strides. Returns 1, or 0 for anything but a tensor.
    fn value_tensor(value: *const Value, out: *mut TensorView) -> i64 {
        if (*value).tag != tag::TENSOR {
            *out = TensorView { data: null_mut(), dtype: 0, rank: 0, sizes: null(), strides: null() };
            return 0;
        }
        let tensor = (*value).pointer::<Tensor>();
        *out = TensorView {
            data: (*tensor).data,
            dtype: (*tensor).dtype as i32,
            rank: (*tensor).rank as i32,
            sizes: sizes_of(tensor).as_ptr(),
            strides: strides_of(tensor).as_ptr(),
        };
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::sweep;
    use crate::test_context::TestContext;

    #[test]
    fn trees_survive_sweeps_until_released() {
        let t = TestContext::new();
        let ctx = t.ctx();
        unsafe {
            let (mut text, mut tensor, mut list, mut dict) = (Value::NONE, Value::NONE, Value::NONE, Value::NONE);
            assert_eq!(value_make_str(ctx, b"abc".as_ptr(), 3, &mut text), 0);
            let (data, sizes) = ([1f32, 2.0], [2i64]);
            let view =
                TensorView { data: data.as_ptr().cast_mut().cast(), dtype: 6, rank: 1, sizes: sizes.as_ptr(), strides: null() };
            assert_eq!(value_make_tensor(ctx, &view, 1, &mut tensor), 0);
            assert_eq!(value_make_list(ctx, [text, tensor].as_ptr(), 2, &mut list), 0);
            assert_eq!(value_make_dict(ctx, &text, &list, 1, &mut dict), 0);
            for value in [text, tensor, list] {
                value_release(ctx, &value);
            }
            sweep(ctx, null(), 0);
            let (mut position, mut key, mut item) = (0, Value::NONE, Value::NONE);
            assert_eq!(value_entry(&dict, &mut position, &mut key, &mut item), 1);
            assert_eq!((t.show(key), value_length(&item)), ("abc".into(), 2));
            let mut out = Value::NONE;
            assert_eq!(value_item(&item, 1, &mut out), 1);
            let mut seen = TensorView { data: null_mut(), dtype: 0, rank: 0, sizes: null(), strides: null() };
            assert_eq!(value_tensor(&out, &mut seen), 1);
            assert_eq!((seen.dtype, seen.rank, *seen.sizes, *seen.strides, *seen.data.cast::<f32>().add(1)), (6, 1, 2, 1, 2.0));
            assert_eq!(value_entry(&dict, &mut position, &mut key, &mut item), 0);
            value_release(ctx, &dict);
            assert_eq!((*ctx).live_objects, 1, "only the list of held values is left");
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        let t = TestContext::new();
        let mut out = Value::int(1);
        unsafe {
            let view = TensorView { data: null_mut(), dtype: 6, rank: 1, sizes: [2i64].as_ptr(), strides: null() };
            assert_eq!(value_make_tensor(t.ctx(), &view, 0, &mut out), i64::from(status::BAD_ARGUMENT));
            assert_eq!(out.tag, tag::NONE);
            let message = std::ffi::CStr::from_ptr(error_message(t.ctx()).cast());
            assert!(message.to_str().unwrap().starts_with("a tensor without sizes"));
            assert_eq!(value_make_dict(t.ctx(), &Value::NONE, &Value::NONE, 1, &mut out), i64::from(status::BAD_ARGUMENT));
            assert_eq!(value_item(&Value::int(3), 0, &mut out), 0);
            assert_eq!(value_length(&Value::int(3)), -1);
        }
    }

    #[test]
    fn fields_of_named_tuples_have_names() {
        let t = TestContext::new();
        unsafe {
            let names = [t.str("Point").cast_const(), t.str("x").cast_const()];
            let tuple = Value::object(tag::TUPLE, tuple_new(t.ctx(), &Value::int(1), 1, names.as_ptr()));
            let mut len = 0;
            assert_eq!(*value_field_name(&tuple, 0, &mut len), b'x');
            value_field_name(&tuple, -1, &mut len);
            assert_eq!(len, 5);
            assert!(value_field_name(&tuple, 1, &mut len).is_null());
        }
    }
}
