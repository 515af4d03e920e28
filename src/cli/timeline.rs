//! A judged delegation as people read it: what happened when, then what that is worth.

use crate::{
    client::sources::Judged,
    clock::Timestamp,
    delegation::{
        Assessment, NamedKey, Status, Verdict, VsPin,
        history::{Era, resets},
        proof::Fault,
        safety_number::fingerprint,
        verdict::{Declaration, LogKind},
    },
};
use std::collections::BTreeMap;

/// Prints everything.
pub(super) fn print(judged: &Judged) {
    let (gathered, assessment) = (&judged.gathered, &judged.assessment);
    let handle = gathered.handle.as_ref().map_or_else(String::new, |handle| format!(" ({handle})"));
    println!("{}{handle}, delegation {}", gathered.did, gathered.id);
    if !assessment.eras.is_empty() || !assessment.verdict.nullified.is_empty() {
        println!();
        for (_, line) in events(assessment) {
            println!("{line}");
        }
    }
    print_ignored(assessment);
    print_associated(assessment);
    println!("\n{}", sentence(&assessment.verdict));
    for line in remarks(&assessment.verdict) {
        println!("  {line}");
    }
}

/// One line of the history for each change and each nullified operation, in the order of their times.
fn events(assessment: &Assessment) -> Vec<(Option<String>, String)> {
    let resets: Vec<usize> = resets(&assessment.eras).iter().map(|reset| reset.era).collect();
    let mut events: Vec<_> = assessment
        .eras
        .iter()
        .enumerate()
        .map(|(index, era)| {
            let at = era.at.map(Timestamp::to_rfc3339_millis);
            (at.clone(), event(at.as_deref(), era, index, resets.contains(&index)))
        })
        .collect();
    for nullified in &assessment.verdict.nullified {
        let key = nullified.key.as_deref().map_or_else(|| "no key".to_owned(), |key| short(&NamedKey::new(key)));
        events.push((
            Some(nullified.at.clone()),
            format!("  {}  NULLIFIED: {key} ({})", nullified.at, nullified.operation),
        ));
    }
    // Stable: what has no time stays in its order.
    events.sort_by(|(one, _), (other, _)| one.cmp(other));
    events
}

fn event(at: Option<&str>, era: &Era, index: usize, is_reset: bool) -> String {
    let at = at.unwrap_or("no time known           ");
    let Some(key) = &era.key else {
        let by = if era.is_proven() { "ended by the key" } else { "ended, by the server's word" };
        return format!("  {at}  {by}");
    };
    let how = match (index, is_reset) {
        _ if era.server_held => "a SERVER could use this key",
        (_, true) => "RESET: the key before did not endorse it",
        (0, false) => "first key",
        (_, false) if era.is_endorsed() => "endorsed by the key before",
        (_, false) => "the same key again",
    };
    let proof = if era.is_proven() { "" } else { ", NO STATEMENT by the key" };
    format!("  {at}  {}  {how}{proof}\n  {:24}  {}", short(key), "", key.as_str())
}

/// A key's fingerprint, or its text where it is of a kind that has none.
fn short(key: &NamedKey) -> String {
    key.supported().map_or_else(|_| key.as_str().to_owned(), fingerprint)
}

fn print_ignored(assessment: &Assessment) {
    let mut counts: BTreeMap<Fault, usize> = BTreeMap::new();
    for ignored in &assessment.ignored {
        *counts.entry(ignored.fault).or_default() += 1;
    }
    if !counts.is_empty() {
        println!("\nStatements that do not count:");
        for (fault, count) in counts {
            println!("  {count} × {}", why(fault));
        }
    }
}

const fn why(fault: Fault) -> &'static str {
    match fault {
        Fault::OtherDelegation => "about another account or delegation",
        Fault::UnsupportedKey => "its key is not supported",
        Fault::Claim => "not signed by its key",
        Fault::Void => "only a nullified operation bears it out",
        Fault::Nowhere => "the log does not name its key there",
        Fault::PrevAbsent => "its place is not in the log",
        Fault::HiddenLog => "its place is not in the log, though the key signed it: a part of the log is hidden",
        Fault::Endorsement => "its endorsement is not that of the key before",
        Fault::ServerHeld => "a server could use its key",
        Fault::TooMany => "more than are read",
    }
}

