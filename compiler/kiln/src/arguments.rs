//! Arguments of a call against the signature of a method, by PyTorch's rules.
//!
//! In: positional and keyword arguments. Out: one value per parameter, converted to what the parameter declares (an
//! int for a float, a tuple for a list), defaults filled in. Errors read as PyTorch's own
//! (`FunctionSchema::checkAndNormalizeInputs`, `toIValue`).

use kiln_frontend::tensors_file::{Call, InputValue};
use kiln_graph::{ClassKind, FuncId, Literal, Param, Program, Type};
use kiln_support::Diagnostic;

/// A method as it is called from outside.
#[derive(Clone, Copy)]
pub struct Signature<'p> {
    /// The program.
    pub program: &'p Program,
    /// The method's name.
    pub name: &'p str,
    /// Its function.
    pub func: FuncId,
}

impl Signature<'_> {
    /// The parameters without the receiver.
    pub fn params(&self) -> &[Param] {
        &self.program.funcs[self.func].params[1..]
    }

    /// The declaration as PyTorch prints it: `forward(__torch__.M self, Tensor x) -> Tensor`.
    pub fn declaration(&self) -> String {
        let function = &self.program.funcs[self.func];
        let params: Vec<String> = function
            .params
            .iter()
            .map(|p| {
                let default = p.default.as_ref().map(|d| format!("={}", python_literal(d))).unwrap_or_default();
                format!("{} {}{default}", p.ty.display(self.program), p.name)
            })
            .collect();
        format!("{}({}) -> {}", self.name, params.join(", "), function.returns.display(self.program))
    }

    /// One value per parameter.
    pub fn bind(&self, call: &Call) -> Result<Vec<InputValue>, Diagnostic> {
        let params = self.params();
        let positional = params.iter().filter(|p| !p.keyword_only).count();
        if call.args.len() > positional {
            let (most, found) = (positional + 1, call.args.len() + 1);
            return Err(self.error(format!("expected at most {most} argument(s) but received {found} argument(s).")));
        }
        let bound = params.iter().enumerate().map(|(at, param)| self.argument(call, at, param)).collect::<Result<_, _>>()?;
        self.check_keywords(call)?;
        Ok(bound)
    }

    fn argument(&self, call: &Call, at: usize, param: &Param) -> Result<InputValue, Diagnostic> {
        let named = call.kwargs.iter().find(|(name, _)| *name == param.name).map(|(_, value)| value);
        let given = if at < call.args.len() { call.args.get(at) } else { named };
        let Some(value) = given else {
            let default = param.default.as_ref().and_then(literal_value);
            return default.ok_or_else(|| self.error(format!("is missing value for argument '{}'.", param.name)));
        };
        convert(value, &param.ty, self.program).ok_or_else(|| {
            let (wanted, found) = (param.ty.display(self.program), python_type(value));
            let name = &param.name;
            self.error(format!("Expected a value of type '{wanted}' for argument '{name}' but instead found type '{found}'."))
                .note(format!("Position: {}", at + 1))
        })
    }

    fn check_keywords(&self, call: &Call) -> Result<(), Diagnostic> {
        for (name, _) in &call.kwargs {
            let at = self.params().iter().position(|p| p.name == *name);
            match at {
                None => return Err(self.error(format!("Unknown keyword argument '{name}'."))),
                Some(at) if at < call.args.len() => {
                    return Err(self.error(format!("Argument '{name}' specified both as positional and keyword argument.")));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn error(&self, message: String) -> Diagnostic {
        Diagnostic::model("arguments", format!("{}() {message}", self.name)).note(format!("Declaration: {}", self.declaration()))
    }
}

/// A value as a value of a declared type, where it can be one.
pub fn convert(value: &InputValue, ty: &Type, program: &Program) -> Option<InputValue> {
    use InputValue as V;
    Some(match (ty, value) {
        (Type::Any | Type::Opaque(_), value) => value.clone(),
        (Type::Tensor(_), V::Tensor(_)) | (Type::None, V::None) | (Type::Str | Type::Device, V::Str(_)) => value.clone(),
        (Type::Int, _) => V::Int(int(value)?),
        (Type::Float, _) => V::Float(float(value)?),
        (Type::Bool, _) => V::Bool(boolean(value)?),
        (Type::Number, V::Int(_) | V::Float(_) | V::Bool(_)) => value.clone(),
        (Type::Optional(_), V::None) => V::None,
        (Type::Optional(inner), _) => convert(value, inner, program)?,
        (Type::Union(members), _) => member(value, members, program)?,
        (Type::List(elem), V::List(items) | V::Tuple(items)) => V::List(all(items, |item| convert(item, elem, program))?),
        (Type::Dict(types), V::Dict(items)) => {
            V::Dict(all(items, |(k, v)| Some((convert(k, &types.0, program)?, convert(v, &types.1, program)?)))?)
        }
        (Type::Tuple(types), _) => V::Tuple(fields(value, types, program)?),
        (Type::Class(class), _) => {
            let class = &program.classes[*class];
            if class.kind != ClassKind::NamedTuple {
                return None;
            }
            let types: Vec<Type> = class.fields.iter().map(|f| f.ty.clone()).collect();
            let names = class.fields.iter().map(|f| f.name.clone());
            V::NamedTuple { name: class.name.clone(), fields: names.zip(fields(value, &types, program)?).collect() }
        }
        _ => return None,
    })
}

fn all<T, U>(items: &[T], each: impl FnMut(&T) -> Option<U>) -> Option<Vec<U>> {
    items.iter().map(each).collect()
}

/// The elements of a tuple of these types.
fn fields(value: &InputValue, types: &[Type], program: &Program) -> Option<Vec<InputValue>> {
    let items: Vec<&InputValue> = match value {
        InputValue::Tuple(items) => items.iter().collect(),
        InputValue::NamedTuple { fields, .. } => fields.iter().map(|(_, item)| item).collect(),
        _ => return None,
    };
    if items.len() != types.len() {
        return None;
    }
    items.iter().zip(types).map(|(item, ty)| convert(item, ty, program)).collect()
}

/// The value as one of a union's members: one that it is already, before one that it can become.
fn member(value: &InputValue, members: &[Type], program: &Program) -> Option<InputValue> {
    let converted: Vec<InputValue> = members.iter().filter_map(|ty| convert(value, ty, program)).collect();
    converted.iter().find(|c| *c == value).or(converted.first()).cloned()
}

fn single(value: &InputValue) -> Option<kiln_support::tensor::Number> {
    match value {
        InputValue::Tensor(tensor) if tensor.len() == 1 => Some(tensor.get(0)),
        _ => None,
    }
}

fn int(value: &InputValue) -> Option<i64> {
    match value {
        InputValue::Int(i) => Some(*i),
        InputValue::Bool(b) => Some(i64::from(*b)),
        InputValue::Tensor(tensor) if tensor.dtype.is_integral(true) => single(value).map(|n| n.as_i64()),
        _ => None,
    }
}

fn float(value: &InputValue) -> Option<f64> {
    match value {
        InputValue::Float(f) => Some(*f),
        InputValue::Int(i) => Some(*i as f64),
        InputValue::Bool(b) => Some(f64::from(u8::from(*b))),
        _ => single(value).map(|n| n.as_f64()),
    }
}

fn boolean(value: &InputValue) -> Option<bool> {
    match value {
        InputValue::Bool(b) => Some(*b),
        InputValue::Int(i) => Some(*i != 0),
        InputValue::Float(f) => Some(*f != 0.0),
        _ => single(value).map(|n| n.as_bool()),
    }
}

/// The value of a default.
pub fn literal_value(literal: &Literal) -> Option<InputValue> {
    Some(match literal {
        Literal::None => InputValue::None,
        Literal::Bool(b) => InputValue::Bool(*b),
        Literal::Int(i) => InputValue::Int(*i),
        Literal::Float(f) => InputValue::Float(*f),
        Literal::Str(text) | Literal::Device(text) => InputValue::Str(text.clone()),
        Literal::List(items) => InputValue::List(all(items, literal_value)?),
        Literal::Tensor(tensor) => InputValue::Tensor(tensor.clone()),
        Literal::Complex(..) => return None,
    })
}

fn python_literal(literal: &Literal) -> String {
    match literal {
        Literal::None => "None".into(),
        Literal::Bool(b) => if *b { "True" } else { "False" }.into(),
        other => other.to_string(),
    }
}

/// The type's name as Python's errors say it.
pub fn python_type(value: &InputValue) -> &str {
    match value {
        InputValue::None => "NoneType",
        InputValue::Bool(_) => "bool",
        InputValue::Int(_) => "int",
        InputValue::Float(_) => "float",
        InputValue::Str(_) => "str",
        InputValue::Tensor(_) => "Tensor",
        InputValue::List(_) => "list",
        InputValue::Tuple(_) => "tuple",
        InputValue::Dict(_) => "dict",
        InputValue::NamedTuple { name, .. } => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_graph::{Function, Graph};
    use kiln_support::{Span, TensorData};

    /// `forward(Tensor self, int n, float scale=2.0, List[int] dims=[1])`.
    fn program() -> (Program, FuncId) {
        let param = |name: &str, ty: Type, default: Option<Literal>| Param {
            name: name.into(),
            ty,
            default,
            keyword_only: false,
            broadcasts: None,
        };
        let params = vec![
            param("self", Type::TENSOR, None),
            param("n", Type::Int, None),
            param("scale", Type::Float, Some(Literal::Float(2.0))),
            param("dims", Type::list(Type::Int), Some(Literal::ints(&[1]))),
        ];
        let mut program = Program::default();
        let function = Function { name: "f".into(), params, returns: Type::None, body: Graph::new(), span: Span::NONE };
        let func = program.funcs.push(function);
        (program, func)
    }

    fn bind(args: Vec<InputValue>, kwargs: &[(&str, InputValue)]) -> Result<Vec<InputValue>, String> {
        let (program, func) = program();
        let signature = Signature { program: &program, name: "forward", func };
        let kwargs = kwargs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        signature.bind(&Call::forward(args, kwargs)).map_err(|d| d.message)
    }

    #[test]
    fn defaults_and_keywords_fill_in() {
        use InputValue::{Float, Int, List, Tuple};
        assert_eq!(bind(vec![Int(3)], &[]), Ok(vec![Int(3), Float(2.0), List(vec![Int(1)])]));
        let dims = Tuple(vec![Int(5)]);
        assert_eq!(bind(vec![], &[("dims", dims), ("n", Int(1))]), Ok(vec![Int(1), Float(2.0), List(vec![Int(5)])]));
        assert_eq!(bind(vec![Int(3), Int(4)], &[]).unwrap()[1], Float(4.0));
    }

    #[test]
    fn misfits_read_as_pytorch_says_them() {
        use InputValue::{Float, Int};
        let message = bind(vec![Float(1.5)], &[]).unwrap_err();
        assert_eq!(message, "forward() Expected a value of type 'int' for argument 'n' but instead found type 'float'.");
        assert_eq!(bind(vec![], &[]).unwrap_err(), "forward() is missing value for argument 'n'.");
        assert!(bind(vec![Int(1); 5], &[]).unwrap_err().contains("at most 4 argument(s) but received 6"));
        assert!(bind(vec![Int(1)], &[("k", Int(1))]).unwrap_err().contains("Unknown keyword argument 'k'"));
        assert!(bind(vec![Int(1)], &[("n", Int(1))]).unwrap_err().contains("both as positional and keyword"));
    }

    #[test]
    fn unions_prefer_the_member_that_fits_as_it_is() {
        let program = Program::default();
        let union = Type::union([Type::Float, Type::Int, Type::TENSOR]);
        assert_eq!(convert(&InputValue::Int(1), &union, &program), Some(InputValue::Int(1)));
        let tensor = InputValue::Tensor(TensorData::from_f32(&[2], &[1.0, 2.0]));
        assert_eq!(convert(&tensor, &union, &program), Some(tensor.clone()));
        assert_eq!(convert(&tensor, &Type::Int, &program), None);
    }
}
