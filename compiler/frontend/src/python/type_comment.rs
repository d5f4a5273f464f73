//! `# type: (A, B) -> C` comments of functions, the annotations of Python 2 that TorchScript still reads.
//!
//! Two forms exist (`get_type_line` in torch/jit/annotations.py): the whole signature in one comment, or a
//! comment after each parameter and `# type: (...) -> C` at the end.

use super::Converter;
use super::limits;
use crate::ast::Expr;
use ruff_python_ast as py;
use ruff_python_ast::token::TokenKind;
use ruff_text_size::{Ranged, TextRange, TextSize};

impl Converter<'_> {
    /// The types in the comments between a function's name and its first statement.
    pub(super) fn type_comment(&mut self, function: &py::StmtFunctionDef) -> Option<(Vec<Expr>, Expr)> {
        let first = function.body.first()?;
        let comments = self.type_comments(TextRange::new(function.name.range.end(), first.start()));
        let (signature, arrow) = comments.iter().find_map(|&range| Some((range, self.text[range].find("->")?)))?;
        let split = signature.start() + TextSize::new(arrow as u32);
        let returns = self.parse_part(TextRange::new(split + TextSize::new(2), signature.end()))?;
        let params = self.parse_part(TextRange::new(signature.start(), split))?;
        let params = if matches!(params, py::Expr::EllipsisLiteral(_)) {
            let each = comments.iter().filter(|&&range| range != signature);
            each.filter_map(|&range| self.parse_part(range)).collect()
        } else {
            flatten(params)
        };
        Some((self.exprs(&params), self.expr(&returns)))
    }

    /// The texts after `# type:` in a stretch of the file; `# type: ignore` is for other tools.
    fn type_comments(&self, within: TextRange) -> Vec<TextRange> {
        let Some(tokens) = self.tokens else { return Vec::new() };
        // A search by position: a token never straddles the end of a name.
        let from = tokens.partition_point(|token| token.start() < within.start());
        let found = tokens[from..].iter().take_while(|token| token.start() < within.end());
        found.filter(|token| token.kind() == TokenKind::Comment).filter_map(|token| self.type_text(token.range())).collect()
    }

    fn type_text(&self, comment: TextRange) -> Option<TextRange> {
        let text = &self.text[comment];
        let rest = text.strip_prefix('#')?.trim_start().strip_prefix("type:")?.trim_start();
        if rest.is_empty() || rest.starts_with("ignore") {
            return None;
        }
        // What follows another `#` is an ordinary comment.
        let length = rest.find('#').unwrap_or(rest.len());
        let start = comment.end() - TextSize::of(rest);
        Some(TextRange::at(start, TextSize::new(length as u32)))
    }

    fn parse_part(&mut self, range: TextRange) -> Option<py::Expr> {
        let text = &self.text[range];
        let range =
            TextRange::at(range.start() + TextSize::of(text) - TextSize::of(text.trim_start()), TextSize::of(text.trim()));
        let span = self.span(range);
        if let Err(error) = limits::check_expression(&self.text[range], span) {
            self.error(error);
            return None;
        }
        match ruff_python_parser::parse_expression_range(self.text, range) {
            Ok(parsed) => Some(parsed.into_expr()),
            Err(error) => {
                let message = format!("the type comment is not valid: {}", error.error);
                self.error(kiln_support::Diagnostic::model("syntax", message).at(span));
                None
            }
        }
    }
}

/// The parameter types of `(A, B)`, `(A)`, `()`, or `(...)`.
fn flatten(params: py::Expr) -> Vec<py::Expr> {
    match params {
        py::Expr::Tuple(tuple) => tuple.elts,
        one => vec![one],
    }
}
