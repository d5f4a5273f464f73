//! Calls of runtime functions for operators on strings and containers.
//!
//! How an argument travels is read from the function's own signature in the runtime's table: a parameter
//! `x_tag` followed by `x_bits` takes any value, one of a single word takes a scalar or an object, or an
//! optional int whose absence is [`abi::NO_INDEX`]; a last parameter `out` receives a result of any type.

use crate::lower::{Bound, Lowering, Place, R, internal, unsupported};
use crate::rep::{Rep, rep, tag_of};
use kiln_graph::{Node, OpId, Type, Value};
use kiln_loops::plan::{Access, LocalType, Operand, ScalarOp, Stmt};
use kiln_loops::{BinaryOp, UnaryOp};
use kiln_rt::abi::{self, tag};
use kiln_rt::export::{Kind, Symbol};
use kiln_support::DType;

/// A parameter of a runtime function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Param {
    Context,
    /// One word or float.
    Single(Kind),
    /// Tag and bits.
    Value,
    /// An array of values and its length.
    Values,
    /// Where the result goes.
    Out,
}

/// The function `kiln_rt1_<name>`.
fn symbol(name: &str) -> Option<&'static Symbol> {
    kiln_rt::SYMBOLS.iter().find(|s| s.name.strip_prefix("kiln_rt1_") == Some(name))
}

/// The parameters of a function, from its signature text (`ctx: *mut Context, x_tag: u64, ...`).
fn params(symbol: &Symbol) -> Vec<Param> {
    let text = symbol.signature.split("->").next().unwrap_or("");
    let named: Vec<(&str, &str)> = text.split(',').filter_map(|p| p.split_once(':')).map(|(n, t)| (n.trim(), t.trim())).collect();
    let mut params = Vec::new();
    let mut at = 0;
    while let Some(&(name, ty)) = named.get(at) {
        let next = named.get(at + 1).map(|(name, _)| *name);
        let param = match name {
            "ctx" => Param::Context,
            "out" => Param::Out,
            _ if name.ends_with("_tag") && next.is_some_and(|n| n.ends_with("_bits")) => Param::Value,
            "values" if ty.contains("Value") => Param::Values,
            _ => Param::Single(symbol.params[at]),
        };
        at += if matches!(param, Param::Value | Param::Values) { 2 } else { 1 };
        params.push(param);
    }
    params
}

