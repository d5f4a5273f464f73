//! Runs a model: compiles it for the types of some calls, loads the object into this process (or, for another machine,
//! links it with a program to emulate), makes the calls.
//!
//! Calls share one instance, so that state is kept between them. Each distinct signature (the types that a call's
//! arguments show) is exported as a method of its own over the one state.

use crate::driver::{Compiled, Listings, Model, Timings};
use crate::emulate::Emulated;
use crate::error::Result;
use crate::example::Examples;
use crate::fix::{fix, is_plain};
use crate::target::Target;
use crate::values::Heap;
use kiln_frontend::tensors_file::{Call, InputValue};
use kiln_graph::Type;
use kiln_loader::{CallError, Instance, Value};
use kiln_passes::specialise::Method;
use kiln_rt::abi::status;
use kiln_support::{Diagnostic, Failure};
use std::sync::Arc;

/// The symbol prefix of models that are loaded right away.
pub const PREFIX: &str = "model";

/// More distinct signatures than this are compiled once, with symbolic sizes.
const MAX_SIGNATURES: usize = 8;

/// A call whose arguments are bound to parameters.
pub struct BoundCall {
    /// Which of [`Prepared::methods`] it calls.
    method: usize,
    args: Vec<(InputValue, Type)>,
}

impl BoundCall {
    /// The method's number and the arguments.
    fn plain(&self) -> (usize, Vec<&InputValue>) {
        (self.method, self.args.iter().map(|(value, _)| value).collect())
    }
}

/// Calls, and the methods to compile for them.
pub struct Prepared {
    /// What to export.
    pub methods: Vec<Method>,
    /// The calls, in order.
    pub calls: Vec<BoundCall>,
    /// The calls after these ones have arguments that do not fit.
    pub refused: Option<crate::error::Error>,
}

/// Binds calls to signatures. Stops before the first call whose arguments do not fit.
pub fn prepare(model: &Model, calls: &[Call], is_symbolic: bool) -> Result<Prepared> {
    let prepared = prepare_with(model, calls, is_symbolic)?;
    if prepared.methods.len() > MAX_SIGNATURES && !is_symbolic { prepare_with(model, calls, true) } else { Ok(prepared) }
}

fn prepare_with(model: &Model, calls: &[Call], is_symbolic: bool) -> Result<Prepared> {
    let mut prepared = Prepared { methods: Vec::new(), calls: Vec::new(), refused: None };
    for call in calls {
        let signature = model.signature(&call.method)?;
        let bound = match signature.bind(call) {
            Ok(bound) => bound,
            Err(error) => {
                prepared.refused = Some(model.error(error));
                break;
            }
        };
        let mut examples = Examples::new(&model.program, is_symbolic);
        let inputs = signature.params().iter().zip(&bound).map(|(p, value)| examples.argument(&p.name, &p.ty, value)).collect();
        let types = signature.params().iter().map(|p| p.ty.clone());
        let args = bound.into_iter().zip(types).collect();
        let method =
            Method { name: call.method.clone(), func: signature.func, is_method: true, inputs, symbols: examples.symbols };
        let method = prepared.export(method);
        prepared.calls.push(BoundCall { method, args });
    }
    Ok(prepared)
}

impl Prepared {
    /// The same calls with every argument that holds no tensor fixed; none where there is no such argument.
    fn fixed(&self, model: &mut Model) -> Option<Prepared> {
        self.fixed_where(model, &|_, value| is_plain(value))
    }

