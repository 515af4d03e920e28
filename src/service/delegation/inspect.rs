//! What a peer would conclude about a delegation of this server's account, for people to look at.

use super::{
    DelegationFailure,
    ground::{document_key, statements},
};
use crate::{
    delegation::{Assessment, DelegationId, Evidence, Source, assess, web::WebDocument},
    outbound::{Freshness, PlcError},
    plc::Entry,
    service::Server,
    store::{Account, StoreError},
};
use tokio::task::spawn_blocking;

/// Judges a delegation by the log that the PLC directory serves now (for did:web by the document) and by the statements
/// in the repository, as [`assess`] does it for everybody.
///
/// What cannot be fetched is [`crate::delegation::Status::Unavailable`], a log that does not verify
/// [`crate::delegation::Status::Mismatch`].
///
/// # Errors
/// When the database fails.
pub async fn inspect(server: &Server, account: &Account, id: &DelegationId) -> Result<Assessment, DelegationFailure> {
    // Before the log: a statement becomes a record after its operation, so none can speak of more than is read then.
    let statements = statements(server, account, id).await?;
    let (history, did, id, now) = (history(server, account, id).await, account.did.clone(), id.clone(), server.now());
    // Off the async threads: a long history is some thousand signatures.
    let judging = spawn_blocking(move || {
        let source = match &history {
            History::Plc(log) => Source::Plc(log),
            History::Web { key, server_keys } => Source::Web(WebDocument { key: key.as_deref(), server_keys }),
            History::Unavailable => Source::Unavailable,
        };
        let statements = Some(statements.as_slice());
        assess(&Evidence { did: &did, id: &id, source, statements, entries: &[], pin: None, declaration: None, now })
    });
    Ok(judging.await.map_err(|_| StoreError::Closed)?)
}

/// What was fetched.
enum History {
    Plc(Vec<Entry>),
    Web { key: Option<String>, server_keys: Vec<String> },
    Unavailable,
}

async fn history(server: &Server, account: &Account, id: &DelegationId) -> History {
    let did = &account.did;
    if did.is_plc() {
        return match server.plc.audit_log(did).await {
            Ok(log) => History::Plc(log),
            Err(cause @ (PlcError::NotRegistered | PlcError::Unexpected(_) | PlcError::Unavailable(_))) => {
                tracing::warn!(%did, "the PLC log cannot be read: {cause}");
                History::Unavailable
            }
        };
    }
    match server.resolver.did(did, Freshness::Now).await {
        Ok(document) => History::Web {
            key: document_key(&document, id),
            server_keys: document.signing_key.iter().map(ToString::to_string).collect(),
        },
        Err(cause) => {
            tracing::warn!(%did, "the DID document cannot be read: {cause}");
            History::Unavailable
        }
    }
}
