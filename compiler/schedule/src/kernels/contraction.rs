//! Sums of products as matrix products.
//!
//! `out[b, m, n] = epilogue(sum over k of A[b, m, k] * B[b, k, n])`: B is the operand that moves along the innermost output
//! axis. The axes along which B alone moves are N, those of A alone M, those of both the batch, which becomes loops
//! around the kernel. A constant B is packed when compiling, any other by a kernel before the product.

use super::affine::{Affine, address, affine, collapses, extent, innermost_stride, output_strides};
use super::call::{Call, Stream, call};
use super::map::count;
use super::streams::{Streams, stream};
use super::vector_expr::translate_output;
use crate::facts::const_tensor;
use crate::lower::{Lowering, R};
use crate::source::Built;
use kiln_kernels::isa::Element;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::epilogue::{Epilogue, InputDesc};
use kiln_kernels::kernels::gemm::GemmDesc;
use kiln_kernels::kernels::numbers::{INT4_GROUP, Numbers};
use kiln_kernels::kernels::pack::PackDesc;
use kiln_kernels::packing::pack_by;
use kiln_kernels::vexpr::VExpr;
use kiln_loops::plan::Operand;
use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Extent, Input, Output, ReduceOp};
use kiln_support::tensor::f32_bytes;
use kiln_support::{DType, TensorData};

/// A load in a product.
struct Factor {
    input: u32,
    dtype: DType,
    address: Affine,
    /// What is taken from it.
    zero_point: i64,
    /// The scales of weights of four bits.
    scales: Option<u32>,
}

/// A sum of products.
struct Product {
    numbers: Numbers,
    a: Factor,
    b: Factor,
    /// The reduction itself.
    sum: Expr,
    /// Axes of the sums.
    k: Vec<usize>,
    /// Loops around the kernel, rows and columns, among the output axes.
    batch: Vec<usize>,
    m: Vec<usize>,
    n: Vec<usize>,
}

/// Multiplications below which a kernel call is not worth it.
const FEWEST_PRODUCTS: i64 = 64;

/// Emits a matrix product for a computation, if it is one.
pub fn select(cx: &mut Lowering, built: &Built, output: Operand) -> R<bool> {
    let compute = &built.compute;
    let Some(product) = find_product(compute) else { return Ok(false) };
    let Some((desc, streams)) = describe(compute, &product) else { return Ok(false) };
    if desc.n as i64 * desc.k as i64 * desc.m.unwrap_or(64) as i64 <= FEWEST_PRODUCTS {
        return Ok(false);
    }
    emit(cx, built, &product, desc, &streams, output)
}

/// Whether a computation is a matrix product, with whatever is computed from the sums.
pub fn is_product(compute: &Compute) -> bool {
    find_product(compute).is_some_and(|product| describe(compute, &product).is_some())
}

/// Whether it is one whose first operand is read where it is.
pub fn is_product_in_place(compute: &Compute) -> bool {
    is_product(compute) && find_product(compute).is_some_and(|product| row_step(compute, &product).is_some())
}

fn find_product(compute: &Compute) -> Option<Product> {
    let [Output { value, .. }] = compute.outputs.as_slice() else { return None };
    let (sum, k, body) = only_sum(compute, *value)?;
    let ExprData::Binary(BinaryOp::Mul, x, y) = compute.exprs.get(body) else { return None };
    let (x, y) = match (int4_factor(compute, *x, &k), int4_factor(compute, *y, &k)) {
        (Some(x), _) => (x, factor(compute, *y)?),
        (_, Some(y)) => (factor(compute, *x)?, y),
        _ => (factor(compute, *x)?, factor(compute, *y)?),
    };
    let last = (0..compute.rank).rev().find(|&a| extent(compute, a) != Some(1));
    let moves = |f: &Factor| last.is_some_and(|axis| f.address.strides[axis] != 0);
    let (a, b) = match (moves(&x), moves(&y)) {
        (false, true) => (x, y),
        (true, false) => (y, x),
        _ => return None,
    };
    let numbers = numbers(&a, &b)?;
    let (mut batch, mut m, mut n) = (Vec::new(), Vec::new(), Vec::new());
    for axis in (0..compute.rank).filter(|&axis| extent(compute, axis) != Some(1)) {
        match (a.address.strides[axis] != 0, b.address.strides[axis] != 0) {
            (true, true) => batch.push(axis),
            (false, true) => n.push(axis),
            // What neither depends on is computed again: a row of A with step 0.
            _ => m.push(axis),
        }
    }
    Some(Product { numbers, a, b, sum, k, batch, m, n })
}

