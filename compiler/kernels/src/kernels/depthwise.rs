//! Depthwise convolution of bytes, channels last, up to four window rows at a time.
//!
//! An instruction that multiplies four bytes by four weights and adds up the products is made for sums over channels, of which a depthwise convolution
//! has none. So for one output row and a block of channels, the bytes of the window's rows are first brought beside each other, column by column
//! ([`VectorIsa::interleave`]): four rows of one column and channel are then one group, which all windows over that column share. A 3x3 window is three
//! products of such groups by groups of weights, instead of nine of widened bytes. Sums take the place of columns that no later window reads, and one
//! loop over them applies the epilogue.
//!
//! Columns and rows outside of the image hold the zero point, so all windows are alike; what the zero point adds to the sums is taken from them at their start.

use crate::isa::{BinOp, Cond, Element, EmitError, Gpr, IsaInfo, Label, Mem, Slot, Src, Tail, V, VectorIsa};
use crate::kernels::contraction::repeat;
use crate::kernels::copy::move_bytes;
use crate::kernels::epilogue::{EpilogueEmitter, Position, RowStep, TileCols};
use crate::kernels::epilogue_rows::SavedSums;
use crate::kernels::numbers::{Numbers, load};
use crate::kernels::registers::Gprs;
use crate::kernels::units::each_unit;
use crate::kernels::window::{WindowDesc, WindowOp, name};
use crate::kernels::window_tiles::{WindowRows, even_tile, users};
use crate::kernels::{Arg, Kernel, Units};
use crate::target::TargetDesc;

/// Rows of a window in one group of bytes.
const GROUP: usize = 4;
/// Most pixels of a tile.
const MAX_TILE: usize = 8;
/// Most of what is added at once to make up for the zero point: exact where bytes have seven bits.
const MAX_PART: u32 = 127;

/// Whether a window operation is done here: rows are read four bytes at a time.
fn fits(d: &WindowDesc, info: &IsaInfo) -> bool {
    let is_whole = d.channels.is_multiple_of(GROUP) && d.op == WindowOp::Depthwise;
    is_whole && d.numbers.is_integer() && largest_tile(d, info) > 1
}

/// Pixels whose sums fit beside weights, a column, temporaries and what sums begin with.
fn largest_tile(d: &WindowDesc, info: &IsaInfo) -> usize {
    let others = d.window.kernel[1] + info.dot.temps.max(1) + 2;
    MAX_TILE.min(info.vregs.saturating_sub(others))
}

/// The kernel, if the operation is done here. Arguments: input, weights, output, inputs, begin, end, scratch.
pub(super) fn emit(d: &WindowDesc, target: &TargetDesc) -> Result<Option<Kernel>, EmitError> {
    d.check()?;
    let mut isa = target.assembler()?;
    if !fits(d, &isa.info()) {
        return Ok(None);
    }
    let layout = Layout::new(d, &isa.info());
    DepthwiseEmitter::new(d, layout, isa.as_mut()).emit(isa.as_mut());
    let args = vec![Arg::Input, Arg::Weights, Arg::Output, Arg::Inputs, Arg::Begin, Arg::End, Arg::Scratch];
    let rows = d.window.output[0];
    let units = d.batch.map_or(Units::PerImage(rows), |n| Units::Fixed(n * rows));
    Ok(Some(Kernel { name: name(d), code: isa.finish(args.len())?, args, scratch_bytes: layout.bytes, units }))
}

/// Where things are in scratch memory, in bytes.
#[derive(Clone, Copy)]
struct Layout {
    /// A vector.
    vector: usize,
    /// Groups of rows of a window.
    groups: usize,
    /// From one column to the next: the four vectors that a vector of channels becomes, for each group. The first column is at 0.
    column: usize,
    /// The weights of one vector of sums.
    filter: usize,
    /// All weights.
    filters: usize,
    /// A row of the image that holds the zero point.
    zeros: usize,
    /// Everything.
    bytes: usize,
}

