//! Nested lists to tensors and back: `torch.tensor(data)` and `x.tolist()`.

use core::ptr::null_mut;

use crate::abi::*;
use crate::equality::too_deep;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::list::{self, list_new, push_owned};
use crate::memory::release_header;
use crate::tensor::element::{convert, store_f64, store_i64};
use crate::tensor::item::element_value;
use crate::tensor::{MAX_RANK, new_tensor, sizes_of, strides_of};
use crate::tuple;

/// The items of a list or a tuple.
unsafe fn sequence<'a>(value: Value) -> Option<&'a [Value]> {
    match value.tag {
        tag::LIST => Some(list::items_of(value.pointer())),
        tag::TUPLE => Some(tuple::items_of(value.pointer())),
        _ => None,
    }
}

/// The sizes along the first elements, and the first scalar (or the tag of an empty list's elements).
struct Shape {
    sizes: [i64; MAX_RANK],
    rank: usize,
    scalar: u64,
    dtype: u32,
}

unsafe fn shape_of(ctx: *mut Context, value: Value) -> Option<Shape> {
    let mut shape = Shape { sizes: [0; MAX_RANK], rank: 0, scalar: value.tag, dtype: dtype::F32 };
    let mut first = value;
    while let Some(items) = sequence(first) {
        if shape.rank == MAX_RANK {
            raise_text(ctx, "too many dimensions");
            return None;
        }
        shape.sizes[shape.rank] = items.len() as i64;
        shape.rank += 1;
        let Some(next) = items.first() else {
            shape.scalar = if first.tag == tag::LIST { (*first.pointer::<List>()).elem_type } else { tag::ANY };
            break;
        };
        first = *next;
        shape.scalar = first.tag;
    }
    if first.tag == tag::TENSOR {
        shape.dtype = (*first.pointer::<Tensor>()).dtype;
    }
    Some(shape)
}

/// The dtype that `torch.tensor` infers: int64, bool, the dtype of a tensor, else the default float32.
fn inferred_dtype(shape: &Shape) -> u32 {
    match shape.scalar {
        tag::INT => dtype::I64,
        tag::BOOL => dtype::BOOL,
        tag::TENSOR => shape.dtype,
        _ => dtype::F32,
    }
}

/// Writes the scalars under `value` at `at` and after; false after an exception.
unsafe fn fill(ctx: *mut Context, tensor: *mut Tensor, value: Value, depth: usize, at: &mut i64) -> bool {
    let sizes = sizes_of(tensor);
    if depth == sizes.len() {
        return fill_scalar(ctx, tensor, value, at);
    }
    let Some(items) = sequence(value) else {
        raise_text(ctx, "expected a sequence in nested data");
        return false;
    };
    if items.len() as i64 != sizes[depth] {
        raise_with(ctx, |text| {
            text.push_str("Expected sequence of length ");
            text.push_int(sizes[depth]);
            text.push_str(" at dim ");
            text.push_int(depth as i64);
            text.push_str(" (got ");
            text.push_int(items.len() as i64);
            text.push(b')');
        });
        return false;
    }
    items.iter().all(|item| fill(ctx, tensor, *item, depth + 1, at))
}

unsafe fn fill_scalar(ctx: *mut Context, tensor: *mut Tensor, value: Value, at: &mut i64) -> bool {
    let code = (*tensor).dtype;
    match value.tag {
        tag::INT | tag::BOOL => store_i64(code, (*tensor).data, *at, value.as_int()),
        tag::FLOAT => store_f64(code, (*tensor).data, *at, value.as_float()),
        tag::TENSOR if crate::tensor::numel_of(value.pointer()) == 1 => {
            let scalar = value.pointer::<Tensor>();
            convert((*scalar).dtype, (*scalar).data, 0, code, (*tensor).data, *at);
        }
        _ => {
            raise_text(ctx, "expected numbers or bools in nested data");
            return false;
        }
    }
    *at += 1;
    true
}

