//! Scalar operators: expressions of ints, floats and bools become statements.

use crate::facts;
use crate::lower::{Bound, Lowering, R, internal, local_type, unsupported};
use crate::source::Built;
use kiln_graph::{Dim, Node, Value};
use kiln_loops::plan::{LocalType, Operand, ScalarOp, Stmt};
use kiln_loops::{BinaryOp, Expr, ExprData, Exprs, Kind, Scalar};
use kiln_ops::entry::ScalarFn;
use kiln_ops::{Fact, OpError};
use std::collections::HashMap;

/// What a failed check of an index raises.
const INDEX_ERROR: &str = "index out of range";

impl Lowering<'_> {
    /// An operator on scalars.
    pub fn scalar_node(&mut self, node: Node, rule: ScalarFn) -> R<()> {
        let data = &self.graph.nodes[node];
        let mut exprs = Exprs::default();
        let mut operands = Vec::new();
        let mut args = Vec::new();
        for &arg in &data.args {
            args.push(self.scalar_argument(arg, &mut exprs, &mut operands)?);
        }
        let result = self.graph.result(node);
        let value = match rule(&mut exprs, &args) {
            Ok(expr) => expr,
            Err(OpError::Raise { message, .. }) => return self.always_raises(result, &message),
            Err(OpError::Unsupported(what)) => return Err(unsupported(&what, self.span())),
        };
        let mut tree = Tree { exprs: &exprs, operands: &operands, known: HashMap::new() };
        let operand = tree.lower(self, value)?;
        self.bind(result, Bound::Scalar(operand));
        Ok(())
    }

    /// An expression of a computation's parameters alone.
    pub fn invariant(&mut self, built: &Built, expr: Expr) -> R<Operand> {
        let operands = built.params.iter().map(|&v| self.scalar_of(v)).collect::<R<Vec<_>>>()?;
        Tree { exprs: &built.compute.exprs, operands: &operands, known: HashMap::new() }.lower(self, expr)
    }

    fn scalar_argument(&mut self, value: Value, exprs: &mut Exprs, operands: &mut Vec<Operand>) -> R<Expr> {
        let (constant, kind) = match facts::fact(self.graph, value) {
            Fact::Int(Dim::Const(i)) => (Some(Scalar::Int(i)), Kind::Int),
            Fact::Float(Ok(f)) => (Some(Scalar::F64(f)), Kind::F64),
            Fact::Bool(Ok(b)) => (Some(Scalar::Bool(b)), Kind::Bool),
            Fact::Int(Dim::Value(_)) => (None, Kind::Int),
            Fact::Float(Err(_)) => (None, Kind::F64),
            Fact::Bool(Err(_)) => (None, Kind::Bool),
            other => return Err(internal(&format!("{other:?} as operand of a scalar operator"), self.span())),
        };
        if let Some(constant) = constant {
            return Ok(exprs.constant(constant));
        }
        operands.push(self.scalar_of(value)?);
        Ok(exprs.intern(ExprData::Param(operands.len() as u32 - 1, kind)))
    }

    /// The operator raises whenever it is reached; its result is never read.
    fn always_raises(&mut self, result: Value, message: &str) -> R<()> {
        let text = self.shared.data.text(message);
        self.push(Stmt::If { test: Operand::Bool(true), then: vec![Stmt::Raise { text }], orelse: Vec::new() });
        let zero = match self.graph.ty(result) {
            kiln_graph::Type::Float => Operand::F64(0.0),
            kiln_graph::Type::Bool => Operand::Bool(false),
            _ => Operand::Int(0),
        };
        self.bind(result, Bound::Scalar(zero));
        Ok(())
    }
}

/// The lowering of one expression tree.
struct Tree<'a> {
    exprs: &'a Exprs,
    operands: &'a [Operand],
    /// Expressions computed on every path to here.
    known: HashMap<Expr, Operand>,
}

