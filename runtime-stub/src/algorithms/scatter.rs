//! Elements combined at places given by indices, in the order of the index: scatter and its relatives.

use crate::abi::{Context, dtype};
use crate::algorithms::gather::{IndexWalk, in_bounds};
use crate::algorithms::keys::{code, copy_element};
use crate::error::raise_text;
use crate::export::exports;
use crate::memory::Scratch;
use crate::tensor::element::{is_float, load_f64, load_i64, store_f64, store_i64};
use crate::tensor::passed_sizes;

/// How a source element and the one at its place combine.
#[derive(Clone, Copy, PartialEq)]
enum Reduce {
    Set,
    Add,
    Multiply,
    Least,
    Greatest,
    Mean,
}

impl Reduce {
    fn of(number: i64) -> Reduce {
        match number {
            1 => Reduce::Add,
            2 => Reduce::Multiply,
            3 => Reduce::Least,
            4 => Reduce::Greatest,
            5 => Reduce::Mean,
            _ => Reduce::Set,
        }
    }

    fn floats(self, old: f64, new: f64) -> f64 {
        match self {
            Reduce::Set => new,
            Reduce::Add | Reduce::Mean => old + new,
            Reduce::Multiply => old * new,
            Reduce::Least if old.is_nan() || old <= new => old,
            Reduce::Greatest if old.is_nan() || old >= new => old,
            Reduce::Least | Reduce::Greatest => new,
        }
    }

    fn ints(self, old: i64, new: i64) -> i64 {
        match self {
            Reduce::Set => new,
            Reduce::Add | Reduce::Mean => old.wrapping_add(new),
            Reduce::Multiply => old.wrapping_mul(new),
            Reduce::Least => old.min(new),
            Reduce::Greatest => old.max(new),
        }
    }

    /// Combines an element of `source` into one of `target`, rounded to the dtype as PyTorch does at every step.
    unsafe fn combine(self, code: u32, target: *mut u8, at: i64, source: *const u8, from: i64) {
        if self == Reduce::Set {
            copy_element(code, source, from, target, at);
        } else if is_float(code) {
            store_f64(code, target, at, self.floats(load_f64(code, target, at), load_f64(code, source, from)));
        } else {
            store_i64(code, target, at, self.ints(load_i64(code, target, at), load_i64(code, source, from)));
        }
    }
}

/// A scatter under way.
struct Scatter {
    ctx: *mut Context,
    code: u32,
    target: *mut u8,
    reduce: Reduce,
    /// Per element of the target, how many have been combined: only for means and where old elements do not count.
    counts: Option<Scratch<i64>>,
}

impl Scatter {
    unsafe fn put(&mut self, at: i64, source: *const u8, from: i64) {
        let mut reduce = self.reduce;
        if let Some(counts) = &mut self.counts {
            let count = &mut counts.as_mut_slice()[at as usize];
            if *count == 0 {
                reduce = Reduce::Set;
            }
            *count += 1;
        }
        reduce.combine(self.code, self.target, at, source, from);
    }

    /// Divides sums by their counts: true division of floats, rounded down for ints.
    unsafe fn finish_means(&mut self) {
        let Some(counts) = &mut self.counts else { return };
        for (at, &count) in (0..).zip(counts.as_mut_slice().iter()) {
            if count < 2 {
                continue;
            }
            if is_float(self.code) {
                store_f64(self.code, self.target, at, load_f64(self.code, self.target, at) / count as f64);
            } else {
                store_i64(self.code, self.target, at, load_i64(self.code, self.target, at).div_euclid(count));
            }
        }
    }

