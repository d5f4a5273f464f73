//! The ISA-neutral vector layer: one assembler interface over which every kernel is written once.
//!
//! A kernel drives a [`VectorIsa`] and so appends instructions to a function body; [`VectorIsa::finish`] wraps the body
//! in the prologue and epilogue of the calling convention, appends the constant pool and gives the bytes. The
//! result is position independent: constants are reached PC-relative and nothing is relocated.
//!
//! # What an implementation promises
//!
//! * **Registers.** `Gpr(0)..Gpr(info.gprs)` and `V(0)..V(info.vregs)` are all free for the kernel. Whatever an
//!   implementation needs for itself (a scratch register, mask registers, the stack pointer, x18) lies outside these ranges.
//!   The implementation notes which callee-saved registers the body writes and saves those, and only those.
//! * **Arguments.** On entry, argument `i` (pointer or 64-bit integer, at most [`MAX_ARGS`]) is in `Gpr(i)`, wherever the
//!   calling convention passes it.
//! * **Return.** Falling off the end of the body returns. There is no return instruction in the middle: jump to a label bound last.
//! * **Aliasing.** Unless stated otherwise the destination may be the same register as any source.
//! * **Flags.** No instruction depends on flags left by another: compare and branch are one operation.
//! * **Lanes.** A vector has `info.lanes` f32 lanes. Comparison results are full-lane bit masks (all ones or all zeros) in a `V`.
//! * **Memory.** No alignment is assumed beyond 4 bytes. Loads and stores touch exactly the bytes they name: a tail of
//!   `n` lanes neither reads nor writes lane `n` and beyond.
//!
//! # How NEON differs from x86 behind this interface
//!
//! * `k_step`: [`VectorIsa::load_scalars`] brings the next `k_step` elements of a row of A into one register: 4 on
//!   NEON (one `ldr q`), 1 on x86 (a broadcast load). [`VectorIsa::fma_scalar`] then multiplies by one of them: a by-element
//!   `fmla` on NEON; on x86 `lane` is always 0. Kernels keep `mr` such registers alive if `k_step > 1`, else one.
//! * `wide_disp`: whether an address takes any 32-bit displacement for free. Where it does not, kernels keep one pointer per
//!   row, use either an index or a displacement, and keep displacements multiples of the vector size where they can; the
//!   implementation must still accept every [`Mem`] (by way of its own scratch register).
//! * `arithmetic.nan_minmax`: whether [`BinOp::Max`]/[`BinOp::Min`] propagate a NaN of either operand.
//! * Tails: x86 has masked loads and stores; NEON moves 1, 2 or 4 lanes at a time, by compile-time or run-time count.

/// Largest number of integer or pointer arguments of a kernel.
pub const MAX_ARGS: usize = 8;

/// A general-purpose (64-bit) register, by position in the implementation's order of preference (caller-saved first).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gpr(pub u8);

/// A vector register of `lanes` f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct V(pub u8);

/// A place in the code. Made by [`VectorIsa::label`], placed by [`VectorIsa::bind`] (exactly once).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(pub u32);

/// An 8-byte slot of the stack frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub u16);

/// A vector-sized slot of the stack frame (no alignment promised).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VSlot(pub u16);

/// An address: `base + index + disp`, all in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mem {
    /// Base pointer.
    pub base: Gpr,
    /// Byte offset in a register, unscaled.
    pub index: Option<Gpr>,
    /// Constant byte offset.
    pub disp: i32,
}

impl Mem {
    /// `[base + disp]`.
    pub fn new(base: Gpr, disp: i32) -> Self {
        Mem { base, index: None, disp }
    }

    /// `[base + index + disp]`.
    pub fn indexed(base: Gpr, index: Gpr, disp: i32) -> Self {
        Mem { base, index: Some(index), disp }
    }

    /// The same address, `bytes` further on.
    #[must_use]
    pub fn plus(self, bytes: i32) -> Self {
        Mem { disp: self.disp + bytes, ..self }
    }
}

/// An integer operand: a register or a constant. Constants are within `i32` unless a method says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Src {
    /// The value of a register.
    Reg(Gpr),
    /// A constant.
    Imm(i64),
}

impl From<Gpr> for Src {
    fn from(r: Gpr) -> Self {
        Src::Reg(r)
    }
}

