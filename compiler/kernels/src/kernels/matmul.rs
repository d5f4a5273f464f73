//! `C[M, N] = epilogue(A[M, K] B[K, N])` where any of M, N, K may be known only at run time, as in attention over a sequence.
//!
//! B is packed first, by the kernel of [`MatmulPackDesc`], into panels of one width that depends on the target only; the last panel
//! is filled up with zeros. Products with constant N and K are better served by [`super::gemm`], whose tiles fit the shape.

use crate::isa::{Cond, Element, EmitError, Gpr, IsaInfo, Mem, Slot, Src, V, VectorIsa};
use crate::kernels::contraction::{Depth, TileEmitter, Walk};
use crate::kernels::epilogue::{Epilogue, RowStep, TileCols};
use crate::kernels::registers::Gprs;
use crate::kernels::sweep::{BlockRows, Rows, State, Sweep};
use crate::kernels::units::each_unit;
use crate::kernels::{Arg, Kernel, Units, check_size};
use crate::select::{PanelGroup, TilePlan};
use crate::target::TargetDesc;

/// Sizes of a product; `None` is an argument of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatmulDims {
    /// Rows of A and C (argument `Rows`).
    pub m: Option<usize>,
    /// Columns of B and C (argument `Cols`).
    pub n: Option<usize>,
    /// Columns of A, rows of B (argument `Depth`).
    pub k: Option<usize>,
}

/// Elements from one row of a matrix to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowLen {
    /// So many.
    Elements(usize),
    /// N.
    Cols,
    /// K.
    Depth,
}

/// A matrix product with run-time sizes. Units of work are panels: `ceil(N / panel_cols)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatmulDesc {
    /// Sizes.
    pub dims: MatmulDims,
    /// Rows of A.
    pub lda: RowLen,
    /// Rows of C.
    pub ldc: RowLen,
    /// Applied before the store.
    pub epilogue: Epilogue,
}

/// The packing of B for a [`MatmulDesc`]. Units of work are panels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatmulPackDesc {
    /// Sizes; `m` does not matter.
    pub dims: MatmulDims,
    /// B is stored as `[n, k]` rather than `[k, n]`.
    pub transposed: bool,
    /// Rows of B as stored.
    pub row: RowLen,
}

/// Row tile and vectors of the panel: the largest balanced tile of the ISA.
fn shape(info: &IsaInfo) -> (usize, usize) {
    match (info.vregs, info.k_step) {
        // One may be taken for products.
        (..=16, _) => (6, 2),
        (_, 1) => (8, 3),
        _ => (8, 2),
    }
}

/// Columns of a panel. A packed B has `ceil(n / panel_cols) * panel_cols * k` elements.
///
/// # Errors
/// If there is no assembler for the target.
pub fn panel_cols(target: &TargetDesc) -> Result<usize, EmitError> {
    let info = target.assembler()?.info();
    Ok(shape(&info).1 * info.lanes)
}

fn check_dims(dims: &MatmulDims, rows: &[RowLen]) -> Result<(), EmitError> {
    let MatmulDims { m, n, k } = *dims;
    if [m, n, k].contains(&Some(0)) {
        return Err(EmitError::Unsupported(format!("a product of {dims:?}")));
    }
    check_size("columns", &[n.unwrap_or(1)])?;
    check_size("product", &[n.unwrap_or(1).next_multiple_of(128), k.unwrap_or(1)])?;
    check_size("rows", &[m.unwrap_or(1)])?;
    rows.iter().try_for_each(|r| match r {
        RowLen::Elements(n) => check_size("row", &[*n, 16]),
        RowLen::Cols | RowLen::Depth => Ok(()),
    })
}

/// Frame slots of the sizes, set on entry.
#[derive(Clone, Copy)]
struct Sizes {
    m: Slot,
    n: Slot,
    k: Slot,
}

