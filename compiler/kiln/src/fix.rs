//! What is known of a method's arguments beyond their types: fixed values, and bounds of symbolic sizes.
//!
//! In: a method, the values of some of its arguments, and bounds. Out: a method of the same program that takes the other
//! arguments, checks the bounds, and calls the first with the fixed ones as constants. An axis, a padding or a mode is
//! then as good as written in the model.

use crate::values::element_type;
use kiln_frontend::tensors_file::InputValue;
use kiln_graph::{Block, FuncId, Function, Graph, Literal, Op, Param, Program, Type, Value};
use kiln_passes::specialise::Method;
use kiln_support::Span;

/// Whether a value can be fixed: it holds no tensor.
pub fn is_plain(value: &InputValue) -> bool {
    match value {
        InputValue::Tensor(_) => false,
        InputValue::List(items) | InputValue::Tuple(items) => items.iter().all(is_plain),
        InputValue::Dict(items) => items.iter().all(|(k, v)| is_plain(k) && is_plain(v)),
        InputValue::NamedTuple { fields, .. } => fields.iter().all(|(_, item)| is_plain(item)),
        _ => true,
    }
}

/// The most that a size of a tensor argument may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// Number of the parameter, the receiver not counted.
    pub param: usize,
    /// Which size.
    pub axis: usize,
    /// The size's name.
    pub name: String,
    /// The bound.
    pub most: i64,
}

/// The method that takes the arguments of `method` for which `values` has none, and raises where a size is above its bound. The
/// values are of the declared types.
pub fn fix(program: &mut Program, method: &Method, values: &[Option<InputValue>], bounds: &[Bound]) -> Method {
    if values.iter().all(Option::is_none) && bounds.is_empty() {
        return method.clone();
    }
    let func = wrapper(program, method.func, values, bounds);
    let inputs = method.inputs.iter().zip(values).filter(|(_, value)| value.is_none()).map(|(ty, _)| ty.clone());
    Method { func, inputs: inputs.collect(), ..method.clone() }
}

fn wrapper(program: &mut Program, func: FuncId, values: &[Option<InputValue>], bounds: &[Bound]) -> FuncId {
    let inner = &program.funcs[func];
    let (params, returns, span) = (inner.params.clone(), inner.returns.clone(), inner.span);
    let name = format!("{}.fixed", inner.name);
    let mut constants = Constants { graph: Graph::new() };
    let block = constants.graph.entry;
    let mut free: Vec<Param> = Vec::new();
    let mut args = Vec::new();
    // The receiver stands before the arguments.
    for (param, value) in params.iter().zip([&None].into_iter().chain(values)) {
        args.push(match value {
            Some(value) => constants.value(block, value, &param.ty),
            None => {
                free.push(param.clone());
                constants.graph.add_param(block, param.ty.clone(), Some(&param.name))
            }
        });
    }
    for bound in bounds {
        constants.check(block, args[bound.param + 1], &params[bound.param + 1].name, bound);
    }
    let mut graph = constants.graph;
    let result = graph.add_value(block, Op::Call(func), args, returns.clone(), span);
    graph.blocks[block].yields = vec![result];
    program.funcs.push(Function { name, params: free, returns, body: graph, span })
}

/// Makes constants of a graph.
struct Constants {
    graph: Graph,
}

impl Constants {
    fn literal(&mut self, block: Block, literal: Literal, ty: Type) -> Value {
        self.graph.add_const(block, literal, ty, Span::NONE)
    }

    fn value(&mut self, block: Block, value: &InputValue, declared: &Type) -> Value {
        let ty = declared.without_none();
        match value {
            InputValue::None => self.literal(block, Literal::None, Type::None),
            InputValue::Bool(b) => self.literal(block, Literal::Bool(*b), Type::Bool),
            InputValue::Int(i) => self.literal(block, Literal::Int(*i), Type::Int),
            InputValue::Float(f) => self.literal(block, Literal::Float(*f), Type::Float),
            InputValue::Str(text) if ty == Type::Device => self.literal(block, Literal::Device(text.clone()), Type::Device),
            InputValue::Str(text) => self.literal(block, Literal::Str(text.clone()), Type::Str),
            InputValue::Tensor(tensor) => self.literal(block, Literal::Tensor(tensor.clone()), Type::TENSOR),
            InputValue::List(items) => {
                let elem = if let Type::List(elem) = &ty { (**elem).clone() } else { element_type(items) };
                let items = items.iter().map(|item| self.value(block, item, &elem)).collect();
                self.graph.add_value(block, Op::List, items, Type::list(elem), Span::NONE)
            }
            InputValue::Dict(items) => {
                let types = if let Type::Dict(types) = &ty { (**types).clone() } else { (Type::Any, Type::Any) };
                let flat = items.iter().flat_map(|(k, v)| [(k, &types.0), (v, &types.1)]).collect::<Vec<_>>();
                let items = flat.into_iter().map(|(item, ty)| self.value(block, item, ty)).collect();
                self.graph.add_value(block, Op::Dict, items, Type::dict(types.0, types.1), Span::NONE)
            }
            InputValue::Tuple(items) => self.tuple(block, &items.iter().collect::<Vec<_>>(), &ty),
            InputValue::NamedTuple { fields, .. } => {
                self.tuple(block, &fields.iter().map(|(_, item)| item).collect::<Vec<_>>(), &ty)
            }
        }
    }