    /// Scatters the elements that `source_at` names for every element of the index.
    unsafe fn run(
        &mut self,
        mut walk: IndexWalk,
        dim: i64,
        index: *const i64,
        source: *const u8,
        source_at: impl Fn(&IndexWalk) -> i64,
    ) {
        for i in 0..walk.count() {
            let along = *index.offset(i as isize);
            if !in_bounds(self.ctx, along, dim, walk.limit()) {
                return;
            }
            self.put(walk.offset(along), source, source_at(&walk));
            walk.step();
        }
        if self.reduce == Reduce::Mean {
            self.finish_means();
        }
    }
}

exports! {
    /// `scatter_`, `scatter_add_` and `scatter_reduce_`: elements of `source` (contiguous, of `source_sizes`) at the
    /// places of `index`. `reduce`: 0 set, 1 add, 2 multiply, 3 least, 4 greatest, 5 mean. With `include_self` 0 the
    /// first element that comes to a place replaces what was there.
    fn scatter(ctx: *mut Context, dtype: i64, target: *mut u8, rank: i64, sizes: *const i64, dim: i64, index: *const i64, index_sizes: *const i64, source: *const u8, source_sizes: *const i64, reduce: i64, include_self: i64) {
        let (sizes, source_sizes) = (passed_sizes(rank, sizes), passed_sizes(rank, source_sizes));
        let reduce = Reduce::of(reduce);
        let mut scatter = Scatter { ctx, code: code(dtype), target, reduce, counts: None };
        if reduce == Reduce::Mean || include_self == 0 && reduce != Reduce::Set {
            scatter.counts = Scratch::filled(ctx, sizes.iter().product(), i64::from(include_self != 0));
            if scatter.counts.is_none() {
                return;
            }
        }
        let walk = IndexWalk::new(passed_sizes(rank, index_sizes), sizes, dim);
        scatter.run(walk, dim, index, source, |walk| walk.offset_in(source_sizes));
    }

    /// `scatter_` of one value, with the same `reduce`.
    fn scatter_value(ctx: *mut Context, dtype: i64, target: *mut u8, rank: i64, sizes: *const i64, dim: i64, index: *const i64, index_sizes: *const i64, value: *const u8, reduce: i64) {
        let walk = IndexWalk::new(passed_sizes(rank, index_sizes), passed_sizes(rank, sizes), dim);
        let mut scatter = Scatter { ctx, code: code(dtype), target, reduce: Reduce::of(reduce), counts: None };
        scatter.run(walk, dim, index, value, |_| 0);
    }

    /// `target.index_add_`: `alpha` times the slices of `source` (`[outer][n][inner]`) are added to those of `target`
    /// (`[outer][len][inner]`) at n indices, in order.
    fn index_add(ctx: *mut Context, dtype: i64, target: *mut u8, outer: i64, len: i64, inner: i64, index: *const i64, n: i64, source: *const u8, alpha: f64) {
        let code = code(dtype);
        for i in 0..n {
            let place = *index.offset(i as isize);
            if place < 0 || place >= len {
                raise_text(ctx, "index out of range in self");
                return;
            }
            for o in 0..outer {
                for k in 0..inner {
                    let (at, from) = ((o * len + place) * inner + k, (o * n + i) * inner + k);
                    add_scaled(code, target, at, source, from, alpha);
                }
            }
        }
    }

    /// `index_put_` once the indices are offsets: item i of n, `inner` elements long, goes to `offsets[i]` (in elements);
    /// added when `accumulate`, else the last one stays. `values` is `[n][inner]`.
    fn index_put(dtype: i64, target: *mut u8, offsets: *const i64, n: i64, inner: i64, values: *const u8, accumulate: i64) {
        let (code, reduce) = (code(dtype), if accumulate != 0 { Reduce::Add } else { Reduce::Set });
        for i in 0..n {
            let start = *offsets.offset(i as isize);
            for k in 0..inner {
                reduce.combine(code, target, start + k, values, i * inner + k);
            }
        }
    }
}