impl From<i64> for Src {
    fn from(i: i64) -> Self {
        Src::Imm(i)
    }
}

/// Integer comparison (64-bit). `Ult` is unsigned, the others are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cond {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less, signed.
    Lt,
    /// Less or equal, signed.
    Le,
    /// Greater, signed.
    Gt,
    /// Greater or equal, signed.
    Ge,
    /// Below, unsigned.
    Ult,
}

/// Lane-wise operation on one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnOp {
    /// Sign flipped (also of NaN and zero).
    Neg,
    /// Sign cleared.
    Abs,
    /// Correctly rounded square root.
    Sqrt,
    /// Round towards minus infinity.
    Floor,
    /// Round towards plus infinity.
    Ceil,
    /// Round to nearest, ties to even (`torch.round`).
    Round,
    /// Round towards zero.
    Trunc,
    /// f32 to i32, nearest even; NaN and out of range give any value.
    ToInt,
    /// i32 to f32, nearest even.
    ToFloat,
    /// Shift each 32-bit lane left by a constant of 1..=31.
    Shl(u8),
    /// Logical shift right by a constant of 1..=31.
    Shr(u8),
    /// Arithmetic shift right by a constant of 1..=31.
    Sar(u8),
    /// Bitwise complement.
    Not,
}

/// Lane-wise operation on two vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinOp {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// `a / b`, correctly rounded.
    Div,
    /// The larger; if `b` is NaN the result is NaN. If only `a` is NaN: NaN where `nan_minmax`, else `b`.
    /// Of two zeros: either (x86: `b`).
    Max,
    /// The smaller; NaN and zeros as for `Max`.
    Min,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Wrapping 32-bit integer sum.
    AddInt,
    /// Wrapping 32-bit integer difference.
    SubInt,
}

/// Lane-wise f32 comparison giving a bit mask. All but `Ne` and `Unord` are false if an operand is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CmpOp {
    /// Equal.
    Eq,
    /// Not equal, or unordered.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Either is NaN.
    Unord,
}

/// How the lanes of one vector become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceOp {
    /// Sum, pairwise.
    Sum,
    /// Maximum; NaN if any lane is NaN.
    Max,
    /// Minimum; NaN if any lane is NaN.
    Min,
}

/// The type of elements in memory. In registers every lane is an f32 or a 32-bit integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Element {
    /// binary32.
    #[default]
    F32,
    /// Unsigned bytes.
    U8,
    /// Signed bytes.
    I8,
    /// 32-bit integers: sums of products of bytes, stored as they are.
    I32,
}

impl Element {
    /// Bytes of one.
    pub const fn bytes(self) -> usize {
        match self {
            Element::F32 | Element::I32 => 4,
            Element::U8 | Element::I8 => 1,
        }
    }
}

/// How [`VectorIsa::dot`] wants its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DotInfo {
    /// Whether products are exact only for bytes of A up to 127. Others are multiplied as words ([`VectorIsa::words`]).
    pub seven_bits: bool,
    /// Temporaries.
    pub temps: usize,
    /// The temporaries that panels are planned with.
    pub planned_temps: usize,
    /// What is taken from every byte of A, so that an unsigned byte becomes a signed one: 0 or 128.
    pub offset: i32,
    /// Relative cost of products of one vector by one group, in fused multiply-adds. Panels are planned by it, by the next two and by `seven_bits`, so CPUs that
    /// are to read the same packed weights have the same.
    pub cost: usize,
    /// The instructions that panels are planned by.
    pub instructions: usize,
    /// How many of them read a constant from memory.
    pub loads: usize,
    /// Whether they take so many instructions that a turn of a loop should hold few of them.
    pub is_composed: bool,
}

impl DotInfo {
    /// One instruction that is exact for all bytes, and takes unsigned ones.
    pub const SINGLE: DotInfo = DotInfo {
        seven_bits: false,
        temps: 0,
        planned_temps: 0,
        offset: 0,
        cost: 1,
        instructions: 1,
        loads: 0,
        is_composed: false,
    };
}

