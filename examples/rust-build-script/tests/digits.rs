//! The compiled model gives what PyTorch gave.

use kiln_frontend::tensors_file::{Expected, InputValue, read_case};
use std::path::Path;

#[test]
fn the_recorded_image_is_read() {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/digits/digits.json");
    let case = read_case(&recording).unwrap();
    let InputValue::Tensor(image) = &case.calls[0].args[0] else { panic!("the input is a tensor") };
    let Some(Expected::Value(InputValue::Tensor(expected))) = &case.calls[0].expect else { panic!("the result is a tensor") };

    let pixels: [f32; 64] = image.to_f32().try_into().unwrap();
    let found = rust_build_script::model::Model::new().unwrap().forward(&pixels).unwrap();
    assert_eq!(found.sizes, [1, 10]);
    for (a, b) in found.data.iter().zip(expected.to_f32()) {
        assert!((a - b).abs() <= 1e-5 + 1e-4 * b.abs(), "{a}, expected {b}");
    }
    assert_eq!(rust_build_script::read_digit(&pixels).unwrap(), 1);
}

#[test]
fn a_wrong_number_of_elements_is_an_error() {
    let error = rust_build_script::model::Model::new().unwrap().forward(&[0.0; 63]).unwrap_err();
    assert_eq!(error.status, 3);
}
