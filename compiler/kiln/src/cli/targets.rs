//! `kiln targets`: the table of targets.

use crate::target::{CPUS, TRIPLES, features, host_name};
use std::fmt::Write;

/// Prints the table.
pub fn targets() {
    super::print(&table());
}

fn table() -> String {
    let mut out = String::from("TARGET                      OBJECT   DEFAULT CPU\n");
    for entry in TRIPLES {
        let mark = if entry.name == host_name() { "  (this machine)" } else { "" };
        let _ = writeln!(out, "{:<27} {:<8} {}{mark}", entry.name, entry.format, entry.cpu);
    }
    for (is_x86, name) in [(true, "x86_64"), (false, "aarch64")] {
        let _ = writeln!(out, "\n{name} CPUs (and `native`: this machine's)");
        for cpu in CPUS.iter().filter(|cpu| cpu.is_x86 == is_x86) {
            let _ = writeln!(out, "  {:<12} {}", cpu.name, cpu.features.join(" "));
        }
        let _ = writeln!(out, "{name} features\n  {}", features(is_x86).join(" "));
    }
    out.truncate(out.trim_end().len());
    out
}
