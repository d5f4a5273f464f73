//! When Winograd's algorithm is worth it, and with which tile.

use super::WinogradDesc;
use crate::kernels::conv::ConvDesc;
use crate::kernels::describe;
use crate::target::TargetDesc;

/// Multiply-adds per cycle.
const FMAS: f64 = describe::FMAS as f64;
/// What the products of planes cost beyond their multiply-adds: short sums, few rows.
const OVERHEAD: f64 = 1.15;
/// Bytes per cycle through the transforms.
const PLANE_RATE: f64 = 16.0;
/// Bytes per cycle of weights, which a call reads once and finds in no cache: what a product of few rows gets out of memory
/// behind pages of 4 KB (measured: 8 GB/s).
const WEIGHT_RATE: f64 = 2.3;
/// The gain that pays for larger weights and errors: against the direct algorithm, and against the smaller tile.
const WORTHWHILE: f64 = 0.8;
/// Fewest channels of either side for which the model holds.
const FEWEST_CHANNELS: usize = 16;

/// The descriptor for tiles of so many output points along each axis, if there are such.
pub fn of_tile(conv: &ConvDesc, tile: usize, target: &TargetDesc) -> Option<WinogradDesc> {
    let desc = WinogradDesc { conv: conv.clone(), tile };
    ([2, 4].contains(&tile) && WinogradDesc::fits(conv) && super::emit(&desc, target).is_ok()).then_some(desc)
}

/// The descriptor of the best tile, if it is better than the direct algorithm.
pub fn choose(conv: &ConvDesc, target: &TargetDesc) -> Option<WinogradDesc> {
    if !WinogradDesc::fits(conv) || conv.in_c.min(conv.out_c) < FEWEST_CHANNELS {
        return None;
    }
    let mut best = (direct_cost(conv), None);
    for tile in [2, 4] {
        let desc = WinogradDesc { conv: conv.clone(), tile };
        let cost = cost(&desc);
        if cost < WORTHWHILE * best.0 && super::emit(&desc, target).is_ok() {
            best = (cost, Some(desc));
        }
    }
    best.1
}

fn direct_cost(conv: &ConvDesc) -> f64 {
    let pixels = conv.window.output[0] * conv.window.output[1] * conv.batch.unwrap_or(1);
    let weights = (9 * conv.in_c * conv.out_c) as f64;
    (weights * pixels as f64 / FMAS).max(4.0 * weights / WEIGHT_RATE)
}

fn cost(d: &WinogradDesc) -> f64 {
    let conv = &d.conv;
    let planes = (d.points() * d.points()) as f64;
    let tiles: usize = d.window().output.iter().map(|n| n / d.tile).product::<usize>() * conv.batch.unwrap_or(1);
    let weights = planes * (conv.in_c * conv.out_c) as f64;
    // Written and read.
    let moved = 2.0 * 4.0 * planes * (tiles * (conv.in_c + conv.out_c)) as f64;
    (OVERHEAD * weights * tiles as f64 / FMAS).max(4.0 * weights / WEIGHT_RATE) + moved / PLANE_RATE
}
