//! `If` and `Loop` whose condition is known only at run time.
//!
//! Both branches of an `if` are run on copies of the heap, and what they leave different is
//! generalised ([`super::merge`]). A loop is run until what holds at its head holds at its back edge
//! too; only the last run stays in the residual graph. A static container that one path changes in
//! length is made a run-time container before the fork ([`Stop::Demote`]), and the fork is run again.

use super::merge::{Gen, Place, read_place_in};
use super::rich::{join, rich_type};
use super::value::{Abs, Contents, Heap, HeapId, HeapItem, Num};
use super::{Frame, Run, Specialiser, Stop};
use kiln_graph::{Block, Graph, Node, Op, Type, Value};
use std::collections::BTreeMap;

/// How often a loop is run to find what holds at its head, and a fork after demotions.
const MAX_ROUNDS: usize = 40;

/// How many iterations a loop is unrolled for, where it cannot be kept as a loop.
const MAX_UNROLL: i64 = 4096;

/// How many iterations a loop without tensors is unrolled for.
const MAX_SCALAR_UNROLL: i64 = 64;

/// How many iterations a loop of a decomposition is unrolled for.
const MAX_SHORT_UNROLL: i64 = 8;

/// What a branch leaves.
struct Path {
    block: Block,
    heap: Heap,
    yields: Option<Vec<Abs>>,
}

