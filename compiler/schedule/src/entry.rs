//! The entry of a method: what the outside passes is checked before anything is read from it.
//!
//! Arguments are runtime `Value`s. Each is checked for its tag, a tensor also for element type, rank and
//! sizes, a container for what is in it, so that a wrong argument is an error with a text and never a wild
//! read. The result is one `Value`, whose reference the caller gets.

use crate::lower::{Bound, Lowering, R, internal, unsupported};
use crate::rep::{Rep, rep, tag_of};
use kiln_graph::{ClassKind, Dim, Graph, Op, Program, ResidualMethod, TensorType, Type, Value};
use kiln_loops::BinaryOp;
use kiln_loops::plan::{Access, DimDesc, LocalType, Operand, ParamDesc, ScalarOp, Stmt, TypeDesc};
use kiln_rt::abi::{self, status, tag};
use kiln_support::DType;
use std::collections::HashMap;
use std::mem::offset_of;

/// Size of a runtime `Value`.
const VALUE: usize = size_of::<abi::Value>();

/// The name of a symbolic size.
fn symbol(graph: &Graph, size: Value) -> String {
    graph.values.get(size).and_then(|data| data.name.clone()).unwrap_or_else(|| size.to_string())
}

/// A parameter's declared type with its symbols as they are in the graph: those of the unboxed tensor. Where the graph
/// does not unbox the parameter, its sizes are symbols of their own.
fn present_type(graph: &Graph, param: Value, declared: &Type) -> Type {
    let Type::Tensor(Some(facts)) = declared else { return declared.clone() };
    let unboxed = graph.blocks[graph.entry].nodes.iter().find_map(|&node| {
        let data = &graph.nodes[node];
        let is_own = matches!(data.op, Op::Unbox) && data.args[0] == param;
        is_own.then(|| graph.ty(data.results[0]).as_tensor()).flatten()
    });
    let Some(unboxed) = unboxed.filter(|u| u.rank() == facts.rank()) else { return declared.clone() };
    let dims = facts.dims.iter().zip(&unboxed.dims).map(|(own, now)| match own {
        Dim::Const(_) => *own,
        Dim::Value(_) => *now,
    });
    Type::tensor(facts.dtype, dims.collect())
}

