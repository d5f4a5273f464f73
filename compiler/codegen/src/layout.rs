//! Offsets in the memory that compiled code shares with the runtime and the app, as numbers for code generation.
//!
//! `kiln_rt::abi` is the definition; a test compares.

/// `Context.status`, 32 bits.
pub const STATUS: i32 = 0;
/// `Context.abi`, 32 bits.
pub const ABI: i32 = 4;
/// `Context.error_text`.
pub const ERROR_TEXT: i32 = 8;
/// `Context.error_len`.
pub const ERROR_LEN: i32 = 16;
/// `Context.alloc`; the fields up to `alloc_user` follow in the order of `Options.alloc`.
pub const ALLOC: i32 = 32;
/// `Context.free`.
pub const FREE: i32 = 40;
/// `Context.alloc_user`.
pub const ALLOC_USER: i32 = 48;
/// `Context.arena`.
pub const ARENA: i32 = 88;
/// `Context.state`.
pub const STATE: i32 = 96;
/// `Context.state_len`.
pub const STATE_LEN: i32 = 136;
/// Size of `Context`.
pub const CONTEXT_BYTES: i32 = 144;

/// Behind the context of an instance: the block to give to `free` of the C library, or 0 when the options'
/// allocator made it.
pub const INSTANCE_BLOCK: i32 = CONTEXT_BYTES;
/// Behind that: the size given to the options' allocator.
pub const INSTANCE_SIZE: i32 = CONTEXT_BYTES + 8;
/// Behind that: the runtime `Value` that the last call by tensors gave, kept alive for its views.
pub const INSTANCE_RESULT: i32 = CONTEXT_BYTES + 16;
/// Behind that: the number of the variant that its methods use.
pub const INSTANCE_VARIANT: i32 = CONTEXT_BYTES + 32;
/// Behind that, and a word that is not used: the state slots.
pub const INSTANCE_STATE: i32 = CONTEXT_BYTES + 48;

/// `Header.refs`, 32 bits.
pub const REFS: i32 = 0;
/// `Header.kind`, 32 bits.
pub const KIND: i32 = 4;
/// `Tensor.data`.
pub const TENSOR_DATA: i32 = 24;
/// `Tensor.dtype`, 32 bits.
pub const TENSOR_DTYPE: i32 = 40;
/// `Tensor.rank`, 32 bits.
pub const TENSOR_RANK: i32 = 44;
/// Sizes, then strides, of a `Tensor`.
pub const TENSOR_DIMS: i32 = 48;
/// Items of a `Tuple`.
pub const TUPLE_ITEMS: i32 = 40;
/// The reference count of an object that is not counted.
pub const IMMORTAL: i64 = 0xffff_ffff;
/// Tag of tensors.
pub const TAG_TENSOR: i64 = 5;
/// Tag of tuples.
pub const TAG_TUPLE: i64 = 7;

/// Size of a `kiln_tensor`, the app's view of a tensor (`kiln.h`).
pub const VIEW_BYTES: i32 = 32;
/// Its elements.
pub const VIEW_DATA: i32 = 0;
/// Its dtype, 32 bits.
pub const VIEW_DTYPE: i32 = 8;
/// Its rank, 32 bits.
pub const VIEW_RANK: i32 = 12;
/// Its sizes.
pub const VIEW_SIZES: i32 = 16;
/// Its strides, or null.
pub const VIEW_STRIDES: i32 = 24;

/// Size of a runtime `Value`.
pub const VALUE_BYTES: i64 = 16;

/// `Options.abi`, 32 bits.
pub const OPTIONS_ABI: i32 = 0;
/// `Options.threads`, 32 bits.
pub const OPTIONS_THREADS: i32 = 4;
/// `Options.alloc`.
pub const OPTIONS_ALLOC: i32 = 8;
/// `Options.free`.
pub const OPTIONS_FREE: i32 = 16;
/// `Options.alloc_user`.
pub const OPTIONS_ALLOC_USER: i32 = 24;
/// `Options.arena`.
pub const OPTIONS_ARENA: i32 = 64;
/// `Options.arena_bytes`.
pub const OPTIONS_ARENA_BYTES: i32 = 72;

/// Words that `Options` and `Context` share, as (offset in options, offset in context): allocator, its counterpart,
/// their argument, print sink and argument, thread pool and argument.
pub const COPIED_OPTIONS: [(i32, i32); 7] = [(8, 32), (16, 40), (24, 48), (32, 56), (40, 64), (48, 72), (56, 80)];

/// The ABI version compiled code expects in options and writes into contexts.
pub const ABI_VERSION: i64 = 1;

/// Status: the program raised.
pub const RAISED: i64 = 1;
/// Status: no memory.
pub const OUT_OF_MEMORY: i64 = 2;
/// Status: an argument does not fit.
pub const BAD_ARGUMENT: i64 = 3;
/// Status: a bug in kiln.
pub const INTERNAL: i64 = 4;
