//! Convolution and pooling over channels-last images: `[batch, height, width, channels]`.
//!
//! The layout pass turns PyTorch's channels-first operators into these; vector kernels exist for them.

use super::linear::centred;
use crate::element::Element;
use crate::entry::{Body, Entry};
use crate::infer::{Infer, OpError};
use kiln_graph::{Dim, TensorType};
use kiln_loops::{BinaryOp, Expr, Kind, ReduceOp};
use kiln_support::DType;

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    Entry {
        key: "kiln::conv2d_nhwc",
        doc: "out[n, y, x, o] = bias[o] + sum over (i, r, s) of self[n, y*stride+r*dilation-padding, ..., i] * weight[o, i, r, s]; \
              the weight is PyTorch's [out, in / groups, height, width]",
        body: Body::Tensor {
            infer: |cx| {
                let dtype = cx.tensor(0).dtype;
                infer_conv(cx, dtype)
            },
            element: |e, _, index| conv(e, index, None),
        },
    },
    Entry {
        key: "kiln::conv2d_int8_nhwc",
        doc: "out[n, y, x, o] = sum over (i, r, s) of (self[n, y*stride+r*dilation-padding, ..., i] - zero_point) * weight[o, i, r, s], \
              in int32; the border counts as zero_point",
        body: Body::Tensor { infer: |cx| infer_conv(cx, DType::I32), element: |e, _, index| conv(e, index, Some(2)) },
    },
    Entry {
        key: "kiln::max_pool2d_nhwc",
        doc: "largest element of each window; the border does not count",
        body: Body::Tensor { infer: |cx| infer_pool(cx, 5), element: |e, _, index| max_pool(e, index) },
    },
    Entry {
        key: "kiln::avg_pool2d_nhwc",
        doc: "mean of each window; the divisor counts the border or not, or is given",
        body: Body::Tensor { infer: |cx| infer_pool(cx, 4), element: |e, _, index| avg_pool(e, index) },
    },
];

fn infer_conv(cx: &mut Infer, dtype: DType) -> Result<Vec<TensorType>, OpError> {
    let (image, weight) = (cx.tensor(0).clone(), cx.tensor(1).clone());
    let (stride, padding, dilation) = (cx.ints(3)?, cx.ints(4)?, cx.ints(5)?);
    let mut dims = vec![image.dims[0]];
    for axis in 0..2 {
        let kernel = weight.dims[2 + axis];
        let reach = cx.sub(kernel, Dim::Const(1));
        let reach = cx.mul(reach, Dim::Const(dilation[axis]));
        let room = cx.add(image.dims[1 + axis], Dim::Const(2 * padding[axis] - 1));
        let room = cx.sub(room, reach);
        let steps = cx.floor_div(room, Dim::Const(stride[axis]));
        dims.push(cx.add(steps, Dim::Const(1)));
    }
    dims.push(weight.dims[0]);
    Ok(vec![TensorType { dtype, dims }])
}

fn infer_pool(cx: &mut Infer, output: usize) -> Result<Vec<TensorType>, OpError> {
    let image = cx.tensor(0).clone();
    let size = cx.dim_list(output)?;
    Ok(vec![TensorType { dtype: image.dtype, dims: vec![image.dims[0], size[0], size[1], image.dims[3]] }])
}

/// Position of a window's element along an axis, and whether it lies inside the image.
fn tap(e: &mut Element, axis: usize, out: Expr, at: Expr, stride: i64, padding: i64, dilation: i64) -> (Expr, Expr) {
    let size = e.tensor(0).dims[1 + axis];
    let size = e.dim(size);
    let x = e.exprs();
    let (stride, padding, dilation, zero) = (x.int(stride), x.int(padding), x.int(dilation), x.int(0));
    let start = x.mul(out, stride);
    let start = x.sub(start, padding);
    let step = x.mul(at, dilation);
    let position = x.add(start, step);
    let low = x.binary(BinaryOp::Ge, position, zero);
    let high = x.binary(BinaryOp::Lt, position, size);
    (position, x.binary(BinaryOp::And, low, high))
}

