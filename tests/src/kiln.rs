//! The `kiln` command, as the tests run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln::cli::main()
}
