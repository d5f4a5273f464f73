//! The k-th, the middle, the most frequent and the k greatest along an axis.
//!
//! Which of several equal elements is taken is part of the result (its index), so the selections here are the ones that
//! PyTorch's CPU kernels make: the order of a stable sort for medians, those of the C++ standard library's `sort` for
//! modes and `nth_element` or `partial_sort` for top-k, Hoare's quickselect for `kthvalue`.

use crate::abi::Context;
use crate::algorithms::introsort::{heap_select, introsort, partial_sort};
use crate::algorithms::keys::{Keyed, code, emit, for_each_lane, is_nan_key, load_lane};
use crate::algorithms::sort::{insertion_sort, merge_sort, two_buffers};
use crate::error::raise_text;
use crate::export::exports;
use crate::memory::Scratch;

fn less(items: &[Keyed], a: usize, b: usize) -> bool {
    items[a].key < items[b].key
}

/// Puts the median of three items at the front: the pivot of libstdc++.
pub(crate) fn move_median_to_first(items: &mut [Keyed], first: usize, a: usize, b: usize, c: usize) {
    let chosen = match (less(items, a, b), less(items, b, c), less(items, a, c)) {
        (true, true, _) => b,
        (true, false, true) => c,
        (true, false, false) => a,
        (false, _, true) => a,
        (false, true, false) => c,
        (false, false, false) => b,
    };
    items.swap(first, chosen);
}

/// Partitions `items[first + 1..last]` around the item at `first`; the ends need no check because the pivot is a median.
pub(crate) fn partition(items: &mut [Keyed], first: usize, last: usize) -> usize {
    let pivot = items[first].key;
    let (mut low, mut high) = (first + 1, last);
    loop {
        while low < items.len() && items[low].key < pivot {
            low += 1;
        }
        high -= 1;
        while high > 0 && pivot < items[high].key {
            high -= 1;
        }
        if low >= high {
            return low;
        }
        items.swap(low, high);
        low += 1;
    }
}

/// `std::nth_element` of libstdc++: the item at `nth` becomes what a sort would put there. When the partitions go bad
/// a heap finds it.
fn nth_element(items: &mut [Keyed], nth: usize) {
    let (mut first, mut last) = (0, items.len());
    let mut budget = 2 * items.len().checked_ilog2().unwrap_or(0);
    while last - first > 3 {
        if budget == 0 {
            heap_select(&mut items[first..last], nth + 1 - first);
            return items.swap(first, nth);
        }
        budget -= 1;
        let middle = first + (last - first) / 2;
        move_median_to_first(items, first, first + 1, middle, last - 1);
        let cut = partition(items, first, last);
        if cut <= nth {
            first = cut;
        } else {
            last = cut;
        }
    }
    insertion_sort(&mut items[first..last]);
}

/// PyTorch's quickselect: the k-th item becomes the one a sort would put there.
fn quick_select(items: &mut [Keyed], k: usize) {
    if items.is_empty() {
        return;
    }
    let (mut left, mut right) = (0, items.len() - 1);
    while left < right {
        if right == left + 1 {
            if less(items, right, left) {
                items.swap(left, right);
            }
            return;
        }
        items.swap(left + (right - left) / 2, left + 1);
        for (a, b) in [(left + 1, right), (left, right), (left + 1, left)] {
            if less(items, b, a) {
                items.swap(a, b);
            }
        }
        let pivot = items[left].key;
        let (mut i, mut j) = (left + 1, right);
        loop {
            i += 1;
            while items[i].key < pivot {
                i += 1;
            }
            j -= 1;
            while items[j].key > pivot {
                j -= 1;
            }
            if j < i {
                break;
            }
            items.swap(i, j);
        }
        items.swap(left, j);
        if j <= k {
            left = i;
        }
        if j >= k {
            if j == 0 {
                return;
            }
            right = j - 1;
        }
    }
}

/// Place of the median of a lane; a NaN, when there is one and NaNs are not left out.
fn median_place(code: u32, items: &mut [Keyed], scratch: &mut [Keyed], skip_nan: bool) -> i64 {
    let nans = items.iter().filter(|item| is_nan_key(code, item.key)).count();
    if nans > 0 && !skip_nan {
        return items.iter().find(|item| is_nan_key(code, item.key)).map_or(0, |item| item.index);
    }
    let nth = (items.len() - nans).saturating_sub(1) / 2;
    merge_sort(items, scratch);
    items[nth].index
}

