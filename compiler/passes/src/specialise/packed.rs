//! Packed parameters: the objects in which PyTorch keeps the weights of quantized layers.
//!
//! PyTorch lays weights out for the library that computes with them; here such an object simply holds what was packed.
//! Schemas know their classes by name only; the attributes below are of this file alone.

use super::value::{Abs, Contents, HeapId, HeapItem, TensorId};
use super::{Run, Specialiser};
use kiln_graph::{ClassId, Initial, ObjectId, Type};

/// Attributes of a packed convolution; those of a packed linear layer are the first two, that of a packed embedding is the first.
const WEIGHT: usize = 0;
const BIAS: usize = 1;
const STRIDE: usize = 2;
const PADDING: usize = 3;
const OUTPUT_PADDING: usize = 4;
const DILATION: usize = 5;
const GROUPS: usize = 6;
const TRANSPOSED: usize = 7;

/// Attributes of the parameters of a recurrent cell, the packed weights of which are objects of their own.
const CELL_INPUT: usize = 0;
const CELL_HIDDEN: usize = 1;
const CELL_REDUCES_RANGE: usize = 2;

/// Where the custom classes are.
const CLASSES: &str = "__torch__.torch.classes.quantized.";
const CELL: &str = "__torch__.torch.classes.rnn.CellParamsBase";

