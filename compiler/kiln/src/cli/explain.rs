//! `kiln explain`: the long text of a diagnostic.

use super::flags::ExplainFlags;
use crate::error::Result;
use crate::explain::{CODES, explanation};
use kiln_support::Diagnostic;

/// Runs the command.
pub fn explain(flags: &ExplainFlags) -> Result<()> {
    let Some(code) = &flags.code else {
        let names: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
        super::print(&names.join("\n"));
        return Ok(());
    };
    match explanation(code) {
        Some(text) => super::print(text),
        None => {
            let error = Diagnostic::usage("unknown-code", format!("there is no diagnostic `{code}`"));
            return Err(error.help("`kiln explain` without a code lists them").into());
        }
    }
    Ok(())
}
