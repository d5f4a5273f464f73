//! The tools that link and run code for another machine: which are needed, and where they are.

use crate::target::{Target, is_native};
use kiln_support::Diagnostic;
use std::path::{Path, PathBuf};
use target_lexicon::{Architecture, BinaryFormat};

/// The tools for a target.
#[derive(Debug)]
pub struct Tools {
    /// Compiles C and links.
    pub compiler: PathBuf,
    /// Runs the program; none where this machine does.
    pub emulator: Option<PathBuf>,
}

/// What an architecture needs.
struct Entry {
    architecture: &'static str,
    compilers: &'static [&'static str],
    emulators: &'static [&'static str],
    /// What to install.
    packages: &'static str,
}

const ENTRIES: &[Entry] = &[
    Entry {
        architecture: "aarch64",
        compilers: &["aarch64-linux-gnu-gcc"],
        emulators: &["qemu-aarch64", "qemu-aarch64-static"],
        packages: "gcc-aarch64-linux-gnu and qemu-user",
    },
    Entry {
        architecture: "x86_64",
        compilers: &["x86_64-linux-gnu-gcc"],
        emulators: &["qemu-x86_64", "qemu-x86_64-static"],
        packages: "gcc-x86-64-linux-gnu and qemu-user",
    },
];

/// What a machine needs for code of its own architecture.
const OWN_COMPILERS: &[&str] = &["cc", "gcc", "clang"];

/// Whether code for a target can be run here, by this process or by tools that are there.
pub fn check(target: &Target) -> Result<(), Diagnostic> {
    if target.is_host() { Ok(()) } else { Tools::find(target).map(|_| ()) }
}

impl Tools {
    /// Finds the tools for a target. Fails with what is missing, or where no tool could help.
    pub fn find(target: &Target) -> Result<Tools, Diagnostic> {
        let unsupported = |why: &str| {
            let message = format!("kiln does not support running code for {} (CPU {}) here yet: {why}", target.name, target.cpu);
            Diagnostic::unsupported("foreign-target", message)
                .help("leave --target and --cpu out, or compile for it and run the result there")
        };
        if !cfg!(target_os = "linux") {
            return Err(unsupported("emulators of other machines are used on Linux only"));
        }
        if target.triple.binary_format == BinaryFormat::Coff {
            return Err(unsupported("Windows' calling convention is not Linux's"));
        }
        if is_own(target) {
            if !is_native(&target.features) {
                return Err(unsupported("this CPU lacks a feature that the code relies on"));
            }
            let compiler = find(OWN_COMPILERS).ok_or_else(|| missing(target, OWN_COMPILERS, "gcc"))?;
            return Ok(Tools { compiler, emulator: None });
        }
        let name = target.triple.architecture.to_string();
        let entry = ENTRIES.iter().find(|entry| entry.architecture == name);
        let entry = entry.ok_or_else(|| unsupported("no emulator for its architecture is known"))?;
        let compiler = find(entry.compilers).ok_or_else(|| missing(target, entry.compilers, entry.packages))?;
        let emulator = find(entry.emulators).ok_or_else(|| missing(target, entry.emulators, entry.packages))?;
        Ok(Tools { compiler, emulator: Some(emulator) })
    }
}

/// Whether this machine has the target's architecture.
fn is_own(target: &Target) -> bool {
    match target.triple.architecture {
        Architecture::X86_64 => cfg!(target_arch = "x86_64"),
        Architecture::Aarch64(_) => cfg!(target_arch = "aarch64"),
        _ => false,
    }
}

fn missing(target: &Target, names: &[&str], packages: &str) -> Diagnostic {
    Diagnostic::model("emulation", format!("running code for {} needs `{}`, which is not on the PATH", target.name, names[0]))
        .help(format!("install it (Debian's packages are {packages}), or leave --target out"))
}

/// The first of these tools that is on the PATH.
fn find(names: &[&str]) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| is_program(path)))
}

fn is_program(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_run_is_said() {
        let windows = Target::new("x86_64-pc-windows-msvc", None).unwrap();
        let error = Tools::find(&windows).unwrap_err();
        assert_eq!(error.code.0, "foreign-target");
        assert!(check(&Target::native()).is_ok());
    }

    #[test]
    fn every_architecture_of_the_table_has_its_tools() {
        for entry in crate::target::TRIPLES {
            let target = Target::new(entry.name, None).unwrap();
            let name = target.triple.architecture.to_string();
            assert!(ENTRIES.iter().any(|e| e.architecture == name), "{name}");
        }
    }

    #[test]
    fn missing_tools_are_named() {
        let target = Target::new("aarch64-linux-android", None).unwrap();
        let error = missing(&target, &["qemu-aarch64"], "qemu-user");
        assert_eq!(error.failure.exit_status(), 1);
        assert!(error.message.contains("`qemu-aarch64`"), "{}", error.message);
        assert_eq!(find(&["no-such-tool-of-kiln"]), None);
    }
}
