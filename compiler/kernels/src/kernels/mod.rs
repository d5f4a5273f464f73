//! The kernels, one file per family, and the one door to them: [`emit`].

mod cascade;
pub mod columns;
pub mod contraction;
pub mod conv;
pub mod copy;
mod depthwise;
mod describe;
pub mod epilogue;
mod epilogue_rows;
pub mod gather;
pub mod gemm;
pub mod matmul;
pub mod norm;
pub mod numbers;

pub mod pack;
pub mod ragged;
mod reduction;
pub mod registers;
mod row_passes;
pub mod rows;
mod strips;
mod sweep;
pub mod transpose;
mod units;
pub mod window;
mod window_store;
mod window_tiles;
pub mod winograd;
mod words;

use crate::isa::EmitError;
use crate::target::TargetDesc;
use std::hash::{Hash, Hasher};

/// What a kernel argument is. All are pointers or 64-bit integers, passed in the order of [`Kernel::args`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arg {
    /// `*const f32`: the main input (A, the image, the rows).
    Input,
    /// `*const f32`: the packed weights, or the second operand.
    Weights,
    /// `*mut f32`: the result.
    Output,
    /// `*const *mut f32`: a table of the result pointers of a kernel with several.
    Outputs,
    /// `*const *const f32`: a table of the pointers of the inputs of the expression.
    Inputs,
    /// First unit of work to do.
    Begin,
    /// One past the last unit of work to do.
    End,
    /// `*mut u8`: [`Kernel::scratch_bytes`] bytes, aligned to 64, contents arbitrary; each thread needs its own.
    Scratch,
    /// A row count known only at run time.
    Rows,
    /// A column count known only at run time.
    Cols,
    /// The length of sums known only at run time.
    Depth,
    /// `*mut u64`: a word that says in which direction the kernel goes this time, and that it changes for the next; it may hold anything at first.
    Turn,
}

/// How many units of work a kernel has; any division of `0..units` over calls computes the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Units {
    /// So many.
    Fixed(usize),
    /// `ceil(rows / n)` for a run-time row count.
    PerRows(usize),
    /// `ceil(columns / n)` for a run-time column count.
    PerCols(usize),
    /// `n` for each image of a run-time batch.
    PerImage(usize),
}

impl Units {
    /// How many units there are, `n` being the run-time count of what they are counted by (rows, columns or images).
    pub fn count(self, n: usize) -> usize {
        match self {
            Units::Fixed(units) => units,
            Units::PerRows(size) | Units::PerCols(size) => n.div_ceil(size),
            Units::PerImage(units) => n * units,
        }
    }
}

/// A finished kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Unique for descriptor and target: `f32_gemm_relu_6x16__x86_64_avx2__0123456789abcdef`.
    pub name: String,
    /// Position-independent code, entry at offset 0, to be aligned to 64 bytes.
    pub code: Vec<u8>,
    /// The arguments in order.
    pub args: Vec<Arg>,
    /// Scratch memory per concurrent call.
    pub scratch_bytes: usize,
    /// Units of work.
    pub units: Units,
}

/// Everything [`emit`] can make.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KernelDesc {
    /// Matrix product with packed B.
    Gemm(gemm::GemmDesc),
    /// Convolution, channels last.
    Conv(conv::ConvDesc),
    /// 3x3 convolution by Winograd's algorithm, channels last.
    Winograd(winograd::WinogradDesc),
    /// Convolution that skips taps on padding, channels last.
    Ragged(ragged::RaggedDesc),
    /// Depthwise convolution and pooling, channels last.
    Window(window::WindowDesc),
    /// Maps over rows found by tables.
    Gather(gather::GatherDesc),
    /// Matrix product with run-time sizes.
    Matmul(matmul::MatmulDesc),
    /// Packing of B for it.
    MatmulPack(matmul::MatmulPackDesc),
    /// Transposition of matrices.
    Transpose(transpose::TransposeDesc),
    /// Packing of B at run time.
    Pack(pack::PackDesc),
    /// Reductions over outer axes.
    Columns(columns::ColumnsDesc),
    /// Maps, row reductions, softmax, normalisations.
    Rows(rows::RowsDesc),
}

/// Makes the code of a kernel.
///
/// # Errors
/// [`EmitError::Unsupported`] if the descriptor is inconsistent or beyond what kernels do.
pub fn emit(desc: &KernelDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    let mut kernel = match desc {
        KernelDesc::Gemm(d) => gemm::emit(d, target)?,
        KernelDesc::Conv(d) => conv::emit(d, target)?,
        KernelDesc::Winograd(d) => winograd::emit(d, target)?,
        KernelDesc::Ragged(d) => ragged::emit(d, target)?,
        KernelDesc::Window(d) => match depthwise::emit(d, target)? {
            Some(kernel) => kernel,
            None => window::emit(d, target)?,
        },
        KernelDesc::Gather(d) => gather::emit(d, target)?,
        KernelDesc::Matmul(d) => matmul::emit(d, target)?,
        KernelDesc::MatmulPack(d) => matmul::emit_pack(d, target)?,
        KernelDesc::Transpose(d) => transpose::emit(d, target)?,
        KernelDesc::Pack(d) => pack::emit(d, target)?,
        KernelDesc::Columns(d) => columns::emit(d, target)?,
        KernelDesc::Rows(d) => row_passes::emit(d, target)?,
    };
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    (desc, target).hash(&mut hash);
    kernel.name = format!("{}__{}__{:016x}", kernel.name, target.isa.name(), hash.finish());
    Ok(kernel)
}

/// FNV-1a: the same name on every host and in every version of the standard library.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Checks a descriptor's sizes: every product that becomes a byte offset must stay within 31 bits, as displacements and
/// immediates are.
pub(crate) fn check_size(what: &str, elements: &[usize]) -> Result<(), EmitError> {
    let bytes = elements.iter().try_fold(4usize, |product, &e| product.checked_mul(e));
    match bytes {
        Some(b) if b <= i32::MAX as usize => Ok(()),
        _ => Err(EmitError::Unsupported(format!("{what} of {elements:?} elements"))),
    }
}
