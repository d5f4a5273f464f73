//! How products and convolutions are computed, where that was measured and cost models need not guess.

use kiln_kernels::kernels::KernelDesc;
use std::collections::BTreeMap;

/// How one product or convolution is computed; what is not said, cost models choose.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Choice {
    /// Vectors of columns of a panel.
    pub panel: Option<usize>,
    /// Output points along each axis of the tiles of Winograd's algorithm; 1 is the definition. Not for strict numerics.
    pub winograd: Option<usize>,
}

/// How all are computed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Choices {
    /// By what is computed ([`KernelDesc::problem`]).
    pub known: BTreeMap<String, Choice>,
    /// For all others.
    pub other: Choice,
}

impl Choices {
    /// How the kernel's problem is to be computed.
    pub fn of(&self, desc: &KernelDesc) -> Choice {
        let known = desc.problem().and_then(|problem| self.known.get(&problem));
        known.copied().unwrap_or(self.other)
    }
}
