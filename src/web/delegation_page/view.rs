//! What the page shows, in the words in which it shows it.

use super::{
    events::{self, Event},
    qr::Qr,
};
use crate::{
    clock::Timestamp,
    delegation::{
        Assessment, DelegationId, NamedKey, Status,
        proof::{Fault, Ignored},
        safety_number::fingerprint,
    },
    limits::delegation as limits,
    store::Account,
};
use askama::Template;
use http::StatusCode;

/// The page about one delegation.
#[derive(Debug, Template)]
#[template(path = "delegation.html")]
pub(super) struct DelegationPage {
    pub(super) handle: String,
    pub(super) did: String,
    pub(super) id: String,
    /// What `housekey verify` is to be given.
    pub(super) actor: String,
    pub(super) status: StatusView,
    pub(super) notes: Vec<String>,
    pub(super) key: Option<KeyView>,
    pub(super) no_key: &'static str,
    /// Where the history comes from; none while there is none to show.
    pub(super) history: Option<&'static str>,
    pub(super) timeline: Vec<Event>,
    pub(super) left_out: usize,
    pub(super) ignored: Vec<IgnoredView>,
    /// The other account as it was asked for.
    pub(super) asked: String,
    pub(super) comparison: Comparison,
}

/// A page that says why there is no other.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) sentence: String,
}

/// How good something is: a colour, and a mark for those who do not see the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Plain,
    Warn,
    Bad,
}

/// The verdict in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatusView {
    pub(super) tone: Tone,
    pub(super) word: &'static str,
    pub(super) sentence: String,
}

/// The current key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyView {
    pub(super) text: String,
    pub(super) kind: Option<&'static str>,
    pub(super) fingerprint: Option<String>,
    pub(super) since: Option<Moment>,
    pub(super) statement: Option<String>,
    pub(super) qr: Option<Qr>,
}

/// An instant for machines and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) text: String,
}

/// A statement that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IgnoredView {
    pub(super) cid: String,
    pub(super) why: &'static str,
}

/// The safety number with another account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    NotAsked,
    /// Why there is none.
    Impossible(String),
    Number {
        with: String,
        /// Twelve groups of five digits.
        groups: Vec<String>,
        qr: Option<Qr>,
    },
}

impl DelegationPage {
    /// From what was concluded.
    pub(super) fn new(
        account: &Account,
        id: &DelegationId,
        assessment: &Assessment,
        asked: &str,
        comparison: Comparison,
    ) -> Self {
        let is_plc = account.did.is_plc();
        let mut timeline = events::timeline(assessment);
        let left_out = timeline.len().saturating_sub(limits::PAGE_TIMELINE_MAX);
        timeline.drain(..left_out);
        let status = status(assessment, id, is_plc);
        Self {
            handle: account.handle.to_string(),
            did: account.did.to_string(),
            id: id.to_string(),
            actor: if account.handle.as_str() == "handle.invalid" {
                account.did.to_string()
            } else {
                account.handle.to_string()
            },
            notes: notes(assessment),
            key: key(assessment),
            no_key: no_key(assessment.verdict.status),
            history: history(assessment, is_plc),
            status,
            timeline,
            left_out,
            ignored: assessment.ignored.iter().take(limits::PAGE_IGNORED_MAX).map(ignored).collect(),
            asked: asked.to_owned(),
            comparison,
        }
    }

    /// Whether there was anything to conclude from.
    pub(super) fn is_known(&self) -> bool {
        self.status.word != UNKNOWN
    }
}

impl Problem {
    pub(super) fn no_account(asked: &str) -> Self {
        let sentence = format!("There is no account {asked} on this server, or it is not active.");
        Self { status: StatusCode::NOT_FOUND, title: "No such account", sentence }
    }

    pub(super) fn wrong_parameters() -> Self {
        let sentence = "The parameter id must be a delegation id: a lower-case letter, then at most 31 lower-case \
                        letters, digits or underscores. Without it, e2ee is meant.";
        Self { status: StatusCode::BAD_REQUEST, title: "Not a delegation id", sentence: sentence.to_owned() }
    }

    pub(super) fn busy() -> Self {
        let sentence = "Many people are looking at such pages right now. Try again in a moment.".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, title: "Busy", sentence }
    }

    pub(super) fn failed() -> Self {
        let sentence = "Something went wrong on this server. Try again later.".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, title: "Not possible now", sentence }
    }
}

impl Tone {
    /// The class in the stylesheet.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Plain => "plain",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Plain => "–",
            Self::Warn => "!",
            Self::Bad => "✗",
        }
    }
}

impl Moment {
    pub(super) fn new(at: Timestamp) -> Self {
        Self::from_text(at.to_rfc3339_millis())
    }

    /// From the text form of an instant in UTC.
    pub(super) fn from_text(iso: String) -> Self {
        let text = match (iso.get(..10), iso.get(11..16)) {
            (Some(date), Some(time)) => format!("{date} {time} UTC"),
            _ => iso.clone(),
        };
        Self { iso, text }
    }
}

const UNKNOWN: &str = "Unknown";

