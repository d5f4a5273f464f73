//! Models from Python source: files for the evaluator, weights, and what operators compute while a model is constructed.
//!
//! A computation on tensors is compiled as any other code: it becomes the `forward` of a small module that holds the tensors, and
//! specialisation, which folds what is constant, leaves its value; what is too much for folding is run.

use crate::driver::{Origin, Parsed, Timings};
use crate::error::{Error, Result};
use crate::execute::run_once;
use crate::prelude::{self, Prelude};
use kiln_frontend::archive::read_state_dict;
use kiln_frontend::ast::{ClassDef, FieldDef, FunctionDef, Item as AstItem, Param, SourceModule};
use kiln_frontend::model::{Archive, CodeFile, HeapItem, Item, ObjectState, Storage, TensorItem};
use kiln_frontend::python::{Dialect, parse_expression, parse_source};
use kiln_frontend::tensors_file::{InputValue, SafeTensors};
use kiln_graph::{Dim, Graph, HeapObject, Literal, Op, Program, Type, Value};
use kiln_passes::pipeline::Quantization;
use kiln_passes::specialise::{Method, specialise};
use kiln_source::{Computed, Host, Request, TensorValue, Weights};
use kiln_support::tensor::contiguous_strides;
use kiln_support::{Diagnostic, FileId, SourceMap, Span};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Makes the module that a source file describes.
pub fn open(origin: &Origin) -> Result<Parsed> {
    let path = &origin.path;
    let Some(class) = &origin.class else {
        let message = format!("`{}` is a source file: which class is the model?", path.display());
        return Err(Diagnostic::usage("class", message).help("add --class NAME and --weights FILE").into());
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Diagnostic::model("file", format!("`{}` cannot be read: {error}", path.display())))?;
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let module = path.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let weights = origin.weights.as_deref().map(read_weights).transpose()?;
    let (mut sources, mut timings) = (SourceMap::default(), Timings::default());
    let mut host = Compiler::new(path.parent().unwrap_or(Path::new("")).to_owned());
    let request = Request { file: (&name, &text), module: &module, class, weights: weights.as_ref(), is_check: origin.is_check };
    let archive = timings.stage("read", || kiln_source::evaluate(&request, &mut sources, &mut host));
    let archive = archive.map_err(|errors| Error::new(errors, &sources))?;
    let files = [Some(path.clone()), origin.weights.clone()].into_iter().flatten().chain(host.files).collect();
    Ok(Parsed { files, sources, archive, timings, quantization: Quantization::None })
}

/// Weights: a safetensors file, or a state_dict that PyTorch saved.
fn read_weights(path: &Path) -> Result<Weights> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let bytes = std::fs::read(path)
        .map_err(|error| Diagnostic::model("file", format!("`{}` cannot be read: {error}", path.display())))?;
    if path.extension().is_some_and(|ending| ending == "safetensors") {
        let tensors = SafeTensors::read(&bytes)?.tensors()?;
        return Ok(Weights { name, tensors: tensors.into_iter().collect() });
    }
    let dict = read_state_dict(&bytes, &name)?;
    let mut tensors = BTreeMap::new();
    for (key, tensor) in &dict.tensors {
        tensors.insert(key.clone(), tensor.gather(&dict.storages)?);
    }
    Ok(Weights { name, tensors })
}

/// Modules of Python and PyTorch that no file beside the model stands for.
const PYTHON: &[&str] = &[
    "torch",
    "typing",
    "typing_extensions",
    "math",
    "cmath",
    "builtins",
    "enum",
    "collections",
    "dataclasses",
    "functools",
    "copy",
    "abc",
    "warnings",
    "itertools",
    "operator",
    "sys",
    "os",
];

/// The outside of an evaluation.
struct Compiler {
    /// The folder of the model's file: where its imports are.
    folder: PathBuf,
    sources: SourceMap,
    prelude: Vec<FileId>,
    /// The files that were imported.
    files: Vec<PathBuf>,
    /// Results of code without tensors.
    known: HashMap<String, Computed>,
}

impl Compiler {
    fn new(folder: PathBuf) -> Compiler {
        let mut sources = SourceMap::default();
        let prelude = prelude::register(&mut sources);
        Compiler { folder, sources, prelude, files: Vec::new(), known: HashMap::new() }
    }
}

