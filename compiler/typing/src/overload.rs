//! Choosing an overload: PyTorch's `schema_matching.cpp`.
//!
//! Matching only plans; nothing is added to the graph until an overload has been chosen. Overloads are tried
//! in table order, first without implicit conversions, then with them.

use crate::body::Body;
use kiln_graph::{ClassKind, Graph, Literal, Op, Program, Type, Value};
use kiln_ops::{Arg, Schema, SchemaType};
use std::collections::{HashMap, HashSet};

/// What must happen to a value before it can be an operand.
#[derive(Clone, Debug)]
pub(crate) enum Conversion {
    /// Nothing.
    Same,
    /// A new empty list of this element type in place of an untyped `[]`.
    EmptyList(Type),
    /// A list of as many copies.
    Repeat(u32, Type),
    /// A tuple to a list of this element type.
    TupleToList(Type),
    /// Each element of a tuple.
    Tuple(Vec<Conversion>, Type),
    /// An operator of one operand.
    Call(&'static str),
}

/// Where an operand comes from.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Value(Value, Conversion),
    /// The schema's default of this argument.
    Default(usize),
    /// The remaining positional arguments as one list.
    Pack(Vec<(Value, Conversion)>, Type),
}

/// A matched schema.
#[derive(Debug)]
pub(crate) struct Match {
    pub operands: Vec<Operand>,
    pub results: Vec<Type>,
}

/// The arguments of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// The object that the operator was named on.
    pub receiver: Option<Value>,
    pub positional: Vec<Value>,
    pub keywords: Vec<(String, Value)>,
}

impl Args {
    pub fn positional(values: &[Value]) -> Args {
        Args { positional: values.to_vec(), ..Args::default() }
    }
}

type Bindings = HashMap<String, Type>;

/// The state of one attempt.
pub(crate) struct Matcher<'a> {
    pub graph: &'a Graph,
    pub program: &'a Program,
    pub conversions: bool,
    /// Literals `[]` whose type nothing has said.
    untyped_lists: &'a HashSet<Value>,
    bindings: Bindings,
}

impl<'a> Matcher<'a> {
    /// Matches a call with a schema; the error is the reason for a message.
    pub fn schema(mut self, schema: &Schema, args: &Args) -> Result<Match, String> {
        let mut operands = Vec::with_capacity(schema.args.len());
        let mut receiver = args.receiver;
        let mut used = 0;
        let mut used_keywords = vec![false; args.keywords.len()];
        for (i, arg) in schema.args.iter().enumerate() {
            if arg.name == "self"
                && let Some(value) = receiver.take()
            {
                operands.push(self.argument(arg, value)?);
            } else if !arg.keyword_only && used < args.positional.len() {
                if let Some(pack) = self.pack(schema, i, &args.positional[used..])? {
                    used = args.positional.len();
                    operands.push(pack);
                    continue;
                }
                operands.push(self.argument(arg, args.positional[used])?);
                used += 1;
            } else if let Some(at) = keyword(&arg.name, args) {
                if std::mem::replace(&mut used_keywords[at], true) {
                    return Err(format!("argument `{}` is given twice", arg.name));
                }
                operands.push(self.argument(arg, args.keywords[at].1)?);
            } else if arg.default.is_some() {
                operands.push(Operand::Default(i));
            } else {
                return Err(format!("argument `{}` is missing", arg.name));
            }
        }
        if receiver.is_some() {
            return Err("it takes no `self`".into());
        }
        if schema.varargs {
            operands.extend(args.positional[used..].iter().map(|&v| Operand::Value(v, Conversion::Same)));
            used = args.positional.len();
        }
        if used < args.positional.len() {
            return Err(format!("it takes at most {used} positional arguments, not {}", args.positional.len()));
        }
        if let Some(at) = used_keywords.iter().position(|u| !u) {
            let name = &args.keywords[at].0;
            let known = schema.arg(name).is_some();
            return Err(if known { format!("argument `{name}` is given twice") } else { format!("it has no argument `{name}`") });
        }
        let results = schema.returns.iter().map(|r| self.result(&r.ty)).collect::<Result<_, String>>()?;
        Ok(Match { operands, results })
    }

    /// `zeros(2, 3)` for `zeros(int[] size)`: the remaining positional arguments make one list.
    fn pack(&mut self, schema: &Schema, at: usize, rest: &[Value]) -> Result<Option<Operand>, String> {
        let is_last = schema.args.get(at + 1).is_none_or(|next| next.keyword_only);
        let SchemaType::List(elem, None) = &schema.args[at].ty else { return Ok(None) };
        let SchemaType::Is(elem) = &**elem else { return Ok(None) };
        let first = self.graph.ty(rest[0]);
        let list_already = matches!(first, Type::List(_)) || self.tuple_fits_list(first, elem);
        if !is_last || list_already {
            return Ok(None);
        }
        let mut items = Vec::new();
        for &value in rest {
            let conversion = self.convert(value, elem);
            let ty = self.converted_type(value, &conversion);
            if !ty.is_subtype(elem, self.program) {
                return Err(self.mismatch(&schema.args[at], &ty));
            }
            items.push((value, conversion));
        }
        Ok(Some(Operand::Pack(items, elem.clone())))
    }

