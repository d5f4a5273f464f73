//! Operations on vectors in registers, over the values at which they change their behaviour.

use super::common::{Rng, runnable};
use super::{Holds, IN, OUT, register_sets, run, same};
use kiln_kernels::isa::{BinOp, CmpOp, Mem, ReduceOp, UnOp, V, VectorIsa};
use kiln_kernels::target::TargetDesc;

type OfOne = fn(f32) -> f32;
type OfTwo = fn(f32, f32) -> f32;
type OfBits = fn(u32, u32) -> u32;

/// Values at which rounding, comparison and conversion change their behaviour.
const SPECIAL: [f32; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    0.499_999_97,
    8_388_607.5,
    8_388_609.0,
    -16_777_217.0,
    1e-40,
    -1e-40,
    f32::MIN_POSITIVE,
    f32::MAX,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    3.75,
    -3.25,
    1e9,
    -7.0,
];
/// Applies a one-operand form to all of `values`, with and without sharing registers.
fn each_value(target: &TargetDesc, values: &[f32], want: impl Fn(f32) -> f32, what: &str, op: UnOp) {
    let lanes = target.isa.lanes();
    for [d, a, ..] in register_sets(target) {
        for d in [d, a] {
            for chunk in values.chunks(lanes) {
                let mut input = chunk.to_vec();
                input.resize(lanes, 1.0);
                let got = run(target, &input, lanes, |isa| {
                    isa.load(a, Mem::new(IN, 0));
                    isa.unary(op, d, a);
                    isa.store(Mem::new(OUT, 0), d);
                });
                input.iter().zip(got).for_each(|(&x, got)| same(&format!("{what} of {x:e}"), got, want(x)));
            }
        }
    }
}

#[test]
fn unary_operations() {
    for target in &runnable() {
        let check = |what: &str, op, want: OfOne| each_value(target, &SPECIAL, want, what, op);
        check("neg", UnOp::Neg, |x| -x);
        check("abs", UnOp::Abs, f32::abs);
        check("sqrt", UnOp::Sqrt, f32::sqrt);
        check("floor", UnOp::Floor, f32::floor);
        check("ceil", UnOp::Ceil, f32::ceil);
        check("trunc", UnOp::Trunc, f32::trunc);
        check("round", UnOp::Round, f32::round_ties_even);
        let bits = |f: fn(u32) -> u32| move |x: f32| f32::from_bits(f(x.to_bits()));
        each_value(target, &SPECIAL[..20], bits(|b| !b), "not", UnOp::Not);
        each_value(target, &SPECIAL[..19], bits(|b| b << 1), "shl", UnOp::Shl(1));
        each_value(target, &SPECIAL[..19], bits(|b| b << 31), "shl", UnOp::Shl(31));
        each_value(target, &SPECIAL, bits(|b| b >> 23), "shr", UnOp::Shr(23));
        each_value(target, &SPECIAL, bits(|b| ((b as i32) >> 31) as u32), "sar", UnOp::Sar(31));
        each_value(target, &SPECIAL, bits(|b| ((b as i32) >> 5) as u32), "sar", UnOp::Sar(5));
        each_value(target, &SPECIAL, |x| x.to_bits() as i32 as f32, "to float", UnOp::ToFloat);
        let small: Vec<f32> = SPECIAL.iter().copied().filter(|x| x.abs() < 2e9).collect();
        let to_int = |x: f32| f32::from_bits(x.round_ties_even() as i32 as u32);
        each_value(target, &small, to_int, "to int", UnOp::ToInt);
    }
}

/// Applies a two-operand form to every pair of special values; `d` is distinct, or `a`, or `b`.
fn each_pair(target: &TargetDesc, what: &str, want: impl Fn(f32, f32) -> f32, emit: impl Fn(&mut dyn VectorIsa, V, V, V)) {
    let lanes = target.isa.lanes();
    for [d, a, b, _] in register_sets(target) {
        for d in [d, a, b] {
            for shift in 0..SPECIAL.len() {
                let x: Vec<f32> = SPECIAL.to_vec();
                let y: Vec<f32> = (0..SPECIAL.len()).map(|i| SPECIAL[(i + shift) % SPECIAL.len()]).collect();
                let whole = SPECIAL.len() / lanes * lanes;
                let input = [&x[..whole], &y[..whole]].concat();
                let got = run(target, &input, whole, |isa| {
                    for at in (0..whole).step_by(lanes) {
                        isa.load(a, Mem::new(IN, 4 * at as i32));
                        isa.load(b, Mem::new(IN, 4 * (whole + at) as i32));
                        emit(isa, d, a, b);
                        isa.store(Mem::new(OUT, 4 * at as i32), d);
                    }
                });
                for i in 0..whole {
                    same(&format!("{what} of {:e}, {:e}", x[i], y[i]), got[i], want(x[i], y[i]));
                }
            }
        }
    }
}

