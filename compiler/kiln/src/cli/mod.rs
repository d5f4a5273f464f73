//! The command line: reads it, runs the command, prints, and decides the exit status.
//!
//! Status 0: done. 1: the model, its inputs or the run failed. 2: the command line is wrong. 3: the model uses something
//! that kiln does not support yet. 70: a bug in kiln. Whatever fails, the first line on standard error is
//! `error: ...`.

mod bench;
mod check;
mod compile;
mod explain;
mod flags;
mod inspect;
mod methods;
mod output;
mod page;
mod profile;
mod progress;
mod quantize;
mod run;
mod targets;
mod tune;
mod verify;

use crate::error::Result;
use clap::Parser;
use flags::{Command, CommandLine};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// A bug in kiln.
const INTERNAL_ERROR: u8 = 70;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            let is_failure = error.use_stderr();
            // Without a place to print there is nothing left to do.
            let _ = error.print();
            return ExitCode::from(if is_failure { 2 } else { 0 });
        }
    };
    let panic_text = collect_panics();
    let worker = std::thread::Builder::new()
        .name("kiln".into())
        .stack_size(crate::STACK_BYTES)
        .spawn(move || dispatch(command_line.command));
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err(error))) => {
            print_error(&error.render(std::io::stderr().is_terminal()));
            ExitCode::from(error.exit_status())
        }
        Ok(Err(_panic)) => {
            print_error(&internal_error(&panic_text.lock().map(|text| text.clone()).unwrap_or_default()));
            ExitCode::from(INTERNAL_ERROR)
        }
        Err(error) => {
            print_error(&format!("error: no thread can be started: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Compile(flags) => compile::compile(&flags),
        Command::Run(flags) => run::run(&flags),
        Command::Verify(flags) => verify::verify(&flags),
        Command::Bench(flags) => bench::bench(&flags),
        Command::Inspect(flags) => inspect::inspect(&flags),
        Command::Check(flags) => check::check(&flags),
        Command::Quantize(flags) => quantize::quantize(&flags),
        Command::Targets => {
            targets::targets();
            Ok(())
        }
        Command::Explain(flags) => explain::explain(&flags),
    }
}

/// Keeps the text of a panic for the report, in place of printing it.
fn collect_panics() -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = text.clone();
    std::panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let message = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
        if let Ok(mut text) = kept.lock() {
            *text = format!("{}\n  at {place}", message.unwrap_or("a panic without a message"));
        }
    }));
    text
}

fn internal_error(panic: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "error: internal error in kiln: {panic}\n  kiln {version} on {}\nhelp: this is a bug in kiln, not in the model; please report it \
         with the lines above, the command, and the model where you can share it",
        crate::target::host_name()
    )
}

/// Writes to standard error. A closed one is no reason to fail.
fn print_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes to standard output. A closed one is no reason to fail: whoever reads has seen enough.
fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
