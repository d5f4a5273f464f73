//! The element type of an operation between tensors and numbers (`aten/src/ATen/native/TypeProperties.cpp`).
//!
//! Tensors with dimensions come first, then tensors without, then Python numbers; a lower class only
//! matters when its category (bool < integer < float) is higher. PyTorch's default float type is binary32.

use crate::infer::Fact;
use kiln_support::DType;

/// Collects operands and gives their common type.
#[derive(Clone, Copy, Default, Debug)]
pub struct Promotion {
    dimensioned: Option<DType>,
    zero_dim: Option<DType>,
    number: Option<DType>,
}

impl Promotion {
    /// The common type of these operands; facts that are no numbers do not count.
    pub fn of<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Option<DType> {
        let mut promotion = Promotion::default();
        facts.into_iter().for_each(|f| promotion.add(f));
        promotion.result()
    }

    /// Adds an operand.
    pub fn add(&mut self, fact: &Fact) {
        let (slot, dtype) = match fact {
            Fact::Tensor(ty) if ty.rank() > 0 => (&mut self.dimensioned, ty.dtype),
            Fact::Tensor(ty) => (&mut self.zero_dim, ty.dtype),
            Fact::Int(_) => (&mut self.number, DType::I64),
            Fact::Float(_) => (&mut self.number, DType::F32),
            Fact::Bool(_) => (&mut self.number, DType::Bool),
            _ => return,
        };
        *slot = Some(slot.map_or(dtype, |old| old.promote(dtype)));
    }

    /// The common type, if there was an operand.
    pub fn result(self) -> Option<DType> {
        let lower = combine(self.zero_dim, self.number);
        combine(self.dimensioned, lower)
    }
}

/// The higher class decides unless the lower one is of a higher category.
fn combine(higher: Option<DType>, lower: Option<DType>) -> Option<DType> {
    match (higher, lower) {
        (Some(high), Some(low)) if category(low) > category(high) => Some(high.promote(low)),
        (Some(high), _) => Some(high),
        (None, low) => low,
    }
}

fn category(dtype: DType) -> u8 {
    match dtype {
        DType::Bool => 0,
        d if d.is_float() => 2,
        _ => 1,
    }
}

/// The type that a unary float function computes in: integers become binary32.
pub fn to_float(dtype: DType) -> DType {
    if dtype.is_float() { dtype } else { DType::F32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_graph::{Dim, TensorType};

    fn tensor(dtype: DType, shape: &[i64]) -> Fact {
        Fact::Tensor(TensorType::of(dtype, shape))
    }

    #[test]
    fn classes_and_categories() {
        let float = Fact::Float(Ok(1.5));
        assert_eq!(Promotion::of([&tensor(DType::I32, &[2]), &float]), Some(DType::F32));
        assert_eq!(Promotion::of([&tensor(DType::F16, &[2]), &tensor(DType::F64, &[])]), Some(DType::F16));
        assert_eq!(Promotion::of([&tensor(DType::I64, &[2]), &tensor(DType::F64, &[])]), Some(DType::F64));
        assert_eq!(Promotion::of([&tensor(DType::U8, &[2]), &Fact::Int(Dim::Const(3))]), Some(DType::U8));
        assert_eq!(Promotion::of([&tensor(DType::Bool, &[2]), &Fact::Int(Dim::Const(3))]), Some(DType::I64));
        assert_eq!(Promotion::of([&tensor(DType::I32, &[]), &Fact::Int(Dim::Const(3))]), Some(DType::I32));
    }
}
