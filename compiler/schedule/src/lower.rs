//! Lowering of one method: the state, and the primitives that everything else is made of.
//!
//! Arena buffers are numbered while statements are made ([`Operand::Arena`] holds the number); when all
//! are known, [`crate::memory`] gives them offsets.

use crate::data::DataPool;
use crate::facts;
use crate::fusion::Fusion;
use crate::kernels::choices::Choices;
use crate::kernels::{Scheduled, TargetDesc};
use crate::liveness::{Liveness, Moment, end, is_silent, moment};
use crate::memory::Buffers;
use crate::sizes::Sizes;
use crate::structure::Structure;
use kiln_graph::{Block, Dim, Graph, Literal, Node, Op, ResidualModel, Type, Value};
use kiln_loops::plan::{Access, ComputeId, KernelId, Local, LocalType, Method, Operand, ScalarOp, Slot, Stmt};
use kiln_loops::{BinaryOp, Compute};
use kiln_ops::Body;
use kiln_support::{DType, Diagnostic, PrimaryMap, Span};
use std::collections::{HashMap, HashSet};

pub type R<T> = Result<T, Diagnostic>;

/// What methods of a model share.
pub struct Shared {
    pub target: TargetDesc,
    pub choices: Choices,
    pub computes: PrimaryMap<ComputeId, Compute>,
    pub compute_ids: HashMap<u64, Vec<ComputeId>>,
    pub kernels: PrimaryMap<KernelId, Scheduled>,
    pub data: DataPool,
}

impl Shared {
    /// For a target; `has_variants` if the same model is scheduled for others, too, whose weights may come out the same.
    pub fn new(target: TargetDesc, choices: Choices, has_variants: bool) -> Shared {
        Shared {
            target,
            choices,
            computes: PrimaryMap::new(),
            compute_ids: HashMap::new(),
            kernels: PrimaryMap::new(),
            data: DataPool::new(has_variants),
        }
    }
}

/// Number of an arena buffer.
pub type BufferId = u64;

/// Where a tensor's elements are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Place {
    /// In the arena.
    Arena(BufferId),
    /// In a contiguous run-time tensor object, of which the value holds a reference.
    Object(Operand),
    /// In read-only data.
    Data(Operand),
}

/// How a value is held.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bound {
    /// Not at all.
    Nothing,
    /// An int, float or bool.
    Scalar(Operand),
    /// A pointer to an object.
    Object(Operand),
    /// A tag and bits.
    Tagged(Operand, Operand),
    /// A tensor with facts.
    Tensor(Place),
}

/// Where a tensor had best be computed, because it is copied there otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    /// The buffer.
    pub buffer: BufferId,
    /// The loop's parameter that the buffer holds until it is used last.
    pub until: Option<Value>,
}

/// The state of lowering a method.
pub struct Lowering<'m> {
    pub model: &'m ResidualModel,
    pub graph: &'m Graph,
    pub structure: &'m Structure,
    pub fusion: &'m Fusion,
    pub live: &'m Liveness,
    pub sizes: &'m Sizes,
    pub shared: &'m mut Shared,
    pub method: Method,
    /// Types of the arguments as the outside sees them, which the entry checks.
    pub declared: HashMap<Value, Type>,
    code: Vec<Vec<Stmt>>,
    pub bound: HashMap<Value, Bound>,
    /// Values that hold a reference which has not been given away.
    pub owned: HashSet<Value>,
    pub buffers: Buffers,
    pub hints: HashMap<Value, Hint>,
    /// For tensors whose buffer a conditional's result takes over: their last use within a branch.
    pub branch_last: HashMap<(Block, Value), Moment>,
    /// Where lowering is.
    pub here: (Block, Moment),
    span: Span,
    /// Whether some operator writes into tensor objects, so that they cannot be shared as values.
    pub mutates_tensors: bool,
    /// Whether the method does without the runtime.
    pub is_plain: bool,
}

