//! The loops around a tile: panels of B, and row tiles of one block of rows of C.
//!
//! State lives in frame slots, so that the tile has the registers. The row tile of each turn is chosen at run time by
//! the rule of [`crate::select::row_tiles`]; only the sizes that can occur are emitted.

use crate::isa::{Cond, Gpr, Label, Slot, Src, VSlot, VectorIsa};
use crate::kernels::contraction::{Ahead, Depth, LINE, RowBases, TileEmitter};
use crate::kernels::epilogue::{Position, RowStep, TileCols};
use crate::kernels::epilogue_rows::SavedSums;
use crate::kernels::registers::Gprs;
use crate::select::{PanelGroup, TilePlan, row_tiles, tile};
use std::collections::BTreeSet;

/// How the rows of A follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// `stride` bytes apart.
    Linear {
        /// Bytes from row to row.
        stride: usize,
    },
    /// As many bytes apart as the slot says.
    Runtime(Slot),
    /// Pixels of an image: `step` bytes apart within a line of `width` pixels, lines `line` bytes apart.
    Pixels {
        /// Pixels per line.
        width: usize,
        /// Bytes from pixel to pixel.
        step: usize,
        /// Bytes from line to line.
        line: usize,
    },
}

/// How many rows blocks can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockRows {
    /// One of these.
    Known(Vec<usize>),
    /// Any number from 1 on.
    Any,
}

/// Frame slots of the sweep. The caller sets the first four before [`Sweep::block`].
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Address of the block's first row of A.
    pub a: Slot,
    /// Address of the block's first row of C, column 0.
    pub c: Slot,
    /// Index of the block's first row (for inputs of the epilogue).
    pub row: Slot,
    /// Rows of the block.
    pub rows: Slot,
    /// Address of the next panel.
    pub panel: Slot,
    /// Column of the panel, in bytes of f32.
    pub col: Slot,
    tile_a: Slot,
    tile_c: Slot,
    tile_row: Slot,
    rest: Slot,
    /// Rows of the present tile.
    size: Slot,
    x: Slot,
    count: Slot,
    /// Where the next panel is asked for.
    ahead: Slot,
    inputs: Slot,
    /// Where tiles save their sums, if the epilogue is a loop of its own.
    pub sums: Option<VSlot>,
}

impl State {
    /// New slots; `inputs` holds the pointer table. Tiles store what they compute.
    pub fn new(isa: &mut dyn VectorIsa, inputs: Slot) -> Self {
        State {
            a: isa.slot(),
            c: isa.slot(),
            row: isa.slot(),
            rows: isa.slot(),
            panel: isa.slot(),
            col: isa.slot(),
            tile_a: isa.slot(),
            tile_c: isa.slot(),
            tile_row: isa.slot(),
            rest: isa.slot(),
            size: isa.slot(),
            x: isa.slot(),
            count: isa.slot(),
            ahead: isa.slot(),
            inputs,
            sums: None,
        }
    }
}

/// Emitter of the loops around a tile.
pub struct Sweep<'a> {
    /// The tile.
    pub tile: TileEmitter,
    /// Panels and row tiles.
    pub plan: &'a TilePlan,
    /// Layout of A.
    pub rows: Rows,
    /// From row to row of C.
    pub c_row: RowStep,
    /// Block sizes.
    pub block_rows: BlockRows,
    /// Slots.
    pub state: State,
}

/// Row tiles, beyond which the time to wait for a panel does not matter.
const MOST_TILES: usize = 20;
/// Cache lines that a turn may ask for.
const MOST_LINES: usize = 4;
/// Row tiles whose rows may be addressed from one base must stay within this displacement.
const MAX_SPREAD: usize = 1 << 30;

/// What is done with one panel: the sweep, the group that the panel belongs to, and which of its columns exist.
pub type PanelBody<'b, S> = dyn FnMut(&mut S, &mut dyn VectorIsa, &PanelGroup, TileCols) + 'b;

