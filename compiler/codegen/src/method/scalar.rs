//! Operands, locals and scalar operations of a method.

use super::{Body, Home};
use crate::error::CodegenError;
use crate::layout;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use kiln_loops::plan::{Local, LocalType, Operand, ScalarOp};
use kiln_loops::{Kind, Scalar};

/// The CLIF type of a local.
pub(super) fn type_of_local(ty: LocalType) -> Type {
    match ty {
        LocalType::Int => types::I64,
        LocalType::F32 => types::F32,
        LocalType::F64 => types::F64,
        LocalType::Bool => types::I8,
    }
}

impl<K> Body<'_, '_, '_, K> {
    /// What a local holds before it is assigned.
    pub(super) fn zero_of(&mut self, ty: LocalType) -> Value {
        self.code.constant(match ty {
            LocalType::Int => Scalar::Int(0),
            LocalType::F32 => Scalar::F32(0.0),
            LocalType::F64 => Scalar::F64(0.0),
            LocalType::Bool => Scalar::Bool(false),
        })
    }

    /// The type of a local of the method.
    pub(super) fn local_type(&self, local: Local) -> Result<LocalType, CodegenError> {
        self.method.locals.get(local).copied().ok_or_else(|| CodegenError::rule(format!("{local} is not there")))
    }

    /// Assigns a value of exactly the local's type.
    pub(super) fn assign(&mut self, dst: Local, value: Value) -> Result<(), CodegenError> {
        let ty = self.local_type(dst)?;
        if type_of_local(ty) != self.code.b.func.dfg.value_type(value) {
            return Err(CodegenError::rule(format!(
                "{dst} is of type {ty:?}, what is assigned of kind {:?}",
                self.code.kind(value)
            )));
        }
        self.code.b.def_var(self.locals[dst.0 as usize], value);
        Ok(())
    }

    /// The value of an operand.
    pub(super) fn operand(&mut self, operand: Operand) -> Result<Value, CodegenError> {
        Ok(match operand {
            Operand::Local(local) => {
                let variable = self.locals.get(local.0 as usize);
                let variable = *variable.ok_or_else(|| CodegenError::rule(format!("{local} is not there")))?;
                self.code.b.use_var(variable)
            }
            Operand::Int(x) => self.code.int(x),
            Operand::F32(x) => self.code.constant(Scalar::F32(x)),
            Operand::F64(x) => self.code.constant(Scalar::F64(x)),
            Operand::Bool(x) => self.code.constant(Scalar::Bool(x)),
            Operand::Context => self.ctx,
            Operand::Args => self.args,
            Operand::Result => self.result,
            Operand::Data(id, offset) => {
                let data = self.program.data.get(id.0 as usize);
                let data = *data.ok_or_else(|| CodegenError::rule(format!("{id} is not there")))?;
                let address = self.data_address(data);
                self.code.plus(address, offset as i64)
            }
            Operand::Arena(offset) => {
                if offset > self.program.plan.arena_bytes {
                    return Err(CodegenError::rule(format!("the arena has no byte {offset}")));
                }
                self.code.plus(self.arena, offset as i64)
            }
            Operand::State(slot) => {
                if slot as usize >= self.program.plan.state_slots {
                    return Err(CodegenError::rule(format!("there is no state slot {slot}")));
                }
                self.code.plus(self.state, i64::from(slot) * layout::VALUE_BYTES)
            }
            Operand::Slot(slot, offset) => {
                let address = match self.slots.get(slot.0 as usize) {
                    Some(&Home::Frame(slot)) => self.code.b.ins().stack_addr(types::I64, slot, 0),
                    Some(&Home::Address(address)) => address,
                    Some(Home::Nowhere) | None => return Err(CodegenError::rule(format!("{slot} is not there"))),
                };
                self.code.plus(address, i64::from(offset))
            }
        })
    }

    fn operand_of(&mut self, kind: Kind, operand: Operand) -> Result<Value, CodegenError> {
        let value = self.operand(operand)?;
        if self.code.kind(value) == kind {
            Ok(value)
        } else {
            Err(CodegenError::rule(format!("{operand:?} is not of kind {kind:?}")))
        }
    }

    /// An operand that is an integer or an address.
    pub(super) fn int_operand(&mut self, operand: Operand) -> Result<Value, CodegenError> {
        self.operand_of(Kind::Int, operand)
    }

    /// An operand that is a truth value.
    pub(super) fn bool_operand(&mut self, operand: Operand) -> Result<Value, CodegenError> {
        self.operand_of(Kind::Bool, operand)
    }

    /// `dst = op(args)`.
    pub(super) fn scalar(&mut self, dst: Local, op: ScalarOp, args: &[Operand]) -> Result<(), CodegenError> {
        let values = args.iter().map(|&a| self.operand(a)).collect::<Result<Vec<_>, _>>()?;
        let value = match (op, values.as_slice()) {
            (ScalarOp::Copy, &[x]) => x,
            (ScalarOp::Unary(op), &[x]) => self.code.unary(op, x)?,
            (ScalarOp::Binary(op), &[a, b]) => self.code.binary(op, a, b)?,
            (ScalarOp::Math(op), args) => self.code.math(op.0, args)?,
            (ScalarOp::Select, &[test, yes, no])
                if self.code.kind(test) == Kind::Bool && self.code.kind(yes) == self.code.kind(no) =>
            {
                self.code.b.ins().select(test, yes, no)
            }
            (ScalarOp::Cast(dtype), &[x]) => self.code.cast(dtype, x),
            (ScalarOp::FloatBits, &[x]) if self.code.kind(x) == Kind::F64 => {
                self.code.b.ins().bitcast(types::I64, MemFlagsData::new(), x)
            }
            (ScalarOp::BitsFloat, &[x]) if self.code.kind(x) == Kind::Int => {
                self.code.b.ins().bitcast(types::F64, MemFlagsData::new(), x)
            }
            _ => return Err(CodegenError::rule(format!("{op:?} does not take {args:?}"))),
        };
        self.assign(dst, value)
    }
}
