//! Flat signatures: a method of tensors as a function of element pointers and sizes, the same for every language.
//!
//! Each input is a pointer to its elements without gaps; each size that is not a number is a parameter, once per
//! symbol. An output whose sizes all follow from those is written where the caller says; any other comes as a view.

use crate::model::ModelMethod;
use kiln_loops::plan::{DimDesc, TypeDesc};
use kiln_support::DType;
use std::collections::BTreeMap;

/// A flat signature. Names are identifiers of C and of Rust, all different.
pub(crate) struct Flat {
    pub(crate) inputs: Vec<FlatTensor>,
    /// Sizes that the caller gives.
    pub(crate) sizes: Vec<String>,
    pub(crate) outputs: Vec<FlatTensor>,
}

/// A tensor of a flat signature.
pub(crate) struct FlatTensor {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    /// Sizes; `None` where an output has a size that is not known before the call.
    pub(crate) dims: Vec<FlatDim>,
}

/// A size.
#[derive(Clone, PartialEq)]
pub(crate) enum FlatDim {
    Const(i64),
    /// A size parameter.
    Param(String),
    /// Known after the call only.
    Unknown,
}

impl FlatTensor {
    /// Whether all sizes are known before the call.
    pub(crate) fn is_known(&self) -> bool {
        !self.dims.contains(&FlatDim::Unknown)
    }
}

/// Words that are no names in C, C++ or Rust, and names that the bindings use themselves.
const TAKEN: &[&str] = &[
    "abstract",
    "alignas",
    "and",
    "as",
    "asm",
    "async",
    "auto",
    "await",
    "become",
    "bool",
    "box",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "crate",
    "default",
    "delete",
    "do",
    "double",
    "dyn",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "final",
    "float",
    "fn",
    "for",
    "friend",
    "gen",
    "goto",
    "if",
    "impl",
    "in",
    "inline",
    "inputs",
    "instance",
    "int",
    "int16_t",
    "int32_t",
    "int64_t",
    "int8_t",
    "let",
    "long",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "namespace",
    "new",
    "not",
    "operator",
    "or",
    "outputs",
    "override",
    "priv",
    "private",
    "protected",
    "pub",
    "public",
    "ref",
    "register",
    "restrict",
    "result",
    "return",
    "self",
    "short",
    "signed",
    "sizeof",
    "static",
    "status",
    "struct",
    "super",
    "switch",
    "template",
    "this",
    "throw",
    "trait",
    "true",
    "try",
    "type",
    "typedef",
    "typename",
    "typeof",
    "uint8_t",
    "uint16_t",
    "union",
    "unsafe",
    "unsigned",
    "unsized",
    "use",
    "using",
    "virtual",
    "void",
    "volatile",
    "where",
    "while",
    "xor",
    "yield",
    "Self",
    "memcpy",
    "NULL",
];

/// Gives out identifiers, each once.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn fresh(&mut self, wanted: &str) -> String {
        let mut name: String = wanted.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || name.chars().all(|c| c == '_') {
            name.insert_str(0, "arg");
        }
        // Two underscores, or one and a capital, at the start are the implementation's in C.
        if name.starts_with('_') {
            name.insert_str(0, "arg");
        }
        // The bindings add `_sizes_` to a name for its array of sizes.
        while TAKEN.contains(&name.as_str()) || self.0.contains(&name) || name.ends_with("_sizes_") {
            name.push('_');
        }
        self.0.push(name.clone());
        name
    }
}

/// The flat signature of a method of tensors.
pub(crate) fn flat_signature(method: &ModelMethod) -> Option<Flat> {
    method.tensors_symbol.as_ref()?;
    let mut names = Names::default();
    let mut flat = Flat { inputs: Vec::new(), sizes: Vec::new(), outputs: Vec::new() };
    let mut symbols: BTreeMap<String, String> = BTreeMap::new();
    let input_names: Vec<String> = method.params.iter().map(|p| names.fresh(&p.name)).collect();
    for (param, name) in method.params.iter().zip(input_names) {
        let TypeDesc::Tensor(dtype, dims) = &param.ty else { return None };
        let dims = dims.iter().enumerate().map(|(at, dim)| match dim {
            DimDesc::Const(n) => FlatDim::Const(*n),
            DimDesc::Symbol(symbol) => {
                let known = symbols.get(symbol).filter(|_| !symbol.is_empty()).cloned();
                FlatDim::Param(known.unwrap_or_else(|| {
                    let size = names.fresh(&if symbol.is_empty() { format!("{name}_size{at}") } else { symbol.clone() });
                    flat.sizes.push(size.clone());
                    symbols.insert(symbol.clone(), size.clone());
                    size
                }))
            }
        });
        let dims = dims.collect();
        flat.inputs.push(FlatTensor { name, dtype: *dtype, dims });
    }
    let outputs = method.outputs();
    for (number, output) in outputs.iter().enumerate() {
        let TypeDesc::Tensor(dtype, dims) = output else { return None };
        let name = names.fresh(&output_name(method, number, outputs.len()));
        let dims = dims.iter().map(|dim| match dim {
            DimDesc::Const(n) => FlatDim::Const(*n),
            DimDesc::Symbol(symbol) if symbol.is_empty() => FlatDim::Unknown,
            DimDesc::Symbol(symbol) => symbols.get(symbol).map_or(FlatDim::Unknown, |size| FlatDim::Param(size.clone())),
        });
        flat.outputs.push(FlatTensor { name, dtype: *dtype, dims: dims.collect() });
    }
    Some(flat)
}

fn output_name(method: &ModelMethod, number: usize, count: usize) -> String {
    match &method.result {
        TypeDesc::Tuple(_, Some((_, fields))) if fields.len() == count => fields[number].clone(),
        _ if count == 1 => "out".into(),
        _ => format!("out{number}"),
    }
}