/// How kernels compute: what expressions are lowered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Arithmetic {
    /// `Max`/`Min` give NaN if either operand is NaN.
    pub nan_minmax: bool,
    /// Every operation of a definition is rounded by itself, in the order of the definition: products before they are added
    /// ([`VectorIsa::fma`], [`VectorIsa::fma_scalar`]), sums of columns in the order of PyTorch's sum of a row, functions as
    /// closely as binary32 allows. So kernels give the same bits on every ISA, but for the signs
    /// of zero and NaN that `Max` and `Min` give.
    pub strict: bool,
}

/// What a kernel must know of an ISA to lay out registers and loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IsaInfo {
    /// Suffix of kernel names: `x86_64_avx2`, `x86_64_avx512`, `aarch64_neon`.
    pub name: &'static str,
    /// f32 lanes of a vector.
    pub lanes: usize,
    /// Vector registers free for kernels.
    pub vregs: usize,
    /// General-purpose registers free for kernels.
    pub gprs: usize,
    /// Elements of a row of A per [`VectorIsa::load_scalars`].
    pub k_step: usize,
    /// Any 32-bit displacement, together with an index, costs nothing.
    pub wide_disp: bool,
    /// How numbers are computed.
    pub arithmetic: Arithmetic,
    /// Products of bytes.
    pub dot: DotInfo,
}

impl IsaInfo {
    /// Bytes of a vector.
    pub fn bytes(&self) -> i32 {
        (self.lanes * 4) as i32
    }
}

/// The first `count` lanes of a vector, `0 <= count <= lanes`, with whatever state the ISA needs to touch only these.
///
/// Made by [`VectorIsa::make_tail`]. At most one tail is alive at a time (AVX-512 keeps it in one fixed mask register); `mask`
/// and a register `count` must stay unchanged while the tail is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tail {
    /// Number of lanes.
    pub count: Src,
    /// Register reserved for a lane mask; unused by ISAs that keep masks elsewhere.
    pub mask: V,
}

/// Why no code was made. These are faults of the caller's descriptor or of kiln, never of the model's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmitError {
    /// The descriptor asks for something no kernel does (with what).
    Unsupported(String),
    /// The code could not be encoded (with the assembler's reason).
    Encoding(String),
}

impl std::fmt::Display for EmitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EmitError::Unsupported(what) => write!(f, "no kernel for {what}"),
            EmitError::Encoding(why) => write!(f, "cannot encode kernel: {why}"),
        }
    }
}

impl std::error::Error for EmitError {}

/// An assembler for one function. See the module text for what an implementation promises.
pub trait VectorIsa {
    /// Widths and register counts.
    fn info(&self) -> IsaInfo;

    /// Ends the function: prologue, body, epilogue, constants. `args` is the number of arguments, at most [`MAX_ARGS`].
    ///
    /// # Errors
    /// [`EmitError::Encoding`] if a branch or constant is out of reach or a label was never bound.
    fn finish(&mut self, args: usize) -> Result<Vec<u8>, EmitError>;

    // --- control flow -------------------------------------------------------------------------------------------

    /// A new label, not yet placed.
    fn label(&mut self) -> Label;
    /// Places a label here.
    fn bind(&mut self, label: Label);
    /// Goes to `label`.
    fn jump(&mut self, label: Label);
    /// Goes to `label` if `a cond b`.
    fn branch(&mut self, cond: Cond, a: Gpr, b: Src, label: Label);

    // --- integers -----------------------------------------------------------------------------------------------

    /// `d = s`; any 64-bit constant.
    fn mov(&mut self, d: Gpr, s: Src);
    /// `d = a + b`.
    fn add(&mut self, d: Gpr, a: Gpr, b: Src);
    /// `d = a - b`.
    fn sub(&mut self, d: Gpr, a: Gpr, b: Src);
    /// `d = a * b`, low 64 bits.
    fn mul(&mut self, d: Gpr, a: Gpr, b: Src);
    /// `d = a << n`.
    fn shl(&mut self, d: Gpr, a: Gpr, n: u8);
    /// `d = a >> n`, logical.
    fn shr(&mut self, d: Gpr, a: Gpr, n: u8);
    /// `d = a / b`, rounded down, for `0 <= a < 2^52`, `0 < b < 2^31`. Slow; `tmp` is clobbered (vector lanes too).
    fn udiv(&mut self, d: Gpr, a: Gpr, b: Gpr, tmp: [V; 2]);
    /// `if a cond b { d = s }`.
    fn mov_if(&mut self, cond: Cond, a: Gpr, b: Src, d: Gpr, s: Gpr);
    /// Loads a 64-bit value.
    fn load_int(&mut self, d: Gpr, m: Mem);
    /// Stores a 64-bit value.
    fn store_int(&mut self, m: Mem, s: Gpr);
    /// Loads 32 bits, zero-extended.
    fn load_word(&mut self, d: Gpr, m: Mem);
    /// Stores the low 32 bits.
    fn store_word(&mut self, m: Mem, s: Gpr);

