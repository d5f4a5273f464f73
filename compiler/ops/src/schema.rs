//! PyTorch's schema strings, parsed.
//!
//! `aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor` gives an operator's
//! name, overload, argument types, defaults, keyword-only marks and what it writes to
//! (`Tensor(a!)`). The grammar is that of `torch/csrc/jit/frontend/function_schema_parser.cpp`.

use kiln_graph::{Literal, Type};

/// A parsed schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// `aten::softmax`.
    pub name: String,
    /// `int`, or empty.
    pub overload: String,
    /// Arguments in order.
    pub args: Vec<Arg>,
    /// Whether further arguments of any type follow (`...`).
    pub varargs: bool,
    /// Results.
    pub returns: Vec<Arg>,
    /// Whether the number of results is not fixed (`-> ...`).
    pub varreturns: bool,
}

/// An argument or a result.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Name; results are often without.
    pub name: String,
    /// Type.
    pub ty: SchemaType,
    /// Default value.
    pub default: Option<Literal>,
    /// Whether it can only be given by name.
    pub keyword_only: bool,
    /// Alias set, if annotated: `(a)`, `(a!)`, `(*)`.
    pub alias: Option<Alias>,
}

/// An alias annotation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alias {
    /// The sets, such as `a`.
    pub sets: Vec<String>,
    /// Whether the operator writes through it (`!`).
    pub write: bool,
}

/// A type in a schema.
#[derive(Clone, PartialEq, Debug)]
pub enum SchemaType {
    /// A type without variables. `ScalarType`, `Layout`, `MemoryFormat` and `SymInt` are ints.
    Is(Type),
    /// A type variable such as `t`.
    Var(String),
    /// `T?`.
    Optional(Box<SchemaType>),
    /// `T[]`, or `T[2]`: a single `T` is broadcast to that length.
    List(Box<SchemaType>, Option<u32>),
    /// `Dict(K, V)`.
    Dict(Box<SchemaType>, Box<SchemaType>),
    /// `(A, B)`.
    Tuple(Vec<SchemaType>),
    /// `Future(T)`, `Await(T)`.
    Future(Box<SchemaType>),
    /// Any enum class value (`AnyEnumType`), any list, any tuple, any object: named as PyTorch does.
    AnyOf(&'static str),
}

impl Schema {
    /// `aten::softmax.int`: the key of the operator.
    pub fn key(&self) -> String {
        if self.overload.is_empty() { self.name.clone() } else { format!("{}.{}", self.name, self.overload) }
    }

    /// Whether an argument is written to.
    pub fn is_mutating(&self) -> bool {
        self.args.iter().any(|a| a.alias.as_ref().is_some_and(|alias| alias.write))
    }

    /// Position of an argument by name.
    pub fn arg(&self, name: &str) -> Option<usize> {
        self.args.iter().position(|a| a.name == name)
    }

    /// Parses a schema string.
    pub fn parse(text: &str) -> Result<Schema, String> {
        let mut parser = Parser { text, at: 0 };
        let schema = parser.schema().map_err(|what| format!("{what} at byte {} of schema `{text}`", parser.at))?;
        parser.skip_space();
        if parser.at == text.len() { Ok(schema) } else { Err(format!("trailing text in schema `{text}`")) }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { Err(format!("expected `{token}`")) }
    }

    fn ident(&mut self) -> Parsed<String> {
        self.skip_space();
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if len == 0 {
            return Err("expected a name".into());
        }
        let name = rest[..len].to_owned();
        self.at += len;
        Ok(name)
    }

    fn schema(&mut self) -> Parsed<Schema> {
        let namespace = self.ident()?;
        self.expect("::")?;
        let name = format!("{namespace}::{}", self.ident()?);
        let overload = if self.eat(".") { self.ident()? } else { String::new() };
        let (args, varargs) = self.arguments()?;
        self.expect("->")?;
        let (returns, varreturns) = self.results()?;
        Ok(Schema { name, overload, args, varargs, returns, varreturns })
    }

