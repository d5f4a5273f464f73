//! Formulas on scalars, written with Rust's operators.
//!
//! A [`Num`] is an expression together with the place it is built in, so that the rule of an operator
//! reads as its formula: `x / (1.0 + (-x).math("exp"))`. All operands of one operation are of one kind; a
//! plain `f64` takes the kind of the other operand.

use crate::element::Element;
use kiln_loops::{BinaryOp, Expr, ExprData, Exprs, Kind, Scalar, UnaryOp};
use kiln_support::DType;
use std::cell::RefCell;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// An expression in the making.
#[derive(Clone, Copy)]
pub(crate) struct Num<'a> {
    exprs: &'a RefCell<Exprs>,
    expr: Expr,
    /// The element type that the result of each step is rounded to, where it is not that of the kind.
    step: Option<DType>,
}

/// What may stand beside a [`Num`]: another one, or a constant of its kind.
pub(crate) trait Operand<'a> {
    /// The operand beside `other`.
    fn beside(self, other: Num<'a>) -> Num<'a>;
}

impl<'a> Operand<'a> for Num<'a> {
    fn beside(self, _: Num<'a>) -> Num<'a> {
        self
    }
}

impl<'a> Operand<'a> for f64 {
    fn beside(self, other: Num<'a>) -> Num<'a> {
        let kind = other.kind();
        other.make(|x| x.number(kind, self))
    }
}

/// Builds a formula of some operands.
pub(crate) fn calc<const N: usize>(
    exprs: &mut Exprs,
    args: [Expr; N],
    formula: impl for<'a> FnOnce([Num<'a>; N]) -> Num<'a>,
) -> Expr {
    let cell = RefCell::new(std::mem::take(exprs));
    let result = formula(args.map(|expr| Num { exprs: &cell, expr, step: None })).expr;
    *exprs = cell.into_inner();
    result
}

/// As [`calc`], with every sum, difference, product and quotient rounded to `step`: for operators that PyTorch computes
/// in a 16-bit type itself.
pub(crate) fn calc_in_steps<const N: usize>(
    exprs: &mut Exprs,
    step: DType,
    args: [Expr; N],
    formula: impl for<'a> FnOnce([Num<'a>; N]) -> Num<'a>,
) -> Expr {
    calc(exprs, args, |nums| formula(nums.map(|num| Num { step: Some(step), ..num })))
}

/// As [`calc`], for any number of operands.
pub(crate) fn calc_slice(exprs: &mut Exprs, args: &[Expr], formula: impl for<'a> FnOnce(&[Num<'a>]) -> Num<'a>) -> Expr {
    let cell = RefCell::new(std::mem::take(exprs));
    let nums: Vec<Num> = args.iter().map(|&expr| Num { exprs: &cell, expr, step: None }).collect();
    let result = formula(&nums).expr;
    drop(nums);
    *exprs = cell.into_inner();
    result
}

impl Element<'_> {
    /// Builds a formula of some operands.
    pub(crate) fn calc<const N: usize>(
        &mut self,
        args: [Expr; N],
        formula: impl for<'a> FnOnce([Num<'a>; N]) -> Num<'a>,
    ) -> Expr {
        calc(self.exprs(), args, formula)
    }
}

