//! Checks the types of a typed graph.

use crate::overload::schema_type;
use kiln_graph::{Block, ClassKind, Graph, Node, Op, OpId, Program, Type, Value};
use kiln_ops::{SchemaType, table};
use std::collections::HashMap;

/// Whether every operand and every yielded value is of a type that its place takes: the schema's argument, the
/// function's parameter, the container's element, the result of the control flow. The error is one line per
/// value that is not.
pub fn check_types(graph: &Graph, program: &Program) -> Result<(), String> {
    let mut checker = Checker { graph, program, errors: Vec::new() };
    graph.visit(graph.entry, &mut |_, node| checker.node(node));
    if checker.errors.is_empty() { Ok(()) } else { Err(checker.errors.join("\n")) }
}

struct Checker<'g> {
    graph: &'g Graph,
    program: &'g Program,
    errors: Vec<String>,
}

impl Checker<'_> {
    fn node(&mut self, node: Node) {
        let data = &self.graph.nodes[node];
        let result = data.results.first().map(|&r| self.graph.ty(r).clone());
        match (&data.op, result) {
            (Op::Table(op), _) => self.operator(node, *op),
            (Op::Call(func), _) => {
                let params: Vec<Type> = self.program.funcs[*func].params.iter().map(|p| p.ty.clone()).collect();
                self.values(node, &data.args, &params);
            }
            (Op::If, _) => {
                let results = self.types(&data.results);
                data.blocks.iter().for_each(|&block| self.yields(node, block, &results));
            }
            (Op::Loop, _) => {
                let carried = self.types(&data.results);
                self.values(node, &data.args[2..], &carried);
                let wanted: Vec<Type> = std::iter::once(Type::Bool).chain(carried).collect();
                self.yields(node, data.blocks[0], &wanted);
            }
            (Op::List, Some(Type::List(elem))) => self.values(node, &data.args, &vec![(*elem).clone(); data.args.len()]),
            (Op::Dict, Some(Type::Dict(pair))) => {
                let wanted: Vec<Type> = data.args.chunks(2).flat_map(|_| [pair.0.clone(), pair.1.clone()]).collect();
                self.values(node, &data.args, &wanted);
            }
            (Op::Annotate, Some(ty)) => self.values(node, &data.args, &[ty]),
            _ => {}
        }
    }

    fn types(&self, values: &[Value]) -> Vec<Type> {
        values.iter().map(|&v| self.graph.ty(v).clone()).collect()
    }

    fn yields(&mut self, node: Node, block: Block, wanted: &[Type]) {
        let data = &self.graph.blocks[block];
        if !data.diverges {
            self.values(node, &data.yields, wanted);
        }
    }

    fn values(&mut self, node: Node, values: &[Value], wanted: &[Type]) {
        if values.len() != wanted.len() {
            self.errors.push(format!("{node}: {} values where {} are taken", values.len(), wanted.len()));
        }
        for (&value, wanted) in values.iter().zip(wanted) {
            let found = self.graph.ty(value);
            if !found.is_subtype(wanted, self.program) {
                let (wanted, found) = (wanted.display(self.program), found.display(self.program));
                self.errors.push(format!("{node}: {value} is of type {found} where {wanted} is taken"));
            }
        }
    }

    fn operator(&mut self, node: Node, op: OpId) {
        let args = &self.graph.nodes[node].args;
        let schema = table().schema(op);
        if schema.args.len() > args.len() || (schema.args.len() < args.len() && !schema.varargs) {
            self.errors.push(format!("{node}: {} has {} operands for {} arguments", schema.key(), args.len(), schema.args.len()));
            return;
        }
        let mut bound = HashMap::new();
        for (arg, &value) in schema.args.iter().zip(args) {
            let found = self.graph.ty(value);
            if !fits(&arg.ty, found, self.program, &mut bound) {
                let found = found.display(self.program);
                self.errors.push(format!("{node}: {}: `{}` takes {}, not {found}", schema.key(), arg.name, schema_type(&arg.ty)));
            }
        }
    }
}

fn fits<'s>(formal: &'s SchemaType, found: &Type, program: &Program, bound: &mut HashMap<&'s str, Type>) -> bool {
    match (formal, found) {
        (SchemaType::Is(Type::Tensor(_)), Type::Tensor(_)) => true,
        (SchemaType::Is(ty), _) => found.is_subtype(ty, program),
        (SchemaType::Var(name), _) => match bound.get(name.as_str()) {
            Some(ty) => found.unify(ty, program, false).is_some(),
            None => bound.insert(name, found.clone()).is_none(),
        },
        (SchemaType::Optional(_), Type::None) => true,
        (SchemaType::Optional(inner), _) => fits(inner, &found.without_none(), program, bound),
        (SchemaType::List(elem, _), Type::List(found)) => {
            fits(elem, found, program, bound) || **elem == SchemaType::Is(Type::Any)
        }
        (SchemaType::Dict(key, value), Type::Dict(pair)) => {
            fits(key, &pair.0, program, bound) && fits(value, &pair.1, program, bound)
        }
        (SchemaType::Tuple(elems), Type::Tuple(types)) => {
            elems.len() == types.len() && elems.iter().zip(types.iter()).all(|(e, t)| fits(e, t, program, bound))
        }
        (SchemaType::Future(inner), Type::Future(found)) => fits(inner, found, program, bound),
        (SchemaType::AnyOf(name), _) => is_any_of(name, found, program),
        _ => false,
    }
}

fn is_any_of(name: &str, found: &Type, program: &Program) -> bool {
    match (name, found) {
        ("AnyEnumType", Type::Class(class)) => program.classes[*class].kind == ClassKind::Enum,
        ("AnyClassType", Type::Class(_)) | ("AnyListType", Type::List(_)) | ("AnyTupleType", Type::Tuple(_)) => true,
        _ => false,
    }
}
