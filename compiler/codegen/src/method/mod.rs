//! A method becomes `i32 <prefix>_<method>(ctx*, const Value* args, u64 nargs, Value* result)`; the plan's
//! initialisation becomes a local function of the same form.
//!
//! Every way out but the good one leads through one block, which lets the runtime sweep up what abandoned statements
//! held, if the plan has run-time objects at all. Errors with constant texts need no runtime.

mod parallel;
mod scalar;

use crate::code::Code;
use crate::data::Place;
use crate::error::CodegenError;
use crate::layout;
use crate::linker::Linker;
use crate::task::Tasks;
use cranelift_codegen::Context;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, InstBuilder, MemFlagsData, Signature, SourceLoc, StackSlot, StackSlotData, StackSlotKind, UserFuncName, Value, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use cranelift_module::FuncId;
use kiln_loops::plan::{self, Access, LocalType, Method, Operand, Plan, Split, Stmt};
use parallel::ParallelLoop;

/// The functions and data that statements refer to, by number.
pub(crate) struct Program<'a, K> {
    pub(crate) plan: &'a Plan<K>,
    pub(crate) computes: Vec<FuncId>,
    pub(crate) kernels: Vec<FuncId>,
    /// The functions that compute one part of a kernel that is split.
    pub(crate) tasks: Tasks,
    pub(crate) data: Vec<Place>,
    /// Whether run-time objects may exist.
    pub(crate) uses_runtime: bool,
}

/// The signature of methods.
pub(crate) fn signature(linker: &Linker) -> Signature {
    Linker::signature(linker.c_convention, &[types::I64; 4], Some(types::I32))
}

/// How a method is entered.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Entry {
    /// From outside: pointers and the number of arguments are checked, an old error is cleared.
    Exported,
    /// From `create` and `reset`.
    Initial,
}

/// Builds a method in `context`. Gives its parallel loops, which are to be functions of their own.
pub(crate) fn build<'a, K>(
    linker: &mut Linker,
    program: &'a Program<K>,
    method: &'a Method,
    entry: Entry,
    id: FuncId,
    context: &mut Context,
    scratch: &mut FunctionBuilderContext,
) -> Result<Vec<ParallelLoop<'a>>, CodegenError> {
    context.func.signature = signature(linker);
    context.func.name = UserFuncName::user(0, id.as_u32());
    let mut code = Code::new(FunctionBuilder::new(&mut context.func, scratch), linker);
    let arguments = code.enter();
    let slots = method.slots.values().map(|&bytes| Home::Frame(new_slot(&mut code, bytes))).collect();
    let mut body = Body::new(code, program, method, [arguments[0], arguments[1], arguments[2], arguments[3]], slots);
    body.enter(entry)?;
    if body.block(&method.body)? {
        body.succeed();
    }
    body.finish()?;
    body.code.finish();
    Ok(body.parallel)
}

/// Where a stack slot of the plan is.
#[derive(Clone, Copy)]
enum Home {
    /// In the frame of the function.
    Frame(StackSlot),
    /// At an address, in the frame of a method that waits for the function.
    Address(Value),
    /// Nowhere: the function does not name it.
    Nowhere,
}

fn new_slot(code: &mut Code, bytes: u32) -> StackSlot {
    code.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4))
}

/// A method under construction.
struct Body<'a, 'f, 'm, K> {
    code: Code<'f, 'm>,
    program: &'a Program<'a, K>,
    method: &'a Method,
    locals: Vec<Variable>,
    slots: Vec<Home>,
    ctx: Value,
    args: Value,
    nargs: Value,
    result: Value,
    /// Start of the arena, and of the state slots.
    arena: Value,
    state: Value,
    /// Where a failed method goes, if it can fail; the status is its parameter.
    failed: Option<Block>,
    /// Ends of the open loops.
    loops: Vec<Block>,
    /// How many conditionals and loops are open.
    depth: usize,
    /// The parallel loops so far.
    parallel: Vec<ParallelLoop<'a>>,
}

/// The most conditionals and loops inside one another that are accepted: so deep does code generation recurse.
const MAX_DEPTH: usize = 1000;

