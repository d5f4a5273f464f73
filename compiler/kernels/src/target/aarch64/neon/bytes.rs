//! Bytes on NEON: widening loads, narrowing stores, and exact sums of products.
//!
//! With `i8mm`, `sudot` multiplies signed weights by unsigned bytes. `sdot` (`dotprod`) wants both signed: 128 is taken from every byte of A by flipping
//! its top bit, and what that takes from the sums is put into the accumulators' start. Every armv8.0 has `smull` and `sadalp`: products of bytes in 16 bits,
//! added up in pairs in 32 bits.

use super::{Neon, VECTOR_SCRATCH};
use crate::isa::{DotInfo, Mem, Src, Tail, V};
use crate::target::aarch64::encoder::{self as a64, Arr, Size};

impl Neon {
    pub(super) fn dot_info(&self) -> DotInfo {
        match (self.features.i8mm, self.features.dotprod) {
            (true, _) => DotInfo::SINGLE,
            (false, true) => DotInfo { offset: 128, ..DotInfo::SINGLE },
            // Its panels are those of `sdot`: an object for both kinds of CPUs then has one copy of the weights.
            (false, false) => DotInfo { temps: 4, offset: 128, is_composed: true, ..DotInfo::SINGLE },
        }
    }

    /// `n` groups of four bytes, as signed ones where `sdot` or `smull` take them.
    pub(super) fn dot_groups(&mut self, d: V, m: Mem, n: usize) {
        self.load_first(d, m, n as i64);
        if self.dot_info().offset != 0 {
            let d = self.v(d);
            self.asm.movi(Arr::B16, VECTOR_SCRATCH, 0x80, 0);
            self.asm.veor(Arr::B16, d, d, VECTOR_SCRATCH);
        }
    }

    pub(super) fn dot_product(&mut self, acc: &[V], b: &[V], s: V, lane: u32, tmp: &[V]) {
        let s = self.v(s);
        let pairs: Vec<_> = acc.iter().zip(b).map(|(&acc, &b)| (self.v(acc), self.v(b))).collect();
        if self.features.i8mm {
            return pairs.iter().for_each(|&(acc, b)| self.asm.sudot_lane(Arr::S4, acc, b, s, lane));
        }
        if self.features.dotprod {
            return pairs.iter().for_each(|&(acc, b)| self.asm.sdot_lane(Arr::S4, acc, b, s, lane));
        }
        // The first two bytes of the group beside two weights of each lane, then the other two. In-order cores wait for what is needed at
        // once, so there are several products on their way.
        let [tmp @ .., other] = tmp else { return };
        let tmp: Vec<_> = tmp.iter().map(|&t| self.v(t)).collect();
        let halves = [(VECTOR_SCRATCH, Arr::B8), (self.v(*other), Arr::B16)];
        (0..).zip(halves).for_each(|(half, (d, _))| self.asm.dup_lane(Arr::H8, d, s, 2 * lane + half));
        for (d, arr) in halves {
            for some in pairs.chunks(tmp.len()) {
                some.iter().zip(&tmp).for_each(|(&(_, b), &t)| self.asm.vsmull(arr, t, b, d));
                some.iter().zip(&tmp).for_each(|(&(acc, _), &t)| self.asm.sadalp(Arr::H8, acc, t));
            }
        }
    }

    /// Four bytes of each lane; for `smull` the first two of all lanes in the lower half of the register, the others in the upper.
    pub(super) fn interleave_rows(&mut self, d: &[V], rows: &[V], tmp: [V; 2]) {
        let row = |i: usize| self.v(rows[i.min(rows.len() - 1)]);
        let (rows, [first, last], d) =
            ([0, 1, 2, 3].map(row), tmp.map(|t| self.v(t)), d.iter().map(|&d| self.v(d)).collect::<Vec<_>>());
        let pairs = if self.dot_info().is_composed { Arr::D2 } else { Arr::H8 };
        for (half, d) in d.chunks(2).enumerate() {
            for (t, of) in [(first, [rows[0], rows[1]]), (last, [rows[2], rows[3]])] {
                match half {
                    0 => self.asm.zip1(Arr::B16, t, of[0], of[1]),
                    _ => self.asm.zip2(Arr::B16, t, of[0], of[1]),
                }
            }
            self.asm.zip1(pairs, d[0], first, last);
            d.iter().skip(1).for_each(|&d| self.asm.zip2(pairs, d, first, last));
        }
    }

