//! From a plan to an object file: declares everything, builds and defines functions and data, dumps on request.
//!
//! The order of declaration follows the plan, so the same plan gives the same bytes.

use crate::by_tensors::{self, Callee, tensor_signature};
use crate::error::CodegenError;
use crate::huge_pages;
use crate::instance::{self, Function, Shape};
use crate::linker::Linker;
use crate::listing::Listing;
use crate::method::{self, Entry, Program};
use crate::target::{Target, has_rounding};
use crate::task::{self, Tasks};
use crate::unwind::Unwind;
use crate::{data, nest, variant};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::types;
use cranelift_frontend::FunctionBuilderContext;
use cranelift_module::FuncId;
use cranelift_object::{ObjectBuilder, ObjectModule};
use kiln_loops::plan::{Method, Plan, Stmt};
use kiln_support::Span;
use object::write::StreamingBuffer;
use std::io::Write;

/// A vector kernel as machine code.
#[derive(Clone, Debug)]
pub struct EmittedKernel {
    /// Name for the symbol and for dumps.
    pub name: String,
    /// Position-independent code with its constants, entered at the first byte, in the target's C convention. All
    /// arguments are integers or pointers; it returns nothing and cannot fail.
    pub bytes: Vec<u8>,
    /// How many arguments it takes, at most 8.
    pub arguments: usize,
    /// Text for `--emit asm`, if there is one.
    pub listing: Option<String>,
}

/// Turns the descriptions of vector kernels into machine code.
pub trait KernelEmitter<K> {
    /// Emits one kernel for the target that the emitter was made for; the error says what it cannot do.
    fn emit(&self, kernel: &K) -> Result<EmittedKernel, String>;
}

/// For plans without vector kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKernels;

impl<K> KernelEmitter<K> for NoKernels {
    fn emit(&self, _kernel: &K) -> Result<EmittedKernel, String> {
        Err("this plan was to have no vector kernels".into())
    }
}

/// What to generate.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Prefix of every symbol: a C identifier.
    pub prefix: &'a str,
    /// Whether to keep the CLIF text.
    pub clif: bool,
    /// Whether to keep the machine code's text.
    pub asm: bool,
    /// Where a span is, for comments in the CLIF text.
    pub describe: Option<&'a dyn Fn(Span) -> String>,
}

/// What came out.
pub struct Generated<'a> {
    /// The object, with large data still borrowed from the plan.
    pub object: object::write::Object<'a>,
    /// CLIF of every function, if asked for.
    pub clif: Option<String>,
    /// Machine code of every function as text, if asked for.
    pub asm: Option<String>,
    /// Bytes of machine code.
    pub text_bytes: u64,
    /// Bytes of read-only data.
    pub data_bytes: u64,
    /// Bytes of stack that a call takes in generated functions: an upper bound, without what the runtime and vector
    /// kernels take below them.
    pub stack_bytes: u64,
}

impl Generated<'_> {
    /// The object file.
    pub fn write(&self) -> Result<Vec<u8>, CodegenError> {
        Ok(self.object.write()?)
    }

    /// Writes the object file without holding a second copy of large data.
    pub fn write_to(&self, out: impl std::io::Write) -> Result<(), CodegenError> {
        let mut buffer = StreamingBuffer::new(std::io::BufWriter::new(out));
        self.object.emit(&mut buffer)?;
        let written = buffer.result().and_then(|()| buffer.into_inner().flush());
        written.map_err(|e| CodegenError::BackEnd(format!("writing the object: {e}")))
    }
}

/// The symbol of a method: `<prefix>_<method>`, or `<prefix>_call_<method>` for a name that a function of the model
/// has already. What C does not allow in a name is written as its number.
pub fn method_symbol(prefix: &str, method: &str) -> String {
    format!("{prefix}_{}", method_name(method))
}

/// What the symbol of a method's form for tensors has behind the method's own.
pub const BY_TENSORS: &str = "_tensors";

