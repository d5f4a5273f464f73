//! Names that are not variables: of the unit, of PyTorch's modules, of Python.

use crate::body::Body;
use crate::builtins;
use crate::constants::{constant_name, module_constant, torch_constant};
use crate::env::Env;
use crate::error;
use crate::session::Dialect;
use crate::sugar::{Sugar, Typed};
use kiln_support::Span;

impl Body<'_, '_> {
    /// What a free name stands for.
    pub fn resolve(&mut self, name: &str, at: Span) -> Typed<Option<Sugar>> {
        if self.dialect == Dialect::Source
            && let Some(found) = self.unit_name(name, at)?
        {
            return Ok(Some(found));
        }
        if let Some((literal, ty)) = constant_name(name) {
            return Ok(Some(Sugar::Value(self.graph.add_const(self.block, literal, ty, at))));
        }
        if let Some(special) = builtins::special(name) {
            return Ok(Some(Sugar::Special(special, None)));
        }
        if let Some(operator) = builtins::function(name) {
            return Ok(Some(Sugar::Operator(operator.to_owned(), None)));
        }
        if let "torch" | "ops" | "__torch__" | "CONSTANTS" | "math" = name {
            return Ok(Some(Sugar::Namespace(name.to_owned())));
        }
        Ok(crate::annotation::primitive(name).map(Sugar::Type))
    }

    /// A function, class, import or constant of a source file.
    fn unit_name(&mut self, name: &str, at: Span) -> Typed<Option<Sugar>> {
        let unit = self.unit.clone();
        if let Some(func) = self.session.function(&unit, name)? {
            return Ok(Some(Sugar::Function(func)));
        }
        if let Some(class) = self.session.class_by_path(name, &unit)? {
            return Ok(Some(Sugar::Class(class)));
        }
        if let Some(path) = self.session.import(&unit, name) {
            if let Some(error) = self.session.missing_import(&path, at) {
                return Err(error);
            }
            return self.dotted_name(&path, at).map(Some);
        }
        let Some(expr) = module_constant(self.session, &unit, name) else { return Ok(None) };
        if self.depth >= 200 {
            return Err(error("circular-constant", format!("`{name}` is defined by itself"), at));
        }
        self.depth += 1;
        // What a file defines at its top sees no variables.
        let env = std::mem::replace(&mut self.env, Env::new());
        let value = self.sugar(&expr);
        self.env = env;
        self.depth -= 1;
        value.map(Some)
    }

    /// Does something with the names of another unit, and no variables.
    pub fn in_unit<T>(&mut self, unit: String, inside: impl FnOnce(&mut Self) -> Typed<T>) -> Typed<T> {
        let dialect = self.session.units.get(&unit).map_or(self.dialect, |unit| unit.dialect);
        let outer = (std::mem::replace(&mut self.unit, unit), std::mem::replace(&mut self.env, Env::new()), self.dialect);
        self.dialect = dialect;
        let result = inside(self);
        (self.unit, self.env, self.dialect) = outer;
        result
    }

    /// A name of another unit of the program.
    fn name_of_unit(&mut self, path: &str, name: &str, at: Span) -> Typed<Option<Sugar>> {
        if !self.session.units.contains_key(path) {
            return Ok(None);
        }
        if self.depth >= 200 {
            return Err(error("circular-constant", format!("`{path}.{name}` is defined by itself"), at));
        }
        self.depth += 1;
        let found = self.in_unit(path.to_owned(), |body| body.unit_name(name, at));
        self.depth -= 1;
        found
    }

    /// What a full path stands for.
    pub fn dotted_name(&mut self, path: &str, at: Span) -> Typed<Sugar> {
        let mut parts = path.split('.');
        let mut sugar = Sugar::Namespace(parts.next().unwrap_or_default().to_owned());
        for part in parts {
            sugar = self.attribute(sugar, part, at)?;
        }
        Ok(sugar)
    }

    /// `path.name`.
    pub fn namespace_attribute(&mut self, path: &str, name: &str, at: Span) -> Typed<Sugar> {
        let full = format!("{path}.{name}");
        if let Some(found) = self.name_of_unit(path, name, at)? {
            return Ok(found);
        }
        match path.split('.').next().unwrap_or_default() {
            "CONSTANTS" => self.archive_constant(name, at),
            "__torch__" => self.serialized_name(path, name, full),
            "ops" => self.custom_operator(path, name, full, at),
            "torch" => self.torch_attribute(name, full, at),
            "math" | "cmath" => self.math_attribute(name, &full, at),
            _ if matches!(full.as_str(), "collections.OrderedDict" | "typing.OrderedDict") => Ok(Sugar::Special("dict", None)),
            _ => Ok(match crate::annotation::primitive(&full) {
                Some(ty) => Sugar::Type(ty),
                None => Sugar::Namespace(full),
            }),
        }
    }