    // --- stack frame --------------------------------------------------------------------------------------------

    /// A new 8-byte slot.
    fn slot(&mut self) -> Slot;
    /// Loads a slot.
    fn load_slot(&mut self, d: Gpr, slot: Slot);
    /// Stores to a slot.
    fn store_slot(&mut self, slot: Slot, s: Gpr);
    /// A new vector-sized slot.
    fn vslot(&mut self) -> VSlot;
    /// The address of a vector slot. Slots that are asked for one directly after the other lie one behind the other.
    fn vslot_address(&mut self, d: Gpr, slot: VSlot);
    /// Loads a vector slot.
    fn reload(&mut self, d: V, slot: VSlot);
    /// Stores to a vector slot.
    fn spill(&mut self, slot: VSlot, s: V);

    // --- vector memory ------------------------------------------------------------------------------------------

    /// Loads `lanes` f32.
    fn load(&mut self, d: V, m: Mem);
    /// Stores `lanes` f32.
    fn store(&mut self, m: Mem, s: V);
    /// Loads one f32 into all lanes.
    fn load_splat(&mut self, d: V, m: Mem);
    /// Stores lane 0.
    fn store_lane0(&mut self, m: Mem, s: V);
    /// Prepares the first `count` lanes (a constant or a register, `0 <= count <= lanes`).
    fn make_tail(&mut self, count: Src, mask: V) -> Tail;
    /// Loads the lanes of the tail; the others become zero.
    fn load_tail(&mut self, d: V, m: Mem, tail: &Tail);
    /// Stores the lanes of the tail.
    fn store_tail(&mut self, m: Mem, s: V, tail: &Tail);
    /// Lanes beyond the tail are replaced by those of `fill`: `d = lane < count ? d : fill`.
    fn fill_tail(&mut self, d: V, fill: V, tail: &Tail);
    /// Loads `lanes` bytes, each widened to a 32-bit integer lane.
    fn load_bytes(&mut self, d: V, m: Mem, signed: bool);
    /// Loads `lanes` numbers of binary16, each widened to f32.
    fn load_f16(&mut self, d: V, m: Mem);
    /// Stores each 32-bit lane as a byte: the nearest in its range. `s` is clobbered.
    fn store_bytes(&mut self, m: Mem, s: V, signed: bool);
    /// The 32-bit lanes of two vectors as words, the nearest in their range, in whatever order the ISA packs them. `b` differs from `d`.
    fn pack_words(&mut self, d: V, a: V, b: V);
    /// Stores words of [`Self::pack_words`], of two or four vectors, as [`Self::store_bytes`] stores these vectors one behind the other. `s` and `tmp` are distinct and
    /// clobbered.
    fn store_words(&mut self, m: Mem, s: &[V], signed: bool, tmp: V);
    /// As [`Self::load_bytes`] for the lanes of a tail of constant length; the others become zero.
    fn load_bytes_tail(&mut self, d: V, m: Mem, signed: bool, tail: &Tail);
    /// As [`Self::store_bytes`] for the lanes of a tail of constant length.
    fn store_bytes_tail(&mut self, m: Mem, s: V, signed: bool, tail: &Tail);
    /// Asks for the cache line of `m` (into the second level); may be nothing.
    fn prefetch(&mut self, m: Mem);

    // --- vector values ------------------------------------------------------------------------------------------

