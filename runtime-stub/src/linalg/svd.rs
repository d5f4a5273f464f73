//! Singular values and vectors by one-sided Jacobi rotations, and least squares through them.

use crate::abi::Context;
use crate::algorithms::keys::code;
use crate::export::exports;
use crate::linalg::eigen::{order_by, rotate_columns, rotation};
use crate::linalg::matrix::{Matrix, size};
use crate::memory::Scratch;
use crate::tensor::element::store_f64;

/// Sweeps after which a matrix that does not converge (one with NaN) is left as it is.
const MAX_SWEEPS: usize = 60;

/// The decomposition of a tall matrix: `left` (m x n, orthonormal columns or zero), `values`, `right` (n x n).
struct Decomposition {
    left: Matrix,
    values: Scratch<f64>,
    right: Matrix,
}

/// Rotates pairs of columns until all are orthogonal.
fn orthogonalise(a: &mut Matrix, right: &mut Matrix) {
    for _ in 0..MAX_SWEEPS {
        let mut rotated = false;
        for p in 0..a.columns {
            for q in p + 1..a.columns {
                let (mut pp, mut qq, mut pq) = (0.0, 0.0, 0.0);
                for i in 0..a.rows {
                    pp += a[(i, p)] * a[(i, p)];
                    qq += a[(i, q)] * a[(i, q)];
                    pq += a[(i, p)] * a[(i, q)];
                }
                if pq == 0.0 || pq.abs() <= 1e-15 * libm::sqrt(pp * qq) {
                    continue;
                }
                let (cosine, sine) = rotation(pp, qq, pq);
                rotate_columns(a, p, q, cosine, sine);
                rotate_columns(right, p, q, cosine, sine);
                rotated = true;
            }
        }
        if !rotated {
            return;
        }
    }
}

fn column_norm(a: &Matrix, column: usize) -> f64 {
    let largest = (0..a.rows).map(|i| a[(i, column)].abs()).fold(0.0, |x: f64, y| if y > x || y.is_nan() { y } else { x });
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let squares: f64 = (0..a.rows).map(|i| a[(i, column)] / largest).map(|x| x * x).sum();
    largest * libm::sqrt(squares)
}

/// Decomposes a matrix with at least as many rows as columns, values in descending order.
unsafe fn decompose_tall(ctx: *mut Context, a: &mut Matrix) -> Option<Decomposition> {
    let n = a.columns;
    let mut rotated = Matrix::identity(ctx, n)?;
    orthogonalise(a, &mut rotated);
    let mut norms = Scratch::filled(ctx, n as i64, 0f64)?;
    let mut places = Scratch::filled(ctx, n as i64, 0usize)?;
    for (k, norm) in norms.as_mut_slice().iter_mut().enumerate() {
        *norm = column_norm(a, k);
    }
    let (norms, places) = (norms.as_mut_slice(), places.as_mut_slice());
    order_by(places, |k| norms[k], true);
    let mut result = Decomposition {
        left: Matrix::zeros(ctx, a.rows, n)?,
        values: Scratch::filled(ctx, n as i64, 0f64)?,
        right: Matrix::zeros(ctx, n, n)?,
    };
    for (k, &place) in places.iter().enumerate() {
        result.values.as_mut_slice()[k] = norms[place];
        let scale = if norms[place] == 0.0 { 0.0 } else { 1.0 / norms[place] };
        for i in 0..a.rows {
            result.left[(i, k)] = a[(i, place)] * scale;
        }
        for i in 0..n {
            result.right[(i, k)] = rotated[(i, place)];
        }
    }
    Some(result)
}

/// Whether a column has no direction: its singular value is zero against the largest.
fn is_null_column(values: &[f64], column: usize) -> bool {
    column >= values.len() || values[column] <= values[0] * 1e-300
}

/// Copies the columns of `given` into the front of `full` and fills the rest (and those of zero singular values) with
/// unit vectors made orthogonal to all before them.
fn complete_basis(given: &Matrix, values: &[f64], full: &mut Matrix) {
    let rows = full.rows;
    for k in 0..full.columns {
        if !is_null_column(values, k) {
            for i in 0..rows {
                full[(i, k)] = given[(i, k)];
            }
        }
    }
    for k in (0..full.columns).filter(|&k| is_null_column(values, k)) {
        let mut axis = 0;
        while axis < rows && !fill_column(full, values, k, axis) {
            axis += 1;
        }
    }
}

