//! Convolutions and pools over images become channels-last.
//!
//! PyTorch's images are `[batch, channels, height, width]`. With the channels last, every pixel is a
//! contiguous row: a convolution is a matrix product over rows, and vectors run over channels. Each
//! operator is wrapped in two permutes; [`crate::sink_permutes`] then moves them together until they cancel.

use crate::rewrite::{Rewriter, Rule, rewrite};
use kiln_graph::{Graph, Literal, NodeData, Op, TensorType, Type, Value};
use kiln_ops::table;
use kiln_support::DType;
use std::sync::Arc;

/// From channels first to channels last.
pub const TO_LAST: [i64; 4] = [0, 2, 3, 1];
/// From channels last to channels first.
pub const TO_FIRST: [i64; 4] = [0, 3, 1, 2];

/// Runs the pass.
pub fn assign_layout(graph: &Graph) -> Graph {
    rewrite(graph, &mut AssignLayout)
}

struct AssignLayout;

impl Rule for AssignLayout {
    fn apply(&mut self, rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Vec<Value>> {
        let Op::Table(op) = node.op else { return None };
        match table().key(op) {
            "aten::convolution" => convolution(rw, node, args).map(|v| vec![v]),
            "kiln::conv_int8" => integer_convolution(rw, node, args).map(|v| vec![v]),
            "aten::max_pool2d" => max_pool(rw, node, args).map(|v| vec![v]),
            _ => None,
        }
    }
}

/// A plain two-dimensional binary32 convolution.
fn convolution(rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Value> {
    let (image, weight) = (rw.facts(args[0])?.clone(), rw.facts(args[1])?.clone());
    let transposed = !matches!(rw.graph.as_const(args[6]), Some(Literal::Bool(false)));
    if transposed || image.rank() != 4 || weight.rank() != 4 || image.dtype != DType::F32 {
        return None;
    }
    channels_last(rw, "kiln::conv2d_nhwc", node, args)
}

/// A plain two-dimensional convolution of integers.
fn integer_convolution(rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Value> {
    let (image, weight) = (rw.facts(args[0])?.clone(), rw.facts(args[1])?.clone());
    let transposed = !matches!(rw.graph.as_const(args[6]), Some(Literal::Bool(false)));
    if transposed || image.rank() != 4 || weight.rank() != 4 {
        return None;
    }
    channels_last(rw, "kiln::conv2d_int8_nhwc", node, args)
}

/// A convolution with the arguments of `aten::convolution` as one over channels-last images.
fn channels_last(rw: &mut Rewriter, key: &str, node: &NodeData, args: &[Value]) -> Option<Value> {
    let out = rw.result_facts(node)?;
    let both = |rw: &Rewriter, value| rw.const_ints(value).map(|v| if v.len() == 1 { vec![v[0], v[0]] } else { v });
    let (stride, padding, dilation) = (both(rw, args[3])?, both(rw, args[4])?, both(rw, args[5])?);
    let last = permute(rw, args[0], &TO_LAST, node);
    let attributes = [rw.ints(&stride), rw.ints(&padding), rw.ints(&dilation)];
    let operands = vec![last, args[1], args[2], attributes[0], attributes[1], attributes[2], args[8]];
    let result = rw.table(key, operands, tensor(permuted(&out, &TO_LAST)), node);
    Some(permute(rw, result, &TO_FIRST, node))
}

/// A two-dimensional max pool of a batch of images.
fn max_pool(rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Value> {
    let (image, out) = (rw.facts(args[0])?.clone(), rw.result_facts(node)?);
    if image.rank() != 4 || !matches!(image.dtype, DType::F32 | DType::U8 | DType::I8) {
        return None;
    }
    let both = |rw: &Rewriter, value| rw.const_ints(value).map(|v| if v.len() == 1 { vec![v[0], v[0]] } else { v });
    let (kernel, padding, dilation) = (both(rw, args[1])?, both(rw, args[3])?, both(rw, args[4])?);
    // Without a stride, windows stand side by side.
    let stride = both(rw, args[2]).filter(|s| !s.is_empty()).unwrap_or_else(|| kernel.clone());
    let size: Option<Vec<i64>> = out.dims[2..].iter().map(|d| d.as_const()).collect();
    let size = size?;
    let last = permute(rw, args[0], &TO_LAST, node);
    let attributes = [rw.ints(&kernel), rw.ints(&stride), rw.ints(&padding), rw.ints(&dilation), rw.ints(&size)];
    let operands = [last].into_iter().chain(attributes).collect();
    let result = rw.table("kiln::max_pool2d_nhwc", operands, tensor(permuted(&out, &TO_LAST)), node);
    Some(permute(rw, result, &TO_FIRST, node))
}

/// `value` with its axes permuted.
pub fn permute(rw: &mut Rewriter, value: Value, order: &[i64], like: &NodeData) -> Value {
    let ty = permuted(rw.facts(value).expect("a tensor with facts"), order);
    let order = rw.ints(order);
    rw.table("aten::permute", vec![value, order], tensor(ty), like)
}

/// A type with its axes permuted.
pub fn permuted(ty: &TensorType, order: &[i64]) -> TensorType {
    TensorType { dtype: ty.dtype, dims: order.iter().map(|&axis| ty.dims[axis as usize]).collect() }
}

/// A tensor type with facts.
pub fn tensor(ty: TensorType) -> Type {
    Type::Tensor(Some(Arc::new(ty)))
}
