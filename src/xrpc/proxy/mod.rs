//! Requests that are passed on to another service, with a token by which the caller's account speaks.
//!
//! Which headers travel, the bounds and the errors' names are the reference's. What a DID document names is reached
//! through the guard; what the operator set is not guarded. Nothing is held that can be streamed.

mod error;
mod inflate;
mod read_after_write;
mod respond;
mod send;
mod target;
#[cfg(test)]
mod tests;

pub use error::Refusal;
pub use read_after_write::read_after_write;
pub use respond::{Upstream, Whole};
pub use send::{Answer, Codings, Message};
pub use target::{Target, Trust, names_another_appview};

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::{
    Call, IntoReply, Reply, RequestBody, RequestHead, XrpcError,
    auth::{AnyAccess, Authenticate, is_privileged},
};
use crate::{
    limits::proxy::LOOK_UP_BYTES,
    service::{Server, service_auth},
    store::Account,
    syntax::Did,
};

/// A request for a method that is not served here: passed on to the service that it names, or that has such methods.
pub(super) async fn pass_on(server: &Arc<Server>, call: &Call, body: RequestBody) -> Result<Reply, XrpcError> {
    let nsid = call.head.nsid.as_str();
    if !matches!(call.method, Method::GET | Method::HEAD | Method::POST) {
        return Err(XrpcError::invalid("XRPC requests only supports GET and POST"));
    }
    let wanted = target::wanted(&server.policy.services, &call.head)?;
    let bad_method = || XrpcError::bad("InvalidToken", "Bad token method");
    if service_auth::is_protected(nsid) {
        return Err(bad_method());
    }
    let auth = AnyAccess::authenticate(server, &call.head).await?;
    if service_auth::is_privileged(nsid) && !is_privileged(auth.scope) {
        return Err(bad_method());
    }
    let target = Target::resolve(server, wanted).await?;
    let from = &call.head.headers;
    let message = Message::get(&target, nsid, call.uri.query(), from, Codings::Callers);
    let message = match call.method {
        Method::POST => message.posting(body, from),
        Method::HEAD => message.head(),
        _ => message,
    };
    message.speaking_for(server, &auth.account, target.did.as_str(), nsid)?.send(server).await?.into_reply()
}

/// Passes a query on for an account to the service that the request names, or to the method's own.
///
/// # Errors
/// As [`Target::of`] and [`Message::send`].
pub async fn pipe(server: &Server, call: &Call, account: &Account) -> Result<Reply, XrpcError> {
    let target = Target::of(server, &call.head).await?;
    let nsid = call.head.nsid.as_str();
    let message = Message::get(&target, nsid, call.uri.query(), &call.head.headers, Codings::Callers);
    message.speaking_for(server, account, target.did.as_str(), nsid)?.send(server).await?.into_reply()
}

/// Passes a procedure with a JSON body on for an account, as [`pipe`] does.
///
/// # Errors
/// As [`Target::of`] and [`Message::send`].
pub async fn pipe_json(server: &Server, call: &Call, account: &Account, json: Bytes) -> Result<Reply, XrpcError> {
    let target = Target::of(server, &call.head).await?;
    let nsid = call.head.nsid.as_str();
    let message =
        Message::get(&target, nsid, call.uri.query(), &call.head.headers, Codings::Callers).posting_json(json);
    message.speaking_for(server, account, target.did.as_str(), nsid)?.send(server).await?.into_reply()
}

/// Anybody, and what of the request would be passed on.
#[derive(Clone, Debug)]
pub struct Passable(RequestHead);

impl Authenticate for Passable {
    const PRIVATE: bool = false;

    async fn authenticate(_: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        let headers = send::passable(&head.headers);
        Ok(Self(RequestHead { nsid: head.nsid.clone(), headers, client_ip: head.client_ip }))
    }
}

impl Passable {
    /// Whether there is anybody to pass it on to.
    pub fn has_target(&self, server: &Server) -> bool {
        server.policy.services.appview.is_some() || target::is_named(&self.0.headers)
    }
}

/// Passes a query on for nobody in particular.
///
/// # Errors
/// As [`Target::of`] and [`Message::send`].
pub async fn pipe_for_anyone(server: &Server, Passable(head): &Passable, query: &str) -> Result<Reply, XrpcError> {
    let target = Target::of(server, head).await?;
    let message = Message::get(&target, &head.nsid, Some(query), &head.headers, Codings::Callers);
    message.send(server).await?.into_reply()
}

/// A service of another DID's document, or the operator's `AppView` if it is that one.
///
/// # Errors
/// 400 when the DID has no such service, 502 when that cannot be found out now.
pub async fn service_of(server: &Server, did: &Did, id: &str, kind: &str) -> Result<Option<Target>, XrpcError> {
    let services = &server.policy.services;
    if let Some(appview) = services.appview.as_ref().filter(|appview| appview.did == *did) {
        return Ok(Some(Target::known(appview)));
    }
    let url = target::address(server, did, id, Some(kind)).await?;
    Ok(url.map(|url| Target::found(services, did.clone(), url)))
}

/// Asks a service for JSON, for an account or for anyone; none when there is no such answer of success.
pub async fn ask(
    server: &Server,
    target: &Target,
    account: Option<&Account>,
    (nsid, query): (&str, &str),
) -> Option<Value> {
    let mut message = Message::get(target, nsid, Some(query), &HeaderMap::new(), Codings::Plain);
    if let Some(account) = account {
        message = message.speaking_for(server, account, target.did.as_str(), nsid).ok()?;
    }
    match message.send(server).await.ok()? {
        Answer::Success(upstream) => {
            let whole = upstream.buffered(LOOK_UP_BYTES).await.ok()?;
            serde_json::from_slice(&whole.body).ok()
        }
        Answer::Refused(_) => None,
    }
}
