//! `kiln verify`: compares a model with a recording from PyTorch, value by value.
//!
//! Results are compared as the model is compiled for an app. Where the recording holds what the submodules returned, the
//! model is then compiled a second time so that it gives those too, and the first value that differs is named.

use super::flags::VerifyFlags;
use super::run::{methods, run_target, say_if_fixed};
use crate::compare::{Tolerance, difference};
use crate::driver::{Listings, Model};
use crate::error::{Error, Result};
use crate::execute::{BoundCall, PREFIX, Prepared, RAISED, Session, open, prepare};
use crate::target::Target;
use crate::trace::instrument;
use kiln_frontend::tensors_file::{Call, Case, Expected, InputValue, Intermediate, read_case};
use kiln_graph::FuncId;
use kiln_support::{Diagnostic, Failure};

/// What was compared.
#[derive(Default)]
struct Tally {
    results: usize,
    intermediates: usize,
    /// Why intermediate values were not compared.
    remark: Option<String>,
}

/// Runs the command.
pub fn verify(flags: &VerifyFlags) -> Result<()> {
    let target = run_target(&flags.target)?;
    let case = read_case(&flags.recording)?;
    let mut model = Model::open(&flags.model.origin(), &methods(&case))?;
    let mut tally = Tally::default();
    let results = compare_results(&mut model, &case, &target, flags.symbolic, &mut tally);
    if results.as_ref().err().is_none_or(is_difference) && case.calls.iter().any(|call| !call.intermediates.is_empty()) {
        compare_intermediates(&mut model, &case, &target, flags.symbolic, &mut tally)?;
    }
    results?;
    super::print(&summary(&tally));
    Ok(())
}

fn is_difference(error: &Error) -> bool {
    error.diagnostics().iter().any(|d| d.code.0 == "differs")
}

fn summary(tally: &Tally) -> String {
    let mut text = format!("the model agrees with the recording: {} compared", count(tally.results, "result"));
    if tally.intermediates > 0 {
        text.push_str(&format!(", {} of submodules", count(tally.intermediates, "value")));
    }
    if let Some(remark) = &tally.remark {
        text.push_str(&format!("\nnote: {remark}"));
    }
    text
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Makes all calls and compares their results.
fn compare_results(model: &mut Model, case: &Case, target: &Target, is_symbolic: bool, tally: &mut Tally) -> Result<()> {
    let mut prepared = prepare(model, &case.calls, is_symbolic)?;
    if !prepared.calls.is_empty() {
        let mut opened = open(model, &mut prepared, target, &Listings::none(PREFIX), &mut super::progress::timings())?;
        for (at, bound) in prepared.calls.iter().enumerate() {
            tally.results += compare_call(&mut opened.session, model, bound, &case.calls[at], case)
                .map_err(|error| in_call(error, at, case))?;
        }
        say_if_fixed(&opened);
    }
    if let Some(error) = prepared.refused {
        tally.results += usize::from(check_raised(&case.calls[prepared.calls.len()], error)?);
    }
    Ok(())
}

/// Says which call an error is from, where there are several.
fn in_call(error: Error, at: usize, case: &Case) -> Error {
    if !case.is_sequence {
        return error;
    }
    error.map(|diagnostic| diagnostic.note(format!("in call {at}, of `{}`", case.calls[at].method)))
}

fn tolerance(case: &Case) -> Tolerance {
    Tolerance { rtol: case.rtol, atol: case.atol }
}

/// Makes one call and compares; gives the number of values compared.
fn compare_call(session: &mut Session, model: &Model, bound: &BoundCall, call: &Call, case: &Case) -> Result<usize> {
    match (session.call(model, bound), &call.expect) {
        (Ok(found), Some(Expected::Value(expected))) => match difference(&found, expected, tolerance(case)) {
            None => Ok(1),
            Some(text) => Err(Diagnostic::model("differs", text).into()),
        },
        (Ok(found), Some(Expected::Raises { .. })) => Err(no_exception(&found)),
        (Ok(_), None) => Ok(0),
        (Err(error), _) => Ok(usize::from(check_raised(call, error)?)),
    }
}

fn no_exception(found: &InputValue) -> Error {
    let kind = crate::arguments::python_type(found);
    Diagnostic::model("differs", format!("result: a value of type {kind}, expected an exception")).into()
}

/// Whether an error is the exception that was recorded; gives the error back where it is not.
fn check_raised(call: &Call, error: Error) -> Result<bool> {
    let is_expected = matches!(call.expect, Some(Expected::Raises { .. }));
    let is_raised =
        error.failure() == Failure::Model && error.diagnostics().iter().all(|d| [RAISED, "arguments"].contains(&d.code.0));
    if is_expected && is_raised { Ok(true) } else { Err(error) }
}

/// Compares what the submodules return. That the instrumented model cannot be compiled is no failure.
fn compare_intermediates(model: &mut Model, case: &Case, target: &Target, is_symbolic: bool, tally: &mut Tally) -> Result<()> {
    let mut prepared = prepare(model, &case.calls, is_symbolic)?;
    trace_methods(model, &mut prepared);
    let mut session = match open(model, &mut prepared, target, &Listings::none(PREFIX), &mut super::progress::timings()) {
        Ok(opened) => opened.session,
        Err(error) if error.failure() == Failure::Unsupported => {
            let why = &error.diagnostics()[0].message;
            tally.remark = Some(format!("the values of submodules are not compared: {why}"));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for (at, (bound, call)) in prepared.calls.iter().zip(&case.calls).enumerate() {
        // A call that raises has raised in the first comparison too.
        let Ok(InputValue::Tuple(both)) = session.call(model, bound) else { return Ok(()) };
        let Some(InputValue::List(found)) = both.get(1) else { return Ok(()) };
        compare_values(found, &call.intermediates, case, tally).map_err(|error| in_call(error, at, case))?;
    }
    Ok(())
}

/// Lets the methods give what their submodules return.
fn trace_methods(model: &mut Model, prepared: &mut Prepared) {
    let mut funcs: Vec<FuncId> = prepared.methods.iter().map(|method| method.func).collect();
    funcs.sort_unstable();
    funcs.dedup();
    let wrappers = instrument(&mut model.program, &funcs);
    for method in &mut prepared.methods {
        if let Some(at) = funcs.iter().position(|&func| func == method.func) {
            method.func = wrappers[at];
        }
    }
}

fn compare_values(found: &[InputValue], recorded: &[Intermediate], case: &Case, tally: &mut Tally) -> Result<()> {
    if found.len() != recorded.len() {
        let text = format!("the model has {} of submodules, the recording {}", count(found.len(), "call"), recorded.len());
        tally.remark = Some(format!("the values of submodules are not compared: {text}"));
        return Ok(());
    }
    for (value, expected) in found.iter().zip(recorded) {
        if let Some(text) = difference(value, &expected.value, tolerance(case).of_scale(&expected.value)) {
            return Err(Diagnostic::model("differs", format!("the result of `{}`: {text}", expected.name)).into());
        }
        tally.intermediates += 1;
    }
    Ok(())
}
