//! The evaluator's state, names, and its limits.

use crate::units::Unit;
use crate::value::{Class, Function, Value};
use crate::{Host, Request};
use kiln_frontend::ast::ExprKind;
use kiln_support::suggest::did_you_mean;
use kiln_support::{Diagnostic, SourceMap, Span};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// The result of a step.
pub type Eval<T> = Result<T, Box<Diagnostic>>;

/// Steps that the construction of a model may take: a loop that never ends is found out.
const MAX_STEPS: u64 = 20_000_000;
/// Calls inside one another.
const MAX_DEPTH: usize = 100;

/// The model is at fault.
pub fn error(code: &'static str, message: impl Into<String>, at: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::model(code, message).at(at))
}

/// kiln does not know how.
pub fn unsupported(message: impl Into<String>, at: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::unsupported("source-init", message).at(at))
}

/// The variables of a function that runs.
pub struct Frame {
    pub unit: Rc<str>,
    pub vars: HashMap<String, Value>,
    /// The class whose method it is, and the receiver: what `super()` refers to.
    pub class: Option<Rc<Class>>,
    pub receiver: Option<Value>,
    /// Variables of loops and comprehensions.
    pub loop_names: BTreeSet<String>,
}

impl Frame {
    /// The top of a file.
    pub fn of_unit(unit: Rc<str>) -> Frame {
        Frame { unit, vars: HashMap::new(), class: None, receiver: None, loop_names: BTreeSet::new() }
    }

    /// Notes the variables of a loop.
    pub fn note_loop(&mut self, target: &kiln_frontend::ast::Expr) {
        match &target.kind {
            ExprKind::Name(name) => drop(self.loop_names.insert(name.clone())),
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|item| self.note_loop(item)),
            _ => {}
        }
    }
}

/// Makes modules out of source.
pub struct Evaluator<'h> {
    pub sources: &'h mut SourceMap,
    pub host: &'h mut dyn Host,
    pub units: BTreeMap<String, Unit>,
    /// Modules that nobody has.
    pub missing: BTreeSet<String>,
    pub classes: HashMap<String, Rc<Class>>,
    /// `torch.nn.Module`.
    pub module_class: Rc<Class>,
    /// Values of names at the top of files.
    pub globals: HashMap<(String, String), Value>,
    /// Default values of parameters, and values in class bodies, by their place.
    pub defaults: HashMap<Span, Value>,
    /// Names of that kind that are being computed.
    pub open_globals: Vec<(String, String)>,
    pub steps: u64,
    pub depth: usize,
}

