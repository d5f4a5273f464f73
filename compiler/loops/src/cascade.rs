//! PyTorch's sum of a row (`SumKernel.cpp`), as a definition: the order in which strict numerics add.
//!
//! Elements are taken in blocks of 32, the i-th of each block into the i-th of 32 partial sums. So that few large sums meet small
//! summands, there are four levels of such sums: after [`step`] blocks, the sums of one level go into those of the next. In the end the levels
//! are joined, the elements beyond the last whole block go eight by eight into the first eight sums, the four octets of sums are joined, and
//! the elements beyond the last octet are added one by one, then the eight sums.

/// Partial sums of a level.
pub const BLOCK: usize = 32;
/// Partial sums that are left in the end.
pub const OCTET: usize = 8;
/// Levels of partial sums.
pub const LEVELS: usize = 4;
/// The logarithm of the fewest blocks that make one of the next level.
pub const LEAST_POWER: u32 = 4;

/// The logarithm of how many blocks of one level make one of the next, for so many blocks in all.
pub fn power(blocks: usize) -> u32 {
    let logarithm = blocks.max(2).next_power_of_two().ilog2();
    (logarithm / LEVELS as u32).max(LEAST_POWER)
}

/// The sum.
pub fn sum(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<BLOCK>();
    let power = power(blocks.len()) as usize;
    let mut levels = [[0f32; BLOCK]; LEVELS];
    for (i, block) in blocks.iter().enumerate() {
        add(&mut levels[0], block);
        for level in 1..LEVELS {
            if !(i + 1).is_multiple_of(1 << (level * power)) {
                break;
            }
            let below = std::mem::replace(&mut levels[level - 1], [0.0; BLOCK]);
            add(&mut levels[level], &below);
        }
    }
    let [mut sums, higher @ ..] = levels;
    higher.iter().for_each(|level| add(&mut sums, level));
    let (octets, rest) = rest.as_chunks::<OCTET>();
    octets.iter().for_each(|octet| add(&mut sums, octet));
    let (first, others) = sums.split_at_mut(OCTET);
    others.chunks(OCTET).for_each(|octet| add(first, octet));
    let rest = rest.iter().fold(0.0, |sum, &x| sum + x);
    first.iter().fold(rest, |sum, &x| sum + x)
}

fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, &x)| *sum += x);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PyTorch gives for sums of `(7 i mod 1001) / 1001`, rounded to binary32, by the number of them.
    const RECORDED: [(usize, u32); 16] = [
        (1, 0x0000_0000),
        (7, 0x3e16_60ac),
        (8, 0x3e48_80e5),
        (9, 0x3e80_e526),
        (31, 0x4050_1ca4),
        (32, 0x405d_fc6a),
        (33, 0x406c_4ec4),
        (48, 0x40fc_6b6a),
        (100, 0x420a_7628),
        (511, 0x436c_3949),
        (512, 0x436c_cc16),
        (515, 0x436e_8f38),
        (1_024, 0x43f9_6277),
        (1_100, 0x4404_bb14),
        (9_000, 0x458b_8285),
        (140_000, 0x4787_c284),
    ];

    #[test]
    fn sums_are_those_of_pytorch() {
        for (count, bits) in RECORDED {
            let values: Vec<f32> = (0..count).map(|i| (7 * i % 1001) as f32 / 1001.0).collect();
            assert_eq!(sum(&values).to_bits(), bits, "{count} values");
        }
    }
}
