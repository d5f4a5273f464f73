//! Softmax, normalisations and plain reductions as row kernels.

use crate::isa::ReduceOp;
use crate::kernels::rows::{COLUMNS, Dim, Operand, Pass, Reduction, RowsDesc};
use crate::vexpr::{Binary, NodeId, Unary, VExpr};

/// An expression with one result, built by `build`.
pub fn expr(build: impl FnOnce(&mut VExpr) -> NodeId) -> VExpr {
    let mut e = VExpr::new();
    let root = build(&mut e);
    e.root(root);
    e
}

fn reduction(op: ReduceOp, finish: VExpr) -> Option<Reduction> {
    Some(Reduction { op, finish, store: None })
}

/// `acc / columns`
fn mean() -> VExpr {
    expr(|e| {
        let (acc, n) = (e.acc(), e.row(COLUMNS));
        e.binary(Binary::Div, acc, n)
    })
}

/// What a softmax is taken of, built from the inputs: input 0 itself, or scaled and masked scores of attention.
pub type Scores = fn(&mut VExpr) -> NodeId;

/// Input 0.
pub fn plain_scores(e: &mut VExpr) -> NodeId {
    e.input(0)
}

/// `input 0 * input 1 + input 2`: scale (a scalar) and additive mask.
pub fn masked_scores(e: &mut VExpr) -> NodeId {
    let (x, scale, mask) = (e.input(0), e.input(1), e.input(2));
    e.fma(x, scale, mask)
}

/// The largest score as row value 0.
fn max_pass(scores: Scores) -> Pass {
    Pass { expr: expr(scores), stores: vec![], reduce: reduction(ReduceOp::Max, VExpr::identity()) }
}

/// `score - row 0`
fn shifted(e: &mut VExpr, scores: Scores) -> NodeId {
    let (x, max) = (scores(e), e.row(0));
    e.binary(Binary::Sub, x, max)
}

/// `softmax(input)` over the columns. A row of -inf, or with a NaN, gives NaN, as in PyTorch.
pub fn softmax(cols: Dim, input: Operand, output: Operand) -> RowsDesc {
    softmax_of(cols, vec![input], output, plain_scores)
}

/// `softmax(scores(inputs))` over the columns. In place is fine: each column is read before it is written
/// and not again.
pub fn softmax_of(cols: Dim, inputs: Vec<Operand>, output: Operand, scores: Scores) -> RowsDesc {
    let mut exp = VExpr::new();
    let s = shifted(&mut exp, scores);
    let e = exp.unary(Unary::Exp, s);
    exp.root(e);
    exp.root(e);
    let inverse = expr(|e| {
        let acc = e.acc();
        e.unary(Unary::Recip, acc)
    });
    let stored = inputs.len() as u16;
    let scale = expr(|e| {
        let (y, r) = (e.input(stored), e.row(1));
        e.binary(Binary::Mul, y, r)
    });
    let passes = vec![
        max_pass(scores),
        Pass { expr: exp, stores: vec![0], reduce: reduction(ReduceOp::Sum, inverse) },
        Pass { expr: scale, stores: vec![0], reduce: None },
    ];
    RowsDesc { family: "softmax", cols, inputs, outputs: vec![output], passes }
}

/// `log_softmax(input)` over the columns.
pub fn log_softmax(cols: Dim, input: Operand, output: Operand) -> RowsDesc {
    let exp = expr(|e| {
        let s = shifted(e, plain_scores);
        e.unary(Unary::Exp, s)
    });
    let log = expr(|e| {
        let acc = e.acc();
        e.unary(Unary::Log, acc)
    });
    let result = expr(|e| {
        let (s, l) = (shifted(e, plain_scores), e.row(1));
        e.binary(Binary::Sub, s, l)
    });
    let passes = vec![
        max_pass(plain_scores),
        Pass { expr: exp, stores: vec![], reduce: reduction(ReduceOp::Sum, log) },
        Pass { expr: result, stores: vec![0], reduce: None },
    ];
    RowsDesc { family: "logsoftmax", cols, inputs: vec![input], outputs: vec![output], passes }
}

