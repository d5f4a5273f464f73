//! Every operator of a program that kiln has no meaning for.
//!
//! In: a typed program. Out: one diagnostic per operator, with every place that uses it. Functions that nothing
//! reaches have no body, so what is listed is what a call could reach; a branch that specialisation would have
//! dropped is looked at too, unless it is one of PyTorch's own functions.

use kiln_graph::{Op, OpId, Program};
use kiln_ops::table;
use kiln_support::{Diagnostic, Span};
use std::collections::BTreeMap;

/// More places than this are counted, not shown.
const MAX_PLACES: usize = 5;

/// One diagnostic per operator that cannot be compiled, by name.
pub fn unsupported_operators(program: &Program) -> Vec<Diagnostic> {
    let mut places: BTreeMap<&'static str, Vec<Span>> = BTreeMap::new();
    for function in program.funcs.values() {
        let body = &function.body;
        // PyTorch's own functions have a branch for every mode; which of them a call takes is known when types are.
        let is_library = ["torch.nn.", "__torch__.torch.nn."].iter().any(|prefix| function.name.starts_with(prefix));
        body.visit(body.entry, &mut |block, node| {
            if let Op::Table(op) = body.nodes[node].op
                && !is_supported(op)
                && !(is_library && block != body.entry)
            {
                places.entry(table().key(op)).or_default().push(body.nodes[node].span);
            }
        });
    }
    places.into_iter().map(|(key, spans)| describe(key, spans)).collect()
}

fn describe(key: &str, spans: Vec<Span>) -> Diagnostic {
    let mut diagnostic =
        Diagnostic::unsupported("unsupported-operator", format!("kiln does not support the operator `{key}` yet"));
    let hidden = spans.len().saturating_sub(MAX_PLACES);
    for span in spans.into_iter().take(MAX_PLACES) {
        diagnostic = diagnostic.label(span, "");
    }
    if hidden > 0 {
        diagnostic = diagnostic.note(format!("and {hidden} more place{}", if hidden == 1 { "" } else { "s" }));
    }
    diagnostic
}

/// Whether an operator has an entry, a decomposition, or follows from one that has.
pub fn is_supported(op: OpId) -> bool {
    let key = table().key(op);
    let name = table().schema(op).name.as_str();
    has_meaning(key) || STRUCTURAL.contains(&name) || follows_from_another(op)
}

fn has_meaning(key: &str) -> bool {
    kiln_ops::entry(key).is_some() || kiln_ops::prelude::find(key).is_some()
}

/// In-place, `out=` and `Scalar` forms follow from the other overloads and the operator without the underscore.
fn follows_from_another(op: OpId) -> bool {
    let schema = table().schema(op);
    let plain = schema.name.strip_suffix('_').filter(|name| !name.ends_with('_')).unwrap_or(&schema.name);
    let is_written = schema.args.iter().any(|arg| arg.alias.as_ref().is_some_and(|alias| alias.write));
    let is_number = schema.args.iter().any(|arg| arg.ty == kiln_ops::SchemaType::Is(kiln_graph::Type::Number));
    (is_written || is_number) && table().overloads(plain).iter().any(|&other| other != op && has_meaning(table().key(other)))
}