impl Layout {
    fn new(d: &WindowDesc, info: &IsaInfo) -> Layout {
        let (w, vector) = (&d.window, info.bytes() as usize);
        let groups = w.kernel[0].div_ceil(GROUP);
        let column = groups * GROUP * vector;
        let filter = groups * w.kernel[1] * vector;
        let filters = w.span(1, w.output[1]) * column;
        let zeros = filters + d.channels.div_ceil(info.lanes) * filter;
        Layout { vector, groups, column, filter, filters, zeros, bytes: zeros + w.image[1] * d.in_pitch }
    }
}

/// Channels that are done together: a vector of their bytes, or what is left of one.
#[derive(Clone, Copy)]
struct Block {
    channels: usize,
    /// Vectors of sums.
    vectors: usize,
}

/// One pass over the columns of a tile: a group of rows; of its bytes all, or the even or odd ones as words.
#[derive(Clone, Copy)]
struct Pass {
    group: usize,
    odd: Option<bool>,
}

struct DepthwiseEmitter<'a> {
    d: &'a WindowDesc,
    layout: Layout,
    epilogue: EpilogueEmitter,
    input: Slot,
    weights: Slot,
    output: Slot,
    begin: Slot,
    end: Slot,
    scratch: Slot,
    /// Pointers to the first pixel of each row of the present windows.
    rows: Vec<Slot>,
    /// First channel of the present block, its weights in scratch memory, and how many blocks are left.
    channel: Slot,
    filters: Slot,
    left: Slot,
    /// Output pixels of a row.
    pixels: Slot,
    /// Where the output row begins.
    out: Slot,
    at: Position,
}

/// Vector registers while columns are gathered.
struct Gathering {
    rows: [V; GROUP],
    groups: [V; GROUP],
    tmp: [V; 2],
    mask: V,
    /// All bytes so far, if they are looked at.
    any: V,
    offset: V,
    zeros: V,
}

const GATHERING: Gathering = Gathering {
    rows: [V(0), V(1), V(2), V(3)],
    groups: [V(4), V(5), V(6), V(7)],
    tmp: [V(8), V(9)],
    mask: V(10),
    any: V(11),
    offset: V(12),
    zeros: V(13),
};

/// Registers while a tile is computed.
struct Tile {
    source: Gpr,
    sums: Gpr,
    filter: Gpr,
    acc: Vec<V>,
    taps: Vec<V>,
    column: V,
    start: V,
    tmp: Vec<V>,
}

impl<'a> DepthwiseEmitter<'a> {
    fn new(d: &'a WindowDesc, layout: Layout, isa: &mut dyn VectorIsa) -> Self {
        let [input, weights, output, inputs, begin, end, scratch] = std::array::from_fn(|_| isa.slot());
        [input, weights, output, inputs, begin, end, scratch]
            .iter()
            .enumerate()
            .for_each(|(i, &s)| isa.store_slot(s, Gpr(i as u8)));
        let c_row = RowStep::Bytes((d.epilogue.out.bytes() * d.out_pitch) as i64);
        let epilogue = EpilogueEmitter::new(isa, d.numbers, &d.epilogue, c_row);
        let mut slot = || isa.slot();
        let at = Position { c: slot(), row: slot(), col: slot(), inputs, sums: None };
        DepthwiseEmitter {
            d,
            layout,
            epilogue,
            input,
            weights,
            output,
            begin,
            end,
            scratch,
            rows: (0..d.window.kernel[0]).map(|_| slot()).collect(),
            channel: slot(),
            filters: slot(),
            left: slot(),
            pixels: slot(),
            out: slot(),
            at,
        }
    }

    fn emit(&mut self, isa: &mut dyn VectorIsa) {
        isa.mov(Gpr(0), Src::Imm(self.d.window.output[1] as i64));
        isa.store_slot(self.pixels, Gpr(0));
        self.fill_zeros(isa);
        self.each_block(isa, |this, isa, block| this.expand_weights(isa, block));
        each_unit(isa, self.begin, self.end, |isa| {
            self.enter_row(isa, Gpr(0));
            self.each_block(isa, |this, isa, block| this.block(isa, block));
        });
    }

