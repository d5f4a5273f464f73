//! Hostile and extreme sources end in a diagnostic, never in a crash, a hang or a flood.

use kiln_frontend::python::parse_module;
use kiln_graph::Program;
use kiln_support::SourceMap;
use kiln_typing::Source;

/// The codes of the diagnostics of function `f`, on a small stack.
fn codes(text: String) -> Vec<&'static str> {
    let run = move || {
        let mut sources = SourceMap::default();
        let file = sources.add("test.py", text);
        let module = match parse_module(&sources, file) {
            Ok(module) => module,
            Err(errors) => return errors.iter().map(|e| e.code.0).collect(),
        };
        let mut source = Source::new(module, "test");
        match source.function("f", &mut Program::default()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|e| e.code.0).collect(),
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).expect("a thread starts").join().expect("no panic")
}

#[test]
fn many_early_returns() {
    let chain = |n: usize| format!("def f(a: int):\n{}    return 0\n", "    if a == 1:\n        return 1\n".repeat(n));
    assert_eq!(codes(chain(150)), Vec::<&str>::new());
    assert_eq!(codes(chain(5000)), ["too-deep"]);
}

#[test]
fn many_plain_branches() {
    let text = format!("def f(a: int):\n    x = 0\n{}    return x\n", "    if a == 1:\n        x = 1\n".repeat(5000));
    assert_eq!(codes(text), Vec::<&str>::new());
}

#[test]
fn unrolled_loops_multiply() {
    let items = "0, ".repeat(100);
    let loops: String = (0..6).map(|i| format!("{}for i{i} in ({items}):\n", "    ".repeat(i + 1))).collect();
    let text = format!("def f(a: int):\n{loops}{}a = a + 1\n    return a\n", "    ".repeat(7));
    assert_eq!(codes(text), ["too-large"]);
}

#[test]
fn circular_definitions() {
    assert_eq!(codes("A = B\nB = A\ndef f(a: A):\n    return a\n".into()), ["circular-definition"]);
    assert_eq!(codes("A = B\nB = A\ndef f(a: int = A):\n    return a\n".into()), ["circular-definition"]);
    assert_eq!(codes("A = B\nB = A\ndef f(a: int):\n    return A\n".into()), ["circular-constant"]);
    assert_eq!(codes("A = A + 1\ndef f(a: int):\n    return A\n".into()), ["circular-constant"]);
    let text = "def f(a: int):\n    return g(a)\ndef g(a: int):\n    return f(a)\n";
    assert_eq!(codes(text.into()), ["recursive-function"]);
}

#[test]
fn many_errors_are_not_a_flood() {
    let text = format!("def f(a: int):\n{}    return a\n", "    unknown_name\n".repeat(5000));
    assert!(codes(text).len() <= 101);
}

#[test]
fn odd_numbers() {
    assert_eq!(
        codes("def f(t: tuple[int, int]):\n    return t[-9223372036854775808:9223372036854775807:2]\n".into()),
        Vec::<&str>::new()
    );
    assert_eq!(codes("def f(t: tuple[int, int]):\n    return t[::0]\n".into()), ["bad-slice"]);
    assert_eq!(codes("def f(t: tuple[int, int]):\n    return t[-9223372036854775807]\n".into()), ["index-out-of-range"]);
}
