//! A64 encoder: one method of [`Assembler`] per instruction form, labels with fix-ups, and a constant pool after the code.
//!
//! In: registers, arrangements, immediates and labels. Out: the bytes of one function without any relocation, because branches stay inside it and
//! constants are reached relative to the program counter. The instructions stand in tables (`integer.rs`, `memory.rs`, `vector.rs`, `lanes.rs`,
//! `scalar.rs`): a name, the word of the form with all registers and fields zero, and the arrangements allowed (Arm ARM, DDI 0487, chapter C4).
//!
//! Integer instructions carry the plain name (`add`), vector integer ones a `v` (`vadd`); by-element forms end in `_lane`, comparisons with zero in `_zero`,
//! and scalar floating-point forms in `_s`. A vector instruction takes its arrangement first. Where the operand sizes differ (narrow, long, wide), the arrangement
//! is the narrower one, and a full-width one gives the "2" form of the instruction.
//!
//! An operand that the form cannot hold is a bug of the caller; it is remembered, and [`Assembler::finish`] reports the first.

mod immediates;
mod integer;
mod lanes;
mod memory;
mod operands;
mod scalar;
#[cfg(test)]
mod tests;
mod vector;

pub use immediates::{bitmask_immediate, fp_immediate};
pub use operands::{Arr, Cond, Gpr, Mem, Prefetch, SP, Size, V, WZR, XZR, w, x};

use std::fmt;

/// A place in the code or in the constant pool, bound once, used any number of times before or after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(u32);

/// Why no code could be made. Always a bug in the caller, never in a user's model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodeError {
    /// The instruction's name as a method of [`Assembler`].
    pub instruction: &'static str,
    /// Its offset in bytes from the start of the function.
    pub offset: usize,
    /// What was wrong with it.
    pub reason: Reason,
}

