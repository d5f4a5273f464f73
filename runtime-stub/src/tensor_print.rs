//! Tensors as text: PyTorch's column format for C++ streams.
//!
//! Elements are printed as doubles in columns of one width, with four decimals, a common scale or exponents, as their
//! magnitudes ask. Quirks of the original are kept, for the texts are to be the same: only lines after the first are
//! indented in tensors of rank 3 and more, and `Columns a to b` runs into the first row.

use crate::abi::*;
use crate::decimal::{push_fixed, push_general, push_scientific, push_shortest};
use crate::error::raise_text;
use crate::tensor::element::{load_f64, type_name};
use crate::tensor::{numel_of, sizes_of, strides_of};
use crate::text::Text;

/// Characters of a line.
const LINE: i64 = 80;

/// A matrix (or a vector as one column) inside a strided tensor.
struct Matrix {
    dtype: u32,
    data: *const u8,
    offset: i64,
    sizes: [i64; 2],
    strides: [i64; 2],
}

impl Matrix {
    unsafe fn at(&self, row: i64, column: i64) -> f64 {
        load_f64(self.dtype, self.data, self.offset + row * self.strides[0] + column * self.strides[1])
    }

    /// Calls `each` for every element in row-major order.
    unsafe fn for_each(&self, mut each: impl FnMut(f64)) {
        for row in 0..self.sizes[0] {
            for column in 0..self.sizes[1] {
                each(self.at(row, column));
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Notation {
    General,
    Fixed,
    Scientific,
}

/// How the elements of a matrix are written.
struct Format {
    notation: Notation,
    scale: f64,
    width: i64,
}

impl Format {
    fn push(&self, text: &mut Text, x: f64) {
        let x = x / self.scale;
        text.push_padded(self.width, |text| match self.notation {
            Notation::General => push_general(text, x, 6),
            Notation::Fixed => push_fixed(text, x, 4),
            Notation::Scientific => push_scientific(text, x, 4),
        });
    }
}

/// Decimal exponent plus one of a magnitude; 1 for zero.
fn decimal_exponent(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { libm::floor(libm::log10(x)) + 1.0 }
}

/// Chooses the format from the smallest and the largest magnitude of the finite elements.
unsafe fn choose_format(matrix: &Matrix) -> Format {
    let (mut whole, mut extremes) = (true, None);
    matrix.for_each(|x| {
        if x.is_finite() {
            whole &= x == libm::ceil(x);
            let (low, high) = extremes.unwrap_or((x.abs(), x.abs()));
            extremes = Some((low.min(x.abs()), high.max(x.abs())));
        }
    });
    let (low, high) = extremes.map_or((1.0, 1.0), |(low, high)| (decimal_exponent(low), decimal_exponent(high)));
    if whole {
        return if high > 9.0 {
            Format { notation: Notation::Scientific, scale: 1.0, width: 11 }
        } else {
            Format { notation: Notation::General, scale: 1.0, width: high as i64 + 1 }
        };
    }
    if high - low > 4.0 {
        let wide = high.abs() > 99.0 || low.abs() > 99.0;
        return Format { notation: Notation::Scientific, scale: 1.0, width: 11 + i64::from(wide) };
    }
    if !(0.0..=5.0).contains(&high) {
        return Format { notation: Notation::Fixed, scale: libm::pow(10.0, high - 1.0), width: 7 };
    }
    let width = if high == 0.0 { 7 } else { high as i64 + 6 };
    Format { notation: Notation::Fixed, scale: 1.0, width }
}

fn push_scale(text: &mut Text, scale: f64) {
    push_shortest(text, scale);
    text.push_str(" *\n");
}

unsafe fn push_matrix(text: &mut Text, matrix: &Matrix, indent: i64) {
    let format = choose_format(matrix);
    let [_, columns] = matrix.sizes;
    let per_line = ((LINE - indent) / (format.width + 1)).max(1);
    let mut first = 0;
    while first < columns {
        let last = (first + per_line).min(columns);
        if per_line < columns {
            if first != 0 {
                text.push(b'\n');
            }
            text.push_str("Columns ");
            text.push_int(first + 1);
            text.push_str(" to ");
            text.push_int(last);
            text.push_repeated(b' ', indent);
        }
        if format.scale != 1.0 {
            push_scale(text, format.scale);
            text.push_repeated(b' ', indent);
        }
        push_rows(text, matrix, &format, first, last, indent);
        first = last;
    }
}

unsafe fn push_rows(text: &mut Text, matrix: &Matrix, format: &Format, first: i64, last: i64, indent: i64) {
    let rows = matrix.sizes[0];
    for row in 0..rows {
        for column in first..last {
            format.push(text, matrix.at(row, column));
            text.push(if column + 1 == last { b'\n' } else { b' ' });
        }
        if row + 1 < rows {
            text.push_repeated(b' ', indent + i64::from(format.scale != 1.0));
        }
    }
}

/// The matrices of a tensor of rank 3 or more, the first index running fastest.
unsafe fn push_matrices(text: &mut Text, tensor: *const Tensor) {
    let (sizes, strides) = (sizes_of(tensor), strides_of(tensor));
    let outer = sizes.len() - 2;
    let count: i64 = sizes[..outer].iter().product();
    for number in 0..count {
        if number > 0 {
            text.push(b'\n');
        }
        text.push(b'(');
        let (mut rest, mut offset) = (number, 0);
        for d in 0..outer {
            let index = rest % sizes[d];
            rest /= sizes[d];
            offset += index * strides[d];
            text.push_int(index + 1);
            text.push(b',');
        }
        text.push_str(".,.) = \n");
        let matrix = Matrix {
            dtype: (*tensor).dtype,
            data: (*tensor).data,
            offset,
            sizes: [sizes[outer], sizes[outer + 1]],
            strides: [strides[outer], strides[outer + 1]],
        };
        push_matrix(text, &matrix, 1);
    }
}

unsafe fn push_vector(text: &mut Text, column: &Matrix) {
    let format = choose_format(column);
    if format.scale != 1.0 {
        push_scale(text, format.scale);
    }
    for row in 0..column.sizes[0] {
        format.push(text, column.at(row, 0));
        text.push(b'\n');
    }
}

/// Writes a tensor: its elements, then `[ CPUFloatType{2,3} ]`. A quantized one raises: its scale is not in the descriptor.
pub(crate) unsafe fn push_tensor(text: &mut Text, tensor: *const Tensor) {
    if matches!((*tensor).dtype, dtype::QI8 | dtype::QU8 | dtype::QI32) {
        return raise_text(text.ctx(), "printing a quantized tensor is not supported");
    }
    let (sizes, strides) = (sizes_of(tensor), strides_of(tensor));
    let matrix = |sizes, strides| Matrix { dtype: (*tensor).dtype, data: (*tensor).data, offset: 0, sizes, strides };
    match (sizes, strides) {
        (&[], _) => {
            push_shortest(text, load_f64((*tensor).dtype, (*tensor).data, 0));
            text.push(b'\n');
        }
        _ if numel_of(tensor) == 0 => {}
        (&[rows], &[step]) => push_vector(text, &matrix([rows, 1], [step, 0])),
        (&[rows, columns], &[row_step, column_step]) => {
            push_matrix(text, &matrix([rows, columns], [row_step, column_step]), 0);
        }
        _ => push_matrices(text, tensor),
    }
    text.push_str("[ CPU");
    text.push_str(type_name((*tensor).dtype));
    text.push_str("Type{");
    for (d, size) in sizes.iter().enumerate() {
        if d > 0 {
            text.push(b',');
        }
        text.push_int(*size);
    }
    text.push_str("} ]");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::element::store_f64;
    use crate::tensor::new_tensor;
    use crate::test_context::TestContext;

    /// Texts printed by PyTorch 2.15; `fixtures/record_prints.py` records them.
    const RECORDED: &str = include_str!("../fixtures/tensor_prints.txt");

    fn list<T: std::str::FromStr>(field: &str) -> Vec<T> {
        let parse = |part: &str| part.parse().ok().expect("a number");
        if field == "-" { Vec::new() } else { field.split(',').map(parse).collect() }
    }

    #[test]
    fn tensors_print_as_pytorch_prints_them() {
        let mut cases = 0;
        for case in RECORDED.split("== ").skip(1) {
            let (head, expected) = case.split_once('\n').unwrap();
            let [name, code, sizes, values]: [&str; 4] = head.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let t = TestContext::new();
            unsafe {
                let tensor = new_tensor(t.ctx(), code.parse().unwrap(), &list::<i64>(sizes));
                for (i, value) in list::<f64>(values).into_iter().enumerate() {
                    store_f64((*tensor).dtype, (*tensor).data, i as i64, value);
                }
                assert_eq!(t.show(Value::object(tag::TENSOR, tensor)) + "\n", expected, "{name}");
            }
            cases += 1;
        }
        assert!(cases > 60);
    }

    /// A strided tensor prints as its contiguous copy.
    #[test]
    fn strides_are_followed() {
        let t = TestContext::new();
        unsafe {
            let base = t.tensor_f32(&[2, 3], &[0., 1., 2., 3., 4., 5.]);
            let view = crate::tensor::tensor_view(t.ctx(), base, (*base).data, 6, 2, [3, 2].as_ptr(), [1, 3].as_ptr());
            assert_eq!(t.show(Value::object(tag::TENSOR, view)), " 0  3\n 1  4\n 2  5\n[ CPUFloatType{3,2} ]");
        }
    }
}
