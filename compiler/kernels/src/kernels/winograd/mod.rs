//! 3x3 convolution over channels-last images by Winograd's minimal filtering, F(2x2, 3x3) and F(4x4, 3x3).
//!
//! A tile of `m x m` output pixels takes `(m + 2)^2` products per pair of channels instead of `9 m^2`: 2.25 times fewer for `m = 2`,
//! 4 times for `m = 4`. Filters are transformed when compiling, in double precision. For each strip of output rows, the kernel
//! * copies the input with its zero border,
//! * transforms every tile of the input into `(m + 2)^2` planes, matrices of tiles by channels,
//! * multiplies each plane by its matrix of transformed filters,
//! * transforms the products back, with the epilogue on the way to memory.
//!
//! The sums have another order than the direct ones and pass through larger numbers: over 256 channels of random numbers the error
//! (root mean square) is 0.6 (`m = 2`) and 1.7 (`m = 4`) times that of the definition. An infinity spreads over its tile as NaN.

mod cost;
mod transform;

use crate::isa::{Arithmetic, Cond, Element, EmitError, Gpr, Mem, Slot, Src, Tail, V, VSlot, VectorIsa};
use crate::kernels::contraction::{Depth, TileEmitter, Walk, repeat};
use crate::kernels::conv::{Axes, ConvDesc, Window};
use crate::kernels::epilogue::{Epilogue, EpilogueEmitter, Position, RowStep, TileCols};
use crate::kernels::gemm::{MAX_POINTERS, MAX_ROWS};
use crate::kernels::numbers::Numbers;
use crate::kernels::registers::Gprs;
use crate::kernels::strips::{Source, StripSlots, Strips};
use crate::kernels::sweep::{BlockRows, Rows, State, Sweep};
use crate::kernels::units::each_unit;
use crate::kernels::{Arg, Kernel, Units};
use crate::math;
use crate::packing::{pack_by, packed_len};
use crate::prog::{Inst, Plan, Val};
use crate::select::{TilePlan, plan_tiles};
use crate::target::TargetDesc;
use crate::vexpr::{Leaf, VExpr};
use transform::TAPS;

pub use cost::{choose, of_tile};

/// A convolution by F(m x m, 3 x 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WinogradDesc {
    /// The convolution: 3x3, no strides, dilations or groups.
    pub conv: ConvDesc,
    /// Output pixels of a tile along each axis: 2 or 4.
    pub tile: usize,
}

impl WinogradDesc {
    /// Whether the algorithm is for this convolution.
    pub fn fits(conv: &ConvDesc) -> bool {
        let w = &conv.window;
        let is_f32 = conv.numbers == Numbers::F32 && conv.epilogue.out == Element::F32;
        w.kernel == [TAPS, TAPS] && w.stride == [1, 1] && w.dilation == [1, 1] && conv.groups == 1 && is_f32
    }

    fn check(&self) -> Result<(), EmitError> {
        self.conv.check()?;
        if !WinogradDesc::fits(&self.conv) || ![2, 4].contains(&self.tile) {
            return Err(EmitError::Unsupported(format!("Winograd's algorithm for {:?}", self.conv.window)));
        }
        Ok(())
    }

    /// Input pixels of a tile along each axis, which is also the number of interpolation points.
    fn points(&self) -> usize {
        self.tile + TAPS - 1
    }

    /// Weights in the order the kernel reads them, from `[out_c, in_c, 3, 3]`: a packed matrix for each pair of points.
    ///
    /// # Errors
    /// If the descriptor is inconsistent or `weights` has another length.
    pub fn pack(&self, target: &TargetDesc, weights: &[f32]) -> Result<Vec<f32>, EmitError> {
        self.check()?;
        let (ci, co, taps) = (self.conv.in_c, self.conv.out_c, TAPS * TAPS);
        if weights.len() != co * ci * taps {
            return Err(EmitError::Unsupported(format!("{} weights for {:?}", weights.len(), self.conv)));
        }
        let (g, planes) = (transform::filter_matrix(self.tile), self.points() * self.points());
        let mut all = vec![0f32; planes * ci * co];
        let mut one = vec![0f64; planes];
        for (at, filter) in weights.chunks(taps).enumerate() {
            transform::transform_filter(&g, std::array::from_fn(|i| f64::from(filter[i])), &mut one);
            one.iter().enumerate().for_each(|(plane, &v)| all[plane * ci * co + at] = v as f32);
        }
        let plan = Layout::new(self, target)?.plan;
        let mut packed = Vec::with_capacity(planes * packed_len(&plan, ci));
        for plane in all.chunks_exact(co * ci) {
            packed.extend(pack_by(&plan, ci, |k, n| plane[n * ci + k]));
        }
        Ok(packed)
    }

