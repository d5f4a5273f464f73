//! Random computations and inputs for them, the same for the same seed.
//!
//! Indices of loads are inside the input by construction: an axis of the same extent, perhaps reversed, a constant,
//! a remainder, a checked or a guarded expression.

use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Exprs, Extent, Input, Kind, Output, ReduceOp, Scalar, Scatter, UnaryOp};
use kiln_support::tensor::{Number, count};
use kiln_support::{DType, TensorData};

/// A case: a computation and what to run it on.
pub struct Case {
    pub compute: Compute,
    pub inputs: Vec<TensorData>,
    pub params: Vec<Scalar>,
    pub target: Option<TensorData>,
}

/// A linear congruential generator, Knuth's constants.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = self.0 ^ self.0 >> 29;
        x.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ x >> 32
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn int(&mut self) -> i64 {
        match self.below(6) {
            0 => self.next() as i64,
            1 => self.pick(&[i64::MIN, i64::MAX, 0, -1, 1, 255, 256, -129, 65536, 63, 64]),
            2 => self.next() as i32 as i64,
            _ => self.below(17) as i64 - 8,
        }
    }

    fn float(&mut self) -> f64 {
        match self.below(8) {
            0 => self.pick(&[
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                0.0,
                -0.0,
                65504.0,
                65520.0,
                1e-7,
                6e-5,
                9.3e18,
                -9.3e18,
                2.5,
                -2.5,
                0.5,
                -0.5,
                8388609.0,
            ]),
            1 => f64::from(f32::from_bits(self.next() as u32)),
            2 => self.int() as f64,
            _ => (self.below(4001) as f64 - 2000.0) / 250.0,
        }
    }

    fn scalar(&mut self, kind: Kind) -> Scalar {
        match kind {
            Kind::Bool => Scalar::Bool(self.chance(50)),
            Kind::Int => Scalar::Int(self.int()),
            Kind::F32 => Scalar::F32(self.float() as f32),
            Kind::F64 => Scalar::F64(self.float()),
        }
    }

    fn tensor(&mut self, dtype: DType, shape: &[i64]) -> TensorData {
        let numbers: Vec<Number> = (0..count(shape))
            .map(|_| match Kind::of(dtype) {
                Kind::Bool => Number::Bool(self.chance(50)),
                Kind::Int => Number::Int(self.int()),
                _ => Number::Float(self.float()),
            })
            .collect();
        TensorData::from_numbers(dtype, shape, numbers)
    }
}

/// The generator of one computation.
struct Builder<'r> {
    random: &'r mut Random,
    compute: Compute,
    params: Vec<Scalar>,
    /// Axes that may be used now.
    scope: Vec<u32>,
    may_check: bool,
    /// Whether functions of the runtime's scalar library may be called.
    may_call: bool,
}

/// A random case.
pub fn case(seed: u64, may_call: bool) -> Case {
    let mut random = Random::new(seed);
    let mut builder = Builder {
        random: &mut random,
        compute: Compute { name: "random".into(), ..Compute::default() },
        params: Vec::new(),
        scope: Vec::new(),
        may_check: false,
        may_call,
    };
    builder.may_check = builder.random.chance(30);
    builder.axes();
    builder.inputs();
    let scatter = builder.random.chance(15);
    if scatter {
        builder.scatter()
    } else {
        builder.outputs()
    }
    let Builder { compute, params, .. } = builder;
    let shape = |dims: &[Extent]| -> Vec<i64> { dims.iter().map(|&e| super::extent(e, &params)).collect() };
    let inputs: Vec<TensorData> = compute.inputs.iter().map(|i| random.tensor(i.dtype, &shape(&i.dims))).collect();
    let target = compute.scatter.as_ref().map(|s| {
        let dims = shape(&s.dims);
        let is_input = compute.inputs.first().is_some_and(|i| i.dtype == s.dtype && shape(&i.dims) == dims);
        if is_input { inputs[0].clone() } else { random.tensor(s.dtype, &dims) }
    });
    Case { compute, inputs, params, target }
}

