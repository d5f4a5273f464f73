//! Immediates with an encoding of their own: bit masks of the logical instructions, 8-bit floating-point numbers, and the
//! replicated patterns of `movi` and `mvni`.

use super::{Arr, Assembler, Reason, V};

/// The `N:immr:imms` field (13 bits) of a logical immediate, or `None` when `value` is not a rotated run of ones repeated over the register
/// (Arm ARM, `DecodeBitMasks`). For 32 bits, the upper half of `value` must be zero.
pub fn bitmask_immediate(value: u64, wide: bool) -> Option<u32> {
    if !wide && value >> 32 != 0 {
        return None;
    }
    let value = if wide { value } else { value | value << 32 };
    if value == 0 || value == u64::MAX {
        return None;
    }
    let size = smallest_period(value);
    let mask = u64::MAX >> (64 - size);
    let element = value & mask;
    let rotation = run_start(element, size);
    let run = rotate_right(element, rotation, size);
    let ones = run.trailing_ones();
    if run != u64::MAX >> (64 - ones) {
        return None;
    }
    let n = u32::from(size == 64);
    let immr = (size - rotation) % size;
    // The element size is told by leading ones of `imms`, followed by a zero.
    let imms = (!(size * 2 - 1) & 0x3f) | (ones - 1);
    Some(n << 12 | immr << 6 | imms)
}

/// The shortest element, in bits, whose repetition is `value`.
fn smallest_period(value: u64) -> u32 {
    let mut size = 64;
    while size > 2 && value.rotate_right(size / 2) == value {
        size /= 2;
    }
    size
}

/// The lowest bit of a run of ones in an element that is neither empty nor full, where the run may wrap around.
fn run_start(element: u64, size: u32) -> u32 {
    if element & 1 == 0 {
        return element.trailing_zeros();
    }
    let zeros = !element << (64 - size);
    (size - zeros.leading_zeros()) % size
}

fn rotate_right(element: u64, amount: u32, size: u32) -> u64 {
    if amount == 0 {
        return element;
    }
    (element >> amount | element << (size - amount)) & (u64::MAX >> (64 - size))
}

/// The 8 bits of a floating-point immediate, or `None` when `value` is not ±n/16 · 2^r with n in 16..=31 and r in -3..=4.
pub fn fp_immediate(value: f64) -> Option<u32> {
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i64 - 1023;
    let exact = bits & ((1 << 48) - 1) == 0;
    (exact && (-3..=4).contains(&exponent)).then(|| {
        let sign = (bits >> 63) as u32;
        let fraction = (bits >> 48 & 0xf) as u32;
        // b:c:d counts -3..=0 with b set, then 1..=4 with b clear.
        sign << 7 | ((exponent + 7) as u32 & 7) << 4 | fraction
    })
}

/// `movi`/`mvni` of a 32-bit pattern in every lane.
struct Pattern32 {
    invert: bool,
    byte: u32,
    cmode: u32,
}

/// The single instruction that gives `bits` in every 32-bit lane, if there is one of the shifted forms.
fn pattern32(bits: u32) -> Option<Pattern32> {
    [(false, bits), (true, !bits)].into_iter().find_map(|(invert, bits)| {
        let shifted = (0..4).find(|i| bits & !(0xff << (8 * i)) == 0);
        shifted.map(|i| Pattern32 { invert, byte: bits >> (8 * i) & 0xff, cmode: 2 * i }).or_else(|| {
            let ones = [(0xff, 8, 0xc), (0xffff, 16, 0xd)].into_iter();
            ones.filter(|(low, shift, _)| bits & low == *low && bits >> shift <= 0xff)
                .map(|(_, shift, cmode)| Pattern32 { invert, byte: bits >> shift, cmode })
                .next()
        })
    })
}

