//! Elements as 64-bit keys: unsigned order of the keys is the order of the elements, with NaN last.

use crate::abi::dtype;
use crate::tensor::element::{element_bytes, is_float, load_f64, load_i64};

/// The key of every NaN.
const NAN_KEY: u64 = u64::MAX;

/// A key and where its element came from.
#[derive(Clone, Copy)]
pub(crate) struct Keyed {
    pub(crate) key: u64,
    pub(crate) index: i64,
}

/// Key of an element; zeros of both signs have one.
pub(crate) unsafe fn key_at(code: u32, data: *const u8, index: i64) -> u64 {
    if !is_float(code) {
        return load_i64(code, data, index) as u64 ^ 1 << 63;
    }
    let x = load_f64(code, data, index) + 0.0;
    if x.is_nan() {
        return NAN_KEY;
    }
    let bits = x.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Whether a key of that dtype is a NaN's.
pub(crate) fn is_nan_key(code: u32, key: u64) -> bool {
    key == NAN_KEY && is_float(code)
}

/// The elements of one operand along its axis: `[outer][len][inner]`, seen at one outer and inner index.
#[derive(Clone, Copy)]
pub(crate) struct Lane {
    /// Offset of the first element.
    start: i64,
    /// Distance between elements.
    step: i64,
}

impl Lane {
    /// Offset of the element at a place of the axis.
    pub(crate) fn at(self, place: i64) -> i64 {
        self.start + place * self.step
    }
}

/// Calls `each` with the lanes of an input of axis length `len` and of an output of axis length `out_len`.
pub(crate) fn for_each_lane(outer: i64, len: i64, out_len: i64, inner: i64, mut each: impl FnMut(Lane, Lane) -> bool) {
    for o in 0..outer {
        for i in 0..inner {
            let lane = Lane { start: o * len * inner + i, step: inner };
            let out = Lane { start: o * out_len * inner + i, step: inner };
            if !each(lane, out) {
                return;
            }
        }
    }
}

/// Copies one element.
pub(crate) unsafe fn copy_element(code: u32, from: *const u8, at: i64, to: *mut u8, place: i64) {
    copy_bytes(element_bytes(code) as i64, from, at, to, place);
}

/// Copies one element of a known size.
pub(crate) unsafe fn copy_bytes(bytes: i64, from: *const u8, at: i64, to: *mut u8, place: i64) {
    let (source, target) = (from.offset((at * bytes) as isize), to.offset((place * bytes) as isize));
    match bytes {
        4 => target.cast::<u32>().write_unaligned(source.cast::<u32>().read_unaligned()),
        8 => target.cast::<u64>().write_unaligned(source.cast::<u64>().read_unaligned()),
        1 => target.write(source.read()),
        _ => core::ptr::copy(source, target, bytes as usize),
    }
}

/// Writes a selected element and its index where outputs are wanted.
pub(crate) unsafe fn emit(code: u32, x: *const u8, lane: Lane, chosen: i64, values: *mut u8, indices: *mut i64, place: i64) {
    if !values.is_null() {
        copy_element(code, x, lane.at(chosen), values, place);
    }
    if !indices.is_null() {
        *indices.offset(place as isize) = chosen;
    }
}

/// Fills `items` with the keys of a lane.
pub(crate) unsafe fn load_lane(code: u32, x: *const u8, lane: Lane, items: &mut [Keyed]) {
    for (index, item) in (0..).zip(items) {
        *item = Keyed { key: key_at(code, x, lane.at(index)), index };
    }
}

/// The dtype code of an argument.
pub(crate) fn code(dtype: i64) -> u32 {
    u32::try_from(dtype).unwrap_or(dtype::BF16 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_of_elements() {
        let floats = [f64::NEG_INFINITY, -1e300, -1.5, -1e-310, 0.0, 5e-324, 1.0, f64::MAX, f64::INFINITY, f64::NAN];
        let keys: Vec<u64> = (0..10).map(|i| unsafe { key_at(dtype::F64, floats.as_ptr().cast(), i) }).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        let zeros = [0.0f32, -0.0, -f32::NAN, f32::NAN];
        let key = |i| unsafe { key_at(dtype::F32, zeros.as_ptr().cast(), i) };
        assert_eq!((key(0), key(2)), (key(1), key(3)));
        assert!(is_nan_key(dtype::F32, key(2)));
        let ints = [i64::MIN, -1, 0, i64::MAX];
        let keys: Vec<u64> = (0..4).map(|i| unsafe { key_at(dtype::I64, ints.as_ptr().cast(), i) }).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(!is_nan_key(dtype::I64, keys[3]));
    }
}
