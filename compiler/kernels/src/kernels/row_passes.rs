//! The code of kernels over rows ([`crate::kernels::rows`]): for each row, pass after pass, a loop over its columns.

use crate::bytes;
use crate::isa::{Cond, Element, EmitError, Gpr, Mem, ReduceOp, Slot, Src, Tail, V, VSlot, VectorIsa};
use crate::kernels::cascade::{self, CascadeSum};
use crate::kernels::numbers;
use crate::kernels::reduction::{combine, identity};
use crate::kernels::registers::Gprs;
use crate::kernels::rows::{COLUMNS, Dim, Operand, Pass, Reduction, RowsDesc, Stride};
use crate::kernels::units::each_unit;
use crate::kernels::{Arg, Kernel, Units};
use crate::math;
use crate::prog::{Plan, Prog, Val};
use crate::target::TargetDesc;
use crate::vexpr::Leaf;

/// Arguments: outputs, inputs, begin, end and, if not known, cols.
pub fn emit(desc: &RowsDesc, target: &TargetDesc) -> Result<Kernel, EmitError> {
    desc.check()?;
    let mut isa = target.assembler()?;
    if desc.cols == Dim::Argument && desc.passes.iter().any(|pass| is_cascade(isa.as_ref(), pass)) {
        return Err(EmitError::Unsupported("sums in order of rows of unknown length".into()));
    }
    let mut args = vec![Arg::Outputs, Arg::Inputs, Arg::Begin, Arg::End];
    if desc.cols == Dim::Argument {
        args.push(Arg::Cols);
    }
    RowEmitter::new(desc, isa.as_mut()).emit(isa.as_mut());
    let label = desc.passes[0].expr.label();
    let name = if label.is_empty() { format!("f32_{}", desc.family) } else { format!("f32_{}_{label}", desc.family) };
    Ok(Kernel { name, code: isa.finish(args.len())?, args, scratch_bytes: 0, units: Units::PerRows(1) })
}

/// Slots of the kernel.
pub(super) struct RowEmitter<'a> {
    desc: &'a RowsDesc,
    /// Pointers to the current row: inputs, then outputs.
    pointers: Vec<Slot>,
    begin: Slot,
    end: Slot,
    cols: Slot,
    /// Finished reductions, by pass.
    rows: Vec<VSlot>,
    spills: Vec<VSlot>,
}

/// Pointers held in registers during a pass; further ones are loaded when needed.
const MAX_POINTERS: usize = 9;

/// A pass with registers assigned.
pub(super) struct Layout {
    plan: Plan,
    /// Registers by plan number: temporaries, then pinned values.
    regs: Vec<V>,
    pinned: Vec<(Val, V)>,
    /// How many vectors have temporaries of their own, so that their operations can be interleaved.
    copies: usize,
    pub(super) sums: Vec<V>,
    /// Holds the tail's mask; free where there is no tail.
    pub(super) mask: V,
    /// Two temporaries for combining.
    pub(super) spare: [V; 2],
}

/// Most vectors evaluated side by side.
const MAX_COPIES: usize = 4;

impl Layout {
    /// The registers by plan number, temporaries being those of the given copy.
    fn copy(&self, copy: usize) -> Vec<V> {
        let used = self.plan.regs_used;
        self.regs.iter().enumerate().map(|(i, &r)| if i < used { self.regs[i + copy * used] } else { r }).collect()
    }
}

/// Registers of the column loop.
pub(super) struct Loop {
    /// The column in bytes of f32, and, where there are bytes among the operands, the column.
    x: Gpr,
    column: Option<Gpr>,
    pointers: Vec<Option<Gpr>>,
    spare: Gpr,
}

impl<'a> RowEmitter<'a> {
    fn new(desc: &'a RowsDesc, isa: &mut dyn VectorIsa) -> Self {
        let count = desc.inputs.len() + desc.outputs.len();
        RowEmitter {
            desc,
            pointers: (0..count).map(|_| isa.slot()).collect(),
            begin: isa.slot(),
            end: isa.slot(),
            cols: isa.slot(),
            rows: desc.passes.iter().map(|_| isa.vslot()).collect(),
            spills: Vec::new(),
        }
    }

    fn lower(&self, isa: &dyn VectorIsa, pass: &Pass) -> Prog {
        bytes::lower(&pass.expr, &self.desc.elements(pass), isa.info().arithmetic)
    }

