//! Control flow: results of `if` and values carried by `loop` live in mutable cells.
//!
//! A cell is a local, two for a tagged value, an arena buffer for a tensor of constant sizes, and a local
//! with a tensor object for other tensors. Cells of objects own a reference; whatever assigns to one
//! gives it. A new carried tensor is computed in the carried buffer itself where the old one is used last before.

use crate::liveness::{Moment, end, expand, is_silent, moment};
use crate::lower::{Bound, Hint, Lowering, Place, R, internal, tensor_facts};
use crate::ownership::counted;
use crate::rep::{Rep, rep};
use kiln_graph::{Block, Node, Type, Value, ValueDef};
use kiln_loops::BinaryOp;
use kiln_loops::plan::{Local, LocalType, Operand, Stmt};
use std::collections::HashSet;

/// Mutable storage of a value.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Cell {
    Nothing,
    Scalar(Local),
    Object(Local),
    Tagged(Local, Local),
    Arena(u64),
    Tensor(Local),
}

impl Cell {
    fn bound(self) -> Bound {
        match self {
            Cell::Nothing => Bound::Nothing,
            Cell::Scalar(local) => Bound::Scalar(Operand::Local(local)),
            Cell::Object(local) => Bound::Object(Operand::Local(local)),
            Cell::Tagged(tag, bits) => Bound::Tagged(Operand::Local(tag), Operand::Local(bits)),
            Cell::Arena(buffer) => Bound::Tensor(Place::Arena(buffer)),
            Cell::Tensor(local) => Bound::Tensor(Place::Object(Operand::Local(local))),
        }
    }

    fn locals(self) -> Vec<Local> {
        match self {
            Cell::Nothing | Cell::Arena(_) => vec![],
            Cell::Scalar(local) | Cell::Object(local) | Cell::Tensor(local) => vec![local],
            Cell::Tagged(tag, bits) => vec![tag, bits],
        }
    }
}

/// What is about to be assigned to a cell: operands for its locals, or a tensor to copy into its buffer.
enum Source {
    Operands(Vec<Operand>),
    Copy(Value),
    /// Elements that had to be saved from a buffer that is assigned to as well.
    Saved(u64),
    /// The tensor is in the cell's buffer already.
    Here,
}

