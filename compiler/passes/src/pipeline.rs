//! The passes over residual graphs, in order, each with the reason for its place.

use crate::assign_layout::assign_layout;
use crate::fold_scales::fold_scales;
use crate::quantize::recipe::Recipe;
use crate::quantize::{all_float, quantize};
use crate::rewrite::remove_dead;
use crate::sink_permutes::sink_permutes;
use kiln_graph::Graph;
use kiln_graph::residual::{ResidualMethod, ResidualModel};

/// A pass over one graph.
type Pass = fn(&Graph) -> Graph;

/// The passes before a model is quantized, if it is.
fn before(strict: bool) -> &'static [(&'static str, Pass)] {
    const ALL: &[(&str, Pass)] = &[
        // Specialisation leaves facts it asked for and did not need; later passes count uses.
        ("remove_dead", remove_dead),
        // First, while a convolution and its batch norm still stand next to each other.
        ("fold_scales", fold_scales),
    ];
    // Folded weights are rounded once more, so strict numerics do without.
    if strict { &ALL[..1] } else { ALL }
}

/// The passes after it.
const AFTER: &[(&str, Pass)] = &[
    // Wraps convolutions and pools in permutes...
    ("assign_layout", assign_layout),
    // ...which then move together and cancel.
    ("sink_permutes", sink_permutes),
];

/// How a model is quantized while it is optimised.
#[derive(Clone, Debug, Default)]
pub enum Quantization {
    /// Not at all.
    #[default]
    None,
    /// As a recipe says.
    By(Recipe),
    /// As a recipe says, and methods give what their layers read and give ([`quantize`]). Methods that the recipe does not name
    /// compute in binary32.
    Observed(Recipe),
}

/// Runs all passes on all methods; `observe` sees each graph after each pass (for dumps). `strict` leaves out those that change what is
/// rounded, in models that are not quantized.
///
/// # Errors
/// A sentence, where a recipe is for another model.
pub fn optimise(
    model: &mut ResidualModel,
    quantization: &Quantization,
    strict: bool,
    observe: &mut dyn FnMut(&str, &Graph),
) -> Result<(), String> {
    for method in &mut model.methods {
        // A recipe is for folded weights.
        run(method, before(strict && matches!(quantization, Quantization::None)), observe);
        match quantization {
            Quantization::None => {}
            Quantization::By(recipe) => {
                if let Some(own) = recipe.method(&method.name) {
                    quantize(method, own, false)?;
                }
            }
            Quantization::Observed(recipe) => {
                let own = recipe.method(&method.name).cloned();
                let own = own.unwrap_or_else(|| all_float(method));
                quantize(method, &own, true)?;
            }
        }
        run(method, AFTER, observe);
    }
    Ok(())
}

/// A model just before it would be quantized: what its layers are.
pub fn before_quantization(model: &mut ResidualModel) {
    model.methods.iter_mut().for_each(|method| run(method, before(false), &mut |_, _| {}));
}

fn run(method: &mut ResidualMethod, passes: &[(&str, Pass)], observe: &mut dyn FnMut(&str, &Graph)) {
    for (name, pass) in passes {
        method.graph = pass(&method.graph);
        if cfg!(debug_assertions) {
            kiln_graph::verify::verify(&method.graph).unwrap_or_else(|errors| panic!("after {name}:\n{errors}"));
        }
        observe(name, &method.graph);
    }
}
