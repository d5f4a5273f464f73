//! `C[M, N] = epilogue(A[M, K] B[K, N])` with B packed by [`crate::packing`].
//!
//! Rows of A and C are read and written in place. Work is divided by blocks of rows that keep A's block in the second-level cache,
//! or by panels of columns if there are too few rows for that (matrix-vector products), or, where threads are to share it and
//! neither gives enough units, by both.

use crate::isa::{Cond, Element, EmitError, Gpr, IsaInfo, Mem, Slot, Src, V, VectorIsa};
use crate::kernels::contraction::{Depth, TileEmitter, Walk};
use crate::kernels::epilogue::{Epilogue, EpilogueEmitter, RowStep};
use crate::kernels::numbers::Numbers;
use crate::kernels::sweep::{BlockRows, Rows, State, Sweep};
use crate::kernels::units::each_unit;
use crate::kernels::words;
use crate::kernels::{Arg, Kernel, Units, check_size};
use crate::packing::{pack_bytes, pack_f16, pack_int4};
use crate::select::{TilePlan, plan_tiles, rows_without_conflict};
use crate::target::TargetDesc;

/// A matrix product with constant N and K.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GemmDesc {
    /// What is multiplied.
    pub numbers: Numbers,
    /// Rows, if known at compile time.
    pub m: Option<usize>,
    /// Columns.
    pub n: usize,
    /// Length of the sums.
    pub k: usize,
    /// Elements between rows of A, at least `k`.
    pub lda: usize,
    /// Elements between rows of C, at least `n`.
    pub ldc: usize,
    /// Vectors of columns of a panel, where they are not to be chosen by the cost model.
    pub panel: Option<usize>,
    /// Applied before the store.
    pub epilogue: Epilogue,
}

/// Row tiles address A from one base where displacements are free, else by one pointer per row.
pub(crate) const MAX_ROWS: usize = 14;
/// As [`MAX_ROWS`] where each row needs a pointer.
pub(crate) const MAX_POINTERS: usize = 8;

impl GemmDesc {
    /// Bytes in the order the kernel reads them, for `B[k, n] = at(k, n)`.
    ///
    /// # Errors
    /// If the descriptor is inconsistent or not one of bytes.
    pub fn pack_bytes(&self, target: &TargetDesc, at: impl Fn(usize, usize) -> i8) -> Result<Vec<u8>, EmitError> {
        self.check()?;
        let Numbers::Int8 { zero_point } = self.numbers else {
            return Err(EmitError::Unsupported("bytes for a product of f32".into()));
        };
        let info = target.assembler()?.info();
        Ok(pack_bytes(&plan(self, &info), &info, self.numbers.steps(self.k), zero_point, at))
    }

    /// Numbers of binary16 (as bits) in the order the kernel reads them, for `B[k, n] = at(k, n)`.
    ///
    /// # Errors
    /// As [`GemmDesc::plan`].
    pub fn pack_f16(&self, target: &TargetDesc, at: impl Fn(usize, usize) -> u16) -> Result<Vec<u8>, EmitError> {
        Ok(pack_f16(&self.plan(target)?, self.k, at))
    }

    /// Weights of four bits in the order the kernel reads them: `B[k, n] = (bits(k, n) - 8) * scale(k / INT4_GROUP, n)`.
    ///
    /// # Errors
    /// As [`GemmDesc::plan`].
    pub fn pack_int4(
        &self,
        target: &TargetDesc,
        bits: impl Fn(usize, usize) -> u8,
        scale: impl Fn(usize, usize) -> f32,
    ) -> Result<Vec<u8>, EmitError> {
        self.check()?;
        Ok(pack_int4(&self.plan(target)?, self.k, bits, scale))
    }

    /// Bytes of the packed B.
    ///
    /// # Errors
    /// As [`GemmDesc::plan`].
    pub fn packed_bytes(&self, target: &TargetDesc) -> Result<usize, EmitError> {
        let info = target.assembler()?.info();
        Ok(plan(self, &info).packed_cols() * self.numbers.column_bytes(self.numbers.steps(self.k), &info))
    }

    /// The tiles for this product, on which the packing of B depends.
    pub fn plan(&self, target: &TargetDesc) -> Result<TilePlan, EmitError> {
        Ok(plan(self, &target.assembler()?.info()))
    }

