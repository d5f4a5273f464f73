//! From a compiled model to a program for its machine: the static library that `kiln compile` would write, and
//! [`runner.c`](runner.c).

use super::no_files;
use super::tools::Tools;
use crate::driver::Compiled;
use crate::error::Result;
use crate::target::Target;
use kiln_rt::abi::Context;
use kiln_support::Diagnostic;
use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use target_lexicon::{BinaryFormat, Triple};

/// The C program that makes the calls. It knows the model by the prefix `model`.
const RUNNER: &str = include_str!("runner.c");

/// The name of the program.
pub const PROGRAM: &str = "program";

/// Writes the program `PROGRAM` to a folder, beside what it is made from.
pub fn link(compiled: &Compiled, symbols: &[String], target: &Target, tools: &Tools, folder: &Path) -> Result<()> {
    let own_context = if compiled.description.uses_runtime { 0 } else { size_of::<Context>() };
    let library = library(compiled, target)?;
    for (name, bytes) in [
        ("kiln.h", kiln_artifact::KILN_H.as_bytes()),
        ("runner.c", RUNNER.as_bytes()),
        ("methods.c", methods(compiled.description.prefix(), symbols, own_context).as_bytes()),
        ("libmodel.a", &library),
    ] {
        std::fs::write(folder.join(name), bytes).map_err(no_files)?;
    }
    // Static, so that the emulator needs no libraries of the other machine.
    let arguments = ["-std=c11", "-O1", "-static", "-o", PROGRAM, "runner.c", "methods.c", "libmodel.a", "-pthread"];
    let output = Command::new(&tools.compiler).args(arguments).current_dir(folder).output();
    let failed = |what: String| Diagnostic::model("emulation", format!("`{}` {what}", tools.compiler.display()));
    let output = output.map_err(|error| failed(format!("cannot be started: {error}")))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(format!("cannot link the code for {}", target.name)).note(text).into());
    }
    Ok(())
}

/// The static library, in ELF.
fn library(compiled: &Compiled, target: &Target) -> Result<Vec<u8>> {
    let runtime = kiln_artifact::runtime_object(&target.name).ok_or_else(|| {
        let message = format!("kiln does not support running code for {} yet: it carries no runtime for it", target.name);
        Diagnostic::unsupported("no-runtime", message)
    })?;
    // Neither the user nor the model has a part in what is linked.
    let object = elf(&compiled.object, target);
    let triple = Triple { binary_format: BinaryFormat::Elf, ..target.triple.clone() };
    let library = kiln_artifact::static_library(compiled.description.prefix(), &object, Some(&elf(runtime, target)), &triple);
    Ok(library.unwrap_or_else(|error| panic!("{error}")))
}

fn elf<'a>(object: &'a [u8], target: &Target) -> Cow<'a, [u8]> {
    if target.triple.binary_format != BinaryFormat::Macho {
        return Cow::Borrowed(object);
    }
    Cow::Owned(kiln_artifact::elf_from_mach_o(object).unwrap_or_else(|error| panic!("{error}")))
}

/// The table of the methods in C.
fn methods(prefix: &str, symbols: &[String], own_context: usize) -> String {
    let mut text = String::from("#include \"kiln.h\"\n");
    let mut table = String::new();
    for symbol in symbols {
        let _ = writeln!(text, "int32_t {prefix}_{symbol}(kiln_context *, const kiln_value *, uint64_t, kiln_value *);");
        let _ = write!(table, "{prefix}_{symbol}, ");
    }
    let _ =
        writeln!(text, "int32_t (*const methods[])(kiln_context *, const kiln_value *, uint64_t, kiln_value *) = {{{table}}};");
    let _ = writeln!(text, "const uint64_t own_context_bytes = {own_context};");
    text
}