impl Host for Compiler {
    fn module(&mut self, path: &str) -> Option<(String, String)> {
        let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        let root = path.split('.').next().unwrap_or_default();
        if !path.split('.').all(is_name) || PYTHON.contains(&root) {
            return None;
        }
        let relative: PathBuf = path.split('.').collect();
        let candidates = [relative.with_extension("py"), relative.join("__init__.py")];
        let found = candidates.into_iter().find(|file| self.folder.join(file).is_file())?;
        let text = std::fs::read_to_string(self.folder.join(&found)).ok()?;
        self.files.push(self.folder.join(&found));
        Some((found.display().to_string(), text))
    }

    fn compute(&mut self, body: &str, tensors: &[TensorValue]) -> std::result::Result<Computed, String> {
        if tensors.is_empty()
            && let Some(known) = self.known.get(body)
        {
            return Ok(known.clone());
        }
        let computed = self.run(body, tensors)?;
        if tensors.is_empty() {
            self.known.insert(body.to_owned(), computed.clone());
        }
        Ok(computed)
    }
}

/// The unit and the class of a computation.
const UNIT: &str = "kiln_init";
const CLASS: &str = "Computation";

impl Compiler {
    fn run(&mut self, body: &str, tensors: &[TensorValue]) -> std::result::Result<Computed, String> {
        let said = |errors: &[Diagnostic]| errors.first().map_or_else(String::new, |error| error.message.clone());
        let file = self.sources.add("constructor", program_text(body));
        let module = parse_source(&self.sources, file).map_err(|errors| said(&errors))?;
        let archive = archive(file, module.clone(), tensors);
        let mut program = kiln_typing::load_archive(&archive, &[]).map_err(|errors| said(&errors))?;
        let method = method(&program, tensors).ok_or("the computation has no function")?;
        let mut prelude = Prelude::new(&self.sources, &self.prelude);
        let residual = specialise(&mut program, &mut prelude, &[method]).map_err(|error| error.message.clone())?;
        let graph = &residual.methods[0].graph;
        let Some(&value) = graph.blocks[graph.entry].yields.first() else { return Err(raised_message(graph)) };
        let all_known = tensors.iter().all(|tensor| matches!(tensor, TensorValue::Known(_)));
        match computed(graph, value) {
            Some(value) if !all_known || is_complete(&value) => Ok(value),
            _ if all_known => self.execute(file, module, tensors),
            _ => Err("the result of this is not known while the model is constructed".into()),
        }
    }

    /// Runs what is too much to be folded, as compiled code.
    fn execute(&self, file: FileId, module: SourceModule, tensors: &[TensorValue]) -> std::result::Result<Computed, String> {
        let said = |error: Error| error.diagnostics()[0].message.clone();
        let parsed = Parsed {
            files: Vec::new(),
            sources: self.sources.clone(),
            archive: archive(file, module, tensors),
            timings: Timings::default(),
            quantization: Quantization::None,
        };
        let model = parsed.typed(&[]).map_err(said)?;
        let method = method(&model.program, &[]).ok_or("the computation has no function")?;
        let result = run_once(&model, method).map_err(said)?;
        from_value(result).ok_or_else(|| "a constructor cannot use a result of this type".into())
    }
}

/// The message of a graph that always raises.
fn raised_message(graph: &Graph) -> String {
    let nodes = graph.blocks[graph.entry].nodes.iter().rev();
    let message = nodes.map(|&node| &graph.nodes[node]).find_map(|node| match node.op {
        Op::Raise(_) => node.args.first().and_then(|&message| graph.as_const(message)),
        _ => None,
    });
    match message {
        Some(Literal::Str(text)) => text.clone(),
        _ => "this raises".into(),
    }
}

/// Whether every tensor has its elements.
fn is_complete(value: &Computed) -> bool {
    match value {
        Computed::Tensor(tensor) => matches!(tensor, TensorValue::Known(_)),
        Computed::List(items) | Computed::Tuple(items) => items.iter().all(is_complete),
        _ => true,
    }
}

fn from_value(value: InputValue) -> Option<Computed> {
    let all = |items: Vec<InputValue>| items.into_iter().map(from_value).collect::<Option<Vec<_>>>();
    Some(match value {
        InputValue::None => Computed::None,
        InputValue::Bool(b) => Computed::Bool(b),
        InputValue::Int(i) => Computed::Int(i),
        InputValue::Float(x) => Computed::Float(x),
        InputValue::Tensor(data) => Computed::Tensor(TensorValue::Known(data)),
        InputValue::List(items) => Computed::List(all(items)?),
        InputValue::Tuple(items) => Computed::Tuple(all(items)?),
        _ => return None,
    })
}

fn program_text(body: &str) -> String {
    let lines: Vec<String> = body.lines().map(|line| format!("    {line}\n")).collect();
    format!("def forward(self):\n{}", lines.concat())
}

