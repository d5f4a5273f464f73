//! Rules on the tree itself: who may import whom (`docs/architecture.md`), and how a file begins and ends.
//!
//! Crate boundaries keep most of the import rule; what they cannot see (a dependency line too many, a library that only
//! one layer may name) is read off the text here.

use std::path::{Path, PathBuf};

/// Which crates of kiln each crate may name outside of its tests, in the order of the layers.
const LAYERS: &[(&str, &[&str])] = &[
    ("kiln_support", &[]),
    ("kiln_graph", &["kiln_support"]),
    ("kiln_loops", &["kiln_support", "kiln_rt"]),
    ("kiln_ops", &["kiln_support", "kiln_graph", "kiln_loops"]),
    ("kiln_frontend", &["kiln_support"]),
    ("kiln_source", &["kiln_support", "kiln_frontend"]),
    ("kiln_typing", &["kiln_support", "kiln_graph", "kiln_ops", "kiln_frontend"]),
    ("kiln_passes", &["kiln_support", "kiln_graph", "kiln_loops", "kiln_ops", "kiln_rt"]),
    ("kiln_kernels", &[]),
    ("kiln_schedule", &["kiln_support", "kiln_graph", "kiln_loops", "kiln_ops", "kiln_kernels", "kiln_rt"]),
    ("kiln_codegen", &["kiln_support", "kiln_loops", "kiln_rt"]),
    ("kiln_artifact", &["kiln_support", "kiln_loops", "kiln_codegen", "kiln_rt"]),
    ("kiln_loader", &["kiln_rt"]),
];

/// Libraries that only some folders may name.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("cranelift_", &["compiler/codegen/src/"]),
    ("ruff_python_", &["compiler/frontend/src/python/"]),
    ("iced_x86::", &["compiler/kernels/src/target/x86_64/"]),
    ("annotate_snippets::", &["compiler/support/src/diag.rs"]),
    ("clap::", &["compiler/kiln/src/cli/"]),
    ("zip::", &["compiler/frontend/src/archive/", "compiler/frontend/src/tensors_file/", "tests/"]),
    (
        "object::",
        &[
            "compiler/codegen/src/",
            "compiler/artifact/src/",
            "compiler/loader/src/",
            "compiler/kiln/src/emulate/",
            "runtime-stub/",
        ],
    ),
    // The page of the ABI is compared with the table by a test that stands in a file of its own.
    ("std::fs", &["compiler/kiln/src/", "compiler/frontend/src/tensors_file/", "runtime-stub/src/abi_document.rs"]),
    ("println!(", &["compiler/kiln/src/cli/", "compiler/kiln/src/build_script.rs"]),
    ("process::exit", &["compiler/kiln/src/cli/"]),
];

/// Lines that a file may have.
const MAX_LINES: usize = 800;

/// Files that may be longer, and why.
const LONG_FILES: &[(&str, &str)] = &[];

/// Names of places and things that are no part of the project.
const FOREIGN: &[&str] = &[concat!("/wo", "rk/"), concat!("/tm", "p/"), concat!("issue ", "#")];

/// Folders that are not sources.
const SKIPPED: &[&str] = &["target", ".git", "node_modules", "__pycache__"];

struct Text {
    /// Path from the root of the repository, with `/`.
    path: String,
    text: String,
}

impl Text {
    /// Whether it is code of a crate, not of its tests, benches, examples or build script.
    fn is_product(&self) -> bool {
        let is_source = self.path.contains("/src/");
        let is_test = self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.starts_with("tests/");
        is_source && !is_test && !self.path.starts_with("examples/")
    }

    /// Lines of code before the file's tests, numbered from 1, comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(at, line)| (at + 1, line))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in the repository").to_owned()
}

/// The files of the repository whose names end in one of `endings`.
fn texts(endings: &[&str]) -> Vec<Text> {
    let root = root();
    let mut found = Vec::new();
    collect(&root, &root, endings, &mut found);
    found.sort_by(|a: &Text, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "the repository has files");
    found
}

fn collect(root: &Path, folder: &Path, endings: &[&str], found: &mut Vec<Text>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be listed") {
        let entry = entry.expect("a folder can be listed");
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if SKIPPED.contains(&name.as_str()) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            // Whoever works on the tree may take a file away while it is read.
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let path = path.strip_prefix(root).expect("it is under the root").to_string_lossy().replace('\\', "/");
            found.push(Text { path, text });
        }
    }
}