/// The elements from `offset` on as nested lists over the dimensions from `depth` on.
unsafe fn nested(ctx: *mut Context, tensor: *const Tensor, depth: usize, offset: i64) -> Value {
    let sizes = sizes_of(tensor);
    if depth == sizes.len() {
        return element_value(tensor, offset);
    }
    let innermost = depth + 1 == sizes.len();
    let elem_type = if innermost { element_tag((*tensor).dtype) } else { tag::LIST };
    let list = list_new(ctx, sizes[depth] as u64, elem_type);
    if list.is_null() || too_deep(ctx, depth as u32) {
        return Value::NONE;
    }
    for i in 0..sizes[depth] {
        push_owned(ctx, list, nested(ctx, tensor, depth + 1, offset + i * strides_of(tensor)[depth]));
    }
    Value::object(tag::LIST, list)
}

/// The tag of the elements of a dtype.
fn element_tag(code: u32) -> u64 {
    match code {
        dtype::BOOL => tag::BOOL,
        code if crate::tensor::element::is_float(code) => tag::FLOAT,
        _ => tag::INT,
    }
}

exports! {
    /// `torch.tensor(x, dtype=...)` of a scalar or nested lists or tuples of scalars; a dtype of -1 is inferred.
    fn tensor_from_value(ctx: *mut Context, x_tag: u64, x_bits: u64, dtype: i64) -> *mut Tensor {
        let value = Value::new(x_tag, x_bits);
        let Some(shape) = shape_of(ctx, value) else { return null_mut() };
        let code = if dtype < 0 { inferred_dtype(&shape) } else { dtype as u32 };
        let tensor = new_tensor(ctx, code, &shape.sizes[..shape.rank]);
        if !tensor.is_null() && !fill(ctx, tensor, value, 0, &mut 0) {
            release_header(ctx, tensor.cast());
            return null_mut();
        }
        tensor
    }

    /// `x.tolist()`: nested lists, or a scalar for rank 0.
    fn tensor_to_list(ctx: *mut Context, tensor: *const Tensor, out: *mut Value) {
        *out = nested(ctx, tensor, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::list_push;
    use crate::test_context::TestContext;

    #[test]
    fn lists_become_tensors_and_return() {
        let t = TestContext::new();
        unsafe {
            let outer = list_new(t.ctx(), 0, tag::LIST);
            for row in 0..2 {
                let inner = list_new(t.ctx(), 0, tag::INT);
                for column in 0..3 {
                    list_push(t.ctx(), inner, tag::INT, row * 3 + column);
                }
                list_push(t.ctx(), outer, tag::LIST, inner as u64);
            }
            let tensor = tensor_from_value(t.ctx(), tag::LIST, outer as u64, -1);
            assert_eq!(((*tensor).dtype, sizes_of(tensor)), (dtype::I64, [2, 3].as_slice()));
            let mut out = Value::NONE;
            tensor_to_list(t.ctx(), tensor, &mut out);
            assert_eq!(t.show(out), "[[0, 1, 2], [3, 4, 5]]");
            let short = list_new(t.ctx(), 0, tag::INT);
            list_push(t.ctx(), outer, tag::LIST, short as u64);
            assert!(tensor_from_value(t.ctx(), tag::LIST, outer as u64, 6).is_null());
            assert_eq!(t.take_error().1, "Expected sequence of length 3 at dim 1 (got 0)");
        }
    }

    #[test]
    fn empty_lists_take_their_element_type() {
        let t = TestContext::new();
        unsafe {
            let empty = list_new(t.ctx(), 0, tag::BOOL);
            let tensor = tensor_from_value(t.ctx(), tag::LIST, empty as u64, -1);
            assert_eq!(((*tensor).dtype, sizes_of(tensor)), (dtype::BOOL, [0].as_slice()));
            let scalar = tensor_from_value(t.ctx(), tag::FLOAT, 2.5f64.to_bits(), -1);
            assert_eq!(((*scalar).dtype, (*scalar).rank), (dtype::F32, 0));
        }
    }
}
