//! Tokens of the text form: words, numbers, strings and punctuation. A comment runs from `;` to the end of its line.

use super::ReadError;
use std::fmt;

/// A token and where it begins, as a byte offset.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

/// Kinds of tokens.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    /// A keyword, entity, type or operator: `yield`, `v3`, `f32`, `aten::add.Tensor`, `__torch__.Net`.
    Word(String),
    /// A number as it is written, sign included; `inf` and `NaN` are numbers too.
    Number(String),
    /// A string without its quotes and escapes.
    Str(String),
    /// Any other character.
    Punct(char),
    /// The end of the text.
    End,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Word(text) | Kind::Number(text) => write!(f, "`{text}`"),
            Kind::Str(text) => write!(f, "{text:?}"),
            Kind::Punct(c) => write!(f, "`{c}`"),
            Kind::End => f.write_str("the end of the text"),
        }
    }
}

/// All tokens of a text; the last one is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ReadError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let at = lexer.at;
        let kind = lexer.token()?;
        let done = kind == Kind::End;
        tokens.push(Token { kind, at });
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes the longest prefix whose characters all fit.
    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_blanks(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if !self.rest().starts_with(';') {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn token(&mut self) -> Result<Kind, ReadError> {
        let Some(first) = self.rest().chars().next() else { return Ok(Kind::End) };
        Ok(match first {
            '"' => Kind::Str(self.string()?),
            '0'..='9' => Kind::Number(self.number()),
            '-' if self.rest().starts_with("-inf") => {
                self.at += "-inf".len();
                Kind::Number("-inf".into())
            }
            '-' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => Kind::Number(self.number()),
            c if c.is_alphabetic() || c == '_' => self.word(),
            c => {
                self.at += c.len_utf8();
                Kind::Punct(c)
            }
        })
    }

    /// A word; `::` belongs to it, a single `:` does not.
    fn word(&mut self) -> Kind {
        let start = self.at;
        loop {
            self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '.');
            if !self.rest().starts_with("::") {
                break;
            }
            self.at += 2;
        }
        match &self.text[start..self.at] {
            special @ ("inf" | "NaN") => Kind::Number(special.to_owned()),
            word => Kind::Word(word.to_owned()),
        }
    }

    fn number(&mut self) -> String {
        let start = self.at;
        if self.rest().starts_with('-') {
            self.at += 1;
        }
        self.take_while(|c| c.is_ascii_digit() || c == '.');
        if self.rest().starts_with('e') {
            self.at += 1;
            if self.rest().starts_with('-') {
                self.at += 1;
            }
            self.take_while(|c| c.is_ascii_digit());
        }
        self.text[start..self.at].to_owned()
    }

    /// A string with the escapes that Rust's debug form writes.
    fn string(&mut self) -> Result<String, ReadError> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            out.push_str(self.take_while(|c| c != '"' && c != '\\' && c != '\n'));
            match self.rest().chars().next() {
                Some('"') => break,
                Some('\\') => out.push(self.escape()?),
                _ => return Err(ReadError::at(self.text, start, "a string that does not end in its line")),
            }
        }
        self.at += 1;
        Ok(out)
    }

    fn escape(&mut self) -> Result<char, ReadError> {
        let start = self.at;
        let wrong = |lexer: &Self| ReadError::at(lexer.text, start, "an unknown escape in a string");
        let mut chars = self.rest()[1..].chars();
        let letter = chars.next().ok_or_else(|| wrong(self))?;
        self.at += 1 + letter.len_utf8();
        Ok(match letter {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            '\\' | '"' | '\'' => letter,
            'u' => {
                let digits = self.rest().strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(digits, _)| digits);
                let digits = digits.ok_or_else(|| wrong(self))?;
                let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).ok_or_else(|| wrong(self))?;
                self.at += digits.len() + 2;
                code
            }
            _ => return Err(wrong(self)),
        })
    }
}
