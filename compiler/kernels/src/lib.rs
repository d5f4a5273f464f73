//! Vector kernels of kiln as machine code made at compile time.
//!
//! In: a plain, hashable kernel descriptor ([`kernels::KernelDesc`]) and a plain target description ([`target::TargetDesc`]). Out:
//! the bytes of one position-independent function ([`kernels::Kernel`]), its constants included, with no relocation, to be placed
//! at an address aligned to 64 bytes.
//!
//! # What a kernel does
//!
//! One call does a whole operation, or any range of its units of work ([`kernels::Units`]): all loops over rows, panels, channels and
//! cache blocks are inside. Arguments are pointers and 64-bit integers, listed in order by [`kernels::Kernel::args`]. A kernel allocates
//! nothing, calls nothing, keeps no state and touches exactly the elements its descriptor names. Its frame, saved registers
//! included, is at most [`MAX_STACK_BYTES`].
//!
//! # How it is made
//!
//! ```text
//! descriptor ─► plan (select: panels, row tiles) ─► loops and tiles (kernels) ─► instructions (isa::VectorIsa) ─► bytes (target)
//!                    └─► packing: weights in the order the loops read them        ▲
//!                                      expression ─► math ─► prog (linear scan) ──┘
//! ```
//!
//! Kernels are written once over [`isa::VectorIsa`]; each ISA folder of [`target`] holds an implementation of it and nothing of
//! kernels. What happens to an accumulator before it is stored, and what a map or a reduction computes, is a [`vexpr::VExpr`]; of what is stored as bytes,
//! [`bytes`] leaves out what storing does anyway.
//!
//! To add a kernel: a descriptor and an emitter in `kernels/`, a line in [`kernels::emit`], a tester in `tests/` that compares with the plain
//! definition on every target that runs here. To add an ISA: an implementation of [`isa::VectorIsa`] and a line in
//! [`target::TargetDesc::assembler`]; all testers then run it.

/// Stack that a kernel may use, return address and saved registers included.
pub const MAX_STACK_BYTES: usize = 8192;

pub mod bytes;
pub mod isa;
pub mod kernels;
pub mod math;
pub mod packing;
pub mod prog;
pub mod select;
pub mod target;
pub mod vexpr;
