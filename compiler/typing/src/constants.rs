//! Constant expressions outside function bodies: defaults of parameters, class constants, enum members.

use crate::error;
use crate::session::Session;
use crate::sugar::Typed;
use kiln_frontend::ast::{Expr, ExprKind, Item, StmtKind, UnaryOp};
use kiln_graph::{Literal, Type};
use kiln_support::DType;

/// The value of a constant expression of type `ty`. Tuples are lists of literals, as the type tells them apart.
pub(crate) fn literal(session: &mut Session<'_>, expr: &Expr, ty: &Type, unit: &str) -> Typed<Literal> {
    let wanted = ty.without_none();
    match (&expr.kind, &wanted) {
        (ExprKind::List(elems), Type::List(elem)) | (ExprKind::Tuple(elems), Type::List(elem)) => {
            elems.iter().map(|e| literal(session, e, elem, unit)).collect::<Typed<_>>().map(Literal::List)
        }
        (ExprKind::Tuple(elems), Type::Tuple(types)) if elems.len() == types.len() => {
            elems.iter().zip(types.iter()).map(|(e, t)| literal(session, e, t, unit)).collect::<Typed<_>>().map(Literal::List)
        }
        (ExprKind::Call { func, args, .. }, Type::Device)
            if crate::annotation::dotted(func).as_deref() == Some("torch.device") =>
        {
            let (name, _) = infer(args.first().ok_or_else(|| not_constant(expr))?)?;
            device(name).ok_or_else(|| not_constant(expr))
        }
        (ExprKind::Call { args, .. }, _) if args.len() == 2 && is_call_of(expr, "annotate") => {
            literal(session, &args[1], ty, unit)
        }
        (ExprKind::Name(name), _) if constant_name(name).is_none() => match module_constant(session, unit, name) {
            Some(value) => session.nested(expr.span, |session| literal(session, &value, ty, unit)),
            None => Err(not_constant(expr)),
        },
        _ => {
            let (value, _) = infer(expr)?;
            Ok(match (value, &wanted) {
                (Literal::Int(i), Type::Float) => Literal::Float(i as f64),
                (Literal::Str(s), Type::Device) => Literal::Device(s),
                (value, _) => value,
            })
        }
    }
}

/// The value and the type of a constant expression.
pub(crate) fn infer(expr: &Expr) -> Typed<(Literal, Type)> {
    Ok(match &expr.kind {
        ExprKind::None => (Literal::None, Type::None),
        ExprKind::Bool(b) => (Literal::Bool(*b), Type::Bool),
        ExprKind::Int(i) => (Literal::Int(*i), Type::Int),
        ExprKind::Float(v) => (Literal::Float(*v), Type::Float),
        ExprKind::Imaginary(v) => (Literal::Complex(0.0, *v), Type::Complex),
        ExprKind::Str(s) => (Literal::Str(s.clone()), Type::Str),
        ExprKind::Name(name) => constant_name(name).ok_or_else(|| not_constant(expr))?,
        ExprKind::Attribute { .. } => {
            torch_constant(&crate::annotation::dotted(expr).unwrap_or_default()).ok_or_else(|| not_constant(expr))?
        }
        ExprKind::Unary { op: UnaryOp::Neg, operand } => negate(infer(operand)?).ok_or_else(|| not_constant(expr))?,
        ExprKind::Unary { op: UnaryOp::Pos, operand } => infer(operand)?,
        ExprKind::Tuple(elems) => {
            let (values, types): (Vec<_>, Vec<_>) = elems.iter().map(infer).collect::<Typed<Vec<_>>>()?.into_iter().unzip();
            (Literal::List(values), Type::Tuple(types.into()))
        }
        ExprKind::List(elems) => {
            let (values, types): (Vec<_>, Vec<_>) = elems.iter().map(infer).collect::<Typed<Vec<_>>>()?.into_iter().unzip();
            let elem = types.first().cloned().unwrap_or(Type::TENSOR);
            if types.iter().any(|t| *t != elem) {
                return Err(not_constant(expr));
            }
            (Literal::List(values), Type::list(elem))
        }
        ExprKind::Call { args, .. } if is_call_of(expr, "torch.device") && args.len() == 1 => {
            let (name, _) = infer(&args[0])?;
            (device(name).ok_or_else(|| not_constant(expr))?, Type::Device)
        }
        _ => return Err(not_constant(expr)),
    })
}

