//! The typed SSA graph: structure only.
//!
//! One data structure serves two levels. The *typed* graph is what the front end makes of a program:
//! calls, methods, mutable lists and objects, tensors without facts. The *residual* graph is what
//! specialisation leaves: one function per exported method, no calls, tensors are pure values with
//! element type and sizes. What operators mean is not known here: nodes hold an [`OpId`].

pub mod graph;
pub mod literal;
pub mod program;
pub mod read;
pub mod residual;
pub mod types;
pub mod verify;
pub mod write;

pub use graph::{Block, Graph, Node, NodeData, Op, OpId, StateId, Value, ValueDef};
pub use literal::Literal;
pub use program::{
    ChannelQuant, Class, ClassId, ClassKind, Field, FuncId, Function, HeapObject, Initial, ObjectId, Param, Program, TensorInit,
};
pub use residual::{ResidualMethod, ResidualModel, StateSlot};
pub use types::{Dim, TensorType, Type};
