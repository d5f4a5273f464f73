//! What can go wrong while code is generated.

use thiserror::Error;

/// Why no code was generated.
#[derive(Debug, Error)]
pub enum CodegenError {
    /// The triple, or one of its features, has no back end here.
    #[error("no code can be generated for {0}")]
    Target(String),
    /// The plan breaks a rule of `kiln_loops::plan`: a mistake of whoever made it.
    #[error("the plan is wrong in `{place}`: {what}")]
    Plan {
        /// Method or computation.
        place: String,
        /// The rule.
        what: String,
    },
    /// The plan calls a runtime function that the runtime does not have.
    #[error("the runtime has no function `{0}`")]
    RuntimeFunction(String),
    /// The emitter of vector kernels refused one.
    #[error("vector kernel: {0}")]
    Kernel(String),
    /// Cranelift or the object writer refused what it was given.
    #[error("back end: {0}")]
    BackEnd(String),
}

impl CodegenError {
    /// A broken rule, where it is not known yet in what.
    pub(crate) fn rule(what: impl Into<String>) -> CodegenError {
        CodegenError::Plan { place: String::new(), what: what.into() }
    }

    /// Says where a broken rule was found, if that was open.
    pub(crate) fn in_place(self, name: &str) -> CodegenError {
        match self {
            CodegenError::Plan { place, what } if place.is_empty() => CodegenError::Plan { place: name.into(), what },
            other => other,
        }
    }
}

impl From<cranelift_module::ModuleError> for CodegenError {
    fn from(error: cranelift_module::ModuleError) -> CodegenError {
        CodegenError::BackEnd(match error {
            // The plain form says only that compilation failed.
            cranelift_module::ModuleError::Compilation(inner) => format!("{inner:?}"),
            other => other.to_string(),
        })
    }
}

impl From<object::write::Error> for CodegenError {
    fn from(error: object::write::Error) -> CodegenError {
        CodegenError::BackEnd(error.to_string())
    }
}
