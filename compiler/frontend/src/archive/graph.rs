//! The nodes of a pickle to the object graph of [`crate::model`].
//!
//! Lists, dicts and objects become heap items, one for each node, so that sharing is kept; they are filled from a
//! worklist. Tuples are values and are copied where they are used: their depth and the total size of all copies
//! are bounded, because a small pickle can name an exponentially large tuple.

use super::pickle::{Node, NodeId, Nodes, TypeText};
use super::{Classes, broken};
use crate::model::{Archive, HeapId, HeapItem, Item, ObjectState};
use kiln_support::{Diagnostic, EntityId, PrimaryMap};
use std::collections::HashMap;

/// Deepest nesting of tuples, and of lists, dicts and objects.
const MAX_TUPLES: usize = 100;
const MAX_CONTAINERS: usize = 500;
/// What the graph may weigh: this, and [`WEIGHT_PER_BYTE`] for each byte of the pickle.
const MAX_WEIGHT: usize = 64 << 20;
const WEIGHT_PER_BYTE: usize = 64;

/// Converts what `root` reaches; lists, dicts and objects go to `heap`.
pub fn convert(
    nodes: &Nodes,
    root: NodeId,
    classes: &Classes,
    heap: &mut PrimaryMap<HeapId, HeapItem>,
) -> Result<Item, Diagnostic> {
    let weight = nodes.bytes.len().saturating_mul(WEIGHT_PER_BYTE).saturating_add(MAX_WEIGHT);
    let mut builder = Builder { nodes, classes, heap, ids: HashMap::new(), pending: Vec::new(), weight };
    let item = builder.item(root, 0)?;
    while let Some((node, id)) = builder.pending.pop() {
        let content = builder.heap_item(node)?;
        builder.heap[id] = content;
    }
    Ok(item)
}

struct Builder<'a> {
    nodes: &'a Nodes<'a>,
    classes: &'a Classes,
    heap: &'a mut PrimaryMap<HeapId, HeapItem>,
    ids: HashMap<NodeId, HeapId>,
    /// Heap items that are named but not yet filled.
    pending: Vec<(NodeId, HeapId)>,
    /// What may still be made.
    weight: usize,
}

impl Builder<'_> {
    fn item(&mut self, id: NodeId, depth: usize) -> Result<Item, Diagnostic> {
        if depth > MAX_TUPLES {
            return Err(broken("tuples in it are nested too deeply"));
        }
        self.pay(size_of::<Item>())?;
        Ok(match &self.nodes.arena[id] {
            Node::None => Item::None,
            Node::Bool(value) => Item::Bool(*value),
            Node::Int(value) => Item::Int(*value),
            Node::Float(value) => Item::Float(*value),
            Node::Complex(real, imaginary) => Item::Complex(*real, *imaginary),
            Node::Str(_) => Item::Str(self.text(id)?),
            Node::Device(name) => Item::Device(self.text(*name)?),
            Node::Tensor(tensor) => {
                self.pay(tensor.sizes.len() * 64)?;
                Item::Tensor((**tensor).clone())
            }
            Node::Tuple(items) => {
                let items: Result<_, _> = items.iter().map(|item| self.item(*item, depth + 1)).collect();
                Item::Tuple(items?)
            }
            Node::Enum(class, value) => {
                let class = self.class(*class)?;
                Item::Enum(class, Box::new(self.item(*value, depth + 1)?))
            }
            Node::List(..) | Node::Dict(..) | Node::Object(..) => Item::Ref(self.heap_id(id)),
            Node::Unsupported(what) => Item::Unsupported(what.clone()),
            Node::Storage(..) => Item::Unsupported("a storage outside of a tensor".into()),
            Node::Global(_) => return Err(broken("a function or class is used as a value")),
        })
    }

    fn pay(&mut self, weight: usize) -> Result<(), Diagnostic> {
        self.weight = self.weight.checked_sub(weight).ok_or_else(|| broken("it describes far more data than it holds"))?;
        Ok(())
    }

    fn text(&mut self, id: NodeId) -> Result<String, Diagnostic> {
        let text = self.nodes.text(id)?;
        self.pay(text.len())?;
        Ok(text.to_owned())
    }

    fn class(&mut self, id: NodeId) -> Result<String, Diagnostic> {
        let class = self.nodes.class(id)?;
        self.pay(class.len())?;
        Ok(class.to_owned())
    }

    fn heap_id(&mut self, node: NodeId) -> HeapId {
        if let Some(&id) = self.ids.get(&node) {
            return id;
        }
        let id = self.heap.push(HeapItem::List { items: Vec::new(), type_text: None });
        self.ids.insert(node, id);
        self.pending.push((node, id));
        id
    }

    fn heap_item(&mut self, id: NodeId) -> Result<HeapItem, Diagnostic> {
        match &self.nodes.arena[id] {
            Node::List(items, text) => {
                let items: Result<_, _> = items.iter().map(|item| self.item(*item, 0)).collect();
                Ok(HeapItem::List { items: items?, type_text: self.type_text(text.as_ref())? })
            }
            Node::Dict(items, text) => {
                let items: Result<_, _> =
                    items.iter().map(|(key, value)| Ok((self.item(*key, 0)?, self.item(*value, 0)?))).collect();
                Ok(HeapItem::Dict { items: items?, type_text: self.type_text(text.as_ref())? })
            }
            Node::Object(class, state) => {
                let class = self.class(*class)?;
                let state = state.ok_or_else(|| broken(format!("an object of class `{class}` has no state")))?;
                let state = self.state(&class, state)?;
                Ok(HeapItem::Object { class, state })
            }
            _ => Err(broken("a list, dict or object is missing")),
        }
    }

    fn type_text(&mut self, text: Option<&TypeText>) -> Result<Option<String>, Diagnostic> {
        match text {
            None => Ok(None),
            Some(TypeText::Known(text)) => Ok(Some((*text).to_owned())),
            Some(TypeText::At(id)) => self.text(*id).map(Some),
        }
    }

    fn state(&mut self, class: &str, state: NodeId) -> Result<ObjectState, Diagnostic> {
        if self.classes.takes_state(class) {
            return Ok(ObjectState::SetState(Box::new(self.item(state, 0)?)));
        }
        let Node::Dict(items, _) = &self.nodes.arena[state] else {
            return Err(broken(format!("the state of an object of class `{class}` is not a dict of attributes")));
        };
        let attributes: Result<_, _> = items.iter().map(|(name, value)| Ok((self.text(*name)?, self.item(*value, 0)?))).collect();
        Ok(ObjectState::Attributes(attributes?))
    }
}

