//! Classes: declared when their name is first met, with typed attributes and the signatures of all methods.
//!
//! A class is allocated before its attributes are typed, so that classes may refer to each other.

use crate::annotation::dotted;
use crate::session::{Dialect, Session, qualified};
use crate::sugar::Typed;
use kiln_frontend::ast::{ClassDef, Expr, ExprKind, FunctionDef, StmtKind};
use kiln_graph::{Class, ClassId, ClassKind, Field, FuncId, Initial, Literal, Type};
use kiln_support::Span;

/// Where `torch.classes` live.
const CUSTOM: &str = "__torch__.torch.classes.";

impl<'s> Session<'s> {
    /// The class that `path` names in `unit`: a full path, or a name of the unit itself.
    pub fn class_by_path(&mut self, path: &str, unit: &str) -> Typed<Option<ClassId>> {
        if let Some(found) = self.class_in(unit, path)? {
            return Ok(Some(found));
        }
        if path.starts_with(CUSTOM) {
            return Ok(Some(self.custom_class(path)));
        }
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        if let Some(imported) = self.import(unit, first) {
            let full = rest.map_or(imported.clone(), |rest| format!("{imported}.{rest}"));
            if full != path {
                return self.nested(Span::NONE, |session| session.class_by_path(&full, ""));
            }
        }
        match path.rsplit_once('.') {
            Some((unit, name)) => self.class_in(unit, name),
            None => Ok(None),
        }
    }

    fn class_in(&mut self, unit: &str, name: &str) -> Typed<Option<ClassId>> {
        let path = qualified(unit, name);
        if let Some(&id) = self.class_ids.get(&path) {
            return Ok(Some(id));
        }
        let Some(&def) = self.units.get(unit).and_then(|u| u.classes.get(name)) else {
            return Ok(None);
        };
        if let Some((span, foreign)) = def.foreign.first() {
            return Err(Box::new(foreign.error(*span)));
        }
        let class = Class { name: path.clone(), kind: kind_of(def), fields: Vec::new(), methods: Vec::new(), span: def.span };
        let id = self.program.classes.push(class);
        self.class_ids.insert(path, id);
        self.class_defs.insert(id, (unit.to_owned(), def));
        self.new_classes.push(id);
        self.complete_classes()?;
        Ok(Some(id))
    }

    /// A class of `torch.classes`, known by name only.
    pub fn custom_class(&mut self, path: &str) -> ClassId {
        if let Some(&id) = self.class_ids.get(path) {
            return id;
        }
        let class =
            Class { name: path.to_owned(), kind: ClassKind::Custom, fields: Vec::new(), methods: Vec::new(), span: Span::NONE };
        let id = self.program.classes.push(class);
        self.class_ids.insert(path.to_owned(), id);
        id
    }

    /// Types attributes and signatures of the classes allocated so far, without recursion.
    fn complete_classes(&mut self) -> Typed<()> {
        if self.completing {
            return Ok(());
        }
        self.completing = true;
        let mut result = Ok(());
        while let Some(id) = self.new_classes.pop() {
            let (unit, def) = self.class_defs[&id].clone();
            let done = self.complete_fields(id, &unit, def).and_then(|()| self.complete_methods(id, &unit, def));
            if result.is_ok() {
                result = done;
            }
        }
        self.completing = false;
        result
    }

    fn complete_fields(&mut self, id: ClassId, unit: &str, def: &'s ClassDef) -> Typed<()> {
        let kind = self.program.classes[id].kind;
        for field in &def.fields {
            if field.name.starts_with("__") && field.name.ends_with("__") {
                continue;
            }
            let typed = match (&field.annotation, &field.value) {
                (Some(annotation), value) => {
                    let ty = self.type_of(annotation, unit)?;
                    let is_constant = kind == ClassKind::NamedTuple || is_final(annotation);
                    let initial = match value {
                        Some(value) if is_constant => Some(Initial::Literal(self.constant(value, &ty, unit)?)),
                        _ => None,
                    };
                    Field { name: field.name.clone(), ty, initial }
                }
                (None, Some(value)) => self.inferred_field(&field.name, value)?,
                (None, None) => continue,
            };
            self.program.classes[id].fields.push(typed);
        }
        if kind == ClassKind::Plain && self.units[unit].dialect == Dialect::Source {
            self.fields_of_init(id, unit, def)?;
        }
        Ok(())
    }

    /// `RED = 1` of an enum, or a class constant.
    fn inferred_field(&mut self, name: &str, value: &Expr) -> Typed<Field> {
        let (literal, ty) = crate::constants::infer(value)?;
        Ok(Field { name: name.to_owned(), ty, initial: Some(Initial::Literal(literal)) })
    }