impl Specialiser<'_> {
    /// Packs or asks for what was packed, if an operator does that.
    pub(super) fn apply_packed(&mut self, key: &str, args: &[Abs]) -> Run<Option<Vec<Abs>>> {
        let cell_slot = match key {
            "kiln::cell_input" => Some(CELL_INPUT),
            "kiln::cell_hidden" => Some(CELL_HIDDEN),
            "kiln::cell_reduces_range" => Some(CELL_REDUCES_RANGE),
            _ => None,
        };
        if let (Some(slot), Some(Abs::Object(object))) = (cell_slot, args.first()) {
            return self.packed_fields(*object, &[slot]).map(Some);
        }
        if let ("quantized::make_quantized_cell_params_dynamic", [input, hidden, _, _, reduces]) = (key, args) {
            let Some(class) = self.program.class_named(CELL) else { return Ok(None) };
            let fields = vec![input.clone(), hidden.clone(), reduces.clone()];
            return Ok(Some(vec![Abs::Object(self.packed_object(class, fields))]));
        }
        let Some(name) = key.strip_prefix("quantized::") else { return Ok(None) };
        if let Some(kind) = name.strip_suffix("_prepack") {
            return self.pack(kind, args).map(|abs| Some(vec![abs]));
        }
        let Some(Abs::Object(object)) = args.first() else { return Ok(None) };
        if name == "embedding_bag_unpack" {
            return self.packed_fields(*object, &[WEIGHT]).map(Some);
        }
        let Some((kind, what)) = name.split_once('_') else { return Ok(None) };
        let what =
            if kind == "conv" { name.trim_start_matches("conv_transpose").split_once('_').map_or(what, |p| p.1) } else { what };
        let slots: &[usize] = match what {
            "unpack" => &[WEIGHT, BIAS],
            "stride" => &[STRIDE],
            "padding" => &[PADDING],
            "output_padding" => &[OUTPUT_PADDING],
            "dilation" => &[DILATION],
            "groups" => &[GROUPS],
            "transpose" => &[TRANSPOSED],
            _ => return Ok(None),
        };
        let found = self.packed_fields(*object, slots)?;
        Ok((found.len() == slots.len()).then_some(found))
    }

    /// Attributes of an object of packed parameters, as far as it has them.
    fn packed_fields(&self, object: HeapId, slots: &[usize]) -> Run<Vec<Abs>> {
        let HeapItem::Object(_, Contents::Static(fields)) = &self.heap.items[object] else {
            return Err(self.unsupported("packed parameters that are chosen at run time"));
        };
        Ok(slots.iter().filter_map(|&slot| fields.get(slot)?.clone()).collect())
    }

    /// An object of packed parameters: of a linear layer (weight, bias) or of a convolution (weight, bias, stride, padding,
    /// [output padding,] dilation, groups).
    fn pack(&mut self, kind: &str, args: &[Abs]) -> Run<Abs> {
        let (class, fields) = match (kind, args) {
            ("linear", [weight, bias]) => ("LinearPackedParamsBase", vec![weight.clone(), bias.clone()]),
            ("embedding_bag", [weight]) => ("EmbeddingPackedParamsBase", vec![weight.clone()]),
            ("conv1d" | "conv2d" | "conv3d", [weight, bias, stride, padding, dilation, groups]) => {
                let zeros = self.int_list(vec![Abs::int(0); if kind == "conv3d" { 3 } else { 2 }]);
                let fields = [weight, bias, stride, padding, &zeros, dilation, groups, &Abs::bool(false)];
                (
                    if kind == "conv3d" { "Conv3dPackedParamsBase" } else { "Conv2dPackedParamsBase" },
                    fields.map(Clone::clone).to_vec(),
                )
            }
            (
                "conv_transpose1d" | "conv_transpose2d" | "conv_transpose3d",
                [weight, bias, stride, padding, output_padding, dilation, groups],
            ) => {
                let fields = [weight, bias, stride, padding, output_padding, dilation, groups, &Abs::bool(true)];
                let is_volume = kind == "conv_transpose3d";
                (if is_volume { "Conv3dPackedParamsBase" } else { "Conv2dPackedParamsBase" }, fields.map(Clone::clone).to_vec())
            }
            _ => return Err(self.unsupported(&format!("packed parameters made by `quantized::{kind}_prepack`"))),
        };
        let Some(class) = self.program.class_named(&format!("{CLASSES}{class}")) else {
            return Err(self.unsupported(&format!("packed parameters of class `{class}`")));
        };
        Ok(Abs::Object(self.packed_object(class, fields)))
    }

    fn packed_object(&mut self, class: ClassId, fields: Vec<Abs>) -> HeapId {
        self.heap.items.push(HeapItem::Object(class, Contents::Static(fields.into_iter().map(Some).collect())))
    }

    /// A saved object of packed parameters.
    pub(super) fn restore_packed(&mut self, object: ObjectId, class: ClassId, state: &Initial) -> Run<HeapId> {
        let name = self.program.classes[class].name.clone();
        let state = self.initial(state, &Type::Any)?;
        let fields = match name.strip_prefix(CLASSES) {
            Some("LinearPackedParamsBase") => self.known_items(&state).ok(),
            Some("Conv2dPackedParamsBase" | "Conv3dPackedParamsBase") => self.saved_convolution(&state)?,
            Some("EmbeddingPackedParamsBase") => self.saved_embedding(&state)?,
            None if name == CELL => self.saved_cell(&state)?,
            _ => None,
        };
        let Some(fields) = fields else {
            return Err(self.unsupported(&format!("saved objects of class `{name}`")));
        };
        let id = self.packed_object(class, fields);
        self.objects[object] = Some(id);
        Ok(id)
    }

    /// The state of a cell of which activations are quantized when it runs: `("quantized_dynamic", biases, [], [whether the range is
    /// reduced], packed weights of the input and of the hidden state)`.
    fn saved_cell(&mut self, state: &Abs) -> Run<Option<Vec<Abs>>> {
        let parts = self.known_items(state)?;
        let [Abs::Str(kind), _, _, numbers, weights] = parts.as_slice() else { return Ok(None) };
        if &**kind != "quantized_dynamic" {
            return Ok(None);
        }
        let (numbers, mut fields) = (self.known_items(numbers)?, self.known_items(weights)?);
        fields.push(Abs::bool(numbers.first().and_then(Abs::as_int).unwrap_or(0) != 0));
        Ok(Some(fields))
    }

    /// The state of a packed embedding: `(1, [weight], [], [bits of an integer])`.
    fn saved_embedding(&mut self, state: &Abs) -> Run<Option<Vec<Abs>>> {
        let parts = self.known_items(state)?;
        let [version, tensors, ..] = parts.as_slice() else { return Ok(None) };
        Ok(if version.as_int() == Some(1) { Some(self.known_items(tensors)?) } else { None })
    }

    /// The state of a packed convolution, version 2: `("2", [parameters, weight], [bias])`, where the parameters are the number of
    /// spatial axes, then stride, padding, dilation and output padding for each, groups, and whether it is transposed.
    /// <https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/quantized/cpu/conv_serialization.h>
    fn saved_convolution(&mut self, state: &Abs) -> Run<Option<Vec<Abs>>> {
        let parts = self.known_items(state)?;
        let [Abs::Str(version), tensors, optional] = parts.as_slice() else { return Ok(None) };
        if &**version != "2" {
            return Ok(None);
        }
        let (tensors, optional) = (self.known_items(tensors)?, self.known_items(optional)?);
        let ([Abs::Tensor(numbers), weight], [bias]) = (tensors.as_slice(), optional.as_slice()) else { return Ok(None) };
        let Some(numbers) = self.known_ints(*numbers) else { return Ok(None) };
        let Some((&axes, rest)) = numbers.split_first() else { return Ok(None) };
        let axes = usize::try_from(axes).unwrap_or(0);
        if axes == 0 || rest.len() != 4 * axes + 2 {
            return Ok(None);
        }
        let mut lists = Vec::new();
        for list in rest[..4 * axes].chunks(axes) {
            lists.push(self.int_list(list.iter().map(|&i| Abs::int(i)).collect()));
        }
        let [stride, padding, dilation, output_padding] = lists.try_into().expect("four lists");
        let (groups, transposed) = (Abs::int(rest[4 * axes]), Abs::bool(rest[4 * axes + 1] != 0));
        Ok(Some(vec![weight.clone(), bias.clone(), stride, padding, output_padding, dilation, groups, transposed]))
    }

    fn known_ints(&self, id: TensorId) -> Option<Vec<i64>> {
        let data = self.known_data(id)?;
        let int = |i: usize| match data.get(i) {
            kiln_support::tensor::Number::Int(i) => Some(i),
            _ => None,
        };
        (0..data.len()).map(int).collect()
    }
}
