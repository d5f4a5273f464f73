//! Reductions: loops with an accumulator, in row-major order of the axes, as the interpreter runs them.

use super::Nest;
use crate::code::type_of;
use crate::error::CodegenError;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::Variable;
use kiln_loops::interpret::neutral;
use kiln_loops::{BinaryOp, Expr, Extent, Kind, ReduceOp, Scalar};

/// The state of a reduction.
struct Accumulator {
    op: ReduceOp,
    /// Kind of the body.
    kind: Kind,
    value: Variable,
    /// For `ArgMax` and `ArgMin`: the index of the best, and the index of the present element.
    place: Option<(Variable, Variable)>,
}

impl Nest<'_, '_, '_> {
    /// Emits the reduction of `body` over `axes`.
    pub(super) fn reduce(&mut self, op: ReduceOp, axes: &[u32], body: Expr) -> Result<Value, CodegenError> {
        if axes.iter().any(|&axis| self.bound & (1 << axis) != 0) {
            return Err(CodegenError::rule("a reduction over an axis that is bound already"));
        }
        if op == ReduceOp::CascadeSum {
            return self.cascade_sum(axes, body);
        }
        let accumulator = self.start(op, self.compute.exprs.kind(body));
        let extents: Vec<Extent> = axes.iter().map(|&axis| self.compute.axes[axis as usize]).collect();
        let done = self.code.b.create_block();
        let mark = self.log.len();
        if self.require_elements(&extents, done) {
            self.run(axes, body, &mut |nest, value| nest.accumulate(&accumulator, value))?;
        }
        self.code.b.ins().jump(done, &[]);
        self.leave_scope(mark);
        self.code.b.seal_block(done);
        self.code.b.switch_to_block(done);
        Ok(self.result(&accumulator))
    }

    fn start(&mut self, op: ReduceOp, kind: Kind) -> Accumulator {
        let is_wide = kind.is_float() && matches!(op, ReduceOp::Sum | ReduceOp::Prod);
        let initial = if is_wide { neutral(op, Kind::F64) } else { neutral(op, kind) };
        let value = self.variable(initial);
        let is_place = matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMin);
        let place = is_place.then(|| (self.variable(Scalar::Int(0)), self.variable(Scalar::Int(0))));
        Accumulator { op, kind, value, place }
    }

    pub(super) fn variable(&mut self, initial: Scalar) -> Variable {
        let variable = self.code.b.declare_var(type_of(initial.kind()));
        let initial = self.code.constant(initial);
        self.code.b.def_var(variable, initial);
        variable
    }

    /// Loops over the axes; `element` takes each value of the body.
    pub(super) fn run(
        &mut self,
        axes: &[u32],
        body: Expr,
        element: &mut dyn FnMut(&mut Self, Value) -> Result<(), CodegenError>,
    ) -> Result<(), CodegenError> {
        let outside = self.bound;
        let mut loops = Vec::new();
        for &axis in axes {
            self.hoist(&[body])?;
            let extent = self.extent(self.compute.axes[axis as usize]);
            let open = self.code.open_loop(extent);
            self.bind(axis as usize, open.index);
            loops.push(open);
        }
        let value = self.eval(body)?;
        element(self, value)?;
        self.close_loops(loops);
        self.bound = outside;
        axes.iter().for_each(|&axis| self.axes[axis as usize] = None);
        Ok(())
    }

    fn accumulate(&mut self, accumulator: &Accumulator, value: Value) -> Result<(), CodegenError> {
        let present = self.code.b.use_var(accumulator.value);
        if let Some((best, at)) = accumulator.place {
            self.accumulate_place(accumulator, value, best, at);
            return Ok(());
        }
        let op = match accumulator.op {
            ReduceOp::Sum | ReduceOp::SerialSum => BinaryOp::Add,
            ReduceOp::Prod => BinaryOp::Mul,
            ReduceOp::Max => BinaryOp::Max,
            ReduceOp::Min => BinaryOp::Min,
            ReduceOp::Any => BinaryOp::Or,
            ReduceOp::All => BinaryOp::And,
            _ => BinaryOp::Xor,
        };
        let value = self.code.convert(self.code.kind(present), value);
        let next = self.code.binary(op, present, value)?;
        self.code.b.def_var(accumulator.value, next);
        Ok(())
    }

    fn accumulate_place(&mut self, accumulator: &Accumulator, value: Value, best: Variable, at: Variable) {
        let (present, place) = (self.code.b.use_var(accumulator.value), self.code.b.use_var(at));
        let is_max = accumulator.op == ReduceOp::ArgMax;
        let is_better = match accumulator.kind {
            Kind::Int => {
                self.code.b.ins().icmp(if is_max { IntCC::SignedGreaterThan } else { IntCC::SignedLessThan }, value, present)
            }
            Kind::Bool => {
                self.code.b.ins().icmp(if is_max { IntCC::UnsignedGreaterThan } else { IntCC::UnsignedLessThan }, value, present)
            }
            _ => {
                // A NaN is better than any number, and nothing is better than a NaN.
                let condition = if is_max { FloatCC::UnorderedOrGreaterThan } else { FloatCC::UnorderedOrLessThan };
                let wins = self.code.b.ins().fcmp(condition, value, present);
                let is_open = self.code.b.ins().fcmp(FloatCC::Ordered, present, present);
                self.code.b.ins().band(wins, is_open)
            }
        };
        let is_first = self.code.b.ins().icmp_imm_s(IntCC::Equal, place, 0);
        let takes = self.code.b.ins().bor(is_better, is_first);
        let value = self.code.b.ins().select(takes, value, present);
        self.code.b.def_var(accumulator.value, value);
        let old = self.code.b.use_var(best);
        let new = self.code.b.ins().select(takes, place, old);
        self.code.b.def_var(best, new);
        let next = self.code.b.ins().iadd_imm_s(place, 1);
        self.code.b.def_var(at, next);
    }

    fn result(&mut self, accumulator: &Accumulator) -> Value {
        match accumulator.place {
            Some((best, _)) => self.code.b.use_var(best),
            None => {
                let value = self.code.b.use_var(accumulator.value);
                if self.code.b.func.dfg.value_type(value) == types::F64 {
                    self.code.convert(accumulator.kind, value)
                } else {
                    value
                }
            }
        }
    }
}
