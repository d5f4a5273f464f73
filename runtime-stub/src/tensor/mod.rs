//! Tensor descriptors: making them, viewing, copying and converting.
//!
//! A descriptor with its own elements is one block: header, sizes, strides, the block's size, padding to 64 bytes, then
//! the elements. A view holds a reference to the descriptor that owns the elements; a wrapped tensor points to memory
//! of someone else. Operators proper are compiled code; here is what containers, printing and entry points need.

pub(crate) mod copy;
pub(crate) mod element;
pub(crate) mod half;
pub(crate) mod item;
pub(crate) mod join;
pub(crate) mod nested;

use core::ptr::null_mut;

use crate::abi::*;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::memory::{allocate_object, retain_header};
use element::element_bytes;

/// Alignment of elements that a tensor owns, and of its block.
pub(crate) const DATA_ALIGN: u64 = 64;
/// PyTorch's limit on dimensions.
pub(crate) const MAX_RANK: usize = 64;

const FIXED_BYTES: u64 = core::mem::offset_of!(Tensor, dims) as u64;

/// The sizes of a tensor.
pub(crate) unsafe fn sizes_of<'a>(tensor: *const Tensor) -> &'a [i64] {
    core::slice::from_raw_parts((&raw const (*tensor).dims).cast(), (*tensor).rank as usize)
}

/// The strides of a tensor, in elements.
pub(crate) unsafe fn strides_of<'a>(tensor: *const Tensor) -> &'a [i64] {
    let rank = (*tensor).rank as usize;
    core::slice::from_raw_parts((&raw const (*tensor).dims).cast::<i64>().add(rank), rank)
}

/// Size of the block of a tensor made by the runtime: the word behind the strides.
pub(crate) unsafe fn block_bytes(tensor: *const Tensor) -> u64 {
    (&raw const (*tensor).dims).cast::<u64>().add(2 * (*tensor).rank as usize).read()
}

/// Number of elements; sizes were checked when the tensor was made.
pub(crate) unsafe fn numel_of(tensor: *const Tensor) -> i64 {
    sizes_of(tensor).iter().product()
}

/// Bytes of descriptor, dims and the block-size word.
fn descriptor_bytes(rank: usize) -> u64 {
    FIXED_BYTES + 16 * rank as u64 + 8
}

/// Writes the strides of a row-major layout.
pub(crate) fn contiguous_strides(sizes: &[i64], strides: &mut [i64]) {
    let mut step = 1i64;
    for (size, stride) in sizes.iter().zip(strides).rev() {
        *stride = step;
        step = step.wrapping_mul((*size).max(1));
    }
}

/// Whether elements stand in row-major order without gaps; strides of sizes 1 do not matter.
pub(crate) fn is_contiguous(sizes: &[i64], strides: &[i64]) -> bool {
    if sizes.contains(&0) {
        return true;
    }
    let mut expected = 1;
    for (&size, &stride) in sizes.iter().zip(strides).rev() {
        if size != 1 && stride != expected {
            return false;
        }
        expected *= size;
    }
    true
}

/// `[2, 3]` in an error text.
pub(crate) fn push_sizes(text: &mut crate::text::Text, sizes: &[i64]) {
    text.push(b'[');
    for (i, size) in sizes.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        text.push_int(*size);
    }
    text.push(b']');
}

/// Number of elements of a new tensor, or the exception.
unsafe fn checked_numel(ctx: *mut Context, sizes: &[i64]) -> Option<u64> {
    let negative = sizes.iter().find(|&&size| size < 0);
    if let Some(&size) = negative {
        raise_with(ctx, |text| {
            text.push_str("Trying to create tensor with negative dimension ");
            text.push_int(size);
            text.push_str(": ");
            push_sizes(text, sizes);
        });
        return None;
    }
    // A zero anywhere makes the tensor empty, but the strides must still be numbers.
    let numel = sizes.iter().try_fold(1i64, |product, &size| product.checked_mul(size.max(1)));
    let empty = sizes.contains(&0);
    match numel {
        Some(_) if empty => Some(0),
        Some(numel) if numel <= i64::MAX / 16 => Some(numel as u64),
        _ => {
            raise_with(ctx, |text| {
                text.push_str("Storage size calculation overflowed with sizes=");
                push_sizes(text, sizes);
            });
            None
        }
    }
}

