//! Cholesky factors and triangular systems.

use crate::abi::Context;
use crate::algorithms::keys::code;
use crate::export::exports;
use crate::linalg::matrix::{Matrix, raise, size, store_info};

/// Factorises the lower triangle in place and clears the upper one; returns the order of the first leading minor that
/// is not positive, or 0.
fn factorise(a: &mut Matrix) -> usize {
    for j in 0..a.rows {
        let mut diagonal = a[(j, j)];
        for k in 0..j {
            diagonal -= a[(j, k)] * a[(j, k)];
        }
        // NaN is not positive either.
        if diagonal.is_nan() || diagonal <= 0.0 {
            return j + 1;
        }
        let root = libm::sqrt(diagonal);
        a[(j, j)] = root;
        for i in j + 1..a.rows {
            let mut sum = a[(i, j)];
            for k in 0..j {
                sum -= a[(i, k)] * a[(j, k)];
            }
            a[(i, j)] = sum / root;
            a[(j, i)] = 0.0;
        }
    }
    0
}

/// Solves a triangular system in place, row by row from the end that is known.
fn solve_triangle(a: &Matrix, b: &mut Matrix, upper: bool, transpose: bool, unit: bool) {
    let n = a.rows;
    let element = |i: usize, j: usize| if transpose { a[(j, i)] } else { a[(i, j)] };
    let backward = upper != transpose;
    for step in 0..n {
        let i = if backward { n - 1 - step } else { step };
        let known = if backward { i + 1..n } else { 0..i };
        for k in known {
            b.add_row(i, -element(i, k), k, 0);
        }
        if !unit {
            b.row_mut(i).iter_mut().for_each(|x| *x /= element(i, i));
        }
    }
}

exports! {
    /// Cholesky factors of symmetric matrices, lower, or upper ones (read from the upper triangle) with `upper`. With
    /// `info` null a matrix that is not positive-definite raises; else it gets the order of the bad minor.
    fn cholesky(ctx: *mut Context, dtype: i64, a: *const u8, batch: i64, n: i64, out: *mut u8, upper: i64, info: *mut i32) {
        let n = size(n);
        let (Some(mut given), Some(mut factor)) = (Matrix::zeros(ctx, n, n), Matrix::zeros(ctx, n, n)) else { return };
        for i in 0..batch {
            given.load(code(dtype), a, i);
            if upper != 0 {
                factor.transpose_from(&given);
            } else {
                factor.copy_from(&mut given);
            }
            let minor = factorise(&mut factor);
            store_info(info, i, minor);
            if minor != 0 && info.is_null() {
                let text = [
                    "The factorization could not be completed because the input is not positive-definite (the leading minor of order ",
                    " is not positive-definite).",
                ];
                raise(ctx, "linalg.cholesky", batch, i, text, minor as i64);
                return;
            }
            if upper != 0 {
                given.transpose_from(&factor);
                given.store(code(dtype), out, i);
            } else {
                factor.store(code(dtype), out, i);
            }
        }
    }

    /// Solves a x = b with the lower or `upper` triangle of a (n x n), b n x nrhs; with `transpose` its transpose, with
    /// `unit` ones on the diagonal.
    fn triangular_solve(ctx: *mut Context, dtype: i64, a: *const u8, b: *const u8, batch: i64, n: i64, nrhs: i64, x: *mut u8, upper: i64, transpose: i64, unit: i64) {
        let n = size(n);
        let (Some(mut matrix), Some(mut right)) = (Matrix::zeros(ctx, n, n), Matrix::zeros(ctx, n, size(nrhs))) else { return };
        for i in 0..batch {
            matrix.load(code(dtype), a, i);
            right.load(code(dtype), b, i);
            solve_triangle(&matrix, &mut right, upper != 0, transpose != 0, unit != 0);
            right.store(code(dtype), x, i);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::matrix::testing::*;
    use crate::test_context::TestContext;

    #[test]
    fn factors_multiply_back() {
        let t = TestContext::new();
        for n in [1usize, 3, 8] {
            let g = random(n * n, 3 + n as u64);
            let mut a = product(&g, &transpose(&g, n, n), n, n, n);
            (0..n).for_each(|i| a[i * n + i] += 0.1);
            let (mut lower, mut upper) = (vec![0.0; n * n], vec![0.0; n * n]);
            unsafe {
                cholesky(t.ctx(), 7, a.as_ptr().cast(), 1, n as i64, lower.as_mut_ptr().cast(), 0, core::ptr::null_mut());
                cholesky(t.ctx(), 7, a.as_ptr().cast(), 1, n as i64, upper.as_mut_ptr().cast(), 1, core::ptr::null_mut());
            }
            assert_close(&product(&lower, &transpose(&lower, n, n), n, n, n), &a, 1e-12);
            assert_close(&transpose(&lower, n, n), &upper, 1e-15);
        }
    }

    #[test]
    fn bad_minors_are_named() {
        let t = TestContext::new();
        let a = [1.0f64, 2.0, 2.0, 1.0];
        let (mut out, mut info) = ([0f64; 4], 7i32);
        unsafe {
            cholesky(t.ctx(), 7, a.as_ptr().cast(), 1, 2, out.as_mut_ptr().cast(), 0, &mut info);
            assert_eq!(info, 2);
            cholesky(t.ctx(), 7, a.as_ptr().cast(), 1, 2, out.as_mut_ptr().cast(), 0, core::ptr::null_mut());
        }
        let expected = "linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the leading minor of order 2 is not positive-definite).";
        assert_eq!(t.take_error().1, expected);
    }

    #[test]
    fn triangular_systems() {
        let t = TestContext::new();
        let n = 6;
        let mut full = random(n * n, 5);
        (0..n).for_each(|i| full[i * n + i] += 3.0);
        let b = random(n * 2, 9);
        for case in 0..8 {
            let (upper, transposed, unit) = (case & 1, case >> 1 & 1, case >> 2 & 1);
            let mut x = vec![0.0; n * 2];
            unsafe {
                triangular_solve(
                    t.ctx(),
                    7,
                    full.as_ptr().cast(),
                    b.as_ptr().cast(),
                    1,
                    n as i64,
                    2,
                    x.as_mut_ptr().cast(),
                    upper,
                    transposed,
                    unit,
                );
            }
            let triangle: Vec<f64> = (0..n * n)
                .map(|at| {
                    let (i, j) = (at / n, at % n);
                    let inside = if upper == 1 { j > i } else { j < i };
                    if i == j {
                        if unit == 1 { 1.0 } else { full[at] }
                    } else if inside {
                        full[at]
                    } else {
                        0.0
                    }
                })
                .collect();
            let matrix = if transposed == 1 { transpose(&triangle, n, n) } else { triangle };
            assert_close(&product(&matrix, &x, n, n, 2), &b, 1e-9);
        }
    }
}
