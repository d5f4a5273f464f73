//! Channel-by-channel windows over channels-last images: depthwise convolution, max and average pooling.
//!
//! One unit of work is one output row. A row is cut into tiles of a few pixels, for which all channels are walked, vector by
//! vector, with one pointer per window row. Window rows outside of the image point to a row of zeros (or, for a maximum, to another row
//! of the same window); columns outside are left out when the code is made, so the first and last tiles have code of their own and
//! all tiles between share one loop.

use crate::bytes;
use crate::isa::{BinOp, CmpOp, Cond, Element, EmitError, Gpr, IsaInfo, Mem, Slot, Src, Tail, V, VSlot, VectorIsa};
use crate::kernels::conv::Window;
use crate::kernels::copy::move_bytes;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::numbers::{self, Numbers};
use crate::kernels::registers::Gprs;
use crate::kernels::units::each_unit;
use crate::kernels::window_tiles::{ChannelBlocks, TileRun, WindowRows, taps_inside, tile_runs, users};
use crate::kernels::{Arg, Kernel, Units, check_size};
use crate::prog::{Inst, Prog, Val};
use crate::target::TargetDesc;

/// What is computed from the elements of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowOp {
    /// Sum of products with one weight per tap and channel; multiplier 1.
    Depthwise,
    /// Largest element inside the image; NaN if there is one.
    Max,
    /// Sum over a constant: the window size, border included, or any divisor. (PyTorch's `ceil_mode` makes the last windows
    /// smaller where they overhang even the border: that is not expressed here.)
    AvgFixed(usize),
    /// Mean of the elements inside the image.
    AvgInside,
}

/// A window operation, channel by channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowDesc {
    /// What is read; bytes stand for whole numbers, of which the zero point is taken in a depthwise convolution only.
    pub numbers: Numbers,
    /// The operation.
    pub op: WindowOp,
    /// Images, if known at compile time.
    pub batch: Option<usize>,
    /// Window and image sizes.
    pub window: Window,
    /// Channels.
    pub channels: usize,
    /// Elements between input pixels.
    pub in_pitch: usize,
    /// Elements between output pixels.
    pub out_pitch: usize,
    /// Applied before the store; its rows are output pixels.
    pub epilogue: Epilogue,
}

/// Largest window edge.
pub const MAX_EDGE: usize = 9;
/// Most pixels of a tile.
const MAX_TILE: usize = 8;

impl WindowDesc {
    pub(super) fn check(&self) -> Result<(), EmitError> {
        let w = &self.window;
        let bad = |what: &str| Err(EmitError::Unsupported(format!("{what}: {:?} {w:?}", self.op)));
        if self.channels == 0 || self.batch == Some(0) || self.in_pitch.min(self.out_pitch) < self.channels {
            return bad("a window over no channels or overlapping pixels");
        }
        w.check(self.in_pitch)?;
        check_size("weights", &[w.kernel[0], w.kernel[1], self.channels])?;
        check_size("batch", &[self.batch.unwrap_or(1)])?;
        w.check(self.out_pitch)?;
        if self.epilogue.out == Element::I32 {
            return bad("a window that gives integers");
        }
        self.epilogue.check()?;
        if w.kernel.iter().any(|&k| k > MAX_EDGE) || w.kernel[0] + self.epilogue.inputs.len() > MAX_EDGE + 1 {
            return bad("a window too large for one pass");
        }
        let needs_inside = matches!(self.op, WindowOp::Max | WindowOp::AvgInside);
        if needs_inside && (0..2).any(|axis| (0..w.output[axis]).any(|o| taps_inside(w, axis, o).count() == 0)) {
            return bad("a window outside of the image");
        }
        if self.op == WindowOp::AvgFixed(0) {
            return bad("an average over nothing");
        }
        Ok(())
    }

