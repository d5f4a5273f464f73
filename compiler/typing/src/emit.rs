//! Calls of operators of the table.

use crate::assign::BoxedHelp;
use crate::body::Body;
use crate::error;
use crate::overload::{Args, Match, Operand, schema_type};
use crate::sugar::Typed;
use kiln_graph::{ClassKind, Literal, Op, OpId, Type, Value};
use kiln_ops::{Schema, SchemaType, table};
use kiln_support::{Diagnostic, Span};

/// Overloads listed in a diagnostic.
const MAX_LISTED: usize = 12;

impl Body<'_, '_> {
    /// Calls an operator by name with positional operands. The result of one without results is None.
    pub fn table_op(&mut self, name: &str, args: &[Value], at: Span) -> Typed<Value> {
        self.call_operator(name, Args::positional(args), at)
    }

    /// Calls an operator by name: the first overload that fits.
    pub fn call_operator(&mut self, name: &str, args: Args, at: Span) -> Typed<Value> {
        if let Some(device) = self.constant_device(name, &args) {
            return Ok(self.graph.add_const(self.block, device, Type::Device, at));
        }
        if let Some(sorted) = self.sort_objects(name, &args, at)? {
            return Ok(sorted);
        }
        // An overload may be named: `aten::add.Tensor`.
        let named = table().find(name).filter(|_| name.contains('.'));
        let overloads = match &named {
            Some(op) => std::slice::from_ref(op),
            None => table().overloads(name),
        };
        // With a single overload there is nothing to choose: conversions are allowed at once.
        let rounds: &[bool] = if overloads.len() == 1 { &[true] } else { &[false, true] };
        for &conversions in rounds {
            for &op in overloads {
                if let Ok(matched) = self.matcher(conversions).schema(table().schema(op), &args) {
                    return self.emit_operator(op, matched, at);
                }
            }
            if let Some(result) = self.builtin_function(name, &args, conversions, at)? {
                return Ok(result);
            }
        }
        Err(self.no_overload(name, overloads, &args, at))
    }

    /// `torch.device("cpu")` of a constant is one.
    fn constant_device(&self, name: &str, args: &Args) -> Option<Literal> {
        match (name, args.positional.as_slice(), args.keywords.as_slice()) {
            ("aten::device", &[text], []) => match self.graph.as_const(text)? {
                Literal::Str(text) => Some(Literal::Device(text.clone())),
                _ => None,
            },
            _ => None,
        }
    }

    fn no_overload(&self, name: &str, overloads: &[OpId], args: &Args, at: Span) -> Box<Diagnostic> {
        let shown = name.strip_prefix("aten::").unwrap_or(name);
        if overloads.is_empty() {
            let near = kiln_support::suggest::near(name, table().names());
            let error = Box::new(Diagnostic::unsupported("unknown-operator", format!("unknown operator `{name}`")).at(at));
            return match near.as_slice() {
                [] => error,
                near => error.help_boxed(&format!("near names: {}", near.join(", "))),
            };
        }
        let types: Vec<String> = args.receiver.iter().chain(&args.positional).map(|&v| self.show(self.ty(v))).collect();
        let keywords = args.keywords.iter().map(|(n, v)| format!("{n}={}", self.show(self.ty(*v))));
        let types = types.into_iter().chain(keywords).collect::<Vec<_>>().join(", ");
        let mut error = error("no-overload", format!("no overload of `{shown}` takes ({types})"), at);
        for &op in overloads.iter().take(MAX_LISTED) {
            let schema = table().schema(op);
            let matcher = self.matcher(true);
            let why = matcher.schema(schema, args).err().unwrap_or_default();
            error = error.note_boxed(format!("{}: {why}", signature(schema)));
        }
        if overloads.len() > MAX_LISTED {
            error = error.note_boxed(format!("and {} more overloads", overloads.len() - MAX_LISTED));
        }
        error
    }

