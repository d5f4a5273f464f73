//! Residual graphs scheduled, compiled and run on this machine.

mod common;

use common::*;
use kiln_graph::{Dim, Op, Type};
use kiln_support::{DType, TensorData};

#[test]
fn a_pointwise_chain_is_one_computation() {
    let mut b = Builder::new();
    let (x, y) = (b.input("x", &[2, 2]), b.input("y", &[2, 2]));
    let sum = b.add(x, y);
    let product = b.mul(sum, y);
    let result = b.relu(product);
    let object = b.boxed(result);
    let model = b.model(object, f32_tensor(&[2, 2]));
    assert_eq!(plan(&model).computes.iter().count(), 1);
    let got = compile(&model).call(&[matrix(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), matrix(&[2, 2], &[1.0, -1.0, 0.5, 2.0])]);
    assert_eq!(got, Ok(tensor(&[2, 2], &[2.0, 0.0, 1.75, 12.0])));
}

#[test]
fn a_contraction_takes_its_epilogue_in() {
    let mut b = Builder::new();
    let x = b.input("x", &[2, 3]);
    let w = b.tensor(TensorData::from_f32(&[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]));
    let bias = b.tensor(TensorData::from_f32(&[2], &[0.5, -100.0]));
    let product = b.mm(x, w, &[2, 2]);
    let sum = b.add(product, bias);
    let result = b.relu(sum);
    let object = b.boxed(result);
    let model = b.model(object, f32_tensor(&[2, 2]));
    assert_eq!(plan(&model).computes.iter().count(), 1);
    let got = compile(&model).call(&[matrix(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
    assert_eq!(got, Ok(tensor(&[2, 2], &[4.5, 0.0, 10.5, 0.0])));
}

#[test]
fn a_contraction_is_not_computed_twice() {
    let mut b = Builder::new();
    let x = b.input("x", &[2, 2]);
    let product = b.mm(x, x, &[2, 2]);
    let again = b.mm(product, x, &[2, 2]);
    let sum = b.add(again, product);
    let object = b.boxed(sum);
    let model = b.model(object, f32_tensor(&[2, 2]));
    assert_eq!(plan(&model).computes.iter().count(), 2);
    let got = compile(&model).call(&[matrix(&[2, 2], &[1.0, 1.0, 0.0, 1.0])]);
    assert_eq!(got, Ok(tensor(&[2, 2], &[2.0, 5.0, 0.0, 2.0])));
}

#[test]
fn sizes_may_be_symbols() {
    let mut b = Builder::new();
    let ((x, n), (y, m)) = (b.vector("x", "N"), b.vector("y", "N"));
    let sum = b.add(x, y);
    let object = b.boxed(sum);
    let total = b.op("aten::add.int", &[n, m], Type::Int);
    let four = b.int(4);
    let big = b.op("aten::gt.int", &[total, four], Type::Bool);
    let ty = b.graph.ty(x).clone();
    let picked = b.branch(
        big,
        &[Type::TENSOR],
        |_| vec![object],
        |b| {
            let doubled = b.add(x, x);
            vec![b.boxed(doubled)]
        },
    );
    let model = b.model(picked[0], ty);
    let mut compiled = compile(&model);
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0, 3.0]), vector(&[1.0, 1.0, 1.0])]), Ok(tensor(&[3], &[2.0, 3.0, 4.0])));
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0]), vector(&[1.0, 1.0])]), Ok(tensor(&[2], &[2.0, 4.0])));
    assert_eq!(compiled.call(&[vector(&[]), vector(&[])]), Ok(tensor(&[0], &[])));
    let error = compiled.call(&[vector(&[1.0, 2.0]), vector(&[1.0])]);
    assert_eq!(error, Err("3: argument `y`: expected a float32 tensor of shape [N]".into()));
}

