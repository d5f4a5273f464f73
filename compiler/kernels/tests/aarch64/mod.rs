//! Runs AArch64 kernels from tests on other machines, under `qemu-aarch64`.
//!
//! The heap of the test program is shared with the emulated one at the same address (`arena.rs`), so a kernel is called with ordinary pointers, as long
//! as they point into the heap: not into the stack, not to constants. A small C program (`harness.c`) does the calls and checks that
//! callee-saved registers are preserved; it is compiled once.
//!
//! Where the cross compiler or the emulator is missing, [`Emulator::get`] says so on standard error and gives `None`; with
//! `KILN_REQUIRE_EMULATION=1` it panics instead, so that continuous integration cannot skip unnoticed.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod arena;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// A built harness, and the running instances of it.
pub struct Emulator {
    harness: PathBuf,
    /// One for each processor asked for.
    running: Mutex<HashMap<&'static str, Child>>,
}

static EMULATOR: OnceLock<Result<Emulator, String>> = OnceLock::new();

/// The processor emulated: the oldest that kernels must run on.
pub const BASELINE: &str = "cortex-a53";
/// One with every extension that the emulator has, for kernels that ask for some.
pub const NEWEST: &str = "max";

impl Emulator {
    /// The emulator, or `None` (with the reason printed) where a tool is missing.
    ///
    /// # Panics
    /// If a tool is missing and `KILN_REQUIRE_EMULATION=1`.
    pub fn get() -> Option<&'static Emulator> {
        match EMULATOR.get_or_init(Emulator::build) {
            Ok(emulator) => Some(emulator),
            Err(why) if std::env::var_os("KILN_REQUIRE_EMULATION").is_some_and(|v| v == "1") => {
                panic!("AArch64 kernels cannot be run: {why}")
            }
            Err(why) => {
                eprintln!("skipped: AArch64 kernels cannot be run: {why}");
                None
            }
        }
    }

    fn build() -> Result<Emulator, String> {
        arena::descriptor().ok_or("no memory can be shared with the emulated program")?;
        check(Command::new("qemu-aarch64").arg("--version"))?;
        let harness = compile()?;
        Ok(Emulator { harness, running: Mutex::new(HashMap::new()) })
    }

    fn start(&self, cpu: &str) -> Child {
        let descriptor = arena::descriptor().expect("the emulator is built only with shared memory");
        let numbers = [descriptor as usize, arena::ADDRESS, arena::LENGTH].map(|n| n.to_string());
        let mut command = Command::new("qemu-aarch64");
        command.args(["-cpu", cpu]).arg(&self.harness).args(numbers);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the emulator starts")
    }

    /// Calls a copy of `code` on a processor with integer or pointer arguments, those beyond the given ones being 0.
    ///
    /// # Panics
    /// If the code crashes or does not preserve a register it must, or if a pointer leads outside the heap.
    pub fn call(&self, cpu: &'static str, code: &[u8], args: &[u64]) {
        let code = code.to_vec();
        let mut request = [0u64; 10];
        request[0] = code.as_ptr() as u64;
        request[1] = code.len() as u64;
        request[2..2 + args.len()].copy_from_slice(args);
        // Where Linux on x86-64 places programs, libraries and stacks.
        let is_private = |value: &u64| (0x5500_0000_0000..0x8000_0000_0000).contains(value);
        assert!(!request.iter().any(is_private), "emulated kernels can be given pointers into the heap only: {request:x?}");
        let mut running = self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut child = running.remove(cpu).unwrap_or_else(|| self.start(cpu));
        match exchange(&mut child, &request) {
            Ok(0) => {
                running.insert(cpu, child);
            }
            Ok(register) => {
                running.insert(cpu, child);
                drop(running);
                let (kind, number) = if register < 100 { ('x', register) } else { ('d', register - 100) };
                panic!("{kind}{number} was not preserved");
            }
            Err(error) => {
                let status = child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                panic!("the emulated kernel failed: {status} ({error})");
            }
        }
    }
}

/// Sends a request and waits for the reply.
fn exchange(child: &mut Child, request: &[u64; 10]) -> std::io::Result<u8> {
    let bytes: Vec<u8> = request.iter().flat_map(|n| n.to_le_bytes()).collect();
    let missing = || std::io::Error::other("the emulator has no pipes");
    child.stdin.as_mut().ok_or_else(missing)?.write_all(&bytes)?;
    let mut reply = [0];
    child.stdout.as_mut().ok_or_else(missing)?.read_exact(&mut reply)?;
    Ok(reply[0])
}

/// Compiles the harness, unless it is there already; the name tells the source it was made from.
fn compile() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aarch64/harness.c");
    let text = std::fs::read(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325, |h: u64, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let harness = directory.join(format!("kernel-harness-{hash:016x}"));
    if !harness.exists() {
        let options = ["-std=gnu11", "-Wall", "-Werror", "-O1", "-fomit-frame-pointer", "-static", "-o"];
        let partial = directory.join(format!("kernel-harness-{}", std::process::id()));
        check(Command::new("aarch64-linux-gnu-gcc").args(options).arg(&partial).arg(source))?;
        std::fs::rename(partial, &harness).map_err(|error| format!("{}: {error}", harness.display()))?;
    }
    Ok(harness)
}

fn check(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("`{program}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{program}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}
