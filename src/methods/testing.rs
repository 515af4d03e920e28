//! Calls of methods as the listener makes them, without a listener.
use super::methods;
use crate::{
    crypto::jwt::Scope,
    service::fixture::Fixture,
    syntax::Did,
    xrpc::{Api, Call, Dispatch, ReplyBody, RequestBody, RequestHead},
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{HeaderMap, HeaderName, Method, header};
use serde_json::Value as Json;
use std::{net::Ipv4Addr, sync::Arc};

/// A server and its methods.
pub(super) struct Bench {
    pub(super) fixture: Fixture,
    api: Api,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?} is not JSON"))
    }

    /// The JSON of a success.
    #[track_caller]
    pub(super) fn ok(&self) -> Json {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// Status and error name.
    pub(super) fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }

    pub(super) fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Bench {
    pub(super) async fn new() -> Self {
        let fixture = Fixture::new().await;
        let api = Api { server: Arc::clone(&fixture.server), methods: methods() };
        Self { fixture, api }
    }

    /// A bearer token's header.
    pub(super) fn bearer(&self, did: &Did) -> (HeaderName, String) {
        (header::AUTHORIZATION, format!("Bearer {}", self.fixture.token(did, Scope::Access)))
    }

    /// The administrator's header.
    pub(super) fn admin() -> (HeaderName, String) {
        (header::AUTHORIZATION, format!("Basic {}", data_encoding::BASE64.encode(b"admin:admin-pass")))
    }

    /// GET, with the query in the name: `com.example.get?x=1`.
    pub(super) async fn get(&self, target: &str, headers: &[(HeaderName, String)]) -> Answer {
        self.call(Method::GET, target, headers, RequestBody::empty()).await
    }

    /// POST of JSON by an account.
    pub(super) async fn post(&self, nsid: &str, did: &Did, body: &Json) -> Answer {
        let body = RequestBody::full("application/json", body.to_string());
        self.call(Method::POST, nsid, &[self.bearer(did)], body).await
    }

    pub(super) async fn call(
        &self,
        method: Method,
        target: &str,
        headers: &[(HeaderName, String)],
        body: RequestBody,
    ) -> Answer {
        let nsid = target.split('?').next().unwrap().to_owned();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        if let Some(kind) = &body.content_type {
            map.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        let head = RequestHead { nsid, headers: map, client_ip: Ipv4Addr::LOCALHOST.into() };
        let call = Call { method, uri: format!("/xrpc/{target}").parse().unwrap(), head, request_id: 1.into() };
        let reply = self.api.call(call, body).await;
        let body = match reply.body {
            ReplyBody::Full(bytes) => bytes,
            ReplyBody::Stream(stream) => {
                let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
                pieces.concat().into()
            }
        };
        Answer { status: reply.status.as_u16(), headers: reply.headers, body }
    }

    /// What the stream of `subscribeRepos` says until it would wait.
    pub(super) async fn subscribe(&self, target: &str) -> Result<Vec<crate::xrpc::StreamItem>, u16> {
        use futures_util::{FutureExt, StreamExt};
        let nsid = target.split('?').next().unwrap().to_owned();
        let head = RequestHead { nsid, headers: HeaderMap::new(), client_ip: Ipv4Addr::LOCALHOST.into() };
        let call =
            Call { method: Method::GET, uri: format!("/xrpc/{target}").parse().unwrap(), head, request_id: 1.into() };
        let mut stream = self.api.subscribe(call).await.map_err(|reply| reply.status.as_u16())?;
        let mut items = Vec::new();
        while let Some(Some(item)) = stream.next().now_or_never() {
            items.push(item);
        }
        Ok(items)
    }
}
