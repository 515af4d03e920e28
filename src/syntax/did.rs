//! An account's permanent name. Spec: <https://atproto.com/specs/did>.
use super::{SyntaxError, is_domain_label, text_type};
use crate::limits::syntax::{DID_MAX_BYTES, HANDLE_MAX_BYTES};

text_type! {
    /// An account's permanent name; any method, at most 2,048 bytes. Spec: <https://atproto.com/specs/did>.
    Did, "DID", check
}

impl Did {
    /// The method name: `plc`, `web`, ….
    pub fn method(&self) -> &str {
        self.after_scheme().split_once(':').map_or("", |(method, _)| method)
    }

    /// What follows the method and its colon.
    pub fn identifier(&self) -> &str {
        self.after_scheme().split_once(':').map_or("", |(_, identifier)| identifier)
    }

    /// Whether this is a did:plc with 24 base32 characters.
    pub fn is_plc(&self) -> bool {
        self.0
            .strip_prefix("did:plc:")
            .is_some_and(|id| id.len() == 24 && id.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'2'..=b'7')))
    }

    /// Whether this is a did:web (hostname-only, as the protocol demands; a port only for `localhost`).
    pub fn is_web(&self) -> bool {
        let Some(host) = self.0.strip_prefix("did:web:") else { return false };
        if let Some(port) = host.strip_prefix("localhost%3A").or_else(|| host.strip_prefix("localhost%3a")) {
            return port.parse::<u16>().is_ok_and(|n| n > 0 && !port.starts_with(['0', '+']));
        }
        host == "localhost"
            || (host.contains('.') && host.len() <= HANDLE_MAX_BYTES && host.split('.').all(is_domain_label))
    }

    fn after_scheme(&self) -> &str {
        self.0.strip_prefix("did:").unwrap_or("")
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > DID_MAX_BYTES {
        return Err("it is longer than 2,048 bytes");
    }
    let Some(rest) = text.strip_prefix("did:") else { return Err("it must begin with \"did:\"") };
    let Some((method, identifier)) = rest.split_once(':') else {
        return Err("it must have the form did:method:identifier");
    };
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_lowercase()) {
        return Err("the method must be lower-case letters");
    }
    if identifier.is_empty() {
        return Err("the part after the method is empty");
    }
    if !identifier.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'%' | b'-')) {
        return Err("only letters, digits and . _ : % - may follow the method");
    }
    if identifier.ends_with([':', '%']) {
        return Err("it may not end with \":\" or \"%\"");
    }
    Ok(())
}
