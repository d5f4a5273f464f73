//! What an operator means: one [`Entry`] per operator of the core set.
//!
//! The core is small. Everything else is a *decomposition*: a function in scripted Python under
//! `prelude/`, found by its schema's key (see [`crate::prelude`]). In-place and `out=` forms need no
//! entry: they follow from the operator without them.

use crate::element::Element;
use crate::infer::{Infer, OpError};
use kiln_graph::TensorType;
use kiln_loops::{Expr, Exprs};

/// The meaning of an operator.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Key of the schema, such as `aten::exp`.
    pub key: &'static str,
    /// What it computes, in two lines with the reference formula.
    pub doc: &'static str,
    /// How.
    pub body: Body,
}

/// Types of an operator's tensor results, from its arguments.
pub type InferFn = fn(&mut Infer) -> Result<Vec<TensorType>, OpError>;

/// The element of result `output` at an index, as an expression.
pub type ElementFn = fn(&mut Element, output: usize, index: &[Expr]) -> Expr;

/// How an operator is computed.
#[derive(Clone, Copy)]
pub enum Body {
    /// Each element of the results is an expression of its index; results do not alias arguments.
    Tensor { infer: InferFn, element: ElementFn },
    /// As `Tensor`, and the result is a window on argument 0: its element is a plain load of argument 0 at an
    /// index that differs for every element, which also says where a write to the window goes.
    View { infer: InferFn, element: ElementFn, strides: StridesFn },
    /// The result starts as a copy of argument 0 and is then written at computed indices.
    Scatter { infer: InferFn, scatter: ScatterFn },
    /// An algorithm of the runtime over contiguous buffers.
    Extern { infer: InferFn, call: ExternFn },
    /// An expression of ints, floats and bools, one per argument of the schema.
    Scalar(ScalarFn),
    /// A function of the runtime on strings and containers: `kiln_rt1_<symbol>(context if fallible, arguments...)`.
    /// What the schema types as a variable, `Any` or an Optional is passed as two words (tag, bits) and
    /// returned through a last argument `out: *mut Value`; all else is passed and returned by itself
    /// (ints, floats, bools, object pointers).
    Runtime { symbol: &'static str, fallible: bool },
}

/// Strides (in elements) of a view's result, from those of argument 0; none where the view is not
/// possible without a copy.
pub type StridesFn = fn(&mut Infer, base_strides: &[kiln_graph::Dim]) -> Option<Vec<kiln_graph::Dim>>;

/// The result of a scalar operator. An error is what the program raises.
pub type ScalarFn = fn(&mut Exprs, &[Expr]) -> Result<Expr, OpError>;

/// One store of a scatter, over a domain of its own.
pub struct ScatterStore {
    /// Index into the target, one per dimension, checked.
    pub index: Vec<Expr>,
    /// The stored value; may load the target at the same index through [`Element::target`].
    pub value: Expr,
    /// Stored only where it holds.
    pub guard: Option<Expr>,
}

/// A scatter: stores over a domain, in row-major order.
#[derive(Clone, Copy)]
pub struct ScatterFn {
    /// Sizes of the domain.
    pub domain: fn(&Infer) -> Vec<kiln_graph::Dim>,
    /// The store at an index of the domain.
    pub store: fn(&mut Element, index: &[Expr]) -> ScatterStore,
}

/// The call of a runtime algorithm: `kiln_rt1_<symbol>(operands...)`.
pub type ExternFn = fn(&mut Infer) -> ExternCall;

/// A runtime call over contiguous buffers.
#[derive(Clone, Debug)]
pub struct ExternCall {
    /// Name without `kiln_rt1_`.
    pub symbol: &'static str,
    /// Operands in order.
    pub operands: Vec<ExternOperand>,
    /// Bytes of zeroed scratch memory, for [`ExternOperand::Scratch`].
    pub scratch: kiln_graph::Dim,
    /// Whether the context comes first and its status is tested afterwards.
    pub fallible: bool,
}

/// An operand of a runtime call.
#[derive(Clone, Debug)]
pub enum ExternOperand {
    /// The buffer of a tensor argument.
    Input(usize),
    /// The buffer of a result.
    Output(usize),
    /// A size or an int argument.
    Int(kiln_graph::Dim),
    /// A float.
    Float(f64),
    /// Scratch memory.
    Scratch,
}
