//! Convolution over channels-last images, as a contraction without an im2col buffer.
//!
//! The image of one work unit (a strip of output rows) is first copied into a zero border in scratch memory, if there is any
//! padding; after that every output pixel has one row pointer, and the walk over K is the same for all. Runs of `kw * C`
//! elements are contiguous, so three input channels need nothing special. A 1x1 convolution is a matrix product in place.
//!
//! Weights are packed per group by [`ConvDesc::pack`] from PyTorch's `[out_c, in_c / groups, kh, kw]`.

use crate::isa::{Cond, Element, EmitError, Gpr, IsaInfo, Slot, Src, V, VectorIsa};
use crate::kernels::contraction::{Depth, TileEmitter, Walk};
use crate::kernels::epilogue::{Epilogue, EpilogueEmitter, RowStep};
use crate::kernels::gemm::{block_sizes, set};
use crate::kernels::numbers::Numbers;
use crate::kernels::strips::{Source, StripSlots, Strips};
use crate::kernels::sweep::{BlockRows, Rows, State, Sweep};
use crate::kernels::units::each_unit;
use crate::kernels::words;
use crate::kernels::{Arg, Kernel, Units, check_size};
use crate::packing::{pack_by, pack_bytes};
use crate::select::{TilePlan, plan_tiles, rows_without_conflict};
use crate::target::TargetDesc;

/// Sizes along the two axes of an image: `[rows, columns]`.
pub type Axes = [usize; 2];

/// A window that slides over a channels-last image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Image size.
    pub image: Axes,
    /// Window size.
    pub kernel: Axes,
    /// Pixels from one window to the next.
    pub stride: Axes,
    /// Pixels between elements of the window; 1 is dense.
    pub dilation: Axes,
    /// Border before the first row and column.
    pub before: Axes,
    /// Number of windows: the output size.
    pub output: Axes,
}

impl Window {
    /// A window with a border of `padding` on all sides; the output size follows (as `torch.nn.functional.conv2d`).
    pub fn new(image: Axes, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes) -> Self {
        let out = |i: usize| {
            let reach = dilation[i].saturating_mul(kernel[i].saturating_sub(1)).saturating_add(1);
            let extent = image[i].saturating_add(padding[i].saturating_mul(2));
            extent.checked_sub(reach).map_or(0, |room| room / stride[i].max(1) + 1)
        };
        Window { image, kernel, stride, dilation, before: padding, output: [out(0), out(1)] }
    }

    /// Pixels that windows `0..n` reach over along an axis, border included.
    pub fn span(&self, axis: usize, n: usize) -> usize {
        n.saturating_sub(1) * self.stride[axis] + self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    /// Whether any window reaches outside of the image.
    pub fn is_padded(&self) -> bool {
        (0..2).any(|i| self.before[i] > 0 || self.span(i, self.output[i]) > self.image[i])
    }

    /// Checks that sizes are positive and offsets small enough.
    ///
    /// # Errors
    /// Unsupported, with the window.
    pub fn check(&self, channels: usize) -> Result<(), EmitError> {
        let positive = [self.image, self.kernel, self.stride, self.dilation, self.output];
        if positive.iter().flatten().any(|&n| n == 0 || n > 1 << 20) || self.before.iter().any(|&n| n > 1 << 16) {
            return Err(EmitError::Unsupported(format!("a window of {self:?}")));
        }
        check_size("image", &[self.image[0] + self.span(0, 1), self.image[1] + self.span(1, 1), channels])?;
        check_size("bordered rows", &[self.span(0, 1), self.span(1, self.output[1]), channels])?;
        check_size("output", &[self.output[0], self.output[1], channels])
    }
}

/// A two-dimensional convolution, channels last. One-dimensional ones have height 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvDesc {
    /// What is multiplied.
    pub numbers: Numbers,
    /// Images, if known at compile time.
    pub batch: Option<usize>,
    /// Window and image sizes.
    pub window: Window,
    /// Input channels, all groups.
    pub in_c: usize,
    /// Elements between input pixels, at least `in_c`.
    pub in_pitch: usize,
    /// Output channels, all groups.
    pub out_c: usize,
    /// Elements between output pixels, at least `out_c`.
    pub out_pitch: usize,
    /// Groups, which divide both channel counts.
    pub groups: usize,
    /// Vectors of output channels of a panel, where they are not to be chosen by the cost model.
    pub panel: Option<usize>,
    /// Applied before the store; its rows are output pixels.
    pub epilogue: Epilogue,
}

