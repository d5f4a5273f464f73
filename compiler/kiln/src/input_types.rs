//! Types of inputs as the user writes them: `x=f32[N,3,224,224]`.
//!
//! ```text
//! TYPE  = DTYPE [ SIZE, .. ] | int | float | bool | str | none
//!       | list [ TYPE ] | dict [ TYPE , TYPE ] | optional [ TYPE ] | ( TYPE, .. )
//!       | = VALUE                       (JSON: a number, true, false, null, a string, a list of these)
//! SIZE  = number | NAME | NAME <= number
//! ```
//!
//! A name in place of a size is a symbol: the same name is the same size in all inputs of a method. A value (`dim==1`) makes
//! the input a constant of the compiled code. In: such texts, and a signature. Out: the rich types that specialisation
//! takes, and the constants.

use crate::arguments::{Signature, convert, literal_value};
use crate::fix::{Bound, fix, is_plain};
use kiln_frontend::tensors_file::InputValue;
use kiln_graph::{ClassKind, Dim, Literal, Param, Program, Type, Value};
use kiln_passes::specialise::Method;
use kiln_support::{DType, Diagnostic};

/// Types may nest this deep.
const MAX_DEPTH: usize = 32;

/// A type as written.
#[derive(Clone, PartialEq, Debug)]
pub enum InputType {
    /// A tensor.
    Tensor(DType, Vec<Size>),
    /// `int`, `float`, `bool`, `str` or `none`.
    Plain(Type),
    /// `optional[T]`.
    Optional(Box<InputType>),
    /// `list[T]`.
    List(Box<InputType>),
    /// `dict[K, V]`.
    Dict(Box<InputType>, Box<InputType>),
    /// `(T, ..)`.
    Tuple(Vec<InputType>),
    /// `=VALUE`: the input always has this value.
    Value(InputValue),
}

/// A size as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Size {
    /// A number.
    Const(i64),
    /// A symbol, and the most it may be.
    Symbol(String, Option<i64>),
}

/// Reads `NAME=TYPE`.
pub fn parse_input(text: &str) -> Result<(String, InputType), Diagnostic> {
    let Some((name, ty)) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
        return Err(bad_type(text, "it is not NAME=TYPE"));
    };
    Ok((name.trim().to_owned(), parse_type(ty)?))
}

/// Reads a type.
pub fn parse_type(text: &str) -> Result<InputType, Diagnostic> {
    if let Some(json) = text.trim_start().strip_prefix('=') {
        let value = serde_json::from_str(json).ok().as_ref().and_then(constant);
        return value.map(InputType::Value).ok_or_else(|| bad_type(text, &format!("`{json}` is not a value")));
    }
    let mut parser = Parser { rest: text.trim_start() };
    let parsed =
        parser.ty(0).and_then(|ty| if parser.rest.is_empty() { Ok(ty) } else { Err(format!("`{}` is left over", parser.rest)) });
    parsed.map_err(|why| bad_type(text, &why))
}

/// A value as JSON writes it.
fn constant(json: &serde_json::Value) -> Option<InputValue> {
    use serde_json::Value as J;
    Some(match json {
        J::Null => InputValue::None,
        J::Bool(b) => InputValue::Bool(*b),
        J::Number(n) => n.as_i64().map(InputValue::Int).or(n.as_f64().map(InputValue::Float))?,
        J::String(text) => InputValue::Str(text.clone()),
        J::Array(items) => InputValue::List(items.iter().map(constant).collect::<Option<_>>()?),
        J::Object(_) => return None,
    })
}

fn bad_type(text: &str, why: &str) -> Diagnostic {
    Diagnostic::usage("input-type", format!("`{text}` is not the type of an input: {why}"))
        .help("a type looks like x=f32[N,3,224,224], n=int, xs=list[f32[N,3]], d=dict[str,f32[N]] or p=(f32[2],i64[N])")
}

struct Parser<'t> {
    rest: &'t str,
}

type Parsed<T> = Result<T, String>;

