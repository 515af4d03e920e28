//! did:web: there is no log, so the statements chain themselves, and the host that serves them can leave out what it
//! likes. This finds the chain that fits the present document.

use std::collections::{HashMap, HashSet};

use super::{
    DelegationId, NamedKey, Statement,
    anchor::Position,
    history::{Era, Proof, predecessor},
    proof::{Fault, Ignored, Proven, check_endorsement},
};
use crate::{ipld::Cid, limits::delegation as limits, syntax::Did};

/// What a did:web document says about a delegation.
#[derive(Clone, Copy, Debug)]
pub struct WebDocument<'a> {
    /// The did:key under the delegation id.
    pub key: Option<&'a str>,
    /// The did:keys that the server could use: that of `atproto`, to begin with.
    pub server_keys: &'a [String],
}

/// The statements of one id, chained.
#[derive(Debug)]
pub struct Chain<'a> {
    links: HashMap<Cid, Link<'a>>,
    ignored: Vec<Ignored>,
}

#[derive(Debug)]
struct Link<'a> {
    statement: &'a Statement,
    /// Statements before it, as far as they are known.
    depth: usize,
    endorsed: bool,
    /// Whether the chain reaches a first statement.
    whole: bool,
    /// The latest key at or before it.
    latest_key: Option<&'a NamedKey>,
}

impl<'a> Chain<'a> {
    /// Verifies the statements and chains them by `prev`.
    pub fn read(did: &Did, id: &DelegationId, statements: &'a [Statement]) -> Self {
        let mut chain = Self { links: HashMap::new(), ignored: Vec::new() };
        let mut waiting: HashMap<Option<Cid>, Vec<(Cid, &Statement)>> = HashMap::new();
        let mut known = HashSet::new();
        for (index, statement) in statements.iter().enumerate() {
            let cid = statement.cid();
            match within(index).and_then(|()| judge_alone(did, id, statement)) {
                // The same statement with another signature over the same bytes is the same statement.
                Ok(()) if known.insert(cid) => {
                    waiting.entry(statement.prev()).or_default().push((cid, statement));
                }
                Ok(()) => {}
                Err(fault) => chain.ignored.push(Ignored { statement: cid, fault }),
            }
        }
        let missing = |prev: &&Option<Cid>| prev.is_none_or(|prev| !known.contains(&prev));
        let mut ready: Vec<Option<Cid>> = waiting.keys().filter(missing).copied().collect();
        while let Some(prev) = ready.pop() {
            for (cid, statement) in waiting.remove(&prev).unwrap_or_default() {
                if chain.link(cid, statement) {
                    ready.push(Some(cid));
                }
            }
        }
        // What followed a statement that does not count hangs on nothing.
        let left = waiting.into_values().flatten();
        chain.ignored.extend(left.map(|(statement, _)| Ignored { statement, fault: Fault::PrevAbsent }));
        chain
    }

    /// The last statement of the longest chain: what the next one names as `prev`.
    pub fn head(&self) -> Option<Cid> {
        self.tip(|_| true)
    }

