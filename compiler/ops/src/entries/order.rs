//! Operators that depend on the order of elements: algorithms of the runtime over the lanes of an axis.
//!
//! A tensor is seen as `[outer][len][inner]`; one without dimensions has a single lane of one element.

use super::rules::{Types, no_kernel, not_quantized, one};
use crate::entry::{Body, Entry, ExternCall, ExternFn, ExternOperand, InferFn};
use crate::infer::{Fact, Infer, OpError};
use kiln_graph::{Dim, TensorType};
use kiln_support::DType;

const fn algorithm(key: &'static str, doc: &'static str, infer: InferFn, call: ExternFn) -> Entry {
    Entry { key, doc, body: Body::Extern { infer, call } }
}

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    algorithm(
        "aten::sort",
        "the elements of an axis in order (NaN as the greatest) and their places",
        |cx| sorted(cx, 1, 2),
        |cx| sort(cx, 1, 2, None),
    ),
    algorithm(
        "aten::sort.stable",
        "the elements of an axis in order (NaN as the greatest) and their places",
        |cx| sorted(cx, 2, 3),
        |cx| sort(cx, 2, 3, Some(1)),
    ),
    algorithm("aten::topk", "the k greatest or least elements of an axis and their places", best, |cx| {
        let (k, largest, sorted) = (count(cx, 1), flag(cx, 3), flag(cx, 4));
        let mut call = lanes(cx, "topk", 2, 2);
        call.operands.extend([ExternOperand::Int(k), largest, sorted]);
        call
    }),
    algorithm(
        "aten::kthvalue",
        "the k-th smallest element of an axis and its place",
        |cx| selected(cx, 2, 3),
        |cx| {
            let k = count(cx, 1);
            let mut call = lanes(cx, "kthvalue", 2, 2);
            call.operands.push(ExternOperand::Int(k));
            call
        },
    ),
    algorithm(
        "aten::median.dim",
        "the lower median of an axis and its place",
        |cx| selected(cx, 1, 2),
        |cx| lanes(cx, "median", 1, 2),
    ),
    algorithm(
        "aten::nanmedian.dim",
        "the lower median of what is not NaN and its place",
        |cx| selected(cx, 1, 2),
        |cx| lanes(cx, "nanmedian", 1, 2),
    ),
    algorithm(
        "aten::mode",
        "the most frequent element of an axis and its last place",
        |cx| selected(cx, 1, 2),
        |cx| lanes(cx, "mode", 1, 2),
    ),
    algorithm(
        "aten::cummax",
        "the largest element so far and its place",
        |cx| with_places(cx, 1),
        |cx| lanes(cx, "cummax", 1, 2),
    ),
    algorithm(
        "aten::cummin",
        "the smallest element so far and its place",
        |cx| with_places(cx, 1),
        |cx| lanes(cx, "cummin", 1, 2),
    ),
    algorithm("kiln::cumulative", "running sums (0), products (1) or logarithms of sums of exponentials (2)", running, |cx| {
        let operation = count(cx, 2);
        let mut call = lanes(cx, "cumulative", 1, 1);
        call.operands.push(ExternOperand::Int(operation));
        call
    }),
    algorithm(
        "kiln::classes",
        "the number of each slice's class among the distinct slices of an axis, in ascending order or (consecutive) of neighbours",
        classes,
        |cx| {
            let consecutive = flag(cx, 2);
            let mut call = lanes(cx, "unique_dim", 1, 0);
            let Some(&ExternOperand::Int(len)) = call.operands.get(3) else {
                unreachable!("outer, length, inner follow the tensor")
            };
            call.scratch = cx.mul(len, Dim::Const(8));
            call.operands.extend([
                ExternOperand::Scratch,
                ExternOperand::Output(0),
                ExternOperand::Int(Dim::Const(0)),
                consecutive,
            ]);
            call
        },
    ),
    algorithm(
        "kiln::nonzero",
        "the indices of the elements that are not zero (`count` of them); `sizes` are those of the tensor",
        |cx| {
            let (rank, count) = (cx.tensor(0).rank() as i64, cx.dim(2)?);
            one(DType::I64, vec![count, Dim::Const(rank)])
        },
        |cx| {
            let ty = cx.tensor(0);
            let operands = vec![
                dtype_of(ty),
                ExternOperand::Input(0),
                ExternOperand::Int(Dim::Const(ty.rank() as i64)),
                ExternOperand::Input(1),
                ExternOperand::Output(0),
            ];
            ExternCall { symbol: "nonzero_fill", operands, scratch: Dim::Const(0), fallible: false }
        },
    ),
    algorithm(
        "kiln::histc",
        "how many elements are in each of equal bins over a range (of the data where both bounds are equal)",
        |cx| {
            let (bins, dtype) = (cx.dim(1)?, cx.tensor(0).dtype);
            bound(&cx.args[2])?;
            bound(&cx.args[3])?;
            one(dtype, vec![bins])
        },
        |cx| {
            let ty = cx.tensor(0).clone();
            let (low, high) =
                (bound(&cx.args[2]).expect("checked by the infer rule"), bound(&cx.args[3]).expect("checked by the infer rule"));
            let (n, bins) = (cx.product(&ty.dims), count(cx, 1));
            let operands = vec![
                dtype_of(&ty),
                ExternOperand::Input(0),
                ExternOperand::Int(n),
                ExternOperand::Output(0),
                ExternOperand::Int(bins),
                ExternOperand::Float(low),
                ExternOperand::Float(high),
            ];
            ExternCall { symbol: "histc", operands, scratch: Dim::Const(0), fallible: true }
        },
    ),
    algorithm(
        "kiln::nms",
        "which boxes, the best one first, overlap none that is kept before them by more than a threshold",
        |cx| {
            bound(&cx.args[1])?;
            let ty = cx.tensor(0);
            match ty.dtype {
                DType::F32 | DType::F64 => one(DType::Bool, vec![ty.dims[0]]),
                other => no_kernel("nms_kernel", other),
            }
        },
        |cx| {
            let ty = cx.tensor(0);
            let threshold = bound(&cx.args[1]).expect("checked by the infer rule");
            let operands = vec![
                dtype_of(ty),
                ExternOperand::Input(0),
                ExternOperand::Int(ty.dims[0]),
                ExternOperand::Float(threshold),
                ExternOperand::Output(0),
            ];
            ExternCall { symbol: "nms", operands, scratch: Dim::Const(0), fallible: false }
        },
    ),
];

