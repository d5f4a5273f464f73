//! What is multiplied: binary32, or bytes.
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
}

/// Registers that the operands of one step take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepRegisters {
    /// For one vector of B, and for what it is multiplied by.
    pub parts: usize,
    /// Temporaries.
    pub temps: usize,
}

impl Numbers {
    /// The type of the elements of A.
    pub fn element(self) -> Element {
        match self {
            Numbers::F32 => Element::F32,
            Numbers::Int8 { .. } => Element::U8,
        }
    }

    /// Whether sums are integers.
    pub fn is_integer(self) -> bool {
        self != Numbers::F32
    }

    /// Steps of four bytes that `elements` elements of A take.
    pub fn steps(self, elements: usize) -> usize {
        (elements * self.element().bytes()).div_ceil(4)
    }

    /// Four bytes that stand for zeros.
    pub fn zeros(self) -> u32 {
        match self {
            Numbers::F32 => 0,
            Numbers::Int8 { zero_point } => u32::from_le_bytes([zero_point; 4]),
        }
    }

    /// Rows at the head of a panel of B: what the sums begin with.
    pub fn head_rows(self) -> usize {
        usize::from(self.is_integer())
    }

    /// Registers of one step.
    pub fn registers(self, info: &IsaInfo) -> StepRegisters {
        match self {
            Numbers::F32 => StepRegisters { parts: 1, temps: 0 },
            Numbers::Int8 { .. } => StepRegisters { parts: info.dot.parts, temps: info.dot.temps },
        }
    }

    /// What one step costs, in fused multiply-adds of one vector.
    pub fn cost(self, info: &IsaInfo) -> usize {
        match self {
            Numbers::F32 => 1,
            Numbers::Int8 { .. } => info.dot.cost,
        }
    }

    /// Letters for kernel names.
    pub fn name(self) -> &'static str {
        match self {
            Numbers::F32 => "f32",
            Numbers::Int8 { .. } => "u8",
        }
    }
}

/// Loads a vector of elements as f32 lanes.
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

/// Stores a vector of f32 lanes as elements; bytes are rounded, must be in range, and `s` is clobbered. 32-bit integers are lanes of their own kind.
pub fn store(isa: &mut dyn VectorIsa, element: Element, m: Mem, s: V, tail: Option<&Tail>) {
    if element.bytes() == 1 {
        isa.unary(UnOp::ToInt, s, s);
    }
    match (element, tail) {
        (Element::F32 | Element::I32, None) => isa.store(m, s),
        (Element::F32 | Element::I32, Some(t)) => isa.store_tail(m, s, t),
        (bytes, None) => isa.store_bytes(m, s, bytes == Element::I8),
        (bytes, Some(t)) => isa.store_bytes_tail(m, s, bytes == Element::I8, t),
    }
}
