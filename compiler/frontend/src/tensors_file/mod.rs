//! Files of inputs and results: trees of values in JSON with their tensors in safetensors, `.npz`, and plain
//! safetensors.
//!
//! In and out: paths or bytes, and [`InputValue`]s. Every size in a file is checked against the file before it is
//! used; every failure names the file, or the value in it.

mod case;
mod npz;
mod safetensors;
mod values;

pub use case::{Call, Case, Expected, Intermediate, read_case, read_inputs, write_outputs};
pub use npz::{read_npz, write_npz};
pub use safetensors::{SafeTensors, write_safetensors};
pub use values::InputValue;

use kiln_support::Diagnostic;

/// A failure of the `inputs` kind.
fn broken(message: impl Into<String>) -> Diagnostic {
    Diagnostic::model("inputs", message)
}
