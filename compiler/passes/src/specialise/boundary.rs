//! Between abstract values and residual values: making run-time objects and tagged values, and taking
//! them apart.

use super::emit::Emit;
use super::rich::{erase, fit, is_tagged, refine, rich_type};
use super::value::{ANY_SIZE, Abs, Contents, HeapId, HeapItem, Num};
use super::{Run, Specialiser};
use kiln_graph::{ClassId, ClassKind, Dim, Literal, Op, TensorType, Type, Value};
use kiln_ops::Fact;

impl Specialiser<'_> {
    /// The residual value of an abstract one, as a value of a rich type: tensors as objects, Optionals tagged.
    pub(super) fn materialise(&mut self, abs: &Abs, wanted: &Type) -> Run<Value> {
        if is_tagged(wanted) {
            return self.materialise_tagged(abs, wanted);
        }
        match abs {
            Abs::Int(num) if *wanted == Type::Float => match num.known() {
                Some(scalar) => Ok(self.emit.constant(Literal::Float(scalar.as_f64()), Type::Float)),
                None => {
                    let value = self.emit.num(*num);
                    Ok(self.emit.table("aten::Float.int", vec![value], Type::Float))
                }
            },
            Abs::Int(num) | Abs::Float(num) | Abs::Bool(num) => Ok(self.emit.num(*num)),
            Abs::Str(text) => Ok(self.emit.constant(Literal::Str(text.to_string()), Type::Str)),
            Abs::DynStr(value) | Abs::OpenTensor(value) => Ok(*value),
            Abs::None => Ok(self.emit.constant(Literal::None, Type::None)),
            Abs::Device(name) => Ok(self.emit.constant(Literal::Device(name.to_string()), Type::Device)),
            Abs::Tensor(id) => {
                self.check_not_quantized(*id)?;
                let value = self.tensor_value(*id)?;
                self.note_shared(
                    *id,
                    "a tensor that is also in a list, dict or object whose contents are known only at run time",
                );
                Ok(self.emit.value(Op::Box, vec![value], Type::TENSOR))
            }
            Abs::Tuple(items, class) => self.materialise_tuple(items, *class, wanted),
            Abs::List(id) | Abs::Dict(id) | Abs::Object(id) => self.pointer(*id),
            Abs::BoxedTuple(value, _) => Ok(*value),
            Abs::Tagged(value, rich) => {
                let refined = refine(rich, wanted, self.program);
                Ok(self.emit.value(Op::Unwrap, vec![*value], erase(&refined)))
            }
            Abs::Uninit => Ok(self.emit.value(Op::Uninit, Vec::new(), erase(wanted))),
            Abs::Enum(..) | Abs::Function(_) | Abs::Complex(..) => {
                Err(self.unsupported("enums, functions or complex numbers as run-time values"))
            }
        }
    }

    fn materialise_tagged(&mut self, abs: &Abs, wanted: &Type) -> Run<Value> {
        if let Abs::Tagged(value, _) = abs {
            return Ok(*value);
        }
        if *abs == Abs::Uninit {
            return Ok(self.emit.value(Op::Uninit, Vec::new(), erase(wanted)));
        }
        let own = rich_type(abs, &self.heap);
        let value = self.materialise(abs, &own)?;
        Ok(self.emit.value(Op::Wrap, vec![value], erase(wanted)))
    }

    fn materialise_tuple(&mut self, items: &[Abs], class: Option<kiln_graph::ClassId>, wanted: &Type) -> Run<Value> {
        let types = self.element_types(wanted, items.len());
        let mut args = Vec::new();
        for (item, ty) in items.iter().zip(types) {
            let own = rich_type(item, &self.heap);
            args.push(self.materialise(item, &if ty == Type::Never { own } else { ty })?);
        }
        let ty = match class {
            Some(class) => Type::Class(class),
            None => Type::tuple(args.iter().map(|v| self.emit.graph.ty(*v).clone())),
        };
        Ok(self.emit.value(Op::Tuple(class), args, ty))
    }

    /// Types of the elements of a tuple or named tuple type.
    fn element_types(&self, ty: &Type, len: usize) -> Vec<Type> {
        match ty {
            Type::Tuple(items) if items.len() == len => items.to_vec(),
            Type::Class(class) => self.program.classes[*class].fields.iter().map(|f| f.ty.clone()).collect(),
            _ => vec![Type::Never; len],
        }
    }

    /// The abstract value of a residual value of a rich type.
    pub(super) fn value_of_type(&mut self, value: Value, ty: &Type) -> Run<Abs> {
        Ok(match ty {
            Type::Int => Abs::Int(Num::Dyn(value)),
            Type::Float => Abs::Float(Num::Dyn(value)),
            Type::Bool => Abs::Bool(Num::Dyn(value)),
            Type::Str => Abs::DynStr(value),
            Type::None => Abs::None,
            Type::Device => Abs::Device("cpu".into()),
            Type::Tensor(Some(facts)) => self.unbox(value, facts)?,
            Type::Tensor(None) | Type::Never => Abs::OpenTensor(value),
            Type::List(elem) => {
                let contents = Contents::Runtime(value, (**elem).clone());
                Abs::List(self.heap.items.push(HeapItem::List(erase(elem), contents)))
            }
            Type::Dict(pair) => {
                let contents = Contents::Runtime(value, pair.1.clone());
                Abs::Dict(self.heap.items.push(HeapItem::Dict(pair.0.clone(), erase(&pair.1), contents)))
            }
            Type::Tuple(_) => Abs::BoxedTuple(value, ty.clone()),
            Type::Class(class) => match self.program.classes[*class].kind {
                ClassKind::NamedTuple => Abs::BoxedTuple(value, ty.clone()),
                ClassKind::Plain | ClassKind::Module => {
                    Abs::Object(self.heap.items.push(HeapItem::Object(*class, Contents::Runtime(value, ty.clone()))))
                }
                _ => return Err(self.unsupported("an enum or interface as a run-time value")),
            },
            _ if is_tagged(ty) => Abs::Tagged(value, ty.clone()),
            other => return Err(self.unsupported(&format!("run-time values of type {}", other.display(self.program)))),
        })
    }

    /// The contents of a run-time tensor object.
    pub(super) fn unbox(&mut self, object: Value, facts: &TensorType) -> Run<Abs> {
        let node = self.emit.node(Op::Unbox, vec![object], Vec::new());
        let free = facts.dims.iter().filter(|d| **d == ANY_SIZE).count();
        // The tensor is the first result, its sizes follow; its type refers to them.
        let tensor = self.emit.graph.add_result(node, Type::TENSOR);
        let mut sizes = (0..free).map(|_| self.emit.graph.add_result(node, Type::Int)).collect::<Vec<_>>().into_iter();
        let dims =
            facts.dims.iter().map(|d| if *d == ANY_SIZE { Dim::Value(sizes.next().expect("counted")) } else { *d }).collect();
        let ty = TensorType { dtype: facts.dtype, dims };
        self.emit.graph.values[tensor].ty = Emit::tensor_type(&ty);
        let id = self.new_tensor(ty, tensor);
        self.note_shared(id, "a tensor from a list, dict or object whose contents are known only at run time");
        Ok(Abs::Tensor(id))
    }

    pub(super) fn boxed_tuple_get(&mut self, value: Value, ty: &Type, at: usize) -> Run<Abs> {
        let types = self.element_types(
            ty,
            match ty {
                Type::Tuple(items) => items.len(),
                _ => 0,
            },
        );
        let Some(elem) = types.get(at).cloned() else { return Err(self.unsupported("an element of this tuple")) };
        let own = self.emit.value(Op::TupleGet(at as u32), vec![value], erase(&elem));
        self.value_of_type(own, &elem)
    }

    /// The pointer of a container; a static one becomes a run-time one here.
    pub(super) fn pointer(&mut self, id: HeapId) -> Run<Value> {
        self.demote(id)?;
        match &self.heap.items[id] {
            HeapItem::List(_, Contents::Runtime(value, _))
            | HeapItem::Dict(_, _, Contents::Runtime(value, _))
            | HeapItem::Object(_, Contents::Runtime(value, _)) => Ok(*value),
            other => panic!("not made a run-time container: {other:?}"),
        }
    }

    /// Makes a static container a run-time one, for all its aliases.
    pub(super) fn demote(&mut self, id: HeapId) -> Run<()> {
        match self.heap.items[id].clone() {
            HeapItem::List(elem, Contents::Static(items)) => {
                let rich = fit(&elem, items.iter().map(|i| rich_type(i, &self.heap)).collect());
                let mut args = Vec::new();
                for item in &items {
                    args.push(self.materialise(item, &if rich == Type::Never { elem.clone() } else { rich.clone() })?);
                }
                let value = self.emit.value(Op::List, args, Type::list(erase(&elem)));
                self.heap.items[id] = HeapItem::List(elem, Contents::Runtime(value, rich));
            }
            HeapItem::Dict(key, elem, Contents::Static(items)) => {
                let rich = fit(&elem, items.iter().map(|(_, v)| rich_type(v, &self.heap)).collect());
                let mut args = Vec::new();
                for (k, v) in &items {
                    args.push(self.materialise(k, &key)?);
                    args.push(self.materialise(v, &if rich == Type::Never { elem.clone() } else { rich.clone() })?);
                }
                let value = self.emit.value(Op::Dict, args, Type::dict(key.clone(), erase(&elem)));
                self.heap.items[id] = HeapItem::Dict(key, elem, Contents::Runtime(value, rich));
            }
            HeapItem::Object(class, Contents::Static(fields)) => {
                let data = self.program.classes[class].clone();
                let value = self.emit.value(Op::New(class), Vec::new(), Type::Class(class));
                // Registered first: an object may refer to itself.
                self.heap.items[id] = HeapItem::Object(class, Contents::Runtime(value, Type::Class(class)));
                for (slot, (field, abs)) in data.fields.iter().zip(fields).enumerate() {
                    if let Some(abs) = abs {
                        let own = self.materialise_field(class, slot, &field.ty, &abs)?;
                        self.emit.node(Op::SetAttr(field.name.clone()), vec![value, own], Vec::new());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A value for an attribute of an object whose contents are known only at run time; what is known of its tensors is noted.
    pub(super) fn materialise_field(&mut self, class: ClassId, slot: usize, declared: &Type, abs: &Abs) -> Run<Value> {
        if !super::rich::holds_tensor(declared) {
            return self.materialise(abs, declared);
        }
        let own = fit(declared, vec![rich_type(abs, &self.heap)]);
        let known = self.class_facts.get(&(class, slot)).cloned().unwrap_or(Type::Never);
        let joined = super::rich::join(&known, &own);
        self.class_facts.insert((class, slot), joined.clone());
        self.materialise(abs, &if joined == Type::Never { declared.clone() } else { joined })
    }

    /// What is known of an attribute of an object whose contents are known only at run time.
    pub(super) fn field_facts(&self, class: ClassId, slot: usize, declared: &Type) -> Type {
        self.class_facts.get(&(class, slot)).filter(|ty| **ty != Type::Never).cloned().unwrap_or_else(|| declared.clone())
    }

    /// An operator's argument as a residual value: tensors as values, lists as list nodes.
    pub(super) fn attribute(&mut self, abs: &Abs) -> Run<Value> {
        match abs {
            Abs::Tensor(id) => self.tensor_value(*id),
            Abs::List(_) | Abs::Tuple(..) => {
                let items = self.known_items(abs)?;
                let known: Option<Vec<Literal>> = items.iter().map(scalar_literal).collect();
                if let Some(items) = known {
                    return Ok(self.emit.constant(Literal::List(items), Type::list(Type::Any)));
                }
                let mut args = Vec::new();
                for item in &items {
                    args.push(self.attribute(item)?);
                }
                Ok(self.emit.value(Op::List, args, Type::list(Type::Any)))
            }
            other => {
                let ty = rich_type(other, &self.heap);
                self.materialise(other, &ty)
            }
        }
    }

    /// The elements of a list or tuple of known structure.
    pub(super) fn known_items(&mut self, abs: &Abs) -> Run<Vec<Abs>> {
        match abs {
            Abs::Tuple(items, _) => Ok(items.to_vec()),
            Abs::List(id) => match &self.heap.items[*id] {
                HeapItem::List(_, Contents::Static(items)) => Ok(items.clone()),
                _ => Err(self.unsupported("a list whose length is known only at run time as an operator's argument")),
            },
            Abs::BoxedTuple(value, ty) => {
                let (value, ty) = (*value, ty.clone());
                let len = match &ty {
                    Type::Tuple(items) => items.len(),
                    Type::Class(class) => self.program.classes[*class].fields.len(),
                    _ => 0,
                };
                (0..len).map(|i| self.boxed_tuple_get(value, &ty, i)).collect()
            }
            _ => Err(self.unsupported("an argument of this type")),
        }
    }

    /// What an operator's rules may know of an argument.
    pub(super) fn fact(&mut self, abs: &Abs) -> Run<Fact> {
        Ok(match abs {
            Abs::OpenTensor(_) => {
                return Err(self
                    .unsupported("operators on a tensor whose element type or number of dimensions is known only at run time"));
            }
            Abs::None => Fact::None,
            Abs::Tensor(id) => Fact::Tensor(self.heap.tensors[*id].ty.clone()),
            Abs::Int(num) => Fact::Int(num.as_dim()),
            Abs::Float(Num::Const(scalar)) => Fact::Float(Ok(scalar.as_f64())),
            Abs::Float(Num::Dyn(value)) => Fact::Float(Err(*value)),
            Abs::Bool(Num::Const(scalar)) => Fact::Bool(Ok(scalar.as_bool())),
            Abs::Bool(Num::Dyn(value)) => Fact::Bool(Err(*value)),
            Abs::Str(text) => Fact::Str(text.to_string()),
            Abs::List(id) => match self.heap.items[*id].clone() {
                HeapItem::List(_, Contents::Static(items)) => Fact::List(items.iter().map(|i| self.fact(i)).collect::<Run<_>>()?),
                _ => Fact::Opaque,
            },
            Abs::Tuple(items, _) => Fact::List(items.clone().iter().map(|i| self.fact(i)).collect::<Run<_>>()?),
            _ => Fact::Opaque,
        })
    }

    /// A value to print.
    pub(super) fn printable(&mut self, abs: &Abs) -> Run<Value> {
        let ty = rich_type(abs, &self.heap);
        if let Abs::Tensor(id) = abs {
            // Printing takes no lasting hold of the tensor.
            self.check_not_quantized(*id)?;
            let value = self.tensor_value(*id)?;
            return Ok(self.emit.value(Op::Box, vec![value], Type::TENSOR));
        }
        self.materialise(abs, &ty)
    }
}

/// The literal of a scalar, string or None.
fn scalar_literal(abs: &Abs) -> Option<Literal> {
    use kiln_loops::Scalar;
    Some(match abs {
        Abs::None => Literal::None,
        Abs::Int(Num::Const(s)) => Literal::Int(s.as_int()),
        Abs::Float(Num::Const(s)) => Literal::Float(s.as_f64()),
        Abs::Bool(Num::Const(Scalar::Bool(b))) => Literal::Bool(*b),
        Abs::Str(s) => Literal::Str(s.to_string()),
        _ => return None,
    })
}
