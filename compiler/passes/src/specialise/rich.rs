//! Rich types: static types in which tensors carry what is known of them.
//!
//! They describe what is inside run-time containers and tagged values. A size of which nothing is
//! known is [`ANY_SIZE`]; `Never` stands for "nothing was put in yet".

use super::value::{ANY_SIZE, Abs, Contents, Heap, HeapItem};
use kiln_graph::{Dim, Program, TensorType, Type};
use std::sync::Arc;

/// The rich type of an abstract value; sizes known only at run time are [`ANY_SIZE`].
pub fn rich_type(abs: &Abs, heap: &Heap) -> Type {
    match abs {
        Abs::None => Type::None,
        Abs::Int(_) => Type::Int,
        Abs::Float(_) => Type::Float,
        Abs::Bool(_) => Type::Bool,
        Abs::Complex(..) => Type::Complex,
        Abs::Str(_) | Abs::DynStr(_) => Type::Str,
        Abs::Device(_) => Type::Device,
        Abs::Tensor(id) => tensor_type(&heap.tensors[*id].ty),
        Abs::Tuple(_, Some(class)) => Type::Class(*class),
        Abs::Tuple(items, None) => Type::tuple(items.iter().map(|i| rich_type(i, heap))),
        Abs::Enum(class, _) => Type::Class(*class),
        Abs::Function(func) => Type::Function(*func),
        Abs::List(id) | Abs::Dict(id) | Abs::Object(id) => container_type(&heap.items[*id], heap),
        Abs::Tagged(_, ty) | Abs::BoxedTuple(_, ty) => ty.clone(),
        Abs::OpenTensor(_) => Type::TENSOR,
        Abs::Uninit => Type::Never,
    }
}

/// A tensor's facts without sizes that are known only at run time.
pub fn tensor_type(ty: &TensorType) -> Type {
    let dims = ty.dims.iter().map(|d| if d.as_const().is_some() { *d } else { ANY_SIZE }).collect();
    Type::Tensor(Some(Arc::new(TensorType { dtype: ty.dtype, dims })))
}

fn container_type(item: &HeapItem, heap: &Heap) -> Type {
    match item {
        HeapItem::List(elem, Contents::Static(items)) => {
            let elems = items.iter().map(|i| rich_type(i, heap)).collect();
            Type::list(fit(elem, elems))
        }
        HeapItem::List(_, Contents::Runtime(_, elem)) => Type::list(elem.clone()),
        HeapItem::Dict(key, value, Contents::Static(items)) => {
            let values = items.iter().map(|(_, v)| rich_type(v, heap)).collect();
            Type::dict(key.clone(), fit(value, values))
        }
        HeapItem::Dict(key, _, Contents::Runtime(_, value)) => Type::dict(key.clone(), value.clone()),
        HeapItem::Object(class, _) => Type::Class(*class),
    }
}

/// The rich type of elements whose static type is `declared`: only tensors inside add to it.
pub fn fit(declared: &Type, found: Vec<Type>) -> Type {
    if !holds_tensor(declared) {
        return declared.clone();
    }
    let rich = found.iter().fold(Type::Never, |all, one| join(&all, one));
    adopt(declared, &rich)
}

/// `declared` with the facts of `rich` at its tensors.
fn adopt(declared: &Type, rich: &Type) -> Type {
    match (declared, rich) {
        (_, Type::Never) => Type::Never,
        (Type::Tensor(_), Type::Tensor(_)) => rich.clone(),
        (Type::Optional(inner), _) => {
            let own = match rich {
                Type::Optional(inner) => (**inner).clone(),
                Type::None => Type::Never,
                other => other.clone(),
            };
            match adopt(inner, &own) {
                Type::Never => Type::Optional(Arc::new(Type::Never)),
                ty => Type::optional(ty),
            }
        }
        (Type::List(a), Type::List(b)) => Type::list(adopt(a, b)),
        (Type::Dict(a), Type::Dict(b)) => Type::dict(a.0.clone(), adopt(&a.1, &b.1)),
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => Type::tuple(a.iter().zip(b.iter()).map(|(a, b)| adopt(a, b))),
        _ => rich.clone(),
    }
}

