//! Calls of vector kernels: pointers, tables of pointers, scratch memory, and loops over what a kernel does not cover.

use super::{Scheduled, UNITS};
use crate::lower::{Lowering, R};
use kiln_kernels::kernels::{Arg, Kernel, KernelDesc, Units, emit};
use kiln_loops::BinaryOp;
use kiln_loops::plan::{Access, KernelId, Local, LocalType, Operand, Split, Stmt};
use kiln_support::DType;

/// A buffer as a kernel sees it: where it starts, and how far it moves along the outer loops.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Address.
    pub base: Operand,
    /// Bytes of an element.
    pub size: i64,
    /// Elements to the first one used.
    pub offset: i64,
    /// Elements from one iteration of each outer loop to the next.
    pub outer: Vec<i64>,
}

impl Stream {
    /// A buffer that is used from its start and does not move.
    pub fn fixed(base: Operand) -> Stream {
        Stream { base, size: 4, offset: 0, outer: Vec::new() }
    }
}

/// Everything that a call may need; a kernel takes what its arguments name.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub input: Option<Stream>,
    pub weights: Option<Stream>,
    pub output: Option<Stream>,
    pub outputs: Vec<Stream>,
    pub inputs: Vec<Stream>,
    pub rows: Option<Operand>,
    pub cols: Option<Operand>,
    pub depth: Option<Operand>,
    /// Images, for kernels whose units count per image.
    pub batch: Option<Operand>,
    /// Extents of the outer loops, outermost first.
    pub outer: Vec<Operand>,
}

impl Call {
    fn streams(&mut self) -> impl Iterator<Item = &mut Stream> {
        let single = [&mut self.input, &mut self.weights, &mut self.output].into_iter().flatten();
        single.chain(&mut self.outputs).chain(&mut self.inputs)
    }
}

/// Emits the call of a kernel; false if there is no such kernel.
pub fn call(cx: &mut Lowering, desc: KernelDesc, call: Call) -> R<bool> {
    let Some(target) = cx.shared.target.vector else { return Ok(false) };
    let Ok(kernel) = emit(&desc, &target) else { return Ok(false) };
    let is_parallel = cx.shared.target.settings.is_parallel();
    let id = cx.shared.kernel(Scheduled { desc: desc.clone(), kernel: kernel.clone() });
    match if is_parallel { pieces(&desc, &kernel, &call) } else { None } {
        Some(pieces) => parallel_nest(cx, id, &kernel, call, pieces)?,
        None => serial_nest(cx, id, (&desc, &kernel), call, is_parallel)?,
    }
    Ok(true)
}

/// A kernel in loops one after the other; threads share each call where that is worth it.
fn serial_nest(
    cx: &mut Lowering,
    id: KernelId,
    (desc, kernel): (&KernelDesc, &Kernel),
    mut call: Call,
    is_parallel: bool,
) -> R<()> {
    let split = match is_parallel {
        true => split(desc, kernel, units(kernel, &call)),
        false => None,
    };
    // Where it is split, each part has scratch memory of its own, a whole number of cache lines from the others'.
    let scratch = match split {
        Some(Split { parts, scratch: Some((_, bytes)), .. }) => u64::from(parts) * u64::from(bytes),
        _ => kernel.scratch_bytes as u64,
    };
    let outer = std::mem::take(&mut call.outer);
    let scratch = (scratch > 0).then(|| Operand::Arena(cx.buffers.add(scratch, false)));
    nest(cx, &outer, &mut Vec::new(), &mut |cx, indices| {
        let call = at(cx, &call, indices);
        let end = units_end(cx, kernel.units, &call);
        let args = kernel.args.iter().map(|&arg| argument(cx, arg, &call, [Operand::Int(0), end], scratch)).collect();
        cx.push(Stmt::Kernel { id, args, split });
        Ok(())
    })
}

/// Into how many pieces each call of a kernel in loops is divided, if threads share the loops and not each call by itself.
fn pieces(desc: &KernelDesc, kernel: &Kernel, call: &Call) -> Option<u64> {
    // What the kernel keeps between calls, and what it writes aside, belongs to one thread.
    if call.outer.is_empty() || kernel.scratch_bytes > 0 || kernel.args.contains(&Arg::Turn) {
        return None;
    }
    // Unknown extents may be 1.
    let known = |n: &Operand| if let Operand::Int(n) = n { (*n).max(1) as u64 } else { 1 };
    let calls = call.outer.iter().map(known).fold(1, u64::saturating_mul);
    let units = units(kernel, call);
    let cycles = desc.cycles(units).map_or(u64::MAX, |cycles| cycles.saturating_mul(calls));
    let most = if kernel.args.contains(&Arg::Begin) { units.unwrap_or(1) } else { 1 };
    (cycles >= FEWEST_CYCLES).then(|| most.clamp(1, (UNITS as u64).div_ceil(calls)))
}

