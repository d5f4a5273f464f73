//! Scatters: the nest runs in order, and each element is stored where its index expressions say.

use super::Nest;
use crate::error::CodegenError;
use cranelift_codegen::ir::{Block, InstBuilder};
use kiln_loops::{Expr, Scatter};

impl Nest<'_, '_, '_> {
    /// Emits the loops of a scatter.
    pub(super) fn scatter(&mut self, scatter: &Scatter) -> Result<(), CodegenError> {
        let strides = self.byte_strides(&scatter.dims, scatter.dtype.size());
        // What a guard decides about must not be evaluated before it.
        let roots: Vec<Expr> = match scatter.guard {
            Some(guard) => vec![guard],
            None => self.compute.roots(),
        };
        let (loops, _) = self.open_output_loops(&roots)?;
        let mark = self.log.len();
        let next: Block = self.code.b.create_block();
        if let Some(guard) = scatter.guard {
            let guard = self.eval(guard)?;
            self.code.require(guard, next);
        }
        let index = scatter.index.iter().map(|&e| self.eval(e)).collect::<Result<Vec<_>, _>>()?;
        let value = self.eval(scatter.value)?;
        let (address, offset) = self.element_address(self.outputs[0], &strides, &index);
        self.code.store_element(scatter.dtype, value, address, offset);
        self.leave_scope(mark);
        self.code.b.ins().jump(next, &[]);
        self.code.b.seal_block(next);
        self.code.b.switch_to_block(next);
        self.close_loops(loops);
        Ok(())
    }
}
