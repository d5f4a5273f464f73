//! What the tests share: plans around one computation, running them, comparing with the interpreter.
#![allow(dead_code, reason = "each test binary uses a part")]

use kiln_codegen::{Generated, NoKernels, Options, Target, generate};
use kiln_loader::{CallError, Instance, Value, load};
use kiln_loops::interpret::{self, Failure};
use kiln_loops::plan::{Access, Data, LocalType, Method, Operand, ParamDesc, Plan, ScalarOp, Stmt, TypeDesc};
use kiln_loops::{Compute, Kind, Scalar};
use kiln_support::tensor::Number;
use kiln_support::{DType, PrimaryMap, TensorData};
use std::sync::Arc;

/// A plan without vector kernels.
pub type PlainPlan = Plan<()>;

/// A plan of one method.
pub fn plan_of(method: Method) -> PlainPlan {
    Plan {
        methods: vec![method],
        variants: Vec::new(),
        init: Method { name: "init".into(), ..Method::default() },
        state_slots: 0,
        computes: PrimaryMap::new(),
        kernels: PrimaryMap::new(),
        data: PrimaryMap::new(),
        arena_bytes: 0,
    }
}

/// `count` parameters of no particular type.
pub fn params(count: usize) -> Vec<ParamDesc> {
    (0..count).map(|i| ParamDesc { name: format!("x{i}"), ty: TypeDesc::Any }).collect()
}

/// Constant text.
pub fn text(text: &str) -> Data {
    let bytes: Vec<u8> = text.bytes().chain([0]).collect();
    Data { name: "text".into(), bytes: bytes.into(), align: 1, relocations: Vec::new() }
}

/// A plan whose method `run` takes addresses and parameters as ints and floats and runs the computation.
pub fn plan_of_compute(compute: &Compute) -> PlainPlan {
    let outputs = compute.outputs.len() + usize::from(compute.scatter.is_some());
    let buffers = outputs + compute.inputs.len();
    let count = buffers + compute.params.len();
    let mut method = Method { name: "run".into(), params: params(count), ..Method::default() };
    let mut operands = Vec::new();
    for i in 0..count {
        let bits = method.locals.push(LocalType::Int);
        method.body.push(Stmt::Load { dst: bits, base: Operand::Args, offset: 16 * i as i64 + 8, access: Access::Word });
        let kind = if i < buffers { Kind::Int } else { compute.params[i - buffers] };
        operands.push(from_bits(&mut method, kind, Operand::Local(bits)));
    }
    let mut plan = plan_of(method);
    let failure = plan.data.push(text("index out of range"));
    let id = plan.computes.push(compute.clone());
    plan.methods[0].body.push(Stmt::Compute {
        id,
        outputs: operands[..outputs].to_vec(),
        inputs: operands[outputs..buffers].to_vec(),
        params: operands[buffers..].to_vec(),
        failure: Some(failure),
    });
    plan
}

fn from_bits(method: &mut Method, kind: Kind, bits: Operand) -> Operand {
    let mut step = |ty, op, arg| {
        let dst = method.locals.push(ty);
        method.body.push(Stmt::Scalar { dst, op, args: vec![arg] });
        Operand::Local(dst)
    };
    match kind {
        Kind::Int => bits,
        Kind::Bool => step(LocalType::Bool, ScalarOp::Cast(DType::Bool), bits),
        Kind::F64 => step(LocalType::F64, ScalarOp::BitsFloat, bits),
        Kind::F32 => {
            let wide = step(LocalType::F64, ScalarOp::BitsFloat, bits);
            step(LocalType::F32, ScalarOp::Cast(DType::F32), wide)
        }
    }
}

/// The bits of a parameter as `plan_of_compute` takes them.
pub fn param_value(param: Scalar) -> Value {
    match param {
        Scalar::F32(x) => Value::float(f64::from(x)),
        Scalar::F64(x) => Value::float(x),
        other => Value::int(other.as_int()),
    }
}

/// Generates for this machine.
pub fn generate_here(plan: &PlainPlan) -> Generated<'_> {
    generate(plan, &NoKernels, &Target::host(), &Options { prefix: "model", ..Options::default() }).expect("the plan compiles")
}

/// Generates for this machine with every feature that scalar code can use.
pub fn generate_with_features(plan: &PlainPlan) -> Generated<'_> {
    let mut target = Target::host();
    if cfg!(target_arch = "x86_64") && std::is_x86_feature_detected!("avx2") {
        target.features =
            ["sse3", "ssse3", "sse4.1", "sse4.2", "avx", "avx2", "bmi1", "bmi2", "popcnt", "lzcnt"].map(String::from).to_vec();
    }
    generate(plan, &NoKernels, &target, &Options { prefix: "model", ..Options::default() }).expect("the plan compiles")
}

