//! Tensors of one element as numbers, and comparisons that give one bool.

use crate::abi::*;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::tensor::copy::Walk;
use crate::tensor::element::{is_float, load_f64, load_i64, store_f64, store_i64, truncate};
use crate::tensor::{new_tensor, numel_of, sizes_of, strides_of};

/// Raises unless the tensor has one element.
unsafe fn has_one_element(ctx: *mut Context, tensor: *const Tensor) -> bool {
    let numel = numel_of(tensor);
    if numel != 1 {
        raise_with(ctx, |text| {
            text.push_str("a Tensor with ");
            text.push_int(numel);
            text.push_str(" elements cannot be converted to Scalar");
        });
    }
    numel == 1
}

/// Raises unless `numel` elements make one truth value.
unsafe fn is_one_truth(ctx: *mut Context, numel: i64) -> bool {
    match numel {
        1 => return true,
        0 => raise_text(ctx, "Boolean value of Tensor with no values is ambiguous"),
        _ => raise_text(ctx, "Boolean value of Tensor with more than one value is ambiguous"),
    }
    false
}

/// Number of elements of the broadcast of two tensors; raises when they do not broadcast.
unsafe fn broadcast_numel(ctx: *mut Context, a: *const Tensor, b: *const Tensor) -> Option<i64> {
    let (left, right) = (sizes_of(a), sizes_of(b));
    let rank = left.len().max(right.len());
    let mut numel = 1i64;
    for back in 1..=rank {
        let of = |sizes: &[i64]| if back <= sizes.len() { sizes[sizes.len() - back] } else { 1 };
        let (x, y) = (of(left), of(right));
        if x != y && x != 1 && y != 1 {
            raise_with(ctx, |text| {
                text.push_str("The size of tensor a (");
                text.push_int(x);
                text.push_str(") must match the size of tensor b (");
                text.push_int(y);
                text.push_str(") at non-singleton dimension ");
                text.push_int((rank - back) as i64);
            });
            return None;
        }
        numel = numel.saturating_mul(if x == 1 { y } else { x });
    }
    Some(numel)
}

/// The one pair of elements that a comparison of two tensors comes down to, or the exception.
unsafe fn one_pair(ctx: *mut Context, a: *const Tensor, b: *const Tensor) -> bool {
    broadcast_numel(ctx, a, b).is_some_and(|numel| is_one_truth(ctx, numel))
}

unsafe fn both_int(a: *const Tensor, b: *const Tensor) -> bool {
    !is_float((*a).dtype) && !is_float((*b).dtype)
}

/// Whether two elements are equal as numbers.
unsafe fn elements_equal(a: *const Tensor, at_a: i64, b: *const Tensor, at_b: i64) -> bool {
    if both_int(a, b) {
        return load_i64((*a).dtype, (*a).data, at_a) == load_i64((*b).dtype, (*b).data, at_b);
    }
    load_f64((*a).dtype, (*a).data, at_a) == load_f64((*b).dtype, (*b).data, at_b)
}

/// `bool(a == b)`
pub(crate) unsafe fn equals_as_bool(ctx: *mut Context, a: *const Tensor, b: *const Tensor) -> bool {
    one_pair(ctx, a, b) && elements_equal(a, 0, b, 0)
}

/// `bool(a < b)`
pub(crate) unsafe fn less_as_bool(ctx: *mut Context, a: *const Tensor, b: *const Tensor) -> bool {
    if !one_pair(ctx, a, b) {
        return false;
    }
    if both_int(a, b) {
        return load_i64((*a).dtype, (*a).data, 0) < load_i64((*b).dtype, (*b).data, 0);
    }
    load_f64((*a).dtype, (*a).data, 0) < load_f64((*b).dtype, (*b).data, 0)
}

/// The element at an offset as a value: bool, int or float by dtype.
pub(crate) unsafe fn element_value(tensor: *const Tensor, at: i64) -> Value {
    let code = (*tensor).dtype;
    if is_float(code) {
        Value::float(load_f64(code, (*tensor).data, at))
    } else if code == dtype::BOOL {
        Value::bool(load_i64(code, (*tensor).data, at) != 0)
    } else {
        Value::int(load_i64(code, (*tensor).data, at))
    }
}

