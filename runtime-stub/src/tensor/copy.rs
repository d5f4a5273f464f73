//! Copies between strided tensors, with broadcasting and conversion.

use crate::abi::*;
use crate::error::raise_with;
use crate::tensor::element::{convert, element_bytes};
use crate::tensor::{MAX_RANK, is_contiguous, numel_of, push_sizes, sizes_of, strides_of};

/// Steps through the indices of a shape in row-major order, with the offsets of two strided operands.
pub(crate) struct Walk<'a> {
    sizes: &'a [i64],
    strides: [&'a [i64]; 2],
    index: [i64; MAX_RANK],
    /// Offsets, in elements, of the current index.
    pub(crate) offsets: [i64; 2],
}

impl<'a> Walk<'a> {
    /// A walk over `sizes`, of at most [`MAX_RANK`] dimensions.
    pub(crate) fn new(sizes: &'a [i64], first: &'a [i64], second: &'a [i64]) -> Walk<'a> {
        Walk { sizes, strides: [first, second], index: [0; MAX_RANK], offsets: [0; 2] }
    }

    /// Goes to the next index; after the last comes the first.
    pub(crate) fn step(&mut self) {
        for d in (0..self.sizes.len()).rev() {
            self.index[d] += 1;
            for (offset, strides) in self.offsets.iter_mut().zip(self.strides) {
                *offset += strides[d];
            }
            if self.index[d] < self.sizes[d] {
                return;
            }
            for (offset, strides) in self.offsets.iter_mut().zip(self.strides) {
                *offset -= strides[d] * self.index[d];
            }
            self.index[d] = 0;
        }
    }
}

/// Copies `source` to `target`, which have the same sizes.
pub(crate) unsafe fn copy_strided(target: *mut Tensor, source: *const Tensor) {
    let (to_strides, from_strides) = (strides_of(target), strides_of(source));
    let sizes = sizes_of(target);
    let plain = (*target).dtype == (*source).dtype && is_contiguous(sizes, to_strides) && is_contiguous(sizes, from_strides);
    if plain {
        let bytes = numel_of(target) as usize * element_bytes((*target).dtype);
        core::ptr::copy((*source).data, (*target).data, bytes);
        return;
    }
    copy_walk(target, source, from_strides);
}

unsafe fn copy_walk(target: *mut Tensor, source: *const Tensor, from_strides: &[i64]) {
    let mut walk = Walk::new(sizes_of(target), strides_of(target), from_strides);
    for _ in 0..numel_of(target) {
        let [to, from] = walk.offsets;
        convert((*source).dtype, (*source).data, from, (*target).dtype, (*target).data, to);
        walk.step();
    }
}

/// Copies `source`, broadcast to the sizes of `target`; raises when that cannot be done.
pub(crate) unsafe fn copy_broadcast(ctx: *mut Context, target: *mut Tensor, source: *const Tensor) {
    let (sizes, from) = (sizes_of(target), sizes_of(source));
    if sizes == from {
        return copy_strided(target, source);
    }
    let mut strides = [0i64; MAX_RANK];
    let extra = from.len().saturating_sub(sizes.len());
    let fits = from[..extra].iter().all(|&size| size == 1) && {
        let offset = sizes.len() - (from.len() - extra);
        from[extra..].iter().enumerate().all(|(d, &size)| {
            if size != 1 {
                strides[offset + d] = strides_of(source)[extra + d];
            }
            size == 1 || size == sizes[offset + d]
        })
    };
    if fits {
        copy_walk(target, source, &strides[..sizes.len()]);
        return;
    }
    raise_with(ctx, |text| {
        text.push_str("output with shape ");
        push_sizes(text, sizes);
        text.push_str(" doesn't match the broadcast shape ");
        push_sizes(text, from);
    });
}
