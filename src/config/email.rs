//! `[email]`: how mail is sent.

use super::{
    ConfigError,
    kinds::{Sender, SmtpUrl},
    section::section,
    source::Given,
};
use crate::crypto::Secret;

section! {
    /// How mail is sent: both settings, or no mail.
    Email = "email" () {
        /// The mail server, credentials included.
        smtp_url: Option<Secret> as SmtpUrl = optional;
        /// The From address.
        from: Option<String> as Sender = optional;
    }
}

impl Email {
    pub(super) fn check(given: &Given) -> Result<(), ConfigError> {
        given.together("email", "smtp_url", "from")
    }
}
