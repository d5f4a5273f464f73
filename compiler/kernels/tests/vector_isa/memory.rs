//! Loads, stores, addresses, tails and the operands of contractions.

use super::common::{Rng, runnable};
use super::{IN, OUT, build, register_sets, run, same};
use kiln_kernels::isa::{Gpr, Mem, Src, V};

/// Displacements that fit an instruction, that do not, and that cross from one kind to the other.
const DISPLACEMENTS: [i32; 18] =
    [0, 4, 8, 16, 32, 252, 256, 260, -4, -16, -256, -260, 1008, 1024, 4096, 65_520, 65_536, 1_000_004];

#[test]
fn addresses() {
    const SPAN: usize = 2_400_000;
    for target in &runnable() {
        let lanes = target.isa.lanes();
        let memory: Vec<f32> = (0..SPAN / 4).map(|i| i as f32).collect();
        for disp in DISPLACEMENTS {
            for index in [None, Some(0i64), Some(400), Some(-400)] {
                let at = (SPAN as i64 / 2 + i64::from(disp) + index.unwrap_or(0)) as usize / 4;
                let m = Mem { base: Gpr(2), index: index.map(|_| Gpr(3)), disp };
                let mut output = vec![0f32; 4 * lanes + 4];
                let code = build(target, 4, |isa| {
                    isa.load(V(0), m);
                    isa.load(V(1), m.plus(4 * lanes as i32));
                    isa.store(Mem::new(OUT, 0), V(0));
                    isa.store(Mem::new(OUT, 4 * lanes as i32), V(1));
                    isa.load_splat(V(2), m);
                    isa.store(Mem::new(OUT, 8 * lanes as i32), V(2));
                    isa.load_scalars(V(3), m, 1);
                    isa.store_lane0(Mem::new(OUT, 12 * lanes as i32), V(3));
                    isa.load_word(Gpr(5), m);
                    isa.store_word(Mem::new(OUT, 12 * lanes as i32 + 4), Gpr(5));
                    isa.load_int(Gpr(6), m);
                    isa.store_int(Mem::new(OUT, 12 * lanes as i32 + 8), Gpr(6));
                    isa.prefetch(m);
                });
                let middle = memory.as_ptr() as u64 + SPAN as u64 / 2;
                code.call(&[0, output.as_mut_ptr() as u64, middle, index.unwrap_or(0) as u64]);
                let what = format!("{}: disp {disp} index {index:?}", target.isa.name());
                assert_eq!(output[..2 * lanes], memory[at..at + 2 * lanes], "{what}");
                assert!(output[2 * lanes..3 * lanes].iter().all(|v| *v == memory[at]), "{what}");
                assert_eq!(output[3 * lanes..][..4], [memory[at], memory[at], memory[at], memory[at + 1]], "{what}");
            }
        }
    }
}

#[test]
fn stores_to_all_addresses() {
    const SPAN: usize = 2_400_000;
    for target in &runnable() {
        let lanes = target.isa.lanes();
        for disp in DISPLACEMENTS {
            for index in [None, Some(-400i64)] {
                let mut memory = vec![0f32; SPAN / 4];
                let at = (SPAN as i64 / 2 + i64::from(disp) + index.unwrap_or(0)) as usize / 4;
                let m = Mem { base: Gpr(2), index: index.map(|_| Gpr(3)), disp };
                let code = build(target, 4, |isa| {
                    isa.load(V(4), Mem::new(IN, 0));
                    isa.load(V(5), Mem::new(IN, 4 * lanes as i32));
                    isa.store(m, V(4));
                    isa.store(m.plus(4 * lanes as i32), V(5));
                });
                let input: Vec<f32> = (1..=2 * lanes).map(|i| i as f32).collect();
                let middle = memory.as_mut_ptr() as u64 + SPAN as u64 / 2;
                code.call(&[input.as_ptr() as u64, 0, middle, index.unwrap_or(0) as u64]);
                assert_eq!(memory[at..at + 2 * lanes], input, "{}: disp {disp} index {index:?}", target.isa.name());
                assert!(memory[..at].iter().chain(&memory[at + 2 * lanes..]).all(|v| *v == 0.0), "wrote elsewhere");
            }
        }
    }
}