    fn serialized_name(&mut self, path: &str, name: &str, full: String) -> Typed<Sugar> {
        if let Some(class) = self.session.class_by_path(&full, "")? {
            return Ok(Sugar::Class(class));
        }
        if let Some(func) = self.session.function(path, name)? {
            return Ok(Sugar::Function(func));
        }
        Ok(Sugar::Namespace(full))
    }

    /// `ops.namespace.name`.
    fn custom_operator(&mut self, path: &str, name: &str, full: String, at: Span) -> Typed<Sugar> {
        let Some(namespace) = path.strip_prefix("ops.") else { return Ok(Sugar::Namespace(full)) };
        let operator = format!("{namespace}::{name}");
        let is_form = matches!(operator.as_str(), "prim::tolist" | "prim::fork" | "prim::RaiseException");
        if is_form || !kiln_ops::table().overloads(&operator).is_empty() {
            return Ok(Sugar::Operator(operator, None));
        }
        // Some primitives are only forms of the language.
        match name {
            "unchecked_cast" | "annotate" | "isinstance" if namespace == "prim" => {
                Ok(Sugar::Special(builtins::special(name).expect("these are forms"), None))
            }
            _ => self.unknown_operator(&operator, at),
        }
    }

    pub fn unknown_operator(&self, operator: &str, at: Span) -> Typed<Sugar> {
        let near = kiln_support::suggest::near(operator, kiln_ops::table().names()).join(", ");
        let mut error = crate::unsupported("unknown-operator", format!("unknown operator `{operator}`"), at);
        if !near.is_empty() {
            error.help = Some(format!("near names: {near}"));
        }
        Err(error)
    }

    fn torch_attribute(&mut self, name: &str, full: String, at: Span) -> Typed<Sugar> {
        let path = &full["torch.".len()..];
        let operator = format!("aten::{path}");
        if self.dialect == Dialect::Archive && !kiln_ops::table().overloads(&operator).is_empty() {
            return Ok(Sugar::Operator(operator, None));
        }
        if let Some((literal, ty)) = torch_constant(&full) {
            return Ok(Sugar::Value(self.graph.add_const(self.block, literal, ty, at)));
        }
        if path == "ops" {
            return Ok(Sugar::Namespace("ops".into()));
        }
        match builtins::torch_name(path) {
            Some(builtins::TorchName::Operator(operator)) => return Ok(Sugar::Operator(operator, None)),
            Some(builtins::TorchName::Special(special)) => return Ok(Sugar::Special(special, None)),
            Some(builtins::TorchName::NoContext) => return Ok(Sugar::NoContext),
            None => {}
        }
        if let Some(ty) = crate::annotation::primitive(&full) {
            return Ok(Sugar::Type(ty));
        }
        let module = full.strip_suffix(&format!(".{name}")).filter(|module| self.session.units.contains_key(*module));
        if let Some(module) = module.filter(|_| !TORCH_MODULES.contains(&path)) {
            return Err(self.session.not_in_unit(module, name, at));
        }
        let is_module = name.starts_with(char::is_lowercase) || name.starts_with('_');
        if self.dialect == Dialect::Archive || !is_module || !TORCH_MODULES.contains(&path) {
            // `_ntuple` helpers and other functions that PyTorch writes in TorchScript.
            return match path {
                "floordiv" | "_single" | "_pair" | "_triple" | "_quadruple" => Ok(Sugar::Operator(operator, None)),
                _ => self.unknown_operator(&operator, at),
            };
        }
        Ok(Sugar::Namespace(full))
    }

    fn math_attribute(&mut self, name: &str, full: &str, at: Span) -> Typed<Sugar> {
        if let Some((literal, ty)) = torch_constant(full) {
            return Ok(Sugar::Value(self.graph.add_const(self.block, literal, ty, at)));
        }
        match builtins::math_name(name) {
            Some(operator) => Ok(Sugar::Operator(operator, None)),
            None => self.unknown_operator(&format!("math.{name}"), at),
        }
    }
}

/// Modules below `torch` whose attributes have a meaning here.
const TORCH_MODULES: &[&str] = &[
    "nn",
    "nn.utils",
    "nn.utils.rnn",
    "nn.modules",
    "utils",
    "nn.functional",
    "jit",
    "linalg",
    "special",
    "fft",
    "functional",
    "_C",
    "_C._nn",
    "_VF",
    "autograd",
    "autograd.profiler",
    "profiler",
    "compiler",
    "onnx",
    "overrides",
    "Tensor",
];
