//! The core operators, by family.

mod activations;
mod binary;
mod channels_last;
mod containers;
mod create;
mod einsum;
mod fourier;
mod index;
mod linalg;
mod linear;
mod movement;
mod narrow_weights;
mod order;
mod pointwise;
mod pooling;
mod quantized;
mod reduce;
mod regroup;
mod rules;
mod sampling;
mod scalars;
mod scatters;
mod views;

pub use narrow_weights::INT4_GROUP;

use crate::entry::Entry;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The families.
const FAMILIES: &[&[Entry]] = &[
    channels_last::ENTRIES,
    containers::DICTS,
    containers::DICT_QUESTIONS,
    containers::LISTS,
    containers::LIST_QUESTIONS,
    containers::STRINGS,
    containers::STRING_QUESTIONS,
    scalars::BINARY,
    scalars::UNARY,
    scalars::FLOAT,
    scalars::OTHER,
    pointwise::FLOAT,
    pointwise::SAME,
    pointwise::NUMBERS,
    pointwise::TESTS,
    pointwise::OTHER,
    activations::PLAIN,
    activations::OTHER,
    binary::COMPARISONS,
    binary::LOGICAL,
    binary::COMMON,
    binary::NUMBERS,
    binary::FLOAT,
    binary::ONLY_FLOAT,
    binary::BITS,
    binary::INTS,
    binary::OTHER,
    binary::CHOICES,
    narrow_weights::ENTRIES,
    views::ENTRIES,
    movement::ENTRIES,
    create::FILLED,
    create::ENTRIES,
    reduce::ENTRIES,
    linear::ENTRIES,
    index::ENTRIES,
    scatters::ENTRIES,
    order::ENTRIES,
    linalg::ENTRIES,
    pooling::ENTRIES,
    quantized::ENTRIES,
    sampling::RESIZE,
    sampling::GRID,
    sampling::FILTERED,
    einsum::ENTRIES,
    fourier::ENTRIES,
];

/// The entry of a core operator.
pub fn entry(key: &str) -> Option<&'static Entry> {
    static INDEX: OnceLock<HashMap<&'static str, &'static Entry>> = OnceLock::new();
    INDEX.get_or_init(|| all().map(|e| (e.key, e)).collect()).get(key).copied()
}

/// Every core operator.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_entry_names_an_operator_once() {
        let mut seen = std::collections::HashSet::new();
        for entry in super::all() {
            assert!(crate::table().find(entry.key).is_some(), "no operator `{}`", entry.key);
            assert!(seen.insert(entry.key), "`{}` has two entries", entry.key);
        }
    }
}
