//! Building the residual graph: nodes at the end of the current block, constants in a common place,
//! folded and shared int arithmetic, and undoing speculative work.

use super::value::Num;
use kiln_graph::{Block, Dim, Graph, Literal, Node, Op, OpId, TensorType, Type, Value};
use kiln_loops::scalar;
use kiln_loops::{BinaryOp, Scalar};
use kiln_ops::{DimMath, table};
use kiln_support::{EntityId, Span};
use std::collections::HashMap;

/// Pure int nodes by what they compute: each with the block that it stands in.
type PureNodes = HashMap<(OpId, Vec<Value>), Vec<(Block, Value)>>;

/// The residual graph under construction.
pub struct Emit {
    /// The graph.
    pub graph: Graph,
    /// Blocks around the place where nodes are added, innermost last.
    pub stack: Vec<Block>,
    /// Where new nodes stem from.
    pub span: Span,
    constants: Vec<(Literal, Value)>,
    constant_nodes: Vec<Node>,
    pure: PureNodes,
}

/// A state of the graph to come back to.
pub struct Mark {
    values: usize,
    nodes: usize,
    blocks: usize,
    in_block: usize,
    depth: usize,
}

impl Emit {
    /// An empty graph.
    pub fn new() -> Emit {
        let graph = Graph::new();
        let stack = vec![graph.entry];
        Emit { graph, stack, span: Span::NONE, constants: Vec::new(), constant_nodes: Vec::new(), pure: HashMap::new() }
    }

    /// The block that nodes are added to.
    pub fn block(&self) -> Block {
        *self.stack.last().expect("the entry block is always there")
    }

    /// Adds a node.
    pub fn node(&mut self, op: Op, args: Vec<Value>, results: Vec<Type>) -> Node {
        let block = self.block();
        self.graph.add_node(block, op, args, results, self.span)
    }

    /// Adds a node with one result.
    pub fn value(&mut self, op: Op, args: Vec<Value>, ty: Type) -> Value {
        let node = self.node(op, args, vec![ty]);
        self.graph.result(node)
    }

    /// Adds an operator of the table with one result.
    pub fn table(&mut self, key: &str, args: Vec<Value>, ty: Type) -> Value {
        self.value(Op::Table(table().get(key)), args, ty)
    }

    /// A constant. Constants stand before everything else.
    pub fn constant(&mut self, literal: Literal, ty: Type) -> Value {
        let same = |l: &Literal| match (l, &literal) {
            (Literal::Tensor(a), Literal::Tensor(b)) => {
                a.dtype == b.dtype && a.shape == b.shape && std::sync::Arc::ptr_eq(&a.bytes, &b.bytes)
            }
            (Literal::Tensor(_), _) | (_, Literal::Tensor(_)) => false,
            (a, b) => a == b,
        };
        if let Some((_, value)) = self.constants.iter().find(|(l, v)| same(l) && *self.graph.ty(*v) == ty) {
            return *value;
        }
        let node = self.graph.new_node(Op::Const(literal.clone()), Vec::new(), vec![ty], Span::NONE);
        let value = self.graph.result(node);
        self.constants.push((literal, value));
        self.constant_nodes.push(node);
        value
    }

    /// An int constant.
    pub fn int(&mut self, value: i64) -> Value {
        self.constant(Literal::Int(value), Type::Int)
    }

    /// A scalar as a value.
    pub fn num(&mut self, num: Num) -> Value {
        match num {
            Num::Dyn(value) => value,
            Num::Const(Scalar::Bool(b)) => self.constant(Literal::Bool(b), Type::Bool),
            Num::Const(Scalar::Int(i)) => self.constant(Literal::Int(i), Type::Int),
            Num::Const(other) => self.constant(Literal::Float(other.as_f64()), Type::Float),
        }
    }

    /// A size as a value.
    pub fn dim(&mut self, dim: Dim) -> Value {
        self.num(Num::of_dim(dim))
    }

    /// A pure int operator of the table; an equal one that dominates is used again.
    fn pure_int(&mut self, key: &str, args: Vec<Value>) -> Value {
        let op = table().get(key);
        let known = self.pure.get(&(op, args.clone()));
        if let Some((_, value)) = known.and_then(|all| all.iter().find(|(block, _)| self.stack.contains(block))) {
            return *value;
        }
        let value = self.value(Op::Table(op), args.clone(), Type::Int);
        let block = self.block();
        self.pure.entry((op, args)).or_default().push((block, value));
        value
    }

    /// Raises with a constant message.
    pub fn raise(&mut self, class: &str, message: &str) {
        let message = self.constant(Literal::Str(message.to_owned()), Type::Str);
        self.node(Op::Raise(class.to_owned()), vec![message], Vec::new());
    }

    /// Raises where a bool holds.
    pub fn raise_if(&mut self, test: Value, class: &str, message: &str) {
        let node = self.node(Op::If, vec![test], Vec::new());
        for raises in [true, false] {
            let block = self.graph.add_block();
            self.graph.nodes[node].blocks.push(block);
            if raises {
                self.stack.push(block);
                self.raise(class, message);
                self.stack.pop();
                self.graph.blocks[block].diverges = true;
            }
        }
    }

