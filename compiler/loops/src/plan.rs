//! The imperative program of a compiled model: what code generation turns into functions.
//!
//! A plan is structured (no jumps but loop exits), its locals are mutable, its memory is explicit.
//! It says nothing of graphs, operators or instruction sets.
//!
//! Memory, all reached from the instance's context (`kiln-rt`, `Context`):
//! * the *arena*: scratch of a call, at offsets known when compiling;
//! * *state*: one runtime `Value` (tag, bits) per slot, kept between calls;
//! * read-only *data* in the object: weights, constants, strings, immortal runtime objects;
//! * run-time objects, reference-counted; the plan retains and releases them explicitly.

use crate::Compute;
use crate::scalar::{BinaryOp, MathOp, UnaryOp};
use kiln_support::{DType, PrimaryMap, Span, entity};
use std::sync::Arc;

entity!(
    /// A mutable local of a method.
    Local, "l"
);
entity!(
    /// A stack slot of a method.
    Slot, "slot"
);
entity!(
    /// A computation of the plan.
    ComputeId, "compute"
);
entity!(
    /// A vector kernel of the plan.
    KernelId, "kernel"
);
entity!(
    /// Read-only data of the plan.
    DataId, "data"
);

/// A compiled model before code generation. `K` describes a vector kernel.
#[derive(Clone, Debug)]
pub struct Plan<K> {
    /// Exported methods.
    pub methods: Vec<Method>,
    /// The same methods for CPUs that have more features, the best last. An instance uses one of these, or `methods`.
    pub variants: Vec<Variant>,
    /// Sets the initial state: run by `create` and `reset`. It takes no arguments and gives no result.
    pub init: Method,
    /// How many state slots there are.
    pub state_slots: usize,
    /// Computations, without doubles.
    pub computes: PrimaryMap<ComputeId, Compute>,
    /// Vector kernels, without doubles.
    pub kernels: PrimaryMap<KernelId, K>,
    /// Read-only data.
    pub data: PrimaryMap<DataId, Data>,
    /// Bytes of arena that the largest method needs; every arena offset is below.
    pub arena_bytes: u64,
}

impl<K> Plan<K> {
    /// All that is executed: the methods, those of the variants, and the initialisation.
    pub fn bodies(&self) -> impl Iterator<Item = &Method> {
        let variants = self.variants.iter().flat_map(|variant| &variant.methods);
        self.methods.iter().chain(variants).chain([&self.init])
    }
}

/// The methods of a plan, computed with kernels for a CPU that has more features.
#[derive(Clone, Debug)]
pub struct Variant {
    /// What the CPU must have, by the names that rustc uses (`dotprod`, `avx512f`).
    pub features: Vec<&'static str>,
    /// The methods, in the plan's order.
    pub methods: Vec<Method>,
}

/// Read-only data.
#[derive(Clone, Debug)]
pub struct Data {
    /// What it is, for symbols and dumps.
    pub name: String,
    /// The bytes.
    pub bytes: Arc<[u8]>,
    /// Alignment, a power of two.
    pub align: u64,
    /// Pointers inside: at this offset stands the address of other data plus an addend. (Immortal runtime
    /// objects, such as constant strings in a constant list.)
    pub relocations: Vec<(u64, DataId, i64)>,
}

/// A method.
#[derive(Clone, Debug, Default)]
pub struct Method {
    /// Its name, such as `forward`.
    pub name: String,
    /// What it takes, for the header and the entry checks.
    pub params: Vec<ParamDesc>,
    /// What it gives.
    pub result: TypeDesc,
    /// Types of the locals.
    pub locals: PrimaryMap<Local, LocalType>,
    /// Sizes of the stack slots in bytes, each 16-byte aligned.
    pub slots: PrimaryMap<Slot, u32>,
    /// The body. Arguments are read from [`Operand::Args`] (an array of runtime `Value`s), the result is
    /// written to [`Operand::Result`] (one runtime `Value`).
    pub body: Vec<Stmt>,
}

/// A parameter, as the outside sees it.
#[derive(Clone, Debug)]
pub struct ParamDesc {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: TypeDesc,
}

/// A type, as the outside sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TypeDesc {
    /// `None`.
    #[default]
    None,
    /// A truth value.
    Bool,
    /// A 64-bit integer.
    Int,
    /// A binary64.
    Float,
    /// A string.
    Str,
    /// A tensor: element type and sizes; a size is a number or a symbol.
    Tensor(DType, Vec<DimDesc>),
    /// A tensor of which nothing is known.
    AnyTensor,
    /// An Optional.
    Optional(Box<TypeDesc>),
    /// A list.
    List(Box<TypeDesc>),
    /// A tuple; a named tuple with its name and field names.
    Tuple(Vec<TypeDesc>, Option<(String, Vec<String>)>),
    /// A dict.
    Dict(Box<TypeDesc>, Box<TypeDesc>),
    /// Anything else: a value tree.
    Any,
}

