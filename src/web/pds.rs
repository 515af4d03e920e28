//! The pages of the PDS: the root, `/.well-known`, health, and what a TLS proxy asks.

use super::{
    Site, WebReply, WebRequest, delegation,
    delegation_page::{self, Visitors},
    dev_mail,
};
use crate::{
    delegation::WELL_KNOWN_PATH,
    identity::DidDocument,
    lexicon::published,
    service::{Server, web_dids::WebDids},
    store::{AccountState, StoreError},
    syntax::{Handle, Nsid},
    xrpc::{Reply, ReplyBody, XrpcError},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use rust_embed::RustEmbed;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

const TEXT: &str = "text/plain; charset=utf-8";

/// Texts of the pages.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/assets/pages"]
struct Assets;

/// The pages of one server.
#[derive(Debug)]
pub struct PdsSite {
    server: Arc<Server>,
    visitors: Visitors,
}

impl PdsSite {
    /// The pages of `server`.
    pub fn new(server: Arc<Server>) -> Self {
        Self { server, visitors: Visitors::new() }
    }
}

impl Site for PdsSite {
    fn handle(self: Arc<Self>, request: WebRequest) -> BoxFuture<'static, WebReply> {
        Box::pin(async move { WebReply::Reply(page(&self, &request).await) })
    }
}