impl<'t> Parser<'t> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { Err(format!("`{token}` is missing before `{}`", self.rest)) }
    }

    fn word(&mut self) -> &'t str {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn ty(&mut self, depth: usize) -> Parsed<InputType> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply".into());
        }
        if self.eat("(") {
            return Ok(InputType::Tuple(self.list(")", |p| p.ty(depth + 1))?));
        }
        let word = self.word();
        let is_bracketed = self.rest.starts_with('[');
        match word {
            "list" | "optional" => {
                self.expect("[")?;
                let inner = Box::new(self.ty(depth + 1)?);
                self.expect("]")?;
                Ok(if word == "list" { InputType::List(inner) } else { InputType::Optional(inner) })
            }
            "dict" => {
                self.expect("[")?;
                let key = self.ty(depth + 1)?;
                self.expect(",")?;
                let value = self.ty(depth + 1)?;
                self.expect("]")?;
                Ok(InputType::Dict(Box::new(key), Box::new(value)))
            }
            "bool" if !is_bracketed => Ok(InputType::Plain(Type::Bool)),
            "int" => Ok(InputType::Plain(Type::Int)),
            "float" => Ok(InputType::Plain(Type::Float)),
            "str" => Ok(InputType::Plain(Type::Str)),
            "none" | "None" => Ok(InputType::Plain(Type::None)),
            _ => {
                let dtype = DType::from_name(word).ok_or_else(|| format!("`{word}` is not an element type"))?;
                self.expect("[")?;
                Ok(InputType::Tensor(dtype, self.list("]", Parser::size)?))
            }
        }
    }

    /// Items up to `end`, separated by commas.
    fn list<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        while !self.eat(end) {
            items.push(item(self)?);
            if !self.eat(",") && !self.rest.starts_with(end) {
                return Err(format!("`{end}` is missing before `{}`", self.rest));
            }
        }
        Ok(items)
    }

    fn size(&mut self) -> Parsed<Size> {
        let word = self.word();
        match word.chars().next() {
            Some(c) if c.is_ascii_digit() => Ok(Size::Const(number(word)?)),
            Some(_) => {
                let bound = if self.eat("<=") { Some(number(self.word())?) } else { None };
                Ok(Size::Symbol(word.to_owned(), bound))
            }
            None => Err(format!("a size is missing before `{}`", self.rest)),
        }
    }
}

fn number(word: &str) -> Parsed<i64> {
    word.parse().map_err(|_| format!("`{word}` is not a size"))
}

/// Symbols of a method, in the order of their first use.
#[derive(Default)]
struct Symbols {
    names: Vec<String>,
}

impl Symbols {
    fn dim(&mut self, size: &Size) -> Dim {
        match size {
            Size::Const(n) => Dim::Const(*n),
            Size::Symbol(name, _) => {
                let at = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
                    self.names.push(name.clone());
                    self.names.len() - 1
                });
                Dim::Value(Value(at as u32))
            }
        }
    }
}

/// What the user says of a method's inputs.
#[derive(Debug)]
pub struct Typed {
    /// The method with its inputs' types.
    pub method: Method,
    /// Values of the inputs that are constants.
    pub values: Vec<Option<InputValue>>,
    /// Bounds of symbolic sizes.
    pub bounds: Vec<Bound>,
}

impl Typed {
    /// The method to compile: constants and bounds are in its code.
    pub fn into_method(self, program: &mut Program) -> Method {
        fix(program, &self.method, &self.values, &self.bounds)
    }
}

/// A method with what the user says of its inputs.
///
/// # Errors
/// A type that does not fit the signature; or, where a tensor's type is not given, the `--input` lines that are needed.
pub fn method(signature: &Signature, given: &[(String, InputType)]) -> Result<Typed, Diagnostic> {
    let params = signature.params();
    if let Some((name, _)) = given.iter().find(|(name, _)| !params.iter().any(|p| p.name == *name)) {
        let names: Vec<&str> = params.iter().map(|p| p.name.as_str()).collect();
        let message = format!("`{}` has no input `{name}`", signature.name);
        return Err(Diagnostic::usage("input-type", message).help(format!("its inputs are: {}", names.join(", "))));
    }
    let (mut symbols, mut inputs, mut missing) = (Symbols::default(), Vec::new(), Vec::new());
    let values = params.iter().map(|param| fixed_value(param, given, signature.program)).collect::<Result<Vec<_>, _>>()?;
    for (param, value) in params.iter().zip(&values) {
        match given.iter().find(|(name, _)| *name == param.name) {
            Some(_) if value.is_some() => inputs.push(param.ty.clone()),
            Some((_, ty)) => inputs.push(fit(param, &param.ty, ty, &mut symbols, signature.program)?),
            None if param.default == Some(Literal::None) => inputs.push(Type::None),
            None if is_open(&param.ty) => missing.push(needed_line(param, signature.program)),
            None => inputs.push(param.ty.clone()),
        }
    }
    if missing.is_empty() {
        let method =
            Method { name: signature.name.into(), func: signature.func, is_method: true, inputs, symbols: symbols.names };
        return Ok(Typed { method, values, bounds: bounds(params, given)? });
    }
    let message = format!("the types of some inputs of `{}` are not known", signature.name);
    Err(Diagnostic::usage("input-type-needed", message).note(signature.declaration()).help(format!("add {}", missing.join(" "))))
}

