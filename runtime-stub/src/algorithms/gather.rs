//! Elements picked and placed by masks and indices, without arithmetic: only the size of an element matters.

use crate::abi::Context;
use crate::algorithms::keys::copy_bytes;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::tensor::{MAX_RANK, passed_sizes};

/// Raises PyTorch's text for an index outside.
pub(crate) unsafe fn raise_index(ctx: *mut Context, index: i64, dim: i64, size: i64) {
    raise_with(ctx, |text| {
        text.push_str("index ");
        text.push_int(index);
        text.push_str(" is out of bounds for dimension ");
        text.push_int(dim);
        text.push_str(" with size ");
        text.push_int(size);
    });
}

/// Walks the elements of an index tensor with, for each, the offset in a tensor of other sizes whose coordinate along
/// `dim` the index replaces.
pub(crate) struct IndexWalk<'a> {
    index_sizes: &'a [i64],
    sizes: &'a [i64],
    dim: usize,
    counter: [i64; MAX_RANK],
}

impl<'a> IndexWalk<'a> {
    pub(crate) fn new(index_sizes: &'a [i64], sizes: &'a [i64], dim: i64) -> IndexWalk<'a> {
        IndexWalk { index_sizes, sizes, dim: dim.max(0) as usize, counter: [0; MAX_RANK] }
    }

    /// Number of elements of the index tensor.
    pub(crate) fn count(&self) -> i64 {
        self.index_sizes.iter().product()
    }

    /// Size of the other tensor along `dim`.
    pub(crate) fn limit(&self) -> i64 {
        self.sizes.get(self.dim).copied().unwrap_or(1)
    }

    /// Offset in the other tensor with `along` as coordinate of `dim`.
    pub(crate) fn offset(&self, along: i64) -> i64 {
        let mut offset = 0;
        for (d, size) in self.sizes.iter().enumerate() {
            offset = offset * size + if d == self.dim { along } else { self.counter[d] };
        }
        offset
    }

    /// Offset of the current coordinates in a contiguous tensor of `sizes`.
    pub(crate) fn offset_in(&self, sizes: &[i64]) -> i64 {
        sizes.iter().zip(self.counter).fold(0, |offset, (size, at)| offset * size + at)
    }

    /// Goes to the next element of the index tensor.
    pub(crate) fn step(&mut self) {
        for d in (0..self.index_sizes.len()).rev() {
            self.counter[d] += 1;
            if self.counter[d] < self.index_sizes[d] {
                return;
            }
            self.counter[d] = 0;
        }
    }
}

/// Checks an index into an axis.
pub(crate) unsafe fn in_bounds(ctx: *mut Context, index: i64, dim: i64, size: i64) -> bool {
    let inside = index >= 0 && index < size;
    if !inside {
        raise_index(ctx, index, dim, size);
    }
    inside
}

