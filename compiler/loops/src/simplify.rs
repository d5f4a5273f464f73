//! Simplification while expressions are made: constants, and the index arithmetic that views leave.
//!
//! A reshape turns indices into a flat index and back. Where sizes are constant, `(6*i + j) / 6`
//! with `0 <= j < 6` is `i` and `(6*i + j) % 6` is `j`; without this a chain of views would cost
//! divisions per element and hide contiguous runs from the vectoriser.

use crate::expr::{Expr, ExprData, Exprs};
use crate::scalar::{self, BinaryOp, Kind, Scalar, UnaryOp};
use kiln_support::DType;

/// Makes an operation on one scalar.
pub fn unary(exprs: &mut Exprs, op: UnaryOp, x: Expr) -> Expr {
    if let Some(value) = exprs.as_const(x) {
        return exprs.constant(scalar::unary(op, value));
    }
    if op == UnaryOp::Not
        && let ExprData::Unary(UnaryOp::Not, inner) = exprs.get(x)
    {
        return *inner;
    }
    exprs.intern(ExprData::Unary(op, x))
}

/// Makes a conversion to an element type.
pub fn cast(exprs: &mut Exprs, dtype: DType, x: Expr) -> Expr {
    if let Some(value) = exprs.as_const(x) {
        return exprs.constant(value.cast(dtype));
    }
    let same_kind = exprs.kind(x) == Kind::of(dtype);
    let is_whole_kind = matches!(dtype, DType::Bool | DType::I64 | DType::F32 | DType::F64);
    if same_kind && (is_whole_kind || dtype_of(exprs, x) == Some(dtype)) {
        return x;
    }
    exprs.intern(ExprData::Cast(dtype, x))
}

/// The element type that a value is known to fit exactly.
fn dtype_of(exprs: &Exprs, x: Expr) -> Option<DType> {
    match exprs.get(x) {
        ExprData::Load { input, .. } => Some(exprs.input_dtypes[*input as usize]),
        ExprData::Cast(dtype, _) => Some(*dtype),
        _ => None,
    }
}

/// Makes an operation on two scalars of one kind.
pub fn binary(exprs: &mut Exprs, op: BinaryOp, a: Expr, b: Expr) -> Expr {
    if let (Some(x), Some(y)) = (exprs.as_const(a), exprs.as_const(b)) {
        return exprs.constant(scalar::binary(op, x, y));
    }
    match exprs.kind(a) {
        Kind::Int => int_binary(exprs, op, a, b),
        Kind::Bool => bool_binary(exprs, op, a, b),
        _ => exprs.intern(ExprData::Binary(op, a, b)),
    }
}

fn bool_binary(exprs: &mut Exprs, op: BinaryOp, a: Expr, b: Expr) -> Expr {
    for (known, other) in [(a, b), (b, a)] {
        match (op, exprs.as_const(known).map(Scalar::as_bool)) {
            (BinaryOp::And, Some(true)) | (BinaryOp::Or, Some(false)) => return other,
            (BinaryOp::And, Some(false)) | (BinaryOp::Or, Some(true)) => return known,
            _ => {}
        }
    }
    exprs.intern(ExprData::Binary(op, a, b))
}

fn int_binary(exprs: &mut Exprs, op: BinaryOp, a: Expr, b: Expr) -> Expr {
    match op {
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => linear(exprs, op, a, b),
        BinaryOp::FloorDiv | BinaryOp::TruncDiv | BinaryOp::Mod | BinaryOp::Rem => divide(exprs, op, a, b),
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge | BinaryOp::Eq | BinaryOp::Ne => compare(exprs, op, a, b),
        BinaryOp::Max | BinaryOp::Min if a == b => a,
        _ => exprs.intern(ExprData::Binary(op, a, b)),
    }
}

/// A sum of products with constant factors, and a constant.
#[derive(Default)]
struct Sum {
    terms: Vec<(Expr, i64)>,
    constant: i64,
}