impl ConvDesc {
    pub(crate) fn check(&self) -> Result<(), EmitError> {
        let g = self.groups;
        let bad = g == 0 || self.in_c == 0 || self.out_c == 0 || self.batch == Some(0) || self.in_pitch < self.in_c;
        if bad || !self.in_c.is_multiple_of(g) || !self.out_c.is_multiple_of(g) || self.out_pitch < self.out_c {
            return Err(EmitError::Unsupported(format!("convolution of {} to {} channels in {g} groups", self.in_c, self.out_c)));
        }
        if matches!(self.numbers, Numbers::F16 | Numbers::Int4) {
            return Err(EmitError::Unsupported("a convolution with narrow weights".into()));
        }
        if self.numbers.is_integer() && g != 1 {
            return Err(EmitError::Unsupported("a grouped convolution of bytes".into()));
        }
        self.window.check(self.in_pitch)?;
        self.window.check(self.out_pitch)?;
        check_size("batch", &[self.batch.unwrap_or(1)])?;
        check_size("weights", &[self.k(), (self.out_c / g).next_multiple_of(128), g])?;
        if self.epilogue.out == Element::I32 {
            return Err(EmitError::Unsupported("a convolution that gives integers".into()));
        }
        self.epilogue.check()
    }

    /// Length of the sums.
    pub(super) fn k(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * (self.in_c / self.groups)
    }

    /// A matrix product over the pixels in place.
    fn is_pointwise(&self) -> bool {
        self.window.kernel == [1, 1] && self.window.stride == [1, 1] && source(self).border.is_none()
    }

    /// Bytes of an element of the input.
    fn size(&self) -> usize {
        self.numbers.element().bytes()
    }

    fn tiles(&self, info: &IsaInfo) -> TilePlan {
        let most = info.gprs - TileEmitter::extra_gprs(self.numbers, info);
        let max_rows = if self.is_pointwise() && info.wide_disp { 14 } else { most.min(14) };
        let pixels = self.window.output[0] * self.window.output[1];
        let source = source(self);
        let max_rows = rows_without_conflict(self.window.stride[1] * source.pitch * self.size() / 4, max_rows);
        let steps = walk(self, &source).steps();
        plan_tiles(info, self.numbers, Some(pixels), self.out_c / self.groups, steps, max_rows, self.panel)
    }

    /// Bytes in the order the kernel reads them, from `[out_c, in_c, kh, kw]`.
    ///
    /// # Errors
    /// If the descriptor is inconsistent, not one of bytes, or `weights` has another length.
    pub fn pack_bytes(&self, target: &TargetDesc, weights: &[i8]) -> Result<Vec<u8>, EmitError> {
        self.check()?;
        let Numbers::Int8 { zero_point } = self.numbers else {
            return Err(EmitError::Unsupported("bytes for a convolution of f32".into()));
        };
        let (taps, info) = (self.window.kernel[0] * self.window.kernel[1], target.assembler()?.info());
        if weights.len() != self.out_c * self.in_c * taps {
            return Err(EmitError::Unsupported(format!("{} weights for {self:?}", weights.len())));
        }
        let walk = walk(self, &source(self));
        // A run is filled up to a whole number of steps.
        let elements = self.k() / (walk.outer * walk.inner);
        let at = |k: usize, n: usize| {
            let (run, within) = (k / (4 * walk.run), k % (4 * walk.run));
            if within >= elements {
                return 0;
            }
            let k = run * elements + within;
            weights[(n * self.in_c + k % self.in_c) * taps + k / self.in_c]
        };
        Ok(pack_bytes(&self.tiles(&info), &info, walk.steps(), zero_point, at))
    }

    /// The convolution whose code serves all zero points: without a border the zero point is in the weights alone, and the code asks only whether
    /// panels have a head.
    #[must_use]
    pub fn with_any_zero_point(self, target: &TargetDesc) -> Self {
        let Ok(isa) = target.assembler() else { return self };
        let info = isa.info();
        let any = Numbers::Int8 { zero_point: info.dot.offset as u8 ^ 1 };
        let is_free = source(&self).border.is_none() && self.numbers.has_head(&info);
        if is_free { ConvDesc { numbers: any, ..self } } else { self }
    }

    /// Weights in the order the kernel reads them, from `[out_c, in_c / groups, kh, kw]`.
    ///
    /// # Errors
    /// If the descriptor is inconsistent or `weights` has another length.
    pub fn pack(&self, target: &TargetDesc, weights: &[f32]) -> Result<Vec<f32>, EmitError> {
        self.check()?;
        let (ci, co, [kh, kw]) = (self.in_c / self.groups, self.out_c / self.groups, self.window.kernel);
        if weights.len() != self.out_c * ci * kh * kw {
            return Err(EmitError::Unsupported(format!("{} weights for {self:?}", weights.len())));
        }
        let plan = self.tiles(&target.assembler()?.info());
        let at = |group: usize, k: usize, n: usize| {
            let (tap, c) = (k / ci, k % ci);
            weights[((group * co + n) * ci + c) * kh * kw + tap]
        };
        Ok((0..self.groups).flat_map(|g| pack_by(&plan, self.k(), |k, n| at(g, k, n))).collect())
    }
}

