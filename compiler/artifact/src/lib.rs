//! What is written beside a model's object: static libraries, the C header, the manifest, the Rust module.
//!
//! Everything is made from a [`Model`], which describes a plan and what was generated from it, and comes out as bytes
//! or text; nothing here touches files. The same model gives the same bytes.

mod archive;
mod c_header;
mod flat;
mod manifest;
mod model;
mod runtime;
mod rust_module;
mod transcode;

pub use archive::{Archive, Format, refers_to_runtime, static_library};
pub use c_header::{KILN_H, c_header};
pub use manifest::manifest;
pub use model::{Facts, Model, ModelMethod};
pub use runtime::{runtime_object, runtime_triples};
pub use rust_module::rust_module;
pub use transcode::elf_from_mach_o;
