//! Types of inputs by example: what a value shows beyond the declared type.
//!
//! In: the declared type of a parameter and the value given for it. Out: a rich type, as specialisation takes it: tensors
//! carry element type and sizes; an Optional, Union or Any becomes the type of what is given.
//!
//! Sizes are constants, or, for dynamic code, symbols: every size of a tensor argument is a symbol of its own, but for
//! sizes of 1, which decide what is broadcast (PyTorch's dynamic shapes keep them constant too). Inside containers a size
//! is constant where all elements agree, else [`ANY_SIZE`].

use kiln_frontend::tensors_file::InputValue;
use kiln_graph::{Dim, Program, Type, Value};
use kiln_support::TensorData;
use std::sync::Arc;

/// The size of which specialisation knows nothing.
const ANY_SIZE: Dim = Dim::Value(Value(u32::MAX));

/// Makes the types of one method's inputs.
pub struct Examples<'p> {
    program: &'p Program,
    is_symbolic: bool,
    /// Names of the symbols made so far.
    pub symbols: Vec<String>,
}

impl<'p> Examples<'p> {
    /// With `is_symbolic` every size of a tensor argument is a symbol.
    pub fn new(program: &'p Program, is_symbolic: bool) -> Examples<'p> {
        Examples { program, is_symbolic, symbols: Vec::new() }
    }

    /// The rich type of an argument that was converted to its declared type.
    pub fn argument(&mut self, name: &str, declared: &Type, value: &InputValue) -> Type {
        match value {
            InputValue::Tensor(tensor) if self.is_symbolic => {
                let dims = tensor.shape.iter().enumerate().map(|(axis, &size)| match size {
                    1 => Dim::Const(1),
                    _ => self.symbol(format!("{name}_{axis}")),
                });
                Type::tensor(tensor.dtype, dims.collect())
            }
            value => self.exact(declared, value),
        }
    }

    fn symbol(&mut self, name: String) -> Dim {
        self.symbols.push(name);
        Dim::Value(Value(self.symbols.len() as u32 - 1))
    }

    /// The type of one value that stands alone: what it is decides between the members of a tagged type.
    fn exact(&self, declared: &Type, value: &InputValue) -> Type {
        match (declared, value) {
            (Type::Optional(_), InputValue::None) => Type::None,
            (Type::Optional(inner), value) => self.exact(inner, value),
            (Type::Union(members), value) => {
                let fits = |ty: &&Type| crate::arguments::convert(value, ty, self.program).is_some_and(|c| c == *value);
                members.iter().find(fits).map_or_else(|| declared.clone(), |ty| self.exact(ty, value))
            }
            (Type::Any | Type::Number, value) => self.natural(value),
            (Type::Class(class), InputValue::NamedTuple { fields, .. }) => {
                let types = self.program.classes[*class].fields.iter().map(|field| &field.ty);
                Type::tuple(types.zip(fields).map(|(ty, (_, item))| self.exact(ty, item)))
            }
            (Type::Tuple(types), InputValue::Tuple(items)) => {
                Type::tuple(types.iter().zip(items).map(|(ty, item)| self.exact(ty, item)))
            }
            _ => self.joined(declared, &[value]),
        }
    }

    /// A type that holds all these values: the declared one with the facts that their tensors share.
    fn joined(&self, declared: &Type, values: &[&InputValue]) -> Type {
        match declared {
            Type::Tensor(_) => self.tensors(values),
            Type::Optional(inner) => {
                let some: Vec<&InputValue> = values.iter().copied().filter(|v| **v != InputValue::None).collect();
                Type::Optional(Arc::new(self.joined(inner, &some)))
            }
            Type::List(elem) => {
                let items: Vec<&InputValue> = values.iter().flat_map(|v| items(v)).collect();
                Type::list(self.joined(elem, &items))
            }
            Type::Dict(types) => {
                let items: Vec<&InputValue> = values.iter().flat_map(|v| entries(v)).map(|(_, item)| item).collect();
                Type::dict(types.0.clone(), self.joined(&types.1, &items))
            }
            Type::Tuple(types) => {
                let column = |at: usize| values.iter().filter_map(|v| items(v).get(at)).collect::<Vec<_>>();
                Type::tuple(types.iter().enumerate().map(|(at, ty)| self.joined(ty, &column(at))))
            }
            other => other.clone(),
        }
    }

    fn tensors(&self, values: &[&InputValue]) -> Type {
        let tensors: Vec<&TensorData> =
            values.iter().filter_map(|v| if let InputValue::Tensor(t) = v { Some(t) } else { None }).collect();
        let Some(first) = tensors.first() else { return Type::Never };
        if tensors.iter().any(|t| t.dtype != first.dtype || t.shape.len() != first.shape.len()) {
            return Type::TENSOR;
        }
        let size = |axis: usize| match first.shape[axis] {
            n if (!self.is_symbolic || n == 1) && tensors.iter().all(|t| t.shape[axis] == n) => Dim::Const(n),
            _ => ANY_SIZE,
        };
        Type::tensor(first.dtype, (0..first.shape.len()).map(size).collect())
    }

    /// The type of a value of which nothing is declared.
    fn natural(&self, value: &InputValue) -> Type {
        match value {
            InputValue::None => Type::None,
            InputValue::Bool(_) => Type::Bool,
            InputValue::Int(_) => Type::Int,
            InputValue::Float(_) => Type::Float,
            InputValue::Str(_) => Type::Str,
            InputValue::Tensor(_) => self.tensors(&[value]),
            InputValue::Tuple(items) => Type::tuple(items.iter().map(|item| self.natural(item))),
            InputValue::List(items) => Type::list(self.unified(items.iter())),
            InputValue::Dict(items) => {
                Type::dict(self.unified(items.iter().map(|(k, _)| k)), self.unified(items.iter().map(|(_, v)| v)))
            }
            InputValue::NamedTuple { fields, .. } => Type::tuple(fields.iter().map(|(_, item)| self.natural(item))),
        }
    }

    /// The type of elements of which nothing is declared.
    fn unified<'v>(&self, values: impl Iterator<Item = &'v InputValue> + Clone) -> Type {
        let all: Vec<&InputValue> = values.clone().collect();
        if all.iter().all(|v| matches!(v, InputValue::Tensor(_))) {
            return self.tensors(&all);
        }
        let types: Vec<Type> = values.map(|v| self.natural(v)).collect();
        if types.iter().all(|ty| *ty == types[0]) { types[0].clone() } else { Type::Any }
    }
}

