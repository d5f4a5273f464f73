//! Which tensors are expressions and which are memory.
//!
//! A tensor is *inlined* when all its readers compute its elements themselves. That is so for views (an
//! index costs nothing) and otherwise where no element would be computed twice or the computation is a few
//! cheap operations; a reduction goes into at most one reader that reads each element once and has no
//! reduction of its own, so that a contraction takes its epilogue in. Everything else is memory.

use crate::facts::tensor_type;
use crate::kernels::{is_product, is_product_in_place};
use crate::profile::{Cost, Order, Profile, Read, profile};
use crate::row_clusters::{Clusters, Operator, Search};
use crate::source::{Builder, body};
use crate::structure::{Structure, Use};
use kiln_graph::{Block, Dim, Graph, Node, Op, Value};
use kiln_loops::Compute;
use kiln_ops::{Body, DimMath, Infer};
use kiln_support::SecondaryMap;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Expressions of one computation before it is split.
const SIZE_LIMIT: usize = 160;

/// Readers that may each compute a few cheap operations on one tensor again.
const LIGHT_READERS: usize = 3;

/// Whether an operator's kernels read an operand as memory, laid out as its type says.
fn needs_memory(graph: &Graph, node: Node, arg: usize) -> bool {
    let Op::Table(op) = graph.nodes[node].op else { return false };
    arg == 0 && kiln_ops::table().key(op).ends_with("_nhwc")
}

/// The decisions for a graph.
#[derive(Default)]
pub struct Fusion {
    inlined: SecondaryMap<Value, bool>,
    /// Views that are their base's memory seen with other sizes.
    flat: HashMap<Value, Value>,
}

impl Fusion {
    /// Decides.
    pub fn new(graph: &Graph, structure: &Structure) -> Fusion {
        let mut planner = Planner {
            graph,
            structure,
            fusion: Fusion::default(),
            profiles: HashMap::new(),
            memory: SecondaryMap::default(),
            taken: HashMap::new(),
            clusters: find_clusters(graph, structure),
        };
        planner.find_flat_views(graph.entry);
        planner.block(graph.entry);
        planner.fusion
    }

    /// Whether a tensor is an expression.
    pub fn is_inlined(&self, value: Value) -> bool {
        self.inlined[value]
    }

    /// The tensor whose memory, in other sizes, a view is.
    pub fn flat_base(&self, value: Value) -> Option<Value> {
        self.flat.get(&value).copied()
    }

    /// The tensor in memory whose sizes alone an inlined view changes; the value itself where it is no such view.
    pub fn memory_of(&self, value: Value) -> Value {
        let mut value = value;
        while self.is_inlined(value) {
            match self.flat_base(value) {
                Some(base) => value = base,
                None => return value,
            }
        }
        value
    }

    /// Whether computations take a tensor for an expression. A view that is memory under other sizes is loaded in its own
    /// sizes instead: its index arithmetic would only hide that.
    pub fn is_expression(&self, value: Value) -> bool {
        self.is_inlined(value) && self.is_inlined(self.memory_of(value))
    }
}

struct Planner<'a> {
    graph: &'a Graph,
    structure: &'a Structure,
    fusion: Fusion,
    /// Profiles of operators by themselves.
    profiles: HashMap<Node, Rc<Profile>>,
    /// Tensors that somebody needs as memory.
    memory: SecondaryMap<Value, bool>,
    /// Nodes that take a reduction in, and which of their operands that is.
    taken: HashMap<Node, Value>,
    clusters: Clusters,
}

/// Whether a node's kernel reads operand 0 as a channels-last image in memory.
fn reads_pixels(graph: &Graph, node: Node) -> bool {
    matches!(graph.nodes[node].op, Op::Table(op) if kiln_ops::table().key(op).ends_with("_nhwc"))
}

