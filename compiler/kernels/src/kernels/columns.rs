//! Reductions over outer axes: `out[c] = finish(reduce over r of expr(in[r, c]))`, for each image of a batch.
//!
//! Columns are contiguous and stay in registers, a few vectors at a time, while the rows pass by. Global average pooling of
//! channels-last images and sums over leading axes are of this kind.

use crate::isa::{Cond, EmitError, Gpr, Mem, ReduceOp, Slot, Src, Tail, V, VSlot, VectorIsa};
use crate::kernels::epilogue::InputDesc;
use crate::kernels::reduction::{combine, identity};
use crate::kernels::registers::Gprs;
use crate::kernels::rows::COLUMNS;
use crate::kernels::units::each_unit;
use crate::kernels::{Arg, Kernel, Units, check_size};
use crate::math;
use crate::prog::{Prog, Val};
use crate::target::TargetDesc;
use crate::vexpr::{Leaf, VExpr};

/// An input: its rows, and the distance of its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchedInput {
    /// Rows and columns within a batch.
    pub rows: InputDesc,
    /// Elements from batch to batch.
    pub batch_stride: usize,
}

/// A reduction over rows. Units of work are batches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ColumnsDesc {
    /// Rows reduced, if known.
    pub rows: Option<usize>,
    /// Columns.
    pub cols: usize,
    /// In the order of the pointer table.
    pub inputs: Vec<BatchedInput>,
    /// Elements between the results of successive batches.
    pub out_stride: usize,
    /// One result over the inputs.
    pub expr: VExpr,
    /// How rows combine. Max and Min give NaN if a row is NaN.
    pub op: ReduceOp,
    /// One result over `Acc`; `Row(COLUMNS)` is the number of rows.
    pub finish: VExpr,
}

/// Most inputs: each has a pointer register.
const MAX_INPUTS: usize = 6;
/// Vectors of columns reduced at a time.
const BLOCK: usize = 4;

impl ColumnsDesc {
    /// `mean over rows`, as global average pooling: `rows` pixels of `cols` channels, dense.
    pub fn mean(rows: Option<usize>, cols: usize, row_stride: usize, batch_stride: usize) -> Self {
        use crate::vexpr::Binary;
        let input = BatchedInput { rows: InputDesc::full(row_stride), batch_stride };
        let expr = super::norm::expr(|e| e.input(0));
        let finish = super::norm::expr(|e| {
            let (acc, n) = (e.acc(), e.row(COLUMNS));
            e.binary(Binary::Div, acc, n)
        });
        ColumnsDesc { rows, cols, inputs: vec![input], out_stride: cols, expr, op: ReduceOp::Sum, finish }
    }

    fn check(&self) -> Result<(), EmitError> {
        let bad = |what: String| Err(EmitError::Unsupported(format!("column reduction: {what}")));
        if self.cols == 0 || self.rows == Some(0) || self.inputs.len() > MAX_INPUTS {
            return bad(format!("{} columns of {} inputs", self.cols, self.inputs.len()));
        }
        if self.expr.roots().len() != 1 || self.finish.roots().len() != 1 {
            return bad("other than one result".into());
        }
        for i in &self.inputs {
            check_size("row stride", &[i.rows.row_stride])?;
            check_size("batch stride", &[i.batch_stride])?;
        }
        check_size("columns", &[self.cols.max(self.out_stride)])?;
        self.expr.check(false, self.inputs.len(), 0).and_then(|()| self.finish.check(true, 0, usize::MAX)).or_else(bad)
    }
}

/// Arguments: output, inputs, begin, end and, if not known, rows.
pub fn emit(desc: &ColumnsDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.check()?;
    let mut isa = target.assembler()?;
    let mut args = vec![Arg::Output, Arg::Inputs, Arg::Begin, Arg::End];
    if desc.rows.is_none() {
        args.push(Arg::Rows);
    }
    ColumnsEmitter::new(desc, isa.as_mut()).emit(isa.as_mut());
    let name = format!("f32_columns_{:?}", desc.op).to_lowercase();
    Ok(Kernel { name, code: isa.finish(args.len())?, args, scratch_bytes: 0, units: Units::PerImage(1) })
}

