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
    service::Server,
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

/// The server's own document. A handle's name has none: it would claim to be the server's DID.
async fn did_document(server: &Server, host: &str) -> Reply {
    let policy = &server.policy;
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
        Ok(_) if !is_ours => {
            refused(StatusCode::BAD_REQUEST, "InvalidRequest", "handles are not provided on this domain")
        }
        Ok(_) => refused(StatusCode::NOT_FOUND, "NotFound", "handle not found for this domain"),
        Err(error) => XrpcError::from(error).into_reply(),
    }
}

fn is_service_domain(domains: &[String], handle: &str) -> bool {
    domains.iter().any(|domain| {
        handle
            .strip_suffix(domain.trim_start_matches('.'))
            .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reply: &Reply) -> String {
        match &reply.body {
            ReplyBody::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            ReplyBody::Stream(_) => panic!("no page is a stream"),
        }
    }

    #[test]
    fn the_root_names_the_program_and_the_methods() {
        let reply = asset("banner.txt");
        assert_eq!(
            (reply.status, &reply.headers[header::CONTENT_TYPE]),
            (StatusCode::OK, &HeaderValue::from_static(TEXT))
        );
        assert!(body(&reply).contains("Housekey") && body(&reply).contains("/xrpc/"));
        assert!(body(&asset("robots.txt")).contains("User-agent: *"));
    }

    #[test]
    fn health_is_the_version_and_nothing_else() {
        let good = health("0.1.0", Ok(()));
        assert_eq!((good.status.as_u16(), body(&good).as_str()), (200, r#"{"version":"0.1.0"}"#));
        let bad = health("0.1.0", Err(StoreError::Database("disk I/O error".to_owned())));
        assert_eq!(bad.status.as_u16(), 503);
        assert!(body(&bad).contains("Service Unavailable") && !body(&bad).contains("disk"));
    }

    #[test]
    fn only_known_paths_are_pages() {
        assert_eq!(Page::at("/.well-known/did.json"), Some(Page::DidDocument));
        for path in ["/favicon.ico", "/xrpc/", "/.well-known/", "/.well-known/atproto-did/", "//", "", "/../etc/passwd"]
        {
            assert_eq!(Page::at(path), None, "{path}");
        }
    }

    #[test]
    fn a_lexicon_is_served_by_its_nsid_and_nothing_else_is() {
        let reply = lexicon("dev.housekey.delegation.getDelegation");
        assert!(body(&reply).contains("\"dev.housekey.delegation.getDelegation\""));
        assert_eq!(reply.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        for other in ["dev.housekey.delegation.nonesuch", "..", "../mail/plc_operation", "dev/housekey", ""] {
            assert_eq!(lexicon(other).status, StatusCode::NOT_FOUND, "{other}");
        }
        assert_eq!(Page::at("/lexicons/a.b.c.json"), Some(Page::Lexicon("a.b.c")));
    }

    #[test]
    fn only_names_below_a_handle_domain_are_ours() {
        let domains = ["pds.example.com".to_owned()];
        assert!(is_service_domain(&domains, "alice.pds.example.com"));
        for other in ["pds.example.com", "evilpds.example.com", "alice.example.com", ".pds.example.com"] {
            assert!(!is_service_domain(&domains, other), "{other}");
        }
    }
}