    /// The convolution's window with an output of whole tiles.
    fn window(&self) -> Window {
        let w = self.conv.window;
        Window { output: w.output.map(|n| n.next_multiple_of(self.tile)), ..w }
    }
}

/// Strips that threads share: each reads all weights again.
const UNITS: usize = 4;

/// Where things lie in the scratch memory of a strip, and how the products are tiled.
struct Layout {
    window: Window,
    source: Source,
    /// Tiles along each axis of the output.
    tiles: Axes,
    /// Rows of tiles of a strip.
    tile_rows: usize,
    /// Elements per tile in a transformed plane of the input, and of the output.
    pitch: [usize; 2],
    /// Bytes of such a plane.
    plane: [usize; 2],
    plan: TilePlan,
}

impl Layout {
    fn new(d: &WinogradDesc, target: &TargetDesc) -> Result<Layout, EmitError> {
        let info = target.assembler()?.info();
        let window = d.window();
        let source = Source::new(&window, Numbers::F32, d.conv.in_c, d.conv.in_pitch);
        let tiles = window.output.map(|n| n / d.tile);
        let in_pitch = uneven(d.conv.in_c.next_multiple_of(info.lanes));
        let row_bytes = 4 * d.points() * d.points() * tiles[1] * (in_pitch + d.conv.out_c);
        let most = tiles[0].div_ceil(target.units.min(UNITS));
        let fit = (target.caches.l2 / 2 / row_bytes).clamp(1, most);
        let tile_rows = tiles[0].div_ceil(tiles[0].div_ceil(fit));
        let rows = tile_rows * tiles[1];
        let max_rows = if info.wide_disp { MAX_ROWS } else { MAX_POINTERS };
        let plan = plan_tiles(&info, Numbers::F32, Some(rows), d.conv.out_c, d.conv.in_c, max_rows, d.conv.panel);
        let pitch = [in_pitch, plan.packed_cols()];
        // An odd number of cache lines: planes do not fall on the same lines of the first-level cache.
        let plane = pitch.map(|p| ((4 * rows * p).div_ceil(64) | 1) * 64);
        Ok(Layout { window, source, tiles, tile_rows, pitch, plane, plan })
    }
}

/// A row length of at least `n` elements, a multiple of whole cache lines if `n` is, that is no multiple of 1 KB: rows do not fall on
/// the same lines of the first-level cache.
fn uneven(n: usize) -> usize {
    if n.is_multiple_of(256) { n + 16 } else { n }
}

/// Arguments: input, weights, output, inputs, begin, end, scratch.
pub fn emit(desc: &WinogradDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.check()?;
    let layout = Layout::new(desc, target)?;
    let mut isa = target.assembler()?;
    let args = vec![Arg::Input, Arg::Weights, Arg::Output, Arg::Inputs, Arg::Begin, Arg::End, Arg::Scratch];
    let mut emitter = Emitter::new(desc, &layout, isa.as_mut());
    let scratch_bytes = emitter.at[2];
    crate::kernels::check_size("scratch memory", &[scratch_bytes.div_ceil(4)])?;
    emitter.emit(isa.as_mut());
    let strips = layout.tiles[0].div_ceil(layout.tile_rows);
    let units = desc.conv.batch.map_or(Units::PerImage(strips), |n| Units::Fixed(n * strips));
    let label = desc.conv.epilogue.expr.label();
    let label = if label.is_empty() { label } else { format!("_{label}") };
    let group = &layout.plan.groups[0];
    let name = format!("f32_winograd{}{label}_{}x{}", desc.tile, group.mr, group.nv * layout.plan.lanes);
    Ok(Kernel { name, code: isa.finish(args.len())?, args, scratch_bytes, units })
}

/// A transform along one axis, with the constants that stay in registers while it is repeated.
struct Transform {
    plan: Plan,
    constants: Vec<(V, u32)>,
    regs: Vec<V>,
}