struct ColumnsEmitter<'a> {
    desc: &'a ColumnsDesc,
    prog: Prog,
    finish: Prog,
    output: Slot,
    begin: Slot,
    end: Slot,
    rows: Slot,
    /// Current batch of each input, at the current columns.
    pointers: Vec<Slot>,
    /// Current result.
    out: Slot,
    blocks: Slot,
    inputs: Slot,
    spills: Vec<VSlot>,
}

impl<'a> ColumnsEmitter<'a> {
    fn new(desc: &'a ColumnsDesc, isa: &mut dyn VectorIsa) -> Self {
        let arithmetic = isa.info().arithmetic;
        let mut slot = || isa.slot();
        ColumnsEmitter {
            desc,
            prog: math::lower(&desc.expr, arithmetic),
            finish: math::lower(&desc.finish, arithmetic),
            output: slot(),
            begin: slot(),
            end: slot(),
            rows: slot(),
            pointers: desc.inputs.iter().map(|_| slot()).collect(),
            out: slot(),
            blocks: slot(),
            inputs: slot(),
            spills: Vec::new(),
        }
    }

    fn emit(&mut self, isa: &mut dyn VectorIsa) {
        let arguments = [self.output, self.inputs, self.begin, self.end, self.rows];
        let count = if self.desc.rows.is_none() { 5 } else { 4 };
        arguments.iter().take(count).enumerate().for_each(|(i, &s)| isa.store_slot(s, Gpr(i as u8)));
        if let Some(rows) = self.desc.rows {
            isa.mov(Gpr(0), Src::Imm(rows as i64));
            isa.store_slot(self.rows, Gpr(0));
        }
        each_unit(isa, self.begin, self.end, |isa| {
            self.enter_batch(isa, Gpr(0));
            self.all_columns(isa);
        });
    }

    fn enter_batch(&self, isa: &mut dyn VectorIsa, unit: Gpr) {
        let (p, t) = (Gpr(1), Gpr(2));
        for (k, input) in self.desc.inputs.iter().enumerate() {
            isa.load_slot(p, self.inputs);
            isa.load_int(p, Mem::new(p, 8 * k as i32));
            isa.mul(t, unit, Src::Imm(4 * input.batch_stride as i64));
            isa.add(p, p, Src::Reg(t));
            isa.store_slot(self.pointers[k], p);
        }
        isa.load_slot(p, self.output);
        isa.mul(t, unit, Src::Imm(4 * self.desc.out_stride as i64));
        isa.add(p, p, Src::Reg(t));
        isa.store_slot(self.out, p);
    }

    /// Blocks of [`BLOCK`] vectors in a loop, then what remains at once.
    fn all_columns(&mut self, isa: &mut dyn VectorIsa) {
        let lanes = isa.info().lanes;
        let (blocks, rest) = (self.desc.cols / (lanes * BLOCK), self.desc.cols % (lanes * BLOCK));
        if blocks > 0 {
            let (top, t) = (isa.label(), Gpr(0));
            isa.mov(t, Src::Imm(blocks as i64));
            isa.store_slot(self.blocks, t);
            isa.bind(top);
            self.block(isa, BLOCK, 0);
            for (slot, splat) in self.pointers.iter().zip(&self.desc.inputs).map(|(&s, i)| (s, i.rows.splat)) {
                if !splat {
                    step(isa, slot, (4 * lanes * BLOCK) as i64);
                }
            }
            step(isa, self.out, (4 * lanes * BLOCK) as i64);
            isa.load_slot(t, self.blocks);
            isa.sub(t, t, Src::Imm(1));
            isa.store_slot(self.blocks, t);
            isa.branch(Cond::Gt, t, Src::Imm(0), top);
        }
        if rest > 0 {
            self.block(isa, rest.div_ceil(lanes), rest % lanes);
        }
    }

