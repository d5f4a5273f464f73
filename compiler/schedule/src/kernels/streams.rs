//! The loads of a computation as streams of a kernel: each distinct (input, address) is one input of its expression.

use super::affine::{Affine, address};
use super::call::{Stream, scalar_cell};
use super::elements::element;
use crate::lower::{Lowering, R};
use crate::source::Built;
use kiln_kernels::isa::Element;
use kiln_kernels::vexpr::{NodeId, VExpr};
use kiln_loops::plan::{LocalType, Operand, ScalarOp};
use kiln_loops::{BinaryOp, Compute, Expr, ExprData, Kind};
use kiln_support::DType;

/// Where an input of a kernel's expression comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum Source {
    /// Elements of an input of the computation.
    Load(u32, Affine),
    /// A scalar parameter of the computation.
    Param(u32),
}

/// The inputs of a kernel's expressions so far.
pub struct Streams<'a> {
    pub compute: &'a Compute,
    pub sources: Vec<Source>,
    /// An input of the computation that is no tensor of the graph, and where it is.
    pub copy: Option<(u32, Operand)>,
}

/// Inputs that an expression may number.
const MOST: usize = 64;

impl<'a> Streams<'a> {
    pub fn new(compute: &'a Compute) -> Streams<'a> {
        Streams { compute, sources: Vec::new(), copy: None }
    }

    /// The leaf that a load or parameter is, with reduction axes renamed to `axes` (see [`Streams::renamed`]).
    pub fn leaf(&mut self, expr: Expr, out: &mut VExpr, rename: &[(usize, usize)]) -> Option<NodeId> {
        let source = match self.compute.exprs.get(expr) {
            ExprData::Load { input, index } if element(self.compute.inputs[*input as usize].dtype).is_some() => {
                Source::Load(*input, renamed(address(self.compute, *input, index)?, rename))
            }
            ExprData::Param(param, Kind::F32) => Source::Param(*param),
            ExprData::Cast(DType::F32, x) => match self.compute.exprs.get(*x) {
                ExprData::Param(param, _) => Source::Param(*param),
                _ => return None,
            },
            _ => return None,
        };
        let known = self.sources.iter().position(|s| *s == source);
        let at = match known {
            Some(at) => at,
            None if self.sources.len() < MOST => {
                self.sources.push(source);
                self.sources.len() - 1
            }
            None => return None,
        };
        Some(out.input(at as u16))
    }

    /// The type of an input in memory.
    pub fn element(&self, at: usize) -> Element {
        match &self.sources[at] {
            Source::Load(input, _) => element(self.compute.inputs[*input as usize].dtype).unwrap_or_default(),
            Source::Param(_) => Element::F32,
        }
    }

    /// Whether no input is of bytes: for kernels that know only binary32.
    pub fn is_all_f32(&self) -> bool {
        (0..self.sources.len()).all(|at| self.element(at) == Element::F32)
    }

    /// The address of an input, if it is a load.
    pub fn load(&self, at: usize) -> Option<&Affine> {
        match &self.sources[at] {
            Source::Load(_, address) => Some(address),
            Source::Param(_) => None,
        }
    }

    /// The streams themselves; `outer` are the axes that are loops around the kernel.
    pub fn emit(&self, cx: &mut Lowering, built: &Built, outer: &[usize]) -> R<Vec<Stream>> {
        let mut streams = Vec::new();
        for source in &self.sources {
            streams.push(match source {
                Source::Load(input, address) => match self.copy.filter(|(copy, _)| copy == input) {
                    Some((_, base)) => Stream {
                        base,
                        size: self.compute.inputs[*input as usize].dtype.size() as i64,
                        offset: address.offset,
                        outer: outer.iter().map(|&axis| address.strides[axis]).collect(),
                    },
                    None => stream(cx, built, *input, address, outer)?,
                },
                Source::Param(param) => Stream::fixed(param_cell(cx, built, *param)?),
            });
        }
        Ok(streams)
    }
}

/// An address in which reduction axes count as output axes: pairs are (reduction axis, output axis).
fn renamed(mut address: Affine, rename: &[(usize, usize)]) -> Affine {
    for &(from, to) in rename {
        let stride = std::mem::take(&mut address.strides[from]);
        address.strides[to] += stride;
    }
    address
}

/// An input of the computation at an address.
pub fn stream(cx: &mut Lowering, built: &Built, input: u32, address: &Affine, outer: &[usize]) -> R<Stream> {
    let size = built.compute.inputs[input as usize].dtype.size() as i64;
    let mut base = cx.pointer(built.inputs[input as usize])?;
    for &(term, factor) in &address.terms {
        let at = cx.invariant(built, term)?;
        let bytes = cx.int_binary(BinaryOp::Mul, at, Operand::Int(factor * size));
        base = cx.int_binary(BinaryOp::Add, base, bytes);
    }
    let outer = outer.iter().map(|&axis| address.strides[axis]).collect();
    Ok(Stream { base, size, offset: address.offset, outer })
}

fn param_cell(cx: &mut Lowering, built: &Built, param: u32) -> R<Operand> {
    let value = cx.scalar_of(built.params[param as usize])?;
    let value = match value {
        Operand::F64(x) => Operand::F32(x as f32),
        Operand::Int(x) => Operand::F32(x as f32),
        Operand::Bool(x) => Operand::F32(f32::from(u8::from(x))),
        other => cx.scalar(ScalarOp::Cast(DType::F32), vec![other], LocalType::F32),
    };
    Ok(scalar_cell(cx, value))
}
