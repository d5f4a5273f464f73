//! The text form of plans, for `kiln inspect --stage loops` and golden tests.

use crate::kernels::Scheduled;
use kiln_loops::plan::{Access, Data, Method, Operand, Plan, ScalarOp, Stmt};
use kiln_loops::write::write_compute;
use kiln_support::EntityId;
use std::fmt::Write;

/// Writes a whole plan: methods, then computations, kernels and data.
pub fn write_plan(plan: &Plan<Scheduled>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "arena {} bytes, {} state slots", plan.arena_bytes, plan.state_slots);
    for method in plan.bodies() {
        out.push('\n');
        out.push_str(&write_method(method, plan));
    }
    for (id, compute) in plan.computes.iter() {
        let _ = write!(out, "\n{id}: {}", write_compute(compute));
    }
    for (id, kernel) in plan.kernels.iter() {
        let _ = writeln!(out, "\n{id}: {} {:?}", kernel.kernel.name, kernel.desc);
    }
    for (id, data) in plan.data.iter() {
        let _ = write!(out, "\n{id}: {}", describe_data(data));
    }
    out.push('\n');
    out
}

fn describe_data(data: &Data) -> String {
    let text = std::str::from_utf8(&data.bytes).ok().filter(|t| data.align == 1 && t.len() < 200);
    match text {
        Some(text) => format!("{} {text:?}", data.name),
        None => format!("{}, {} bytes, {} relocations", data.name, data.bytes.len(), data.relocations.len()),
    }
}

/// Writes a method.
pub fn write_method<K>(method: &Method, plan: &Plan<K>) -> String {
    let params: Vec<String> = method.params.iter().map(|p| format!("{}: {:?}", p.name, p.ty)).collect();
    let mut out = format!("method {}({}) -> {:?}\n", method.name, params.join(", "), method.result);
    Writer { out: &mut out, plan }.statements(&method.body, 1);
    out
}

struct Writer<'a, K> {
    out: &'a mut String,
    plan: &'a Plan<K>,
}

impl<K> Writer<'_, K> {
    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.out, "{}{text}", "  ".repeat(depth));
    }

    fn statements(&mut self, body: &[Stmt], depth: usize) {
        for stmt in body {
            self.statement(stmt, depth);
        }
    }

    fn statement(&mut self, stmt: &Stmt, depth: usize) {
        match stmt {
            Stmt::Scalar { dst, op, args } => self.line(depth, &format!("{dst} = {}", scalar(op, args))),
            Stmt::Load { dst, base, offset, access } => {
                self.line(depth, &format!("{dst} = load {} [{} + {offset}]", access_name(*access), operand(*base)));
            }
            Stmt::Store { base, offset, value, access } => {
                self.line(
                    depth,
                    &format!("store {} [{} + {offset}] = {}", access_name(*access), operand(*base), operand(*value)),
                );
            }
            Stmt::Compute { id, outputs, inputs, params, .. } => {
                let name = &self.plan.computes[*id].name;
                let params = if params.is_empty() { String::new() } else { format!(" with {}", list(params)) };
                self.line(depth, &format!("{} = {id} {name}({}){params}", list(outputs), list(inputs)));
            }
            Stmt::Kernel { id, args, split } => {
                let parts = split.map_or(String::new(), |split| format!(" in {} parts", split.parts));
                self.line(depth, &format!("{id}({}){parts}", list(args)));
            }
            Stmt::Runtime { name, args, result, fallible } => {
                let result = result.map_or(String::new(), |r| format!("{r} = "));
                self.line(depth, &format!("{result}{name}({}){}", list(args), if *fallible { "?" } else { "" }));
            }
            Stmt::CopyBytes { to, from, bytes } => {
                self.line(depth, &format!("copy {} <- {}, {} bytes", operand(*to), operand(*from), operand(*bytes)));
            }
            Stmt::ZeroBytes { to, bytes } => self.line(depth, &format!("zero {}, {} bytes", operand(*to), operand(*bytes))),
            Stmt::If { test, then, orelse } => self.conditional(*test, then, orelse, depth),
            Stmt::Loop { body } => {
                self.line(depth, "loop {");
                self.statements(body, depth + 1);
                self.line(depth, "}");
            }
            Stmt::Parallel { index, count, body } => {
                self.line(depth, &format!("parallel {index} < {} {{", operand(*count)));
                self.statements(body, depth + 1);
                self.line(depth, "}");
            }
            Stmt::Break => self.line(depth, "break"),
            Stmt::Raise { text } => self.line(depth, &format!("raise {}", self.text(*text))),
            Stmt::Fail { status, text } => {
                let text = text.map_or(String::new(), |t| self.text(t));
                self.line(depth, &format!("fail {status} {text}"));
            }
            Stmt::Return => self.line(depth, "return"),
            Stmt::At(_) | Stmt::Mark(_) => {}
        }
    }

    fn conditional(&mut self, test: Operand, then: &[Stmt], orelse: &[Stmt], depth: usize) {
        let (negation, first, second) = if then.is_empty() { ("not ", orelse, then) } else { ("", then, orelse) };
        self.line(depth, &format!("if {negation}{} {{", operand(test)));
        self.statements(first, depth + 1);
        if !second.is_empty() {
            self.line(depth, "} else {");
            self.statements(second, depth + 1);
        }
        self.line(depth, "}");
    }

    fn text(&self, id: kiln_loops::plan::DataId) -> String {
        let bytes = &self.plan.data[id].bytes;
        format!("{:?}", String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)))
    }
}

fn list(operands: &[Operand]) -> String {
    operands.iter().map(|&o| operand(o)).collect::<Vec<_>>().join(", ")
}

fn operand(operand: Operand) -> String {
    match operand {
        Operand::Local(local) => local.to_string(),
        Operand::Int(i) => i.to_string(),
        Operand::F32(f) => format!("{f:?}f"),
        Operand::F64(f) => format!("{f:?}"),
        Operand::Bool(b) => b.to_string(),
        Operand::Context => "ctx".into(),
        Operand::Args => "args".into(),
        Operand::Result => "result".into(),
        Operand::Data(id, 0) => id.to_string(),
        Operand::Data(id, offset) => format!("{id}+{offset}"),
        Operand::Arena(offset) => format!("arena+{offset}"),
        Operand::State(slot) => format!("state{slot}"),
        Operand::Slot(slot, offset) => format!("slot{}+{offset}", slot.index()),
    }
}

fn scalar(op: &ScalarOp, args: &[Operand]) -> String {
    match op {
        ScalarOp::Copy => operand(args[0]),
        ScalarOp::Unary(op) => format!("{op:?}({})", list(args)),
        ScalarOp::Binary(op) => format!("{op:?}({})", list(args)),
        ScalarOp::Math(op) => format!("{}({})", op.0, list(args)),
        ScalarOp::Cast(dtype) => format!("{dtype}({})", list(args)),
        other => format!("{other:?}({})", list(args)),
    }
}

fn access_name(access: Access) -> String {
    match access {
        Access::Element(dtype) => dtype.to_string(),
        Access::Word => "word".into(),
        Access::Half => "half".into(),
    }
}
