//! How a relay stands to this server, and what that means in words. Pure.

use crate::outbound::{HostStatus, RelayError};

/// How a relay stands to this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has read everything.
    Current,
    /// So many numbers of the stream are ahead of it.
    Behind(i64),
    /// It has read numbers that this server has not given yet: the sequence here was rewound.
    Ahead(i64),
    /// It knows the host, but has read nothing.
    NothingRead,
    /// It reads, but slowly on purpose.
    Throttled,
    /// It gave up connecting.
    Offline,
    /// It refuses the host.
    Banned,
    /// It has never heard of the host.
    UnknownHost,
    /// It does not say.
    Unknown(RelayError),
}

impl Standing {
    /// From a relay's answer and the number of our latest event.
    pub fn of(answer: &Result<HostStatus, RelayError>, latest: i64) -> Self {
        let status = match answer {
            Ok(status) => status,
            Err(RelayError::UnknownHost(_)) => return Self::UnknownHost,
            Err(RelayError::Banned(_)) => return Self::Banned,
            Err(other) => return Self::Unknown(other.clone()),
        };
        let seq = status.seq.unwrap_or(0);
        match status.status.as_deref() {
            Some("banned") => Self::Banned,
            // A rewound sequence is what makes a relay give up, so it is told before that.
            _ if seq > latest => Self::Ahead(seq.saturating_sub(latest)),
            Some("throttled") => Self::Throttled,
            Some("offline") => Self::Offline,
            _ if seq == latest => Self::Current,
            _ if seq <= 0 => Self::NothingRead,
            _ => Self::Behind(latest.saturating_sub(seq)),
        }
    }

    /// A short name for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Behind(_) => "behind",
            Self::Ahead(_) => "ahead",
            Self::NothingRead => "nothingRead",
            Self::Throttled => "throttled",
            Self::Offline => "offline",
            Self::Banned => "banned",
            Self::UnknownHost => "unknownHost",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether posts from here arrive there.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Current | Self::Behind(_))
    }

    /// What it means, and what to do about it.
    pub fn words(&self) -> String {
        match self {
            Self::Current => "It has read everything.".to_owned(),
            Self::Behind(1) => "It has not read the latest event yet.".to_owned(),
            Self::Behind(by) => {
                format!(
                    "It is {by} numbers behind: it catches up if it is connected; if this number grows, request a crawl."
                )
            }
            Self::Ahead(by) => format!(
                "It has read {by} numbers more than were given here, so the sequence here was rewound, as by an older \
                 backup. It skips what is written here until the numbers have passed that point: restore the newest \
                 data, or ask the relay's operators to reset this host."
            ),
            Self::NothingRead => {
                "It knows this host but has read nothing yet: if that lasts, look whether the event stream can be \
                 reached from outside."
                    .to_owned()
            }
            Self::Throttled => {
                "It reads this host slowly on purpose, because of too many new accounts or events: its operators can \
                 raise the limit."
                    .to_owned()
            }
            Self::Offline => {
                "It could not connect to this host and has given up: make sure that the address can be reached from \
                 outside, then request a crawl."
                    .to_owned()
            }
            Self::Banned => "It has banned this host: only its operators can change that.".to_owned(),
            Self::UnknownHost => "It does not know this host: request a crawl.".to_owned(),
            Self::Unknown(cause) => format!("How it stands is not known, for {cause}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(seq: Option<i64>, status: &str) -> Standing {
        let status = HostStatus { seq, status: Some(status.to_owned()), account_count: None };
        Standing::of(&Ok(status), 100)
    }

    #[test]
    fn the_relays_number_is_compared_with_ours() {
        assert_eq!(standing(Some(100), "active"), Standing::Current);
        assert_eq!(standing(Some(93), "active"), Standing::Behind(7));
        assert_eq!(standing(Some(93), "idle"), Standing::Behind(7));
        assert_eq!(standing(Some(160), "active"), Standing::Ahead(60));
        assert_eq!(standing(None, "active"), Standing::NothingRead);
        assert_eq!(Standing::of(&Ok(HostStatus::default()), 0), Standing::Current);
        assert_eq!(standing(Some(i64::MIN), "active"), Standing::NothingRead);
    }

    #[test]
    fn the_cause_comes_before_the_number() {
        assert_eq!(standing(Some(3), "throttled"), Standing::Throttled);
        assert_eq!(standing(Some(3), "offline"), Standing::Offline);
        assert_eq!(standing(Some(300), "banned"), Standing::Banned);
        assert_eq!(standing(Some(300), "offline"), Standing::Ahead(200), "the rewind is why it is offline");
        let unknown = Standing::of(&Err(RelayError::UnknownHost("x".to_owned())), 100);
        assert_eq!((unknown.name(), unknown.is_good()), ("unknownHost", false));
        assert_eq!(Standing::of(&Err(RelayError::Banned("x".to_owned())), 100), Standing::Banned);
        let failed = Standing::of(&Err(RelayError::Unreachable("no address".to_owned())), 100);
        assert!(failed.words().contains("no address"), "{}", failed.words());
    }
}