    /// `d = s`.
    fn vmov(&mut self, d: V, s: V);
    /// All lanes hold these 32 bits.
    fn splat(&mut self, d: V, bits: u32);
    /// All lanes hold `s` converted to f32 (`|s| < 2^24` for an exact result).
    fn splat_int(&mut self, d: V, s: Gpr);
    /// Lane-wise operation on one vector.
    fn unary(&mut self, op: UnOp, d: V, a: V);
    /// Lane-wise operation on two vectors.
    fn binary(&mut self, op: BinOp, d: V, a: V, b: V);
    /// `d += a * b`, one rounding, or two where arithmetic is strict. `d` differs from `a` and `b`.
    fn fma(&mut self, d: V, a: V, b: V);
    /// `d = a * b + c`, one rounding. `d` may be any of the operands.
    fn mul_add(&mut self, d: V, a: V, b: V, c: V);
    /// `d = c - a * b`, one rounding. `d` may be any of the operands.
    fn neg_mul_add(&mut self, d: V, a: V, b: V, c: V);
    /// Lane-wise comparison.
    fn cmp(&mut self, op: CmpOp, d: V, a: V, b: V);
    /// `d = mask ? a : b`, per lane; mask lanes are all ones or all zeros.
    fn select(&mut self, d: V, mask: V, a: V, b: V);
    /// All lanes of `d` hold the reduction of the lanes of `s`. `tmp` are distinct from `d` and `s`, and clobbered.
    fn reduce(&mut self, op: ReduceOp, d: V, s: V, tmp: [V; 2]);

    // --- contraction --------------------------------------------------------------------------------------------

    /// The next `n` elements (`1 <= n <= k_step`) of a row of A, for [`Self::fma_scalar`]. Reads exactly `n` f32.
    fn load_scalars(&mut self, d: V, m: Mem, n: usize);
    /// `acc += b * s[lane]`, rounded as by [`Self::fma`], where `s` was loaded by [`Self::load_scalars`] with `n > lane`.
    fn fma_scalar(&mut self, acc: V, b: V, s: V, lane: usize);
    /// The next `n` groups (`1 <= n <= k_step`) of four bytes of a row of A, for [`Self::dot`]. Reads exactly `4 n` bytes.
    fn load_dot_groups(&mut self, d: V, m: Mem, n: usize);
    /// Loads a vector of weights for [`Self::dot`]: four signed bytes for each lane, lane by lane.
    fn load_dot_weights(&mut self, d: V, m: Mem);
    /// For each lane of each vector, `acc += sum over the four bytes of (a - offset) * w`, in 32-bit integers, where `b` were loaded by [`Self::load_dot_weights`] and
    /// `s` by [`Self::load_dot_groups`] with `n > lane`. Exact, if no byte of A is above 127 where
    /// [`DotInfo::seven_bits`] says so. `tmp`, as many as [`DotInfo::temps`], are clobbered.
    fn dot(&mut self, acc: &[V], b: &[V], s: V, lane: usize, tmp: &[V]);
    /// Brings bytes of one to four rows beside each other, for [`Self::dot_lanes`]: lane `l` of `d[i]` gets those of channel `i * lanes + l`, the first
    /// row's first. Where there are fewer than four rows, those of the last one stand for the others. `d` (at most four), `rows` and `tmp` are distinct; the
    /// latter two are clobbered.
    fn interleave(&mut self, d: &[V], rows: &[V], tmp: [V; 2]);
    /// For each lane, `acc += sum over the four bytes of a * w`, in 32-bit integers, where both are of [`Self::interleave`]. The bytes of A are those of which
    /// [`DotInfo::offset`] is already taken. Exact as [`Self::dot`] is; `tmp`, as many as [`DotInfo::temps`], are clobbered.
    fn dot_lanes(&mut self, acc: V, a: V, w: V, tmp: &[V]);
    /// The top bits of the bytes of `s`: `d` is not 0 if one is set. This and the next two where [`DotInfo::seven_bits`] only.
    fn top_bits(&mut self, d: Gpr, s: V);
    /// Each 16-bit word of `d` becomes the low, or `odd` the high byte of that word of `s`, extended.
    fn words(&mut self, d: V, s: V, odd: bool, signed: bool);
    /// For each lane, `acc += a * b` summed over its two signed words, exactly unless all four are -32768. `tmp` is clobbered.
    fn dot_words(&mut self, acc: V, a: V, b: V, tmp: V);
    /// Reads a block of `lanes` rows by 4 columns, rows `stride` bytes apart from `base` on, transposed: `d[c]` holds column `c`.
    /// `base` is clobbered; `tmp` are distinct from `d`.
    fn load_transposed4(&mut self, d: [V; 4], base: Gpr, stride: Src, tmp: [V; 4]);
}
