//! The register tile that every contraction shares: `mr` rows of A against one packed panel of B.
//!
//! A row of A is a pointer that stays put while the sum over K walks through memory: K is a nest of at most two loops
//! around contiguous runs ([`Walk`]). A matrix is one run of K elements; an image window is `kh` runs of `kw * C` elements,
//! or `kh * kw` runs of C. B is read strictly in sequence.

use crate::isa::{BinOp, Cond, Gpr, IsaInfo, Mem, Slot, Src, UnOp, V, VSlot, VectorIsa};
use crate::kernels::epilogue::{Epilogue, EpilogueEmitter, Position, RowStep, TileCols};
use crate::kernels::numbers::{INT4_GROUP, Numbers};
use crate::kernels::registers::Gprs;
use crate::kernels::words;
use crate::select::{Tile, TilePlan, panel_registers};

/// The order in which K is walked, relative to the row pointer of A. A step of K is four bytes of A: see [`Numbers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Outer repetitions.
    pub outer: usize,
    /// Bytes from one outer repetition to the next.
    pub outer_step: usize,
    /// Inner repetitions.
    pub inner: usize,
    /// Bytes from one inner repetition to the next.
    pub inner_step: usize,
    /// Contiguous steps of one run.
    pub run: usize,
}

impl Walk {
    /// One run of `k` steps.
    pub fn contiguous(k: usize) -> Self {
        Walk { outer: 1, outer_step: 4 * k, inner: 1, inner_step: 4 * k, run: k }
    }

    /// All steps: K.
    pub fn steps(&self) -> usize {
        self.outer * self.inner * self.run
    }
}

/// How long the sums are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Known, walked as stated.
    Known(Walk),
    /// One contiguous run of as many elements as the slot says.
    Runtime(Slot),
    /// Some taps of a window.
    Taps(Taps),
}

/// The taps of a window that are walked, of all those that B has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// Slots: the first row of taps, and how many rows (at least one). Rows of A are counted from the first.
    pub rows: [Slot; 2],
    /// The first tap of each row.
    pub first: usize,
    /// Taps of a row in B.
    pub of: usize,
    /// A row of taps: its outer repetitions are all rows that B has.
    pub walk: Walk,
}

impl Taps {
    /// Length of the sums in B.
    pub fn steps(&self) -> usize {
        self.walk.outer * self.of * self.walk.run
    }
}

/// Where the rows of a tile are.
#[derive(Clone, Debug)]
pub enum RowBases {
    /// Row `r` is at `base + r * stride` bytes.
    Strided(Gpr, i32),
    /// One pointer each.
    Pointers(Vec<Gpr>),
}

/// The part of a contraction that does not change from tile to tile.
pub struct TileEmitter {
    /// What is multiplied.
    pub numbers: Numbers,
    /// How K is walked; of bytes it is known.
    pub depth: Depth,
    /// Where bytes become words: a slot with the address of [`words::scratch_bytes`] bytes, where there are any.
    pub words: Option<Slot>,
    /// What is done with the sums.
    pub epilogue: EpilogueEmitter,
    /// What is asked for on the way.
    pub ahead: Option<Ahead>,
}

/// Cache lines that a tile asks for before another needs them.
#[derive(Clone, Copy)]
pub struct Ahead {
    /// Address of the next one.
    pub next: Slot,
    /// How many a turn of the innermost loop asks for.
    pub lines: usize,
}

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// Steps of K per turn of the innermost loop.
const UNROLL: usize = 4;
/// What sums of a length that is known at run time only are taken for.
const TYPICAL_STEPS: usize = 256;
/// Runs no longer than this are not looped over.
const STRAIGHT: usize = 9;

/// How the steps that follow are multiplied. Words want scratch memory, at an address in a slot.
#[derive(Clone, Copy)]
enum Products {
    /// As elements are.
    Plain,
    /// As words.
    Words(Slot),
    /// As what is found in the bytes of A allows.
    Either(Slot),
}

/// Registers of one tile, and how it multiplies.
#[derive(Clone)]
pub(super) struct Regs {
    products: Products,
    pub(super) acc: Vec<Vec<Vec<V>>>,
    pub(super) b: Vec<V>,
    pub(super) scalars: Vec<V>,
    /// Temporaries of dot products, or the scales of the present group of weights.
    pub(super) tmp: Vec<V>,
    free: Vec<V>,
    pub(super) k: Gpr,
    pub(super) panel: Gpr,
    ahead: Option<(Gpr, Ahead)>,
}

