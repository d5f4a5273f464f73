//! Run-time objects: lists, dicts, tuples, class instances, tagged values, state, printing and raising.

use crate::lower::{Bound, Lowering, R, internal, unsupported};
use crate::rep::{Rep, rep, tag_of};
use kiln_graph::{ClassId, Initial, Literal, Node, Op, Type, Value};
use kiln_loops::BinaryOp;
use kiln_loops::plan::{Access, LocalType, Operand, ScalarOp, Stmt};
use kiln_rt::abi::{self, tag};
use std::mem::offset_of;

/// Where item `i` of a tuple or field `i` of an object stands: both hold their values at the same offset.
fn item_offset(i: usize) -> usize {
    const { assert!(offset_of!(abi::Tuple, items) == offset_of!(abi::Object, fields)) };
    offset_of!(abi::Tuple, items) + 16 * i
}

impl Lowering<'_> {
    /// A node on run-time objects.
    pub fn object_node(&mut self, node: Node) -> R<()> {
        let data = &self.graph.nodes[node];
        match &data.op {
            Op::List => self.make_list(node),
            Op::Dict => self.make_dict(node),
            Op::Tuple(class) => self.make_tuple(node, *class),
            Op::TupleGet(at) => self.get_item(node, *at as usize),
            Op::ListUnpack => self.unpack_list(node),
            Op::New(class) => self.make_object(node, *class),
            Op::GetAttr(name) => {
                let slot = self.slot_of(data.args[0], name)?;
                self.get_item(node, slot)
            }
            Op::SetAttr(name) => self.set_attribute(node, name),
            Op::EnumValue(class, member) => self.enum_value(node, *class, member),
            Op::Wrap | Op::Unwrap | Op::Cast | Op::Annotate => self.convert(node),
            Op::IsInstance(types) => self.is_instance(node, types),
            Op::Uninit => self.uninit(node),
            Op::StateLoad(state) => self.bind_loaded(self.graph.result(node), Operand::State(state.0), 0, false),
            Op::StateStore(state) => self.store_state(node, state.0),
            other => Err(internal(&format!("{other:?} has no place in a residual graph"), self.span())),
        }
    }

    /// A constant list that is used as an object is made where it stands.
    pub fn lower_const(&mut self, node: Node, literal: &Literal) -> R<()> {
        let result = self.graph.result(node);
        if matches!(literal, Literal::List(_)) && !self.structure.is_attribute(self.graph, result) {
            let list = self.constant_list(literal, self.graph.ty(result))?;
            self.bind_owned(result, Bound::Object(list));
        }
        Ok(())
    }

    /// A new list of constants, of the static type given.
    pub fn constant_list(&mut self, literal: &Literal, ty: &Type) -> R<Operand> {
        let (Literal::List(items), Type::List(elem)) = (literal, ty) else {
            return Err(internal("a constant list without a list type", self.span()));
        };
        let array = Operand::Slot(self.slot(16 * items.len()), 0);
        for (i, item) in items.iter().enumerate() {
            let (tag, bits) = match item {
                Literal::Int(v) => (tag::INT, Operand::Int(*v)),
                Literal::Bool(v) => (tag::BOOL, Operand::Int(i64::from(*v))),
                Literal::Float(v) => (tag::FLOAT, Operand::Int(v.to_bits() as i64)),
                Literal::Str(v) => (tag::STR, Operand::Data(self.shared.data.string(v), 0)),
                _ => return Err(unsupported("a constant list of such items as an object", self.span())),
            };
            self.store(array, 16 * i, Operand::Int(tag as i64));
            self.store(array, 16 * i + 8, bits);
        }
        let elem = Operand::Int(tag_of(elem, &self.model.program) as i64);
        Ok(self.try_call_for("list_from", vec![array, Operand::Int(items.len() as i64), elem]))
    }

    fn make_list(&mut self, node: Node) -> R<()> {
        let result = self.graph.result(node);
        let Type::List(elem) = self.graph.ty(result) else {
            return Err(internal("a list node of another type", self.span()));
        };
        let [array, len] = self.value_array(&self.graph.nodes[node].args)?;
        let elem = Operand::Int(tag_of(elem, &self.model.program) as i64);
        let list = self.try_call_for("list_from", vec![array, len, elem]);
        self.bind_owned(result, Bound::Object(list));
        Ok(())
    }

    fn make_dict(&mut self, node: Node) -> R<()> {
        let result = self.graph.result(node);
        let Type::Dict(types) = self.graph.ty(result) else {
            return Err(internal("a dict node of another type", self.span()));
        };
        let tags = [&types.0, &types.1].map(|ty| Operand::Int(tag_of(ty, &self.model.program) as i64));
        let dict = self.try_call_for("dict_new", tags.to_vec());
        for pair in self.graph.nodes[node].args.chunks_exact(2) {
            let (key, value) = (self.words(pair[0])?, self.words(pair[1])?);
            self.try_call("dict_set", vec![dict, key.0, key.1, value.0, value.1]);
        }
        self.bind_owned(result, Bound::Object(dict));
        Ok(())
    }

    fn make_tuple(&mut self, node: Node, class: Option<ClassId>) -> R<()> {
        let result = self.graph.result(node);
        let class = class.or(match self.graph.ty(result) {
            Type::Class(class) => Some(*class),
            _ => None,
        });
        let [array, len] = self.value_array(&self.graph.nodes[node].args)?;
        let names = match class {
            Some(class) => self.tuple_names(class),
            None => Operand::Int(0),
        };
        let tuple = self.try_call_for("tuple_new", vec![array, len, names]);
        self.bind_owned(result, Bound::Object(tuple));
        Ok(())
    }

    /// The type and field names of a named tuple, as the runtime prints them.
    fn tuple_names(&mut self, class: ClassId) -> Operand {
        let class = &self.model.program.classes[class];
        let short = class.name.rsplit('.').next().unwrap_or(&class.name).to_owned();
        let names: Vec<String> = [short].into_iter().chain(class.fields.iter().map(|f| f.name.clone())).collect();
        Operand::Data(self.shared.data.names(&names), 0)
    }

    fn get_item(&mut self, node: Node, at: usize) -> R<()> {
        let tuple = self.object_of(self.graph.nodes[node].args[0])?;
        self.bind_loaded(self.graph.result(node), tuple, item_offset(at), false)
    }

    fn unpack_list(&mut self, node: Node) -> R<()> {
        let data = &self.graph.nodes[node];
        let list = self.object_of(data.args[0])?;
        self.try_call("list_check_len", vec![list, Operand::Int(data.results.len() as i64)]);
        let items = self.load(list, offset_of!(abi::List, items), Access::Word);
        for (i, &result) in data.results.iter().enumerate() {
            self.bind_loaded(result, items, 16 * i, false)?;
        }
        Ok(())
    }

    // Class instances.

    /// The immortal string with a class's name, by whose address objects know their class.
    pub fn class_name(&mut self, class: ClassId) -> Operand {
        Operand::Data(self.shared.data.string(&self.model.program.classes[class].name), 0)
    }

    fn slot_of(&self, object: Value, name: &str) -> R<usize> {
        let Type::Class(class) = self.graph.ty(object) else {
            return Err(internal(&format!("attribute `{name}` of something else than an object"), self.span()));
        };
        let slot = self.model.program.classes[*class].slot(name);
        slot.ok_or_else(|| internal(&format!("no attribute `{name}`"), self.span()))
    }

    fn make_object(&mut self, node: Node, class: ClassId) -> R<()> {
        let name = self.class_name(class);
        let fields = self.model.program.classes[class].fields.len() as i64;
        let object = self.try_call_for("object_new", vec![name, Operand::Int(fields)]);
        self.bind_owned(self.graph.result(node), Bound::Object(object));
        Ok(())
    }

    fn set_attribute(&mut self, node: Node, name: &str) -> R<()> {
        let args = &self.graph.nodes[node].args;
        let slot = self.slot_of(args[0], name)?;
        let object = self.object_of(args[0])?;
        let (tag, bits) = self.words(args[1])?;
        self.try_call("object_set", vec![object, Operand::Int(slot as i64), tag, bits]);
        Ok(())
    }

    fn enum_value(&mut self, node: Node, class: ClassId, member: &str) -> R<()> {
        let model = self.model;
        let class = &model.program.classes[class];
        let initial = class.fields.iter().find(|f| f.name == member).and_then(|f| f.initial.as_ref());
        let value = match initial {
            Some(Initial::Literal(Literal::Int(i))) => (tag::INT, *i as u64, None),
            Some(Initial::Literal(Literal::Float(f))) => (tag::FLOAT, f.to_bits(), None),
            Some(Initial::Literal(Literal::Bool(b))) => (tag::BOOL, u64::from(*b), None),
            Some(Initial::Literal(Literal::Str(s))) => (tag::STR, 0, Some(self.shared.data.string(s))),
            _ => return Err(unsupported(&format!("enum member `{member}` with such a value"), self.span())),
        };
        let id = self.shared.data.enum_member(&class.name, member, value);
        self.bind(self.graph.result(node), Bound::Object(Operand::Data(id, 0)));
        Ok(())
    }

    // Tagged values.

    /// A value as one of another type: with a tag, without, or the same.
    fn convert(&mut self, node: Node) -> R<()> {
        let (value, result) = (self.graph.nodes[node].args[0], self.graph.result(node));
        let span = self.span();
        let wanted = rep(self.graph.ty(result)).ok_or_else(|| internal("a value of a type that cannot be held", span))?;
        let bound = self.bound(value)?;
        if matches!(bound, Bound::Tensor(_)) {
            return Err(internal("a tensor with facts is converted", span));
        }
        let converted = match (bound, wanted) {
            (_, Rep::Nothing) => Bound::Nothing,
            (Bound::Tagged(_, bits), rep) if rep != Rep::Tagged => self.payload(rep, bits),
            (Bound::Tagged(..), _) => bound,
            (_, Rep::Tagged) => {
                let (tag, bits) = self.words(value)?;
                Bound::Tagged(tag, bits)
            }
            _ => bound,
        };
        if crate::ownership::counted(converted) {
            self.take(value)?;
        }
        self.bind_owned(result, converted);
        Ok(())
    }

    fn is_instance(&mut self, node: Node, types: &[Type]) -> R<()> {
        let value = self.graph.nodes[node].args[0];
        let members = self.graph.ty(value).members();
        let (tag, bits) = self.words(value)?;
        let result = self.local(LocalType::Bool);
        self.set(result, Operand::Bool(false));
        for ty in types.iter().flat_map(Type::members) {
            self.instance_test(&ty, &members, (tag, bits), result)?;
        }
        self.bind(self.graph.result(node), Bound::Scalar(Operand::Local(result)));
        Ok(())
    }

    /// Sets `result` if a tagged value is of a type; `members` are the types it can be of.
    fn instance_test(
        &mut self,
        ty: &Type,
        members: &[Type],
        (tag, bits): (Operand, Operand),
        result: kiln_loops::plan::Local,
    ) -> R<()> {
        let expected = tag_of(ty, &self.model.program);
        if expected == tag::ANY {
            self.set(result, Operand::Bool(true));
            return Ok(());
        }
        let has_tag = self.int_binary(BinaryOp::Eq, tag, Operand::Int(expected as i64));
        let is_only = members.iter().filter(|m| tag_of(m, &self.model.program) == expected).count() == 1;
        let then = self.nested(|cx| {
            let test = match ty {
                Type::Class(class) if expected == tag::OBJECT && !(is_only && members.contains(ty)) => {
                    let own = cx.load(bits, offset_of!(abi::Object, class), Access::Word);
                    let name = cx.class_name(*class);
                    cx.int_binary(BinaryOp::Eq, own, name)
                }
                Type::List(elem) if !is_only => {
                    let own = cx.load(bits, offset_of!(abi::List, elem_type), Access::Word);
                    let wanted = tag_of(elem, &cx.model.program);
                    cx.int_binary(BinaryOp::Eq, own, Operand::Int(wanted as i64))
                }
                Type::Dict(types) if !is_only => {
                    let key = cx.load(bits, offset_of!(abi::Dict, key_type), Access::Word);
                    let value = cx.load(bits, offset_of!(abi::Dict, value_type), Access::Word);
                    let key = cx.int_binary(BinaryOp::Eq, key, Operand::Int(tag_of(&types.0, &cx.model.program) as i64));
                    let value = cx.int_binary(BinaryOp::Eq, value, Operand::Int(tag_of(&types.1, &cx.model.program) as i64));
                    cx.scalar(ScalarOp::Binary(BinaryOp::And), vec![key, value], LocalType::Bool)
                }
                _ => Operand::Bool(true),
            };
            let either = cx.scalar(ScalarOp::Binary(BinaryOp::Or), vec![Operand::Local(result), test], LocalType::Bool);
            cx.set(result, either);
            Ok(())
        })?;
        self.push(Stmt::If { test: has_tag, then, orelse: Vec::new() });
        Ok(())
    }

    /// A value that is never read.
    fn uninit(&mut self, node: Node) -> R<()> {
        let result = self.graph.result(node);
        let ty = self.graph.ty(result);
        let bound = match rep(ty) {
            Some(Rep::Nothing) => Bound::Nothing,
            Some(Rep::Int) => Bound::Scalar(Operand::Int(0)),
            Some(Rep::Bool) => Bound::Scalar(Operand::Bool(false)),
            Some(Rep::Float) => Bound::Scalar(Operand::F64(0.0)),
            Some(Rep::Object) => Bound::Object(Operand::Int(0)),
            Some(Rep::Tagged) => Bound::Tagged(Operand::Int(0), Operand::Int(0)),
            Some(Rep::Tensor) => {
                self.allocate(result, None)?;
                return Ok(());
            }
            None => return Err(internal("a value of a type that cannot be held", self.span())),
        };
        self.bind(result, bound);
        Ok(())
    }

    // State, printing, raising.

    fn store_state(&mut self, node: Node, slot: u32) -> R<()> {
        let value = self.graph.nodes[node].args[0];
        let state = Operand::State(slot);
        self.take(value)?;
        let (tag, bits) = self.words(value)?;
        let old_tag = self.load(state, 0, Access::Word);
        let old_bits = self.load(state, 8, Access::Word);
        self.store(state, 0, tag);
        self.store(state, 8, bits);
        self.release(Bound::Tagged(old_tag, old_bits));
        Ok(())
    }

    pub fn lower_print(&mut self, node: Node) -> R<()> {
        let args = self.value_array(&self.graph.nodes[node].args)?;
        self.try_call("print", args.to_vec());
        Ok(())
    }

    pub fn lower_raise(&mut self, node: Node, class: &str) -> R<()> {
        let Some(&message) = self.graph.nodes[node].args.first() else {
            let text = self.shared.data.text("");
            self.push(Stmt::Raise { text });
            return Ok(());
        };
        if let Some(Literal::Str(text)) = self.graph.as_const(message) {
            let text = self.shared.data.text(text);
            self.push(Stmt::Raise { text });
            return Ok(());
        }
        let message = self.object_of(message)?;
        let name = Operand::Data(self.shared.data.text(class), 0);
        self.try_call("raise", vec![message, name, Operand::Int(class.len() as i64)]);
        Ok(())
    }
}
