//! The element of a result as an expression: how core operators are lowered.
//!
//! An operator's element function asks for elements of its arguments at indices it computes. Who
//! answers decides on fusion: the element of a materialised tensor is a load, that of another
//! operator's result can be that operator's own expression at these indices. Views thus vanish into
//! index arithmetic and pointwise chains into one expression.

use crate::infer::Fact;
use kiln_graph::{Dim, TensorType, Value};
use kiln_loops::{BinaryOp, Expr, ExprData, Exprs, Kind, ReduceOp, UnaryOp};
use kiln_support::DType;

/// Gives expressions for what lies outside the operator.
pub trait ElementSource {
    /// The expressions that everything is built in.
    fn exprs(&mut self) -> &mut Exprs;
    /// The element of argument `arg` (of item `item`, where the argument is a list of tensors) at an index.
    fn load(&mut self, arg: usize, item: Option<usize>, index: &[Expr]) -> Expr;
    /// A scalar that is known only at run time, as a parameter of the computation.
    fn param(&mut self, value: Value, kind: Kind) -> Expr;
    /// A new reduction axis.
    fn reduction_axis(&mut self, extent: Dim) -> u32;
    /// The element of a scatter's target at an index.
    fn target(&mut self, index: &[Expr]) -> Expr;
}

/// What an element function works with.
pub struct Element<'a> {
    /// Facts of the arguments.
    pub args: &'a [Fact],
    /// Types of the results.
    pub results: &'a [TensorType],
    /// Where elements come from.
    pub source: &'a mut dyn ElementSource,
}

