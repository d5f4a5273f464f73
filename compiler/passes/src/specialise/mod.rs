//! Specialisation: a typed program and the declared inputs in, one residual graph per method out.
//!
//! The program is executed symbolically. What is known (weights, attributes, sizes, flags) is
//! computed here and now; what is not becomes nodes of the residual graph. Calls are inlined,
//! containers and objects of known structure dissolve, views and in-place operators become pure
//! operators ([`tensors`]). Control flow that depends on run-time values is kept ([`control`]);
//! what its paths leave different is generalised ([`merge`]).
//!
//! Invariants: a residual tensor value is never mutated; an abstract value only refers to residual
//! values that dominate the place it is used at; whatever cannot be settled stops with an
//! *unsupported* diagnostic at the user's line, never with a guess.

mod boundary;
mod containers;
mod control;
mod emit;
mod exec;
mod facts;
mod initial;
mod masks;
mod merge;
mod methods;
mod packed;
mod quantized;
mod rich;
mod scalars;
mod tables;
mod tensors;
mod value;

pub use methods::{Method, specialise};

use emit::Emit;
use kiln_graph::{ClassId, FuncId, Function, Graph, ObjectId, OpId, Program, Type, Value};
use kiln_support::{Diagnostic, SecondaryMap, Span};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use value::{Abs, Heap, HeapId, Num, TensorId};

/// Gives operators' decompositions as functions of the program.
pub trait Decompositions {
    /// The function that defines an operator, typed into `program`, if there is one.
    fn function(&mut self, op: OpId, program: &mut Program) -> Result<Option<FuncId>, Vec<Diagnostic>>;
}

/// Why execution stopped.
enum Stop {
    /// For good.
    Diagnostic(Box<Diagnostic>),
    /// A container must be a run-time one from the fork before it was made so.
    Demote(HeapId),
}

type Run<T> = Result<T, Stop>;

/// A function being executed.
struct Frame {
    graph: Rc<Graph>,
    env: SecondaryMap<Value, Option<Abs>>,
}

/// Rich types of attributes that hold tensors, for all objects of a class that are in run-time containers: what was ever put there.
/// They only widen; as long as they do, everything is run again.
type ClassFacts = BTreeMap<(ClassId, usize), Type>;

/// The state of a specialisation of one method.
struct Specialiser<'a> {
    program: &'a mut Program,
    decompositions: &'a mut dyn Decompositions,
    emit: Emit,
    heap: Heap,
    functions: HashMap<FuncId, Rc<Function>>,
    /// Heap items of the program's initial objects.
    objects: SecondaryMap<ObjectId, Option<HeapId>>,
    /// Tensors of the program's initial storages.
    storages: HashMap<u32, Vec<(kiln_graph::TensorInit, TensorId)>>,
    /// Initial storages that several tensors share, and their flat bases.
    shared_storages: Rc<HashSet<u32>>,
    bases: HashMap<u32, TensorId>,
    /// What is known of the tensors in objects that are in run-time containers.
    class_facts: &'a mut ClassFacts,
    /// Calls around the present place.
    depth: usize,
    /// The user's place while a decomposition is executed.
    user_span: Option<Span>,
    /// Nodes executed so far: a bound against programs that compute for ever while compiling.
    steps: u64,
}

/// How deep calls may nest.
const MAX_DEPTH: usize = 200;

/// How many nodes may be executed.
const MAX_STEPS: u64 = 20_000_000;

impl Specialiser<'_> {
    fn operand(&self, frame: &Frame, value: Value) -> Abs {
        frame.env[value].clone().unwrap_or(Abs::Uninit)
    }

    /// The place that messages name: the user's, also inside decompositions.
    fn span(&self) -> Span {
        self.user_span.unwrap_or(self.emit.span)
    }

    fn unsupported(&self, what: &str) -> Stop {
        let diagnostic = Diagnostic::unsupported("unsupported", format!("kiln does not support {what} yet")).at(self.span());
        Stop::Diagnostic(Box::new(diagnostic))
    }

    /// Ends the current block: the program raises here.
    fn raise<T>(&mut self, class: &str, message: &str) -> Run<Option<T>> {
        self.emit.raise(class, message);
        Ok(None)
    }

    /// The `int` of a size.
    fn int_abs(dim: kiln_graph::Dim) -> Abs {
        Abs::Int(Num::of_dim(dim))
    }
}
