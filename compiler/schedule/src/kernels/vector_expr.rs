//! Scalar expressions in the form that vector kernels take.
//!
//! Only binary32 arithmetic goes over, and integers that it holds exactly; what has no vector form (other integers, binary64,
//! gathers) makes the whole translation fail, and the computation stays a loop nest.

use super::elements::{byte_range, fits_byte, output_value};
use kiln_kernels::isa::{CmpOp, Element};
use kiln_kernels::vexpr::{Binary, NodeId, Unary, VExpr};
use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Kind, Output, Scalar, UnaryOp};
use kiln_support::DType;
use std::collections::HashMap;

/// What a leaf translates to: given for loads, reductions and whatever else the kernel provides.
pub type LeafFn<'a> = dyn FnMut(Expr, &mut VExpr) -> Option<NodeId> + 'a;

/// Translates an expression; `leaf` is asked first at every node.
pub fn translate(compute: &Compute, root: Expr, out: &mut VExpr, leaf: &mut LeafFn) -> Option<NodeId> {
    let mut translation = Translation { compute, out, leaf, known: HashMap::new() };
    match compute.exprs.kind(root) {
        Kind::Int => translation.integer(root).map(|(node, _)| node),
        _ => translation.node(root),
    }
}

/// As [`translate`], for the elements of an output, and their type.
pub fn translate_output(compute: &Compute, output: &Output, out: &mut VExpr, leaf: &mut LeafFn) -> Option<(NodeId, Element)> {
    let (value, element) = output_value(compute, output)?;
    Some((translate(compute, value, out, leaf)?, element))
}

struct Translation<'a, 'l> {
    compute: &'a Compute,
    out: &'a mut VExpr,
    leaf: &'a mut LeafFn<'l>,
    known: HashMap<Expr, NodeId>,
}

impl Translation<'_, '_> {
    fn node(&mut self, expr: Expr) -> Option<NodeId> {
        if let Some(&node) = self.known.get(&expr) {
            return Some(node);
        }
        let node = match (self.leaf)(expr, self.out) {
            Some(node) => node,
            None => self.operation(expr)?,
        };
        self.known.insert(expr, node);
        Some(node)
    }

    fn operation(&mut self, expr: Expr) -> Option<NodeId> {
        let exprs = &self.compute.exprs;
        match exprs.get(expr) {
            ExprData::Const(Scalar::F32(value)) => Some(self.out.constant(*value)),
            ExprData::Cast(DType::F32, x) if exprs.kind(*x) == Kind::F32 => self.node(*x),
            ExprData::Cast(DType::F32, x) if exprs.kind(*x) == Kind::Int => self.integer(*x).map(|(node, _)| node),
            ExprData::Unary(op, x) => self.unary(*op, *x),
            ExprData::Binary(op, a, b) => self.binary(*op, *a, *b),
            ExprData::Math(op, args) => self.math(op.0, args),
            ExprData::Select(test, yes, no) if exprs.kind(*yes) == Kind::F32 => {
                let test = self.node(*test)?;
                let (yes, no) = (self.node(*yes)?, self.node(*no)?);
                Some(self.out.select(test, yes, no))
            }
            _ => None,
        }
    }

