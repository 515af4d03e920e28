//! A handle, lower-cased. Spec: <https://atproto.com/specs/handle>.
use super::{SyntaxError, is_domain_label, text_type};
use crate::limits::syntax::HANDLE_MAX_BYTES;

/// Top-level domains that the specification keeps off the network. (`.test` is for development and allowed.)
const DISALLOWED_TLDS: [&str; 8] = ["local", "arpa", "invalid", "localhost", "internal", "example", "alt", "onion"];

text_type! {
    /// A handle, lower-cased: a domain name of at most 253 bytes. Spec: <https://atproto.com/specs/handle>.
    Handle, "handle", check, str::to_ascii_lowercase
}

impl Handle {
    /// Whether the TLD may not be used on the network (`.local`, `.arpa`, `.onion`, …; `.test` is allowed).
    pub fn has_disallowed_tld(&self) -> bool {
        self.0.rsplit('.').next().is_some_and(|tld| DISALLOWED_TLDS.contains(&tld))
    }

    /// The first label.
    pub fn first_label(&self) -> &str {
        self.0.split_once('.').map_or(&self.0, |(first, _)| first)
    }

    /// What follows the first dot.
    pub fn parent(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, parent)| parent)
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > HANDLE_MAX_BYTES {
        return Err("it is longer than 253 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')) {
        return Err("only letters, digits, hyphens and dots are allowed");
    }
    let Some((_, tld)) = text.rsplit_once('.') else {
        return Err("it must be a domain name with at least two parts");
    };
    if !text.split('.').all(is_domain_label) {
        return Err("each part must have 1 to 63 characters and neither begin nor end with a hyphen");
    }
    if !tld.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("the last part must begin with a letter");
    }
    Ok(())
}