fn source(d: &ConvDesc) -> Source {
    Source::new(&d.window, d.numbers, d.in_c, d.in_pitch)
}

fn walk(d: &ConvDesc, s: &Source) -> Walk {
    let (w, c) = (&d.window, d.in_c / d.groups);
    let outer_step = w.dilation[0] * s.line * d.size();
    if w.dilation[1] == 1 && s.pitch == c {
        let run = d.numbers.steps(w.kernel[1] * c);
        return Walk { outer: w.kernel[0], outer_step, inner: 1, inner_step: 4 * run, run };
    }
    let inner_step = w.dilation[1] * s.pitch * d.size();
    Walk { outer: w.kernel[0], outer_step, inner: w.kernel[1], inner_step, run: d.numbers.steps(c) }
}

/// Output rows of one work unit: what of A they need takes a third of the second-level cache. Where there are to be several units, strips are small enough to be
/// these, if all weights, which every strip reads, lie in that cache; if not, units share a strip, and each copies its border.
fn strip_rows(d: &ConvDesc, s: &Source, target: &TargetDesc) -> usize {
    let [height, width] = d.window.output;
    let row_bytes = d.size() * d.window.stride[0] * s.line;
    let least = 32usize.div_ceil(width);
    let weights = d.size() * d.k() * d.out_c;
    let units = if weights <= target.caches.l2 / 2 { target.units } else { 1 };
    let most = (target.caches.l2 / 3 / row_bytes).min(height.div_ceil(units));
    let rows = most.max(least).min(height);
    height.div_ceil(height.div_ceil(rows))
}

/// Arguments: input, weights, output, inputs, begin, end, then scratch if there is padding or bytes may become words.
pub fn emit(desc: &ConvDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.check()?;
    let mut isa = target.assembler()?;
    let plan = desc.tiles(&isa.info());
    let source = source(desc);
    let strip = strip_rows(desc, &source, target);
    let strips = desc.window.output[0].div_ceil(strip);
    let shares = if desc.groups == 1 { target.units.div_ceil(strips).min(plan.panels()) } else { 1 };
    let mut args = vec![Arg::Input, Arg::Weights, Arg::Output, Arg::Inputs, Arg::Begin, Arg::End];
    let mut emitter = ConvEmitter::new(desc, &plan, source, strip, shares, isa.as_mut());
    let words = words::scratch_bytes(&isa.info(), desc.numbers, &plan, &walk(desc, &source));
    let scratch_bytes = emitter.border_bytes() + words;
    if scratch_bytes > 0 {
        args.push(Arg::Scratch);
    }
    let units = match desc.batch {
        Some(n) => Units::Fixed(n * strips * shares),
        None => Units::PerImage(strips * shares),
    };
    emitter.emit(isa.as_mut());
    Ok(Kernel { name: name(desc, &plan), code: isa.finish(args.len())?, args, scratch_bytes, units })
}

fn name(d: &ConvDesc, plan: &TilePlan) -> String {
    let (g, [kh, kw]) = (&plan.groups[0], d.window.kernel);
    let label = d.epilogue.expr.label();
    let label = if label.is_empty() { label } else { format!("_{label}") };
    format!("{}_conv{kh}x{kw}{label}_{}x{}", d.numbers.name(), g.mr, g.nv * plan.lanes)
}

struct ConvEmitter<'a> {
    desc: &'a ConvDesc,
    strips: Strips,
    weights: Slot,
    begin: Slot,
    end: Slot,
    group: Slot,
    /// Units of work that share a strip, each taking some of the panels.
    shares: usize,
    /// First panel of the unit, and one past the last.
    panels: [Slot; 2],
    sweep: Sweep<'a>,
}

