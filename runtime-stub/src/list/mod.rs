//! Lists: a growing array of values with reference semantics.
//!
//! Storing retains, taking out hands the reference to the caller. `edit` holds what builds and changes whole lists,
//! `order` what compares elements.

pub(crate) mod edit;
pub(crate) mod order;

use core::mem::size_of;
use core::ptr::{copy, null_mut};

use crate::abi::*;
use crate::equality;
use crate::error::{fail_out_of_memory, raise_text, raise_with};
use crate::export::exports;
use crate::memory::{allocate_array, allocate_object, free_array, release_value, retain_value};
use crate::print::push_value;
use crate::slice::place;

/// Makes room for at least `wanted` items; false when there is no memory.
pub(crate) unsafe fn reserve(ctx: *mut Context, list: *mut List, wanted: u64) -> bool {
    let old = (*list).capacity;
    if wanted <= old {
        return true;
    }
    let capacity = wanted.max(old.saturating_mul(2)).max(4);
    let items = allocate_array::<Value>(ctx, capacity);
    if items.is_null() {
        return false;
    }
    if (*list).len > 0 {
        core::ptr::copy_nonoverlapping((*list).items, items, (*list).len as usize);
    }
    free_array(ctx, (*list).items, old);
    (*list).items = items;
    (*list).capacity = capacity;
    true
}

/// Appends a value whose reference passes to the list (or is dropped when there is no memory).
pub(crate) unsafe fn push_owned(ctx: *mut Context, list: *mut List, value: Value) {
    let len = (*list).len;
    if len < (*list).capacity || reserve(ctx, list, len + 1) {
        (*list).items.add(len as usize).write(value);
        (*list).len = len + 1;
    } else {
        release_value(ctx, value);
    }
}

/// Takes out the item at a valid place; its reference passes to the caller.
pub(crate) unsafe fn take_at(list: *mut List, at: usize) -> Value {
    let value = *(*list).items.add(at);
    let rest = (*list).len as usize - at - 1;
    copy((*list).items.add(at + 1), (*list).items.add(at), rest);
    (*list).len -= 1;
    value
}

/// Takes out and drops the item at a valid place.
pub(crate) unsafe fn remove_at(ctx: *mut Context, list: *mut List, at: usize) {
    let value = take_at(list, at);
    release_value(ctx, value);
}

/// The items as a slice.
pub(crate) unsafe fn items_of<'a>(list: *const List) -> &'a [Value] {
    if (*list).len == 0 { &[] } else { core::slice::from_raw_parts((*list).items, (*list).len as usize) }
}

/// The place of an index, or the exception.
unsafe fn place_or_raise(ctx: *mut Context, list: *const List, index: i64) -> Option<usize> {
    let at = place(index, (*list).len);
    if at.is_none() {
        raise_text(ctx, "list index out of range");
    }
    at
}

/// First place of an equal element; stops at an error of the comparison.
unsafe fn position(ctx: *mut Context, list: *const List, value: Value) -> Option<usize> {
    let mut at = 0;
    while at < (*list).len as usize {
        let equal = equality::element_equals(ctx, *(*list).items.add(at), value);
        if (*ctx).status != status::OK {
            return None;
        }
        if equal {
            return Some(at);
        }
        at += 1;
    }
    None
}

unsafe fn pop_at(ctx: *mut Context, list: *mut List, index: i64, empty: &str) -> Value {
    if (*list).len == 0 {
        raise_text(ctx, empty);
        return Value::NONE;
    }
    place_or_raise(ctx, list, index).map_or(Value::NONE, |at| take_at(list, at))
}