/// What is multiplied, if kernels know it.
fn numbers(a: &Factor, b: &Factor) -> Option<Numbers> {
    match (a.dtype, b.dtype) {
        (DType::F32, DType::U8) if b.scales.is_some() => Some(Numbers::Int4),
        _ if a.scales.is_some() || b.scales.is_some() => None,
        (DType::F32, DType::F32) => Some(Numbers::F32),
        (DType::F32, DType::F16) => Some(Numbers::F16),
        (DType::U8, DType::I8) if b.zero_point == 0 => Some(Numbers::Int8 { zero_point: u8::try_from(a.zero_point).ok()? }),
        _ => None,
    }
}

/// The only reduction under an expression, if it is a sum.
fn only_sum(compute: &Compute, root: Expr) -> Option<(Expr, Vec<usize>, Expr)> {
    let (mut found, mut seen, mut work) = (None, vec![false; compute.exprs.len()], vec![root]);
    while let Some(expr) = work.pop() {
        if std::mem::replace(&mut seen[expr.0 as usize], true) {
            continue;
        }
        match compute.exprs.get(expr) {
            ExprData::Reduce { op: ReduceOp::Sum, axes, body } if found.is_none() => {
                found = Some((expr, axes.iter().map(|&a| a as usize).collect(), *body));
            }
            ExprData::Reduce { .. } => return None,
            _ => work.extend(compute.exprs.operands(expr)),
        }
    }
    found
}

fn factor(compute: &Compute, expr: Expr) -> Option<Factor> {
    let (load, zero_point) = without_zero_point(compute, expr);
    let ExprData::Load { input, index } = compute.exprs.get(load) else { return None };
    let dtype = compute.inputs[*input as usize].dtype;
    Some(Factor { input: *input, dtype, address: address(compute, *input, index)?, zero_point, scales: None })
}

const _: () = assert!(kiln_ops::INT4_GROUP == INT4_GROUP as i64);

/// The factor `((bytes[k / 2, n] >> k % 2 * 4 & 15) - 8) * scales[k / group, n]`, addressed as if it were a matrix `[k, n]`.
fn int4_factor(compute: &Compute, expr: Expr, k: &[usize]) -> Option<Factor> {
    let exprs = &compute.exprs;
    let ([k], ExprData::Binary(BinaryOp::Mul, bits, scale)) = (k, exprs.get(expr)) else { return None };
    let (bits, scale) = if matches!(exprs.get(*bits), ExprData::Load { .. }) { (*scale, *bits) } else { (*bits, *scale) };
    let ExprData::Cast(DType::F32, bits) = exprs.get(bits) else { return None };
    let (bits, offset) = without_zero_point(compute, *bits);
    let ExprData::Binary(BinaryOp::And, bits, mask) = exprs.get(bits) else { return None };
    let ExprData::Binary(BinaryOp::Shr, byte, _) = exprs.get(*bits) else { return None };
    if offset != 8 || exprs.as_int(*mask) != Some(15) {
        return None;
    }
    let (input, column) = step_of(compute, *byte, *k, 2)?;
    let (scales, same) = step_of(compute, scale, *k, INT4_GROUP as i64)?;
    let mut address = affine(exprs, compute.axes.len(), column)?;
    let Extent::Const(columns) = compute.inputs[input as usize].dims[1] else { return None };
    address.strides[*k] = columns;
    (column == same).then_some(Factor {
        input,
        dtype: compute.inputs[input as usize].dtype,
        address,
        zero_point: 0,
        scales: Some(scales),
    })
}

