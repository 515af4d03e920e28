//! Ends what a crash or an unclear answer left open.

use std::{sync::Arc, time::Duration};

use super::{JournalError, carry::Carrier, crash::CrashPoint, log::audit_log};
use crate::{
    limits::journal as limits,
    plc::log::standing,
    service::Server,
    store::{JournalKind, StoreError},
};

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Rows that are applied now.
    pub applied: usize,
    /// Rows that failed for good.
    pub failed: usize,
    /// Rows that stay open: somebody else carries them, or the directory does not say yet.
    pub open: usize,
    /// Rows that failed lately and whose operation is not in the directory: should it turn up, it is applied.
    pub watched: usize,
}

/// One pass over the open rows, each carried as far as the directory's log decides it.
///
/// # Errors
/// When the rows cannot be read.
pub async fn reconcile(server: &Arc<Server>) -> Result<Reconciled, StoreError> {
    let mut done = Reconciled::default();
    let carrier = Carrier { server: Arc::clone(server), crash: CrashPoint::here() };
    for row in server.store.journal_open_rows(limits::ROWS_PER_PASS).await? {
        let did = &row.change.did;
        let Some(turn) = server.journal.enter(did) else {
            done.open += 1;
            continue;
        };
        match carrier.carry(row.id).await {
            Ok(_) => {
                tracing::info!(%did, "a change of an identity that was left open is applied now");
                done.applied += 1;
            }
            Err(cause) if cause.leaves_the_row_open() => {
                if cause != JournalError::Pending {
                    tracing::error!(%did, "a change of an identity stays open: {cause}");
                }
                done.open += 1;
            }
            Err(cause) => {
                tracing::warn!(%did, "a change of an identity that was left open failed: {cause}");
                done.failed += 1;
            }
        }
        drop(turn);
    }
    watch_failed(&carrier, &mut done).await?;
    Ok(done)
}

/// A refusal that was confirmed twice can still be wrong: whatever the directory takes in the end is true.
async fn watch_failed(carrier: &Carrier, done: &mut Reconciled) -> Result<(), StoreError> {
    let server = &carrier.server;
    let since = server.now().minus(limits::FAILED_ROWS_WATCHED_FOR);
    for row in server.store.journal_failed_rows(since, limits::ROWS_PER_PASS).await? {
        let did = &row.change.did;
        // A creation that failed has no account to apply anything to; what was never posted cannot turn up.
        if row.change.kind == JournalKind::CreateAccount || row.posts == 0 {
            continue;
        }
        let Some(turn) = server.journal.enter(did) else { continue };
        let head = audit_log(server, did).await.ok();
        // Only the latest operation: what was built on top of it since has been told already.
        if head.and_then(|log| standing(&log).next_back().map(|entry| entry.cid)) == Some(row.change.operation_cid) {
            match carrier.apply(&row).await {
                Ok(_) => {
                    tracing::warn!(%did, "an operation that had failed turned up in the directory and is applied now");
                    done.applied += 1;
                }
                Err(cause) => tracing::error!(%did, "an operation that turned up late cannot be applied: {cause}"),
            }
        } else {
            done.watched += 1;
        }
        drop(turn);
    }
    Ok(())
}

/// Reconciles now, and whenever a row was left open, with growing pauses until none is.
pub fn start_reconciler(server: &Arc<Server>) {
    let (own, stopping) = (Arc::clone(server), server.tasks.stopping());
    server.tasks.spawn(async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = keep_reconciling(&own) => {}
        }
    });
}

async fn keep_reconciling(server: &Arc<Server>) {
    let mut pause = limits::FIRST_PAUSE;
    loop {
        let (open, watched) = match reconcile(server).await {
            Ok(done) => (done.open > 0, done.watched > 0),
            Err(cause) => {
                tracing::error!("the identity journal cannot be read: {cause}");
                (true, false)
            }
        };
        if open {
            tokio::time::sleep(pause).await;
            pause = longer(pause);
            continue;
        }
        if watched {
            drop(tokio::time::timeout(limits::LONGEST_PAUSE, server.journal.rung()).await);
        } else {
            server.journal.rung().await;
        }
        // The request that rang has read the log this instant: give the directory a moment.
        pause = limits::FIRST_PAUSE;
        tokio::time::sleep(pause).await;
    }
}

fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(limits::LONGEST_PAUSE)
}
