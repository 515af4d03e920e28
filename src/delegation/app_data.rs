//! Associated data: what a peer needs next, one entry per app, signed by the delegate key.

use std::collections::BTreeMap;

use super::{
    DelegationError, DelegationId, NamedKey,
    shape::{Fields, ShapeError},
};
use crate::{
    clock::Timestamp,
    crypto::{DelegateKey, DelegateSigningKey},
    ipld::{Map, Value, cbor, json},
    limits::delegation as limits,
    syntax::{Datetime, Did, Handle, Nsid, RecordKey, Tid},
};

/// `$type` of an entry; inside the signed bytes.
pub const APP_DATA_TYPE: &str = "dev.housekey.delegation.defs#appData";
/// The collection that entries are kept in.
pub const APP_DATA_COLLECTION: &str = "dev.housekey.delegation.data";
/// The app whose entry names the host to ask.
pub const DOMAIN_APP: &str = "dev.housekey.delegation.domain";

/// What an entry says, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppDataDraft {
    /// The account.
    pub did: Did,
    /// The delegation id.
    pub id: DelegationId,
    /// The app.
    pub app: Nsid,
    /// Greater than that of the entry before.
    pub rev: Tid,
    /// What the app says; none ends the entry.
    pub data: Option<Map>,
    /// Until when it holds; cut to milliseconds.
    pub expires_at: Timestamp,
}

impl AppDataDraft {
    /// Signs with the delegate key.
    pub fn sign(self, key: &DelegateSigningKey) -> AppData {
        let Self { did, id, app, rev, data, expires_at } = self;
        let key_name = NamedKey::from(key.public());
        let expires_at = Datetime::from(expires_at);
        let mut entry = AppData { did, id, key: key_name, app, rev, data, expires_at, sig: Vec::new() };
        entry.sig = key.sign(&entry.signed_bytes()).to_vec();
        entry
    }
}

/// An entry of the right shape. That its signature holds is not said by this type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppData {
    did: Did,
    id: DelegationId,
    key: NamedKey,
    app: Nsid,
    rev: Tid,
    data: Option<Map>,
    expires_at: Datetime,
    sig: Vec<u8>,
}

impl AppData {
    /// From the data model: a closed map in which every field has its shape.
    ///
    /// # Errors
    /// [`ShapeError`] says which field is wrong.
    pub fn from_map(map: &Map) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(map, APP_DATA_TYPE)?;
        let key = NamedKey::parse(fields.text("key")?).ok_or_else(|| ShapeError::new("key must be a did:key"))?;
        let entry = Self {
            did: fields.parsed("did")?,
            id: fields.parsed("id")?,
            key,
            app: fields.parsed("app")?,
            rev: fields.parsed("rev")?,
            data: fields.optional("data").map(read_data).transpose()?,
            expires_at: fields.time("expiresAt")?,
            sig: fields.signature("sig")?.ok_or_else(|| ShapeError::new("sig is missing"))?,
        };
        fields.done()?;
        if entry.app.as_str() == DOMAIN_APP && entry.data.is_some() && entry.domain().is_none() {
            return Err(ShapeError::new(
                "the data of the domain app must be {domain} with a public DNS name in lower case: no port, no IP address",
            ));
        }
        Ok(entry)
    }

    /// From JSON of the data model.
    ///
    /// # Errors
    /// [`ShapeError`] says what is wrong.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, ShapeError> {
        Self::from_map(&json::map_from_json(json).map_err(|cause| ShapeError::new(cause.to_string()))?)
    }

    /// From a record of [`APP_DATA_COLLECTION`].
    ///
    /// # Errors
    /// [`ShapeError`] says what is wrong.
    pub fn from_record(record: &Map) -> Result<Self, ShapeError> {
        super::shape::unwrap_record(record, APP_DATA_COLLECTION, "entry").and_then(Self::from_map)
    }

    /// In the data model.
    pub fn to_map(&self) -> Map {
        let mut map = self.unsigned_map();
        map.insert("sig", self.sig.clone());
        map
    }

    /// As JSON of the data model.
    pub fn to_json(&self) -> serde_json::Value {
        json::to_json(&Value::Map(self.to_map()))
    }

    /// As a record of [`APP_DATA_COLLECTION`].
    pub fn to_record(&self) -> Map {
        super::shape::wrap_record(self.to_map(), APP_DATA_COLLECTION, "entry")
    }

    /// The key of its record: the id and the app.
    #[expect(clippy::expect_used, reason = "an id, a colon and an NSID are 350 characters that a record key may have")]
    pub fn record_key(&self) -> RecordKey {
        format!("{}:{}", self.id, self.app).parse().expect("a record key")
    }

    /// What is signed: DAG-CBOR of the map without `sig`.
    pub fn signed_bytes(&self) -> Vec<u8> {
        cbor::encode(&Value::Map(self.unsigned_map()))
    }

    /// The account.
    pub const fn did(&self) -> &Did {
        &self.did
    }

    /// The delegation id.
    pub const fn id(&self) -> &DelegationId {
        &self.id
    }

    /// The delegate key that signs it.
    pub const fn key(&self) -> &NamedKey {
        &self.key
    }

    /// The app.
    pub const fn app(&self) -> &Nsid {
        &self.app
    }

    /// Its revision.
    pub const fn rev(&self) -> Tid {
        self.rev
    }

    /// What the app says; none when the entry is ended.
    pub const fn data(&self) -> Option<&Map> {
        self.data.as_ref()
    }

    /// Until when it holds.
    pub const fn expires_at(&self) -> &Datetime {
        &self.expires_at
    }

    /// The host that an entry of the domain app names.
    pub fn domain(&self) -> Option<&str> {
        let data = self.data.as_ref().filter(|data| self.app.as_str() == DOMAIN_APP && data.len() == 1)?;
        data.get("domain")?.as_text().filter(|text| is_public_dns_name(text))
    }

    /// Whether `sig` is the key's own.
    pub fn is_signed(&self) -> bool {
        self.key.signed(&self.signed_bytes(), &self.sig)
    }

    fn unsigned_map(&self) -> Map {
        let mut map = Map::new();
        map.insert("$type", APP_DATA_TYPE);
        map.insert("did", self.did.as_str());
        map.insert("id", self.id.as_str());
        map.insert("key", self.key.as_str());
        map.insert("app", self.app.as_str());
        map.insert("rev", self.rev.to_string());
        if let Some(data) = &self.data {
            map.insert("data", data.clone());
        }
        map.insert("expiresAt", self.expires_at.as_str());
        map
    }
}

