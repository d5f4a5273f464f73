//! From what was seen of an activation to the range that its bytes cover.

use kiln_passes::quantize::recipe::Affine;
use kiln_support::TensorData;

/// How the range of an activation is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Observer {
    /// From the smallest to the largest number seen.
    #[default]
    MinMax,
    /// Without the outermost hundredth of a percent of all numbers.
    Percentile,
    /// The range whose bytes tell most of the distribution: least Kullback-Leibler divergence (Migacz, "8-bit inference with
    /// TensorRT", 2017).
    Entropy,
}

/// Bins of a histogram.
const BINS: usize = 2048;
/// The share of numbers that [`Observer::Percentile`] cuts off, both ends together.
const CUT: f64 = 1e-4;

/// What was seen of an activation.
#[derive(Clone, PartialEq, Debug)]
pub struct Seen {
    /// The smallest number.
    pub low: f32,
    /// The largest number.
    pub high: f32,
    /// How many numbers fell into each equal part of the range; empty if that was not counted.
    pub histogram: Vec<u64>,
    /// Sum for each channel, and how many numbers each has.
    pub channel_sums: Vec<f64>,
    /// How many numbers each channel has had.
    pub per_channel: u64,
}

impl Seen {
    /// Nothing yet.
    pub fn new(channels: usize) -> Seen {
        Seen { low: f32::MAX, high: f32::MIN, histogram: Vec::new(), channel_sums: vec![0.0; channels], per_channel: 0 }
    }

    /// Adds a tensor `[batch, channels, ...]` or `[rows, channels]`.
    pub fn add(&mut self, tensor: &TensorData) {
        let values = tensor.to_f32();
        for &x in values.iter().filter(|x| x.is_finite()) {
            self.low = self.low.min(x);
            self.high = self.high.max(x);
        }
        let channels = self.channel_sums.len().max(1);
        let inner = kiln_support::tensor::count(&tensor.shape[2.min(tensor.shape.len())..]);
        for (i, block) in values.chunks(inner.max(1)).enumerate() {
            self.channel_sums[i % channels] += block.iter().map(|&x| f64::from(x)).sum::<f64>();
        }
        self.per_channel += (values.len() / channels) as u64;
    }

    /// Counts the numbers of a tensor whose range was added before.
    pub fn count(&mut self, tensor: &TensorData) {
        self.histogram.resize(BINS, 0);
        for x in tensor.to_f32().into_iter().filter(|x| x.is_finite()) {
            let bin = self.bin(x);
            self.histogram[bin] += 1;
        }
    }

    /// The part of the range that a number falls into.
    fn bin(&self, x: f32) -> usize {
        let width = (self.high - self.low) / BINS as f32;
        if width > 0.0 { (((x - self.low) / width) as usize).min(BINS - 1) } else { 0 }
    }

    /// The mean of a channel.
    pub fn mean(&self, channel: usize) -> f64 {
        self.channel_sums.get(channel).map_or(0.0, |sum| sum / self.per_channel.max(1) as f64)
    }

    /// The range that an observer chooses, in the bytes from 0 to `largest`.
    pub fn affine(&self, observer: Observer, largest: u8) -> Affine {
        if self.low > self.high {
            return Affine::of_range(0.0, 1.0, largest);
        }
        let width = (self.high - self.low) / BINS as f32;
        let edges = match observer {
            Observer::MinMax => None,
            Observer::Percentile => percentile(&self.histogram),
            Observer::Entropy => entropy(&self.histogram),
        };
        match edges {
            Some((first, end)) => Affine::of_range(self.low + width * first as f32, self.low + width * end as f32, largest),
            None => Affine::of_range(self.low, self.high, largest),
        }
    }
}

/// The bins that are left when the outermost numbers are cut off at both ends.
fn percentile(histogram: &[u64]) -> Option<(usize, usize)> {
    let all: u64 = histogram.iter().sum();
    let most = (all as f64 * CUT / 2.0) as u64;
    let cut = |bins: &mut dyn Iterator<Item = &u64>| {
        let mut sum = 0;
        bins.take_while(|&&n| {
            sum += n;
            sum <= most
        })
        .count()
    };
    let (first, last) = (cut(&mut histogram.iter()), cut(&mut histogram.iter().rev()));
    (all > 0 && first + last < histogram.len()).then(|| (first, histogram.len() - last))
}

/// The bins between which 256 levels tell most: candidates are cut off at the end where the fewer numbers are.
fn entropy(histogram: &[u64]) -> Option<(usize, usize)> {
    const LEVELS: usize = 256;
    const STEP: usize = 16;
    let (mut first, mut end) = (0, histogram.len());
    let mut best = None;
    while end >= first + LEVELS {
        let divergence = divergence(histogram, first, end, LEVELS);
        if best.is_none_or(|(least, _)| divergence < least) {
            best = Some((divergence, (first, end)));
        }
        let (left, right): (u64, u64) = (histogram[first..first + STEP].iter().sum(), histogram[end - STEP..end].iter().sum());
        if left < right { first += STEP } else { end -= STEP }
    }
    best.map(|(_, edges)| edges)
}

/// Kullback-Leibler divergence of the bins `first..end`, what lies outside counted at the ends, from the same in fewer levels.
fn divergence(histogram: &[u64], first: usize, end: usize, levels: usize) -> f64 {
    let mut p: Vec<f64> = histogram[first..end].iter().map(|&n| n as f64).collect();
    p[0] += histogram[..first].iter().sum::<u64>() as f64;
    *p.last_mut().expect("candidates are not empty") += histogram[end..].iter().sum::<u64>() as f64;
    let inside = &histogram[first..end];
    let mut q = vec![0f64; inside.len()];
    for level in 0..levels {
        let part = level * inside.len() / levels..(level + 1) * inside.len() / levels;
        let filled = inside[part.clone()].iter().filter(|n| **n > 0).count();
        let sum: u64 = inside[part.clone()].iter().sum();
        part.filter(|&i| inside[i] > 0).for_each(|i| q[i] = sum as f64 / filled as f64);
    }
    let (all_p, all_q): (f64, f64) = (p.iter().sum(), q.iter().sum());
    let term = |(p, q): (&f64, &f64)| if *p > 0.0 { p / all_p * (p * all_q.max(1.0) / (q.max(1e-9) * all_p)).ln() } else { 0.0 };
    p.iter().zip(&q).map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bell of numbers between -1 and 1, and one far away.
    fn seen() -> Seen {
        let mut seen = Seen { low: -1.0, high: 31.0, histogram: vec![0; BINS], ..Seen::new(1) };
        for i in 0..100_000u64 {
            let x = (0..4).map(|k| (((i * 2_654_435_761) >> (8 * k)) & 255) as f32 / 255.0 - 0.5).sum::<f32>() / 2.0;
            let bin = seen.bin(x);
            seen.histogram[bin] += 1;
        }
        seen.histogram[BINS - 1] += 1;
        seen
    }

    #[test]
    fn outliers_are_cut_off_by_all_but_minmax() {
        let seen = seen();
        let scale = |observer| seen.affine(observer, 255).scale;
        assert!((scale(Observer::MinMax) - 32.0 / 255.0).abs() < 1e-6);
        assert!(scale(Observer::Percentile) < 3.0 / 255.0);
        assert!(scale(Observer::Entropy) < 8.0 / 255.0);
    }

    #[test]
    fn a_constant_has_a_scale() {
        let seen = Seen { low: 0.0, high: 0.0, ..Seen::new(1) };
        assert!(seen.affine(Observer::Entropy, 255).scale > 0.0);
    }
}
