//! The functions with which a pickle makes tensors (torch/_utils.py), as checked descriptions.

use super::broken;
use super::globals::{Global, Rebuild};
use super::pickle::{Node, NodeId, Nodes, StorageSource};
use crate::model::{Quant, StorageId, TensorItem};
use kiln_support::{DType, Diagnostic};

/// Most dimensions that a tensor may have.
const MAX_RANK: usize = 64;

/// Makes the tensor that `function` makes of the tuple `argument`: a tensor, or an unsupported value.
pub fn rebuild(function: Rebuild, argument: NodeId, nodes: &Nodes, storages: &dyn StorageSource) -> Result<Node, Diagnostic> {
    let arguments = nodes.tuple(argument)?;
    match (function, arguments) {
        (Rebuild::Unsupported(what), _) => Ok(Node::Unsupported(what.into())),
        (Rebuild::Parameter, [data, requires_grad, ..]) => parameter(*data, *requires_grad, nodes),
        (Rebuild::FromType, [callee, _, arguments, _]) => match &nodes.arena[*callee] {
            // One level only, as in `rebuildTensorFromTypeV2`: a second would be recursion.
            Node::Global(Global::Rebuild(inner)) if *inner != Rebuild::FromType => rebuild(*inner, *arguments, nodes, storages),
            _ => Err(broken("a tensor is made by what is not a function for tensors")),
        },
        (Rebuild::Quantized, [storage, offset, sizes, strides, quantizer, requires_grad, ..]) => {
            let view = View { storage: *storage, offset: *offset, sizes: *sizes, strides: *strides };
            quantized(&view, *quantizer, *requires_grad, nodes, storages)
        }
        (Rebuild::Plain | Rebuild::V2 | Rebuild::V3, [storage, offset, sizes, strides, rest @ ..]) => {
            let view = View { storage: *storage, offset: *offset, sizes: *sizes, strides: *strides };
            plain(&view, function, rest, nodes, storages)
        }
        _ => Err(broken("a tensor is made with too few arguments")),
    }
}

/// The arguments that all tensors have.
struct View {
    storage: NodeId,
    offset: NodeId,
    sizes: NodeId,
    strides: NodeId,
}

/// `rest` is `requires_grad, hooks[, metadata]`, with the dtype before the metadata for `V3`.
fn plain(
    view: &View,
    function: Rebuild,
    rest: &[NodeId],
    nodes: &Nodes,
    storages: &dyn StorageSource,
) -> Result<Node, Diagnostic> {
    let Node::Storage(storage, mut element) = nodes.arena[view.storage] else {
        return Err(broken("a tensor has no storage"));
    };
    let mut metadata = rest.get(2);
    if function == Rebuild::V3 {
        match metadata.map(|id| &nodes.arena[*id]) {
            Some(Node::Global(Global::DType(dtype))) => element = *dtype,
            _ => return Err(broken("a tensor has no dtype")),
        }
        metadata = rest.get(3);
    }
    let dtype = match element {
        Ok(dtype) => dtype,
        Err(what) => return Ok(Node::Unsupported(format!("a tensor {what}"))),
    };
    if dtype.is_quantized() {
        return Err(broken("a quantized tensor has no scale"));
    }
    if metadata.is_some_and(|id| has_lazy_bits(*id, nodes)) {
        return Ok(Node::Unsupported("a tensor that is conjugated or negated when it is read".into()));
    }
    let requires_grad = rest.first().is_some_and(|id| matches!(nodes.arena[*id], Node::Bool(true)));
    Ok(Node::Tensor(Box::new(tensor(view, storage, dtype, requires_grad, None, nodes, storages)?)))
}

/// Whether the metadata dict sets a bit (`conj`, `neg`) that changes the values.
fn has_lazy_bits(metadata: NodeId, nodes: &Nodes) -> bool {
    match &nodes.arena[metadata] {
        Node::Dict(items, _) => items.iter().any(|(_, value)| matches!(nodes.arena[*value], Node::Bool(true))),
        _ => false,
    }
}

fn parameter(data: NodeId, requires_grad: NodeId, nodes: &Nodes) -> Result<Node, Diagnostic> {
    match &nodes.arena[data] {
        Node::Tensor(tensor) => {
            let mut tensor = tensor.clone();
            tensor.requires_grad = matches!(nodes.arena[requires_grad], Node::Bool(true));
            Ok(Node::Tensor(tensor))
        }
        Node::Unsupported(what) => Ok(Node::Unsupported(what.clone())),
        _ => Err(broken("a parameter is not made of a tensor")),
    }
}