impl<'m> Lowering<'m> {
    pub fn new(
        model: &'m ResidualModel,
        graph: &'m Graph,
        analysis: (&'m Structure, &'m Fusion, &'m Liveness, &'m Sizes),
        shared: &'m mut Shared,
    ) -> Lowering<'m> {
        let (structure, fusion, live, sizes) = analysis;
        Lowering {
            model,
            graph,
            structure,
            fusion,
            live,
            sizes,
            shared,
            method: Method::default(),
            declared: HashMap::new(),
            code: vec![Vec::new()],
            bound: HashMap::new(),
            owned: HashSet::new(),
            buffers: Buffers::default(),
            hints: HashMap::new(),
            branch_last: HashMap::new(),
            here: (graph.entry, 0),
            span: Span::NONE,
            mutates_tensors: mutates_tensors(graph),
            is_plain: model.state.is_empty() && crate::plain::is_plain(graph),
        }
    }

    /// The finished statements.
    pub fn finish(&mut self) -> Vec<Stmt> {
        self.code.pop().expect("the outermost list of statements")
    }

    // Primitives.

    pub fn push(&mut self, stmt: Stmt) {
        self.code.last_mut().expect("a list of statements").push(stmt);
    }

    /// The statements that `make` makes, as a list of their own.
    pub fn nested(&mut self, make: impl FnOnce(&mut Self) -> R<()>) -> R<Vec<Stmt>> {
        self.code.push(Vec::new());
        let made = make(self);
        let code = self.code.pop().expect("pushed above");
        made.map(|()| code)
    }

    /// A loop around what `body` makes, which gets the index: from `begin` to before `end`.
    pub fn counted_loop(&mut self, begin: Operand, end: Operand, body: impl FnOnce(&mut Self, Operand) -> R<()>) -> R<()> {
        let index = self.local(LocalType::Int);
        self.set(index, begin);
        let statements = self.nested(|cx| {
            let more = cx.int_binary(BinaryOp::Lt, Operand::Local(index), end);
            cx.push(Stmt::If { test: more, then: Vec::new(), orelse: vec![Stmt::Break] });
            body(cx, Operand::Local(index))?;
            let next = cx.int_binary(BinaryOp::Add, Operand::Local(index), Operand::Int(1));
            cx.set(index, next);
            Ok(())
        })?;
        self.push(Stmt::Loop { body: statements });
        Ok(())
    }

    pub fn local(&mut self, ty: LocalType) -> Local {
        self.method.locals.push(ty)
    }

    pub fn slot(&mut self, bytes: usize) -> Slot {
        self.method.slots.push(bytes.max(16) as u32)
    }

    /// `op(args)` in a new local.
    pub fn scalar(&mut self, op: ScalarOp, args: Vec<Operand>, ty: LocalType) -> Operand {
        let dst = self.local(ty);
        self.push(Stmt::Scalar { dst, op, args });
        Operand::Local(dst)
    }

    /// Sets a local.
    pub fn set(&mut self, dst: Local, value: Operand) {
        if value != Operand::Local(dst) {
            self.push(Stmt::Scalar { dst, op: ScalarOp::Copy, args: vec![value] });
        }
    }

    /// `a op b` on ints; the result is an int, or a bool for a comparison.
    pub fn int_binary(&mut self, op: BinaryOp, a: Operand, b: Operand) -> Operand {
        let ty = if op.is_compare() { LocalType::Bool } else { LocalType::Int };
        self.scalar(ScalarOp::Binary(op), vec![a, b], ty)
    }

    pub fn load(&mut self, base: Operand, offset: usize, access: Access) -> Operand {
        let ty = match access {
            Access::Word | Access::Half => LocalType::Int,
            Access::Element(dtype) => local_type(kiln_loops::Kind::of(dtype)),
        };
        let dst = self.local(ty);
        self.push(Stmt::Load { dst, base, offset: offset as i64, access });
        Operand::Local(dst)
    }

    pub fn store(&mut self, base: Operand, offset: usize, value: Operand) {
        self.push(Stmt::Store { base, offset: offset as i64, value, access: Access::Word });
    }

    /// Calls a function of the runtime that cannot fail.
    pub fn call(&mut self, name: &'static str, args: Vec<Operand>) {
        self.push(Stmt::Runtime { name, args, result: None, fallible: false });
    }

    /// Calls a function of the runtime that cannot fail, for its int or pointer.
    pub fn call_for(&mut self, name: &'static str, args: Vec<Operand>) -> Operand {
        let result = self.local(LocalType::Int);
        self.push(Stmt::Runtime { name, args, result: Some(result), fallible: false });
        Operand::Local(result)
    }

    /// Calls a function of the runtime that can fail; the context is added to the arguments.
    pub fn try_call(&mut self, name: &'static str, args: Vec<Operand>) {
        self.push(fallible(name, args, None));
    }

    /// Calls a function of the runtime that can fail, for its int or pointer.
    pub fn try_call_for(&mut self, name: &'static str, args: Vec<Operand>) -> Operand {
        let result = self.local(LocalType::Int);
        self.push(fallible(name, args, Some(result)));
        Operand::Local(result)
    }

    /// Raises a constant message unless a bool holds.
    pub fn raise_unless(&mut self, test: Operand, message: &str) {
        let text = self.shared.data.text(message);
        self.push(Stmt::If { test, then: Vec::new(), orelse: vec![Stmt::Raise { text }] });
    }

    // Values.

    pub fn bind(&mut self, value: Value, bound: Bound) {
        self.bound.insert(value, bound);
    }

    /// How a value is held; constants are bound when they are asked for.
    pub fn bound(&mut self, value: Value) -> R<Bound> {
        if let Some(&bound) = self.bound.get(&value) {
            return Ok(bound);
        }
        let Some(literal) = self.graph.as_const(value) else {
            return Err(internal(&format!("{value} is used before it is computed"), self.span));
        };
        let bound = self.constant(literal)?;
        self.bind(value, bound);
        Ok(bound)
    }

    fn constant(&mut self, literal: &Literal) -> R<Bound> {
        Ok(match literal {
            Literal::None | Literal::Device(_) => Bound::Nothing,
            Literal::Bool(b) => Bound::Scalar(Operand::Bool(*b)),
            Literal::Int(i) => Bound::Scalar(Operand::Int(*i)),
            Literal::Float(f) => Bound::Scalar(Operand::F64(*f)),
            Literal::Str(s) => Bound::Object(Operand::Data(self.shared.data.string(s), 0)),
            Literal::Tensor(data) => Bound::Tensor(Place::Data(Operand::Data(self.shared.data.tensor(data), 0))),
            Literal::List(_) => return Err(internal("a constant list is used as an object", self.span)),
            Literal::Complex(..) => return Err(unsupported("complex numbers", self.span)),
        })
    }

    /// An int, float or bool.
    pub fn scalar_of(&mut self, value: Value) -> R<Operand> {
        match self.bound(value)? {
            Bound::Scalar(operand) => Ok(operand),
            other => Err(internal(&format!("{value} is {other:?}, not a scalar"), self.span)),
        }
    }

    /// A pointer to an object.
    pub fn object_of(&mut self, value: Value) -> R<Operand> {
        match self.bound(value)? {
            Bound::Object(operand) => Ok(operand),
            other => Err(internal(&format!("{value} is {other:?}, not an object"), self.span)),
        }
    }

    pub fn dim(&mut self, dim: Dim) -> R<Operand> {
        match dim {
            Dim::Const(n) => Ok(Operand::Int(n)),
            Dim::Value(value) => self.scalar_of(value),
        }
    }

    /// Whether a value, defined in this block, is used last by the present node or yields.
    pub fn dies_here(&self, value: Value) -> bool {
        let is_own =
            self.structure.def_block(self.graph, value) == self.here.0 || self.branch_last.contains_key(&(self.here.0, value));
        is_own && self.last_use_here(value) == self.here.1
    }

    /// The last use of a value that counts in the present block.
    pub fn last_use_here(&self, value: Value) -> Moment {
        self.branch_last.get(&(self.here.0, value)).copied().unwrap_or_else(|| self.live.last_use(value))
    }

    pub fn span(&self) -> Span {
        self.span
    }

    // Blocks.

    /// Lowers the nodes of a block, not its yields.
    pub fn block(&mut self, block: Block) -> R<()> {
        let outer = self.here;
        self.here = (block, 0);
        self.release_dying();
        for &node in &self.graph.blocks[block].nodes {
            if !self.structure.is_needed(node) {
                continue;
            }
            self.here = (block, moment(self.structure, node));
            let fusion = self.fusion;
            if !is_silent(self.graph, self.structure, &|v| fusion.is_inlined(v), node) {
                self.node(node).map_err(|d| d.or_at(self.graph.nodes[node].span))?;
            }
            self.release_dying();
        }
        self.here = outer;
        Ok(())
    }

    /// Runs `f` at the yields of a block.
    pub fn at_end<T>(&mut self, block: Block, f: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        let outer = std::mem::replace(&mut self.here, (block, end(self.graph, block)));
        let result = f(self);
        self.here = outer;
        result
    }

    fn mark_span(&mut self, span: Span) {
        if span != self.span && !span.is_none() {
            self.push(Stmt::At(span));
        }
        self.span = span;
    }

    fn node(&mut self, node: Node) -> R<()> {
        let data = &self.graph.nodes[node];
        if !matches!(data.op, Op::Const(_)) {
            self.mark_span(data.span);
        }
        match &data.op {
            Op::Const(literal) => self.lower_const(node, literal),
            Op::Table(_) => self.table(node),
            Op::If => self.lower_if(node),
            Op::Loop => self.lower_loop(node),
            Op::WriteView(view) => self.write_view(node, *view),
            Op::Box => self.lower_box(node),
            Op::Unbox => self.lower_unbox(node),
            Op::Raise(class) => self.lower_raise(node, class),
            Op::Print => self.lower_print(node),
            _ => self.object_node(node),
        }
    }

    fn table(&mut self, node: Node) -> R<()> {
        let Op::Table(op) = self.graph.nodes[node].op else { unreachable!("checked by the caller") };
        let key = kiln_ops::table().key(op);
        match kiln_ops::entry(key).map(|e| &e.body) {
            Some(Body::Tensor { .. } | Body::View { .. }) => self.tensor_node(node),
            Some(Body::Scatter { scatter, .. }) => self.scatter_node(node, scatter),
            Some(Body::Extern { .. }) => self.extern_node(node),
            Some(Body::Scalar(rule)) => self.scalar_node(node, *rule),
            Some(Body::Runtime { symbol, fallible }) => self.runtime_node(node, op, symbol, *fallible),
            None => match key {
                "aten::Int.Tensor" => self.element_node(node, DType::I64),
                "aten::Float.Tensor" => self.element_node(node, DType::F64),
                "aten::Bool.Tensor" => self.element_node(node, DType::Bool),
                _ => Err(unsupported(&format!("operator `{key}`"), self.span)),
            },
        }
    }

    /// The only element of a tensor as a scalar.
    fn element_node(&mut self, node: Node, wanted: DType) -> R<()> {
        let (tensor, result) = (self.graph.nodes[node].args[0], self.graph.result(node));
        let own = tensor_facts(self.graph, tensor, self.span)?.dtype;
        let memory = self.pointer(tensor)?;
        let element = self.load(memory, 0, Access::Element(own));
        let scalar = self.scalar(ScalarOp::Cast(wanted), vec![element], local_type(kiln_loops::Kind::of(wanted)));
        self.bind(result, Bound::Scalar(scalar));
        Ok(())
    }
}

