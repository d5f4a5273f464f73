//! Packing of B at run time, for products of two activations: the same panels as [`crate::packing`] makes at compile time.
//!
//! B is read by rows (`[k, n]`) or transposed (`[n, k]`, as the keys of attention); the latter is transposed in registers, a block of
//! `lanes` columns by 4 rows at a time.

use crate::isa::{Cond, EmitError, Gpr, Mem, Slot, Src, V, VectorIsa};
use crate::kernels::contraction::repeat;
use crate::kernels::gemm::GemmDesc;
use crate::kernels::registers::Gprs;
use crate::kernels::{Arg, Kernel, Units, check_size};
use crate::select::{PanelGroup, TilePlan};
use crate::target::TargetDesc;

/// The packing that a matrix product wants for its B.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackDesc {
    /// The product.
    pub gemm: GemmDesc,
    /// B is stored as `[n, k]` rather than `[k, n]`.
    pub transposed: bool,
    /// Elements between rows of B as it is stored.
    pub row_stride: usize,
}

impl PackDesc {
    /// Elements of the packed B.
    ///
    /// # Errors
    /// As [`GemmDesc::plan`].
    pub fn packed_len(&self, target: &TargetDesc) -> Result<usize, EmitError> {
        Ok(crate::packing::packed_len(&self.gemm.plan(target)?, self.gemm.k))
    }
}

/// Arguments: input (B), output (packed), begin, end. Units of work are panels.
pub fn emit(desc: &PackDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.gemm.check()?;
    let (rows, cols) = if desc.transposed { (desc.gemm.n, desc.gemm.k) } else { (desc.gemm.k, desc.gemm.n) };
    if desc.row_stride < cols {
        return Err(EmitError::Unsupported(format!("rows of {cols} elements {} apart", desc.row_stride)));
    }
    check_size("B", &[rows, desc.row_stride])?;
    let mut isa = target.assembler()?;
    let plan = desc.gemm.plan(target)?;
    let args = vec![Arg::Input, Arg::Output, Arg::Begin, Arg::End];
    let emitter = PackEmitter { desc, plan: &plan, input: isa.slot(), output: isa.slot(), next: isa.slot(), end: isa.slot() };
    emitter.emit(isa.as_mut());
    let name = if desc.transposed { "f32_packt" } else { "f32_pack" }.to_string();
    Ok(Kernel { name, code: isa.finish(args.len())?, args, scratch_bytes: 0, units: Units::Fixed(plan.panels()) })
}

struct PackEmitter<'a> {
    desc: &'a PackDesc,
    plan: &'a TilePlan,
    input: Slot,
    output: Slot,
    next: Slot,
    end: Slot,
}

