//! From calibration data to a recipe.

use super::budget::within;
use super::compared::Trial;
use super::observe::Observed;
use super::observers::{Observer, Seen};
use crate::driver::{Model, Timings};
use crate::error::Result;
use kiln_frontend::tensors_file::Call;
use kiln_graph::{Graph, ResidualModel};
use kiln_passes::quantize::recipe::{Affine, LayerRecipe, MethodRecipe, Narrow, Precision, Recipe};
use kiln_passes::quantize::sites::{Kind, Site, sites};
use kiln_passes::quantize::weight_errors;
use kiln_support::Diagnostic;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How ranges are found.
    pub observer: Observer,
    /// Whether activations take 7 bits instead of 8: products of such bytes are faster on x86 without VNNI.
    pub reduce_range: bool,
    /// Whether activations of linear layers are quantized when the model runs, and nothing else.
    pub dynamic: bool,
    /// How weights are stored whose layers do not compute with bytes; none where layers do.
    pub narrow: Option<Narrow>,
    /// The largest error of the results, relative to their size.
    pub max_error: f64,
}

impl Default for Options {
    /// Static int8, ranges from the smallest to the largest number seen, results within a tenth of their size.
    fn default() -> Options {
        Options { observer: Observer::MinMax, reduce_range: false, dynamic: false, narrow: None, max_error: 0.1 }
    }
}

impl Options {
    /// The bytes of an activation that was seen.
    fn affine(&self, seen: &Seen) -> Affine {
        seen.affine(self.observer, if self.reduce_range { 127 } else { 255 })
    }
}

/// A layer in the report.
#[derive(Clone, Debug)]
pub struct LayerReport {
    /// What it computes.
    pub kind: Kind,
    /// Sizes of its weights.
    pub weight: Vec<i64>,
    /// The user's file and line.
    pub place: String,
    /// How it computes.
    pub precision: Precision,
    /// Errors of what it gives in the quantized model and of what it reads there, relative to their sizes; none inside of a loop or branch, where they
    /// cannot be seen.
    pub errors: Option<[f64; 2]>,
}

/// What calibration gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The recipe.
    pub recipe: Recipe,
    /// The layers of the method that was called.
    pub layers: Vec<LayerReport>,
    /// Error of the results, relative to their size.
    pub error: f64,
    /// The share of results (rows of a matrix of scores) whose largest score is at the same place; none where results are
    /// no matrices.
    pub agreement: Option<f64>,
    /// How many calls were made.
    pub calls: usize,
}

/// Makes the recipe of the method that `calls` call.
pub fn calibrate(model: &mut Model, calls: &[Call], options: &Options, timings: &mut Timings) -> Result<Outcome> {
    let Some(method) = calls.first().map(|call| call.method.clone()) else {
        return Err(Diagnostic::usage("calibrate", "the calibration files hold no call").into());
    };
    let residual = layers_of(model, calls)?;
    let graph = &residual.methods[0].graph;
    let found = sites(graph);
    if found.is_empty() {
        let message = format!("`{method}` has no layer that could be quantized");
        let help = "layers are convolutions of images, linear layers and embeddings with constant weights";
        return Err(Diagnostic::unsupported("quantization", message).help(help).into());
    }
    let counts = options.observer != Observer::MinMax;
    let seen = timings.stage("calibrate", || see(model, calls, &found, counts))?;
    let planned: Vec<LayerRecipe> = found.iter().zip(&seen).map(|(site, seen)| plan(graph, site, seen, options)).collect();
    let with = |precision: &dyn Fn(Precision) -> Precision| -> Vec<LayerRecipe> {
        let layers = found.iter().zip(&seen).zip(&planned);
        layers.map(|((site, seen), own)| made(graph, site, seen, precision(own.precision), options)).collect()
    };
    let (finer, float) = (with(&finer), with(&|_| Precision::Float));
    let mut trial = Trial::new(model, calls, &found)?;
    let layers = within(&mut trial, [&planned, &finer, &float], options.max_error, timings)?;
    let compared = trial.compare(&layers, true)?;
    let reports = found.iter().zip(&layers).enumerate().map(|(i, (site, layer))| LayerReport {
        kind: site.kind,
        weight: site.weight.clone(),
        place: model.describe(graph.nodes[site.node].span),
        precision: layer.precision,
        errors: (!site.is_inside).then(|| [compared.given[i].relative(), compared.read[i].relative()]),
    });
    Ok(Outcome {
        layers: reports.collect(),
        recipe: Recipe { methods: vec![MethodRecipe { name: method, layers }] },
        error: compared.result.relative(),
        agreement: compared.agreement(),
        calls: calls.len(),
    })
}