impl<'h> Evaluator<'h> {
    pub fn new(sources: &'h mut SourceMap, host: &'h mut dyn Host) -> Evaluator<'h> {
        Evaluator {
            sources,
            host,
            units: BTreeMap::new(),
            missing: BTreeSet::new(),
            classes: HashMap::new(),
            module_class: crate::classes::module_class(),
            globals: HashMap::new(),
            defaults: HashMap::new(),
            open_globals: Vec::new(),
            steps: 0,
            depth: 0,
        }
    }

    /// Makes the object of a request.
    pub fn make(&mut self, request: &Request) -> Result<Value, Vec<Diagnostic>> {
        self.add_unit(request.module, request.file.0, request.file.1)?;
        let expr = kiln_frontend::python::parse_expression(request.class, Span::NONE)
            .map_err(|_| vec![usage(format!("`--class {}` is neither a class nor a call of one", request.class))])?;
        let mut frame = Frame::of_unit(Rc::from(request.module));
        let known = match &expr.kind {
            ExprKind::Name(name) => self.global(request.module, name, Span::NONE).map_err(|error| vec![*error])?.is_some(),
            _ => true,
        };
        if !known {
            return Err(vec![self.no_such_class(request)]);
        }
        let value = self.expr(&expr, &mut frame).and_then(|value| match value {
            Value::Class(_) => self.call(value, Vec::new(), Vec::new(), Span::NONE),
            value => Ok(value),
        });
        match value {
            Ok(value @ (Value::Object(_) | Value::Function(_))) => Ok(value),
            Ok(other) => Err(vec![usage(format!("`--class {}` gives a value of type {}", request.class, other.type_name()))]),
            Err(error) => Err(vec![*error]),
        }
    }

    fn no_such_class(&self, request: &Request) -> Diagnostic {
        let unit = &self.units[request.module];
        let mut names: Vec<&str> = unit.classes.keys().map(String::as_str).collect();
        names.sort_unstable();
        let error = usage(format!("`{}` has no class `{}`", request.file.0, request.class));
        if names.is_empty() { error } else { error.help(format!("its classes are: {}", names.join(", "))) }
    }

    /// Counts a step.
    pub fn step(&mut self, at: Span) -> Eval<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(error("source-init", "the construction of the model takes too many steps", at));
        }
        Ok(())
    }

    /// Does something one call deeper.
    pub fn deeper<T>(&mut self, at: Span, inside: impl FnOnce(&mut Self) -> Eval<T>) -> Eval<T> {
        if self.depth >= MAX_DEPTH {
            return Err(error("source-init", "calls are nested too deeply here", at));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    /// What a name stands for in a function.
    pub fn name(&mut self, name: &str, frame: &Frame, at: Span) -> Eval<Value> {
        if let Some(value) = frame.vars.get(name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.global(&frame.unit, name, at)? {
            return Ok(value);
        }
        match crate::builtins::named(name) {
            Some(value) => Ok(value),
            None => {
                let unit = &self.units[&*frame.unit];
                let known = frame.vars.keys().chain(unit.functions.keys()).chain(unit.classes.keys()).chain(unit.imports.keys());
                let mut error = error("unknown-name", format!("`{name}` is not defined"), at);
                error.help = did_you_mean(name, known.map(String::as_str));
                Err(error)
            }
        }
    }

    /// What a name stands for at the top of a file.
    pub fn global(&mut self, unit: &str, name: &str, at: Span) -> Eval<Option<Value>> {
        let key = (unit.to_owned(), name.to_owned());
        if let Some(value) = self.globals.get(&key) {
            return Ok(Some(value.clone()));
        }
        if self.open_globals.contains(&key) {
            return Err(error("circular-constant", format!("`{name}` is defined by itself"), at));
        }
        let Some(found) = self.units.get(unit) else { return Ok(None) };
        let is_bundled = unit == "torch.nn";
        let value = if let Some(def) = found.functions.get(name) {
            Value::Function(Rc::new(Function { unit: Rc::from(unit), def: def.clone(), class: None }))
        } else if found.classes.contains_key(name) {
            Value::Class(self.class(unit, name)?)
        } else if is_bundled && name == "Module" {
            Value::Class(self.module_class.clone())
        } else if is_bundled && name == "Parameter" {
            Value::path("torch.nn.Parameter")
        } else if let Some(path) = found.imports.get(name).cloned() {
            self.open_globals.push(key.clone());
            let value = self.resolve(&path, at);
            self.open_globals.pop();
            value?
        } else if let Some(&span) = found.unsettled.get(name) {
            return Err(Box::new(crate::units::unsettled().error(span)));
        } else if let Some(expr) = found.constant(name) {
            self.open_globals.push(key.clone());
            let value = self.expr(&expr, &mut Frame::of_unit(Rc::from(unit)));
            self.open_globals.pop();
            value?
        } else {
            return Ok(None);
        };
        self.globals.insert(key, value.clone());
        Ok(Some(value))
    }

    /// What a full path stands for: something of a unit, else the path itself.
    pub fn resolve(&mut self, path: &str, at: Span) -> Eval<Value> {
        if matches!(path, "torch.nn.Module" | "torch.nn.modules.Module" | "torch.nn.modules.module.Module") {
            return Ok(Value::Class(self.module_class.clone()));
        }
        if self.has_unit(path, at)? {
            return Ok(Value::path(path));
        }
        let Some((unit, name)) = path.rsplit_once('.') else { return Ok(Value::path(path)) };
        let unit = if unit.starts_with("torch.nn.modules") { "torch.nn" } else { unit };
        if self.has_unit(unit, at)? {
            if let Some(value) = self.global(unit, name, at)? {
                return Ok(value);
            }
            let is_class = name.starts_with(char::is_uppercase);
            if unit == "torch.nn" && is_class && !matches!(name, "Buffer" | "Parameter") || !unit.starts_with("torch") {
                return Err(self.not_in_unit(unit, name, at));
            }
        }
        Ok(Value::path(path))
    }
}

impl Evaluator<'_> {
    /// The error for a name that a unit does not define.
    fn not_in_unit(&self, unit: &str, name: &str, at: Span) -> Box<Diagnostic> {
        let found = &self.units[unit];
        let mut error = error("no-attribute", format!("`{unit}` has no `{name}`"), at);
        error.help = did_you_mean(name, found.functions.keys().chain(found.classes.keys()).map(String::as_str));
        error
    }
}

fn usage(message: String) -> Diagnostic {
    Diagnostic::usage("class", message).help("give the class of the model: --class Net, or a call of it: --class 'Net(width=2)'")
}
