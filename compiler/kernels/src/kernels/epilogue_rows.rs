//! Long epilogues as a loop: tiles save their sums to the frame, and one loop over the rows evaluates the expression, the same code for all tiles
//! of a panel.
//!
//! A tile that ends with the expression has it once for every vector of sums, each time with the few registers that the sums leave. Here
//! it stands once for every vector of one row, with all registers: what is the same for all rows, such as biases, scales and constants, is loaded once.
//! Saving and loading the sums costs less than that saves.

use crate::isa::{Cond, Mem, Slot, Src, V, VSlot, VectorIsa};
use crate::kernels::epilogue::{EpilogueEmitter, Position, Registers, TileCols, Waiting, given, reserve, vector_tail};
use crate::kernels::registers::Gprs;
use crate::prog::{Inst, Plan, Val};
use crate::select::TilePlan;
use crate::vexpr::Leaf;

/// Multiply-adds for each lane, from which on saving the sums is nothing beside them: wide vectors take longer to be stored.
const SAVED_PRODUCTS: usize = 2;

/// Sums that wait for the expression.
#[derive(Clone, Copy, Debug)]
pub enum SavedSums {
    /// In the frame, row after row.
    Frame(VSlot),
    /// At the address that the slot holds, rows so many bytes apart.
    At {
        /// The first.
        first: Slot,
        /// From row to row.
        row: i64,
    },
}

/// A value that all rows share, and its registers: one, or one for each vector of a row.
struct Kept {
    value: Val,
    registers: Vec<V>,
}

impl EpilogueEmitter {
    /// Saves the accumulators `acc[row][vector]` to the frame.
    pub fn save(&self, isa: &mut dyn VectorIsa, acc: &[Vec<V>], sums: VSlot) {
        acc.iter().flatten().enumerate().for_each(|(i, &v)| isa.spill(VSlot(sums.0 + i as u16), v));
    }

    /// Memory in the frame for the sums of the tiles of a plan, if the expression is long, and so are the sums: each vector of them took so many
    /// multiply-adds.
    pub fn saved_sums(&self, isa: &mut dyn VectorIsa, plan: &TilePlan, products: usize) -> Option<VSlot> {
        let vectors = plan.groups.iter().map(|g| g.mr * g.nv).max().unwrap_or(0);
        if !self.is_long() || products < SAVED_PRODUCTS * isa.info().lanes {
            return None;
        }
        let slots: Vec<VSlot> = (0..vectors).map(|_| isa.vslot()).collect();
        slots.first().copied()
    }

    /// Applies the expression to the saved sums and stores them: as many rows as the slot says, of `nv` vectors. All registers are clobbered.
    pub fn store_saved(
        &mut self,
        isa: &mut dyn VectorIsa,
        at: &Position,
        sums: SavedSums,
        nv: usize,
        rows: Slot,
        cols: TileCols,
    ) {
        let info = isa.info();
        let (mut gprs, mut vectors) = (Gprs::all(info.gprs), (0..info.vregs as u8).rev().map(V).collect::<Vec<V>>());
        let mask = (cols != TileCols::All).then(|| vectors.pop().expect("there are registers"));
        let pointers = self.pointers(isa, &mut gprs, at);
        let (row, left) = (gprs.take(), gprs.take());
        let fixed = match (cols, mask) {
            (TileCols::Tail(n), Some(mask)) => Some(isa.make_tail(Src::Imm(n as i64), mask)),
            _ => None,
        };
        let tail = |isa: &mut dyn VectorIsa, j: usize| match (cols, mask) {
            (TileCols::Slot(valid), Some(mask)) => Some(vector_tail(isa, valid, j, pointers.scratch, mask)),
            _ => fixed.filter(|_| j + 1 == nv),
        };
        let (kept, plan, limit) = self.keep(&mut vectors, nv);
        reserve(isa, &mut self.spills, plan.slots);
        for j in 0..nv {
            let tail = tail(isa, j);
            for one in kept.iter().filter(|k| j < k.registers.len()) {
                match *self.prog.inst(one.value) {
                    Inst::Const(bits) => isa.splat(one.registers[j], bits),
                    Inst::Leaf(leaf) => self.fetch(isa, &pointers, leaf, one.registers[j], j, tail.as_ref()),
                    _ => {}
                }
            }
        }
        let step = match sums {
            SavedSums::Frame(first) => {
                isa.vslot_address(row, first);
                nv as i64 * i64::from(info.bytes())
            }
            SavedSums::At { first, row: step } => {
                isa.load_slot(row, first);
                step
            }
        };
        isa.load_slot(left, rows);
        let top = isa.label();
        isa.bind(top);
        let mut waiting = Waiting::default();
        for j in 0..nv {
            let tail = tail(isa, j);
            let pool: Vec<V> = vectors.iter().copied().filter(|v| !waiting.registers().contains(v)).take(limit).collect();
            // The next vector takes others, as far as there are: a core that executes in order can then be given both at once.
            vectors.retain(|v| !pool.contains(v));
            vectors.extend(&pool);
            let pinned: Vec<V> = kept.iter().map(|k| k.registers[j.min(k.registers.len() - 1)]).collect();
            isa.load(pool[0], Mem::new(row, j as i32 * info.bytes()));
            let registers = Registers { plan: &plan, free: &pool[1..], pinned: &pinned };
            let out = self.one(isa, registers, &pointers, pool[0], j, tail.as_ref());
            let whole = if cols == TileCols::All { nv } else { nv - 1 };
            let ahead = whole.saturating_sub(j + 1).min(vectors.len() - limit);
            self.put(isa, &pointers, j, out, &mut waiting, ahead, tail.as_ref());
        }
        isa.add(row, row, Src::Imm(step));
        self.next_row(isa, &pointers);
        isa.sub(left, left, Src::Imm(1));
        isa.branch(Cond::Gt, left, Src::Imm(0), top);
    }

    /// Takes registers for what all rows share, as long as enough are left; plans the expression for those that are: so many, and one for a result that waits
    /// for its neighbour.
    fn keep(&self, vectors: &mut Vec<V>, nv: usize) -> (Vec<Kept>, Plan, usize) {
        let invariant = |k: usize| (self.inputs[k].row_stride == 0).then_some(if self.inputs[k].splat { 1 } else { nv });
        let inputs = (0..self.inputs.len()).filter_map(|k| Some((self.prog.leaf(Leaf::Input(k as u16))?, invariant(k)?)));
        let candidates: Vec<(Val, usize)> = inputs.chain(self.prog.constants().into_iter().map(|c| (c, 1))).collect();
        let mut kept: Vec<Kept> = Vec::new();
        let plan = |kept: &[Kept], limit: usize| {
            let kept = kept.iter().enumerate().map(|(i, k)| (k.value, (limit + i) as u8));
            self.prog.allocate(limit, &given(&self.prog).into_iter().chain(kept).collect::<Vec<_>>())
        };
        for (value, count) in candidates {
            if vectors.len() < count + 5 {
                continue;
            }
            let registers = vectors.split_off(vectors.len() - count);
            kept.push(Kept { value, registers });
            if plan(&kept, 64).regs_used.max(4) > vectors.len() - 1 {
                vectors.extend(kept.pop().into_iter().flat_map(|k| k.registers));
            }
        }
        let limit = plan(&kept, 64).regs_used.clamp(4, vectors.len() - 1);
        let plan = plan(&kept, limit);
        (kept, plan, limit)
    }
}