/// The input and the column of a load `input[k / step, column]`.
fn step_of(compute: &Compute, load: Expr, k: usize, step: i64) -> Option<(u32, Expr)> {
    let exprs = &compute.exprs;
    let ExprData::Load { input, index } = exprs.get(load) else { return None };
    let [row, column] = index[..] else { return None };
    let by_step = match exprs.get(row) {
        ExprData::Binary(BinaryOp::FloorDiv, axis, by) => {
            *exprs.get(*axis) == ExprData::Axis(k as u32) && exprs.as_int(*by) == Some(step)
        }
        // There is one group only.
        _ => exprs.as_int(row) == Some(0) && extent(compute, k).is_some_and(|size| size <= step),
    };
    by_step.then_some((*input, column))
}

/// `x` and `z` of an integer `x - z`.
pub fn without_zero_point(compute: &Compute, expr: Expr) -> (Expr, i64) {
    match compute.exprs.get(expr) {
        ExprData::Binary(BinaryOp::Sub, x, zero) => compute.exprs.as_int(*zero).map_or((expr, 0), |z| (*x, z)),
        // A difference with a constant is kept as a sum.
        ExprData::Binary(BinaryOp::Add, x, zero) => compute.exprs.as_int(*zero).map_or((expr, 0), |z| (*x, -z)),
        _ => (expr, 0),
    }
}

/// Products of bytes whose sum surely fits 32 bits.
pub const MOST_INT8_PRODUCTS: usize = 1 << 16;

/// The product over constant axes.
fn size(compute: &Compute, axes: &[usize]) -> Option<usize> {
    axes.iter().try_fold(1usize, |product, &a| product.checked_mul(usize::try_from(extent(compute, a)?).ok()?))
}

/// Whether axes follow each other among the output axes that move.
fn is_run(compute: &Compute, axes: &[usize]) -> bool {
    let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else { return true };
    (first..=last).all(|a| axes.contains(&a) || extent(compute, a) == Some(1))
}

/// The descriptor, and the inputs of the epilogue. Where rows of A do not fit the kernel, they are copied first: `lda` is
/// `k` then.
fn describe<'a>(compute: &'a Compute, product: &Product) -> Option<(GemmDesc, Streams<'a>)> {
    let Product { m, n, k, .. } = product;
    let own = output_strides(compute)?;
    let is_ordered = m.last() < n.first() && is_run(compute, m) && is_run(compute, n);
    if !is_ordered || n.is_empty() || !collapses(compute, n, &own, 1) {
        return None;
    }
    let (cols, depth) = (size(compute, n)?, size(compute, k)?);
    if product.numbers.is_integer() && depth >= MOST_INT8_PRODUCTS {
        return None;
    }
    let ldc = innermost_stride(compute, m, &own);
    if !collapses(compute, m, &own, ldc) {
        return None;
    }
    let rows = if m.iter().any(|&a| extent(compute, a).is_none()) { None } else { Some(size(compute, m)?) };
    let mut streams = Streams::new(compute);
    let mut expr = VExpr::new();
    let (root, out) = translate_output(compute, &compute.outputs[0], &mut expr, &mut |e, out| {
        if e == product.sum { Some(out.acc()) } else { streams.leaf(e, out, &[]) }
    })?;
    expr.root(root);
    let inputs = epilogue_inputs(compute, m, n, &streams)?;
    let lda = row_step(compute, product).unwrap_or(depth);
    let ldc = if ldc == 0 { cols } else { ldc as usize };
    let epilogue = Epilogue { expr, inputs, out };
    Some((GemmDesc { numbers: product.numbers, m: rows, n: cols, k: depth, lda, ldc, panel: None, epilogue }, streams))
}

