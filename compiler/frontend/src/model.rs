//! What an archive holds (or what the evaluation of a source file gives), as plain data: the object graph of the module, the tensors' storages, the
//! constants table and the parsed code.
//!
//! Lists, dicts and objects keep their identity (two attributes may share one list, two tensors one
//! storage), because TorchScript's semantics is by reference.

use crate::ast::SourceModule;
use crate::python::Dialect;
use kiln_support::tensor::contiguous_strides;
use kiln_support::{DType, Diagnostic, FileId, PrimaryMap, TensorData, entity};
use std::collections::BTreeMap;
use std::sync::Arc;

entity!(
    /// A list, dict or object of the archive.
    HeapId, "obj"
);
entity!(
    /// A tensor storage of the archive.
    StorageId, "storage"
);

/// An archive, read and checked.
#[derive(Debug, Default)]
pub struct Archive {
    /// File format version (`version` record).
    pub version: u32,
    /// The root module: an object.
    pub root: Option<HeapId>,
    /// Lists, dicts and objects.
    pub heap: PrimaryMap<HeapId, HeapItem>,
    /// Tensor storages.
    pub storages: PrimaryMap<StorageId, Storage>,
    /// `CONSTANTS.c0`, `CONSTANTS.c1`, ...
    pub constants: Vec<Item>,
    /// Code by module path: `__torch__`, `__torch__.torch.nn.functional`, ...
    pub code: BTreeMap<String, CodeFile>,
}

/// One file of code.
#[derive(Debug)]
pub struct CodeFile {
    /// Its text in the source map, with origins from `debug_pkl` where the archive has them.
    pub file: FileId,
    /// Its tree.
    pub module: SourceModule,
    /// Whose rules it follows: those of serialized code, or those of a user's source.
    pub dialect: Dialect,
}

/// The bytes of a storage.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Little-endian elements.
    pub bytes: Arc<[u8]>,
}

/// A value of the object graph.
#[derive(Clone, Debug)]
pub enum Item {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A complex number.
    Complex(f64, f64),
    /// A string.
    Str(String),
    /// A device, such as `cpu`.
    Device(String),
    /// A tensor.
    Tensor(TensorItem),
    /// A tuple (an immutable value; a named tuple's class is in the static type).
    Tuple(Vec<Item>),
    /// A value of an enum class: class name and value.
    Enum(String, Box<Item>),
    /// A list, dict or object.
    Ref(HeapId),
    /// A value kiln has no representation for (a complex or sparse tensor, ...), in words: an error only
    /// where the model uses it.
    Unsupported(String),
}

/// A list, dict or object.
#[derive(Clone, Debug)]
pub enum HeapItem {
    /// A list; `elem_type` is the text of its static type (`List[int]`) where the pickle says it.
    List { items: Vec<Item>, type_text: Option<String> },
    /// A dict in insertion order.
    Dict { items: Vec<(Item, Item)>, type_text: Option<String> },
    /// An instance of a class of the archive. `state` is what `BUILD` got: a dict of attributes, or
    /// the argument for the class's scripted `__setstate__`, or for a custom class (`__torch__.torch.classes...`) its
    /// own state.
    Object { class: String, state: ObjectState },
}

/// The state of an object.
#[derive(Clone, Debug)]
pub enum ObjectState {
    /// Attributes by name, in order.
    Attributes(Vec<(String, Item)>),
    /// The argument of `__setstate__`.
    SetState(Box<Item>),
}

/// A tensor: a strided window on a storage.
#[derive(Clone, Debug)]
pub struct TensorItem {
    /// The storage.
    pub storage: StorageId,
    /// Element type.
    pub dtype: DType,
    /// First element.
    pub offset: i64,
    /// Sizes.
    pub sizes: Vec<i64>,
    /// Strides in elements.
    pub strides: Vec<i64>,
    /// Whether it requires a gradient (a parameter): only `requires_grad` reads it.
    pub requires_grad: bool,
    /// Quantization parameters.
    pub quant: Option<Quant>,
}

/// Quantization parameters of a tensor.
#[derive(Clone, Debug)]
pub enum Quant {
    /// One scale and zero point.
    PerTensor { scale: f64, zero_point: i64 },
    /// One per index of an axis.
    PerChannel { scales: Box<TensorItem>, zero_points: Box<TensorItem>, axis: i64 },
}

/// A tensor may expand its storage (by strides of 0) to this many bytes beyond 64 times the storage's.
const MAX_EXPANSION: usize = 1 << 30;

impl TensorItem {
    /// The elements in row-major order. Fails where strides of 0 repeat elements beyond any sensible size.
    pub fn gather(&self, storages: &PrimaryMap<StorageId, Storage>) -> Result<TensorData, Diagnostic> {
        let bytes = &storages[self.storage].bytes;
        let size = self.dtype.size();
        let total = self.sizes.iter().try_fold(size, |total, &extent| total.checked_mul(usize::try_from(extent).ok()?));
        let total = total.filter(|total| *total <= MAX_EXPANSION.saturating_add(bytes.len().saturating_mul(64)));
        let total =
            total.ok_or_else(|| Diagnostic::model("archive", format!("a tensor of shape {:?} is too large", self.sizes)))?;
        let start = self.offset as usize * size;
        if self.strides == contiguous_strides(&self.sizes)
            && let Some(window) = bytes.get(start..start + total)
        {
            return Ok(TensorData::new(self.dtype, self.sizes.clone(), window));
        }
        let mut out = Vec::with_capacity(total);
        let mut index = vec![0_i64; self.sizes.len()];
        while out.len() < total {
            let at: i64 = index.iter().zip(&self.strides).map(|(i, stride)| i * stride).sum();
            let at = start + at as usize * size;
            let element =
                bytes.get(at..at + size).ok_or_else(|| Diagnostic::model("archive", "a tensor reaches beyond its storage"))?;
            out.extend_from_slice(element);
            advance(&mut index, &self.sizes);
        }
        Ok(TensorData::new(self.dtype, self.sizes.clone(), out))
    }
}

/// The next index in row-major order.
fn advance(index: &mut [i64], sizes: &[i64]) {
    for (i, &size) in index.iter_mut().zip(sizes).rev() {
        *i += 1;
        if *i < size {
            return;
        }
        *i = 0;
    }
}
