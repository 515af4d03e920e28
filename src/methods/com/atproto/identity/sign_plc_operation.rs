//! `com.atproto.identity.signPlcOperation`

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    plc::{Operation, Service},
    service::{
        Server,
        identity::{SignRequest, sign_plc_operation},
    },
    xrpc::{Json, Object, Procedure, XrpcError, auth::FullAccessOrTakendown},
};

/// Signs an operation over the last one in the directory.
pub struct SignPlcOperation;

/// The input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    token: Option<String>,
    rotation_keys: Option<Vec<String>>,
    also_known_as: Option<Vec<String>>,
    verification_methods: Option<BTreeMap<String, String>>,
    services: Option<BTreeMap<String, Object<Service>>>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    operation: Operation,
}

impl Procedure for SignPlcOperation {
    const NSID: &'static str = "com.atproto.identity.signPlcOperation";
    type Auth = FullAccessOrTakendown;
    type Input = Json<Input>;
    type Output = Json<Output>;

    async fn call(
        server: &Arc<Server>,
        auth: FullAccessOrTakendown,
        Json(input): Json<Input>,
    ) -> Result<Json<Output>, XrpcError> {
        let request = SignRequest {
            token: input.token,
            rotation_keys: input.rotation_keys,
            also_known_as: input.also_known_as,
            verification_methods: input.verification_methods,
            services: input
                .services
                .map(|services| services.into_iter().map(|(id, Object(service))| (id, service)).collect()),
        };
        let operation = sign_plc_operation(server, &auth.account, request).await?;
        Ok(Json(Output { operation }))
    }
}
