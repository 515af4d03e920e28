//! What is counted about a running server: handles that whoever does the work holds, and that a registry shows.
//!
//! Nothing here is global: each server has its own, so that two in one process do not mix. A handle is cheap to clone and
//! to count with; what must be looked up is looked up when somebody asks for the numbers.

mod audience;

pub use audience::{Audience, Position};

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::limits::meters::{GROUP_BUCKETS, SECONDS_BUCKETS};

/// An answer's labels. Methods are those of the table and `other`, statuses those that the server sends: both are few.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    method: &'static str,
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Calls of methods.
#[derive(Clone, Debug)]
pub struct Requests {
    answers: Family<Answer, Counter>,
    seconds: Family<Method, Histogram, fn() -> Histogram>,
    open: Gauge,
}

impl Default for Requests {
    fn default() -> Self {
        Self { answers: Family::default(), seconds: Family::new_with_constructor(seconds), open: Gauge::default() }
    }
}

/// A call that is being answered; it is open until this is dropped.
#[derive(Debug)]
pub struct OpenRequest {
    requests: Requests,
    method: &'static str,
}

impl Requests {
    /// A call of a method begins.
    pub fn begin(&self, method: &'static str) -> OpenRequest {
        self.open.inc();
        OpenRequest { requests: self.clone(), method }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("requests", "Answers to calls of methods", self.answers.clone());
        registry.register_with_unit(
            "request_duration",
            "From a call to its answer's head",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register("requests_open", "Calls that are being answered", self.open.clone());
    }
}

impl OpenRequest {
    /// It was answered.
    pub fn answered(&self, status: u16, after: Duration) {
        let Self { requests, method } = self;
        requests.answers.get_or_create(&Answer { method, status: status.into() }).inc();
        requests.seconds.get_or_create(&Method { method }).observe(after.as_secs_f64());
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.requests.open.dec();
    }
}

/// The database's writer.
#[derive(Clone, Debug)]
pub struct Writes {
    /// Writes that wait.
    pub queue: Gauge,
    /// Writes that shared a transaction.
    pub group: Histogram,
    /// How long a transaction's commit took, with its flush to the disk.
    pub commit: Histogram,
    /// Writes that were refused because too many waited.
    pub refused: Counter,
}

impl Default for Writes {
    fn default() -> Self {
        Self {
            queue: Gauge::default(),
            group: Histogram::new(GROUP_BUCKETS),
            commit: seconds(),
            refused: Counter::default(),
        }
    }
}

impl Writes {
    fn register(&self, registry: &mut Registry) {
        registry.register("write_queue", "Writes that wait for the database's writer", self.queue.clone());
        registry.register("write_group", "Writes that shared one transaction and one flush", self.group.clone());
        let help = "Commit of a transaction with its flush to the disk";
        registry.register_with_unit("write_commit_duration", help, Unit::Seconds, self.commit.clone());
        registry.register("writes_refused", "Writes refused because too many waited", self.refused.clone());
    }
}

/// How calls of somebody else ended.
#[derive(Clone, Debug, Default)]
pub struct Outcomes(Family<Outcome, Counter>);

impl Outcomes {
    /// One ended like this; the words are few.
    pub fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&Outcome { outcome }).inc();
    }
}

/// What a server counts about itself.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// Calls of methods.
    pub requests: Requests,
    /// Subscribers of the event stream.
    pub audience: Audience,
    /// What became of mails: queued, sent, attempts that failed, given up.
    pub mails: Outcomes,
}

/// Everything in one registry, under `housekey_`.
pub fn registry(meters: &Meters, writes: &Writes, plc: &Outcomes) -> Registry {
    let mut registry = Registry::with_prefix("housekey");
    meters.requests.register(&mut registry);
    writes.register(&mut registry);
    registry.register("mails", "Mails by what became of them; failed counts attempts", meters.mails.0.clone());
    registry.register("plc_requests", "Requests to the PLC directory by how they ended", plc.0.clone());
    registry
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS_BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn a_call_is_counted_by_method_and_status_and_is_open_until_it_is_dropped() {
        let (meters, writes) = (Meters::default(), Writes::default());
        let registry = registry(&meters, &writes, &Outcomes::default());
        let shown = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let call = meters.requests.begin("com.example.hello");
        let abandoned = meters.requests.begin("com.example.hello");
        call.answered(200, Duration::from_millis(30));
        assert!(shown().contains("housekey_requests_open 2"));
        drop((call, abandoned));
        let text = shown();
        assert!(text.contains(r#"housekey_requests_total{method="com.example.hello",status="200"} 1"#), "{text}");
        assert!(
            text.contains(r#"housekey_request_duration_seconds_bucket{le="0.05",method="com.example.hello"} 1"#),
            "{text}"
        );
        assert!(text.contains("housekey_requests_open 0"), "{text}");
    }
}
