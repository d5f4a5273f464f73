//! A TorchScript archive to plain data.
//!
//! In: the bytes of a file that `torch.jit.save` wrote. Out: an [`Archive`]: the object graph, the storages, the
//! constants and the parsed code, with the code's origins in the user's own files. Nothing is executed, and
//! nothing is allocated before its size is checked against what is there. Every failure says which record is
//! at fault and what to do.

pub(crate) mod container;
mod debug;
mod globals;
mod graph;
mod pickle;
mod state_dict;
mod storages;
mod tensors;

use crate::ast::Item as CodeItem;
use crate::model::{Archive, CodeFile, Item};
use crate::python::{Dialect, parse_module_as};
use container::Container;
use kiln_support::{Diagnostic, SourceMap};
use std::collections::{BTreeMap, HashMap};
use storages::Storages;

pub use state_dict::{StateDict, read_state_dict};

/// Oldest and newest file-format versions (`caffe2/serialize/versions.h`) that are read.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=10;

/// Reads an archive. `name` is the path to show in messages; code files and their original sources are added to
/// `sources`.
pub fn read_archive(bytes: &[u8], name: &str, sources: &mut SourceMap) -> Result<Archive, Diagnostic> {
    let mut container = Container::open(bytes, name)?;
    check_kind(&container, name)?;
    let version = read_version(&mut container)?;
    check_byte_order(&mut container)?;
    let code = read_code(&mut container, name, sources)?;
    let mut archive = Archive { version, code, ..Archive::default() };
    let classes = Classes::of(&archive.code);
    archive.constants = read_constants(&mut container, &classes, &mut archive)?;
    archive.root = Some(read_root(&mut container, &classes, &mut archive)?);
    graph::check_nesting(&archive)?;
    Ok(archive)
}

/// A failure of the `archive` kind.
fn broken(message: impl Into<String>) -> Diagnostic {
    Diagnostic::model("archive", message)
}

/// Names the record in a message, and says what to do where nothing better is known.
fn in_record(record: &str, mut error: Diagnostic) -> Diagnostic {
    error.message = format!("`{record}` cannot be read: {}", error.message);
    if error.help.is_none() {
        error.help = Some("the file is damaged or incomplete: copy it again, or save it again with `torch.jit.save`".into());
    }
    error
}

/// Tells a TorchScript archive from the other things that PyTorch saves as a zip.
fn check_kind(container: &Container, name: &str) -> Result<(), Diagnostic> {
    if container.has("model.json") {
        return Err(broken(format!("`{name}` was written by a PyTorch older than 1.4, whose format kiln does not read"))
            .help("load it with a PyTorch of today and save it again with `torch.jit.save`"));
    }
    if container.records().any(|record| record.starts_with("code/")) {
        return Ok(());
    }
    let exported = container.has("archive_format") || container.records().any(|record| record.starts_with("models/"));
    let what = if exported { "a program of `torch.export`" } else { "a state_dict or a pickled module" };
    Err(broken(format!("`{name}` is {what}, not TorchScript: it holds no code")).help(
        "save the model with `torch.jit.save(torch.jit.script(model), \"model.pt\")`, or compile its `.py` file with `--weights`",
    ))
}

fn read_version(container: &mut Container) -> Result<u32, Diagnostic> {
    let record = if container.has("version") { "version" } else { ".data/version" };
    if !container.has(record) {
        return Err(broken("the archive has no `version` record").help("save it again with `torch.jit.save`"));
    }
    let text = container.read_text(record)?;
    let version: u32 = text.trim().parse().map_err(|_| in_record(record, broken("it is not a number")))?;
    if VERSIONS.contains(&version) {
        return Ok(version);
    }
    let (age, help) = if version < *VERSIONS.start() {
        ("old", "load it with a PyTorch of today and save it again with `torch.jit.save`")
    } else {
        ("new", "use a newer kiln, or save it with an older PyTorch")
    };
    Err(broken(format!("the archive has file-format version {version}, which is too {age} for kiln")).help(help))
}

fn check_byte_order(container: &mut Container) -> Result<(), Diagnostic> {
    if container.has("byteorder") && container.read_text("byteorder")?.trim() != "little" {
        return Err(Diagnostic::unsupported("archive", "the archive was written on a big-endian machine")
            .help("load it and save it again on a little-endian machine"));
    }
    Ok(())
}

