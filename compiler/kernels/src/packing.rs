//! Weight layouts: what the emitted contractions read, made at compile time from plain row-major tensors.
//!
//! A packed B is a sequence of panels in column order. A panel of `nv` vectors is `K` rows of `nv * lanes` f32, columns that do
//! not exist being zero. It wants 64-byte alignment; nothing depends on it but speed.

use crate::isa::IsaInfo;
use crate::kernels::numbers::INT4_GROUP;
use crate::select::TilePlan;
use std::sync::{Mutex, PoisonError};

/// Where the elements of B lie in the source: element `(k, n)` at `k * row + n * col`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strides {
    /// Step from one `k` to the next.
    pub k: usize,
    /// Step from one `n` to the next.
    pub n: usize,
}

/// f32 elements of a packed B of `k` rows.
pub fn packed_len(plan: &TilePlan, k: usize) -> usize {
    plan.packed_cols() * k
}

/// Packs `B[k, n]`, read by `strides` from `source`.
///
/// # Panics
/// If `source` is shorter than the strides say.
pub fn pack_b(plan: &TilePlan, k: usize, source: &[f32], strides: Strides) -> Vec<f32> {
    pack_by(plan, k, |kk, n| source[kk * strides.k + n * strides.n])
}

/// Packs `B[k, n] = at(k, n)`. Threads share the panels of a large matrix.
pub fn pack_by(plan: &TilePlan, k: usize, at: impl Fn(usize, usize) -> f32 + Sync) -> Vec<f32> {
    let mut packed = vec![0.0; packed_len(plan, k)];
    let mut panels = Vec::new();
    let (mut rest, mut first) = (packed.as_mut_slice(), 0);
    for group in &plan.groups {
        let width = group.nv * plan.lanes;
        for panel in 0..group.panels {
            let cols = width.min(group.cols - panel * width);
            let (own, behind) = rest.split_at_mut(k * width);
            panels.push((own, width, first..first + cols));
            (rest, first) = (behind, first + cols);
        }
    }
    let panels = Mutex::new(panels.into_iter());
    let pack = || {
        loop {
            let next = panels.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((panel, width, columns)) = next else { return };
            for (kk, row) in panel.chunks_exact_mut(width).enumerate() {
                row.iter_mut().zip(columns.clone()).for_each(|(value, n)| *value = at(kk, n));
            }
        }
    };
    let threads = if packed_len(plan, k) < SHARED { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Those that the system refuses are done without.
            drop(std::thread::Builder::new().spawn_scoped(scope, pack));
        }
        pack();
    });
    packed
}

/// Elements from which on threads share the packing: a millisecond of work.
const SHARED: usize = 1 << 18;

/// Packs numbers of binary16, given as bits.
pub fn pack_f16(plan: &TilePlan, k: usize, at: impl Fn(usize, usize) -> u16) -> Vec<u8> {
    let mut packed = Vec::with_capacity(2 * packed_len(plan, k));
    each_panel(plan, &mut |columns| {
        (0..k).for_each(|kk| packed.extend(columns.iter().flat_map(|n| n.map_or(0, |n| at(kk, n)).to_le_bytes())));
    });
    packed
}

/// Packs weights of four bits: for each group along K a row of scales, then a row of bytes for every two steps, the first in the low
/// halves; each half is signed.
pub fn pack_int4(plan: &TilePlan, k: usize, bits: impl Fn(usize, usize) -> u8, scale: impl Fn(usize, usize) -> f32) -> Vec<u8> {
    let mut packed = Vec::new();
    let signed = |kk: usize, n: usize| (bits(kk, n) ^ 8) & 15;
    each_panel(plan, &mut |columns| {
        for group in 0..k.div_ceil(INT4_GROUP) {
            packed.extend(columns.iter().flat_map(|n| n.map_or(0.0, |n| scale(group, n)).to_le_bytes()));
            for kk in (group * INT4_GROUP..k.min((group + 1) * INT4_GROUP)).step_by(2) {
                packed.extend(columns.iter().map(|n| n.map_or(0, |n| signed(kk, n) | signed(kk + 1, n) << 4)));
            }
        }
    });
    packed
}

/// Gives the columns of each panel, in order; none where a panel is wider than what is left.
fn each_panel(plan: &TilePlan, body: &mut dyn FnMut(&[Option<usize>])) {
    let mut first = 0;
    for group in &plan.groups {
        let width = group.nv * plan.lanes;
        for panel in 0..group.panels {
            let cols = width.min(group.cols - panel * width);
            let columns: Vec<Option<usize>> = (0..width).map(|j| (j < cols).then_some(first + j)).collect();
            body(&columns);
            first += cols;
        }
    }
}

/// Packs bytes `B[k, n] = at(k, n)`, `4 k` of them (0 where there is none) for each column: rows of four bytes for each lane, after a row of what sums begin with
/// which makes up for what is taken from bytes of A ([`crate::isa::DotInfo::offset`]) in place of `zero_point`, if they differ.
pub fn pack_bytes(plan: &TilePlan, info: &IsaInfo, k: usize, zero_point: u8, at: impl Fn(usize, usize) -> i8) -> Vec<u8> {
    let missing = info.dot.offset - i32::from(zero_point);
    let mut packed = Vec::with_capacity(4 * plan.packed_cols() * (k + 1));
    let mut first = 0;
    for group in &plan.groups {
        let width = group.nv * plan.lanes;
        for panel in 0..group.panels {
            let cols = width.min(group.cols - panel * width);
            let of = |kk: usize, j: usize| if j < cols { at(kk, first + j) } else { 0 };
            // Nothing makes up for nothing.
            for j in 0..if missing == 0 { 0 } else { width } {
                let sum: i32 = (0..4 * k).map(|kk| i32::from(of(kk, j))).sum();
                packed.extend((missing * sum).to_le_bytes());
            }
            for row in 0..k {
                for vector in 0..group.nv {
                    let lane = |byte: usize, lane: usize| of(4 * row + byte, vector * plan.lanes + lane) as u8;
                    packed.extend((0..plan.lanes).flat_map(|l| (0..4).map(move |b| lane(b, l))));
                }
            }
            first += cols;
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::PanelGroup;

    /// A matrix that threads share: panels of two widths, the last one not full.
    #[test]
    fn large_matrices_are_packed_in_order() {
        let (k, lanes) = (700, 8);
        let groups = vec![PanelGroup { panels: 25, nv: 2, cols: 400, mr: 1 }, PanelGroup { panels: 1, nv: 1, cols: 5, mr: 1 }];
        let plan = TilePlan { lanes, groups };
        assert!(packed_len(&plan, k) > SHARED);
        let packed = pack_by(&plan, k, |kk, n| (kk * 1000 + n) as f32);
        let panels = (0..25).map(|p| (16 * p, 16, 16)).chain([(400, 8, 5)]);
        let wanted = panels.flat_map(|(first, width, cols)| {
            let element = move |kk: usize, j: usize| if j < cols { (kk * 1000 + first + j) as f32 } else { 0.0 };
            (0..k).flat_map(move |kk| (0..width).map(move |j| element(kk, j)))
        });
        assert!(packed.into_iter().eq(wanted));
    }
}