impl Assembler {
    /// Fills every 32-bit lane of the whole register with `bits` in one instruction; `false`, and nothing written, when none can.
    pub fn try_splat32(&mut self, d: V, bits: u32) -> bool {
        if let Some(pattern) = pattern32(bits) {
            self.modified_immediate("movi", Arr::S4, d, pattern.invert, pattern.cmode, pattern.byte);
            return true;
        }
        if bits == (bits & 0xff) * 0x0101_0101 {
            self.movi(Arr::B16, d, bits as u8, 0);
            return true;
        }
        if bits >> 16 == bits & 0xffff {
            return self.try_splat16(d, bits as u16);
        }
        let value = f64::from(f32::from_bits(bits));
        let is_short = fp_immediate(value).is_some();
        if is_short {
            self.fmov_imm(Arr::S4, d, value);
        }
        is_short
    }

    /// Fills every 16-bit lane of the whole register with `bits` in one instruction; `false`, and nothing written, when none can.
    /// The fp16 form of `fmov` is not used, so that any armv8.0 processor runs it.
    pub fn try_splat16(&mut self, d: V, bits: u16) -> bool {
        let bits = u32::from(bits);
        let choice = [(false, bits), (true, !bits & 0xffff)].into_iter().find_map(|(invert, bits)| {
            let i = (0..2).find(|i| bits & !(0xff << (8 * i)) == 0)?;
            Some((invert, bits >> (8 * i), 8 + 2 * i))
        });
        if let Some((invert, byte, cmode)) = choice {
            self.modified_immediate("movi", Arr::H8, d, invert, cmode, byte);
        } else if bits >> 8 == bits & 0xff {
            self.movi(Arr::B16, d, bits as u8, 0);
            return true;
        }
        choice.is_some()
    }

    /// `movi`: `byte << shift` in every lane of 8, 16 or 32 bits; for 64 bits each bit of `byte` fills one byte, and the shift is 0.
    pub fn movi(&mut self, t: Arr, d: V, byte: u8, shift: u32) {
        let (cmode, invert) = match t {
            Arr::B8 | Arr::B16 => (0xe, false),
            Arr::H4 | Arr::H8 => (8 + shift / 4, false),
            Arr::S2 | Arr::S4 => (shift / 4, false),
            Arr::D1 | Arr::D2 => (0xe, true),
        };
        let limit = if matches!(t, Arr::D1 | Arr::D2) { 8 } else { t.size().bits() };
        self.require("movi", shift.is_multiple_of(8) && shift < limit, shift.into());
        self.modified_immediate("movi", t, d, invert, cmode, byte.into());
    }

    /// `mvni`: the inverse of `byte << shift` in every lane of 16 or 32 bits.
    pub fn mvni(&mut self, t: Arr, d: V, byte: u8, shift: u32) {
        let cmode = match t {
            Arr::H4 | Arr::H8 => 8 + shift / 4,
            Arr::S2 | Arr::S4 => shift / 4,
            _ => return self.fail("mvni", Reason::Arrangement),
        };
        self.require("mvni", shift.is_multiple_of(8) && shift < t.size().bits(), shift.into());
        self.modified_immediate("mvni", t, d, true, cmode, byte.into());
    }

    /// `fmov` (vector, immediate): a number with an 8-bit encoding ([`fp_immediate`]) in every lane of 16 (fp16), 32 or 64 bits.
    pub fn fmov_imm(&mut self, t: Arr, d: V, value: f64) {
        let Some(byte) = fp_immediate(value) else {
            return self.fail("fmov_imm", Reason::Immediate(value as i64));
        };
        match t {
            // The fp16 form is the single-precision one with bit 11 set.
            Arr::H4 | Arr::H8 => {
                self.modified_immediate("fmov_imm", t, d, false, 0xf, byte);
                if let Some(word) = self.words.last_mut() {
                    *word |= 1 << 11;
                }
            }
            Arr::S2 | Arr::S4 => self.modified_immediate("fmov_imm", t, d, false, 0xf, byte),
            Arr::D2 => self.modified_immediate("fmov_imm", t, d, true, 0xf, byte),
            _ => self.fail("fmov_imm", Reason::Arrangement),
        }
    }

    fn modified_immediate(&mut self, name: &'static str, t: Arr, d: V, op: bool, cmode: u32, byte: u32) {
        let fields = t.q() | u32::from(op) << 29 | cmode << 12 | (byte >> 5 & 7) << 16 | (byte & 31) << 5;
        let d = self.vector(name, d);
        self.emit(0x0f00_0400 | fields | d);
    }
}
