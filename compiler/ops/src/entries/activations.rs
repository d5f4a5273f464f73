//! Activation functions of neural networks, element by element.

use super::rules::{Types, finish, formulas, kind, no_kernel, operand, same, same_float, same_number, tensor};
use crate::calc::Num;
use crate::element::Element;
use crate::entry::Entry;
use crate::infer::{Fact, Infer, OpError};
use kiln_loops::Expr;
use kiln_support::DType;

/// Functions of floats without parameters. Products by 1/6 take the place of divisions, which cost several times as much: a difference in the last bit.
pub const PLAIN: &[Entry] = formulas! {
    same_float, operand;
    ["aten::silu"] "x / (1 + e^-x)" |x| x / (1.0 + (-x).math("exp"));
    ["aten::mish"] "x * tanh(ln(1 + e^x))" |x| x * x.math("exp").math("log1p").math("tanh");
    ["aten::hardswish"] "x * clamp(x + 3, 0, 6) / 6" |x| x * (x + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0);
    ["aten::hardsigmoid"] "clamp(x + 3, 0, 6) / 6" |x| (x + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0);
    ["aten::log_sigmoid"] "-ln(1 + e^-x)" |x| x.min(0.0) - (-x.abs()).math("exp").math("log1p");
};

/// Functions with parameters, or of ints too.
pub const OTHER: &[Entry] = &[
    tensor!("aten::relu", "max(x, 0)", relu_type, |e, _, index| parametric(e, index, [], |x, []| x.max(0.0))),
    tensor!("aten::relu6", "x clamped to 0 and 6", same_number, |e, _, index| parametric(e, index, [], |x, []| x
        .clamp(0.0, 6.0))),
    tensor!("aten::leaky_relu", "x > 0 ? x : negative_slope * x", same_float, |e, _, index| {
        parametric(e, index, [1], |x, [slope]| x.gt(0.0).select(x, x * slope))
    }),
    tensor!("aten::elu", "scale * (x > 0 ? x : alpha * (e^(input_scale * x) - 1))", same_float, |e, _, index| {
        parametric(e, index, [1, 2, 3], |x, [alpha, scale, input_scale]| {
            x.lt(0.0).select((x * input_scale).math("expm1") * (alpha * scale), x * scale)
        })
    }),
    tensor!("aten::selu", "elu with fixed parameters", same_float, |e, _, index| {
        const ALPHA: f64 = 1.673_263_242_354_377_2;
        const SCALE: f64 = 1.050_700_987_355_480_5;
        parametric(e, index, [], |x, []| x.lt(0.0).select(x.math("expm1") * (ALPHA * SCALE), x * SCALE))
    }),
    tensor!("aten::celu", "max(0, x) + min(0, alpha * (e^(x / alpha) - 1))", celu_type, |e, _, index| {
        parametric(e, index, [1], |x, [alpha]| x.lt(0.0).select((x * (1.0 / alpha)).math("expm1") * alpha, x))
    }),
    tensor!("aten::gelu", "x times the normal distribution function of x, or its tanh approximation", gelu_type, gelu),
    tensor!("aten::hardtanh", "x clamped to min_val and max_val", same_number, |e, _, index| {
        parametric(e, index, [1, 2], |x, [low, high]| x.clamp(low, high))
    }),
    tensor!("aten::softplus", "ln(1 + e^(beta x)) / beta; x itself where beta x > threshold", same_float, |e, _, index| {
        parametric(e, index, [1, 2], |x, [beta, threshold]| {
            let scaled = x * beta;
            scaled.gt(threshold).select(x, scaled.math("exp").math("log1p") / beta)
        })
    }),
    tensor!("aten::threshold", "x <= threshold ? value : x", same, |e, _, index| {
        parametric(e, index, [1, 2], |x, [threshold, value]| x.le(threshold).select(value, x))
    }),
    tensor!("aten::softshrink", "x without lambd of its magnitude", shrink_type, |e, _, index| {
        parametric(e, index, [1], |x, [l]| x.gt(l).select(x - l, x.lt(-l).select(x + l, x * 0.0)))
    }),
    tensor!("aten::hardshrink", "0 where |x| <= lambd", same_float, |e, _, index| {
        parametric(e, index, [1], |x, [l]| (x.ge(-l) & x.le(l)).select(x.like(0.0), x))
    }),
    tensor!("aten::prelu", "x > 0 ? x : weight * x, a weight for each channel", prelu_type, prelu),
    tensor!("aten::_prelu_kernel", "x > 0 ? x : weight * x", |cx| super::rules::promoted_only_float(cx), |e, _, index| {
        let (x, weight) = (operand(e, 0, index), operand(e, 1, index));
        let y = e.calc([x, weight], |[x, w]| x.gt(0.0).select(x, x * w));
        finish(e, y)
    }),
];

