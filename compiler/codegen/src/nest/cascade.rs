//! Sums in the order of [`kiln_loops::cascade`], whatever number of elements there are.

use super::Nest;
use crate::code::Code;
use crate::error::CodegenError;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind, Value, types};
use cranelift_frontend::Variable;
use kiln_loops::cascade::{BLOCK, LEAST_POWER, LEVELS, OCTET};
use kiln_loops::{Expr, Extent, Scalar};

/// Where the elements beyond the last octet are added: behind the sums of all levels.
const REST: usize = BLOCK * LEVELS;
/// The logarithm of the elements of a block.
const BLOCK_POWER: i64 = BLOCK.trailing_zeros() as i64;

/// The state of a sum.
struct Cascade {
    /// The sums of all levels, and that of the last elements.
    sums: StackSlot,
    /// Elements so far.
    index: Variable,
    /// Elements of whole blocks, and of whole octets.
    in_blocks: Value,
    in_octets: Value,
    /// The logarithm of the blocks that make one of the next level.
    power: Value,
}

impl Nest<'_, '_, '_> {
    /// Emits the sum of `body` over `axes`.
    pub(super) fn cascade_sum(&mut self, axes: &[u32], body: Expr) -> Result<Value, CodegenError> {
        let extents: Vec<Extent> = axes.iter().map(|&axis| self.compute.axes[axis as usize]).collect();
        let cascade = self.open_cascade(&extents);
        let done = self.code.b.create_block();
        let mark = self.log.len();
        if self.require_elements(&extents, done) {
            self.run(axes, body, &mut |nest, value| {
                cascade.add(&mut nest.code, value);
                Ok(())
            })?;
        }
        self.code.b.ins().jump(done, &[]);
        self.leave_scope(mark);
        self.code.b.seal_block(done);
        self.code.b.switch_to_block(done);
        let result = self.variable(Scalar::F32(0.0));
        Ok(cascade.finish(&mut self.code, result))
    }

    fn open_cascade(&mut self, extents: &[Extent]) -> Cascade {
        let index = self.variable(Scalar::Int(0));
        let mut count = self.code.int(1);
        for &extent in extents {
            let extent = self.extent(extent);
            count = self.code.b.ins().imul(count, extent);
        }
        let code = &mut self.code;
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 4 * (REST as u32 + 1), 2);
        let sums = code.b.create_sized_stack_slot(slot);
        each(code, 0, REST + 1, |code, at| {
            let zero = code.b.ins().f32const(0.0);
            store(code, sums, at, zero);
        });
        let blocks = code.b.ins().ushr_imm_u(count, BLOCK_POWER);
        // The logarithm, rounded up; of none or one it does not matter.
        let before = code.b.ins().iadd_imm_s(blocks, -1);
        let zeros = code.b.ins().clz(before);
        let bits = code.int(64);
        let logarithm = code.b.ins().isub(bits, zeros);
        let quotient = code.b.ins().ushr_imm_u(logarithm, i64::from(LEVELS.trailing_zeros()));
        let least = code.int(i64::from(LEAST_POWER));
        let power = code.b.ins().umax(quotient, least);
        let in_blocks = code.b.ins().band_imm_s(count, -(BLOCK as i64));
        let in_octets = code.b.ins().band_imm_s(count, -(OCTET as i64));
        Cascade { sums, index, in_blocks, in_octets, power }
    }
}

impl Cascade {
    /// Adds the next element.
    fn add(&self, code: &mut Code, value: Value) {
        let index = code.b.use_var(self.index);
        let is_past = code.b.ins().icmp(IntCC::Equal, index, self.in_blocks);
        when(code, is_past, |code| self.join_levels(code));
        let (in_block, in_octet) =
            (code.b.ins().band_imm_s(index, BLOCK as i64 - 1), code.b.ins().band_imm_s(index, OCTET as i64 - 1));
        let rest = code.int(REST as i64);
        let is_in_octet = code.b.ins().icmp(IntCC::SignedLessThan, index, self.in_octets);
        let beyond = code.b.ins().select(is_in_octet, in_octet, rest);
        let is_in_block = code.b.ins().icmp(IntCC::SignedLessThan, index, self.in_blocks);
        let at = code.b.ins().select(is_in_block, in_block, beyond);
        let sum = load(code, self.sums, at);
        let sum = code.b.ins().fadd(sum, value);
        store(code, self.sums, at, sum);
        let next = code.b.ins().iadd_imm_s(index, 1);
        code.b.def_var(self.index, next);
        let blocks = code.b.ins().ushr_imm_u(next, BLOCK_POWER);
        let odd = code.b.ins().band_imm_s(next, BLOCK as i64 - 1);
        let is_whole = code.b.ins().icmp_imm_s(IntCC::Equal, odd, 0);
        let is_counted = code.b.ins().icmp(IntCC::SignedLessThanOrEqual, next, self.in_blocks);
        let ends_block = code.b.ins().band(is_whole, is_counted);
        when(code, ends_block, |code| self.raise(code, blocks, 1));
    }

