//! A tensor computation: one nest of loops.
//!
//! The axes are numbered: first the output axes, which every output is indexed by, then the axes of
//! reductions. An output element is an expression of the output axes. Inputs and outputs are
//! contiguous in row-major order; every view has been folded into the indices of loads.

use crate::expr::{Expr, ExprData, Exprs, ReduceOp};
use crate::scalar::{BinaryOp, Kind};
use kiln_support::DType;
use std::hash::{Hash, Hasher};

/// A size: constant, or an int parameter of the computation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Extent {
    /// Known when compiling.
    Const(i64),
    /// The parameter of this number.
    Param(u32),
}

/// An input tensor.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Input {
    /// Element type.
    pub dtype: DType,
    /// Sizes, outermost first.
    pub dims: Vec<Extent>,
}

/// An output tensor of the nest's output axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Output {
    /// Element type; the value is cast to it when it is stored.
    pub dtype: DType,
    /// The element.
    pub value: Expr,
}

/// A store at computed indices, for results that are written out of order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scatter {
    /// Element type of the target.
    pub dtype: DType,
    /// Sizes of the target, outermost first. The target holds valid elements before the nest runs.
    pub dims: Vec<Extent>,
    /// Where to store: one index per dimension of the target, checked by the expressions themselves.
    pub index: Vec<Expr>,
    /// What to store. It may use `Load` of input 0, which is then the target itself, at the stored index only.
    pub value: Expr,
    /// Stored only where this bool holds, if present.
    pub guard: Option<Expr>,
}

/// A nest of loops.
#[derive(Clone, Debug, Default)]
pub struct Compute {
    /// What it does, for symbols and dumps: the operators fused into it, such as `conv_relu`.
    pub name: String,
    /// Inputs.
    pub inputs: Vec<Input>,
    /// Kinds of the scalar parameters.
    pub params: Vec<Kind>,
    /// Extents of all axes: output axes first.
    pub axes: Vec<Extent>,
    /// How many axes are output axes.
    pub rank: usize,
    /// Expressions.
    pub exprs: Exprs,
    /// Outputs, each of `axes[..rank]` elements in row-major order. Empty for a scatter.
    pub outputs: Vec<Output>,
    /// The scatter, run over `axes[..rank]` in row-major order, if this is one. Its target is the only
    /// output buffer.
    pub scatter: Option<Scatter>,
}

/// What two computations must share to be the same code. Names do not count.
pub struct ComputeKey<'a>(pub &'a Compute);

impl ComputeKey<'_> {
    fn reachable(&self) -> Vec<&ExprData> {
        let compute = self.0;
        (0..compute.exprs.len() as u32).map(|i| compute.exprs.get(Expr(i))).collect()
    }
}

impl PartialEq for ComputeKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.0, other.0);
        a.inputs == b.inputs
            && a.params == b.params
            && a.axes == b.axes
            && a.rank == b.rank
            && a.outputs == b.outputs
            && a.scatter == b.scatter
            && self.reachable() == other.reachable()
    }
}

impl Eq for ComputeKey<'_> {}

impl Hash for ComputeKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let compute = self.0;
        (&compute.inputs, &compute.params, &compute.axes, compute.rank, &compute.outputs, &compute.scatter).hash(state);
        self.reachable().hash(state);
    }
}

impl Compute {
    /// Whether it can fail: whether a `Check` is in it.
    pub fn can_fail(&self) -> bool {
        self.roots().iter().any(|&root| self.any(root, &mut |data| matches!(data, ExprData::Check { .. })))
    }

    /// The expressions that are stored or decide where.
    pub fn roots(&self) -> Vec<Expr> {
        let mut roots: Vec<Expr> = self.outputs.iter().map(|o| o.value).collect();
        if let Some(scatter) = &self.scatter {
            roots.extend(scatter.guard);
            roots.extend(&scatter.index);
            roots.push(scatter.value);
        }
        roots
    }

    /// Whether some expression under `root` (itself included) satisfies `test`.
    pub fn any(&self, root: Expr, test: &mut dyn FnMut(&ExprData) -> bool) -> bool {
        let mut seen = vec![false; self.exprs.len()];
        let mut work = vec![root];
        while let Some(expr) = work.pop() {
            if std::mem::replace(&mut seen[expr.0 as usize], true) {
                continue;
            }
            if test(self.exprs.get(expr)) {
                return true;
            }
            work.extend(self.exprs.operands(expr));
        }
        false
    }