exports! {
    /// Number of true elements of a mask.
    fn mask_count(mask: *const u8, n: i64) -> i64 {
        (0..n).filter(|&i| *mask.offset(i as isize) != 0).count() as i64
    }

    /// Copies the elements where the mask is true, in order; returns their number. `bytes` is the size of an element.
    fn masked_select(bytes: i64, x: *const u8, mask: *const u8, n: i64, out: *mut u8) -> i64 {
        let mut count = 0;
        for i in 0..n {
            if *mask.offset(i as isize) != 0 {
                copy_bytes(bytes, x, i, out, count);
                count += 1;
            }
        }
        count
    }

    /// Replaces the elements where the mask is true by those of `source`, in order; raises when there are too few.
    fn masked_scatter(ctx: *mut Context, bytes: i64, target: *mut u8, mask: *const u8, n: i64, source: *const u8, source_n: i64) {
        let mut used = 0;
        for i in 0..n {
            if *mask.offset(i as isize) == 0 {
                continue;
            }
            if used >= source_n {
                raise_text(ctx, "Number of elements of source < number of ones in mask");
                return;
            }
            copy_bytes(bytes, source, used, target, i);
            used += 1;
        }
    }

    /// `torch.gather`: `out` has the sizes of `index`.
    fn gather(ctx: *mut Context, bytes: i64, x: *const u8, rank: i64, x_sizes: *const i64, dim: i64, index: *const i64, index_sizes: *const i64, out: *mut u8) {
        let mut walk = IndexWalk::new(passed_sizes(rank, index_sizes), passed_sizes(rank, x_sizes), dim);
        for i in 0..walk.count() {
            let along = *index.offset(i as isize);
            if !in_bounds(ctx, along, dim, walk.limit()) {
                return;
            }
            copy_bytes(bytes, x, walk.offset(along), out, i);
            walk.step();
        }
    }

    /// `torch.index_select` along the axis of `[outer][len][inner]` by n indices: `out` is `[outer][n][inner]`.
    fn index_select(ctx: *mut Context, bytes: i64, x: *const u8, outer: i64, len: i64, inner: i64, index: *const i64, n: i64, out: *mut u8) {
        for o in 0..outer {
            for i in 0..n {
                let place = *index.offset(i as isize);
                if place < 0 || place >= len {
                    raise_text(ctx, "index out of range in self");
                    return;
                }
                let (from, to) = ((o * len + place) * inner * bytes, (o * n + i) * inner * bytes);
                core::ptr::copy_nonoverlapping(x.offset(from as isize), out.offset(to as isize), (inner * bytes) as usize);
            }
        }
    }

    /// `target.index_copy_`: slices of `source` (`[outer][n][inner]`) replace those of `target` at n indices.
    fn index_copy(ctx: *mut Context, bytes: i64, target: *mut u8, outer: i64, len: i64, inner: i64, index: *const i64, n: i64, source: *const u8) {
        for o in 0..outer {
            for i in 0..n {
                let place = *index.offset(i as isize);
                if place < 0 || place >= len {
                    raise_text(ctx, "index_copy_(): index out of range");
                    return;
                }
                let (from, to) = ((o * n + i) * inner * bytes, (o * len + place) * inner * bytes);
                core::ptr::copy_nonoverlapping(source.offset(from as isize), target.offset(to as isize), (inner * bytes) as usize);
            }
        }
    }

    /// `target.index_fill_`: one element fills the slices at n indices, which may count from the end.
    fn index_fill(ctx: *mut Context, bytes: i64, target: *mut u8, outer: i64, len: i64, inner: i64, index: *const i64, n: i64, value: *const u8) {
        for i in 0..n {
            let given = *index.offset(i as isize);
            let place = if given < 0 { given.wrapping_add(len) } else { given };
            if place < 0 || place >= len {
                raise_text(ctx, "index out of range in self");
                return;
            }
            for o in 0..outer {
                for k in 0..inner {
                    copy_bytes(bytes, value, 0, target, (o * len + place) * inner + k);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn masks() {
        let t = TestContext::new();
        let x = [1i64, 2, 3, 4];
        let mask = [1u8, 0, 1, 1];
        let mut out = [0i64; 4];
        unsafe {
            assert_eq!(mask_count(mask.as_ptr(), 4), 3);
            assert_eq!(masked_select(8, x.as_ptr().cast(), mask.as_ptr(), 4, out.as_mut_ptr().cast()), 3);
            assert_eq!(out, [1, 3, 4, 0]);
            masked_scatter(t.ctx(), 8, out.as_mut_ptr().cast(), mask.as_ptr(), 4, x.as_ptr().cast(), 4);
            assert_eq!(out, [1, 3, 2, 3]);
            masked_scatter(t.ctx(), 8, out.as_mut_ptr().cast(), mask.as_ptr(), 4, x.as_ptr().cast(), 2);
            assert_eq!(t.take_error().1, "Number of elements of source < number of ones in mask");
        }
    }

    #[test]
    fn gather_follows_the_index() {
        let t = TestContext::new();
        let x = [1.5f32, 2.5, 3.5, 4.5, 5.5, 6.5];
        let mut out = [0f32; 4];
        unsafe {
            let run = |dim, index: &[i64; 4], out: &mut [f32; 4]| {
                gather(
                    t.ctx(),
                    4,
                    x.as_ptr().cast(),
                    2,
                    [2, 3].as_ptr(),
                    dim,
                    index.as_ptr(),
                    [2, 2].as_ptr(),
                    out.as_mut_ptr().cast(),
                );
            };
            run(1, &[2, 0, 1, 1], &mut out);
            assert_eq!(out, [3.5, 1.5, 5.5, 5.5]);
            run(0, &[1, 0, 0, 1], &mut out);
            assert_eq!(out, [4.5, 2.5, 1.5, 5.5]);
            run(0, &[1, 0, 2, 1], &mut out);
            assert_eq!(t.take_error().1, "index 2 is out of bounds for dimension 0 with size 2");
        }
    }

    #[test]
    fn slices_by_index() {
        let t = TestContext::new();
        let x = [1i32, 2, 3, 4, 5, 6];
        let mut out = [0i32; 8];
        unsafe {
            index_select(t.ctx(), 4, x.as_ptr().cast(), 2, 3, 1, [2i64, 2, 0, 1].as_ptr(), 4, out.as_mut_ptr().cast());
            assert_eq!(out, [3, 3, 1, 2, 6, 6, 4, 5]);
            index_copy(t.ctx(), 4, out.as_mut_ptr().cast(), 1, 4, 2, [3i64].as_ptr(), 1, x.as_ptr().cast());
            assert_eq!(out, [3, 3, 1, 2, 6, 6, 1, 2]);
            index_fill(t.ctx(), 4, out.as_mut_ptr().cast(), 2, 4, 1, [-1i64].as_ptr(), 1, [9i32].as_ptr().cast());
            assert_eq!(out, [3, 3, 1, 9, 6, 6, 1, 9]);
            index_select(t.ctx(), 4, x.as_ptr().cast(), 2, 3, 1, [3i64].as_ptr(), 1, out.as_mut_ptr().cast());
            assert_eq!(t.take_error().1, "index out of range in self");
        }
    }
}
