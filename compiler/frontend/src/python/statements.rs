//! Modules and statements of the parser library's tree to kiln's.

use super::Converter;
use super::expressions::binary_op;
use crate::ast::{Foreign, Item, SourceModule, Stmt, StmtKind};
use ruff_python_ast as py;
use ruff_text_size::{Ranged, TextRange};

impl Converter<'_> {
    pub(super) fn module(&mut self, body: &[py::Stmt]) -> SourceModule {
        let mut items = Vec::new();
        for stmt in body {
            self.item(stmt, &mut items);
        }
        SourceModule { items }
    }

    fn item(&mut self, stmt: &py::Stmt, items: &mut Vec<Item>) {
        match stmt {
            py::Stmt::ClassDef(class) => items.push(Item::Class(self.class(class))),
            py::Stmt::FunctionDef(function) => items.push(Item::Function(self.function(function))),
            py::Stmt::Import(import) => {
                items.extend(import.names.iter().map(|alias| Item::Import {
                    span: self.span(alias.range),
                    module: alias.name.id.to_string(),
                    name: None,
                    alias: local_name(alias),
                }));
            }
            py::Stmt::ImportFrom(import) => self.import_from(import, items),
            // What a file does when it is run as a program is not part of the model.
            py::Stmt::If(s) if is_main_test(&s.test) => {}
            other => items.push(Item::Statement(self.stmt(other))),
        }
    }

    /// `from ..a import b as c`: the leading dots stay in the module path.
    fn import_from(&self, import: &py::StmtImportFrom, items: &mut Vec<Item>) {
        let mut module = ".".repeat(import.level.min(64) as usize);
        module.push_str(import.module.as_ref().map_or("", |name| name.id.as_str()));
        items.extend(import.names.iter().map(|alias| Item::Import {
            span: self.span(alias.range),
            module: module.clone(),
            name: Some(alias.name.id.to_string()),
            alias: local_name(alias),
        }));
    }

    pub(super) fn body(&mut self, body: &[py::Stmt]) -> Vec<Stmt> {
        body.iter().map(|stmt| self.stmt(stmt)).collect()
    }

    pub(super) fn stmt(&mut self, stmt: &py::Stmt) -> Stmt {
        Stmt { span: self.span(stmt.range()), kind: self.stmt_kind(stmt) }
    }

    fn stmt_kind(&mut self, stmt: &py::Stmt) -> StmtKind {
        use py::Stmt as S;
        match stmt {
            S::Assign(s) => {
                StmtKind::Assign { targets: self.exprs(&s.targets), annotation: None, value: Some(self.expr(&s.value)) }
            }
            S::AnnAssign(s) => StmtKind::Assign {
                targets: vec![self.expr(&s.target)],
                annotation: Some(self.expr(&s.annotation)),
                value: self.optional(s.value.as_deref()),
            },
            S::AugAssign(s) => {
                StmtKind::AugAssign { target: self.expr(&s.target), op: binary_op(s.op), value: self.expr(&s.value) }
            }
            S::Expr(s) if s.value.is_string_literal_expr() => StmtKind::Pass,
            S::Expr(s) => StmtKind::Expr(self.expr(&s.value)),
            S::Return(s) => StmtKind::Return(self.optional(s.value.as_deref())),
            S::If(s) => self.if_stmt(s),
            S::While(s) => self.while_stmt(s),
            S::For(s) => self.for_stmt(s),
            S::With(s) => self.with_stmt(s),
            S::Raise(s) => StmtKind::Raise(self.optional(s.exc.as_deref())),
            S::Assert(s) => StmtKind::Assert { test: self.expr(&s.test), message: self.optional(s.msg.as_deref()) },
            S::Delete(s) => StmtKind::Delete(self.exprs(&s.targets)),
            S::Break(_) => StmtKind::Break,
            S::Continue(_) => StmtKind::Continue,
            S::Pass(_) => StmtKind::Pass,
            other => self.refused_stmt(other),
        }
    }

    fn refused_stmt(&mut self, stmt: &py::Stmt) -> StmtKind {
        use py::Stmt as S;
        let (what, help) = match stmt {
            S::FunctionDef(_) => ("a function inside a function or block", "move it to the top level of the file"),
            S::ClassDef(_) => ("a class inside a function, block or class", "move it to the top level of the file"),
            S::Import(_) | S::ImportFrom(_) => ("an import inside a function or block", "move it to the top of the file"),
            S::Match(_) => ("`match`", "use `if` and `elif`"),
            S::Try(_) => ("`try`", "TorchScript cannot catch exceptions; test the condition beforehand"),
            S::Global(_) | S::Nonlocal(_) => ("`global` and `nonlocal`", "pass the value as an argument, or keep it in `self`"),
            S::TypeAlias(_) => ("a `type` statement", "write `Name = type`"),
            _ => ("this statement", "rewrite it in the scripted subset of Python"),
        };
        let foreign = self.unsupported(head(stmt), what, help);
        let defines = match stmt {
            S::FunctionDef(function) => Some(function.name.id.to_string()),
            S::ClassDef(class) => Some(class.name.id.to_string()),
            _ => None,
        };
        StmtKind::Foreign(Foreign { defines, ..foreign })
    }

    fn if_stmt(&mut self, s: &py::StmtIf) -> StmtKind {
        let test = self.expr(&s.test);
        let body = self.body(&s.body);
        // From the last clause inwards: each `elif` holds what follows it.
        let mut orelse = Vec::new();
        let end = s.range.end();
        for clause in s.elif_else_clauses.iter().rev() {
            let body = self.body(&clause.body);
            orelse = match &clause.test {
                None => body,
                Some(test) => {
                    let span = self.span(TextRange::new(clause.range.start(), end));
                    vec![Stmt { span, kind: StmtKind::If { test: self.expr(test), body, orelse } }]
                }
            };
        }
        StmtKind::If { test, body, orelse }
    }

    fn while_stmt(&mut self, s: &py::StmtWhile) -> StmtKind {
        if let Some(foreign) = self.loop_else(&s.orelse) {
            return StmtKind::Foreign(foreign);
        }
        StmtKind::While { test: self.expr(&s.test), body: self.body(&s.body) }
    }

    fn for_stmt(&mut self, s: &py::StmtFor) -> StmtKind {
        if let Some(foreign) = self.loop_else(&s.orelse) {
            return StmtKind::Foreign(foreign);
        }
        if s.is_async {
            return StmtKind::Foreign(self.unsupported(s.target.range(), "`async for`", "use a plain `for`"));
        }
        StmtKind::For { target: self.expr(&s.target), iter: self.expr(&s.iter), body: self.body(&s.body) }
    }

    fn loop_else(&mut self, orelse: &[py::Stmt]) -> Option<Foreign> {
        let first = orelse.first()?;
        Some(self.unsupported(first.range(), "`else` after a loop", "set a flag before `break` and test it after the loop"))
    }

    fn with_stmt(&mut self, s: &py::StmtWith) -> StmtKind {
        if s.is_async {
            let place = s.items.first().map_or(s.range, Ranged::range);
            return StmtKind::Foreign(self.unsupported(place, "`async with`", "use a plain `with`"));
        }
        let items =
            s.items.iter().map(|item| (self.expr(&item.context_expr), self.optional(item.optional_vars.as_deref()))).collect();
        StmtKind::With { items, body: self.body(&s.body) }
    }
}

/// The first characters of a statement: enough to point at it without underlining its whole body.
fn head(stmt: &py::Stmt) -> TextRange {
    match stmt {
        py::Stmt::FunctionDef(function) => function.name.range,
        py::Stmt::ClassDef(class) => class.name.range,
        py::Stmt::Match(s) => s.subject.range(),
        // The keyword `try` has three letters; its body is not at fault.
        py::Stmt::Try(s) => TextRange::at(s.range.start(), 3.into()),
        other => other.range(),
    }
}

fn local_name(alias: &py::Alias) -> String {
    alias.asname.as_ref().unwrap_or(&alias.name).id.to_string()
}

/// `__name__ == "__main__"`.
fn is_main_test(test: &py::Expr) -> bool {
    let py::Expr::Compare(compare) = test else { return false };
    let name = compare.left.as_name_expr().is_some_and(|name| name.id.as_str() == "__name__");
    let main = compare.comparators.first().and_then(|right| right.as_string_literal_expr());
    name && main.is_some_and(|main| main.value.to_str() == "__main__")
}