/// Finds groups of operators over the same rows.
fn find_clusters(graph: &Graph, structure: &Structure) -> Clusters {
    let (mut blocks, mut built) = (vec![graph.entry], HashMap::new());
    graph.visit(graph.entry, &mut |_, node| {
        blocks.extend(&graph.nodes[node].blocks);
        if structure.is_needed(node) && has_one_element_fn(graph, node) && graph.ty(graph.result(node)).as_tensor().is_some() {
            let own = Builder::new(graph, &|_| false).results(node, &[0]);
            let profile = profile(&own);
            built.insert(node, (own, profile));
        }
    });
    let operators: HashMap<Node, Operator> = built
        .iter()
        .filter_map(|(&node, (built, profile))| {
            let value = graph.result(node);
            let ty = tensor_type(graph, value)?;
            Some((node, Operator { value, ty, built, profile }))
        })
        .collect();
    let mut found = Clusters::default();
    let search = Search { graph, structure, operator: &|node| operators.get(&node) };
    blocks.into_iter().for_each(|block| search.block(block, &mut found));
    found
}

impl Planner<'_> {
    /// Finds flat views and hands the need for memory on to their bases, last node first.
    fn find_flat_views(&mut self, block: Block) {
        for &node in self.graph.blocks[block].nodes.iter().rev() {
            for &inner in self.graph.nodes[node].blocks.iter().rev() {
                self.find_flat_views(inner);
            }
            let Some(Body::View { strides, .. }) = body(self.graph, node) else { continue };
            if !is_flat(self.graph, node, *strides) {
                continue;
            }
            let (value, base) = (self.graph.result(node), self.graph.nodes[node].args[0]);
            self.fusion.flat.insert(value, base);
            if self.is_pointer_wanted(value) {
                self.memory[base] = true;
            }
        }
    }

    /// Whether a tensor is wanted as memory, where a flat view of other memory would do.
    fn is_pointer_wanted(&self, value: Value) -> bool {
        self.memory[value]
            || self.readers(value).iter().any(|&(node, at)| {
                matches!(body(self.graph, node), Some(Body::Extern { .. })) || needs_memory(self.graph, node, at)
            })
    }

    /// The nodes that have a tensor as operand, through lists, with the operand's position.
    fn readers(&self, value: Value) -> Vec<(Node, usize)> {
        let mut found = Vec::new();
        for &user in self.structure.uses(value) {
            if let Use::Operand(node, at) = user {
                match self.graph.nodes[node].op {
                    Op::List | Op::Tuple(_) => found.extend(self.readers(self.graph.result(node))),
                    _ => found.push((node, at)),
                }
            }
        }
        found.sort_by_key(|(node, _)| self.structure.position(*node));
        found
    }

    fn block(&mut self, block: Block) {
        for &node in &self.graph.blocks[block].nodes {
            for &inner in &self.graph.nodes[node].blocks {
                self.block(inner);
            }
            if self.structure.is_needed(node) && has_one_element_fn(self.graph, node) {
                let value = self.graph.result(node);
                self.fusion.inlined[value] = self.is_better_inlined(node, value);
            }
        }
    }

    fn is_better_inlined(&mut self, node: Node, value: Value) -> bool {
        let is_flat = self.fusion.flat.contains_key(&value);
        if tensor_type(self.graph, value).is_none() || !self.graph.ty(value).is_tensor() {
            return false;
        }
        if (self.memory[value] && !is_flat) || self.escapes(value, is_flat) {
            return false;
        }
        if matches!(self.graph.nodes[node].op, Op::Table(op) if kiln_ops::table().key(op) == "kiln::stored") {
            return false;
        }
        if self.clusters.inlined.contains(&value) {
            return true;
        }
        let readers = self.readers(value);
        if !is_flat && readers.iter().any(|&(reader, at)| at == 0 && reads_pixels(self.graph, reader)) {
            return false;
        }
        if is_flat && !self.fusion.is_expression(self.graph.nodes[node].args[0]) {
            // Memory under other sizes costs its readers nothing.
            return true;
        }
        let own = self.full_profile(node);
        if own.size > SIZE_LIMIT {
            return false;
        }
        let home = self.structure.block_of(node);
        if own.cost > Cost::Free && readers.iter().any(|&(n, _)| self.structure.block_of(n) != home) {
            return false;
        }
        // A producer is not computed through a view that merges axes: the view is its memory under other sizes.
        let merges = |n: Node| self.graph.nodes[n].results.iter().any(|r| self.fusion.flat.contains_key(r));
        let merged: Vec<Node> = readers.iter().map(|r| r.0).filter(|&n| merges(n)).collect();
        if own.cost > Cost::Free && merged.into_iter().any(|n| !self.own_profile(n).is_affine) {
            return false;
        }
        let in_cluster = readers.iter().any(|(n, _)| self.clusters.nodes.contains(n));
        if in_cluster && own.cost > Cost::Free && (own.cost > Cost::Light || !own.is_affine) {
            return false;
        }
        let contracted = readers.iter().any(|&(n, _)| self.is_contraction(n));
        match own.cost {
            Cost::Free => !contracted || own.is_affine,
            _ if contracted => false,
            Cost::Light if readers.len() > 1 && inputs(&own) > 1 => false,
            Cost::Light => readers.len() <= LIGHT_READERS && readers.iter().all(|&(n, _)| self.reads_once(n, value, false)),
            Cost::Medium => readers.len() == 1 && self.reads_once(readers[0].0, value, false),
            Cost::Heavy if readers.len() != 1 || self.widens(value) => false,
            Cost::Heavy => self.takes_reduction(readers[0].0, value),
        }
    }

    /// Whether a use other than by an element function needs the tensor as memory.
    fn escapes(&self, value: Value, is_flat: bool) -> bool {
        let is_yielded = |value: Value| self.structure.uses(value).iter().any(|u| matches!(u, Use::Yield(..)));
        is_yielded(value)
            || self.readers(value).iter().any(|&(node, at)| match body(self.graph, node) {
                Some(Body::Tensor { .. } | Body::View { .. }) => needs_memory(self.graph, node, at),
                Some(Body::Scatter { .. }) => at == 0,
                Some(Body::Extern { .. }) => !is_flat,
                _ => !(matches!(self.graph.nodes[node].op, Op::WriteView(_)) && at == 1),
            })
    }

    /// Whether a reader reads each element of a tensor at most once, by one load.
    fn reads_once(&mut self, reader: Node, value: Value, forbid_reduction: bool) -> bool {
        if !has_element_fn(self.graph, reader) {
            // A store into a window reads its value once; a scatter's domain may be anything.
            return matches!(self.graph.nodes[reader].op, Op::WriteView(_));
        }
        let results = crate::facts::result_types(self.graph, reader).expect("results are tensors");
        if results.iter().any(|ty| ty.dims != results[0].dims) {
            return false;
        }
        let profile = self.own_profile(reader);
        let reads: Vec<&Read> = profile.reads.iter().filter(|r| r.value == value).collect();
        reads.len() <= 1 && reads.iter().all(|r| r.is_once && !(forbid_reduction && r.in_reduction))
    }

    fn takes_reduction(&mut self, reader: Node, value: Value) -> bool {
        let fits = self.may_take_reduction(reader, value);
        if fits {
            self.taken.insert(reader, value);
        }
        fits
    }

    fn may_take_reduction(&mut self, reader: Node, value: Value) -> bool {
        let is_taken = self.taken.get(&reader).is_some_and(|&by| by != value) || self.clusters.nodes.contains(&reader);
        if !has_one_element_fn(self.graph, reader) || is_taken {
            return false;
        }
        let profile = self.own_profile(reader);
        if profile.cost >= Cost::Heavy || !self.reads_once(reader, value, true) {
            return false;
        }
        let orders = profile.reads.iter().filter(|r| r.value == value).map(|r| r.order);
        match orders.max().unwrap_or(Order::Memory) {
            // What is a product for a kernel stays one.
            Order::Memory => self.alone(value).is_none_or(|own| !is_product(&own)) || is_product(&self.with(reader, value)),
            // Any other reduction would become a loop nest by that.
            Order::Rows => is_product_in_place(&self.with(reader, value)),
            Order::Other => false,
        }
    }

    /// The computation of a node with one more of its operands inlined.
    fn with(&self, node: Node, operand: Value) -> Compute {
        let inlined = |v| v == operand || self.fusion.is_expression(v);
        Builder::new(self.graph, &inlined).results(node, &[0]).compute
    }

    /// The computation of a value by itself, with what it has inlined so far.
    fn alone(&self, value: Value) -> Option<Compute> {
        let inlined = |v| self.fusion.is_expression(v);
        Some(Builder::new(self.graph, &inlined).results(self.graph.def_node(value)?, &[0]).compute)
    }

    /// Whether bytes that are no memory themselves would be memory further on, as wider numbers: four times as much. The
    /// numbers that leave a method are wanted as they are. Where bytes follow, all operators before them take the reduction in.
    fn widens(&mut self, bytes: Value) -> bool {
        let is_byte = |graph: &Graph, value| tensor_type(graph, value).is_some_and(|ty| ty.dtype.size() == 1);
        if !is_byte(self.graph, bytes) {
            return false;
        }
        let (mut value, mut chain) = (bytes, Vec::new());
        loop {
            match self.readers(value)[..] {
                [] => return false,
                [(reader, _)] if self.may_take_reduction(reader, value) => {
                    chain.push((reader, value));
                    value = self.graph.result(reader);
                }
                _ => return !is_byte(self.graph, value),
            }
            if is_byte(self.graph, value) {
                self.taken.extend(chain);
                return false;
            }
        }
    }

    /// Whether a node reads several tensors inside a reduction: the operands of a matrix product are memory, or
    /// views whose addresses are plain sums of strides.
    fn is_contraction(&mut self, node: Node) -> bool {
        has_element_fn(self.graph, node) && {
            let profile = self.own_profile(node);
            profile.cost == Cost::Heavy && profile.reads.iter().filter(|r| r.in_reduction).count() > 1
        }
    }

    /// The profile of a node's operator by itself.
    fn own_profile(&mut self, node: Node) -> Rc<Profile> {
        let graph = self.graph;
        let outputs: Vec<usize> = (0..graph.nodes[node].results.len()).collect();
        let made = || Rc::new(profile(&Builder::new(graph, &|_| false).results(node, &outputs)));
        self.profiles.entry(node).or_insert_with(made).clone()
    }

    /// The profile of a node with everything inlined that is so far.
    fn full_profile(&self, node: Node) -> Profile {
        let inlined = |value| self.fusion.is_expression(value);
        profile(&Builder::new(self.graph, &inlined).results(node, &[0]))
    }
}