impl Sum {
    fn of(exprs: &Exprs, expr: Expr) -> Sum {
        let mut sum = Sum::default();
        sum.add(exprs, expr, 1);
        sum.terms.sort();
        sum
    }

    fn add(&mut self, exprs: &Exprs, expr: Expr, factor: i64) {
        match exprs.get(expr) {
            ExprData::Const(Scalar::Int(value)) => self.constant = self.constant.wrapping_add(value.wrapping_mul(factor)),
            ExprData::Binary(BinaryOp::Add, a, b) => {
                self.add(exprs, *a, factor);
                self.add(exprs, *b, factor);
            }
            ExprData::Binary(BinaryOp::Sub, a, b) => {
                self.add(exprs, *a, factor);
                self.add(exprs, *b, factor.wrapping_neg());
            }
            ExprData::Binary(BinaryOp::Mul, a, b) if exprs.as_int(*b).is_some() => {
                self.add(exprs, *a, factor.wrapping_mul(exprs.as_int(*b).expect("checked")));
            }
            _ => match self.terms.iter_mut().find(|(e, _)| *e == expr) {
                Some(term) => term.1 = term.1.wrapping_add(factor),
                None => self.terms.push((expr, factor)),
            },
        }
    }

    /// Puts `(a / n) * n + a % n` together to `a` again: what the reshape of a reshape leaves.
    fn rejoin(&mut self, exprs: &Exprs) {
        while let Some((quotient, rest, whole)) = self.split_pair(exprs) {
            let factor = self.terms[rest].1;
            let (first, second) = (quotient.max(rest), quotient.min(rest));
            self.terms.remove(first);
            self.terms.remove(second);
            self.add(exprs, whole, factor);
        }
        self.terms.sort();
    }

    /// Positions of `(a / n)` with factor `f * n` and of `a % n` with factor `f`, and `a`.
    fn split_pair(&self, exprs: &Exprs) -> Option<(usize, usize, Expr)> {
        self.terms.iter().enumerate().find_map(|(rest, (expr, factor))| {
            let ExprData::Binary(BinaryOp::Mod, a, n) = exprs.get(*expr) else { return None };
            let whole_factor = factor.checked_mul(exprs.as_int(*n)?)?;
            let quotient = self.terms.iter().position(|(other, f)| {
                *f == whole_factor && matches!(exprs.get(*other), ExprData::Binary(BinaryOp::FloorDiv, b, m) if b == a && m == n)
            })?;
            Some((quotient, rest, *a))
        })
    }

    /// The expression: terms in order of creation, then the constant.
    fn build(mut self, exprs: &mut Exprs) -> Expr {
        self.rejoin(exprs);
        let mut result = None;
        for (term, factor) in self.terms.into_iter().filter(|(_, f)| *f != 0) {
            let factor_expr = exprs.int(factor);
            let part = if factor == 1 { term } else { exprs.intern(ExprData::Binary(BinaryOp::Mul, term, factor_expr)) };
            result = Some(match result {
                Some(sum) => exprs.intern(ExprData::Binary(BinaryOp::Add, sum, part)),
                None => part,
            });
        }
        let constant = exprs.int(self.constant);
        match result {
            Some(sum) if self.constant == 0 => sum,
            Some(sum) => exprs.intern(ExprData::Binary(BinaryOp::Add, sum, constant)),
            None => constant,
        }
    }

    /// Smallest and largest value, if both are known.
    fn range(&self, exprs: &Exprs) -> Option<(i64, i64)> {
        let (mut low, mut high) = (self.constant, self.constant);
        for (term, factor) in &self.terms {
            let (a, b) = range(exprs, *term)?;
            let (x, y) = (a.checked_mul(*factor)?, b.checked_mul(*factor)?);
            low = low.checked_add(x.min(y))?;
            high = high.checked_add(x.max(y))?;
        }
        Some((low, high))
    }
}

