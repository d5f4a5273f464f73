//! What is quantized and how: plain data, made by calibration and carried out by [`super::quantize`].

/// The recipe of a model.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recipe {
    /// By method name.
    pub methods: Vec<MethodRecipe>,
}

impl Recipe {
    /// The recipe of a method; those that are compiled for several types of inputs have numbers behind their names.
    pub fn method(&self, name: &str) -> Option<&MethodRecipe> {
        let is_of =
            |m: &&MethodRecipe| name == m.name || name.strip_prefix(m.name.as_str()).is_some_and(|rest| rest.starts_with("__"));
        self.methods.iter().find(is_of)
    }
}

/// The recipe of a method: one entry for each of its sites, in their order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MethodRecipe {
    /// The method's name.
    pub name: String,
    /// Its layers.
    pub layers: Vec<LayerRecipe>,
}

/// How one layer computes.
#[derive(Clone, PartialEq, Debug)]
pub struct LayerRecipe {
    /// A hash of the weights that the recipe was made for.
    pub weights: u64,
    /// How.
    pub precision: Precision,
    /// Which bytes the result becomes, if it does although no layer reads it ([`super::sites::Site::is_summed`]).
    pub output: Option<Affine>,
    /// What is added to each output channel for the rounding of the weights; may be empty.
    pub correction: Vec<f32>,
}

/// How a layer computes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Precision {
    /// In binary32.
    Float,
    /// Bytes by bytes; the input is quantized so.
    Int8(Affine),
    /// Bytes by bytes; the input is quantized by its own range, when the model runs. For linear layers.
    Dynamic,
    /// In binary32; the weights take less memory.
    Weights(Narrow),
}

/// How weights are stored that take less memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Narrow {
    /// As binary16.
    F16,
    /// As signed bytes, with a scale for each row. For embeddings: linear layers compute with bytes.
    Int8,
    /// In four bits, with a scale for every 32 of a row.
    Int4,
}

/// Which numbers unsigned bytes stand for: `(q - zero_point) * scale`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Affine {
    /// The scale, positive.
    pub scale: f32,
    /// The byte that stands for 0.
    pub zero_point: u8,
}

impl Affine {
    /// For numbers between `low` and `high`, widened so that 0 is one of them and has a byte of its own; they take the bytes from 0 to `largest`.
    pub fn of_range(low: f32, high: f32, largest: u8) -> Affine {
        let (low, high, largest) = (low.min(0.0), high.max(0.0), f32::from(largest));
        let scale = ((high - low) / largest).max(f32::MIN_POSITIVE);
        let zero_point = (-low / scale).round_ties_even().clamp(0.0, largest) as u8;
        Affine { scale, zero_point }
    }

    /// The number that is left of one.
    pub fn rounded(self, x: f32) -> f32 {
        let zero = f32::from(self.zero_point);
        (((x / self.scale).round_ties_even() + zero).clamp(0.0, 255.0) - zero) * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_the_range_is_kept() {
        for (low, high) in [(-1.0, 3.0), (0.5, 2.0), (-7.0, -2.0), (0.0, 0.0)] {
            for largest in [255, 127] {
                let affine = Affine::of_range(low, high, largest);
                assert_eq!(affine.rounded(0.0), 0.0);
                for x in [low, high] {
                    assert!((affine.rounded(x) - x).abs() <= affine.scale * 0.5001, "{x} becomes {}", affine.rounded(x));
                }
            }
        }
    }
}