exports! {
    /// `x.item()`: bool, int or float by dtype; raises unless there is one element.
    fn tensor_item(ctx: *mut Context, tensor: *const Tensor, out: *mut Value) {
        *out = if has_one_element(ctx, tensor) { element_value(tensor, 0) } else { Value::NONE };
    }

    /// `int(x)`: raises unless there is one element and it fits an int.
    fn tensor_item_int(ctx: *mut Context, tensor: *const Tensor) -> i64 {
        if !has_one_element(ctx, tensor) {
            return 0;
        }
        let value = element_value(tensor, 0);
        if value.tag != tag::FLOAT {
            return value.as_int();
        }
        let x = value.as_float();
        let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x);
        if !fits {
            raise_text(ctx, "value cannot be converted to type int64_t without overflow");
            return 0;
        }
        truncate(x)
    }

    /// `float(x)`: raises unless there is one element.
    fn tensor_item_float(ctx: *mut Context, tensor: *const Tensor) -> f64 {
        if has_one_element(ctx, tensor) { load_f64((*tensor).dtype, (*tensor).data, 0) } else { 0.0 }
    }

    /// `x.item()` as a bool: raises unless there is one element.
    fn tensor_item_bool(ctx: *mut Context, tensor: *const Tensor) -> i64 {
        i64::from(tensor_item_float(ctx, tensor) != 0.0)
    }

    /// `bool(x)`: raises unless there is one element, with the text for truth values.
    fn tensor_is_nonzero(ctx: *mut Context, tensor: *const Tensor) -> i64 {
        if !is_one_truth(ctx, numel_of(tensor)) {
            return 0;
        }
        i64::from(load_f64((*tensor).dtype, (*tensor).data, 0) != 0.0)
    }

    /// `torch.equal(a, b)`: same sizes and equal elements.
    fn tensor_equal(a: *const Tensor, b: *const Tensor) -> i64 {
        if sizes_of(a) != sizes_of(b) {
            return 0;
        }
        let mut walk = Walk::new(sizes_of(a), strides_of(a), strides_of(b));
        for _ in 0..numel_of(a) {
            let [at_a, at_b] = walk.offsets;
            if !elements_equal(a, at_a, b, at_b) {
                return 0;
            }
            walk.step();
        }
        1
    }

    /// A tensor of rank 0 from an int.
    fn tensor_from_int(ctx: *mut Context, x: i64, dtype: i64) -> *mut Tensor {
        let tensor = new_tensor(ctx, dtype as u32, &[]);
        if !tensor.is_null() {
            store_i64((*tensor).dtype, (*tensor).data, 0, x);
        }
        tensor
    }

    /// A tensor of rank 0 from a float.
    fn tensor_from_float(ctx: *mut Context, x: f64, dtype: i64) -> *mut Tensor {
        let tensor = new_tensor(ctx, dtype as u32, &[]);
        if !tensor.is_null() {
            store_f64((*tensor).dtype, (*tensor).data, 0, x);
        }
        tensor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn numbers_go_in_and_out() {
        let t = TestContext::new();
        unsafe {
            assert_eq!(tensor_item_int(t.ctx(), tensor_from_int(t.ctx(), -7, 3)), -7);
            assert_eq!(tensor_item_int(t.ctx(), tensor_from_float(t.ctx(), -7.9, 6)), -7);
            assert_eq!(tensor_item_float(t.ctx(), tensor_from_float(t.ctx(), 0.1, 6)), f64::from(0.1f32));
            assert_eq!(tensor_item_bool(t.ctx(), tensor_from_int(t.ctx(), 2, 11)), 1);
            let mut out = Value::NONE;
            tensor_item(t.ctx(), tensor_from_int(t.ctx(), 2, 11), &mut out);
            assert_eq!((out.tag, out.bits), (tag::BOOL, 1));
            tensor_item_int(t.ctx(), tensor_from_float(t.ctx(), 1e30, 7));
            assert_eq!(t.take_error().1, "value cannot be converted to type int64_t without overflow");
        }
    }

    /// Texts recorded from PyTorch 2.15.
    #[test]
    fn truth_of_many_elements_raises() {
        let t = TestContext::new();
        unsafe {
            let two = t.tensor_f32(&[2], &[1., 2.]);
            tensor_item_int(t.ctx(), two);
            assert_eq!(t.take_error().1, "a Tensor with 2 elements cannot be converted to Scalar");
            tensor_is_nonzero(t.ctx(), two);
            assert_eq!(t.take_error().1, "Boolean value of Tensor with more than one value is ambiguous");
            tensor_is_nonzero(t.ctx(), t.tensor_f32(&[0], &[]));
            assert_eq!(t.take_error().1, "Boolean value of Tensor with no values is ambiguous");
            equals_as_bool(t.ctx(), two, t.tensor_f32(&[3], &[0., 0., 0.]));
            assert_eq!(
                t.take_error().1,
                "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0"
            );
            assert!(equals_as_bool(t.ctx(), t.tensor_f32(&[1, 1], &[2.]), tensor_from_int(t.ctx(), 2, 4)));
            assert!(less_as_bool(t.ctx(), t.tensor_f32(&[], &[1.5]), tensor_from_int(t.ctx(), 2, 4)));
            assert_eq!(tensor_equal(two, t.tensor_f32(&[2], &[1., 2.])), 1);
            assert_eq!(tensor_equal(two, t.tensor_f32(&[1, 2], &[1., 2.])), 0);
        }
    }
}
