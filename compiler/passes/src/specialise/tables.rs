//! Operators of the table: structural ones on what is known, core operators, decompositions, and the
//! in-place and `out=` forms that follow from them.

use super::emit::Emit;
use super::value::{Abs, TensorId};
use super::{Run, Specialiser};
use kiln_graph::{Op, OpId, TensorType, Type};
use kiln_ops::eval::{Inputs, eval};
use kiln_ops::{Body, Entry, Fact, Infer, OpError, SchemaType, entry, table};
use kiln_support::Diagnostic;

/// How much work folding one operator may take, in elements.
const FOLD_LIMIT: i64 = 1 << 18;

/// The outcome of an operator: its results, or nothing when it raises.
pub(super) type Results = Option<Vec<Abs>>;

impl Specialiser<'_> {
    /// Applies an operator.
    pub(super) fn apply_table(&mut self, op: OpId, args: Vec<Abs>, types: &[Type]) -> Run<Results> {
        let key = table().key(op);
        if let Some(done) = self.apply_quantized(key, &args, types)? {
            return Ok(done);
        }
        if let Some(done) = self.apply_container(key, &args, types)? {
            return Ok(done);
        }
        if let Some(done) = self.apply_fact(key, &args, types)? {
            return Ok(done);
        }
        if let Some(expanded) = self.without_masks(op, &args)? {
            let Some(args) = expanded else { return Ok(None) };
            return self.apply_table(op, args, types);
        }
        if let Some(entry) = entry(key) {
            return self.apply_entry(op, entry, args, types);
        }
        if let Some(func) = self.decomposition(op)? {
            return self.apply_decomposition(func, args, types.len());
        }
        if let Some(done) = self.apply_number(op, &args, types)? {
            return Ok(done);
        }
        if let Some(done) = self.apply_in_place(op, &args, types)? {
            return Ok(done);
        }
        if let Some(done) = self.apply_out(op, &args, types)? {
            return Ok(done);
        }
        let diagnostic =
            Diagnostic::unsupported("unsupported-operator", format!("kiln does not support the operator `{key}` yet"));
        Err(super::Stop::Diagnostic(Box::new(diagnostic.at(self.span()))))
    }

    fn decomposition(&mut self, op: OpId) -> Run<Option<kiln_graph::FuncId>> {
        self.decompositions.function(op, self.program).map_err(|errors| {
            let first = errors.into_iter().next().expect("an error has a message");
            super::Stop::Diagnostic(Box::new(first))
        })
    }

    fn apply_decomposition(&mut self, func: kiln_graph::FuncId, args: Vec<Abs>, results: usize) -> Run<Results> {
        let outer = self.user_span;
        self.user_span = Some(self.span());
        let result = self.call(func, args);
        self.user_span = outer;
        Ok(match result? {
            None => None,
            Some(Abs::Tuple(items, _)) if results != 1 => Some(items.to_vec()),
            Some(_) if results == 0 => Some(Vec::new()),
            Some(one) => Some(vec![one]),
        })
    }

    /// What an operator's rule says, or the exception it raises.
    pub(super) fn settle<T>(&mut self, key: &str, result: Result<T, OpError>) -> Run<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(OpError::Raise { class, message }) => self.raise(class, &message),
            Err(OpError::Unsupported(what)) => Err(self.unsupported(&format!("`{key}` with {what}"))),
        }
    }

    /// Applies a core operator.
    pub(super) fn apply_entry(&mut self, op: OpId, entry: &'static Entry, args: Vec<Abs>, types: &[Type]) -> Run<Results> {
        match entry.body {
            Body::Scalar(scalar) => self.apply_scalar(op, scalar, &args, types),
            Body::Runtime { .. } => self.apply_runtime(op, &args, types),
            Body::Tensor { infer, .. } | Body::Scatter { infer, .. } | Body::Extern { infer, .. } => {
                let facts = self.facts(&args)?;
                let inferred = infer(&mut Infer { args: &facts, dims: &mut self.emit });
                let Some(inferred) = self.settle(entry.key, inferred)? else { return Ok(None) };
                self.emit_tensors(op, entry, &args, &facts, inferred).map(Some)
            }
            Body::View { infer, .. } => {
                let facts = self.facts(&args)?;
                let inferred = infer(&mut Infer { args: &facts, dims: &mut self.emit });
                let Some(mut inferred) = self.settle(entry.key, inferred)? else { return Ok(None) };
                let Abs::Tensor(base) = args[0] else { return Err(self.unsupported("a view of this value")) };
                let is_reshape = entry.key == "aten::reshape";
                let is_certain =
                    !is_reshape || self.heap.tensors[base].is_layout_known || self.only_moves_ones(base, &inferred[0].dims);
                if entry.key == "aten::as_strided" && !self.is_whole_and_contiguous(base) {
                    // Its offsets count from the start of the storage, which a window does not show.
                    return Err(self.unsupported("`aten::as_strided` of a tensor that is not all of its storage"));
                }
                match self.view_strides(op, base, &facts) {
                    Some(strides) if is_certain => {
                        let folded = self.fold(entry, &args, &facts, &inferred);
                        let view = self.view(base, op, &args[1..], inferred.remove(0), strides);
                        self.heap.tensors[view].data = folded.map(|mut all| all.remove(0));
                        Ok(Some(vec![Abs::Tensor(view)]))
                    }
                    None if entry.key == "aten::view" && self.is_surely_laid_out(base) && inferred[0].const_shape().is_some() => {
                        let message = "view size is not compatible with input tensor's size and stride (at least one dimension spans \
                                       across two contiguous subspaces). Use .reshape(...) instead.";
                        self.raise("RuntimeError", message)
                    }
                    strides => {
                        let is_known = is_reshape
                            && strides.is_none()
                            && is_certain
                            && self.has_known_strides(base)
                            && inferred[0].const_shape().is_some();
                        let copies = self.emit_tensors(op, entry, &args, &facts, inferred)?;
                        if !is_known {
                            self.note_maybe_view(&copies[0], base);
                        }
                        Ok(Some(copies))
                    }
                }
            }
        }
    }

    /// Whether a tensor's sizes and strides are PyTorch's, and known.
    fn is_surely_laid_out(&self, id: TensorId) -> bool {
        let tensor = &self.heap.tensors[id];
        tensor.is_layout_known
            && tensor.ty.const_shape().is_some()
            && tensor.strides.iter().all(|stride| stride.as_const().is_some())
    }

    /// What an operator's rules may know of its arguments. A list of unknown length cannot be an argument of theirs.
    fn facts(&mut self, args: &[Abs]) -> Run<Vec<Fact>> {
        let facts: Vec<Fact> = args.iter().map(|a| self.fact(a)).collect::<Run<_>>()?;
        let is_open =
            |abs: &Abs| matches!(abs, Abs::List(_) | Abs::Tagged(..) | Abs::BoxedTuple(..) | Abs::DynStr(_) | Abs::Complex(..));
        for (abs, fact) in args.iter().zip(&facts) {
            // Items of a list that nothing is known of would be taken for the None that they may be.
            let is_unknown = match fact {
                Fact::Opaque => is_open(abs),
                Fact::List(items) => items.iter().any(|f| matches!(f, Fact::Opaque)),
                _ => false,
            };
            if is_unknown {
                return Err(
                    self.unsupported("a list or an Optional that is known only at run time as an argument of this operator")
                );
            }
        }
        Ok(facts)
    }

    fn emit_tensors(&mut self, op: OpId, entry: &Entry, args: &[Abs], facts: &[Fact], types: Vec<TensorType>) -> Run<Vec<Abs>> {
        if let Some(data) = self.fold(entry, args, facts, &types) {
            let folded = data.into_iter().map(|d| Abs::Tensor(self.constant_tensor(d))).collect();
            return Ok(self.with_layout(entry, args, folded));
        }
        let mut values = Vec::new();
        for abs in args {
            values.push(self.attribute(abs)?);
        }
        let node = self.emit.node(Op::Table(op), values, types.iter().map(Emit::tensor_type).collect());
        let results = self.emit.graph.nodes[node].results.clone();
        let results = types.into_iter().zip(results).map(|(ty, value)| Abs::Tensor(self.new_tensor(ty, value))).collect();
        Ok(self.with_layout(entry, args, results))
    }

    /// Results of an operator, with what is known of their strides. Products and copies by a reshape are row-major.
    fn with_layout(&mut self, entry: &Entry, args: &[Abs], results: Vec<Abs>) -> Vec<Abs> {
        if matches!(entry.body, Body::View { .. }) || matches!(entry.key, "aten::mm" | "aten::bmm") {
            return results;
        }
        for result in &results {
            let Abs::Tensor(id) = result else { continue };
            args.iter().for_each(|arg| self.note_layout(*id, arg));
        }
        results
    }

    /// The results of a core operator, where all its arguments are known and the work is small.
    fn fold(
        &mut self,
        entry: &Entry,
        args: &[Abs],
        facts: &[Fact],
        types: &[TensorType],
    ) -> Option<Vec<kiln_support::TensorData>> {
        if types.iter().any(|t| t.const_shape().is_none_or(|s| kiln_support::tensor::count(&s) as i64 > FOLD_LIMIT)) {
            return None;
        }
        if !facts.iter().all(is_known) || facts.iter().any(is_quantized) {
            return None;
        }
        let mut inputs = Inputs::new();
        for (i, abs) in args.iter().enumerate() {
            match abs {
                Abs::Tensor(id) => {
                    inputs.insert((i, None), self.known_data(*id)?.clone());
                }
                Abs::List(_) => {
                    let items = self.known_items(abs).ok()?;
                    for (j, item) in items.iter().enumerate() {
                        if let Abs::Tensor(id) = item {
                            inputs.insert((i, Some(j)), self.known_data(*id)?.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        eval(entry, facts, types, &inputs, FOLD_LIMIT)
    }

    /// A function of the runtime on run-time containers and strings.
    pub(super) fn apply_runtime(&mut self, op: OpId, args: &[Abs], types: &[Type]) -> Run<Results> {
        let schema = table().schema(op);
        let mut values = Vec::new();
        let mut inner = Type::Never;
        for (i, abs) in args.iter().enumerate() {
            let own = super::rich::rich_type(abs, &self.heap);
            let wanted = match schema.args.get(i).map(|a| &a.ty) {
                Some(SchemaType::Is(ty)) => ty.clone(),
                Some(SchemaType::Var(_)) => self.element_type(&args[0]).unwrap_or(own.clone()),
                Some(SchemaType::Optional(_)) => Type::optional(own.clone()),
                _ => own.clone(),
            };
            values.push(self.materialise(abs, &wanted)?);
            inner = super::rich::join(&inner, &super::rich::leaf(&own));
        }
        if schema.returns.first().is_some_and(|r| r.alias.as_ref().is_some_and(|a| a.write)) || schema.name == "aten::add_" {
            // A mutating operator gives back what it changed.
            self.emit.node(Op::Table(op), values, Vec::new());
            return Ok(Some(types.iter().map(|_| args[0].clone()).collect()));
        }
        let rich: Vec<Type> = types.iter().map(|t| enrich(t, &inner)).collect();
        let node = self.emit.node(Op::Table(op), values, types.iter().map(super::rich::erase).collect());
        let results = self.emit.graph.nodes[node].results.clone();
        let mut out = Vec::new();
        for (value, ty) in results.into_iter().zip(rich) {
            out.push(self.value_of_type(value, &ty)?);
        }
        Ok(Some(out))
    }

    /// `foo_` as `foo` written to its first argument.
    fn apply_in_place(&mut self, op: OpId, args: &[Abs], types: &[Type]) -> Run<Option<Results>> {
        let schema = table().schema(op);
        let Some(name) = schema.name.strip_suffix('_').filter(|n| !n.ends_with('_')) else { return Ok(None) };
        let functional = if schema.overload.is_empty() { name.to_owned() } else { format!("{name}.{}", schema.overload) };
        let Some(twin) = table().find(&functional) else { return Ok(None) };
        let Some(Abs::Tensor(target)) = args.first().cloned() else { return Ok(None) };
        let Some(results) = self.apply_table(twin, args.to_vec(), types)? else { return Ok(Some(None)) };
        let Abs::Tensor(new) = results[0] else { return Ok(None) };
        if new != target && self.heap.tensors[new].storage == self.heap.tensors[target].storage {
            self.become_view(target, new);
            return Ok(Some(Some(vec![Abs::Tensor(target)])));
        }
        self.store_result(target, new).map(Some)
    }

    /// Writes the result of an in-place operator, with PyTorch's checks.
    pub(super) fn store_result(&mut self, target: TensorId, new: TensorId) -> Run<Results> {
        let (own, found) = (self.heap.tensors[target].ty.clone(), self.heap.tensors[new].ty.clone());
        let category = |d: kiln_support::DType| if d.is_float() { 2 } else { u8::from(d.is_integral(false)) };
        if category(found.dtype) > category(own.dtype) {
            let message = format!(
                "result type {} can't be cast to the desired output type {}",
                found.dtype.scalar_type_name(),
                own.dtype.scalar_type_name()
            );
            return self.raise("RuntimeError", &message);
        }
        if let (Some(a), Some(b)) = (own.const_shape(), found.const_shape())
            && a != b
        {
            let message = format!("output with shape {a:?} doesn't match the broadcast shape {b:?}");
            return self.raise("RuntimeError", &message);
        }
        self.write_from(target, new)?;
        Ok(Some(vec![Abs::Tensor(target)]))
    }

    /// `foo(..., out=t)` as `foo(...)` written to `t`.
    fn apply_out(&mut self, op: OpId, args: &[Abs], types: &[Type]) -> Run<Option<Results>> {
        let schema = table().schema(op);
        let outs: Vec<usize> =
            (0..schema.args.len()).filter(|&i| schema.args[i].alias.as_ref().is_some_and(|a| a.write)).collect();
        if outs.is_empty() || outs[0] == 0 {
            return Ok(None);
        }
        let plain: Vec<&kiln_ops::Arg> =
            schema.args.iter().enumerate().filter(|(i, _)| !outs.contains(i)).map(|(_, a)| a).collect();
        let twin = table().overloads(&schema.name).iter().copied().find(|&other| {
            let candidate = table().schema(other);
            candidate.args.len() == plain.len()
                && candidate.args.iter().zip(&plain).all(|(a, b)| a.name == b.name && a.ty == b.ty)
        });
        let Some(twin) = twin else { return Ok(None) };
        let functional: Vec<Abs> = args.iter().enumerate().filter(|(i, _)| !outs.contains(i)).map(|(_, a)| a.clone()).collect();
        let Some(results) = self.apply_table(twin, functional, types)? else { return Ok(Some(None)) };
        let mut written = Vec::new();
        for (&out, result) in outs.iter().zip(results) {
            let (Abs::Tensor(target), Abs::Tensor(new)) = (&args[out], result) else { return Ok(None) };
            if self.heap.tensors[*target].ty.dims != self.heap.tensors[new].ty.dims {
                return Err(self.unsupported("an `out=` tensor of other sizes than the result"));
            }
            match self.store_result(*target, new)? {
                Some(mut abs) => written.append(&mut abs),
                None => return Ok(Some(None)),
            }
        }
        Ok(Some(Some(written)))
    }
}

fn is_known(fact: &Fact) -> bool {
    match fact {
        Fact::Int(dim) => dim.as_const().is_some(),
        Fact::Float(f) => f.is_ok(),
        Fact::Bool(b) => b.is_ok(),
        Fact::List(items) => items.iter().all(is_known),
        Fact::Tensor(ty) => ty.const_shape().is_some(),
        _ => true,
    }
}

/// Views of quantized tensors are the only operators that see them: rules compute on integers.
fn is_quantized(fact: &Fact) -> bool {
    matches!(fact, Fact::Tensor(ty) if ty.dtype.is_quantized())
}

/// A declared result type with `inner` at its tensors.
fn enrich(declared: &Type, inner: &Type) -> Type {
    match declared {
        Type::Tensor(None) => inner.clone(),
        Type::List(elem) => Type::list(enrich(elem, inner)),
        Type::Optional(elem) => Type::optional(enrich(elem, inner)),
        Type::Tuple(items) => Type::tuple(items.iter().map(|i| enrich(i, inner))),
        Type::Dict(pair) => Type::dict(pair.0.clone(), enrich(&pair.1, inner)),
        other => other.clone(),
    }
}