    /// The same values over other axes: `axis` gives what an index is in terms of them. Axes that are reduced keep their numbers.
    #[must_use]
    pub fn with_axes(&self, axes: Vec<Extent>, rank: usize, axis: &dyn Fn(&mut Exprs, u32) -> Expr) -> Compute {
        self.rebuilt(axes, rank, self.inputs.clone(), axis, &same_load, &same_reduction)
    }

    /// The same computation over other inputs: `load` gives what an element of a present one is in terms of them.
    #[must_use]
    pub fn with_inputs(&self, inputs: Vec<Input>, load: &dyn Fn(&mut Exprs, u32, Vec<Expr>) -> Expr) -> Compute {
        self.rebuilt(self.axes.clone(), self.rank, inputs, &same_axis, load, &same_reduction)
    }

    /// The same computation in strict numerics: sums of binary32 have an order, and each of their steps is rounded. Those of products of two
    /// elements are taken one after the other, others as PyTorch sums a row.
    #[must_use]
    pub fn strict(&self) -> Compute {
        let product = |body: Expr| match self.exprs.get(body) {
            ExprData::Binary(BinaryOp::Mul, a, b) => {
                a != b && [*a, *b].into_iter().all(|e| self.any(e, &mut |data| matches!(data, ExprData::Load { .. })))
            }
            _ => false,
        };
        let reduce = |op, body| match op {
            ReduceOp::Sum if self.exprs.kind(body) == Kind::F32 && product(body) => ReduceOp::SerialSum,
            ReduceOp::Sum if self.exprs.kind(body) == Kind::F32 => ReduceOp::CascadeSum,
            op => op,
        };
        self.rebuilt(self.axes.clone(), self.rank, self.inputs.clone(), &same_axis, &same_load, &reduce)
    }

    fn rebuilt(
        &self,
        axes: Vec<Extent>,
        rank: usize,
        inputs: Vec<Input>,
        axis: &dyn Fn(&mut Exprs, u32) -> Expr,
        load: &dyn Fn(&mut Exprs, u32, Vec<Expr>) -> Expr,
        reduce: &dyn Fn(ReduceOp, Expr) -> ReduceOp,
    ) -> Compute {
        let constant = |extent: &Extent| match extent {
            Extent::Const(n) => Some(*n),
            Extent::Param(_) => None,
        };
        let mut exprs = Exprs::default();
        exprs.input_dtypes = inputs.iter().map(|i| i.dtype).collect();
        exprs.axis_extents = axes.iter().map(constant).collect();
        // Operands stand before their users.
        let mut new: Vec<Expr> = Vec::with_capacity(self.exprs.len());
        for old in (0..self.exprs.len() as u32).map(Expr) {
            let of = |e: &Expr| new[e.0 as usize];
            let made = match self.exprs.get(old) {
                ExprData::Axis(number) => axis(&mut exprs, *number),
                ExprData::Const(value) => exprs.constant(*value),
                ExprData::Unary(op, x) => exprs.unary(*op, of(x)),
                ExprData::Binary(op, a, b) => exprs.binary(*op, of(a), of(b)),
                ExprData::Math(op, args) => exprs.math(op.0, args.iter().map(of).collect()),
                ExprData::Select(test, yes, no) => exprs.select(of(test), of(yes), of(no)),
                ExprData::Cast(dtype, x) => exprs.cast(*dtype, of(x)),
                ExprData::Load { input, index } => {
                    let index = index.iter().map(of).collect();
                    load(&mut exprs, *input, index)
                }
                ExprData::Check { index, size } => exprs.intern(ExprData::Check { index: of(index), size: of(size) }),
                ExprData::Reduce { op, axes, body } => {
                    exprs.intern(ExprData::Reduce { op: reduce(*op, *body), axes: axes.clone(), body: of(body) })
                }
                data @ ExprData::Param(..) => exprs.intern(data.clone()),
            };
            new.push(made);
        }
        let outputs = self.outputs.iter().map(|o| Output { value: new[o.value.0 as usize], ..o.clone() }).collect();
        let scatter = self.scatter.as_ref().map(|s| Scatter {
            guard: s.guard.map(|e| new[e.0 as usize]),
            index: s.index.iter().map(|e| new[e.0 as usize]).collect(),
            value: new[s.value.0 as usize],
            ..s.clone()
        });
        Compute { axes, rank, inputs, exprs, outputs, scatter, ..self.clone() }
    }
}

fn same_axis(exprs: &mut Exprs, axis: u32) -> Expr {
    exprs.intern(ExprData::Axis(axis))
}

fn same_load(exprs: &mut Exprs, input: u32, index: Vec<Expr>) -> Expr {
    exprs.intern(ExprData::Load { input, index })
}

fn same_reduction(op: ReduceOp, _: Expr) -> ReduceOp {
    op
}
