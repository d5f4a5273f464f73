//! One run of the typer over a set of code units: which names are declared, which bodies are still to do.
//!
//! A *unit* is one file of code. Functions and classes are declared when their name is first met; a
//! function's body is typed when something reachable calls it.

use crate::body::Body;
use crate::sugar::Typed;
use kiln_frontend::ast::{ClassDef, FunctionDef, Item};
use kiln_frontend::model::Archive;
use kiln_graph::{ClassId, ClassKind, FuncId, Function, Graph, Literal, Param, Program, Type};
use kiln_support::{Diagnostic, Span};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Which of the two forms of code a unit is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// Serialized code.
    Archive,
    /// The user's own Python.
    Source,
}

/// One file of code.
pub(crate) struct Unit<'s> {
    pub dialect: Dialect,
    pub functions: HashMap<&'s str, &'s FunctionDef>,
    pub classes: HashMap<&'s str, &'s ClassDef>,
    pub items: &'s [Item],
}

impl<'s> Unit<'s> {
    pub fn new(dialect: Dialect, items: &'s [Item]) -> Unit<'s> {
        let (mut functions, mut classes) = (HashMap::new(), HashMap::new());
        for item in items {
            match item {
                Item::Function(def) => drop(functions.insert(def.name.as_str(), def)),
                Item::Class(def) => drop(classes.insert(def.name.as_str(), def)),
                Item::Import { .. } | Item::Statement(_) => {}
            }
        }
        Unit { dialect, functions, classes, items }
    }
}

/// Modules of Python and PyTorch whose names mean something here.
const KNOWN_MODULES: &[&str] = &[
    "torch",
    "typing",
    "typing_extensions",
    "math",
    "cmath",
    "ops",
    "__torch__",
    "builtins",
    "enum",
    "collections",
    "dataclasses",
    "functools",
    "copy",
    "abc",
    "warnings",
    "__future__",
];

/// How far a function is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    Declared,
    Queued,
    Typing,
    Done,
}

/// A declared function.
#[derive(Clone)]
pub(crate) struct Declared<'s> {
    pub def: &'s FunctionDef,
    pub unit: String,
    pub progress: Progress,
    /// Whether the result type was written down.
    pub returns_known: bool,
    /// Whether its body has errors.
    pub failed: bool,
}

/// The state of a run.
pub(crate) struct Session<'s> {
    pub program: &'s mut Program,
    pub units: BTreeMap<String, Unit<'s>>,
    pub function_ids: HashMap<String, FuncId>,
    pub class_ids: HashMap<String, ClassId>,
    pub declared: HashMap<FuncId, Declared<'s>>,
    pub class_defs: HashMap<ClassId, (String, &'s ClassDef)>,
    /// Methods of sources whose signature is wrong: an error where one is used.
    pub broken_methods: HashMap<(ClassId, String), Box<Diagnostic>>,
    /// Classes allocated but not yet given their attributes and methods.
    pub new_classes: Vec<ClassId>,
    pub completing: bool,
    pub queue: VecDeque<FuncId>,
    /// Methods called through interfaces.
    pub dispatched: BTreeSet<(ClassId, String)>,
    pub constants: &'s [kiln_frontend::model::Item],
    pub archive: Option<&'s Archive>,
    pub objects: HashMap<kiln_frontend::model::HeapId, kiln_graph::ObjectId>,
    pub diagnostics: Vec<Diagnostic>,
    /// How many definitions are being looked through: a name may be defined by another, but not in a circle.
    pub nesting: u32,
}

