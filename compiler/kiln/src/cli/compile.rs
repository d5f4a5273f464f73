//! `kiln compile`: writes a model's object and what belongs to it, for one target or several.

use super::flags::{CompileFlags, Emit, Switch};
use super::methods::Given;
use super::output::write_file;
use crate::driver::{Compiled, Listings, Model, Timings, operators};
use crate::error::Result;
use crate::target::{Target, host_name};
use kiln_graph::ResidualModel;
use kiln_schedule::kernels::Settings;
use kiln_support::Diagnostic;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Runs the command.
pub fn compile(flags: &CompileFlags) -> Result<()> {
    let name = library_name(flags)?;
    check_flags(flags)?;
    let settings = Settings { strict: flags.numerics.is_strict(), threads: if flags.threads == Switch::On { 0 } else { 1 } };
    let mut targets = targets(flags, settings)?;
    let given = Given::read(&flags.inputs)?;
    let mut timings = super::progress::timings();
    let mut model = Model::open(&flags.model.origin(), &flags.methods)?;
    timings.stages.append(&mut model.timings.stages);
    if let Some(file) = &flags.tune {
        let choices = super::tune::choices(file, &mut model, &given, &flags.methods[0], &targets)?;
        targets.iter_mut().for_each(|target| target.choices.clone_from(&choices));
    }
    let methods = given.methods(&mut model, &flags.methods)?;
    let residual = model.sound_residual(&methods, settings, &mut timings)?;
    let mut outputs = Vec::new();
    for target in &targets {
        let folder = if targets.len() == 1 { flags.output.clone() } else { flags.output.join(&target.name) };
        outputs.extend(one_target(&model, &residual, target, flags, &name, &folder, &mut timings)?);
    }
    if let Some(path) = &flags.depfile {
        write_file(path, depfile(&model, flags, &outputs).as_bytes())?;
    }
    if flags.timings {
        super::print_error(&timing_table(&timings));
    }
    Ok(())
}

fn check_flags(flags: &CompileFlags) -> Result<()> {
    let unsupported = |code, what: &str| Err(Diagnostic::unsupported(code, format!("kiln does not support {what} yet")).into());
    if flags.weights_out != "embed" {
        return unsupported("weights-out", "weights in a file of their own");
    }
    Ok(())
}

/// The prefix of the symbols.
fn library_name(flags: &CompileFlags) -> Result<String> {
    let Some(name) = &flags.name else { return Ok(default_name(&flags.model.path)) };
    let is_identifier =
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_identifier && !name.is_empty() {
        return Ok(name.clone());
    }
    Err(Diagnostic::usage("name", format!("`{name}` is not a C identifier")).help("--name takes letters, digits and `_`").into())
}

/// The model's file name as a C identifier.
fn default_name(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') { name } else { format!("model_{name}") }
}

fn targets(flags: &CompileFlags, settings: Settings) -> Result<Vec<Target>> {
    let mut names = flags.targets.clone();
    names.dedup();
    if names.is_empty() {
        names.push(host_name());
    }
    let target = |name: &String| Ok(Target::for_cpus(name, &flags.cpu, None)?.with(settings));
    names.iter().map(target).collect()
}

/// Compiles for one target and writes its files; gives their paths.
fn one_target(
    model: &Model,
    residual: &ResidualModel,
    target: &Target,
    flags: &CompileFlags,
    name: &str,
    folder: &Path,
    timings: &mut Timings,
) -> Result<Vec<PathBuf>> {
    let plan = model.plan(residual, target, timings)?;
    let listings =
        Listings { prefix: name, clif: flags.emit.contains(&Emit::Clif), asm: flags.emit.contains(&Emit::Asm), marks: false };
    let mut compiled = model.generate(&plan, target, &listings, timings)?;
    compiled.description.facts.operators = operators(residual);
    std::fs::create_dir_all(folder)
        .map_err(|error| Diagnostic::model("file", format!("`{}` cannot be made: {error}", folder.display())))?;
    let mut outputs = Vec::new();
    for &emit in &flags.emit {
        for (file, bytes) in files(emit, &compiled, residual, target)? {
            let path = folder.join(file);
            write_file(&path, &bytes)?;
            outputs.push(path);
        }
    }
    Ok(outputs)
}

