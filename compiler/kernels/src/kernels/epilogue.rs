//! Epilogues: an expression applied to accumulators in registers before they are stored.
//!
//! Inputs are addressed by the row and column of C: each has a constant row stride and is either contiguous along
//! columns or one value per row. A bias per channel is contiguous with row stride 0; a residual has the row stride of its
//! tensor; a scalar is one value with row stride 0.

use crate::bytes;
use crate::isa::{Cond, Element, EmitError, Gpr, Mem, Slot, Src, Tail, UnOp, V, VSlot, VectorIsa};
use crate::kernels::numbers::{Numbers, load, store};
use crate::kernels::registers::Gprs;
use crate::prog::{Inst, Plan, Prog};
use crate::vexpr::{Binary, Leaf, Node, NodeId, VExpr};

/// How an input of an epilogue or map is addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InputDesc {
    /// Elements from one row to the next; 0 repeats the row.
    pub row_stride: usize,
    /// One value per row, for all columns; of f32 only.
    pub splat: bool,
    /// Their type in memory.
    pub element: Element,
}

impl InputDesc {
    /// One value per column, the same for all rows: a bias.
    pub const PER_CHANNEL: InputDesc = InputDesc { row_stride: 0, splat: false, element: Element::F32 };
    /// One value for all.
    pub const SCALAR: InputDesc = InputDesc { row_stride: 0, splat: true, element: Element::F32 };

    /// A tensor of the shape of the output.
    pub fn full(row_stride: usize) -> Self {
        InputDesc { row_stride, splat: false, element: Element::F32 }
    }
}

/// What happens to an accumulator before it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epilogue {
    /// One result over `Acc` and the inputs.
    pub expr: VExpr,
    /// The inputs, in the order of the pointer table.
    pub inputs: Vec<InputDesc>,
    /// The type of the results in memory. Where it is bytes, the expression gives whole numbers in their range, or what rounds to them.
    pub out: Element,
}

impl Epilogue {
    /// Stores the accumulator as it is.
    pub fn none() -> Self {
        Epilogue { expr: VExpr::identity(), inputs: Vec::new(), out: Element::F32 }
    }

    /// Checks the expression against the inputs.
    ///
    /// # Errors
    /// Unsupported with what is wrong, or if there are more inputs than pointer registers.
    pub fn check(&self) -> Result<(), EmitError> {
        self.expr.check(true, self.inputs.len(), 0).map_err(EmitError::Unsupported)?;
        if self.expr.roots().len() != 1 {
            return Err(EmitError::Unsupported("an epilogue with other than one result".into()));
        }
        if self.inputs.len() > MAX_INPUTS {
            return Err(EmitError::Unsupported(format!("an epilogue with {} inputs", self.inputs.len())));
        }
        if self.out == Element::I32 && self.expr != VExpr::identity() {
            return Err(EmitError::Unsupported("integers that something is computed of".into()));
        }
        if self.inputs.iter().any(|i| i.splat && i.element != Element::F32 || i.element == Element::I32) {
            return Err(EmitError::Unsupported("one byte for all columns".into()));
        }
        self.inputs.iter().try_for_each(|i| super::check_size("row stride", &[i.row_stride, 16]))
    }
}

impl Epilogue {
    /// The epilogue without the sum of the accumulator and an input of one value per column, and that input: an accumulator may
    /// begin with it as well. None if there is no such sum, or the accumulator is used elsewhere, too.
    pub fn split_bias(&self) -> Option<(VExpr, usize)> {
        let nodes = self.expr.nodes();
        let acc = nodes.iter().position(|n| *n == Node::Leaf(Leaf::Acc))?;
        let bias = |other: NodeId| match nodes[other.0 as usize] {
            Node::Leaf(Leaf::Input(k)) if self.inputs[k as usize] == InputDesc::PER_CHANNEL => Some(k as usize),
            _ => None,
        };
        let is_acc = |n: NodeId| n.0 as usize == acc;
        let found = nodes.iter().enumerate().find_map(|(at, node)| match *node {
            Node::Binary(Binary::Add, a, b) if is_acc(a) => bias(b).map(|k| (at, k)),
            Node::Binary(Binary::Add, a, b) if is_acc(b) => bias(a).map(|k| (at, k)),
            _ => None,
        });
        let (sum, k) = found?;
        self.expr.replaced(NodeId(sum as u32), NodeId(acc as u32)).map(|expr| (expr, k))
    }
}

/// Instructions for one vector from which on an expression is a loop of its own.
const LONG: usize = 6;

/// Most inputs of an epilogue: each has a pointer register while a tile is stored.
pub const MAX_INPUTS: usize = 8;

