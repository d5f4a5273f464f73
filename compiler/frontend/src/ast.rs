//! The abstract syntax tree of the scripted-Python subset: what kiln reads, from archives and sources alike.
//!
//! The tree is small on purpose. A construct that TorchScript does not have is refused with its place when the tree is made; a
//! user's source may hold some in code that no model runs, so there it stands as [`Foreign`], refused where it is reached. The few
//! forms that only an `__init__` may use (`*args`, `**kwargs`, lambdas) have nodes of their own.

use kiln_support::{Diagnostic, Span};

/// A parsed file.
#[derive(Clone, Debug, Default)]
pub struct SourceModule {
    /// Top-level definitions and assignments, in order.
    pub items: Vec<Item>,
}

/// A top-level definition.
#[derive(Clone, Debug)]
pub enum Item {
    /// `class C(Base): ...`
    Class(ClassDef),
    /// `def f(...): ...`
    Function(FunctionDef),
    /// `import a.b as c`, `from a import b as c`: (module path, imported name, local name).
    Import { span: Span, module: String, name: Option<String>, alias: String },
    /// Any other statement (a constant, a type alias).
    Statement(Stmt),
}

/// A class definition.
#[derive(Clone, Debug)]
pub struct ClassDef {
    /// The whole definition.
    pub span: Span,
    /// Its name.
    pub name: String,
    /// Base classes.
    pub bases: Vec<Expr>,
    /// Decorators, outermost first.
    pub decorators: Vec<Expr>,
    /// Annotated and assigned names, in order; `__annotations__["0"] = T` is one named `0`.
    pub fields: Vec<FieldDef>,
    /// Methods.
    pub methods: Vec<FunctionDef>,
    /// Methods of base classes in other files, with the path of the file.
    pub inherited: Vec<(String, FunctionDef)>,
    /// What else stands in its body: the class cannot be used then.
    pub foreign: Vec<(Span, Foreign)>,
    /// Attributes that cannot be held, and why: an error where one is read.
    pub refused: Vec<(String, String)>,
    /// Attributes that stand for a function or class, with its full path.
    pub aliases: Vec<(String, String)>,
}

/// An attribute declared in a class body.
#[derive(Clone, Debug)]
pub struct FieldDef {
    /// The declaration.
    pub span: Span,
    /// Attribute name.
    pub name: String,
    /// `name : annotation`.
    pub annotation: Option<Expr>,
    /// `= value`.
    pub value: Option<Expr>,
}

/// A function or method definition.
#[derive(Clone, Debug)]
pub struct FunctionDef {
    /// The whole definition.
    pub span: Span,
    /// The span of its name.
    pub name_span: Span,
    /// Its name.
    pub name: String,
    /// Parameters, `self` included.
    pub params: Vec<Param>,
    /// The name after `*`, where further positional arguments go.
    pub vararg: Option<String>,
    /// The name after `**`, where further keyword arguments go.
    pub kwarg: Option<String>,
    /// `-> T`.
    pub returns: Option<Expr>,
    /// Decorators, outermost first.
    pub decorators: Vec<Expr>,
    /// A `# type: (int, Tensor) -> Tensor` comment, parsed.
    pub type_comment: Option<(Vec<Expr>, Expr)>,
    /// The first statement, where it is a string.
    pub docstring: Option<String>,
    /// Statements.
    pub body: Vec<Stmt>,
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// The parameter with its annotation.
    pub span: Span,
    /// Its name.
    pub name: String,
    /// `: T`.
    pub annotation: Option<Expr>,
    /// `= value`.
    pub default: Option<Expr>,
    /// After `*`.
    pub keyword_only: bool,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// Its text.
    pub span: Span,
    /// What it is.
    pub kind: StmtKind,
}

/// The kinds of statements.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// `t1 = t2 = value`; several targets for chained assignment. `annotation` for `x: T = value`
    /// (exactly one target then); `value` is absent for `x: T`.
    Assign { targets: Vec<Expr>, annotation: Option<Expr>, value: Option<Expr> },
    /// `target op= value`.
    AugAssign { target: Expr, op: BinOp, value: Expr },
    /// An expression for its effect.
    Expr(Expr),
    /// `return value`.
    Return(Option<Expr>),
    /// `if`; `elif` is an `if` in `orelse`.
    If { test: Expr, body: Vec<Stmt>, orelse: Vec<Stmt> },
    /// `while`; `orelse` is refused by the parser.
    While { test: Expr, body: Vec<Stmt> },
    /// `for target in iter`.
    For { target: Expr, iter: Expr, body: Vec<Stmt> },
    /// `with item as name, ...`.
    With { items: Vec<(Expr, Option<Expr>)>, body: Vec<Stmt> },
    /// `raise exception`.
    Raise(Option<Expr>),
    /// `assert test, message`.
    Assert { test: Expr, message: Option<Expr> },
    /// `del target, ...`.
    Delete(Vec<Expr>),
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `pass`, docstrings, `global`-free no-ops.
    Pass,
    /// What the subset does not have.
    Foreign(Foreign),
}

/// A construct outside of the scripted subset.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// What it is, as the beginning of a sentence.
    pub what: String,
    /// What to write instead.
    pub help: String,
    /// The name that it would have defined.
    pub defines: Option<String>,
}

