//! Checks a typed graph against the operator table.

use crate::overload::schema_type;
use kiln_graph::{ClassKind, Graph, Node, Op, Program, Type};
use kiln_ops::{SchemaType, table};
use std::collections::HashMap;

/// Whether the operands of every operator of the table are of its schema's types. The error is one line per
/// operand that is not.
pub fn check_types(graph: &Graph, program: &Program) -> Result<(), String> {
    let mut errors = Vec::new();
    graph.visit(graph.entry, &mut |_, node| check_node(graph, program, node, &mut errors));
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

fn check_node(graph: &Graph, program: &Program, node: Node, errors: &mut Vec<String>) {
    let data = &graph.nodes[node];
    match &data.op {
        Op::Table(op) => {
            let schema = table().schema(*op);
            if schema.args.len() > data.args.len() {
                errors.push(format!("{node}: {} has {} operands for {} arguments", schema.key(), data.args.len(), schema.args.len()));
                return;
            }
            let mut bound = HashMap::new();
            for (arg, &value) in schema.args.iter().zip(&data.args) {
                let found = graph.ty(value);
                if !fits(&arg.ty, found, program, &mut bound) {
                    let found = found.display(program);
                    errors.push(format!("{node}: {}: `{}` takes {}, not {found}", schema.key(), arg.name, schema_type(&arg.ty)));
                }
            }
        }
        Op::Call(func) => {
            let params = &program.funcs[*func].params;
            for (param, &value) in params.iter().zip(&data.args) {
                let found = graph.ty(value);
                if !found.is_subtype(&param.ty, program) {
                    let (wanted, found) = (param.ty.display(program), found.display(program));
                    errors.push(format!("{node}: {}: `{}` takes {wanted}, not {found}", program.funcs[*func].name, param.name));
                }
            }
            if params.len() != data.args.len() {
                errors.push(format!("{node}: {} operands for {} parameters", data.args.len(), params.len()));
            }
        }
        _ => {}
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
        (SchemaType::List(elem, _), Type::List(found)) => fits(elem, found, program, bound) || **elem == SchemaType::Is(Type::Any),
        (SchemaType::Dict(key, value), Type::Dict(pair)) => fits(key, &pair.0, program, bound) && fits(value, &pair.1, program, bound),
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
