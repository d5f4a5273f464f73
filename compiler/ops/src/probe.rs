//! Asking an operator's element function what it loads, instead of listing operators by name.

use crate::element::{Element, ElementSource, broadcast_index};
use crate::entry::{Body, Entry};
use crate::infer::Fact;
use kiln_graph::{Dim, TensorType, Value};
use kiln_loops::{Expr, ExprData, Exprs, Kind};

/// Whether each element of the results depends only on the operands' elements at the same (broadcast) index.
pub fn is_pointwise(entry: &Entry, facts: &[Fact], results: &[TensorType]) -> bool {
    let Body::Tensor { element, .. } = entry.body else { return false };
    let Some(first) = results.first() else { return false };
    if results.iter().any(|r| r.dims != first.dims) {
        return false;
    }
    let mut probe =
        Probe { exprs: Exprs::default(), dims: facts.iter().map(dims_of).collect(), index: Vec::new(), pointwise: true };
    probe.exprs.axis_extents = first.dims.iter().map(|d| d.as_const()).collect();
    probe.index = (0..first.rank() as u32).map(|i| probe.exprs.intern(ExprData::Axis(i))).collect();
    let index = probe.index.clone();
    let mut roots = Vec::new();
    for output in 0..results.len() {
        roots.push(element(&mut Element { args: facts, results, source: &mut probe }, output, &index));
    }
    probe.pointwise && roots.iter().all(|&root| !depends_on_index(&probe.exprs, root))
}

fn dims_of(fact: &Fact) -> Option<(kiln_support::DType, Vec<Dim>)> {
    match fact {
        Fact::Tensor(ty) => Some((ty.dtype, ty.dims.clone())),
        _ => None,
    }
}

/// Whether a value is computed from the index itself (other than through loads).
fn depends_on_index(exprs: &Exprs, root: Expr) -> bool {
    match exprs.get(root) {
        ExprData::Axis(_) => true,
        ExprData::Load { .. } => false,
        _ => exprs.operands(root).into_iter().any(|e| depends_on_index(exprs, e)),
    }
}

struct Probe {
    exprs: Exprs,
    dims: Vec<Option<(kiln_support::DType, Vec<Dim>)>>,
    index: Vec<Expr>,
    pointwise: bool,
}

impl ElementSource for Probe {
    fn exprs(&mut self) -> &mut Exprs {
        &mut self.exprs
    }

    fn load(&mut self, arg: usize, item: Option<usize>, index: &[Expr]) -> Expr {
        let Some((dtype, dims)) = self.dims[arg].clone().filter(|_| item.is_none()) else {
            self.pointwise = false;
            return self.exprs.int(0);
        };
        let own = broadcast_index(&mut self.exprs, &dims, &self.index.clone());
        // An axis of size 1 is read at 0 or at its index, which is 0.
        let skip = self.index.len().saturating_sub(dims.len());
        let is_own = |(at, (a, b)): (usize, (&Expr, &Expr))| a == b || (dims[at] == Dim::Const(1) && *b == self.index[skip + at]);
        self.pointwise &= own.len() == index.len() && own.iter().zip(index).enumerate().all(is_own);
        while self.exprs.input_dtypes.len() <= arg {
            self.exprs.input_dtypes.push(dtype);
        }
        self.exprs.input_dtypes[arg] = dtype;
        // The kind of a load is settled when it is made: one input number per element type is enough here.
        self.exprs.intern(ExprData::Load { input: arg as u32, index: own })
    }

    fn param(&mut self, value: Value, kind: Kind) -> Expr {
        self.exprs.intern(ExprData::Param(value.0, kind))
    }

    fn reduction_axis(&mut self, extent: Dim) -> u32 {
        self.pointwise = false;
        self.exprs.axis_extents.push(extent.as_const());
        self.exprs.axis_extents.len() as u32 - 1
    }

    fn target(&mut self, _: &[Expr]) -> Expr {
        self.pointwise = false;
        self.exprs.int(0)
    }
}