    pub(crate) fn check(&self) -> Result<(), EmitError> {
        if self.n == 0 || self.k == 0 || self.m == Some(0) || self.lda < self.k || self.ldc < self.n {
            return Err(EmitError::Unsupported(format!("gemm of {}x{} in rows of {}, {}", self.n, self.k, self.lda, self.ldc)));
        }
        if self.numbers.is_integer() && !self.k.is_multiple_of(4) {
            return Err(EmitError::Unsupported(format!("sums of {} products of bytes", self.k)));
        }
        if self.numbers == Numbers::Int4 && !self.k.is_multiple_of(2) {
            return Err(EmitError::Unsupported(format!("pairs of weights among {}", self.k)));
        }
        check_size("columns", &[self.n])?;
        check_size("rows", &[self.m.unwrap_or(1)])?;
        check_size("packed matrix", &[self.n.next_multiple_of(128), self.k])?;
        check_size("rows of A", &[self.lda, MAX_ROWS])?;
        check_size("rows of C", &[self.ldc, MAX_ROWS])?;
        if self.epilogue.out == Element::I32 && !self.numbers.is_integer() {
            return Err(EmitError::Unsupported("integers of a product of f32".into()));
        }
        self.epilogue.check()
    }
}

fn plan(desc: &GemmDesc, info: &IsaInfo) -> TilePlan {
    let max_rows = if info.wide_disp { MAX_ROWS } else { MAX_POINTERS };
    let max_rows = rows_without_conflict(row_bytes(desc) / 4, max_rows);
    plan_tiles(info, desc.numbers, desc.m, desc.n, desc.numbers.steps(desc.k), max_rows, desc.panel)
}

fn walk(desc: &GemmDesc) -> Walk {
    Walk::contiguous(desc.numbers.steps(desc.k))
}

/// Bytes from row to row of A.
fn row_bytes(desc: &GemmDesc) -> usize {
    desc.lda * desc.numbers.element().bytes()
}

/// Rows of a block: a multiple of every row tile's size where possible, half the second-level cache of A.
fn block_rows(desc: &GemmDesc, plan: &TilePlan, target: &TargetDesc) -> usize {
    let mr = plan.groups.first().map_or(1, |g| g.mr);
    let fit = target.caches.l2 / 2 / (4 * desc.numbers.steps(desc.k));
    // Fewer rows than these would read B too often.
    fit.clamp(128.max(4 * mr), 4096) / mr * mr
}

/// Arguments: input, weights, output, inputs, begin, end; if M is not known, rows; if directions alternate, turn; if bytes may become words, scratch.
pub fn emit(desc: &GemmDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.check()?;
    let mut isa = target.assembler()?;
    let plan = plan(desc, &isa.info());
    let block = block_rows(desc, &plan, target);
    let division = divide(desc, &plan, block, target.units);
    let mut args = vec![Arg::Input, Arg::Weights, Arg::Output, Arg::Inputs, Arg::Begin, Arg::End];
    if desc.m.is_none() {
        args.push(Arg::Rows);
    }
    if alternates(desc, &plan, target, division) {
        args.push(Arg::Turn);
    }
    let scratch_bytes = words::scratch_bytes(&isa.info(), desc.numbers, &plan, &walk(desc));
    if scratch_bytes > 0 {
        args.push(Arg::Scratch);
    }
    let units = match (division, desc.m) {
        (Division::Columns, _) => Units::Fixed(plan.panels()),
        (Division::Grid(rows), Some(m)) => Units::Fixed(m.div_ceil(rows) * plan.panels()),
        (Division::Rows, Some(m)) => Units::Fixed(m.div_ceil(block)),
        (Division::Rows | Division::Grid(_), None) => Units::PerRows(block),
    };
    let turns = args.contains(&Arg::Turn);
    emit_loops(desc, &plan, isa.as_mut(), block, division, turns);
    Ok(Kernel { name: name(desc, &plan), code: isa.finish(args.len())?, args, scratch_bytes, units })
}

/// What a unit of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Division {
    /// A block of rows, all columns.
    Rows,
    /// All rows, one panel.
    Columns,
    /// So many rows, one panel.
    Grid(usize),
}

fn divide(desc: &GemmDesc, plan: &TilePlan, block: usize, units: usize) -> Division {
    let (panels, mr) = (plan.panels(), plan.groups.first().map_or(1, |g| g.mr));
    match desc.m {
        Some(m) if m <= block || m.div_ceil(block) < units.min(panels) => {
            // Blocks of two tiles at least: each reads its panel again.
            let blocks = units.div_ceil(panels).min(m / (2 * mr)).max(1);
            if blocks > 1 { Division::Grid(m.div_ceil(blocks).next_multiple_of(mr)) } else { Division::Columns }
        }
        _ => Division::Rows,
    }
}