impl<'a> Num<'a> {
    fn make(self, build: impl FnOnce(&mut Exprs) -> Expr) -> Num<'a> {
        Num { expr: build(&mut self.exprs.borrow_mut()), ..self }
    }

    /// Its kind.
    pub fn kind(self) -> Kind {
        self.exprs.borrow().kind(self.expr)
    }

    /// The constant it is.
    pub fn constant(self) -> Option<Scalar> {
        self.exprs.borrow().as_const(self.expr)
    }

    /// An operation on it.
    pub fn unary(self, op: UnaryOp) -> Num<'a> {
        self.make(|x| x.unary(op, self.expr))
    }

    /// An operation on it and another of its kind.
    pub fn binary(self, op: BinaryOp, other: impl Operand<'a>) -> Num<'a> {
        let other = other.beside(self);
        let result = self.make(|x| x.binary(op, self.expr, other.expr));
        match self.step {
            Some(step)
                if matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div) && result.kind().is_float() =>
            {
                result.cast(step)
            }
            _ => result,
        }
    }

    /// Converted to a kind.
    pub fn to_kind(self, kind: Kind) -> Num<'a> {
        self.make(|x| x.to_kind(kind, self.expr))
    }

    /// Converted to an element type.
    pub fn cast(self, dtype: DType) -> Num<'a> {
        self.make(|x| x.cast(dtype, self.expr))
    }

    /// An int constant, whatever the own kind.
    pub fn int(self, value: i64) -> Num<'a> {
        self.make(|x| x.int(value))
    }

    /// A constant of its kind.
    pub fn like(self, value: f64) -> Num<'a> {
        value.beside(self)
    }

    /// A function of the scalar library.
    pub fn math(self, name: &'static str) -> Num<'a> {
        self.make(|x| x.math(name, vec![self.expr]))
    }

    /// A function of the scalar library of two arguments.
    pub fn math2(self, name: &'static str, other: impl Operand<'a>) -> Num<'a> {
        let other = other.beside(self);
        self.make(|x| x.math(name, vec![self.expr, other.expr]))
    }

    /// `self ? yes : no`.
    pub fn select(self, yes: Num<'a>, no: impl Operand<'a>) -> Num<'a> {
        let no = no.beside(yes);
        self.make(|x| x.select(self.expr, yes.expr, no.expr))
    }

    /// Whether it is NaN; no int and no bool is.
    pub fn is_nan(self) -> Num<'a> {
        if self.kind().is_float() { self.unary(UnaryOp::IsNan) } else { self.make(|x| x.bool(false)) }
    }

    /// The int itself, which must not be 0: the computation fails where it is.
    pub fn checked_nonzero(self) -> Num<'a> {
        if self.constant().is_some_and(|c| c.as_bool()) {
            return self;
        }
        let is_zero = self.eq(0.0).select(self.int(1), self.int(0));
        let one = self.int(1);
        self + self.make(|x| x.intern(ExprData::Check { index: is_zero.expr, size: one.expr }))
    }

    /// Between bounds, keeping NaN.
    pub fn clamp(self, low: impl Operand<'a>, high: impl Operand<'a>) -> Num<'a> {
        self.max(low).min(high)
    }
}

macro_rules! methods {
    ($($doc:literal $name:ident $op:ident;)*) => {
        impl<'a> Num<'a> {
            $(#[doc = $doc] pub fn $name(self, other: impl Operand<'a>) -> Num<'a> { self.binary(BinaryOp::$op, other) })*
        }
    };
}

methods! {
    "Whether equal." eq Eq;
    "Whether different." ne Ne;
    "Whether smaller." lt Lt;
    "Whether smaller or equal." le Le;
    "Whether larger." gt Gt;
    "Whether larger or equal." ge Ge;
    "The larger; NaN if one is." max Max;
    "The smaller; NaN if one is." min Min;
    "The power." pow Pow;
    "The remainder with the sign of the dividend." rem Rem;
}

macro_rules! unary_methods {
    ($($doc:literal $name:ident $op:ident;)*) => {
        impl<'a> Num<'a> {
            $(#[doc = $doc] pub fn $name(self) -> Num<'a> { self.unary(UnaryOp::$op) })*
        }
    };
}

unary_methods! {
    "The magnitude." abs Abs;
    "The square root." sqrt Sqrt;
    "Rounded down." floor Floor;
    "Rounded up." ceil Ceil;
    "Rounded towards zero." trunc Trunc;
    "Rounded to the nearest, halves to even." round RoundEven;
}

macro_rules! operators {
    ($($trait:ident $method:ident $op:ident;)*) => {$(
        impl<'a, T: Operand<'a>> $trait<T> for Num<'a> {
            type Output = Num<'a>;
            fn $method(self, other: T) -> Num<'a> {
                self.binary(BinaryOp::$op, other)
            }
        }

        impl<'a> $trait<Num<'a>> for f64 {
            type Output = Num<'a>;
            fn $method(self, other: Num<'a>) -> Num<'a> {
                self.beside(other).binary(BinaryOp::$op, other)
            }
        }
    )*};
}

operators! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div Div;
    BitAnd bitand And;
    BitOr bitor Or;
    BitXor bitxor Xor;
}

impl<'a> Neg for Num<'a> {
    type Output = Num<'a>;
    fn neg(self) -> Num<'a> {
        self.unary(UnaryOp::Neg)
    }
}

impl<'a> Not for Num<'a> {
    type Output = Num<'a>;
    fn not(self) -> Num<'a> {
        self.unary(UnaryOp::Not)
    }
}