impl Transform {
    /// For a vector register file of which the first `reserved` are not to be touched.
    fn new(isa: &dyn VectorIsa, expr: &VExpr, reserved: usize, keep_constants: bool) -> Transform {
        let prog = math::lower(expr, Arithmetic::default());
        let all = prog.constants();
        let room = isa.info().vregs - reserved;
        let fits = |&kept: &usize| kept + prog.pressure(&all[..kept]) <= room;
        let kept = if keep_constants { (0..=all.len()).rev().find(fits).unwrap_or(0) } else { 0 };
        let given: Vec<(Val, u8)> = all[..kept].iter().enumerate().map(|(i, &v)| (v, (room - kept + i) as u8)).collect();
        let plan = prog.allocate(room - kept, &given);
        let regs: Vec<V> = (reserved..isa.info().vregs).map(|r| V(r as u8)).collect();
        let bits = |v: Val| match prog.inst(v) {
            Inst::Const(bits) => *bits,
            _ => 0,
        };
        let constants = given.iter().map(|&(v, r)| (regs[r as usize], bits(v))).collect();
        Transform { plan, constants, regs }
    }

    fn load_constants(&self, isa: &mut dyn VectorIsa) {
        self.constants.iter().for_each(|&(v, bits)| isa.splat(v, bits));
    }

    /// Emits it once; `fetch` loads an input. Gives the registers of the results.
    fn apply(&self, isa: &mut dyn VectorIsa, spills: &[VSlot], mut fetch: impl FnMut(&mut dyn VectorIsa, usize, V)) -> Vec<V> {
        self.plan.emit(isa, &self.regs, spills, &mut |isa, leaf, d| {
            if let Leaf::Input(k) = leaf {
                fetch(isa, k as usize, d);
            }
        })
    }
}

/// The register that holds the mask of a tail.
const MASK: V = V(0);

struct Emitter<'a> {
    desc: &'a WinogradDesc,
    layout: &'a Layout,
    strips: Strips,
    /// Ends of the bordered copy, of the input's planes, and of the output's planes in scratch memory.
    at: [usize; 3],
    weights: Slot,
    begin: Slot,
    end: Slot,
    /// Rows of tiles of the strip that are left, tiles of the row, and vectors of channels.
    rows: Slot,
    columns: Slot,
    vectors: Slot,
    /// Where the next tile reads, and where its products are.
    from: Slot,
    products: Slot,
    /// First output row, pixel and address of the tile row; pixel and address of the tile.
    y: Slot,
    row_pixel: Slot,
    row_c: Slot,
    pixel: Slot,
    c: Slot,
    /// The pixels that the epilogue stores.
    position: Position,
    /// The tile between the transforms of its columns and of its rows.
    middle: Vec<VSlot>,
    spills: Vec<VSlot>,
    sweep: Sweep<'a>,
    epilogue: EpilogueEmitter,
}

impl<'a> Emitter<'a> {
    fn new(desc: &'a WinogradDesc, layout: &'a Layout, isa: &mut dyn VectorIsa) -> Self {
        let (conv, slots) = (&desc.conv, StripSlots::new(isa));
        let [weights, inputs, begin, end] = std::array::from_fn(|_| isa.slot());
        for (i, s) in [slots.input, weights, slots.output, inputs, begin, end, slots.scratch].into_iter().enumerate() {
            isa.store_slot(s, Gpr(i as u8));
        }
        let strips = Strips {
            window: layout.window,
            output: conv.window.output,
            numbers: Numbers::F32,
            in_pitch: conv.in_pitch,
            out_step: 4 * conv.out_pitch,
            rows: layout.tile_rows * desc.tile,
            source: layout.source,
            slots,
        };
        let planes = desc.points() * desc.points();
        let border = strips.border_bytes().next_multiple_of(64);
        let at = [border, border + planes * layout.plane[0], border + planes * (layout.plane[0] + layout.plane[1])];
        let [rows, columns, vectors, from, products, y, row_pixel, row_c, pixel, c] = std::array::from_fn(|_| isa.slot());
        let position = Position { c: isa.slot(), row: isa.slot(), col: isa.slot(), inputs, sums: None };
        let middle = (0..planes).map(|_| isa.vslot()).collect();
        let sweep = products_sweep(desc, layout, isa);
        let epilogue = EpilogueEmitter::new(isa, Numbers::F32, &conv.epilogue, RowStep::Bytes(4 * conv.out_pitch as i64));
        Emitter {
            desc,
            layout,
            strips,
            at,
            weights,
            begin,
            end,
            rows,
            columns,
            vectors,
            from,
            products,
            y,
            row_pixel,
            row_c,
            pixel,
            c,
            position,
            middle,
            spills: Vec::new(),
            sweep,
            epilogue,
        }
    }

