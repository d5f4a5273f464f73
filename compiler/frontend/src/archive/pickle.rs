//! The pickle machine: pickle protocol 2 as PyTorch writes it, to a graph of nodes.
//!
//! Values are nodes in one arena and refer to each other by number, so that nothing recurses, however deep or
//! cyclic the data is, and every opcode adds at most one node: memory stays proportional to the record.
//! Callables are those of [`super::globals`]; nothing is executed.

use super::broken;
use super::globals::{ElementType, Global, resolve};
use super::tensors;
use crate::model::{StorageId, TensorItem};
use kiln_support::{Diagnostic, PrimaryMap, entity};
use std::collections::HashMap;
use std::ops::Range;

entity!(
    /// A value of a pickle.
    NodeId, "node"
);

/// A value.
#[derive(Debug)]
pub enum Node {
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
    /// A string: where its bytes are in the pickle.
    Str(Range<usize>),
    /// A tuple.
    Tuple(Vec<NodeId>),
    /// A list and its type, where that is given.
    List(Vec<NodeId>, Option<TypeText>),
    /// A dict in order of insertion and its type, where that is given.
    Dict(Vec<(NodeId, NodeId)>, Option<TypeText>),
    /// A name of the allow-list.
    Global(Global),
    /// A storage with the type of its elements.
    Storage(StorageId, ElementType),
    /// A tensor.
    Tensor(Box<TensorItem>),
    /// An object and, once built, its state.
    Object(NodeId, Option<NodeId>),
    /// An enum's class and value.
    Enum(NodeId, NodeId),
    /// A device by its name.
    Device(NodeId),
    /// A value kiln has no representation for, in words.
    Unsupported(String),
}

/// The static type that a pickle gives to a list or dict.
#[derive(Clone, Debug)]
pub enum TypeText {
    /// One of the built-in list types.
    Known(&'static str),
    /// A string of the pickle.
    At(NodeId),
}

/// Gives the bytes that persistent ids stand for.
pub trait StorageSource {
    /// The storage `key`, which must have at least `count` elements of `element` type.
    fn storage(&mut self, key: &str, element: ElementType, count: i64) -> Result<StorageId, Diagnostic>;
    /// How many bytes a storage has.
    fn size(&self, id: StorageId) -> usize;
}

/// All values of a pickle.
pub struct Nodes<'a> {
    /// The pickle, where the strings are.
    pub bytes: &'a [u8],
    /// The values.
    pub arena: PrimaryMap<NodeId, Node>,
}

impl Nodes<'_> {
    /// The text of a string node.
    pub fn text(&self, id: NodeId) -> Result<&str, Diagnostic> {
        match &self.arena[id] {
            Node::Str(range) => std::str::from_utf8(&self.bytes[range.clone()]).map_err(|_| broken("a string is not UTF-8")),
            _ => Err(broken("a string is missing")),
        }
    }

    /// The value of an integer node.
    pub fn int(&self, id: NodeId) -> Result<i64, Diagnostic> {
        match self.arena[id] {
            Node::Int(value) => Ok(value),
            _ => Err(broken("an integer is missing")),
        }
    }

    /// The elements of a tuple node.
    pub fn tuple(&self, id: NodeId) -> Result<&[NodeId], Diagnostic> {
        match &self.arena[id] {
            Node::Tuple(items) => Ok(items),
            _ => Err(broken("a tuple is missing")),
        }
    }

    /// The name of a class node.
    pub fn class(&self, id: NodeId) -> Result<&str, Diagnostic> {
        match &self.arena[id] {
            Node::Global(Global::Class(name)) => Ok(name),
            _ => Err(broken("a class is missing")),
        }
    }
}

/// Runs a pickle; gives its values and the one it ends with. `is_class` knows the classes that may be made.
pub fn run<'a>(
    bytes: &'a [u8],
    storages: &mut dyn StorageSource,
    is_class: &dyn Fn(&str) -> bool,
) -> Result<(Nodes<'a>, NodeId), Diagnostic> {
    let nodes = Nodes { bytes, arena: PrimaryMap::new() };
    let mut machine = Machine { nodes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), storages, is_class };
    if machine.take(2)? != [0x80, 2] {
        return Err(broken("it is not a pickle of protocol 2"));
    }
    loop {
        let opcode = machine.take(1)?[0];
        if opcode == b'.' {
            break;
        }
        machine.step(opcode)?;
    }
    let root = machine.pop()?;
    Ok((machine.nodes, root))
}

struct Machine<'a, 'e> {
    nodes: Nodes<'a>,
    /// Position in the pickle.
    at: usize,
    stack: Vec<NodeId>,
    /// Stack heights at the open `MARK`s.
    marks: Vec<usize>,
    memo: HashMap<u32, NodeId>,
    storages: &'e mut dyn StorageSource,
    is_class: &'e dyn Fn(&str) -> bool,
}

