//! Methods written by hand: control flow, state, errors, runtime calls, the functions around an instance.

mod common;

use common::{PlainPlan, generate_here, instance_of, params, plan_of, text};
use kiln_codegen::{
    CodegenError, EmittedKernel, KernelEmitter, NoKernels, Options, Target, generate, method_symbol, uses_runtime,
};
use kiln_loader::{CallError, Instance, Value, load};
use kiln_loops::plan::{Access, Data, DimDesc, Local, LocalType, Method, Operand, Plan, ScalarOp, Stmt, TypeDesc};
use kiln_loops::{BinaryOp, Compute, ExprData, Extent, Input, Kind, MathOp, Output, UnaryOp};
use kiln_rt::abi::tag;
use kiln_support::{DType, PrimaryMap};
use std::sync::{Arc, Mutex};

/// Builds a method statement by statement.
#[derive(Default)]
struct Writer {
    method: Method,
}

impl Writer {
    fn new(name: &str, count: usize) -> Writer {
        Writer { method: Method { name: name.into(), params: params(count), ..Method::default() } }
    }

    fn local(&mut self, ty: LocalType) -> Local {
        self.method.locals.push(ty)
    }

    /// The bits of an argument.
    fn arg(&mut self, number: i64) -> Local {
        let dst = self.local(LocalType::Int);
        self.method.body.push(Stmt::Load { dst, base: Operand::Args, offset: 16 * number + 8, access: Access::Word });
        dst
    }

    fn result(&mut self, value_tag: u64, bits: Operand) {
        self.method.body.extend(store_value(Operand::Result, value_tag, bits));
    }
}

fn store_value(base: Operand, value_tag: u64, bits: Operand) -> [Stmt; 2] {
    [
        Stmt::Store { base, offset: 0, value: Operand::Int(value_tag as i64), access: Access::Word },
        Stmt::Store { base, offset: 8, value: bits, access: Access::Word },
    ]
}

fn scalar(dst: Local, op: ScalarOp, args: &[Operand]) -> Stmt {
    Stmt::Scalar { dst, op, args: args.to_vec() }
}

fn binary(dst: Local, op: BinaryOp, a: Operand, b: Operand) -> Stmt {
    scalar(dst, ScalarOp::Binary(op), &[a, b])
}

fn call(instance: &mut Instance, name: &str, args: &[Value]) -> Result<Value, CallError> {
    // SAFETY: the arguments are numbers.
    unsafe { instance.call(name, args) }
}

fn status_of(result: Result<Value, CallError>) -> (i32, String) {
    match result {
        Err(CallError::Status { status, text }) => (status, text),
        other => panic!("{other:?}"),
    }
}

/// The sum of the odd numbers below n, by a loop with a break and a conditional.
fn odd_sum() -> PlainPlan {
    let mut w = Writer::new("forward", 1);
    let n = w.arg(0);
    let (i, sum, test, odd) =
        (w.local(LocalType::Int), w.local(LocalType::Int), w.local(LocalType::Bool), w.local(LocalType::Int));
    let [li, lsum, ltest, lodd, ln] = [i, sum, test, odd, n].map(Operand::Local);
    w.method.body.push(Stmt::Loop {
        body: vec![
            binary(test, BinaryOp::Ge, li, ln),
            Stmt::If { test: ltest, then: vec![Stmt::Break], orelse: vec![] },
            binary(odd, BinaryOp::Mod, li, Operand::Int(2)),
            binary(test, BinaryOp::Eq, lodd, Operand::Int(1)),
            Stmt::If { test: ltest, then: vec![binary(sum, BinaryOp::Add, lsum, li)], orelse: vec![] },
            binary(i, BinaryOp::Add, li, Operand::Int(1)),
        ],
    });
    w.result(tag::INT, lsum);
    plan_of(w.method)
}

#[test]
fn loops_and_conditionals() {
    let plan = odd_sum();
    assert!(!uses_runtime(&plan));
    let mut instance = instance_of(&generate_here(&plan));
    for (n, sum) in [(0, 0), (1, 0), (10, 25), (101, 2500)] {
        assert_eq!(call(&mut instance, "forward", &[Value::int(n)]).unwrap().as_int(), sum);
    }
}

