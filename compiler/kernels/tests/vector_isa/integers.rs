//! Integers, control flow and the frame.

use super::common::runnable;
use super::{Holds, OUT, build, run};
use kiln_kernels::isa::{Cond, Gpr, Mem, Src, V, VectorIsa};
use kiln_kernels::target::TargetDesc;

/// Runs a function of integers that writes `outputs` 64-bit results; its arguments are the output pointer, then `args`.
fn run_int(target: &TargetDesc, args: &[i64], outputs: usize, emit: impl FnOnce(&mut dyn VectorIsa)) -> Vec<i64> {
    let mut output = vec![0i64; outputs];
    let mut all = vec![output.as_mut_ptr() as u64];
    all.extend(args.iter().map(|&a| a as u64));
    build(target, all.len(), emit).call(&all);
    output
}

type OfInts = fn(i64, i64) -> i64;
type IntOp = fn(&mut dyn VectorIsa, Gpr, Gpr, Src);

#[test]
fn integer_arithmetic() {
    let operations: [(&str, IntOp, OfInts); 3] = [
        ("add", |isa, d, a, b| isa.add(d, a, b), i64::wrapping_add),
        ("sub", |isa, d, a, b| isa.sub(d, a, b), i64::wrapping_sub),
        ("mul", |isa, d, a, b| isa.mul(d, a, b), i64::wrapping_mul),
    ];
    let constants =
        [0, 1, -1, 7, 8, 127, 128, 4095, 4096, 4097, -4096, 1 << 24, (1 << 24) + 1, -(1 << 24) - 5, 1 << 30, i64::from(i32::MAX)];
    let (out, a, b, last) = (Gpr(0), Gpr(1), Gpr(2), Gpr(14));
    for target in &runnable() {
        for (what, op, want) in operations {
            for value in [0i64, 1, -1, 12_345_678_901, i64::MAX, i64::MIN] {
                for constant in constants {
                    let got = run_int(target, &[value, constant], 6, |isa| {
                        op(isa, last, a, Src::Imm(constant));
                        isa.store_int(Mem::new(out, 0), last);
                        op(isa, last, a, Src::Reg(b));
                        isa.store_int(Mem::new(out, 8), last);
                        isa.mov(last, Src::Reg(a));
                        op(isa, last, last, Src::Imm(constant));
                        isa.store_int(Mem::new(out, 16), last);
                        isa.mov(last, Src::Reg(a));
                        op(isa, last, last, Src::Reg(b));
                        isa.store_int(Mem::new(out, 24), last);
                        isa.mov(last, Src::Reg(b));
                        op(isa, last, a, Src::Reg(last));
                        isa.store_int(Mem::new(out, 32), last);
                        op(isa, a, a, Src::Reg(a));
                        isa.store_int(Mem::new(out, 40), a);
                    });
                    let expected = want(value, constant);
                    assert_eq!(got[..5], [expected; 5], "{}: {what} {value} {constant}", target.isa.name());
                    assert_eq!(got[5], want(value, value), "{}: {what} of one register, {value}", target.isa.name());
                }
            }
        }
    }
}

#[test]
fn moves_shifts_and_division() {
    let constants = [0, 1, -1, 0x1234, -0x1_2345, 1 << 40, i64::MAX, i64::MIN, 0x5555_5555_5555_5555, 0x1234_5678_9abc_def0];
    for target in &runnable() {
        let got = run_int(target, &[], constants.len(), |isa| {
            for (i, &constant) in constants.iter().enumerate() {
                isa.mov(Gpr(3), Src::Imm(constant));
                isa.store_int(Mem::new(Gpr(0), 8 * i as i32), Gpr(3));
            }
        });
        assert_eq!(got, constants, "{}", target.isa.name());
        for (value, shift) in [(0x1234_5678_9abc_def0u64, 0u8), (u64::MAX, 1), (0x8000_0000_0000_0001, 63), (12345, 13)] {
            let got = run_int(target, &[value as i64], 4, |isa| {
                isa.shl(Gpr(2), Gpr(1), shift);
                isa.store_int(Mem::new(Gpr(0), 0), Gpr(2));
                isa.shr(Gpr(2), Gpr(1), shift);
                isa.store_int(Mem::new(Gpr(0), 8), Gpr(2));
                isa.splat_int(V(1), Gpr(2));
                isa.shr(Gpr(1), Gpr(1), shift);
                isa.store_int(Mem::new(Gpr(0), 16), Gpr(1));
            });
            assert_eq!(got[..3], [(value << shift) as i64, (value >> shift) as i64, (value >> shift) as i64]);
        }
        for (n, by) in
            [(0i64, 1i64), (1, 1), (7, 2), ((1 << 52) - 1, 3), ((1 << 52) - 1, (1 << 31) - 1), (999_999_999_999, 1000), (5, 7)]
        {
            let got = run_int(target, &[n, by], 2, |isa| {
                isa.udiv(Gpr(3), Gpr(1), Gpr(2), [V(0), V(1)]);
                isa.store_int(Mem::new(Gpr(0), 0), Gpr(3));
                isa.udiv(Gpr(1), Gpr(1), Gpr(2), [V(0), V(1)]);
                isa.store_int(Mem::new(Gpr(0), 8), Gpr(1));
            });
            assert_eq!(got, [n / by, n / by], "{n} / {by}");
        }
        let got = run(target, &[], target.isa.lanes(), |isa| {
            isa.mov(Gpr(5), Src::Imm(-77));
            isa.splat_int(V(6), Gpr(5));
            isa.store(Mem::new(OUT, 0), V(6));
        });
        assert!(got.iter().all(|v| *v == -77.0), "splat_int: {got:?}");
    }
}

