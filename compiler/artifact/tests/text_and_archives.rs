//! Manifests, headers and archives, read back.

mod common;

use common::{HOST, build, count_plan, has_tool, print_plan, run_tool, scale_plan};
use kiln_artifact::{Archive, Format, c_header, manifest, refers_to_runtime, rust_module, static_library};
use object::read::archive::ArchiveFile;
use std::process::Command;

#[test]
fn the_manifest_says_what_the_model_takes() {
    let (model, _, _) = build(&scale_plan(), "scale", HOST, HOST, None);
    let value: serde_json::Value = serde_json::from_str(&manifest(&model)).unwrap();
    assert_eq!(value["abi_version"], 1);
    assert_eq!(value["arena_bytes"], 640);
    let method = &value["methods"][0];
    assert_eq!((&method["symbol"], &method["tensors_symbol"]), (&"scale_forward".into(), &"scale_forward_tensors".into()));
    assert_eq!(method["inputs"][0]["type"], serde_json::json!({ "kind": "tensor", "dtype": "float32", "dims": [2, "N"] }));
    let (other, _, _) = build(&count_plan(), "count", HOST, HOST, None);
    assert_ne!(model.weights_hash, other.weights_hash);
    assert_eq!(other.methods[0].signature(), "count(step: int) -> int");
}

#[test]
fn bindings_avoid_words_of_the_language() {
    let (model, _, _) = build(&scale_plan(), "scale", HOST, HOST, None);
    let header = c_header(&model);
    assert!(
        header.contains("scale_forward_flat(kiln_context *instance, const float *float_, int64_t N, float *out)"),
        "{header}"
    );
    assert!(rust_module(&model).contains("pub fn forward(&mut self, float_: &[f32], N: usize)"));
}

#[test]
fn the_same_model_gives_the_same_files() {
    let [a, b] = [(); 2].map(|()| build(&scale_plan(), "scale", HOST, HOST, None));
    assert_eq!((a.1, a.2), (b.1, b.2));
    assert_eq!(manifest(&a.0), manifest(&b.0));
}

#[test]
fn archives_are_read_back() {
    for format in [Format::Gnu, Format::Bsd] {
        let mut archive = Archive::new();
        archive.add("a.o", b"odd", vec!["one".into(), "two".into()]);
        archive.add("a_rather_long_member_name.o", b"even", vec!["three".into()]);
        let bytes = archive.write(format).unwrap();
        let file = ArchiveFile::parse(&*bytes).unwrap();
        let members: Vec<_> = file.members().map(|m| m.unwrap()).collect();
        let names: Vec<_> = members.iter().map(|m| m.name().to_vec()).collect();
        assert_eq!(names, [b"a.o".to_vec(), b"a_rather_long_member_name.o".to_vec()]);
        for (member, expected) in members.iter().zip([b"odd".as_slice(), b"even"]) {
            assert!(member.data(&*bytes).unwrap().starts_with(expected));
        }
        let symbols: Vec<_> = file.symbols().unwrap().unwrap().map(|s| s.unwrap()).collect();
        assert_eq!(symbols.len(), 3);
        for symbol in symbols {
            let member = file.member(symbol.offset()).unwrap();
            let expected = if symbol.name() == b"three" { &names[1] } else { &names[0] };
            assert_eq!(member.name(), expected);
        }
    }
}

#[test]
fn tools_list_the_archives() {
    for triple in [HOST, "aarch64-apple-ios14.0", "x86_64-pc-windows-msvc"] {
        let (_, object, library) = build(&scale_plan(), "a_model_with_a_long_name", triple, triple, None);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lib.a");
        std::fs::write(&path, library).unwrap();
        if has_tool("llvm-nm") {
            let listing = run_tool(Command::new("llvm-nm").args(["--print-armap", "--defined-only"]).arg(&path));
            assert!(listing.contains("a_model_with_a_long_name_forward in a_model_with_a_long_name.o"), "{triple}: {listing}");
        }
        assert!(!object.is_empty());
    }
}

#[test]
fn what_is_no_object_is_refused() {
    assert!(static_library("x", b"nothing", None, &HOST.parse().unwrap()).is_err());
}

#[test]
fn only_models_that_refer_to_the_runtime_need_it() {
    for triple in [HOST, "aarch64-apple-ios14.0", "x86_64-pc-windows-msvc"] {
        let needs = |plan: &common::PlainPlan| refers_to_runtime(&build(plan, "model", triple, triple, None).1).unwrap();
        assert!(!needs(&scale_plan()) && needs(&print_plan()), "{triple}");
    }
    assert!(refers_to_runtime(b"nothing").is_err());
}
