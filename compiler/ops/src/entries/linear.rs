//! Matrix products and convolutions: sums of products, accumulated in binary32 for 16-bit floats.

use super::rules::{Types, finish, no_kernel, one, tensor};
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError};
use kiln_graph::{Dim, TensorType};
use kiln_loops::{BinaryOp, Expr, Kind, ReduceOp};
use kiln_support::DType;

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    tensor!("aten::mm", "sum over k of self[i, k] * mat2[k, j]", |cx| product_type(cx, 0), |e, _, index| product(e, index, None)),
    tensor!("aten::bmm", "sum over k of self[b, i, k] * mat2[b, k, j]", |cx| product_type(cx, 1), |e, _, index| product(
        e, index, None
    )),
    tensor!("aten::convolution", "sum over channels and kernel of input * weight, plus bias", convolution_type, |e, _, index| {
        convolution(e, index, None)
    }),
    tensor!(
        "kiln::mm_int8",
        "sum over k of (self[i, k] - zero_point) * mat2[k, j], in int32",
        |cx| {
            check_integers(cx)?;
            product_dims(cx, 0).and_then(|dims| one(DType::I32, dims))
        },
        |e, _, index| product(e, index, Some(2))
    ),
    tensor!(
        "kiln::conv_int8",
        "sum over channels and kernel of (input - zero_point) * weight, in int32; the border counts as zero_point",
        |cx| {
            check_integers(cx)?;
            convolution_dims(cx).and_then(|dims| one(DType::I32, dims))
        },
        |e, _, index| convolution(e, index, Some(2))
    ),
];

/// Operands of integer products: 8 bits by 8 bits, or by 32 where weights have zero points of their own.
fn check_integers(cx: &Infer) -> Result<(), OpError> {
    let (a, b) = (cx.tensor(0).dtype, cx.tensor(1).dtype);
    match (a, b) {
        (DType::U8 | DType::I8, DType::I8 | DType::I32) => Ok(()),
        _ => OpError::unsupported(format!("integer products of {} and {}", a.torch_name(), b.torch_name())),
    }
}

/// An element of operand 0 without the zero point that an argument may give.
pub(super) fn centred(e: &mut Element, index: &[Expr], zero_point: Option<usize>) -> Expr {
    let x = e.load(0, index);
    match zero_point {
        None => x,
        Some(at) => {
            let zero_point = e.number(at, Kind::Int);
            e.binary(BinaryOp::Sub, x, zero_point)
        }
    }
}

fn same_types(cx: &Infer) -> Result<DType, OpError> {
    let (a, b) = (cx.tensor(0).dtype, cx.tensor(1).dtype);
    match a {
        _ if a != b => OpError::raise(format!(
            "expected m1 and m2 to have the same dtype, but got: {} != {}",
            a.torch_name(),
            b.torch_name()
        )),
        DType::Bool => no_kernel("addmm_impl_cpu_", a),
        _ if a.is_quantized() => OpError::unsupported("a quantized tensor"),
        _ => Ok(a),
    }
}

/// Matrices with `batch` axes before them.
fn product_type(cx: &mut Infer, batch: usize) -> Types {
    let dims = product_dims(cx, batch)?;
    one(same_types(cx)?, dims)
}

fn product_dims(cx: &mut Infer, batch: usize) -> Result<Vec<Dim>, OpError> {
    let (a, b) = (cx.tensor(0).clone(), cx.tensor(1).clone());
    if a.rank() != batch + 2 || b.rank() != batch + 2 {
        return OpError::raise(if batch == 0 { "self must be a matrix" } else { "batch1 must be a 3D tensor" });
    }
    for axis in 0..batch {
        cx.require_equal(a.dims[axis], b.dims[axis], "Expected the batches to be of one size")?;
    }
    let message = format!(
        "mat1 and mat2 shapes cannot be multiplied ({}x{} and {}x{})",
        a.dims[batch],
        a.dims[batch + 1],
        b.dims[batch],
        b.dims[batch + 1]
    );
    cx.require_equal(a.dims[batch + 1], b.dims[batch], &message)?;
    let mut dims = a.dims;
    dims[batch + 1] = b.dims[batch + 1];
    Ok(dims)
}

fn product(e: &mut Element, index: &[Expr], zero_point: Option<usize>) -> Expr {
    let [batch @ .., row, column] = index else { panic!("a product has two axes") };
    let mut left = batch.to_vec();
    left.push(*row);
    // The right operand is indexed [batch, k, column].
    let k = *e.tensor(0).dims.last().expect("a matrix");
    let y = e.reduce(ReduceOp::Sum, &[k], &mut |e, k| {
        let a: Vec<Expr> = left.iter().copied().chain([k[0]]).collect();
        let b: Vec<Expr> = batch.iter().copied().chain([k[0], *column]).collect();
        let (x, y) = (centred(e, &a, zero_point), e.load(1, &b));
        e.binary(BinaryOp::Mul, x, y)
    });
    finish(e, y)
}

