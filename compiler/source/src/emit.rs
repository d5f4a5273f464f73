//! The constructed module as an archive: objects, and a class for every kind of module.
//!
//! TorchScript types a module by what it holds: two instances of one Python class that hold different things get classes
//! of their own (`torch/jit/_recursive.py`, "concrete types"). The first keeps the name, others are numbered.

use crate::classes::{annotated_fields, is_decorated};
use crate::evaluator::{Eval, Evaluator, unsupported};
use crate::types::{dtype, infer, named, text_of};
use crate::value::{Class, ClassKind, Object, TensorValue, Value};
use kiln_frontend::ast::{ClassDef, Expr, ExprKind, FieldDef, FunctionDef, Item as AstItem, Param, SourceModule};
use kiln_frontend::model::{Archive, CodeFile, HeapId, HeapItem, Item, ObjectState, Storage, StorageId, TensorItem};
use kiln_frontend::python::Dialect;
use kiln_support::Span;
use kiln_support::tensor::contiguous_strides;
use std::collections::HashMap;
use std::rc::Rc;

/// Modules inside one another.
const MAX_DEPTH: usize = 200;

/// The archive of a root: a module, or a function to be called as `forward`.
pub fn archive(evaluator: &mut Evaluator, root: &Value) -> Eval<Archive> {
    let mut emitter = Emitter {
        archive: Archive { version: 3, ..Archive::default() },
        classes: HashMap::new(),
        kinds: Vec::new(),
        objects: HashMap::new(),
        storages: HashMap::new(),
        made: Vec::new(),
    };
    let item = match root {
        Value::Function(function) => emitter.function(&function.unit, &function.def),
        Value::Object(object) if object.class.kind == ClassKind::Module => {
            emitter.class_of(evaluator, object, 0)?;
            emitter.item(root)?
        }
        other => return Err(unsupported(format!("a model of type {} is not supported", other.type_name()), Span::NONE)),
    };
    if let Item::Ref(id) = item {
        emitter.archive.root = Some(id);
    }
    emitter.code(evaluator);
    Ok(emitter.archive)
}

/// The attributes of a module: those with a type, those that stand for a function or class, and those that cannot be held, with the
/// reason.
struct Attributes {
    fields: Vec<FieldDef>,
    aliases: Vec<(String, String)>,
    refused: Vec<(String, String)>,
}

/// A class in the making: unit and definition.
type Made = (String, ClassDef);

struct Emitter {
    archive: Archive,
    /// Paths of the classes of modules, by the address of the object.
    classes: HashMap<*const Object, String>,
    /// What tells kinds of modules apart, and the path of each.
    kinds: Vec<(String, String)>,
    objects: HashMap<*const (), HeapId>,
    storages: HashMap<*const (), StorageId>,
    made: Vec<Made>,
}

impl Emitter {
    /// The class of a module, and of all modules inside.
    fn class_of(&mut self, evaluator: &mut Evaluator, object: &Rc<Object>, depth: usize) -> Eval<String> {
        if let Some(path) = self.classes.get(&Rc::as_ptr(object)) {
            return Ok(path.clone());
        }
        if depth > MAX_DEPTH {
            return Err(unsupported("modules are nested too deeply", Span::NONE));
        }
        let constants = set_constants(evaluator, object)?;
        for (_, child) in object.children() {
            self.class_of(evaluator, &child, depth + 1)?;
        }
        let Attributes { mut fields, aliases, refused } = self.fields(object);
        for field in fields.iter_mut().filter(|field| constants.contains(&field.name)) {
            make_final(field, object.get(&field.name));
        }
        let texts = fields.iter().map(|field| {
            let text = |expr: &Option<Expr>| expr.as_ref().map_or_else(String::new, text_of);
            format!("{}: {} = {}", field.name, text(&field.annotation), text(&field.value))
        });
        let texts: Vec<String> = texts.chain(aliases.iter().map(|(name, path)| format!("{name} = {path}"))).collect();
        let kind = format!("{}\n{}", object.class.path(), texts.join("\n"));
        let path = match self.kinds.iter().find(|(own, _)| *own == kind) {
            Some((_, path)) => path.clone(),
            None => self.make_class(&object.class, kind, Attributes { fields, aliases, refused }),
        };
        self.classes.insert(Rc::as_ptr(object), path.clone());
        Ok(path)
    }