    /// Weights in the order the kernel reads them (`[kh, kw, c]`), from PyTorch's `[c, 1, kh, kw]`.
    ///
    /// # Errors
    /// If there are not `channels * kh * kw`.
    pub fn pack<T: Copy>(&self, weights: &[T]) -> Result<Vec<T>, EmitError> {
        let taps = self.window.kernel[0] * self.window.kernel[1];
        if weights.len() != taps * self.channels {
            return Err(EmitError::Unsupported(format!("{} depthwise weights", weights.len())));
        }
        Ok((0..taps).flat_map(|t| (0..self.channels).map(move |c| weights[c * taps + t])).collect())
    }

    /// Bytes of an element of the input.
    fn size(&self) -> usize {
        self.numbers.element().bytes()
    }

    /// The elements of the weights of a depthwise convolution.
    fn weight(&self) -> Element {
        if self.numbers.is_integer() { Element::I8 } else { Element::F32 }
    }

    /// What is taken from every element.
    fn zero_point(&self) -> Option<u8> {
        match (self.op, self.numbers) {
            (WindowOp::Depthwise, Numbers::Int8 { zero_point }) if zero_point != 0 => Some(zero_point),
            _ => None,
        }
    }

    /// Rows of zeros are read where a window leaves the image at the top or bottom.
    fn needs_zeros(&self) -> bool {
        let w = &self.window;
        let leaves = w.before[0] > 0 || w.span(0, w.output[0]) > w.image[0];
        leaves && self.op != WindowOp::Max
    }
}

/// Arguments: input, weights, output, inputs, begin, end, then scratch if rows of zeros are needed.
pub fn emit(desc: &WindowDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.check()?;
    let mut isa = target.assembler()?;
    let mut args = vec![Arg::Input, Arg::Weights, Arg::Output, Arg::Inputs, Arg::Begin, Arg::End];
    let mut scratch_bytes = 0;
    if desc.needs_zeros() {
        args.push(Arg::Scratch);
        scratch_bytes = desc.size() * desc.window.image[1] * desc.in_pitch;
    }
    let rows = desc.window.output[0];
    let units = desc.batch.map_or(Units::PerImage(rows), |n| Units::Fixed(n * rows));
    let pixels = desc.window.kernel[0] * desc.window.image[1];
    let blocks = ChannelBlocks::new(desc.channels, pixels, isa.info().lanes, target.caches.l1);
    WindowEmitter::new(desc, blocks, isa.as_mut()).emit(isa.as_mut());
    Ok(Kernel { name: name(desc), code: isa.finish(args.len())?, args, scratch_bytes, units })
}

pub(super) fn name(d: &WindowDesc) -> String {
    let family = match d.op {
        WindowOp::Depthwise => "dwconv",
        WindowOp::Max => "maxpool",
        WindowOp::AvgFixed(_) | WindowOp::AvgInside => "avgpool",
    };
    let label = d.epilogue.expr.label();
    let label = if label.is_empty() { label } else { format!("_{label}") };
    format!("{}_{family}{}x{}{label}", d.numbers.name(), d.window.kernel[0], d.window.kernel[1])
}

pub(super) struct WindowEmitter<'a> {
    pub(super) desc: &'a WindowDesc,
    pub(super) prog: Prog,
    /// The input of the epilogue that sums begin with.
    pub(super) bias: Option<usize>,
    pub(super) input: Slot,
    pub(super) weights: Slot,
    pub(super) output: Slot,
    pub(super) inputs: Slot,
    pub(super) begin: Slot,
    pub(super) end: Slot,
    pub(super) scratch: Slot,
    /// Pointers to column 0 of the window of the current tile's first pixel, one per window row.
    pub(super) rows: Vec<Slot>,
    /// Current output pixel, and its place in the epilogue's inputs.
    pub(super) out: Slot,
    pub(super) extra: Vec<Slot>,
    /// Window rows inside the image.
    pub(super) inside: Slot,
    pub(super) tiles: Slot,
    /// Current output row, first channel in bytes of f32, whole vectors of the current channel block.
    pub(super) unit: Slot,
    pub(super) channel: Slot,
    pub(super) vectors: Slot,
    pub(super) blocks: ChannelBlocks,
    pub(super) spills: Vec<VSlot>,
}

