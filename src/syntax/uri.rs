//! A URI of any scheme, as the lexicon format `uri` asks for it. Spec: <https://atproto.com/specs/lexicon#uri>.
use super::{SyntaxError, text_type};
use crate::limits::syntax::{URI_MAX_BYTES, URI_SCHEME_MAX_BYTES};

text_type! {
    /// A URI of any scheme, at most 8,192 bytes: shape only, nothing is resolved.
    Uri, "URI", check
}

impl Uri {
    /// The scheme, before the first colon.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > URI_MAX_BYTES {
        return Err("it is longer than 8,192 bytes");
    }
    let Some((scheme, rest)) = text.split_once(':') else { return Err("it must begin with a scheme and a colon") };
    if !(1..=URI_SCHEME_MAX_BYTES).contains(&scheme.len())
        || !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    {
        return Err("the scheme must be letters, digits and + - . and begin with a letter");
    }
    if rest.is_empty() || rest == "//" {
        return Err("nothing follows the scheme");
    }
    if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("it may not hold spaces or control characters");
    }
    Ok(())
}
