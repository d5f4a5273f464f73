//! Copies and fills of constant length, and the copy of image rows into a zero border.

use crate::isa::{Cond, Gpr, Mem, Slot, Src, V, VectorIsa};
use crate::kernels::contraction::repeat;
use crate::kernels::registers::Gprs;

/// Vectors moved per turn.
const UNROLL: usize = 4;

/// Writes `n` elements at `dst`, taken from `src` or all equal to `value`. Both pointers end after the last element.
/// `value` is clobbered if there is a source; `mask` is clobbered.
pub fn move_elements(isa: &mut dyn VectorIsa, gprs: &mut Gprs, dst: Gpr, src: Option<Gpr>, n: usize, value: V, mask: V) {
    let (lanes, bytes) = (isa.info().lanes, isa.info().bytes());
    let vectors = |isa: &mut dyn VectorIsa, count: usize| {
        for i in 0..count as i32 {
            if let Some(src) = src {
                isa.load(value, Mem::new(src, i * bytes));
            }
            isa.store(Mem::new(dst, i * bytes), value);
        }
        advance(isa, dst, src, count as i64 * i64::from(bytes));
    };
    repeat(isa, gprs, n / lanes / UNROLL, |isa, _, _| vectors(isa, UNROLL));
    let rest = n / lanes % UNROLL;
    if rest > 0 {
        vectors(isa, rest);
    }
    let tail = n % lanes;
    if tail > 0 {
        let t = isa.make_tail(Src::Imm(tail as i64), mask);
        if let Some(src) = src {
            isa.load_tail(value, Mem::new(src, 0), &t);
        }
        isa.store_tail(Mem::new(dst, 0), value, &t);
        advance(isa, dst, src, 4 * tail as i64);
    }
}

fn advance(isa: &mut dyn VectorIsa, dst: Gpr, src: Option<Gpr>, bytes: i64) {
    isa.add(dst, dst, Src::Imm(bytes));
    if let Some(src) = src {
        isa.add(src, src, Src::Imm(bytes));
    }
}

/// A copy of image rows into a dense buffer with borders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Border {
    /// Image height.
    pub height: usize,
    /// Elements between image rows.
    pub line: usize,
    /// Elements between pixels of the image.
    pub pitch: usize,
    /// Elements copied per pixel; also the distance of pixels in the buffer.
    pub channels: usize,
    /// Border pixels before each row.
    pub left: usize,
    /// Pixels copied per row.
    pub copied: usize,
    /// Border pixels after each row.
    pub right: usize,
}

impl Border {
    /// Pixels of a row of the buffer.
    pub fn width(&self) -> usize {
        self.left + self.copied + self.right
    }

    /// Fills the buffer. Slots: `image` the address of row 0 of the image, `first` the (signed) number of the first row wanted,
    /// `count` how many (at least one), `buffer` where they go. Rows outside of the image are border.
    pub fn emit(&self, isa: &mut dyn VectorIsa, image: Slot, first: Slot, count: Slot, buffer: Slot) {
        let mut gprs = Gprs::all(isa.info().gprs);
        let (dst, src, y, left) = (gprs.take(), gprs.take(), gprs.take(), gprs.take());
        let (value, zero, mask) = (V(0), V(1), V(2));
        let (top, inside, joined) = (isa.label(), isa.label(), isa.label());
        isa.load_slot(dst, buffer);
        isa.load_slot(y, first);
        isa.load_slot(left, count);
        isa.splat(zero, 0);
        isa.bind(top);
        isa.mov(src, Src::Imm(self.height as i64));
        isa.branch(Cond::Ult, y, Src::Reg(src), inside);
        move_elements(isa, &mut gprs, dst, None, self.width() * self.channels, zero, mask);
        isa.jump(joined);
        isa.bind(inside);
        let base = gprs.take();
        isa.load_slot(base, image);
        isa.mul(src, y, Src::Imm(4 * self.line as i64));
        isa.add(src, src, Src::Reg(base));
        gprs.give(base);
        self.row(isa, &mut gprs, dst, src, [value, zero, mask]);
        isa.bind(joined);
        isa.add(y, y, Src::Imm(1));
        isa.sub(left, left, Src::Imm(1));
        isa.branch(Cond::Gt, left, Src::Imm(0), top);
    }

    fn row(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, dst: Gpr, src: Gpr, [value, zero, mask]: [V; 3]) {
        move_elements(isa, gprs, dst, None, self.left * self.channels, zero, mask);
        if self.pitch == self.channels {
            move_elements(isa, gprs, dst, Some(src), self.copied * self.channels, value, mask);
        } else {
            let skip = 4 * (self.pitch - self.channels) as i64;
            repeat(isa, gprs, self.copied, |isa, gprs, _| {
                move_elements(isa, gprs, dst, Some(src), self.channels, value, mask);
                isa.add(src, src, Src::Imm(skip));
            });
        }
        move_elements(isa, gprs, dst, None, self.right * self.channels, zero, mask);
    }
}