/// Operators that specialisation itself carries out: on containers, on facts about tensors, conversions, and those
/// that do nothing when a model only runs.
const STRUCTURAL: &[&str] = &[
    "aten::Bool",
    "aten::ComplexImplicit",
    "aten::Delete",
    "aten::Float",
    "aten::FloatImplicit",
    "aten::Int",
    "aten::IntImplicit",
    "aten::ScalarImplicit",
    "aten::__contains__",
    "aten::__getitem__",
    "aten::__is__",
    "aten::__isnot__",
    "aten::__not__",
    "aten::_assert_async",
    "aten::_conj",
    "aten::_make_per_channel_quantized_tensor",
    "aten::_make_per_tensor_quantized_tensor",
    "aten::_set_item",
    "aten::_to_copy",
    "aten::_unwrap_optional",
    "aten::alias",
    "aten::alpha_dropout",
    "aten::append",
    "aten::as_tensor",
    "aten::clear",
    "aten::clone",
    "aten::conj",
    "aten::contiguous",
    "aten::copy",
    "aten::copy_",
    "aten::count",
    "aten::cpu",
    "aten::detach",
    "aten::detach_",
    "aten::device",
    "aten::dict",
    "aten::dim",
    "aten::dropout",
    "aten::dropout_",
    "aten::element_size",
    "aten::expand",
    "aten::extend",
    "aten::feature_alpha_dropout",
    "aten::feature_dropout",
    "aten::format",
    "aten::get",
    "aten::get_device",
    "aten::insert",
    "aten::int_repr",
    "aten::is_autocast_cpu_enabled",
    "aten::is_autocast_enabled",
    "aten::is_complex",
    "aten::is_conj",
    "aten::is_contiguous",
    "aten::is_floating_point",
    "aten::is_grad_enabled",
    "aten::is_inference",
    "aten::is_leaf",
    "aten::is_neg",
    "aten::is_nonzero",
    "aten::is_same_size",
    "aten::is_scripting",
    "aten::is_signed",
    "aten::item",
    "aten::items",
    "aten::keys",
    "aten::len",
    "aten::lift",
    "aten::lift_fresh",
    "aten::list",
    "aten::numel",
    "aten::pop",
    "aten::popitem",
    "aten::positive",
    "aten::q_per_channel_axis",
    "aten::q_per_channel_scales",
    "aten::q_per_channel_zero_points",
    "aten::q_scale",
    "aten::q_zero_point",
    "aten::real",
    "aten::remove",
    "aten::requires_grad_",
    "aten::resolve_conj",
    "aten::resolve_neg",
    "aten::reverse",
    "aten::scalar_tensor",
    "aten::set_grad_enabled",
    "aten::setdefault",
    "aten::size",
    "aten::sort",
    "aten::sorted",
    "aten::storage_offset",
    "aten::str",
    "aten::stride",
    "aten::sym_size",
    "aten::tensor",
    "aten::to",
    "aten::type_as",
    "aten::update",
    "aten::values",
    "aten::wait",
    "aten::warn",
    "prim::EnumName",
    "prim::EnumValue",
    "prim::NumToTensor",
    "prim::TupleIndex",
    "prim::awaitable_nowait",
    "prim::awaitable_wait",
    "prim::data",
    "prim::device",
    "prim::dtype",
    "prim::grad",
    "prim::index",
    "prim::is_cpu",
    "prim::is_quantized",
    "prim::itemsize",
    "prim::layout",
    "prim::max",
    "prim::min",
    "prim::name",
    "prim::requires_grad",
    "prim::type",
    "prim::unchecked_cast",
    "prim::unchecked_unwrap_optional",
    "quantized::conv1d_prepack",
    "quantized::conv1d_unpack",
    "quantized::conv2d_dilation",
    "quantized::conv2d_groups",
    "quantized::conv2d_output_padding",
    "quantized::conv2d_padding",
    "quantized::conv2d_prepack",
    "quantized::conv2d_stride",
    "quantized::conv2d_transpose",
    "quantized::conv2d_unpack",
    "quantized::conv3d_dilation",
    "quantized::conv3d_groups",
    "quantized::conv3d_output_padding",
    "quantized::conv3d_padding",
    "quantized::conv3d_prepack",
    "quantized::conv3d_stride",
    "quantized::conv3d_transpose",
    "quantized::conv3d_unpack",
    "quantized::conv_transpose1d_prepack",
    "quantized::conv_transpose1d_unpack",
    "quantized::conv_transpose2d_dilation",
    "quantized::conv_transpose2d_groups",
    "quantized::conv_transpose2d_output_padding",
    "quantized::conv_transpose2d_padding",
    "quantized::conv_transpose2d_prepack",
    "quantized::conv_transpose2d_stride",
    "quantized::conv_transpose2d_transpose",
    "quantized::conv_transpose2d_unpack",
    "quantized::conv_transpose3d_dilation",
    "quantized::conv_transpose3d_groups",
    "quantized::conv_transpose3d_output_padding",
    "quantized::conv_transpose3d_padding",
    "quantized::conv_transpose3d_prepack",
    "quantized::conv_transpose3d_stride",
    "quantized::conv_transpose3d_transpose",
    "quantized::conv_transpose3d_unpack",
    "quantized::linear_prepack",
    "quantized::linear_unpack",
    "quantized::make_quantized_cell_params_dynamic",
];

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_graph::{Function, Graph, Type};

    #[test]
    fn structural_operators_are_operators() {
        for name in STRUCTURAL {
            assert!(!table().overloads(name).is_empty(), "no operator `{name}`");
        }
    }

    #[test]
    fn each_operator_is_named_once_with_its_places() {
        let mut body = Graph::new();
        let entry = body.entry;
        let op = table().ops().find(|&op| !is_supported(op)).unwrap();
        for at in 0..7 {
            body.add_node(entry, Op::Table(op), vec![], vec![Type::TENSOR], Span::new(kiln_support::FileId(0), at, at + 1));
        }
        let known = table().get("aten::append.t");
        body.add_node(entry, Op::Table(known), vec![], vec![], Span::NONE);
        let mut program = Program::default();
        program.funcs.push(Function { name: "f".into(), params: vec![], returns: Type::None, body, span: Span::NONE });
        let found = unsupported_operators(&program);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].labels.len(), found[0].notes.len()), (MAX_PLACES, 1));
        assert!(found[0].message.contains(table().key(op)));
    }
}
