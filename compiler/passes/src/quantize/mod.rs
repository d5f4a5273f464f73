//! Carries out a recipe of quantization: layers that it names compute with bytes.
//!
//! Weights become signed bytes with a scale for each output channel. The activation that a layer reads becomes unsigned bytes where it is
//! made, and everyone else reads the numbers that those stand for, so that only bytes are in memory. Pools and views between a layer
//! and the next are computed on the bytes. The sums of products are exact; what follows (the scale, the bias, activation functions,
//! residual sums) is computed in binary32 in the kernel that made them, and rounded once:
//!
//! ```text
//! q = clamp(round(x * (1 / scale)) + zero_point, 0, 255)          ties to even
//! y = fma(sum of (q - zero_point) * w, scale * w_scale, bias)
//! ```

mod dynamic;
mod narrow;
pub mod recipe;
pub mod sites;

use crate::rewrite::{Rewriter, Rule, rewrite_with};
use kiln_graph::{Graph, Literal, NodeData, Op, ResidualMethod, TensorType, Type, Value};
use kiln_ops::{Body, entry, table};
use kiln_support::{DType, TensorData};
use recipe::{Affine, LayerRecipe, MethodRecipe, Narrow, Precision};
use sites::{Kind, Site, sites};
use std::collections::HashMap;
use std::sync::Arc;

/// Rewrites a method. With `observe` its result becomes a tuple of the result and, for each layer outside of loops and branches, of what it reads (before it
/// becomes bytes) and what it gives.
///
/// # Errors
/// A sentence, where the recipe is for other layers than the method has.
pub fn quantize(method: &mut ResidualMethod, recipe: &MethodRecipe, observe: bool) -> Result<(), String> {
    let found = sites(&method.graph);
    check(&found, recipe)?;
    let mut points = HashMap::new();
    for (site, layer) in found.iter().zip(&recipe.layers) {
        if let Precision::Int8(affine) = layer.precision {
            for value in moved_from(&method.graph, site.input) {
                points.entry(value).or_insert(affine);
            }
        }
        if let Some(affine) = layer.output {
            points.entry(site.output).or_insert(affine);
        }
    }
    let mut rule =
        Quantize { old: &method.graph, sites: &found, recipe, points, bytes: HashMap::new(), seen: vec![None; found.len()] };
    let result = method.result.clone();
    let mut observed = None;
    let graph = rewrite_with(&method.graph, &mut rule, &mut |rw, rule| {
        if observe {
            observed = Some(observe_layers(rw, &rule.seen, &result));
        }
    });
    method.graph = graph;
    if let Some(result) = observed {
        method.result = result;
    }
    Ok(())
}

fn check(found: &[Site], recipe: &MethodRecipe) -> Result<(), String> {
    let (own, given) = (found.len(), recipe.layers.len());
    if own != given {
        return Err(format!("it is for {given} layers, and `{}` has {own}", recipe.name));
    }
    for (at, (site, layer)) in found.iter().zip(&recipe.layers).enumerate() {
        let wrong = |what: &str| Err(format!("layer {at} of `{}` {what}", recipe.name));
        if site.hash != layer.weights {
            return wrong("has other weights");
        }
        if site.is_inside && matches!(layer.precision, Precision::Int8(_)) {
            return wrong("is in a loop or branch, where its range is known only when it runs (`dynamic`)");
        }
        if !suits(site, layer.precision) {
            return wrong(&format!("is of a kind ({}) that has no such precision", site.kind.name()));
        }
        if layer.output.is_some() && !(site.is_summed && matches!(layer.precision, Precision::Int8(_))) {
            return wrong("gives bytes, but its result is no number of a residual sum");
        }
        let has_bias = site.kind != Kind::Embedding && layer.precision != Precision::Float;
        let fits = has_bias && layer.correction.len() as i64 == site.weight[0];
        if !(layer.correction.is_empty() || fits) {
            return wrong("has a correction for another number of channels");
        }
    }
    Ok(())
}

/// Whether a layer can compute so.
fn suits(site: &Site, precision: Precision) -> bool {
    match (precision, site.kind) {
        (Precision::Float, _) => true,
        (Precision::Int8(_), kind) => kind != Kind::Embedding,
        (Precision::Dynamic, kind) => kind == Kind::Linear,
        (Precision::Weights(_), Kind::Convolution | Kind::Depthwise) => false,
        (Precision::Weights(Narrow::Int8), kind) => kind == Kind::Embedding,
        (Precision::Weights(Narrow::Int4), _) => site.weight[1] % 2 == 0,
        (Precision::Weights(Narrow::F16), _) => true,
    }
}