/// `target += alpha * source`, in the accumulation type of the dtype.
unsafe fn add_scaled(code: u32, target: *mut u8, at: i64, source: *const u8, from: i64, alpha: f64) {
    if !is_float(code) {
        let sum = load_i64(code, target, at).wrapping_add(load_i64(code, source, from).wrapping_mul(alpha as i64));
        return store_i64(code, target, at, sum);
    }
    let (old, new) = (load_f64(code, target, at), load_f64(code, source, from));
    let sum = if code == dtype::F64 { old + alpha * new } else { f64::from(old as f32 + alpha as f32 * new as f32) };
    store_f64(code, target, at, sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    fn scattered(reduce: i64, include_self: i64) -> [f32; 4] {
        let t = TestContext::new();
        let mut target = [1.0f32, 2.0, 3.0, 4.0];
        let source = [10.0f32, 20.0, 30.0];
        let (sizes, index) = ([4i64], [1i64, 1, 3]);
        unsafe {
            scatter(
                t.ctx(),
                6,
                target.as_mut_ptr().cast(),
                1,
                sizes.as_ptr(),
                0,
                index.as_ptr(),
                [3].as_ptr(),
                source.as_ptr().cast(),
                [3].as_ptr(),
                reduce,
                include_self,
            );
        }
        target
    }

    /// Recorded from `torch.scatter_reduce`.
    #[test]
    fn reductions() {
        assert_eq!(scattered(0, 1), [1.0, 20.0, 3.0, 30.0]);
        assert_eq!(scattered(1, 1), [1.0, 32.0, 3.0, 34.0]);
        assert_eq!(scattered(1, 0), [1.0, 30.0, 3.0, 30.0]);
        assert_eq!(scattered(2, 1), [1.0, 400.0, 3.0, 120.0]);
        assert_eq!(scattered(3, 1), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(scattered(3, 0), [1.0, 10.0, 3.0, 30.0]);
        assert_eq!(scattered(4, 1), [1.0, 20.0, 3.0, 30.0]);
        assert_eq!(scattered(5, 1), [1.0, 32.0 / 3.0, 3.0, 17.0]);
        assert_eq!(scattered(5, 0), [1.0, 15.0, 3.0, 30.0]);
    }

    #[test]
    fn scatter_reads_a_larger_source_and_checks_indices() {
        let t = TestContext::new();
        let mut target = [0i64; 6];
        let source = [1i64, 2, 3, 4, 5, 6];
        unsafe {
            let mut run = |index: [i64; 2]| {
                scatter(
                    t.ctx(),
                    4,
                    target.as_mut_ptr().cast(),
                    2,
                    [2, 3].as_ptr(),
                    1,
                    index.as_ptr(),
                    [2, 1].as_ptr(),
                    source.as_ptr().cast(),
                    [2, 3].as_ptr(),
                    0,
                    1,
                );
                target
            };
            assert_eq!(run([2, 0]), [0, 0, 1, 4, 0, 0]);
            run([0, 3]);
            assert_eq!(t.take_error().1, "index 3 is out of bounds for dimension 1 with size 3");
        }
    }

    #[test]
    fn index_add_and_put() {
        let t = TestContext::new();
        let mut target = [1.0f32; 4];
        let source = [1.0f32, 2.0, 3.0, 4.0];
        unsafe {
            index_add(t.ctx(), 6, target.as_mut_ptr().cast(), 1, 2, 2, [1i64, 1].as_ptr(), 2, source.as_ptr().cast(), 2.0);
            assert_eq!(target, [1.0, 1.0, 9.0, 13.0]);
            index_put(6, target.as_mut_ptr().cast(), [0i64, 0, 3].as_ptr(), 3, 1, source.as_ptr().cast(), 1);
            assert_eq!(target, [4.0, 1.0, 9.0, 16.0]);
            index_put(6, target.as_mut_ptr().cast(), [2i64, 2].as_ptr(), 2, 1, source.as_ptr().cast(), 0);
            assert_eq!(target, [4.0, 1.0, 2.0, 16.0]);
        }
    }
}