/// The bounds of symbolic sizes.
fn bounds(params: &[Param], given: &[(String, InputType)]) -> Result<Vec<Bound>, Diagnostic> {
    let mut bounds = Vec::new();
    for (name, ty) in given {
        let Some(param) = params.iter().position(|p| p.name == *name) else { continue };
        if let InputType::Tensor(_, sizes) = ty {
            for (axis, size) in sizes.iter().enumerate() {
                if let Size::Symbol(name, Some(most)) = size {
                    bounds.push(Bound { param, axis, name: name.clone(), most: *most });
                }
            }
        } else if has_bound(ty) {
            let message = format!("`--input {name}=...`: only a size of a tensor that is an input by itself can have a bound");
            return Err(Diagnostic::usage("input-type", message));
        }
    }
    Ok(bounds)
}

fn has_bound(ty: &InputType) -> bool {
    match ty {
        InputType::Tensor(_, sizes) => sizes.iter().any(|size| matches!(size, Size::Symbol(_, Some(_)))),
        InputType::Optional(inner) | InputType::List(inner) => has_bound(inner),
        InputType::Dict(key, value) => has_bound(key) || has_bound(value),
        InputType::Tuple(items) => items.iter().any(has_bound),
        InputType::Plain(_) | InputType::Value(_) => false,
    }
}

/// The value of an input that is a constant, as a value of its declared type: the one that is given, or, where nothing is said of
/// the input, its default.
fn fixed_value(param: &Param, given: &[(String, InputType)], program: &Program) -> Result<Option<InputValue>, Diagnostic> {
    let value = match given.iter().find(|(name, _)| *name == param.name) {
        Some((_, InputType::Value(value))) => value,
        Some(_) => return Ok(None),
        None => return Ok(param.default.as_ref().and_then(literal_value).filter(is_plain)),
    };
    match convert(value, &param.ty, program) {
        Some(value) => Ok(Some(value)),
        None => {
            let message = format!(
                "`--input {}=={}` does not fit the declared type {}",
                param.name,
                plain_json(value),
                param.ty.display(program)
            );
            Err(Diagnostic::usage("input-type", message))
        }
    }
}

/// A constant as it was written.
fn plain_json(value: &InputValue) -> serde_json::Value {
    match value {
        InputValue::Bool(b) => (*b).into(),
        InputValue::Int(i) => (*i).into(),
        InputValue::Float(f) => (*f).into(),
        InputValue::Str(text) => text.as_str().into(),
        InputValue::List(items) => items.iter().map(plain_json).collect(),
        _ => serde_json::Value::Null,
    }
}

/// Whether a declared type leaves open what has to be known: element type and rank of a tensor.
fn is_open(ty: &Type) -> bool {
    match ty {
        Type::Tensor(_) | Type::Any | Type::Number => true,
        Type::Optional(inner) | Type::List(inner) => is_open(inner),
        Type::Dict(types) => is_open(&types.1),
        Type::Tuple(types) | Type::Union(types) => types.iter().any(is_open),
        _ => false,
    }
}

fn needed_line(param: &Param, program: &Program) -> String {
    format!("--input '{}={}'", param.name, pattern(&param.ty, program))
}

/// A declared type in the form of `--input`, with `f32[...]` where a tensor's type has to be filled in.
fn pattern(ty: &Type, program: &Program) -> String {
    match ty {
        Type::Tensor(_) => "f32[...]".into(),
        Type::Optional(inner) => pattern(inner, program),
        Type::List(elem) => format!("list[{}]", pattern(elem, program)),
        Type::Dict(types) => format!("dict[{},{}]", pattern(&types.0, program), pattern(&types.1, program)),
        Type::Tuple(types) => format!("({})", types.iter().map(|ty| pattern(ty, program)).collect::<Vec<_>>().join(",")),
        Type::Any | Type::Number | Type::Union(_) => "TYPE".into(),
        other => other.display(program).to_string(),
    }
}

