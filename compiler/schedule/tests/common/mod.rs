//! What the tests share: building residual models by hand, compiling and running them here, and checking
//! that nothing is left behind.
#![allow(dead_code, reason = "each test binary uses a part")]

use kiln_codegen::{EmittedKernel, KernelEmitter, Options, Target, generate};
use kiln_graph::{Block, Dim, Graph, Literal, Op, ResidualMethod, ResidualModel, StateSlot, Type, Value, ValueDef};
use kiln_kernels::target::Isa;
use kiln_loader::{CallError, Instance, Value as Word, load};
use kiln_loops::plan::Plan;
use kiln_rt::abi;
use kiln_schedule::kernels::choices::Choices;
use kiln_schedule::kernels::{Scheduled, Settings, TargetDesc};
use kiln_support::{DType, Span, TensorData};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// A graph under construction; nodes go to the end of `at`.
pub struct Builder {
    pub graph: Graph,
    pub at: Block,
    pub params: Vec<(String, Type)>,
}

pub fn f32_tensor(shape: &[i64]) -> Type {
    Type::tensor(DType::F32, shape.iter().map(|&n| Dim::Const(n)).collect())
}

pub fn symbolic(dtype: DType, dims: &[Dim]) -> Type {
    Type::tensor(dtype, dims.to_vec())
}

impl Builder {
    pub fn new() -> Builder {
        let graph = Graph::new();
        Builder { at: graph.entry, graph, params: Vec::new() }
    }

    pub fn node(&mut self, op: Op, args: &[Value], ty: Type) -> Value {
        self.graph.add_value(self.at, op, args.to_vec(), ty, Span::NONE)
    }

    pub fn effect(&mut self, op: Op, args: &[Value]) {
        self.graph.add_node(self.at, op, args.to_vec(), vec![], Span::NONE);
    }

    pub fn op(&mut self, key: &str, args: &[Value], ty: Type) -> Value {
        self.node(Op::Table(kiln_ops::table().get(key)), args, ty)
    }

    pub fn int(&mut self, value: i64) -> Value {
        self.graph.add_const(self.at, Literal::Int(value), Type::Int, Span::NONE)
    }

    pub fn bool(&mut self, value: bool) -> Value {
        self.graph.add_const(self.at, Literal::Bool(value), Type::Bool, Span::NONE)
    }

    pub fn str(&mut self, value: &str) -> Value {
        self.graph.add_const(self.at, Literal::Str(value.into()), Type::Str, Span::NONE)
    }

