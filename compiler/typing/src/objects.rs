//! The archive's object graph as initial values, typed by the classes' attributes.
//!
//! Lists, dicts, objects and tensor storages keep their identity. An object is given its number when it is
//! first met and filled later, so that cycles and deep graphs need no recursion.

use crate::body::Body;
use crate::error;
use crate::session::Session;
use crate::sugar::Typed;
use kiln_frontend::model::{Archive, HeapId, HeapItem, Item, ObjectState, Quant, TensorItem};
use kiln_graph::{ChannelQuant, ClassId, ClassKind, HeapObject, Initial, Literal, ObjectId, Op, TensorInit, Type, Value};
use kiln_support::tensor::Number;
use kiln_support::{DType, Diagnostic, Span, TensorData};

/// Objects that have a number but no contents yet, with the type asked of them.
type Pending = Vec<(HeapId, ObjectId, Type)>;

impl<'s> Session<'s> {
    /// Builds the root object and everything it reaches, and queues the methods.
    pub fn load_root(&mut self, archive: &'s Archive, methods: &[String]) {
        if let Err(error) = self.try_load_root(archive, methods) {
            self.report(error);
        }
    }

    fn try_load_root(&mut self, archive: &'s Archive, methods: &[String]) -> Typed<()> {
        let root = archive.root.ok_or_else(|| error("no-root", "the archive holds no module", Span::NONE))?;
        let object = self.heap_object(root, &Type::Any)?;
        self.program.root = Some(object);
        let (HeapObject::Object(class, _) | HeapObject::SetState(class, _)) = self.program.objects[object] else {
            return Err(error("no-root", "the root of the archive is not a module", Span::NONE));
        };
        let default = ["forward".to_owned()];
        for method in if methods.is_empty() { &default } else { methods } {
            match self.program.classes[class].method(method) {
                Some(func) => self.reach(func, Span::NONE)?,
                None => {
                    let broken = self.broken_methods.get(&(class, method.clone())).cloned();
                    self.report(broken.unwrap_or_else(|| self.no_method(class, method)));
                }
            }
        }
        Ok(())
    }

    fn no_method(&self, class: ClassId, method: &str) -> Box<Diagnostic> {
        let class = &self.program.classes[class];
        let names = class.methods.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>();
        let mut error = error("no-such-method", format!("class `{}` has no method `{method}`", class.name), Span::NONE);
        error.help = Some(match names.as_slice() {
            [] => "it has no methods".to_owned(),
            names => format!("it has `{}`", names.join("`, `")),
        });
        error
    }

    /// The object of a heap item; its contents and all they reach are built too.
    fn heap_object(&mut self, id: HeapId, ty: &Type) -> Typed<ObjectId> {
        let mut pending = Pending::new();
        let object = self.numbered(id, ty, &mut pending);
        while let Some((id, object, ty)) = pending.pop() {
            let archive = self.archive.expect("heap items come from an archive");
            let contents = self.contents(&archive.heap[id], &ty, &mut pending)?;
            self.program.objects[object] = contents;
        }
        Ok(object)
    }

    fn numbered(&mut self, id: HeapId, ty: &Type, pending: &mut Pending) -> ObjectId {
        if let Some(&object) = self.objects.get(&id) {
            return object;
        }
        let object = self.program.objects.push(HeapObject::List(Type::Any, Vec::new()));
        self.objects.insert(id, object);
        pending.push((id, object, ty.clone()));
        object
    }

    fn contents(&mut self, item: &HeapItem, ty: &Type, pending: &mut Pending) -> Typed<HeapObject> {
        match item {
            HeapItem::List { items, type_text } => {
                let ty = self.container_type(type_text.as_deref(), ty, |t| matches!(t, Type::List(_)))?;
                let elem = match &ty {
                    Some(Type::List(elem)) => (**elem).clone(),
                    _ => self.common_item_type(items.iter()),
                };
                let items = items.iter().map(|i| self.initial(i, &elem, pending)).collect::<Typed<_>>()?;
                Ok(HeapObject::List(Type::list(elem), items))
            }
            HeapItem::Dict { items, type_text } => {
                let ty = self.container_type(type_text.as_deref(), ty, |t| matches!(t, Type::Dict(_)))?;
                let (key, value) = match &ty {
                    Some(Type::Dict(pair)) => (**pair).clone(),
                    _ => (self.common_item_type(items.iter().map(|i| &i.0)), self.common_item_type(items.iter().map(|i| &i.1))),
                };
                let mut out = Vec::new();
                for (k, v) in items {
                    out.push((self.initial(k, &key, pending)?, self.initial(v, &value, pending)?));
                }
                Ok(HeapObject::Dict(Type::dict(key, value), out))
            }
            HeapItem::Object { class, state } => self.object_contents(class, state, pending),
        }
    }