/// Whether calls go over B in alternate directions. A row by a matrix of about the size of the second-level cache, again and again, as a recurrent layer
/// does it, would find nothing of the last call there: what it reads first has just been replaced. Going back, it finds most of it.
fn alternates(desc: &GemmDesc, plan: &TilePlan, target: &TargetDesc, division: Division) -> bool {
    let l2 = target.caches.l2;
    let bytes = 4 * plan.packed_cols() * desc.k;
    let fits = (l2 / 2..=4 * l2).contains(&bytes);
    desc.numbers == Numbers::F32 && desc.m == Some(1) && division == Division::Columns && target.units == 1 && fits
}

fn name(desc: &GemmDesc, plan: &TilePlan) -> String {
    let g = &plan.groups[0];
    let label = desc.epilogue.expr.label();
    let label = if label.is_empty() { label } else { format!("_{label}") };
    format!("{}_gemm{label}_{}x{}", desc.numbers.name(), g.mr, g.nv * plan.lanes)
}

fn emit_loops(desc: &GemmDesc, plan: &TilePlan, isa: &mut dyn VectorIsa, block: usize, division: Division, turns: bool) {
    let [a, b, c, inputs, begin, end, m, turn, scratch] = std::array::from_fn(|_| isa.slot());
    let words = desc.numbers.has_seven_bits(&isa.info()).then_some(scratch);
    let args = [a, b, c, inputs, begin, end].into_iter().chain(desc.m.is_none().then_some(m));
    let args = args.chain(turns.then_some(turn)).chain(words);
    args.enumerate().for_each(|(i, slot)| isa.store_slot(slot, Gpr(i as u8)));
    let mut state = State::new(isa, inputs);
    let known = desc.m.map(|m| match division {
        Division::Columns => vec![m],
        Division::Grid(rows) => block_sizes(m, rows),
        Division::Rows => block_sizes(m, block),
    });
    let out_bytes = desc.ldc * desc.epilogue.out.bytes();
    let c_row = RowStep::Bytes(out_bytes as i64);
    let epilogue = EpilogueEmitter::new(isa, desc.numbers, &desc.epilogue, c_row);
    let tile = TileEmitter { numbers: desc.numbers, depth: Depth::Known(walk(desc)), words, epilogue, ahead: None };
    state.sums = tile.saved_sums(isa, plan);
    let mut sweep = Sweep {
        tile,
        plan,
        rows: Rows::Linear { stride: row_bytes(desc) },
        c_row,
        block_rows: known.map_or(BlockRows::Any, BlockRows::Known),
        state,
    };
    let (t, u, v) = (Gpr(0), Gpr(1), Gpr(2));
    if let (Division::Grid(rows), Some(m)) = (division, desc.m) {
        return emit_grid(desc, isa, &mut sweep, [a, b, c, begin, end], rows, m);
    }
    if division == Division::Columns {
        copy(isa, &[(a, state.a), (c, state.c)]);
        set(isa, &[(state.row, 0), (state.rows, desc.m.unwrap_or(1) as i64)]);
        match turns {
            true => emit_turns(isa, &mut sweep, b, [begin, end], turn),
            false => sweep.panel_range(isa, b, begin, end),
        }
        return;
    }
    if let Some(rows) = desc.m {
        set(isa, &[(m, rows as i64)]);
    }
    each_unit(isa, begin, end, |isa| {
        let beyond = isa.label();
        isa.mul(t, t, Src::Imm(block as i64));
        isa.store_slot(state.row, t);
        isa.load_slot(v, m);
        isa.sub(v, v, Src::Reg(t));
        isa.branch(Cond::Le, v, Src::Imm(0), beyond);
        isa.mov(u, Src::Imm(block as i64));
        isa.mov_if(Cond::Gt, v, Src::Reg(u), v, u);
        isa.store_slot(state.rows, v);
        enter_rows(isa, t, [u, v], &[(a, state.a, row_bytes(desc)), (c, state.c, out_bytes)]);
        copy(isa, &[(b, state.panel)]);
        set(isa, &[(state.col, 0)]);
        sweep.block(isa);
        isa.bind(beyond);
    });
}

