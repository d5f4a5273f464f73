//! Classes: method resolution, attributes of a class, enums and named tuples.

use crate::arguments::Keywords;
use crate::evaluator::{Eval, Evaluator, Frame, error, unsupported};
use crate::statements::dotted;
use crate::value::{Class, ClassKind, Function, Member, Object, Value};
use kiln_frontend::ast::{ClassDef, FunctionDef};
use kiln_support::Span;
use std::cell::RefCell;
use std::rc::Rc;

/// `torch.nn.Module`, whose methods are in `modules.rs`.
pub fn module_class() -> Rc<Class> {
    let class = Rc::new(Class {
        name: "Module".into(),
        unit: Rc::from("torch.nn"),
        def: None,
        mro: RefCell::default(),
        kind: ClassKind::Module,
    });
    class.mro.borrow_mut().push(class.clone());
    class
}

impl Evaluator<'_> {
    /// A class of a unit.
    pub fn class(&mut self, unit: &str, name: &str) -> Eval<Rc<Class>> {
        let path = format!("{unit}.{name}");
        if let Some(class) = self.classes.get(&path) {
            return Ok(class.clone());
        }
        let def = self.units[unit].classes[name].clone();
        if let Some((span, foreign)) = def.foreign.first() {
            return Err(Box::new(foreign.error(*span)));
        }
        if let Some(&span) = self.units[unit].patched.get(name) {
            return Err(unsupported(format!("assigning an attribute of the class `{name}` is not supported"), span));
        }
        if let Some(decorator) = def.decorators.iter().find(|decorator| !is_known_class_decorator(decorator)) {
            return Err(unsupported("a class with a decorator of your own is not supported", decorator.span));
        }
        let mut bases = Vec::new();
        let mut kind = ClassKind::Plain;
        for base in &def.bases {
            let value = self.deeper(base.span, |evaluator| evaluator.expr(base, &mut Frame::of_unit(Rc::from(unit))))?;
            match value {
                Value::Class(class) => {
                    kind = class.kind;
                    bases.push(class);
                }
                Value::Path(path) => {
                    kind = match &*path {
                        "enum.Enum" | "enum.IntEnum" | "enum.Flag" => ClassKind::Enum,
                        "typing.NamedTuple" => ClassKind::NamedTuple,
                        "builtins.object" | "abc.ABC" | "typing.Generic" | "typing.Protocol" => kind,
                        _ => return Err(unsupported(format!("a class that derives from `{path}` is not supported"), base.span)),
                    };
                }
                _ => return Err(unsupported("a class can only derive from classes", base.span)),
            }
        }
        if def.decorators.iter().any(|d| dotted(d).is_some_and(|path| path.ends_with("interface"))) {
            kind = ClassKind::Interface;
        }
        let class = Rc::new(Class { name: name.to_owned(), unit: Rc::from(unit), def: Some(def), mro: RefCell::default(), kind });
        let order = resolution_order(&class, &bases);
        *class.mro.borrow_mut() = order;
        self.classes.insert(path, class.clone());
        Ok(class)
    }

    /// An attribute that a class or one of its bases defines: a method, or a value in the class body.
    pub fn class_attribute(&mut self, class: &Rc<Class>, name: &str, at: Span) -> Eval<Option<Value>> {
        let order = class.mro.borrow().clone();
        self.attribute_in(&order, name, at)
    }

    /// The same, looking after `after` in the order of `object`'s class.
    pub fn super_attribute(&mut self, after: &Rc<Class>, object: &Object, name: &str, at: Span) -> Eval<Option<Value>> {
        let order = object.class.mro.borrow().clone();
        let from = order.iter().position(|class| Rc::ptr_eq(class, after)).map_or(0, |i| i + 1);
        self.attribute_in(&order[from..], name, at)
    }

    fn attribute_in(&mut self, order: &[Rc<Class>], name: &str, at: Span) -> Eval<Option<Value>> {
        for class in order {
            let Some(def) = class.def.clone() else {
                if crate::modules::is_method(name) {
                    return Ok(Some(Value::path(format!("torch.nn.Module.{name}"))));
                }
                continue;
            };
            if let Some(method) = def.methods.iter().find(|method| method.name == name) {
                let function = Function { unit: class.unit.clone(), def: Rc::new(method.clone()), class: Some(class.clone()) };
                return Ok(Some(Value::Function(Rc::new(function))));
            }
            if let Some(value) = def.fields.iter().rev().find(|field| field.name == name).and_then(|field| field.value.as_ref()) {
                if let Some(known) = self.defaults.get(&value.span) {
                    return Ok(Some(known.clone()));
                }
                let unit = class.unit.clone();
                let found = self.deeper(at, |evaluator| evaluator.expr(value, &mut Frame::of_unit(unit)))?;
                self.defaults.insert(value.span, found.clone());
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A class's function as an attribute of an object.
    pub fn bind(&self, value: Value, receiver: Value) -> Value {
        match value {
            Value::Function(function) if is_decorated(&function.def, "staticmethod") => Value::Function(function),
            Value::Function(function) if is_decorated(&function.def, "classmethod") => {
                let class = match receiver {
                    Value::Object(object) => Value::Class(object.class.clone()),
                    other => other,
                };
                Value::Method(Box::new(class), function)
            }
            Value::Function(function) => Value::Method(Box::new(receiver), function),
            Value::Path(path) => match path.strip_prefix("torch.nn.Module.") {
                Some(name) => Value::builtin(receiver, name),
                None => Value::Path(path),
            },
            other => other,
        }
    }

    /// `Class(...)` of a named tuple or a data class: an object with a value for each field.
    pub fn with_fields(&mut self, class: &Rc<Class>, args: Vec<Value>, mut keywords: Keywords, at: Span) -> Eval<Value> {
        let def = class.def.clone().expect("such classes have a definition");
        let object = Object::new(class.clone());
        let mut given = args.into_iter();
        for field in def.fields.iter().filter(|field| field.annotation.is_some()) {
            let by_name = keywords.iter().position(|(name, _)| *name == field.name);
            let value = match (given.next(), by_name, &field.value) {
                (Some(value), None, _) => value,
                (None, Some(i), _) => keywords.remove(i).1,
                (None, None, Some(default)) => {
                    let value = self.expr(default, &mut Frame::of_unit(class.unit.clone()))?;
                    if matches!(value, Value::List(_) | Value::Dict(_) | Value::Object(_)) {
                        return Err(unsupported("a default value that can be changed is not supported here", field.span));
                    }
                    value
                }
                _ => return Err(error("bad-arguments", format!("`{}`: `{}` is missing", class.name, field.name), at)),
            };
            object.set(&field.name, value);
        }
        let rest = given.count();
        if let (false, _) | (_, Some(_)) = (rest == 0, keywords.first()) {
            let what =
                keywords.first().map_or_else(|| format!("{rest} arguments too many"), |(name, _)| format!("no field `{name}`"));
            return Err(error("bad-arguments", format!("`{}`: {what}", class.name), at));
        }
        Ok(Value::Object(Rc::new(object)))
    }

    /// The member of an enum of a name.
    pub fn member(&mut self, class: &Rc<Class>, name: &str, at: Span) -> Eval<Option<Value>> {
        Ok(self.class_attribute(class, name, at)?.map(|value| match value {
            Value::Function(_) => value,
            value => Value::Member(Rc::new(Member { class: class.clone(), name: name.to_owned(), value })),
        }))
    }

    /// All members of an enum.
    pub fn members(&mut self, class: &Rc<Class>, at: Span) -> Eval<Vec<Value>> {
        let (Some(def), ClassKind::Enum) = (class.def.clone(), class.kind) else {
            return Err(unsupported(format!("class `{}` cannot be iterated over", class.name), at));
        };
        let mut out = Vec::new();
        for field in def.fields.iter().filter(|field| field.value.is_some()) {
            out.extend(self.member(class, &field.name, at)?);
        }
        Ok(out)
    }

    /// `Color("red")`.
    pub fn member_of_value(&mut self, class: &Rc<Class>, args: &[Value], at: Span) -> Eval<Value> {
        let members = self.members(class, at)?;
        let found = members.into_iter().find(|member| match (member, args) {
            (Value::Member(member), [value]) => member.value.equals(value),
            _ => false,
        });
        found.ok_or_else(|| error("raised", format!("this is not a value of `{}`", class.name), at))
    }
}

/// Depth first, each class after all that derive from it.
fn resolution_order(class: &Rc<Class>, bases: &[Rc<Class>]) -> Vec<Rc<Class>> {
    let mut order = vec![class.clone()];
    let all: Vec<Rc<Class>> = bases.iter().flat_map(|base| base.mro.borrow().clone()).collect();
    for (i, base) in all.iter().enumerate() {
        if !all[i + 1..].iter().any(|later| Rc::ptr_eq(later, base)) {
            order.push(base.clone());
        }
    }
    order
}

/// Whether a function is decorated with a name, whatever the module it comes from.
pub fn is_decorated(def: &FunctionDef, name: &str) -> bool {
    def.decorators.iter().any(|d| dotted(d).is_some_and(|path| path.rsplit('.').next() == Some(name)))
}

/// Whether a class is a data class, whose constructor follows from its fields.
pub fn is_data_class(class: &Class) -> bool {
    let is_named = |decorator: &kiln_frontend::ast::Expr| decorator_name(decorator).as_deref() == Some("dataclass");
    class.def.as_ref().is_some_and(|def| def.decorators.iter().any(is_named))
}

fn is_known_class_decorator(decorator: &kiln_frontend::ast::Expr) -> bool {
    matches!(decorator_name(decorator).as_deref(), Some("script" | "interface" | "dataclass" | "final" | "unused" | "ignore"))
}

/// The last part of a decorator's name.
fn decorator_name(decorator: &kiln_frontend::ast::Expr) -> Option<String> {
    let callee = if let kiln_frontend::ast::ExprKind::Call { func, .. } = &decorator.kind { func } else { decorator };
    dotted(callee).and_then(|path| path.rsplit('.').next().map(str::to_owned))
}

/// The fields that a class body annotates.
pub fn annotated_fields(def: &ClassDef) -> impl Iterator<Item = (&str, &kiln_frontend::ast::Expr)> {
    def.fields.iter().filter_map(|field| field.annotation.as_ref().map(|annotation| (field.name.as_str(), annotation)))
}
