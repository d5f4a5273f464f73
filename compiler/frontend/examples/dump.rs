//! Prints what the front end reads: an archive's object graph, constants and code, a Python file's tree, or the calls of
//! a recording.
//!
//!     cargo run -p kiln-frontend --example dump -- [--tree] [--origins] FILE...
//!
//! `--tree` prints trees instead of code text; `--origins` prints, for each line of code, the line it stems from.
//! With several files, only failures and a count are printed.

use kiln_frontend::archive::read_archive;
use kiln_frontend::model::{Archive, HeapItem, Item, ObjectState, TensorItem};
use kiln_frontend::python::parse_module;
use kiln_frontend::tensors_file::read_case;
use kiln_support::{Diagnostic, FileId, SourceMap, Span};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (flags, files): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let options = Options { tree: flags.iter().any(|f| f == "--tree"), origins: flags.iter().any(|f| f == "--origins") };
    let quiet = files.len() > 1;
    let mut failed = 0;
    for file in &files {
        let mut sources = SourceMap::default();
        if let Err(errors) = dump(file, &options, quiet, &mut sources) {
            failed += 1;
            for error in errors {
                eprintln!("{file}: {}", error.render(&sources, false));
            }
        }
    }
    if quiet {
        println!("{} files, {failed} failed", files.len());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Options {
    tree: bool,
    origins: bool,
}

fn dump(path: &str, options: &Options, quiet: bool, sources: &mut SourceMap) -> Result<(), Vec<Diagnostic>> {
    if path.ends_with(".json") {
        let case = read_case(Path::new(path)).map_err(|error| vec![error])?;
        if !quiet {
            println!("{case:#?}");
        }
        return Ok(());
    }
    let bytes = std::fs::read(path).map_err(|error| vec![Diagnostic::usage("io", format!("{path}: {error}"))])?;
    if path.ends_with(".py") {
        let file = sources.add(path, String::from_utf8_lossy(&bytes));
        let module = parse_module(sources, file)?;
        if !quiet {
            println!("{module:#?}");
        }
        return Ok(());
    }
    let archive = read_archive(&bytes, path, sources).map_err(|error| vec![error])?;
    if !quiet {
        print_archive(&archive, options, sources);
    }
    Ok(())
}

fn print_archive(archive: &Archive, options: &Options, sources: &SourceMap) {
    println!("version {}\nroot {}", archive.version, archive.root.map_or("none".into(), |root| root.to_string()));
    for (id, item) in archive.heap.iter() {
        print_heap_item(&id.to_string(), item);
    }
    for (index, constant) in archive.constants.iter().enumerate() {
        println!("CONSTANTS.c{index} = {}", text(constant));
    }
    for (id, storage) in archive.storages.iter() {
        println!("{id}: {} bytes", storage.bytes.len());
    }
    for (path, code) in &archive.code {
        println!("\n--- {path}");
        match (options.tree, options.origins) {
            (true, _) => println!("{:#?}", code.module),
            (false, true) => print_origins(code.file, sources),
            (false, false) => print!("{}", sources.file(code.file).text),
        }
    }
}

fn print_heap_item(id: &str, item: &HeapItem) {
    match item {
        HeapItem::List { items, type_text } => {
            println!(
                "{id}: {} [{}]",
                type_text.as_deref().unwrap_or("List"),
                items.iter().map(text).collect::<Vec<_>>().join(", ")
            );
        }
        HeapItem::Dict { items, type_text } => {
            println!("{id}: {}", type_text.as_deref().unwrap_or("Dict"));
            items.iter().for_each(|(key, value)| println!("    {}: {}", text(key), text(value)));
        }
        HeapItem::Object { class, state: ObjectState::Attributes(attributes) } => {
            println!("{id}: {class}");
            attributes.iter().for_each(|(name, value)| println!("    {name} = {}", text(value)));
        }
        HeapItem::Object { class, state: ObjectState::SetState(state) } => println!("{id}: {class}\n    state {}", text(state)),
    }
}

fn text(item: &Item) -> String {
    match item {
        Item::Tensor(tensor) => tensor_text(tensor),
        Item::Tuple(items) => format!("({})", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        Item::Enum(class, value) => format!("{class}({})", text(value)),
        Item::Ref(id) => id.to_string(),
        other => format!("{other:?}"),
    }
}

fn tensor_text(tensor: &TensorItem) -> String {
    let TensorItem { storage, dtype, offset, sizes, strides, quant, .. } = tensor;
    let quant = quant.as_ref().map_or(String::new(), |quant| format!(" {quant:?}"));
    format!("{dtype}{sizes:?} at {storage}+{offset} strides {strides:?}{quant}")
}

/// Each line of the code beside the line of its origin.
fn print_origins(file: FileId, sources: &SourceMap) {
    let mut start = 0;
    for line in sources.file(file).text.split_inclusive('\n') {
        let first = start + (line.len() - line.trim_start().len()) as u32;
        let origin = sources.origin(Span::new(file, first, first));
        let (row, column) = sources.line_column(origin);
        let excerpt = sources.text(origin).lines().next().unwrap_or("");
        println!("{:60} # {}:{row}:{column} {excerpt}", line.trim_end(), sources.file(origin.file).name);
        start += line.len() as u32;
    }
}