    /// The type of a list or dict: as the archive says, else as the attribute does.
    fn container_type(&mut self, text: Option<&str>, ty: &Type, fits: impl Fn(&Type) -> bool) -> Typed<Option<Type>> {
        if let Some(text) = text {
            let expr = kiln_frontend::python::parse_expression(text, Span::NONE)?;
            let written = self.type_of(&expr, "")?;
            if fits(&written) {
                return Ok(Some(written));
            }
        }
        Ok(ty.members().into_iter().find(fits))
    }

    fn object_contents(&mut self, class: &str, state: &ObjectState, pending: &mut Pending) -> Typed<HeapObject> {
        let id = self
            .class_by_path(class, "")?
            .ok_or_else(|| error("unknown-class", format!("the archive has no code for class `{class}`"), Span::NONE))?;
        let set_state = self.program.classes[id].method("__setstate__");
        match (state, set_state) {
            (ObjectState::SetState(item), method) => {
                let ty = match method {
                    Some(method) => self.state_type(method)?,
                    None => Type::Any,
                };
                Ok(HeapObject::SetState(id, self.initial(item, &ty, pending)?))
            }
            (ObjectState::Attributes(attributes), Some(method)) => {
                // A state that is itself a dict reads as attributes.
                let ty = self.state_type(method)?;
                let value_type = match &ty {
                    Type::Dict(pair) => pair.1.clone(),
                    _ => Type::Any,
                };
                let mut items = Vec::new();
                for (name, item) in attributes {
                    items.push((Initial::Literal(Literal::Str(name.clone())), self.initial(item, &value_type, pending)?));
                }
                let dict = self.program.objects.push(HeapObject::Dict(Type::dict(Type::Str, value_type), items));
                Ok(HeapObject::SetState(id, Initial::Ref(dict)))
            }
            (ObjectState::Attributes(attributes), None) => {
                let fields = self.program.classes[id].fields.clone();
                let mut values: Vec<Option<Initial>> = fields.iter().map(|f| f.initial.clone()).collect();
                for (name, item) in attributes {
                    // What kiln cannot represent stays unset: it matters only where it is read.
                    if let Some(slot) = self.program.classes[id].slot(name)
                        && !matches!(item, Item::Unsupported(_))
                    {
                        values[slot] = Some(self.initial(item, &fields[slot].ty, pending)?);
                    }
                }
                Ok(HeapObject::Object(id, values))
            }
        }
    }

    /// The type of the argument of `__setstate__`, whose body is needed too.
    fn state_type(&mut self, method: kiln_graph::FuncId) -> Typed<Type> {
        self.reach(method, Span::NONE)?;
        Ok(self.program.funcs[method].params.get(1).map_or(Type::Any, |p| p.ty.clone()))
    }

    /// One value, of the type that its place asks for.
    fn initial(&mut self, item: &Item, ty: &Type, pending: &mut Pending) -> Typed<Initial> {
        Ok(match item {
            Item::Int(i) if ty.without_none() == Type::Float => Initial::Literal(Literal::Float(*i as f64)),
            Item::Int(_) | Item::None | Item::Bool(_) | Item::Float(_) | Item::Complex(..) | Item::Str(_) | Item::Device(_) => {
                Initial::Literal(scalar(item).expect("these are scalars"))
            }
            Item::Tensor(tensor) => Initial::Tensor(self.tensor(tensor)?),
            Item::Tuple(items) => {
                let types = self.element_types(ty, items.len());
                let items = items.iter().enumerate().map(|(i, item)| {
                    let ty = types.as_ref().map_or(&Type::Any, |t| &t[i]);
                    self.initial(item, ty, pending)
                });
                Initial::Tuple(items.collect::<Typed<_>>()?)
            }
            Item::Enum(class, value) => self.enum_member(class, value)?,
            Item::Unsupported(what) => return Err(unsupported_item(what)),
            Item::Ref(id) => Initial::Ref(self.numbered(*id, ty, pending)),
        })
    }

