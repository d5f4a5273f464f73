//! A computation becomes one local function: `fn(outputs..., inputs..., params...) [-> i32]`, addresses as `i64`,
//! parameters by kind; a computation that can fail gives 0, or 1 when a checked index was out of range.
//!
//! Where an expression is evaluated follows from what it depends on. Output loops are entered only when every output
//! axis has elements, so whatever an element needs in any case may be evaluated at the outermost level at which its
//! axes are bound; pure arithmetic is left to Cranelift, which hoists it by itself. What stands in a branch of a
//! select that loads, checks, reduces or calls is evaluated in that branch only.

mod cascade;
mod facts;
mod reduce;
mod scatter;

use crate::code::{Code, OpenLoop, type_of};
use crate::error::CodegenError;
use crate::linker::Linker;
use cranelift_codegen::Context;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Type, UserFuncName, Value, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::FuncId;
use facts::Facts;
use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Extent, simplify};

/// Declares the function of a computation.
pub(crate) fn declare(linker: &mut Linker, compute: &Compute, number: usize) -> Result<FuncId, CodegenError> {
    let buffers = compute.outputs.len() + usize::from(compute.scatter.is_some()) + compute.inputs.len();
    let mut params: Vec<Type> = vec![types::I64; buffers];
    params.extend(compute.params.iter().map(|&kind| type_of(kind)));
    let result = compute.can_fail().then_some(types::I32);
    let signature = Linker::signature(linker.c_convention, &params, result);
    linker.declare_local(&format!("compute{number}.{}", compute.name.replace('\0', "")), &signature)
}

/// Builds the function of a computation in `context`.
pub(crate) fn build(
    linker: &mut Linker,
    compute: &Compute,
    id: FuncId,
    context: &mut Context,
    scratch: &mut FunctionBuilderContext,
) -> Result<(), CodegenError> {
    context.func.signature = linker.module.declarations().get_function_decl(id).signature.clone();
    context.func.name = UserFuncName::user(0, id.as_u32());
    let facts = Facts::of(compute)?;
    let code = Code::new(FunctionBuilder::new(&mut context.func, scratch), linker);
    let mut nest = Nest::new(code, compute, facts);
    nest.body()?;
    nest.code.finish();
    Ok(())
}

/// The distance between neighbours along a dimension, in bytes.
#[derive(Clone, Copy)]
enum Stride {
    Const(i64),
    Value(Value),
}

/// A computation's function under construction.
struct Nest<'a, 'f, 'm> {
    code: Code<'f, 'm>,
    compute: &'a Compute,
    facts: Facts,
    outputs: Vec<Value>,
    inputs: Vec<Value>,
    strides: Vec<Vec<Stride>>,
    params: Vec<Value>,
    /// Axes bound now, as bits.
    bound: u64,
    /// Indices of the bound axes.
    axes: Vec<Option<Value>>,
    /// What has been evaluated on every path to here.
    values: Vec<Option<Value>>,
    /// The expressions in `values`, in order, so that a scope can be left.
    log: Vec<Expr>,
    /// Where a failed check goes.
    fail: Option<Block>,
    /// How many more expressions may be emitted: branches that each evaluate the same could multiply without end.
    budget: usize,
}

