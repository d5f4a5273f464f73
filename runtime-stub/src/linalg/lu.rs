//! LU factorisation with partial pivoting, and what follows from it: solving, inverses, determinants.

use crate::abi::Context;
use crate::algorithms::keys::code;
use crate::export::exports;
use crate::linalg::matrix::{Matrix, raise, size, store_info};
use crate::memory::Scratch;
use crate::tensor::element::store_f64;

const SINGULAR: &str = "The solver failed because the input matrix is singular.";

/// Factorises in place: unit lower and upper triangle. `pivots[k]` is the row exchanged with row k. Returns the number
/// of the first pivot that is zero (from 1), or 0.
pub(crate) fn factorise(a: &mut Matrix, pivots: &mut [usize]) -> usize {
    let mut info = 0;
    for k in 0..a.rows.min(a.columns) {
        let mut best = k;
        for i in k + 1..a.rows {
            if a[(i, k)].abs() > a[(best, k)].abs() {
                best = i;
            }
        }
        pivots[k] = best;
        if a[(best, k)] == 0.0 {
            info = if info == 0 { k + 1 } else { info };
            continue;
        }
        a.swap_rows(k, best);
        for i in k + 1..a.rows {
            let factor = a[(i, k)] / a[(k, k)];
            a[(i, k)] = factor;
            a.add_row(i, -factor, k, k + 1);
        }
    }
    info
}

/// Solves in place with the factors of a square matrix.
fn substitute(lu: &Matrix, pivots: &[usize], b: &mut Matrix) {
    for (k, &pivot) in pivots.iter().enumerate() {
        b.swap_rows(k, pivot);
    }
    for i in 0..lu.rows {
        for k in 0..i {
            b.add_row(i, -lu[(i, k)], k, 0);
        }
    }
    for i in (0..lu.rows).rev() {
        for k in i + 1..lu.rows {
            b.add_row(i, -lu[(i, k)], k, 0);
        }
        b.row_mut(i).iter_mut().for_each(|x| *x /= lu[(i, i)]);
    }
}

/// Sign of the permutation that the exchanges make.
fn permutation_sign(pivots: &[usize]) -> f64 {
    let exchanges = pivots.iter().enumerate().filter(|&(k, &pivot)| k != pivot).count();
    if exchanges % 2 == 0 { 1.0 } else { -1.0 }
}

/// A square matrix and its pivots.
unsafe fn square(ctx: *mut Context, n: usize) -> Option<(Matrix, Scratch<usize>)> {
    Some((Matrix::zeros(ctx, n, n)?, Scratch::filled(ctx, n as i64, 0usize)?))
}

