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
        let one =
            DotInfo { seven_bits: false, temps: 0, planned_temps: 0, offset: 0, cost: 1, instructions: 1, is_composed: false };
        match (self.features.i8mm, self.features.dotprod) {
            (true, _) => one,
            (false, true) => DotInfo { offset: 128, ..one },
            // Its panels are those of `sdot`: an object for both kinds of CPUs then has one copy of the weights.
            (false, false) => DotInfo { temps: 4, offset: 128, is_composed: true, ..one },
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

    /// The low bytes of the first `n` lanes.
    pub(super) fn narrow_to_bytes(&mut self, m: Mem, s: V, n: i64) {
        let v = self.v(s);
        self.asm.xtn(Arr::H4, v, v);
        self.asm.xtn(Arr::B8, v, v);
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

    /// The low bytes of the lanes of two vectors.
    pub(super) fn narrow_pair_to_bytes(&mut self, m: Mem, s: [V; 2]) {
        let [a, b] = s.map(|v| self.v(v));
        self.asm.uzp1(Arr::H8, a, a, b);
        self.asm.xtn(Arr::B8, a, a);
        let m = self.address(m, Size::D);
        self.asm.str_v(Size::D, a, m);
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
