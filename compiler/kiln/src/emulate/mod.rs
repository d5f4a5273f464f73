//! Runs a model that was compiled for another machine: links its static library with a small C program, by the cross
//! compiler found, and runs that under the emulator found.
//!
//! [`runner.c`](runner.c) reads the calls from a file, makes them on one instance through `kiln.h`, as an app would, and writes
//! what they give to another file; [`wire`] is the form of both. What the model prints goes to the standard output of this
//! process. Code for Apple's systems is in Mach-O objects, which are rewritten as ELF; code for Android and for musl is linked
//! with glibc, from which it needs the same few functions.
//!
//! The calls of a session are made together, at the first one whose result is asked for.

mod link;
mod tools;
mod wire;

pub use tools::check;

use crate::driver::Compiled;
use crate::error::Result;
use crate::execute::failed_call;
use crate::target::Target;
use kiln_frontend::tensors_file::InputValue;
use kiln_loader::CallError;
use kiln_support::Diagnostic;
use std::collections::VecDeque;
use std::io::Write;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tools::Tools;

/// A model for another machine, together with the calls to make.
pub struct Emulated {
    /// Holds the program and the files that it reads and writes.
    folder: TempDir,
    tools: Tools,
    target: String,
    /// What the calls that were not asked for yet gave; none before they are made.
    results: Option<VecDeque<std::result::Result<InputValue, CallError>>>,
}

/// A call: the number of a method, and arguments.
pub type EmulatedCall<'a> = (usize, Vec<&'a InputValue>);

/// The names of the program's files.
const CALLS: &str = "calls";
const RESULTS: &str = "results";

impl Emulated {
    /// Links the program. `symbols` are those of the methods, without the prefix.
    pub fn new(compiled: &Compiled, symbols: &[String], calls: &[EmulatedCall], target: &Target) -> Result<Emulated> {
        let tools = Tools::find(target)?;
        let folder = tempfile::Builder::new().prefix("kiln-").tempdir().map_err(no_files)?;
        link::link(compiled, symbols, target, &tools, folder.path())?;
        std::fs::write(folder.path().join(CALLS), wire::write_calls(calls)).map_err(no_files)?;
        Ok(Emulated { folder, tools, target: target.name.clone(), results: None })
    }

    /// The result of the next call.
    pub fn call(&mut self) -> Result<InputValue> {
        let mut results = match self.results.take() {
            Some(results) => results,
            None => self.make_calls()?,
        };
        let next = results.pop_front().expect("a session is asked for each of its calls once");
        self.results = Some(results);
        next.map_err(failed_call)
    }

    /// Makes the first call again and again for some seconds; how long each took, in order.
    pub fn measure(&mut self, seconds: f64) -> Result<Vec<Duration>> {
        let output = self.run(Some(seconds))?;
        self.check_end(output.status)?;
        wire::read_times(&self.results_file()?)?.map_err(failed_call)
    }

    fn make_calls(&mut self) -> Result<VecDeque<std::result::Result<InputValue, CallError>>> {
        let output = self.run(None)?;
        self.check_end(output.status)?;
        wire::read_results(&self.results_file()?)
    }

    /// Runs the program to its end.
    fn run(&self, seconds: Option<f64>) -> Result<Output> {
        let path = |name: &str| self.folder.path().join(name);
        let mut command = match &self.tools.emulator {
            Some(emulator) => Command::new(emulator),
            None => Command::new(path(link::PROGRAM)),
        };
        if self.tools.emulator.is_some() {
            command.arg(path(link::PROGRAM));
        }
        command.arg(path(CALLS)).arg(path(RESULTS)).args(seconds.map(|s| s.to_string()));
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| self.not_run(&error))?;
        let output = child.wait_with_output().map_err(|error| self.not_run(&error))?;
        if output.status.success() {
            // What the model wrote there. A closed standard error is no reason to fail.
            let _ = std::io::stderr().write_all(&output.stderr);
        }
        Ok(output)
    }

    fn not_run(&self, error: &std::io::Error) -> Diagnostic {
        Diagnostic::model("emulation", format!("the code for {} cannot be run: {error}", self.target))
    }

    /// A program that does not end as it should has met a bug of kiln, or of the emulator.
    fn check_end(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        panic!("the code for {} ended with {status}", self.target)
    }

    fn results_file(&self) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.folder.path().join(RESULTS)).map_err(no_files)?)
    }
}

fn no_files(error: std::io::Error) -> Diagnostic {
    Diagnostic::model("file", format!("files for a run on another machine cannot be written or read: {error}"))
}