impl TileEmitter {
    /// Tiles of products of f32, B being packed.
    pub fn of_f32(isa: &mut dyn VectorIsa, depth: Depth, epilogue: &Epilogue, c_row: RowStep) -> Self {
        let epilogue = EpilogueEmitter::new(isa, Numbers::F32, epilogue, c_row);
        TileEmitter { numbers: Numbers::F32, depth, words: None, epilogue, ahead: None }
    }

    /// Memory in the frame for the sums of the tiles of a plan, if their epilogue is to be a loop of its own.
    pub fn saved_sums(&self, isa: &mut dyn VectorIsa, plan: &TilePlan) -> Option<VSlot> {
        let steps = match self.depth {
            Depth::Known(walk) => walk.steps(),
            Depth::Taps(taps) => taps.steps(),
            Depth::Runtime(_) => TYPICAL_STEPS,
        };
        let products = steps * self.numbers.cost(&isa.info());
        self.epilogue.saved_sums(isa, plan, products)
    }

    /// Turns of the innermost loop of a tile.
    pub fn turns_of(&self, isa: &dyn VectorIsa, walk: Walk) -> usize {
        walk.outer * walk.inner * walk.run.div_ceil(self.turn(isa, walk.run, 1))
    }

    /// General-purpose registers that a tile takes beside its row pointers.
    pub fn extra_gprs(numbers: Numbers, info: &IsaInfo) -> usize {
        if numbers.has_seven_bits(info) { 9 } else { 5 }
    }

    /// Computes one tile, and stores it, or saves its sums where `at` says so. `rows` are its rows of A, `panel` the slot with the address of its panel, `at` its place
    /// in C, `cols` which of its columns exist. Registers of `rows` are dead afterwards.
    #[expect(clippy::too_many_arguments, reason = "each is one independent fact about the tile")]
    pub fn tile(
        &mut self,
        isa: &mut dyn VectorIsa,
        gprs: &Gprs,
        tile: Tile,
        rows: &RowBases,
        panel: Slot,
        at: &Position,
        cols: TileCols,
    ) {
        let mut inner = gprs.clone();
        let regs = self.registers(isa, &mut inner, tile, panel);
        self.begin_sums(isa, &regs);
        isa.mov(regs.k, Src::Imm(0));
        match self.depth {
            Depth::Known(walk) => self.walk(isa, &mut inner, walk, rows, &regs),
            Depth::Runtime(k) => self.runtime_run(isa, &mut inner, k, rows, &regs),
            Depth::Taps(taps) => self.tap_rows(isa, &mut inner, taps, rows, &regs),
        }
        if let Some((line, ahead)) = regs.ahead {
            isa.store_slot(ahead.next, line);
        }
        merge(isa, &regs.acc, if self.numbers.is_integer() { BinOp::AddInt } else { BinOp::Add });
        let mut dead = gprs.clone();
        match rows {
            RowBases::Strided(base, _) => dead.give(*base),
            RowBases::Pointers(p) => dead.give_all(p.iter().copied()),
        }
        let used = regs.b.iter().chain(&regs.scalars).chain(&regs.tmp).chain(regs.acc[1..].iter().flatten().flatten());
        let free = regs.free.iter().chain(used).copied().collect();
        match at.sums {
            Some(sums) => self.epilogue.save(isa, &regs.acc[0], sums),
            None => self.epilogue.store(isa, &dead, at, &regs.acc[0], free, cols),
        }
    }

    fn registers(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, tile: Tile, panel_slot: Slot) -> Regs {
        let info = isa.info();
        let mut next = (0..info.vregs as u8).map(V);
        let mut some = |n: usize| next.by_ref().take(n).collect::<Vec<V>>();
        let registers = self.numbers.registers(&info);
        let b = some(panel_registers(&info, tile.mr, tile.nv));
        let scalars = some(if info.k_step > 1 { tile.mr } else { 1 });
        let tmp = some(registers.others(tile.nv));
        let acc = (0..tile.kacc).map(|_| (0..tile.mr).map(|_| some(tile.nv)).collect()).collect();
        let free = some(info.vregs);
        let (k, panel) = (gprs.take(), gprs.take());
        isa.load_slot(panel, panel_slot);
        let products = self.words.map_or(Products::Plain, Products::Either);
        // Loops over runs and bytes take some more.
        let ahead = self.ahead.filter(|_| gprs.left() > Self::extra_gprs(self.numbers, &info)).map(|ahead| (gprs.take(), ahead));
        if let Some((line, ahead)) = ahead {
            isa.load_slot(line, ahead.next);
        }
        Regs { products, acc, b, scalars, tmp, free, k, panel, ahead }
    }