    fn arguments(&mut self) -> Parsed<(Vec<Arg>, bool)> {
        self.expect("(")?;
        let (mut args, mut varargs, mut keyword_only) = (Vec::new(), false, false);
        while !self.eat(")") {
            if self.eat("...") {
                varargs = true;
            } else if self.eat("*") {
                keyword_only = true;
            } else {
                args.push(self.argument(keyword_only)?);
            }
            self.eat(",");
        }
        Ok((args, varargs))
    }

    fn results(&mut self) -> Parsed<(Vec<Arg>, bool)> {
        if self.eat("...") {
            return Ok((Vec::new(), true));
        }
        if !self.eat("(") {
            return Ok((vec![self.result()?], false));
        }
        let mut results = Vec::new();
        while !self.eat(")") {
            results.push(self.result()?);
            self.eat(",");
        }
        Ok((results, false))
    }

    fn result(&mut self) -> Parsed<Arg> {
        let (ty, alias) = self.ty()?;
        self.skip_space();
        let named = self.rest().starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let name = if named { self.ident()? } else { String::new() };
        Ok(Arg { name, ty, default: None, keyword_only: false, alias })
    }

    fn argument(&mut self, keyword_only: bool) -> Parsed<Arg> {
        let (ty, alias) = self.ty()?;
        let name = self.ident()?;
        // A list length may follow the name in old schemas: `int[] x[2]` does not occur, `int[2] x` does.
        let default = if self.eat("=") { Some(self.default(&ty)?) } else { None };
        Ok(Arg { name, ty, default, keyword_only, alias })
    }

    fn ty(&mut self) -> Parsed<(SchemaType, Option<Alias>)> {
        let mut alias = None;
        let mut ty = if self.eat("(") {
            let mut members = Vec::new();
            while !self.eat(")") {
                members.push(self.ty()?.0);
                self.eat(",");
            }
            SchemaType::Tuple(members)
        } else {
            self.named_type()?
        };
        loop {
            if self.rest().starts_with('(') {
                let inner = self.alias()?;
                alias = alias.or(Some(inner));
            } else if self.rest().starts_with("[]") {
                self.at += 2;
                ty = SchemaType::List(Box::new(ty), None);
            } else if self.rest().starts_with('[') {
                self.at += 1;
                let length = self.ident()?.parse().map_err(|_| "expected a list length".to_owned())?;
                self.expect("]")?;
                ty = SchemaType::List(Box::new(ty), Some(length));
            } else if self.rest().starts_with('?') {
                self.at += 1;
                ty = SchemaType::Optional(Box::new(ty));
            } else {
                return Ok((ty, alias));
            }
        }
    }

    fn named_type(&mut self) -> Parsed<SchemaType> {
        let mut name = self.ident()?;
        while self.rest().starts_with('.') && !self.rest().starts_with("...") {
            self.at += 1;
            name = format!("{name}.{}", self.ident()?);
        }
        let is = |ty: Type| Ok(SchemaType::Is(ty));
        match name.as_str() {
            "Tensor" => is(Type::TENSOR),
            "int" | "SymInt" | "ScalarType" | "Layout" | "MemoryFormat" | "QScheme" => is(Type::Int),
            "float" => is(Type::Float),
            "bool" | "SymBool" => is(Type::Bool),
            "complex" => is(Type::Complex),
            "Scalar" => is(Type::Number),
            "str" | "Dimname" => is(Type::Str),
            "Device" => is(Type::Device),
            "NoneType" => is(Type::None),
            "Any" => is(Type::Any),
            "Generator" => is(Type::Opaque("Generator")),
            "Stream" => is(Type::Opaque("Stream")),
            "Storage" => is(Type::Opaque("Storage")),
            "AnyEnumType" => Ok(SchemaType::AnyOf("AnyEnumType")),
            "AnyClassType" => Ok(SchemaType::AnyOf("AnyClassType")),
            "AnyListType" => Ok(SchemaType::AnyOf("AnyListType")),
            "AnyTupleType" => Ok(SchemaType::AnyOf("AnyTupleType")),
            "Dict" => {
                self.expect("(")?;
                let key = self.ty()?.0;
                self.expect(",")?;
                let value = self.ty()?.0;
                self.expect(")")?;
                Ok(SchemaType::Dict(Box::new(key), Box::new(value)))
            }
            "Future" | "Await" | "RRef" => {
                self.expect("(")?;
                let inner = self.ty()?.0;
                self.expect(")")?;
                Ok(SchemaType::Future(Box::new(inner)))
            }
            _ if name.contains('.') => Ok(SchemaType::AnyOf("AnyClassType")),
            _ if name.starts_with(|c: char| c.is_ascii_lowercase()) => Ok(SchemaType::Var(name)),
            _ => Err(format!("unknown type `{name}`")),
        }
    }