    /// Adds the node of a matched operator, with every argument of its schema.
    pub fn emit_operator(&mut self, op: OpId, matched: Match, at: Span) -> Typed<Value> {
        let schema = table().schema(op);
        let operands = matched.operands.iter().map(|operand| self.operand(schema, operand, at)).collect();
        self.reach_comparisons(schema, &matched, at)?;
        if schema.varreturns {
            return Err(crate::unsupported("unknown-operator", format!("`{}` has no fixed results", schema.key()), at));
        }
        let results = matched.results.into_iter().zip(&schema.returns).map(|(ty, formal)| match packed_class(&schema.name) {
            Some(class) if formal.ty == SchemaType::AnyOf("AnyClassType") => Type::Class(self.session.custom_class(class)),
            _ => ty,
        });
        let results = results.collect();
        let node = self.graph.add_node(self.block, Op::Table(op), operands, results, at);
        let results = self.graph.nodes[node].results.clone();
        Ok(match results.as_slice() {
            [] => self.none(at),
            [one] => *one,
            _ => {
                let ty = Type::tuple(results.iter().map(|&r| self.ty(r).clone()));
                self.add(Op::Tuple(None), results, ty, at)
            }
        })
    }

    fn operand(&mut self, schema: &Schema, operand: &Operand, at: Span) -> Value {
        match operand {
            Operand::Value(value, conversion) => self.apply(*value, conversion, at),
            Operand::Default(i) => {
                let arg = &schema.args[*i];
                let literal = arg.default.clone().expect("only arguments with a default are left out");
                let (literal, ty) = default_value(literal, &arg.ty);
                self.graph.add_const(self.block, literal, ty, at)
            }
            Operand::Pack(items, elem) => {
                let items = items.iter().map(|(value, conversion)| self.apply(*value, conversion, at)).collect();
                self.add(Op::List, items, Type::list(elem.clone()), at)
            }
        }
    }

    /// Sorting objects calls their `__lt__`.
    fn reach_comparisons(&mut self, schema: &Schema, matched: &Match, at: Span) -> Typed<()> {
        if !matches!(schema.name.as_str(), "aten::sort" | "aten::sorted") {
            return Ok(());
        }
        let Some(Operand::Value(list, _)) = matched.operands.first() else { return Ok(()) };
        if let Type::List(elem) = self.ty(*list).clone()
            && let Type::Class(class) = *elem
            && self.session.program.classes[class].kind == ClassKind::Plain
            && let Some(method) = self.session.program.classes[class].method("__lt__")
        {
            self.session.reach(method, at)?;
        }
        Ok(())
    }

    /// Functions that PyTorch defines in TorchScript itself (`builtin_functions.cpp`).
    fn builtin_function(&mut self, name: &str, args: &Args, conversions: bool, at: Span) -> Typed<Option<Value>> {
        if !args.keywords.is_empty() {
            return Ok(None);
        }
        let operands: Vec<Value> = args.receiver.into_iter().chain(args.positional.iter().copied()).collect();
        let is_scalar = |body: &Self, v: Value| {
            matches!(body.ty(v), Type::Int | Type::Float) || (conversions && matches!(body.ty(v), Type::Bool | Type::Number))
        };
        match (name, operands.as_slice()) {
            (_, &[a, b]) if is_scalar(self, a) && self.ty(b).is_tensor() => self.scalar_first(name, a, b, at),
            ("aten::floordiv", &[a, b]) if self.ty(a).is_tensor() && (self.ty(b).is_tensor() || is_scalar(self, b)) => {
                self.table_op("aten::floor_divide", &[a, b], at).map(Some)
            }
            ("prim::ndim", &[a]) => self.table_op("aten::dim", &[a], at).map(Some),
            ("prim::T", &[a]) => self.table_op("aten::numpy_T", &[a], at).map(Some),
            ("prim::shape", &[a]) => self.table_op("aten::size", &[a], at).map(Some),
            ("aten::_single" | "aten::_pair" | "aten::_triple" | "aten::_quadruple", &[a]) => self.repeated_tuple(name, a, at),
            _ => Ok(None),
        }
    }