    /// Sums begin with the head of the panel, if it has one.
    fn begin_sums(&self, isa: &mut dyn VectorIsa, regs: &Regs) {
        let [first, others @ ..] = &regs.acc[..] else { return };
        others.iter().flatten().flatten().for_each(|&a| isa.splat(a, 0));
        if !self.numbers.has_head(&isa.info()) {
            return first.iter().flatten().for_each(|&a| isa.splat(a, 0));
        }
        let bytes = isa.info().bytes();
        for sums in first {
            sums.iter().enumerate().for_each(|(j, &sum)| isa.load(sum, Mem::new(regs.panel, j as i32 * bytes)));
        }
        isa.add(regs.panel, regs.panel, Src::Imm(first[0].len() as i64 * i64::from(bytes)));
    }

    /// A run of as many elements as the slot `k` says: whole turns, then one element at a time.
    fn runtime_run(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, k: Slot, rows: &RowBases, regs: &Regs) {
        let left = gprs.take();
        isa.load_slot(left, k);
        for step in [isa.info().k_step.max(UNROLL), 1] {
            let (top, done) = (isa.label(), isa.label());
            isa.branch(Cond::Lt, left, Src::Imm(step as i64), done);
            isa.bind(top);
            self.body(isa, rows, regs, step);
            isa.sub(left, left, Src::Imm(step as i64));
            isa.branch(Cond::Ge, left, Src::Imm(step as i64), top);
            isa.bind(done);
        }
        gprs.give(left);
    }

    /// Rows of taps, those of B that are left out being skipped.
    fn tap_rows(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, taps: Taps, rows: &RowBases, regs: &Regs) {
        let w = taps.walk;
        let tap_bytes = (w.run * regs.acc[0][0].len()) as i64 * i64::from(isa.info().bytes());
        let (left, top) = (gprs.take(), isa.label());
        isa.load_slot(left, taps.rows[0]);
        isa.mul(left, left, Src::Imm(taps.of as i64 * tap_bytes));
        isa.add(regs.panel, regs.panel, Src::Reg(left));
        isa.add(regs.panel, regs.panel, Src::Imm(taps.first as i64 * tap_bytes));
        isa.load_slot(left, taps.rows[1]);
        isa.bind(top);
        repeat(isa, gprs, w.inner, |isa, gprs, _| {
            self.run(isa, gprs, w.run, rows, regs);
            isa.add(regs.k, regs.k, Src::Imm(w.inner_step as i64 - 4 * w.run as i64));
        });
        isa.add(regs.k, regs.k, Src::Imm(w.outer_step as i64 - (w.inner * w.inner_step) as i64));
        isa.add(regs.panel, regs.panel, Src::Imm((taps.of - w.inner) as i64 * tap_bytes));
        isa.sub(left, left, Src::Imm(1));
        isa.branch(Cond::Gt, left, Src::Imm(0), top);
        gprs.give(left);
    }

    /// All runs. Where they are short, bytes of all are looked at together.
    fn walk(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, walk: Walk, rows: &RowBases, regs: &Regs) {
        match regs.products {
            Products::Either(scratch) if walk.run < words::SHORT => {
                self.either(isa, gprs, walk, rows, regs, |isa, gprs, high| {
                    let products = if high { Products::Words(scratch) } else { Products::Plain };
                    self.outer_loop(isa, gprs, walk, rows, &Regs { products, ..regs.clone() });
                });
            }
            _ => self.outer_loop(isa, gprs, walk, rows, regs),
        }
    }

    fn outer_loop(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, w: Walk, rows: &RowBases, regs: &Regs) {
        let skip = w.outer_step as i64 - (w.inner * w.inner_step) as i64;
        repeat(isa, gprs, w.outer, |isa, gprs, last| {
            self.inner_loop(isa, gprs, w, rows, regs);
            if !last {
                isa.add(regs.k, regs.k, Src::Imm(skip));
            }
        });
    }

    fn inner_loop(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, w: Walk, rows: &RowBases, regs: &Regs) {
        repeat(isa, gprs, w.inner, |isa, gprs, last| {
            self.run(isa, gprs, w.run, rows, regs);
            if !last || w.outer > 1 {
                isa.add(regs.k, regs.k, Src::Imm(w.inner_step as i64 - 4 * w.run as i64));
            }
        });
    }

