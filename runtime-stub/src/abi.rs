//! The one definition of what compiled models, the runtime and the C header share in memory.
//!
//! Everything is `repr(C)` for 64-bit targets; the offsets are asserted below, because code generation writes them as
//! numbers. An object starts with a [`Header`]; a [`Value`] is a tag and 64 bits, which for tags 4 to 10 are a pointer
//! to an object of that kind. Reference counts are not atomic: one instance is used by one thread at a time.

use core::mem::offset_of;

/// The version in every symbol and in [`Context::abi`].
pub const ABI_VERSION: u32 = 1;

/// Value tags, which are also the kinds of object headers.
pub mod tag {
    /// The None value.
    pub const NONE: u64 = 0;
    /// bool; bits 0 or 1.
    pub const BOOL: u64 = 1;
    /// int; bits of an i64.
    pub const INT: u64 = 2;
    /// float; bits of an f64.
    pub const FLOAT: u64 = 3;
    /// [`Str`](super::Str).
    pub const STR: u64 = 4;
    /// [`Tensor`](super::Tensor).
    pub const TENSOR: u64 = 5;
    /// [`List`](super::List).
    pub const LIST: u64 = 6;
    /// [`Tuple`](super::Tuple).
    pub const TUPLE: u64 = 7;
    /// [`Dict`](super::Dict).
    pub const DICT: u64 = 8;
    /// [`Object`](super::Object).
    pub const OBJECT: u64 = 9;
    /// A device; the object is a `Str` such as `cpu`.
    pub const DEVICE: u64 = 10;
    /// As an element type: the elements have no single tag.
    pub const ANY: u64 = 0xff;
}

/// Values of [`Context::status`].
pub mod status {
    /// The call went well.
    pub const OK: i32 = 0;
    /// The program raised an exception, or an operator refused its arguments.
    pub const RAISED: i32 = 1;
    /// Memory could not be had.
    pub const OUT_OF_MEMORY: i32 = 2;
    /// The app passed an argument that does not fit the signature.
    pub const BAD_ARGUMENT: i32 = 3;
    /// A bug in kiln.
    pub const INTERNAL: i32 = 4;
}

/// dtype codes: PyTorch's ScalarType numbers.
pub mod dtype {
    /// uint8
    pub const U8: u32 = 0;
    /// int8
    pub const I8: u32 = 1;
    /// int16
    pub const I16: u32 = 2;
    /// int32
    pub const I32: u32 = 3;
    /// int64
    pub const I64: u32 = 4;
    /// float16
    pub const F16: u32 = 5;
    /// float32
    pub const F32: u32 = 6;
    /// float64
    pub const F64: u32 = 7;
    /// bool, one byte, 0 or 1
    pub const BOOL: u32 = 11;
    /// qint8
    pub const QI8: u32 = 12;
    /// quint8
    pub const QU8: u32 = 13;
    /// qint32
    pub const QI32: u32 = 14;
    /// bfloat16
    pub const BF16: u32 = 15;
}

/// The reference count of an object in read-only data: it is never changed and never freed.
pub const IMMORTAL: u32 = u32::MAX;

/// An optional index (the end of a slice) that is absent.
pub const NO_INDEX: i64 = i64::MAX;

/// A value of any type: passed as two 64-bit arguments, returned through a pointer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// One of [`tag`].
    pub tag: u64,
    /// The payload.
    pub bits: u64,
}

impl Value {
    /// None.
    pub const NONE: Value = Value { tag: tag::NONE, bits: 0 };

    /// A value from its two words.
    pub const fn new(tag: u64, bits: u64) -> Value {
        Value { tag, bits }
    }

    /// An int.
    pub const fn int(x: i64) -> Value {
        Value { tag: tag::INT, bits: x as u64 }
    }

    /// A float.
    pub const fn float(x: f64) -> Value {
        Value { tag: tag::FLOAT, bits: x.to_bits() }
    }

    /// A bool.
    pub const fn bool(x: bool) -> Value {
        Value { tag: tag::BOOL, bits: x as u64 }
    }

    /// A value that holds `object`, whose kind is `tag`.
    pub fn object<T>(tag: u64, object: *const T) -> Value {
        Value { tag, bits: object as u64 }
    }

    /// The payload as int.
    pub const fn as_int(self) -> i64 {
        self.bits as i64
    }

