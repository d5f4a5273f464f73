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
/// Behind that: the state slots.
pub const INSTANCE_STATE: i32 = CONTEXT_BYTES + 16;

/// Size of a runtime `Value`.
pub const VALUE_BYTES: i64 = 16;

/// `Options.abi`, 32 bits.
pub const OPTIONS_ABI: i32 = 0;
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
