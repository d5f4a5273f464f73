//! kiln compiles TorchScript models, ahead of time, into native objects.
//!
//! * [`driver`]: the stages from an archive to an object, and [`execute`]: running what they give.
//! * [`arguments`], [`example`], [`values`]: calls, between files of inputs and the model's own types.
//! * `emulate`: running it for another machine, by the tools found.
//! * [`Build`]: compiling in a build script.
//! * [`quantization`]: calibrating a model, and the file that says how it is quantized.
//! * [`target`]: the table of targets.
//! * [`cli`]: the command line. It alone prints and exits; it, the driver and `emulate` alone touch the file system.

pub mod arguments;
mod build_script;
pub mod check;
pub mod cli;
pub mod compare;
pub mod driver;
mod emulate;
pub mod error;
pub mod example;
pub mod execute;
pub mod explain;
mod fix;
pub mod input_types;
mod prelude;
mod python_source;
pub mod quantization;
mod runtime;
mod synthetic;
pub mod target;
pub mod trace;
pub mod tuning;
pub mod values;

pub use build_script::Build;
pub use error::{Error, Result};
pub use kiln_support::DType;

/// Programs nest deeply, and every layer follows them by recursion.
const STACK_BYTES: usize = 512 << 20;
