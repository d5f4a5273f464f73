//! What the driver gives when it fails: diagnostics together with the texts they point into.

use kiln_support::{Diagnostic, Failure, SourceMap};
use std::fmt;

/// Why a model was not compiled or run: at least one diagnostic.
#[derive(Clone, Debug)]
pub struct Error {
    diagnostics: Vec<Diagnostic>,
    sources: Box<SourceMap>,
}

/// The result of a stage of the driver.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error whose diagnostics point into `sources`.
    pub fn new(diagnostics: Vec<Diagnostic>, sources: &SourceMap) -> Error {
        assert!(!diagnostics.is_empty(), "an error without a diagnostic");
        Error { diagnostics, sources: Box::new(sources.clone()) }
    }

    /// The diagnostics, the most important one first.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The error with every diagnostic changed.
    pub fn map(self, change: impl Fn(Diagnostic) -> Diagnostic) -> Error {
        Error { diagnostics: self.diagnostics.into_iter().map(change).collect(), sources: self.sources }
    }

    /// What is at fault: the command line or the model where any diagnostic says so.
    pub fn failure(&self) -> Failure {
        let has = |failure| self.diagnostics.iter().any(|d| d.failure == failure);
        [Failure::Usage, Failure::Model].into_iter().find(|&f| has(f)).unwrap_or(Failure::Unsupported)
    }

    /// The exit status of a process that fails with this error.
    pub fn exit_status(&self) -> u8 {
        self.failure().exit_status()
    }

    /// All diagnostics as text, each beginning with `error: `, and where to read more.
    pub fn render(&self, color: bool) -> String {
        let mut texts: Vec<String> = self.diagnostics.iter().map(|d| d.render(&self.sources, color)).collect();
        let mut codes: Vec<&str> = self.diagnostics.iter().map(|d| d.code.0).filter(|code| is_worth_reading(code)).collect();
        codes.dedup();
        texts.extend(codes.first().map(|code| format!("For more about this, run `kiln explain {code}`.")));
        texts.join("\n\n")
    }
}

/// Whether the long text of a code says more than the message.
fn is_worth_reading(code: &str) -> bool {
    !["raised", "file"].contains(&code) && crate::explain::explanation(code).is_some()
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Error {
        Error { diagnostics: vec![diagnostic], sources: Box::default() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_at_fault_before_kiln_is() {
        let unsupported = Diagnostic::unsupported("a", "x");
        let both = Error::new(vec![unsupported.clone(), Diagnostic::model("b", "y")], &SourceMap::default());
        assert_eq!(both.exit_status(), 1);
        assert_eq!(Error::from(unsupported).exit_status(), 3);
        assert!(both.to_string().starts_with("error: x"));
    }
}