/// `zero_point` is the argument that says what counts as 0 in the image, where one does; there is no bias then.
fn conv(e: &mut Element, index: &[Expr], zero_point: Option<usize>) -> Expr {
    let (stride, padding, dilation) = (e.const_ints(3), e.const_ints(4), e.const_ints(5));
    let groups = e.const_int(6);
    let weight = e.tensor(1).dims.clone();
    let kind = Kind::of(e.results[0].dtype);
    let dtype = e.results[0].dtype;
    let index = index.to_vec();
    let sum = e.reduce(ReduceOp::Sum, &[weight[2], weight[3], weight[1]], &mut |e, at| {
        let (y, y_inside) = tap(e, 0, index[1], at[0], stride[0], padding[0], dilation[0]);
        let (x, x_inside) = tap(e, 1, index[2], at[1], stride[1], padding[1], dilation[1]);
        let inside = e.binary(BinaryOp::And, y_inside, x_inside);
        let channel = group_channel(e, index[3], at[2], &weight, groups);
        let value = centred(e, &[index[0], y, x, channel], zero_point);
        let zero = e.constant(kind, 0.0);
        let value = e.select(inside, value, zero);
        let factor = e.load(1, &[index[3], at[2], at[0], at[1]]);
        e.binary(BinaryOp::Mul, value, factor)
    });
    let total = if zero_point.is_some() || e.is_none(2) {
        sum
    } else {
        let bias = e.load(2, &[index[3]]);
        e.binary(BinaryOp::Add, sum, bias)
    };
    e.cast(dtype, total)
}

/// The input channel of position `at` in the group that output channel `out` belongs to.
fn group_channel(e: &mut Element, out: Expr, at: Expr, weight: &[Dim], groups: i64) -> Expr {
    if groups == 1 {
        return at;
    }
    let per_group = weight[0].as_const().expect("grouped convolutions have constant weights' sizes") / groups;
    let in_group = e.dim(weight[1]);
    let x = e.exprs();
    let per_group = x.int(per_group);
    let group = x.binary(BinaryOp::FloorDiv, out, per_group);
    let first = x.mul(group, in_group);
    x.add(first, at)
}

fn max_pool(e: &mut Element, index: &[Expr]) -> Expr {
    let (kernel, stride, padding, dilation) = (e.const_ints(1), e.const_ints(2), e.const_ints(3), e.const_ints(4));
    let kind = Kind::of(e.results[0].dtype);
    let index = index.to_vec();
    let lowest = e.exprs().constant(kiln_loops::interpret::neutral(ReduceOp::Max, kind));
    e.reduce(ReduceOp::Max, &[Dim::Const(kernel[0]), Dim::Const(kernel[1])], &mut |e, at| {
        let (y, y_inside) = tap(e, 0, index[1], at[0], stride[0], padding[0], dilation[0]);
        let (x, x_inside) = tap(e, 1, index[2], at[1], stride[1], padding[1], dilation[1]);
        let inside = e.binary(BinaryOp::And, y_inside, x_inside);
        let value = e.load(0, &[index[0], y, x, index[3]]);
        e.select(inside, value, lowest)
    })
}

fn avg_pool(e: &mut Element, index: &[Expr]) -> Expr {
    let (kernel, stride, padding) = (e.const_ints(1), e.const_ints(2), e.const_ints(3));
    let dtype = e.results[0].dtype;
    let kind = Kind::of(dtype);
    let index = index.to_vec();
    let window = [Dim::Const(kernel[0]), Dim::Const(kernel[1])];
    let sum = e.reduce(ReduceOp::Sum, &window, &mut |e, at| {
        let (y, y_inside) = tap(e, 0, index[1], at[0], stride[0], padding[0], 1);
        let (x, x_inside) = tap(e, 1, index[2], at[1], stride[1], padding[1], 1);
        let inside = e.binary(BinaryOp::And, y_inside, x_inside);
        let value = e.load(0, &[index[0], y, x, index[3]]);
        let zero = e.constant(kind, 0.0);
        e.select(inside, value, zero)
    });
    let count = divisor(e, &index, &kernel, &stride, &padding);
    let count = e.exprs().to_kind(kind, count);
    let mean = if kind.is_float() { e.binary(BinaryOp::Div, sum, count) } else { e.binary(BinaryOp::TruncDiv, sum, count) };
    e.cast(dtype, mean)
}

/// How many elements a window's mean is over.
fn divisor(e: &mut Element, index: &[Expr], kernel: &[i64], stride: &[i64], padding: &[i64]) -> Expr {
    if !e.is_none(6) {
        let given = e.const_int(6);
        return e.int(given);
    }
    let include = e.const_bool(5);
    let mut count = e.int(1);
    for axis in 0..2 {
        let size = e.tensor(0).dims[1 + axis];
        let size = e.dim(size);
        let x = e.exprs();
        let (step, pad, len, zero) = (x.int(stride[axis]), x.int(padding[axis]), x.int(kernel[axis]), x.int(0));
        let start = x.mul(index[1 + axis], step);
        let start = x.sub(start, pad);
        let end = x.add(start, len);
        // A window may reach past the border, which then counts only as far as it goes.
        let border = x.add(size, pad);
        let end = x.binary(BinaryOp::Min, end, if include { border } else { size });
        let start = if include { start } else { x.binary(BinaryOp::Max, start, zero) };
        let extent = x.sub(end, start);
        count = x.mul(count, extent);
    }
    count
}