fn print_associated(assessment: &Assessment) {
    let associated = &assessment.associated;
    if associated.apps.is_empty() && associated.refused.is_empty() {
        return;
    }
    println!("\nAssociated data:");
    if let Some(domain) = &associated.domain {
        println!("  ask {domain}");
    }
    for (app, entry) in &associated.apps {
        let state = if entry.data().is_some() { "holds until" } else { "ended; kept until" };
        println!("  {app}: {state} {}", entry.expires_at());
    }
    for (app, fault) in &associated.refused {
        println!("  {app}: does not count ({fault:?})");
    }
}

/// The verdict in one sentence.
pub(super) const fn sentence(verdict: &Verdict) -> &'static str {
    match (verdict.status, verdict.log) {
        (Status::Verified, LogKind::Plc) => "VERIFIED: the key says itself that it speaks for this account.",
        (Status::Verified, LogKind::None) => {
            "VERIFIED, without a log: the key says that it speaks for this account, but the host can show others another one."
        }
        (Status::None, _) => "NONE: this account has no such delegation.",
        (Status::Unproven, _) => "UNPROVEN: the document names a key that never said so itself. Do not use it.",
        (Status::Mismatch, _) => "MISMATCH: something is being hidden, or a server could use the key. Do not use it.",
        (Status::Ended, _) => "ENDED: there is no key any more.",
        (Status::Unavailable, _) => "UNAVAILABLE: something could not be fetched, so nothing is known.",
    }
}

/// What else there is to say, the worst first.
pub(super) fn remarks(verdict: &Verdict) -> Vec<String> {
    let mut remarks = Vec::new();
    match verdict.vs_pin {
        VsPin::None => {}
        VsPin::Same => remarks.push("The key is the one that was remembered.".to_owned()),
        VsPin::Successor => {
            remarks.push("The key is another one than was remembered; every change since is endorsed.".to_owned());
        }
        VsPin::Interrupted if verdict.status == Status::Ended => {
            remarks.push("The key that was remembered is named no more.".to_owned());
        }
        VsPin::Interrupted => {
            remarks.push("WARNING: the key is the one that was remembered, but it was not all along.".to_owned());
        }
        VsPin::Reset => {
            remarks.push("WARNING: the key is another one than was remembered, and nobody endorsed that.".to_owned());
        }
        VsPin::Rollback => {
            remarks.push("WARNING: what was remembered is no longer in the history.".to_owned());
        }
    }
    match verdict.resets.len() {
        0 => {}
        1 => remarks.push(
            "WARNING: the key changed once without an endorsement. Ask the owner whether that was them.".to_owned(),
        ),
        count => remarks.push(format!(
            "WARNING: the key changed {count} times without an endorsement. Ask the owner whether that was them."
        )),
    }
    if !verdict.nullified.is_empty() {
        remarks.push("WARNING: an operation that changed the key was undone by a stronger rotation key.".to_owned());
    }
    if verdict.recent {
        remarks.push("The key is less than 72 hours old: a stronger rotation key may still undo it.".to_owned());
    }
    if verdict.status == Status::Verified && !verdict.complete {
        remarks.push("Not every key of the history has a statement.".to_owned());
    }
    match verdict.declaration {
        Declaration::Absent => {}
        Declaration::Match => {
            remarks.push("The account's com.germnetwork.declaration carries the same key.".to_owned());
        }
        Declaration::Differs => {
            remarks.push("The account's com.germnetwork.declaration carries another key.".to_owned());
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::outcome::unavailable;

    #[test]
    fn a_recent_key_is_said_without_a_warning() {
        let verdict = Verdict { status: Status::Verified, complete: true, recent: true, ..unavailable() };
        let said = remarks(&verdict);
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("72 hours") && !said[0].contains("WARNING"), "{said:?}");
    }

    #[test]
    fn what_breaks_with_the_remembered_key_is_a_warning() {
        for vs_pin in [VsPin::Interrupted, VsPin::Reset, VsPin::Rollback] {
            assert!(remarks(&Verdict { vs_pin, ..unavailable() })[0].contains("WARNING"), "{vs_pin:?}");
        }
        assert!(!remarks(&Verdict { vs_pin: VsPin::Successor, ..unavailable() })[0].contains("WARNING"));
    }

    #[test]
    fn a_verdict_without_a_log_says_so() {
        let web = Verdict { status: Status::Verified, ..unavailable() };
        assert!(sentence(&web).contains("without a log"));
        assert!(!sentence(&Verdict { log: LogKind::Plc, ..web }).contains("without a log"));
    }
}
