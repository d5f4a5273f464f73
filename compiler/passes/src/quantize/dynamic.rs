//! Linear layers whose activations become bytes when the model runs, by the range that they have then.
//!
//! ```text
//! low = min(smallest x, 0), high = max(largest x, 0), scale = (high - low) / 255, zero = clamp(round(-low / scale), 0, 255)
//! y = fma(float(sum of q * w) - zero * sum of w, scale * w_scale, correction)
//! ```
//!
//! The sum of products is exact; what follows is computed in binary32, in the kernel of the product.
//!
//! Everything is a tensor of one element, so that nothing but tensor operators is needed.

use super::sites::Site;
use super::{LayerRecipe, quantized_weights, tensor_type, transposed_bytes};
use crate::rewrite::Rewriter;
use kiln_graph::{Graph, Literal, NodeData, TensorType, Type, Value};
use kiln_support::{DType, TensorData};
use std::sync::Arc;

/// Emits operators of one kind after another.
struct Emit<'a, 'n> {
    rw: &'a mut Rewriter,
    node: &'n NodeData,
}

/// A tensor of one element.
fn scalar(dtype: DType) -> Type {
    Type::Tensor(Some(Arc::new(TensorType { dtype, dims: Vec::new() })))
}

impl Emit<'_, '_> {
    fn op(&mut self, key: &str, args: Vec<Value>, ty: Type) -> Value {
        self.rw.table(key, args, ty, self.node)
    }

    fn one(&mut self) -> Value {
        self.rw.constant(Literal::Int(1), Type::Int)
    }

    fn number(&mut self, value: f32) -> Value {
        self.rw.tensor(TensorData::from_f32(&[], &[value]))
    }

    fn convert(&mut self, x: Value, dtype: DType, ty: Type) -> Value {
        let code = self.rw.constant(Literal::Int(dtype.code()), Type::Int);
        self.op("kiln::convert", vec![x, code], ty)
    }

    /// Scale and zero point (both of binary32) for the range of a tensor.
    fn range(&mut self, x: Value) -> (Value, Value) {
        let f32 = || scalar(DType::F32);
        let axes = self.rw.ints(&[0, 1]);
        let keep = self.rw.constant(Literal::Bool(false), Type::Bool);
        let (low, high) = (self.op("aten::amin", vec![x, axes, keep], f32()), self.op("aten::amax", vec![x, axes, keep], f32()));
        let (zero, one) = (self.number(0.0), self.one());
        let low = self.op("aten::minimum", vec![low, zero], f32());
        let high = self.op("aten::maximum", vec![high, zero], f32());
        let span = self.op("aten::sub.Tensor", vec![high, low, one], f32());
        let (steps, least) = (self.number(1.0 / 255.0), self.number(1e-30));
        let scale = self.op("aten::mul.Tensor", vec![span, steps], f32());
        let scale = self.op("aten::maximum", vec![scale, least], f32());
        let place = self.op("aten::div.Tensor", vec![low, scale], f32());
        let place = self.op("aten::neg", vec![place], f32());
        let place = self.op("aten::round", vec![place], f32());
        (scale, self.bounded(place, f32()))
    }

    fn bounded(&mut self, x: Value, ty: Type) -> Value {
        let (low, high) = (self.rw.constant(Literal::Int(0), Type::Int), self.rw.constant(Literal::Int(255), Type::Int));
        self.op("aten::clamp", vec![x, low, high], ty)
    }
}

/// The layer with bytes.
pub(super) fn linear(rw: &mut Rewriter, old: &Graph, site: &Site, layer: &LayerRecipe, node: &NodeData, args: &[Value]) -> Value {
    let (input, out) = (rw.facts(args[0]).expect("a tensor").clone(), rw.result_facts(node).expect("a layer gives a tensor"));
    let (weights, scales) = quantized_weights(old, site);
    let row = weights.bytes.len() / scales.len().max(1);
    let sum = |channel: &[u8]| channel.iter().map(|&b| i32::from(b as i8)).sum::<i32>() as f32;
    let sums_of_weights: Vec<f32> = weights.bytes.chunks(row.max(1)).map(sum).collect();
    let channels = scales.len() as i64;
    let mut e = Emit { rw, node };
    let (scale, zero) = e.range(args[0]);
    let (float, one) = (tensor_type(DType::F32, &input), e.one());
    let inverse = e.op("aten::reciprocal", vec![scale], scalar(DType::F32));
    let mut x = e.op("aten::mul.Tensor", vec![args[0], inverse], float.clone());
    x = e.op("aten::round", vec![x], float.clone());
    x = e.op("aten::add.Tensor", vec![x, zero, one], float.clone());
    x = e.bounded(x, float);
    let bytes = e.convert(x, DType::U8, tensor_type(DType::U8, &input));
    let none = e.rw.constant(Literal::Int(0), Type::Int);
    let matrix = e.rw.tensor(transposed_bytes(&weights));
    let sums = e.op("kiln::mm_int8", vec![bytes, matrix, none], tensor_type(DType::I32, &out));
    let sums = e.convert(sums, DType::F32, tensor_type(DType::F32, &out));
    let per_channel = || Type::Tensor(Some(Arc::new(TensorType::of(DType::F32, &[channels]))));
    let of_weights = e.rw.tensor(TensorData::from_f32(&[channels], &sums_of_weights));
    let missing = e.op("aten::mul.Tensor", vec![of_weights, zero], per_channel());
    let sums = e.op("aten::sub.Tensor", vec![sums, missing, one], tensor_type(DType::F32, &out));
    let scales = e.rw.tensor(TensorData::from_f32(&[channels], &scales));
    let factors = e.op("aten::mul.Tensor", vec![scales, scale], per_channel());
    let mut correction = layer.correction.clone();
    correction.resize(channels as usize, 0.0);
    let correction = e.rw.tensor(TensorData::from_f32(&[channels], &correction));
    e.op("kiln::fma", vec![sums, factors, correction], tensor_type(DType::F32, &out))
}
