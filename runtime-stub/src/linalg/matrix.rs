//! The scratch matrix of all routines here, and the errors they share.

use core::ops::{Index, IndexMut};

use crate::abi::Context;
use crate::error::raise_with;
use crate::memory::Scratch;
use crate::tensor::element::{load_f64, store_f64};

/// A row-major float64 matrix in scratch memory.
pub(crate) struct Matrix {
    items: Scratch<f64>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Matrix {
    /// A matrix of zeros; `None` with status 2 when there is no memory.
    pub(crate) unsafe fn zeros(ctx: *mut Context, rows: usize, columns: usize) -> Option<Matrix> {
        let len = (rows as i64).saturating_mul(columns as i64);
        Some(Matrix { items: Scratch::filled(ctx, len, 0.0)?, rows, columns })
    }

    /// The identity.
    pub(crate) unsafe fn identity(ctx: *mut Context, n: usize) -> Option<Matrix> {
        let mut matrix = Matrix::zeros(ctx, n, n)?;
        for i in 0..n {
            matrix[(i, i)] = 1.0;
        }
        Some(matrix)
    }

    /// Reads matrix number `batch` of a tensor.
    pub(crate) unsafe fn load(&mut self, code: u32, data: *const u8, batch: i64) {
        let len = (self.rows * self.columns) as i64;
        for (i, item) in (batch * len..).zip(self.items.as_mut_slice()) {
            *item = load_f64(code, data, i);
        }
    }

    /// Writes matrix number `batch` of a tensor; nothing when the tensor is null.
    pub(crate) unsafe fn store(&mut self, code: u32, data: *mut u8, batch: i64) {
        if data.is_null() {
            return;
        }
        let len = (self.rows * self.columns) as i64;
        for (i, item) in (batch * len..).zip(self.items.as_mut_slice()) {
            store_f64(code, data, i, *item);
        }
    }

    /// Copies another matrix of the same shape.
    pub(crate) fn copy_from(&mut self, other: &mut Matrix) {
        self.items.as_mut_slice().copy_from_slice(other.items.as_mut_slice());
    }

    /// Copies the transpose of another matrix.
    pub(crate) fn transpose_from(&mut self, other: &Matrix) {
        for i in 0..self.rows {
            for j in 0..self.columns {
                self[(i, j)] = other[(j, i)];
            }
        }
    }

    /// A row.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f64] {
        let columns = self.columns;
        &mut self.items.as_mut_slice()[row * columns..(row + 1) * columns]
    }

    /// Exchanges two rows.
    pub(crate) fn swap_rows(&mut self, a: usize, b: usize) {
        let columns = self.columns;
        for j in 0..columns {
            self.items.as_mut_slice().swap(a * columns + j, b * columns + j);
        }
    }

    /// `row a += factor * row b` from a column on.
    pub(crate) fn add_row(&mut self, a: usize, factor: f64, b: usize, from: usize) {
        for j in from..self.columns {
            self[(a, j)] += factor * self[(b, j)];
        }
    }
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;

    fn index(&self, (row, column): (usize, usize)) -> &f64 {
        debug_assert!(row < self.rows && column < self.columns);
        // SAFETY: the callers' loops stay inside the shape, as debug builds assert.
        unsafe { &*self.items.as_mut_ptr().add(row * self.columns + column) }
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (row, column): (usize, usize)) -> &mut f64 {
        debug_assert!(row < self.rows && column < self.columns);
        // SAFETY: the callers' loops stay inside the shape, as debug builds assert.
        unsafe { &mut *self.items.as_mut_ptr().add(row * self.columns + column) }
    }
}

/// Raises `name: (Batch element b): text`, the batch element only when there are several; `text` may end in a number.
pub(crate) unsafe fn raise(ctx: *mut Context, name: &str, batches: i64, batch: i64, text: [&str; 2], number: i64) {
    raise_with(ctx, |message| {
        message.push_str(name);
        message.push_str(": ");
        if batches > 1 {
            message.push_str("(Batch element ");
            message.push_int(batch);
            message.push_str("): ");
        }
        message.push_str(text[0]);
        if number > 0 {
            message.push_int(number);
        }
        message.push_str(text[1]);
    });
}

/// Stores an int32 of an optional per-batch array.
pub(crate) unsafe fn store_info(info: *mut i32, batch: i64, value: usize) {
    if !info.is_null() {
        *info.offset(batch as isize) = value as i32;
    }
}

/// A size argument.
pub(crate) fn size(n: i64) -> usize {
    n.max(0) as usize
}

#[cfg(test)]
pub(crate) mod testing {
    //! Random matrices and products for the tests of the routines.

    /// Row-major random elements in (-1, 1).
    pub(crate) fn random(len: usize, seed: u64) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    /// The product of an m x k and a k x n matrix.
    pub(crate) fn product(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
        let at = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
        (0..m * n).map(|i| at(i / n, i % n)).collect()
    }

    /// The transpose of an m x n matrix.
    pub(crate) fn transpose(a: &[f64], m: usize, n: usize) -> Vec<f64> {
        (0..m * n).map(|i| a[(i % m) * n + i / m]).collect()
    }

    pub(crate) fn assert_close(a: &[f64], b: &[f64], tolerance: f64) {
        assert_eq!(a.len(), b.len());
        for (x, y) in a.iter().zip(b) {
            assert!((x - y).abs() <= tolerance, "{x} and {y}");
        }
    }

    /// The identity.
    pub(crate) fn identity(n: usize) -> Vec<f64> {
        (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect()
    }
}
