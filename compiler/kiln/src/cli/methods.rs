//! From `--method`, `--input` and `--inputs` to the methods that are compiled.

use super::flags::InputFlags;
use crate::arguments::Signature;
use crate::driver::Model;
use crate::error::Result;
use crate::execute::prepare;
use crate::fix::is_plain;
use crate::input_types::{InputType, method, parse_input};
use kiln_frontend::tensors_file::{Call, read_inputs};
use kiln_passes::specialise::Method;
use kiln_support::Diagnostic;

/// Inputs as the command line gives them.
pub enum Given {
    /// Types, by name.
    Types(Vec<(String, InputType)>),
    /// Values to take types from.
    Calls(Vec<Call>),
}

impl Given {
    /// Reads the flags.
    pub fn read(flags: &InputFlags) -> Result<Given> {
        match &flags.inputs {
            Some(_) if !flags.types.is_empty() => {
                Err(Diagnostic::usage("input-type", "`--input` and `--inputs` exclude each other").into())
            }
            Some(path) => Ok(Given::Calls(read_inputs(path)?.calls)),
            None => {
                let types =
                    flags.types.iter().map(|text| parse_input(text)).collect::<std::result::Result<Vec<_>, Diagnostic>>()?;
                if let Some((name, _)) = types.iter().enumerate().find_map(|(at, ty)| types[..at].iter().find(|t| t.0 == ty.0)) {
                    return Err(Diagnostic::usage("input-type", format!("`--input {name}=...` is given twice")).into());
                }
                Ok(Given::Types(types))
            }
        }
    }

    /// The methods to compile: those named, with the given types.
    pub fn methods(&self, model: &mut Model, names: &[String]) -> Result<Vec<Method>> {
        match self {
            Given::Types(types) => named(model, names, types),
            Given::Calls(calls) => {
                let methods = names.iter().map(|name| {
                    let own: Vec<Call> = calls.iter().filter(|call| call.method == *name).cloned().collect();
                    one_of(model, name, &own)
                });
                methods.collect()
            }
        }
    }
}

/// The one signature that all calls of a method have. As with `--input`, an argument that none of them gives keeps its default.
fn one_of(model: &mut Model, name: &str, calls: &[Call]) -> Result<Method> {
    let mut prepared = prepare(model, calls, false)?;
    if let Some(error) = prepared.refused {
        return Err(error);
    }
    let given = are_given(&model.signature(name)?, calls);
    if let Some(fixed) = prepared.fixed_where(model, &|at, value| !given[at] && is_plain(value)) {
        prepared = fixed;
    }
    let mut methods = prepared.methods.into_iter();
    match (methods.next(), methods.next()) {
        (Some(method), None) => Ok(method),
        (None, _) => Err(Diagnostic::usage("input-type-needed", format!("the inputs file has no call of `{name}`")).into()),
        (Some(_), Some(_)) => {
            let message = "the inputs file has calls of one method with inputs of differing types or sizes";
            Err(Diagnostic::usage("input-type", message)
                .help("give the types with --input, and a name in place of a size that varies")
                .into())
        }
    }
}

/// For each parameter, whether some call gives it.
pub fn are_given(signature: &Signature, calls: &[Call]) -> Vec<bool> {
    let is_given = |(at, param): (usize, &str)| {
        calls.iter().any(|call| at < call.args.len() || call.kwargs.iter().any(|(keyword, _)| keyword == param))
    };
    signature.params().iter().map(|p| p.name.as_str()).enumerate().map(is_given).collect()
}

fn named(model: &mut Model, names: &[String], types: &[(String, InputType)]) -> Result<Vec<Method>> {
    let mut methods = Vec::new();
    for name in names {
        let signature = model.signature(name)?;
        // With several methods an input belongs to those that have one of its name.
        let own: Vec<(String, InputType)> = match names.len() {
            1 => types.to_vec(),
            _ => types.iter().filter(|(input, _)| signature.params().iter().any(|p| p.name == *input)).cloned().collect(),
        };
        let typed = method(&signature, &own).map_err(|error| model.error(error))?;
        methods.push(typed.into_method(&mut model.program));
    }
    Ok(methods)
}
