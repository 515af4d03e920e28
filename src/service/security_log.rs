//! What happened to the access to an account, noted for its owner.
//!
//! What changes something is noted in the transaction of the change, so that the log has it exactly when it is true.
//! Refusals and what changes nothing wait in memory for the next transaction, a moment later, so that nobody's answer waits
//! for another flush; a crash can lose that moment.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    vec::Vec,
};

use tokio::sync::Notify;

use super::{Origin, Server};
use crate::{
    limits::accounts::{SECURITY_DETAIL_MAX_CHARS, SECURITY_EVENTS_WAITING},
    store::{AccountId, NewSecurityEvent, SecurityEvent, SecurityKind, StoreError},
    throttle::network_of,
};

/// Events that are not written yet.
#[derive(Debug, Default)]
pub struct SecurityLog {
    // A mutex because any request notes; held for one push.
    waiting: Mutex<Vec<NewSecurityEvent>>,
    // Held while events are written, so that whoever reads the log after that finds them.
    writing: tokio::sync::Mutex<()>,
    wake: Notify,
}

impl SecurityLog {
    fn waiting(&self) -> MutexGuard<'_, Vec<NewSecurityEvent>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that something happened to an account just now, at the hands of whoever made the present request.
pub fn note(server: &Server, account: AccountId, kind: SecurityKind, detail: Option<&str>) {
    let event = event(server, account, kind, detail);
    let mut waiting = server.security_log.waiting();
    if waiting.len() >= SECURITY_EVENTS_WAITING {
        drop(waiting);
        tracing::error!(kind = kind.word(), "an event of a security log is lost: too many wait to be written");
        return;
    }
    waiting.push(event);
    drop(waiting);
    server.security_log.wake.notify_one();
}

/// The same as a value, for what writes it in the transaction of the change. Of the administrator and of moderators it says
/// only that it was them.
pub fn event(server: &Server, account: AccountId, kind: SecurityKind, detail: Option<&str>) -> NewSecurityEvent {
    let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(SECURITY_DETAIL_MAX_CHARS).collect();
    let detail: Option<String> = detail.map(shown);
    let event = NewSecurityEvent { account, time: server.now(), kind, detail, address: None, agent: None };
    match Origin::current() {
        None => event,
        Some(origin) if origin.is_operator => NewSecurityEvent {
            detail: Some(match event.detail {
                Some(detail) => format!("{BY_THE_OPERATOR}: {detail}"),
                None => BY_THE_OPERATOR.to_owned(),
            }),
            ..event
        },
        Some(origin) => NewSecurityEvent { address: Some(noted_address()), agent: origin.agent, ..event },
    }
}

/// What the log says of what the owner did not do.
const BY_THE_OPERATOR: &str = "by the administrator";

/// The present caller's address as it is noted: of an IPv6 address the network alone, since the rest changes daily and
/// names a device.
pub(super) fn noted_address() -> String {
    match network_of(Origin::current_address()) {
        address if address.is_ipv6() => format!("{address}/{}", crate::limits::throttle::IPV6_PREFIX),
        address => address.to_string(),
    }
}

/// A page of an account's log, newest first; what was noted before this is in it.
///
/// # Errors
/// When the database fails.
pub async fn read(
    server: &Server,
    account: AccountId,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<SecurityEvent>, StoreError> {
    flush(server).await?;
    server.store.security_events(account, before, limit).await
}

/// Writes what waits.
///
/// # Errors
/// When the database fails; what was to be written waits on then.
pub async fn flush(server: &Server) -> Result<(), StoreError> {
    let _writing = server.security_log.writing.lock().await;
    let events = std::mem::take(&mut *server.security_log.waiting());
    if events.is_empty() {
        return Ok(());
    }
    let written = server.store.add_security_events(events.clone()).await;
    if written.is_err() {
        server.security_log.waiting().splice(0..0, events);
    }
    written
}

/// Writes events as they come until the server stops.
pub async fn run_security_log(server: Arc<Server>) {
    let stopping = server.tasks.stopping();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = server.security_log.wake.notified() => {}
        }
        if let Err(cause) = flush(&server).await {
            tracing::warn!(%cause, "events of security logs could not be written yet: {cause}");
        }
    }
}