/// The constant arguments of a convolution.
struct Convolution {
    stride: Vec<i64>,
    padding: Vec<i64>,
    dilation: Vec<i64>,
    output_padding: Vec<i64>,
    transposed: bool,
    groups: i64,
}

/// Ints that are known when compiling.
pub(super) fn known_ints(fact: &Fact) -> Result<Vec<i64>, OpError> {
    let known = |f: &Fact| if let Fact::Int(Dim::Const(i)) = f { Some(*i) } else { None };
    let all = match fact {
        Fact::List(items) => items.iter().map(known).collect(),
        one => known(one).map(|i| vec![i]),
    };
    all.map_or_else(|| OpError::unsupported("ints that are known only at run time"), Ok)
}

/// A list with one number for each spatial axis; one number stands for all.
fn spatial(ints: Vec<i64>, axes: usize) -> Vec<i64> {
    if ints.len() == 1 { vec![ints[0]; axes] } else { ints }
}

fn arguments(facts: &[Fact]) -> Result<Convolution, OpError> {
    let axes = if let Fact::Tensor(weight) = &facts[1] { weight.rank().saturating_sub(2) } else { 0 };
    let list = |at: usize| known_ints(&facts[at]).map(|ints| spatial(ints, axes));
    let all = Convolution {
        stride: list(3)?,
        padding: list(4)?,
        dilation: list(5)?,
        transposed: matches!(facts[6], Fact::Bool(Ok(true))),
        output_padding: list(7)?,
        groups: if let Fact::Int(Dim::Const(groups)) = facts[8] {
            groups
        } else {
            return OpError::unsupported("groups known only at run time");
        },
    };
    let lengths = [&all.stride, &all.padding, &all.dilation];
    if lengths.iter().any(|l| l.len() != axes) {
        return OpError::raise(format!("expected stride, padding and dilation to be of {axes} numbers"));
    }
    if all.stride.iter().any(|&s| s <= 0) {
        return OpError::raise("non-positive stride is not supported");
    }
    if all.dilation.iter().any(|&d| d <= 0) {
        return OpError::raise("dilation should be greater than zero");
    }
    if all.padding.iter().chain(&all.output_padding).any(|&p| p < 0) {
        return OpError::raise("negative padding is not supported");
    }
    if all.groups <= 0 {
        return OpError::raise("non-positive groups is not supported");
    }
    Ok(all)
}

fn convolution_type(cx: &mut Infer) -> Types {
    let dtype = same_types(cx)?;
    let dims = convolution_dims(cx)?;
    if let Some(outputs) = dims[1].as_const() {
        check_bias(cx, outputs)?;
    }
    one(dtype, dims)
}

fn convolution_dims(cx: &mut Infer) -> Result<Vec<Dim>, OpError> {
    let (input, weight) = (cx.tensor(0).clone(), cx.tensor(1).clone());
    cx.bool(6)?;
    let conv = arguments(cx.args)?;
    if weight.rank() < 3 || input.rank() != weight.rank() {
        return OpError::raise(format!(
            "Expected an input of {} dimensions for weight {weight}, but got input {input}",
            weight.rank()
        ));
    }
    let known = |d: Dim| {
        d.as_const().map_or_else(|| OpError::unsupported("a convolution's weight with sizes known only at run time"), Ok)
    };
    let kernel: Vec<i64> = weight.dims.iter().map(|&d| known(d)).collect::<Result<_, _>>()?;
    let (channels, outputs) =
        if conv.transposed { (kernel[0], kernel[1] * conv.groups) } else { (kernel[1] * conv.groups, kernel[0]) };
    let grouped = if conv.transposed { channels } else { outputs };
    if grouped % conv.groups != 0 {
        return OpError::raise(format!("expected weight to be divisible by groups = {}, but got weight {weight}", conv.groups));
    }
    let message = format!(
        "Given groups={}, weight {weight}, expected input to have {channels} channels, but got input {input}",
        conv.groups
    );
    cx.require_equal(input.dims[1], Dim::Const(channels), &message)?;
    let mut dims = vec![input.dims[0], Dim::Const(outputs)];
    for axis in 0..kernel.len() - 2 {
        dims.push(output_size(cx, &conv, input.dims[axis + 2], kernel[axis + 2], axis)?);
    }
    Ok(dims)
}

