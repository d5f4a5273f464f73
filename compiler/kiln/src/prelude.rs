//! Decompositions for specialisation: the prelude's functions, parsed and typed when they are first asked for.
//!
//! In: the key of an operator. Out: a function of the program that is being specialised. Every file is parsed at most
//! once, every function typed at most once. The texts are in the caller's source map from the beginning, so that
//! spans inside decompositions can be shown like any other.
//!
//! Invariant: one `Prelude` serves one program.

use kiln_graph::{FuncId, OpId, Program};
use kiln_ops::prelude::{FILES, find};
use kiln_passes::specialise::Decompositions;
use kiln_support::{Diagnostic, FileId, SourceMap};
use kiln_typing::Source;

/// Adds the texts of all prelude files to a source map.
pub fn register(sources: &mut SourceMap) -> Vec<FileId> {
    FILES.iter().map(|file| sources.add(format!("kiln prelude {}", file.name), file.text)).collect()
}

/// The prelude of one program.
pub struct Prelude<'s> {
    sources: &'s SourceMap,
    /// The files' texts in `sources`.
    texts: &'s [FileId],
    parsed: Vec<Option<Source>>,
}

impl<'s> Prelude<'s> {
    /// A prelude whose texts were added to `sources` by [`register`].
    pub fn new(sources: &'s SourceMap, texts: &'s [FileId]) -> Prelude<'s> {
        Prelude { sources, texts, parsed: texts.iter().map(|_| None).collect() }
    }

    /// Types a function of a file into `program`. A mistake in the prelude is a bug in kiln and panics.
    fn typed(&mut self, file: usize, name: &str, program: &mut Program) -> FuncId {
        let (sources, text) = (self.sources, self.texts[file]);
        let source = self.parsed[file].get_or_insert_with(|| {
            let module = kiln_frontend::python::parse_module(sources, text).unwrap_or_else(|errors| broken(sources, &errors));
            Source::new(module, format!("kiln.{}", FILES[file].name.trim_end_matches(".py")))
        });
        source.function(name, program).unwrap_or_else(|errors| broken(sources, &errors))
    }
}

impl Decompositions for Prelude<'_> {
    fn function(&mut self, op: OpId, program: &mut Program) -> Result<Option<FuncId>, Vec<Diagnostic>> {
        let found = find(kiln_ops::table().key(op));
        Ok(found.map(|(file, name)| self.typed(file, name, program)))
    }
}

fn broken(sources: &SourceMap, errors: &[Diagnostic]) -> ! {
    let texts: Vec<String> = errors.iter().map(|error| error.render(sources, false)).collect();
    panic!("the prelude does not compile\n{}", texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decomposition_is_well_typed() {
        let mut sources = SourceMap::default();
        let texts = register(&mut sources);
        let mut program = Program::default();
        let mut prelude = Prelude::new(&sources, &texts);
        for key in kiln_ops::prelude::keys() {
            let op = kiln_ops::table().get(key);
            let func = prelude.function(op, &mut program).unwrap().unwrap();
            let (function, schema) = (&program.funcs[func], kiln_ops::table().schema(op));
            assert_eq!(function.params.len(), schema.args.len(), "`{key}` takes the arguments of its schema");
            assert_eq!(prelude.function(op, &mut program).unwrap(), Some(func), "`{key}` is typed once");
        }
    }
}
