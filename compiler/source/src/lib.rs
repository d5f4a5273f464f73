//! Models from Python source: runs `__init__` while compiling.
//!
//! In: the files of a model, an expression that makes one of its modules (`Net(width=2)`), and weights. Out: what an archive of
//! the same model would hold ([`Archive`]): an object graph, and code whose module classes have typed attributes. Everything after
//! it is the same for both.
//!
//! The evaluator is a plain interpreter of Python's structure: classes, functions, containers, numbers. Python types are
//! dynamic here, since `__init__` is not TorchScript. Two things it leaves to others: a module class of `torch.nn` is source, too
//! (`../nn`), and what operators compute is asked of the [`Host`], which has the compiler for it. Tensors whose elements nobody
//! has said yet (`torch.empty`, everything random) have a type only, until the weights say them.
//!
//! Nothing here executes Python: what the evaluator does not know is refused with its place.

mod access;
mod arguments;
mod builtins;
mod classes;
mod containers;
mod emit;
mod evaluator;
mod expressions;
mod format;
mod modules;
mod operators;
mod statements;
mod torch;
mod types;
mod units;
mod value;
mod weights;

pub use value::TensorValue;
pub use weights::Weights;

use kiln_frontend::model::Archive;
use kiln_support::{Diagnostic, SourceMap};

/// What a computation on tensors gives.
#[derive(Clone, Debug)]
pub enum Computed {
    /// `None`, or nothing.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A tensor; without elements where they depend on tensors that have none.
    Tensor(TensorValue),
    /// A list.
    List(Vec<Computed>),
    /// A tuple.
    Tuple(Vec<Computed>),
}

/// What the evaluator needs of the outside.
pub trait Host {
    /// The file of a module that the model's files import, by its dotted path: its name for messages, and its text.
    fn module(&mut self, path: &str) -> Option<(String, String)>;

    /// What a function body gives that reads the tensors as `t0`, `t1`, ... and ends with a `return`. The error is a sentence.
    fn compute(&mut self, body: &str, tensors: &[TensorValue]) -> Result<Computed, String>;
}

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Name of the main file for messages, and its text.
    pub file: (&'a str, &'a str),
    /// Its module path, such as `model`.
    pub module: &'a str,
    /// The class, or a call of it: `Net`, `Net(width=2)`.
    pub class: &'a str,
    /// The weights, if there are any.
    pub weights: Option<&'a Weights>,
    /// Whether tensors without values are zeros instead of an error: to look at a model's code only.
    pub is_check: bool,
}

/// Makes the module of a request.
pub fn evaluate(request: &Request, sources: &mut SourceMap, host: &mut dyn Host) -> Result<Archive, Vec<Diagnostic>> {
    let mut evaluator = evaluator::Evaluator::new(sources, host);
    let root = evaluator.make(request)?;
    if let Some(weights) = request.weights {
        weights::apply(&root, weights)?;
    }
    if request.is_check {
        weights::fill_with_zeros(&root);
    }
    weights::require_all(&root, request.weights.is_some())?;
    emit::archive(&mut evaluator, &root).map_err(|error| vec![*error])
}
