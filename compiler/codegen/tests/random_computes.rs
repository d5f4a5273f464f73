//! Random computations: compiled code against the interpreter, bit for bit.

mod common;
#[path = "common/random.rs"]
mod random;

use common::extent;

#[test]
fn compiled_code_equals_the_interpreter() {
    let count = std::env::var("KILN_RANDOM_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    for seed in 0..count {
        let case = random::case(seed, true);
        eprintln!("seed {seed}");
        common::check(&case.compute, &case.inputs, &case.params, case.target.as_ref());
    }
}