impl Sizes {
    /// Arguments for the sizes that are not known.
    fn args(dims: &MatmulDims, with_rows: bool) -> Vec<Arg> {
        let all = [(dims.m.is_none() && with_rows, Arg::Rows), (dims.n.is_none(), Arg::Cols), (dims.k.is_none(), Arg::Depth)];
        all.into_iter().filter(|(missing, _)| *missing).map(|(_, a)| a).collect()
    }

    /// Slots with the known sizes set; the caller has stored the arguments before.
    fn new(isa: &mut dyn VectorIsa, dims: &MatmulDims, args: &[(Arg, Slot)]) -> Self {
        let mut one = |known: Option<usize>, arg: Arg| {
            if let Some(&(_, slot)) = args.iter().find(|(a, _)| *a == arg) {
                return slot;
            }
            let slot = isa.slot();
            isa.mov(Gpr(0), Src::Imm(known.unwrap_or(1) as i64));
            isa.store_slot(slot, Gpr(0));
            slot
        };
        Sizes { m: one(dims.m, Arg::Rows), n: one(dims.n, Arg::Cols), k: one(dims.k, Arg::Depth) }
    }

    /// A slot with the bytes of a row.
    fn row_bytes(&self, isa: &mut dyn VectorIsa, row: RowLen) -> Slot {
        let (slot, t) = (isa.slot(), Gpr(0));
        match row {
            RowLen::Elements(n) => isa.mov(t, Src::Imm(n as i64)),
            RowLen::Cols => isa.load_slot(t, self.n),
            RowLen::Depth => isa.load_slot(t, self.k),
        }
        isa.shl(t, t, 2);
        isa.store_slot(slot, t);
        slot
    }
}

/// Stores all arguments to slots.
fn save_args(isa: &mut dyn VectorIsa, args: &[Arg]) -> Vec<(Arg, Slot)> {
    let slots: Vec<(Arg, Slot)> = args.iter().map(|&a| (a, isa.slot())).collect();
    slots.iter().enumerate().for_each(|(i, &(_, s))| isa.store_slot(s, Gpr(i as u8)));
    slots
}

fn slot_of(slots: &[(Arg, Slot)], arg: Arg) -> Slot {
    slots.iter().find(|(a, _)| *a == arg).map_or(slots[0].1, |&(_, s)| s)
}

/// Arguments: input, weights (packed B), output, begin, end; inputs if the epilogue has any; then rows, cols, depth, those not known.
pub fn emit(desc: &MatmulDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    check_dims(&desc.dims, &[desc.lda, desc.ldc])?;
    desc.epilogue.check()?;
    if desc.epilogue.out != Element::F32 {
        return Err(EmitError::Unsupported("a product of two activations that gives bytes".into()));
    }
    let mut args = vec![Arg::Input, Arg::Weights, Arg::Output, Arg::Begin, Arg::End];
    if !desc.epilogue.inputs.is_empty() {
        args.push(Arg::Inputs);
    }
    args.extend(Sizes::args(&desc.dims, true));
    if args.len() > crate::isa::MAX_ARGS {
        return Err(EmitError::Unsupported("a product of three unknown sizes with epilogue inputs".into()));
    }
    let mut isa = target.assembler()?;
    let (mr, nv) = shape(&isa.info());
    emit_product(desc, isa.as_mut(), &args);
    let label = desc.epilogue.expr.label();
    let label = if label.is_empty() { label } else { format!("_{label}") };
    let width = nv * isa.info().lanes;
    let name = format!("f32_matmul{label}_{mr}x{width}");
    Ok(Kernel { name, code: isa.finish(args.len())?, args, scratch_bytes: 0, units: units(&desc.dims, width) })
}

fn units(dims: &MatmulDims, width: usize) -> Units {
    dims.n.map_or(Units::PerCols(width), |n| Units::Fixed(n.div_ceil(width)))
}

