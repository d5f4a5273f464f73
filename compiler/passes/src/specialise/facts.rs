//! Operators that only ask for facts, convert between tensors and scalars, or give back the same tensor.

use super::scalars::scalar_abs;
use super::tables::Results;
use super::value::{Abs, Contents, HeapItem, Num, TensorId};
use super::{Run, Specialiser};
use kiln_graph::{Dim, Op, TensorType, Type};
use kiln_loops::{Kind, Scalar};
use kiln_ops::{infer::wrap_axis, table};
use kiln_support::{DType, TensorData};

impl Specialiser<'_> {
    /// Applies an operator of this family, if it is one.
    pub(super) fn apply_fact(&mut self, key: &str, args: &[Abs], types: &[Type]) -> Run<Option<Results>> {
        let done = |abs: Abs| Ok(Some(Some(vec![abs])));
        if let ("aten::detach" | "aten::alias" | "prim::data", Some(Abs::Tensor(id))) = (key, args.first()) {
            return done(self.alias_of(*id));
        }
        if let Some(abs) = self.identity(key, args)? {
            return done(abs);
        }
        if let Some(Abs::Tensor(id)) = args.first()
            && let Some(result) = self.tensor_fact(key, *id, args, types)?
        {
            return Ok(Some(result));
        }
        let abs = match key {
            "prim::NumToTensor.Scalar" | "prim::NumToTensor.bool" | "aten::scalar_to_tensor" => {
                let dtype = match args[0] {
                    Abs::Int(_) => DType::I64,
                    Abs::Bool(_) => DType::Bool,
                    _ => DType::F64,
                };
                self.scalar_tensor(&args[0], dtype)?
            }
            "aten::scalar_tensor" => {
                let dtype = self.dtype_argument(&args[1])?.unwrap_or(DType::F32);
                self.scalar_tensor(&args[0], dtype)?
            }
            "aten::tensor"
            | "aten::tensor.int"
            | "aten::tensor.float"
            | "aten::tensor.bool"
            | "aten::as_tensor"
            | "aten::as_tensor.list"
            | "aten::as_tensor.int"
            | "aten::as_tensor.float"
            | "aten::as_tensor.bool" => {
                return self.tensor_from(args).map(|abs| Some(abs.map(|a| vec![a])));
            }
            "aten::set_.source_Tensor" => {
                let (Abs::Tensor(target), Abs::Tensor(source)) = (&args[0], &args[1]) else { return Ok(None) };
                let storage = self.heap.tensors[*target].storage;
                let is_initial = |id: &TensorId| self.heap.tensors[*id].storage == storage;
                if self.storages.values().flatten().any(|(_, id)| is_initial(id)) {
                    return Err(self.unsupported("`set_` of a tensor that the module holds"));
                }
                self.become_view(*target, *source);
                Abs::Tensor(*target)
            }
            "aten::__is__" | "aten::__isnot__" => Abs::Bool(self.is_same(&args[0], &args[1], key == "aten::__is__")?),
            "prim::unchecked_unwrap_optional" | "aten::_unwrap_optional" | "prim::unchecked_cast" => match &args[0] {
                Abs::None => return self.raise("RuntimeError", "Unwrapping null optional").map(Some),
                abs => self.cast(abs.clone(), &types[0])?,
            },
            "aten::set_grad_enabled" | "aten::warn" | "aten::_assert_async" | "aten::_assert_async.msg" => {
                return Ok(Some(Some(Vec::new())));
            }
            "aten::is_autocast_enabled" | "aten::is_autocast_cpu_enabled" | "aten::is_grad_enabled" => Abs::bool(false),
            "aten::is_scripting" | "prim::is_scripting" => Abs::bool(true),
            "aten::device" | "aten::device.with_index" => Abs::Device("cpu".into()),
            "aten::get_default_dtype" => Abs::int(DType::F32.code()),
            "aten::promote_types" => match (self.dtype_argument(&args[0])?, self.dtype_argument(&args[1])?) {
                (Some(a), Some(b)) => Abs::int(a.promote(b).code()),
                _ => return Ok(None),
            },
            "prim::EnumName" => match &args[0] {
                Abs::Enum(_, name) => Abs::Str(name.clone()),
                _ => return Ok(None),
            },
            "prim::EnumValue.int" | "prim::EnumValue.float" | "prim::EnumValue.str" => match &args[0] {
                Abs::Enum(class, name) => self.enum_value(*class, name)?,
                _ => return Ok(None),
            },
            "prim::type" | "prim::index" => match &args[0] {
                Abs::Device(_) if key == "prim::type" => Abs::Str("cpu".into()),
                Abs::Device(_) => Abs::None,
                _ => return Ok(None),
            },
            "aten::eq.device" | "aten::ne.device" => match (&args[0], &args[1]) {
                (Abs::Device(a), Abs::Device(b)) => Abs::bool((a == b) == (key == "aten::eq.device")),
                _ => return Ok(None),
            },
            "aten::eq.enum" | "aten::ne.enum" => Abs::bool((args[0] == args[1]) == (key == "aten::eq.enum")),
            _ => return Ok(None),
        };
        done(abs)
    }

    /// Another tensor over the same memory.
    fn alias_of(&mut self, id: TensorId) -> Abs {
        let tensor = self.heap.tensors[id].clone();
        if tensor.view.is_some() {
            return Abs::Tensor(self.heap.tensors.push(tensor));
        }
        let sizes = tensor.ty.dims.iter().map(|d| Self::int_abs(*d)).collect();
        let sizes = self.int_list(sizes);
        let alias = self.view(id, table().get("aten::view"), &[sizes], tensor.ty, tensor.strides);
        let current = tensor.version == self.heap.storages[tensor.storage].version;
        if current {
            let own = &mut self.heap.tensors[alias];
            (own.value, own.data, own.element) = (tensor.value, tensor.data, tensor.element);
        }
        Abs::Tensor(alias)
    }

    /// Operators that give back their first argument, as the same tensor.
    fn identity(&mut self, key: &str, args: &[Abs]) -> Run<Option<Abs>> {
        let is_identity = match key {
            "aten::detach_"
            | "aten::lift"
            | "aten::lift_fresh"
            | "aten::requires_grad_"
            | "aten::cpu"
            | "aten::conj"
            | "aten::resolve_conj"
            | "aten::resolve_neg"
            | "aten::_conj"
            | "aten::positive"
            | "aten::real" => {
                matches!(args.first(), Some(Abs::Tensor(_)))
            }
            "aten::dropout"
            | "aten::dropout_"
            | "aten::feature_dropout"
            | "aten::feature_dropout_"
            | "aten::alpha_dropout"
            | "aten::alpha_dropout_"
            | "aten::feature_alpha_dropout" => args[2].as_bool() == Some(false) || is_zero(&args[1]),
            "aten::wait" | "prim::awaitable_wait" | "prim::awaitable_nowait" => true,
            _ => false,
        };
        if !is_identity && key.contains("dropout") && args.len() > 2 && args[2].as_bool() == Some(true) {
            return Err(self.unsupported("dropout in training mode (its result is random)"));
        }
        Ok(is_identity.then(|| args[0].clone()))
    }

    /// Facts of a tensor, and conversions of it.
    fn tensor_fact(&mut self, key: &str, id: TensorId, args: &[Abs], types: &[Type]) -> Run<Option<Results>> {
        let done = |abs: Abs| Ok(Some(Some(vec![abs])));
        let tensor = self.heap.tensors[id].clone();
        let ty = tensor.ty.clone();
        match key {
            "aten::dim" | "prim::ndim" => done(Abs::int(ty.rank() as i64)),
            "aten::size" => {
                let items = ty.dims.iter().map(|d| Self::int_abs(*d)).collect();
                done(self.int_list(items))
            }
            "aten::size.int" | "aten::sym_size.int" => self.dim_fact(&ty, &ty.dims, &args[1]),
            "aten::stride" | "aten::stride.int" | "aten::is_contiguous" | "aten::is_contiguous.memory_format"
                if !tensor.is_layout_known =>
            {
                Err(self.unsupported("the strides of a result computed from tensors that are not contiguous"))
            }
            "aten::stride.int" => self.dim_fact(&ty, &tensor.strides, &args[1]),
            "aten::len.Tensor" => match ty.dims.first() {
                Some(dim) => done(Self::int_abs(*dim)),
                None => self.raise("TypeError", "len() of a 0-d tensor").map(Some),
            },
            "aten::stride" => {
                let items = tensor.strides.iter().map(|d| Self::int_abs(*d)).collect();
                done(self.int_list(items))
            }
            "aten::numel" => {
                let count = kiln_ops::Infer { args: &[], dims: &mut self.emit }.product(&ty.dims);
                done(Self::int_abs(count))
            }
            "prim::dtype" => done(Abs::int(ty.dtype.code())),
            "prim::itemsize" | "aten::element_size" => done(Abs::int(ty.dtype.size() as i64)),
            "prim::layout" => done(Abs::int(0)),
            "prim::device" | "aten::device.Tensor" => done(Abs::Device("cpu".into())),
            "aten::is_floating_point" => done(Abs::bool(ty.dtype.is_float())),
            "aten::is_complex" | "aten::is_conj" | "aten::is_neg" | "aten::is_inference" => done(Abs::bool(false)),
            "aten::is_signed" => done(Abs::bool(!matches!(ty.dtype, DType::U8 | DType::Bool))),
            "prim::requires_grad" | "aten::requires_grad" => done(Abs::bool(tensor.requires_grad)),
            "aten::is_leaf" | "prim::is_leaf" | "prim::is_cpu" => done(Abs::bool(true)),
            "prim::grad" | "prim::name" => done(Abs::None),
            "aten::get_device" => done(Abs::int(-1)),
            "prim::is_quantized" => done(Abs::bool(ty.dtype.is_quantized())),
            _ if key.starts_with("prim::is_") || key.starts_with("aten::is_same_size") => match key {
                "aten::is_same_size" => match &args[1] {
                    Abs::Tensor(other) => done(Abs::bool(self.heap.tensors[*other].ty.dims == ty.dims)),
                    _ => Ok(None),
                },
                _ => done(Abs::bool(false)),
            },
            "aten::is_contiguous" | "aten::is_contiguous.memory_format" => {
                let contiguous = self.is_contiguous(id);
                done(Abs::bool(contiguous))
            }
            "aten::storage_offset" => Err(self.unsupported("storage offsets")),
            "aten::contiguous" if tensor.is_layout_known && self.is_contiguous(id) => done(Abs::Tensor(id)),
            "aten::contiguous" => {
                let copy = self.copy_of(id)?;
                if !(tensor.is_layout_known && self.has_known_strides(id)) {
                    self.note_maybe_view(&copy, id);
                    self.set_row_major(&copy);
                }
                done(copy)
            }
            "aten::clone" => {
                let copy = self.copy_of(id)?;
                if let (Abs::Tensor(new), true) = (&copy, args.get(1).and_then(Abs::as_int) != Some(0)) {
                    self.note_layout(*new, &Abs::Tensor(id));
                }
                done(copy)
            }
            "aten::copy_" => self.copy_into(id, &args[1]).map(Some),
            "aten::item"
            | "aten::IntImplicit"
            | "aten::FloatImplicit"
            | "aten::ScalarImplicit"
            | "aten::Int.Tensor"
            | "aten::Float.Tensor"
            | "aten::Bool.Tensor"
            | "aten::is_nonzero"
            | "aten::ComplexImplicit" => self.element(key, id, &ty, types).map(Some),
            _ if key.starts_with("aten::to.")
                || key == "aten::type_as"
                || key == "aten::_to_copy"
                || key.starts_with("aten::_cast_") =>
            {
                self.convert_tensor(key, id, args)
            }
            _ => Ok(None),
        }
    }

    fn dim_fact(&mut self, ty: &TensorType, values: &[Dim], axis: &Abs) -> Run<Option<Results>> {
        let Some(axis) = axis.as_int() else {
            return Err(self.unsupported("a dimension number that is known only at run time"));
        };
        if ty.rank() == 0 {
            return self.raise("IndexError", "Dimension specified as 0 but tensor has no dimensions").map(Some);
        }
        let wrapped = wrap_axis(axis, ty.rank());
        Ok(Some(self.settle("aten::size.int", wrapped)?.map(|axis| vec![Self::int_abs(values[axis])])))
    }

    /// A new list of ints.
    pub(super) fn int_list(&mut self, items: Vec<Abs>) -> Abs {
        Abs::List(self.heap.items.push(HeapItem::List(Type::Int, Contents::Static(items))))
    }

    /// Notes that a new tensor is row-major, whatever it was copied from.
    fn set_row_major(&mut self, abs: &Abs) {
        if let Abs::Tensor(id) = abs {
            self.heap.tensors[*id].is_layout_known = true;
        }
    }

    pub(super) fn is_contiguous(&mut self, id: TensorId) -> bool {
        let tensor = self.heap.tensors[id].clone();
        let contiguous = self.contiguous_strides(&tensor.ty.dims);
        if tensor.ty.dims.contains(&Dim::Const(0)) {
            return true;
        }
        let pairs = tensor.strides.iter().zip(&contiguous).zip(&tensor.ty.dims);
        pairs.into_iter().all(|((a, b), d)| a == b || *d == Dim::Const(1))
    }

    /// Whether a tensor is all of its storage, in row-major order.
    pub(super) fn is_whole_and_contiguous(&mut self, id: TensorId) -> bool {
        self.heap.tensors[id].view.is_none() && self.is_contiguous(id)
    }

    /// A tensor of its own with the same contents.
    pub(super) fn copy_of(&mut self, id: TensorId) -> Run<Abs> {
        let ty = self.heap.tensors[id].ty.clone();
        let element = self.known_element(id);
        let copy = match self.known_data(id).cloned() {
            Some(data) => self.constant_tensor(data),
            None => {
                let value = self.tensor_value(id)?;
                self.new_tensor(ty, value)
            }
        };
        self.heap.tensors[copy].element = element;
        Ok(Abs::Tensor(copy))
    }

    /// `self.copy_(src)`: broadcast, cast, written.
    fn copy_into(&mut self, id: TensorId, source: &Abs) -> Run<Results> {
        let Abs::Tensor(mut from) = *source else { return Err(self.unsupported("a copy of this value into a tensor")) };
        let ty = self.heap.tensors[id].ty.clone();
        if self.heap.tensors[from].ty.dims != ty.dims {
            let sizes = ty.dims.iter().map(|d| Self::int_abs(*d)).collect();
            let sizes = self.int_list(sizes);
            let expanded =
                self.apply_table(table().get("aten::expand"), vec![source.clone(), sizes, Abs::bool(false)], &[Type::TENSOR])?;
            let Some(expanded) = expanded else { return Ok(None) };
            let Abs::Tensor(expanded) = expanded[0] else { unreachable!("expand gives a tensor") };
            from = expanded;
        }
        self.write_from(id, from)?;
        Ok(Some(vec![Abs::Tensor(id)]))
    }

    /// The only element of a tensor as a scalar.
    fn element(&mut self, key: &str, id: TensorId, ty: &TensorType, types: &[Type]) -> Run<Results> {
        let count = ty.const_shape().map(|s| kiln_support::tensor::count(&s));
        if count.is_some_and(|n| n != 1) {
            let n = count.expect("checked");
            let message = match key {
                "aten::Bool.Tensor" | "aten::is_nonzero" if n == 0 => {
                    "Boolean value of Tensor with no values is ambiguous".to_owned()
                }
                "aten::Bool.Tensor" | "aten::is_nonzero" => {
                    "Boolean value of Tensor with more than one value is ambiguous".to_owned()
                }
                _ => format!("a Tensor with {n} elements cannot be converted to Scalar"),
            };
            return self.raise("RuntimeError", &message);
        }
        if key.ends_with("Implicit") {
            if ty.rank() > 0 {
                return self.raise("RuntimeError", "Cannot input a tensor of dimension other than 0 as a scalar argument");
            }
            let wanted_int = key == "aten::IntImplicit" && ty.dtype.is_float();
            if wanted_int {
                return self.raise("RuntimeError", "Cannot input a tensor of type Float as an integral argument");
            }
        }
        let own = Kind::of(ty.dtype);
        let wanted = match (key, types.first()) {
            ("aten::Int.Tensor" | "aten::IntImplicit", _) => Kind::Int,
            ("aten::Float.Tensor" | "aten::FloatImplicit", _) => Kind::F64,
            ("aten::Bool.Tensor" | "aten::is_nonzero", _) => Kind::Bool,
            _ if own == Kind::F32 => Kind::F64,
            _ => own,
        };
        if let Some(known) = self.known_element(id) {
            let (num, from) = match known {
                Abs::Int(num) => (num, Kind::Int),
                Abs::Bool(num) => (num, Kind::Bool),
                Abs::Float(num) => (num, Kind::F64),
                other => return Ok(Some(vec![other])),
            };
            let num = self.convert(num, from, wanted)?;
            return Ok(Some(vec![num_abs(num, wanted)]));
        }
        let value = self.tensor_value(id)?;
        let (key, ty) = match wanted {
            Kind::Int => ("aten::Int.Tensor", Type::Int),
            Kind::Bool => ("aten::Bool.Tensor", Type::Bool),
            _ => ("aten::Float.Tensor", Type::Float),
        };
        let value = self.emit.table(key, vec![value], ty);
        Ok(Some(vec![num_abs(Num::Dyn(value), wanted)]))
    }

    /// A tensor without dimensions that holds a scalar.
    pub(super) fn scalar_tensor(&mut self, abs: &Abs, dtype: DType) -> Run<Abs> {
        let (num, _) = match abs {
            Abs::Int(num) => (*num, Kind::Int),
            Abs::Float(num) => (*num, Kind::F64),
            Abs::Bool(num) => (*num, Kind::Bool),
            _ => return Err(self.unsupported("a tensor made from this value")),
        };
        if let Some(scalar) = num.known() {
            let mut bytes = Vec::new();
            scalar.write(dtype, &mut bytes);
            let id = self.constant_tensor(TensorData::new(dtype, Vec::new(), bytes));
            return Ok(Abs::Tensor(id));
        }
        let ty = TensorType::of(dtype, &[]);
        let args = vec![self.emit.num(num), self.emit.int(dtype.code())];
        let value = self.emit.value(Op::Table(table().get("kiln::scalar")), args, super::emit::Emit::tensor_type(&ty));
        let id = self.new_tensor(ty, value);
        // An int in an int tensor, a float in a double: the element is exactly the scalar.
        let exact = matches!((abs, dtype), (Abs::Int(_), DType::I64) | (Abs::Float(_), DType::F64) | (Abs::Bool(_), DType::Bool));
        if exact {
            self.heap.tensors[id].element = Some(abs.clone());
        }
        Ok(Abs::Tensor(id))
    }

    /// `torch.tensor(data, dtype, device, requires_grad)` of a scalar or nested lists.
    fn tensor_from(&mut self, args: &[Abs]) -> Run<Option<Abs>> {
        let dtype = self.dtype_argument(&args[1])?;
        if let Abs::Tensor(id) = args[0] {
            return match dtype {
                Some(dtype) if dtype != self.heap.tensors[id].ty.dtype => self.converted(id, dtype).map(Some),
                _ => self.copy_of(id).map(Some),
            };
        }
        if let Some(wrong) = self.wrong_element(&args[0])? {
            return self.raise("RuntimeError", &format!("Input must be of ints, floats, or bools, got {wrong}"));
        }
        if let Some(made) = self.tensor_from_runtime_list(&args[0], dtype)? {
            return Ok(Some(made));
        }
        let (mut shape, mut flat) = (Vec::new(), Vec::new());
        self.flatten_list(&args[0], 0, &mut shape, &mut flat)?;
        let inferred = flat.iter().fold(DType::Bool, |all, abs| match abs {
            Abs::Float(_) => DType::F32,
            Abs::Int(_) if all == DType::Bool => DType::I64,
            _ => all,
        });
        let dtype = dtype.unwrap_or(if flat.is_empty() { self.empty_list_dtype(&args[0]) } else { inferred });
        if shape.is_empty() {
            return self.scalar_tensor(&flat[0].clone(), dtype).map(Some);
        }
        let known: Option<Vec<Scalar>> = flat.iter().map(known_scalar).collect();
        if let Some(known) = known {
            let mut bytes = Vec::new();
            known.iter().for_each(|s| s.write(dtype, &mut bytes));
            return Ok(Some(Abs::Tensor(self.constant_tensor(TensorData::new(dtype, shape, bytes)))));
        }
        let values = self.int_list(flat);
        let sizes = shape.iter().map(|&n| Abs::int(n)).collect();
        let sizes = self.int_list(sizes);
        let made =
            self.apply_table(table().get("kiln::from_scalars"), vec![values, sizes, Abs::int(dtype.code())], &[Type::TENSOR])?;
        Ok(made.map(|mut all| all.remove(0)))
    }

    /// A tensor of a list of numbers, or of such lists, whose length is known only at run time.
    fn tensor_from_runtime_list(&mut self, abs: &Abs, dtype: Option<DType>) -> Run<Option<Abs>> {
        let Abs::List(id) = abs else { return Ok(None) };
        let HeapItem::List(_, contents) = self.heap.items[*id].clone() else { return Ok(None) };
        let ty = self.static_type(abs);
        let value = match contents {
            Contents::Runtime(value, _) => value,
            Contents::Static(items) => {
                let is_runtime = |item: &Abs| matches!(item, Abs::List(id) if matches!(self.heap.items[*id], HeapItem::List(_, Contents::Runtime(..))));
                if !items.iter().any(is_runtime) {
                    return Ok(None);
                }
                self.materialise(abs, &ty)?
            }
        };
        let (mut rank, mut elem) = (0, ty);
        while let Type::List(inner) = elem {
            (rank, elem) = (rank + 1, (*inner).clone());
        }
        let own = match elem {
            Type::Int => DType::I64,
            Type::Float => DType::F32,
            Type::Bool => DType::Bool,
            _ => return Ok(None),
        };
        let ty = TensorType { dtype: dtype.unwrap_or(own), dims: vec![super::value::ANY_SIZE; rank] };
        let code = self.emit.int(ty.dtype.code());
        let made = self.emit.table("kiln::tensor_from_list", vec![value, code], Type::TENSOR);
        let tensor = self.unbox(made, &ty)?;
        self.own(&tensor);
        Ok(Some(tensor))
    }

    /// The type of an element that no tensor can be made from.
    fn wrong_element(&mut self, abs: &Abs) -> Run<Option<String>> {
        let mut ty = self.static_type(abs);
        while let Type::List(elem) = ty {
            ty = (*elem).clone();
        }
        let is_wrong = match ty {
            Type::None | Type::Str => true,
            Type::Tensor(_) => self.is_empty_list(abs),
            _ => false,
        };
        Ok(is_wrong.then(|| ty.display(self.program).to_string()))
    }

    fn is_empty_list(&self, abs: &Abs) -> bool {
        matches!(abs, Abs::List(id) if matches!(&self.heap.items[*id], HeapItem::List(_, Contents::Static(items)) if items.is_empty()))
    }

    fn empty_list_dtype(&self, abs: &Abs) -> DType {
        let mut ty = self.static_type(abs);
        while let Type::List(elem) = ty {
            ty = (*elem).clone();
        }
        match ty {
            Type::Int => DType::I64,
            Type::Bool => DType::Bool,
            _ => DType::F32,
        }
    }

    fn flatten_list(&mut self, abs: &Abs, depth: usize, shape: &mut Vec<i64>, flat: &mut Vec<Abs>) -> Run<()> {
        match abs {
            Abs::List(_) | Abs::Tuple(..) => {
                let items = self.known_items(abs)?;
                if shape.len() == depth {
                    shape.push(items.len() as i64);
                } else if shape[depth] != items.len() as i64 {
                    return Err(self.unsupported("a tensor made from lists of differing lengths"));
                }
                items.iter().try_for_each(|i| self.flatten_list(i, depth + 1, shape, flat))
            }
            Abs::Tensor(id) => {
                let ty = self.heap.tensors[*id].ty.clone();
                let Some(scalar) = self.element("aten::item", *id, &ty, &[])? else {
                    return Err(self.unsupported("a tensor made from tensors of several elements"));
                };
                flat.push(scalar[0].clone());
                Ok(())
            }
            scalar => {
                flat.push(scalar.clone());
                Ok(())
            }
        }
    }

    /// An optional element type argument.
    pub(super) fn dtype_argument(&mut self, abs: &Abs) -> Run<Option<DType>> {
        match abs {
            Abs::None => Ok(None),
            other => match other.as_int().and_then(DType::from_code) {
                Some(dtype) => Ok(Some(dtype)),
                None => Err(self.unsupported("this element type")),
            },
        }
    }

    /// `to` and its relatives: the same tensor, or a converted copy.
    fn convert_tensor(&mut self, key: &str, id: TensorId, args: &[Abs]) -> Run<Option<Results>> {
        let schema = table().schema(table().get(key));
        let named = |name: &str| schema.arg(name).and_then(|i| args.get(i)).cloned();
        let dtype = match key {
            "aten::type_as" | "aten::to.other" => match &args[1] {
                Abs::Tensor(other) => Some(self.heap.tensors[*other].ty.dtype),
                _ => None,
            },
            _ if key.starts_with("aten::_cast_") => {
                DType::ALL.into_iter().find(|d| d.scalar_type_name() == &key["aten::_cast_".len()..])
            }
            _ => match named("dtype") {
                Some(abs) => self.dtype_argument(&abs)?,
                None => None,
            },
        };
        let copy = key == "aten::_to_copy" || named("copy").is_some_and(|c| c.as_bool() == Some(true));
        let own = self.heap.tensors[id].ty.dtype;
        let abs = match dtype {
            Some(dtype) if dtype != own => self.converted(id, dtype)?,
            _ if copy => self.copy_of(id)?,
            _ => Abs::Tensor(id),
        };
        Ok(Some(Some(vec![abs])))
    }

    fn converted(&mut self, id: TensorId, dtype: DType) -> Run<Abs> {
        let element = self.known_element(id);
        let op = table().get("kiln::convert");
        let results = self.apply_table(op, vec![Abs::Tensor(id), Abs::int(dtype.code())], &[Type::TENSOR])?;
        let abs = results.expect("a conversion does not raise").remove(0);
        if let (Abs::Tensor(new), Some(Abs::Int(num))) = (&abs, element)
            && dtype == DType::I64
        {
            self.heap.tensors[*new].element = Some(Abs::Int(num));
        }
        Ok(abs)
    }

    /// `a is b`: only asked of None in practice.
    fn is_same(&mut self, a: &Abs, b: &Abs, wanted: bool) -> Run<Num> {
        let known = match (a, b) {
            (Abs::Tagged(value, rich), Abs::None) | (Abs::None, Abs::Tagged(value, rich)) => {
                if !rich.members().contains(&Type::None) && *rich != Type::Any {
                    false
                } else {
                    let test = self.emit.value(Op::IsInstance(vec![Type::None]), vec![*value], Type::Bool);
                    if wanted {
                        return Ok(Num::Dyn(test));
                    }
                    return Ok(Num::Dyn(self.emit.table("aten::__not__", vec![test], Type::Bool)));
                }
            }
            (Abs::Tagged(..), _) | (_, Abs::Tagged(..)) => {
                return Err(self.unsupported("identity of values known only at run time"));
            }
            (a, b) => a == b,
        };
        Ok(Num::Const(Scalar::Bool(known == wanted)))
    }

    fn enum_value(&mut self, class: kiln_graph::ClassId, name: &str) -> Run<Abs> {
        let data = &self.program.classes[class];
        let field = data.slot(name).map(|i| data.fields[i].clone());
        match field.and_then(|f| f.initial.map(|i| (i, f.ty))) {
            Some((initial, ty)) => self.initial(&initial, &ty),
            None => Err(self.unsupported("this enum member")),
        }
    }
}

fn num_abs(num: Num, kind: Kind) -> Abs {
    match (num, kind) {
        (Num::Const(scalar), _) => scalar_abs(scalar),
        (num, Kind::Int) => Abs::Int(num),
        (num, Kind::Bool) => Abs::Bool(num),
        (num, _) => Abs::Float(num),
    }
}

fn known_scalar(abs: &Abs) -> Option<Scalar> {
    match abs {
        Abs::Int(num) | Abs::Float(num) | Abs::Bool(num) => num.known(),
        _ => None,
    }
}

fn is_zero(abs: &Abs) -> bool {
    matches!(abs, Abs::Float(Num::Const(s)) if s.as_f64() == 0.0)
}
