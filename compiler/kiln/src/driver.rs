//! The stages of a compilation, in order:
//!
//! ```text
//! read       archive bytes     -> object graph and syntax trees     (kiln-frontend; from source: kiln-source)
//! type       syntax trees      -> typed program                     (kiln-typing)
//! specialise program, types   -> residual model                    (kiln-passes)
//! optimise   residual model    -> residual model                    (kiln-passes)
//! schedule   residual model    -> plan                              (kiln-schedule)
//! generate   plan              -> object                            (kiln-codegen)
//! ```
//!
//! A [`Model`] has been read and typed; it can be asked for signatures and compiled any number of times. Each stage is
//! timed under the name above. Nothing here prints.

use crate::arguments::Signature;
use crate::error::{Error, Result};
use crate::prelude::{self, Prelude};
use crate::target::Target;
use kiln_artifact::Facts;
use kiln_codegen::{EmittedKernel, KernelEmitter};
use kiln_frontend::ast::{Expr, FunctionDef, Item};
use kiln_frontend::model::{Archive, HeapItem};
use kiln_frontend::python::Dialect;
use kiln_graph::{ClassId, FuncId, Graph, HeapObject, Literal, Op, Program, ResidualModel};
use kiln_loops::plan::Plan;
use kiln_passes::pipeline::{Quantization, optimise};
use kiln_passes::specialise::{Method, specialise};
use kiln_schedule::instrument::{Site, instrument};
use kiln_schedule::kernels::{Scheduled, Settings, TargetDesc};
use kiln_support::{Diagnostic, FileId, SourceMap, Span};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long each stage took, in order.
#[derive(Default)]
pub struct Timings {
    /// Names and times.
    pub stages: Vec<(&'static str, Duration)>,
    observer: Option<Box<dyn Fn(&'static str)>>,
}

impl Timings {
    /// Timings that tell the name of each stage as it begins.
    pub fn observed(observer: impl Fn(&'static str) + 'static) -> Timings {
        Timings { stages: Vec::new(), observer: Some(Box::new(observer)) }
    }

    /// Runs a stage.
    pub fn stage<T>(&mut self, name: &'static str, run: impl FnOnce() -> T) -> T {
        if let Some(observer) = &self.observer {
            observer(name);
        }
        let start = Instant::now();
        let result = run();
        self.stages.push((name, start.elapsed()));
        result
    }

    /// All stages together.
    pub fn total(&self) -> Duration {
        self.stages.iter().map(|(_, time)| *time).sum()
    }

    /// The stages before the one of this name.
    pub fn before(&self, name: &str) -> Duration {
        self.stages.iter().take_while(|(stage, _)| *stage != name).map(|(_, time)| *time).sum()
    }
}

/// A model, read and typed.
pub struct Model {
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    /// Its texts, and those of the prelude.
    pub sources: SourceMap,
    /// What the archive holds.
    pub archive: Archive,
    /// The typed program. Specialisation adds functions of the prelude to copies of it.
    pub program: Program,
    /// How long reading and typing took.
    pub timings: Timings,
    /// How it is quantized.
    pub quantization: Quantization,
    prelude: Vec<FileId>,
}

/// What a model is read from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// An archive, or a source file.
    pub path: PathBuf,
    /// For a source file, the class, or a call of it.
    pub class: Option<String>,
    /// For a source file, its weights.
    pub weights: Option<PathBuf>,
    /// For a source file: whether it is only to be checked, and needs no weights.
    pub is_check: bool,
    /// How it is to be quantized.
    pub quantization: Option<PathBuf>,
}

impl From<&Path> for Origin {
    fn from(path: &Path) -> Origin {
        Origin { path: path.to_owned(), ..Origin::default() }
    }
}

/// A model that was read but not typed.
pub struct Parsed {
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    /// Its texts.
    pub sources: SourceMap,
    /// What it holds.
    pub archive: Archive,
    /// How long it took.
    pub timings: Timings,
    /// How it is quantized.
    pub quantization: Quantization,
}

impl Parsed {
    /// Reads an archive, or makes the module of a source file, and reads how it is quantized.
    pub fn open(origin: &Origin) -> Result<Parsed> {
        let mut parsed = Self::read(origin)?;
        if let Some(path) = &origin.quantization {
            parsed.quantization = Quantization::By(crate::quantization::read(path)?);
            parsed.files.push(path.clone());
        }
        Ok(parsed)
    }

    fn read(origin: &Origin) -> Result<Parsed> {
        let path = &origin.path;
        if path.extension().is_some_and(|ending| ending == "py") {
            return crate::python_source::open(origin);
        }
        if origin.class.is_some() || origin.weights.is_some() {
            return Err(
                Diagnostic::usage("class", "`--class` and `--weights` are for source files; an archive holds both").into()
            );
        }
        let unreadable = |error| Diagnostic::model("file", format!("`{}` cannot be read: {error}", path.display()));
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        let (mut sources, mut timings) = (SourceMap::default(), Timings::default());
        let archive = timings.stage("read", || kiln_frontend::archive::read_archive(&bytes, &name, &mut sources));
        let archive = archive.map_err(|error| Error::new(vec![error], &sources))?;
        Ok(Parsed { files: vec![path.clone()], sources, archive, timings, quantization: Quantization::None })
    }

    /// The names of the root module's methods.
    pub fn methods(&self) -> Vec<String> {
        let Some(HeapItem::Object { class, .. }) = self.archive.root.map(|root| &self.archive.heap[root]) else {
            return Vec::new();
        };
        let (path, name) = class.rsplit_once('.').unwrap_or(("", class));
        let items = self.archive.code.get(path).map_or(&[][..], |file| &file.module.items);
        let class = items.iter().find_map(|item| match item {
            Item::Class(def) if def.name == name => Some(def),
            _ => None,
        });
        let is_source = self.archive.code.get(path).is_some_and(|file| file.dialect == Dialect::Python);
        let is_exported = |method: &&FunctionDef| {
            let is_export = |decorator: &Expr| decorator.dotted().is_some_and(|path| path.ends_with("export"));
            !is_source || method.name == "forward" || method.decorators.iter().any(is_export)
        };
        class.map_or_else(Vec::new, |def| def.methods.iter().filter(is_exported).map(|method| method.name.clone()).collect())
    }

    /// Types it: what `methods` of the root module reach (`forward` where there are none).
    pub fn typed(self, methods: &[String]) -> Result<Model> {
        let Parsed { files, mut sources, archive, mut timings, quantization } = self;
        let program = timings.stage("type", || kiln_typing::load_archive(&archive, methods));
        let program = program.map_err(|errors| Error::new(errors, &sources))?;
        let prelude = prelude::register(&mut sources);
        Ok(Model { files, sources, archive, program, timings, quantization, prelude })
    }
}

impl Model {
    /// Reads and types a model.
    pub fn open(origin: &Origin, methods: &[String]) -> Result<Model> {
        Parsed::open(origin)?.typed(methods)
    }

    /// An error of this model.
    pub fn error(&self, diagnostic: Diagnostic) -> Error {
        Error::new(vec![diagnostic], &self.sources)
    }

    fn root_class(&self) -> Option<ClassId> {
        match self.program.objects[self.program.root?] {
            HeapObject::Object(class, _) | HeapObject::SetState(class, _) => Some(class),
            _ => None,
        }
    }

    /// The methods that the root module has, typed or not.
    pub fn methods(&self) -> &[(String, FuncId)] {
        self.root_class().map_or(&[], |class| &self.program.classes[class].methods)
    }

    /// The signature of a method of the root module.
    pub fn signature<'a>(&'a self, name: &'a str) -> Result<Signature<'a>> {
        let found = self.methods().iter().find(|(method, _)| method == name);
        let Some((_, func)) = found else {
            let names: Vec<&str> = self.methods().iter().map(|(name, _)| name.as_str()).collect();
            let error = Diagnostic::model("no-such-method", format!("the model has no method `{name}`"));
            return Err(self.error(error.help(format!("its methods are: {}", names.join(", ")))));
        };
        Ok(Signature { program: &self.program, name, func: *func })
    }

    /// The residual model of some methods.
    pub fn residual(&self, methods: &[Method], settings: Settings, timings: &mut Timings) -> Result<ResidualModel> {
        let mut program = self.program.clone();
        let mut prelude = Prelude::new(&self.sources, &self.prelude);
        let residual = timings.stage("specialise", || specialise(&mut program, &mut prelude, methods));
        let mut residual = residual.map_err(|error| self.error(*error))?;
        let optimised =
            timings.stage("optimise", || optimise(&mut residual, &self.quantization, settings.strict, &mut |_, _| {}));
        optimised.map_err(|why| {
            let message = format!("the quantization does not fit the model: {why}");
            self.error(Diagnostic::model("quantization", message).help("make it again with `kiln quantize`"))
        })?;
        Ok(residual)
    }

    /// Some methods as they are before they would be quantized: what their layers are.
    pub fn layers(&self, methods: &[Method]) -> Result<ResidualModel> {
        let mut program = self.program.clone();
        let mut prelude = Prelude::new(&self.sources, &self.prelude);
        let mut residual = specialise(&mut program, &mut prelude, methods).map_err(|error| self.error(*error))?;
        kiln_passes::pipeline::before_quantization(&mut residual);
        Ok(residual)
    }

    /// The residual model of some methods, each of which can give a result: one that always raises for its input types is a
    /// mistake found while compiling.
    pub fn sound_residual(&self, methods: &[Method], settings: Settings, timings: &mut Timings) -> Result<ResidualModel> {
        let residual = self.residual(methods, settings, timings)?;
        let errors: Vec<Diagnostic> =
            residual.methods.iter().filter_map(|method| always_raises(&method.name, &method.graph)).collect();
        if errors.is_empty() { Ok(residual) } else { Err(Error::new(errors, &self.sources)) }
    }

    /// The plan of a residual model.
    pub fn plan(&self, residual: &ResidualModel, target: &Target, timings: &mut Timings) -> Result<Plan<Scheduled>> {
        let variants: Vec<TargetDesc> = target.variants.iter().map(Target::schedule).collect();
        let plan =
            timings.stage("schedule", || kiln_schedule::schedule(residual, &target.schedule(), &variants, &target.choices));
        plan.map_err(|error| self.error(error))
    }

    /// The object of a plan.
    pub fn generate(
        &self,
        plan: &Plan<Scheduled>,
        target: &Target,
        options: &Listings,
        timings: &mut Timings,
    ) -> Result<Compiled> {
        let facts = Facts {
            prefix: options.prefix.into(),
            target: target.name.clone(),
            features: target.features.clone(),
            operators: Vec::new(),
            kiln_version: env!("CARGO_PKG_VERSION").into(),
        };
        let describe = |span: Span| self.describe(span);
        let wanted =
            kiln_codegen::Options { prefix: options.prefix, clif: options.clif, asm: options.asm, describe: Some(&describe) };
        let compiled = timings.stage("generate", || {
            let generated = kiln_codegen::generate(plan, &Kernels, &target.codegen(), &wanted)?;
            let object = generated.write()?;
            let description = kiln_artifact::Model::new(plan, &generated, facts);
            Ok(Compiled { object, clif: generated.clif, asm: generated.asm, description, sites: Vec::new() })
        });
        // What the plan asks for is kiln's own doing: code generation refuses nothing that a user wrote.
        compiled.map_err(|error: kiln_codegen::CodegenError| match error {
            kiln_codegen::CodegenError::Target(_) => self.error(Diagnostic::unsupported("target", error.to_string())),
            error => panic!("{error}"),
        })
    }

    /// All stages from the typed program to the object.
    pub fn compile(&self, methods: &[Method], target: &Target, options: &Listings, timings: &mut Timings) -> Result<Compiled> {
        let residual = self.residual(methods, target.settings, timings)?;
        let mut plan = self.plan(&residual, target, timings)?;
        let mut sites = Vec::new();
        if options.marks {
            // What is measured is the code for the first CPU.
            plan.variants.clear();
            sites = instrument(&mut plan);
        }
        Ok(Compiled { sites, ..self.generate(&plan, target, options, timings)? })
    }

    /// Where a span is, in the user's own file where that is known: `net.py:12`.
    pub fn describe(&self, span: Span) -> String {
        let span = self.sources.origin(span);
        if span.is_none() {
            return String::new();
        }
        format!("{}:{}", self.sources.file(span.file).name, self.sources.line_column(span).0)
    }
}

/// The error for a method that raises whatever the elements of its inputs are.
fn always_raises(name: &str, graph: &Graph) -> Option<Diagnostic> {
    let entry = &graph.blocks[graph.entry];
    let raise = entry.nodes.iter().rev().map(|&node| &graph.nodes[node]).find(|node| matches!(node.op, Op::Raise(_)))?;
    let text = match raise.args.first().and_then(|&message| graph.as_const(message)) {
        Some(Literal::Str(text)) => format!(": {text}"),
        _ => String::new(),
    };
    let error = || Diagnostic::model("always-raises", format!("`{name}` always raises for these inputs{text}")).at(raise.span);
    entry.diverges.then(error)
}

/// The operators of a residual model, by name.
pub fn operators(residual: &ResidualModel) -> Vec<String> {
    let mut names = BTreeSet::new();
    for method in &residual.methods {
        let graph = &method.graph;
        graph.visit(graph.entry, &mut |_, node| {
            if let Op::Table(op) = graph.nodes[node].op {
                names.insert(kiln_ops::table().key(op).to_owned());
            }
        });
    }
    names.into_iter().collect()
}

/// Hands the kernels' code, which scheduling has made, to code generation.
struct Kernels;

impl KernelEmitter<Scheduled> for Kernels {
    fn emit(&self, scheduled: &Scheduled) -> std::result::Result<EmittedKernel, String> {
        let kernel = &scheduled.kernel;
        Ok(EmittedKernel { name: kernel.name.clone(), bytes: kernel.code.clone(), arguments: kernel.args.len(), listing: None })
    }
}

/// What code generation is to make beside the object.
#[derive(Clone, Copy, Debug)]
pub struct Listings<'a> {
    /// Prefix of every symbol.
    pub prefix: &'a str,
    /// The CLIF text.
    pub clif: bool,
    /// The machine code's text.
    pub asm: bool,
    /// Marks in the code that say where time goes, which only kiln's own loader can run.
    pub marks: bool,
}

impl<'a> Listings<'a> {
    /// Only the object.
    pub fn none(prefix: &'a str) -> Listings<'a> {
        Listings { prefix, clif: false, asm: false, marks: false }
    }
}

/// A compiled model.
pub struct Compiled {
    /// The object file.
    pub object: Vec<u8>,
    /// CLIF, if asked for.
    pub clif: Option<String>,
    /// Machine code as text, if asked for.
    pub asm: Option<String>,
    /// Its methods, sizes and symbols, for what is written beside it.
    pub description: kiln_artifact::Model,
    /// What the marks in it stand for.
    pub sites: Vec<Site>,
}
