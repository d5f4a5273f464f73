//! What is known of an operator's arguments, and sizes computed from it.

use kiln_graph::{Dim, Literal, TensorType, Value};
use kiln_loops::BinaryOp;
use kiln_support::DType;

/// What is known of an argument.
#[derive(Clone, Debug)]
pub enum Fact {
    /// `None`.
    None,
    /// A tensor.
    Tensor(TensorType),
    /// An int.
    Int(Dim),
    /// A float: its value, or where it is at run time.
    Float(Result<f64, Value>),
    /// A bool: its value, or where it is at run time.
    Bool(Result<bool, Value>),
    /// A string.
    Str(String),
    /// A list (or tuple) of known length.
    List(Vec<Fact>),
    /// Anything that no shape depends on (a device, a generator, a list of unknown length).
    Opaque,
}

/// Why an operator cannot be applied to its arguments.
#[derive(Clone, PartialEq, Debug)]
pub enum OpError {
    /// PyTorch raises here too: the exception's class and message.
    Raise { class: &'static str, message: String },
    /// kiln cannot do it yet.
    Unsupported(String),
}

impl OpError {
    /// A `RuntimeError`.
    pub fn raise<T>(message: impl Into<String>) -> Result<T, OpError> {
        Err(OpError::Raise { class: "RuntimeError", message: message.into() })
    }

    /// An `IndexError`.
    pub fn index<T>(message: impl Into<String>) -> Result<T, OpError> {
        Err(OpError::Raise { class: "IndexError", message: message.into() })
    }

    /// Not supported yet.
    pub fn unsupported<T>(what: impl Into<String>) -> Result<T, OpError> {
        Err(OpError::Unsupported(what.into()))
    }
}

/// Arithmetic on sizes: folded where constant, otherwise int nodes in the residual graph.
pub trait DimMath {
    /// `a op b` on ints.
    fn binary(&mut self, op: BinaryOp, a: Dim, b: Dim) -> Dim;
    /// The common size of broadcast operands, at least one of them known only at run time: the other one where
    /// one is 1, else both, which must be equal; raises `message` otherwise.
    /// The default is stricter: it wants equal sizes.
    fn broadcast(&mut self, a: Dim, b: Dim, message: &str) -> Dim {
        self.require_equal(a, b, message);
        if matches!(a, Dim::Const(_)) { a } else { b }
    }
    /// A run-time check that `a == b`; raises `message` otherwise.
    fn require_equal(&mut self, a: Dim, b: Dim, message: &str);
}

/// The arguments of an operator, seen by its rules.
pub struct Infer<'a> {
    /// Facts, one per schema argument (variable arguments after them).
    pub args: &'a [Fact],
    /// Arithmetic on sizes.
    pub dims: &'a mut dyn DimMath,
}

