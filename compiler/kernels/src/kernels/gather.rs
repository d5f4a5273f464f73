//! Maps over rows that are found by tables: resizing by interpolation, reflected borders, fixed rearrangements.
//!
//! Rows of the output are numbered by two indices, `y` and `x`. Where an input's row lies is a sum of an offset for `y` and one for `x`,
//! and so is every scalar of the expression a function of one of them. Both come from a table that is made when compiling, so that no
//! index is computed at run time:
//!
//! ```text
//! for each y:  per load an i64, bytes from the input's start; per scalar of y an f32
//! for each x:  per load an i64, bytes from there; per scalar of x an f32
//! ```
//!
//! Entries are padded to whole i64s. In the expression, inputs are the loads, then the scalars of `y`, then those of `x`.

use crate::isa::{Cond, EmitError, Gpr, Mem, Slot, Src, Tail, V, VSlot, VectorIsa};
use crate::kernels::registers::Gprs;
use crate::kernels::units::each_unit;
use crate::kernels::{Arg, Kernel, Units, check_size};
use crate::math;
use crate::prog::{Inst, Plan, Val};
use crate::target::TargetDesc;
use crate::vexpr::{Leaf, VExpr};

/// A map over rows found by tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GatherDesc {
    /// Rows: how many `y`, and how many `x` for each.
    pub rows: [usize; 2],
    /// Columns: elements of a row, contiguous in the loads and in the output.
    pub cols: usize,
    /// Loads of the expression, each with a pointer in the table of inputs.
    pub loads: usize,
    /// Scalars that are functions of `y`, and of `x`.
    pub scalars: [usize; 2],
    /// Elements of the output from one `y` to the next, and from one `x` to the next.
    pub out_strides: [usize; 2],
    /// One result over the loads and the scalars.
    pub expr: VExpr,
}

/// Most loads: each has a pointer register.
pub const MAX_LOADS: usize = 6;
/// Most scalars: each has a vector register.
pub const MAX_SCALARS: usize = 6;

impl GatherDesc {
    fn check(&self) -> Result<(), EmitError> {
        let scalars = self.scalars[0] + self.scalars[1];
        if self.rows.contains(&0) || self.cols == 0 || self.loads == 0 || self.loads > MAX_LOADS || scalars > MAX_SCALARS {
            return Err(EmitError::Unsupported(format!("a gather of {} loads and {scalars} scalars", self.loads)));
        }
        check_size("rows", &[self.rows[0], self.out_strides[0]])?;
        check_size("rows", &[self.rows[1], self.out_strides[1]])?;
        check_size("columns", &[self.cols])?;
        self.expr.check(false, self.loads + scalars, 0).map_err(EmitError::Unsupported)?;
        if self.expr.roots().len() != 1 {
            return Err(EmitError::Unsupported("a gather with other than one result".into()));
        }
        Ok(())
    }

    /// Bytes of a table entry for `y` (0) or `x` (1).
    pub fn entry_bytes(&self, axis: usize) -> usize {
        8 * self.loads + (4 * self.scalars[axis]).next_multiple_of(8)
    }
}

/// Arguments: inputs, weights (the table), output, begin, end. Units of work are `y`.
pub fn emit(desc: &GatherDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.check()?;
    let mut isa = target.assembler()?;
    let args = vec![Arg::Inputs, Arg::Weights, Arg::Output, Arg::Begin, Arg::End];
    Emitter::new(desc, isa.as_mut())?.emit(isa.as_mut());
    let label = desc.expr.label();
    let label = if label.is_empty() { label } else { format!("_{label}") };
    let name = format!("f32_gather{}{label}", desc.loads);
    Ok(Kernel { name, code: isa.finish(args.len())?, args, scratch_bytes: 0, units: Units::Fixed(desc.rows[0]) })
}

