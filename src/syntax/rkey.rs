//! A record key. Spec: <https://atproto.com/specs/record-key>.
use super::{SyntaxError, Tid, text_type};
use crate::limits::syntax::RECORD_KEY_MAX_BYTES;

text_type! {
    /// A record key: 1 to 512 of `A-Z a-z 0-9 . - _ : ~`. Spec: <https://atproto.com/specs/record-key>.
    RecordKey, "record key", check
}

impl From<Tid> for RecordKey {
    fn from(tid: Tid) -> Self {
        Self(tid.to_string())
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    if !(1..=RECORD_KEY_MAX_BYTES).contains(&text.len()) {
        return Err("it must have 1 to 512 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'~')) {
        return Err("only letters, digits and . - _ : ~ are allowed");
    }
    if matches!(text, "." | "..") {
        return Err("\".\" and \"..\" are not allowed");
    }
    Ok(())
}
