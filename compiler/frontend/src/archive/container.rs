//! The zip file around an archive: records by name, read within limits.

use super::{broken, in_record};
use kiln_support::Diagnostic;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;
use zip::read::{ZipFile, ZipReadOptions};
use zip::{CompressionMethod, ZipArchive};

/// Compressed records up to this size may have any ratio.
const SMALL: u64 = 1 << 20;
/// A larger compressed record of an archive may unpack to this many times its size: PyTorch compresses text only.
const MAX_RATIO: u64 = 200;
/// All compressed records together may unpack to this, or to [`MAX_TOTAL_RATIO`] times the file.
const MAX_TOTAL: u64 = 256 << 20;
const MAX_TOTAL_RATIO: u64 = 4;

/// An open archive.
pub struct Container<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Records by name within the top folder.
    records: BTreeMap<String, usize>,
    file_bytes: u64,
    /// What compressed records may still unpack to.
    unpacked_budget: u64,
    /// What stored records may still have: they do not overlap, so together no more than the file.
    stored_budget: u64,
    max_ratio: u64,
}

impl<'a> Container<'a> {
    /// Opens the zip of an archive and finds its top folder.
    pub fn open(bytes: &'a [u8], name: &str) -> Result<Container<'a>, Diagnostic> {
        if !bytes.starts_with(b"PK") {
            return Err(not_a_zip(bytes, name));
        }
        let mut container = Self::open_any(bytes, name)?;
        let Some(folder) = top_folder(container.records()) else {
            return Err(broken(format!("`{name}` is a zip file, but not a TorchScript archive: it has no `data.pkl`"))
                .help("save the model with `torch.jit.save(torch.jit.script(model), \"model.pt\")`"));
        };
        let within = |(record, index): (String, usize)| Some((record.strip_prefix(&folder)?.to_owned(), index));
        container.records = container.records.into_iter().filter_map(within).collect();
        container.max_ratio = MAX_RATIO;
        Ok(container)
    }

    /// Opens any zip; records have their full names.
    pub fn open_any(bytes: &'a [u8], name: &str) -> Result<Container<'a>, Diagnostic> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            broken(format!("`{name}` is not a complete zip file: {error}"))
                .help("the file is damaged or incomplete: copy it again")
        })?;
        let mut records = BTreeMap::new();
        for index in 0..zip.len() {
            if let Some(Ok(name)) = zip.name_for_index(index) {
                records.insert(name.into_owned(), index);
            }
        }
        let file_bytes = bytes.len() as u64;
        let unpacked_budget = MAX_TOTAL.max(file_bytes.saturating_mul(MAX_TOTAL_RATIO));
        Ok(Container { zip, records, file_bytes, unpacked_budget, stored_budget: file_bytes, max_ratio: u64::MAX })
    }

    /// Whether there is a record of this name.
    pub fn has(&self, record: &str) -> bool {
        self.records.contains_key(record)
    }

    /// The names of all records, sorted.
    pub fn records(&self) -> impl Iterator<Item = &str> + Clone {
        self.records.keys().map(String::as_str)
    }

    /// The bytes of a record.
    pub fn read(&mut self, record: &str) -> Result<Vec<u8>, Diagnostic> {
        let mut bytes = Vec::new();
        self.with_record(record, |file, size| {
            bytes.reserve_exact(size);
            file.take(size as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes.len() == size)
        })?;
        Ok(bytes)
    }

    /// The bytes of a record in shared memory, copied once.
    pub fn read_shared(&mut self, record: &str) -> Result<Arc<[u8]>, Diagnostic> {
        let mut shared: Arc<[u8]> = Arc::new([]);
        self.with_record(record, |file, size| {
            shared = std::iter::repeat_n(0, size).collect();
            let Some(bytes) = Arc::get_mut(&mut shared) else { return Ok(false) };
            file.read_exact(bytes)?;
            // The checksum is compared when the end is met.
            Ok(file.read(&mut [0])? == 0)
        })?;
        Ok(shared)
    }

    /// A record of UTF-8 text.
    pub fn read_text(&mut self, record: &str) -> Result<String, Diagnostic> {
        String::from_utf8(self.read(record)?).map_err(|_| in_record(record, broken("it is not UTF-8 text")))
    }

    /// Calls `read` with the open record and its size, which is within the limits; `read` says whether it found that
    /// many bytes.
    fn with_record(
        &mut self,
        record: &str,
        read: impl FnOnce(&mut ZipFile<'_, Cursor<&'a [u8]>>, usize) -> std::io::Result<bool>,
    ) -> Result<(), Diagnostic> {
        let Some(&index) = self.records.get(record) else {
            return Err(broken(format!("the archive has no record `{record}`"))
                .help("the file is incomplete: copy it again, or save it again with `torch.jit.save`"));
        };
        let fail = |reason: String| in_record(record, broken(reason));
        let entry = self.zip.by_index_data(index).map_err(|error| fail(error.to_string()))?;
        let (method, compressed, size) = (entry.compression(), entry.compressed_size(), entry.size());
        // A writer may leave the checksum out (`torch.serialization.set_crc32_options(False)`).
        let options = ZipReadOptions::new().ignore_crc32(entry.crc32() == 0);
        drop(entry);
        self.charge(method, compressed, size).map_err(fail)?;
        let size = usize::try_from(size).map_err(|error| fail(error.to_string()))?;
        let mut file = self.zip.by_index_with_options(index, options).map_err(|error| fail(error.to_string()))?;
        match read(&mut file, size) {
            Ok(true) => Ok(()),
            Ok(false) => Err(fail(format!("it has not the {size} bytes that the zip directory says"))),
            Err(error) => Err(fail(error.to_string())),
        }
    }

    /// Takes a record's size from what may still be read; says why it is refused.
    fn charge(&mut self, method: CompressionMethod, compressed: u64, size: u64) -> Result<(), String> {
        if compressed > self.file_bytes {
            return Err("the zip directory says that it is larger than the file".into());
        }
        let budget = match method {
            CompressionMethod::Stored if size != compressed => return Err("its two sizes differ".into()),
            CompressionMethod::Stored => &mut self.stored_budget,
            CompressionMethod::Deflated if size > SMALL && size / self.max_ratio > compressed => {
                return Err(format!("its {compressed} bytes claim to unpack to {size}"));
            }
            CompressionMethod::Deflated => &mut self.unpacked_budget,
            other => return Err(format!("it is compressed in a way PyTorch does not use ({other})")),
        };
        *budget = budget.checked_sub(size).ok_or("the records together are larger than the file allows")?;
        Ok(())
    }
}

