//! The abstract values that specialisation computes with, and the abstract heap behind them.
//!
//! The lattice is {constant, scalar known at run time, tensor facts, containers element by element,
//! objects field by field}. Lists, dicts and objects have identity: an abstract value only names a
//! [`HeapId`], so that aliases see each other's writes. A container is *static* as long as its
//! structure is known, and *run-time* afterwards: then it is a pointer, and aliasing is real.

use kiln_graph::{ClassId, Dim, FuncId, OpId, TensorType, Type, Value};
use kiln_loops::Scalar;
use kiln_support::{PrimaryMap, TensorData, entity};
use std::rc::Rc;

entity!(
    /// A list, dict or object of the abstract heap.
    HeapId, "heap"
);
entity!(
    /// A tensor of the abstract heap: a window on a storage.
    TensorId, "tensor"
);
entity!(
    /// The memory of tensors that alias each other.
    StorageId, "storage"
);

/// In a rich type: a size of which nothing is known.
pub const ANY_SIZE: Dim = Dim::Value(Value(u32::MAX));

/// A scalar: known, or an SSA value of the residual graph.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Num {
    /// Known.
    Const(Scalar),
    /// Known at run time.
    Dyn(Value),
}

impl Num {
    /// An int constant.
    pub fn int(value: i64) -> Num {
        Num::Const(Scalar::Int(value))
    }

    /// An int as a size.
    pub fn as_dim(self) -> Dim {
        match self {
            Num::Const(scalar) => Dim::Const(scalar.as_int()),
            Num::Dyn(value) => Dim::Value(value),
        }
    }

    /// A size as an int.
    pub fn of_dim(dim: Dim) -> Num {
        match dim {
            Dim::Const(n) => Num::int(n),
            Dim::Value(v) => Num::Dyn(v),
        }
    }

    /// The constant, if it is known.
    pub fn known(self) -> Option<Scalar> {
        match self {
            Num::Const(scalar) => Some(scalar),
            Num::Dyn(_) => None,
        }
    }
}

/// An abstract value.
#[derive(Clone, PartialEq, Debug)]
pub enum Abs {
    /// `None`.
    None,
    /// An `int`.
    Int(Num),
    /// A `float` (binary64).
    Float(Num),
    /// A `bool`.
    Bool(Num),
    /// A complex constant.
    Complex(f64, f64),
    /// A known string.
    Str(Rc<str>),
    /// A string known at run time.
    DynStr(Value),
    /// A device.
    Device(Rc<str>),
    /// A tensor.
    Tensor(TensorId),
    /// A tuple, maybe of a named tuple's class.
    Tuple(Rc<[Abs]>, Option<ClassId>),
    /// An enum's member.
    Enum(ClassId, Rc<str>),
    /// A function.
    Function(FuncId),
    /// A list.
    List(HeapId),
    /// A dict.
    Dict(HeapId),
    /// An object.
    Object(HeapId),
    /// A run-time tensor object of which neither element type nor rank are known.
    OpenTensor(Value),
    /// A run-time value of an Optional, Union, Any or number type (a rich type).
    Tagged(Value, Type),
    /// A run-time tuple object of a rich tuple type.
    BoxedTuple(Value, Type),
    /// Never read.
    Uninit,
}

impl Abs {
    /// A known int.
    pub fn int(value: i64) -> Abs {
        Abs::Int(Num::int(value))
    }

    /// A known float.
    pub fn float(value: f64) -> Abs {
        Abs::Float(Num::Const(Scalar::F64(value)))
    }

    /// A known bool.
    pub fn bool(value: bool) -> Abs {
        Abs::Bool(Num::Const(Scalar::Bool(value)))
    }

    /// The known int that this is.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Abs::Int(Num::Const(scalar)) => Some(scalar.as_int()),
            _ => None,
        }
    }

    /// The known bool that this is.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Abs::Bool(Num::Const(scalar)) => Some(scalar.as_bool()),
            _ => None,
        }
    }

    /// A tuple.
    pub fn tuple(items: Vec<Abs>) -> Abs {
        Abs::Tuple(items.into(), None)
    }
}

