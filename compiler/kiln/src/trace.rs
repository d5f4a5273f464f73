//! Makes a method give, beside its result, what each submodule's `forward` returned, in the order of execution.
//!
//! In: a typed program. Out: the same program in which every submodule's `forward` appends its result to a list that
//! exists before the first call, and for each method a wrapper that returns the method's result and that list, emptied
//! for the next call. Tensors are appended as copies: what is recorded stays as it was.

use kiln_graph::{Block, ClassKind, FuncId, Function, Graph, HeapObject, Literal, ObjectId, Op, Program, Type, Value};
use kiln_ops::table;
use kiln_support::Span;

/// A program under instrumentation.
struct Tracer<'p> {
    program: &'p mut Program,
    /// The list of results.
    log: ObjectId,
}

/// Instruments a program; gives one wrapper for each of `methods`, in their order.
pub fn instrument(program: &mut Program, methods: &[FuncId]) -> Vec<FuncId> {
    let log = program.objects.push(HeapObject::List(log_type(), Vec::new()));
    let mut tracer = Tracer { program, log };
    for func in tracer.submodule_forwards(methods) {
        tracer.record_result(func);
    }
    methods.iter().map(|&func| tracer.wrap(func)).collect()
}

fn log_type() -> Type {
    Type::list(Type::Any)
}

impl Tracer<'_> {
    /// The `forward`s that have a body, without the methods themselves.
    fn submodule_forwards(&self, methods: &[FuncId]) -> Vec<FuncId> {
        let modules = self.program.classes.values().filter(|class| class.kind == ClassKind::Module);
        let forwards = modules.filter_map(|class| class.method("forward")).filter(|func| !methods.contains(func));
        let mut forwards: Vec<FuncId> = forwards.filter(|&func| has_result(&self.program.funcs[func].body)).collect();
        forwards.sort_unstable();
        forwards.dedup();
        forwards
    }

    fn log(&self, graph: &mut Graph, block: Block) -> Value {
        graph.add_value(block, Op::ObjectRef(self.log), Vec::new(), log_type(), Span::NONE)
    }

    /// Appends a function's result to the log, before the function ends.
    fn record_result(&mut self, func: FuncId) {
        let mut graph = std::mem::take(&mut self.program.funcs[func].body);
        let block = graph.entry;
        let mut result = graph.blocks[block].yields[0];
        if graph.ty(result).is_tensor() {
            let format = graph.add_const(block, Literal::None, Type::None, Span::NONE);
            result = table_op(&mut graph, block, "aten::clone", vec![result, format], Type::TENSOR);
        }
        let log = self.log(&mut graph, block);
        table_op(&mut graph, block, "aten::append.t", vec![log, result], log_type());
        self.program.funcs[func].body = graph;
    }

    /// A function that calls another, and gives its result together with the log.
    fn wrap(&mut self, func: FuncId) -> FuncId {
        let inner = &self.program.funcs[func];
        let (params, result) = (inner.params.clone(), inner.returns.clone());
        let name = format!("{}.traced", inner.name);
        let mut graph = Graph::new();
        let block = graph.entry;
        let args: Vec<Value> = params.iter().map(|p| graph.add_param(block, p.ty.clone(), Some(&p.name))).collect();
        let returned = graph.add_value(block, Op::Call(func), args, result.clone(), Span::NONE);
        let log = self.log(&mut graph, block);
        let copy = table_op(&mut graph, block, "aten::list.t", vec![log], log_type());
        graph.add_node(block, Op::Table(table().get("aten::clear.t")), vec![log], Vec::new(), Span::NONE);
        let returns = Type::tuple([result, log_type()]);
        let both = graph.add_value(block, Op::Tuple(None), vec![returned, copy], returns.clone(), Span::NONE);
        graph.blocks[block].yields = vec![both];
        self.program.funcs.push(Function { name, params, returns, body: graph, span: Span::NONE })
    }
}

fn has_result(graph: &Graph) -> bool {
    !graph.blocks[graph.entry].diverges && graph.blocks[graph.entry].yields.len() == 1
}

fn table_op(graph: &mut Graph, block: Block, key: &str, args: Vec<Value>, ty: Type) -> Value {
    graph.add_value(block, Op::Table(table().get(key)), args, ty, Span::NONE)
}