exports! {
    /// LU factors of `batch` m x n matrices: `lu` holds both triangles, `pivots` (min(m, n) each, from 1) the exchanged
    /// rows, `info` (or null) the number of the first zero pivot, or 0.
    fn lu_factor(ctx: *mut Context, dtype: i64, a: *const u8, batch: i64, m: i64, n: i64, lu: *mut u8, pivots: *mut i32, info: *mut i32) {
        let steps = size(m.min(n));
        let (Some(mut matrix), Some(mut rows)) = (Matrix::zeros(ctx, size(m), size(n)), Scratch::filled(ctx, steps as i64, 0usize)) else {
            return;
        };
        for b in 0..batch {
            matrix.load(code(dtype), a, b);
            store_info(info, b, factorise(&mut matrix, rows.as_mut_slice()));
            matrix.store(code(dtype), lu, b);
            for (k, pivot) in rows.as_mut_slice().iter().enumerate() {
                *pivots.add(b as usize * steps + k) = *pivot as i32 + 1;
            }
        }
    }

    /// Solves with the factors of `lu_factor`: `x` and `b` are n x nrhs.
    fn lu_solve(ctx: *mut Context, dtype: i64, lu: *const u8, pivots: *const i32, b: *const u8, batch: i64, n: i64, nrhs: i64, x: *mut u8) {
        let n = size(n);
        let (Some((mut factors, mut rows)), Some(mut right)) = (square(ctx, n), Matrix::zeros(ctx, n, size(nrhs))) else { return };
        for i in 0..batch {
            factors.load(code(dtype), lu, i);
            right.load(code(dtype), b, i);
            for (k, row) in rows.as_mut_slice().iter_mut().enumerate() {
                *row = (*pivots.add(i as usize * n + k) - 1).clamp(0, n as i32 - 1) as usize;
            }
            substitute(&factors, rows.as_mut_slice(), &mut right);
            right.store(code(dtype), x, i);
        }
    }

    /// `torch.linalg.solve`: x with a x = b, b n x nrhs; raises for a singular matrix.
    fn solve(ctx: *mut Context, dtype: i64, a: *const u8, b: *const u8, batch: i64, n: i64, nrhs: i64, x: *mut u8) {
        let n = size(n);
        let (Some((mut matrix, mut rows)), Some(mut right)) = (square(ctx, n), Matrix::zeros(ctx, n, size(nrhs))) else { return };
        for i in 0..batch {
            matrix.load(code(dtype), a, i);
            right.load(code(dtype), b, i);
            if factorise(&mut matrix, rows.as_mut_slice()) != 0 {
                raise(ctx, "torch.linalg.solve", batch, i, [SINGULAR, ""], 0);
                return;
            }
            substitute(&matrix, rows.as_mut_slice(), &mut right);
            right.store(code(dtype), x, i);
        }
    }

    /// Inverses. With `info` null a singular matrix raises; else it gets the number of the zero pivot and the result is
    /// not defined.
    fn inverse(ctx: *mut Context, dtype: i64, a: *const u8, batch: i64, n: i64, out: *mut u8, info: *mut i32) {
        let n = size(n);
        let Some((mut matrix, mut rows)) = square(ctx, n) else { return };
        for i in 0..batch {
            let Some(mut result) = Matrix::identity(ctx, n) else { return };
            matrix.load(code(dtype), a, i);
            let zero = factorise(&mut matrix, rows.as_mut_slice());
            store_info(info, i, zero);
            if zero != 0 && info.is_null() {
                let text = ["The diagonal element ", " is zero, the inversion could not be completed because the input matrix is singular."];
                raise(ctx, "linalg.inv", batch, i, text, zero as i64);
                return;
            }
            substitute(&matrix, rows.as_mut_slice(), &mut result);
            result.store(code(dtype), out, i);
        }
    }

    /// Determinants.
    fn det(ctx: *mut Context, dtype: i64, a: *const u8, batch: i64, n: i64, out: *mut u8) {
        let Some((mut matrix, mut rows)) = square(ctx, size(n)) else { return };
        for i in 0..batch {
            matrix.load(code(dtype), a, i);
            factorise(&mut matrix, rows.as_mut_slice());
            let diagonal: f64 = (0..size(n)).map(|k| matrix[(k, k)]).product();
            store_f64(code(dtype), out, i, permutation_sign(rows.as_mut_slice()) * diagonal);
        }
    }

    /// Signs and logarithms of the magnitudes of determinants: 0 and minus infinity for a singular matrix.
    fn slogdet(ctx: *mut Context, dtype: i64, a: *const u8, batch: i64, n: i64, sign: *mut u8, logabs: *mut u8) {
        let Some((mut matrix, mut rows)) = square(ctx, size(n)) else { return };
        for i in 0..batch {
            matrix.load(code(dtype), a, i);
            factorise(&mut matrix, rows.as_mut_slice());
            let (mut negative, mut log) = (permutation_sign(rows.as_mut_slice()), 0.0);
            for k in 0..size(n) {
                let x = matrix[(k, k)];
                negative *= if x == 0.0 { 0.0 } else { libm::copysign(1.0, x) };
                log += libm::log(x.abs());
            }
            store_f64(code(dtype), sign, i, negative);
            store_f64(code(dtype), logabs, i, log);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::matrix::testing::*;
    use crate::test_context::TestContext;

    #[test]
    fn solutions_solve_and_inverses_invert() {
        let t = TestContext::new();
        for n in [1usize, 2, 5, 12] {
            let a = random(2 * n * n, n as u64);
            let b = random(2 * n * 3, 7 + n as u64);
            let (mut x, mut inverted) = (vec![0.0; 2 * n * 3], vec![0.0; 2 * n * n]);
            let (mut lu, mut pivots, mut again) = (vec![0.0; 2 * n * n], vec![0i32; 2 * n], vec![0.0; 2 * n * 3]);
            let (size, code) = (n as i64, 7);
            unsafe {
                solve(t.ctx(), code, a.as_ptr().cast(), b.as_ptr().cast(), 2, size, 3, x.as_mut_ptr().cast());
                inverse(t.ctx(), code, a.as_ptr().cast(), 2, size, inverted.as_mut_ptr().cast(), core::ptr::null_mut());
                lu_factor(
                    t.ctx(),
                    code,
                    a.as_ptr().cast(),
                    2,
                    size,
                    size,
                    lu.as_mut_ptr().cast(),
                    pivots.as_mut_ptr(),
                    core::ptr::null_mut(),
                );
                lu_solve(
                    t.ctx(),
                    code,
                    lu.as_ptr().cast(),
                    pivots.as_ptr(),
                    b.as_ptr().cast(),
                    2,
                    size,
                    3,
                    again.as_mut_ptr().cast(),
                );
            }
            for i in 0..2 {
                let (matrix, right) = (&a[i * n * n..(i + 1) * n * n], &b[i * n * 3..(i + 1) * n * 3]);
                assert_close(&product(matrix, &x[i * n * 3..(i + 1) * n * 3], n, n, 3), right, 1e-10);
                assert_close(&product(matrix, &inverted[i * n * n..(i + 1) * n * n], n, n, n), &identity(n), 1e-10);
            }
            assert_close(&x, &again, 1e-12);
        }
    }

    #[test]
    fn determinants_and_singular_matrices() {
        let t = TestContext::new();
        let a = [0.0f32, 2.0, 3.0, 4.0, 1.0, 2.0, 2.0, 4.0];
        let (mut values, mut sign, mut log) = ([0f32; 2], [0f32; 2], [0f32; 2]);
        unsafe {
            det(t.ctx(), 6, a.as_ptr().cast(), 2, 2, values.as_mut_ptr().cast());
            slogdet(t.ctx(), 6, a.as_ptr().cast(), 2, 2, sign.as_mut_ptr().cast(), log.as_mut_ptr().cast());
            assert_eq!((values, sign, log[1]), ([-6.0, 0.0], [-1.0, 0.0], f32::NEG_INFINITY));
            assert!((log[0] - 6f32.ln()).abs() < 1e-6);
            let mut out = [0f32; 8];
            inverse(t.ctx(), 6, a.as_ptr().cast(), 2, 2, out.as_mut_ptr().cast(), core::ptr::null_mut());
            let expected = "linalg.inv: (Batch element 1): The diagonal element 2 is zero, the inversion could not be completed because the input matrix is singular.";
            assert_eq!(t.take_error().1, expected);
            solve(t.ctx(), 6, a[4..].as_ptr().cast(), a.as_ptr().cast(), 1, 2, 1, out.as_mut_ptr().cast());
            assert_eq!(t.take_error().1, "torch.linalg.solve: The solver failed because the input matrix is singular.");
            let mut info = [9i32; 2];
            let (mut lu, mut pivots) = ([0f32; 8], [0i32; 4]);
            lu_factor(t.ctx(), 6, a.as_ptr().cast(), 2, 2, 2, lu.as_mut_ptr().cast(), pivots.as_mut_ptr(), info.as_mut_ptr());
            assert_eq!((info, pivots, lu[..4].to_vec()), ([0, 2], [2, 2, 2, 2], vec![3.0, 4.0, 0.0, 2.0]));
        }
    }
}
