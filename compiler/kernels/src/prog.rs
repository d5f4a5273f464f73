//! Straight-line programs over virtual vector registers, and their assignment to real ones by linear scan.
//!
//! A [`Prog`] is SSA: instruction `i` defines value `i`, operands come before users, equal instructions are shared.
//! [`Prog::allocate`] gives a [`Plan`] over registers `0..n`; constants and leaves are fetched where they are first needed and
//! dropped rather than spilled (they can be fetched again), everything else is spilled by furthest next use.
//! [`Plan::emit`] writes the plan with any mapping of its registers, so one plan serves every vector of a tile.

use crate::isa::{BinOp, CmpOp, UnOp, V, VSlot, VectorIsa};
use crate::vexpr::Leaf;
use std::collections::HashMap;

/// A value of a [`Prog`]: the index of its instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Val(pub u32);

/// A machine-level vector operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inst {
    /// A value from outside.
    Leaf(Leaf),
    /// 32 bits in every lane.
    Const(u32),
    /// One operand.
    Un(UnOp, Val),
    /// Two operands.
    Bin(BinOp, Val, Val),
    /// `c + a b`, or `c - a b` if `negate`.
    Fma {
        /// Subtract the product.
        negate: bool,
        /// Factor.
        a: Val,
        /// Factor.
        b: Val,
        /// Addend.
        c: Val,
    },
    /// A comparison.
    Cmp(CmpOp, Val, Val),
    /// `mask ? a : b`
    Select(Val, Val, Val),
}

impl Inst {
    fn operands(&self) -> Vec<Val> {
        match *self {
            Inst::Leaf(_) | Inst::Const(_) => vec![],
            Inst::Un(_, a) => vec![a],
            Inst::Bin(_, a, b) | Inst::Cmp(_, a, b) => vec![a, b],
            Inst::Fma { a, b, c, .. } | Inst::Select(a, b, c) => vec![a, b, c],
        }
    }

    fn map(self, f: impl Fn(Val) -> Val) -> Inst {
        match self {
            Inst::Leaf(_) | Inst::Const(_) => self,
            Inst::Un(op, a) => Inst::Un(op, f(a)),
            Inst::Bin(op, a, b) => Inst::Bin(op, f(a), f(b)),
            Inst::Cmp(op, a, b) => Inst::Cmp(op, f(a), f(b)),
            Inst::Fma { negate, a, b, c } => Inst::Fma { negate, a: f(a), b: f(b), c: f(c) },
            Inst::Select(m, a, b) => Inst::Select(f(m), f(a), f(b)),
        }
    }

    /// Can be fetched again at any time.
    fn is_fetch(&self) -> bool {
        matches!(self, Inst::Leaf(_) | Inst::Const(_))
    }
}

/// A straight-line program.
#[derive(Clone, Debug, Default)]
pub struct Prog {
    insts: Vec<Inst>,
    index: HashMap<Inst, Val>,
    /// The results.
    pub outs: Vec<Val>,
}

impl Prog {
    /// Adds an instruction, or gives the equal one.
    pub fn push(&mut self, inst: Inst) -> Val {
        if let Some(&v) = self.index.get(&inst) {
            return v;
        }
        let v = Val(self.insts.len() as u32);
        self.insts.push(inst);
        self.index.insert(inst, v);
        v
    }

    /// The instruction that defines `v`.
    pub fn inst(&self, v: Val) -> &Inst {
        &self.insts[v.0 as usize]
    }

    /// All instructions, in order.
    #[cfg(test)]
    pub fn insts(&self) -> &[Inst] {
        &self.insts
    }

    /// The value of a leaf, if the program reads it.
    pub fn leaf(&self, leaf: Leaf) -> Option<Val> {
        self.index.get(&Inst::Leaf(leaf)).copied()
    }

