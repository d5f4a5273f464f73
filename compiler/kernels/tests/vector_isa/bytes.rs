//! Bytes: stores bring lanes into range, rows are brought beside each other and multiplied.

use super::common::{Rng, runnable, runnable_with_extensions};
use super::{IN, OUT, build, register_sets};
use kiln_kernels::isa::{Mem, Src, V};

/// Lanes inside and outside of the ranges of bytes and words.
const EDGES: [i32; 16] = [0, 1, -1, 127, 128, -128, -129, 255, 256, 300, 32_767, 32_768, -32_769, 100_000, i32::MAX, i32::MIN];

fn nearest_byte(lane: i32, signed: bool) -> u8 {
    if signed { lane.clamp(-128, 127) as i8 as u8 } else { lane.clamp(0, 255) as u8 }
}

#[test]
fn stores_of_bytes_saturate() {
    for target in &runnable() {
        let lanes = target.isa.lanes();
        let mut rng = Rng(0xb17e5);
        let values: Vec<i32> = (0..4 * lanes).map(|_| EDGES[rng.below(EDGES.len())]).collect();
        let vector = 4 * lanes as i32;
        for [a, b, c, d] in register_sets(target) {
            for (signed, vectors) in [false, true].into_iter().flat_map(|signed| [0, 1, 2, 4].map(|vectors| (signed, vectors))) {
                let mut out = vec![0xa5u8; 4 * lanes + 8];
                let code = build(target, 2, |isa| {
                    [a, b, c, d].iter().enumerate().for_each(|(i, &v)| isa.load(v, Mem::new(IN, i as i32 * vector)));
                    match vectors {
                        0 => {
                            let tail = isa.make_tail(Src::Imm(3), b);
                            isa.store_bytes_tail(Mem::new(OUT, 0), a, signed, &tail);
                        }
                        1 => isa.store_bytes(Mem::new(OUT, 0), a, signed),
                        2 => {
                            isa.pack_words(a, a, b);
                            isa.store_words(Mem::new(OUT, 0), &[a], signed, b);
                        }
                        _ => {
                            isa.pack_words(a, a, b);
                            isa.pack_words(c, c, d);
                            isa.store_words(Mem::new(OUT, 0), &[a, c], signed, d);
                        }
                    }
                });
                code.call(&[values.as_ptr() as u64, out.as_mut_ptr() as u64]);
                let count = if vectors == 0 { 3 } else { vectors * lanes };
                let want: Vec<u8> = values[..count].iter().map(|&lane| nearest_byte(lane, signed)).collect();
                assert_eq!(out[..count], want, "{}: {vectors} vectors, signed: {signed}", target.isa.name());
                assert!(out[count..].iter().all(|&byte| byte == 0xa5), "{}: wrote beyond", target.isa.name());
            }
        }
    }
}

/// Rows of bytes beside each other, times weights in the same order: each lane has the products of its channel.
#[test]
fn interleaved_rows_are_multiplied_lane_by_lane() {
    for target in &runnable_with_extensions() {
        let (lanes, info) = (target.isa.lanes(), target.assembler().expect("a target").info());
        let vector = 4 * lanes;
        let mut rng = Rng(0x1217);
        let largest = if info.dot.seven_bits { 128 } else { 256 };
        // Four rows of bytes, of which the offset is taken, and four of weights.
        let mut memory: Vec<u8> = (0..4 * vector).map(|_| (rng.below(largest) as i32 - info.dot.offset) as u8).collect();
        memory.extend((0..4 * vector).map(|_| rng.below(256) as u8));
        let byte = |row: usize, channel: usize| match (memory[row * vector + channel], info.dot.offset) {
            (byte, 0) => i32::from(byte),
            (byte, _) => i32::from(byte as i8),
        };
        let weight = |row: usize, channel: usize| i32::from(memory[(4 + row) * vector + channel] as i8);
        for rows in 1..=4 {
            let mut out = vec![0i32; 4 * lanes];
            let code = build(target, 2, |isa| {
                let [bytes, weights] = [0, 1].map(|half| {
                    let (source, result) = ([0, 1, 2, 3].map(V), [4, 5, 6, 7].map(|v| V(v + 4 * half)));
                    for (row, &v) in source.iter().enumerate().take(rows) {
                        isa.load(v, Mem::new(IN, ((4 * usize::from(half) + row) * vector) as i32));
                    }
                    // A row of zeros stands for the missing weights.
                    source.iter().skip(rows).take(usize::from(half)).for_each(|&v| isa.splat(v, 0));
                    let given = (rows + usize::from(half)).min(4);
                    isa.interleave(&result, &source[..given], [V(12), V(13)]);
                    result
                });
                let tmp = [V(0), V(1), V(2), V(3)];
                for (i, (&x, &w)) in bytes.iter().zip(&weights).enumerate() {
                    isa.splat(V(12), 5);
                    isa.dot_lanes(V(12), x, w, &tmp[..info.dot.temps]);
                    isa.store(Mem::new(OUT, (i * vector) as i32), V(12));
                }
            });
            code.call(&[memory.as_ptr() as u64, out.as_mut_ptr() as u64]);
            for (channel, &got) in out.iter().enumerate() {
                let want = 5 + (0..rows).map(|row| byte(row, channel) * weight(row, channel)).sum::<i32>();
                assert_eq!(got, want, "{} {:?}: {rows} rows, channel {channel}", target.isa.name(), target.features);
            }
        }
    }
}
