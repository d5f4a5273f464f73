//! Control flow: random programs of nested `if`, loops and early exits over ints must do as graphs what their
//! text says.
//!
//! The text is run by an interpreter of the syntax tree, the typed graph by an interpreter of graphs; both see
//! the same inputs. Goldens show the shape of the common cases.

use kiln_frontend::ast::{BinOp, CompareOp, Expr, ExprKind, FunctionDef, Item, Stmt, StmtKind};
use kiln_frontend::python::parse_module;
use kiln_graph::{Block, Graph, Literal, Op, Program, Value};
use kiln_support::SourceMap;
use kiln_typing::Source;
use std::collections::HashMap;
use std::fmt::Write;

/// What running a function gave.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Value(i64),
    Raised,
    /// Too many steps: says nothing.
    Endless,
}

const STEPS: u32 = 2000;

/// Runs the syntax tree.
struct TreeRunner {
    vars: HashMap<String, i64>,
    steps: u32,
}

enum Exit {
    Next,
    Break,
    Continue,
    Done(Outcome),
}

impl TreeRunner {
    fn run(def: &FunctionDef, args: &[i64]) -> Outcome {
        let vars = def.params.iter().map(|p| p.name.clone()).zip(args.iter().copied()).collect();
        match (TreeRunner { vars, steps: STEPS }).block(&def.body) {
            Exit::Done(outcome) => outcome,
            _ => panic!("every program ends with a return"),
        }
    }

    fn block(&mut self, stmts: &[Stmt]) -> Exit {
        for stmt in stmts {
            match self.stmt(stmt) {
                Exit::Next => {}
                exit => return exit,
            }
        }
        Exit::Next
    }

    fn stmt(&mut self, stmt: &Stmt) -> Exit {
        if self.steps == 0 {
            return Exit::Done(Outcome::Endless);
        }
        self.steps -= 1;
        match &stmt.kind {
            StmtKind::Assign { targets, value: Some(value), .. } => self.set(&targets[0], value),
            StmtKind::Return(Some(value)) => return Exit::Done(Outcome::Value(self.expr(value))),
            StmtKind::If { test, body, orelse } => {
                return if self.expr(test) != 0 { self.block(body) } else { self.block(orelse) };
            }
            StmtKind::While { test, body } => {
                while self.expr(test) != 0 {
                    match self.block(body) {
                        Exit::Break => break,
                        Exit::Done(outcome) => return Exit::Done(outcome),
                        _ => {}
                    }
                }
            }
            StmtKind::For { target, iter, body } => {
                let items: Box<dyn Iterator<Item = i64>> = match &iter.kind {
                    ExprKind::Call { args, .. } => Box::new(0..self.expr(&args[0])),
                    ExprKind::Tuple(elems) => Box::new(elems.iter().map(|e| self.expr(e)).collect::<Vec<_>>().into_iter()),
                    _ => panic!("loops go over ranges and tuples"),
                };
                for i in items {
                    let ExprKind::Name(name) = &target.kind else { panic!("targets are names") };
                    self.vars.insert(name.clone(), i);
                    match self.block(body) {
                        Exit::Break => break,
                        Exit::Done(outcome) => return Exit::Done(outcome),
                        _ => {}
                    }
                }
            }
            StmtKind::Raise(_) => return Exit::Done(Outcome::Raised),
            StmtKind::Break => return Exit::Break,
            StmtKind::Continue => return Exit::Continue,
            _ => {}
        }
        Exit::Next
    }

    fn set(&mut self, target: &Expr, value: &Expr) {
        let value = self.expr(value);
        let ExprKind::Name(name) = &target.kind else { panic!("targets are names") };
        self.vars.insert(name.clone(), value);
    }

    fn expr(&mut self, expr: &Expr) -> i64 {
        match &expr.kind {
            ExprKind::Int(i) => *i,
            ExprKind::Name(name) => self.vars[name],
            ExprKind::Binary { op, left, right } => {
                let (a, b) = (self.expr(left), self.expr(right));
                if *op == BinOp::Add { a.wrapping_add(b) } else { a.wrapping_sub(b) }
            }
            ExprKind::Compare { left, rest } => {
                let (a, b) = (self.expr(left), self.expr(&rest[0].1));
                i64::from(match rest[0].0 {
                    CompareOp::Lt => a < b,
                    _ => a == b,
                })
            }
            ExprKind::BoolOp { is_and, values } => {
                let (a, b) = (self.expr(&values[0]) != 0, self.expr(&values[1]) != 0);
                i64::from(if *is_and { a && b } else { a || b })
            }
            other => panic!("not generated: {other:?}"),
        }
    }
}

/// Runs a graph whose values are ints and bools.
struct GraphRunner<'g> {
    graph: &'g Graph,
    values: HashMap<Value, i64>,
    steps: u32,
}

