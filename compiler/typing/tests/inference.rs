//! Inference tests: small sources with the expected types and errors beside the lines.
//!
//! `print(x, y)  # type: int, Tensor` expects the static types of what is printed; `# error: [code]` expects a
//! diagnostic of that code on that line. Every function of a source is typed, its graph verified and checked
//! against the operator table.

use kiln_frontend::python::parse_module;
use kiln_graph::{Op, Program};
use kiln_support::{Diagnostic, SourceMap};
use kiln_typing::Source;
use std::collections::BTreeMap;

/// Types all functions of a source and compares with its comments.
fn check(text: &str) {
    let mut sources = SourceMap::default();
    let file = sources.add("test.py", text);
    let module = parse_module(&sources, file).unwrap_or_else(|e| panic!("{}", render(&e, &sources)));
    let mut source = Source::new(module, "test");
    let names: Vec<String> = source.names().map(str::to_owned).collect();
    let mut program = Program::default();
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for name in names {
        if let Err(errors) = source.function(&name, &mut program) {
            for error in errors {
                let line = error.labels.first().map_or(0, |label| sources.line_column(label.span).0);
                let notes = found.entry(line).or_default();
                let shown = format!("error: [{}]", error.code);
                if !notes.contains(&shown) {
                    notes.push(shown);
                }
                // An unexpected error is worth its whole text.
                if !text.lines().nth(line.saturating_sub(1) as usize).is_some_and(|l| l.contains("# error:")) {
                    eprintln!("{}", error.render(&sources, false));
                }
            }
        }
    }
    for function in program.funcs.values() {
        let graph = &function.body;
        kiln_graph::verify::verify(graph).unwrap_or_else(|e| panic!("{}: {e}", function.name));
        kiln_typing::check_types(graph, &program).unwrap_or_else(|e| panic!("{}: {e}", function.name));
        graph.visit(graph.entry, &mut |_, node| {
            let data = &graph.nodes[node];
            if data.op == Op::Print {
                let types: Vec<String> = data.args.iter().map(|&v| graph.ty(v).display(&program).to_string()).collect();
                let line = sources.line_column(data.span).0;
                found.entry(line).or_default().push(format!("type: {}", types.join(", ")));
            }
        });
    }
    let mut expected: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (i, line) in text.lines().enumerate() {
        for mark in ["# type: ", "# error: "] {
            if let Some(at) = line.find(mark).filter(|_| !line.contains("->")) {
                expected.entry(i as u32 + 1).or_default().push(line[at + 2..].trim().to_owned());
            }
        }
    }
    assert_eq!(found, expected, "in\n{text}");
}

fn render(errors: &[Diagnostic], sources: &SourceMap) -> String {
    errors.iter().map(|e| e.render(sources, false)).collect()
}