    fn emit(&mut self, isa: &mut dyn VectorIsa) {
        each_unit(isa, self.begin, self.end, |isa| {
            self.strips.enter(isa);
            self.transform_input(isa);
            self.multiply(isa);
            self.transform_output(isa);
        });
    }

    fn reserve_spills(&mut self, isa: &mut dyn VectorIsa, plan: &Plan) {
        while self.spills.len() < plan.slots {
            self.spills.push(isa.vslot());
        }
    }

    /// Sets the slot of tile rows to what the strip has.
    fn count_rows(&self, isa: &mut dyn VectorIsa, t: Gpr) {
        isa.load_slot(t, self.strips.slots.rows);
        isa.shr(t, t, self.desc.tile.trailing_zeros() as u8);
        isa.store_slot(self.rows, t);
    }

    fn transform_input(&mut self, isa: &mut dyn VectorIsa) {
        let (d, l) = (self.desc, self.layout);
        let transform = Transform::new(isa, &transform::input_transform(d.tile), 1, true);
        self.reserve_spills(isa, &transform.plan);
        let mut gprs = Gprs::all(isa.info().gprs);
        let (to, tile, p, t) = (gprs.take(), gprs.take(), gprs.take(), gprs.take());
        self.count_rows(isa, t);
        isa.load_slot(to, self.strips.slots.scratch);
        isa.add(to, to, Src::Imm(self.at[0] as i64));
        isa.load_slot(t, self.strips.slots.source);
        isa.store_slot(self.from, t);
        transform.load_constants(isa);
        let (lanes, bytes) = (isa.info().lanes, i64::from(isa.info().bytes()));
        let tail = d.conv.in_c % lanes;
        let tail = (tail > 0).then(|| isa.make_tail(Src::Imm(tail as i64), MASK));
        let top = isa.label();
        isa.bind(top);
        isa.load_slot(tile, self.from);
        repeat(isa, &mut gprs, l.tiles[1], |isa, gprs, _| {
            isa.mov(p, Src::Reg(tile));
            repeat(isa, gprs, d.conv.in_c / lanes, |isa, _, _| {
                self.input_tile(isa, &transform, p, to, None);
                isa.add(p, p, Src::Imm(bytes));
                isa.add(to, to, Src::Imm(bytes));
            });
            if tail.is_some() {
                self.input_tile(isa, &transform, p, to, tail.as_ref());
                isa.add(to, to, Src::Imm(bytes));
            }
            let skipped = l.pitch[0] - d.conv.in_c.next_multiple_of(lanes);
            isa.add(to, to, Src::Imm(4 * skipped as i64));
            isa.add(tile, tile, Src::Imm(4 * (d.tile * l.source.pitch) as i64));
        });
        isa.load_slot(t, self.from);
        isa.add(t, t, Src::Imm(4 * (d.tile * l.source.line) as i64));
        isa.store_slot(self.from, t);
        isa.load_slot(t, self.rows);
        isa.sub(t, t, Src::Imm(1));
        isa.store_slot(self.rows, t);
        isa.branch(Cond::Gt, t, Src::Imm(0), top);
    }

    /// One vector of channels of the tile at `p`, to the planes at `to`.
    fn input_tile(&self, isa: &mut dyn VectorIsa, transform: &Transform, p: Gpr, to: Gpr, tail: Option<&Tail>) {
        let (n, source) = (self.desc.points(), self.layout.source);
        for column in 0..n {
            let out = transform.apply(isa, &self.spills, |isa, row, v| {
                let m = Mem::new(p, 4 * (row * source.line + column * source.pitch) as i32);
                match tail {
                    None => isa.load(v, m),
                    Some(tail) => isa.load_tail(v, m, tail),
                }
            });
            out.iter().enumerate().for_each(|(row, &v)| isa.spill(self.middle[row * n + column], v));
        }
        for row in 0..n {
            let out = transform.apply(isa, &self.spills, |isa, column, v| isa.reload(v, self.middle[row * n + column]));
            for (column, &v) in out.iter().enumerate() {
                isa.store(Mem::new(to, ((row * n + column) * self.layout.plane[0]) as i32), v);
            }
        }
    }

