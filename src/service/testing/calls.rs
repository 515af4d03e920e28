//! Calls of methods as the listener makes them, without a listener.

use std::{net::Ipv4Addr, sync::Arc};

use futures_util::TryStreamExt;
use http::{HeaderMap, Method, header};
use serde_json::Value as Json;

use super::World;
use crate::{
    methods::methods,
    xrpc::{Api, Call, Dispatch, Reply, ReplyBody, RequestBody, RequestHead},
};

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum As<'a> {
    /// Nobody.
    Nobody,
    /// Whoever holds this token.
    Bearer(&'a str),
    /// The administrator.
    Admin,
}

/// A whole answer: status and JSON (null for an empty body).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Json,
}

impl Answer {
    /// The JSON of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Json {
        assert_eq!(self.status, 200, "{}", self.json);
        self.json
    }

    /// Status and error name.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.json["error"].as_str().unwrap_or_default())
    }

    /// The error's message.
    pub(crate) fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }
}

impl World {
    /// A query, its parameters in the target: `com.example.get?x=1`.
    pub(crate) async fn get(&self, target: &str, who: As<'_>) -> Answer {
        self.call(Method::GET, target, who, RequestBody::empty()).await
    }

    /// A procedure with a JSON body; [`Json::Null`] sends none.
    pub(crate) async fn post(&self, nsid: &str, who: As<'_>, body: &Json) -> Answer {
        let body =
            if body.is_null() { RequestBody::empty() } else { RequestBody::full("application/json", body.to_string()) };
        self.call(Method::POST, nsid, who, body).await
    }

    /// A procedure with a body of bytes.
    pub(crate) async fn post_bytes(&self, nsid: &str, who: As<'_>, content_type: &str, body: Vec<u8>) -> Answer {
        self.call(Method::POST, nsid, who, RequestBody::full(content_type, body)).await
    }

    /// The status of a query whose answer may be of any kind.
    pub(crate) async fn status_of(&self, target: &str, who: As<'_>) -> u16 {
        self.reply(Method::GET, target, who, RequestBody::empty()).await.status.as_u16()
    }

    async fn reply(&self, method: Method, target: &str, who: As<'_>, body: RequestBody) -> Reply {
        let mut headers = HeaderMap::new();
        let authorization = match who {
            As::Nobody => None,
            As::Bearer(token) => Some(format!("Bearer {token}")),
            As::Admin => Some(format!("Basic {}", data_encoding::BASE64.encode(b"admin:admin-pass"))),
        };
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        if let Some(kind) = &body.content_type {
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        let nsid = target.split('?').next().unwrap().to_owned();
        let head = RequestHead { nsid, headers, client_ip: Ipv4Addr::LOCALHOST.into() };
        let call = Call { method, uri: format!("/xrpc/{target}").parse().unwrap(), head, request_id: 1.into() };
        let api = Api { server: Arc::clone(&self.server), methods: methods() };
        let reply = api.call(call, body).await;
        self.deliver().await;
        reply
    }

    async fn call(&self, method: Method, target: &str, who: As<'_>, body: RequestBody) -> Answer {
        let reply = self.reply(method, target, who, body).await;
        let bytes = match reply.body {
            ReplyBody::Full(bytes) => bytes,
            ReplyBody::Stream(stream) => stream.try_collect::<Vec<_>>().await.unwrap().concat().into(),
        };
        let json = if bytes.is_empty() { Json::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: reply.status.as_u16(), json }
    }
}
