//! What becomes of each published method here: served, passed on, or refused, and why. `docs/methods.md` shows it.
use super::methods;
use crate::lexicon::{MethodKind, published};
use std::collections::{BTreeMap, HashSet};

/// What becomes of a method that is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Another service answers it.
    Proxied,
    /// Nobody answers it here.
    Refused,
}

use Fate::{Proxied, Refused};

/// Methods that are not served, by their name or (with a dot at the end) their family. The longest entry counts.
const ELSEWHERE: &[(&str, Fate, &str)] = &[
    ("app.bsky.", Proxied, "the AppView answers it: the configured one, or the one that `atproto-proxy` names"),
    ("chat.bsky.", Proxied, "the chat service answers it"),
    ("tools.ozone.", Proxied, "the moderation service answers it"),
    ("com.atproto.label.", Proxied, "labelers publish labels; one that `atproto-proxy` names answers it"),
    ("com.atproto.moderation.createReport", Proxied, "the report service answers it"),
    ("com.atproto.sync.getHostStatus", Refused, "only relays know of hosts"),
    ("com.atproto.sync.listHosts", Refused, "only relays know of hosts"),
    ("com.atproto.sync.notifyOfUpdate", Refused, "it is for relays, and deprecated"),
    ("com.atproto.sync.requestCrawl", Refused, "it is for relays: a PDS asks it of them"),
    ("com.atproto.temp.fetchLabels", Refused, "it is deprecated; `com.atproto.label.queryLabels` took its place"),
    ("com.atproto.temp.requestPhoneVerification", Refused, "sign-up here asks for no telephone number"),
];

/// Published methods by name, with their kind.
fn known() -> BTreeMap<&'static str, MethodKind> {
    let kinds = published().names().map(|name| (name, published().get(name)));
    kinds.filter_map(|(name, document)| Some((name, document?.method()?.kind))).collect()
}

fn elsewhere(nsid: &str) -> Option<&'static (&'static str, Fate, &'static str)> {
    let fits = |name: &str| if name.ends_with('.') { nsid.starts_with(name) } else { nsid == name };
    ELSEWHERE.iter().filter(|(name, ..)| fits(name)).max_by_key(|(name, ..)| name.len())
}

/// The table as Markdown, one line per method.
pub fn table() -> String {
    let served: HashSet<&str> = methods().names().collect();
    let head = "| Method | Kind | Here | Why |\n| --- | --- | --- | --- |\n".to_owned();
    let row = |(nsid, kind): (&str, MethodKind)| {
        let kind = match kind {
            MethodKind::Query => "query",
            MethodKind::Procedure => "procedure",
            MethodKind::Subscription => "subscription",
        };
        let (here, why) = match elsewhere(nsid) {
            _ if served.contains(nsid) => ("served", ""),
            Some((_, Proxied, why)) => ("proxied", *why),
            Some((_, Refused, why)) => ("refused", *why),
            None => ("?", ""),
        };
        format!("| `{nsid}` | {kind} | {here} | {why} |\n")
    };
    known().into_iter().fold(head, |text, method| text + &row(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_method_is_served_or_has_a_reason_why_not() {
        let served: HashSet<&str> = methods().names().collect();
        let known = known();
        assert!(known.len() > 320, "{}", known.len());
        let lost: Vec<_> = known.keys().filter(|nsid| !served.contains(*nsid) && elsewhere(nsid).is_none()).collect();
        assert!(lost.is_empty(), "neither served nor listed in ELSEWHERE: {lost:?}");
        for (name, ..) in ELSEWHERE {
            let fits = |nsid: &&str| if name.ends_with('.') { nsid.starts_with(name) } else { nsid == name };
            assert!(known.keys().any(fits), "no method is named {name}");
        }
    }

    #[test]
    fn every_method_that_is_served_has_a_published_schema_of_its_kind() {
        let known = known();
        let unknown: Vec<_> = methods().names().filter(|name| !known.contains_key(name)).collect();
        assert!(unknown.is_empty(), "there is no schema of {unknown:?}");
    }

    /// The document may lag behind in one way: it may not say yet that a method is served by now.
    #[test]
    fn the_document_shows_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/methods.md");
        let document = std::fs::read_to_string(path).unwrap();
        let rows = |text: &str| {
            let lines = text.lines().filter(|line| line.starts_with("| `"));
            lines.map(|line| (line.split('`').nth(1).unwrap().to_owned(), line.to_owned())).collect::<BTreeMap<_, _>>()
        };
        let (shown, actual) = (rows(&document), rows(&table()));
        assert!(shown.keys().all(|nsid| actual.contains_key(nsid)), "the document shows methods that nobody published");
        for (nsid, row) in &actual {
            let is_new = row.contains("| served |") && !shown.get(nsid).is_some_and(|row| row.contains("| served |"));
            assert!(is_new || shown.get(nsid) == Some(row), "run: cargo run --example methods_table\n{row}");
        }
    }
}
