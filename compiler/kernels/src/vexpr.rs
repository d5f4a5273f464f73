//! Scalar f32 expressions that kernels evaluate lane by lane: epilogues, maps, reductions.
//!
//! A [`VExpr`] is a small DAG built bottom up; node ids grow with construction, so the order of nodes is a valid order of
//! evaluation. It is plain data (hashable, comparable: constants are kept as bits) and knows nothing of vectors.
//! [`crate::math::lower`] turns it into machine-level operations.
//!
//! Values are f32. Comparisons give masks, which only [`Binary::And`], [`Binary::Or`], [`Unary::Not`] and
//! [`Node::Select`] may consume. NaN, infinities and signed zero follow PyTorch: `Max`/`Min` propagate NaN of either side.

use crate::isa::CmpOp;

/// A node of a [`VExpr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A value that comes from outside the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// The accumulator of the contraction or pooling whose epilogue this is.
    Acc,
    /// The element of input `k`; how it is addressed is up to the kernel's descriptor.
    Input(u16),
    /// The finished result of reduction pass `k` of a row kernel.
    Row(u16),
}

/// Functions of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// Square root, correctly rounded.
    Sqrt,
    /// `1 / sqrt(x)`, by division.
    Rsqrt,
    /// `1 / x`
    Recip,
    /// `x * x`
    Square,
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceil,
    /// Nearest, ties to even.
    Round,
    /// Towards zero.
    Trunc,
    /// `e^x`: relative error below 1.5e-7; results under 2^-125 become 0.
    Exp,
    /// `e^x - 1`: relative error below 4e-7.
    Expm1,
    /// Natural logarithm: error below 2 ulp.
    Log,
    /// `ln(1 + x)`: relative error below 4e-7.
    Log1p,
    /// Hyperbolic tangent: relative error below 5e-7.
    Tanh,
    /// `1 / (1 + e^-x)`: relative error below 4.5e-7; below -89 the result is 0.
    Sigmoid,
    /// Error function: relative error below 5e-7.
    Erf,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x sigmoid(x)`, with the bound of the sigmoid; a denormal `x` may lose its last bit.
    Silu,
    /// `x Phi(x)` by erf: absolute error below 1e-6, or relative below 6e-7.
    Gelu,
    /// The tanh form of gelu: absolute error below 4e-7, or relative below 6e-7.
    GeluTanh,
    /// `min(max(x + 3, 0), 6) / 6`
    HardSigmoid,
    /// `x hard_sigmoid(x)`
    HardSwish,
    /// `ln(1 + e^x)` (beta 1, linear above 20 as in PyTorch).
    Softplus,
    /// Complement of a mask.
    Not,
}

/// Functions of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`, correctly rounded; by `1 + e^x`, within the bound of [`Unary::Sigmoid`].
    Div,
    /// Larger; NaN if either is NaN.
    Max,
    /// Smaller; NaN if either is NaN.
    Min,
    /// Of masks.
    And,
    /// Of masks.
    Or,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A value from outside.
    Leaf(Leaf),
    /// The f32 with these bits.
    Const(u32),
    /// A function of one value.
    Unary(Unary, NodeId),
    /// A function of two values.
    Binary(Binary, NodeId, NodeId),
    /// `a * b + c`, one rounding.
    Fma(NodeId, NodeId, NodeId),
    /// A comparison; the result is a mask.
    Cmp(CmpOp, NodeId, NodeId),
    /// `mask ? a : b`
    Select(NodeId, NodeId, NodeId),
}

/// A DAG of f32 operations with one or more results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VExpr {
    nodes: Vec<Node>,
    roots: Vec<NodeId>,
}

impl VExpr {
    /// An expression without nodes.
    pub fn new() -> Self {
        VExpr::default()
    }

    /// The expression that is just the accumulator.
    pub fn identity() -> Self {
        let mut e = VExpr::new();
        let acc = e.acc();
        e.root(acc);
        e
    }

    /// All nodes, operands before users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The results, in order.
    pub fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    /// Number of inputs: one more than the largest input read.
    pub fn input_count(&self) -> usize {
        let inputs = self.nodes.iter().filter_map(|n| match n {
            Node::Leaf(Leaf::Input(k)) => Some(*k as usize + 1),
            _ => None,
        });
        inputs.max().unwrap_or(0)
    }

