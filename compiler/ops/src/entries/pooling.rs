//! Reductions of sliding windows over the last axes: pooling, and the columns of windows (im2col, col2im).

use super::linear::known_ints;
use super::regroup::{flatten, unflatten};
use super::rules::{Types, finish, kind, no_kernel, not_quantized, one, tensor};
use crate::calc::Num;
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError};
use kiln_graph::{Dim, TensorType};
use kiln_loops::{BinaryOp, Expr, Kind, ReduceOp};
use kiln_support::DType;

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    tensor!("aten::max_pool1d", "the largest of each window", |cx| max_type(cx, 1), |e, _, i| max_value(e, 1, i)),
    tensor!("aten::max_pool2d", "the largest of each window", |cx| max_type(cx, 2), |e, _, i| max_value(e, 2, i)),
    tensor!("aten::max_pool3d", "the largest of each window", |cx| max_type(cx, 3), |e, _, i| max_value(e, 3, i)),
    tensor!(
        "aten::max_pool1d_with_indices",
        "the largest of each window and its flat place",
        |cx| max_types(cx, 1),
        |e, o, i| max_pool(e, 1, o, i)
    ),
    tensor!(
        "aten::max_pool2d_with_indices",
        "the largest of each window and its flat place",
        |cx| max_types(cx, 2),
        |e, o, i| max_pool(e, 2, o, i)
    ),
    tensor!(
        "aten::max_pool3d_with_indices",
        "the largest of each window and its flat place",
        |cx| max_types(cx, 3),
        |e, o, i| max_pool(e, 3, o, i)
    ),
    tensor!("aten::avg_pool1d", "the mean of each window", |cx| mean_type(cx, 1), |e, _, i| mean_pool(e, 1, i)),
    tensor!("aten::avg_pool2d", "the mean of each window", |cx| mean_type(cx, 2), |e, _, i| mean_pool(e, 2, i)),
    tensor!("aten::avg_pool3d", "the mean of each window", |cx| mean_type(cx, 3), |e, _, i| mean_pool(e, 3, i)),
    tensor!("aten::adaptive_avg_pool1d", "means of equal parts", |cx| adaptive_type(cx, 1), |e, _, i| adaptive_mean(e, 1, i)),
    tensor!("aten::adaptive_avg_pool2d", "means of equal parts", |cx| adaptive_type(cx, 2), |e, _, i| adaptive_mean(e, 2, i)),
    tensor!("aten::_adaptive_avg_pool2d", "means of equal parts", |cx| adaptive_type(cx, 2), |e, _, i| adaptive_mean(e, 2, i)),
    tensor!("aten::adaptive_avg_pool3d", "means of equal parts", |cx| adaptive_type(cx, 3), |e, _, i| adaptive_mean(e, 3, i)),
    tensor!("aten::_adaptive_avg_pool3d", "means of equal parts", |cx| adaptive_type(cx, 3), |e, _, i| adaptive_mean(e, 3, i)),
    tensor!(
        "aten::adaptive_max_pool1d",
        "the largest of equal parts and its flat place",
        |cx| adaptive_types(cx, 1),
        |e, o, i| adaptive_max(e, 1, o, i)
    ),
    tensor!(
        "aten::adaptive_max_pool2d",
        "the largest of equal parts and its flat place",
        |cx| adaptive_types(cx, 2),
        |e, o, i| adaptive_max(e, 2, o, i)
    ),
    tensor!(
        "aten::adaptive_max_pool3d",
        "the largest of equal parts and its flat place",
        |cx| adaptive_types(cx, 3),
        |e, o, i| adaptive_max(e, 3, o, i)
    ),
    tensor!("aten::im2col", "the windows of an image as columns", im2col_type, im2col),
    tensor!("aten::col2im", "the sum of columns at the places of their windows", col2im_type, col2im),
];

/// Windows: one number for each spatial axis.
struct Windows {
    kernel: Vec<i64>,
    stride: Vec<i64>,
    padding: Vec<i64>,
    dilation: Vec<i64>,
}

