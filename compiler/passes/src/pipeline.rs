//! The passes over residual graphs, in order, each with the reason for its place.

use crate::assign_layout::assign_layout;
use crate::fold_scales::fold_scales;
use crate::rewrite::remove_dead;
use crate::sink_permutes::sink_permutes;
use kiln_graph::Graph;
use kiln_graph::residual::ResidualModel;

/// A pass over one graph.
type Pass = fn(&Graph) -> Graph;

/// The pipeline.
const PASSES: &[(&str, Pass)] = &[
    // Specialisation leaves facts it asked for and did not need; later passes count uses.
    ("remove_dead", remove_dead),
    // First, while a convolution and its batch norm still stand next to each other.
    ("fold_scales", fold_scales),
    // Wraps convolutions and pools in permutes...
    ("assign_layout", assign_layout),
    // ...which then move together and cancel.
    ("sink_permutes", sink_permutes),
];

/// Runs all passes on all methods; `observe` sees each graph after each pass (for dumps).
pub fn optimise(model: &mut ResidualModel, observe: &mut dyn FnMut(&str, &Graph)) {
    for method in &mut model.methods {
        for (name, pass) in PASSES {
            method.graph = pass(&method.graph);
            if cfg!(debug_assertions) {
                kiln_graph::verify::verify(&method.graph).unwrap_or_else(|errors| panic!("after {name}:\n{errors}"));
            }
            observe(name, &method.graph);
        }
    }
}