/// How an epilogue reads its inputs, for rows over axes `m` and columns over axes `n`; none where it cannot.
pub fn epilogue_inputs(compute: &Compute, m: &[usize], n: &[usize], streams: &Streams) -> Option<Vec<InputDesc>> {
    let input = |at: usize| {
        let Some(address) = streams.load(at) else { return Some(InputDesc::SCALAR) };
        let step = innermost_stride(compute, m, &address.strides);
        let is_splat = n.iter().all(|&a| address.strides[a] == 0);
        let fits = (is_splat || collapses(compute, n, &address.strides, 1)) && collapses(compute, m, &address.strides, step);
        let element = streams.element(at);
        let fits = fits && step >= 0 && !(is_splat && element != Element::F32);
        fits.then_some(InputDesc { row_stride: step as usize, splat: is_splat, element })
    };
    (0..streams.sources.len()).map(input).collect()
}

/// Elements between rows of A, if the kernel can read A in place.
fn row_step(compute: &Compute, product: &Product) -> Option<usize> {
    let strides = &product.a.address.strides;
    let step = innermost_stride(compute, &product.m, strides);
    let depth = size(compute, &product.k)?;
    let fits = collapses(compute, &product.k, strides, 1) && collapses(compute, &product.m, strides, step);
    // A single row has no step.
    let step = if product.m.is_empty() { depth as i64 } else { step };
    (fits && step >= depth as i64).then_some(step as usize)
}

fn emit(cx: &mut Lowering, built: &Built, product: &Product, desc: GemmDesc, epilogue: &Streams, output: Operand) -> R<bool> {
    let panel = cx.shared.choices.of(&KernelDesc::Gemm(desc.clone())).panel;
    let (desc, compute) = (GemmDesc { panel, ..desc }, &built.compute);
    let b = const_tensor(cx.graph, built.inputs[product.b.input as usize]);
    if row_step(compute, product).is_none() && product.batch.iter().chain(&product.m).any(|&a| extent(compute, a).is_none()) {
        return Ok(false);
    }
    let Some(target) = cx.shared.target.vector else { return Ok(false) };
    let is_in_place = row_step(compute, product).is_some();
    if product.numbers != Numbers::F32 && b.is_none() || product.numbers.is_integer() && !is_in_place {
        return Ok(false);
    }
    if kiln_kernels::kernels::emit(&KernelDesc::Gemm(desc.clone()), &target).is_err() {
        return Ok(false);
    }
    let is_fixed = |f: &Factor| f.address.terms.is_empty();
    if (b.is_some() && !is_fixed(&product.b)) || (row_step(compute, product).is_none() && !is_fixed(&product.a)) {
        return Ok(false);
    }
    let weights = match b {
        Some(data) => packed_weights(cx, built, product, &desc, data),
        None => pack_at_run_time(cx, built, product, &desc)?,
    };
    let Some(weights) = weights else { return Ok(false) };
    let input = match row_step(compute, product) {
        Some(_) => stream(cx, built, product.a.input, &product.a.address, &product.batch)?,
        None => copy_rows(cx, built, product)?,
    };
    let rows = count(cx, built, &product.m)?;
    let outer = product.batch.iter().map(|&a| count(cx, built, &[a])).collect::<R<Vec<_>>>()?;
    let own = output_strides(compute).unwrap_or_default();
    let outer_steps = product.batch.iter().map(|&a| own[a]).collect();
    let output = Stream { base: output, size: desc.epilogue.out.bytes() as i64, offset: 0, outer: outer_steps };
    let inputs = epilogue.emit(cx, built, &product.batch)?;
    let call_desc = Call {
        input: Some(input),
        weights: Some(weights),
        output: Some(output),
        inputs,
        rows: Some(rows),
        outer,
        ..Call::default()
    };
    call(cx, KernelDesc::Gemm(desc), call_desc)
}

