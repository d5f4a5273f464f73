//! The prebuilt objects: they come from the present sources, they define the whole symbol table, and one of them works in a C
//! program that knows nothing but the header.

use std::path::{Path, PathBuf};
use std::process::Command;

const TRIPLES: [&str; 12] = [
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
    "x86_64-linux-android",
    "aarch64-linux-android",
    "aarch64-apple-ios",
    "aarch64-apple-ios-sim",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn object(triple: &str) -> PathBuf {
    root().join("prebuilt").join(format!("{triple}.o"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// What of a source file ends in the objects: all but its unit tests, which stand last.
fn compiled_part(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {")
        .next()
        .and_then(|text| text.split("\n#[cfg(test)]\nmod recorded {").next())
        .unwrap_or(text)
}

/// FNV-1a over names and contents of the sources in order.
fn source_hash() -> String {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    files.retain(|path| !path.ends_with("abi_document.rs") && !path.ends_with("test_context.rs"));
    for name in ["Cargo.toml", "staticlib/Cargo.toml", "staticlib/Cargo.lock", "staticlib/src/lib.rs"] {
        files.push(root().join(name));
    }
    files.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        for byte in name.bytes().chain(compiled_part(&text).bytes().filter(|byte| *byte != b'\r')) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

/// What `build-prebuilt` records with each object.
#[test]
#[ignore = "prints the hash for build-prebuilt"]
fn print_source_hash() {
    println!("{}", source_hash());
}

#[test]
fn the_objects_are_fresh() {
    let recorded = std::fs::read_to_string(root().join("prebuilt/SOURCES.hash")).unwrap_or_default();
    let hash = source_hash();
    let is_fresh = |triple: &&str| recorded.lines().any(|line| line == format!("{triple} {hash}"));
    let stale: Vec<&str> = TRIPLES.into_iter().filter(|triple| !is_fresh(triple)).collect();
    assert!(stale.is_empty(), "the prebuilt runtime is stale: run runtime-stub/build-prebuilt {}", stale.join(" "));
}

/// Every object is of its platform, defines the whole symbol table and no other global function.
#[test]
fn the_objects_define_every_symbol() {
    use object::{BinaryFormat, Object, ObjectSymbol};
    for triple in TRIPLES {
        let bytes = std::fs::read(object(triple)).unwrap_or_else(|error| panic!("{triple}: {error}"));
        let file = object::File::parse(&*bytes).unwrap();
        let format = match triple {
            _ if triple.contains("apple") => BinaryFormat::MachO,
            _ if triple.contains("windows") => BinaryFormat::Coff,
            _ => BinaryFormat::Elf,
        };
        assert_eq!(file.format(), format, "{triple}");
        let prefix = if format == BinaryFormat::MachO { "_" } else { "" };
        let defined: std::collections::BTreeSet<String> = file
            .symbols()
            .filter(|symbol| symbol.is_global() && symbol.is_definition())
            .map(|symbol| symbol.name().unwrap().strip_prefix(prefix).unwrap().to_string())
            .filter(|name| !name.starts_with("__real@") && !name.starts_with("__xmm@") && name != "@feat.00")
            .collect();
        let listed = kiln_rt::SYMBOLS.iter().map(|symbol| symbol.name.to_string()).collect();
        assert_eq!(defined, listed, "{triple}");
    }
}

fn tool_exists(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Compiles `value_tree.c` with the object, without the sections that nothing refers to.
fn link(compiler: &str, triple: &str, program: &Path, extra: &[&str]) {
    let output = Command::new(compiler)
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wl,--gc-sections", "-o"])
        .arg(program)
        .args(extra)
        .arg(root().join("tests/value_tree.c"))
        .arg(object(triple))
        .arg("-I")
        .arg(root().join("include"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const EXPECTED: &str = "{scores: ( 1.5000\n 2.0000\n[ CPUFloatType{2} ], True), name: kiln} 3\n";

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), EXPECTED);
}

#[test]
fn a_c_program_uses_the_native_object() {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) || !tool_exists("cc") {
        return;
    }
    let program = std::env::temp_dir().join(format!("kiln-rt-native-{}", std::process::id()));
    link("cc", "x86_64-unknown-linux-gnu", &program, &[]);
    run(&mut Command::new(&program));
    let bytes = std::fs::metadata(&program).unwrap().len();
    std::fs::remove_file(&program).unwrap();
    assert!(bytes < 150_000, "{bytes} bytes: unused functions are linked");
}

#[test]
fn a_c_program_uses_the_aarch64_object_in_an_emulator() {
    if !tool_exists("aarch64-linux-gnu-gcc") || !tool_exists("qemu-aarch64") {
        return;
    }
    for triple in ["aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl", "aarch64-linux-android"] {
        let program = std::env::temp_dir().join(format!("kiln-rt-{triple}-{}", std::process::id()));
        link("aarch64-linux-gnu-gcc", triple, &program, &["-static"]);
        run(Command::new("qemu-aarch64").arg(&program));
        std::fs::remove_file(&program).unwrap();
    }
}

/// The header is also C++.
#[test]
fn the_header_is_cpp() {
    if !tool_exists("c++") {
        return;
    }
    let header = root().join("include/kiln.h");
    let output = Command::new("c++")
        .args(["-std=c++11", "-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-x", "c++"])
        .arg(header)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}
