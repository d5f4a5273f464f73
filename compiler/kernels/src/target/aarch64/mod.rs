//! AArch64: the encoder, and NEON behind [`crate::isa::VectorIsa`].

pub mod encoder;
mod neon;

pub use neon::Neon;

use crate::isa::{EmitError, VectorIsa};
use crate::target::TargetDesc;

/// An assembler for one AArch64 function (AAPCS64; any armv8.0 processor with the target's extensions).
///
/// # Errors
/// None today; the signature is that of every ISA folder.
pub fn assembler(target: &TargetDesc) -> Result<Box<dyn VectorIsa>, EmitError> {
    Ok(Box::new(Neon::new(target)))
}
