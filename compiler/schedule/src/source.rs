//! From operators' element functions to computations.
//!
//! A [`Builder`] makes one [`Compute`]. It asks the element function of the operator for the element at
//! the output axes; that function asks for elements of its arguments; an argument that is *inlined*
//! answers with its own operator's expression at that index, any other with a load. So fusion is nothing
//! but the choice of what is inlined.

use crate::facts;
use kiln_graph::{Dim, Graph, Node, Op, OpId, TensorType, Value};
use kiln_loops::{Compute, Expr, ExprData, Extent, Input, Kind, Output, Scalar, Scatter};
use kiln_ops::{Body, Element, ElementSource, Fact};
use std::collections::HashMap;
use std::rc::Rc;

/// Facts of a node's operands, and types of its results.
type NodeFacts = Rc<(Vec<Fact>, Vec<TensorType>)>;

/// Makes one computation.
pub struct Builder<'a> {
    graph: &'a Graph,
    inline: &'a dyn Fn(Value) -> bool,
    compute: Compute,
    inputs: Vec<Value>,
    /// 1 once input 0 is a scatter's target: its old contents, where loaded too, are an input of their own.
    first_input: usize,
    params: Vec<Value>,
    memo: HashMap<(Value, Vec<Expr>), Expr>,
    facts: HashMap<Node, NodeFacts>,
    fused: Vec<&'static str>,
}

/// A computation and where its operands come from.
#[derive(Debug)]
pub struct Built {
    /// The computation.
    pub compute: Compute,
    /// The tensors it loads. For a scatter the first is the tensor whose copy is the target.
    pub inputs: Vec<Value>,
    /// Its scalar parameters.
    pub params: Vec<Value>,
}

