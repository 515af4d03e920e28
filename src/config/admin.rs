//! `[admin]`: the operator's access over HTTP.

use super::{kinds::AnySecret, section::section};
use crate::crypto::Secret;

section! {
    /// The operator's access over HTTP.
    Admin = "admin" () {
        /// The password of `admin`; none: no administration over HTTP.
        password: Option<Secret> as AnySecret = optional;
    }
}
