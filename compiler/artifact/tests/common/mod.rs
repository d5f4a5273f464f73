//! Small models, and running the tools of a C programmer on what is made of them.
#![allow(dead_code, reason = "each test binary uses a part")]

use kiln_artifact::{Facts, Model, static_library};
use kiln_codegen::{NoKernels, Options, Target, generate};
use kiln_loops::plan::{Access, Data, DimDesc, Local, LocalType, Method, Operand, ParamDesc, Plan, ScalarOp, Stmt, TypeDesc};
use kiln_loops::{BinaryOp, Compute, ExprData, Extent, Input, Kind, Output};
use kiln_support::{DType, PrimaryMap};
use std::path::Path;
use std::process::Command;

pub type PlainPlan = Plan<()>;

pub const HOST: &str = if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

fn empty_plan() -> PlainPlan {
    Plan {
        methods: vec![],
        variants: Vec::new(),
        init: Method { name: "init".into(), ..Method::default() },
        state_slots: 0,
        computes: PrimaryMap::new(),
        kernels: PrimaryMap::new(),
        data: PrimaryMap::new(),
        arena_bytes: 0,
    }
}

fn word(base: Operand, offset: i64, value: Operand) -> Stmt {
    Stmt::Store { base, offset, value, access: Access::Word }
}

fn half(base: Operand, offset: i64, value: i64) -> Stmt {
    Stmt::Store { base, offset, value: Operand::Int(value), access: Access::Half }
}

/// `out[i, j] = 2 * x[i, j] + bias[i]`.
fn double_and_add() -> Compute {
    let mut compute = Compute {
        name: "mul_add".into(),
        params: vec![Kind::Int],
        axes: vec![Extent::Const(2), Extent::Param(0)],
        rank: 2,
        ..Compute::default()
    };
    compute.exprs.axis_extents = vec![Some(2), None];
    compute.exprs.input_dtypes = vec![DType::F32, DType::F32];
    compute.inputs = vec![
        Input { dtype: DType::F32, dims: vec![Extent::Const(2), Extent::Param(0)] },
        Input { dtype: DType::F32, dims: vec![Extent::Const(2)] },
    ];
    let exprs = &mut compute.exprs;
    let (i, j) = (exprs.intern(ExprData::Axis(0)), exprs.intern(ExprData::Axis(1)));
    let x = exprs.intern(ExprData::Load { input: 0, index: vec![i, j] });
    let bias = exprs.intern(ExprData::Load { input: 1, index: vec![i] });
    let two = exprs.number(Kind::F32, 2.0);
    let product = exprs.mul(x, two);
    let value = exprs.add(product, bias);
    compute.outputs = vec![Output { dtype: DType::F32, value }];
    compute
}

