//! Types every archive of some folders and counts the failures by message.
//!
//! `cargo run -p kiln-typing --example type_all -- DIR...`: for each `NAME.pt` the methods are those that
//! `NAME.json` beside it names, else `forward`.

use kiln_support::{Diagnostic, SourceMap};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn main() {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    let verbose = std::env::var_os("VERBOSE").is_some();
    for path in std::env::args().skip(1).flat_map(|arg| archives(Path::new(&arg))) {
        count += 1;
        let mut sources = SourceMap::default();
        if let Err(errors) = check(&path, &mut sources) {
            if verbose {
                errors.iter().for_each(|e| eprintln!("{}: {}", path.display(), e.render(&sources, false)));
            }
            let first = errors.first().map_or_else(String::new, |e| format!("[{}] {}", e.code, e.message));
            groups.entry(first).or_default().push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, files)| std::cmp::Reverse(files.len()));
    let failed: usize = groups.iter().map(|(_, files)| files.len()).sum();
    for (message, files) in &groups {
        println!("{:5} {message}   ({})", files.len(), files[0]);
    }
    println!("{} of {count} typed", count - failed);
}

fn archives(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "pt")).collect();
    found.sort();
    found
}

fn check(path: &Path, sources: &mut SourceMap) -> Result<(), Vec<Diagnostic>> {
    let bytes = std::fs::read(path).map_err(|e| vec![Diagnostic::usage("io", e.to_string())])?;
    let archive = kiln_frontend::archive::read_archive(&bytes, &path.to_string_lossy(), sources).map_err(|e| vec![e])?;
    let program = kiln_typing::load_archive(&archive, &methods(path))?;
    let mut errors = Vec::new();
    for function in program.funcs.values() {
        let checked =
            kiln_graph::verify::verify(&function.body).and_then(|()| kiln_typing::check_types(&function.body, &program));
        if let Err(what) = checked {
            errors.push(Diagnostic::model("invalid-graph", format!("{}: {what}", function.name)));
        }
        if std::env::var_os("DUMP").is_some() {
            println!("{}: {}", function.name, kiln_graph::write::write_graph(&function.body, &program, kiln_ops::table()));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The values of all `"method": "..."` in the case beside the archive.
fn methods(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path.with_extension("json")).unwrap_or_default();
    let mut methods: Vec<String> = Vec::new();
    for part in text.split("\"method\":").skip(1) {
        if let Some(name) = part.split('"').nth(1) {
            methods.push(name.to_owned());
        }
    }
    methods.sort();
    methods.dedup();
    methods
}
