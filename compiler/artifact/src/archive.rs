//! Static libraries: `ar` archives with a symbol table, in the variant of each object format, without dates or owners.
//!
//! ELF and COFF take the System V (GNU) form: the symbol table is a member `/` of big-endian 32-bit offsets, long names
//! stand in a member `//`. Mach-O takes the BSD form: `__.SYMDEF SORTED` with little-endian pairs, names before the
//! contents, contents aligned to 8 bytes as the linker of Apple's systems wants them. `ar(5)` describes both.

use kiln_codegen::CodegenError;
use object::{Object, ObjectSymbol};
use target_lexicon::{BinaryFormat, Triple};

const MAGIC: &[u8] = b"!<arch>\n";
/// Size of a member's header.
const HEADER: usize = 60;

/// Variants of archives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For ELF and COFF.
    Gnu,
    /// For Mach-O.
    Bsd,
}

impl Format {
    /// The variant that the linkers of a triple read.
    pub fn of(triple: &Triple) -> Format {
        if triple.binary_format == BinaryFormat::Macho { Format::Bsd } else { Format::Gnu }
    }
}

/// An archive under construction.
#[derive(Default)]
pub struct Archive<'a> {
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    name: String,
    bytes: &'a [u8],
    symbols: Vec<String>,
}

impl<'a> Archive<'a> {
    /// An archive without members.
    pub fn new() -> Archive<'a> {
        Archive::default()
    }

    /// Adds an object under a file name, with the global symbols that it defines.
    pub fn add(&mut self, name: impl Into<String>, bytes: &'a [u8], symbols: Vec<String>) {
        self.members.push(Member { name: name.into(), bytes, symbols });
    }

    /// The archive's bytes. Fails when it does not fit the 32-bit offsets of the format.
    pub fn write(&self, format: Format) -> Result<Vec<u8>, CodegenError> {
        if u32::try_from(self.room()).is_err() {
            return Err(CodegenError::BackEnd("a static library over 4 GB".into()));
        }
        Ok(match format {
            Format::Gnu => self.write_gnu(),
            Format::Bsd => self.write_bsd(),
        })
    }

    /// Bytes that it takes at most, the symbol table aside.
    fn room(&self) -> usize {
        self.members.iter().map(|m| m.bytes.len() + 2 * m.name.len() + HEADER + 64).sum()
    }

    /// Every symbol with the number of its member.
    fn symbols(&self) -> impl Iterator<Item = (usize, &str)> {
        self.members.iter().enumerate().flat_map(|(at, member)| member.symbols.iter().map(move |s| (at, s.as_str())))
    }

    /// The first bytes, with room for the others.
    fn begin(&self, table: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.room() + table + HEADER + 64);
        out.extend(MAGIC);
        out
    }

    fn write_gnu(&self) -> Vec<u8> {
        let names_bytes: usize = self.symbols().map(|(_, name)| name.len() + 1).sum();
        let table_bytes = 4 + 4 * self.symbols().count() + names_bytes;
        let mut long_names = Vec::new();
        let references: Vec<String> = self.members.iter().map(|m| gnu_name(&m.name, &mut long_names)).collect();
        let mut at = MAGIC.len() + HEADER + even(table_bytes);
        at += if long_names.is_empty() { 0 } else { HEADER + even(long_names.len()) };
        let mut offsets = Vec::new();
        for member in &self.members {
            offsets.push(at);
            at += HEADER + even(member.bytes.len());
        }
        let mut table = (self.symbols().count() as u32).to_be_bytes().to_vec();
        self.symbols().for_each(|(member, _)| table.extend((offsets[member] as u32).to_be_bytes()));
        self.symbols().for_each(|(_, name)| table.extend(name.bytes().chain([0])));
        let mut out = self.begin(table.len());
        write_member(&mut out, "/", 0, &table);
        if !long_names.is_empty() {
            write_member(&mut out, "//", 0, &long_names);
        }
        for (member, reference) in self.members.iter().zip(&references) {
            write_member(&mut out, reference, 0o644, member.bytes);
        }
        out
    }

    fn write_bsd(&self) -> Vec<u8> {
        const TABLE: &str = "__.SYMDEF SORTED";
        let mut symbols: Vec<(&str, usize)> = self.symbols().map(|(member, name)| (name, member)).collect();
        symbols.sort_unstable();
        let strings_bytes: usize = symbols.iter().map(|(name, _)| name.len() + 1).sum::<usize>().next_multiple_of(8);
        let table_bytes = 4 + 8 * symbols.len() + 4 + strings_bytes;
        let mut at = MAGIC.len() + HEADER + bsd_size(MAGIC.len(), TABLE, table_bytes);
        let mut offsets = Vec::new();
        for member in &self.members {
            offsets.push(at);
            at += HEADER + bsd_size(at, &member.name, member.bytes.len());
        }
        let mut table = ((8 * symbols.len()) as u32).to_le_bytes().to_vec();
        let mut strings = Vec::new();
        for (name, member) in &symbols {
            table.extend((strings.len() as u32).to_le_bytes());
            table.extend((offsets[*member] as u32).to_le_bytes());
            strings.extend(name.bytes().chain([0]));
        }
        strings.resize(strings_bytes, 0);
        table.extend((strings.len() as u32).to_le_bytes());
        table.extend(strings);
        let mut out = self.begin(table.len());
        write_bsd_member(&mut out, TABLE, 0, &table);
        for member in &self.members {
            write_bsd_member(&mut out, &member.name, 0o644, member.bytes);
        }
        out
    }
}

