//! Reads handwritten digits with a model that the build script has compiled.

/// The compiled model: safe functions, with the sizes and types of their tensors in the documentation.
pub mod model {
    include!(concat!(env!("OUT_DIR"), "/digits.rs"));
}

/// The digit in an image of 8 x 8 pixels, each from 0 to 16.
///
/// # Errors
/// The model cannot be created or called: there is no memory.
pub fn read_digit(image: &[f32; 64]) -> Result<usize, model::Error> {
    let scores = model::Model::new()?.forward(image)?;
    let best = (0..scores.data.len()).max_by(|&a, &b| scores.data[a].total_cmp(&scores.data[b]));
    Ok(best.unwrap_or(0))
}
