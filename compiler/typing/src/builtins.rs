//! Names that mean the same in every unit, and names of PyTorch's Python modules as operators.

use crate::constants::dtype_code;

/// Forms with rules of their own, by the name a call uses.
const SPECIALS: &[&str] = &[
    "annotate",
    "unchecked_cast",
    "uninitialized",
    "isinstance",
    "getattr",
    "hasattr",
    "print",
    "range",
    "enumerate",
    "zip",
    "len",
    "list",
    "tuple",
    "dict",
    "int",
    "float",
    "bool",
    "str",
    "complex",
    "fork",
    "awaitable",
    "wait",
    "rangelist",
    "reversed",
    "type",
];

/// Functions of Python that are operators.
const FUNCTIONS: &[(&str, &str)] = &[
    ("min", "prim::min"),
    ("max", "prim::max"),
    ("abs", "prim::abs"),
    ("all", "aten::all"),
    ("any", "aten::any"),
    ("sum", "aten::sum"),
    ("sorted", "aten::sorted"),
    ("round", "aten::round"),
    ("pow", "aten::pow"),
    ("divmod", "aten::divmod"),
    ("ord", "aten::ord"),
    ("chr", "aten::chr"),
    ("hex", "aten::hex"),
    ("oct", "aten::oct"),
    ("bin", "aten::bin"),
    ("hash", "aten::hash"),
    ("id", "prim::id"),
];

const EXCEPTIONS: &[&str] = &[
    "Exception",
    "RuntimeError",
    "ValueError",
    "TypeError",
    "AssertionError",
    "IndexError",
    "KeyError",
    "NotImplementedError",
    "AttributeError",
    "ArithmeticError",
    "ZeroDivisionError",
    "OverflowError",
    "LookupError",
    "StopIteration",
];

/// A form by name.
pub(crate) fn special(name: &str) -> Option<&'static str> {
    SPECIALS.iter().chain(EXCEPTIONS).find(|s| **s == name).copied()
}

/// The operator of a Python function.
pub(crate) fn function(name: &str) -> Option<&'static str> {
    FUNCTIONS.iter().find(|(n, _)| *n == name).map(|(_, op)| *op)
}

pub(crate) fn is_exception(name: &str) -> bool {
    EXCEPTIONS.contains(&name)
}

/// What `torch.<path>` is in a source file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TorchName {
    Operator(String),
    Special(&'static str),
    NoContext,
}

/// Functions of `torch.nn.functional` that take the arguments of the operator of the same name, in its order
/// (keyword `input` being `self`). Any other has a body of its own in PyTorch.
const FUNCTIONAL: &[&str] = &[
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "bilinear",
    "celu",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_similarity",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "layer_norm",
    "leaky_relu",
    "linear",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softshrink",
    "tanh",
];

/// The meaning of a dotted name below `torch`.
pub(crate) fn torch_name(path: &str) -> Option<TorchName> {
    let operator = |name: String| (!kiln_ops::table().overloads(&name).is_empty()).then_some(TorchName::Operator(name));
    if let Some(special) = torch_special(path) {
        return Some(special);
    }
    let (module, name) = path.rsplit_once('.').unwrap_or(("", path));
    match module {
        "" | "_C" | "_C._nn" | "_VF" | "functional" | "Tensor" => operator(format!("aten::{name}")),
        "linalg" | "_C._linalg" => operator(format!("aten::linalg_{}", name.trim_start_matches("linalg_"))),
        "special" | "_C._special" => operator(format!("aten::special_{}", name.trim_start_matches("special_"))),
        "fft" | "_C._fft" => operator(format!("aten::fft_{}", name.trim_start_matches("fft_"))),
        "nn.functional" if FUNCTIONAL.contains(&name) => operator(format!("aten::{name}")),
        "nn.functional" if name == "logsigmoid" => operator("aten::log_sigmoid".into()),
        _ => None,
    }
}

fn torch_special(path: &str) -> Option<TorchName> {
    Some(match path {
        "jit.annotate" => TorchName::Special("annotate"),
        "jit.isinstance" => TorchName::Special("isinstance"),
        "jit.is_scripting" => TorchName::Special("is_scripting"),
        "jit.is_tracing" | "compiler.is_compiling" | "onnx.is_in_onnx_export" | "overrides.has_torch_function" => {
            TorchName::Special("never")
        }
        // Their second positional argument but one is none of the operator's.
        "nn.functional.softmax" => TorchName::Special("functional_softmax"),
        "nn.functional.log_softmax" => TorchName::Special("functional_log_softmax"),
        "jit.fork" => TorchName::Special("fork"),
        "jit.wait" => TorchName::Special("wait"),
        "jit._unwrap_optional" => TorchName::Operator("aten::_unwrap_optional".into()),
        "no_grad" | "inference_mode" | "enable_grad" | "autograd.profiler.record_function" | "profiler.record_function" => {
            TorchName::NoContext
        }
        _ => return None,
    })
}

/// The operator of a function of `math`.
pub(crate) fn math_name(name: &str) -> Option<String> {
    let name = match name {
        "fabs" => "fabs",
        "trunc" | "hypot" | "perm" | "comb" => return None,
        _ => name,
    };
    let operator = format!("aten::{name}");
    (!kiln_ops::table().overloads(&operator).is_empty()).then_some(operator)
}

/// `x.long()` and the like: the dtype it casts to.
pub(crate) fn tensor_cast(name: &str) -> Option<i64> {
    match name {
        "byte" => dtype_code("uint8"),
        "char" => dtype_code("int8"),
        "bool" | "short" | "int" | "long" | "half" | "float" | "double" | "bfloat16" | "cfloat" | "cdouble" => dtype_code(name),
        _ => None,
    }
}

/// Properties of tensors: the operator that reads each.
pub(crate) fn tensor_property(name: &str) -> Option<&'static str> {
    Some(match name {
        "dtype" => "prim::dtype",
        "device" => "prim::device",
        "grad" => "prim::grad",
        "data" => "prim::data",
        "shape" => "aten::size",
        "is_cuda" => "prim::is_cuda",
        "is_cpu" => "prim::is_cpu",
        "is_xpu" => "prim::is_xpu",
        "is_sparse" => "prim::is_sparse",
        "is_sparse_csr" => "prim::is_sparse_csr",
        "is_mkldnn" => "prim::is_mkldnn",
        "is_mps" => "prim::is_mps",
        "is_quantized" => "prim::is_quantized",
        "is_vulkan" => "prim::is_vulkan",
        "is_ipu" => "prim::is_ipu",
        "is_meta" => "prim::is_meta",
        "is_nested" => "prim::is_nested",
        "is_leaf" => "aten::is_leaf",
        "requires_grad" => "prim::requires_grad",
        "layout" => "prim::layout",
        "T" => "aten::numpy_T",
        "mT" => "aten::mT",
        "H" => "aten::matrix_H",
        "mH" => "aten::mH",
        "ndim" => "aten::dim",
        "name" => "prim::name",
        "itemsize" => "prim::itemsize",
        "nbytes" => "prim::nbytes",
        "real" => "aten::real",
        "imag" => "aten::imag",
        "retains_grad" => "aten::retains_grad",
        "output_nr" => "aten::output_nr",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_operators_of_the_table() {
        for (_, name) in FUNCTIONS {
            assert!(!kiln_ops::table().overloads(name).is_empty(), "{name}");
        }
        for name in FUNCTIONAL {
            assert!(torch_name(&format!("nn.functional.{name}")).is_some(), "{name}");
        }
        assert_eq!(torch_name("linalg.norm"), Some(TorchName::Operator("aten::linalg_norm".into())));
    }
}
