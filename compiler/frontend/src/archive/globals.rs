//! The names that a pickle may refer to. Everything else is an error that says the name.
//!
//! Source: `readGlobal` in torch/csrc/jit/serialization/unpickler.cpp, and what `torch.save` writes for a state_dict.

use super::broken;
use kiln_support::{DType, Diagnostic};

/// What a `GLOBAL` stands for.
#[derive(Clone, PartialEq, Debug)]
pub enum Global {
    /// A class of the archive's code, or a custom class, by qualified name.
    Class(String),
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch.FloatStorage` and its like.
    Storage(ElementType),
    /// `torch.float32` and its like.
    DType(ElementType),
    /// `torch.per_tensor_affine` and its like, by name.
    QScheme(&'static str),
    /// A function that makes a tensor.
    Rebuild(Rebuild),
    /// `torch.jit._pickle.build_intlist` and its like: the type of the list.
    TypedList(&'static str),
    /// `torch.jit._pickle.restore_type_tag`.
    RestoreTypeTag,
    /// `torch.device`.
    Device,
    /// `torch.Size`: a tuple.
    Size,
    /// `builtins.complex`.
    Complex,
    /// `torch.Tensor`, the type argument of `_rebuild_from_type_v2`.
    TensorClass,
}

/// The element type of a storage: kiln's, or the name of one kiln has not.
pub type ElementType = Result<DType, &'static str>;

/// The functions that make tensors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rebuild {
    /// `torch._utils._rebuild_tensor(storage, offset, size, stride)`.
    Plain,
    /// `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`.
    V2,
    /// `torch._utils._rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])`.
    V3,
    /// `torch._utils._rebuild_qtensor(storage, offset, size, stride, quantizer, requires_grad, hooks)`.
    Quantized,
    /// `torch._utils._rebuild_parameter(data, requires_grad, hooks)`, also `_with_state`.
    Parameter,
    /// `torch._tensor._rebuild_from_type_v2(function, type, args, state)`.
    FromType,
    /// A sparse or otherwise unsupported tensor: what it is.
    Unsupported(&'static str),
}

/// Looks up `module.name`; `is_class` knows the classes of the archive.
pub fn resolve(module: &str, name: &str, is_class: &dyn Fn(&str) -> bool) -> Result<Global, Diagnostic> {
    let found = match module {
        "collections" => (name == "OrderedDict").then_some(Global::OrderedDict),
        "builtins" | "__builtin__" => (name == "complex").then_some(Global::Complex),
        "torch" => torch_global(name),
        "torch.storage" => (name == "UntypedStorage").then_some(Global::Storage(Err("of untyped storage"))),
        "torch._utils" => rebuild_function(name).map(Global::Rebuild),
        "torch._tensor" => (name == "_rebuild_from_type_v2").then_some(Global::Rebuild(Rebuild::FromType)),
        "torch.jit._pickle" => pickle_function(name)?,
        "__main__" if matches!(name, "TensorID" | "IntList") => return Err(too_old()),
        _ if module == "__torch__" || module.starts_with("__torch__.") => return class(module, name, is_class),
        _ => None,
    };
    found.ok_or_else(|| {
        broken(format!("it refers to `{module}.{name}`, which has no place in a TorchScript archive"))
            .help("do not load this file with Python unless you trust its source; save the model again with `torch.jit.save`")
    })
}

fn class(module: &str, name: &str, is_class: &dyn Fn(&str) -> bool) -> Result<Global, Diagnostic> {
    let qualified = format!("{module}.{name}");
    if is_class(&qualified) {
        return Ok(Global::Class(qualified));
    }
    Err(broken(format!("it has an object of class `{qualified}`, which the archive's code does not define")))
}

fn too_old() -> Diagnostic {
    broken("it was written by a PyTorch older than 1.4, whose format kiln does not read")
        .help("load it with a PyTorch of today and save it again with `torch.jit.save`")
}

fn pickle_function(name: &str) -> Result<Option<Global>, Diagnostic> {
    Ok(Some(match name {
        "build_intlist" => Global::TypedList("List[int]"),
        "build_doublelist" => Global::TypedList("List[float]"),
        "build_boollist" => Global::TypedList("List[bool]"),
        "build_tensorlist" => Global::TypedList("List[Tensor]"),
        "restore_type_tag" => Global::RestoreTypeTag,
        "build_tensor_from_id" => return Err(too_old()),
        _ => return Ok(None),
    }))
}

fn rebuild_function(name: &str) -> Option<Rebuild> {
    Some(match name {
        "_rebuild_tensor" => Rebuild::Plain,
        "_rebuild_tensor_v2" => Rebuild::V2,
        "_rebuild_tensor_v3" => Rebuild::V3,
        "_rebuild_qtensor" => Rebuild::Quantized,
        "_rebuild_parameter" | "_rebuild_parameter_with_state" => Rebuild::Parameter,
        "_rebuild_sparse_tensor" => Rebuild::Unsupported("a sparse tensor"),
        "_rebuild_nested_tensor" => Rebuild::Unsupported("a nested tensor"),
        "_rebuild_meta_tensor_no_storage" => Rebuild::Unsupported("a tensor without data (of device `meta`)"),
        _ => return None,
    })
}

fn torch_global(name: &str) -> Option<Global> {
    Some(match name {
        "device" => Global::Device,
        "Size" => Global::Size,
        "Tensor" => Global::TensorClass,
        "per_tensor_affine" => Global::QScheme("per_tensor_affine"),
        "per_channel_affine" => Global::QScheme("per_channel_affine"),
        "per_channel_affine_float_qparams" => Global::QScheme("per_channel_affine_float_qparams"),
        "per_tensor_symmetric" => Global::QScheme("per_tensor_symmetric"),
        "per_channel_symmetric" => Global::QScheme("per_channel_symmetric"),
        _ => {
            if let Some(scalar) = name.strip_suffix("Storage") {
                return storage_type(scalar).map(Global::Storage);
            }
            return dtype(name).map(Global::DType);
        }
    })
}

fn storage_type(scalar: &str) -> Option<ElementType> {
    if let Some(dtype) = DType::ALL.into_iter().find(|dtype| dtype.scalar_type_name() == scalar) {
        return Some(Ok(dtype));
    }
    Some(Err(match scalar {
        "ComplexHalf" => "of dtype complex32",
        "ComplexFloat" => "of dtype complex64",
        "ComplexDouble" => "of dtype complex128",
        "QUInt4x2" => "of dtype quint4x2",
        "QUInt2x4" => "of dtype quint2x4",
        "Untyped" => "of untyped storage",
        _ => return None,
    }))
}

fn dtype(name: &str) -> Option<ElementType> {
    if let Some(dtype) = DType::ALL.into_iter().find(|dtype| dtype.torch_name() == name) {
        return Some(Ok(dtype));
    }
    const OTHERS: [&str; 12] = [
        "uint16",
        "uint32",
        "uint64",
        "complex32",
        "complex64",
        "complex128",
        "quint4x2",
        "quint2x4",
        "float8_e5m2",
        "float8_e4m3fn",
        "float8_e5m2fnuz",
        "float8_e4m3fnuz",
    ];
    OTHERS.into_iter().find(|other| *other == name).map(Err)
}