/// Panels one by one, first to last or last to first, as the word at the address in `turn` says; changes it.
fn emit_turns(isa: &mut dyn VectorIsa, sweep: &mut Sweep, b: Slot, [begin, end]: [Slot; 2], turn: Slot) {
    let [direction, first, last, panel, next] = std::array::from_fn(|_| isa.slot());
    let (t, u) = (Gpr(0), Gpr(1));
    isa.load_slot(t, turn);
    isa.load_int(u, Mem::new(t, 0));
    isa.add(u, u, Src::Imm(1));
    isa.store_int(Mem::new(t, 0), u);
    isa.shl(u, u, 63);
    isa.store_slot(direction, u);
    copy(isa, &[(begin, first), (end, last)]);
    each_unit(isa, begin, end, |isa| {
        let (unit, t, forward) = (Gpr(0), Gpr(1), isa.label());
        isa.load_slot(t, direction);
        isa.branch(Cond::Eq, t, Src::Imm(0), forward);
        isa.load_slot(t, first);
        isa.sub(unit, t, Src::Reg(unit));
        isa.load_slot(t, last);
        isa.add(unit, unit, Src::Reg(t));
        isa.sub(unit, unit, Src::Imm(1));
        isa.bind(forward);
        isa.store_slot(panel, unit);
        isa.add(unit, unit, Src::Imm(1));
        isa.store_slot(next, unit);
        sweep.panel_range(isa, b, panel, next);
    });
}

/// Sets slots to the addresses of row `row` of matrices: (first row, slot, bytes between rows).
fn enter_rows(isa: &mut dyn VectorIsa, row: Gpr, [t, u]: [Gpr; 2], matrices: &[(Slot, Slot, usize)]) {
    for &(from, to, stride) in matrices {
        isa.mul(t, row, Src::Imm(stride as i64));
        isa.load_slot(u, from);
        isa.add(u, u, Src::Reg(t));
        isa.store_slot(to, u);
    }
}

/// Units of `rows` rows and one panel, panels first.
fn emit_grid(desc: &GemmDesc, isa: &mut dyn VectorIsa, sweep: &mut Sweep, slots: [Slot; 5], rows: usize, m: usize) {
    let ([a, b, c, begin, end], st) = (slots, sweep.state);
    let (panel, next) = (isa.slot(), isa.slot());
    let panels = sweep.plan.panels() as i64;
    each_unit(isa, begin, end, |isa| {
        let (unit, block, t, u) = (Gpr(0), Gpr(1), Gpr(2), Gpr(3));
        isa.mov(t, Src::Imm(panels));
        isa.udiv(block, unit, t, [V(0), V(1)]);
        isa.mul(t, block, Src::Imm(panels));
        isa.sub(t, unit, Src::Reg(t));
        isa.store_slot(panel, t);
        isa.add(t, t, Src::Imm(1));
        isa.store_slot(next, t);
        isa.mul(block, block, Src::Imm(rows as i64));
        isa.store_slot(st.row, block);
        isa.mov(t, Src::Imm(m as i64));
        isa.sub(t, t, Src::Reg(block));
        isa.mov(u, Src::Imm(rows as i64));
        isa.mov_if(Cond::Gt, t, Src::Reg(u), t, u);
        isa.store_slot(st.rows, t);
        enter_rows(isa, block, [u, t], &[(a, st.a, row_bytes(desc)), (c, st.c, desc.ldc * desc.epilogue.out.bytes())]);
        sweep.panel_range(isa, b, panel, next);
    });
}

/// The block sizes that `m` rows in blocks of `block` have.
pub(crate) fn block_sizes(m: usize, block: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    if m >= block {
        sizes.push(block);
    }
    if !m.is_multiple_of(block) {
        sizes.push(m % block);
    }
    sizes
}

/// Copies slots.
pub(crate) fn copy(isa: &mut dyn VectorIsa, pairs: &[(crate::isa::Slot, crate::isa::Slot)]) {
    for &(from, to) in pairs {
        isa.load_slot(Gpr(0), from);
        isa.store_slot(to, Gpr(0));
    }
}

/// Sets slots to constants.
pub(crate) fn set(isa: &mut dyn VectorIsa, values: &[(crate::isa::Slot, i64)]) {
    for &(slot, value) in values {
        isa.mov(Gpr(0), Src::Imm(value));
        isa.store_slot(slot, Gpr(0));
    }
}