struct Emitter<'a> {
    desc: &'a GatherDesc,
    inputs: Slot,
    table: Slot,
    output: Slot,
    begin: Slot,
    end: Slot,
    /// Where each load's rows of the present `y` are counted from.
    bases: Vec<Slot>,
    plan: Plan,
    /// Registers of the expression, those of the scalars, and constants that stay.
    regs: Vec<V>,
    scalars: Vec<V>,
    constants: Vec<(V, u32)>,
    mask: V,
    spills: Vec<VSlot>,
}

/// Registers of the loop over `x`.
struct Row {
    loads: Vec<Gpr>,
    out: Gpr,
    /// Byte offset of the column.
    col: Gpr,
}

impl<'a> Emitter<'a> {
    fn new(desc: &'a GatherDesc, isa: &mut dyn VectorIsa) -> Result<Self, EmitError> {
        let prog = math::lower(&desc.expr, isa.info().arithmetic);
        let count = desc.scalars[0] + desc.scalars[1];
        let room = isa.info().vregs - 1 - count;
        let scalar = |k: usize| prog.leaf(Leaf::Input((desc.loads + k) as u16));
        let held: Vec<Val> = (0..count).filter_map(scalar).collect();
        let constants = prog.constants();
        let kept_of = |kept: usize| held.iter().chain(&constants[..kept]).copied().collect::<Vec<Val>>();
        let fits = |&kept: &usize| kept + prog.pressure(&kept_of(kept)) <= room;
        let kept = (0..=constants.len()).rev().find(fits).unwrap_or(0);
        // Constants lie above the registers of the expression, scalars above the constants.
        let place = |k: usize| (room + k) as u8;
        let mut given: Vec<(Val, u8)> =
            constants[..kept].iter().enumerate().map(|(i, &v)| (v, (room - kept + i) as u8)).collect();
        given.extend((0..count).filter_map(|k| scalar(k).map(|v| (v, place(k)))));
        let plan = prog.allocate(room - kept, &given);
        let regs: Vec<V> = (0..(room + count) as u8).map(V).collect();
        let bits = |v: Val| match prog.inst(v) {
            Inst::Const(bits) => *bits,
            _ => 0,
        };
        let kept = constants[..kept].iter().enumerate().map(|(i, &v)| (regs[room - kept + i], bits(v))).collect();
        let mut slot = || isa.slot();
        let (inputs, table, output, begin, end) = (slot(), slot(), slot(), slot(), slot());
        let bases = (0..desc.loads).map(|_| slot()).collect();
        let spills = (0..plan.slots).map(|_| isa.vslot()).collect();
        let scalars = (0..count).map(|k| V(place(k))).collect();
        let mask = V((room + count) as u8);
        Ok(Emitter { desc, inputs, table, output, begin, end, bases, plan, regs, scalars, constants: kept, mask, spills })
    }

    fn emit(&self, isa: &mut dyn VectorIsa) {
        let slots = [self.inputs, self.table, self.output, self.begin, self.end];
        slots.iter().enumerate().for_each(|(i, &s)| isa.store_slot(s, Gpr(i as u8)));
        self.constants.iter().for_each(|&(v, bits)| isa.splat(v, bits));
        each_unit(isa, self.begin, self.end, |isa| self.row_of_rows(isa));
    }

