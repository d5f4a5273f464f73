//! Code generation: a plan (`kiln_loops::plan`) becomes one relocatable object, by Cranelift.
//!
//! * every computation is a local function of nested loops ([`nest`]),
//! * every method an exported function ([`method`]), beside those that make and destroy instances ([`instance`]),
//! * vector kernels arrive as bytes from a [`KernelEmitter`],
//! * weights and constants are local read-only data ([`data`]).
//!
//! Invariants: the same plan gives the same bytes; only symbols with the model's prefix are defined globally; only
//! `memcpy`, `memset`, `malloc`, `free` and functions of the runtime stay undefined, and of the runtime only what the
//! plan uses; no instruction traps whatever the inputs are.

mod arithmetic;
mod by_tensors;
mod code;
mod data;
mod error;
mod generate;
mod half;
mod huge_pages;
mod instance;
pub mod layout;
mod linker;
mod listing;
mod method;
mod nest;
mod target;
mod task;
mod unwind;
mod variant;

pub use by_tensors::tensor_signature;
pub use error::CodegenError;
pub use generate::{
    BY_TENSORS, EmittedKernel, Generated, KernelEmitter, NoKernels, Options, generate, method_symbol, uses_runtime,
};
pub use target::Target;
