//! Computations whose rows are found by functions of the index: interpolation, reflected borders, fixed rearrangements.
//!
//! One axis, along which loads are contiguous, becomes the columns. The two innermost of the others number the rows: whatever
//! depends on one of them alone, addresses and scalars, is evaluated now and put into a table. Where the columns are not the
//! innermost axis of the output, the kernel writes to memory of its own, which is then transposed.

use super::affine::{Affine, affine, collapses, extent, innermost_stride, strides as row_major};
use super::call::{Call, Stream, call};
use super::map::count;
use super::streams::stream;
use super::vector_expr::translate;
use crate::lower::{Lowering, R};
use crate::source::Built;
use kiln_kernels::kernels::KernelDesc;
use kiln_kernels::kernels::gather::{GatherDesc, MAX_LOADS, MAX_SCALARS};
use kiln_kernels::kernels::transpose::TransposeDesc;
use kiln_kernels::vexpr::{NodeId, VExpr};
use kiln_loops::plan::Operand;
use kiln_loops::{Compute, Expr, ExprData, Extent, Kind, Output, interpret};
use kiln_support::DType;

/// Columns below which a row is not worth a kernel.
const FEWEST_COLUMNS: i64 = 4;
/// Largest table, in bytes.
const LARGEST_TABLE: usize = 1 << 20;

/// How a load finds its rows.
#[derive(PartialEq)]
struct Load {
    input: u32,
    /// Constant offset, and strides over the axes that are loops around the kernel.
    address: Affine,
    /// For `y` and `x`: index expressions that depend on it alone, with the step of their dimension.
    parts: [Vec<(Expr, i64)>; 2],
}

/// A computation as a gather.
pub struct Plan<'a> {
    compute: &'a Compute,
    strides: Vec<i64>,
    columns: usize,
    /// The axes that number rows, if there are two, one or none.
    rows: [Option<usize>; 2],
    outer: Vec<usize>,
    loads: Vec<Load>,
    scalars: [Vec<Expr>; 2],
    expr: VExpr,
}

/// The gather that a computation is, whose output has these strides.
pub fn describe<'a>(compute: &'a Compute, strides: &[i64]) -> Option<Plan<'a>> {
    let is_open = compute.axes.iter().any(|e| matches!(e, Extent::Param(_)));
    if is_open || compute.outputs.len() != 1 || compute.can_fail() || compute.axes.len() != compute.rank {
        return None;
    }
    // The innermost axis first: it needs no transposition.
    (0..compute.rank).rev().find_map(|columns| plan(compute, strides, columns))
}

fn plan<'a>(compute: &'a Compute, strides: &[i64], columns: usize) -> Option<Plan<'a>> {
    if extent(compute, columns)? < FEWEST_COLUMNS {
        return None;
    }
    let others: Vec<usize> = (0..compute.rank).filter(|&a| a != columns && extent(compute, a) != Some(1)).collect();
    let (outer, inner) = others.split_at(others.len().saturating_sub(2));
    let rows = match *inner {
        [y, x] => [Some(y), Some(x)],
        [x] => [None, Some(x)],
        _ => [None, None],
    };
    let mut search = Search { compute, columns, rows, outer, loads: Vec::new(), scalars: [Vec::new(), Vec::new()] };
    let root = compute.outputs[0].value;
    // Once to find the inputs, and once more to number them.
    translate(compute, root, &mut VExpr::new(), &mut |e, out| search.leaf(e, out))?;
    let mut expr = VExpr::new();
    let root = translate(compute, root, &mut expr, &mut |e, out| search.leaf(e, out))?;
    expr.root(root);
    let Search { loads, scalars, .. } = search;
    let fits = !loads.is_empty() && loads.len() <= MAX_LOADS && scalars[0].len() + scalars[1].len() <= MAX_SCALARS;
    let strides = strides.to_vec();
    let plan = Plan { compute, strides, columns, rows, outer: outer.to_vec(), loads, scalars, expr };
    let desc = plan.desc();
    let table: usize = (0..2).map(|axis| desc.entry_bytes(axis) * desc.rows[axis]).sum();
    (fits && table <= LARGEST_TABLE && (plan.is_innermost() || plan.transposition().is_some())).then_some(plan)
}

struct Search<'a> {
    compute: &'a Compute,
    columns: usize,
    rows: [Option<usize>; 2],
    outer: &'a [usize],
    loads: Vec<Load>,
    scalars: [Vec<Expr>; 2],
}

