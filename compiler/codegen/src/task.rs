//! Parts of kernels that threads share: `void task(const u64* args, u64 part)` calls a kernel for one part of its units of work.
//!
//! `args` are the arguments of the whole, as the method has put them on its stack.

use crate::code::Code;
use crate::error::CodegenError;
use crate::linker::Linker;
use cranelift_codegen::Context;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Signature, UserFuncName, Value, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::FuncId;
use kiln_loops::plan::{KernelId, Method, Plan, Split, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// The function for the parts of each kernel that is split in some way.
pub(crate) type Tasks = BTreeMap<(KernelId, Split), FuncId>;

/// The signature of what `parallel_for` calls: `void task(const u64* words, u64 part)`.
pub(crate) fn signature(linker: &Linker) -> Signature {
    Linker::signature(linker.c_convention, &[types::I64; 2], None)
}

/// The kernels of a plan that are split, with how.
pub(crate) fn all<K>(plan: &Plan<K>) -> BTreeSet<(KernelId, Split)> {
    fn visit(statements: &[Stmt], found: &mut BTreeSet<(KernelId, Split)>) {
        for statement in statements {
            match statement {
                Stmt::Kernel { id, split: Some(split), .. } => {
                    found.insert((*id, *split));
                }
                Stmt::If { then, orelse, .. } => {
                    visit(then, found);
                    visit(orelse, found);
                }
                Stmt::Loop { body } => visit(body, found),
                _ => {}
            }
        }
    }
    let mut found = BTreeSet::new();
    plan.bodies().for_each(|Method { body, .. }| visit(body, &mut found));
    found
}

/// Builds the task of a kernel.
pub(crate) fn build(
    linker: &mut Linker,
    name: &str,
    kernel: FuncId,
    split: Split,
    context: &mut Context,
    scratch: &mut FunctionBuilderContext,
) -> Result<FuncId, CodegenError> {
    let signature = signature(linker);
    let id = linker.declare_local(name, &signature)?;
    let count = linker.module.declarations().get_function_decl(kernel).signature.params.len();
    let positions = split.range.into_iter().chain(split.scratch.map(|(at, _)| at));
    if split.parts == 0 || positions.into_iter().any(|at| at as usize >= count) {
        return Err(CodegenError::rule(format!("{split:?} of a kernel with {count} arguments")));
    }
    context.func.signature = signature;
    context.func.name = UserFuncName::user(0, id.as_u32());
    let mut code = Code::new(FunctionBuilder::new(&mut context.func, scratch), linker);
    let params = code.enter();
    let (user, part) = (params[0], params[1]);
    let mut args: Vec<Value> =
        (0..count).map(|at| code.b.ins().load(types::I64, MemFlagsData::trusted(), user, 8 * at as i32)).collect();
    let [first, last] = split.range.map(|at| args[at as usize]);
    let units = code.b.ins().isub(last, first);
    let parts = code.int(i64::from(split.parts));
    // Units so far of the parts before this one, and of those up to it.
    let before = |code: &mut Code, part: Value| {
        let product = code.b.ins().imul(units, part);
        let share = code.b.ins().udiv(product, parts);
        code.b.ins().iadd(first, share)
    };
    let next = code.b.ins().iadd_imm_s(part, 1);
    args[split.range[0] as usize] = before(&mut code, part);
    args[split.range[1] as usize] = before(&mut code, next);
    if let Some((at, bytes)) = split.scratch {
        let bytes = code.int(i64::from(bytes));
        let offset = code.b.ins().imul(part, bytes);
        args[at as usize] = code.b.ins().iadd(args[at as usize], offset);
    }
    code.call(kernel, &args);
    code.b.ins().return_(&[]);
    code.finish();
    Ok(id)
}
