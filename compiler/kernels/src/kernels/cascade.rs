//! Sums of columns in one order for every ISA: the order of PyTorch's sum over innermost axes (`SumKernel.cpp`).
//!
//! Columns are taken in blocks of [`BLOCK`], the i-th of each block into the i-th of as many partial sums. So that few large sums meet
//! small summands, there are four levels of such sums: after a power of two of blocks, at least 16, the sums of one level go into those of the next.
//! In the end the levels are joined, the columns beyond the last whole block go eight by eight into the first eight sums, the four
//! octets of sums are joined, and the columns beyond the last octet are added one by one, then the eight sums.

use super::contraction::repeat;
use super::registers::Gprs;
use super::row_passes::{Layout, Loop, RowEmitter};
use super::rows::Pass;
use crate::isa::{BinOp, Gpr, IsaInfo, Mem, Src, V, VSlot, VectorIsa};

/// Columns of a block.
const BLOCK: usize = 32;
/// Partial sums that are added lane by lane.
const OCTET: usize = 8;
const LEVELS: usize = 4;

/// Accumulators of a sum: those of a block, then those of the columns beyond the last octet.
pub(super) fn accumulators(info: &IsaInfo) -> usize {
    BLOCK / info.lanes + OCTET.div_ceil(info.lanes)
}

/// How many times each level runs, for a number of blocks.
struct Cascade {
    /// The logarithm of the blocks that make one of the next level.
    power: u32,
    blocks: usize,
}

impl Cascade {
    fn of(blocks: usize) -> Cascade {
        let logarithm = blocks.max(2).next_power_of_two().ilog2();
        Cascade { power: (logarithm / LEVELS as u32).max(4), blocks }
    }

    /// Turns of a level outside those of higher ones.
    fn turns(&self, level: usize) -> usize {
        let turns = self.blocks >> (self.power * level as u32);
        if level + 1 == LEVELS { turns } else { turns % (1 << self.power) }
    }

    /// Levels that take part.
    fn levels(&self) -> usize {
        (1..LEVELS).take_while(|&level| self.blocks >> (self.power * level as u32) > 0).count() + 1
    }
}

/// One pass whose last result is summed in order.
pub(super) struct CascadeSum<'a> {
    pub(super) pass: &'a Pass,
    pub(super) layout: &'a Layout,
    pub(super) regs: &'a Loop,
    pub(super) columns: usize,
}

