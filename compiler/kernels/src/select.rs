//! Tile choice for contractions: how N is cut into panels and M into row tiles, by a small cost model.
//!
//! In: lanes and registers of the ISA, M (if known), N, K. Out: a [`TilePlan`], on which both the packing of
//! weights ([`crate::packing`]) and the emitted loops depend, so it is a pure function of its arguments.
//!
//! The model counts cycles per step of K on a core with two FMA pipes of latency 4 and two loads a cycle; only the
//! order of the candidates matters.

use crate::isa::{DotInfo, IsaInfo};
use crate::kernels::numbers::Numbers;
use std::collections::BTreeSet;

/// A register tile: `mr` rows by `nv` vectors, with `kacc` sets of accumulators to hide latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Rows of C.
    pub mr: usize,
    /// Vectors of columns of C.
    pub nv: usize,
    /// Accumulator sets, summed after the loop over K.
    pub kacc: usize,
}

/// Consecutive panels of equal width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PanelGroup {
    /// Number of panels.
    pub panels: usize,
    /// Vectors per panel.
    pub nv: usize,
    /// Columns of the group that exist; less than `panels * nv * lanes` only if `panels` is 1.
    pub cols: usize,
    /// Largest row tile.
    pub mr: usize,
}

/// How C is covered by tiles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TilePlan {
    /// f32 lanes of a vector.
    pub lanes: usize,
    /// Panel groups from column 0 on.
    pub groups: Vec<PanelGroup>,
}

impl TilePlan {
    /// Columns including padding: the row length of the packed operand.
    pub fn packed_cols(&self) -> usize {
        self.groups.iter().map(|g| g.panels * g.nv * self.lanes).sum()
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.groups.iter().map(|g| g.panels).sum()
    }
}

/// Cycles of a load-use chain of one FMA.
const FMA_LATENCY: f64 = 4.0;
/// Row count that stands for an unknown M.
const TYPICAL_M: usize = 1000;

/// Vectors of one row of a panel that are in registers together: a single row of C needs each vector once, which x86 may fetch straight into
/// one register.
pub fn panel_registers(info: &IsaInfo, mr: usize, nv: usize) -> usize {
    if mr == 1 && info.k_step == 1 { 1 } else { nv }
}

/// Whether an `mr` x `nv` x `kacc` tile leaves registers for its operands.
fn fits(info: &IsaInfo, numbers: Numbers, mr: usize, nv: usize, kacc: usize) -> bool {
    let registers = numbers.registers(info);
    let b = panel_registers(info, mr, nv);
    let scalars = if info.k_step > 1 { mr } else { 1 };
    mr * nv * kacc + b + scalars + registers.others(nv) <= info.vregs
}

/// The tile of `mr` rows by `nv` vectors, with as many accumulator sets as hide the FMA latency; one, where sums have an order.
pub fn tile(info: &IsaInfo, numbers: Numbers, mr: usize, nv: usize) -> Tile {
    let mut kacc = 1;
    let most = if info.arithmetic.strict { 1 } else { 4 };
    while mr * nv * kacc < 8 && kacc < most && fits(info, numbers, mr, nv, kacc * 2) {
        kacc *= 2;
    }
    Tile { mr, nv, kacc }
}

/// Bytes per cycle from the second-level cache that a tile may count on.
const L2_RATE: f64 = 16.0;
/// A panel up to this size stays in the first-level cache while the row tiles pass over it.
const PANEL_IN_L1: usize = 24 << 10;

/// Modelled cycles of one tile over all of K.
fn tile_cost(info: &IsaInfo, numbers: Numbers, mr: usize, nv: usize, k: usize) -> f64 {
    let kacc = tile(info, numbers, mr, nv).kacc;
    let (fmas, k_step) = ((mr * nv * numbers.cost(info)) as f64, info.k_step as f64);
    let operands = ((nv * numbers.load_cost()) as f64) + mr as f64 / k_step;
    let loads = operands + (mr * nv * numbers.constant_loads(info)) as f64;
    let instructions = (mr * nv * numbers.instructions(info)) as f64 + operands;
    let panel = nv * info.lanes * numbers.column_bytes(k, info);
    let fetch = if panel > PANEL_IN_L1 { panel as f64 / k as f64 / L2_RATE } else { 0.0 };
    let step = (fmas / 2.0).max(fetch).max(loads / 2.0).max(FMA_LATENCY / kacc as f64).max(instructions / 5.0);
    let fixed = 20.0 + 2.0 * fmas + 2.0 * mr as f64;
    // Where both pipes are full anyway, fewer loads are kinder to in-order cores and to the second-level cache.
    let step = if info.k_step > 1 { step + 0.05 * operands } else { step };
    step * k as f64 + fixed
}

/// The rows of successive tiles for `m` rows and a largest tile of `mr`: what the emitted loop does at run time.
pub fn row_tiles(m: usize, mr: usize) -> Vec<usize> {
    let mut rest = m;
    let mut tiles = Vec::new();
    while rest > 0 {
        let take = if rest >= 2 * mr {
            mr
        } else if rest > mr {
            rest.div_ceil(2)
        } else {
            rest
        };
        tiles.push(take);
        rest -= take;
    }
    tiles
}

