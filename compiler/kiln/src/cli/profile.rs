//! `kiln bench --profile`: where the time of a call goes.

use crate::driver::Model;
use crate::error::Result;
use crate::execute::{BoundCall, Session};
use kiln_loader::profile::Profile;
use kiln_schedule::instrument::Site;
use kiln_support::Diagnostic;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Rows of the table that is printed.
const SHOWN: usize = 20;

/// Measures calls for some seconds; writes every site to a JSON file and prints the costliest.
pub fn profile(file: &Path, session: &mut Session, model: &Model, call: &BoundCall, sites: &[Site], seconds: f64) -> Result<()> {
    let (profile, calls) = record(session, model, call, seconds)?;
    let rows: Vec<Row> = sites.iter().zip(&profile.sites).map(|(site, &time)| Row::new(site, time, calls)).collect();
    let total: f64 = rows.iter().map(|row| row.ms).sum();
    let all: Vec<Value> = rows.iter().map(|row| row.json(total)).collect();
    let text = json!({ "calls": calls, "ms": total, "sites": all }).to_string();
    let unwritable = |error| Diagnostic::model("file", format!("`{}` cannot be written: {error}", file.display()));
    std::fs::write(file, text).map_err(unwritable)?;
    super::print(&table(&merged(rows), total));
    Ok(())
}

/// Makes a call again and again for some seconds: the times of all calls together, and how many there were.
pub fn record(session: &mut Session, model: &Model, call: &BoundCall, seconds: f64) -> Result<(Profile, u64)> {
    let Session::Loaded(loaded) = session else {
        let error = Diagnostic::unsupported("profile", "kiln does not support profiles on an emulator");
        return Err(error.help("profile for this machine: leave --target out").into());
    };
    let args = loaded.arguments(model, call)?;
    let (mut profile, mut calls) = (Profile::default(), 0u64);
    let mut once = |profile: &mut Profile| -> Result<()> {
        let result = profile.record(|| loaded.raw_call(call, &args))?;
        loaded.release(result);
        Ok(())
    };
    // The first call touches the arena's pages.
    once(&mut Profile::default())?;
    let start = Instant::now();
    while calls == 0 || start.elapsed().as_secs_f64() < seconds {
        once(&mut profile)?;
        calls += 1;
    }
    loaded.finish(args, true);
    Ok((profile, calls))
}

/// A site's time in one call.
struct Row<'a> {
    name: &'a str,
    visits: f64,
    ms: f64,
    /// Multiply-adds of all visits.
    multiply_adds: Option<f64>,
}

/// Rows of one name as one, the costliest first.
fn merged(rows: Vec<Row>) -> Vec<Row> {
    let mut found: Vec<Row> = Vec::new();
    for row in rows {
        match found.iter_mut().find(|other| other.name == row.name) {
            Some(other) => {
                other.visits += row.visits;
                other.ms += row.ms;
                other.multiply_adds = other.multiply_adds.zip(row.multiply_adds).map(|(a, b)| a + b);
            }
            None => found.push(row),
        }
    }
    found.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    found
}

impl Row<'_> {
    fn new(site: &Site, (visits, time): (u64, Duration), calls: u64) -> Row<'_> {
        let visits = visits as f64 / calls as f64;
        Row {
            name: &site.name,
            visits,
            ms: time.as_secs_f64() * 1e3 / calls as f64,
            multiply_adds: site.multiply_adds.map(|n| n as f64 * visits),
        }
    }

    fn gflops(&self) -> Option<f64> {
        self.multiply_adds.filter(|_| self.ms > 0.0).map(|n| 2.0 * n / self.ms / 1e6)
    }

    fn json(&self, total: f64) -> Value {
        json!({ "name": self.name, "visits": self.visits, "ms": self.ms, "share": self.ms / total, "gflops": self.gflops() })
    }
}

fn table(rows: &[Row], total: f64) -> String {
    let mut lines = vec![format!("{:>9} {:>6} {:>8}  {total:.3} ms a call, marks included", "ms", "%", "GFLOP/s")];
    for row in rows.iter().take(SHOWN) {
        let gflops = row.gflops().map_or(String::new(), |g| format!("{g:.1}"));
        let times = if row.visits > 1.5 { format!(", {:.0} times", row.visits) } else { String::new() };
        lines.push(format!("{:>9.3} {:>6.1} {gflops:>8}  {}{times}", row.ms, 100.0 * row.ms / total, row.name));
    }
    lines.join("\n")
}
