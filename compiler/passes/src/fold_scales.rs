//! Folds a scale and a shift per output channel into the convolution they follow.
//!
//! An inference batch norm is `x * alpha + beta` with a constant per channel (its decomposition computes
//! `alpha` and `beta` from the running statistics). Behind a convolution with constant weights that
//! nobody else reads, `alpha` scales the weights of each output channel and the bias, and `beta` joins the
//! bias: the whole batch norm costs nothing at run time.

use crate::rewrite::{Rewriter, Rule, rewrite};
use kiln_graph::{Graph, Literal, NodeData, Op, Value};
use kiln_ops::table;
use kiln_support::{DType, SecondaryMap, TensorData};

/// Runs the pass.
pub fn fold_scales(graph: &Graph) -> Graph {
    rewrite(graph, &mut FoldScales { uses: count_uses(graph) })
}

/// How often each value is used, as an operand or yielded.
pub fn count_uses(graph: &Graph) -> SecondaryMap<Value, u32> {
    let mut uses = SecondaryMap::default();
    for block in graph.blocks.keys() {
        graph.blocks[block].yields.iter().for_each(|&v| uses[v] += 1);
        for &node in &graph.blocks[block].nodes {
            graph.nodes[node].args.iter().for_each(|&v| uses[v] += 1);
        }
    }
    uses
}

struct FoldScales {
    uses: SecondaryMap<Value, u32>,
}