/// What a layer computes with where its own precision would lose too much.
fn finer(precision: Precision) -> Precision {
    match precision {
        Precision::Weights(Narrow::Int4) => Precision::Weights(Narrow::F16),
        _ => Precision::Float,
    }
}

/// The method of the calls before it would be quantized.
fn layers_of(model: &Model, calls: &[Call]) -> Result<ResidualModel> {
    let prepared = crate::execute::prepare(model, calls, false)?;
    if let Some(error) = prepared.refused {
        return Err(error);
    }
    if prepared.methods.iter().any(|m| m.func != prepared.methods[0].func) {
        return Err(Diagnostic::usage("calibrate", "the calibration files call several methods").into());
    }
    model.layers(&prepared.methods[..1])
}

/// How a layer is to compute.
fn plan(graph: &Graph, site: &Site, seen: &Watched, options: &Options) -> LayerRecipe {
    let precision = match (options.narrow, site.kind) {
        (Some(_), Kind::Convolution | Kind::Depthwise) => Precision::Float,
        // A byte holds two.
        (Some(Narrow::Int4), _) if site.weight[1] % 2 != 0 => Precision::Weights(Narrow::F16),
        (Some(narrow), _) => Precision::Weights(narrow),
        (None, Kind::Embedding) => Precision::Weights(Narrow::Int8),
        (None, Kind::Linear) if options.dynamic => Precision::Dynamic,
        (None, _) if options.dynamic => Precision::Float,
        // Its range is not known before it runs.
        (None, kind) if site.is_inside => {
            if kind == Kind::Linear {
                Precision::Dynamic
            } else {
                Precision::Float
            }
        }
        (None, _) => Precision::Int8(options.affine(&seen.read)),
    };
    made(graph, site, seen, precision, options)
}

/// A layer with the correction that its precision needs.
fn made(graph: &Graph, site: &Site, seen: &Watched, precision: Precision, options: &Options) -> LayerRecipe {
    let corrected = precision != Precision::Float && site.kind != Kind::Embedding && !site.is_inside;
    let correction = if corrected { correction(graph, site, &seen.read, precision) } else { Vec::new() };
    let is_rounded = site.is_summed && matches!(precision, Precision::Int8(_));
    let output = is_rounded.then(|| options.affine(&seen.given));
    LayerRecipe { weights: site.hash, precision, output, correction }
}

/// What the rounding of the weights takes from each output channel on average.
fn correction(graph: &Graph, site: &Site, seen: &Seen, precision: Precision) -> Vec<f32> {
    let errors = weight_errors(graph, site, precision);
    let channels = site.weight[0] as usize;
    let row = errors.len() / channels.max(1);
    let taps: usize = site.weight[2.min(site.weight.len())..].iter().product::<i64>() as usize;
    let of = |channel: usize| -> f64 {
        let weights = &errors[channel * row..][..row];
        let input = |k: usize| if site.kind == Kind::Depthwise { channel } else { k / taps.max(1) };
        weights.iter().enumerate().map(|(k, e)| f64::from(*e) * seen.mean(input(k))).sum()
    };
    (0..channels).map(|channel| of(channel) as f32).collect()
}

/// The channels of what a layer reads.
fn channels(site: &Site) -> usize {
    (if site.kind == Kind::Depthwise { site.weight[0] } else { site.weight[1] }) as usize
}

/// What was seen of a layer.
struct Watched {
    read: Seen,
    given: Seen,
}

/// What belongs to layers outside of loops and branches, which are observed.
fn outside<'a>(found: &'a [Site], all: &'a mut [Watched]) -> impl Iterator<Item = &'a mut Watched> {
    found.iter().zip(all).filter(|(site, _)| !site.is_inside).map(|(_, watched)| watched)
}

/// What each layer reads and gives, over all calls.
fn see(model: &mut Model, calls: &[Call], found: &[Site], counts: bool) -> Result<Vec<Watched>> {
    let watched = |site: &Site| Watched { read: Seen::new(channels(site)), given: Seen::new(1) };
    let mut seen: Vec<Watched> = found.iter().map(watched).collect();
    let mut observed = Observed::open(model, calls, &Recipe::default())?;
    for at in 0..calls.len() {
        let glimpse = observed.call(model, at)?;
        for ((read, given), seen) in glimpse.layers.iter().zip(outside(found, &mut seen)) {
            seen.read.add(read);
            seen.given.add(given);
        }
    }
    if counts {
        for at in 0..calls.len() {
            let glimpse = observed.call(model, at)?;
            for ((read, given), seen) in glimpse.layers.iter().zip(outside(found, &mut seen)) {
                seen.read.count(read);
                seen.given.count(given);
            }
        }
    }
    Ok(seen)
}
