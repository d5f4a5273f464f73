//! Loops of which threads share the indices: the body becomes a function `void loop(const u64* captured, u64 index)`, which
//! `parallel_for` calls once for each index.
//!
//! `captured` is a row of words on the method's stack: the context, then the locals and the addresses of slots that the body
//! reads. The slots that the body stores to are in the function's own frame.

use super::scalar::type_of_local;
use super::{Body, Home, Program, new_slot};
use crate::code::Code;
use crate::error::CodegenError;
use crate::linker::Linker;
use crate::task;
use cranelift_codegen::Context;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, UserFuncName, Value, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::FuncId;
use kiln_loops::plan::{Local, Method, Operand, Slot, Stmt};
use std::collections::BTreeSet;

/// A parallel loop of a method, to be a function of its own.
pub(crate) struct ParallelLoop<'a> {
    pub(crate) id: FuncId,
    index: Local,
    body: &'a [Stmt],
    names: Names,
}

/// What a body names of the method around it, and what is its own.
#[derive(Default)]
struct Names {
    locals: BTreeSet<Local>,
    slots: BTreeSet<Slot>,
    own_locals: BTreeSet<Local>,
    own_slots: BTreeSet<Slot>,
}

impl Names {
    fn of(index: Local, body: &[Stmt]) -> Result<Names, CodegenError> {
        let mut names = Names { own_locals: BTreeSet::from([index]), ..Names::default() };
        names.own_slots(body);
        names.statements(body)?;
        Ok(names)
    }

    fn own_slots(&mut self, body: &[Stmt]) {
        for statement in body {
            match statement {
                Stmt::Store { base: Operand::Slot(slot, _), .. } => drop(self.own_slots.insert(*slot)),
                Stmt::If { then, orelse, .. } => [then, orelse].into_iter().for_each(|body| self.own_slots(body)),
                Stmt::Loop { body } => self.own_slots(body),
                _ => {}
            }
        }
    }

    fn statements(&mut self, body: &[Stmt]) -> Result<(), CodegenError> {
        for statement in body {
            match statement {
                Stmt::Scalar { dst, args, .. } => {
                    self.read(args)?;
                    self.own_locals.insert(*dst);
                }
                Stmt::Load { dst, base, .. } => {
                    self.read(&[*base])?;
                    self.own_locals.insert(*dst);
                }
                Stmt::Store { base, value, .. } => self.read(&[*base, *value])?,
                Stmt::Kernel { args, split: None, .. } => self.read(args)?,
                Stmt::If { test, then, orelse } => {
                    self.read(&[*test])?;
                    self.statements(then)?;
                    self.statements(orelse)?;
                }
                Stmt::Loop { body } => self.statements(body)?,
                Stmt::Break | Stmt::At(_) => {}
                other => return Err(CodegenError::rule(format!("{other:?} in a parallel loop"))),
            }
        }
        Ok(())
    }

    fn read(&mut self, operands: &[Operand]) -> Result<(), CodegenError> {
        for operand in operands {
            match operand {
                Operand::Local(local) if !self.own_locals.contains(local) => drop(self.locals.insert(*local)),
                Operand::Slot(slot, _) if !self.own_slots.contains(slot) => drop(self.slots.insert(*slot)),
                Operand::Args | Operand::Result => return Err(CodegenError::rule(format!("{operand:?} in a parallel loop"))),
                _ => {}
            }
        }
        Ok(())
    }

    /// What is captured, in the order of the words after the context.
    fn captured(&self) -> impl Iterator<Item = Operand> {
        let locals = self.locals.iter().map(|&local| Operand::Local(local));
        locals.chain(self.slots.iter().map(|&slot| Operand::Slot(slot, 0)))
    }
}

/// The offset of a captured word.
fn word(at: usize) -> i32 {
    8 * (at as i32 + 1)
}

impl<'a, K> Body<'a, '_, '_, K> {
    /// Hands the loop to `parallel_for`.
    pub(super) fn parallel(&mut self, index: Local, count: Operand, body: &'a [Stmt]) -> Result<(), CodegenError> {
        let names = Names::of(index, body)?;
        let mut words = vec![self.ctx];
        for operand in names.captured() {
            words.push(self.operand(operand)?);
        }
        let signature = task::signature(self.code.linker);
        let name = format!("loop{}.{}", self.code.b.func.name, self.parallel.len());
        let id = self.code.linker.declare_local(&name, &signature)?;
        let count = self.int_operand(count)?;
        self.share(&words, id, count)?;
        self.parallel.push(ParallelLoop { id, index, body, names });
        Ok(())
    }
}

impl<K> Body<'_, '_, '_, K> {
    /// Calls `parallel_for` with a task, which gets the address of these words.
    pub(super) fn share(&mut self, words: &[Value], task: FuncId, parts: Value) -> Result<(), CodegenError> {
        let user = new_slot(&mut self.code, 8 * words.len() as u32);
        for (at, &word) in words.iter().enumerate() {
            let ty = self.code.b.func.dfg.value_type(word);
            self.code.b.ins().stack_store(ty, word, user, 8 * at as i32);
        }
        let (task, user) = (self.code.function_address(task), self.code.b.ins().stack_addr(types::I64, user, 0));
        self.code.call_runtime("parallel_for", &[self.ctx, parts, task, user])?;
        Ok(())
    }
}

impl<'a> ParallelLoop<'a> {
    /// Builds the function of the body.
    pub(crate) fn build<K>(
        &self,
        linker: &mut Linker,
        program: &'a Program<K>,
        method: &'a Method,
        context: &mut Context,
        scratch: &mut FunctionBuilderContext,
    ) -> Result<(), CodegenError> {
        context.func.signature = task::signature(linker);
        context.func.name = UserFuncName::user(0, self.id.as_u32());
        let mut code = Code::new(FunctionBuilder::new(&mut context.func, scratch), linker);
        let params = code.enter();
        let (user, index) = (params[0], params[1]);
        let ctx = code.b.ins().load(types::I64, MemFlagsData::trusted(), user, 0);
        let mut slots = vec![Home::Nowhere; method.slots.len()];
        for (slot, &bytes) in method.slots.iter().filter(|(slot, _)| self.names.own_slots.contains(slot)) {
            slots[slot.0 as usize] = Home::Frame(new_slot(&mut code, bytes));
        }
        // The arguments and the result of the method are not named here.
        let mut body = Body::new(code, program, method, [ctx; 4], slots);
        body.load_instance();
        body.assign(self.index, index)?;
        for (at, operand) in self.names.captured().enumerate() {
            body.capture(operand, user, word(at))?;
        }
        body.block(self.body)?;
        body.code.b.ins().return_(&[]);
        body.code.finish();
        Ok(())
    }
}

impl<K> Body<'_, '_, '_, K> {
    /// Reads a captured word.
    fn capture(&mut self, operand: Operand, user: Value, offset: i32) -> Result<(), CodegenError> {
        match operand {
            Operand::Local(local) => {
                let ty = type_of_local(self.local_type(local)?);
                let value = self.code.b.ins().load(ty, MemFlagsData::trusted(), user, offset);
                self.assign(local, value)
            }
            Operand::Slot(slot, _) => {
                let address = self.code.b.ins().load(types::I64, MemFlagsData::trusted(), user, offset);
                let home = self.slots.get_mut(slot.0 as usize);
                *home.ok_or_else(|| CodegenError::rule(format!("{slot} is not there")))? = Home::Address(address);
                Ok(())
            }
            other => Err(CodegenError::rule(format!("{other:?} is not captured"))),
        }
    }
}