    /// One contiguous run; leaves `k` after its last element.
    fn run(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, run: usize, rows: &RowBases, regs: &Regs) {
        match regs.products {
            Products::Plain => self.plain_run(isa, gprs, run, rows, regs),
            Products::Words(scratch) => self.words_run(isa, gprs, run, rows, regs, scratch),
            Products::Either(scratch) => {
                for (count, steps) in words::pieces(run) {
                    repeat(isa, gprs, count, |isa, gprs, _| {
                        self.either(isa, gprs, Walk::contiguous(steps), rows, regs, |isa, gprs, high| match high {
                            false => self.plain_run(isa, gprs, steps, rows, regs),
                            true => self.words_run(isa, gprs, steps, rows, regs, scratch),
                        });
                    });
                }
            }
        }
    }

    /// Steps that a turn of the innermost loop takes of a run, for so many sets of accumulators.
    fn turn(&self, isa: &dyn VectorIsa, run: usize, sets: usize) -> usize {
        let is_long = self.numbers.is_integer() && isa.info().dot.is_composed;
        match isa.info().k_step {
            1 if run <= STRAIGHT && !is_long => run,
            1 if is_long => UNROLL.div_ceil(2).max(sets),
            1 => UNROLL,
            by_element if is_long => by_element,
            // Two groups a turn: in-order cores wait for the first loads of each.
            by_element => 2 * by_element,
        }
    }

    /// A contiguous run of elements as they are.
    fn plain_run(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, run: usize, rows: &RowBases, regs: &Regs) {
        let step = self.turn(isa, run, regs.acc.len());
        if self.numbers == Numbers::Int4 {
            repeat(isa, gprs, run / INT4_GROUP, |isa, gprs, _| {
                self.load_scales(isa, regs);
                self.turns(isa, gprs, [INT4_GROUP, step], rows, regs);
            });
            if run.is_multiple_of(INT4_GROUP) {
                return;
            }
            self.load_scales(isa, regs);
            return self.turns(isa, gprs, [run % INT4_GROUP, step], rows, regs);
        }
        self.turns(isa, gprs, [run, step], rows, regs);
    }

    /// So many steps of K, a number of them a turn.
    fn turns(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, [steps, step]: [usize; 2], rows: &RowBases, regs: &Regs) {
        let (turns, rest) = (steps / step, steps % step);
        repeat(isa, gprs, turns, |isa, _, _| {
            self.body(isa, rows, regs, step);
        });
        if rest > 0 {
            self.body(isa, rows, regs, rest);
        }
    }

    /// `n` steps of K, then the pointers are moved on.
    fn body(&self, isa: &mut dyn VectorIsa, rows: &RowBases, regs: &Regs, n: usize) {
        let (width, group) = (regs.acc[0][0].len() * isa.info().lanes, isa.info().k_step);
        for first in (0..n).step_by(group) {
            let steps = group.min(n - first);
            self.load_all_scalars(isa, rows, regs, first, steps);
            for lane in 0..steps {
                let u = first + lane;
                let acc = &regs.acc[u % regs.acc.len()];
                self.step(isa, rows, regs, acc, u, lane);
            }
        }
        if let Some((line, ahead)) = regs.ahead {
            (0..ahead.lines).for_each(|i| isa.prefetch(Mem::new(line, (i * LINE) as i32)));
            isa.add(line, line, Src::Imm((ahead.lines * LINE) as i64));
        }
        isa.add(regs.k, regs.k, Src::Imm(4 * n as i64));
        isa.add(regs.panel, regs.panel, Src::Imm(self.numbers.step_at(n, width) as i64));
    }

    /// The scales of the next group of weights; the panel moves on to the weights.
    fn load_scales(&self, isa: &mut dyn VectorIsa, regs: &Regs) {
        let bytes = isa.info().bytes();
        regs.tmp.iter().enumerate().for_each(|(j, &scale)| isa.load(scale, Mem::new(regs.panel, j as i32 * bytes)));
        isa.add(regs.panel, regs.panel, Src::Imm(regs.tmp.len() as i64 * i64::from(bytes)));
    }

    /// By-element ISAs keep the scalars of all rows.
    fn load_all_scalars(&self, isa: &mut dyn VectorIsa, rows: &RowBases, regs: &Regs, first: usize, n: usize) {
        if isa.info().k_step > 1 {
            for r in 0..regs.acc[0].len() {
                let s = self.scalars(isa, regs, r);
                self.load_scalars(isa, s, row(rows, regs.k, r, first), n);
            }
        }
    }

