//! What is measured, a file for each group of phases.

mod blobs;
mod delegation;
mod firehose;
mod growth;
mod large;
mod many;
mod reads;
mod soak;
mod start;
mod writes;

use super::{
    Options,
    load::Measured,
    report::Report,
    target::{OWN, Own, Target},
};

/// All phases, in the order in which they run.
pub const NAMES: &[&str] = &[
    "generator",
    "startup",
    "accounts",
    "sessions",
    "writes",
    "reads",
    "sync",
    "blobs",
    "large",
    "growth",
    "firehose",
    "replay",
    "delegation",
    "idle",
    "overload",
    "memory",
];

/// Phases that run only when they are named.
pub const LONG: &[&str] = &["soak", "soak-kill"];

/// The names of all phases.
pub fn all() -> impl Iterator<Item = &'static str> {
    NAMES.iter().chain(LONG).copied()
}

/// A run.
pub struct Bench {
    pub options: Options,
    pub report: Report,
}

impl Bench {
    pub async fn run(&mut self) {
        for round in 1..=self.options.rounds {
            for phase in self.options.phases.clone() {
                println!("{phase}, round {round}");
                self.phase(&phase).await;
            }
        }
    }

    async fn phase(&mut self, name: &str) {
        match name {
            "generator" => self.generator().await,
            "startup" => self.startup(),
            "accounts" => self.on_each(async |bench, target| bench.accounts(target).await).await,
            "sessions" => self.on_each(async |bench, target| bench.sessions(target).await).await,
            "writes" => self.writes_of_all().await,
            "reads" => self.on_each(async |bench, target| bench.reads(target).await).await,
            "sync" => self.on_each(async |bench, target| bench.sync(target).await).await,
            "blobs" => self.on_each(async |bench, target| bench.blobs(target).await).await,
            "large" => self.large().await,
            "growth" => self.growth().await,
            "firehose" => self.on_each(async |bench, target| bench.firehose(target).await).await,
            "replay" => self.replay().await,
            "delegation" => self.delegation().await,
            "idle" => self.idle().await,
            "overload" => self.overload().await,
            "soak" => self.soak(None).await,
            "soak-kill" => self.soak(Some(std::time::Duration::from_secs(self.options.kill_every))).await,
            _ => self.memory().await,
        }
    }

    /// Housekey on an empty database, then the other PDS where one is given.
    async fn on_each(&mut self, phase: impl AsyncFn(&mut Self, &Target)) {
        let own = Own::start(self.options.dir.as_deref());
        phase(self, &own.target).await;
        drop(own);
        if let Some(url) = self.options.against.clone() {
            let other = Target::foreign(&url, self.options.against_pid, &self.options.against_domain);
            phase(self, &other).await;
        }
    }

    /// Notes a rate, or why there is none.
    fn rate(&mut self, target: &Target, phase: &'static str, what: &str, measured: &Measured) {
        if let Some(why) = measured.failure() {
            return self.report.fail(&target.name, phase, what, &why);
        }
        self.report.add(&target.name, phase, what, measured.per_second(), "/s");
        if let Some(cpu) = measured.cpu_ms() {
            self.report.add(&target.name, phase, format!("{what}, CPU each"), cpu, "ms");
        }
    }

    /// Notes median and 99th percentile, or why there are none.
    fn latency(&mut self, target: &Target, phase: &'static str, what: &str, measured: &Measured) {
        if let Some(why) = measured.failure() {
            return self.report.fail(&target.name, phase, what, &why);
        }
        self.report.add(&target.name, phase, format!("{what}, p50"), measured.latency_ms(0.5), "ms");
        self.report.add(&target.name, phase, format!("{what}, p99"), measured.latency_ms(0.99), "ms");
        if let Some(cpu) = measured.cpu_ms() {
            self.report.add(&target.name, phase, format!("{what}, CPU each"), cpu, "ms");
        }
    }

    /// Notes a figure of Housekey alone.
    fn own(&mut self, phase: &'static str, what: impl Into<String>, value: f64, unit: &'static str) {
        self.report.add(OWN, phase, what, value, unit);
    }
}

/// A number that no earlier account of this run had: rounds share the other PDS.
pub fn fresh_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
