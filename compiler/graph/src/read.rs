//! Reads the text form of graphs: the inverse of [`crate::write`].
//!
//! In: a text, the program whose classes, functions and objects it names, and a way to find operators by name.
//! Out: a graph that is written as the same text (blanks and comments aside: `;` begins one), or the first mistake
//! with its line and column.
//!
//! Values keep the numbers they have in the text. Numbers that the text leaves out stay unused values of type
//! `Never`. Names and places in the model's source are not part of the text, and neither are the elements of
//! large tensors: their checksum cannot be read back. Everything that the text says is read, whether it makes
//! sense or not; [`crate::verify`] decides that.

mod lexer;
#[cfg(test)]
mod tests;
mod types;

use crate::graph::ValueData;
use crate::{Block, FuncId, Graph, Node, Op, OpId, Program, StateId, Type, Value, ValueDef};
use kiln_support::{EntityId, Span};
use lexer::{Kind, Token};
use std::fmt;

/// A mistake in a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl ReadError {
    fn at(text: &str, offset: usize, message: impl Into<String>) -> ReadError {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        ReadError { line, column: before[line_start..].chars().count() + 1, message: message.into() }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ReadError {}

type Result<T> = std::result::Result<T, ReadError>;

/// Nesting of blocks, types and lists that is read.
const MAX_DEPTH: usize = 200;

/// Value numbers are below this: a text cannot ask for more memory than it is worth.
const MAX_VALUES: usize = 1 << 20;

/// Reads a graph. `find_op` gives the operator of a name such as `aten::add.Tensor`.
pub fn read_graph(text: &str, program: &Program, find_op: &dyn Fn(&str) -> Option<OpId>) -> Result<Graph> {
    let tokens = lexer::tokens(text)?;
    let graph = Graph::new();
    let mut reader =
        Reader { text, tokens, next: 0, last: 0, depth: 0, program, find_op, graph, defined: Vec::new(), sizes: Vec::new() };
    reader.keyword("graph")?;
    let entry = reader.graph.entry;
    reader.punct('(')?;
    reader.params(entry, ')')?;
    reader.punct('{')?;
    reader.block(entry)?;
    match reader.peek() {
        Kind::End => Ok(reader.graph),
        other => reader.error(format!("{other} after the graph")),
    }
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// Position of the next token.
    next: usize,
    /// Offset of the token that was taken last.
    last: usize,
    depth: usize,
    program: &'a Program,
    find_op: &'a dyn Fn(&str) -> Option<OpId>,
    graph: Graph,
    /// Which values have been defined so far.
    defined: Vec<bool>,
    /// Values that stand as sizes in the types of the group being read, with their offsets.
    sizes: Vec<(Value, usize)>,
}

// Tokens.
impl Reader<'_> {
    fn peek(&self) -> &Kind {
        &self.tokens[self.next].kind
    }

    /// The token after the next one.
    fn peek_second(&self) -> &Kind {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].kind
    }

    /// Where the next token begins.
    fn next_at(&self) -> usize {
        self.tokens[self.next].at
    }

    fn advance(&mut self) -> Kind {
        let token = self.tokens[self.next].clone();
        self.last = token.at;
        if token.kind != Kind::End {
            self.next += 1;
        }
        token.kind
    }

    fn error_at<T>(&self, offset: usize, message: impl Into<String>) -> Result<T> {
        Err(ReadError::at(self.text, offset, message))
    }

    /// An error at the next token.
    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        self.error_at(self.next_at(), message)
    }

    /// An error at the token that was taken last.
    fn error_before<T>(&self, message: impl Into<String>) -> Result<T> {
        self.error_at(self.last, message)
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        self.error(format!("expected {what}, found {}", self.peek()))
    }

    fn eat(&mut self, punct: char) -> bool {
        let found = *self.peek() == Kind::Punct(punct);
        if found {
            self.advance();
        }
        found
    }

    fn punct(&mut self, punct: char) -> Result<()> {
        if self.eat(punct) { Ok(()) } else { self.expected(&format!("`{punct}`")) }
    }

    fn word(&mut self, what: &str) -> Result<String> {
        if !matches!(self.peek(), Kind::Word(_)) {
            return self.expected(what);
        }
        match self.advance() {
            Kind::Word(word) => Ok(word),
            other => unreachable!("{other} was a word"),
        }
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Kind::Word(word) if word == keyword)
    }

    fn keyword(&mut self, keyword: &str) -> Result<()> {
        if !self.is_keyword(keyword) {
            return self.expected(&format!("`{keyword}`"));
        }
        self.advance();
        Ok(())
    }

    fn string(&mut self) -> Result<String> {
        let Kind::Str(text) = self.peek().clone() else { return self.expected("a string") };
        self.advance();
        Ok(text)
    }

    fn int(&mut self) -> Result<i64> {
        let Kind::Number(text) = self.peek().clone() else { return self.expected("an integer") };
        self.advance();
        text.parse().or_else(|_| self.error_before(format!("`{text}` is no 64-bit integer")))
    }

    fn float(&mut self) -> Result<f64> {
        let Kind::Number(text) = self.peek().clone() else { return self.expected("a number") };
        self.advance();
        text.parse().or_else(|_| self.error_before(format!("`{text}` is no number")))
    }

    /// Items between two brackets, with commas between them.
    fn list<T>(&mut self, open: char, close: char, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.punct(open)?;
        let mut items = Vec::new();
        while !self.eat(close) {
            if !items.is_empty() {
                self.punct(',')?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }
}

// Names of entities.
impl Reader<'_> {
    /// The number of an entity's name: 7 of `v7`.
    fn number_of(&self, word: &str, prefix: &str) -> Option<u32> {
        let digits = word.strip_prefix(prefix)?;
        let is_plain = digits == "0" || !digits.starts_with(['0', '+']);
        digits.parse().ok().filter(|_| is_plain)
    }

    fn entity(&mut self, prefix: &str, what: &str) -> Result<u32> {
        let word = self.word(what)?;
        match self.number_of(&word, prefix) {
            Some(number) => Ok(number),
            None => self.error_before(format!("expected {what}, found `{word}`")),
        }
    }

    /// A value's name, defined or not.
    fn value_name(&mut self) -> Result<Value> {
        let number = self.entity("v", "a value")?;
        if number as usize >= MAX_VALUES {
            return self.error_before(format!("value numbers are below {MAX_VALUES}"));
        }
        Ok(Value(number))
    }

    /// A value that is defined before.
    fn operand(&mut self) -> Result<Value> {
        let value = self.value_name()?;
        if self.is_defined(value) { Ok(value) } else { self.error_before(format!("{value} is not defined before its use")) }
    }

    fn is_defined(&self, value: Value) -> bool {
        self.defined.get(value.index()).copied().unwrap_or(false)
    }

    /// `@` and the qualified name after it.
    fn global(&mut self, what: &str) -> Result<String> {
        self.punct('@')?;
        self.word(what)
    }

    fn class(&mut self) -> Result<crate::ClassId> {
        let name = self.global("a class")?;
        self.class_named(&name)
    }

    fn class_named(&self, name: &str) -> Result<crate::ClassId> {
        let found = self.program.classes.iter().find(|(_, class)| class.name == name);
        found.map_or_else(|| self.error_before(format!("there is no class `{name}`")), |(id, _)| Ok(id))
    }

    /// The name of a function, which may not be of a word's form.
    fn func_name(&mut self) -> Result<FuncId> {
        let name = self.word("a function")?;
        let found = self.program.funcs.iter().find(|(_, func)| func.name == name);
        found.map_or_else(|| self.error_before(format!("there is no function `{name}`")), |(id, _)| Ok(id))
    }

    fn op_named(&self, name: &str) -> Result<OpId> {
        (self.find_op)(name).map_or_else(|| self.error_before(format!("there is no operator `{name}`")), Ok)
    }
}