impl Tree<'_> {
    fn lower(&mut self, cx: &mut Lowering, expr: Expr) -> R<Operand> {
        if let Some(&operand) = self.known.get(&expr) {
            return Ok(operand);
        }
        let operand = self.compute(cx, expr)?;
        self.known.insert(expr, operand);
        Ok(operand)
    }

    fn compute(&mut self, cx: &mut Lowering, expr: Expr) -> R<Operand> {
        let ty = local_type(self.exprs.kind(expr));
        match self.exprs.get(expr) {
            ExprData::Const(scalar) => Ok(scalar_operand(*scalar)),
            ExprData::Param(at, _) => Ok(self.operands[*at as usize]),
            ExprData::Unary(op, x) => self.apply(cx, ScalarOp::Unary(*op), &[*x], ty),
            ExprData::Binary(op, a, b) => self.apply(cx, ScalarOp::Binary(*op), &[*a, *b], ty),
            ExprData::Math(op, args) => self.apply(cx, ScalarOp::Math(*op), args, ty),
            ExprData::Cast(dtype, x) => self.apply(cx, ScalarOp::Cast(*dtype), &[*x], ty),
            ExprData::Select(test, yes, no) => self.select(cx, [*test, *yes, *no], ty),
            ExprData::Check { index, size } => self.check(cx, *index, *size),
            other => Err(internal(&format!("{other:?} in a scalar operator"), cx.span())),
        }
    }

    fn apply(&mut self, cx: &mut Lowering, op: ScalarOp, args: &[Expr], ty: LocalType) -> R<Operand> {
        let args = args.iter().map(|&a| self.lower(cx, a)).collect::<R<Vec<_>>>()?;
        Ok(cx.scalar(op, args, ty))
    }

    /// Only the chosen arm is evaluated where an arm can fail or calls a function.
    fn select(&mut self, cx: &mut Lowering, [test, yes, no]: [Expr; 3], ty: LocalType) -> R<Operand> {
        if !self.is_guarded(yes) && !self.is_guarded(no) {
            return self.apply(cx, ScalarOp::Select, &[test, yes, no], ty);
        }
        let test = self.lower(cx, test)?;
        let result = cx.local(ty);
        let then = self.arm(cx, yes, result)?;
        let orelse = self.arm(cx, no, result)?;
        cx.push(Stmt::If { test, then, orelse });
        Ok(Operand::Local(result))
    }

    fn arm(&mut self, cx: &mut Lowering, expr: Expr, result: kiln_loops::plan::Local) -> R<Vec<Stmt>> {
        let outer = self.known.clone();
        let code = cx.nested(|cx| {
            let value = self.lower(cx, expr)?;
            cx.set(result, value);
            Ok(())
        });
        self.known = outer;
        code
    }

    fn is_guarded(&self, expr: Expr) -> bool {
        matches!(self.exprs.get(expr), ExprData::Check { .. } | ExprData::Math(..))
            || self.exprs.operands(expr).iter().any(|&e| self.is_guarded(e))
    }

    fn check(&mut self, cx: &mut Lowering, index: Expr, size: Expr) -> R<Operand> {
        let (index, size) = (self.lower(cx, index)?, self.lower(cx, size)?);
        let low = cx.int_binary(BinaryOp::Ge, index, Operand::Int(0));
        let high = cx.int_binary(BinaryOp::Lt, index, size);
        let both = cx.scalar(ScalarOp::Binary(BinaryOp::And), vec![low, high], LocalType::Bool);
        cx.raise_unless(both, INDEX_ERROR);
        Ok(index)
    }
}

/// A constant as an operand.
fn scalar_operand(scalar: Scalar) -> Operand {
    match scalar {
        Scalar::Bool(b) => Operand::Bool(b),
        Scalar::Int(i) => Operand::Int(i),
        Scalar::F32(f) => Operand::F32(f),
        Scalar::F64(f) => Operand::F64(f),
    }
}
