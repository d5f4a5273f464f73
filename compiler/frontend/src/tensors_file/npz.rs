//! `.npz`: a zip of `.npy` arrays, as `numpy.savez` and `numpy.savez_compressed` write them.
//!
//! An array is a magic number, a version, a header (a Python dict with `descr`, `fortran_order` and `shape`) and the elements.

use super::broken;
use super::safetensors::byte_count;
use crate::archive::container::Container;
use crate::ast::{Expr, ExprKind};
use crate::python::parse_expression;
use kiln_support::tensor::contiguous_strides;
use kiln_support::{DType, Diagnostic, Span, TensorData};
use std::io::{Cursor, Write};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The arrays of a file by name. `name` is the path to show in messages.
pub fn read_npz(bytes: &[u8], name: &str) -> Result<Vec<(String, TensorData)>, Diagnostic> {
    let explain = |mut error: Diagnostic| {
        error.code = broken("").code;
        error.help = Some("write the file with `numpy.savez(path, name=array)`".into());
        error
    };
    let mut container = Container::open_any(bytes, name).map_err(explain)?;
    let records: Vec<String> = container.records().map(str::to_owned).collect();
    let mut arrays = Vec::new();
    for record in records {
        let array = container.read(&record).map_err(explain)?;
        let array = read_npy(&array).map_err(|mut error| {
            error.message = format!("the array `{record}` cannot be read: {}", error.message);
            error
        })?;
        arrays.push((record.strip_suffix(".npy").unwrap_or(&record).to_owned(), array));
    }
    Ok(arrays)
}

fn read_npy(bytes: &[u8]) -> Result<TensorData, Diagnostic> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(|| broken("it is not in `.npy` format"))?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err(broken("its `.npy` version is unknown")),
    };
    if length > rest.len() {
        return Err(broken("its header is longer than the file"));
    }
    let (header, data) = rest.split_at(length);
    let header = std::str::from_utf8(header).map_err(|_| broken("its header is not text"))?;
    let header = Header::parse(header.trim())?;
    if byte_count(header.dtype, &header.shape) != Some(data.len()) {
        return Err(broken(format!("its {} bytes do not fit its shape {:?}", data.len(), header.shape)));
    }
    if header.fortran_order && header.shape.len() > 1 {
        return Ok(to_row_major(&header, data));
    }
    Ok(TensorData::new(header.dtype, header.shape, data))
}

struct Header {
    dtype: DType,
    fortran_order: bool,
    shape: Vec<i64>,
}

impl Header {
    fn parse(text: &str) -> Result<Header, Diagnostic> {
        let header = parse_expression(text, Span::NONE).map_err(|_| broken("its header is not a dict"))?;
        let ExprKind::Dict(items) = &header.kind else { return Err(broken("its header is not a dict")) };
        let field = |name: &str| {
            let item = items.iter().find(|(key, _)| matches!(&key.kind, ExprKind::Str(key) if key == name));
            item.map(|(_, value)| &value.kind).ok_or_else(|| broken(format!("its header has no `{name}`")))
        };
        let dtype = match field("descr")? {
            ExprKind::Str(text) => dtype_of(text)?,
            _ => return Err(broken("it has a structured dtype")),
        };
        let shape = match field("shape")? {
            ExprKind::Tuple(sizes) => sizes.iter().map(size).collect::<Option<Vec<i64>>>(),
            _ => None,
        };
        let shape = shape.filter(|shape| shape.len() <= 64).ok_or_else(|| broken("its shape is not a tuple of sizes"))?;
        Ok(Header { dtype, fortran_order: matches!(field("fortran_order")?, ExprKind::Bool(true)), shape })
    }
}

fn size(expr: &Expr) -> Option<i64> {
    match expr.kind {
        ExprKind::Int(size) => Some(size),
        _ => None,
    }
}

const DESCRIPTIONS: [(&str, DType); 9] = [
    ("|b1", DType::Bool),
    ("|u1", DType::U8),
    ("|i1", DType::I8),
    ("<i2", DType::I16),
    ("<i4", DType::I32),
    ("<i8", DType::I64),
    ("<f2", DType::F16),
    ("<f4", DType::F32),
    ("<f8", DType::F64),
];

fn dtype_of(description: &str) -> Result<DType, Diagnostic> {
    let found = DESCRIPTIONS.iter().find(|(known, _)| *known == description);
    found.map(|(_, dtype)| *dtype).ok_or_else(|| {
        Diagnostic::unsupported("inputs", format!("its dtype `{description}` is not supported"))
            .help("convert the array, for example with `array.astype(numpy.float32)`")
    })
}

