//! What a name or expression stands for while typing: a value of the graph, or something that exists only
//! at compile time and desugars on use (PyTorch's `SugaredValue`).

use kiln_graph::{ClassId, FuncId, Type, Value};
use kiln_support::Diagnostic;

/// Result of a typing step.
pub(crate) type Typed<T> = Result<T, Box<Diagnostic>>;

/// The meaning of an expression.
#[derive(Clone, Debug)]
pub(crate) enum Sugar {
    /// A value of the graph.
    Value(Value),
    /// `torch`, `torch.nn.functional`, `math`, `ops`, `ops.prim`, `__torch__.a`, ...
    Namespace(String),
    /// A function.
    Function(FuncId),
    /// A class of the program.
    Class(ClassId),
    /// A type by its name: `int`, `Tensor`, ...
    Type(Type),
    /// An operator by name (`aten::add`), with its receiver if it was named as a method.
    Operator(String, Option<Value>),
    /// A method of an object.
    Method(Value, String),
    /// A cast of a tensor: `x.long()`.
    TensorCast(Value, i64),
    /// A form with rules of its own, by its name; with its receiver if it was named as a method.
    Special(&'static str, Option<Value>),
    /// A sequence whose length is known at compile time and whose elements may be of any kind.
    Sequence(Vec<Sugar>),
    /// Something to iterate over, such as `range(n)`.
    Iterable(Box<Iterable>),
    /// `with` on this does nothing: `torch.no_grad()`.
    NoContext,
    /// A constructor call of an exception class: class name and message.
    Exception(String, Option<Value>),
}

/// Something a `for` can go over whose length is a value of the graph.
#[derive(Clone, Debug)]
pub(crate) enum Iterable {
    /// `range(start, stop, step)` with its length.
    Range { start: Option<Value>, step: Option<Value>, length: Value },
    /// A list, string, dict's keys or tensor, with its length.
    Indexed { value: Value, length: Value },
    /// `enumerate(inner, start)`.
    Enumerate { inner: Sugar, start: Value },
    /// `zip(...)`.
    Zip(Vec<Sugar>),
}
