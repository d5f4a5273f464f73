//! Lists the prebuilt runtime objects, so that the library carries whichever are there.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../runtime-stub/prebuilt");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut names: Vec<String> = fs::read_dir(&root)
        .map(|entries| entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    names.sort();
    let mut table = String::from("&[\n");
    for name in &names {
        if let Some(triple) = name.strip_suffix(".o").or_else(|| name.strip_suffix(".obj")) {
            let _ = writeln!(table, "    ({triple:?}, include_bytes!({:?})),", root.join(name));
        }
    }
    table.push(']');
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("runtime_objects.rs");
    fs::write(out, table).expect("the output folder is writable");
}
