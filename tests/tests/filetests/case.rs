//! One file: what it asks for, and whether what came out is what it expects.

use std::path::{Path, PathBuf};

/// A file test.
pub struct Case {
    /// Where it is.
    pub path: PathBuf,
    /// The first line's `test ...`.
    pub test: String,
    /// The text without what it expects.
    pub source: String,
    /// What begins a comment.
    mark: char,
    /// What comes after `expect:`.
    expected: Option<String>,
}

impl Case {
    /// Reads a file.
    pub fn read(path: &Path) -> Case {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mark = if path.extension().is_some_and(|ending| ending == "py") { '#' } else { ';' };
        let (source, expected) = match text.split_once(&format!("\n{mark} expect:\n")) {
            Some((source, expected)) => (source, Some(uncomment(expected, mark))),
            None => (text.as_str(), None),
        };
        let case =
            Case { path: path.to_owned(), test: String::new(), source: source.trim_end().to_owned() + "\n", mark, expected };
        let test =
            case.directive("test").next().unwrap_or_else(|| panic!("{}: no `{mark} test` line", path.display())).to_owned();
        Case { test, ..case }
    }

    /// The texts of the directives of a name, such as `check` for `; check: ...`; the colon may be left out.
    pub fn directive<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.source.lines().filter_map(move |line| {
            let rest = line.strip_prefix(self.mark)?.trim_start().strip_prefix(name)?;
            rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' ')).map(str::trim)
        })
    }

    /// Compares what came out; in blessing mode, writes it into the file instead.
    pub fn compare(&self, output: &str) -> Result<(), String> {
        if self.source.lines().any(|line| line.starts_with(&format!("{} check", self.mark))) {
            return self.check_lines(output);
        }
        if self.expected.as_deref() == Some(output) {
            return Ok(());
        }
        if std::env::var_os("KILN_BLESS").is_some() {
            return self.bless(output);
        }
        match &self.expected {
            Some(expected) => Err(difference(expected, output)),
            None => Err("it expects nothing yet: KILN_BLESS=1 writes what comes out".to_owned()),
        }
    }

    fn bless(&self, output: &str) -> Result<(), String> {
        let mut text = format!("{}\n{} expect:\n", self.source, self.mark);
        for line in output.lines() {
            text.push_str(format!("{} {line}", self.mark).trim_end());
            text.push('\n');
        }
        std::fs::write(&self.path, text).map_err(|error| error.to_string())
    }

    fn check_lines(&self, output: &str) -> Result<(), String> {
        let mut rest = output.lines();
        for wanted in self.directive("check") {
            if !rest.any(|line| line.contains(wanted)) {
                return Err(format!("no line (after those found before) contains `{wanted}`:\n{output}"));
            }
        }
        match self.directive("check-not").find(|refused| output.contains(refused)) {
            Some(refused) => Err(format!("a line contains `{refused}`:\n{output}")),
            None => Ok(()),
        }
    }
}

fn uncomment(text: &str, mark: char) -> String {
    let plain =
        |line: &str| line.strip_prefix(mark).map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest)).to_owned() + "\n";
    text.lines().map(plain).collect()
}

/// The two texts from the first line on that differs.
fn difference(expected: &str, output: &str) -> String {
    let same = expected.lines().zip(output.lines()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| text.lines().skip(same).map(|line| format!("    {line}\n")).collect::<String>();
    format!("  from line {} on, expected\n{}  found\n{}", same + 1, from(expected), from(output))
}