    /// Adds a node, or gives the equal one that exists. Operands must be nodes of this expression.
    pub fn node(&mut self, node: Node) -> NodeId {
        if let Some(i) = self.nodes.iter().position(|n| *n == node) {
            return NodeId(i as u32);
        }
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// The accumulator.
    pub fn acc(&mut self) -> NodeId {
        self.node(Node::Leaf(Leaf::Acc))
    }

    /// Input `k`.
    pub fn input(&mut self, k: u16) -> NodeId {
        self.node(Node::Leaf(Leaf::Input(k)))
    }

    /// Result of reduction pass `k`.
    pub fn row(&mut self, k: u16) -> NodeId {
        self.node(Node::Leaf(Leaf::Row(k)))
    }

    /// A constant.
    pub fn constant(&mut self, value: f32) -> NodeId {
        self.node(Node::Const(value.to_bits()))
    }

    /// A function of one value.
    pub fn unary(&mut self, op: Unary, a: NodeId) -> NodeId {
        self.node(Node::Unary(op, a))
    }

    /// A function of two values.
    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> NodeId {
        self.node(Node::Binary(op, a, b))
    }

    /// `a * b + c`.
    pub fn fma(&mut self, a: NodeId, b: NodeId, c: NodeId) -> NodeId {
        self.node(Node::Fma(a, b, c))
    }

    /// A comparison.
    pub fn cmp(&mut self, op: CmpOp, a: NodeId, b: NodeId) -> NodeId {
        self.node(Node::Cmp(op, a, b))
    }

    /// `mask ? a : b`.
    pub fn select(&mut self, mask: NodeId, a: NodeId, b: NodeId) -> NodeId {
        self.node(Node::Select(mask, a, b))
    }

    /// Appends a result.
    pub fn root(&mut self, node: NodeId) {
        self.roots.push(node);
    }

    /// Replaces result `i`.
    pub fn set_root(&mut self, i: usize, node: NodeId) {
        self.roots[i] = node;
    }

    /// The expression with every use of node `old` replaced by the leaf `new`; none if `new` has other users than `old`.
    pub fn replaced(&self, old: NodeId, new: NodeId) -> Option<VExpr> {
        let users = self.nodes.iter().enumerate().filter(|(_, n)| operands(n).contains(&new));
        let is_root = self.roots.contains(&new);
        if is_root || users.map(|(at, _)| at).any(|at| at != old.0 as usize) {
            return None;
        }
        let of = |n: NodeId| if n == old { new } else { n };
        let renamed = |node: &Node| match *node {
            Node::Leaf(_) | Node::Const(_) => *node,
            Node::Unary(op, a) => Node::Unary(op, of(a)),
            Node::Binary(op, a, b) => Node::Binary(op, of(a), of(b)),
            Node::Cmp(op, a, b) => Node::Cmp(op, of(a), of(b)),
            Node::Fma(a, b, c) => Node::Fma(of(a), of(b), of(c)),
            Node::Select(a, b, c) => Node::Select(of(a), of(b), of(c)),
        };
        Some(VExpr { nodes: self.nodes.iter().map(renamed).collect(), roots: self.roots.iter().map(|&r| of(r)).collect() })
    }

    /// Short readable text for kernel names: the operations in order, at most four.
    pub fn label(&self) -> String {
        let names = self.nodes.iter().filter_map(|n| match n {
            Node::Unary(op, _) => Some(format!("{op:?}").to_lowercase()),
            Node::Binary(op, ..) => Some(format!("{op:?}").to_lowercase()),
            Node::Fma(..) => Some("fma".into()),
            Node::Cmp(op, ..) => Some(format!("{op:?}").to_lowercase()),
            Node::Select(..) => Some("select".into()),
            Node::Leaf(_) | Node::Const(_) => None,
        });
        names.take(4).collect::<Vec<_>>().join("_")
    }

    /// Checks that operands precede their users, that there is a result, and that only `Acc` and the first `inputs`
    /// inputs and `rows` row values are read.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self, acc: bool, inputs: usize, rows: usize) -> Result<(), String> {
        if self.nodes.len() > MAX_NODES {
            return Err(format!("an expression of {} nodes", self.nodes.len()));
        }
        for (i, node) in self.nodes.iter().enumerate() {
            if operands(node).iter().any(|o| o.0 as usize >= i) {
                return Err(format!("operand of node {i} is not before it"));
            }
            match node {
                Node::Leaf(Leaf::Acc) if !acc => return Err("an accumulator where there is none".into()),
                Node::Leaf(Leaf::Input(k)) if *k as usize >= inputs => return Err(format!("input {k} of {inputs}")),
                Node::Leaf(Leaf::Row(k)) if *k as usize >= rows => return Err(format!("row value {k} of {rows}")),
                _ => {}
            }
        }
        match self.roots.iter().all(|r| (r.0 as usize) < self.nodes.len()) {
            true => Ok(()),
            false => Err("a result that is no node".into()),
        }
    }
}

/// Largest expression; bounds the registers and frame that one can ask for.
pub const MAX_NODES: usize = 128;

/// The operands of a node.
fn operands(node: &Node) -> Vec<NodeId> {
    match *node {
        Node::Leaf(_) | Node::Const(_) => vec![],
        Node::Unary(_, a) => vec![a],
        Node::Binary(_, a, b) | Node::Cmp(_, a, b) => vec![a, b],
        Node::Fma(a, b, c) | Node::Select(a, b, c) => vec![a, b, c],
    }
}