    fn fill_zeros(&self, isa: &mut dyn VectorIsa) {
        let mut gprs = Gprs::all(isa.info().gprs);
        let dst = gprs.take();
        isa.load_slot(dst, self.scratch);
        isa.add(dst, dst, Src::Imm(self.layout.zeros as i64));
        let zeros = self.d.numbers.zeros();
        isa.splat(V(0), zeros);
        isa.splat(V(1), zeros & 0xff);
        move_bytes(isa, &mut gprs, dst, None, self.layout.bytes - self.layout.zeros, [V(0), V(1)], V(2));
    }

    /// Runs `body` for each block of channels, with the slots of the block.
    fn each_block(&mut self, isa: &mut dyn VectorIsa, mut body: impl FnMut(&mut Self, &mut dyn VectorIsa, Block)) {
        let (lanes, t) = (isa.info().lanes, Gpr(0));
        let (whole, rest) = (self.d.channels / (GROUP * lanes), self.d.channels % (GROUP * lanes));
        isa.mov(t, Src::Imm(0));
        isa.store_slot(self.channel, t);
        isa.load_slot(t, self.scratch);
        isa.add(t, t, Src::Imm(self.layout.filters as i64));
        isa.store_slot(self.filters, t);
        if whole > 0 {
            let top = isa.label();
            isa.mov(t, Src::Imm(whole as i64));
            isa.store_slot(self.left, t);
            isa.bind(top);
            body(self, isa, Block { channels: GROUP * lanes, vectors: GROUP });
            for (slot, step) in [(self.channel, GROUP * lanes), (self.filters, GROUP * self.layout.filter)] {
                isa.load_slot(t, slot);
                isa.add(t, t, Src::Imm(step as i64));
                isa.store_slot(slot, t);
            }
            isa.load_slot(t, self.left);
            isa.sub(t, t, Src::Imm(1));
            isa.store_slot(self.left, t);
            isa.branch(Cond::Gt, t, Src::Imm(0), top);
        }
        if rest > 0 {
            body(self, isa, Block { channels: rest, vectors: rest.div_ceil(lanes) });
        }
    }

    /// The lanes of a vector of bytes that a block does not fill.
    fn tail(&self, isa: &mut dyn VectorIsa, block: Block) -> Option<Tail> {
        let words = block.channels / GROUP;
        (words < isa.info().lanes).then(|| isa.make_tail(Src::Imm(words as i64), GATHERING.mask))
    }

    /// Brings the weights of a block into the order of the columns. Rows that the window does not have count nothing.
    fn expand_weights(&mut self, isa: &mut dyn VectorIsa, block: Block) {
        let (Layout { vector, filter, .. }, [kh, kw]) = (self.layout, self.d.window.kernel);
        let (source, dst, t) = (Gpr(0), Gpr(1), Gpr(2));
        isa.load_slot(source, self.weights);
        isa.load_slot(t, self.channel);
        isa.add(source, source, Src::Reg(t));
        isa.load_slot(dst, self.filters);
        let tail = self.tail(isa, block);
        let Gathering { rows, groups, tmp, .. } = GATHERING;
        for (group, kx) in (0..self.layout.groups).flat_map(|group| (0..kw).map(move |kx| (group, kx))) {
            let first = GROUP * group;
            let count = (kh - first).min(GROUP);
            for (r, &row) in rows.iter().enumerate().take(count) {
                load(isa, Element::F32, row, Mem::new(source, (((first + r) * kw + kx) * self.d.channels) as i32), tail.as_ref());
            }
            rows.iter().skip(count).take(1).for_each(|&row| isa.splat(row, 0));
            isa.interleave(&groups[..block.vectors], &rows[..(count + 1).min(GROUP)], tmp);
            for (j, &g) in groups.iter().enumerate().take(block.vectors) {
                isa.store(Mem::new(dst, (j * filter + (group * kw + kx) * vector) as i32), g);
            }
        }
    }

