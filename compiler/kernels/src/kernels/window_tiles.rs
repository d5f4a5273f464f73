//! How window kernels cut their work: output rows into tiles of pixels, channels into blocks.

use crate::isa::{Gpr, Slot, Src, V, VectorIsa};
use crate::kernels::conv::Window;
use crate::select::row_tiles;

/// Taps of output `o` along `axis` that lie inside the image.
pub fn taps_inside(w: &Window, axis: usize, o: usize) -> impl Iterator<Item = usize> + '_ {
    let first = o * w.stride[axis];
    (0..w.kernel[axis]).filter(move |k| {
        let at = first + k * w.dilation[axis];
        at >= w.before[axis] && at - w.before[axis] < w.image[axis]
    })
}

/// Where the window of an output row lies: the address of its image, and the image's row of its first row, which may be outside.
pub struct WindowRows {
    /// The image.
    pub image: Gpr,
    /// The row.
    pub y: Gpr,
}

impl WindowRows {
    /// For the output row with number `unit`, in `Gpr(0)`, of a batch of images at the address in `input`, whose rows take `line` bytes. Clobbers `Gpr(1)` to
    /// `Gpr(4)`, of which it keeps two.
    pub fn of_unit(isa: &mut dyn VectorIsa, w: &Window, input: Slot, line: i64) -> WindowRows {
        let (unit, n, y, t, image) = (Gpr(0), Gpr(1), Gpr(2), Gpr(3), Gpr(4));
        isa.mov(t, Src::Imm(w.output[0] as i64));
        isa.udiv(n, unit, t, [V(0), V(1)]);
        isa.mul(t, n, Src::Imm(w.output[0] as i64));
        isa.sub(y, unit, Src::Reg(t));
        isa.mul(y, y, Src::Imm(w.stride[0] as i64));
        isa.sub(y, y, Src::Imm(w.before[0] as i64));
        isa.mul(n, n, Src::Imm(w.image[0] as i64));
        isa.mul(n, n, Src::Imm(line));
        isa.load_slot(image, input);
        isa.add(image, image, Src::Reg(n));
        WindowRows { image, y }
    }
}

/// Equal tiles of one output row, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileRun {
    /// For each pixel of the tile, the columns of the window that are inside the image.
    pub taps: Vec<Vec<usize>>,
    /// How many tiles.
    pub count: usize,
}

/// The size of the tiles of a row of `width` pixels, at most `most` each: one that leaves no rest, if it is not much smaller.
pub fn even_tile(width: usize, most: usize) -> usize {
    (most / 2 + 1..=most).rev().find(|t| width.is_multiple_of(*t)).unwrap_or(most)
}

/// Cuts an output row into tiles and joins neighbours that need the same code.
pub fn tile_runs(w: &Window, most: usize) -> Vec<TileRun> {
    let width = w.output[1];
    let mut runs: Vec<TileRun> = Vec::new();
    let mut first = 0;
    for size in row_tiles(width, even_tile(width, most)) {
        let taps: Vec<Vec<usize>> = (first..first + size).map(|o| taps_inside(w, 1, o).collect()).collect();
        first += size;
        match runs.last_mut() {
            Some(run) if run.taps == taps => run.count += 1,
            _ => runs.push(TileRun { taps, count: 1 }),
        }
    }
    runs
}

/// Channels are walked in blocks whose window rows stay in the first-level cache from one output row to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelBlocks {
    /// How many.
    pub count: usize,
    /// Whole vectors in all but the last.
    pub vectors: usize,
    /// Whole vectors in the last, which also has the remaining channels.
    pub last: usize,
}

impl ChannelBlocks {
    /// For `channels` and window rows of `pixels` in all, with `l1` bytes of cache.
    pub fn new(channels: usize, pixels: usize, lanes: usize, l1: usize) -> Self {
        // Never less than two cache lines of a pixel at a time.
        let fit = (l1 * 2 / 3 / 4 / pixels).max(32) / 16 * 16;
        let whole = channels / lanes;
        if channels < fit * 3 / 2 {
            return ChannelBlocks { count: 1, vectors: whole, last: whole };
        }
        let vectors = fit / lanes;
        let count = whole.div_ceil(vectors).max(1);
        ChannelBlocks { count, vectors, last: whole - (count - 1) * vectors }
    }
}

/// The pixels of a tile, with the column of their window, that read input column `x` (counted from the first pixel's window).
pub fn users<'a>(w: &Window, taps: &'a [Vec<usize>], x: usize) -> impl Iterator<Item = (usize, usize)> + 'a {
    let (stride, dilation) = (w.stride[1], w.dilation[1]);
    taps.iter().enumerate().flat_map(move |(pixel, inside)| {
        let hits = inside.iter().filter(move |&&kx| pixel * stride + kx * dilation == x);
        hits.map(move |&kx| (pixel, kx))
    })
}