// Structure.
impl Reader<'_> {
    /// A typed value: gives it its number.
    fn define(&mut self, def: ValueDef) -> Result<Value> {
        let value = self.value_name()?;
        let at = self.last;
        if self.is_defined(value) {
            return self.error_before(format!("{value} is defined twice"));
        }
        self.punct(':')?;
        let ty = self.ty()?;
        while self.graph.values.len() <= value.index() {
            let nowhere = ValueDef::Param(self.graph.entry, u32::MAX);
            self.graph.values.push(ValueData { ty: Type::Never, def: nowhere, name: None });
        }
        self.graph.values[value] = ValueData { ty, def, name: None };
        self.defined.resize(self.defined.len().max(value.index() + 1), false);
        self.defined[value.index()] = true;
        self.last = at;
        Ok(value)
    }

    /// Checks the sizes that the types of the last group of values name: they may stand in the group itself.
    fn check_sizes(&mut self) -> Result<()> {
        for (size, at) in std::mem::take(&mut self.sizes) {
            if !self.is_defined(size) {
                return self.error_at(at, format!("the size {size} is not defined"));
            }
        }
        Ok(())
    }

    /// Parameters of a block, up to `close`.
    fn params(&mut self, block: Block, close: char) -> Result<()> {
        let mut params = Vec::new();
        while !self.eat(close) {
            if !params.is_empty() {
                self.punct(',')?;
            }
            params.push(self.define(ValueDef::Param(block, params.len() as u32))?);
        }
        self.graph.blocks[block].params = params;
        self.check_sizes()
    }

    /// The nodes and the end of a block, and the brace that closes it.
    fn block(&mut self, block: Block) -> Result<()> {
        if self.depth == MAX_DEPTH {
            return self.error("blocks are nested too deeply");
        }
        self.depth += 1;
        loop {
            if self.is_keyword("yield") {
                self.advance();
                self.graph.blocks[block].yields = self.yields()?;
                break;
            }
            if self.is_keyword("unreachable") {
                self.advance();
                self.graph.blocks[block].diverges = true;
                break;
            }
            self.node(block)?;
        }
        self.depth -= 1;
        self.punct('}')
    }

    fn yields(&mut self) -> Result<Vec<Value>> {
        let mut yields = Vec::new();
        while *self.peek() != Kind::Punct('}') {
            if !yields.is_empty() {
                self.punct(',')?;
            }
            yields.push(self.operand()?);
        }
        Ok(yields)
    }

    fn node(&mut self, block: Block) -> Result<()> {
        // Results come first in the text, and are defined last: operands and blocks do not see them.
        let start = self.next;
        self.skip_results()?;
        let op = self.op()?;
        let args = if matches!(op, Op::Const(_)) { Vec::new() } else { self.list('(', ')', Self::operand)? };
        let node = self.graph.add_node(block, op, args, Vec::new(), Span::NONE);
        self.blocks_of(node)?;
        let end = std::mem::replace(&mut self.next, start);
        self.results(node)?;
        self.next = end;
        Ok(())
    }

    /// Whether a value and a `:` come next: a node with results.
    fn has_results(&self) -> bool {
        matches!(self.peek(), Kind::Word(_)) && *self.peek_second() == Kind::Punct(':')
    }

    fn skip_results(&mut self) -> Result<()> {
        if self.has_results() {
            while !matches!(self.peek(), Kind::Punct('=') | Kind::End) {
                self.advance();
            }
            self.punct('=')?;
        }
        Ok(())
    }

    fn results(&mut self, node: Node) -> Result<()> {
        if !self.has_results() {
            return Ok(());
        }
        let mut results = Vec::new();
        while !self.eat('=') {
            if !results.is_empty() {
                self.punct(',')?;
            }
            results.push(self.define(ValueDef::Result(node, results.len() as u32))?);
        }
        self.graph.nodes[node].results = results;
        self.check_sizes()
    }

    /// The blocks after an `if` or `loop`.
    fn blocks_of(&mut self, node: Node) -> Result<()> {
        let mut more = self.eat('{');
        while more {
            let block = self.graph.add_block();
            self.graph.nodes[node].blocks.push(block);
            if self.eat('|') {
                self.params(block, '|')?;
            }
            self.block(block)?;
            more = self.is_keyword("else");
            if more {
                self.advance();
                self.punct('{')?;
            }
        }
        Ok(())
    }

    /// What a node does, with its attributes.
    fn op(&mut self) -> Result<Op> {
        let name = self.word("an operation")?;
        Ok(match name.as_str() {
            "const" => Op::Const(self.literal()?),
            "call" => {
                self.punct('@')?;
                Op::Call(self.func_name()?)
            }
            "call_method" => {
                self.punct('.')?;
                Op::CallMethod(self.word("a method")?)
            }
            "if" => Op::If,
            "loop" => Op::Loop,
            "tuple" if *self.peek() == Kind::Punct('@') => Op::Tuple(Some(self.class()?)),
            "tuple" => Op::Tuple(None),
            "tuple_get" => {
                let at = self.int()?;
                Op::TupleGet(u32::try_from(at).or_else(|_| self.error_before("no index of a tuple"))?)
            }
            "list" => Op::List,
            "dict" => Op::Dict,
            "list_unpack" => Op::ListUnpack,
            "new" => Op::New(self.class()?),
            "get_attr" => Op::GetAttr(self.string()?),
            "set_attr" => Op::SetAttr(self.string()?),
            "enum" => self.enum_value()?,
            "cast" => Op::Cast,
            "annotate" => Op::Annotate,
            "is_instance" => {
                let types = self.list('[', ']', Self::ty)?;
                self.check_sizes()?;
                Op::IsInstance(types)
            }
            "uninit" => Op::Uninit,
            "function" => {
                self.punct('@')?;
                Op::FunctionRef(self.func_name()?)
            }
            "object" => self.object()?,
            "raise" => Op::Raise(self.string()?),
            "print" => Op::Print,
            "state_load" => Op::StateLoad(self.state()?),
            "state_store" => Op::StateStore(self.state()?),
            "write_view" => {
                let name = self.word("an operator")?;
                Op::WriteView(self.op_named(&name)?)
            }
            "box" => Op::Box,
            "unbox" => Op::Unbox,
            "unwrap" => Op::Unwrap,
            "wrap" => Op::Wrap,
            name => Op::Table(self.op_named(name)?),
        })
    }

    fn state(&mut self) -> Result<StateId> {
        self.entity("state", "a state slot").map(StateId)
    }

    fn object(&mut self) -> Result<Op> {
        let object = crate::ObjectId(self.entity("obj", "an object")?);
        match self.program.objects.get(object) {
            Some(_) => Ok(Op::ObjectRef(object)),
            None => self.error_before(format!("the program has no {object}")),
        }
    }

    /// A member of an enum class: `@__torch__.Color.RED`.
    fn enum_value(&mut self) -> Result<Op> {
        let name = self.global("a member of an enum")?;
        let Some((class, member)) = name.rsplit_once('.') else {
            return self.error_before(format!("`{name}` is no member of an enum"));
        };
        Ok(Op::EnumValue(self.class_named(class)?, member.to_owned()))
    }
}
