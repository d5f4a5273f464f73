//! Element types of tensors, numbered as PyTorch numbers them.

use std::fmt;

/// The element type of a tensor: PyTorch's `ScalarType`, with its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum DType {
    /// Unsigned 8-bit integer.
    U8 = 0,
    /// Signed 8-bit integer.
    I8 = 1,
    /// Signed 16-bit integer.
    I16 = 2,
    /// Signed 32-bit integer.
    I32 = 3,
    /// Signed 64-bit integer.
    I64 = 4,
    /// IEEE 754 binary16.
    F16 = 5,
    /// IEEE 754 binary32.
    F32 = 6,
    /// IEEE 754 binary64.
    F64 = 7,
    /// Truth value, one byte of 0 or 1.
    Bool = 11,
    /// Quantized signed 8-bit integer.
    QI8 = 12,
    /// Quantized unsigned 8-bit integer.
    QU8 = 13,
    /// Quantized signed 32-bit integer.
    QI32 = 14,
    /// The upper half of a binary32.
    BF16 = 15,
}

impl DType {
    /// Every element type.
    pub const ALL: [DType; 13] = [
        DType::U8,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::F16,
        DType::F32,
        DType::F64,
        DType::Bool,
        DType::QI8,
        DType::QU8,
        DType::QI32,
        DType::BF16,
    ];

    /// The element type with PyTorch's `ScalarType` number `code`.
    pub fn from_code(code: i64) -> Option<DType> {
        Self::ALL.into_iter().find(|d| *d as i64 == code)
    }

    /// PyTorch's `ScalarType` number.
    pub fn code(self) -> i64 {
        self as i64
    }

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            DType::U8 | DType::I8 | DType::Bool | DType::QI8 | DType::QU8 => 1,
            DType::I16 | DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::F32 | DType::QI32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// Whether it is one of the binary floating-point types.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::F32 | DType::F64 | DType::BF16)
    }

    /// Whether it is an integer type; `include_bool` counts truth values in.
    pub fn is_integral(self, include_bool: bool) -> bool {
        matches!(self, DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64) || (include_bool && self == DType::Bool)
    }

    /// Whether it is a quantized type.
    pub fn is_quantized(self) -> bool {
        matches!(self, DType::QI8 | DType::QU8 | DType::QI32)
    }

    /// The integer type that a quantized type is stored as; the type itself where it is not quantized.
    pub fn stored(self) -> DType {
        match self {
            DType::QI8 => DType::I8,
            DType::QU8 => DType::U8,
            DType::QI32 => DType::I32,
            other => other,
        }
    }

    /// The quantized type that is stored as this integer type.
    pub fn quantized(self) -> Option<DType> {
        [DType::QI8, DType::QU8, DType::QI32].into_iter().find(|q| q.stored() == self)
    }

    /// The name in kiln's text forms and on its command line (`f32`, `i64`, ...).
    pub fn name(self) -> &'static str {
        match self {
            DType::U8 => "u8",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F16 => "f16",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::Bool => "bool",
            DType::QI8 => "qi8",
            DType::QU8 => "qu8",
            DType::QI32 => "qi32",
            DType::BF16 => "bf16",
        }
    }

    /// The name that PyTorch prints (`torch.float32`), without `torch.`.
    pub fn torch_name(self) -> &'static str {
        match self {
            DType::U8 => "uint8",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::F16 => "float16",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::Bool => "bool",
            DType::QI8 => "qint8",
            DType::QU8 => "quint8",
            DType::QI32 => "qint32",
            DType::BF16 => "bfloat16",
        }
    }

    /// The name that PyTorch's C++ messages use (`Float`, `Long`).
    pub fn scalar_type_name(self) -> &'static str {
        match self {
            DType::U8 => "Byte",
            DType::I8 => "Char",
            DType::I16 => "Short",
            DType::I32 => "Int",
            DType::I64 => "Long",
            DType::F16 => "Half",
            DType::F32 => "Float",
            DType::F64 => "Double",
            DType::Bool => "Bool",
            DType::QI8 => "QInt8",
            DType::QU8 => "QUInt8",
            DType::QI32 => "QInt32",
            DType::BF16 => "BFloat16",
        }
    }

    /// The element type of this name: kiln's or PyTorch's.
    pub fn from_name(name: &str) -> Option<DType> {
        Self::ALL.into_iter().find(|d| d.name() == name || d.torch_name() == name)
    }

    /// The type of an operation between two dimensioned tensors of these types
    /// (`c10/core/ScalarType.cpp`, `promoteTypes`).
    pub fn promote(self, other: DType) -> DType {
        if self == other {
            return self;
        }
        match (self.is_float(), other.is_float()) {
            (true, false) => return self,
            (false, true) => return other,
            (true, true) => return Self::promote_floats(self, other),
            (false, false) => {}
        }
        Self::promote_integers(self, other)
    }

    fn promote_floats(a: DType, b: DType) -> DType {
        if a == DType::F64 || b == DType::F64 { DType::F64 } else { DType::F32 }
    }

    fn promote_integers(a: DType, b: DType) -> DType {
        if a == DType::Bool {
            return b;
        }
        if b == DType::Bool {
            return a;
        }
        if a.size() == b.size() {
            // Only unsigned and signed 8 bits differ at the same size.
            return DType::I16;
        }
        if a.size() > b.size() { a } else { b }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::DType::*;

    #[test]
    fn promotion_follows_pytorch() {
        assert_eq!(U8.promote(I8), I16);
        assert_eq!(Bool.promote(U8), U8);
        assert_eq!(I64.promote(F16), F16);
        assert_eq!(F16.promote(BF16), F32);
        assert_eq!(I32.promote(I64), I64);
        assert_eq!(F32.promote(F64), F64);
        assert_eq!(U8.promote(I16), I16);
    }
}
