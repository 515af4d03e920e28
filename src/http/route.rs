//! From a request to what answers it.

use super::{
    Context,
    answer::{self, Body},
    cors,
    guarded::{Busy, Phase},
    incoming, peer, websocket,
};
use crate::{
    limits::http as limits,
    web::{WebReply, WebRequest},
    xrpc::{Call, Dispatch, MethodKind, Reply, ReplyBody, RequestBody, RequestHead, RequestId, StreamItem, XrpcError},
};
use bytes::Bytes;
use futures_util::{FutureExt, stream::BoxStream};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header, request::Parts};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
};

/// An answer before HTTP.
enum Outcome {
    Reply(Reply),
    Socket(BoxStream<'static, StreamItem>),
    /// A subscription without the handshake of a WebSocket.
    NoHandshake,
}

/// What is kept of a request while it is answered.
struct Kept {
    is_open: bool,
    gzip: bool,
    request_id: RequestId,
    /// The handshake's answer, if the client asks for a WebSocket.
    handshake: Option<(Result<HeaderMap, websocket::Refused>, OnUpgrade)>,
}

/// Answers one request; never fails, whatever happens inside.
pub(super) async fn answer(context: Arc<Context>, mut request: Request<Incoming>) -> Response<Body> {
    let busy = context.phase.busy();
    let path = request.uri().path();
    let is_open = context.app.cors_everywhere || path.starts_with("/xrpc/") || path.starts_with("/.well-known/");
    if is_open && request.method() == Method::OPTIONS {
        return answer::finish(cors::preflight(request.headers()), false, busy).await;
    }
    // HTTP/1.0 cannot change the protocol.
    let may_upgrade = request.version() == Version::HTTP_11 && request.headers().contains_key(header::UPGRADE);
    let handshake = may_upgrade.then(|| {
        let accepted = websocket::accept(request.headers());
        (accepted, hyper::upgrade::on(&mut request))
    });
    let kept = Kept {
        is_open,
        gzip: answer::takes_gzip(request.headers()),
        request_id: request_id(&context, request.headers()),
        handshake,
    };
    let upgrades = kept.handshake.as_ref().is_some_and(|(accepted, _)| accepted.is_ok());
    let outcome = AssertUnwindSafe(dispatch(&context, request, kept.request_id.clone(), upgrades))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Outcome::Reply(XrpcError::internal(&"a handler panicked").into_reply()));
    match outcome {
        Outcome::Reply(reply) => ordinary(reply, &kept, busy).await,
        Outcome::Socket(items) => match kept.handshake {
            Some((Ok(headers), upgrade)) => socket(&context, items, headers, upgrade, busy).await,
            Some((Err(_), _)) | None => no_handshake(&kept, busy).await,
        },
        Outcome::NoHandshake => no_handshake(&kept, busy).await,
    }
}

/// The name that a trusted proxy gave the request, or one of our own.
fn request_id(context: &Context, headers: &HeaderMap) -> RequestId {
    let given = headers.get(RequestId::HEADER).filter(|_| peer::is_trusted(&context.app.trusted_proxies, context.peer));
    given.and_then(RequestId::given).unwrap_or_else(|| context.app.requests.fetch_add(1, Ordering::Relaxed).into())
}

async fn ordinary(mut reply: Reply, kept: &Kept, busy: Busy) -> Response<Body> {
    if kept.is_open {
        cors::allow(&mut reply.headers);
    }
    reply.headers.extend(kept.request_id.to_header().map(|id| (RequestId::HEADER, id)));
    answer::finish(reply, kept.gzip, busy).await
}

/// Completes the handshake; the socket goes on in a task of its own.
async fn socket(
    context: &Arc<Context>,
    items: BoxStream<'static, StreamItem>,
    headers: HeaderMap,
    upgrade: OnUpgrade,
    busy: Busy,
) -> Response<Body> {
    let (stop, permit) = (context.tasks.stopping(), Arc::clone(&context.permit));
    context.tasks.spawn(async move {
        if let Ok(io) = upgrade.await {
            websocket::run(TokioIo::new(io), items, stop).await;
        }
        drop(permit);
    });
    let mut reply = Reply::new(StatusCode::SWITCHING_PROTOCOLS, ReplyBody::Full(Bytes::new()));
    reply.headers = headers;
    answer::finish(reply, false, busy.then_upgraded()).await
}

