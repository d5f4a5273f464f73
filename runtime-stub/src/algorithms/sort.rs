//! Sorting along an axis.

use crate::abi::Context;
use crate::algorithms::introsort::introsort;
use crate::algorithms::keys::{Keyed, code, emit, for_each_lane, load_lane};
use crate::export::exports;
use crate::memory::Scratch;

/// Runs up to this length are sorted by insertion before merging.
const RUN: usize = 16;

/// Stable insertion sort.
pub(crate) fn insertion_sort(items: &mut [Keyed]) {
    for i in 1..items.len() {
        let item = items[i];
        let mut at = i;
        while at > 0 && items[at - 1].key > item.key {
            items[at] = items[at - 1];
            at -= 1;
        }
        items[at] = item;
    }
}

/// Merges two adjacent sorted runs of `from` into `to`, the left one first among equals.
fn merge(from: &[Keyed], middle: usize, to: &mut [Keyed]) {
    let (mut left, mut right) = (0, middle);
    for target in to.iter_mut() {
        let take_left = right >= from.len() || left < middle && from[left].key <= from[right].key;
        if take_left {
            *target = from[left];
            left += 1;
        } else {
            *target = from[right];
            right += 1;
        }
    }
}

/// Stable sort by key; `scratch` is as long as `items`.
pub(crate) fn merge_sort(items: &mut [Keyed], scratch: &mut [Keyed]) {
    for run in items.chunks_mut(RUN) {
        insertion_sort(run);
    }
    let (mut width, mut in_items) = (RUN, true);
    while width < items.len() {
        let (from, to) = if in_items { (&*items, &mut *scratch) } else { (&*scratch, &mut *items) };
        for (pair, target) in from.chunks(2 * width).zip(to.chunks_mut(2 * width)) {
            merge(pair, width.min(pair.len()), target);
        }
        in_items = !in_items;
        width *= 2;
    }
    if !in_items {
        items.copy_from_slice(scratch);
    }
}

/// Two buffers of `len` keyed elements.
pub(crate) unsafe fn two_buffers(ctx: *mut Context, len: i64) -> Option<(Scratch<Keyed>, Scratch<Keyed>)> {
    let zero = Keyed { key: 0, index: 0 };
    Some((Scratch::filled(ctx, len, zero)?, Scratch::filled(ctx, len, zero)?))
}

exports! {
    /// Sorts along the axis of `[outer][len][inner]`, NaN as the greatest. Without `stable`, equal elements are in the
    /// order that PyTorch's `std::sort` gives.
    /// `values` and `indices` (places along the axis) may be null.
    fn sort(ctx: *mut Context, dtype: i64, x: *const u8, values: *mut u8, indices: *mut i64, outer: i64, len: i64, inner: i64, descending: i64, stable: i64) {
        let code = code(dtype);
        let Some((mut items, mut scratch)) = two_buffers(ctx, len) else { return };
        for_each_lane(outer, len, len, inner, |lane, out| {
            load_lane(code, x, lane, items.as_mut_slice());
            if descending != 0 {
                items.as_mut_slice().iter_mut().for_each(|item| item.key = !item.key);
            }
            if stable != 0 {
                merge_sort(items.as_mut_slice(), scratch.as_mut_slice());
            } else {
                introsort(items.as_mut_slice());
            }
            for (place, item) in (0..).zip(items.as_mut_slice()) {
                emit(code, x, lane, item.index, values, indices, out.at(place));
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::dtype;
    use crate::test_context::TestContext;

    #[test]
    fn merge_sort_is_a_stable_sort() {
        for len in [0usize, 1, 15, 16, 17, 33, 100, 1000] {
            let mut items: Vec<Keyed> = (0..len).map(|i| Keyed { key: (i * 7919 % 37) as u64, index: i as i64 }).collect();
            let mut expected: Vec<(u64, i64)> = items.iter().map(|item| (item.key, item.index)).collect();
            expected.sort();
            let mut scratch = items.clone();
            merge_sort(&mut items, &mut scratch);
            let got: Vec<(u64, i64)> = items.iter().map(|item| (item.key, item.index)).collect();
            assert_eq!(got, expected);
        }
    }

    /// `torch.sort` puts NaN last, or first when descending.
    #[test]
    fn lanes_sort_with_nan_greatest() {
        let t = TestContext::new();
        let x = [3.0f32, f32::NAN, 1.0, 2.0, -0.0, 5.0, 3.0, f32::NEG_INFINITY, 0.0];
        let (mut values, mut indices) = ([0f32; 9], [0i64; 9]);
        let run = |descending, values: &mut [f32; 9], indices: &mut [i64; 9]| unsafe {
            let (values, indices) = (values.as_mut_ptr().cast(), indices.as_mut_ptr());
            sort(t.ctx(), i64::from(dtype::F32), x.as_ptr().cast(), values, indices, 1, 3, 3, descending, 1);
        };
        run(0, &mut values, &mut indices);
        assert_eq!(indices, [1, 2, 2, 0, 1, 0, 2, 0, 1]);
        assert_eq!(values[..7], [2.0, f32::NEG_INFINITY, 0.0, 3.0, -0.0, 1.0, 3.0]);
        assert!(values[7].is_nan());
        run(1, &mut values, &mut indices);
        assert_eq!(indices, [0, 0, 1, 2, 1, 0, 1, 2, 2]);
        assert!(values[1].is_nan());
    }
}