fn check_bias(cx: &mut Infer, outputs: i64) -> Result<(), OpError> {
    let Some(bias) = cx.opt_tensor(2).cloned() else { return Ok(()) };
    if bias.dtype != cx.tensor(0).dtype {
        let (own, other) = (cx.tensor(0).dtype.torch_name(), bias.dtype.torch_name());
        return OpError::raise(format!("Input type ({own}) and bias type ({other}) should be the same"));
    }
    if bias.rank() != 1 {
        return OpError::raise(format!("expected bias to be 1-dimensional with {outputs} elements, but got {bias}"));
    }
    cx.require_equal(
        bias.dims[0],
        Dim::Const(outputs),
        &format!("expected bias to be 1-dimensional with {outputs} elements, but got {bias}"),
    )
}

fn output_size(cx: &mut Infer, conv: &Convolution, size: Dim, kernel: i64, axis: usize) -> Result<Dim, OpError> {
    let (stride, padding) = (conv.stride[axis], conv.padding[axis]);
    let reach = conv.dilation[axis] * (kernel - 1);
    let result = if conv.transposed {
        let steps = cx.sub(size, Dim::Const(1));
        let span = cx.mul(steps, Dim::Const(stride));
        cx.add(span, Dim::Const(reach + 1 + conv.output_padding[axis] - 2 * padding))
    } else {
        let last = cx.add(size, Dim::Const(2 * padding - reach - 1));
        if last.as_const().is_some_and(|n| n < 0) {
            return OpError::raise(format!(
                "Calculated padded input size per channel: {size}. Kernel size: {kernel}. Kernel size can't be greater than actual input size"
            ));
        }
        let steps = cx.floor_div(last, Dim::Const(stride));
        cx.add(steps, Dim::Const(1))
    };
    let least = Dim::Const(i64::from(!conv.transposed));
    cx.require_at_most(least, result, "Given input size per channel, the calculated output size is too small")?;
    Ok(result)
}

fn convolution(e: &mut Element, index: &[Expr], zero_point: Option<usize>) -> Expr {
    let conv = arguments(e.args).expect("checked by the infer rule");
    let (input, weight) = (e.tensor(0).clone(), e.tensor(1).clone());
    let output_channels = e.results[0].dims[1].as_const().expect("checked by the infer rule");
    let per_group = e.int(output_channels / conv.groups);
    let group = e.binary(BinaryOp::FloorDiv, index[1], per_group);
    let within = e.binary(BinaryOp::Mod, index[1], per_group);
    let channels = if conv.transposed {
        weight.dims[0].as_const().map(|c| Dim::Const(c / conv.groups)).expect("known")
    } else {
        weight.dims[1]
    };
    let mut sizes = vec![channels];
    sizes.extend(&weight.dims[2..]);
    let sum = e.reduce(ReduceOp::Sum, &sizes, &mut |e, inner| {
        let count = e.dim(channels);
        let channel = e.calc([group, count, inner[0]], |[group, count, c]| group * count + c);
        let (place, inside) = source_index(e, &conv, &input, index, inner);
        let mut from = vec![index[0], channel];
        from.extend(place);
        let mut kernel = if conv.transposed { vec![channel, within] } else { vec![index[1], inner[0]] };
        kernel.extend(&inner[1..]);
        let (x, w) = (centred(e, &from, zero_point), e.load(1, &kernel));
        let zero = e.calc([x], |[x]| x.like(0.0));
        let x = e.select(inside, x, zero);
        e.binary(BinaryOp::Mul, x, w)
    });
    if zero_point.is_some() || e.is_none(2) {
        return finish(e, sum);
    }
    let bias = e.load(2, &[index[1]]);
    let y = e.binary(BinaryOp::Add, sum, bias);
    finish(e, y)
}

/// Where the input is read, and whether that is inside of it.
fn source_index(e: &mut Element, conv: &Convolution, input: &TensorType, index: &[Expr], inner: &[Expr]) -> (Vec<Expr>, Expr) {
    let mut inside = e.exprs().bool(true);
    let mut place = Vec::new();
    for axis in 0..conv.stride.len() {
        let (stride, padding, dilation) = (conv.stride[axis] as f64, conv.padding[axis] as f64, conv.dilation[axis] as f64);
        let size = e.dim(input.dims[axis + 2]);
        let operands = [index[axis + 2], inner[axis + 1], size];
        let is_transposed = conv.transposed;
        let spread =
            e.calc(
                operands,
                |[x, k, _]| if is_transposed { x + padding - k * dilation } else { x * stride - padding + k * dilation },
            );
        let at = e.calc([spread], |[at]| if is_transposed { at.binary(BinaryOp::FloorDiv, stride) } else { at });
        let within = e.calc([at, size, spread], |[at, size, spread]| {
            let within = at.ge(0.0) & at.lt(size);
            if is_transposed { within & spread.binary(BinaryOp::Mod, stride).eq(0.0) } else { within }
        });
        inside = e.binary(BinaryOp::And, inside, within);
        place.push(at);
    }
    (place, inside)
}
