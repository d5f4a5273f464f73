//! Packing at run time gives what packing at compile time gives.
mod common;

use common::{Call, Guarded, Rng, ready, runnable};
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::epilogue::Epilogue;
use kiln_kernels::kernels::gemm::GemmDesc;
use kiln_kernels::kernels::numbers::Numbers;
use kiln_kernels::kernels::pack::PackDesc;
use kiln_kernels::packing::{Strides, pack_b};

#[test]
fn runtime_packing_equals_compile_time_packing() {
    for target in &runnable() {
        for n in [1, 3, 4, 7, 8, 12, 16, 17, 30, 49, 64, 100] {
            for k in [1, 2, 3, 4, 7, 8, 33] {
                for transposed in [false, true] {
                    let gemm = GemmDesc {
                        numbers: Numbers::F32,
                        m: Some(40),
                        n,
                        k,
                        lda: k,
                        ldc: n,
                        panel: None,
                        epilogue: Epilogue::none(),
                    };
                    let plan = gemm.plan(target).unwrap();
                    let (rows, cols) = if transposed { (n, k) } else { (k, n) };
                    let row_stride = cols + 3;
                    let b = Guarded::from(&Rng(n as u64 + 1).floats((rows - 1) * row_stride + cols));
                    let strides = match transposed {
                        true => Strides { k: 1, n: row_stride },
                        false => Strides { k: row_stride, n: 1 },
                    };
                    let want = pack_b(&plan, k, b.slice(), strides);
                    let desc = PackDesc { gemm, transposed, row_stride };
                    assert_eq!(desc.packed_len(target).unwrap(), want.len());
                    let out = Guarded::poison(want.len());
                    let r = ready(&KernelDesc::Pack(desc), target);
                    let panels = plan.panels() as u64;
                    for (begin, end) in [(0, panels / 2), (panels / 2, panels)] {
                        r.call(&Call { input: b.addr(), output: out.addr(), begin, end, ..Call::default() });
                    }
                    let what = format!("{} {n} {k} {transposed}", target.isa.name());
                    out.check_guards(&what);
                    assert_eq!(out.slice(), want, "{what}");
                }
            }
        }
    }
}
