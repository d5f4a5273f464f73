//! Expressions whose results are stored as bytes.
//!
//! Quantization ends in `clamp(round(x) + zero_point, least, largest)`. Converting to an integer rounds, adding an integer is exact, and storing a
//! byte brings what is below or above its range to the nearest value in it. What is left to be computed is a minimum, without which a sum that is far too large would
//! leave the range of the conversion.

use crate::isa::{Arithmetic, BinOp, Element, UnOp};
use crate::math;
use crate::prog::{Inst, Prog};
use crate::vexpr::{Binary, Node, NodeId, Unary, VExpr};

/// Lowers an expression as [`math::lower`] does; results that are stored as bytes become 32-bit integers, which
/// [`crate::isa::VectorIsa::store_bytes`] takes. Results beyond those of `elements` are not stored.
pub fn lower(expr: &VExpr, elements: &[Element], arithmetic: Arithmetic) -> Prog {
    let mut expr = expr.clone();
    let mut shifts = Vec::new();
    for (i, &element) in elements.iter().enumerate() {
        let Some(range) = range(element) else { continue };
        let root = expr.roots()[i];
        let Rounded { value, low, high, shift } = Rounded::of(&expr, root, range);
        let bounds = [(Binary::Min, high), (Binary::Max, low.filter(|&low| low > range.0 || shift < 0))];
        let bounded = bounds.into_iter().fold(value, |value, (op, bound)| match bound {
            None => value,
            Some(bound) => {
                let bound = expr.constant((bound - shift) as f32);
                expr.binary(op, value, bound)
            }
        });
        expr.set_root(i, bounded);
        shifts.push((i, shift));
    }
    let mut prog = math::lower(&expr, arithmetic);
    for (i, shift) in shifts {
        let mut value = prog.push(Inst::Un(UnOp::ToInt, prog.outs[i]));
        if shift != 0 {
            let shift = prog.push(Inst::Const(shift as u32));
            value = prog.push(Inst::Bin(BinOp::AddInt, value, shift));
        }
        prog.outs[i] = value;
    }
    prog
}

/// Whether every result that is stored as bytes has a register of its own, which storing clobbers.
pub fn are_separate(expr: &VExpr, elements: &[Element]) -> bool {
    let outs = lower(expr, elements, Arithmetic::default()).outs;
    let is_alone = |i: usize| outs.iter().filter(|out| **out == outs[i]).count() == 1;
    (0..elements.len()).all(|i| range(elements[i]).is_none() || is_alone(i))
}

/// The least and largest value of a byte.
fn range(element: Element) -> Option<(i32, i32)> {
    match element {
        Element::U8 => Some((0, 255)),
        Element::I8 => Some((-128, 127)),
        Element::F32 | Element::I32 => None,
    }
}

/// `clamp(round(value) + shift, low, high)`.
struct Rounded {
    value: NodeId,
    low: Option<i32>,
    high: Option<i32>,
    shift: i32,
}

impl Rounded {
    /// A whole number in a range, as such a form.
    fn of(expr: &VExpr, root: NodeId, (least, largest): (i32, i32)) -> Rounded {
        let unknown = Rounded { value: root, low: None, high: None, shift: 0 };
        let mut form = Rounded { ..unknown };
        loop {
            let (op, value, bound) = match *node(expr, form.value) {
                // Bounds are whole numbers: it does not matter whether they come before or after rounding.
                Node::Unary(Unary::Round, value) => {
                    form.value = value;
                    continue;
                }
                Node::Binary(op, a, b) => match (whole(expr, a), whole(expr, b)) {
                    (_, Some(bound)) => (op, a, bound),
                    (Some(bound), _) if op != Binary::Sub => (op, b, bound),
                    _ => break,
                },
                _ => break,
            };
            match (op, *node(expr, value)) {
                (Binary::Min, _) if bound <= largest => form.high = Some(form.high.map_or(bound, |high| high.min(bound))),
                (Binary::Max, _) if bound >= least => form.low = Some(form.low.map_or(bound, |low| low.max(bound))),
                (Binary::Add | Binary::Sub, Node::Unary(Unary::Round, rounded)) => {
                    form.shift = if op == Binary::Sub { -bound } else { bound };
                    form.value = rounded;
                    break;
                }
                _ => break,
            }
            form.value = value;
        }
        // Bounds that contradict each other stay in their order.
        let is_range = form.low.unwrap_or(least) <= form.high.unwrap_or(largest);
        if is_range { form } else { unknown }
    }
}

fn node(expr: &VExpr, id: NodeId) -> &Node {
    &expr.nodes()[id.0 as usize]
}