    /// Each plane of the input times its weights.
    fn multiply(&mut self, isa: &mut dyn VectorIsa) {
        let (st, l, t, u) = (self.sweep.state, self.layout, Gpr(0), Gpr(1));
        self.count_rows(isa, t);
        isa.mul(t, t, Src::Imm(l.tiles[1] as i64));
        isa.store_slot(st.rows, t);
        for (slot, at) in [(st.a, self.at[0]), (st.c, self.at[1])] {
            isa.load_slot(t, self.strips.slots.scratch);
            isa.add(t, t, Src::Imm(at as i64));
            isa.store_slot(slot, t);
        }
        isa.load_slot(t, self.weights);
        isa.store_slot(st.panel, t);
        isa.mov(t, Src::Imm((self.desc.points() * self.desc.points()) as i64));
        isa.store_slot(self.columns, t);
        isa.mov(t, Src::Imm(0));
        isa.store_slot(st.row, t);
        let top = isa.label();
        isa.bind(top);
        isa.mov(t, Src::Imm(0));
        isa.store_slot(st.col, t);
        // The panels of one plane end where those of the next begin.
        self.sweep.block(isa);
        for (slot, plane) in [(st.a, l.plane[0]), (st.c, l.plane[1])] {
            isa.load_slot(t, slot);
            isa.add(t, t, Src::Imm(plane as i64));
            isa.store_slot(slot, t);
        }
        isa.load_slot(u, self.columns);
        isa.sub(u, u, Src::Imm(1));
        isa.store_slot(self.columns, u);
        isa.branch(Cond::Gt, u, Src::Imm(0), top);
    }

    fn transform_output(&mut self, isa: &mut dyn VectorIsa) {
        let (d, l, t) = (self.desc, self.layout, Gpr(0));
        let slots = self.strips.slots;
        self.count_rows(isa, t);
        isa.load_slot(t, slots.scratch);
        isa.add(t, t, Src::Imm(self.at[1] as i64));
        isa.store_slot(self.products, t);
        for (from, to) in [(slots.y, self.y), (slots.pixel, self.row_pixel), (slots.c, self.row_c)] {
            isa.load_slot(t, from);
            isa.store_slot(to, t);
        }
        let transform = Transform::new(isa, &transform::output_transform(d.tile), 1, false);
        self.reserve_spills(isa, &transform.plan);
        let top = isa.label();
        isa.bind(top);
        for (from, to) in [(self.row_pixel, self.pixel), (self.row_c, self.c)] {
            isa.load_slot(t, from);
            isa.store_slot(to, t);
        }
        isa.mov(t, Src::Imm(l.tiles[1] as i64));
        isa.store_slot(self.columns, t);
        self.output_row(isa, &transform);
        let pixels = d.tile * d.conv.window.output[1];
        add_to_slot(isa, t, self.row_pixel, pixels as i64);
        add_to_slot(isa, t, self.row_c, 4 * (pixels * d.conv.out_pitch) as i64);
        add_to_slot(isa, t, self.y, d.tile as i64);
        add_to_slot(isa, t, self.rows, -1);
        isa.branch(Cond::Gt, t, Src::Imm(0), top);
    }

    /// One row of tiles.
    fn output_row(&mut self, isa: &mut dyn VectorIsa, transform: &Transform) {
        let (d, t) = (self.desc, Gpr(0));
        let (lanes, bytes) = (isa.info().lanes, i64::from(isa.info().bytes()));
        let (whole, tail) = (d.conv.out_c / lanes, d.conv.out_c % lanes);
        let skipped = self.layout.pitch[1] - d.conv.out_c.next_multiple_of(lanes);
        let next_tile = isa.label();
        isa.bind(next_tile);
        isa.mov(t, Src::Imm(0));
        isa.store_slot(self.position.col, t);
        if whole > 0 {
            isa.mov(t, Src::Imm(whole as i64));
            isa.store_slot(self.vectors, t);
            let next_vector = isa.label();
            isa.bind(next_vector);
            self.output_tile(isa, transform, TileCols::All);
            add_to_slot(isa, t, self.position.col, bytes);
            add_to_slot(isa, t, self.products, bytes);
            add_to_slot(isa, t, self.vectors, -1);
            isa.branch(Cond::Gt, t, Src::Imm(0), next_vector);
        }
        if tail > 0 {
            self.output_tile(isa, transform, TileCols::Tail(tail));
            add_to_slot(isa, t, self.products, bytes);
        }
        if skipped > 0 {
            add_to_slot(isa, t, self.products, 4 * skipped as i64);
        }
        add_to_slot(isa, t, self.pixel, d.tile as i64);
        add_to_slot(isa, t, self.c, 4 * (d.tile * d.conv.out_pitch) as i64);
        add_to_slot(isa, t, self.columns, -1);
        isa.branch(Cond::Gt, t, Src::Imm(0), next_tile);
    }