/// The rich type of a declared type and what the user says of it.
fn fit(param: &Param, declared: &Type, given: &InputType, symbols: &mut Symbols, program: &Program) -> Result<Type, Diagnostic> {
    let misfit = || {
        let message = format!("`--input {}=...` does not fit the declared type {}", param.name, param.ty.display(program));
        Diagnostic::usage("input-type", message).help(needed_line(param, program))
    };
    Ok(match (declared, given) {
        (Type::Any, given) => rich(given, symbols),
        (Type::Tensor(_), InputType::Tensor(..)) => rich(given, symbols),
        (Type::Optional(_), InputType::Plain(Type::None)) => Type::None,
        (Type::Optional(inner), InputType::Optional(given)) => Type::optional(fit(param, inner, given, symbols, program)?),
        (Type::Optional(inner), given) => fit(param, inner, given, symbols, program)?,
        (Type::Union(members), given) => {
            let fitting = members
                .iter()
                .find_map(|member| fit(param, member, given, &mut Symbols::default(), program).ok().map(|_| member));
            fit(param, fitting.ok_or_else(misfit)?, given, symbols, program)?
        }
        (Type::Number, InputType::Plain(Type::Int | Type::Float | Type::Bool)) => rich(given, symbols),
        (Type::List(elem), InputType::List(given)) => Type::list(fit(param, elem, given, symbols, program)?),
        (Type::Dict(types), InputType::Dict(key, value)) => {
            Type::dict(fit(param, &types.0, key, symbols, program)?, fit(param, &types.1, value, symbols, program)?)
        }
        (Type::Tuple(types), InputType::Tuple(given)) if types.len() == given.len() => {
            let items: Result<Vec<Type>, Diagnostic> =
                types.iter().zip(given).map(|(ty, given)| fit(param, ty, given, symbols, program)).collect();
            Type::tuple(items?)
        }
        (Type::Class(class), InputType::Tuple(given))
            if program.classes[*class].kind == ClassKind::NamedTuple && program.classes[*class].fields.len() == given.len() =>
        {
            let types = program.classes[*class].fields.iter().map(|field| &field.ty);
            let items: Result<Vec<Type>, Diagnostic> =
                types.zip(given).map(|(ty, given)| fit(param, ty, given, symbols, program)).collect();
            Type::tuple(items?)
        }
        (ty, InputType::Plain(given)) if ty == given => ty.clone(),
        _ => return Err(misfit()),
    })
}

