//! Graphs: values, nodes and nested blocks.
//!
//! A node has operands, results and, for control flow, blocks of its own. A block has parameters,
//! nodes in execution order, and the values it yields.
//!
//! * `If` (operand: a bool; two blocks without parameters): yields of the block that ran are the results.
//! * `Loop` (operands: trip count, first condition, carried values...; one block with parameters
//!   `i, carried...` that yields `condition, carried...`): results are the carried values at the end.
//!   It runs while the condition holds and `i` is below the trip count.

use crate::{ClassId, FuncId, Literal, Type};
use kiln_support::{PrimaryMap, Span, entity};

entity!(
    /// An SSA value.
    Value, "v"
);
entity!(
    /// An operation.
    Node, "n"
);
entity!(
    /// A block.
    Block, "block"
);
entity!(
    /// An operator of the table; what it means is the business of the table.
    OpId, "op"
);
entity!(
    /// A slot of an instance's mutable state.
    StateId, "state"
);

/// What a node does.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// A constant.
    Const(Literal),
    /// An operator of the table.
    Table(OpId),
    /// A call of a function or method (receiver first).
    Call(FuncId),
    /// A call through an interface: the receiver's class is known only after specialisation.
    CallMethod(String),
    /// Conditional.
    If,
    /// Counted and conditional loop.
    Loop,
    /// Makes a tuple; of a named tuple's class where there is one.
    Tuple(Option<ClassId>),
    /// An element of a tuple.
    TupleGet(u32),
    /// Makes a list.
    List,
    /// Makes a dict from keys and values in turn.
    Dict,
    /// The elements of a list that must have as many as the node has results.
    ListUnpack,
    /// A new object with unset attributes.
    New(ClassId),
    /// An attribute of an object.
    GetAttr(String),
    /// Sets an attribute: operands are object and value.
    SetAttr(String),
    /// A value of an enum class: (class, member).
    EnumValue(ClassId, String),
    /// The same value, taken to have the result's type (`unchecked_cast`, refinement).
    Cast,
    /// `annotate`: like `Cast` but upwards, so always valid.
    Annotate,
    /// Whether the operand is of one of these types.
    IsInstance(Vec<Type>),
    /// A value that is never read.
    Uninit,
    /// A function as a value.
    FunctionRef(FuncId),
    /// An object of the archive.
    ObjectRef(crate::ObjectId),
    /// Raises: operands are the message and, optionally, nothing; the class name is the attribute.
    Raise(String),
    /// Prints its operands.
    Print,
    /// Residual only: reads a slot of the instance's state.
    StateLoad(StateId),
    /// Residual only: writes a slot of the instance's state.
    StateStore(StateId),
    /// Residual only: operands are a tensor, a new value of a window on it, and the further arguments of the
    /// view operator that gives the window; the result is the tensor with the window replaced.
    WriteView(OpId),
    /// Residual only: puts a tensor value into a run-time tensor object (of type `Tensor` without facts).
    Box,
    /// Residual only: the contents of a run-time tensor object; the first result is the tensor, the
    /// others are its sizes that are not constant, outermost first. Raises when element type, rank
    /// or constant sizes differ.
    Unbox,
    /// Residual only: the payload of an Optional, Union or Any taken to have the result's type.
    Unwrap,
    /// Residual only: a value as an Optional, Union or Any.
    Wrap,
}

/// Data of a node.
#[derive(Clone, Debug)]
pub struct NodeData {
    /// What it does.
    pub op: Op,
    /// Operands.
    pub args: Vec<Value>,
    /// Results.
    pub results: Vec<Value>,
    /// Nested blocks.
    pub blocks: Vec<Block>,
    /// Where it stems from.
    pub span: Span,
}

/// Where a value is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueDef {
    /// A result of a node.
    Result(Node, u32),
    /// A parameter of a block.
    Param(Block, u32),
}

/// Data of a value.
#[derive(Clone, Debug)]
pub struct ValueData {
    /// Its type.
    pub ty: Type,
    /// Its definition.
    pub def: ValueDef,
    /// The user's name for it, where there is one.
    pub name: Option<String>,
}