    /// Pointers for output row `unit`.
    fn enter_row(&mut self, isa: &mut dyn VectorIsa, unit: Gpr) {
        let (d, w) = (self.d, self.d.window);
        let (n, t) = (Gpr(1), Gpr(3));
        isa.mul(t, unit, Src::Imm(w.output[1] as i64));
        isa.store_slot(self.at.row, t);
        isa.mul(t, t, Src::Imm((d.epilogue.out.bytes() * d.out_pitch) as i64));
        isa.load_slot(n, self.output);
        isa.add(t, t, Src::Reg(n));
        isa.store_slot(self.out, t);
        let line = (w.image[1] * d.in_pitch) as i64;
        let WindowRows { image, y } = WindowRows::of_unit(isa, &w, self.input, line);
        for (ky, &row) in self.rows.iter().enumerate() {
            let (at, t, p, inside, store) = (Gpr(5), Gpr(6), Gpr(7), isa.label(), isa.label());
            isa.add(at, y, Src::Imm((ky * w.dilation[0]) as i64));
            isa.mov(t, Src::Imm(w.image[0] as i64));
            isa.branch(Cond::Ult, at, Src::Reg(t), inside);
            isa.load_slot(p, self.scratch);
            isa.add(p, p, Src::Imm(self.layout.zeros as i64));
            isa.jump(store);
            isa.bind(inside);
            isa.mul(p, at, Src::Imm(line));
            isa.add(p, p, Src::Reg(image));
            isa.bind(store);
            isa.store_slot(row, p);
        }
    }

    /// One output row of a block of channels.
    fn block(&mut self, isa: &mut dyn VectorIsa, block: Block) {
        let high = self.d.numbers.has_seven_bits(&isa.info()).then(|| isa.label());
        self.gather(isa, block, high);
        self.multiply(isa, block, false);
        if let Some(high) = high {
            let done = isa.label();
            isa.jump(done);
            isa.bind(high);
            self.multiply(isa, block, true);
            isa.bind(done);
        }
        let (t, u) = (Gpr(0), Gpr(1));
        isa.load_slot(t, self.channel);
        isa.shl(u, t, 2);
        isa.store_slot(self.at.col, u);
        isa.mul(t, t, Src::Imm(self.d.epilogue.out.bytes() as i64));
        isa.load_slot(u, self.out);
        isa.add(t, t, Src::Reg(u));
        isa.store_slot(self.at.c, t);
        let cols = match block.channels % isa.info().lanes {
            0 => TileCols::All,
            tail => TileCols::Tail(tail),
        };
        let sums = SavedSums::At { first: self.scratch, row: self.layout.column as i64 };
        self.epilogue.store_saved(isa, &self.at, sums, block.vectors, self.pixels, cols);
    }

    /// Brings the rows of the windows beside each other, for all columns. Goes to `high` if a byte has its top bit set.
    fn gather(&self, isa: &mut dyn VectorIsa, block: Block, high: Option<Label>) {
        let (w, mut gprs) = (&self.d.window, Gprs::all(isa.info().gprs));
        let (dst, t) = (gprs.take(), gprs.take());
        let rows: Vec<Gpr> = self.rows.iter().map(|_| gprs.take()).collect();
        isa.load_slot(t, self.channel);
        for (&r, &slot) in rows.iter().zip(&self.rows) {
            isa.load_slot(r, slot);
            isa.add(r, r, Src::Reg(t));
        }
        isa.load_slot(dst, self.scratch);
        let tail = self.tail(isa, block);
        let offset = isa.info().dot.offset as u32 * 0x0101_0101;
        isa.splat(GATHERING.offset, offset);
        isa.splat(GATHERING.any, self.d.numbers.zeros());
        isa.splat(GATHERING.zeros, self.d.numbers.zeros() ^ offset);
        let width = w.span(1, w.output[1]);
        let before = w.before[1].min(width);
        let copied = w.image[1].min(width - before);
        self.outside(isa, &mut gprs, dst, before, block);
        repeat(isa, &mut gprs, copied, |isa, _, _| {
            self.column(isa, &rows, dst, block, tail.as_ref(), high.is_some());
            rows.iter().for_each(|&r| isa.add(r, r, Src::Imm(self.d.in_pitch as i64)));
            isa.add(dst, dst, Src::Imm(self.layout.column as i64));
        });
        self.outside(isa, &mut gprs, dst, width - before - copied, block);
        if let Some(high) = high {
            isa.top_bits(t, GATHERING.any);
            isa.branch(Cond::Ne, t, Src::Imm(0), high);
        }
    }

