//! Methods of tensors only can be called without building values:
//!
//! ```text
//! i32 <prefix>_<method>_tensors(kiln_context* instance, const kiln_tensor* inputs, kiln_tensor* outputs)
//! ```
//!
//! It makes descriptors of the app's views, calls the method, and gives views of the results, which stay valid until
//! the next call by tensors of the instance. Dtype and rank of each input are checked here, because the descriptors
//! are made from them; sizes are the method's business.
//!
//! A method may return its argument or keep it in the state, so descriptors outlive the call: without run-time objects
//! they are in the instance's memory; with them they are the runtime's, and the elements are copied for a model that
//! has state, which must not refer to memory of the app afterwards.

use crate::code::Code;
use crate::error::CodegenError;
use crate::layout;
use crate::linker::Linker;
use cranelift_codegen::Context;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, InstBuilder, MemFlagsData, Signature, StackSlotData, StackSlotKind, UserFuncName, Value, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::FuncId;
use kiln_loops::plan::{Method, TypeDesc};
use kiln_support::DType;

/// Dtype and rank of the inputs, and how many outputs there are, if a method can be called by tensors: inputs and
/// outputs are tensors of known dtype.
pub fn tensor_signature(method: &Method) -> Option<(Vec<(DType, usize)>, usize)> {
    let is_tensor = |ty: &TypeDesc| matches!(ty, TypeDesc::Tensor(..));
    let inputs = method.params.iter().map(|p| match &p.ty {
        TypeDesc::Tensor(dtype, dims) => Some((*dtype, dims.len())),
        _ => None,
    });
    let outputs = match &method.result {
        TypeDesc::Tensor(..) => 1,
        TypeDesc::Tuple(items, _) if !items.is_empty() && items.iter().all(is_tensor) => items.len(),
        _ => return None,
    };
    Some((inputs.collect::<Option<Vec<_>>>()?, outputs))
}

/// The signature of these functions.
pub(crate) fn signature(linker: &Linker) -> Signature {
    Linker::signature(linker.c_convention, &[types::I64; 3], Some(types::I32))
}

/// What is called.
pub(crate) struct Callee<'a> {
    pub(crate) method: &'a Method,
    pub(crate) id: FuncId,
    pub(crate) uses_runtime: bool,
    pub(crate) state_slots: i64,
}

/// Bytes of instance memory that the descriptors of a method's inputs take.
pub(crate) fn descriptor_bytes(method: &Method) -> i64 {
    let inputs = tensor_signature(method).map(|(inputs, _)| inputs).unwrap_or_default();
    inputs.iter().map(|&(_, rank)| size_of_descriptor(rank)).sum()
}

fn size_of_descriptor(rank: usize) -> i64 {
    i64::from(layout::TENSOR_DIMS) + 16 * rank as i64
}

/// What is known of an input before its descriptor is made.
struct Input {
    data: Value,
    dtype: Value,
    rank: Value,
    sizes: Vec<Value>,
    strides: Vec<Value>,
}

/// Builds the function that calls `callee` by tensors.
pub(crate) fn build(
    linker: &mut Linker,
    callee: &Callee,
    id: FuncId,
    context: &mut Context,
    scratch: &mut FunctionBuilderContext,
) -> Result<(), CodegenError> {
    context.func.signature = signature(linker);
    context.func.name = UserFuncName::user(0, id.as_u32());
    let (inputs, outputs) = tensor_signature(callee.method).ok_or_else(|| CodegenError::rule("not a method of tensors"))?;
    let mut code = Code::new(FunctionBuilder::new(&mut context.func, scratch), linker);
    let arguments = code.enter();
    let [ctx, views, results] = [arguments[0], arguments[1], arguments[2]];
    let mut wrapper = Wrapper { code, callee, ctx, views, results, unmade: None };
    wrapper.body(&inputs, outputs)?;
    wrapper.code.finish();
    Ok(())
}

struct Wrapper<'a, 'f, 'm> {
    code: Code<'f, 'm>,
    callee: &'a Callee<'a>,
    ctx: Value,
    views: Value,
    results: Value,
    /// Where a descriptor that cannot be made ends the call.
    unmade: Option<Block>,
}