async fn page(site: &PdsSite, request: &WebRequest) -> Reply {
    let server = site.server.as_ref();
    let path = request.path.as_str();
    let Some(page) = Page::at(path) else { return not_found() };
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            .with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    match page {
        Page::Asset(name) => asset(name),
        Page::Health => health(&server.policy.version, server.store.ping().await),
        Page::AtprotoDid => atproto_did(server, &request.host).await,
        Page::DidDocument => did_document(server, &request.host).await,
        Page::Delegation => delegation::page(server, request).await,
        Page::AboutDelegation(actor) => delegation_page::page(server, &site.visitors, actor, &request.query).await,
        Page::Style => style(),
        Page::Lexicon(file) => lexicon(file),
        Page::ChangePassword => Reply::new(StatusCode::FOUND, ReplyBody::Full(Bytes::new()))
            .with_header(header::LOCATION, HeaderValue::from_static("/account/reset-password")),
        Page::TlsCheck => tls_check(server, &request.query).await,
        Page::DevMail => match server.mailer.kept_mails() {
            Some(mails) => dev_mail::page(&mails, &request.headers),
            None => not_found(),
        },
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page<'a> {
    Asset(&'static str),
    Lexicon(&'a str),
    Health,
    AtprotoDid,
    DidDocument,
    Delegation,
    AboutDelegation(&'a str),
    Style,
    ChangePassword,
    TlsCheck,
    DevMail,
}

impl<'a> Page<'a> {
    fn at(path: &'a str) -> Option<Self> {
        Some(match path {
            "/" => Self::Asset("banner.txt"),
            "/dev/mail" => Self::DevMail,
            "/robots.txt" => Self::Asset("robots.txt"),
            "/xrpc/_health" => Self::Health,
            "/.well-known/atproto-did" => Self::AtprotoDid,
            "/.well-known/did.json" => Self::DidDocument,
            "/.well-known/change-password" => Self::ChangePassword,
            "/tls-check" => Self::TlsCheck,
            "/pages/style.css" => Self::Style,
            WELL_KNOWN_PATH => Self::Delegation,
            _ => match path.strip_prefix("/delegation/") {
                Some(actor) if !actor.contains('/') => Self::AboutDelegation(actor),
                Some(_) => return None,
                None => Self::Lexicon(path.strip_prefix("/lexicons/")?.strip_suffix(".json")?),
            },
        })
    }
}

fn asset(name: &str) -> Reply {
    match name {
        "banner.txt" => text(StatusCode::OK, include_str!("../../assets/banner.txt")),
        "robots.txt" => text(StatusCode::OK, include_str!("../../assets/robots.txt")),
        _ => not_found(),
    }
}

/// What all pages for people look like.
fn style() -> Reply {
    Assets::get("style.css").map_or_else(not_found, |file| {
        Reply::bytes("text/css; charset=utf-8", Bytes::from(file.data.into_owned()))
            .with_header(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))
            .with_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
    })
}

/// The lexicon with this NSID, one of the server's own.
fn lexicon(nsid: &str) -> Reply {
    // Parsed, so that no path can be smuggled in.
    let Ok(nsid) = nsid.parse::<Nsid>() else { return not_found() };
    published().own_text(nsid.as_str()).map_or_else(not_found, |text| {
        Reply::raw_json(text.to_vec()).with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
    })
}

fn text(status: StatusCode, text: &str) -> Reply {
    Reply::bytes(TEXT, Bytes::copy_from_slice(text.as_bytes())).with_status(status)
}

fn json(status: StatusCode, value: &Value) -> Reply {
    Reply::raw_json(value.to_string().into_bytes()).with_status(status)
}

fn not_found() -> Reply {
    text(StatusCode::NOT_FOUND, "Not Found")
}

fn health(version: &str, ping: Result<(), StoreError>) -> Reply {
    match ping {
        Ok(()) => json(StatusCode::OK, &json!({ "version": version })),
        Err(cause) => {
            tracing::error!(%cause, "unhealthy: {cause}");
            let answer = json!({ "version": version, "error": "Service Unavailable" });
            json(StatusCode::SERVICE_UNAVAILABLE, &answer)
        }
    }
}

/// Who has the name that was asked for: accounts in use only, whatever the domain of their handle.
async fn atproto_did(server: &Server, host: &str) -> Reply {
    let user_not_found = || text(StatusCode::NOT_FOUND, "User not found");
    let Ok(handle) = host.parse::<Handle>() else { return user_not_found() };
    match server.store.account_by_handle(&handle).await {
        Ok(Some(account)) if account.state == AccountState::Active => text(StatusCode::OK, account.did.as_str()),
        Ok(_) => user_not_found(),
        Err(cause) => {
            tracing::error!(%cause, "a handle could not be looked up: {cause}");
            text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

/// The document of the did:web that has this name, or the server's own. Another handle's name has none: it would claim to
/// be the server's DID.
async fn did_document(server: &Server, host: &str) -> Reply {
    let policy = &server.policy;
    if let Ok(did) = format!("did:web:{}", host.to_ascii_lowercase()).parse()
        && did != policy.service_did
    {
        match WebDids::new(server.store.clone(), policy.endpoint()).document(&did).await {
            Ok(Some(document)) => {
                return json(StatusCode::OK, &document)
                    .with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Ok(None) => {}
            Err(cause) => return XrpcError::from(cause).into_reply(),
        }
    }
    if DidDocument::did_web_url(&policy.service_did).is_none() || is_handle(server, host).await {
        return not_found();
    }
    json(StatusCode::OK, &DidDocument::of_server(&policy.service_did, &policy.public_url))
}

pub(super) async fn is_handle(server: &Server, host: &str) -> bool {
    if host.eq_ignore_ascii_case(&server.policy.hostname) {
        return false;
    }
    let Ok(handle) = host.parse::<Handle>() else { return false };
    is_service_domain(&server.policy.handle_domains, handle.as_str())
        || server.store.account_by_handle(&handle).await.is_ok_and(|account| account.is_some())
}

#[derive(Deserialize)]
struct TlsCheck {
    domain: String,
}

/// Whether a certificate may be had for a name: Caddy asks this before it gets one on demand.
async fn tls_check(server: &Server, query: &str) -> Reply {
    let refused = |status, name, message: &str| XrpcError::with_status(status, name, message).into_reply();
    let Ok(TlsCheck { domain }) = serde_html_form::from_str(query) else {
        return refused(StatusCode::BAD_REQUEST, "InvalidRequest", "bad or missing domain query param");
    };
    let success = || json(StatusCode::OK, &json!({ "success": true }));
    if domain.eq_ignore_ascii_case(&server.policy.hostname) {
        return success();
    }
    let Ok(handle) = domain.parse::<Handle>() else {
        return refused(StatusCode::BAD_REQUEST, "InvalidRequest", "bad or missing domain query param");
    };
    let is_ours = is_service_domain(&server.policy.handle_domains, handle.as_str());
    match server.store.account_by_handle(&handle).await {
        Ok(Some(_)) if is_ours => success(),
        Ok(None) if is_ours && is_did(server, &handle).await => success(),
        Ok(_) if !is_ours => {
            refused(StatusCode::BAD_REQUEST, "InvalidRequest", "handles are not provided on this domain")
        }
        Ok(_) => refused(StatusCode::NOT_FOUND, "NotFound", "handle not found for this domain"),
        Err(error) => XrpcError::from(error).into_reply(),
    }
}

/// Whether a name is that of a did:web, whatever handle its account has by now.
async fn is_did(server: &Server, handle: &Handle) -> bool {
    let Ok(did) = format!("did:web:{handle}").parse() else { return false };
    server.store.is_served_did(&did).await.unwrap_or(false)
}

fn is_service_domain(domains: &[String], handle: &str) -> bool {
    domains.iter().any(|domain| {
        handle
            .strip_suffix(domain.trim_start_matches('.'))
            .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
    })
}

#[cfg(test)]
#[path = "pds_tests.rs"]
mod tests;
