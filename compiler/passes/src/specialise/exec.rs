//! Executing blocks and nodes.

use super::value::{Abs, Contents, HeapItem, Num};
use super::{Frame, MAX_DEPTH, MAX_STEPS, Run, Specialiser};
use kiln_graph::{Block, ClassKind, FuncId, Literal, Node, Op, Type};
use kiln_loops::Scalar;
use std::rc::Rc;

/// Where PyTorch's modules are: in archives, and in models from source.
const LIBRARY: &[&str] = &["__torch__.torch.nn.", "torch.nn."];

impl Specialiser<'_> {
    /// Calls a function; nothing when it raises.
    pub(super) fn call(&mut self, func: FuncId, args: Vec<Abs>) -> Run<Option<Abs>> {
        if self.depth >= MAX_DEPTH {
            return Err(self.unsupported("recursion"));
        }
        let function = match self.functions.get(&func) {
            Some(function) => function.clone(),
            None => {
                let function = Rc::new(self.program.funcs[func].clone());
                self.functions.insert(func, function.clone());
                function
            }
        };
        let mut frame = Frame { graph: Rc::new(function.body.clone()), env: Default::default() };
        let params = frame.graph.blocks[frame.graph.entry].params.clone();
        for (param, abs) in params.into_iter().zip(args) {
            frame.env[param] = Some(abs);
        }
        self.depth += 1;
        let span = self.emit.span;
        let entry = frame.graph.entry;
        let outer = self.user_span;
        // What goes wrong inside PyTorch's own modules is shown where the user's code calls them.
        if LIBRARY.iter().any(|prefix| function.name.starts_with(prefix)) {
            self.user_span = outer.or_else(|| Some(self.span()).filter(|span| !span.is_none()));
        }
        let result = self.run_block(&mut frame, entry);
        self.user_span = outer;
        self.depth -= 1;
        self.emit.span = span;
        Ok(result?.map(|mut yields| yields.pop().unwrap_or(Abs::None)))
    }

    /// Runs a block; gives its yields, or nothing when it raises.
    pub(super) fn run_block(&mut self, frame: &mut Frame, block: Block) -> Run<Option<Vec<Abs>>> {
        let graph = frame.graph.clone();
        for &node in &graph.blocks[block].nodes {
            if !self.run_node(frame, node)? {
                return Ok(None);
            }
        }
        if graph.blocks[block].diverges {
            return Ok(None);
        }
        Ok(Some(graph.blocks[block].yields.iter().map(|&v| self.operand(frame, v)).collect()))
    }

    /// Runs a node; false when it raises.
    fn run_node(&mut self, frame: &mut Frame, node: Node) -> Run<bool> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(self.unsupported("a program that computes this much before it sees its inputs"));
        }
        let graph = frame.graph.clone();
        let data = &graph.nodes[node];
        if !data.span.is_none() {
            self.emit.span = self.user_span.unwrap_or(data.span);
        }
        let results = match &data.op {
            Op::If => self.run_if(frame, node)?,
            Op::Loop => self.run_loop(frame, node)?,
            op => {
                let args: Vec<Abs> = data.args.iter().map(|&v| self.operand(frame, v)).collect();
                let types: Vec<Type> = data.results.iter().map(|&v| graph.ty(v).clone()).collect();
                self.apply(op, args, &types)?
            }
        };
        let Some(results) = results else { return Ok(false) };
        for (&value, abs) in data.results.iter().zip(results) {
            frame.env[value] = Some(abs);
        }
        Ok(true)
    }

    /// Applies an operation without blocks.
    fn apply(&mut self, op: &Op, args: Vec<Abs>, types: &[Type]) -> Run<Option<Vec<Abs>>> {
        let one = |abs: Abs| Ok(Some(vec![abs]));
        match op {
            Op::Const(literal) => {
                let abs = self.literal(literal, types.first())?;
                one(abs)
            }
            Op::Table(op) => self.apply_table(*op, args, types),
            Op::Call(func) => Ok(self.call(*func, args)?.map(|abs| vec![abs])),
            Op::CallMethod(name) => self.call_method(name, args),
            Op::Tuple(class) => one(Abs::Tuple(args.into(), *class)),
            Op::TupleGet(at) => {
                let abs = self.tuple_get(&args[0], *at as usize)?;
                one(abs)
            }
            Op::List => {
                let elem = match &types[0] {
                    Type::List(elem) => (**elem).clone(),
                    _ => Type::Any,
                };
                let id = self.heap.items.push(HeapItem::List(elem, Contents::Static(args)));
                one(Abs::List(id))
            }
            Op::Dict => {
                let (key, value) = match &types[0] {
                    Type::Dict(pair) => (pair.0.clone(), pair.1.clone()),
                    _ => (Type::Any, Type::Any),
                };
                self.make_dict(key, value, args)
            }
            Op::ListUnpack => self.list_unpack(&args[0], types.len()),
            Op::New(class) => {
                let fields = vec![None; self.program.classes[*class].fields.len()];
                let id = self.heap.items.push(HeapItem::Object(*class, Contents::Static(fields)));
                one(Abs::Object(id))
            }
            Op::GetAttr(name) => self.get_attr(&args[0], name),
            Op::SetAttr(name) => self.set_attr(&args[0], name, args[1].clone()),
            Op::EnumValue(class, member) => one(Abs::Enum(*class, member.as_str().into())),
            Op::Cast => {
                let abs = self.cast(args[0].clone(), &types[0])?;
                one(abs)
            }
            Op::Annotate => one(args[0].clone()),
            Op::IsInstance(wanted) => {
                let test = self.is_instance(&args[0], wanted)?;
                one(Abs::Bool(test))
            }
            Op::Uninit => one(Abs::Uninit),
            Op::FunctionRef(func) => one(Abs::Function(*func)),
            Op::ObjectRef(object) => {
                let id = self.initial_object(*object)?;
                one(super::merge::reference(&self.heap, id))
            }
            Op::Raise(class) if self.user_span.is_some() && class_tail(class) == "NotImplementedError" => {
                Err(self.not_implemented(&args[0]))
            }
            Op::Raise(class) => {
                let message = self.materialise(&args[0], &Type::Str)?;
                self.emit.node(Op::Raise(class.clone()), vec![message], Vec::new());
                Ok(None)
            }
            Op::Print => {
                let values: Run<Vec<_>> = args.iter().map(|a| self.printable(a)).collect();
                self.emit.node(Op::Print, values?, Vec::new());
                Ok(Some(Vec::new()))
            }
            Op::If | Op::Loop => unreachable!("handled with their blocks"),
            Op::StateLoad(_) | Op::StateStore(_) | Op::Box | Op::Unbox | Op::Unwrap | Op::Wrap | Op::WriteView(_) => {
                panic!("{op:?} is no operation of the typed graph")
            }
        }
    }

    /// What a decomposition says that it cannot do: `raise NotImplementedError("kiln: ...")`.
    fn not_implemented(&self, message: &Abs) -> super::Stop {
        match message {
            Abs::Str(text) => self.unsupported(text.strip_prefix("kiln: ").unwrap_or(text)),
            _ => self.unsupported("these arguments of this operator"),
        }
    }

    /// The value of a constant. A constant list is a new list each time it is reached.
    pub(super) fn literal(&mut self, literal: &Literal, ty: Option<&Type>) -> Run<Abs> {
        Ok(match literal {
            Literal::None => Abs::None,
            Literal::Bool(b) => Abs::bool(*b),
            Literal::Int(i) if matches!(ty, Some(Type::Float)) => Abs::float(*i as f64),
            Literal::Int(i) => Abs::int(*i),
            Literal::Float(f) => Abs::float(*f),
            Literal::Complex(re, im) => Abs::Complex(*re, *im),
            Literal::Str(s) => Abs::Str(s.as_str().into()),
            Literal::Device(s) => Abs::Device(s.as_str().into()),
            Literal::List(items) => {
                let elem = match ty.map(Type::without_none) {
                    Some(Type::List(elem)) => (*elem).clone(),
                    _ => Type::Any,
                };
                let items: Run<Vec<Abs>> = items.iter().map(|i| self.literal(i, Some(&elem))).collect();
                Abs::List(self.heap.items.push(HeapItem::List(elem, Contents::Static(items?))))
            }
            Literal::Tensor(data) => {
                // The same constant may stand in several places, and lives from call to call.
                let id = self.constant_tensor(data.clone());
                self.note_shared(id, "a constant of the program");
                Abs::Tensor(id)
            }
        })
    }

    fn call_method(&mut self, name: &str, args: Vec<Abs>) -> Run<Option<Vec<Abs>>> {
        let Abs::Object(id) = args[0] else { return Err(self.unsupported("a method call on a value of unknown class")) };
        let HeapItem::Object(class, _) = self.heap.items[id] else { panic!("an object is an object") };
        match self.program.classes[class].method(name) {
            Some(func) => Ok(self.call(func, args)?.map(|abs| vec![abs])),
            None => Err(self.unsupported(&format!("the method `{name}` of an interface"))),
        }
    }

    /// Refines a value to a static type (`unchecked_cast`, None checks).
    pub(super) fn cast(&mut self, abs: Abs, wanted: &Type) -> Run<Abs> {
        match abs {
            Abs::Tagged(value, rich)
                if !super::rich::is_tagged(wanted) || super::rich::erase(&rich) != super::rich::erase(wanted) =>
            {
                let refined = super::rich::refine(&rich, wanted, self.program);
                if super::rich::is_tagged(&refined) {
                    return Ok(Abs::Tagged(value, refined));
                }
                if refined == Type::None {
                    return Ok(Abs::None);
                }
                let own = self.emit.value(Op::Unwrap, vec![value], super::rich::erase(&refined));
                self.value_of_type(own, &refined)
            }
            other => Ok(other),
        }
    }

    /// Whether a value is of one of these static types.
    fn is_instance(&mut self, abs: &Abs, wanted: &[Type]) -> Run<Num> {
        if let Abs::Tagged(value, rich) = abs {
            let members = rich.members();
            let fits = |m: &Type| wanted.iter().any(|w| super::rich::erase(m).is_subtype(&super::rich::erase(w), self.program));
            if *rich != Type::Any && members.iter().all(fits) {
                return Ok(Num::Const(Scalar::Bool(true)));
            }
            if *rich != Type::Any && !members.iter().any(fits) {
                return Ok(Num::Const(Scalar::Bool(false)));
            }
            let types = wanted.iter().map(super::rich::erase).collect();
            return Ok(Num::Dyn(self.emit.value(Op::IsInstance(types), vec![*value], Type::Bool)));
        }
        let own = self.static_type(abs);
        Ok(Num::Const(Scalar::Bool(wanted.iter().any(|w| own.is_subtype(w, self.program)))))
    }

    /// The static type of an abstract value: containers by their declared element types.
    pub(super) fn static_type(&self, abs: &Abs) -> Type {
        match abs {
            Abs::List(id) | Abs::Dict(id) | Abs::Object(id) => match &self.heap.items[*id] {
                HeapItem::List(elem, _) => Type::list(elem.clone()),
                HeapItem::Dict(key, value, _) => Type::dict(key.clone(), value.clone()),
                HeapItem::Object(class, _) => Type::Class(*class),
            },
            Abs::Tuple(items, None) => Type::tuple(items.iter().map(|i| self.static_type(i))),
            Abs::Tensor(_) => Type::TENSOR,
            other => super::rich::erase(&super::rich::rich_type(other, &self.heap)),
        }
    }

    pub(super) fn tuple_get(&mut self, abs: &Abs, at: usize) -> Run<Abs> {
        match abs {
            Abs::Tuple(items, _) => Ok(items[at].clone()),
            Abs::BoxedTuple(value, ty) => self.boxed_tuple_get(*value, ty, at),
            other => Err(self.unsupported(&format!("an element of {other:?}"))),
        }
    }

    fn get_attr(&mut self, object: &Abs, name: &str) -> Run<Option<Vec<Abs>>> {
        let one = |abs: Abs| Ok(Some(vec![abs]));
        let (Abs::Object(_) | Abs::Tuple(..) | Abs::BoxedTuple(..)) = object else {
            return Err(self.unsupported(&format!("the attribute `{name}` of this value")));
        };
        if let Abs::Tuple(items, Some(class)) = object {
            let at = self.program.classes[*class].slot(name);
            return match at {
                Some(at) => one(items[at].clone()),
                None => Err(self.unsupported(&format!("the attribute `{name}` of a named tuple"))),
            };
        }
        if let Abs::BoxedTuple(value, ty) = object {
            let Type::Class(class) = ty else { return Err(self.unsupported("an attribute of a tuple")) };
            let Some(at) = self.program.classes[*class].slot(name) else { return Err(self.unsupported("an unknown attribute")) };
            let abs = self.boxed_tuple_get(*value, ty, at)?;
            return one(abs);
        }
        let Abs::Object(id) = object else { unreachable!("checked above") };
        let HeapItem::Object(class, contents) = self.heap.items[*id].clone() else { panic!("an object is an object") };
        let data = &self.program.classes[class];
        let Some(slot) = data.slot(name) else {
            return Err(self.unsupported(&format!("the attribute `{name}` of class `{}`", data.name)));
        };
        let initial = data.fields[slot].initial.clone();
        let ty = data.fields[slot].ty.clone();
        match contents {
            Contents::Static(fields) => match (&fields[slot], initial) {
                (Some(abs), _) => one(abs.clone()),
                (None, Some(initial)) => {
                    let abs = self.initial(&initial, &ty)?;
                    one(abs)
                }
                (None, None) => self.raise(
                    "AttributeError",
                    &format!("'{}' object has no attribute '{name}'", class_tail(&self.program.classes[class].name)),
                ),
            },
            Contents::Runtime(value, _) => {
                let own = self.emit.value(Op::GetAttr(name.to_owned()), vec![value], super::rich::erase(&ty));
                let ty = self.field_facts(class, slot, &ty);
                let abs = self.value_of_type(own, &ty)?;
                one(abs)
            }
        }
    }

    fn set_attr(&mut self, object: &Abs, name: &str, new: Abs) -> Run<Option<Vec<Abs>>> {
        let Abs::Object(id) = object else { return Err(self.unsupported("setting an attribute of this value")) };
        let HeapItem::Object(class, contents) = self.heap.items[*id].clone() else { panic!("an object is an object") };
        debug_assert_ne!(self.program.classes[class].kind, ClassKind::NamedTuple);
        let Some(slot) = self.program.classes[class].slot(name) else {
            return Err(self.unsupported(&format!("setting the undeclared attribute `{name}`")));
        };
        match contents {
            Contents::Static(mut fields) => {
                fields[slot] = Some(new);
                self.heap.items[*id] = HeapItem::Object(class, Contents::Static(fields));
            }
            Contents::Runtime(value, _) => {
                let ty = self.program.classes[class].fields[slot].ty.clone();
                let own = self.materialise_field(class, slot, &ty, &new)?;
                self.emit.node(Op::SetAttr(name.to_owned()), vec![value, own], Vec::new());
            }
        }
        Ok(Some(Vec::new()))
    }
}

/// The last part of a qualified name.
pub(super) fn class_tail(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
