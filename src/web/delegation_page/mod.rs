//! `GET /delegation/<handle-or-did>?id=e2ee&with=<handle-or-did>`: a delegation for people to look at.
//!
//! No script runs here, and the page says who rendered it: the account's own server.

mod events;
mod qr;
#[cfg(test)]
mod tests;
mod view;

use super::plc_directory::percent_decoded;
use crate::{
    crypto::DelegateKey,
    delegation::{
        Assessment, DelegationId, NamedKey, Status,
        safety_number::{Side, in_groups, safety_number},
    },
    limits::{delegation as limits, http::RETRY_AFTER_SECONDS},
    service::{
        Server,
        delegation::{DelegationFailure, actor, inspect},
    },
    store::Account,
    syntax::AtIdentifier,
    xrpc::Reply,
};
use askama::Template;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use qr::Qr;
use serde::Deserialize;
use tokio::sync::Semaphore;
use view::{Comparison, DelegationPage, Problem};

/// The stylesheet, the empty icon and the form: nothing else is loaded, run, sent or framed.
const CSP: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
                   frame-ancestors 'none'";

#[derive(Deserialize)]
struct Params {
    #[serde(default)]
    id: DelegationId,
    #[serde(default)]
    with: String,
}

/// Who gets a page now. Each costs requests to the directory and many signatures, and anybody may ask.
#[derive(Debug)]
pub(super) struct Visitors {
    /// Whose page is being made.
    running: Semaphore,
    /// Whose page is being made or waited for.
    admitted: Semaphore,
}

impl Visitors {
    pub(super) const fn new() -> Self {
        Self {
            running: Semaphore::const_new(limits::PAGES_AT_ONCE),
            admitted: Semaphore::const_new(limits::PAGES_AT_ONCE + limits::PAGES_WAITING),
        }
    }
}

/// The page about the account that the last segment of the path names, still percent-encoded.
pub(super) async fn page(server: &Server, visitors: &Visitors, segment: &str, query: &str) -> Reply {
    let Ok(_place) = visitors.admitted.try_acquire() else {
        return html(StatusCode::SERVICE_UNAVAILABLE, &Problem::busy())
            .with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    };
    // It fails only when somebody closes it, and nobody does.
    let _turn = visitors.running.acquire().await;
    match delegation(server, segment, query).await {
        Ok(page) => {
            let is_known = page.is_known();
            html(if is_known { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &page)
        }
        Err(problem) => html(problem.status, &problem),
    }
}

async fn delegation(server: &Server, segment: &str, query: &str) -> Result<DelegationPage, Problem> {
    let asked = percent_decoded(segment).unwrap_or_else(|| segment.to_owned());
    let Ok(Params { id, with }) = serde_html_form::from_str(query) else {
        return Err(Problem::wrong_parameters());
    };
    let account = match parse_actor(&asked) {
        Some(identifier) => match actor(server, &identifier).await {
            Ok(account) => account,
            Err(DelegationFailure::NoAccount(_)) => return Err(Problem::no_account(&asked)),
            Err(cause) => return Err(failed(&cause)),
        },
        None => return Err(Problem::no_account(&asked)),
    };
    let assessment = inspect(server, &account, &id).await.map_err(|cause| failed(&cause))?;
    let with = with.trim();
    let comparison = if with.is_empty() {
        Comparison::NotAsked
    } else {
        compare(server, (&account, &assessment), &id, with).await.map_err(|cause| failed(&cause))?
    };
    Ok(DelegationPage::new(&account, &id, &assessment, with, comparison))
}

/// A handle or DID as people write them.
fn parse_actor(text: &str) -> Option<AtIdentifier> {
    text.strip_prefix('@').unwrap_or(text).parse().ok()
}

/// The safety number with another account of this server.
async fn compare(
    server: &Server,
    (account, assessment): (&Account, &Assessment),
    id: &DelegationId,
    with: &str,
) -> Result<Comparison, DelegationFailure> {
    let none_here = || Comparison::Impossible(format!("There is no account {with} on this server."));
    let Some(identifier) = parse_actor(with) else { return Ok(none_here()) };
    let other = match actor(server, &identifier).await {
        Ok(other) => other,
        Err(DelegationFailure::NoAccount(_)) => return Ok(none_here()),
        Err(cause) => return Err(cause),
    };
    if other.did == account.did {
        return Ok(Comparison::Impossible("That is the same account: a safety number needs two.".to_owned()));
    }
    let theirs = inspect(server, &other, id).await?;
    let side = |account: &Account, assessment: &Assessment| {
        verified_key(assessment).cloned().ok_or_else(|| {
            let handle = &account.handle;
            Comparison::Impossible(format!("There is no safety number: {handle} has no verified key under {id} now."))
        })
    };
    let (ours, theirs) = match (side(account, assessment), side(&other, &theirs)) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(impossible), _) | (_, Err(impossible)) => return Ok(impossible),
    };
    let number = safety_number(Side { did: &account.did, id, key: &ours }, Side { did: &other.did, id, key: &theirs });
    let qr = Qr::of(&number, "QR code of the safety number");
    let groups = in_groups(&number).split(' ').map(str::to_owned).collect();
    Ok(Comparison::Number { with: other.handle.to_string(), groups, qr })
}

/// The only kind of key that people should compare.
fn verified_key(assessment: &Assessment) -> Option<&DelegateKey> {
    let key = assessment.key().filter(|_| assessment.verdict.status == Status::Verified);
    key.map(NamedKey::supported)?.ok()
}

fn failed(cause: &DelegationFailure) -> Problem {
    tracing::error!(%cause, "a delegation could not be shown: {cause}");
    Problem::failed()
}

fn html(status: StatusCode, page: &impl Template) -> Reply {
    let (status, text) = match page.render() {
        Ok(text) => (status, text),
        Err(cause) => {
            tracing::error!(%cause, "a page could not be rendered: {cause}");
            (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error".to_owned())
        }
    };
    let fixed = HeaderValue::from_static;
    Reply::bytes("text/html; charset=utf-8", Bytes::from(text))
        .with_status(status)
        .with_header(header::CONTENT_SECURITY_POLICY, fixed(CSP))
        .with_header(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"))
        .with_header(header::REFERRER_POLICY, fixed("no-referrer"))
        .with_header(header::CACHE_CONTROL, fixed("no-store"))
}