impl Sweep<'_> {
    /// All panels over one block of rows.
    pub fn block(&mut self, isa: &mut dyn VectorIsa) {
        for group in self.plan.groups.clone() {
            let set_count = |isa: &mut dyn VectorIsa, st: &State| {
                let t = Gpr(0);
                isa.mov(t, Src::Imm(group.panels as i64));
                isa.store_slot(st.count, t);
            };
            self.panels(isa, &group, set_count, &mut |sweep, isa, group, cols| {
                sweep.one_panel(isa, group.mr, group.nv, cols);
            });
        }
    }

    /// Panels `begin..end` (slots) of the whole plan over one block of rows; `origin` holds the address of panel 0.
    pub fn panel_range(&mut self, isa: &mut dyn VectorIsa, origin: Slot, begin: Slot, end: Slot) {
        self.each_panel(isa, origin, begin, end, &mut |sweep, isa, group, cols| sweep.one_panel(isa, group.mr, group.nv, cols));
    }

    /// Runs `body` with the slots at each of the panels `begin..end` (slots); `origin` holds the address of panel 0.
    pub fn each_panel(&mut self, isa: &mut dyn VectorIsa, origin: Slot, begin: Slot, end: Slot, body: &mut PanelBody<Self>) {
        let (mut first, mut before) = (0i64, 0);
        for group in self.plan.groups.clone() {
            let skip = isa.label();
            let (low, high, limit, t) = (Gpr(0), Gpr(1), Gpr(2), Gpr(3));
            isa.load_slot(low, begin);
            isa.load_slot(high, end);
            isa.mov(limit, Src::Imm(first));
            isa.mov_if(Cond::Lt, low, Src::Reg(limit), low, limit);
            isa.mov(limit, Src::Imm(first + group.panels as i64));
            isa.mov_if(Cond::Gt, high, Src::Reg(limit), high, limit);
            isa.sub(high, high, Src::Reg(low));
            isa.branch(Cond::Le, high, Src::Imm(0), skip);
            isa.store_slot(self.state.count, high);
            isa.sub(low, low, Src::Imm(first));
            self.seek(isa, &group, before, origin, low, t);
            self.panels(isa, &group, |_, _| {}, body);
            isa.bind(skip);
            first += group.panels as i64;
            before += group.panels * group.nv;
        }
    }

    /// Sets panel address and column for the `index`-th panel of a group that `before` vectors precede. `origin` holds
    /// the address of the first panel of all.
    fn seek(&mut self, isa: &mut dyn VectorIsa, group: &PanelGroup, before: usize, origin: Slot, index: Gpr, t: Gpr) {
        let vector = 4 * self.plan.lanes as i64;
        isa.mul(index, index, Src::Imm(group.nv as i64 * vector));
        isa.add(index, index, Src::Imm(before as i64 * vector));
        isa.store_slot(self.state.col, index);
        self.times_depth(isa, index, t);
        isa.load_slot(t, origin);
        isa.add(t, t, Src::Reg(index));
        isa.store_slot(self.state.panel, t);
    }

    /// The panels of one group, as many as the count slot says after `set_count`.
    fn panels(
        &mut self,
        isa: &mut dyn VectorIsa,
        group: &PanelGroup,
        set_count: impl FnOnce(&mut dyn VectorIsa, &State),
        body: &mut PanelBody<Self>,
    ) {
        let st = self.state;
        set_count(isa, &st);
        let top = isa.label();
        isa.bind(top);
        let cols = match group.cols % self.plan.lanes {
            0 => TileCols::All,
            tail => TileCols::Tail(tail),
        };
        body(self, isa, group, cols);
        let t = Gpr(0);
        let width = (group.nv * self.plan.lanes * 4) as i64;
        isa.load_slot(t, st.col);
        isa.add(t, t, Src::Imm(width));
        isa.store_slot(st.col, t);
        self.next_panel(isa, width);
        if group.panels > 1 {
            isa.load_slot(t, st.count);
            isa.sub(t, t, Src::Imm(1));
            isa.store_slot(st.count, t);
            isa.branch(Cond::Gt, t, Src::Imm(0), top);
        }
    }

    fn next_panel(&self, isa: &mut dyn VectorIsa, width: i64) {
        let (t, bytes, u) = (Gpr(0), Gpr(1), Gpr(2));
        let step = match self.panel_bytes(isa, width) {
            Some(known) => Src::Imm(known),
            None => {
                isa.mov(bytes, Src::Imm(width));
                self.times_depth(isa, bytes, u);
                Src::Reg(bytes)
            }
        };
        isa.load_slot(t, self.state.panel);
        isa.add(t, t, step);
        isa.store_slot(self.state.panel, t);
    }

    /// Bytes of a panel whose rows of f32 have `width` bytes, if that is known.
    fn panel_bytes(&self, isa: &dyn VectorIsa, width: i64) -> Option<i64> {
        match self.tile.depth {
            Depth::Known(walk) => Some(width / 4 * self.tile.numbers.column_bytes(walk.steps(), &isa.info()) as i64),
            Depth::Taps(taps) => Some(width * taps.steps() as i64),
            Depth::Runtime(_) => None,
        }
    }

    /// `d`, which are bytes of a row of f32, becomes the bytes of all rows of a panel; `t` is clobbered.
    fn times_depth(&self, isa: &mut dyn VectorIsa, d: Gpr, t: Gpr) {
        match self.tile.depth {
            Depth::Known(walk) => {
                let column = self.tile.numbers.column_bytes(walk.steps(), &isa.info());
                isa.mul(d, d, Src::Imm(column as i64));
                isa.shr(d, d, 2);
            }
            Depth::Taps(taps) => isa.mul(d, d, Src::Imm(taps.steps() as i64)),
            Depth::Runtime(k) => {
                isa.load_slot(t, k);
                isa.mul(d, d, Src::Reg(t));
            }
        }
    }

    /// All rows of the block against one panel of `nv` vectors, at the slots' panel and column; `cols` of its columns exist.
    pub fn one_panel(&mut self, isa: &mut dyn VectorIsa, mr: usize, nv: usize, cols: TileCols) {
        self.begin_panel(isa);
        self.tile.ahead = self.ask_ahead(isa, mr, nv);
        self.row_loop(isa, mr, nv, cols);
    }

    /// Weights that few rows are multiplied with come from memory, or from a cache that other cores share, each time: while one panel is
    /// used, the next one is asked for, in even parts, so that its first tile need not wait.
    fn ask_ahead(&self, isa: &mut dyn VectorIsa, mr: usize, nv: usize) -> Option<Ahead> {
        let (BlockRows::Known(rows), Depth::Known(walk)) = (&self.block_rows, self.tile.depth) else { return None };
        let tiles = row_tiles(*rows.iter().max()?, mr).len();
        let bytes = self.panel_bytes(isa, (nv * self.plan.lanes * 4) as i64)?;
        if !(2..=MOST_TILES).contains(&tiles) {
            return None;
        }
        let lines = (bytes as usize).div_ceil(LINE * tiles * self.tile.turns_of(isa, walk));
        let (next, t) = (self.state.ahead, Gpr(0));
        isa.load_slot(t, self.state.panel);
        isa.add(t, t, Src::Imm(bytes));
        isa.store_slot(next, t);
        Some(Ahead { next, lines: lines.min(MOST_LINES) })
    }

    /// Tile state to the first row of the block.
    fn begin_panel(&mut self, isa: &mut dyn VectorIsa) {
        let (st, t, u) = (self.state, Gpr(0), Gpr(1));
        for (from, to) in [(st.a, st.tile_a), (st.row, st.tile_row), (st.rows, st.rest)] {
            isa.load_slot(t, from);
            isa.store_slot(to, t);
        }
        isa.load_slot(t, st.c);
        isa.load_slot(u, st.col);
        if self.tile.epilogue.out().bytes() == 1 {
            isa.shr(u, u, 2);
        }
        isa.add(t, t, Src::Reg(u));
        isa.store_slot(st.tile_c, t);
        if matches!(self.rows, Rows::Pixels { .. }) {
            isa.mov(t, Src::Imm(0));
            isa.store_slot(st.x, t);
        }
    }

    /// Row tile sizes that can occur, largest first.
    fn sizes(&self, mr: usize) -> Vec<usize> {
        let sizes: BTreeSet<usize> = match &self.block_rows {
            BlockRows::Any => (1..=mr).collect(),
            BlockRows::Known(rows) => rows.iter().flat_map(|&m| row_tiles_short(m, mr)).collect(),
        };
        sizes.into_iter().rev().collect()
    }

    fn row_loop(&mut self, isa: &mut dyn VectorIsa, mr: usize, nv: usize, cols: TileCols) {
        let (top, stored) = (isa.label(), isa.label());
        let sizes = self.sizes(mr);
        let starts: Vec<_> = sizes.iter().map(|_| isa.label()).collect();
        let at = self.position();
        isa.bind(top);
        self.choose(isa, mr, &sizes, &starts);
        for (&size, &start) in sizes.iter().zip(&starts) {
            isa.bind(start);
            self.one_tile(isa, size, nv, cols);
            isa.mov(Gpr(0), Src::Imm(size as i64));
            isa.store_slot(self.state.size, Gpr(0));
            if Some(&size) != sizes.last() {
                isa.jump(stored);
            }
        }
        isa.bind(stored);
        if let Some(sums) = at.sums {
            self.tile.epilogue.store_saved(isa, &at, SavedSums::Frame(sums), nv, self.state.size, cols);
        }
        self.next_tile(isa, top);
    }

    fn position(&self) -> Position {
        let st = self.state;
        Position { c: st.tile_c, row: st.tile_row, col: st.col, inputs: st.inputs, sums: st.sums }
    }

    /// Moves the state on by the rows of a tile; goes to `top` if there are more.
    fn next_tile(&self, isa: &mut dyn VectorIsa, top: Label) {
        let (st, size, t, u) = (self.state, Gpr(0), Gpr(1), Gpr(2));
        isa.load_slot(size, st.size);
        match self.c_row {
            RowStep::Bytes(n) => isa.mul(t, size, Src::Imm(n)),
            RowStep::Slot(step) => {
                isa.load_slot(t, step);
                isa.mul(t, t, Src::Reg(size));
            }
        }
        for (slot, by) in [(st.tile_c, t), (st.tile_row, size)] {
            isa.load_slot(u, slot);
            isa.add(u, u, Src::Reg(by));
            isa.store_slot(slot, u);
        }
        isa.load_slot(t, st.rest);
        isa.sub(t, t, Src::Reg(size));
        isa.store_slot(st.rest, t);
        isa.branch(Cond::Gt, t, Src::Imm(0), top);
    }

    /// Goes to the code of the size that the rule gives for the remaining rows.
    fn choose(&self, isa: &mut dyn VectorIsa, mr: usize, sizes: &[usize], starts: &[crate::isa::Label]) {
        if sizes.len() == 1 {
            return;
        }
        let (rest, half, big) = (Gpr(0), Gpr(1), Gpr(2));
        isa.load_slot(rest, self.state.rest);
        isa.add(half, rest, Src::Imm(1));
        isa.shr(half, half, 1);
        isa.mov(big, Src::Imm(mr as i64));
        isa.mov_if(Cond::Ge, rest, Src::Imm(2 * mr as i64), half, big);
        isa.mov_if(Cond::Le, rest, Src::Imm(mr as i64), half, rest);
        for (&size, &start) in sizes.iter().zip(starts).take(sizes.len() - 1) {
            isa.branch(Cond::Eq, half, Src::Imm(size as i64), start);
        }
        isa.jump(starts[sizes.len() - 1]);
    }

    fn one_tile(&mut self, isa: &mut dyn VectorIsa, mr: usize, nv: usize, cols: TileCols) {
        let mut gprs = Gprs::all(isa.info().gprs);
        let rows = self.row_bases(isa, &mut gprs, mr);
        let shape = tile(&isa.info(), self.tile.numbers, mr, nv);
        self.tile.tile(isa, &gprs, shape, &rows, self.state.panel, &self.position(), cols);
    }

    /// Pointers to the rows of a tile; moves the state on to the next tile.
    fn row_bases(&mut self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, mr: usize) -> RowBases {
        match self.rows {
            Rows::Linear { stride } => self.linear_bases(isa, gprs, mr, stride),
            Rows::Runtime(stride) => self.runtime_bases(isa, gprs, mr, stride),
            Rows::Pixels { width, step, line } => {
                let end_of_line = line as i64 - (width as i64 - 1) * step as i64;
                self.pixel_bases(isa, gprs, mr, width, step as i64, end_of_line)
            }
        }
    }

    fn linear_bases(&mut self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, mr: usize, stride: usize) -> RowBases {
        let base = gprs.take();
        isa.load_slot(base, self.state.tile_a);
        let next = gprs.take();
        isa.add(next, base, Src::Imm((mr * stride) as i64));
        isa.store_slot(self.state.tile_a, next);
        gprs.give(next);
        if isa.info().wide_disp && mr * stride < MAX_SPREAD {
            return RowBases::Strided(base, stride as i32);
        }
        let mut rows = vec![base];
        for r in 1..mr {
            let p = gprs.take();
            isa.add(p, rows[r - 1], Src::Imm(stride as i64));
            rows.push(p);
        }
        RowBases::Pointers(rows)
    }

    fn runtime_bases(&mut self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, mr: usize, stride: Slot) -> RowBases {
        let (rows, step) = (gprs.take_n(mr + 1), gprs.take());
        isa.load_slot(step, stride);
        isa.load_slot(rows[0], self.state.tile_a);
        rows.windows(2).for_each(|pair| isa.add(pair[1], pair[0], Src::Reg(step)));
        isa.store_slot(self.state.tile_a, rows[mr]);
        gprs.give_all([rows[mr], step]);
        RowBases::Pointers(rows[..mr].to_vec())
    }

    /// Walks over `mr` pixels; where a line ends the step is `end_of_line` bytes.
    fn pixel_bases(
        &mut self,
        isa: &mut dyn VectorIsa,
        gprs: &mut Gprs,
        mr: usize,
        width: usize,
        step: i64,
        end_of_line: i64,
    ) -> RowBases {
        let rows = gprs.take_n(mr);
        let (p, x, wrapped, zero) = (gprs.take(), gprs.take(), gprs.take(), gprs.take());
        let (walk, done) = (isa.label(), isa.label());
        isa.load_slot(p, self.state.tile_a);
        isa.load_slot(x, self.state.x);
        // Most tiles end before their line does.
        isa.add(zero, x, Src::Imm(mr as i64));
        isa.branch(Cond::Ge, zero, Src::Imm(width as i64), walk);
        isa.mov(x, Src::Reg(zero));
        rows.iter().enumerate().for_each(|(r, &row)| isa.add(row, p, Src::Imm(r as i64 * step)));
        isa.add(p, p, Src::Imm(mr as i64 * step));
        isa.jump(done);
        isa.bind(walk);
        isa.mov(zero, Src::Imm(0));
        for &row in &rows {
            isa.mov(row, Src::Reg(p));
            isa.add(wrapped, p, Src::Imm(end_of_line));
            isa.add(p, p, Src::Imm(step));
            isa.add(x, x, Src::Imm(1));
            isa.mov_if(Cond::Eq, x, Src::Imm(width as i64), p, wrapped);
            isa.mov_if(Cond::Eq, x, Src::Imm(width as i64), x, zero);
        }
        isa.bind(done);
        isa.store_slot(self.state.tile_a, p);
        isa.store_slot(self.state.x, x);
        gprs.give_all([p, x, wrapped, zero]);
        RowBases::Pointers(rows)
    }
}

/// The sizes in `row_tiles`, without listing every repetition of `mr`.
fn row_tiles_short(m: usize, mr: usize) -> Vec<usize> {
    let whole = (m / mr).saturating_sub(2);
    let mut sizes = row_tiles(m - whole * mr, mr);
    if whole > 0 {
        sizes.push(mr);
    }
    sizes
}