    /// The same calls with every argument fixed of which `is_fixed` holds, by its position and value; none where there is no such
    /// argument.
    pub fn fixed_where(&self, model: &mut Model, is_fixed: &dyn Fn(usize, &InputValue) -> bool) -> Option<Prepared> {
        if !self.calls.iter().any(|call| call.args.iter().enumerate().any(|(at, (value, _))| is_fixed(at, value))) {
            return None;
        }
        let mut fixed = Prepared { methods: Vec::new(), calls: Vec::new(), refused: None };
        let mut known: Vec<(usize, Vec<Option<InputValue>>, Method)> = Vec::new();
        for call in &self.calls {
            let own = |(at, (value, _)): (usize, &(InputValue, Type))| is_fixed(at, value).then(|| value.clone());
            let values: Vec<Option<InputValue>> = call.args.iter().enumerate().map(own).collect();
            let free = |(arg, fixed): (&(InputValue, Type), &Option<InputValue>)| fixed.is_none().then(|| arg.clone());
            let args = call.args.iter().zip(&values).filter_map(free).collect();
            let same = known.iter().find(|(method, other, _)| *method == call.method && *other == values);
            let method = match same {
                Some((_, _, method)) => method.clone(),
                None => {
                    let method = fix(&mut model.program, &self.methods[call.method], &values, &[]);
                    known.push((call.method, values, method.clone()));
                    method
                }
            };
            let method = fixed.export(method);
            fixed.calls.push(BoundCall { method, args });
        }
        Some(fixed)
    }

    /// The number of a method, exported if no other has its signature.
    fn export(&mut self, mut method: Method) -> usize {
        let same = self.methods.iter().position(|m| m.func == method.func && m.inputs == method.inputs);
        same.unwrap_or_else(|| {
            if self.methods.iter().any(|m| m.name == method.name) {
                method.name = format!("{}__{}", method.name, self.methods.len());
            }
            self.methods.push(method);
            self.methods.len() - 1
        })
    }
}

/// Compiles and loads what some calls need. Where a model can only be compiled for the very numbers, strings and lists
/// that the calls pass, those become a part of the compiled code, and are taken out of the calls.
pub fn open(
    model: &mut Model,
    prepared: &mut Prepared,
    target: &Target,
    options: &Listings,
    timings: &mut Timings,
) -> Result<Opened> {
    let error = match Session::open(model, prepared, target, options, timings) {
        Ok((session, compiled)) => return Ok(Opened { session, compiled, is_fixed: false }),
        Err(error) => error,
    };
    if error.failure() != Failure::Unsupported {
        return Err(error);
    }
    let Some(fixed) = prepared.fixed(model) else { return Err(error) };
    // The first error says what is missing in the model as it stands.
    let (session, compiled) =
        Session::open(model, &fixed, target, options, timings).map_err(|second| match second.failure() {
            Failure::Unsupported => error,
            _ => second,
        })?;
    prepared.methods = fixed.methods;
    prepared.calls = fixed.calls;
    Ok(Opened { session, compiled, is_fixed: true })
}

/// A loaded model, and how it was compiled.
pub struct Opened {
    /// The model.
    pub session: Session,
    /// Its object.
    pub compiled: Compiled,
    /// Whether arguments without tensors are a part of the code.
    pub is_fixed: bool,
}

/// A model that can be called.
pub enum Session {
    /// In this process.
    Loaded(Loaded),
    /// For another machine. Its calls are those that it was opened for, each once and in order.
    Emulated(Emulated),
}

impl Session {
    /// Compiles what some calls need, and loads or links it.
    fn open(
        model: &Model,
        prepared: &Prepared,
        target: &Target,
        options: &Listings,
        timings: &mut Timings,
    ) -> Result<(Session, Compiled)> {
        let compiled = model.compile(&prepared.methods, target, options, timings)?;
        let session = timings.stage("load", || match target.is_host() {
            true => Loaded::load(&compiled.object, &prepared.methods, target.settings.threads).map(Session::Loaded),
            false => {
                let calls: Vec<_> = prepared.calls.iter().map(BoundCall::plain).collect();
                Emulated::new(&compiled, &symbols(&prepared.methods), &calls, target).map(Session::Emulated)
            }
        })?;
        Ok((session, compiled))
    }

    /// Makes a call; its result as plain data.
    pub fn call(&mut self, model: &Model, call: &BoundCall) -> Result<InputValue> {
        match self {
            Session::Loaded(loaded) => loaded.call(model, call),
            Session::Emulated(emulated) => emulated.call(),
        }
    }
}