fn int_pair(f: OfBits) -> impl Fn(f32, f32) -> f32 {
    move |a, b| f32::from_bits(f(a.to_bits(), b.to_bits()))
}

#[test]
fn binary_operations() {
    for target in &runnable() {
        let nan_minmax = target.assembler().expect("a target").info().arithmetic.nan_minmax;
        let arithmetic: [(&str, BinOp, OfTwo); 4] = [
            ("add", BinOp::Add, |a, b| a + b),
            ("sub", BinOp::Sub, |a, b| a - b),
            ("mul", BinOp::Mul, |a, b| a * b),
            ("div", BinOp::Div, |a, b| a / b),
        ];
        for (what, op, want) in arithmetic {
            each_pair(target, what, want, |isa, d, a, b| isa.binary(op, d, a, b));
        }
        let bitwise: [(&str, BinOp, OfBits); 5] = [
            ("and", BinOp::And, |a, b| a & b),
            ("or", BinOp::Or, |a, b| a | b),
            ("xor", BinOp::Xor, |a, b| a ^ b),
            ("add int", BinOp::AddInt, u32::wrapping_add),
            ("sub int", BinOp::SubInt, u32::wrapping_sub),
        ];
        for (what, op, want) in bitwise {
            each_pair(target, what, int_pair(want), |isa, d, a, b| isa.binary(op, d, a, b));
        }
        for (op, is_max) in [(BinOp::Max, true), (BinOp::Min, false)] {
            // Adding zero makes the two zeros, of which either may come out, equal.
            let want = |a: f32, b: f32| {
                let pick = if a.is_nan() && !nan_minmax {
                    b
                } else if a.is_nan() || b.is_nan() {
                    f32::NAN
                } else if is_max {
                    a.max(b)
                } else {
                    a.min(b)
                };
                pick + 0.0
            };
            let zero = register_sets(target).map(|s| s[3]);
            each_pair(target, "max or min", want, |isa, d, a, b| {
                let zero = if [d, a, b].contains(&zero[0]) { zero[1] } else { zero[0] };
                isa.binary(op, d, a, b);
                isa.splat(zero, 0);
                isa.binary(BinOp::Add, d, d, zero);
            });
        }
    }
}

#[test]
fn comparisons() {
    let all: [(CmpOp, Holds<f32>); 7] = [
        (CmpOp::Eq, |a, b| a == b),
        (CmpOp::Ne, |a, b| a != b),
        (CmpOp::Lt, |a, b| a < b),
        (CmpOp::Le, |a, b| a <= b),
        (CmpOp::Gt, |a, b| a > b),
        (CmpOp::Ge, |a, b| a >= b),
        (CmpOp::Unord, |a, b| a.is_nan() || b.is_nan()),
    ];
    for target in &runnable() {
        for (op, holds) in all {
            // One bit of the mask keeps the result comparable as a number.
            let want = |a: f32, b: f32| if holds(a, b) { f32::from_bits(1) } else { 0.0 };
            each_pair(target, &format!("{op:?}"), want, |isa, d, a, b| {
                isa.cmp(op, d, a, b);
                isa.unary(UnOp::Shr(31), d, d);
            });
        }
    }
}