/// The result and what was seen of each layer, as one tuple; gives its type.
fn observe_layers(rw: &mut Rewriter, seen: &[Option<(Value, Value)>], result: &Type) -> Type {
    let block = rw.graph.entry;
    let mut values = rw.graph.blocks[block].yields.clone();
    let mut types = vec![result.clone()];
    for value in seen.iter().flat_map(|pair| pair.map_or(Vec::new(), |(x, y)| vec![x, y])) {
        let boxed = rw.graph.add_value(block, Op::Box, vec![value], Type::TENSOR, kiln_support::Span::NONE);
        values.push(boxed);
        types.push(rw.graph.ty(value).clone());
    }
    let plain = Type::tuple(values.iter().map(|&v| rw.graph.ty(v).clone()));
    let all = rw.graph.add_value(block, Op::Tuple(None), values, plain, kiln_support::Span::NONE);
    rw.graph.blocks[block].yields = vec![all];
    Type::tuple(types)
}

struct Quantize<'a> {
    old: &'a Graph,
    sites: &'a [Site],
    recipe: &'a MethodRecipe,
    /// Values of the old graph that become bytes.
    points: HashMap<Value, Affine>,
    /// Those that have, by the number they stand for in the new graph.
    bytes: HashMap<Value, (Value, Affine)>,
    /// What each layer reads and gives, in the new graph.
    seen: Vec<Option<(Value, Value)>>,
}

/// Operators that only move or choose elements, the same bytes for the same numbers.
const MOVING: &[&str] = &["aten::max_pool2d"];

/// A value, and what it is moved from: bytes are made before numbers are moved.
fn moved_from(graph: &Graph, value: Value) -> Vec<Value> {
    let mut chain = vec![value];
    let mut last = value;
    while let Some(node) = graph.def_node(last).map(|node| &graph.nodes[node])
        && is_moving(&node.op)
        && graph.ty(node.args[0]).as_tensor().is_some_and(|ty| ty.dtype == DType::F32)
    {
        last = node.args[0];
        chain.push(last);
    }
    chain
}

fn is_moving(op: &Op) -> bool {
    let Op::Table(op) = op else { return false };
    let key = table().key(*op);
    MOVING.contains(&key) || matches!(entry(key).map(|e| e.body), Some(Body::View { .. }))
}

impl Rule for Quantize<'_> {
    fn apply(&mut self, rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Vec<Value>> {
        let at = node.results.first().and_then(|r| self.sites.iter().position(|s| s.output == *r));
        let [result] = node.results.as_slice() else { return None };
        if let Some(moved) = self.moved(rw, node, args) {
            return Some(vec![moved]);
        }
        let value = match at {
            Some(at) => self.layer(rw, node, at, args),
            None if self.points.contains_key(result) => rw.copied(node, args)[0],
            None => return None,
        };
        if let Some(at) = at.filter(|&at| !self.sites[at].is_inside) {
            self.seen[at] = Some((self.raw(rw, args[self.sites[at].kind.operands()[0]]), value));
        }
        match self.points.get(result) {
            Some(&affine) => Some(vec![self.rounded(rw, value, affine, node)]),
            None => Some(vec![value]),
        }
    }
}

