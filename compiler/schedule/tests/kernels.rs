//! Computations done by vector kernels give what the loop nests give.

mod common;

use common::*;
use kiln_graph::Value;
use kiln_support::{DType, TensorData};

/// Numbers of both signs without pattern, the same on every run.
fn numbers(count: i64, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 24) as f32) * 4.0 - 2.0
    };
    std::iter::repeat_with(next).take(count as usize).collect()
}

fn data(shape: &[i64], seed: u64) -> TensorData {
    TensorData::from_f32(shape, &numbers(shape.iter().product(), seed))
}

/// Runs a function of tensors of these shapes both ways, and expects kernels of these names.
fn check(shapes: &[&[i64]], kernels: &[&str], build: impl FnOnce(&mut Builder, &[Value]) -> Value) {
    let mut b = Builder::new();
    let inputs: Vec<Value> = shapes.iter().enumerate().map(|(i, s)| b.input(&format!("x{i}"), s)).collect();
    let result = build(&mut b, &inputs);
    let ty = b.graph.ty(result).clone();
    let object = b.boxed(result);
    let model = b.model(object, ty);
    let found = kernel_names(&model);
    if vector_target().vector.is_some() {
        let fits = found.len() == kernels.len() && found.iter().zip(kernels).all(|(f, k)| f.starts_with(k));
        assert!(fits, "{found:?} instead of {kernels:?}\n{}", kiln_schedule::write_plan(&plan(&model)));
    }
    let args: Vec<Arg> = shapes.iter().enumerate().map(|(i, s)| Arg::Tensor(data(s, i as u64 + 1))).collect();
    compile(&model).call(&args).expect("the model runs");
}

#[test]
fn maps() {
    check(&[&[3, 5], &[3, 5]], &["f32_map_add_mul_exp"], |b, x| {
        let sum = b.add(x[0], x[1]);
        let product = b.mul(sum, x[1]);
        b.exp(product)
    });
}

#[test]
fn maps_with_broadcast_operands() {
    for other in [&[7i64][..], &[4, 1, 7], &[3, 1], &[4, 3, 1], &[4, 1, 1], &[1]] {
        check(&[&[4, 3, 7], other], &["f32_map_add"], |b, x| b.add(x[0], x[1]));
    }
}

#[test]
fn maps_of_any_size() {
    let mut b = Builder::new();
    let (x, _) = b.vector("x", "N");
    let y = b.like("y", x);
    let half = b.tensor(TensorData::from_f32(&[], &[0.5]));
    let scaled = b.mul(x, half);
    let sum = b.add(scaled, y);
    let result = b.relu(sum);
    let ty = b.graph.ty(x).clone();
    let object = b.boxed(result);
    let model = b.model(object, ty);
    if vector_target().vector.is_some() {
        assert_eq!(kernel_names(&model).len(), 1, "{}", kiln_schedule::write_plan(&plan(&model)));
    }
    let mut compiled = compile(&model);
    for n in [0, 1, 7, 8, 9, 100] {
        compiled.call(&[vector(&numbers(n, 3)), vector(&numbers(n, 4))]).expect("the model runs");
    }
}

fn mm(b: &mut Builder, x: Value, y: Value, m: i64, n: i64) -> Value {
    b.mm(x, y, &[m, n])
}

#[test]
fn products_with_constant_weights() {
    for (m, n, k) in [(1, 40, 30), (7, 33, 5), (64, 10, 64)] {
        check(&[&[m, k], &[m, n]], &["f32_gemm_add_add_max"], |b, x| {
            let weights = b.tensor(data(&[k, n], 9));
            let bias = b.tensor(data(&[n], 10));
            let product = mm(b, x[0], weights, m, n);
            let shifted = b.add(product, bias);
            let sum = b.add(shifted, x[1]);
            b.relu(sum)
        });
    }
}

#[test]
fn products_of_two_activations() {
    check(&[&[9, 12], &[12, 21]], &["f32_pack", "f32_gemm"], |b, x| mm(b, x[0], x[1], 9, 21));
}