impl Element<'_> {
    /// The expressions.
    pub fn exprs(&mut self) -> &mut Exprs {
        self.source.exprs()
    }

    /// The type of a tensor argument.
    pub fn tensor(&self, at: usize) -> &TensorType {
        match &self.args[at] {
            Fact::Tensor(ty) => ty,
            other => panic!("argument {at} is {other:?}, not a tensor"),
        }
    }

    /// Whether an argument is None.
    pub fn is_none(&self, at: usize) -> bool {
        matches!(self.args[at], Fact::None)
    }

    /// An int argument that the infer rule has found to be constant.
    pub fn const_int(&self, at: usize) -> i64 {
        match &self.args[at] {
            Fact::Int(Dim::Const(value)) => *value,
            other => panic!("argument {at} is {other:?}, not a constant int"),
        }
    }

    /// A bool argument that the infer rule has found to be constant.
    pub fn const_bool(&self, at: usize) -> bool {
        matches!(self.args[at], Fact::Bool(Ok(true)))
    }

    /// A list of ints that the infer rule has found to be constant.
    pub fn const_ints(&self, at: usize) -> Vec<i64> {
        self.dim_list(at).iter().map(|d| d.as_const().expect("a constant int")).collect()
    }

    /// A list of ints.
    pub fn dim_list(&self, at: usize) -> Vec<Dim> {
        match &self.args[at] {
            Fact::List(items) => {
                items.iter().map(|f| if let Fact::Int(d) = f { *d } else { panic!("not an int: {f:?}") }).collect()
            }
            other => panic!("argument {at} is {other:?}, not a list"),
        }
    }

    /// The element of a tensor argument.
    pub fn load(&mut self, arg: usize, index: &[Expr]) -> Expr {
        self.source.load(arg, None, index)
    }

    /// The element of an item of a tensor-list argument.
    pub fn load_item(&mut self, arg: usize, item: usize, index: &[Expr]) -> Expr {
        self.source.load(arg, Some(item), index)
    }

    /// The element of a tensor argument that is broadcast to the shape `index` runs over: missing leading axes
    /// and sizes of 1 are read at 0.
    pub fn load_broadcast(&mut self, arg: usize, index: &[Expr]) -> Expr {
        let dims = self.args_dims(arg);
        let result = self.results.first().map_or(&[][..], |r| &r.dims);
        let extents: Vec<Option<Dim>> = (0..index.len()).map(|axis| result.get(axis).copied()).collect();
        let own = self.broadcast_place(&dims, index, &extents);
        self.load(arg, &own)
    }

    /// The index into a tensor that is broadcast to the shape `index` runs over, where sizes known only at run time may
    /// turn out to be 1. `extents` is that shape.
    pub(crate) fn broadcast_place(&mut self, dims: &[Dim], index: &[Expr], extents: &[Option<Dim>]) -> Vec<Expr> {
        let mut own = broadcast_index(self.source.exprs(), dims, index);
        let skip = index.len() - dims.len();
        for (axis, dim) in dims.iter().enumerate() {
            if matches!(dim, Dim::Value(_)) && extents[skip + axis] != Some(*dim) {
                own[axis] = self.index_unless_one(*dim, own[axis]);
            }
        }
        own
    }

    /// The index, or 0 where the size is 1.
    fn index_unless_one(&mut self, dim: Dim, index: Expr) -> Expr {
        let size = self.dim(dim);
        let exprs = self.exprs();
        let (zero, one) = (exprs.int(0), exprs.int(1));
        let is_one = exprs.binary(BinaryOp::Eq, size, one);
        exprs.select(is_one, zero, index)
    }

    fn args_dims(&self, arg: usize) -> Vec<Dim> {
        self.tensor(arg).dims.clone()
    }

    /// A size as an int expression.
    pub fn dim(&mut self, dim: Dim) -> Expr {
        match dim {
            Dim::Const(n) => self.exprs().int(n),
            Dim::Value(value) => self.source.param(value, Kind::Int),
        }
    }

    /// A number argument (int, float, bool) as an expression of a kind.
    pub fn number(&mut self, at: usize, kind: Kind) -> Expr {
        let fact = self.args[at].clone();
        self.number_of(&fact, kind)
    }

    /// A number as an expression of a kind.
    pub fn number_of(&mut self, fact: &Fact, kind: Kind) -> Expr {
        let own = match fact {
            Fact::Int(Dim::Const(i)) => self.exprs().int(*i),
            Fact::Int(Dim::Value(v)) => self.source.param(*v, Kind::Int),
            Fact::Float(Ok(f)) => self.exprs().number(Kind::F64, *f),
            Fact::Float(Err(v)) => self.source.param(*v, Kind::F64),
            Fact::Bool(Ok(b)) => self.exprs().bool(*b),
            Fact::Bool(Err(v)) => self.source.param(*v, Kind::Bool),
            other => panic!("{other:?} is not a number"),
        };
        self.exprs().to_kind(kind, own)
    }

    /// An int constant.
    pub fn int(&mut self, value: i64) -> Expr {
        self.exprs().int(value)
    }

    /// A constant of a kind.
    pub fn constant(&mut self, kind: Kind, value: f64) -> Expr {
        self.exprs().number(kind, value)
    }

    /// Conversion to an element type.
    pub fn cast(&mut self, dtype: DType, x: Expr) -> Expr {
        self.exprs().cast(dtype, x)
    }

    /// An operation on one scalar.
    pub fn unary(&mut self, op: UnaryOp, x: Expr) -> Expr {
        self.exprs().unary(op, x)
    }

    /// An operation on two scalars of one kind.
    pub fn binary(&mut self, op: BinaryOp, a: Expr, b: Expr) -> Expr {
        self.exprs().binary(op, a, b)
    }

    /// `test ? yes : no`.
    pub fn select(&mut self, test: Expr, yes: Expr, no: Expr) -> Expr {
        self.exprs().select(test, yes, no)
    }

    /// An index that must be in `0..size`, else an index error; nothing is checked where it surely is.
    pub fn check(&mut self, index: Expr, size: Dim) -> Expr {
        let size = self.dim(size);
        let exprs = self.exprs();
        let zero = exprs.int(0);
        let low = exprs.binary(BinaryOp::Ge, index, zero);
        let high = exprs.binary(BinaryOp::Lt, index, size);
        let both = exprs.binary(BinaryOp::And, low, high);
        if exprs.as_const(both).is_some_and(|b| b.as_bool()) {
            return index;
        }
        exprs.intern(ExprData::Check { index, size })
    }

    /// A user's index, which may count from the end, as one in `0..size`; else an index error.
    pub fn wrap_index(&mut self, index: Expr, size: Dim) -> Expr {
        let extent = self.dim(size);
        let exprs = self.exprs();
        let zero = exprs.int(0);
        let negative = exprs.binary(BinaryOp::Lt, index, zero);
        let from_end = exprs.add(index, extent);
        let wrapped = exprs.select(negative, from_end, index);
        self.check(wrapped, size)
    }

    /// A reduction over new axes of these sizes; `body` gets their indices.
    pub fn reduce(&mut self, op: ReduceOp, dims: &[Dim], body: &mut dyn FnMut(&mut Element, &[Expr]) -> Expr) -> Expr {
        let axes: Vec<u32> = dims.iter().map(|&d| self.source.reduction_axis(d)).collect();
        let index: Vec<Expr> = axes.iter().map(|&a| self.exprs().intern(ExprData::Axis(a))).collect();
        let body = body(self, &index);
        self.exprs().intern(ExprData::Reduce { op, axes, body })
    }
}

/// The index into a tensor of sizes `dims` that is broadcast to the shape `index` runs over.
pub fn broadcast_index(exprs: &mut Exprs, dims: &[Dim], index: &[Expr]) -> Vec<Expr> {
    let skip = index.len() - dims.len();
    dims.iter().zip(&index[skip..]).map(|(d, &i)| if *d == Dim::Const(1) { exprs.int(0) } else { i }).collect()
}