    /// Raises where a size of a tensor is above its bound.
    fn check(&mut self, block: Block, tensor: Value, name: &str, bound: &Bound) {
        let axis = self.literal(block, Literal::Int(bound.axis as i64), Type::Int);
        let most = self.literal(block, Literal::Int(bound.most), Type::Int);
        let size = self.operator(block, "aten::size.int", vec![tensor, axis], Type::Int);
        let is_above = self.operator(block, "aten::gt.int", vec![size, most], Type::Bool);
        let node = self.graph.add_node(block, Op::If, vec![is_above], Vec::new(), Span::NONE);
        let (above, within) = (self.graph.add_block(), self.graph.add_block());
        let text = format!("argument `{name}`: size {} is above its bound of {}", bound.name, bound.most);
        let text = self.literal(above, Literal::Str(text), Type::Str);
        self.graph.add_node(above, Op::Raise("builtins.ValueError".into()), vec![text], Vec::new(), Span::NONE);
        self.graph.blocks[above].diverges = true;
        self.graph.nodes[node].blocks = vec![above, within];
    }

    fn operator(&mut self, block: Block, key: &str, args: Vec<Value>, ty: Type) -> Value {
        self.graph.add_value(block, Op::Table(kiln_ops::table().get(key)), args, ty, Span::NONE)
    }

    fn tuple(&mut self, block: Block, items: &[&InputValue], ty: &Type) -> Value {
        let declared = if let Type::Tuple(types) = ty { types.to_vec() } else { Vec::new() };
        let item = |at: usize| declared.get(at).cloned().unwrap_or(Type::Any);
        let values: Vec<Value> = items.iter().enumerate().map(|(at, value)| self.value(block, value, &item(at))).collect();
        let types: Vec<Type> = values.iter().map(|&value| self.graph.ty(value).clone()).collect();
        let (class, ty) = match ty {
            Type::Class(class) => (Some(*class), ty.clone()),
            Type::Tuple(_) => (None, ty.clone()),
            _ => (None, Type::tuple(types)),
        };
        self.graph.add_value(block, Op::Tuple(class), values, ty, Span::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_arguments_are_constants_of_a_wrapper() {
        let param = |name: &str, ty: Type| Param { name: name.into(), ty, default: None, keyword_only: false, broadcasts: None };
        let params = vec![param("self", Type::TENSOR), param("x", Type::TENSOR), param("dims", Type::list(Type::Int))];
        let mut program = Program::default();
        let func = program.funcs.push(Function {
            name: "f".into(),
            params,
            returns: Type::TENSOR,
            body: Graph::new(),
            span: Span::NONE,
        });
        let inputs = vec![Type::TENSOR, Type::list(Type::Int)];
        let method = Method { name: "f".into(), func, is_method: true, inputs, symbols: Vec::new() };
        assert_eq!(fix(&mut program, &method, &[None, None], &[]).func, func);

        let dims = InputValue::List(vec![InputValue::Int(0), InputValue::Int(2)]);
        assert!(is_plain(&dims));
        let fixed = fix(&mut program, &method, &[None, Some(dims)], &[]);
        assert_eq!(fixed.inputs, [Type::TENSOR]);
        let wrapper = &program.funcs[fixed.func];
        assert_eq!(wrapper.params.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["self", "x"]);
        let text = kiln_graph::write::write_graph(&wrapper.body, &program, kiln_ops::table());
        assert!(text.contains("const 2") && text.contains("List[int]"), "{text}");
        kiln_graph::verify::verify(&wrapper.body).unwrap();
    }
}