impl<'s> Session<'s> {
    /// A session on a program without any code yet.
    pub fn new(program: &'s mut Program) -> Session<'s> {
        Session {
            program,
            units: BTreeMap::new(),
            function_ids: HashMap::new(),
            class_ids: HashMap::new(),
            declared: HashMap::new(),
            class_defs: HashMap::new(),
            broken_methods: HashMap::new(),
            new_classes: Vec::new(),
            completing: false,
            queue: VecDeque::new(),
            dispatched: BTreeSet::new(),
            constants: &[],
            archive: None,
            objects: HashMap::new(),
            diagnostics: Vec::new(),
            nesting: 0,
        }
    }

    /// A session on the code of an archive.
    pub fn of_archive(program: &'s mut Program, archive: &'s Archive) -> Session<'s> {
        let mut session = Session::new(program);
        for (path, file) in &archive.code {
            let dialect = match file.dialect {
                kiln_frontend::python::Dialect::Archive => Dialect::Archive,
                kiln_frontend::python::Dialect::Python => Dialect::Source,
            };
            session.units.insert(path.clone(), Unit::new(dialect, &file.module.items));
        }
        session.constants = &archive.constants;
        session.archive = Some(archive);
        session
    }

    /// Collects an error. Of the same at the same place (an unrolled loop) one is enough.
    pub fn report(&mut self, error: Box<Diagnostic>) {
        let place = |d: &Diagnostic| d.labels.first().map(|l| l.span);
        let same = |d: &Diagnostic| d.code == error.code && place(d) == place(&error) && d.message == error.message;
        if error.code.0 != crate::FOLLOW_UP && !self.diagnostics.iter().any(same) {
            self.diagnostics.push(*error);
        }
    }

    /// The function of a qualified name (`__torch__.a.f`), declared on first sight.
    pub fn function(&mut self, unit: &str, name: &str) -> Typed<Option<FuncId>> {
        let qualified = qualified(unit, name);
        if let Some(&id) = self.function_ids.get(&qualified) {
            return Ok(Some(id));
        }
        let Some(&def) = self.units.get(unit).and_then(|u| u.functions.get(name)) else {
            return Ok(None);
        };
        let id = self.declare(def, unit, qualified.clone(), None)?;
        self.function_ids.insert(qualified, id);
        Ok(Some(id))
    }

    /// Declares a function or method: its signature, with an empty body.
    pub fn declare(&mut self, def: &'s FunctionDef, unit: &str, name: String, receiver: Option<ClassId>) -> Typed<FuncId> {
        let (params, returns) = self.signature(def, unit, receiver)?;
        let returns_known = returns.is_some();
        let function = Function { name, params, returns: returns.unwrap_or(Type::None), body: unreached(), span: def.span };
        let id = self.program.funcs.push(function);
        self.declared
            .insert(id, Declared { def, unit: unit.to_owned(), progress: Progress::Declared, returns_known, failed: false });
        Ok(id)
    }

    fn signature(&mut self, def: &'s FunctionDef, unit: &str, receiver: Option<ClassId>) -> Typed<(Vec<Param>, Option<Type>)> {
        if def.vararg.is_some() || def.kwarg.is_some() {
            let message = format!("`*args` and `**kwargs` are not supported: `{}` has them", def.name);
            let error = crate::unsupported("unsupported-syntax", message, def.name_span);
            return Err(Box::new(error.help("give every parameter a name")));
        }
        if let Some(decorator) = def.unknown_decorator().filter(|_| self.units[unit].dialect == Dialect::Source) {
            let message = "a function with a decorator of your own is not supported";
            return Err(crate::unsupported("unsupported-syntax", message, decorator.span));
        }
        let mut params = Vec::new();
        let first_commented =
            usize::from(receiver.is_some() && def.type_comment.as_ref().is_some_and(|(p, _)| p.len() + 1 == def.params.len()));
        for (i, param) in def.params.iter().enumerate() {
            let commented = i.checked_sub(first_commented).and_then(|at| def.type_comment.as_ref().and_then(|(p, _)| p.get(at)));
            let ty = match (param.annotation.as_ref().or(commented), receiver) {
                (_, Some(class)) if i == 0 => Type::Class(class),
                (Some(annotation), _) => self.type_of(annotation, unit)?,
                (None, _) => Type::TENSOR,
            };
            let broadcasts = param.annotation.as_ref().and_then(crate::annotation::broadcasts);
            let default = match &param.default {
                Some(value) if broadcasts.is_some() => Some(self.broadcast_default(value, &ty, broadcasts, unit)?),
                Some(value) => Some(self.default_value(value, &ty, unit)?),
                None => None,
            };
            params.push(Param { name: param.name.clone(), ty, default, keyword_only: param.keyword_only, broadcasts });
        }
        let returns = match (&def.returns, &def.type_comment) {
            (Some(annotation), _) => Some(self.type_of(annotation, unit)?),
            (None, Some((_, returns))) => Some(self.type_of(returns, unit)?),
            (None, None) => None,
        };
        Ok((params, returns))
    }

