//! `kiln inspect`: shows a model at a stage of its compilation.

use super::flags::{Format, InspectFlags, Stage};
use super::methods::Given;
use crate::driver::{Listings, Model, Parsed, Timings};
use crate::error::Result;
use crate::target::Target;
use kiln_graph::write::write_graph;
use kiln_graph::{Program, ResidualModel};
use kiln_support::Diagnostic;
use std::fmt::Write;

/// Runs the command.
pub fn inspect(flags: &InspectFlags) -> Result<()> {
    if flags.format != Format::Text {
        return Err(Diagnostic::unsupported("format", "kiln does not support this format of `inspect` yet")
            .help("use --format text")
            .into());
    }
    let parsed = Parsed::open(&flags.model.origin())?;
    let text = match flags.stage {
        Stage::Ast => trees(&parsed),
        _ => typed_stage(&mut parsed.typed(&flags.methods)?, flags)?,
    };
    super::print(&text);
    Ok(())
}

fn trees(parsed: &Parsed) -> String {
    let mut out = String::new();
    for (path, file) in &parsed.archive.code {
        let _ = writeln!(out, "# {path}\n{:#?}", file.module);
    }
    out
}

fn typed_stage(model: &mut Model, flags: &InspectFlags) -> Result<String> {
    if flags.stage == Stage::Typed {
        return Ok(functions(&model.program));
    }
    let target = target(flags)?;
    let methods = Given::read(&flags.inputs)?.methods(model, &flags.methods)?;
    let mut timings = Timings::default();
    let residual = model.residual(&methods, target.settings, &mut timings)?;
    if flags.stage == Stage::Optimized {
        return Ok(graphs(&residual));
    }
    let plan = model.plan(&residual, &target, &mut timings)?;
    if flags.stage == Stage::Loops {
        return Ok(kiln_schedule::write_plan(&plan));
    }
    let listings = Listings { prefix: "model", clif: flags.stage == Stage::Clif, asm: flags.stage == Stage::Asm, marks: false };
    let compiled = model.generate(&plan, &target, &listings, &mut timings)?;
    Ok(compiled.clif.or(compiled.asm).unwrap_or_default())
}

/// The target of a command that needs none to be run.
fn target(flags: &InspectFlags) -> Result<Target> {
    let name = flags.target.target.clone().unwrap_or_else(crate::target::host_name);
    Ok(Target::for_cpus(&name, &flags.target.cpu, None)?.with(flags.target.settings()))
}

/// The functions of a typed program that something reaches.
fn functions(program: &Program) -> String {
    let mut out = String::new();
    for (id, function) in program.funcs.iter() {
        let entry = &function.body.blocks[function.body.entry];
        if entry.params.len() == function.params.len() && (!entry.nodes.is_empty() || !entry.yields.is_empty()) {
            let _ = writeln!(out, "{id} {}\n{}", function.name, write_graph(&function.body, program, kiln_ops::table()));
        }
    }
    out
}

/// The graphs of a residual model.
pub fn graphs(residual: &ResidualModel) -> String {
    let mut out = String::new();
    for method in &residual.methods {
        let _ = writeln!(out, "{}\n{}", method.name, write_graph(&method.graph, &residual.program, kiln_ops::table()));
    }
    for (at, slot) in residual.state.iter().enumerate() {
        let _ = writeln!(out, "state{at}: {} {}", slot.ty.display(&residual.program), slot.name);
    }
    let _ = write!(out, "initial state\n{}", write_graph(&residual.init, &residual.program, kiln_ops::table()));
    out
}