/// Registers while one tile is computed.
pub(super) struct TileRegs {
    pub(super) rows: Vec<Gpr>,
    pub(super) weights: Gpr,
    pub(super) out: Gpr,
    pub(super) extra: Vec<Gpr>,
    pub(super) acc: Vec<V>,
    pub(super) taps: Vec<V>,
    pub(super) value: V,
    pub(super) spare: V,
    pub(super) mask: V,
    /// The zero point, in a depthwise convolution of bytes.
    pub(super) zero: Option<V>,
    /// Divisor of each pixel, for averages: its reciprocal, unless arithmetic is strict.
    pub(super) scale: Vec<V>,
    /// Constants of the epilogue that have registers of their own for all channels.
    pub(super) constants: Vec<(Val, V)>,
}

impl<'a> WindowEmitter<'a> {
    fn new(desc: &'a WindowDesc, blocks: ChannelBlocks, isa: &mut dyn VectorIsa) -> Self {
        let split = desc.epilogue.split_bias().filter(|_| desc.op == WindowOp::Depthwise && !isa.info().arithmetic.strict);
        let bias = split.as_ref().map(|(_, bias)| *bias);
        let expr = split.map_or_else(|| desc.epilogue.expr.clone(), |(rest, _)| rest);
        let prog = bytes::lower(&expr, &[desc.epilogue.out], isa.info().arithmetic);
        let mut slot = || isa.slot();
        WindowEmitter {
            desc,
            prog,
            bias,
            input: slot(),
            weights: slot(),
            output: slot(),
            inputs: slot(),
            begin: slot(),
            end: slot(),
            scratch: slot(),
            rows: (0..desc.window.kernel[0]).map(|_| slot()).collect(),
            out: slot(),
            extra: desc.epilogue.inputs.iter().map(|_| slot()).collect(),
            inside: slot(),
            tiles: slot(),
            unit: slot(),
            channel: slot(),
            vectors: slot(),
            blocks,
            spills: Vec::new(),
        }
    }

    fn emit(&mut self, isa: &mut dyn VectorIsa) {
        let slots = [self.input, self.weights, self.output, self.inputs, self.begin, self.end, self.scratch];
        let args = if self.desc.needs_zeros() { 7 } else { 6 };
        slots.iter().take(args).enumerate().for_each(|(i, &s)| isa.store_slot(s, Gpr(i as u8)));
        if self.desc.needs_zeros() {
            let mut gprs = Gprs::all(isa.info().gprs);
            let dst = gprs.take();
            isa.load_slot(dst, self.scratch);
            let zeros = self.desc.numbers.zeros();
            isa.splat(V(0), zeros);
            isa.splat(V(1), zeros & 0xff);
            let bytes = self.desc.size() * self.desc.window.image[1] * self.desc.in_pitch;
            move_bytes(isa, &mut gprs, dst, None, bytes, [V(0), V(1)], V(2));
        }
        isa.mov(Gpr(0), Src::Imm(0));
        isa.store_slot(self.channel, Gpr(0));
        if self.blocks.count == 1 {
            return self.all_rows(isa);
        }
        let (top, t, u) = (isa.label(), Gpr(0), Gpr(1));
        isa.bind(top);
        isa.load_slot(t, self.channel);
        isa.mov(u, Src::Imm(self.blocks.vectors as i64));
        isa.mov(Gpr(2), Src::Imm(self.blocks.last as i64));
        isa.mov_if(Cond::Eq, t, Src::Imm(self.last_channel(isa)), u, Gpr(2));
        isa.store_slot(self.vectors, u);
        self.all_rows(isa);
        let step = (self.blocks.vectors * isa.info().lanes) as i64;
        for (slot, bytes) in [(self.weights, self.desc.weight().bytes()), (self.channel, 4)] {
            isa.load_slot(t, slot);
            isa.add(t, t, Src::Imm(step * bytes as i64));
            isa.store_slot(slot, t);
        }
        isa.branch(Cond::Le, t, Src::Imm(self.last_channel(isa)), top);
    }

