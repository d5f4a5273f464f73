//! The prebuilt runtime objects that this library carries, one per triple.

/// Triples and objects, in alphabetical order.
const OBJECTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/runtime_objects.rs"));

/// The runtime of a triple, by the name that the command line uses, if it is there. A musl target takes the runtime of
/// the GNU one, which asks nothing of the C library that the other lacks.
pub fn runtime_object(triple: &str) -> Option<&'static [u8]> {
    let find = |name: &str| OBJECTS.iter().find(|(t, _)| *t == name).map(|(_, bytes)| *bytes);
    find(triple).or_else(|| triple.strip_suffix("-musl").and_then(|head| find(&format!("{head}-gnu"))))
}

/// The triples whose runtime is there.
pub fn runtime_triples() -> impl Iterator<Item = &'static str> {
    OBJECTS.iter().map(|(triple, _)| *triple)
}