#[test]
fn tails_touch_their_lanes_only() {
    for target in &runnable() {
        let lanes = target.isa.lanes();
        for count in 0..=lanes {
            for in_register in [false, true] {
                for disp in [0, 4, 4096] {
                    let mut memory = vec![9f32; 2048];
                    let at = disp as usize / 4;
                    let input: Vec<f32> = (1..=lanes + 1025).map(|i| i as f32).collect();
                    let mut loaded = vec![0f32; 2 * lanes];
                    let code = build(target, 5, |isa| {
                        let n = if in_register { Src::Reg(Gpr(3)) } else { Src::Imm(count as i64) };
                        let tail = isa.make_tail(n, V(7));
                        isa.splat(V(1), 77f32.to_bits());
                        isa.load_tail(V(1), Mem::new(IN, disp), &tail);
                        isa.store(Mem::new(Gpr(4), 0), V(1));
                        isa.store_tail(Mem::new(OUT, disp), V(1), &tail);
                        isa.splat(V(2), (-1f32).to_bits());
                        isa.fill_tail(V(1), V(2), &tail);
                        isa.store(Mem::new(Gpr(4), 4 * lanes as i32), V(1));
                    });
                    let pointers =
                        [input.as_ptr() as u64, memory.as_mut_ptr() as u64, 0, count as u64, loaded.as_mut_ptr() as u64];
                    code.call(&pointers);
                    let what = format!("{}: {count} lanes, register {in_register}, disp {disp}", target.isa.name());
                    for i in 0..lanes {
                        let value = if i < count { input[at + i] } else { 0.0 };
                        assert_eq!(loaded[i], value, "{what}: load of lane {i}");
                        assert_eq!(loaded[lanes + i], if i < count { value } else { -1.0 }, "{what}: fill of lane {i}");
                        assert_eq!(memory[at + i], if i < count { value } else { 9.0 }, "{what}: store of lane {i}");
                    }
                    assert!(memory[at + lanes..].iter().all(|v| *v == 9.0), "{what}: wrote beyond");
                }
            }
        }
    }
}

#[test]
fn scalars_of_a_row() {
    for target in &runnable() {
        let info = target.assembler().expect("a target").info();
        let mut rng = Rng(99);
        let input = rng.floats(info.lanes + 8);
        for n in 1..=info.k_step {
            for lane in 0..n {
                for [acc, b, s, _] in register_sets(target) {
                    let got = run(target, &input, info.lanes, |isa| {
                        isa.splat(acc, 2f32.to_bits());
                        isa.load(b, Mem::new(IN, 0));
                        isa.load_scalars(s, Mem::new(IN, 4 * info.lanes as i32), n);
                        isa.fma_scalar(acc, b, s, lane);
                        isa.store(Mem::new(OUT, 0), acc);
                    });
                    for i in 0..info.lanes {
                        same("fma_scalar", got[i], input[i].mul_add(input[info.lanes + lane], 2.0));
                    }
                }
            }
        }
    }
}

#[test]
fn transposed_blocks() {
    for target in &runnable() {
        let lanes = target.isa.lanes();
        for stride in [4usize, 5, 8, 100, 300, 5000] {
            let input: Vec<f32> = (0..stride * (lanes - 1) + 4).map(|i| i as f32).collect();
            for in_register in [false, true] {
                let mut output = vec![0f32; 4 * lanes];
                let code = build(target, 3, |isa| {
                    let bytes = if in_register { Src::Reg(Gpr(2)) } else { Src::Imm(4 * stride as i64) };
                    let d = [V(3), V(5), V(1), V(9)];
                    isa.load_transposed4(d, IN, bytes, [V(0), V(2), V(4), V(6)]);
                    d.iter().enumerate().for_each(|(c, &v)| isa.store(Mem::new(OUT, (4 * lanes * c) as i32), v));
                });
                code.call(&[input.as_ptr() as u64, output.as_mut_ptr() as u64, 4 * stride as u64]);
                for (i, &got) in output.iter().enumerate() {
                    let (column, row) = (i / lanes, i % lanes);
                    assert_eq!(got, input[row * stride + column], "stride {stride}, column {column}, row {row}");
                }
            }
        }
    }
}
