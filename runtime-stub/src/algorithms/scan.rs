//! Running maximum and minimum along an axis.

use crate::abi::Context;
use crate::algorithms::keys::{code, emit, for_each_lane, is_nan_key, key_at};
use crate::export::exports;

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

exports! {
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
}