/// `[1, 3, N]`.
pub fn shape_text(graph: &Graph, ty: &TensorType) -> String {
    let dims: Vec<String> = ty
        .dims
        .iter()
        .map(|d| match d {
            Dim::Const(n) => n.to_string(),
            Dim::Value(v) => symbol(graph, *v),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}

/// `a float32 tensor of shape [1, 3, N]`.
pub fn tensor_text(graph: &Graph, ty: &TensorType) -> String {
    let name = ty.dtype.torch_name();
    let article = if name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {name} tensor of shape {}", shape_text(graph, ty))
}

/// A type in an error text.
fn type_text(graph: &Graph, program: &Program, ty: &Type) -> String {
    match ty {
        Type::Tensor(Some(facts)) => tensor_text(graph, facts),
        Type::Tensor(None) => "a tensor".into(),
        other => other.display(program).to_string(),
    }
}

/// A type as the outside sees it.
pub fn describe(graph: &Graph, program: &Program, ty: &Type) -> TypeDesc {
    let inner = |ty: &Type| describe(graph, program, ty);
    match ty {
        Type::None => TypeDesc::None,
        Type::Bool => TypeDesc::Bool,
        Type::Int => TypeDesc::Int,
        Type::Float => TypeDesc::Float,
        Type::Str => TypeDesc::Str,
        Type::Tensor(None) => TypeDesc::AnyTensor,
        Type::Tensor(Some(facts)) => {
            let dims = facts.dims.iter().map(|d| match d {
                Dim::Const(n) => DimDesc::Const(*n),
                Dim::Value(v) => DimDesc::Symbol(symbol(graph, *v)),
            });
            TypeDesc::Tensor(facts.dtype, dims.collect())
        }
        Type::Optional(some) => TypeDesc::Optional(Box::new(inner(some))),
        Type::List(elem) => TypeDesc::List(Box::new(inner(elem))),
        Type::Dict(types) => TypeDesc::Dict(Box::new(inner(&types.0)), Box::new(inner(&types.1))),
        Type::Tuple(items) => TypeDesc::Tuple(items.iter().map(inner).collect(), None),
        Type::Class(class) if program.classes[*class].kind == ClassKind::NamedTuple => {
            let class = &program.classes[*class];
            let short = class.name.rsplit('.').next().unwrap_or(&class.name).to_owned();
            let names = class.fields.iter().map(|f| f.name.clone()).collect();
            TypeDesc::Tuple(class.fields.iter().map(|f| inner(&f.ty)).collect(), Some((short, names)))
        }
        _ => TypeDesc::Any,
    }
}

/// What checks of one argument share.
struct Check {
    /// What to say when it fails.
    text: kiln_loops::plan::DataId,
    /// Whether the value is reached on every call, so that its sizes can define symbols.
    is_always_there: bool,
}

/// Sizes of symbols that arguments have defined so far.
type Symbols = HashMap<String, Operand>;

impl Lowering<'_> {
    /// Checks and binds the arguments, lowers the body, and writes the result.
    pub fn lower_method(&mut self, method: &ResidualMethod) -> R<()> {
        let entry = &self.graph.blocks[self.graph.entry];
        if entry.params.len() != method.params.len() {
            return Err(internal("the parameters of a method do not fit its graph", self.span()));
        }
        let types: Vec<Type> =
            method.params.iter().zip(&entry.params).map(|((_, ty), &p)| present_type(self.graph, p, ty)).collect();
        let describe = |ty: &Type| describe(self.graph, &self.model.program, ty);
        self.method.name = method.name.clone();
        self.method.params =
            method.params.iter().zip(&types).map(|((name, _), ty)| ParamDesc { name: name.clone(), ty: describe(ty) }).collect();
        self.method.result = describe(&method.result);
        let mut symbols = Symbols::new();
        self.declared = entry.params.iter().copied().zip(types.iter().cloned()).collect();
        for (at, ((name, _), ty)) in method.params.iter().zip(&types).enumerate() {
            self.argument(at, name, ty, entry.params[at], &mut symbols)?;
        }
        self.block(self.graph.entry)?;
        if !entry.diverges {
            self.at_end(self.graph.entry, |cx| cx.write_result(entry.yields.first().copied()))?;
            self.push(Stmt::Return);
        }
        Ok(())
    }

    /// Lowers the graph that sets the state.
    pub fn lower_init(&mut self) -> R<()> {
        self.method.name = "init".into();
        self.block(self.graph.entry)?;
        self.push(Stmt::Return);
        Ok(())
    }

    /// Whether the entry has checked that an argument is a tensor of a type, apart from sizes that are read from it.
    pub fn is_checked_argument(&self, value: Value, ty: &TensorType) -> bool {
        let Some(Type::Tensor(Some(declared))) = self.declared.get(&value) else { return false };
        let fits = |(d, t): (&Dim, &Dim)| match (d, t) {
            (Dim::Const(a), Dim::Const(b)) => a == b,
            (_, Dim::Value(v)) if self.is_read_here(*v) => true,
            (Dim::Value(a), Dim::Value(b)) => symbol(self.graph, *a) == symbol(self.graph, *b),
            _ => false,
        };
        declared.dtype == ty.dtype && declared.rank() == ty.rank() && declared.dims.iter().zip(&ty.dims).all(fits)
    }

    /// Whether a value is a tensor as the caller passed it: in the caller's memory, so that a copy is returned.
    fn is_tensor_parameter(&self, value: Value) -> bool {
        self.graph.ty(value).is_tensor() && self.graph.blocks[self.graph.entry].params.contains(&value)
    }

    /// Whether a size is a result of the present node.
    fn is_read_here(&self, size: Value) -> bool {
        let node = self.graph.def_node(size);
        node.is_some_and(|n| self.structure.block_of(n) == self.here.0 && self.structure.position(n) + 1 == self.here.1)
    }

    fn write_result(&mut self, value: Option<Value>) -> R<()> {
        let (tag, bits) = match value {
            None => (Operand::Int(tag::NONE as i64), Operand::Int(0)),
            Some(value) if self.graph.ty(value).as_tensor().is_some() => {
                (Operand::Int(tag::TENSOR as i64), self.tensor_object(value)?)
            }
            Some(value) if self.is_tensor_parameter(value) => {
                let object = self.object_of(value)?;
                (Operand::Int(tag::TENSOR as i64), self.try_call_for("tensor_clone", vec![object]))
            }
            Some(value) => {
                self.take(value)?;
                self.words(value)?
            }
        };
        self.release_dying();
        let is_counted =
            value.and_then(|value| rep(self.graph.ty(value))).is_some_and(|rep| rep == Rep::Tensor || rep.is_counted());
        if is_counted && !self.is_plain {
            self.try_call("give_away", vec![tag, bits]);
        }
        self.store(Operand::Result, 0, tag);
        self.store(Operand::Result, 8, bits);
        Ok(())
    }

    fn argument(&mut self, at: usize, name: &str, ty: &Type, param: Value, symbols: &mut Symbols) -> R<()> {
        let span = self.span();
        let rep = rep(self.graph.ty(param)).filter(|&r| r != Rep::Tensor);
        let rep = rep.ok_or_else(|| unsupported(&format!("argument `{name}` of its type"), span))?;
        let text = format!("argument `{name}`: expected {}", type_text(self.graph, &self.model.program, ty));
        let check = Check { text: self.shared.data.text(&text), is_always_there: true };
        if rep == Rep::Nothing {
            self.bind(param, Bound::Nothing);
            return Ok(());
        }
        let own_tag = self.load(Operand::Args, VALUE * at, Access::Word);
        let bits = self.load(Operand::Args, VALUE * at + 8, Access::Word);
        if rep == Rep::Float {
            let value = self.float_argument(own_tag, bits, &check)?;
            self.bind(param, Bound::Scalar(value));
            return Ok(());
        }
        self.check_value((own_tag, bits), ty, &check, symbols)?;
        let bound = if rep == Rep::Tagged { Bound::Tagged(own_tag, bits) } else { self.payload(rep, bits) };
        self.bind(param, bound);
        Ok(())
    }

    /// A float, or an int that is converted.
    fn float_argument(&mut self, own_tag: Operand, bits: Operand, check: &Check) -> R<Operand> {
        let result = self.local(LocalType::F64);
        let is_int = self.int_binary(BinaryOp::Eq, own_tag, Operand::Int(tag::INT as i64));
        let then = self.nested(|cx| {
            let value = cx.scalar(ScalarOp::Cast(DType::F64), vec![bits], LocalType::F64);
            cx.set(result, value);
            Ok(())
        })?;
        let orelse = self.nested(|cx| {
            cx.check_word(own_tag, tag::FLOAT as i64, check);
            let value = cx.scalar(ScalarOp::BitsFloat, vec![bits], LocalType::F64);
            cx.set(result, value);
            Ok(())
        })?;
        self.push(Stmt::If { test: is_int, then, orelse });
        Ok(Operand::Local(result))
    }

    fn fail_unless(&mut self, test: Operand, check: &Check) {
        let fail = Stmt::Fail { status: status::BAD_ARGUMENT, text: Some(check.text) };
        self.push(Stmt::If { test, then: Vec::new(), orelse: vec![fail] });
    }

    fn check_word(&mut self, word: Operand, expected: i64, check: &Check) {
        let test = self.int_binary(BinaryOp::Eq, word, Operand::Int(expected));
        self.fail_unless(test, check);
    }

    /// Checks that a value is of a type, all that is inside included.
    fn check_value(&mut self, value: (Operand, Operand), ty: &Type, check: &Check, symbols: &mut Symbols) -> R<()> {
        match ty {
            Type::Any => return Ok(()),
            Type::Optional(_) | Type::Union(_) | Type::Number => return self.check_members(value, ty, check, symbols),
            _ => {}
        }
        let expected = tag_of(ty, &self.model.program);
        if expected == tag::ANY {
            return Err(unsupported("an argument of such a type", self.span()));
        }
        self.check_word(value.0, expected as i64, check);
        self.check_inside(value.1, ty, check, symbols)
    }

    /// Checks that a value is of one of a type's members.
    fn check_members(&mut self, (own, bits): (Operand, Operand), ty: &Type, check: &Check, symbols: &mut Symbols) -> R<()> {
        let members = if *ty == Type::Number { vec![Type::Int, Type::Float, Type::Bool] } else { ty.members() };
        let found = self.local(LocalType::Bool);
        self.set(found, Operand::Bool(false));
        let inner = Check { is_always_there: false, ..*check };
        for member in &members {
            let expected = Operand::Int(tag_of(member, &self.model.program) as i64);
            let test = self.int_binary(BinaryOp::Eq, own, expected);
            let then = self.nested(|cx| {
                cx.set(found, Operand::Bool(true));
                cx.check_inside(bits, member, &inner, symbols)
            })?;
            self.push(Stmt::If { test, then, orelse: Vec::new() });
        }
        self.fail_unless(Operand::Local(found), check);
        Ok(())
    }

    /// Checks what is inside an object whose tag fits.
    fn check_inside(&mut self, object: Operand, ty: &Type, check: &Check, symbols: &mut Symbols) -> R<()> {
        match ty {
            Type::Tensor(Some(facts)) => self.check_argument_tensor(object, facts, check, symbols),
            Type::List(elem) => self.check_list(object, elem, check, symbols),
            Type::Dict(types) => self.check_dict(object, types, check, symbols),
            Type::Tuple(items) => self.check_tuple(object, items, check, symbols),
            Type::Class(class) => {
                let class = &self.model.program.classes[*class];
                if class.kind != ClassKind::NamedTuple {
                    return Err(unsupported(&format!("an argument of class `{}`", class.name), self.span()));
                }
                let items: Vec<Type> = class.fields.iter().map(|f| f.ty.clone()).collect();
                self.check_tuple(object, &items, check, symbols)
            }
            _ => Ok(()),
        }
    }

    fn check_argument_tensor(&mut self, object: Operand, ty: &TensorType, check: &Check, symbols: &mut Symbols) -> R<()> {
        let head = self.tensor_head_test(object, ty);
        self.fail_unless(head, check);
        for (axis, &dim) in ty.dims.iter().enumerate() {
            let size = self.load(object, offset_of!(abi::Tensor, dims) + 8 * axis, Access::Word);
            match dim {
                Dim::Const(n) => self.check_word(size, n, check),
                Dim::Value(v) => {
                    let name = symbol(self.graph, v);
                    match symbols.get(&name) {
                        Some(&known) => {
                            let test = self.int_binary(BinaryOp::Eq, size, known);
                            self.fail_unless(test, check);
                        }
                        None if check.is_always_there => drop(symbols.insert(name, size)),
                        None => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn check_tuple(&mut self, tuple: Operand, items: &[Type], check: &Check, symbols: &mut Symbols) -> R<()> {
        let len = self.load(tuple, offset_of!(abi::Tuple, len), Access::Word);
        self.check_word(len, items.len() as i64, check);
        for (i, item) in items.iter().enumerate() {
            let at = offset_of!(abi::Tuple, items) + VALUE * i;
            let own = self.load(tuple, at, Access::Word);
            let bits = self.load(tuple, at + 8, Access::Word);
            self.check_value((own, bits), item, check, symbols)?;
        }
        Ok(())
    }

    fn check_list(&mut self, list: Operand, elem: &Type, check: &Check, symbols: &mut Symbols) -> R<()> {
        let len = self.load(list, offset_of!(abi::List, len), Access::Word);
        let items = self.load(list, offset_of!(abi::List, items), Access::Word);
        self.for_each(items, len, VALUE, |cx, item| {
            let inner = Check { is_always_there: false, ..*check };
            let (own, bits) = (cx.load(item, 0, Access::Word), cx.load(item, 8, Access::Word));
            cx.check_value((own, bits), elem, &inner, symbols)
        })
    }

    fn check_dict(&mut self, dict: Operand, types: &(Type, Type), check: &Check, symbols: &mut Symbols) -> R<()> {
        let used = self.load(dict, offset_of!(abi::Dict, used), Access::Word);
        let entries = self.load(dict, offset_of!(abi::Dict, entries), Access::Word);
        self.for_each(entries, used, size_of::<abi::Entry>(), |cx, entry| {
            let inner = Check { is_always_there: false, ..*check };
            let live = cx.load(entry, offset_of!(abi::Entry, live), Access::Word);
            let test = cx.int_binary(BinaryOp::Ne, live, Operand::Int(0));
            let then = cx.nested(|cx| {
                for (at, ty) in [(offset_of!(abi::Entry, key), &types.0), (offset_of!(abi::Entry, value), &types.1)] {
                    let (own, bits) = (cx.load(entry, at, Access::Word), cx.load(entry, at + 8, Access::Word));
                    cx.check_value((own, bits), ty, &inner, symbols)?;
                }
                Ok(())
            })?;
            cx.push(Stmt::If { test, then, orelse: Vec::new() });
            Ok(())
        })
    }

    /// A loop over an array of `len` records.
    fn for_each(&mut self, base: Operand, len: Operand, bytes: usize, body: impl FnOnce(&mut Self, Operand) -> R<()>) -> R<()> {
        let record = self.local(LocalType::Int);
        self.set(record, base);
        self.counted_loop(Operand::Int(0), len, |cx, _| {
            body(cx, Operand::Local(record))?;
            let next = cx.int_binary(BinaryOp::Add, Operand::Local(record), Operand::Int(bytes as i64));
            cx.set(record, next);
            Ok(())
        })
    }
}
