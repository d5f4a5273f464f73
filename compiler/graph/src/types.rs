//! Static types.
//!
//! They are TorchScript's, with one addition: a tensor type may carry facts (element type and
//! sizes). A size is a constant or an `int` value of the same graph, so that symbolic sizes need no
//! algebra of their own: equal sizes are the same value.

use crate::{ClassId, FuncId, Program, Value};
use kiln_support::DType;
use std::fmt;
use std::sync::Arc;

/// A static type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// `Any`.
    Any,
    /// `NoneType`.
    None,
    /// `bool`.
    Bool,
    /// `int`: 64 bits; also dtypes, layouts and memory formats.
    Int,
    /// `float`: binary64.
    Float,
    /// `complex`.
    Complex,
    /// `Scalar`: an int, a float or a bool (or complex), which one is known at run time.
    Number,
    /// `str`.
    Str,
    /// `Device`.
    Device,
    /// `Tensor`, with facts where they are known.
    Tensor(Option<Arc<TensorType>>),
    /// `Optional[T]`.
    Optional(Arc<Type>),
    /// `Union[...]`, at least two members, none of them an Optional or a Union.
    Union(Arc<[Type]>),
    /// `List[T]`.
    List(Arc<Type>),
    /// `Dict[K, V]`.
    Dict(Arc<(Type, Type)>),
    /// `Tuple[...]`.
    Tuple(Arc<[Type]>),
    /// A module, plain class, named tuple, enum or interface.
    Class(ClassId),
    /// A function held in a variable.
    Function(FuncId),
    /// `Future[T]` and `Await[T]`.
    Future(Arc<Type>),
    /// A type that only names itself: `Generator`, `Stream`, `Storage`, ...
    Opaque(&'static str),
    /// What a block that always raises yields: fits every type.
    Never,
}

/// Facts about a tensor.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Sizes, outermost first.
    pub dims: Vec<Dim>,
}

/// A size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dim {
    /// Known when compiling; never negative.
    Const(i64),
    /// An `int` value of the graph, defined before the tensor.
    Value(Value),
}

impl Dim {
    /// The size, where it is constant.
    pub fn as_const(self) -> Option<i64> {
        match self {
            Dim::Const(n) => Some(n),
            Dim::Value(_) => None,
        }
    }
}

impl TensorType {
    /// A tensor type of constant sizes.
    pub fn of(dtype: DType, shape: &[i64]) -> TensorType {
        TensorType { dtype, dims: shape.iter().map(|&n| Dim::Const(n)).collect() }
    }

    /// The sizes, where all are constant.
    pub fn const_shape(&self) -> Option<Vec<i64>> {
        self.dims.iter().map(|d| d.as_const()).collect()
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }
}

impl Type {
    /// `Tensor` without facts.
    pub const TENSOR: Type = Type::Tensor(None);

    /// `Tensor` with facts.
    pub fn tensor(dtype: DType, dims: Vec<Dim>) -> Type {
        Type::Tensor(Some(Arc::new(TensorType { dtype, dims })))
    }

    /// `List[elem]`.
    pub fn list(elem: Type) -> Type {
        Type::List(Arc::new(elem))
    }

    /// `Dict[key, value]`.
    pub fn dict(key: Type, value: Type) -> Type {
        Type::Dict(Arc::new((key, value)))
    }

    /// `Tuple[...]`.
    pub fn tuple(elems: impl IntoIterator<Item = Type>) -> Type {
        Type::Tuple(elems.into_iter().collect())
    }

    /// `Optional[T]`, flattened: an Optional of an Optional, of None or of Any adds nothing.
    pub fn optional(inner: Type) -> Type {
        match inner {
            Type::Optional(_) | Type::None | Type::Any => inner,
            Type::Union(members) => Type::union(members.iter().cloned().chain([Type::None])),
            other => Type::Optional(Arc::new(other)),
        }
    }

    /// A union of these: flattened, without doubles, an Optional where that is all it is.
    pub fn union(members: impl IntoIterator<Item = Type>) -> Type {
        let mut flat: Vec<Type> = Vec::new();
        for member in members {
            match member {
                Type::Union(inner) => inner.iter().for_each(|t| push_new(&mut flat, t.clone())),
                Type::Optional(inner) => {
                    push_new(&mut flat, (*inner).clone());
                    push_new(&mut flat, Type::None);
                }
                other => push_new(&mut flat, other),
            }
        }
        match flat.as_slice() {
            [one] => one.clone(),
            [one, Type::None] | [Type::None, one] => Type::optional(one.clone()),
            _ => Type::Union(flat.into()),
        }
    }

    /// The members of an Optional or Union, or the type itself.
    pub fn members(&self) -> Vec<Type> {
        match self {
            Type::Optional(inner) => vec![(**inner).clone(), Type::None],
            Type::Union(members) => members.to_vec(),
            other => vec![other.clone()],
        }
    }

    /// Whether values of this type may be None and may be something else.
    pub fn is_optional(&self) -> bool {
        matches!(self, Type::Optional(_)) || matches!(self, Type::Union(m) if m.contains(&Type::None))
    }

    /// This type without None.
    pub fn without_none(&self) -> Type {
        match self {
            Type::Optional(inner) => (**inner).clone(),
            Type::Union(members) => Type::union(members.iter().filter(|t| **t != Type::None).cloned()),
            other => other.clone(),
        }
    }

    /// Whether this is a tensor type.
    pub fn is_tensor(&self) -> bool {
        matches!(self, Type::Tensor(_))
    }

