//! Sizes that operators' rules compute beyond those in the graph: domains of scatters, operands of runtime
//! algorithms. They become int values of the graph before it is lowered, each with how it is computed.

use crate::facts::facts;
use crate::source::body;
use kiln_graph::graph::ValueData;
use kiln_graph::{Dim, Graph, Node, Type, Value, ValueDef};
use kiln_loops::{BinaryOp, Scalar};
use kiln_ops::{Body, DimMath, ExternCall, Infer};
use std::collections::HashMap;

/// A step of size arithmetic.
#[derive(Clone, Debug)]
pub enum Step {
    /// `result = a op b`.
    Binary(Value, BinaryOp, Dim, Dim),
    /// Raises the message unless `a == b`.
    RequireEqual(Dim, Dim, String),
}

/// What an operator's rule gave.
#[derive(Clone, Debug)]
pub enum Ruled {
    /// The domain of a scatter.
    Domain(Vec<Dim>),
    /// The call of a runtime algorithm.
    Call(ExternCall),
}

/// The rules' results by node, with the steps to take before.
pub type Sizes = HashMap<Node, (Vec<Step>, Ruled)>;

/// Runs the rules of all scatters and runtime algorithms of a graph; adds the values they need.
pub fn resolve(graph: &mut Graph) -> Sizes {
    let mut nodes = Vec::new();
    graph.visit(graph.entry, &mut |_, node| nodes.push(node));
    let mut sizes = Sizes::new();
    for node in nodes {
        let args = facts(graph, &graph.nodes[node].args);
        let mut math = Recorder { graph, node, steps: Vec::new() };
        let ruled = match body(math.graph, node) {
            Some(Body::Scatter { scatter, .. }) => Ruled::Domain((scatter.domain)(&Infer { args: &args, dims: &mut math })),
            Some(Body::Extern { call, .. }) => Ruled::Call(call(&mut Infer { args: &args, dims: &mut math })),
            _ => continue,
        };
        sizes.insert(node, (math.steps, ruled));
    }
    sizes
}

struct Recorder<'a> {
    graph: &'a mut Graph,
    node: Node,
    steps: Vec<Step>,
}

impl DimMath for Recorder<'_> {
    fn binary(&mut self, op: BinaryOp, a: Dim, b: Dim) -> Dim {
        if let (Dim::Const(x), Dim::Const(y)) = (a, b) {
            return Dim::Const(kiln_loops::scalar::binary(op, Scalar::Int(x), Scalar::Int(y)).as_int());
        }
        let known = self.steps.iter().find_map(|step| match step {
            Step::Binary(value, o, x, y) if (*o, *x, *y) == (op, a, b) => Some(*value),
            _ => None,
        });
        let value = known.unwrap_or_else(|| {
            // Such a value counts as a result of the node, after the real ones.
            let at = (self.graph.nodes[self.node].results.len() + self.steps.len()) as u32;
            let value = self.graph.values.push(ValueData { ty: Type::Int, def: ValueDef::Result(self.node, at), name: None });
            self.steps.push(Step::Binary(value, op, a, b));
            value
        });
        Dim::Value(value)
    }

    fn require_equal(&mut self, a: Dim, b: Dim, message: &str) {
        self.steps.push(Step::RequireEqual(a, b, message.to_owned()));
    }
}