impl<'a> Machine<'a, '_> {
    fn step(&mut self, opcode: u8) -> Result<(), Diagnostic> {
        match opcode {
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => self.stack.push(self.top()?),
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'K' => {
                let value = i64::from(self.take(1)?[0]);
                self.push(Node::Int(value));
            }
            b'M' => {
                let value = i64::from(u16::from_le_bytes(self.array()?));
                self.push(Node::Int(value));
            }
            b'J' => {
                let value = i64::from(i32::from_le_bytes(self.array()?));
                self.push(Node::Int(value));
            }
            0x8a => self.long()?,
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value));
            }
            b'X' | b'T' | b'U' => self.string(opcode)?,
            b'q' | b'r' | b'h' | b'j' => self.memo(opcode)?,
            b'c' => self.global()?,
            b'Q' => self.persistent_id()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            0x81 => self.new_object()?,
            _ => self.container(opcode)?,
        }
        Ok(())
    }

    /// Tuples, lists and dicts.
    fn container(&mut self, opcode: u8) -> Result<(), Diagnostic> {
        match opcode {
            b')' => self.push(Node::Tuple(Vec::new())),
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items));
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Node::Tuple(items));
            }
            b']' => self.push(Node::List(Vec::new(), None)),
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Node::List(items, None));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new(), None)),
            b'd' => {
                let items = pairs(&self.pop_mark()?)?;
                self.push(Node::Dict(items, None));
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            other => {
                return Err(broken(format!(
                    "at byte {} it has the opcode {other:#04x}, which PyTorch does not write",
                    self.at - 1
                )));
            }
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Diagnostic> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.nodes.bytes.len());
        let end = end.ok_or_else(|| broken("it ends too early"))?;
        let bytes = &self.nodes.bytes[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Diagnostic> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn push(&mut self, node: Node) {
        let id = self.nodes.arena.push(node);
        self.stack.push(id);
    }

    /// The lowest stack height that an opcode may reach: what is under a `MARK` is for a later one.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<NodeId, Diagnostic> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => Err(broken("its stack runs empty")),
        }
    }

    fn pop(&mut self) -> Result<NodeId, Diagnostic> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<NodeId>, Diagnostic> {
        if self.stack.len() < self.floor() + count {
            return Err(broken("its stack runs empty"));
        }
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop_mark(&mut self) -> Result<Vec<NodeId>, Diagnostic> {
        let mark = self.marks.pop().ok_or_else(|| broken("it closes what it did not open"))?;
        Ok(self.stack.split_off(mark))
    }

    fn long(&mut self) -> Result<(), Diagnostic> {
        let length = usize::from(self.take(1)?[0]);
        let digits = self.take(length)?;
        if length > 8 {
            return Err(broken("it has an integer of more than 64 bits"));
        }
        let fill = if digits.last().is_some_and(|&high| high >= 0x80) { 0xff } else { 0 };
        let mut bytes = [fill; 8];
        bytes[..length].copy_from_slice(digits);
        self.push(Node::Int(i64::from_le_bytes(bytes)));
        Ok(())
    }

    fn string(&mut self, opcode: u8) -> Result<(), Diagnostic> {
        let length = match opcode {
            b'U' => usize::from(self.take(1)?[0]),
            _ => u32::from_le_bytes(self.array()?) as usize,
        };
        self.take(length)?;
        self.push(Node::Str(self.at - length..self.at));
        Ok(())
    }

    fn memo(&mut self, opcode: u8) -> Result<(), Diagnostic> {
        let key = match opcode {
            b'q' | b'h' => u32::from(self.take(1)?[0]),
            _ => u32::from_le_bytes(self.array()?),
        };
        if matches!(opcode, b'q' | b'r') {
            let id = self.top()?;
            self.memo.insert(key, id);
        } else {
            let id =
                self.memo.get(&key).copied().ok_or_else(|| broken(format!("it recalls value {key}, which it did not store")))?;
            self.stack.push(id);
        }
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, Diagnostic> {
        let rest = &self.nodes.bytes[self.at..];
        let length = rest.iter().take(4096).position(|&byte| byte == b'\n').ok_or_else(|| broken("a name in it does not end"))?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| broken("a name in it is not UTF-8"))
    }

    fn global(&mut self) -> Result<(), Diagnostic> {
        let module = self.line()?;
        let name = self.line()?;
        let global = resolve(module, name, self.is_class)?;
        self.push(Node::Global(global));
        Ok(())
    }

    /// `('storage', type, key, device, element count)`. The device is not kept: kiln computes on the CPU.
    fn persistent_id(&mut self) -> Result<(), Diagnostic> {
        let id = self.pop()?;
        let &[kind, element, key, _device, count] = self.nodes.tuple(id)? else {
            return Err(broken("a persistent id has not five parts"));
        };
        if self.nodes.text(kind)? != "storage" {
            return Err(broken("a persistent id is not that of a storage"));
        }
        let Node::Global(Global::Storage(element)) = self.nodes.arena[element] else {
            return Err(broken("a storage has no element type"));
        };
        let storage = self.storages.storage(self.nodes.text(key)?, element, self.nodes.int(count)?)?;
        self.push(Node::Storage(storage, element));
        Ok(())
    }

    fn append(&mut self, items: &[NodeId]) -> Result<(), Diagnostic> {
        let id = self.top()?;
        match &mut self.nodes.arena[id] {
            Node::List(list, _) => list.extend_from_slice(items),
            _ => return Err(broken("it appends to what is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[NodeId]) -> Result<(), Diagnostic> {
        let id = self.top()?;
        match &mut self.nodes.arena[id] {
            Node::Dict(dict, _) => dict.extend(pairs(items)?),
            _ => return Err(broken("it sets items of what is not a dict")),
        }
        Ok(())
    }

    fn new_object(&mut self) -> Result<(), Diagnostic> {
        let _arguments = self.pop()?;
        let class = self.pop()?;
        self.nodes.class(class)?;
        self.push(Node::Object(class, None));
        Ok(())
    }

    fn build(&mut self) -> Result<(), Diagnostic> {
        let state = self.pop()?;
        let id = self.top()?;
        match &mut self.nodes.arena[id] {
            Node::Object(_, built @ None) => *built = Some(state),
            // The `_metadata` of a state_dict; Python attributes of a tensor.
            Node::Dict(..) | Node::Tensor(_) => {}
            _ => return Err(broken("it gives a state to what is not a new object")),
        }
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), Diagnostic> {
        let argument = self.pop()?;
        let callee = self.pop()?;
        let Node::Global(global) = &self.nodes.arena[callee] else {
            return Err(broken("it calls what is not a function"));
        };
        let made = match global.clone() {
            // An enum's argument is the value itself, not a tuple (`pushIValueImpl` in pickler.cpp).
            Global::Class(_) => Node::Enum(callee, argument),
            Global::OrderedDict => self.ordered_dict(argument)?,
            Global::TypedList(text) => return self.typed(argument, None, TypeText::Known(text)),
            Global::RestoreTypeTag => {
                let &[_, text] = self.nodes.tuple(argument)? else { return Err(broken("a type tag has not two parts")) };
                return self.typed(argument, Some(text), TypeText::At(text));
            }
            Global::Device => self.device(argument)?,
            Global::Size => {
                let &[sizes] = self.nodes.tuple(argument)? else { return Err(broken("a size has not one part")) };
                self.stack.push(sizes);
                return Ok(());
            }
            Global::Complex => self.complex(argument)?,
            Global::Rebuild(function) => tensors::rebuild(function, argument, &self.nodes, &*self.storages)?,
            Global::Storage(_) | Global::DType(_) | Global::QScheme(_) | Global::TensorClass => {
                return Err(broken("it calls what is not a function"));
            }
        };
        self.push(made);
        Ok(())
    }

    fn ordered_dict(&self, argument: NodeId) -> Result<Node, Diagnostic> {
        if self.nodes.tuple(argument)?.is_empty() {
            Ok(Node::Dict(Vec::new(), None))
        } else {
            Err(broken("it makes a dict of a list"))
        }
    }

    /// Gives the list or dict that is the first argument its type, and leaves it on the stack.
    fn typed(&mut self, argument: NodeId, tag: Option<NodeId>, text: TypeText) -> Result<(), Diagnostic> {
        if let Some(tag) = tag {
            self.nodes.text(tag)?;
        }
        let target = *self.nodes.tuple(argument)?.first().ok_or_else(|| broken("a typed list is missing"))?;
        match &mut self.nodes.arena[target] {
            Node::List(_, slot) | Node::Dict(_, slot) => *slot = Some(text),
            _ => return Err(broken("it gives a container type to what is neither list nor dict")),
        }
        self.stack.push(target);
        Ok(())
    }

    fn device(&self, argument: NodeId) -> Result<Node, Diagnostic> {
        let parts = self.nodes.tuple(argument)?;
        let &[name] = parts else { return Err(broken("a device has not one part")) };
        self.nodes.text(name)?;
        Ok(Node::Device(name))
    }

    fn complex(&self, argument: NodeId) -> Result<Node, Diagnostic> {
        let &[real, imaginary] = self.nodes.tuple(argument)? else { return Err(broken("a complex number has not two parts")) };
        match (&self.nodes.arena[real], &self.nodes.arena[imaginary]) {
            (&Node::Float(real), &Node::Float(imaginary)) => Ok(Node::Complex(real, imaginary)),
            _ => Err(broken("a complex number is not made of floats")),
        }
    }
}

fn pairs(items: &[NodeId]) -> Result<Vec<(NodeId, NodeId)>, Diagnostic> {
    let (pairs, rest) = items.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    } else {
        Err(broken("a dict has a key without a value"))
    }
}
