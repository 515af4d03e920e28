//! A namespaced identifier. Spec: <https://atproto.com/specs/nsid>.
use super::{SyntaxError, is_domain_label, text_type};
use crate::limits::syntax::{LABEL_MAX_BYTES, NSID_MAX_BYTES};

text_type! {
    /// A namespaced identifier such as `com.atproto.repo.createRecord`. Spec: <https://atproto.com/specs/nsid>.
    Nsid, "NSID", check
}

impl Nsid {
    /// The domain that has authority over the name, in the order of DNS: `repo.atproto.com`.
    pub fn authority(&self) -> String {
        let mut labels: Vec<&str> = self.prefix().split('.').collect();
        labels.reverse();
        labels.join(".")
    }

    /// The authority in the order of the NSID: `com.atproto.repo`.
    pub fn prefix(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(prefix, _)| prefix)
    }

    /// The last segment: `createRecord`.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('.').map_or(&self.0, |(_, name)| name)
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > NSID_MAX_BYTES {
        return Err("it is longer than 317 characters");
    }
    let Some((authority, name)) = text.rsplit_once('.') else {
        return Err("it must have at least three parts between dots");
    };
    if !authority.contains('.') {
        return Err("it must have at least three parts between dots");
    }
    if !authority.split('.').all(is_domain_label) {
        return Err("each part of the domain must have 1 to 63 letters, digits and inner hyphens");
    }
    if !authority.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("the first part must begin with a letter");
    }
    if !(1..=LABEL_MAX_BYTES).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("the last part must have 1 to 63 letters and digits");
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("the last part must begin with a letter");
    }
    Ok(())
}
