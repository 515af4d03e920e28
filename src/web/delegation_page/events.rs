//! The history of a delegation as entries of a timeline.

use super::view::{Moment, Tone, fingerprint_of};
use crate::delegation::{
    Assessment, NamedKey,
    history::{Era, predecessor},
};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) tone: Tone,
    pub(super) title: &'static str,
    pub(super) at: Option<Moment>,
    pub(super) sentences: Vec<&'static str>,
    pub(super) key: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) statement: Option<String>,
    pub(super) operation: Option<String>,
}

/// Everything that happened, the oldest first, with what was undone.
pub(super) fn timeline(assessment: &Assessment) -> Vec<Event> {
    let eras = &assessment.eras;
    let mut events: Vec<Event> =
        eras.iter().enumerate().map(|(index, era)| event(era, predecessor(eras, index))).collect();
    for nullified in &assessment.verdict.nullified {
        let named = nullified.key.as_deref().map(NamedKey::new);
        let what = if named.is_some() {
            "A later operation by a stronger rotation key undid this one, which had named a key."
        } else {
            "A later operation by a stronger rotation key undid this one, which had removed the key."
        };
        events.push(Event {
            tone: Tone::Warn,
            title: "Undone",
            at: Some(Moment::from_text(nullified.at.clone())),
            sentences: vec![what],
            fingerprint: named.as_ref().and_then(fingerprint_of),
            key: nullified.key.clone(),
            statement: None,
            operation: Some(nullified.operation.to_string()),
        });
    }
    // Stable, so that the history of a did:web, which has no times, stays as it is.
    events.sort_by(|one, other| one.at.as_ref().map(|at| &at.iso).cmp(&other.at.as_ref().map(|at| &at.iso)));
    events
}

fn event(era: &Era, before: Option<&Era>) -> Event {
    let (tone, title) = headline(era, before);
    let mut sentences = vec![statement_sentence(era)];
    if era.server_held {
        sentences.push("A server could use this key.");
    }
    Event {
        tone,
        title,
        at: era.at.map(Moment::new),
        sentences,
        fingerprint: era.key.as_ref().and_then(fingerprint_of),
        key: era.key.as_ref().map(|key| key.as_str().to_owned()),
        statement: era.best_proof().map(|proof| proof.statement.to_string()),
        operation: era.operation.map(|operation| operation.to_string()),
    }
}

fn headline(era: &Era, before: Option<&Era>) -> (Tone, &'static str) {
    let Some(key) = &era.key else { return (if era.is_proven() { Tone::Plain } else { Tone::Warn }, "Ended") };
    let proven = if era.server_held || !era.is_proven() { Tone::Bad } else { Tone::Good };
    match before.and_then(|before| before.key.as_ref()) {
        None => (proven, "First key"),
        Some(previous) if previous == key => (proven, "The same key again"),
        Some(_) if era.is_endorsed() => (proven, "New key, endorsed by the key before"),
        Some(_) if proven == Tone::Bad => (Tone::Bad, "New key, not endorsed: a reset"),
        Some(_) => (Tone::Warn, "New key, not endorsed: a reset"),
    }
}

fn statement_sentence(era: &Era) -> &'static str {
    match (&era.key, era.is_proven()) {
        (Some(_), true) => "The key claimed this account with a statement.",
        (Some(_), false) => "No statement by this key holds.",
        (None, true) => "The last key signed a statement that ends the delegation.",
        (None, false) => "No key signed this end.",
    }
}
