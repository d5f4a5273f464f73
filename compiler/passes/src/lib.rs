//! Passes: typed graph to residual graph, and residual graph to better residual graph.
//!
//! [`specialise`] makes the residual graphs; [`pipeline`] lists the passes over them. To add a pass, write one
//! file with a function from graph to graph, and add a line with its reason to the pipeline.

pub mod assign_layout;
pub mod fold_scales;
pub mod pipeline;
pub mod quantize;
pub mod rewrite;
pub mod sink_permutes;
pub mod specialise;
