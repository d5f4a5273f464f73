//! Places of elements: non-zero ones, insertion points, histogram bins.

use crate::abi::Context;
use crate::algorithms::keys::code;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::memory::Scratch;
use crate::tensor::MAX_RANK;
use crate::tensor::element::{is_float, load_f64, load_i64, store_f64, store_i64};

/// `a >= b` or, on the right side, `a > b`, for elements of one dtype; false when one is NaN.
unsafe fn stands_after(code: u32, a: *const u8, at_a: i64, b: *const u8, at_b: i64, strictly: bool) -> bool {
    if is_float(code) {
        let (x, y) = (load_f64(code, a, at_a), load_f64(code, b, at_b));
        return if strictly { x > y } else { x >= y };
    }
    let (x, y) = (load_i64(code, a, at_a), load_i64(code, b, at_b));
    if strictly { x > y } else { x >= y }
}

/// Whether an element is not zero (NaN is not).
unsafe fn is_nonzero(code: u32, x: *const u8, at: i64) -> bool {
    if is_float(code) { load_f64(code, x, at) != 0.0 } else { load_i64(code, x, at) != 0 }
}

/// The least and greatest element, or `None` when one is not finite or there is none.
unsafe fn finite_range(code: u32, x: *const u8, n: i64) -> Option<(f64, f64)> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for i in 0..n {
        let value = load_f64(code, x, i);
        if !value.is_finite() {
            return None;
        }
        (low, high) = (low.min(value), high.max(value));
    }
    if n > 0 { Some((low, high)) } else { Some((0.0, 0.0)) }
}

/// The range of a histogram: the given one, or that of the data when both ends are equal; widened when still empty.
unsafe fn histogram_range(ctx: *mut Context, code: u32, x: *const u8, n: i64, low: f64, high: f64) -> Option<(f64, f64)> {
    if low > high || !low.is_finite() || !high.is_finite() {
        raise_text(ctx, if low > high { "torch.histc: max must be larger than min" } else { "torch.histc: range is not finite" });
        return None;
    }
    if low < high {
        return Some((low, high));
    }
    let Some((low, high)) = (if n > 0 { finite_range(code, x, n) } else { Some((low, high)) }) else {
        raise_text(ctx, "torch.histc: range of the input is not finite");
        return None;
    };
    Some(if low == high { (low - 1.0, high + 1.0) } else { (low, high) })
}

