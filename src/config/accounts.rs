//! `[accounts]`: who may sign up.

use super::{kinds::Flag, section::section};

section! {
    /// Who may sign up.
    Accounts = "accounts" () {
        /// Whether sign-up needs an invite code.
        invite_required: bool as Flag = default("true");
    }
}
