//! What a computation means: a plain evaluation, element by element.
//!
//! Slow and obviously right; the oracle of tests, and the constant folder of small tensors.

use crate::cascade;
use crate::compute::{Compute, Extent};
use crate::expr::{Expr, ExprData, ReduceOp};
use crate::scalar::{self, BinaryOp, Kind, Scalar};
use kiln_support::TensorData;
use kiln_support::tensor::count;

/// Why a computation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A checked index was out of range.
    Index,
    /// A math function that the interpreter cannot call.
    Math,
}

/// Runs a computation. `target` is the initial content of a scatter's target.
///
/// Panics when inputs or parameters do not fit the computation.
pub fn run(
    compute: &Compute,
    inputs: &[TensorData],
    params: &[Scalar],
    target: Option<&TensorData>,
) -> Result<Vec<TensorData>, Failure> {
    let mut machine = Machine {
        compute,
        inputs: inputs.to_vec(),
        params,
        axes: vec![0; compute.axes.len()],
        memo: vec![None; compute.exprs.len()],
        depends: dependence(compute),
        failure: None,
    };
    let extents: Vec<i64> = compute.axes[..compute.rank].iter().map(|&e| machine.extent(e)).collect();
    let results = if compute.scatter.is_some() {
        vec![machine.scatter(&extents, target.expect("a scatter has a target"))]
    } else {
        machine.outputs(&extents)
    };
    machine.failure.map_or(Ok(results), Err)
}

/// For each expression, the axes it depends on (bit mask; axes from 63 on share a bit).
fn dependence(compute: &Compute) -> Vec<u64> {
    let exprs = &compute.exprs;
    let mut masks: Vec<u64> = Vec::with_capacity(exprs.len());
    for i in 0..exprs.len() {
        let expr = Expr(i as u32);
        let mut mask = match exprs.get(expr) {
            ExprData::Axis(axis) => 1 << (*axis).min(63),
            // A scatter may load its target: never reuse a load across stores.
            ExprData::Load { .. } if compute.scatter.is_some() => u64::MAX,
            _ => 0,
        };
        for operand in exprs.operands(expr) {
            mask |= masks[operand.0 as usize];
        }
        masks.push(mask);
    }
    masks
}

struct Machine<'a> {
    compute: &'a Compute,
    inputs: Vec<TensorData>,
    params: &'a [Scalar],
    axes: Vec<i64>,
    memo: Vec<Option<Scalar>>,
    depends: Vec<u64>,
    failure: Option<Failure>,
}

