//! `[limits]`: how much anybody may ask for.

use ipnet::IpNet;

use super::{
    Warning,
    kinds::{AnySecret, Bytes, Flag, Many, Network, Points},
    section::section,
    value::List,
};
use crate::{
    crypto::Secret,
    limits::config::BYPASS_KEY_SHORT_BYTES,
    store::Quota,
    throttle::{Mode, Settings},
};

section! {
    /// How much anybody may ask for.
    Limits = "limits" () {
        /// Whether requests are counted and refused when there are too many.
        enabled: bool as Flag = default("true");
        /// Points of an account's writes in an hour: a creation takes three, an update two, a deletion one.
        writes_per_hour: u32 as Points = default("5000");
        /// Points of an account's writes in a day.
        writes_per_day: u32 as Points = default("35000");
        /// Whose requests are not counted.
        bypass_addresses: Vec<IpNet> as List<Network> = default("");
        /// Whoever sends it in `X-RateLimit-Bypass` is not counted either.
        bypass_key: Option<Secret> as AnySecret = optional;
        /// Records that one account may have.
        account_records: u64 as Many = default("1000000");
        /// Bytes of all records of one account.
        account_record_bytes: u64 as Bytes = default("1073741824");
        /// Files that one account may have uploaded.
        account_blobs: u64 as Many = default("100000");
        /// Bytes of all files of one account.
        account_blob_bytes: u64 as Bytes = default("10737418240");
        /// The largest blob, in bytes.
        blob_bytes: u64 as Bytes = default("104857600");
        /// The largest repository that may be imported, in bytes.
        import_bytes: u64 as Bytes = default("1073741824");
    }
}

impl Limits {
    /// What the counting needs of it.
    pub fn throttle(&self) -> Settings {
        Settings {
            mode: if self.enabled { Mode::Enforced } else { Mode::Off },
            write_hour: Some(self.writes_per_hour),
            write_day: Some(self.writes_per_day),
            bypass_key: self.bypass_key.clone(),
            bypass_addresses: self.bypass_addresses.clone(),
        }
    }

    /// What each account may use.
    pub const fn quota(&self) -> Quota {
        Quota {
            records: Some(self.account_records),
            record_bytes: Some(self.account_record_bytes),
            blobs: Some(self.account_blobs),
            blob_bytes: Some(self.account_blob_bytes),
        }
    }

    pub(super) fn warn(&self, warnings: &mut Vec<Warning>) {
        if !self.enabled {
            warnings.push(Warning::new(
                "limits.enabled",
                "requests are not limited: passwords may be guessed at full speed",
            ));
        }
        if self.bypass_key.as_ref().is_some_and(|key| key.expose().len() < BYPASS_KEY_SHORT_BYTES) {
            warnings.push(Warning::new(
                "limits.bypass_key",
                "it is short enough to be guessed: openssl rand -hex 32 makes a good one",
            ));
        }
    }
}