#[test]
fn wrong_calls_are_refused() {
    let mut instance = instance_of(&generate_here(&odd_sum()));
    let (status, text) = status_of(call(&mut instance, "forward", &[]));
    assert_eq!((status, text.as_str()), (3, "forward takes 1 argument"));
    assert!(matches!(call(&mut instance, "backward", &[]), Err(CallError::Missing(_))));
    assert!(call(&mut instance, "forward", &[Value::int(3)]).is_ok(), "an error leaves the instance usable");
}

#[test]
fn returning_and_raising_end_a_method() {
    let mut w = Writer::new("forward", 1);
    let x = w.arg(0);
    let test = w.local(LocalType::Bool);
    let mut data = PrimaryMap::new();
    let message = data.push(text("Exception: negative"));
    w.method.body.extend([
        binary(test, BinaryOp::Lt, Operand::Local(x), Operand::Int(0)),
        Stmt::If { test: Operand::Local(test), then: vec![Stmt::Raise { text: message }], orelse: vec![] },
        binary(test, BinaryOp::Eq, Operand::Local(x), Operand::Int(7)),
        Stmt::If { test: Operand::Local(test), then: vec![Stmt::Fail { status: 4, text: None }], orelse: vec![] },
    ]);
    w.result(tag::INT, Operand::Local(x));
    // What follows a return is not reached.
    w.method.body.extend([Stmt::Return, Stmt::Raise { text: message }]);
    let mut plan = plan_of(w.method);
    plan.data = data;
    let mut instance = instance_of(&generate_here(&plan));
    assert_eq!(status_of(call(&mut instance, "forward", &[Value::int(-1)])), (1, "Exception: negative".into()));
    assert_eq!(status_of(call(&mut instance, "forward", &[Value::int(7)])), (4, String::new()));
    assert_eq!(call(&mut instance, "forward", &[Value::int(5)]).unwrap().as_int(), 5);
}

/// Counts its calls in a state slot that starts at 10.
fn counter() -> PlainPlan {
    let mut w = Writer::new("count", 0);
    let n = w.local(LocalType::Int);
    w.method.body.extend([
        Stmt::Load { dst: n, base: Operand::State(1), offset: 8, access: Access::Word },
        binary(n, BinaryOp::Add, Operand::Local(n), Operand::Int(1)),
        Stmt::Store { base: Operand::State(1), offset: 8, value: Operand::Local(n), access: Access::Word },
    ]);
    w.result(tag::INT, Operand::Local(n));
    let mut plan = plan_of(w.method);
    plan.state_slots = 2;
    plan.init.body = store_value(Operand::State(1), tag::INT, Operand::Int(10)).to_vec();
    plan
}

#[test]
fn state_is_kept_per_instance_and_reset() {
    let plan = counter();
    let generated = generate_here(&plan);
    let object = generated.write().unwrap();
    let library = Arc::new(load(&object).unwrap());
    // SAFETY: the code was just generated.
    let [mut a, mut b] = [(); 2].map(|()| unsafe { Instance::create(&library, "model", 1, None) }.unwrap());
    let count = |i: &mut Instance| call(i, "count", &[]).unwrap().as_int();
    assert_eq!((count(&mut a), count(&mut a), count(&mut b)), (11, 12, 11));
    a.reset().unwrap();
    assert_eq!((count(&mut a), count(&mut b)), (11, 12));
}