/// How many tensors a computation reads.
fn inputs(profile: &Profile) -> usize {
    profile.reads.iter().map(|r| r.value).collect::<HashSet<Value>>().len()
}

fn has_element_fn(graph: &Graph, node: Node) -> bool {
    matches!(body(graph, node), Some(Body::Tensor { .. } | Body::View { .. }))
}

fn has_one_element_fn(graph: &Graph, node: Node) -> bool {
    has_element_fn(graph, node) && graph.nodes[node].results.len() == 1
}

/// Whether a view has all elements of its base in the same order.
fn is_flat(graph: &Graph, node: Node, strides: kiln_ops::entry::StridesFn) -> bool {
    let (Some(base), Some(result)) = (tensor_type(graph, graph.nodes[node].args[0]), tensor_type(graph, graph.result(node)))
    else {
        return false;
    };
    let (Some(from), Some(to)) = (base.const_shape(), result.const_shape()) else { return false };
    if base.dtype != result.dtype || kiln_support::tensor::count(&from) != kiln_support::tensor::count(&to) {
        return false;
    }
    let dims =
        |sizes: &[i64]| -> Vec<Dim> { kiln_support::tensor::contiguous_strides(sizes).into_iter().map(Dim::Const).collect() };
    let args = crate::facts::facts(graph, &graph.nodes[node].args);
    let mut infer = Infer { args: &args, dims: &mut ConstMath };
    let Some(got) = strides(&mut infer, &dims(&from)) else { return false };
    // The stride of an axis of size 1 says nothing.
    got.iter().zip(dims(&to)).zip(&to).all(|((a, b), &size)| size == 1 || *a == b)
}

/// Arithmetic on sizes where all are constant; anything else gives a size that equals none.
struct ConstMath;

impl DimMath for ConstMath {
    fn binary(&mut self, op: kiln_loops::BinaryOp, a: Dim, b: Dim) -> Dim {
        match (a, b) {
            (Dim::Const(a), Dim::Const(b)) => {
                let result = kiln_loops::scalar::binary(op, kiln_loops::Scalar::Int(a), kiln_loops::Scalar::Int(b));
                Dim::Const(result.as_int())
            }
            _ => Dim::Const(i64::MIN),
        }
    }

    fn require_equal(&mut self, _a: Dim, _b: Dim, _message: &str) {}
}
