//! The matrices of Winograd's minimal filtering F(m, 3), from interpolation points.
//!
//! A correlation of `m` outputs with 3 taps is a product of polynomials read off at `m + 2` points, one of them infinity:
//! `y = A^T ((G g) * (B^T d))` with `*` element by element. The finite points are 0 and pairs `p, -p`, so that the transforms of a pair
//! share the sums of the even and the odd terms. See Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015).

use crate::vexpr::{Binary, NodeId, VExpr};

/// Taps of the filter along an axis.
pub const TAPS: usize = 3;

/// The positive points of each pair for `m` outputs. Of F(4, 3): 5/8 and 3/2, with which products of random data lose less
/// than half of what they lose with 1 and 2, and all of whose coefficients are exact.
fn pairs(m: usize) -> &'static [f64] {
    match m {
        2 => &[1.0],
        _ => &[0.625, 1.5],
    }
}

/// Finite points: 0, then each pair.
fn points(m: usize) -> Vec<f64> {
    let pairs = pairs(m).iter().flat_map(|&p| [p, -p]);
    std::iter::once(0.0).chain(pairs).collect()
}

/// Coefficients, in rising powers of `x^2`, of the product over the points of `x^2 - p^2`.
fn even_product(points: impl Iterator<Item = f64>) -> Vec<f64> {
    points.fold(vec![1.0], |poly, p| {
        let mut next = vec![0.0; poly.len() + 1];
        for (i, c) in poly.iter().enumerate() {
            next[i] -= p * p * c;
            next[i + 1] += c;
        }
        next
    })
}

/// `G`: `m + 2` rows of three coefficients.
pub fn filter_matrix(m: usize) -> Vec<[f64; TAPS]> {
    let points = points(m);
    let row = |&p: &f64| {
        let scale: f64 = points.iter().filter(|&&q| q != p).map(|q| p - q).product();
        [1.0 / scale, p / scale, p * p / scale]
    };
    points.iter().map(row).chain([[0.0, 0.0, 1.0]]).collect()
}

/// `sum of c_k * x[first + 2 k]`.
fn combination(e: &mut VExpr, coefficients: &[f64], first: usize) -> NodeId {
    let mut sum = None;
    // The last coefficient is 1: its term needs no product.
    for (k, &c) in coefficients.iter().enumerate().rev() {
        let x = e.input((first + 2 * k) as u16);
        let factor = (c != 1.0).then(|| e.constant(c as f32));
        sum = Some(match (sum, factor) {
            (None, None) => x,
            (None, Some(c)) => e.binary(Binary::Mul, c, x),
            (Some(sum), None) => e.binary(Binary::Add, sum, x),
            (Some(sum), Some(c)) => e.fma(c, x, sum),
        });
    }
    sum.unwrap_or_else(|| e.constant(0.0))
}

/// `B^T` applied to inputs `0..m + 2`: as many results.
pub fn input_transform(m: usize) -> VExpr {
    let (mut e, pairs) = (VExpr::new(), pairs(m));
    let all = even_product(pairs.iter().copied());
    let zero = combination(&mut e, &all, 0);
    e.root(zero);
    for &p in pairs {
        let others = even_product(pairs.iter().copied().filter(|&q| q != p));
        let even = combination(&mut e, &others, 2);
        let odd = combination(&mut e, &others, 1);
        let odd = times(&mut e, p, odd);
        let (plus, minus) = (e.binary(Binary::Add, even, odd), e.binary(Binary::Sub, even, odd));
        e.root(plus);
        e.root(minus);
    }
    let infinity = combination(&mut e, &all, 1);
    e.root(infinity);
    e
}

fn times(e: &mut VExpr, factor: f64, x: NodeId) -> NodeId {
    if factor == 1.0 {
        return x;
    }
    let factor = e.constant(factor as f32);
    e.binary(Binary::Mul, factor, x)
}

/// `A^T` applied to inputs `0..m + 2`: `m` results.
pub fn output_transform(m: usize) -> VExpr {
    let (mut e, pairs) = (VExpr::new(), pairs(m));
    let halves: Vec<[NodeId; 2]> = (0..pairs.len())
        .map(|k| {
            let (plus, minus) = (e.input(1 + 2 * k as u16), e.input(2 + 2 * k as u16));
            [e.binary(Binary::Add, plus, minus), e.binary(Binary::Sub, plus, minus)]
        })
        .collect();
    for i in 0..m {
        let mut sum = match i {
            0 => Some(e.input(0)),
            _ if i == m - 1 => Some(e.input(m as u16 + 1)),
            _ => None,
        };
        for (half, &p) in halves.iter().zip(pairs) {
            let (x, power) = (half[i % 2], p.powi(i as i32));
            sum = Some(match sum {
                None => times(&mut e, power, x),
                Some(sum) if power == 1.0 => e.binary(Binary::Add, sum, x),
                Some(sum) => {
                    let power = e.constant(power as f32);
                    e.fma(power, x, sum)
                }
            });
        }
        let sum = sum.unwrap_or_else(|| e.constant(0.0));
        e.root(sum);
    }
    e
}

/// `G g G^T` of one 3x3 filter: `(m + 2)^2` elements in rows.
pub fn transform_filter(g: &[[f64; TAPS]], filter: [f64; TAPS * TAPS], out: &mut [f64]) {
    let n = g.len();
    for i in 0..n {
        let row: [f64; TAPS] = std::array::from_fn(|c| (0..TAPS).map(|r| g[i][r] * filter[r * TAPS + c]).sum());
        for j in 0..n {
            out[i * n + j] = (0..TAPS).map(|c| row[c] * g[j][c]).sum();
        }
    }
}