fn quantized(
    view: &View,
    quantizer: NodeId,
    requires_grad: NodeId,
    nodes: &Nodes,
    storages: &dyn StorageSource,
) -> Result<Node, Diagnostic> {
    let Node::Storage(storage, element) = nodes.arena[view.storage] else {
        return Err(broken("a tensor has no storage"));
    };
    let dtype = match element {
        Ok(dtype) if dtype.is_quantized() => dtype,
        Ok(dtype) => return Err(broken(format!("a quantized tensor has elements of type {dtype}"))),
        Err(what) => return Ok(Node::Unsupported(format!("a tensor {what}"))),
    };
    let requires_grad = matches!(nodes.arena[requires_grad], Node::Bool(true));
    let mut tensor = tensor(view, storage, dtype, requires_grad, None, nodes, storages)?;
    tensor.quant = Some(quantizer_of(quantizer, &tensor.sizes, nodes)?);
    Ok(Node::Tensor(Box::new(tensor)))
}

/// `(scheme, scale, zero point)` or `(scheme, scales, zero points, axis)`.
fn quantizer_of(id: NodeId, sizes: &[i64], nodes: &Nodes) -> Result<Quant, Diagnostic> {
    let parts = nodes.tuple(id)?;
    let scheme = match parts.first().map(|id| &nodes.arena[*id]) {
        Some(Node::Global(Global::QScheme(scheme))) => *scheme,
        _ => return Err(broken("a quantized tensor has no scheme")),
    };
    match (scheme, parts) {
        ("per_tensor_affine", [_, scale, zero_point]) => match nodes.arena[*scale] {
            Node::Float(scale) => Ok(Quant::PerTensor { scale, zero_point: nodes.int(*zero_point)? }),
            _ => Err(broken("a quantized tensor's scale is not a float")),
        },
        ("per_channel_affine" | "per_channel_affine_float_qparams", [_, scales, zero_points, axis]) => {
            let axis = nodes.int(*axis)?;
            let channels = usize::try_from(axis).ok().and_then(|axis| sizes.get(axis)).copied();
            let channels = channels.ok_or_else(|| broken(format!("a quantized tensor has no axis {axis}")))?;
            let scales = channel_values(*scales, channels, nodes)?;
            let zero_points = channel_values(*zero_points, channels, nodes)?;
            Ok(Quant::PerChannel { scales, zero_points, axis })
        }
        _ => Err(broken(format!("a quantized tensor's scheme `{scheme}` is not one that PyTorch writes"))),
    }
}

fn channel_values(id: NodeId, channels: i64, nodes: &Nodes) -> Result<Box<TensorItem>, Diagnostic> {
    match &nodes.arena[id] {
        Node::Tensor(tensor) if tensor.quant.is_none() && tensor.sizes.iter().product::<i64>() == channels => Ok(tensor.clone()),
        _ => Err(broken("a quantized tensor has not one scale and zero point for each channel")),
    }
}

fn tensor(
    view: &View,
    storage: StorageId,
    dtype: DType,
    requires_grad: bool,
    quant: Option<Quant>,
    nodes: &Nodes,
    storages: &dyn StorageSource,
) -> Result<TensorItem, Diagnostic> {
    let sizes = ints(view.sizes, nodes)?;
    let strides = ints(view.strides, nodes)?;
    let offset = nodes.int(view.offset)?;
    let available = storages.size(storage) / dtype.size();
    check_window(offset, &sizes, &strides, available)?;
    Ok(TensorItem { storage, dtype, offset, sizes, strides, requires_grad, quant })
}

fn ints(id: NodeId, nodes: &Nodes) -> Result<Vec<i64>, Diagnostic> {
    let items = nodes.tuple(id)?;
    if items.len() > MAX_RANK {
        return Err(broken(format!("a tensor has {} dimensions", items.len())));
    }
    items.iter().map(|item| nodes.int(*item)).collect()
}

/// Checks that every element of the window lies in a storage of `available` elements, and that the number of
/// elements fits 64 bits (a stride of 0 repeats elements at no cost).
fn check_window(offset: i64, sizes: &[i64], strides: &[i64], available: usize) -> Result<(), Diagnostic> {
    let negative = |values: &[i64]| values.iter().any(|value| *value < 0);
    if offset < 0 || negative(sizes) || negative(strides) || sizes.len() != strides.len() {
        return Err(broken("a tensor has an impossible shape"));
    }
    let empty = sizes.contains(&0);
    let mut count = 1_i64;
    let mut last = i128::from(offset);
    for (&size, &stride) in sizes.iter().zip(strides) {
        count = count.checked_mul(size.max(1)).ok_or_else(|| broken("a tensor has too many elements"))?;
        last = last.saturating_add(i128::from(size - 1) * i128::from(stride));
    }
    if !empty && last >= available as i128 {
        return Err(broken(format!("a tensor needs {} elements of a storage that has {available}", last + 1)));
    }
    Ok(())
}