/// Data of a block.
#[derive(Clone, Debug, Default)]
pub struct BlockData {
    /// Parameters.
    pub params: Vec<Value>,
    /// Nodes in order.
    pub nodes: Vec<Node>,
    /// What the block yields.
    pub yields: Vec<Value>,
    /// Whether the end is never reached (the block always raises); `yields` is empty then.
    pub diverges: bool,
}

/// A function body.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Values.
    pub values: PrimaryMap<Value, ValueData>,
    /// Nodes.
    pub nodes: PrimaryMap<Node, NodeData>,
    /// Blocks.
    pub blocks: PrimaryMap<Block, BlockData>,
    /// The outermost block: its parameters are the function's, its yields the results.
    pub entry: Block,
}

impl Default for Graph {
    fn default() -> Self {
        let mut blocks = PrimaryMap::new();
        let entry = blocks.push(BlockData::default());
        Graph { values: PrimaryMap::new(), nodes: PrimaryMap::new(), blocks, entry }
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// A new block, not yet part of a node.
    pub fn add_block(&mut self) -> Block {
        self.blocks.push(BlockData::default())
    }

    /// A new parameter at the end of a block's.
    pub fn add_param(&mut self, block: Block, ty: Type, name: Option<&str>) -> Value {
        let at = self.blocks[block].params.len() as u32;
        let value = self.values.push(ValueData { ty, def: ValueDef::Param(block, at), name: name.map(str::to_owned) });
        self.blocks[block].params.push(value);
        value
    }

    /// A new node at the end of a block.
    pub fn add_node(&mut self, block: Block, op: Op, args: Vec<Value>, results: Vec<Type>, span: Span) -> Node {
        let node = self.new_node(op, args, results, span);
        self.blocks[block].nodes.push(node);
        node
    }

    /// A new node that stands in no block yet.
    pub fn new_node(&mut self, op: Op, args: Vec<Value>, results: Vec<Type>, span: Span) -> Node {
        let node = self.nodes.push(NodeData { op, args, results: Vec::new(), blocks: Vec::new(), span });
        for ty in results {
            self.add_result(node, ty);
        }
        node
    }

    /// A new result at the end of a node's.
    pub fn add_result(&mut self, node: Node, ty: Type) -> Value {
        let at = self.nodes[node].results.len() as u32;
        let value = self.values.push(ValueData { ty, def: ValueDef::Result(node, at), name: None });
        self.nodes[node].results.push(value);
        value
    }

    /// A node with one result, at the end of a block.
    pub fn add_value(&mut self, block: Block, op: Op, args: Vec<Value>, ty: Type, span: Span) -> Value {
        let node = self.add_node(block, op, args, vec![ty], span);
        self.nodes[node].results[0]
    }

    /// A constant at the end of a block.
    pub fn add_const(&mut self, block: Block, literal: Literal, ty: Type, span: Span) -> Value {
        self.add_value(block, Op::Const(literal), Vec::new(), ty, span)
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> &Type {
        &self.values[value].ty
    }

    /// The only result of a node. Panics when it has another number of them.
    pub fn result(&self, node: Node) -> Value {
        let results = &self.nodes[node].results;
        assert_eq!(results.len(), 1, "{node} has {} results", results.len());
        results[0]
    }

    /// The node that defines a value, unless it is a block's parameter.
    pub fn def_node(&self, value: Value) -> Option<Node> {
        match self.values[value].def {
            ValueDef::Result(node, _) => Some(node),
            ValueDef::Param(..) => None,
        }
    }

    /// The literal of a value that a constant node defines.
    pub fn as_const(&self, value: Value) -> Option<&Literal> {
        match &self.nodes[self.def_node(value)?].op {
            Op::Const(literal) => Some(literal),
            _ => None,
        }
    }

    /// The elements of a value that a list node defines.
    pub fn as_list(&self, value: Value) -> Option<&[Value]> {
        let node = &self.nodes[self.def_node(value)?];
        matches!(node.op, Op::List).then_some(node.args.as_slice())
    }

    /// Calls `visit` on every node of a block and of the blocks inside, in order, outer first.
    pub fn visit(&self, block: Block, visit: &mut dyn FnMut(Block, Node)) {
        for &node in &self.blocks[block].nodes {
            visit(block, node);
            for &inner in &self.nodes[node].blocks {
                self.visit(inner, visit);
            }
        }
    }
}
