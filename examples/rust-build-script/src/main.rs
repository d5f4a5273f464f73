//! Prints the digit in an image given as 64 numbers from 0 to 16 on standard input.

use std::io::Read;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let pixels = text.split_whitespace().map(str::parse).collect::<Result<Vec<f32>, _>>()?;
    let image: [f32; 64] = pixels.try_into().map_err(|_| "an image has 64 pixels")?;
    println!("{}", rust_build_script::read_digit(&image)?);
    Ok(())
}