    /// A constant list of ints, as an attribute.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        self.graph.add_const(self.at, Literal::ints(values), Type::list(Type::Int), Span::NONE)
    }

    pub fn none(&mut self) -> Value {
        self.graph.add_const(self.at, Literal::None, Type::None, Span::NONE)
    }

    pub fn tensor(&mut self, data: TensorData) -> Value {
        let ty = Type::tensor(data.dtype, data.shape.iter().map(|&n| Dim::Const(n)).collect());
        self.graph.add_const(self.at, Literal::Tensor(data), ty, Span::NONE)
    }

    /// A parameter as it is declared.
    pub fn param(&mut self, name: &str, ty: Type) -> Value {
        let held = if ty.is_tensor() { Type::TENSOR } else { ty.clone() };
        self.params.push((name.into(), ty));
        self.graph.add_param(self.graph.entry, held, Some(name))
    }

    /// A tensor parameter of constant sizes, unboxed.
    pub fn input(&mut self, name: &str, shape: &[i64]) -> Value {
        let object = self.param(name, f32_tensor(shape));
        self.node(Op::Unbox, &[object], f32_tensor(shape))
    }

    /// A rank-1 tensor parameter of any size: the tensor and its size.
    pub fn vector(&mut self, name: &str, symbol: &str) -> (Value, Value) {
        let object = self.param(name, Type::TENSOR);
        let node = self.graph.new_node(Op::Unbox, vec![object], vec![Type::Int, Type::Int], Span::NONE);
        self.graph.blocks[self.at].nodes.push(node);
        let [tensor, size] = self.graph.nodes[node].results[..] else { unreachable!() };
        self.graph.values[size].name = Some(symbol.into());
        let ty = symbolic(DType::F32, &[Dim::Value(size)]);
        self.graph.values[tensor].ty = ty.clone();
        self.params.last_mut().expect("just added").1 = ty;
        (tensor, size)
    }

    /// A tensor parameter of the very sizes of another one, unboxed.
    pub fn like(&mut self, name: &str, other: Value) -> Value {
        let ty = self.graph.ty(other).clone();
        let object = self.param(name, ty.clone());
        self.node(Op::Unbox, &[object], ty)
    }

    pub fn boxed(&mut self, tensor: Value) -> Value {
        self.node(Op::Box, &[tensor], Type::TENSOR)
    }

    /// `f(x, x)` style pointwise: `a + b`, `a * b`.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        let ty = self.graph.ty(a).clone();
        let one = self.int(1);
        self.op("aten::add.Tensor", &[a, b, one], ty)
    }

    pub fn mul(&mut self, a: Value, b: Value) -> Value {
        let ty = self.graph.ty(a).clone();
        self.op("aten::mul.Tensor", &[a, b], ty)
    }

    pub fn exp(&mut self, x: Value) -> Value {
        let ty = self.graph.ty(x).clone();
        self.op("aten::exp", &[x], ty)
    }

    pub fn relu(&mut self, x: Value) -> Value {
        let ty = self.graph.ty(x).clone();
        self.op("aten::relu", &[x], ty)
    }

    pub fn mm(&mut self, a: Value, b: Value, shape: &[i64]) -> Value {
        self.op("aten::mm", &[a, b], f32_tensor(shape))
    }

    pub fn select(&mut self, x: Value, at: Value, ty: Type) -> Value {
        let dim = self.int(0);
        self.op("aten::select.int", &[x, dim, at], ty)
    }

    /// `base[at] = value`, as a new tensor.
    pub fn write_row(&mut self, base: Value, value: Value, at: Value) -> Value {
        let dim = self.int(0);
        let ty = self.graph.ty(base).clone();
        self.node(Op::WriteView(kiln_ops::table().get("aten::select.int")), &[base, value, dim, at], ty)
    }

    pub fn yields(&mut self, values: &[Value]) {
        self.graph.blocks[self.at].yields = values.to_vec();
    }

    /// An `if` whose branches are built by the functions; each returns what it yields.
    pub fn branch(
        &mut self,
        test: Value,
        types: &[Type],
        then: impl FnOnce(&mut Builder) -> Vec<Value>,
        orelse: impl FnOnce(&mut Builder) -> Vec<Value>,
    ) -> Vec<Value> {
        let node = self.graph.add_node(self.at, Op::If, vec![test], types.to_vec(), Span::NONE);
        let outer = self.at;
        let mut build = |make: &mut dyn FnMut(&mut Builder) -> Vec<Value>| {
            self.at = self.graph.add_block();
            let block = self.at;
            let yields = make(self);
            self.graph.blocks[block].yields = yields;
            block
        };
        let (mut then, mut orelse) = (Some(then), Some(orelse));
        let first = build(&mut |b| then.take().expect("once")(b));
        let second = build(&mut |b| orelse.take().expect("once")(b));
        self.graph.nodes[node].blocks = vec![first, second];
        self.at = outer;
        self.graph.nodes[node].results.clone()
    }

    /// A loop of `trip` iterations; `body` gets the index and the carried values, and gives the condition and the new ones.
    pub fn repeat(
        &mut self,
        trip: Value,
        inits: &[Value],
        body: impl FnOnce(&mut Builder, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let types: Vec<Type> = inits.iter().map(|&v| self.graph.ty(v).clone()).collect();
        self.repeat_as(trip, inits, &types, body)
    }

    pub fn repeat_as(
        &mut self,
        trip: Value,
        inits: &[Value],
        types: &[Type],
        body: impl FnOnce(&mut Builder, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let first = self.bool(true);
        let args: Vec<Value> = [trip, first].into_iter().chain(inits.iter().copied()).collect();
        let node = self.graph.add_node(self.at, Op::Loop, args, types.to_vec(), Span::NONE);
        let outer = std::mem::replace(&mut self.at, self.graph.add_block());
        let block = self.at;
        let mut params = vec![self.graph.add_param(block, Type::Int, None)];
        params.extend(types.iter().map(|ty| self.graph.add_param(block, ty.clone(), None)));
        let yields = body(self, &params);
        self.graph.blocks[block].yields = yields;
        self.graph.nodes[node].blocks = vec![block];
        self.at = outer;
        self.graph.nodes[node].results.clone()
    }

    /// A model of this graph as `forward`.
    pub fn model(mut self, result: Value, ty: Type) -> ResidualModel {
        self.graph.blocks[self.graph.entry].yields = vec![result];
        kiln_graph::verify::verify(&self.graph).expect("the graph is valid");
        for (value, data) in self.graph.values.iter() {
            assert!(matches!(data.def, ValueDef::Result(..) | ValueDef::Param(..)), "{value}");
        }
        let method = ResidualMethod { name: "forward".into(), graph: self.graph, params: self.params, result: ty };
        ResidualModel { methods: vec![method], ..ResidualModel::default() }
    }
}

/// Adds a state slot that starts as an int.
pub fn int_state(model: &mut ResidualModel, initial: i64) {
    let mut init = Builder { graph: std::mem::take(&mut model.init), at: Block(0), params: vec![] };
    let value = init.int(initial);
    init.effect(Op::StateStore(kiln_graph::StateId(model.state.len() as u32)), &[value]);
    model.init = init.graph;
    model.state.push(StateSlot { name: "count".into(), ty: Type::Int });
}

/// The plan without vector kernels.
pub fn plan(model: &ResidualModel) -> Plan<Scheduled> {
    kiln_schedule::schedule(model, &TargetDesc::default(), &[], &Choices::default()).expect("the model is scheduled")
}

/// The target with this machine's vector kernels, if it has any.
pub fn vector_target() -> TargetDesc {
    let isa = if cfg!(target_arch = "aarch64") {
        Some(Isa::Neon)
    } else if is_avx2() {
        Some(Isa::Avx2)
    } else {
        None
    };
    TargetDesc { vector: isa.map(kiln_kernels::target::TargetDesc::new), settings: Settings::default() }
}

#[cfg(target_arch = "x86_64")]
fn is_avx2() -> bool {
    std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_avx2() -> bool {
    false
}

/// The plan with this machine's vector kernels.
pub fn vector_plan(model: &ResidualModel) -> Plan<Scheduled> {
    kiln_schedule::schedule(model, &vector_target(), &[], &Choices::default()).expect("the model is scheduled")
}

/// Names of the kernels of a plan; empty on machines without.
pub fn kernel_names(model: &ResidualModel) -> Vec<String> {
    vector_plan(model).kernels.iter().map(|(_, k)| k.kernel.name.split("__").next().unwrap_or("").to_owned()).collect()
}

struct Emitter;

impl KernelEmitter<Scheduled> for Emitter {
    fn emit(&self, kernel: &Scheduled) -> Result<EmittedKernel, String> {
        let kernel = &kernel.kernel;
        Ok(EmittedKernel { name: kernel.name.clone(), bytes: kernel.code.clone(), arguments: kernel.args.len(), listing: None })
    }
}

/// A compiled model: without vector kernels, and with them.
pub struct Compiled {
    pub instance: Instance,
    pub vector: Instance,
    pub printed: Rc<RefCell<String>>,
}

pub fn compile(model: &ResidualModel) -> Compiled {
    let printed = Rc::new(RefCell::new(String::new()));
    let instance = instantiate(&plan(model), printed.clone());
    let vector = instantiate(&vector_plan(model), Rc::default());
    Compiled { instance, vector, printed }
}

fn instantiate(plan: &Plan<Scheduled>, printed: Rc<RefCell<String>>) -> Instance {
    let generated = generate(plan, &Emitter, &Target::host(), &Options { prefix: "model", ..Options::default() });
    let generated = generated.unwrap_or_else(|e| panic!("{e}\n{}", kiln_schedule::write_plan(plan)));
    let object = generated.write().expect("the object is written");
    let library = Arc::new(load(&object).expect("the object loads"));
    // SAFETY: the code was just generated.
    let instance =
        unsafe { Instance::create(&library, "model", 1, Some(Box::new(move |text| printed.borrow_mut().push_str(text)))) };
    instance.expect("an instance is made")
}

/// An argument.
pub enum Arg {
    Tensor(TensorData),
    Word(Word),
}

impl From<i64> for Arg {
    fn from(x: i64) -> Arg {
        Arg::Word(Word::int(x))
    }
}

impl From<bool> for Arg {
    fn from(x: bool) -> Arg {
        Arg::Word(Word::bool(x))
    }
}

pub fn vector(values: &[f32]) -> Arg {
    Arg::Tensor(TensorData::from_f32(&[values.len() as i64], values))
}

pub fn matrix(shape: &[i64], values: &[f32]) -> Arg {
    Arg::Tensor(TensorData::from_f32(shape, values))
}

/// A tensor descriptor in memory of the test: an immortal object.
fn descriptor(data: &TensorData) -> Vec<u64> {
    let strides = kiln_support::tensor::contiguous_strides(&data.shape);
    let mut words = vec![u64::from(abi::IMMORTAL) | abi::tag::TENSOR << 32, 0, 0, data.bytes.as_ptr() as u64, 0];
    words.push(data.dtype.code() as u64 | (data.shape.len() as u64) << 32);
    words.extend(data.shape.iter().chain(&strides).map(|&n| n as u64));
    words
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    Tensor(TensorData),
    Int(i64),
    Float(f64),
    Bool(bool),
    None,
    Tag(u64),
}

impl Compiled {
    /// Calls `forward` with and without vector kernels, which must agree; checks that only what the state holds is
    /// alive afterwards.
    pub fn call(&mut self, args: &[Arg]) -> Result<Got, String> {
        let plain = call(&mut self.instance, args);
        let vector = call(&mut self.vector, args);
        match (&plain, &vector) {
            (Ok(Got::Tensor(a)), Ok(Got::Tensor(b))) => assert_close(a, b),
            (a, b) => assert_eq!(a, b, "vector kernels change the result"),
        }
        plain
    }

    /// Calls `forward` without counting objects: what the state holds may change.
    pub fn instance_call(&mut self, args: &[Arg]) -> Result<Got, String> {
        call_uncounted(&mut self.instance, args)
    }
}

fn call(instance: &mut Instance, args: &[Arg]) -> Result<Got, String> {
    let before = live_objects(instance);
    let got = call_uncounted(instance, args)?;
    assert_eq!(live_objects(instance), before, "objects are left behind");
    Ok(got)
}

fn call_uncounted(instance: &mut Instance, args: &[Arg]) -> Result<Got, String> {
    let descriptors: Vec<Vec<u64>> = args.iter().map(|a| if let Arg::Tensor(t) = a { descriptor(t) } else { vec![] }).collect();
    let words = args.iter().zip(&descriptors).map(|(arg, d)| match arg {
        Arg::Tensor(_) => Word::object(abi::tag::TENSOR, d.as_ptr()),
        Arg::Word(word) => *word,
    });
    let words = words.collect::<Vec<_>>();
    // SAFETY: the descriptors outlive the call.
    match unsafe { instance.call("forward", &words) } {
        Ok(word) => {
            let got = read(word);
            release(instance, word);
            Ok(got)
        }
        Err(CallError::Status { status, text }) => Err(format!("{status}: {text}")),
        Err(other) => panic!("{other}"),
    }
}

/// Objects apart from the list of those that the app holds, which the first call makes.
fn live_objects(instance: &Instance) -> u64 {
    // SAFETY: the context lives as long as the instance.
    let context = unsafe { &*instance.context() };
    context.live_objects - u64::from(!context.held.is_null())
}

fn release(instance: &Instance, word: Word) {
    let symbol = kiln_rt::SYMBOLS.iter().find(|s| s.name == "kiln_rt1_value_release").expect("the runtime has it");
    // SAFETY: the table gives the function's address, ABI.md its type.
    unsafe {
        let release: extern "C" fn(*mut abi::Context, *const Word) = std::mem::transmute(symbol.address);
        release(instance.context(), &word);
    }
}

/// Equal up to a few ulps, which sums in another order and vector functions may differ by.
pub fn assert_close(a: &TensorData, b: &TensorData) {
    assert_eq!((a.dtype, &a.shape), (b.dtype, &b.shape));
    for (i, (x, y)) in a.numbers().zip(b.numbers()).enumerate() {
        let (x, y) = (x.as_f64(), y.as_f64());
        let is_close = (x - y).abs() <= 1e-5 * x.abs().max(1.0) || x == y || (x.is_nan() && y.is_nan());
        assert!(is_close, "element {i}: {x} and {y}");
    }
}

fn read(word: Word) -> Got {
    match word.tag {
        abi::tag::NONE => Got::None,
        abi::tag::BOOL => Got::Bool(word.bits != 0),
        abi::tag::INT => Got::Int(word.as_int()),
        abi::tag::FLOAT => Got::Float(word.as_float()),
        abi::tag::TENSOR => Got::Tensor(read_tensor(word)),
        other => Got::Tag(other),
    }
}

fn read_tensor(word: Word) -> TensorData {
    let tensor: *const abi::Tensor = word.pointer();
    // SAFETY: the value is a live contiguous tensor.
    unsafe {
        let rank = (*tensor).rank as usize;
        let dims = std::slice::from_raw_parts((&raw const (*tensor).dims).cast::<i64>(), rank).to_vec();
        let dtype = DType::from_code(i64::from((*tensor).dtype)).expect("a dtype");
        let bytes = kiln_support::tensor::count(&dims) * dtype.size();
        TensorData::new(dtype, dims, std::slice::from_raw_parts((*tensor).data, bytes))
    }
}

pub fn tensor(shape: &[i64], values: &[f32]) -> Got {
    Got::Tensor(TensorData::from_f32(shape, values))
}