impl GraphRunner<'_> {
    fn run(graph: &Graph, args: &[i64]) -> Outcome {
        let values = graph.blocks[graph.entry].params.iter().copied().zip(args.iter().copied()).collect();
        match (GraphRunner { graph, values, steps: 100 * STEPS }).block(graph.entry) {
            Ok(yields) => Outcome::Value(yields[0]),
            Err(outcome) => outcome,
        }
    }

    fn block(&mut self, block: Block) -> Result<Vec<i64>, Outcome> {
        let data = &self.graph.blocks[block];
        for &node in &data.nodes {
            if self.steps == 0 {
                return Err(Outcome::Endless);
            }
            self.steps -= 1;
            let node = &self.graph.nodes[node];
            let args: Vec<i64> = node.args.iter().map(|v| self.values.get(v).copied().unwrap_or(i64::MIN)).collect();
            let results = match &node.op {
                Op::If => self.block(node.blocks[usize::from(args[0] == 0)])?,
                Op::Loop => self.run_loop(node.blocks[0], &args)?,
                Op::Raise(_) => return Err(Outcome::Raised),
                op => vec![apply(op, &args)],
            };
            for (&result, value) in node.results.iter().zip(results) {
                self.values.insert(result, value);
            }
        }
        assert!(!data.diverges, "a block that diverges was left at its end");
        Ok(data.yields.iter().map(|v| self.values[v]).collect())
    }

    fn run_loop(&mut self, body: Block, args: &[i64]) -> Result<Vec<i64>, Outcome> {
        let (trips, mut go_on, mut carried) = (args[0], args[1], args[2..].to_vec());
        let mut i = 0;
        while i < trips && go_on != 0 {
            let params = &self.graph.blocks[body].params;
            let values: Vec<i64> = std::iter::once(i).chain(carried.iter().copied()).collect();
            for (&param, value) in params.iter().zip(values) {
                self.values.insert(param, value);
            }
            let mut yields = self.block(body)?;
            go_on = yields.remove(0);
            carried = yields;
            i += 1;
        }
        Ok(carried)
    }
}

fn apply(op: &Op, args: &[i64]) -> i64 {
    match op {
        Op::Const(Literal::Int(i)) => *i,
        Op::Const(Literal::Bool(b)) => i64::from(*b),
        // Whatever is read of it must not matter.
        Op::Uninit | Op::Const(_) => -999_999,
        Op::Annotate | Op::Cast => args[0],
        // Unrolled loops take the elements themselves.
        Op::Tuple(_) => -999_999,
        Op::Table(id) => match kiln_ops::table().key(*id) {
            "aten::add.int" => args[0].wrapping_add(args[1]),
            "aten::sub.int" => args[0].wrapping_sub(args[1]),
            "aten::lt.int" => i64::from(args[0] < args[1]),
            "aten::eq.int" => i64::from(args[0] == args[1]),
            "aten::__not__" => i64::from(args[0] == 0),
            other => panic!("not generated: {other}"),
        },
        other => panic!("not generated: {other:?}"),
    }
}

/// Writes random programs.
struct Generator {
    state: u64,
    text: String,
    budget: u32,
}

impl Generator {
    fn pick(&mut self, n: u64) -> u64 {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) % n
    }

    fn operand(&mut self) -> String {
        match self.pick(4) {
            0 => "a".into(),
            1 => "b".into(),
            2 => "x".into(),
            _ => self.pick(4).to_string(),
        }
    }

    fn test(&mut self) -> String {
        let (left, right, op) = (self.operand(), self.operand(), ["<", "=="][self.pick(2) as usize]);
        let simple = format!("{left} {op} {right}");
        match self.pick(5) {
            0 => format!("({simple}) and ({})", self.test()),
            1 => format!("({simple}) or ({})", self.test()),
            _ => simple,
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.text, "{}{text}", "    ".repeat(depth));
    }

    fn block(&mut self, depth: usize, in_loop: bool) {
        for _ in 0..1 + self.pick(3) {
            self.stmt(depth, in_loop);
        }
    }

    fn stmt(&mut self, depth: usize, in_loop: bool) {
        if self.budget == 0 || depth > 5 {
            return self.line(depth, "x = x + 1");
        }
        self.budget -= 1;
        match self.pick(12) {
            0..=3 => {
                let test = self.test();
                self.line(depth, &format!("if {test}:"));
                self.block(depth + 1, in_loop);
                if self.pick(2) == 0 {
                    self.line(depth, "else:");
                    self.block(depth + 1, in_loop);
                }
            }
            4 => {
                let stop = self.operand();
                let name = ["i", "j", "x"][self.pick(3) as usize];
                self.line(depth, &format!("for {name} in range({stop}):"));
                self.block(depth + 1, true);
            }
            5 => {
                let test = self.test();
                self.line(depth, &format!("while {test}:"));
                self.line(depth + 1, "a = a + 1");
                self.block(depth + 1, true);
            }
            6 if in_loop => self.line(depth, "break"),
            7 if in_loop => self.line(depth, "continue"),
            8 => {
                let value = self.operand();
                self.line(depth, &format!("return {value} + 1"));
            }
            9 if self.pick(2) == 0 => {
                let (one, two) = (self.operand(), self.operand());
                self.line(depth, &format!("for y in ({one}, {two}):"));
                self.line(depth + 1, "x = x + y");
                self.block(depth + 1, false);
            }
            10 if self.pick(4) == 0 => self.line(depth, "raise ValueError('no')"),
            _ => {
                let (name, left, right) = (["a", "b", "x"][self.pick(3) as usize], self.operand(), self.operand());
                let op = ["+", "-"][self.pick(2) as usize];
                self.line(depth, &format!("{name} = {left} {op} {right}"));
            }
        }
    }
}

