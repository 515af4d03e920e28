//! `com.atproto.lexicon.*`
mod resolve_lexicon;
#[cfg(test)]
mod tests;

pub use resolve_lexicon::ResolveLexicon;