/// The elements of a list or tuple.
fn items(value: &InputValue) -> &[InputValue] {
    match value {
        InputValue::List(items) | InputValue::Tuple(items) => items,
        _ => &[],
    }
}

fn entries(value: &InputValue) -> &[(InputValue, InputValue)] {
    match value {
        InputValue::Dict(items) => items,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_support::DType;

    fn tensor(shape: &[i64]) -> InputValue {
        InputValue::Tensor(TensorData::from_f32(shape, &vec![0.0; kiln_support::tensor::count(shape)]))
    }

    fn example(declared: Type, value: InputValue, is_symbolic: bool) -> Type {
        Examples::new(&Program::default(), is_symbolic).argument("x", &declared, &value)
    }

    fn f32(dims: &[Dim]) -> Type {
        Type::tensor(DType::F32, dims.to_vec())
    }

    #[test]
    fn sizes_are_constants_or_symbols() {
        use Dim::Const;
        assert_eq!(example(Type::TENSOR, tensor(&[2, 3]), false), f32(&[Const(2), Const(3)]));
        assert_eq!(example(Type::TENSOR, tensor(&[2, 1, 2]), true), f32(&[Dim::Value(Value(0)), Const(1), Dim::Value(Value(1))]));
    }

    #[test]
    fn lists_keep_what_their_tensors_share() {
        let list = |shapes: &[&[i64]]| InputValue::List(shapes.iter().map(|s| tensor(s)).collect());
        let ty = |shapes| example(Type::list(Type::TENSOR), list(shapes), false);
        assert_eq!(ty(&[&[2, 3], &[4, 3]]), Type::list(f32(&[ANY_SIZE, Dim::Const(3)])));
        assert_eq!(ty(&[&[2, 3], &[4]]), Type::list(Type::TENSOR));
        assert_eq!(ty(&[]), Type::list(Type::Never));
    }

    #[test]
    fn optionals_become_what_is_given() {
        let optional = Type::optional(Type::TENSOR);
        assert_eq!(example(optional.clone(), InputValue::None, false), Type::None);
        assert_eq!(example(optional, tensor(&[1]), false), f32(&[Dim::Const(1)]));
        let union = Type::union([Type::Int, Type::Float]);
        assert_eq!(example(union, InputValue::Float(1.0), false), Type::Float);
    }
}