/// Makes column k the part of a unit vector that is orthogonal to the finished columns; false when little is left.
fn fill_column(full: &mut Matrix, values: &[f64], k: usize, axis: usize) -> bool {
    for i in 0..full.rows {
        full[(i, k)] = if i == axis { 1.0 } else { 0.0 };
    }
    // Twice, because once leaves rounding errors of the size of what is left.
    for _ in 0..2 {
        for other in 0..full.columns {
            let finished = other < k || !is_null_column(values, other);
            if other == k || !finished {
                continue;
            }
            let dot: f64 = (0..full.rows).map(|i| full[(i, k)] * full[(i, other)]).sum();
            for i in 0..full.rows {
                let change = dot * full[(i, other)];
                full[(i, k)] -= change;
            }
        }
    }
    let norm = column_norm(full, k);
    if norm.is_nan() || norm < 0.5 / libm::sqrt(full.rows as f64) {
        return false;
    }
    for i in 0..full.rows {
        full[(i, k)] /= norm;
    }
    true
}

/// Outputs of `svd`, any of which but the values may be null.
struct Outputs {
    code: u32,
    u: *mut u8,
    s: *mut u8,
    vh: *mut u8,
}

/// One decomposition: of the matrix or, when it is wide, of its transpose, whose vectors change sides.
unsafe fn decompose(ctx: *mut Context, a: &mut Matrix, full: bool, batch: i64, outputs: &Outputs) -> Option<()> {
    let wide = a.columns > a.rows;
    let mut tall = Matrix::zeros(ctx, a.rows.max(a.columns), a.rows.min(a.columns))?;
    if wide {
        tall.transpose_from(a);
    } else {
        tall.copy_from(a);
    }
    let mut parts = decompose_tall(ctx, &mut tall)?;
    let k = parts.values.as_mut_slice().len();
    for (i, value) in (batch * k as i64..).zip(parts.values.as_mut_slice()) {
        store_f64(outputs.code, outputs.s, i, *value);
    }
    if outputs.u.is_null() && outputs.vh.is_null() {
        return Some(());
    }
    let mut long = Matrix::zeros(ctx, tall.rows, if full { tall.rows } else { k })?;
    complete_basis(&parts.left, parts.values.as_mut_slice(), &mut long);
    let mut transposed = Matrix::zeros(ctx, long.columns, long.rows)?;
    transposed.transpose_from(&long);
    let mut short = Matrix::zeros(ctx, k, k)?;
    short.transpose_from(&parts.right);
    if wide {
        parts.right.store(outputs.code, outputs.u, batch);
        transposed.store(outputs.code, outputs.vh, batch);
    } else {
        long.store(outputs.code, outputs.u, batch);
        short.store(outputs.code, outputs.vh, batch);
    }
    Some(())
}

/// The least-squares solution of least norm: the pseudo-inverse applied to the right-hand side.
unsafe fn least_squares(ctx: *mut Context, a: &mut Matrix, b: &Matrix, x: &mut Matrix, rcond: f64) -> Option<()> {
    let wide = a.columns > a.rows;
    let mut tall = Matrix::zeros(ctx, a.rows.max(a.columns), a.rows.min(a.columns))?;
    if wide {
        tall.transpose_from(a);
    } else {
        tall.copy_from(a);
    }
    let mut parts = decompose_tall(ctx, &mut tall)?;
    let values = parts.values.as_mut_slice();
    let cutoff = values.first().map_or(0.0, |largest| largest * rcond);
    let (from, to) = if wide { (&parts.right, &parts.left) } else { (&parts.left, &parts.right) };
    for j in 0..b.columns {
        x.clear_column(j);
        for (k, &value) in values.iter().enumerate() {
            if value <= cutoff {
                continue;
            }
            let dot: f64 = (0..b.rows).map(|i| from[(i, k)] * b[(i, j)]).sum();
            for i in 0..x.rows {
                x[(i, j)] += to[(i, k)] * (dot / value);
            }
        }
    }
    Some(())
}

impl Matrix {
    /// Sets a column to zero.
    fn clear_column(&mut self, column: usize) {
        for i in 0..self.rows {
            self[(i, column)] = 0.0;
        }
    }
}