/// The folder, with its slash, that holds `data.pkl`: the shortest, as there may be others in it.
fn top_folder<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Option<String> {
    let folder = |name: &'n str, last: &str| {
        let folder = name.strip_suffix(last)?;
        (folder.is_empty() || folder.ends_with('/')).then_some(folder)
    };
    let find = |last: &str| names.clone().filter_map(|name| folder(name, last)).min_by_key(|folder| folder.len());
    find("data.pkl").or_else(|| find("archive_format")).or_else(|| find("model.json")).map(str::to_owned)
}

/// Says what a file that is not a zip looks like.
fn not_a_zip(bytes: &[u8], name: &str) -> Diagnostic {
    const SCRIPT: &str = "save the model with `torch.jit.save(torch.jit.script(model), \"model.pt\")`";
    if bytes.is_empty() {
        return broken(format!("`{name}` is empty")).help(SCRIPT);
    }
    if bytes.starts_with(&[0x80, 2]) || bytes.get(257..262) == Some(b"ustar") {
        return broken(format!("`{name}` is a file of `torch.save` in its old format, not TorchScript")).help(SCRIPT);
    }
    if bytes.get(8) == Some(&b'{') {
        return broken(format!("`{name}` is a safetensors file: it holds weights, not a model"))
            .help(format!("{SCRIPT}, or compile the model's `.py` file with `--weights {name}`"));
    }
    broken(format!("`{name}` is not a TorchScript archive (not a zip file)")).help(SCRIPT)
}