impl Lowering<'_> {
    /// An operator that is a function of the runtime.
    pub fn runtime_node(&mut self, node: Node, op: OpId, name: &'static str, fallible: bool) -> R<()> {
        let Some(symbol) = symbol(name) else {
            return Err(internal(&format!("the runtime has no function `{name}`"), self.span()));
        };
        let data = &self.graph.nodes[node];
        let schema = kiln_ops::table().schema(op);
        let (mut args, mut rest, mut out) = (Vec::new(), data.args.as_slice(), None);
        let mut temporaries = Vec::new();
        for param in params(symbol) {
            match param {
                Param::Context => args.push(Operand::Context),
                Param::Out => {
                    let slot = Operand::Slot(self.slot(16), 0);
                    args.push(slot);
                    out = Some(slot);
                }
                Param::Values => args.extend(self.value_array(std::mem::take(&mut rest))?),
                Param::Single(kind) => {
                    let value = self.next_argument(&mut rest, name)?;
                    args.push(self.single(value, kind, &mut temporaries)?);
                }
                Param::Value => {
                    let value = self.next_argument(&mut rest, name)?;
                    let (tag, bits) = self.words(value)?;
                    args.extend([tag, bits]);
                }
            }
        }
        // Trailing arguments that the function does not have must be at their defaults.
        let first = data.args.len() - rest.len();
        for (i, &value) in rest.iter().enumerate() {
            let default = schema.args.get(first + i).and_then(|a| a.default.as_ref());
            if default.is_none() || self.graph.as_const(value) != default {
                return Err(unsupported(&format!("argument {} of `{}`", first + i, schema.key()), self.span()));
            }
        }
        let wants = symbol.result.filter(|_| !data.results.is_empty());
        let local = wants.map(|kind| self.local(if kind == Kind::F64 { LocalType::F64 } else { LocalType::Int }));
        self.push(Stmt::Runtime { name, args, result: local, fallible });
        for object in temporaries {
            self.release(Bound::Object(object));
        }
        match (data.results.as_slice(), out, local) {
            ([], _, _) => Ok(()),
            (&[result], Some(slot), _) => self.bind_loaded(result, slot, 0, true),
            (&[result], None, Some(local)) => self.bind_returned(result, Operand::Local(local)),
            // `a += b` on lists gives the list itself.
            (&[result], None, None) if schema.returns.first().is_some_and(|r| r.alias.as_ref().is_some_and(|a| a.write)) => {
                let own = self.bound(data.args[0])?;
                self.retain(own);
                self.bind_owned(result, own);
                Ok(())
            }
            _ => Err(internal(&format!("the results of `{name}`"), self.span())),
        }
    }

    fn next_argument(&mut self, rest: &mut &[Value], name: &str) -> R<Value> {
        let (&value, tail) =
            rest.split_first().ok_or_else(|| internal(&format!("too few arguments for `{name}`"), self.span()))?;
        *rest = tail;
        Ok(value)
    }

    /// Binds what a function returned by itself.
    fn bind_returned(&mut self, result: Value, word: Operand) -> R<()> {
        let bound = match rep(self.graph.ty(result)) {
            Some(Rep::Int | Rep::Float) => Bound::Scalar(word),
            Some(Rep::Bool) => Bound::Scalar(self.int_binary(BinaryOp::Ne, word, Operand::Int(0))),
            Some(Rep::Object) => Bound::Object(word),
            Some(Rep::Nothing) => Bound::Nothing,
            _ => return Err(internal("a result of any type that is returned by itself", self.span())),
        };
        self.bind_owned(result, bound);
        Ok(())
    }

    /// An argument of one word.
    fn single(&mut self, value: Value, kind: Kind, temporaries: &mut Vec<Operand>) -> R<Operand> {
        if let Some(items) = self.graph.as_const(value).filter(|l| matches!(l, kiln_graph::Literal::List(_))) {
            let list = self.constant_list(items, self.graph.ty(value))?;
            temporaries.push(list);
            return Ok(list);
        }
        Ok(match self.bound(value)? {
            Bound::Scalar(operand) if kind == Kind::F64 => self.as_float(value, operand),
            Bound::Scalar(operand) => self.as_word(value, operand),
            Bound::Object(object) => object,
            Bound::Nothing if kind == Kind::I64 => Operand::Int(abi::NO_INDEX),
            Bound::Nothing if *self.graph.ty(value) == Type::Device => Operand::Data(self.shared.data.device("cpu"), 0),
            Bound::Nothing => Operand::Int(0),
            Bound::Tagged(tag, bits) if kind == Kind::I64 => {
                let absent = self.int_binary(BinaryOp::Eq, tag, Operand::Int(tag::NONE as i64));
                self.scalar(ScalarOp::Select, vec![absent, Operand::Int(abi::NO_INDEX), bits], LocalType::Int)
            }
            // A null pointer stands for None.
            Bound::Tagged(tag, bits) if kind == Kind::Pointer => {
                let absent = self.int_binary(BinaryOp::Eq, tag, Operand::Int(tag::NONE as i64));
                self.scalar(ScalarOp::Select, vec![absent, Operand::Int(0), bits], LocalType::Int)
            }
            other => return Err(internal(&format!("{value} ({other:?}) as an argument of the runtime"), self.span())),
        })
    }

    fn as_float(&mut self, value: Value, operand: Operand) -> Operand {
        match self.graph.ty(value) {
            Type::Float => operand,
            _ => self.scalar(ScalarOp::Cast(DType::F64), vec![operand], LocalType::F64),
        }
    }

    /// A scalar as 64 bits: a bool as 0 or 1, a float as its bits.
    pub fn as_word(&mut self, value: Value, operand: Operand) -> Operand {
        match (self.graph.ty(value), operand) {
            (Type::Bool, Operand::Bool(b)) => Operand::Int(i64::from(b)),
            (Type::Bool, _) => self.scalar(ScalarOp::Cast(DType::I64), vec![operand], LocalType::Int),
            (Type::Float, Operand::F64(f)) => Operand::Int(f.to_bits() as i64),
            (Type::Float, _) => self.scalar(ScalarOp::FloatBits, vec![operand], LocalType::Int),
            _ => operand,
        }
    }

    /// Tag and bits of a value; no reference is taken.
    pub fn words(&mut self, value: Value) -> R<(Operand, Operand)> {
        let ty = self.graph.ty(value);
        let tag = Operand::Int(tag_of(ty, &self.model.program) as i64);
        Ok(match self.bound(value)? {
            Bound::Nothing if *ty == Type::Device => (tag, Operand::Data(self.shared.data.device("cpu"), 0)),
            Bound::Nothing => (Operand::Int(tag::NONE as i64), Operand::Int(0)),
            Bound::Scalar(operand) => (tag, self.as_word(value, operand)),
            Bound::Object(object) => (tag, object),
            Bound::Tagged(tag, bits) => (tag, bits),
            Bound::Tensor(Place::Object(object)) => (tag, object),
            Bound::Tensor(_) => return Err(internal(&format!("{value} is a tensor that is not boxed"), self.span())),
        })
    }

    /// An array of values on the stack, as address and length; no references are taken.
    pub fn value_array(&mut self, values: &[Value]) -> R<[Operand; 2]> {
        let array = Operand::Slot(self.slot(16 * values.len()), 0);
        for (i, &value) in values.iter().enumerate() {
            let (tag, bits) = self.words(value)?;
            self.store(array, 16 * i, tag);
            self.store(array, 16 * i + 8, bits);
        }
        Ok([array, Operand::Int(values.len() as i64)])
    }

    /// Binds a value to a runtime `Value` in memory. `is_owned` tells whether its reference becomes the value's; otherwise
    /// a new one is made.
    pub fn bind_loaded(&mut self, result: Value, base: Operand, offset: usize, is_owned: bool) -> R<()> {
        let bound = self.load_value(self.graph.ty(result), base, offset)?;
        if !is_owned {
            self.retain(bound);
        }
        self.bind_owned(result, bound);
        Ok(())
    }

    /// Loads a runtime `Value` that is of a type.
    pub fn load_value(&mut self, ty: &Type, base: Operand, offset: usize) -> R<Bound> {
        let span = self.span();
        let rep = rep(ty).ok_or_else(|| internal("a value of a type that cannot be held", span))?;
        if rep == Rep::Nothing {
            return Ok(Bound::Nothing);
        }
        let bits = self.load(base, offset + 8, Access::Word);
        Ok(match rep {
            Rep::Tagged => Bound::Tagged(self.load(base, offset, Access::Word), bits),
            Rep::Tensor => return Err(internal("a tensor with facts in a container", span)),
            _ => self.payload(rep, bits),
        })
    }

    /// The value of given bits.
    pub fn payload(&mut self, rep: Rep, bits: Operand) -> Bound {
        match rep {
            Rep::Nothing => Bound::Nothing,
            Rep::Float => Bound::Scalar(self.scalar(ScalarOp::BitsFloat, vec![bits], LocalType::F64)),
            Rep::Bool => Bound::Scalar(self.int_binary(BinaryOp::Ne, bits, Operand::Int(0))),
            Rep::Int => Bound::Scalar(bits),
            _ => Bound::Object(bits),
        }
    }

    /// The negation of a bool.
    pub fn not(&mut self, test: Operand) -> Operand {
        self.scalar(ScalarOp::Unary(UnaryOp::Not), vec![test], LocalType::Bool)
    }
}