    /// Attributes of a class in a source are what its `__init__` assigns with a type that can be read off:
    /// an annotated `self.x: T = ...`, or a parameter's name, or a literal.
    fn fields_of_init(&mut self, id: ClassId, unit: &str, def: &'s ClassDef) -> Typed<()> {
        let Some(init) = def.methods.iter().find(|m| m.name == "__init__") else { return Ok(()) };
        for stmt in &init.body {
            let StmtKind::Assign { targets, annotation, value: Some(value) } = &stmt.kind else { continue };
            let [Expr { kind: ExprKind::Attribute { value: object, name }, .. }] = targets.as_slice() else { continue };
            if !matches!(&object.kind, ExprKind::Name(n) if n == "self") || self.program.classes[id].slot(name).is_some() {
                continue;
            }
            let ty = match annotation {
                Some(annotation) => self.type_of(annotation, unit)?,
                None => self.type_of_initializer(value, init, unit)?,
            };
            self.program.classes[id].fields.push(Field { name: name.clone(), ty, initial: None });
        }
        Ok(())
    }

    fn type_of_initializer(&mut self, value: &'s Expr, init: &'s FunctionDef, unit: &str) -> Typed<Type> {
        if let ExprKind::Name(name) = &value.kind
            && let Some(param) = init.params.iter().find(|p| p.name == *name)
        {
            return param.annotation.as_ref().map_or(Ok(Type::TENSOR), |a| self.type_of(a, unit));
        }
        if let Ok((_, ty)) = crate::constants::infer(value) {
            return Ok(ty);
        }
        if let ExprKind::Call { func, .. } = &value.kind
            && let Some(path) = dotted(func)
            && let Some(class) = self.class_by_path(&path, unit)?
        {
            return Ok(Type::Class(class));
        }
        Ok(Type::TENSOR)
    }

    fn complete_methods(&mut self, id: ClassId, unit: &str, def: &'s ClassDef) -> Typed<()> {
        let class_name = self.program.classes[id].name.clone();
        let own = def.methods.iter().map(|method| (unit, method));
        for (unit, method) in own.chain(def.inherited.iter().map(|(unit, method)| (unit.as_str(), method))) {
            let name = format!("{class_name}.{}", method.name);
            let receiver = (!is_decorated(method, "staticmethod")).then_some(id);
            match self.declare(method, unit, name, receiver) {
                Ok(func) => self.program.classes[id].methods.push((method.name.clone(), func)),
                // A source may have methods that no model runs.
                Err(error) if self.units[unit].dialect == Dialect::Source => {
                    self.broken_methods.insert((id, method.name.clone()), error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether a function of the program is decorated with a name.
    pub fn has_decorator(&self, func: FuncId, name: &str) -> bool {
        self.declared.get(&func).is_some_and(|declared| is_decorated(declared.def, name))
    }

    /// Why an attribute of a class cannot be held.
    pub fn refused_attribute(&self, class: ClassId, name: &str) -> Option<&'s str> {
        let (_, def) = self.class_defs.get(&class)?;
        def.refused.iter().find(|(own, _)| own == name).map(|(_, why)| why.as_str())
    }

    /// The full path of what an attribute of a class stands for.
    pub fn class_alias(&self, class: ClassId, name: &str) -> Option<&'s str> {
        let (_, def) = self.class_defs.get(&class)?;
        def.aliases.iter().find(|(alias, _)| alias == name).map(|(_, path)| path.as_str())
    }

    /// The literal value of a class constant.
    pub fn class_constant(&self, class: ClassId, name: &str) -> Option<(Literal, Type)> {
        let class = &self.program.classes[class];
        let field = &class.fields[class.slot(name)?];
        match (&field.initial, class.kind) {
            (_, ClassKind::NamedTuple | ClassKind::Enum) => None,
            (Some(Initial::Literal(literal)), _) => Some((literal.clone(), field.ty.clone())),
            _ => None,
        }
    }
}

fn kind_of(def: &ClassDef) -> ClassKind {
    let bases: Vec<String> = def.bases.iter().filter_map(dotted).collect();
    let has = |name: &str| bases.iter().any(|b| b == name || b.ends_with(&format!(".{name}")));
    if has("Enum") || has("IntEnum") {
        ClassKind::Enum
    } else if has("NamedTuple") {
        ClassKind::NamedTuple
    } else if has("Interface") || has("ModuleInterface") {
        ClassKind::Interface
    } else if has("Module") {
        ClassKind::Module
    } else {
        ClassKind::Plain
    }
}

fn is_decorated(def: &FunctionDef, name: &str) -> bool {
    def.decorators.iter().any(|d| dotted(d).is_some_and(|path| path.rsplit('.').next() == Some(name)))
}

fn is_final(annotation: &Expr) -> bool {
    matches!(&annotation.kind, ExprKind::Subscript { value, .. } if dotted(value).is_some_and(|n| n.ends_with("Final")))
}
