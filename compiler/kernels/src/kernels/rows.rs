//! Kernels over rows: maps, row reductions, softmax, normalisations, and anything else made of passes over a row.
//!
//! A [`RowsDesc`] runs, for each row, a list of passes over its columns. A pass evaluates one expression per column and may store
//! some of its results, and reduce the last one over the row; the finished reduction of pass `k` is `Leaf::Row(k)` in all later
//! passes. A map is one pass without a reduction; softmax is max, exp-and-sum, scale; layer norm is sum, sum of squares, scale.
//!
//! Operands are tables of pointers with a row stride each. An expression may also read an output as it was stored by an
//! earlier pass: outputs count as inputs after the declared ones. Outputs may alias inputs element by element, never shifted.

use crate::bytes;
use crate::isa::{Element, EmitError, ReduceOp};
use crate::kernels::check_size;
use crate::vexpr::{Leaf, VExpr};

/// A count known at compile time or passed as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// So many.
    Known(usize),
    /// The `Cols` argument.
    Argument,
}

/// Elements from one row to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stride {
    /// A constant; 0 repeats the row.
    Elements(usize),
    /// As many as there are columns.
    Cols,
}

/// An input or output of a row kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// From row to row.
    pub stride: Stride,
    /// One value per row (inputs), or none per column (outputs that take a reduction); of f32 only.
    pub splat: bool,
    /// Their type in memory.
    pub element: Element,
}

impl Operand {
    /// A dense tensor of the rows' shape.
    pub const DENSE: Operand = Operand { stride: Stride::Cols, splat: false, element: Element::F32 };
    /// One value per column, the same in all rows.
    pub const PER_COLUMN: Operand = Operand { stride: Stride::Elements(0), splat: false, element: Element::F32 };
    /// One value per row, densely stored.
    pub const PER_ROW: Operand = Operand { stride: Stride::Elements(1), splat: true, element: Element::F32 };
    /// One value for all.
    pub const SCALAR: Operand = Operand { stride: Stride::Elements(0), splat: true, element: Element::F32 };
}

/// The reduction of one pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduction {
    /// How columns combine. Max and Min give NaN if a column is NaN.
    pub op: ReduceOp,
    /// One result over `Acc` (the reduced value), earlier row values and [`COLUMNS`].
    pub finish: VExpr,
    /// The output that takes the finished value, one per row.
    pub store: Option<usize>,
}

/// As `Leaf::Row`: the number of columns, as f32.
pub const COLUMNS: u16 = u16::MAX;

/// One pass over the columns of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// Its results: those stored, in the order of `stores`, then the one reduced, if any.
    pub expr: VExpr,
    /// Outputs written, by index.
    pub stores: Vec<usize>,
    /// Reduction over the columns.
    pub reduce: Option<Reduction>,
}

/// A kernel over rows. Units of work are rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowsDesc {
    /// What the kernel's name says it is: `map`, `softmax`, ... (letters and digits).
    pub family: &'static str,
    /// Columns.
    pub cols: Dim,
    /// Inputs, in the order of their pointer table.
    pub inputs: Vec<Operand>,
    /// Outputs, in the order of their pointer table.
    pub outputs: Vec<Operand>,
    /// At least one pass.
    pub passes: Vec<Pass>,
}

impl RowsDesc {
    /// `outputs[i] = results[i]` of one expression.
    pub fn map(cols: Dim, inputs: Vec<Operand>, outputs: Vec<Operand>, expr: VExpr) -> Self {
        let stores = (0..outputs.len()).collect();
        RowsDesc { family: "map", cols, inputs, outputs, passes: vec![Pass { expr, stores, reduce: None }] }
    }

    /// The types of what a pass stores.
    pub(super) fn elements(&self, pass: &Pass) -> Vec<Element> {
        pass.stores.iter().map(|&store| self.outputs[store].element).collect()
    }

    pub(super) fn check(&self) -> Result<(), EmitError> {
        let bad = |what: String| Err(EmitError::Unsupported(format!("row kernel: {what}")));
        if self.passes.is_empty() || self.cols == Dim::Known(0) {
            return bad("no passes or no columns".into());
        }
        if let Dim::Known(cols) = self.cols {
            check_size("row", &[cols])?;
        }
        let readable = self.inputs.len() + self.outputs.len();
        if readable > MAX_OPERANDS || self.passes.len() > MAX_PASSES {
            return bad(format!("{readable} operands in {} passes", self.passes.len()));
        }
        if self.inputs.iter().chain(&self.outputs).any(|o| o.element == Element::I32) {
            return bad("32-bit integers".into());
        }
        let has_bytes = self.inputs.iter().chain(&self.outputs).any(|o| o.element != Element::F32);
        let has_splat_bytes = self.inputs.iter().chain(&self.outputs).any(|o| o.element != Element::F32 && o.splat);
        if has_splat_bytes || (has_bytes && self.cols == Dim::Argument) {
            return bad("bytes in rows of unknown length, or one for a row".into());
        }
        for operand in self.inputs.iter().chain(&self.outputs) {
            if let Stride::Elements(n) = operand.stride {
                check_size("row stride", &[n])?;
            }
        }
        for (i, pass) in self.passes.iter().enumerate() {
            check_rows(&pass.expr, i).and_then(|()| pass.expr.check(false, readable, usize::MAX)).or_else(bad)?;
            let wanted = pass.stores.len() + usize::from(pass.reduce.is_some());
            if pass.expr.roots().len() != wanted || pass.stores.iter().any(|&s| s >= self.outputs.len()) {
                return bad(format!("pass {i} has other results than it uses"));
            }
            let elements = self.elements(pass);
            let stores_bytes = elements.iter().any(|&e| e != Element::F32);
            if stores_bytes && (!bytes::are_separate(&pass.expr, &elements) || pass.reduce.is_some()) {
                return bad("bytes that are stored twice, or reduced, too".into());
            }
            if let Some(r) = &pass.reduce {
                check_rows(&r.finish, i).and_then(|()| r.finish.check(true, 0, usize::MAX)).or_else(bad)?;
                if r.finish.roots().len() != 1 || r.store.is_some_and(|s| s >= self.outputs.len()) {
                    return bad(format!("reduction of pass {i}"));
                }
            }
        }
        Ok(())
    }
}

/// Row values must come from passes with a reduction before `pass`.
fn check_rows(expr: &VExpr, pass: usize) -> Result<(), String> {
    let early = expr.nodes().iter().all(|n| match n {
        crate::vexpr::Node::Leaf(Leaf::Row(k)) => *k == COLUMNS || (*k as usize) < pass,
        _ => true,
    });
    if early { Ok(()) } else { Err("a row value is read before it is computed".into()) }
}

/// Most inputs and outputs together, and most passes: each has a slot of the frame.
const MAX_OPERANDS: usize = 40;
const MAX_PASSES: usize = 8;
