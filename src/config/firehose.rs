//! `[firehose]`: how long the event stream can be replayed.

use std::time::Duration;

use super::{ConfigError, kinds::Hours, section::section, source::Given};

/// How far back a subscriber may begin, in hours, unless a shorter `retain_hours` is set: a relay that was down over a
/// weekend finds everything that it missed.
const BACKFILL_HOURS: u64 = 72;

section! {
    /// How long the event stream can be replayed.
    Firehose = "firehose" () {
        /// How long events are kept.
        "retain_hours" retain: Duration as Hours = default("168");
        /// How far back a subscriber may begin.
        "backfill_hours" backfill: Duration as Hours = default(BACKFILL_HOURS.min(hours(retain)).to_string());
    }
}

const fn hours(time: Duration) -> u64 {
    time.as_secs() / 3_600
}

impl Firehose {
    pub(super) fn check(&self, given: &Given) -> Result<(), ConfigError> {
        if self.backfill <= self.retain {
            return Ok(());
        }
        let problem = format!(
            "is {}, which is more than retain_hours ({}): only events that are kept can be sent",
            hours(self.backfill),
            hours(self.retain)
        );
        Err(given.conflict("firehose", "backfill_hours", problem))
    }
}