/// A descriptor block with room for `data` bytes after it (aligned), dims not yet written.
unsafe fn allocate_tensor(ctx: *mut Context, dtype: i64, rank: usize, data: u64) -> *mut Tensor {
    if rank > MAX_RANK || element_bytes(dtype as u32) == 0 {
        raise_text(ctx, if rank > MAX_RANK { "too many dimensions" } else { "unsupported dtype" });
        return null_mut();
    }
    let head = descriptor_bytes(rank).next_multiple_of(DATA_ALIGN);
    let bytes = head.saturating_add(data);
    let tensor = allocate_object::<Tensor>(ctx, tag::TENSOR, bytes, DATA_ALIGN);
    if !tensor.is_null() {
        (*tensor).data = tensor.cast::<u8>().add(head as usize);
        (*tensor).owner = null_mut();
        (*tensor).dtype = dtype as u32;
        (*tensor).rank = rank as u32;
        (&raw mut (*tensor).dims).cast::<u64>().add(2 * rank).write(bytes);
    }
    tensor
}

unsafe fn write_dims(tensor: *mut Tensor, sizes: &[i64], strides: *const i64) {
    let rank = sizes.len();
    let dims: *mut i64 = (&raw mut (*tensor).dims).cast();
    core::ptr::copy_nonoverlapping(sizes.as_ptr(), dims, rank);
    if strides.is_null() {
        contiguous_strides(sizes, core::slice::from_raw_parts_mut(dims.add(rank), rank));
    } else {
        core::ptr::copy_nonoverlapping(strides, dims.add(rank), rank);
    }
}

/// The sizes passed by pointer and rank; an empty slice for rank 0 whatever the pointer.
pub(crate) unsafe fn passed_sizes<'a>(rank: i64, sizes: *const i64) -> &'a [i64] {
    if rank <= 0 { &[] } else { core::slice::from_raw_parts(sizes, rank as usize) }
}

/// A contiguous tensor with elements of its own, not initialised.
pub(crate) unsafe fn new_tensor(ctx: *mut Context, dtype: u32, sizes: &[i64]) -> *mut Tensor {
    let Some(numel) = checked_numel(ctx, sizes) else { return null_mut() };
    let data = numel * element_bytes(dtype) as u64;
    let tensor = allocate_tensor(ctx, i64::from(dtype), sizes.len(), data);
    if !tensor.is_null() {
        write_dims(tensor, sizes, core::ptr::null());
    }
    tensor
}