#[test]
fn arguments_are_checked() {
    let mut b = Builder::new();
    let x = b.input("x", &[2]);
    let n = b.param("n", Type::Int);
    let object = b.boxed(x);
    let list = b.param("xs", Type::list(Type::tuple([Type::Int, Type::optional(Type::Str)])));
    let _ = (n, list);
    let model = b.model(object, f32_tensor(&[2]));
    let mut compiled = compile(&model);
    let wrong_shape = compiled.call(&[vector(&[1.0]), 1.into(), 1.into()]);
    assert_eq!(wrong_shape, Err("3: argument `x`: expected a float32 tensor of shape [2]".into()));
    let wrong_rank = compiled.call(&[matrix(&[1, 2], &[1.0, 2.0]), 1.into(), 1.into()]);
    assert_eq!(wrong_rank, Err("3: argument `x`: expected a float32 tensor of shape [2]".into()));
    let wrong_dtype = compiled.call(&[Arg::Tensor(TensorData::from_i64(&[2], &[1, 2])), 1.into(), 1.into()]);
    assert_eq!(wrong_dtype, Err("3: argument `x`: expected a float32 tensor of shape [2]".into()));
    let wrong_tag = compiled.call(&[vector(&[1.0, 2.0]), true.into(), 1.into()]);
    assert_eq!(wrong_tag, Err("3: argument `n`: expected int".into()));
    let no_list = compiled.call(&[vector(&[1.0, 2.0]), 1.into(), 1.into()]);
    assert_eq!(no_list, Err("3: argument `xs`: expected List[Tuple[int, Optional[str]]]".into()));
}

#[test]
fn a_loop_computes_in_the_carried_buffer() {
    let mut b = Builder::new();
    let x = b.input("x", &[4]);
    let trip = b.int(3);
    let doubled = b.exp(x);
    let carried = b.repeat(trip, &[doubled], |b, params| {
        let next = b.add(params[1], params[1]);
        vec![b.bool(true), next]
    });
    let object = b.boxed(carried[0]);
    let model = b.model(object, f32_tensor(&[4]));
    let plan = plan(&model);
    assert_eq!(plan.arena_bytes, 64, "{}", kiln_schedule::write_plan(&plan));
    let got = compile(&model).call(&[vector(&[0.0; 4])]);
    assert_eq!(got, Ok(tensor(&[4], &[8.0; 4])));
}

#[test]
fn carried_tensors_may_trade_places() {
    let mut b = Builder::new();
    let (x, y) = (b.input("x", &[2]), b.input("y", &[2]));
    let trip = b.param("n", Type::Int);
    let swapped = b.repeat(trip, &[x, y, trip], |b, p| {
        let one = b.int(1);
        let less = b.op("aten::sub.int", &[p[3], one], Type::Int);
        vec![b.bool(true), p[2], p[1], less]
    });
    let doubled = b.add(swapped[0], swapped[0]);
    let sum = b.add(doubled, swapped[1]);
    let object = b.boxed(sum);
    let model = b.model(object, f32_tensor(&[2]));
    let mut compiled = compile(&model);
    let inputs = |n: i64| [vector(&[1.0, 2.0]), vector(&[10.0, 20.0]), n.into()];
    assert_eq!(compiled.call(&inputs(0)), Ok(tensor(&[2], &[12.0, 24.0])));
    assert_eq!(compiled.call(&inputs(1)), Ok(tensor(&[2], &[21.0, 42.0])));
    assert_eq!(compiled.call(&inputs(2)), Ok(tensor(&[2], &[12.0, 24.0])));
}

