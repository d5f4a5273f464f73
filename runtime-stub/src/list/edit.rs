//! Whole lists: slices, concatenation, repetition, copies.

use core::ptr::null_mut;

use crate::abi::*;
use crate::error::fail_out_of_memory;
use crate::export::exports;
use crate::list::{items_of, list_from, list_new, push_owned, reserve};
use crate::memory::{release_value, retain_value};
use crate::slice;

/// Appends copies of items, whose list may be `list` itself.
unsafe fn append_items(ctx: *mut Context, list: *mut List, other: *const List) {
    let count = (*other).len;
    if !reserve(ctx, list, (*list).len.saturating_add(count)) {
        return;
    }
    for i in 0..count as usize {
        let value = *(*other).items.add(i);
        retain_value(value);
        push_owned(ctx, list, value);
    }
}

/// Items of `n` repetitions, or `None` (status 2) when they cannot be counted.
unsafe fn repeated_len(ctx: *mut Context, list: *const List, n: i64) -> Option<u64> {
    let len = (*list).len.checked_mul(n.max(0) as u64);
    if len.is_none() {
        fail_out_of_memory(ctx);
    }
    len
}

exports! {
    /// `list.extend(other)`, which may be the same list.
    fn list_extend(ctx: *mut Context, list: *mut List, other: *const List) {
        append_items(ctx, list, other);
    }

    /// `list[start:end:step]`
    fn list_slice(ctx: *mut Context, list: *const List, start: i64, end: i64, step: i64) -> *mut List {
        let Some(slice) = slice::resolve(ctx, (*list).len as i64, start, end, step) else { return null_mut() };
        let result = list_new(ctx, slice.count as u64, (*list).elem_type);
        if !result.is_null() {
            for i in 0..slice.count {
                let value = *(*list).items.add((slice.start + i * slice.step) as usize);
                retain_value(value);
                push_owned(ctx, result, value);
            }
        }
        result
    }

    /// `a + b`
    fn list_concat(ctx: *mut Context, a: *const List, b: *const List) -> *mut List {
        let result = list_new(ctx, (*a).len.saturating_add((*b).len), (*a).elem_type);
        if !result.is_null() {
            append_items(ctx, result, a);
            append_items(ctx, result, b);
        }
        result
    }

    /// `list * n`; empty for n below 1.
    fn list_repeat(ctx: *mut Context, list: *const List, n: i64) -> *mut List {
        let Some(len) = repeated_len(ctx, list, n) else { return null_mut() };
        let result = list_new(ctx, len, (*list).elem_type);
        if !result.is_null() && len > 0 {
            for _ in 0..n {
                append_items(ctx, result, list);
            }
        }
        result
    }

    /// `list *= n`
    fn list_repeat_in_place(ctx: *mut Context, list: *mut List, n: i64) {
        if n <= 0 {
            return list_clear(ctx, list);
        }
        let Some(total) = repeated_len(ctx, list, n) else { return };
        let len = (*list).len;
        if !reserve(ctx, list, total) {
            return;
        }
        for i in len..total {
            let value = *(*list).items.add((i - len) as usize);
            retain_value(value);
            push_owned(ctx, list, value);
        }
    }

    /// `list.reverse()`
    fn list_reverse(list: *mut List) {
        if (*list).len > 0 {
            core::slice::from_raw_parts_mut((*list).items, (*list).len as usize).reverse();
        }
    }

    /// `list.clear()`
    fn list_clear(ctx: *mut Context, list: *mut List) {
        while (*list).len > 0 {
            (*list).len -= 1;
            let value = *(*list).items.add((*list).len as usize);
            release_value(ctx, value);
        }
    }

    /// A shallow copy.
    fn list_copy(ctx: *mut Context, list: *const List) -> *mut List {
        let items = items_of(list);
        list_from(ctx, items.as_ptr(), items.len() as u64, (*list).elem_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::list_range;
    use crate::test_context::TestContext;

    #[test]
    fn whole_list_operations() {
        let t = TestContext::new();
        let show = |list: *mut List| t.show(Value::object(tag::LIST, list));
        unsafe {
            let list = list_range(t.ctx(), 1, 6, 1);
            assert_eq!(show(list_slice(t.ctx(), list, NO_INDEX, NO_INDEX, -1)), "[5, 4, 3, 2, 1]");
            assert_eq!(show(list_slice(t.ctx(), list, 3, 0, -1)), "[4, 3, 2]");
            assert_eq!(show(list_slice(t.ctx(), list, -2, NO_INDEX, 1)), "[4, 5]");
            let pair = list_slice(t.ctx(), list, 0, 2, 1);
            assert_eq!(show(list_concat(t.ctx(), pair, list)), "[1, 2, 1, 2, 3, 4, 5]");
            assert_eq!(show(list_repeat(t.ctx(), pair, 2)), "[1, 2, 1, 2]");
            assert_eq!(show(list_repeat(t.ctx(), pair, -1)), "[]");
            list_extend(t.ctx(), pair, pair);
            list_repeat_in_place(t.ctx(), pair, 2);
            assert_eq!(show(pair), "[1, 2, 1, 2, 1, 2, 1, 2]");
            list_reverse(list);
            assert_eq!(show(list_copy(t.ctx(), list)), "[5, 4, 3, 2, 1]");
            list_repeat_in_place(t.ctx(), list, 0);
            assert_eq!(show(list), "[]");
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let t = TestContext::with_limit(1 << 16);
        unsafe {
            let list = list_range(t.ctx(), 0, 2, 1);
            assert!(list_repeat(t.ctx(), list, i64::MAX).is_null());
            assert_eq!(t.take_error().0, status::OUT_OF_MEMORY);
            list_repeat_in_place(t.ctx(), list, i64::MAX / 2);
            assert_eq!(t.take_error().0, status::OUT_OF_MEMORY);
            assert!(list_range(t.ctx(), 0, i64::MAX, 1).is_null());
            assert_eq!(t.take_error().0, status::OUT_OF_MEMORY);
        }
    }
}