exports! {
    /// A contiguous tensor, 64-byte aligned, whose elements are not initialised.
    fn tensor_new(ctx: *mut Context, dtype: i64, rank: i64, sizes: *const i64) -> *mut Tensor {
        new_tensor(ctx, dtype as u32, passed_sizes(rank, sizes))
    }

    /// A contiguous tensor of zeros.
    fn tensor_zeros(ctx: *mut Context, dtype: i64, rank: i64, sizes: *const i64) -> *mut Tensor {
        let tensor = tensor_new(ctx, dtype, rank, sizes);
        if !tensor.is_null() {
            let bytes = numel_of(tensor) as usize * element_bytes((*tensor).dtype);
            core::ptr::write_bytes((*tensor).data, 0, bytes);
        }
        tensor
    }

    /// A descriptor of memory that someone else owns and keeps; null strides mean contiguous.
    fn tensor_wrap(ctx: *mut Context, data: *mut u8, dtype: i64, rank: i64, sizes: *const i64, strides: *const i64) -> *mut Tensor {
        let sizes = passed_sizes(rank, sizes);
        if checked_numel(ctx, sizes).is_none() {
            return null_mut();
        }
        let tensor = allocate_tensor(ctx, dtype, sizes.len(), 0);
        if !tensor.is_null() {
            (*tensor).data = data;
            write_dims(tensor, sizes, strides);
        }
        tensor
    }

    /// A view of the elements of `base` from `data` on; keeps their owner alive. Null strides mean contiguous.
    fn tensor_view(ctx: *mut Context, base: *mut Tensor, data: *mut u8, dtype: i64, rank: i64, sizes: *const i64, strides: *const i64) -> *mut Tensor {
        let tensor = tensor_wrap(ctx, data, dtype, rank, sizes, strides);
        if !tensor.is_null() {
            let owner = if (*base).owner.is_null() { base.cast() } else { (*base).owner };
            retain_header(owner);
            (*tensor).owner = owner;
        }
        tensor
    }

    /// Number of elements.
    fn tensor_numel(tensor: *const Tensor) -> i64 {
        numel_of(tensor)
    }

    /// `x.is_contiguous()`
    fn tensor_is_contiguous(tensor: *const Tensor) -> i64 {
        i64::from(is_contiguous(sizes_of(tensor), strides_of(tensor)))
    }

    /// `len(x)`: the first size; raises for rank 0.
    fn tensor_len(ctx: *mut Context, tensor: *const Tensor) -> i64 {
        let Some(first) = sizes_of(tensor).first() else {
            raise_text(ctx, "len() of a 0-d tensor");
            return 0;
        };
        *first
    }

    /// The elements in row-major order: the tensor itself, retained, when they stand so already, else a copy.
    fn tensor_contiguous(ctx: *mut Context, tensor: *mut Tensor) -> *mut Tensor {
        if tensor_is_contiguous(tensor) == 0 {
            return tensor_clone(ctx, tensor);
        }
        retain_header(tensor.cast());
        tensor
    }

    /// A contiguous copy.
    fn tensor_clone(ctx: *mut Context, tensor: *const Tensor) -> *mut Tensor {
        tensor_cast(ctx, tensor, i64::from((*tensor).dtype))
    }

    /// A contiguous copy with another dtype, converted as `x.to(dtype)` does.
    fn tensor_cast(ctx: *mut Context, tensor: *const Tensor, dtype: i64) -> *mut Tensor {
        let copy = new_tensor(ctx, dtype as u32, sizes_of(tensor));
        if !copy.is_null() {
            copy::copy_strided(copy, tensor);
        }
        copy
    }

    /// `target.copy_(source)`: broadcast, converted, in place; both may be strided. Raises when the sizes do not fit.
    fn tensor_copy(ctx: *mut Context, target: *mut Tensor, source: *const Tensor) {
        copy::copy_broadcast(ctx, target, source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::release_header;
    use crate::test_context::TestContext;

    #[test]
    fn owned_views_and_clones() {
        let t = TestContext::new();
        unsafe {
            let base = t.tensor_f32(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
            assert_eq!((*base).data as usize % 64, 0);
            let view = tensor_view(t.ctx(), base, (*base).data, 6, 2, [3, 2].as_ptr(), [1, 3].as_ptr());
            release_header(t.ctx(), base.cast());
            assert_eq!(tensor_is_contiguous(view), 0);
            let clone = tensor_contiguous(t.ctx(), view);
            assert_eq!(t.floats(clone), [1., 4., 2., 5., 3., 6.]);
            let nested = tensor_view(t.ctx(), view, (*view).data, 6, 0, core::ptr::null(), core::ptr::null());
            assert_eq!((*nested).owner, base.cast());
            for tensor in [view, clone, nested] {
                release_header(t.ctx(), tensor.cast());
            }
            assert_eq!((*t.ctx()).live_bytes, 0);
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let t = TestContext::new();
        unsafe {
            assert!(tensor_new(t.ctx(), 6, 2, [2, -1].as_ptr()).is_null());
            assert_eq!(t.take_error().1, "Trying to create tensor with negative dimension -1: [2, -1]");
            assert!(tensor_new(t.ctx(), 6, 3, [i64::MAX, 3, 2].as_ptr()).is_null());
            assert_eq!(t.take_error().1, "Storage size calculation overflowed with sizes=[9223372036854775807, 3, 2]");
            assert!(tensor_new(t.ctx(), 8, 1, [1].as_ptr()).is_null());
            assert_eq!(t.take_error().1, "unsupported dtype");
            assert!(tensor_new(t.ctx(), 6, 65, [1; 65].as_ptr()).is_null());
            assert_eq!(t.take_error().1, "too many dimensions");
            let empty = tensor_new(t.ctx(), 6, 2, [0, 5].as_ptr());
            assert_eq!((tensor_numel(empty), tensor_is_contiguous(empty), tensor_len(t.ctx(), empty)), (0, 1, 0));
        }
    }

    #[test]
    fn copies_broadcast_and_convert() {
        let t = TestContext::new();
        unsafe {
            let row = t.tensor_f32(&[3], &[1.9, -2.9, f32::NAN]);
            let target = tensor_zeros(t.ctx(), 3, 2, [2, 3].as_ptr());
            tensor_copy(t.ctx(), target, row);
            assert_eq!(t.show(Value::object(tag::TENSOR, tensor_cast(t.ctx(), target, 7))).lines().count(), 3);
            let data = core::slice::from_raw_parts((*target).data.cast::<i32>(), 6);
            assert_eq!(data, [1, -2, i32::MIN, 1, -2, i32::MIN]);
            tensor_copy(t.ctx(), row, target);
            assert_eq!(t.take_error().1, "output with shape [3] doesn't match the broadcast shape [2, 3]");
        }
    }
}
