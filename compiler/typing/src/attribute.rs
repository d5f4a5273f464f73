//! Attributes: of objects, tensors, named tuples, enums, classes and modules.

use crate::body::Body;
use crate::builtins;
use crate::error;
use crate::overload::Args;
use crate::sugar::{Sugar, Typed};
use kiln_frontend::ast::Expr;
use kiln_graph::{ClassId, ClassKind, Initial, Literal, Op, Type, Value};
use kiln_ops::table;
use kiln_support::{Diagnostic, Span};

impl Body<'_, '_> {
    /// `value.name`.
    pub fn attribute_of(&mut self, value: &Expr, name: &str, at: Span) -> Typed<Sugar> {
        let object = self.sugar(value)?;
        self.attribute(object, name, at)
    }

    /// An attribute of anything.
    pub fn attribute(&mut self, object: Sugar, name: &str, at: Span) -> Typed<Sugar> {
        match object {
            Sugar::Namespace(path) => self.namespace_attribute(&path, name, at),
            Sugar::Class(class) => self.class_attribute(class, name, at),
            Sugar::Value(value) => self.value_attribute(value, name, at),
            Sugar::Type(ty) if ty.is_tensor() => Ok(Sugar::Operator(format!("aten::{name}"), None)),
            // One overload by name: `torch.ops.aten.add.Tensor`.
            Sugar::Operator(operator, None) => {
                let key = if name == "default" { operator.clone() } else { format!("{operator}.{name}") };
                match table().find(&key) {
                    Some(_) => Ok(Sugar::Operator(key, None)),
                    None => self.unknown_operator(&key, at),
                }
            }
            Sugar::Sequence(_) | Sugar::Iterable(_) => {
                let value = self.value_of(object, at)?;
                self.value_attribute(value, name, at)
            }
            other => Err(error("no-attribute", format!("{} has no attribute `{name}`", crate::expr::describe(&other)), at)),
        }
    }

    fn class_attribute(&mut self, class: ClassId, name: &str, at: Span) -> Typed<Sugar> {
        if name == "__new__" {
            return Ok(Sugar::Special("__new__", None));
        }
        let data = &self.session.program.classes[class];
        if data.kind == ClassKind::Enum && data.slot(name).is_some() {
            return Ok(Sugar::Value(self.add(Op::EnumValue(class, name.to_owned()), Vec::new(), Type::Class(class), at)));
        }
        if let Some(method) = data.method(name) {
            return Ok(Sugar::Function(method));
        }
        if let Some((literal, ty)) = self.session.class_constant(class, name) {
            return Ok(Sugar::Value(self.emit_literal(&literal, &ty, at)));
        }
        // Hooks of a module's class live in a unit named like it.
        let path = self.session.program.classes[class].name.clone();
        match self.session.function(&path, name)? {
            Some(func) => Ok(Sugar::Function(func)),
            None => Err(self.no_class_attribute(class, name, at)),
        }
    }

    fn no_class_attribute(&self, class: ClassId, name: &str, at: Span) -> Box<Diagnostic> {
        let class = &self.session.program.classes[class];
        let names = class.fields.iter().map(|f| f.name.as_str()).chain(class.methods.iter().map(|(n, _)| n.as_str()));
        let mut error = error("no-attribute", format!("class `{}` has no attribute `{name}`", class.name), at);
        error.help = kiln_support::suggest::did_you_mean(name, names);
        error
    }

    fn value_attribute(&mut self, value: Value, name: &str, at: Span) -> Typed<Sugar> {
        match self.ty(value).clone() {
            Type::Class(class) => self.object_attribute(value, class, name, at),
            Type::Tensor(_) => self.tensor_attribute(value, name, at),
            Type::Tuple(_) => match self.named_result(value, name) {
                Some(index) => Ok(Sugar::Value(self.tuple_get(value, index, at))),
                None => Err(self.no_attribute(value, name, at)),
            },
            Type::Device if matches!(name, "type" | "index") => {
                self.table_op(&format!("prim::{name}"), &[value], at).map(Sugar::Value)
            }
            Type::Future(_) if name == "wait" => Ok(Sugar::Special("wait", Some(value))),
            ty if ty.is_optional() => Err(self.no_attribute(value, name, at)),
            _ => self.builtin_method(value, name, at),
        }
    }

