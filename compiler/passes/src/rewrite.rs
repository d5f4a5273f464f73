//! Rewriting residual graphs: a pass walks the old graph in order and builds a new one.
//!
//! A rule sees each node with its operands already mapped to the new graph, and either gives the
//! values that stand for its results or lets it be copied. What is not used any more is simply not
//! copied by [`remove_dead`], which every pass ends with.

use kiln_graph::{Block, Dim, Graph, Literal, Node, NodeData, Op, TensorType, Type, Value};
use kiln_ops::{Body, entry, table};
use kiln_support::{SecondaryMap, TensorData};
use std::collections::HashMap;
use std::sync::Arc;

/// A pass as a rule on nodes.
pub trait Rule {
    /// Values of the new graph that stand for the results of `node` (of the old graph), whose operands in the new graph
    /// are `args`; or nothing to copy it.
    fn apply(&mut self, rewriter: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Vec<Value>>;
}

/// The new graph under construction.
pub struct Rewriter {
    /// The new graph.
    pub graph: Graph,
    /// The block that nodes are added to.
    pub block: Block,
    map: SecondaryMap<Value, Option<Value>>,
    origins: HashMap<Value, Value>,
    old_types: SecondaryMap<Value, Type>,
}

/// Rewrites a graph by a rule.
pub fn rewrite<R: Rule>(old: &Graph, rule: &mut R) -> Graph {
    rewrite_with(old, rule, &mut |_, _| {})
}

/// As [`rewrite`]; `finish` sees the new graph before what is not used is dropped.
pub fn rewrite_with<R: Rule>(old: &Graph, rule: &mut R, finish: &mut dyn FnMut(&mut Rewriter, &R)) -> Graph {
    let graph = Graph::new();
    let block = graph.entry;
    let mut old_types = SecondaryMap::with_default(Type::Never);
    old.values.iter().for_each(|(value, data)| old_types[value] = data.ty.clone());
    let mut rewriter = Rewriter { graph, block, map: SecondaryMap::default(), origins: HashMap::new(), old_types };
    rewriter.copy_block(old, old.entry, block, rule);
    finish(&mut rewriter, rule);
    remove_dead(&rewriter.graph)
}

impl Rewriter {
    fn mapped(&self, value: Value) -> Value {
        self.map[value].unwrap_or_else(|| panic!("{value} has no counterpart: it is used before its definition"))
    }

    fn mapped_type(&self, ty: &Type) -> Type {
        match ty {
            Type::Tensor(Some(facts)) => {
                let dims = facts.dims.iter().map(|d| match d {
                    Dim::Value(v) => self.map_dim(*v),
                    dim => *dim,
                });
                Type::Tensor(Some(Arc::new(TensorType { dtype: facts.dtype, dims: dims.collect() })))
            }
            other => other.clone(),
        }
    }

    /// The counterpart of a symbolic size: a constant where it has become one.
    fn map_dim(&self, value: Value) -> Dim {
        let value = self.mapped(value);
        match self.graph.as_const(value) {
            Some(Literal::Int(n)) => Dim::Const(*n),
            _ => Dim::Value(value),
        }
    }

    fn copy_block(&mut self, old: &Graph, from: Block, to: Block, rule: &mut dyn Rule) {
        let data = &old.blocks[from];
        let outer = std::mem::replace(&mut self.block, to);
        for pass_ints in [true, false] {
            for &param in &data.params {
                if (*old.ty(param) == Type::Int) == pass_ints {
                    // The place among the parameters is set below.
                    let ty = self.mapped_type(old.ty(param));
                    let value = self.graph.add_param(to, ty, old.values[param].name.as_deref());
                    self.map[param] = Some(value);
                }
            }
        }
        self.order_params(&data.params, to);
        for &node in &data.nodes {
            self.copy_node(old, node, rule);
        }
        self.graph.blocks[to].yields = data.yields.iter().map(|&v| self.mapped(v)).collect();
        self.graph.blocks[to].diverges = data.diverges;
        self.block = outer;
    }

    /// Puts the parameters of a block in the order of the old ones.
    fn order_params(&mut self, old: &[Value], block: Block) {
        let params: Vec<Value> = old.iter().map(|&p| self.mapped(p)).collect();
        for (at, &param) in params.iter().enumerate() {
            self.graph.values[param].def = kiln_graph::ValueDef::Param(block, at as u32);
        }
        self.graph.blocks[block].params = params;
    }

    fn copy_node(&mut self, old: &Graph, node: Node, rule: &mut dyn Rule) {
        let data = &old.nodes[node];
        let args: Vec<Value> = data.args.iter().map(|&v| self.mapped(v)).collect();
        if data.blocks.is_empty()
            && let Some(values) = rule.apply(self, data, &args)
        {
            assert_eq!(values.len(), data.results.len(), "a rule gives one value per result");
            for (&from, value) in data.results.iter().zip(values) {
                self.map[from] = Some(value);
            }
            return;
        }
        let copy = self.graph.add_node(self.block, data.op.clone(), args, Vec::new(), data.span);
        for &inner in &data.blocks {
            let block = self.graph.add_block();
            self.graph.nodes[copy].blocks.push(block);
            self.copy_block(old, inner, block, rule);
        }
        self.copy_results(old, data, copy);
    }

    fn copy_results(&mut self, old: &Graph, data: &NodeData, copy: Node) {
        let results: Vec<Value> = data.results.iter().map(|_| self.graph.add_result(copy, Type::Int)).collect();
        for (&from, &to) in data.results.iter().zip(&results) {
            self.map[from] = Some(to);
            self.graph.values[to].name.clone_from(&old.values[from].name);
        }
        for (&from, &to) in data.results.iter().zip(&results) {
            self.graph.values[to].ty = self.mapped_type(old.ty(from));
        }
    }

