//! Masks as indices: `x[mask]` is `x` at the places where the mask holds, one index tensor for each of its axes.
//!
//! How many places there are is known only at run time: it is an int that the sizes of the results refer to.

use super::tables::Results;
use super::value::{Abs, Contents, HeapItem, TensorId};
use super::{Run, Specialiser};
use kiln_graph::{Dim, OpId, Type};
use kiln_ops::{DimMath, table};
use kiln_support::DType;

impl Specialiser<'_> {
    /// The arguments of an indexing operator with its masks replaced by index tensors; nothing where there is none or
    /// the operator knows what to do with it, and an end where the program raises.
    pub(super) fn without_masks(&mut self, op: OpId, args: &[Abs]) -> Run<Option<Option<Vec<Abs>>>> {
        let key = table().key(op);
        let is_put = matches!(key, "aten::index_put" | "aten::index_put.hacked_twin" | "aten::_unsafe_index_put");
        if !is_put && !matches!(key, "aten::index.Tensor" | "aten::index.Tensor_hacked_twin" | "aten::_unsafe_index.Tensor") {
            return Ok(None);
        }
        let (Abs::Tensor(own), Abs::List(list)) = (&args[0], &args[1]) else { return Ok(None) };
        let HeapItem::List(elem, Contents::Static(items)) = self.heap.items[*list].clone() else { return Ok(None) };
        let dims = self.heap.tensors[*own].ty.dims.clone();
        if !items.iter().any(|i| self.mask(i).is_some()) || is_put && self.is_row(&items, &args[2], dims.len()) {
            return Ok(None);
        }
        let mut expanded = Vec::new();
        for item in items {
            let Some(mask) = self.mask(&item) else {
                expanded.push(item);
                continue;
            };
            if !self.mask_fits(mask, dims.get(expanded.len()..).unwrap_or(&[]))? {
                return Ok(Some(None));
            }
            match self.places(item)? {
                Some(places) => expanded.extend(places),
                None => return Ok(Some(None)),
            }
        }
        let mut all = args.to_vec();
        all[1] = Abs::List(self.heap.items.push(HeapItem::List(elem, Contents::Static(expanded))));
        Ok(Some(Some(all)))
    }

    fn mask(&self, abs: &Abs) -> Option<TensorId> {
        let Abs::Tensor(id) = abs else { return None };
        matches!(self.heap.tensors[*id].ty.dtype, DType::Bool | DType::U8).then_some(*id)
    }

    /// Whether the same values are written wherever a single mask holds: the operator then needs no places.
    fn is_row(&self, items: &[Abs], values: &Abs, rank: usize) -> bool {
        let (Some(mask), Abs::Tensor(values)) = (items.first().and_then(|i| self.mask(i)), values) else { return false };
        let (mask, values) = (&self.heap.tensors[mask].ty, &self.heap.tensors[*values].ty);
        let places = values.rank().saturating_sub(rank.saturating_sub(mask.rank()));
        items.len() == 1 && values.dims[..places].iter().all(|d| *d == Dim::Const(1))
    }

    /// Requires that a mask has the sizes of the axes it is an index for; false where the program raises.
    fn mask_fits(&mut self, mask: TensorId, dims: &[Dim]) -> Run<bool> {
        let own = self.heap.tensors[mask].ty.dims.clone();
        let message = "The shape of the mask does not match the shape of the indexed tensor";
        let differ = |(a, b): (&Dim, &Dim)| a != b && a.as_const().is_some() && b.as_const().is_some();
        if own.len() > dims.len() || own.iter().zip(dims).any(differ) {
            self.raise::<()>("IndexError", message)?;
            return Ok(false);
        }
        own.iter().zip(dims).for_each(|(a, b)| self.emit.require_equal(*a, *b, message));
        Ok(true)
    }

    /// The places where a mask holds: one tensor for each of its axes.
    fn places(&mut self, mask: Abs) -> Run<Results> {
        let rank = self.mask(&mask).map_or(0, |id| self.heap.tensors[id].ty.rank());
        if rank == 0 {
            return Err(self.unsupported("a mask without dimensions as an index"));
        }
        let Some(rows) = self.apply_table(table().get("aten::nonzero"), vec![mask], &[Type::TENSOR])? else { return Ok(None) };
        let mut columns = Vec::new();
        for axis in 0..rank {
            let select = vec![rows[0].clone(), Abs::int(1), Abs::int(axis as i64)];
            match self.apply_table(table().get("aten::select.int"), select, &[Type::TENSOR])? {
                Some(column) => columns.extend(column),
                None => return Ok(None),
            }
        }
        Ok(Some(columns))
    }
}
