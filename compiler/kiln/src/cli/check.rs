//! `kiln check`: lists every construct that kiln does not support, with its source line.

use super::flags::CheckFlags;
use crate::check::unsupported_operators;
use crate::driver::{Origin, Parsed};
use crate::error::{Error, Result};

/// Runs the command.
pub fn check(flags: &CheckFlags) -> Result<()> {
    let parsed = Parsed::open(&Origin { is_check: true, ..flags.model.origin() })?;
    let methods = if flags.methods.is_empty() { parsed.methods() } else { flags.methods.clone() };
    // A model without any method has no `forward`: typing says so.
    let model = parsed.typed(&methods)?;
    let found = unsupported_operators(&model.program);
    if found.is_empty() {
        super::print("every operator is supported");
        return Ok(());
    }
    Err(Error::new(found, &model.sources))
}
