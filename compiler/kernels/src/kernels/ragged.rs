//! Convolution of which most taps fall on padding: a large dilation over a small image.
//!
//! The taps of a pixel that lie inside of the image are some rows and some columns of the window. Pixels of a line that have the same
//! columns are a *segment*, a matrix product of its own over these taps alone, read in place: nothing is copied and nothing
//! outside of the image is read. The rows are counted when the line is reached. Panels are the outer loop, so that the taps of one
//! stay in the second-level cache while the lines pass over them.
//!
//! Weights are packed as for [`super::conv`].

use crate::isa::{Cond, Element, EmitError, Gpr, Slot, Src, V, VectorIsa};
use crate::kernels::contraction::{Depth, Taps, TileEmitter, Walk};
use crate::kernels::conv::{ConvDesc, Window};
use crate::kernels::epilogue::{EpilogueEmitter, RowStep};
use crate::kernels::gemm::{MAX_POINTERS, MAX_ROWS, set};
use crate::kernels::numbers::Numbers;
use crate::kernels::sweep::{BlockRows, Rows, State, Sweep};
use crate::kernels::{Arg, Kernel, Units};
use crate::packing::pack_by;
use crate::select::{TilePlan, plan_tiles, rows_without_conflict};
use crate::target::TargetDesc;
use std::ops::Range;

/// A convolution that skips the taps that fall on padding. Of one image, without groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RaggedDesc(pub ConvDesc);

/// Taps that are left, at most, where this is better than multiplying by zeros.
const WORTHWHILE: f64 = 0.6;
/// Fewest input channels: each tap is a sum of its own.
const FEWEST_CHANNELS: usize = 32;

/// The taps of a window along an axis that lie inside of the image, for one output index.
fn taps_inside(w: &Window, axis: usize, out: usize) -> Range<usize> {
    let is_inside = |tap: &usize| {
        let at = out * w.stride[axis] + tap * w.dilation[axis];
        at >= w.before[axis] && at - w.before[axis] < w.image[axis]
    };
    let mut inside = (0..w.kernel[axis]).filter(is_inside);
    let first = inside.next().unwrap_or(0);
    first..inside.next_back().map_or(first + usize::from(is_inside(&first)), |last| last + 1)
}

/// Successive pixels of a line with the same columns of taps.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    first: usize,
    pixels: usize,
    taps: Range<usize>,
}

fn segments(w: &Window) -> Vec<Segment> {
    let mut found: Vec<Segment> = Vec::new();
    for x in 0..w.output[1] {
        let taps = taps_inside(w, 1, x);
        match found.last_mut().filter(|s| s.taps == taps) {
            Some(segment) => segment.pixels += 1,
            None => found.push(Segment { first: x, pixels: 1, taps }),
        }
    }
    found
}

impl RaggedDesc {
    /// The descriptor, if enough taps of the convolution fall on padding.
    pub fn choose(conv: &ConvDesc) -> Option<RaggedDesc> {
        let desc = RaggedDesc(conv.clone());
        let share = |axis: usize| {
            let (w, n) = (&conv.window, conv.window.output[axis]);
            let inside: usize = (0..n).map(|out| taps_inside(w, axis, out).len()).sum();
            inside as f64 / (n * w.kernel[axis]) as f64
        };
        let is_worthwhile = conv.in_c >= FEWEST_CHANNELS && share(0) * share(1) < WORTHWHILE;
        (is_worthwhile && desc.check().is_ok()).then_some(desc)
    }

    fn check(&self) -> Result<(), EmitError> {
        let (conv, w) = (&self.0, &self.0.window);
        conv.check()?;
        let has_taps = (0..2).all(|axis| (0..w.output[axis]).all(|out| !taps_inside(w, axis, out).is_empty()));
        let is_f32 = conv.numbers == Numbers::F32 && conv.epilogue.out == Element::F32;
        if !is_f32 || conv.groups != 1 || conv.batch != Some(1) || !has_taps {
            return Err(EmitError::Unsupported(format!("skipping taps of {w:?}")));
        }
        Ok(())
    }