    /// Assigns registers: the mask and two spares, accumulators, pinned values (constants, row values, splat inputs), temporaries.
    fn layout(&self, isa: &dyn VectorIsa, pass: &Pass) -> Layout {
        let prog = self.lower(isa, pass);
        let vregs = isa.info().vregs;
        let sums = match pass.reduce {
            None => 0,
            Some(_) if is_cascade(isa, pass) => cascade::accumulators(&isa.info()),
            Some(_) => MAX_SUMS,
        };
        let available = vregs - 3 - sums;
        let constant_in_row = |l: &Leaf| match l {
            Leaf::Row(_) => true,
            Leaf::Input(k) => self.operand(*k as usize).splat,
            Leaf::Acc => false,
        };
        let rows = prog.leaves().filter(constant_in_row).filter_map(|l| prog.leaf(l));
        let mut pinned: Vec<Val> = rows.chain(prog.constants()).take(available).collect();
        while !pinned.is_empty() && pinned.len() + prog.pressure(&pinned).max(4) > available {
            pinned.pop();
        }
        let temps = available - pinned.len();
        let given: Vec<(Val, u8)> = pinned.iter().enumerate().map(|(i, &v)| (v, (temps + i) as u8)).collect();
        let plan = prog.allocate(temps, &given);
        let regs: Vec<V> = (0..available as u8).map(V).collect();
        let copies = if isa.info().wide_disp { 1 } else { (temps / plan.regs_used.max(1)).clamp(1, MAX_COPIES) };
        let at = |i: usize| V((available + i) as u8);
        Layout {
            plan,
            pinned: given.iter().map(|&(v, r)| (v, regs[r as usize])).collect(),
            regs,
            copies,
            mask: at(0),
            spare: [at(1), at(2)],
            sums: (3..3 + sums).map(at).collect(),
        }
    }

    fn operand(&self, i: usize) -> &Operand {
        let inputs = self.desc.inputs.len();
        if i < inputs { &self.desc.inputs[i] } else { &self.desc.outputs[i - inputs] }
    }

    fn emit(&mut self, isa: &mut dyn VectorIsa) {
        self.enter(isa);
        let layouts: Vec<Layout> = self.desc.passes.iter().map(|p| self.layout(isa, p)).collect();
        // The constants of a lone pass stay in registers over all rows.
        let hoisted = layouts.len() == 1;
        if hoisted {
            let prog = self.lower(isa, &self.desc.passes[0]);
            pin_constants(isa, &prog, &layouts[0]);
        }
        each_unit(isa, self.begin, self.end, |isa| {
            for (i, layout) in layouts.iter().enumerate() {
                self.pass(isa, i, layout, hoisted);
            }
            self.next_row(isa);
        });
    }

    /// Saves the arguments and moves all pointers to the first row.
    fn enter(&mut self, isa: &mut dyn VectorIsa) {
        let (outputs, inputs, begin, end, cols) = (Gpr(0), Gpr(1), Gpr(2), Gpr(3), Gpr(4));
        isa.store_slot(self.begin, begin);
        isa.store_slot(self.end, end);
        if let Dim::Known(n) = self.desc.cols {
            isa.mov(cols, Src::Imm(n as i64));
        }
        isa.store_slot(self.cols, cols);
        let (p, t) = (Gpr(5), Gpr(6));
        for i in 0..self.pointers.len() {
            let n = self.desc.inputs.len();
            let from = if i < n { Mem::new(inputs, 8 * i as i32) } else { Mem::new(outputs, 8 * (i - n) as i32) };
            isa.load_int(p, from);
            match self.operand(i).stride {
                Stride::Elements(s) => isa.mul(t, begin, Src::Imm((self.operand(i).element.bytes() * s) as i64)),
                Stride::Cols => {
                    isa.mul(t, begin, Src::Reg(cols));
                    if self.operand(i).element == Element::F32 {
                        isa.shl(t, t, 2);
                    }
                }
            }
            isa.add(p, p, Src::Reg(t));
            isa.store_slot(self.pointers[i], p);
        }
    }

    fn next_row(&self, isa: &mut dyn VectorIsa) {
        let (p, cols, step) = (Gpr(0), Gpr(1), Gpr(2));
        isa.load_slot(cols, self.cols);
        isa.shl(step, cols, 2);
        for (i, &slot) in self.pointers.iter().enumerate() {
            let bytes = self.operand(i).element.bytes();
            let by = match self.operand(i).stride {
                Stride::Elements(0) => continue,
                Stride::Elements(s) => Src::Imm((bytes * s) as i64),
                Stride::Cols => Src::Reg(if bytes == 1 { cols } else { step }),
            };
            isa.load_slot(p, slot);
            isa.add(p, p, by);
            isa.store_slot(slot, p);
        }
    }