impl<'a, 'f, 'm> Nest<'a, 'f, 'm> {
    fn new(mut code: Code<'f, 'm>, compute: &'a Compute, facts: Facts) -> Nest<'a, 'f, 'm> {
        let mut arguments = code.enter();
        let output_count = compute.outputs.len() + usize::from(compute.scatter.is_some());
        let params = arguments.split_off(output_count + compute.inputs.len());
        let inputs = arguments.split_off(output_count);
        let fail = compute.can_fail().then(|| code.b.create_block());
        Nest {
            code,
            compute,
            facts,
            outputs: arguments,
            inputs,
            strides: Vec::new(),
            params,
            bound: 0,
            axes: vec![None; compute.axes.len()],
            values: vec![None; compute.exprs.len()],
            log: Vec::new(),
            fail,
            budget: 16 * compute.exprs.len() + 100_000,
        }
    }

    fn body(&mut self) -> Result<(), CodegenError> {
        let done = self.code.b.create_block();
        let compute = self.compute;
        for input in &compute.inputs {
            let strides = self.byte_strides(&input.dims, input.dtype.size());
            self.strides.push(strides);
        }
        if self.require_elements(&compute.axes[..compute.rank], done) {
            match &compute.scatter {
                Some(scatter) => self.scatter(scatter)?,
                None => self.elements()?,
            }
            self.code.b.ins().jump(done, &[]);
        } else {
            self.code.b.ins().jump(done, &[]);
        }
        self.code.b.seal_block(done);
        self.code.b.switch_to_block(done);
        self.leave(0);
        if let Some(fail) = self.fail {
            self.code.b.seal_block(fail);
            self.code.b.switch_to_block(fail);
            self.code.b.set_cold_block(fail);
            self.leave(1);
        }
        Ok(())
    }

    fn leave(&mut self, status: i64) {
        if self.fail.is_none() {
            self.code.b.ins().return_(&[]);
            return;
        }
        let status = self.code.b.ins().iconst(types::I32, status);
        self.code.b.ins().return_(&[status]);
    }

    /// An extent as a value.
    fn extent(&mut self, extent: Extent) -> Value {
        match extent {
            Extent::Const(n) => self.code.int(n),
            Extent::Param(p) => {
                let param = self.params[p as usize];
                self.code.convert(kiln_loops::Kind::Int, param)
            }
        }
    }

    /// Goes on only where all extents are positive, else to `otherwise`. False when one surely is not: then no code
    /// may follow.
    fn require_elements(&mut self, extents: &[Extent], otherwise: Block) -> bool {
        if extents.iter().any(|e| matches!(e, Extent::Const(n) if *n <= 0)) {
            return false;
        }
        for &extent in extents {
            if let Extent::Param(_) = extent {
                let extent = self.extent(extent);
                let has_elements = self.code.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, extent, 0);
                self.code.require(has_elements, otherwise);
            }
        }
        true
    }

    /// Row-major strides in bytes.
    fn byte_strides(&mut self, dims: &[Extent], element: usize) -> Vec<Stride> {
        let mut stride = Stride::Const(element as i64);
        let mut strides = vec![stride; dims.len()];
        for at in (0..dims.len()).rev() {
            strides[at] = stride;
            stride = match (stride, dims[at]) {
                (Stride::Const(s), Extent::Const(n)) => Stride::Const(s.wrapping_mul(n)),
                (Stride::Const(s), dim) => {
                    let dim = self.extent(dim);
                    Stride::Value(self.code.scaled(dim, s))
                }
                (Stride::Value(s), Extent::Const(n)) => Stride::Value(self.code.scaled(s, n)),
                (Stride::Value(s), dim) => {
                    let dim = self.extent(dim);
                    Stride::Value(self.code.b.ins().imul(s, dim))
                }
            };
        }
        strides
    }

    /// The address of an element and a constant offset to add. The outermost index is added first, so that what
    /// precedes the innermost one does not change in the innermost loop.
    fn element_address(&mut self, base: Value, strides: &[Stride], index: &[Value]) -> (Value, i32) {
        let (mut address, mut offset) = (base, 0i64);
        for (&stride, &index) in strides.iter().zip(index) {
            let step = match (self.code.as_int(index), stride) {
                (Some(index), Stride::Const(stride)) => {
                    offset = offset.wrapping_add(index.wrapping_mul(stride));
                    continue;
                }
                (None, Stride::Const(stride)) => self.code.scaled(index, stride),
                (_, Stride::Value(stride)) => self.code.b.ins().imul(index, stride),
            };
            address = self.code.b.ins().iadd(address, step);
        }
        match i32::try_from(offset) {
            Ok(offset) => (address, offset),
            Err(_) => (self.code.plus(address, offset), 0),
        }
    }

    /// The loops over the output axes, with all outputs stored in the innermost one.
    fn elements(&mut self) -> Result<(), CodegenError> {
        let roots = self.compute.roots();
        let (loops, flat) = self.open_output_loops(&roots)?;
        // All are evaluated before one is stored: an output may take the place of an input.
        let values = roots.iter().map(|&root| self.eval(root)).collect::<Result<Vec<_>, _>>()?;
        for (number, value) in values.into_iter().enumerate() {
            let dtype = self.compute.outputs[number].dtype;
            let step = self.code.scaled(flat, dtype.size() as i64);
            let address = self.code.b.ins().iadd(self.outputs[number], step);
            self.code.store_element(dtype, value, address, 0);
        }
        self.close_loops(loops);
        Ok(())
    }