    fn plan(&self, target: &TargetDesc) -> Result<TilePlan, EmitError> {
        let (info, conv) = (target.assembler()?.info(), &self.0);
        let most = segments(&conv.window).iter().map(|s| s.pixels).max().unwrap_or(1);
        let max_rows = rows_without_conflict(self.row_step(), if info.wide_disp { MAX_ROWS } else { MAX_POINTERS });
        Ok(plan_tiles(&info, Numbers::F32, Some(most), conv.out_c, conv.in_c, max_rows, conv.panel))
    }

    /// Elements between the pixels that successive windows begin at.
    fn row_step(&self) -> usize {
        self.0.window.stride[1] * self.0.in_pitch
    }

    /// Weights in the order the kernel reads them, from `[out_c, in_c, kh, kw]`.
    ///
    /// # Errors
    /// If the descriptor is inconsistent or `weights` has another length.
    pub fn pack(&self, target: &TargetDesc, weights: &[f32]) -> Result<Vec<f32>, EmitError> {
        self.check()?;
        let (ci, co, taps) = (self.0.in_c, self.0.out_c, self.0.window.kernel[0] * self.0.window.kernel[1]);
        if weights.len() != co * ci * taps {
            return Err(EmitError::Unsupported(format!("{} weights for {:?}", weights.len(), self.0)));
        }
        Ok(pack_by(&self.plan(target)?, taps * ci, |k, n| weights[(n * ci + k % ci) * taps + k / ci]))
    }
}

/// Arguments: input, weights, output, inputs, begin, end. Units of work are panels.
pub fn emit(desc: &RaggedDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.check()?;
    let (plan, mut isa) = (desc.plan(target)?, target.assembler()?);
    let args = vec![Arg::Input, Arg::Weights, Arg::Output, Arg::Inputs, Arg::Begin, Arg::End];
    Emitter::new(desc, &plan, isa.as_mut()).emit(isa.as_mut());
    let label = desc.0.epilogue.expr.label();
    let label = if label.is_empty() { label } else { format!("_{label}") };
    let [kh, kw] = desc.0.window.kernel;
    let name = format!("f32_ragged{kh}x{kw}{label}");
    Ok(Kernel { name, code: isa.finish(args.len())?, args, scratch_bytes: 0, units: Units::Fixed(plan.panels()) })
}

struct Emitter<'a> {
    conv: &'a ConvDesc,
    input: Slot,
    weights: Slot,
    output: Slot,
    begin: Slot,
    end: Slot,
    /// Present output line; first row of taps, and how many.
    y: Slot,
    taps: [Slot; 2],
    /// The input line of the first row of taps, and the output line.
    from: Slot,
    to: Slot,
    state: State,
    sweeps: Vec<(Segment, Sweep<'a>)>,
}

impl<'a> Emitter<'a> {
    fn new(desc: &'a RaggedDesc, plan: &'a TilePlan, isa: &mut dyn VectorIsa) -> Self {
        let conv = &desc.0;
        let [input, weights, output, inputs, begin, end] = std::array::from_fn(|_| isa.slot());
        [input, weights, output, inputs, begin, end].iter().enumerate().for_each(|(i, &s)| isa.store_slot(s, Gpr(i as u8)));
        let taps = [isa.slot(), isa.slot()];
        let (mut state, c_row) = (State::new(isa, inputs), RowStep::Bytes(4 * conv.out_pitch as i64));
        state.sums = EpilogueEmitter::new(isa, Numbers::F32, &conv.epilogue, c_row).saved_sums(isa, plan, conv.k());
        let mut sweep = |segment: &Segment| {
            let w = &conv.window;
            let walk = Walk {
                outer: w.kernel[0],
                outer_step: 4 * w.dilation[0] * w.image[1] * conv.in_pitch,
                inner: segment.taps.len(),
                inner_step: 4 * w.dilation[1] * conv.in_pitch,
                run: conv.in_c,
            };
            let depth = Depth::Taps(Taps { rows: taps, first: segment.taps.start, of: w.kernel[1], walk });
            let tile = TileEmitter::of_f32(isa, depth, &conv.epilogue, c_row);
            let rows = Rows::Linear { stride: 4 * desc.row_step() };
            Sweep { tile, plan, rows, c_row, block_rows: BlockRows::Known(vec![segment.pixels]), state }
        };
        let sweeps = segments(&conv.window).into_iter().map(|s| (s.clone(), sweep(&s))).collect();
        let [y, from, to] = std::array::from_fn(|_| isa.slot());
        Emitter { conv, input, weights, output, begin, end, y, taps, from, to, state, sweeps }
    }