impl<'a> ConvEmitter<'a> {
    fn new(desc: &'a ConvDesc, plan: &'a TilePlan, source: Source, strip: usize, shares: usize, isa: &mut dyn VectorIsa) -> Self {
        let slots = StripSlots::new(isa);
        let [weights, inputs, begin, end, group, buffer] = std::array::from_fn(|_| isa.slot());
        let words = desc.numbers.has_seven_bits(&isa.info()).then_some(buffer);
        for (i, s) in [slots.input, weights, slots.output, inputs, begin, end, slots.scratch].into_iter().enumerate() {
            if i < 6 || source.border.is_some() || words.is_some() {
                isa.store_slot(s, Gpr(i as u8));
            }
        }
        let w = desc.window;
        let strips = Strips {
            window: w,
            output: w.output,
            numbers: desc.numbers,
            in_pitch: desc.in_pitch,
            out_step: desc.out_pitch * desc.epilogue.out.bytes(),
            rows: strip,
            source,
            slots,
        };
        let rows = match desc.is_pointwise() {
            true => Rows::Linear { stride: desc.size() * source.pitch },
            false => Rows::Pixels {
                width: w.output[1],
                step: desc.size() * w.stride[1] * source.pitch,
                line: desc.size() * w.stride[0] * source.line,
            },
        };
        let sizes = block_sizes(w.output[0], strip).iter().map(|r| r * w.output[1]).collect();
        let c_row = RowStep::Bytes(strips.out_step as i64);
        let tile = TileEmitter {
            numbers: desc.numbers,
            depth: Depth::Known(walk(desc, &source)),
            words,
            epilogue: EpilogueEmitter::new(isa, desc.numbers, &desc.epilogue, c_row),
            ahead: None,
        };
        let mut state = State::new(isa, inputs);
        (state.a, state.c, state.row) = (slots.source, slots.c, slots.pixel);
        state.sums = tile.saved_sums(isa, plan);
        let block_rows = BlockRows::Known(sizes);
        let sweep = Sweep { tile, plan, rows, c_row, block_rows, state };
        let panels = [isa.slot(), isa.slot()];
        let emitter = ConvEmitter { desc, strips, weights, begin, end, group, shares, panels, sweep };
        if let Some(buffer) = words {
            let t = Gpr(0);
            isa.load_slot(t, slots.scratch);
            isa.add(t, t, Src::Imm(emitter.border_bytes() as i64));
            isa.store_slot(buffer, t);
        }
        emitter
    }

    /// Scratch memory in front of that for words.
    fn border_bytes(&self) -> usize {
        self.strips.border_bytes().next_multiple_of(64)
    }

    fn emit(&mut self, isa: &mut dyn VectorIsa) {
        each_unit(isa, self.begin, self.end, |isa| {
            if self.shares > 1 {
                self.choose_panels(isa);
            }
            self.strips.enter(isa);
            let t = Gpr(0);
            isa.load_slot(t, self.strips.slots.rows);
            isa.mul(t, t, Src::Imm(self.desc.window.output[1] as i64));
            isa.store_slot(self.sweep.state.rows, t);
            match self.shares {
                1 => self.all_groups(isa),
                _ => self.sweep.panel_range(isa, self.weights, self.panels[0], self.panels[1]),
            }
        });
    }

    /// From the number of a unit, in `Gpr(0)`, to that of its strip, and the unit's panels.
    fn choose_panels(&self, isa: &mut dyn VectorIsa) {
        let (unit, share, t, u) = (Gpr(0), Gpr(1), Gpr(2), Gpr(3));
        let (shares, panels) = (self.shares as i64, self.sweep.plan.panels() as i64);
        isa.mov(u, Src::Imm(shares));
        isa.mov(t, Src::Reg(unit));
        isa.udiv(unit, t, u, [V(0), V(1)]);
        isa.mul(share, unit, Src::Imm(shares));
        isa.sub(share, t, Src::Reg(share));
        for slot in self.panels {
            isa.mul(t, share, Src::Imm(panels));
            isa.mov(u, Src::Imm(shares));
            isa.udiv(t, t, u, [V(0), V(1)]);
            isa.store_slot(slot, t);
            isa.add(share, share, Src::Imm(1));
        }
    }

    fn all_groups(&mut self, isa: &mut dyn VectorIsa) {
        let (d, st, t, u) = (self.desc, self.sweep.state, Gpr(0), Gpr(1));
        isa.load_slot(t, self.weights);
        isa.store_slot(st.panel, t);
        set(isa, &[(self.group, 0), (st.col, 0)]);
        if d.groups == 1 {
            return self.sweep.block(isa);
        }
        let top = isa.label();
        isa.bind(top);
        self.sweep.block(isa);
        isa.load_slot(u, st.a);
        isa.add(u, u, Src::Imm(4 * (d.in_c / d.groups) as i64));
        isa.store_slot(st.a, u);
        isa.load_slot(t, self.group);
        isa.add(t, t, Src::Imm(1));
        isa.store_slot(self.group, t);
        isa.mul(u, t, Src::Imm(4 * (d.out_c / d.groups) as i64));
        isa.store_slot(st.col, u);
        isa.branch(Cond::Lt, t, Src::Imm(d.groups as i64), top);
    }
}