exports! {
    /// An empty list with room for `capacity` items of the type `elem_type` (a tag, or 255).
    fn list_new(ctx: *mut Context, capacity: u64, elem_type: u64) -> *mut List {
        let list = allocate_object::<List>(ctx, tag::LIST, size_of::<List>() as u64, 8);
        if list.is_null() {
            return null_mut();
        }
        (*list).len = 0;
        (*list).capacity = 0;
        (*list).items = null_mut();
        (*list).elem_type = elem_type;
        if !reserve(ctx, list, capacity) {
            crate::memory::release_header(ctx, list.cast());
            return null_mut();
        }
        list
    }

    /// A list of `n` values, each retained.
    fn list_from(ctx: *mut Context, items: *const Value, n: u64, elem_type: u64) -> *mut List {
        let list = list_new(ctx, n, elem_type);
        if !list.is_null() {
            for i in 0..n as usize {
                retain_value(*items.add(i));
                push_owned(ctx, list, *items.add(i));
            }
        }
        list
    }

    /// Number of items.
    fn list_len(list: *const List) -> i64 {
        (*list).len as i64
    }

    /// `list[index]`, retained; raises when outside.
    fn list_get(ctx: *mut Context, list: *const List, index: i64, out: *mut Value) {
        let value = place_or_raise(ctx, list, index).map_or(Value::NONE, |at| *(*list).items.add(at));
        retain_value(value);
        *out = value;
    }

    /// `list[index] = x`; raises when outside.
    fn list_set(ctx: *mut Context, list: *mut List, index: i64, x_tag: u64, x_bits: u64) {
        if let Some(at) = place_or_raise(ctx, list, index) {
            let value = Value::new(x_tag, x_bits);
            retain_value(value);
            let old = core::mem::replace(&mut *(*list).items.add(at), value);
            release_value(ctx, old);
        }
    }

    /// `list.append(x)`
    fn list_push(ctx: *mut Context, list: *mut List, x_tag: u64, x_bits: u64) {
        let value = Value::new(x_tag, x_bits);
        retain_value(value);
        push_owned(ctx, list, value);
    }

    /// `list.insert(index, x)`: an index outside is the nearest end.
    fn list_insert(ctx: *mut Context, list: *mut List, index: i64, x_tag: u64, x_bits: u64) {
        let len = (*list).len as i64;
        let at = if index < 0 { index.wrapping_add(len) } else { index }.clamp(0, len) as usize;
        if !reserve(ctx, list, (*list).len + 1) {
            return;
        }
        let value = Value::new(x_tag, x_bits);
        retain_value(value);
        copy((*list).items.add(at), (*list).items.add(at + 1), len as usize - at);
        (*list).items.add(at).write(value);
        (*list).len += 1;
    }

    /// `list.pop(index)`
    fn list_pop(ctx: *mut Context, list: *mut List, index: i64, out: *mut Value) {
        *out = pop_at(ctx, list, index, "pop from empty list");
    }

    /// `del list[index]`
    fn list_delete(ctx: *mut Context, list: *mut List, index: i64) {
        let value = pop_at(ctx, list, index, "pop index out of range");
        release_value(ctx, value);
    }

    /// `list.remove(x)`: the first equal element.
    fn list_remove(ctx: *mut Context, list: *mut List, x_tag: u64, x_bits: u64) {
        match position(ctx, list, Value::new(x_tag, x_bits)) {
            Some(at) => remove_at(ctx, list, at),
            None => raise_text(ctx, "list.remove(x): x not in list"),
        }
    }

    /// `list.index(x)`: place of the first equal element.
    fn list_index(ctx: *mut Context, list: *const List, x_tag: u64, x_bits: u64) -> i64 {
        let value = Value::new(x_tag, x_bits);
        if let Some(at) = position(ctx, list, value) {
            return at as i64;
        }
        raise_with(ctx, |text| {
            text.push(b'\'');
            push_value(text, value, 0);
            text.push_str("' is not in list");
        });
        0
    }

    /// `list.count(x)`
    fn list_count(ctx: *mut Context, list: *const List, x_tag: u64, x_bits: u64) -> i64 {
        let mut count = 0;
        for item in items_of(list) {
            count += i64::from(equality::element_equals(ctx, *item, Value::new(x_tag, x_bits)));
        }
        count
    }

    /// `x in list`
    fn list_contains(ctx: *mut Context, list: *const List, x_tag: u64, x_bits: u64) -> i64 {
        i64::from(position(ctx, list, Value::new(x_tag, x_bits)).is_some())
    }

    /// Raises unless the list has `n` items: what an unpacking assignment checks.
    fn list_check_len(ctx: *mut Context, list: *const List, n: i64) {
        if (*list).len as i64 != n {
            raise_with(ctx, |text| {
                text.push_str("Expected ");
                text.push_int(n);
                text.push_str(" elements in a list but found ");
                text.push_int((*list).len as i64);
            });
        }
    }

    /// A list of `n` ints from an array: sizes, strides.
    fn list_from_ints(ctx: *mut Context, ints: *const i64, n: u64) -> *mut List {
        let list = list_new(ctx, n, tag::INT);
        if !list.is_null() {
            for i in 0..n as usize {
                push_owned(ctx, list, Value::int(*ints.add(i)));
            }
        }
        list
    }

    /// Copies a list of ints to an array of `capacity` items and returns its length; raises when it does not fit.
    fn list_to_ints(ctx: *mut Context, list: *const List, ints: *mut i64, capacity: i64) -> i64 {
        let items = items_of(list);
        if items.len() as i64 > capacity {
            raise_with(ctx, |text| {
                text.push_str("a list of ");
                text.push_int(items.len() as i64);
                text.push_str(" ints where at most ");
                text.push_int(capacity);
                text.push_str(" are expected");
            });
            return 0;
        }
        for (i, item) in items.iter().enumerate() {
            *ints.add(i) = item.as_int();
        }
        items.len() as i64
    }

    /// Number of steps of `range(lo, hi, step)`; a step of 0 raises.
    fn range_length(ctx: *mut Context, lo: i64, hi: i64, step: i64) -> i64 {
        if step == 0 {
            raise_text(ctx, "range() arg 3 must not be zero");
            return 0;
        }
        // Differences of ints fit 64 bits without a sign.
        let distance = if step > 0 { hi.wrapping_sub(lo) } else { lo.wrapping_sub(hi) } as u64;
        let empty = if step > 0 { lo >= hi } else { lo <= hi };
        if empty { 0 } else { ((distance - 1) / step.unsigned_abs()).min(i64::MAX as u64 - 1) as i64 + 1 }
    }

    /// `list(range(start, stop, step))`
    fn list_range(ctx: *mut Context, start: i64, stop: i64, step: i64) -> *mut List {
        let length = range_length(ctx, start, stop, step);
        if (*ctx).status != status::OK {
            return null_mut();
        }
        if length > i64::MAX / 16 {
            fail_out_of_memory(ctx);
            return null_mut();
        }
        let list = list_new(ctx, length as u64, tag::INT);
        if !list.is_null() {
            for i in 0..length {
                push_owned(ctx, list, Value::int(start + i * step));
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    fn show(t: &TestContext, list: *const List) -> String {
        t.show(Value::object(tag::LIST, list))
    }

    #[test]
    fn items_come_and_go() {
        let t = TestContext::new();
        unsafe {
            let list = list_range(t.ctx(), 0, 6, 1);
            list_set(t.ctx(), list, -1, tag::INT, 50);
            list_insert(t.ctx(), list, -100, tag::INT, 7);
            list_insert(t.ctx(), list, 100, tag::INT, 8);
            list_insert(t.ctx(), list, -1, tag::INT, 9);
            assert_eq!(show(&t, list), "[7, 0, 1, 2, 3, 4, 50, 9, 8]");
            let mut out = Value::NONE;
            list_pop(t.ctx(), list, 2, &mut out);
            assert_eq!(out.as_int(), 1);
            list_delete(t.ctx(), list, -1);
            list_remove(t.ctx(), list, tag::INT, 50);
            assert_eq!(show(&t, list), "[7, 0, 2, 3, 4, 9]");
            assert_eq!(list_index(t.ctx(), list, tag::INT, 3), 3);
            assert_eq!(list_count(t.ctx(), list, tag::INT, 7), 1);
            assert_eq!(list_contains(t.ctx(), list, tag::INT, 70), 0);
        }
    }

    /// Texts recorded from PyTorch 2.15.
    #[test]
    fn errors_have_pytorch_texts() {
        let t = TestContext::new();
        unsafe {
            let list = list_range(t.ctx(), 0, 1, 1);
            let mut out = Value::NONE;
            list_get(t.ctx(), list, 3, &mut out);
            assert_eq!(t.take_error().1, "list index out of range");
            list_index(t.ctx(), list, tag::INT, 3);
            assert_eq!(t.take_error().1, "'3' is not in list");
            list_remove(t.ctx(), list, tag::INT, 3);
            assert_eq!(t.take_error().1, "list.remove(x): x not in list");
            list_delete(t.ctx(), list, 5);
            assert_eq!(t.take_error().1, "list index out of range");
            list_check_len(t.ctx(), list, 2);
            assert_eq!(t.take_error().1, "Expected 2 elements in a list but found 1");
            list_pop(t.ctx(), list, -1, &mut out);
            list_pop(t.ctx(), list, -1, &mut out);
            assert_eq!(t.take_error().1, "pop from empty list");
            list_range(t.ctx(), 0, 5, 0);
            assert_eq!(t.take_error().1, "range() arg 3 must not be zero");
        }
    }

    #[test]
    fn ranges_at_the_ends_of_int() {
        let t = TestContext::new();
        unsafe {
            assert_eq!(range_length(t.ctx(), 5, 0, -2), 3);
            assert_eq!(range_length(t.ctx(), 0, 5, -1), 0);
            assert_eq!(range_length(t.ctx(), i64::MIN, i64::MAX, i64::MAX), 3);
            assert_eq!(range_length(t.ctx(), i64::MAX, i64::MIN, i64::MIN), 2);
            assert_eq!(show(&t, list_range(t.ctx(), 3, -3, -2)), "[3, 1, -1]");
        }
    }
}
