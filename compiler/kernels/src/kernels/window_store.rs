//! What a window kernel does with the sums of a tile: division, epilogue, store.

use crate::isa::{BinOp, Mem, Tail, V, VectorIsa};
use crate::kernels::numbers;
use crate::kernels::window::{TileRegs, WindowEmitter};
use crate::prog::{Inst, Plan, Val};
use crate::vexpr::Leaf;

impl WindowEmitter<'_> {
    /// Divides, applies the epilogue and stores.
    pub(super) fn store(&mut self, isa: &mut dyn VectorIsa, regs: &TileRegs, tail: Option<&Tail>) {
        let averages = if isa.info().arithmetic.strict { BinOp::Div } else { BinOp::Mul };
        for (&acc, &scale) in regs.acc.iter().zip(&regs.scale) {
            isa.binary(averages, acc, acc, scale);
        }
        let constants: Vec<V> = regs.constants.iter().map(|&(_, r)| r).collect();
        let busy = |v: &V| {
            regs.acc.contains(v) || regs.scale.contains(v) || constants.contains(v) || *v == regs.mask || regs.zero == Some(*v)
        };
        let free: Vec<V> = (0..isa.info().vregs as u8).map(V).filter(|v| !busy(v)).collect();
        let pinned = self.pinned(free.len(), regs);
        // Registers of the plan: the accumulator, those it may use, those that hold what is the same for all pixels, for all channels.
        let first = free.len() + 1 - pinned.len();
        let acc = self.prog.leaf(Leaf::Acc).map(|v| (v, 0));
        let held = pinned.iter().chain(regs.constants.iter().map(|(value, _)| value));
        let held = held.enumerate().map(|(i, &v)| (v, (first + i) as u8));
        let given: Vec<(Val, u8)> = acc.into_iter().chain(held).collect();
        let plan = self.prog.allocate(first, &given);
        while self.spills.len() < plan.slots {
            self.spills.push(isa.vslot());
        }
        for (&value, &r) in pinned.iter().zip(&free[first - 1..]) {
            match *self.prog.inst(value) {
                Inst::Const(bits) => isa.splat(r, bits),
                Inst::Leaf(Leaf::Input(k)) => self.fetch(isa, regs, k as usize, 0, r, tail),
                _ => {}
            }
        }
        let (mut temps, held) = (free[..first - 1].to_vec(), &free[first - 1..]);
        for pixel in 0..regs.acc.len() {
            self.store_pixel(isa, regs, &plan, &[&temps[..], held, &constants].concat(), pixel, tail);
            // The next pixel takes others, as far as there are: a core that executes in order can then be given both at once.
            let used = plan.regs_used.saturating_sub(1).min(temps.len());
            temps.rotate_left(used);
        }
    }

    /// Constants and inputs that are the same for all pixels, as many as leave room for the rest of the epilogue.
    fn pinned(&self, free: usize, regs: &TileRegs) -> Vec<Val> {
        let is_held = |value: &Val| regs.constants.iter().any(|(held, _)| held == value);
        let fixed = self.desc.epilogue.inputs.iter().enumerate().filter(|(_, i)| i.row_stride == 0);
        let mut pinned: Vec<Val> = fixed.filter_map(|(k, _)| self.prog.leaf(Leaf::Input(k as u16))).collect();
        pinned.extend(self.prog.constants().into_iter().filter(|value| !is_held(value)));
        let others: Vec<Val> =
            self.prog.leaf(Leaf::Acc).into_iter().chain(regs.constants.iter().map(|&(value, _)| value)).collect();
        let pressure = |pinned: &[Val]| self.prog.pressure(&[pinned, &others].concat()).max(4);
        while !pinned.is_empty() && pinned.len() + pressure(&pinned) > free {
            pinned.pop();
        }
        pinned
    }

    /// Input `k` of the epilogue for a pixel of the tile.
    pub(super) fn fetch(&self, isa: &mut dyn VectorIsa, regs: &TileRegs, k: usize, pixel: usize, d: V, tail: Option<&Tail>) {
        let input = self.desc.epilogue.inputs[k];
        let m = Mem::new(regs.extra[k], (input.element.bytes() * pixel * input.row_stride) as i32);
        if input.splat { isa.load_splat(d, m) } else { numbers::load(isa, input.element, d, m, tail) }
    }

    fn store_pixel(&self, isa: &mut dyn VectorIsa, regs: &TileRegs, plan: &Plan, free: &[V], pixel: usize, tail: Option<&Tail>) {
        let mut all = vec![regs.acc[pixel]];
        all.extend_from_slice(free);
        let mut fetch = |isa: &mut dyn VectorIsa, leaf: Leaf, d: V| {
            if let Leaf::Input(k) = leaf {
                self.fetch(isa, regs, k as usize, pixel, d, tail);
            }
        };
        let out = plan.emit(isa, &all, &self.spills, &mut fetch)[0];
        let element = self.desc.epilogue.out;
        numbers::store(isa, element, Mem::new(regs.out, (element.bytes() * pixel * self.desc.out_pitch) as i32), out, tail);
    }
}