/// The batch axes along which B moves, and the step of a packed B of `len` elements (or bytes) along each axis.
fn packed_steps(compute: &Compute, product: &Product, len: usize) -> (Vec<usize>, Vec<i64>) {
    let moving: Vec<usize> = product.batch.iter().copied().filter(|&a| product.b.address.strides[a] != 0).collect();
    let mut steps = vec![0i64; compute.axes.len()];
    let mut step = len as i64;
    for &axis in moving.iter().rev() {
        steps[axis] = step;
        step *= extent(compute, axis).unwrap_or(1);
    }
    (moving, steps)
}

/// A constant B, packed for each index of its batch.
fn packed_weights(cx: &mut Lowering, built: &Built, product: &Product, desc: &GemmDesc, data: &TensorData) -> Option<Stream> {
    let compute = &built.compute;
    let target = cx.shared.target.vector?;
    let plan = desc.plan(&target).ok()?;
    let address = &product.b.address;
    let bytes = desc.packed_bytes(&target).ok()?;
    let (moving, steps) = packed_steps(compute, product, bytes);
    size(compute, &moving)?;
    let offsets = |axes: &[usize]| offsets(compute, axes, &address.strides);
    let (k, n) = (offsets(&product.k), offsets(&product.n));
    let mut bytes = Vec::new();
    let floats = if desc.numbers == Numbers::F32 { data.to_f32() } else { Vec::new() };
    let scales = product.b.scales.and_then(|input| const_tensor(cx.graph, built.inputs[input as usize])).map(TensorData::to_f32);
    for batch in offsets(&moving) {
        let at = |i: usize, j: usize| (address.offset + batch + k[i] + n[j]) as usize;
        match desc.numbers {
            Numbers::F32 => bytes.extend(f32_bytes(&pack_by(&plan, desc.k, |i, j| floats[at(i, j)]))),
            Numbers::Int8 { .. } => bytes.extend(desc.pack_bytes(&target, |i, j| data.bytes[at(i, j)] as i8).ok()?),
            Numbers::F16 => {
                let element = |i, j| u16::from_le_bytes([data.bytes[2 * at(i, j)], data.bytes[2 * at(i, j) + 1]]);
                bytes.extend(desc.pack_f16(&target, element).ok()?);
            }
            Numbers::Int4 => {
                let scales = scales.as_ref()?;
                let columns = data.shape[1] as usize;
                let column = |j: usize| at(0, j) % columns;
                let bits = |i: usize, j: usize| data.bytes[i / 2 * columns + column(j)] >> (i % 2 * 4) & 15;
                bytes.extend(desc.pack_int4(&target, bits, |group, j| scales[group * columns + column(j)]).ok()?);
            }
        }
    }
    let id = cx.shared.data.add("weights", bytes.into(), 64, Vec::new());
    Some(Stream { base: Operand::Data(id, 0), size: 1, offset: 0, outer: product.batch.iter().map(|&a| steps[a]).collect() })
}

/// Offsets of all indices of axes of constant extents, in row-major order.
fn offsets(compute: &Compute, axes: &[usize], strides: &[i64]) -> Vec<i64> {
    let mut found = vec![0];
    for &axis in axes {
        let n = extent(compute, axis).unwrap_or(1);
        found = found.iter().flat_map(|&at| (0..n).map(move |i| at + i * strides[axis])).collect();
    }
    found
}

fn pack_desc(compute: &Compute, product: &Product, desc: &GemmDesc) -> Option<PackDesc> {
    let strides = &product.b.address.strides;
    let k = innermost_stride(compute, &product.k, strides);
    let n = innermost_stride(compute, &product.n, strides);
    if !collapses(compute, &product.k, strides, k) || !collapses(compute, &product.n, strides, n) {
        return None;
    }
    // One row or one column has any step.
    let k_step = if desc.k == 1 { desc.n as i64 } else { k };
    let (transposed, row) = match (k_step, n) {
        (row, 1) if row >= desc.n as i64 => (false, row),
        (1, row) if row >= desc.k as i64 => (true, row),
        _ => return None,
    };
    Some(PackDesc { gemm: desc.clone(), transposed, row_stride: row as usize })
}