    fn pass(&mut self, isa: &mut dyn VectorIsa, index: usize, layout: &Layout, hoisted: bool) {
        let pass = &self.desc.passes[index];
        let prog = self.lower(isa, pass);
        while self.spills.len() < layout.plan.slots {
            self.spills.push(isa.vslot());
        }
        if !hoisted {
            pin_constants(isa, &prog, layout);
        }
        self.pin_rows(isa, &prog, layout);
        if let Some(r) = &pass.reduce {
            layout.sums.iter().for_each(|&s| isa.splat(s, identity(r.op)));
        }
        let mut gprs = Gprs::all(isa.info().gprs);
        let regs = self.loop_registers(isa, &mut gprs, pass, &prog);
        match self.desc.cols {
            Dim::Known(columns) if is_cascade(isa, pass) => {
                CascadeSum { pass, layout, regs: &regs, columns }.emit(self, isa, &mut gprs);
            }
            _ => self.columns(isa, &mut gprs, pass, layout, &regs),
        }
        if let Some(r) = &pass.reduce {
            self.finish(isa, index, r, layout);
        }
    }

    /// Row values and splat inputs that the pass reads in every column.
    fn pin_rows(&self, isa: &mut dyn VectorIsa, prog: &Prog, layout: &Layout) {
        for &(value, reg) in &layout.pinned {
            match prog.inst(value) {
                crate::prog::Inst::Leaf(Leaf::Row(k)) => self.load_row(isa, *k, reg),
                crate::prog::Inst::Leaf(Leaf::Input(k)) => {
                    isa.load_slot(Gpr(0), self.pointers[*k as usize]);
                    isa.load_splat(reg, Mem::new(Gpr(0), 0));
                }
                _ => {}
            }
        }
    }

    fn load_row(&self, isa: &mut dyn VectorIsa, k: u16, d: V) {
        if k == COLUMNS {
            isa.load_slot(Gpr(0), self.cols);
            isa.splat_int(d, Gpr(0));
        } else {
            isa.reload(d, self.rows[k as usize]);
        }
    }

    fn loop_registers(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, pass: &Pass, prog: &Prog) -> Loop {
        let (x, spare) = (gprs.take(), gprs.take());
        let inputs = self.desc.inputs.len();
        let has_bytes = (0..self.pointers.len()).any(|i| self.operand(i).element != Element::F32);
        let column = has_bytes.then(|| gprs.take());
        let mut used = vec![false; self.pointers.len()];
        prog.leaves().for_each(|l| {
            if let Leaf::Input(k) = l {
                used[k as usize] = true;
            }
        });
        pass.stores.iter().for_each(|s| used[inputs + s] = true);
        let mut pointers = vec![None; used.len()];
        for i in (0..used.len()).filter(|&i| used[i]).take(MAX_POINTERS) {
            let r = gprs.take();
            isa.load_slot(r, self.pointers[i]);
            pointers[i] = Some(r);
        }
        [Some(x), column].into_iter().flatten().for_each(|r| isa.mov(r, Src::Imm(0)));
        Loop { x, column, pointers, spare }
    }