    /// Where the last channel block begins, in bytes.
    fn last_channel(&self, isa: &dyn VectorIsa) -> i64 {
        ((self.blocks.count - 1) * self.blocks.vectors) as i64 * i64::from(isa.info().bytes())
    }

    /// All output rows of the range, for the current channel block.
    fn all_rows(&mut self, isa: &mut dyn VectorIsa) {
        isa.load_slot(Gpr(0), self.begin);
        isa.store_slot(self.unit, Gpr(0));
        each_unit(isa, self.unit, self.end, |isa| {
            self.enter_row(isa, Gpr(0));
            for run in tile_runs(&self.desc.window, self.largest_tile(&isa.info())) {
                self.run(isa, &run);
            }
        });
    }

    /// Pixels whose accumulators fit beside weights, input, temporaries and scales.
    fn largest_tile(&self, info: &IsaInfo) -> usize {
        let taps = if self.desc.op == WindowOp::Depthwise { self.desc.window.kernel[1] } else { 0 };
        // At most four pixels, so that four registers hold all their divisors.
        let (most, scales) = if self.desc.op == WindowOp::AvgInside { (4, 4) } else { (MAX_TILE, 1) };
        let zero = usize::from(self.desc.zero_point().is_some());
        most.min(info.vregs.saturating_sub(taps + 3 + zero + scales).max(2)).min(info.vregs - 8)
    }

    /// Pointers for output row `unit`.
    fn enter_row(&mut self, isa: &mut dyn VectorIsa, unit: Gpr) {
        let (d, w) = (self.desc, self.desc.window);
        let (n, t) = (Gpr(1), Gpr(3));
        isa.mul(t, unit, Src::Imm((d.epilogue.out.bytes() * w.output[1] * d.out_pitch) as i64));
        isa.load_slot(n, self.output);
        isa.add(t, t, Src::Reg(n));
        self.load_channel(isa, n, d.epilogue.out.bytes());
        isa.add(t, t, Src::Reg(n));
        isa.store_slot(self.out, t);
        for (k, input) in d.epilogue.inputs.iter().enumerate() {
            isa.load_slot(n, self.inputs);
            isa.load_int(n, Mem::new(n, 8 * k as i32));
            isa.mul(t, unit, Src::Imm(w.output[1] as i64));
            isa.mul(t, t, Src::Imm((input.element.bytes() * input.row_stride) as i64));
            isa.add(t, t, Src::Reg(n));
            if !input.splat {
                self.load_channel(isa, n, input.element.bytes());
                isa.add(t, t, Src::Reg(n));
            }
            isa.store_slot(self.extra[k], t);
        }
        let line = (d.size() * w.image[1] * d.in_pitch) as i64;
        let WindowRows { image, y } = WindowRows::of_unit(isa, &w, self.input, line);
        isa.mov(t, Src::Imm(0));
        isa.store_slot(self.inside, t);
        for ky in 0..w.kernel[0] {
            self.enter_window_row(isa, ky, image, y);
        }
    }

    /// Where the present channel block begins, for elements of so many bytes.
    fn load_channel(&self, isa: &mut dyn VectorIsa, d: Gpr, bytes: usize) {
        isa.load_slot(d, self.channel);
        if bytes == 1 {
            isa.shr(d, d, 2);
        }
    }