/// A module with the known tensors as attributes; the others are arguments.
fn archive(file: FileId, module: SourceModule, tensors: &[TensorValue]) -> Archive {
    let mut archive = Archive { version: 3, ..Archive::default() };
    let mut forward: FunctionDef = match module.items.into_iter().next() {
        Some(AstItem::Function(def)) => def,
        _ => unreachable!("the text is one function"),
    };
    let annotation = || parse_expression("Tensor", Span::NONE).ok();
    let (mut fields, mut attributes, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    for (place, tensor) in tensors.iter().enumerate() {
        let name = format!("t{place}");
        match tensor {
            TensorValue::Open(..) => forward.params.push(Param {
                span: Span::NONE,
                name,
                annotation: annotation(),
                default: None,
                keyword_only: false,
            }),
            TensorValue::Known(data) => {
                let storage = archive.storages.push(Storage { bytes: data.bytes.clone() });
                let (sizes, strides) = (data.shape.clone(), contiguous_strides(&data.shape));
                let item =
                    TensorItem { storage, dtype: data.dtype, offset: 0, sizes, strides, requires_grad: false, quant: None };
                fields.push(FieldDef { span: Span::NONE, name: name.clone(), annotation: annotation(), value: None });
                // The code may write to it.
                copies.push(format!("{name} = self.{name}.clone()"));
                attributes.push((name, Item::Tensor(item)));
            }
        }
    }
    let copies = copies.into_iter().filter_map(|line| statement(&line));
    forward.body.splice(0..0, copies);
    let bases = parse_expression("Module", Span::NONE).into_iter().collect();
    let class = ClassDef { fields, methods: vec![forward], ..ClassDef::new(CLASS, bases, Span::NONE) };
    let state = ObjectState::Attributes(attributes);
    archive.root = Some(archive.heap.push(HeapItem::Object { class: format!("{UNIT}.{CLASS}"), state }));
    let module = SourceModule { items: vec![AstItem::Class(class)] };
    archive.code.insert(UNIT.into(), CodeFile { file, module, dialect: Dialect::Python });
    archive
}

/// A statement as a tree.
fn statement(line: &str) -> Option<kiln_frontend::ast::Stmt> {
    let mut sources = SourceMap::default();
    let file = sources.add("constructor", program_text(line));
    match parse_source(&sources, file).ok()?.items.into_iter().next()? {
        AstItem::Function(def) => def.body.into_iter().next(),
        _ => None,
    }
}

/// `forward` with the types of the tensors that have no elements.
fn method(program: &Program, tensors: &[TensorValue]) -> Option<Method> {
    let HeapObject::Object(class, _) = program.objects[program.root?] else { return None };
    let func = program.classes[class].method("forward")?;
    let open = tensors.iter().filter_map(|tensor| match tensor {
        TensorValue::Open(dtype, shape) => Some(Type::tensor(*dtype, shape.iter().map(|&n| Dim::Const(n)).collect())),
        TensorValue::Known(_) => None,
    });
    Some(Method { name: "forward".into(), func, is_method: true, inputs: open.collect(), symbols: Vec::new() })
}

/// A value of a residual graph as data: constants, and the types of tensors that are none.
fn computed(graph: &Graph, value: Value) -> Option<Computed> {
    if let Some(literal) = graph.as_const(value) {
        return from_literal(literal);
    }
    if let Some(facts) = graph.ty(value).as_tensor() {
        return Some(Computed::Tensor(TensorValue::Open(facts.dtype, facts.const_shape()?)));
    }
    let node = &graph.nodes[graph.def_node(value)?];
    let items = || node.args.iter().map(|&item| computed(graph, item)).collect::<Option<Vec<_>>>();
    match node.op {
        Op::Box | Op::Wrap | Op::Unwrap | Op::Cast | Op::Annotate => computed(graph, node.args[0]),
        Op::List => Some(Computed::List(items()?)),
        Op::Tuple(_) => Some(Computed::Tuple(items()?)),
        _ => None,
    }
}

fn from_literal(literal: &Literal) -> Option<Computed> {
    Some(match literal {
        Literal::None => Computed::None,
        Literal::Bool(b) => Computed::Bool(*b),
        Literal::Int(i) => Computed::Int(*i),
        Literal::Float(x) => Computed::Float(*x),
        Literal::Tensor(data) => Computed::Tensor(TensorValue::Known(data.clone())),
        Literal::List(items) => Computed::List(items.iter().map(from_literal).collect::<Option<_>>()?),
        _ => return None,
    })
}