    fn alias(&mut self) -> Parsed<Alias> {
        self.expect("(")?;
        let (mut sets, mut write) = (Vec::new(), false);
        while !self.eat(")") {
            if self.eat("*") {
                sets.push("*".to_owned());
            } else if self.eat("!") {
                write = true;
            } else if !self.eat("|") && !self.eat("->") {
                sets.push(self.ident()?);
            }
        }
        Ok(Alias { sets, write })
    }

    fn default(&mut self, ty: &SchemaType) -> Parsed<Literal> {
        self.skip_space();
        match ty {
            SchemaType::Optional(inner) if !self.rest().starts_with("None") => return self.default(inner),
            // A single value stands for a list of it.
            SchemaType::List(inner, length) if !self.rest().starts_with('[') => {
                let value = self.default(inner)?;
                return Ok(Literal::List(vec![value; length.unwrap_or(1) as usize]));
            }
            SchemaType::List(inner, _) => return self.list_default(inner),
            _ => {}
        }
        if self.rest().starts_with('"') {
            return self.string().map(Literal::Str);
        }
        for (word, literal) in [("None", Literal::None), ("True", Literal::Bool(true)), ("False", Literal::Bool(false))] {
            if self.eat(word) {
                return Ok(literal);
            }
        }
        self.number(ty)
    }

    fn list_default(&mut self, inner: &SchemaType) -> Parsed<Literal> {
        self.expect("[")?;
        let mut items = Vec::new();
        while !self.eat("]") {
            items.push(self.default(inner)?);
            self.eat(",");
        }
        Ok(Literal::List(items))
    }

    fn number(&mut self, ty: &SchemaType) -> Parsed<Literal> {
        let rest = self.rest();
        let len = rest.find([',', ')', ']', ' ']).unwrap_or(rest.len());
        let word = rest[..len].to_owned();
        self.at += len;
        let is_float = *ty == SchemaType::Is(Type::Float);
        if !is_float && let Ok(int) = word.parse::<i64>() {
            return Ok(Literal::Int(int));
        }
        word.parse::<f64>().map(Literal::Float).map_err(|_| format!("bad default `{word}`"))
    }

    fn string(&mut self) -> Parsed<String> {
        self.expect("\"")?;
        let mut out = String::new();
        let mut escaped = false;
        for (i, c) in self.text[self.at..].char_indices() {
            match (escaped, c) {
                (false, '"') => {
                    self.at += i + 1;
                    return Ok(out);
                }
                (false, '\\') => escaped = true,
                (false, c) => out.push(c),
                (true, c) => {
                    escaped = false;
                    out.push(match c {
                        'n' => '\n',
                        't' => '\t',
                        'f' => '\x0c',
                        'v' => '\x0b',
                        'r' => '\r',
                        other => other,
                    });
                }
            }
        }
        Err("unterminated string".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_defaults_aliases_and_lists() {
        let s = Schema::parse("aten::conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=[1, 1], SymInt[2] padding=0, *, float eps=1.0000000000000001e-05) -> Tensor(a!)").unwrap();
        assert_eq!(s.key(), "aten::conv2d");
        assert_eq!(s.args[2].default, Some(Literal::None));
        assert_eq!(s.args[4].default, Some(Literal::ints(&[0, 0])));
        assert!(s.args[5].keyword_only);
        assert_eq!(s.args[5].default, Some(Literal::Float(1e-5)));
        assert!(s.returns[0].alias.as_ref().unwrap().write);
        let s = Schema::parse("aten::append.t(t[](a!) self, t(c -> *) el) -> t[](a!)").unwrap();
        assert!(s.is_mutating());
        assert_eq!(s.args[1].ty, SchemaType::Var("t".into()));
        let s = Schema::parse("aten::sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)")
            .unwrap();
        assert_eq!(s.returns[1].name, "indices");
    }
}