    /// The pointer of window row `ky`, whose image row is `y + ky * dilation`.
    fn enter_window_row(&mut self, isa: &mut dyn VectorIsa, ky: usize, image: Gpr, y: Gpr) {
        let (d, w) = (self.desc, self.desc.window);
        let (at, t, p) = (Gpr(5), Gpr(6), Gpr(7));
        let step = w.dilation[0] as i64;
        let line = (d.size() * w.image[1] * d.in_pitch) as i64;
        let before = Src::Imm(-((d.size() * w.before[1] * d.in_pitch) as i64));
        isa.add(at, y, Src::Imm(ky as i64 * step));
        let store = isa.label();
        if d.op == WindowOp::Max {
            clamp_by_steps(isa, at, step, w.image[0] as i64);
        } else if d.needs_zeros() {
            let inside = isa.label();
            isa.mov(t, Src::Imm(w.image[0] as i64));
            isa.branch(Cond::Ult, at, Src::Reg(t), inside);
            isa.load_slot(p, self.scratch);
            isa.jump(store);
            isa.bind(inside);
        }
        isa.mul(p, at, Src::Imm(line));
        isa.add(p, p, Src::Reg(image));
        isa.load_slot(t, self.inside);
        isa.add(t, t, Src::Imm(1));
        isa.store_slot(self.inside, t);
        isa.bind(store);
        self.load_channel(isa, t, d.size());
        isa.add(p, p, Src::Reg(t));
        isa.add(p, p, before);
        isa.store_slot(self.rows[ky], p);
    }

    fn run(&mut self, isa: &mut dyn VectorIsa, run: &TileRun) {
        let (top, t) = (isa.label(), Gpr(0));
        if run.count > 1 {
            isa.mov(t, Src::Imm(run.count as i64));
            isa.store_slot(self.tiles, t);
        }
        isa.bind(top);
        self.tile(isa, &run.taps);
        self.next_tile(isa, run.taps.len());
        if run.count > 1 {
            isa.load_slot(t, self.tiles);
            isa.sub(t, t, Src::Imm(1));
            isa.store_slot(self.tiles, t);
            isa.branch(Cond::Gt, t, Src::Imm(0), top);
        }
    }

    fn next_tile(&self, isa: &mut dyn VectorIsa, pixels: usize) {
        let d = self.desc;
        let step = |per_pixel: usize| (pixels * per_pixel) as i64;
        let inputs = self.extra.iter().zip(&d.epilogue.inputs).map(|(&s, i)| (s, step(i.row_stride * i.element.bytes())));
        let rows = self.rows.iter().map(|&s| (s, step(d.window.stride[1] * d.in_pitch * d.size())));
        for (slot, by) in
            rows.chain([(self.out, step(d.out_pitch * d.epilogue.out.bytes()))]).chain(inputs).filter(|&(_, by)| by != 0)
        {
            isa.load_slot(Gpr(0), slot);
            isa.add(Gpr(0), Gpr(0), Src::Imm(by));
            isa.store_slot(slot, Gpr(0));
        }
    }

    /// All channels of one tile.
    fn tile(&mut self, isa: &mut dyn VectorIsa, taps: &[Vec<usize>]) {
        let mut gprs = Gprs::all(isa.info().gprs);
        let regs = self.registers(isa, &mut gprs, taps);
        let (lanes, channels) = (isa.info().lanes, self.desc.channels);
        let done = isa.label();
        if self.blocks.count == 1 {
            super::contraction::repeat(isa, &mut gprs, channels / lanes, |isa, _, _| self.whole_vector(isa, taps, &regs));
        } else {
            let (left, top, none) = (gprs.take(), isa.label(), isa.label());
            isa.load_slot(left, self.vectors);
            isa.branch(Cond::Le, left, Src::Imm(0), none);
            isa.bind(top);
            self.whole_vector(isa, taps, &regs);
            isa.sub(left, left, Src::Imm(1));
            isa.branch(Cond::Gt, left, Src::Imm(0), top);
            isa.bind(none);
            isa.load_slot(left, self.channel);
            isa.branch(Cond::Ne, left, Src::Imm(self.last_channel(isa)), done);
        }
        if channels % lanes > 0 {
            let tail = isa.make_tail(Src::Imm((channels % lanes) as i64), regs.mask);
            self.vector(isa, taps, &regs, Some(&tail));
        }
        isa.bind(done);
    }