/// The most indices of a parallel loop: further iterations are shared in runs.
const MOST_INDICES: i64 = 4 * UNITS as i64;

/// A kernel in loops whose iterations, each in some pieces, threads share.
fn parallel_nest(cx: &mut Lowering, id: KernelId, kernel: &Kernel, mut call: Call, pieces: u64) -> R<()> {
    let outer = std::mem::take(&mut call.outer);
    let pieces = Operand::Int(pieces as i64);
    let mut steps = pieces;
    for &extent in &outer {
        steps = times(cx, steps, extent);
    }
    let index = cx.local(LocalType::Int);
    let mut step = |cx: &mut Lowering, step: Operand| -> R<()> {
        let mut rest = step;
        let piece = last_digit(cx, &mut rest, pieces);
        let mut indices: Vec<Operand> = outer[1..].iter().rev().map(|&extent| last_digit(cx, &mut rest, extent)).collect();
        indices.push(rest);
        indices.reverse();
        let call = at(cx, &call, &indices);
        let end = units_end(cx, kernel.units, &call);
        let next = sum(cx, piece, 1);
        let range = [share(cx, end, piece, pieces), share(cx, end, next, pieces)];
        let args = kernel.args.iter().map(|&arg| argument(cx, arg, &call, range, None)).collect();
        cx.push(Stmt::Kernel { id, args, split: None });
        Ok(())
    };
    let (count, body) = match steps {
        Operand::Int(steps) if steps <= MOST_INDICES => (steps, cx.nested(|cx| step(cx, Operand::Local(index)))?),
        _ => (MOST_INDICES, cx.nested(|cx| run_of_steps(cx, index, steps, &mut step))?),
    };
    cx.push(Stmt::Parallel { index, count: Operand::Int(count), body });
    Ok(())
}

/// The steps that belong to an index, where all indices have about as many.
fn run_of_steps(cx: &mut Lowering, index: Local, steps: Operand, step: &mut dyn FnMut(&mut Lowering, Operand) -> R<()>) -> R<()> {
    let (all, index) = (Operand::Int(MOST_INDICES), Operand::Local(index));
    let next = sum(cx, index, 1);
    let [begin, end] = [index, next].map(|index| share(cx, steps, index, all));
    cx.counted_loop(begin, end, step)
}

/// Where part `part` of `parts` begins among `whole`.
fn share(cx: &mut Lowering, whole: Operand, part: Operand, parts: Operand) -> Operand {
    let before = times(cx, whole, part);
    quotient(cx, before, parts)
}

/// The index of the innermost loop, of this extent, in a number that counts all iterations; `rest` is then that of the loops outside.
fn last_digit(cx: &mut Lowering, rest: &mut Operand, extent: Operand) -> Operand {
    if extent == Operand::Int(1) {
        return Operand::Int(0);
    }
    let whole = *rest;
    *rest = quotient(cx, whole, extent);
    let counted = times(cx, *rest, extent);
    cx.int_binary(BinaryOp::Sub, whole, counted)
}

/// The call in an iteration of the outer loops.
fn at(cx: &mut Lowering, call: &Call, indices: &[Operand]) -> Call {
    let mut call = call.clone();
    for stream in call.streams() {
        let base = address(cx, stream, indices);
        *stream = Stream::fixed(base);
    }
    call
}

/// The number of units of work, if it is known.
fn units(kernel: &Kernel, call: &Call) -> Option<u64> {
    let known = |count: Option<Operand>| match count {
        None => Some(1),
        Some(Operand::Int(count)) => u64::try_from(count).ok(),
        Some(_) => None,
    };
    match kernel.units {
        Units::Fixed(n) => Some(n as u64),
        Units::PerImage(n) => Some(known(call.batch)? * n as u64),
        Units::PerRows(n) => Some(known(call.rows)?.div_ceil(n as u64)),
        Units::PerCols(n) => Some(known(call.cols)?.div_ceil(n as u64)),
    }
}

/// Cycles of work below which threads cost more than they bring.
const FEWEST_CYCLES: u64 = 5_000;

/// How threads share a kernel of so many units of work, if that is worth it.
fn split(desc: &KernelDesc, kernel: &Kernel, units: Option<u64>) -> Option<Split> {
    let most = units.map_or(UNITS, |units| UNITS.min(units as usize));
    let position = |arg: Arg| kernel.args.iter().position(|&a| a == arg).map(|at| at as u32);
    let worth = desc.cycles(units).map_or(UNITS as u64, |cycles| 2 * cycles / FEWEST_CYCLES);
    let bytes = u32::try_from(kernel.scratch_bytes.next_multiple_of(64)).ok()?;
    let parts = most.min(worth as usize) as u32;
    let scratch = position(Arg::Scratch).map(|at| (at, bytes));
    (parts > 1).then_some(Split { parts, range: [position(Arg::Begin)?, position(Arg::End)?], scratch })
}