/// `forward(x: f32[2, N]) -> f32[2, N]` with N at most 64, elements and descriptor of the result in the arena.
pub fn scale_plan() -> PlainPlan {
    let mut plan = empty_plan();
    let compute = plan.computes.push(double_and_add());
    let bias: Vec<u8> = [10.0f32, 20.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let bias = plan.data.push(Data { name: "bias".into(), bytes: bias.into(), align: 64, relocations: vec![] });
    let too_long = plan.data.push(Data {
        name: "text".into(),
        bytes: b"N is at most 64\0".as_slice().into(),
        align: 1,
        relocations: vec![],
    });
    plan.data.push(Data { name: "large".into(), bytes: vec![1; 1 << 15].into(), align: 64, relocations: vec![] });
    let dims = vec![DimDesc::Const(2), DimDesc::Symbol("N".into())];
    let ty = TypeDesc::Tensor(DType::F32, dims);
    let mut method = Method {
        name: "forward".into(),
        params: vec![ParamDesc { name: "float".into(), ty: ty.clone() }],
        result: ty,
        ..Method::default()
    };
    let [x, data, n]: [Local; 3] = [(); 3].map(|()| method.locals.push(LocalType::Int));
    let test = method.locals.push(LocalType::Bool);
    let (elements, descriptor) = (Operand::Arena(0), Operand::Arena(512));
    let [lx, ldata, ln] = [x, data, n].map(Operand::Local);
    method.body = vec![
        Stmt::Load { dst: x, base: Operand::Args, offset: 8, access: Access::Word },
        Stmt::Load { dst: data, base: lx, offset: 24, access: Access::Word },
        Stmt::Load { dst: n, base: lx, offset: 56, access: Access::Word },
        Stmt::Scalar { dst: test, op: ScalarOp::Binary(BinaryOp::Gt), args: vec![ln, Operand::Int(64)] },
        Stmt::If { test: Operand::Local(test), then: vec![Stmt::Fail { status: 3, text: Some(too_long) }], orelse: vec![] },
        Stmt::Compute {
            id: compute,
            outputs: vec![elements],
            inputs: vec![ldata, Operand::Data(bias, 0)],
            params: vec![ln],
            failure: None,
        },
        half(descriptor, 0, 0xffff_ffff),
        half(descriptor, 4, 5),
        word(descriptor, 24, elements),
        word(descriptor, 32, Operand::Int(0)),
        half(descriptor, 40, 6),
        half(descriptor, 44, 2),
        word(descriptor, 48, Operand::Int(2)),
        word(descriptor, 56, ln),
        word(descriptor, 64, ln),
        word(descriptor, 72, Operand::Int(1)),
        word(Operand::Result, 0, Operand::Int(5)),
        word(Operand::Result, 8, descriptor),
    ];
    plan.methods.push(method);
    plan.arena_bytes = 600;
    plan
}

/// `count(step: int) -> int`: counts in its state, from 100 on.
pub fn count_plan() -> PlainPlan {
    let mut plan = empty_plan();
    let mut method = Method {
        name: "count".into(),
        params: vec![ParamDesc { name: "step".into(), ty: TypeDesc::Int }],
        result: TypeDesc::Int,
        ..Method::default()
    };
    let [step, n]: [Local; 2] = [(); 2].map(|()| method.locals.push(LocalType::Int));
    method.body = vec![
        Stmt::Load { dst: step, base: Operand::Args, offset: 8, access: Access::Word },
        Stmt::Load { dst: n, base: Operand::State(0), offset: 8, access: Access::Word },
        Stmt::Scalar { dst: n, op: ScalarOp::Binary(BinaryOp::Add), args: vec![Operand::Local(n), Operand::Local(step)] },
        word(Operand::State(0), 8, Operand::Local(n)),
        word(Operand::Result, 0, Operand::Int(2)),
        word(Operand::Result, 8, Operand::Local(n)),
    ];
    plan.methods.push(method);
    plan.state_slots = 1;
    plan.init.body = vec![word(Operand::State(0), 0, Operand::Int(2)), word(Operand::State(0), 8, Operand::Int(100))];
    plan
}

/// `greet(n: int) -> None`: prints its argument by the runtime.
pub fn print_plan() -> PlainPlan {
    let mut plan = empty_plan();
    let mut method =
        Method { name: "greet".into(), params: vec![ParamDesc { name: "n".into(), ty: TypeDesc::Int }], ..Method::default() };
    method.body = vec![
        Stmt::Runtime { name: "print", args: vec![Operand::Args, Operand::Int(1)], result: None, fallible: true },
        word(Operand::Result, 0, Operand::Int(0)),
    ];
    plan.methods.push(method);
    plan
}

/// A model for a target: its description, object and library.
pub fn build(plan: &PlainPlan, prefix: &str, name: &str, triple: &str, runtime: Option<&[u8]>) -> (Model, Vec<u8>, Vec<u8>) {
    let target = Target::baseline(triple.parse().expect("a triple"));
    let generated = generate(plan, &NoKernels, &target, &Options { prefix, ..Options::default() }).expect("the plan compiles");
    let facts = Facts { prefix: prefix.into(), target: name.into(), kiln_version: "0.1.0".into(), ..Facts::default() };
    let model = Model::new(plan, &generated, facts);
    let object = generated.write().expect("the object is written");
    let library = static_library(prefix, &object, runtime, &target.triple).expect("the library is written");
    (model, object, library)
}

/// Whether a tool starts; a message where it does not.
pub fn has_tool(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok();
    if !is_there {
        eprintln!("skipped a check, for `{tool}` is missing");
    }
    is_there
}

/// Runs a tool and gives its output.
pub fn run_tool(command: &mut Command) -> String {
    let output = command.output().expect("the tool starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

pub fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), bytes).expect("the file is written");
}
