//! The functions every model has beside its methods: making an instance of it, destroying it, setting it back, and
//! asking for the last error.
//!
//! An instance is one block, 64-byte aligned: the context, two words for `destroy`, the last result of a call by
//! tensors, the state slots, room for descriptors, and, unless the app gives one, the arena. It comes from the options' allocator, else from `malloc`
//! (and then, if large, with huge pages). The functions match `kiln.h`:
//!
//! ```text
//! i32 <prefix>_create(const kiln_options* options /*or null*/, kiln_context** out)
//! void <prefix>_destroy(kiln_context* instance /*or null*/)
//! i32 <prefix>_reset(kiln_context* instance)
//! const char* <prefix>_last_error(const kiln_context* instance)    never null
//! u64 <prefix>_arena_bytes(void)    what an arena given in the options must hold
//! ```
//!
//! and, where methods have variants by CPU:
//!
//! ```text
//! u32 <prefix>_variant(void)    the variant that `create` chooses on this machine
//! i32 <prefix>_create_variant(const kiln_options* options /*or null*/, u32 variant, kiln_context** out)
//! ```

use crate::code::Code;
use crate::error::CodegenError;
use crate::huge_pages;
use crate::layout;
use crate::linker::Linker;
use cranelift_codegen::Context;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, InstBuilder, MemFlagsData, Signature, StackSlotData, StackSlotKind, Type, UserFuncName, Value, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::FuncId;

/// Alignment of instances and arenas.
const ALIGN: i64 = 64;
/// Size of `Options`.
const OPTIONS_BYTES: i32 = 80;

/// What the functions need to know of the model.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) state_slots: i64,
    /// Memory for the descriptors of a call by tensors.
    pub(crate) descriptor_bytes: i64,
    pub(crate) arena_bytes: i64,
    pub(crate) uses_runtime: bool,
    /// Whether calls use several threads: an instance then has a pool.
    pub(crate) uses_threads: bool,
    /// The plan's initialisation.
    pub(crate) init: FuncId,
    /// Variants that methods have beside their first form, and the function that chooses one, where there are any.
    pub(crate) variants: i64,
    pub(crate) choice: Option<FuncId>,
    /// Advice that memory shall have huge pages, where the arena is large enough for some.
    pub(crate) advise: Option<FuncId>,
}

/// The functions, in the order in which they are defined.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    Create,
    Destroy,
    Reset,
    LastError,
    ArenaBytes,
    Variant,
    CreateVariant,
}

impl Function {
    pub(crate) const ALL: [Function; 7] = [
        Function::Variant,
        Function::CreateVariant,
        Function::Create,
        Function::Destroy,
        Function::Reset,
        Function::LastError,
        Function::ArenaBytes,
    ];

    /// Whether only models with variants have it.
    pub(crate) fn is_of_variants(self) -> bool {
        matches!(self, Function::Variant | Function::CreateVariant)
    }

    /// Its name without prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Function::Create => "create",
            Function::Destroy => "destroy",
            Function::Reset => "reset",
            Function::LastError => "last_error",
            Function::ArenaBytes => "arena_bytes",
            Function::Variant => "variant",
            Function::CreateVariant => "create_variant",
        }
    }

    pub(crate) fn signature(self, linker: &Linker) -> Signature {
        let pointer = types::I64;
        let (params, result): (&[Type], Option<Type>) = match self {
            Function::Create => (&[pointer, pointer], Some(types::I32)),
            Function::Destroy => (&[pointer], None),
            Function::Reset => (&[pointer], Some(types::I32)),
            Function::LastError => (&[pointer], Some(pointer)),
            Function::ArenaBytes => (&[], Some(types::I64)),
            Function::Variant => (&[], Some(types::I32)),
            Function::CreateVariant => (&[pointer, types::I32, pointer], Some(types::I32)),
        };
        Linker::signature(linker.c_convention, params, result)
    }
}

