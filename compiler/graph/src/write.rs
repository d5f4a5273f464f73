//! The text form of graphs: one node per line, nested blocks indented.
//!
//! ```text
//! graph(v0: f32[1, 8]) {
//!   v1: int = const 1
//!   v2: f32[1, 8] = aten::add.Tensor(v0, v0, v1)
//!   yield v2
//! }
//! ```

use crate::{Block, Graph, Node, Op, OpId, Program, Type, Value};
use std::fmt::Write;

/// Gives operators their names.
pub trait OpNames {
    /// Qualified name with overload, such as `aten::add.Tensor`.
    fn op_name(&self, op: OpId) -> String;
}

/// Writes a graph.
pub fn write_graph(graph: &Graph, program: &Program, names: &dyn OpNames) -> String {
    let mut writer = Writer { graph, program, names, out: String::new() };
    writer.out.push_str("graph(");
    writer.params(graph.entry);
    writer.out.push_str(") {\n");
    writer.block(graph.entry, 1);
    writer.out.push_str("}\n");
    writer.out
}

struct Writer<'a> {
    graph: &'a Graph,
    program: &'a Program,
    names: &'a dyn OpNames,
    out: String,
}

impl Writer<'_> {
    fn params(&mut self, block: Block) {
        let params = self.graph.blocks[block].params.clone();
        self.typed_values(&params);
    }

    fn typed_values(&mut self, values: &[Value]) {
        for (i, &value) in values.iter().enumerate() {
            let ty = self.graph.ty(value).display(self.program);
            let _ = write!(self.out, "{}{value}: {ty}", if i > 0 { ", " } else { "" });
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.push_str(&"  ".repeat(depth));
    }

    fn block(&mut self, block: Block, depth: usize) {
        for &node in &self.graph.blocks[block].nodes {
            self.node(node, depth);
        }
        self.indent(depth);
        let data = &self.graph.blocks[block];
        if data.diverges {
            self.out.push_str("unreachable\n");
            return;
        }
        let yields: Vec<String> = data.yields.iter().map(Value::to_string).collect();
        let _ = writeln!(self.out, "{}", format!("yield {}", yields.join(", ")).trim_end());
    }

    fn node(&mut self, node: Node, depth: usize) {
        let data = &self.graph.nodes[node];
        self.indent(depth);
        self.typed_values(&data.results);
        if !data.results.is_empty() {
            self.out.push_str(" = ");
        }
        let args: Vec<String> = data.args.iter().map(Value::to_string).collect();
        let name = self.op(&data.op);
        match data.op {
            Op::Const(_) => self.out.push_str(&name),
            _ => {
                let _ = write!(self.out, "{name}({})", args.join(", "));
            }
        }
        for (i, &block) in data.blocks.iter().enumerate() {
            self.out.push_str(if i == 0 { " {" } else { " else {" });
            if !self.graph.blocks[block].params.is_empty() {
                self.out.push_str(" |");
                self.params(block);
                self.out.push('|');
            }
            self.out.push('\n');
            self.block(block, depth + 1);
            self.indent(depth);
            self.out.push('}');
        }
        self.out.push('\n');
    }

    fn types(&self, types: &[Type]) -> String {
        types.iter().map(|t| t.display(self.program).to_string()).collect::<Vec<_>>().join(", ")
    }

    fn op(&self, op: &Op) -> String {
        let func = |id: crate::FuncId| self.program.funcs[id].name.as_str();
        let class = |id: crate::ClassId| self.program.classes[id].name.as_str();
        match op {
            Op::Const(literal) => format!("const {literal}"),
            Op::Table(op) => self.names.op_name(*op),
            Op::Call(id) => format!("call @{}", func(*id)),
            Op::CallMethod(name) => format!("call_method .{name}"),
            Op::If => "if".into(),
            Op::Loop => "loop".into(),
            Op::Tuple(None) => "tuple".into(),
            Op::Tuple(Some(id)) => format!("tuple @{}", class(*id)),
            Op::TupleGet(at) => format!("tuple_get {at} "),
            Op::List => "list".into(),
            Op::Dict => "dict".into(),
            Op::ListUnpack => "list_unpack".into(),
            Op::New(id) => format!("new @{}", class(*id)),
            Op::GetAttr(name) => format!("get_attr {name:?} "),
            Op::SetAttr(name) => format!("set_attr {name:?} "),
            Op::EnumValue(id, member) => format!("enum @{}.{member}", class(*id)),
            Op::Cast => "cast".into(),
            Op::Annotate => "annotate".into(),
            Op::IsInstance(types) => format!("is_instance [{}] ", self.types(types)),
            Op::Uninit => "uninit".into(),
            Op::FunctionRef(id) => format!("function @{}", func(*id)),
            Op::ObjectRef(id) => format!("object {id}"),
            Op::Raise(class) => format!("raise {class:?} "),
            Op::Print => "print".into(),
            Op::StateLoad(id) => format!("state_load {id}"),
            Op::StateStore(id) => format!("state_store {id} "),
            Op::WriteView(op) => format!("write_view {} ", self.names.op_name(*op)),
            Op::Box => "box".into(),
            Op::Unbox => "unbox".into(),
            Op::Unwrap => "unwrap".into(),
            Op::Wrap => "wrap".into(),
        }
    }
}