    /// One vector of channels of a tile.
    fn output_tile(&mut self, isa: &mut dyn VectorIsa, transform: &Transform, cols: TileCols) {
        let (n, m, plane) = (self.desc.points(), self.desc.tile, self.layout.plane[1]);
        let from = Gpr(0);
        isa.load_slot(from, self.products);
        for column in 0..n {
            let fetch =
                |isa: &mut dyn VectorIsa, row: usize, v: V| isa.load(v, Mem::new(from, ((row * n + column) * plane) as i32));
            let out = transform.apply(isa, &self.spills, fetch);
            out.iter().enumerate().for_each(|(row, &v)| isa.spill(self.middle[row * n + column], v));
        }
        let [height, width] = self.desc.conv.window.output;
        let done = isa.label();
        for row in 0..m {
            if row > 0 && !height.is_multiple_of(m) {
                let (y, limit) = (Gpr(0), height as i64 - row as i64);
                isa.load_slot(y, self.y);
                isa.branch(Cond::Ge, y, Src::Imm(limit), done);
            }
            self.place(isa, row);
            let out = transform.apply(isa, &self.spills, |isa, column, v| isa.reload(v, self.middle[row * n + column]));
            let rest = width % m;
            if rest == 0 {
                self.store(isa, &out, cols);
                continue;
            }
            let (last, stored, t) = (isa.label(), isa.label(), Gpr(0));
            isa.load_slot(t, self.columns);
            isa.branch(Cond::Eq, t, Src::Imm(1), last);
            self.store(isa, &out, cols);
            isa.jump(stored);
            isa.bind(last);
            self.store(isa, &out[..rest], cols);
            isa.bind(stored);
        }
        isa.bind(done);
    }

    /// Sets the position to the first pixel of a row of the tile.
    fn place(&self, isa: &mut dyn VectorIsa, row: usize) {
        let (t, u, conv) = (Gpr(0), Gpr(1), &self.desc.conv);
        let pixels = row * conv.window.output[1];
        isa.load_slot(t, self.pixel);
        isa.add(t, t, Src::Imm(pixels as i64));
        isa.store_slot(self.position.row, t);
        isa.load_slot(t, self.c);
        isa.load_slot(u, self.position.col);
        isa.add(t, t, Src::Reg(u));
        isa.add(t, t, Src::Imm(4 * (pixels * conv.out_pitch) as i64));
        isa.store_slot(self.position.c, t);
    }

    /// Epilogue and store of successive pixels.
    fn store(&mut self, isa: &mut dyn VectorIsa, pixels: &[V], cols: TileCols) {
        let info = isa.info();
        let free = (0..info.vregs as u8).map(V).filter(|v| !pixels.contains(v)).collect();
        let acc: Vec<Vec<V>> = pixels.iter().map(|&v| vec![v]).collect();
        self.epilogue.store(isa, &Gprs::all(info.gprs), &self.position, &acc, free, cols);
    }
}

fn add_to_slot(isa: &mut dyn VectorIsa, t: Gpr, slot: Slot, n: i64) {
    isa.load_slot(t, slot);
    isa.add(t, t, Src::Imm(n));
    isa.store_slot(slot, t);
}

/// The products of the planes: tiles by input channels, by output channels.
fn products_sweep<'a>(desc: &WinogradDesc, layout: &'a Layout, isa: &mut dyn VectorIsa) -> Sweep<'a> {
    let c_row = RowStep::Bytes(4 * layout.pitch[1] as i64);
    let depth = Depth::Known(Walk::contiguous(desc.conv.in_c));
    let tile = TileEmitter::of_f32(isa, depth, &Epilogue::none(), c_row);
    let whole = layout.tile_rows;
    let mut rows = vec![whole];
    if !layout.tiles[0].is_multiple_of(whole) {
        rows.push(layout.tiles[0] % whole);
    }
    let block_rows = BlockRows::Known(rows.iter().map(|r| r * layout.tiles[1]).collect());
    let inputs = isa.slot();
    Sweep {
        tile,
        plan: &layout.plan,
        rows: Rows::Linear { stride: 4 * layout.pitch[0] },
        c_row,
        block_rows,
        state: State::new(isa, inputs),
    }
}
