//! A residual model: what specialisation leaves of a program and scheduling takes.
//!
//! One graph per exported method in the residual form (`docs/ir.md`), the slots of the instance's
//! mutable state, and a graph that sets them. There are no calls; classes and enums are still
//! looked up in the program for their names and fields.

use crate::{Graph, Program, Type};

/// A whole model in the residual form.
#[derive(Clone, Debug, Default)]
pub struct ResidualModel {
    /// Classes (qualified names, fields, named tuples, enum members). Its functions are not looked at.
    pub program: Program,
    /// Exported methods, in the order of the artifact's header.
    pub methods: Vec<ResidualMethod>,
    /// Slots of the instance's state: `StateId(n)` is the slot at position `n`.
    pub state: Vec<StateSlot>,
    /// Sets every slot once: no parameters, no yields; run by `create` and `reset`.
    pub init: Graph,
}

/// An exported method.
#[derive(Clone, Debug)]
pub struct ResidualMethod {
    /// Its name, such as `forward`.
    pub name: String,
    /// The body. Its entry block has one parameter for each of `params`, without the receiver, and yields one
    /// value (or diverges). A tensor parameter is of type `Tensor` without facts, and unboxed by the body.
    pub graph: Graph,
    /// Names and declared types as the outside sees them, in order. A tensor type has facts where they
    /// are declared; a size `Dim::Value(v)` is a symbol with the name of the graph's value `v` (`values[v].name`; the
    /// number of the value where it has none). Two sizes of one name are checked to be equal at the entry.
    pub params: Vec<(String, Type)>,
    /// The result as the outside sees it; tensors have facts where they are known, as in `params`.
    pub result: Type,
}

/// A slot of the instance's mutable state.
#[derive(Clone, Debug)]
pub struct StateSlot {
    /// Where it stems from (`bn.running_mean`), for the manifest.
    pub name: String,
    /// Type of the value; tensors are objects. Facts, where given, are for the manifest.
    pub ty: Type,
}
