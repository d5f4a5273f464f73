//! A pool of general-purpose registers for the emission of one kernel.

use crate::isa::Gpr;

/// Hands out registers and takes them back. Registers are given in the ISA's order of preference.
#[derive(Clone, Debug)]
pub struct Gprs {
    free: Vec<Gpr>,
}

impl Gprs {
    /// All `count` registers free.
    pub fn all(count: usize) -> Self {
        Gprs { free: (0..count as u8).rev().map(Gpr).collect() }
    }

    /// A free register.
    ///
    /// # Panics
    /// If there is none: kernels bound their demand when they choose tiles.
    pub fn take(&mut self) -> Gpr {
        self.free.pop().expect("kernels bound their demand for registers")
    }

    /// `n` free registers.
    pub fn take_n(&mut self, n: usize) -> Vec<Gpr> {
        (0..n).map(|_| self.take()).collect()
    }

    /// Returns a register.
    pub fn give(&mut self, r: Gpr) {
        self.free.push(r);
        self.free.sort_by_key(|r| std::cmp::Reverse(r.0));
    }

    /// Returns several.
    pub fn give_all(&mut self, rs: impl IntoIterator<Item = Gpr>) {
        rs.into_iter().for_each(|r| self.give(r));
    }

    /// How many are free.
    pub fn left(&self) -> usize {
        self.free.len()
    }
}
