//! Type expressions to types (PyTorch's `ScriptTypeParser`).

use crate::error;
use crate::session::Session;
use crate::sugar::Typed;
use kiln_frontend::ast::{BinOp, Expr, ExprKind, Item, StmtKind};
use kiln_graph::Type;
use kiln_support::Span;
use std::sync::Arc;

impl Session<'_> {
    /// The type that an annotation in `unit` names.
    pub fn type_of(&mut self, expr: &Expr, unit: &str) -> Typed<Type> {
        match &expr.kind {
            ExprKind::None => Ok(Type::None),
            ExprKind::Name(_) | ExprKind::Attribute { .. } => {
                let path = dotted(expr).ok_or_else(|| not_a_type("this expression", expr.span))?;
                self.named_type(&path, unit, expr.span)
            }
            // A forward reference.
            ExprKind::Str(text) => {
                let inner = kiln_frontend::python::parse_expression(text, expr.span)?;
                self.nested(expr.span, |session| session.type_of(&inner, unit))
            }
            ExprKind::Subscript { value, index } => self.generic_type(value, index, unit),
            ExprKind::Binary { op: BinOp::BitOr, left, right } => {
                Ok(Type::union([self.type_of(left, unit)?, self.type_of(right, unit)?]))
            }
            ExprKind::Tuple(elems) => Ok(Type::Tuple(self.types_of(elems, unit)?.into())),
            _ => Err(not_a_type("this expression", expr.span)),
        }
    }

    fn types_of(&mut self, exprs: &[Expr], unit: &str) -> Typed<Vec<Type>> {
        exprs.iter().map(|e| self.type_of(e, unit)).collect()
    }

    fn generic_type(&mut self, value: &Expr, index: &Expr, unit: &str) -> Typed<Type> {
        let name = dotted(value).unwrap_or_default();
        let args: Vec<Expr> = match &index.kind {
            ExprKind::Tuple(elems) => elems.clone(),
            _ => vec![index.clone()],
        };
        let last = name.rsplit('.').next().unwrap_or_default();
        let wanted = match last {
            "Dict" | "dict" => 2,
            "Tuple" | "tuple" | "Union" => args.len(),
            _ => 1,
        };
        if args.len() != wanted {
            return Err(error(
                "bad-annotation",
                format!("`{last}` takes {wanted} type arguments, not {}", args.len()),
                index.span,
            ));
        }
        let mut types = self.types_of(&args, unit)?;
        Ok(match last {
            "Optional" => Type::optional(types.remove(0)),
            "List" | "list" => Type::list(types.remove(0)),
            "Dict" | "dict" => {
                let value = types.remove(1);
                self.dict_key(&types[0], index.span)?;
                Type::dict(types.remove(0), value)
            }
            "Tuple" | "tuple" => Type::Tuple(types.into()),
            "Union" => Type::union(types),
            "Future" | "Await" | "RRef" | "_Await" => Type::Future(Arc::new(types.remove(0))),
            "Final" | "Annotated" | "InferenceMode" => types.remove(0),
            _ if last.starts_with("BroadcastingList") => Type::list(types.remove(0)),
            _ => return Err(not_a_type(&format!("`{name}[...]`"), value.span)),
        })
    }

    fn dict_key(&self, key: &Type, at: Span) -> Typed<()> {
        match key {
            Type::Int | Type::Float | Type::Bool | Type::Complex | Type::Str | Type::Tensor(_) => Ok(()),
            _ => {
                let key = key.display(self.program).to_string();
                Err(error("bad-annotation", format!("the keys of a dict cannot be of type `{key}`"), at)
                    .help("keys are int, float, bool, complex, str or Tensor")
                    .into())
            }
        }
    }

    fn named_type(&mut self, path: &str, unit: &str, at: Span) -> Typed<Type> {
        if let Some(ty) = primitive(path) {
            return Ok(ty);
        }
        if let Some(class) = self.class_by_path(path, unit)? {
            return Ok(Type::Class(class));
        }
        if let Some(alias) = self.type_alias(path, unit) {
            return self.nested(at, |session| session.type_of(&alias, unit));
        }
        Err(not_a_type(&format!("`{path}`"), at))
    }

    /// `T = List[int]` at the top of a source file.
    fn type_alias(&self, name: &str, unit: &str) -> Option<Expr> {
        let items = self.units.get(unit)?.items;
        items.iter().find_map(|item| match item {
            Item::Statement(stmt) => match &stmt.kind {
                StmtKind::Assign { targets, value: Some(value), .. } => {
                    let named = matches!(&targets[0].kind, ExprKind::Name(n) if n == name);
                    let refers_to_itself = dotted(value).as_deref() == Some(name);
                    (named && !refers_to_itself && targets.len() == 1).then(|| value.clone())
                }
                _ => None,
            },
            _ => None,
        })
    }
}

/// Types that every unit knows.
pub(crate) fn primitive(path: &str) -> Option<Type> {
    let last = match path.rsplit_once('.') {
        None => path,
        Some(("torch" | "typing" | "builtins" | "torch.jit" | "torch._C", last)) => last,
        Some(_) => return None,
    };
    Some(match last {
        "Tensor" | "Parameter" => Type::TENSOR,
        "int" | "dtype" | "layout" | "memory_format" | "qscheme" => Type::Int,
        "float" => Type::Float,
        "bool" => Type::Bool,
        "complex" => Type::Complex,
        "str" => Type::Str,
        "Device" | "device" => Type::Device,
        "NoneType" | "None" => Type::None,
        "Any" => Type::Any,
        "number" | "Scalar" => Type::Number,
        // Without arguments, containers hold tensors.
        "List" | "list" => Type::list(Type::TENSOR),
        "Dict" | "dict" => Type::dict(Type::Str, Type::TENSOR),
        "Generator" => Type::Opaque("Generator"),
        "Stream" => Type::Opaque("Stream"),
        "Storage" => Type::Opaque("Storage"),
        "Layout" | "QScheme" | "ScalarType" | "MemoryFormat" => Type::Int,
        "AnyClassType" | "AnyListType" | "AnyTupleType" | "AnyEnumType" => Type::Any,
        _ => return None,
    })
}

/// The length in `BroadcastingList2[int]`, also where it may be missing.
pub(crate) fn broadcasts(annotation: &Expr) -> Option<u8> {
    let ExprKind::Subscript { value, index } = &annotation.kind else { return None };
    match dotted(value)?.rsplit('.').next()? {
        "Optional" => broadcasts(index),
        name => name.strip_prefix("BroadcastingList")?.parse().ok(),
    }
}

/// `a.b.c` of nested attributes.
pub(crate) fn dotted(expr: &Expr) -> Option<String> {
    expr.dotted()
}

fn not_a_type(what: &str, at: Span) -> Box<kiln_support::Diagnostic> {
    error("unknown-type", format!("{what} is not a type that TorchScript knows"), at)
}
