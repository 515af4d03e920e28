//! Whether records are what their schemas say. The caller's `validate` decides how much that matters.
use super::{Prepared, WriteError};
use crate::{
    ipld::Value,
    lexicon::{Flaw, check_record, check_record_key},
    limits::lexicon::{LOOKUPS_PER_RECORD, WRITE_WAIT},
    repo::RecordPath,
    service::{Server, lexicons},
    syntax::Nsid,
};
use std::sync::Arc;

/// What validation came to, where it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationStatus {
    /// The schema is known and the record fits it.
    Valid,
    /// The schema, or one that it refers to, is not known.
    Unknown,
}

impl ValidationStatus {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
        }
    }
}

/// What one try came to.
enum Judged {
    Fits,
    /// This definition is missing.
    Lacks(String),
}

/// Judges each record; deletions and what `validate: false` leaves alone have no status. Only with `validate: true` does
/// this wait for a schema.
pub(super) async fn judge(
    server: &Arc<Server>,
    validate: Option<bool>,
    writes: &[Prepared<Value>],
) -> Result<Vec<Option<ValidationStatus>>, WriteError> {
    if validate == Some(false) {
        return Ok(vec![None; writes.len()]);
    }
    let Some(first) = writes.iter().find_map(Prepared::parts) else { return Ok(vec![None; writes.len()]) };
    if validate.is_none() {
        return writes.iter().map(|write| write.parts().map(|parts| at_once(server, parts)).transpose()).collect();
    }
    let collection = first.0.collection.clone();
    let all = async {
        let mut statuses = Vec::with_capacity(writes.len());
        for write in writes {
            match write.parts() {
                Some(parts) => statuses.push(Some(surely(server, parts).await?)),
                None => statuses.push(None),
            }
        }
        Ok(statuses)
    };
    tokio::time::timeout(WRITE_WAIT, all).await.unwrap_or(Err(WriteError::UnknownSchema(collection)))
}

/// With what is known now; what is lacking is looked for meanwhile, for the next write.
fn at_once(server: &Arc<Server>, parts: (&RecordPath, &Value)) -> Result<ValidationStatus, WriteError> {
    match check(server, parts)? {
        Judged::Fits => Ok(ValidationStatus::Valid),
        Judged::Lacks(definition) => {
            if let Some(nsid) = document_of(&definition) {
                lexicons::look_for(server, &nsid);
            }
            Ok(ValidationStatus::Unknown)
        }
    }
}

/// With everything that it takes.
async fn surely(server: &Arc<Server>, parts: (&RecordPath, &Value)) -> Result<ValidationStatus, WriteError> {
    let unknown = || WriteError::UnknownSchema(parts.0.collection.clone());
    for looked_up in 0..=LOOKUPS_PER_RECORD {
        let Judged::Lacks(definition) = check(server, parts)? else { return Ok(ValidationStatus::Valid) };
        if looked_up == LOOKUPS_PER_RECORD {
            break;
        }
        let nsid = document_of(&definition).ok_or_else(unknown)?;
        // A document that is known and lacks the definition will not get it by being looked up.
        if server.lexicons.knows(&nsid, server.now()) || lexicons::resolve(server, &nsid).await.is_err() {
            return Err(unknown());
        }
    }
    Err(unknown())
}

fn check(server: &Server, (path, record): (&RecordPath, &Value)) -> Result<Judged, WriteError> {
    use crate::lexicon::Catalog;
    let shelf = server.lexicons.shelf(server.now());
    let collection = &path.collection;
    let document = shelf.document(collection.as_str());
    let Some(kind) = document.as_ref().and_then(|document| document.record()) else {
        return Ok(Judged::Lacks(collection.to_string()));
    };
    check_record_key(kind, &path.rkey).map_err(|why| WriteError::RecordKey { collection: collection.clone(), why })?;
    match check_record(&shelf, kind, record) {
        Ok(()) => Ok(Judged::Fits),
        Err(Flaw::Unknown(definition)) => Ok(Judged::Lacks(definition)),
        Err(Flaw::Invalid(why)) => Err(WriteError::Invalid { collection: collection.clone(), why }),
    }
}

fn document_of(definition: &str) -> Option<Nsid> {
    definition.split('#').next()?.parse().ok()
}
