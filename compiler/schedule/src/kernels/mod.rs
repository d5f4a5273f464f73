//! Which computations are done by vector kernels, and with what descriptor.
//!
//! Kernels are chosen for what a computation *is* once fusion is done, not for the operators it was made from: a sum of
//! products whose addresses are sums of strides is a matrix product, whoever wrote it, and takes in whatever is
//! computed from the sum. [`select`] tries the families in turn; what none takes stays a loop nest.

mod affine;
mod call;
pub mod choices;
mod columns;
mod contraction;
mod elements;
mod gather;
mod map;
mod pointwise;
mod rewrites;
mod rows;
mod streams;
mod transpose;
mod vector_expr;
mod window;

pub use affine::is_affine;
pub use contraction::{is_product, is_product_in_place};

use crate::lower::{Lowering, R, Shared};
use crate::source::Built;
use kiln_kernels::kernels::{Kernel, KernelDesc};
use kiln_loops::plan::{KernelId, Operand};
use kiln_loops::{ExprData, Extent};

/// A vector kernel of a plan: what it is, and its code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scheduled {
    /// What it computes.
    pub desc: KernelDesc,
    /// Its code and arguments.
    pub kernel: Kernel,
}

/// What scheduling needs to know of the target.
#[derive(Clone, Copy, Default, Debug)]
pub struct TargetDesc {
    /// The vector ISA that kernels are made for; none where the CPU has none that kernels use.
    pub vector: Option<kiln_kernels::target::TargetDesc>,
    /// How code is to compute.
    pub settings: Settings,
}

/// How code is to compute, whatever it is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Every operation of a definition is rounded by itself, in its order, as far as vector kernels go: no algorithm that adds other terms, such as Winograd's,
    /// and [`kiln_kernels::isa::Arithmetic::strict`] code.
    pub strict: bool,
    /// The most threads that a call may use, 0 for one on each processor. Code for more than one is the same for any number.
    pub threads: u32,
}

impl Settings {
    /// Whether code is made for several threads.
    pub fn is_parallel(&self) -> bool {
        self.threads != 1
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { strict: false, threads: 1 }
    }
}

/// Parts that the work of a kernel is divided into for several threads: enough that up to eight are kept busy, whatever else they
/// do, and that few wait for the last part. It does not depend on how many there are, so results do not, either.
pub const UNITS: usize = 16;

impl Shared {
    /// The number of a kernel in the plan.
    pub fn kernel(&mut self, kernel: Scheduled) -> KernelId {
        // Variants give kernels that differ in nothing but what they might have used other names.
        let is_same = |k: &Kernel| k.code == kernel.kernel.code && k.args == kernel.kernel.args;
        let known = self.kernels.iter().find(|(_, k)| is_same(&k.kernel)).map(|(id, _)| id);
        known.unwrap_or_else(|| self.kernels.push(kernel))
    }
}

/// Emits a kernel call for a computation, if there is a kernel for it.
pub fn select(cx: &mut Lowering, built: &Built, outputs: &[Operand]) -> R<bool> {
    let compute = &built.compute;
    let is_empty = compute.axes.contains(&Extent::Const(0));
    if cx.shared.target.vector.is_none()
        || is_empty
        || compute.outputs.iter().any(|o| elements::output_element(o.dtype).is_none())
    {
        return Ok(false);
    }
    let has_reduction = compute.roots().iter().any(|&root| compute.any(root, &mut |d| matches!(d, ExprData::Reduce { .. })));
    if !has_reduction {
        return pointwise::select(cx, built, outputs);
    }
    let [output] = outputs else { return Ok(false) };
    for family in [window::select, contraction::select, rows::select, columns::select] {
        if family(cx, built, *output)? {
            return Ok(true);
        }
    }
    Ok(false)
}
