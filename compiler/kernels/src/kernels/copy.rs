//! Copies and fills of constant length, and the copy of image rows into a zero border.

use crate::isa::{Cond, Gpr, Mem, Slot, Src, V, VectorIsa};
use crate::kernels::contraction::repeat;
use crate::kernels::numbers::Numbers;
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

/// As [`move_elements`], for `n` bytes. `values` are the words and the bytes written, the latter as 32-bit lanes.
pub fn move_bytes(isa: &mut dyn VectorIsa, gprs: &mut Gprs, dst: Gpr, src: Option<Gpr>, n: usize, values: [V; 2], mask: V) {
    move_elements(isa, gprs, dst, src, n / 4, values[0], mask);
    if !n.is_multiple_of(4) {
        let rest = isa.make_tail(Src::Imm((n % 4) as i64), mask);
        // What is stored is clobbered.
        isa.vmov(values[0], values[1]);
        if let Some(src) = src {
            isa.load_bytes_tail(values[0], Mem::new(src, 0), false, &rest);
        }
        isa.store_bytes_tail(Mem::new(dst, 0), values[0], false, &rest);
        advance(isa, dst, src, (n % 4) as i64);
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
    /// What is copied, and what stands for zeros.
    pub numbers: Numbers,
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
        let regs = [V(0), V(1), V(2), V(3)];
        let (top, inside, joined) = (isa.label(), isa.label(), isa.label());
        isa.load_slot(dst, buffer);
        isa.load_slot(y, first);
        isa.load_slot(left, count);
        self.set_zeros(isa, regs);
        isa.bind(top);
        isa.mov(src, Src::Imm(self.height as i64));
        isa.branch(Cond::Ult, y, Src::Reg(src), inside);
        self.fill(isa, &mut gprs, dst, self.width(), regs);
        isa.jump(joined);
        isa.bind(inside);
        let base = gprs.take();
        isa.load_slot(base, image);
        isa.mul(src, y, Src::Imm((self.numbers.element().bytes() * self.line) as i64));
        isa.add(src, src, Src::Reg(base));
        gprs.give(base);
        self.row(isa, &mut gprs, dst, src, regs);
        isa.bind(joined);
        isa.add(y, y, Src::Imm(1));
        isa.sub(left, left, Src::Imm(1));
        isa.branch(Cond::Gt, left, Src::Imm(0), top);
    }

    /// The registers that are stored for the border.
    fn set_zeros(&self, isa: &mut dyn VectorIsa, [_, words, bytes, _]: [V; 4]) {
        let zeros = self.numbers.zeros();
        isa.splat(words, zeros);
        isa.splat(bytes, zeros & 0xff);
    }

    /// Writes border pixels.
    fn fill(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, dst: Gpr, pixels: usize, [value, words, bytes, mask]: [V; 4]) {
        let n = pixels * self.channels;
        if self.numbers.element().bytes() == 4 || n.is_multiple_of(4) {
            let words_of = n * self.numbers.element().bytes() / 4;
            return move_elements(isa, gprs, dst, None, words_of, words, mask);
        }
        isa.vmov(value, words);
        move_bytes(isa, gprs, dst, None, n, [value, bytes], mask);
    }

    fn row(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, dst: Gpr, src: Gpr, regs: [V; 4]) {
        let [value, _, bytes, mask] = regs;
        let size = self.numbers.element().bytes();
        let copy = |isa: &mut dyn VectorIsa, gprs: &mut Gprs, n: usize| match size {
            4 => move_elements(isa, gprs, dst, Some(src), n, value, mask),
            _ => move_bytes(isa, gprs, dst, Some(src), n, [value, bytes], mask),
        };
        self.fill(isa, gprs, dst, self.left, regs);
        if self.pitch == self.channels {
            copy(isa, gprs, self.copied * self.channels);
        } else {
            let skip = (size * (self.pitch - self.channels)) as i64;
            repeat(isa, gprs, self.copied, |isa, gprs, _| {
                copy(isa, gprs, self.channels);
                isa.add(src, src, Src::Imm(skip));
            });
        }
        self.fill(isa, gprs, dst, self.right, regs);
    }
}
