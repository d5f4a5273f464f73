//! Diagnostics: what kiln tells the user when their model, command or input is at fault.
//!
//! Layers below the command line build [`Diagnostic`]s and never print. This module alone knows what
//! one looks like.

use crate::{SourceMap, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;

/// Why a compilation or run failed, which decides the exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The model, its inputs or the run is at fault (exit status 1).
    Model,
    /// The command line is at fault (exit status 2).
    Usage,
    /// The model uses something kiln does not support yet (exit status 3).
    Unsupported,
}

impl Failure {
    /// The process exit status.
    pub fn exit_status(self) -> u8 {
        match self {
            Failure::Model => 1,
            Failure::Usage => 2,
            Failure::Unsupported => 3,
        }
    }
}

/// A stable short name of a kind of diagnostic, such as `unknown-operator`; `kiln explain` knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A place in a source text with a remark.
#[derive(Clone, Debug)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The remark; may be empty.
    pub text: String,
}

/// One message to the user.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// What is at fault.
    pub failure: Failure,
    /// The stable code.
    pub code: Code,
    /// One sentence.
    pub message: String,
    /// Places; the first is the main one.
    pub labels: Vec<Label>,
    /// Further facts, one sentence each.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    pub fn new(failure: Failure, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { failure, code: Code(code), message: message.into(), labels: Vec::new(), notes: Vec::new(), help: None }
    }

    /// The model or the run is at fault.
    pub fn model(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Self::new(Failure::Model, code, message)
    }

    /// Something kiln does not support yet.
    pub fn unsupported(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Self::new(Failure::Unsupported, code, message)
    }

    /// The command line is at fault.
    pub fn usage(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Self::new(Failure::Usage, code, message)
    }

    /// Adds a place; a span without source is left out.
    pub fn at(self, span: Span) -> Diagnostic {
        self.label(span, "")
    }

    /// Adds a place with a remark; a span without source is left out.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        if !span.is_none() {
            self.labels.push(Label { span, text: text.into() });
        }
        self
    }

    /// Adds a place unless there already is one.
    pub fn or_at(self, span: Span) -> Diagnostic {
        if self.labels.is_empty() { self.at(span) } else { self }
    }

    /// Adds a fact.
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// Says what to do.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// The text for a terminal: `error[code]: message`, the excerpt, notes, help. The first line always
    /// starts with `error: ` so that scripts can find it.
    pub fn render(&self, sources: &SourceMap, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        // An exception's own text may have several lines; the excerpt stays readable with the first one above it.
        let title = Level::ERROR.primary_title(self.message.as_str());
        let mut group = Group::with_title(title);
        let places: Vec<Excerpt> = self.labels.iter().map(|label| Excerpt::of(label, sources)).collect();
        for place in &places {
            group = group.element(
                Snippet::source(place.text)
                    .line_start(place.first_line as usize)
                    .path(place.path)
                    .annotation(AnnotationKind::Primary.span(place.range.clone()).label(place.remark)),
            );
        }
        for note in &self.notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group]).to_string()
    }
}

/// What is shown of one label: its place in the user's own file.
struct Excerpt<'a> {
    text: &'a str,
    path: &'a str,
    first_line: u32,
    range: std::ops::Range<usize>,
    remark: &'a str,
}

impl<'a> Excerpt<'a> {
    fn of(label: &'a Label, sources: &'a SourceMap) -> Excerpt<'a> {
        let span = sources.origin(label.span);
        let file = sources.file(span.file);
        let mut start = (span.start as usize).min(file.text.len());
        let mut end = (span.end as usize).clamp(start, file.text.len());
        while !file.text.is_char_boundary(start) {
            start -= 1;
        }
        while !file.text.is_char_boundary(end) {
            end += 1;
        }
        Excerpt { text: &file.text, path: &file.name, first_line: file.first_line.max(1), range: start..end, remark: &label.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::OriginEntry;

    #[test]
    fn shows_the_users_own_line() {
        let mut sources = SourceMap::default();
        let own = sources.add("net.py", "def f(x):\n    return torch.foo(x)\n");
        let generated = sources.add("net.pt:code/__torch__.py", "return torch.foo(x)");
        sources.set_origins(generated, vec![OriginEntry { start: 7, origin: Some(Span::new(own, 21, 33)) }]);
        let text = Diagnostic::unsupported("unknown-operator", "aten::foo is not supported")
            .at(Span::new(generated, 7, 19))
            .help("write it another way")
            .render(&sources, false);
        assert!(text.starts_with("error: aten::foo is not supported\n"), "{text}");
        assert!(text.contains("net.py:2:12"), "{text}");
        assert!(text.contains("torch.foo(x)"), "{text}");
        assert!(text.contains("help: write it another way"), "{text}");
    }
}