    /// Opens the loops over the output axes, each after what `roots` need that does not change in it. Gives the
    /// loops and the flat index.
    fn open_output_loops(&mut self, roots: &[Expr]) -> Result<(Vec<OpenLoop>, Value), CodegenError> {
        let mut loops = Vec::new();
        let mut flat = self.code.int(0);
        for axis in 0..self.compute.rank {
            self.hoist(roots)?;
            let extent = self.extent(self.compute.axes[axis]);
            let row = self.code.b.ins().imul(flat, extent);
            let open = self.code.open_loop(extent);
            self.bind(axis, open.index);
            flat = if axis == 0 { open.index } else { self.code.b.ins().iadd(row, open.index) };
            loops.push(open);
        }
        Ok((loops, flat))
    }

    fn close_loops(&mut self, loops: Vec<OpenLoop>) {
        for open in loops.into_iter().rev() {
            self.code.close_loop(open);
        }
    }

    fn bind(&mut self, axis: usize, index: Value) {
        self.axes[axis] = Some(index);
        self.bound |= 1 << axis;
    }

    /// Evaluates now what `roots` need in any case, depends on bound axes only, and is more than arithmetic.
    fn hoist(&mut self, roots: &[Expr]) -> Result<(), CodegenError> {
        let mut seen = vec![false; self.compute.exprs.len()];
        let mut work = roots.to_vec();
        let mut ready = Vec::new();
        while let Some(expr) = work.pop() {
            let at = expr.0 as usize;
            if std::mem::replace(&mut seen[at], true) || self.values[at].is_some() || !self.facts.effect[at] {
                continue;
            }
            if self.facts.free[at] & !self.bound == 0 {
                ready.push(expr);
            } else {
                work.extend(self.always_evaluated(expr));
            }
        }
        ready.sort();
        ready.into_iter().try_for_each(|expr| self.eval(expr).map(|_| ()))
    }

    /// What the evaluation of an expression evaluates in any case, loop bodies that surely run included.
    fn always_evaluated(&self, expr: Expr) -> Vec<Expr> {
        match self.compute.exprs.get(expr) {
            ExprData::Reduce { axes, body, .. } if axes.iter().all(|&a| self.has_surely_elements(a)) => vec![*body],
            _ => self.facts.operands(self.compute, expr),
        }
    }

    fn has_surely_elements(&self, axis: u32) -> bool {
        matches!(self.compute.axes[axis as usize], Extent::Const(n) if n > 0)
    }

    /// The value of an expression. Its operands are evaluated in order of creation, which puts operands first, so
    /// that a long chain needs no recursion.
    fn eval(&mut self, root: Expr) -> Result<Value, CodegenError> {
        if let Some(value) = self.values[root.0 as usize] {
            return Ok(value);
        }
        let mut seen = vec![false; root.0 as usize + 1];
        let mut work = vec![root];
        let mut pending = Vec::new();
        while let Some(expr) = work.pop() {
            if std::mem::replace(&mut seen[expr.0 as usize], true) || self.values[expr.0 as usize].is_some() {
                continue;
            }
            pending.push(expr);
            work.extend(self.facts.operands(self.compute, expr));
        }
        pending.sort();
        for expr in pending {
            self.budget =
                self.budget.checked_sub(1).ok_or_else(|| CodegenError::rule("branches share too much of what they evaluate"))?;
            let value = self.emit(expr)?;
            self.values[expr.0 as usize] = Some(value);
            self.log.push(expr);
        }
        self.values[root.0 as usize].ok_or_else(|| CodegenError::rule(format!("{root} was not evaluated")))
    }

    /// Forgets what was evaluated after the mark.
    fn leave_scope(&mut self, mark: usize) {
        for expr in self.log.drain(mark..) {
            self.values[expr.0 as usize] = None;
        }
    }

    fn operand(&self, expr: Expr) -> Result<Value, CodegenError> {
        self.values[expr.0 as usize].ok_or_else(|| CodegenError::rule(format!("{expr} is used before it is evaluated")))
    }

