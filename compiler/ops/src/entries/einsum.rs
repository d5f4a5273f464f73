//! Einstein summation: the sum of products of elements, as an equation of index names says.

use super::rules::{Types, finish, kind, one, tensor};
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError};
use kiln_graph::Dim;
use kiln_loops::{BinaryOp, Expr, ReduceOp};
use kiln_support::DType;

/// The operators of this family.
pub const ENTRIES: &[Entry] =
    &[tensor!("aten::einsum", "sums of products as the equation says", einsum_type, |e, _, index| einsum(e, index))];

/// An equation: labels of each operand's axes and of the result's. The axes that an ellipsis stands for have the
/// labels below `ELLIPSIS + WIDEST`, the last axis the highest, so that operands of different ranks are broadcast.
struct Equation {
    operands: Vec<Vec<u32>>,
    result: Vec<u32>,
}

const ELLIPSIS: u32 = 1 << 16;
const WIDEST: u32 = 64;

impl Equation {
    fn parse(text: &str, ranks: &[usize]) -> Result<Equation, OpError> {
        let text: String = text.chars().filter(|c| *c != ' ').collect();
        let (left, right) = text.split_once("->").map_or((text.as_str(), None), |(l, r)| (l, Some(r)));
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return OpError::raise(if terms.len() < ranks.len() {
                "einsum(): more operands were provided than specified in the equation"
            } else {
                "einsum(): fewer operands were provided than specified in the equation"
            });
        }
        let mut operands = Vec::new();
        for (term, &rank) in terms.iter().zip(ranks) {
            operands.push(labels(term, Some(rank))?);
        }
        let lowest = operands.iter().flatten().filter(|l| **l >= ELLIPSIS).min().copied().unwrap_or(ELLIPSIS + WIDEST);
        let wide: Vec<u32> = (lowest..ELLIPSIS + WIDEST).collect();
        let result = match right {
            Some(text) => expand(labels(text, None)?, &wide),
            None => implicit(&operands, &wide),
        };
        for (i, label) in result.iter().enumerate() {
            if result[..i].contains(label) {
                return OpError::raise("einsum(): output subscript appears more than once in the output");
            }
            if !operands.iter().flatten().any(|l| l == label) {
                return OpError::raise("einsum(): output subscript does not appear in the equation for any input operand");
            }
        }
        Ok(Equation { operands, result })
    }

    /// Size of each label that is summed over.
    fn summed(&self) -> Vec<u32> {
        let mut all: Vec<u32> = Vec::new();
        for &label in self.operands.iter().flatten() {
            if !self.result.contains(&label) && !all.contains(&label) {
                all.push(label);
            }
        }
        all
    }
}

/// Marks the place of an ellipsis whose axes are not known yet.
const OPEN: u32 = u32::MAX;

/// The labels of a term; an ellipsis stands for the axes that the letters leave of `rank`.
fn labels(term: &str, rank: Option<usize>) -> Result<Vec<u32>, OpError> {
    let mut all = Vec::new();
    let mut rest = term;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            if all.contains(&OPEN) {
                return OpError::raise("einsum(): found '.' for operand for which an ellipsis was already found");
            }
            all.push(OPEN);
            rest = after;
        } else if c.is_ascii_alphabetic() {
            all.push(c as u32);
            rest = &rest[1..];
        } else {
            return OpError::raise(format!("einsum(): invalid subscript given, subscripts must be in [a-zA-Z] but found {c}"));
        }
    }
    let Some(rank) = rank else { return Ok(all) };
    let letters = all.iter().filter(|l| **l != OPEN).count();
    if letters > rank || (letters < rank && !all.contains(&OPEN)) {
        return OpError::raise(format!(
            "einsum(): the number of subscripts in the equation ({letters}) does not match the number of dimensions ({rank})"
        ));
    }
    let covered = (rank - letters) as u32;
    if covered > WIDEST {
        return OpError::unsupported("a tensor of so many dimensions");
    }
    let wide: Vec<u32> = (ELLIPSIS + WIDEST - covered..ELLIPSIS + WIDEST).collect();
    Ok(expand(all, &wide))
}

fn expand(labels: Vec<u32>, wide: &[u32]) -> Vec<u32> {
    labels.into_iter().flat_map(|l| if l == OPEN { wide.to_vec() } else { vec![l] }).collect()
}