    fn argument(&mut self, arg: &Arg, value: Value) -> Result<Operand, String> {
        let found = self.graph.ty(value).clone();
        if let Some((count, ty)) = repeated(&arg.ty, &found) {
            return Ok(Operand::Value(value, Conversion::Repeat(count, ty)));
        }
        self.bind(&arg.ty, &found).map_err(|why| format!("argument `{}`: {why}", arg.name))?;
        if let Some(any) = any_of(&arg.ty) {
            return if self.is_any_of(any, &found) {
                Ok(Operand::Value(value, Conversion::Same))
            } else {
                Err(self.mismatch(arg, &found))
            };
        }
        let Some(wanted) = self.substitute(&arg.ty) else {
            return Err(format!("argument `{}`: its type cannot be inferred from `{}`", arg.name, found.display(self.program)));
        };
        let conversion = self.convert(value, &wanted);
        let converted = self.converted_type(value, &conversion);
        if converted.is_subtype(&wanted, self.program) || fits_any_list(&converted, &wanted) {
            Ok(Operand::Value(value, conversion))
        } else {
            Err(self.mismatch(arg, &found))
        }
    }

    fn mismatch(&self, arg: &Arg, found: &Type) -> String {
        let wanted = self.substitute(&arg.ty).map_or_else(|| schema_type(&arg.ty), |ty| ty.display(self.program).to_string());
        format!("argument `{}` takes `{wanted}`, not `{}`", arg.name, found.display(self.program))
    }

    fn result(&self, ty: &SchemaType) -> Result<Type, String> {
        if any_of(ty).is_some() {
            return Ok(Type::Any);
        }
        self.substitute(ty).ok_or_else(|| "its result type cannot be inferred".to_owned())
    }

    /// Binds the type variables of a formal type (`matchTypeVariables`).
    fn bind(&mut self, formal: &SchemaType, actual: &Type) -> Result<(), String> {
        if !has_variables(formal) {
            return Ok(());
        }
        let shown = |ty: &Type| ty.display(self.program).to_string();
        match (formal, actual) {
            (SchemaType::Var(name), _) => match self.bindings.get(name) {
                None => {
                    self.bindings.insert(name.clone(), actual.clone());
                    Ok(())
                }
                Some(bound) if bound.unify(actual, self.program, false).is_some() => Ok(()),
                Some(bound) => Err(format!("`{name}` is `{}` and also `{}`", shown(bound), shown(actual))),
            },
            (SchemaType::List(elem, _), Type::List(actual)) => self.bind(elem, actual),
            (SchemaType::List(elem, _), Type::Tuple(types)) => {
                let mut types = types.iter();
                let first = types.next().cloned().ok_or("an empty tuple is no list")?;
                let joined = types.try_fold(first, |a, b| a.unify(b, self.program, false));
                let joined = joined.ok_or_else(|| format!("`{}` is no list", shown(actual)))?;
                self.bind(elem, &joined)
            }
            (SchemaType::Tuple(formals), Type::Tuple(actuals)) if formals.len() == actuals.len() => {
                formals.iter().zip(actuals.iter()).try_for_each(|(f, a)| self.bind(f, a))
            }
            (SchemaType::Tuple(_), Type::Class(class)) if self.program.named_tuple_type(*class).is_some() => {
                let tuple = self.program.named_tuple_type(*class).expect("just checked");
                self.bind(formal, &tuple)
            }
            (SchemaType::Future(formal), Type::Future(actual)) => self.bind(formal, actual),
            (SchemaType::Optional(formal), Type::Optional(actual)) => self.bind(formal, actual),
            (SchemaType::Optional(_), Type::None) => Ok(()),
            (SchemaType::Optional(formal), actual) => self.bind(formal, actual),
            (SchemaType::Dict(key, value), Type::Dict(pair)) => {
                self.bind(key, &pair.0)?;
                self.bind(value, &pair.1)
            }
            _ => Err(format!("`{}` is not a `{}`", shown(actual), schema_type(formal))),
        }
    }

