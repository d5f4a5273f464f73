//! Emission alone, for every ISA whether or not it can run here: any descriptor gives code or an error, never a panic; x86 code
//! decodes, uses only what its ISA has and preserves what its calling convention asks for; equal descriptors give equal bytes.

use iced_x86::{CodeSize, Decoder, DecoderOptions, Instruction, Mnemonic, Register};
use kiln_kernels::isa::Element;
use kiln_kernels::kernels::conv::{ConvDesc, Window};
use kiln_kernels::kernels::epilogue::{Epilogue, InputDesc};
use kiln_kernels::kernels::gemm::GemmDesc;
use kiln_kernels::kernels::matmul::{MatmulDesc, MatmulDims, RowLen};
use kiln_kernels::kernels::norm;
use kiln_kernels::kernels::numbers::Numbers;
use kiln_kernels::kernels::rows::{Dim, Operand, RowsDesc};
use kiln_kernels::kernels::window::{WindowDesc, WindowOp};
use kiln_kernels::kernels::{KernelDesc, emit};
use kiln_kernels::target::{CallConv, Isa, TargetDesc};
use kiln_kernels::vexpr::{Binary, Unary, VExpr};
use proptest::prelude::*;

fn x86_targets() -> Vec<TargetDesc> {
    let with = |isa, call_conv| TargetDesc { call_conv, ..TargetDesc::new(isa) };
    let pairs = [Isa::Avx2, Isa::Avx512].into_iter().flat_map(|i| [CallConv::SystemV, CallConv::Win64].map(|c| (i, c)));
    pairs.map(|(isa, conv)| with(isa, conv)).collect()
}

/// The instructions up to the return, all of them valid.
fn decode(code: &[u8]) -> Vec<Instruction> {
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut all = Vec::new();
    while decoder.can_decode() {
        let i = decoder.decode();
        assert!(!i.is_invalid(), "invalid instruction at {:#x}", i.ip());
        assert_eq!(i.code_size(), CodeSize::Code64);
        let is_end = i.mnemonic() == Mnemonic::Ret;
        all.push(i);
        if is_end {
            return all;
        }
    }
    panic!("no return");
}

fn check_code(desc: &KernelDesc, target: &TargetDesc) {
    let Ok(kernel) = emit(desc, target) else { return };
    assert_eq!(emit(desc, target).unwrap(), kernel, "equal descriptors give equal kernels");
    assert!(kernel.args.len() <= 8 && kernel.name.ends_with(|c: char| c.is_ascii_hexdigit()));
    let code = decode(&kernel.code);
    let wide = code.iter().any(|i| format!("{:?}", i.code()).starts_with("EVEX"));
    assert!(!wide || target.isa == Isa::Avx512, "EVEX in {}", kernel.name);
    let is_pushed = |r: Register| code.iter().any(|i| i.mnemonic() == Mnemonic::Push && i.op0_register() == r);
    let is_written = |r: Register| {
        let writes = |i: &&Instruction| i.op0_register().is_gpr() && full(i.op0_register()) == r;
        code.iter().filter(|i| !matches!(i.mnemonic(), Mnemonic::Push | Mnemonic::Pop | Mnemonic::Cmp)).any(|i| writes(&i))
    };
    let mut saved = vec![Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];
    if target.call_conv == CallConv::Win64 {
        saved.extend([Register::RDI, Register::RSI]);
    }
    for r in saved {
        assert!(!is_written(r) || is_pushed(r), "{r:?} is not preserved by {}", kernel.name);
    }
}

fn full(r: Register) -> Register {
    let n = r as u32;
    let e = Register::EAX as u32;
    if (e..e + 16).contains(&n) { Register::RAX + (n - e) } else { r }
}

/// Sizes that are mostly possible, sometimes absurd.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![60 => 1usize..70, 20 => 70usize..2000, 1 => Just(0), 1 => Just(usize::MAX), 1 => any::<u32>().prop_map(|n| n as usize)]
}

/// A number up to `most`, rarely absurd.
fn small(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![60 => 1..=most, 1 => Just(0), 1 => 10usize..3000, 1 => Just(usize::MAX / 2)]
}

fn epilogue() -> impl Strategy<Value = Epilogue> {
    let ops = prop::sample::select(vec![Unary::Relu, Unary::Gelu, Unary::Tanh, Unary::Log1p, Unary::HardSwish, Unary::Softplus]);
    (ops, 0usize..6, size(), any::<bool>()).prop_map(|(op, inputs, row_stride, splat)| {
        let mut expr = VExpr::new();
        let mut x = expr.acc();
        for k in 0..inputs {
            let y = expr.input(k as u16);
            x = expr.binary(if k % 2 == 0 { Binary::Add } else { Binary::Max }, x, y);
        }
        let y = expr.unary(op, x);
        expr.root(y);
        Epilogue { expr, inputs: vec![InputDesc { row_stride, splat, element: Element::F32 }; inputs], out: Element::F32 }
    })
}

fn window() -> impl Strategy<Value = Window> {
    let pair = |most| [small(most), small(most)];
    let padding = [0usize..3, 0usize..3];
    (pair(40), pair(5), pair(3), padding, pair(2)).prop_map(|(i, k, s, p, d)| Window::new(i, k, s, p, d))
}

