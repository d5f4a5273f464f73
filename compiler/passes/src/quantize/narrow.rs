//! Layers whose weights alone are quantized: they take less memory, and are widened as they are read.
//!
//! Four bits stand for `(bits - 8) * scale`, with one scale for every [`INT4_GROUP`] neighbours of a row. The scale makes the largest of
//! them in size exactly -8, whatever its sign is, so that all sixteen values are used:
//!
//! ```text
//! scale = w[largest in size] / -8, bits = clamp(round(w / scale) + 8, 0, 15)
//! ```

use super::recipe::Narrow;
use super::sites::{Site, site_weights, transposed};
use super::{LayerRecipe, quantized_weights, tensor_type};
use crate::rewrite::Rewriter;
use kiln_graph::{Graph, Literal, NodeData, Type, Value};
use kiln_ops::INT4_GROUP;
use kiln_support::half::{f16_to_f32, f32_to_f16};
use kiln_support::{DType, TensorData};

/// Rows of weights in four bits: one value per byte, and the scales of each row, the last for what is left of it.
struct Int4 {
    bits: Vec<u8>,
    scales: Vec<f32>,
}

fn int4(weights: &[f32], row: usize) -> Int4 {
    let (mut bits, mut scales) = (Vec::with_capacity(weights.len()), Vec::new());
    for group in weights.chunks(row.max(1)).flat_map(|row| row.chunks(INT4_GROUP as usize)) {
        let largest = group.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
        let scale = if largest == 0.0 { 1.0 } else { largest / -8.0 };
        scales.push(scale);
        bits.extend(group.iter().map(|w| ((w / scale).round_ties_even() + 8.0).clamp(0.0, 15.0) as u8));
    }
    Int4 { bits, scales }
}

/// `w - quantized w` in four bits, for rows of `row` weights.
pub(super) fn int4_errors(weights: &[f32], row: usize) -> Vec<f32> {
    let (Int4 { bits, scales }, groups) = (int4(weights, row), row.div_ceil(INT4_GROUP as usize));
    let number = |i: usize| (f32::from(bits[i]) - 8.0) * scales[i / row * groups + i % row / INT4_GROUP as usize];
    weights.iter().enumerate().map(|(i, w)| w - number(i)).collect()
}

/// `w - quantized w` in binary16.
pub(super) fn f16_errors(weights: &[f32]) -> Vec<f32> {
    weights.iter().map(|&w| w - f16_to_f32(f32_to_f16(w))).collect()
}

fn halves(weights: &TensorData) -> TensorData {
    let bytes: Vec<u8> = weights.to_f32().iter().flat_map(|&w| f32_to_f16(w).to_le_bytes()).collect();
    TensorData::new(DType::F16, weights.shape.clone(), bytes)
}

/// A linear layer.
pub(super) fn linear(
    rw: &mut Rewriter,
    old: &Graph,
    site: &Site,
    layer: &LayerRecipe,
    narrow: Narrow,
    node: &NodeData,
    args: &[Value],
) -> Value {
    let weights = site_weights(old, site);
    let out = tensor_type(DType::F32, &rw.result_facts(node).expect("a layer gives a tensor"));
    let product = match narrow {
        Narrow::F16 => {
            let weights = rw.tensor(halves(&transposed(&weights)));
            rw.table("kiln::mm_f16", vec![args[0], weights], out.clone(), node)
        }
        Narrow::Int4 => {
            let (columns, depth, group) = (weights.shape[0] as usize, weights.shape[1] as usize, INT4_GROUP as usize);
            let Int4 { bits, scales } = int4(&weights.to_f32(), depth);
            let pairs = (0..depth / 2).flat_map(|k| (0..columns).map(move |n| n * depth + 2 * k));
            let bytes: Vec<u8> = pairs.map(|at| bits[at] | bits[at + 1] << 4).collect();
            let groups = depth.div_ceil(group);
            let by_group: Vec<f32> =
                (0..groups).flat_map(|g| (0..columns).map(move |n| n * groups + g)).map(|at| scales[at]).collect();
            let bytes = rw.tensor(TensorData::new(DType::U8, vec![depth as i64 / 2, columns as i64], bytes));
            let scales = rw.tensor(TensorData::from_f32(&[groups as i64, columns as i64], &by_group));
            rw.table("kiln::mm_int4", vec![args[0], bytes, scales], out.clone(), node)
        }
        Narrow::Int8 => unreachable!("linear layers of bytes compute with them"),
    };
    if layer.correction.is_empty() {
        return product;
    }
    let one = rw.constant(Literal::Int(1), Type::Int);
    let correction = rw.tensor(TensorData::from_f32(&[layer.correction.len() as i64], &layer.correction));
    rw.table("aten::add.Tensor", vec![product, correction, one], out, node)
}

/// Rows of a table.
pub(super) fn embedding(rw: &mut Rewriter, old: &Graph, site: &Site, narrow: Narrow, node: &NodeData, args: &[Value]) -> Value {
    let weights = site_weights(old, site);
    let facts = rw.result_facts(node).expect("a layer gives a tensor");
    let out = tensor_type(DType::F32, &facts);
    let (rows, columns) = (weights.shape[0], weights.shape[1]);
    let (weights, scales) = match narrow {
        Narrow::F16 => {
            let mut operands = args.to_vec();
            operands[0] = rw.tensor(halves(&weights));
            let found = rw.table("aten::embedding", operands, tensor_type(DType::F16, &facts), node);
            let float = rw.constant(Literal::Int(DType::F32.code()), Type::Int);
            return rw.table("kiln::convert", vec![found, float], out, node);
        }
        Narrow::Int8 => {
            let (bytes, scales) = quantized_weights(old, site);
            (bytes, TensorData::from_f32(&[rows], &scales))
        }
        Narrow::Int4 => {
            let Int4 { bits, scales } = int4(&weights.to_f32(), columns as usize);
            let bytes: Vec<u8> = bits.chunks(2).map(|pair| pair[0] | pair[1] << 4).collect();
            (
                TensorData::new(DType::U8, vec![rows, columns / 2], bytes),
                TensorData::from_f32(&[rows, scales.len() as i64 / rows.max(1)], &scales),
            )
        }
    };
    let key = if narrow == Narrow::Int8 { "kiln::embedding_int8" } else { "kiln::embedding_int4" };
    let (weights, scales) = (rw.tensor(weights), rw.tensor(scales));
    rw.table(key, vec![weights, scales, args[1]], out, node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bits_keep_the_largest_and_zero() {
        let weights: Vec<f32> = (0..64).map(|i| ((i * 37 % 64) as f32 - if i < 32 { 20.0 } else { 8.0 }) / 7.0).collect();
        let lost = int4_errors(&weights, 64);
        for group in [0..32, 32..64] {
            let (w, e) = (&weights[group.clone()], &lost[group]);
            let most = w.iter().fold(0f32, |m, w| m.max(w.abs()));
            assert!(e.iter().all(|e| e.abs() <= most / 8.0 * 1.001));
            let is_exact = |value: f32| w.iter().zip(e).any(|(w, e)| w.abs() == value && e.abs() < 1e-6);
            assert!(is_exact(most) && is_exact(0.0));
        }
        // Rows of 24 have groups of 24.
        let lost = int4_errors(&weights[..48], 24);
        let most = |of: &[f32]| of.iter().fold(0f32, |m, w| m.max(w.abs()));
        assert!(lost.chunks(24).zip(weights.chunks(24)).all(|(e, w)| most(e) <= most(w) / 8.0 * 1.001));
        assert!(int4_errors(&[0.0; 32], 32).iter().all(|&e| e == 0.0));
    }
}
