//! Quantized tensors: integers, and which numbers they stand for.
//!
//! They exist only here. A residual graph holds their integers, and what PyTorch's quantized kernels compute of them is
//! written out by decompositions (`prelude/quantized*.py`) over `int_repr` and `_make_per_tensor_quantized_tensor`, which
//! cost nothing. Views need nothing: they keep what they look at. Other operators of `aten` that take quantized tensors
//! are listed in [`kiln_ops::quantized`].

use super::tables::Results;
use super::value::{Abs, Num, Quantization, TensorId};
use super::{Run, Specialiser, Stop};
use kiln_graph::{TensorInit, TensorType, Type};
use kiln_loops::Scalar;
use kiln_ops::quantized::{Behaviour, behaviour};
use kiln_ops::{Body, entry, table};
use kiln_support::{DType, Diagnostic, TensorData};

impl Specialiser<'_> {
    /// Applies an operator to quantized tensors or one that makes or describes them, if this is one.
    pub(super) fn apply_quantized(&mut self, key: &str, args: &[Abs], types: &[Type]) -> Run<Option<Results>> {
        let done = |abs: Abs| Ok(Some(Some(vec![abs])));
        if let Some(results) = self.apply_packed(key, args)? {
            return Ok(Some(Some(results)));
        }
        match (key, args) {
            ("aten::_make_per_tensor_quantized_tensor", [Abs::Tensor(ints), Abs::Float(scale), Abs::Int(zero_point)]) => {
                let quantization = Quantization::PerTensor { scale: *scale, zero_point: *zero_point };
                return self.with_quantization(*ints, quantization).map(|id| Some(Some(vec![Abs::Tensor(id)])));
            }
            ("aten::_make_per_channel_quantized_tensor", [Abs::Tensor(ints), Abs::Tensor(scales), Abs::Tensor(zeros), axis]) => {
                let Some(axis) = axis.as_int().and_then(|a| usize::try_from(a).ok()) else {
                    return Err(self.unsupported("an axis that is known only at run time"));
                };
                let quantization = Quantization::PerChannel { axis, scales: *scales, zero_points: *zeros };
                return self.with_quantization(*ints, quantization).map(|id| Some(Some(vec![Abs::Tensor(id)])));
            }
            _ => {}
        }
        let Some(first) = self.first_quantized(args)? else { return Ok(None) };
        if let Some(Abs::Tensor(id)) = args.first()
            && let Some(abs) = self.quantization_fact(key, *id)?
        {
            return done(abs);
        }
        match behaviour(key) {
            Some(Behaviour::Integers) => self.apply_to_integers(key, first, args, types).map(Some),
            Some(Behaviour::Decomposed(internal)) => self.apply_table(table().get(internal), args.to_vec(), types).map(Some),
            None => {
                let is_view = matches!(entry(key).map(|e| e.body), Some(Body::View { .. }));
                let is_known =
                    is_view || key.starts_with("quantized::") || key.starts_with("prim::") || key.starts_with("kiln::");
                // Facts and containers take any tensor; what computes would see integers for numbers.
                if is_known || !matches!(entry(key).map(|e| e.body), Some(Body::Tensor { .. } | Body::Scatter { .. })) {
                    return Ok(None);
                }
                Err(self.unsupported(&format!("`{key}` with a quantized tensor")))
            }
        }
    }

    /// The first quantized tensor among arguments and the items of their lists.
    fn first_quantized(&mut self, args: &[Abs]) -> Run<Option<TensorId>> {
        for arg in args {
            match arg {
                Abs::Tensor(id) if self.heap.tensors[*id].quantization.is_some() => return Ok(Some(*id)),
                Abs::List(id) => {
                    use super::value::{Contents, HeapItem};
                    if let HeapItem::List(_, Contents::Static(items)) = self.heap.items[*id].clone()
                        && let Some(found) = self.first_quantized(&items)?
                    {
                        return Ok(Some(found));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// What is asked of a quantized tensor.
    fn quantization_fact(&mut self, key: &str, id: TensorId) -> Run<Option<Abs>> {
        let Some(quantization) = self.heap.tensors[id].quantization.clone() else { return Ok(None) };
        Ok(match (key, quantization) {
            ("aten::int_repr", _) => Some(Abs::Tensor(self.integers(id)?)),
            ("aten::q_scale", Quantization::PerTensor { scale, .. }) => Some(Abs::Float(scale)),
            ("aten::q_zero_point", Quantization::PerTensor { zero_point, .. }) => Some(Abs::Int(zero_point)),
            ("aten::q_per_channel_scales", Quantization::PerChannel { scales, .. }) => Some(Abs::Tensor(scales)),
            ("aten::q_per_channel_zero_points", Quantization::PerChannel { zero_points, .. }) => Some(Abs::Tensor(zero_points)),
            ("aten::q_per_channel_axis", Quantization::PerChannel { axis, .. }) => Some(Abs::int(axis as i64)),
            ("kiln::is_per_channel", Quantization::PerChannel { .. }) => Some(Abs::bool(true)),
            ("kiln::is_per_channel", Quantization::PerTensor { .. }) => Some(Abs::bool(false)),
            _ => None,
        })
    }

    /// An operator that moves or chooses elements: on the integers, with the quantization of the first tensor.
    fn apply_to_integers(&mut self, key: &str, first: TensorId, args: &[Abs], types: &[Type]) -> Run<Results> {
        let quantization = self.heap.tensors[first].quantization.clone().expect("a quantized tensor");
        let mut plain = Vec::new();
        for arg in args {
            plain.push(self.with_integers(arg, &quantization)?);
        }
        let Some(results) = self.apply_table(table().get(key), plain, types)? else { return Ok(None) };
        let own = self.heap.tensors[first].ty.dtype.stored();
        let mut out = Vec::new();
        for abs in results {
            out.push(match abs {
                // Indices that come with the elements are no quantized tensors.
                Abs::Tensor(id) if self.heap.tensors[id].ty.dtype == own => {
                    Abs::Tensor(self.with_quantization(id, quantization.clone())?)
                }
                other => other,
            });
        }
        Ok(Some(out))
    }

    /// An argument with integers in place of quantized tensors, all of which must stand for the same numbers.
    fn with_integers(&mut self, abs: &Abs, quantization: &Quantization) -> Run<Abs> {
        match abs {
            Abs::Tensor(id) => match self.heap.tensors[*id].quantization.clone() {
                Some(own) if own == *quantization => Ok(Abs::Tensor(self.integers(*id)?)),
                Some(_) => Err(self.unsupported("tensors of several scales in one operator")),
                None => Ok(abs.clone()),
            },
            Abs::List(_) => {
                let items = self.known_items(abs)?;
                let items: Run<Vec<Abs>> = items.iter().map(|item| self.with_integers(item, quantization)).collect();
                use super::value::{Contents, HeapItem};
                let Abs::List(id) = abs else { unreachable!("it is a list") };
                let HeapItem::List(elem, _) = self.heap.items[*id].clone() else { unreachable!("it is a list") };
                Ok(Abs::List(self.heap.items.push(HeapItem::List(elem, Contents::Static(items?)))))
            }
            other => Ok(other.clone()),
        }
    }

    /// The integers of a quantized tensor, as a tensor of their own.
    pub(super) fn integers(&mut self, id: TensorId) -> Run<TensorId> {
        let tensor = self.heap.tensors[id].clone();
        let ty = TensorType { dtype: tensor.ty.dtype.stored(), dims: tensor.ty.dims.clone() };
        self.retyped(id, ty)
    }

    /// Integers as a quantized tensor.
    fn with_quantization(&mut self, ints: TensorId, quantization: Quantization) -> Run<TensorId> {
        let ty = self.heap.tensors[ints].ty.clone();
        let Some(dtype) = ty.dtype.quantized() else {
            return Err(self.unsupported(&format!("a quantized tensor of {}", ty.dtype.torch_name())));
        };
        let id = self.retyped(ints, TensorType { dtype, dims: ty.dims })?;
        self.heap.tensors[id].quantization = Some(quantization);
        Ok(id)
    }

    /// A tensor with a memory of its own that holds the integers of another one.
    fn retyped(&mut self, id: TensorId, ty: TensorType) -> Run<TensorId> {
        let known = self.known_data(id).cloned();
        let value = if known.is_some() { None } else { Some(self.tensor_value(id)?) };
        let new = self.add_tensor(ty, value, known);
        self.note_layout(new, &Abs::Tensor(id));
        Ok(new)
    }

    /// A saved quantized tensor.
    pub(super) fn initial_quantized(&mut self, init: &TensorInit) -> Run<TensorId> {
        let data = init.to_data();
        let ints = self.constant_tensor(TensorData::new(init.dtype.stored(), data.shape.clone(), data.bytes.clone()));
        let quantization = match (&init.quant, &init.channel_quant) {
            (Some((scale, zero_point)), _) => {
                Quantization::PerTensor { scale: Num::Const(Scalar::F64(*scale)), zero_point: Num::int(*zero_point) }
            }
            (None, Some(channels)) => {
                let count = vec![channels.scales.len() as i64];
                let scales: Vec<u8> = channels.scales.iter().flat_map(|s| s.to_le_bytes()).collect();
                Quantization::PerChannel {
                    axis: channels.axis as usize,
                    scales: self.constant_tensor(TensorData::new(DType::F64, count, scales)),
                    zero_points: self.constant_tensor(channels.zero_points.clone()),
                }
            }
            (None, None) => return Err(self.unsupported("a quantized tensor without a scale")),
        };
        self.with_quantization(ints, quantization)
    }

    /// Where values are told apart by their types only, integers would be taken for numbers.
    pub(super) fn check_not_quantized(&self, id: TensorId) -> Run<()> {
        match self.heap.tensors[id].quantization {
            None => Ok(()),
            Some(_) => {
                let what = "a quantized tensor as an input or result of a method, printed, in a run-time container, or chosen at run time";
                let diagnostic = Diagnostic::unsupported("unsupported", format!("kiln does not support {what} yet"));
                Err(Stop::Diagnostic(Box::new(diagnostic.at(self.span()).help("`dequantize` it first"))))
            }
        }
    }
}
