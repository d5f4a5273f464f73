//! Class and function definitions of the parser library's tree to kiln's.

use super::Converter;
use crate::ast::{ClassDef, Expr, FieldDef, FunctionDef, Param, Stmt, StmtKind};
use kiln_support::Diagnostic;
use ruff_python_ast as py;
use ruff_text_size::Ranged;

impl Converter<'_> {
    pub(super) fn class(&mut self, class: &py::StmtClassDef) -> ClassDef {
        let mut bases = Vec::new();
        if let Some(arguments) = &class.arguments {
            bases = self.exprs(&arguments.args);
            if let Some(keyword) = arguments.keywords.first() {
                self.unsupported(keyword.range, "a metaclass or other keyword of a class", "leave it out");
            }
        }
        if let Some(params) = &class.type_params {
            self.unsupported(params.range, "a generic class", "write the types out");
        }
        let decorators = self.decorators(&class.decorator_list);
        let mut definition = ClassDef { decorators, ..ClassDef::new(class.name.id.as_str(), bases, self.span(class.range)) };
        for stmt in &class.body {
            self.class_member(stmt, &mut definition);
        }
        definition
    }

    fn class_member(&mut self, stmt: &py::Stmt, class: &mut ClassDef) {
        match stmt {
            py::Stmt::FunctionDef(function) => class.methods.push(self.function(function)),
            py::Stmt::AnnAssign(s) => {
                let annotation = Some(self.expr(&s.annotation));
                let value = self.optional(s.value.as_deref());
                self.field(stmt, &s.target, annotation, value, class);
            }
            py::Stmt::Assign(s) => {
                for target in &s.targets {
                    self.assigned_field(stmt, target, &s.value, class);
                }
            }
            py::Stmt::Pass(_) => {}
            py::Stmt::Expr(s) if s.value.is_string_literal_expr() || s.value.is_ellipsis_literal_expr() => {}
            other => {
                let foreign = self.unsupported(
                    other.range(),
                    "this statement in a class body",
                    "a class body holds attributes and methods only",
                );
                class.foreign.push((self.span(other.range()), foreign));
            }
        }
    }

    /// `name = value`, or `__annotations__["name"] = type` for a name that is not an identifier.
    fn assigned_field(&mut self, stmt: &py::Stmt, target: &py::Expr, value: &py::Expr, class: &mut ClassDef) {
        if let Some(name) = annotated_name(target) {
            let (span, name) = (self.span(stmt.range()), self.string(name));
            let annotation = Some(self.expr(value));
            class.fields.push(FieldDef { span, name, annotation, value: None });
        } else {
            let value = Some(self.expr(value));
            self.field(stmt, target, None, value, class);
        }
    }

    fn field(&mut self, stmt: &py::Stmt, target: &py::Expr, annotation: Option<Expr>, value: Option<Expr>, class: &mut ClassDef) {
        if let py::Expr::Name(name) = target {
            class.fields.push(FieldDef { span: self.span(stmt.range()), name: name.id.to_string(), annotation, value });
        } else {
            let foreign = self.unsupported(target.range(), "this assignment in a class body", "assign to a single name");
            class.foreign.push((self.span(target.range()), foreign));
        }
    }

    fn decorators(&mut self, decorators: &[py::Decorator]) -> Vec<Expr> {
        decorators.iter().map(|decorator| self.expr(&decorator.expression)).collect()
    }

    pub(super) fn function(&mut self, function: &py::StmtFunctionDef) -> FunctionDef {
        let asynchronous =
            function.is_async.then(|| self.unsupported(function.name.range, "an `async` function", "use `torch.jit.fork`"));
        if let Some(params) = &function.type_params {
            self.unsupported(params.range, "a generic function", "write the types out");
        }
        let type_comment = self.type_comment(function);
        let (docstring, body) = split_docstring(&function.body);
        // Code that TorchScript never compiles may be any Python.
        let body = if is_left_to_python(function) { &[] } else { body };
        let mut statements = self.body(body);
        if let Some(foreign) = asynchronous {
            statements = vec![Stmt { span: self.span(function.name.range), kind: StmtKind::Foreign(foreign) }];
        }
        FunctionDef {
            span: self.span(function.range),
            name_span: self.span(function.name.range),
            name: function.name.id.to_string(),
            params: self.params(&function.parameters),
            vararg: function.parameters.vararg.as_ref().map(|param| param.name.id.to_string()),
            kwarg: function.parameters.kwarg.as_ref().map(|param| param.name.id.to_string()),
            returns: self.optional(function.returns.as_deref()),
            decorators: self.decorators(&function.decorator_list),
            type_comment,
            docstring,
            body: statements,
        }
    }

    pub(super) fn params(&mut self, params: &py::Parameters) -> Vec<Param> {
        for (variadic, stars) in [(&params.vararg, "`*args`"), (&params.kwarg, "`**kwargs`")] {
            if let Some(variadic) = variadic {
                self.unsupported(variadic.range, stars, "give every parameter a name");
            }
        }
        let positional = params.posonlyargs.iter().chain(&params.args).map(|param| (param, false));
        let keyword_only = params.kwonlyargs.iter().map(|param| (param, true));
        let all: Vec<_> = params.posonlyargs.iter().chain(&params.args).chain(&params.kwonlyargs).collect();
        for (at, param) in all.iter().enumerate() {
            if all[..at].iter().any(|other| other.parameter.name.id == param.parameter.name.id) {
                let span = self.span(param.parameter.range);
                let message = format!("invalid Python: duplicate argument `{}`", param.parameter.name.id);
                self.syntax_error(Diagnostic::model("syntax", message).at(span));
            }
        }
        positional.chain(keyword_only).map(|(param, keyword_only)| self.param(param, keyword_only)).collect()
    }

    fn param(&mut self, param: &py::ParameterWithDefault, keyword_only: bool) -> Param {
        Param {
            span: self.span(param.parameter.range),
            name: param.parameter.name.id.to_string(),
            annotation: self.optional(param.parameter.annotation.as_deref()),
            default: self.optional(param.default.as_deref()),
            keyword_only,
        }
    }
}

/// The `name` of a target `__annotations__["name"]`.
fn annotated_name(target: &py::Expr) -> Option<&str> {
    let subscript = target.as_subscript_expr()?;
    let table = subscript.value.as_name_expr()?;
    let name = subscript.slice.as_string_literal_expr()?;
    (table.id.as_str() == "__annotations__").then(|| name.value.to_str())
}

fn split_docstring(body: &[py::Stmt]) -> (Option<String>, &[py::Stmt]) {
    if let [py::Stmt::Expr(first), rest @ ..] = body
        && let py::Expr::StringLiteral(text) = &*first.value
    {
        return (Some(text.value.to_str().to_owned()), rest);
    }
    (None, body)
}

/// Whether the function is decorated with `@torch.jit.ignore` or `@torch.jit.unused`.
fn is_left_to_python(function: &py::StmtFunctionDef) -> bool {
    function.decorator_list.iter().any(|decorator| {
        let callee = decorator.expression.as_call_expr().map_or(&decorator.expression, |call| &*call.func);
        let name = match callee {
            py::Expr::Attribute(attribute) => attribute.attr.id.as_str(),
            py::Expr::Name(name) => name.id.as_str(),
            _ => return false,
        };
        matches!(name, "ignore" | "unused")
    })
}