/// A small whole constant.
fn whole(expr: &VExpr, id: NodeId) -> Option<i32> {
    let Node::Const(bits) = *node(expr, id) else { return None };
    let value = f32::from_bits(bits);
    (value.fract() == 0.0 && value.abs() <= 255.0).then_some(value as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vexpr::Leaf;

    /// What the program gives for an accumulator, stored as the element.
    fn run(prog: &Prog, x: f32, element: Element) -> i32 {
        let mut values: Vec<u32> = Vec::new();
        for inst in prog.insts() {
            let bits = |v: &crate::prog::Val| values[v.0 as usize];
            let float = |v: &crate::prog::Val| f32::from_bits(bits(v));
            values.push(match inst {
                Inst::Leaf(Leaf::Acc) => x.to_bits(),
                Inst::Const(bits) => *bits,
                // Out of range, as x86 does it.
                Inst::Un(UnOp::ToInt, a) if float(a).abs() >= 2f32.powi(31) => i32::MIN as u32,
                Inst::Un(UnOp::ToInt, a) => float(a).round_ties_even() as i32 as u32,
                Inst::Un(UnOp::Round, a) => float(a).round_ties_even().to_bits(),
                Inst::Bin(BinOp::AddInt, a, b) => bits(a).wrapping_add(bits(b)),
                Inst::Bin(BinOp::Add, a, b) => (float(a) + float(b)).to_bits(),
                Inst::Bin(BinOp::Sub, a, b) => (float(a) - float(b)).to_bits(),
                Inst::Bin(BinOp::Mul, a, b) => (float(a) * float(b)).to_bits(),
                Inst::Bin(BinOp::Max, a, b) => float(a).max(float(b)).to_bits(),
                Inst::Bin(BinOp::Min, a, b) => float(a).min(float(b)).to_bits(),
                other => panic!("{other:?}"),
            });
        }
        let (low, high) = range(element).unwrap();
        (values[prog.outs[0].0 as usize] as i32).clamp(low, high)
    }

    const VALUES: [f32; 19] =
        [0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 4.49, 96.5, 97.5, 127.4, 127.5, 254.5, 255.5, 1e4, -1e4, 3e9, -3e9, 1e30, -1e30];

    /// Checks an expression of the accumulator against its value, and gives the number of its operations.
    fn check(element: Element, build: impl Fn(&mut VExpr, NodeId) -> NodeId, want: impl Fn(f32) -> f32) -> usize {
        let mut expr = VExpr::new();
        let acc = expr.acc();
        let root = build(&mut expr, acc);
        expr.root(root);
        let prog = lower(&expr, &[element], Arithmetic::default());
        VALUES.iter().for_each(|&x| assert_eq!(run(&prog, x, element), want(x) as i32, "{x}: {prog:?}"));
        prog.operations()
    }

    fn clamped(expr: &mut VExpr, x: NodeId, low: f32, high: f32) -> NodeId {
        let (low, high) = (expr.constant(low), expr.constant(high));
        let x = expr.binary(Binary::Max, low, x);
        expr.binary(Binary::Min, x, high)
    }

    /// Rounding, the zero point and the range of the byte: a minimum, a conversion, an addition of integers.
    #[test]
    fn zero_points_are_added_to_integers() {
        for (element, zero) in [(Element::U8, 3.0), (Element::U8, 255.0), (Element::I8, 100.0), (Element::I8, -100.0)] {
            let (low, high) = range(element).map(|(low, high)| (low as f32, high as f32)).unwrap();
            let build = |expr: &mut VExpr, acc| {
                let (rounded, zero) = (expr.unary(Unary::Round, acc), expr.constant(zero));
                let sum = expr.binary(Binary::Add, rounded, zero);
                clamped(expr, sum, low, high)
            };
            let count = check(element, build, |x| (x.round_ties_even() + zero).clamp(low, high));
            assert_eq!(count, if zero < 0.0 { 4 } else { 3 });
        }
    }

    #[test]
    fn narrower_bounds_stay() {
        let relu6 = |expr: &mut VExpr, acc| {
            let x = clamped(expr, acc, 0.0, 97.0);
            expr.unary(Unary::Round, x)
        };
        assert_eq!(check(Element::U8, relu6, |x| x.round_ties_even().clamp(0.0, 97.0)), 2);
        let both = |expr: &mut VExpr, acc| {
            let (x, zero) = (expr.unary(Unary::Round, acc), expr.constant(9.0));
            let x = expr.binary(Binary::Sub, x, zero);
            let x = clamped(expr, x, 5.0, 200.0);
            clamped(expr, x, 0.0, 255.0)
        };
        assert_eq!(check(Element::U8, both, |x| (x.round_ties_even() - 9.0).clamp(5.0, 200.0)), 4);
    }

    /// Bounds that contradict each other, and sums of what is not rounded, are computed as they stand.
    #[test]
    fn other_forms_are_left_alone() {
        let crossed = |expr: &mut VExpr, acc| clamped(expr, acc, 9.0, 5.0);
        check(Element::U8, crossed, |_| 5.0);
        let half = |expr: &mut VExpr, acc| {
            let half = expr.constant(0.5);
            let x = expr.binary(Binary::Add, acc, half);
            clamped(expr, x, 0.0, 255.0)
        };
        check(Element::U8, half, |x| (x + 0.5).round_ties_even().clamp(0.0, 255.0));
    }
}
