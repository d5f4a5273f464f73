//! Products of bytes where the fast instruction is exact only for bytes of A up to 127 ([`crate::isa::DotInfo::seven_bits`]).
//!
//! A tile looks at its rows, some hundred steps at a time. If no byte has its top bit set, which is the rule for models that PyTorch quantized for
//! x86 (it leaves out that bit for the same reason), the fast instruction does it. Else the rows are split into words: the even bytes of each group of four
//! beside each other, and the odd ones; both sides are multiplied as words, exactly. What is widened lies in scratch memory that never leaves the first-level
//! cache.

use crate::isa::{BinOp, Cond, Element, Gpr, IsaInfo, Label, Mem, Slot, Src, Tail, V, VectorIsa};
use crate::kernels::contraction::{Regs, RowBases, TileEmitter, Walk, repeat, row};
use crate::kernels::numbers::{Numbers, load};
use crate::kernels::registers::Gprs;
use crate::select::TilePlan;

/// Most steps that are looked at together: six rows of these take 13 KB as words.
const PIECE: usize = 256;
/// Of shorter runs, all are looked at together.
pub const SHORT: usize = 32;
/// Behind even and odd words: the last vector is stored whole. It also keeps rows out of each other's cache sets.
const SLACK: usize = 64;

/// Bytes from the even words of a row to its odd ones, for runs of `run` steps.
pub fn half(run: usize) -> usize {
    4 * run.min(PIECE) + SLACK
}

/// Scratch memory that tiles of this plan need; 0 where the products are exact.
pub fn scratch_bytes(info: &IsaInfo, numbers: Numbers, plan: &TilePlan, walk: &Walk) -> usize {
    let rows = plan.groups.iter().map(|g| g.mr).max().unwrap_or(0);
    if numbers.has_seven_bits(info) { 2 * rows * half(walk.run) } else { 0 }
}

/// `run` steps in pieces: how many there are of which length. They are equal where that makes them only a little shorter.
pub fn pieces(run: usize) -> impl Iterator<Item = (usize, usize)> {
    let least = run.div_ceil(PIECE);
    let equal = (least..=2 * least).find(|&count| run.is_multiple_of(count));
    let pieces = equal.map_or([(run / PIECE, PIECE), (1, run % PIECE)], |count| [(count, run / count), (0, 0)]);
    pieces.into_iter().filter(|&(count, steps)| count * steps > 0)
}

/// The next steps of the rows of a tile.
pub struct Piece<'a> {
    /// The rows.
    pub rows: &'a RowBases,
    /// Their number.
    pub count: usize,
    /// Offset of the first step; kept.
    pub k: Gpr,
    /// Steps.
    pub walk: Walk,
    /// Registers that are clobbered.
    pub tmp: [V; 3],
}

impl Piece<'_> {
    /// Goes to `label` if a byte has its top bit set.
    pub fn branch_if_high(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, label: Label) {
        let [any, v, _] = self.tmp;
        isa.splat(any, 0);
        self.each_vector(isa, gprs, |isa, r, k, tail| {
            load(isa, Element::F32, v, row(self.rows, k, r, 0), tail);
            isa.binary(BinOp::Or, any, any, v);
        });
        let bits = gprs.take();
        isa.top_bits(bits, any);
        isa.branch(Cond::Ne, bits, Src::Imm(0), label);
        gprs.give(bits);
    }

    /// Writes the rows of one run as words, the first to `buffer`, halves `half` bytes apart. `at` is clobbered.
    pub fn widen(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, buffer: Gpr, at: Gpr, half: usize) {
        let [words, v, _] = self.tmp;
        isa.sub(at, buffer, Src::Reg(self.k));
        self.each_vector(isa, gprs, |isa, r, k, tail| {
            load(isa, Element::F32, v, row(self.rows, k, r, 0), tail);
            for odd in [false, true] {
                isa.words(words, v, odd, false);
                isa.store(Mem::indexed(at, k, ((2 * r + usize::from(odd)) * half) as i32), words);
            }
        });
    }

    /// Runs `body` for each vector of each run of each row; it gets the row and the offset. The last vector of a run overlaps the one before
    /// where a run has no whole number of them.
    fn each_vector(
        &self,
        isa: &mut dyn VectorIsa,
        gprs: &mut Gprs,
        body: impl Fn(&mut dyn VectorIsa, usize, Gpr, Option<&Tail>),
    ) {
        let k = gprs.take();
        isa.mov(k, Src::Reg(self.k));
        let (w, lanes) = (self.walk, isa.info().lanes);
        let tail = (w.run < lanes).then(|| isa.make_tail(Src::Imm(w.run as i64), self.tmp[2]));
        let [vector, run] = [lanes, w.run].map(|steps| 4 * steps as i64);
        repeat(isa, gprs, w.outer, |isa, gprs, _| {
            repeat(isa, gprs, w.inner, |isa, gprs, _| {
                let all = |isa: &mut dyn VectorIsa| (0..self.count).for_each(|r| body(isa, r, k, tail.as_ref()));
                if run <= vector {
                    all(isa);
                    return isa.add(k, k, Src::Imm(w.inner_step as i64));
                }
                let (end, top, done) = (gprs.take(), isa.label(), isa.label());
                isa.add(end, k, Src::Imm(run - vector));
                isa.bind(top);
                all(isa);
                isa.branch(Cond::Ge, k, Src::Reg(end), done);
                isa.add(k, k, Src::Imm(vector));
                if run % vector != 0 {
                    isa.mov_if(Cond::Gt, k, Src::Reg(end), k, end);
                }
                isa.jump(top);
                isa.bind(done);
                isa.add(k, k, Src::Imm(w.inner_step as i64 - (run - vector)));
                gprs.give(end);
            });
            isa.add(k, k, Src::Imm(w.outer_step as i64 - (w.inner * w.inner_step) as i64));
        });
        gprs.give(k);
    }
}