async fn no_handshake(kept: &Kept, busy: Busy) -> Response<Body> {
    let has_bad_key = matches!(kept.handshake, Some((Err(websocket::Refused::Key), _)));
    let error = if has_bad_key {
        XrpcError::invalid("Sec-WebSocket-Key must be 16 bytes in base64")
    } else {
        XrpcError::invalid("Open a WebSocket here: GET with Upgrade: websocket, version 13")
    };
    let mut response = ordinary(error.into_reply(), kept, busy).await;
    if !has_bad_key {
        websocket::demand(&mut response);
    }
    response
}

async fn dispatch(
    context: &Arc<Context>,
    request: Request<Incoming>,
    request_id: RequestId,
    upgrades: bool,
) -> Outcome {
    let app = &context.app;
    let (parts, body) = request.into_parts();
    if !peer::has_one_host(parts.version, &parts.headers) {
        return Outcome::Reply(
            XrpcError::invalid("The request must have one Host header, a name or an address").into_reply(),
        );
    }
    let path = parts.uri.path();
    if let Some(hosts) = &app.hosts
        && !path.starts_with("/.well-known/")
        && hosts.is_restricted(peer::host(&app.trusted_proxies, context.peer, &parts.uri, &parts.headers)).await
    {
        return Outcome::Reply(not_found());
    }
    let client_ip = peer::client_ip(&app.trusted_proxies, context.peer, &parts.headers);
    match (&app.xrpc, path.strip_prefix("/xrpc/")) {
        (Some(xrpc), Some(name)) if name != "_health" => {
            let nsid = name.strip_suffix('/').unwrap_or(name).to_owned();
            let call = Call {
                method: parts.method,
                uri: parts.uri,
                head: RequestHead { nsid, headers: parts.headers, client_ip },
                request_id,
            };
            self::call(xrpc.as_ref(), call, body, &context.phase, upgrades).await
        }
        _ => page(context, parts, body, client_ip).await,
    }
}

async fn call(xrpc: &dyn Dispatch, call: Call, incoming: Incoming, phase: &Arc<Phase>, upgrades: bool) -> Outcome {
    let body = match (xrpc.kind(&call.head.nsid), &call.method) {
        (Some(MethodKind::Subscription), &Method::GET) if upgrades => {
            return xrpc.subscribe(call).await.map_or_else(Outcome::Reply, Outcome::Socket);
        }
        (Some(MethodKind::Subscription), &Method::GET) => {
            return Outcome::NoHandshake;
        }
        (Some(MethodKind::Procedure), &Method::POST) => incoming::body(&call.head.headers, incoming, phase).await,
        // What is passed on goes through as it is.
        (None, &Method::POST) => incoming::raw_body(&call.head.headers, incoming, phase),
        _ => Ok(RequestBody::empty()),
    };
    match body {
        Ok(body) => Outcome::Reply(xrpc.call(call, body).await),
        Err(error) => Outcome::Reply(error.into_reply()),
    }
}

async fn page(context: &Arc<Context>, parts: Parts, incoming: Incoming, client_ip: IpAddr) -> Outcome {
    let app = &context.app;
    let body = match parts.method {
        Method::GET | Method::HEAD | Method::OPTIONS => Ok(Bytes::new()),
        _ => match incoming::body(&parts.headers, incoming, &context.phase).await {
            Ok(body) => body.collect(limits::WEB_BODY_BYTES).await,
            Err(error) => Err(error),
        },
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => return Outcome::Reply(error.into_reply()),
    };
    let host = peer::host(&app.trusted_proxies, context.peer, &parts.uri, &parts.headers);
    let request = WebRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or("").to_owned(),
        host: host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
        headers: parts.headers,
        client_ip,
        body,
    };
    match Arc::clone(&app.site).handle(request).await {
        WebReply::Reply(reply) => Outcome::Reply(reply),
        WebReply::Socket(items) => Outcome::Socket(items),
    }
}

fn not_found() -> Reply {
    Reply::bytes("text/plain; charset=utf-8", Bytes::from_static(b"Not Found")).with_status(StatusCode::NOT_FOUND)
}