#[test]
fn branches_and_conditional_moves() {
    let holds: [(Cond, Holds<i64>); 7] = [
        (Cond::Eq, |a, b| a == b),
        (Cond::Ne, |a, b| a != b),
        (Cond::Lt, |a, b| a < b),
        (Cond::Le, |a, b| a <= b),
        (Cond::Gt, |a, b| a > b),
        (Cond::Ge, |a, b| a >= b),
        (Cond::Ult, |a, b| (a as u64) < b as u64),
    ];
    let values = [0, 1, -1, 5, -5, 4096, -4096, 5000, -5000, i64::from(i32::MAX), i64::from(i32::MIN)];
    for target in &runnable() {
        for (cond, want) in holds {
            for b in values {
                let code = build(target, 3, |isa| {
                    let (out, x, y, d) = (Gpr(0), Gpr(1), Gpr(2), Gpr(6));
                    for (i, b) in [Src::Imm(b), Src::Reg(y)].into_iter().enumerate() {
                        let end = isa.label();
                        isa.mov(d, Src::Imm(1));
                        isa.branch(cond, x, b, end);
                        isa.mov(d, Src::Imm(0));
                        isa.bind(end);
                        isa.store_int(Mem::new(out, 16 * i as i32), d);
                        isa.mov(Gpr(7), Src::Imm(1));
                        isa.mov(d, Src::Imm(0));
                        isa.mov_if(cond, x, b, d, Gpr(7));
                        isa.store_int(Mem::new(out, 16 * i as i32 + 8), d);
                    }
                });
                for a in values {
                    let mut output = vec![9i64; 4];
                    code.call(&[output.as_mut_ptr() as u64, a as u64, b as u64]);
                    assert_eq!(output, [i64::from(want(a, b)); 4], "{}: {a} {cond:?} {b}", target.isa.name());
                }
            }
        }
    }
}

#[test]
fn loops_and_jumps() {
    for target in &runnable() {
        let got = run_int(target, &[10], 1, |isa| {
            let (n, sum) = (Gpr(1), Gpr(3));
            let (top, middle, end) = (isa.label(), isa.label(), isa.label());
            isa.mov(sum, Src::Imm(0));
            isa.jump(middle);
            isa.bind(top);
            isa.add(sum, sum, Src::Reg(n));
            isa.sub(n, n, Src::Imm(1));
            isa.bind(middle);
            isa.branch(Cond::Le, n, Src::Imm(0), end);
            isa.jump(top);
            isa.bind(end);
            isa.store_int(Mem::new(Gpr(0), 0), sum);
        });
        assert_eq!(got, [55]);
    }
}

/// Every register is written and read back, through the frame: what the caller keeps must survive (the emulator checks), all
/// eight arguments must arrive, and slots must not overlap.
#[test]
fn frame_arguments_and_all_registers() {
    for target in &runnable() {
        let info = target.assembler().expect("a target").info();
        let (ints, vectors) = (info.gprs - 8, info.vregs);
        let mut output = vec![0i64; 8 + ints];
        let mut floats = vec![0f32; 2 * vectors * info.lanes];
        let mut args: Vec<u64> = (0..8).map(|i| 1000 + i).collect();
        args[0] = output.as_mut_ptr() as u64;
        args[7] = floats.as_mut_ptr() as u64;
        let code = build(target, 8, |isa| {
            (8..info.gprs as u8).for_each(|i| isa.mov(Gpr(i), Src::Imm(i64::from(i) * 3)));
            (0..vectors as u8).for_each(|i| isa.splat(V(i), f32::from(i).to_bits()));
            let slots: Vec<_> = (0..info.gprs).map(|_| (isa.slot(), isa.vslot())).collect();
            for (i, (slot, _)) in slots.iter().enumerate() {
                isa.store_slot(*slot, Gpr(i as u8));
            }
            let spills: Vec<_> = (0..vectors).map(|_| isa.vslot()).collect();
            spills.iter().enumerate().for_each(|(i, &slot)| isa.spill(slot, V(i as u8)));
            let (out, to, t) = (Gpr(9), Gpr(10), Gpr(11));
            isa.load_slot(out, slots[0].0);
            isa.load_slot(to, slots[7].0);
            for (i, (slot, _)) in slots.iter().enumerate() {
                isa.load_slot(t, *slot);
                isa.store_int(Mem::new(out, 8 * i as i32), t);
            }
            for (i, &slot) in spills.iter().enumerate() {
                isa.store(Mem::new(to, i as i32 * info.bytes()), V(i as u8));
                isa.reload(V((vectors - 1 - i) as u8), slot);
            }
            for i in 0..vectors {
                isa.store(Mem::new(to, (vectors + i) as i32 * info.bytes()), V(i as u8));
            }
        });
        code.call(&args);
        for (i, &value) in output.iter().enumerate() {
            let want = if i < 8 { args[i] as i64 } else { i as i64 * 3 };
            assert_eq!(value, want, "{}: register {i}", info.name);
        }
        for i in 0..vectors {
            let first = floats[i * info.lanes..(i + 1) * info.lanes].to_vec();
            let reloaded = &floats[(vectors + i) * info.lanes..(vectors + i + 1) * info.lanes];
            // The first half of the reloads overwrites registers that are stored later.
            let (at, seen) = (vectors - 1 - i, if i < vectors.div_ceil(2) { i } else { vectors - 1 - i });
            assert!(reloaded.iter().all(|v| *v == at as f32), "{}: reload into {i}: {reloaded:?}", info.name);
            assert!(first.iter().all(|v| *v == seen as f32), "{}: spill of {i}: {first:?}", info.name);
        }
    }
}
