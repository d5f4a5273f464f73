//! Python's operators to names of PyTorch's.

use crate::body::Body;
use crate::sugar::Typed;
use kiln_frontend::ast::{BinOp, CompareOp, UnaryOp};
use kiln_graph::{Type, Value};
use kiln_support::Span;

/// The operator that `a op b` calls, and the method it calls on an object.
fn binary_names(op: BinOp) -> (&'static str, &'static str) {
    match op {
        BinOp::Add => ("aten::add", "__add__"),
        BinOp::Sub => ("aten::sub", "__sub__"),
        BinOp::Mul => ("aten::mul", "__mul__"),
        BinOp::Div => ("aten::div", "__truediv__"),
        BinOp::FloorDiv => ("aten::floordiv", "__floordiv__"),
        BinOp::Mod => ("aten::remainder", "__mod__"),
        BinOp::Pow => ("aten::pow", "__pow__"),
        BinOp::MatMul => ("aten::matmul", "__matmul__"),
        BinOp::BitAnd => ("aten::__and__", "__and__"),
        BinOp::BitOr => ("aten::__or__", "__or__"),
        BinOp::BitXor => ("aten::__xor__", "__xor__"),
        BinOp::LShift => ("aten::__lshift__", "__lshift__"),
        BinOp::RShift => ("aten::__rshift__", "__rshift__"),
    }
}

fn compare_names(op: CompareOp) -> (&'static str, &'static str) {
    match op {
        CompareOp::Eq => ("aten::eq", "__eq__"),
        CompareOp::Ne => ("aten::ne", "__ne__"),
        CompareOp::Lt => ("aten::lt", "__lt__"),
        CompareOp::Le => ("aten::le", "__le__"),
        CompareOp::Gt => ("aten::gt", "__gt__"),
        CompareOp::Ge => ("aten::ge", "__ge__"),
        CompareOp::Is => ("aten::__is__", ""),
        CompareOp::IsNot => ("aten::__isnot__", ""),
        CompareOp::In | CompareOp::NotIn => ("aten::__contains__", "__contains__"),
    }
}

/// The in-place operator of `tensor op= x`.
pub(crate) fn in_place(op: BinOp) -> Option<&'static str> {
    Some(match op {
        BinOp::Add => "aten::add_",
        BinOp::Sub => "aten::sub_",
        BinOp::Mul => "aten::mul_",
        BinOp::Div => "aten::div_",
        BinOp::Mod => "aten::fmod_",
        BinOp::Pow => "aten::pow_",
        BinOp::BitAnd => "aten::__iand__",
        BinOp::BitOr => "aten::__ior__",
        BinOp::BitXor => "aten::__ixor__",
        BinOp::LShift => "aten::__ilshift__",
        BinOp::RShift => "aten::__irshift__",
        BinOp::FloorDiv => "aten::floor_divide_",
        BinOp::MatMul => return None,
    })
}

/// The method that `object op= x` calls.
pub(crate) fn in_place_magic(op: BinOp) -> &'static str {
    match op {
        BinOp::Add => "__iadd__",
        BinOp::Sub => "__isub__",
        BinOp::Mul => "__imul__",
        BinOp::Div => "__itruediv__",
        BinOp::FloorDiv => "__ifloordiv__",
        BinOp::Mod => "__imod__",
        BinOp::Pow => "__ipow__",
        BinOp::MatMul => "__imatmul__",
        BinOp::BitAnd => "__iand__",
        BinOp::BitOr => "__ior__",
        BinOp::BitXor => "__ixor__",
        BinOp::LShift => "__ilshift__",
        BinOp::RShift => "__irshift__",
    }
}

impl Body<'_, '_> {
    /// `a op b`.
    pub fn binary(&mut self, op: BinOp, a: Value, b: Value, at: Span) -> Typed<Value> {
        let (name, magic) = binary_names(op);
        if let Some(result) = self.call_magic(a, magic, &[b], at)? {
            return Ok(result);
        }
        // `"%d" % x`.
        if op == BinOp::Mod && *self.ty(a) == Type::Str {
            let args = match self.ty(b) {
                Type::Tuple(_) => self.unpack_tuple(b, at),
                _ => vec![b],
            };
            let args: Vec<Value> = std::iter::once(a).chain(args).collect();
            return self.table_op("aten::percentFormat", &args, at);
        }
        if let (BinOp::Add, Type::Tuple(_), Type::Tuple(_)) = (op, self.ty(a), self.ty(b)) {
            let mut items = self.unpack_tuple(a, at);
            items.extend(self.unpack_tuple(b, at));
            return Ok(self.make_tuple(items, at));
        }
        self.table_op(name, &[a, b], at)
    }

    /// Whether a constant names a part of a container of modules; none where `b` is no such container.
    fn is_submodule_name(&self, a: Value, b: Value) -> Option<bool> {
        let Type::Class(class) = self.ty(b) else { return None };
        let class = &self.session.program.classes[*class];
        let Some(kiln_graph::Literal::Str(name)) = self.graph.as_const(a) else { return None };
        let is_container = class.kind == kiln_graph::ClassKind::Module && class.method("__contains__").is_none();
        is_container.then(|| self.submodule_names(b).iter().any(|own| own == name))
    }

    /// `a op b` for comparisons.
    pub fn compare(&mut self, op: CompareOp, a: Value, b: Value, at: Span) -> Typed<Value> {
        let (name, magic) = compare_names(op);
        match op {
            CompareOp::In | CompareOp::NotIn => {
                if let Some(found) = self.is_submodule_name(a, b) {
                    return Ok(self.bool(found == (op == CompareOp::In), at));
                }
                let found = match self.call_magic(b, magic, &[a], at)? {
                    Some(found) => found,
                    None if *self.ty(b) == Type::Str => {
                        let place = self.table_op("aten::find", &[b, a], at)?;
                        let nowhere = self.int(-1, at);
                        self.table_op("aten::ne", &[place, nowhere], at)?
                    }
                    None => self.table_op(name, &[b, a], at)?,
                };
                if op == CompareOp::In { Ok(found) } else { self.table_op("aten::__not__", &[found], at) }
            }
            CompareOp::Is | CompareOp::IsNot => self.table_op(name, &[a, b], at),
            _ => match self.call_magic(a, magic, &[b], at)? {
                Some(result) => Ok(result),
                None => self.table_op(name, &[a, b], at),
            },
        }
    }

    /// `op a`.
    pub fn unary(&mut self, op: UnaryOp, a: Value, at: Span) -> Typed<Value> {
        let (name, magic) = match op {
            UnaryOp::Neg => ("aten::neg", "__neg__"),
            UnaryOp::Invert => ("aten::bitwise_not", "__invert__"),
            UnaryOp::Not => {
                let truth = self.truth(a, at)?;
                return self.table_op("aten::__not__", &[truth], at);
            }
            UnaryOp::Pos => return Ok(a),
        };
        if let Some(result) = self.call_magic(a, magic, &[], at)? {
            return Ok(result);
        }
        if let Some(literal) = self.graph.as_const(a).cloned() {
            let ty = self.ty(a).clone();
            if op == UnaryOp::Neg
                && let Some((literal, ty)) = crate::constants::negate((literal, ty))
            {
                return Ok(self.graph.add_const(self.block, literal, ty, at));
            }
        }
        self.table_op(name, &[a], at)
    }
}