/// A formula of the tensor and of number arguments.
fn parametric<const N: usize>(
    e: &mut Element,
    index: &[Expr],
    args: [usize; N],
    formula: impl for<'a> Fn(Num<'a>, [Num<'a>; N]) -> Num<'a>,
) -> Expr {
    let x = operand(e, 0, index);
    let numbers = args.map(|at| e.number(at, kind(e)));
    let mut all = vec![x];
    all.extend(numbers);
    let y = crate::calc::calc_slice(e.exprs(), &all, |nums| formula(nums[0], std::array::from_fn(|i| nums[i + 1])));
    finish(e, y)
}

fn relu_type(cx: &mut Infer) -> Types {
    if cx.tensor(0).dtype == DType::Bool {
        return OpError::raise("Boolean inputs not supported for relu");
    }
    same(cx)
}

fn celu_type(cx: &mut Infer) -> Types {
    if matches!(cx.args[1], Fact::Float(Ok(alpha)) if alpha == 0.0) {
        return OpError::raise("ZeroDivisionError: alpha cannot be 0 for CELU");
    }
    same_float(cx)
}

fn shrink_type(cx: &mut Infer) -> Types {
    if let Fact::Float(Ok(lambd)) = cx.args[1]
        && lambd < 0.0
    {
        return OpError::raise(format!("lambda must be greater or equal to 0, but found to be {lambd}."));
    }
    same_float(cx)
}

fn gelu_type(cx: &mut Infer) -> Types {
    match &cx.args[1] {
        Fact::Str(name) if name == "none" || name == "tanh" => same_float(cx),
        Fact::Str(_) => OpError::raise("approximate argument must be either none or tanh."),
        _ => OpError::unsupported("an approximation that is known only at run time"),
    }
}

fn gelu(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let is_tanh = matches!(&e.args[1], Fact::Str(name) if name == "tanh");
    parametric(e, index, [], |x, []| {
        if is_tanh {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.math("tanh"))
        } else {
            x * 0.5 * (1.0 + (x * std::f64::consts::FRAC_1_SQRT_2).math("erf"))
        }
    })
}

fn prelu_type(cx: &mut Infer) -> Types {
    let (x, weight) = (cx.tensor(0).clone(), cx.tensor(1).clone());
    if x.dtype != weight.dtype {
        let (x, w) = (x.dtype.torch_name(), weight.dtype.torch_name());
        return OpError::raise(format!("prelu: Type promoting not supported. Got {x} and {w}"));
    }
    if weight.rank() > 1 {
        return OpError::raise(format!(
            "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {}",
            weight.rank()
        ));
    }
    let channels = if x.rank() < 2 { kiln_graph::Dim::Const(1) } else { x.dims[1] };
    let count = weight.dims.first().copied().unwrap_or(kiln_graph::Dim::Const(1));
    match (count.as_const(), channels.as_const()) {
        (Some(1), _) => {}
        (Some(n), Some(channels)) if n != channels => {
            return OpError::raise(format!(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = {n} and channel size = {channels}."
            ));
        }
        _ => cx.dims.require_equal(count, channels, "Mismatch of parameter numbers and input channel size."),
    }
    if !x.dtype.is_float() {
        return no_kernel("prelu_cpu", x.dtype);
    }
    Ok(vec![x])
}

fn prelu(e: &mut Element, _: usize, index: &[Expr]) -> Expr {
    let x = operand(e, 0, index);
    let weight_index: Vec<Expr> = match e.tensor(1).dims.first() {
        None => Vec::new(),
        Some(kiln_graph::Dim::Const(1)) => vec![e.int(0)],
        Some(_) => vec![index[1]],
    };
    let weight = e.load(1, &weight_index);
    let y = e.calc([x, weight], |[x, w]| x.gt(0.0).select(x, x * w));
    finish(e, y)
}
