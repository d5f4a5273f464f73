//! Tests of the adapter: what it reads, what it refuses, and that depth cannot hurt.

use super::*;
use crate::ast::{BinOp, ClassDef, ExprKind, FStringPart, FunctionDef, Item, StmtKind, UnaryOp};
use kiln_support::Failure;
use std::time::{Duration, Instant};

fn parse(text: &str) -> Result<SourceModule, Vec<Diagnostic>> {
    let mut sources = SourceMap::default();
    let file = sources.add("test.py", text);
    parse_module(&sources, file)
}

fn function(text: &str) -> FunctionDef {
    match parse(text).unwrap().items.pop() {
        Some(Item::Function(function)) => function,
        other => panic!("not a function: {other:?}"),
    }
}

fn class(text: &str) -> ClassDef {
    match parse(text).unwrap().items.pop() {
        Some(Item::Class(class)) => class,
        other => panic!("not a class: {other:?}"),
    }
}

/// The value of `x = ...`.
fn value(text: &str, dialect: Dialect) -> ExprKind {
    let mut sources = SourceMap::default();
    let file = sources.add("test.py", format!("x = {text}\n"));
    let module = parse_module_as(&sources, file, dialect).unwrap();
    match module.items.into_iter().next() {
        Some(Item::Statement(stmt)) => match stmt.kind {
            StmtKind::Assign { value: Some(value), .. } => value.kind,
            other => panic!("not an assignment: {other:?}"),
        },
        other => panic!("not a statement: {other:?}"),
    }
}

fn python(text: &str) -> ExprKind {
    value(text, Dialect::Python)
}

/// The one error of a text: its failure and message.
fn refused(text: &str) -> (Failure, String) {
    let errors = parse(text).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    (errors[0].failure, errors[0].message.clone())
}

#[test]
fn reads_archive_text() {
    let text = r#"class M(Module):
  __parameters__ = ["weight", ]
  training : bool
  __annotations__["0"] = __torch__.torch.nn.modules.linear.Linear
  def forward(self: __torch__.M,
    x: Tensor,
    n: int=-1) -> Tuple[Tensor, int]:
    _0 = getattr(self, "0")
    a, b, = annotate(Tuple[Tensor, int], ((_0).forward(x, ), 5.))
    return (a, n)
"#;
    let class = class(text);
    let names: Vec<&str> = class.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["__parameters__", "training", "0"]);
    assert!(class.fields[0].value.is_some() && class.fields[0].annotation.is_none());
    assert!(class.fields[2].value.is_none() && class.fields[2].annotation.is_some());
    let forward = &class.methods[0];
    assert_eq!(forward.params.len(), 3);
    let default = forward.params[2].default.as_ref().unwrap();
    assert!(matches!(&default.kind, ExprKind::Unary { op: UnaryOp::Neg, .. }));
    let StmtKind::Assign { targets, value: Some(value), .. } = &forward.body[1].kind else { panic!("{:?}", forward.body[1]) };
    assert!(matches!(&targets[0].kind, ExprKind::Tuple(names) if names.len() == 2));
    assert!(matches!(&value.kind, ExprKind::Call { args, .. } if args.len() == 2));
}

#[test]
fn reads_numbers() {
    assert!(matches!(python("5."), ExprKind::Float(5.0)));
    assert!(matches!(python("0x7fffffffffffffff"), ExprKind::Int(i64::MAX)));
    assert!(matches!(python("-9223372036854775808"), ExprKind::Int(i64::MIN)));
    assert!(matches!(python("2j"), ExprKind::Imaginary(2.0)));
    assert!(matches!(python("1e400"), ExprKind::Float(f64::INFINITY)));
    let (failure, message) = refused("x = 9223372036854775808\n");
    assert_eq!((failure, message.as_str()), (Failure::Unsupported, "an integer of more than 64 bits is not supported"));
}

