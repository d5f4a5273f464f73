//! The file of a quantization: JSON that a person can read and change.

use super::calibrate::Outcome;
use crate::error::Result;
use kiln_passes::quantize::recipe::{Affine, LayerRecipe, MethodRecipe, Narrow, Precision, Recipe};
use kiln_support::Diagnostic;
use serde_json::{Map, Value, json};
use std::path::Path;

/// What the file says it is.
const FORMAT: &str = "kiln quantization";
const VERSION: u64 = 1;

/// The text of the file.
pub fn write(outcome: &Outcome) -> String {
    let method = &outcome.recipe.methods[0];
    let layers: Vec<Value> = method
        .layers
        .iter()
        .zip(&outcome.layers)
        .map(|(layer, report)| {
            let mut entry = Map::new();
            entry.insert("kind".into(), report.kind.name().into());
            entry.insert("weight".into(), json!(report.weight));
            if !report.place.is_empty() {
                entry.insert("place".into(), report.place.clone().into());
            }
            entry.insert("weights".into(), format!("{:016x}", layer.weights).into());
            match layer.precision {
                Precision::Float => entry.insert("precision".into(), "float".into()),
                Precision::Dynamic => entry.insert("precision".into(), "dynamic".into()),
                Precision::Weights(narrow) => entry.insert("precision".into(), narrow_name(narrow).into()),
                Precision::Int8(affine) => {
                    entry.insert("precision".into(), "int8".into());
                    entry.insert("scale".into(), json!(affine.scale));
                    entry.insert("zero_point".into(), affine.zero_point.into())
                }
            };
            if let Some(affine) = layer.output {
                entry.insert("output".into(), json!({ "scale": affine.scale, "zero_point": affine.zero_point }));
            }
            if !layer.correction.is_empty() {
                entry.insert("correction".into(), json!(layer.correction));
            }
            entry.insert("error".into(), json!(report.errors.map(|[given, _]| given)));
            Value::Object(entry)
        })
        .collect();
    let file = json!({
        "format": FORMAT,
        "version": VERSION,
        "calls": outcome.calls,
        "error": outcome.error,
        "agreement": outcome.agreement,
        "methods": [{ "name": method.name, "layers": layers }],
    });
    format!("{file:#}\n")
}

/// Reads a file.
///
/// # Errors
/// A diagnostic where it cannot be read or is none.
pub fn read(path: &Path) -> Result<Recipe> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Diagnostic::model("file", format!("`{}` cannot be read: {error}", path.display())))?;
    let broken = |why: String| {
        let message = format!("`{}` is not a quantization that kiln wrote: {why}", path.display());
        crate::error::Error::from(Diagnostic::model("quantization", message))
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
    parse(&value).map_err(broken)
}

fn parse(file: &Value) -> std::result::Result<Recipe, String> {
    if file["format"] != FORMAT || file["version"] != VERSION {
        return Err(format!("its format is {}, version {}", file["format"], file["version"]));
    }
    let methods = file["methods"].as_array().ok_or("it has no methods")?;
    Ok(Recipe { methods: methods.iter().map(method).collect::<std::result::Result<_, String>>()? })
}

fn method(value: &Value) -> std::result::Result<MethodRecipe, String> {
    let name = value["name"].as_str().ok_or("a method has no name")?.to_owned();
    let layers = value["layers"].as_array().ok_or_else(|| format!("`{name}` has no layers"))?;
    let at = |(i, value): (usize, &Value)| layer(value).map_err(|why| format!("layer {i} of `{name}`: {why}"));
    Ok(MethodRecipe { layers: layers.iter().enumerate().map(at).collect::<std::result::Result<_, String>>()?, name })
}

const NARROW: [Narrow; 3] = [Narrow::F16, Narrow::Int8, Narrow::Int4];

/// The name of a way to store weights.
pub fn narrow_name(narrow: Narrow) -> &'static str {
    match narrow {
        Narrow::F16 => "fp16 weights",
        Narrow::Int8 => "int8 weights",
        Narrow::Int4 => "int4 weights",
    }
}

fn layer(value: &Value) -> std::result::Result<LayerRecipe, String> {
    let weights = value["weights"].as_str().and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or("no hash of weights")?;
    let precision = match value["precision"].as_str() {
        Some("float") => Precision::Float,
        Some("dynamic") => Precision::Dynamic,
        Some(name) if let Some(&narrow) = NARROW.iter().find(|&&n| narrow_name(n) == name) => Precision::Weights(narrow),
        Some("int8") => Precision::Int8(affine(value)?),
        _ => return Err("its precision is none of float, int8, dynamic, fp16 weights, int8 weights and int4 weights".into()),
    };
    let correction = match &value["correction"] {
        Value::Null => Vec::new(),
        Value::Array(items) => {
            let numbers: Option<Vec<f32>> = items.iter().map(|x| x.as_f64().map(|x| x as f32)).collect();
            numbers.ok_or("its correction holds something else than numbers")?
        }
        _ => return Err("its correction is no list".into()),
    };
    let output = if value["output"].is_null() { None } else { Some(affine(&value["output"])?) };
    Ok(LayerRecipe { weights, precision, output, correction })
}

fn affine(value: &Value) -> std::result::Result<Affine, String> {
    let scale = value["scale"].as_f64().map(|s| s as f32).filter(|s| s.is_finite() && *s > 0.0);
    let zero_point = value["zero_point"].as_u64().and_then(|z| u8::try_from(z).ok());
    let zero_point = zero_point.ok_or("its zero point is no byte")?;
    Ok(Affine { scale: scale.ok_or("its scale is not a positive number")?, zero_point })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantization::calibrate::LayerReport;
    use kiln_passes::quantize::sites::Kind;

    #[test]
    fn what_is_written_is_read() {
        let affine = Affine { scale: 0.012_345_678, zero_point: 131 };
        let layer = |precision| LayerRecipe {
            weights: 0xfedc_ba98_7654_3210,
            precision,
            output: (precision == Precision::Dynamic).then_some(affine),
            correction: vec![0.1, -3.5e-8],
        };
        let mut layers = vec![layer(Precision::Float), layer(Precision::Dynamic), layer(Precision::Int8(affine))];
        layers.extend(NARROW.map(|narrow| layer(Precision::Weights(narrow))));
        let report = |precision| LayerReport {
            kind: Kind::Linear,
            weight: vec![2, 4],
            place: "net.py:3".into(),
            precision,
            errors: Some([0.01, 0.0]),
        };
        let reports = layers.iter().map(|l| report(l.precision)).collect();
        let recipe = Recipe { methods: vec![MethodRecipe { name: "forward".into(), layers }] };
        let outcome = Outcome { recipe: recipe.clone(), layers: reports, error: 0.02, agreement: Some(1.0), calls: 3 };
        let value: Value = serde_json::from_str(&write(&outcome)).unwrap();
        assert_eq!(parse(&value).unwrap(), recipe);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let file =
            |layer: &str| format!(r#"{{"format": "{FORMAT}", "version": 1, "methods": [{{"name": "f", "layers": [{layer}]}}]}}"#);
        let error = |text: &str| parse(&serde_json::from_str(text).unwrap()).unwrap_err();
        assert!(error("{}").contains("its format is null"));
        let no_zero = file(r#"{"weights": "0a", "precision": "int8", "scale": 1}"#);
        assert_eq!(error(&no_zero), "layer 0 of `f`: its zero point is no byte");
        assert!(error(&file(r#"{"weights": "0a", "precision": "int9"}"#)).contains("its precision is none of"));
    }
}
