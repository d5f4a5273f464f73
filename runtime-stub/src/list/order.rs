//! What compares the elements of lists: sorting, extremes, sums, equality.

use core::ptr::null_mut;

use crate::abi::*;
use crate::equality;
use crate::error::raise_text;
use crate::export::exports;
use crate::list::edit::list_copy;
use crate::list::items_of;
use crate::memory::{Scratch, retain_value};

/// An order given by the compiler or by the values themselves.
struct Order {
    ctx: *mut Context,
    less: Option<LessFn>,
    user: *mut u8,
    reverse: bool,
}

impl Order {
    /// Whether `a` must stand before `b`.
    unsafe fn before(&self, a: &Value, b: &Value) -> bool {
        let (a, b) = if self.reverse { (b, a) } else { (a, b) };
        match self.less {
            Some(less) => less(self.user, a, b) != 0,
            None => equality::less_than(self.ctx, *a, *b, 0),
        }
    }
}

/// Merges the sorted runs `from[lo..mid]` and `from[mid..hi]` into `to`; equal elements keep their order.
unsafe fn merge(order: &Order, from: *const Value, to: *mut Value, lo: usize, mid: usize, hi: usize) {
    let (mut left, mut right) = (lo, mid);
    for at in lo..hi {
        let take_right = left >= mid || right < hi && order.before(&*from.add(right), &*from.add(left));
        let source = if take_right { &mut right } else { &mut left };
        *to.add(at) = *from.add(*source);
        *source += 1;
    }
}

/// Bottom-up merge sort, which any inconsistent order leaves a permutation.
unsafe fn merge_sort(order: &Order, items: *mut Value, len: usize) {
    let Some(scratch) = Scratch::<Value>::new(order.ctx, len as i64) else { return };
    let (mut from, mut to) = (items, scratch.as_mut_ptr());
    let mut width = 1;
    while width < len {
        let mut lo = 0;
        while lo < len {
            let (mid, hi) = ((lo + width).min(len), (lo + 2 * width).min(len));
            merge(order, from, to, lo, mid, hi);
            lo = hi;
        }
        core::mem::swap(&mut from, &mut to);
        width *= 2;
    }
    if from != items {
        core::ptr::copy_nonoverlapping(from, items, len);
    }
}

unsafe fn sort_list(ctx: *mut Context, list: *mut List, reverse: i64, less: Option<LessFn>, user: *mut u8) {
    let order = Order { ctx, less, user, reverse: reverse != 0 };
    if (*list).len > 1 {
        merge_sort(&order, (*list).items, (*list).len as usize);
    }
}

/// The first element that no other one comes before.
unsafe fn extreme(ctx: *mut Context, list: *const List, largest: bool, empty: &str) -> Value {
    let [first, rest @ ..] = items_of(list) else {
        raise_text(ctx, empty);
        return Value::NONE;
    };
    let order = Order { ctx, less: None, user: null_mut(), reverse: largest };
    let mut best = *first;
    for item in rest {
        if order.before(item, &best) {
            best = *item;
        }
    }
    retain_value(best);
    best
}

/// Whether an element counts as true: a number that is not zero, a string that is not empty.
unsafe fn is_true(value: &Value) -> bool {
    match value.tag {
        tag::FLOAT => value.as_float() != 0.0,
        tag::STR => (*value.pointer::<Str>()).len > 0,
        _ => value.bits != 0,
    }
}

