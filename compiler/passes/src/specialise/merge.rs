//! Generalisation: what holds of a place on two paths, and the SSA values that tell them apart.
//!
//! The same mechanism serves the ends of an `if`, the head of a loop (its entry and its back edge)
//! and the state between calls. A [`Gen`] describes a place: the same on all paths, or of a shape
//! with *free parts* (scalars, sizes, tensors, pointers). [`Specialiser::flatten`] gives the free
//! parts' values on one path, [`Specialiser::instantiate`] makes the place anew from them.

use super::rich::{is_tagged, join, rich_type, tensor_type};
use super::value::{Abs, Contents, Heap, HeapId, HeapItem, Num, StorageId, Tensor};
use super::{Run, Specialiser, Stop};
use kiln_graph::{ClassId, Dim, TensorType, Type, Value};
use kiln_support::DType;

/// What holds of a place on all paths.
#[derive(Clone, PartialEq, Debug)]
pub enum Gen {
    /// The same abstract value.
    Same(Abs),
    /// An int.
    Int,
    /// A float.
    Float,
    /// A bool.
    Bool,
    /// A string.
    Str,
    /// A tensor: element type, and each size where it is the same on all paths.
    Tensor(DType, Vec<Option<Dim>>),
    /// A tensor whose element type or rank differ.
    OpenTensor,
    /// A tuple.
    Tuple(Vec<Gen>, Option<ClassId>),
    /// A run-time list, dict or object of a rich type.
    Container(Type),
    /// A tagged value of a rich type.
    Tagged(Type),
}

/// A place of the heap that paths may leave differently.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// An element of a static list, a value of a static dict, an attribute of a static object.
    Slot(HeapId, usize),
    /// The pointer of a run-time container.
    Pointer(HeapId),
    /// The contents of a storage.
    Storage(StorageId),
}

