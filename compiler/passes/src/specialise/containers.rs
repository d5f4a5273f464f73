//! Operators on lists, dicts, tuples and strings: done here while their structure is known, by the
//! runtime otherwise.

use super::rich::rich_type;
use super::tables::Results;
use super::value::{Abs, Contents, HeapId, HeapItem};
use super::{Run, Specialiser};
use kiln_graph::{Type, Value};

/// The outcome for an operator of this family; nothing when the runtime has to do it.
type Known = Option<Results>;

impl Specialiser<'_> {
    /// Applies an operator on containers of known structure, if it is one.
    pub(super) fn apply_container(&mut self, key: &str, args: &[Abs], types: &[Type]) -> Run<Known> {
        let name = &key[..key.find('.').unwrap_or(key.len())];
        match args.first() {
            Some(Abs::List(id)) => self.list_operator(name, key, *id, args, types),
            Some(Abs::Dict(id)) => self.dict_operator(name, *id, args, types),
            Some(Abs::Str(_)) => self.string_operator(name, args),
            Some(Abs::Tuple(items, _)) if name == "aten::len" => Ok(Some(Some(vec![Abs::int(items.len() as i64)]))),
            Some(Abs::Tuple(items, _)) if name == "prim::TupleIndex" => {
                let items = items.clone();
                self.index_known(&items, &args[1])
            }
            None if name == "aten::dict" => self.make_dict_of(types, Vec::new()).map(|abs| Some(Some(vec![abs]))),
            _ => Ok(None),
        }
    }

    fn list_operator(&mut self, name: &str, key: &str, id: HeapId, args: &[Abs], types: &[Type]) -> Run<Known> {
        let HeapItem::List(elem, contents) = self.heap.items[id].clone() else { panic!("a list is a list") };
        let Contents::Static(mut items) = contents else {
            if matches!(name, "aten::stack" | "aten::cat" | "aten::concat" | "aten::concatenate") {
                return self.join_runtime_list(name == "aten::stack", id, &args[1]);
            }
            if matches!(name, "aten::append" | "aten::insert" | "aten::_set_item" | "aten::extend" | "aten::add_") {
                self.widen_elements(id, args)?;
            }
            return Ok(None);
        };
        let done = |abs: Abs| Ok(Some(Some(vec![abs])));
        match name {
            "aten::len" => done(Abs::int(items.len() as i64)),
            "aten::__getitem__" => match args[1].as_int() {
                Some(_) => self.index_known(&items, &args[1]),
                None => {
                    self.demote(id)?;
                    Ok(None)
                }
            },
            "aten::append" => {
                items.push(args[1].clone());
                self.set_list(id, elem, items)
            }
            "aten::_set_item" => match self.known_index(&args[1], items.len()) {
                Some(Ok(at)) => {
                    items[at] = args[2].clone();
                    self.set_list(id, elem, items)
                }
                Some(Err(())) => self.raise("IndexError", "list assignment index out of range").map(Some),
                None => {
                    self.demote(id)?;
                    self.widen_elements(id, args)?;
                    Ok(None)
                }
            },
            "aten::insert" => match args[1].as_int() {
                Some(at) => {
                    let len = items.len() as i64;
                    let at = if at < 0 { (at + len).max(0) } else { at.min(len) };
                    items.insert(at as usize, args[2].clone());
                    self.set_list(id, elem, items)
                }
                None => Ok(None),
            },
            "aten::pop" => match self.known_index(&args[1], items.len()) {
                Some(Ok(at)) => {
                    let taken = items.remove(at);
                    self.set_list(id, elem, items)?;
                    done(taken)
                }
                Some(Err(())) if items.is_empty() => self.raise("IndexError", "pop from empty list").map(Some),
                Some(Err(())) => self.raise("IndexError", "pop index out of range").map(Some),
                None => Ok(None),
            },
            "aten::Delete" => match self.known_index(&args[1], items.len()) {
                Some(Ok(at)) => {
                    items.remove(at);
                    self.set_list(id, elem, items)?;
                    Ok(Some(Some(Vec::new())))
                }
                Some(Err(())) => self.raise("IndexError", "pop index out of range").map(Some),
                None => Ok(None),
            },
            "aten::reverse" => {
                items.reverse();
                self.set_list(id, elem, items)?;
                Ok(Some(Some(Vec::new())))
            }
            "aten::clear" => {
                self.set_list(id, elem, Vec::new())?;
                Ok(Some(Some(Vec::new())))
            }
            "aten::copy" | "aten::list" => done(self.new_list(elem, items)),
            "aten::extend" | "aten::add_" | "aten::add" => {
                let Some(more) = self.static_items(&args[1]) else {
                    if name != "aten::add" {
                        self.demote(id)?;
                        self.widen_elements(id, args)?;
                    }
                    return Ok(None);
                };
                items.extend(more);
                match name {
                    "aten::add" => done(self.new_list(elem, items)),
                    _ => {
                        self.set_list(id, elem, items)?;
                        Ok(Some(Some(types.iter().map(|_| args[0].clone()).collect())))
                    }
                }
            }
            "aten::mul" => match args[1].as_int() {
                Some(n) => {
                    let repeated = (0..n.max(0)).flat_map(|_| items.iter().cloned()).collect();
                    done(self.new_list(elem, repeated))
                }
                None => Ok(None),
            },
            "aten::slice" => match self.slice_bounds(&args[1..], items.len()) {
                Some(indices) => {
                    let part = indices.iter().map(|&i| items[i].clone()).collect();
                    done(self.new_list(elem, part))
                }
                None => Ok(None),
            },
            "aten::eq" | "aten::ne"
                if key.ends_with("_list") && key != "aten::eq.Tensor_list" && key != "aten::ne.Tensor_list" =>
            {
                let Some(others) = self.static_items(&args[1]) else { return Ok(None) };
                if !all_known(&items) || !all_known(&others) {
                    return if items.len() == others.len() { Ok(None) } else { done(Abs::bool(name == "aten::ne")) };
                }
                let equal = items.len() == others.len() && items.iter().zip(&others).all(|(a, b)| same_value(a, b));
                done(Abs::bool(equal == (name == "aten::eq")))
            }
            "aten::__contains__" if all_known(&items) && is_known(&args[1]) => {
                done(Abs::bool(items.iter().any(|i| same_value(i, &args[1]))))
            }
            "aten::count" if all_known(&items) && is_known(&args[1]) => {
                done(Abs::int(items.iter().filter(|i| same_value(i, &args[1])).count() as i64))
            }
            "aten::index" if all_known(&items) && is_known(&args[1]) && !matches!(args[1], Abs::Tensor(_)) => {
                match items.iter().position(|i| same_value(i, &args[1])) {
                    Some(at) => done(Abs::int(at as i64)),
                    None => self.raise("ValueError", "list.index(x): x not in list").map(Some),
                }
            }
            "aten::remove" if all_known(&items) && is_known(&args[1]) => match items.iter().position(|i| same_value(i, &args[1]))
            {
                Some(at) => {
                    items.remove(at);
                    self.set_list(id, elem, items)?;
                    Ok(Some(Some(Vec::new())))
                }
                None => self.raise("ValueError", "list.remove(x): x not in list").map(Some),
            },
            "aten::dict" => {
                let mut flat = Vec::new();
                for item in &items {
                    let Abs::Tuple(pair, _) = item else { return Ok(None) };
                    flat.extend(pair.iter().cloned());
                }
                self.make_dict_of(types, flat).map(|abs| Some(Some(vec![abs])))
            }
            "aten::sort" | "aten::sorted" if all_known(&items) && items.iter().all(|i| number(i).is_some()) => {
                let descending = args.get(1).is_some_and(|a| a.as_bool() == Some(true));
                items.sort_by(|a, b| {
                    let order = number(a).partial_cmp(&number(b)).unwrap_or(std::cmp::Ordering::Equal);
                    if descending { order.reverse() } else { order }
                });
                match name {
                    "aten::sorted" => done(self.new_list(elem, items)),
                    _ => {
                        self.set_list(id, elem, items)?;
                        Ok(Some(Some(Vec::new())))
                    }
                }
            }
            "aten::all" | "aten::any" if items.iter().all(|i| number(i).is_some()) => {
                let mut holds = items.iter().map(|i| number(i) != Some(0.0));
                done(Abs::bool(if name == "aten::all" { holds.all(|h| h) } else { holds.any(|h| h) }))
            }
            "prim::max" | "prim::min" if args.len() == 1 && !items.is_empty() && items.iter().all(|i| number(i).is_some()) => {
                let pick = |a: Abs, b: Abs| {
                    if (number(&b) > number(&a)) == (name == "prim::max") && number(&a) != number(&b) { b } else { a }
                };
                let best = items.into_iter().reduce(pick).expect("not empty");
                done(best)
            }
            _ => Ok(None),
        }
    }

    fn set_list(&mut self, id: HeapId, elem: Type, items: Vec<Abs>) -> Run<Known> {
        self.heap.items[id] = HeapItem::List(elem, Contents::Static(items));
        Ok(Some(Some(vec![Abs::List(id)])))
    }

    fn new_list(&mut self, elem: Type, items: Vec<Abs>) -> Abs {
        Abs::List(self.heap.items.push(HeapItem::List(elem, Contents::Static(items))))
    }

    /// The elements of a list of known structure.
    fn static_items(&self, abs: &Abs) -> Option<Vec<Abs>> {
        match abs {
            Abs::List(id) => match &self.heap.items[*id] {
                HeapItem::List(_, Contents::Static(items)) => Some(items.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Takes what is put into a run-time container into account in its rich element type.
    fn widen_elements(&mut self, id: HeapId, args: &[Abs]) -> Run<()> {
        let mut found = Type::Never;
        for abs in &args[1..] {
            found = match rich_type(abs, &self.heap) {
                Type::List(elem) if !matches!(self.heap.items[id], HeapItem::List(Type::List(_), _)) => {
                    super::rich::join(&found, &elem)
                }
                Type::Int if args.len() == 3 && abs == &args[1] => found,
                own => super::rich::join(&found, &own),
            };
        }
        match &mut self.heap.items[id] {
            HeapItem::List(declared, Contents::Runtime(_, elem)) | HeapItem::Dict(_, declared, Contents::Runtime(_, elem)) => {
                *elem = super::rich::fit(declared, vec![elem.clone(), found]);
            }
            _ => {}
        }
        Ok(())
    }

    /// The rich type of what a container holds.
    pub(super) fn element_type(&self, abs: &Abs) -> Option<Type> {
        match abs {
            Abs::List(id) | Abs::Dict(id) => match &self.heap.items[*id] {
                HeapItem::List(declared, Contents::Runtime(_, elem))
                | HeapItem::Dict(_, declared, Contents::Runtime(_, elem)) => {
                    Some(if *elem == Type::Never { declared.clone() } else { elem.clone() })
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn known_index(&self, index: &Abs, len: usize) -> Option<Result<usize, ()>> {
        let index = index.as_int()?;
        let wrapped = if index < 0 { index + len as i64 } else { index };
        Some(if (0..len as i64).contains(&wrapped) { Ok(wrapped as usize) } else { Err(()) })
    }

    fn index_known(&mut self, items: &[Abs], index: &Abs) -> Run<Known> {
        match self.known_index(index, items.len()) {
            Some(Ok(at)) => Ok(Some(Some(vec![items[at].clone()]))),
            Some(Err(())) => self.raise("IndexError", "list index out of range").map(Some),
            None => Ok(None),
        }
    }

    /// Python's slice indices for known bounds.
    fn slice_bounds(&self, args: &[Abs], len: usize) -> Option<Vec<usize>> {
        let len = len as i64;
        let step = args.get(2).map_or(Some(1), Abs::as_int).filter(|&s| s > 0)?;
        let bound = |abs: Option<&Abs>, default: i64| match abs {
            None | Some(Abs::None) => Some(default),
            Some(abs) => abs.as_int().map(|i| if i < 0 { (i + len).max(0) } else { i.min(len) }),
        };
        let (start, end) = (bound(args.first(), 0)?, bound(args.get(1), len)?);
        Some((start..end).step_by(step as usize).map(|i| i as usize).collect())
    }

    pub(super) fn list_unpack(&mut self, list: &Abs, count: usize) -> Run<Results> {
        if let Abs::List(id) = list
            && matches!(self.heap.items[*id], HeapItem::List(_, Contents::Runtime(..)))
        {
            return self.unpack_runtime(*id, count);
        }
        let items = self.known_items(list)?;
        if items.len() != count {
            return self.raise("RuntimeError", &format!("Expected {count} elements in a list but found {}", items.len()));
        }
        Ok(Some(items))
    }

    /// `stack` or `cat` of a run-time list: its length is a size that is known only at run time.
    fn join_runtime_list(&mut self, stacks: bool, id: HeapId, axis: &Abs) -> Run<Known> {
        let HeapItem::List(_, Contents::Runtime(value, elem)) = self.heap.items[id].clone() else { unreachable!("checked") };
        let (Some(facts), Some(axis)) = (elem.as_tensor(), axis.as_int()) else { return Ok(None) };
        let mut dims = facts.dims.clone();
        let rank = dims.len() + usize::from(stacks);
        let at = kiln_ops::infer::wrap_axis(axis, rank);
        let Some(at) = self.settle("aten::stack", at)? else { return Ok(Some(None)) };
        if stacks {
            dims.insert(at, super::value::ANY_SIZE);
        } else if dims.is_empty() {
            return self.raise("RuntimeError", "zero-dimensional tensor (at position 0) cannot be concatenated").map(Some);
        } else {
            dims[at] = super::value::ANY_SIZE;
        }
        let ty = kiln_graph::TensorType { dtype: facts.dtype, dims };
        let axis = self.emit.int(at as i64);
        let key = if stacks { "kiln::stack_list" } else { "kiln::cat_list" };
        let joined = self.emit.table(key, vec![value, axis], Type::TENSOR);
        let abs = self.unbox(joined, &ty)?;
        self.own(&abs);
        Ok(Some(Some(vec![abs])))
    }

    /// A tensor that nobody else holds: it may be written to.
    pub(super) fn own(&mut self, abs: &Abs) {
        if let Abs::Tensor(id) = abs {
            let storage = self.heap.tensors[*id].storage;
            self.heap.storages[storage].shared = None;
        }
    }

    fn unpack_runtime(&mut self, id: HeapId, count: usize) -> Run<Results> {
        let HeapItem::List(_, Contents::Runtime(value, elem)) = self.heap.items[id].clone() else { unreachable!("checked") };
        let types = vec![super::rich::erase(&elem); count];
        let node = self.emit.node(kiln_graph::Op::ListUnpack, vec![value], types);
        let results: Vec<Value> = self.emit.graph.nodes[node].results.clone();
        let items: Run<Vec<Abs>> = results.into_iter().map(|v| self.value_of_type(v, &elem)).collect();
        Ok(Some(items?))
    }

    /// A dict of keys and values in turn.
    pub(super) fn make_dict(&mut self, key: Type, value: Type, flat: Vec<Abs>) -> Run<Results> {
        let mut entries: Vec<(Abs, Abs)> = Vec::new();
        let known = flat.iter().step_by(2).all(is_known);
        for pair in flat.chunks_exact(2) {
            match entries.iter_mut().find(|(k, _)| known && same_value(k, &pair[0])) {
                Some(entry) => entry.1 = pair[1].clone(),
                None => entries.push((pair[0].clone(), pair[1].clone())),
            }
        }
        let id = self.heap.items.push(HeapItem::Dict(key, value, Contents::Static(entries)));
        if !known {
            self.demote(id)?;
        }
        Ok(Some(vec![Abs::Dict(id)]))
    }

    fn make_dict_of(&mut self, types: &[Type], flat: Vec<Abs>) -> Run<Abs> {
        let (key, value) = match types.first() {
            Some(Type::Dict(pair)) => (pair.0.clone(), pair.1.clone()),
            _ => (Type::Any, Type::Any),
        };
        Ok(self.make_dict(key, value, flat)?.expect("making a dict does not raise").remove(0))
    }

    fn dict_operator(&mut self, name: &str, id: HeapId, args: &[Abs], types: &[Type]) -> Run<Known> {
        let HeapItem::Dict(key, value, contents) = self.heap.items[id].clone() else { panic!("a dict is a dict") };
        let Contents::Static(mut entries) = contents else {
            if matches!(name, "aten::_set_item" | "aten::setdefault" | "aten::update") {
                self.widen_elements(id, &[args[0].clone(), args[args.len() - 1].clone()])?;
            }
            return Ok(None);
        };
        let done = |abs: Abs| Ok(Some(Some(vec![abs])));
        let needs_key = matches!(
            name,
            "aten::__getitem__"
                | "aten::_set_item"
                | "aten::__contains__"
                | "aten::get"
                | "aten::pop"
                | "aten::Delete"
                | "aten::setdefault"
        );
        if needs_key && !is_known(&args[1]) {
            self.demote(id)?;
            if matches!(name, "aten::_set_item" | "aten::setdefault") {
                self.widen_elements(id, &[args[0].clone(), args[2].clone()])?;
            }
            return Ok(None);
        }
        let found = needs_key.then(|| entries.iter().position(|(k, _)| same_value(k, &args[1]))).flatten();
        match name {
            "aten::len" => done(Abs::int(entries.len() as i64)),
            "aten::__getitem__" => match found {
                Some(at) => done(entries[at].1.clone()),
                None => self.raise("KeyError", &key_text(&args[1])).map(Some),
            },
            "aten::__contains__" => done(Abs::bool(found.is_some())),
            "aten::_set_item" => {
                match found {
                    Some(at) => entries[at].1 = args[2].clone(),
                    None => entries.push((args[1].clone(), args[2].clone())),
                }
                self.set_dict(id, key, value, entries);
                Ok(Some(Some(Vec::new())))
            }
            "aten::get" => match found {
                Some(at) => done(entries[at].1.clone()),
                None => done(args.get(2).cloned().unwrap_or(Abs::None)),
            },
            "aten::setdefault" => match found {
                Some(at) => done(entries[at].1.clone()),
                None => {
                    entries.push((args[1].clone(), args[2].clone()));
                    self.set_dict(id, key, value, entries);
                    done(args[2].clone())
                }
            },
            "aten::pop" => match (found, args.get(2)) {
                (Some(at), _) => {
                    let (_, taken) = entries.remove(at);
                    self.set_dict(id, key, value, entries);
                    done(taken)
                }
                (None, Some(default)) => done(default.clone()),
                (None, None) => self.raise("KeyError", &key_text(&args[1])).map(Some),
            },
            "aten::Delete" => match found {
                Some(at) => {
                    entries.remove(at);
                    self.set_dict(id, key, value, entries);
                    Ok(Some(Some(Vec::new())))
                }
                None => self.raise("KeyError", &key_text(&args[1])).map(Some),
            },
            // TorchScript takes the first entry, unlike Python.
            "aten::popitem" => match (!entries.is_empty()).then(|| entries.remove(0)) {
                Some((k, v)) => {
                    self.set_dict(id, key, value, entries);
                    done(Abs::tuple(vec![k, v]))
                }
                None => self.raise("KeyError", "popitem(): dictionary is empty").map(Some),
            },
            "aten::keys" => {
                let keys = entries.into_iter().map(|(k, _)| k).collect();
                done(self.new_list(key, keys))
            }
            "aten::values" => {
                let values = entries.into_iter().map(|(_, v)| v).collect();
                done(self.new_list(value, values))
            }
            "aten::items" => {
                let pairs = entries.into_iter().map(|(k, v)| Abs::tuple(vec![k, v])).collect();
                done(self.new_list(Type::tuple([key, value]), pairs))
            }
            "aten::list" => {
                let keys = entries.into_iter().map(|(k, _)| k).collect();
                done(self.new_list(key, keys))
            }
            "aten::copy" | "aten::dict" => {
                let flat = entries.into_iter().flat_map(|(k, v)| [k, v]).collect();
                Ok(Some(self.make_dict(key, value, flat)?))
            }
            "aten::clear" => {
                self.set_dict(id, key, value, Vec::new());
                Ok(Some(Some(Vec::new())))
            }
            "aten::update" => {
                let Abs::Dict(other) = args[1] else { return Ok(None) };
                let HeapItem::Dict(_, _, Contents::Static(more)) = self.heap.items[other].clone() else {
                    self.demote(id)?;
                    self.widen_elements(id, &[args[0].clone(), args[1].clone()])?;
                    return Ok(None);
                };
                for (k, v) in more {
                    match entries.iter_mut().find(|(own, _)| same_value(own, &k)) {
                        Some(entry) => entry.1 = v,
                        None => entries.push((k, v)),
                    }
                }
                self.set_dict(id, key, value, entries);
                Ok(Some(Some(types.iter().map(|_| Abs::None).collect())))
            }
            _ => Ok(None),
        }
    }

    fn set_dict(&mut self, id: HeapId, key: Type, value: Type, entries: Vec<(Abs, Abs)>) {
        self.heap.items[id] = HeapItem::Dict(key, value, Contents::Static(entries));
    }

    /// Operators on known strings that decide control flow; the others are the runtime's.
    fn string_operator(&mut self, name: &str, args: &[Abs]) -> Run<Known> {
        let Abs::Str(text) = args[0].clone() else { return Ok(None) };
        let other = args.get(1).and_then(|a| if let Abs::Str(s) = a { Some(s.clone()) } else { None });
        let third = args.get(2).and_then(|a| if let Abs::Str(s) = a { Some(s.clone()) } else { None });
        let defaults = |from: usize, wanted: &[i64]| {
            args.len() == from + wanted.len() && args[from..].iter().zip(wanted).all(|(a, w)| a.as_int() == Some(*w))
        };
        let abs = match (name, other) {
            ("aten::__getitem__", _) => match self.known_index(&args[1], text.len()) {
                Some(Ok(at)) if text.is_ascii() => Abs::Str(text[at..=at].into()),
                Some(Err(())) => return self.raise("IndexError", "string index out of range").map(Some),
                _ => return Ok(None),
            },
            ("aten::slice", _) if text.is_ascii() => match self.slice_bounds(&args[1..], text.len()) {
                Some(indices) => Abs::Str(indices.into_iter().map(|at| text.as_bytes()[at] as char).collect::<String>().into()),
                None => return Ok(None),
            },
            ("aten::find", Some(other)) if defaults(2, &[0, -1]) => Abs::int(text.find(&*other).map_or(-1, |at| at as i64)),
            ("aten::split", Some(other)) if defaults(2, &[-1]) && !other.is_empty() => {
                let parts = text.split(&*other).map(|part| Abs::Str(part.into())).collect();
                self.new_list(Type::Str, parts)
            }
            ("aten::replace", Some(old)) if defaults(3, &[-1]) && !old.is_empty() && third.is_some() => {
                Abs::Str(text.replace(&*old, &third.expect("tested")).into())
            }
            ("aten::eq", Some(other)) => Abs::bool(text == other),
            ("aten::ne", Some(other)) => Abs::bool(text != other),
            ("aten::add", Some(other)) => Abs::Str(format!("{text}{other}").into()),
            ("aten::__contains__", Some(other)) => Abs::bool(text.contains(&*other)),
            ("aten::startswith", Some(other)) if args.len() == 2 => Abs::bool(text.starts_with(&*other)),
            ("aten::endswith", Some(other)) if args.len() == 2 => Abs::bool(text.ends_with(&*other)),
            ("aten::len", _) => Abs::int(text.len() as i64),
            ("aten::lower", _) => Abs::Str(text.to_ascii_lowercase().into()),
            ("aten::upper", _) => Abs::Str(text.to_ascii_uppercase().into()),
            ("aten::str", _) => args[0].clone(),
            ("aten::format", _) => match format_known(&text, &args[1..]) {
                Some(text) => Abs::Str(text.into()),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(Some(vec![abs])))
    }
}

/// `"{}".format(...)` of known ints and strings; other values are formatted by the runtime.
fn format_known(text: &str, args: &[Abs]) -> Option<String> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut rest = text;
    while let Some(at) = rest.find("{}") {
        out.push_str(&rest[..at]);
        match args.next()? {
            Abs::Str(s) => out.push_str(s),
            Abs::Bool(_) | Abs::Float(_) => return None,
            abs => out.push_str(&abs.as_int()?.to_string()),
        }
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    (args.next().is_none() && !rest.contains(['{', '}'])).then_some(out)
}

/// Whether a value can be compared here and now.
fn is_known(abs: &Abs) -> bool {
    match abs {
        Abs::Int(num) | Abs::Float(num) | Abs::Bool(num) => num.known().is_some(),
        Abs::Str(_) | Abs::None | Abs::Enum(..) | Abs::Device(_) => true,
        Abs::Tuple(items, _) => items.iter().all(is_known),
        _ => false,
    }
}

fn all_known(items: &[Abs]) -> bool {
    items.iter().all(is_known)
}

fn number(abs: &Abs) -> Option<f64> {
    match abs {
        Abs::Int(num) | Abs::Float(num) | Abs::Bool(num) => num.known().map(|s| s.as_f64()),
        _ => None,
    }
}

/// Python's `==` on known values.
fn same_value(a: &Abs, b: &Abs) -> bool {
    match (number(a), number(b)) {
        (Some(x), Some(y)) => match (a.as_int(), b.as_int()) {
            (Some(x), Some(y)) => x == y,
            _ => x == y,
        },
        _ => a == b,
    }
}

fn key_text(key: &Abs) -> String {
    match key {
        Abs::Str(s) => s.to_string(),
        other => match number(other) {
            Some(x) if other.as_int().is_none() => format!("{x:?}"),
            _ => other.as_int().map_or_else(String::new, |i| i.to_string()),
        },
    }
}