    /// All leaves read.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf> + '_ {
        self.insts.iter().filter_map(|i| match i {
            Inst::Leaf(l) => Some(*l),
            _ => None,
        })
    }

    /// Instructions, fetches not counted.
    pub fn operations(&self) -> usize {
        self.insts.iter().filter(|i| !i.is_fetch()).count()
    }

    /// Constants with the number of uses of each, most used first.
    pub fn constants(&self) -> Vec<Val> {
        let mut uses: Vec<(usize, Val)> = (0..self.insts.len())
            .filter(|&i| matches!(self.insts[i], Inst::Const(_)))
            .map(|i| (self.insts.iter().filter(|x| x.operands().contains(&Val(i as u32))).count(), Val(i as u32)))
            .collect();
        uses.sort_by_key(|&(n, v)| (usize::MAX - n, v));
        uses.into_iter().map(|(_, v)| v).collect()
    }

    /// Removes what no result needs.
    pub fn drop_dead(&mut self) {
        let mut live = vec![false; self.insts.len()];
        for o in &self.outs {
            live[o.0 as usize] = true;
        }
        for i in (0..self.insts.len()).rev() {
            if live[i] {
                self.insts[i].operands().iter().for_each(|o| live[o.0 as usize] = true);
            }
        }
        let old = std::mem::take(&mut self.insts);
        self.index.clear();
        let mut renamed = vec![Val(0); old.len()];
        for (i, inst) in old.into_iter().enumerate().filter(|(i, _)| live[*i]) {
            renamed[i] = self.push(inst.map(|v| renamed[v.0 as usize]));
        }
        self.outs.iter_mut().for_each(|o| *o = renamed[o.0 as usize]);
    }

    /// Assigns registers `0..regs` (at least 4). `given` values are in the stated registers at entry: those below `regs`
    /// may be overwritten after their last use, those from `regs` on are kept.
    pub fn allocate(&self, regs: usize, given: &[(Val, u8)]) -> Plan {
        let mut scan = Scan::new(self, regs, given);
        for i in 0..self.insts.len() {
            scan.instruction(i);
        }
        scan.finish()
    }

    /// Registers needed to run without spills when the values `given` are held outside and kept.
    pub fn pressure(&self, given: &[Val]) -> usize {
        let kept: Vec<(Val, u8)> = given.iter().enumerate().map(|(i, &v)| (v, 64 + i as u8)).collect();
        self.allocate(64, &kept).regs_used
    }
}

/// One step of a [`Plan`]; registers are positions in the mapping given to [`Plan::emit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Fetch(u8, Leaf),
    Const(u8, u32),
    Spill(u8, u8),
    Reload(u8, u8),
    Un(UnOp, u8, u8),
    Bin(BinOp, u8, u8, u8),
    Fma(bool, u8, u8, u8, u8),
    Cmp(CmpOp, u8, u8, u8),
    Select(u8, u8, u8, u8),
}

/// A program with registers assigned.
#[derive(Clone, Debug)]
pub struct Plan {
    steps: Vec<Step>,
    /// Where the results are at the end.
    pub outs: Vec<u8>,
    /// One more than the largest register used below the limit given.
    pub regs_used: usize,
    /// Vector slots needed.
    pub slots: usize,
}

impl Plan {
    /// Writes the plan. `regs` maps its registers; `fetch` loads a leaf into a register. Gives the registers of the results.
    pub fn emit(
        &self,
        isa: &mut dyn VectorIsa,
        regs: &[V],
        slots: &[VSlot],
        fetch: &mut dyn FnMut(&mut dyn VectorIsa, Leaf, V),
    ) -> Vec<V> {
        let r = |i: u8| regs[i as usize];
        for step in &self.steps {
            match *step {
                Step::Fetch(d, leaf) => fetch(isa, leaf, r(d)),
                Step::Const(d, bits) => isa.splat(r(d), bits),
                Step::Spill(slot, s) => isa.spill(slots[slot as usize], r(s)),
                Step::Reload(d, slot) => isa.reload(r(d), slots[slot as usize]),
                Step::Un(op, d, a) => isa.unary(op, r(d), r(a)),
                Step::Bin(op, d, a, b) => isa.binary(op, r(d), r(a), r(b)),
                Step::Fma(false, d, a, b, c) => isa.mul_add(r(d), r(a), r(b), r(c)),
                Step::Fma(true, d, a, b, c) => isa.neg_mul_add(r(d), r(a), r(b), r(c)),
                Step::Cmp(op, d, a, b) => isa.cmp(op, r(d), r(a), r(b)),
                Step::Select(d, m, a, b) => isa.select(r(d), r(m), r(a), r(b)),
            }
        }
        self.outs.iter().map(|&o| r(o)).collect()
    }
}

/// State of the scan: which register holds what, and who needs it next.
struct Scan<'a> {
    prog: &'a Prog,
    /// Positions at which each value is used, ascending; results are used once more after the last instruction.
    uses: Vec<Vec<usize>>,
    holder: Vec<Option<Val>>,
    place: Vec<Option<u8>>,
    slot: Vec<Option<u8>>,
    steps: Vec<Step>,
    slots: u8,
    regs_used: usize,
    limit: usize,
}

impl<'a> Scan<'a> {
    fn new(prog: &'a Prog, regs: usize, given: &[(Val, u8)]) -> Self {
        let n = prog.insts.len();
        let mut uses = vec![Vec::new(); n];
        for (i, inst) in prog.insts.iter().enumerate() {
            inst.operands().iter().for_each(|o| uses[o.0 as usize].push(i));
        }
        prog.outs.iter().for_each(|o| uses[o.0 as usize].push(n));
        let mut scan = Scan {
            prog,
            uses,
            holder: vec![None; regs],
            place: vec![None; n],
            slot: vec![None; n],
            steps: Vec::new(),
            slots: 0,
            regs_used: 0,
            limit: regs,
        };
        for &(v, r) in given {
            scan.place[v.0 as usize] = Some(r);
            if let Some(h) = scan.holder.get_mut(r as usize) {
                *h = Some(v);
                scan.regs_used = scan.regs_used.max(r as usize + 1);
            }
        }
        scan
    }

