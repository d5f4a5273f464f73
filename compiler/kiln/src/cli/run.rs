//! `kiln run`: compiles, loads and calls a model; prints or writes the results.

use super::flags::{RunFlags, TargetFlags};
use super::output::write_results;
use crate::driver::{Listings, Model};
use crate::error::Result;
use crate::execute::{Opened, PREFIX, open, prepare};
use crate::target::Target;
use kiln_frontend::tensors_file::{Case, InputValue, read_inputs};

/// Runs the command.
pub fn run(flags: &RunFlags) -> Result<()> {
    let target = run_target(&flags.target)?;
    let case = read_inputs(&flags.inputs)?;
    let mut model = Model::open(&flags.model.origin(), &methods(&case))?;
    let results = call_all(&mut model, &case, &target, flags.symbolic)?;
    match &flags.outputs {
        Some(path) => write_results(path, &results, case.is_sequence),
        None => {
            results.iter().for_each(|result| super::print(&result.to_inline_json().to_string()));
            Ok(())
        }
    }
}

/// The methods that a case calls.
pub fn methods(case: &Case) -> Vec<String> {
    let mut names: Vec<String> = case.calls.iter().map(|call| call.method.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Makes all calls of a case on one instance.
fn call_all(model: &mut Model, case: &Case, target: &Target, is_symbolic: bool) -> Result<Vec<InputValue>> {
    let mut prepared = prepare(model, &case.calls, is_symbolic)?;
    let mut results = Vec::new();
    if !prepared.calls.is_empty() {
        let mut opened = open(model, &mut prepared, target, &Listings::none(PREFIX), &mut super::progress::timings())?;
        for call in &prepared.calls {
            results.push(opened.session.call(model, call)?);
        }
        say_if_fixed(&opened);
    }
    match prepared.refused {
        Some(error) => Err(error),
        None => Ok(results),
    }
}

/// Says where values of the calls became a part of the code.
pub fn say_if_fixed(opened: &Opened) {
    if opened.is_fixed {
        super::print_error("note: the numbers, strings and lists among the arguments are a part of the compiled code");
    }
}

/// The target of a command that runs what it compiles: this machine, or one that can be emulated here.
pub fn run_target(flags: &TargetFlags) -> Result<Target> {
    let name = flags.target.clone().unwrap_or_else(crate::target::host_name);
    let default = if name == crate::target::host_name() { Some("native") } else { None };
    let target = Target::for_cpus(&name, &flags.cpu, default)?.with(flags.settings());
    crate::emulate::check(&target)?;
    Ok(target)
}