exports! {
    /// Number of elements that are not zero.
    fn nonzero_count(dtype: i64, x: *const u8, n: i64) -> i64 {
        (0..n).filter(|&i| is_nonzero(code(dtype), x, i)).count() as i64
    }

    /// The indices of those elements, in order: `out` is `[count][rank]`.
    fn nonzero_fill(dtype: i64, x: *const u8, rank: i64, sizes: *const i64, out: *mut i64) {
        let sizes = crate::tensor::passed_sizes(rank.min(MAX_RANK as i64), sizes);
        let n: i64 = sizes.iter().product();
        let mut row = out;
        for i in 0..n {
            if is_nonzero(code(dtype), x, i) {
                let mut rest = i;
                for (d, size) in sizes.iter().enumerate().rev() {
                    *row.add(d) = rest % size;
                    rest /= size;
                }
                row = row.add(sizes.len());
            }
        }
    }

    /// Insertion points of `values` (`[batch][n]`) in ascending sequences (`[batch][len]`), before equals or, with
    /// `right`, after them. `sorter` (`[batch][len]`, or null) gives the order of sequences that are not in order.
    fn searchsorted(ctx: *mut Context, dtype: i64, sequence: *const u8, batch: i64, len: i64, values: *const u8, n: i64, out: *mut i64, right: i64, sorter: *const i64) {
        for i in 0..batch * n {
            let base = if n == 0 { 0 } else { i / n * len };
            let (mut low, mut high) = (0, len);
            while low < high {
                let middle = low + (high - low) / 2;
                let place = if sorter.is_null() { middle } else { *sorter.offset((base + middle) as isize) };
                if place < 0 || place >= len {
                    raise_text(ctx, "torch.searchsorted(): sorter index out of range");
                    return;
                }
                if stands_after(code(dtype), sequence, base + place, values, i, right != 0) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            *out.offset(i as isize) = low;
        }
    }

    /// `torch.histc`: counts of `x` in equal bins over `[low, high]` (of the data when both are equal); `out` has the
    /// dtype of `x`. Elements outside, and NaN, are not counted.
    fn histc(ctx: *mut Context, dtype: i64, x: *const u8, n: i64, out: *mut u8, bins: i64, low: f64, high: f64) {
        let code = code(dtype);
        if bins <= 0 {
            raise_with(ctx, |text| {
                text.push_str("torch.histogram(): bins must be > 0, but got ");
                text.push_int(bins);
                text.push_str(" for dimension 0");
            });
            return;
        }
        let Some((low, high)) = histogram_range(ctx, code, x, n, low, high) else { return };
        let Some(mut counts) = Scratch::filled(ctx, bins, 0f64) else { return };
        for i in 0..n {
            let value = load_f64(code, x, i);
            if value >= low && value <= high {
                let bin = ((value - low) / (high - low) * bins as f64) as i64;
                counts.as_mut_slice()[bin.min(bins - 1) as usize] += 1.0;
            }
        }
        for (bin, count) in (0..).zip(counts.as_mut_slice()) {
            store_f64(code, out, bin, *count);
        }
    }

    /// Length of the result of `torch.bincount`; raises for negative elements.
    fn bincount_size(ctx: *mut Context, dtype: i64, x: *const u8, n: i64, minlength: i64) -> i64 {
        let mut size = minlength.max(0);
        for i in 0..n {
            let value = load_i64(code(dtype), x, i);
            if value < 0 {
                raise_text(ctx, "bincount only supports 1-d non-negative integral inputs.");
                return 0;
            }
            size = size.max(value.saturating_add(1));
        }
        size
    }

    /// `torch.bincount` into `size` elements: int64 counts, or with weights (dtype `weight_dtype`; -1 for none) their
    /// sums, as float32 for float32 weights and as float64 for all others.
    fn bincount(ctx: *mut Context, dtype: i64, x: *const u8, n: i64, weight_dtype: i64, weights: *const u8, out: *mut u8, size: i64) {
        let weighted = weight_dtype >= 0;
        let out_code = match weight_dtype {
            -1 => crate::abi::dtype::I64,
            6 => crate::abi::dtype::F32,
            _ => crate::abi::dtype::F64,
        };
        for i in 0..size {
            store_i64(out_code, out, i, 0);
        }
        for i in 0..n {
            let bin = load_i64(code(dtype), x, i);
            if bin < 0 || bin >= size {
                raise_with(ctx, |text| {
                    text.push_str("bincount: element ");
                    text.push_int(bin);
                    text.push_str(" does not fit the output");
                });
                return;
            }
            if weighted {
                let sum = load_f64(out_code, out, bin) + load_f64(code(weight_dtype), weights, i);
                store_f64(out_code, out, bin, sum);
            } else {
                store_i64(out_code, out, bin, load_i64(out_code, out, bin) + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn nonzero_indices() {
        let x = [0.0f32, f32::NAN, 0.0, -0.0, 2.0, 1.0];
        let mut out = [0i64; 6];
        unsafe {
            assert_eq!(nonzero_count(6, x.as_ptr().cast(), 6), 3);
            nonzero_fill(6, x.as_ptr().cast(), 2, [2, 3].as_ptr(), out.as_mut_ptr());
        }
        assert_eq!(out, [0, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn insertion_points() {
        let t = TestContext::new();
        let sequence = [1.0f32, 3.0, 3.0, 5.0, 0.0, 1.0, 2.0, 3.0];
        let values = [3.0f32, f32::NAN, 9.0, -1.0];
        let mut out = [0i64; 4];
        let mut search = |batch, n, right, sorter| unsafe {
            searchsorted(
                t.ctx(),
                6,
                sequence.as_ptr().cast(),
                batch,
                4,
                values.as_ptr().cast(),
                n,
                out.as_mut_ptr(),
                right,
                sorter,
            );
            out
        };
        assert_eq!(search(1, 4, 0, core::ptr::null()), [1, 4, 4, 0]);
        assert_eq!(search(1, 4, 1, core::ptr::null()), [3, 4, 4, 0]);
        assert_eq!(search(2, 2, 0, core::ptr::null()), [1, 4, 4, 0]);
        let outside = [9i64; 8];
        search(1, 1, 0, outside.as_ptr());
        assert_eq!(t.take_error().1, "torch.searchsorted(): sorter index out of range");
    }

    #[test]
    fn histograms() {
        let t = TestContext::new();
        let x = [1.0f32, 2.0, 1.0, 4.0, 9.0, f32::NAN];
        let mut out = [0f32; 4];
        unsafe {
            histc(t.ctx(), 6, x.as_ptr().cast(), 6, out.as_mut_ptr().cast(), 4, 0.0, 4.0);
            assert_eq!(out, [0.0, 2.0, 1.0, 1.0]);
            histc(t.ctx(), 6, x.as_ptr().cast(), 6, out.as_mut_ptr().cast(), 4, 0.0, 0.0);
            assert_eq!(t.take_error().1, "torch.histc: range of the input is not finite");
            let y = [1i64, 1, 3];
            assert_eq!(bincount_size(t.ctx(), 4, y.as_ptr().cast(), 3, 2), 4);
            let mut counts = [0i64; 4];
            bincount(t.ctx(), 4, y.as_ptr().cast(), 3, -1, core::ptr::null(), counts.as_mut_ptr().cast(), 4);
            assert_eq!(counts, [0, 2, 0, 1]);
            bincount(t.ctx(), 4, y.as_ptr().cast(), 3, 6, x.as_ptr().cast(), out.as_mut_ptr().cast(), 4);
            assert_eq!(out, [0.0, 3.0, 0.0, 1.0]);
            bincount_size(t.ctx(), 4, [-1i64].as_ptr().cast(), 1, 0);
            assert_eq!(t.take_error().1, "bincount only supports 1-d non-negative integral inputs.");
        }
    }
}