    /// `scalar op tensor`.
    fn scalar_first(&mut self, name: &str, a: Value, b: Value, at: Span) -> Typed<Option<Value>> {
        let swapped = match name {
            "aten::mul" | "aten::add" | "aten::ne" | "aten::eq" => name,
            "aten::lt" => "aten::gt",
            "aten::le" => "aten::ge",
            "aten::gt" => "aten::lt",
            "aten::ge" => "aten::le",
            "aten::sub" => {
                let negated = self.table_op("aten::neg", &[b], at)?;
                return self.table_op("aten::add", &[negated, a], at).map(Some);
            }
            "aten::div" => {
                let inverse = self.table_op("aten::reciprocal", &[b], at)?;
                return self.table_op("aten::mul", &[inverse, a], at).map(Some);
            }
            _ => return Ok(None),
        };
        self.table_op(swapped, &[b, a], at).map(Some)
    }

    fn repeated_tuple(&mut self, name: &str, value: Value, at: Span) -> Typed<Option<Value>> {
        let count = match name {
            "aten::_single" => 1,
            "aten::_pair" => 2,
            "aten::_triple" => 3,
            _ => 4,
        };
        Ok(match self.ty(value).clone() {
            Type::List(_) => Some(value),
            ty @ (Type::Int | Type::Float) => Some(self.add(Op::List, vec![value; count], Type::list(ty), at)),
            _ => None,
        })
    }
}

/// The custom class that a packing operator gives: schemas keep no class names.
fn packed_class(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "quantized::conv1d_prepack"
        | "quantized::conv2d_prepack"
        | "quantized::conv_transpose1d_prepack"
        | "quantized::conv_transpose2d_prepack" => "__torch__.torch.classes.quantized.Conv2dPackedParamsBase",
        "quantized::conv3d_prepack" | "quantized::conv_transpose3d_prepack" => {
            "__torch__.torch.classes.quantized.Conv3dPackedParamsBase"
        }
        "quantized::make_quantized_cell_params_dynamic" => "__torch__.torch.classes.rnn.CellParamsBase",
        "quantized::linear_prepack" | "quantized::linear_prepack_fp16" | "kiln::cell_input" | "kiln::cell_hidden" => {
            "__torch__.torch.classes.quantized.LinearPackedParamsBase"
        }
        "quantized::embedding_bag_prepack" => "__torch__.torch.classes.quantized.EmbeddingPackedParamsBase",
        _ => return None,
    })
}

/// A default with the type that it has as a constant.
fn default_value(literal: Literal, formal: &SchemaType) -> (Literal, Type) {
    match (formal, literal) {
        (_, Literal::None) => (Literal::None, Type::None),
        (SchemaType::Optional(inner), literal) => default_value(literal, inner),
        (SchemaType::List(elem, _), Literal::List(items)) => {
            let elem_type = match &**elem {
                SchemaType::Is(ty) => ty.clone(),
                _ => Type::Any,
            };
            let items = items.into_iter().map(|item| default_value(item, elem).0).collect();
            (Literal::List(items), Type::list(elem_type))
        }
        (SchemaType::Is(Type::Float), Literal::Int(i)) => (Literal::Float(i as f64), Type::Float),
        (SchemaType::Is(Type::Device), Literal::Str(s)) => (Literal::Device(s), Type::Device),
        (_, literal) => {
            let ty = match &literal {
                Literal::Bool(_) => Type::Bool,
                Literal::Int(_) => Type::Int,
                Literal::Float(_) => Type::Float,
                Literal::Complex(..) => Type::Complex,
                Literal::Str(_) => Type::Str,
                _ => Type::Any,
            };
            (literal, ty)
        }
    }
}

/// A schema's name and arguments for a message.
fn signature(schema: &Schema) -> String {
    let mut args: Vec<String> = schema.args.iter().map(|a| format!("{} {}", schema_type(&a.ty), a.name)).collect();
    if schema.varargs {
        args.push("...".into());
    }
    format!("{}({})", schema.key(), args.join(", "))
}
