//! Tensors with facts: computations, stores into windows, runtime algorithms, and the memory of results.

use crate::kernels;
use crate::lower::{Bound, Hint, Lowering, Place, R, const_bytes, internal, tensor_facts, unsupported};
use crate::sizes::{Ruled, Step};
use crate::source::{Builder, Built};
use crate::structure::Use;
use kiln_graph::{Dim, Node, Op, OpId, TensorType, Type, Value};
use kiln_loops::plan::{Access, ComputeId, LocalType, Operand, ScalarOp, Stmt};
use kiln_loops::{BinaryOp, Compute, ComputeKey, ExprData};
use kiln_ops::entry::ScatterFn;
use kiln_ops::{Body, ExternOperand};
use kiln_rt::abi;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::offset_of;

/// What a failed check of an index raises.
const INDEX_ERROR: &str = "index out of range in self";

impl Lowering<'_> {
    /// An operator with an element function whose results are memory. Results of equal sizes are computed together.
    pub fn tensor_node(&mut self, node: Node) -> R<()> {
        let results = &self.graph.nodes[node].results;
        let mut rest: Vec<usize> = (0..results.len()).filter(|&i| !self.structure.uses(results[i]).is_empty()).collect();
        while let Some(&first) = rest.first() {
            let dims = tensor_facts(self.graph, results[first], self.span())?.dims;
            let mut group = Vec::new();
            for i in std::mem::take(&mut rest) {
                let same = tensor_facts(self.graph, results[i], self.span())?.dims == dims;
                if same { group.push(i) } else { rest.push(i) }
            }
            self.compute_results(node, &group)?;
        }
        Ok(())
    }

    fn compute_results(&mut self, node: Node, group: &[usize]) -> R<()> {
        let (graph, fusion) = (self.graph, self.fusion);
        let inline = |v| fusion.is_expression(v);
        let built = Builder::new(graph, &inline).results(node, group);
        let results: Vec<Value> = group.iter().map(|&i| graph.nodes[node].results[i]).collect();
        if !graph.ty(results[0]).is_tensor() {
            return self.compute_scalars(built, &results);
        }
        let mut outputs = Vec::new();
        for &result in &results {
            outputs.push(self.allocate(result, Some(&built))?);
        }
        if kernels::select(self, &built, &outputs)? {
            return Ok(());
        }
        self.emit(built, outputs)
    }

    /// Results that are ints, floats or bools although the operator computes tensors: elements of tensors
    /// without dimensions, read back.
    fn compute_scalars(&mut self, built: Built, results: &[Value]) -> R<()> {
        let slots: Vec<Operand> = results.iter().map(|_| Operand::Slot(self.slot(8), 0)).collect();
        let dtypes: Vec<_> = built.compute.outputs.iter().map(|o| o.dtype).collect();
        self.emit(built, slots.clone())?;
        for ((&result, slot), dtype) in results.iter().zip(slots).zip(dtypes) {
            let scalar = self.load(slot, 0, Access::Element(dtype));
            self.bind(result, Bound::Scalar(scalar));
        }
        Ok(())
    }

    /// Emits a computation whose inputs are where their values are.
    pub fn emit(&mut self, built: Built, outputs: Vec<Operand>) -> R<()> {
        let inputs = built.inputs.iter().map(|&v| self.pointer(v)).collect::<R<Vec<_>>>()?;
        self.emit_with(built, outputs, inputs)
    }

    fn emit_with(&mut self, built: Built, outputs: Vec<Operand>, inputs: Vec<Operand>) -> R<()> {
        let params = built.params.iter().map(|&v| self.scalar_of(v)).collect::<R<Vec<_>>>()?;
        let failure = built.compute.can_fail().then(|| self.shared.data.text(INDEX_ERROR));
        let is_strict = self.shared.target.settings.strict;
        let id = self.compute_id(if is_strict { built.compute.strict() } else { built.compute });
        self.push(Stmt::Compute { id, outputs, inputs, params, failure });
        Ok(())
    }

    fn compute_id(&mut self, compute: Compute) -> ComputeId {
        let mut hasher = DefaultHasher::new();
        ComputeKey(&compute).hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.shared.compute_ids.get(&hash).into_iter().flatten();
        let known = known.copied().find(|&id| ComputeKey(&self.shared.computes[id]) == ComputeKey(&compute));
        known.unwrap_or_else(|| {
            let id = self.shared.computes.push(compute);
            self.shared.compute_ids.entry(hash).or_default().push(id);
            id
        })
    }

    /// The address of a tensor's elements.
    pub fn pointer(&mut self, value: Value) -> R<Operand> {
        if !self.bound.contains_key(&value)
            && self.fusion.is_inlined(value)
            && let Some(base) = self.fusion.flat_base(value)
        {
            return self.pointer(base);
        }
        match self.bound(value)? {
            Bound::Tensor(place) => Ok(self.place_pointer(place)),
            other => Err(internal(&format!("{value} is {other:?}, not a tensor in memory"), self.span())),
        }
    }

    pub fn place_pointer(&mut self, place: Place) -> Operand {
        match place {
            Place::Arena(buffer) => Operand::Arena(buffer),
            Place::Data(data) => data,
            Place::Object(object) => self.load(object, offset_of!(abi::Tensor, data), Access::Word),
        }
    }

    /// Memory for a result, bound to it: the buffer it is copied to later if that is free by now, that of an
    /// input of the computation `built` that dies here, a new one, or a new object.
    pub fn allocate(&mut self, value: Value, built: Option<&Built>) -> R<Operand> {
        let ty = tensor_facts(self.graph, value, self.span())?;
        let Some(bytes) = self.arena_bytes(&ty)? else { return self.allocate_object(value, &ty) };
        let hinted = self.hints.remove(&value).filter(|hint| self.is_free(hint, built)).map(|hint| hint.buffer);
        if hinted.is_none() && !self.is_plain && self.wants_object(value) {
            return self.allocate_object(value, &ty);
        }
        let buffer = hinted.or_else(|| self.reused(built)).unwrap_or_else(|| self.buffers.add(bytes, true));
        self.bind(value, Bound::Tensor(Place::Arena(buffer)));
        Ok(Operand::Arena(buffer))
    }

    /// Bytes of a tensor that has a place in the arena; none where its sizes are known only at run time.
    pub fn arena_bytes(&self, ty: &TensorType) -> R<Option<u64>> {
        match ty.const_shape() {
            None => Ok(None),
            Some(shape) => match const_bytes(ty.dtype, &shape) {
                Some(bytes) if bytes < 1 << 48 => Ok(Some(bytes)),
                _ => Err(unsupported(&format!("a tensor of shape {shape:?}"), self.span())),
            },
        }
    }

    fn allocate_object(&mut self, value: Value, ty: &TensorType) -> R<Operand> {
        let object = self.new_tensor(ty)?;
        self.bind_owned(value, Bound::Tensor(Place::Object(object)));
        Ok(self.place_pointer(Place::Object(object)))
    }

    /// Whether the buffer of a hint holds nothing that is still needed once `built` has run.
    fn is_free(&self, hint: &Hint, built: Option<&Built>) -> bool {
        let Some(until) = hint.until else { return true };
        let last = self.last_use_here(until);
        last < self.here.1 || (last == self.here.1 && built.is_some_and(|b| self.may_overwrite(b, until)))
    }

    /// The buffer of an input that dies here and is read only at the index that is written.
    fn reused(&self, built: Option<&Built>) -> Option<u64> {
        let built = built?;
        built.inputs.iter().find_map(|&input| match self.bound.get(&input) {
            Some(Bound::Tensor(Place::Arena(buffer)))
                if self.dies_here(input) && self.buffers.is_reusable(*buffer) && self.may_overwrite(built, input) =>
            {
                Some(*buffer)
            }
            _ => None,
        })
    }

    /// Whether a computation may write its result over an input, which it reads under no other sizes.
    fn may_overwrite(&self, built: &Built, input: Value) -> bool {
        let is_alias = |&v: &Value| v != input && self.fusion.memory_of(v) == input;
        is_in_place(built, input) && !built.inputs.iter().any(is_alias)
    }

    /// Whether a tensor is boxed or carried as an object where it is defined, so that it is best computed into one.
    fn wants_object(&self, value: Value) -> bool {
        let home = self.structure.def_block(self.graph, value);
        self.structure.uses(value).iter().any(|&user| match user {
            Use::Operand(node, _) => matches!(self.graph.nodes[node].op, Op::Box) && self.structure.block_of(node) == home,
            Use::Yield(..) => false,
        })
    }

    /// A new tensor object of a type's sizes.
    pub fn new_tensor(&mut self, ty: &TensorType) -> R<Operand> {
        let sizes = self.sizes_array(&ty.dims)?;
        let args = vec![Operand::Int(ty.dtype.code()), Operand::Int(ty.rank() as i64), sizes];
        Ok(self.try_call_for("tensor_new", args))
    }

    /// The address of an array of sizes.
    pub fn sizes_array(&mut self, dims: &[Dim]) -> R<Operand> {
        if let Some(sizes) = dims.iter().map(|d| d.as_const()).collect::<Option<Vec<i64>>>() {
            return Ok(Operand::Data(self.shared.data.ints(&sizes), 0));
        }
        let array = Operand::Slot(self.slot(8 * dims.len()), 0);
        for (i, &dim) in dims.iter().enumerate() {
            let size = self.dim(dim)?;
            self.store(array, 8 * i, size);
        }
        Ok(array)
    }

    /// Bytes of a tensor.
    pub fn bytes(&mut self, ty: &TensorType) -> R<Operand> {
        if let Some(bytes) = self.arena_bytes(ty)? {
            return Ok(Operand::Int(bytes as i64));
        }
        let mut product = Operand::Int(ty.dtype.size() as i64);
        for &dim in &ty.dims {
            let size = self.dim(dim)?;
            product = self.int_binary(BinaryOp::Mul, product, size);
        }
        Ok(product)
    }

    /// Copies a tensor's elements to memory.
    pub fn copy_to(&mut self, value: Value, to: Operand) -> R<()> {
        let ty = tensor_facts(self.graph, value, self.span())?;
        let is_splat = crate::facts::const_tensor(self.graph, value).is_some_and(|t| crate::facts::splat(t).is_some());
        if let Some(data) = crate::facts::const_tensor(self.graph, value)
            && data.bytes.iter().all(|&b| b == 0)
        {
            let bytes = self.bytes(&ty)?;
            self.push(Stmt::ZeroBytes { to, bytes });
            return Ok(());
        }
        if is_splat || (self.fusion.is_expression(value) && !self.bound.contains_key(&value)) {
            let fusion = self.fusion;
            let inline = |v| fusion.is_expression(v);
            let built = Builder::new(self.graph, &inline).copy(value, &ty);
            return self.emit(built, vec![to]);
        }
        let from = self.pointer(value)?;
        let bytes = self.bytes(&ty)?;
        self.push(Stmt::CopyBytes { to, from, bytes });
        Ok(())
    }

    // Stores.

    pub fn scatter_node(&mut self, node: Node, scatter: &ScatterFn) -> R<()> {
        let Some((steps, Ruled::Domain(domain))) = self.sizes.get(&node) else {
            return Err(internal("a scatter without a domain", self.span()));
        };
        self.take_steps(steps)?;
        let (graph, fusion) = (self.graph, self.fusion);
        let inline = |v| fusion.is_expression(v);
        let built = Builder::new(graph, &inline).scatter(node, scatter, domain);
        let is_in_place = !self.reads_target(&built);
        self.emit_scatter(node, built, is_in_place)
    }

    /// Whether a scatter also reads the tensor that its target starts as.
    fn reads_target(&self, built: &Built) -> bool {
        let base = self.fusion.memory_of(built.inputs[0]);
        built.inputs[1..].iter().any(|&v| self.fusion.memory_of(v) == base)
    }

    pub fn write_view(&mut self, node: Node, view: OpId) -> R<()> {
        let key = kiln_ops::table().key(view);
        let Some(Body::View { element, .. }) = kiln_ops::entry(key).map(|e| &e.body) else {
            return Err(internal(&format!("`{key}` is no view"), self.span()));
        };
        let (graph, fusion) = (self.graph, self.fusion);
        let value = graph.nodes[node].args[1];
        let built = Builder::new(graph, &|v| fusion.is_expression(v)).write_view(node, view, *element);
        let reads_base = self.reads_target(&built);
        if !reads_base || !fusion.is_inlined(value) {
            return self.emit_scatter(node, built, !reads_base);
        }
        // The new value reads the base, which is about to change: it is computed before.
        let ty = tensor_facts(graph, value, self.span())?;
        let object = match self.arena_bytes(&ty)? {
            Some(bytes) => {
                let buffer = self.buffers.add(bytes, false);
                self.copy_to(value, Operand::Arena(buffer))?;
                self.bind(value, Bound::Tensor(Place::Arena(buffer)));
                None
            }
            None => {
                let object = self.new_tensor(&ty)?;
                let to = self.place_pointer(Place::Object(object));
                self.copy_to(value, to)?;
                self.bind(value, Bound::Tensor(Place::Object(object)));
                Some(object)
            }
        };
        let built = Builder::new(graph, &|v| v != value && fusion.is_expression(v)).write_view(node, view, *element);
        self.emit_scatter(node, built, true)?;
        self.bound.remove(&value);
        if let Some(object) = object {
            self.release(Bound::Object(object));
        }
        Ok(())
    }

    /// Emits a scatter whose target is the base itself where it may be, else a copy of it.
    fn emit_scatter(&mut self, node: Node, built: Built, may_reuse: bool) -> R<()> {
        let (base, result) = (self.graph.nodes[node].args[0], self.graph.result(node));
        let target = match may_reuse.then(|| self.reuse_base(base, result)).transpose()?.flatten() {
            Some(target) => target,
            None => {
                let target = self.allocate(result, None)?;
                self.copy_to(base, target)?;
                target
            }
        };
        let mut inputs = vec![target];
        for &input in &built.inputs[1..] {
            inputs.push(self.pointer(input)?);
        }
        self.emit_with(built, vec![target], inputs)
    }

    /// Makes the base's memory the result's, where the base is not used afterwards.
    fn reuse_base(&mut self, base: Value, result: Value) -> R<Option<Operand>> {
        if !self.dies_here(base) {
            return Ok(None);
        }
        match self.bound.get(&base) {
            Some(&Bound::Tensor(Place::Arena(buffer))) => {
                let is_own_slot = self.hints.get(&result).is_some_and(|h| h.until == Some(base) && h.buffer == buffer);
                if !is_own_slot && (!self.buffers.is_reusable(buffer) || self.hints.contains_key(&result)) {
                    return Ok(None);
                }
                self.hints.remove(&result);
                self.bind(result, Bound::Tensor(Place::Arena(buffer)));
                Ok(Some(Operand::Arena(buffer)))
            }
            Some(&Bound::Tensor(Place::Object(object))) if self.is_kept_as_object(result)? && self.owned.remove(&base) => {
                let own = self.unshared(object)?;
                self.bind_owned(result, Bound::Tensor(Place::Object(own)));
                Ok(Some(self.place_pointer(Place::Object(own))))
            }
            _ => Ok(None),
        }
    }

    /// Whether a result is an object because of its sizes or its use.
    fn is_kept_as_object(&self, result: Value) -> R<bool> {
        let ty = tensor_facts(self.graph, result, self.span())?;
        Ok(self.arena_bytes(&ty)?.is_none() || self.wants_object(result))
    }

    /// A tensor object with these contents that nobody else refers to: the object itself, whose reference is given
    /// up, or a copy.
    fn unshared(&mut self, object: Operand) -> R<Operand> {
        let result = self.local(LocalType::Int);
        self.set(result, object);
        let refs = self.load(object, offset_of!(abi::Header, refs), Access::Half);
        let owner = self.load(object, offset_of!(abi::Tensor, owner), Access::Word);
        let single = self.int_binary(BinaryOp::Eq, refs, Operand::Int(1));
        let whole = self.int_binary(BinaryOp::Eq, owner, Operand::Int(0));
        let test = self.scalar(ScalarOp::Binary(BinaryOp::And), vec![single, whole], LocalType::Bool);
        let orelse = self.nested(|cx| {
            let copy = cx.try_call_for("tensor_clone", vec![object]);
            cx.set(result, copy);
            cx.release(Bound::Object(object));
            Ok(())
        })?;
        self.push(Stmt::If { test, then: Vec::new(), orelse });
        Ok(Operand::Local(result))
    }

    // Runtime algorithms.

    pub fn extern_node(&mut self, node: Node) -> R<()> {
        let Some((steps, Ruled::Call(call))) = self.sizes.get(&node) else {
            return Err(internal("a runtime algorithm without a call", self.span()));
        };
        self.take_steps(steps)?;
        let results = &self.graph.nodes[node].results;
        let mut scalars = Vec::new();
        let mut outputs = Vec::new();
        for &result in results {
            outputs.push(if self.graph.ty(result).is_tensor() {
                self.allocate(result, None)?
            } else {
                let slot = Operand::Slot(self.slot(8), 0);
                scalars.push((result, slot));
                slot
            });
        }
        let (scratch, scratch_object) = self.scratch(call.scratch)?;
        let mut args = Vec::new();
        for operand in &call.operands {
            args.push(match operand {
                ExternOperand::Input(arg) => self.pointer(self.graph.nodes[node].args[*arg])?,
                ExternOperand::Output(at) => outputs[*at],
                ExternOperand::Int(dim) => self.dim(*dim)?,
                ExternOperand::Float(f) => Operand::F64(*f),
                ExternOperand::Scratch => scratch,
            });
        }
        if call.fallible {
            self.try_call(call.symbol, args)
        } else {
            self.call(call.symbol, args)
        }
        for (result, slot) in scalars {
            let ty = tensor_facts(self.graph, result, self.span())?;
            let scalar = self.load(slot, 0, Access::Element(ty.dtype));
            self.bind(result, Bound::Scalar(scalar));
        }
        if let Some(object) = scratch_object {
            self.release(Bound::Object(object));
        }
        Ok(())
    }

    /// Zeroed scratch memory, and the object that it is in if its size is known only at run time.
    fn scratch(&mut self, bytes: Dim) -> R<(Operand, Option<Operand>)> {
        let (pointer, object) = match bytes {
            Dim::Const(0) => return Ok((Operand::Int(0), None)),
            Dim::Const(n) => {
                let n = u64::try_from(n)
                    .ok()
                    .filter(|&n| n < 1 << 48)
                    .ok_or_else(|| unsupported("so much scratch memory", self.span()))?;
                (Operand::Arena(self.buffers.add(n, false)), None)
            }
            Dim::Value(_) => {
                let object = self.new_tensor(&TensorType { dtype: kiln_support::DType::U8, dims: vec![bytes] })?;
                (self.place_pointer(Place::Object(object)), Some(object))
            }
        };
        let bytes = self.dim(bytes)?;
        self.push(Stmt::ZeroBytes { to: pointer, bytes });
        Ok((pointer, object))
    }

    /// Computes the sizes that an operator's rule asked for.
    fn take_steps(&mut self, steps: &[Step]) -> R<()> {
        for step in steps {
            match step {
                Step::Binary(value, op, a, b) => {
                    let (a, b) = (self.dim(*a)?, self.dim(*b)?);
                    let result = self.int_binary(*op, a, b);
                    self.bind(*value, Bound::Scalar(result));
                }
                Step::RequireEqual(a, b, message) => {
                    let (a, b) = (self.dim(*a)?, self.dim(*b)?);
                    let test = self.int_binary(BinaryOp::Eq, a, b);
                    self.raise_unless(test, message);
                }
            }
        }
        Ok(())
    }

    // Objects.

    /// A tensor object with a tensor's contents; the caller owns a reference to it.
    pub fn tensor_object(&mut self, value: Value) -> R<Operand> {
        let ty = tensor_facts(self.graph, value, self.span())?;
        let bound = match crate::facts::const_tensor(self.graph, value) {
            Some(data) if !self.mutates_tensors => return Ok(Operand::Data(self.shared.data.tensor_object(data), 0)),
            Some(_) => None,
            None => self.bound.get(&value).copied(),
        };
        if let Some(Bound::Tensor(Place::Object(object))) = bound {
            if (self.mutates_tensors && !self.is_fresh(value)) || self.is_argument(value) {
                return Ok(self.try_call_for("tensor_clone", vec![object]));
            }
            self.take(value)?;
            return Ok(object);
        }
        let object = self.new_tensor(&ty)?;
        let to = self.place_pointer(Place::Object(object));
        self.copy_to(value, to)?;
        Ok(object)
    }

    /// Whether a tensor may be in memory of the caller, who may change or free it after the call.
    pub fn is_argument(&self, value: Value) -> bool {
        let unboxed = self.graph.def_node(value).filter(|&n| matches!(self.graph.nodes[n].op, Op::Unbox));
        unboxed.is_some_and(|n| self.graph.blocks[self.graph.entry].params.contains(&self.graph.nodes[n].args[0]))
    }

    /// Whether a tensor's object was made for it alone and is given away by the present node.
    fn is_fresh(&self, value: Value) -> bool {
        let made_here =
            self.graph.def_node(value).is_some_and(|n| matches!(self.graph.nodes[n].op, Op::Table(_) | Op::WriteView(_)));
        made_here && self.dies_here(value) && self.owned.contains(&value)
    }

    pub fn lower_box(&mut self, node: Node) -> R<()> {
        if self.is_plain {
            let object = self.plain_result(self.graph.nodes[node].args[0])?;
            self.bind_owned(self.graph.result(node), Bound::Object(object));
            return Ok(());
        }
        let object = self.tensor_object(self.graph.nodes[node].args[0])?;
        self.bind_owned(self.graph.result(node), Bound::Object(object));
        Ok(())
    }

    /// The contents of a tensor object: checked, made contiguous, and held.
    pub fn lower_unbox(&mut self, node: Node) -> R<()> {
        let data = &self.graph.nodes[node];
        let object = self.object_of(data.args[0])?;
        let Type::Tensor(Some(ty)) = self.graph.ty(data.results[0]) else {
            return Err(internal("an unbox without facts", self.span()));
        };
        let is_checked = self.is_checked_argument(data.args[0], ty);
        if !is_checked {
            let head = self.tensor_head_test(object, ty);
            self.raise_unless(head, &self.unbox_message(ty));
        }
        for &result in &data.results[1..] {
            let axis = ty.dims.iter().position(|&d| d == Dim::Value(result));
            let axis = axis.ok_or_else(|| internal("an unboxed size that is none of the tensor's", self.span()))?;
            let size = self.load(object, offset_of!(abi::Tensor, dims) + 8 * axis, Access::Word);
            self.bind(result, Bound::Scalar(size));
        }
        if !is_checked {
            self.check_sizes(object, ty, &data.results[1..])?;
        }
        if self.is_plain {
            return self.plain_argument(object, ty, data.results[0]);
        }
        let name = if self.mutates_tensors { "tensor_clone" } else { "tensor_contiguous" };
        let own = self.try_call_for(name, vec![object]);
        self.bind_owned(data.results[0], Bound::Tensor(Place::Object(own)));
        Ok(())
    }

    fn unbox_message(&self, ty: &TensorType) -> String {
        format!("expected {}", crate::entry::tensor_text(self.graph, ty))
    }

    /// Raises unless the sizes are those of a type; `read` are values that have just been read from this tensor.
    fn check_sizes(&mut self, object: Operand, ty: &TensorType, read: &[Value]) -> R<()> {
        for (axis, &dim) in ty.dims.iter().enumerate() {
            let first = ty.dims.iter().position(|&d| d == dim);
            if matches!(dim, Dim::Value(size) if read.contains(&size)) && first == Some(axis) {
                continue;
            }
            let expected = self.dim(dim)?;
            let size = self.load(object, offset_of!(abi::Tensor, dims) + 8 * axis, Access::Word);
            let test = self.int_binary(BinaryOp::Eq, size, expected);
            self.raise_unless(test, &self.unbox_message(ty));
        }
        Ok(())
    }

    /// Whether a tensor object has a type's element type and rank.
    pub fn tensor_head_test(&mut self, object: Operand, ty: &TensorType) -> Operand {
        let dtype = self.load(object, offset_of!(abi::Tensor, dtype), Access::Half);
        let rank = self.load(object, offset_of!(abi::Tensor, rank), Access::Half);
        let same_dtype = self.int_binary(BinaryOp::Eq, dtype, Operand::Int(ty.dtype.code()));
        let same_rank = self.int_binary(BinaryOp::Eq, rank, Operand::Int(ty.rank() as i64));
        self.scalar(ScalarOp::Binary(BinaryOp::And), vec![same_dtype, same_rank], LocalType::Bool)
    }
}

/// Whether a computation may write its result over an input: it reads it only at the index it writes.
fn is_in_place(built: &Built, input: Value) -> bool {
    let compute = &built.compute;
    let Some(at) = built.inputs.iter().position(|&v| v == input) else { return false };
    let [output] = compute.outputs.as_slice() else { return false };
    let facts = &compute.inputs[at];
    if facts.dims != compute.axes[..compute.rank] || facts.dtype.size() != output.dtype.size() {
        return false;
    }
    !compute.any(output.value, &mut |data| match data {
        ExprData::Load { input, index } if *input as usize == at => {
            let is_own = |(axis, &e): (usize, &kiln_loops::Expr)| *compute.exprs.get(e) == ExprData::Axis(axis as u32);
            !index.iter().enumerate().all(is_own)
        }
        _ => false,
    })
}
