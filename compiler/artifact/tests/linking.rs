//! Libraries and bindings as an app uses them: compiled and linked by the tools at hand, and run.

mod common;

use common::{HOST, build, count_plan, has_tool, print_plan, run_tool, scale_plan, write};
use kiln_artifact::{KILN_H, c_header, runtime_object, rust_module};
use std::path::Path;
use std::process::Command;

fn write_model(folder: &Path, plan: &common::PlainPlan, prefix: &str, triple: &str, runtime: Option<&[u8]>) {
    let (model, _, library) = build(plan, prefix, triple, triple, runtime);
    write(folder, "kiln.h", KILN_H);
    write(folder, &format!("{prefix}.h"), c_header(&model));
    write(folder, &format!("{prefix}.rs"), rust_module(&model));
    write(folder, &format!("lib{prefix}.a"), library);
}

fn two_models(triple: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write_model(folder.path(), &scale_plan(), "scale", triple, None);
    write_model(folder.path(), &count_plan(), "count", triple, None);
    folder
}

fn compile_program(compiler: &str, folder: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/two_models.c");
    let mut command = Command::new(compiler);
    command.args([
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-O1",
        "-pie",
        "-fPIE",
        "-Wl,-z,text",
        "-Wl,--fatal-warnings",
        "-o",
    ]);
    run_tool(
        command.arg(folder.join("program")).arg("-I").arg(folder).arg(source).arg("-L").arg(folder).args(["-lscale", "-lcount"]),
    );
}

#[test]
fn a_c_program_links_two_models() {
    let folder = two_models(HOST);
    let folder = folder.path();
    compile_program("cc", folder);
    run_tool(&mut Command::new(folder.join("program")));
    let symbols =
        run_tool(Command::new("nm").args(["-g", "--defined-only"]).arg(folder.join("libscale.a")).arg(folder.join("libcount.a")));
    let names: Vec<&str> = symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert!(names.len() >= 13 && names.iter().all(|n| n.starts_with("scale_") || n.starts_with("count_")), "{names:?}");
    let undefined = run_tool(Command::new("nm").arg("-u").arg(folder.join("libscale.a")).arg(folder.join("libcount.a")));
    let names: Vec<&str> = undefined.lines().filter_map(|line| line.trim().strip_prefix("U ")).collect();
    assert!(names.iter().all(|n| ["memset", "malloc", "free"].contains(n)), "{names:?}");
}

#[test]
fn the_same_program_runs_on_aarch64() {
    let is_there = has_tool("aarch64-linux-gnu-gcc") && has_tool("qemu-aarch64");
    assert!(is_there || std::env::var_os("KILN_REQUIRE_EMULATION").is_none(), "the emulator or its compiler is missing");
    if is_there {
        let folder = two_models("aarch64-unknown-linux-gnu");
        compile_program("aarch64-linux-gnu-gcc", folder.path());
        run_tool(Command::new("qemu-aarch64").args(["-L", "/usr/aarch64-linux-gnu"]).arg(folder.path().join("program")));
    }
}

#[test]
fn headers_are_good_cpp() {
    let folder = two_models(HOST);
    write(
        folder.path(),
        "all.cpp",
        "#include \"scale.h\"\n#include \"count.h\"\n#include \"scale.h\"\nint main() { return 0; }\n",
    );
    let flags = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"];
    run_tool(Command::new("c++").args(flags).arg(folder.path().join("all.cpp")));
}

const RUST_PROGRAM: &str = r#"
#[deny(warnings)] #[allow(unused_imports)] mod scale { include!("scale.rs"); }
#[deny(warnings)] #[allow(unused_imports)] mod count { include!("count.rs"); }
fn main() {
    let mut model = scale::Model::new().unwrap();
    let out = model.forward(&[1.0, 2.0, 3.0, 4.0], 2).unwrap();
    assert_eq!(out, scale::Tensor { sizes: vec![2, 2], data: vec![12.0, 14.0, 26.0, 28.0] });
    assert_eq!(model.forward(&[1.0, 2.0, 3.0], 2).unwrap_err().status, 3);
    assert_eq!(model.forward(&[0.0; 130], 65).unwrap_err().message, "N is at most 64");
    model.reset().unwrap();
    let mut counter = count::Model::new().unwrap();
    let five = count::Value { tag: 2, bits: 5 };
    assert_eq!(unsafe { counter.count(&[five]) }.unwrap().bits, 105);
    assert!(unsafe { counter.count(&[]) }.is_err());
}
"#;