/// Place of the last of the most frequent elements, the smallest of them if several are.
fn mode_place(items: &mut [Keyed], _: &mut [Keyed]) -> i64 {
    introsort(items);
    let (mut best, mut most, mut run) = (0, 0, 0);
    for i in 0..items.len() {
        run += 1;
        if i + 1 == items.len() || items[i].key != items[i + 1].key {
            if run > most {
                (best, most) = (items[i].index, run);
            }
            run = 0;
        }
    }
    best
}

/// One selection per lane.
struct Selection {
    ctx: *mut Context,
    code: u32,
    x: *const u8,
    values: *mut u8,
    indices: *mut i64,
    outer: i64,
    len: i64,
    inner: i64,
}

impl Selection {
    /// Writes, for every lane, the element whose place `choose` gives. An empty axis with lanes to fill raises.
    unsafe fn run(&self, choose: impl Fn(&mut [Keyed], &mut [Keyed]) -> i64) {
        if self.len <= 0 {
            if self.outer > 0 && self.inner > 0 {
                raise_text(self.ctx, "Expected reduction dim to have non-zero size.");
            }
            return;
        }
        let Some((mut items, mut scratch)) = two_buffers(self.ctx, self.len) else { return };
        for_each_lane(self.outer, self.len, 1, self.inner, |lane, out| {
            load_lane(self.code, self.x, lane, items.as_mut_slice());
            let chosen = choose(items.as_mut_slice(), scratch.as_mut_slice());
            emit(self.code, self.x, lane, chosen, self.values, self.indices, out.at(0));
            true
        });
    }
}

/// Moves the k greatest (in the order of the keys, the least) to the front, sorted if wanted.
fn take_least(items: &mut [Keyed], k: usize, sorted: bool) {
    if k == 0 {
        return;
    }
    // Small parts of long lanes go through a heap in PyTorch.
    if k.saturating_mul(64) <= items.len() {
        return partial_sort(items, k);
    }
    nth_element(items, k - 1);
    if sorted {
        introsort(&mut items[..k - 1]);
    }
}