    pub(super) fn dot_of_lanes(&mut self, acc: V, a: V, w: V, tmp: &[V]) {
        let (acc, a, w) = (self.v(acc), self.v(a), self.v(w));
        if self.features.i8mm {
            return self.asm.usdot(Arr::S4, acc, a, w);
        }
        if self.features.dotprod {
            return self.asm.sdot(Arr::S4, acc, a, w);
        }
        let [low, high, ..] = *tmp else { return };
        let (low, high) = (self.v(low), self.v(high));
        self.asm.vsmull(Arr::B8, low, a, w);
        self.asm.vsmull(Arr::B16, high, a, w);
        self.asm.sadalp(Arr::H8, acc, low);
        self.asm.sadalp(Arr::H8, acc, high);
    }

    /// Four weights of each lane; for `smull` the first two of all lanes in the lower half of the register, the others in the upper.
    pub(super) fn dot_weights(&mut self, d: V, m: Mem) {
        self.load_vector(d, m);
        if self.dot_info().is_composed {
            let d = self.v(d);
            self.asm.uzp1(Arr::H8, VECTOR_SCRATCH, d, d);
            self.asm.uzp2(Arr::H8, d, d, d);
            self.asm.zip1(Arr::D2, d, VECTOR_SCRATCH, d);
        }
    }

    /// Products of bytes are exact as they are.
    pub(super) fn no_words(&mut self) {
        self.error.get_or_insert_with(|| "products of words".into());
    }

    /// The first `n` bytes, each as a 32-bit lane.
    pub(super) fn widen_bytes(&mut self, d: V, m: Mem, signed: bool, n: i64) {
        match n {
            4 => {
                let (d, m) = (self.v(d), self.address(m, Size::S));
                self.asm.ldr_v(Size::S, d, m);
            }
            _ => {
                let (base, d) = (self.plain_address(m), self.v(d));
                self.asm.movi(Arr::B16, d, 0, 0);
                for lane in 0..n as u32 {
                    self.point_at_byte(base, lane);
                    self.asm.ld1_lane(Size::B, d, lane, a64::Mem::Offset(super::SCRATCH, 0));
                }
            }
        }
        let d = self.v(d);
        for arr in [Arr::B8, Arr::H4] {
            match signed {
                true => self.asm.sxtl(arr, d, d),
                false => self.asm.uxtl(arr, d, d),
            }
        }
    }

    /// The first `n` lanes as bytes.
    pub(super) fn narrow_to_bytes(&mut self, m: Mem, s: V, n: i64, signed: bool) {
        let v = self.v(s);
        self.asm.sqxtn(Arr::H4, v, v);
        self.narrow_words(Arr::B8, v, v, signed);
        if n == 4 {
            let m = self.address(m, Size::S);
            return self.asm.str_v(Size::S, v, m);
        }
        let base = self.plain_address(m);
        for lane in 0..n as u32 {
            self.point_at_byte(base, lane);
            self.asm.st1_lane(Size::B, v, lane, a64::Mem::Offset(super::SCRATCH, 0));
        }
    }

    /// The words of `s` as bytes in one half of `d`.
    fn narrow_words(&mut self, half: Arr, d: a64::V, s: a64::V, signed: bool) {
        match signed {
            true => self.asm.sqxtn(half, d, s),
            false => self.asm.sqxtun(half, d, s),
        }
    }

    pub(super) fn pack_lanes(&mut self, d: V, a: V, b: V) {
        let (d, a, b) = (self.v(d), self.v(a), self.v(b));
        self.asm.sqxtn(Arr::H4, d, a);
        self.asm.sqxtn(Arr::H8, d, b);
    }

    pub(super) fn narrow_words_to_bytes(&mut self, m: Mem, s: &[V], signed: bool) {
        let first = self.v(s[0]);
        self.narrow_words(Arr::B8, first, first, signed);
        let size = if s.len() == 2 { Size::Q } else { Size::D };
        for &other in &s[1..] {
            let other = self.v(other);
            self.narrow_words(Arr::B16, first, other, signed);
        }
        let m = self.address(m, size);
        self.asm.str_v(size, first, m);
    }

    /// The scratch register at byte `at` from `base`, which may be the scratch register at the byte before.
    fn point_at_byte(&mut self, base: a64::Gpr, at: u32) {
        match (base == super::SCRATCH, at) {
            (true, 0) => {}
            (true, _) => self.asm.add_imm(super::SCRATCH, super::SCRATCH, 1),
            (false, _) => self.asm.add_any(super::SCRATCH, base, at.into(), super::SCRATCH),
        }
    }

    pub(super) fn constant_length(&mut self, tail: &Tail) -> i64 {
        if let Src::Imm(n) = tail.count {
            return n;
        }
        self.error.get_or_insert_with(|| "a tail of bytes whose length is not a constant".into());
        0
    }
}
