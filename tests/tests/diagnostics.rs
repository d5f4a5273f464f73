//! Diagnostics: small models with a mistake, and what the command says about each.
//!
//! A case is two files under `tests/diagnostics`. `NAME.py` is a model as a user would write it; its first line has the command,
//! where `{out}` stands for an empty folder:
//!
//! ```text
//! # kiln: compile NAME.py --class Net --input 'x=f32[2,3]' -o {out}
//! ```
//!
//! `NAME.txt` has the exit status (`exit 1`), then all of standard error. `KILN_BLESS=1 cargo test -p kiln-tests --test
//! diagnostics` writes it; read the difference before keeping it. `KILN_DIAGNOSTICS=shape_` runs the cases whose name begins
//! with that. Folders under `tests/diagnostics` hold modules that cases import.
//!
//! `docs/errors-compared.md` quotes some of the messages: below a link to the case, after a line `kiln:`.

use assert_cmd::Command;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many cases there are at least: a folder that lost its files must not pass.
const FEWEST: usize = 40;

/// No message takes this long.
const PATIENCE: Duration = Duration::from_secs(120);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("diagnostics")
}

/// The names, without their ending, of the files in the folder that have this ending.
fn names(ending: &str) -> BTreeSet<String> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let chosen = paths.filter(|path| path.is_file() && path.extension().is_some_and(|own| own == ending));
    chosen.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

/// The words of a command line; single quotes hold words with blanks together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in line.trim().chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Runs a case; gives its exit status and what it said.
fn said(name: &str) -> Result<String, String> {
    let path = folder().join(format!("{name}.py"));
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let first = text.lines().next().unwrap_or_default();
    let line = first.strip_prefix("# kiln: ").ok_or("its first line is not `# kiln: COMMAND`")?;
    let out = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out_path = out.path().display().to_string();
    let arguments = words(line).into_iter().map(|word| word.replace("{out}", &out_path));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln-under-test"));
    command.current_dir(folder()).args(arguments).timeout(PATIENCE);
    let output = command.output().map_err(|error| error.to_string())?;
    let status = output.status.code().map_or_else(|| "by a signal".to_owned(), |code| code.to_string());
    let stderr = String::from_utf8_lossy(&output.stderr).replace("\r\n", "\n").replace(&out_path, "{out}");
    Ok(format!("exit {status}\n{}", stderr.replace("kiln-under-test", "kiln")))
}

/// Runs a case and compares what it said; in blessing mode, writes that down instead.
fn check(name: &str) -> Result<(), String> {
    let said = said(name)?;
    let golden = folder().join(format!("{name}.txt"));
    let expected = std::fs::read_to_string(&golden).ok().map(|text| text.replace("\r\n", "\n"));
    if expected.as_deref() == Some(said.as_str()) {
        return Ok(());
    }
    if std::env::var_os("KILN_BLESS").is_some() {
        return std::fs::write(&golden, said).map_err(|error| error.to_string());
    }
    match expected {
        Some(expected) => Err(difference(&expected, &said)),
        None => Err(format!("  there is no {name}.txt: KILN_BLESS=1 writes it\n")),
    }
}

/// The page that quotes messages, as it has to be: with those that are written down.
fn page_with_messages(page: &str) -> String {
    let (mut text, mut case, mut is_quote) = (String::new(), String::new(), false);
    for line in page.lines() {
        if is_quote && (line.is_empty() || line.starts_with("    ")) {
            continue;
        }
        if is_quote {
            is_quote = false;
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        if let Some((_, rest)) = line.split_once("](../tests/diagnostics/") {
            case = rest.split(".py").next().unwrap_or_default().to_owned();
        } else if line == "kiln:" {
            is_quote = true;
            text.push('\n');
            for said in message(&case).lines() {
                text.push_str(format!("    {said}").trim_end());
                text.push('\n');
            }
        }
    }
    text
}

/// What is written down for a case, without the exit status and the hint at `kiln explain`.
fn message(name: &str) -> String {
    let golden = std::fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap_or_default().replace("\r\n", "\n");
    let said = golden.split_once('\n').map_or("", |(_, said)| said);
    let end = said.find("\nFor more about this").unwrap_or(said.len());
    said[..end].trim_end().to_owned()
}

/// The two texts from the first line on that differs.
fn difference(expected: &str, found: &str) -> String {
    let same = expected.lines().zip(found.lines()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| text.lines().skip(same).map(|line| format!("    {line}\n")).collect::<String>();
    format!("  from line {} on, expected\n{}  found\n{}", same + 1, from(expected), from(found))
}

#[test]
fn every_mistake_is_reported_as_written_down() {
    let only = std::env::var("KILN_DIAGNOSTICS").unwrap_or_default();
    let (cases, goldens) = (names("py"), names("txt"));
    assert!(cases.len() >= FEWEST, "only {} cases in {}", cases.len(), folder().display());
    let mut wrong: Vec<String> =
        goldens.difference(&cases).map(|name| format!("{name}.txt\n  there is no {name}.py\n")).collect();
    let chosen: Vec<&String> = cases.iter().filter(|name| name.starts_with(&only)).collect();
    assert!(!chosen.is_empty(), "no case's name begins with `{only}`");
    for name in chosen {
        if let Err(difference) = check(name) {
            wrong.push(format!("{name}.py\n{difference}"));
        }
    }
    let path = folder().join("../../docs/errors-compared.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).replace("\r\n", "\n");
    let wanted = page_with_messages(&page);
    if page != wanted && std::env::var_os("KILN_BLESS").is_some() {
        std::fs::write(&path, wanted).expect("the page can be written");
    } else if page != wanted {
        wrong.push(format!("docs/errors-compared.md\n{}", difference(&wanted, &page)));
    }
    assert!(wrong.is_empty(), "{} cases differ:\n\n{}", wrong.len(), wrong.join("\n"));
}