/// Where in C a tile lies: slots that hold row and column, and where C and the inputs are.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// Address of the tile's first element of C.
    pub c: Slot,
    /// First row (for inputs).
    pub row: Slot,
    /// First column in bytes of f32 (for inputs).
    pub col: Slot,
    /// The pointer table.
    pub inputs: Slot,
    /// Where the tile's sums are saved, if they are not stored at once ([`EpilogueEmitter::saved_sums`]).
    pub sums: Option<VSlot>,
}

/// Bytes from one row to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowStep {
    /// So many.
    Bytes(i64),
    /// As many as the slot says.
    Slot(Slot),
}

impl RowStep {
    /// `p += step`; `t` is clobbered.
    pub fn advance(self, isa: &mut dyn VectorIsa, p: Gpr, t: Gpr) {
        match self {
            RowStep::Bytes(n) => isa.add(p, p, Src::Imm(n)),
            RowStep::Slot(s) => {
                isa.load_slot(t, s);
                isa.add(p, p, Src::Reg(t));
            }
        }
    }
}

/// Which columns of a tile exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileCols {
    /// All.
    All,
    /// All but in the last vector, which has so many (at least one).
    Tail(usize),
    /// As many as the slot says, at least one.
    Slot(Slot),
}

/// Emits one epilogue for tiles of any shape.
pub struct EpilogueEmitter {
    pub(super) prog: Prog,
    pub(super) inputs: Vec<InputDesc>,
    out: Element,
    /// Whether accumulators are integers that become f32.
    is_integer: bool,
    c_row: RowStep,
    /// Registers an unhurried evaluation needs, the accumulator's included.
    wanted: usize,
    pub(super) spills: Vec<VSlot>,
    parked: Vec<VSlot>,
}

/// Pointers into C and the inputs while a tile is stored.
pub(super) struct Pointers {
    c: Gpr,
    pub(super) scratch: Gpr,
    inputs: Vec<Option<Gpr>>,
}

/// Bytes of a row that wait for their neighbours, to be stored together: two vectors, or four if there are as many.
#[derive(Clone, Copy, Default)]
pub(super) enum Waiting {
    #[default]
    Nothing,
    /// The lanes of one vector.
    Lanes(V),
    /// Two vectors as words.
    Words(V),
    /// Two vectors as words, and the lanes of the next.
    Both(V, V),
}

impl Waiting {
    /// The registers that it takes.
    pub fn registers(self) -> Vec<V> {
        match self {
            Waiting::Nothing => Vec::new(),
            Waiting::Lanes(v) | Waiting::Words(v) => vec![v],
            Waiting::Both(words, lanes) => vec![words, lanes],
        }
    }
}

/// What the expression is evaluated with.
#[derive(Clone, Copy)]
pub(super) struct Registers<'a> {
    /// How.
    pub plan: &'a Plan,
    /// Those that it may clobber, beside the accumulator's.
    pub free: &'a [V],
    /// Those of what is kept.
    pub pinned: &'a [V],
}

impl EpilogueEmitter {
    /// For `epilogue` over sums of these numbers, and a C with rows `c_row` apart.
    pub fn new(isa: &dyn VectorIsa, numbers: Numbers, epilogue: &Epilogue, c_row: RowStep) -> Self {
        let prog = bytes::lower(&epilogue.expr, &[epilogue.out], isa.info().arithmetic);
        let wanted = prog.allocate(64, &given(&prog)).regs_used.max(4);
        EpilogueEmitter {
            prog,
            inputs: epilogue.inputs.clone(),
            out: epilogue.out,
            is_integer: numbers.is_integer() && epilogue.out != Element::I32,
            c_row,
            wanted,
            spills: Vec::new(),
            parked: Vec::new(),
        }
    }

    /// Whether it takes so many instructions for each vector that tiles should share them.
    pub fn is_long(&self) -> bool {
        let conversions = if self.is_integer { 2 } else { 0 } + if self.out.bytes() == 1 { 2 } else { 0 };
        self.prog.operations() + conversions >= LONG
    }

    /// The type of the results in memory.
    pub fn out(&self) -> Element {
        self.out
    }