impl Specialiser<'_> {
    /// Runs an `If`; gives its results, or nothing when both branches raise.
    pub(super) fn run_if(&mut self, frame: &mut Frame, node: Node) -> Run<Option<Vec<Abs>>> {
        let data = frame.graph.nodes[node].clone();
        let Abs::Bool(test) = self.operand(frame, data.args[0]) else {
            return Err(self.unsupported("a condition that is not a bool"));
        };
        if let Num::Const(test) = test {
            return self.run_block(frame, data.blocks[usize::from(!test.as_bool())]);
        }
        let test = self.emit.num(test);
        self.with_demotion(|this| this.fork(frame, test, [data.blocks[0], data.blocks[1]]))
    }

    /// Runs `body`; whenever it needs a container to be a run-time one from the start, makes it one and
    /// runs it again.
    fn with_demotion<T>(&mut self, mut body: impl FnMut(&mut Self) -> Run<T>) -> Run<T> {
        for _ in 0..MAX_ROUNDS {
            let (mark, heap) = (self.emit.mark(), self.heap.clone());
            match body(self) {
                Err(Stop::Demote(id)) if id.0 < heap.items.len() as u32 => {
                    self.emit.undo(&mark);
                    self.heap = heap;
                    self.demote(id)?;
                }
                other => return other,
            }
        }
        Err(self.unsupported("control flow that changes many containers"))
    }

    fn fork(&mut self, frame: &mut Frame, test: Value, blocks: [Block; 2]) -> Run<Option<Vec<Abs>>> {
        let (mark, before) = (self.emit.mark(), self.heap.clone());
        let node = self.emit.node(Op::If, vec![test], Vec::new());
        let then = self.run_path(frame, node, blocks[0])?;
        if then.yields.is_none() {
            // Where one branch raises, the other one simply goes on after the `if`.
            self.heap = before;
            self.heap.adopt(&then.heap);
            self.empty_branch(node);
            return self.run_block(frame, blocks[1]);
        }
        self.heap = before.clone();
        self.heap.adopt(&then.heap);
        let orelse = self.run_path(frame, node, blocks[1])?;
        if orelse.yields.is_none() {
            self.emit.undo(&mark);
            self.heap = before.clone();
            let node = self.emit.node(Op::If, vec![test], Vec::new());
            self.empty_branch(node);
            let orelse = self.run_path(frame, node, blocks[1])?;
            self.heap = before;
            self.heap.adopt(&orelse.heap);
            return self.run_block(frame, blocks[0]);
        }
        self.join(node, before, then, orelse).map(Some)
    }

    fn empty_branch(&mut self, node: Node) {
        let block = self.emit.graph.add_block();
        self.emit.graph.nodes[node].blocks.push(block);
    }

    fn run_path(&mut self, frame: &mut Frame, node: Node, block: Block) -> Run<Path> {
        let residual = self.emit.graph.add_block();
        self.emit.graph.nodes[node].blocks.push(residual);
        self.emit.stack.push(residual);
        let yields = self.run_block(frame, block)?;
        self.emit.stack.pop();
        self.emit.graph.blocks[residual].diverges = yields.is_none();
        Ok(Path { block: residual, heap: self.heap.clone(), yields })
    }

    /// Merges two branches; the current heap is the second one's.
    fn join(&mut self, node: Node, before: Heap, mut then: Path, orelse: Path) -> Run<Vec<Abs>> {
        let (first, second) = (then.yields.take().expect("checked"), orelse.yields.expect("checked"));
        // Ids made in one branch must mean the same on both sides.
        then.heap.adopt(&orelse.heap);
        let gens: Run<Vec<Gen>> = first.iter().zip(&second).map(|(a, b)| self.generalise_across(a, &then.heap, b)).collect();
        let gens = gens?;
        let places = self.changed_places(&before, &then.heap)?;
        let mut place_gens = Vec::new();
        for &place in &places {
            let a = read_place_in(&then.heap, place)?;
            let b = self.read_place(place)?;
            place_gens.push(self.place_gen(place, &a, &then.heap, &b)?);
        }
        // The second branch's values, then the first one's.
        let second_values = self.flatten_all(orelse.block, &gens, &second, &places, &place_gens)?;
        let second_heap = std::mem::replace(&mut self.heap, then.heap);
        self.heap.adopt(&second_heap);
        let first_values = self.flatten_all(then.block, &gens, &first, &places, &place_gens)?;
        self.check_demotions(&before, &second_heap)?;
        self.emit.graph.blocks[then.block].yields = first_values;
        self.emit.graph.blocks[orelse.block].yields = second_values;
        self.forget_branch_values(&before, &second_heap);
        let mut free = |this: &mut Self, ty: Type| this.emit.graph.add_result(node, ty);
        let mut results = Vec::new();
        for (gen_, (a, b)) in gens.iter().zip(first.iter().zip(&second)) {
            let abs = self.instantiate(gen_, &mut free)?;
            self.note_alias(&abs, a, b);
            results.push(abs);
        }
        let mut twins: [Vec<(Abs, Abs)>; 2] = Default::default();
        for (result, (a, b)) in results.iter().zip(first.iter().zip(&second)) {
            twins[0].push((result.clone(), a.clone()));
            twins[1].push((result.clone(), b.clone()));
        }
        for (place, gen_) in places.iter().zip(&place_gens) {
            let abs = self.instantiate(gen_, &mut free)?;
            if let Place::Slot(..) = place {
                let (a, b) = (self.read_place(*place)?, read_place_in(&second_heap, *place)?);
                self.note_alias(&abs, &a, &b);
                twins[0].push((abs.clone(), a));
                twins[1].push((abs.clone(), b));
            }
            self.write_place(*place, abs);
        }
        twins.iter().for_each(|pairs| self.note_twins(pairs));
        Ok(results)
    }

    /// What holds of `a` (of another heap) and `b` (of the current one).
    fn generalise_across(&mut self, a: &Abs, heap: &Heap, b: &Abs) -> Run<Gen> {
        if a == b {
            return Ok(Gen::Same(a.clone()));
        }
        let known = match (a, b) {
            (Abs::Uninit, other) | (other, Abs::Uninit) => return self.free_gen(other),
            (Abs::Tensor(id), _) => {
                let ty = &heap.tensors[*id].ty;
                Gen::Tensor(ty.dtype, ty.dims.iter().map(|d| Some(*d)).collect())
            }
            (Abs::List(_), Abs::List(_)) | (Abs::Dict(_), Abs::Dict(_)) | (Abs::Object(_), Abs::Object(_)) => {
                Gen::Container(rich_type(a, heap))
            }
            (Abs::List(_) | Abs::Dict(_) | Abs::Object(_), _) => Gen::Tagged(rich_type(a, heap)),
            (Abs::Tuple(items, class), Abs::Tuple(others, _)) if items.len() == others.len() => {
                let merged: Run<Vec<Gen>> =
                    items.iter().zip(others.iter()).map(|(a, b)| self.generalise_across(a, heap, b)).collect();
                return Ok(Gen::Tuple(merged?, *class));
            }
            (Abs::Tuple(..), _) => Gen::Tagged(rich_type(a, heap)),
            _ => Gen::Same(a.clone()),
        };
        self.generalise(&known, b)
    }

    fn place_gen(&mut self, place: Place, a: &Abs, heap: &Heap, b: &Abs) -> Run<Gen> {
        match place {
            Place::Storage(_) => {
                let Abs::Tensor(base) = b else { panic!("a storage's base is a tensor") };
                let ty = self.heap.tensors[*base].ty.clone();
                Ok(Gen::Tensor(ty.dtype, ty.dims.iter().map(|d| Some(*d)).collect()))
            }
            Place::Pointer(_) => {
                let ty = join(&rich_type(a, heap), &rich_type(b, &self.heap));
                Ok(self.pointer_gen(ty))
            }
            Place::Slot(..) => self.generalise_across(a, heap, b),
        }
    }

    /// The values that a block yields for yields and places, emitted at its end under the current heap.
    fn flatten_all(&mut self, block: Block, gens: &[Gen], abs: &[Abs], places: &[Place], place_gens: &[Gen]) -> Run<Vec<Value>> {
        self.emit.stack.push(block);
        let mut values = Vec::new();
        for (gen_, abs) in gens.iter().zip(abs) {
            self.flatten(gen_, abs, &mut values)?;
        }
        for (place, gen_) in places.iter().zip(place_gens) {
            let abs = self.read_place(*place)?;
            self.flatten(gen_, &abs, &mut values)?;
        }
        self.emit.stack.pop();
        Ok(values)
    }

    /// Places that exist before a fork and that the current heap or `other` changed.
    fn changed_places(&self, before: &Heap, other: &Heap) -> Run<Vec<Place>> {
        let mut places = Vec::new();
        for (id, item) in before.items.iter() {
            for heap in [&self.heap, other] {
                self.changed_slots(id, item, &heap.items[id], &mut places)?;
            }
        }
        for (id, storage) in before.storages.iter() {
            if [&self.heap, other].iter().any(|h| h.storages[id].version != storage.version) {
                places.push(Place::Storage(id));
            }
        }
        places.sort();
        places.dedup();
        Ok(places)
    }

    fn changed_slots(&self, id: HeapId, before: &HeapItem, now: &HeapItem, places: &mut Vec<Place>) -> Run<()> {
        if before == now {
            return Ok(());
        }
        let differing =
            |a: &[Abs], b: &[Abs]| (0..a.len()).filter(|&i| a[i] != b[i]).map(|i| Place::Slot(id, i)).collect::<Vec<_>>();
        match (before, now) {
            (HeapItem::List(_, Contents::Static(a)), HeapItem::List(_, Contents::Static(b))) if a.len() == b.len() => {
                places.extend(differing(a, b));
            }
            (HeapItem::Dict(_, _, Contents::Static(a)), HeapItem::Dict(_, _, Contents::Static(b)))
                if a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0) =>
            {
                let (a, b): (Vec<Abs>, Vec<Abs>) = a.iter().zip(b).map(|(a, b)| (a.1.clone(), b.1.clone())).unzip();
                places.extend(differing(&a, &b));
            }
            (HeapItem::Object(_, Contents::Static(a)), HeapItem::Object(_, Contents::Static(b))) => {
                places.extend((0..a.len()).filter(|&i| a[i] != b[i]).map(|i| Place::Slot(id, i)));
            }
            (HeapItem::List(_, Contents::Runtime(..)), HeapItem::List(_, Contents::Runtime(..)))
            | (HeapItem::Dict(_, _, Contents::Runtime(..)), HeapItem::Dict(_, _, Contents::Runtime(..)))
            | (HeapItem::Object(_, Contents::Runtime(..)), HeapItem::Object(_, Contents::Runtime(..))) => {
                places.push(Place::Pointer(id))
            }
            _ => return Err(Stop::Demote(id)),
        }
        Ok(())
    }

    /// Flattening may have turned a static container of before the fork into a run-time one on one side only.
    fn check_demotions(&self, before: &Heap, other: &Heap) -> Run<()> {
        for (id, item) in before.items.iter() {
            let is_static = |i: &HeapItem| {
                matches!(
                    i,
                    HeapItem::List(_, Contents::Static(_))
                        | HeapItem::Dict(_, _, Contents::Static(_))
                        | HeapItem::Object(_, Contents::Static(_))
                )
            };
            if is_static(item) && !(is_static(&self.heap.items[id]) && is_static(&other.items[id])) {
                return Err(Stop::Demote(id));
            }
        }
        Ok(())
    }

    /// Residual values cached in a branch are not defined after it: tensors go back to what was known before,
    /// and are computed again where they are needed.
    fn forget_branch_values(&mut self, before: &Heap, other: &Heap) {
        for (id, tensor) in before.tensors.iter() {
            let own = &mut self.heap.tensors[id];
            own.value = tensor.value;
            own.version = tensor.version;
            own.data.clone_from(&tensor.data);
            own.element.clone_from(&tensor.element);
        }
        for (id, storage) in before.storages.iter() {
            let (own, other) = (self.heap.storages[id].clone(), &other.storages[id]);
            let merged = &mut self.heap.storages[id];
            merged.version = own.version.max(other.version).max(storage.version);
            merged.shared = own.shared.or(other.shared);
            merged.unknown |= other.unknown;
        }
    }

    /// Runs a `Loop`; gives the carried values after it, or nothing when it surely raises.
    pub(super) fn run_loop(&mut self, frame: &mut Frame, node: Node) -> Run<Option<Vec<Abs>>> {
        let data = frame.graph.nodes[node].clone();
        let operands: Vec<Abs> = data.args.iter().map(|&v| self.operand(frame, v)).collect();
        let (trip, test, carried) = (operands[0].clone(), operands[1].clone(), operands[2..].to_vec());
        if trip.as_int().is_some_and(|n| n <= 0) || test.as_bool() == Some(false) {
            return Ok(Some(carried));
        }
        let body = data.blocks[0];
        if let (Some(n), Some(true)) = (trip.as_int(), test.as_bool())
            && self.is_better_unrolled(&frame.graph, body, n)
        {
            let why = Box::new(
                kiln_support::Diagnostic::unsupported("unsupported", "kiln does not support this loop yet").at(self.span()),
            );
            return self.unroll(frame, body, &trip, test, carried, why);
        }
        let (mark, heap) = (self.emit.mark(), self.heap.clone());
        let kept = self.with_demotion(|this| this.keep_loop(frame, body, &trip, &test, &carried));
        match kept {
            Err(Stop::Diagnostic(why)) => {
                self.emit.undo(&mark);
                self.heap = heap;
                self.unroll(frame, body, &trip, test, carried, why)
            }
            other => other,
        }
    }

    /// Whether a loop of `n` iterations only computes sizes and lists of them, which are better known than kept; or
    /// is a short one of a decomposition.
    fn is_better_unrolled(&self, graph: &Graph, body: Block, n: i64) -> bool {
        if n > MAX_SCALAR_UNROLL {
            return false;
        }
        let mut has_tensors = false;
        graph.visit(body, &mut |_, node| {
            let data = &graph.nodes[node];
            has_tensors |= data.results.iter().any(|&v| graph.ty(v).is_tensor()) || matches!(data.op, Op::Print);
        });
        !has_tensors || (self.user_span.is_some() && n <= MAX_SHORT_UNROLL)
    }

    /// Runs the iterations one after the other, as far as the conditions are known.
    fn unroll(
        &mut self,
        frame: &mut Frame,
        body: Block,
        trip: &Abs,
        mut test: Abs,
        mut carried: Vec<Abs>,
        why: Box<kiln_support::Diagnostic>,
    ) -> Run<Option<Vec<Abs>>> {
        let Some(trip) = trip.as_int() else { return Err(Stop::Diagnostic(why)) };
        for i in 0..trip {
            match test.as_bool() {
                Some(true) if i < MAX_UNROLL => {}
                Some(false) => return Ok(Some(carried)),
                _ => return Err(Stop::Diagnostic(why)),
            }
            self.set_params(frame, body, Abs::int(i), &carried);
            let Some(yields) = self.run_block(frame, body)? else { return Ok(None) };
            test = yields[0].clone();
            carried = yields[1..].to_vec();
        }
        Ok(Some(carried))
    }

    fn set_params(&mut self, frame: &mut Frame, body: Block, index: Abs, carried: &[Abs]) {
        let params = frame.graph.blocks[body].params.clone();
        frame.env[params[0]] = Some(index);
        for (&param, abs) in params[1..].iter().zip(carried) {
            frame.env[param] = Some(abs.clone());
        }
    }

    /// Keeps a loop as a loop: finds what holds at its head, then emits it.
    fn keep_loop(&mut self, frame: &mut Frame, body: Block, trip: &Abs, test: &Abs, carried: &[Abs]) -> Run<Option<Vec<Abs>>> {
        let mut gens: Vec<Gen> = carried.iter().map(|a| Gen::Same(a.clone())).collect();
        let mut places: BTreeMap<Place, Gen> = BTreeMap::new();
        let (mark, before) = (self.emit.mark(), self.heap.clone());
        for _ in 0..MAX_ROUNDS {
            let attempt = self.try_loop(frame, body, trip, test, carried, &before, &gens, &places)?;
            match attempt {
                Attempt::Holds(results) => return Ok(results),
                Attempt::Widened(new_gens, new_places) => {
                    gens = new_gens;
                    places = new_places;
                    self.emit.undo(&mark);
                    self.heap = before.clone();
                }
            }
        }
        Err(self.unsupported("a loop whose values do not settle"))
    }

    #[expect(clippy::too_many_arguments, reason = "the loop's parts and what is assumed of them")]
    fn try_loop(
        &mut self,
        frame: &mut Frame,
        body: Block,
        trip: &Abs,
        test: &Abs,
        carried: &[Abs],
        before: &Heap,
        gens: &[Gen],
        places: &BTreeMap<Place, Gen>,
    ) -> Run<Attempt> {
        let mut args = vec![self.materialise(trip, &Type::Int)?, self.materialise(test, &Type::Bool)?];
        for (gen_, abs) in gens.iter().zip(carried) {
            self.flatten(gen_, abs, &mut args)?;
        }
        for (place, gen_) in places {
            let abs = self.read_place(*place)?;
            self.flatten(gen_, &abs, &mut args)?;
        }
        self.check_demotions(before, &self.heap.clone())?;
        let entry = self.heap.clone();
        let node = self.emit.node(Op::Loop, args, Vec::new());
        let residual = self.emit.graph.add_block();
        self.emit.graph.nodes[node].blocks.push(residual);
        self.emit.stack.push(residual);
        let index = self.emit.graph.add_param(residual, Type::Int, None);
        let mut free = |this: &mut Self, ty: Type| this.emit.graph.add_param(residual, ty, None);
        let mut head = Vec::new();
        for (gen_, abs) in gens.iter().zip(carried) {
            let at_head = self.instantiate(gen_, &mut free)?;
            if !matches!(gen_, Gen::Same(_)) {
                self.note_alias(&at_head, abs, abs);
                self.note_carried(&at_head);
            }
            head.push(at_head);
        }
        for (place, gen_) in places {
            let abs = self.instantiate(gen_, &mut free)?;
            if let Place::Slot(..) = place {
                self.note_carried(&abs);
            }
            self.write_place(*place, abs);
        }
        let at_head = self.heap.clone();
        self.set_params(frame, body, Abs::Int(Num::Dyn(index)), &head);
        let Some(yields) = self.run_block(frame, body)? else {
            // The body always raises: whoever comes past the loop has not entered it.
            self.emit.stack.pop();
            self.emit.graph.blocks[residual].diverges = true;
            return self.after_loop(node, carried, carried, before, &entry, gens, places).map(|r| Attempt::Holds(Some(r)));
        };
        let widened = self.widen(&yields[1..], &head, gens, places, &at_head)?;
        if let Some((gens, places)) = widened {
            self.emit.stack.pop();
            return Ok(Attempt::Widened(gens, places));
        }
        let mut values = vec![self.materialise(&yields[0], &Type::Bool)?];
        for (gen_, abs) in gens.iter().zip(&yields[1..]) {
            self.flatten(gen_, abs, &mut values)?;
        }
        for (place, gen_) in places {
            let abs = self.read_place(*place)?;
            self.flatten(gen_, &abs, &mut values)?;
        }
        self.check_demotions(before, &at_head)?;
        self.emit.stack.pop();
        self.emit.graph.blocks[residual].yields = values;
        self.after_loop(node, carried, &yields[1..], before, &entry, gens, places).map(|r| Attempt::Holds(Some(r)))
    }

    /// What must be assumed at the head beyond what was, or nothing when it held.
    #[expect(clippy::type_complexity, reason = "the two parts of the assumption")]
    fn widen(
        &mut self,
        end: &[Abs],
        head: &[Abs],
        gens: &[Gen],
        places: &BTreeMap<Place, Gen>,
        at_head: &Heap,
    ) -> Run<Option<(Vec<Gen>, BTreeMap<Place, Gen>)>> {
        let mut new_gens = Vec::new();
        for ((abs, head), gen_) in end.iter().zip(head).zip(gens) {
            // A value that stays what it was at the head needs nothing.
            new_gens.push(if abs == head { gen_.clone() } else { self.generalise(gen_, abs)? });
        }
        let mut new_places = places.clone();
        for place in self.changed_places(at_head, at_head)? {
            let (a, b) = (read_place_in(at_head, place)?, self.read_place(place)?);
            let gen_ = match places.get(&place) {
                Some(known @ Gen::Container(_)) => self.generalise(known, &b)?,
                Some(known) if !matches!(place, Place::Storage(_)) => self.generalise(known, &b)?,
                Some(known) => known.clone(),
                None => self.place_gen(place, &a, at_head, &b)?,
            };
            new_places.insert(place, gen_);
        }
        let same = new_gens == gens && new_places == *places;
        Ok((!same).then_some((new_gens, new_places)))
    }

    #[expect(clippy::too_many_arguments, reason = "the loop's parts and what is assumed of them")]
    fn after_loop(
        &mut self,
        node: Node,
        carried: &[Abs],
        ends: &[Abs],
        before: &Heap,
        entry: &Heap,
        gens: &[Gen],
        places: &BTreeMap<Place, Gen>,
    ) -> Run<Vec<Abs>> {
        let body_heap = std::mem::replace(&mut self.heap, entry.clone());
        self.heap.adopt(&body_heap);
        self.forget_branch_values(before, &body_heap);
        let mut free = |this: &mut Self, ty: Type| this.emit.graph.add_result(node, ty);
        let mut results = Vec::new();
        let mut twins = Vec::new();
        for (gen_, (abs, end)) in gens.iter().zip(carried.iter().zip(ends)) {
            let after = self.instantiate(gen_, &mut free)?;
            if !matches!(gen_, Gen::Same(_)) {
                self.note_alias(&after, abs, end);
                twins.push((after.clone(), end.clone()));
            }
            results.push(after);
        }
        for (place, gen_) in places {
            let abs = self.instantiate(gen_, &mut free)?;
            if let Place::Slot(..) = place {
                let (a, b) = (self.read_place(*place)?, read_place_in(&body_heap, *place)?);
                self.note_alias(&abs, &a, &b);
                twins.push((abs.clone(), b));
            }
            self.write_place(*place, abs);
        }
        self.note_twins(&twins);
        Ok(results)
    }
}

/// The outcome of one run of a loop's body.
enum Attempt {
    /// What was assumed holds; the carried values after the loop.
    Holds(Option<Vec<Abs>>),
    /// More must be assumed.
    Widened(Vec<Gen>, BTreeMap<Place, Gen>),
}