#[test]
fn archive_strings_hold_bytes() {
    assert!(matches!(value(r#""caf\303\251""#, Dialect::Archive), ExprKind::Str(text) if text == "café"));
    assert!(matches!(python(r#""caf\303\251""#), ExprKind::Str(text) if text == "cafÃ©"));
    assert!(matches!(value("\"caf\u{e9}\\377\"", Dialect::Archive), ExprKind::Str(text) if text == "caf\u{e9}\u{ff}"));
    assert!(matches!(python(r#""a" "b\n""#), ExprKind::Str(text) if text == "ab\n"));
}

#[test]
fn reads_f_strings() {
    let ExprKind::FString(parts) = python(r#"f"a{x + 1}b" "c""#) else { panic!() };
    assert_eq!(parts.len(), 4);
    assert!(matches!(&parts[1], FStringPart::Value(value) if matches!(value.kind, ExprKind::Binary { op: BinOp::Add, .. })));
    assert!(refused("x = f\"{y:.2f}\"\n").1.contains("format specification"));
    assert!(refused("x = f\"{y!r}\"\n").1.contains("format specification"));
}

#[test]
fn generators_are_lists() {
    assert!(
        matches!(python("any(t > 0 for t in ts)"), ExprKind::Call { args, .. } if matches!(args[0].kind, ExprKind::ListComp { .. }))
    );
}

#[test]
fn elif_is_nested() {
    let f = function("def f(x):\n    if a:\n        pass\n    elif b:\n        pass\n    else:\n        return x\n");
    let StmtKind::If { orelse, .. } = &f.body[0].kind else { panic!() };
    let [inner] = orelse.as_slice() else { panic!() };
    assert!(matches!(&inner.kind, StmtKind::If { orelse, .. } if matches!(orelse[0].kind, StmtKind::Return(Some(_)))));
}

#[test]
fn reads_type_comments() {
    let f = function(
        "def f(x, y):\n    # type: (Tensor, Dict[str, int]) -> Tuple[int]  # a remark\n    \"\"\"Doc.\"\"\"\n    return x\n",
    );
    let (params, returns) = f.type_comment.unwrap();
    assert_eq!(params.len(), 2);
    assert!(matches!(returns.kind, ExprKind::Subscript { .. }));
    assert_eq!(f.docstring.as_deref(), Some("Doc."));
    assert_eq!(f.body.len(), 1);
    let f = function("def f(x,  # type: Tensor\n      y  # type: int\n      ):\n    # type: (...) -> Tensor\n    return x\n");
    assert_eq!(f.type_comment.unwrap().0.len(), 2);
    let f = function("def f():\n    # type: () -> None\n    pass\n");
    assert!(f.type_comment.unwrap().0.is_empty());
    let f = function("def f(x):\n    y = x  # type: ignore\n    # type: (int) -> int\n    return y\n");
    assert!(f.type_comment.is_none());
    assert_eq!(refused("def f(x):\n    # type: (Tensor -> int\n    return 1\n").0, Failure::Model);
}

#[test]
fn collects_every_unsupported_construct() {
    let text =
        "def f(x):\n    try:\n        pass\n    except E:\n        pass\n    g = lambda y: y\n    global z\n    return {1, 2}\n";
    let errors = parse(text).unwrap_err();
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    let expected = [
        "`try` is not supported",
        "a lambda is not supported",
        "`global` and `nonlocal` are not supported",
        "a set is not supported",
    ];
    assert_eq!(messages, expected);
    assert!(errors.iter().all(|error| error.failure == Failure::Unsupported && error.help.is_some() && error.labels.len() == 1));
}

#[test]
fn spans_point_at_the_text() {
    let mut sources = SourceMap::default();
    let file = sources.add("net.py", "def f(x):\n    return [y for y in x\n            for z in y]\n");
    let errors = parse_module(&sources, file).unwrap_err();
    assert_eq!(sources.line_column(errors[0].labels[0].span), (2, 12));
    let file = sources.add("bad.py", "def f(x):\n    return x +\n");
    let errors = parse_module(&sources, file).unwrap_err();
    assert_eq!((errors[0].code.0, errors[0].failure), ("syntax", Failure::Model));
    assert_eq!(sources.line_column(errors[0].labels[0].span).0, 2);
}

#[test]
fn what_python_keeps_may_be_any_python() {
    let f = function("@torch.jit.unused\ndef f(self, x):\n    try:\n        return lambda: x\n    finally:\n        pass\n");
    assert!(f.body.is_empty() && f.decorators.len() == 1);
    assert!(
        parse("if __name__ == \"__main__\":\n    try:\n        main()\n    except E:\n        pass\n").unwrap().items.is_empty()
    );
}

#[test]
fn reads_imports() {
    let items = parse("import torch.nn as nn\nfrom ..a import b as c, d\n").unwrap().items;
    let shown: Vec<_> = items
        .iter()
        .map(|item| match item {
            Item::Import { module, name, alias, .. } => (module.as_str(), name.as_deref(), alias.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(shown, [("torch.nn", None, "nn"), ("..a", Some("b"), "c"), ("..a", Some("d"), "d")]);
}

#[test]
fn parses_types() {
    let expr = parse_expression("Dict[str, List[int]]", Span::NONE).unwrap();
    assert!(
        matches!(&expr.kind, ExprKind::Subscript { index, .. } if matches!(&index.kind, ExprKind::Tuple(items) if items.len() == 2))
    );
    assert!(expr.span.is_none());
    assert!(parse_expression("Dict[", Span::NONE).is_err());
    assert!(parse_expression("(lambda: 1)", Span::NONE).is_err());
    assert!(parse_expression(&"[".repeat(100_000), Span::NONE).is_err());
}

/// Parses on a small stack: what passes must be safe there, what does not must fail soon.
fn on_a_small_stack(text: String) -> Result<(), Vec<Diagnostic>> {
    let start = Instant::now();
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(move || parse(&text).map(drop));
    let result = thread.unwrap().join().expect("no panic");
    assert!(start.elapsed() < Duration::from_secs(5));
    result
}

#[test]
fn depth_is_refused() {
    const DEEP: usize = 10_000;
    let nested_if: String =
        (0..DEEP).map(|i| format!("{}if a:\n", " ".repeat(i))).collect::<String>() + &" ".repeat(DEEP) + "pass\n";
    let texts = [
        format!("x = {}1{}\n", "(".repeat(DEEP), ")".repeat(DEEP)),
        format!("x = {}1{}\n", "[".repeat(DEEP), "]".repeat(DEEP)),
        format!("x = {}1{}\n", "f(".repeat(DEEP), ")".repeat(DEEP)),
        format!("x = {}1\n", "{1: ".repeat(DEEP)),
        format!("x = 1{}\n", " + 1".repeat(DEEP)),
        format!("x = a{}\n", ".b".repeat(DEEP)),
        format!("x = a{}\n", "()".repeat(DEEP)),
        format!("x = a{}\n", "[0]".repeat(DEEP)),
        format!("x = {}1\n", "-".repeat(DEEP)),
        format!("x = {}1\n", "not ".repeat(DEEP)),
        format!("x = {}1\n", "lambda: ".repeat(DEEP)),
        format!("x = 1{}\n", " ** 1".repeat(DEEP)),
        format!("x = 1{}\n", " if a else 1".repeat(DEEP)),
        format!("x = {}\n", "f\"{".repeat(DEEP)),
        format!("if a:\n    pass\n{}", "elif b:\n    pass\n".repeat(DEEP)),
        format!("(\n{nested_if}"),
        nested_if,
        format!("def f(x):\n    # type: ({}) -> int\n    pass\n", "[".repeat(DEEP)),
        "(".repeat(1 << 20),
        "match a:\n case ".to_owned() + &"[".repeat(DEEP),
    ];
    for text in texts {
        let head: String = text.chars().take(40).collect();
        let errors = on_a_small_stack(text).expect_err(&head);
        assert!(
            errors.iter().any(|error| error.message.contains("too deeply") || error.code.0 == "syntax"),
            "{head}: {errors:?}"
        );
    }
}

#[test]
fn length_is_not_depth() {
    const LONG: usize = 10_000;
    let texts = [
        format!("x = [{}]\n", "1 + 2, ".repeat(LONG)),
        "x = a + b\n".repeat(LONG),
        format!("x = a{}\n", " and a".repeat(LONG)),
        format!("x = a{}\n", " < a".repeat(LONG)),
        "if a:\n    pass\nelif b:\n    pass\n".repeat(LONG),
        format!("x = {}1\n", "y = ".repeat(LONG)),
        format!("x = a{}\n", " + 1".repeat(200)),
        format!("x = {}1{}\n", "(".repeat(140), ")".repeat(140)),
        format!("if a:\n    pass\n{}", "elif b:\n    pass\n".repeat(140)),
    ];
    for text in texts {
        let head: String = text.chars().take(40).collect();
        assert!(on_a_small_stack(text).is_ok(), "{head}");
    }
}

#[test]
fn the_deep_line_is_named() {
    let mut sources = SourceMap::default();
    let file = sources.add("deep.py", format!("a = 1\nb = 2\nx = {}1\nc = 3\n", "-".repeat(1000)));
    let errors = parse_module(&sources, file).unwrap_err();
    assert_eq!(sources.line_column(errors[0].labels[0].span).0, 3);
}

#[test]
fn no_text_crashes_the_parser() {
    const PIECES: [&str; 24] = [
        "def ",
        "f",
        "(",
        ")",
        ":",
        "\n",
        "    ",
        "if ",
        "elif ",
        "else",
        "\"",
        "'''",
        "f\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        "=",
        "lambda ",
        "\u{e9}",
        "\\",
        "# type: (",
        "->",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..2000 {
        let mut text = String::new();
        for _ in 0..40 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(PIECES[state as usize % PIECES.len()]);
        }
        // Whatever the result, it is one: no panic, no overflow.
        if let Err(errors) = parse(&text) {
            assert!(!errors.is_empty());
        }
    }
}