/// A list, dict or object.
#[derive(Clone, PartialEq, Debug)]
pub enum HeapItem {
    /// A list: static type of its elements, and its contents.
    List(Type, Contents<Vec<Abs>>),
    /// A dict: static types of keys and values, and its contents in insertion order.
    Dict(Type, Type, Contents<Vec<(Abs, Abs)>>),
    /// An object: one value per attribute, none where it is unset.
    Object(ClassId, Contents<Vec<Option<Abs>>>),
}

/// The contents of a container.
#[derive(Clone, PartialEq, Debug)]
pub enum Contents<T> {
    /// Known element by element.
    Static(T),
    /// A run-time object. For lists the rich element type, for dicts the rich type of values: `Never` as long
    /// as nothing was put in.
    Runtime(Value, Type),
}

/// A tensor: a window on a storage, or all of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// Facts.
    pub ty: TensorType,
    /// Strides in elements, as PyTorch shows them.
    pub strides: Vec<Dim>,
    /// Whether `strides` are surely PyTorch's: the result of an operator on tensors that are not contiguous may have
    /// their order of axes instead. Only what a reshape shares its memory with depends on it.
    pub is_layout_known: bool,
    /// Whose memory.
    pub storage: StorageId,
    /// How it looks at another tensor of the storage; none for the storage's base.
    pub view: Option<View>,
    /// The residual value at `version`, if it has been needed.
    pub value: Option<Value>,
    /// The contents at `version`, if they are known.
    pub data: Option<TensorData>,
    /// For a tensor without dimensions: its element, if that is known as a scalar.
    pub element: Option<Abs>,
    /// The storage's version that `value`, `data` and `element` are of.
    pub version: u32,
    /// Whether it is a parameter (`requires_grad`).
    pub requires_grad: bool,
    /// For a tensor of a quantized type: which numbers its integers stand for. Residual values and known contents are the
    /// integers.
    pub quantization: Option<Quantization>,
}

/// Which numbers the integers of a quantized tensor stand for: `(q - zero_point) * scale`.
#[derive(Clone, PartialEq, Debug)]
pub enum Quantization {
    /// One scale (float) and zero point (int) for all.
    PerTensor {
        /// The scale.
        scale: Num,
        /// The zero point.
        zero_point: Num,
    },
    /// One of each for each index of an axis.
    PerChannel {
        /// The axis.
        axis: usize,
        /// Scales (binary64).
        scales: TensorId,
        /// Zero points (int64, or binary32).
        zero_points: TensorId,
    },
}

/// How a tensor looks at another one.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// The tensor looked at.
    pub base: TensorId,
    /// The view operator.
    pub op: OpId,
    /// Its arguments after the first.
    pub args: Rc<[Abs]>,
}

/// Memory that tensors share.
#[derive(Clone, PartialEq, Debug)]
pub struct Storage {
    /// Grows with every write.
    pub version: u32,
    /// The tensor that is all of it.
    pub base: TensorId,
    /// Storages that may be the same memory (it was chosen at run time), with their versions then.
    pub may_alias: Rc<[(StorageId, u32)]>,
    /// Why a write would be seen somewhere that specialisation does not know, or nothing.
    pub shared: Option<&'static str>,
    /// Whether a write to memory that may be this one has made its contents unknown.
    pub unknown: bool,
}

/// The abstract heap. It is copied where control flow forks.
#[derive(Clone, Debug, Default)]
pub struct Heap {
    /// Lists, dicts and objects.
    pub items: PrimaryMap<HeapId, HeapItem>,
    /// Tensors.
    pub tensors: PrimaryMap<TensorId, Tensor>,
    /// Storages.
    pub storages: PrimaryMap<StorageId, Storage>,
}

impl Heap {
    /// Takes over what `other` has made since both were copied from a common heap, so that ids made there
    /// are not given out again.
    pub fn adopt(&mut self, other: &Heap) {
        for id in other.items.keys().skip(self.items.len()) {
            self.items.push(other.items[id].clone());
        }
        for id in other.tensors.keys().skip(self.tensors.len()) {
            self.tensors.push(other.tensors[id].clone());
        }
        for id in other.storages.keys().skip(self.storages.len()) {
            self.storages.push(other.storages[id].clone());
        }
    }
}