#[test]
fn products_of_views() {
    // x^T y, and x y^T.
    let transposed = |b: &mut Builder, x: Value, shape: &[i64]| b.op("aten::t", &[x], f32_tensor(shape));
    check(&[&[12, 9], &[12, 21]], &["f32_pack", "f32_gemm"], |b, x| {
        let left = transposed(b, x[0], &[9, 12]);
        mm(b, left, x[1], 9, 21)
    });
    check(&[&[9, 12], &[21, 12]], &["f32_packt", "f32_gemm"], |b, x| {
        let right = transposed(b, x[1], &[12, 21]);
        mm(b, x[0], right, 9, 21)
    });
}

#[test]
fn batched_products() {
    check(&[&[3, 9, 12], &[3, 12, 21]], &["f32_pack", "f32_gemm_exp"], |b, x| {
        let product = b.op("aten::bmm", &[x[0], x[1]], f32_tensor(&[3, 9, 21]));
        b.exp(product)
    });
    check(&[&[6, 9, 12]], &["f32_gemm_add"], |b, x| {
        let weights = b.tensor(data(&[6, 12, 21], 3));
        let bias = b.tensor(data(&[21], 4));
        let product = b.op("aten::bmm", &[x[0], weights], f32_tensor(&[6, 9, 21]));
        b.add(product, bias)
    });
}

/// Heads of attention in the order of the next layer: their product writes them there.
#[test]
fn products_in_another_order_of_rows() {
    fn heads(b: &mut Builder, x: &[Value]) -> Value {
        let product = b.op("aten::bmm", &[x[0], x[1]], f32_tensor(&[3, 9, 21]));
        let (first, second) = (b.int(0), b.int(1));
        b.op("aten::transpose.int", &[product, first, second], f32_tensor(&[9, 3, 21]))
    }
    check(&[&[3, 9, 12], &[3, 12, 21]], &["f32_pack", "f32_gemm"], heads);
    check(&[&[3, 9, 12], &[3, 12, 21], &[9, 3, 21]], &["f32_pack", "f32_gemm_add"], |b, x| {
        let rows = heads(b, x);
        b.add(rows, x[2])
    });
    // What the kernel cannot compute with its sums is another computation.
    check(&[&[3, 9, 12], &[3, 12, 21], &[9, 3, 21]], &["f32_pack", "f32_gemm"], |b, x| {
        let rows = heads(b, x);
        b.op("aten::atan2", &[rows, x[2]], f32_tensor(&[9, 3, 21]))
    });
}