impl<'a, 'f, 'm, K> Body<'a, 'f, 'm, K> {
    fn new(
        mut code: Code<'f, 'm>,
        program: &'a Program<'a, K>,
        method: &'a Method,
        [ctx, args, nargs, result]: [Value; 4],
        slots: Vec<Home>,
    ) -> Body<'a, 'f, 'm, K> {
        let locals = method.locals.values().map(|&ty| code.b.declare_var(scalar::type_of_local(ty))).collect();
        // Not read before the context is known not to be null.
        let (arena, state) = (ctx, ctx);
        let (loops, parallel) = (Vec::new(), Vec::new());
        Body {
            code,
            program,
            method,
            locals,
            slots,
            ctx,
            args,
            nargs,
            result,
            arena,
            state,
            failed: None,
            loops,
            depth: 0,
            parallel,
        }
    }

    fn enter(&mut self, entry: Entry) -> Result<(), CodegenError> {
        if entry == Entry::Exported {
            self.check_entry()?;
            self.clear_error()?;
        }
        self.load_instance();
        for (local, &ty) in self.method.locals.iter() {
            let zero = self.zero_of(ty);
            self.code.b.def_var(self.locals[local.0 as usize], zero);
        }
        Ok(())
    }

    fn load_instance(&mut self) {
        self.arena = self.code.b.ins().load(types::I64, MemFlagsData::trusted(), self.ctx, layout::ARENA);
        self.state = self.code.b.ins().load(types::I64, MemFlagsData::trusted(), self.ctx, layout::STATE);
    }

    /// Refuses null pointers and a wrong number of arguments.
    fn check_entry(&mut self) -> Result<(), CodegenError> {
        let no_context = self.code.b.create_block();
        let is_there = self.code.b.ins().icmp_imm_s(IntCC::NotEqual, self.ctx, 0);
        self.code.require(is_there, no_context);
        let after = self.code.b.current_block();
        self.code.b.seal_block(no_context);
        self.code.b.switch_to_block(no_context);
        self.code.b.set_cold_block(no_context);
        let status = self.code.b.ins().iconst(types::I32, layout::BAD_ARGUMENT);
        self.code.b.ins().return_(&[status]);
        let Some(after) = after else { return Err(CodegenError::rule("no entry block")) };
        self.code.b.switch_to_block(after);

        let count = self.method.params.len() as i64;
        let name = &self.method.name;
        let text = format!("{name} takes {count} argument{}", if count == 1 { "" } else { "s" });
        let is_right = self.code.b.ins().icmp_imm_s(IntCC::Equal, self.nargs, count);
        self.require_argument(is_right, &text)?;
        let text = format!("{name}: null pointer for the arguments or the result");
        let has_result = self.code.b.ins().icmp_imm_s(IntCC::NotEqual, self.result, 0);
        self.require_argument(has_result, &text)?;
        if count > 0 {
            let has_args = self.code.b.ins().icmp_imm_s(IntCC::NotEqual, self.args, 0);
            self.require_argument(has_args, &text)?;
        }
        Ok(())
    }

    /// Goes on only where `test` holds, else fails with status 3.
    fn require_argument(&mut self, test: Value, text: &str) -> Result<(), CodegenError> {
        let (good, bad) = (self.code.b.create_block(), self.code.b.create_block());
        self.code.b.ins().brif(test, good, &[], bad, &[]);
        self.code.b.seal_block(good);
        self.code.b.seal_block(bad);
        self.code.b.switch_to_block(bad);
        self.code.b.set_cold_block(bad);
        let id = self.code.linker.text(text)?;
        let address = self.code.address(id);
        self.fail(layout::BAD_ARGUMENT, Some((address, text.len())))?;
        self.code.b.switch_to_block(good);
        Ok(())
    }

    /// Forgets the error of an earlier call.
    fn clear_error(&mut self) -> Result<(), CodegenError> {
        if self.program.uses_runtime {
            self.code.call_runtime("clear_error", &[self.ctx])?;
            return Ok(());
        }
        let zero = self.code.b.ins().iconst(types::I32, 0);
        self.code.b.ins().store(MemFlagsData::trusted(), zero, self.ctx, layout::STATUS);
        self.set_error_text(None);
        Ok(())
    }

    fn set_error_text(&mut self, text: Option<(Value, usize)>) {
        let (address, len) = text.unwrap_or_else(|| (self.code.int(0), 0));
        let len = self.code.int(len as i64);
        self.code.b.ins().store(MemFlagsData::trusted(), address, self.ctx, layout::ERROR_TEXT);
        self.code.b.ins().store(MemFlagsData::trusted(), len, self.ctx, layout::ERROR_LEN);
    }

    /// Ends the method with a status and a constant text; without one, what text there is stays.
    fn fail(&mut self, status: i64, text: Option<(Value, usize)>) -> Result<(), CodegenError> {
        if text.is_some() {
            // A text of the runtime's is in memory that it must free.
            self.clear_error()?;
            self.set_error_text(text);
        }
        let status = self.code.b.ins().iconst(types::I32, status);
        self.code.b.ins().store(MemFlagsData::trusted(), status, self.ctx, layout::STATUS);
        let failed = self.failed();
        self.code.b.ins().jump(failed, &[status.into()]);
        Ok(())
    }

    fn failed(&mut self) -> Block {
        *self.failed.get_or_insert_with(|| {
            let block = self.code.b.create_block();
            self.code.b.append_block_param(block, types::I32);
            block
        })
    }

    fn succeed(&mut self) {
        let status = self.code.b.ins().iconst(types::I32, 0);
        self.code.b.ins().return_(&[status]);
    }

    /// The shared way out of a failed method.
    fn finish(&mut self) -> Result<(), CodegenError> {
        let Some(failed) = self.failed else { return Ok(()) };
        self.code.b.seal_block(failed);
        self.code.b.switch_to_block(failed);
        self.code.b.set_cold_block(failed);
        let status = self.code.b.block_params(failed)[0];
        if self.program.uses_runtime {
            // The state is a root of every sweep by itself.
            let zero = self.code.int(0);
            self.code.call_runtime("sweep", &[self.ctx, zero, zero])?;
        }
        self.code.b.ins().return_(&[status]);
        Ok(())
    }

    /// Emits statements. Whether control can reach what follows them.
    fn block(&mut self, statements: &'a [Stmt]) -> Result<bool, CodegenError> {
        if self.depth > MAX_DEPTH {
            return Err(CodegenError::rule(format!("more than {MAX_DEPTH} conditionals and loops inside one another")));
        }
        self.depth += 1;
        for statement in statements {
            if !self.statement(statement)? {
                self.depth -= 1;
                return Ok(false);
            }
        }
        self.depth -= 1;
        Ok(true)
    }

    fn statement(&mut self, statement: &'a Stmt) -> Result<bool, CodegenError> {
        match statement {
            Stmt::Scalar { dst, op, args } => self.scalar(*dst, *op, args)?,
            Stmt::Load { dst, base, offset, access } => self.load(*dst, *base, *offset, *access)?,
            Stmt::Store { base, offset, value, access } => self.store(*base, *offset, *value, *access)?,
            Stmt::Compute { id, outputs, inputs, params, failure } => {
                let args: Vec<Operand> = [outputs.as_slice(), inputs, params].concat();
                self.compute(*id, &args, *failure)?;
            }
            Stmt::Kernel { id, args, split } => self.kernel(*id, args, *split)?,
            Stmt::Runtime { name, args, result, fallible } => self.runtime(name, args, *result, *fallible)?,
            Stmt::CopyBytes { to, from, bytes } => {
                let args = [self.int_operand(*to)?, self.int_operand(*from)?, self.int_operand(*bytes)?];
                let memcpy = self.code.linker.import_c("memcpy")?;
                self.code.call(memcpy, &args);
            }
            Stmt::ZeroBytes { to, bytes } => {
                let zero = self.code.b.ins().iconst(types::I32, 0);
                let args = [self.int_operand(*to)?, zero, self.int_operand(*bytes)?];
                let memset = self.code.linker.import_c("memset")?;
                self.code.call(memset, &args);
            }
            Stmt::If { test, then, orelse } => return self.conditional(*test, then, orelse),
            Stmt::Loop { body } => self.repeat(body)?,
            Stmt::Parallel { index, count, body } => self.parallel(*index, *count, body)?,
            Stmt::Break => {
                let exit = *self.loops.last().ok_or_else(|| CodegenError::rule("break outside of a loop"))?;
                self.code.b.ins().jump(exit, &[]);
                return Ok(false);
            }
            Stmt::Raise { text } => {
                let text = self.constant_text(*text)?;
                self.fail(layout::RAISED, Some(text))?;
                return Ok(false);
            }
            Stmt::Fail { status, text } => {
                let text = text.map(|id| self.constant_text(id)).transpose()?;
                self.fail(i64::from(*status), text)?;
                return Ok(false);
            }
            Stmt::Return => {
                self.succeed();
                return Ok(false);
            }
            Stmt::Mark(site) => {
                let site = self.code.int(i64::from(*site));
                let mark = self.code.linker.import_c("kiln_profile_mark")?;
                self.code.call(mark, &[site]);
            }
            Stmt::At(span) => {
                let location = self.code.linker.source_location(*span);
                self.code.b.set_srcloc(SourceLoc::new(location));
            }
        }
        Ok(true)
    }

    fn conditional(&mut self, test: Operand, then: &'a [Stmt], orelse: &'a [Stmt]) -> Result<bool, CodegenError> {
        let test = self.bool_operand(test)?;
        let (yes, no, merge) = (self.code.b.create_block(), self.code.b.create_block(), self.code.b.create_block());
        self.code.b.ins().brif(test, yes, &[], no, &[]);
        let mut goes_on = false;
        for (block, statements) in [(yes, then), (no, orelse)] {
            self.code.b.seal_block(block);
            self.code.b.switch_to_block(block);
            if self.block(statements)? {
                self.code.b.ins().jump(merge, &[]);
                goes_on = true;
            }
        }
        self.code.b.seal_block(merge);
        if goes_on {
            self.code.b.switch_to_block(merge);
        }
        Ok(goes_on)
    }

    fn repeat(&mut self, body: &'a [Stmt]) -> Result<(), CodegenError> {
        let (header, exit) = (self.code.b.create_block(), self.code.b.create_block());
        self.code.b.ins().jump(header, &[]);
        self.code.b.switch_to_block(header);
        self.loops.push(exit);
        if self.block(body)? {
            self.code.b.ins().jump(header, &[]);
        }
        self.loops.pop();
        self.code.b.seal_block(header);
        self.code.b.seal_block(exit);
        self.code.b.switch_to_block(exit);
        Ok(())
    }

    fn load(&mut self, dst: plan::Local, base: Operand, offset: i64, access: Access) -> Result<(), CodegenError> {
        let (address, offset) = self.place(base, offset)?;
        let value = match access {
            Access::Element(dtype) => self.code.load_element(dtype, address, offset),
            Access::Word => self.code.b.ins().load(types::I64, MemFlagsData::trusted(), address, offset),
            Access::Half => self.code.b.ins().uload32(MemFlagsData::trusted(), address, offset),
        };
        self.assign(dst, value)
    }

    fn store(&mut self, base: Operand, offset: i64, value: Operand, access: Access) -> Result<(), CodegenError> {
        let value = self.operand(value)?;
        let (address, offset) = self.place(base, offset)?;
        match access {
            Access::Element(dtype) => self.code.store_element(dtype, value, address, offset),
            Access::Word | Access::Half if self.code.kind(value) != kiln_loops::Kind::Int => {
                return Err(CodegenError::rule(format!("{access:?} stores an int")));
            }
            Access::Word => {
                self.code.b.ins().store(MemFlagsData::trusted(), value, address, offset);
            }
            Access::Half => {
                self.code.b.ins().istore32(MemFlagsData::trusted(), value, address, offset);
            }
        }
        Ok(())
    }

    /// An address and what of the offset fits an instruction.
    fn place(&mut self, base: Operand, offset: i64) -> Result<(Value, i32), CodegenError> {
        let base = self.int_operand(base)?;
        Ok(match i32::try_from(offset) {
            Ok(offset) => (base, offset),
            Err(_) => (self.code.plus(base, offset), 0),
        })
    }

    fn compute(&mut self, id: plan::ComputeId, args: &[Operand], failure: Option<plan::DataId>) -> Result<(), CodegenError> {
        let compute = self.program.plan.computes.get(id).ok_or_else(|| CodegenError::rule(format!("{id} is not there")))?;
        let args = args.iter().map(|&a| self.operand(a)).collect::<Result<Vec<_>, _>>()?;
        let function = self.program.computes[id.0 as usize];
        let wanted = &self.code.linker.module.declarations().get_function_decl(function).signature.params;
        if !wanted.iter().map(|p| p.value_type).eq(args.iter().map(|&a| self.code.b.func.dfg.value_type(a))) {
            return Err(CodegenError::rule(format!("the arguments do not fit {id} ({})", compute.name)));
        }
        let Some(status) = self.code.call(function, &args) else { return Ok(()) };
        let (bad, good) = (self.code.b.create_block(), self.code.b.create_block());
        self.code.b.ins().brif(status, bad, &[], good, &[]);
        self.code.b.seal_block(bad);
        self.code.b.seal_block(good);
        self.code.b.switch_to_block(bad);
        self.code.b.set_cold_block(bad);
        let text = match failure {
            Some(text) => self.constant_text(text)?,
            None => {
                let text = "index out of range";
                let id = self.code.linker.text(text)?;
                (self.code.address(id), text.len())
            }
        };
        self.fail(layout::RAISED, Some(text))?;
        self.code.b.switch_to_block(good);
        Ok(())
    }

    fn kernel(&mut self, id: plan::KernelId, args: &[Operand], split: Option<Split>) -> Result<(), CodegenError> {
        let args = args.iter().map(|&a| self.int_operand(a)).collect::<Result<Vec<_>, _>>()?;
        let function =
            *self.program.kernels.get(id.0 as usize).ok_or_else(|| CodegenError::rule(format!("{id} is not there")))?;
        let wanted = self.code.linker.module.declarations().get_function_decl(function).signature.params.len();
        if wanted != args.len() {
            return Err(CodegenError::rule(format!("{id} takes {wanted} arguments")));
        }
        match split {
            None => self.code.call(function, &args).map_or(Ok(()), |_| Err(CodegenError::rule("a kernel has no result"))),
            Some(split) => self.region(id, &args, split),
        }
    }

    /// A parallel region: the arguments are put on the stack, where the parts read them.
    fn region(&mut self, id: plan::KernelId, args: &[Value], split: Split) -> Result<(), CodegenError> {
        let task = *self.program.tasks.get(&(id, split)).ok_or_else(|| CodegenError::rule(format!("{id} has no task")))?;
        let parts = self.code.int(i64::from(split.parts));
        self.share(args, task, parts)
    }

    fn runtime(
        &mut self,
        name: &'static str,
        args: &[Operand],
        result: Option<plan::Local>,
        fallible: bool,
    ) -> Result<(), CodegenError> {
        let symbol = crate::linker::runtime_symbol(name).ok_or_else(|| CodegenError::RuntimeFunction(name.into()))?;
        // The context goes before the arguments, unless the plan names it there itself.
        let mut values = Vec::with_capacity(args.len() + 1);
        if fallible && args.first() != Some(&Operand::Context) && symbol.params.len() == args.len() + 1 {
            values.push(self.ctx);
        }
        for &arg in args {
            let value = self.operand(arg)?;
            // Flags travel as 64-bit integers.
            let is_flag = self.code.kind(value) == kiln_loops::Kind::Bool;
            values.push(if is_flag { self.code.convert(kiln_loops::Kind::Int, value) } else { value });
        }
        let returned = self.code.call_runtime(name, &values)?;
        if fallible {
            self.test_status();
        }
        match (result, returned) {
            (None, _) => Ok(()),
            (Some(dst), Some(value)) => {
                let is_flag = self.method.locals.get(dst) == Some(&LocalType::Bool);
                let value = if is_flag { self.code.convert(kiln_loops::Kind::Bool, value) } else { value };
                self.assign(dst, value)
            }
            (Some(_), None) => Err(CodegenError::rule(format!("the runtime function `{name}` has no result"))),
        }
    }

    /// Ends the method if the context says that a runtime function failed.
    fn test_status(&mut self) {
        let status = self.code.b.ins().load(types::I32, MemFlagsData::trusted(), self.ctx, layout::STATUS);
        let (next, failed) = (self.code.b.create_block(), self.failed());
        self.code.b.ins().brif(status, failed, &[status.into()], next, &[]);
        self.code.b.seal_block(next);
        self.code.b.switch_to_block(next);
    }

    /// The address of data.
    fn data_address(&mut self, place: Place) -> Value {
        let symbol = self.code.address(place.symbol);
        self.code.plus(symbol, place.offset)
    }

    /// The address and length of a plan's NUL-terminated text.
    fn constant_text(&mut self, id: plan::DataId) -> Result<(Value, usize), CodegenError> {
        let data = self.program.plan.data.get(id).ok_or_else(|| CodegenError::rule(format!("{id} is not there")))?;
        let Some(len) = data.bytes.iter().position(|&byte| byte == 0) else {
            return Err(CodegenError::rule(format!("the text {id} has no NUL")));
        };
        Ok((self.data_address(self.program.data[id.0 as usize]), len))
    }
}