impl Lowering<'_> {
    pub fn lower_if(&mut self, node: Node) -> R<()> {
        let data = &self.graph.nodes[node];
        let test = self.scalar_of(data.args[0])?;
        let mut cells = Vec::new();
        let mut holders = Vec::new();
        for &result in &data.results {
            let holder = self.carried_through(result);
            holders.push(holder.map(|hint| hint.until));
            cells.push(match holder {
                Some(hint) => Cell::Arena(hint.buffer),
                None => self.new_cell(self.graph.ty(result), Some(result))?,
            });
        }
        let then = self.nested(|cx| cx.branch(data.blocks[0], &cells, &holders))?;
        let orelse = self.nested(|cx| cx.branch(data.blocks[1], &cells, &holders))?;
        self.push(Stmt::If { test, then, orelse });
        for (&result, cell) in data.results.iter().zip(&cells) {
            self.bind_owned(result, cell.bound());
        }
        Ok(())
    }

    /// The carried buffer that a conditional's result had best be in, whose old value is used last by this conditional:
    /// its branches may then keep the old value or change it in place.
    fn carried_through(&mut self, result: Value) -> Option<Hint> {
        let hint = self.hints.get(&result).copied()?;
        let old = hint.until?;
        let is_there = self.bound.get(&old) == Some(&Bound::Tensor(Place::Arena(hint.buffer)));
        let is_last = self.last_use_here(old) == self.here.1;
        (is_there && is_last).then(|| self.hints.remove(&result)).flatten()
    }

    fn branch(&mut self, block: Block, cells: &[Cell], holders: &[Option<Option<Value>>]) -> R<()> {
        let yields = &self.graph.blocks[block].yields;
        for old in holders.iter().flatten().flatten() {
            let last = self.last_use_in(block, *old);
            self.branch_last.insert((block, *old), last);
        }
        for ((&value, &cell), holder) in yields.iter().zip(cells).zip(holders) {
            self.hint(block, value, cell, holder.flatten());
        }
        self.block(block)?;
        if self.graph.blocks[block].diverges {
            return Ok(());
        }
        self.at_end(block, |cx| cx.assign(yields, cells))
    }

    /// The last moment at which a block, or what is inside, reads a value from around it; 0 if none does.
    fn last_use_in(&self, block: Block, value: Value) -> Moment {
        let (graph, fusion) = (self.graph, self.fusion);
        let inlined = |v| fusion.is_inlined(v);
        if expand(graph, &inlined, &graph.blocks[block].yields).contains(&value) {
            return end(graph, block);
        }
        let reads = |&node: &Node| {
            let silent = is_silent(graph, self.structure, &inlined, node);
            let data = &graph.nodes[node];
            let own = !silent && expand(graph, &inlined, &data.args).contains(&value);
            self.structure.is_needed(node) && (own || data.blocks.iter().any(|&b| self.used_inside(b).contains(&value)))
        };
        let last = graph.blocks[block].nodes.iter().rev().copied().find(|n| reads(n));
        last.map_or(0, |node| moment(self.structure, node))
    }

    /// A new cell for values of a type. The tensor that ends up in it may have a hint of its own.
    fn new_cell(&mut self, ty: &Type, value: Option<Value>) -> R<Cell> {
        let span = self.span();
        let rep = rep(ty).ok_or_else(|| internal("a value of a type that cannot be held", span))?;
        Ok(match rep {
            Rep::Nothing => Cell::Nothing,
            Rep::Int => Cell::Scalar(self.local(LocalType::Int)),
            Rep::Bool => Cell::Scalar(self.local(LocalType::Bool)),
            Rep::Float => Cell::Scalar(self.local(LocalType::F64)),
            Rep::Object => Cell::Object(self.local(LocalType::Int)),
            Rep::Tagged => Cell::Tagged(self.local(LocalType::Int), self.local(LocalType::Int)),
            Rep::Tensor => {
                let facts = ty.as_tensor().expect("a tensor with facts");
                match self.arena_bytes(facts)? {
                    None => Cell::Tensor(self.local(LocalType::Int)),
                    Some(bytes) => {
                        let hint = value.and_then(|v| self.hints.remove(&v));
                        let free = hint.filter(|h| h.until.is_none_or(|until| self.last_use_here(until) < self.here.1));
                        Cell::Arena(free.map_or_else(|| self.buffers.add(bytes, false), |h| h.buffer))
                    }
                }
            }
        })
    }

    /// Suggests a cell's buffer as the place of a tensor that the block itself defines and yields.
    fn hint(&mut self, block: Block, value: Value, cell: Cell, until: Option<Value>) {
        let is_made_here = matches!(self.graph.values[value].def, ValueDef::Result(n, _) if self.structure.block_of(n) == block);
        if let Cell::Arena(buffer) = cell
            && is_made_here
            && !self.fusion.is_inlined(value)
            && self.graph.as_const(value).is_none()
        {
            self.hints.entry(value).or_insert(Hint { buffer, until });
        }
    }

    /// Assigns values to cells at the same time, and releases what the block owns besides.
    fn assign(&mut self, values: &[Value], cells: &[Cell]) -> R<()> {
        let mut sources = Vec::new();
        for (&value, &cell) in values.iter().zip(cells) {
            sources.push(self.source(value, cell, cells)?);
        }
        for (source, &cell) in sources.iter().zip(cells) {
            let Cell::Arena(buffer) = cell else { continue };
            match source {
                Source::Copy(value) => self.copy_to(*value, Operand::Arena(buffer))?,
                Source::Saved(from) => {
                    let bytes = Operand::Int(self.buffers.bytes(*from) as i64);
                    self.push(Stmt::CopyBytes { to: Operand::Arena(buffer), from: Operand::Arena(*from), bytes });
                }
                _ => {}
            }
        }
        self.release_dying();
        for (source, cell) in sources.into_iter().zip(cells) {
            if let Source::Operands(operands) = source {
                for (local, operand) in cell.locals().into_iter().zip(operands) {
                    self.set(local, operand);
                }
            }
        }
        Ok(())
    }

    /// Prepares an assignment: takes references, and saves what other assignments would overwrite.
    fn source(&mut self, value: Value, cell: Cell, cells: &[Cell]) -> R<Source> {
        let own = cell.locals();
        let others: HashSet<Local> = cells.iter().flat_map(|c| c.locals()).filter(|l| !own.contains(l)).collect();
        let operands = match cell {
            Cell::Nothing => vec![],
            Cell::Scalar(_) => vec![self.scalar_of(value)?],
            Cell::Object(_) => {
                self.take(value)?;
                vec![self.object_of(value)?]
            }
            Cell::Tagged(..) => {
                self.take(value)?;
                let Bound::Tagged(tag, bits) = self.bound(value)? else {
                    return Err(internal("a value without a tag is assigned to one with", self.span()));
                };
                vec![tag, bits]
            }
            Cell::Tensor(_) => vec![self.carried_object(value)?],
            Cell::Arena(buffer) => return self.arena_source(value, buffer, cells),
        };
        let saved = operands.into_iter().map(|operand| match operand {
            Operand::Local(local) if others.contains(&local) => {
                let ty = self.method.locals[local];
                let copy = self.local(ty);
                self.set(copy, operand);
                Operand::Local(copy)
            }
            other => other,
        });
        Ok(Source::Operands(saved.collect()))
    }

    /// A tensor object for a cell: the object that the tensor is in, or a new one.
    fn carried_object(&mut self, value: Value) -> R<Operand> {
        let known = self.bound.get(&value).copied();
        if let Some(Bound::Tensor(Place::Object(object))) = known
            && !self.is_argument(value)
        {
            self.take(value)?;
            return Ok(object);
        }
        let ty = tensor_facts(self.graph, value, self.span())?;
        let object = self.new_tensor(&ty)?;
        let to = self.place_pointer(Place::Object(object));
        self.copy_to(value, to)?;
        Ok(object)
    }

    fn arena_source(&mut self, value: Value, buffer: u64, cells: &[Cell]) -> R<Source> {
        let Some(&Bound::Tensor(Place::Arena(from))) = self.bound.get(&value) else { return Ok(Source::Copy(value)) };
        if from == buffer {
            return Ok(Source::Here);
        }
        if !cells.contains(&Cell::Arena(from)) {
            return Ok(Source::Copy(value));
        }
        let saved = self.buffers.add(self.buffers.bytes(from), false);
        self.copy_to(value, Operand::Arena(saved))?;
        Ok(Source::Saved(saved))
    }

    pub fn lower_loop(&mut self, node: Node) -> R<()> {
        let data = &self.graph.nodes[node];
        let body = data.blocks[0];
        let (trip, first) = (self.scalar_of(data.args[0])?, self.scalar_of(data.args[1])?);
        let index = self.local(LocalType::Int);
        self.set(index, Operand::Int(0));
        let condition = self.local(LocalType::Bool);
        self.set(condition, first);
        let cells = self.enter_cells(node)?;
        let params = &self.graph.blocks[body].params;
        self.bind(params[0], Bound::Scalar(Operand::Local(index)));
        for (&param, cell) in params[1..].iter().zip(&cells) {
            self.bind_owned(param, cell.bound());
        }
        let statements = self.nested(|cx| {
            cx.leave_unless(Operand::Local(condition), data.args[1], body);
            if trip != Operand::Int(i64::MAX) {
                let more = cx.int_binary(BinaryOp::Lt, Operand::Local(index), trip);
                cx.push(Stmt::If { test: more, then: Vec::new(), orelse: vec![Stmt::Break] });
            }
            cx.iteration(body, &cells, condition)?;
            let next = cx.int_binary(BinaryOp::Add, Operand::Local(index), Operand::Int(1));
            cx.set(index, next);
            Ok(())
        })?;
        self.push(Stmt::Loop { body: statements });
        for (&result, cell) in data.results.iter().zip(&cells) {
            self.bind_owned(result, cell.bound());
        }
        Ok(())
    }

    /// Leaves the loop unless its condition holds; nothing where it always does.
    fn leave_unless(&mut self, condition: Operand, first: Value, body: Block) {
        let is_true = |value: Value| self.graph.as_const(value) == Some(&kiln_graph::Literal::Bool(true));
        let next = self.graph.blocks[body].yields.first();
        if is_true(first) && next.is_none_or(|&v| is_true(v)) {
            return;
        }
        self.push(Stmt::If { test: condition, then: Vec::new(), orelse: vec![Stmt::Break] });
    }

    fn iteration(&mut self, body: Block, cells: &[Cell], condition: Local) -> R<()> {
        let data = &self.graph.blocks[body];
        if !data.diverges {
            for ((&value, &cell), &param) in data.yields[1..].iter().zip(cells).zip(&data.params[1..]) {
                self.hint(body, value, cell, Some(param));
            }
        }
        self.block(body)?;
        if data.diverges {
            return Ok(());
        }
        let all: Vec<Cell> = [Cell::Scalar(condition)].into_iter().chain(cells.iter().copied()).collect();
        self.at_end(body, |cx| cx.assign(&data.yields, &all))
    }

    /// Makes the cells of a loop and gives them their first values.
    fn enter_cells(&mut self, node: Node) -> R<Vec<Cell>> {
        let data = &self.graph.nodes[node];
        let used_inside = self.used_inside(data.blocks[0]);
        let inits = &data.args[2..];
        let mut cells = Vec::new();
        for (at, (&init, &result)) in inits.iter().zip(&data.results).enumerate() {
            let is_last = !used_inside.contains(&init) && !inits[at + 1..].contains(&init);
            cells.push(self.enter_cell(init, result, is_last)?);
        }
        Ok(cells)
    }

    /// A cell with its first value. `is_last` tells that nothing in the loop needs the value itself.
    fn enter_cell(&mut self, init: Value, result: Value, is_last: bool) -> R<Cell> {
        if let Some(&Bound::Tensor(Place::Arena(buffer))) = self.bound.get(&init)
            && is_last
            && self.dies_here(init)
            && self.buffers.is_reusable(buffer)
            && self.graph.ty(result).as_tensor().is_some_and(|ty| ty.const_shape().is_some())
        {
            self.buffers.pin(buffer);
            return Ok(Cell::Arena(buffer));
        }
        // What the loop itself still reads keeps the reference it has.
        let was_owned = !is_last && self.owned.remove(&init);
        let cell = self.new_cell(self.graph.ty(result), None)?;
        let source = self.source(init, cell, &[])?;
        match (cell, source) {
            (Cell::Arena(buffer), _) => self.copy_to(init, Operand::Arena(buffer))?,
            (_, Source::Operands(operands)) => {
                for (local, operand) in cell.locals().into_iter().zip(operands) {
                    self.set(local, operand);
                }
            }
            _ => {}
        }
        if was_owned && self.bound.get(&init).is_some_and(|&b| counted(b)) {
            self.owned.insert(init);
        }
        Ok(cell)
    }

    /// Everything that a block and the blocks inside read.
    fn used_inside(&self, block: Block) -> HashSet<Value> {
        let (graph, fusion) = (self.graph, self.fusion);
        let mut used: Vec<Value> = graph.blocks[block].yields.clone();
        graph.visit(block, &mut |_, node| {
            used.extend(&graph.nodes[node].args);
            graph.nodes[node].blocks.iter().for_each(|&inner| used.extend(&graph.blocks[inner].yields));
        });
        expand(graph, &|v| fusion.is_inlined(v), &used).into_iter().collect()
    }
}
