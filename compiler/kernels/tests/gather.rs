//! Gathers against the definition: columns around the vector, offsets and scalars from the table, strides, ranges of work.
mod common;

use common::{Call, Guarded, POISON, Rng, assert_close, ready, runnable};
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::gather::GatherDesc;
use kiln_kernels::vexpr::{Binary, VExpr};

/// `a * s(y) + b * t(x)` over two loads.
fn blend() -> VExpr {
    let mut e = VExpr::new();
    let [a, b, s, t] = [0, 1, 2, 3].map(|k| e.input(k));
    let (x, y) = (e.binary(Binary::Mul, a, s), e.binary(Binary::Mul, b, t));
    let sum = e.binary(Binary::Add, x, y);
    e.root(sum);
    e
}

/// Table entries of one axis: two offsets in elements, and a scalar.
fn entries(rows: &[([usize; 2], f32)]) -> Vec<u8> {
    let entry = |(offsets, scalar): &([usize; 2], f32)| {
        let mut bytes: Vec<u8> = offsets.iter().flat_map(|o| (4 * *o as i64).to_le_bytes()).collect();
        bytes.extend(scalar.to_le_bytes());
        bytes.resize(24, 0);
        bytes
    };
    rows.iter().flat_map(entry).collect()
}

#[test]
fn rows_are_found_and_blended() {
    let (image, width) = ([5, 4], 4);
    for cols in [1, 4, 7, 16, 19, 64, 100] {
        let pixel = |y: usize, x: usize| (y * width + x) * cols;
        let ys: Vec<([usize; 2], f32)> =
            (0..7).map(|y| ([pixel(y * 5 / 7, 0), pixel((y * 5 / 7 + 1).min(4), 0)], 0.5 - y as f32)).collect();
        let xs: Vec<([usize; 2], f32)> = (0..6).map(|x| ([pixel(0, x * 4 / 6), pixel(0, 3 - x / 2)], 0.25 * x as f32)).collect();
        let (row, pitch) = (6 * (cols + 3), cols + 3);
        let desc = GatherDesc { rows: [7, 6], cols, loads: 2, scalars: [1, 1], out_strides: [row, pitch], expr: blend() };
        assert_eq!((desc.entry_bytes(0), desc.entry_bytes(1)), (24, 24));
        let table = [entries(&ys), entries(&xs)].concat();
        let input = Guarded::from(&Rng(cols as u64 + 1).floats(image[0] * image[1] * cols));
        for (target, parts) in runnable().iter().flat_map(|t| [(t, 1), (t, 3)]) {
            let out = Guarded::poison(7 * row);
            let r = ready(&KernelDesc::Gather(desc.clone()), target);
            let inputs = [input.addr(); 2];
            for p in 0..parts {
                let (begin, end) = (7 * p / parts, 7 * (p + 1) / parts);
                let (weights, output) = (table.as_ptr() as u64, out.addr());
                r.call(&Call { inputs: &inputs, weights, output, begin, end, ..Call::default() });
            }
            out.check_guards(&r.kernel.name);
            let (mut got, mut want) = (Vec::new(), Vec::new());
            for (i, pixel) in out.slice().chunks(pitch).enumerate() {
                let ((a, s), (b, t)) = (ys[i / 6], xs[i % 6]);
                let at = |k: usize, c: usize| input.slice()[a[k] + b[k] + c];
                want.extend((0..cols).map(|c| at(0, c) * s + at(1, c) * t));
                got.extend_from_slice(&pixel[..cols]);
                assert!(pixel[cols..].iter().all(|v| v.to_bits() == POISON), "{}: wrote between rows", r.kernel.name);
            }
            assert_close(&format!("{} of {cols}", target.isa.name()), &got, &want, 1e-6, 1e-6);
        }
    }
}