fn any_desc() -> impl Strategy<Value = KernelDesc> {
    let gemm =
        (prop::option::of(size()), size(), size(), size(), size(), epilogue()).prop_map(|(m, n, k, a, c, epilogue)| GemmDesc {
            numbers: Numbers::F32,
            m,
            n,
            k,
            lda: k.saturating_add(a % 9),
            ldc: n.saturating_add(c % 9),
            panel: (a % 3 == 0).then_some(c % 10),
            epilogue,
        });
    let conv = (prop::option::of(size()), window(), size(), size(), small(3), epilogue()).prop_map(
        |(batch, window, in_c, out_c, groups, epilogue)| {
            let (in_c, out_c) = (in_c.saturating_mul(groups), out_c.saturating_mul(groups));
            KernelDesc::Conv(ConvDesc {
                numbers: Numbers::F32,
                batch,
                window,
                in_c,
                in_pitch: in_c,
                out_c,
                out_pitch: out_c,
                groups,
                panel: None,
                epilogue,
            })
        },
    );
    let op = prop::sample::select(vec![WindowOp::Depthwise, WindowOp::Max, WindowOp::AvgFixed(9), WindowOp::AvgInside]);
    let window_op =
        (op, prop::option::of(size()), window(), size(), epilogue()).prop_map(|(op, batch, window, channels, epilogue)| {
            KernelDesc::Window(WindowDesc {
                numbers: Numbers::F32,
                op,
                batch,
                window,
                channels,
                in_pitch: channels,
                out_pitch: channels,
                epilogue,
            })
        });
    let matmul = (prop::option::of(size()), prop::option::of(size()), prop::option::of(size()), epilogue()).prop_map(
        |(m, n, k, epilogue)| {
            let dims = MatmulDims { m, n, k };
            KernelDesc::Matmul(MatmulDesc { dims, lda: RowLen::Depth, ldc: RowLen::Cols, epilogue })
        },
    );
    let rows = size().prop_map(|cols| KernelDesc::Rows(norm::softmax(Dim::Known(cols), Operand::DENSE, Operand::DENSE)));
    prop_oneof![gemm.prop_map(KernelDesc::Gemm), conv, window_op, matmul, rows]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn any_descriptor_gives_code_or_an_error(desc in any_desc()) {
        x86_targets().iter().for_each(|t| check_code(&desc, t));
        let _ = emit(&desc, &TargetDesc::new(Isa::Neon));
    }
}

#[test]
fn vector_registers_of_win64_are_saved() {
    let epilogue = Epilogue::none();
    let gemm =
        KernelDesc::Gemm(GemmDesc { numbers: Numbers::F32, m: Some(64), n: 64, k: 8, lda: 8, ldc: 64, panel: None, epilogue });
    for target in x86_targets().iter().filter(|t| t.call_conv == CallConv::Win64) {
        let code = decode(&emit(&gemm, target).unwrap().code);
        for n in 6..16 {
            let is = |r: Register, base: Register| r == base + n;
            let any = |r: Register| is(r, Register::XMM0) || is(r, Register::YMM0) || is(r, Register::ZMM0);
            let used = code.iter().any(|i| any(i.op0_register()) && i.op0_register() != Register::XMM0 + n);
            let saved = code.iter().any(|i| i.memory_base() == Register::RSP && i.op1_register() == Register::XMM0 + n);
            assert!(saved || !used, "xmm{n} is not preserved");
        }
    }
}

/// The Microsoft convention can be called on any x86-64 machine.
#[cfg(target_arch = "x86_64")]
#[test]
fn win64_arguments_arrive() {
    use memmap2::MmapMut;
    if !is_x86_feature_detected!("avx2") || !is_x86_feature_detected!("fma") {
        return;
    }
    let target = TargetDesc { call_conv: CallConv::Win64, ..TargetDesc::new(Isa::Avx2) };
    let mut e = VExpr::new();
    let (acc, x) = (e.acc(), e.input(0));
    let y = e.fma(acc, x, x);
    e.root(y);
    let epilogue = Epilogue { expr: e, inputs: vec![InputDesc::SCALAR], out: Element::F32 };
    let d = GemmDesc { numbers: Numbers::F32, m: None, n: 9, k: 5, lda: 5, ldc: 9, panel: None, epilogue };
    let kernel = emit(&KernelDesc::Gemm(d.clone()), &target).unwrap();
    let mut map = MmapMut::map_anon(kernel.code.len()).unwrap();
    map.copy_from_slice(&kernel.code);
    let map = map.make_exec().unwrap();
    let (a, b) = (vec![1f32; 7 * 5], vec![2f32; 5 * 9]);
    let packed = kiln_kernels::packing::pack_b(&d.plan(&target).unwrap(), 5, &b, kiln_kernels::packing::Strides { k: 9, n: 1 });
    let (mut c, two) = (vec![0f32; 63], 2f32);
    let inputs = [&raw const two];
    type Entry = extern "win64" fn(*const f32, *const f32, *mut f32, *const *const f32, u64, u64, u64);
    // SAFETY: the bytes are a function with this convention and these arguments; the buffers have the sizes of the descriptor.
    unsafe {
        let f: Entry = std::mem::transmute(map.as_ptr());
        f(a.as_ptr(), packed.as_ptr(), c.as_mut_ptr(), inputs.as_ptr(), 0, 1, 7);
    }
    assert_eq!(c, vec![22f32; 63]);
}

#[test]
fn a_row_kernel_with_too_many_operands_is_refused() {
    let mut e = VExpr::new();
    let x = e.input(60_000);
    e.root(x);
    let desc = RowsDesc::map(Dim::Argument, vec![Operand::DENSE; 60_001], vec![Operand::DENSE], e);
    assert!(emit(&KernelDesc::Rows(desc), &TargetDesc::new(Isa::Avx2)).is_err());
}
