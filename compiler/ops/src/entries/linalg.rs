//! Dense linear algebra: algorithms of the runtime over batches of matrices (all axes before the last two).
//!
//! Decompositions bring operands into this form: equal batches, right-hand sides as matrices.

use crate::entry::{Body, Entry, ExternCall, ExternFn, ExternOperand, InferFn};
use crate::infer::{Fact, Infer, OpError};
use kiln_graph::{Dim, TensorType};
use kiln_loops::BinaryOp;
use kiln_support::DType;

const fn algorithm(key: &'static str, doc: &'static str, infer: InferFn, call: ExternFn) -> Entry {
    Entry { key, doc, body: Body::Extern { infer, call } }
}

use ExternOperand::{Input, Int, Output};

/// The null pointer of an output that is not wanted.
const NONE: ExternOperand = Int(Dim::Const(0));

/// The operators of this family.
pub const ENTRIES: &[Entry] = &[
    algorithm(
        "kiln::lu_factor",
        "LU factors, exchanged rows (from 1), and the first zero pivot or 0",
        |cx| {
            let m = matrices(cx)?;
            let k = smaller(cx, &m);
            Ok(vec![m.like(&[m.rows, m.columns]), m.ints(&[k]), m.ints(&[])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows, m.columns];
            call("lu_factor", &m, &[Input(0)], &sizes, &[Output(0), Output(1), Output(2)])
        },
    ),
    algorithm(
        "kiln::lu_solve",
        "x of LU x = b for the factors and rows of lu_factor (arguments 0, 1) and b (2)",
        |cx| {
            let m = square(cx, "linalg.lu_solve: LU")?;
            let columns = cx.tensor(2).dims.last().copied().unwrap_or(Dim::Const(1));
            Ok(vec![m.like(&[m.rows, columns])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows, *cx.tensor(2).dims.last().expect("a matrix")];
            call("lu_solve", &m, &[Input(0), Input(1), Input(2)], &sizes, &[Output(0)])
        },
    ),
    algorithm(
        "kiln::solve",
        "x of A x = b; raises for a singular A",
        |cx| {
            let m = square(cx, "linalg.solve: A")?;
            let columns = cx.tensor(1).dims.last().copied().unwrap_or(Dim::Const(1));
            Ok(vec![m.like(&[m.rows, columns])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows, *cx.tensor(1).dims.last().expect("a matrix")];
            call("solve", &m, &[Input(0), Input(1)], &sizes, &[Output(0)])
        },
    ),
    algorithm(
        "kiln::inverse",
        "the inverse; raises for a singular matrix",
        |cx| {
            let m = square(cx, "linalg.inv: A")?;
            Ok(vec![m.like(&[m.rows, m.rows])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows];
            call("inverse", &m, &[Input(0)], &sizes, &[Output(0), NONE])
        },
    ),
    algorithm(
        "kiln::inverse_ex",
        "the inverse and the number of the zero pivot, or 0",
        |cx| {
            let m = square(cx, "linalg.inv: A")?;
            Ok(vec![m.like(&[m.rows, m.rows]), m.ints(&[])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows];
            call("inverse", &m, &[Input(0)], &sizes, &[Output(0), Output(1)])
        },
    ),
    algorithm(
        "kiln::det",
        "the determinant",
        |cx| {
            let m = square(cx, "linalg.det: A")?;
            Ok(vec![m.like(&[])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows];
            call("det", &m, &[Input(0)], &sizes, &[Output(0)])
        },
    ),
    algorithm(
        "kiln::slogdet",
        "sign of the determinant and logarithm of its magnitude",
        |cx| {
            let m = square(cx, "linalg.slogdet: A")?;
            Ok(vec![m.like(&[]), m.like(&[])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows];
            call("slogdet", &m, &[Input(0)], &sizes, &[Output(0), Output(1)])
        },
    ),
    algorithm(
        "kiln::cholesky",
        "the lower (or upper) Cholesky factor; raises unless positive-definite",
        |cx| {
            cx.bool(1)?;
            let m = square(cx, "linalg.cholesky: A")?;
            Ok(vec![m.like(&[m.rows, m.rows])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows];
            let upper = flag(cx, 1);
            call("cholesky", &m, &[Input(0)], &sizes, &[Output(0), upper, NONE])
        },
    ),
    algorithm(
        "kiln::cholesky_ex",
        "the lower (or upper) Cholesky factor and the order of the bad minor, or 0",
        |cx| {
            cx.bool(1)?;
            let m = square(cx, "linalg.cholesky_ex: A")?;
            Ok(vec![m.like(&[m.rows, m.rows]), m.ints(&[])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows];
            let upper = flag(cx, 1);
            call("cholesky", &m, &[Input(0)], &sizes, &[Output(0), upper, Output(1)])
        },
    ),
    algorithm(
        "kiln::triangular_solve",
        "x of A x = b for the lower or upper triangle of A, maybe transposed, maybe with ones on the diagonal",
        |cx| {
            for at in 2..5 {
                cx.bool(at)?;
            }
            let m = square(cx, "linalg.solve_triangular: A")?;
            let columns = cx.tensor(1).dims.last().copied().unwrap_or(Dim::Const(1));
            Ok(vec![m.like(&[m.rows, columns])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows, *cx.tensor(1).dims.last().expect("a matrix")];
            let flags = [flag(cx, 2), flag(cx, 3), flag(cx, 4)];
            let [upper, transposed, unit] = flags;
            call("triangular_solve", &m, &[Input(0), Input(1)], &sizes, &[Output(0), upper, transposed, unit])
        },
    ),
    algorithm(
        "kiln::qr",
        "orthogonal columns and an upper triangle: as many columns as there are rows (complete) or the smaller size",
        |cx| {
            let (complete, m) = (cx.bool(1)?, matrices(cx)?);
            let k = if complete { m.rows } else { smaller(cx, &m) };
            Ok(vec![m.like(&[m.rows, k]), m.like(&[k, m.columns])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows, m.columns];
            let complete = flag(cx, 1);
            call("qr", &m, &[Input(0)], &sizes, &[Output(0), Output(1), complete])
        },
    ),
    algorithm(
        "kiln::eigh",
        "eigenvalues in ascending order and eigenvectors of symmetric matrices, read from the lower (or upper) triangle",
        |cx| {
            cx.bool(1)?;
            let m = square(cx, "linalg.eigh: A")?;
            Ok(vec![m.like(&[m.rows]), m.like(&[m.rows, m.rows])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows];
            let upper = flag(cx, 1);
            call("eigh", &m, &[Input(0)], &sizes, &[Output(0), Output(1), upper])
        },
    ),
    algorithm(
        "kiln::svd",
        "singular value decomposition; all columns (full) or as many as there are singular values",
        |cx| {
            let (full, m) = (cx.bool(1)?, matrices(cx)?);
            let k = smaller(cx, &m);
            let (u, v) = if full { (m.rows, m.columns) } else { (k, k) };
            Ok(vec![m.like(&[m.rows, u]), m.like(&[k]), m.like(&[v, m.columns])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows, m.columns];
            let full = flag(cx, 1);
            call("svd", &m, &[Input(0)], &sizes, &[Output(0), Output(1), Output(2), full])
        },
    ),
    algorithm(
        "kiln::lstsq",
        "x of least norm that minimises |A x - b|; singular values up to rcond times the largest count as 0",
        |cx| {
            let m = matrices(cx)?;
            if !matches!(cx.args[2], Fact::Float(Ok(_))) {
                return OpError::unsupported("rcond known only at run time");
            }
            let columns = cx.tensor(1).dims.last().copied().unwrap_or(Dim::Const(1));
            Ok(vec![m.like(&[m.columns, columns])])
        },
        |cx| {
            let m = known(cx);
            let sizes = [batch(cx, &m), m.rows, m.columns, *cx.tensor(1).dims.last().expect("a matrix")];
            let Fact::Float(Ok(rcond)) = cx.args[2] else { unreachable!("checked by the infer rule") };
            call("lstsq", &m, &[Input(0), Input(1)], &sizes, &[Output(0), ExternOperand::Float(rcond)])
        },
    ),
];

/// Batches of matrices.
struct Matrices {
    dtype: DType,
    batch: Vec<Dim>,
    rows: Dim,
    columns: Dim,
}

impl Matrices {
    /// Of the batches' type, with these sizes after those of the batches.
    fn like(&self, sizes: &[Dim]) -> TensorType {
        TensorType { dtype: self.dtype, dims: self.batch.iter().chain(sizes).copied().collect() }
    }

    /// 32-bit ints, with these sizes after those of the batches.
    fn ints(&self, sizes: &[Dim]) -> TensorType {
        TensorType { dtype: DType::I32, ..self.like(sizes) }
    }
}

/// Argument 0.
fn matrices(cx: &Infer) -> Result<Matrices, OpError> {
    let ty = cx.tensor(0);
    let [batch @ .., rows, columns] = ty.dims.as_slice() else {
        return OpError::raise(format!("linalg: The input tensor A must have at least 2 dimensions, but got {ty}"));
    };
    match ty.dtype {
        DType::F32 | DType::F64 => Ok(Matrices { dtype: ty.dtype, batch: batch.to_vec(), rows: *rows, columns: *columns }),
        DType::F16 | DType::BF16 => {
            OpError::raise(format!("linalg: Low precision dtypes not supported. Got {}", ty.dtype.scalar_type_name()))
        }
        other => OpError::raise(format!(
            "linalg: Expected a floating point or complex tensor as input. Got {}",
            other.scalar_type_name()
        )),
    }
}

/// Argument 0, whose matrices must be square.
fn square(cx: &mut Infer, name: &str) -> Result<Matrices, OpError> {
    let m = matrices(cx)?;
    if m.rows != m.columns {
        let message = format!("{name} must be batches of square matrices, but they are {} by {} matrices", m.rows, m.columns);
        if m.rows.as_const().is_some() && m.columns.as_const().is_some() {
            return OpError::raise(message);
        }
        cx.dims.require_equal(m.rows, m.columns, &message);
    }
    Ok(m)
}

/// Argument 0 of a call, which the infer rule has checked.
fn known(cx: &Infer) -> Matrices {
    matrices(cx).unwrap_or_else(|_| panic!("checked by the infer rule"))
}

fn smaller(cx: &mut Infer, m: &Matrices) -> Dim {
    cx.dims.binary(BinaryOp::Min, m.rows, m.columns)
}

fn batch(cx: &mut Infer, m: &Matrices) -> Dim {
    cx.product(&m.batch)
}

/// A bool argument that the infer rule has checked, as 0 or 1.
fn flag(cx: &Infer, at: usize) -> ExternOperand {
    Int(Dim::Const(i64::from(matches!(cx.args[at], Fact::Bool(Ok(true))))))
}

/// The call of `symbol(dtype, operands, sizes, rest)`.
fn call(symbol: &'static str, m: &Matrices, operands: &[ExternOperand], sizes: &[Dim], rest: &[ExternOperand]) -> ExternCall {
    let mut all = vec![Int(Dim::Const(m.dtype.code()))];
    all.extend_from_slice(operands);
    all.extend(sizes.iter().map(|&n| Int(n)));
    all.extend_from_slice(rest);
    ExternCall { symbol, operands: all, scratch: Dim::Const(0), fallible: true }
}
