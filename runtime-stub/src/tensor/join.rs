//! Joining a list of tensors whose length is known only at run time.

use super::{MAX_RANK, new_tensor, sizes_of};
use crate::abi::*;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::tensor::element::element_bytes;
use core::ptr::null_mut;

/// The tensors of a list, one after the other.
unsafe fn tensors<'a>(list: *const List) -> impl Iterator<Item = *const Tensor> + Clone + 'a {
    let items = core::slice::from_raw_parts((*list).items, (*list).len as usize);
    items.iter().map(|v| v.bits as *const Tensor)
}

/// Copies the rows of each tensor side by side: `outer` rows, each of `inner(tensor)` bytes.
unsafe fn interleave(out: *mut Tensor, list: *const List, axis: usize) {
    let size = element_bytes((*out).dtype);
    let outer: i64 = sizes_of(out)[..axis].iter().product();
    let row: usize = sizes_of(out)[axis..].iter().product::<i64>() as usize * size;
    let mut at = 0;
    for tensor in tensors(list) {
        let count: i64 = sizes_of(tensor).iter().product();
        if count == 0 || outer == 0 {
            continue;
        }
        let bytes = (count / outer) as usize * size;
        for i in 0..outer as usize {
            core::ptr::copy_nonoverlapping((*tensor).data.add(i * bytes), (*out).data.add(i * row + at), bytes);
        }
        at += bytes;
    }
}

/// The first tensor of a list, if all have its element type and rank.
unsafe fn first_of(ctx: *mut Context, list: *const List, what: &str) -> *const Tensor {
    let mut all = tensors(list);
    let Some(first) = all.next() else {
        raise_with(ctx, |text| {
            text.push_str(what);
            text.push_str(" expects a non-empty TensorList");
        });
        return null_mut();
    };
    if all.any(|t| (*t).dtype != (*first).dtype || (*t).rank != (*first).rank) {
        raise_text(
            ctx,
            "tensors of a list that is known only at run time must share element type and number of dimensions to be joined",
        );
        return null_mut();
    }
    first
}

exports! {
    /// `torch.stack(list, dim)` of contiguous tensors of one element type and shape; `dim` counts in the result and may be negative.
    fn tensor_stack(ctx: *mut Context, list: *const List, dim: i64) -> *mut Tensor {
        let first = first_of(ctx, list, "stack");
        if first.is_null() {
            return null_mut();
        }
        let rank = (*first).rank as i64 + 1;
        let axis = if dim < 0 { dim + rank } else { dim };
        if axis < 0 || axis >= rank || rank as usize > MAX_RANK {
            raise_text(ctx, "Dimension out of range");
            return null_mut();
        }
        if tensors(list).any(|t| sizes_of(t) != sizes_of(first)) {
            raise_text(ctx, "stack expects each tensor to be equal size");
            return null_mut();
        }
        let axis = axis as usize;
        let mut sizes = [0i64; MAX_RANK];
        sizes[..axis].copy_from_slice(&sizes_of(first)[..axis]);
        sizes[axis] = (*list).len as i64;
        sizes[axis + 1..rank as usize].copy_from_slice(&sizes_of(first)[axis..]);
        let out = new_tensor(ctx, (*first).dtype, &sizes[..rank as usize]);
        if !out.is_null() {
            interleave(out, list, axis);
        }
        out
    }

    /// `torch.cat(list, dim)` of contiguous tensors of one element type and rank, equal in all sizes but one.
    fn tensor_cat(ctx: *mut Context, list: *const List, dim: i64) -> *mut Tensor {
        let first = first_of(ctx, list, "torch.cat()");
        if first.is_null() {
            return null_mut();
        }
        let rank = (*first).rank as i64;
        let axis = if dim < 0 { dim + rank } else { dim };
        if axis < 0 || axis >= rank {
            raise_text(ctx, "zero-dimensional tensor cannot be concatenated, or dimension out of range");
            return null_mut();
        }
        let axis = axis as usize;
        let mut sizes = [0i64; MAX_RANK];
        sizes[..rank as usize].copy_from_slice(sizes_of(first));
        sizes[axis] = 0;
        for tensor in tensors(list) {
            let own = sizes_of(tensor);
            if (0..rank as usize).any(|i| i != axis && own[i] != sizes[i]) {
                raise_text(ctx, "Sizes of tensors must match except in the dimension of the concatenation");
                return null_mut();
            }
            sizes[axis] += own[axis];
        }
        let out = new_tensor(ctx, (*first).dtype, &sizes[..rank as usize]);
        if !out.is_null() {
            interleave(out, list, axis);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::list_from;
    use crate::memory::release_header;
    use crate::test_context::TestContext;

    #[test]
    fn stack_and_cat_along_both_axes() {
        let t = TestContext::new();
        unsafe {
            let (a, b) = (t.tensor_f32(&[2, 1], &[1., 2.]), t.tensor_f32(&[2, 1], &[3., 4.]));
            let items = [Value { tag: tag::TENSOR, bits: a as u64 }, Value { tag: tag::TENSOR, bits: b as u64 }];
            let list = list_from(t.ctx(), items.as_ptr(), 2, tag::TENSOR);
            for (joined, expected, sizes) in [
                (tensor_stack(t.ctx(), list, 0), [1., 2., 3., 4.], vec![2, 2, 1]),
                (tensor_stack(t.ctx(), list, -1), [1., 3., 2., 4.], vec![2, 1, 2]),
                (tensor_cat(t.ctx(), list, 0), [1., 2., 3., 4.], vec![4, 1]),
                (tensor_cat(t.ctx(), list, 1), [1., 3., 2., 4.], vec![2, 2]),
            ] {
                assert_eq!(t.floats(joined), expected);
                assert_eq!(sizes_of(joined), sizes);
                release_header(t.ctx(), joined.cast());
            }
            for object in [list.cast(), a.cast(), b.cast()] {
                release_header(t.ctx(), object);
            }
            assert_eq!((*t.ctx()).live_bytes, 0);
        }
    }
}