fn status(assessment: &Assessment, id: &DelegationId, is_plc: bool) -> StatusView {
    let (tone, word, sentence) = match assessment.verdict.status {
        Status::None => (
            Tone::Plain,
            "No key",
            format!("This account never named a key for end-to-end encryption under the delegation id {id}."),
        ),
        Status::Verified => (
            if assessment.verdict.resets.is_empty() { Tone::Good } else { Tone::Warn },
            if assessment.verdict.resets.is_empty() { "Verified" } else { "Verified, after a reset" },
            "The DID document names this key, and the key itself signed a statement that it speaks for this account."
                .to_owned(),
        ),
        Status::Unproven => (
            Tone::Bad,
            "Unproven",
            "The DID document names this key, but no statement by the key bears it out. Do not encrypt to it."
                .to_owned(),
        ),
        Status::Mismatch => (Tone::Bad, "Mismatch", mismatch(assessment)),
        Status::Ended => (Tone::Warn, "Ended", ended(assessment).to_owned()),
        Status::Unavailable => (Tone::Warn, UNKNOWN, unavailable(is_plc).to_owned()),
    };
    StatusView { tone, word, sentence }
}

fn mismatch(assessment: &Assessment) -> String {
    if let Some(cause) = &assessment.log_error {
        return format!("The PLC directory served a log that does not verify, so nothing in it counts: {cause}.");
    }
    if assessment.eras.last().is_some_and(|era| era.server_held) {
        return "A server could use this key: it was among the account’s own keys. Do not encrypt to it.".to_owned();
    }
    "A statement that counts speaks of an operation that the log does not show: a part of the log is being hidden. Do \
     not encrypt to this key."
        .to_owned()
}

fn ended(assessment: &Assessment) -> &'static str {
    if assessment.eras.last().is_some_and(crate::delegation::history::Era::is_proven) {
        "The delegation was ended, and the last key signed a statement that says so. Do not encrypt to that key."
    } else {
        "The DID document names no key any more. No key signed that end: it is the server’s word alone. Do not encrypt to \
         an earlier key."
    }
}

const fn unavailable(is_plc: bool) -> &'static str {
    if is_plc {
        "The PLC directory could not be read just now, so nothing can be said about the key. Try again later."
    } else {
        "The DID document could not be read just now, so nothing can be said about the key. Try again later."
    }
}

const fn no_key(status: Status) -> &'static str {
    match status {
        Status::Unavailable => "Not known now.",
        Status::Mismatch => "None that counts.",
        Status::Ended => "None any more.",
        Status::None | Status::Verified | Status::Unproven => "None.",
    }
}

/// What a reader must know besides the word.
fn notes(assessment: &Assessment) -> Vec<String> {
    let verdict = &assessment.verdict;
    let mut notes = Vec::new();
    match verdict.resets.len() {
        0 => {}
        1 => notes.push("One key change was not endorsed by the key before it: a reset. Ask the owner.".to_owned()),
        resets => notes.push(format!(
            "{resets} key changes were not endorsed by the key before them: resets. Ask the owner about the latest."
        )),
    }
    match verdict.nullified.len() {
        0 => {}
        1 => notes.push("One change was undone later by a stronger rotation key.".to_owned()),
        count => notes.push(format!("{count} changes were undone later by a stronger rotation key.")),
    }
    if verdict.recent {
        notes.push("The key is less than 72 hours old: a stronger rotation key may still undo it.".to_owned());
    }
    if !verdict.complete && matches!(verdict.status, Status::Verified | Status::Ended) {
        notes.push("An earlier key has no statement that holds.".to_owned());
    }
    notes
}

/// A key of a log may be any text: only what a delegation may name has a kind and a fingerprint.
pub(super) fn fingerprint_of(key: &NamedKey) -> Option<String> {
    key.supported().ok().map(fingerprint)
}

fn key(assessment: &Assessment) -> Option<KeyView> {
    let named = assessment.key()?;
    let era = assessment.eras.last()?;
    Some(KeyView {
        text: named.as_str().to_owned(),
        kind: named.supported().ok().map(|key| key.key_type().name()),
        fingerprint: fingerprint_of(named),
        since: era.at.map(Moment::new),
        statement: assessment.statement().map(|cid| cid.to_string()),
        qr: Qr::of(named.as_str(), "QR code of the key"),
    })
}

fn history(assessment: &Assessment, is_plc: bool) -> Option<&'static str> {
    if assessment.log_error.is_some() || matches!(assessment.verdict.status, Status::Unavailable | Status::None) {
        return None;
    }
    Some(if is_plc {
        "From the account’s log in the PLC directory, oldest first; the directory says when."
    } else {
        "From the account’s own statements, oldest first. A did:web has no log: its host could have left something out."
    })
}

fn ignored(ignored: &Ignored) -> IgnoredView {
    let why = match ignored.fault {
        Fault::OtherDelegation => "It is about another account or delegation id.",
        Fault::UnsupportedKey => "Its key is of a kind that no delegation may name.",
        Fault::Claim => "Its key did not sign it.",
        Fault::Void => "It belongs to an operation that was nullified.",
        Fault::Nowhere => "The log does not name its key where it says.",
        Fault::PrevAbsent => "It follows something that is not there.",
        Fault::HiddenLog => "It follows an operation that the log does not show, and a key that counts signed it.",
        Fault::Endorsement => "Its endorsement is not by the key before.",
        Fault::ServerHeld => "A server could use its key.",
        Fault::TooMany => "It is one of too many to be looked at.",
    };
    IgnoredView { cid: ignored.statement.to_string(), why }
}