/// What an instruction could not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// No form for this vector arrangement or register size.
    Arrangement,
    /// A register that cannot stand there.
    Register,
    /// An immediate, shift, lane or offset out of range.
    Immediate(i64),
    /// A memory operand of a kind the instruction does not have.
    Addressing,
    /// A label never bound, bound twice, or not of this assembler.
    Label,
    /// A label too far away.
    Distance(i64),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at byte {}: ", self.instruction, self.offset)?;
        match &self.reason {
            Reason::Arrangement => write!(f, "no form for this arrangement"),
            Reason::Register => write!(f, "register not allowed here"),
            Reason::Immediate(value) => write!(f, "{value} is out of range"),
            Reason::Addressing => write!(f, "addressing mode not available"),
            Reason::Label => write!(f, "label not bound exactly once"),
            Reason::Distance(bytes) => write!(f, "label is {bytes} bytes away"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// The field of an instruction that holds the distance to a label.
#[derive(Clone, Copy)]
enum Reach {
    /// 26 bits of words at bit 0: `b`.
    Word26,
    /// 19 bits of words at bit 5: `b.cond`, `cbz`, literal loads.
    Word19,
    /// 14 bits of words at bit 5: `tbz`.
    Word14,
    /// 21 bits of bytes, the low two at bit 29: `adr`.
    Byte21,
}

impl Reach {
    /// The field's bits for a distance in bytes, or `None` when it does not reach.
    fn field(self, distance: i64) -> Option<u32> {
        let words =
            |bits: u32| (distance % 4 == 0 && fits_signed(distance / 4, bits)).then(|| (distance / 4) as u32 & low_mask(bits));
        match self {
            Reach::Word26 => words(26),
            Reach::Word19 => words(19).map(|field| field << 5),
            Reach::Word14 => words(14).map(|field| field << 5),
            Reach::Byte21 => {
                fits_signed(distance, 21).then(|| (distance as u32 & 3) << 29 | ((distance >> 2) as u32 & low_mask(19)) << 5)
            }
        }
    }
}

struct Fixup {
    word: usize,
    label: Label,
    reach: Reach,
    instruction: &'static str,
}

struct Literal {
    label: Label,
    bytes: Vec<u8>,
}

/// One row of an instruction table.
#[derive(Clone, Copy)]
struct Form {
    name: &'static str,
    /// The word with registers and variable fields zero.
    base: u32,
    /// Bit `arrangement as u8` for each arrangement the form has.
    allowed: u8,
}

/// Writes the code of one function.
#[derive(Default)]
pub struct Assembler {
    words: Vec<u32>,
    /// Byte offset of each label, once bound.
    labels: Vec<Option<usize>>,
    fixups: Vec<Fixup>,
    pool: Vec<Literal>,
    error: Option<EncodeError>,
}

impl Assembler {
    /// An empty function.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of code so far, without the constant pool.
    pub fn offset(&self) -> usize {
        self.words.len() * 4
    }

    /// A new label, to be bound later.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() as u32 - 1)
    }

    /// Binds `label` to the next instruction.
    pub fn bind(&mut self, label: Label) {
        let offset = self.offset();
        match self.labels.get_mut(label.0 as usize) {
            Some(place @ None) => *place = Some(offset),
            _ => self.fail("bind", Reason::Label),
        }
    }

    /// A new label bound here.
    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// Takes back the last instruction, which must neither refer to a label nor follow one bound to it.
    pub fn retract(&mut self) {
        self.words.pop();
    }

    /// The instructions from byte `start` on. Distances to labels are still zero in them.
    pub fn words_from(&self, start: usize) -> &[u32] {
        &self.words[(start / 4).min(self.words.len())..]
    }

    /// Puts the instructions from byte `start` on into another order: `order[i]` is the present position, counted from `start`, of the one
    /// that comes `i`-th. No label may be bound after `start`.
    ///
    /// # Panics
    /// If `order` is no permutation of all these instructions.
    pub fn reorder(&mut self, start: usize, order: &[usize]) {
        let first = start / 4;
        assert_eq!(order.len(), self.words.len() - first, "every instruction keeps a place");
        let old = self.words[first..].to_vec();
        let mut place = vec![usize::MAX; order.len()];
        for (to, &from) in order.iter().enumerate() {
            assert_eq!(std::mem::replace(&mut place[from], to), usize::MAX, "no instruction has two places");
            self.words[first + to] = old[from];
        }
        for fixup in self.fixups.iter_mut().filter(|fixup| fixup.word >= first) {
            fixup.word = first + place[fixup.word - first];
        }
    }

    /// Puts the code of `first`, which has no labels, before everything written so far.
    pub fn prepend(&mut self, first: Assembler) {
        let count = first.words.len();
        self.words.splice(0..0, first.words);
        self.labels.iter_mut().flatten().for_each(|offset| *offset += count * 4);
        self.fixups.iter_mut().for_each(|fixup| fixup.word += count);
        self.error = first.error.or(self.error.take());
    }

    /// Places `bytes` in the constant pool, aligned to their own length (at most 64) when that is a power of two and to 16 otherwise; equal
    /// constants share one place. The function itself must be placed at a multiple of the largest alignment.
    pub fn literal(&mut self, bytes: &[u8]) -> Label {
        if let Some(known) = self.pool.iter().find(|literal| literal.bytes == bytes) {
            return known.label;
        }
        let label = self.label();
        self.pool.push(Literal { label, bytes: bytes.to_vec() });
        label
    }

    /// The finished function: code, then the constant pool. The first operand error or an unbound label is reported instead.
    pub fn finish(mut self) -> Result<Vec<u8>, EncodeError> {
        let pool = self.place_pool();
        self.apply_fixups();
        match self.error {
            Some(error) => Err(error),
            None => {
                let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
                bytes.extend(pool);
                Ok(bytes)
            }
        }
    }

    /// The pool's bytes, padding first; binds its labels.
    fn place_pool(&mut self) -> Vec<u8> {
        let start = self.offset();
        let mut bytes = Vec::new();
        let mut literals = std::mem::take(&mut self.pool);
        literals.sort_by_key(|literal| std::cmp::Reverse(literal.alignment()));
        for literal in literals {
            let place = (start + bytes.len()).next_multiple_of(literal.alignment());
            bytes.resize(place - start, 0);
            self.labels[literal.label.0 as usize] = Some(place);
            bytes.extend(literal.bytes);
        }
        bytes
    }

    fn apply_fixups(&mut self) {
        for fixup in std::mem::take(&mut self.fixups) {
            let Some(target) = self.labels.get(fixup.label.0 as usize).copied().flatten() else {
                self.fail_at(fixup.instruction, fixup.word, Reason::Label);
                continue;
            };
            let distance = target as i64 - fixup.word as i64 * 4;
            match fixup.reach.field(distance) {
                Some(field) => self.words[fixup.word] |= field,
                None => self.fail_at(fixup.instruction, fixup.word, Reason::Distance(distance)),
            }
        }
    }

    fn emit(&mut self, word: u32) {
        self.words.push(word);
    }

    fn emit_to(&mut self, instruction: &'static str, word: u32, label: Label, reach: Reach) {
        self.fixups.push(Fixup { word: self.words.len(), label, reach, instruction });
        self.emit(word);
    }

    fn fail(&mut self, instruction: &'static str, reason: Reason) {
        self.fail_at(instruction, self.words.len(), reason);
    }

    fn fail_at(&mut self, instruction: &'static str, word: usize, reason: Reason) {
        self.error.get_or_insert(EncodeError { instruction, offset: word * 4, reason });
    }

    /// Remembers an immediate error unless `ok`.
    fn require(&mut self, instruction: &'static str, ok: bool, value: i64) {
        if !ok {
            self.fail(instruction, Reason::Immediate(value));
        }
    }

    /// Remembers an arrangement error unless the form has `arrangement`.
    fn require_arrangement(&mut self, form: Form, arrangement: Arr) {
        if form.allowed >> arrangement as u8 & 1 == 0 {
            self.fail(form.name, Reason::Arrangement);
        }
    }

    /// The number of a general-purpose register where 31 is the zero register.
    fn gpr(&mut self, instruction: &'static str, register: Gpr) -> u32 {
        if register.number > 31 {
            self.fail(instruction, Reason::Register);
        }
        u32::from(register.number & 31)
    }

    /// The number of a general-purpose register where 31 is the stack pointer.
    fn gpr_or_sp(&mut self, instruction: &'static str, register: Gpr) -> u32 {
        if register.number == 31 || register.number > 31 && !register.is_sp() {
            self.fail(instruction, Reason::Register);
        }
        u32::from(register.number())
    }

    /// The number of a base register of an address: 64 bits, 31 is the stack pointer.
    fn base(&mut self, instruction: &'static str, register: Gpr) -> u32 {
        if !register.wide {
            self.fail(instruction, Reason::Register);
        }
        self.gpr_or_sp(instruction, register)
    }

    /// The number of a vector register.
    fn vector(&mut self, instruction: &'static str, register: V) -> u32 {
        if register.0 > 31 {
            self.fail(instruction, Reason::Register);
        }
        u32::from(register.0 & 31)
    }

    /// `Rd` and `Rn` of a vector instruction in their places.
    fn dn(&mut self, instruction: &'static str, d: V, n: V) -> u32 {
        self.vector(instruction, d) | self.vector(instruction, n) << 5
    }

    /// `Rd`, `Rn` and `Rm` of a vector instruction in their places.
    fn dnm(&mut self, instruction: &'static str, d: V, n: V, m: V) -> u32 {
        self.dn(instruction, d, n) | self.vector(instruction, m) << 16
    }
}

impl Literal {
    fn alignment(&self) -> usize {
        let length = self.bytes.len();
        if length.is_power_of_two() { length.min(64) } else { 16 }
    }
}

/// Turns the rows of an instruction table into methods of [`Assembler`] that hand their [`Form`] to one encoding function.
macro_rules! instructions {
    (@one $doc:literal, $class:ident ($($arg:ident: $ty:ty),*) $name:ident $base:literal $allowed:expr) => {
        #[doc = concat!("`", stringify!($name), "`: ", $doc)]
        pub fn $name(&mut self, $($arg: $ty),*) {
            self.$class(Form { name: stringify!($name), base: $base, allowed: $allowed }, $($arg),*);
        }
    };
    ($doc:literal, $class:ident $signature:tt; $($name:ident $base:literal $allowed:expr;)*) => {
        impl Assembler {
            $(instructions!(@one $doc, $class $signature $name $base $allowed);)*
        }
    };
}
use instructions;

const fn fits_signed(value: i64, bits: u32) -> bool {
    value >= -(1 << (bits - 1)) && value < 1 << (bits - 1)
}

const fn low_mask(bits: u32) -> u32 {
    (1 << bits) - 1
}
