//! The file that keeps how products and convolutions are computed for one target and CPU, as `kiln compile --tune` has measured it.

use crate::error::Result;
use crate::target::Target;
use kiln_schedule::kernels::choices::{Choice, Choices};
use kiln_support::Diagnostic;
use serde_json::{Map, Value, json};
use std::path::Path;

/// What the file says it is.
const FORMAT: &str = "kiln tuning";
const VERSION: u64 = 1;

/// Writes a file.
///
/// # Errors
/// A diagnostic where it cannot be written.
pub fn write(file: &Path, choices: &Choices, target: &Target) -> Result<()> {
    let entry = |choice: &Choice| {
        let said = [("panel", choice.panel), ("winograd", choice.winograd)];
        said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))).collect::<Map<String, Value>>()
    };
    let known: Map<String, Value> =
        choices.known.iter().map(|(problem, choice)| (problem.clone(), Value::Object(entry(choice)))).collect();
    let value = json!({
        "format": FORMAT,
        "version": VERSION,
        "target": target.name,
        "features": target.features,
        "threads": target.settings.is_parallel(),
        "strict": target.settings.strict,
        "choices": known,
    });
    write_text(file, &format!("{value:#}\n"))
}

/// Makes an empty file, which holds no choices.
///
/// # Errors
/// As [`write`].
pub fn reserve(file: &Path) -> Result<()> {
    write_text(file, "")
}

fn write_text(file: &Path, text: &str) -> Result<()> {
    let unwritable = |error| Diagnostic::model("file", format!("`{}` cannot be written: {error}", file.display()));
    Ok(std::fs::write(file, text).map_err(unwritable)?)
}

/// Reads a file that was written for this target.
///
/// # Errors
/// A diagnostic where it cannot be read, is none, or was written for another target or CPU.
pub fn read(file: &Path, target: &Target) -> Result<Choices> {
    let bad = |what: &str| Diagnostic::model("tune", format!("`{}` {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| bad(&format!("cannot be read: {error}")))?;
    let help = "measure again: name a file that does not exist";
    let value: Value = serde_json::from_str(&text).map_err(|error| bad(&format!("is not JSON: {error}")).help(help))?;
    if value["format"] != FORMAT || value["version"] != VERSION {
        return Err(bad("is not what this version of kiln writes with --tune").help(help).into());
    }
    if !target.variants.is_empty() {
        return Err(Diagnostic::usage("tune", "choices that were measured are for one target and one CPU").into());
    }
    if value["target"] != target.name.as_str() || value["features"] != json!(target.features) {
        return Err(bad("was measured for another target or CPU").help(help).into());
    }
    let settings = [("threads", target.settings.is_parallel()), ("strict", target.settings.strict)];
    if let Some((setting, _)) = settings.iter().find(|(key, is)| value[key] != *is) {
        return Err(bad(&format!("was measured with another setting of {setting}")).help(help).into());
    }
    let known = value["choices"].as_object().ok_or_else(|| bad("has no choices"))?;
    let number = |value: &Value, key: &str| value[key].as_u64().and_then(|n| usize::try_from(n).ok());
    let choice = |value| Choice { panel: number(value, "panel"), winograd: number(value, "winograd") };
    let known = known.iter().map(|(problem, value)| (problem.clone(), choice(value))).collect();
    Ok(Choices { known, other: Choice::default() })
}
