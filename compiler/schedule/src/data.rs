//! Read-only data of a plan, without doubles: texts, weights, and immortal runtime objects.
//!
//! An immortal object has the runtime's layout (`kiln_rt::abi`) with a reference count that is never
//! changed; pointers inside are relocations.

use kiln_loops::plan::{Data, DataId};
use kiln_rt::abi::{self, tag};
use kiln_support::{PrimaryMap, TensorData};
use std::collections::HashMap;
use std::mem::offset_of;
use std::sync::Arc;

/// Alignment of tensors' elements.
const TENSOR_ALIGN: u64 = 64;

/// Contents up to this size are compared byte by byte; larger ones are shared only where they are one allocation.
const COMPARED_BYTES: usize = 1 << 16;

#[derive(PartialEq, Eq, Hash)]
enum Content {
    Bytes(Arc<[u8]>),
    Allocation(usize, usize),
}

/// Pointers inside data: at an offset, the address of other data plus an addend.
type Relocations = Vec<(u64, DataId, i64)>;

/// Collects data.
#[derive(Default)]
pub struct DataPool {
    /// What there is.
    pub data: PrimaryMap<DataId, Data>,
    /// Whether large contents are compared byte by byte, too.
    compares_all: bool,
    ids: HashMap<(Content, u64, Relocations), DataId>,
}

impl DataPool {
    /// Nothing yet; whether also large contents are compared byte by byte.
    pub fn new(compares_all: bool) -> DataPool {
        DataPool { compares_all, ..DataPool::default() }
    }

    /// Data of these bytes.
    pub fn add(&mut self, name: &str, bytes: Arc<[u8]>, align: u64, relocations: Relocations) -> DataId {
        let is_small = self.compares_all || bytes.len() <= COMPARED_BYTES;
        let content =
            if is_small { Content::Bytes(bytes.clone()) } else { Content::Allocation(bytes.as_ptr() as usize, bytes.len()) };
        let data = &mut self.data;
        let key = (content, align, relocations.clone());
        *self.ids.entry(key).or_insert_with(|| data.push(Data { name: name.to_owned(), bytes, align, relocations }))
    }

    /// A NUL-terminated text.
    pub fn text(&mut self, text: &str) -> DataId {
        let bytes: Vec<u8> = text.bytes().chain([0]).collect();
        self.add("text", bytes.into(), 1, Vec::new())
    }

    /// An array of 64-bit integers.
    pub fn ints(&mut self, values: &[i64]) -> DataId {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.add("ints", bytes.into(), 8, Vec::new())
    }

    /// The elements of a tensor.
    pub fn tensor(&mut self, tensor: &TensorData) -> DataId {
        self.add("tensor", tensor.bytes.clone(), TENSOR_ALIGN, Vec::new())
    }

    /// An immortal string.
    pub fn string(&mut self, text: &str) -> DataId {
        self.string_of_kind(text, tag::STR)
    }

    /// An immortal device.
    pub fn device(&mut self, name: &str) -> DataId {
        self.string_of_kind(name, tag::DEVICE)
    }

    fn string_of_kind(&mut self, text: &str, kind: u64) -> DataId {
        let mut bytes = header(kind);
        bytes.extend((text.len() as u64).to_le_bytes());
        debug_assert_eq!(bytes.len(), offset_of!(abi::Str, bytes));
        bytes.extend(text.bytes().chain([0]));
        self.add("str", bytes.into(), 8, Vec::new())
    }

    /// An immortal tensor object.
    pub fn tensor_object(&mut self, tensor: &TensorData) -> DataId {
        let elements = self.tensor(tensor);
        let mut bytes = header(tag::TENSOR);
        bytes.extend([0; 16]);
        bytes.extend((tensor.dtype.code() as u32).to_le_bytes());
        bytes.extend((tensor.shape.len() as u32).to_le_bytes());
        debug_assert_eq!(bytes.len(), offset_of!(abi::Tensor, dims));
        let strides = kiln_support::tensor::contiguous_strides(&tensor.shape);
        bytes.extend(tensor.shape.iter().chain(&strides).flat_map(|n| n.to_le_bytes()));
        self.add("tensor_object", bytes.into(), 8, vec![(offset_of!(abi::Tensor, data) as u64, elements, 0)])
    }

    /// An array of pointers to immortal strings: the names of a tuple.
    pub fn names(&mut self, names: &[String]) -> DataId {
        let strings: Vec<DataId> = names.iter().map(|n| self.string(n)).collect();
        let relocations = strings.into_iter().enumerate().map(|(i, id)| (8 * i as u64, id, 0)).collect();
        self.add("names", vec![0; 8 * names.len()].into(), 8, relocations)
    }

    /// An immortal member of an enum, whose value is given by tag, bits and, for an object, its data.
    pub fn enum_member(&mut self, class: &str, member: &str, value: (u64, u64, Option<DataId>)) -> DataId {
        let class = self.string(&format!("enum {class}"));
        let name = self.string(member);
        let mut bytes = header(tag::OBJECT);
        bytes.extend([0; 8]);
        bytes.extend(2u64.to_le_bytes());
        debug_assert_eq!(bytes.len(), offset_of!(abi::Object, fields));
        for word in [tag::STR, 0, value.0, value.1] {
            bytes.extend(word.to_le_bytes());
        }
        let fields = offset_of!(abi::Object, fields) as u64;
        let mut relocations = vec![(offset_of!(abi::Object, class) as u64, class, 0), (fields + 8, name, 0)];
        relocations.extend(value.2.map(|id| (fields + 24, id, 0)));
        self.add("enum_member", bytes.into(), 8, relocations)
    }
}

/// The head of an immortal object.
fn header(kind: u64) -> Vec<u8> {
    let mut bytes = abi::IMMORTAL.to_le_bytes().to_vec();
    bytes.extend((kind as u32).to_le_bytes());
    bytes.extend([0; 16]);
    bytes
}