    fn emit(mut self, isa: &mut dyn VectorIsa) {
        let (weights, begin, end) = (self.weights, self.begin, self.end);
        let (segment, mut first) = self.sweeps.remove(0);
        // The first segment's sweep leads over the panels; each then passes over all lines.
        first.each_panel(isa, weights, begin, end, &mut |first, isa, group, cols| {
            let (top, t) = (isa.label(), Gpr(0));
            set(isa, &[(self.y, 0)]);
            isa.bind(top);
            self.enter_line(isa);
            self.enter_segment(isa, &segment);
            first.one_panel(isa, group.mr, group.nv, cols);
            for i in 0..self.sweeps.len() {
                self.enter_segment(isa, &self.sweeps[i].0);
                self.sweeps[i].1.one_panel(isa, group.mr, group.nv, cols);
            }
            isa.load_slot(t, self.y);
            isa.add(t, t, Src::Imm(1));
            isa.store_slot(self.y, t);
            isa.branch(Cond::Lt, t, Src::Imm(self.conv.window.output[0] as i64), top);
        });
    }

    /// The rows of taps of the present line, and the lines they begin at.
    fn enter_line(&self, isa: &mut dyn VectorIsa) {
        let (conv, w) = (self.conv, &self.conv.window);
        let (y, at, first, last, t, d) = (Gpr(0), Gpr(1), Gpr(2), Gpr(3), Gpr(4), Gpr(5));
        isa.load_slot(y, self.y);
        isa.mul(t, y, Src::Imm(4 * (w.output[1] * conv.out_pitch) as i64));
        isa.load_slot(at, self.output);
        isa.add(t, t, Src::Reg(at));
        isa.store_slot(self.to, t);
        // The line of tap 0 is at; taps from the first that is not negative on, to the last inside.
        isa.mul(at, y, Src::Imm(w.stride[0] as i64));
        isa.sub(at, at, Src::Imm(w.before[0] as i64));
        isa.mov(d, Src::Imm(w.dilation[0] as i64));
        isa.mov(t, Src::Imm(w.dilation[0] as i64 - 1));
        isa.sub(t, t, Src::Reg(at));
        isa.mov(first, Src::Imm(0));
        isa.mov_if(Cond::Lt, t, Src::Imm(0), t, first);
        isa.udiv(first, t, d, [V(0), V(1)]);
        isa.mov(t, Src::Imm(w.image[0] as i64 - 1));
        isa.sub(t, t, Src::Reg(at));
        isa.udiv(last, t, d, [V(0), V(1)]);
        isa.mov(t, Src::Imm(w.kernel[0] as i64 - 1));
        isa.mov_if(Cond::Gt, last, Src::Reg(t), last, t);
        isa.store_slot(self.taps[0], first);
        isa.sub(last, last, Src::Reg(first));
        isa.add(last, last, Src::Imm(1));
        isa.store_slot(self.taps[1], last);
        isa.mul(first, first, Src::Imm(w.dilation[0] as i64));
        isa.add(at, at, Src::Reg(first));
        isa.mul(at, at, Src::Imm(4 * (w.image[1] * conv.in_pitch) as i64));
        isa.load_slot(t, self.input);
        isa.add(at, at, Src::Reg(t));
        isa.store_slot(self.from, at);
    }

    /// The slots of the sweep for one segment of the present line.
    fn enter_segment(&self, isa: &mut dyn VectorIsa, segment: &Segment) {
        let (conv, w, st, t) = (self.conv, &self.conv.window, self.state, Gpr(0));
        let column = segment.first * w.stride[1] + segment.taps.start * w.dilation[1] - w.before[1];
        isa.load_slot(t, self.from);
        isa.add(t, t, Src::Imm(4 * (column * conv.in_pitch) as i64));
        isa.store_slot(st.a, t);
        isa.load_slot(t, self.to);
        isa.add(t, t, Src::Imm(4 * (segment.first * conv.out_pitch) as i64));
        isa.store_slot(st.c, t);
        isa.load_slot(t, self.y);
        isa.mul(t, t, Src::Imm(w.output[1] as i64));
        isa.add(t, t, Src::Imm(segment.first as i64));
        isa.store_slot(st.row, t);
        set(isa, &[(st.rows, segment.pixels as i64)]);
    }
}
