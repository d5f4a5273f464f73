//! Files that commands write: whole or not at all, and only where the user said.

use crate::error::Result;
use kiln_frontend::tensors_file::{InputValue, write_outputs};
use kiln_support::Diagnostic;
use std::io::Write;
use std::path::{Path, PathBuf};

fn unwritable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::model("file", format!("`{}` cannot be written: {error}", path.display()))
}

/// The folder that a file is in.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => ".".into(),
    }
}

/// Writes a file under a temporary name, then gives it its own.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| unwritable(path, &error);
    let mut file = tempfile::Builder::new().prefix(".kiln-").tempfile_in(folder(path)).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    publish(file.path(), path)?;
    // The temporary name is gone; there is nothing to remove.
    let _ = file.into_temp_path().keep();
    Ok(())
}

/// Gives a finished file its name, with the permissions that a plainly written file has.
fn publish(from: &Path, to: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o666 & !umask());
        std::fs::set_permissions(from, mode).map_err(|error| unwritable(to, &error))?;
    }
    Ok(std::fs::rename(from, to).map_err(|error| unwritable(to, &error))?)
}

#[cfg(unix)]
fn umask() -> u32 {
    // SAFETY: `umask` only exchanges a number; the old one is put back.
    unsafe {
        let mask = libc::umask(0o022);
        libc::umask(mask);
        mask
    }
}

/// Writes results to a `.json`, `.npz` or `.safetensors` file.
pub fn write_results(path: &Path, results: &[InputValue], is_sequence: bool) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Diagnostic::usage("file", format!("`{}` is not a file name", path.display())).into());
    };
    let scratch = tempfile::Builder::new().prefix(".kiln-").tempdir_in(folder(path)).map_err(|error| unwritable(path, &error))?;
    write_outputs(&scratch.path().join(name), results, is_sequence)?;
    // The tensors come first: a reader that sees the JSON file finds them.
    let mut parts = vec![path.to_path_buf()];
    if path.extension().is_some_and(|ending| ending == "json") {
        parts.insert(0, path.with_extension("safetensors"));
    }
    for part in parts {
        let from = scratch.path().join(part.file_name().unwrap_or(name));
        publish(&from, &part)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_is_left_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        write_file(&folder.path().join("a.o"), b"old").unwrap();
        write_file(&folder.path().join("a.o"), b"bytes").unwrap();
        write_results(&folder.path().join("out.json"), &[InputValue::Int(3)], false).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a.o", "out.json", "out.safetensors"]);
        assert_eq!(std::fs::read(folder.path().join("a.o")).unwrap(), b"bytes");
        assert!(write_file(&folder.path().join("missing/a.o"), b"").is_err());
    }
}