/// Whether a tensor can be in a value of this type (objects are looked at by their classes).
pub fn holds_tensor(ty: &Type) -> bool {
    match ty {
        Type::Tensor(_) | Type::Any => true,
        Type::Optional(inner) | Type::List(inner) | Type::Future(inner) => holds_tensor(inner),
        Type::Dict(pair) => holds_tensor(&pair.0) || holds_tensor(&pair.1),
        Type::Tuple(items) | Type::Union(items) => items.iter().any(holds_tensor),
        _ => false,
    }
}

/// What holds of every tensor inside values of a rich type; `Never` where there is none.
pub fn leaf(ty: &Type) -> Type {
    match ty {
        Type::Tensor(_) => ty.clone(),
        Type::Optional(inner) | Type::List(inner) | Type::Future(inner) => leaf(inner),
        Type::Dict(pair) => join(&leaf(&pair.0), &leaf(&pair.1)),
        Type::Tuple(items) | Type::Union(items) => items.iter().fold(Type::Never, |all, one| join(&all, &leaf(one))),
        Type::Any => Type::TENSOR,
        _ => Type::Never,
    }
}

/// The smallest rich type that holds both.
pub fn join(a: &Type, b: &Type) -> Type {
    match (a, b) {
        _ if a == b => a.clone(),
        (Type::Never, other) | (other, Type::Never) => other.clone(),
        (Type::Tensor(Some(x)), Type::Tensor(Some(y))) => join_tensors(x, y),
        (Type::Tensor(_), Type::Tensor(_)) => Type::TENSOR,
        (Type::List(x), Type::List(y)) => Type::list(join(x, y)),
        (Type::Dict(x), Type::Dict(y)) if x.0 == y.0 => Type::dict(x.0.clone(), join(&x.1, &y.1)),
        (Type::Tuple(x), Type::Tuple(y)) if x.len() == y.len() => Type::tuple(x.iter().zip(y.iter()).map(|(a, b)| join(a, b))),
        (Type::None, Type::Optional(_)) => b.clone(),
        (Type::Optional(_), Type::None) => a.clone(),
        (Type::None, other) | (other, Type::None) => Type::optional(other.clone()),
        (Type::Optional(x), Type::Optional(y)) => Type::optional(join(x, y)),
        (Type::Optional(x), y) | (y, Type::Optional(x)) => Type::optional(join(x, y)),
        _ => Type::union([a.clone(), b.clone()]),
    }
}

fn join_tensors(x: &TensorType, y: &TensorType) -> Type {
    if x.dtype != y.dtype || x.rank() != y.rank() {
        return Type::TENSOR;
    }
    let dims: Vec<Dim> = x.dims.iter().zip(&y.dims).map(|(a, b)| if a == b { *a } else { ANY_SIZE }).collect();
    Type::tensor(x.dtype, dims)
}

/// The type as it stands in the residual graph: tensors inside objects are without facts.
pub fn erase(ty: &Type) -> Type {
    match ty {
        Type::Tensor(_) | Type::Never => Type::TENSOR,
        Type::Optional(inner) => Type::optional(erase(inner)),
        Type::List(inner) => Type::list(erase(inner)),
        Type::Dict(pair) => Type::dict(erase(&pair.0), erase(&pair.1)),
        Type::Tuple(items) => Type::tuple(items.iter().map(erase)),
        Type::Union(items) => Type::union(items.iter().map(erase)),
        other => other.clone(),
    }
}

/// Whether values of this type are tagged at run time.
pub fn is_tagged(ty: &Type) -> bool {
    matches!(ty, Type::Optional(_) | Type::Union(_) | Type::Any | Type::Number)
}

/// The member of a tagged rich type that a refinement to `wanted` (a static type) leaves.
pub fn refine(rich: &Type, wanted: &Type, program: &Program) -> Type {
    let members = rich.members();
    let fits: Vec<Type> = members.iter().filter(|m| erase(m).is_subtype(&erase(wanted), program)).cloned().collect();
    match fits.len() {
        0 => wanted.clone(),
        _ => fits.iter().skip(1).fold(fits[0].clone(), |all, one| Type::union([all, one.clone()])),
    }
}