exports! {
    /// `list.sort(reverse=...)` by the order of the values; equal elements keep their order.
    fn list_sort(ctx: *mut Context, list: *mut List, reverse: i64) {
        sort_list(ctx, list, reverse, None, null_mut());
    }

    /// `list.sort` by a compiled `__lt__`: `less(user, a, b)`. The list is not to be changed meanwhile.
    fn list_sort_by(ctx: *mut Context, list: *mut List, reverse: i64, less: Option<crate::abi::LessFn>, user: *mut u8) {
        sort_list(ctx, list, reverse, less, user);
    }

    /// `sorted(list)`
    fn list_sorted(ctx: *mut Context, list: *const List) -> *mut List {
        let result = list_copy(ctx, list);
        if !result.is_null() {
            sort_list(ctx, result, 0, None, null_mut());
        }
        result
    }

    /// `min(list)`
    fn list_min(ctx: *mut Context, list: *const List, out: *mut Value) {
        *out = extreme(ctx, list, false, "min() arg is an empty sequence");
    }

    /// `max(list)`
    fn list_max(ctx: *mut Context, list: *const List, out: *mut Value) {
        *out = extreme(ctx, list, true, "max() arg is an empty sequence");
    }

    /// `sum(list)` of ints, floats or bools; the element type decides for the empty list.
    fn list_sum(ctx: *mut Context, list: *const List, out: *mut Value) {
        let _ = ctx;
        let (mut ints, mut floats) = (0i64, 0f64);
        for item in items_of(list) {
            if item.tag == tag::FLOAT {
                floats += item.as_float();
            } else {
                ints = ints.wrapping_add(item.as_int());
            }
        }
        let float = (*list).elem_type == tag::FLOAT || items_of(list).first().is_some_and(|item| item.tag == tag::FLOAT);
        *out = if float { Value::float(floats) } else { Value::int(ints) };
    }

    /// `any(list)`
    fn list_any(list: *const List) -> i64 {
        i64::from(items_of(list).iter().any(|item| is_true(item)))
    }

    /// `all(list)`
    fn list_all(list: *const List) -> i64 {
        i64::from(items_of(list).iter().all(|item| is_true(item)))
    }

    /// `a == b`; raises when tensors inside cannot be compared to one bool.
    fn list_eq(ctx: *mut Context, a: *const List, b: *const List) -> i64 {
        i64::from(equality::lists_equal(ctx, items_of(a), items_of(b), 0))
    }

    /// Lexicographic order: -1, 0 or 1.
    fn list_cmp(ctx: *mut Context, a: *const List, b: *const List) -> i64 {
        let (left, right) = (items_of(a), items_of(b));
        for (x, y) in left.iter().zip(right) {
            if equality::less_than(ctx, *x, *y, 0) {
                return -1;
            }
            if equality::less_than(ctx, *y, *x, 0) {
                return 1;
            }
        }
        (left.len() as i64 - right.len() as i64).signum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::list_from;
    use crate::test_context::TestContext;

    fn ints(t: &TestContext, values: &[i64]) -> *mut List {
        let items: Vec<Value> = values.iter().map(|&x| Value::int(x)).collect();
        unsafe { list_from(t.ctx(), items.as_ptr(), items.len() as u64, tag::INT) }
    }

    #[test]
    fn sorting_agrees_with_the_standard_library() {
        let t = TestContext::new();
        for len in [0usize, 1, 2, 3, 7, 64, 100, 257] {
            let mut values: Vec<i64> = (0..len).map(|i| ((i * 7919) % 83) as i64 - 40).collect();
            let list = ints(&t, &values);
            values.sort();
            unsafe { list_sort(t.ctx(), list, 0) };
            assert_eq!(t.ints(list), values);
            values.reverse();
            unsafe { list_sort(t.ctx(), list, 1) };
            assert_eq!(t.ints(list), values);
        }
    }

    unsafe extern "C" fn by_last_digit(_user: *mut u8, a: *const Value, b: *const Value) -> i64 {
        unsafe { i64::from((*a).as_int() % 10 < (*b).as_int() % 10) }
    }

    #[test]
    fn sorting_by_a_function_is_stable() {
        let t = TestContext::new();
        let list = ints(&t, &[31, 12, 21, 42, 11, 22]);
        unsafe { list_sort_by(t.ctx(), list, 0, Some(by_last_digit), null_mut()) };
        assert_eq!(t.ints(list), [31, 21, 11, 12, 42, 22]);
    }

    #[test]
    fn extremes_sums_and_comparison() {
        let t = TestContext::new();
        let mut out = Value::NONE;
        unsafe {
            let list = ints(&t, &[3, -1, 7]);
            list_min(t.ctx(), list, &mut out);
            assert_eq!(out.as_int(), -1);
            list_max(t.ctx(), list, &mut out);
            assert_eq!(out.as_int(), 7);
            list_sum(t.ctx(), list, &mut out);
            assert_eq!(out.as_int(), 9);
            assert_eq!((list_any(list), list_all(list), list_all(ints(&t, &[1, 0]))), (1, 1, 0));
            assert_eq!(list_cmp(t.ctx(), ints(&t, &[1, 2]), ints(&t, &[1, 3])), -1);
            assert_eq!(list_cmp(t.ctx(), ints(&t, &[1, 2, 0]), ints(&t, &[1, 2])), 1);
            assert_eq!(list_eq(t.ctx(), ints(&t, &[1, 2]), ints(&t, &[1, 2])), 1);
            list_min(t.ctx(), ints(&t, &[]), &mut out);
            assert_eq!(t.take_error().1, "min() arg is an empty sequence");
        }
    }
}