impl Infer<'_> {
    /// The type of a tensor argument. Panics when the argument is none: the schema says it is.
    pub fn tensor(&self, at: usize) -> &TensorType {
        match &self.args[at] {
            Fact::Tensor(ty) => ty,
            other => panic!("argument {at} is {other:?}, not a tensor"),
        }
    }

    /// The type of an optional tensor argument.
    pub fn opt_tensor(&self, at: usize) -> Option<&TensorType> {
        match &self.args[at] {
            Fact::Tensor(ty) => Some(ty),
            _ => None,
        }
    }

    /// The tensors of a tensor-list argument.
    pub fn tensors(&self, at: usize) -> Vec<&TensorType> {
        match &self.args[at] {
            Fact::List(items) => items.iter().filter_map(|f| if let Fact::Tensor(ty) = f { Some(ty) } else { None }).collect(),
            other => panic!("argument {at} is {other:?}, not a list of tensors"),
        }
    }

    /// Whether an argument is None.
    pub fn is_none(&self, at: usize) -> bool {
        matches!(self.args[at], Fact::None)
    }

    /// An int argument, maybe known only at run time.
    pub fn dim(&self, at: usize) -> Result<Dim, OpError> {
        match &self.args[at] {
            Fact::Int(dim) => Ok(*dim),
            other => OpError::unsupported(format!("argument {at} ({other:?}) as an int")),
        }
    }

    /// An int argument that must be known when compiling.
    pub fn int(&self, at: usize) -> Result<i64, OpError> {
        match self.dim(at)? {
            Dim::Const(value) => Ok(value),
            Dim::Value(_) => OpError::unsupported(format!("an int (argument {at}) that is known only at run time")),
        }
    }

    /// An optional int argument that must be known when compiling.
    pub fn opt_int(&self, at: usize) -> Result<Option<i64>, OpError> {
        if self.is_none(at) { Ok(None) } else { self.int(at).map(Some) }
    }

    /// A bool argument that must be known when compiling.
    pub fn bool(&self, at: usize) -> Result<bool, OpError> {
        match &self.args[at] {
            Fact::Bool(Ok(value)) => Ok(*value),
            _ => OpError::unsupported(format!("a bool (argument {at}) that is known only at run time")),
        }
    }

    /// A list of ints, each maybe known only at run time.
    pub fn dim_list(&self, at: usize) -> Result<Vec<Dim>, OpError> {
        let Fact::List(items) = &self.args[at] else {
            return OpError::unsupported(format!("a list (argument {at}) whose length is known only at run time"));
        };
        items
            .iter()
            .map(|f| if let Fact::Int(d) = f { Ok(*d) } else { OpError::unsupported("a list of other than ints") })
            .collect()
    }

    /// A list of ints that must be known when compiling.
    pub fn ints(&self, at: usize) -> Result<Vec<i64>, OpError> {
        let dims = self.dim_list(at)?;
        let known: Option<Vec<i64>> = dims.iter().map(|d| d.as_const()).collect();
        known.map_or_else(|| OpError::unsupported(format!("ints (argument {at}) that are known only at run time")), Ok)
    }

    /// An optional element type argument (a `ScalarType?`).
    pub fn opt_dtype(&self, at: usize) -> Result<Option<DType>, OpError> {
        match self.opt_int(at)? {
            None => Ok(None),
            Some(code) => match DType::from_code(code) {
                Some(dtype) => Ok(Some(dtype)),
                None => OpError::unsupported(format!("element type {code}")),
            },
        }
    }

    /// An axis argument wrapped into `0..rank` (a scalar counts as rank 1), or the IndexError that PyTorch raises.
    pub fn axis(&self, at: usize, rank: usize) -> Result<usize, OpError> {
        wrap_axis(self.int(at)?, rank)
    }

    /// Requires two sizes to be equal, now or at run time.
    pub fn require_equal(&mut self, a: Dim, b: Dim, message: &str) -> Result<(), OpError> {
        match (a, b) {
            (a, b) if a == b => Ok(()),
            (Dim::Const(_), Dim::Const(_)) => OpError::raise(message),
            (a, b) => {
                self.dims.require_equal(a, b, message);
                Ok(())
            }
        }
    }

    /// Requires a size to be at most another one, now or at run time.
    pub fn require_at_most(&mut self, size: Dim, limit: Dim, message: &str) -> Result<(), OpError> {
        match (size, limit) {
            (a, b) if a == b => Ok(()),
            (Dim::Const(a), Dim::Const(b)) if a <= b => Ok(()),
            (size, limit) => {
                let smaller = self.dims.binary(BinaryOp::Min, size, limit);
                self.require_equal(smaller, size, message)
            }
        }
    }

    /// `a + b`.
    pub fn add(&mut self, a: Dim, b: Dim) -> Dim {
        self.dims.binary(BinaryOp::Add, a, b)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Dim, b: Dim) -> Dim {
        self.dims.binary(BinaryOp::Sub, a, b)
    }

    /// `a * b`.
    pub fn mul(&mut self, a: Dim, b: Dim) -> Dim {
        self.dims.binary(BinaryOp::Mul, a, b)
    }

    /// `a / b`, rounded down.
    pub fn floor_div(&mut self, a: Dim, b: Dim) -> Dim {
        self.dims.binary(BinaryOp::FloorDiv, a, b)
    }

    /// The product of sizes.
    pub fn product(&mut self, dims: &[Dim]) -> Dim {
        dims.iter().fold(Dim::Const(1), |product, &d| self.mul(product, d))
    }

    /// Row-major strides of sizes.
    pub fn contiguous_strides(&mut self, dims: &[Dim]) -> Vec<Dim> {
        let mut strides = vec![Dim::Const(1); dims.len()];
        for i in (1..dims.len()).rev() {
            let size = match dims[i] {
                Dim::Const(n) => Dim::Const(n.max(1)),
                size => self.dims.binary(BinaryOp::Max, size, Dim::Const(1)),
            };
            strides[i - 1] = self.mul(strides[i], size);
        }
        strides
    }

    /// The common shape of broadcast operands.
    pub fn broadcast(&mut self, shapes: &[&[Dim]]) -> Result<Vec<Dim>, OpError> {
        let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
        let mut out = vec![Dim::Const(1); rank];
        for shape in shapes {
            for (i, &dim) in shape.iter().enumerate() {
                let at = rank - shape.len() + i;
                out[at] = self.broadcast_dim(out[at], dim, at)?;
            }
        }
        Ok(out)
    }

    /// Requires a shape to fit into another one by broadcasting, now or at run time.
    pub fn require_broadcast(&mut self, shape: &[Dim], into: &[Dim], message: &str) -> Result<(), OpError> {
        if shape.len() > into.len() {
            return OpError::raise(message);
        }
        for (&own, &wanted) in shape.iter().rev().zip(into.iter().rev()).filter(|(own, _)| **own != Dim::Const(1)) {
            match (own, wanted) {
                (Dim::Const(_), wanted) => self.require_equal(own, wanted, message)?,
                (own, wanted) if own == wanted => {}
                (own, wanted) => {
                    let common = self.dims.broadcast(own, wanted, message);
                    self.require_equal(common, wanted, message)?;
                }
            }
        }
        Ok(())
    }

    fn broadcast_dim(&mut self, a: Dim, b: Dim, at: usize) -> Result<Dim, OpError> {
        match (a, b) {
            (Dim::Const(1), other) | (other, Dim::Const(1)) => Ok(other),
            (a, b) if a == b => Ok(a),
            (Dim::Const(x), Dim::Const(y)) => OpError::raise(format!(
                "The size of tensor a ({x}) must match the size of tensor b ({y}) at non-singleton dimension {at}"
            )),
            (a, b) => Ok(self.dims.broadcast(
                a,
                b,
                &format!("The size of tensor a must match the size of tensor b at non-singleton dimension {at}"),
            )),
        }
    }
}

/// Wraps an axis into `0..rank`; a scalar counts as rank 1.
pub fn wrap_axis(axis: i64, rank: usize) -> Result<usize, OpError> {
    let n = rank.max(1) as i64;
    if axis < -n || axis >= n {
        return OpError::index(format!(
            "Dimension out of range (expected to be in range of [{}, {}], but got {axis})",
            -n,
            n - 1
        ));
    }
    Ok(if axis < 0 { axis + n } else { axis } as usize)
}

/// The literal that a fact is, where all of it is known.
pub fn fact_literal(fact: &Fact) -> Option<Literal> {
    Some(match fact {
        Fact::None => Literal::None,
        Fact::Int(Dim::Const(i)) => Literal::Int(*i),
        Fact::Float(Ok(f)) => Literal::Float(*f),
        Fact::Bool(Ok(b)) => Literal::Bool(*b),
        Fact::Str(s) => Literal::Str(s.clone()),
        Fact::List(items) => Literal::List(items.iter().map(fact_literal).collect::<Option<_>>()?),
        _ => return None,
    })
}
