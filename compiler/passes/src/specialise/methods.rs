//! From a program to a residual model: exported methods, their inputs, and the state between calls.
//!
//! What an exported method changes in the objects that exist before the first call is the
//! instance's *state*. It is found as a loop's carried values are: a method is run, the places of
//! the initial heap that it left different are generalised, and all methods are run again from the
//! generalised heap until nothing more changes. Each free part of a state place is a slot.

use super::emit::Emit;
use super::merge::{Gen, Place};
use super::rich::{erase, rich_type};
use super::value::{ANY_SIZE, Abs, Contents, Heap, HeapItem};
use super::{ClassFacts, Decompositions, Run, Specialiser, Stop};
use kiln_graph::residual::{ResidualMethod, ResidualModel, StateSlot};
use kiln_graph::{ClassId, ClassKind, Dim, FuncId, Graph, HeapObject, Initial, ObjectId, Op, Program, StateId, TensorType, Type};
use kiln_support::{Diagnostic, SecondaryMap};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// A method to export and the declared types of its inputs.
#[derive(Clone, Debug)]
pub struct Method {
    /// Name as exported.
    pub name: String,
    /// The function; its first parameter is the receiver where `receiver` is one.
    pub func: FuncId,
    /// Whether the root module is the first argument.
    pub is_method: bool,
    /// Rich types of the inputs: as the signature, with facts at tensors. A size of [`Dim::Value`] is a symbol:
    /// equal values are equal sizes (the numbers mean nothing else).
    pub inputs: Vec<Type>,
    /// Names of the symbols in `inputs`.
    pub symbols: Vec<String>,
}

/// How often the methods are run to find the state.
const MAX_ROUNDS: usize = 16;

/// Specialises the methods of a program.
pub fn specialise(
    program: &mut Program,
    decompositions: &mut dyn Decompositions,
    methods: &[Method],
) -> Result<ResidualModel, Box<Diagnostic>> {
    let shared = Rc::new(shared_storages(program));
    let mut state: BTreeMap<Place, Gen> = BTreeMap::new();
    let mut facts = ClassFacts::new();
    for _ in 0..MAX_ROUNDS {
        let mut widened = state.clone();
        let known_facts = facts.clone();
        let mut finished = Vec::new();
        for method in methods {
            let mut run = new_run(program, decompositions, shared.clone(), &mut facts);
            let (residual, found) = run.method(method, &state).map_err(into_diagnostic)?;
            widened = merge_states(widened, found);
            finished.push(residual);
        }
        if widened == state && facts == known_facts {
            let mut run = new_run(program, decompositions, shared.clone(), &mut facts);
            let (init, slots) = run.init(&state).map_err(into_diagnostic)?;
            let classes = program.clone();
            return Ok(ResidualModel { program: classes, methods: finished, state: slots, init });
        }
        state = widened;
    }
    let message = "kiln does not support a model whose state does not settle yet (its types or sizes change from call to call)";
    Err(Box::new(Diagnostic::unsupported("unsupported", message)))
}

fn into_diagnostic(stop: Stop) -> Box<Diagnostic> {
    match stop {
        Stop::Diagnostic(diagnostic) => diagnostic,
        Stop::Demote(id) => panic!("{id} was to be made a run-time container outside of any fork"),
    }
}

fn new_run<'a>(
    program: &'a mut Program,
    decompositions: &'a mut dyn Decompositions,
    shared: Rc<HashSet<u32>>,
    class_facts: &'a mut ClassFacts,
) -> Specialiser<'a> {
    Specialiser {
        program,
        decompositions,
        emit: Emit::new(),
        heap: Heap::default(),
        functions: HashMap::new(),
        objects: SecondaryMap::default(),
        storages: HashMap::new(),
        shared_storages: shared,
        bases: HashMap::new(),
        class_facts,
        depth: 0,
        user_span: None,
        steps: 0,
    }
}

/// Storages that tensors of differing windows share.
fn shared_storages(program: &Program) -> HashSet<u32> {
    let mut seen: HashMap<u32, kiln_graph::TensorInit> = HashMap::new();
    let mut shared = HashSet::new();
    let mut visit = |initial: &Initial| {
        visit_tensors(initial, &mut |t| {
            let first = seen.entry(t.storage).or_insert_with(|| t.clone());
            if (first.offset, &first.sizes, &first.strides) != (t.offset, &t.sizes, &t.strides) {
                shared.insert(t.storage);
            }
        })
    };
    for object in program.objects.values() {
        match object {
            HeapObject::List(_, items) => items.iter().for_each(&mut visit),
            HeapObject::Dict(_, items) => items.iter().for_each(|(k, v)| {
                visit(k);
                visit(v);
            }),
            HeapObject::Object(_, fields) => fields.iter().flatten().for_each(&mut visit),
            HeapObject::SetState(_, initial) => visit(initial),
        }
    }
    shared
}