/// Modelled cycles of all row tiles against one panel.
fn sweep_cost(info: &IsaInfo, numbers: Numbers, m: usize, mr: usize, nv: usize, k: usize) -> f64 {
    let whole = (m / mr).saturating_sub(2);
    let rest = row_tiles(m - whole * mr, mr);
    whole as f64 * tile_cost(info, numbers, mr, nv, k) + rest.iter().map(|&r| tile_cost(info, numbers, r, nv, k)).sum::<f64>()
}

/// The best row tile for panels of `nv` vectors, and the cost of one panel.
fn best_rows(info: &IsaInfo, numbers: Numbers, m: usize, nv: usize, k: usize, max_rows: usize) -> Option<(usize, f64)> {
    let candidates = (1..=max_rows.min(m.max(1))).filter(|&mr| fits(info, numbers, mr, nv, 1));
    let weighted = |mr| sweep_cost(info, numbers, m, mr, nv, k) * (1.0 + code_cost(info, numbers, distinct_tiles(m, mr)));
    let mr = candidates.min_by(|&a, &b| weighted(a).total_cmp(&weighted(b)))?;
    Some((mr, sweep_cost(info, numbers, m, mr, nv, k)))
}

/// What the code of one more kind of tile may cost, relative to the time that it saves.
const CODE_COST: f64 = 0.01;

/// What the code of so many kinds of tiles costs; where bytes may have seven bits, each is there twice.
fn code_cost(info: &IsaInfo, numbers: Numbers, tiles: usize) -> f64 {
    CODE_COST * tiles as f64 * if numbers.has_seven_bits(info) { 2.0 } else { 1.0 }
}

/// How many kinds of row tiles `m` rows take.
fn distinct_tiles(m: usize, mr: usize) -> usize {
    let whole = (m / mr).saturating_sub(2);
    row_tiles(m - whole * mr, mr).into_iter().chain((whole > 0).then_some(mr)).collect::<BTreeSet<_>>().len()
}

fn plan_with(
    info: &IsaInfo,
    numbers: Numbers,
    m: usize,
    n: usize,
    k: usize,
    nv: usize,
    max_rows: usize,
) -> Option<(TilePlan, f64)> {
    let width = nv * info.lanes;
    let mut groups = Vec::new();
    let mut cost = 0.0;
    if n >= width {
        let (mr, c) = best_rows(info, numbers, m, nv, k, max_rows)?;
        let panels = n / width;
        groups.push(PanelGroup { panels, nv, cols: panels * width, mr });
        cost += c * panels as f64;
    }
    let rest = n % width;
    if rest > 0 {
        let nv = rest.div_ceil(info.lanes);
        let (mr, c) = best_rows(info, numbers, m, nv, k, max_rows)?;
        groups.push(PanelGroup { panels: 1, nv, cols: rest, mr });
        cost += c;
    }
    let variants: usize = groups.iter().map(|g| distinct_tiles(m, g.mr)).sum();
    Some((TilePlan { lanes: info.lanes, groups }, cost * (1.0 + code_cost(info, numbers, variants))))
}

/// The largest row tile, at most `max_rows`, whose rows `stride` elements apart do not evict each other from the first-level cache:
/// rows a multiple of 4 KB apart share one set of (usually) eight lines, of which B and C want some too.
pub fn rows_without_conflict(stride: usize, max_rows: usize) -> usize {
    match stride {
        s if s.is_multiple_of(1024) => max_rows.min(6),
        s if s.is_multiple_of(512) => max_rows.min(12),
        _ => max_rows,
    }
}

/// The widest panel that is considered, in vectors.
pub const MAX_PANEL: usize = 8;

/// Chooses panels and row tiles for `C[m, n]` with sums of `k` steps of these numbers. `m` is `None` if known only at run time; `max_rows` is the
/// largest row tile that the addressing of A allows. Panels of `panel` vectors are taken, if that is given and they fit, else the best by the model.
pub fn plan_tiles(
    info: &IsaInfo,
    numbers: Numbers,
    m: Option<usize>,
    n: usize,
    k: usize,
    max_rows: usize,
    panel: Option<usize>,
) -> TilePlan {
    let m = m.unwrap_or(TYPICAL_M);
    let planned = IsaInfo { dot: DotInfo { temps: info.dot.planned_temps, ..info.dot }, ..*info };
    let plan = |nv| plan_with(&planned, numbers, m, n, k, nv, max_rows);
    let wanted = panel.filter(|panel| (1..=MAX_PANEL).contains(panel)).and_then(plan);
    let best = wanted.or_else(|| (1..=MAX_PANEL).filter_map(plan).min_by(|a, b| a.1.total_cmp(&b.1))).map(|(plan, _)| plan);
    let mut plan = best.unwrap_or(TilePlan { lanes: info.lanes, groups: Vec::new() });
    // The panels stay; rows make room for temporaries that were not planned with.
    for group in &mut plan.groups {
        group.mr = (1..=group.mr).rev().find(|&mr| fits(info, numbers, mr, group.nv, 1)).unwrap_or(1);
    }
    plan
}
