//! Archives made by hand: classes, objects and methods as serialized code has them.

use kiln_frontend::model::{Archive, CodeFile, HeapId, HeapItem, Item, ObjectState, Storage, TensorItem};
use kiln_frontend::python::{Dialect, parse_module_as};
use kiln_graph::{ClassKind, HeapObject, Initial, Literal, Op, Program, Type};
use kiln_support::{DType, SourceMap};

/// An archive whose only code file is `__torch__`; the root object is of class `__torch__.M`.
struct Maker {
    archive: Archive,
    sources: SourceMap,
}

impl Maker {
    fn new(code: &str) -> Maker {
        let mut maker = Maker { archive: Archive { version: 3, ..Archive::default() }, sources: SourceMap::default() };
        maker.code("__torch__", code);
        maker
    }

    fn code(&mut self, path: &str, code: &str) {
        let file = self.sources.add(format!("{path}.py"), code);
        let module = parse_module_as(&self.sources, file, Dialect::Archive).expect("the code parses");
        self.archive.code.insert(path.into(), CodeFile { file, module, dialect: kiln_frontend::python::Dialect::Archive });
    }

    fn object(&mut self, class: &str, attributes: Vec<(&str, Item)>) -> HeapId {
        let attributes = attributes.into_iter().map(|(n, i)| (n.to_owned(), i)).collect();
        self.archive.heap.push(HeapItem::Object { class: class.into(), state: ObjectState::Attributes(attributes) })
    }

    fn tensor(&mut self, values: &[f32]) -> Item {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let storage = self.archive.storages.push(Storage { bytes: bytes.into() });
        Item::Tensor(TensorItem {
            storage,
            dtype: DType::F32,
            offset: 0,
            sizes: vec![values.len() as i64],
            strides: vec![1],
            requires_grad: false,
            quant: None,
        })
    }

    fn load(&self, methods: &[&str]) -> Result<Program, Vec<String>> {
        let methods: Vec<String> = methods.iter().map(|m| (*m).to_owned()).collect();
        let program = kiln_typing::load_archive(&self.archive, &methods)
            .map_err(|errors| errors.iter().map(|e| format!("[{}] {}", e.code, e.message)).collect::<Vec<_>>())?;
        for function in program.funcs.values() {
            kiln_graph::verify::verify(&function.body).expect("valid graph");
            kiln_typing::check_types(&function.body, &program).expect("well-typed graph");
        }
        Ok(program)
    }
}

fn function<'p>(program: &'p Program, name: &str) -> &'p kiln_graph::Function {
    program.funcs.values().find(|f| f.name == name).expect("the function is declared")
}

/// The ops of a function's outermost block, as text.
fn listing(program: &Program, name: &str) -> String {
    kiln_graph::write::write_graph(&function(program, name).body, program, kiln_ops::table())
}

#[test]
fn attributes_are_typed_and_shared() {
    let mut maker = Maker::new(
        r#"class M(Module):
  __parameters__ = ["w", ]
  w : Tensor
  sizes : List[int]
  same : List[int]
  scale : float
  name : Optional[str]
  stride : Final[Tuple[int, int]] = (1, 2)
  __annotations__["0"] = __torch__.Sub
  def forward(self: __torch__.M, x: Tensor) -> Tensor:
    w = self.w
    sub = getattr(self, "0")
    _0 = (sub).forward(torch.mul(x, w), )
    return _0
class Sub(Module):
  training : bool
  def forward(self: __torch__.Sub, x: Tensor) -> Tensor:
    return torch.relu(x)
"#,
    );
    let list = maker.archive.heap.push(HeapItem::List { items: vec![Item::Int(1)], type_text: Some("List[int]".into()) });
    let sub = maker.object("__torch__.Sub", vec![("training", Item::Bool(false))]);
    let w = maker.tensor(&[1.0, 2.0]);
    let attributes = vec![
        ("w", w),
        ("sizes", Item::Ref(list)),
        ("same", Item::Ref(list)),
        ("scale", Item::Int(2)),
        ("name", Item::None),
        ("0", Item::Ref(sub)),
    ];
    maker.archive.root = Some(maker.object("__torch__.M", attributes));
    let program = maker.load(&[]).unwrap();
    let HeapObject::Object(class, values) = &program.objects[program.root.unwrap()] else { panic!("the root is an object") };
    let class = &program.classes[*class];
    assert_eq!(class.kind, ClassKind::Module);
    let value = |name: &str| values[class.slot(name).unwrap()].clone().unwrap();
    assert_eq!(value("sizes"), value("same"));
    assert_eq!(value("scale"), Initial::Literal(Literal::Float(2.0)));
    assert_eq!(value("stride"), Initial::Literal(Literal::ints(&[1, 2])));
    assert!(matches!(value("w"), Initial::Tensor(t) if t.sizes == [2]));
    let lists = program
        .objects
        .values()
        .filter(|o| matches!(o, HeapObject::List(Type::List(elem), items) if **elem == Type::Int && items.len() == 1));
    assert_eq!(lists.count(), 1);
    assert_eq!(
        listing(&program, "__torch__.M.forward"),
        r#"graph(v0: __torch__.M, v1: Tensor) {
  v2: Tensor = get_attr "w" (v0)
  v3: str = const "0"
  v4: __torch__.Sub = get_attr "0" (v0)
  v5: Tensor = aten::mul.Tensor(v1, v2)
  v6: Tensor = call @__torch__.Sub.forward(v4, v5)
  yield v6
}
"#
    );
}