    /// One whole vector of channels; all pointers move on.
    fn whole_vector(&mut self, isa: &mut dyn VectorIsa, taps: &[Vec<usize>], regs: &TileRegs) {
        self.vector(isa, taps, regs, None);
        let lanes = isa.info().lanes;
        let inputs =
            regs.extra.iter().zip(&self.desc.epilogue.inputs).filter(|(_, i)| !i.splat).map(|(&r, i)| (r, i.element.bytes()));
        let rows = regs.rows.iter().map(|&r| (r, self.desc.size()));
        let moving =
            rows.chain([(regs.weights, self.desc.weight().bytes()), (regs.out, self.desc.epilogue.out.bytes())]).chain(inputs);
        moving.for_each(|(r, bytes)| isa.add(r, r, Src::Imm((lanes * bytes) as i64)));
    }

    fn registers(&mut self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, taps: &[Vec<usize>]) -> TileRegs {
        let mut next = (0..isa.info().vregs as u8).map(V);
        let mut some = |n: usize| next.by_ref().take(n).collect::<Vec<V>>();
        let acc = some(taps.len());
        let weights = if self.desc.op == WindowOp::Depthwise { self.desc.window.kernel[1] } else { 0 };
        let [value, spare, mask] = some(3)[..] else { unreachable!("an ISA has more registers than a tile takes") };
        let scales = some(4);
        let scale = self.scales(isa, taps, &scales);
        let zero = self.desc.zero_point().map(|zero_point| {
            let zero = some(1)[0];
            isa.splat(zero, f32::from(zero_point).to_bits());
            zero
        });
        // Depthwise needs no scales.
        let taps: Vec<V> = scales.into_iter().chain(some(weights.saturating_sub(4))).take(weights).collect();
        let constants = self.prog.constants();
        let constants: Vec<(Val, V)> = some(constants.len()).into_iter().zip(constants).map(|(r, value)| (value, r)).collect();
        for &(value, r) in &constants {
            if let Inst::Const(bits) = *self.prog.inst(value) {
                isa.splat(r, bits);
            }
        }
        let mut pointer = |slot: Slot, gprs: &mut Gprs| {
            let r = gprs.take();
            isa.load_slot(r, slot);
            r
        };
        TileRegs {
            rows: self.rows.iter().map(|&s| pointer(s, gprs)).collect(),
            weights: pointer(self.weights, gprs),
            out: pointer(self.out, gprs),
            extra: self.extra.iter().map(|&s| pointer(s, gprs)).collect(),
            acc,
            taps,
            value,
            spare,
            mask,
            zero,
            scale,
            constants,
        }
    }

    /// Loads the divisors, or their reciprocals; one register for each number of columns inside that occurs, at most four.
    fn scales(&self, isa: &mut dyn VectorIsa, taps: &[Vec<usize>], regs: &[V]) -> Vec<V> {
        let is_strict = isa.info().arithmetic.strict;
        match self.desc.op {
            WindowOp::Depthwise | WindowOp::Max => Vec::new(),
            WindowOp::AvgFixed(n) => {
                isa.splat(regs[0], if is_strict { n as f32 } else { 1.0 / n as f32 }.to_bits());
                vec![regs[0]; taps.len()]
            }
            WindowOp::AvgInside => {
                let mut counts: Vec<usize> = taps.iter().map(Vec::len).collect();
                counts.sort_unstable();
                counts.dedup();
                for (&n, &r) in counts.iter().zip(regs) {
                    let (g, t) = (Gpr(0), V(0));
                    isa.load_slot(g, self.inside);
                    isa.mul(g, g, Src::Imm(n as i64));
                    isa.splat_int(r, g);
                    if !is_strict {
                        isa.splat(t, 1f32.to_bits());
                        isa.binary(BinOp::Div, r, t, r);
                    }
                }
                taps.iter().map(|c| regs[counts.iter().position(|n| *n == c.len()).unwrap_or(0)]).collect()
            }
        }
    }

