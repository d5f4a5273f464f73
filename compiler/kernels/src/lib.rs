//! Vector kernels of kiln as machine code made at compile time.
//!
//! In: a plain, hashable kernel descriptor and a plain [`target::TargetDesc`]. Out: the bytes of one
//! position-independent function, constants included, with no relocation. Kernels are written once over [`isa::VectorIsa`];
//! each ISA folder of [`target`] holds an implementation of it.

pub mod isa;
pub mod kernels;
pub mod packing;
pub mod select;
pub mod target;
pub mod math;
pub mod prog;
pub mod vexpr;
