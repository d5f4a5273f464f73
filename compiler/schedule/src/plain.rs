//! Plain methods: tensors of constant sizes in and one out, and nothing else that needs the runtime.
//!
//! Such a method is self-contained: arguments must be contiguous and are read in place, the result's
//! descriptor and elements stand in the arena. The descriptor is marked immortal, so that whoever handles the
//! result as any value may "release" it; it is valid until the next call on the instance.

use crate::lower::{Bound, BufferId, Lowering, Place, R, tensor_facts};
use crate::source::body;
use kiln_graph::{Graph, Node, Op, TensorType, Value};
use kiln_loops::BinaryOp;
use kiln_loops::plan::{Access, Operand, Stmt};
use kiln_ops::Body;
use kiln_rt::abi::{self, status, tag};
use kiln_support::tensor::contiguous_strides;
use std::mem::offset_of;

/// Whether a method is plain.
pub fn is_plain(graph: &Graph) -> bool {
    let entry = &graph.blocks[graph.entry];
    let [result] = entry.yields.as_slice() else { return false };
    let Some(boxed) = graph.def_node(*result).filter(|&n| matches!(graph.nodes[n].op, Op::Box)) else { return false };
    !entry.diverges && entry.nodes.iter().all(|&node| node == boxed || is_plain_node(graph, node))
}

fn is_plain_node(graph: &Graph, node: Node) -> bool {
    let data = &graph.nodes[node];
    let is_static = |v: &Value| graph.ty(*v).as_tensor().is_none_or(|t| t.const_shape().is_some());
    let op_fits = match &data.op {
        Op::Const(_) | Op::List | Op::WriteView(_) => true,
        Op::Unbox => graph.blocks[graph.entry].params.contains(&data.args[0]) && data.results.len() == 1,
        Op::Table(_) => matches!(body(graph, node), Some(Body::Tensor { .. } | Body::View { .. } | Body::Scatter { .. })),
        _ => false,
    };
    op_fits && data.results.iter().all(is_static)
}

impl Lowering<'_> {
    /// The elements of an argument, which must be contiguous.
    pub fn plain_argument(&mut self, object: Operand, ty: &TensorType, result: Value) -> R<()> {
        let shape = ty.const_shape().expect("a plain method has constant sizes");
        if !shape.contains(&0) {
            let text = self.shared.data.text("an argument is not contiguous: pass null strides, or a contiguous copy");
            for (axis, stride) in contiguous_strides(&shape).into_iter().enumerate().filter(|(axis, _)| shape[*axis] != 1) {
                let own = self.load(object, offset_of!(abi::Tensor, dims) + 8 * (shape.len() + axis), Access::Word);
                let test = self.int_binary(BinaryOp::Eq, own, Operand::Int(stride));
                let fail = Stmt::Fail { status: status::BAD_ARGUMENT, text: Some(text) };
                self.push(Stmt::If { test, then: Vec::new(), orelse: vec![fail] });
            }
        }
        let memory = self.load(object, offset_of!(abi::Tensor, data), Access::Word);
        self.bind(result, Bound::Tensor(Place::Data(memory)));
        Ok(())
    }

    /// The result as an immortal object in the arena.
    pub fn plain_result(&mut self, value: Value) -> R<Operand> {
        let ty = tensor_facts(self.graph, value, self.span())?;
        let shape = ty.const_shape().expect("a plain method has constant sizes");
        let elements = self.result_buffer(value, &ty)?;
        let object = Operand::Arena(self.buffers.add((offset_of!(abi::Tensor, dims) + 16 * shape.len() + 8) as u64, false));
        let half = |cx: &mut Self, offset: usize, value: i64| {
            cx.push(Stmt::Store { base: object, offset: offset as i64, value: Operand::Int(value), access: Access::Half });
        };
        half(self, 0, i64::from(u32::MAX));
        half(self, 4, tag::TENSOR as i64);
        for (offset, word) in
            [(8, Operand::Int(0)), (16, Operand::Int(0)), (offset_of!(abi::Tensor, data), Operand::Arena(elements))]
        {
            self.store(object, offset, word);
        }
        self.store(object, offset_of!(abi::Tensor, owner), Operand::Int(0));
        half(self, offset_of!(abi::Tensor, dtype), ty.dtype.code());
        half(self, offset_of!(abi::Tensor, rank), shape.len() as i64);
        for (i, &word) in shape.iter().chain(&contiguous_strides(&shape)).enumerate() {
            self.store(object, offset_of!(abi::Tensor, dims) + 8 * i, Operand::Int(word));
        }
        Ok(object)
    }

    /// The arena buffer that holds a result, copied there if it stands elsewhere.
    fn result_buffer(&mut self, value: Value, ty: &TensorType) -> R<BufferId> {
        if let Some(Bound::Tensor(Place::Arena(buffer))) = self.bound.get(&value).copied() {
            self.buffers.pin(buffer);
            return Ok(buffer);
        }
        let bytes = self.arena_bytes(ty)?.expect("a plain method has constant sizes");
        let buffer = self.buffers.add(bytes, false);
        self.copy_to(value, Operand::Arena(buffer))?;
        Ok(buffer)
    }
}
