//! The encoder against two others: `dynasmrt` over random operands where it knows the instruction, and words from the LLVM assembler for the rest.

#![expect(clippy::useless_conversion, reason = "`dynasm!` converts register numbers itself")]

mod integer;
mod labels;
mod memory;
mod refusals;
mod vector;
mod words;

use super::{Assembler, V};
use dynasmrt::VecAssembler;
use dynasmrt::aarch64::Aarch64Relocation;

type Dynasm = VecAssembler<Aarch64Relocation>;

/// A small deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u32) -> u32 {
        (self.next() >> 32) as u32 % limit
    }

    /// A register number; 31 (the zero register or `v31`) included.
    fn register(&mut self) -> u8 {
        self.below(32) as u8
    }

    /// A multiple of `step` in `low..=high`; the ends come up often.
    fn offset(&mut self, low: i32, high: i32, step: i32) -> i32 {
        match self.below(8) {
            0 => low,
            1 => high / step * step,
            _ => (low + self.below((high - low + 1) as u32) as i32) / step * step,
        }
    }
}

/// Emits one random instance of a form with both encoders, several times, and compares the bytes.
#[track_caller]
fn agree(what: &str, mut emit: impl FnMut(&mut Random, &mut Assembler, &mut Dynasm)) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..24 {
        let (mut ours, mut theirs) = (Assembler::new(), Dynasm::new(0));
        emit(&mut random, &mut ours, &mut theirs);
        let ours = ours.finish().unwrap_or_else(|error| panic!("{what}: {error}"));
        let theirs = theirs.finalize().expect("dynasm finishes");
        assert_eq!(word(&ours), word(&theirs), "{what}, round {round}: ours is left");
        assert_eq!(ours.len(), theirs.len(), "{what}");
    }
}

fn word(bytes: &[u8]) -> String {
    bytes.chunks(4).map(|w| format!("{:08x} ", u32::from_le_bytes([w[0], w[1], w[2], w[3]]))).collect()
}

/// Calls `$with!($args.. arrangement suffix)` for each arrangement of a set.
macro_rules! each {
    (B $with:ident $args:tt) => { $with!($args B8 b8); $with!($args B16 b16); };
    (H $with:ident $args:tt) => { $with!($args H4 h4); $with!($args H8 h8); };
    (S $with:ident $args:tt) => { $with!($args S2 s2); $with!($args S4 s4); };
    (D $with:ident $args:tt) => { $with!($args D2 d2); };
    (S4 $with:ident $args:tt) => { $with!($args S4 s4); };
    (SD $with:ident $args:tt) => { each!(S $with $args); each!(D $with $args); };
    (BH $with:ident $args:tt) => { each!(B $with $args); each!(H $with $args); };
    (HS $with:ident $args:tt) => { each!(H $with $args); each!(S $with $args); };
    (BHS $with:ident $args:tt) => { each!(B $with $args); each!(HS $with $args); };
    (HSD $with:ident $args:tt) => { each!(HS $with $args); each!(D $with $args); };
    (BHSD $with:ident $args:tt) => { each!(BHS $with $args); each!(D $with $args); };
}
use each;