/// Builds a function in `context`.
pub(crate) fn build(
    linker: &mut Linker,
    shape: Shape,
    function: Function,
    id: FuncId,
    context: &mut Context,
    scratch: &mut FunctionBuilderContext,
) -> Result<(), CodegenError> {
    context.func.signature = function.signature(linker);
    context.func.name = UserFuncName::user(0, id.as_u32());
    let mut code = Code::new(FunctionBuilder::new(&mut context.func, scratch), linker);
    let params = code.enter();
    let mut instance = Instance { code, shape };
    match function {
        Function::Create => match shape.choice {
            Some(choice) => instance.create_chosen(choice, &params)?,
            None => instance.create(params[0], None, params[1])?,
        },
        Function::CreateVariant => instance.create(params[0], Some(params[1]), params[2])?,
        Function::Variant => return Err(CodegenError::rule("the choice of a variant is built elsewhere")),
        Function::Destroy => instance.destroy(params[0])?,
        Function::Reset => instance.reset(params[0])?,
        Function::LastError => instance.last_error(params[0])?,
        Function::ArenaBytes => {
            let bytes = instance.code.int(shape.arena_bytes);
            instance.code.b.ins().return_(&[bytes]);
        }
    }
    instance.code.finish();
    Ok(())
}

struct Instance<'f, 'm> {
    code: Code<'f, 'm>,
    shape: Shape,
}

/// Bytes before the arena.
fn head_bytes(shape: Shape) -> i64 {
    let state = i64::from(layout::INSTANCE_STATE) + shape.state_slots * layout::VALUE_BYTES;
    (state + shape.descriptor_bytes + ALIGN - 1) & -ALIGN
}

impl Instance<'_, '_> {
    fn load(&mut self, base: Value, offset: i32) -> Value {
        self.code.b.ins().load(types::I64, MemFlagsData::trusted(), base, offset)
    }

    fn store(&mut self, value: Value, base: Value, offset: i32) {
        self.code.b.ins().store(MemFlagsData::trusted(), value, base, offset);
    }

    fn is_set(&mut self, x: Value) -> Value {
        self.code.b.ins().icmp_imm_s(IntCC::NotEqual, x, 0)
    }

    fn return_status(&mut self, status: i64) {
        let status = self.code.b.ins().iconst(types::I32, status);
        self.code.b.ins().return_(&[status]);
    }

    /// Fills a block that control reaches on a failure: it returns a status.
    fn fill_exit(&mut self, block: Block, status: i64) {
        self.code.b.seal_block(block);
        self.code.b.switch_to_block(block);
        self.code.b.set_cold_block(block);
        self.return_status(status);
    }

    /// An instance of the variant that suits this machine.
    fn create_chosen(&mut self, choice: FuncId, params: &[Value]) -> Result<(), CodegenError> {
        let signature = Function::CreateVariant.signature(self.code.linker);
        let create = self.code.linker.declare_entry(Function::CreateVariant.name(), &signature)?;
        let no_result = || CodegenError::rule("a function without result");
        let variant = self.code.call(choice, &[]).ok_or_else(no_result)?;
        let status = self.code.call(create, &[params[0], variant, params[1]]).ok_or_else(no_result)?;
        self.code.b.ins().return_(&[status]);
        Ok(())
    }

    fn create(&mut self, options: Value, variant: Option<Value>, out: Value) -> Result<(), CodegenError> {
        let (bad, no_memory) = (self.code.b.create_block(), self.code.b.create_block());
        let has_out = self.is_set(out);
        self.code.require(has_out, bad);
        let zero = self.code.int(0);
        self.store(zero, out, 0);
        let chosen = self.read_options(options, bad);
        self.check_options(chosen, bad);
        if let Some(variant) = variant {
            let is_there = self.code.b.ins().icmp_imm_s(IntCC::UnsignedLessThanOrEqual, variant, self.shape.variants);
            self.code.require(is_there, bad);
        }
        let (instance, block, size) = self.allocate(chosen, no_memory)?;
        self.fill_context(instance, options, chosen)?;
        if let Some(variant) = variant {
            let variant = self.code.b.ins().uextend(types::I64, variant);
            self.store(variant, instance, layout::INSTANCE_VARIANT);
        }
        self.store(block, instance, layout::INSTANCE_BLOCK);
        self.store(size, instance, layout::INSTANCE_SIZE);
        if self.shape.uses_threads {
            self.start_threads(instance, chosen)?;
        }
        self.initialise(instance, out)?;
        self.fill_exit(bad, layout::BAD_ARGUMENT);
        self.fill_exit(no_memory, layout::OUT_OF_MEMORY);
        Ok(())
    }

