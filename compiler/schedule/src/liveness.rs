//! Where each value is used last, seen from the block that defines it.
//!
//! A use inside a nested block counts as a use by the nested node. An inlined tensor is not a use of its
//! operands; whoever loads it uses them.

use crate::structure::Structure;
use kiln_graph::{Block, Graph, Node, Op, Value};
use std::collections::{HashMap, HashSet};

/// A moment in a block: 0 is its start, `i + 1` is node `i`, one more than the last node is its yields.
pub type Moment = usize;

/// Last uses.
#[derive(Default)]
pub struct Liveness {
    last: HashMap<Value, Moment>,
    dying: HashMap<(Block, Moment), Vec<Value>>,
}

/// The moment of a node in its block.
pub fn moment(structure: &Structure, node: Node) -> Moment {
    structure.position(node) + 1
}

/// The moment of a block's yields.
pub fn end(graph: &Graph, block: Block) -> Moment {
    graph.blocks[block].nodes.len() + 1
}

impl Liveness {
    /// Computes last uses; `inlined` tells which tensors are expressions.
    pub fn new(graph: &Graph, structure: &Structure, inlined: &dyn Fn(Value) -> bool) -> Liveness {
        let mut live = Liveness::default();
        live.block(graph, structure, inlined, graph.entry);
        let mut all: Vec<(Value, Moment)> = live.last.iter().map(|(&v, &m)| (v, m)).collect();
        all.sort_by_key(|(v, _)| v.0);
        for (value, moment) in all {
            live.dying.entry((structure.def_block(graph, value), moment)).or_default().push(value);
        }
        live
    }

    fn block(&mut self, graph: &Graph, structure: &Structure, inlined: &dyn Fn(Value) -> bool, block: Block) {
        let data = &graph.blocks[block];
        for &param in &data.params {
            self.last.insert(param, 0);
        }
        for &node in &data.nodes {
            if !structure.is_needed(node) {
                continue;
            }
            for &result in &graph.nodes[node].results {
                self.last.insert(result, moment(structure, node));
            }
            if !is_silent(graph, structure, inlined, node) {
                for value in expand(graph, inlined, &graph.nodes[node].args) {
                    self.used(graph, structure, value, block, moment(structure, node));
                }
            }
            for &inner in &graph.nodes[node].blocks {
                self.block(graph, structure, inlined, inner);
            }
        }
        for value in expand(graph, inlined, &data.yields) {
            self.used(graph, structure, value, block, end(graph, block));
        }
    }

    fn used(&mut self, graph: &Graph, structure: &Structure, value: Value, block: Block, at: Moment) {
        let outer = structure.def_block(graph, value);
        let at = structure.ancestor(block, outer).map_or(at, |node| moment(structure, node));
        let last = self.last.entry(value).or_insert(0);
        *last = at.max(*last);
    }

    /// The last moment, in the block that defines it, at which a value is used.
    pub fn last_use(&self, value: Value) -> Moment {
        self.last.get(&value).copied().unwrap_or(0)
    }

    /// The values of a block that are used last at a moment.
    pub fn dying(&self, block: Block, at: Moment) -> &[Value] {
        self.dying.get(&(block, at)).map_or(&[], Vec::as_slice)
    }
}

/// Whether a node does nothing where it stands: an inlined tensor or a list of attributes.
pub fn is_silent(graph: &Graph, structure: &Structure, inlined: &dyn Fn(Value) -> bool, node: Node) -> bool {
    let results = &graph.nodes[node].results;
    match graph.nodes[node].op {
        Op::List | Op::Tuple(_) => structure.is_attribute(graph, results[0]),
        _ => results.len() == 1 && inlined(results[0]),
    }
}

/// What is really read where these values are operands: operands of inlined tensors and items of lists of
/// attributes instead of these themselves.
pub fn expand(graph: &Graph, inlined: &dyn Fn(Value) -> bool, values: &[Value]) -> Vec<Value> {
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    let mut work: Vec<Value> = values.iter().rev().copied().collect();
    while let Some(value) = work.pop() {
        if !seen.insert(value) {
            continue;
        }
        found.push(value);
        if let Some(node) = graph.def_node(value)
            && (inlined(value) || matches!(graph.nodes[node].op, Op::List | Op::Tuple(_)))
        {
            work.extend(graph.nodes[node].args.iter().rev());
        }
    }
    found
}