fn method_name(method: &str) -> String {
    let mut name = String::new();
    for c in method.chars() {
        if c.is_ascii_alphanumeric() || c == '_' { name.push(c) } else { name.push_str(&format!("u{:x}", c as u32)) }
    }
    let is_taken = Function::ALL.iter().any(|f| f.name() == name) || name.starts_with("call_") || name.ends_with(BY_TENSORS);
    if is_taken { format!("call_{name}") } else { name }
}

/// Generates the object of a model.
pub fn generate<'a, K>(
    plan: &'a Plan<K>,
    emitter: &dyn KernelEmitter<K>,
    target: &Target,
    options: &Options,
) -> Result<Generated<'a>, CodegenError> {
    check_prefix(options.prefix)?;
    let isa = target.isa()?;
    let rounding = has_rounding(&*isa);
    let mut builder = ObjectBuilder::new(isa, options.prefix, cranelift_module::default_libcall_names())?;
    builder.per_function_section(true);
    let mut module = ObjectModule::new(builder);
    let mut listing = Listing::new(options);
    let (data, unwind, frames) = {
        let linker = Linker::new(&mut module, options.prefix, rounding, target.needs_absolute_addresses());
        let mut session = Session {
            linker,
            plan,
            listing: &mut listing,
            context: Context::new(),
            scratch: FunctionBuilderContext::new(),
            text_bytes: 0,
            unwind: Unwind::default(),
            frames: Frames::default(),
        };
        let data = data::declare(&mut session.linker, plan)?;
        session.functions(emitter, &data)?;
        let Session { unwind, frames, text_bytes, .. } = session;
        listing.text_bytes = text_bytes;
        (data, unwind, frames)
    };
    let (object, data_bytes) = data::define(module, plan, &data, unwind, &*target.isa()?)?;
    let stack_bytes = frames.entry + frames.method + frames.compute;
    Ok(Generated { object, clif: listing.clif, asm: listing.asm, text_bytes: listing.text_bytes, data_bytes, stack_bytes })
}

fn check_prefix(prefix: &str) -> Result<(), CodegenError> {
    let is_identifier = prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !prefix.is_empty();
    if is_identifier && !prefix.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(CodegenError::rule(format!("`{prefix}` is not a C identifier")))
}

/// Whether run-time objects may exist or threads share work: whether a runtime function beyond scalar math is called.
pub fn uses_runtime<K>(plan: &Plan<K>) -> bool {
    uses_threads(plan) || any(plan, |statement| matches!(statement, Stmt::Runtime { .. }))
}

fn uses_threads<K>(plan: &Plan<K>) -> bool {
    any(plan, |statement| matches!(statement, Stmt::Kernel { split: Some(_), .. } | Stmt::Parallel { .. }))
}

/// Whether some statement of a plan's methods is such.
fn any<K>(plan: &Plan<K>, is_such: fn(&Stmt) -> bool) -> bool {
    fn among(statements: &[Stmt], is_such: fn(&Stmt) -> bool) -> bool {
        statements.iter().any(|statement| match statement {
            Stmt::If { then, orelse, .. } => among(then, is_such) || among(orelse, is_such),
            Stmt::Loop { body } => among(body, is_such),
            _ => is_such(statement),
        })
    }
    plan.bodies().any(|method| among(&method.body, is_such))
}

/// One run of code generation.
struct Session<'s, 'a, 'm, 'o, K> {
    linker: Linker<'m>,
    plan: &'a Plan<K>,
    listing: &'s mut Listing<'o>,
    context: Context,
    scratch: FunctionBuilderContext,
    text_bytes: u64,
    unwind: Unwind,
    frames: Frames,
}

/// The largest frames of each level of calls: entries call methods, methods call computations.
#[derive(Default)]
struct Frames {
    entry: u64,
    method: u64,
    compute: u64,
}