impl Builder<'_> {
    fn exprs(&mut self) -> &mut Exprs {
        &mut self.compute.exprs
    }

    fn param(&mut self, value: Scalar) -> u32 {
        self.compute.params.push(value.kind());
        self.params.push(value);
        self.params.len() as u32 - 1
    }

    fn extent(&mut self) -> Extent {
        let n = self.random.pick(&[0, 1, 1, 2, 3, 3, 4, 5, 7]);
        if self.random.chance(35) {
            Extent::Param(self.param(Scalar::Int(n)))
        } else {
            Extent::Const(n.max(i64::from(self.random.chance(80))))
        }
    }

    fn axes(&mut self) {
        self.compute.rank = self.random.below(4);
        let reductions = self.random.below(3);
        for _ in 0..self.compute.rank + reductions {
            let extent = self.extent();
            self.compute.axes.push(extent);
        }
        let known = self.compute.axes.iter().map(|e| match e {
            Extent::Const(n) => Some(*n),
            Extent::Param(_) => None,
        });
        let known: Vec<_> = known.collect();
        self.exprs().axis_extents = known;
        self.scope = (0..self.compute.rank as u32).collect();
    }

    fn inputs(&mut self) {
        for _ in 0..1 + self.random.below(3) {
            let dtype = self.random.pick(&DType::ALL);
            let rank = self.random.below(4);
            let dims = (0..rank).map(|_| self.dim()).collect();
            self.compute.inputs.push(Input { dtype, dims });
            self.exprs().input_dtypes.push(dtype);
        }
    }

    /// A size: that of an axis, or one of its own.
    fn dim(&mut self) -> Extent {
        let axes = self.compute.axes.len();
        if axes > 0 && self.random.chance(70) {
            let at = self.random.below(axes);
            return self.compute.axes[at];
        }
        Extent::Const(1 + self.random.below(6) as i64)
    }

    fn outputs(&mut self) {
        for _ in 0..1 + self.random.below(2) {
            let dtype = self.random.pick(&DType::ALL);
            let kind = self.random.pick(&[Kind::Bool, Kind::Int, Kind::F32, Kind::F64]);
            let value = self.expr(kind, 5);
            self.compute.outputs.push(Output { dtype, value });
        }
    }

    /// A scatter onto the first input's shape, or onto one of its own.
    fn scatter(&mut self) {
        let (dtype, dims) = if self.random.chance(60) && !self.compute.inputs.is_empty() {
            (self.compute.inputs[0].dtype, self.compute.inputs[0].dims.clone())
        } else {
            (self.random.pick(&DType::ALL), vec![Extent::Const(4), Extent::Const(3)])
        };
        let guarded = self.random.chance(30);
        let guard = guarded.then(|| self.expr(Kind::Bool, 2));
        let is_target = self.compute.inputs.first().is_some_and(|i| i.dtype == dtype && i.dims == dims);
        // Sizes that may be 0 need a checked index.
        let mut index = Vec::new();
        for &dim in &dims {
            let inner = self.expr(Kind::Int, 2);
            let size = self.size(dim);
            index.push(match dim {
                Extent::Const(n) if n > 0 => self.exprs().intern(ExprData::Binary(BinaryOp::Mod, inner, size)),
                _ => self.exprs().intern(ExprData::Check { index: inner, size }),
            });
        }
        let kind = Kind::of(dtype);
        let mut value = self.expr(kind, 3);
        if is_target && kind != Kind::Bool && self.random.chance(60) {
            let old = self.exprs().intern(ExprData::Load { input: 0, index: index.clone() });
            value = self.exprs().intern(ExprData::Binary(BinaryOp::Add, old, value));
        }
        self.compute.scatter = Some(Scatter { dtype, dims, index, value, guard });
    }

    fn size(&mut self, extent: Extent) -> Expr {
        match extent {
            Extent::Const(n) => self.exprs().int(n),
            Extent::Param(p) => self.exprs().intern(ExprData::Param(p, Kind::Int)),
        }
    }

    fn expr(&mut self, kind: Kind, depth: usize) -> Expr {
        if depth == 0 {
            return self.leaf(kind);
        }
        match self.random.below(20) {
            0..4 => self.leaf(kind),
            4..7 => self.load(kind, depth),
            7 | 8 => self.select(kind, depth),
            9 | 10 => self.reduce(kind, depth),
            11 => self.cast(kind, depth),
            12..15 => self.unary(kind, depth),
            _ => self.binary(kind, depth),
        }
    }

    fn leaf(&mut self, kind: Kind) -> Expr {
        match self.random.below(4) {
            0 if kind == Kind::Int && !self.scope.is_empty() => {
                let axis = self.random.pick(&self.scope.clone());
                self.exprs().intern(ExprData::Axis(axis))
            }
            1 => {
                let value = self.random.scalar(kind);
                let param = self.param(value);
                self.exprs().intern(ExprData::Param(param, kind))
            }
            2 => self.load(kind, 1),
            _ => {
                let value = self.random.scalar(kind);
                self.exprs().constant(value)
            }
        }
    }

    fn load(&mut self, kind: Kind, depth: usize) -> Expr {
        let input = self.random.below(self.compute.inputs.len());
        // A scatter's target is loaded at the stored index only, which `scatter` does.
        let dims = self.compute.inputs[input].dims.clone();
        let mut index = Vec::new();
        let mut guard = None;
        for dim in dims {
            match self.index(dim, depth) {
                Some((expr, test)) => {
                    index.push(expr);
                    if let Some(test) = test {
                        guard = Some(match guard {
                            Some(other) => self.exprs().intern(ExprData::Binary(BinaryOp::And, other, test)),
                            None => test,
                        });
                    }
                }
                None => {
                    let value = self.random.scalar(kind);
                    return self.exprs().constant(value);
                }
            }
        }
        let load = self.exprs().intern(ExprData::Load { input: input as u32, index });
        let load = self.exprs().to_kind(kind, load);
        match guard {
            Some(guard) => {
                let value = self.random.scalar(kind);
                let other = self.exprs().constant(value);
                self.exprs().intern(ExprData::Select(guard, load, other))
            }
            None => load,
        }
    }

    /// An index for a dimension, and the test under which it is inside, if it is not always.
    fn index(&mut self, dim: Extent, depth: usize) -> Option<(Expr, Option<Expr>)> {
        let axes: Vec<u32> = self.scope.iter().copied().filter(|&a| self.compute.axes[a as usize] == dim).collect();
        let size = self.size(dim);
        if !axes.is_empty() && self.random.chance(70) {
            let picked = self.random.pick(&axes);
            let axis = self.exprs().intern(ExprData::Axis(picked));
            if self.random.chance(25) {
                let one = self.exprs().int(1);
                let last = self.exprs().sub(size, one);
                return Some((self.exprs().sub(last, axis), None));
            }
            return Some((axis, None));
        }
        let inner = self.expr(Kind::Int, depth.min(3) - 1);
        if self.may_check && self.random.chance(30) {
            return Some((self.exprs().intern(ExprData::Check { index: inner, size }), None));
        }
        if let Extent::Const(n) = dim
            && n > 0
            && self.random.chance(60)
        {
            return Some((self.exprs().binary(BinaryOp::Mod, inner, size), None));
        }
        let zero = self.exprs().int(0);
        let low = self.exprs().intern(ExprData::Binary(BinaryOp::Ge, inner, zero));
        let high = self.exprs().intern(ExprData::Binary(BinaryOp::Lt, inner, size));
        let inside = self.exprs().intern(ExprData::Binary(BinaryOp::And, low, high));
        Some((inner, Some(inside)))
    }

    fn select(&mut self, kind: Kind, depth: usize) -> Expr {
        let test = self.expr(Kind::Bool, depth - 1);
        let (yes, no) = (self.expr(kind, depth - 1), self.expr(kind, depth - 1));
        self.exprs().intern(ExprData::Select(test, yes, no))
    }

    fn cast(&mut self, kind: Kind, depth: usize) -> Expr {
        let dtypes: Vec<DType> = DType::ALL.into_iter().filter(|&d| Kind::of(d) == kind).collect();
        let dtype = self.random.pick(&dtypes);
        let from = self.random.pick(&[Kind::Bool, Kind::Int, Kind::F32, Kind::F64]);
        let inner = self.expr(from, depth - 1);
        self.exprs().intern(ExprData::Cast(dtype, inner))
    }

    fn reduce(&mut self, kind: Kind, depth: usize) -> Expr {
        let free: Vec<u32> =
            (self.compute.rank as u32..self.compute.axes.len() as u32).filter(|a| !self.scope.contains(a)).collect();
        if free.is_empty() {
            return self.leaf(kind);
        }
        let count = 1 + self.random.below(free.len());
        let axes = free[..count].to_vec();
        let (op, body_kind) = match kind {
            Kind::Bool => {
                (self.random.pick(&[ReduceOp::Any, ReduceOp::All, ReduceOp::Xor, ReduceOp::Max, ReduceOp::Min]), Kind::Bool)
            }
            Kind::Int if self.random.chance(40) => {
                let body = self.random.pick(&[Kind::Bool, Kind::Int, Kind::F32, Kind::F64]);
                (self.random.pick(&[ReduceOp::ArgMax, ReduceOp::ArgMin]), body)
            }
            Kind::Int => {
                (self.random.pick(&[ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min, ReduceOp::Xor]), Kind::Int)
            }
            Kind::F32 if self.random.chance(30) => (self.random.pick(&[ReduceOp::SerialSum, ReduceOp::CascadeSum]), kind),
            kind => (self.random.pick(&[ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min]), kind),
        };
        self.scope.extend(&axes);
        let body = self.expr(body_kind, depth - 1);
        self.scope.truncate(self.scope.len() - axes.len());
        self.exprs().intern(ExprData::Reduce { op, axes, body })
    }

    fn unary(&mut self, kind: Kind, depth: usize) -> Expr {
        let (op, from) = match kind {
            Kind::Bool if self.random.chance(50) => (UnaryOp::IsNan, self.random.pick(&[Kind::F32, Kind::F64, Kind::Int])),
            Kind::Bool => (UnaryOp::Not, self.random.pick(&[Kind::Bool, Kind::Int, Kind::F32])),
            Kind::Int => (self.random.pick(&[UnaryOp::Neg, UnaryOp::Abs, UnaryOp::BitNot]), kind),
            _ => (
                self.random.pick(&[
                    UnaryOp::Neg,
                    UnaryOp::Abs,
                    UnaryOp::Sqrt,
                    UnaryOp::Floor,
                    UnaryOp::Ceil,
                    UnaryOp::Trunc,
                    UnaryOp::RoundEven,
                ]),
                kind,
            ),
        };
        let x = self.expr(from, depth - 1);
        if kind.is_float() && self.may_call && self.random.chance(15) {
            let name = self.random.pick(&["exp", "sin", "tanh", "log1p"]);
            return self.exprs().math(name, vec![x]);
        }
        self.exprs().intern(ExprData::Unary(op, x))
    }

    fn binary(&mut self, kind: Kind, depth: usize) -> Expr {
        use BinaryOp::{
            Add, And, CopySign, Div, Eq, FMax, FMin, FloorDiv, Ge, Gt, Le, Lt, Max, Min, Mod, Mul, Ne, Or, Rem, Shl, Shr, Sub,
            TruncDiv, Xor,
        };
        let (op, from) = match kind {
            Kind::Bool if self.random.chance(50) => {
                (self.random.pick(&[And, Or, Xor, Add, Mul, Max, Min, Eq, Ne, Lt, Le, Gt, Ge]), Kind::Bool)
            }
            Kind::Bool => (self.random.pick(&[Eq, Ne, Lt, Le, Gt, Ge]), self.random.pick(&[Kind::Int, Kind::F32, Kind::F64])),
            Kind::Int => {
                (self.random.pick(&[Add, Sub, Mul, TruncDiv, FloorDiv, Rem, Mod, Max, Min, And, Or, Xor, Shl, Shr]), kind)
            }
            _ => (self.random.pick(&[Add, Sub, Mul, Div, FloorDiv, Rem, Mod, Max, Min, FMax, FMin, CopySign]), kind),
        };
        let (a, mut b) = (self.expr(from, depth - 1), self.expr(from, depth - 1));
        if op == CopySign {
            // The sign of a NaN that an operation makes is the machine's choice.
            let is_nan = self.exprs().intern(ExprData::Unary(UnaryOp::IsNan, b));
            let one = self.exprs().number(kind, 1.0);
            b = self.exprs().intern(ExprData::Select(is_nan, one, b));
        }
        if self.random.chance(50) { self.exprs().binary(op, a, b) } else { self.exprs().intern(ExprData::Binary(op, a, b)) }
    }
}
