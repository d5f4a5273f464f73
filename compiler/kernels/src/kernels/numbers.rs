//! What is multiplied: binary32, bytes, or binary32 by weights that take less memory.
//!
//! Elements of A are walked in steps of four bytes: one f32, or four bytes that [`VectorIsa::dot`] multiplies by four weights of each column. So both kinds share
//! tiles, loops and addresses; what differs is one load and one instruction of the innermost loop, and where sums begin.

use crate::isa::{Element, IsaInfo, Mem, Tail, UnOp, V, VectorIsa};

/// The numbers of a contraction or window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Numbers {
    /// binary32, summed in binary32.
    #[default]
    F32,
    /// Unsigned bytes, of which `zero_point` stands for 0, by signed bytes, summed exactly in 32-bit integers.
    Int8 {
        /// The byte that stands for 0; also what lies outside of an image.
        zero_point: u8,
    },
    /// binary32 by weights of binary16, widened as they are loaded; of matrix products only.
    F16,
    /// binary32 by weights of four bits, widened as they are loaded: `(bits - 8) * scale`, with a scale for every
    /// [`INT4_GROUP`] weights of a column; of matrix products only.
    Int4,
}

/// Weights of four bits along K that have one scale; the last group may have fewer.
pub const INT4_GROUP: usize = 32;

/// Registers that one step takes beside its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepRegisters {
    /// Temporaries.
    pub temps: usize,
    /// Whether each vector of columns has scales.
    pub scales: bool,
}

impl StepRegisters {
    /// Registers beside the operands for panels of `nv` vectors.
    pub fn others(self, nv: usize) -> usize {
        self.temps + if self.scales { nv } else { 0 }
    }
}

impl Numbers {
    /// The type of the elements of A.
    pub fn element(self) -> Element {
        match self {
            Numbers::F32 | Numbers::F16 | Numbers::Int4 => Element::F32,
            Numbers::Int8 { .. } => Element::U8,
        }
    }

    /// Whether sums are integers.
    pub fn is_integer(self) -> bool {
        matches!(self, Numbers::Int8 { .. })
    }

    /// Steps of four bytes that `elements` elements of A take.
    pub fn steps(self, elements: usize) -> usize {
        (elements * self.element().bytes()).div_ceil(4)
    }

    /// Four bytes that stand for zeros.
    pub fn zeros(self) -> u32 {
        match self {
            Numbers::F32 | Numbers::F16 | Numbers::Int4 => 0,
            Numbers::Int8 { zero_point } => u32::from_le_bytes([zero_point; 4]),
        }
    }

    /// Whether a panel of B has a row at its head: what the sums begin with, which makes up for zero points. Others begin with 0.
    pub fn has_head(self, info: &IsaInfo) -> bool {
        matches!(self, Numbers::Int8 { zero_point } if i32::from(zero_point) != info.dot.offset)
    }

    /// Bytes of a panel of B for each of its columns.
    pub fn column_bytes(self, steps: usize, info: &IsaInfo) -> usize {
        match self {
            Numbers::F32 => 4 * steps,
            Numbers::Int8 { .. } => 4 * (steps + usize::from(self.has_head(info))),
            Numbers::F16 => 2 * steps,
            Numbers::Int4 => steps / 2 + 4 * steps.div_ceil(INT4_GROUP),
        }
    }

    /// Where in a panel of `width` columns, counted from an even step (and behind the scales), step `u` is.
    pub fn step_at(self, u: usize, width: usize) -> usize {
        match self {
            Numbers::F32 | Numbers::Int8 { .. } => 4 * u * width,
            Numbers::F16 => 2 * u * width,
            Numbers::Int4 => u / 2 * width,
        }
    }

    /// Registers of one step.
    pub fn registers(self, info: &IsaInfo) -> StepRegisters {
        match self {
            Numbers::F32 | Numbers::F16 => StepRegisters { temps: 0, scales: false },
            Numbers::Int4 => StepRegisters { temps: 0, scales: true },
            Numbers::Int8 { .. } => StepRegisters { temps: info.dot.temps, scales: false },
        }
    }

    /// What one step costs, in fused multiply-adds of one vector.
    pub fn cost(self, info: &IsaInfo) -> usize {
        match self {
            Numbers::F32 | Numbers::F16 | Numbers::Int4 => 1,
            Numbers::Int8 { .. } => info.dot.cost,
        }
    }

    /// What it costs to load a vector of B, in loads.
    pub fn load_cost(self) -> usize {
        match self {
            Numbers::F32 | Numbers::Int8 { .. } => 1,
            Numbers::F16 => 2,
            Numbers::Int4 => 5,
        }
    }

    /// Instructions that multiply and add, of one step and one vector.
    pub fn instructions(self, info: &IsaInfo) -> usize {
        match self {
            Numbers::F32 | Numbers::F16 | Numbers::Int4 => 1,
            Numbers::Int8 { .. } => info.dot.instructions,
        }
    }

    /// Loads of constants among them.
    pub fn constant_loads(self, info: &IsaInfo) -> usize {
        if self.is_integer() { info.dot.loads } else { 0 }
    }

    /// Whether products are exact only for bytes of A up to 127, others being multiplied as words.
    pub fn has_seven_bits(self, info: &IsaInfo) -> bool {
        self.is_integer() && info.dot.seven_bits
    }

    /// Letters for kernel names.
    pub fn name(self) -> &'static str {
        match self {
            Numbers::F32 => "f32",
            Numbers::Int8 { .. } => "u8",
            Numbers::F16 => "f32_by_f16",
            Numbers::Int4 => "f32_by_int4",
        }
    }
}

/// Loads a vector of elements as f32 lanes; those of f32 are words that are taken as they are, whatever they mean.
pub fn load(isa: &mut dyn VectorIsa, element: Element, d: V, m: Mem, tail: Option<&Tail>) {
    match (element, tail) {
        (Element::F32 | Element::I32, None) => isa.load(d, m),
        (Element::F32 | Element::I32, Some(t)) => isa.load_tail(d, m, t),
        (bytes, None) => isa.load_bytes(d, m, bytes == Element::I8),
        (bytes, Some(t)) => isa.load_bytes_tail(d, m, bytes == Element::I8, t),
    }
    if element != Element::F32 {
        isa.unary(UnOp::ToFloat, d, d);
    }
}

/// Stores a vector as elements; bytes are of 32-bit integer lanes ([`crate::bytes::lower`]), and `s` is clobbered.
pub fn store(isa: &mut dyn VectorIsa, element: Element, m: Mem, s: V, tail: Option<&Tail>) {
    match (element, tail) {
        (Element::F32 | Element::I32, None) => isa.store(m, s),
        (Element::F32 | Element::I32, Some(t)) => isa.store_tail(m, s, t),
        (bytes, None) => isa.store_bytes(m, s, bytes == Element::I8),
        (bytes, Some(t)) => isa.store_bytes_tail(m, s, bytes == Element::I8, t),
    }
}
