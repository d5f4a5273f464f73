//! What operators of `aten` do with quantized tensors.
//!
//! PyTorch has kernels of their own for some operators; the rest raise. An operator that only moves or chooses elements is
//! computed on the integers, any other has a decomposition of its own.

use std::collections::HashMap;
use std::sync::OnceLock;

/// How an operator takes quantized tensors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// On the integers; results stand for numbers as the first tensor does.
    Integers,
    /// By an internal operator, which has a decomposition.
    Decomposed(&'static str),
}

use Behaviour::{Decomposed, Integers};

/// Every operator that takes quantized tensors, but for views and `quantized::*`.
const OPERATORS: &[(&str, Behaviour)] = &[
    ("aten::clone", Integers),
    ("aten::contiguous", Integers),
    ("aten::flip", Integers),
    ("aten::index_select", Integers),
    ("aten::max_pool1d", Integers),
    ("aten::max_pool2d", Integers),
    ("aten::max_pool3d", Integers),
    ("aten::repeat", Integers),
    ("aten::reshape", Integers),
    ("aten::roll", Integers),
    ("aten::stack", Integers),
    ("aten::cat", Integers),
    ("aten::channel_shuffle", Integers),
    ("aten::upsample_nearest2d.vec", Integers),
    ("aten::upsample_nearest2d", Integers),
    ("aten::topk", Integers),
    ("aten::sort", Integers),
    ("aten::max.dim", Integers),
    ("aten::min.dim", Integers),
    ("aten::max", Integers),
    ("aten::min", Integers),
    ("aten::relu", Decomposed("kiln::quantized_relu")),
    ("aten::clamp", Decomposed("kiln::quantized_clamp")),
    ("aten::hardtanh", Decomposed("kiln::quantized_clamp")),
    ("aten::sigmoid", Decomposed("kiln::quantized_sigmoid")),
    ("aten::tanh", Decomposed("kiln::quantized_tanh")),
    ("aten::hardsigmoid", Decomposed("kiln::quantized_hardsigmoid")),
    ("aten::leaky_relu", Decomposed("kiln::quantized_leaky_relu")),
    ("aten::mean.dim", Decomposed("kiln::quantized_mean")),
    ("aten::avg_pool2d", Decomposed("kiln::quantized_avg_pool2d")),
    ("aten::adaptive_avg_pool2d", Decomposed("kiln::quantized_adaptive_avg_pool2d")),
    ("aten::upsample_bilinear2d.vec", Decomposed("kiln::quantized_upsample_bilinear2d")),
];

/// How an operator takes quantized tensors, if it does.
pub fn behaviour(key: &str) -> Option<Behaviour> {
    static INDEX: OnceLock<HashMap<&'static str, Behaviour>> = OnceLock::new();
    INDEX.get_or_init(|| OPERATORS.iter().copied().collect()).get(key).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_and_their_decompositions_exist() {
        for (key, behaviour) in OPERATORS {
            assert!(crate::table().find(key).is_some(), "no operator `{key}`");
            if let Decomposed(internal) = behaviour {
                let (own, inner) = (crate::table().get(key), crate::table().get(internal));
                let (own, inner) = (crate::table().schema(own), crate::table().schema(inner));
                assert_eq!(own.args.len(), inner.args.len(), "`{internal}` takes the arguments of `{key}`");
                assert!(crate::prelude::find(internal).is_some(), "no decomposition of `{internal}`");
            }
        }
    }
}
