//! What tests of the whole compiler share: models made from a few lines of code.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// `None` of a module without attributes: `__torch__.M()`, as `torch.jit.save` pickles it.
const MODULE: &[u8] = b"\x80\x02c__torch__\nM\n)\x81}b.";

/// An empty tuple.
const NO_CONSTANTS: &[u8] = b"\x80\x02).";

/// An archive whose module has these methods, each written as in an archive's code:
/// `def forward(self: __torch__.M, x: int) -> int: ...`.
pub fn archive(methods: &str) -> Vec<u8> {
    let body: String = methods.lines().map(|line| format!("  {line}\n")).collect();
    let code = format!("class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n{body}");
    archive_of(MODULE, code.as_bytes())
}

/// An archive with this pickle and this code.
pub fn archive_of(pickle: &[u8], code: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let records: [(&str, &[u8]); 4] =
        [("version", b"3\n"), ("data.pkl", pickle), ("constants.pkl", NO_CONSTANTS), ("code/__torch__.py", code)];
    for (name, bytes) in records {
        zip.start_file(format!("m/{name}"), SimpleFileOptions::default()).expect("names are valid");
        zip.write_all(bytes).expect("memory can be written");
    }
    zip.finish().expect("memory can be written").into_inner()
}

/// A file of the folder `fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// Whether a target can be executed here: on a machine of this architecture, if it says one, with these tools.
pub fn is_there(triple: &str, machine: &str, tools: &[&str]) -> bool {
    if !machine.is_empty() && machine != std::env::consts::ARCH {
        eprintln!("{triple} is not executed: it needs a machine of {machine}");
        return false;
    }
    let missing: Vec<&&str> =
        tools.iter().filter(|tool| std::process::Command::new(tool).arg("--version").output().is_err()).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("KILN_REQUIRE_EMULATION").is_none_or(|value| value == "0"), "{triple}: {missing:?} are missing");
    eprintln!("{triple} is not executed: {missing:?} are missing");
    false
}