/// `inf`, `nan`, ... as serialized code writes them.
pub(crate) fn constant_name(name: &str) -> Option<(Literal, Type)> {
    Some(match name {
        "inf" => (Literal::Float(f64::INFINITY), Type::Float),
        "nan" => (Literal::Float(f64::NAN), Type::Float),
        "infj" => (Literal::Complex(0.0, f64::INFINITY), Type::Complex),
        "nanj" => (Literal::Complex(0.0, f64::NAN), Type::Complex),
        _ => return None,
    })
}

/// Attributes of `torch` and `math` that are constants: dtypes, layouts, memory formats, numbers.
pub(crate) fn torch_constant(path: &str) -> Option<(Literal, Type)> {
    let float = |v: f64| Some((Literal::Float(v), Type::Float));
    let int = |v: i64| Some((Literal::Int(v), Type::Int));
    let (module, name) = path.rsplit_once('.')?;
    match (module, name) {
        ("torch" | "math", "inf") => float(f64::INFINITY),
        ("torch" | "math", "nan") => float(f64::NAN),
        ("torch" | "math", "pi") => float(std::f64::consts::PI),
        ("torch" | "math", "e") => float(std::f64::consts::E),
        ("math", "tau") => float(std::f64::consts::TAU),
        ("torch", "strided" | "contiguous_format") => int(0),
        ("torch", "preserve_format" | "sparse_coo") => int(1),
        ("torch", "channels_last" | "sparse_csr") => int(2),
        ("torch", "channels_last_3d" | "_mkldnn") => int(3),
        // c10/core/QScheme.h
        ("torch", "per_tensor_affine") => int(0),
        ("torch", "per_channel_affine") => int(1),
        ("torch", "per_tensor_symmetric") => int(2),
        ("torch", "per_channel_symmetric") => int(3),
        ("torch", _) => int(dtype_code(name)?),
        _ => None,
    }
}

/// PyTorch's number of a dtype by one of its Python names.
pub(crate) fn dtype_code(name: &str) -> Option<i64> {
    let code = match name {
        "long" => 4,
        "int" => 3,
        "short" => 2,
        "half" => 5,
        "float" => 6,
        "double" => 7,
        // No tensors of these exist here, but programs may name them.
        "complex32" | "chalf" => 8,
        "complex64" | "cfloat" => 9,
        "complex128" | "cdouble" => 10,
        _ if DType::ALL.iter().any(|d| d.torch_name() == name) => DType::from_name(name)?.code(),
        _ => return None,
    };
    Some(code)
}

pub(crate) fn negate((value, ty): (Literal, Type)) -> Option<(Literal, Type)> {
    let value = match value {
        Literal::Int(i) => Literal::Int(i.wrapping_neg()),
        Literal::Float(v) => Literal::Float(-v),
        Literal::Complex(re, im) => Literal::Complex(-re, -im),
        _ => return None,
    };
    Some((value, ty))
}

fn device(name: Literal) -> Option<Literal> {
    match name {
        Literal::Str(s) => Some(Literal::Device(s)),
        _ => None,
    }
}

fn is_call_of(expr: &Expr, path: &str) -> bool {
    matches!(&expr.kind, ExprKind::Call { func, .. } if crate::annotation::dotted(func).as_deref() == Some(path))
}

/// The expression that a name is assigned at the top of a source file.
pub(crate) fn module_constant(session: &Session<'_>, unit: &str, name: &str) -> Option<Expr> {
    let items = session.units.get(unit)?.items;
    items.iter().find_map(|item| match item {
        Item::Statement(stmt) => match &stmt.kind {
            StmtKind::Assign { targets, value: Some(value), .. } => {
                // A name that is defined by itself has no value.
                let is_circular = |value: &Expr| matches!(&value.kind, ExprKind::Name(n) if n == name);
                targets.iter().find_map(|target| target.assigned(name, value)).filter(|value| !is_circular(value))
            }
            _ => None,
        },
        _ => None,
    })
}

fn not_constant(expr: &Expr) -> Box<kiln_support::Diagnostic> {
    error("not-constant", "this must be a constant", expr.span)
}