    fn tensor_attribute(&mut self, value: Value, name: &str, at: Span) -> Typed<Sugar> {
        if let Some(operator) = builtins::tensor_property(name) {
            return self.table_op(operator, &[value], at).map(Sugar::Value);
        }
        if let Some(dtype) = builtins::tensor_cast(name) {
            return Ok(Sugar::TensorCast(value, dtype));
        }
        if name == "tolist" {
            return Ok(Sugar::Special("tolist", Some(value)));
        }
        self.builtin_method(value, name, at)
    }

    /// A method that is an operator whose first argument is `self`.
    fn builtin_method(&mut self, value: Value, name: &str, at: Span) -> Typed<Sugar> {
        for namespace in ["aten", "prim"] {
            let operator = format!("{namespace}::{name}");
            if !table().overloads(&operator).is_empty() {
                return Ok(Sugar::Operator(operator, Some(value)));
            }
        }
        Err(self.no_attribute(value, name, at))
    }

    fn no_attribute(&self, value: Value, name: &str, at: Span) -> Box<Diagnostic> {
        let ty = self.ty(value);
        let mut error = error("no-attribute", format!("a value of type `{}` has no attribute `{name}`", self.show(ty)), at);
        if ty.is_optional() {
            error.help = Some("it may be None: check that first, with `if x is not None` or `assert x is not None`".into());
        } else {
            let aten = format!("aten::{name}");
            let near = kiln_support::suggest::near(&aten, table().names()).join("`, `");
            if !near.is_empty() {
                error.help = Some(format!("near names: `{}`", near.replace("aten::", "")));
            }
        }
        error
    }

    /// The position of a result that the operator's schema names, such as `torch.max(x, 0).values`.
    fn named_result(&self, tuple: Value, name: &str) -> Option<usize> {
        let tuple_node = &self.graph.nodes[self.graph.def_node(tuple)?];
        let producer = self.graph.def_node(*tuple_node.args.first()?)?;
        let producer = &self.graph.nodes[producer];
        match (&tuple_node.op, &producer.op) {
            (Op::Tuple(None), Op::Table(op)) if producer.results == tuple_node.args => {
                table().schema(*op).returns.iter().position(|r| r.name == name)
            }
            _ => None,
        }
    }

    fn object_attribute(&mut self, value: Value, class: ClassId, name: &str, at: Span) -> Typed<Sugar> {
        let data = &self.session.program.classes[class];
        match data.kind {
            ClassKind::Enum => return self.enum_attribute(value, class, name, at),
            ClassKind::NamedTuple => {
                return match data.slot(name) {
                    Some(slot) => Ok(Sugar::Value(self.tuple_get(value, slot, at))),
                    None => Err(self.no_class_attribute(class, name, at)),
                };
            }
            _ => {}
        }
        if let Some(func) = data.method(name) {
            if self.session.has_decorator(func, "staticmethod") {
                return Ok(Sugar::Function(func));
            }
            if self.session.has_decorator(func, "property") {
                return self.call_sugar(Sugar::Method(value, name.to_owned()), Args::default(), at);
            }
            return Ok(Sugar::Method(value, name.to_owned()));
        }
        if let Some(path) = self.session.class_alias(class, name) {
            return self.dotted_name(path, at);
        }
        if let Some((literal, ty)) = self.session.class_constant(class, name) {
            return Ok(Sugar::Value(self.emit_literal(&literal, &ty, at)));
        }
        match self.field_type(value, name) {
            Some(ty) => Ok(Sugar::Value(self.add(Op::GetAttr(name.to_owned()), vec![value], ty, at))),
            None if self.session.program.classes[class].kind == ClassKind::Custom => {
                if name == "unpack" {
                    return Ok(Sugar::Special("unpack", Some(value)));
                }
                let class = self.session.program.classes[class].name.clone();
                Err(crate::unsupported(
                    "custom-class",
                    format!("method `{name}` of the custom class `{class}` is not supported"),
                    at,
                ))
            }
            None => self.inherited(value, class, name, at),
        }
    }

