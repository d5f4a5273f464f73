//! Abstract syntax trees to typed SSA graphs, by PyTorch's own rules.
//!
//! In: an archive's code and object graph, or a source file. Out: a [`Program`] whose functions are typed
//! graphs, whose classes have typed attributes and whose objects are the values that exist before the first
//! call. Only functions that the requested methods reach get a body; the body of any other diverges and has
//! no parameters.
//!
//! The rules are those of `torch/csrc/jit/frontend` (`ir_emitter`, `schema_matching`, `sugared_value`,
//! `exit_transforms`) and `torch/csrc/jit/serialization/import_source`.

mod annotation;
mod assign;
mod attribute;
mod body;
mod builtins;
mod call;
mod check;
mod classes;
mod condition;
mod constants;
mod containers;
mod emit;
mod env;
mod expr;
mod flow;
mod iterate;
mod loops;
mod objects;
mod operators;
mod overload;
mod resolve;
mod session;
mod sorting;
mod source;
mod special;
mod stmt;
mod subscript;
mod sugar;
mod text;

pub use check::check_types;
pub use source::Source;

use kiln_frontend::model::Archive;
use kiln_graph::Program;
use kiln_support::Diagnostic;

/// Types the program of an archive: its classes, its objects, and the functions that `methods` of the root
/// module reach (`forward` where `methods` is empty).
///
/// Errors are those of every reachable function, one per function.
pub fn load_archive(archive: &Archive, methods: &[String]) -> Result<Program, Vec<Diagnostic>> {
    let mut program = Program::default();
    let errors = {
        let mut session = session::Session::of_archive(&mut program, archive);
        session.load_root(archive, methods);
        session.run_queue();
        session.diagnostics
    };
    if errors.is_empty() { Ok(program) } else { Err(errors) }
}

/// A diagnostic about the model.
fn error(code: &'static str, message: impl Into<String>, at: kiln_support::Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::model(code, message).at(at))
}

/// A diagnostic about what kiln does not support.
fn unsupported(code: &'static str, message: impl Into<String>, at: kiln_support::Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::unsupported(code, message).at(at))
}

/// The error of what only fails because something else has: not worth a message.
fn follow_up() -> Box<Diagnostic> {
    Box::new(Diagnostic::model(FOLLOW_UP, ""))
}

/// The code of [`follow_up`].
const FOLLOW_UP: &str = "follow-up";
