//! The loop that every kernel has around its work: over the units that a call is given.

use crate::isa::{Cond, Gpr, Slot, Src, VectorIsa};

/// Runs `body` for the units from slot `begin`, which is moved on, to slot `end`; it gets the unit's number in `Gpr(0)`, and may use all registers.
pub fn each_unit(isa: &mut dyn VectorIsa, begin: Slot, end: Slot, body: impl FnOnce(&mut dyn VectorIsa)) {
    let (top, done, unit, t) = (isa.label(), isa.label(), Gpr(0), Gpr(1));
    isa.bind(top);
    isa.load_slot(unit, begin);
    isa.load_slot(t, end);
    isa.branch(Cond::Ge, unit, Src::Reg(t), done);
    isa.add(t, unit, Src::Imm(1));
    isa.store_slot(begin, t);
    body(isa);
    isa.jump(top);
    isa.bind(done);
}
