//! What an account's PDS says of a delegation: statements, associated data, the declaration. Nothing of it is verified here.

use serde_json::Value;

use super::pds::{CallError, Pds};
use crate::{
    delegation::{APP_DATA_COLLECTION, AppData, DelegationId, STATEMENT_COLLECTION, Statement},
    ipld::json::{self, map_from_json},
    limits::{
        client::{RECORDS_MAX_PAGES, RECORDS_PAGE},
        delegation::{APP_DATA_MAX_ENTRIES, STATEMENTS_MAX_READ},
    },
    syntax::Did,
};

/// Where the declaration for another messenger is.
const DECLARATION: &str = "com.germnetwork.declaration";

/// The statements: by the method; from the repository where the server does not know it.
///
/// # Errors
/// [`CallError`] where neither can be read.
pub(super) async fn statements(pds: &Pds, did: &Did, id: &DelegationId) -> Result<Vec<Statement>, CallError> {
    const METHOD: &str = "dev.housekey.delegation.getDelegation";
    match pds.get(METHOD, &[("actor", did.as_str()), ("id", id.as_str())]).await {
        Ok(answer) => {
            let list = answer.get("statements").and_then(Value::as_array);
            let list = list.ok_or_else(|| CallError::Strange(pds.host(), METHOD))?;
            Ok(list.iter().take(STATEMENTS_MAX_READ).filter_map(|json| Statement::from_json(json).ok()).collect())
        }
        Err(cause) if cause.is("DelegationNotFound") => Ok(Vec::new()),
        Err(cause) if !cause.is_definite() => Err(cause),
        Err(_) => {
            let records = records(pds, did, id, STATEMENT_COLLECTION, STATEMENTS_MAX_READ).await?;
            Ok(records.iter().filter_map(|record| Statement::from_record(&map_from_json(record).ok()?).ok()).collect())
        }
    }
}

/// The entries of associated data, in the same way.
///
/// # Errors
/// [`CallError`] where neither can be read.
pub(super) async fn entries(pds: &Pds, did: &Did, id: &DelegationId) -> Result<Vec<AppData>, CallError> {
    const METHOD: &str = "dev.housekey.delegation.getAssociatedData";
    match pds.get(METHOD, &[("actor", did.as_str()), ("id", id.as_str())]).await {
        Ok(answer) => {
            let apps = answer.get("apps").and_then(Value::as_object).into_iter().flatten();
            Ok(apps.take(APP_DATA_MAX_ENTRIES).filter_map(|(_, entry)| AppData::from_json(entry).ok()).collect())
        }
        Err(cause) if cause.is("DelegationNotFound") => Ok(Vec::new()),
        Err(cause) if !cause.is_definite() => Err(cause),
        Err(_) => {
            let records = records(pds, did, id, APP_DATA_COLLECTION, APP_DATA_MAX_ENTRIES).await?;
            Ok(records.iter().filter_map(|record| AppData::from_record(&map_from_json(record).ok()?).ok()).collect())
        }
    }
}

/// Records of one delegation: their keys begin with its id and a colon.
async fn records(
    pds: &Pds,
    did: &Did,
    id: &DelegationId,
    collection: &str,
    most: usize,
) -> Result<Vec<Value>, CallError> {
    const METHOD: &str = "com.atproto.repo.listRecords";
    let (limit, prefix) = (RECORDS_PAGE.to_string(), format!("/{collection}/{id}:"));
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..RECORDS_MAX_PAGES {
        let mut query = vec![("repo", did.as_str()), ("collection", collection), ("limit", &limit)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let answer = pds.get(METHOD, &query).await?;
        let page = answer.get("records").and_then(Value::as_array);
        let page = page.ok_or_else(|| CallError::Strange(pds.host(), METHOD))?;
        let own = page.iter().filter(|record| {
            record.get("uri").and_then(Value::as_str).is_some_and(|uri| uri.contains(prefix.as_str()))
        });
        found.extend(own.filter_map(|record| record.get("value").cloned()));
        found.truncate(most);
        cursor = answer.get("cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() || page.is_empty() || found.len() == most {
            break;
        }
    }
    Ok(found)
}

/// The key of the declaration; a server that has none, or no repository of that account, has none to show.
pub(super) async fn declaration(pds: &Pds, did: &Did) -> Option<Vec<u8>> {
    let query = [("repo", did.as_str()), ("collection", DECLARATION), ("rkey", "self")];
    let answer = pds.get("com.atproto.repo.getRecord", &query).await.ok()?;
    let key = json::from_json(answer.get("value")?.get("currentKey")?).ok()?;
    key.as_bytes().map(<[u8]>::to_vec)
}