fn visit_tensors(initial: &Initial, visit: &mut dyn FnMut(&kiln_graph::TensorInit)) {
    match initial {
        Initial::Tensor(tensor) => visit(tensor),
        Initial::Tuple(items) => items.iter().for_each(|i| visit_tensors(i, visit)),
        _ => {}
    }
}

fn merge_states(mut known: BTreeMap<Place, Gen>, found: BTreeMap<Place, Gen>) -> BTreeMap<Place, Gen> {
    for (place, gen_) in found {
        // `found` was generalised from what the run started with; two methods' findings of one place are
        // reconciled in the next round, when both start from the wider one.
        known.insert(place, gen_);
    }
    known
}

impl Specialiser<'_> {
    /// Makes all initial objects, in their order, so that every run gives them the same ids.
    fn load_objects(&mut self) -> Run<()> {
        for object in self.program.objects.keys().collect::<Vec<ObjectId>>() {
            self.initial_object(object)?;
        }
        Ok(())
    }

    /// Runs a method from the generalised state; gives the residual method and what it leaves different.
    fn method(&mut self, method: &Method, state: &BTreeMap<Place, Gen>) -> Run<(ResidualMethod, BTreeMap<Place, Gen>)> {
        self.load_objects()?;
        let initial = self.heap.clone();
        self.prepare_places(state)?;
        let mut slot = 0;
        for (place, gen_) in state {
            let abs = self.instantiate_state(gen_, &mut slot)?;
            self.write_place(*place, abs);
        }
        let at_entry = self.heap.clone();
        let function = self.program.funcs[method.func].clone();
        self.emit.span = function.span;
        let names = function.params.iter().skip(usize::from(method.is_method)).map(|p| p.name.clone());
        let names: Vec<String> = names.collect();
        let mut args = Vec::new();
        if method.is_method {
            let root = self.program.root.ok_or_else(|| self.unsupported("an archive without a module"))?;
            let id = self.initial_object(root)?;
            args.push(Abs::Object(id));
        }
        let inputs = self.inputs(method, &names)?;
        // As the outside sees them: sizes by their values in this graph.
        let outside: Vec<Type> = inputs
            .iter()
            .zip(&method.inputs)
            .map(|(abs, ty)| match abs {
                Abs::Tensor(id) => Type::Tensor(Some(std::sync::Arc::new(self.heap.tensors[*id].ty.clone()))),
                Abs::Tuple(_, Some(class)) => Type::Class(*class),
                _ => erase(ty),
            })
            .collect();
        args.extend(inputs);
        let result = self.call(method.func, args)?;
        let entry = self.emit.graph.entry;
        let found = match &result {
            Some(_) => self.changed_state(&initial, &at_entry, state)?,
            None => state.clone(),
        };
        let settled = found == *state;
        let result_type = match result {
            Some(abs) => {
                if settled {
                    self.store_state(state)?;
                }
                let ty = rich_type(&abs, &self.heap);
                let value = self.materialise(
                    &abs,
                    &if super::rich::is_tagged(&function.returns) { function.returns.clone() } else { ty.clone() },
                )?;
                self.emit.graph.blocks[entry].yields.push(value);
                self.outside_type(&abs, &ty)
            }
            None => {
                self.emit.graph.blocks[entry].diverges = true;
                function.returns.clone()
            }
        };
        let graph = std::mem::replace(&mut self.emit, Emit::new()).finish();
        if cfg!(debug_assertions)
            && let Err(errors) = kiln_graph::verify::verify(&graph)
        {
            panic!("after specialise:\n{errors}\n{}", kiln_graph::write::write_graph(&graph, self.program, kiln_ops::table()));
        }
        let params = names.into_iter().zip(outside).collect();
        Ok((ResidualMethod { name: method.name.clone(), graph, params, result: result_type }, found))
    }

    /// The result's type as the outside sees it.
    fn outside_type(&self, abs: &Abs, ty: &Type) -> Type {
        match abs {
            Abs::Tensor(id) => Type::Tensor(Some(std::sync::Arc::new(self.heap.tensors[*id].ty.clone()))),
            Abs::Tuple(items, None) => Type::tuple(items.iter().map(|i| self.outside_type(i, &rich_type(i, &self.heap)))),
            _ => erase(ty),
        }
    }

    /// The method's inputs: parameters of the entry block.
    fn inputs(&mut self, method: &Method, names: &[String]) -> Run<Vec<Abs>> {
        let mut symbols: HashMap<u32, Dim> = HashMap::new();
        let mut params = Vec::new();
        let entry = self.emit.graph.entry;
        for (name, ty) in names.iter().zip(&method.inputs) {
            params.push(self.emit.graph.add_param(entry, erase(ty), Some(name)));
        }
        let mut args = Vec::new();
        for (at, (value, ty)) in params.into_iter().zip(&method.inputs).enumerate() {
            let abs = match (ty, self.named_tuple_input(method, at)) {
                (Type::Tensor(Some(facts)), _) => self.input_tensor(value, facts, &mut symbols, &method.symbols)?,
                (Type::Tuple(types), Some(class)) => {
                    let rich = any_sizes(ty);
                    let items =
                        (0..types.len()).map(|item| self.boxed_tuple_get(value, &rich, item)).collect::<Run<Vec<Abs>>>()?;
                    Abs::Tuple(items.into(), Some(class))
                }
                (ty, _) => self.value_of_type(value, &any_sizes(ty))?,
            };
            args.push(abs);
        }
        Ok(args)
    }

    /// The class of an input that is declared as a named tuple.
    fn named_tuple_input(&self, method: &Method, at: usize) -> Option<ClassId> {
        match self.program.funcs[method.func].params.get(at + usize::from(method.is_method))?.ty {
            Type::Class(class) if self.program.classes[class].kind == ClassKind::NamedTuple => Some(class),
            _ => None,
        }
    }

    fn input_tensor(
        &mut self,
        object: kiln_graph::Value,
        facts: &TensorType,
        symbols: &mut HashMap<u32, Dim>,
        names: &[String],
    ) -> Run<Abs> {
        let open = TensorType {
            dtype: facts.dtype,
            dims: facts.dims.iter().map(|d| if d.as_const().is_some() { *d } else { ANY_SIZE }).collect(),
        };
        let abs = self.unbox(object, &open)?;
        let Abs::Tensor(id) = abs else { unreachable!("unboxing gives a tensor") };
        self.own(&abs);
        let found = self.heap.tensors[id].ty.dims.clone();
        let mut dims = found.clone();
        for (at, (declared, own)) in facts.dims.iter().zip(found).enumerate() {
            let Dim::Value(symbol) = declared else { continue };
            match symbols.get(&symbol.0) {
                Some(known) => {
                    let name = names.get(symbol.0 as usize).map_or("", String::as_str);
                    kiln_ops::DimMath::require_equal(
                        &mut self.emit,
                        *known,
                        own,
                        &format!("the sizes `{name}` of the inputs differ"),
                    );
                    dims[at] = *known;
                }
                None => {
                    symbols.insert(symbol.0, own);
                    if let (Dim::Value(value), Some(name)) = (own, names.get(symbol.0 as usize)) {
                        self.emit.graph.values[value].name = Some(name.clone());
                    }
                }
            }
        }
        self.heap.tensors[id].ty.dims = dims;
        Ok(abs)
    }

    /// Makes the containers run-time ones whose pointers are state.
    fn prepare_places(&mut self, state: &BTreeMap<Place, Gen>) -> Run<()> {
        for place in state.keys() {
            if let Place::Pointer(id) = place {
                // The contents are in the slot: what is written here is never looked at.
                let ty = rich_type(&super::merge::reference(&self.heap, *id), &self.heap);
                let value = self.emit.value(Op::Uninit, Vec::new(), erase(&ty));
                let contents = |inner: Type| (value, inner);
                self.heap.items[*id] = match (self.heap.items[*id].clone(), ty) {
                    (HeapItem::List(elem, _), Type::List(inner)) => {
                        let (value, inner) = contents((*inner).clone());
                        HeapItem::List(elem, Contents::Runtime(value, inner))
                    }
                    (HeapItem::Dict(key, elem, _), Type::Dict(pair)) => {
                        HeapItem::Dict(key, elem, Contents::Runtime(value, pair.1.clone()))
                    }
                    (HeapItem::Object(class, _), ty) => HeapItem::Object(class, Contents::Runtime(value, ty)),
                    (item, _) => item,
                };
            }
        }
        Ok(())
    }

    fn instantiate_state(&mut self, gen_: &Gen, slot: &mut u32) -> Run<Abs> {
        match gen_ {
            Gen::Same(abs) => Ok(abs.clone()),
            Gen::Tuple(items, class) => {
                let items: Run<Vec<Abs>> = items.iter().map(|g| self.instantiate_state(g, slot)).collect();
                Ok(Abs::Tuple(items?.into(), *class))
            }
            other => {
                let ty = self.gen_type(other);
                let id = StateId(*slot);
                *slot += 1;
                let value = self.emit.value(Op::StateLoad(id), Vec::new(), erase(&ty));
                let abs = self.value_of_type(value, &ty)?;
                // The state's memory is the instance's alone; the slot is written at the end.
                self.own(&abs);
                Ok(abs)
            }
        }
    }

    /// The generalised state after a run.
    fn changed_state(&mut self, initial: &Heap, at_entry: &Heap, state: &BTreeMap<Place, Gen>) -> Run<BTreeMap<Place, Gen>> {
        let mut found = state.clone();
        for (id, item) in initial.items.iter() {
            if let Some(carried) = found.get_mut(&Place::Pointer(id)) {
                *carried = Gen::Container(rich_type(&super::merge::reference(&self.heap, id), &self.heap));
                continue;
            }
            match (item, self.heap.items[id].clone()) {
                (HeapItem::List(_, Contents::Static(a)), HeapItem::List(_, Contents::Static(b))) if a.len() == b.len() => {
                    let (a, b) = (a.iter().cloned().map(Some).collect::<Vec<_>>(), b.into_iter().map(Some).collect::<Vec<_>>());
                    self.changed_slots_of(id, &a, &b, at_entry, &mut found)?;
                }
                (HeapItem::Dict(_, _, Contents::Static(a)), HeapItem::Dict(_, _, Contents::Static(b)))
                    if a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0) =>
                {
                    let (a, b): (Vec<_>, Vec<_>) =
                        (a.iter().map(|e| Some(e.1.clone())).collect(), b.into_iter().map(|e| Some(e.1)).collect());
                    self.changed_slots_of(id, &a, &b, at_entry, &mut found)?;
                }
                (HeapItem::Object(_, Contents::Static(a)), HeapItem::Object(_, Contents::Static(b))) => {
                    let a = a.clone();
                    self.changed_slots_of(id, &a, &b, at_entry, &mut found)?;
                }
                _ => {
                    let own = super::merge::reference(&self.heap, id);
                    let ty = rich_type(&own, &self.heap);
                    found.insert(Place::Pointer(id), Gen::Container(ty));
                }
            }
        }
        for (id, storage) in initial.storages.iter() {
            let is_changed = self.heap.storages[id].version != at_entry.storages[id].version;
            if is_changed && !found.contains_key(&Place::Storage(id)) {
                let ty = self.heap.tensors[storage.base].ty.clone();
                found.insert(
                    Place::Storage(id),
                    Gen::Tensor(ty.dtype, ty.dims.iter().map(|d| d.as_const().map(Dim::Const)).collect()),
                );
            }
        }
        Ok(found)
    }

    fn changed_slots_of(
        &mut self,
        id: super::value::HeapId,
        before: &[Option<Abs>],
        now: &[Option<Abs>],
        at_entry: &Heap,
        found: &mut BTreeMap<Place, Gen>,
    ) -> Run<()> {
        for (at, (a, b)) in before.iter().zip(now).enumerate() {
            let place = Place::Slot(id, at);
            let entry = super::merge::read_place_in(at_entry, place)?;
            let b = b.clone().unwrap_or(Abs::Uninit);
            if b == entry {
                continue;
            }
            let known = found.get(&place).cloned().unwrap_or(Gen::Same(a.clone().unwrap_or(Abs::Uninit)));
            let widened = self.generalise(&known, &b)?;
            let widened = self.without_local_sizes(widened)?;
            found.insert(place, widened);
        }
        Ok(())
    }

    /// State outlives the call: sizes that are values of this graph are free in it, and so are new containers.
    fn without_local_sizes(&mut self, gen_: Gen) -> Run<Gen> {
        Ok(match gen_ {
            Gen::Same(Abs::Uninit | Abs::None) => gen_,
            Gen::Same(abs) => self.state_gen(&abs)?,
            Gen::Tensor(dtype, dims) => {
                Gen::Tensor(dtype, dims.into_iter().map(|d| d.filter(|d| d.as_const().is_some())).collect())
            }
            Gen::Tuple(items, class) => {
                Gen::Tuple(items.into_iter().map(|g| self.without_local_sizes(g)).collect::<Run<_>>()?, class)
            }
            other => other,
        })
    }

    /// The most general form of a value that one call leaves for the next: known scalars differ from call to call too.
    fn state_gen(&mut self, abs: &Abs) -> Run<Gen> {
        Ok(match abs {
            Abs::Int(_) => Gen::Int,
            Abs::Float(_) => Gen::Float,
            Abs::Bool(_) => Gen::Bool,
            Abs::Str(_) => Gen::Str,
            Abs::Tuple(items, class) => Gen::Tuple(items.clone().iter().map(|i| self.state_gen(i)).collect::<Run<_>>()?, *class),
            Abs::Enum(..) | Abs::Function(_) | Abs::Complex(..) => return Err(self.unsupported("state of this type")),
            other => self.free_gen(other)?,
        })
    }

    fn store_state(&mut self, state: &BTreeMap<Place, Gen>) -> Run<()> {
        let mut slot = 0;
        let mut stores = Vec::new();
        for (place, gen_) in state {
            let abs = self.read_place(*place)?;
            self.collect_stores(gen_, &abs, &mut slot, &mut stores)?;
        }
        // All values first: a store must not change what a later one reads.
        for (id, value) in stores {
            self.emit.node(Op::StateStore(id), vec![value], Vec::new());
        }
        Ok(())
    }

    fn collect_stores(&mut self, gen_: &Gen, abs: &Abs, slot: &mut u32, out: &mut Vec<(StateId, kiln_graph::Value)>) -> Run<()> {
        match (gen_, abs) {
            (Gen::Same(_), _) => {}
            (Gen::Tuple(items, _), Abs::Tuple(found, _)) => {
                for (item, abs) in items.iter().zip(found.iter()) {
                    self.collect_stores(item, abs, slot, out)?;
                }
            }
            (other, abs) => {
                let ty = self.gen_type(other);
                let value = match abs {
                    Abs::Tensor(id) if !super::rich::is_tagged(&ty) => {
                        let value = self.tensor_value(*id)?;
                        self.emit.value(Op::Box, vec![value], Type::TENSOR)
                    }
                    abs => self.materialise(abs, &ty)?,
                };
                out.push((StateId(*slot), value));
                *slot += 1;
            }
        }
        Ok(())
    }

    /// The graph that sets the state before the first call.
    fn init(&mut self, state: &BTreeMap<Place, Gen>) -> Run<(Graph, Vec<StateSlot>)> {
        self.load_objects()?;
        let mut slots = Vec::new();
        for (place, gen_) in state {
            if let Place::Pointer(id) = place {
                self.demote(*id)?;
            }
            self.describe_slots(&format!("{place:?}"), gen_, &mut slots);
        }
        self.store_state(state)?;
        let graph = std::mem::replace(&mut self.emit, Emit::new()).finish();
        Ok((graph, slots))
    }

    fn describe_slots(&self, name: &str, gen_: &Gen, out: &mut Vec<StateSlot>) {
        match gen_ {
            Gen::Same(_) => {}
            Gen::Tuple(items, _) => items.iter().for_each(|i| self.describe_slots(name, i, out)),
            other => out.push(StateSlot { name: name.to_owned(), ty: erase(&self.gen_type(other)) }),
        }
    }
}

/// An input type whose symbols are free sizes.
fn any_sizes(ty: &Type) -> Type {
    match ty {
        Type::Tensor(Some(facts)) => {
            let dims = facts.dims.iter().map(|d| if d.as_const().is_some() { *d } else { ANY_SIZE }).collect();
            Type::tensor(facts.dtype, dims)
        }
        Type::Optional(inner) => Type::optional(any_sizes(inner)),
        Type::List(inner) => Type::list(any_sizes(inner)),
        Type::Tuple(items) => Type::tuple(items.iter().map(any_sizes)),
        Type::Dict(pair) => Type::dict(pair.0.clone(), any_sizes(&pair.1)),
        other => other.clone(),
    }
}