/// Three-operand forms with the destination distinct from, or the same as, each operand.
#[test]
fn selects_and_fused_products() {
    for target in &runnable() {
        let lanes = target.isa.lanes();
        let mut rng = Rng(0x5eed);
        let input = rng.floats(3 * lanes);
        let (x, y, z) = (&input[..lanes], &input[lanes..2 * lanes], &input[2 * lanes..]);
        for [d, a, b, c] in register_sets(target) {
            let load = |isa: &mut dyn VectorIsa| {
                for (i, v) in [a, b, c].into_iter().enumerate() {
                    isa.load(v, Mem::new(IN, (4 * lanes * i) as i32));
                }
            };
            for d in [d, a, b, c] {
                let got = run(target, &input, 3 * lanes, |isa| {
                    load(isa);
                    isa.mul_add(d, a, b, c);
                    isa.store(Mem::new(OUT, 0), d);
                    load(isa);
                    isa.neg_mul_add(d, a, b, c);
                    isa.store(Mem::new(OUT, 4 * lanes as i32), d);
                    load(isa);
                    isa.unary(UnOp::Sar(31), a, a);
                    isa.select(d, a, b, c);
                    isa.store(Mem::new(OUT, 8 * lanes as i32), d);
                });
                for i in 0..lanes {
                    same("mul_add", got[i], x[i].mul_add(y[i], z[i]));
                    same("neg_mul_add", got[lanes + i], (-x[i]).mul_add(y[i], z[i]));
                    same("select", got[2 * lanes + i], if x[i] < 0.0 { y[i] } else { z[i] });
                }
            }
            let got = run(target, &input, 3 * lanes, |isa| {
                load(isa);
                isa.vmov(d, c);
                isa.fma(d, a, b);
                isa.store(Mem::new(OUT, 0), d);
                isa.mul_add(d, a, a, a);
                isa.store(Mem::new(OUT, 4 * lanes as i32), d);
            });
            for i in 0..lanes {
                same("fma", got[i], x[i].mul_add(y[i], z[i]));
                same("mul_add of one register", got[lanes + i], x[i].mul_add(x[i], x[i]));
            }
        }
    }
}

#[test]
fn constants() {
    let values = [
        0,
        1,
        0xff,
        0xff00,
        0x00ff_0000,
        0xff00_0000,
        0x1_ffff,
        0xab_ffff,
        0xffff_fff0,
        0xff54_0000,
        0x8080_8080,
        0x1200_1200,
        0xffed_ffed,
        0x1234_5678,
        u32::MAX,
        1f32.to_bits(),
        (-2.5f32).to_bits(),
        0.1f32.to_bits(),
        31f32.to_bits(),
        0.125f32.to_bits(),
        12_582_912f32.to_bits(),
        f32::INFINITY.to_bits(),
    ];
    for target in &runnable() {
        let lanes = target.isa.lanes();
        let got = run(target, &[], values.len() * lanes, |isa| {
            for (i, &bits) in values.iter().enumerate() {
                isa.splat(V(i as u8 % 7), bits);
                isa.store(Mem::new(OUT, (4 * lanes * i) as i32), V(i as u8 % 7));
            }
        });
        for (i, got) in got.iter().enumerate() {
            assert_eq!(got.to_bits(), values[i / lanes], "{}: splat {:#x}", target.isa.name(), values[i / lanes]);
        }
    }
}

#[test]
fn reductions() {
    for target in &runnable() {
        let lanes = target.isa.lanes();
        for [d, s, t, u] in register_sets(target) {
            for d in [d, s] {
                for (op, fold) in [(ReduceOp::Sum, (|a, b| a + b) as OfTwo), (ReduceOp::Max, f32::max), (ReduceOp::Min, f32::min)]
                {
                    for nan_at in (0..lanes).map(Some).chain([None]) {
                        let mut input: Vec<f32> =
                            (0..lanes).map(|i| [3.0, -8.0, 5.0, 1.0, 0.5][i % 5] * (i + 1) as f32).collect();
                        if let Some(i) = nan_at {
                            input[i] = f32::NAN;
                        }
                        let got = run(target, &input, lanes, |isa| {
                            isa.load(s, Mem::new(IN, 0));
                            isa.reduce(op, d, s, [t, u]);
                            isa.store(Mem::new(OUT, 0), d);
                        });
                        let sum = input.iter().copied().reduce(fold).expect("lanes");
                        let want = if nan_at.is_some() { f32::NAN } else { sum };
                        got.iter().for_each(|&g| same(&format!("{op:?} of {input:?}"), g, want));
                    }
                }
            }
        }
    }
}
