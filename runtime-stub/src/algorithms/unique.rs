//! Distinct elements, of the whole tensor or along an axis.

use core::cmp::Ordering;

use crate::abi::Context;
use crate::algorithms::keys::{Keyed, code, copy_element, is_nan_key, key_at, load_lane};
use crate::algorithms::sort::{merge_sort, two_buffers};
use crate::export::exports;
use crate::memory::Scratch;

/// Where the distinct elements, their classes and their counts go; each may be null.
struct Outputs {
    values: *mut u8,
    inverse: *mut i64,
    counts: *mut i64,
}

impl Outputs {
    /// Starts class `number` with the element at `at`.
    unsafe fn open(&self, code: u32, x: *const u8, at: i64, number: i64) {
        if !self.values.is_null() {
            copy_element(code, x, at, self.values, number);
        }
        if !self.counts.is_null() {
            *self.counts.offset(number as isize) = 0;
        }
    }

    /// Enters the element at `at` in class `number`.
    unsafe fn enter(&self, at: i64, number: i64) {
        if !self.inverse.is_null() {
            *self.inverse.offset(at as isize) = number;
        }
        if !self.counts.is_null() {
            *self.counts.offset(number as isize) += 1;
        }
    }
}

/// Groups runs of equal keys; every NaN is a class of its own. Returns the number of classes.
unsafe fn group(code: u32, x: *const u8, items: &[Keyed], outputs: &Outputs) -> i64 {
    let mut number = -1;
    for (i, item) in items.iter().enumerate() {
        let new = i == 0 || items[i - 1].key != item.key || is_nan_key(code, item.key);
        if new {
            number += 1;
            outputs.open(code, x, item.index, number);
        }
        outputs.enter(item.index, number);
    }
    number + 1
}

/// The slices of `[outer][len][inner]` along the axis, compared element by element.
struct Slices {
    code: u32,
    x: *const u8,
    outer: i64,
    len: i64,
    inner: i64,
}

impl Slices {
    unsafe fn compare(&self, a: i64, b: i64) -> Ordering {
        for o in 0..self.outer {
            for i in 0..self.inner {
                let at = |place: i64| (o * self.len + place) * self.inner + i;
                let order = key_at(self.code, self.x, at(a)).cmp(&key_at(self.code, self.x, at(b)));
                if order.is_ne() {
                    return order;
                }
            }
        }
        Ordering::Equal
    }

    /// Whether a slice has a NaN: it then equals no other one.
    unsafe fn holds_nan(&self, place: i64) -> bool {
        (0..self.outer).any(|o| {
            (0..self.inner).any(|i| is_nan_key(self.code, key_at(self.code, self.x, (o * self.len + place) * self.inner + i)))
        })
    }

    /// Stable bottom-up merge sort of places.
    unsafe fn sort(&self, order: &mut [i64], scratch: &mut [i64]) {
        let mut width = 1;
        while width < order.len() {
            for (pair, target) in order.chunks(2 * width).zip(scratch.chunks_mut(2 * width)) {
                let (mut left, mut right, middle) = (0, width.min(pair.len()), width.min(pair.len()));
                for slot in target.iter_mut() {
                    let take_left = right >= pair.len() || left < middle && self.compare(pair[left], pair[right]).is_le();
                    let from = if take_left { &mut left } else { &mut right };
                    *slot = pair[*from];
                    *from += 1;
                }
            }
            order.copy_from_slice(scratch);
            width *= 2;
        }
    }
}

