//! What a kernel does, in numbers and in a line of text: for profiles and for the choice between kernels.

use super::KernelDesc;
use super::conv::ConvDesc;
use super::gemm::GemmDesc;
use super::ragged::RaggedDesc;
use super::rows::{Dim, RowsDesc};
use super::window::{WindowDesc, WindowOp};
use super::winograd::WinogradDesc;
use std::fmt;

impl KernelDesc {
    /// Multiply-adds of the direct algorithm in one call, padding taps included; none where sizes are not known or the kernel
    /// does no multiply-adds that the field counts (maps, reductions, packing).
    pub fn multiply_adds(&self) -> Option<u64> {
        let count = |sizes: &[usize]| sizes.iter().map(|&n| n as u64).product();
        match self {
            KernelDesc::Gemm(d) => Some(count(&[d.m?, d.n, d.k])),
            KernelDesc::Conv(d) | KernelDesc::Ragged(RaggedDesc(d)) | KernelDesc::Winograd(WinogradDesc { conv: d, .. }) => {
                let ([h, w], [kh, kw]) = (d.window.output, d.window.kernel);
                Some(count(&[d.batch?, h, w, d.out_c, d.in_c / d.groups, kh, kw]))
            }
            KernelDesc::Window(WindowDesc { op: WindowOp::Depthwise, batch, window, channels, .. }) => {
                Some(count(&[(*batch)?, window.output[0], window.output[1], *channels, window.kernel[0], window.kernel[1]]))
            }
            KernelDesc::Matmul(d) => Some(count(&[d.dims.m?, d.dims.n?, d.dims.k?])),
            _ => None,
        }
    }
}

/// Multiply-adds per cycle: two pipes of eight lanes, however wide the vectors are.
pub(in crate::kernels) const FMAS: u64 = 16;
/// Elements per cycle through the rest of the kernels, and of weights that a product of one row reads.
const ELEMENTS: u64 = 4;

impl KernelDesc {
    /// Cycles of one call that computes so many units of work, roughly; none where sizes are not known.
    pub fn cycles(&self, units: Option<u64>) -> Option<u64> {
        let elements = |sizes: &[usize]| Some(sizes.iter().map(|&n| n as u64).product::<u64>() / ELEMENTS);
        match self {
            // A matrix by a vector is bound by the reading of the matrix.
            KernelDesc::Gemm(d) if d.m.is_some_and(|m| m < 4) => elements(&[d.n, d.k]),
            KernelDesc::Window(d) => {
                let [w, k] = [d.window.output, d.window.kernel];
                elements(&[d.batch?, w[0], w[1], d.channels, k[0], k[1]])
            }
            KernelDesc::Gather(d) => elements(&[d.rows[0], d.rows[1], d.cols.next_multiple_of(16), d.loads]),
            KernelDesc::Transpose(d) => elements(&[d.rows, d.cols]),
            KernelDesc::Pack(d) => elements(&[d.gemm.k, d.gemm.n]),
            KernelDesc::Columns(d) => elements(&[d.rows?, d.cols]),
            KernelDesc::Rows(RowsDesc { cols: Dim::Known(cols), passes, .. }) => {
                elements(&[units? as usize, *cols, passes.len()])
            }
            KernelDesc::MatmulPack(_) | KernelDesc::Rows(_) => None,
            _ => self.multiply_adds().map(|n| n / FMAS),
        }
    }
}

impl KernelDesc {
    /// What is computed, whatever the algorithm and the tiles, where these can be chosen: `conv 3x3/1 64x56x56 -> 64 add_max`.
    pub fn problem(&self) -> Option<String> {
        match self {
            KernelDesc::Gemm(_) | KernelDesc::Conv(_) => Some(self.to_string()),
            KernelDesc::Ragged(d) => Some(KernelDesc::Conv(d.0.clone()).to_string()),
            KernelDesc::Winograd(d) => Some(KernelDesc::Conv(d.conv.clone()).to_string()),
            _ => None,
        }
    }
}

/// A size, or `?` where it is known only at run time.
struct Size(Option<usize>);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(n) => write!(f, "{n}"),
            None => f.write_str("?"),
        }
    }
}

impl fmt::Display for KernelDesc {
    /// The kind of kernel and its sizes: `conv 3x3/2 64x56x56 -> 128`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KernelDesc::Gemm(GemmDesc { m, n, k, epilogue, .. }) => {
                write!(f, "gemm {}x{n}x{k}{}", Size(*m), Label(epilogue.expr.label()))
            }
            KernelDesc::Conv(d) => write_conv(f, d),
            KernelDesc::Ragged(d) => {
                f.write_str("ragged ")?;
                write_conv(f, &d.0)
            }
            KernelDesc::Winograd(d) => {
                write!(f, "winograd {0}x{0} ", d.tile)?;
                write_conv(f, &d.conv)
            }
            KernelDesc::Window(d) => {
                let (w, name) = (&d.window, format!("{:?}", d.op).to_lowercase());
                let [[kh, kw], [h, wd]] = [w.kernel, w.image];
                write!(f, "{name} {kh}x{kw}/{} {}x{h}x{wd}{}", w.stride[0], d.channels, Label(d.epilogue.expr.label()))
            }
            KernelDesc::Matmul(d) => write!(f, "matmul {}x{}x{}", Size(d.dims.m), Size(d.dims.n), Size(d.dims.k)),
            KernelDesc::MatmulPack(d) => write!(f, "matmul pack {}x{}", Size(d.dims.k), Size(d.dims.n)),
            KernelDesc::Gather(d) => write!(f, "gather {}x{} rows of {}, {} loads", d.rows[0], d.rows[1], d.cols, d.loads),
            KernelDesc::Transpose(d) => write!(f, "transpose {}x{}", d.rows, d.cols),
            KernelDesc::Pack(d) => write!(f, "pack {}x{}", d.gemm.k, d.gemm.n),
            KernelDesc::Columns(d) => write!(f, "columns {}x{}", Size(d.rows), d.cols),
            KernelDesc::Rows(d) => write!(f, "rows of {:?} in {} passes, {} inputs", d.cols, d.passes.len(), d.inputs.len()),
        }
    }
}

/// The name of an epilogue, after a space.
struct Label(String);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " {}", self.0) }
    }
}

fn write_conv(f: &mut fmt::Formatter<'_>, d: &ConvDesc) -> fmt::Result {
    let w = &d.window;
    let [[kh, kw], [h, wd]] = [w.kernel, w.image];
    write!(f, "conv {kh}x{kw}/{} {}x{h}x{wd} -> {}", w.stride[0], d.in_c, d.out_c)?;
    if w.dilation != [1, 1] {
        write!(f, " dilation {}", w.dilation[0])?;
    }
    if d.groups > 1 {
        write!(f, " in {} groups", d.groups)?;
    }
    write!(f, "{}", Label(d.epilogue.expr.label()))
}
