//! Units: the files that the model's files import, and the bundled library.
//!
//! A unit is named by its dotted path. All files of the bundled library's modules make one unit, `torch.nn`.

use crate::evaluator::{Eval, Evaluator, error};
use kiln_frontend::ast::Expr;
use kiln_frontend::ast::{ClassDef, ExprKind, Foreign, FunctionDef, Item, Item as AstItem, SourceModule, Stmt, StmtKind};
use kiln_frontend::python::parse_source;
use kiln_support::{Diagnostic, FileId, Span};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// The bundled library: the unit and the files it is made of.
const BUNDLED: &[(&str, &[(&str, &str)])] = &[
    ("torch.nn.functional", &[("functional.py", include_str!("../nn/functional.py"))]),
    ("torch.nn.utils.rnn", &[("utils_rnn.py", include_str!("../nn/utils_rnn.py"))]),
    (
        "torch.nn",
        &[
            ("activation.py", include_str!("../nn/activation.py")),
            ("attention.py", include_str!("../nn/attention.py")),
            ("container.py", include_str!("../nn/container.py")),
            ("convolution.py", include_str!("../nn/convolution.py")),
            ("distance.py", include_str!("../nn/distance.py")),
            ("dropout.py", include_str!("../nn/dropout.py")),
            ("linear.py", include_str!("../nn/linear.py")),
            ("loss.py", include_str!("../nn/loss.py")),
            ("normalization.py", include_str!("../nn/normalization.py")),
            ("padding.py", include_str!("../nn/padding.py")),
            ("pooling.py", include_str!("../nn/pooling.py")),
            ("recurrent.py", include_str!("../nn/recurrent.py")),
            ("shape.py", include_str!("../nn/shape.py")),
            ("sparse.py", include_str!("../nn/sparse.py")),
            ("transformer.py", include_str!("../nn/transformer.py")),
            ("upsampling.py", include_str!("../nn/upsampling.py")),
        ],
    ),
];

/// A parsed unit.
pub struct Unit {
    pub file: FileId,
    pub module: SourceModule,
    pub functions: HashMap<String, Rc<FunctionDef>>,
    pub classes: HashMap<String, Rc<ClassDef>>,
    /// Local name to full path.
    pub imports: HashMap<String, String>,
    /// The modules that it imports, or imports from.
    pub modules: Vec<String>,
    /// Names at the top of the file whose value depends on more than one assignment, and where.
    pub unsettled: HashMap<String, Span>,
    /// Classes whose attributes are assigned at the top of the file, and where.
    pub patched: HashMap<String, Span>,
}

impl Unit {
    /// A unit; `package` is what its relative imports start from.
    fn new(file: FileId, mut module: SourceModule, package: &str) -> Unit {
        let (mut functions, mut classes, mut imports) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut modules = Vec::new();
        for item in &mut module.items {
            match item {
                Item::Function(def) => drop(functions.insert(def.name.clone(), Rc::new(def.clone()))),
                Item::Class(def) => drop(classes.insert(def.name.clone(), Rc::new(def.clone()))),
                Item::Import { module: from, name, alias, .. } => {
                    *from = absolute(from, package);
                    modules.push(from.clone());
                    let full = match name {
                        Some(name) => format!("{from}.{name}"),
                        // `import a.b` binds `a`, `import a.b as c` binds the whole path.
                        None if from.split('.').next() == Some(alias) => alias.clone(),
                        None => from.clone(),
                    };
                    imports.insert(alias.clone(), full);
                }
                Item::Statement(_) => {}
            }
        }
        let mut unit =
            Unit { file, module, functions, classes, imports, modules, unsettled: HashMap::new(), patched: HashMap::new() };
        unit.note_statements();
        unit
    }

    /// Finds the names that one plain assignment does not define.
    fn note_statements(&mut self) {
        let (mut seen, mut unsettled, mut patched) = (BTreeSet::new(), HashMap::new(), HashMap::new());
        for item in &self.module.items {
            let AstItem::Statement(stmt) = item else { continue };
            match &stmt.kind {
                StmtKind::Assign { targets, value, .. } => {
                    for target in targets {
                        for name in target_names(target) {
                            if value.is_some() && !seen.insert(name.clone()) {
                                unsettled.insert(name, stmt.span);
                            }
                        }
                        if let ExprKind::Attribute { value, .. } = &target.kind
                            && let ExprKind::Name(name) = &value.kind
                        {
                            patched.insert(name.clone(), stmt.span);
                        }
                        if let ExprKind::Subscript { value, .. } = &target.kind
                            && let ExprKind::Name(name) = &value.kind
                        {
                            unsettled.insert(name.clone(), stmt.span);
                        }
                    }
                }
                _ => assigned_names(stmt, &mut |name| {
                    unsettled.insert(name, stmt.span);
                }),
            }
        }
        (self.unsettled, self.patched) = (unsettled, patched);
    }

    /// A statement at the top of the file, as typing may read it.
    pub fn settled(&self, mut stmt: Stmt) -> Stmt {
        if let StmtKind::Assign { targets, value: Some(value), .. } = &mut stmt.kind
            && targets.iter().flat_map(target_names).any(|name| self.unsettled.contains_key(&name))
        {
            value.kind = ExprKind::Foreign(unsettled());
        }
        stmt
    }

    /// The expression that a name is assigned at the top of the file: the last one.
    pub fn constant(&self, name: &str) -> Option<Expr> {
        self.module.items.iter().rev().find_map(|item| match item {
            Item::Statement(stmt) => match &stmt.kind {
                StmtKind::Assign { targets, value: Some(value), .. } => targets.iter().find_map(|t| t.assigned(name, value)),
                _ => None,
            },
            _ => None,
        })
    }
}

