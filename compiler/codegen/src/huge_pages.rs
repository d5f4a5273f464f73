//! Advice to Linux that an arena shall have huge pages.
//!
//! A first call touches every page of its arena, and each costs a fault: 1500 of 4 KB for the 6 MB of a MobileNet, a
//! quarter of that call. With huge pages there are three. Linux gives them to whoever asks, by `madvise(2)`; the system
//! call is made directly, so that the object needs no symbol for it. It is advice: nothing depends on what it returns.

use crate::error::CodegenError;
use crate::linker::Linker;
use cranelift_codegen::ir::types;
use cranelift_module::FuncId;
use target_lexicon::{Architecture, Environment, OperatingSystem, Triple};

/// Size and alignment of a huge page, in bytes (with base pages of 4 KB, on both architectures).
pub(crate) const BYTES: i64 = 2 << 20;
/// `MADV_HUGEPAGE`.
pub(crate) const ADVICE: i64 = 14;

/// `bytes`, or a little more where that makes the last page a huge one: at most a quarter of it is wasted.
pub(crate) fn fill_up(bytes: i64) -> i64 {
    let whole = (bytes + BYTES - 1) / BYTES * BYTES;
    if whole - bytes <= BYTES / 4 { whole } else { bytes }
}

/// `mov eax, 28; syscall; ret`: the arguments are where the system call wants them already.
const X86_64: &[u8] = &[0xb8, 28, 0, 0, 0, 0x0f, 0x05, 0xc3];
/// `mov x8, #233; svc #0; ret`.
const AARCH64: &[u8] = &[0x28, 0x1d, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xc0, 0x03, 0x5f, 0xd6];

/// Defines `advise(address, bytes, advice)`, on systems that have it.
pub(crate) fn define_advise(linker: &mut Linker) -> Result<Option<FuncId>, CodegenError> {
    let Some(code) = advise_code(linker.module.isa().triple()) else { return Ok(None) };
    let signature = Linker::signature(linker.c_convention, &[types::I64; 3], None);
    let id = linker.declare_local("advise", &signature)?;
    linker.module.define_function_bytes(id, 16, code, &[])?;
    Ok(Some(id))
}

fn advise_code(triple: &Triple) -> Option<&'static [u8]> {
    let is_linux = triple.operating_system == OperatingSystem::Linux || triple.environment == Environment::Android;
    match triple.architecture {
        Architecture::X86_64 if is_linux => Some(X86_64),
        Architecture::Aarch64(_) if is_linux => Some(AARCH64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(triple: &str) -> Option<&'static [u8]> {
        advise_code(&triple.parse().unwrap())
    }

    #[test]
    fn last_page_is_filled_where_little_is_wasted() {
        assert_eq!(fill_up(3 * BYTES - BYTES / 4), 3 * BYTES);
        assert_eq!(fill_up(3 * BYTES - BYTES / 4 - 1), 3 * BYTES - BYTES / 4 - 1);
        assert_eq!(fill_up(BYTES), BYTES);
    }

    #[test]
    fn only_linux_is_advised() {
        assert_eq!(code("x86_64-unknown-linux-musl"), Some(X86_64));
        assert_eq!(code("aarch64-linux-android"), Some(AARCH64));
        for other in ["aarch64-apple-ios", "x86_64-pc-windows-msvc", "x86_64-apple-darwin"] {
            assert_eq!(code(other), None, "{other}");
        }
    }
}
