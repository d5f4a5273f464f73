//! A state_dict saved with `torch.save`: the weights for a model that is compiled from source.

use super::container::Container;
use super::pickle::{self, Node, NodeId, Nodes};
use super::storages::Storages;
use super::{broken, in_record};
use crate::model::{Storage, StorageId, TensorItem};
use kiln_support::{Diagnostic, PrimaryMap};

/// Named tensors.
#[derive(Debug, Default)]
pub struct StateDict {
    /// Tensors by name, in order.
    pub tensors: Vec<(String, TensorItem)>,
    /// Their storages.
    pub storages: PrimaryMap<StorageId, Storage>,
}

/// Reads a state_dict: a dict from names to tensors, or a checkpoint that has one under `state_dict`.
pub fn read_state_dict(bytes: &[u8], name: &str) -> Result<StateDict, Diagnostic> {
    const RECORD: &str = "data.pkl";
    let mut container = Container::open(bytes, name)?;
    let pickled = container.read(RECORD)?;
    let mut dict = StateDict::default();
    let mut storages = Storages::new(&mut container, "data/", &mut dict.storages);
    let (nodes, root) = pickle::run(&pickled, &mut storages, &|_| false).map_err(|error| in_record(RECORD, error))?;
    dict.tensors = tensors(&nodes, root).map_err(|error| in_record(RECORD, error))?;
    Ok(dict)
}

fn tensors(nodes: &Nodes, root: NodeId) -> Result<Vec<(String, TensorItem)>, Diagnostic> {
    const HELP: &str = "save the weights with `torch.save(model.state_dict(), \"weights.pt\")`";
    let Node::Dict(items, _) = &nodes.arena[root] else {
        return Err(broken("it does not hold a dict of tensors").help(HELP));
    };
    let inner = items.iter().find(|(key, _)| nodes.text(*key).is_ok_and(|key| key == "state_dict"));
    let items = match inner.map(|(_, value)| &nodes.arena[*value]) {
        Some(Node::Dict(items, _)) => items,
        _ => items,
    };
    let tensor = |(key, value): &(NodeId, NodeId)| {
        let key = nodes.text(*key)?;
        match &nodes.arena[*value] {
            Node::Tensor(tensor) => Ok((key.to_owned(), (**tensor).clone())),
            Node::Unsupported(what) => Err(Diagnostic::unsupported("archive", format!("`{key}` is {what}"))),
            _ => Err(broken(format!("`{key}` is not a tensor")).help(HELP)),
        }
    };
    items.iter().map(tensor).collect()
}