#[test]
fn a_rust_program_uses_the_modules() {
    let folder = two_models(HOST);
    let folder = folder.path();
    write(folder, "main.rs", RUST_PROGRAM);
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let mut command = Command::new(rustc);
    command
        .args(["--edition", "2024", "-L"])
        .arg(folder)
        .args(["-l", "static=scale", "-l", "static=count", "-o"])
        .arg(folder.join("program"));
    run_tool(command.arg(folder.join("main.rs")));
    run_tool(&mut Command::new(folder.join("program")));
}

#[test]
fn a_model_with_run_time_objects_links_with_the_runtime_it_carries() {
    let Some(runtime) = runtime_object(HOST) else {
        eprintln!("skipped, for the runtime of {HOST} is not prebuilt");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_model(folder, &print_plan(), "greeter", HOST, Some(runtime));
    let program = "#include \"greeter.h\"\n\
        int main(void) {\n\
            kiln_context *c;\n\
            kiln_value v = kiln_int(42), r;\n\
            if (greeter_create(NULL, &c) || greeter_greet(c, &v, 1, &r)) return 1;\n\
            greeter_destroy(c);\n\
            return 0;\n\
        }\n";
    write(folder, "main.c", program);
    let mut command = Command::new("cc");
    command.args(["-Wall", "-Werror", "-o"]).arg(folder.join("program")).arg("-I").arg(folder).arg(folder.join("main.c"));
    run_tool(command.arg("-L").arg(folder).args(["-lgreeter", "-lm"]));
    assert_eq!(run_tool(&mut Command::new(folder.join("program"))), "42\n");
}

#[test]
fn linkers_of_other_systems_take_the_libraries() {
    let android = ["-shared", "-z", "max-page-size=16384", "-z", "text", "--whole-archive"];
    let ios = [
        "-dylib",
        "-arch",
        "arm64",
        "-platform_version",
        "ios",
        "14.0",
        "14.0",
        "-undefined",
        "dynamic_lookup",
        "-all_load",
        "-fatal_warnings",
    ];
    let simulator = [
        "-dylib",
        "-arch",
        "arm64",
        "-platform_version",
        "ios-simulator",
        "14.0",
        "14.0",
        "-undefined",
        "dynamic_lookup",
        "-all_load",
    ];
    let mac =
        ["-dylib", "-arch", "x86_64", "-platform_version", "macos", "11.0", "11.0", "-undefined", "dynamic_lookup", "-all_load"];
    let windows = ["/dll", "/noentry", "/force:unresolved", "/nodefaultlib"];
    let cases: [(&str, &str, &[&str]); 8] = [
        ("aarch64-unknown-linux-android", "ld.lld-19", &android),
        ("x86_64-unknown-linux-android", "ld.lld-19", &android),
        ("x86_64-unknown-linux-musl", "ld.lld-19", &android),
        ("aarch64-apple-ios14.0", "ld64.lld-19", &ios),
        ("aarch64-apple-ios14.0-sim", "ld64.lld-19", &simulator),
        ("x86_64-apple-macosx11.0.0", "ld64.lld-19", &mac),
        ("x86_64-pc-windows-msvc", "lld-link-19", &windows),
        ("aarch64-pc-windows-msvc", "lld-link-19", &windows),
    ];
    for (triple, linker, flags) in cases {
        if !has_tool(linker) {
            continue;
        }
        let folder = two_models(triple);
        let library = folder.path().join("libscale.a");
        let mut command = Command::new(linker);
        if linker.starts_with("lld-link") {
            command
                .args(flags)
                .arg(format!("/out:{}", folder.path().join("out").display()))
                .arg(format!("/wholearchive:{}", library.display()));
        } else {
            command.args(flags).arg("-o").arg(folder.path().join("out")).arg(library);
        }
        run_tool(&mut command);
        assert!(folder.path().join("out").exists(), "{triple}");
    }
}