#[test]
fn literals_and_operators() {
    check(
        "
import torch
import math
def f(x, n: int, s: str, y: float):
    print(n + 1, n / 2, n // 2, n ** 2, -n)  # type: int, float, int, float, int
    print(n * y, n < y, not n, s + 'a')  # type: float, bool, bool, str
    print(x + 1, 1 + x, 2 - x, 1 / x, x < 1, 1 < x)  # type: Tensor, Tensor, Tensor, Tensor, Tensor, Tensor
    print([1, 2], [1.0], (1, 'a'), {'a': 1}, [])  # type: List[int], List[float], Tuple[int, str], Dict[str, int], List[Tensor]
    print(math.sqrt(y), math.floor(y), math.pi, 2j)  # type: float, int, float, complex
    print(1 if n > 0 else 2, n > 0 and y > 1.0, 0 < n < 5)  # type: int, bool, bool
    print(f'a {n} b', '{} {}'.format(n, y), '%d' % n)  # type: str, str, str
    print(n in [1, 2], 'a' not in {'a': 1}, 'a' in s, (1, s) + (y,))  # type: bool, bool, bool, Tuple[int, str, float]
    return x
",
    );
}

#[test]
fn tensor_methods_and_properties() {
    check(
        "
import torch
import torch.nn.functional as F
def f(x):
    print(x.shape, x.size(0), x.dim(), x.dtype, x.device, x.T, x.ndim)  # type: List[int], int, int, int, Device, Tensor, int
    print(x.view(1, -1), x.sum(), x.sum(1), x.long(), x.item())  # type: Tensor, Tensor, Tensor, Tensor, number
    print(torch.zeros(2, 3), torch.zeros([2, 3], dtype=torch.float64))  # type: Tensor, Tensor
    print(torch.max(x, 0), torch.max(x, 0).values, x.max(1)[1])  # type: Tuple[Tensor, Tensor], Tensor, Tensor
    print(F.relu(x), F.softmax(x, dim=1), F.conv2d(x, x, stride=2))  # type: Tensor, Tensor, Tensor
    print(int(x), float(x), bool(x), str(x), len(x))  # type: int, float, bool, str, int
    print(torch.linalg.norm(x), torch.special.erf(x), torch.fft.fft(x))  # type: Tensor, Tensor, Tensor
    values: list[float] = x.tolist()
    print(values, torch.cat([x, x], 1), torch.stack((x, x)))  # type: List[float], Tensor, Tensor
    print(torch.ops.aten.add(x, x), torch.ops.aten.sum.dim_IntList(x, [0]), F.softmax(x, 1, 3, torch.float64))  # type: Tensor, Tensor, Tensor
    a, b = x.chunk(2)
    print(a, b, x.chunk(2))  # type: Tensor, Tensor, List[Tensor]
    return torch.device('cpu')
",
    );
}

#[test]
fn subscripts() {
    check(
        "
import torch
from typing import List, Dict, Tuple
def f(x, i: int, xs: List[int], d: Dict[str, float], t: Tuple[int, str, float], s: str):
    print(x[0], x[0, 1:], x[..., None], x[x > 0], x[:, [0, 1]], x[i:, ::2])  # type: Tensor, Tensor, Tensor, Tensor, Tensor, Tensor
    print(xs[i], xs[1:], d['a'], t[0], t[-1], t[1:], s[0], s[1:])  # type: int, List[int], float, int, float, Tuple[str, float], str, str
    x[0] = 1
    x[1:3, None] = x
    x[x > 0] = 0.5
    x[0] += 1
    xs[i] += 1
    d['b'] = 2.0
    del d['b']
    return x

def e(i: int, t: Tuple[int, str]):
    return (t[i],)  # error: [unknown-index]

def g(x):
    return x[True]  # error: [bad-index]

def h(t: Tuple[int, int]):
    return t[2]  # error: [index-out-of-range]
",
    );
}

#[test]
fn optional_is_refined() {
    check(
        "
from typing import Optional, Union, Any, List
def f(x: Optional[int], y: Optional[int], z: Union[int, str], a: Any):
    if x is None:
        print(x)  # type: NoneType
    else:
        print(x)  # type: int
    if x is not None and y is not None:
        print(x + y)  # type: int
    if x is None or y is None:
        return 0
    print(x, y)  # type: int, int
    if isinstance(z, int):
        print(z)  # type: int
    else:
        print(z)  # type: str
    if isinstance(a, (int, float)):
        print(a)  # type: Union[int, float]
    return x

def g(x: Optional[int]):
    assert x is not None
    print(x)  # type: int
    return x

def h(x: Optional[int]):
    if x is None:
        raise ValueError('none')
    print(x)  # type: int
    y = x if x is not None else 1
    print(y)  # type: int
    return y

def i(x: Optional[int]):
    while True:
        if x is None:
            break
        print(x)  # type: int
    print(x)  # type: Optional[int]
    return x

def k(x: Optional[int]):
    return x + 1  # error: [no-overload]

def j(x: int):
    if x is None:
        undefined_name_in_dead_code()
    return x
",
    );
}

#[test]
fn variables_and_branches() {
    check(
        "
from typing import List, Optional
def f(c: bool, x):
    if c:
        y = 1
    else:
        y = 2
    print(y)  # type: int
    return y

def f2(c: bool):
    if c:
        z = 1
    return z  # error: [unusable-name]

def g(c: bool):
    if c:
        z = 1
    else:
        raise RuntimeError('no')
    print(z)  # type: int
    x: Optional[int] = None
    if c:
        x = 3
    print(x)  # type: Optional[int]
    return x

def h(c: bool):
    y = 1
    if c:
        y = 'a'  # error: [changed-type]
    return y

def i(c: bool):
    y = 1
    print(y)  # type: int
    y = 'a'
    print(y)  # type: str
    if c:
        return 0
    y = 2.0
    print(y)  # type: float
    return 1

def j(c: bool):
    if c:
        y = 1
    else:
        y = 'a'
    return y  # error: [unusable-name]
",
    );
}

#[test]
fn loops() {
    check(
        "
from typing import List, Dict, Tuple
def f(x, xs: List[float], d: Dict[str, int], t: Tuple[int, str], n: int):
    total = 0.0
    for v in xs:
        total += v
    for i in range(n):
        print(i)  # type: int
    for i in range(1, n, 2):
        total = total + i
    for k in d:
        print(k, d[k])  # type: str, int
    for k, v2 in d.items():
        print(k, v2)  # type: str, int
    for row in x:
        print(row)  # type: Tensor
    for item in t:
        print(item)  # type: int
        # the second turn is a str
    for i, v in enumerate(xs):
        print(i, v)  # type: int, float
    for a, (b, c) in zip(xs, zip(xs, range(n))):
        print(a, b, c)  # type: float, float, int
    while total < 10.0:
        total += 1.0
        if total > 5.0:
            continue
        if total > 8.0:
            break
        return x
    print([v + 1 for v in xs if v > 0.0], {str(i): i for i in range(3)})  # type: List[float], Dict[str, int]
    print(list(range(n)), [i for i in range(n)], sorted(xs), sum(xs), min(xs))  # type: List[int], List[int], List[float], float, float
    return x

def g(n: int):
    x = 1
    for i in range(n):
        x = 'a'  # error: [changed-type]
    return x

def h(n: int):
    for i in range(n):
        y = i
    return y  # error: [unknown-name]

def i():
    break  # error: [exit-outside-loop]
"
        .replace("        print(item)  # type: int\n        # the second turn is a str\n", "        total += 1\n")
        .as_str(),
    );
}

#[test]
fn functions_call_each_other() {
    check(
        "
from typing import List, Optional
def helper(x, n: int = 2, *, flag: bool = False):
    return n if flag else n + 1

def f(x):
    print(helper(x), helper(x, 3), helper(x, flag=True), helper(n=1, x=x))  # type: int, int, int, int
    return x

def f2(x):
    return helper(x, y=1)  # error: [bad-arguments]

def fact(n: int) -> int:
    return 1 if n < 2 else n * fact(n - 1)

def loop(n: int):
    return loop(n)  # error: [recursive-function]

def g(n):
    # type: (int) -> int
    print(n, fact(n))  # type: int, int
    return n

def early(n: int) -> Optional[int]:
    for i in range(n):
        for j in range(i):
            if j == 3:
                return j
    return None
",
    );
}

#[test]
fn classes_named_tuples_and_enums() {
    check(
        "
from typing import NamedTuple, List
from enum import Enum
class Color(Enum):
    RED = 1
    GREEN = 2

class Point(NamedTuple):
    x: int
    y: float = 1.0

class Counter:
    def __init__(self, start: int):
        self.n = start
        self.names: List[str] = []

    def add(self, k: int) -> int:
        self.n += k
        return self.n

    def __len__(self) -> int:
        return self.n

    def __add__(self, other: int) -> int:
        return self.n + other

def f(x):
    p = Point(1)
    print(p, p.x, p[1], Point(y=2.0, x=3).y)  # type: test.Point, int, float, float
    a, b = p
    print(a, b, Color.RED, Color.RED.value, Color.GREEN.name)  # type: int, float, test.Color, int, str
    print(Color.RED == Color.GREEN)  # type: bool
    c = Counter(3)
    c.n = 4
    print(c, c.add(1), len(c), c + 1, c.names)  # type: test.Counter, int, int, int, List[str]
    return x

def g(c: Counter):
    c.m = 1  # error: [no-attribute]
    y = c.k  # error: [no-attribute]
    return y
",
    );
}

#[test]
fn unknown_names_and_operators() {
    check(
        "
import torch
def f(x):
    return torch.sotfmax(x)  # error: [unknown-operator]

def g(x):
    return x.nothing_like_this()  # error: [no-attribute]

def h(x):
    return undefined  # error: [unknown-name]

def both(x):
    y = torch.sotfmax(x)  # error: [unknown-operator]
    z = torch.rleu(y)  # error: [unknown-operator]
    return y + z

def calls(x):
    return both(x)

def i(x):
    return torch.dropout(x, 'a', True)  # error: [no-overload]

def j(x):
    return torch.nn.functional.embedding(x, x)  # error: [unknown-operator]
",
    );
}
