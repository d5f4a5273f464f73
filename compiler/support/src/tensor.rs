//! Tensors as plain data: constants of a model, and inputs and results of a run.

use crate::DType;
use crate::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use std::sync::Arc;

/// A dense tensor in row-major order, little-endian, its bytes shared between copies.
#[derive(Clone, PartialEq, Debug)]
pub struct TensorData {
    /// Element type.
    pub dtype: DType,
    /// Sizes, outermost first; empty for a scalar.
    pub shape: Vec<i64>,
    /// `product(shape) * dtype.size()` bytes.
    pub bytes: Arc<[u8]>,
}

impl TensorData {
    /// A tensor of these bytes. Panics when their number does not fit the shape.
    pub fn new(dtype: DType, shape: Vec<i64>, bytes: impl Into<Arc<[u8]>>) -> TensorData {
        let bytes = bytes.into();
        assert_eq!(bytes.len(), count(&shape) * dtype.size(), "bytes do not fit the shape {shape:?}");
        TensorData { dtype, shape, bytes }
    }

    /// A binary32 tensor.
    pub fn from_f32(shape: &[i64], values: &[f32]) -> TensorData {
        Self::new(DType::F32, shape.to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// A 64-bit integer tensor.
    pub fn from_i64(shape: &[i64], values: &[i64]) -> TensorData {
        Self::new(DType::I64, shape.to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// A tensor of any type from numbers; each is rounded or wrapped to the element type.
    pub fn from_numbers(dtype: DType, shape: &[i64], values: impl IntoIterator<Item = Number>) -> TensorData {
        let mut bytes = Vec::with_capacity(count(shape) * dtype.size());
        for value in values {
            value.write(dtype, &mut bytes);
        }
        Self::new(dtype, shape.to_vec(), bytes)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        count(&self.shape)
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at a flat index. Panics out of range.
    pub fn get(&self, index: usize) -> Number {
        let size = self.dtype.size();
        Number::read(self.dtype, &self.bytes[index * size..(index + 1) * size])
    }

    /// All elements in row-major order.
    pub fn numbers(&self) -> impl Iterator<Item = Number> + '_ {
        self.bytes.chunks_exact(self.dtype.size()).map(|chunk| Number::read(self.dtype, chunk))
    }

    /// All elements as binary32.
    pub fn to_f32(&self) -> Vec<f32> {
        if self.dtype == DType::F32 {
            return self.bytes.as_chunks().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect();
        }
        self.numbers().map(|n| n.as_f64() as f32).collect()
    }

    /// All elements as 64-bit integers (floats truncated).
    pub fn to_i64(&self) -> Vec<i64> {
        self.numbers().map(Number::as_i64).collect()
    }
}

/// Numbers of binary32 as they lie in memory.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; size_of_val(values)];
    bytes.as_chunks_mut().0.iter_mut().zip(values).for_each(|(chunk, value)| *chunk = value.to_le_bytes());
    bytes
}

/// Number of elements of a shape.
pub fn count(shape: &[i64]) -> usize {
    shape.iter().map(|&d| usize::try_from(d).expect("negative size")).product()
}

/// Row-major strides of a shape, in elements (as PyTorch: a size of 0 counts as 1).
pub fn contiguous_strides(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i].max(1);
    }
    strides
}

/// One element: an integer, a truth value or a floating-point number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// Any integer type.
    Int(i64),
    /// Any floating-point type.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl Number {
    /// As binary64.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(i) => i as f64,
            Number::Float(f) => f,
            Number::Bool(b) => f64::from(u8::from(b)),
        }
    }

    /// As a 64-bit integer; floats are truncated.
    pub fn as_i64(self) -> i64 {
        match self {
            Number::Int(i) => i,
            Number::Float(f) => f as i64,
            Number::Bool(b) => i64::from(b),
        }
    }

    /// Whether it is not zero.
    pub fn as_bool(self) -> bool {
        match self {
            Number::Int(i) => i != 0,
            Number::Float(f) => f != 0.0,
            Number::Bool(b) => b,
        }
    }

    /// Reads one little-endian element.
    pub fn read(dtype: DType, b: &[u8]) -> Number {
        match dtype {
            DType::U8 | DType::QU8 => Number::Int(i64::from(b[0])),
            DType::I8 | DType::QI8 => Number::Int(i64::from(b[0] as i8)),
            DType::I16 => Number::Int(i64::from(i16::from_le_bytes([b[0], b[1]]))),
            DType::I32 | DType::QI32 => Number::Int(i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            DType::I64 => Number::Int(i64::from_le_bytes(b.try_into().expect("8 bytes"))),
            DType::F16 => Number::Float(f64::from(f16_to_f32(u16::from_le_bytes([b[0], b[1]])))),
            DType::BF16 => Number::Float(f64::from(bf16_to_f32(u16::from_le_bytes([b[0], b[1]])))),
            DType::F32 => Number::Float(f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            DType::F64 => Number::Float(f64::from_le_bytes(b.try_into().expect("8 bytes"))),
            DType::Bool => Number::Bool(b[0] != 0),
        }
    }

    /// Appends the element in little-endian order, rounded or wrapped to `dtype`.
    pub fn write(self, dtype: DType, out: &mut Vec<u8>) {
        match dtype {
            DType::U8 | DType::QU8 | DType::I8 | DType::QI8 => out.push(self.as_i64() as u8),
            DType::I16 => out.extend((self.as_i64() as i16).to_le_bytes()),
            DType::I32 | DType::QI32 => out.extend((self.as_i64() as i32).to_le_bytes()),
            DType::I64 => out.extend(self.as_i64().to_le_bytes()),
            DType::F16 => out.extend(f32_to_f16(self.as_f64() as f32).to_le_bytes()),
            DType::BF16 => out.extend(f32_to_bf16(self.as_f64() as f32).to_le_bytes()),
            DType::F32 => out.extend((self.as_f64() as f32).to_le_bytes()),
            DType::F64 => out.extend(self.as_f64().to_le_bytes()),
            DType::Bool => out.push(u8::from(self.as_bool())),
        }
    }
}