/// The symbols of methods, without the prefix.
fn symbols(methods: &[Method]) -> Vec<String> {
    methods.iter().map(|m| kiln_codegen::method_symbol(PREFIX, &m.name)[PREFIX.len() + 1..].to_owned()).collect()
}

/// A model that is loaded into this process.
pub struct Loaded {
    instance: Instance,
    heap: Heap,
    symbols: Vec<String>,
}

impl Loaded {
    fn load(object: &[u8], methods: &[Method], threads: u32) -> Result<Loaded> {
        let library = kiln_loader::load(object).unwrap_or_else(|error| panic!("the compiled object cannot be loaded: {error}"));
        // SAFETY: the object was made by kiln, for this version of the runtime.
        let instance = unsafe { Instance::create(&Arc::new(library), PREFIX, threads, None) };
        let instance = instance.map_err(failed_call)?;
        // SAFETY: the context is the instance's, which lives as long as the session.
        let heap = unsafe { Heap::new(instance.context()) };
        Ok(Loaded { instance, heap, symbols: symbols(methods) })
    }

    /// Makes a call; its result as plain data.
    pub fn call(&mut self, model: &Model, call: &BoundCall) -> Result<InputValue> {
        let args = self.arguments(model, call)?;
        let result = self.raw_call(call, &args).and_then(|result| {
            let read = self.heap.read(result);
            self.heap.give_back(result);
            Ok(read?)
        });
        self.finish(args, result.is_ok());
        result
    }

    /// The arguments of a call as runtime values, to be given back to [`Loaded::finish`].
    pub fn arguments(&mut self, model: &Model, call: &BoundCall) -> Result<Vec<Value>> {
        let built = call.args.iter().map(|(value, ty)| self.heap.build(value, ty, &model.program));
        let args = built.collect::<std::result::Result<Vec<Value>, Diagnostic>>()?;
        self.heap.hold(&args);
        Ok(args)
    }

    /// Makes a call with arguments that were made before. The result is the caller's, to be released.
    pub fn raw_call(&mut self, call: &BoundCall, args: &[Value]) -> Result<Value> {
        // SAFETY: the arguments are live objects of the instance's context.
        unsafe { self.instance.call(&self.symbols[call.method], args) }.map_err(failed_call)
    }

    /// Gives a value back.
    pub fn release(&mut self, value: Value) {
        self.heap.give_back(value);
    }

    /// Gives arguments back. After a failed call only what is held is alive, and nothing else is touched.
    pub fn finish(&mut self, args: Vec<Value>, is_alive: bool) {
        if is_alive {
            args.into_iter().for_each(|value| self.heap.release(value));
            self.heap.let_go();
        }
    }

    /// Sets the state back to what it was at first.
    pub fn reset(&mut self) -> Result<()> {
        self.instance.reset().map_err(failed_call)
    }
}

/// Compiles a method without arguments for this machine, and calls it.
pub fn run_once(model: &Model, method: Method) -> Result<InputValue> {
    let (methods, mut timings) = ([method], Timings::default());
    let target = Target::new(&crate::target::host_name(), None)?;
    let compiled = model.compile(&methods, &target, &Listings::none(PREFIX), &mut timings)?;
    Loaded::load(&compiled.object, &methods, target.settings.threads)?.call(model, &BoundCall { method: 0, args: Vec::new() })
}

/// Why a call gave no result, as a diagnostic. What only a bug in kiln brings about is a panic.
pub(crate) fn failed_call(error: CallError) -> crate::error::Error {
    match error {
        CallError::Status { status: status::RAISED, text } => Diagnostic::model(RAISED, text).into(),
        CallError::Status { status: status::OUT_OF_MEMORY, .. } => {
            Diagnostic::model("memory", "there is not enough memory for this call").into()
        }
        CallError::Status { status: status::BAD_ARGUMENT, text } => Diagnostic::model("arguments", text).into(),
        error => panic!("{error}"),
    }
}

/// The code of an exception that the model raised.
pub const RAISED: &str = "raised";
