//! Equal pure operators on equal operands become one: what passes that wrap and move operators leave behind.

use crate::source::body;
use crate::structure::takes_attributes;
use kiln_graph::{Block, Dim, Graph, Literal, Node, Op, TensorType, Type, Value};
use kiln_ops::Body;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Makes later equal nodes' users use the first one's results. The later nodes stay, without uses.
pub fn share(graph: &mut Graph) {
    let mut objects = HashSet::new();
    graph.visit(graph.entry, &mut |_, node| {
        if !takes_attributes(graph, node) {
            objects.extend(&graph.nodes[node].args);
        }
        graph.nodes[node].blocks.iter().for_each(|&block| objects.extend(&graph.blocks[block].yields));
    });
    let mut sharing = Sharing { objects, known: HashMap::new(), renamed: HashMap::new() };
    sharing.block(graph, graph.entry);
}

/// What makes two nodes equal: operator or constant, operands, types of the results.
type Key = (String, Vec<Value>, Vec<Type>);

struct Sharing {
    /// What is used as a run-time object: a list among it has an identity.
    objects: HashSet<Value>,
    /// Nodes of the block and those around it.
    known: HashMap<Key, Node>,
    renamed: HashMap<Value, Value>,
}

impl Sharing {
    fn block(&mut self, graph: &mut Graph, block: Block) {
        let mut added = Vec::new();
        for param in graph.blocks[block].params.clone() {
            self.rename_sizes(graph, param);
        }
        for node in graph.blocks[block].nodes.clone() {
            self.rename(&mut graph.nodes[node].args);
            for result in graph.nodes[node].results.clone() {
                self.rename_sizes(graph, result);
            }
            for inner in graph.nodes[node].blocks.clone() {
                self.block(graph, inner);
            }
            let Some(key) = self.key(graph, node) else { continue };
            match self.known.get(&key) {
                Some(&first) => {
                    let pairs = graph.nodes[node].results.iter().zip(&graph.nodes[first].results);
                    self.renamed.extend(pairs.map(|(&own, &other)| (own, other)));
                }
                None => {
                    self.known.insert(key.clone(), node);
                    added.push(key);
                }
            }
        }
        self.rename(&mut graph.blocks[block].yields);
        for key in added {
            self.known.remove(&key);
        }
    }

    fn rename(&self, values: &mut [Value]) {
        for value in values {
            *value = self.renamed.get(value).copied().unwrap_or(*value);
        }
    }

    /// Renames the values in a tensor's type.
    fn rename_sizes(&self, graph: &mut Graph, value: Value) {
        let Type::Tensor(Some(facts)) = graph.ty(value) else { return };
        let renamed = |d: &Dim| match d {
            Dim::Value(size) => Dim::Value(self.renamed.get(size).copied().unwrap_or(*size)),
            other => *other,
        };
        let dims: Vec<Dim> = facts.dims.iter().map(renamed).collect();
        if dims != facts.dims {
            let dtype = facts.dtype;
            graph.values[value].ty = Type::Tensor(Some(Arc::new(TensorType { dtype, dims })));
        }
    }

    /// The key of a node that may be shared.
    fn key(&self, graph: &Graph, node: Node) -> Option<Key> {
        let data = &graph.nodes[node];
        let text = match &data.op {
            Op::Table(op) => {
                let is_pure = matches!(body(graph, node), Some(Body::Tensor { .. } | Body::View { .. } | Body::Scalar(_)));
                is_pure.then(|| format!("op {}", op.0))?
            }
            Op::Const(Literal::Tensor(_)) => return None,
            Op::Const(Literal::List(_)) if self.objects.contains(&graph.result(node)) => return None,
            Op::Const(literal) => format!("const {literal}"),
            _ => return None,
        };
        let types = data.results.iter().map(|&r| graph.ty(r).clone()).collect();
        Some((text, data.args.clone(), types))
    }
}
