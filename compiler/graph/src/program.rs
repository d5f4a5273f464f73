//! A whole program: functions, classes, and the objects that exist before the first call.

use crate::{Graph, Literal, Type};
use kiln_support::{DType, PrimaryMap, Span, TensorData, entity};
use std::sync::Arc;

entity!(
    /// A function or method.
    FuncId, "fn"
);
entity!(
    /// A class.
    ClassId, "class"
);
entity!(
    /// A list, dict or object that exists before the first call.
    ObjectId, "obj"
);

/// A program in the typed form.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Functions and methods.
    pub funcs: PrimaryMap<FuncId, Function>,
    /// Classes.
    pub classes: PrimaryMap<ClassId, Class>,
    /// Lists, dicts and objects of the archive.
    pub objects: PrimaryMap<ObjectId, HeapObject>,
    /// The root module.
    pub root: Option<ObjectId>,
}

/// A function or method.
#[derive(Clone, Debug)]
pub struct Function {
    /// Qualified name.
    pub name: String,
    /// Parameters; a method's first is its receiver.
    pub params: Vec<Param>,
    /// Result type.
    pub returns: Type,
    /// The body; its entry block has one parameter each and yields exactly one value (or diverges).
    pub body: Graph,
    /// Where it is defined.
    pub span: Span,
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: Type,
    /// Default value.
    pub default: Option<Literal>,
    /// Whether it can only be given by name.
    pub keyword_only: bool,
    /// A list of so many elements that may be given as one of them (`BroadcastingList2[int]`).
    pub broadcasts: Option<u8>,
}

/// A class.
#[derive(Clone, Debug)]
pub struct Class {
    /// Qualified name.
    pub name: String,
    /// What kind of class.
    pub kind: ClassKind,
    /// Attributes in order: index here is the slot.
    pub fields: Vec<Field>,
    /// Methods by name.
    pub methods: Vec<(String, FuncId)>,
    /// Where it is defined.
    pub span: Span,
}

/// Kinds of classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClassKind {
    /// An `nn.Module`.
    Module,
    /// A scripted class.
    Plain,
    /// A named tuple: immutable, structural.
    NamedTuple,
    /// An enum: each field's `initial` is the member's value.
    Enum,
    /// An interface: methods have signatures without bodies.
    Interface,
    /// A class of `torch.classes`, known by name.
    Custom,
}

/// An attribute.
#[derive(Clone, Debug)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: Type,
    /// The value of a class constant (`x : Final[int] = 3`), an enum member or a default of a named tuple.
    pub initial: Option<Initial>,
}

/// A list, dict or object that exists before the first call.
#[derive(Clone, Debug)]
pub enum HeapObject {
    /// A list and its type.
    List(Type, Vec<Initial>),
    /// A dict and its type.
    Dict(Type, Vec<(Initial, Initial)>),
    /// An object: one value per attribute of the class, none where it is unset.
    Object(ClassId, Vec<Option<Initial>>),
    /// An object that its class's `__setstate__` makes from this argument; for a custom class, its own state.
    SetState(ClassId, Initial),
}

/// A value that exists before the first call.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial {
    /// A constant that is not a tensor.
    Literal(Literal),
    /// A tensor.
    Tensor(TensorInit),
    /// A tuple (of a named tuple's class where the static type says so).
    Tuple(Vec<Initial>),
    /// A value of an enum: class and member name.
    Enum(ClassId, String),
    /// A list, dict or object.
    Ref(ObjectId),
}

/// A tensor that exists before the first call: a strided window on a storage that others may share.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInit {
    /// Which storage: tensors with equal numbers share memory.
    pub storage: u32,
    /// The bytes of the whole storage.
    pub bytes: Arc<[u8]>,
    /// Element type.
    pub dtype: DType,
    /// First element.
    pub offset: i64,
    /// Sizes.
    pub sizes: Vec<i64>,
    /// Strides in elements.
    pub strides: Vec<i64>,
    /// Whether it is a parameter that requires a gradient.
    pub requires_grad: bool,
    /// Per-tensor quantization: scale and zero point.
    pub quant: Option<(f64, i64)>,
    /// Per-channel quantization.
    pub channel_quant: Option<ChannelQuant>,
}

/// Quantization with one scale and zero point per index of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelQuant {
    /// The axis.
    pub axis: i64,
    /// Scales, one per index.
    pub scales: Vec<f64>,
    /// Zero points, one per index: int64, or binary32 for the rows of embeddings.
    pub zero_points: TensorData,
}

impl TensorInit {
    /// The elements in row-major order. The window lies inside the storage (checked when it was read).
    pub fn to_data(&self) -> TensorData {
        let size = self.dtype.size();
        let count = kiln_support::tensor::count(&self.sizes);
        if self.strides == kiln_support::tensor::contiguous_strides(&self.sizes) {
            let start = self.offset as usize * size;
            let bytes = &self.bytes[start..start + count * size];
            let whole = start == 0 && bytes.len() == self.bytes.len();
            let shared: Arc<[u8]> = if whole { self.bytes.clone() } else { bytes.into() };
            return TensorData::new(self.dtype, self.sizes.clone(), shared);
        }
        let mut out = Vec::with_capacity(count * size);
        let mut index = vec![0i64; self.sizes.len()];
        for _ in 0..count {
            let at = self.offset + index.iter().zip(&self.strides).map(|(i, s)| i * s).sum::<i64>();
            out.extend_from_slice(&self.bytes[at as usize * size..][..size]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.sizes[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        TensorData::new(self.dtype, self.sizes.clone(), out)
    }
}

impl Class {
    /// The slot of an attribute.
    pub fn slot(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }

    /// A method by name.
    pub fn method(&self, name: &str) -> Option<FuncId> {
        self.methods.iter().find(|(n, _)| n == name).map(|(_, id)| *id)
    }
}

impl Program {
    /// The plain tuple type of a named tuple's class.
    pub fn named_tuple_type(&self, class: ClassId) -> Option<Type> {
        let class = &self.classes[class];
        (class.kind == ClassKind::NamedTuple).then(|| Type::tuple(class.fields.iter().map(|f| f.ty.clone())))
    }

    /// Whether `class` is the interface `wanted` or has all its methods.
    pub fn implements(&self, class: ClassId, wanted: ClassId) -> bool {
        let wanted_class = &self.classes[wanted];
        class == wanted
            || (wanted_class.kind == ClassKind::Interface
                && wanted_class.methods.iter().all(|(name, _)| self.classes[class].method(name).is_some()))
    }

    /// A class by qualified name.
    pub fn class_named(&self, name: &str) -> Option<ClassId> {
        self.classes.iter().find(|(_, c)| c.name == name).map(|(id, _)| id)
    }
}
