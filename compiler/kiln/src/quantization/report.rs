//! The report of a quantization: a table for the terminal, and a page with a plot of what each layer loses.

use super::calibrate::{LayerReport, Outcome};
use super::file::narrow_name;
use kiln_passes::quantize::recipe::Precision;
use std::fmt::Write;
use std::time::Duration;

/// What a compiled model takes.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Bytes of weights.
    pub weights: u64,
    /// Bytes of memory for activations.
    pub arena: u64,
    /// Time of a call.
    pub time: Duration,
}

/// What the model takes as it is, and quantized.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// As it is.
    pub float: Cost,
    /// Quantized.
    pub quantized: Cost,
}

fn precision(layer: &LayerReport) -> String {
    match layer.precision {
        Precision::Float => "float".into(),
        Precision::Dynamic => "int8, dynamic".into(),
        Precision::Weights(narrow) => narrow_name(narrow).into(),
        Precision::Int8(affine) => format!("int8, scale {:.3e}, zero {}", affine.scale, affine.zero_point),
    }
}

fn sizes(weight: &[i64]) -> String {
    weight.iter().map(i64::to_string).collect::<Vec<_>>().join("x")
}

fn percent(x: f64) -> String {
    format!("{:.2}%", 100.0 * x)
}

/// Errors of what a layer gives and reads.
fn errors(layer: &LayerReport) -> [String; 2] {
    layer.errors.map_or(["-".into(), "-".into()], |errors| errors.map(percent))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// The sentences above the table.
fn summary(outcome: &Outcome, costs: &Costs) -> Vec<String> {
    let quantized = outcome.layers.iter().filter(|l| l.precision != Precision::Float).count();
    let mut lines = vec![format!("{quantized} of {} layers are quantized", outcome.layers.len())];
    let change = |what: &str, size: fn(&Cost) -> u64| {
        let (before, after) = (size(&costs.float), size(&costs.quantized));
        format!("{what}: {} instead of {} ({:.2}x)", megabytes(after), megabytes(before), after as f64 / before.max(1) as f64)
    };
    lines.push(change("weights", |cost| cost.weights));
    lines.push(change("memory for activations", |cost| cost.arena));
    let [before, after] = [costs.float, costs.quantized].map(|cost| cost.time.as_secs_f64() * 1e3);
    lines.push(format!("time of a call on this machine: {after:.2} ms instead of {before:.2} ms ({:.2}x)", after / before));
    lines.push(format!("error of the results: {} (calls compared: {})", percent(outcome.error), outcome.calls));
    if let Some(agreement) = outcome.agreement {
        lines.push(format!("the largest score is the same in {} of the rows", percent(agreement)));
    }
    lines
}

/// The report as text.
pub fn table(outcome: &Outcome, costs: &Costs) -> String {
    let mut out = summary(outcome, costs).join("\n");
    out.push_str("\n\n layer  kind         weight            error  of which read  precision\n");
    for (i, layer) in outcome.layers.iter().enumerate() {
        let (kind, weight) = (layer.kind.name(), sizes(&layer.weight));
        let [error, inherited] = errors(layer);
        let _ = writeln!(out, "{i:>6}  {kind:<12} {weight:<15} {error:>7} {inherited:>14}  {} {}", precision(layer), layer.place);
    }
    out.trim_end().to_owned()
}

/// The report as a page.
pub fn page(outcome: &Outcome, costs: &Costs, title: &str) -> String {
    let mut rows = String::new();
    for (i, layer) in outcome.layers.iter().enumerate() {
        let [error, inherited] = errors(layer);
        let _ = writeln!(
            rows,
            "<tr><td>{i}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            layer.kind.name(),
            sizes(&layer.weight),
            error,
            inherited,
            precision(layer),
            escaped(&layer.place)
        );
    }
    let lines: String = summary(outcome, costs).iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n<ul>{lines}</ul>\n\
         <h2>Error by layer</h2>\n{}\n<p>The whole bar is the error of what the layer gives, the dark part the error of what it reads. Grey \
         layers compute in binary32; those inside of loops and branches have no bar.</p>\n<table>\n<tr><th>layer</th><th>kind</th><th>weight</th><th>error</th><th>of which read</th>\
         <th>precision</th><th>place</th></tr>\n{rows}</table>\n",
        plot(&outcome.layers),
        title = escaped(title)
    )
}

const STYLE: &str = "body{font:15px system-ui,sans-serif;margin:2em;color:#222;max-width:70em}table{border-collapse:collapse}\
td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd}td{font-variant-numeric:tabular-nums}svg{max-width:100%}";

/// A bar for each layer.
fn plot(layers: &[LayerReport]) -> String {
    const HEIGHT: f64 = 220.0;
    const LEFT: f64 = 60.0;
    let most = layers.iter().flat_map(|l| l.errors.unwrap_or_default()).fold(0.0, f64::max).max(1e-6);
    let step = (860.0 / layers.len().max(1) as f64).min(40.0);
    let y = |value: f64| HEIGHT - HEIGHT * value / most;
    let mut bars = String::new();
    for (i, layer) in layers.iter().enumerate() {
        let (x, width) = (LEFT + step * i as f64, step * 0.8);
        let color = if layer.precision == Precision::Float { "#bbb" } else { "#e07b39" };
        let [error, inherited] = layer.errors.unwrap_or_default();
        for (value, color) in [(error, color), (inherited.min(error), "#7a4419")] {
            let (top, height) = (y(value), HEIGHT - y(value));
            let _ = write!(
                bars,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"><title>layer {i}: {}</title></rect>",
                percent(value)
            );
        }
    }
    let right = LEFT + step * layers.len() as f64;
    let mut axis = String::new();
    let line = tick(most);
    for part in 0..=(most / line) as u32 {
        let (value, at) = (line * f64::from(part), y(line * f64::from(part)));
        let (x, baseline) = (LEFT - 6.0, at + 4.0);
        let _ = write!(axis, "<text x=\"{x:.0}\" y=\"{baseline:.1}\" text-anchor=\"end\">{}</text>", percent(value));
        let _ = write!(axis, "<path d=\"M{LEFT} {at:.1}H{right:.0}\" stroke=\"#ddd\"/>");
    }
    for layer in (0..layers.len()).step_by((24.0 / step).ceil() as usize) {
        let (x, baseline) = (LEFT + step * (layer as f64 + 0.4), HEIGHT + 16.0);
        let _ = write!(axis, "<text x=\"{x:.0}\" y=\"{baseline:.0}\" text-anchor=\"middle\">{layer}</text>");
    }
    let (width, height) = (right + 10.0, HEIGHT + 32.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"12\" viewBox=\"0 -10 {width:.0} {height:.0}\" \
         width=\"{width:.0}\">{axis}{bars}</svg>"
    )
}

/// The distance of about four lines up to `most`: 1, 2 or 5 times a power of ten.
fn tick(most: f64) -> f64 {
    let power = 10f64.powf((most / 4.0).log10().floor());
    [1.0, 2.0, 5.0].iter().map(|digit| digit * power).find(|line| most / line <= 5.0).unwrap_or(10.0 * power)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
