//! Eigenvalues and eigenvectors of symmetric matrices, by cyclic Jacobi rotations.

use crate::abi::Context;
use crate::algorithms::keys::code;
use crate::export::exports;
use crate::linalg::matrix::{Matrix, size};
use crate::memory::Scratch;
use crate::tensor::element::store_f64;

/// Sweeps after which a matrix that does not converge (one with NaN) is left as it is.
const MAX_SWEEPS: usize = 60;

/// Cosine and sine of the rotation that clears an off-diagonal element.
pub(crate) fn rotation(diagonal_p: f64, diagonal_q: f64, off: f64) -> (f64, f64) {
    let theta = (diagonal_q - diagonal_p) / (2.0 * off);
    let tangent = libm::copysign(1.0, theta) / (theta.abs() + libm::hypot(theta, 1.0));
    let cosine = 1.0 / libm::hypot(tangent, 1.0);
    (cosine, tangent * cosine)
}

/// Applies a rotation to two columns.
pub(crate) fn rotate_columns(a: &mut Matrix, p: usize, q: usize, cosine: f64, sine: f64) {
    for i in 0..a.rows {
        let (x, y) = (a[(i, p)], a[(i, q)]);
        a[(i, p)] = cosine * x - sine * y;
        a[(i, q)] = sine * x + cosine * y;
    }
}

fn rotate_rows(a: &mut Matrix, p: usize, q: usize, cosine: f64, sine: f64) {
    for j in 0..a.columns {
        let (x, y) = (a[(p, j)], a[(q, j)]);
        a[(p, j)] = cosine * x - sine * y;
        a[(q, j)] = sine * x + cosine * y;
    }
}

/// Diagonalises in place; the columns of `vectors` become the eigenvectors.
fn diagonalise(a: &mut Matrix, vectors: &mut Matrix) {
    for _ in 0..MAX_SWEEPS {
        let mut rotated = false;
        for p in 0..a.rows {
            for q in p + 1..a.rows {
                let off = a[(p, q)];
                if off == 0.0 || off.abs() < 1e-18 * (a[(p, p)].abs() + a[(q, q)].abs()) {
                    continue;
                }
                let (cosine, sine) = rotation(a[(p, p)], a[(q, q)], off);
                rotate_columns(a, p, q, cosine, sine);
                rotate_rows(a, p, q, cosine, sine);
                a[(p, q)] = 0.0;
                a[(q, p)] = 0.0;
                rotate_columns(vectors, p, q, cosine, sine);
                rotated = true;
            }
        }
        if !rotated {
            return;
        }
    }
}

/// Places in ascending (or descending) order of a key.
pub(crate) fn order_by(places: &mut [usize], key: impl Fn(usize) -> f64, descending: bool) {
    for (place, slot) in places.iter_mut().enumerate() {
        *slot = place;
    }
    for i in 1..places.len() {
        let mut at = i;
        while at > 0 {
            let (left, right) = (key(places[at - 1]), key(places[at]));
            if if descending { left < right } else { left > right } {
                places.swap(at - 1, at);
                at -= 1;
            } else {
                break;
            }
        }
    }
}

exports! {
    /// Eigenvalues in ascending order and (unless null) eigenvectors as columns, of symmetric n x n matrices read from the
    /// lower triangle, or from the upper one.
    fn eigh(ctx: *mut Context, dtype: i64, a: *const u8, batch: i64, n: i64, values: *mut u8, vectors: *mut u8, upper: i64) {
        let n = size(n);
        let (Some(mut matrix), Some(mut sorted)) = (Matrix::zeros(ctx, n, n), Matrix::zeros(ctx, n, n)) else { return };
        let Some(mut places) = Scratch::filled(ctx, n as i64, 0usize) else { return };
        for b in 0..batch {
            let Some(mut columns) = Matrix::identity(ctx, n) else { return };
            matrix.load(code(dtype), a, b);
            for i in 0..n {
                for j in 0..i {
                    let kept = if upper != 0 { matrix[(j, i)] } else { matrix[(i, j)] };
                    matrix[(i, j)] = kept;
                    matrix[(j, i)] = kept;
                }
            }
            diagonalise(&mut matrix, &mut columns);
            let places = places.as_mut_slice();
            order_by(places, |k| matrix[(k, k)], false);
            for (k, &place) in places.iter().enumerate() {
                store_f64(code(dtype), values, b * n as i64 + k as i64, matrix[(place, place)]);
                for i in 0..n {
                    sorted[(i, k)] = columns[(i, place)];
                }
            }
            sorted.store(code(dtype), vectors, b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::matrix::testing::*;
    use crate::test_context::TestContext;

    #[test]
    fn vectors_diagonalise() {
        let t = TestContext::new();
        for n in [1usize, 2, 4, 10] {
            let g = random(n * n, 17 + n as u64);
            let a: Vec<f64> = (0..n * n).map(|at| g[at] + g[at % n * n + at / n]).collect();
            let (mut values, mut vectors) = (vec![0.0; n], vec![0.0; n * n]);
            unsafe {
                eigh(t.ctx(), 7, a.as_ptr().cast(), 1, n as i64, values.as_mut_ptr().cast(), vectors.as_mut_ptr().cast(), 0);
            }
            assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
            let scaled: Vec<f64> = (0..n * n).map(|at| vectors[at] * values[at % n]).collect();
            assert_close(&product(&a, &vectors, n, n, n), &scaled, 1e-12);
            assert_close(&product(&transpose(&vectors, n, n), &vectors, n, n, n), &identity(n), 1e-12);
        }
    }

    #[test]
    fn nan_ends() {
        let t = TestContext::new();
        let a = [1.0, f64::NAN, f64::NAN, 2.0];
        let mut values = [0f64; 2];
        unsafe { eigh(t.ctx(), 7, a.as_ptr().cast(), 1, 2, values.as_mut_ptr().cast(), core::ptr::null_mut(), 0) };
        assert!(values.iter().any(|value| value.is_nan()));
    }
}