/// `(x - mean) / sqrt(var + eps)`, times weight (input 1) and plus bias (input 2) where present. Inputs: x, weight, bias.
pub fn layer_norm(cols: Dim, input: Operand, output: Operand, eps: f32, weight: bool, bias: bool) -> RowsDesc {
    let centred = |e: &mut VExpr| {
        let (x, mean) = (e.input(0), e.row(0));
        e.binary(Binary::Sub, x, mean)
    };
    let squares = expr(|e| {
        let d = centred(e);
        e.unary(Unary::Square, d)
    });
    let inverse = expr(|e| inverse_deviation(e, eps));
    let result = expr(|e| {
        let (d, r) = (centred(e), e.row(1));
        let y = e.binary(Binary::Mul, d, r);
        affine(e, y, weight, bias)
    });
    let passes = vec![
        Pass { expr: expr(|e| e.input(0)), stores: vec![], reduce: reduction(ReduceOp::Sum, mean()) },
        Pass { expr: squares, stores: vec![], reduce: reduction(ReduceOp::Sum, inverse) },
        Pass { expr: result, stores: vec![0], reduce: None },
    ];
    RowsDesc { family: "layernorm", cols, inputs: with_parameters(input, weight, bias), outputs: vec![output], passes }
}

/// `x / sqrt(mean(x^2) + eps)`, times weight (input 1) if present.
pub fn rms_norm(cols: Dim, input: Operand, output: Operand, eps: f32, weight: bool) -> RowsDesc {
    let squares = expr(|e| {
        let x = e.input(0);
        e.unary(Unary::Square, x)
    });
    let result = expr(|e| {
        let (x, r) = (e.input(0), e.row(0));
        let y = e.binary(Binary::Mul, x, r);
        affine(e, y, weight, false)
    });
    let inverse = expr(|e| inverse_deviation(e, eps));
    let passes = vec![
        Pass { expr: squares, stores: vec![], reduce: reduction(ReduceOp::Sum, inverse) },
        Pass { expr: result, stores: vec![0], reduce: None },
    ];
    RowsDesc { family: "rmsnorm", cols, inputs: with_parameters(input, weight, false), outputs: vec![output], passes }
}

/// `1 / sqrt(acc / columns + eps)`
fn inverse_deviation(e: &mut VExpr, eps: f32) -> NodeId {
    let (acc, n, eps) = (e.acc(), e.row(COLUMNS), e.constant(eps));
    let variance = e.binary(Binary::Div, acc, n);
    let sum = e.binary(Binary::Add, variance, eps);
    e.unary(Unary::Rsqrt, sum)
}

/// `y * input 1 + input 2`, either part optional (the bias is then the next input).
fn affine(e: &mut VExpr, y: NodeId, weight: bool, bias: bool) -> NodeId {
    match (weight, bias) {
        (false, false) => y,
        (true, false) => {
            let w = e.input(1);
            e.binary(Binary::Mul, y, w)
        }
        (false, true) => {
            let b = e.input(1);
            e.binary(Binary::Add, y, b)
        }
        (true, true) => {
            let (w, b) = (e.input(1), e.input(2));
            e.fma(y, w, b)
        }
    }
}

fn with_parameters(input: Operand, weight: bool, bias: bool) -> Vec<Operand> {
    let mut inputs = vec![input];
    inputs.extend(std::iter::repeat_n(Operand::PER_COLUMN, usize::from(weight) + usize::from(bias)));
    inputs
}

/// What [`reduce_rows`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowReduce {
    /// Sum.
    Sum,
    /// Sum over the number of columns.
    Mean,
    /// Largest; NaN if there is one.
    Max,
    /// Smallest; NaN if there is one.
    Min,
    /// Sum of squares.
    SumSquares,
}

/// One value per row (output 0, `splat`).
pub fn reduce_rows(cols: Dim, input: Operand, output: Operand, kind: RowReduce) -> RowsDesc {
    let value = expr(|e| {
        let x = e.input(0);
        if kind == RowReduce::SumSquares { e.unary(Unary::Square, x) } else { x }
    });
    let op = match kind {
        RowReduce::Max => ReduceOp::Max,
        RowReduce::Min => ReduceOp::Min,
        RowReduce::Sum | RowReduce::Mean | RowReduce::SumSquares => ReduceOp::Sum,
    };
    let finish = if kind == RowReduce::Mean { mean() } else { VExpr::identity() };
    let reduce = Some(Reduction { op, finish, store: Some(0) });
    let passes = vec![Pass { expr: value, stores: vec![], reduce }];
    RowsDesc { family: "reduce", cols, inputs: vec![input], outputs: vec![output], passes }
}
