//! Functions of a source file, typed into an existing program as they are asked for.

use crate::session::{Dialect, Session, Unit};
use kiln_frontend::ast::{Item, SourceModule};
use kiln_graph::{FuncId, Program};
use kiln_support::{Diagnostic, Span};
use std::collections::HashMap;

/// A source file whose functions can be typed into a program.
///
/// A `Source` belongs to one program: the functions it has typed there are found again.
#[derive(Debug)]
pub struct Source {
    module: SourceModule,
    /// Put before every name, so that the file's functions cannot be taken for the program's.
    prefix: String,
    functions: HashMap<String, FuncId>,
    classes: HashMap<String, kiln_graph::ClassId>,
}

impl Source {
    /// A source file. Its functions are called `prefix.name` in programs.
    pub fn new(module: SourceModule, prefix: impl Into<String>) -> Source {
        Source { module, prefix: prefix.into(), functions: HashMap::new(), classes: HashMap::new() }
    }

    /// Whether the file defines a function of this name.
    pub fn has(&self, name: &str) -> bool {
        self.module.items.iter().any(|item| matches!(item, Item::Function(def) if def.name == name))
    }

    /// The names of the file's functions, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.module.items.iter().filter_map(|item| match item {
            Item::Function(def) => Some(def.name.as_str()),
            _ => None,
        })
    }

    /// Types a function and all it calls. Errors are those of every function reached.
    pub fn function(&mut self, name: &str, program: &mut Program) -> Result<FuncId, Vec<Diagnostic>> {
        let qualified = crate::session::qualified(&self.prefix, name);
        if let Some(&id) = self.functions.get(&qualified) {
            return Ok(id);
        }
        let mut session = Session::new(program);
        session.units.insert(self.prefix.clone(), Unit::new(Dialect::Source, &self.module.items));
        session.function_ids = self.functions.clone();
        session.class_ids = self.classes.clone();
        let id = match session.function(&self.prefix, name) {
            Ok(Some(id)) => id,
            Ok(None) => return Err(vec![Diagnostic::model("no-such-function", format!("there is no function `{name}`"))]),
            Err(error) => return Err(vec![*error]),
        };
        if let Err(error) = session.reach(id, Span::NONE) {
            session.report(error);
        }
        session.run_queue();
        let (functions, classes, errors) = (session.function_ids, session.class_ids, session.diagnostics);
        if !errors.is_empty() {
            return Err(errors);
        }
        self.functions = functions;
        self.classes = classes;
        Ok(id)
    }
}