    /// What every module and object answers without declaring it.
    fn inherited(&mut self, value: Value, class: ClassId, name: &str, at: Span) -> Typed<Sugar> {
        let is_module = self.session.program.classes[class].kind == ClassKind::Module;
        if let Some(error) = self.session.broken_methods.get(&(class, name.to_owned())) {
            return Err(error.clone());
        }
        if let Some(why) = self.session.refused_attribute(class, name) {
            return Err(error("no-attribute", format!("the attribute `{name}` cannot be read: {why}"), at));
        }
        match name {
            "values" | "children" if is_module => Ok(Sugar::Special("module_values", Some(value))),
            "items" | "named_children" if is_module => Ok(Sugar::Special("module_items", Some(value))),
            "keys" if is_module => Ok(Sugar::Special("module_keys", Some(value))),
            _ => Err(self.no_class_attribute(class, name, at)),
        }
    }

    /// The type of an attribute of an object.
    pub fn field_type(&self, object: Value, name: &str) -> Option<Type> {
        let Type::Class(class) = self.ty(object) else { return None };
        let class = &self.session.program.classes[*class];
        class.slot(name).map(|slot| class.fields[slot].ty.clone())
    }

    fn enum_attribute(&mut self, value: Value, class: ClassId, name: &str, at: Span) -> Typed<Sugar> {
        let operator = match name {
            "name" => "prim::EnumName",
            "value" => match self.enum_value_type(class) {
                Some(Type::Int) => "prim::EnumValue.int",
                Some(Type::Float) => "prim::EnumValue.float",
                Some(Type::Str) => "prim::EnumValue.str",
                _ => {
                    return Err(crate::unsupported(
                        "enum-value",
                        "the value of this enum is neither an int, a float nor a str",
                        at,
                    ));
                }
            },
            _ => return Err(self.no_class_attribute(class, name, at)),
        };
        let ty = if name == "name" { Type::Str } else { self.enum_value_type(class).unwrap_or(Type::Any) };
        Ok(Sugar::Value(self.add(Op::Table(table().get(operator)), vec![value], ty, at)))
    }

    fn enum_value_type(&self, class: ClassId) -> Option<Type> {
        match &self.session.program.classes[class].fields.first()?.initial {
            Some(Initial::Literal(Literal::Int(_))) => Some(Type::Int),
            Some(Initial::Literal(Literal::Float(_))) => Some(Type::Float),
            Some(Initial::Literal(Literal::Str(_))) => Some(Type::Str),
            _ => None,
        }
    }

    /// `object.name = value`.
    pub fn set_attribute(&mut self, object: Value, name: &str, value: Value, at: Span) -> Typed<()> {
        let Some(ty) = self.field_type(object, name) else {
            return match self.ty(object) {
                Type::Class(class) => Err(self.no_class_attribute(*class, name, at)),
                ty => Err(error("no-attribute", format!("attributes of a `{}` cannot be set", self.show(ty)), at)),
            };
        };
        // No tensor becomes a number by being kept.
        if self.ty(value).is_tensor() && matches!(ty, Type::Int | Type::Float | Type::Bool) {
            let message = format!("the attribute `{name}` is a `{}`: a tensor cannot be assigned to it", self.show(&ty));
            return Err(Box::new(Diagnostic::model("type-mismatch", message).at(at).help("write int(x), float(x) or bool(x)")));
        }
        let value = self.fit(value, &ty, at)?;
        self.graph.add_node(self.block, Op::SetAttr(name.to_owned()), vec![object, value], Vec::new(), at);
        Ok(())
    }

    /// A numbered constant of the archive.
    pub fn archive_constant(&mut self, name: &str, at: Span) -> Typed<Sugar> {
        let index = name.strip_prefix('c').and_then(|n| n.parse::<usize>().ok());
        let constants = self.session.constants;
        match index.and_then(|i| constants.get(i)) {
            Some(item) => self.constant_item(item, at).map(Sugar::Value),
            None => Err(error("unknown-constant", format!("the archive has no constant `{name}`"), at)),
        }
    }
}