    /// One vector of channels for all pixels of the tile.
    fn vector(&mut self, isa: &mut dyn VectorIsa, taps: &[Vec<usize>], regs: &TileRegs, tail: Option<&Tail>) {
        let (w, element) = (self.desc.window, self.desc.weight());
        // The first product of a sum needs nothing to be added to.
        let mut is_begun = vec![self.desc.op != WindowOp::Depthwise || self.bias.is_some(); regs.acc.len()];
        match (self.desc.op, self.bias) {
            (WindowOp::Depthwise, Some(k)) => {
                regs.acc.iter().enumerate().for_each(|(pixel, &acc)| self.fetch(isa, regs, k, pixel, acc, tail));
            }
            (WindowOp::Depthwise, None) => {}
            (WindowOp::Max, _) => regs.acc.iter().for_each(|&a| isa.splat(a, f32::NEG_INFINITY.to_bits())),
            _ => regs.acc.iter().for_each(|&a| isa.splat(a, 0)),
        }
        for ky in 0..w.kernel[0] {
            for (kx, &tap) in regs.taps.iter().enumerate() {
                let at = (element.bytes() * (ky * w.kernel[1] + kx) * self.desc.channels) as i32;
                numbers::load(isa, element, tap, Mem::new(regs.weights, at), tail);
            }
            for x in 0..w.span(1, taps.len()) {
                let users: Vec<(usize, usize)> = users(&w, taps, x).collect();
                if users.is_empty() {
                    continue;
                }
                self.load_pixel(isa, regs, Mem::new(regs.rows[ky], (self.desc.size() * x * self.desc.in_pitch) as i32), tail);
                for (pixel, kx) in users {
                    match std::mem::replace(&mut is_begun[pixel], true) {
                        true => self.accumulate(isa, regs, pixel, kx),
                        false => isa.binary(BinOp::Mul, regs.acc[pixel], regs.value, regs.taps[kx]),
                    }
                }
            }
        }
        let without_taps = regs.acc.iter().zip(&is_begun).filter(|(_, begun)| !**begun);
        without_taps.for_each(|(&acc, _)| isa.splat(acc, 0));
        self.store(isa, regs, tail);
    }

    /// Loads an element of the image for each channel, without the zero point.
    fn load_pixel(&self, isa: &mut dyn VectorIsa, regs: &TileRegs, m: Mem, tail: Option<&Tail>) {
        numbers::load(isa, self.desc.numbers.element(), regs.value, m, tail);
        if let Some(zero) = regs.zero {
            isa.binary(BinOp::Sub, regs.value, regs.value, zero);
        }
    }

    fn accumulate(&self, isa: &mut dyn VectorIsa, regs: &TileRegs, pixel: usize, kx: usize) {
        let (acc, value) = (regs.acc[pixel], regs.value);
        match self.desc.op {
            WindowOp::Depthwise => isa.fma(acc, value, regs.taps[kx]),
            WindowOp::AvgFixed(_) | WindowOp::AvgInside => isa.binary(BinOp::Add, acc, acc, value),
            WindowOp::Max if isa.info().arithmetic.nan_minmax => isa.binary(BinOp::Max, acc, acc, value),
            WindowOp::Max => {
                isa.cmp(CmpOp::Unord, regs.spare, acc, acc);
                isa.binary(BinOp::Max, acc, acc, value);
                isa.binary(BinOp::Or, acc, acc, regs.spare);
            }
        }
    }
}

/// Moves `at` by `step` until it is in `0..limit`. The caller has checked that some multiple leads there.
fn clamp_by_steps(isa: &mut dyn VectorIsa, at: Gpr, step: i64, limit: i64) {
    let (up, down) = (isa.label(), isa.label());
    let (up_done, down_done) = (isa.label(), isa.label());
    isa.bind(up);
    isa.branch(Cond::Ge, at, Src::Imm(0), up_done);
    isa.add(at, at, Src::Imm(step));
    isa.jump(up);
    isa.bind(up_done);
    isa.bind(down);
    isa.branch(Cond::Lt, at, Src::Imm(limit), down_done);
    isa.sub(at, at, Src::Imm(step));
    isa.jump(down);
    isa.bind(down_done);
}
