//! The command line: exit statuses, messages, files, and what it does with hostile input.

mod compile;
mod hostile;
mod run;
mod status;

use assert_cmd::Command;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The command under test.
fn kiln() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kiln-under-test"))
}

/// A folder with a model in it.
struct Workspace {
    folder: TempDir,
}

impl Workspace {
    /// A folder with an archive of these methods, `m.pt`.
    fn new(methods: &str) -> Workspace {
        Workspace::with_archive(&kiln_tests::archive(methods))
    }

    fn with_archive(bytes: &[u8]) -> Workspace {
        let workspace = Workspace { folder: tempfile::tempdir().unwrap() };
        workspace.write("m.pt", bytes);
        workspace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The names of all files and folders.
    fn names(&self) -> Vec<String> {
        names(self.folder.path())
    }

    /// Runs the model on a file of inputs; gives exit status, standard output and standard error.
    fn run(&self, inputs: &str) -> Outcome {
        let inputs = self.write("in.json", inputs);
        outcome(kiln().arg("run").arg(self.path("m.pt")).arg("--inputs").arg(inputs))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a run of the command gave.
#[derive(Debug)]
struct Outcome {
    /// None where a signal ended it.
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn first_line(&self) -> &str {
        self.stderr.lines().next().unwrap_or("")
    }
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
