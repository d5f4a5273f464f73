//! One function body while it is typed: the graph so far, the block at the end of which nodes are added,
//! and the names in scope.

use crate::env::{Binding, Env, Flag};
use crate::error;
use crate::flow::{EXIT, Flow, Rest, VALUE};
use crate::session::{Declared, Dialect, Session};
use crate::sugar::{Sugar, Typed};
use kiln_graph::{Block, FuncId, Graph, Literal, Node, Op, Type, Value};
use kiln_support::Span;
use std::collections::HashSet;

/// Blocks nest at most this deep: every later stage recurses over them.
const MAX_BLOCK_DEPTH: u32 = 200;

/// A body in the making.
pub(crate) struct Body<'b, 's> {
    pub session: &'b mut Session<'s>,
    pub graph: Graph,
    /// Where nodes are added.
    pub block: Block,
    pub env: Env,
    /// The unit whose names are visible.
    pub unit: String,
    pub dialect: Dialect,
    /// The result type, where it is written down.
    pub returns: Option<Type>,
    /// The types of the values returned so far.
    pub returned: Vec<Type>,
    /// Values whose type is the result type.
    pub return_slots: Vec<Value>,
    /// Names carried around the loops that the current place is in, innermost last.
    pub loops: Vec<Vec<String>>,
    pub depth: u32,
    pub span: Span,
    /// Whether a statement had an error.
    pub failed: bool,
    /// Literals `[]` whose type nothing has said: they become lists of whatever is asked for.
    pub untyped_lists: HashSet<Value>,
}