/// Packs B into the arena, all of its batch.
fn pack_at_run_time(cx: &mut Lowering, built: &Built, product: &Product, desc: &GemmDesc) -> R<Option<Stream>> {
    let compute = &built.compute;
    let (Some(pack), Some(target)) = (pack_desc(compute, product, desc), cx.shared.target.vector) else { return Ok(None) };
    let Ok(len) = pack.packed_len(&target) else { return Ok(None) };
    let (moving, steps) = packed_steps(compute, product, len);
    let Some(copies) = size(compute, &moving) else { return Ok(None) };
    let buffer = Operand::Arena(cx.buffers.add(4 * (len * copies) as u64, false));
    let input = stream(cx, built, product.b.input, &product.b.address, &moving)?;
    let output = Stream { base: buffer, size: 4, offset: 0, outer: moving.iter().map(|&a| steps[a]).collect() };
    let outer = moving.iter().map(|&a| count(cx, built, &[a])).collect::<R<Vec<_>>>()?;
    let packing = Call { input: Some(input), output: Some(output), outer, ..Call::default() };
    if !call(cx, KernelDesc::Pack(pack), packing)? {
        return Ok(None);
    }
    Ok(Some(Stream { base: buffer, size: 4, offset: 0, outer: product.batch.iter().map(|&a| steps[a]).collect() }))
}

/// Copies A into the arena as `[batch, m, k]`, for addresses that the kernel cannot read in place.
fn copy_rows(cx: &mut Lowering, built: &Built, product: &Product) -> R<Stream> {
    let compute = &built.compute;
    let axes: Vec<usize> = product.batch.iter().chain(&product.m).chain(&product.k).copied().collect();
    let elements = size(compute, &axes).unwrap_or(0);
    let buffer = Operand::Arena(cx.buffers.add(4 * elements as u64, false));
    cx.emit(copy_compute(built, product, &axes), vec![buffer])?;
    let row_elements = size(compute, &product.m).unwrap_or(1) as i64 * size(compute, &product.k).unwrap_or(1) as i64;
    let mut outer = vec![0; product.batch.len()];
    let mut step = row_elements;
    for (i, &axis) in product.batch.iter().enumerate().rev() {
        outer[i] = step;
        step *= extent(compute, axis).unwrap_or(1);
    }
    Ok(Stream { base: buffer, size: 4, offset: 0, outer })
}

/// The computation that copies A with its axes in the given order.
fn copy_compute(built: &Built, product: &Product, axes: &[usize]) -> Built {
    let from = &built.compute;
    let flat: i64 = from.inputs[product.a.input as usize].dims.iter().fold(1, |n, d| match d {
        kiln_loops::Extent::Const(size) => n * size,
        kiln_loops::Extent::Param(_) => n,
    });
    let mut compute = Compute { name: "rows".into(), rank: axes.len(), ..Compute::default() };
    compute.axes = axes.iter().map(|&a| from.axes[a]).collect();
    compute.exprs.axis_extents = axes.iter().map(|&a| extent(from, a)).collect();
    compute.exprs.input_dtypes = vec![DType::F32];
    compute.inputs = vec![Input { dtype: DType::F32, dims: vec![kiln_loops::Extent::Const(flat)] }];
    let mut at = compute.exprs.int(product.a.address.offset);
    for (i, &axis) in axes.iter().enumerate() {
        let index = compute.exprs.intern(ExprData::Axis(i as u32));
        let stride = compute.exprs.int(product.a.address.strides[axis]);
        let moved = compute.exprs.mul(index, stride);
        at = compute.exprs.add(at, moved);
    }
    let value = compute.exprs.intern(ExprData::Load { input: 0, index: vec![at] });
    compute.outputs = vec![Output { dtype: DType::F32, value }];
    Built { compute, inputs: vec![built.inputs[product.a.input as usize]], params: Vec::new() }
}