    fn element_types(&self, ty: &Type, count: usize) -> Option<Vec<Type>> {
        let tuple = ty.members().into_iter().find_map(|m| match m {
            Type::Tuple(types) => Some(types),
            Type::Class(class) => match self.program.named_tuple_type(class) {
                Some(Type::Tuple(types)) => Some(types),
                _ => None,
            },
            _ => None,
        })?;
        (tuple.len() == count).then(|| tuple.to_vec())
    }

    fn enum_member(&mut self, class: &str, value: &Item) -> Typed<Initial> {
        let id = self
            .class_by_path(class, "")?
            .filter(|id| self.program.classes[*id].kind == ClassKind::Enum)
            .ok_or_else(|| error("unknown-class", format!("the archive has no code for enum `{class}`"), Span::NONE))?;
        let wanted = scalar(value).map(Initial::Literal);
        let fields = &self.program.classes[id].fields;
        let member = fields.iter().find(|f| f.initial.is_some() && f.initial == wanted);
        match member {
            Some(field) => Ok(Initial::Enum(id, field.name.clone())),
            None => Err(error("unknown-enum-value", format!("enum `{class}` has no member of this value"), Span::NONE)),
        }
    }

    fn tensor(&self, item: &TensorItem) -> Typed<TensorInit> {
        let archive = self.archive.expect("tensors come from an archive");
        let (mut quant, mut channel_quant) = (None, None);
        match &item.quant {
            Some(Quant::PerTensor { scale, zero_point }) => quant = Some((*scale, *zero_point)),
            Some(Quant::PerChannel { scales, zero_points, axis }) => {
                let zero_points = self.tensor(zero_points)?.to_data();
                let dtype = if zero_points.dtype.is_float() { DType::F32 } else { DType::I64 };
                channel_quant = Some(ChannelQuant {
                    axis: *axis,
                    scales: self.tensor(scales)?.to_data().numbers().map(Number::as_f64).collect(),
                    zero_points: TensorData::from_numbers(dtype, &[zero_points.len() as i64], zero_points.numbers()),
                });
            }
            None => {}
        }
        Ok(TensorInit {
            storage: item.storage.0,
            bytes: archive.storages[item.storage].bytes.clone(),
            dtype: item.dtype,
            offset: item.offset,
            sizes: item.sizes.clone(),
            strides: item.strides.clone(),
            requires_grad: item.requires_grad,
            quant,
            channel_quant,
        })
    }

    /// The static type of a value whose place says nothing.
    fn item_type(&self, item: &Item) -> Type {
        match item {
            Item::None => Type::None,
            Item::Bool(_) => Type::Bool,
            Item::Int(_) => Type::Int,
            Item::Float(_) => Type::Float,
            Item::Complex(..) => Type::Complex,
            Item::Str(_) => Type::Str,
            Item::Device(_) => Type::Device,
            Item::Tensor(_) => Type::TENSOR,
            Item::Tuple(items) => Type::tuple(items.iter().map(|i| self.item_type(i))),
            Item::Unsupported(_) => Type::Any,
            Item::Enum(class, _) => self.class_ids.get(class).map_or(Type::Any, |c| Type::Class(*c)),
            Item::Ref(id) => match self.archive.map(|a| &a.heap[*id]) {
                Some(HeapItem::Object { class, .. }) => self.class_ids.get(class).map_or(Type::Any, |c| Type::Class(*c)),
                _ => Type::Any,
            },
        }
    }

