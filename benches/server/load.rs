//! Sends requests over several connections at once and keeps every latency.

use super::{
    http::{Body, Connection},
    target::Target,
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so many requests in all.
    Count(u64),
    /// After so much time.
    Passed(Duration),
}

/// What a load did.
#[derive(Debug, Default)]
pub struct Measured {
    /// Answered with success.
    pub done: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// What went wrong, and how often.
    pub errors: BTreeMap<String, u64>,
    /// From the first request to the last answer.
    pub wall: Duration,
    /// CPU time of the server's process meanwhile.
    pub cpu: Option<Duration>,
    /// Microseconds of each, sorted.
    latencies: Vec<u32>,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.done as f64 / self.wall.as_secs_f64()
    }

    /// A latency in milliseconds: 0.5 is the median.
    pub fn latency_ms(&self, part: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        f64::from(self.latencies[(last as f64 * part).round() as usize]) / 1e3
    }

    /// Adds what another load did.
    pub fn merge(&mut self, other: Self) {
        self.done += other.done;
        self.bytes += other.bytes;
        self.wall += other.wall;
        for (what, times) in other.errors {
            *self.errors.entry(what).or_default() += times;
        }
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
    }

    /// CPU milliseconds of the server for each request.
    pub fn cpu_ms(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu.as_secs_f64() * 1e3 / self.done as f64)
    }

    /// Why this is no result.
    pub fn failure(&self) -> Option<String> {
        if self.errors.is_empty() && self.done > 0 {
            return None;
        }
        let errors: Vec<String> = self.errors.iter().map(|(what, times)| format!("{times}× {what}")).collect();
        Some(format!("{} answered, errors: {}", self.done, errors.join("; ")))
    }
}

/// Runs `make(connection, number)` over `connections` until it is enough. `number` counts over all connections.
pub async fn run(
    target: &Target,
    connections: usize,
    until: Until,
    body: Body,
    make: impl Fn(usize, u64) -> Rc<[u8]> + 'static,
) -> Measured {
    let local = tokio::task::LocalSet::new();
    let make = Rc::new(make);
    let next = Rc::new(Cell::new(0_u64));
    let all = Rc::new(RefCell::new(Measured::default()));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(target.address).await.expect("the server accepts connections"));
    }
    let cpu = target.process.map(super::process::Process::cpu);
    let started = Instant::now();
    for (index, mut connection) in open.into_iter().enumerate() {
        let (make, next, all) = (Rc::clone(&make), Rc::clone(&next), Rc::clone(&all));
        local.spawn_local(async move {
            let enough = |number: u64| match until {
                Until::Count(count) => number >= count,
                Until::Passed(span) => started.elapsed() >= span,
            };
            loop {
                let number = next.get();
                if enough(number) {
                    break;
                }
                next.set(number + 1);
                let request = make(index, number);
                let sent = Instant::now();
                let outcome = connection.call(&request, body).await;
                let took = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
                let mut all = all.borrow_mut();
                match outcome {
                    Ok(answer) if answer.status < 300 => {
                        all.done += 1;
                        all.bytes += answer.size;
                        all.latencies.push(took);
                    }
                    Ok(answer) => {
                        let text: String = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
                        *all.errors.entry(format!("{} {text}", answer.status)).or_default() += 1;
                    }
                    Err(cause) => {
                        *all.errors.entry(cause.to_string()).or_default() += 1;
                        break;
                    }
                }
            }
        });
    }
    local.await;
    let wall = started.elapsed();
    let mut measured = Rc::try_unwrap(all).expect("every task has ended").into_inner();
    measured.wall = wall;
    measured.cpu = cpu.and_then(|before| Some(target.process?.cpu().saturating_sub(before)));
    measured.latencies.sort_unstable();
    measured
}
