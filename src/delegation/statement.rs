//! Statements: "I, this key, speak for this DID", signed by the key, and by the key before it where there is one.

use super::{
    DelegationId, NamedKey,
    shape::{Fields, ShapeError},
};
use crate::{
    clock::Timestamp,
    crypto::{DelegateKey, DelegateSigningKey},
    ipld::{Cid, Codec, Map, Value, cbor, json},
    syntax::{Datetime, Did, RecordKey},
};

/// `$type` of a statement; inside the signed bytes, so that no other signature can be taken for one.
pub const STATEMENT_TYPE: &str = "dev.housekey.delegation.defs#statement";
/// The collection that statements are kept in.
pub const STATEMENT_COLLECTION: &str = "dev.housekey.delegation.statement";

/// What a statement says, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The account.
    pub did: Did,
    /// The delegation id.
    pub id: DelegationId,
    /// The key; none ends the delegation.
    pub key: Option<DelegateKey>,
    /// did:plc: the head of the log. did:web: the statement before, none for the first.
    pub prev: Option<Cid>,
    /// When; cut to milliseconds.
    pub created_at: Timestamp,
}

impl Draft {
    /// What is signed: DAG-CBOR without the signatures.
    pub fn signed_bytes(&self, endorsed: bool) -> Vec<u8> {
        self.body(endorsed).signed_bytes()
    }

    /// Signs with the key itself, and with the key before it where that endorses the change. An end has no `claimer`.
    ///
    /// # Errors
    /// [`ShapeError`] when that is no statement: a key without its claim or an end with one, an end that nobody endorses,
    /// a did:plc without `prev`.
    pub fn sign(
        self,
        claimer: Option<&DelegateSigningKey>,
        endorser: Option<&DelegateSigningKey>,
    ) -> Result<Statement, ShapeError> {
        let body = self.body(endorser.is_some());
        let bytes = body.signed_bytes();
        let sign = |key: &DelegateSigningKey| key.sign(&bytes).to_vec();
        Statement { claim: claimer.map(sign), endorsement: endorser.map(sign), body }.checked()
    }

    fn body(&self, endorsed: bool) -> Body {
        Body {
            did: self.did.clone(),
            id: self.id.clone(),
            key: self.key.clone().map(NamedKey::from),
            prev: self.prev,
            endorsed,
            created_at: Datetime::from(self.created_at),
        }
    }
}

/// A statement of the right shape. That its signatures hold, and that a log bears it out, is not said by this type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    body: Body,
    claim: Option<Vec<u8>>,
    endorsement: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Body {
    did: Did,
    id: DelegationId,
    key: Option<NamedKey>,
    prev: Option<Cid>,
    endorsed: bool,
    created_at: Datetime,
}

impl Body {
    fn to_map(&self) -> Map {
        let mut map = Map::new();
        map.insert("$type", STATEMENT_TYPE);
        map.insert("did", self.did.as_str());
        map.insert("id", self.id.as_str());
        map.insert("key", self.key.as_ref().map_or(Value::Null, |key| key.as_str().into()));
        map.insert("prev", self.prev.map_or(Value::Null, |prev| prev.to_string().into()));
        map.insert("endorsed", self.endorsed);
        map.insert("createdAt", self.created_at.as_str());
        map
    }

    fn signed_bytes(&self) -> Vec<u8> {
        cbor::encode(&Value::Map(self.to_map()))
    }
}