    /// An integer in binary32, with a bound of its magnitude: exact below 2^24, rounded beyond.
    fn integer(&mut self, expr: Expr) -> Option<(NodeId, i64)> {
        const EXACT: i64 = 1 << 24;
        let exprs = &self.compute.exprs;
        match exprs.get(expr) {
            ExprData::Const(Scalar::Int(value)) if value.abs() <= EXACT => Some((self.out.constant(*value as f32), value.abs())),
            ExprData::Load { input, .. } => {
                byte_range(self.compute.inputs[*input as usize].dtype)?;
                Some((self.node(expr)?, 255))
            }
            // A reduction that the kernel does is an integer of any size.
            ExprData::Reduce { .. } => Some((self.node(expr)?, i64::MAX)),
            // Sums of kernels are of 32 bits, so nothing is cut off.
            ExprData::Cast(DType::I32, x) if exprs.kind(*x) == Kind::Int && matches!(exprs.get(*x), ExprData::Reduce { .. }) => {
                self.integer(*x)
            }
            ExprData::Cast(dtype @ (DType::U8 | DType::I8), x) if fits_byte(exprs, *x, *dtype) => match exprs.kind(*x) {
                Kind::F32 => Some((self.node(*x)?, 255)),
                Kind::Int => Some((self.integer(*x)?.0, 255)),
                _ => None,
            },
            ExprData::Binary(op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Min | BinaryOp::Max), a, b) => {
                let ((a, x), (b, y)) = (self.integer(*a)?, self.integer(*b)?);
                let (op, bound) = match op {
                    BinaryOp::Add => (Binary::Add, x.checked_add(y)?),
                    BinaryOp::Sub => (Binary::Sub, x.checked_add(y)?),
                    BinaryOp::Min => (Binary::Min, x.max(y)),
                    _ => (Binary::Max, x.max(y)),
                };
                (bound <= EXACT).then(|| (self.out.binary(op, a, b), bound))
            }
            _ => None,
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Expr) -> Option<NodeId> {
        let kind = self.compute.exprs.kind(x);
        let op = match (op, kind) {
            (UnaryOp::Not, Kind::Bool) => Unary::Not,
            (UnaryOp::IsNan, Kind::F32) => {
                let x = self.node(x)?;
                return Some(self.out.cmp(CmpOp::Ne, x, x));
            }
            (UnaryOp::Neg, Kind::F32) => Unary::Neg,
            (UnaryOp::Abs, Kind::F32) => Unary::Abs,
            (UnaryOp::Sqrt, Kind::F32) => Unary::Sqrt,
            (UnaryOp::Floor, Kind::F32) => Unary::Floor,
            (UnaryOp::Ceil, Kind::F32) => Unary::Ceil,
            (UnaryOp::Trunc, Kind::F32) => Unary::Trunc,
            (UnaryOp::RoundEven, Kind::F32) => Unary::Round,
            _ => return None,
        };
        let x = self.node(x)?;
        Some(self.out.unary(op, x))
    }

    fn binary(&mut self, op: BinaryOp, a: Expr, b: Expr) -> Option<NodeId> {
        let kind = self.compute.exprs.kind(a);
        let compare = match op {
            BinaryOp::Eq => Some(CmpOp::Eq),
            BinaryOp::Ne => Some(CmpOp::Ne),
            BinaryOp::Lt => Some(CmpOp::Lt),
            BinaryOp::Le => Some(CmpOp::Le),
            BinaryOp::Gt => Some(CmpOp::Gt),
            BinaryOp::Ge => Some(CmpOp::Ge),
            _ => None,
        };
        if let Some(compare) = compare {
            if kind != Kind::F32 {
                return None;
            }
            let (a, b) = (self.node(a)?, self.node(b)?);
            return Some(self.out.cmp(compare, a, b));
        }
        let op = match (op, kind) {
            (BinaryOp::And, Kind::Bool) => Binary::And,
            (BinaryOp::Or, Kind::Bool) => Binary::Or,
            (BinaryOp::Add, Kind::F32) => Binary::Add,
            (BinaryOp::Sub, Kind::F32) => Binary::Sub,
            (BinaryOp::Mul, Kind::F32) => Binary::Mul,
            (BinaryOp::Div, Kind::F32) => Binary::Div,
            (BinaryOp::Max, Kind::F32) => Binary::Max,
            (BinaryOp::Min, Kind::F32) => Binary::Min,
            _ => return None,
        };
        let (a, b) = (self.node(a)?, self.node(b)?);
        Some(self.out.binary(op, a, b))
    }

    fn math(&mut self, name: &str, args: &[Expr]) -> Option<NodeId> {
        if let ("fma", [a, b, c]) = (name, args)
            && self.compute.exprs.kind(*a) == Kind::F32
        {
            let (a, b, c) = (self.node(*a)?, self.node(*b)?, self.node(*c)?);
            return Some(self.out.fma(a, b, c));
        }
        let [x] = args else { return None };
        if self.compute.exprs.kind(*x) != Kind::F32 {
            return None;
        }
        let op = match name {
            "exp" => Unary::Exp,
            "expm1" => Unary::Expm1,
            "log" => Unary::Log,
            "log1p" => Unary::Log1p,
            "tanh" => Unary::Tanh,
            "erf" => Unary::Erf,
            "sigmoid" => Unary::Sigmoid,
            _ => return None,
        };
        let x = self.node(*x)?;
        Some(self.out.unary(op, x))
    }
}
