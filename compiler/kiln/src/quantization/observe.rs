//! Runs a model so that it gives, beside its result, what each of its layers reads and gives.

use crate::driver::{Listings, Model};
use crate::error::Result;
use crate::execute::{Opened, PREFIX, open, prepare};
use crate::target::Target;
use kiln_frontend::tensors_file::{Call, InputValue};
use kiln_passes::pipeline::Quantization;
use kiln_passes::quantize::recipe::Recipe;
use kiln_support::{Diagnostic, TensorData};

/// A model that can be called on the calibration data.
pub struct Observed {
    opened: Opened,
    calls: Vec<crate::execute::BoundCall>,
}

/// What one call gave.
pub struct Glimpse {
    /// The result.
    pub result: InputValue,
    /// For each layer, what it read and what it gave.
    pub layers: Vec<(TensorData, TensorData)>,
}

impl Observed {
    /// Compiles the model as a recipe says (in binary32 where it has none).
    pub fn open(model: &mut Model, calls: &[Call], recipe: &Recipe) -> Result<Observed> {
        let before = std::mem::replace(&mut model.quantization, Quantization::Observed(recipe.clone()));
        let opened = Self::compile(model, calls);
        model.quantization = before;
        opened
    }

    fn compile(model: &mut Model, calls: &[Call]) -> Result<Observed> {
        let mut prepared = prepare(model, calls, false)?;
        if let Some(error) = prepared.refused {
            return Err(error);
        }
        let opened =
            open(model, &mut prepared, &Target::native(), &Listings::none(PREFIX), &mut crate::driver::Timings::default())?;
        Ok(Observed { opened, calls: prepared.calls })
    }

    /// Makes the call of this number.
    pub fn call(&mut self, model: &Model, at: usize) -> Result<Glimpse> {
        let InputValue::Tuple(mut all) = self.opened.session.call(model, &self.calls[at])? else {
            unreachable!("an observed method gives a tuple")
        };
        let result = all.remove(0);
        let mut tensors = all.into_iter().map(|value| match value {
            InputValue::Tensor(tensor) => Ok(tensor),
            _ => Err(Diagnostic::model("quantization", "a layer gave no tensor")),
        });
        let mut layers = Vec::new();
        while let Some(read) = tensors.next() {
            layers.push((read?, tensors.next().unwrap_or_else(|| unreachable!("layers give pairs"))?));
        }
        Ok(Glimpse { result, layers })
    }
}