fn emit_product(desc: &MatmulDesc, isa: &mut dyn VectorIsa, args: &[Arg]) {
    let slots = save_args(isa, args);
    let sizes = Sizes::new(isa, &desc.dims, &slots);
    let (mr, nv) = shape(&isa.info());
    let (lanes, width) = (isa.info().lanes, nv * isa.info().lanes);
    let plan = TilePlan { lanes, groups: vec![PanelGroup { panels: 1, nv, cols: width, mr }] };
    let c_row = match desc.ldc {
        RowLen::Elements(n) => RowStep::Bytes(4 * n as i64),
        other => RowStep::Slot(sizes.row_bytes(isa, other)),
    };
    let rows = match desc.lda {
        RowLen::Elements(stride) => Rows::Linear { stride: 4 * stride },
        other => Rows::Runtime(sizes.row_bytes(isa, other)),
    };
    let mut state = State::new(isa, slot_of(&slots, Arg::Inputs));
    let depth = desc.dims.k.map_or(Depth::Runtime(sizes.k), |k| Depth::Known(Walk::contiguous(k)));
    let tile = TileEmitter::of_f32(isa, depth, &desc.epilogue, c_row);
    state.sums = tile.saved_sums(isa, &plan);
    let block_rows = desc.dims.m.map_or(BlockRows::Any, |m| BlockRows::Known(vec![m]));
    let mut sweep = Sweep { tile, plan: &plan, rows, c_row, block_rows, state };
    let (t, valid) = (Gpr(0), isa.slot());
    for (from, to) in [(slot_of(&slots, Arg::Input), state.a), (slot_of(&slots, Arg::Output), state.c), (sizes.m, state.rows)] {
        isa.load_slot(t, from);
        isa.store_slot(to, t);
    }
    isa.mov(t, Src::Imm(0));
    isa.store_slot(state.row, t);
    let end = isa.label();
    isa.load_slot(t, sizes.m);
    isa.branch(Cond::Le, t, Src::Imm(0), end);
    let known = desc.dims.n;
    for_each_panel(isa, &slots, &sizes, width, |isa, p, left| {
        let (u, v, ragged, next) = (Gpr(2), Gpr(3), isa.label(), isa.label());
        isa.store_slot(valid, left);
        isa.mul(u, p, Src::Imm(4 * width as i64));
        isa.store_slot(state.col, u);
        isa.load_slot(v, sizes.k);
        isa.mul(u, u, Src::Reg(v));
        isa.load_slot(v, slot_of(&slots, Arg::Weights));
        isa.add(u, u, Src::Reg(v));
        isa.store_slot(state.panel, u);
        isa.branch(Cond::Lt, left, Src::Imm(width as i64), ragged);
        if known.is_none_or(|n| n >= width) {
            sweep.one_panel(isa, mr, nv, TileCols::All);
        }
        isa.jump(next);
        isa.bind(ragged);
        if known.is_none_or(|n| !n.is_multiple_of(width)) {
            sweep.one_panel(isa, mr, nv, TileCols::Slot(valid));
        }
        isa.bind(next);
    });
    isa.bind(end);
}

/// Runs `body` for each panel of the range; it gets the panel's number and the columns from its first on (at least one).
fn for_each_panel(
    isa: &mut dyn VectorIsa,
    slots: &[(Arg, Slot)],
    sizes: &Sizes,
    width: usize,
    body: impl FnOnce(&mut dyn VectorIsa, Gpr, Gpr),
) {
    let (begin, end) = (slot_of(slots, Arg::Begin), slot_of(slots, Arg::End));
    each_unit(isa, begin, end, |isa| {
        let (p, left, beyond) = (Gpr(0), Gpr(1), isa.label());
        isa.mul(Gpr(2), p, Src::Imm(width as i64));
        isa.load_slot(left, sizes.n);
        isa.sub(left, left, Src::Reg(Gpr(2)));
        isa.branch(Cond::Le, left, Src::Imm(0), beyond);
        body(isa, p, left);
        isa.bind(beyond);
    });
}

