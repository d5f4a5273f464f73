//! File tests: texts under `tests/filetests` that say in comments what is done with them and what comes out.
//!
//! ```text
//! ; test pass fold_scales          the stage, in the first line
//! ; Why this case is here.
//!
//! graph(...) { ... }               what goes in
//!
//! ; expect:                        all of what comes out...
//! ; graph(...) { ... }
//!
//! ; check: aten::convolution       ...or: lines that contain this, in this order
//! ; check-not: aten::mul.Tensor    ...and no line that contains this
//! ```
//!
//! Comments begin with `;` in graphs (`.kir`) and with `#` in programs (`.py`). A file without `check` lines expects a
//! whole listing, which `KILN_BLESS=1 cargo test -p kiln-tests --test filetests` writes; read the difference before
//! keeping it. `KILN_FILETEST=fold_scales/` runs the files whose path contains that.

mod case;
mod passes;
mod specialise;

use case::Case;
use std::path::{Path, PathBuf};

/// The files under a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn run(case: &Case) -> String {
    match case.test.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["pass", name] => passes::run(case, name),
        ["specialise"] => specialise::run(case),
        _ => panic!("{}: there is no test `{}`", case.path.display(), case.test),
    }
}

#[test]
fn every_file_gives_what_it_expects() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let only = std::env::var("KILN_FILETEST").unwrap_or_default();
    let chosen: Vec<PathBuf> = files(&root).into_iter().filter(|path| path.to_string_lossy().contains(&only)).collect();
    assert!(!chosen.is_empty(), "no file's path contains `{only}`");
    let mut wrong = Vec::new();
    for path in chosen {
        let case = Case::read(&path);
        let output = run(&case);
        if let Err(difference) = case.compare(&output) {
            wrong.push(format!("{}\n{difference}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} files differ:\n\n{}", wrong.len(), wrong.join("\n"));
}
