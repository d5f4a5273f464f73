//! Compiles the model for the machine that the program is built for.

use kiln::{Build, DType};

fn main() {
    let model = "../../fixtures/digits/digits.pt";
    if let Err(error) = Build::new(model).input("image", DType::F32, [1, 1, 8, 8]).compile("digits") {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