impl<K> Session<'_, '_, '_, '_, K> {
    fn functions(&mut self, emitter: &dyn KernelEmitter<K>, data: &[data::Place]) -> Result<(), CodegenError> {
        let plan = self.plan;
        let uses_runtime = uses_runtime(plan);
        let kernels = self.kernels(emitter)?;
        let computes = self.computes()?;
        let tasks = self.tasks(&kernels)?;
        let uses_threads = uses_threads(plan);
        let program = Program { plan, computes, kernels, tasks, data: data.to_vec(), uses_runtime };
        let signature = method::signature(&self.linker);
        let init = self.linker.declare_local("init", &signature)?;
        self.method(&program, &plan.init, Entry::Initial, init)?;
        let state_slots = plan.state_slots as i64;
        let descriptor_bytes = plan.methods.iter().map(by_tensors::descriptor_bytes).max().unwrap_or(0);
        let arena_bytes = round_up(plan.arena_bytes)?;
        let advise = if arena_bytes >= huge_pages::BYTES { huge_pages::define_advise(&mut self.linker)? } else { None };
        let (variants, mut choice) = (plan.variants.len() as i64, None);
        for function in Function::ALL.into_iter().filter(|f| variants > 0 || !f.is_of_variants()) {
            let shape =
                Shape { state_slots, descriptor_bytes, arena_bytes, uses_runtime, uses_threads, init, variants, choice, advise };
            let signature = function.signature(&self.linker);
            let id = self.linker.declare_entry(function.name(), &signature)?;
            if let Function::Variant = function {
                variant::build_choice(&mut self.linker, id, &plan.variants, &mut self.context, &mut self.scratch)?;
                choice = Some(id);
            } else {
                instance::build(&mut self.linker, shape, function, id, &mut self.context, &mut self.scratch)?;
            }
            let frame = self.define(id, function.name())?;
            self.frames.entry = self.frames.entry.max(frame);
        }
        for (number, entry) in plan.methods.iter().enumerate() {
            let id = self.linker.declare_entry(&method_name(&entry.name), &signature)?;
            if plan.variants.is_empty() {
                self.method(&program, entry, Entry::Exported, id)?;
            } else {
                self.forms(&program, number, id)?;
            }
            if tensor_signature(entry).is_some() {
                self.by_tensors(&Callee { method: entry, id, uses_runtime, state_slots })?;
            }
        }
        Ok(())
    }

    /// A method in its first form and as each variant has it, and the exported one that goes to one of them.
    fn forms(&mut self, program: &Program<K>, number: usize, id: FuncId) -> Result<(), CodegenError> {
        let plan = self.plan;
        let signature = method::signature(&self.linker);
        let mut forms = Vec::new();
        let variants = plan.variants.iter().map(|variant| variant.methods.get(number));
        for (form, method) in [plan.methods.get(number)].into_iter().chain(variants).enumerate() {
            let method = method.ok_or_else(|| CodegenError::rule("a variant has other methods than its plan"))?;
            let id = self.linker.declare_local(&format!("{}.{form}", method_name(&method.name)), &signature)?;
            self.method(program, method, Entry::Exported, id)?;
            forms.push(id);
        }
        variant::build_dispatch(&mut self.linker, id, &forms, &mut self.context, &mut self.scratch)?;
        let frame = self.define(id, &plan.methods[number].name)?;
        self.frames.entry = self.frames.entry.max(frame);
        Ok(())
    }

    fn method(&mut self, program: &Program<K>, method: &Method, entry: Entry, id: FuncId) -> Result<(), CodegenError> {
        let loops = method::build(&mut self.linker, program, method, entry, id, &mut self.context, &mut self.scratch)
            .map_err(|e| e.in_place(&method.name))?;
        let frame = self.define(id, &method.name)?;
        self.frames.method = self.frames.method.max(frame);
        for parallel in loops {
            parallel
                .build(&mut self.linker, program, method, &mut self.context, &mut self.scratch)
                .map_err(|e| e.in_place(&method.name))?;
            let frame = self.define(parallel.id, &method.name)?;
            self.frames.compute = self.frames.compute.max(frame);
        }
        Ok(())
    }

    fn by_tensors(&mut self, callee: &Callee) -> Result<(), CodegenError> {
        let signature = by_tensors::signature(&self.linker);
        let name = format!("{}{BY_TENSORS}", method_name(&callee.method.name));
        let id = self.linker.declare_entry(&name, &signature)?;
        by_tensors::build(&mut self.linker, callee, id, &mut self.context, &mut self.scratch)
            .map_err(|e| e.in_place(&callee.method.name))?;
        let frame = self.define(id, &name)?;
        self.frames.entry = self.frames.entry.max(frame);
        Ok(())
    }

