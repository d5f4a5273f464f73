//! Single elements of any dtype: sizes, names, loads and stores with PyTorch's conversions.
//!
//! Integers travel as i64, floating-point elements as f64 (which holds every smaller type exactly). Float to integer
//! truncates; what does not fit gives what x86-64 gives, the smallest integer of the conversion's width.

use crate::abi::dtype;
use crate::tensor::half::{bf16_bits, bf16_value, f16_bits, f16_value};

/// Bytes of one element; 0 for an unknown dtype.
pub(crate) fn element_bytes(code: u32) -> usize {
    match code {
        dtype::U8 | dtype::I8 | dtype::BOOL | dtype::QI8 | dtype::QU8 => 1,
        dtype::I16 | dtype::F16 | dtype::BF16 => 2,
        dtype::I32 | dtype::F32 | dtype::QI32 => 4,
        dtype::I64 | dtype::F64 => 8,
        _ => 0,
    }
}

/// Whether the dtype is a floating-point type.
pub(crate) fn is_float(code: u32) -> bool {
    matches!(code, dtype::F16 | dtype::F32 | dtype::F64 | dtype::BF16)
}

/// The name of the tensor type in printed tensors: `CPUFloatType` without `CPU` and `Type`.
pub(crate) fn type_name(code: u32) -> &'static str {
    match code {
        dtype::U8 => "Byte",
        dtype::I8 => "Char",
        dtype::I16 => "Short",
        dtype::I32 => "Int",
        dtype::I64 => "Long",
        dtype::F16 => "Half",
        dtype::F32 => "Float",
        dtype::F64 => "Double",
        dtype::BOOL => "Bool",
        dtype::BF16 => "BFloat16",
        dtype::QI8 => "QInt8",
        dtype::QU8 => "QUInt8",
        dtype::QI32 => "QInt32",
        _ => "Undefined",
    }
}

/// An element as f64: exact but for large i64.
pub(crate) unsafe fn load_f64(code: u32, data: *const u8, index: i64) -> f64 {
    let at = data.offset(index as isize * element_bytes(code) as isize);
    match code {
        dtype::F16 => f64::from(f16_value(at.cast::<u16>().read_unaligned())),
        dtype::BF16 => f64::from(bf16_value(at.cast::<u16>().read_unaligned())),
        dtype::F32 => f64::from(at.cast::<f32>().read_unaligned()),
        dtype::F64 => at.cast::<f64>().read_unaligned(),
        _ => load_int(code, at) as f64,
    }
}

/// An element as i64; floats are truncated.
pub(crate) unsafe fn load_i64(code: u32, data: *const u8, index: i64) -> i64 {
    if is_float(code) {
        return truncate(load_f64(code, data, index));
    }
    load_int(code, data.offset(index as isize * element_bytes(code) as isize))
}

unsafe fn load_int(code: u32, at: *const u8) -> i64 {
    match code {
        dtype::U8 | dtype::BOOL | dtype::QU8 => i64::from(at.read()),
        dtype::I8 | dtype::QI8 => i64::from(at.cast::<i8>().read()),
        dtype::I16 => i64::from(at.cast::<i16>().read_unaligned()),
        dtype::I32 | dtype::QI32 => i64::from(at.cast::<i32>().read_unaligned()),
        dtype::I64 => at.cast::<i64>().read_unaligned(),
        _ => 0,
    }
}

/// Truncation to i64; the smallest one for NaN and for what does not fit.
pub(crate) fn truncate(x: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x) { x as i64 } else { i64::MIN }
}

/// Truncation to i32, the same way.
fn truncate_i32(x: f64) -> i32 {
    let x = truncate(x);
    if x == i64::from(x as i32) { x as i32 } else { i32::MIN }
}

/// Stores an f64 with conversion.
pub(crate) unsafe fn store_f64(code: u32, data: *mut u8, index: i64, x: f64) {
    let at = data.offset(index as isize * element_bytes(code) as isize);
    match code {
        dtype::F16 => at.cast::<u16>().write_unaligned(f16_bits(x as f32)),
        dtype::BF16 => at.cast::<u16>().write_unaligned(bf16_bits(x as f32)),
        dtype::F32 => at.cast::<f32>().write_unaligned(x as f32),
        dtype::F64 => at.cast::<f64>().write_unaligned(x),
        dtype::BOOL => at.write(u8::from(x != 0.0)),
        dtype::I64 | dtype::U8 => store_int(code, at, truncate(x)),
        _ => store_int(code, at, i64::from(truncate_i32(x))),
    }
}

/// Stores an i64 with conversion; integers wrap, bool is `x != 0`.
pub(crate) unsafe fn store_i64(code: u32, data: *mut u8, index: i64, x: i64) {
    let at = data.offset(index as isize * element_bytes(code) as isize);
    match code {
        dtype::F16 => at.cast::<u16>().write_unaligned(f16_bits(x as f32)),
        dtype::BF16 => at.cast::<u16>().write_unaligned(bf16_bits(x as f32)),
        dtype::F32 => at.cast::<f32>().write_unaligned(x as f32),
        dtype::F64 => at.cast::<f64>().write_unaligned(x as f64),
        _ => store_int(code, at, x),
    }
}

unsafe fn store_int(code: u32, at: *mut u8, x: i64) {
    match code {
        dtype::BOOL => at.write(u8::from(x != 0)),
        dtype::U8 | dtype::QU8 | dtype::I8 | dtype::QI8 => at.write(x as u8),
        dtype::I16 => at.cast::<i16>().write_unaligned(x as i16),
        dtype::I32 | dtype::QI32 => at.cast::<i32>().write_unaligned(x as i32),
        dtype::I64 => at.cast::<i64>().write_unaligned(x),
        _ => {}
    }
}

/// Converts one element from one dtype to another.
pub(crate) unsafe fn convert(from: u32, source: *const u8, at: i64, to: u32, target: *mut u8, index: i64) {
    if is_float(from) {
        store_f64(to, target, index, load_f64(from, source, at));
    } else {
        store_i64(to, target, index, load_i64(from, source, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_between_dtypes() {
        let mut out = [0u8; 8];
        let mut store = |code: u32, x: f64| unsafe {
            store_f64(code, out.as_mut_ptr(), 0, x);
            load_f64(code, out.as_ptr(), 0)
        };
        assert_eq!(store(dtype::U8, 300.7), 44.0);
        assert_eq!(store(dtype::U8, -1.0), 255.0);
        assert_eq!(store(dtype::I8, 200.0), -56.0);
        assert_eq!(store(dtype::I32, 1e20), f64::from(i32::MIN));
        assert_eq!(store(dtype::I64, f64::NAN), i64::MIN as f64);
        assert_eq!(store(dtype::BOOL, 0.25), 1.0);
        assert_eq!(store(dtype::F16, 1.0 / 3.0), 0.333251953125);
        assert_eq!(store(dtype::BF16, 1.0 / 3.0), 0.333984375);
    }

    #[test]
    fn large_ints_keep_all_bits() {
        let mut out = [0u8; 8];
        unsafe {
            store_i64(dtype::I64, out.as_mut_ptr(), 0, i64::MAX - 1);
            assert_eq!(load_i64(dtype::I64, out.as_ptr(), 0), i64::MAX - 1);
            store_i64(dtype::I16, out.as_mut_ptr(), 1, 70_000);
            assert_eq!(load_i64(dtype::I16, out.as_ptr(), 1), 4464);
        }
    }
}