#[test]
fn rows_are_written_in_place() {
    let mut b = Builder::new();
    let x = b.input("x", &[2]);
    let zeros = b.tensor(TensorData::from_f32(&[3, 2], &[0.0; 6]));
    let trip = b.int(3);
    let rows = b.repeat(trip, &[zeros, x], |b, p| {
        let next = b.add(p[2], p[2]);
        let rows = b.write_row(p[1], next, p[0]);
        vec![b.bool(true), rows, next]
    });
    let object = b.boxed(rows[0]);
    let model = b.model(object, f32_tensor(&[3, 2]));
    let text = kiln_schedule::write_plan(&plan(&model));
    assert!(!text.contains("copy arena+0 <- arena"), "{text}");
    let got = compile(&model).call(&[vector(&[1.0, 3.0])]);
    assert_eq!(got, Ok(tensor(&[3, 2], &[2.0, 6.0, 4.0, 12.0, 8.0, 24.0])));
}

#[test]
fn a_row_may_depend_on_the_rows_before() {
    let mut b = Builder::new();
    let x = b.input("x", &[3, 2]);
    let trip = b.int(3);
    let rows = b.repeat(trip, &[x], |b, p| {
        let zero = b.int(0);
        let first = b.select(p[1], zero, f32_tensor(&[2]));
        let own = b.select(p[1], p[0], f32_tensor(&[2]));
        let sum = b.add(first, own);
        let rows = b.write_row(p[1], sum, p[0]);
        vec![b.bool(true), rows]
    });
    let object = b.boxed(rows[0]);
    let model = b.model(object, f32_tensor(&[3, 2]));
    let got = compile(&model).call(&[matrix(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
    assert_eq!(got, Ok(tensor(&[3, 2], &[2.0, 4.0, 5.0, 8.0, 7.0, 10.0])));
}

#[test]
fn dynamic_tensors_are_carried_as_objects() {
    let mut b = Builder::new();
    let (x, _) = b.vector("x", "N");
    let trip = b.param("n", Type::Int);
    let carried = b.repeat(trip, &[x, x], |b, p| {
        let next = b.add(p[1], p[2]);
        vec![b.bool(true), next, p[1]]
    });
    let sum = b.add(carried[0], carried[1]);
    let object = b.boxed(sum);
    let ty = b.graph.ty(x).clone();
    let model = b.model(object, ty);
    let mut compiled = compile(&model);
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0]), 0.into()]), Ok(tensor(&[2], &[2.0, 4.0])));
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0]), 3.into()]), Ok(tensor(&[2], &[8.0, 16.0])));
}

#[test]
fn dynamic_rows_are_written_without_touching_the_argument() {
    let mut b = Builder::new();
    let (x, n) = b.vector("x", "N");
    let seven = b.tensor(TensorData::from_f32(&[], &[7.0]));
    let carried = b.repeat(n, &[x], |b, p| {
        let written = b.write_row(p[1], seven, p[0]);
        vec![b.bool(true), written]
    });
    let sum = b.add(carried[0], x);
    let object = b.boxed(sum);
    let ty = b.graph.ty(x).clone();
    let model = b.model(object, ty);
    assert_eq!(compile(&model).call(&[vector(&[1.0, 2.0])]), Ok(tensor(&[2], &[8.0, 9.0])));
}

#[test]
fn branches_compute_into_the_result() {
    let mut b = Builder::new();
    let x = b.input("x", &[3]);
    let test = b.param("t", Type::Bool);
    let ty = f32_tensor(&[3]);
    let results = b.branch(
        test,
        &[ty.clone(), ty.clone()],
        |b| {
            let y = b.add(x, x);
            vec![y, x]
        },
        |b| {
            let y = b.mul(x, x);
            vec![y, y]
        },
    );
    let sum = b.add(results[0], results[1]);
    let object = b.boxed(sum);
    let model = b.model(object, ty);
    let mut compiled = compile(&model);
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0, 3.0]), true.into()]), Ok(tensor(&[3], &[3.0, 6.0, 9.0])));
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0, 3.0]), false.into()]), Ok(tensor(&[3], &[2.0, 8.0, 18.0])));
}

