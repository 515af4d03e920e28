//! `[secrets]`: keys of the server itself. Each is made and kept when it is not configured.

use super::{
    Warning,
    kinds::{AnySecret, SealingKey},
    section::section,
};
use crate::{
    crypto::{Secret, seal::MasterKey},
    limits::config::JWT_SECRET_SHORT_BYTES,
};

section! {
    /// Keys of the server itself.
    Secrets = "secrets" () {
        /// Seals secrets at rest; none: `data_dir/master.key`.
        master_key: Option<MasterKey> as SealingKey = optional;
        /// Its bytes are the HS256 key of session tokens.
        jwt_secret: Option<Secret> as AnySecret = optional;
    }
}

impl Secrets {
    pub(super) fn warn(&self, warnings: &mut Vec<Warning>) {
        if self.jwt_secret.as_ref().is_some_and(|secret| secret.expose().len() < JWT_SECRET_SHORT_BYTES) {
            warnings.push(Warning::new(
                "secrets.jwt_secret",
                format!(
                    "it has fewer than {JWT_SECRET_SHORT_BYTES} bytes and might be guessed (openssl rand -hex 32 makes one)"
                ),
            ));
        }
    }
}
