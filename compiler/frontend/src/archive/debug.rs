//! `*.debug_pkl`: which stretch of generated code stems from which place in the user's own files.
//!
//! Format (torch/csrc/jit/serialization/source_range_serialization.cpp): a tuple of records
//! `(offset, range, tag)`, each good from its byte offset to the next; a range is `(source, start, end)`; a source is
//! `(text, file name or None, first line)`. Newer archives write `("FORMAT_WITH_STRING_TABLE", strings, records)`, where a
//! source's text is a list of numbers of strings and its file name one number. The oldest have `(offset, range)`, others
//! `(offset, tag, range)`.

use super::broken;
use super::pickle::{self, Node, NodeId, Nodes};
use super::storages::NoStorages;
use kiln_support::source::{OriginEntry, SourceFile};
use kiln_support::{Diagnostic, FileId, SourceMap, Span};
use std::collections::HashMap;

/// The original texts of one archive together may have this many bytes; later ones are left out.
const MAX_TEXT: usize = 64 << 20;

/// The original sources found so far, which many code files share.
pub struct Origins {
    files: HashMap<(String, u32, String), FileId>,
    budget: usize,
}

impl Default for Origins {
    fn default() -> Self {
        Origins { files: HashMap::new(), budget: MAX_TEXT }
    }
}

impl Origins {
    /// Gives `file` its origins; those that cannot be read are left out.
    pub fn attach(&mut self, bytes: &[u8], file: FileId, sources: &mut SourceMap) {
        if let Ok(entries) = self.entries(bytes, sources) {
            sources.set_origins(file, entries);
        }
    }

    fn entries(&mut self, bytes: &[u8], sources: &mut SourceMap) -> Result<Vec<OriginEntry>, Diagnostic> {
        let (nodes, root) = pickle::run(bytes, &mut NoStorages, &|_| false)?;
        let (strings, records) = match nodes.tuple(root)? {
            &[format, strings, records] if nodes.text(format).is_ok() => (Some(nodes.tuple(strings)?), nodes.tuple(records)?),
            records => (None, records),
        };
        let mut reader = Reader { nodes: &nodes, strings, cache: HashMap::new() };
        records.iter().map(|record| reader.entry(*record, self, sources)).collect()
    }

    /// The file of this text, added if it is new; nothing when there is no room.
    fn file(&mut self, name: String, first_line: u32, text: String, sources: &mut SourceMap) -> Option<FileId> {
        let key = (name, first_line, text);
        if let Some(&file) = self.files.get(&key) {
            return Some(file);
        }
        self.budget = self.budget.checked_sub(key.2.len())?;
        let (name, first_line, text) = key.clone();
        let file = sources.add_file(SourceFile { name, text, first_line, origins: Vec::new() });
        self.files.insert(key, file);
        Some(file)
    }
}

/// One record's reader.
struct Reader<'a> {
    nodes: &'a Nodes<'a>,
    strings: Option<&'a [NodeId]>,
    /// Files by source node: thousands of ranges share one.
    cache: HashMap<NodeId, Option<FileId>>,
}

impl Reader<'_> {
    fn entry(&mut self, record: NodeId, origins: &mut Origins, sources: &mut SourceMap) -> Result<OriginEntry, Diagnostic> {
        let (offset, range) = match *self.nodes.tuple(record)? {
            [offset, range] => (offset, range),
            [offset, middle, last] => {
                let range_first = matches!(self.nodes.arena[middle], Node::Tuple(_));
                (offset, if range_first { middle } else { last })
            }
            _ => return Err(broken("a source range has an unknown form")),
        };
        let start = u32::try_from(self.nodes.int(offset)?).map_err(|_| broken("a source range is out of bounds"))?;
        Ok(OriginEntry { start, origin: self.origin(range, origins, sources)? })
    }

    fn origin(&mut self, range: NodeId, origins: &mut Origins, sources: &mut SourceMap) -> Result<Option<Span>, Diagnostic> {
        let &[source, start, end] = self.nodes.tuple(range)? else { return Err(broken("a source range has not three parts")) };
        let Some(file) = self.source(source, origins, sources)? else { return Ok(None) };
        let text = &sources.file(file).text;
        let limit = |offset: i64| usize::try_from(offset).unwrap_or(0).min(text.len());
        let start = limit(self.nodes.int(start)?);
        let mut end = limit(self.nodes.int(end)?).max(start);
        if is_stack_trace(sources.file(file)) {
            // Traced code knows only the Python stack; its first line is the innermost frame.
            end = end.min(start + text[start..].find('\n').unwrap_or(text.len() - start));
        }
        Ok(Some(Span::new(file, start as u32, end as u32)))
    }

    fn source(&mut self, source: NodeId, origins: &mut Origins, sources: &mut SourceMap) -> Result<Option<FileId>, Diagnostic> {
        if let Some(&file) = self.cache.get(&source) {
            return Ok(file);
        }
        let &[text, name, line] = self.nodes.tuple(source)? else { return Err(broken("a source has not three parts")) };
        let text = self.source_text(text, origins.budget)?;
        let name = self.file_name(name)?;
        let file = match text {
            Some(text) if !text.is_empty() => {
                // A source without a file counts its lines from 1, whatever is written.
                let line = if name.is_some() { u32::try_from(self.nodes.int(line)?).unwrap_or(1).max(1) } else { 1 };
                origins.file(name.unwrap_or_else(|| "<string>".into()), line, text, sources)
            }
            _ => None,
        };
        self.cache.insert(source, file);
        Ok(file)
    }

    fn string(&self, index: i64) -> Result<&str, Diagnostic> {
        let strings = self.strings.unwrap_or(&[]);
        let id = usize::try_from(index).ok().and_then(|index| strings.get(index));
        self.nodes.text(*id.ok_or_else(|| broken("a string number is out of bounds"))?)
    }

    /// The text, or nothing where it is longer than `budget`.
    fn source_text(&self, text: NodeId, budget: usize) -> Result<Option<String>, Diagnostic> {
        if self.strings.is_none() {
            return self.nodes.text(text).map(|text| (text.len() <= budget).then(|| text.to_owned()));
        }
        let Node::List(pieces, _) = &self.nodes.arena[text] else { return Err(broken("a source has no text")) };
        let mut whole = String::new();
        for piece in pieces {
            let piece = self.string(self.nodes.int(*piece)?)?;
            if whole.len() + piece.len() > budget {
                return Ok(None);
            }
            whole.push_str(piece);
        }
        Ok(Some(whole))
    }

    fn file_name(&self, name: NodeId) -> Result<Option<String>, Diagnostic> {
        let name = match self.nodes.arena[name] {
            Node::None => return Ok(None),
            Node::Int(index) => self.string(index)?,
            _ => self.nodes.text(name)?,
        };
        Ok((!name.is_empty()).then(|| name.to_owned()))
    }
}

/// Whether a source is what tracing leaves: lines `file(line): function`, the first of them that of the source itself.
fn is_stack_trace(file: &SourceFile) -> bool {
    let rest = file.text.strip_prefix(file.name.as_str());
    rest.is_some_and(|rest| rest.starts_with(&format!("({}): ", file.first_line)))
}