#[test]
fn state_is_kept_and_reset() {
    let mut b = Builder::new();
    let n = b.param("n", Type::Int);
    let old = b.node(Op::StateLoad(kiln_graph::StateId(0)), &[], Type::Int);
    let new = b.op("aten::add.int", &[old, n], Type::Int);
    b.effect(Op::StateStore(kiln_graph::StateId(0)), &[new]);
    let mut model = b.model(new, Type::Int);
    int_state(&mut model, 5);
    let mut compiled = compile(&model);
    assert_eq!(compiled.call(&[2.into()]), Ok(Got::Int(7)));
    assert_eq!(compiled.call(&[2.into()]), Ok(Got::Int(9)));
    compiled.instance.reset().expect("reset");
    compiled.vector.reset().expect("reset");
    assert_eq!(compiled.call(&[1.into()]), Ok(Got::Int(6)));
}

#[test]
fn containers_hold_tensors_and_optionals() {
    let mut b = Builder::new();
    let x = b.input("x", &[2]);
    let n = b.param("n", Type::optional(Type::Int));
    let object = b.boxed(x);
    let doubled = b.add(x, x);
    let second = b.boxed(doubled);
    let list = b.node(Op::List, &[object, second, object], Type::list(Type::TENSOR));
    let pair = Type::tuple([Type::list(Type::TENSOR), Type::optional(Type::Int)]);
    let tuple = b.node(Op::Tuple(None), &[list, n], pair);
    let out = b.node(Op::TupleGet(0), &[tuple], Type::list(Type::TENSOR));
    let unpacked = b.graph.add_node(b.at, Op::ListUnpack, vec![out], vec![Type::TENSOR; 3], kiln_support::Span::NONE);
    let items = b.graph.nodes[unpacked].results.clone();
    let is_int = b.node(Op::IsInstance(vec![Type::Int]), &[n], Type::Bool);
    let picked = b.branch(is_int, &[Type::TENSOR], |_| vec![items[1]], |_| vec![items[2]]);
    let model = b.model(picked[0], Type::TENSOR);
    let mut compiled = compile(&model);
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0]), 3.into()]), Ok(tensor(&[2], &[2.0, 4.0])));
    let none = Arg::Word(kiln_loader::Value::NONE);
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0]), none]), Ok(tensor(&[2], &[1.0, 2.0])));
}

#[test]
fn optionals_are_wrapped_and_unwrapped() {
    let mut b = Builder::new();
    let n = b.param("n", Type::Int);
    let text = b.str("text");
    let any = Type::Union([Type::Int, Type::Str].into());
    let zero = b.int(0);
    let test = b.op("aten::gt.int", &[n, zero], Type::Bool);
    let union = b.branch(
        test,
        std::slice::from_ref(&any),
        |b| vec![b.node(Op::Wrap, &[n], any.clone())],
        |b| vec![b.node(Op::Wrap, &[text], any.clone())],
    );
    let is_int = b.node(Op::IsInstance(vec![Type::Int]), &[union[0]], Type::Bool);
    let result = b.branch(
        is_int,
        &[Type::Int],
        |b| vec![b.node(Op::Unwrap, &[union[0]], Type::Int)],
        |b| {
            let payload = b.node(Op::Unwrap, &[union[0]], Type::Str);
            b.effect(Op::Print, &[payload, n]);
            vec![b.int(-1)]
        },
    );
    let model = b.model(result[0], Type::Int);
    let mut compiled = compile(&model);
    assert_eq!(compiled.call(&[4.into()]), Ok(Got::Int(4)));
    assert_eq!(*compiled.printed.borrow(), "");
    assert_eq!(compiled.call(&[(-3).into()]), Ok(Got::Int(-1)));
    assert_eq!(*compiled.printed.borrow(), "text -3\n");
}

