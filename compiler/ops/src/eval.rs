//! The reference evaluation of core operators on known tensors: their element functions, interpreted.

use crate::element::{Element, ElementSource};
use crate::entry::{Body, Entry};
use crate::infer::{DimMath, Fact, Infer};
use kiln_graph::{Dim, TensorType, Value};
use kiln_loops::interpret;
use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Exprs, Extent, Input, Kind, Output, Scalar, Scatter};
use kiln_support::TensorData;
use std::collections::HashMap;

/// Tensors among an operator's arguments: by argument, and by item of a list.
pub type Inputs = HashMap<(usize, Option<usize>), TensorData>;

/// Evaluates an operator whose arguments are all known. Nothing where it is too much work (`limit` counts
/// elements, those under reductions included), an algorithm of the runtime, or where a check fails.
pub fn eval(entry: &Entry, facts: &[Fact], results: &[TensorType], inputs: &Inputs, limit: i64) -> Option<Vec<TensorData>> {
    let mut source = Source { compute: Compute::default(), inputs, used: Vec::new(), target: None };
    let shape = match entry.body {
        Body::Tensor { .. } | Body::View { .. } => results.first()?.const_shape()?,
        Body::Scatter { scatter, .. } => {
            let mut dims = NoDims;
            (scatter.domain)(&Infer { args: facts, dims: &mut dims })
                .iter()
                .map(|d| d.as_const())
                .collect::<Option<Vec<i64>>>()?
        }
        _ => return None,
    };
    if results.iter().any(|r| r.dims != results[0].dims) {
        return None;
    }
    let index = source.axes(&shape);
    let target = match entry.body {
        Body::Tensor { element, .. } | Body::View { element, .. } => {
            for (i, ty) in results.iter().enumerate() {
                let value = element(&mut Element { args: facts, results, source: &mut source }, i, &index);
                source.compute.outputs.push(Output { dtype: ty.dtype, value });
            }
            None
        }
        Body::Scatter { scatter, .. } => Some(source.scatter(scatter.store, facts, results, &index)?),
        _ => return None,
    };
    let work: i64 = source.compute.axes.iter().map(|e| if let Extent::Const(n) = e { *n } else { i64::MAX }).product();
    if work > limit {
        return None;
    }
    let used: Vec<TensorData> = source.used.iter().map(|key| inputs[key].clone()).collect();
    interpret::run(&source.compute, &used, &[], target.as_ref()).ok()
}

/// Arithmetic on constants only.
struct NoDims;

impl DimMath for NoDims {
    fn binary(&mut self, op: BinaryOp, a: Dim, b: Dim) -> Dim {
        match (a, b) {
            (Dim::Const(a), Dim::Const(b)) => Dim::Const(kiln_loops::scalar::binary(op, Scalar::Int(a), Scalar::Int(b)).as_int()),
            _ => panic!("a size known only at run time among known tensors"),
        }
    }

    fn broadcast(&mut self, a: Dim, b: Dim, _: &str) -> Dim {
        panic!("sizes {a} and {b} among known tensors")
    }

    fn require_equal(&mut self, a: Dim, b: Dim, message: &str) {
        assert_eq!(a, b, "{message}");
    }
}

struct Source<'a> {
    compute: Compute,
    inputs: &'a Inputs,
    used: Vec<(usize, Option<usize>)>,
    target: Option<u32>,
}

impl Source<'_> {
    fn axes(&mut self, shape: &[i64]) -> Vec<Expr> {
        self.compute.rank = shape.len();
        self.compute.axes = shape.iter().map(|&n| Extent::Const(n)).collect();
        self.compute.exprs.axis_extents = shape.iter().map(|&n| Some(n)).collect();
        (0..shape.len() as u32).map(|i| self.compute.exprs.intern(ExprData::Axis(i))).collect()
    }

    fn input(&mut self, key: (usize, Option<usize>)) -> u32 {
        if let Some(at) = self.used.iter().position(|k| *k == key) {
            return at as u32;
        }
        let data = &self.inputs[&key];
        self.compute.inputs.push(Input { dtype: data.dtype, dims: data.shape.iter().map(|&n| Extent::Const(n)).collect() });
        self.compute.exprs.input_dtypes.push(data.dtype);
        self.used.push(key);
        self.used.len() as u32 - 1
    }

    fn scatter(
        &mut self,
        store: fn(&mut Element, &[Expr]) -> crate::entry::ScatterStore,
        facts: &[Fact],
        results: &[TensorType],
        index: &[Expr],
    ) -> Option<TensorData> {
        let target = self.inputs.get(&(0, None))?.clone();
        // The target is input 0, so that the interpreter shows stores to later loads.
        self.target = Some(self.input((0, None)));
        let store = store(&mut Element { args: facts, results, source: self }, index);
        let dims = target.shape.iter().map(|&n| Extent::Const(n)).collect();
        self.compute.scatter =
            Some(Scatter { dtype: target.dtype, dims, index: store.index, value: store.value, guard: store.guard });
        Some(target)
    }
}

impl ElementSource for Source<'_> {
    fn exprs(&mut self) -> &mut Exprs {
        &mut self.compute.exprs
    }

    fn load(&mut self, arg: usize, item: Option<usize>, index: &[Expr]) -> Expr {
        let input = self.input((arg, item));
        self.compute.exprs.intern(ExprData::Load { input, index: index.to_vec() })
    }

    fn param(&mut self, _: Value, _: Kind) -> Expr {
        panic!("a run-time scalar among known tensors")
    }

    fn reduction_axis(&mut self, extent: Dim) -> u32 {
        let n = extent.as_const().expect("known tensors have known sizes");
        self.compute.axes.push(Extent::Const(n));
        self.compute.exprs.axis_extents.push(Some(n));
        self.compute.axes.len() as u32 - 1
    }

    fn target(&mut self, index: &[Expr]) -> Expr {
        let input = self.target.expect("only scatters load their target");
        self.compute.exprs.intern(ExprData::Load { input, index: index.to_vec() })
    }
}