/// A list with a number for each axis; one number stands for all.
fn each(fact: &Fact, axes: usize) -> Result<Vec<i64>, OpError> {
    let ints = known_ints(fact)?;
    match ints.len() {
        1 => Ok(vec![ints[0]; axes]),
        n if n == axes => Ok(ints),
        n => OpError::raise(format!("expected one number or {axes}, but got {n}")),
    }
}

impl Windows {
    /// Of the arguments of a pooling operator.
    fn new(facts: &[Fact], axes: usize, dilation: Option<usize>) -> Result<Windows, OpError> {
        let kernel = each(&facts[1], axes)?;
        let stride =
            if matches!(&facts[2], Fact::List(items) if items.is_empty()) { kernel.clone() } else { each(&facts[2], axes)? };
        let dilation = dilation.map_or(Ok(vec![1; axes]), |at| each(&facts[at], axes))?;
        let windows = Windows { kernel, stride, padding: each(&facts[3], axes)?, dilation };
        windows.check()?;
        Ok(windows)
    }

    fn check(&self) -> Result<(), OpError> {
        for axis in 0..self.kernel.len() {
            if self.kernel[axis] <= 0 || self.stride[axis] <= 0 || self.dilation[axis] <= 0 {
                return OpError::raise("kernel size, stride and dilation should be greater than zero");
            }
            let (pad, reach) = (self.padding[axis], self.dilation[axis] * (self.kernel[axis] - 1) + 1);
            if pad < 0 || pad > reach / 2 {
                return OpError::raise(format!(
                    "pad should be at most half of effective kernel size, but got pad={pad} and kernel size {reach}"
                ));
            }
        }
        Ok(())
    }

    fn sizes(&self) -> Vec<Dim> {
        self.kernel.iter().map(|&k| Dim::Const(k)).collect()
    }

    /// Where position `k` of window `o` is along an axis; it may be outside.
    fn place<'a>(&self, axis: usize, o: Num<'a>, k: Num<'a>) -> Num<'a> {
        o * self.stride[axis] as f64 - self.padding[axis] as f64 + k * self.dilation[axis] as f64
    }
}

/// The input is `[channels, spatial...]` or `[batch, channels, spatial...]`.
fn check_rank(cx: &Infer, axes: usize) -> Result<(), OpError> {
    not_quantized(cx)?;
    let ty = cx.tensor(0);
    if ty.rank() != axes + 1 && ty.rank() != axes + 2 {
        return OpError::raise(format!("Expected {}D or {}D input tensor, but got {ty}", axes + 1, axes + 2));
    }
    if ty.dims[ty.rank() - axes - 1..].contains(&Dim::Const(0)) {
        return OpError::raise(format!(
            "Expected input with optional 0 dim batch size and other dimensions non-zero, but got {ty}"
        ));
    }
    Ok(())
}

/// The sizes of the pooled result (`pooling_output_shape` of ATen).
fn pooled(cx: &mut Infer, windows: &Windows, ceil: bool) -> Result<Vec<Dim>, OpError> {
    let axes = windows.kernel.len();
    let mut dims = cx.tensor(0).dims.clone();
    let first = dims.len() - axes;
    for axis in 0..axes {
        let (stride, pad) = (windows.stride[axis], windows.padding[axis]);
        let reach = windows.dilation[axis] * (windows.kernel[axis] - 1) + 1;
        let size = dims[first + axis];
        let room = cx.add(size, Dim::Const(2 * pad - reach + if ceil { stride - 1 } else { 0 }));
        let steps = cx.floor_div(room, Dim::Const(stride));
        let mut count = cx.add(steps, Dim::Const(1));
        if ceil {
            // The last window must start inside the input or its left border.
            let span = cx.add(size, Dim::Const(pad + stride - 1));
            let starts = cx.floor_div(span, Dim::Const(stride));
            count = cx.dims.binary(BinaryOp::Min, count, starts);
        }
        cx.require_at_most(
            Dim::Const(1),
            count,
            &format!("Given input size {size}: the calculated output size {count} is too small"),
        )?;
        dims[first + axis] = count;
    }
    Ok(dims)
}

