//! Objects for Apple's systems, run without one: the Mach-O object is rewritten as an ELF object with the same code,
//! data and relocations, linked for Linux and run under an emulator.
//!
//! What differs between the two systems and is not covered: variadic functions and narrow arguments on the stack,
//! which compiled models do not have.

mod common;

use common::{build, count_plan, has_tool, run_tool, scale_plan, write};
use kiln_artifact::{KILN_H, c_header, elf_from_mach_o};
use object::Endianness;
use object::read::macho::MachOFile64;
use std::path::Path;
use std::process::Command;

fn write_model(folder: &Path, plan: &common::PlainPlan, prefix: &str) {
    let (model, object, _) = build(plan, prefix, "aarch64-apple-ios", "aarch64-apple-ios14.0", None);
    write(folder, "kiln.h", KILN_H);
    write(folder, &format!("{prefix}.h"), c_header(&model));
    write(folder, &format!("{prefix}.o"), elf_from_mach_o(&object).expect("an ELF object"));
}

#[test]
fn code_for_ios_runs() {
    let is_there = has_tool("aarch64-linux-gnu-gcc") && has_tool("qemu-aarch64");
    assert!(is_there || std::env::var_os("KILN_REQUIRE_EMULATION").is_none(), "the emulator or its compiler is missing");
    if !is_there {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_model(folder, &scale_plan(), "scale");
    write_model(folder, &count_plan(), "count");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/two_models.c");
    let mut command = Command::new("aarch64-linux-gnu-gcc");
    command.args(["-std=c11", "-O1", "-o"]).arg(folder.join("program")).arg("-I").arg(folder).arg(source);
    run_tool(command.arg(folder.join("scale.o")).arg(folder.join("count.o")));
    run_tool(Command::new("qemu-aarch64").args(["-L", "/usr/aarch64-linux-gnu"]).arg(folder.join("program")));
}

#[test]
fn objects_say_for_which_system_they_are() {
    for (triple, platform) in
        [("aarch64-apple-ios14.0", 2u32), ("aarch64-apple-ios14.0-sim", 7), ("aarch64-apple-macosx11.0.0", 1)]
    {
        let (_, object, _) = build(&count_plan(), "count", triple, triple, None);
        let file = MachOFile64::<Endianness>::parse(&*object).expect("a Mach-O object");
        let mut commands = file.macho_load_commands().expect("load commands");
        let version =
            std::iter::from_fn(|| commands.next().expect("a load command")).find_map(|c| c.build_version().expect("a command"));
        let version = version.expect("a build version");
        assert_eq!(version.platform.get(Endianness::Little), platform, "{triple}");
        assert!(version.minos.get(Endianness::Little) >= 11 << 16, "{triple}");
    }
}