/// A number that is known when compiling.
fn bound(fact: &Fact) -> Result<f64, OpError> {
    match fact {
        Fact::Float(Ok(x)) => Ok(*x),
        Fact::Int(Dim::Const(x)) => Ok(*x as f64),
        _ => OpError::unsupported("a range that is known only at run time"),
    }
}

fn dtype_of(ty: &TensorType) -> ExternOperand {
    ExternOperand::Int(Dim::Const(ty.dtype.code()))
}

/// An int argument that the infer rule has checked.
fn count(cx: &Infer, at: usize) -> Dim {
    cx.dim(at).expect("checked by the infer rule")
}

/// A bool argument that the infer rule has checked, as 0 or 1.
fn flag(cx: &Infer, at: usize) -> ExternOperand {
    ExternOperand::Int(Dim::Const(i64::from(matches!(cx.args[at], Fact::Bool(Ok(true))))))
}

/// The call of an algorithm `(dtype, x, outputs..., outer, len, inner)` along the axis that an argument names.
fn lanes(cx: &mut Infer, symbol: &'static str, axis: usize, outputs: usize) -> ExternCall {
    let ty = cx.tensor(0).clone();
    let axis = cx.axis(axis, ty.rank()).expect("checked by the infer rule");
    let len = ty.dims.get(axis).copied().unwrap_or(Dim::Const(1));
    let outer = cx.product(&ty.dims[..axis]);
    let inner = cx.product(ty.dims.get(axis + 1..).unwrap_or(&[]));
    let mut operands = vec![dtype_of(&ty), ExternOperand::Input(0)];
    operands.extend((0..outputs).map(ExternOperand::Output));
    operands.extend([outer, len, inner].map(ExternOperand::Int));
    ExternCall { symbol, operands, scratch: Dim::Const(0), fallible: true }
}

/// Values of the first argument's type and their places.
fn with_indices(ty: TensorType) -> Types {
    let places = TensorType { dtype: DType::I64, dims: ty.dims.clone() };
    Ok(vec![ty, places])
}

fn with_places(cx: &mut Infer, axis: usize) -> Types {
    not_quantized(cx)?;
    let ty = cx.tensor(0).clone();
    cx.axis(axis, ty.rank())?;
    with_indices(ty)
}

fn sorted(cx: &mut Infer, axis: usize, descending: usize) -> Types {
    cx.bool(descending)?;
    with_places(cx, axis)
}

fn sort(cx: &mut Infer, axis: usize, descending: usize, stable: Option<usize>) -> ExternCall {
    let descending = flag(cx, descending);
    let stable = stable.map_or(ExternOperand::Int(Dim::Const(0)), |at| flag(cx, at));
    let mut call = lanes(cx, "sort", axis, 2);
    call.operands.extend([descending, stable]);
    call
}

fn best(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let mut ty = cx.tensor(0).clone();
    if ty.dtype == DType::Bool {
        return no_kernel("topk_impl", ty.dtype);
    }
    let (k, axis) = (cx.dim(1)?, cx.axis(2, ty.rank())?);
    cx.bool(3)?;
    cx.bool(4)?;
    let len = ty.dims.get(axis).copied().unwrap_or(Dim::Const(1));
    cx.require_at_most(Dim::Const(0), k, "selected index k out of range")?;
    cx.require_at_most(k, len, "selected index k out of range")?;
    if let Some(size) = ty.dims.get_mut(axis) {
        *size = k;
    }
    with_indices(ty)
}

/// One element of each lane.
fn selected(cx: &mut Infer, axis: usize, keepdim: usize) -> Types {
    not_quantized(cx)?;
    let mut ty = cx.tensor(0).clone();
    let (axis, keep) = (cx.axis(axis, ty.rank())?, cx.bool(keepdim)?);
    if ty.dims.get(axis) == Some(&Dim::Const(0)) {
        return OpError::index(format!("Expected reduction dim {axis} to have non-zero size."));
    }
    if keep {
        ty.dims.get_mut(axis).into_iter().for_each(|size| *size = Dim::Const(1));
    } else if axis < ty.dims.len() {
        ty.dims.remove(axis);
    }
    with_indices(ty)
}

fn running(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let ty = cx.tensor(0).clone();
    cx.axis(1, ty.rank())?;
    cx.int(2)?;
    Ok(vec![ty])
}

fn classes(cx: &mut Infer) -> Types {
    not_quantized(cx)?;
    let ty = cx.tensor(0).clone();
    let axis = cx.axis(1, ty.rank())?;
    cx.bool(2)?;
    one(DType::I64, vec![ty.dims.get(axis).copied().unwrap_or(Dim::Const(1))])
}