fn report(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

/// Whether `text` names `name` as a whole path segment.
fn names(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[test]
fn crates_import_only_what_their_layer_may() {
    let mut wrong = Vec::new();
    for file in texts(&[".rs"]).iter().filter(|file| file.is_product()) {
        let Some(folder) = file.path.strip_prefix("compiler/").and_then(|rest| rest.split('/').next()) else { continue };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == format!("kiln_{folder}")) else {
            assert_eq!(folder, "kiln", "`{folder}` has no place among the layers");
            continue;
        };
        let own = format!("kiln_{folder}");
        for (line, code) in file.code() {
            for (other, _) in LAYERS.iter().filter(|(other, _)| *other != own && !allowed.contains(other)) {
                if names(code, other) {
                    wrong.push(format!("{}:{line}: {own} may not know {other}", file.path));
                }
            }
        }
    }
    report("the import rule is broken", &wrong);
}

#[test]
fn dependencies_follow_the_layers() {
    let mut wrong = Vec::new();
    for (name, allowed) in LAYERS {
        let path = root().join("compiler").join(&name["kiln_".len()..]).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let section = text.split("\n[dependencies]").nth(1).unwrap_or_default();
        let section = section.split("\n[").next().unwrap_or_default();
        for line in section.lines().filter(|line| line.starts_with("kiln-")) {
            let other = line.split(['.', ' ', '=']).next().unwrap_or_default().replace('-', "_");
            if !allowed.contains(&other.as_str()) {
                wrong.push(format!("{name} may not depend on {other}"));
            }
        }
    }
    report("the import rule is broken", &wrong);
}

#[test]
fn libraries_stay_behind_their_adapters() {
    let mut wrong = Vec::new();
    for file in texts(&[".rs"]).iter().filter(|file| file.is_product()) {
        for (line, code) in file.code() {
            for (library, places) in LIBRARIES {
                if code_names(code, library) && !places.iter().any(|place| file.path.starts_with(place)) {
                    wrong.push(format!("{}:{line}: `{library}` belongs in {}", file.path, places.join(", ")));
                }
            }
        }
    }
    report("a library is named outside of its place", &wrong);
}

/// Whether code names a library's path, which begins a word.
fn code_names(code: &str, library: &str) -> bool {
    let starts_word = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    code.match_indices(library).any(|(at, _)| starts_word(at) || library.contains("exit") || library.contains("fs"))
}

#[test]
fn instruction_sets_do_not_know_each_other() {
    let mut wrong = Vec::new();
    for file in texts(&[".rs"]) {
        let Some(rest) = file.path.strip_prefix("compiler/kernels/src/target/") else { continue };
        let Some((own, _)) = rest.split_once('/') else { continue };
        let other = if own == "x86_64" { "target::aarch64" } else { "target::x86_64" };
        wrong.extend(file.code().filter(|(_, code)| code.contains(other)).map(|(line, _)| format!("{}:{line}", file.path)));
    }
    report("an ISA folder names another", &wrong);
}

#[test]
fn every_file_says_what_it_is() {
    let is_silent = |file: &&Text| !file.text.starts_with("//! ");
    let wrong: Vec<String> = texts(&[".rs"]).iter().filter(is_silent).map(|file| file.path.clone()).collect();
    report("no `//!` in the first line", &wrong);
}

#[test]
fn files_are_short_enough_to_read() {
    let is_known = |file: &Text| LONG_FILES.iter().any(|(path, _)| *path == file.path);
    let is_long = |file: &&Text| file.text.lines().count() > MAX_LINES && !is_known(file);
    let wrong: Vec<String> = texts(&[".rs"]).iter().filter(is_long).map(|file| file.path.clone()).collect();
    report(&format!("more than {MAX_LINES} lines"), &wrong);
    for (path, _) in LONG_FILES {
        let lines = std::fs::read_to_string(root().join(path)).map_or(0, |text| text.lines().count());
        assert!(lines > MAX_LINES, "{path} needs no exception any more");
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let mut wrong = Vec::new();
    for file in texts(&[".rs", ".md", ".toml", ".py", ".c", ".h", ".sh", ".kir"]) {
        for (at, line) in file.text.lines().enumerate() {
            let line = line.to_lowercase();
            wrong.extend(
                FOREIGN.iter().filter(|word| line.contains(**word)).map(|word| format!("{}:{}: `{word}`", file.path, at + 1)),
            );
        }
    }
    report("names of places outside", &wrong);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for file in texts(&[".md"]) {
        let folder = Path::new(&file.path).parent().expect("a file stands in a folder").to_owned();
        let prose: String = file.text.split('`').step_by(2).collect();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let is_local = !target.is_empty() && !target.contains("://") && !target.contains(' ');
            if is_local && !root().join(&folder).join(target).exists() {
                wrong.push(format!("{}: {link}", file.path));
            }
        }
    }
    report("a link leads nowhere", &wrong);
}