    /// The key that the last statement of the longest chain names: what a document that was edited since named before.
    pub fn last_key(&self) -> Option<&'a NamedKey> {
        self.links.get(&self.head()?)?.statement.key()
    }

    /// The latest key of the chain that ends with this statement, the key that endorses the next.
    pub fn latest_key(&self, head: &Cid) -> Option<&'a NamedKey> {
        self.links.get(head)?.latest_key
    }

    /// The latest key before `current` in the chain that ends with this statement: who could have endorsed `current`.
    pub fn key_before(&self, head: &Cid, current: Option<&NamedKey>) -> Option<&'a NamedKey> {
        let mut link = self.links.get(head);
        while let Some(here) = link {
            if here.statement.key() != current {
                return here.latest_key;
            }
            link = here.statement.prev().and_then(|prev| self.links.get(&prev));
        }
        None
    }

    /// The history that fits the document.
    pub fn prove(self, document: WebDocument<'_>) -> (Proven, WebPlace) {
        let named = document.key.map(NamedKey::new);
        let tip = self.tip(|link| link.statement.key() == named.as_ref()).or_else(|| self.head());
        let mut path = Vec::new();
        let mut next = tip;
        while let Some((cid, link)) = next.and_then(|cid| self.links.get_key_value(&cid)) {
            path.push((*cid, link));
            next = link.statement.prev();
        }
        path.reverse();
        let whole = path.last().is_none_or(|(_, link)| link.whole);
        let known = self.links.keys().copied().collect();
        let place = WebPlace { path: path.iter().map(|(cid, _)| *cid).collect(), eras: Vec::new(), known, whole };
        let (eras, place) = eras_of(&path, named, document.server_keys, place);
        (Proven { eras, ignored: self.ignored }, place)
    }

    fn tip(&self, wanted: impl Fn(&Link<'_>) -> bool) -> Option<Cid> {
        let fitting = self.links.iter().filter(|(_, link)| wanted(link));
        fitting.max_by_key(|(cid, link)| (link.whole, link.depth, **cid)).map(|(cid, _)| *cid)
    }

    fn link(&mut self, cid: Cid, statement: &'a Statement) -> bool {
        let before = statement.prev().and_then(|prev| self.links.get(&prev));
        let whole = statement.prev().is_none() || before.is_some_and(|before| before.whole);
        let latest = before.and_then(|before| before.latest_key);
        let endorsed = match check_endorsement(statement, latest) {
            Ok(endorsed) => endorsed,
            // Nobody knows whose endorsement it would be: the claim counts alone.
            Err(_) if before.is_none() && !whole && statement.key().is_some() => false,
            Err(fault) => {
                self.ignored.push(Ignored { statement: cid, fault });
                return false;
            }
        };
        let depth = before.map_or(0, |before| before.depth + 1);
        let latest_key = statement.key().or(latest);
        self.links.insert(cid, Link { statement, depth, endorsed, whole, latest_key });
        true
    }
}

/// Which statements the history was taken from, to find a remembered one in it.
#[derive(Debug)]
pub struct WebPlace {
    path: Vec<Cid>,
    /// The era of each statement of the path.
    eras: Vec<usize>,
    /// Every statement that holds, on the path or not.
    known: HashSet<Cid>,
    /// Whether the path begins with a first statement.
    pub whole: bool,
}

impl WebPlace {
    /// Whether a remembered statement is one that the host still shows, but not before the present.
    pub fn is_rolled_back(&self, statement: &Cid) -> bool {
        self.known.contains(statement) && !self.path.contains(statement)
    }

    /// Where a remembered statement lies; unknown is before everything, so that all changes count.
    pub fn position(&self, statement: Option<&Cid>) -> Position {
        let at = statement.and_then(|statement| self.path.iter().position(|cid| cid == statement));
        Position::After(at.and_then(|at| self.eras.get(at).copied()))
    }
}

fn eras_of(
    path: &[(Cid, &Link<'_>)],
    named: Option<NamedKey>,
    server_keys: &[String],
    mut place: WebPlace,
) -> (Vec<Era>, WebPlace) {
    let is_server_held = |key: Option<&NamedKey>| key.is_some_and(|key| server_keys.iter().any(|k| k == key.as_str()));
    let era = |key: Option<NamedKey>| Era {
        server_held: is_server_held(key.as_ref()),
        key,
        operation: None,
        at: None,
        proofs: Vec::new(),
    };
    let mut eras: Vec<Era> = Vec::new();
    for (order, (statement, link)) in path.iter().enumerate() {
        if eras.last().is_none_or(|last| last.key.as_ref() != link.statement.key()) {
            eras.push(era(link.statement.key().cloned()));
        }
        place.eras.push(eras.len() - 1);
        let endorser_held = predecessor(&eras, eras.len() - 1).is_some_and(|before| before.server_held);
        if let Some(era) = eras.last_mut().filter(|era| !era.server_held) {
            era.proofs.push(Proof { statement: *statement, endorsed: link.endorsed && !endorser_held, order });
        }
    }
    if eras.last().and_then(|last| last.key.as_ref()) != named.as_ref() {
        eras.push(era(named));
    }
    (eras, place)
}

fn judge_alone(did: &Did, id: &DelegationId, statement: &Statement) -> Result<(), Fault> {
    if statement.did() != did || statement.id() != id {
        return Err(Fault::OtherDelegation);
    }
    let Some(key) = statement.key() else { return Ok(()) };
    key.supported().map_err(|_| Fault::UnsupportedKey)?;
    if statement.is_claimed_by(key) { Ok(()) } else { Err(Fault::Claim) }
}

const fn within(index: usize) -> Result<(), Fault> {
    if index < limits::STATEMENTS_MAX_READ { Ok(()) } else { Err(Fault::TooMany) }
}
