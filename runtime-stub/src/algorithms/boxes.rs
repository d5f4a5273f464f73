//! Boxes in images: which of them to keep where several overlap.

use crate::abi::dtype;
use crate::algorithms::keys::code;
use crate::export::exports;
use crate::tensor::element::load_f64;

/// A box: left, top, right, bottom.
type Corners = [f64; 4];

unsafe fn corners(code: u32, boxes: *const u8, at: i64) -> Corners {
    [0, 1, 2, 3].map(|side| load_f64(code, boxes, 4 * at + side))
}

/// Arithmetic in the boxes' own type: results of binary32 operands are rounded to it.
fn rounded(code: u32, x: f64) -> f64 {
    if code == dtype::F64 { x } else { f64::from(x as f32) }
}

fn area(code: u32, [left, top, right, bottom]: Corners) -> f64 {
    rounded(code, rounded(code, right - left) * rounded(code, bottom - top))
}

/// The intersection of two boxes over their union.
fn overlap(code: u32, a: Corners, b: Corners) -> f64 {
    let width = rounded(code, a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = rounded(code, a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let both = rounded(code, width * height);
    let union = rounded(code, rounded(code, area(code, a) + area(code, b)) - both);
    rounded(code, both / union)
}

exports! {
    /// Which of n boxes (left, top, right, bottom, the best one first) overlap none that is kept before them by more than
    /// `threshold` (intersection over union): `kept` gets one byte each.
    fn nms(dtype: i64, boxes: *const u8, n: i64, threshold: f64, kept: *mut u8) {
        let code = code(dtype);
        for at in 0..n {
            let own = corners(code, boxes, at);
            let is_covered = (0..at).any(|better| {
                let keeps = *kept.offset(better as isize) != 0;
                keeps && overlap(code, corners(code, boxes, better), own) > threshold
            });
            *kept.offset(at as isize) = u8::from(!is_covered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_boxes_go() {
        let boxes = [0.0f32, 0.0, 10.0, 10.0, 1.0, 1.0, 10.0, 10.0, 20.0, 20.0, 30.0, 30.0, 5.0, 0.0, 15.0, 10.0];
        let mut kept = [9u8; 4];
        unsafe { nms(i64::from(dtype::F32), boxes.as_ptr().cast(), 4, 0.5, kept.as_mut_ptr()) };
        assert_eq!(kept, [1, 0, 1, 1]);
        unsafe { nms(i64::from(dtype::F32), boxes.as_ptr().cast(), 4, 0.3, kept.as_mut_ptr()) };
        assert_eq!(kept, [1, 0, 1, 0]);
    }
}