#[test]
fn memory_arena_slots_and_data() {
    let mut w = Writer::new("forward", 1);
    let slot = w.method.slots.push(32);
    let x = w.arg(0);
    let (f, sum) = (w.local(LocalType::F32), w.local(LocalType::Int));
    let mut data = PrimaryMap::new();
    let words: Vec<u8> = [5i64, 7].iter().flat_map(|w| w.to_le_bytes()).collect();
    let constants = data.push(Data { name: "constants".into(), bytes: words.into(), align: 64, relocations: vec![] });
    // A table that holds the address of the second constant.
    let table =
        data.push(Data { name: "table".into(), bytes: vec![0; 16].into(), align: 16, relocations: vec![(8, constants, 8)] });
    let (pointer, low) = (w.local(LocalType::Int), w.local(LocalType::Int));
    w.method.body.extend([
        Stmt::Store { base: Operand::Arena(128), offset: 4, value: Operand::Local(x), access: Access::Element(DType::I8) },
        Stmt::CopyBytes { to: Operand::Slot(slot, 8), from: Operand::Arena(132), bytes: Operand::Int(1) },
        Stmt::Load { dst: sum, base: Operand::Slot(slot, 0), offset: 8, access: Access::Element(DType::I8) },
        Stmt::ZeroBytes { to: Operand::Arena(128), bytes: Operand::Int(16) },
        Stmt::Load { dst: low, base: Operand::Arena(128), offset: 4, access: Access::Half },
        binary(sum, BinaryOp::Add, Operand::Local(sum), Operand::Local(low)),
        Stmt::Load { dst: pointer, base: Operand::Data(table, 0), offset: 8, access: Access::Word },
        Stmt::Load { dst: low, base: Operand::Local(pointer), offset: 0, access: Access::Word },
        binary(sum, BinaryOp::Add, Operand::Local(sum), Operand::Local(low)),
        scalar(f, ScalarOp::Cast(DType::F16), &[Operand::Int(1)]),
        Stmt::Store { base: Operand::Slot(slot, 16), offset: 0, value: Operand::Local(f), access: Access::Element(DType::F16) },
        Stmt::Load { dst: f, base: Operand::Slot(slot, 16), offset: 0, access: Access::Element(DType::F16) },
        scalar(low, ScalarOp::Cast(DType::I64), &[Operand::Local(f)]),
        binary(sum, BinaryOp::Add, Operand::Local(sum), Operand::Local(low)),
    ]);
    w.result(tag::INT, Operand::Local(sum));
    let mut plan = plan_of(w.method);
    plan.data = data;
    plan.arena_bytes = 1000;
    let mut instance = instance_of(&generate_here(&plan));
    assert_eq!(instance.arena_bytes().unwrap(), 1024);
    // 300 wraps to 44, + 0 + 7 + 1.
    assert_eq!(call(&mut instance, "forward", &[Value::int(300)]).unwrap().as_int(), 52);
}

#[test]
fn runtime_functions_and_their_errors() {
    let mut w = Writer::new("forward", 2);
    let (a, b) = (w.arg(0), w.arg(1));
    let quotient = w.local(LocalType::Int);
    w.method.body.push(Stmt::Runtime {
        name: "int_floor_div",
        args: vec![Operand::Local(a), Operand::Local(b)],
        result: Some(quotient),
        fallible: true,
    });
    w.result(tag::INT, Operand::Local(quotient));
    let plan = plan_of(w.method);
    assert!(uses_runtime(&plan));
    let mut instance = instance_of(&generate_here(&plan));
    assert_eq!(call(&mut instance, "forward", &[Value::int(-7), Value::int(2)]).unwrap().as_int(), -4);
    let (status, text) = status_of(call(&mut instance, "forward", &[Value::int(1), Value::int(0)]));
    assert_eq!(status, 1);
    assert_eq!(text, "division by 0");
    assert!(call(&mut instance, "forward", &[Value::int(8), Value::int(2)]).is_ok());
}

/// Prints its argument; leaves a new list behind in the slot of a failing call.
#[test]
fn printing_goes_to_the_sink_and_failures_are_swept() {
    let mut w = Writer::new("forward", 1);
    let x = w.arg(0);
    let list = w.local(LocalType::Int);
    let test = w.local(LocalType::Bool);
    let slot = w.method.slots.push(16);
    let mut data = PrimaryMap::new();
    let message = data.push(text("stop"));
    w.method.body.push(Stmt::Runtime {
        name: "list_new",
        args: vec![Operand::Int(3), Operand::Int(tag::INT as i64)],
        result: Some(list),
        fallible: true,
    });
    w.method.body.push(binary(test, BinaryOp::Eq, Operand::Local(x), Operand::Int(0)));
    w.method.body.push(Stmt::If { test: Operand::Local(test), then: vec![Stmt::Raise { text: message }], orelse: vec![] });
    w.method.body.extend(store_value(Operand::Slot(slot, 0), tag::INT, Operand::Local(x)));
    w.method.body.push(Stmt::Runtime {
        name: "print",
        args: vec![Operand::Slot(slot, 0), Operand::Int(1)],
        result: None,
        fallible: true,
    });
    w.method.body.push(Stmt::Runtime {
        name: "release_object",
        args: vec![Operand::Context, Operand::Local(list)],
        result: None,
        fallible: false,
    });
    w.result(tag::NONE, Operand::Int(0));
    let mut plan = plan_of(w.method);
    plan.data = data;
    let object = generate_here(&plan).write().unwrap();
    let library = Arc::new(load(&object).unwrap());
    let printed = Arc::new(Mutex::new(String::new()));
    let sink = printed.clone();
    // SAFETY: the code was just generated.
    let mut instance =
        unsafe { Instance::create(&library, "model", 1, Some(Box::new(move |s: &str| sink.lock().unwrap().push_str(s)))) }
            .unwrap();
    call(&mut instance, "forward", &[Value::int(42)]).unwrap();
    assert_eq!(*printed.lock().unwrap(), "42\n");
    for _ in 0..3 {
        assert_eq!(status_of(call(&mut instance, "forward", &[Value::int(0)])), (1, "stop".into()));
        // SAFETY: the context lives as long as the instance.
        assert_eq!(unsafe { (*instance.context()).live_objects }, 0, "the abandoned list was freed");
    }
}