    /// After so many blocks: where they make one of a level, adds the sums of the level below to it.
    fn raise(&self, code: &mut Code, blocks: Value, level: usize) {
        let shift = code.b.ins().imul_imm_s(self.power, level as i64);
        let one = code.int(1);
        let size = code.b.ins().ishl(one, shift);
        let mask = code.b.ins().iadd_imm_s(size, -1);
        let odd = code.b.ins().band(blocks, mask);
        let is_whole = code.b.ins().icmp_imm_s(IntCC::Equal, odd, 0);
        when(code, is_whole, |code| {
            self.move_sums(code, (level - 1) * BLOCK, level * BLOCK);
            if level + 1 < LEVELS {
                self.raise(code, blocks, level + 1);
            }
        });
    }

    fn join_levels(&self, code: &mut Code) {
        (1..LEVELS).for_each(|level| self.move_sums(code, level * BLOCK, 0));
    }

    /// Adds the sums of one level to those of another, and begins the former anew.
    fn move_sums(&self, code: &mut Code, from: usize, to: usize) {
        each(code, from, from + BLOCK, |code, at| {
            let into = code.b.ins().iadd_imm_s(at, to as i64 - from as i64);
            let (moved, sum) = (load(code, self.sums, at), load(code, self.sums, into));
            let sum = code.b.ins().fadd(sum, moved);
            store(code, self.sums, into, sum);
            let zero = code.b.ins().f32const(0.0);
            store(code, self.sums, at, zero);
        });
    }

    fn finish(&self, code: &mut Code, result: Variable) -> Value {
        // Where there was no element beyond the blocks; else there is nothing left to join.
        self.join_levels(code);
        each(code, OCTET, BLOCK, |code, at| {
            let into = code.b.ins().band_imm_s(at, OCTET as i64 - 1);
            let (octet, sum) = (load(code, self.sums, at), load(code, self.sums, into));
            let sum = code.b.ins().fadd(sum, octet);
            store(code, self.sums, into, sum);
        });
        let rest = code.int(REST as i64);
        let rest = load(code, self.sums, rest);
        code.b.def_var(result, rest);
        each(code, 0, OCTET, |code, at| {
            let (sum, lane) = (code.b.use_var(result), load(code, self.sums, at));
            let sum = code.b.ins().fadd(sum, lane);
            code.b.def_var(result, sum);
        });
        code.b.use_var(result)
    }
}

/// Emits a loop over `first..end`.
fn each(code: &mut Code, first: usize, end: usize, body: impl FnOnce(&mut Code, Value)) {
    let count = code.int((end - first) as i64);
    let open = code.open_loop(count);
    let at = code.b.ins().iadd_imm_s(open.index, first as i64);
    body(code, at);
    code.close_loop(open);
}

/// Emits what happens only where `test` holds.
fn when(code: &mut Code, test: Value, body: impl FnOnce(&mut Code)) {
    let after = code.b.create_block();
    code.require(test, after);
    body(code);
    code.b.ins().jump(after, &[]);
    code.b.seal_block(after);
    code.b.switch_to_block(after);
}

fn place(code: &mut Code, sums: StackSlot, at: Value) -> Value {
    let base = code.b.ins().stack_addr(types::I64, sums, 0);
    let offset = code.b.ins().ishl_imm_u(at, 2);
    code.b.ins().iadd(base, offset)
}

fn load(code: &mut Code, sums: StackSlot, at: Value) -> Value {
    let place = place(code, sums, at);
    code.b.ins().load(types::F32, MemFlagsData::trusted(), place, 0)
}

fn store(code: &mut Code, sums: StackSlot, at: Value, value: Value) {
    let place = place(code, sums, at);
    code.b.ins().store(MemFlagsData::trusted(), value, place, 0);
}