    /// A formal type with its variables replaced, if all are bound.
    fn substitute(&self, formal: &SchemaType) -> Option<Type> {
        Some(match formal {
            SchemaType::Is(ty) => ty.clone(),
            SchemaType::Var(name) => self.bindings.get(name)?.clone(),
            SchemaType::Optional(inner) => Type::optional(self.substitute(inner)?),
            SchemaType::List(inner, _) => Type::list(self.substitute(inner)?),
            SchemaType::Dict(key, value) => Type::dict(self.substitute(key)?, self.substitute(value)?),
            SchemaType::Tuple(elems) => Type::Tuple(elems.iter().map(|e| self.substitute(e)).collect::<Option<Vec<_>>>()?.into()),
            SchemaType::Future(inner) => Type::Future(self.substitute(inner)?.into()),
            SchemaType::AnyOf(_) => Type::Any,
        })
    }

    fn is_any_of(&self, any: &str, found: &Type) -> bool {
        let kind = |class: &kiln_graph::ClassId| self.program.classes[*class].kind;
        match (any, found) {
            ("AnyEnumType", Type::Class(class)) => kind(class) == ClassKind::Enum,
            ("AnyTupleType", Type::Class(class)) => kind(class) == ClassKind::NamedTuple,
            ("AnyClassType", Type::Class(class)) => !matches!(kind(class), ClassKind::Enum | ClassKind::NamedTuple),
            ("AnyClassType", Type::None) => true,
            ("AnyListType", Type::List(_)) | ("AnyTupleType", Type::Tuple(_)) => true,
            _ => false,
        }
    }

    fn tuple_fits_list(&self, ty: &Type, elem: &Type) -> bool {
        match ty {
            Type::Tuple(types) => types.iter().all(|t| t.is_subtype(elem, self.program)),
            Type::Class(class) => self.program.named_tuple_type(*class).is_some_and(|t| self.tuple_fits_list(&t, elem)),
            _ => false,
        }
    }

    /// How a value becomes one of type `wanted`, as far as it can (`tryConvertToType`).
    pub fn convert(&self, value: Value, wanted: &Type) -> Conversion {
        if self.untyped_lists.contains(&value)
            && let Type::List(elem) = wanted.without_none()
        {
            return if *self.graph.ty(value) == Type::List(elem.clone()) {
                Conversion::Same
            } else {
                Conversion::EmptyList((*elem).clone())
            };
        }
        self.convert_type(self.graph.ty(value), wanted)
    }

    fn convert_type(&self, found: &Type, wanted: &Type) -> Conversion {
        if let Type::Optional(inner) = wanted
            && !matches!(found, Type::Optional(_) | Type::None)
        {
            return self.convert_type(found, inner);
        }
        match (found, wanted) {
            _ if found.is_subtype(wanted, self.program) => Conversion::Same,
            (Type::Tuple(_) | Type::Class(_), Type::List(elem)) if self.tuple_fits_list(found, elem) => {
                Conversion::TupleToList((**elem).clone())
            }
            (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
                let parts: Vec<Conversion> = a.iter().zip(b.iter()).map(|(a, b)| self.convert_type(a, b)).collect();
                let types = a.iter().zip(&parts).map(|(a, c)| self.type_after(a, c));
                let ty = Type::tuple(types);
                Conversion::Tuple(parts, ty)
            }
            _ if self.conversions => implicit(found, wanted).map_or(Conversion::Same, Conversion::Call),
            _ => Conversion::Same,
        }
    }

    /// The type of a value after its conversion.
    pub fn converted_type(&self, value: Value, conversion: &Conversion) -> Type {
        self.type_after(self.graph.ty(value), conversion)
    }

    fn type_after(&self, ty: &Type, conversion: &Conversion) -> Type {
        match conversion {
            Conversion::Same => ty.clone(),
            Conversion::EmptyList(elem) | Conversion::Repeat(_, elem) | Conversion::TupleToList(elem) => Type::list(elem.clone()),
            Conversion::Tuple(_, ty) => ty.clone(),
            Conversion::Call(key) => match kiln_ops::table().schema(kiln_ops::table().get(key)).returns[0].ty.clone() {
                SchemaType::Is(ty) => ty,
                _ => ty.clone(),
            },
        }
    }
}

/// Implicit conversions between scalars, from tensors, and from names of devices.
fn implicit(found: &Type, wanted: &Type) -> Option<&'static str> {
    Some(match (found, wanted) {
        (Type::Tensor(_), Type::Float) => "aten::FloatImplicit",
        (Type::Tensor(_), Type::Complex) => "aten::ComplexImplicit",
        (Type::Tensor(_), Type::Int) => "aten::IntImplicit",
        (Type::Tensor(_), Type::Number) => "aten::ScalarImplicit",
        (Type::Number, Type::Float) => "aten::Float.Scalar",
        (Type::Number, Type::Complex) => "aten::Complex.Scalar",
        (Type::Number, Type::Int) => "aten::Int.Scalar",
        (Type::Bool, Type::Float) => "aten::Float.bool",
        (Type::Bool, Type::Int | Type::Number) => "aten::Int.bool",
        (Type::Str, Type::Device) => "aten::device",
        _ => return None,
    })
}

