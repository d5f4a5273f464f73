//! QR factorisation by Householder reflections, with LAPACK's signs.

use crate::abi::Context;
use crate::algorithms::keys::code;
use crate::export::exports;
use crate::linalg::matrix::{Matrix, size};
use crate::memory::Scratch;

/// Makes the reflection that clears column k below the diagonal: its vector (1, v...) is left below the diagonal, the
/// new diagonal element in place. Returns tau; 0 when the column is clear already.
fn reflect_column(a: &mut Matrix, k: usize) -> f64 {
    let mut scale = 0f64;
    for i in k + 1..a.rows {
        scale = scale.max(a[(i, k)].abs());
    }
    if scale == 0.0 {
        return 0.0;
    }
    let alpha = a[(k, k)];
    scale = scale.max(alpha.abs());
    let mut squares = (alpha / scale) * (alpha / scale);
    for i in k + 1..a.rows {
        let x = a[(i, k)] / scale;
        squares += x * x;
    }
    let beta = -libm::copysign(scale * libm::sqrt(squares), alpha);
    for i in k + 1..a.rows {
        a[(i, k)] /= alpha - beta;
    }
    a[(k, k)] = beta;
    (beta - alpha) / beta
}

/// Applies reflection k (its vector in column k of `vectors`) to the columns of `target` from `from` on.
fn apply_reflection(vectors: &Matrix, k: usize, tau: f64, target: &mut Matrix, from: usize) {
    for j in from..target.columns {
        let mut dot = target[(k, j)];
        for i in k + 1..target.rows {
            dot += vectors[(i, k)] * target[(i, j)];
        }
        dot *= tau;
        target[(k, j)] -= dot;
        for i in k + 1..target.rows {
            target[(i, j)] -= dot * vectors[(i, k)];
        }
    }
}

/// Factorises in place: R on and above the diagonal, the reflections below, their factors in `taus`.
fn factorise(a: &mut Matrix, taus: &mut [f64]) {
    for (k, slot) in taus.iter_mut().enumerate() {
        let tau = reflect_column(a, k);
        *slot = tau;
        for j in k + 1..a.columns {
            let mut dot = a[(k, j)];
            for i in k + 1..a.rows {
                dot += a[(i, k)] * a[(i, j)];
            }
            dot *= tau;
            a[(k, j)] -= dot;
            for i in k + 1..a.rows {
                let change = dot * a[(i, k)];
                a[(i, j)] -= change;
            }
        }
    }
}

exports! {
    /// QR of `batch` m x n matrices: q is m x k and r k x n with k = min(m, n), or k = m with `complete`; q may be null.
    fn qr(ctx: *mut Context, dtype: i64, a: *const u8, batch: i64, m: i64, n: i64, q: *mut u8, r: *mut u8, complete: i64) {
        let (m, n) = (size(m), size(n));
        let k = if complete != 0 { m } else { m.min(n) };
        let steps = m.min(n);
        let (Some(mut matrix), Some(mut taus)) = (Matrix::zeros(ctx, m, n), Scratch::filled(ctx, steps as i64, 0f64)) else { return };
        for b in 0..batch {
            let (Some(mut left), Some(mut right)) = (Matrix::zeros(ctx, m, k), Matrix::zeros(ctx, k, n)) else { return };
            matrix.load(code(dtype), a, b);
            factorise(&mut matrix, taus.as_mut_slice());
            for i in 0..k.min(m) {
                for j in i..n {
                    right[(i, j)] = matrix[(i, j)];
                }
            }
            right.store(code(dtype), r, b);
            if !q.is_null() {
                for i in 0..k {
                    left[(i, i)] = 1.0;
                }
                for step in (0..steps).rev() {
                    apply_reflection(&matrix, step, taus.as_mut_slice()[step], &mut left, 0);
                }
                left.store(code(dtype), q, b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::matrix::testing::*;
    use crate::test_context::TestContext;

    #[test]
    fn factors_multiply_back_and_are_orthogonal() {
        let t = TestContext::new();
        for (m, n, complete) in [(5usize, 3usize, 0i64), (3, 5, 0), (4, 4, 0), (5, 3, 1), (1, 1, 0), (3, 5, 1)] {
            let k = if complete == 1 { m } else { m.min(n) };
            let a = random(m * n, (m * 10 + n) as u64);
            let (mut q, mut r) = (vec![0.0; m * k], vec![0.0; k * n]);
            unsafe {
                qr(t.ctx(), 7, a.as_ptr().cast(), 1, m as i64, n as i64, q.as_mut_ptr().cast(), r.as_mut_ptr().cast(), complete);
            }
            assert_close(&product(&q, &r, m, k, n), &a, 1e-13);
            assert_close(&product(&transpose(&q, m, k), &q, k, m, k), &identity(k), 1e-13);
            assert!((0..k).all(|i| (0..i.min(n)).all(|j| r[i * n + j] == 0.0)));
        }
    }

    /// `torch.linalg.qr([[1, 2], [3, 4]])`, recorded from PyTorch 2.15.
    #[test]
    fn signs_are_those_of_lapack() {
        let t = TestContext::new();
        let a = [1.0f64, 2.0, 3.0, 4.0];
        let (mut q, mut r) = ([0.0; 4], [0.0; 4]);
        unsafe { qr(t.ctx(), 7, a.as_ptr().cast(), 1, 2, 2, q.as_mut_ptr().cast(), r.as_mut_ptr().cast(), 0) };
        assert_close(
            &q,
            &[-0.316_227_766_016_837_9, -0.948_683_298_050_513_8, -0.948_683_298_050_513_8, 0.316_227_766_016_837_94],
            1e-15,
        );
        assert_close(&r, &[-3.162_277_660_168_379_5, -4.427_188_724_235_731, 0.0, -0.632_455_532_033_675_7], 1e-14);
    }
}
