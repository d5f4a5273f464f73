//! What can go wrong while loading and calling.

use thiserror::Error;

/// Why an object was not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The bytes are no object file, or a damaged one.
    #[error("not a readable object: {0}")]
    Format(String),
    /// The object is for another machine or system.
    #[error("the object is for {0}, which this process cannot run")]
    Machine(String),
    /// A symbol that neither the object nor the runtime has.
    #[error("undefined symbol `{0}`")]
    Undefined(String),
    /// A relocation of a kind that compiled models do not have.
    #[error("relocation of type {0} is not supported")]
    RelocationKind(u32),
    /// A relocation that leads outside its section, or whose target is out of reach.
    #[error("relocation at {0:#x} is out of range")]
    RelocationRange(u64),
    /// The system gave no memory.
    #[error("mapping {0} bytes failed: {1}")]
    Memory(usize, std::io::Error),
}

impl From<object::Error> for LoadError {
    fn from(error: object::Error) -> LoadError {
        LoadError::Format(error.to_string())
    }
}

/// Why a call did not give a result.
#[derive(Debug, Error)]
pub enum CallError {
    /// The model has no such function.
    #[error("the model has no function `{0}`")]
    Missing(String),
    /// The model failed: 1 raised, 2 no memory, 3 a bad argument, 4 a bug in kiln.
    #[error("{text}")]
    Status {
        /// The status code.
        status: i32,
        /// The model's own text.
        text: String,
    },
}