#[test]
fn only_reachable_code_is_typed() {
    let mut maker = Maker::new(
        r#"class M(Module):
  training : bool
  def forward(self: __torch__.M, x: Tensor) -> Tensor:
    return x
  def broken(self: __torch__.M, x: Tensor) -> Tensor:
    return torch.no_such_operator(x)
"#,
    );
    maker.archive.root = Some(maker.object("__torch__.M", vec![("training", Item::Bool(false))]));
    let program = maker.load(&["forward"]).unwrap();
    let unreached = &function(&program, "__torch__.M.broken").body;
    assert!(unreached.blocks[unreached.entry].diverges);
    assert_eq!(maker.load(&["broken"]).unwrap_err(), ["[unknown-operator] unknown operator `aten::no_such_operator`"]);
    assert_eq!(maker.load(&["backward"]).unwrap_err(), ["[no-such-method] class `__torch__.M` has no method `backward`"]);
}

#[test]
fn calls_through_interfaces_reach_every_implementation() {
    let mut maker = Maker::new(
        r#"class I(ModuleInterface):
  def forward(self, x: Tensor) -> Tensor:
    pass
class A(Module):
  def forward(self: __torch__.A, x: Tensor) -> Tensor:
    return torch.relu(x)
class B(Module):
  def forward(self: __torch__.B, x: Tensor) -> Tensor:
    return torch.neg(x)
class M(Module):
  a : __torch__.A
  b : __torch__.B
  i : __torch__.I
  def forward(self: __torch__.M, x: Tensor) -> Tensor:
    i = self.i
    return (i).forward(x, )
"#,
    );
    let a = maker.object("__torch__.A", vec![]);
    let b = maker.object("__torch__.B", vec![]);
    maker.archive.root = Some(maker.object("__torch__.M", vec![("a", Item::Ref(a)), ("b", Item::Ref(b)), ("i", Item::Ref(b))]));
    let program = maker.load(&[]).unwrap();
    assert!(listing(&program, "__torch__.M.forward").contains("call_method .forward(v2, v1)"));
    assert!(listing(&program, "__torch__.A.forward").contains("aten::relu"));
    assert!(listing(&program, "__torch__.B.forward").contains("aten::neg"));
}

#[test]
fn set_state_keeps_the_state() {
    let mut maker = Maker::new(
        r#"class P:
  x : Tensor
  def __setstate__(self: __torch__.P, state: Tuple[Tensor, int]) -> NoneType:
    self.x = (state)[0]
    return None
class M(Module):
  p : __torch__.P
  def forward(self: __torch__.M) -> Tensor:
    p = self.p
    return p.x
"#,
    );
    let x = maker.tensor(&[1.0]);
    let state = ObjectState::SetState(Box::new(Item::Tuple(vec![x, Item::Int(7)])));
    let p = maker.archive.heap.push(HeapItem::Object { class: "__torch__.P".into(), state });
    maker.archive.root = Some(maker.object("__torch__.M", vec![("p", Item::Ref(p))]));
    let program = maker.load(&[]).unwrap();
    let state = program.objects.values().find_map(|o| match o {
        HeapObject::SetState(_, state) => Some(state.clone()),
        _ => None,
    });
    assert!(matches!(state, Some(Initial::Tuple(items)) if items[1] == Initial::Literal(Literal::Int(7))));
    assert!(listing(&program, "__torch__.P.__setstate__").contains("set_attr \"x\""));
}

#[test]
fn serialized_forms() {
    let mut maker = Maker::new(
        r#"class M(Module):
  c : __torch__.Color
  def forward(self: __torch__.M, x: Tensor, n: Optional[int]) -> Tuple[Tensor, int, str]:
    _0 = uninitialized(int)
    _1 = __torch__.double
    if torch.__is__(n, None):
      ops.prim.RaiseException("no", "builtins.ValueError")
      m = _0
    else:
      m = unchecked_cast(int, n)
    c = self.c
    if torch.eq(c, __torch__.Color.RED):
      k = torch.add(m, 1)
    else:
      k = m
    p = __torch__.Point(k, CONSTANTS.c0)
    _2 = [annotate(Optional[Tensor], None), x]
    y = torch.index(_1(x, ), annotate(List[Optional[Tensor]], _2))
    f = fork(__torch__.double, y)
    _3 = annotate(List[float], x.tolist())
    z = torch.conv2d(x, p.t, None, [1], [0])
    a, b, = torch.max(torch.wait(f), 0)
    return (a, int(b), torch.format("{}", _3))
class Color(Enum):
  RED = 1
  BLUE = 2
class Point(NamedTuple):
  n : int
  t : Tensor
def double(x: Tensor) -> Tensor:
  return torch.mul(x, 2)
"#,
    );
    let constant = maker.tensor(&[1.0]);
    maker.archive.constants = vec![constant];
    let color = Item::Enum("__torch__.Color".into(), Box::new(Item::Int(2)));
    maker.archive.root = Some(maker.object("__torch__.M", vec![("c", color)]));
    let program = maker.load(&[]).unwrap();
    let HeapObject::Object(_, values) = &program.objects[program.root.unwrap()] else { panic!("the root is an object") };
    assert!(matches!(&values[0], Some(Initial::Enum(_, member)) if member == "BLUE"));
    let text = listing(&program, "__torch__.M.forward");
    for part in [
        "raise \"builtins.ValueError\"",
        "int = cast(v2)",
        "enum @__torch__.Color.RED",
        "aten::eq.enum",
        "tuple @__torch__.Point",
        "aten::index.Tensor",
        "Future[Tensor] = cast",
        "prim::tolist",
        "aten::max.dim",
        "aten::Int.Tensor",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let graph = &function(&program, "__torch__.M.forward").body;
    let calls = graph.nodes.values().filter(|n| matches!(n.op, Op::Call(_))).count();
    assert_eq!(calls, 2);
}
