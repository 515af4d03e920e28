//! `[links]`: where people find terms and help.

use super::{
    kinds::{MailAddress, PageUrl},
    section::section,
};

section! {
    /// Where people find terms and help.
    Links = "links" () {
        /// The operator's address.
        contact_email: Option<String> as MailAddress = optional;
        /// Terms of service.
        terms: Option<String> as PageUrl = optional;
        /// Privacy policy.
        privacy: Option<String> as PageUrl = optional;
    }
}