    fn make_class(&mut self, class: &Rc<Class>, kind: String, attributes: Attributes) -> String {
        let Attributes { fields, aliases, refused } = attributes;
        let prefix = format!("{}\n", class.path());
        let others = self.kinds.iter().filter(|(own, _)| own.starts_with(&prefix)).count();
        let name = if others == 0 { class.name.clone() } else { format!("{}${}", class.name, others + 1) };
        let path = format!("{}.{name}", class.unit);
        self.kinds.push((kind, path.clone()));
        let (methods, inherited) = methods(class);
        let span = class.def.as_ref().map_or(Span::NONE, |def| def.span);
        let def = ClassDef { fields, methods, inherited, refused, aliases, ..ClassDef::new(name, vec![named("Module")], span) };
        self.made.push((class.unit.to_string(), def));
        path
    }

    /// The attributes of a module.
    fn fields(&self, object: &Object) -> Attributes {
        let (mut fields, mut aliases, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in object.attributes.borrow().iter() {
            let alias = match value {
                Value::Function(function) => Some(format!("{}.{}", function.unit, function.def.name)),
                Value::Class(class) => Some(class.path()),
                Value::Path(path) if dtype(path).is_none() => Some(path.to_string()),
                _ => None,
            };
            if let Some(path) = alias {
                aliases.push((name.clone(), path));
                continue;
            }
            let path_of = |value: &Value| value.as_module().and_then(|module| self.classes.get(&Rc::as_ptr(&module)).cloned());
            let inferred = infer(value, &path_of);
            let is_module = value.as_module().is_some();
            let written = if is_module { None } else { self.written_type(object, name, value) };
            // What TorchScript cannot hold is no attribute: an error where a method reads it.
            match written.or(inferred) {
                Some(annotation) => {
                    fields.push(FieldDef { span: Span::NONE, name: name.clone(), annotation: Some(annotation), value: None });
                }
                None => refused.push((name.clone(), why_refused(value))),
            }
        }
        Attributes { fields, aliases, refused }
    }

    /// The type that the source writes down for an attribute.
    fn written_type(&self, object: &Object, name: &str, value: &Value) -> Option<Expr> {
        let own =
            object.annotations.borrow().iter().find(|(own, ..)| own == name).map(|(_, unit, ty)| (unit.clone(), ty.clone()));
        let in_class = || {
            object.class.mro.borrow().iter().find_map(|class| {
                let def = class.def.as_ref()?;
                let (_, annotation) = annotated_fields(def).find(|(own, _)| *own == name)?;
                Some((class.unit.clone(), annotation.clone()))
            })
        };
        let (unit, annotation) = own.or_else(in_class)?;
        let text = text_of(&annotation);
        // A module that may be missing is typed by what is there.
        let is_open = matches!(text.as_str(), "Final" | "typing.Final" | "torch.jit.Final" | "Any");
        let names_module = matches!(value, Value::None) && text.contains("Module");
        (!is_open && !names_module && (unit == object.class.unit || is_plain(&annotation))).then_some(annotation)
    }

    fn item(&mut self, value: &Value) -> Eval<Item> {
        Ok(match value {
            Value::None => Item::None,
            Value::Bool(b) => Item::Bool(*b),
            Value::Int(i) => Item::Int(*i),
            Value::Float(x) => Item::Float(*x),
            Value::Str(text) => Item::Str(text.to_string()),
            Value::Device(text) => Item::Device(text.to_string()),
            Value::Path(path) => match dtype(path) {
                Some(dtype) => Item::Int(dtype.code()),
                None => Item::Unsupported(format!("`{path}`")),
            },
            Value::Member(member) => Item::Enum(member.class.path(), Box::new(self.item(&member.value)?)),
            Value::Tensor(tensor) => self.tensor(Rc::as_ptr(tensor).cast(), &tensor.value.borrow(), tensor.requires_grad.get()),
            Value::Tuple(items) => Item::Tuple(items.iter().map(|item| self.item(item)).collect::<Eval<_>>()?),
            Value::List(items) => {
                let own = items.borrow().clone();
                self.heap(Rc::as_ptr(items).cast(), |emitter| {
                    let items = own.iter().map(|item| emitter.item(item)).collect::<Eval<_>>()?;
                    Ok(HeapItem::List { items, type_text: None })
                })?
            }
            Value::Dict(items) => {
                let own = items.borrow().clone();
                self.heap(Rc::as_ptr(items).cast(), |emitter| {
                    let pairs = own.iter().map(|(key, value)| Ok((emitter.item(key)?, emitter.item(value)?)));
                    Ok(HeapItem::Dict { items: pairs.collect::<Eval<_>>()?, type_text: None })
                })?
            }
            Value::Object(object) if object.class.kind == ClassKind::NamedTuple => {
                let values: Vec<Value> = object.attributes.borrow().iter().map(|(_, value)| value.clone()).collect();
                Item::Tuple(values.iter().map(|value| self.item(value)).collect::<Eval<_>>()?)
            }
            Value::Object(object) => self.object(object)?,
            other => Item::Unsupported(format!("a {}", other.type_name())),
        })
    }

    fn object(&mut self, object: &Rc<Object>) -> Eval<Item> {
        let class = self.classes.get(&Rc::as_ptr(object)).cloned();
        let fields: Option<Vec<String>> = class.as_ref().and_then(|path| {
            let made = self.made.iter().find(|(unit, def)| format!("{unit}.{}", def.name) == *path)?;
            Some(made.1.fields.iter().map(|field| field.name.clone()).collect())
        });
        let class = class.unwrap_or_else(|| object.class.path());
        let attributes = object.attributes.borrow().clone();
        self.heap(Rc::as_ptr(object).cast(), |emitter| {
            let mut items = Vec::new();
            for (name, value) in &attributes {
                if fields.as_ref().is_none_or(|fields| fields.contains(name)) {
                    // A compiled model is in evaluation mode.
                    let is_mode = name == "training" && fields.is_some();
                    items.push((name.clone(), if is_mode { Item::Bool(false) } else { emitter.item(value)? }));
                }
            }
            Ok(HeapItem::Object { class, state: ObjectState::Attributes(items) })
        })
    }

    /// A reference to a heap item, made when it is first met: others may refer to it before it is complete.
    fn heap(&mut self, address: *const (), make: impl FnOnce(&mut Self) -> Eval<HeapItem>) -> Eval<Item> {
        if let Some(&id) = self.objects.get(&address) {
            return Ok(Item::Ref(id));
        }
        let id = self.archive.heap.push(HeapItem::List { items: Vec::new(), type_text: None });
        self.objects.insert(address, id);
        self.archive.heap[id] = make(self)?;
        Ok(Item::Ref(id))
    }

    fn tensor(&mut self, address: *const (), value: &TensorValue, requires_grad: bool) -> Item {
        let TensorValue::Known(data) = value else { return Item::Unsupported("a tensor without values".into()) };
        let storage =
            *self.storages.entry(address).or_insert_with(|| self.archive.storages.push(Storage { bytes: data.bytes.clone() }));
        Item::Tensor(TensorItem {
            storage,
            dtype: data.dtype,
            offset: 0,
            sizes: data.shape.clone(),
            strides: contiguous_strides(&data.shape),
            requires_grad,
            quant: None,
        })
    }

    /// A module whose `forward` is a function.
    fn function(&mut self, unit: &str, def: &FunctionDef) -> Item {
        let mut forward = def.clone();
        let this = Param { span: Span::NONE, name: "self".into(), annotation: None, default: None, keyword_only: false };
        forward.params.insert(0, this);
        forward.name = "forward".into();
        forward.decorators.clear();
        let name = format!("{}$Module", def.name);
        let class = ClassDef { methods: vec![forward], ..ClassDef::new(name.clone(), vec![named("Module")], def.span) };
        self.made.push((unit.to_owned(), class));
        let state = ObjectState::Attributes(Vec::new());
        let id = self.archive.heap.push(HeapItem::Object { class: format!("{unit}.{name}"), state });
        Item::Ref(id)
    }

    /// The units' code: functions as they are, the classes of modules as they were made.
    fn code(&mut self, evaluator: &mut Evaluator) {
        // Code that methods name, but no constructor: the functions of the bundled library.
        for unit in ["torch.nn.functional", "torch.nn.utils.rnn"] {
            let _ = evaluator.has_unit(unit, Span::NONE);
        }
        load_imports(evaluator);
        let mut made = std::mem::take(&mut self.made);
        let paths: Vec<String> = evaluator.units.keys().cloned().collect();
        for path in paths {
            let unit = &evaluator.units[&path];
            let (file, items) = (unit.file, unit.module.items.clone());
            let mut out = Vec::new();
            for item in items {
                match item {
                    AstItem::Class(def) => out.extend(other_class(evaluator, &path, def).map(AstItem::Class)),
                    AstItem::Statement(stmt) => out.push(AstItem::Statement(evaluator.units[&path].settled(stmt))),
                    other => out.push(other),
                }
            }
            made.retain(|(unit, def)| {
                let is_own = *unit == path;
                if is_own {
                    out.push(AstItem::Class(def.clone()));
                }
                !is_own
            });
            let module = SourceModule { items: out };
            self.archive.code.insert(path, CodeFile { file, module, dialect: Dialect::Python });
        }
    }
}

/// Why TorchScript cannot hold a value in an attribute.
fn why_refused(value: &Value) -> String {
    let holds_module = |items: &[Value]| items.iter().any(|item| item.as_module().is_some());
    match value {
        Value::List(items) if holds_module(&items.borrow()) => "it is a list of modules; use nn.ModuleList".into(),
        Value::Tuple(items) if holds_module(items) => "it is a tuple of modules; use nn.ModuleList".into(),
        Value::Dict(items) if items.borrow().iter().any(|(_, item)| item.as_module().is_some()) => {
            "it is a dict of modules; use nn.ModuleDict".into()
        }
        Value::Dict(items) if items.borrow().is_empty() => "the type of an empty dict is not known; annotate it".into(),
        Value::List(_) | Value::Dict(_) => "its elements are of several types".into(),
        Value::Object(object) => {
            format!("it is an object of class `{}`, which is not decorated with @torch.jit.script", object.class.name)
        }
        Value::Lambda(_) => "it is a lambda; use a function or a method".into(),
        other => format!("TorchScript has no type for a {}", other.type_name()),
    }
}

/// A constant that a literal can say is known while methods are typed: an `if` on it is decided then.
fn make_final(field: &mut FieldDef, value: Option<Value>) {
    let kind = match value {
        Some(Value::Bool(b)) => ExprKind::Bool(b),
        Some(Value::Int(i)) => ExprKind::Int(i),
        Some(Value::Float(x)) if x.is_finite() => ExprKind::Float(x),
        Some(Value::Str(text)) => ExprKind::Str(text.to_string()),
        Some(Value::None) => ExprKind::None,
        _ => return,
    };
    let inner = field.annotation.take().unwrap_or_else(|| named("Any"));
    let index = match &inner.kind {
        ExprKind::Subscript { value, index } if text_of(value).ends_with("Final") => (**index).clone(),
        _ => inner,
    };
    field.annotation = Some(crate::types::generic("Final", vec![index]));
    field.value = Some(Expr { span: Span::NONE, kind });
}

/// Constants of a class (`Final`, `__constants__`) become attributes of the object. Gives the names of all constants.
fn set_constants(evaluator: &mut Evaluator, object: &Object) -> Eval<Vec<String>> {
    let mut constants = Vec::new();
    let listed = match evaluator.class_attribute(&object.class, "__constants__", Span::NONE)? {
        Some(names) => evaluator.items(&names, Span::NONE)?,
        None => Vec::new(),
    };
    let order = object.class.mro.borrow().clone();
    constants.extend(listed.iter().filter_map(|name| if let Value::Str(name) = name { Some(name.to_string()) } else { None }));
    for def in order.iter().filter_map(|class| class.def.clone()) {
        for field in &def.fields {
            let is_final = field.annotation.as_ref().is_some_and(|annotation| text_of(annotation).contains("Final"));
            let is_listed = listed.iter().any(|name| matches!(name, Value::Str(name) if **name == *field.name));
            if is_final {
                constants.push(field.name.clone());
            }
            if (is_final || is_listed)
                && field.value.is_some()
                && object.get(&field.name).is_none()
                && let Some(value) = evaluator.class_attribute(&object.class, &field.name, field.span)?
            {
                object.set(&field.name, value);
            }
        }
    }
    Ok(constants)
}

/// Reads the files that functions and methods may refer to; what is not there is an error where it is used.
fn load_imports(evaluator: &mut Evaluator) {
    let mut done = std::collections::BTreeSet::new();
    loop {
        let all = evaluator.units.values().flat_map(|unit| unit.imports.values().chain(&unit.modules).cloned());
        let open: Vec<String> = all.filter(|path| !path.starts_with("torch.") && !done.contains(path)).collect();
        if open.is_empty() {
            return;
        }
        for path in open {
            let module = path.rsplit_once('.').map_or("", |(module, _)| module).to_owned();
            for candidate in [path.clone(), module] {
                if !candidate.is_empty() {
                    let _ = evaluator.has_unit(&candidate, Span::NONE);
                }
            }
            done.insert(path);
        }
    }
}

/// A class that is no module, as typing expects it; modules have been made, and what cannot be read is never used.
fn other_class(evaluator: &mut Evaluator, unit: &str, mut def: ClassDef) -> Option<ClassDef> {
    let class = evaluator.class(unit, &def.name).ok()?;
    match class.kind {
        ClassKind::Module => None,
        ClassKind::Interface => {
            let is_module = class.mro.borrow().iter().any(|base| base.def.is_none());
            def.bases = vec![named(if is_module { "ModuleInterface" } else { "Interface" })];
            Some(def)
        }
        ClassKind::Enum => {
            def.bases = vec![named("Enum")];
            Some(def)
        }
        ClassKind::NamedTuple => {
            def.bases = vec![named("NamedTuple")];
            Some(def)
        }
        ClassKind::Plain => Some(def),
    }
}

/// The methods of a module's class: its own and those of its file, and those of other files with the file.
fn methods(class: &Rc<Class>) -> (Vec<FunctionDef>, Vec<(String, FunctionDef)>) {
    let (mut own, mut inherited): (Vec<FunctionDef>, Vec<(String, FunctionDef)>) = (Vec::new(), Vec::new());
    for base in class.mro.borrow().iter() {
        let Some(def) = &base.def else { continue };
        // What a container of modules offers beside `forward` is Python's: typing knows it.
        let is_container = base.unit.starts_with("torch.nn") && def.methods.iter().any(|method| method.name == "__iter__");
        for method in def.methods.iter().filter(|method| !is_container || method.name == "forward") {
            let is_python = method.name.starts_with("__") && method.name.ends_with("__");
            let is_taken = own.iter().chain(inherited.iter().map(|(_, m)| m)).any(|other| other.name == method.name);
            if is_python || is_taken || is_decorated(method, "classmethod") || method.name == "extra_repr" {
                continue;
            }
            if base.unit == class.unit {
                own.push(method.clone());
            } else {
                inherited.push((base.unit.to_string(), method.clone()));
            }
        }
    }
    (own, inherited)
}

/// Whether an annotation only uses names that every file knows.
fn is_plain(annotation: &Expr) -> bool {
    match &annotation.kind {
        ExprKind::Name(name) => matches!(
            name.as_str(),
            "int" | "float" | "bool" | "str" | "Tensor" | "Optional" | "List" | "Dict" | "Tuple" | "Union" | "Final" | "None"
        ),
        ExprKind::Attribute { .. } => text_of(annotation).starts_with("torch."),
        ExprKind::Subscript { value, index } => is_plain(value) && is_plain(index),
        ExprKind::Tuple(items) => items.iter().all(is_plain),
        ExprKind::None => true,
        _ => false,
    }
}
