//! Addresses of loads as sums of `axis * stride`: what decides whether a computation is a matrix product, a map over
//! rows, or nothing that kernels can do.

use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Exprs, Extent, Scalar};

/// `offset + sum of axis * stride + sum of term * factor`, in elements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Affine {
    /// One stride for each axis of the computation.
    pub strides: Vec<i64>,
    /// The constant.
    pub offset: i64,
    /// Ints known only at run time, the same for the whole computation, with their factors.
    pub terms: Vec<(Expr, i64)>,
}

impl Affine {
    /// A sum that is constant.
    pub fn constant(axes: usize, offset: i64) -> Affine {
        Affine { strides: vec![0; axes], offset, terms: Vec::new() }
    }

    fn combine(mut self, other: &Affine, factor: i64) -> Option<Affine> {
        for (own, more) in self.strides.iter_mut().zip(&other.strides) {
            *own = own.checked_add(more.checked_mul(factor)?)?;
        }
        self.offset = self.offset.checked_add(other.offset.checked_mul(factor)?)?;
        for (term, own) in &other.terms {
            self.terms.push((*term, own.checked_mul(factor)?));
        }
        Some(self)
    }
}

/// An int expression as a sum over axes, if it is one.
pub fn affine(exprs: &Exprs, axes: usize, expr: Expr) -> Option<Affine> {
    match exprs.get(expr) {
        ExprData::Const(Scalar::Int(n)) => Some(Affine::constant(axes, *n)),
        ExprData::Axis(axis) => {
            let mut sum = Affine::constant(axes, 0);
            sum.strides[*axis as usize] = 1;
            Some(sum)
        }
        ExprData::Binary(BinaryOp::Add, a, b) => affine(exprs, axes, *a)?.combine(&affine(exprs, axes, *b)?, 1),
        ExprData::Binary(BinaryOp::Sub, a, b) => affine(exprs, axes, *a)?.combine(&affine(exprs, axes, *b)?, -1),
        ExprData::Binary(BinaryOp::Mul, a, b) if exprs.as_int(*b).is_some() => {
            let factor = exprs.as_int(*b)?;
            Affine::constant(axes, 0).combine(&affine(exprs, axes, *a)?, factor)
        }
        _ if is_invariant(exprs, expr) => Some(Affine { terms: vec![(expr, 1)], ..Affine::constant(axes, 0) }),
        _ => None,
    }
}

/// Whether an expression is made of parameters and constants only.
fn is_invariant(exprs: &Exprs, expr: Expr) -> bool {
    match exprs.get(expr) {
        ExprData::Const(_) | ExprData::Param(..) => true,
        ExprData::Axis(_) | ExprData::Load { .. } | ExprData::Reduce { .. } | ExprData::Math(..) => false,
        _ => exprs.operands(expr).iter().all(|&e| is_invariant(exprs, e)),
    }
}

/// Row-major strides of sizes of which only the first may be unknown.
pub fn strides(dims: &[Extent]) -> Option<Vec<i64>> {
    let mut strides = vec![1i64; dims.len()];
    for i in (1..dims.len()).rev() {
        let Extent::Const(n) = dims[i] else { return None };
        strides[i - 1] = strides[i].checked_mul(n)?;
    }
    Some(strides)
}

/// The flat address of a load in its input, if it is a sum over axes.
pub fn address(compute: &Compute, input: u32, index: &[Expr]) -> Option<Affine> {
    let axes = compute.axes.len();
    let steps = strides(&compute.inputs[input as usize].dims)?;
    let mut sum = Affine::constant(axes, 0);
    for (&expr, step) in index.iter().zip(steps) {
        sum = sum.combine(&affine(&compute.exprs, axes, expr)?, step)?;
    }
    // An axis of one step does not move.
    for (stride, extent) in sum.strides.iter_mut().zip(&compute.axes) {
        if *extent == Extent::Const(1) {
            *stride = 0;
        }
    }
    Some(sum)
}

/// Whether every load of a computation has such an address.
pub fn is_affine(compute: &Compute) -> bool {
    compute.roots().iter().all(|&root| {
        !compute.any(root, &mut |data| match data {
            ExprData::Load { input, index } => address(compute, *input, index).is_none(),
            _ => false,
        })
    })
}

/// Strides of the outputs over the output axes.
pub fn output_strides(compute: &Compute) -> Option<Vec<i64>> {
    let mut steps = strides(&compute.axes[..compute.rank])?;
    for (step, extent) in steps.iter_mut().zip(&compute.axes) {
        if *extent == Extent::Const(1) {
            *step = 0;
        }
    }
    Some(steps)
}

/// The constant extent of an axis.
pub fn extent(compute: &Compute, axis: usize) -> Option<i64> {
    match compute.axes[axis] {
        Extent::Const(n) => Some(n),
        Extent::Param(_) => None,
    }
}

/// Whether axes, outermost first, make up one axis of stride `step` for these strides. Axes that do not move (of one
/// step) count for nothing.
pub fn collapses(compute: &Compute, axes: &[usize], strides: &[i64], step: i64) -> bool {
    let mut expected = step;
    for &axis in axes.iter().rev() {
        match extent(compute, axis) {
            Some(1) => continue,
            Some(n) => {
                if strides[axis] != expected {
                    return false;
                }
                expected *= n;
            }
            // Of unknown extent: only as the outermost that moves.
            None => {
                if strides[axis] != expected {
                    return false;
                }
                expected = i64::MIN;
            }
        }
    }
    true
}

/// The stride of the innermost of some axes that moves at all.
pub fn innermost_stride(compute: &Compute, axes: &[usize], strides: &[i64]) -> i64 {
    axes.iter().rev().find(|&&a| extent(compute, a) != Some(1)).map_or(0, |&a| strides[a])
}