impl Foreign {
    /// The error for meeting it.
    pub fn error(&self, at: Span) -> Diagnostic {
        let verb = if self.what.contains(" and ") { "are" } else { "is" };
        Diagnostic::unsupported("unsupported-syntax", format!("{} {verb} not supported", self.what))
            .at(at)
            .help(self.help.clone())
    }
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Its text.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

impl ClassDef {
    /// A class without a body.
    pub fn new(name: impl Into<String>, bases: Vec<Expr>, span: Span) -> ClassDef {
        ClassDef {
            span,
            name: name.into(),
            bases,
            decorators: Vec::new(),
            fields: Vec::new(),
            methods: Vec::new(),
            inherited: Vec::new(),
            foreign: Vec::new(),
            refused: Vec::new(),
            aliases: Vec::new(),
        }
    }
}

impl FunctionDef {
    /// A decorator that may change what the function does: it is none of Python's or PyTorch's that are understood.
    pub fn unknown_decorator(&self) -> Option<&Expr> {
        const KNOWN: &[&str] = &[
            "staticmethod",
            "classmethod",
            "property",
            "override",
            "abstractmethod",
            "final",
            "no_grad",
            "inference_mode",
            "export",
            "ignore",
            "unused",
            "script",
            "script_method",
            "interface",
            "wraps",
            "op",
        ];
        self.decorators.iter().find(|decorator| {
            let callee = if let ExprKind::Call { func, .. } = &decorator.kind { func } else { *decorator };
            callee.dotted().is_none_or(|path| !KNOWN.contains(&path.rsplit('.').next().unwrap_or_default()))
        })
    }
}

impl Expr {
    /// `a.b.c` of nested attributes.
    pub fn dotted(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Name(name) => Some(name.clone()),
            ExprKind::Attribute { value, name } => Some(format!("{}.{name}", value.dotted()?)),
            _ => None,
        }
    }

    /// The expression that a name gets when `value` is assigned to this target; none for other names.
    pub fn assigned(&self, name: &str, value: &Expr) -> Option<Expr> {
        match (&self.kind, &value.kind) {
            (ExprKind::Name(own), _) if own == name => Some(value.clone()),
            (ExprKind::Tuple(targets), ExprKind::Tuple(values)) if targets.len() == values.len() => {
                targets.iter().zip(values).find_map(|(target, value)| target.assigned(name, value))
            }
            _ => None,
        }
    }
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `None`.
    None,
    /// `...`.
    Ellipsis,
    /// `True`, `False`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// A float (`inf` and `nan` are names).
    Float(f64),
    /// An imaginary literal `2j`: its imaginary part.
    Imaginary(f64),
    /// A string, escapes resolved, implicit concatenation done.
    Str(String),
    /// An f-string.
    FString(Vec<FStringPart>),
    /// A name.
    Name(String),
    /// `value.name`.
    Attribute { value: Box<Expr>, name: String },
    /// `value[index]`; a tuple index is an [`ExprKind::Tuple`], a slice an [`ExprKind::Slice`].
    Subscript { value: Box<Expr>, index: Box<Expr> },
    /// `lower:upper:step`, only inside a subscript.
    Slice { lower: Option<Box<Expr>>, upper: Option<Box<Expr>>, step: Option<Box<Expr>> },
    /// `func(args, name=value)`; `**value` is a keyword of the name `**`.
    Call { func: Box<Expr>, args: Vec<Expr>, keywords: Vec<(String, Expr)> },
    /// `*value` in a call or a list.
    Starred(Box<Expr>),
    /// `a op b`.
    Binary { op: BinOp, left: Box<Expr>, right: Box<Expr> },
    /// `op a`.
    Unary { op: UnaryOp, operand: Box<Expr> },
    /// `a and b and c` (or `or`).
    BoolOp { is_and: bool, values: Vec<Expr> },
    /// `a < b < c`: the first operand and (operator, operand) pairs.
    Compare { left: Box<Expr>, rest: Vec<(CompareOp, Expr)> },
    /// `body if test else orelse`.
    IfElse { test: Box<Expr>, body: Box<Expr>, orelse: Box<Expr> },
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `(a, b)`.
    Tuple(Vec<Expr>),
    /// `{a: b}`; `**b` has the key `*b`.
    Dict(Vec<(Expr, Expr)>),
    /// `[element for target in iter if cond...]`, one generator.
    ListComp { element: Box<Expr>, target: Box<Expr>, iter: Box<Expr>, conditions: Vec<Expr> },
    /// `{key: value for target in iter if cond...}`, one generator.
    DictComp { key: Box<Expr>, value: Box<Expr>, target: Box<Expr>, iter: Box<Expr>, conditions: Vec<Expr> },
    /// `lambda params: body`.
    Lambda { params: Vec<Param>, body: Box<Expr> },
    /// What the subset does not have.
    Foreign(Foreign),
}

/// A part of an f-string.
#[derive(Clone, Debug)]
pub enum FStringPart {
    /// Literal text.
    Text(String),
    /// `{expr}`.
    Value(Expr),
    /// `{expr:spec}`, of constructors only.
    Formatted(Expr, String),
}

/// Binary arithmetic operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are Python's")]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    MatMul,
    BitAnd,
    BitOr,
    BitXor,
    LShift,
    RShift,
}

/// Unary operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are Python's")]
pub enum UnaryOp {
    Neg,
    Pos,
    Not,
    Invert,
}

/// Comparison operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are Python's")]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Is,
    IsNot,
    In,
    NotIn,
}
