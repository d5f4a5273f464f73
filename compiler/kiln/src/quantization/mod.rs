//! Post-training quantization: what `kiln quantize` finds out about a model, the file that it writes, and its report.
//!
//! 1. The model runs as it is on the calibration data and gives what each layer reads ([`observe`]): ranges, histograms, means.
//! 2. From these follow the scale and zero point of each activation ([`observers`]) and what the rounding of weights adds to each
//!    output channel on average, which is taken from the bias.
//! 3. The quantized model runs beside the other one on the same data ([`compared`]). Where its results are off by more than is allowed,
//!    the layers that matter most to the results compute in binary32 ([`budget`]).
//!
//! The file ([`file`]) is all that is needed to compile the model so; it fits that model only.

mod budget;
mod calibrate;
mod compared;
mod file;
mod observe;
mod observers;
mod report;

pub use calibrate::{Options, Outcome, calibrate};
pub use file::{read, write};
pub use kiln_passes::quantize::recipe::Narrow;
pub use observers::Observer;
pub use report::{Cost, Costs, page, table};
