//! The runtime as a static library: the exported functions of `kiln-rt`, and the panic handler that `no_std` asks for.
//!
//! No release path of the runtime panics; what is left of bounds checks that cannot fail ends in a trap instruction.

#![no_std]

use kiln_rt as _;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an undefined instruction ends the process.
    unsafe {
        core::arch::asm!("ud2", options(noreturn, nomem, nostack))
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a breakpoint instruction ends the process.
    unsafe {
        core::arch::asm!("brk #1", options(noreturn, nomem, nostack))
    }
}
