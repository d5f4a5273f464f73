//! Damaged and foreign objects are refused; good ones give what they export.

use kiln_codegen::{NoKernels, Options, Target, generate};
use kiln_loader::{LoadError, load};
use kiln_loops::plan::{Data, Method, Operand, Plan, Stmt};
use kiln_support::PrimaryMap;

/// An object with code, data with an address inside, large data and imports.
fn object_for(triple: &str) -> Vec<u8> {
    let mut data = PrimaryMap::new();
    let small = data.push(Data { name: "small".into(), bytes: vec![1; 8].into(), align: 8, relocations: vec![] });
    let table = data.push(Data { name: "table".into(), bytes: vec![0; 16].into(), align: 8, relocations: vec![(8, small, 4)] });
    data.push(Data { name: "large".into(), bytes: vec![2; 20_000].into(), align: 64, relocations: vec![] });
    let body = vec![
        Stmt::Runtime { name: "clear_error", args: vec![Operand::Context], result: None, fallible: false },
        Stmt::CopyBytes { to: Operand::Arena(0), from: Operand::Data(table, 0), bytes: Operand::Int(16) },
    ];
    let plan: Plan<()> = Plan {
        methods: vec![Method { name: "forward".into(), body, ..Method::default() }],
        variants: Vec::new(),
        init: Method { name: "init".into(), ..Method::default() },
        state_slots: 1,
        computes: PrimaryMap::new(),
        kernels: PrimaryMap::new(),
        data,
        arena_bytes: 64,
    };
    let target = Target::baseline(triple.parse().unwrap());
    generate(&plan, &NoKernels, &target, &Options { prefix: "m", ..Options::default() }).unwrap().write().unwrap()
}

fn host_object() -> Vec<u8> {
    object_for(if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" })
}

#[test]
fn exports_are_found() {
    let library = load(&host_object()).unwrap();
    let symbols: Vec<_> = library.symbols().collect();
    assert_eq!(symbols, ["m_arena_bytes", "m_create", "m_destroy", "m_forward", "m_last_error", "m_reset"]);
    assert!(library.symbol("m_forward").is_some() && library.symbol("m.init").is_none());
    assert!(library.mapped_bytes() > 20_000);
}

#[test]
fn foreign_objects_are_refused() {
    let other = if cfg!(target_arch = "aarch64") { "x86_64-unknown-linux-gnu" } else { "aarch64-unknown-linux-gnu" };
    assert!(matches!(load(&object_for(other)), Err(LoadError::Machine(_))));
    assert!(matches!(load(&object_for("x86_64-pc-windows-msvc")), Err(LoadError::Format(_))));
    assert!(matches!(load(b""), Err(LoadError::Format(_))));
    assert!(matches!(load(&[0; 4096]), Err(LoadError::Format(_))));
}

#[test]
fn truncated_objects_are_refused() {
    let object = host_object();
    for len in (0..object.len()).step_by(37) {
        // The section headers stand at the end, so no prefix is whole.
        assert!(load(&object[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn damaged_objects_do_not_crash() {
    let object = host_object();
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut refused = 0;
    for _ in 0..4000 {
        let mut damaged = object.clone();
        for _ in 0..1 + next() % 4 {
            // Headers, symbols and relocations stand at both ends.
            let span = damaged.len().min(4000);
            let at = if next() % 4 == 0 { next() % 64 } else { damaged.len() - 1 - next() % span };
            damaged[at] = [0, 0xff, 0x80, next() as u8][next() % 4];
        }
        refused += usize::from(load(&damaged).is_err());
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn unknown_imports_are_named() {
    let mut object = host_object();
    let at = object.windows(6).position(|w| w == b"malloc").unwrap();
    object[at..at + 6].copy_from_slice(b"mallox");
    assert!(matches!(load(&object), Err(LoadError::Undefined(name)) if name == "mallox"));
}
