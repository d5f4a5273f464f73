//! The tensor storages of an archive, read when a pickle first refers to them.

use super::broken;
use super::container::Container;
use super::globals::ElementType;
use super::pickle::StorageSource;
use crate::model::{Storage, StorageId};
use kiln_support::{Diagnostic, PrimaryMap};
use std::collections::HashMap;
use std::sync::Arc;

/// The storages of one pickle: those in its folder.
pub struct Storages<'c, 'a> {
    container: &'c mut Container<'a>,
    folder: &'c str,
    all: &'c mut PrimaryMap<StorageId, Storage>,
    by_key: HashMap<String, StorageId>,
}

impl<'c, 'a> Storages<'c, 'a> {
    /// Storages from `folder` (with its slash), added to `all`.
    pub fn new(container: &'c mut Container<'a>, folder: &'c str, all: &'c mut PrimaryMap<StorageId, Storage>) -> Self {
        Self { container, folder, all, by_key: HashMap::new() }
    }

    fn load(&mut self, key: &str, needed: usize) -> Result<StorageId, Diagnostic> {
        if let Some(&id) = self.by_key.get(key) {
            return Ok(id);
        }
        let record = format!("{}{key}", self.folder);
        // PyTorch does not write, and does not read, the record of an empty storage.
        let absent = needed == 0 && !self.container.has(&record);
        let bytes = if absent { Arc::new([]) } else { self.container.read_shared(&record)? };
        let id = self.all.push(Storage { bytes });
        self.by_key.insert(key.to_owned(), id);
        Ok(id)
    }
}

impl StorageSource for Storages<'_, '_> {
    fn storage(&mut self, key: &str, element: ElementType, count: i64) -> Result<StorageId, Diagnostic> {
        // An element of a type that kiln has not is of unknown size; it is never read.
        let size = element.map_or(1, kiln_support::DType::size);
        let needed = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
        let needed = needed.ok_or_else(|| broken(format!("the storage `{key}` claims {count} elements")))?;
        let id = self.load(key, needed)?;
        let there = self.all[id].bytes.len();
        if needed > there {
            return Err(broken(format!("the storage `{}{key}` should have {needed} bytes and has {there}", self.folder)));
        }
        Ok(id)
    }

    fn size(&self, id: StorageId) -> usize {
        self.all[id].bytes.len()
    }
}

/// For pickles that hold no tensors.
pub struct NoStorages;

impl StorageSource for NoStorages {
    fn storage(&mut self, key: &str, _: ElementType, _: i64) -> Result<StorageId, Diagnostic> {
        Err(broken(format!("it refers to the storage `{key}`")))
    }

    fn size(&self, _: StorageId) -> usize {
        0
    }
}