    /// All rows of one `y`, whose number is in `Gpr(0)`.
    fn row_of_rows(&self, isa: &mut dyn VectorIsa) {
        let d = self.desc;
        let mut gprs = Gprs::all(isa.info().gprs);
        let (y, entry, t, p) = (gprs.take(), gprs.take(), gprs.take(), gprs.take());
        isa.mul(entry, y, Src::Imm(d.entry_bytes(0) as i64));
        isa.load_slot(t, self.table);
        isa.add(entry, entry, Src::Reg(t));
        for (k, &base) in self.bases.iter().enumerate() {
            isa.load_slot(t, self.inputs);
            isa.load_int(t, Mem::new(t, 8 * k as i32));
            isa.load_int(p, Mem::new(entry, 8 * k as i32));
            isa.add(t, t, Src::Reg(p));
            isa.store_slot(base, t);
        }
        self.load_scalars(isa, entry, 0);
        let out = p;
        isa.mul(y, y, Src::Imm(4 * d.out_strides[0] as i64));
        isa.load_slot(out, self.output);
        isa.add(out, out, Src::Reg(y));
        isa.load_slot(entry, self.table);
        isa.add(entry, entry, Src::Imm((d.rows[0] * d.entry_bytes(0)) as i64));
        let (left, col) = (y, t);
        let row = Row { loads: gprs.take_n(d.loads), out, col };
        let lanes = isa.info().lanes;
        let tail = (!d.cols.is_multiple_of(lanes)).then(|| isa.make_tail(Src::Imm((d.cols % lanes) as i64), self.mask));
        isa.mov(left, Src::Imm(d.rows[1] as i64));
        let top = isa.label();
        isa.bind(top);
        for (k, &load) in row.loads.iter().enumerate() {
            isa.load_slot(load, self.bases[k]);
            isa.load_int(col, Mem::new(entry, 8 * k as i32));
            isa.add(load, load, Src::Reg(col));
        }
        self.load_scalars(isa, entry, 1);
        self.columns(isa, &row, tail.as_ref());
        isa.add(out, out, Src::Imm(4 * d.out_strides[1] as i64));
        isa.add(entry, entry, Src::Imm(d.entry_bytes(1) as i64));
        isa.sub(left, left, Src::Imm(1));
        isa.branch(Cond::Gt, left, Src::Imm(0), top);
    }

    /// The scalars of a table entry.
    fn load_scalars(&self, isa: &mut dyn VectorIsa, entry: Gpr, axis: usize) {
        let first = if axis == 0 { 0 } else { self.desc.scalars[0] };
        for k in 0..self.desc.scalars[axis] {
            isa.load_splat(self.scalars[first + k], Mem::new(entry, (8 * self.desc.loads + 4 * k) as i32));
        }
    }

    /// One row: whole vectors, straight or in a loop, then what remains.
    fn columns(&self, isa: &mut dyn VectorIsa, row: &Row, tail: Option<&Tail>) {
        const STRAIGHT: usize = 4;
        let (lanes, bytes) = (isa.info().lanes, isa.info().bytes());
        let vectors = self.desc.cols / lanes;
        let at = |base: Gpr, j: usize| Mem::new(base, j as i32 * bytes);
        if vectors <= STRAIGHT {
            (0..vectors).for_each(|j| self.vector(isa, row, None, |base| at(base, j)));
            if let Some(tail) = tail {
                self.vector(isa, row, Some(tail), |base| at(base, vectors));
            }
            return;
        }
        let (top, end) = (isa.label(), (vectors * lanes * 4) as i64);
        isa.mov(row.col, Src::Imm(0));
        isa.bind(top);
        self.vector(isa, row, None, |base| Mem::indexed(base, row.col, 0));
        isa.add(row.col, row.col, Src::Imm(i64::from(bytes)));
        isa.branch(Cond::Lt, row.col, Src::Imm(end), top);
        if let Some(tail) = tail {
            self.vector(isa, row, Some(tail), |base| Mem::indexed(base, row.col, 0));
        }
    }

    fn vector(&self, isa: &mut dyn VectorIsa, row: &Row, tail: Option<&Tail>, at: impl Fn(Gpr) -> Mem) {
        let mut fetch = |isa: &mut dyn VectorIsa, leaf: Leaf, d: V| {
            let Leaf::Input(k) = leaf else { return };
            let Some(&load) = row.loads.get(k as usize) else { return };
            match tail {
                None => isa.load(d, at(load)),
                Some(tail) => isa.load_tail(d, at(load), tail),
            }
        };
        let result = self.plan.emit(isa, &self.regs, &self.spills, &mut fetch)[0];
        match tail {
            None => isa.store(at(row.out), result),
            Some(tail) => isa.store_tail(at(row.out), result, tail),
        }
    }
}