/// Loads a plan's object and makes an instance.
pub fn instance_of(generated: &Generated) -> Instance {
    let object = generated.write().expect("the object is written");
    let library = Arc::new(load(&object).expect("the object loads"));
    // SAFETY: the code was just generated.
    unsafe { Instance::create(&library, "model", 1, None) }.expect("an instance is made")
}

/// Runs a compiled computation.
pub fn run_compiled(
    generated: &Generated,
    compute: &Compute,
    inputs: &[TensorData],
    params: &[Scalar],
    target: Option<&TensorData>,
) -> Result<Vec<TensorData>, Failure> {
    let shape: Vec<i64> = compute.axes[..compute.rank].iter().map(|&e| extent(e, params)).collect();
    // A guard behind each buffer shows writes beyond its end.
    const GUARD: usize = 64;
    let mut outputs: Vec<(DType, Vec<i64>, Vec<u8>)> = match target {
        Some(target) => vec![(target.dtype, target.shape.clone(), target.bytes.to_vec())],
        None => compute
            .outputs
            .iter()
            .map(|o| (o.dtype, shape.clone(), vec![0xa5; kiln_support::tensor::count(&shape) * o.dtype.size()]))
            .collect(),
    };
    let sizes: Vec<usize> = outputs.iter().map(|(_, _, b)| b.len()).collect();
    for (_, _, bytes) in &mut outputs {
        bytes.extend([0x5a; GUARD]);
    }
    let mut args: Vec<Value> = outputs.iter_mut().map(|(_, _, b)| Value::int(b.as_mut_ptr() as i64)).collect();
    // The target of a scatter is its first input too, where it has one of that shape.
    let is_target = |i: usize| i == 0 && target.is_some_and(|t| t.shape == inputs[0].shape && t.dtype == inputs[0].dtype);
    let target_address = args.first().copied();
    for (i, input) in inputs.iter().enumerate() {
        match target_address {
            Some(address) if is_target(i) => args.push(address),
            _ => args.push(Value::int(input.bytes.as_ptr() as i64)),
        }
    }
    args.extend(params.iter().map(|&p| param_value(p)));
    // SAFETY: the buffers are as large as the computation says and outlive the call.
    match unsafe { instance_of(generated).call("run", &args) } {
        Ok(_) => {}
        Err(CallError::Status { status: 1, text }) => {
            assert_eq!(text, "index out of range");
            return Err(Failure::Index);
        }
        Err(other) => panic!("{other}"),
    }
    let tensors = outputs.into_iter().zip(sizes).map(|((dtype, shape, mut bytes), size)| {
        assert!(bytes[size..].iter().all(|&b| b == 0x5a), "written beyond the end");
        bytes.truncate(size);
        TensorData::new(dtype, shape, bytes)
    });
    Ok(tensors.collect())
}

pub fn extent(extent: kiln_loops::Extent, params: &[Scalar]) -> i64 {
    match extent {
        kiln_loops::Extent::Const(n) => n,
        kiln_loops::Extent::Param(p) => params[p as usize].as_int(),
    }
}

/// Whether two tensors are the same bits; any NaN equals any NaN.
pub fn same(a: &TensorData, b: &TensorData) -> bool {
    let same_number = |(x, y): (Number, Number)| match (x, y) {
        (Number::Float(x), Number::Float(y)) => x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()),
        (x, y) => x == y,
    };
    a.dtype == b.dtype && a.shape == b.shape && a.numbers().zip(b.numbers()).all(same_number)
}

/// Compiles, runs and compares with the interpreter.
pub fn check(compute: &Compute, inputs: &[TensorData], params: &[Scalar], target: Option<&TensorData>) {
    let expected = interpret::run(compute, inputs, params, target);
    let plan = plan_of_compute(compute);
    for generated in [generate_here(&plan), generate_with_features(&plan)] {
        let got = run_compiled(&generated, compute, inputs, params, target);
        compare(compute, inputs, params, &expected, &got);
    }
}

pub fn compare(
    compute: &Compute,
    inputs: &[TensorData],
    params: &[Scalar],
    expected: &Result<Vec<TensorData>, Failure>,
    got: &Result<Vec<TensorData>, Failure>,
) {
    let is_same = match (expected, got) {
        (Ok(a), Ok(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Err(a), Err(b)) => a == b,
        _ => false,
    };
    if !is_same {
        let show = |r: &Result<Vec<TensorData>, Failure>| match r {
            Ok(tensors) => {
                tensors.iter().map(|t| format!("{} {:?} {:?}\n", t.dtype, t.shape, t.numbers().collect::<Vec<_>>())).collect()
            }
            Err(failure) => format!("{failure:?}"),
        };
        let inputs: Vec<_> = inputs.iter().map(|t| (t.dtype, &t.shape, t.numbers().collect::<Vec<_>>())).collect();
        panic!(
            "{}\ninputs {inputs:?}\nparams {params:?}\nexpected {}\ngot {}",
            kiln_loops::write::write_compute(compute),
            show(expected),
            show(got)
        );
    }
}
