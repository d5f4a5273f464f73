//! NEON loads and stores beside inaccessible pages: a tail reads and writes no byte beyond its lanes, and registers that must be preserved are.
//!
//! These run in the emulator only, whose memory has such pages.
#![cfg(all(target_os = "linux", not(target_arch = "aarch64")))]

mod common;

use common::aarch64::{BASELINE, Emulator, arena};
use kiln_kernels::isa::{Gpr, Mem, Src, V, VectorIsa};
use kiln_kernels::target::{Isa, TargetDesc};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Each test has slots of its own.
const LOADS: usize = 0;
const STORES: usize = 1;
const BEYOND: usize = 2;

fn build(args: usize, emit: impl FnOnce(&mut dyn VectorIsa)) -> Vec<u8> {
    let mut isa = TargetDesc::new(Isa::Neon).assembler().expect("NEON");
    emit(isa.as_mut());
    isa.finish(args).expect("encodable")
}

/// Writes to emulated memory from this side, where all of it is accessible.
fn fill(address: *mut u8, values: &[f32]) {
    // SAFETY: the slot is shared memory of this process, long enough, and belongs to one test.
    unsafe { std::ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), address, values.len() * 4) };
}

fn read(address: *const u8, count: usize) -> Vec<f32> {
    // SAFETY: as in `fill`; any bits are an f32.
    (0..count).map(|i| unsafe { address.cast::<f32>().add(i).read_unaligned() }).collect()
}

#[test]
fn short_loads_stop_at_the_last_byte() {
    let Some(emulator) = Emulator::get() else { return };
    for count in 1..=4usize {
        let from = arena::edge(LOADS, 4 * count);
        let values: Vec<f32> = (1..=count).map(|i| i as f32).collect();
        fill(from, &values);
        let mut out = vec![0f32; 12];
        let code = build(3, |isa| {
            let constant = isa.make_tail(Src::Imm(count as i64), V(5));
            isa.load_tail(V(1), Mem::new(Gpr(0), 0), &constant);
            isa.store(Mem::new(Gpr(1), 0), V(1));
            let counted = isa.make_tail(Src::Reg(Gpr(2)), V(5));
            isa.load_tail(V(1), Mem::new(Gpr(0), 0), &counted);
            isa.store(Mem::new(Gpr(1), 16), V(1));
            isa.load_scalars(V(1), Mem::new(Gpr(0), 0), count);
            isa.store(Mem::new(Gpr(1), 32), V(1));
            isa.load_splat(V(1), Mem::new(Gpr(0), 4 * (count as i32 - 1)));
        });
        emulator.call(BASELINE, &code, &[from as u64, out.as_mut_ptr() as u64, count as u64]);
        for part in out.chunks(4) {
            assert_eq!(part[..count], values);
            assert!(part[count..].iter().all(|v| *v == 0.0));
        }
    }
}

#[test]
fn short_stores_stop_at_the_last_byte() {
    let Some(emulator) = Emulator::get() else { return };
    for count in 1..=4usize {
        for counted in [false, true] {
            let to = arena::edge(STORES, 4 * count);
            fill(to, &vec![0.0; count]);
            let input = Box::new([1f32, 2.0, 3.0, 4.0]);
            let code = build(3, |isa| {
                let n = if counted { Src::Reg(Gpr(2)) } else { Src::Imm(count as i64) };
                let tail = isa.make_tail(n, V(5));
                isa.load(V(1), Mem::new(Gpr(0), 0));
                isa.store_tail(Mem::new(Gpr(1), 0), V(1), &tail);
            });
            emulator.call(BASELINE, &code, &[input.as_ptr() as u64, to as u64, count as u64]);
            assert_eq!(read(to, count), input[..count]);
        }
    }
}

/// The pages at both ends really are inaccessible: otherwise the tests above could not fail.
#[test]
fn whole_vectors_beyond_the_end_are_caught() {
    let Some(emulator) = Emulator::get() else { return };
    let whole = build(1, |isa| isa.load(V(0), Mem::new(Gpr(0), 0)));
    let before = arena::edge_start(BEYOND) as u64 - 4;
    for address in [arena::edge(BEYOND, 12) as u64, before] {
        let caught = catch_unwind(AssertUnwindSafe(|| emulator.call(BASELINE, &whole, &[address])));
        assert!(caught.is_err(), "an access at {address:#x} went unnoticed");
    }
    emulator.call(BASELINE, &whole, &[arena::edge(BEYOND, 16) as u64]);
}

/// The emulator notices code that does not restore what it must: `mov x20, xzr; ret` and `movi v9.2d, #0; ret`.
#[test]
fn clobbered_registers_are_caught() {
    let Some(emulator) = Emulator::get() else { return };
    for word in [0xaa1f_03f4u32, 0x6f00_e409] {
        let code: Vec<u8> = [word, 0xd65f_03c0].iter().flat_map(|w| w.to_le_bytes()).collect();
        assert!(catch_unwind(AssertUnwindSafe(|| emulator.call(BASELINE, &code, &[]))).is_err(), "{word:#x} went unnoticed");
    }
}