/// `T[2]` given one int or float `T`.
fn repeated(formal: &SchemaType, found: &Type) -> Option<(u32, Type)> {
    match formal {
        SchemaType::Optional(inner) => repeated(inner, found),
        SchemaType::List(elem, Some(count)) => match &**elem {
            SchemaType::Is(ty @ (Type::Int | Type::Float)) if ty == found => Some((*count, ty.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// A list is one of `Any[]` whatever its elements are.
fn fits_any_list(found: &Type, wanted: &Type) -> bool {
    matches!((found, wanted), (Type::List(_), Type::List(elem)) if **elem == Type::Any)
}

fn any_of(formal: &SchemaType) -> Option<&'static str> {
    match formal {
        SchemaType::AnyOf(name) => Some(name),
        SchemaType::Optional(inner) => any_of(inner),
        _ => None,
    }
}

fn has_variables(formal: &SchemaType) -> bool {
    match formal {
        SchemaType::Var(_) => true,
        SchemaType::Optional(inner) | SchemaType::List(inner, _) | SchemaType::Future(inner) => has_variables(inner),
        SchemaType::Dict(key, value) => has_variables(key) || has_variables(value),
        SchemaType::Tuple(elems) => elems.iter().any(has_variables),
        SchemaType::Is(_) | SchemaType::AnyOf(_) => false,
    }
}

/// A keyword argument by the name of a schema's argument; some of PyTorch's own names have a second one.
fn keyword(name: &str, args: &Args) -> Option<usize> {
    args.keywords.iter().position(|(n, _)| n == name).or_else(|| {
        let other = match name {
            "self" => "input",
            "self_" => "self",
            _ => return None,
        };
        args.keywords.iter().position(|(n, _)| n == other)
    })
}

/// A formal type as schemas write it.
pub(crate) fn schema_type(ty: &SchemaType) -> String {
    let program = Program::default();
    match ty {
        SchemaType::Is(ty) => ty.display(&program).to_string(),
        SchemaType::Var(name) => name.clone(),
        SchemaType::Optional(inner) => format!("{}?", schema_type(inner)),
        SchemaType::List(inner, None) => format!("{}[]", schema_type(inner)),
        SchemaType::List(inner, Some(n)) => format!("{}[{n}]", schema_type(inner)),
        SchemaType::Dict(key, value) => format!("Dict({}, {})", schema_type(key), schema_type(value)),
        SchemaType::Tuple(elems) => format!("({})", elems.iter().map(schema_type).collect::<Vec<_>>().join(", ")),
        SchemaType::Future(inner) => format!("Future({})", schema_type(inner)),
        SchemaType::AnyOf(name) => (*name).to_owned(),
    }
}

impl Body<'_, '_> {
    /// A new attempt at matching.
    pub fn matcher(&self, conversions: bool) -> Matcher<'_> {
        Matcher {
            graph: &self.graph,
            program: self.session.program,
            conversions,
            untyped_lists: &self.untyped_lists,
            bindings: Bindings::new(),
        }
    }

    /// Converts a value towards a type, as far as implicit conversions reach.
    pub fn convert(
        &mut self,
        value: Value,
        wanted: &Type,
        conversions: bool,
        at: kiln_support::Span,
    ) -> crate::sugar::Typed<Value> {
        let conversion = self.matcher(conversions).convert(value, wanted);
        Ok(self.apply(value, &conversion, at))
    }

    /// Emits a planned conversion.
    pub fn apply(&mut self, value: Value, conversion: &Conversion, at: kiln_support::Span) -> Value {
        match conversion {
            Conversion::Same => value,
            Conversion::EmptyList(elem) => self.add(Op::List, Vec::new(), Type::list(elem.clone()), at),
            Conversion::Repeat(count, elem) => {
                if let Some(literal) = self.graph.as_const(value).cloned() {
                    let list = Literal::List(vec![literal; *count as usize]);
                    return self.graph.add_const(self.block, list, Type::list(elem.clone()), at);
                }
                self.add(Op::List, vec![value; *count as usize], Type::list(elem.clone()), at)
            }
            Conversion::TupleToList(elem) => {
                let items = self.unpack_tuple(value, at);
                self.add(Op::List, items, Type::list(elem.clone()), at)
            }
            Conversion::Tuple(parts, ty) => {
                let items = self.unpack_tuple(value, at);
                let items = items.into_iter().zip(parts).map(|(item, part)| self.apply(item, part, at)).collect();
                self.add(Op::Tuple(None), items, ty.clone(), at)
            }
            Conversion::Call(key) => {
                let op = kiln_ops::table().get(key);
                let ty = self.matcher(true).converted_type(value, conversion);
                self.add(Op::Table(op), vec![value], ty, at)
            }
        }
    }
}
