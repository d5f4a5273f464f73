//! Tensors with PyTorch's semantics on top of pure residual values.
//!
//! A tensor is a window on a storage. A storage has a base tensor, whose residual value is replaced by
//! every write ([`Op::WriteView`] for writes through windows), and a version that counts writes. A window
//! remembers the view operator it was made by; when the storage has moved on, its value is computed
//! again from the base. So aliasing is exact wherever it is known. Where it is not (a tensor chosen
//! at run time, one that is also in a run-time container), a write stops as unsupported.

use super::emit::Emit;
use super::value::{Abs, Storage, StorageId, Tensor, TensorId, View};
use super::{Run, Specialiser};
use kiln_graph::{Dim, Literal, Op, OpId, TensorType, Value};
use kiln_ops::{Body, Infer, entry, table};
use kiln_support::TensorData;
use std::rc::Rc;

impl Specialiser<'_> {
    /// A fresh tensor with a storage of its own, of a residual value.
    pub(super) fn new_tensor(&mut self, ty: TensorType, value: Value) -> TensorId {
        self.add_tensor(ty, Some(value), None)
    }

    /// A fresh tensor of known contents.
    pub(super) fn constant_tensor(&mut self, data: TensorData) -> TensorId {
        let ty = TensorType::of(data.dtype, &data.shape);
        self.add_tensor(ty, None, Some(data))
    }

    pub(super) fn add_tensor(&mut self, ty: TensorType, value: Option<Value>, data: Option<TensorData>) -> TensorId {
        let strides = self.contiguous_strides(&ty.dims);
        let storage = StorageId(self.heap.storages.len() as u32);
        let tensor = Tensor {
            ty,
            strides,
            is_layout_known: true,
            storage,
            view: None,
            value,
            data,
            element: None,
            version: 0,
            requires_grad: false,
            quantization: None,
        };
        let id = self.heap.tensors.push(tensor);
        self.heap.storages.push(Storage { version: 0, base: id, may_alias: Rc::new([]), shared: None, unknown: false });
        id
    }

    /// Row-major strides.
    pub(super) fn contiguous_strides(&mut self, dims: &[Dim]) -> Vec<Dim> {
        Infer { args: &[], dims: &mut self.emit }.contiguous_strides(dims)
    }

    /// The residual value of a tensor's present contents.
    pub(super) fn tensor_value(&mut self, id: TensorId) -> Run<Value> {
        self.check_readable(id)?;
        let tensor = self.heap.tensors[id].clone();
        let is_current = tensor.version == self.heap.storages[tensor.storage].version;
        if is_current && let Some(value) = tensor.value {
            return Ok(value);
        }
        let value = match (&tensor.data, &tensor.view) {
            (Some(data), _) if is_current => self.emit.constant(Literal::Tensor(data.clone()), Emit::tensor_type(&tensor.ty)),
            (_, Some(view)) => {
                let base = self.tensor_value(view.base)?;
                let mut args = vec![base];
                for abs in view.args.iter() {
                    args.push(self.attribute(abs)?);
                }
                self.emit.value(Op::Table(view.op), args, Emit::tensor_type(&tensor.ty))
            }
            (_, None) => panic!("the base {id} of a storage has no value"),
        };
        let version = self.heap.storages[tensor.storage].version;
        let known = &mut self.heap.tensors[id];
        if !is_current {
            known.data = None;
            known.element = None;
        }
        known.value = Some(value);
        known.version = version;
        Ok(value)
    }

    /// The contents of a tensor, if they are known.
    pub(super) fn known_data(&self, id: TensorId) -> Option<&TensorData> {
        let tensor = &self.heap.tensors[id];
        let storage = &self.heap.storages[tensor.storage];
        (tensor.version == storage.version && !storage.unknown).then_some(tensor.data.as_ref()).flatten()
    }

    /// The only element of a tensor, if it is known as a scalar.
    pub(super) fn known_element(&self, id: TensorId) -> Option<Abs> {
        let tensor = &self.heap.tensors[id];
        let storage = &self.heap.storages[tensor.storage];
        if tensor.version != storage.version || storage.unknown {
            return None;
        }
        tensor.element.clone().or_else(|| {
            let data = tensor.data.as_ref().filter(|d| d.len() == 1)?;
            Some(match data.get(0) {
                kiln_support::tensor::Number::Int(i) => Abs::int(i),
                kiln_support::tensor::Number::Float(f) => Abs::float(f),
                kiln_support::tensor::Number::Bool(b) => Abs::bool(b),
            })
        })
    }

    fn check_readable(&self, id: TensorId) -> Run<()> {
        let storage = &self.heap.storages[self.heap.tensors[id].storage];
        let moved = storage.may_alias.iter().any(|(other, version)| self.heap.storages[*other].version != *version);
        if storage.unknown || moved {
            return Err(self.unsupported(
                "reading a tensor after a write to memory that may be the same (which one was chosen at run time)",
            ));
        }
        Ok(())
    }

    /// A window on a tensor by a view operator.
    pub(super) fn view(&mut self, base: TensorId, op: OpId, args: &[Abs], ty: TensorType, strides: Vec<Dim>) -> TensorId {
        let storage = self.heap.tensors[base].storage;
        let version = self.heap.storages[storage].version;
        let Tensor { requires_grad, is_layout_known, quantization, .. } = self.heap.tensors[base].clone();
        // The window's arguments must not change under it: lists are copied.
        let args: Rc<[Abs]> = args.iter().map(|a| self.frozen(a)).collect();
        let view = Some(View { base, op, args });
        // `version` one behind where nothing is computed yet would be wrong for a fresh storage: the value is simply absent.
        self.heap.tensors.push(Tensor {
            ty,
            strides,
            is_layout_known,
            storage,
            view,
            value: None,
            data: None,
            element: None,
            version,
            requires_grad,
            quantization,
        })
    }

    /// An in-place view operator (`unsqueeze_`): the tensor itself becomes the window `view` on what it was.
    pub(super) fn become_view(&mut self, id: TensorId, view: TensorId) {
        let old = self.heap.tensors.push(self.heap.tensors[id].clone());
        for (_, tensor) in self.heap.tensors.iter_mut() {
            if let Some(own) = tensor.view.as_mut().filter(|v| v.base == id) {
                own.base = old;
            }
        }
        let storage = self.heap.tensors[id].storage;
        if self.heap.storages[storage].base == id {
            self.heap.storages[storage].base = old;
        }
        self.heap.tensors[id] = self.heap.tensors[view].clone();
    }

    /// A copy of an argument that no later mutation reaches.
    fn frozen(&mut self, abs: &Abs) -> Abs {
        use super::value::{Contents, HeapItem};
        match abs {
            Abs::List(id) => match self.heap.items[*id].clone() {
                item @ HeapItem::List(_, Contents::Static(_)) => Abs::List(self.heap.items.push(item)),
                _ => abs.clone(),
            },
            other => other.clone(),
        }
    }

    /// Replaces the contents of a tensor by a value of its exact type: every alias sees it.
    pub(super) fn write_tensor(&mut self, id: TensorId, value: Value) -> Run<()> {
        let tensor = self.heap.tensors[id].clone();
        let storage = self.heap.storages[tensor.storage].clone();
        if let Some(why) = storage.shared {
            return Err(self.unsupported(&format!("writing to {why}")));
        }
        self.check_readable(id)?;
        let Some(view) = tensor.view else {
            self.replace_base(id, value, None);
            return Ok(());
        };
        if tensor.strides.iter().zip(&tensor.ty.dims).any(|(s, d)| *s == Dim::Const(0) && *d != Dim::Const(1)) {
            return Err(self.unsupported("writing to an expanded tensor, several elements of which are one"));
        }
        let base = self.tensor_value(view.base)?;
        let mut args = vec![base, value];
        for abs in view.args.iter() {
            args.push(self.attribute(abs)?);
        }
        let base_ty = self.heap.tensors[view.base].ty.clone();
        let new_base = self.emit.value(Op::WriteView(view.op), args, Emit::tensor_type(&base_ty));
        self.write_tensor(view.base, new_base)?;
        let version = self.heap.storages[tensor.storage].version;
        let own = &mut self.heap.tensors[id];
        (own.value, own.version, own.data, own.element) = (Some(value), version, None, None);
        Ok(())
    }

    /// Replaces a base tensor's contents.
    pub(super) fn replace_base(&mut self, id: TensorId, value: Value, element: Option<Abs>) {
        let storage_id = self.heap.tensors[id].storage;
        for (other, _) in self.heap.storages[storage_id].may_alias.clone().iter() {
            self.heap.storages[*other].unknown = true;
        }
        let storage = &mut self.heap.storages[storage_id];
        storage.version += 1;
        // Its own may-alias set is settled now: the others are unknown.
        storage.may_alias = Rc::new([]);
        let version = storage.version;
        let own = &mut self.heap.tensors[id];
        (own.value, own.version, own.data, own.element) = (Some(value), version, None, element);
    }

    /// Writes the contents of another tensor of the same sizes, cast to this one's element type.
    pub(super) fn write_from(&mut self, id: TensorId, from: TensorId) -> Run<()> {
        let (ty, own) = (self.heap.tensors[id].ty.clone(), self.heap.tensors[from].ty.clone());
        if ty.dims != own.dims {
            return Err(self.unsupported(&format!("an in-place result of other sizes ({own} into {ty})")));
        }
        let element = self.known_element(from).filter(|_| own.dtype == ty.dtype && ty.rank() == 0);
        let data = self.known_data(from).filter(|_| own.dtype == ty.dtype).cloned();
        let mut value = self.tensor_value(from)?;
        if own.dtype != ty.dtype {
            let dtype = self.emit.int(ty.dtype.code());
            value = self.emit.table("kiln::convert", vec![value, dtype], Emit::tensor_type(&ty));
        }
        self.write_tensor(id, value)?;
        if self.heap.tensors[id].view.is_none() {
            let known = &mut self.heap.tensors[id];
            (known.element, known.data) = (element, data);
        }
        Ok(())
    }

    /// Whether a tensor surely is row-major in PyTorch too.
    pub(super) fn is_surely_contiguous(&mut self, id: TensorId) -> bool {
        self.heap.tensors[id].is_layout_known && self.is_contiguous(id)
    }

    /// Notes that a new tensor may have the order of axes of what it was computed or chosen from, if that is not
    /// row-major.
    pub(super) fn note_layout(&mut self, result: TensorId, from: &Abs) {
        match from {
            Abs::Tensor(id) if *id != result => {
                let moving = self.heap.tensors[result].ty.dims.iter().filter(|d| **d != Dim::Const(1)).count();
                if moving > 1 && !self.is_surely_contiguous(*id) {
                    self.heap.tensors[result].is_layout_known = false;
                }
            }
            Abs::List(_) | Abs::Tuple(..) => {
                for item in self.known_items(from).unwrap_or_default() {
                    self.note_layout(result, &item);
                }
            }
            _ => {}
        }
    }

    /// Whether sizes and strides of a tensor are constants.
    pub(super) fn has_known_strides(&self, id: TensorId) -> bool {
        let tensor = &self.heap.tensors[id];
        tensor.ty.dims.iter().chain(&tensor.strides).all(|d| d.as_const().is_some())
    }

    /// Whether a reshape to these sizes is a view whatever the layout is: axes of size 1 come or go, no more.
    pub(super) fn only_moves_ones(&self, id: TensorId, to: &[Dim]) -> bool {
        let others = |dims: &[Dim]| dims.iter().copied().filter(|d| *d != Dim::Const(1)).collect::<Vec<_>>();
        others(&self.heap.tensors[id].ty.dims) == others(to)
    }

    /// Notes that a copy may in PyTorch be a view of what it was made from, depending on strides that are not known
    /// here: once one of them is written to, the other one cannot be read.
    pub(super) fn note_maybe_view(&mut self, copy: &Abs, base: TensorId) {
        self.note_alias(copy, &Abs::Tensor(base), &Abs::None);
    }

    /// Notes that `result` may be the same memory as what it was chosen from.
    pub(super) fn note_alias(&mut self, result: &Abs, a: &Abs, b: &Abs) {
        match (result, a, b) {
            (Abs::Tensor(result), _, _) => {
                let own = self.heap.tensors[*result].storage;
                let mut all: Vec<(StorageId, u32)> = self.heap.storages[own].may_alias.to_vec();
                for abs in [a, b] {
                    self.note_layout(*result, abs);
                    if let Abs::Tensor(id) = abs {
                        let storage = self.heap.tensors[*id].storage;
                        if storage != own {
                            all.push((storage, self.heap.storages[storage].version));
                            all.extend(self.heap.storages[storage].may_alias.iter().copied());
                        }
                        if let Some(why) = self.heap.storages[storage].shared {
                            self.heap.storages[own].shared = Some(why);
                        }
                    }
                }
                self.heap.storages[own].may_alias = all.into();
            }
            (Abs::Tuple(items, _), Abs::Tuple(x, _), Abs::Tuple(y, _)) => {
                for (item, (x, y)) in items.clone().iter().zip(x.clone().iter().zip(y.clone().iter())) {
                    self.note_alias(item, x, y);
                }
            }
            _ => {}
        }
    }

    /// Notes that a tensor's memory is also held by a run-time object: a later write would have to be seen there.
    pub(super) fn note_shared(&mut self, id: TensorId, why: &'static str) {
        let storage = self.heap.tensors[id].storage;
        self.heap.storages[storage].shared = Some(why);
    }

    /// Notes tensors that were one and the same on some path, but are different values now.
    pub(super) fn note_twins(&mut self, pairs: &[(Abs, Abs)]) {
        let mut seen: Vec<(StorageId, TensorId)> = Vec::new();
        for (result, source) in pairs {
            self.collect_twins(result, source, &mut seen);
        }
        for (i, (storage, id)) in seen.iter().enumerate() {
            let is_twin = seen.iter().enumerate().any(|(j, (other, _))| i != j && other == storage);
            if is_twin {
                self.note_shared(*id, "a tensor that may be the same as another one (chosen at run time)");
            }
        }
    }

    fn collect_twins(&self, result: &Abs, source: &Abs, seen: &mut Vec<(StorageId, TensorId)>) {
        match (result, source) {
            (Abs::Tensor(id), Abs::Tensor(from)) if id != from => seen.push((self.heap.tensors[*from].storage, *id)),
            (Abs::Tuple(a, _), Abs::Tuple(b, _)) => a.iter().zip(b.iter()).for_each(|(a, b)| self.collect_twins(a, b, seen)),
            _ => {}
        }
    }

    /// Notes that tensors are carried around a loop: two of them may be the same in later iterations.
    pub(super) fn note_carried(&mut self, abs: &Abs) {
        match abs {
            Abs::Tensor(id) => self.note_shared(*id, "a tensor that a loop carries from one iteration to the next"),
            Abs::Tuple(items, _) => items.clone().iter().for_each(|i| self.note_carried(i)),
            _ => {}
        }
    }

    /// The strides of a view's result, or nothing where a copy is needed.
    pub(super) fn view_strides(&mut self, op: OpId, base: TensorId, facts: &[kiln_ops::Fact]) -> Option<Vec<Dim>> {
        let Some(Body::View { strides, .. }) = entry(table().key(op)).map(|e| e.body) else { return None };
        let base_strides = self.heap.tensors[base].strides.clone();
        let mut infer = Infer { args: facts, dims: &mut self.emit };
        strides(&mut infer, &base_strides)
    }
}