impl Machine<'_> {
    fn extent(&self, extent: Extent) -> i64 {
        match extent {
            Extent::Const(n) => n,
            Extent::Param(p) => self.params[p as usize].as_int(),
        }
    }

    fn set_axis(&mut self, axis: usize, index: i64) {
        if self.axes[axis] == index {
            return;
        }
        self.axes[axis] = index;
        let bit = 1u64 << axis.min(63);
        for (slot, mask) in self.memo.iter_mut().zip(&self.depends) {
            if mask & bit != 0 {
                *slot = None;
            }
        }
    }

    fn outputs(&mut self, extents: &[i64]) -> Vec<TensorData> {
        let compute = self.compute;
        let mut buffers: Vec<Vec<u8>> =
            compute.outputs.iter().map(|o| Vec::with_capacity(count(extents) * o.dtype.size())).collect();
        self.for_each(extents, &mut |machine| {
            for (output, buffer) in compute.outputs.iter().zip(&mut buffers) {
                machine.eval(output.value).write(output.dtype, buffer);
            }
        });
        if self.failure.is_some() {
            // The buffers are not full.
            return Vec::new();
        }
        let outputs = compute.outputs.iter().zip(buffers);
        outputs.map(|(o, bytes)| TensorData::new(o.dtype, extents.to_vec(), bytes)).collect()
    }

    fn scatter(&mut self, extents: &[i64], target: &TensorData) -> TensorData {
        let scatter = self.compute.scatter.as_ref().expect("checked");
        let dims: Vec<i64> = scatter.dims.iter().map(|&e| self.extent(e)).collect();
        let mut bytes = target.bytes.to_vec();
        let size = scatter.dtype.size();
        let loads_target = self.inputs.first().is_some_and(|i| i.shape == dims && i.dtype == scatter.dtype);
        self.for_each(extents, &mut |machine| {
            machine.memo.iter_mut().for_each(|slot| *slot = None);
            if scatter.guard.is_some_and(|guard| !machine.eval(guard).as_bool()) {
                return;
            }
            let index: Vec<i64> = scatter.index.iter().map(|&e| machine.eval(e).as_int()).collect();
            if machine.failure.is_some() {
                return;
            }
            let at = flat(&index, &dims) * size;
            let value = machine.eval(scatter.value);
            let mut element = Vec::with_capacity(size);
            value.write(scatter.dtype, &mut element);
            bytes[at..at + size].copy_from_slice(&element);
            if loads_target {
                machine.inputs[0] = TensorData::new(scatter.dtype, dims.clone(), bytes.as_slice());
            }
        });
        TensorData::new(scatter.dtype, dims, bytes)
    }

    fn for_each(&mut self, extents: &[i64], body: &mut dyn FnMut(&mut Self)) {
        for flat in 0..count(extents) as i64 {
            if self.failure.is_some() {
                return;
            }
            let mut rest = flat;
            for axis in (0..extents.len()).rev() {
                let index = rest % extents[axis];
                rest /= extents[axis];
                self.set_axis(axis, index);
            }
            body(self);
        }
    }

    fn eval(&mut self, expr: Expr) -> Scalar {
        if let Some(value) = self.memo[expr.0 as usize] {
            return value;
        }
        let value = self.compute_value(expr);
        self.memo[expr.0 as usize] = Some(value);
        value
    }

    fn compute_value(&mut self, expr: Expr) -> Scalar {
        let compute = self.compute;
        match compute.exprs.get(expr) {
            ExprData::Const(value) => *value,
            ExprData::Axis(axis) => Scalar::Int(self.axes[*axis as usize]),
            ExprData::Param(param, kind) => self.params[*param as usize].to_kind(*kind),
            ExprData::Load { input, index } => self.load(*input as usize, index, compute.exprs.kind(expr)),
            ExprData::Unary(op, x) => scalar::unary(*op, self.eval(*x)),
            ExprData::Binary(op, a, b) => {
                let a = self.eval(*a);
                scalar::binary(*op, a, self.eval(*b))
            }
            ExprData::Math(op, args) => {
                let args: Vec<Scalar> = args.iter().map(|&a| self.eval(a)).collect();
                self.math(op.0, &args)
            }
            ExprData::Select(test, yes, no) => {
                let chosen = if self.eval(*test).as_bool() { *yes } else { *no };
                self.eval(chosen)
            }
            ExprData::Cast(dtype, x) => self.eval(*x).cast(*dtype),
            ExprData::Check { index, size } => self.check(*index, *size),
            ExprData::Reduce { op, axes, body } => self.reduce(*op, axes, *body),
        }
    }

    fn load(&mut self, input: usize, index: &[Expr], kind: Kind) -> Scalar {
        let index: Vec<i64> = index.iter().map(|&e| self.eval(e).as_int()).collect();
        let tensor = &self.inputs[input];
        if self.failure.is_some() || tensor.is_empty() {
            return Scalar::Int(0).to_kind(kind);
        }
        let at = flat(&index, &tensor.shape) * tensor.dtype.size();
        Scalar::read(tensor.dtype, &tensor.bytes[at..at + tensor.dtype.size()])
    }

    fn math(&mut self, name: &str, args: &[Scalar]) -> Scalar {
        let kind = args[0].kind();
        match call_math(name, args) {
            Some(value) => value,
            None => {
                self.failure = Some(Failure::Math);
                Scalar::Int(0).to_kind(kind)
            }
        }
    }

    fn check(&mut self, index: Expr, size: Expr) -> Scalar {
        let (index, size) = (self.eval(index).as_int(), self.eval(size).as_int());
        if index < 0 || index >= size {
            self.failure = Some(Failure::Index);
            return Scalar::Int(0);
        }
        Scalar::Int(index)
    }

    fn reduce(&mut self, op: ReduceOp, axes: &[u32], body: Expr) -> Scalar {
        let extents: Vec<i64> = axes.iter().map(|&a| self.extent(self.compute.axes[a as usize])).collect();
        let kind = self.compute.exprs.kind(body);
        let mut accumulator = Accumulator::new(op, kind);
        for flat in 0..count(&extents) as i64 {
            let mut rest = flat;
            for (at, &axis) in axes.iter().enumerate().rev() {
                self.set_axis(axis as usize, rest % extents[at]);
                rest /= extents[at];
            }
            let value = self.eval(body);
            accumulator.add(flat, value);
        }
        accumulator.finish()
    }
}

/// Row-major flat index.
fn flat(index: &[i64], dims: &[i64]) -> usize {
    let flat = index.iter().zip(dims).fold(0, |flat, (i, d)| {
        assert!((0..*d).contains(i), "index {index:?} is outside {dims:?}");
        flat * d + i
    });
    flat as usize
}