    /// The payload as float.
    pub const fn as_float(self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// The payload as a pointer to an object.
    pub fn pointer<T>(self) -> *mut T {
        self.bits as *mut T
    }

    /// Whether the payload is a pointer to an object.
    pub const fn is_object(self) -> bool {
        self.tag >= tag::STR && self.tag <= tag::DEVICE
    }
}

/// The head of every object. Live objects of a context form a doubly linked list.
#[repr(C)]
pub struct Header {
    /// Number of references, or [`IMMORTAL`].
    pub refs: u32,
    /// One of [`tag`].
    pub kind: u32,
    /// Previous object of the context's list.
    pub prev: *mut Header,
    /// Next object of the context's list.
    pub next: *mut Header,
}

/// A string: UTF-8 bytes after the length.
#[repr(C)]
pub struct Str {
    /// Head.
    pub header: Header,
    /// Number of bytes.
    pub len: u64,
    /// The bytes.
    pub bytes: [u8; 0],
}

/// A tensor descriptor. Sizes then strides (in elements) follow, and after them, for objects made by the runtime, one
/// word with the number of bytes of the whole block.
#[repr(C)]
pub struct Tensor {
    /// Head.
    pub header: Header,
    /// First element.
    pub data: *mut u8,
    /// A tensor that keeps `data` alive, or null.
    pub owner: *mut Header,
    /// One of [`dtype`].
    pub dtype: u32,
    /// Number of dimensions.
    pub rank: u32,
    /// `rank` sizes, then `rank` strides.
    pub dims: [i64; 0],
}

/// A list.
#[repr(C)]
pub struct List {
    /// Head.
    pub header: Header,
    /// Number of items.
    pub len: u64,
    /// Room in `items`.
    pub capacity: u64,
    /// The items, null when there is no room.
    pub items: *mut Value,
    /// The tag of the elements, or [`tag::ANY`].
    pub elem_type: u64,
}

/// A tuple, perhaps with field names.
#[repr(C)]
pub struct Tuple {
    /// Head.
    pub header: Header,
    /// Number of items.
    pub len: u64,
    /// Null, or `1 + len` immortal strings: the type name, then the field names.
    pub names: *const *const Str,
    /// The items.
    pub items: [Value; 0],
}

/// A class instance or an enum member.
#[repr(C)]
pub struct Object {
    /// Head.
    pub header: Header,
    /// Address of an immortal [`Str`] with the qualified class name, or 0. Text that starts with `enum ` marks an enum
    /// member with the fields (name, value).
    pub class: u64,
    /// Number of fields.
    pub len: u64,
    /// The fields.
    pub fields: [Value; 0],
}

/// One entry of a dict; a removed one has `live == 0`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Entry {
    /// Key.
    pub key: Value,
    /// Value.
    pub value: Value,
    /// Hash of the key.
    pub hash: u64,
    /// 1, or 0 for a removed entry.
    pub live: u64,
}

/// A dict in insertion order: a dense array of entries, and an open-addressed table of entry numbers.
#[repr(C)]
pub struct Dict {
    /// Head.
    pub header: Header,
    /// Number of live entries.
    pub len: u64,
    /// Number of entries used, removed ones included.
    pub used: u64,
    /// Room in `entries`.
    pub capacity: u64,
    /// The entries in order of insertion.
    pub entries: *mut Entry,
    /// The table: entry number + 1, or 0; `2 * capacity` slots, a power of two.
    pub index: *mut u32,
    /// Tag of the keys, or [`tag::ANY`].
    pub key_type: u64,
    /// Tag of the values, or [`tag::ANY`].
    pub value_type: u64,
}

/// `alloc(user, size, align)`: null when there is no memory.
pub type AllocFn = unsafe extern "C" fn(*mut u8, u64, u64) -> *mut u8;
/// `free(user, pointer, size, align)`.
pub type FreeFn = unsafe extern "C" fn(*mut u8, *mut u8, u64, u64);
/// `print(user, text, length)`.
pub type PrintFn = unsafe extern "C" fn(*mut u8, *const u8, u64);
/// `task(task_user, index)`: one part of a parallel region.
pub type TaskFn = unsafe extern "C" fn(*mut u8, u64);
/// `parallel_for(user, parts, task, task_user)`: runs `task` for every index below `parts` and returns when all are done.
pub type ParallelForFn = unsafe extern "C" fn(*mut u8, u64, TaskFn, *mut u8);
/// `less(user, a, b)`: whether `a` sorts before `b`.
pub type LessFn = unsafe extern "C" fn(*mut u8, *const Value, *const Value) -> i64;

