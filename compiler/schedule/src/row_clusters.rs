//! Groups of operators that run over the same rows: softmax, layer norm and whatever is built like them.
//!
//! Such a group has one result of the full shape; its members are tensors of that shape, computed
//! element by element, and reductions of them over the last axes, which keep those axes with size 1. Each member is
//! read by members only. As one computation the group goes over a row a few times while it is in the cache, and its
//! intermediate tensors need no memory. A reduction in it is evaluated once per row, although every column reads it.

use crate::profile::{Cost, Profile};
use crate::source::Built;
use crate::structure::{Structure, Use};
use kiln_graph::{Block, Dim, Graph, Node, TensorType, Value};
use kiln_loops::{Compute, Expr, ExprData};
use kiln_support::DType;
use std::collections::HashSet;

/// Operators of a group.
const MOST_MEMBERS: usize = 24;
/// How far before its last operator a group may begin.
const WINDOW: usize = 48;

/// An operator with one result, by itself.
pub struct Operator<'a> {
    pub value: Value,
    pub ty: TensorType,
    pub built: &'a Built,
    pub profile: &'a Profile,
}

/// What groups are looked for in.
pub struct Search<'a> {
    pub graph: &'a Graph,
    pub structure: &'a Structure,
    /// The operator of a node with an element function and one result.
    pub operator: &'a dyn Fn(Node) -> Option<&'a Operator<'a>>,
}

/// The groups of a graph.
#[derive(Default)]
pub struct Clusters {
    /// Members that are expressions in the group's result.
    pub inlined: HashSet<Value>,
    /// All members, results included.
    pub nodes: HashSet<Node>,
}

impl Search<'_> {
    /// Finds the groups of a block, last one first.
    pub fn block(&self, block: Block, found: &mut Clusters) {
        let nodes = &self.graph.blocks[block].nodes;
        for at in (0..nodes.len()).rev() {
            if found.nodes.contains(&nodes[at]) {
                continue;
            }
            let first = at.saturating_sub(WINDOW);
            if let Some(members) = self.grow(nodes[at], &nodes[first..at]) {
                found.inlined.extend(members.iter().filter(|&&n| n != nodes[at]).map(|&n| self.graph.result(n)));
                found.nodes.extend(members);
            }
        }
    }

    /// The group whose result is that of `root`, if it has a reduction.
    fn grow(&self, root: Node, before: &[Node]) -> Option<Vec<Node>> {
        let last = (self.operator)(root)?;
        if last.ty.rank() == 0 || last.ty.dtype != DType::F32 || last.profile.cost == Cost::Heavy {
            return None;
        }
        let mut group = Group { search: self, full: &last.ty.dims, columns: None, has_reduction: false, members: vec![root] };
        for &node in before.iter().rev() {
            if group.members.len() < MOST_MEMBERS
                && let Some(operator) = (self.operator)(node)
                && group.accepts(operator)
            {
                group.members.push(node);
            }
        }
        group.has_reduction.then_some(group.members)
    }
}

struct Group<'s, 'a> {
    search: &'s Search<'a>,
    full: &'s [Dim],
    /// How many of the last axes rows go over, once a tensor with one element per row is a member.
    columns: Option<usize>,
    has_reduction: bool,
    members: Vec<Node>,
}

impl Group<'_, '_> {
    fn accepts(&mut self, operator: &Operator) -> bool {
        let Some(readers) = self.readers(operator.value) else { return false };
        if operator.ty.dtype != DType::F32 || operator.ty.rank() != self.full.len() || !operator.profile.is_affine {
            return false;
        }
        let is_reduction = operator.profile.cost == Cost::Heavy;
        let is_full = operator.ty.dims == self.full && !is_reduction;
        let columns = if is_full { Some(0) } else { row_shape(&operator.ty.dims, self.full) };
        let Some(columns) = columns else { return false };
        let fits = is_full || self.columns.is_none_or(|known| known == columns);
        if !fits || (is_reduction && !reduces(operator, columns)) || !self.is_cheap(operator, &readers) {
            return false;
        }
        let reads = |&reader: &Node| (self.search.operator)(reader).is_some_and(|r| reads_in_place(r, operator.value, columns));
        if !readers.iter().all(reads) {
            return false;
        }
        if !is_full {
            self.columns = Some(columns);
        }
        self.has_reduction |= is_reduction;
        true
    }

    /// The readers of a value, if all of them are members.
    fn readers(&self, value: Value) -> Option<Vec<Node>> {
        let uses = self.search.structure.uses(value);
        let reader = |user: &Use| match user {
            Use::Operand(node, _) if self.members.contains(node) => Some(*node),
            _ => None,
        };
        uses.iter().map(reader).collect()
    }

    /// A full tensor is computed again in every pass that reads it: a costly one only where a reduction reads it, whose
    /// pass can keep it for the others.
    fn is_cheap(&self, operator: &Operator, readers: &[Node]) -> bool {
        let is_row = operator.ty.dims != self.full;
        let is_reduction = |node: &Node| (self.search.operator)(*node).is_some_and(|r| r.profile.cost == Cost::Heavy);
        is_row || operator.profile.cost <= Cost::Light || readers.iter().any(is_reduction)
    }
}

/// How many of the last axes of the full shape have become 1; none where the shape differs in another way.
fn row_shape(dims: &[Dim], full: &[Dim]) -> Option<usize> {
    let first = dims.iter().zip(full).position(|(own, all)| own != all)?;
    dims[first..].iter().all(|d| *d == Dim::Const(1)).then_some(full.len() - first)
}

/// Whether an operator is nothing but one reduction over so many of the last axes.
fn reduces(operator: &Operator, columns: usize) -> bool {
    let compute = &operator.built.compute;
    let reductions = (0..compute.exprs.len() as u32).filter_map(|i| match compute.exprs.get(Expr(i)) {
        ExprData::Reduce { axes, .. } => Some(axes.len()),
        _ => None,
    });
    reductions.eq([columns]) && operator.profile.reads.iter().all(|r| r.in_reduction)
}

/// Whether an operator reads a value only at the element, or the row, that it computes. `collapsed` of the value's last
/// axes have size 1.
fn reads_in_place(reader: &Operator, value: Value, collapsed: usize) -> bool {
    let compute = &reader.built.compute;
    let rank = compute.rank;
    let Some(input) = reader.built.inputs.iter().position(|&v| v == value) else { return true };
    let reduced = reduction(compute);
    let fits = |(axis, &e): (usize, &Expr)| match compute.exprs.get(e) {
        ExprData::Axis(a) if *a as usize == axis => axis < rank - reduced.len() || reduced.is_empty(),
        ExprData::Axis(a) => axis + reduced.len() >= rank && reduced.get(axis + reduced.len() - rank) == Some(a),
        _ => {
            compute.exprs.as_int(e) == Some(0) && (axis + collapsed >= rank || compute.axes[axis] == kiln_loops::Extent::Const(1))
        }
    };
    let is_bad = |data: &ExprData| match data {
        ExprData::Load { input: i, index } if *i as usize == input => index.len() != rank || !index.iter().enumerate().all(fits),
        _ => false,
    };
    !compute.roots().iter().any(|&root| compute.any(root, &mut |d| is_bad(d)))
}

/// The axes of the reduction of a computation; none where there is none.
fn reduction(compute: &Compute) -> Vec<u32> {
    let found = (0..compute.exprs.len() as u32).find_map(|i| match compute.exprs.get(Expr(i)) {
        ExprData::Reduce { axes, .. } => Some(axes.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}
