//! Scalar expressions, hash-consed: equal expressions are one entity, so that sharing needs no search.

use crate::scalar::{BinaryOp, Kind, MathOp, Scalar, UnaryOp};
use crate::simplify;
use kiln_support::{DType, PrimaryMap, entity};
use std::collections::HashMap;

entity!(
    /// An expression.
    Expr, "e"
);

/// What an expression is. Its kind follows from it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ExprData {
    /// A constant.
    Const(Scalar),
    /// The index along an axis of the nest (int).
    Axis(u32),
    /// A scalar parameter of the computation.
    Param(u32, Kind),
    /// An element of an input: one index per dimension, each inside the input's size.
    Load { input: u32, index: Vec<Expr> },
    /// An operation on one scalar.
    Unary(UnaryOp, Expr),
    /// An operation on two scalars of one kind.
    Binary(BinaryOp, Expr, Expr),
    /// A function of the runtime's scalar library.
    Math(MathOp, Vec<Expr>),
    /// The second where the first (bool) holds, else the third; only the chosen one is evaluated,
    /// so that a load may be guarded.
    Select(Expr, Expr, Expr),
    /// Conversion to an element type: wrapped or rounded to it, held in its kind.
    Cast(DType, Expr),
    /// The int, which must be in `0..size`; otherwise the computation fails with an index error.
    Check { index: Expr, size: Expr },
    /// The reduction of `body` over axes, in row-major order of the axes.
    Reduce { op: ReduceOp, axes: Vec<u32>, body: Expr },
}

/// Reductions. The empty reduction gives the neutral element (for `ArgMax`, `ArgMin`: index 0).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReduceOp {
    /// Sum; binary32 is accumulated so that the error stays within a few ulps (pairwise, or in binary64).
    Sum,
    /// Sum, each step rounded, in order.
    SerialSum,
    /// Sum of binary32, each step rounded, in the order of [`crate::cascade`].
    CascadeSum,
    /// Product.
    Prod,
    /// Largest; NaN if one is.
    Max,
    /// Smallest; NaN if one is.
    Min,
    /// Whether one holds (bool).
    Any,
    /// Whether all hold (bool).
    All,
    /// Exclusive or (bool, int).
    Xor,
    /// Index (row-major over the axes) of the first largest; a NaN is larger than everything.
    ArgMax,
    /// Index (row-major over the axes) of the first smallest; a NaN is smaller than everything.
    ArgMin,
}

/// The expressions of a computation.
#[derive(Clone, Debug, Default)]
pub struct Exprs {
    data: PrimaryMap<Expr, ExprData>,
    kinds: Vec<Kind>,
    ids: HashMap<ExprData, Expr>,
    /// Element type of each input, in order.
    pub input_dtypes: Vec<DType>,
    /// Extent of each axis, where it is constant: simplification uses it.
    pub axis_extents: Vec<Option<i64>>,
}

impl Exprs {
    /// The data of an expression.
    pub fn get(&self, expr: Expr) -> &ExprData {
        &self.data[expr]
    }

