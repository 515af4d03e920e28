//! `[admin]`: the operator's access over HTTP.

use std::net::SocketAddr;

use super::{
    Warning,
    kinds::{Address, AnySecret},
    section::section,
};
use crate::crypto::Secret;

section! {
    /// The operator's access over HTTP.
    Admin = "admin" () {
        /// The password of `admin`; none: no administration over HTTP.
        password: Option<Secret> as AnySecret = optional;
        /// Where `/metrics` is served; none: nowhere.
        listen: Option<SocketAddr> as Address = optional;
    }
}

impl Admin {
    pub(super) fn warn(&self, warnings: &mut Vec<Warning>) {
        if self.listen.is_some_and(|address| !address.ip().is_loopback()) {
            warnings.push(Warning::new(
                "admin.listen",
                "the numbers under /metrics have no password: whoever reaches this address can read them",
            ));
        }
    }
}
