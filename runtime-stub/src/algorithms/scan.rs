//! Running maximum and minimum, sums and products along an axis.

use crate::abi::Context;
use crate::algorithms::keys::{code, emit, for_each_lane, is_nan_key, key_at};
use crate::export::exports;
use crate::tensor::element::{is_float, load_f64, load_i64, store_f64, store_i64};

/// The lanes and outputs of a scan.
struct Scan {
    code: u32,
    x: *const u8,
    values: *mut u8,
    indices: *mut i64,
}

impl Scan {
    /// Keeps the best so far; the later of two equals, and the latest NaN once there is one.
    unsafe fn run(&self, outer: i64, len: i64, inner: i64, flip: u64) {
        for_each_lane(outer, len, len, inner, |lane, out| {
            let (mut best, mut best_key, mut nan) = (0, 0u64, false);
            for place in 0..len {
                let key = key_at(self.code, self.x, lane.at(place));
                let is_nan = is_nan_key(self.code, key);
                if place == 0 || is_nan || !nan && key ^ flip >= best_key {
                    (best, best_key, nan) = (place, key ^ flip, is_nan);
                }
                emit(self.code, self.x, lane, best, self.values, self.indices, out.at(place));
            }
            true
        });
    }
}

/// log(exp(a) + exp(b)) without overflow.
fn log_add_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    if low == high && low.is_infinite() { low } else { high + libm::log1p(libm::exp(low - high)) }
}

/// What a running combination does.
#[derive(Clone, Copy, PartialEq)]
enum Combination {
    Sum,
    Product,
    LogSumExp,
}

impl Combination {
    fn of(operation: i64) -> Combination {
        match operation {
            0 => Combination::Sum,
            1 => Combination::Product,
            _ => Combination::LogSumExp,
        }
    }

    fn start(self) -> f64 {
        match self {
            Combination::Sum => 0.0,
            Combination::Product => 1.0,
            Combination::LogSumExp => f64::NEG_INFINITY,
        }
    }

    fn floats(self, a: f64, b: f64) -> f64 {
        match self {
            Combination::Sum => a + b,
            Combination::Product => a * b,
            Combination::LogSumExp => log_add_exp(a, b),
        }
    }

    fn ints(self, a: i64, b: i64) -> i64 {
        if self == Combination::Product { a.wrapping_mul(b) } else { a.wrapping_add(b) }
    }
}

exports! {
    /// Running sums (`operation` 0), products (1) or logarithms of sums of exponentials (2, floats only) along the axis
    /// of `[outer][len][inner]`, accumulated in binary64 or, for integers, in 64 bits that wrap.
    fn cumulative(ctx: *mut Context, dtype: i64, x: *const u8, out: *mut u8, outer: i64, len: i64, inner: i64, operation: i64) {
        let _ = ctx;
        let (code, operation) = (code(dtype), Combination::of(operation));
        for_each_lane(outer, len, len, inner, |lane, target| {
            let (mut float, mut int) = (operation.start(), operation.start() as i64);
            for place in 0..len {
                if is_float(code) {
                    float = operation.floats(float, load_f64(code, x, lane.at(place)));
                    store_f64(code, out, target.at(place), float);
                } else {
                    int = operation.ints(int, load_i64(code, x, lane.at(place)));
                    store_i64(code, out, target.at(place), int);
                }
            }
            true
        });
    }

    /// `torch.cummax` along the axis of `[outer][len][inner]`: values and places.
    fn cummax(ctx: *mut Context, dtype: i64, x: *const u8, values: *mut u8, indices: *mut i64, outer: i64, len: i64, inner: i64) {
        let _ = ctx;
        Scan { code: code(dtype), x, values, indices }.run(outer, len, inner, 0);
    }

    /// `torch.cummin`, likewise.
    fn cummin(ctx: *mut Context, dtype: i64, x: *const u8, values: *mut u8, indices: *mut i64, outer: i64, len: i64, inner: i64) {
        let _ = ctx;
        Scan { code: code(dtype), x, values, indices }.run(outer, len, inner, u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    /// Recorded from PyTorch 2.15.
    #[test]
    fn running_extremes() {
        let t = TestContext::new();
        let x = [1.0f32, 3.0, 3.0, 2.0, f32::NAN, 5.0, f32::NAN];
        let (mut values, mut indices) = ([0f32; 7], [0i64; 7]);
        unsafe {
            cummax(t.ctx(), 6, x.as_ptr().cast(), values.as_mut_ptr().cast(), indices.as_mut_ptr(), 1, 7, 1);
            assert_eq!(indices, [0, 1, 2, 2, 4, 4, 6]);
            assert!(values[..4] == [1.0, 3.0, 3.0, 3.0] && values[5].is_nan());
            cummin(t.ctx(), 6, x.as_ptr().cast(), values.as_mut_ptr().cast(), indices.as_mut_ptr(), 1, 4, 1);
            assert_eq!(indices[..4], [0, 0, 0, 0]);
        }
    }

    #[test]
    fn running_combinations() {
        let t = TestContext::new();
        let x = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut out = [0f32; 6];
        let run = |operation, out: &mut [f32; 6]| unsafe {
            cumulative(t.ctx(), 6, x.as_ptr().cast(), out.as_mut_ptr().cast(), 1, 3, 2, operation);
        };
        run(0, &mut out);
        assert_eq!(out, [1.0, 2.0, 4.0, 6.0, 9.0, 12.0]);
        run(1, &mut out);
        assert_eq!(out, [1.0, 2.0, 3.0, 8.0, 15.0, 48.0]);
        run(2, &mut out);
        assert!((f64::from(out[4]) - 5.142931628499899).abs() < 1e-6);
        let (ints, mut sums) = ([i64::MAX, 1, 1], [0i64; 3]);
        unsafe { cumulative(t.ctx(), 4, ints.as_ptr().cast(), sums.as_mut_ptr().cast(), 1, 3, 1, 0) };
        assert_eq!(sums, [i64::MAX, i64::MIN, i64::MIN + 1]);
    }
}