/// Why a reader does not take an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AppDataFault {
    /// It is about another account or id.
    OtherDelegation,
    /// Another key than the current one signs it.
    OtherKey,
    /// The signature is not the key's.
    Signature,
    /// `rev` is more than five minutes ahead.
    RevAhead,
    /// `expiresAt` is more than 90 days ahead.
    ExpiresTooLate,
    /// It has expired.
    Expired,
    /// A later one was seen before.
    Replayed,
}

impl AppDataFault {
    const fn sentence(self) -> &'static str {
        match self {
            Self::OtherDelegation => "did and id must be those of the delegation",
            Self::OtherKey => "key must be the current key",
            Self::Signature => "sig is not the key's",
            Self::RevAhead => "rev is more than five minutes ahead",
            Self::ExpiresTooLate => "expiresAt may be at most 90 days ahead",
            Self::Expired => "expiresAt has passed",
            Self::Replayed => "rev is lower than one seen before",
        }
    }
}

/// Verifies one entry under the current key, against the highest `rev` seen for its app.
///
/// # Errors
/// [`AppDataFault`]: such an entry is to be ignored.
pub fn check_entry(
    entry: &AppData,
    (did, id): (&Did, &DelegationId),
    key: &DelegateKey,
    seen: Option<Tid>,
    now: Timestamp,
) -> Result<(), AppDataFault> {
    if entry.did != *did || entry.id != *id {
        return Err(AppDataFault::OtherDelegation);
    }
    if entry.key.supported() != Ok(key) {
        return Err(AppDataFault::OtherKey);
    }
    if entry.rev.timestamp() > now.plus(limits::APP_DATA_REV_MAX_AHEAD) {
        return Err(AppDataFault::RevAhead);
    }
    let expires_at = entry.expires_at.timestamp();
    if expires_at <= now {
        return Err(AppDataFault::Expired);
    }
    // Both clocks may differ by as much as is forgiven for a rev.
    if expires_at > now.plus(limits::APP_DATA_MAX_LIFETIME).plus(limits::APP_DATA_REV_MAX_AHEAD) {
        return Err(AppDataFault::ExpiresTooLate);
    }
    if seen.is_some_and(|seen| entry.rev < seen) {
        return Err(AppDataFault::Replayed);
    }
    if entry.is_signed() { Ok(()) } else { Err(AppDataFault::Signature) }
}