impl Statement {
    /// From the data model: a closed map in which every field has its shape.
    ///
    /// # Errors
    /// [`ShapeError`] says which field is wrong.
    pub fn from_map(map: &Map) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(map, STATEMENT_TYPE)?;
        let body = Body {
            did: fields.parsed("did")?,
            id: fields.parsed("id")?,
            key: fields.text_or_null("key")?.map(read_key).transpose()?,
            prev: fields.text_or_null("prev")?.map(read_prev).transpose()?,
            endorsed: fields.boolean("endorsed")?,
            created_at: fields.time("createdAt")?,
        };
        let (claim, endorsement) = (fields.signature("claim")?, fields.signature("endorsement")?);
        fields.done()?;
        Self { body, claim, endorsement }.checked()
    }

    /// From JSON of the data model.
    ///
    /// # Errors
    /// [`ShapeError`] says what is wrong.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, ShapeError> {
        Self::from_map(&json::map_from_json(json).map_err(|cause| ShapeError::new(cause.to_string()))?)
    }

    /// From a record of [`STATEMENT_COLLECTION`].
    ///
    /// # Errors
    /// [`ShapeError`] says what is wrong.
    pub fn from_record(record: &Map) -> Result<Self, ShapeError> {
        super::shape::unwrap_record(record, STATEMENT_COLLECTION, "statement").and_then(Self::from_map)
    }

    /// In the data model.
    pub fn to_map(&self) -> Map {
        let mut map = self.body.to_map();
        if let Some(claim) = &self.claim {
            map.insert("claim", claim.clone());
        }
        if let Some(endorsement) = &self.endorsement {
            map.insert("endorsement", endorsement.clone());
        }
        map
    }

    /// As JSON of the data model.
    pub fn to_json(&self) -> serde_json::Value {
        json::to_json(&Value::Map(self.to_map()))
    }

    /// As a record of [`STATEMENT_COLLECTION`].
    pub fn to_record(&self) -> Map {
        super::shape::wrap_record(self.to_map(), STATEMENT_COLLECTION, "statement")
    }

    /// The key of its record: the id and the CID, so that nothing else can take its place.
    #[expect(clippy::expect_used, reason = "an id, a colon and a CID are 92 characters that a record key may have")]
    pub fn record_key(&self) -> RecordKey {
        format!("{}:{}", self.id(), self.cid()).parse().expect("a record key")
    }

    /// What both keys sign: DAG-CBOR of the map without the signatures.
    pub fn signed_bytes(&self) -> Vec<u8> {
        self.body.signed_bytes()
    }

    /// The CID of the signed bytes: a signature made anew with other randomness does not change it.
    pub fn cid(&self) -> Cid {
        Cid::of_cbor(&self.signed_bytes())
    }

    /// The account.
    pub const fn did(&self) -> &Did {
        &self.body.did
    }

    /// The delegation id.
    pub const fn id(&self) -> &DelegationId {
        &self.body.id
    }

    /// The key; none ends the delegation.
    pub const fn key(&self) -> Option<&NamedKey> {
        self.body.key.as_ref()
    }

    /// did:plc: an operation. did:web: the statement before, none for the first.
    pub const fn prev(&self) -> Option<Cid> {
        self.body.prev
    }

    /// When it says that it was made; nobody vouches for that.
    pub const fn created_at(&self) -> &Datetime {
        &self.body.created_at
    }

    /// The signature of its own key.
    pub fn claim(&self) -> Option<&[u8]> {
        self.claim.as_deref()
    }

    /// The signature of the key before.
    pub fn endorsement(&self) -> Option<&[u8]> {
        self.endorsement.as_deref()
    }

    /// What the fields must be together.
    fn checked(self) -> Result<Self, ShapeError> {
        let Self { body, claim, endorsement } = &self;
        let broken = |text: &str| Err(ShapeError::new(text));
        if !body.did.is_plc() && !body.did.is_web() {
            return broken("did must be a did:plc or did:web");
        }
        if body.did.is_plc() && body.prev.is_none() {
            return broken("prev must name an operation of the DID's log");
        }
        if claim.is_some() != body.key.is_some() {
            return broken("claim must be there exactly when key is not null");
        }
        if endorsement.is_some() != body.endorsed {
            return broken("endorsed must be true exactly when there is an endorsement");
        }
        if body.key.is_none() && !body.endorsed {
            return broken("a statement that ends a delegation must be endorsed");
        }
        Ok(self)
    }

    /// Whether the claim is this key's.
    pub fn is_claimed_by(&self, key: &NamedKey) -> bool {
        self.claim().is_some_and(|claim| key.signed(&self.signed_bytes(), claim))
    }

    /// Whether the endorsement is this key's.
    pub fn is_endorsed_by(&self, key: &NamedKey) -> bool {
        self.endorsement().is_some_and(|endorsement| key.signed(&self.signed_bytes(), endorsement))
    }
}

fn read_key(text: &str) -> Result<NamedKey, ShapeError> {
    NamedKey::parse(text).ok_or_else(|| ShapeError::new("key must be a did:key or null"))
}

fn read_prev(text: &str) -> Result<Cid, ShapeError> {
    let cid = text.parse::<Cid>().ok().filter(|cid| cid.codec() == Codec::DagCbor);
    cid.ok_or_else(|| ShapeError::new("prev must be null or a CIDv1 in base32 of DAG-CBOR"))
}