#[test]
fn scalar_operations_of_every_type() {
    let mut w = Writer::new("forward", 2);
    let (a, b) = (w.arg(0), w.arg(1));
    let (x, y, z) = (w.local(LocalType::F64), w.local(LocalType::F64), w.local(LocalType::F64));
    let (test, out) = (w.local(LocalType::Bool), w.local(LocalType::Int));
    w.method.body.extend([
        scalar(x, ScalarOp::BitsFloat, &[Operand::Local(a)]),
        scalar(y, ScalarOp::BitsFloat, &[Operand::Local(b)]),
        binary(z, BinaryOp::FloorDiv, Operand::Local(x), Operand::Local(y)),
        scalar(x, ScalarOp::Math(MathOp("exp")), &[Operand::Local(z)]),
        scalar(test, ScalarOp::Unary(UnaryOp::IsNan), &[Operand::Local(x)]),
        scalar(z, ScalarOp::Select, &[Operand::Local(test), Operand::F64(-1.0), Operand::Local(x)]),
        scalar(out, ScalarOp::FloatBits, &[Operand::Local(z)]),
    ]);
    w.result(tag::FLOAT, Operand::Local(out));
    let plan = plan_of(w.method);
    assert!(!uses_runtime(&plan), "scalar math makes no objects");
    let mut instance = instance_of(&generate_here(&plan));
    let mut run = |a, b| call(&mut instance, "forward", &[Value::float(a), Value::float(b)]).unwrap().as_float();
    assert_eq!(run(7.5, 2.0), libm::exp(3.0));
    assert_eq!(run(0.0, 0.0), -1.0);
}

/// A vector kernel: machine code from outside.
struct Bytes;

impl KernelEmitter<&'static str> for Bytes {
    fn emit(&self, kernel: &&'static str) -> Result<EmittedKernel, String> {
        if *kernel != "store" {
            return Err(format!("no kernel {kernel}"));
        }
        // x86-64: mov [rdi], rsi; ret. aarch64: str x1, [x0]; ret.
        let bytes = if cfg!(target_arch = "x86_64") {
            vec![0x48, 0x89, 0x37, 0xc3]
        } else {
            vec![0x01, 0, 0, 0xf9, 0xc0, 0x03, 0x5f, 0xd6]
        };
        Ok(EmittedKernel { name: "store".into(), bytes, arguments: 2, listing: None })
    }
}