    /// A default value, which has to be of the parameter's type.
    fn default_value(&mut self, value: &kiln_frontend::ast::Expr, ty: &Type, unit: &str) -> Typed<Literal> {
        let literal = self.constant(value, ty, unit)?;
        let found = match &literal {
            Literal::Str(_) => Type::Str,
            Literal::Int(_) => Type::Int,
            Literal::Float(_) => Type::Float,
            Literal::Bool(_) => Type::Bool,
            _ => return Ok(literal),
        };
        let is_plain = matches!(ty, Type::Str | Type::Int | Type::Float | Type::Bool);
        let is_widened = matches!((&found, ty), (Type::Int, Type::Float));
        if is_plain && found != *ty && !is_widened {
            let (wanted, found) = (ty.display(self.program).to_string(), found.display(self.program).to_string());
            return Err(crate::error(
                "type-mismatch",
                format!("the default is a `{found}`, the parameter a `{wanted}`"),
                value.span,
            ));
        }
        Ok(literal)
    }

    /// The default of a list that may be given as one element.
    fn broadcast_default(
        &mut self,
        value: &kiln_frontend::ast::Expr,
        ty: &Type,
        count: Option<u8>,
        unit: &str,
    ) -> Typed<Literal> {
        let (inner, count) = (ty.without_none(), usize::from(count.unwrap_or(1)));
        match (crate::constants::infer(value), inner) {
            (Ok((literal @ (Literal::Int(_) | Literal::Float(_)), _)), Type::List(_)) => Ok(Literal::List(vec![literal; count])),
            _ => self.constant(value, ty, unit),
        }
    }

    /// Marks a function as called: its body will be typed. One whose result type is not written down is
    /// typed at once.
    pub fn reach(&mut self, id: FuncId, at: Span) -> Typed<()> {
        let Some(declared) = self.declared.get_mut(&id) else { return Ok(()) };
        match (declared.progress, declared.returns_known) {
            (Progress::Declared, true) => {
                declared.progress = Progress::Queued;
                self.queue.push_back(id);
                Ok(())
            }
            (Progress::Declared, false) => {
                if let Err(error) = self.type_function(id) {
                    self.report(error);
                }
                if self.declared[&id].failed { Err(crate::follow_up()) } else { Ok(()) }
            }
            (Progress::Typing, false) => {
                let name = &self.program.funcs[id].name;
                Err(crate::error(
                    "recursive-function",
                    format!("`{name}` calls itself; its result type must be written down"),
                    at,
                ))
            }
            // Without a body there is no result type.
            (Progress::Done, false) if declared.failed => Err(crate::follow_up()),
            _ => Ok(()),
        }
    }

    /// Types one body now.
    pub fn type_function(&mut self, id: FuncId) -> Typed<()> {
        let declared = self.declared.get_mut(&id).expect("only declared functions are reached");
        declared.progress = Progress::Typing;
        let declared = declared.clone();
        let result = Body::type_function(self, id, &declared);
        let failed = !matches!(result, Ok(true));
        if let Some(declared) = self.declared.get_mut(&id) {
            declared.progress = Progress::Done;
            declared.failed = failed;
        }
        result.map(drop)
    }

