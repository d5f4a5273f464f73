//! What is in the objects: sections, symbols, relocations, the same bytes each time.

mod common;

use common::{generate_here, plan_of, plan_of_compute};
use kiln_codegen::{NoKernels, Options, Target, generate, layout};
use kiln_loops::plan::{Access, Data, LocalType, Method, Operand, Stmt};
use kiln_loops::{BinaryOp, Compute, ExprData, Extent, Input, Output};
use kiln_support::{DType, SourceMap, Span};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use std::mem::offset_of;

/// `out[i] = in[i] + 1`, with a megabyte of weights that nothing uses.
fn plan() -> common::PlainPlan {
    let mut compute = Compute { name: "add_one".into(), axes: vec![Extent::Const(8)], rank: 1, ..Compute::default() };
    compute.exprs.axis_extents = vec![Some(8)];
    compute.exprs.input_dtypes = vec![DType::I64];
    compute.inputs.push(Input { dtype: DType::I64, dims: vec![Extent::Const(8)] });
    let axis = compute.exprs.intern(ExprData::Axis(0));
    let x = compute.exprs.intern(ExprData::Load { input: 0, index: vec![axis] });
    let one = compute.exprs.int(1);
    let value = compute.exprs.binary(BinaryOp::Add, x, one);
    compute.outputs.push(Output { dtype: DType::I64, value });
    let mut plan = plan_of_compute(&compute);
    plan.data.push(Data { name: "weights".into(), bytes: vec![7; 1 << 20].into(), align: 64, relocations: vec![] });
    plan
}

#[test]
fn a_static_model_needs_only_the_c_library() {
    let plan = plan();
    let bytes = generate_here(&plan).write().unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let mut undefined: Vec<_> =
        file.symbols().filter(|s| s.is_undefined()).map(|s| s.name().unwrap()).filter(|n| !n.is_empty()).collect();
    undefined.sort_unstable();
    assert_eq!(undefined, ["free", "malloc", "memset"]);
    let mut global: Vec<_> = file.symbols().filter(|s| s.is_global() && s.is_definition()).map(|s| s.name().unwrap()).collect();
    global.sort_unstable();
    assert_eq!(global, ["model_arena_bytes", "model_create", "model_destroy", "model_last_error", "model_reset", "model_run"]);
}

#[test]
fn sections_are_what_they_should_be() {
    let plan = plan();
    let bytes = generate_here(&plan).write().unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let weights = file.section_by_name(".rodata.weights").unwrap();
    assert_eq!((weights.kind(), weights.size(), weights.align()), (SectionKind::ReadOnlyData, 1 << 20, 64));
    assert!(weights.data().unwrap().iter().all(|&b| b == 7));
    assert!(file.section_by_name(".note.GNU-stack").is_some());
    assert!(file.section_by_name(".eh_frame").is_some());
    let text: Vec<_> = file.sections().filter(|s| s.kind() == SectionKind::Text && s.size() > 0).collect();
    assert!(text.len() >= 8, "one section per function");
    for section in text {
        for (_, relocation) in section.relocations() {
            assert_ne!(relocation.size(), 64, "an absolute address in code");
        }
    }
}

#[test]
fn the_same_plan_gives_the_same_bytes() {
    let (a, b) = (plan(), plan());
    assert_eq!(generate_here(&a).write().unwrap(), generate_here(&b).write().unwrap());
}

#[test]
fn large_data_is_loaded_with_the_code() {
    let mut method = Method { name: "forward".into(), ..Method::default() };
    let byte = method.locals.push(LocalType::Int);
    let mut plan = plan_of(method);
    let mut bytes = vec![0u8; 100_000];
    bytes[99_999] = 42;
    let weights = plan.data.push(Data { name: "weights".into(), bytes: bytes.into(), align: 64, relocations: vec![] });
    plan.methods[0].body = vec![
        Stmt::Load { dst: byte, base: Operand::Data(weights, 99_000), offset: 999, access: Access::Element(DType::U8) },
        Stmt::Store { base: Operand::Result, offset: 8, value: Operand::Local(byte), access: Access::Word },
    ];
    let mut instance = common::instance_of(&generate_here(&plan));
    // SAFETY: there are no arguments.
    assert_eq!(unsafe { instance.call("forward", &[]) }.unwrap().as_int(), 42);
}

#[test]
fn dumps_carry_source_lines() {
    let mut sources = SourceMap::default();
    let file = sources.add("model.py", "def forward(self, x):\n    return x + 1\n");
    let mut plan = plan();
    plan.methods[0].body.insert(0, Stmt::At(Span::new(file, 26, 38)));
    let describe = |span: Span| format!("model.py:{}: {}", sources.line_column(span).0, sources.text(span));
    let options = Options { prefix: "model", clif: true, asm: true, describe: Some(&describe) };
    let generated = generate(&plan, &NoKernels, &Target::host(), &options).unwrap();
    let clif = generated.clif.as_ref().unwrap();
    assert!(clif.contains("; model.py:2: return x + 1"), "{clif}");
    assert!(generated.asm.as_ref().unwrap().contains("ret"));
    assert!(generated.text_bytes > 0 && generated.data_bytes > 1 << 20);
    assert!((32..4096).contains(&generated.stack_bytes), "{}", generated.stack_bytes);
    let mut streamed = Vec::new();
    generated.write_to(&mut streamed).unwrap();
    assert!(streamed == generated.write().unwrap());
}