/// Arguments: input (B), output (packed), begin, end; then cols, depth, those not known.
pub fn emit_pack(desc: &MatmulPackDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    check_dims(&desc.dims, &[desc.row])?;
    let mut isa = target.assembler()?;
    let mut args = vec![Arg::Input, Arg::Output, Arg::Begin, Arg::End];
    args.extend(Sizes::args(&desc.dims, false));
    let width = shape(&isa.info()).1 * isa.info().lanes;
    emit_packing(desc, isa.as_mut(), &args, width);
    let name = if desc.transposed { "f32_matmul_packt" } else { "f32_matmul_pack" }.to_string();
    Ok(Kernel { name, code: isa.finish(args.len())?, args, scratch_bytes: 0, units: units(&desc.dims, width) })
}

/// Registers of one panel being packed.
#[derive(Clone, Copy)]
struct PanelRegs {
    src: Gpr,
    dst: Gpr,
    /// Columns from the panel's first on.
    left: Gpr,
    /// K.
    depth: Gpr,
    /// Bytes between rows of B.
    stride: Gpr,
}

fn emit_packing(desc: &MatmulPackDesc, isa: &mut dyn VectorIsa, args: &[Arg], width: usize) {
    let slots = save_args(isa, args);
    let sizes = Sizes::new(isa, &desc.dims, &slots);
    let row = sizes.row_bytes(isa, desc.row);
    for_each_panel(isa, &slots, &sizes, width, |isa, p, left| {
        let mut gprs = Gprs::all(isa.info().gprs);
        let taken = gprs.take_n(6);
        let r = PanelRegs { src: taken[2], dst: taken[3], left, depth: taken[4], stride: taken[5] };
        isa.load_slot(r.depth, sizes.k);
        isa.load_slot(r.stride, row);
        isa.mul(r.dst, p, Src::Imm(4 * width as i64));
        match desc.transposed {
            false => isa.mov(r.src, Src::Reg(r.dst)),
            true => {
                isa.mul(r.src, p, Src::Imm(width as i64));
                isa.mul(r.src, r.src, Src::Reg(r.stride));
            }
        }
        isa.mul(r.dst, r.dst, Src::Reg(r.depth));
        for (reg, arg) in [(r.src, Arg::Input), (r.dst, Arg::Output)] {
            isa.load_slot(p, slot_of(&slots, arg));
            isa.add(reg, reg, Src::Reg(p));
        }
        gprs.give(p);
        match desc.transposed {
            false => pack_rows(isa, &mut gprs, r, width),
            true => pack_columns(isa, &mut gprs, r, width),
        }
    });
}

/// Repeats `body` while `n`, a copy of the count, is at least `step`.
fn while_left(isa: &mut dyn VectorIsa, n: Gpr, step: i64, body: impl FnOnce(&mut dyn VectorIsa)) {
    let (top, done) = (isa.label(), isa.label());
    isa.bind(top);
    isa.branch(Cond::Lt, n, Src::Imm(step), done);
    body(isa);
    isa.sub(n, n, Src::Imm(step));
    isa.jump(top);
    isa.bind(done);
}

/// B as `[k, n]`: the columns that exist, then zeros.
fn pack_rows(isa: &mut dyn VectorIsa, gprs: &mut Gprs, r: PanelRegs, width: usize) {
    let (lanes, bytes) = (isa.info().lanes, isa.info().bytes());
    let (count, done) = (gprs.take(), isa.label());
    let (v, mask) = (V(0), V(1));
    for whole in [true, false] {
        let other = isa.label();
        isa.branch(if whole { Cond::Lt } else { Cond::Ge }, r.left, Src::Imm(width as i64), other);
        while_left(isa, r.depth, 1, |isa| {
            for j in 0..width / lanes {
                let at = j as i32 * bytes;
                if whole {
                    isa.load(v, Mem::new(r.src, at));
                } else {
                    clamp_count(isa, count, r.left, (j * lanes) as i64, lanes as i64);
                    let tail = isa.make_tail(Src::Reg(count), mask);
                    isa.load_tail(v, Mem::new(r.src, at), &tail);
                }
                isa.store(Mem::new(r.dst, at), v);
            }
            isa.add(r.src, r.src, Src::Reg(r.stride));
            isa.add(r.dst, r.dst, Src::Imm(4 * width as i64));
        });
        isa.jump(done);
        isa.bind(other);
    }
    isa.bind(done);
    gprs.give(count);
}

