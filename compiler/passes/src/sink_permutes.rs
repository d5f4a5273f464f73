//! Moves permutes towards the end of the graph until they meet their inverse.
//!
//! A pointwise operator on tensors that are all permuted the same way is the permuted operator; so are a
//! concatenation and a reduction over axes. A permute of a permute is one permute, and one that changes
//! nothing is none. What is left at the borders of a channels-last region is what PyTorch's layout asks for.

use crate::assign_layout::{permute, permuted, tensor};
use crate::rewrite::{Rewriter, Rule, rewrite};
use kiln_graph::{Dim, Graph, Literal, NodeData, Op, TensorType, Type, Value};
use kiln_ops::probe::is_pointwise;
use kiln_ops::{Fact, entry, table};
use kiln_support::TensorData;

/// Runs the pass.
pub fn sink_permutes(graph: &Graph) -> Graph {
    rewrite(graph, &mut SinkPermutes)
}

struct SinkPermutes;

impl Rule for SinkPermutes {
    fn apply(&mut self, rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Vec<Value>> {
        let Op::Table(op) = node.op else { return None };
        match table().key(op) {
            "aten::permute" => permute_of_permute(rw, node, args).map(|v| vec![v]),
            "aten::cat" => concatenation(rw, node, args).map(|v| vec![v]),
            "aten::mean.dim" | "aten::sum.dim_IntList" | "aten::amax" | "aten::amin" => {
                reduction(rw, node, args).map(|v| vec![v])
            }
            key => pointwise(rw, node, key, args).map(|v| vec![v]),
        }
    }
}

/// The tensor under a permute, and the permute's order.
fn as_permute(rw: &Rewriter, value: Value) -> Option<(Value, Vec<i64>)> {
    let (key, node) = rw.def(value)?;
    if key != "aten::permute" {
        return None;
    }
    let rank = rw.facts(value)?.rank() as i64;
    let order = rw.const_ints(node.args[1])?;
    Some((node.args[0], order.into_iter().map(|axis| axis.rem_euclid(rank)).collect()))
}

fn inverse(order: &[i64]) -> Vec<i64> {
    let mut out = vec![0; order.len()];
    for (at, &axis) in order.iter().enumerate() {
        out[axis as usize] = at as i64;
    }
    out
}

fn is_identity(order: &[i64]) -> bool {
    order.iter().enumerate().all(|(at, &axis)| at as i64 == axis)
}

fn permute_of_permute(rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Value> {
    let rank = rw.facts(args[0])?.rank() as i64;
    let outer: Vec<i64> = rw.const_ints(args[1])?.into_iter().map(|a| a.rem_euclid(rank)).collect();
    if is_identity(&outer) {
        return Some(args[0]);
    }
    let (base, inner) = as_permute(rw, args[0])?;
    let both: Vec<i64> = outer.iter().map(|&axis| inner[axis as usize]).collect();
    Some(if is_identity(&both) { base } else { permute(rw, base, &both, node) })
}

/// The order that all permuted operands share, if the others can follow.
fn common_order(rw: &Rewriter, args: &[Value], rank: usize) -> Option<Vec<i64>> {
    let mut common: Option<Vec<i64>> = None;
    for &arg in args {
        let Some(facts) = rw.facts(arg) else { continue };
        match as_permute(rw, arg) {
            Some((_, order)) if facts.rank() == rank => {
                if common.get_or_insert_with(|| order.clone()) != &order {
                    return None;
                }
            }
            _ if facts.rank() == 0 || rw.const_tensor(arg).is_some() => {}
            _ => return None,
        }
    }
    common
}

fn pointwise(rw: &mut Rewriter, node: &NodeData, key: &str, args: &[Value]) -> Option<Value> {
    let out = rw.result_facts(node)?;
    let order = common_order(rw, args, out.rank())?;
    let entry = entry(key)?;
    let facts: Vec<Fact> = args.iter().map(|&a| fact(rw, a)).collect();
    if !is_pointwise(entry, &facts, std::slice::from_ref(&out)) {
        return None;
    }
    let back = inverse(&order);
    let operands: Option<Vec<Value>> = args.iter().map(|&arg| operand(rw, arg, &order, &back)).collect();
    let result = rw.table(key, operands?, tensor(permuted(&out, &back)), node);
    Some(permute(rw, result, &order, node))
}

/// An operand of the operator under the permute.
fn operand(rw: &mut Rewriter, arg: Value, order: &[i64], back: &[i64]) -> Option<Value> {
    let Some(facts) = rw.facts(arg).cloned() else { return Some(arg) };
    if facts.rank() == order.len()
        && let Some((base, _)) = as_permute(rw, arg)
    {
        return Some(base);
    }
    if facts.rank() == 0 {
        return Some(arg);
    }
    let data = rw.const_tensor(arg)?.clone();
    if data.len() == 1 {
        return Some(rw.tensor(TensorData::new(data.dtype, Vec::new(), data.bytes)));
    }
    let mut shape = vec![1; order.len() - data.shape.len()];
    shape.extend(&data.shape);
    Some(rw.tensor(permute_data(&data, &shape, back)))
}

/// A constant tensor of the given shape with its axes permuted.
pub fn permute_data(data: &TensorData, shape: &[i64], order: &[i64]) -> TensorData {
    let size = data.dtype.size();
    let strides = kiln_support::tensor::contiguous_strides(shape);
    let out_shape: Vec<i64> = order.iter().map(|&axis| shape[axis as usize]).collect();
    let mut bytes = Vec::with_capacity(data.bytes.len());
    let mut index = vec![0i64; out_shape.len()];
    for _ in 0..data.len() {
        let at: i64 = index.iter().zip(order).map(|(i, &axis)| i * strides[axis as usize]).sum();
        bytes.extend_from_slice(&data.bytes[at as usize * size..][..size]);
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < out_shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    TensorData::new(data.dtype, out_shape, bytes)
}

/// A concatenation of tensors that are permuted the same way.
fn concatenation(rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Value> {
    let out = rw.result_facts(node)?;
    let parts = rw.graph.as_list(args[0])?.to_vec();
    let Some(Literal::Int(axis)) = rw.graph.as_const(args[1]).cloned() else { return None };
    if parts.iter().any(|&p| as_permute(rw, p).is_none()) {
        return None;
    }
    let order = common_order(rw, &parts, out.rank())?;
    let bases: Option<Vec<Value>> = parts.iter().map(|&p| as_permute(rw, p).map(|(base, _)| base)).collect();
    let axis = order[axis.rem_euclid(out.rank() as i64) as usize];
    let list = rw.graph.add_value(rw.block, Op::List, bases?, Type::list(Type::Any), node.span);
    let axis = rw.constant(Literal::Int(axis), Type::Int);
    let result = rw.table("aten::cat", vec![list, axis], tensor(permuted(&out, &inverse(&order))), node);
    Some(permute(rw, result, &order, node))
}

/// A reduction over some axes of a permuted tensor.
fn reduction(rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Value> {
    let out = rw.result_facts(node)?;
    let (base, order) = as_permute(rw, args[0])?;
    let rank = order.len() as i64;
    let axes: Vec<i64> = rw.const_ints(args[1])?.iter().map(|a| order[a.rem_euclid(rank) as usize]).collect();
    let Some(Literal::Bool(keep)) = rw.graph.as_const(args[2]) else { return None };
    if axes.is_empty() {
        return None;
    }
    let kept: Vec<i64> = order.iter().copied().filter(|axis| *keep || !axes.contains(axis)).collect();
    // How the kept axes are ordered in the base, and the permute that is left after the reduction.
    let mut sorted = kept.clone();
    sorted.sort_unstable();
    let left: Vec<i64> = kept.iter().map(|axis| sorted.iter().position(|s| s == axis).expect("the same axes") as i64).collect();
    let ty = permuted(&out, &inverse(&left));
    let mut operands = args.to_vec();
    operands[0] = base;
    operands[1] = rw.ints(&axes);
    let Op::Table(op) = node.op else { unreachable!("called for operators of the table") };
    let result = rw.table(table().key(op), operands, tensor(ty), node);
    Some(if is_identity(&left) { result } else { permute(rw, result, &left, node) })
}

/// What is known of an operand.
pub fn fact(rw: &Rewriter, value: Value) -> Fact {
    if let Some(literal) = rw.graph.as_const(value)
        && !matches!(literal, Literal::Tensor(_))
    {
        return literal_fact(literal);
    }
    match rw.graph.ty(value) {
        Type::Tensor(Some(facts)) => Fact::Tensor(TensorType::clone(facts)),
        Type::Int => Fact::Int(Dim::Value(value)),
        Type::Float => Fact::Float(Err(value)),
        Type::Bool => Fact::Bool(Err(value)),
        _ => match rw.graph.as_list(value) {
            Some(items) => Fact::List(items.iter().map(|&v| fact(rw, v)).collect()),
            None => Fact::Opaque,
        },
    }
}

fn literal_fact(literal: &Literal) -> Fact {
    match literal {
        Literal::None => Fact::None,
        Literal::Int(i) => Fact::Int(Dim::Const(*i)),
        Literal::Float(f) => Fact::Float(Ok(*f)),
        Literal::Bool(b) => Fact::Bool(Ok(*b)),
        Literal::Str(s) => Fact::Str(s.clone()),
        Literal::List(items) => Fact::List(items.iter().map(literal_fact).collect()),
        _ => Fact::Opaque,
    }
}
