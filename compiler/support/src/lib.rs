//! What every layer of kiln shares: entity ids and their maps, source files and spans, diagnostics,
//! element types, and tensors as plain data.
//!
//! This crate knows nothing of Python, graphs or machine code.

pub mod diag;
pub mod dtype;
pub mod entity;
pub mod half;
pub mod source;
pub mod suggest;
pub mod tensor;

pub use diag::{Code, Diagnostic, Failure, Label};
pub use dtype::DType;
pub use entity::{EntityId, PrimaryMap, SecondaryMap};
pub use source::{FileId, SourceMap, Span};
pub use tensor::TensorData;