exports! {
    /// The distinct elements of `x` in ascending order, NaN last and each by itself: returns how many. `values` has room
    /// for n; `inverse` (the class of each element) and `counts` may be null. `sorted` is accepted and always true.
    fn unique(ctx: *mut Context, dtype: i64, x: *const u8, n: i64, values: *mut u8, inverse: *mut i64, counts: *mut i64, sorted: i64) -> i64 {
        let _ = sorted;
        let Some((mut items, mut scratch)) = two_buffers(ctx, n) else { return 0 };
        for (index, item) in (0..).zip(items.as_mut_slice()) {
            *item = Keyed { key: key_at(code(dtype), x, index), index };
        }
        merge_sort(items.as_mut_slice(), scratch.as_mut_slice());
        group(code(dtype), x, items.as_mut_slice(), &Outputs { values, inverse, counts })
    }

    /// The elements of `x` without repetitions of neighbours: returns how many are left.
    fn unique_consecutive(ctx: *mut Context, dtype: i64, x: *const u8, n: i64, values: *mut u8, inverse: *mut i64, counts: *mut i64) -> i64 {
        let zero = Keyed { key: 0, index: 0 };
        let Some(mut items) = Scratch::filled(ctx, n, zero) else { return 0 };
        crate::algorithms::keys::for_each_lane(1, n, n, 1, |lane, _| {
            load_lane(code(dtype), x, lane, items.as_mut_slice());
            true
        });
        group(code(dtype), x, items.as_mut_slice(), &Outputs { values, inverse, counts })
    }

    /// The distinct slices along the axis of `[outer][len][inner]` (of neighbours only when `consecutive`): returns how
    /// many; `order` gets the place of the first of each, `inverse` and `counts` may be null.
    fn unique_dim(ctx: *mut Context, dtype: i64, x: *const u8, outer: i64, len: i64, inner: i64, order: *mut i64, inverse: *mut i64, counts: *mut i64, consecutive: i64) -> i64 {
        let slices = Slices { code: code(dtype), x, outer, len, inner };
        let (Some(mut places), Some(mut scratch)) = (Scratch::filled(ctx, len, 0i64), Scratch::filled(ctx, len, 0i64)) else {
            return 0;
        };
        (0..).zip(places.as_mut_slice()).for_each(|(place, slot)| *slot = place);
        if consecutive == 0 {
            slices.sort(places.as_mut_slice(), scratch.as_mut_slice());
        }
        let outputs = Outputs { values: core::ptr::null_mut(), inverse, counts };
        let mut number = -1;
        let places = places.as_mut_slice();
        for i in 0..places.len() {
            if i == 0 || slices.compare(places[i - 1], places[i]).is_ne() || slices.holds_nan(places[i]) {
                number += 1;
                *order.offset(number as isize) = places[i];
                outputs.open(slices.code, x, 0, number);
            }
            outputs.enter(places[i], number);
        }
        number + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn distinct_elements() {
        let t = TestContext::new();
        let x = [3.0f32, 1.0, f32::NAN, 3.0, 1.0, f32::NAN, -2.0];
        let (mut values, mut inverse, mut counts) = ([0f32; 7], [0i64; 7], [0i64; 7]);
        unsafe {
            let n = unique(
                t.ctx(),
                6,
                x.as_ptr().cast(),
                7,
                values.as_mut_ptr().cast(),
                inverse.as_mut_ptr(),
                counts.as_mut_ptr(),
                1,
            );
            assert_eq!(n, 5);
            assert_eq!(
                (&values[..3], &inverse, &counts[..5]),
                (&[-2.0, 1.0, 3.0][..], &[2, 1, 3, 2, 1, 4, 0], &[1, 2, 2, 1, 1][..])
            );
            let y = [1i64, 1, 2, 2, 2, 1];
            let mut kept = [0i64; 6];
            let n = unique_consecutive(
                t.ctx(),
                4,
                y.as_ptr().cast(),
                6,
                kept.as_mut_ptr().cast(),
                inverse.as_mut_ptr(),
                counts.as_mut_ptr(),
            );
            assert_eq!((n, &kept[..3], &counts[..3]), (3, &[1, 2, 1][..], &[2, 3, 1][..]));
        }
    }

    #[test]
    fn distinct_slices() {
        let t = TestContext::new();
        // Columns (3, 0), (1, 5), (3, 0), (1, 4).
        let x = [3i32, 1, 3, 1, 0, 5, 0, 4];
        let (mut order, mut inverse, mut counts) = ([0i64; 4], [0i64; 4], [0i64; 4]);
        let n = unsafe {
            unique_dim(t.ctx(), 3, x.as_ptr().cast(), 2, 4, 1, order.as_mut_ptr(), inverse.as_mut_ptr(), counts.as_mut_ptr(), 0)
        };
        assert_eq!((n, &order[..3], inverse, &counts[..3]), (3, &[3, 1, 0][..], [2, 1, 2, 0], &[1, 1, 2][..]));
    }
}