/// A size, as the outside sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum DimDesc {
    /// Fixed.
    Const(i64),
    /// A symbol, the same wherever the name is the same; an unnamed one is its own.
    Symbol(String),
}

/// Types of locals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalType {
    /// A 64-bit integer, a pointer, or the tag or bits of a runtime value.
    Int,
    /// A binary32.
    F32,
    /// A binary64.
    F64,
    /// A truth value.
    Bool,
}

/// An operand.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Operand {
    /// A local's present value.
    Local(Local),
    /// An integer constant.
    Int(i64),
    /// A binary32 constant.
    F32(f32),
    /// A binary64 constant.
    F64(f64),
    /// A truth value.
    Bool(bool),
    /// The address of the instance's context.
    Context,
    /// The address of the arguments: runtime `Value`s.
    Args,
    /// The address of the result: one runtime `Value`.
    Result,
    /// An address in read-only data.
    Data(DataId, u64),
    /// An address in the arena.
    Arena(u64),
    /// The address of a state slot: a runtime `Value`.
    State(u32),
    /// An address in a stack slot.
    Slot(Slot, u32),
}

/// Memory access types: how many bytes, and how they are widened into a local.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// An element: narrow integers are widened to `Int`, 16-bit floats to `F32`, truth values to `Bool`.
    Element(DType),
    /// 64 bits: a pointer, a tag, bits.
    Word,
    /// 32 bits, unsigned: a field of a runtime header.
    Half,
}

/// A scalar operation: the same meaning as in expressions ([`crate::scalar`]). Locals of type `Int` are
/// of kind int, and so on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ScalarOp {
    /// A copy.
    Copy,
    /// One operand.
    Unary(UnaryOp),
    /// Two operands of one kind.
    Binary(BinaryOp),
    /// A function of the runtime's scalar library.
    Math(MathOp),
    /// `a ? b : c`, all evaluated.
    Select,
    /// Conversion to an element type, held in its kind (so also between kinds).
    Cast(DType),
    /// The bits of a binary64 as an int.
    FloatBits,
    /// The binary64 of these bits.
    BitsFloat,
}

/// How the work of a kernel is divided into calls that may run at the same time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Split {
    /// How many calls.
    pub parts: u32,
    /// The arguments that are the first unit of work, and one past the last.
    pub range: [u32; 2],
    /// The argument that is scratch memory, and the bytes from one call's to the next's.
    pub scratch: Option<(u32, u32)>,
}

/// A statement.
#[derive(Clone, Debug)]
pub enum Stmt {
    /// `dst = op(args)`.
    Scalar { dst: Local, op: ScalarOp, args: Vec<Operand> },
    /// `dst = memory[base + offset]`.
    Load { dst: Local, base: Operand, offset: i64, access: Access },
    /// `memory[base + offset] = value`.
    Store { base: Operand, offset: i64, value: Operand, access: Access },
    /// Runs a computation: addresses of outputs, then inputs, then parameters. On a failed check the method
    /// raises `failure` (an index error).
    Compute { id: ComputeId, outputs: Vec<Operand>, inputs: Vec<Operand>, params: Vec<Operand>, failure: Option<DataId> },
    /// Calls a vector kernel with pointer and integer arguments. It cannot fail. Where it is split, threads share it.
    Kernel { id: KernelId, args: Vec<Operand>, split: Option<Split> },
    /// Calls a function of the runtime by name (without `kiln_rt1_`). Where `fallible`, the context is the first
    /// argument and its status is tested afterwards: the method ends with it if it is not zero.
    Runtime { name: &'static str, args: Vec<Operand>, result: Option<Local>, fallible: bool },
    /// Copies bytes between buffers that do not overlap.
    CopyBytes { to: Operand, from: Operand, bytes: Operand },
    /// Fills with zero bytes.
    ZeroBytes { to: Operand, bytes: Operand },
    /// Conditional.
    If { test: Operand, then: Vec<Stmt>, orelse: Vec<Stmt> },
    /// Repeats the body until it breaks.
    Loop { body: Vec<Stmt> },
    /// Runs the body for every `index` below `count`, in any order: threads share the indices, and no index touches what
    /// another writes. The body loads, stores, computes scalars and calls whole kernels, in loops and under conditions, too; what it
    /// sets is not seen outside, and the slots that it stores to are its own for each index.
    Parallel { index: Local, count: Operand, body: Vec<Stmt> },
    /// Leaves the innermost loop.
    Break,
    /// Ends the method: status raised, with a constant NUL-terminated text (the data's bytes, NUL included).
    Raise { text: DataId },
    /// Ends the method with a status and an optional constant text.
    Fail { status: i32, text: Option<DataId> },
    /// Ends the method: done.
    Return,
    /// Where the next statements stem from.
    At(Span),
    /// Tells the host of a profiled call that what led here since the last mark was this site's
    /// (`kiln_profile_mark(site)`). Never in a plan that is shipped.
    Mark(u32),
}