fn kernel_plan(kernel: &'static str) -> Plan<&'static str> {
    let mut w = Writer::new("forward", 1);
    let x = w.arg(0);
    let plain = plan_of(Method::default());
    let mut kernels = PrimaryMap::new();
    let id = kernels.push(kernel);
    w.result(tag::INT, Operand::Int(0));
    let bits = w.local(LocalType::Int);
    w.method.body.push(binary(bits, BinaryOp::Add, Operand::Result, Operand::Int(8)));
    w.method.body.push(Stmt::Kernel { id, args: vec![Operand::Local(bits), Operand::Local(x)], split: None });
    Plan {
        methods: vec![w.method],
        variants: Vec::new(),
        init: plain.init,
        state_slots: 0,
        computes: PrimaryMap::new(),
        kernels,
        data: PrimaryMap::new(),
        arena_bytes: 0,
    }
}

#[test]
fn vector_kernels_are_called() {
    let options = Options { prefix: "model", ..Options::default() };
    let plan = kernel_plan("store");
    let generated = generate(&plan, &Bytes, &Target::host(), &options).unwrap();
    let mut instance = instance_of(&generated);
    assert_eq!(call(&mut instance, "forward", &[Value::int(77)]).unwrap().as_int(), 77);
    let plan = kernel_plan("load");
    let refused = generate(&plan, &Bytes, &Target::host(), &options).map(|_| ());
    assert!(matches!(refused, Err(CodegenError::Kernel(text)) if text == "no kernel load"));
}

/// Every index of a parallel loop computes with what it captures, in a slot of its own, in a loop of its own, and calls a kernel.
#[test]
fn parallel_loops() {
    let mut plan = kernel_plan("store");
    let mut w = Writer::new("forward", 1);
    let x = w.arg(0);
    let [index, at, value, part, sum, turn] = std::array::from_fn(|_| w.local(LocalType::Int));
    let test = w.local(LocalType::Bool);
    let (outside, own) = (Operand::Slot(w.method.slots.push(64), 0), Operand::Slot(w.method.slots.push(16), 0));
    let kernel = plan.kernels.keys().next().unwrap();
    let word = |base, value| Stmt::Store { base, offset: 0, value, access: Access::Word };
    let body = vec![
        binary(value, BinaryOp::Mul, Operand::Local(index), Operand::Local(x)),
        word(own, Operand::Local(value)),
        Stmt::Load { dst: value, base: own, offset: 0, access: Access::Word },
        binary(at, BinaryOp::Mul, Operand::Local(index), Operand::Int(8)),
        binary(at, BinaryOp::Add, outside, Operand::Local(at)),
        scalar(turn, ScalarOp::Copy, &[Operand::Int(0)]),
        Stmt::Loop {
            body: vec![
                binary(test, BinaryOp::Lt, Operand::Local(turn), Operand::Int(3)),
                Stmt::If { test: Operand::Local(test), then: vec![], orelse: vec![Stmt::Break] },
                binary(turn, BinaryOp::Add, Operand::Local(turn), Operand::Int(1)),
                Stmt::Kernel { id: kernel, args: vec![Operand::Local(at), Operand::Local(value)], split: None },
            ],
        },
    ];
    w.method.body.push(Stmt::Parallel { index, count: Operand::Int(8), body });
    for i in 0..8 {
        w.method.body.push(Stmt::Load { dst: part, base: outside, offset: 8 * i, access: Access::Word });
        w.method.body.push(binary(sum, BinaryOp::Mul, Operand::Local(sum), Operand::Int(10)));
        w.method.body.push(binary(sum, BinaryOp::Add, Operand::Local(sum), Operand::Local(part)));
    }
    w.result(tag::INT, Operand::Local(sum));
    plan.methods = vec![w.method];
    assert!(uses_runtime(&plan));
    let options = Options { prefix: "model", ..Options::default() };
    let mut instance = instance_of(&generate(&plan, &Bytes, &Target::host(), &options).unwrap());
    assert_eq!(call(&mut instance, "forward", &[Value::int(1)]).unwrap().as_int(), 1_234_567);
}

#[test]
fn broken_plans_are_refused() {
    let refuse = |statement: Stmt, wanted: &str| {
        let mut w = Writer::new("forward", 0);
        w.local(LocalType::Int);
        w.method.body.push(statement);
        let plan = plan_of(w.method);
        let options = Options { prefix: "model", ..Options::default() };
        let error = generate(&plan, &NoKernels, &Target::host(), &options).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    let l0 = Local(0);
    refuse(Stmt::Break, "break outside");
    refuse(scalar(Local(5), ScalarOp::Copy, &[Operand::Int(1)]), "l5 is not there");
    refuse(scalar(l0, ScalarOp::Copy, &[Operand::F32(1.0)]), "of type Int");
    refuse(binary(l0, BinaryOp::Add, Operand::Int(1), Operand::Bool(true)), "of kinds");
    refuse(scalar(l0, ScalarOp::Unary(UnaryOp::Sqrt), &[Operand::Int(1)]), "Sqrt");
    refuse(Stmt::Load { dst: l0, base: Operand::State(0), offset: 0, access: Access::Word }, "no state slot");
    refuse(Stmt::Load { dst: l0, base: Operand::Arena(8), offset: 0, access: Access::Word }, "arena has no byte");
    refuse(Stmt::Runtime { name: "no_such_function", args: vec![], result: None, fallible: false }, "no_such_function");
    refuse(Stmt::Runtime { name: "list_new", args: vec![Operand::Int(1)], result: None, fallible: true }, "do not fit");
    refuse(
        Stmt::Compute { id: kiln_loops::plan::ComputeId(0), outputs: vec![], inputs: vec![], params: vec![], failure: None },
        "compute0",
    );
    refuse(Stmt::If { test: Operand::Int(1), then: vec![], orelse: vec![] }, "kind Bool");
    let parallel = |stmt| Stmt::Parallel { index: l0, count: Operand::Int(1), body: vec![stmt] };
    refuse(parallel(Stmt::Return), "Return in a parallel loop");
    refuse(parallel(Stmt::Load { dst: l0, base: Operand::Args, offset: 0, access: Access::Word }), "Args in a parallel loop");
}

#[test]
fn long_chains_need_no_recursion() {
    let mut compute = Compute { name: "chain".into(), axes: vec![Extent::Const(2)], rank: 1, ..Compute::default() };
    compute.exprs.axis_extents = vec![Some(2)];
    compute.exprs.input_dtypes = vec![DType::F32];
    compute.inputs.push(Input { dtype: DType::F32, dims: vec![Extent::Const(2)] });
    let axis = compute.exprs.intern(ExprData::Axis(0));
    let mut value = compute.exprs.intern(ExprData::Load { input: 0, index: vec![axis] });
    for i in 0..20_000 {
        let step = compute.exprs.number(Kind::F32, f64::from(i % 3));
        value = compute.exprs.intern(ExprData::Binary(if i % 2 == 0 { BinaryOp::Add } else { BinaryOp::Sub }, value, step));
    }
    compute.outputs.push(Output { dtype: DType::F32, value });
    let input = kiln_support::TensorData::from_f32(&[2], &[1.0, 2.0]);
    let plan = common::plan_of_compute(&compute);
    let mut expected = [1.0f32, 2.0];
    for i in 0..20_000 {
        let step = (i % 3) as f32;
        expected = expected.map(|x| if i % 2 == 0 { x + step } else { x - step });
    }
    let got = common::run_compiled(&generate_here(&plan), &compute, &[input], &[], None).unwrap();
    assert_eq!(got[0].to_f32(), expected);
}

#[test]
fn symbols_of_methods() {
    assert_eq!(method_symbol("net", "forward"), "net_forward");
    assert_eq!(method_symbol("net", "create"), "net_call_create");
    assert_eq!(method_symbol("net", "größe"), "net_gruf6udfe");
}

/// Returns its argument, by the descriptor it came in.
fn identity() -> PlainPlan {
    let mut w = Writer::new("forward", 1);
    let x = w.arg(0);
    w.result(tag::TENSOR, Operand::Local(x));
    let mut plan = plan_of(w.method);
    let dims = vec![DimDesc::Const(2), DimDesc::Symbol("N".into())];
    plan.methods[0].params[0].ty = TypeDesc::Tensor(DType::F32, dims.clone());
    plan.methods[0].result = TypeDesc::Tensor(DType::F32, dims);
    plan
}

#[repr(C)]
struct View {
    data: *mut f32,
    dtype: i32,
    rank: i32,
    sizes: *const i64,
    strides: *const i64,
}

type ByTensors = unsafe extern "C" fn(*mut kiln_rt::abi::Context, *const View, *mut View) -> i32;

#[test]
fn methods_of_tensors_take_views() {
    for uses_runtime in [false, true] {
        let mut plan = identity();
        if uses_runtime {
            plan.methods[0]
                .body
                .insert(0, Stmt::Runtime { name: "clear_error", args: vec![Operand::Context], result: None, fallible: false });
        }
        let object = generate_here(&plan).write().unwrap();
        let library = Arc::new(load(&object).unwrap());
        // SAFETY: the code was just generated.
        let instance = unsafe { Instance::create(&library, "model", 1, None) }.unwrap();
        // SAFETY: the symbol has this type.
        let function: ByTensors = unsafe { std::mem::transmute(library.symbol("model_forward_tensors").unwrap()) };
        let mut elements = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let sizes = [2i64, 3];
        let mut view = View { data: elements.as_mut_ptr(), dtype: 6, rank: 2, sizes: sizes.as_ptr(), strides: std::ptr::null() };
        let mut out = View { data: std::ptr::null_mut(), dtype: 0, rank: 0, sizes: std::ptr::null(), strides: std::ptr::null() };
        // SAFETY: the views are of live memory.
        unsafe {
            assert_eq!(function(instance.context(), &view, &mut out), 0);
            assert_eq!((out.dtype, out.rank), (6, 2));
            assert_eq!(std::slice::from_raw_parts(out.data, 6), elements);
            view.rank = 1;
            assert_eq!(function(instance.context(), &view, &mut out), 3);
            assert_eq!(function(std::ptr::null_mut(), &view, &mut out), 3);
            assert_eq!(function(instance.context(), &view, std::ptr::null_mut()), 3);
        }
    }
}

/// `depth` selects inside one another, each with a load in its branch, and as many conditionals around a statement.
fn nested(depth: usize) -> (Compute, PlainPlan) {
    let mut compute = Compute { name: "nested".into(), ..Compute::default() };
    compute.exprs.input_dtypes = vec![DType::F32];
    compute.inputs.push(Input { dtype: DType::F32, dims: vec![Extent::Const(1)] });
    let zero = compute.exprs.int(0);
    let load = compute.exprs.intern(ExprData::Load { input: 0, index: vec![zero] });
    let mut value = load;
    for i in 0..depth {
        let limit = compute.exprs.number(Kind::F32, i as f64);
        let test = compute.exprs.intern(ExprData::Binary(BinaryOp::Lt, load, limit));
        let next = compute.exprs.add(value, limit);
        value = compute.exprs.intern(ExprData::Select(test, value, next));
    }
    compute.outputs.push(Output { dtype: DType::F32, value });
    let mut body = vec![];
    for _ in 0..2 * depth {
        body = vec![Stmt::If { test: Operand::Bool(true), then: vec![], orelse: body }];
    }
    let mut plan = common::plan_of_compute(&compute);
    plan.methods[0].body.extend(body);
    (compute, plan)
}

#[test]
fn deep_nesting_is_compiled_or_refused() {
    let (compute, plan) = nested(500);
    let input = kiln_support::TensorData::from_f32(&[1], &[498.0]);
    let expected = kiln_loops::interpret::run(&compute, std::slice::from_ref(&input), &[], None).unwrap();
    assert_eq!(common::run_compiled(&generate_here(&plan), &compute, &[input], &[], None).unwrap(), expected);
    let options = Options { prefix: "model", ..Options::default() };
    let (_, mut plan) = nested(501);
    let refused = generate(&plan, &NoKernels, &Target::host(), &options).map(|_| ());
    assert!(refused.unwrap_err().to_string().contains("inside one another"));
    plan.computes = PrimaryMap::new();
    plan.methods[0].body.retain(|s| !matches!(s, Stmt::Compute { .. }));
    let refused = generate(&plan, &NoKernels, &Target::host(), &options).map(|_| ());
    assert!(refused.unwrap_err().to_string().contains("inside one another"));
}

/// `forward(x: f32[N])` gives a new tensor of the runtime with one element, x's first plus 1; raises where that is 9.
fn add_one_by_runtime() -> PlainPlan {
    let mut w = Writer::new("forward", 1);
    let x = w.arg(0);
    let slot = w.method.slots.push(16);
    let [data, tensor, target] = [(); 3].map(|()| w.local(LocalType::Int));
    let (first, test) = (w.local(LocalType::F32), w.local(LocalType::Bool));
    let mut plan_data = PrimaryMap::new();
    let message = plan_data.push(text("nine"));
    let element = Access::Element(DType::F32);
    w.method.body.extend([
        Stmt::Load { dst: data, base: Operand::Local(x), offset: 24, access: Access::Word },
        Stmt::Load { dst: first, base: Operand::Local(data), offset: 0, access: element },
        binary(first, BinaryOp::Add, Operand::Local(first), Operand::F32(1.0)),
        Stmt::Store { base: Operand::Slot(slot, 0), offset: 0, value: Operand::Int(1), access: Access::Word },
        Stmt::Runtime {
            name: "tensor_new",
            args: vec![Operand::Int(DType::F32.code()), Operand::Int(1), Operand::Slot(slot, 0)],
            result: Some(tensor),
            fallible: true,
        },
        Stmt::Load { dst: target, base: Operand::Local(tensor), offset: 24, access: Access::Word },
        Stmt::Store { base: Operand::Local(target), offset: 0, value: Operand::Local(first), access: element },
        binary(test, BinaryOp::Eq, Operand::Local(first), Operand::F32(9.0)),
        Stmt::If { test: Operand::Local(test), then: vec![Stmt::Raise { text: message }], orelse: vec![] },
        Stmt::Runtime {
            name: "give_away",
            args: vec![Operand::Int(tag::TENSOR as i64), Operand::Local(tensor)],
            result: None,
            fallible: true,
        },
    ]);
    w.result(tag::TENSOR, Operand::Local(tensor));
    let mut plan = plan_of(w.method);
    plan.data = plan_data;
    let dims = vec![DimDesc::Symbol("N".into())];
    plan.methods[0].params[0].ty = TypeDesc::Tensor(DType::F32, dims);
    plan.methods[0].result = TypeDesc::Tensor(DType::F32, vec![DimDesc::Const(1)]);
    plan
}

#[test]
fn results_by_tensors_live_until_the_next_call() {
    for state_slots in [0, 1] {
        let mut plan = add_one_by_runtime();
        plan.state_slots = state_slots;
        let object = generate_here(&plan).write().unwrap();
        let library = Arc::new(load(&object).unwrap());
        // SAFETY: the code was just generated.
        let instance = unsafe { Instance::create(&library, "model", 1, None) }.unwrap();
        // SAFETY: the symbol has this type.
        let function: ByTensors = unsafe { std::mem::transmute(library.symbol("model_forward_tensors").unwrap()) };
        let mut start = [0.0f32];
        let sizes = [1i64];
        let mut view = View { data: start.as_mut_ptr(), dtype: 6, rank: 1, sizes: sizes.as_ptr(), strides: std::ptr::null() };
        // SAFETY: the views are of live memory: each result is the next argument.
        unsafe {
            for i in 1..=8 {
                let mut out =
                    View { data: std::ptr::null_mut(), dtype: 0, rank: 0, sizes: std::ptr::null(), strides: std::ptr::null() };
                assert_eq!(function(instance.context(), &view, &mut out), 0);
                assert_eq!(*out.data, i as f32);
                // The list of held values, and the result in it; with state, a copy of the argument comes and goes.
                assert_eq!((*instance.context()).live_objects, 2);
                view = out;
            }
            let mut out =
                View { data: std::ptr::null_mut(), dtype: 0, rank: 0, sizes: std::ptr::null(), strides: std::ptr::null() };
            assert_eq!(function(instance.context(), &view, &mut out), 1);
            assert_eq!(*view.data, 8.0, "a failed call leaves the last result alone");
            assert_eq!((*instance.context()).live_objects, 2);
        }
    }
}

#[test]
fn control_that_never_reaches_the_end() {
    let mut w = Writer::new("forward", 1);
    let x = w.arg(0);
    let test = w.local(LocalType::Bool);
    let returns = |value: i64| {
        let mut body = store_value(Operand::Result, tag::INT, Operand::Int(value)).to_vec();
        body.push(Stmt::Return);
        body
    };
    w.method.body.push(Stmt::Loop {
        body: vec![
            binary(test, BinaryOp::Gt, Operand::Local(x), Operand::Int(0)),
            Stmt::If { test: Operand::Local(test), then: returns(1), orelse: returns(-1) },
            // Not reached, nor is anything behind the loop.
            Stmt::Break,
        ],
    });
    let plan = plan_of(w.method);
    let mut instance = instance_of(&generate_here(&plan));
    for (x, sign) in [(5, 1), (-5, -1)] {
        assert_eq!(call(&mut instance, "forward", &[Value::int(x)]).unwrap().as_int(), sign);
    }
}

/// A failure that the plan did not test for leaves a text in the runtime's memory; a raise after it must not lose it.
#[test]
fn raising_after_an_untested_failure() {
    let mut w = Writer::new("forward", 0);
    let mut data = PrimaryMap::new();
    let message = data.push(text("raised"));
    let ignored = w.local(LocalType::Int);
    let args = vec![Operand::Context, Operand::Int(1), Operand::Int(0)];
    w.method.body.push(Stmt::Runtime { name: "int_floor_div", args, result: Some(ignored), fallible: false });
    w.method.body.push(Stmt::Raise { text: message });
    let mut plan = plan_of(w.method);
    plan.data = data;
    let mut instance = instance_of(&generate_here(&plan));
    for _ in 0..3 {
        assert_eq!(status_of(call(&mut instance, "forward", &[])), (1, "raised".into()));
        // SAFETY: the context lives as long as the instance.
        assert_eq!(unsafe { (*instance.context()).live_bytes }, 0);
    }
}
