//! Tests of the reader: what is written is read back, and mistakes are found where they are.

use super::*;
use crate::verify::verify;
use crate::write::{OpNames, write_graph};
use crate::{Class, ClassKind, Function, HeapObject, Literal};
use kiln_support::{DType, TensorData};

const OPS: [&str; 3] = ["aten::add.Tensor", "aten::__and__.bool", "kiln::convert"];

struct Names;

impl OpNames for Names {
    fn op_name(&self, op: OpId) -> String {
        OPS[op.index()].to_owned()
    }
}

fn find(name: &str) -> Option<OpId> {
    OPS.iter().position(|op| *op == name).map(OpId::new)
}

/// A program with a class, an enum, a function and an object.
fn program() -> Program {
    let mut program = Program::default();
    for (name, kind) in [("__torch__.Net", ClassKind::Plain), ("__torch__.Color", ClassKind::Enum)] {
        let class = Class { name: name.into(), kind, fields: Vec::new(), methods: Vec::new(), span: Span::NONE };
        program.classes.push(class);
    }
    let body = Graph::new();
    let function = Function { name: "kiln.linear.dot".into(), params: Vec::new(), returns: Type::None, body, span: Span::NONE };
    program.funcs.push(function);
    program.objects.push(HeapObject::List(Type::list(Type::Int), Vec::new()));
    program
}

fn read(text: &str) -> Result<Graph> {
    read_graph(text, &program(), &find)
}

#[track_caller]
fn check_round_trip(text: &str) {
    let graph = read(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(write_graph(&graph, &program(), &Names), text);
    verify(&graph).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
}

#[track_caller]
fn check_error(text: &str, wanted: &str) {
    assert_eq!(read(text).expect_err("a mistake").to_string(), wanted);
}

/// A graph of one node without operands.
fn with_node(ty: &str, op: &str) -> String {
    format!("graph() {{\n  v0: {ty} = {op}\n  yield v0\n}}\n")
}

#[test]
fn tensors_and_symbolic_sizes() {
    check_round_trip(
        "graph(v0: Tensor) {
  v2: f32[v3, 8], v3: int = unbox(v0)
  v5: f32[8] = const f32[8]{0.0, -1.5, 0.10000000149011612, inf, -inf, NaN, 1.000000013351432e-10, 3.4028234663852886e38}
  v6: int = const 1
  v7: f32[v3, 8] = aten::add.Tensor(v2, v5, v6)
  v8: Tensor = box(v7)
  yield v8
}
",
    );
}

#[test]
fn control_flow() {
    check_round_trip(
        "graph(v0: int, v1: bool) {
  v9: int, v10: int = loop(v0, v1, v0, v0) { |v2: int, v3: int, v4: int|
    v7: int = if(v1) {
      yield v3
    } else {
      v5: str = const \"no \\\"luck\\\"\\n\"
      raise \"__torch__.Net\" (v5)
      unreachable
    }
    print(v7)
    yield v1, v7, v4
  }
  yield v9
}
",
    );
}

#[test]
fn an_empty_yield() {
    check_round_trip("graph() {\n  yield\n}\n");
}

#[test]
fn every_type() {
    let types = [
        "Any",
        "NoneType",
        "bool",
        "int",
        "float",
        "complex",
        "number",
        "str",
        "Device",
        "Tensor",
        "f32[]",
        "bool[2, 3]",
        "Optional[List[Tensor]]",
        "Union[int, str, NoneType]",
        "Dict[str, List[f16[1]]]",
        "Tuple[()]",
        "Tuple[int, Tuple[__torch__.Net]]",
        "Function[kiln.linear.dot]",
        "Future[int]",
        "Generator",
        "Never",
    ];
    for ty in types {
        check_round_trip(&with_node(ty, "uninit()"));
    }
}

