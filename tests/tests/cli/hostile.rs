//! Damaged and hostile archives: an error with a text, never a crash, and nothing is executed.

use super::{Outcome, Workspace, kiln, outcome};
use kiln_tests::{archive, archive_of, fixture};

const IDENTITY: &str = "def forward(self: __torch__.M,\n    x: int) -> int:\n  return x";

/// Checks a model whose bytes may be anything.
fn check(bytes: &[u8]) -> Outcome {
    let workspace = Workspace::with_archive(bytes);
    outcome(kiln().arg("check").arg(workspace.path("m.pt")))
}

fn assert_orderly(found: &Outcome, what: &str) {
    assert!(matches!(found.status, Some(0 | 1 | 3)), "{what}: {found:?}");
    assert!(found.status == Some(0) || found.first_line().starts_with("error: "), "{what}: {found:?}");
}

#[test]
fn truncated_archives_are_refused() {
    let whole = archive(IDENTITY);
    assert_eq!(check(&whole).status, Some(0));
    for len in (0..whole.len()).step_by(whole.len() / 40) {
        let found = check(&whole[..len]);
        assert_eq!(found.status, Some(1), "{len} bytes: {found:?}");
    }
}

#[test]
fn flipped_bits_are_met_with_an_error_or_nothing() {
    let whole = archive(IDENTITY);
    for at in (0..whole.len()).step_by(9) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert_orderly(&check(&bytes), &format!("byte {at}"));
    }
}

#[test]
fn flipped_bits_in_a_larger_model() {
    let whole = std::fs::read(fixture("digits/digits.pt")).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        assert_orderly(&check(&bytes), &format!("byte {at}"));
    }
}

#[test]
fn a_pickle_that_would_run_a_command_is_refused() {
    let marker = tempfile::tempdir().unwrap().path().join("marker");
    let command = format!("touch {}", marker.display());
    let pickle = format!(
        "\u{80}\u{2}cposix\nsystem\n(X{}{command}tR.",
        String::from_utf8((command.len() as u32).to_le_bytes().to_vec()).unwrap()
    );
    let pickle: Vec<u8> = pickle.chars().map(|c| c as u8).collect();
    let found = check(&archive_of(&pickle, b"class M(Module):\n  pass\n"));
    assert_eq!(found.status, Some(1), "{found:?}");
    assert!(found.stderr.contains("posix.system"), "{found:?}");
    assert!(!marker.exists());
}

#[test]
fn code_that_nests_without_end_is_refused() {
    let deep = |inner: &str| format!("def forward(self: __torch__.M,\n    x: int) -> int:\n  return {inner}");
    for (what, code) in [
        ("parentheses", deep(&format!("{}x{}", "(".repeat(50_000), ")".repeat(50_000)))),
        ("a chain", deep(&format!("x{}", " + x".repeat(50_000)))),
        ("minus signs", deep(&format!("{}x", "-".repeat(50_000)))),
        ("attributes", deep(&format!("x{}", ".y".repeat(50_000)))),
    ] {
        let found = check(&archive(&code));
        assert!(matches!(found.status, Some(1 | 3)), "{what}: {:?} {}", found.status, found.first_line());
        assert!(found.first_line().starts_with("error: "), "{what}: {}", found.first_line());
    }
}

#[test]
fn other_files_are_named_for_what_they_are_not() {
    for bytes in [&b""[..], b"not an archive", &[0; 4096], b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
        let found = check(bytes);
        assert_eq!(found.status, Some(1), "{found:?}");
        assert!(found.first_line().starts_with("error: "), "{found:?}");
    }
}