    /// Columns outside of the image.
    fn outside(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, dst: Gpr, count: usize, block: Block) {
        repeat(isa, gprs, count, |isa, _, _| {
            for (group, j) in (0..self.layout.groups).flat_map(|group| (0..block.vectors).map(move |j| (group, j))) {
                isa.store(self.place(dst, group, j), GATHERING.zeros);
            }
            isa.add(dst, dst, Src::Imm(self.layout.column as i64));
        });
    }

    /// Where vector `j` of a group of rows is, in the column at `base`.
    fn place(&self, base: Gpr, group: usize, j: usize) -> Mem {
        Mem::new(base, ((group * GROUP + j) * self.layout.vector) as i32)
    }

    fn column(&self, isa: &mut dyn VectorIsa, pointers: &[Gpr], dst: Gpr, block: Block, tail: Option<&Tail>, looks: bool) {
        let Gathering { rows, groups, tmp, any, offset, .. } = GATHERING;
        for (group, pointers) in pointers.chunks(GROUP).enumerate() {
            let rows = &rows[..pointers.len()];
            for (&row, &p) in rows.iter().zip(pointers) {
                load(isa, Element::F32, row, Mem::new(p, 0), tail);
                if isa.info().dot.offset != 0 {
                    isa.binary(BinOp::Xor, row, row, offset);
                }
                if looks {
                    isa.binary(BinOp::Or, any, any, row);
                }
            }
            isa.interleave(&groups[..block.vectors], rows, tmp);
            groups.iter().enumerate().take(block.vectors).for_each(|(j, &g)| isa.store(self.place(dst, group, j), g));
        }
    }

    /// The sums of all pixels of the row, in place of the first group of the columns of these numbers.
    fn multiply(&self, isa: &mut dyn VectorIsa, block: Block, words: bool) {
        let (w, info, mut gprs) = (&self.d.window, isa.info(), Gprs::all(isa.info().gprs));
        let mut next = (0..info.vregs as u8).map(V);
        let mut some = |n: usize| next.by_ref().take(n).collect::<Vec<V>>();
        // Two passes over a tile of words are twice the code: tiles of half the size keep it short.
        let size = even_tile(w.output[1], largest_tile(self.d, &info) / if words { 2 } else { 1 });
        let (acc, taps, others) = (some(size), some(w.kernel[1]), some(2));
        let tmp = some(info.dot.temps.max(1));
        let (base, source, sums, filter) = (gprs.take(), gprs.take(), gprs.take(), gprs.take());
        let tile = Tile { source, sums, filter, acc, taps, column: others[0], start: others[1], tmp };
        isa.load_slot(base, self.scratch);
        isa.load_slot(filter, self.filters);
        let halves: &[Option<bool>] = if words { &[Some(false), Some(true)] } else { &[None] };
        let passes: Vec<Pass> =
            (0..self.layout.groups).flat_map(|group| halves.iter().map(move |&odd| Pass { group, odd })).collect();
        repeat(isa, &mut gprs, block.vectors, |isa, gprs, _| {
            self.begin_sums(isa, &tile);
            if let [pass] = passes[..] {
                self.load_taps(isa, &tile, pass);
            }
            isa.mov(source, Src::Reg(base));
            isa.mov(sums, Src::Reg(base));
            repeat(isa, gprs, w.output[1] / size, |isa, _, _| self.tile(isa, &tile, &passes, size));
            if w.output[1] % size > 0 {
                self.tile(isa, &tile, &passes, w.output[1] % size);
            }
            isa.add(base, base, Src::Imm(self.layout.vector as i64));
            isa.add(filter, filter, Src::Imm(self.layout.filter as i64));
        });
    }

