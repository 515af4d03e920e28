//! The shape of a CID in any base and with any hash, as the lexicon format `cid` asks for it.
//! Links inside records are stricter: they are parsed into `ipld::Cid`.
use super::{SyntaxError, text_type};
use crate::limits::syntax::CID_TEXT_BYTES;

text_type! {
    /// A text with the shape of a version 1 CID: 8 to 256 characters of a multibase alphabet.
    CidText, "CID", check
}

fn check(text: &str) -> Result<(), &'static str> {
    if !CID_TEXT_BYTES.contains(&text.len()) {
        return Err("it must have 8 to 256 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'=')) {
        return Err("only letters, digits, \"+\" and \"=\" are allowed");
    }
    if text.starts_with("Qm") {
        return Err("version 0 is not supported");
    }
    Ok(())
}