impl CascadeSum<'_> {
    /// The accumulators of a block, and the others.
    fn sums(&self, info: &IsaInfo) -> (&[V], &[V]) {
        self.layout.sums.split_at(BLOCK / info.lanes)
    }

    /// Runs the pass; the first accumulator then holds the sum in all its lanes.
    pub(super) fn emit(&self, rows: &mut RowEmitter, isa: &mut dyn VectorIsa, gprs: &mut Gprs) {
        let info = isa.info();
        let cascade = Cascade::of(self.columns / BLOCK);
        let (sums, _) = self.sums(&info);
        let levels: Vec<Vec<VSlot>> = (1..cascade.levels()).map(|_| sums.iter().map(|_| isa.vslot()).collect()).collect();
        // All accumulators are zero here.
        levels.iter().flatten().for_each(|&slot| isa.spill(slot, sums[0]));
        for level in (0..cascade.levels()).rev() {
            self.level(rows, isa, gprs, &cascade, &levels, level, cascade.turns(level));
        }
        let spare = self.layout.spare[0];
        for (&slot, &sum) in levels.iter().flat_map(|level| level.iter().zip(sums)) {
            isa.reload(spare, slot);
            isa.binary(BinOp::Add, sum, sum, spare);
        }
        let octets = self.columns % BLOCK / OCTET;
        repeat(isa, gprs, octets, |isa, _, _| self.octet(rows, isa, 0, OCTET));
        let rest = self.columns % OCTET;
        self.octet(rows, isa, BLOCK / info.lanes, rest);
        self.join(isa, rest);
    }

    #[expect(clippy::too_many_arguments, reason = "a level of a recursion")]
    fn level(
        &self,
        rows: &mut RowEmitter,
        isa: &mut dyn VectorIsa,
        gprs: &mut Gprs,
        cascade: &Cascade,
        levels: &[Vec<VSlot>],
        level: usize,
        turns: usize,
    ) {
        let vectors = BLOCK / isa.info().lanes;
        repeat(isa, gprs, turns, |isa, gprs, _| match level.checked_sub(1) {
            None => rows.vectors(isa, self.pass, self.layout, self.regs, 0, vectors),
            Some(below) => {
                self.level(rows, isa, gprs, cascade, levels, below, 1 << cascade.power);
                self.raise(isa, levels, below);
            }
        });
    }

    /// Adds the sums of a level to those of the next, and begins the former anew.
    fn raise(&self, isa: &mut dyn VectorIsa, levels: &[Vec<VSlot>], below: usize) {
        let (sums, _) = self.sums(&isa.info());
        let [sum, zero] = self.layout.spare;
        isa.splat(zero, 0);
        for (i, &register) in sums.iter().enumerate() {
            isa.reload(sum, levels[below][i]);
            match below.checked_sub(1) {
                None => {
                    isa.binary(BinOp::Add, sum, sum, register);
                    isa.vmov(register, zero);
                }
                Some(at) => {
                    isa.reload(self.layout.mask, levels[at][i]);
                    isa.binary(BinOp::Add, sum, sum, self.layout.mask);
                    isa.spill(levels[at][i], zero);
                }
            }
            isa.spill(levels[below][i], sum);
        }
    }

    /// Takes up to eight columns into the accumulators from `sum` on.
    fn octet(&self, rows: &RowEmitter, isa: &mut dyn VectorIsa, sum: usize, columns: usize) {
        let lanes = isa.info().lanes;
        let vectors = columns / lanes;
        if vectors > 0 {
            rows.vectors(isa, self.pass, self.layout, self.regs, sum, vectors);
        }
        let rest = columns % lanes;
        if rest > 0 {
            rows.tail(isa, self.pass, self.layout, self.regs, sum + vectors, Src::Imm(rest as i64));
            rows.advance(isa, self.regs, rest);
        }
    }

    /// Joins the octets and adds their lanes to the sum of the first `rest` lanes of the other accumulators.
    fn join(&self, isa: &mut dyn VectorIsa, rest: usize) {
        let info = isa.info();
        let (sums, others) = self.sums(&info);
        let joined = if info.lanes > OCTET { self.join_halves(isa) } else { self.join_vectors(isa) };
        let kept: Vec<VSlot> = joined.iter().chain(others).map(|_| isa.vslot()).collect();
        kept.iter().zip(joined.iter().chain(others)).for_each(|(&slot, &v)| isa.spill(slot, v));
        let (address, sum, lane) = (Gpr(0), sums[0], self.layout.spare[0]);
        isa.vslot_address(address, kept[0]);
        let first_other = joined.len() * info.lanes;
        let lanes = (first_other..first_other + rest).chain(0..OCTET).map(|lane| Mem::new(address, 4 * lane as i32));
        for (i, place) in lanes.enumerate() {
            if i == 0 {
                isa.load_splat(sum, place);
            } else {
                isa.load_splat(lane, place);
                isa.binary(BinOp::Add, sum, sum, lane);
            }
        }
    }

    /// The joined octets where each takes whole vectors, in the first accumulators.
    fn join_vectors(&self, isa: &mut dyn VectorIsa) -> &[V] {
        let info = isa.info();
        let (sums, _) = self.sums(&info);
        let octet = OCTET / info.lanes;
        for (i, &v) in sums.iter().enumerate().skip(octet) {
            isa.binary(BinOp::Add, sums[i % octet], sums[i % octet], v);
        }
        &sums[..octet]
    }

    /// The joined octets where a vector holds two of them, in the first lanes of an accumulator.
    fn join_halves(&self, isa: &mut dyn VectorIsa) -> &[V] {
        let (sums, _) = self.sums(&isa.info());
        let slots: Vec<VSlot> = sums.iter().map(|_| isa.vslot()).collect();
        slots.iter().zip(sums).for_each(|(&slot, &sum)| isa.spill(slot, sum));
        let (address, half) = (Gpr(0), self.layout.spare[0]);
        isa.vslot_address(address, slots[0]);
        let tail = isa.make_tail(Src::Imm(OCTET as i64), self.layout.mask);
        for octet in 1..BLOCK / OCTET {
            isa.load_tail(half, Mem::new(address, (4 * OCTET * octet) as i32), &tail);
            isa.binary(BinOp::Add, sums[0], sums[0], half);
        }
        &sums[..1]
    }
}