/// Column-major elements in row-major order. The size has been checked.
fn to_row_major(header: &Header, data: &[u8]) -> TensorData {
    let size = header.dtype.size();
    let rows = contiguous_strides(&header.shape);
    let mut columns = Vec::with_capacity(rows.len());
    let mut stride = 1;
    for &extent in &header.shape {
        columns.push(stride);
        stride *= extent;
    }
    let mut bytes = Vec::with_capacity(data.len());
    for flat in 0..(data.len() / size) as i64 {
        let dims = header.shape.iter().zip(&rows).zip(&columns);
        let at: i64 = dims.map(|((&extent, &row), &column)| flat / row % extent * column).sum();
        bytes.extend_from_slice(&data[at as usize * size..][..size]);
    }
    TensorData::new(header.dtype, header.shape.clone(), bytes)
}

/// A file of these arrays, not compressed. bfloat16 and quantized tensors have no form in it.
pub fn write_npz(arrays: &[(String, TensorData)]) -> Result<Vec<u8>, Diagnostic> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let failed = |error: &dyn std::fmt::Display| broken(format!("the `.npz` file cannot be written: {error}"));
    for (name, array) in arrays {
        let npy = write_npy(name, array)?;
        // A fixed date: the same results give the same file.
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::DEFAULT.compression_method(zip::CompressionMethod::Stored))
            .map_err(|error| failed(&error))?;
        zip.write_all(&npy).map_err(|error| failed(&error))?;
    }
    Ok(zip.finish().map_err(|error| failed(&error))?.into_inner())
}

fn write_npy(name: &str, array: &TensorData) -> Result<Vec<u8>, Diagnostic> {
    let found = DESCRIPTIONS.iter().find(|(_, dtype)| *dtype == array.dtype);
    let (description, _) = found.ok_or_else(|| {
        Diagnostic::unsupported("inputs", format!("`{name}` is of dtype {}, which NumPy does not have", array.dtype.torch_name()))
            .help("write the results to a `.json` or `.safetensors` file")
    })?;
    let sizes: String = array.shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header = format!("{{'descr': '{description}', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
    // Magic, version, length and header with its newline end at a multiple of 64 bytes.
    let padded = (header.len() + 13).next_multiple_of(64) - 12;
    header.extend(std::iter::repeat_n(' ', padded - 1 - header.len()));
    header.push('\n');
    let mut npy = b"\x93NUMPY\x02\x00".to_vec();
    npy.extend((header.len() as u32).to_le_bytes());
    npy.extend(header.bytes());
    npy.extend_from_slice(&array.bytes);
    Ok(npy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_survive_a_round_trip() {
        let arrays = vec![
            ("a".to_owned(), TensorData::from_f32(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            ("b".to_owned(), TensorData::from_i64(&[], &[-1])),
            ("c".to_owned(), TensorData::new(DType::Bool, vec![2], vec![1, 0])),
            ("d".to_owned(), TensorData::from_i64(&[0], &[])),
        ];
        let file = write_npz(&arrays).unwrap();
        assert_eq!(read_npz(&file, "a.npz").unwrap(), arrays);
        for end in (0..file.len()).step_by(97) {
            assert!(read_npz(&file[..end], "a.npz").is_err());
        }
    }

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut npy = b"\x93NUMPY\x01\x00".to_vec();
        npy.extend((header.len() as u16).to_le_bytes());
        npy.extend(header.bytes());
        npy.extend(data);
        npy
    }

    #[test]
    fn column_major_arrays_are_transposed() {
        let file = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}\n", &[1, 4, 2, 5, 3, 6]);
        assert_eq!(&*read_npy(&file).unwrap().bytes, &[1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn headers_are_checked() {
        let error = |header: &str, data: &[u8]| read_npy(&npy(header, data)).unwrap_err().message;
        assert!(error("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", &[0; 4]).contains("do not fit"));
        assert!(error("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", &[0; 4]).contains("`>f4`"));
        assert!(error("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", &[]).contains("shape"));
        assert!(error("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", &[0; 4]).contains("structured"));
        assert!(error("os.system('x')", &[]).contains("not a dict"));
        assert!(error("{'descr': '<f4', 'shape': ()}", &[0; 4]).contains("`fortran_order`"));
        assert!(read_npy(&[]).is_err());
        assert!(read_npy(b"\x93NUMPY\x01\x00\xff\xff").is_err());
    }
}
