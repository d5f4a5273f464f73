//! One place for a function's Rust name, its symbol and its row in the symbol table.
//!
//! [`exports!`] turns plain function definitions into `extern "C"` functions whose symbol is the Rust name behind the
//! versioned prefix, and gathers them in a table `EXPORTS` of the module. The crate root joins the tables of all
//! modules into [`SYMBOLS`](crate::SYMBOLS), which the loader uses to resolve references of compiled models, and which
//! code generation uses to declare imports with the right signature.

/// How a parameter or a result travels; everything is one machine register wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A 64-bit integer: `i64` or `u64`. Flags and dtype codes travel as these too.
    I64,
    /// A 64-bit float.
    F64,
    /// A 32-bit float.
    F32,
    /// A pointer to an object, a buffer, or a function.
    Pointer,
}

/// Rust types that may stand in an exported signature.
pub trait Passed {
    /// How the type travels.
    const KIND: Kind;
}

impl Passed for i64 {
    const KIND: Kind = Kind::I64;
}
impl Passed for u64 {
    const KIND: Kind = Kind::I64;
}
impl Passed for f64 {
    const KIND: Kind = Kind::F64;
}
impl Passed for f32 {
    const KIND: Kind = Kind::F32;
}
impl<T> Passed for *const T {
    const KIND: Kind = Kind::Pointer;
}
impl<T> Passed for *mut T {
    const KIND: Kind = Kind::Pointer;
}
impl Passed for Option<crate::abi::LessFn> {
    const KIND: Kind = Kind::Pointer;
}
impl Passed for Option<crate::abi::TaskFn> {
    const KIND: Kind = Kind::Pointer;
}

/// One exported function.
#[derive(Clone, Copy)]
pub struct Symbol {
    /// Full symbol, prefix included.
    pub name: &'static str,
    /// Address in this process.
    pub address: *const (),
    /// Parameters in order.
    pub params: &'static [Kind],
    /// The result, if there is one.
    pub result: Option<Kind>,
    /// Parameters as `name: type,` and the result type, as written in Rust: the source of `ABI.md`.
    pub signature: &'static str,
    /// The documentation of the function.
    pub doc: &'static str,
}

// SAFETY: `address` is a code address, read-only and valid for the life of the process.
unsafe impl Sync for Symbol {}

/// The symbol of an exported function, prefix included.
macro_rules! symbol_name {
    ($name:ident) => {
        concat!("kiln_rt1_", stringify!($name))
    };
}
pub(crate) use symbol_name;

/// The result row of a symbol: `None` for a function without result.
macro_rules! result_kind {
    () => {
        None
    };
    ($ret:ty) => {
        Some(<$ret as $crate::export::Passed>::KIND)
    };
}
pub(crate) use result_kind;

/// The table of a module, from the signatures of its functions.
macro_rules! export_table {
    ($($(#[doc = $doc:literal])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        pub(crate) static EXPORTS: &[$crate::export::Symbol] = &[$(
            $crate::export::Symbol {
                name: $crate::export::symbol_name!($name),
                address: $name as *const (),
                params: &[$(<$ty as $crate::export::Passed>::KIND),*],
                result: $crate::export::result_kind!($($ret)?),
                signature: concat!($(stringify!($arg), ": ", stringify!($ty), ", ",)* $("-> ", stringify!($ret))?),
                doc: concat!($($doc, "\n"),*),
            },
        )*];
    };
}
pub(crate) use export_table;

/// Defines exported functions that take pointers, and the module's table of them.
macro_rules! exports {
    ($($(#[doc = $doc:literal])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block)*) => {
        $(
            $(#[doc = $doc])*
            ///
            /// # Safety
            /// Pointers are what the ABI says: live objects of the named type, or buffers of the stated length.
            #[unsafe(export_name = $crate::export::symbol_name!($name))]
            pub unsafe extern "C" fn $name($($arg: $ty),*) $(-> $ret)? $body
        )*
        $crate::export::export_table!($($(#[doc = $doc])* fn $name($($arg: $ty),*) $(-> $ret)?;)*);
    };
}
pub(crate) use exports;

/// Defines exported functions of plain numbers, which are safe to call, and the module's table of them.
macro_rules! number_exports {
    ($($(#[doc = $doc:literal])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block)*) => {
        $(
            $(#[doc = $doc])*
            #[unsafe(export_name = $crate::export::symbol_name!($name))]
            pub extern "C" fn $name($($arg: $ty),*) $(-> $ret)? $body
        )*
        $crate::export::export_table!($($(#[doc = $doc])* fn $name($($arg: $ty),*) $(-> $ret)?;)*);
    };
}
pub(crate) use number_exports;
