//! The page `docs/cli.md`, made from the table of flags.

#![cfg(test)]

use super::flags::CommandLine;
use clap::CommandFactory;

/// What stands before the commands.
const INTRODUCTION: &str = "# The command line

Generated from `compiler/kiln/src/cli/flags.rs`: `KILN_BLESS=1 cargo test -p kiln` writes it again.

`MODEL` is a TorchScript archive. Files are written only where `-o` or `--outputs` say, each under a temporary name first, so that
a file is there as a whole or not at all. Progress is shown on standard error, on a terminal, when work takes over a second.

| exit status | when |
|---|---|
| 0 | done |
| 1 | the model, its inputs or the run failed |
| 2 | the command line is wrong, or it lacks the types of inputs |
| 3 | the model uses something that kiln does not support yet |
| 70 | a bug in kiln |

Every failure begins with a line `error: ...` on standard error; where the model's Python is at fault, its file and line follow. A model
that raises gives its own message there.

## Types of inputs

    --input 'x=f32[1,3,224,224]'     a tensor: element type and sizes
    --input 'x=f32[N,3,H,W]'         names are symbolic sizes: any size, the same wherever the name is the same
    --input 'x=f32[N<=8,128]'        a symbolic size with a bound
    --input n=int                    int, float, bool, str
    --input 'xs=list[f32[N,3]]'      list[T], dict[K,V], (T1,T2), optional[T], none
    --input 'dims==[0,1]'            a value: the input becomes a constant of the compiled code

Element types are f16 bf16 f32 f64 i8 i16 i32 i64 u8 bool. `--inputs FILE` takes the types from values: a `.json` case with its tensors in a
`.safetensors` file beside it, a `.npz`, or a `.safetensors` file. `run`, `verify` and `bench` take types from their inputs in the same way; where a
model can only be compiled for the very numbers, strings and lists that are passed, those become constants, and a note says so.
";

fn page() -> String {
    let mut out = String::from(INTRODUCTION);
    let mut command = CommandLine::command();
    command.build();
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let help = sub.render_long_help().to_string();
        let help: Vec<String> = help.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
        out.push_str(&format!("\n## kiln {}\n\n{}\n", sub.get_name(), help.join("\n")));
    }
    out
}

#[test]
fn the_page_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    if std::env::var_os("KILN_BLESS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let is_current = std::fs::read_to_string(&path).unwrap_or_default() == page();
    assert!(is_current, "docs/cli.md is stale: run the tests with KILN_BLESS=1");
}
