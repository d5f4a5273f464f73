//! Transposition: sizes around the block, row strides, batches; bit patterns are moved as they are.
mod common;

use common::{Call, Guarded, POISON, ready, runnable};
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::transpose::TransposeDesc;
use kiln_kernels::target::{Isa, TargetDesc};

#[test]
fn every_edge() {
    for target in &runnable() {
        for rows in [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33] {
            for cols in [1, 2, 3, 4, 5, 8, 13, 49] {
                for gap in [0, 3] {
                    let (in_stride, out_stride) = (cols + gap, rows + 2 * gap);
                    let (in_batch, out_batch) = (rows * in_stride, cols * out_stride);
                    let d = TransposeDesc { rows, cols, in_stride, out_stride, in_batch, out_batch };
                    let bits: Vec<f32> = (0..2 * in_batch as u32).map(|i| f32::from_bits(i.wrapping_mul(0x9e37_79b1))).collect();
                    let (input, out) = (Guarded::from(&bits), Guarded::poison(2 * out_batch));
                    let r = ready(&KernelDesc::Transpose(d), target);
                    r.call(&Call { input: input.addr(), output: out.addr(), end: 2, ..Call::default() });
                    out.check_guards("transpose");
                    for (i, got) in out.slice().iter().enumerate() {
                        let (n, c, row) = (i / out_batch, i % out_batch / out_stride, i % out_stride);
                        let from = n * in_batch + row * in_stride + c;
                        let want = if row < rows { bits[from].to_bits() } else { POISON };
                        assert_eq!(got.to_bits(), want, "{} {d:?} ({n}, {c}, {row})", target.isa.name());
                    }
                }
            }
        }
    }
}

#[test]
fn inconsistent_descriptors_are_refused() {
    let target = TargetDesc::new(Isa::Avx2);
    for d in [
        TransposeDesc::dense(0, 4),
        TransposeDesc { in_stride: 3, ..TransposeDesc::dense(4, 4) },
        TransposeDesc::dense(1 << 40, 1 << 40),
    ] {
        assert!(kiln_kernels::kernels::emit(&KernelDesc::Transpose(d), &target).is_err());
    }
}