/// Loops around `body`, which gets the indices.
fn nest(
    cx: &mut Lowering,
    extents: &[Operand],
    indices: &mut Vec<Operand>,
    body: &mut dyn FnMut(&mut Lowering, &[Operand]) -> R<()>,
) -> R<()> {
    let Some((&extent, inner)) = extents.split_first() else { return body(cx, indices) };
    cx.counted_loop(Operand::Int(0), extent, |cx, index| {
        indices.push(index);
        nest(cx, inner, indices, body)?;
        indices.pop();
        Ok(())
    })
}

/// The address of a stream in an iteration of the outer loops.
fn address(cx: &mut Lowering, stream: &Stream, indices: &[Operand]) -> Operand {
    let mut at = stream.base;
    if stream.offset != 0 {
        at = cx.int_binary(BinaryOp::Add, at, Operand::Int(stream.size * stream.offset));
    }
    for (&index, &step) in indices.iter().zip(&stream.outer) {
        if step != 0 {
            let moved = cx.int_binary(BinaryOp::Mul, index, Operand::Int(stream.size * step));
            at = cx.int_binary(BinaryOp::Add, at, moved);
        }
    }
    at
}

/// The number of units of work.
fn units_end(cx: &mut Lowering, units: Units, call: &Call) -> Operand {
    let (count, per) = match units {
        Units::Fixed(n) => return Operand::Int(n as i64),
        Units::PerImage(n) => return times(cx, call.batch.unwrap_or(Operand::Int(1)), Operand::Int(n as i64)),
        Units::PerRows(n) => (call.rows.unwrap_or(Operand::Int(1)), n as i64),
        Units::PerCols(n) => (call.cols.unwrap_or(Operand::Int(1)), n as i64),
    };
    let up = sum(cx, count, per - 1);
    quotient(cx, up, Operand::Int(per))
}

/// `a * b`, folded where it is constant.
pub fn times(cx: &mut Lowering, a: Operand, b: Operand) -> Operand {
    match (a, b) {
        (Operand::Int(a), Operand::Int(b)) => Operand::Int(a * b),
        (Operand::Int(1), x) | (x, Operand::Int(1)) => x,
        (a, b) => cx.int_binary(BinaryOp::Mul, a, b),
    }
}

/// `a + b`, likewise.
fn sum(cx: &mut Lowering, a: Operand, b: i64) -> Operand {
    match (a, b) {
        (Operand::Int(a), b) => Operand::Int(a + b),
        (a, 0) => a,
        (a, b) => cx.int_binary(BinaryOp::Add, a, Operand::Int(b)),
    }
}

/// `a / b` of numbers that are not negative, likewise.
fn quotient(cx: &mut Lowering, a: Operand, b: Operand) -> Operand {
    match (a, b) {
        (Operand::Int(a), Operand::Int(b)) => Operand::Int(a.div_euclid(b)),
        (a, Operand::Int(1)) => a,
        (a, b) => cx.int_binary(BinaryOp::FloorDiv, a, b),
    }
}

fn argument(cx: &mut Lowering, arg: Arg, call: &Call, [begin, end]: [Operand; 2], scratch: Option<Operand>) -> Operand {
    let base = |stream: &Option<Stream>| stream.as_ref().map_or(Operand::Int(0), |s| s.base);
    match arg {
        Arg::Input => base(&call.input),
        Arg::Weights => base(&call.weights),
        Arg::Output => base(&call.output),
        Arg::Outputs => table(cx, &call.outputs),
        Arg::Inputs => table(cx, &call.inputs),
        Arg::Begin => begin,
        Arg::End => end,
        Arg::Scratch => scratch.unwrap_or(Operand::Int(0)),
        Arg::Rows => call.rows.unwrap_or(Operand::Int(0)),
        Arg::Cols => call.cols.unwrap_or(Operand::Int(0)),
        Arg::Depth => call.depth.unwrap_or(Operand::Int(0)),
        Arg::Turn => Operand::Slot(cx.slot(8), 0),
    }
}

/// A table of pointers on the stack.
fn table(cx: &mut Lowering, streams: &[Stream]) -> Operand {
    if streams.is_empty() {
        return Operand::Int(0);
    }
    let table = Operand::Slot(cx.slot(8 * streams.len()), 0);
    for (i, stream) in streams.iter().enumerate() {
        cx.store(table, 8 * i, stream.base);
    }
    table
}

/// The address of a scalar on the stack, as binary32.
pub fn scalar_cell(cx: &mut Lowering, value: Operand) -> Operand {
    let cell = Operand::Slot(cx.slot(4), 0);
    cx.push(Stmt::Store { base: cell, offset: 0, value, access: Access::Element(DType::F32) });
    cell
}
