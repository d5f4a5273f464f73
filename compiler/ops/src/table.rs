//! The operator table: every schema PyTorch has, found by name.
//!
//! `schemas.txt` lists PyTorch's operators in the order of registration, which is the order overloads
//! are tried in. That list makes every call typable, so that an operator kiln has no entry for is
//! reported by its full name and place only where a program really reaches it.

use crate::schema::Schema;
use kiln_graph::OpId;
use kiln_graph::write::OpNames;
use std::collections::HashMap;
use std::sync::OnceLock;

/// All schemas.
pub struct Table {
    lines: Vec<&'static str>,
    by_name: HashMap<&'static str, Vec<OpId>>,
    by_key: HashMap<&'static str, OpId>,
    parsed: Vec<OnceLock<Schema>>,
}

/// PyTorch's schemas, one a line.
const PYTORCH: &str = include_str!("../schemas.txt");

/// kiln's own operators, which passes make and no program can name.
const INTERNAL: &str = include_str!("../internal_schemas.txt");

/// The table, made at first use.
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(Table::new)
}

impl Table {
    fn new() -> Table {
        let lines: Vec<&str> = PYTORCH.lines().chain(INTERNAL.lines()).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
        let (mut by_name, mut by_key) = (HashMap::<_, Vec<_>>::new(), HashMap::new());
        for (i, line) in lines.iter().enumerate() {
            let id = OpId(i as u32);
            let key = &line[..line.find('(').expect("a schema has arguments")];
            let name = &key[..key.find('.').unwrap_or(key.len())];
            by_name.entry(name).or_default().push(id);
            by_key.insert(key, id);
        }
        let parsed = lines.iter().map(|_| OnceLock::new()).collect();
        Table { lines, by_name, by_key, parsed }
    }

    /// The schema of an operator.
    pub fn schema(&self, op: OpId) -> &Schema {
        let at = op.0 as usize;
        self.parsed[at].get_or_init(|| Schema::parse(self.lines[at]).expect("schemas.txt holds valid schemas"))
    }

    /// The key of an operator (`aten::add.Tensor`), without parsing its schema.
    pub fn key(&self, op: OpId) -> &'static str {
        let line = self.lines[op.0 as usize];
        &line[..line.find('(').expect("a schema has arguments")]
    }

    /// All overloads of a name (`aten::add`), in the order they are tried.
    pub fn overloads(&self, name: &str) -> &[OpId] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The operator of a key (`aten::add.Tensor`).
    pub fn find(&self, key: &str) -> Option<OpId> {
        self.by_key.get(key).copied()
    }

    /// The operator of a key that is known to exist. Panics otherwise: a misspelt name inside kiln.
    pub fn get(&self, key: &str) -> OpId {
        self.find(key).unwrap_or_else(|| panic!("no operator `{key}` in the table"))
    }

    /// Every operator.
    pub fn ops(&self) -> impl Iterator<Item = OpId> + use<> {
        (0..self.lines.len() as u32).map(OpId)
    }

    /// Every name, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.by_name.keys().copied()
    }
}

impl OpNames for Table {
    fn op_name(&self, op: OpId) -> String {
        self.key(op).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_parses() {
        for op in table().ops() {
            assert_eq!(table().schema(op).key(), table().key(op));
        }
    }
}