exports! {
    /// The k greatest (or least) along the axis; NaN counts as the greatest. Outputs are `[outer][k][inner]`, in order
    /// when `sorted`; raises when k is more than the length.
    fn topk(ctx: *mut Context, dtype: i64, x: *const u8, values: *mut u8, indices: *mut i64, outer: i64, len: i64, inner: i64, k: i64, largest: i64, sorted: i64) {
        if k < 0 || k > len {
            raise_text(ctx, "selected index k out of range");
            return;
        }
        let code = code(dtype);
        let Some(mut items) = Scratch::filled(ctx, len, Keyed { key: 0, index: 0 }) else { return };
        for_each_lane(outer, len, k, inner, |lane, out| {
            load_lane(code, x, lane, items.as_mut_slice());
            if largest != 0 {
                items.as_mut_slice().iter_mut().for_each(|item| item.key = !item.key);
            }
            take_least(items.as_mut_slice(), k as usize, sorted != 0);
            for place in 0..k {
                let chosen = items.as_mut_slice()[place as usize].index;
                emit(code, x, lane, chosen, values, indices, out.at(place));
            }
            true
        });
    }

    /// The k-th smallest (k from 1) along the axis; outputs are `[outer][inner]`. Raises when k is out of range.
    fn kthvalue(ctx: *mut Context, dtype: i64, x: *const u8, values: *mut u8, indices: *mut i64, outer: i64, len: i64, inner: i64, k: i64) {
        if k < 1 || k > len {
            raise_text(ctx, "kthvalue(): selected number k out of range for dimension 0");
            return;
        }
        Selection { ctx, code: code(dtype), x, values, indices, outer, len, inner }.run(|items, _| {
            quick_select(items, k as usize - 1);
            items[k as usize - 1].index
        });
    }

    /// The (lower) median along the axis; NaN when there is one. Outputs are `[outer][inner]`.
    fn median(ctx: *mut Context, dtype: i64, x: *const u8, values: *mut u8, indices: *mut i64, outer: i64, len: i64, inner: i64) {
        let code = code(dtype);
        Selection { ctx, code, x, values, indices, outer, len, inner }.run(|items, scratch| median_place(code, items, scratch, false));
    }

    /// The (lower) median of what is not NaN along the axis; NaN when nothing is.
    fn nanmedian(ctx: *mut Context, dtype: i64, x: *const u8, values: *mut u8, indices: *mut i64, outer: i64, len: i64, inner: i64) {
        let code = code(dtype);
        Selection { ctx, code, x, values, indices, outer, len, inner }.run(|items, scratch| median_place(code, items, scratch, true));
    }

    /// The most frequent element along the axis, the smallest of them if several are; the index is that of its last one.
    fn mode(ctx: *mut Context, dtype: i64, x: *const u8, values: *mut u8, indices: *mut i64, outer: i64, len: i64, inner: i64) {
        Selection { ctx, code: code(dtype), x, values, indices, outer, len, inner }.run(mode_place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::dtype;
    use crate::test_context::TestContext;

    /// Lines `name k values = indices`, recorded from PyTorch 2.15 by `fixtures/record_selection.py` on ints with ties.
    const RECORDED: &str = include_str!("../../fixtures/selection.txt");

    fn numbers(text: &str) -> Vec<i64> {
        text.split(',').map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn indices_among_ties_are_those_of_pytorch() {
        let t = TestContext::new();
        let (mut cases, mut wrong) = (0, Vec::new());
        for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let (k, x, expected) = (words[1].parse::<i64>().unwrap(), numbers(words[2]), numbers(words[4]));
            let (mut values, mut indices) = (vec![0i64; expected.len()], vec![0i64; expected.len()]);
            let (v, i) = (values.as_mut_ptr().cast::<u8>(), indices.as_mut_ptr());
            let (p, n, code) = (x.as_ptr().cast::<u8>(), x.len() as i64, i64::from(dtype::I64));
            unsafe {
                match words[0] {
                    "topk" => topk(t.ctx(), code, p, v, i, 1, n, 1, k, 1, 1),
                    "kthvalue" => kthvalue(t.ctx(), code, p, v, i, 1, n, 1, k),
                    "median" => median(t.ctx(), code, p, v, i, 1, n, 1),
                    "mode" => mode(t.ctx(), code, p, v, i, 1, n, 1),
                    other => panic!("{other}"),
                }
            }
            if indices != expected {
                wrong.push(format!("{line}, got {indices:?}"));
            }
            assert!(values.iter().zip(&indices).all(|(value, at)| *value == x[*at as usize]));
            cases += 1;
        }
        assert!(wrong.is_empty(), "{} of {cases} differ:\n{}", wrong.len(), wrong.join("\n"));
        assert!(cases > 100);
    }

    #[test]
    fn medians_and_nan() {
        let t = TestContext::new();
        let x = [2.0f32, f32::NAN, 1.0, 4.0, f32::NAN];
        let (mut value, mut index) = (0f32, 0i64);
        unsafe {
            median(t.ctx(), 6, x.as_ptr().cast(), (&raw mut value).cast(), &mut index, 1, 5, 1);
            assert!(value.is_nan() && index == 1);
            nanmedian(t.ctx(), 6, x.as_ptr().cast(), (&raw mut value).cast(), &mut index, 1, 5, 1);
            assert_eq!((value, index), (2.0, 0));
            let nans = [f32::NAN; 2];
            nanmedian(t.ctx(), 6, nans.as_ptr().cast(), (&raw mut value).cast(), &mut index, 1, 2, 1);
            assert!(value.is_nan());
            kthvalue(t.ctx(), 6, x.as_ptr().cast(), (&raw mut value).cast(), &mut index, 1, 5, 1, 3);
            assert_eq!((value, index), (4.0, 3));
            topk(t.ctx(), 6, x.as_ptr().cast(), (&raw mut value).cast(), &mut index, 1, 5, 1, 6, 1, 1);
            assert_eq!(t.take_error().1, "selected index k out of range");
        }
    }
}