    /// One step of K: all rows against one row of the panel.
    fn step(&self, isa: &mut dyn VectorIsa, rows: &RowBases, regs: &Regs, acc: &[Vec<V>], u: usize, lane: usize) {
        let (lanes, broadcast) = (isa.info().lanes, isa.info().k_step == 1);
        let row_at = self.numbers.step_at(u, acc[0].len() * lanes);
        let vector = if self.numbers == Numbers::Int4 { lanes } else { self.numbers.step_at(1, lanes) };
        let at = |j: usize| Mem::new(regs.panel, (row_at + j * vector) as i32);
        let scale = |j: usize| regs.tmp.get(j).copied();
        let one_by_one = regs.b.len() < acc[0].len();
        if !one_by_one {
            regs.b.iter().enumerate().for_each(|(j, &b)| self.load_panel(isa, b, at(j), u, scale(j)));
        }
        for (r, sums) in acc.iter().enumerate() {
            let s = self.scalars(isa, regs, r);
            if broadcast {
                self.load_scalars(isa, s, row(rows, regs.k, r, u), 1);
            }
            if self.numbers.is_integer() && !one_by_one {
                isa.dot(sums, &regs.b, s, lane, &regs.tmp);
                continue;
            }
            for (j, &sum) in sums.iter().enumerate() {
                let b = if one_by_one { regs.b[0] } else { regs.b[j] };
                if one_by_one {
                    self.load_panel(isa, b, at(j), u, scale(j));
                }
                match self.numbers {
                    Numbers::F32 | Numbers::F16 | Numbers::Int4 => isa.fma_scalar(sum, b, s, lane),
                    Numbers::Int8 { .. } => isa.dot(&[sum], &[b], s, lane, &regs.tmp),
                }
            }
        }
    }

    /// The register of what row `r` of A is multiplied with.
    fn scalars(&self, isa: &dyn VectorIsa, regs: &Regs, r: usize) -> V {
        regs.scalars[if isa.info().k_step > 1 { r } else { 0 }]
    }

    fn load_scalars(&self, isa: &mut dyn VectorIsa, d: V, m: Mem, n: usize) {
        match self.numbers {
            Numbers::F32 | Numbers::F16 | Numbers::Int4 => isa.load_scalars(d, m, n),
            Numbers::Int8 { .. } => isa.load_dot_groups(d, m, n),
        }
    }

    /// A vector of step `u` of the panel; weights of four bits are those of two steps in a byte, the even one in its low half, signed.
    fn load_panel(&self, isa: &mut dyn VectorIsa, d: V, m: Mem, u: usize, scale: Option<V>) {
        match (self.numbers, scale) {
            (Numbers::F32, _) => isa.load(d, m),
            (Numbers::Int8 { .. }, _) => isa.load_dot_weights(d, m),
            (Numbers::F16, _) => isa.load_f16(d, m),
            (Numbers::Int4, scale) => {
                isa.load_bytes(d, m, true);
                if u.is_multiple_of(2) {
                    isa.unary(UnOp::Shl(28), d, d);
                }
                isa.unary(UnOp::Sar(if u.is_multiple_of(2) { 28 } else { 4 }), d, d);
                isa.unary(UnOp::ToFloat, d, d);
                isa.binary(BinOp::Mul, d, d, scale.expect("groups of weights have scales"));
            }
        }
    }
}

/// Address of step `k + u` of row `r`.
pub(crate) fn row(rows: &RowBases, k: Gpr, r: usize, u: usize) -> Mem {
    match rows {
        RowBases::Strided(base, stride) => Mem::indexed(*base, k, r as i32 * stride + 4 * u as i32),
        RowBases::Pointers(p) => Mem::indexed(p[r], k, 4 * u as i32),
    }
}

/// Adds up the accumulator sets into the first.
fn merge(isa: &mut dyn VectorIsa, acc: &[Vec<Vec<V>>], add: BinOp) {
    let mut sets = acc.len();
    while sets > 1 {
        sets /= 2;
        for i in 0..sets {
            let pairs = acc[i].iter().flatten().zip(acc[i + sets].iter().flatten());
            pairs.for_each(|(&a, &b)| isa.binary(add, a, a, b));
        }
    }
}

/// Emits `body` to run `count` times: a loop, or once, or not at all. The last argument of `body` says that there is only one turn.
pub fn repeat(isa: &mut dyn VectorIsa, gprs: &mut Gprs, count: usize, mut body: impl FnMut(&mut dyn VectorIsa, &mut Gprs, bool)) {
    match count {
        0 => {}
        1 => body(isa, gprs, true),
        _ => {
            let (n, top) = (gprs.take(), isa.label());
            isa.mov(n, Src::Imm(count as i64));
            isa.bind(top);
            body(isa, gprs, false);
            isa.sub(n, n, Src::Imm(1));
            isa.branch(Cond::Gt, n, Src::Imm(0), top);
            gprs.give(n);
        }
    }
}
