//! What a source text may measure before it is given to the parser.
//!
//! Parser, converter and later stages walk trees by recursion, and trees are also dropped that way; the depth
//! of any tree is therefore bounded here, on the token stream, which needs no recursion. The bounds are
//! generous for people and printers alike: CPython itself refuses 200 nested parentheses and 100 indentations.

use kiln_support::{Diagnostic, FileId, Span};
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, lexer};

/// Largest source text, in bytes.
pub const MAX_BYTES: usize = 64 << 20;
/// Deepest expression: brackets, operators, attributes and conditionals that contain each other.
const MAX_EXPRESSION_DEPTH: u32 = 300;
/// Deepest statement: indentation plus the `elif`s above a place (an `elif` is an `if` in an `else`).
const MAX_STATEMENT_DEPTH: u32 = 150;
/// Texts larger than this are not searched for the line at fault.
const MAX_LOCATED: usize = 1 << 20;

/// Refuses a module text that is too large or too deeply nested.
pub fn check(text: &str, file: FileId) -> Result<(), Diagnostic> {
    if text.len() > MAX_BYTES {
        return Err(Diagnostic::model(
            "syntax",
            format!("the source text has {} bytes; kiln reads up to {MAX_BYTES}", text.len()),
        ));
    }
    match Depth::measure(text, Mode::Module) {
        None => Ok(()),
        Some(what) => Err(too_deep(what).at(locate(text, file))),
    }
}

/// Refuses an expression text that is too large or too deeply nested.
pub fn check_expression(text: &str, at: Span) -> Result<(), Diagnostic> {
    if text.len() > MAX_BYTES {
        return Err(Diagnostic::model("syntax", "the expression is too long").at(at));
    }
    match Depth::measure(text, Mode::Expression) {
        None => Ok(()),
        Some(what) => Err(too_deep(what).at(at)),
    }
}

fn too_deep(what: &str) -> Diagnostic {
    Diagnostic::model("syntax", format!("{what} are nested too deeply"))
        .help("split the code into smaller statements or functions")
}

/// The end of the shortest run of whole lines that is too deep.
fn locate(text: &str, file: FileId) -> Span {
    if text.len() > MAX_LOCATED {
        return Span::new(file, 0, 0);
    }
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).chain([text.len()]).collect();
    let line = ends.partition_point(|&end| Depth::measure(&text[..end], Mode::Module).is_none());
    let end = ends.get(line).copied().unwrap_or(text.len());
    let start = line.checked_sub(1).map_or(0, |before| ends[before]);
    Span::new(file, start as u32, end as u32)
}

/// The largest number of lines of which each is indented deeper than the one before that encloses it.
fn indentation(text: &str) -> usize {
    let mut enclosing: Vec<usize> = Vec::new();
    let mut deepest = 0;
    for line in text.split(['\n', '\r']) {
        let columns = line.len() - line.trim_start_matches([' ', '\t', '\x0c']).len();
        if columns == line.len() {
            continue;
        }
        while enclosing.last().is_some_and(|&outer| outer >= columns) {
            enclosing.pop();
        }
        enclosing.push(columns);
        deepest = deepest.max(enclosing.len());
    }
    deepest
}

/// A bound on the depth of the tree at the current token.
#[derive(Default)]
struct Depth {
    /// Per open bracket: how many operators have followed each other since its last comma.
    chains: Vec<u32>,
    /// Their sum, and one for each bracket.
    expression: u32,
    /// Per open indentation: how many `elif`s its `if` has so far.
    elifs: Vec<u32>,
    /// Their sum, and one for each indentation.
    statement: u32,
    /// Whether a token of the current logical line has been seen.
    inside_line: bool,
}

impl Depth {
    /// What is too deep in `text`, if anything is.
    fn measure(text: &str, mode: Mode) -> Option<&'static str> {
        // After a bracket that is never closed, the parser reads indentation that the lexer alone does not see.
        if indentation(text) > MAX_STATEMENT_DEPTH as usize {
            return Some("statements");
        }
        let mut depth = Depth { chains: vec![0], elifs: vec![0], ..Depth::default() };
        let mut lexer = lexer::lex(text, mode);
        loop {
            let token = lexer.next_token();
            if token == TokenKind::EndOfFile {
                return None;
            }
            depth.feed(token);
            if depth.expression > MAX_EXPRESSION_DEPTH {
                return Some("expressions");
            }
            if depth.statement > MAX_STATEMENT_DEPTH {
                return Some("statements");
            }
        }
    }

    fn feed(&mut self, token: TokenKind) {
        use TokenKind as T;
        match token {
            T::Lpar | T::Lsqb | T::Lbrace | T::FStringStart | T::TStringStart => self.open(),
            T::Rpar | T::Rsqb | T::Rbrace | T::FStringEnd | T::TStringEnd => self.close(),
            T::Comma | T::Semi => self.restart(),
            T::Newline => {
                // A logical line ends outside of all brackets, or the text is broken: either way none is open.
                self.chains = vec![0];
                self.expression = 0;
            }
            T::Indent => {
                self.elifs.push(0);
                self.statement += 1;
            }
            T::Dedent if self.elifs.len() > 1 => {
                let elifs = self.elifs.pop().unwrap_or(0);
                self.statement -= 1 + elifs;
            }
            _ => {}
        }
        self.follow_elifs(token);
        if nests(token) {
            self.extend();
        }
    }

    fn open(&mut self) {
        // A call or subscript continues a chain as well: `a()()()`.
        self.extend();
        self.chains.push(0);
        self.expression += 1;
    }

    fn close(&mut self) {
        if self.chains.len() > 1 {
            let chain = self.chains.pop().unwrap_or(0);
            self.expression -= chain + 1;
        }
    }

    fn restart(&mut self) {
        if let Some(chain) = self.chains.last_mut() {
            self.expression -= *chain;
            *chain = 0;
        }
    }

    fn extend(&mut self) {
        if let Some(chain) = self.chains.last_mut() {
            *chain += 1;
            self.expression += 1;
        }
    }

    /// Counts an `elif`; another statement at this indentation ends the `if` before it.
    fn follow_elifs(&mut self, token: TokenKind) {
        use TokenKind as T;
        match token {
            T::Newline | T::Indent | T::Dedent => self.inside_line = false,
            T::Comment | T::NonLogicalNewline => {}
            _ if self.inside_line => {}
            T::Elif => {
                self.inside_line = true;
                self.statement += 1;
                if let Some(elifs) = self.elifs.last_mut() {
                    *elifs += 1;
                }
            }
            _ => {
                self.inside_line = true;
                if let Some(elifs) = self.elifs.last_mut() {
                    self.statement -= *elifs;
                    *elifs = 0;
                }
            }
        }
    }
}

/// Tokens that put what follows, or what went before, one level deeper.
fn nests(token: TokenKind) -> bool {
    use TokenKind as T;
    matches!(
        token,
        T::Plus
            | T::Minus
            | T::Star
            | T::Slash
            | T::Vbar
            | T::Amper
            | T::Dot
            | T::Percent
            | T::Tilde
            | T::CircumFlex
            | T::LeftShift
            | T::RightShift
            | T::DoubleStar
            | T::DoubleSlash
            | T::At
            | T::ColonEqual
            | T::Not
            | T::If
            | T::Else
            | T::Lambda
            | T::Await
            | T::Yield
    )
}
