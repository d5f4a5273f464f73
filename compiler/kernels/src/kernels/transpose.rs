//! `out[c, r] = in[r, c]` for each matrix of a batch: changes of layout between channels-first and channels-last.
//!
//! Blocks of `lanes` rows by 4 columns are transposed in registers; what remains at the edges is moved element by element.

use crate::isa::{EmitError, Gpr, Mem, Slot, Src, V, VectorIsa};
use crate::kernels::contraction::repeat;
use crate::kernels::registers::Gprs;
use crate::kernels::units::each_unit;
use crate::kernels::{Arg, Kernel, Units, check_size};
use crate::target::TargetDesc;

/// Transposition of 32-bit elements of any kind. Units of work are the matrices of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransposeDesc {
    /// Rows of the input.
    pub rows: usize,
    /// Columns of the input.
    pub cols: usize,
    /// Elements between rows of the input, at least `cols`.
    pub in_stride: usize,
    /// Elements between rows of the output, at least `rows`.
    pub out_stride: usize,
    /// Elements between input matrices.
    pub in_batch: usize,
    /// Elements between output matrices.
    pub out_batch: usize,
}

impl TransposeDesc {
    /// Dense matrices, one after the other.
    pub fn dense(rows: usize, cols: usize) -> Self {
        let size = rows.saturating_mul(cols);
        TransposeDesc { rows, cols, in_stride: cols, out_stride: rows, in_batch: size, out_batch: size }
    }

    fn check(&self) -> Result<(), EmitError> {
        if self.rows == 0 || self.cols == 0 || self.in_stride < self.cols || self.out_stride < self.rows {
            return Err(EmitError::Unsupported(format!("{self:?}")));
        }
        check_size("rows", &[self.rows, self.in_stride])?;
        check_size("columns", &[self.cols, self.out_stride])?;
        check_size("batch", &[self.in_batch.max(self.out_batch)])
    }
}

/// Arguments: input, output, begin, end.
pub fn emit(desc: &TransposeDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.check()?;
    let mut isa = target.assembler()?;
    let [input, output, next, end] = [0u8, 1, 2, 3].map(|i| {
        let slot = isa.slot();
        isa.store_slot(slot, Gpr(i));
        slot
    });
    each_unit(isa.as_mut(), next, end, |isa| matrix(isa, desc, input, output));
    let args = vec![Arg::Input, Arg::Output, Arg::Begin, Arg::End];
    let name = "x32_transpose".into();
    Ok(Kernel { name, code: isa.finish(args.len())?, args, scratch_bytes: 0, units: Units::PerImage(1) })
}

/// One matrix, whose number is in `Gpr(0)`.
fn matrix(isa: &mut dyn VectorIsa, d: &TransposeDesc, input: Slot, output: Slot) {
    let lanes = isa.info().lanes;
    let mut gprs = Gprs::all(isa.info().gprs);
    let (n, t) = (gprs.take(), gprs.take());
    let (src, dst) = (gprs.take(), gprs.take());
    for (r, slot, batch) in [(src, input, d.in_batch), (dst, output, d.out_batch)] {
        isa.mul(t, n, Src::Imm(4 * batch as i64));
        isa.load_slot(r, slot);
        isa.add(r, r, Src::Reg(t));
    }
    gprs.give_all([n, t]);
    repeat(isa, &mut gprs, d.rows / lanes, |isa, gprs, _| {
        row_block(isa, gprs, d, src, dst);
        isa.add(src, src, Src::Imm(4 * (lanes * d.in_stride) as i64));
        isa.add(dst, dst, Src::Imm(4 * lanes as i64));
    });
    single(isa, &mut gprs, d, [src, dst], d.rows % lanes, d.cols);
}

/// `lanes` rows of the input.
fn row_block(isa: &mut dyn VectorIsa, gprs: &mut Gprs, d: &TransposeDesc, src: Gpr, dst: Gpr) {
    let (p, out, base) = (gprs.take(), gprs.take(), gprs.take());
    let row = 4 * d.out_stride as i64;
    isa.mov(p, Src::Reg(src));
    isa.mov(out, Src::Reg(dst));
    repeat(isa, gprs, d.cols / 4, |isa, _, _| {
        isa.mov(base, Src::Reg(p));
        let block = [V(0), V(1), V(2), V(3)];
        isa.load_transposed4(block, base, Src::Imm(4 * d.in_stride as i64), [V(4), V(5), V(6), V(7)]);
        for v in block {
            isa.store(Mem::new(out, 0), v);
            isa.add(out, out, Src::Imm(row));
        }
        isa.add(p, p, Src::Imm(16));
    });
    gprs.give(base);
    let lanes = isa.info().lanes;
    single(isa, gprs, d, [p, out], lanes, d.cols % 4);
    gprs.give_all([p, out]);
}

/// `rows` rows by `cols` columns, element by element.
fn single(isa: &mut dyn VectorIsa, gprs: &mut Gprs, d: &TransposeDesc, [src, dst]: [Gpr; 2], rows: usize, cols: usize) {
    if rows == 0 {
        return;
    }
    let (p, out, base, t) = (gprs.take(), gprs.take(), gprs.take(), gprs.take());
    isa.mov(p, Src::Reg(src));
    isa.mov(out, Src::Reg(dst));
    repeat(isa, gprs, cols, |isa, _, _| {
        isa.mov(base, Src::Reg(p));
        for j in 0..rows {
            isa.load_word(t, Mem::new(base, 0));
            isa.store_word(Mem::new(out, 4 * j as i32), t);
            isa.add(base, base, Src::Imm(4 * d.in_stride as i64));
        }
        isa.add(p, p, Src::Imm(4));
        isa.add(out, out, Src::Imm(4 * d.out_stride as i64));
    });
    gprs.give_all([p, out, base, t]);
}