fn max_type(cx: &mut Infer, axes: usize) -> Types {
    check_rank(cx, axes)?;
    let windows = Windows::new(cx.args, axes, Some(4))?;
    let ceil = cx.bool(5)?;
    let dims = pooled(cx, &windows, ceil)?;
    match cx.tensor(0).dtype {
        DType::Bool => no_kernel("max_pool2d", DType::Bool),
        dtype => one(dtype, dims),
    }
}

fn max_types(cx: &mut Infer, axes: usize) -> Types {
    let ty = max_type(cx, axes)?.remove(0);
    Ok(vec![ty.clone(), TensorType { dtype: DType::I64, ..ty }])
}

/// The element at position `k` of the window at `index`, and whether it is inside the input.
fn window_element(e: &mut Element, windows: &Windows, index: &[Expr], k: &[Expr]) -> (Expr, Expr) {
    let dims = e.tensor(0).dims.clone();
    let first = dims.len() - k.len();
    let mut inside = e.exprs().bool(true);
    let mut own = index.to_vec();
    for axis in 0..k.len() {
        let size = e.dim(dims[first + axis]);
        own[first + axis] = e.calc([index[first + axis], k[axis]], |[o, k]| windows.place(axis, o, k));
        let within = e.calc([own[first + axis], size], |[at, size]| at.ge(0.0) & at.lt(size));
        inside = e.binary(BinaryOp::And, inside, within);
    }
    (e.load(0, &own), inside)
}

fn smallest(e: &mut Element) -> Expr {
    e.constant(kind(e), f64::NEG_INFINITY)
}

fn max_windows(e: &Element, axes: usize) -> Windows {
    Windows::new(e.args, axes, Some(4)).expect("checked by the infer rule")
}

fn max_reduction(e: &mut Element, axes: usize, op: ReduceOp, index: &[Expr]) -> Expr {
    let windows = max_windows(e, axes);
    let lowest = smallest(e);
    e.reduce(op, &windows.sizes(), &mut |e, k| {
        let (x, inside) = window_element(e, &windows, index, k);
        e.select(inside, x, lowest)
    })
}

fn max_value(e: &mut Element, axes: usize, index: &[Expr]) -> Expr {
    max_reduction(e, axes, ReduceOp::Max, index)
}

fn max_pool(e: &mut Element, axes: usize, output: usize, index: &[Expr]) -> Expr {
    if output == 0 {
        return max_value(e, axes, index);
    }
    let windows = max_windows(e, axes);
    let best = max_reduction(e, axes, ReduceOp::ArgMax, index);
    let k = unflatten(e, best, &windows.sizes());
    let dims = e.tensor(0).dims.clone();
    let first = dims.len() - axes;
    let place: Vec<Expr> =
        (0..axes).map(|axis| e.calc([index[first + axis], k[axis]], |[o, k]| windows.place(axis, o, k))).collect();
    flatten(e, &dims[first..], &place)
}

fn mean_type(cx: &mut Infer, axes: usize) -> Types {
    check_rank(cx, axes)?;
    let windows = Windows::new(cx.args, axes, None)?;
    let ceil = cx.bool(4)?;
    cx.bool(5)?;
    match cx.args.get(6) {
        Some(Fact::Int(Dim::Const(0))) => return OpError::raise("divisor must be not zero"),
        Some(Fact::Int(Dim::Const(_)) | Fact::None) | None => {}
        Some(_) => return OpError::unsupported("a divisor that is known only at run time"),
    }
    let dims = pooled(cx, &windows, ceil)?;
    match cx.tensor(0).dtype {
        DType::Bool => no_kernel("avg_pool2d", DType::Bool),
        dtype => one(dtype, dims),
    }
}

fn mean_pool(e: &mut Element, axes: usize, index: &[Expr]) -> Expr {
    let windows = Windows::new(e.args, axes, None).expect("checked by the infer rule");
    let zero = e.constant(kind(e), 0.0);
    let sum = e.reduce(ReduceOp::Sum, &windows.sizes(), &mut |e, k| {
        let (x, inside) = window_element(e, &windows, index, k);
        e.select(inside, x, zero)
    });
    let divisor = match e.args.get(6) {
        Some(Fact::Int(Dim::Const(divisor))) => e.int(*divisor),
        _ => window_size(e, &windows, index),
    };
    quotient(e, sum, divisor)
}

