//! Which computations are done by vector kernels.

use crate::lower::{Lowering, R};
use crate::source::Built;
use kiln_graph::{Graph, Node};
use kiln_loops::plan::Operand;

/// A vector kernel.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum KernelDesc {}

/// What kernels are chosen for.
#[derive(Clone, Debug, Default)]
pub struct TargetDesc {}

/// Whether a node's kernel reads an operand as memory.
pub fn needs_memory(_graph: &Graph, _node: Node, _arg: usize) -> bool {
    false
}

/// Emits a kernel call for a computation, if there is a kernel for it.
pub fn select(_cx: &mut Lowering, _node: Node, _built: &Built, _outputs: &[Operand]) -> R<bool> {
    Ok(false)
}