impl Specialiser<'_> {
    /// What holds both of `known` and of `abs`.
    pub(super) fn generalise(&self, known: &Gen, abs: &Abs) -> Run<Gen> {
        if let Gen::Same(first) = known {
            if first == abs {
                return Ok(known.clone());
            }
            return self.generalise_pair(first, abs);
        }
        let rich = || rich_type(abs, &self.heap);
        Ok(match (known, abs) {
            (Gen::Int, Abs::Int(_)) | (Gen::Float, Abs::Float(_)) | (Gen::Bool, Abs::Bool(_)) => known.clone(),
            (Gen::Str, Abs::Str(_) | Abs::DynStr(_)) => Gen::Str,
            (_, Abs::Uninit) => known.clone(),
            (Gen::OpenTensor, Abs::Tensor(_) | Abs::OpenTensor(_)) | (Gen::Tensor(..), Abs::OpenTensor(_)) => Gen::OpenTensor,
            (Gen::Tensor(dtype, dims), Abs::Tensor(id)) => {
                let ty = &self.heap.tensors[*id].ty;
                if ty.dtype != *dtype || ty.rank() != dims.len() {
                    return Ok(Gen::OpenTensor);
                }
                Gen::Tensor(*dtype, dims.iter().zip(&ty.dims).map(|(a, b)| a.filter(|a| a == b)).collect())
            }
            (Gen::Tuple(items, class), Abs::Tuple(found, _)) if items.len() == found.len() => {
                let merged: Run<Vec<Gen>> = items.iter().zip(found.iter()).map(|(g, a)| self.generalise(g, a)).collect();
                Gen::Tuple(merged?, *class)
            }
            (Gen::Container(ty), Abs::List(_) | Abs::Dict(_) | Abs::Object(_)) => Gen::Container(join(ty, &rich())),
            (Gen::Tagged(ty), _) => Gen::Tagged(join(ty, &rich())),
            _ => Gen::Tagged(join(&self.gen_type(known), &rich())),
        })
    }

    fn generalise_pair(&self, a: &Abs, b: &Abs) -> Run<Gen> {
        let heap = &self.heap;
        Ok(match (a, b) {
            (Abs::Uninit, other) | (other, Abs::Uninit) => self.free_gen(other)?,
            (Abs::Int(_), Abs::Int(_)) => Gen::Int,
            (Abs::Float(_), Abs::Float(_)) => Gen::Float,
            (Abs::Bool(_), Abs::Bool(_)) => Gen::Bool,
            (Abs::Str(_) | Abs::DynStr(_), Abs::Str(_) | Abs::DynStr(_)) => Gen::Str,
            (Abs::OpenTensor(_), Abs::Tensor(_) | Abs::OpenTensor(_)) | (Abs::Tensor(_), Abs::OpenTensor(_)) => Gen::OpenTensor,
            (Abs::Tensor(x), Abs::Tensor(_)) => {
                let ty = heap.tensors[*x].ty.clone();
                self.generalise(&Gen::Tensor(ty.dtype, ty.dims.iter().map(|d| Some(*d)).collect()), b)?
            }
            (Abs::Tuple(x, class), Abs::Tuple(y, other)) if x.len() == y.len() && class == other => {
                let merged: Run<Vec<Gen>> =
                    x.iter().zip(y.iter()).map(|(x, y)| self.generalise(&Gen::Same(x.clone()), y)).collect();
                Gen::Tuple(merged?, *class)
            }
            (Abs::List(_), Abs::List(_)) | (Abs::Dict(_), Abs::Dict(_)) | (Abs::Object(_), Abs::Object(_)) => {
                let (x, y) = (rich_type(a, heap), rich_type(b, heap));
                if matches!((a, b), (Abs::Object(_), _)) && x != y {
                    return Err(self.unsupported("objects of different classes, chosen at run time"));
                }
                Gen::Container(join(&x, &y))
            }
            (Abs::Device(_), Abs::Device(_)) => Gen::Same(a.clone()),
            (Abs::Function(_), _) | (Abs::Enum(..), _) | (Abs::Complex(..), _) => {
                return Err(self.unsupported("functions, enums or complex numbers that are chosen at run time"));
            }
            _ => Gen::Tagged(join(&rich_type(a, heap), &rich_type(b, heap))),
        })
    }

    /// What holds of a value on paths that may know none of its run-time parts.
    pub(super) fn free_gen(&self, abs: &Abs) -> Run<Gen> {
        Ok(match abs {
            Abs::Int(Num::Dyn(_)) => Gen::Int,
            Abs::Float(Num::Dyn(_)) => Gen::Float,
            Abs::Bool(Num::Dyn(_)) => Gen::Bool,
            Abs::DynStr(_) => Gen::Str,
            Abs::OpenTensor(_) => Gen::OpenTensor,
            Abs::Tensor(id) => {
                let ty = &self.heap.tensors[*id].ty;
                Gen::Tensor(ty.dtype, ty.dims.iter().map(|d| d.as_const().map(Dim::Const)).collect())
            }
            Abs::Tuple(items, class) => Gen::Tuple(items.iter().map(|i| self.free_gen(i)).collect::<Run<_>>()?, *class),
            Abs::List(_) | Abs::Dict(_) | Abs::Object(_) | Abs::BoxedTuple(..) => Gen::Container(rich_type(abs, &self.heap)),
            Abs::Tagged(_, ty) => Gen::Tagged(ty.clone()),
            Abs::Int(_)
            | Abs::Float(_)
            | Abs::Bool(_)
            | Abs::Str(_)
            | Abs::None
            | Abs::Uninit
            | Abs::Complex(..)
            | Abs::Device(_)
            | Abs::Enum(..)
            | Abs::Function(_) => Gen::Same(abs.clone()),
        })
    }

    /// The rich type of a generalised place.
    pub(super) fn gen_type(&self, gen_: &Gen) -> Type {
        match gen_ {
            Gen::Same(abs) => rich_type(abs, &self.heap),
            Gen::Int => Type::Int,
            Gen::Float => Type::Float,
            Gen::Bool => Type::Bool,
            Gen::Str => Type::Str,
            Gen::OpenTensor => Type::TENSOR,
            Gen::Tensor(dtype, dims) => {
                let dims = dims.iter().map(|d| d.unwrap_or(super::value::ANY_SIZE)).collect();
                tensor_type(&TensorType { dtype: *dtype, dims })
            }
            Gen::Tuple(items, None) => Type::tuple(items.iter().map(|i| self.gen_type(i))),
            Gen::Tuple(_, Some(class)) => Type::Class(*class),
            Gen::Container(ty) | Gen::Tagged(ty) => ty.clone(),
        }
    }

    /// The values of the free parts of a place, emitted at the end of the current block.
    pub(super) fn flatten(&mut self, gen_: &Gen, abs: &Abs, out: &mut Vec<Value>) -> Run<()> {
        match gen_ {
            Gen::Same(_) => {}
            Gen::Tensor(dtype, dims) if *abs == Abs::Uninit => {
                // Never read: any tensor of the right rank will do.
                let shape: Vec<i64> = dims.iter().map(|d| d.and_then(Dim::as_const).unwrap_or(0)).collect();
                dims.iter().filter(|d| d.is_none()).for_each(|_| out.push(self.emit.int(0)));
                let bytes = vec![0; kiln_support::tensor::count(&shape) * dtype.size()];
                let ty = kiln_graph::Type::tensor(*dtype, shape.iter().map(|&n| Dim::Const(n)).collect());
                let literal = kiln_graph::Literal::Tensor(kiln_support::TensorData::new(*dtype, shape, bytes));
                out.push(self.emit.constant(literal, ty));
            }
            Gen::Tuple(items, _) if *abs == Abs::Uninit => {
                for item in items {
                    self.flatten(item, abs, out)?;
                }
            }
            _ if *abs == Abs::Uninit => {
                let ty = super::rich::erase(&self.gen_type(gen_));
                out.push(self.emit.value(kiln_graph::Op::Uninit, Vec::new(), ty));
            }
            Gen::Int => out.push(self.materialise(abs, &Type::Int)?),
            Gen::Float => out.push(self.materialise(abs, &Type::Float)?),
            Gen::Bool => out.push(self.materialise(abs, &Type::Bool)?),
            Gen::Str => out.push(self.materialise(abs, &Type::Str)?),
            Gen::OpenTensor => out.push(self.materialise(abs, &Type::TENSOR)?),
            Gen::Tensor(_, dims) => {
                let Abs::Tensor(id) = abs else {
                    return Err(self.unsupported("a tensor that is not set on every path"));
                };
                self.check_not_quantized(*id)?;
                let found = self.heap.tensors[*id].ty.dims.clone();
                // Sizes first: the tensor's type in the next block refers to them.
                for (dim, own) in dims.iter().zip(found) {
                    if dim.is_none() {
                        out.push(self.emit.dim(own));
                    }
                }
                out.push(self.tensor_value(*id)?);
            }
            Gen::Tuple(items, _) => {
                let Abs::Tuple(found, _) = abs else {
                    return Err(self.unsupported("a tuple that is not set on every path"));
                };
                for (item, abs) in items.iter().zip(found.iter()) {
                    self.flatten(item, abs, out)?;
                }
            }
            Gen::Container(ty) | Gen::Tagged(ty) => out.push(self.materialise(abs, ty)?),
        }
        Ok(())
    }

    /// Makes a place from new free parts, each asked for by its type.
    pub(super) fn instantiate(&mut self, gen_: &Gen, free: &mut dyn FnMut(&mut Self, Type) -> Value) -> Run<Abs> {
        Ok(match gen_ {
            Gen::Same(abs) => abs.clone(),
            Gen::Int => Abs::Int(Num::Dyn(free(self, Type::Int))),
            Gen::Float => Abs::Float(Num::Dyn(free(self, Type::Float))),
            Gen::Bool => Abs::Bool(Num::Dyn(free(self, Type::Bool))),
            Gen::Str => Abs::DynStr(free(self, Type::Str)),
            Gen::OpenTensor => Abs::OpenTensor(free(self, Type::TENSOR)),
            Gen::Tensor(dtype, dims) => {
                let dims: Vec<Dim> = dims.iter().map(|d| d.unwrap_or_else(|| Dim::Value(free(self, Type::Int)))).collect();
                let value = free(self, Type::tensor(*dtype, dims.clone()));
                Abs::Tensor(self.new_tensor(TensorType { dtype: *dtype, dims }, value))
            }
            Gen::Tuple(items, class) => {
                let items: Run<Vec<Abs>> = items.iter().map(|g| self.instantiate(g, free)).collect();
                Abs::Tuple(items?.into(), *class)
            }
            Gen::Tagged(ty) => Abs::Tagged(free(self, super::rich::erase(ty)), ty.clone()),
            Gen::Container(ty) => {
                let value = free(self, super::rich::erase(ty));
                self.value_of_type(value, ty)?
            }
        })
    }

    /// What a place holds now: the abstract value, or for a storage its base tensor.
    pub(super) fn read_place(&self, place: Place) -> Run<Abs> {
        read_place_in(&self.heap, place)
    }

    /// Puts an abstract value in a place. A storage's contents come as a fresh tensor.
    pub(super) fn write_place(&mut self, place: Place, abs: Abs) {
        match place {
            Place::Slot(id, at) => match &mut self.heap.items[id] {
                HeapItem::List(_, Contents::Static(items)) => items[at] = abs,
                HeapItem::Dict(_, _, Contents::Static(items)) => items[at].1 = abs,
                HeapItem::Object(_, Contents::Static(fields)) => fields[at] = if abs == Abs::Uninit { None } else { Some(abs) },
                other => panic!("no slot in {other:?}"),
            },
            Place::Pointer(id) => {
                let found = match abs {
                    Abs::List(other) | Abs::Dict(other) | Abs::Object(other) => other,
                    other => panic!("no container: {other:?}"),
                };
                self.heap.items[id] = self.heap.items[found].clone();
            }
            Place::Storage(id) => {
                let Abs::Tensor(found) = abs else { panic!("no tensor: {abs:?}") };
                let Tensor { value, data, element, .. } = self.heap.tensors[found].clone();
                let storage = &mut self.heap.storages[id];
                storage.version += 1;
                let version = storage.version;
                let base = &mut self.heap.tensors[storage.base];
                *base = Tensor { value, data, element, version, ..base.clone() };
            }
        }
    }

    /// What holds of the place of a container's pointer, given what its rich type was on another path.
    pub(super) fn pointer_gen(&self, ty: Type) -> Gen {
        debug_assert!(!is_tagged(&ty));
        Gen::Container(ty)
    }
}

/// What a place of a heap holds.
pub(super) fn read_place_in(heap: &Heap, place: Place) -> Run<Abs> {
    match place {
        Place::Slot(id, at) => Ok(match &heap.items[id] {
            HeapItem::List(_, Contents::Static(items)) => items[at].clone(),
            HeapItem::Dict(_, _, Contents::Static(items)) => items[at].1.clone(),
            HeapItem::Object(_, Contents::Static(fields)) => fields[at].clone().unwrap_or(Abs::Uninit),
            _ => return Err(Stop::Demote(id)),
        }),
        Place::Pointer(id) => Ok(reference(heap, id)),
        Place::Storage(id) => Ok(Abs::Tensor(heap.storages[id].base)),
    }
}

/// The abstract value that refers to a heap item.
pub(super) fn reference(heap: &Heap, id: HeapId) -> Abs {
    match heap.items[id] {
        HeapItem::List(..) => Abs::List(id),
        HeapItem::Dict(..) => Abs::Dict(id),
        HeapItem::Object(..) => Abs::Object(id),
    }
}