fn typed(text: &str) -> (FunctionDef, Program, kiln_graph::FuncId) {
    let mut sources = SourceMap::default();
    let file = sources.add("test.py", text);
    let module = parse_module(&sources, file).expect("the program parses");
    let Item::Function(def) = module.items[0].clone() else { panic!("the first item is the function") };
    let mut source = Source::new(module, "test");
    let mut program = Program::default();
    let id = source.function("f", &mut program).unwrap_or_else(|errors| {
        let shown: String = errors.iter().map(|e| e.render(&sources, false)).collect();
        panic!("{shown}\n{text}")
    });
    (def, program, id)
}

#[test]
fn random_programs_do_what_they_say() {
    let mut compared = 0;
    for seed in 0..1500 {
        let mut generator = Generator { state: seed * 7919 + 1, text: String::new(), budget: 24 };
        // With and without a written result type.
        let returns = if seed % 2 == 0 { " -> int" } else { "" };
        generator.line(0, &format!("def f(a: int, b: int){returns}:"));
        generator.line(1, "x = 0");
        for _ in 0..4 {
            generator.stmt(1, false);
        }
        generator.line(1, "return x");
        let (def, program, id) = typed(&generator.text);
        let graph = &program.funcs[id].body;
        kiln_graph::verify::verify(graph).unwrap_or_else(|e| panic!("{e}\n{}", generator.text));
        kiln_typing::check_types(graph, &program).unwrap_or_else(|e| panic!("{e}\n{}", generator.text));
        for args in [[0, 0], [1, 3], [3, 1], [2, 2], [5, -1]] {
            let wanted = TreeRunner::run(&def, &args);
            if wanted != Outcome::Endless {
                assert_eq!(GraphRunner::run(graph, &args), wanted, "f{args:?} of seed {seed}\n{}", generator.text);
                compared += 1;
            }
        }
    }
    assert!(compared > 4000, "only {compared} runs ended");
}

/// Compares a function's graph with its listing.
fn golden(text: &str, expected: &str) {
    let (_, program, id) = typed(text);
    let listing = kiln_graph::write::write_graph(&program.funcs[id].body, &program, kiln_ops::table());
    assert_eq!(listing.trim(), expected.trim(), "\n{listing}");
}

#[test]
fn early_return_needs_no_flag() {
    golden(
        "
def f(a: int) -> int:
    if a < 0:
        return 0
    b = a + 1
    return b
",
        "
graph(v0: int) {
  v1: int = const 0
  v2: bool = aten::lt.int(v0, v1)
  v6: int = if(v2) {
    v3: int = const 0
    yield v3
  } else {
    v4: int = const 1
    v5: int = aten::add.int(v0, v4)
    yield v5
  }
  yield v6
}
",
    );
}

#[test]
fn a_loop_carries_what_it_assigns() {
    golden(
        "
def f(n: int) -> int:
    total = 0
    for i in range(n):
        if i == 3:
            continue
        total = total + i
    return total
",
        "
graph(v0: int) {
  v1: int = const 0
  v2: bool = const true
  v13: int = loop(v0, v2, v1) { |v3: int, v4: int|
    v5: int = const 3
    v6: bool = aten::eq.int(v3, v5)
    v10: int, v11: bool = if(v6) {
      v8: bool = const true
      yield v4, v8
    } else {
      v7: int = aten::add.int(v4, v3)
      v9: bool = const false
      yield v7, v9
    }
    v12: bool = const true
    yield v12, v10
  }
  yield v13
}
",
    );
}

#[test]
fn a_branch_that_raises_defines_nothing() {
    golden(
        "
def f(c: bool) -> int:
    if c:
        x = 1
    else:
        raise ValueError('no')
    return x
",
        "
graph(v0: bool) {
  v3: int = if(v0) {
    v1: int = const 1
    yield v1
  } else {
    v2: str = const \"no\"
    raise \"builtins.ValueError\" (v2)
    unreachable
  }
  yield v3
}
",
    );
}