/// How many elements a window counts: those inside, or those inside the border too.
fn window_size(e: &mut Element, windows: &Windows, index: &[Expr]) -> Expr {
    let with_border = e.const_bool(5);
    let dims = e.tensor(0).dims.clone();
    let first = dims.len() - windows.kernel.len();
    let mut count = e.int(1);
    for axis in 0..windows.kernel.len() {
        let size = e.dim(dims[first + axis]);
        let (pad, kernel) = (windows.padding[axis] as f64, windows.kernel[axis] as f64);
        let length = e.calc([index[first + axis], size], |[o, size]| {
            let start = windows.place(axis, o, o.int(0));
            let end = (start + kernel).min(size + pad);
            if with_border { end - start } else { end.min(size) - start.max(0.0) }
        });
        count = e.exprs().mul(count, length);
    }
    count
}

fn quotient(e: &mut Element, sum: Expr, count: Expr) -> Expr {
    let y = e.calc([sum, count], |[sum, count]| {
        if sum.kind() == Kind::Int { sum.binary(BinaryOp::TruncDiv, count) } else { sum / count.to_kind(sum.kind()) }
    });
    finish(e, y)
}

fn adaptive_type(cx: &mut Infer, axes: usize) -> Types {
    check_rank(cx, axes)?;
    let mut dims = cx.tensor(0).dims.clone();
    let sizes = each(&cx.args[1], axes)?;
    let first = dims.len() - axes;
    for (axis, &size) in sizes.iter().enumerate() {
        if size < 0 {
            return OpError::raise(format!(
                "adaptive_avg_pool: elements of output_size must be greater than or equal to 0 but received {size}"
            ));
        }
        if dims[first + axis].as_const().is_none() && size != 1 {
            return OpError::unsupported("parts of a size known only at run time");
        }
        dims[first + axis] = Dim::Const(size);
    }
    match cx.tensor(0).dtype {
        d if d.is_float() => one(d, dims),
        // PyTorch looks at the element type only where there are elements.
        d if dims.contains(&Dim::Const(0)) => one(d, dims),
        d => no_kernel("adaptive_avg_pool2d", d),
    }
}

fn adaptive_types(cx: &mut Infer, axes: usize) -> Types {
    let ty = adaptive_type(cx, axes)?.remove(0);
    Ok(vec![ty.clone(), TensorType { dtype: DType::I64, ..ty }])
}

/// The parts of the spatial axes: for each its start, its length, and the length of the longest.
struct Parts {
    first: usize,
    starts: Vec<Expr>,
    lengths: Vec<Expr>,
    longest: Vec<Dim>,
}

fn parts(e: &mut Element, axes: usize, index: &[Expr]) -> Parts {
    let dims = e.tensor(0).dims.clone();
    let first = dims.len() - axes;
    let mut parts = Parts { first, starts: Vec::new(), lengths: Vec::new(), longest: Vec::new() };
    for axis in first..dims.len() {
        let output = e.results[0].dims[axis].as_const().expect("checked by the infer rule");
        let size = e.dim(dims[axis]);
        let (start, length) = if output == 1 {
            (e.int(0), size)
        } else {
            let start = e.calc([index[axis], size], |[o, size]| (o * size).binary(BinaryOp::FloorDiv, output as f64));
            let end = e.calc([index[axis], size], |[o, size]| {
                ((o + 1.0) * size + (output - 1) as f64).binary(BinaryOp::FloorDiv, output as f64)
            });
            (start, e.binary(BinaryOp::Sub, end, start))
        };
        parts.starts.push(start);
        parts.longest.push(longest(dims[axis], output));
        // Equal parts need no test.
        let is_even = dims[axis].as_const().is_some_and(|n| output > 0 && n % output == 0);
        parts.lengths.push(if is_even { e.dim(longest(dims[axis], output)) } else { length });
    }
    parts
}