/// A convolution, channels last: sizes are image, channels in and out, kernel, stride, padding, dilation, groups.
fn conv(b: &mut Builder, x: Value, [n, h, w]: [i64; 3], [ci, co]: [i64; 2], kernel: [i64; 2], geometry: [i64; 4]) -> Value {
    let [stride, padding, dilation, groups] = geometry;
    let weight = b.tensor(data(&[co, ci / groups, kernel[0], kernel[1]], 7));
    let bias = b.tensor(data(&[co], 8));
    let lists = [stride, padding, dilation].map(|v| b.ints(&[v, v]));
    let groups = b.int(groups);
    let out = |size: i64, kernel: i64| (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
    let ty = f32_tensor(&[n, out(h, kernel[0]), out(w, kernel[1]), co]);
    b.op("kiln::conv2d_nhwc", &[x, weight, bias, lists[0], lists[1], lists[2], groups], ty)
}

#[test]
fn convolutions() {
    for (channels, kernel, geometry) in [
        ([5, 12], [3, 3], [1, 1, 1, 1]),
        ([3, 8], [3, 5], [2, 0, 1, 1]),
        ([8, 16], [1, 1], [1, 0, 1, 1]),
        ([8, 16], [3, 3], [1, 2, 2, 2]),
        ([8, 8], [1, 1], [2, 0, 1, 4]),
    ] {
        check(&[&[2, 9, 11, channels[0]]], &["f32_conv"], |b, x| {
            let y = conv(b, x[0], [2, 9, 11], channels, kernel, geometry);
            b.relu(y)
        });
    }
}

#[test]
fn depthwise_convolutions() {
    for (kernel, geometry) in [([3, 3], [1, 1, 1, 12]), ([5, 3], [2, 2, 1, 12]), ([3, 3], [1, 0, 2, 12])] {
        check(&[&[2, 9, 11, 12]], &["f32_"], |b, x| conv(b, x[0], [2, 9, 11], [12, 12], kernel, geometry));
    }
}

#[test]
fn a_residual_is_added_in_the_convolution() {
    check(&[&[1, 6, 6, 4], &[1, 6, 6, 8]], &["f32_conv"], |b, x| {
        let y = conv(b, x[0], [1, 6, 6], [4, 8], [3, 3], [1, 1, 1, 1]);
        let sum = b.add(y, x[1]);
        b.relu(sum)
    });
}

#[test]
fn pooling() {
    for (padding, size) in [(0, [4, 5]), (1, [5, 6])] {
        check(&[&[2, 9, 11, 6]], &["f32_"], |b, x| {
            let lists = [[3, 3], [2, 2], [padding, padding], [1, 1], size].map(|l| b.ints(&l));
            b.op(
                "kiln::max_pool2d_nhwc",
                &[x[0], lists[0], lists[1], lists[2], lists[3], lists[4]],
                f32_tensor(&[2, size[0], size[1], 6]),
            )
        });
        for include in [true, false] {
            check(&[&[2, 9, 11, 6]], &["f32_"], |b, x| {
                let lists = [[3, 3], [2, 2], [padding, padding], size].map(|l| b.ints(&l));
                let include = b.bool(include);
                let none = b.none();
                let ty = f32_tensor(&[2, size[0], size[1], 6]);
                b.op("kiln::avg_pool2d_nhwc", &[x[0], lists[0], lists[1], lists[2], lists[3], include, none], ty)
            });
        }
    }
}

#[test]
fn reductions_along_rows() {
    check(&[&[5, 37]], &["f32_rows"], |b, x| {
        let (axes, keep) = (b.ints(&[1]), b.bool(true));
        let none = b.none();
        b.op("aten::mean.dim", &[x[0], axes, keep, none], f32_tensor(&[5, 1]))
    });
    check(&[&[2, 5, 4, 3]], &["f32_rows"], |b, x| {
        let (axes, keep) = (b.ints(&[2, 3]), b.bool(false));
        b.op("aten::amax", &[x[0], axes, keep], f32_tensor(&[2, 5]))
    });
}

#[test]
fn reductions_over_columns() {
    for (axes, shape) in [(&[1, 2][..], &[2i64, 13][..]), (&[0], &[5, 4, 13])] {
        check(&[&[2, 5, 4, 13]], &["f32_columns"], |b, x| {
            let (axes, keep) = (b.ints(axes), b.bool(false));
            let none = b.none();
            b.op("aten::sum.dim_IntList", &[x[0], axes, keep, none], f32_tensor(shape))
        });
    }
}

fn sub(b: &mut Builder, x: Value, y: Value) -> Value {
    let ty = b.graph.ty(x).clone();
    let one = b.int(1);
    b.op("aten::sub.Tensor", &[x, y, one], ty)
}

fn div(b: &mut Builder, x: Value, y: Value) -> Value {
    let ty = b.graph.ty(x).clone();
    b.op("aten::div.Tensor", &[x, y], ty)
}

#[test]
fn softmax_is_one_kernel() {
    check(&[&[3, 5, 37]], &["f32_rows"], |b, x| {
        let (axes, keep, none) = (b.ints(&[2]), b.bool(true), b.none());
        let max = b.op("aten::amax", &[x[0], axes, keep], f32_tensor(&[3, 5, 1]));
        let shifted = sub(b, x[0], max);
        let e = b.exp(shifted);
        let sum = b.op("aten::sum.dim_IntList", &[e, axes, keep, none], f32_tensor(&[3, 5, 1]));
        div(b, e, sum)
    });
}

#[test]
fn layer_norm_is_one_kernel() {
    check(&[&[3, 5, 37]], &["f32_rows"], |b, x| {
        let (axes, keep, none) = (b.ints(&[2]), b.bool(true), b.none());
        let row = f32_tensor(&[3, 5, 1]);
        let mean = b.op("aten::mean.dim", &[x[0], axes, keep, none], row.clone());
        let centred = sub(b, x[0], mean);
        let squares = b.mul(centred, centred);
        let variance = b.op("aten::mean.dim", &[squares, axes, keep, none], row.clone());
        let eps = b.tensor(TensorData::from_f32(&[], &[1e-5]));
        let shifted = b.add(variance, eps);
        let factor = b.op("aten::rsqrt", &[shifted], row);
        let scaled = b.mul(centred, factor);
        let (weight, bias) = (b.tensor(data(&[37], 5)), b.tensor(data(&[37], 6)));
        let weighted = b.mul(scaled, weight);
        b.add(weighted, bias)
    });
}

#[test]
fn merged_axes_are_the_same_memory() {
    // A reshape between two products: the first is computed once, into memory that the second reads with other sizes.
    check(&[&[4, 6, 10]], &["f32_gemm_add", "f32_gemm"], |b, x| {
        let sizes = b.ints(&[24, 10]);
        let flat = b.op("aten::reshape", &[x[0], sizes], f32_tensor(&[24, 10]));
        let first = b.tensor(data(&[10, 8], 3));
        let product = mm(b, flat, first, 24, 8);
        let bias = b.tensor(data(&[8], 5));
        let shifted = b.add(product, bias);
        let sizes = b.ints(&[6, 32]);
        let wide = b.op("aten::reshape", &[shifted, sizes], f32_tensor(&[6, 32]));
        let second = b.tensor(data(&[32, 7], 4));
        mm(b, wide, second, 6, 7)
    });
}

#[test]
fn a_step_of_a_recurrence_is_a_product() {
    let mut b = Builder::new();
    let x = b.input("x", &[5, 3, 16]);
    let start = b.input("h", &[3, 16]);
    let trip = b.int(5);
    let weights = b.tensor(data(&[16, 16], 2));
    let last = b.repeat(trip, &[start], |b, p| {
        let own = b.select(x, p[0], f32_tensor(&[3, 16]));
        let product = mm(b, p[1], weights, 3, 16);
        let sum = b.add(own, product);
        let ty = b.graph.ty(sum).clone();
        let next = b.op("aten::tanh", &[sum], ty);
        vec![b.bool(true), next]
    });
    let object = b.boxed(last[0]);
    let model = b.model(object, f32_tensor(&[3, 16]));
    let kernels = kernel_names(&model);
    assert!(vector_target().vector.is_none() || kernels.iter().any(|k| k.starts_with("f32_gemm")), "{kernels:?}");
    let args = [Arg::Tensor(data(&[5, 3, 16], 1)), Arg::Tensor(data(&[3, 16], 6))];
    compile(&model).call(&args).expect("the model runs");
}

#[test]
fn operands_may_run_backwards() {
    for axes in [&[0][..], &[1], &[0, 1]] {
        check(&[&[4, 3, 7], &[4, 3, 7]], &["f32_map_add"], |b, x| {
            let axes = b.ints(axes);
            let flipped = b.op("aten::flip", &[x[0], axes], f32_tensor(&[4, 3, 7]));
            b.add(flipped, x[1])
        });
    }
}

#[test]
fn a_result_over_an_input_is_written_last() {
    check(&[&[3, 37], &[3, 37]], &["f32_map_exp", "f32_rows"], |b, x| {
        let (axes, keep, none) = (b.ints(&[1]), b.bool(true), b.none());
        // Read twice, so that it is memory, and by nobody after the sum.
        let other = b.exp(x[1]);
        let e = b.exp(x[0]);
        let sum = b.op("aten::sum.dim_IntList", &[e, axes, keep, none], f32_tensor(&[3, 1]));
        let quotient = div(b, e, sum);
        let first = b.add(quotient, other);
        let second = b.mul(first, other);
        b.add(second, other)
    });
}

#[test]
fn concatenations_are_copies_of_their_operands() {
    check(&[&[2, 3, 8], &[2, 5, 8]], &["f32_map", "f32_map"], |b, x| {
        let list = b.node(kiln_graph::Op::List, &[x[0], x[1]], kiln_graph::Type::list(kiln_graph::Type::Any));
        let axis = b.int(1);
        b.op("aten::cat", &[list, axis], f32_tensor(&[2, 8, 8]))
    });
    // Along the innermost axis, and computed with.
    check(&[&[6, 5], &[6, 7], &[6, 12]], &["f32_map", "f32_map"], |b, x| {
        let list = b.node(kiln_graph::Op::List, &[x[0], x[1]], kiln_graph::Type::list(kiln_graph::Type::Any));
        let axis = b.int(1);
        let all = b.op("aten::cat", &[list, axis], f32_tensor(&[6, 12]));
        b.add(all, x[2])
    });
}

fn permute(b: &mut Builder, x: Value, order: &[i64], shape: &[i64]) -> Value {
    let order = b.ints(order);
    b.op("aten::permute", &[x, order], f32_tensor(shape))
}

#[test]
fn copies_in_another_order_are_transpositions() {
    check(&[&[2, 3, 5, 7]], &["x32_transpose"], |b, x| permute(b, x[0], &[0, 2, 3, 1], &[2, 5, 7, 3]));
    check(&[&[2, 5, 7, 21]], &["x32_transpose"], |b, x| permute(b, x[0], &[0, 3, 1, 2], &[2, 21, 5, 7]));
    // Both orders of axes stay rows.
    check(&[&[4, 6, 9]], &["f32_map"], |b, x| permute(b, x[0], &[1, 0, 2], &[6, 4, 9]));
}

#[test]
fn merged_axes_are_taken_apart() {
    check(&[&[4, 6, 9]], &["f32_map"], |b, x| {
        let heads = permute(b, x[0], &[1, 0, 2], &[6, 4, 9]);
        let sizes = b.ints(&[6, 36]);
        b.op("aten::reshape", &[heads, sizes], f32_tensor(&[6, 36]))
    });
}

#[test]
fn resizing_finds_its_rows_by_tables() {
    let resize = |corners: bool, out: [i64; 2]| {
        move |b: &mut Builder, x: &[Value]| {
            let (sizes, corners, none) = (b.ints(&out), b.bool(corners), b.none());
            b.op("aten::upsample_bilinear2d", &[x[0], sizes, corners, none, none], f32_tensor(&[2, 3, out[0], out[1]]))
        }
    };
    // Channels first, pixels of a row are found one by one; channels last, they are rows.
    for (corners, out) in [(false, [11, 9]), (true, [7, 13]), (false, [2, 5])] {
        check(&[&[2, 3, 4, 6]], &[], resize(corners, out));
        check(&[&[2, 4, 6, 19]], &["f32_gather4", "x32_transpose"], |b, x| {
            let image = permute(b, x[0], &[0, 3, 1, 2], &[2, 19, 4, 6]);
            let (sizes, corners, none) = (b.ints(&out), b.bool(corners), b.none());
            let ty = f32_tensor(&[2, 19, out[0], out[1]]);
            b.op("aten::upsample_bilinear2d", &[image, sizes, corners, none, none], ty)
        });
    }
    check(&[&[1, 4, 6, 70]], &["f32_gather1"], |b, x| {
        let image = permute(b, x[0], &[0, 3, 1, 2], &[1, 70, 4, 6]);
        let (sizes, none) = (b.ints(&[8, 15]), b.none());
        let big = b.op("aten::upsample_nearest2d", &[image, sizes, none, none], f32_tensor(&[1, 70, 8, 15]));
        permute(b, big, &[0, 2, 3, 1], &[1, 8, 15, 70])
    });
}

/// Bytes of no pattern.
fn some_bytes(count: i64) -> Vec<u8> {
    (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn narrow_weights() {
    for (m, k, n) in [(5, 64, 9), (1, 32, 40), (33, 160, 16)] {
        check(&[&[m, k]], &["f32_by_int4_gemm"], |b, x| {
            let bits = b.tensor(TensorData::new(DType::U8, vec![k / 2, n], some_bytes(k / 2 * n)));
            let scales: Vec<f32> = numbers(k / 32 * n, 7).iter().map(|scale| scale / 32.0).collect();
            let scales = b.tensor(TensorData::from_f32(&[k / 32, n], &scales));
            b.op("kiln::mm_int4", &[x[0], bits, scales], f32_tensor(&[m, n]))
        });
        check(&[&[m, k]], &["f32_by_f16_gemm_add"], |b, x| {
            // Small numbers, down to subnormal ones.
            let halves: Vec<u8> = some_bytes(k * n).iter().flat_map(|&byte| [byte, byte & 0xab]).collect();
            let weights = b.tensor(TensorData::new(DType::F16, vec![k, n], halves));
            let product = b.op("kiln::mm_f16", &[x[0], weights], f32_tensor(&[m, n]));
            let bias = b.tensor(data(&[n], 3));
            b.add(product, bias)
        });
    }
}

/// Rows of a table in four bits and in bytes. There is no kernel for these.
#[test]
fn rows_of_narrow_tables() {
    let mut b = Builder::new();
    let bits = b.tensor(TensorData::new(DType::U8, vec![3, 32], some_bytes(96)));
    let scales = b.tensor(TensorData::from_f32(&[3, 2], &[0.5, -0.25, 1.0, 2.0, -1.0, 0.125]));
    let indices: Vec<u8> = [2i64, 0, 1, 2].iter().flat_map(|i| i.to_le_bytes()).collect();
    let indices = b.tensor(TensorData::new(DType::I64, vec![4], indices));
    let rows = b.op("kiln::embedding_int4", &[bits, scales, indices], f32_tensor(&[4, 64]));
    let bytes = b.tensor(TensorData::new(DType::I8, vec![3, 64], some_bytes(192)));
    let scales = b.tensor(TensorData::from_f32(&[3], &[0.5, -0.25, 1.0]));
    let more = b.op("kiln::embedding_int8", &[bytes, scales, indices], f32_tensor(&[4, 64]));
    let sum = b.add(rows, more);
    let ty = b.graph.ty(sum).clone();
    let object = b.boxed(sum);
    let got = compile(&b.model(object, ty)).call(&[]).expect("the model runs");
    let (bits, bytes) = (some_bytes(96), some_bytes(192));
    let scale4 = [[0.5, -0.25], [1.0, 2.0], [-1.0, 0.125]];
    let want: Vec<f32> = [2usize, 0, 1, 2]
        .iter()
        .flat_map(|&row| (0..64).map(move |column| (row, column)))
        .map(|(row, column)| {
            let four = bits[row * 32 + column / 2] >> (column % 2 * 4) & 15;
            let eight = f32::from(bytes[row * 64 + column] as i8) * [0.5, -0.25, 1.0][row];
            (f32::from(four) - 8.0) * scale4[row][column / 32] + eight
        })
        .collect();
    assert_eq!(got, tensor(&[4, 64], &want));
}

/// Columns that become two axes behind the product, as the heads of attention.
#[test]
fn columns_in_two_axes() {
    check(&[&[4, 64]], &["f32_by_int4_gemm"], |b, x| {
        let bits = b.tensor(TensorData::new(DType::U8, vec![32, 24], some_bytes(32 * 24)));
        let scales = b.tensor(data(&[2, 24], 7));
        let product = b.op("kiln::mm_int4", &[x[0], bits, scales], f32_tensor(&[4, 24]));
        let sizes = b.ints(&[4, 3, 8]);
        b.op("aten::reshape", &[product, sizes], f32_tensor(&[4, 3, 8]))
    });
}