    /// Applies the expression to the accumulators `acc[row][vector]` and stores them. `free` are registers of no more use,
    /// `gprs` likewise.
    pub fn store(
        &mut self,
        isa: &mut dyn VectorIsa,
        gprs: &Gprs,
        at: &Position,
        acc: &[Vec<V>],
        mut free: Vec<V>,
        cols: TileCols,
    ) {
        let mask = (cols != TileCols::All).then(|| free.pop().expect("tiles leave registers beside the accumulators"));
        let fixed = match (cols, mask) {
            (TileCols::Tail(n), Some(mask)) => Some(isa.make_tail(Src::Imm(n as i64), mask)),
            _ => None,
        };
        let flat: Vec<V> = acc.iter().flatten().copied().collect();
        let parked = self.park(isa, &flat, &mut free);
        let (pinned, plan) = self.pin_constants(isa, &mut free);
        let limit = (free.len() + 1).min(self.wanted);
        reserve(isa, &mut self.spills, plan.slots);
        let pointers = self.pointers(isa, &mut gprs.clone(), at);
        let nv = acc[0].len();
        let (first_parked, mut waiting) = (flat.len() - parked, Waiting::default());
        for (i, &a) in flat.iter().enumerate() {
            let (row, j) = (i / nv, i % nv);
            if row > 0 && j == 0 {
                self.next_row(isa, &pointers);
            }
            let a = if i < first_parked {
                a
            } else {
                let r = free.pop().expect("a stored accumulator left its register");
                isa.reload(r, self.parked[i - first_parked]);
                r
            };
            let tail = match (cols, mask) {
                (TileCols::Slot(valid), Some(mask)) => Some(vector_tail(isa, valid, j, pointers.scratch, mask)),
                _ => fixed.filter(|_| j + 1 == nv),
            };
            let registers = Registers { plan: &plan, free: &free[..limit - 1], pinned: &pinned };
            let out = self.one(isa, registers, &pointers, a, j, tail.as_ref());
            // The next vector takes other registers, as far as there are.
            free.rotate_left(limit - 1);
            free.push(a);
            free.extend(waiting.registers());
            // The next vectors are in the same row, have all lanes, and registers to be computed in beside what waits.
            let whole = if cols == TileCols::All { nv } else { nv - 1 };
            let room = (free.len() + 1).saturating_sub(limit + usize::from(parked > 0));
            let ahead = whole.saturating_sub(j + 1).min(room);
            self.put(isa, &pointers, j, out, &mut waiting, ahead, tail.as_ref());
            free.retain(|v| !waiting.registers().contains(v));
        }
    }

    /// Stores vector `j` of a row. Bytes wait until they are stored together with those of the vectors that follow: `ahead` come that may be stored
    /// with this one.
    #[expect(clippy::too_many_arguments, reason = "what, where, and how much of it")]
    pub(super) fn put(
        &self,
        isa: &mut dyn VectorIsa,
        p: &Pointers,
        j: usize,
        out: V,
        waiting: &mut Waiting,
        ahead: usize,
        tail: Option<&Tail>,
    ) {
        let (signed, vector) = (self.out == Element::I8, (isa.info().lanes * self.out.bytes()) as i32);
        let m = Mem::new(p.c, j as i32 * vector);
        *waiting = match *waiting {
            Waiting::Nothing if ahead > 0 && self.out.bytes() == 1 => Waiting::Lanes(out),
            Waiting::Nothing => {
                store(isa, self.out, m, out, tail);
                Waiting::Nothing
            }
            Waiting::Lanes(first) => {
                isa.pack_words(first, first, out);
                if ahead > 1 {
                    Waiting::Words(first)
                } else {
                    isa.store_words(m.plus(-vector), &[first], signed, out);
                    Waiting::Nothing
                }
            }
            Waiting::Words(words) => Waiting::Both(words, out),
            Waiting::Both(words, first) => {
                isa.pack_words(first, first, out);
                isa.store_words(m.plus(-3 * vector), &[words, first], signed, out);
                Waiting::Nothing
            }
        };
    }

    /// Takes registers that the expression can do without for its constants, and plans it with what is left.
    fn pin_constants(&self, isa: &mut dyn VectorIsa, free: &mut Vec<V>) -> (Vec<V>, Plan) {
        let constants = self.prog.constants();
        let spare = (free.len() + 1).saturating_sub(self.wanted);
        let count = spare.min(constants.len());
        let pinned = free.split_off(free.len() - count);
        let limit = (free.len() + 1).min(self.wanted);
        let mut given = given(&self.prog);
        for (i, (&v, &register)) in constants.iter().zip(&pinned).enumerate() {
            given.push((v, (limit + i) as u8));
            if let Inst::Const(bits) = self.prog.inst(v) {
                isa.splat(register, *bits);
            }
        }
        (pinned, self.prog.allocate(limit, &given))
    }

