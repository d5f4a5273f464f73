//! Operators on ints, floats and bools.

use super::tables::Results;
use super::value::{Abs, Num};
use super::{Run, Specialiser};
use kiln_graph::{Op, OpId, Type};
use kiln_loops::interpret;
use kiln_loops::{Compute, Expr, ExprData, Exprs, Kind, Output, Scalar};
use kiln_ops::{OpError, SchemaType, table};
use kiln_support::DType;

/// A scalar operator's meaning.
type ScalarFn = fn(&mut Exprs, &[Expr]) -> Result<Expr, OpError>;

impl Specialiser<'_> {
    /// Applies a scalar operator: folds it where its operands are known.
    pub(super) fn apply_scalar(&mut self, op: OpId, scalar: ScalarFn, args: &[Abs], types: &[Type]) -> Run<Results> {
        let key = table().key(op);
        let schema = table().schema(op);
        let mut nums = Vec::new();
        for (abs, arg) in args.iter().zip(&schema.args) {
            nums.push(self.scalar_operand(abs, &arg.ty)?);
        }
        let mut compute = Compute::default();
        let operands: Vec<Expr> = nums
            .iter()
            .enumerate()
            .map(|(i, (num, kind))| match num {
                Num::Const(value) => compute.exprs.constant(value.to_kind(*kind)),
                Num::Dyn(_) => compute.exprs.intern(ExprData::Param(i as u32, *kind)),
            })
            .collect();
        let value = scalar(&mut compute.exprs, &operands);
        let Some(value) = self.settle(key, value)? else { return Ok(None) };
        let kind = compute.exprs.kind(value);
        let wanted = match types.first() {
            Some(Type::Int) => Kind::Int,
            Some(Type::Bool) => Kind::Bool,
            Some(Type::Float) => Kind::F64,
            _ => kind,
        };
        if self.guard_division(key, &nums)? {
            return Ok(None);
        }
        if nums.iter().all(|(n, _)| n.known().is_some())
            && let Some(known) = fold(compute, value)
        {
            return Ok(Some(vec![scalar_abs(known.to_kind(wanted))]));
        }
        let mut values = Vec::new();
        for (num, kind) in &nums {
            let num = num.known().map_or(*num, |s| Num::Const(s.to_kind(*kind)));
            values.push(self.emit.num(num));
        }
        let ty = match wanted {
            Kind::Int => Type::Int,
            Kind::Bool => Type::Bool,
            _ => Type::Float,
        };
        let result = self.emit.value(Op::Table(op), values, ty.clone());
        self.value_of_type(result, &ty).map(|abs| Some(vec![abs]))
    }

    /// An operand of the kind that the schema asks for.
    fn scalar_operand(&mut self, abs: &Abs, ty: &SchemaType) -> Run<(Num, Kind)> {
        let (num, own) = match abs {
            Abs::Int(num) => (*num, Kind::Int),
            Abs::Float(num) => (*num, Kind::F64),
            Abs::Bool(num) => (*num, Kind::Bool),
            _ => return Err(self.unsupported("a scalar operator on this value")),
        };
        let kind = match ty {
            SchemaType::Is(Type::Int) => Kind::Int,
            SchemaType::Is(Type::Float) => Kind::F64,
            SchemaType::Is(Type::Bool) => Kind::Bool,
            _ => own,
        };
        if kind == own || num.known().is_some() {
            return Ok((num, kind));
        }
        let value = self.convert(num, own, kind)?;
        Ok((value, kind))
    }

    /// A run-time scalar converted to another kind.
    pub(super) fn convert(&mut self, num: Num, from: Kind, to: Kind) -> Run<Num> {
        if from == to {
            return Ok(num);
        }
        if let Some(scalar) = num.known() {
            return Ok(Num::Const(scalar.to_kind(to)));
        }
        let (key, ty) = match (from, to) {
            (Kind::Int, Kind::F64) => ("aten::Float.int", Type::Float),
            (Kind::Bool, Kind::F64) => ("aten::Float.bool", Type::Float),
            (Kind::F64, Kind::Int) => ("aten::Int.float", Type::Int),
            (Kind::Bool, Kind::Int) => ("aten::Int.bool", Type::Int),
            (Kind::Int, Kind::Bool) => ("aten::Bool.int", Type::Bool),
            (Kind::F64, Kind::Bool) => ("aten::Bool.float", Type::Bool),
            _ => return Err(self.unsupported("this conversion of numbers")),
        };
        let value = self.emit.num(num);
        Ok(Num::Dyn(self.emit.table(key, vec![value], ty)))
    }

    /// Python raises on division by zero. True when it surely does here.
    fn guard_division(&mut self, key: &str, nums: &[(Num, Kind)]) -> Run<bool> {
        let name = &key[..key.find('.').unwrap_or(key.len())];
        let message = match name {
            // Floats follow IEEE 754, and `/` of ints is one of floats.
            "aten::floordiv" | "aten::remainder" if nums.iter().all(|(_, kind)| *kind == Kind::Int) => {
                "integer division or modulo by zero"
            }
            "aten::pow" => return self.guard_power(nums),
            _ => return Ok(false),
        };
        let Some((divisor, kind)) = nums.get(1).copied() else { return Ok(false) };
        match divisor {
            Num::Const(scalar) if !scalar.as_bool() => {
                self.raise::<()>("ZeroDivisionError", message)?;
                Ok(true)
            }
            Num::Const(_) => Ok(false),
            Num::Dyn(value) => {
                let (zero, key) = if kind == Kind::Int {
                    (self.emit.int(0), "aten::eq.int")
                } else {
                    (self.emit.num(Num::Const(Scalar::F64(0.0))), "aten::eq.float")
                };
                let is_zero = self.emit.table(key, vec![value, zero], Type::Bool);
                self.emit.raise_if(is_zero, "ZeroDivisionError", message);
                Ok(false)
            }
        }
    }

    /// Zero has no negative powers. True when the operator surely raises here.
    fn guard_power(&mut self, nums: &[(Num, Kind)]) -> Run<bool> {
        let [(base, base_kind), (exponent, exponent_kind)] = nums else { return Ok(false) };
        let (is_zero, is_negative) = (self.test("eq", *base, *base_kind)?, self.test("lt", *exponent, *exponent_kind)?);
        let raises = match (is_zero, is_negative) {
            (Num::Const(s), _) | (_, Num::Const(s)) if !s.as_bool() => return Ok(false),
            (Num::Const(_), Num::Const(_)) => {
                self.raise::<()>("RuntimeError", "0.0 cannot be raised to a negative power")?;
                return Ok(true);
            }
            (Num::Dyn(test), Num::Const(_)) | (Num::Const(_), Num::Dyn(test)) => test,
            (Num::Dyn(a), Num::Dyn(b)) => self.emit.table("aten::__and__.bool", vec![a, b], Type::Bool),
        };
        self.emit.raise_if(raises, "RuntimeError", "0.0 cannot be raised to a negative power");
        Ok(false)
    }

    /// A number compared with zero (`eq`, `lt`).
    fn test(&mut self, compare: &str, num: Num, kind: Kind) -> Run<Num> {
        if let Some(scalar) = num.known() {
            let holds = if compare == "eq" { scalar.as_f64() == 0.0 } else { scalar.as_f64() < 0.0 };
            return Ok(Num::Const(Scalar::Bool(holds)));
        }
        let (zero, suffix) = if kind == Kind::F64 { (Num::Const(Scalar::F64(0.0)), "float") } else { (Num::int(0), "int") };
        let num = self.convert(num, kind, if kind == Kind::Bool { Kind::Int } else { kind })?;
        let args = vec![self.emit.num(num), self.emit.num(zero)];
        Ok(Num::Dyn(self.emit.table(&format!("aten::{compare}.{suffix}"), args, Type::Bool)))
    }

    /// An operator on `Scalar` arguments as the overload for the kinds that they have.
    pub(super) fn apply_number(&mut self, op: OpId, args: &[Abs], types: &[Type]) -> Run<Option<Results>> {
        let schema = table().schema(op);
        if !schema.args.iter().any(|a| a.ty == SchemaType::Is(Type::Number)) {
            return Ok(None);
        }
        let kinds: Option<Vec<Type>> = args.iter().map(scalar_type).collect();
        let Some(kinds) = kinds else { return Ok(None) };
        let lifted: Vec<Type> = kinds.iter().map(|k| if *k == Type::Bool { Type::Int } else { k.clone() }).collect();
        // Ints beside floats: all as floats.
        let floats = vec![Type::Float; kinds.len()];
        let candidates = if kinds.contains(&Type::Float) { vec![&kinds, &lifted, &floats] } else { vec![&kinds, &lifted] };
        for wanted in candidates {
            let twin = table().overloads(&schema.name).iter().copied().find(|&other| {
                let candidate = table().schema(other);
                other != op
                    && candidate.args.len() == wanted.len()
                    && candidate.args.iter().zip(wanted.iter()).all(|(a, k)| a.ty == SchemaType::Is(k.clone()))
            });
            if let Some(twin) = twin {
                let result_types: Vec<Type> = match &table().schema(twin).returns[..] {
                    [one] => match &one.ty {
                        SchemaType::Is(ty) => vec![ty.clone()],
                        _ => types.to_vec(),
                    },
                    _ => types.to_vec(),
                };
                return self.apply_table(twin, args.to_vec(), &result_types).map(Some);
            }
        }
        Ok(None)
    }
}

fn scalar_type(abs: &Abs) -> Option<Type> {
    match abs {
        Abs::Int(_) => Some(Type::Int),
        Abs::Float(_) => Some(Type::Float),
        Abs::Bool(_) => Some(Type::Bool),
        _ => None,
    }
}

/// The abstract value of a known scalar.
pub(super) fn scalar_abs(scalar: Scalar) -> Abs {
    match scalar {
        Scalar::Bool(b) => Abs::bool(b),
        Scalar::Int(i) => Abs::int(i),
        other => Abs::float(other.as_f64()),
    }
}

/// Evaluates an expression without parameters.
fn fold(mut compute: Compute, value: Expr) -> Option<Scalar> {
    if let Some(known) = compute.exprs.as_const(value) {
        return Some(known);
    }
    let dtype = match compute.exprs.kind(value) {
        Kind::Bool => DType::Bool,
        Kind::Int => DType::I64,
        Kind::F32 => DType::F32,
        Kind::F64 => DType::F64,
    };
    compute.outputs.push(Output { dtype, value });
    let out = interpret::run(&compute, &[], &[], None).ok()?;
    Some(Scalar::read(dtype, &out[0].bytes))
}
