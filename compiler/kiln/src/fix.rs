//! Fixed arguments: a method in which some arguments have values known when compiling.
//!
//! In: a method and the values of some of its arguments. Out: a method of the same program that takes the others, and
//! calls the first with the fixed ones as constants. An axis, a padding or a mode is then as good as written in the model.

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

/// The method that takes the arguments of `method` for which `values` has none. The values are of the declared types.
pub fn fix(program: &mut Program, method: &Method, values: &[Option<InputValue>]) -> Method {
    if values.iter().all(Option::is_none) {
        return method.clone();
    }
    let func = wrapper(program, method.func, values);
    let inputs = method.inputs.iter().zip(values).filter(|(_, value)| value.is_none()).map(|(ty, _)| ty.clone());
    Method { func, inputs: inputs.collect(), ..method.clone() }
}

fn wrapper(program: &mut Program, func: FuncId, values: &[Option<InputValue>]) -> FuncId {
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
            InputValue::NamedTuple { fields, .. } => self.tuple(block, &fields.iter().map(|(_, item)| item).collect::<Vec<_>>(), &ty),
        }
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
        let param = |name: &str, ty: Type| Param { name: name.into(), ty, default: None, keyword_only: false };
        let params = vec![param("self", Type::TENSOR), param("x", Type::TENSOR), param("dims", Type::list(Type::Int))];
        let mut program = Program::default();
        let func = program.funcs.push(Function { name: "f".into(), params, returns: Type::TENSOR, body: Graph::new(), span: Span::NONE });
        let inputs = vec![Type::TENSOR, Type::list(Type::Int)];
        let method = Method { name: "f".into(), func, is_method: true, inputs, symbols: Vec::new() };
        assert_eq!(fix(&mut program, &method, &[None, None]).func, func);

        let dims = InputValue::List(vec![InputValue::Int(0), InputValue::Int(2)]);
        assert!(is_plain(&dims));
        let fixed = fix(&mut program, &method, &[None, Some(dims)]);
        assert_eq!(fixed.inputs, [Type::TENSOR]);
        let wrapper = &program.funcs[fixed.func];
        assert_eq!(wrapper.params.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["self", "x"]);
        let text = kiln_graph::write::write_graph(&wrapper.body, &program, kiln_ops::table());
        assert!(text.contains("const 2") && text.contains("List[int]"), "{text}");
        kiln_graph::verify::verify(&wrapper.body).unwrap();
    }
}