    /// What is taken from every byte beyond what [`Self::gather`] takes.
    fn missing(&self, info: &IsaInfo) -> i32 {
        let Numbers::Int8 { zero_point } = self.d.numbers else { return 0 };
        info.dot.offset - i32::from(zero_point)
    }

    /// What sums begin with: the weights times what is missing in the bytes.
    fn begin_sums(&self, isa: &mut dyn VectorIsa, tile: &Tile) {
        let missing = self.missing(&isa.info());
        isa.splat(tile.start, 0);
        let mut rest = missing.unsigned_abs();
        while rest > 0 {
            let part = rest.min(MAX_PART);
            rest -= part;
            isa.splat(tile.column, part * 0x0101_0101);
            for group in 0..self.layout.groups {
                self.load_taps(isa, tile, Pass { group, odd: None });
                tile.taps.iter().for_each(|&tap| isa.dot_lanes(tile.start, tile.column, tap, &tile.tmp));
            }
        }
        if missing < 0 {
            isa.splat(tile.column, 0);
            isa.binary(BinOp::SubInt, tile.start, tile.column, tile.start);
        }
    }

    fn load_taps(&self, isa: &mut dyn VectorIsa, tile: &Tile, pass: Pass) {
        for (kx, &tap) in tile.taps.iter().enumerate() {
            let at = (pass.group * tile.taps.len() + kx) * self.layout.vector;
            isa.load(tap, Mem::new(tile.filter, at as i32));
            if let Some(odd) = pass.odd {
                isa.words(tap, tap, odd, true);
            }
        }
    }

    /// The sums of `size` pixels; the pointers move on.
    fn tile(&self, isa: &mut dyn VectorIsa, tile: &Tile, passes: &[Pass], size: usize) {
        let (w, column) = (&self.d.window, self.layout.column);
        let acc = &tile.acc[..size];
        match self.missing(&isa.info()) {
            0 => acc.iter().for_each(|&a| isa.splat(a, 0)),
            _ => acc.iter().for_each(|&a| isa.vmov(a, tile.start)),
        }
        let all = vec![(0..w.kernel[1]).collect::<Vec<usize>>(); size];
        for &pass in passes {
            if passes.len() > 1 {
                self.load_taps(isa, tile, pass);
            }
            for x in 0..w.span(1, size) {
                let users: Vec<(usize, usize)> = users(w, &all, x).collect();
                if users.is_empty() {
                    continue;
                }
                isa.load(tile.column, self.place(tile.source, pass.group, 0).plus((x * column) as i32));
                if let Some(odd) = pass.odd {
                    isa.words(tile.column, tile.column, odd, false);
                }
                for (pixel, kx) in users {
                    match pass.odd {
                        None => isa.dot_lanes(acc[pixel], tile.column, tile.taps[kx], &tile.tmp),
                        Some(_) => isa.dot_words(acc[pixel], tile.column, tile.taps[kx], tile.tmp[0]),
                    }
                }
            }
        }
        for (pixel, &a) in acc.iter().enumerate() {
            isa.store(Mem::new(tile.sums, (pixel * column) as i32), a);
        }
        isa.add(tile.source, tile.source, Src::Imm((size * w.stride[1] * column) as i64));
        isa.add(tile.sums, tile.sums, Src::Imm((size * column) as i64));
    }
}
