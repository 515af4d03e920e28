//! `[accounts]`: who may sign up.

use std::time::Duration;

use super::{
    kinds::{Count, Flag, Instant, Seconds},
    section::section,
};
use crate::{clock::Timestamp, service::SignUpRules};

section! {
    /// Who may sign up.
    Accounts = "accounts" () {
        /// Whether sign-up needs an invite code.
        invite_required: bool as Flag = default("true");
        /// Whether only the administrator makes accounts, and lets accounts move in.
        closed: bool as Flag = default("false");
        /// How long an account must be here for each invite code of its own; none: it gets none.
        "invite_interval_seconds" invite_interval: Option<Duration> as Seconds = optional;
        /// Time before this earns no codes.
        invite_epoch: Option<Timestamp> as Instant = optional;
        /// Sign-ups from one network address a day; 0: as many as there come.
        sign_ups_per_address: u64 as Count = default("50");
    }
}

impl Accounts {
    /// What the verbs need of it.
    pub(super) fn rules(&self) -> SignUpRules {
        SignUpRules {
            is_closed: self.closed,
            invite_interval: self.invite_interval,
            invite_epoch: self.invite_epoch.unwrap_or(Timestamp::EPOCH),
            per_address: u32::try_from(self.sign_ups_per_address).ok().filter(|most| *most > 0),
        }
    }
}