    /// The options as a copy on the stack, all zero when there are none.
    fn read_options(&mut self, options: Value, bad: Block) -> Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, OPTIONS_BYTES as u32, 4);
        let slot = self.code.b.create_sized_stack_slot(slot);
        let chosen = self.code.b.ins().stack_addr(types::I64, slot, 0);
        let zero = self.code.int(0);
        for offset in (0..OPTIONS_BYTES).step_by(8) {
            self.store(zero, chosen, offset);
        }
        let (given, ready) = (self.code.b.create_block(), self.code.b.create_block());
        self.code.b.ins().brif(options, given, &[], ready, &[]);
        self.code.b.seal_block(given);
        self.code.b.switch_to_block(given);
        let abi = self.code.b.ins().uload32(MemFlagsData::trusted(), options, layout::OPTIONS_ABI);
        let first = self.load(options, layout::OPTIONS_ABI);
        self.store(first, chosen, layout::OPTIONS_ABI);
        let is_known = self.code.b.ins().icmp_imm_s(IntCC::Equal, abi, layout::ABI_VERSION);
        self.code.require(is_known, bad);
        for offset in (8..OPTIONS_BYTES).step_by(8) {
            let word = self.load(options, offset);
            self.store(word, chosen, offset);
        }
        self.code.b.ins().jump(ready, &[]);
        self.code.b.seal_block(ready);
        self.code.b.switch_to_block(ready);
        chosen
    }

    /// An allocator needs both of its functions, an arena alignment and size.
    fn check_options(&mut self, chosen: Value, bad: Block) {
        let (alloc, free) = (self.load(chosen, layout::OPTIONS_ALLOC), self.load(chosen, layout::OPTIONS_FREE));
        let (alloc, free) = (self.is_set(alloc), self.is_set(free));
        let both_or_none = self.code.b.ins().icmp(IntCC::Equal, alloc, free);
        self.code.require(both_or_none, bad);
        let arena = self.load(chosen, layout::OPTIONS_ARENA);
        let low_bits = self.code.b.ins().band_imm_s(arena, ALIGN - 1);
        let is_aligned = self.code.b.ins().icmp_imm_s(IntCC::Equal, low_bits, 0);
        self.code.require(is_aligned, bad);
        let bytes = self.load(chosen, layout::OPTIONS_ARENA_BYTES);
        let is_enough = self.code.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThanOrEqual, bytes, self.shape.arena_bytes);
        let is_absent = self.code.b.ins().icmp_imm_s(IntCC::Equal, arena, 0);
        let is_good = self.code.b.ins().bor(is_enough, is_absent);
        self.code.require(is_good, bad);
    }

    /// The instance's memory, the block to free (0 when it is the allocator's), and the size asked for.
    fn allocate(&mut self, chosen: Value, no_memory: Block) -> Result<(Value, Value, Value), CodegenError> {
        let head = head_bytes(self.shape);
        let size = {
            let arena = self.load(chosen, layout::OPTIONS_ARENA);
            let (alone, whole) = (self.code.int(head), self.code.int(head + self.shape.arena_bytes));
            self.code.b.ins().select(arena, alone, whole)
        };
        let (custom, standard, ready) = (self.code.b.create_block(), self.code.b.create_block(), self.code.b.create_block());
        let instance = self.code.b.append_block_param(ready, types::I64);
        let block = self.code.b.append_block_param(ready, types::I64);
        let alloc = self.load(chosen, layout::OPTIONS_ALLOC);
        self.code.b.ins().brif(alloc, custom, &[], standard, &[]);

        self.code.b.seal_block(custom);
        self.code.b.switch_to_block(custom);
        let (user, align, zero) = (self.load(chosen, layout::OPTIONS_ALLOC_USER), self.code.int(ALIGN), self.code.int(0));
        let memory = self.call_pointer(alloc, &[user, size, align], Some(types::I64));
        let memory = memory.ok_or_else(|| CodegenError::rule("an allocator without result"))?;
        let is_there = self.is_set(memory);
        self.code.require(is_there, no_memory);
        self.code.b.ins().jump(ready, &[memory.into(), zero.into()]);

        self.code.b.seal_block(standard);
        self.code.b.switch_to_block(standard);
        let (align, bytes) = match self.shape.advise {
            Some(_) => {
                let arena = self.load(chosen, layout::OPTIONS_ARENA);
                let whole = self.code.int(huge_pages::fill_up(head + self.shape.arena_bytes));
                let (small, huge) = (self.code.int(ALIGN), self.code.int(huge_pages::BYTES));
                (self.code.b.ins().select(arena, small, huge), self.code.b.ins().select(arena, size, whole))
            }
            None => (self.code.int(ALIGN), size),
        };
        let padded = self.code.b.ins().iadd(bytes, align);
        let malloc = self.code.linker.import_c("malloc")?;
        let raw = self.code.call(malloc, &[padded]).ok_or_else(|| CodegenError::rule("malloc without result"))?;
        let is_there = self.is_set(raw);
        self.code.require(is_there, no_memory);
        let (end, mask) = (self.code.b.ins().iadd(raw, align), self.code.b.ins().ineg(align));
        let aligned = self.code.b.ins().band(end, mask);
        if let Some(advise) = self.shape.advise {
            let advice = self.code.int(huge_pages::ADVICE);
            self.code.call(advise, &[aligned, bytes, advice]);
        }
        self.code.b.ins().jump(ready, &[aligned.into(), raw.into()]);
        self.code.b.seal_block(ready);
        self.code.b.switch_to_block(ready);
        Ok((instance, block, size))
    }

    fn call_pointer(&mut self, callee: Value, args: &[Value], result: Option<Type>) -> Option<Value> {
        let params = vec![types::I64; args.len()];
        let signature = Linker::signature(self.code.linker.c_convention, &params, result);
        let signature = self.code.b.import_signature(signature);
        let call = self.code.b.ins().call_indirect(signature, callee, args);
        self.code.b.inst_results(call).first().copied()
    }

    /// A fresh context with the options' choices, no state yet.
    fn fill_context(&mut self, instance: Value, options: Value, chosen: Value) -> Result<(), CodegenError> {
        let head = self.code.int(head_bytes(self.shape));
        let zero_byte = self.code.b.ins().iconst(types::I32, 0);
        let memset = self.code.linker.import_c("memset")?;
        self.code.call(memset, &[instance, zero_byte, head]);
        if self.shape.uses_runtime {
            self.code.call_runtime("context_init", &[instance, options])?;
        } else {
            let abi = self.code.b.ins().iconst(types::I32, layout::ABI_VERSION);
            self.code.b.ins().store(MemFlagsData::trusted(), abi, instance, layout::ABI);
            for (from, to) in layout::COPIED_OPTIONS {
                let word = self.load(chosen, from);
                self.store(word, instance, to);
            }
        }
        let given = self.load(chosen, layout::OPTIONS_ARENA);
        let own = self.code.plus(instance, head_bytes(self.shape));
        let arena = self.code.b.ins().select(given, given, own);
        self.store(arena, instance, layout::ARENA);
        let state = self.code.plus(instance, i64::from(layout::INSTANCE_STATE));
        self.store(state, instance, layout::STATE);
        let slots = self.code.int(self.shape.state_slots);
        self.store(slots, instance, layout::STATE_LEN);
        Ok(())
    }

    /// Runs the plan's initialisation; gives out the instance, or destroys it and returns the status.
    fn initialise(&mut self, instance: Value, out: Value) -> Result<(), CodegenError> {
        let status = self.run_init(instance)?;
        self.require_success(instance, status)?;
        self.store(instance, out, 0);
        self.return_status(0);
        Ok(())
    }

    /// Starts the instance's threads, unless the app has given some of its own.
    fn start_threads(&mut self, instance: Value, chosen: Value) -> Result<(), CodegenError> {
        let count = self.code.b.ins().uload32(MemFlagsData::trusted(), chosen, layout::OPTIONS_THREADS);
        let status = self.code.call_runtime("pool_start", &[instance, count])?;
        let status = status.ok_or_else(|| CodegenError::rule("the start of a pool has no status"))?;
        let status = self.code.b.ins().ireduce(types::I32, status);
        self.require_success(instance, status)
    }

    /// Goes on only where the 32-bit status is zero; else destroys the instance and returns the status.
    fn require_success(&mut self, instance: Value, status: Value) -> Result<(), CodegenError> {
        let (failed, good) = (self.code.b.create_block(), self.code.b.create_block());
        self.code.b.ins().brif(status, failed, &[], good, &[]);
        self.code.b.seal_block(failed);
        self.code.b.seal_block(good);
        self.code.b.switch_to_block(failed);
        self.code.b.set_cold_block(failed);
        self.release(instance)?;
        self.code.b.ins().return_(&[status]);
        self.code.b.switch_to_block(good);
        Ok(())
    }

    fn run_init(&mut self, instance: Value) -> Result<Value, CodegenError> {
        let zero = self.code.int(0);
        let status = self.code.call(self.shape.init, &[instance, zero, zero, zero]);
        status.ok_or_else(|| CodegenError::rule("the initialisation has no status"))
    }

    fn destroy(&mut self, instance: Value) -> Result<(), CodegenError> {
        let done = self.code.b.create_block();
        let is_there = self.is_set(instance);
        self.code.require(is_there, done);
        self.release(instance)?;
        self.code.b.ins().jump(done, &[]);
        self.code.b.seal_block(done);
        self.code.b.switch_to_block(done);
        self.code.b.ins().return_(&[]);
        Ok(())
    }

    /// Frees all that an instance has, and itself.
    fn release(&mut self, instance: Value) -> Result<(), CodegenError> {
        if self.shape.uses_threads {
            self.code.call_runtime("pool_stop", &[instance])?;
        }
        if self.shape.uses_runtime {
            self.code.call_runtime("context_destroy", &[instance])?;
        }
        let block = self.load(instance, layout::INSTANCE_BLOCK);
        let (standard, custom, done) = (self.code.b.create_block(), self.code.b.create_block(), self.code.b.create_block());
        self.code.b.ins().brif(block, standard, &[], custom, &[]);
        self.code.b.seal_block(standard);
        self.code.b.seal_block(custom);
        self.code.b.switch_to_block(standard);
        let free = self.code.linker.import_c("free")?;
        self.code.call(free, &[block]);
        self.code.b.ins().jump(done, &[]);
        self.code.b.switch_to_block(custom);
        let (free, user) = (self.load(instance, layout::FREE), self.load(instance, layout::ALLOC_USER));
        let (size, align) = (self.load(instance, layout::INSTANCE_SIZE), self.code.int(ALIGN));
        self.call_pointer(free, &[user, instance, size, align], None);
        self.code.b.ins().jump(done, &[]);
        self.code.b.seal_block(done);
        self.code.b.switch_to_block(done);
        Ok(())
    }

    fn reset(&mut self, instance: Value) -> Result<(), CodegenError> {
        let bad = self.code.b.create_block();
        let is_there = self.is_set(instance);
        self.code.require(is_there, bad);
        let (zero, zero_byte) = (self.code.int(0), self.code.b.ins().iconst(types::I32, 0));
        if self.shape.state_slots > 0 {
            let state = self.load(instance, layout::STATE);
            let bytes = self.code.int(self.shape.state_slots * layout::VALUE_BYTES);
            let memset = self.code.linker.import_c("memset")?;
            self.code.call(memset, &[state, zero_byte, bytes]);
        }
        if self.shape.uses_runtime {
            self.code.call_runtime("clear_error", &[instance])?;
            self.code.call_runtime("sweep", &[instance, zero, zero])?;
        } else {
            self.code.b.ins().store(MemFlagsData::trusted(), zero_byte, instance, layout::STATUS);
            self.store(zero, instance, layout::ERROR_TEXT);
            self.store(zero, instance, layout::ERROR_LEN);
        }
        let status = self.run_init(instance)?;
        self.code.b.ins().return_(&[status]);
        self.fill_exit(bad, layout::BAD_ARGUMENT);
        Ok(())
    }

    fn last_error(&mut self, instance: Value) -> Result<(), CodegenError> {
        let none = self.code.b.create_block();
        let is_there = self.is_set(instance);
        self.code.require(is_there, none);
        let text = self.load(instance, layout::ERROR_TEXT);
        let is_there = self.is_set(text);
        self.code.require(is_there, none);
        self.code.b.ins().return_(&[text]);
        self.code.b.seal_block(none);
        self.code.b.switch_to_block(none);
        let empty = self.code.linker.text("")?;
        let empty = self.code.address(empty);
        self.code.b.ins().return_(&[empty]);
        Ok(())
    }
}
