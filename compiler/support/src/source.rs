//! Source files and positions in them.
//!
//! Code inside an archive is generated text; its `debug_pkl` maps stretches of it back to the user's
//! own Python. A [`Span`] always points into the text that was parsed; [`SourceMap::origin`] follows
//! the map when a diagnostic is shown.

use crate::{PrimaryMap, entity};

entity!(
    /// A file of the [`SourceMap`].
    FileId, "file"
);

/// A stretch of a file, in bytes; `end` is exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    /// The file, or [`Span::NONE`]'s.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of what has no source text.
    pub const NONE: Span = Span { file: FileId(u32::MAX), start: 0, end: 0 };

    /// A stretch of `file`.
    pub fn new(file: FileId, start: u32, end: u32) -> Span {
        Span { file, start, end }
    }

    /// Whether this is [`Span::NONE`].
    pub fn is_none(self) -> bool {
        self.file.0 == u32::MAX
    }

    /// The smallest span that holds both, which must be in one file.
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// One entry of a file's origin map: from byte `start` of the text on, code stems from `origin`.
#[derive(Clone, Debug)]
pub struct OriginEntry {
    /// First byte of the generated text that this entry covers; it reaches to the next entry.
    pub start: u32,
    /// Where the code stems from, or nothing if that is unknown.
    pub origin: Option<Span>,
}

/// One source text.
#[derive(Clone, Debug, Default)]
pub struct SourceFile {
    /// What to call it in messages: a path, or `archive.pt:code/__torch__.py`.
    pub name: String,
    /// The text.
    pub text: String,
    /// The line number (from 1) of the text's first line: more than 1 where only an excerpt is known.
    pub first_line: u32,
    /// Origins, sorted by `start`; empty for the user's own text.
    pub origins: Vec<OriginEntry>,
}

/// All source texts of a compilation.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: PrimaryMap<FileId, SourceFile>,
}

impl SourceMap {
    /// Adds a text that starts at line 1.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.add_file(SourceFile { name: name.into(), text: text.into(), first_line: 1, origins: Vec::new() })
    }

    /// Adds a file.
    pub fn add_file(&mut self, file: SourceFile) -> FileId {
        self.files.push(file)
    }

    /// The file of this id. Panics when the id is from another map.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id]
    }

    /// Sets where the parts of a file stem from.
    pub fn set_origins(&mut self, id: FileId, mut origins: Vec<OriginEntry>) {
        origins.sort_by_key(|entry| entry.start);
        self.files[id].origins = origins;
    }

    /// The text under a span.
    pub fn text(&self, span: Span) -> &str {
        if span.is_none() {
            return "";
        }
        self.files[span.file].text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Follows origin maps to the user's own file, as far as they reach.
    pub fn origin(&self, span: Span) -> Span {
        let mut span = span;
        // An origin's origin is possible (a source inside a source), a long chain is not.
        for _ in 0..8 {
            if span.is_none() {
                return span;
            }
            let origins = &self.files[span.file].origins;
            let after = origins.partition_point(|entry| entry.start <= span.start);
            match after.checked_sub(1).and_then(|at| origins[at].origin) {
                Some(origin) => span = origin,
                None => return span,
            }
        }
        span
    }

    /// Line (from 1) and column (from 1, in characters) of a span's start.
    pub fn line_column(&self, span: Span) -> (u32, u32) {
        let file = &self.files[span.file];
        let mut at = (span.start as usize).min(file.text.len());
        while !file.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &file.text[..at];
        let line = before.matches('\n').count() as u32;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u32;
        (file.first_line + line, column + 1)
    }
}