/// Smallest and largest value of an int expression, if both are known.
pub fn range(exprs: &Exprs, expr: Expr) -> Option<(i64, i64)> {
    match exprs.get(expr) {
        ExprData::Const(Scalar::Int(value)) => Some((*value, *value)),
        // No tensor has more elements than this along an axis, so index arithmetic cannot overflow.
        ExprData::Axis(axis) => Some((0, exprs.axis_extents[*axis as usize].map_or(1 << 40, |n| (n - 1).max(0)))),
        ExprData::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, ..) => {
            let sum = Sum::of(exprs, expr);
            // A product that is no sum of other terms cannot be split further.
            if sum.terms.iter().any(|(term, _)| *term == expr) { None } else { sum.range(exprs) }
        }
        ExprData::Binary(BinaryOp::Mod, _, b) => exprs.as_int(*b).filter(|&n| n > 0).map(|n| (0, n - 1)),
        ExprData::Binary(BinaryOp::FloorDiv, a, b) => {
            let n = exprs.as_int(*b).filter(|&n| n > 0)?;
            let (low, high) = range(exprs, *a)?;
            Some((low.div_euclid(n), high.div_euclid(n)))
        }
        ExprData::Binary(BinaryOp::Max, a, b) => {
            let ((al, ah), (bl, bh)) = (range(exprs, *a)?, range(exprs, *b)?);
            Some((al.max(bl), ah.max(bh)))
        }
        ExprData::Binary(BinaryOp::Min, a, b) => {
            let ((al, ah), (bl, bh)) = (range(exprs, *a)?, range(exprs, *b)?);
            Some((al.min(bl), ah.min(bh)))
        }
        ExprData::Select(_, a, b) => {
            let ((al, ah), (bl, bh)) = (range(exprs, *a)?, range(exprs, *b)?);
            Some((al.min(bl), ah.max(bh)))
        }
        ExprData::Check { size, .. } => exprs.as_int(*size).map(|n| (0, (n - 1).max(0))),
        _ => None,
    }
}

fn linear(exprs: &mut Exprs, op: BinaryOp, a: Expr, b: Expr) -> Expr {
    let mut sum = Sum::default();
    match op {
        BinaryOp::Add => {
            sum.add(exprs, a, 1);
            sum.add(exprs, b, 1);
        }
        BinaryOp::Sub => {
            sum.add(exprs, a, 1);
            sum.add(exprs, b, -1);
        }
        _ => match (exprs.as_int(a), exprs.as_int(b)) {
            (_, Some(factor)) => sum.add(exprs, a, factor),
            (Some(factor), _) => sum.add(exprs, b, factor),
            _ => return exprs.intern(ExprData::Binary(op, a.min(b), a.max(b))),
        },
    }
    sum.terms.sort();
    sum.build(exprs)
}

/// Division and remainder by a positive constant: multiples of it leave the dividend.
fn divide(exprs: &mut Exprs, op: BinaryOp, a: Expr, b: Expr) -> Expr {
    let is_division = matches!(op, BinaryOp::FloorDiv | BinaryOp::TruncDiv);
    let Some(n) = exprs.as_int(b).filter(|&n| n > 0) else {
        return exprs.intern(ExprData::Binary(op, a, b));
    };
    if n == 1 {
        return if is_division { a } else { exprs.int(0) };
    }
    let never_negative = range(exprs, a).is_some_and(|(low, _)| low >= 0);
    if !never_negative && matches!(op, BinaryOp::TruncDiv | BinaryOp::Rem) {
        return exprs.intern(ExprData::Binary(op, a, b));
    }
    if range(exprs, a).is_none() {
        // The user's own integers may wrap: only what surely does not is taken apart.
        return exprs.intern(ExprData::Binary(op, a, b));
    }
    let floor_op = if is_division { BinaryOp::FloorDiv } else { BinaryOp::Mod };
    let whole = Sum::of(exprs, a);
    let (multiples, rest): (Vec<_>, Vec<_>) = whole.terms.iter().partition(|(_, factor)| factor % n == 0);
    let quotient =
        Sum { terms: multiples.into_iter().map(|(e, f)| (e, f / n)).collect(), constant: whole.constant.div_euclid(n) };
    let rest = Sum { terms: rest, constant: whole.constant.rem_euclid(n) };
    let rest_range = rest.range(exprs);
    let rest = rest.build(exprs);
    if rest_range.is_some_and(|(low, high)| low >= 0 && high < n) {
        return if is_division { quotient.build(exprs) } else { rest };
    }
    if let ExprData::Binary(BinaryOp::Mod, _, inner) = exprs.get(rest)
        && exprs.as_int(*inner) == Some(n)
        && !is_division
    {
        return rest;
    }
    let divided = exprs.intern(ExprData::Binary(floor_op, rest, b));
    if !is_division {
        return divided;
    }
    let quotient = quotient.build(exprs);
    linear(exprs, BinaryOp::Add, quotient, divided)
}

