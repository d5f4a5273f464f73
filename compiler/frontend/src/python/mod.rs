//! Python text to kiln's tree: the one place that knows the parser library.
//!
//! In: a file of the source map (the user's `.py`, or code from an archive), or the text of a type. Out: the
//! tree of [`crate::ast`], or every diagnostic of the file. Text is measured before it is parsed
//! ([`limits`]), so that no nesting in it can exhaust the stack, here or in a later stage.

mod expressions;
mod functions;
mod limits;
mod statements;
mod type_comment;

use crate::ast::{Expr, Foreign, SourceModule};
use kiln_support::{Diagnostic, FileId, SourceMap, Span};
use ruff_python_ast::token::Tokens;
use ruff_python_parser::{Mode, ParseError, ParseOptions};
use ruff_text_size::TextRange;

/// More errors than this in one file say nothing new.
const MAX_ERRORS: usize = 50;

/// How string literals are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// As Python does.
    Python,
    /// As TorchScript's own reader does for archive code: an octal escape is one *byte* of UTF-8
    /// (`printQuotedString` in `python_print.cpp` writes `é` as `\303\251`).
    Archive,
}

/// Parses a file of Python source. All errors of the file are collected: `syntax` for what is not Python,
/// `unsupported-syntax` for what is not in the scripted subset.
pub fn parse_module(sources: &SourceMap, file: FileId) -> Result<SourceModule, Vec<Diagnostic>> {
    parse_module_as(sources, file, Dialect::Python)
}

/// [`parse_module`] for either dialect.
pub fn parse_module_as(sources: &SourceMap, file: FileId, dialect: Dialect) -> Result<SourceModule, Vec<Diagnostic>> {
    let (module, errors) = convert(sources, file, dialect)?;
    if errors.is_empty() { Ok(module) } else { Err(errors) }
}

/// Parses a file that may hold, beside the model, any Python: what is outside of the subset is refused where a model
/// reaches it. Errors are those of Python's grammar.
pub fn parse_source(sources: &SourceMap, file: FileId) -> Result<SourceModule, Vec<Diagnostic>> {
    convert(sources, file, Dialect::Python).map(|(module, _)| module)
}

/// The tree, and every construct that is outside of the subset.
fn convert(sources: &SourceMap, file: FileId, dialect: Dialect) -> Result<(SourceModule, Vec<Diagnostic>), Vec<Diagnostic>> {
    let text = sources.file(file).text.as_str();
    limits::check(text, file).map_err(|error| vec![error])?;
    let parsed = ruff_python_parser::parse_unchecked(text, ParseOptions::from(Mode::Module));
    let Some(parsed) = parsed.try_into_module() else {
        return Err(vec![Diagnostic::model("syntax", "the file is not a Python module").at(Span::new(file, 0, 0))]);
    };
    let place = Place::File(file);
    let mut converter = Converter::new(place, text, dialect, Some(parsed.tokens()));
    converter.add_syntax_errors(parsed.errors());
    if !converter.errors.is_empty() {
        return Err(converter.errors);
    }
    let module = converter.module(parsed.suite());
    if converter.mistakes.is_empty() { Ok((module, converter.errors)) } else { Err(converter.mistakes) }
}

/// Parses the text of a type or another single expression, such as `Dict[str, List[int]]`. Every node gets the
/// span `at`: where the text comes from, or [`Span::NONE`].
pub fn parse_expression(text: &str, at: Span) -> Result<Expr, Diagnostic> {
    limits::check_expression(text, at)?;
    let parsed = ruff_python_parser::parse_expression(text)
        .map_err(|error| Diagnostic::model("syntax", format!("`{text}` is not a Python expression: {}", error.error)).at(at))?;
    let mut converter = Converter::new(Place::Fixed(at), text, Dialect::Python, None);
    let expr = converter.expr(parsed.expr());
    match converter.errors.into_iter().next() {
        None => Ok(expr),
        Some(error) => Err(error),
    }
}

/// What the spans of a converted tree point to.
#[derive(Clone, Copy)]
enum Place {
    /// The text itself, a file of the source map.
    File(FileId),
    /// One span for all nodes.
    Fixed(Span),
}

/// Converts the parser library's tree. An unsupported construct is recorded and stands as [`Foreign`] in the tree, so that one
/// run finds all of them.
struct Converter<'a> {
    place: Place,
    text: &'a str,
    dialect: Dialect,
    /// The file's tokens: type comments are found among them.
    tokens: Option<&'a Tokens>,
    errors: Vec<Diagnostic>,
    /// Mistakes of Python's own grammar that the parser library leaves to its users.
    mistakes: Vec<Diagnostic>,
}

impl<'a> Converter<'a> {
    fn new(place: Place, text: &'a str, dialect: Dialect, tokens: Option<&'a Tokens>) -> Self {
        Self { place, text, dialect, tokens, errors: Vec::new(), mistakes: Vec::new() }
    }

    fn span(&self, range: TextRange) -> Span {
        match self.place {
            Place::File(file) => Span::new(file, range.start().into(), range.end().into()),
            Place::Fixed(span) => span,
        }
    }

    fn error(&mut self, error: Diagnostic) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    /// Records what no Python would take.
    fn syntax_error(&mut self, error: Diagnostic) {
        self.mistakes.push(error);
    }

    /// Records a construct that is outside the scripted subset; gives what can stand for it in the tree.
    fn unsupported(&mut self, range: TextRange, what: &str, help: &str) -> Foreign {
        let foreign = Foreign { what: what.to_owned(), help: help.to_owned(), defines: None };
        self.error(foreign.error(self.span(range)));
        foreign
    }

    fn add_syntax_errors(&mut self, errors: &[ParseError]) {
        for error in errors {
            let span = self.span(error.location);
            self.error(Diagnostic::model("syntax", format!("invalid Python: {}", error.error)).at(span));
        }
    }
}

#[cfg(test)]
mod tests;