impl Quantize<'_> {
    /// What a value was before it became bytes.
    fn raw(&self, rw: &Rewriter, value: Value) -> Value {
        rw.origin(value).unwrap_or(value)
    }

    /// A layer: with bytes where the recipe says so.
    fn layer(&mut self, rw: &mut Rewriter, node: &NodeData, at: usize, args: &[Value]) -> Value {
        let (site, layer) = (&self.sites[at], &self.recipe.layers[at]);
        // What a branch or loop gives is not rounded where it is made.
        let input = match layer.precision {
            Precision::Int8(affine) if !self.bytes.contains_key(&args[0]) => self.rounded(rw, args[0], affine, node),
            _ => args[0],
        };
        let bytes = self.bytes.get(&input).copied();
        let (Precision::Int8(_), Some((input, affine))) = (layer.precision, bytes) else {
            return match (layer.precision, site.kind) {
                (Precision::Weights(narrow), Kind::Linear) => narrow::linear(rw, self.old, site, layer, narrow, node, args),
                (Precision::Weights(narrow), Kind::Embedding) => narrow::embedding(rw, self.old, site, narrow, node, args),
                (Precision::Dynamic, Kind::Linear) => dynamic::linear(rw, self.old, site, layer, node, args),
                _ => rw.copied(node, args)[0],
            };
        };
        let (weights, scales) = quantized_weights(self.old, site);
        let factors: Vec<f32> = scales.iter().map(|s| s * affine.scale).collect();
        let zero_point = rw.constant(Literal::Int(affine.zero_point.into()), Type::Int);
        let out = rw.result_facts(node).expect("a layer gives a tensor");
        let sums = tensor_type(DType::I32, &out);
        let sums = match site.kind {
            Kind::Linear => {
                let weights = rw.tensor(transposed_bytes(&weights));
                rw.table("kiln::mm_int8", vec![input, weights, zero_point], sums, node)
            }
            Kind::Convolution | Kind::Depthwise => {
                let weights = rw.tensor(weights);
                let mut operands = args.to_vec();
                operands[..3].copy_from_slice(&[input, weights, zero_point]);
                rw.table("kiln::conv_int8", operands, sums, node)
            }
            Kind::Embedding => unreachable!("rows of a table are no product"),
        };
        let float = rw.constant(Literal::Int(DType::F32.code()), Type::Int);
        let sums = rw.table("kiln::convert", vec![sums, float], tensor_type(DType::F32, &out), node);
        let bias = layer_bias(rw, site, args, layer, scales.len());
        let shape = channel_shape(site.kind, scales.len());
        let factors = rw.tensor(TensorData::from_f32(&shape, &factors));
        let bias = rw.tensor(TensorData::from_f32(&shape, &bias));
        rw.table("kiln::fma", vec![sums, factors, bias], tensor_type(DType::F32, &out), node)
    }

    /// A value as bytes, and the numbers that they stand for.
    fn rounded(&mut self, rw: &mut Rewriter, value: Value, affine: Affine, node: &NodeData) -> Value {
        let ty = rw.facts(value).expect("a tensor").clone();
        let (float, one) = (tensor_type(DType::F32, &ty), rw.constant(Literal::Int(1), Type::Int));
        let inverse = rw.constant(Literal::Float(f64::from(1.0 / affine.scale)), Type::Float);
        let mut x = rw.table("aten::mul.Scalar", vec![value, inverse], float.clone(), node);
        x = rw.table("aten::round", vec![x], float.clone(), node);
        if affine.zero_point != 0 {
            let zero = rw.constant(Literal::Int(affine.zero_point.into()), Type::Int);
            x = rw.table("aten::add.Scalar", vec![x, zero, one], float.clone(), node);
        }
        let (low, high) = (rw.constant(Literal::Int(0), Type::Int), rw.constant(Literal::Int(255), Type::Int));
        x = rw.table("aten::clamp", vec![x, low, high], float, node);
        let byte = rw.constant(Literal::Int(DType::U8.code()), Type::Int);
        let bytes = rw.table("kiln::convert", vec![x, byte], tensor_type(DType::U8, &ty), node);
        let numbers = self.numbers(rw, bytes, affine, node);
        rw.set_origin(numbers, value);
        numbers
    }

    /// The numbers that bytes stand for.
    fn numbers(&mut self, rw: &mut Rewriter, bytes: Value, affine: Affine, node: &NodeData) -> Value {
        let ty = rw.facts(bytes).expect("a tensor").clone();
        let (float, one) = (tensor_type(DType::F32, &ty), rw.constant(Literal::Int(1), Type::Int));
        let code = rw.constant(Literal::Int(DType::F32.code()), Type::Int);
        let mut x = rw.table("kiln::convert", vec![bytes, code], float.clone(), node);
        if affine.zero_point != 0 {
            let zero = rw.constant(Literal::Int(affine.zero_point.into()), Type::Int);
            x = rw.table("aten::sub.Scalar", vec![x, zero, one], float.clone(), node);
        }
        let scale = rw.constant(Literal::Float(f64::from(affine.scale)), Type::Float);
        x = rw.table("aten::mul.Scalar", vec![x, scale], float, node);
        self.bytes.insert(x, (bytes, affine));
        x
    }

    /// An operator that moves elements, on the bytes of its operand, if those are there.
    fn moved(&mut self, rw: &mut Rewriter, node: &NodeData, args: &[Value]) -> Option<Value> {
        let Op::Table(op) = node.op else { return None };
        let (bytes, affine) = self.bytes.get(args.first()?).copied()?;
        if !is_moving(&node.op) {
            return None;
        }
        let mut operands = args.to_vec();
        operands[0] = bytes;
        let out = rw.result_facts(node)?;
        let moved = rw.table(table().key(op), operands, tensor_type(DType::U8, &out), node);
        let numbers = self.numbers(rw, moved, affine, node);
        Some(numbers)
    }
}