/// `count = clamp(left - before, 0, lanes)`
fn clamp_count(isa: &mut dyn VectorIsa, count: Gpr, left: Gpr, before: i64, lanes: i64) {
    let (few, some) = (isa.label(), isa.label());
    isa.sub(count, left, Src::Imm(before));
    isa.branch(Cond::Le, count, Src::Imm(lanes), few);
    isa.mov(count, Src::Imm(lanes));
    isa.bind(few);
    isa.branch(Cond::Ge, count, Src::Imm(0), some);
    isa.mov(count, Src::Imm(0));
    isa.bind(some);
}

/// B as `[n, k]`: vectors of columns that all exist by transposition, the others one by one.
fn pack_columns(isa: &mut dyn VectorIsa, gprs: &mut Gprs, r: PanelRegs, width: usize) {
    let lanes = isa.info().lanes;
    let [p, base, out, n] = gprs.take_n(4)[..] else { return };
    for j in 0..width / lanes {
        let (single, next) = (isa.label(), isa.label());
        isa.branch(Cond::Lt, r.left, Src::Imm(((j + 1) * lanes) as i64), single);
        isa.mov(p, Src::Reg(r.src));
        isa.add(out, r.dst, Src::Imm((4 * j * lanes) as i64));
        isa.mov(n, Src::Reg(r.depth));
        while_left(isa, n, 4, |isa| {
            isa.mov(base, Src::Reg(p));
            let d = [V(0), V(1), V(2), V(3)];
            isa.load_transposed4(d, base, Src::Reg(r.stride), [V(4), V(5), V(6), V(7)]);
            d.iter().enumerate().for_each(|(c, &v)| isa.store(Mem::new(out, (4 * c * width) as i32), v));
            isa.add(p, p, Src::Imm(16));
            isa.add(out, out, Src::Imm(16 * width as i64));
        });
        while_left(isa, n, 1, |isa| {
            isa.mov(base, Src::Reg(p));
            for c in 0..lanes {
                isa.load_splat(V(0), Mem::new(base, 0));
                isa.store_lane0(Mem::new(out, 4 * c as i32), V(0));
                isa.add(base, base, Src::Reg(r.stride));
            }
            isa.add(p, p, Src::Imm(4));
            isa.add(out, out, Src::Imm(4 * width as i64));
        });
        isa.mul(base, r.stride, Src::Imm(lanes as i64));
        isa.add(r.src, r.src, Src::Reg(base));
        isa.jump(next);
        isa.bind(single);
        (0..lanes).for_each(|c| pack_column(isa, r, [p, out, n], j * lanes + c, width));
        isa.bind(next);
    }
    gprs.give_all([p, base, out, n]);
}

/// Column `col` of the panel, or zeros if it does not exist. `src` moves on by a column.
fn pack_column(isa: &mut dyn VectorIsa, r: PanelRegs, [p, out, n]: [Gpr; 3], col: usize, width: usize) {
    let (missing, next) = (isa.label(), isa.label());
    isa.add(out, r.dst, Src::Imm(4 * col as i64));
    isa.mov(n, Src::Reg(r.depth));
    isa.mov(p, Src::Reg(r.src));
    isa.add(r.src, r.src, Src::Reg(r.stride));
    isa.branch(Cond::Le, r.left, Src::Imm(col as i64), missing);
    while_left(isa, n, 1, |isa| {
        isa.load_splat(V(0), Mem::new(p, 0));
        isa.store_lane0(Mem::new(out, 0), V(0));
        isa.add(p, p, Src::Imm(4));
        isa.add(out, out, Src::Imm(4 * width as i64));
    });
    isa.jump(next);
    isa.bind(missing);
    isa.splat(V(0), 0);
    while_left(isa, n, 1, |isa| {
        isa.store_lane0(Mem::new(out, 0), V(0));
        isa.add(out, out, Src::Imm(4 * width as i64));
    });
    isa.bind(next);
}
