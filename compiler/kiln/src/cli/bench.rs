//! `kiln bench`: how long calls take.

use super::flags::BenchFlags;
use super::methods::{Given, are_given};
use super::profile::profile;
use super::run::run_target;
use crate::driver::{Compiled, Listings, Model};
use crate::error::Result;
use crate::execute::{BoundCall, Loaded, Opened, PREFIX, Prepared, Session, open, prepare};
use crate::fix::is_plain;
use crate::input_types;
use crate::synthetic;
use crate::target::Target;
use kiln_frontend::tensors_file::Call;
use kiln_support::Diagnostic;
use serde_json::json;
use std::time::{Duration, Instant};

/// Fewer calls than this say nothing.
const MIN_CALLS: usize = 5;

/// Runs the command.
pub fn bench(flags: &BenchFlags) -> Result<()> {
    check_flags(flags)?;
    let target = run_target(&flags.target)?;
    let given = Given::read(&flags.inputs)?;
    let method = match &given {
        Given::Calls(calls) => calls.first().map_or("forward", |call| call.method.as_str()),
        Given::Types(_) => "forward",
    };
    let mut timings = super::progress::timings();
    let mut model = Model::open(&flags.model.origin(), &[method.to_owned()])?;
    let mut prepared = example(&mut model, &given, method)?;
    let choices = flags.tune.as_ref().map(|file| crate::tuning::read(file, &target)).transpose()?;
    let target = target.choosing(choices.unwrap_or_default());
    let options = Listings { marks: flags.profile.is_some(), ..Listings::none(PREFIX) };
    let Opened { mut session, compiled, .. } = open(&mut model, &mut prepared, &target, &options, &mut timings)?;
    if let Some(file) = &flags.profile {
        return profile(file, &mut session, &model, &prepared.calls[0], &compiled.sites, flags.min_time);
    }
    let times = timings.stage("measure", || measure(&mut session, &model, &prepared.calls[0], flags.min_time))?;
    let compile = model.timings.total() + timings.before("load");
    report(flags, &target, &compiled, compile, &times);
    Ok(())
}

fn check_flags(flags: &BenchFlags) -> Result<()> {
    if flags.min_time.is_nan() || flags.min_time < 0.0 || flags.min_time > 3600.0 {
        return Err(Diagnostic::usage("min-time", "--min-time is a number of seconds from 0 to 3600").into());
    }
    Ok(())
}

/// The call to measure: the first of the inputs file, or one with made-up values.
pub(super) fn example(model: &mut Model, given: &Given, method: &str) -> Result<Prepared> {
    let is_constant: Vec<bool>;
    let call = match given {
        Given::Calls(calls) => {
            let own: Vec<Call> = calls.iter().filter(|call| call.method == method).cloned().collect();
            is_constant = are_given(&model.signature(method)?, &own).into_iter().map(|is_given| !is_given).collect();
            let none = || Diagnostic::usage("inputs", format!("the inputs file has no call of `{method}`"));
            own.into_iter().next().ok_or_else(none)?
        }
        Given::Types(types) => {
            let signature = model.signature(method)?;
            let typed = input_types::method(&signature, types).map_err(|error| model.error(error))?;
            is_constant = typed.values.iter().map(Option::is_some).collect();
            let value = |at: usize, name: &str| match &typed.values[at] {
                Some(value) => Ok(value.clone()),
                None => synthetic::value(name, &typed.method.inputs[at]),
            };
            let values = signature.params().iter().enumerate().map(|(at, p)| Ok((p.name.clone(), value(at, &p.name)?)));
            Call { method: method.to_owned(), ..Call::forward(Vec::new(), values.collect::<Result<_>>()?) }
        }
    };
    let mut prepared = prepare(model, &[call], false)?;
    match prepared.refused.take() {
        Some(error) => Err(error),
        // What `compile` makes a part of the code is one here, too.
        None => Ok(prepared
            .fixed_where(model, &|at, value| is_constant.get(at) == Some(&true) && is_plain(value))
            .unwrap_or(prepared)),
    }
}

/// Times of calls: the first one, then those that count, in order of length.
pub(super) struct Times {
    first: Duration,
    sorted: Vec<Duration>,
}

impl Times {
    pub(super) fn median(&self) -> Duration {
        self.sorted[self.sorted.len() / 2]
    }
}

/// Makes a call again and again for some seconds.
pub(super) fn measure(session: &mut Session, model: &Model, call: &BoundCall, seconds: f64) -> Result<Times> {
    match session {
        Session::Loaded(loaded) => measure_loaded(loaded, model, call, seconds),
        Session::Emulated(emulated) => {
            let mut times = emulated.measure(seconds)?;
            super::print_error("note: the times are those of an emulator");
            let first = times.remove(0);
            times.sort();
            Ok(Times { first, sorted: times })
        }
    }
}

fn measure_loaded(session: &mut Loaded, model: &Model, call: &BoundCall, seconds: f64) -> Result<Times> {
    let args = session.arguments(model, call)?;
    let mut time = || -> Result<Duration> {
        let start = Instant::now();
        let result = session.raw_call(call, &args)?;
        session.release(result);
        Ok(start.elapsed())
    };
    let first = time()?;
    let (start, mut sorted) = (Instant::now(), Vec::new());
    while sorted.len() < MIN_CALLS || start.elapsed().as_secs_f64() < seconds {
        sorted.push(time()?);
    }
    session.finish(args, true);
    sorted.sort();
    Ok(Times { first, sorted })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn report(flags: &BenchFlags, target: &Target, compiled: &Compiled, compile: Duration, times: &Times) {
    let facts = json!({
        "median_ms": milliseconds(times.median()),
        "min_ms": milliseconds(times.sorted[0]),
        "first_call_ms": milliseconds(times.first),
        "compile_ms": milliseconds(compile),
        "object_bytes": compiled.object.len(),
        "text_bytes": compiled.description.text_bytes,
        "weights_bytes": compiled.description.data_bytes,
        "arena_bytes": compiled.description.arena_bytes,
        "peak_rss_bytes": peak_rss_bytes(),
        "threads": target.settings.threads,
        "target": target.name,
        "cpu": target.cpu,
        "calls": times.sorted.len(),
    });
    if flags.json {
        super::print(&facts.to_string());
        return;
    }
    let lines: Vec<String> = facts.as_object().into_iter().flatten().map(|(key, value)| format!("{key:<15} {value}")).collect();
    super::print(&lines.join("\n"));
}

/// The most memory this process has held.
fn peak_rss_bytes() -> u64 {
    // SAFETY: `getrusage` fills the structure, of which all zeroes is a valid value.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    // Linux counts in KiB, macOS in bytes.
    usage.ru_maxrss as u64 * if cfg!(target_os = "macos") { 1 } else { 1024 }
}
