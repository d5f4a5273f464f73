//! A quantized model beside the one that it was made of: errors of the results and of each layer.

use super::observe::{Glimpse, Observed};
use crate::driver::Model;
use crate::error::Result;
use kiln_frontend::tensors_file::{Call, InputValue};
use kiln_passes::quantize::recipe::{LayerRecipe, MethodRecipe, Recipe};
use kiln_passes::quantize::sites::Site;

/// Power of a signal and of its error.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Error {
    signal: f64,
    noise: f64,
}

impl Error {
    fn add(&mut self, wanted: &[f32], found: &[f32]) {
        for (w, f) in wanted.iter().zip(found) {
            self.signal += f64::from(*w).powi(2);
            self.noise += f64::from(w - f).powi(2);
        }
    }

    /// Root of the mean squares of the error, over that of the signal.
    pub(super) fn relative(self) -> f64 {
        if self.noise == 0.0 { 0.0 } else { (self.noise / self.signal.max(f64::MIN_POSITIVE)).sqrt() }
    }
}

/// The quantized model beside the other one.
pub(super) struct Compared {
    /// Of what each layer reads.
    pub(super) read: Vec<Error>,
    /// Of what each layer gives.
    pub(super) given: Vec<Error>,
    /// Of the results.
    pub(super) result: Error,
    same: u64,
    rows: u64,
}

impl Compared {
    /// The share of rows of scores whose largest one is the same; none where there are no such rows.
    pub(super) fn agreement(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.same as f64 / self.rows as f64)
    }
}

/// Quantized models beside the one that is not, on the same calls.
pub(super) struct Trial<'a> {
    model: &'a mut Model,
    calls: &'a [Call],
    plain: Observed,
    /// The layers that are observed, by their numbers.
    observed: Vec<usize>,
}

impl<'a> Trial<'a> {
    /// For the method that the calls call, and its layers.
    pub(super) fn new(model: &'a mut Model, calls: &'a [Call], sites: &[Site]) -> Result<Trial<'a>> {
        let plain = Observed::open(model, calls, &Recipe::default())?;
        Ok(Trial { model, calls, plain, observed: (0..sites.len()).filter(|&i| !sites[i].is_inside).collect() })
    }

    /// Error of the results with these layers, relative to their size.
    pub(super) fn error(&mut self, layers: &[LayerRecipe]) -> Result<f64> {
        Ok(self.compare(layers, false)?.result.relative())
    }

    /// What a model with these layers loses, with `each` also in every layer.
    pub(super) fn compare(&mut self, layers: &[LayerRecipe], each: bool) -> Result<Compared> {
        let name = self.calls[0].method.clone();
        let recipe = Recipe { methods: vec![MethodRecipe { name, layers: layers.to_vec() }] };
        let mut quantized = Observed::open(self.model, self.calls, &recipe)?;
        let none = vec![Error::default(); layers.len()];
        let mut all = Compared { read: none.clone(), given: none, result: Error::default(), same: 0, rows: 0 };
        for at in 0..self.calls.len() {
            let (wanted, found): (Glimpse, Glimpse) = (self.plain.call(self.model, at)?, quantized.call(self.model, at)?);
            let layers = wanted.layers.iter().zip(&found.layers).filter(|_| each);
            for (&i, (w, f)) in self.observed.iter().zip(layers) {
                all.read[i].add(&w.0.to_f32(), &f.0.to_f32());
                all.given[i].add(&w.1.to_f32(), &f.1.to_f32());
            }
            compare_results(&wanted.result, &found.result, &mut all);
        }
        Ok(all)
    }
}

fn compare_results(wanted: &InputValue, found: &InputValue, all: &mut Compared) {
    match (wanted, found) {
        (InputValue::Tensor(w), InputValue::Tensor(f)) if w.dtype.is_float() && w.shape == f.shape => {
            let (a, b) = (w.to_f32(), f.to_f32());
            all.result.add(&a, &b);
            if let [_, scores] = w.shape[..]
                && scores > 1
            {
                for (a, b) in a.chunks(scores as usize).zip(b.chunks(scores as usize)) {
                    all.rows += 1;
                    all.same += u64::from(largest(a) == largest(b));
                }
            }
        }
        (InputValue::List(w) | InputValue::Tuple(w), InputValue::List(f) | InputValue::Tuple(f)) => {
            w.iter().zip(f).for_each(|(w, f)| compare_results(w, f, all));
        }
        (InputValue::Dict(w), InputValue::Dict(f)) => {
            w.iter().zip(f).for_each(|((_, w), (_, f))| compare_results(w, f, all));
        }
        (InputValue::NamedTuple { fields: w, .. }, InputValue::NamedTuple { fields: f, .. }) => {
            w.iter().zip(f).for_each(|((_, w), (_, f))| compare_results(w, f, all));
        }
        _ => {}
    }
}

fn largest(scores: &[f32]) -> Option<usize> {
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
}