/// What stands for a value that is not settled.
pub fn unsettled() -> Foreign {
    Foreign {
        what: "a name that the top of the file assigns more than once, or under a condition,".into(),
        help: "assign it once, by one plain assignment".into(),
        defines: None,
    }
}

/// The names that a target assigns.
fn target_names(target: &Expr) -> Vec<String> {
    match &target.kind {
        ExprKind::Name(name) => vec![name.clone()],
        ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().flat_map(target_names).collect(),
        ExprKind::Starred(inner) => target_names(inner),
        _ => Vec::new(),
    }
}

/// The names that a statement and those inside assign.
fn assigned_names(stmt: &Stmt, found: &mut impl FnMut(String)) {
    match &stmt.kind {
        StmtKind::Assign { targets, .. } => targets.iter().flat_map(target_names).for_each(found),
        StmtKind::AugAssign { target, .. } => target_names(target).into_iter().for_each(found),
        StmtKind::If { body, orelse, .. } => body.iter().chain(orelse).for_each(|stmt| assigned_names(stmt, found)),
        StmtKind::While { body, .. } | StmtKind::With { body, .. } => body.iter().for_each(|stmt| assigned_names(stmt, found)),
        StmtKind::For { target, body, .. } => {
            target_names(target).into_iter().for_each(&mut *found);
            body.iter().for_each(|stmt| assigned_names(stmt, found));
        }
        StmtKind::Expr(Expr { kind: ExprKind::Call { func, .. }, .. }) => {
            // `names.append(...)`
            if let ExprKind::Attribute { value, name } = &func.kind
                && let ExprKind::Name(object) = &value.kind
                && matches!(name.as_str(), "append" | "extend" | "insert" | "update" | "pop" | "remove" | "clear" | "setdefault")
            {
                found(object.clone());
            }
        }
        StmtKind::Delete(targets) => targets.iter().flat_map(target_names).for_each(found),
        _ => {}
    }
}

/// A module path with leading dots, seen from a package.
fn absolute(module: &str, package: &str) -> String {
    let level = module.chars().take_while(|c| *c == '.').count();
    if level == 0 {
        return module.to_owned();
    }
    let mut parts: Vec<&str> = package.split('.').filter(|part| !part.is_empty()).collect();
    parts.truncate(parts.len().saturating_sub(level - 1));
    let rest = &module[level..];
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts.join(".")
}

impl Evaluator<'_> {
    /// Adds a file's text as a unit.
    pub fn add_unit(&mut self, path: &str, name: &str, text: &str) -> Result<(), Vec<Diagnostic>> {
        let file = self.sources.add(name, text);
        let module = parse_source(self.sources, file)?;
        let package = if name.ends_with("__init__.py") { path } else { path.rsplit_once('.').map_or("", |(package, _)| package) };
        self.units.insert(path.to_owned(), Unit::new(file, module, package));
        self.spread_stars(path).map_err(|error| vec![*error])
    }

    /// `from a import *` as the import of every name that `a` defines.
    fn spread_stars(&mut self, path: &str) -> Eval<()> {
        let stars: Vec<(String, Span)> = self.units[path]
            .module
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Import { module, name: Some(name), span, .. } if name == "*" => Some((module.clone(), *span)),
                _ => None,
            })
            .collect();
        for (module, span) in stars {
            if !self.has_unit(&module, span)? {
                return Err(crate::evaluator::unsupported(format!("`from {module} import *` is not supported"), span));
            }
            let from = &self.units[&module];
            let mut names: Vec<String> =
                from.functions.keys().chain(from.classes.keys()).chain(from.imports.keys()).cloned().collect();
            for item in &from.module.items {
                if let Item::Statement(Stmt { kind: StmtKind::Assign { targets, .. }, .. }) = item {
                    names.extend(targets.iter().flat_map(target_names));
                }
            }
            names.retain(|name| !name.starts_with('_') && name != "*");
            names.sort();
            let unit = self.units.get_mut(path).expect("it was just added");
            for name in names {
                unit.imports.entry(name.clone()).or_insert_with(|| format!("{module}.{name}"));
                let import = Item::Import { span, module: module.clone(), name: Some(name.clone()), alias: name };
                unit.module.items.insert(0, import);
            }
        }
        Ok(())
    }

    /// Whether there is a unit of this path; it is read if it has not been yet.
    pub fn has_unit(&mut self, path: &str, at: Span) -> Eval<bool> {
        if self.units.contains_key(path) {
            return Ok(true);
        }
        if let Some((_, files)) = BUNDLED.iter().find(|(unit, _)| *unit == path) {
            self.add_bundled(path, files);
            return Ok(true);
        }
        if self.missing.contains(path) {
            return Ok(false);
        }
        match self.host.module(path) {
            None => {
                self.missing.insert(path.to_owned());
                Ok(false)
            }
            Some((name, text)) => match self.add_unit(path, &name, &text) {
                Ok(()) => Ok(true),
                Err(mut errors) if !errors.is_empty() => Err(Box::new(errors.remove(0))),
                Err(_) => Err(error("import", format!("`{path}` cannot be read"), at)),
            },
        }
    }

    /// A mistake in the bundled library is a bug in kiln and panics.
    fn add_bundled(&mut self, path: &str, files: &[(&str, &str)]) {
        let (mut first, mut module) = (None, SourceModule::default());
        for (name, text) in files {
            let file = self.sources.add(format!("kiln torch.nn {name}"), *text);
            first.get_or_insert(file);
            match parse_source(self.sources, file) {
                Ok(parsed) => module.items.extend(parsed.items),
                Err(errors) => panic!("the bundled {name} does not parse: {}", errors[0].message),
            }
        }
        let file = first.expect("a unit has a file");
        self.units.insert(path.to_owned(), Unit::new(file, module, path));
    }
}
