//! `kiln quantize`: calibrates a model, writes how it is quantized, and reports what that costs and saves.

use super::bench::measure;
use super::flags::{Observer as ObserverFlag, QuantizeFlags, WeightType};
use super::output::write_file;
use crate::driver::{Listings, Model, Timings};
use crate::error::Result;
use crate::execute::{PREFIX, open, prepare};
use crate::quantization::{Cost, Costs, Observer, Options, Outcome, calibrate, page, table, write};
use crate::target::Target;
use kiln_frontend::tensors_file::{Call, read_inputs};
use kiln_passes::pipeline::Quantization;
use kiln_passes::quantize::recipe::Narrow;
use kiln_support::Diagnostic;

/// Runs the command.
pub fn quantize(flags: &QuantizeFlags) -> Result<()> {
    let narrow = match flags.weight_type {
        WeightType::Int8 => None,
        WeightType::Int4 => Some(Narrow::Int4),
        WeightType::Fp16 => Some(Narrow::F16),
    };
    if flags.dynamic && narrow.is_some() {
        let message = "`--dynamic` quantizes activations, which `--weight-type int4` and `fp16` leave as they are";
        return Err(Diagnostic::usage("quantization", message).into());
    }
    let mut calls: Vec<Call> = Vec::new();
    for path in &flags.calibrate {
        calls.extend(read_inputs(path)?.calls);
    }
    let mut methods: Vec<String> = calls.iter().map(|call| call.method.clone()).collect();
    methods.sort();
    methods.dedup();
    let mut model = Model::open(&flags.model.origin(), &methods)?;
    if !matches!(model.quantization, Quantization::None) {
        return Err(Diagnostic::usage("quantization", "`--quantization` is what this command makes").into());
    }
    let observer = match flags.observer {
        ObserverFlag::Minmax => Observer::MinMax,
        ObserverFlag::Percentile => Observer::Percentile,
        ObserverFlag::Entropy => Observer::Entropy,
    };
    let options =
        Options { observer, reduce_range: flags.reduce_range, dynamic: flags.dynamic, narrow, max_error: flags.max_error };
    let outcome = calibrate(&mut model, &calls, &options, &mut super::progress::timings())?;
    write_file(&flags.output, write(&outcome).as_bytes())?;
    let costs = costs(&mut model, &calls, &outcome)?;
    if let Some(path) = &flags.report {
        let name = flags.model.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        write_file(path, page(&outcome, &costs, &format!("Quantization of {name}")).as_bytes())?;
    }
    super::print(&table(&outcome, &costs));
    Ok(())
}

/// How long each of the two models is measured, in seconds.
const SECONDS: f64 = 0.5;

/// What the model takes, before and after.
fn costs(model: &mut Model, calls: &[Call], outcome: &Outcome) -> Result<Costs> {
    let mut of = |quantization| {
        model.quantization = quantization;
        let cost = cost(model, &calls[..1]);
        model.quantization = Quantization::None;
        cost
    };
    Ok(Costs { float: of(Quantization::None)?, quantized: of(Quantization::By(outcome.recipe.clone()))? })
}

/// What the model takes for a call.
fn cost(model: &mut Model, call: &[Call]) -> Result<Cost> {
    let mut prepared = prepare(model, call, false)?;
    let mut opened = open(model, &mut prepared, &Target::native(), &Listings::none(PREFIX), &mut Timings::default())?;
    let time = measure(&mut opened.session, model, &prepared.calls[0], SECONDS)?.median();
    let description = &opened.compiled.description;
    Ok(Cost { weights: description.data_bytes, arena: description.arena_bytes, time })
}