impl Rule for FoldScales {
    fn apply(&mut self, rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Vec<Value>> {
        let Op::Table(op) = node.op else { return None };
        let kind = match table().key(op) {
            "aten::mul.Tensor" => Kind::Scale,
            "aten::add.Tensor" if is_one(rw, args[2]) => Kind::Shift,
            _ => return None,
        };
        for (at, other) in [(0, 1), (1, 0)] {
            if self.uses[node.args[at]] == 1
                && let Some(value) = fold(rw, node, args[at], args[other], kind)
            {
                return Some(vec![value]);
            }
        }
        None
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Scale,
    Shift,
}

fn is_one(rw: &Rewriter, value: Value) -> bool {
    matches!(rw.graph.as_const(value), Some(Literal::Int(1)))
        || matches!(rw.graph.as_const(value), Some(Literal::Float(f)) if *f == 1.0)
}

/// The convolution `conv` with `factor` folded in, if it is one and `factor` is constant per channel.
fn fold(rw: &mut Rewriter, node: &NodeData, conv: Value, factor: Value, kind: Kind) -> Option<Value> {
    let (key, data) = rw.def(conv)?;
    if key != "aten::convolution" || matches!(rw.graph.as_const(data.args[6]), Some(Literal::Bool(true))) {
        return None;
    }
    let args = data.args.clone();
    let weight = rw.const_tensor(args[1])?.clone();
    let channels = *weight.shape.first()?;
    let out = rw.facts(conv)?.clone();
    if weight.dtype != DType::F32 || out.dtype != DType::F32 {
        return None;
    }
    let bias = match rw.graph.as_const(args[2])? {
        Literal::None => vec![0.0; channels as usize],
        Literal::Tensor(bias) => bias.to_f32(),
        _ => return None,
    };
    let factor = per_channel(rw.const_tensor(factor)?, out.rank(), channels)?;
    let (weight, bias) = match kind {
        Kind::Scale => (scale_rows(&weight, &factor), bias.iter().zip(&factor).map(|(b, f)| b * f).collect::<Vec<f32>>()),
        Kind::Shift => (weight, bias.iter().zip(&factor).map(|(b, f)| b + f).collect()),
    };
    let mut args = args;
    args[1] = rw.tensor(weight);
    args[2] = rw.tensor(TensorData::from_f32(&[channels], &bias));
    let ty = rw.graph.ty(conv).clone();
    Some(rw.table("aten::convolution", args, ty, node))
}

/// The factor of each channel, if it is one number per channel (axis 1) or one for all.
fn per_channel(factor: &TensorData, rank: usize, channels: i64) -> Option<Vec<f32>> {
    if factor.len() == 1 {
        return Some(vec![factor.to_f32()[0]; channels as usize]);
    }
    let mut shape = vec![1; rank.checked_sub(factor.shape.len())?];
    shape.extend(&factor.shape);
    let fits = shape.iter().enumerate().all(|(axis, &n)| n == if axis == 1 { channels } else { 1 });
    (fits && factor.dtype == DType::F32).then(|| factor.to_f32())
}

/// Each row (outermost index) of a tensor times its factor.
fn scale_rows(tensor: &TensorData, factors: &[f32]) -> TensorData {
    let row = tensor.len() / factors.len().max(1);
    let values: Vec<f32> = tensor.to_f32().iter().enumerate().map(|(i, v)| v * factors[i / row]).collect();
    TensorData::from_f32(&tensor.shape, &values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_graph::{Dim, Type};
    use kiln_support::Span;

    /// `conv(x, w) * alpha + beta` on 2 output channels.
    fn sample(shared: bool) -> Graph {
        let mut graph = Graph::new();
        let block = graph.entry;
        let image = |n: i64| Type::tensor(DType::F32, [1, n, 4, 4].map(Dim::Const).to_vec());
        let object = graph.add_param(block, Type::TENSOR, None);
        let x = graph.add_value(block, Op::Unbox, vec![object], image(3), Span::NONE);
        let constant = |graph: &mut Graph, data: TensorData| {
            let ty = Type::tensor(data.dtype, data.shape.iter().map(|&n| Dim::Const(n)).collect());
            graph.add_const(block, Literal::Tensor(data), ty, Span::NONE)
        };
        let w = constant(&mut graph, TensorData::from_f32(&[2, 3, 1, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let alpha = constant(&mut graph, TensorData::from_f32(&[2, 1, 1], &[2.0, 0.5]));
        let beta = constant(&mut graph, TensorData::from_f32(&[1, 2, 1, 1], &[10.0, 20.0]));
        let ints =
            |graph: &mut Graph, values: &[i64]| graph.add_const(block, Literal::ints(values), Type::list(Type::Int), Span::NONE);
        let none = graph.add_const(block, Literal::None, Type::None, Span::NONE);
        let (ones, zeros) = (ints(&mut graph, &[1, 1]), ints(&mut graph, &[0, 0]));
        let no = graph.add_const(block, Literal::Bool(false), Type::Bool, Span::NONE);
        let one = graph.add_const(block, Literal::Int(1), Type::Int, Span::NONE);
        let conv = Op::Table(table().get("aten::convolution"));
        let y = graph.add_value(block, conv, vec![x, w, none, ones, zeros, ones, no, zeros, one], image(2), Span::NONE);
        let scaled = graph.add_value(block, Op::Table(table().get("aten::mul.Tensor")), vec![y, alpha], image(2), Span::NONE);
        let sum = Op::Table(table().get("aten::add.Tensor"));
        let other = if shared { y } else { beta };
        let out = graph.add_value(block, sum, vec![scaled, other, one], image(2), Span::NONE);
        let boxed = graph.add_value(block, Op::Box, vec![out], Type::TENSOR, Span::NONE);
        graph.blocks[block].yields.push(boxed);
        graph
    }

    fn convolutions(graph: &Graph) -> Vec<&NodeData> {
        let conv = Op::Table(table().get("aten::convolution"));
        graph.blocks[graph.entry].nodes.iter().map(|&n| &graph.nodes[n]).filter(|n| n.op == conv).collect()
    }

    #[test]
    fn scale_and_shift_join_the_convolution() {
        let folded = fold_scales(&sample(false));
        kiln_graph::verify::verify(&folded).unwrap();
        let convs = convolutions(&folded);
        assert_eq!(convs.len(), 1);
        let Some(Literal::Tensor(weight)) = folded.as_const(convs[0].args[1]) else { panic!("a constant weight") };
        assert_eq!(weight.to_f32(), [2.0, 4.0, 6.0, 2.0, 2.5, 3.0]);
        let Some(Literal::Tensor(bias)) = folded.as_const(convs[0].args[2]) else { panic!("a constant bias") };
        assert_eq!(bias.to_f32(), [10.0, 20.0]);
        let table_nodes = folded.blocks[folded.entry].nodes.iter().filter(|&&n| matches!(folded.nodes[n].op, Op::Table(_)));
        assert_eq!(table_nodes.count(), 1);
    }

    #[test]
    fn a_convolution_that_others_read_stays() {
        let folded = fold_scales(&sample(true));
        let convs = convolutions(&folded);
        let Some(Literal::Tensor(weight)) = folded.as_const(convs[0].args[1]) else { panic!("a constant weight") };
        assert_eq!(weight.to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
