//! Decompositions: operators written in scripted Python over core operators.
//!
//! Each file under `prelude/` holds functions decorated with the keys of the operators they define:
//!
//! ```python
//! @op("aten::square")
//! def square(self: Tensor) -> Tensor:
//!     """self * self"""
//!     return self * self
//! ```
//!
//! A function takes the schema's arguments in order. A call of it is replaced by its body wherever it
//! is specialised, so that `if`s on ranks, element types and constants cost nothing.

use std::collections::HashMap;
use std::sync::OnceLock;

/// A prelude file.
pub struct PreludeFile {
    /// Its name, for diagnostics.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! prelude {
    ($($name:literal),* $(,)?) => {
        /// All prelude files.
        pub const FILES: &[PreludeFile] = &[$(PreludeFile { name: $name, text: include_str!(concat!("../prelude/", $name)) }),*];
    };
}

prelude![
    "attention.py",
    "classification.py",
    "comparisons.py",
    "containers.py",
    "convolution.py",
    "copies.py",
    "detection.py",
    "factors.py",
    "histograms.py",
    "indexing.py",
    "linalg.py",
    "linear.py",
    "lists.py",
    "loss.py",
    "norm.py",
    "norm_native.py",
    "order.py",
    "packed.py",
    "pointwise.py",
    "quantized.py",
    "quantized_layers.py",
    "recurrent.py",
    "scalars.py",
    "shapes.py",
    "signals.py",
    "special.py",
    "statistics.py",
];

/// Where an operator's decomposition is: file number and function name.
pub fn find(key: &str) -> Option<(usize, &'static str)> {
    static INDEX: OnceLock<HashMap<&'static str, (usize, &'static str)>> = OnceLock::new();
    INDEX.get_or_init(index).get(key).copied()
}

/// Every operator that has a decomposition.
pub fn keys() -> Vec<&'static str> {
    FILES.iter().enumerate().flat_map(|(i, file)| decorated(i, file.text)).map(|(key, _)| key).collect()
}

fn index() -> HashMap<&'static str, (usize, &'static str)> {
    FILES.iter().enumerate().flat_map(|(i, file)| decorated(i, file.text)).collect()
}

/// The decorated functions of a file. Decorators stand on lines of their own, `@op("key", ...)`.
fn decorated(file: usize, text: &'static str) -> Vec<(&'static str, (usize, &'static str))> {
    let (mut found, mut pending) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("@op(") {
            pending.extend(rest.split('"').skip(1).step_by(2));
        } else if let Some(rest) = line.strip_prefix("def ") {
            let name = &rest[..rest.find('(').unwrap_or(rest.len())];
            found.extend(pending.drain(..).map(|key| (key, (file, name))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_decomposition_names_an_operator() {
        for key in super::keys() {
            assert!(crate::table().find(key).is_some(), "no operator `{key}`");
            assert!(crate::entry(key).is_none(), "`{key}` is a core operator too");
        }
    }
}