    fn computes(&mut self) -> Result<Vec<FuncId>, CodegenError> {
        let plan = self.plan;
        let mut ids = Vec::with_capacity(plan.computes.len());
        for (number, compute) in plan.computes.values().enumerate() {
            let id = nest::declare(&mut self.linker, compute, number)?;
            nest::build(&mut self.linker, compute, id, &mut self.context, &mut self.scratch)
                .map_err(|e| e.in_place(&compute.name))?;
            let frame = self.define(id, &compute.name)?;
            self.frames.compute = self.frames.compute.max(frame);
            ids.push(id);
        }
        Ok(ids)
    }

    /// The functions for the parts of kernels that are split.
    fn tasks(&mut self, kernels: &[FuncId]) -> Result<Tasks, CodegenError> {
        let mut tasks = Tasks::new();
        for (number, (kernel, split)) in task::all(self.plan).into_iter().enumerate() {
            let function = *kernels.get(kernel.0 as usize).ok_or_else(|| CodegenError::rule(format!("{kernel} is not there")))?;
            let name = format!("task{number}");
            let id = task::build(&mut self.linker, &name, function, split, &mut self.context, &mut self.scratch)?;
            let frame = self.define(id, &name)?;
            self.frames.compute = self.frames.compute.max(frame);
            tasks.insert((kernel, split), id);
        }
        Ok(tasks)
    }

    fn kernels(&mut self, emitter: &dyn KernelEmitter<K>) -> Result<Vec<FuncId>, CodegenError> {
        let plan = self.plan;
        let mut ids = Vec::with_capacity(plan.kernels.len());
        for (number, kernel) in plan.kernels.values().enumerate() {
            let emitted = emitter.emit(kernel).map_err(CodegenError::Kernel)?;
            if emitted.arguments > 8 {
                return Err(CodegenError::Kernel(format!("`{}` takes {} arguments", emitted.name, emitted.arguments)));
            }
            let params = vec![types::I64; emitted.arguments];
            let signature = Linker::signature(self.linker.c_convention, &params, None);
            // What distinguishes kernels of a kind is the number.
            let kind = emitted.name.split("__").next().unwrap_or_default().replace('\0', "");
            let name = format!("kernel{number}.{kind}");
            let id = self.linker.declare_local(&name, &signature)?;
            self.linker.module.define_function_bytes(id, 64, &emitted.bytes, &[])?;
            self.text_bytes += emitted.bytes.len() as u64;
            self.listing.kernel(&emitted);
            ids.push(id);
        }
        Ok(ids)
    }

    /// Compiles what was built in the context; gives the bytes of its frame.
    fn define(&mut self, id: FuncId, name: &str) -> Result<u64, CodegenError> {
        self.listing.clif(&self.context.func, name, &self.linker.spans);
        self.context.set_disasm(self.listing.wants_asm());
        self.linker.module.define_function_with_control_plane(id, &mut self.context, &mut ControlPlane::default())?;
        let mut frame = 0;
        if let Some(compiled) = self.context.compiled_code() {
            // The frame pointer and the return address stand above it.
            frame = compiled.buffer.frame_layout().map_or(0, |layout| u64::from(layout.frame_to_fp_offset)) + 16;
            self.text_bytes += compiled.buffer.data().len() as u64;
            self.listing.asm(name, compiled.vcode.as_deref());
            self.unwind.add(id, compiled, self.linker.module.isa())?;
        }
        self.linker.module.clear_context(&mut self.context);
        Ok(frame)
    }
}

fn round_up(bytes: u64) -> Result<i64, CodegenError> {
    let rounded = bytes.checked_next_multiple_of(64).and_then(|b| i64::try_from(b).ok());
    rounded.filter(|&b| b < 1 << 48).ok_or_else(|| CodegenError::rule(format!("an arena of {bytes} bytes")))
}