/// A tensor type with the sizes of another.
fn tensor_type(dtype: DType, like: &TensorType) -> Type {
    Type::Tensor(Some(Arc::new(TensorType { dtype, dims: like.dims.clone() })))
}

/// Sizes under which one value for each output channel is broadcast.
fn channel_shape(kind: Kind, channels: usize) -> Vec<i64> {
    match kind {
        Kind::Linear | Kind::Embedding => vec![channels as i64],
        Kind::Convolution | Kind::Depthwise => vec![channels as i64, 1, 1],
    }
}

/// What is added to each output channel: the layer's bias and the recipe's correction.
fn layer_bias(rw: &Rewriter, site: &Site, args: &[Value], layer: &LayerRecipe, channels: usize) -> Vec<f32> {
    let mut bias = match (site.kind, args.get(2).and_then(|&b| rw.const_tensor(b))) {
        (Kind::Convolution | Kind::Depthwise, Some(bias)) => bias.to_f32(),
        _ => vec![0.0; channels],
    };
    bias.iter_mut().zip(&layer.correction).for_each(|(b, c)| *b += c);
    bias
}

/// The weights of a layer as signed bytes, output channels first, with the scale of each channel.
pub fn quantized_weights(graph: &Graph, site: &Site) -> (TensorData, Vec<f32>) {
    let weights = sites::site_weights(graph, site);
    let (values, channels) = (weights.to_f32(), weights.shape[0] as usize);
    let row = values.len() / channels.max(1);
    let mut bytes = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(channels);
    for channel in values.chunks(row.max(1)) {
        let largest = channel.iter().fold(0f32, |m, w| m.max(w.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        scales.push(scale);
        bytes.extend(channel.iter().map(|w| (w / scale).round_ties_even().clamp(-127.0, 127.0) as i8 as u8));
    }
    (TensorData::new(DType::I8, weights.shape, bytes), scales)
}

/// A matrix of bytes `[out, in]` as `[in, out]`.
fn transposed_bytes(matrix: &TensorData) -> TensorData {
    let [rows, columns] = [matrix.shape[0] as usize, matrix.shape[1] as usize];
    let bytes: Vec<u8> =
        (0..columns).flat_map(|c| (0..rows).map(move |r| (r, c))).map(|(r, c)| matrix.bytes[r * columns + c]).collect();
    TensorData::new(matrix.dtype, vec![columns as i64, rows as i64], bytes)
}

/// What is lost of the weights of a layer: `w - quantized w` for each, output channels first.
pub fn weight_errors(graph: &Graph, site: &Site, precision: Precision) -> Vec<f32> {
    let weights = sites::site_weights(graph, site).to_f32();
    match precision {
        Precision::Float => return vec![0.0; weights.len()],
        Precision::Weights(Narrow::F16) => return narrow::f16_errors(&weights),
        Precision::Weights(Narrow::Int4) => return narrow::int4_errors(&weights, *site.weight.last().unwrap_or(&1) as usize),
        Precision::Int8(_) | Precision::Dynamic | Precision::Weights(Narrow::Int8) => {}
    }
    let (bytes, scales) = quantized_weights(graph, site);
    let row = weights.len() / scales.len().max(1);
    weights.iter().enumerate().map(|(i, w)| w - f32::from(bytes.bytes[i] as i8) * scales[i / row.max(1)]).collect()
}

/// A recipe under which every layer computes in binary32: for observing it.
pub fn all_float(method: &ResidualMethod) -> MethodRecipe {
    let layer =
        |site: &Site| LayerRecipe { weights: site.hash, precision: Precision::Float, output: None, correction: Vec::new() };
    MethodRecipe { name: method.name.clone(), layers: sites(&method.graph).iter().map(layer).collect() }
}