/// Parses every `code/**.py` and attaches its origins.
fn read_code(container: &mut Container, name: &str, sources: &mut SourceMap) -> Result<BTreeMap<String, CodeFile>, Diagnostic> {
    let records: Vec<String> =
        container.records().filter(|record| record.starts_with("code/") && record.ends_with(".py")).map(str::to_owned).collect();
    let mut code = BTreeMap::new();
    let mut origins = debug::Origins::default();
    for record in records {
        let text = container.read_text(&record)?;
        let file = sources.add(format!("{name}:{record}"), text);
        let debug_record = format!("{record}.debug_pkl");
        if container.has(&debug_record) {
            // Origins only make messages better: damage in them is no reason to refuse a model.
            if let Ok(bytes) = container.read(&debug_record) {
                origins.attach(&bytes, file, sources);
            }
        }
        let module = parse_module_as(sources, file, Dialect::Archive).map_err(first_error)?;
        let path = record["code/".len()..record.len() - ".py".len()].replace('/', ".");
        code.insert(path, CodeFile { file, module, dialect: Dialect::Archive });
    }
    Ok(code)
}

/// The first of several errors, which says how many more there are.
fn first_error(errors: Vec<Diagnostic>) -> Diagnostic {
    let more = errors.len().saturating_sub(1);
    let first = errors.into_iter().next().unwrap_or_else(|| broken("the code cannot be parsed"));
    if more == 0 { first } else { first.note(format!("there are {more} more errors in this file")) }
}

/// The classes that the archive's code defines, by qualified name, and whether each has a `__setstate__`.
struct Classes {
    has_setstate: HashMap<String, bool>,
}

impl Classes {
    fn of(code: &BTreeMap<String, CodeFile>) -> Classes {
        let mut has_setstate = HashMap::new();
        for (path, file) in code {
            for item in &file.module.items {
                if let CodeItem::Class(class) = item {
                    let setstate = class.methods.iter().any(|method| method.name == "__setstate__");
                    has_setstate.insert(format!("{path}.{}", class.name), setstate);
                }
            }
        }
        Classes { has_setstate }
    }

    /// Whether a pickle may make an object of this class.
    fn is_known(&self, class: &str) -> bool {
        is_custom(class) || self.has_setstate.contains_key(class)
    }

    /// Whether the state of this class is the argument of its `__setstate__`.
    fn takes_state(&self, class: &str) -> bool {
        is_custom(class) || self.has_setstate.get(class).copied().unwrap_or(false)
    }
}

/// Whether a class is one of PyTorch's own in C++, without code in the archive.
fn is_custom(class: &str) -> bool {
    class.starts_with("__torch__.torch.classes.")
}

/// `constants.pkl`: a tuple, of which the code reads `CONSTANTS.c0`, `CONSTANTS.c1`, ...
fn read_constants(container: &mut Container, classes: &Classes, archive: &mut Archive) -> Result<Vec<Item>, Diagnostic> {
    const RECORD: &str = "constants.pkl";
    if !container.has(RECORD) {
        return Ok(Vec::new());
    }
    match read_pickle(container, RECORD, "constants/", classes, archive)? {
        Item::Tuple(items) => Ok(items),
        _ => Err(in_record(RECORD, broken("it does not hold a tuple"))),
    }
}

/// `data.pkl`: the root module.
fn read_root(container: &mut Container, classes: &Classes, archive: &mut Archive) -> Result<crate::model::HeapId, Diagnostic> {
    const RECORD: &str = "data.pkl";
    match read_pickle(container, RECORD, "data/", classes, archive)? {
        Item::Ref(id) if matches!(archive.heap[id], crate::model::HeapItem::Object { .. }) => Ok(id),
        _ => Err(in_record(RECORD, broken("it does not hold a module"))
            .help("save a module with `torch.jit.save(torch.jit.script(model), ...)`")),
    }
}

fn read_pickle(
    container: &mut Container,
    record: &str,
    storage_folder: &str,
    classes: &Classes,
    archive: &mut Archive,
) -> Result<Item, Diagnostic> {
    let bytes = container.read(record)?;
    let mut storages = Storages::new(container, storage_folder, &mut archive.storages);
    let (nodes, root) =
        pickle::run(&bytes, &mut storages, &|class| classes.is_known(class)).map_err(|error| in_record(record, error))?;
    graph::convert(&nodes, root, classes, &mut archive.heap).map_err(|error| in_record(record, error))
}

#[cfg(test)]
mod tests;