impl<'s> Body<'_, 's> {
    /// Types the body of a declared function and puts it into the program, unless it has errors.
    pub fn type_function(session: &mut Session<'s>, id: FuncId, declared: &Declared<'s>) -> Typed<bool> {
        let dialect = session.units[&declared.unit].dialect;
        let function = &session.program.funcs[id];
        let params = function.params.clone();
        let returns = declared.returns_known.then(|| function.returns.clone());
        let graph = Graph::new();
        let block = graph.entry;
        let mut body = Body {
            session,
            graph,
            block,
            env: Env::new(),
            unit: declared.unit.clone(),
            dialect,
            returns,
            returned: Vec::new(),
            return_slots: Vec::new(),
            loops: Vec::new(),
            depth: 0,
            span: declared.def.name_span,
            failed: false,
            untyped_lists: HashSet::new(),
        };
        for param in params {
            let value = body.graph.add_param(block, param.ty, Some(&param.name));
            body.env.set(&param.name, Binding::Is(Sugar::Value(value)));
        }
        let flow = body.run(&Rest::of(&declared.def.body))?;
        if body.failed {
            return Ok(false);
        }
        let returns = body.finish(flow)?;
        let graph = body.graph;
        let function = &mut session.program.funcs[id];
        function.body = graph;
        function.returns = returns;
        Ok(true)
    }

    /// Closes the entry block and settles the result type.
    fn finish(&mut self, flow: Flow) -> Typed<Type> {
        let entry = self.graph.entry;
        match flow {
            Flow::Raised => self.graph.blocks[entry].diverges = true,
            Flow::Left => {
                let value = self.env.value(VALUE).expect("whoever leaves by return sets a value");
                self.graph.blocks[entry].yields = vec![value];
            }
            Flow::Next => {
                let value = self.return_nothing(self.span)?;
                self.graph.blocks[entry].yields = vec![value];
            }
            Flow::Maybe => {
                let value = self.value_or_nothing()?;
                self.graph.blocks[entry].yields = vec![value];
            }
        }
        self.settle_returns()
    }

    /// The end of the body is reached without a value: it is None.
    fn return_nothing(&mut self, at: Span) -> Typed<Value> {
        let none = self.none(at);
        self.return_value(none, at)
    }

    /// Some paths have returned, others fall off the end.
    fn value_or_nothing(&mut self) -> Typed<Value> {
        let at = self.span;
        let Some(value) = self.env.value(VALUE) else { return self.return_nothing(at) };
        let left = match self.flag(EXIT) {
            Flag::Value(flag) => flag,
            Flag::Known(true) => return Ok(value),
            Flag::Known(false) => return self.return_nothing(at),
        };
        let (outer, yes, no) = (self.block, self.graph.add_block(), self.graph.add_block());
        self.graph.blocks[yes].yields = vec![value];
        self.block = no;
        let nothing = self.return_nothing(at)?;
        self.graph.blocks[no].yields = vec![nothing];
        self.block = outer;
        let ty = self.graph.ty(value).clone();
        let node = self.add_if(left, [yes, no], vec![ty], at);
        let joined = self.graph.result(node);
        self.return_slots.push(joined);
        Ok(joined)
    }

    /// Converts a returned value to the result type and notes it.
    pub fn return_value(&mut self, value: Value, at: Span) -> Typed<Value> {
        let value = match self.returns.clone() {
            Some(wanted) => {
                let converted = self.convert(value, &wanted, true, at)?;
                let found = self.graph.ty(converted).clone();
                if !self.is_subtype(&found, &wanted) {
                    let (wanted, found) = (self.show(&wanted), self.show(&found));
                    return Err(error(
                        "return-type",
                        format!("this returns `{found}` where the function's result is `{wanted}`"),
                        at,
                    ));
                }
                self.widen(converted, &wanted, at)
            }
            None => {
                let ty = self.graph.ty(value).clone();
                self.returned.push(ty.clone());
                let slot = self.add(Op::Annotate, vec![value], ty, at);
                self.return_slots.push(slot);
                slot
            }
        };
        Ok(value)
    }

    /// The written result type, or what all returned values fit in.
    fn settle_returns(&mut self) -> Typed<Type> {
        if let Some(ty) = &self.returns {
            return Ok(ty.clone());
        }
        let mut types = std::mem::take(&mut self.returned).into_iter();
        let mut joined = types.next().unwrap_or(Type::None);
        for ty in types {
            joined = joined.unify(&ty, self.session.program, false).ok_or_else(|| {
                let (a, b) = (self.show(&joined), self.show(&ty));
                error("return-type", format!("one path returns `{a}`, another `{b}`"), self.span)
            })?;
        }
        for &slot in &self.return_slots {
            self.graph.values[slot].ty = joined.clone();
        }
        Ok(joined)
    }

    /// Runs `inside` with nodes going to a new block; gives the block.
    pub fn in_block<T>(&mut self, inside: impl FnOnce(&mut Self) -> Typed<T>) -> Typed<(Block, T)> {
        if self.depth >= MAX_BLOCK_DEPTH {
            return Err(crate::unsupported("too-deep", "blocks are nested too deeply here", self.span));
        }
        let outer = self.block;
        let inner = self.graph.add_block();
        self.block = inner;
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        self.block = outer;
        Ok((inner, result?))
    }

    /// Adds a node with one result.
    pub fn add(&mut self, op: Op, args: Vec<Value>, ty: Type, at: Span) -> Value {
        self.graph.add_value(self.block, op, args, ty, at)
    }

    /// Adds an `If`.
    pub fn add_if(&mut self, condition: Value, blocks: [Block; 2], results: Vec<Type>, at: Span) -> Node {
        let node = self.graph.add_node(self.block, Op::If, vec![condition], results, at);
        self.graph.nodes[node].blocks = blocks.to_vec();
        node
    }

    pub fn int(&mut self, value: i64, at: Span) -> Value {
        self.graph.add_const(self.block, Literal::Int(value), Type::Int, at)
    }

    pub fn bool(&mut self, value: bool, at: Span) -> Value {
        self.graph.add_const(self.block, Literal::Bool(value), Type::Bool, at)
    }

    pub fn none(&mut self, at: Span) -> Value {
        self.graph.add_const(self.block, Literal::None, Type::None, at)
    }

    pub fn str(&mut self, value: &str, at: Span) -> Value {
        self.graph.add_const(self.block, Literal::Str(value.to_owned()), Type::Str, at)
    }

    /// A value never read.
    pub fn uninit(&mut self, ty: Type, at: Span) -> Value {
        self.add(Op::Uninit, Vec::new(), ty, at)
    }

    /// The same value with a wider static type.
    pub fn widen(&mut self, value: Value, ty: &Type, at: Span) -> Value {
        if self.graph.ty(value) == ty { value } else { self.add(Op::Annotate, vec![value], ty.clone(), at) }
    }

    /// The same value with a narrower static type.
    pub fn narrow(&mut self, value: Value, ty: &Type, at: Span) -> Value {
        if self.graph.ty(value) == ty { value } else { self.add(Op::Cast, vec![value], ty.clone(), at) }
    }

    pub fn ty(&self, value: Value) -> &Type {
        self.graph.ty(value)
    }

    pub fn is_subtype(&self, ty: &Type, wanted: &Type) -> bool {
        ty.is_subtype(wanted, self.session.program)
    }

    /// A type as the user writes it.
    pub fn show(&self, ty: &Type) -> String {
        ty.display(self.session.program).to_string()
    }

    /// A literal of a type: lists and tuples become nodes, as they may be mutated.
    pub fn emit_literal(&mut self, literal: &Literal, ty: &Type, at: Span) -> Value {
        let wanted = ty.without_none();
        match (literal, &wanted) {
            (Literal::List(items), Type::List(elem)) => {
                let items = items.iter().map(|i| self.emit_literal(i, elem, at)).collect();
                self.add(Op::List, items, wanted.clone(), at)
            }
            (Literal::List(items), Type::Tuple(types)) => {
                let items = items.iter().zip(types.iter()).map(|(i, t)| self.emit_literal(i, t, at)).collect();
                self.add(Op::Tuple(None), items, wanted.clone(), at)
            }
            _ => {
                let ty = literal_type(literal);
                self.graph.add_const(self.block, literal.clone(), ty, at)
            }
        }
    }
}

/// The type of a scalar literal.
fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::None => Type::None,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Float(_) => Type::Float,
        Literal::Complex(..) => Type::Complex,
        Literal::Str(_) => Type::Str,
        Literal::Device(_) => Type::Device,
        Literal::List(_) => Type::list(Type::Int),
        Literal::Tensor(_) => Type::TENSOR,
    }
}