fn fallible(name: &'static str, args: Vec<Operand>, result: Option<Local>) -> Stmt {
    let args = [Operand::Context].into_iter().chain(args).collect();
    Stmt::Runtime { name, args, result, fallible: true }
}

/// The type of a local that holds scalars of a kind.
pub fn local_type(kind: kiln_loops::Kind) -> LocalType {
    match kind {
        kiln_loops::Kind::Bool => LocalType::Bool,
        kiln_loops::Kind::Int => LocalType::Int,
        kiln_loops::Kind::F32 => LocalType::F32,
        kiln_loops::Kind::F64 => LocalType::F64,
    }
}

/// Bytes of a tensor of constant sizes.
pub fn const_bytes(dtype: DType, shape: &[i64]) -> Option<u64> {
    let mut bytes = dtype.size() as u64;
    for &n in shape {
        bytes = bytes.checked_mul(u64::try_from(n).ok()?)?;
    }
    Some(bytes)
}

/// The graph breaks a rule of its form: a bug in kiln, reported without a crash.
pub fn internal(what: &str, span: Span) -> Diagnostic {
    Diagnostic::unsupported("schedule", format!("cannot schedule the model: {what}")).at(span)
}

/// Something that has no lowering yet.
pub fn unsupported(what: &str, span: Span) -> Diagnostic {
    Diagnostic::unsupported("unsupported-lowering", format!("{what} cannot be compiled yet")).at(span)
}

/// Whether some operator of the graph writes into a tensor object.
fn mutates_tensors(graph: &Graph) -> bool {
    let mut found = false;
    graph.visit(graph.entry, &mut |_, node| {
        if let Op::Table(op) = graph.nodes[node].op
            && matches!(crate::source::body(graph, node), Some(Body::Runtime { .. }))
        {
            let schema = kiln_ops::table().schema(op);
            let writes = |arg: &kiln_ops::Arg| arg.alias.as_ref().is_some_and(|a| a.write);
            found |= schema.args.iter().zip(&graph.nodes[node].args).any(|(arg, &v)| writes(arg) && graph.ty(v).is_tensor());
        }
    });
    found
}

/// Facts of a tensor value, or an internal error.
pub fn tensor_facts(graph: &Graph, value: Value, span: Span) -> R<kiln_graph::TensorType> {
    facts::tensor_type(graph, value).ok_or_else(|| internal(&format!("{value} is no tensor with facts"), span))
}