    /// Emits an expression whose operands have been evaluated.
    fn emit(&mut self, expr: Expr) -> Result<Value, CodegenError> {
        let compute = self.compute;
        match compute.exprs.get(expr) {
            ExprData::Const(scalar) => Ok(self.code.constant(*scalar)),
            ExprData::Axis(axis) => {
                self.axes[*axis as usize].ok_or_else(|| CodegenError::rule(format!("axis {axis} is used outside its loop")))
            }
            ExprData::Param(param, kind) => Ok(self.code.convert(*kind, self.params[*param as usize])),
            ExprData::Load { input, index } => self.load(*input as usize, index),
            ExprData::Unary(op, x) => {
                let x = self.operand(*x)?;
                self.code.unary(*op, x)
            }
            ExprData::Binary(op, a, b) => self.binary(*op, *a, *b),
            ExprData::Math(op, args) => {
                let args = args.iter().map(|&a| self.operand(a)).collect::<Result<Vec<_>, _>>()?;
                self.code.math(op.0, &args)
            }
            ExprData::Select(test, yes, no) => self.select(*test, *yes, *no),
            ExprData::Cast(dtype, x) => {
                let x = self.operand(*x)?;
                Ok(self.code.cast(*dtype, x))
            }
            ExprData::Check { index, size } => self.check(*index, *size),
            ExprData::Reduce { op, axes, body } => self.reduce(*op, axes, *body),
        }
    }

    fn load(&mut self, input: usize, index: &[Expr]) -> Result<Value, CodegenError> {
        let index = index.iter().map(|&i| self.operand(i)).collect::<Result<Vec<_>, _>>()?;
        let strides = std::mem::take(&mut self.strides[input]);
        let (address, offset) = self.element_address(self.inputs[input], &strides, &index);
        self.strides[input] = strides;
        Ok(self.code.load_element(self.compute.inputs[input].dtype, address, offset))
    }

    fn binary(&mut self, op: BinaryOp, a: Expr, b: Expr) -> Result<Value, CodegenError> {
        let (x, y) = (self.operand(a)?, self.operand(b)?);
        let is_division = matches!(op, BinaryOp::FloorDiv | BinaryOp::TruncDiv | BinaryOp::Mod | BinaryOp::Rem);
        if is_division && self.compute.exprs.kind(a) == kiln_loops::Kind::Int {
            let never_negative = |expr| simplify::range(&self.compute.exprs, expr).is_some_and(|(low, _)| low >= 0);
            let hint = never_negative(a) && never_negative(b);
            return Ok(self.code.int_divide(op, x, y, hint));
        }
        self.code.binary(op, x, y)
    }

    /// Both sides where they are plain arithmetic, else a real branch.
    fn select(&mut self, test: Expr, yes: Expr, no: Expr) -> Result<Value, CodegenError> {
        let test = self.operand(test)?;
        if let (Some(yes), Some(no)) = (self.values[yes.0 as usize], self.values[no.0 as usize]) {
            return Ok(self.code.b.ins().select(test, yes, no));
        }
        let (then, orelse, merge) = (self.code.b.create_block(), self.code.b.create_block(), self.code.b.create_block());
        let result = self.code.b.append_block_param(merge, type_of(self.compute.exprs.kind(yes)));
        self.code.b.ins().brif(test, then, &[], orelse, &[]);
        for (block, chosen) in [(then, yes), (orelse, no)] {
            self.code.b.seal_block(block);
            self.code.b.switch_to_block(block);
            let mark = self.log.len();
            let value = self.eval(chosen)?;
            self.code.b.ins().jump(merge, &[value.into()]);
            self.leave_scope(mark);
        }
        self.code.b.seal_block(merge);
        self.code.b.switch_to_block(merge);
        Ok(result)
    }

    fn check(&mut self, index: Expr, size: Expr) -> Result<Value, CodegenError> {
        let (index, size) = (self.operand(index)?, self.operand(size)?);
        let fail = self.fail.ok_or_else(|| CodegenError::rule("a check in a computation that cannot fail"))?;
        // One unsigned comparison would do only for sizes that are not negative.
        let is_inside = self.code.b.ins().icmp(IntCC::SignedLessThan, index, size);
        let is_positive = self.code.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, index, 0);
        let is_inside = self.code.b.ins().band(is_inside, is_positive);
        self.code.require(is_inside, fail);
        Ok(index)
    }
}
