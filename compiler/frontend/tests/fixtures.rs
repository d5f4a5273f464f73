//! Every archive, recording and source of the workspace's fixtures is read without an error.

use kiln_frontend::archive::read_archive;
use kiln_frontend::tensors_file::read_case;
use kiln_support::{SourceMap, Span};
use std::path::{Path, PathBuf};

/// The files with this ending in the fixtures' folders.
fn fixtures(ending: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let folders = std::fs::read_dir(root).expect("the fixtures").map(|entry| entry.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut found: Vec<PathBuf> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == ending) && !path.ends_with("programs.json"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no fixture ends in .{ending}");
    found
}

#[test]
fn archives_are_read() {
    for path in fixtures("pt") {
        let name = path.display().to_string();
        let mut sources = SourceMap::default();
        let archive = read_archive(&std::fs::read(&path).unwrap(), &name, &mut sources)
            .unwrap_or_else(|error| panic!("{}", error.render(&sources, false)));
        assert!(archive.root.is_some() && !archive.code.is_empty(), "{name}");
        let text_length = |file| sources.file(file).text.len() as u32;
        let with_origin = archive.code.values().filter(|code| {
            let places = (0..text_length(code.file)).map(|at| Span::new(code.file, at, at));
            places.into_iter().any(|place| sources.origin(place).file != code.file)
        });
        assert!(with_origin.count() > 0, "{name} has no origins");
    }
}

#[test]
fn recordings_are_read() {
    for path in fixtures("json") {
        let case = read_case(&path).unwrap_or_else(|error| panic!("{}: {}", path.display(), error.message));
        assert!(!case.calls.is_empty() && case.calls.iter().all(|call| call.expect.is_some()), "{}", path.display());
    }
}
