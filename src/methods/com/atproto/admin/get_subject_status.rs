//! `com.atproto.admin.getSubjectStatus`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{StatusAttr, SubjectRef, subject::record};
use crate::{
    ipld::Cid,
    service::{
        Server,
        states::{Subject, subject_status},
    },
    store::{AccountState, OwnState},
    syntax::{AtUri, Did},
    xrpc::{Json, Query, XrpcError, auth::AdminOrModerator},
};

/// How an account, a record or a blob stands.
pub struct GetSubjectStatus;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    did: Option<Did>,
    uri: Option<AtUri>,
    blob: Option<Cid>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    subject: SubjectRef,
    takedown: StatusAttr,
    #[serde(skip_serializing_if = "Option::is_none")]
    deactivated: Option<StatusAttr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<StatusAttr>,
}

impl Query for GetSubjectStatus {
    const NSID: &'static str = "com.atproto.admin.getSubjectStatus";
    type Auth = AdminOrModerator;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: AdminOrModerator, params: Params) -> Result<Json<Output>, XrpcError> {
        let target = target(&params)?;
        let status = subject_status(server, &target).await?;
        let plain = |applied| StatusAttr { applied, reference: None };
        let (deactivated, suspended) = match &status.account {
            Some((state, own)) => (
                Some(plain(matches!(own, OwnState::Deactivated { .. }))),
                Some(plain(*state == AccountState::Suspended)),
            ),
            None => (None, None),
        };
        let subject = match (target, params.uri) {
            (Subject::Account(did), _) => SubjectRef::Repo { did },
            (Subject::Blob(did, cid), record_uri) => SubjectRef::Blob { did, cid, record_uri },
            (Subject::Record(did, path, _), uri) => SubjectRef::Record {
                uri: uri.unwrap_or_else(|| AtUri::record(&did, &path.collection, &path.rkey)),
                cid: status.cid.ok_or_else(|| XrpcError::bad("NotFound", "Subject not found"))?,
            },
        };
        let takedown = StatusAttr { applied: status.takedown.is_some(), reference: status.takedown };
        Ok(Json(Output { subject, takedown, deactivated, suspended }))
    }
}

fn target(params: &Params) -> Result<Subject, XrpcError> {
    match params {
        Params { blob: Some(cid), did: Some(did), .. } => Ok(Subject::Blob(did.clone(), *cid)),
        Params { blob: Some(_), did: None, .. } => Err(XrpcError::invalid("Must provide a did to request blob state")),
        Params { uri: Some(uri), .. } => record(uri, None),
        Params { did: Some(did), .. } => Ok(Subject::Account(did.clone())),
        Params { .. } => Err(XrpcError::invalid("No provided subject")),
    }
}
