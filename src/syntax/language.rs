//! A BCP-47 language tag: well-formed, and without repeated variants or extensions.
//! Spec: <https://atproto.com/specs/lexicon#language>, RFC 5646 section 2.
use super::{SyntaxError, text_type};
use crate::limits::syntax::LANGUAGE_MAX_BYTES;

text_type! {
    /// A BCP-47 language tag, at most 128 bytes; the text stays as it was written.
    Language, "language tag", check
}

/// RFC 5646's irregular tags, registered before the grammar was made. (The regular ones fit the grammar.)
const IRREGULAR: [&str; 17] = [
    "en-gb-oed",
    "i-ami",
    "i-bnn",
    "i-default",
    "i-enochian",
    "i-hak",
    "i-klingon",
    "i-lux",
    "i-mingo",
    "i-navajo",
    "i-pwn",
    "i-tao",
    "i-tay",
    "i-tsu",
    "sgn-be-fr",
    "sgn-be-nl",
    "sgn-ch-de",
];

fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > LANGUAGE_MAX_BYTES {
        return Err("it is longer than 128 bytes");
    }
    if IRREGULAR.iter().any(|tag| tag.eq_ignore_ascii_case(text)) {
        return Ok(());
    }
    let mut parts = text.split('-').peekable();
    if !text.split('-').all(|part| matches!(part.len(), 1..=8) && part.bytes().all(|b| b.is_ascii_alphanumeric())) {
        return Err("each part must have 1 to 8 letters and digits");
    }
    let first = parts.next().unwrap_or("");
    if first.eq_ignore_ascii_case("x") {
        return if parts.next().is_some() { Ok(()) } else { Err("nothing follows \"x-\"") };
    }
    if !matches!(first.len(), 2 | 3) || !first.bytes().all(|b| b.is_ascii_lowercase()) {
        return Err("it must begin with a language code of two or three lower-case letters");
    }
    // Extended languages (up to three), then script, then region: each at its place or not at all.
    for _ in 0..3 {
        if parts.next_if(|part| part.len() == 3 && is_alphabetic(part)).is_none() {
            break;
        }
    }
    parts.next_if(|part| part.len() == 4 && is_alphabetic(part));
    parts.next_if(|part| match part.len() {
        2 => is_alphabetic(part),
        3 => part.bytes().all(|b| b.is_ascii_digit()),
        _ => false,
    });
    check_variants(&mut parts)?;
    check_extensions(&mut parts)
}

fn is_alphabetic(part: &str) -> bool {
    part.bytes().all(|b| b.is_ascii_alphabetic())
}

type Parts<'a> = std::iter::Peekable<std::str::Split<'a, char>>;

fn check_variants(parts: &mut Parts<'_>) -> Result<(), &'static str> {
    let is_variant =
        |part: &&str| part.len() >= 5 || (part.len() == 4 && part.starts_with(|c: char| c.is_ascii_digit()));
    let mut seen: Vec<&str> = Vec::new();
    while let Some(variant) = parts.next_if(is_variant) {
        if seen.iter().any(|other| other.eq_ignore_ascii_case(variant)) {
            return Err("a variant is there twice");
        }
        seen.push(variant);
    }
    Ok(())
}

/// Extensions, each a single character and what belongs to it; `x` takes all the rest.
fn check_extensions(parts: &mut Parts<'_>) -> Result<(), &'static str> {
    let mut seen: Vec<&str> = Vec::new();
    while let Some(singleton) = parts.next() {
        if singleton.len() != 1 {
            return Err("its parts are not in the order language, script, region, variants, extensions");
        }
        if seen.iter().any(|other| other.eq_ignore_ascii_case(singleton)) {
            return Err("an extension is there twice");
        }
        seen.push(singleton);
        if parts.peek().is_none() {
            return Err("nothing follows the single-letter part");
        }
        if singleton.eq_ignore_ascii_case("x") {
            return Ok(());
        }
        if parts.next_if(|part| part.len() > 1).is_none() {
            return Err("nothing belongs to the single-letter part");
        }
        while parts.next_if(|part| part.len() > 1).is_some() {}
    }
    Ok(())
}