#[test]
fn raising_gives_the_message() {
    let mut b = Builder::new();
    let n = b.param("n", Type::Int);
    let zero = b.int(0);
    let test = b.op("aten::lt.int", &[n, zero], Type::Bool);
    b.branch(
        test,
        &[],
        |b| {
            let message = b.str("n is negative");
            b.effect(Op::Raise("ValueError".into()), &[message]);
            b.graph.blocks[b.at].diverges = true;
            vec![]
        },
        |_| vec![],
    );
    let model = b.model(n, Type::Int);
    let mut compiled = compile(&model);
    assert_eq!(compiled.call(&[4.into()]), Ok(Got::Int(4)));
    assert_eq!(compiled.call(&[(-4).into()]), Err("1: n is negative".into()));
}

#[test]
fn an_index_out_of_range_raises() {
    let mut b = Builder::new();
    let x = b.input("x", &[3, 2]);
    let n = b.param("n", Type::Int);
    let row = b.select(x, n, f32_tensor(&[2]));
    let object = b.boxed(row);
    let model = b.model(object, f32_tensor(&[2]));
    let mut compiled = compile(&model);
    let rows = || matrix(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(compiled.call(&[rows(), (-1).into()]), Ok(tensor(&[2], &[5.0, 6.0])));
    assert!(compiled.call(&[rows(), 3.into()]).is_err());
}

#[test]
fn symbols_of_a_carried_tensor_may_change() {
    // x carried with its size beside it; each iteration keeps all but the first element.
    let mut b = Builder::new();
    let (x, n) = b.vector("x", "N");
    let trip = b.param("k", Type::Int);
    let first = b.bool(true);
    let node = b.graph.add_node(b.at, Op::Loop, vec![trip, first, n, x], vec![Type::Int, Type::Int], kiln_support::Span::NONE);
    let results = b.graph.nodes[node].results.clone();
    b.graph.values[results[1]].ty = symbolic(DType::F32, &[Dim::Value(results[0])]);
    let outer = std::mem::replace(&mut b.at, b.graph.add_block());
    let block = b.at;
    b.graph.add_param(block, Type::Int, None);
    let size = b.graph.add_param(block, Type::Int, None);
    let current = b.graph.add_param(block, symbolic(DType::F32, &[Dim::Value(size)]), None);
    let one = b.int(1);
    let smaller = b.op("aten::sub.int", &[size, one], Type::Int);
    let (dim, end) = (b.int(0), b.int(i64::MAX));
    let ty = symbolic(DType::F32, &[Dim::Value(smaller)]);
    let tail = b.op("aten::slice.Tensor", &[current, dim, one, end, one], ty.clone());
    let doubled = b.add(tail, tail);
    let go_on = b.bool(true);
    b.yields(&[go_on, smaller, doubled]);
    b.graph.nodes[node].blocks = vec![block];
    b.at = outer;
    let object = b.boxed(results[1]);
    let model = b.model(object, Type::TENSOR);
    let mut compiled = compile(&model);
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0, 3.0]), 2.into()]), Ok(tensor(&[1], &[12.0])));
    assert_eq!(compiled.call(&[vector(&[1.0, 2.0, 3.0]), 0.into()]), Ok(tensor(&[3], &[1.0, 2.0, 3.0])));
}

#[test]
fn a_method_may_only_raise() {
    let mut b = Builder::new();
    let n = b.param("n", Type::Int);
    let message = b.str("never");
    b.effect(Op::Raise("RuntimeError".into()), &[message]);
    let mut model = b.model(n, Type::Int);
    let entry = model.methods[0].graph.entry;
    let block = &mut model.methods[0].graph.blocks[entry];
    (block.yields, block.diverges) = (Vec::new(), true);
    assert_eq!(compile(&model).call(&[1.into()]), Err("1: never".into()));
}