/// What a reader gets from entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Associated {
    /// The host to ask; none means the account's PDS.
    pub domain: Option<String>,
    /// The entries that hold, ended ones included, the latest of each app.
    pub apps: BTreeMap<Nsid, AppData>,
    /// Those that do not, and why.
    pub refused: Vec<(Nsid, AppDataFault)>,
}

impl Associated {
    /// Takes what holds under the current key.
    pub fn read(
        entries: &[AppData],
        delegation: (&Did, &DelegationId),
        key: &DelegateKey,
        seen: &BTreeMap<Nsid, Tid>,
        now: Timestamp,
    ) -> Self {
        let mut associated = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            // A host that serves more than can be there repeats itself at best.
            if index >= 2 * limits::APP_DATA_MAX_ENTRIES {
                break;
            }
            match check_entry(entry, delegation, key, seen.get(&entry.app).copied(), now) {
                Err(fault) => associated.refused.push((entry.app.clone(), fault)),
                Ok(()) if associated.apps.get(&entry.app).is_some_and(|other| other.rev >= entry.rev) => {}
                Ok(()) => {
                    associated.apps.insert(entry.app.clone(), entry.clone());
                }
            }
        }
        associated.domain = associated.apps.values().find_map(AppData::domain).map(str::to_owned);
        associated
    }
}

/// Whether a server takes an entry beside those that are there under the same key. Gives the app whose ended entry makes
/// room, where one must.
///
/// # Errors
/// [`DelegationError::InvalidAssociatedData`] or [`DelegationError::StaleRevision`].
pub fn check_put(
    existing: &[AppData],
    entry: &AppData,
    delegation: (&Did, &DelegationId),
    key: &DelegateKey,
    now: Timestamp,
) -> Result<Option<Nsid>, DelegationError> {
    check_entry(entry, delegation, key, None, now)
        .map_err(|fault| DelegationError::InvalidAssociatedData(fault.sentence().to_owned()))?;
    let mut others = existing.iter().filter(|other| other.key.supported() == Ok(key));
    if let Some(old) = others.clone().find(|other| other.app == entry.app) {
        return if old.rev < entry.rev { Ok(None) } else { Err(DelegationError::StaleRevision) };
    }
    if others.clone().count() < limits::APP_DATA_MAX_ENTRIES {
        return Ok(None);
    }
    let room = others.by_ref().filter(|other| other.data.is_none()).min_by_key(|other| other.rev);
    room.map(|old| Some(old.app.clone())).ok_or_else(|| {
        let max = limits::APP_DATA_MAX_ENTRIES;
        DelegationError::InvalidAssociatedData(format!("there are {max} entries: end one first"))
    })
}

/// Whether a change may bring these entries along, beside those that are there under its key already: none as a rule, but a
/// key that is claimed, or named again, may have some.
///
/// # Errors
/// [`DelegationError::InvalidAssociatedData`] for any that is not valid, two of one app, or too many;
/// [`DelegationError::StaleRevision`] for one that is not later than what is there.
pub fn check_brought(
    entries: &[AppData],
    existing: &[AppData],
    delegation: (&Did, &DelegationId),
    key: &DelegateKey,
    now: Timestamp,
) -> Result<(), DelegationError> {
    let stay = existing.iter().filter(|other| entries.iter().all(|entry| entry.app != other.app));
    let max = limits::APP_DATA_MAX_ENTRIES;
    if entries.len().saturating_add(stay.count()) > max {
        return Err(DelegationError::InvalidAssociatedData(format!("at most {max} entries are allowed")));
    }
    for (index, entry) in entries.iter().enumerate() {
        // None makes room for another: all of them fit.
        check_put(existing, entry, delegation, key, now)?;
        if entries.iter().take(index).any(|other| other.app == entry.app) {
            return Err(DelegationError::InvalidAssociatedData(format!("there are two entries of {}", entry.app)));
        }
    }
    Ok(())
}

fn read_data(value: &Value) -> Result<Map, ShapeError> {
    let map = value.as_map().ok_or_else(|| ShapeError::new("data must be an object, and never null"))?;
    let max = limits::APP_DATA_MAX_BYTES;
    if cbor::encode(value).len() > max {
        return Err(ShapeError::new(format!("data is longer than {max} bytes of DAG-CBOR")));
    }
    Ok(map.clone())
}

/// A name that anybody's resolver could know: the syntax is that of a handle, which rules out ports, IP addresses and a
/// dot at the end.
fn is_public_dns_name(text: &str) -> bool {
    text.parse::<Handle>().is_ok_and(|name| name.as_str() == text && !name.has_disallowed_tld())
}
