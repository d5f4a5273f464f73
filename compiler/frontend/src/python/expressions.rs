//! Expressions of the parser library's tree to kiln's.

use super::{Converter, Dialect};
use crate::ast::{BinOp, CompareOp, Expr, ExprKind, FStringPart, Foreign, UnaryOp};
use ruff_python_ast as py;
use ruff_text_size::{Ranged, TextRange};

impl Converter<'_> {
    pub(super) fn expr(&mut self, expr: &py::Expr) -> Expr {
        Expr { span: self.span(expr.range()), kind: self.expr_kind(expr) }
    }

    fn boxed(&mut self, expr: &py::Expr) -> Box<Expr> {
        Box::new(self.expr(expr))
    }

    pub(super) fn exprs(&mut self, exprs: &[py::Expr]) -> Vec<Expr> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    pub(super) fn optional(&mut self, expr: Option<&py::Expr>) -> Option<Expr> {
        expr.map(|expr| self.expr(expr))
    }

    fn optional_box(&mut self, expr: Option<&py::Expr>) -> Option<Box<Expr>> {
        expr.map(|expr| self.boxed(expr))
    }

    fn expr_kind(&mut self, expr: &py::Expr) -> ExprKind {
        use py::Expr as E;
        match expr {
            E::NoneLiteral(_) => ExprKind::None,
            E::EllipsisLiteral(_) => ExprKind::Ellipsis,
            E::BooleanLiteral(literal) => ExprKind::Bool(literal.value),
            E::NumberLiteral(literal) => self.number(literal),
            E::StringLiteral(literal) => ExprKind::Str(self.string(literal.value.to_str())),
            E::FString(literal) => self.f_string(literal),
            E::Name(name) => ExprKind::Name(name.id.to_string()),
            E::Attribute(e) => ExprKind::Attribute { value: self.boxed(&e.value), name: e.attr.id.to_string() },
            E::Subscript(e) => ExprKind::Subscript { value: self.boxed(&e.value), index: self.boxed(&e.slice) },
            E::Slice(e) => ExprKind::Slice {
                lower: self.optional_box(e.lower.as_deref()),
                upper: self.optional_box(e.upper.as_deref()),
                step: self.optional_box(e.step.as_deref()),
            },
            E::Call(call) => self.call(call),
            E::Starred(e) => ExprKind::Starred(self.boxed(&e.value)),
            E::BinOp(e) => ExprKind::Binary { op: binary_op(e.op), left: self.boxed(&e.left), right: self.boxed(&e.right) },
            E::UnaryOp(e) => self.unary(e),
            E::BoolOp(e) => ExprKind::BoolOp { is_and: e.op == py::BoolOp::And, values: self.exprs(&e.values) },
            E::Compare(e) => self.compare(e),
            E::If(e) => ExprKind::IfElse { test: self.boxed(&e.test), body: self.boxed(&e.body), orelse: self.boxed(&e.orelse) },
            E::List(e) => ExprKind::List(self.exprs(&e.elts)),
            E::Tuple(e) => ExprKind::Tuple(self.exprs(&e.elts)),
            E::Dict(e) => self.dict(e),
            E::ListComp(e) => self.list_comprehension(&e.elt, &e.generators, e.range),
            // TorchScript reads a generator as a list (`build_GeneratorExp` in torch/jit/frontend.py).
            E::Generator(e) => self.list_comprehension(&e.elt, &e.generators, e.range),
            E::DictComp(e) => self.dict_comprehension(e),
            E::Lambda(e) => self.lambda(e),
            other => self.refused(other),
        }
    }

    fn refused(&mut self, expr: &py::Expr) -> ExprKind {
        use py::Expr as E;
        let (what, help) = match expr {
            E::Named(_) => ("an assignment inside an expression (`:=`)", "assign in a statement of its own"),
            E::Set(_) | E::SetComp(_) => ("a set", "use a list, or a dict with the elements as keys"),
            E::Await(_) => ("`await`", "use `torch.jit.fork` and `torch.jit.wait`"),
            E::Yield(_) | E::YieldFrom(_) => ("`yield`", "collect the values in a list and return it"),
            E::BytesLiteral(_) => ("a bytes literal", "use a string"),
            E::TString(_) => ("a template string", "use a string"),
            _ => ("this expression", "rewrite it in the scripted subset of Python"),
        };
        ExprKind::Foreign(self.unsupported(expr.range(), what, help))
    }

    fn lambda(&mut self, e: &py::ExprLambda) -> ExprKind {
        self.unsupported(e.range, "a lambda", "define a function");
        let params = e.parameters.as_deref().map_or_else(Vec::new, |params| self.params(params));
        ExprKind::Lambda { params, body: self.boxed(&e.body) }
    }

    fn number(&mut self, literal: &py::ExprNumberLiteral) -> ExprKind {
        match &literal.value {
            py::Number::Float(value) => ExprKind::Float(*value),
            py::Number::Complex { imag, .. } => ExprKind::Imaginary(*imag),
            py::Number::Int(value) => match value.as_i64() {
                Some(value) => ExprKind::Int(value),
                None => self.integer_too_large(literal.range),
            },
        }
    }

    fn integer_too_large(&mut self, range: TextRange) -> ExprKind {
        ExprKind::Foreign(self.unsupported(
            range,
            "an integer of more than 64 bits",
            "TorchScript integers have 64 bits; use a float",
        ))
    }

    fn unary(&mut self, e: &py::ExprUnaryOp) -> ExprKind {
        if let Some(value) = smallest_integer(e) {
            return ExprKind::Int(value);
        }
        let op = match e.op {
            py::UnaryOp::Invert => UnaryOp::Invert,
            py::UnaryOp::Not => UnaryOp::Not,
            py::UnaryOp::UAdd => UnaryOp::Pos,
            py::UnaryOp::USub => UnaryOp::Neg,
        };
        ExprKind::Unary { op, operand: self.boxed(&e.operand) }
    }

    /// Resolves the byte escapes of archive code: characters up to U+00FF stand for bytes there.
    pub(super) fn string(&self, text: &str) -> String {
        if self.dialect == Dialect::Python || text.is_ascii() {
            return text.to_owned();
        }
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
        match bytes.map(String::from_utf8) {
            Some(Ok(decoded)) => decoded,
            _ => text.to_owned(),
        }
    }

    fn f_string(&mut self, literal: &py::ExprFString) -> ExprKind {
        let mut parts = Vec::new();
        for part in literal.value.iter() {
            match part {
                py::FStringPart::Literal(text) => parts.push(FStringPart::Text(text.value.to_string())),
                py::FStringPart::FString(f) => {
                    for element in &*f.elements {
                        let part = self.f_string_element(element);
                        parts.push(part);
                    }
                }
            }
        }
        ExprKind::FString(parts)
    }

    fn f_string_element(&mut self, element: &py::InterpolatedStringElement) -> FStringPart {
        match element {
            py::InterpolatedStringElement::Literal(text) => FStringPart::Text(text.value.to_string()),
            py::InterpolatedStringElement::Interpolation(part) => {
                let plain =
                    part.format_spec.is_none() && part.conversion == py::ConversionFlag::None && part.debug_text.is_none();
                if plain {
                    return FStringPart::Value(self.expr(&part.expression));
                }
                let foreign =
                    self.unsupported(part.range, "a format specification in an f-string", "TorchScript knows only `{value}`");
                match literal_spec(part) {
                    Some(spec) => FStringPart::Formatted(self.expr(&part.expression), spec),
                    None => FStringPart::Value(Expr { span: self.span(part.range), kind: ExprKind::Foreign(foreign) }),
                }
            }
        }
    }

    fn call(&mut self, call: &py::ExprCall) -> ExprKind {
        let func = self.boxed(&call.func);
        let args = self.exprs(&call.arguments.args);
        let mut keywords = Vec::new();
        for keyword in &call.arguments.keywords {
            match &keyword.arg {
                Some(name) => keywords.push((name.id.to_string(), self.expr(&keyword.value))),
                None => {
                    self.unsupported(keyword.range, "`**` in a call", "write out the keyword arguments");
                    keywords.push(("**".to_owned(), self.expr(&keyword.value)));
                }
            }
        }
        ExprKind::Call { func, args, keywords }
    }

    fn compare(&mut self, e: &py::ExprCompare) -> ExprKind {
        let left = self.boxed(&e.left);
        let rest = e.ops.iter().zip(&e.comparators).map(|(op, right)| (compare_op(*op), self.expr(right))).collect();
        ExprKind::Compare { left, rest }
    }

    fn dict(&mut self, e: &py::ExprDict) -> ExprKind {
        let mut items = Vec::new();
        for item in &e.items {
            match &item.key {
                Some(key) => items.push((self.expr(key), self.expr(&item.value))),
                None => {
                    self.unsupported(item.value.range(), "`**` in a dict", "add the items with `update`");
                    let value = self.expr(&item.value);
                    items.push((Expr { span: value.span, kind: ExprKind::Starred(Box::new(value.clone())) }, value));
                }
            }
        }
        ExprKind::Dict(items)
    }

    fn list_comprehension(&mut self, element: &py::Expr, generators: &[py::Comprehension], range: TextRange) -> ExprKind {
        let (target, iter, conditions) = match self.generator(generators, range) {
            Ok(parts) => parts,
            Err(foreign) => return ExprKind::Foreign(foreign),
        };
        ExprKind::ListComp { element: self.boxed(element), target, iter, conditions }
    }

    fn dict_comprehension(&mut self, e: &py::ExprDictComp) -> ExprKind {
        let Some(key) = e.key.as_deref() else {
            return ExprKind::Foreign(self.unsupported(e.range, "`**` in a dict comprehension", "write key and value"));
        };
        let (target, iter, conditions) = match self.generator(&e.generators, e.range) {
            Ok(parts) => parts,
            Err(foreign) => return ExprKind::Foreign(foreign),
        };
        ExprKind::DictComp { key: self.boxed(key), value: self.boxed(&e.value), target, iter, conditions }
    }

    /// Target, iterated value and conditions of the only generator.
    fn generator(&mut self, generators: &[py::Comprehension], range: TextRange) -> Result<Generator, Foreign> {
        match generators {
            [one] if !one.is_async => Ok((self.boxed(&one.target), self.boxed(&one.iter), self.exprs(&one.ifs))),
            _ => Err(self.unsupported(range, "a comprehension with several `for`, or an asynchronous one", "write nested loops")),
        }
    }
}

