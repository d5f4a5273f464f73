//! Discrete Fourier transforms of real tensors whose results are real: the transforms back from half a spectrum.
//!
//! With a real spectrum `x` the result is `scale * sum over j of w(j) x[j] cos(2 pi sum over axes of j k / n)`; along the
//! last axis only half of the spectrum is given, so that `w` is 2 but for the first and (n even) the last entry.

use super::linear::known_ints;
use super::rules::{Types, finish, no_kernel, one, tensor};
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError, wrap_axis};
use crate::promote::to_float;
use kiln_graph::Dim;
use kiln_loops::{BinaryOp, Expr, Kind, ReduceOp};

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    tensor!("aten::fft_hfft", "transform of half of a Hermitian signal", |cx| transformed(cx, false), |e, _, index| transform(
        e, false, index
    )),
    tensor!("aten::fft_hfft2", "transform of half of a Hermitian signal", |cx| transformed(cx, false), |e, _, index| transform(
        e, false, index
    )),
    tensor!("aten::fft_hfftn", "transform of half of a Hermitian signal", |cx| transformed(cx, false), |e, _, index| transform(
        e, false, index
    )),
    tensor!("aten::fft_irfft", "inverse of rfft", |cx| transformed(cx, true), |e, _, index| transform(e, true, index)),
    tensor!("aten::fft_irfft2", "inverse of rfft2", |cx| transformed(cx, true), |e, _, index| transform(e, true, index)),
    tensor!("aten::fft_irfftn", "inverse of rfftn", |cx| transformed(cx, true), |e, _, index| transform(e, true, index)),
];

/// What is transformed: axes with the sizes of the result along them, and the factor of the sum.
struct Plan {
    axes: Vec<(usize, i64)>,
    scale: f64,
}

fn plan(facts: &[Fact], inverse: bool) -> Result<Plan, OpError> {
    let Fact::Tensor(ty) = &facts[0] else { return OpError::unsupported("this argument") };
    let optional = |fact: &Fact| if matches!(fact, Fact::None) { Ok(None) } else { known_ints(fact).map(Some) };
    let (sizes, axes) = (optional(&facts[1])?, optional(&facts[2])?);
    let rank = ty.rank();
    let axes: Vec<usize> = match (&sizes, axes) {
        (_, Some(axes)) => axes.iter().map(|&a| wrap_axis(a, rank)).collect::<Result<_, _>>()?,
        (Some(sizes), None) if sizes.len() <= rank => (rank - sizes.len()..rank).collect(),
        (Some(_), None) => return OpError::raise("Got shape with more values than the tensor has dimensions."),
        (None, None) => (0..rank).collect(),
    };
    if rank == 0 || axes.is_empty() {
        return OpError::raise("must transform at least one axis");
    }
    if (0..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
        return OpError::raise("FFT dims must be unique");
    }
    if sizes.as_ref().is_some_and(|s| s.len() != axes.len()) {
        return OpError::raise("When given, dim and shape arguments must have the same length");
    }
    let mut plan = Plan { axes: Vec::new(), scale: 1.0 };
    for (i, &axis) in axes.iter().enumerate() {
        let Some(own) = ty.dims[axis].as_const() else {
            return OpError::unsupported("a transform of a size known only at run time");
        };
        let default = if i + 1 == axes.len() { 2 * (own - 1) } else { own };
        let size = sizes.as_ref().map(|s| s[i]).filter(|n| *n != -1).unwrap_or(default);
        if size < 1 {
            return OpError::raise(format!("Invalid number of data points ({size}) specified"));
        }
        plan.axes.push((axis, size));
    }
    let total = plan.axes.iter().map(|(_, n)| *n as f64).product::<f64>();
    plan.scale = match (&facts[3], inverse) {
        (Fact::Str(norm), _) if norm == "ortho" => 1.0 / total.sqrt(),
        (Fact::Str(norm), inverse) if norm == "forward" => {
            if inverse {
                1.0
            } else {
                1.0 / total
            }
        }
        (Fact::Str(norm), _) if norm != "backward" => return OpError::raise(format!("Invalid normalization mode: \"{norm}\"")),
        (_, true) => 1.0 / total,
        (_, false) => 1.0,
    };
    Ok(plan)
}

fn transformed(cx: &mut Infer, inverse: bool) -> Types {
    let plan = plan(cx.args, inverse)?;
    let ty = cx.tensor(0).clone();
    if ty.dtype.is_quantized() || (ty.dtype.is_float() && ty.dtype.size() == 2) {
        return no_kernel("fft", ty.dtype);
    }
    let mut dims = ty.dims;
    for &(axis, size) in &plan.axes {
        dims[axis] = Dim::Const(size);
    }
    one(to_float(ty.dtype), dims)
}

fn transform(e: &mut Element, inverse: bool, index: &[Expr]) -> Expr {
    let plan = plan(e.args, inverse).expect("checked by the infer rule");
    let own = e.tensor(0).dims.clone();
    let last = plan.axes.len() - 1;
    // Entries that the input has; what it lacks is 0, what it has more is not used.
    let entries = |i: usize, axis: usize, size: i64| {
        let used = if i == last { size / 2 + 1 } else { size };
        Dim::Const(own[axis].as_const().expect("checked by the infer rule").min(used))
    };
    let sizes: Vec<Dim> = plan.axes.iter().enumerate().map(|(i, &(axis, size))| entries(i, axis, size)).collect();
    let sum = e.reduce(ReduceOp::Sum, &sizes, &mut |e, j| {
        let mut place = index.to_vec();
        let mut angle = e.constant(Kind::F64, 0.0);
        for (i, &(axis, size)) in plan.axes.iter().enumerate() {
            place[axis] = j[i];
            angle = e.calc([angle, j[i], index[axis]], |[angle, j, k]| {
                // Whole turns are taken away while it is exact.
                let turn = (j * k).binary(BinaryOp::Mod, size as f64).to_kind(Kind::F64);
                angle + turn * (std::f64::consts::TAU / size as f64)
            });
        }
        let (size, at) = (plan.axes[last].1, j[last]);
        let x = e.load(0, &place);
        e.calc([x, angle, at], |[x, angle, at]| {
            let is_single = if size % 2 == 0 { at.eq(0.0) | at.eq((size / 2) as f64) } else { at.eq(0.0) };
            let weight = is_single.select(angle.like(1.0), 2.0);
            x.to_kind(Kind::F64) * weight * angle.math("cos")
        })
    });
    let y = e.calc([sum], |[sum]| sum * plan.scale);
    finish(e, y)
}
