//! Names in scope while a body is typed.
//!
//! Scopes nest as blocks do. A scope that only holds the statements *after* an early exit is transparent: to
//! the user those statements stand in the block around it, so that assigning another type to a name there is
//! as valid as it was outside.

use crate::sugar::Sugar;
use kiln_graph::Value;
use std::collections::BTreeMap;

/// What a name is bound to.
#[derive(Clone, Debug)]
pub(crate) enum Binding {
    /// A value or something of compile time.
    Is(Sugar),
    /// A flag of the control flow.
    Flag(Flag),
    /// Not usable: why. No reason means that its assignment has been complained about already.
    Unusable(String),
}

/// The state of a control-flow flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flag {
    Known(bool),
    Value(Value),
}

#[derive(Default)]
pub(crate) struct Scope {
    pub vars: BTreeMap<String, Binding>,
    transparent: bool,
}

/// The stack of scopes.
pub(crate) struct Env {
    scopes: Vec<Scope>,
}

impl Env {
    pub fn new() -> Env {
        Env { scopes: vec![Scope::default()] }
    }

    pub fn push(&mut self) {
        self.scopes.push(Scope::default());
    }

    pub fn pop(&mut self) -> Scope {
        self.scopes.pop().expect("scopes are pushed before they are popped")
    }

    /// From here on, the innermost scope counts as part of the one around it.
    pub fn make_transparent(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.transparent = true;
        }
    }

    pub fn set(&mut self, name: &str, binding: Binding) {
        let scope = self.scopes.last_mut().expect("there is a scope");
        scope.vars.insert(name.to_owned(), binding);
    }

    pub fn get(&self, name: &str) -> Option<&Binding> {
        self.scopes.iter().rev().find_map(|s| s.vars.get(name))
    }

    /// The binding of a name outside of the block that the user is in.
    pub fn get_outer(&self, name: &str) -> Option<&Binding> {
        let own = self.scopes.iter().rev().take_while(|s| s.transparent).count();
        let outer = self.scopes.len().saturating_sub(own + 1);
        self.scopes[..outer].iter().rev().find_map(|s| s.vars.get(name))
    }

    /// The value bound to a name.
    pub fn value(&self, name: &str) -> Option<Value> {
        match self.get(name) {
            Some(Binding::Is(Sugar::Value(value))) => Some(*value),
            _ => None,
        }
    }

    /// All names a user could have meant.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().flat_map(|s| s.vars.keys()).map(String::as_str).filter(|n| !n.starts_with('$'))
    }
}
