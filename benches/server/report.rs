//! Figures, as JSON lines while they come and as a table at the end.

use serde_json::json;
use std::{collections::BTreeMap, fs::OpenOptions, io::Write as _, path::Path};

/// One thing that is measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    order: usize,
    phase: &'static str,
    what: String,
    unit: &'static str,
}

/// All figures of a run.
pub struct Report {
    figures: BTreeMap<Key, BTreeMap<String, Vec<f64>>>,
    order: BTreeMap<(&'static str, String), usize>,
    failures: Vec<String>,
    out: Option<std::fs::File>,
}

impl Report {
    pub fn new(out: Option<&Path>) -> Self {
        let out = out.map(|path| OpenOptions::new().create(true).append(true).open(path).unwrap());
        Self { figures: BTreeMap::new(), order: BTreeMap::new(), failures: Vec::new(), out }
    }

    /// Notes a figure of `target`.
    pub fn add(&mut self, target: &str, phase: &'static str, what: impl Into<String>, value: f64, unit: &'static str) {
        let what = what.into();
        let next = self.order.len();
        let order = *self.order.entry((phase, what.clone())).or_insert(next);
        println!("  {target}: {what} {} {unit}", shown(value));
        if let Some(out) = &mut self.out {
            let line = json!({"target": target, "phase": phase, "what": what, "value": value, "unit": unit});
            writeln!(out, "{line}").unwrap();
        }
        let key = Key { order, phase, what, unit };
        self.figures.entry(key).or_default().entry(target.to_owned()).or_default().push(value);
    }

    /// Notes why something has no figure; the run fails.
    pub fn fail(&mut self, target: &str, phase: &'static str, what: &str, why: &str) {
        let line = format!("{target}, {phase}, {what}: {why}");
        println!("  FAILED: {line}");
        self.failures.push(line);
    }

    pub fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// The table: medians, and ratios where another PDS was measured.
    pub fn print(&self) {
        let mut phase = "";
        println!();
        for (key, by_target) in &self.figures {
            if key.phase != phase {
                phase = key.phase;
                println!("\n{phase}");
            }
            let own = by_target.get(super::target::OWN).map(|values| median(values));
            let mut line = format!("  {:<58}", key.what);
            for (target, values) in by_target {
                let value = median(values);
                let spread = match values.as_slice() {
                    [_] | [] => String::new(),
                    _ => format!(" [{}–{}]", shown(least(values)), shown(most(values))),
                };
                line.push_str(&format!(" {target} {}{spread} {}", shown(value), key.unit));
                if let Some(own) = own.filter(|own| target != super::target::OWN && *own > 0.0) {
                    // How many times better Housekey is: of rates more is better, of all else less.
                    let times = if key.unit == "/s" { own / value } else { value / own };
                    line.push_str(&format!(" ({times:.1}×)"));
                }
            }
            println!("{line}");
        }
        for failure in &self.failures {
            println!("\nFAILED: {failure}");
        }
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

pub fn median(values: &[f64]) -> f64 {
    sorted(values)[values.len() / 2]
}

fn least(values: &[f64]) -> f64 {
    sorted(values)[0]
}

fn most(values: &[f64]) -> f64 {
    sorted(values)[values.len() - 1]
}

fn shown(value: f64) -> String {
    if value >= 1_000.0 {
        let whole = format!("{value:.0}");
        let mut text = String::new();
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}
