//! What runs on its own: old events go, blobs that no record came to use, and accounts whose time has come.
use super::{Server, deletion};
use crate::{
    limits::records::{MAINTENANCE_EVERY, MAINTENANCE_STEPS, PRUNE_SLICE, SWEEP_SLICE, TEMPORARY_BLOB_GRACE},
    store::StoreError,
};
use std::sync::Arc;

/// What one round removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Events past retention.
    pub events: usize,
    /// Blob files that nothing uses.
    pub blobs: usize,
    /// Accounts whose time had come, or that a crash had left half deleted.
    pub accounts: usize,
}

/// Rounds of maintenance until the server stops.
pub async fn run_maintenance(server: Arc<Server>) {
    let stopping = server.tasks.stopping();
    tokio::select! {
        () = stopping.cancelled() => return,
        done = deletion::carry_on(&server) => if let Err(cause) = done {
            tracing::warn!(%cause, "deletions could not be carried on: {cause}");
        }
    }
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(MAINTENANCE_EVERY) => {}
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            done = maintain(&server) => match done {
                Ok(removed) => tracing::debug!(removed.events, removed.blobs, removed.accounts, "maintenance is done"),
                Err(StoreError::Closed) => return,
                Err(cause) => tracing::warn!(%cause, "maintenance failed: {cause}"),
            }
        }
    }
}

/// One round, in slices between which other writes get their turn.
///
/// # Errors
/// When the database fails; what was removed before stays removed.
pub async fn maintain(server: &Server) -> Result<Removed, StoreError> {
    let now = server.now();
    let mut removed = Removed::default();
    // What a cursor may still ask for stays, even if less was to be kept.
    let keep_from = now.minus(server.policy.retain.max(server.policy.backfill));
    for _ in 0..MAINTENANCE_STEPS {
        let slice = server.store.prune_events(keep_from, PRUNE_SLICE).await?;
        removed.events += slice;
        if slice == 0 {
            break;
        }
    }
    for _ in 0..MAINTENANCE_STEPS {
        let slice = server.store.sweep_blobs(now.minus(TEMPORARY_BLOB_GRACE), SWEEP_SLICE).await?;
        removed.blobs += slice;
        if slice == 0 {
            break;
        }
    }
    let deleted = deletion::carry_on(server).await?;
    removed.accounts = deleted.begun.max(deleted.finished);
    Ok(removed)
}