/// A type as written, where nothing else is declared.
fn rich(given: &InputType, symbols: &mut Symbols) -> Type {
    match given {
        InputType::Tensor(dtype, sizes) => Type::tensor(*dtype, sizes.iter().map(|size| symbols.dim(size)).collect()),
        InputType::Plain(ty) => ty.clone(),
        InputType::Value(_) => Type::Any,
        InputType::Optional(inner) => Type::optional(rich(inner, symbols)),
        InputType::List(elem) => Type::list(rich(elem, symbols)),
        InputType::Dict(key, value) => Type::dict(rich(key, symbols), rich(value, symbols)),
        InputType::Tuple(items) => Type::tuple(items.iter().map(|item| rich(item, symbols)).collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_graph::{Function, Graph};
    use kiln_support::Span;

    #[test]
    fn every_form_reads() {
        let symbol = |name: &str, bound| Size::Symbol(name.into(), bound);
        let (name, ty) = parse_input("x = f32[N<=8, 3,H]").unwrap();
        assert_eq!(name, "x");
        assert_eq!(ty, InputType::Tensor(DType::F32, vec![symbol("N", Some(8)), Size::Const(3), symbol("H", None)]));
        assert_eq!(parse_type("bool").unwrap(), InputType::Plain(Type::Bool));
        assert_eq!(parse_type("bool[]").unwrap(), InputType::Tensor(DType::Bool, vec![]));
        let nested = parse_type("dict[str, list[(i64[2], optional[int])]]").unwrap();
        let tuple = InputType::Tuple(vec![
            InputType::Tensor(DType::I64, vec![Size::Const(2)]),
            InputType::Optional(Box::new(InputType::Plain(Type::Int))),
        ]);
        assert_eq!(nested, InputType::Dict(Box::new(InputType::Plain(Type::Str)), Box::new(InputType::List(Box::new(tuple)))));
    }

    #[test]
    fn what_does_not_read_says_why() {
        let why = |text: &str| parse_input(text).unwrap_err().message;
        assert!(why("f32[3]").contains("NAME=TYPE"));
        assert!(why("x=f31[3]").contains("`f31` is not an element type"));
        assert!(why("x=f32[3").contains("`]` is missing"));
        assert!(why("x=f32[3]]").contains("left over"));
        assert!(why("x=f32[3x]").contains("`3x` is not a size"));
        assert!(why("x=f32[99999999999999999999]").contains("not a size"));
        assert!(why(&format!("x={}", "(".repeat(100_000))).contains("nested too deeply"));
    }

    fn with_params(types: &[(&str, Type, Option<Literal>)]) -> (Program, kiln_graph::FuncId) {
        let own = [("self", Type::TENSOR, None)];
        let params = own.iter().chain(types).map(|(name, ty, default)| Param {
            name: (*name).into(),
            ty: ty.clone(),
            default: default.clone(),
            keyword_only: false,
            broadcasts: None,
        });
        let function =
            Function { name: "f".into(), params: params.collect(), returns: Type::None, body: Graph::new(), span: Span::NONE };
        let mut program = Program::default();
        let func = program.funcs.push(function);
        (program, func)
    }

    #[test]
    fn symbols_of_one_name_are_one_size() {
        let (program, func) =
            with_params(&[("a", Type::TENSOR, None), ("b", Type::list(Type::TENSOR), None), ("n", Type::Int, None)]);
        let signature = Signature { program: &program, name: "forward", func };
        let given = [parse_input("a=f32[M,N]").unwrap(), parse_input("b=list[i64[N]]").unwrap()];
        let method = method(&signature, &given).unwrap().method;
        assert_eq!(method.symbols, ["M", "N"]);
        let size = |n| Dim::Value(Value(n));
        let expected =
            [Type::tensor(DType::F32, vec![size(0), size(1)]), Type::list(Type::tensor(DType::I64, vec![size(1)])), Type::Int];
        assert_eq!(method.inputs, expected);
    }

    #[test]
    fn a_value_makes_an_input_a_constant() {
        let (program, func) =
            with_params(&[("x", Type::TENSOR, None), ("dims", Type::list(Type::Int), None), ("p", Type::Float, None)]);
        let signature = Signature { program: &program, name: "forward", func };
        let given = ["x=f32[2]", "dims==[0, -1]", "p==2"].map(|text| parse_input(text).unwrap());
        let values = method(&signature, &given).unwrap().values;
        let dims = InputValue::List(vec![InputValue::Int(0), InputValue::Int(-1)]);
        assert_eq!(values, [None, Some(dims), Some(InputValue::Float(2.0))]);
        let misfit = method(&signature, &["x=f32[2]", "dims==\"a\"", "p==2"].map(|text| parse_input(text).unwrap())).unwrap_err();
        assert_eq!(misfit.message, "`--input dims==\"a\"` does not fit the declared type List[int]");
        assert!(parse_input("dims==[").unwrap_err().message.contains("is not a value"));
    }

    #[test]
    fn bounds_belong_to_inputs() {
        let (program, func) = with_params(&[("x", Type::TENSOR, None), ("xs", Type::list(Type::TENSOR), None)]);
        let signature = Signature { program: &program, name: "forward", func };
        let typed = |xs: &str| method(&signature, &[parse_input("x=f32[2,N<=8]").unwrap(), parse_input(xs).unwrap()]);
        let bound = Bound { param: 0, axis: 1, name: "N".into(), most: 8 };
        assert_eq!(typed("xs=list[f32[N]]").unwrap().bounds, [bound]);
        assert!(typed("xs=list[f32[N<=8]]").unwrap_err().message.contains("only a size of a tensor"));
    }

    #[test]
    fn missing_types_are_asked_for_by_name() {
        let optional = Type::optional(Type::TENSOR);
        let (program, func) = with_params(&[
            ("x", Type::TENSOR, None),
            ("xs", Type::list(Type::TENSOR), None),
            ("mask", optional, Some(Literal::None)),
        ]);
        let signature = Signature { program: &program, name: "forward", func };
        let error = method(&signature, &[]).unwrap_err();
        assert_eq!(error.failure.exit_status(), 2);
        assert_eq!(error.help.unwrap(), "add --input 'x=f32[...]' --input 'xs=list[f32[...]]'");
        let wrong = method(&signature, &[parse_input("y=int").unwrap()]).unwrap_err();
        assert!(wrong.message.contains("no input `y`"));
        let misfit = method(&signature, &[parse_input("x=int").unwrap()]).unwrap_err();
        assert!(misfit.message.contains("does not fit the declared type Tensor"), "{}", misfit.message);
    }
}