impl PackEmitter<'_> {
    fn emit(&self, isa: &mut dyn VectorIsa) {
        [self.input, self.output, self.next, self.end].iter().enumerate().for_each(|(i, &s)| isa.store_slot(s, Gpr(i as u8)));
        let (mut first, mut before) = (0, 0);
        for group in &self.plan.groups {
            let (top, done, p, t) = (isa.label(), isa.label(), Gpr(0), Gpr(1));
            isa.bind(top);
            isa.load_slot(p, self.next);
            isa.load_slot(t, self.end);
            isa.branch(Cond::Ge, p, Src::Reg(t), done);
            isa.branch(Cond::Ge, p, Src::Imm((first + group.panels) as i64), done);
            isa.add(t, p, Src::Imm(1));
            isa.store_slot(self.next, t);
            isa.sub(p, p, Src::Imm(first as i64));
            self.panel(isa, group, before);
            isa.jump(top);
            isa.bind(done);
            first += group.panels;
            before += group.panels * group.nv * self.plan.lanes;
        }
    }

    /// One panel of a group; `Gpr(0)` is its number within the group, `before` the columns before the group.
    fn panel(&self, isa: &mut dyn VectorIsa, group: &PanelGroup, before: usize) {
        let mut gprs = Gprs::all(isa.info().gprs);
        let (col, src, dst) = (gprs.take(), gprs.take(), gprs.take());
        let width = group.nv * self.plan.lanes;
        isa.mul(col, col, Src::Imm(width as i64));
        isa.add(col, col, Src::Imm(before as i64));
        isa.mul(dst, col, Src::Imm(4 * self.desc.gemm.k as i64));
        let stride = if self.desc.transposed { self.desc.row_stride } else { 1 };
        isa.mul(src, col, Src::Imm(4 * stride as i64));
        for (r, slot) in [(src, self.input), (dst, self.output)] {
            isa.load_slot(col, slot);
            isa.add(r, r, Src::Reg(col));
        }
        gprs.give(col);
        let cols = group.cols.min(width);
        match self.desc.transposed {
            false => self.rows(isa, &mut gprs, src, dst, cols, width),
            true => self.columns(isa, &mut gprs, src, dst, cols, width),
        }
    }

    /// B as `[k, n]`: copies `cols` elements of each row, filled up with zeros to `width`.
    fn rows(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, src: Gpr, dst: Gpr, cols: usize, width: usize) {
        let (lanes, bytes) = (self.plan.lanes, isa.info().bytes());
        let (v, mask) = (V(0), V(1));
        let tail = (!cols.is_multiple_of(lanes)).then(|| isa.make_tail(Src::Imm((cols % lanes) as i64), mask));
        repeat(isa, gprs, self.desc.gemm.k, |isa, _, _| {
            for j in 0..width / lanes {
                let at = j as i32 * bytes;
                match tail.as_ref().filter(|_| (j + 1) * lanes > cols) {
                    None => isa.load(v, Mem::new(src, at)),
                    Some(t) => isa.load_tail(v, Mem::new(src, at), t),
                }
                isa.store(Mem::new(dst, at), v);
            }
            isa.add(src, src, Src::Imm(4 * self.desc.row_stride as i64));
            isa.add(dst, dst, Src::Imm(4 * width as i64));
        });
    }

    /// B as `[n, k]`: vectors of whole columns by transposition, the columns that remain one by one.
    fn columns(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, src: Gpr, dst: Gpr, cols: usize, width: usize) {
        let lanes = self.plan.lanes;
        let column = 4 * self.desc.row_stride as i64;
        for j in 0..cols / lanes {
            self.transpose(isa, gprs, src, dst, (4 * j * lanes) as i32, width);
            isa.add(src, src, Src::Imm(lanes as i64 * column));
        }
        for j in cols / lanes * lanes..width {
            let source = (j < cols).then_some(src);
            self.column(isa, gprs, source, dst, (4 * j) as i32, width);
            isa.add(src, src, Src::Imm(column));
        }
    }

    /// `lanes` columns, to byte `at` of each row of the panel.
    fn transpose(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, src: Gpr, dst: Gpr, at: i32, width: usize) {
        let (p, base, out) = (gprs.take(), gprs.take(), gprs.take());
        let (k, row) = (self.desc.gemm.k, 4 * width as i32);
        isa.mov(p, Src::Reg(src));
        isa.add(out, dst, Src::Imm(i64::from(at)));
        repeat(isa, gprs, k / 4, |isa, _, _| {
            isa.mov(base, Src::Reg(p));
            let d = [V(0), V(1), V(2), V(3)];
            isa.load_transposed4(d, base, Src::Imm(4 * self.desc.row_stride as i64), [V(4), V(5), V(6), V(7)]);
            d.iter().enumerate().for_each(|(c, &v)| isa.store(Mem::new(out, c as i32 * row), v));
            isa.add(p, p, Src::Imm(16));
            isa.add(out, out, Src::Imm(4 * i64::from(row)));
        });
        // The last rows of the panel, fewer than four, element by element.
        for j in 0..if k.is_multiple_of(4) { 0 } else { self.plan.lanes } {
            isa.add(base, p, Src::Imm(4 * (j * self.desc.row_stride) as i64));
            for c in 0..k % 4 {
                isa.load_splat(V(0), Mem::new(base, 4 * c as i32));
                isa.store_lane0(Mem::new(out, 4 * j as i32 + c as i32 * row), V(0));
            }
        }
        gprs.give_all([p, base, out]);
    }

    /// One column, or zeros.
    fn column(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, src: Option<Gpr>, dst: Gpr, at: i32, width: usize) {
        let (p, out) = (gprs.take(), gprs.take());
        isa.mov(p, Src::Reg(src.unwrap_or(dst)));
        isa.add(out, dst, Src::Imm(i64::from(at)));
        isa.splat(V(0), 0);
        repeat(isa, gprs, self.desc.gemm.k, |isa, _, _| {
            if src.is_some() {
                isa.load_splat(V(0), Mem::new(p, 0));
            }
            isa.store_lane0(Mem::new(out, 0), V(0));
            isa.add(p, p, Src::Imm(4));
            isa.add(out, out, Src::Imm(4 * width as i64));
        });
        gprs.give_all([p, out]);
    }
}