    fn common_item_type<'i>(&self, items: impl Iterator<Item = &'i Item>) -> Type {
        let mut types = items.map(|i| self.item_type(i));
        let first = types.next().unwrap_or(Type::TENSOR);
        types.try_fold(first, |a, b| a.unify(&b, self.program, false)).unwrap_or(Type::Any)
    }
}

fn unsupported_item(what: &str) -> Box<Diagnostic> {
    crate::unsupported("unsupported-value", what, Span::NONE)
}

fn scalar(item: &Item) -> Option<Literal> {
    Some(match item {
        Item::None => Literal::None,
        Item::Bool(b) => Literal::Bool(*b),
        Item::Int(i) => Literal::Int(*i),
        Item::Float(v) => Literal::Float(*v),
        Item::Complex(re, im) => Literal::Complex(*re, *im),
        Item::Str(s) => Literal::Str(s.clone()),
        Item::Device(s) => Literal::Device(s.clone()),
        Item::Tensor(_) | Item::Tuple(_) | Item::Enum(..) | Item::Ref(_) | Item::Unsupported(_) => return None,
    })
}

impl Body<'_, '_> {
    /// A value of the archive's table of constants.
    pub fn constant_item(&mut self, item: &Item, at: Span) -> Typed<Value> {
        match item {
            Item::Tensor(tensor) => self.constant_tensor(tensor, at),
            Item::Tuple(items) => {
                let items = items.iter().map(|i| self.constant_item(i, at)).collect::<Typed<Vec<_>>>()?;
                Ok(self.make_tuple(items, at))
            }
            Item::Enum(class, value) => match self.session.enum_member(class, value)? {
                Initial::Enum(class, member) => Ok(self.add(Op::EnumValue(class, member), Vec::new(), Type::Class(class), at)),
                _ => Err(error("unknown-enum-value", "this is no enum value", at)),
            },
            Item::Unsupported(what) => Err(unsupported_item(what)),
            Item::Ref(id) => {
                let object = self.session.heap_object(*id, &Type::Any)?;
                let ty = match &self.session.program.objects[object] {
                    HeapObject::List(ty, _) | HeapObject::Dict(ty, _) => ty.clone(),
                    HeapObject::Object(class, _) | HeapObject::SetState(class, _) => Type::Class(*class),
                };
                Ok(self.add(Op::ObjectRef(object), Vec::new(), ty, at))
            }
            _ => {
                let literal = scalar(item).expect("everything else is a scalar");
                let ty = self.session.item_type(item);
                Ok(self.graph.add_const(self.block, literal, ty, at))
            }
        }
    }

    /// A quantized constant is made of its integers.
    fn constant_tensor(&mut self, item: &TensorItem, at: Span) -> Typed<Value> {
        let init = self.session.tensor(item)?;
        let data = init.to_data();
        if init.quant.is_none() && init.channel_quant.is_none() {
            return Ok(self.graph.add_const(self.block, Literal::Tensor(data), Type::TENSOR, at));
        }
        let plain = match data.dtype {
            DType::QI8 => DType::I8,
            DType::QU8 => DType::U8,
            _ => DType::I32,
        };
        let integers = TensorData::new(plain, data.shape.clone(), data.bytes.clone());
        let integers = self.graph.add_const(self.block, Literal::Tensor(integers), Type::TENSOR, at);
        if let Some((scale, zero_point)) = init.quant {
            let scale = self.graph.add_const(self.block, Literal::Float(scale), Type::Float, at);
            let zero_point = self.int(zero_point, at);
            return self.table_op("aten::_make_per_tensor_quantized_tensor", &[integers, scale, zero_point], at);
        }
        let channels = init.channel_quant.expect("one of the two is there");
        let count = channels.scales.len() as i64;
        let scales = TensorData::from_numbers(DType::F64, &[count], channels.scales.iter().map(|&v| Number::Float(v)));
        let scales = self.graph.add_const(self.block, Literal::Tensor(scales), Type::TENSOR, at);
        let zero_points = self.graph.add_const(self.block, Literal::Tensor(channels.zero_points), Type::TENSOR, at);
        let axis = self.int(channels.axis, at);
        self.table_op("aten::_make_per_channel_quantized_tensor", &[integers, scales, zero_points, axis], at)
    }
}