fn compare(exprs: &mut Exprs, op: BinaryOp, a: Expr, b: Expr) -> Expr {
    let difference = linear(exprs, BinaryOp::Sub, a, b);
    if let Some((low, high)) = range(exprs, difference) {
        let known = match op {
            BinaryOp::Lt => decide(high < 0, low >= 0),
            BinaryOp::Le => decide(high <= 0, low > 0),
            BinaryOp::Gt => decide(low > 0, high <= 0),
            BinaryOp::Ge => decide(low >= 0, high < 0),
            BinaryOp::Eq => decide(low == 0 && high == 0, low > 0 || high < 0),
            _ => decide(low > 0 || high < 0, low == 0 && high == 0),
        };
        if let Some(value) = known {
            return exprs.bool(value);
        }
    }
    exprs.intern(ExprData::Binary(op, a, b))
}

fn decide(yes: bool, no: bool) -> Option<bool> {
    if yes {
        Some(true)
    } else if no {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(extents: &[i64]) -> (Exprs, Vec<Expr>) {
        let mut exprs = Exprs::default();
        exprs.axis_extents = extents.iter().map(|&n| Some(n)).collect();
        let indices = (0..extents.len()).map(|i| exprs.intern(ExprData::Axis(i as u32))).collect();
        (exprs, indices)
    }

    #[test]
    fn reshape_arithmetic_vanishes() {
        let (mut x, i) = axes(&[4, 6]);
        let six = x.int(6);
        let row = x.mul(i[0], six);
        let flat = x.add(row, i[1]);
        assert_eq!(x.binary(BinaryOp::FloorDiv, flat, six), i[0]);
        assert_eq!(x.binary(BinaryOp::Mod, flat, six), i[1]);
        let two = x.int(2);
        let half = x.binary(BinaryOp::FloorDiv, flat, two);
        let three = x.int(3);
        let expected = {
            let a = x.mul(i[0], three);
            let b = x.binary(BinaryOp::FloorDiv, i[1], two);
            x.add(a, b)
        };
        assert_eq!(half, expected);
    }

    #[test]
    fn quotient_and_rest_join_again() {
        let (mut x, i) = axes(&[12]);
        let (four, three) = (x.int(4), x.int(3));
        let quotient = x.binary(BinaryOp::FloorDiv, i[0], four);
        let rest = x.binary(BinaryOp::Mod, i[0], four);
        let rows = x.mul(quotient, four);
        assert_eq!(x.add(rows, rest), i[0]);
        // With a common factor.
        let twelve = x.int(12);
        let (a, b) = (x.mul(quotient, twelve), x.mul(rest, three));
        let joined = x.add(a, b);
        assert_eq!(joined, x.mul(i[0], three));
    }

    #[test]
    fn comparisons_use_ranges() {
        let (mut x, i) = axes(&[4]);
        let four = x.int(4);
        let zero = x.int(0);
        let yes = x.bool(true);
        assert_eq!(x.binary(BinaryOp::Lt, i[0], four), yes);
        assert_eq!(x.binary(BinaryOp::Ge, i[0], zero), yes);
        let open = x.binary(BinaryOp::Gt, i[0], zero);
        assert!(x.as_const(open).is_none());
    }
}
