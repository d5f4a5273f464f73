//! Dense linear algebra over batches of row-major matrices, float32 or float64.
//!
//! Every routine loads its operands into float64 scratch matrices, computes there, and rounds what it stores: one
//! instantiation serves both dtypes, and float32 results are at least as accurate as LAPACK's single-precision ones.
//! Unblocked algorithms: meant for the small matrices that models factorise, not for large systems. Signs follow LAPACK
//! where it defines them (QR); eigenvectors and singular vectors have the sign that the iteration gives.

pub(crate) mod cholesky;
pub(crate) mod eigen;
pub(crate) mod lu;
pub(crate) mod matrix;
pub(crate) mod qr;
pub(crate) mod svd;
