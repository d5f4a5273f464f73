//! The objects that exist before the first call, on the abstract heap.

use super::value::{Abs, Contents, HeapId, HeapItem, TensorId};
use super::{Run, Specialiser};
use kiln_graph::{HeapObject, Initial, ObjectId, TensorInit, Type};
use kiln_ops::table;
use kiln_support::TensorData;
use kiln_support::tensor::contiguous_strides;

impl Specialiser<'_> {
    /// The heap item of an initial object, made when it is first reached.
    pub(super) fn initial_object(&mut self, object: ObjectId) -> Run<HeapId> {
        if let Some(id) = self.objects[object] {
            return Ok(id);
        }
        match self.program.objects[object].clone() {
            HeapObject::List(ty, items) => {
                let elem = match ty {
                    Type::List(elem) => (*elem).clone(),
                    _ => Type::Any,
                };
                let id = self.heap.items.push(HeapItem::List(elem.clone(), Contents::Static(Vec::new())));
                self.objects[object] = Some(id);
                let items: Run<Vec<Abs>> = items.iter().map(|i| self.initial(i, &elem)).collect();
                self.heap.items[id] = HeapItem::List(elem, Contents::Static(items?));
                Ok(id)
            }
            HeapObject::Dict(ty, items) => {
                let (key, value) = match ty {
                    Type::Dict(pair) => (pair.0.clone(), pair.1.clone()),
                    _ => (Type::Any, Type::Any),
                };
                let id = self.heap.items.push(HeapItem::Dict(key.clone(), value.clone(), Contents::Static(Vec::new())));
                self.objects[object] = Some(id);
                let mut entries = Vec::new();
                for (k, v) in &items {
                    entries.push((self.initial(k, &key)?, self.initial(v, &value)?));
                }
                self.heap.items[id] = HeapItem::Dict(key, value, Contents::Static(entries));
                Ok(id)
            }
            HeapObject::Object(class, fields) => {
                let id = self.heap.items.push(HeapItem::Object(class, Contents::Static(vec![None; fields.len()])));
                self.objects[object] = Some(id);
                let types: Vec<Type> = self.program.classes[class].fields.iter().map(|f| f.ty.clone()).collect();
                let mut values = Vec::new();
                for (field, ty) in fields.iter().zip(&types) {
                    values.push(match field {
                        Some(initial) => Some(self.initial(initial, ty)?),
                        None => None,
                    });
                }
                self.heap.items[id] = HeapItem::Object(class, Contents::Static(values));
                Ok(id)
            }
            HeapObject::SetState(class, state) => self.restore(object, class, &state),
        }
    }

    /// An object whose class restores itself by `__setstate__`.
    fn restore(&mut self, object: ObjectId, class: kiln_graph::ClassId, state: &Initial) -> Run<HeapId> {
        let data = &self.program.classes[class];
        let (name, fields) = (data.name.clone(), data.fields.len());
        if data.kind == kiln_graph::ClassKind::Custom {
            return self.restore_packed(object, class, state);
        }
        let Some(method) = data.method("__setstate__") else {
            return Err(self.unsupported(&format!("saved objects of class `{name}`")));
        };
        let ty = self.program.funcs[method].params.get(1).map_or(Type::Any, |p| p.ty.clone());
        let id = self.heap.items.push(HeapItem::Object(class, Contents::Static(vec![None; fields])));
        self.objects[object] = Some(id);
        let state = self.initial(state, &ty)?;
        match self.call(method, vec![Abs::Object(id), state])? {
            Some(_) => Ok(id),
            None => Err(self.unsupported(&format!("class `{name}`, whose `__setstate__` raises"))),
        }
    }

    /// An initial value of a static type.
    pub(super) fn initial(&mut self, initial: &Initial, ty: &Type) -> Run<Abs> {
        match initial {
            Initial::Literal(literal) => self.literal(literal, Some(ty)),
            Initial::Tensor(init) => Ok(Abs::Tensor(self.initial_tensor(init)?)),
            Initial::Tuple(items) => {
                let (types, class) = match ty.without_none() {
                    Type::Tuple(types) => (types.to_vec(), None),
                    Type::Class(class) => {
                        (self.program.classes[class].fields.iter().map(|f| f.ty.clone()).collect(), Some(class))
                    }
                    _ => (vec![Type::Any; items.len()], None),
                };
                let items: Run<Vec<Abs>> = items.iter().zip(&types).map(|(i, t)| self.initial(i, t)).collect();
                Ok(Abs::Tuple(items?.into(), class))
            }
            Initial::Enum(class, member) => Ok(Abs::Enum(*class, member.as_str().into())),
            Initial::Ref(object) => {
                let id = self.initial_object(*object)?;
                Ok(super::merge::reference(&self.heap, id))
            }
        }
    }

    /// A saved tensor. Tensors that share a storage alias: all are windows on one flat base.
    fn initial_tensor(&mut self, init: &TensorInit) -> Run<TensorId> {
        let known = self.storages.get(&init.storage);
        if let Some((_, id)) = known.and_then(|all| all.iter().find(|(other, _)| other == init)) {
            return Ok(*id);
        }
        let shares = self.shared_storages.contains(&init.storage);
        if init.dtype.is_quantized() {
            if shares {
                return Err(self.unsupported("quantized tensors that share memory"));
            }
            let id = self.initial_quantized(init)?;
            self.storages.entry(init.storage).or_default().push((init.clone(), id));
            return Ok(id);
        }
        let id = if shares { self.window(init)? } else { self.constant_tensor(init.to_data()) };
        let tensor = &mut self.heap.tensors[id];
        tensor.requires_grad = init.requires_grad;
        if !shares {
            tensor.strides = init.strides.iter().map(|&s| kiln_graph::Dim::Const(s)).collect();
        }
        self.storages.entry(init.storage).or_default().push((init.clone(), id));
        Ok(id)
    }

    /// A window on the flat base of a storage that several tensors share.
    fn window(&mut self, init: &TensorInit) -> Run<TensorId> {
        let base = match self.bases.get(&init.storage) {
            Some(base) => *base,
            None => {
                let len = (init.bytes.len() / init.dtype.size()) as i64;
                let bytes = &init.bytes[..len as usize * init.dtype.size()];
                let base = self.constant_tensor(TensorData::new(init.dtype, vec![len], bytes));
                self.bases.insert(init.storage, base);
                base
            }
        };
        if self.heap.tensors[base].ty.dtype != init.dtype {
            return Err(self.unsupported("tensors of differing element types that share memory"));
        }
        let whole = init.offset == 0 && init.strides == contiguous_strides(&init.sizes);
        let (ints, strides): (Vec<Abs>, Vec<Abs>) =
            init.sizes.iter().zip(&init.strides).map(|(&n, &s)| (Abs::int(n), Abs::int(s))).unzip();
        let (sizes, strides) = (self.int_list(ints), self.int_list(strides));
        let args = [sizes, strides, Abs::int(init.offset)];
        let ty = kiln_graph::TensorType::of(init.dtype, &init.sizes);
        let own = init.strides.iter().map(|&s| kiln_graph::Dim::Const(s)).collect();
        debug_assert!(whole || !init.sizes.is_empty() || init.offset >= 0);
        let id = self.view(base, table().get("aten::as_strided"), &args, ty, own);
        self.heap.tensors[id].data = Some(init.to_data());
        Ok(id)
    }
}
