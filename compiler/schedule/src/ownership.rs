//! Reference counts: who releases what, and when.
//!
//! A value that holds a reference is owned by the block that defines it and released after its last use
//! there. A use that consumes (a yield, a carried value, a wrap) gets the reference itself when it is the
//! last use, else a new one. Arguments of a method and immortal data are never owned.

use crate::lower::{Bound, Lowering, Place, R};
use kiln_graph::Value;
use kiln_loops::plan::Operand;

impl Lowering<'_> {
    /// Marks that a value holds a reference of its own, if its kind does at all.
    pub fn own(&mut self, value: Value) {
        if self.bound.get(&value).is_some_and(|&b| counted(b)) {
            self.owned.insert(value);
        }
    }

    /// Binds a value that holds a reference of its own.
    pub fn bind_owned(&mut self, value: Value, bound: Bound) {
        self.bind(value, bound);
        self.own(value);
    }

    /// Makes a reference to a value that the consumer may keep: the value's own if this is its last use.
    pub fn take(&mut self, value: Value) -> R<()> {
        let bound = self.bound(value)?;
        if !counted(bound) {
            return Ok(());
        }
        if self.dies_here(value) && self.owned.remove(&value) {
            return Ok(());
        }
        self.retain(bound);
        Ok(())
    }

    pub fn retain(&mut self, bound: Bound) {
        match bound {
            Bound::Object(object) | Bound::Tensor(Place::Object(object)) => self.call("retain_object", vec![object]),
            Bound::Tagged(tag, bits) => self.call("retain", vec![tag, bits]),
            _ => {}
        }
    }

    pub fn release(&mut self, bound: Bound) {
        match bound {
            Bound::Object(object) | Bound::Tensor(Place::Object(object)) => {
                self.call("release_object", vec![Operand::Context, object]);
            }
            Bound::Tagged(tag, bits) => self.call("release", vec![Operand::Context, tag, bits]),
            _ => {}
        }
    }

    /// Releases what is used last here and still owned.
    pub fn release_dying(&mut self) {
        let live = self.live;
        for &value in live.dying(self.here.0, self.here.1) {
            if self.owned.remove(&value) {
                let bound = self.bound[&value];
                self.release(bound);
            }
        }
    }
}

/// Whether values held this way have a reference count.
pub fn counted(bound: Bound) -> bool {
    let is_pointer = |operand: Operand| !matches!(operand, Operand::Data(..) | Operand::Int(_));
    match bound {
        Bound::Object(object) | Bound::Tensor(Place::Object(object)) => is_pointer(object),
        Bound::Tagged(Operand::Int(tag), _) if (tag as u64) < kiln_rt::abi::tag::STR => false,
        Bound::Tagged(_, bits) => is_pointer(bits),
        _ => false,
    }
}
