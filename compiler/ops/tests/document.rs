//! `docs/operators.md`: every operator that kiln has a meaning for, from the table itself.
//!
//! `KILN_BLESS=1 cargo test -p kiln-ops --test document` rewrites the page; without it, the test says when the page is
//! stale. Both a core entry without a doc line and a decomposition without a docstring fail it.

use kiln_ops::prelude::FILES;
use kiln_ops::{Body, Entry, entries, table};
use std::collections::BTreeMap;
use std::fmt::Write;

const INTRODUCTION: &str = "# Operators

Generated from the operator table: `KILN_BLESS=1 cargo test -p kiln-ops --test document` rewrites this page. The schemas
are PyTorch's own (`compiler/ops/schemas.txt`); those that begin with `kiln::` are kiln's, and no program can name them.
In-place forms (`add_`) and `out=` forms follow from the operators without them and are not listed.
How to add one: [add-an-operator.md](add-an-operator.md).
";

/// The kinds of core operators: heading and what it means.
const KINDS: &[(&str, &str)] = &[
    ("Elements", "Each element of the result is an expression of its index (`Body::Tensor`)."),
    ("Windows", "The result is a window on the first argument (`Body::View`)."),
    ("Scatters", "A copy of the first argument, then stores at computed indices (`Body::Scatter`)."),
    ("Runtime algorithms", "A function of the runtime over contiguous buffers (`Body::Extern`)."),
    ("Scalars", "An expression of ints, floats and bools (`Body::Scalar`)."),
    ("Strings and containers", "A function of the runtime on objects (`Body::Runtime`)."),
];

/// Position in [`KINDS`].
fn kind(entry: &Entry) -> usize {
    match entry.body {
        Body::Tensor { .. } => 0,
        Body::View { .. } => 1,
        Body::Scatter { .. } => 2,
        Body::Extern { .. } => 3,
        Body::Scalar(_) => 4,
        Body::Runtime { .. } => 5,
    }
}

/// The schema's arguments and results, `(Tensor self) -> Tensor`.
fn signature(key: &str) -> String {
    let text = [include_str!("../schemas.txt"), include_str!("../internal_schemas.txt")];
    let line =
        text.iter().flat_map(|text| text.lines()).find_map(|line| line.strip_prefix(key).filter(|rest| rest.starts_with('(')));
    line.unwrap_or_else(|| panic!("no schema `{key}`")).to_owned()
}

fn core() -> String {
    let mut kinds: BTreeMap<usize, BTreeMap<&str, &str>> = BTreeMap::new();
    for entry in entries::all() {
        assert!(!entry.doc.trim().is_empty(), "`{}` has no doc line", entry.key);
        kinds.entry(kind(entry)).or_default().insert(entry.key, entry.doc);
    }
    let mut out = String::from("\n## Core operators\n");
    for (kind, operators) in kinds {
        let (heading, meaning) = KINDS[kind];
        let _ = write!(out, "\n### {heading}\n\n{meaning}\n\n");
        for (key, doc) in operators {
            let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(out, "- `{key}{}`: {doc}", signature(key));
        }
    }
    out
}

/// The decorated functions of a file: their keys and the first paragraph of the docstring.
fn decompositions(text: &str) -> Vec<(Vec<&str>, String)> {
    let (mut found, mut keys, mut lines) = (Vec::new(), Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("@op(") {
            keys.extend(rest.split('"').skip(1).step_by(2));
        } else if line.starts_with("def ") && !keys.is_empty() {
            found.push((std::mem::take(&mut keys), docstring(&mut lines)));
        }
    }
    found
}

/// The docstring that the next line opens; its first paragraph, in one line.
fn docstring<'a>(lines: &mut impl Iterator<Item = &'a str>) -> String {
    let Some(first) = lines.next().and_then(|line| line.trim_start().strip_prefix("\"\"\"")) else { return String::new() };
    let (mut words, mut line) = (Vec::new(), first);
    loop {
        let (text, ended) = line.split_once("\"\"\"").map_or((line, false), |(text, _)| (text, true));
        words.extend(text.split_whitespace());
        if ended || text.trim().is_empty() {
            return words.join(" ");
        }
        let Some(next) = lines.next() else { return words.join(" ") };
        line = next;
    }
}

fn prelude() -> String {
    let mut out =
        String::from("\n## Decompositions\n\nFunctions in scripted Python over the core, under `compiler/ops/prelude/`.\n");
    for file in FILES {
        let title = file.text.lines().next().unwrap_or_default().trim_matches('"');
        let _ = write!(out, "\n### {}\n\n{title}\n\n", file.name);
        for (keys, doc) in decompositions(file.text) {
            assert!(!doc.is_empty(), "{}: the decomposition of `{}` has no docstring", file.name, keys[0]);
            let names: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let _ = writeln!(out, "- {}: {doc}", names.join(", "));
        }
    }
    out
}

#[test]
fn the_page_of_operators_is_up_to_date() {
    let counts = format!(
        "\nThere are {} schemas; {} have a core entry, {} a decomposition.\n",
        table().ops().count(),
        entries::all().count(),
        kiln_ops::prelude::keys().len()
    );
    let page = [INTRODUCTION, &counts, &core(), &prelude()].concat();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operators.md");
    if std::env::var_os("KILN_BLESS").is_some() {
        std::fs::write(path, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "docs/operators.md is stale: KILN_BLESS=1 cargo test -p kiln-ops --test document rewrites it");
}