#[test]
fn an_argument_is_copied_into_what_outlives_the_call() {
    let mut b = Builder::new();
    let x = b.input("x", &[2]);
    let object = b.boxed(x);
    let old = b.node(Op::StateLoad(kiln_graph::StateId(0)), &[], Type::TENSOR);
    b.effect(Op::StateStore(kiln_graph::StateId(0)), &[object]);
    let mut model = b.model(old, Type::TENSOR);
    let mut init = Builder::new();
    let zero = init.tensor(TensorData::from_f32(&[2], &[0.0, 0.0]));
    let zero = init.boxed(zero);
    init.effect(Op::StateStore(kiln_graph::StateId(0)), &[zero]);
    model.init = init.graph;
    model.state.push(kiln_graph::StateSlot { name: "last".into(), ty: Type::TENSOR });
    let mut compiled = compile(&model);
    let first = compiled.instance_call(&[vector(&[1.0, 2.0])]);
    assert_eq!(first, Ok(tensor(&[2], &[0.0, 0.0])));
    // The first argument's memory is gone by now.
    assert_eq!(compiled.instance_call(&[vector(&[3.0, 4.0])]), Ok(tensor(&[2], &[1.0, 2.0])));
    assert_eq!(compiled.instance_call(&[vector(&[5.0, 6.0])]), Ok(tensor(&[2], &[3.0, 4.0])));
}

#[test]
fn rows_are_written_in_place_under_a_condition() {
    let mut b = Builder::new();
    let x = b.input("x", &[2]);
    let limit = b.param("n", Type::Int);
    let zeros = b.tensor(TensorData::from_f32(&[4, 2], &[0.0; 8]));
    let trip = b.int(4);
    let ty = f32_tensor(&[4, 2]);
    let rows = b.repeat(trip, &[zeros], |b, p| {
        let test = b.op("aten::lt.int", &[p[0], limit], Type::Bool);
        let changed = b.branch(
            test,
            std::slice::from_ref(&ty),
            |b| {
                let zero = b.int(0);
                let first = b.select(p[1], zero, f32_tensor(&[2]));
                let sum = b.add(first, x);
                vec![b.write_row(p[1], sum, p[0])]
            },
            |_| vec![p[1]],
        );
        vec![b.bool(true), changed[0]]
    });
    let object = b.boxed(rows[0]);
    let model = b.model(object, ty.clone());
    let text = kiln_schedule::write_plan(&plan(&model));
    assert!(!text.contains("copy arena"), "{text}");
    let mut compiled = compile(&model);
    let got = compiled.call(&[vector(&[1.0, 3.0]), 3.into()]);
    assert_eq!(got, Ok(tensor(&[4, 2], &[1.0, 3.0, 2.0, 6.0, 2.0, 6.0, 0.0, 0.0])));
    assert_eq!(compiled.call(&[vector(&[1.0, 3.0]), 0.into()]), Ok(tensor(&[4, 2], &[0.0; 8])));
}

#[test]
fn a_condition_may_need_the_old_value_twice() {
    // Both branches change the tensor, and a second carried value takes the old one.
    let mut b = Builder::new();
    let x = b.input("x", &[2]);
    let trip = b.int(3);
    let ty = f32_tensor(&[2]);
    let carried = b.repeat(trip, &[x, x], |b, p| {
        let one = b.int(1);
        let test = b.op("aten::eq.int", &[p[0], one], Type::Bool);
        let results = b.branch(
            test,
            &[ty.clone(), ty.clone()],
            |b| vec![b.add(p[1], p[2]), p[1]],
            |b| {
                let product = b.mul(p[1], p[1]);
                vec![product, p[2]]
            },
        );
        vec![b.bool(true), results[0], results[1]]
    });
    let ten = b.tensor(TensorData::from_f32(&[], &[1000.0]));
    let scaled = b.mul(carried[0], ten);
    let sum = b.add(scaled, carried[1]);
    let object = b.boxed(sum);
    let model = b.model(object, ty.clone());
    // (2, 2) -> (4, 2) -> (6, 4) -> (36, 4); (3, 3) -> (9, 3) -> (12, 9) -> (144, 9)
    assert_eq!(compile(&model).call(&[vector(&[2.0, 3.0])]), Ok(tensor(&[2], &[36004.0, 144009.0])));
}