    fn next_use(&self, v: Val, after: usize) -> Option<usize> {
        self.uses[v.0 as usize].iter().copied().find(|&u| u > after)
    }

    /// A register that holds nothing any more, made free by spilling or dropping if need be, but none of `keep`.
    fn take(&mut self, at: usize, keep: &[Val]) -> u8 {
        let free = self.holder.iter().position(Option::is_none);
        let r = free.unwrap_or_else(|| self.evict(at, keep));
        self.regs_used = self.regs_used.max(r + 1);
        r as u8
    }

    fn evict(&mut self, at: usize, keep: &[Val]) -> usize {
        let distance = |v: Val| self.uses[v.0 as usize].iter().copied().find(|&u| u >= at).unwrap_or(usize::MAX);
        let (r, v) = (0..self.limit)
            .filter_map(|r| self.holder[r].map(|v| (r, v)))
            .filter(|(_, v)| !keep.contains(v))
            .max_by_key(|&(_, v)| (distance(v), self.prog.inst(v).is_fetch()))
            .expect("four registers hold the operands and the result of any instruction");
        let is_accumulator = matches!(self.prog.inst(v), Inst::Leaf(Leaf::Acc));
        if (!self.prog.inst(v).is_fetch() || is_accumulator) && self.slot[v.0 as usize].is_none() {
            self.steps.push(Step::Spill(self.slots, r as u8));
            self.slot[v.0 as usize] = Some(self.slots);
            self.slots += 1;
        }
        self.place[v.0 as usize] = None;
        self.holder[r] = None;
        r
    }

    /// Brings `v` into a register.
    fn bring(&mut self, v: Val, at: usize, keep: &[Val]) -> u8 {
        if let Some(r) = self.place[v.0 as usize] {
            return r;
        }
        let r = self.take(at, keep);
        self.steps.push(match (self.slot[v.0 as usize], self.prog.inst(v)) {
            (Some(slot), _) => Step::Reload(r, slot),
            (None, Inst::Leaf(l)) => Step::Fetch(r, *l),
            (None, Inst::Const(bits)) => Step::Const(r, *bits),
            (None, other) => unreachable!("{other:?} is computed before it is used"),
        });
        self.hold(r, v);
        r
    }

    fn hold(&mut self, r: u8, v: Val) {
        self.place[v.0 as usize] = Some(r);
        if let Some(h) = self.holder.get_mut(r as usize) {
            *h = Some(v);
        }
    }

    fn release(&mut self, v: Val) {
        if let Some(r) = self.place[v.0 as usize].filter(|&r| (r as usize) < self.limit) {
            self.holder[r as usize] = None;
            self.place[v.0 as usize] = None;
        }
    }

    fn instruction(&mut self, i: usize) {
        let inst = self.prog.insts[i];
        if inst.is_fetch() {
            return;
        }
        let operands = inst.operands();
        let regs: Vec<u8> = operands.iter().map(|&o| self.bring(o, i, &operands)).collect();
        let dying: Vec<Val> = operands.iter().copied().filter(|&o| self.next_use(o, i).is_none()).collect();
        // The addend first: an ISA with only accumulating forms then needs no move.
        let preferred = dying.iter().rev().filter_map(|v| self.place[v.0 as usize]).find(|&r| (r as usize) < self.limit);
        // If the addend keeps its register, such an ISA copies it first, and so wants a register that neither factor is in.
        let is_kept = |v: Val| !dying.contains(&v) || self.place[v.0 as usize].is_some_and(|r| r as usize >= self.limit);
        let copied = matches!(inst, Inst::Fma { c, .. } if is_kept(c));
        let fresh = if copied { self.holder.iter().position(Option::is_none) } else { None };
        dying.iter().for_each(|&v| self.release(v));
        let d = match (fresh, preferred) {
            (Some(r), _) => r as u8,
            (None, Some(r)) => r,
            (None, None) => self.take(i, &operands),
        };
        self.regs_used = self.regs_used.max(d as usize + 1);
        self.hold(d, Val(i as u32));
        self.steps.push(match inst {
            Inst::Un(op, _) => Step::Un(op, d, regs[0]),
            Inst::Bin(op, ..) => Step::Bin(op, d, regs[0], regs[1]),
            Inst::Fma { negate, .. } => Step::Fma(negate, d, regs[0], regs[1], regs[2]),
            Inst::Cmp(op, ..) => Step::Cmp(op, d, regs[0], regs[1]),
            Inst::Select(..) => Step::Select(d, regs[0], regs[1], regs[2]),
            Inst::Leaf(_) | Inst::Const(_) => unreachable!("fetched on use"),
        });
    }

    fn finish(mut self) -> Plan {
        let end = self.prog.insts.len();
        let outs = self.prog.outs.clone();
        let regs = outs.iter().map(|&o| self.bring(o, end, &outs)).collect();
        Plan { steps: self.steps, outs: regs, regs_used: self.regs_used, slots: self.slots as usize }
    }
}