/// Without an arrow: the ellipsis, then the letters that appear once, in alphabetical order.
fn implicit(operands: &[Vec<u32>], wide: &[u32]) -> Vec<u32> {
    let count = |label: u32| operands.iter().flatten().filter(|l| **l == label).count();
    let mut once: Vec<u32> = operands.iter().flatten().copied().filter(|&l| l < ELLIPSIS && count(l) == 1).collect();
    once.sort();
    wide.iter().copied().chain(once).collect()
}

/// The operands' sizes.
fn shapes(facts: &[Fact]) -> Vec<Vec<Dim>> {
    let Fact::List(items) = &facts[1] else { return Vec::new() };
    items.iter().filter_map(|f| if let Fact::Tensor(t) = f { Some(t.dims.clone()) } else { None }).collect()
}

fn equation(facts: &[Fact]) -> Result<(Equation, Vec<Vec<Dim>>), OpError> {
    let Fact::Str(text) = &facts[0] else { return OpError::unsupported("an equation that is known only at run time") };
    let shapes = shapes(facts);
    let ranks: Vec<usize> = shapes.iter().map(Vec::len).collect();
    Ok((Equation::parse(text, &ranks)?, shapes))
}

/// The size of a label: that of an axis that is not 1.
fn size(equation: &Equation, shapes: &[Vec<Dim>], label: u32) -> Dim {
    let axes = equation.operands.iter().zip(shapes).flat_map(|(labels, dims)| labels.iter().zip(dims));
    axes.filter(|(l, d)| **l == label && **d != Dim::Const(1)).map(|(_, d)| *d).next().unwrap_or(Dim::Const(1))
}

fn einsum_type(cx: &mut Infer) -> Types {
    let (equation, shapes) = equation(cx.args)?;
    let dtype = cx.tensors(1).first().map(|t| t.dtype);
    let Some(dtype) = dtype else { return OpError::raise("einsum(): must provide at least one operand") };
    if cx.tensors(1).iter().any(|t| t.dtype != dtype) {
        return OpError::raise("expected operands of einsum to have the same dtype");
    }
    if dtype == DType::Bool || dtype.is_quantized() {
        return OpError::unsupported("einsum of this element type");
    }
    for (labels, dims) in equation.operands.iter().zip(&shapes) {
        for (&label, &dim) in labels.iter().zip(dims).filter(|(_, d)| **d != Dim::Const(1)) {
            match (size(&equation, &shapes, label), dim) {
                (a, b) if a == b => {}
                (Dim::Const(a), Dim::Const(b)) => {
                    return OpError::raise(format!(
                        "einsum(): subscript has size {b} for an operand which does not broadcast with previously seen size {a}"
                    ));
                }
                (a, b) => cx.dims.require_equal(a, b, "einsum(): sizes of one subscript differ"),
            }
        }
    }
    one(dtype, equation.result.iter().map(|&label| size(&equation, &shapes, label)).collect())
}

fn einsum(e: &mut Element, index: &[Expr]) -> Expr {
    let (equation, shapes) = equation(e.args).expect("checked by the infer rule");
    let summed = equation.summed();
    let sizes: Vec<Dim> = summed.iter().map(|&label| size(&equation, &shapes, label)).collect();
    let product = |e: &mut Element, inner: &[Expr]| {
        let mut all: Option<Expr> = None;
        for (item, (labels, dims)) in equation.operands.iter().zip(&shapes).enumerate() {
            let mut own = Vec::new();
            for (label, dim) in labels.iter().zip(dims) {
                let outer = equation.result.iter().position(|l| l == label).map(|at| index[at]);
                let at = outer
                    .or_else(|| summed.iter().position(|l| l == label).map(|at| inner[at]))
                    .expect("a label is kept or summed over");
                own.push(if *dim == Dim::Const(1) { e.int(0) } else { at });
            }
            let x = e.load_item(1, item, &own);
            all = Some(all.map_or(x, |all| e.binary(BinaryOp::Mul, all, x)));
        }
        all.unwrap_or_else(|| e.constant(kind(e), 1.0))
    };
    let y = if summed.is_empty() { product(e, &[]) } else { e.reduce(ReduceOp::Sum, &sizes, &mut |e, inner| product(e, inner)) };
    finish(e, y)
}
