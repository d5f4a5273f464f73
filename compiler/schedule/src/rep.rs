//! How values of each type are held at run time: the table of `docs/ir.md`, and the runtime's tags.

use kiln_graph::{ClassKind, Program, Type};
use kiln_rt::abi::tag;

/// How a value is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rep {
    /// Not at all: there is only one value (`None`, a device).
    Nothing,
    /// A 64-bit integer.
    Int,
    /// A truth value.
    Bool,
    /// A binary64.
    Float,
    /// A pointer to a reference-counted object.
    Object,
    /// A tag and 64 bits.
    Tagged,
    /// A tensor with facts: a buffer, or an expression.
    Tensor,
}

impl Rep {
    /// Whether values hold a reference that must be given back.
    pub fn is_counted(self) -> bool {
        matches!(self, Rep::Object | Rep::Tagged)
    }
}

/// How values of a type are held; none where kiln cannot hold them yet (`complex`, function values, futures).
pub fn rep(ty: &Type) -> Option<Rep> {
    Some(match ty {
        Type::None | Type::Device | Type::Never | Type::Opaque(_) => Rep::Nothing,
        Type::Int => Rep::Int,
        Type::Bool => Rep::Bool,
        Type::Float => Rep::Float,
        Type::Tensor(Some(_)) => Rep::Tensor,
        Type::Tensor(None) | Type::Str | Type::List(_) | Type::Dict(_) | Type::Tuple(_) | Type::Class(_) => Rep::Object,
        Type::Optional(_) | Type::Union(_) | Type::Any | Type::Number => Rep::Tagged,
        Type::Complex | Type::Function(_) | Type::Future(_) => return None,
    })
}

/// The tag of values of a type; [`tag::ANY`] where it is not fixed.
pub fn tag_of(ty: &Type, program: &Program) -> u64 {
    match ty {
        Type::None | Type::Never | Type::Opaque(_) => tag::NONE,
        Type::Bool => tag::BOOL,
        Type::Int => tag::INT,
        Type::Float => tag::FLOAT,
        Type::Str => tag::STR,
        Type::Tensor(_) => tag::TENSOR,
        Type::List(_) => tag::LIST,
        Type::Tuple(_) => tag::TUPLE,
        Type::Dict(_) => tag::DICT,
        Type::Device => tag::DEVICE,
        Type::Class(class) if program.classes[*class].kind == ClassKind::NamedTuple => tag::TUPLE,
        Type::Class(_) => tag::OBJECT,
        Type::Any | Type::Number | Type::Optional(_) | Type::Union(_) => tag::ANY,
        Type::Complex | Type::Function(_) | Type::Future(_) => tag::ANY,
    }
}