    /// Copies a node that has no blocks, with results of their own types.
    pub fn copied(&mut self, node: &NodeData, args: &[Value]) -> Vec<Value> {
        let types: Vec<Type> = node.results.iter().map(|&r| self.mapped_type(&self.old_types[r].clone())).collect();
        let copy = self.graph.add_node(self.block, node.op.clone(), args.to_vec(), types, node.span);
        self.graph.nodes[copy].results.clone()
    }

    /// Notes which value of the new graph another one of it stands for.
    pub fn set_origin(&mut self, value: Value, origin: Value) {
        self.origins.insert(value, origin);
    }

    /// The value that another one of the new graph stands for.
    pub fn origin(&self, value: Value) -> Option<Value> {
        self.origins.get(&value).copied()
    }

    /// Adds an operator of the table with one result.
    pub fn table(&mut self, key: &str, args: Vec<Value>, ty: Type, like: &NodeData) -> Value {
        self.graph.add_value(self.block, Op::Table(table().get(key)), args, ty, like.span)
    }

    /// Adds a constant.
    pub fn constant(&mut self, literal: Literal, ty: Type) -> Value {
        self.graph.add_const(self.block, literal, ty, kiln_support::Span::NONE)
    }

    /// Adds a constant tensor.
    pub fn tensor(&mut self, data: TensorData) -> Value {
        let ty = Type::Tensor(Some(Arc::new(TensorType::of(data.dtype, &data.shape))));
        self.constant(Literal::Tensor(data), ty)
    }

    /// Adds a constant list of ints.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        self.constant(Literal::ints(values), Type::list(Type::Int))
    }

    /// The key of the operator that defines a value, with its node.
    pub fn def(&self, value: Value) -> Option<(&'static str, &NodeData)> {
        let node = &self.graph.nodes[self.graph.def_node(value)?];
        match node.op {
            Op::Table(op) => Some((table().key(op), node)),
            _ => None,
        }
    }

    /// The contents of a constant tensor.
    pub fn const_tensor(&self, value: Value) -> Option<&TensorData> {
        match self.graph.as_const(value)? {
            Literal::Tensor(data) => Some(data),
            _ => None,
        }
    }

    /// A constant list of ints.
    pub fn const_ints(&self, value: Value) -> Option<Vec<i64>> {
        match self.graph.as_const(value)? {
            Literal::List(items) => items.iter().map(Literal::as_int).collect(),
            _ => None,
        }
    }

    /// The facts of the only result of a node of the old graph, with sizes of the new one.
    pub fn result_facts(&self, node: &NodeData) -> Option<TensorType> {
        match node.results.as_slice() {
            [one] => match self.mapped_type(&self.old_types[*one]) {
                Type::Tensor(Some(facts)) => Some(TensorType::clone(&facts)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The facts of a tensor value.
    pub fn facts(&self, value: Value) -> Option<&TensorType> {
        self.graph.ty(value).as_tensor()
    }
}

/// Whether a node can be left out when nothing uses its results.
pub fn is_pure(data: &NodeData) -> bool {
    match &data.op {
        Op::Const(_) | Op::Tuple(_) | Op::TupleGet(_) | Op::Box | Op::Wrap | Op::Unwrap | Op::IsInstance(_) | Op::Uninit => true,
        Op::WriteView(_) | Op::StateLoad(_) | Op::List => true,
        Op::Table(op) => match entry(table().key(*op)).map(|e| e.body) {
            Some(Body::Tensor { .. } | Body::View { .. } | Body::Scalar(_)) => true,
            Some(Body::Extern { .. } | Body::Scatter { .. } | Body::Runtime { .. }) => false,
            None => table().key(*op).ends_with(".Tensor") && data.results.len() == 1,
        },
        _ => false,
    }
}

/// The graph without pure nodes that nothing uses.
pub fn remove_dead(old: &Graph) -> Graph {
    let mut live: SecondaryMap<Value, bool> = SecondaryMap::default();
    let mut keep: SecondaryMap<Node, bool> = SecondaryMap::default();
    mark_block(old, old.entry, &mut live, &mut keep);
    let mut graph = old.clone();
    for block in old.blocks.keys() {
        graph.blocks[block].nodes.retain(|&n| keep[n]);
    }
    graph
}

/// Marks what a block needs, last node first, so that one walk is enough.
fn mark_block(graph: &Graph, block: Block, live: &mut SecondaryMap<Value, bool>, keep: &mut SecondaryMap<Node, bool>) {
    let data = &graph.blocks[block];
    for &value in data.yields.iter().chain(&data.params) {
        mark_value(graph, value, live);
    }
    for &node in data.nodes.iter().rev() {
        let node_data = &graph.nodes[node];
        if is_pure(node_data) && !node_data.results.iter().any(|&r| live[r]) {
            continue;
        }
        keep[node] = true;
        for &result in &node_data.results {
            mark_value(graph, result, live);
        }
        for &arg in &node_data.args {
            mark_value(graph, arg, live);
        }
        for &inner in node_data.blocks.iter().rev() {
            mark_block(graph, inner, live, keep);
        }
    }
}

/// Marks a value and the sizes in its type.
fn mark_value(graph: &Graph, value: Value, live: &mut SecondaryMap<Value, bool>) {
    live[value] = true;
    if let Type::Tensor(Some(facts)) = graph.ty(value) {
        for dim in &facts.dims {
            if let Dim::Value(size) = dim {
                live[*size] = true;
            }
        }
    }
}