/// Calls a function of the runtime's scalar library, in its 32-bit or 64-bit form.
pub fn call_math(name: &str, args: &[Scalar]) -> Option<Scalar> {
    let is_f32 = args[0].kind() == Kind::F32;
    let symbol = format!("kiln_rt1_{name}_{}", if is_f32 { "f32" } else { "f64" });
    let address = kiln_rt::SYMBOLS.iter().find(|s| s.name == symbol)?.address as *const u8;
    // SAFETY: the runtime's scalar functions of this naming take one to three floats of the suffix's type and
    // return one; the table gives their addresses.
    unsafe {
        match (is_f32, args) {
            (true, [x]) => {
                let f: extern "C" fn(f32) -> f32 = std::mem::transmute(address);
                Some(Scalar::F32(f(x.as_f32())))
            }
            (true, [x, y]) => {
                let f: extern "C" fn(f32, f32) -> f32 = std::mem::transmute(address);
                Some(Scalar::F32(f(x.as_f32(), y.as_f32())))
            }
            (true, [x, y, z]) => {
                let f: extern "C" fn(f32, f32, f32) -> f32 = std::mem::transmute(address);
                Some(Scalar::F32(f(x.as_f32(), y.as_f32(), z.as_f32())))
            }
            (false, [x]) => {
                let f: extern "C" fn(f64) -> f64 = std::mem::transmute(address);
                Some(Scalar::F64(f(x.as_f64())))
            }
            (false, [x, y]) => {
                let f: extern "C" fn(f64, f64) -> f64 = std::mem::transmute(address);
                Some(Scalar::F64(f(x.as_f64(), y.as_f64())))
            }
            _ => None,
        }
    }
}

/// The state of a reduction.
struct Accumulator {
    op: ReduceOp,
    kind: Kind,
    /// Sums of binary32 are kept in binary64.
    wide: f64,
    value: Scalar,
    index: i64,
    /// All elements, of a sum whose order depends on how many they are.
    elements: Vec<f32>,
}

impl Accumulator {
    fn new(op: ReduceOp, kind: Kind) -> Accumulator {
        Accumulator {
            op,
            kind,
            wide: if op == ReduceOp::Prod { 1.0 } else { 0.0 },
            value: neutral(op, kind),
            index: 0,
            elements: Vec::new(),
        }
    }

    fn add(&mut self, at: i64, value: Scalar) {
        let op = match self.op {
            ReduceOp::Sum if self.kind.is_float() => {
                self.wide += value.as_f64();
                return;
            }
            ReduceOp::Prod if self.kind.is_float() => {
                self.wide *= value.as_f64();
                return;
            }
            ReduceOp::CascadeSum => return self.elements.push(value.as_f32()),
            ReduceOp::ArgMax | ReduceOp::ArgMin => return self.add_arg(at, value),
            ReduceOp::Sum | ReduceOp::SerialSum => BinaryOp::Add,
            ReduceOp::Prod => BinaryOp::Mul,
            ReduceOp::Max => BinaryOp::Max,
            ReduceOp::Min => BinaryOp::Min,
            ReduceOp::Any => BinaryOp::Or,
            ReduceOp::All => BinaryOp::And,
            ReduceOp::Xor => BinaryOp::Xor,
        };
        self.value = scalar::binary(op, self.value, value);
    }

    fn add_arg(&mut self, at: i64, value: Scalar) {
        let best = self.value.as_f64();
        let is_better = if let (Scalar::Int(a), Scalar::Int(b)) = (value, self.value) {
            if self.op == ReduceOp::ArgMax { a > b } else { a < b }
        } else {
            let x = value.as_f64();
            !best.is_nan() && (x.is_nan() || if self.op == ReduceOp::ArgMax { x > best } else { x < best })
        };
        if at == 0 || is_better {
            self.value = value;
            self.index = at;
        }
    }

    fn finish(self) -> Scalar {
        match self.op {
            ReduceOp::Sum | ReduceOp::Prod if self.kind.is_float() => Scalar::F64(self.wide).to_kind(self.kind),
            ReduceOp::CascadeSum => Scalar::F32(cascade::sum(&self.elements)),
            ReduceOp::ArgMax | ReduceOp::ArgMin => Scalar::Int(self.index),
            _ => self.value,
        }
    }
}

/// The neutral element of a reduction: what the empty one gives.
pub fn neutral(op: ReduceOp, kind: Kind) -> Scalar {
    let number = match op {
        ReduceOp::Sum | ReduceOp::SerialSum | ReduceOp::CascadeSum | ReduceOp::Xor | ReduceOp::Any => 0.0,
        ReduceOp::Prod | ReduceOp::All => 1.0,
        ReduceOp::Max | ReduceOp::ArgMax if kind == Kind::Int => return Scalar::Int(i64::MIN),
        ReduceOp::Min | ReduceOp::ArgMin if kind == Kind::Int => return Scalar::Int(i64::MAX),
        ReduceOp::Max | ReduceOp::ArgMax => f64::NEG_INFINITY,
        ReduceOp::Min | ReduceOp::ArgMin => f64::INFINITY,
    };
    match kind {
        Kind::Bool => Scalar::Bool(matches!(op, ReduceOp::Prod | ReduceOp::All | ReduceOp::Min | ReduceOp::ArgMin)),
        _ => Scalar::F64(number).to_kind(kind),
    }
}