impl Regs {
    /// The steps of `walk` that follow, with registers that are free between steps.
    fn piece<'r>(&self, rows: &'r RowBases, walk: Walk) -> Piece<'r> {
        Piece { rows, count: self.acc[0].len(), k: self.k, walk, tmp: [self.scalars[0], self.tmp[0], self.b[0]] }
    }
}

impl TileEmitter {
    /// Runs the steps of `walk` that follow in one of two ways, which `body` emits: whether a byte has its top bit set is its last argument.
    pub(super) fn either(
        &self,
        isa: &mut dyn VectorIsa,
        gprs: &mut Gprs,
        walk: Walk,
        rows: &RowBases,
        regs: &Regs,
        mut body: impl FnMut(&mut dyn VectorIsa, &mut Gprs, bool),
    ) {
        let (high, done) = (isa.label(), isa.label());
        regs.piece(rows, walk).branch_if_high(isa, gprs, high);
        body(isa, gprs, false);
        isa.jump(done);
        isa.bind(high);
        body(isa, gprs, true);
        isa.bind(done);
    }

    /// A contiguous run, at most a piece, whose bytes become words first.
    pub(super) fn words_run(
        &self,
        isa: &mut dyn VectorIsa,
        gprs: &mut Gprs,
        run: usize,
        rows: &RowBases,
        regs: &Regs,
        scratch: Slot,
    ) {
        let (buffer, at, half) = (gprs.take(), gprs.take(), half(run));
        isa.load_slot(buffer, scratch);
        regs.piece(rows, Walk::contiguous(run)).widen(isa, gprs, buffer, at, half);
        isa.add(regs.k, regs.k, Src::Imm(4 * run as i64));
        isa.mov(at, Src::Imm(0));
        repeat(isa, gprs, run, |isa, _, _| self.step_of_words(isa, buffer, at, half, regs));
        gprs.give_all([buffer, at]);
    }

    /// One step of K, both sides as words; the offsets move on.
    fn step_of_words(&self, isa: &mut dyn VectorIsa, buffer: Gpr, at: Gpr, half: usize, regs: &Regs) {
        let (bytes, acc, tmp) = (isa.info().bytes(), &regs.acc[0], regs.tmp[0]);
        let one_by_one = regs.b.len() < acc[0].len();
        let weights = |isa: &mut dyn VectorIsa, j: usize, odd: bool| {
            let b = if one_by_one { regs.b[0] } else { regs.b[j] };
            isa.load(b, Mem::new(regs.panel, j as i32 * bytes));
            isa.words(b, b, odd, true);
            b
        };
        for odd in [false, true] {
            let all: Vec<V> = if one_by_one { Vec::new() } else { (0..acc[0].len()).map(|j| weights(isa, j, odd)).collect() };
            for (r, sums) in acc.iter().enumerate() {
                let s = regs.scalars[0];
                isa.load_splat(s, Mem::indexed(buffer, at, ((2 * r + usize::from(odd)) * half) as i32));
                for (j, &sum) in sums.iter().enumerate() {
                    let b = if one_by_one { weights(isa, j, odd) } else { all[j] };
                    isa.dot_words(sum, s, b, tmp);
                }
            }
        }
        isa.add(at, at, Src::Imm(4));
        isa.add(regs.panel, regs.panel, Src::Imm(acc[0].len() as i64 * i64::from(bytes)));
    }
}