    /// A state to come back to by [`Emit::undo`].
    pub fn mark(&self) -> Mark {
        Mark {
            values: self.graph.values.len(),
            nodes: self.graph.nodes.len(),
            blocks: self.graph.blocks.len(),
            in_block: self.graph.blocks[self.block()].nodes.len(),
            depth: self.stack.len(),
        }
    }

    /// Forgets everything since a mark, which must have been made in a block that is still around.
    pub fn undo(&mut self, mark: &Mark) {
        self.stack.truncate(mark.depth);
        let block = self.block();
        self.graph.blocks[block].nodes.truncate(mark.in_block);
        self.graph.values.truncate(mark.values);
        self.graph.nodes.truncate(mark.nodes);
        self.graph.blocks.truncate(mark.blocks);
        self.constants.retain(|(_, v)| v.index() < mark.values);
        self.constant_nodes.retain(|n| n.index() < mark.nodes);
        for found in self.pure.values_mut() {
            found.retain(|(_, v)| v.index() < mark.values);
        }
    }

    /// The finished graph.
    pub fn finish(mut self) -> Graph {
        let entry = self.graph.entry;
        let nodes = std::mem::take(&mut self.graph.blocks[entry].nodes);
        self.graph.blocks[entry].nodes = self.constant_nodes.into_iter().chain(nodes).collect();
        self.graph
    }

    /// A tensor type as it stands in the graph: a quantized tensor is its integers.
    pub fn tensor_type(ty: &TensorType) -> Type {
        Type::Tensor(Some(std::sync::Arc::new(TensorType { dtype: ty.dtype.stored(), dims: ty.dims.clone() })))
    }
}

impl DimMath for Emit {
    fn binary(&mut self, op: BinaryOp, a: Dim, b: Dim) -> Dim {
        if let (Dim::Const(x), Dim::Const(y)) = (a, b) {
            return Dim::Const(scalar::binary(op, Scalar::Int(x), Scalar::Int(y)).as_int());
        }
        match (op, a, b) {
            (BinaryOp::Add, Dim::Const(0), x) | (BinaryOp::Add | BinaryOp::Sub, x, Dim::Const(0)) => return x,
            (BinaryOp::Mul, Dim::Const(1), x) | (BinaryOp::Mul | BinaryOp::FloorDiv, x, Dim::Const(1)) => return x,
            (BinaryOp::Mul, Dim::Const(0), _) | (BinaryOp::Mul, _, Dim::Const(0)) => return Dim::Const(0),
            (BinaryOp::Sub, x, y) if x == y => return Dim::Const(0),
            (BinaryOp::Max | BinaryOp::Min, x, y) if x == y => return x,
            _ => {}
        }
        let key = match op {
            BinaryOp::Add => "aten::add.int",
            BinaryOp::Sub => "aten::sub.int",
            BinaryOp::Mul => "aten::mul.int",
            BinaryOp::FloorDiv => "aten::floordiv.int",
            BinaryOp::Mod => "aten::remainder.int",
            BinaryOp::Max => "prim::max.int",
            BinaryOp::Min => "prim::min.int",
            other => panic!("{other:?} is no arithmetic on sizes"),
        };
        let (a, b) = (self.dim(a), self.dim(b));
        // Sums and products are kept in one order, so that equal sizes are one value.
        let swap = matches!(op, BinaryOp::Add | BinaryOp::Mul | BinaryOp::Max | BinaryOp::Min) && b < a;
        let args = if swap { vec![b, a] } else { vec![a, b] };
        Dim::Value(self.pure_int(key, args))
    }

    fn broadcast(&mut self, a: Dim, b: Dim, message: &str) -> Dim {
        let (x, y, one) = (self.dim(a), self.dim(b), self.int(1));
        let x_is_one = self.table("aten::eq.int", vec![x, one], Type::Bool);
        let y_is_one = self.table("aten::eq.int", vec![y, one], Type::Bool);
        let equal = self.table("aten::eq.int", vec![x, y], Type::Bool);
        let either = self.table("aten::__or__.bool", vec![x_is_one, y_is_one], Type::Bool);
        let fits = self.table("aten::__or__.bool", vec![either, equal], Type::Bool);
        let differs = self.table("aten::__not__", vec![fits], Type::Bool);
        self.raise_if(differs, "RuntimeError", message);
        // x + (y - x) where x is 1, else x.
        let take_y = self.pure_int("aten::Int.bool", vec![x_is_one]);
        let more = self.binary(BinaryOp::Sub, b, a);
        let step = self.binary(BinaryOp::Mul, more, Dim::Value(take_y));
        self.binary(BinaryOp::Add, a, step)
    }

    fn require_equal(&mut self, a: Dim, b: Dim, message: &str) {
        if a == b {
            return;
        }
        let (a, b) = (self.dim(a), self.dim(b));
        let differ = self.table("aten::ne.int", vec![a, b], Type::Bool);
        self.raise_if(differ, "RuntimeError", message);
    }
}