exports! {
    /// Singular value decomposition of m x n matrices with k = min(m, n): u is m x k, s k values in descending order, vh
    /// k x n; with `full` u is m x m and vh n x n. u and vh may be null.
    fn svd(ctx: *mut Context, dtype: i64, a: *const u8, batch: i64, m: i64, n: i64, u: *mut u8, s: *mut u8, vh: *mut u8, full: i64) {
        let Some(mut matrix) = Matrix::zeros(ctx, size(m), size(n)) else { return };
        let outputs = Outputs { code: code(dtype), u, s, vh };
        for b in 0..batch {
            matrix.load(code(dtype), a, b);
            if decompose(ctx, &mut matrix, full != 0, b, &outputs).is_none() {
                return;
            }
        }
    }

    /// Least squares, of least norm where there are several solutions: a is m x n, b m x nrhs, x n x nrhs. Singular values
    /// up to `rcond` times the largest count as zero (negative: machine precision times the larger dimension).
    fn lstsq(ctx: *mut Context, dtype: i64, a: *const u8, b: *const u8, batch: i64, m: i64, n: i64, nrhs: i64, x: *mut u8, rcond: f64) {
        let (rows, columns, sides) = (size(m), size(n), size(nrhs));
        let epsilon = if code(dtype) == crate::abi::dtype::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let rcond = if rcond < 0.0 { epsilon * rows.max(columns) as f64 } else { rcond };
        let (Some(mut matrix), Some(mut right)) = (Matrix::zeros(ctx, rows, columns), Matrix::zeros(ctx, rows, sides)) else { return };
        let Some(mut solution) = Matrix::zeros(ctx, columns, sides) else { return };
        for i in 0..batch {
            matrix.load(code(dtype), a, i);
            right.load(code(dtype), b, i);
            if least_squares(ctx, &mut matrix, &right, &mut solution, rcond).is_none() {
                return;
            }
            solution.store(code(dtype), x, i);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::matrix::testing::*;
    use crate::test_context::TestContext;

    fn check(a: &[f64], m: usize, n: usize, full: bool) {
        let t = TestContext::new();
        let k = m.min(n);
        let (left, right) = if full { (m, n) } else { (k, k) };
        let (mut u, mut s, mut vh) = (vec![0.0; m * left], vec![0.0; k], vec![0.0; right * n]);
        unsafe {
            svd(
                t.ctx(),
                7,
                a.as_ptr().cast(),
                1,
                m as i64,
                n as i64,
                u.as_mut_ptr().cast(),
                s.as_mut_ptr().cast(),
                vh.as_mut_ptr().cast(),
                i64::from(full),
            );
        }
        assert!(s.windows(2).all(|pair| pair[0] >= pair[1]) && s.iter().all(|&x| x >= 0.0));
        let scaled: Vec<f64> = (0..m * k).map(|at| u[at / k * left + at % k] * s[at % k]).collect();
        assert_close(&product(&scaled, &vh[..k * n], m, k, n), a, 1e-12);
        assert_close(&product(&transpose(&u, m, left), &u, left, m, left), &identity(left), 1e-12);
        assert_close(&product(&vh, &transpose(&vh, right, n), right, n, right), &identity(right), 1e-12);
    }

    #[test]
    fn parts_multiply_back_and_are_orthogonal() {
        for (m, n) in [(1usize, 1usize), (5, 3), (3, 5), (6, 6), (2, 7)] {
            let a = random(m * n, (m * 31 + n) as u64);
            check(&a, m, n, false);
            check(&a, m, n, true);
        }
    }

    #[test]
    fn rank_deficient_matrices() {
        let ones = vec![1.0; 12];
        check(&ones, 4, 3, false);
        check(&ones, 3, 4, true);
        check(&[0.0; 6], 3, 2, true);
    }

    #[test]
    fn least_squares_of_every_shape() {
        let t = TestContext::new();
        for (m, n) in [(6usize, 3usize), (3, 6), (4, 4)] {
            let (a, b) = (random(m * n, 40 + m as u64), random(m * 2, 50 + n as u64));
            let mut x = vec![0.0; n * 2];
            unsafe {
                lstsq(t.ctx(), 7, a.as_ptr().cast(), b.as_ptr().cast(), 1, m as i64, n as i64, 2, x.as_mut_ptr().cast(), -1.0);
            }
            let rest: Vec<f64> = product(&a, &x, m, n, 2).iter().zip(&b).map(|(x, y)| x - y).collect();
            // The residual is orthogonal to the columns; it vanishes where the system has a solution.
            assert_close(&product(&transpose(&a, m, n), &rest, n, m, 2), &vec![0.0; n * 2], 1e-12);
            if m <= n {
                assert_close(&rest, &vec![0.0; m * 2], 1e-11);
            }
        }
    }
}