impl Search<'_> {
    /// What an expression depends on: the axes, and whether on anything else.
    fn dependence(&self, expr: Expr) -> (Vec<usize>, bool) {
        let (mut axes, mut other) = (Vec::new(), false);
        self.compute.any(expr, &mut |data| {
            match data {
                ExprData::Axis(axis) if extent(self.compute, *axis as usize) != Some(1) => axes.push(*axis as usize),
                ExprData::Load { .. } | ExprData::Param(..) | ExprData::Check { .. } | ExprData::Reduce { .. } => other = true,
                _ => {}
            }
            false
        });
        axes.sort_unstable();
        axes.dedup();
        (axes, other)
    }

    /// Whether an expression is a function of `y` (0) or of `x` (1) alone.
    fn row_axis(&self, expr: Expr) -> Option<usize> {
        let (axes, false) = self.dependence(expr) else { return None };
        let [axis] = axes[..] else { return None };
        self.rows.iter().position(|&row| row == Some(axis))
    }

    fn leaf(&mut self, expr: Expr, out: &mut VExpr) -> Option<NodeId> {
        if let ExprData::Load { input, index } = self.compute.exprs.get(expr) {
            let load = self.load(*input, index)?;
            let at = self.loads.iter().position(|known| *known == load).unwrap_or_else(|| {
                self.loads.push(load);
                self.loads.len() - 1
            });
            return Some(out.input(at as u16));
        }
        if self.compute.exprs.kind(expr) != Kind::F32 {
            return None;
        }
        let axis = self.row_axis(expr)?;
        let scalars = &mut self.scalars[axis];
        let at = scalars.iter().position(|&known| known == expr).unwrap_or_else(|| {
            scalars.push(expr);
            scalars.len() - 1
        });
        let before = self.loads.len() + if axis == 0 { 0 } else { self.scalars[0].len() };
        Some(out.input((before + at) as u16))
    }

    fn load(&self, input: u32, index: &[Expr]) -> Option<Load> {
        let (compute, count) = (self.compute, self.compute.axes.len());
        if compute.inputs[input as usize].dtype != DType::F32 {
            return None;
        }
        let (mut address, mut parts) = (Affine::constant(count, 0), [Vec::new(), Vec::new()]);
        for (&expr, step) in index.iter().zip(row_major(&compute.inputs[input as usize].dims)?) {
            if let Some(sum) = affine(&compute.exprs, count, expr).filter(|sum| sum.terms.is_empty()) {
                address.offset += sum.offset * step;
                address.strides.iter_mut().zip(&sum.strides).for_each(|(own, more)| *own += more * step);
            } else {
                parts[self.row_axis(expr)?].push((expr, step));
            }
        }
        // Strides over the rows go to the table as well.
        for (part, row) in parts.iter_mut().zip(self.rows) {
            let Some(row) = row else { continue };
            let step = std::mem::take(&mut address.strides[row]);
            if step != 0 {
                let axis =
                    (0..compute.exprs.len() as u32).map(Expr).find(|&e| *compute.exprs.get(e) == ExprData::Axis(row as u32));
                part.push((axis?, step));
            }
        }
        for axis in 0..count {
            let is_still = extent(compute, axis) == Some(1);
            let is_right = if axis == self.columns { address.strides[axis] == 1 } else { self.outer.contains(&axis) };
            if is_still {
                address.strides[axis] = 0;
            } else if !is_right && address.strides[axis] != 0 {
                return None;
            }
        }
        (address.strides[self.columns] == 1).then_some(Load { input, address, parts })
    }
}

