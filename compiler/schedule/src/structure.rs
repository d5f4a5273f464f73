//! Where nodes and values stand in a graph, who uses them, and which nodes are needed at all.

use crate::source::body;
use kiln_graph::{Block, Graph, Node, Op, Value, ValueDef};
use kiln_ops::Body;
use kiln_support::SecondaryMap;

/// A use of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// An operand of a node, by position.
    Operand(Node, usize),
    /// A yield of a block, by position.
    Yield(Block, usize),
}

/// The nesting of a graph and the uses in it. Nodes that nothing needs do not count as users.
pub struct Structure {
    /// The block and position of each node.
    place: SecondaryMap<Node, Option<(Block, usize)>>,
    /// The node around each block.
    parent: SecondaryMap<Block, Option<Node>>,
    uses: SecondaryMap<Value, Vec<Use>>,
    needed: SecondaryMap<Node, bool>,
}

impl Structure {
    /// Looks at a whole graph.
    pub fn new(graph: &Graph) -> Structure {
        let mut structure = Structure {
            place: SecondaryMap::default(),
            parent: SecondaryMap::default(),
            uses: SecondaryMap::default(),
            needed: SecondaryMap::default(),
        };
        structure.locate(graph, graph.entry);
        structure.mark_block(graph, graph.entry);
        structure
    }

    fn locate(&mut self, graph: &Graph, block: Block) {
        for (at, &node) in graph.blocks[block].nodes.iter().enumerate() {
            self.place[node] = Some((block, at));
            for &inner in &graph.nodes[node].blocks {
                self.parent[inner] = Some(node);
                self.locate(graph, inner);
            }
        }
    }

    /// Marks what a block needs, last node first, and records its uses.
    fn mark_block(&mut self, graph: &Graph, block: Block) {
        for (at, &value) in graph.blocks[block].yields.iter().enumerate() {
            self.uses[value].push(Use::Yield(block, at));
        }
        for &node in graph.blocks[block].nodes.iter().rev() {
            let data = &graph.nodes[node];
            if is_pure(graph, node) && data.results.iter().all(|&r| self.uses[r].is_empty()) {
                continue;
            }
            self.needed[node] = true;
            for (at, &arg) in data.args.iter().enumerate() {
                self.uses[arg].push(Use::Operand(node, at));
            }
            for &inner in data.blocks.iter().rev() {
                self.mark_block(graph, inner);
            }
        }
    }

    /// Whether something needs a node.
    pub fn is_needed(&self, node: Node) -> bool {
        self.needed[node]
    }

    /// The uses of a value by needed nodes and yields; inner and later ones first.
    pub fn uses(&self, value: Value) -> &[Use] {
        &self.uses[value]
    }

    /// The block a node stands in. Panics when it stands in none.
    pub fn block_of(&self, node: Node) -> Block {
        self.place[node].expect("a reachable node").0
    }

    /// The position of a node in its block.
    pub fn position(&self, node: Node) -> usize {
        self.place[node].expect("a reachable node").1
    }

    /// The block that a value is defined in.
    pub fn def_block(&self, graph: &Graph, value: Value) -> Block {
        match graph.values[value].def {
            ValueDef::Param(block, _) => block,
            ValueDef::Result(node, _) => self.block_of(node),
        }
    }

    /// The node around a block, unless it is the entry.
    pub fn parent(&self, block: Block) -> Option<Node> {
        self.parent[block]
    }

    /// The node of `outer` that a use in `block` counts for: none where `block` is `outer` itself.
    pub fn ancestor(&self, block: Block, outer: Block) -> Option<Node> {
        let (mut block, mut found) = (block, None);
        while block != outer {
            let node = self.parent[block].expect("the definition is in a block around the use");
            found = Some(node);
            block = self.block_of(node);
        }
        found
    }

    /// Whether a list or constant serves only as an operator's attribute, so that there is no object.
    pub fn is_attribute(&self, graph: &Graph, value: Value) -> bool {
        self.uses(value).iter().all(|&user| match user {
            Use::Yield(..) => false,
            Use::Operand(node, _) => match graph.nodes[node].op {
                Op::List => self.is_attribute(graph, graph.result(node)),
                _ => takes_attributes(graph, node),
            },
        })
    }
}

/// Whether a node's operands other than tensors are attributes.
pub fn takes_attributes(graph: &Graph, node: Node) -> bool {
    match graph.nodes[node].op {
        Op::WriteView(_) => true,
        Op::Table(_) => matches!(
            body(graph, node),
            Some(Body::Tensor { .. } | Body::View { .. } | Body::Scatter { .. } | Body::Extern { .. })
        ),
        _ => false,
    }
}

/// Whether a node may be left out when nothing uses its results.
fn is_pure(graph: &Graph, node: Node) -> bool {
    match &graph.nodes[node].op {
        Op::Const(_) | Op::List | Op::Tuple(_) | Op::TupleGet(_) | Op::Dict | Op::New(_) | Op::GetAttr(_) => true,
        Op::EnumValue(..) | Op::Cast | Op::Annotate | Op::IsInstance(_) | Op::Uninit | Op::StateLoad(_) => true,
        Op::WriteView(_) | Op::Box | Op::Unwrap | Op::Wrap => true,
        Op::Table(_) => matches!(body(graph, node), Some(Body::Tensor { .. } | Body::View { .. })),
        _ => false,
    }
}
