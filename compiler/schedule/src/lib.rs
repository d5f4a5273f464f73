//! From residual graphs to plans: fusion, buffers, memory, reference counts.
//!
//! The one bridge between graphs and operators on one side and loops and kernels on the other. A method
//! goes through these steps:
//!
//! 0. [`share`]: equal operators on equal operands become one.
//! 1. [`sizes`]: what operators' rules compute of sizes becomes values of the graph.
//! 2. [`structure`]: nesting, uses, needed nodes.
//! 3. [`fusion`]: which tensors are expressions, which are memory.
//! 4. [`liveness`]: last uses.
//! 5. [`lower`] and the files beside it ([`tensors`], [`control`], [`scalars`], [`objects`], [`runtime_call`],
//!    [`entry`], [`ownership`], [`kernels`]): statements, with numbered buffers.
//! 6. [`memory`]: offsets for the buffers.
//!
//! The input is trusted to be a verified residual graph (`docs/ir.md`). Where it breaks a rule the result is
//! a diagnostic, never a wrong plan.

mod control;
mod data;
pub mod dump;
mod entry;
mod facts;
mod fusion;
pub mod instrument;
pub mod kernels;
mod liveness;
mod lower;
mod memory;
mod objects;
mod ownership;
mod plain;
mod profile;
mod rep;
mod row_clusters;
mod runtime_call;
mod scalars;
mod share;
mod sizes;
mod source;
mod structure;
mod tensors;

use crate::fusion::Fusion;
use crate::kernels::choices::Choices;
use crate::kernels::{Scheduled, TargetDesc};
use crate::liveness::Liveness;
use crate::lower::{Lowering, Shared};
use crate::structure::Structure;
use kiln_graph::{Graph, ResidualMethod, ResidualModel};
use kiln_loops::plan::{Method, Plan, Variant};
use kiln_support::Diagnostic;

pub use dump::write_plan;

/// Schedules a model for a target, and its methods for variants of it: the same target with a better CPU, the best last. A variant whose methods come
/// out as those before it is left out.
///
/// # Errors
/// A diagnostic at the node that has no lowering yet.
pub fn schedule(
    model: &ResidualModel,
    target: &TargetDesc,
    variants: &[TargetDesc],
    choices: &Choices,
) -> Result<Plan<Scheduled>, Diagnostic> {
    let mut shared = Shared::new(*target, choices.clone(), !variants.is_empty());
    let (methods, mut arena_bytes) = schedule_methods(model, &mut shared)?;
    let (init, bytes) = schedule_graph(model, &model.init, None, &mut shared)?;
    arena_bytes = arena_bytes.max(bytes);
    let mut different = Vec::new();
    for variant in variants {
        shared.target = *variant;
        let (methods, bytes) = schedule_methods(model, &mut shared)?;
        arena_bytes = arena_bytes.max(bytes);
        different.push(Variant { features: variant.vector.map_or_else(Vec::new, |v| v.required_features()), methods });
    }
    let mut plan = Plan {
        methods,
        variants: Vec::new(),
        init,
        state_slots: model.state.len(),
        computes: shared.computes,
        kernels: shared.kernels,
        data: shared.data.data,
        arena_bytes,
    };
    for variant in different {
        let last = plan.variants.last().map_or(&plan.methods, |variant| &variant.methods);
        let is_same =
            last.iter().zip(&variant.methods).all(|(a, b)| dump::write_method(a, &plan) == dump::write_method(b, &plan));
        if !is_same {
            plan.variants.push(variant);
        }
    }
    Ok(plan)
}

/// The methods for the present target, and the bytes of arena that the largest needs.
fn schedule_methods(model: &ResidualModel, shared: &mut Shared) -> Result<(Vec<Method>, u64), Diagnostic> {
    let mut arena_bytes = 0;
    let mut methods = Vec::new();
    for method in &model.methods {
        let (method, bytes) = schedule_graph(model, &method.graph, Some(method), shared)?;
        arena_bytes = arena_bytes.max(bytes);
        methods.push(method);
    }
    Ok((methods, arena_bytes))
}

/// Schedules one graph: a method, or the one that sets the state. Gives the bytes of arena that it needs, too.
fn schedule_graph(
    model: &ResidualModel,
    graph: &Graph,
    method: Option<&ResidualMethod>,
    shared: &mut Shared,
) -> Result<(Method, u64), Diagnostic> {
    let mut graph = graph.clone();
    share::share(&mut graph);
    let sizes = sizes::resolve(&mut graph);
    let structure = Structure::new(&graph);
    let fusion = Fusion::new(&graph, &structure);
    let live = Liveness::new(&graph, &structure, &|value| fusion.is_inlined(value));
    let mut lowering = Lowering::new(model, &graph, (&structure, &fusion, &live, &sizes), shared);
    match method {
        Some(method) => lowering.lower_method(method)?,
        None => lowering.lower_init()?,
    }
    let mut body = lowering.finish();
    let bytes = memory::plan_arena(&mut body, &lowering.buffers);
    let bytes =
        bytes.ok_or_else(|| Diagnostic::unsupported("arena-size", "the model's intermediate tensors do not fit in memory"))?;
    let mut method = lowering.method;
    method.body = body;
    Ok((method, bytes))
}