impl<'a> Builder<'a> {
    /// A builder in which the values of which `inline` holds are expressions. These must be results of
    /// operators with element functions.
    pub fn new(graph: &'a Graph, inline: &'a dyn Fn(Value) -> bool) -> Builder<'a> {
        Builder {
            graph,
            inline,
            compute: Compute::default(),
            inputs: Vec::new(),
            first_input: 0,
            params: Vec::new(),
            memo: HashMap::new(),
            facts: HashMap::new(),
            fused: Vec::new(),
        }
    }

    /// The computation of some results of a node, which must all have the same sizes.
    pub fn results(mut self, node: Node, outputs: &[usize]) -> Built {
        let types = self.node_facts(node);
        let index = self.output_axes(&types.1[outputs[0]].dims.clone());
        for &output in outputs {
            let value = self.node_element(node, output, &index);
            let dtype = types.1[output].dtype;
            self.compute.outputs.push(Output { dtype, value });
        }
        self.finish()
    }

    /// The computation that copies a value, inlined or not, into a buffer of its own.
    pub fn copy(mut self, value: Value, ty: &TensorType) -> Built {
        let index = self.output_axes(&ty.dims);
        let element = self.element(value, &index);
        self.compute.outputs.push(Output { dtype: ty.dtype, value: element });
        self.note("copy");
        self.finish()
    }

    /// The stores of a scatter operator over its domain.
    pub fn scatter(mut self, node: Node, scatter: &kiln_ops::entry::ScatterFn, domain: &[Dim]) -> Built {
        let cached = self.node_facts(node);
        self.note_node(node);
        let target = self.graph.nodes[node].args[0];
        self.target(target);
        let index = self.output_axes(domain);
        let mut source = NodeSource { builder: &mut self, node };
        let mut element = Element { args: &cached.0, results: &cached.1, source: &mut source };
        let store = (scatter.store)(&mut element, &index);
        let ty = &cached.1[0];
        let value = self.compute.exprs.cast(ty.dtype, store.value);
        let dims = self.extents(&ty.dims);
        self.compute.scatter = Some(Scatter { dtype: ty.dtype, dims, index: store.index, value, guard: store.guard });
        self.finish()
    }

    /// The stores of a new value into a window: operands are `(base, value, the view's further arguments...)`.
    pub fn write_view(mut self, node: Node, view: OpId, element: kiln_ops::entry::ElementFn) -> Built {
        let args = &self.graph.nodes[node].args;
        let (base, value) = (args[0], args[1]);
        let base_ty = facts::tensor_type(self.graph, base).expect("a base is a tensor");
        let window = facts::tensor_type(self.graph, value).expect("a window's value is a tensor");
        self.note(short_name(view));
        self.target(base);
        let index = self.output_axes(&window.dims);
        let mut view_facts = vec![facts::fact(self.graph, base)];
        view_facts.extend(facts::facts(self.graph, &args[2..]));
        let results = [TensorType { dtype: base_ty.dtype, dims: window.dims }];
        let mut source = WindowSource { builder: &mut self, loaded: None };
        element(&mut Element { args: &view_facts, results: &results, source: &mut source }, 0, &index);
        let target = source.loaded.expect("the element of a view is a load of its base");
        let stored = self.element(value, &index);
        let stored = self.compute.exprs.cast(base_ty.dtype, stored);
        let dims = self.extents(&base_ty.dims);
        self.compute.scatter = Some(Scatter { dtype: base_ty.dtype, dims, index: target, value: stored, guard: None });
        self.finish()
    }

    fn finish(mut self) -> Built {
        self.fused.truncate(6);
        self.compute.name = self.fused.join("_");
        Built { compute: self.compute, inputs: self.inputs, params: self.params }
    }

    fn output_axes(&mut self, dims: &[Dim]) -> Vec<Expr> {
        let axes: Vec<u32> = dims.iter().map(|&d| self.axis(d)).collect();
        self.compute.rank = axes.len();
        axes.into_iter().map(|a| self.compute.exprs.intern(ExprData::Axis(a))).collect()
    }

    fn axis(&mut self, dim: Dim) -> u32 {
        let extent = self.extent(dim);
        self.compute.axes.push(extent);
        self.compute.exprs.axis_extents.push(if let Extent::Const(n) = extent { Some(n) } else { None });
        self.compute.axes.len() as u32 - 1
    }

    fn extents(&mut self, dims: &[Dim]) -> Vec<Extent> {
        dims.iter().map(|&d| self.extent(d)).collect()
    }

    fn extent(&mut self, dim: Dim) -> Extent {
        match dim {
            Dim::Const(n) => Extent::Const(n),
            Dim::Value(value) => match self.graph.as_const(value).and_then(|l| l.as_int()) {
                Some(n) => Extent::Const(n),
                None => Extent::Param(self.param_number(value, Kind::Int)),
            },
        }
    }

    fn param_number(&mut self, value: Value, kind: Kind) -> u32 {
        if let Some(at) = self.params.iter().position(|&v| v == value) {
            return at as u32;
        }
        self.params.push(value);
        self.compute.params.push(kind);
        self.params.len() as u32 - 1
    }

    fn param(&mut self, value: Value, kind: Kind) -> Expr {
        let constant = match facts::fact(self.graph, value) {
            Fact::Int(Dim::Const(i)) => Some(Scalar::Int(i)),
            Fact::Float(Ok(f)) => Some(Scalar::F64(f)),
            Fact::Bool(Ok(b)) => Some(Scalar::Bool(b)),
            _ => None,
        };
        if let Some(scalar) = constant {
            return self.compute.exprs.constant(scalar.to_kind(kind));
        }
        let param = self.param_number(value, kind);
        self.compute.exprs.intern(ExprData::Param(param, kind))
    }

    fn input(&mut self, value: Value) -> u32 {
        let known = self.inputs[self.first_input..].iter().position(|&v| v == value);
        if let Some(at) = known {
            return (self.first_input + at) as u32;
        }
        let ty = facts::tensor_type(self.graph, value).expect("only tensors are loaded");
        let dims = self.extents(&ty.dims);
        self.inputs.push(value);
        self.compute.exprs.input_dtypes.push(ty.dtype);
        self.compute.inputs.push(Input { dtype: ty.dtype, dims });
        self.inputs.len() as u32 - 1
    }

    /// Makes input 0 the target of a scatter.
    fn target(&mut self, base: Value) {
        self.input(base);
        self.first_input = 1;
    }

    /// The element of a tensor at an index.
    fn element(&mut self, value: Value, index: &[Expr]) -> Expr {
        let key = (value, index.to_vec());
        if let Some(&expr) = self.memo.get(&key) {
            return expr;
        }
        let expr = self.new_element(value, index);
        self.memo.insert(key, expr);
        expr
    }

    fn new_element(&mut self, value: Value, index: &[Expr]) -> Expr {
        if let Some(data) = facts::const_tensor(self.graph, value)
            && let Some(bytes) = facts::splat(data)
        {
            return self.compute.exprs.constant(Scalar::read(data.dtype, bytes));
        }
        if !(self.inline)(value) {
            return self.load(value, index);
        }
        let node = self.graph.def_node(value).expect("an inlined value is a node's result");
        let output = self.graph.nodes[node].results.iter().position(|&r| r == value).expect("it is the node's");
        self.node_element(node, output, index)
    }

    fn load(&mut self, value: Value, index: &[Expr]) -> Expr {
        let input = self.input(value);
        self.compute.exprs.intern(ExprData::Load { input, index: index.to_vec() })
    }

    /// The element of a node's result at an index, rounded to its element type.
    fn node_element(&mut self, node: Node, output: usize, index: &[Expr]) -> Expr {
        let element = element_fn(self.graph, node).expect("the operator has an element function");
        let cached = self.node_facts(node);
        let mut source = NodeSource { builder: self, node };
        let value = element(&mut Element { args: &cached.0, results: &cached.1, source: &mut source }, output, index);
        self.note_node(node);
        self.compute.exprs.cast(cached.1[output].dtype, value)
    }

    fn node_facts(&mut self, node: Node) -> NodeFacts {
        let graph = self.graph;
        let entry = self.facts.entry(node).or_insert_with(|| {
            let results = facts::result_types(graph, node).expect("results are tensors");
            Rc::new((facts::facts(graph, &graph.nodes[node].args), results))
        });
        entry.clone()
    }

    fn note_node(&mut self, node: Node) {
        if let Op::Table(op) = self.graph.nodes[node].op {
            self.note(short_name(op));
        }
    }

    fn note(&mut self, name: &'static str) {
        if self.fused.last() != Some(&name) {
            self.fused.push(name);
        }
    }
}

