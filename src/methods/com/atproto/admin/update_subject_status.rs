//! `com.atproto.admin.updateSubjectStatus`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{StatusAttr, SubjectRef};
use crate::{
    service::{
        Server,
        states::{Subject, activate, deactivate, set_suspension, set_takedown},
    },
    store::Account,
    xrpc::{Json, Procedure, XrpcError, auth::AdminOrModerator},
};

/// Takes an account, a record or a blob down, deactivates or suspends an account, or lifts it.
pub struct UpdateSubjectStatus;

/// The input. `suspended` is not in the lexicon, which knows the state but no way into it.
#[derive(Debug, Deserialize)]
pub struct Input {
    subject: SubjectRef,
    takedown: Option<StatusAttr>,
    deactivated: Option<StatusAttr>,
    suspended: Option<StatusAttr>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    subject: SubjectRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    takedown: Option<StatusAttr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deactivated: Option<StatusAttr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<StatusAttr>,
}

impl Procedure for UpdateSubjectStatus {
    const NSID: &'static str = "com.atproto.admin.updateSubjectStatus";
    type Auth = AdminOrModerator;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(
        server: &Arc<Server>,
        _: AdminOrModerator,
        Json(input): Json<Input>,
    ) -> Result<Json<Output>, XrpcError> {
        let Input { subject, takedown, deactivated, suspended } = input;
        let target = subject.subject()?;
        if deactivated.is_some() || suspended.is_some() {
            // Before anything is changed.
            account_of(server, &target).await?;
        }
        if let Some(wanted) = &takedown {
            set_takedown(server, &target, wanted.moderation()?).await?;
        }
        if let Some(wanted) = &suspended {
            let account = account_of(server, &target).await?;
            set_suspension(server, &account.did, wanted.moderation()?).await?;
        }
        if let Some(wanted) = &deactivated {
            let account = account_of(server, &target).await?;
            if wanted.applied {
                deactivate(server, &account, None).await?;
            } else {
                activate(server, &account).await?;
            }
        }
        Ok(Json(Output { subject, takedown, deactivated, suspended }))
    }
}

/// The account that the subject must be.
async fn account_of(server: &Server, subject: &Subject) -> Result<Account, XrpcError> {
    let Subject::Account(did) = subject else {
        return Err(XrpcError::invalid("only an account can be deactivated or suspended"));
    };
    let account = server.store.account_by_did(did).await?;
    account.ok_or_else(|| XrpcError::bad("NotFound", "Subject not found"))
}