impl Plan<'_> {
    fn extent(&self, axis: Option<usize>) -> usize {
        axis.and_then(|axis| extent(self.compute, axis)).unwrap_or(1) as usize
    }

    /// Whether the kernel can write the output itself.
    fn is_innermost(&self) -> bool {
        self.strides[self.columns] == 1
    }

    fn desc(&self) -> GatherDesc {
        let (rows, cols) = (self.rows.map(|axis| self.extent(axis)), self.extent(Some(self.columns)));
        let out_strides = match self.is_innermost() {
            true => self.rows.map(|axis| axis.map_or(0, |axis| self.strides[axis] as usize)),
            false => [rows[1] * cols, cols],
        };
        let scalars = [self.scalars[0].len(), self.scalars[1].len()];
        GatherDesc { rows, cols, loads: self.loads.len(), scalars, out_strides, expr: self.expr.clone() }
    }

    /// From the kernel's own memory to an output in which the columns are not innermost.
    fn transposition(&self) -> Option<TransposeDesc> {
        let axes: Vec<usize> = self.rows.iter().flatten().copied().collect();
        if innermost_stride(self.compute, &axes, &self.strides) != 1 || !collapses(self.compute, &axes, &self.strides, 1) {
            return None;
        }
        let (rows, cols) = (self.extent(self.rows[0]) * self.extent(self.rows[1]), self.extent(Some(self.columns)));
        let out_stride = usize::try_from(self.strides[self.columns]).ok().filter(|&stride| stride >= rows)?;
        Some(TransposeDesc { rows, cols, in_stride: cols, out_stride, in_batch: 0, out_batch: 0 })
    }

    /// The values of an expression for all indices of `y` or `x`.
    fn values(&self, axis: usize, expr: Expr, dtype: DType) -> Option<kiln_support::TensorData> {
        let row = self.rows[axis]?;
        let mut compute = self.compute.clone();
        compute.outputs = vec![Output { dtype, value: expr }];
        let own = compute.with_axes(vec![compute.axes[row]], 1, &|exprs, old| {
            if old as usize == row { exprs.intern(ExprData::Axis(0)) } else { exprs.int(0) }
        });
        interpret::run(&Compute { inputs: Vec::new(), params: Vec::new(), ..own }, &[], &[], None).ok()?.pop()
    }

    /// The table as [`GatherDesc`] wants it; none where an expression cannot be evaluated.
    fn table(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for axis in 0..2 {
            let count = self.extent(self.rows[axis]);
            let mut offsets = vec![vec![0i64; count]; self.loads.len()];
            for (load, offsets) in self.loads.iter().zip(&mut offsets) {
                for &(expr, step) in &load.parts[axis] {
                    let values = self.values(axis, expr, DType::I64)?;
                    offsets.iter_mut().zip(values.to_i64()).for_each(|(sum, v)| *sum += v * step * size_of::<f32>() as i64);
                }
            }
            let scalars = self.scalars[axis].iter().map(|&e| Some(self.values(axis, e, DType::F32)?.to_f32()));
            let scalars: Vec<Vec<f32>> = scalars.collect::<Option<_>>()?;
            for i in 0..count {
                offsets.iter().for_each(|o| bytes.extend(o[i].to_le_bytes()));
                scalars.iter().for_each(|s| bytes.extend(s[i].to_le_bytes()));
                bytes.resize(bytes.len().next_multiple_of(8), 0);
            }
        }
        Some(bytes)
    }

    /// Emits it; `output` is where the output's first element lies.
    pub fn emit(&self, cx: &mut Lowering, built: &Built, output: Operand, offset: i64) -> R<bool> {
        let Some(table) = self.table() else { return Ok(false) };
        let desc = self.desc();
        let Some(target) = cx.shared.target.vector else { return Ok(false) };
        if kiln_kernels::kernels::emit(&KernelDesc::Gather(desc.clone()), &target).is_err() {
            return Ok(false);
        }
        let table = cx.shared.data.add("table", table.into(), 8, Vec::new());
        let inputs = self.loads.iter().map(|l| stream(cx, built, l.input, &l.address, &self.outer)).collect::<R<Vec<_>>>()?;
        let outer = self.outer.iter().map(|&a| count(cx, built, &[a])).collect::<R<Vec<_>>>()?;
        let final_place = Stream { base: output, size: 4, offset, outer: self.outer.iter().map(|&a| self.strides[a]).collect() };
        let own_place = if self.is_innermost() { final_place.clone() } else { self.own_memory(cx, &desc) };
        let parts = Call {
            inputs,
            weights: Some(Stream::fixed(Operand::Data(table, 0))),
            output: Some(own_place.clone()),
            outer: outer.clone(),
            ..Call::default()
        };
        call(cx, KernelDesc::Gather(desc), parts)?;
        if let Some(transposition) = self.transposition().filter(|_| !self.is_innermost()) {
            let batch = Some(Operand::Int(1));
            let parts = Call { input: Some(own_place), output: Some(final_place), outer, batch, ..Call::default() };
            call(cx, KernelDesc::Transpose(transposition), parts)?;
        }
        Ok(true)
    }

    /// Memory for the rows in their own order, dense.
    fn own_memory(&self, cx: &mut Lowering, desc: &GatherDesc) -> Stream {
        let mut steps = Vec::new();
        let mut size = (desc.rows[0] * desc.rows[1] * desc.cols) as i64;
        for &axis in self.outer.iter().rev() {
            steps.insert(0, size);
            size *= self.extent(Some(axis)) as i64;
        }
        let buffer = cx.buffers.add(size as u64 * size_of::<f32>() as u64, false);
        Stream { base: Operand::Arena(buffer), size: 4, offset: 0, outer: steps }
    }
}
