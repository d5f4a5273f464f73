//! The safetensors format: 8 bytes of header length, a JSON header, the data.
//!
//! Header: `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {...}}`, offsets from
//! the end of the header; all little-endian, row-major.

use super::broken;
use kiln_support::{DType, Diagnostic, TensorData};
use serde_json::{Map, Value, json};
use std::ops::Range;

/// Longest header, as in the reference implementation.
const MAX_HEADER: usize = 100_000_000;

/// A file's tensors, found but not copied.
#[derive(Debug, Default)]
pub struct SafeTensors<'a> {
    data: &'a [u8],
    entries: Map<String, Value>,
}

impl<'a> SafeTensors<'a> {
    /// Reads the header.
    pub fn read(bytes: &'a [u8]) -> Result<SafeTensors<'a>, Diagnostic> {
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| broken("the safetensors file is too short"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_HEADER || length > rest.len() {
            return Err(broken(format!("the safetensors header claims {length} bytes; the file has {}", rest.len())));
        }
        let (header, data) = rest.split_at(length);
        match serde_json::from_slice(header) {
            Ok(Value::Object(mut entries)) => {
                entries.remove("__metadata__");
                Ok(SafeTensors { data, entries })
            }
            Ok(_) => Err(broken("the safetensors header is not a JSON object")),
            Err(error) => Err(broken(format!("the safetensors header is not JSON: {error}"))),
        }
    }

    /// The names, in the order of the header.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Copies a tensor out.
    pub fn tensor(&self, name: &str) -> Result<TensorData, Diagnostic> {
        let entry =
            self.entries.get(name).ok_or_else(|| broken(format!("there is no tensor `{name}` in the safetensors file")))?;
        let (dtype, shape, range) = describe(entry).map_err(|mut error| {
            error.message = format!("the tensor `{name}` {}", error.message);
            error
        })?;
        let bytes = self.data.get(range).ok_or_else(|| broken(format!("the tensor `{name}` lies outside of the file")))?;
        if byte_count(dtype, &shape) != Some(bytes.len()) {
            return Err(broken(format!("the tensor `{name}` has {} bytes, which do not fit its shape {shape:?}", bytes.len())));
        }
        Ok(TensorData::new(dtype, shape, bytes))
    }

    /// All tensors by name.
    pub fn tensors(&self) -> Result<Vec<(String, TensorData)>, Diagnostic> {
        self.names().map(|name| Ok((name.to_owned(), self.tensor(name)?))).collect()
    }
}

fn describe(entry: &Value) -> Result<(DType, Vec<i64>, Range<usize>), Diagnostic> {
    let dtype = entry["dtype"].as_str().ok_or_else(|| broken("has no dtype"))?;
    let dtype = dtype_of(dtype).ok_or_else(|| {
        Diagnostic::unsupported("inputs", format!("is of dtype {dtype}")).help("convert it to float32 or int64")
    })?;
    let shape = entry["shape"].as_array().ok_or_else(|| broken("has no shape"))?;
    let shape: Option<Vec<i64>> = shape.iter().map(|size| size.as_i64().filter(|size| *size >= 0)).collect();
    let shape = shape.ok_or_else(|| broken("has a shape that is not made of sizes"))?;
    let offset =
        |at: usize| entry["data_offsets"].get(at).and_then(Value::as_u64).and_then(|offset| usize::try_from(offset).ok());
    match (offset(0), offset(1)) {
        (Some(start), Some(end)) if start <= end => Ok((dtype, shape, start..end)),
        _ => Err(broken("has no valid `data_offsets`")),
    }
}

/// Bytes of a tensor, if their number fits.
pub(super) fn byte_count(dtype: DType, shape: &[i64]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(dtype.size(), |bytes, &size| bytes.checked_mul(usize::try_from(size).ok()?))
}

const NAMES: [(&str, DType); 10] = [
    ("BOOL", DType::Bool),
    ("U8", DType::U8),
    ("I8", DType::I8),
    ("I16", DType::I16),
    ("I32", DType::I32),
    ("I64", DType::I64),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("F32", DType::F32),
    ("F64", DType::F64),
];

fn dtype_of(name: &str) -> Option<DType> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, dtype)| *dtype)
}

/// A file of these tensors. Quantized tensors have no form in it: an error names the first.
pub fn write_safetensors(tensors: &[(String, TensorData)]) -> Result<Vec<u8>, Diagnostic> {
    let mut header = Map::new();
    let mut end = 0;
    for (name, tensor) in tensors {
        let dtype = NAMES.iter().find(|(_, dtype)| *dtype == tensor.dtype).map(|(name, _)| *name).ok_or_else(|| {
            Diagnostic::unsupported("inputs", format!("`{name}` is a quantized tensor, which safetensors cannot hold"))
                .help("let the model return `x.dequantize()` or `x.int_repr()`")
        })?;
        let start = end;
        end += tensor.bytes.len();
        header.insert(name.clone(), json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [start, end]}));
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The data begins at a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = Vec::with_capacity(8 + header.len() + end);
    file.extend((header.len() as u64).to_le_bytes());
    file.extend(header);
    tensors.iter().for_each(|(_, tensor)| file.extend_from_slice(&tensor.bytes));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_survive_a_round_trip() {
        let tensors = vec![
            ("a".to_owned(), TensorData::from_f32(&[2, 2], &[1.0, -0.0, f32::INFINITY, 3.5])),
            ("empty".to_owned(), TensorData::from_i64(&[0, 7], &[])),
            ("scalar".to_owned(), TensorData::from_i64(&[], &[i64::MIN])),
            ("flag".to_owned(), TensorData::new(DType::Bool, vec![3], vec![1, 0, 1])),
        ];
        let file = write_safetensors(&tensors).unwrap();
        let read = SafeTensors::read(&file).unwrap();
        assert_eq!(read.tensors().unwrap(), tensors);
    }

    #[test]
    fn sizes_are_checked() {
        let file = |header: &str, data: usize| {
            let mut file = (header.len() as u64).to_le_bytes().to_vec();
            file.extend(header.bytes());
            file.resize(file.len() + data, 0);
            file
        };
        let error = |bytes: &[u8]| match SafeTensors::read(bytes) {
            Ok(read) => read.tensor("x").unwrap_err().message,
            Err(error) => error.message,
        };
        assert!(error(&[1, 2, 3]).contains("too short"));
        assert!(error(&u64::MAX.to_le_bytes()).contains("claims"));
        assert!(error(&file("[1]", 0)).contains("not a JSON object"));
        assert!(error(&file(r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4)).contains("outside"));
        assert!(error(&file(r#"{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8)).contains("do not fit"));
        let huge = r#"{"x":{"dtype":"F32","shape":[4611686018427387904,16],"data_offsets":[0,0]}}"#;
        assert!(error(&file(huge, 0)).contains("do not fit"));
        assert!(error(&file(r#"{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}"#, 8)).contains("not made of sizes"));
        assert!(error(&file(r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8)).contains("data_offsets"));
        assert!(error(&file(r#"{"x":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#, 8)).contains("dtype C64"));
        assert!(error(&file("{}", 0)).contains("no tensor `x`"));
    }
}