fn even(size: usize) -> usize {
    size + size % 2
}

/// How a header refers to a name: itself, or its place in the table of long names.
fn gnu_name(name: &str, long_names: &mut Vec<u8>) -> String {
    if name.len() < 16 {
        return format!("{name}/");
    }
    let at = long_names.len();
    long_names.extend(name.bytes().chain(*b"/\n"));
    format!("/{at}")
}

fn write_header(out: &mut Vec<u8>, name: &str, mode: u32, size: usize) {
    out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{mode:<8o}{size:<10}`\n", 0, 0, 0).bytes());
}

fn write_member(out: &mut Vec<u8>, name: &str, mode: u32, bytes: &[u8]) {
    write_header(out, name, mode, bytes.len());
    out.extend(bytes);
    if bytes.len() % 2 == 1 {
        out.push(b'\n');
    }
}

/// Bytes of the name before a member's contents, padded so that these start at a multiple of 8.
fn bsd_name_bytes(at: usize, name: &str) -> usize {
    let start = at + HEADER;
    (start + name.len() + 1).next_multiple_of(8) - start
}

/// What stands behind the header of a member at `at`: name, contents, padding to a multiple of 8.
fn bsd_size(at: usize, name: &str, bytes: usize) -> usize {
    bsd_name_bytes(at, name) + bytes.next_multiple_of(8)
}

fn write_bsd_member(out: &mut Vec<u8>, name: &str, mode: u32, bytes: &[u8]) {
    let name_bytes = bsd_name_bytes(out.len(), name);
    let size = bsd_size(out.len(), name, bytes.len());
    write_header(out, &format!("#1/{name_bytes}"), mode, size);
    let end = out.len() + size;
    let contents = out.len() + name_bytes;
    out.extend(name.bytes());
    out.resize(contents, 0);
    out.extend(bytes);
    out.resize(end, 0);
}

fn damaged(error: object::Error) -> CodegenError {
    CodegenError::BackEnd(format!("the object is not readable: {error}"))
}

/// The names in the symbol table of an object: the global symbols that it defines.
fn global_symbols(bytes: &[u8]) -> Result<Vec<String>, CodegenError> {
    let file = object::File::parse(bytes).map_err(damaged)?;
    let defined = file.symbols().filter(|s| s.is_global() && s.is_definition());
    defined.map(|symbol| symbol.name().map(str::to_owned).map_err(damaged)).collect()
}

/// Whether an object refers to the runtime: whether it cannot be linked without it.
pub fn refers_to_runtime(object: &[u8]) -> Result<bool, CodegenError> {
    let file = object::File::parse(object).map_err(damaged)?;
    // Mach-O names begin with an underscore more.
    let is_runtime = |name: &str| name.trim_start_matches('_').starts_with("kiln_rt");
    Ok(file.symbols().any(|symbol| symbol.is_undefined() && symbol.name().is_ok_and(is_runtime)))
}

/// A static library of a model's object, and of the runtime's object where that is given. Several such libraries link
/// into one app: the linker takes the runtime from the first that has it.
pub fn static_library(name: &str, object: &[u8], runtime: Option<&[u8]>, triple: &Triple) -> Result<Vec<u8>, CodegenError> {
    let extension = if triple.binary_format == BinaryFormat::Coff { "obj" } else { "o" };
    let mut archive = Archive::new();
    archive.add(format!("{name}.{extension}"), object, global_symbols(object)?);
    if let Some(runtime) = runtime {
        archive.add(format!("kiln_rt.{extension}"), runtime, global_symbols(runtime)?);
    }
    archive.write(Format::of(triple))
}
