//! Irregular tensor algorithms over contiguous buffers: sorting, selecting, searching, gathering and scattering.
//!
//! Buffers are row-major; an operation along one axis sees its operand as `[outer][len][inner]`. The dtype is an
//! argument: order-based algorithms map every element to a 64-bit key of the same order (`keys`), so that each is
//! compiled once, and the others load and store through `tensor::element`.

pub(crate) mod boxes;
pub(crate) mod gather;
pub(crate) mod introsort;
pub(crate) mod keys;
pub(crate) mod scan;
pub(crate) mod scatter;
pub(crate) mod search;
pub(crate) mod select;
pub(crate) mod sort;
pub(crate) mod unique;