    /// Types every reached body, until no new one is reached.
    pub fn run_queue(&mut self) {
        loop {
            while let Some(id) = self.queue.pop_front() {
                if let Err(error) = self.type_function(id) {
                    self.report(error);
                }
            }
            self.reach_implementations();
            if self.queue.is_empty() {
                return;
            }
        }
    }

    /// A call through an interface reaches the method of every class that implements it.
    fn reach_implementations(&mut self) {
        let dispatched: Vec<(ClassId, String)> = self.dispatched.iter().cloned().collect();
        for (interface, method) in dispatched {
            for class in self.program.classes.keys() {
                let candidate = &self.program.classes[class];
                if candidate.kind == ClassKind::Interface || !self.program.implements(class, interface) {
                    continue;
                }
                if let Some(func) = candidate.method(&method)
                    && let Err(error) = self.reach(func, Span::NONE)
                {
                    self.report(error);
                }
            }
        }
    }

    /// Follows a definition by another name.
    pub fn nested<T>(&mut self, at: Span, inside: impl FnOnce(&mut Self) -> Typed<T>) -> Typed<T> {
        if self.nesting >= 50 {
            return Err(crate::error("circular-definition", "this is defined by itself", at));
        }
        self.nesting += 1;
        let result = inside(self);
        self.nesting -= 1;
        result
    }

    /// The full path of a name that a unit imports.
    pub fn import(&self, unit: &str, name: &str) -> Option<String> {
        self.units.get(unit)?.items.iter().find_map(|item| match item {
            Item::Import { module, name: imported, alias, .. } if alias == name => Some(match imported {
                Some(imported) => format!("{module}.{imported}"),
                // `import a.b` binds `a`, `import a.b as c` binds the whole path.
                None if module.split('.').next() == Some(alias) => alias.clone(),
                None => module.clone(),
            }),
            _ => None,
        })
    }

    /// The error for an imported name that nobody defines.
    pub fn missing_import(&self, path: &str, at: Span) -> Option<Box<Diagnostic>> {
        let root = path.split('.').next().unwrap_or_default();
        if KNOWN_MODULES.contains(&root) || self.units.contains_key(path) {
            return None;
        }
        let (module, name) = path.rsplit_once('.').unwrap_or((path, ""));
        let Some(unit) = self.units.get(module) else {
            let is_package = self.units.keys().any(|unit| unit.starts_with(&format!("{path}.")));
            let file = module.replace('.', "/");
            let message = format!("there is no `{file}.py` beside the model's file, so `{path}` cannot be imported");
            return (!is_package).then(|| crate::error("import", message, at));
        };
        let is_there = unit.functions.contains_key(name)
            || unit.classes.contains_key(name)
            || self.import(module, name).is_some()
            || crate::constants::module_constant(self, module, name).is_some();
        (!is_there).then(|| self.not_in_unit(module, name, at))
    }

    /// The error for a name that a unit does not define.
    pub fn not_in_unit(&self, module: &str, name: &str, at: Span) -> Box<Diagnostic> {
        let unit = &self.units[module];
        let names = unit.functions.keys().chain(unit.classes.keys()).copied();
        let mut error = crate::error("no-attribute", format!("`{module}` has no `{name}`"), at);
        error.help = kiln_support::suggest::did_you_mean(name, names);
        error
    }

    /// The value of a constant expression of a given type.
    pub fn constant(&mut self, expr: &kiln_frontend::ast::Expr, ty: &Type, unit: &str) -> Typed<Literal> {
        crate::constants::literal(self, expr, ty, unit)
    }
}

/// `unit.name`.
pub(crate) fn qualified(unit: &str, name: &str) -> String {
    if unit.is_empty() { name.to_owned() } else { format!("{unit}.{name}") }
}

/// The body of a function that nothing has reached.
fn unreached() -> Graph {
    let mut graph = Graph::new();
    let entry = graph.entry;
    graph.blocks[entry].diverges = true;
    graph
}
