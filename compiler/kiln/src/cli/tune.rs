//! `--tune`: how products and convolutions are computed is measured, and kept in a file.
//!
//! Each candidate (a width of panels, an algorithm) is given to all products and convolutions of the model at once, and the model runs
//! with marks: a marked run has the time of each of them, where it stands, with the caches as the others leave them. So there are as many
//! compilations as candidates, however many products there are. For each the best candidate is kept if it is better than the cost
//! model's choice by more than measurements scatter; all choices together only if they make the whole call faster.
//!
//! The file is all that later builds need: they measure nothing, and make the same object.

use super::bench::{example, measure};
use super::methods::Given;
use super::profile::record;
use crate::driver::{Listings, Model, Timings};
use crate::error::Result;
use crate::execute::{Opened, PREFIX, Prepared, open};
use crate::target::Target;
use crate::tuning::{read, reserve, write};
use kiln_kernels::select::MAX_PANEL;
use kiln_schedule::kernels::choices::{Choice, Choices};
use kiln_support::Diagnostic;
use std::collections::BTreeMap;
use std::path::Path;

/// A candidate is kept if it takes at most this part of the time.
const WORTHWHILE: f64 = 0.97;
/// All are kept if a call takes at most this part of the time.
const FASTER: f64 = 0.995;
/// Seconds for which each candidate runs, at least.
const SECONDS: f64 = 0.5;
/// How often the chosen and the modelled choices are compared.
const ROUNDS: usize = 3;

/// The choices that a file holds; if it is not there, measures them and writes it.
pub fn choices(file: &Path, model: &mut Model, given: &Given, method: &str, targets: &[Target]) -> Result<Choices> {
    let one_cpu = || Diagnostic::usage("tune", "`--tune` is for one target and one CPU").into();
    let [target] = targets else { return Err(one_cpu()) };
    if !target.variants.is_empty() {
        return Err(one_cpu());
    }
    if file.exists() {
        return read(file, target);
    }
    if !target.is_host() {
        let message = format!("`{}` does not exist, and nothing can be measured for {} here", file.display(), target.name);
        return Err(Diagnostic::usage("tune", message)
            .help("make the file on a machine that runs the code, and copy it here")
            .into());
    }
    let mut prepared = example(model, given, method)?;
    // First, so that nobody waits for what cannot be kept. What is left if this ends here is no file of choices.
    reserve(file)?;
    let choices = chosen(model, &mut prepared, target).inspect_err(|_| drop(std::fs::remove_file(file)))?;
    write(file, &choices, target)?;
    Ok(choices)
}

/// Milliseconds of each problem in a call.
type Times = BTreeMap<String, f64>;

/// What all products and convolutions are tried with.
fn candidates(target: &Target) -> Vec<Choice> {
    let panels = (1..=MAX_PANEL).map(|panel| Choice { panel: Some(panel), winograd: None });
    let tiles = [1, 2, 4].into_iter().filter(|_| !target.settings.strict);
    panels.chain(tiles.map(|tile| Choice { panel: None, winograd: Some(tile) })).collect()
}

/// The best choices for the first call that is prepared.
fn chosen(model: &mut Model, prepared: &mut Prepared, target: &Target) -> Result<Choices> {
    let mut timings = super::progress::timings();
    let mut times = |choice: Choice| {
        let target = target.clone().choosing(Choices { known: BTreeMap::new(), other: choice });
        site_times(model, prepared, &target, &mut timings)
    };
    let mut modelled = times(Choice::default())?;
    let mut best: BTreeMap<String, (f64, Choice)> = BTreeMap::new();
    for candidate in candidates(target) {
        for (problem, time) in times(candidate)? {
            let (least, choice) = best.entry(problem).or_insert((f64::INFINITY, candidate));
            if time < *least {
                (*least, *choice) = (time, candidate);
            }
        }
    }
    // Once more, so that a disturbance at one time does not make everything else look good.
    for (problem, time) in times(Choice::default())? {
        modelled.entry(problem).and_modify(|least| *least = least.min(time));
    }
    let is_better = |problem: &String, time: f64| modelled.get(problem).is_some_and(|modelled| time < WORTHWHILE * modelled);
    best.retain(|problem, (time, _)| is_better(problem, *time));
    let known = best.into_iter().map(|(problem, (_, choice))| (problem, choice)).collect();
    let choices = Choices { known, other: Choice::default() };
    if choices == Choices::default() {
        return Ok(choices);
    }
    let faster = is_faster(model, prepared, target, &choices, &mut timings)?;
    Ok(if faster { choices } else { Choices::default() })
}

/// The times of the model's products and convolutions.
fn site_times(model: &mut Model, prepared: &mut Prepared, target: &Target, timings: &mut Timings) -> Result<Times> {
    let options = Listings { marks: true, ..Listings::none(PREFIX) };
    let Opened { mut session, compiled, .. } = open(model, prepared, target, &options, timings)?;
    let (profile, calls) = timings.stage("measure", || record(&mut session, model, &prepared.calls[0], SECONDS))?;
    let mut times = Times::new();
    for (site, (_, time)) in compiled.sites.iter().zip(&profile.sites) {
        if let Some(problem) = &site.problem {
            *times.entry(problem.clone()).or_default() += time.as_secs_f64() * 1e3 / calls as f64;
        }
    }
    Ok(times)
}

/// Whether calls with the choices take less time than with the cost models': medians, measured in turn.
fn is_faster(
    model: &mut Model,
    prepared: &mut Prepared,
    target: &Target,
    choices: &Choices,
    timings: &mut Timings,
) -> Result<bool> {
    let options = Listings::none(PREFIX);
    let tuned = target.clone().choosing(choices.clone());
    let mut opened = Vec::new();
    for target in [target, &tuned] {
        opened.push(open(model, prepared, target, &options, timings)?.session);
    }
    let mut least = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (session, least) in opened.iter_mut().zip(&mut least) {
            let times = measure(session, model, &prepared.calls[0], SECONDS)?;
            *least = least.min(times.median().as_secs_f64());
        }
    }
    Ok(least[1] < FASTER * least[0])
}