#[test]
fn every_constant() {
    let constants = [
        ("NoneType", "none"),
        ("bool", "true"),
        ("int", "-9223372036854775808"),
        ("float", "-0.0"),
        ("float", "1e16"),
        ("float", "-inf"),
        ("float", "NaN"),
        ("complex", "complex(0.0, -1.5)"),
        ("str", r#""tab\t, zero\0, é, \u{200b}, quote \", \\""#),
        ("Device", "device(\"cpu\")"),
        ("List[Any]", "[[1, 2], [], [true, none]]"),
        ("bool[2]", "bool[2]{true, false}"),
        ("u8[]", "u8[]{255}"),
        ("i64[0, 3]", "i64[0, 3]{}"),
        ("bf16[1, 1]", "bf16[1, 1]{-2.5}"),
    ];
    for (ty, constant) in constants {
        check_round_trip(&with_node(ty, &format!("const {constant}")));
    }
}

#[test]
fn every_operation() {
    check_round_trip(
        "graph(v0: Any, v1: Tensor, v2: bool) {
  v3: __torch__.Net = new @__torch__.Net()
  v4: Any = get_attr \"a\" (v3)
  set_attr \"a b\" (v3, v4)
  v5: __torch__.Net = tuple @__torch__.Net(v4)
  v6: Tuple[Any] = tuple(v4)
  v7: Any = tuple_get 0 (v6)
  v8: List[Any] = list(v7)
  v9: Any, v10: Any = list_unpack(v8)
  v11: Dict[Any, Any] = dict(v9, v10)
  v12: __torch__.Color = enum @__torch__.Color.RED()
  v13: int = cast(v0)
  v14: Any = annotate(v13)
  v15: bool = is_instance [int, List[str]] (v14)
  v16: Function[kiln.linear.dot] = function @kiln.linear.dot()
  v17: NoneType = call @kiln.linear.dot()
  v18: Any = call_method .forward(v3)
  v19: List[int] = object obj0()
  v20: int = state_load state0()
  state_store state3 (v20)
  v21: int = unwrap(v0)
  v22: Any = wrap(v21)
  v23: f32[2] = unbox(v1)
  v24: f32[2] = write_view aten::add.Tensor (v23, v23)
  v25: bool = aten::__and__.bool(v2, v15)
  print(v22, v25)
  yield v24
}
",
    );
}

#[test]
fn comments_and_blanks_do_not_matter() {
    let graph = read("; a comment\ngraph ( v0 : int ) { yield v0 ; another\n}").unwrap();
    assert_eq!(write_graph(&graph, &program(), &Names), "graph(v0: int) {\n  yield v0\n}\n");
}

#[test]
fn mistakes_are_named_with_their_place() {
    check_error("graph(v0: int) {\n  yield v1\n}", "line 2, column 9: v1 is not defined before its use");
    check_error("graph(v0: int, v0: int) {", "line 1, column 16: v0 is defined twice");
    check_error("graph(v0: f32[v1]) {", "line 1, column 15: the size v1 is not defined");
    check_error("graph(v0: itn) {", "line 1, column 11: there is no type `itn`");
    check_error("graph(v0: List[int, int]) {", "line 1, column 24: `List` of 2 types");
    check_error("graph(v0: f32[-1]) {", "line 1, column 15: a size is not negative");
    check_error("graph() {\n  aten::sub()\n", "line 2, column 3: there is no operator `aten::sub`");
    check_error("graph() {\n  v0: int = const \"x\n", "line 2, column 19: a string that does not end in its line");
    check_error("graph() {\n  print(\n", "line 3, column 1: expected a value, found the end of the text");
    check_error("graph() {\n  yield\n} graph", "line 3, column 3: `graph` after the graph");
    check_error("graph(v0 int) {", "line 1, column 10: expected `:`, found `int`");
    check_error("graph() {\n  v0: int = object obj1()", "line 2, column 20: the program has no obj1");
    check_error("graph(v99999999: int) {", "line 1, column 7: value numbers are below 1048576");
}

#[test]
fn tensors_that_cannot_be_read() {
    let tensor = |text: &str| read(&with_node("Tensor", &format!("const {text}"))).expect_err("a mistake").message;
    assert_eq!(tensor("u8[1]{256}"), "an element that u8 cannot hold");
    assert_eq!(tensor("i64[2]{1}"), "1 elements for the shape [2]");
    assert_eq!(tensor("i64[-1, -1]{1}"), "1 elements for the shape [-1, -1]");
    assert_eq!(tensor("i64[4611686018427387904, 4]{}"), "0 elements for the shape [4611686018427387904, 4]");
    assert_eq!(tensor("f32[17]{#00ff00ff00ff00ff}"), "a tensor that is written as a checksum cannot be read back");
}

/// What the writer gives for large tensors cannot be read; small ones come back bit for bit.
#[test]
fn halves_keep_their_bits() {
    let data = TensorData::new(DType::F16, vec![3], vec![0x01, 0x00, 0xff, 0x7b, 0x00, 0x80]);
    let mut graph = Graph::new();
    let ty = Type::Tensor(Some(std::sync::Arc::new(crate::TensorType::of(DType::F16, &[3]))));
    let value = graph.add_const(graph.entry, Literal::Tensor(data.clone()), ty, Span::NONE);
    graph.blocks[graph.entry].yields.push(value);
    let back = read(&write_graph(&graph, &program(), &Names)).unwrap();
    assert_eq!(back.as_const(value), Some(&Literal::Tensor(data)));
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("graph(v0: {}", "List[".repeat(100_000));
    assert_eq!(read(&deep).expect_err("too deep").message, "this is nested too deeply");
    let deep = format!("graph(v0: bool) {{ {}", "if(v0) {".repeat(100_000));
    assert_eq!(read(&deep).expect_err("too deep").message, "blocks are nested too deeply");
}
