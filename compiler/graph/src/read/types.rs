//! Types and literals of the text form.

use super::lexer::Kind;
use super::{MAX_DEPTH, Reader, Result};
use crate::{Dim, Literal, TensorType, Type};
use kiln_support::tensor::Number;
use kiln_support::{DType, TensorData};
use std::sync::Arc;

/// Types that are one word.
const PLAIN: &[(&str, Type)] = &[
    ("Any", Type::Any),
    ("NoneType", Type::None),
    ("int", Type::Int),
    ("float", Type::Float),
    ("complex", Type::Complex),
    ("number", Type::Number),
    ("str", Type::Str),
    ("Device", Type::Device),
    ("Tensor", Type::TENSOR),
    ("Never", Type::Never),
    ("Generator", Type::Opaque("Generator")),
    ("Stream", Type::Opaque("Stream")),
    ("Storage", Type::Opaque("Storage")),
];

impl Reader<'_> {
    /// A type. Sizes that are values are noted, to be checked when the values around are defined.
    pub(super) fn ty(&mut self) -> Result<Type> {
        self.nested(Self::ty_inside)
    }

    fn ty_inside(&mut self) -> Result<Type> {
        let name = self.word("a type")?;
        let has_list = self.peek() == &Kind::Punct('[');
        if name == "bool" && !has_list {
            return Ok(Type::Bool);
        }
        if has_list && let Some(dtype) = dtype(&name) {
            return Ok(Type::Tensor(Some(Arc::new(TensorType { dtype, dims: self.dims()? }))));
        }
        if let Some((_, ty)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
            return Ok(ty.clone());
        }
        if has_list && let Some(ty) = self.constructed(&name)? {
            return Ok(ty);
        }
        let class = self.program.classes.iter().find(|(_, class)| class.name == name);
        match class {
            Some((id, _)) => Ok(Type::Class(id)),
            None => self.error_before(format!("there is no type `{name}`")),
        }
    }

    fn dims(&mut self) -> Result<Vec<Dim>> {
        self.list('[', ']', |reader| {
            if let Kind::Number(_) = reader.peek() {
                return match reader.int()? {
                    size @ 0.. => Ok(Dim::Const(size)),
                    _ => reader.error_before("a size is not negative"),
                };
            }
            let value = reader.value_name()?;
            reader.sizes.push((value, reader.last));
            Ok(Dim::Value(value))
        })
    }

    /// A type made of others: `List[int]`.
    fn constructed(&mut self, name: &str) -> Result<Option<Type>> {
        if name == "Function" {
            self.punct('[')?;
            let func = self.func_name()?;
            self.punct(']')?;
            return Ok(Some(Type::Function(func)));
        }
        if !matches!(name, "Optional" | "List" | "Dict" | "Tuple" | "Union" | "Future") {
            return Ok(None);
        }
        let parts = self.list('[', ']', |reader| {
            if reader.eat('(') {
                reader.punct(')')?;
                return Ok(None);
            }
            reader.ty().map(Some)
        })?;
        let parts: Vec<Type> = parts.into_iter().flatten().collect();
        Ok(Some(match (name, parts.as_slice()) {
            ("Optional", [inner]) => Type::Optional(Arc::new(inner.clone())),
            ("List", [elem]) => Type::list(elem.clone()),
            ("Dict", [key, value]) => Type::dict(key.clone(), value.clone()),
            ("Future", [inner]) => Type::Future(Arc::new(inner.clone())),
            ("Tuple", _) => Type::Tuple(parts.into()),
            ("Union", [_, _, ..]) => Type::Union(parts.into()),
            _ => return self.error_before(format!("`{name}` of {} types", parts.len())),
        }))
    }

    /// A constant.
    pub(super) fn literal(&mut self) -> Result<Literal> {
        self.nested(Self::literal_inside)
    }

    fn literal_inside(&mut self) -> Result<Literal> {
        match self.peek().clone() {
            Kind::Number(text)
                if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && !text.contains(['.', 'e', 'i']) =>
            {
                self.int().map(Literal::Int)
            }
            Kind::Number(_) => self.float().map(Literal::Float),
            Kind::Str(_) => self.string().map(Literal::Str),
            Kind::Punct('[') => self.list('[', ']', Self::literal).map(Literal::List),
            _ => self.literal_word(),
        }
    }

    fn literal_word(&mut self) -> Result<Literal> {
        let name = self.word("a constant")?;
        let opens = self.peek().clone();
        match (name.as_str(), opens) {
            ("bool", Kind::Punct('[')) => self.tensor(DType::Bool),
            ("none", _) => Ok(Literal::None),
            ("true", _) => Ok(Literal::Bool(true)),
            ("false", _) => Ok(Literal::Bool(false)),
            ("complex", _) => {
                self.punct('(')?;
                let re = self.float()?;
                self.punct(',')?;
                let im = self.float()?;
                self.punct(')')?;
                Ok(Literal::Complex(re, im))
            }
            ("device", _) => {
                self.punct('(')?;
                let name = self.string()?;
                self.punct(')')?;
                Ok(Literal::Device(name))
            }
            (name, _) => match dtype(name) {
                Some(dtype) => self.tensor(dtype),
                None => self.error_before(format!("`{name}` is no constant")),
            },
        }
    }

    /// A tensor after its element type: `[2, 2]{1.0, 2.0, 3.0, 4.0}`.
    fn tensor(&mut self, dtype: DType) -> Result<Literal> {
        let shape = self.list('[', ']', Self::int)?;
        let start = self.next_at();
        if self.peek_second() == &Kind::Punct('#') {
            return self.error("a tensor that is written as a checksum cannot be read back");
        }
        let numbers = self.list('{', '}', |reader| reader.number(dtype))?;
        let count = shape.iter().try_fold(1i64, |count, &size| count.checked_mul(size).filter(|n| size >= 0 && *n >= 0));
        if count != Some(numbers.len() as i64) {
            return self.error_at(start, format!("{} elements for the shape {shape:?}", numbers.len()));
        }
        let data = TensorData::from_numbers(dtype, &shape, numbers.iter().copied());
        let is_kept = |(a, b): (&Number, Number)| dtype.is_float() || *a == b;
        if !numbers.iter().zip(data.numbers()).all(is_kept) {
            return self.error_at(start, format!("an element that {dtype} cannot hold"));
        }
        Ok(Literal::Tensor(data))
    }

    fn number(&mut self, dtype: DType) -> Result<Number> {
        if dtype == DType::Bool {
            let word = self.word("`true` or `false`")?;
            return match word.as_str() {
                "true" => Ok(Number::Bool(true)),
                "false" => Ok(Number::Bool(false)),
                _ => self.error_before("an element of a bool tensor is `true` or `false`"),
            };
        }
        if dtype.is_float() { self.float().map(Number::Float) } else { self.int().map(Number::Int) }
    }

    /// Runs `read` one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return self.error("this is nested too deeply");
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }
}

fn dtype(name: &str) -> Option<DType> {
    DType::ALL.into_iter().find(|dtype| dtype.name() == name)
}