/// A name and contents.
type Written<'a> = (String, Cow<'a, [u8]>);

/// The files of one kind.
fn files<'a>(emit: Emit, compiled: &'a Compiled, residual: &ResidualModel, target: &Target) -> Result<Vec<Written<'a>>> {
    let description = &compiled.description;
    let name = description.prefix();
    let text = |name: String, text: String| (name, Cow::from(text.into_bytes()));
    let listing =
        |name: String, listing: &'a Option<String>| (name, Cow::from(listing.as_deref().unwrap_or_default().as_bytes()));
    Ok(match emit {
        Emit::Obj => vec![(format!("{name}.{}", target.object_extension()), Cow::from(&compiled.object))],
        Emit::Lib => vec![(format!("lib{name}.a"), library(compiled, target)?.into())],
        Emit::Header => {
            let own = text(format!("{name}.h"), kiln_artifact::c_header(description));
            vec![own, ("kiln.h".into(), kiln_artifact::KILN_H.as_bytes().into())]
        }
        Emit::Manifest => vec![text(format!("{name}.json"), kiln_artifact::manifest(description))],
        Emit::Rust => vec![text(format!("{name}.rs"), kiln_artifact::rust_module(description))],
        Emit::Graph => vec![text(format!("{name}.kir"), super::inspect::graphs(residual))],
        Emit::Clif => vec![listing(format!("{name}.clif"), &compiled.clif)],
        Emit::Asm => vec![listing(format!("{name}.s"), &compiled.asm)],
        Emit::Swift | Emit::Kotlin | Emit::Cpp => return Err(not_yet(emit)),
    })
}

/// A static library of the object and the runtime.
fn library(compiled: &Compiled, target: &Target) -> Result<Vec<u8>> {
    let runtime = kiln_artifact::runtime_object(&target.name);
    if runtime.is_none() && compiled.description.uses_runtime {
        let message =
            format!("kiln does not support static libraries for {} yet: it carries no runtime for this target", target.name);
        return Err(Diagnostic::unsupported("no-runtime", message)
            .help("use --emit obj, and link the runtime crate `kiln-rt`")
            .into());
    }
    let library = kiln_artifact::static_library(compiled.description.prefix(), &compiled.object, runtime, &target.triple);
    library.map_err(|error| Diagnostic::unsupported("emit", format!("the static library cannot be written: {error}")).into())
}

fn not_yet(emit: Emit) -> crate::error::Error {
    let name = format!("{emit:?}").to_lowercase();
    Diagnostic::unsupported("emit", format!("kiln does not support --emit {name} yet")).help("use --emit obj").into()
}

/// A make rule: the files written depend on the files read.
fn depfile(model: &Model, flags: &CompileFlags, outputs: &[PathBuf]) -> String {
    let inputs = model.files.iter().map(Some).chain([flags.inputs.inputs.as_ref(), flags.tune.as_ref()]);
    let list = |paths: Vec<&PathBuf>| paths.into_iter().map(|path| make_word(path)).collect::<Vec<_>>().join(" ");
    format!("{}: {}\n", list(outputs.iter().collect()), list(inputs.flatten().collect()))
}

/// A path as make reads it.
fn make_word(path: &Path) -> String {
    path.display().to_string().replace('$', "$$").replace('#', "\\#").replace(' ', "\\ ")
}

fn timing_table(timings: &Timings) -> String {
    let line = |name: &str, seconds: f64| format!("{name:<12} {:>10.3} ms", seconds * 1e3);
    let mut lines: Vec<String> = timings.stages.iter().map(|(name, time)| line(name, time.as_secs_f64())).collect();
    lines.push(line("total", timings.total().as_secs_f64()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_files() {
        assert_eq!(default_name(Path::new("a/mobilenet-v2.pt")), "mobilenet_v2");
        assert_eq!(default_name(Path::new("3d.pt")), "model_3d");
        assert_eq!(default_name(Path::new("\u{e9}.pt")), "_");
    }

    #[test]
    fn make_reads_odd_paths() {
        assert_eq!(make_word(Path::new("a b/$x#1")), "a\\ b/$$x\\#1");
    }
}