/// `aten::add.Tensor` without namespace and overload.
fn short_name(op: OpId) -> &'static str {
    let key = kiln_ops::table().key(op);
    let name = key.split("::").nth(1).unwrap_or(key);
    name.split('.').next().unwrap_or(name)
}

/// The element function of a node's operator, where it has one.
pub fn element_fn(graph: &Graph, node: Node) -> Option<kiln_ops::entry::ElementFn> {
    match body(graph, node)? {
        Body::Tensor { element, .. } | Body::View { element, .. } => Some(*element),
        _ => None,
    }
}

/// How a node's operator is computed.
pub fn body(graph: &Graph, node: Node) -> Option<&'static Body> {
    match graph.nodes[node].op {
        Op::Table(op) => kiln_ops::entry(kiln_ops::table().key(op)).map(|e| &e.body),
        _ => None,
    }
}

/// The operand of an operator: the argument, or an item of it.
pub fn operand(graph: &Graph, node: Node, arg: usize, item: Option<usize>) -> Value {
    let value = graph.nodes[node].args[arg];
    match item {
        None => value,
        Some(item) => graph.nodes[graph.def_node(value).expect("a list of tensors is a node")].args[item],
    }
}

/// Answers an operator's element function from the operands of its node.
struct NodeSource<'b, 'a> {
    builder: &'b mut Builder<'a>,
    node: Node,
}

impl ElementSource for NodeSource<'_, '_> {
    fn exprs(&mut self) -> &mut kiln_loops::Exprs {
        &mut self.builder.compute.exprs
    }

    fn load(&mut self, arg: usize, item: Option<usize>, index: &[Expr]) -> Expr {
        let value = operand(self.builder.graph, self.node, arg, item);
        self.builder.element(value, index)
    }

    fn param(&mut self, value: Value, kind: Kind) -> Expr {
        self.builder.param(value, kind)
    }

    fn reduction_axis(&mut self, extent: Dim) -> u32 {
        self.builder.axis(extent)
    }

    fn target(&mut self, index: &[Expr]) -> Expr {
        self.builder.compute.exprs.intern(ExprData::Load { input: 0, index: index.to_vec() })
    }
}

/// Runs a view's element function to learn where an element of the window stands in its base.
struct WindowSource<'b, 'a> {
    builder: &'b mut Builder<'a>,
    loaded: Option<Vec<Expr>>,
}

impl ElementSource for WindowSource<'_, '_> {
    fn exprs(&mut self) -> &mut kiln_loops::Exprs {
        &mut self.builder.compute.exprs
    }

    fn load(&mut self, arg: usize, _item: Option<usize>, index: &[Expr]) -> Expr {
        assert_eq!(arg, 0, "the element of a view is a load of its base");
        self.loaded = Some(index.to_vec());
        self.builder.compute.exprs.intern(ExprData::Load { input: 0, index: index.to_vec() })
    }

    fn param(&mut self, value: Value, kind: Kind) -> Expr {
        self.builder.param(value, kind)
    }

    fn reduction_axis(&mut self, extent: Dim) -> u32 {
        self.builder.axis(extent)
    }

    fn target(&mut self, index: &[Expr]) -> Expr {
        self.load(0, None, index)
    }
}
