//! float16 and bfloat16: conversions from and to float32, rounding to nearest, ties to even.

use crate::export::number_exports;

/// float16 bits to float32; exact.
pub(crate) fn f16_value(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 31;
    let fraction = u32::from(bits) & 0x3ff;
    let magnitude = match exponent {
        0 => (fraction as f32 * f32::from_bits(0x3380_0000)).to_bits(),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// The float16 nearest to a float32; overflow gives infinity, NaN a quiet NaN.
pub(crate) fn f16_bits(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Below 2^-14 the spacing is 2^-24: adding 0.5 leaves the multiple of it, rounded, in the low bits.
        let rounded = f32::from_bits(magnitude) + 0.5;
        return sign | (rounded.to_bits() - 0x3f00_0000) as u16;
    }
    let rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    sign | ((rounded - 0x3800_0000) >> 13) as u16
}

/// bfloat16 bits to float32; exact.
pub(crate) fn bf16_value(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bfloat16 nearest to a float32; NaN becomes PyTorch's 0x7fc0.
pub(crate) fn bf16_bits(x: f32) -> u16 {
    if x.is_nan() {
        return 0x7fc0;
    }
    let bits = x.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

number_exports! {
    /// float16 bits to float32.
    fn f16_to_f32(bits: i64) -> f32 {
        f16_value(bits as u16)
    }

    /// float32 to float16 bits, to nearest even.
    fn f32_to_f16(x: f32) -> i64 {
        i64::from(f16_bits(x))
    }

    /// bfloat16 bits to float32.
    fn bf16_to_f32(bits: i64) -> f32 {
        bf16_value(bits as u16)
    }

    /// float32 to bfloat16 bits, to nearest even.
    fn f32_to_bf16(x: f32) -> i64 {
        i64::from(bf16_bits(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float16_returns() {
        for bits in 0..=u16::MAX {
            let x = f16_value(bits);
            if x.is_nan() {
                assert!(f16_value(f16_bits(x)).is_nan());
            } else {
                assert_eq!(f16_bits(x), bits);
            }
        }
    }

    /// Between neighbours the nearer one is taken, and the even one in the middle.
    #[test]
    fn float16_rounds_to_nearest_even() {
        for bits in 0..0x7bffu16 {
            let (low, high) = (f64::from(f16_value(bits)), f64::from(f16_value(bits + 1)));
            let middle = ((low + high) / 2.0) as f32;
            let even = if bits % 2 == 0 { bits } else { bits + 1 };
            assert_eq!(f16_bits(middle), even);
            assert_eq!(f16_bits(f32::from_bits(middle.to_bits() + 1)), bits + 1);
            assert_eq!(f16_bits(f32::from_bits(middle.to_bits() - 1)), bits);
        }
        assert_eq!(f16_bits(65519.996), 0x7bff);
        assert_eq!(f16_bits(65520.0), 0x7c00);
        assert_eq!(f16_bits(-1e30), 0xfc00);
    }

    #[test]
    fn bfloat16_rounds_to_nearest_even() {
        assert_eq!(bf16_bits(1.0), 0x3f80);
        assert_eq!(bf16_bits(f32::from_bits(0x3f80_8000)), 0x3f80);
        assert_eq!(bf16_bits(f32::from_bits(0x3f81_8000)), 0x3f82);
        assert_eq!(bf16_bits(f32::from_bits(0x3f80_8001)), 0x3f81);
        assert_eq!(bf16_bits(f32::MAX), 0x7f80);
        assert_eq!(bf16_bits(f32::NAN), 0x7fc0);
    }
}