fn longest(size: Dim, output: i64) -> Dim {
    match size {
        Dim::Const(n) => Dim::Const((0..output).map(|o| ((o + 1) * n + output - 1) / output - o * n / output).max().unwrap_or(0)),
        size => size,
    }
}

fn part_reduction(e: &mut Element, parts: &Parts, op: ReduceOp, neutral: Expr, index: &[Expr]) -> Expr {
    e.reduce(op, &parts.longest, &mut |e, k| {
        let mut inside = e.exprs().bool(true);
        let mut own = index.to_vec();
        for (axis, &k) in k.iter().enumerate() {
            own[parts.first + axis] = e.binary(BinaryOp::Add, parts.starts[axis], k);
            let within = e.binary(BinaryOp::Lt, k, parts.lengths[axis]);
            inside = e.binary(BinaryOp::And, inside, within);
        }
        let x = e.load(0, &own);
        e.select(inside, x, neutral)
    })
}

fn adaptive_mean(e: &mut Element, axes: usize, index: &[Expr]) -> Expr {
    let parts = parts(e, axes, index);
    let zero = e.constant(kind(e), 0.0);
    let sum = part_reduction(e, &parts, ReduceOp::Sum, zero, index);
    let count = parts.lengths.iter().fold(e.int(1), |product, &length| e.exprs().mul(product, length));
    quotient(e, sum, count)
}

fn adaptive_max(e: &mut Element, axes: usize, output: usize, index: &[Expr]) -> Expr {
    let parts = parts(e, axes, index);
    let lowest = smallest(e);
    if output == 0 {
        return part_reduction(e, &parts, ReduceOp::Max, lowest, index);
    }
    let best = part_reduction(e, &parts, ReduceOp::ArgMax, lowest, index);
    let k = unflatten(e, best, &parts.longest);
    let place: Vec<Expr> = k.iter().zip(&parts.starts).map(|(&k, &start)| e.binary(BinaryOp::Add, start, k)).collect();
    let dims = e.tensor(0).dims.clone();
    flatten(e, &dims[parts.first..], &place)
}

/// Of im2col (kernel, dilation, padding, stride from argument 1 on) and col2im (from argument 2 on).
fn columns(facts: &[Fact], from: usize) -> Result<Windows, OpError> {
    let windows = Windows {
        kernel: each(&facts[from], 2)?,
        dilation: each(&facts[from + 1], 2)?,
        padding: each(&facts[from + 2], 2)?,
        stride: each(&facts[from + 3], 2)?,
    };
    let positive = [&windows.kernel, &windows.dilation, &windows.stride].iter().all(|l| l.iter().all(|&n| n > 0));
    if !positive || windows.padding.iter().any(|&p| p < 0) {
        return OpError::raise("kernel size, dilation and stride should be greater than zero, padding not negative");
    }
    Ok(windows)
}

/// How many windows there are along each axis.
fn counts(cx: &mut Infer, windows: &Windows, sizes: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let mut counts = Vec::new();
    for (axis, &size) in sizes.iter().enumerate() {
        let reach = windows.dilation[axis] * (windows.kernel[axis] - 1) + 1;
        let room = cx.add(size, Dim::Const(2 * windows.padding[axis] - reach));
        let steps = cx.floor_div(room, Dim::Const(windows.stride[axis]));
        let count = cx.add(steps, Dim::Const(1));
        cx.require_at_most(Dim::Const(1), count, "calculated shape of the array of sliding blocks is too small (non-positive)")?;
        counts.push(count);
    }
    Ok(counts)
}

fn im2col_type(cx: &mut Infer) -> Types {
    check_rank(cx, 2)?;
    let windows = columns(cx.args, 1)?;
    let ty = cx.tensor(0).clone();
    let first = ty.rank() - 2;
    let counts = counts(cx, &windows, &ty.dims[first..])?;
    let mut dims = ty.dims[..first - 1].to_vec();
    dims.push(cx.mul(ty.dims[first - 1], Dim::Const(windows.kernel[0] * windows.kernel[1])));
    dims.push(cx.mul(counts[0], counts[1]));
    one(ty.dtype, dims)
}

