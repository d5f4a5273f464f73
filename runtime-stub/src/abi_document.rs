//! `ABI.md` is generated from the symbol table: this test compares it, or rewrites it under `KILN_BLESS=1`.

use std::fmt::Write;

use crate::FAMILIES;
use crate::export::Symbol;

const MARKER: &str =
    "<!-- Generated from the symbol table below this line; KILN_BLESS=1 cargo test -p kiln-rt rewrites it. -->\n";

/// A Rust type of a signature in C.
fn c_type(rust: &str) -> String {
    let rust = rust.trim();
    if let Some(target) = rust.strip_prefix("*const ") {
        return if target.starts_with("*const ") {
            format!("{}const *", c_type(target))
        } else {
            format!("const {}*", c_type(target))
        };
    }
    if let Some(target) = rust.strip_prefix("*mut ") {
        return format!("{}*", c_type(target));
    }
    match rust {
        "i64" => "int64_t ".into(),
        "i32" => "int32_t ".into(),
        "u64" => "uint64_t ".into(),
        "u8" => "uint8_t ".into(),
        "f64" => "double ".into(),
        "f32" => "float ".into(),
        "TensorView" => "kiln_tensor ".into(),
        "Option < crate :: abi :: LessFn >" | "Option<crate::abi::LessFn>" => "kiln_less ".into(),
        "Option<crate::abi::TaskFn>" => "kiln_task ".into(),
        name => format!("kiln_{} ", name.to_lowercase()),
    }
}

/// The C declaration of a symbol, without the prefix.
fn declaration(symbol: &Symbol) -> String {
    let (params, result) = symbol.signature.split_once("-> ").unwrap_or((symbol.signature, ""));
    let params: Vec<String> = params
        .split(", ")
        .filter_map(|param| param.split_once(": "))
        .map(|(name, kind)| format!("{}{name}", c_type(kind)))
        .collect();
    let result = if result.is_empty() { "void ".into() } else { c_type(result) };
    let name = symbol.name.strip_prefix("kiln_rt1_").expect("every symbol has the prefix");
    format!("{result}{name}({})", params.join(", "))
}

fn generated() -> String {
    let mut text = String::new();
    for (family, symbols) in FAMILIES {
        write!(text, "\n## {family}\n\n").unwrap();
        for symbol in *symbols {
            let doc: Vec<&str> = symbol.doc.lines().map(str::trim).collect();
            writeln!(text, "- `{}` — {}", declaration(symbol), doc.join(" ").trim()).unwrap();
        }
    }
    text
}

#[test]
fn the_document_lists_every_symbol() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ABI.md");
    let current = std::fs::read_to_string(path).unwrap();
    let (prose, listed) = current.split_once(MARKER).expect("the marker line");
    if std::env::var_os("KILN_BLESS").is_some() {
        std::fs::write(path, format!("{prose}{MARKER}{}", generated())).unwrap();
        return;
    }
    assert!(listed == generated(), "ABI.md is stale: run KILN_BLESS=1 cargo test -p kiln-rt abi_document");
}

#[test]
fn symbols_are_distinct_and_documented() {
    let mut names: Vec<&str> = crate::SYMBOLS.iter().map(|symbol| symbol.name).collect();
    assert!(crate::SYMBOLS.iter().all(|symbol| symbol.doc.trim().len() > 3 && !symbol.address.is_null()));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 350, "{count} symbols");
}
