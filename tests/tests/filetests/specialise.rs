//! Tests of specialisation: a scripted program in, residual graphs out.
//!
//! ```text
//! # test specialise
//! # input x=f32[N,3]             types of inputs, as on the command line
//! # method step                  exported methods, where they are not `forward` alone
//! # attribute total=[0.0, 0.0]   attributes of the module at the start, as JSON
//!
//! class Net:
//!     total: Tensor
//!
//! def forward(self: Net, x: Tensor) -> Tensor: ...
//! ```
//!
//! The first parameter of every method is the module. A list of numbers stands for a binary32 tensor where the attribute
//! is one. Out come the residual graph of each method and, if there is state, the graph that sets it; or the error.

use crate::case::Case;
use kiln::arguments::Signature;
use kiln::input_types::{method, parse_input};
use kiln_frontend::python::parse_module;
use kiln_graph::verify::verify;
use kiln_graph::write::write_graph;
use kiln_graph::{ClassId, FuncId, Graph, HeapObject, Initial, Literal, OpId, Program, TensorInit, Type};
use kiln_ops::prelude::{FILES, find};
use kiln_ops::table;
use kiln_passes::specialise::{Decompositions, Method, specialise};
use kiln_support::tensor::contiguous_strides;
use kiln_support::{DType, Diagnostic, SourceMap, TensorData};
use kiln_typing::Source;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fmt::Write;

/// Specialises a program; gives the listing.
pub fn run(case: &Case) -> String {
    let mut sources = SourceMap::default();
    let mut program = Program::default();
    let methods = load(case, &mut sources, &mut program);
    let mut prelude = Prelude { sources: SourceMap::default(), files: HashMap::new() };
    let residual = match specialise(&mut program, &mut prelude, &methods) {
        Ok(residual) => residual,
        Err(error) => return describe(&error, &sources),
    };
    let mut out = String::new();
    let mut list = |name: &str, graph: &Graph| {
        let text = write_graph(graph, &residual.program, table());
        verify(graph).unwrap_or_else(|errors| panic!("{}: {errors}\n{text}", case.path.display()));
        let _ = writeln!(out, "{name}\n{text}");
    };
    residual.methods.iter().for_each(|method| list(&method.name, &method.graph));
    if !residual.state.is_empty() {
        list("initial state", &residual.init);
    }
    out.trim_end().to_owned() + "\n"
}

/// `error[code] at line 3: what`.
fn describe(error: &Diagnostic, sources: &SourceMap) -> String {
    let line = error.labels.first().map_or(0, |label| sources.line_column(label.span).0);
    format!("error[{}] at line {line}: {}\n", error.code.0, error.message)
}

/// Types the program and makes its module.
fn load(case: &Case, sources: &mut SourceMap, program: &mut Program) -> Vec<Method> {
    let place = case.path.display().to_string();
    let file = sources.add(&*place, &*case.source);
    let fail = |errors: Vec<Diagnostic>| -> ! {
        let texts: Vec<String> = errors.iter().map(|error| error.render(sources, false)).collect();
        panic!("{}", texts.join("\n"))
    };
    let module = parse_module(sources, file).unwrap_or_else(|errors| fail(errors));
    let mut source = Source::new(module, "test");
    let mut names: Vec<&str> = case.directive("method").collect();
    if names.is_empty() {
        names.push("forward");
    }
    let funcs: Vec<FuncId> =
        names.iter().map(|name| source.function(name, program).unwrap_or_else(|errors| fail(errors))).collect();
    let Type::Class(class) = program.funcs[funcs[0]].params[0].ty else { panic!("{place}: the first parameter is the module") };
    let attributes = case.directive("attribute").map(|text| text.split_once('=').expect("NAME=JSON"));
    let attributes: HashMap<&str, Json> =
        attributes.map(|(name, json)| (name.trim(), serde_json::from_str(json).expect("an attribute is JSON"))).collect();
    make_root(program, class, &attributes);
    let inputs: Vec<_> =
        case.directive("input").map(|text| parse_input(text).unwrap_or_else(|error| fail(vec![error]))).collect();
    let one = |(name, func): (&&str, &FuncId)| {
        let signature = Signature { program, name, func: *func };
        let own: Vec<_> =
            inputs.iter().filter(|(input, _)| signature.params().iter().any(|p| p.name == *input)).cloned().collect();
        method(&signature, &own).unwrap_or_else(|error| fail(vec![error]))
    };
    let typed: Vec<_> = names.iter().zip(&funcs).map(one).collect();
    typed.into_iter().map(|typed| typed.into_method(program)).collect()
}

/// Makes the root module: an object whose attributes have the given values.
fn make_root(program: &mut Program, class: ClassId, attributes: &HashMap<&str, Json>) {
    let fields = program.classes[class].fields.clone();
    let values = fields.iter().map(|field| attributes.get(field.name.as_str()).map(|json| initial(program, json, &field.ty)));
    let values: Vec<Option<Initial>> = values.collect();
    program.root = Some(program.objects.push(HeapObject::Object(class, values)));
}

/// A value of a type. Every tensor has a storage of its own.
fn initial(program: &mut Program, json: &Json, ty: &Type) -> Initial {
    match (ty, json) {
        (Type::Tensor(_), json) => Initial::Tensor(tensor(json, program.objects.len() as u32)),
        (Type::List(elem), Json::Array(items)) => {
            let items = items.iter().map(|item| initial(program, item, elem)).collect();
            Initial::Ref(program.objects.push(HeapObject::List(ty.clone(), items)))
        }
        (Type::Optional(_), Json::Null) => Initial::Literal(Literal::None),
        (Type::Optional(inner), json) => initial(program, json, inner),
        (Type::Float, json) => Initial::Literal(Literal::Float(json.as_f64().expect("a number"))),
        (_, Json::Number(number)) => Initial::Literal(Literal::Int(number.as_i64().expect("an int"))),
        (_, Json::Bool(value)) => Initial::Literal(Literal::Bool(*value)),
        (_, Json::String(text)) => Initial::Literal(Literal::Str(text.clone())),
        _ => panic!("{json} is no value of type {ty:?}"),
    }
}

/// A number, or a list of them.
fn tensor(json: &Json, storage: u32) -> TensorInit {
    let (sizes, items) = match json {
        Json::Array(items) => (vec![items.len() as i64], items.clone()),
        number => (Vec::new(), vec![number.clone()]),
    };
    let values: Vec<f32> = items.iter().map(|item| item.as_f64().expect("a number") as f32).collect();
    let data = TensorData::from_f32(&sizes, &values);
    let strides = contiguous_strides(&sizes);
    let (quant, channel_quant, requires_grad) = (None, None, false);
    TensorInit { storage, bytes: data.bytes, dtype: DType::F32, offset: 0, sizes, strides, requires_grad, quant, channel_quant }
}

/// The decompositions, typed when they are asked for.
struct Prelude {
    sources: SourceMap,
    files: HashMap<usize, Source>,
}

impl Decompositions for Prelude {
    fn function(&mut self, op: OpId, program: &mut Program) -> Result<Option<FuncId>, Vec<Diagnostic>> {
        let Some((at, name)) = find(table().key(op)) else { return Ok(None) };
        let sources = &mut self.sources;
        let source = self.files.entry(at).or_insert_with(|| {
            let file = sources.add(FILES[at].name, FILES[at].text);
            let module = parse_module(sources, file).expect("the prelude is valid");
            Source::new(module, format!("kiln.{}", FILES[at].name))
        });
        source.function(name, program).map(Some)
    }
}
