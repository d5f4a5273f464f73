//! Which layers stay quantized when all of them together lose too much.
//!
//! How much a layer matters to the results is measured: with it alone quantized, the results are off by so much. The layers that matter
//! least are quantized, as many of them as the budget allows; how many that is, is found by bisection over quantized models.

use super::compared::Trial;
use crate::driver::Timings;
use crate::error::Result;
use kiln_passes::quantize::recipe::LayerRecipe;

/// `planned` for as many layers as keep the results within `most` of their size, and `finer` for the others; `float` for all where even
/// `finer` loses more.
pub(super) fn within(
    trial: &mut Trial,
    [planned, finer, float]: [&[LayerRecipe]; 3],
    most: f64,
    timings: &mut Timings,
) -> Result<Vec<LayerRecipe>> {
    if trial.error(planned)? <= most {
        return Ok(planned.to_vec());
    }
    if trial.error(finer)? > most {
        return Ok(float.to_vec());
    }
    let order = timings.stage("measure each layer", || by_sensitivity(trial, planned, finer))?;
    let keep = |count: usize| {
        let mut layers = finer.to_vec();
        order[..count].iter().for_each(|&i| layers[i] = planned[i].clone());
        layers
    };
    timings.stage("choose layers", || {
        let (mut fits, mut exceeds) = (0, order.len());
        while fits + 1 < exceeds {
            let middle = usize::midpoint(fits, exceeds);
            if trial.error(&keep(middle))? <= most { fits = middle } else { exceeds = middle }
        }
        Ok(keep(fits))
    })
}

/// The layers that would be quantized, those that matter least to the results first.
fn by_sensitivity(trial: &mut Trial, planned: &[LayerRecipe], finer: &[LayerRecipe]) -> Result<Vec<usize>> {
    let mut errors = Vec::new();
    for i in (0..planned.len()).filter(|&i| planned[i] != finer[i]) {
        let mut alone = finer.to_vec();
        alone[i] = planned[i].clone();
        errors.push((trial.error(&alone)?, i));
    }
    errors.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(errors.into_iter().map(|(_, i)| i).collect())
}
