//! What a client remembers of a delegation that it verified, and compares the next reading with.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{DelegationId, NamedKey};
use crate::{
    ipld::Cid,
    syntax::{Did, Nsid, Tid},
};

/// A remembered delegation. With `key` alone (from a code that was scanned, say) it still serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The account.
    pub did: Did,
    /// The delegation id.
    pub id: DelegationId,
    /// The latest key.
    #[serde(serialize_with = "write_key", deserialize_with = "read_key")]
    pub key: NamedKey,
    /// The statement for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Cid>,
    /// The head of the PLC log; none for did:web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Cid>,
    /// The highest revision of each app's entry under the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revs: BTreeMap<Nsid, Tid>,
}

fn write_key<S: Serializer>(key: &NamedKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.as_str())
}

fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NamedKey, D::Error> {
    let text = String::deserialize(deserializer)?;
    NamedKey::parse(&text).ok_or_else(|| D::Error::custom("the key of a pin must be a did:key"))
}