    /// Whole groups of vectors, whole vectors, and the columns that remain.
    fn columns(&mut self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, pass: &Pass, layout: &Layout, regs: &Loop) {
        let lanes = isa.info().lanes;
        let unroll = layout.sums.len().max(layout.copies);
        match self.desc.cols {
            Dim::Known(n) => {
                let vectors = n / lanes;
                self.known_loop(isa, gprs, pass, layout, regs, vectors / unroll, unroll);
                self.known_loop(isa, gprs, pass, layout, regs, vectors % unroll, 1);
                if n % lanes > 0 {
                    self.tail(isa, pass, layout, regs, 0, Src::Imm((n % lanes) as i64));
                }
            }
            Dim::Argument => {
                if unroll > 1 {
                    self.counted_loop(isa, gprs, pass, layout, regs, unroll);
                }
                self.counted_loop(isa, gprs, pass, layout, regs, 1);
                let (rest, done) = (gprs.take(), isa.label());
                isa.load_slot(rest, self.cols);
                isa.shr(regs.spare, regs.x, 2);
                isa.sub(rest, rest, Src::Reg(regs.spare));
                isa.branch(Cond::Le, rest, Src::Imm(0), done);
                self.tail(isa, pass, layout, regs, 0, Src::Reg(rest));
                isa.bind(done);
                gprs.give(rest);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of a pass, and how often to turn")]
    fn known_loop(
        &mut self,
        isa: &mut dyn VectorIsa,
        gprs: &mut Gprs,
        pass: &Pass,
        layout: &Layout,
        regs: &Loop,
        turns: usize,
        unroll: usize,
    ) {
        super::contraction::repeat(isa, gprs, turns, |isa, _, _| self.vectors(isa, pass, layout, regs, 0, unroll));
    }

    /// Turns as long as `unroll` vectors remain of a run-time number of columns.
    fn counted_loop(
        &mut self,
        isa: &mut dyn VectorIsa,
        gprs: &mut Gprs,
        pass: &Pass,
        layout: &Layout,
        regs: &Loop,
        unroll: usize,
    ) {
        let (limit, top, done) = (gprs.take(), isa.label(), isa.label());
        isa.load_slot(limit, self.cols);
        isa.sub(limit, limit, Src::Imm((unroll * isa.info().lanes) as i64));
        isa.shl(limit, limit, 2);
        isa.branch(Cond::Lt, limit, Src::Reg(regs.x), done);
        isa.bind(top);
        self.vectors(isa, pass, layout, regs, 0, unroll);
        isa.branch(Cond::Le, regs.x, Src::Reg(limit), top);
        isa.bind(done);
        gprs.give(limit);
    }

    /// The next `count` vectors of columns; the i-th is reduced into accumulator `sum + i`.
    pub(super) fn vectors(&self, isa: &mut dyn VectorIsa, pass: &Pass, layout: &Layout, regs: &Loop, sum: usize, count: usize) {
        let lanes = isa.info().lanes;
        for first in (0..count).step_by(layout.copies) {
            let group = first..count.min(first + layout.copies);
            let at = |i: usize| i * lanes;
            let outs: Vec<Vec<V>> = group.clone().map(|i| self.evaluate(isa, layout, regs, at(i), i - first, None)).collect();
            group.zip(&outs).for_each(|(i, outs)| self.keep(isa, pass, layout, regs, at(i), sum + i, outs, None));
        }
        self.advance(isa, regs, count * lanes);
    }

    /// Moves on by so many columns.
    pub(super) fn advance(&self, isa: &mut dyn VectorIsa, regs: &Loop, columns: usize) {
        isa.add(regs.x, regs.x, Src::Imm((4 * columns) as i64));
        if let Some(column) = regs.column {
            isa.add(column, column, Src::Imm(columns as i64));
        }
    }

    /// The next columns, fewer than a vector has; they are reduced into accumulator `sum`.
    pub(super) fn tail(&self, isa: &mut dyn VectorIsa, pass: &Pass, layout: &Layout, regs: &Loop, sum: usize, count: Src) {
        let tail = isa.make_tail(count, layout.mask);
        let outs = self.evaluate(isa, layout, regs, 0, 0, Some(&tail));
        self.keep(isa, pass, layout, regs, 0, sum, &outs, Some(&tail));
    }

    /// The results for one vector of columns, the `column`-th from the loop's on, in the `copy`-th set of temporaries.
    fn evaluate(
        &self,
        isa: &mut dyn VectorIsa,
        layout: &Layout,
        regs: &Loop,
        column: usize,
        copy: usize,
        tail: Option<&Tail>,
    ) -> Vec<V> {
        let mut fetch = |isa: &mut dyn VectorIsa, leaf: Leaf, d: V| match leaf {
            Leaf::Input(k) => {
                let base = self.base(isa, regs, k as usize);
                let operand = self.operand(k as usize);
                match operand.splat {
                    true => isa.load_splat(d, Mem::new(base, 0)),
                    false => numbers::load(isa, operand.element, d, place(base, regs, operand.element, column), tail),
                }
            }
            Leaf::Row(COLUMNS) => {
                isa.load_slot(regs.spare, self.cols);
                isa.splat_int(d, regs.spare);
            }
            Leaf::Row(k) => isa.reload(d, self.rows[k as usize]),
            Leaf::Acc => {}
        };
        layout.plan.emit(isa, &layout.copy(copy), &self.spills, &mut fetch)
    }

    /// Stores results of one vector, the `column`-th from the loop's on, and reduces the last into accumulator `sum`.
    #[expect(clippy::too_many_arguments, reason = "the state of a pass, and one place in it")]
    fn keep(
        &self,
        isa: &mut dyn VectorIsa,
        pass: &Pass,
        layout: &Layout,
        regs: &Loop,
        column: usize,
        sum: usize,
        outs: &[V],
        tail: Option<&Tail>,
    ) {
        for (&store, &v) in pass.stores.iter().zip(outs) {
            let base = self.base(isa, regs, self.desc.inputs.len() + store);
            let element = self.desc.outputs[store].element;
            numbers::store(isa, element, place(base, regs, element, column), v, tail);
        }
        if let (Some(r), Some(&v)) = (&pass.reduce, outs.get(pass.stores.len())) {
            let v = match tail {
                Some(t) => fill(isa, r.op, v, layout, t),
                None => v,
            };
            combine(isa, r.op, layout.sums[sum], v, layout.spare[0]);
        }
    }

    /// The pointer of operand `i`, from its register or its slot.
    fn base(&self, isa: &mut dyn VectorIsa, regs: &Loop, i: usize) -> Gpr {
        regs.pointers[i].unwrap_or_else(|| {
            isa.load_slot(regs.spare, self.pointers[i]);
            regs.spare
        })
    }

    /// Joins the accumulators, reduces the lanes, applies the finish and keeps the result.
    fn finish(&mut self, isa: &mut dyn VectorIsa, index: usize, r: &Reduction, layout: &Layout) {
        let [first, others @ ..] = &layout.sums[..] else { return };
        if !is_cascade(isa, &self.desc.passes[index]) {
            others.iter().for_each(|&o| combine(isa, r.op, *first, o, layout.spare[0]));
            isa.reduce(r.op, *first, *first, layout.spare);
        }
        let prog = math::lower(&r.finish, isa.info().arithmetic);
        let vregs: Vec<V> = (0..isa.info().vregs as u8).map(V).filter(|v| v != first).collect();
        let mut regs = vec![*first];
        // Pinned constants of a lone pass must survive.
        regs.extend(vregs.into_iter().filter(|v| layout.pinned.iter().all(|(_, p)| p != v)));
        let given: Vec<(Val, u8)> = prog.leaf(Leaf::Acc).map(|v| (v, 0)).into_iter().collect();
        let plan = prog.allocate(regs.len(), &given);
        while self.spills.len() < plan.slots {
            self.spills.push(isa.vslot());
        }
        let mut fetch = |isa: &mut dyn VectorIsa, leaf: Leaf, d: V| {
            if let Leaf::Row(k) = leaf {
                self.load_row(isa, k, d);
            }
        };
        let out = plan.emit(isa, &regs, &self.spills, &mut fetch)[0];
        isa.spill(self.rows[index], out);
        if let Some(s) = r.store {
            isa.load_slot(Gpr(0), self.pointers[self.desc.inputs.len() + s]);
            isa.store_lane0(Mem::new(Gpr(0), 0), out);
        }
    }
}

/// The address of the `column`-th column from the loop's on.
fn place(base: Gpr, regs: &Loop, element: Element, column: usize) -> Mem {
    let disp = (element.bytes() * column) as i32;
    match (element, regs.column) {
        (Element::F32, _) | (_, None) => Mem::indexed(base, regs.x, disp),
        (_, Some(at)) => Mem::indexed(base, at, disp),
    }
}

/// A copy of `v` whose lanes beyond the tail do not matter to the reduction.
fn fill(isa: &mut dyn VectorIsa, op: ReduceOp, v: V, layout: &Layout, tail: &Tail) -> V {
    let [copy, neutral] = layout.spare;
    isa.vmov(copy, v);
    isa.splat(neutral, identity(op));
    isa.fill_tail(copy, neutral, tail);
    // `combine` takes spare[0] for itself.
    isa.vmov(neutral, copy);
    neutral
}

/// Whether a pass sums in an order that does not depend on the ISA.
fn is_cascade(isa: &dyn VectorIsa, pass: &Pass) -> bool {
    isa.info().arithmetic.strict && pass.reduce.as_ref().is_some_and(|r| r.op == ReduceOp::Sum)
}

/// Most accumulators of a reduction; enough to hide the latency of an addition.
const MAX_SUMS: usize = 4;

fn pin_constants(isa: &mut dyn VectorIsa, prog: &Prog, layout: &Layout) {
    for &(value, reg) in &layout.pinned {
        if let crate::prog::Inst::Const(bits) = prog.inst(value) {
            isa.splat(reg, *bits);
        }
    }
}
