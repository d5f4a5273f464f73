//! The runtime that compiled models link with: objects, strings, containers, printing, scalar math, irregular tensor
//! algorithms and dense linear algebra, behind a C ABI with the versioned prefix `kiln_rt1_`.
//!
//! What goes in and out: plain numbers, pointers to the objects of [`abi`], and raw buffers. Every exported function is
//! listed in [`SYMBOLS`] with its signature; `ABI.md` beside the crate is generated from that list. Rules that hold
//! throughout:
//!
//! * Fallible functions take the [`abi::Context`] first and report through its status; they return null or zero then.
//! * Objects and values handed out are owned by the caller, arguments are borrowed, storing retains.
//! * Nothing here aborts, unwinds, or keeps global state; instances of a model share nothing.
//! * No dependency but `libm`; from the platform only memory and a place to print, and threads where a pool is asked for.
//!
//! The crate is `no_std` and is linked in two ways: into the compiler, whose constant folding and loader use the very
//! functions a shipped model uses, and, through the wrapper in `staticlib/`, into one object per target.

#![cfg_attr(not(test), no_std)]
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "the crate works on raw objects throughout; the contract of its pointers is the ABI's, stated once in ABI.md"
)]

pub mod abi;
pub mod export;

mod algorithms;
mod decimal;
mod dict;
mod equality;
mod error;
mod format;
mod linalg;
mod list;
pub mod math;
mod memory;
mod parallel;
mod platform;
mod print;
mod slice;
mod string;
mod tensor;
mod tensor_print;
mod text;
mod tuple;
pub mod value_tree;

#[cfg(test)]
mod abi_document;
#[cfg(test)]
mod test_context;

use export::Symbol;

/// The tables of all modules, by family: the headings of `ABI.md`.
const FAMILIES: &[(&str, &[Symbol])] = &[
    ("Memory and instances", memory::EXPORTS),
    ("Errors", error::EXPORTS),
    ("Strings", string::EXPORTS),
    ("Strings: case and character classes", string::case::EXPORTS),
    ("Strings: searching", string::search::EXPORTS),
    ("Strings: splitting and joining", string::split::EXPORTS),
    ("Strings: padding", string::pad::EXPORTS),
    ("Strings: conversions", string::convert::EXPORTS),
    ("Lists", list::EXPORTS),
    ("Lists: whole lists", list::edit::EXPORTS),
    ("Lists: order and equality", list::order::EXPORTS),
    ("Tuples and objects", tuple::EXPORTS),
    ("Dicts", dict::EXPORTS),
    ("Values", equality::EXPORTS),
    ("Printing", print::EXPORTS),
    ("Formatting", format::EXPORTS),
    ("Tensors", tensor::EXPORTS),
    ("Tensors: single elements", tensor::item::EXPORTS),
    ("Tensors: nested lists", tensor::nested::EXPORTS),
    ("Tensors: joining lists", tensor::join::EXPORTS),
    ("Half-precision conversions", tensor::half::EXPORTS),
    ("Math: elementary functions", math::elementary::EXPORTS),
    ("Math: elementary functions of two arguments", math::elementary::two::EXPORTS),
    ("Math: elementary functions of three arguments", math::elementary::three::EXPORTS),
    ("Math: the normal distribution", math::normal::EXPORTS),
    ("Math: gamma functions", math::gamma::EXPORTS),
    ("Math: gamma functions of two arguments", math::gamma::two::EXPORTS),
    ("Math: Bessel functions", math::bessel::EXPORTS),
    ("Math: Airy function", math::airy::EXPORTS),
    ("Math: Chebyshev polynomials", math::polynomial::chebyshev::EXPORTS),
    ("Math: other orthogonal polynomials", math::polynomial::others::EXPORTS),
    ("Math: remainders", math::remainder::EXPORTS),
    ("Integers: with errors", math::integer::EXPORTS),
    ("Integers: without errors", math::integer::plain::EXPORTS),
    ("Algorithms: sorting", algorithms::sort::EXPORTS),
    ("Algorithms: selection", algorithms::select::EXPORTS),
    ("Algorithms: running extremes", algorithms::scan::EXPORTS),
    ("Algorithms: distinct elements", algorithms::unique::EXPORTS),
    ("Algorithms: searching and counting", algorithms::search::EXPORTS),
    ("Algorithms: masks and indices", algorithms::gather::EXPORTS),
    ("Algorithms: scatter", algorithms::scatter::EXPORTS),
    ("Algorithms: boxes", algorithms::boxes::EXPORTS),
    ("Linear algebra: LU", linalg::lu::EXPORTS),
    ("Linear algebra: Cholesky and triangles", linalg::cholesky::EXPORTS),
    ("Linear algebra: QR", linalg::qr::EXPORTS),
    ("Linear algebra: eigenvalues", linalg::eigen::EXPORTS),
    ("Linear algebra: singular values", linalg::svd::EXPORTS),
    ("Parallel regions", parallel::EXPORTS),
    ("Value trees for apps", value_tree::EXPORTS),
];

const fn count_symbols() -> usize {
    let (mut count, mut table) = (0, 0);
    while table < FAMILIES.len() {
        count += FAMILIES[table].1.len();
        table += 1;
    }
    count
}

const fn join_tables<const N: usize>() -> [Symbol; N] {
    let mut joined = [FAMILIES[0].1[0]; N];
    let (mut at, mut table) = (0, 0);
    while table < FAMILIES.len() {
        let mut row = 0;
        while row < FAMILIES[table].1.len() {
            joined[at] = FAMILIES[table].1[row];
            at += 1;
            row += 1;
        }
        table += 1;
    }
    joined
}

/// Every exported function: name, address, signature, documentation.
pub static SYMBOLS: &[Symbol] = &join_tables::<{ count_symbols() }>();

/// The entry of a symbol, by its full name.
pub fn symbol(name: &str) -> Option<&'static Symbol> {
    SYMBOLS.iter().find(|symbol| symbol.name == name)
}
