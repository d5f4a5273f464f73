//! AArch64: the encoder, and NEON behind [`crate::isa::VectorIsa`].

pub mod encoder;
mod neon;

pub use neon::Neon;

use crate::isa::{EmitError, VectorIsa};
use crate::target::Features;

/// An assembler for one AArch64 function (AAPCS64; any armv8.0 processor with these extensions).
///
/// # Errors
/// None today; the signature is that of every ISA folder.
pub fn assembler(features: Features) -> Result<Box<dyn VectorIsa>, EmitError> {
    Ok(Box::new(Neon::new(features)))
}