#[test]
fn the_layout_is_the_runtimes() {
    use kiln_rt::abi::{Context, Options, Value};
    let context = [
        (layout::STATUS, offset_of!(Context, status)),
        (layout::ABI, offset_of!(Context, abi)),
        (layout::ERROR_TEXT, offset_of!(Context, error_text)),
        (layout::ERROR_LEN, offset_of!(Context, error_len)),
        (layout::ALLOC, offset_of!(Context, alloc)),
        (layout::FREE, offset_of!(Context, free)),
        (layout::ALLOC_USER, offset_of!(Context, alloc_user)),
        (layout::ARENA, offset_of!(Context, arena)),
        (layout::STATE, offset_of!(Context, state)),
        (layout::STATE_LEN, offset_of!(Context, state_len)),
        (layout::CONTEXT_BYTES, size_of::<Context>()),
    ];
    let options = [
        (layout::OPTIONS_ABI, offset_of!(Options, abi)),
        (layout::OPTIONS_ALLOC, offset_of!(Options, alloc)),
        (layout::OPTIONS_FREE, offset_of!(Options, free)),
        (layout::OPTIONS_ALLOC_USER, offset_of!(Options, alloc_user)),
        (layout::OPTIONS_ARENA, offset_of!(Options, arena)),
        (layout::OPTIONS_ARENA_BYTES, offset_of!(Options, arena_bytes)),
        (layout::COPIED_OPTIONS[3].0, offset_of!(Options, print)),
        (layout::COPIED_OPTIONS[3].1, offset_of!(Context, print)),
        (layout::COPIED_OPTIONS[6].0, offset_of!(Options, parallel_user)),
        (layout::COPIED_OPTIONS[6].1, offset_of!(Context, parallel_user)),
    ];
    for (ours, theirs) in context.into_iter().chain(options) {
        assert_eq!(ours as usize, theirs);
    }
    assert_eq!(layout::VALUE_BYTES as usize, size_of::<Value>());
    assert_eq!(layout::ABI_VERSION, i64::from(kiln_rt::abi::ABI_VERSION));
}

/// Everything a model may have: imports, data with addresses inside, large data, a computation that calls.
fn full_plan() -> common::PlainPlan {
    let mut plan = plan();
    let table = plan.data.push(Data {
        name: "table".into(),
        bytes: vec![0; 16].into(),
        align: 8,
        relocations: vec![(8, kiln_loops::plan::DataId(0), 2)],
    });
    let slot = plan.methods[0].slots.push(20_000);
    plan.methods[0].body.extend([
        Stmt::CopyBytes { to: Operand::Slot(slot, 0), from: Operand::Data(table, 0), bytes: Operand::Int(8) },
        Stmt::CopyBytes {
            to: Operand::Slot(slot, 0),
            from: Operand::Data(kiln_loops::plan::DataId(1), 0),
            bytes: Operand::Int(8),
        },
        Stmt::Runtime { name: "clear_error", args: vec![Operand::Context], result: None, fallible: false },
    ]);
    plan
}

#[test]
fn every_target_gives_an_object() {
    let plan = full_plan();
    let triples = [
        ("x86_64-unknown-linux-gnu", object::BinaryFormat::Elf),
        ("x86_64-unknown-linux-musl", object::BinaryFormat::Elf),
        ("aarch64-unknown-linux-gnu", object::BinaryFormat::Elf),
        ("aarch64-unknown-linux-musl", object::BinaryFormat::Elf),
        ("aarch64-linux-android", object::BinaryFormat::Elf),
        ("x86_64-linux-android", object::BinaryFormat::Elf),
        ("aarch64-apple-ios14.0", object::BinaryFormat::MachO),
        ("aarch64-apple-ios14.0-sim", object::BinaryFormat::MachO),
        ("aarch64-apple-macosx11.0.0", object::BinaryFormat::MachO),
        ("x86_64-apple-macosx11.0.0", object::BinaryFormat::MachO),
        ("x86_64-pc-windows-msvc", object::BinaryFormat::Coff),
        ("aarch64-pc-windows-msvc", object::BinaryFormat::Coff),
    ];
    for (triple, format) in triples {
        let target = Target::baseline(triple.parse().unwrap());
        let generated = generate(&plan, &NoKernels, &target, &Options { prefix: "model", ..Options::default() }).unwrap();
        let bytes = generated.write().unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        assert_eq!(file.format(), format, "{triple}");
        let decorated = if format == object::BinaryFormat::MachO { "_model_run" } else { "model_run" };
        assert!(file.symbol_by_name(decorated).is_some_and(|s| s.is_global() && s.is_definition()), "{triple}");
        for symbol in file.symbols().filter(|s| s.is_global() && s.is_definition()) {
            assert!(symbol.name().unwrap().trim_start_matches('_').starts_with("model_"), "{triple}: {:?}", symbol.name());
        }
    }
}
