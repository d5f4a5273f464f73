//! The report of a quantization: a table for the terminal, and a page with a plot of what each layer loses.

use super::calibrate::{LayerReport, Outcome};
use super::file::narrow_name;
use kiln_passes::quantize::recipe::Precision;
use std::fmt::Write;

/// Sizes of what the model becomes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Bytes of weights and of memory for activations, as they are.
    pub float: [u64; 2],
    /// The same, quantized.
    pub quantized: [u64; 2],
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

fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// The sentences above the table.
fn summary(outcome: &Outcome, sizes: &Sizes) -> Vec<String> {
    let quantized = outcome.layers.iter().filter(|l| l.precision != Precision::Float).count();
    let mut lines = vec![format!("{quantized} of {} layers are quantized", outcome.layers.len())];
    let change = |what: &str, at: usize| {
        let (before, after) = (sizes.float[at], sizes.quantized[at]);
        format!("{what}: {} instead of {} ({:.2}x)", megabytes(after), megabytes(before), after as f64 / before.max(1) as f64)
    };
    lines.push(change("weights", 0));
    lines.push(change("memory for activations", 1));
    lines.push(format!("error of the results on {} calls: {}", outcome.calls, percent(outcome.error)));
    if let Some(agreement) = outcome.agreement {
        lines.push(format!("the largest score is the same in {} of the rows", percent(agreement)));
    }
    lines
}

/// The report as text.
pub fn table(outcome: &Outcome, bytes: &Sizes) -> String {
    let mut out = summary(outcome, bytes).join("\n");
    out.push_str("\n\n layer  kind         weight            error  of which read  precision\n");
    for (i, layer) in outcome.layers.iter().enumerate() {
        let (kind, weight) = (layer.kind.name(), sizes(&layer.weight));
        let (error, inherited) = (percent(layer.error), percent(layer.inherited));
        let _ = writeln!(out, "{i:>6}  {kind:<12} {weight:<15} {error:>7} {inherited:>14}  {} {}", precision(layer), layer.place);
    }
    out.trim_end().to_owned()
}

/// The report as a page.
pub fn page(outcome: &Outcome, bytes: &Sizes, title: &str) -> String {
    let mut rows = String::new();
    for (i, layer) in outcome.layers.iter().enumerate() {
        let _ = writeln!(
            rows,
            "<tr><td>{i}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            layer.kind.name(),
            sizes(&layer.weight),
            percent(layer.error),
            percent(layer.inherited),
            precision(layer),
            escaped(&layer.place)
        );
    }
    let lines: String = summary(outcome, bytes).iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n<ul>{lines}</ul>\n\
         <h2>Error by layer</h2>\n{}\n<p>The whole bar is the error of what the layer gives, the dark part the error of what it reads. Grey \
         layers compute in binary32.</p>\n<table>\n<tr><th>layer</th><th>kind</th><th>weight</th><th>error</th><th>of which read</th>\
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
    let most = layers.iter().map(|l| l.error.max(l.inherited)).fold(0.0, f64::max).max(1e-6);
    let step = (860.0 / layers.len().max(1) as f64).min(40.0);
    let y = |value: f64| HEIGHT - HEIGHT * value / most;
    let mut bars = String::new();
    for (i, layer) in layers.iter().enumerate() {
        let (x, width) = (LEFT + step * i as f64, step * 0.8);
        let color = if layer.precision == Precision::Float { "#bbb" } else { "#e07b39" };
        for (value, color) in [(layer.error, color), (layer.inherited.min(layer.error), "#7a4419")] {
            let (top, height) = (y(value), HEIGHT - y(value));
            let _ = write!(
                bars,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"><title>layer {i}: {}</title></rect>",
                percent(value)
            );
        }
    }
    let mut axis = String::new();
    for part in 0..=4 {
        let value = most * f64::from(part) / 4.0;
        let at = y(value);
        let _ = write!(
            axis,
            "<text x=\"{:.0}\" y=\"{:.1}\" font-size=\"12\" text-anchor=\"end\">{}</text><path d=\"M{LEFT} {at:.1}H{:.0}\" stroke=\"#ddd\"/>",
            LEFT - 6.0,
            at + 4.0,
            percent(value),
            LEFT + step * layers.len() as f64
        );
    }
    let width = LEFT + step * layers.len() as f64 + 10.0;
    format!("<svg viewBox=\"0 -10 {width:.0} {:.0}\" width=\"{width:.0}\">{axis}{bars}</svg>", HEIGHT + 20.0)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