/// The head of every model instance.
#[repr(C)]
pub struct Context {
    /// One of [`status`]; callers of fallible functions test it after the call.
    pub status: i32,
    /// [`ABI_VERSION`].
    pub abi: u32,
    /// Nul-terminated text of the last error, or null.
    pub error_text: *mut u8,
    /// Its length.
    pub error_len: u64,
    /// First of the live objects.
    pub heap: *mut Header,
    /// Allocator; `None` until `context_init`.
    pub alloc: Option<AllocFn>,
    /// Its counterpart.
    pub free: Option<FreeFn>,
    /// First argument of both.
    pub alloc_user: *mut u8,
    /// Print sink; `None` for standard output.
    pub print: Option<PrintFn>,
    /// First argument of it.
    pub print_user: *mut u8,
    /// The app's thread pool, or `None`.
    pub parallel_for: Option<ParallelForFn>,
    /// First argument of it.
    pub parallel_user: *mut u8,
    /// Memory for the planned intermediates of a call.
    pub arena: *mut u8,
    /// The mutable state of the module.
    pub state: *mut Value,
    /// Bytes allocated now.
    pub live_bytes: u64,
    /// Objects alive now.
    pub live_objects: u64,
    /// Room at `error_text`; 0 when that is a constant text.
    pub error_capacity: u64,
    /// Values the app holds: a list that [`sweep`](crate::memory::sweep) never frees; null when there are none.
    pub held: *mut List,
    /// Number of values at `state`.
    pub state_len: u64,
}

/// What an app may choose when it creates an instance; null pointers mean the default.
#[repr(C)]
pub struct Options {
    /// [`ABI_VERSION`] of the header the app was compiled with.
    pub abi: u32,
    /// The most threads that a call may use, the caller's among them; 0: one for each processor. Models compiled for one thread do
    /// not read it.
    pub threads: u32,
    /// Allocator, with `free`: both or none.
    pub alloc: Option<AllocFn>,
    /// Its counterpart.
    pub free: Option<FreeFn>,
    /// First argument of both.
    pub alloc_user: *mut u8,
    /// Print sink.
    pub print: Option<PrintFn>,
    /// First argument of it.
    pub print_user: *mut u8,
    /// The app's thread pool.
    pub parallel_for: Option<ParallelForFn>,
    /// First argument of it.
    pub parallel_user: *mut u8,
    /// Memory for the arena, 64-byte aligned, or null.
    pub arena: *mut u8,
    /// Its size.
    pub arena_bytes: u64,
}

const _: () = {
    assert!(size_of::<Value>() == 16 && size_of::<Header>() == 24);
    assert!(offset_of!(Str, len) == 24 && offset_of!(Str, bytes) == 32);
    assert!(offset_of!(Tensor, data) == 24 && offset_of!(Tensor, owner) == 32);
    assert!(offset_of!(Tensor, dtype) == 40 && offset_of!(Tensor, rank) == 44 && offset_of!(Tensor, dims) == 48);
    assert!(offset_of!(List, len) == 24 && offset_of!(List, capacity) == 32 && offset_of!(List, items) == 40);
    assert!(offset_of!(List, elem_type) == 48 && size_of::<List>() == 56);
    assert!(offset_of!(Tuple, len) == 24 && offset_of!(Tuple, names) == 32 && offset_of!(Tuple, items) == 40);
    assert!(offset_of!(Object, class) == 24 && offset_of!(Object, len) == 32 && offset_of!(Object, fields) == 40);
    assert!(offset_of!(Context, error_text) == 8 && offset_of!(Context, error_len) == 16);
    assert!(offset_of!(Context, heap) == 24 && offset_of!(Context, alloc) == 32 && offset_of!(Context, free) == 40);
    assert!(offset_of!(Context, alloc_user) == 48 && offset_of!(Context, print) == 56);
    assert!(offset_of!(Context, print_user) == 64 && offset_of!(Context, parallel_for) == 72);
    assert!(offset_of!(Context, parallel_user) == 80 && offset_of!(Context, arena) == 88);
    assert!(offset_of!(Context, state) == 96 && offset_of!(Context, live_bytes) == 104);
    assert!(offset_of!(Context, live_objects) == 112 && offset_of!(Context, error_capacity) == 120);
    assert!(offset_of!(Context, held) == 128 && offset_of!(Context, state_len) == 136 && size_of::<Context>() == 144);
    assert!(size_of::<Options>() == 80);
};