    /// Saves the last accumulators to the frame until the expression has the registers it wants.
    fn park(&mut self, isa: &mut dyn VectorIsa, flat: &[V], free: &mut Vec<V>) -> usize {
        let missing = (self.wanted - 1).saturating_sub(free.len()).min(flat.len() - 1);
        reserve(isa, &mut self.parked, missing);
        for (i, &v) in flat[flat.len() - missing..].iter().enumerate() {
            isa.spill(self.parked[i], v);
            free.push(v);
        }
        missing
    }

    pub(super) fn pointers(&self, isa: &mut dyn VectorIsa, gprs: &mut Gprs, at: &Position) -> Pointers {
        let c = gprs.take();
        isa.load_slot(c, at.c);
        let used: Vec<bool> = (0..self.inputs.len()).map(|k| self.prog.leaf(Leaf::Input(k as u16)).is_some()).collect();
        let regs: Vec<Option<Gpr>> = used.iter().map(|&u| u.then(|| gprs.take())).collect();
        let (table, t) = (gprs.take(), gprs.take());
        if used.contains(&true) {
            isa.load_slot(table, at.inputs);
        }
        for (k, r) in regs.iter().enumerate() {
            let Some(r) = *r else { continue };
            isa.load_int(r, Mem::new(table, 8 * k as i32));
            let bytes = self.inputs[k].element.bytes();
            if self.inputs[k].row_stride > 0 {
                isa.load_slot(t, at.row);
                isa.mul(t, t, Src::Imm((bytes * self.inputs[k].row_stride) as i64));
                isa.add(r, r, Src::Reg(t));
            }
            if !self.inputs[k].splat {
                isa.load_slot(t, at.col);
                if bytes == 1 {
                    isa.shr(t, t, 2);
                }
                isa.add(r, r, Src::Reg(t));
            }
        }
        Pointers { c, scratch: t, inputs: regs }
    }

    pub(super) fn next_row(&self, isa: &mut dyn VectorIsa, p: &Pointers) {
        self.c_row.advance(isa, p.c, p.scratch);
        for (desc, r) in self.inputs.iter().zip(&p.inputs) {
            if let (Some(r), true) = (*r, desc.row_stride > 0) {
                isa.add(r, r, Src::Imm((desc.element.bytes() * desc.row_stride) as i64));
            }
        }
    }

    /// The results of one vector, `j`-th of its row: in the accumulator's register or in a free one.
    pub(super) fn one(&self, isa: &mut dyn VectorIsa, r: Registers, p: &Pointers, a: V, j: usize, tail: Option<&Tail>) -> V {
        if self.is_integer {
            isa.unary(UnOp::ToFloat, a, a);
        }
        let regs = [&[a], r.free, r.pinned].concat();
        let mut fetch = |isa: &mut dyn VectorIsa, leaf: Leaf, d: V| self.fetch(isa, p, leaf, d, j, tail);
        r.plan.emit(isa, &regs, &self.spills, &mut fetch)[0]
    }

    /// Loads an input for vector `j` of a row.
    pub(super) fn fetch(&self, isa: &mut dyn VectorIsa, p: &Pointers, leaf: Leaf, d: V, j: usize, tail: Option<&Tail>) {
        let Leaf::Input(k) = leaf else { return };
        let (Some(base), input) = (p.inputs[k as usize], self.inputs[k as usize]) else { return };
        let at = j * isa.info().lanes * input.element.bytes();
        match input.splat {
            true => isa.load_splat(d, Mem::new(base, 0)),
            false => load(isa, input.element, d, Mem::new(base, at as i32), tail),
        }
    }
}

/// The lanes of vector `j` among the first `valid` columns of a tile.
pub(super) fn vector_tail(isa: &mut dyn VectorIsa, valid: Slot, j: usize, count: Gpr, mask: V) -> Tail {
    let lanes = isa.info().lanes as i64;
    isa.load_slot(count, valid);
    isa.sub(count, count, Src::Imm(j as i64 * lanes));
    let (not_many, some) = (isa.label(), isa.label());
    isa.branch(Cond::Le, count, Src::Imm(lanes), not_many);
    isa.mov(count, Src::Imm(lanes));
    isa.bind(not_many);
    isa.branch(Cond::Ge, count, Src::Imm(0), some);
    isa.mov(count, Src::Imm(0));
    isa.bind(some);
    isa.make_tail(Src::Reg(count), mask)
}

pub(super) fn reserve(isa: &mut dyn VectorIsa, slots: &mut Vec<VSlot>, count: usize) {
    while slots.len() < count {
        slots.push(isa.vslot());
    }
}

/// The accumulator, if the expression reads it, is in register 0.
pub(super) fn given(prog: &Prog) -> Vec<(crate::prog::Val, u8)> {
    prog.leaf(Leaf::Acc).map(|v| (v, 0)).into_iter().collect()
}