/// The format specification of a part, where it is one word without conversion.
fn literal_spec(part: &py::InterpolatedElement) -> Option<String> {
    if part.conversion != py::ConversionFlag::None || part.debug_text.is_some() {
        return None;
    }
    let spec = part.format_spec.as_ref()?;
    match &*spec.elements {
        [py::InterpolatedStringElement::Literal(text)] => Some(text.value.to_string()),
        _ => None,
    }
}

/// Target, iterated value and conditions.
type Generator = (Box<Expr>, Box<Expr>, Vec<Expr>);

/// `-9223372036854775808`, whose digits alone do not fit 64 bits.
fn smallest_integer(e: &py::ExprUnaryOp) -> Option<i64> {
    let py::Expr::NumberLiteral(literal) = &*e.operand else { return None };
    let py::Number::Int(value) = &literal.value else { return None };
    (e.op == py::UnaryOp::USub && value.as_u64() == Some(1 << 63)).then_some(i64::MIN)
}

pub(super) fn binary_op(op: py::Operator) -> BinOp {
    match op {
        py::Operator::Add => BinOp::Add,
        py::Operator::Sub => BinOp::Sub,
        py::Operator::Mult => BinOp::Mul,
        py::Operator::MatMult => BinOp::MatMul,
        py::Operator::Div => BinOp::Div,
        py::Operator::Mod => BinOp::Mod,
        py::Operator::Pow => BinOp::Pow,
        py::Operator::LShift => BinOp::LShift,
        py::Operator::RShift => BinOp::RShift,
        py::Operator::BitOr => BinOp::BitOr,
        py::Operator::BitXor => BinOp::BitXor,
        py::Operator::BitAnd => BinOp::BitAnd,
        py::Operator::FloorDiv => BinOp::FloorDiv,
    }
}

fn compare_op(op: py::CmpOp) -> CompareOp {
    match op {
        py::CmpOp::Eq => CompareOp::Eq,
        py::CmpOp::NotEq => CompareOp::Ne,
        py::CmpOp::Lt => CompareOp::Lt,
        py::CmpOp::LtE => CompareOp::Le,
        py::CmpOp::Gt => CompareOp::Gt,
        py::CmpOp::GtE => CompareOp::Ge,
        py::CmpOp::Is => CompareOp::Is,
        py::CmpOp::IsNot => CompareOp::IsNot,
        py::CmpOp::In => CompareOp::In,
        py::CmpOp::NotIn => CompareOp::NotIn,
    }
}
