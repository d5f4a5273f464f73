//! Operands of A64 instructions: registers, vector arrangements, conditions and addresses.
//!
//! Plain data without checks: a register number out of range or a stack pointer where only the zero register can stand is
//! noticed when the instruction is encoded.

/// A general-purpose register, seen as 64 bits (`x`) or 32 bits (`w`).
///
/// Number 31 of the hardware means the zero register in most places and the stack pointer in some; they are told apart here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gpr {
    pub(super) number: u8,
    pub(super) wide: bool,
}

const SP_NUMBER: u8 = 32;

/// The stack pointer.
pub const SP: Gpr = Gpr { number: SP_NUMBER, wide: true };
/// The 64-bit zero register.
pub const XZR: Gpr = x(31);
/// The 32-bit zero register.
pub const WZR: Gpr = w(31);

/// The 64-bit register `x<number>`; 31 is `xzr`.
pub const fn x(number: u8) -> Gpr {
    Gpr { number, wide: true }
}

/// The 32-bit register `w<number>`; 31 is `wzr`.
pub const fn w(number: u8) -> Gpr {
    Gpr { number, wide: false }
}

impl Gpr {
    /// The same register seen as 32 bits.
    pub const fn as_w(self) -> Gpr {
        Gpr { wide: false, ..self }
    }

    /// The hardware number, 31 for both the zero register and the stack pointer.
    pub const fn number(self) -> u8 {
        if self.number == SP_NUMBER { 31 } else { self.number }
    }

    pub(super) const fn is_sp(self) -> bool {
        self.number == SP_NUMBER
    }
}

/// A vector register `v0`..`v31`, also as the scalar `b`, `h`, `s`, `d` or `q` register of that number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct V(pub u8);

/// Size of a lane or of a scalar access: 1 << `self as u8` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// 8 bits.
    B,
    /// 16 bits.
    H,
    /// 32 bits.
    S,
    /// 64 bits.
    D,
    /// 128 bits: whole registers only, never a lane.
    Q,
}

impl Size {
    /// The base-two logarithm of the number of bytes.
    pub const fn log2(self) -> u32 {
        self as u32
    }

    /// Number of bits.
    pub const fn bits(self) -> u32 {
        8 << self as u32
    }
}

/// How a vector register is cut into lanes. The discriminant is `log2(lane bytes) * 2 + (is 128 bits)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "lane size and count, as the assembler writes them the other way round")]
pub enum Arr {
    B8,
    B16,
    H4,
    H8,
    S2,
    S4,
    D1,
    D2,
}

impl Arr {
    /// All arrangements.
    pub const ALL: [Arr; 8] = [Arr::B8, Arr::B16, Arr::H4, Arr::H8, Arr::S2, Arr::S4, Arr::D1, Arr::D2];

    /// The lane size.
    pub const fn size(self) -> Size {
        match self {
            Arr::B8 | Arr::B16 => Size::B,
            Arr::H4 | Arr::H8 => Size::H,
            Arr::S2 | Arr::S4 => Size::S,
            Arr::D1 | Arr::D2 => Size::D,
        }
    }

    /// Whether the whole 128 bits are used.
    pub const fn is_full(self) -> bool {
        self as u8 & 1 == 1
    }

    /// Number of bytes.
    pub const fn bytes(self) -> u32 {
        if self.is_full() { 16 } else { 8 }
    }

    /// The `Q` bit and the two-bit `size` field in their usual places.
    pub(super) const fn q_and_size(self) -> u32 {
        self.q() | self.size().log2() << 22
    }

    /// The `Q` bit in its place.
    pub(super) const fn q(self) -> u32 {
        (self.is_full() as u32) << 30
    }
}

/// A condition over the flags, as `b.cond` and `csel` test it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the architecture's own")]
pub enum Cond {
    Eq,
    Ne,
    Hs,
    Lo,
    Mi,
    Pl,
    Vs,
    Vc,
    Hi,
    Ls,
    Ge,
    Lt,
    Gt,
    Le,
}

impl Cond {
    /// The condition that holds exactly when this one does not.
    pub fn inverted(self) -> Cond {
        use Cond::*;
        match self {
            Eq => Ne,
            Ne => Eq,
            Hs => Lo,
            Lo => Hs,
            Mi => Pl,
            Pl => Mi,
            Vs => Vc,
            Vc => Vs,
            Hi => Ls,
            Ls => Hi,
            Ge => Lt,
            Lt => Ge,
            Gt => Le,
            Le => Gt,
        }
    }
}

/// A memory operand. Offsets are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mem {
    /// `[base, #offset]`; the scaled or the unscaled form, whichever can hold it.
    Offset(Gpr, i32),
    /// `[base, #offset]!`: the base is advanced before the access.
    Pre(Gpr, i32),
    /// `[base], #offset`: the base is advanced after the access.
    Post(Gpr, i32),
    /// `[base, index, lsl #shift]`, where the shift is 0 or the logarithm of the access size.
    Index(Gpr, Gpr, u8),
    /// `[base], index`: only for the structure loads and stores (`ld1` and its kin).
    PostIndex(Gpr, Gpr),
}

/// What `prfm` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prefetch {
    /// For reading, into the first-level cache, to be kept.
    LoadL1Keep = 0,
    /// For reading once.
    LoadL1Stream = 1,
    /// For reading, into the second-level cache.
    LoadL2Keep = 2,
    /// For writing, into the first-level cache.
    StoreL1Keep = 16,
}
