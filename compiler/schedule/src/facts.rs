//! What the graph knows of an operator's arguments, in the form that operators' rules take.

use kiln_graph::{Dim, Graph, Literal, Node, Op, TensorType, Type, Value};
use kiln_ops::Fact;
use kiln_support::{DType, TensorData};

/// The facts of a node's operands.
pub fn facts(graph: &Graph, args: &[Value]) -> Vec<Fact> {
    args.iter().map(|&v| fact(graph, v)).collect()
}

/// What is known of a value.
pub fn fact(graph: &Graph, value: Value) -> Fact {
    if let Some(node) = graph.def_node(value) {
        match &graph.nodes[node].op {
            Op::Const(literal) => return literal_fact(literal),
            Op::List | Op::Tuple(_) => return Fact::List(facts(graph, &graph.nodes[node].args)),
            _ => {}
        }
    }
    match graph.ty(value) {
        Type::None => Fact::None,
        Type::Int => Fact::Int(Dim::Value(value)),
        Type::Float => Fact::Float(Err(value)),
        Type::Bool => Fact::Bool(Err(value)),
        Type::Tensor(Some(facts)) => Fact::Tensor((**facts).clone()),
        _ => Fact::Opaque,
    }
}

fn literal_fact(literal: &Literal) -> Fact {
    match literal {
        Literal::None => Fact::None,
        Literal::Bool(b) => Fact::Bool(Ok(*b)),
        Literal::Int(i) => Fact::Int(Dim::Const(*i)),
        Literal::Float(f) => Fact::Float(Ok(*f)),
        Literal::Str(s) => Fact::Str(s.clone()),
        Literal::List(items) => Fact::List(items.iter().map(literal_fact).collect()),
        Literal::Tensor(data) => Fact::Tensor(TensorType::of(data.dtype, &data.shape)),
        Literal::Complex(..) | Literal::Device(_) => Fact::Opaque,
    }
}

/// The constant tensor that a value is.
pub fn const_tensor(graph: &Graph, value: Value) -> Option<&TensorData> {
    match graph.as_const(value) {
        Some(Literal::Tensor(data)) => Some(data),
        _ => None,
    }
}

/// The element that all elements of a tensor are, bit by bit.
pub fn splat(data: &TensorData) -> Option<&[u8]> {
    let size = data.dtype.size();
    let first = data.bytes.get(..size)?;
    data.bytes.chunks_exact(size).all(|chunk| chunk == first).then_some(first)
}

/// The type of a tensor result. A result that is a scalar counts as a tensor without dimensions.
pub fn tensor_type(graph: &Graph, value: Value) -> Option<TensorType> {
    match graph.ty(value) {
        Type::Tensor(Some(facts)) => Some((**facts).clone()),
        Type::Int => Some(TensorType::of(DType::I64, &[])),
        Type::Float => Some(TensorType::of(DType::F64, &[])),
        Type::Bool => Some(TensorType::of(DType::Bool, &[])),
        _ => None,
    }
}

/// The types of a node's results as tensors.
pub fn result_types(graph: &Graph, node: Node) -> Option<Vec<TensorType>> {
    graph.nodes[node].results.iter().map(|&v| tensor_type(graph, v)).collect()
}