fn im2col(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let windows = columns(e.args, 1).expect("checked by the infer rule");
    let dims = e.tensor(0).dims.clone();
    let [outer @ .., row, block] = index else { panic!("columns have two axes") };
    let first = dims.len() - 2;
    let row = unflatten(e, *row, &[dims[first - 1], Dim::Const(windows.kernel[0]), Dim::Const(windows.kernel[1])]);
    let width = e.dim(dims[first + 1]);
    let reach = windows.dilation[1] * (windows.kernel[1] - 1) + 1;
    let across = e.calc([width], |[w]| {
        (w + (2 * windows.padding[1] - reach) as f64).binary(BinaryOp::FloorDiv, windows.stride[1] as f64) + 1.0
    });
    let (y, x) = (e.binary(BinaryOp::FloorDiv, *block, across), e.binary(BinaryOp::Mod, *block, across));
    let mut place = outer.to_vec();
    place.extend([row[0], y, x]);
    let (value, inside) = window_element(e, &windows, &place, &row[1..]);
    let zero = e.constant(kind(e), 0.0);
    e.select(inside, value, zero)
}

fn col2im_type(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let windows = columns(cx.args, 2)?;
    let (ty, sizes) = (cx.tensor(0).clone(), cx.dim_list(1)?);
    if !(2..=3).contains(&ty.rank()) || sizes.len() != 2 {
        return OpError::raise(format!("Expected 2D or 3D (batch mode) tensor for input, but got {ty}"));
    }
    let counts = counts(cx, &windows, &sizes)?;
    let blocks = cx.mul(counts[0], counts[1]);
    let (rows, area) = (ty.dims[ty.rank() - 2], windows.kernel[0] * windows.kernel[1]);
    let Some(rows) = rows.as_const() else { return OpError::unsupported("columns of a size known only at run time") };
    let message = format!("Given output_size and kernel_size, expected the columns to fit, but got {ty}");
    if rows % area != 0 {
        return OpError::raise(message);
    }
    cx.require_equal(blocks, ty.dims[ty.rank() - 1], &message)?;
    let mut dims = ty.dims[..ty.rank() - 2].to_vec();
    dims.push(Dim::Const(rows / area));
    dims.extend(sizes);
    one(ty.dtype, dims)
}

fn col2im(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let windows = columns(e.args, 2).expect("checked by the infer rule");
    let sizes = e.dim_list(1);
    let [outer @ .., channel, row, column] = index else { panic!("an image has three axes") };
    let zero = e.constant(kind(e), 0.0);
    let y = e.reduce(ReduceOp::Sum, &windows.sizes(), &mut |e, k| {
        let mut inside = e.exprs().bool(true);
        let (mut block, mut line) = (e.int(0), *channel);
        for (axis, &at) in [*row, *column].iter().enumerate() {
            let size = e.dim(sizes[axis]);
            let (stride, pad, dilation) =
                (windows.stride[axis] as f64, windows.padding[axis] as f64, windows.dilation[axis] as f64);
            let reach = windows.dilation[axis] * (windows.kernel[axis] - 1) + 1;
            let count = e.calc([size], |[n]| (n + 2.0 * pad - reach as f64).binary(BinaryOp::FloorDiv, stride) + 1.0);
            let spread = e.calc([at, k[axis]], |[at, k]| at + pad - k * dilation);
            let position = e.calc([spread], |[at]| at.binary(BinaryOp::FloorDiv, stride));
            let within = e.calc([spread, position, count], |[at, o, count]| {
                at.binary(BinaryOp::Mod, stride).eq(0.0) & o.ge(0.0) & o.lt(count)
            });
            inside = e.binary(BinaryOp::And, inside, within);
            block = e.calc([block, count, position], |[block, count, o]| block * count + o);
            line = e.calc([line, k[axis]], |[line, k]| line * windows.kernel[axis] as f64 + k);
        }
        let mut place = outer.to_vec();
        place.extend([line, block]);
        let x = e.load(0, &place);
        e.select(inside, x, zero)
    });
    finish(e, y)
}
