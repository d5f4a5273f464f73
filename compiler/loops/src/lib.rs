//! What operators become: tensor computations over scalar expressions, and plans that run them.
//!
//! * [`Compute`]: one loop nest. Each output element is a scalar [`Expr`] of its indices, of loads from
//!   inputs at computed indices, and of reductions.
//! * [`plan`]: the imperative program of a model: scalars, control flow, buffers, calls of
//!   computations, vector kernels and runtime functions.
//! * [`interpret`]: what a [`Compute`] means, evaluated plainly. Constant folding and tests use it.

pub mod cascade;
pub mod compute;
pub mod expr;
pub mod interpret;
pub mod plan;
pub mod scalar;
pub mod simplify;
pub mod write;

pub use compute::{Compute, ComputeKey, Extent, Input, Output, Scatter};
pub use expr::{Expr, ExprData, Exprs, ReduceOp};
pub use scalar::{BinaryOp, Kind, MathOp, Scalar, UnaryOp};
