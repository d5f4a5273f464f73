//! The structural verifier. What it holds a graph to:
//!
//! 1. Every value is defined once, by the node or block that its `def` names.
//! 2. Operands, yields and symbolic sizes are defined before their use, in the same block or one around it.
//! 3. A node stands in one block, a block in one node (or is the entry).
//! 4. `If` has one bool operand and two blocks without parameters that yield one value per result;
//!    `Loop` has a body with parameters `i, carried...` that yields `condition, carried...`.
//! 5. A block that diverges yields nothing.
//!
//! What operators demand of their operands' types is checked by the operator table.

use crate::{Block, Dim, Graph, Node, Op, Type, Value, ValueDef};
use std::collections::HashSet;

/// Checks a graph; the error is one sentence per violated rule, with the entity.
pub fn verify(graph: &Graph) -> Result<(), String> {
    let mut verifier =
        Verifier { graph, defined: HashSet::new(), nodes: HashSet::new(), blocks: HashSet::new(), errors: Vec::new() };
    verifier.block(graph.entry);
    if verifier.errors.is_empty() { Ok(()) } else { Err(verifier.errors.join("\n")) }
}

struct Verifier<'a> {
    graph: &'a Graph,
    defined: HashSet<Value>,
    nodes: HashSet<Node>,
    blocks: HashSet<Block>,
    errors: Vec<String>,
}

impl Verifier<'_> {
    fn require(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.errors.push(message());
        }
    }

    fn define(&mut self, value: Value, def: ValueDef) {
        self.require(self.graph.values[value].def == def, || format!("{value}: its definition is recorded elsewhere"));
        if let Type::Tensor(Some(facts)) = self.graph.ty(value) {
            for dim in &facts.dims {
                match dim {
                    Dim::Const(n) => self.require(*n >= 0, || format!("{value}: negative size {n}")),
                    Dim::Value(size) => {
                        self.used(*size, &format!("the type of {value}"));
                        self.require(*self.graph.ty(*size) == Type::Int, || format!("{value}: size {size} is not an int"));
                    }
                }
            }
        }
        let fresh = self.defined.insert(value);
        self.require(fresh, || format!("{value}: defined twice"));
    }

    fn used(&mut self, value: Value, place: &str) {
        self.require(self.defined.contains(&value), || format!("{place}: {value} is not defined before its use"));
    }

    fn block(&mut self, block: Block) {
        let fresh = self.blocks.insert(block);
        self.require(fresh, || format!("{block}: used twice"));
        let outer = self.defined.clone();
        let data = &self.graph.blocks[block];
        // Sizes in the type of one parameter may be other parameters: ints first.
        for pass_ints in [true, false] {
            for (i, &param) in data.params.iter().enumerate() {
                if (*self.graph.ty(param) == Type::Int) == pass_ints {
                    self.define(param, ValueDef::Param(block, i as u32));
                }
            }
        }
        for &node in &data.nodes {
            self.node(node);
        }
        for &value in &data.yields {
            self.used(value, &format!("the yield of {block}"));
        }
        self.require(!data.diverges || data.yields.is_empty(), || format!("{block}: diverges and yields"));
        self.defined = outer;
    }

    fn node(&mut self, node: Node) {
        let fresh = self.nodes.insert(node);
        self.require(fresh, || format!("{node}: stands in two places"));
        let data = &self.graph.nodes[node];
        for &arg in &data.args {
            self.used(arg, &format!("{node}"));
        }
        match data.op {
            Op::If => self.check_if(node),
            Op::Loop => self.check_loop(node),
            _ => self.require(data.blocks.is_empty(), || format!("{node}: has blocks but is no control flow")),
        }
        for &block in &data.blocks {
            self.block(block);
        }
        for pass_ints in [true, false] {
            for (i, &result) in data.results.iter().enumerate() {
                if (*self.graph.ty(result) == Type::Int) == pass_ints {
                    self.define(result, ValueDef::Result(node, i as u32));
                }
            }
        }
    }

    fn check_if(&mut self, node: Node) {
        let data = &self.graph.nodes[node];
        self.require(data.args.len() == 1 && data.blocks.len() == 2, || format!("{node}: an if has one operand and two blocks"));
        for &block in &data.blocks {
            let inner = &self.graph.blocks[block];
            self.require(inner.params.is_empty(), || format!("{block}: a branch has no parameters"));
            let fits = inner.diverges || inner.yields.len() == data.results.len();
            self.require(fits, || format!("{block}: yields {} values for {} results", inner.yields.len(), data.results.len()));
        }
    }

    fn check_loop(&mut self, node: Node) {
        let data = &self.graph.nodes[node];
        let carried = data.results.len();
        self.require(data.args.len() == carried + 2 && data.blocks.len() == 1, || format!("{node}: operands do not fit results"));
        for &block in &data.blocks {
            let inner = &self.graph.blocks[block];
            self.require(inner.params.len() == carried + 1, || {
                format!("{block}: a loop body has an index and {carried} parameters")
            });
            let fits = inner.diverges || inner.yields.len() == carried + 1;
            self.require(fits, || format!("{block}: a loop body yields a condition and {carried} values"));
        }
    }
}