impl Wrapper<'_, '_, '_> {
    fn load(&mut self, base: Value, offset: i32) -> Value {
        self.code.b.ins().load(types::I64, MemFlagsData::trusted(), base, offset)
    }

    fn load_half(&mut self, base: Value, offset: i32) -> Value {
        self.code.b.ins().uload32(MemFlagsData::trusted(), base, offset)
    }

    fn store(&mut self, value: Value, base: Value, offset: i32) {
        self.code.b.ins().store(MemFlagsData::trusted(), value, base, offset);
    }

    fn store_half(&mut self, value: Value, base: Value, offset: i32) {
        self.code.b.ins().istore32(MemFlagsData::trusted(), value, base, offset);
    }

    fn slot(&mut self, bytes: usize) -> Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes.max(8) as u32, 4);
        let slot = self.code.b.create_sized_stack_slot(slot);
        self.code.b.ins().stack_addr(types::I64, slot, 0)
    }

    fn is_set(&mut self, x: Value) -> Value {
        self.code.b.ins().icmp_imm_s(IntCC::NotEqual, x, 0)
    }

    fn body(&mut self, inputs: &[(DType, usize)], outputs: usize) -> Result<(), CodegenError> {
        let no_context = self.code.b.create_block();
        let has_context = self.is_set(self.ctx);
        self.code.require(has_context, no_context);
        let name = self.callee.method.name.clone();
        let has_results = self.is_set(self.results);
        self.require(has_results, &format!("{name}: null pointer for the outputs"))?;
        if !inputs.is_empty() {
            let has_views = self.is_set(self.views);
            self.require(has_views, &format!("{name}: null pointer for the inputs"))?;
        }
        let inputs = inputs
            .iter()
            .enumerate()
            .map(|(number, &(dtype, rank))| self.input(number, dtype, rank))
            .collect::<Result<Vec<_>, _>>()?;
        let descriptors =
            if self.callee.uses_runtime { self.runtime_descriptors(&inputs)? } else { self.plain_descriptors(&inputs) };
        let args = self.slot(inputs.len() * 16);
        for (number, &descriptor) in descriptors.iter().enumerate() {
            let tag = self.code.int(layout::TAG_TENSOR);
            self.store(tag, args, 16 * number as i32);
            self.store(descriptor, args, 16 * number as i32 + 8);
        }
        let result = self.call(args, inputs.len())?;
        if self.callee.uses_runtime {
            self.keep(result)?;
            for descriptor in descriptors {
                self.code.call_runtime("release_object", &[self.ctx, descriptor])?;
            }
        }
        self.give_views(result, outputs)?;
        let good = self.code.b.ins().iconst(types::I32, 0);
        self.code.b.ins().return_(&[good]);
        self.fill_unmade()?;
        self.code.b.seal_block(no_context);
        self.code.b.switch_to_block(no_context);
        self.code.b.set_cold_block(no_context);
        let bad = self.code.b.ins().iconst(types::I32, layout::BAD_ARGUMENT);
        self.code.b.ins().return_(&[bad]);
        Ok(())
    }

    /// Goes on only where `test` holds, else fails with status 3.
    fn require(&mut self, test: Value, text: &str) -> Result<(), CodegenError> {
        let bad = self.code.b.create_block();
        self.code.require(test, bad);
        self.fill_failure(bad, layout::BAD_ARGUMENT, text)
    }

    /// Fills a block that ends the call with a status and a text; code goes on where it was.
    fn fill_failure(&mut self, block: Block, status: i64, text: &str) -> Result<(), CodegenError> {
        let here = self.code.b.current_block().ok_or_else(|| CodegenError::rule("no block is open"))?;
        self.code.b.seal_block(block);
        self.code.b.switch_to_block(block);
        self.code.b.set_cold_block(block);
        if self.callee.uses_runtime {
            self.code.call_runtime("clear_error", &[self.ctx])?;
        }
        let status = self.code.b.ins().iconst(types::I32, status);
        self.code.b.ins().store(MemFlagsData::trusted(), status, self.ctx, layout::STATUS);
        let id = self.code.linker.text(text)?;
        let (address, len) = (self.code.address(id), self.code.int(text.len() as i64));
        self.store(address, self.ctx, layout::ERROR_TEXT);
        self.store(len, self.ctx, layout::ERROR_LEN);
        self.code.b.ins().return_(&[status]);
        self.code.b.switch_to_block(here);
        Ok(())
    }

    /// Checks the view with this number and reads all of it, before anything is written: it may be a view of the
    /// result before.
    fn input(&mut self, number: usize, dtype: DType, rank: usize) -> Result<Input, CodegenError> {
        let view = self.code.plus(self.views, i64::from(layout::VIEW_BYTES) * number as i64);
        let (method, param) = (&self.callee.method.name, &self.callee.method.params[number].name);
        let text = format!(
            "{method}: {param} must be a tensor of {} with {rank} dimension{}",
            dtype.torch_name(),
            if rank == 1 { "" } else { "s" }
        );
        let (given_dtype, given_rank) = (self.load_half(view, layout::VIEW_DTYPE), self.load_half(view, layout::VIEW_RANK));
        let is_dtype = self.code.b.ins().icmp_imm_s(IntCC::Equal, given_dtype, dtype.code());
        let is_rank = self.code.b.ins().icmp_imm_s(IntCC::Equal, given_rank, rank as i64);
        let fits = self.code.b.ins().band(is_dtype, is_rank);
        self.require(fits, &text)?;
        let sizes = self.load(view, layout::VIEW_SIZES);
        if rank > 0 {
            let has_sizes = self.is_set(sizes);
            self.require(has_sizes, &text)?;
        }
        let data = self.load(view, layout::VIEW_DATA);
        let sizes: Vec<Value> = (0..rank as i32).map(|at| self.load(sizes, 8 * at)).collect();
        let strides = self.strides(view, &sizes);
        Ok(Input { data, dtype: given_dtype, rank: given_rank, sizes, strides })
    }

    /// Strides of a view; absent ones are those without gaps.
    fn strides(&mut self, view: Value, sizes: &[Value]) -> Vec<Value> {
        let packed = self.slot(8 * sizes.len());
        let mut stride = self.code.int(1);
        for (at, &size) in sizes.iter().enumerate().rev() {
            self.store(stride, packed, 8 * at as i32);
            // As PyTorch: a size of 0 counts as 1.
            let one = self.code.int(1);
            let size = self.code.b.ins().smax(size, one);
            stride = self.code.b.ins().imul(stride, size);
        }
        let given = self.load(view, layout::VIEW_STRIDES);
        let strides = self.code.b.ins().select(given, given, packed);
        (0..sizes.len() as i32).map(|at| self.load(strides, 8 * at)).collect()
    }

    /// Descriptors in the instance's memory, behind the state slots.
    fn plain_descriptors(&mut self, inputs: &[Input]) -> Vec<Value> {
        let mut at = i64::from(layout::INSTANCE_STATE) + self.callee.state_slots * layout::VALUE_BYTES;
        let (zero, immortal, kind) = (self.code.int(0), self.code.int(layout::IMMORTAL), self.code.int(layout::TAG_TENSOR));
        let mut descriptors = Vec::new();
        for input in inputs {
            let descriptor = self.code.plus(self.ctx, at);
            for offset in (0..layout::TENSOR_DIMS).step_by(8) {
                self.store(zero, descriptor, offset);
            }
            self.store_half(immortal, descriptor, layout::REFS);
            self.store_half(kind, descriptor, layout::KIND);
            self.store(input.data, descriptor, layout::TENSOR_DATA);
            self.store_half(input.dtype, descriptor, layout::TENSOR_DTYPE);
            self.store_half(input.rank, descriptor, layout::TENSOR_RANK);
            for (number, &dim) in input.sizes.iter().chain(&input.strides).enumerate() {
                self.store(dim, descriptor, layout::TENSOR_DIMS + 8 * number as i32);
            }
            descriptors.push(descriptor);
            at += size_of_descriptor(input.sizes.len());
        }
        descriptors
    }

    /// Descriptors made by the runtime. When one cannot be made, the call ends and the others are swept up.
    fn runtime_descriptors(&mut self, inputs: &[Input]) -> Result<Vec<Value>, CodegenError> {
        let failed = self.code.b.create_block();
        self.code.call_runtime("clear_error", &[self.ctx])?;
        let mut descriptors = Vec::new();
        for input in inputs {
            let dims = self.slot(16 * input.sizes.len());
            for (number, &dim) in input.sizes.iter().chain(&input.strides).enumerate() {
                self.store(dim, dims, 8 * number as i32);
            }
            let strides = self.code.plus(dims, 8 * input.sizes.len() as i64);
            let mut tensor =
                self.fallible("tensor_wrap", &[self.ctx, input.data, input.dtype, input.rank, dims, strides], failed)?;
            if self.callee.state_slots > 0 {
                let view = tensor;
                tensor = self.fallible("tensor_clone", &[self.ctx, view], failed)?;
                self.code.call_runtime("release_object", &[self.ctx, view])?;
            }
            descriptors.push(tensor);
        }
        self.unmade = Some(failed);
        Ok(descriptors)
    }

    /// Fills the block for a descriptor that could not be made: what was made before is swept up.
    fn fill_unmade(&mut self) -> Result<(), CodegenError> {
        let Some(block) = self.unmade else { return Ok(()) };
        self.code.b.seal_block(block);
        self.code.b.switch_to_block(block);
        self.code.b.set_cold_block(block);
        let zero = self.code.int(0);
        self.code.call_runtime("sweep", &[self.ctx, zero, zero])?;
        let status = self.code.b.ins().load(types::I32, MemFlagsData::trusted(), self.ctx, layout::STATUS);
        self.code.b.ins().return_(&[status]);
        Ok(())
    }

    /// Calls a function of the runtime that may fail; control goes to `failed` then.
    fn fallible(&mut self, name: &str, args: &[Value], failed: Block) -> Result<Value, CodegenError> {
        let result = self.code.call_runtime(name, args)?.ok_or_else(|| CodegenError::rule(format!("`{name}` has no result")))?;
        let status = self.code.b.ins().load(types::I32, MemFlagsData::trusted(), self.ctx, layout::STATUS);
        let is_good = self.code.b.ins().icmp_imm_s(IntCC::Equal, status, 0);
        self.code.require(is_good, failed);
        Ok(result)
    }

    /// Calls the method; gives the address of its result. A failure ends the call.
    fn call(&mut self, args: Value, count: usize) -> Result<Value, CodegenError> {
        let result = self.slot(16);
        let (zero, count) = (self.code.int(0), self.code.int(count as i64));
        self.store(zero, result, 0);
        self.store(zero, result, 8);
        let status = self.code.call(self.callee.id, &[self.ctx, args, count, result]);
        let status = status.ok_or_else(|| CodegenError::rule("a method has a status"))?;
        let (failed, good) = (self.code.b.create_block(), self.code.b.create_block());
        self.code.b.ins().brif(status, failed, &[], good, &[]);
        self.code.b.seal_block(failed);
        self.code.b.seal_block(good);
        self.code.b.switch_to_block(failed);
        self.code.b.ins().return_(&[status]);
        self.code.b.switch_to_block(good);
        Ok(result)
    }

    /// Keeps the result, which the method has held for the app, until the next call. The one before goes only now: its views may have been inputs.
    fn keep(&mut self, result: Value) -> Result<(), CodegenError> {
        let [tag, bits] = [0, 8].map(|offset| self.load(result, offset));
        let [old_tag, old_bits] = [0, 8].map(|offset| self.load(self.ctx, layout::INSTANCE_RESULT + offset));
        self.store(tag, self.ctx, layout::INSTANCE_RESULT);
        self.store(bits, self.ctx, layout::INSTANCE_RESULT + 8);
        self.code.call_runtime("unhold", &[self.ctx, old_tag, old_bits])?;
        Ok(())
    }

    fn give_views(&mut self, result: Value, outputs: usize) -> Result<(), CodegenError> {
        let is_tuple = matches!(self.callee.method.result, TypeDesc::Tuple(..));
        let wanted = if is_tuple { layout::TAG_TUPLE } else { layout::TAG_TENSOR };
        let (items, first) = if is_tuple {
            self.require_tag(result, 0, wanted)?;
            (self.load(result, 8), layout::TUPLE_ITEMS)
        } else {
            (result, 0)
        };
        for number in 0..outputs as i32 {
            self.require_tag(items, first + 16 * number, layout::TAG_TENSOR)?;
            let tensor = self.load(items, first + 16 * number + 8);
            let view = layout::VIEW_BYTES * number;
            let data = self.load(tensor, layout::TENSOR_DATA);
            self.store(data, self.results, view + layout::VIEW_DATA);
            let (dtype, rank) = (self.load_half(tensor, layout::TENSOR_DTYPE), self.load_half(tensor, layout::TENSOR_RANK));
            self.store_half(dtype, self.results, view + layout::VIEW_DTYPE);
            self.store_half(rank, self.results, view + layout::VIEW_RANK);
            let sizes = self.code.plus(tensor, i64::from(layout::TENSOR_DIMS));
            self.store(sizes, self.results, view + layout::VIEW_SIZES);
            let bytes = self.code.scaled(rank, 8);
            let strides = self.code.b.ins().iadd(sizes, bytes);
            self.store(strides, self.results, view + layout::VIEW_STRIDES);
        }
        Ok(())
    }

    fn require_tag(&mut self, base: Value, offset: i32, tag: i64) -> Result<(), CodegenError> {
        let given = self.load(base, offset);
        let is_right = self.code.b.ins().icmp_imm_s(IntCC::Equal, given, tag);
        let bad = self.code.b.create_block();
        self.code.require(is_right, bad);
        let text = format!("{}: the result is not what its type says", self.callee.method.name);
        self.fill_failure(bad, layout::INTERNAL, &text)
    }
}
