//! The TorchScript type of an attribute, as an annotation.

use crate::value::{ClassKind, MAX_DEPTH, Value};
use kiln_frontend::ast::{Expr, ExprKind};
use kiln_support::Span;

/// `name`.
pub fn named(name: impl Into<String>) -> Expr {
    Expr { span: Span::NONE, kind: ExprKind::Name(name.into()) }
}

/// `name[args]`.
pub fn generic(name: &str, args: Vec<Expr>) -> Expr {
    let index = match <[Expr; 1]>::try_from(args) {
        Ok([one]) => one,
        Err(args) => Expr { span: Span::NONE, kind: ExprKind::Tuple(args) },
    };
    Expr { span: Span::NONE, kind: ExprKind::Subscript { value: Box::new(named(name)), index: Box::new(index) } }
}

/// The type that TorchScript infers for a value (`torch._C._jit_try_infer_type`); none for what it cannot hold. `class_path`
/// names the class of a module.
pub fn infer(value: &Value, class_path: &dyn Fn(&Value) -> Option<String>) -> Option<Expr> {
    infer_at(value, class_path, 0)
}

fn infer_at(value: &Value, class_path: &dyn Fn(&Value) -> Option<String>, depth: usize) -> Option<Expr> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match value {
        Value::None => named("NoneType"),
        Value::Bool(_) => named("bool"),
        Value::Int(_) => named("int"),
        Value::Float(_) => named("float"),
        Value::Str(_) => named("str"),
        Value::Device(_) => named("Device"),
        Value::Tensor(_) => named("Tensor"),
        Value::Path(path) if dtype(path).is_some() => named("int"),
        Value::List(items) => generic("List", vec![common(&items.borrow(), class_path, depth)?]),
        Value::Tuple(items) => {
            generic("Tuple", items.iter().map(|item| infer_at(item, class_path, depth + 1)).collect::<Option<Vec<_>>>()?)
        }
        Value::Dict(items) => {
            let items = items.borrow();
            let (keys, values): (Vec<Value>, Vec<Value>) = items.iter().cloned().unzip();
            if keys.is_empty() {
                return None;
            }
            generic("Dict", vec![common(&keys, class_path, depth)?, common(&values, class_path, depth)?])
        }
        Value::Object(object) => match object.class.kind {
            ClassKind::Module => named(class_path(value)?),
            // A settings object is usually no TorchScript: only a class that says so is taken for one.
            ClassKind::Plain if !object.class.is_scripted() => return None,
            _ => named(object.class.path()),
        },
        Value::Member(member) => named(member.class.path()),
        _ => return None,
    })
}

/// The type of all items; an empty list holds tensors.
fn common(items: &[Value], class_path: &dyn Fn(&Value) -> Option<String>, depth: usize) -> Option<Expr> {
    let mut types = items.iter().map(|item| infer_at(item, class_path, depth + 1));
    let Some(first) = types.next() else { return Some(named("Tensor")) };
    let first = first?;
    let text = text_of(&first);
    types.all(|ty| ty.is_some_and(|ty| text_of(&ty) == text)).then_some(first)
}

/// The dtype that a path names.
pub fn dtype(path: &str) -> Option<kiln_support::DType> {
    let name = path.strip_prefix("torch.")?;
    kiln_support::DType::from_name(match name {
        "float" => "float32",
        "double" => "float64",
        "half" => "float16",
        "long" => "int64",
        "int" => "int32",
        "short" => "int16",
        other => other,
    })
}

/// An annotation as text: equal types give equal texts.
pub fn text_of(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Name(name) => name.clone(),
        ExprKind::Attribute { value, name } => format!("{}.{name}", text_of(value)),
        ExprKind::Subscript { value, index } => format!("{}[{}]", text_of(value), text_of(index)),
        ExprKind::Tuple(items) => items.iter().map(text_of).collect::<Vec<_>>().join(", "),
        ExprKind::None => "None".into(),
        ExprKind::Str(text) => format!("'{text}'"),
        ExprKind::Bool(b) => b.to_string(),
        ExprKind::Int(i) => i.to_string(),
        ExprKind::Float(x) => format!("{x:?}"),
        other => format!("{other:?}"),
    }
}