    /// The facts of a tensor type that has them.
    pub fn as_tensor(&self) -> Option<&TensorType> {
        match self {
            Type::Tensor(Some(facts)) => Some(facts),
            _ => None,
        }
    }

    /// Whether a value of this type can be used where `wanted` is asked for, without conversion
    /// (PyTorch's `isSubtypeOf`). Containers are invariant, except that a list of an empty-typed
    /// element cannot occur here.
    pub fn is_subtype(&self, wanted: &Type, program: &Program) -> bool {
        if self == wanted {
            return true;
        }
        match (self, wanted) {
            (_, Type::Any) | (Type::Never, _) => true,
            (Type::Tensor(_), Type::Tensor(None)) => true,
            (Type::Int | Type::Float | Type::Bool | Type::Complex, Type::Number) => true,
            (Type::Optional(_) | Type::Union(_), Type::Optional(_) | Type::Union(_)) => {
                self.members().iter().all(|m| wanted.members().iter().any(|w| m.is_subtype(w, program)))
            }
            (_, Type::Optional(_) | Type::Union(_)) => wanted.members().iter().any(|w| self.is_subtype(w, program)),
            (Type::Union(members), Type::Number) => members.iter().all(|m| m.is_subtype(wanted, program)),
            (Type::Tuple(a), Type::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.is_subtype(b, program))
            }
            (Type::Class(a), Type::Tuple(_)) => program.named_tuple_type(*a).is_some_and(|t| t.is_subtype(wanted, program)),
            (Type::Class(a), Type::Class(b)) => program.implements(*a, *b),
            (Type::List(a), Type::List(b)) => a.is_tensor() && b.is_tensor(),
            _ => false,
        }
    }

    /// The smallest type that holds both, if TorchScript has one (`unifyTypes`); `as_union` makes a
    /// Union where nothing better fits.
    pub fn unify(&self, other: &Type, program: &Program, as_union: bool) -> Option<Type> {
        if self.is_subtype(other, program) {
            return Some(other.clone());
        }
        if other.is_subtype(self, program) {
            return Some(self.clone());
        }
        match (self, other) {
            (Type::Tensor(_), Type::Tensor(_)) => Some(Type::TENSOR),
            (Type::None, t) | (t, Type::None) => Some(Type::optional(t.clone())),
            (Type::Optional(a), b) | (b, Type::Optional(a)) => {
                Some(Type::optional(a.unify(&b.without_none(), program, as_union)?))
            }
            (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
                let elems: Option<Vec<Type>> = a.iter().zip(b.iter()).map(|(a, b)| a.unify(b, program, as_union)).collect();
                Some(Type::Tuple(elems?.into()))
            }
            (Type::List(a), Type::List(b)) if a.is_tensor() && b.is_tensor() => Some(Type::list(Type::TENSOR)),
            _ if as_union => Some(Type::union([self.clone(), other.clone()])),
            _ => None,
        }
    }

    /// The type as TorchScript writes it.
    pub fn display<'a>(&'a self, program: &'a Program) -> impl fmt::Display + 'a {
        TypeDisplay { ty: self, program }
    }
}

fn push_new(types: &mut Vec<Type>, ty: Type) {
    if !types.contains(&ty) {
        types.push(ty);
    }
}

struct TypeDisplay<'a> {
    ty: &'a Type,
    program: &'a Program,
}

impl TypeDisplay<'_> {
    fn list(&self, f: &mut fmt::Formatter<'_>, name: &str, types: &[Type]) -> fmt::Result {
        write!(f, "{name}[")?;
        for (i, ty) in types.iter().enumerate() {
            write!(f, "{}{}", if i > 0 { ", " } else { "" }, ty.display(self.program))?;
        }
        if name == "Tuple" && types.is_empty() {
            write!(f, "()")?;
        }
        write!(f, "]")
    }
}

impl fmt::Display for TypeDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ty {
            Type::Any => f.write_str("Any"),
            Type::None => f.write_str("NoneType"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Float => f.write_str("float"),
            Type::Complex => f.write_str("complex"),
            Type::Number => f.write_str("number"),
            Type::Str => f.write_str("str"),
            Type::Device => f.write_str("Device"),
            Type::Tensor(None) => f.write_str("Tensor"),
            Type::Tensor(Some(facts)) => write!(f, "{facts}"),
            Type::Optional(inner) => self.list(f, "Optional", std::slice::from_ref(inner)),
            Type::Union(members) => self.list(f, "Union", members),
            Type::List(elem) => self.list(f, "List", std::slice::from_ref(elem)),
            Type::Dict(pair) => write!(f, "Dict[{}, {}]", pair.0.display(self.program), pair.1.display(self.program)),
            Type::Tuple(elems) => self.list(f, "Tuple", elems),
            Type::Class(class) => f.write_str(&self.program.classes[*class].name),
            Type::Function(func) => write!(f, "Function[{}]", self.program.funcs[*func].name),
            Type::Future(inner) => self.list(f, "Future", std::slice::from_ref(inner)),
            Type::Opaque(name) => f.write_str(name),
            Type::Never => f.write_str("Never"),
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, dim) in self.dims.iter().enumerate() {
            write!(f, "{}{dim}", if i > 0 { ", " } else { "" })?;
        }
        write!(f, "]")
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Const(n) => write!(f, "{n}"),
            Dim::Value(v) => write!(f, "{v}"),
        }
    }
}