    /// `count` vectors of columns over all rows; the last has `tail` lanes if that is not 0.
    fn block(&mut self, isa: &mut dyn VectorIsa, count: usize, tail: usize) {
        let info = isa.info();
        let acc: Vec<V> = (0..count as u8).map(V).collect();
        let (mask, spare) = (V(count as u8), V(count as u8 + 1));
        let free: Vec<V> = (count as u8 + 2..info.vregs as u8).map(V).collect();
        acc.iter().for_each(|&a| isa.splat(a, identity(self.desc.op)));
        let tail = (tail > 0).then(|| isa.make_tail(Src::Imm(tail as i64), mask));
        let mut gprs = Gprs::all(info.gprs);
        let pointers = gprs.take_n(self.pointers.len());
        let left = gprs.take();
        pointers.iter().zip(&self.pointers).for_each(|(&p, &s)| isa.load_slot(p, s));
        isa.load_slot(left, self.rows);
        let (top, done) = (isa.label(), isa.label());
        isa.branch(Cond::Le, left, Src::Imm(0), done);
        isa.bind(top);
        for (j, &a) in acc.iter().enumerate() {
            let tail = tail.as_ref().filter(|_| j + 1 == count);
            let v = self.evaluate(isa, &free, &pointers, j as i32 * info.bytes(), tail);
            combine(isa, self.desc.op, a, v, spare);
        }
        for (&p, input) in pointers.iter().zip(&self.desc.inputs) {
            isa.add(p, p, Src::Imm(4 * input.rows.row_stride as i64));
        }
        isa.sub(left, left, Src::Imm(1));
        isa.branch(Cond::Gt, left, Src::Imm(0), top);
        isa.bind(done);
        self.store(isa, &acc, &free, tail.as_ref());
    }

    fn evaluate(&mut self, isa: &mut dyn VectorIsa, free: &[V], pointers: &[Gpr], at: i32, tail: Option<&Tail>) -> V {
        let plan = self.prog.allocate(free.len(), &[]);
        self.reserve(isa, plan.slots);
        let mut fetch = |isa: &mut dyn VectorIsa, leaf: Leaf, d: V| {
            let Leaf::Input(k) = leaf else { return };
            let p = pointers[k as usize];
            match (self.desc.inputs[k as usize].rows.splat, tail) {
                (true, _) => isa.load_splat(d, Mem::new(p, 0)),
                (false, None) => isa.load(d, Mem::new(p, at)),
                (false, Some(t)) => isa.load_tail(d, Mem::new(p, at), t),
            }
        };
        plan.emit(isa, free, &self.spills, &mut fetch)[0]
    }

    fn store(&mut self, isa: &mut dyn VectorIsa, acc: &[V], free: &[V], tail: Option<&Tail>) {
        let given: Vec<(Val, u8)> = self.finish.leaf(Leaf::Acc).map(|v| (v, 0)).into_iter().collect();
        let plan = self.finish.allocate(free.len() + 1, &given);
        self.reserve(isa, plan.slots);
        let (out, t) = (Gpr(0), Gpr(1));
        isa.load_slot(out, self.out);
        for (j, &a) in acc.iter().enumerate() {
            let mut regs = vec![a];
            regs.extend_from_slice(free);
            let rows = self.rows;
            let mut fetch = |isa: &mut dyn VectorIsa, _: Leaf, d: V| {
                isa.load_slot(t, rows);
                isa.splat_int(d, t);
            };
            let v = plan.emit(isa, &regs, &self.spills, &mut fetch)[0];
            let m = Mem::new(out, j as i32 * isa.info().bytes());
            match tail.filter(|_| j + 1 == acc.len()) {
                None => isa.store(m, v),
                Some(t) => isa.store_tail(m, v, t),
            }
        }
    }

    fn reserve(&mut self, isa: &mut dyn VectorIsa, slots: usize) {
        while self.spills.len() < slots {
            self.spills.push(isa.vslot());
        }
    }
}

fn step(isa: &mut dyn VectorIsa, slot: Slot, by: i64) {
    isa.load_slot(Gpr(0), slot);
    isa.add(Gpr(0), Gpr(0), Src::Imm(by));
    isa.store_slot(slot, Gpr(0));
}