    /// The kind of an expression.
    pub fn kind(&self, expr: Expr) -> Kind {
        self.kinds[expr.0 as usize]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The entity of an expression, as it is.
    pub fn intern(&mut self, data: ExprData) -> Expr {
        if let Some(&expr) = self.ids.get(&data) {
            return expr;
        }
        let kind = self.kind_of(&data);
        self.kinds.push(kind);
        let expr = self.data.push(data.clone());
        self.ids.insert(data, expr);
        expr
    }

    fn kind_of(&self, data: &ExprData) -> Kind {
        match data {
            ExprData::Const(scalar) => scalar.kind(),
            ExprData::Axis(_) | ExprData::Check { .. } => Kind::Int,
            ExprData::Param(_, kind) => *kind,
            ExprData::Load { input, .. } => Kind::of(self.input_dtypes[*input as usize]),
            ExprData::Unary(UnaryOp::Not | UnaryOp::IsNan, _) => Kind::Bool,
            ExprData::Unary(_, x) => self.kind(*x),
            ExprData::Binary(op, a, b) => {
                assert_eq!(self.kind(*a), self.kind(*b), "{op:?}: kinds differ");
                if op.is_compare() { Kind::Bool } else { self.kind(*a) }
            }
            ExprData::Math(_, args) => self.kind(args[0]),
            ExprData::Select(_, a, b) => {
                assert_eq!(self.kind(*a), self.kind(*b), "select: kinds differ");
                self.kind(*a)
            }
            ExprData::Cast(dtype, _) => Kind::of(*dtype),
            ExprData::Reduce { op: ReduceOp::ArgMax | ReduceOp::ArgMin, .. } => Kind::Int,
            ExprData::Reduce { body, .. } => self.kind(*body),
        }
    }

    /// An int constant.
    pub fn int(&mut self, value: i64) -> Expr {
        self.intern(ExprData::Const(Scalar::Int(value)))
    }

    /// A bool constant.
    pub fn bool(&mut self, value: bool) -> Expr {
        self.intern(ExprData::Const(Scalar::Bool(value)))
    }

    /// A constant of a kind, converted from binary64.
    pub fn number(&mut self, kind: Kind, value: f64) -> Expr {
        self.intern(ExprData::Const(Scalar::F64(value).to_kind(kind)))
    }

    /// A constant.
    pub fn constant(&mut self, value: Scalar) -> Expr {
        self.intern(ExprData::Const(value))
    }

    /// The constant that an expression is.
    pub fn as_const(&self, expr: Expr) -> Option<Scalar> {
        match self.get(expr) {
            ExprData::Const(scalar) => Some(*scalar),
            _ => None,
        }
    }

    /// The int constant that an expression is.
    pub fn as_int(&self, expr: Expr) -> Option<i64> {
        match self.as_const(expr) {
            Some(Scalar::Int(i)) => Some(i),
            _ => None,
        }
    }

    /// An operation on one scalar, folded where it is constant.
    pub fn unary(&mut self, op: UnaryOp, x: Expr) -> Expr {
        simplify::unary(self, op, x)
    }

    /// An operation on two scalars of one kind, simplified.
    pub fn binary(&mut self, op: BinaryOp, a: Expr, b: Expr) -> Expr {
        simplify::binary(self, op, a, b)
    }

    /// `a + b`.
    pub fn add(&mut self, a: Expr, b: Expr) -> Expr {
        self.binary(BinaryOp::Add, a, b)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Expr, b: Expr) -> Expr {
        self.binary(BinaryOp::Sub, a, b)
    }

    /// `a * b`.
    pub fn mul(&mut self, a: Expr, b: Expr) -> Expr {
        self.binary(BinaryOp::Mul, a, b)
    }

    /// `test ? yes : no`, folded where the test is constant.
    pub fn select(&mut self, test: Expr, yes: Expr, no: Expr) -> Expr {
        match self.as_const(test) {
            Some(scalar) if scalar.as_bool() => yes,
            Some(_) => no,
            None if yes == no => yes,
            None => self.intern(ExprData::Select(test, yes, no)),
        }
    }

    /// Conversion to an element type; nothing where the value surely is of it already.
    pub fn cast(&mut self, dtype: DType, x: Expr) -> Expr {
        simplify::cast(self, dtype, x)
    }

    /// Conversion to the kind of binary64, binary32, int or bool without narrowing.
    pub fn to_kind(&mut self, kind: Kind, x: Expr) -> Expr {
        let dtype = match kind {
            Kind::Bool => DType::Bool,
            Kind::Int => DType::I64,
            Kind::F32 => DType::F32,
            Kind::F64 => DType::F64,
        };
        if self.kind(x) == kind { x } else { self.cast(dtype, x) }
    }

    /// A function of the runtime's scalar library.
    pub fn math(&mut self, name: &'static str, args: Vec<Expr>) -> Expr {
        self.intern(ExprData::Math(MathOp(name), args))
    }

    /// Operands of an expression.
    pub fn operands(&self, expr: Expr) -> Vec<Expr> {
        match self.get(expr) {
            ExprData::Const(_) | ExprData::Axis(_) | ExprData::Param(..) => Vec::new(),
            ExprData::Load { index, .. } => index.clone(),
            ExprData::Unary(_, x) | ExprData::Cast(_, x) => vec![*x],
            ExprData::Binary(_, a, b) => vec![*a, *b],
            ExprData::Math(_, args) => args.clone(),
            ExprData::Select(a, b, c) => vec![*a, *b, *c],
            ExprData::Check { index, size } => vec![*index, *size],
            ExprData::Reduce { body, .. } => vec![*body],
        }
    }
}