/// Refuses cycles (TorchScript cannot save any) and nesting that would exhaust the stack of a later stage.
pub fn check_nesting(archive: &Archive) -> Result<(), Diagnostic> {
    let mut heights: Vec<Height> = vec![Height::Unknown; archive.heap.len()];
    for start in 0..archive.heap.len() {
        measure(HeapId::new(start), archive, &mut heights)?;
    }
    Ok(())
}

/// How many levels of containers are under a heap item.
#[derive(Clone, Copy, PartialEq)]
enum Height {
    Unknown,
    Open,
    Known(usize),
}

const HELP: &str = "keep nested data in flat lists, and refer to other objects by their place in a list";

/// Depth-first, with a stack of its own: an item is opened, then its children, then it is closed.
fn measure(start: HeapId, archive: &Archive, heights: &mut [Height]) -> Result<(), Diagnostic> {
    let mut stack = vec![start];
    while let Some(&id) = stack.last() {
        if matches!(heights[id.index()], Height::Known(_)) {
            stack.pop();
            continue;
        }
        let children = children(&archive.heap[id]);
        if heights[id.index()] == Height::Unknown {
            heights[id.index()] = Height::Open;
            for child in &children {
                match heights[child.index()] {
                    Height::Unknown => stack.push(*child),
                    Height::Open => return Err(broken("the archive holds an object that contains itself").help(HELP)),
                    Height::Known(_) => {}
                }
            }
            continue;
        }
        let height = children.iter().map(|child| match heights[child.index()] {
            Height::Known(height) => height + 1,
            _ => 1,
        });
        let height = height.max().unwrap_or(0);
        if height > MAX_CONTAINERS {
            return Err(broken("the archive's lists, dicts and objects are nested too deeply").help(HELP));
        }
        heights[id.index()] = Height::Known(height);
        stack.pop();
    }
    Ok(())
}

/// The heap items that a heap item refers to.
fn children(item: &HeapItem) -> Vec<HeapId> {
    let mut found = Vec::new();
    match item {
        HeapItem::List { items, .. } => items.iter().for_each(|item| references(item, &mut found)),
        HeapItem::Dict { items, .. } => items.iter().for_each(|(key, value)| {
            references(key, &mut found);
            references(value, &mut found);
        }),
        HeapItem::Object { state: ObjectState::Attributes(attributes), .. } => {
            attributes.iter().for_each(|(_, value)| references(value, &mut found));
        }
        HeapItem::Object { state: ObjectState::SetState(state), .. } => references(state, &mut found),
    }
    found
}

/// Recursion is as deep as tuples are, which [`convert`] bounds.
fn references(item: &Item, found: &mut Vec<HeapId>) {
    match item {
        Item::Ref(id) => found.push(*id),
        Item::Tuple(items) => items.iter().for_each(|item| references(item, found)),
        Item::Enum(_, value) => references(value, found),
        _ => {}
    }
}
